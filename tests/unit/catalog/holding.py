"""A catalog with something in it, for the tests of its upkeep."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from tests.unit.catalog.fakes import FakeSite, Listener, manifest_of, payload_of, zip_of
from toolkit.catalog import Catalog, _holding
from toolkit.model import (
    HeldPayload,
    Payload,
    PayloadKind,
    Sha256,
    Stance,
    Statement,
    StatementKind,
)
from toolkit.signed import canonical

NOW = datetime(2026, 4, 21, 3, 0, tzinfo=UTC)
DATA = zip_of(300_000)
PAYLOAD = payload_of(DATA)
MANIFEST = manifest_of(PAYLOAD)
SHELF = "12.2604.1003.9"
SBE_SHELF = "sbe/Contoso_Gen_A_4.2.2603.1"
SBE_NAMES = (
    "SBE_Discovery_Contoso.xml",
    "SBE_Contoso_Gen_A_4.2.2603.1.xml",
    "SBE_Contoso_Gen_A_4.2.2603.1.zip",
)


def says(kind: StatementKind, stance: Stance = Stance.FOR) -> Statement:
    return Statement(kind=kind, stance=stance, text=f"{kind.value} says so", source="a test")


PROOF = (says(StatementKind.PACKAGE_HASH), says(StatementKind.SIGNATURE))


class Holding:
    """A catalog folder, a site that publishes, and what was said."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.site = FakeSite()
        self.listener = Listener()
        self.now = NOW

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.root, fetcher=self.site, sleep=lambda _: None, now=lambda: self.now)

    @property
    def payloads(self) -> _holding.Holding:
        """What stands behind the catalog's face."""
        return _holding.Holding(
            self.root, fetcher=self.site, sleep=lambda _: None, now=lambda: self.now
        )

    def download(
        self, data: bytes = DATA, *, version: str = SHELF, payload: Payload | None = None
    ) -> HeldPayload:
        payload = payload or payload_of(data, f"CombinedSolutionBundle.{version}.zip")
        self.site.files[payload.url] = data
        (held,) = self.catalog.download(
            manifest_of(payload, version=version), progress=self.listener
        )
        return held

    def adopt(
        self,
        source: Path,
        *,
        name: str = SBE_NAMES[1],
        shelf: str = SBE_SHELF,
        expected: Sha256 | None = None,
        statements: tuple[Statement, ...] = PROOF,
    ) -> HeldPayload:
        return self.payloads.adopt(
            source,
            shelf=shelf,
            name=name,
            kind=PayloadKind.SBE,
            url="",
            expected_sha256=expected,
            siblings=SBE_NAMES,
            statements=statements,
            progress=self.listener,
        )

    def spoil(self, held: HeldPayload) -> None:
        """Change one byte, as a failing disk does: neither length nor time tell."""
        facts = held.path.stat()
        held.path.chmod(0o644)
        data = bytearray(held.path.read_bytes())
        data[1000 % len(data)] ^= 1
        held.path.write_bytes(data)
        held.path.chmod(0o444)
        os.utime(held.path, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    def plan(self, *rows: dict[str, object], name: str = "trip") -> Path:
        folder = self.root / "plans"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.json"
        document = {"payloads": list(rows), "hops": []}
        plan_id = hashlib.sha256(canonical(document)).hexdigest()[:16]
        head = {"kind": "ferry-plan", "format": 1, "plan_id": plan_id}
        path.write_text(json.dumps({**head, **document}), encoding="utf-8")
        return path

    def files(self) -> set[str]:
        """Every file but locks, by its path in the catalog."""
        return {
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*")
            if path.is_file() and path.suffix != ".lock"
        }

    def said(self, word: str) -> bool:
        return any(word in line for line in self.listener.lines)
