"""Small publishers, payloads and sites for the tests of media."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from toolkit.media import (
    Medium,
    SigningKeys,
    describe_medium,
    fingerprint,
    init_trust,
    open_keys,
    open_medium,
    pin_root,
    write_medium,
)
from toolkit.media._trust import new_trust
from toolkit.media._verify import check_set
from toolkit.model import (
    Acceptance,
    FileVerdict,
    HeldPayload,
    Judgement,
    PayloadKind,
    Sha256,
    SolutionVersion,
    Stance,
    Statement,
    StatementKind,
    Witness,
)

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
PASSPHRASE = "correct horse battery staple"
VERSION = "12.2603.1002.15"


def days(count: float) -> timedelta:
    return timedelta(days=count)


def make_payload(
    folder: Path,
    *,
    version: str = VERSION,
    name: str = "",
    data: bytes = b"vendor bytes " * 100,
    verdict: FileVerdict = FileVerdict.PROVEN,
    acceptance: Acceptance | None = None,
    source: str = "",
) -> HeldPayload:
    """Put a file into a catalog-like folder and describe it as held."""
    name = name or f"CombinedSolutionBundle.{version}.zip"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    digest = Sha256(hashlib.sha256(data).hexdigest())
    return HeldPayload(
        version=SolutionVersion.parse(version),
        shelf=version,
        name=name,
        kind=PayloadKind.SBE if name.startswith("SBE") else PayloadKind.SOLUTION_BUNDLE,
        url=f"https://vendor.example/{name}",
        path=path,
        size_bytes=len(data),
        sha256=digest,
        witnesses=(Witness(value=digest, source="release notes", seen_on=date(2026, 3, 1)),),
        judgement=Judgement(
            verdict=verdict,
            reasons=("release notes name its SHA-256",),
            statements=(
                Statement(
                    kind=StatementKind.STRUCTURE,
                    stance=Stance.FOR,
                    text="looked into",
                    source=source,
                ),
            ),
        ),
        acceptance=acceptance,
    )


@dataclass
class Publisher:
    """A keys folder and what it opens to."""

    folder: Path
    passphrase: str = PASSPHRASE
    made_at: datetime = NOW - days(30)
    expires_at: datetime = NOW + days(700)
    keys: SigningKeys = field(init=False)
    root: bytes = field(init=False)

    def __post_init__(self) -> None:
        init_trust(self.folder, self.passphrase, expires_at=self.expires_at, now=self.made_at)
        self.keys = open_keys(self.folder, self.passphrase)
        self.root = self.keys.roots[0]

    def write(self, medium: Path, *payloads: HeldPayload, now: datetime = NOW, **more) -> Medium:
        more.setdefault("expires_at", now + days(180))
        if medium.parent.is_dir():  # a drive that is not there has none
            medium.mkdir(exist_ok=True)
        return write_medium(medium, payloads, keys=self.keys, now=now, **more)


@dataclass
class SiteTrust:
    """A site's trust directory."""

    folder: Path

    def pin(self, root: bytes) -> "SiteTrust":
        pin_root(self.folder, root, fingerprint(root))
        return self

    def open(self, medium: Path, *, now: datetime = NOW, **more) -> Medium:
        return open_medium(medium, self.folder, now=now, **more)

    def memory(self) -> dict[str, bytes]:
        """Everything the site remembers, byte for byte (not its lock)."""
        return {
            item.name: item.read_bytes() for item in self.folder.iterdir() if item.name != "lock"
        }


def proven(root: Path) -> Medium:
    """Open a medium under the first root that lies on it, at the time it was issued."""
    label = describe_medium(root)
    trust = new_trust((label.folder / "tuf" / "1.root.json").read_bytes())
    return Medium(label.folder, check_set(label.folder, trust, now=label.issued_at))


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file; `bit` counts from the first byte's lowest."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
