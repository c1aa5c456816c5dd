"""What the witnesses together say of a file: proven, good under an impossible hash, bad, or unproven.

A file is proven when at least one origin speaks for it (a pinned or published hash, the vendor's package
hash, a signature, a known colleague's catalog) and at least one more witness of any kind, and none
against it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.catalog._judgement import judge, other_payloads, zip_fault
from toolkit.model import (
    FileVerdict,
    Judgement,
    Manifest,
    Payload,
    Sha256,
    Stance,
    Statement,
    StatementKind,
)

_ORIGINS = {
    StatementKind.PUBLISHED_HASH,
    StatementKind.PACKAGE_HASH,
    StatementKind.SIGNATURE,
    StatementKind.COLLEAGUE,
}
_CULPRITS = {
    "file": FileVerdict.BAD,
    "published hash": FileVerdict.HASH_IMPOSSIBLE,
    "undecided": FileVerdict.UNPROVEN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One payload to be held: what was published about it, and where it stands."""

    shelf: str
    payload: Payload
    must_be: Sha256 | None
    """The hash it must have: the pinned one, or what somebody else says; None: nobody knows."""
    siblings: tuple[str, ...]
    """Names of all payloads of the update or SBE."""
    statements: tuple[Statement, ...] = ()
    """What other witnesses say of the file with the pinned hash."""
    known: tuple[Manifest, ...] = ()
    """Other manifests, to recognise another release's file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was measured of a file."""

    path: Path
    sha256: Sha256
    size_bytes: int
    announced_bytes: int | None = None
    """The length the server announced."""
    earlier_downloads: int = 0
    """How many downloads before had this very digest."""
    statements: tuple[Statement, ...] = ()
    """What we know of these very bytes from before."""
    is_deep: bool = False
    """Whether to read the whole zip and compare every checksum in it."""


def judged(wanted: Wanted, found: Found) -> Judgement:
    """Weigh what all witnesses say of a file.

    Raises:
        OSError: The file cannot be read.
    """
    payload = wanted.payload
    if wanted.must_be not in (None, found.sha256):
        return _of_another_hash(wanted, found)
    seen = [item for item in found.statements if item.kind is StatementKind.STRUCTURE]
    # what was seen of these very bytes may have gone deeper than a second look would
    structure = seen[0] if seen and not found.is_deep else _structure(payload.name, found)
    said = (
        *_hashes(payload, found.sha256),
        *_sizes(payload, found),
        *(() if structure is None else (structure,)),
    )
    kinds = {item.kind for item in said}
    before = (earlier for earlier in found.statements if earlier.kind not in kinds)
    return _weighed((*said, *wanted.statements, *before), payload)


def _weighed(said: Sequence[Statement], payload: Payload) -> Judgement:
    order = list(StatementKind)
    said = tuple(sorted(dict.fromkeys(said), key=lambda item: order.index(item.kind)))
    against = [item.text for item in said if item.stance is Stance.AGAINST]
    speaking = [item for item in said if item.stance is Stance.FOR]
    origins = [item for item in speaking if item.kind in _ORIGINS]
    impossible = [item.value for item in payload.witnesses if not item.is_wellformed]
    if against:
        verdict, reasons = FileVerdict.BAD, against
    elif origins and len(speaking) > 1:
        verdict, reasons = FileVerdict.PROVEN, [item.text for item in speaking]
    elif payload.sha256 is None and impossible and not origins:
        verdict = FileVerdict.HASH_IMPOSSIBLE
        reasons = [f"the published hash {impossible[0]} can be no SHA-256"]
    else:
        verdict = FileVerdict.UNPROVEN
        reasons = [
            *(item.text for item in speaking),
            "no second witness" if origins else "nobody who could know names its hash",
        ]
    return Judgement(verdict=verdict, reasons=tuple(reasons), statements=said)


def _hashes(payload: Payload, digest: Sha256) -> Iterator[Statement]:
    if payload.sha256 is not None:
        text = "its SHA-256 is the pinned one"
        yield Statement(kind=StatementKind.PUBLISHED_HASH, stance=Stance.FOR, text=text)
    for witness in payload.witnesses:
        if witness.value == digest:
            stance, text = Stance.FOR, "its SHA-256 was published"
        else:
            stance, text = Stance.SILENT, f"another hash was published: {witness.value}"
        if payload.sha256 is None or stance is Stance.SILENT:
            yield Statement(
                kind=StatementKind.PUBLISHED_HASH,
                stance=stance,
                text=text,
                source=witness.source,
                seen_on=witness.seen_on,
            )


def _sizes(payload: Payload, found: Found) -> Iterator[Statement]:
    for size, who, is_binding in (
        (payload.size_bytes, "the manifest says", True),
        # servers are wrong about lengths: under the pinned hash that says nothing of the file
        (found.announced_bytes, "the server announced", payload.sha256 is None),
    ):
        if size is None:
            continue
        if size == found.size_bytes:
            stance, text = Stance.FOR, f"{who} {size} bytes"
        else:
            stance = Stance.AGAINST if is_binding else Stance.SILENT
            text = f"{who} {size} bytes, the file has {found.size_bytes}"
        yield Statement(kind=StatementKind.SIZE, stance=stance, text=text)


def _structure(name: str, found: Found) -> Statement | None:
    """Look into a zip: its directory, or with `is_deep` every checksum."""
    if not name.lower().endswith(".zip"):
        return None
    if found.is_deep:
        fault, text = zip_fault(found.path), "a whole zip archive, every checksum right"
    else:
        fault, text = _directory_fault(found.path), "a zip archive with a whole directory"
    return Statement(
        kind=StatementKind.STRUCTURE,
        stance=Stance.AGAINST if fault else Stance.FOR,
        text=fault or text,
    )


def _directory_fault(path: Path) -> str:
    try:
        with zipfile.ZipFile(path):
            return ""
    except (zipfile.BadZipFile, ValueError) as error:
        return f"not a whole zip archive ({error})"


def _of_another_hash(wanted: Wanted, found: Found) -> Judgement:
    payload = wanted.payload
    verdict = judge(
        payload,
        found.path,
        sha256=found.sha256,
        size_bytes=found.size_bytes,
        announced_bytes=found.announced_bytes,
        earlier_downloads=found.earlier_downloads,
        known=other_payloads(wanted.known, payload),
    )
    statement = Statement(
        kind=StatementKind.PUBLISHED_HASH,
        stance=Stance.AGAINST,
        text=f"its SHA-256 is {found.sha256}, not {wanted.must_be}",
    )
    return Judgement(
        verdict=_CULPRITS[verdict.culprit],
        reasons=verdict.reasons or (statement.text,),
        statements=(statement,),
    )
