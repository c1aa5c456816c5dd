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

from toolkit.media._ceremony import Ceremony, describe_draft, describe_root
from toolkit.media._draft import DraftFacts, RootChange, RootFacts
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
from toolkit.media._layout import FILE_SYSTEMS, MediumSize, Part, read_media
from toolkit.media._medium import Medium, MediumLabel, describe_medium
from toolkit.media._open import open_medium
from toolkit.media._parity import MEMORY_MB, Parity, choose_parity
from toolkit.media._repair import Repair, repair_medium
from toolkit.media._report import Damage, MediumReport, Verdict
from toolkit.media._token import Token
from toolkit.media._trust import pin_root, recall
from toolkit.media._write import plan_media, write_medium

__all__ = [
    "FILE_SYSTEMS",
    "MEMORY_MB",
    "ROLES",
    "ROOT_VALID_DAYS",
    "Ceremony",
    "Damage",
    "DraftFacts",
    "Medium",
    "MediumLabel",
    "MediumReport",
    "MediumSize",
    "Parity",
    "Part",
    "Repair",
    "RootChange",
    "RootFacts",
    "SigningKeys",
    "Token",
    "Verdict",
    "choose_parity",
    "describe_draft",
    "describe_medium",
    "describe_root",
    "fingerprint",
    "init_trust",
    "open_keys",
    "open_medium",
    "pin_root",
    "plan_media",
    "read_fingerprint",
    "read_media",
    "read_root",
    "read_root_chain",
    "recall",
    "repair_medium",
    "write_medium",
]
