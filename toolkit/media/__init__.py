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
from toolkit.media._keys import (
    SigningKeys,
    fingerprint,
    init_trust,
    open_keys,
    read_fingerprint,
    read_root,
    read_root_chain,
)
from toolkit.media._medium import Medium, MediumLabel, describe_medium
from toolkit.media._open import open_medium
from toolkit.media._report import Damage, MediumReport, Verdict
from toolkit.media._trust import pin_root, recall
from toolkit.media._write import write_medium

__all__ = [
    "BagFault",
    "BagFinding",
    "BagReport",
    "Damage",
    "Medium",
    "MediumLabel",
    "MediumReport",
    "SigningKeys",
    "Verdict",
    "audit_bag",
    "describe_medium",
    "fingerprint",
    "init_trust",
    "open_keys",
    "open_medium",
    "pin_root",
    "read_fingerprint",
    "read_root",
    "read_root_chain",
    "recall",
    "write_medium",
]
