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

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.media._audit import BagFault, BagFinding, BagReport, audit_bag
    from toolkit.media._ceremony import Ceremony, describe_draft, describe_root
    from toolkit.media._custody import Break, Chain, Entry, Receipt, ReceiptKind
    from toolkit.media._draft import DraftFacts, RootChange, RootFacts
    from toolkit.media._erase import Erasure, erase_set, plan_erasure
    from toolkit.media._extract import extract_payloads
    from toolkit.media._foresight import foresee
    from toolkit.media._home import SETS, keep_set
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
        read_root_file,
    )
    from toolkit.media._layout import FILE_SYSTEMS, MediumSize, Part, parse_size, read_media
    from toolkit.media._medium import Medium, MediumLabel, describe_medium
    from toolkit.media._names import check_set_name
    from toolkit.media._open import open_medium, vouched_key
    from toolkit.media._parity import MEMORY_MB, Parity, choose_parity
    from toolkit.media._place import require_outside_sets
    from toolkit.media._receipts import Scribe, Written, check_person, read_custody
    from toolkit.media._receiving import Homecoming, Taking, receive_medium
    from toolkit.media._register import Register
    from toolkit.media._repair import Repair, repair_medium
    from toolkit.media._report import Damage, MediumReport, Verdict
    from toolkit.media._returning import put_returns
    from toolkit.media._scan import Scan, Scanner, scan_medium, scan_payloads
    from toolkit.media._set_key import read_recipients, site_recipient
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
    "SETS",
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
    "check_person",
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
    "foresee",
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
    "read_recipients",
    "read_root",
    "read_root_chain",
    "read_root_file",
    "recall",
    "receive_medium",
    "repair_medium",
    "require_outside_sets",
    "scan_medium",
    "scan_payloads",
    "sets_of",
    "site_recipient",
    "vouched_key",
    "write_medium",
    "write_supplement",
]

_ROOMS = {
    "_audit": ("BagFault", "BagFinding", "BagReport", "audit_bag"),
    "_ceremony": ("Ceremony", "describe_draft", "describe_root"),
    "_custody": ("Break", "Chain", "Entry", "Receipt", "ReceiptKind"),
    "_draft": ("DraftFacts", "RootChange", "RootFacts"),
    "_erase": ("Erasure", "erase_set", "plan_erasure"),
    "_extract": ("extract_payloads",),
    "_foresight": ("foresee",),
    "_home": ("SETS", "keep_set"),
    "_keys": (
        "ROLES",
        "ROOT_VALID_DAYS",
        "SigningKeys",
        "fingerprint",
        "init_trust",
        "open_keys",
        "read_fingerprint",
        "read_root",
        "read_root_chain",
        "read_root_file",
    ),
    "_layout": ("FILE_SYSTEMS", "MediumSize", "Part", "parse_size", "read_media"),
    "_medium": ("Medium", "MediumLabel", "describe_medium"),
    "_names": ("check_set_name",),
    "_open": ("open_medium", "vouched_key"),
    "_parity": ("MEMORY_MB", "Parity", "choose_parity"),
    "_place": ("require_outside_sets",),
    "_receipts": ("Scribe", "Written", "check_person", "read_custody"),
    "_receiving": ("Homecoming", "Taking", "receive_medium"),
    "_register": ("Register",),
    "_repair": ("Repair", "repair_medium"),
    "_report": ("Damage", "MediumReport", "Verdict"),
    "_returning": ("put_returns",),
    "_scan": ("Scan", "Scanner", "scan_medium", "scan_payloads"),
    "_set_key": ("read_recipients", "site_recipient"),
    "_several": ("Examined", "SetState", "examine_media", "sets_of"),
    "_supplement": (
        "Lacking",
        "Supplement",
        "find_lacking",
        "prepare_supplement",
        "write_supplement",
    ),
    "_supplement_request": ("SupplementRequest",),
    "_token": ("Token",),
    "_trust": ("pin_root", "recall"),
    "_write": ("plan_media", "write_medium"),
}
"""Where each of these names is at home."""


if not TYPE_CHECKING:  # where this is known, any name would seem to be there

    def __getattr__(name: str) -> object:
        """Load a name with its file when it is first asked for: nobody needs all, and TUF takes its time."""
        for room, names in _ROOMS.items():
            if name in names:
                return getattr(importlib.import_module(f"{__name__}.{room}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
