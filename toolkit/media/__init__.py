"""One signed medium: written on the connected side, proven at the site.

    keys = open_keys(Path("keys"), passphrase)
    write_medium(Path("E:/"), held, keys=keys, expires_at=in_half_a_year)

    pin_root(trust_dir, root_bytes, fingerprint_spoken_on_the_phone)
    medium = open_medium(Path("E:/"), trust_dir)
    for target in medium.targets():
        medium.copy_target(target.name, sink)

Authenticity, freshness and rollback protection come from TUF metadata under a root pinned at the site;
completeness for everybody else from BagIt; the layout is in docs/reference/formats.md.
"""

from toolkit.media._audit import BagFault, BagFinding, BagReport, audit_bag
from toolkit.media._ceremony import Ceremony, describe_draft, describe_root
from toolkit.media._custody import Break, Chain, Entry, Receipt, ReceiptKind
from toolkit.media._draft import DraftFacts, RootChange, RootFacts
from toolkit.media._erase import Erasure, erase_set, plan_erasure
from toolkit.media._extract import extract_payloads
from toolkit.media._home import keep_set
from toolkit.media._keys import (
    ROLES,
    ROOT_VALID_DAYS,
    SigningKeys,
    fingerprint,
    init_trust,
    open_keys,
    read_fingerprint,
    read_root,
    read_root_chain,
)
from toolkit.media._layout import FILE_SYSTEMS, MediumSize, Part, parse_size, read_media
from toolkit.media._medium import Medium, MediumLabel, describe_medium
from toolkit.media._names import check_set_name
from toolkit.media._open import open_medium, vouched_key
from toolkit.media._parity import MEMORY_MB, Parity, choose_parity
from toolkit.media._receipts import Scribe, Written, read_custody
from toolkit.media._receiving import Homecoming, Taking, receive_medium
from toolkit.media._register import Register
from toolkit.media._repair import Repair, repair_medium
from toolkit.media._report import Damage, MediumReport, Verdict
from toolkit.media._returning import put_returns
from toolkit.media._scan import Scan, Scanner, scan_medium, scan_payloads
from toolkit.media._set_key import site_recipient
from toolkit.media._several import Examined, SetState, examine_media, sets_of
from toolkit.media._supplement import (
    Lacking,
    Supplement,
    find_lacking,
    prepare_supplement,
    write_supplement,
)
from toolkit.media._supplement_request import SupplementRequest
from toolkit.media._token import Token
from toolkit.media._trust import pin_root, recall
from toolkit.media._write import plan_media, write_medium

__all__ = [
    "FILE_SYSTEMS",
    "MEMORY_MB",
    "ROLES",
    "ROOT_VALID_DAYS",
    "BagFault",
    "BagFinding",
    "BagReport",
    "Break",
    "Ceremony",
    "Chain",
    "Damage",
    "DraftFacts",
    "Entry",
    "Erasure",
    "Examined",
    "Homecoming",
    "Lacking",
    "Medium",
    "MediumLabel",
    "MediumReport",
    "MediumSize",
    "Parity",
    "Part",
    "Receipt",
    "ReceiptKind",
    "Register",
    "Repair",
    "RootChange",
    "RootFacts",
    "Scan",
    "Scanner",
    "Scribe",
    "SetState",
    "SigningKeys",
    "Supplement",
    "SupplementRequest",
    "Taking",
    "Token",
    "Verdict",
    "Written",
    "audit_bag",
    "check_set_name",
    "choose_parity",
    "describe_draft",
    "describe_medium",
    "describe_root",
    "erase_set",
    "examine_media",
    "extract_payloads",
    "find_lacking",
    "fingerprint",
    "init_trust",
    "keep_set",
    "open_keys",
    "open_medium",
    "parse_size",
    "pin_root",
    "plan_erasure",
    "plan_media",
    "prepare_supplement",
    "put_returns",
    "read_custody",
    "read_fingerprint",
    "read_media",
    "read_root",
    "read_root_chain",
    "recall",
    "receive_medium",
    "repair_medium",
    "scan_medium",
    "scan_payloads",
    "sets_of",
    "site_recipient",
    "vouched_key",
    "write_medium",
    "write_supplement",
]
