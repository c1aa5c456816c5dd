"""Chains of receipts for tests: two places with keys, and what they write about one set."""

import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.unit.media.making import NOW, days
from toolkit.media._custody import Receipt, ReceiptKind, seal_receipt
from toolkit.signed import SigningKey

SET_ID = "5d0f6a1c-2b3c-4d5e-8f90-123456789abc"
HOME, SITE, STRANGER = (
    SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)) for number in (1, 2, 3)
)
KEYS = {HOME.fingerprint: "home", SITE.fingerprint: "plant7"}
USUAL = (
    (ReceiptKind.WRITE, HOME),
    (ReceiptKind.HAND_OVER, HOME),
    (ReceiptKind.VERIFY, SITE),
    (ReceiptKind.IMPORT, SITE),
    (ReceiptKind.RESULT, SITE),
    (ReceiptKind.RETURN, SITE),
)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Scroll:
    """Writes receipts one after another, as files by name."""

    set_id: str = SET_ID
    set_name: str = "AZL-2603-TEST"
    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, kind: str, key: SigningKey, **changes) -> str:
        counter = changes.pop("counter", len(self.files) + 1)
        last = next(reversed(self.files.values()), None)
        receipt = Receipt(
            **{
                "kind": kind,
                "counter": counter,
                "previous": sha256(last) if last else "",
                "receipt_id": f"{len(self.files) + 1:08x}-0000-4000-8000-{self.set_id[-12:]}",
                "at": NOW + days(len(self.files)),
                "is_clock_behind": False,
                "by": "Ada",
                "site_id": "" if key is HOME else "9e0f1a2b-3c4d-4e5f-8a6b-7c8d9e0f1a2b",
                "set_id": self.set_id,
                "set_name": self.set_name,
                "facts": {"count": counter, "list": [{"b": True, "a": "ü"}]},
                **changes,
            }
        )
        self.files[receipt.file_name] = seal_receipt(receipt, key)
        return receipt.file_name

    def usual(self) -> "Scroll":
        for kind, key in USUAL:
            self.add(kind, key)
        return self
