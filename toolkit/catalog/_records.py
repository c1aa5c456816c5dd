"""`<name>.held.json`: what was measured of a payload, how it was judged, and who answers for it.

Format 2. A record of format 1 belongs to an earlier ferry, whose file stands beside it: it counts as not
held until the next download has proven the file once more. The text is pure; two functions read and write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from toolkit.catalog._manifest import sha256
from toolkit.catalog._shelf import Shelf
from toolkit.catalog._storage import read_at_most, storage
from toolkit.errors import InputError, misread
from toolkit.filesystem import write_beside
from toolkit.model import (
    Acceptance,
    FileVerdict,
    HeldPayload,
    Judgement,
    PayloadKind,
    Stance,
    Statement,
    StatementKind,
    Witness,
)
from toolkit.names import payload_name

FORMAT = 2
ENDING = ".held.json"
_EARLIER_FORMAT = 1
_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What `<name>.held.json` says."""

    held: HeldPayload
    modified_ns: int
    """The object's time when it was measured; another time means: measure again."""
    verified_at: datetime
    siblings: tuple[str, ...]
    """Names of all payloads of the update or SBE, this one among them."""

    def is_untouched(self, path: Path) -> bool:
        """Whether a file has the size and time that its bytes had when they were measured."""
        try:
            facts = path.stat()
        except OSError:
            return False
        return (facts.st_size, facts.st_mtime_ns) == (self.held.size_bytes, self.modified_ns)


def record_path(folder: Path, name: str) -> Path:
    """Return where the record of a payload stands."""
    return folder / (name + ENDING)


def write_record(path: Path, record: Record) -> None:
    """Write a record so that it is there whole or not at all. Only while the catalog is locked.

    Raises:
        StorageError: It cannot be written; the one before is still there.
    """
    with storage(f"write {path}"):
        text = json.dumps(_as_plain(record), indent=1, ensure_ascii=False)
        write_beside(path, text.encode(), is_locked=True)


def read_record(path: Path, objects: Path) -> Record | None:
    """Read a record; None if it belongs to an earlier ferry.

    Args:
        path: The record.
        objects: The folder with the bytes of all payloads.

    Raises:
        StorageError: It cannot be read.
        InputError: It cannot be understood.
    """
    data = read_at_most(path, _LIMIT_BYTES)
    try:
        if len(data) > _LIMIT_BYTES:
            raise ValueError(f"more than {_LIMIT_BYTES} bytes")  # noqa: TRY301
        values: dict[str, Any] = json.loads(data)
        if values["format"] == _EARLIER_FORMAT:
            return None
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']!r}, not {FORMAT}")  # noqa: TRY301
        record = _from_plain(values, objects)
        _check_place(path, record.held)
        return record  # noqa: TRY300 - the check above is part of reading
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            "read catalog record",
            file=str(path),
            found=misread(error),
            hint="delete this record; `ferry catalog download` proves the file and writes it anew",
        ) from error


def _check_place(path: Path, held: HeldPayload) -> None:
    """Refuse a record that was copied to another shelf or name; file systems may change case."""
    place = (*held.shelf.split("/"), held.name + ENDING)
    if "/".join(path.parts[-len(place) :]).casefold() != "/".join(place).casefold():
        raise ValueError(f"the record of {held.shelf}/{held.name}")


def object_path(objects: Path, digest: str) -> Path:
    """Return where the bytes with this SHA-256 stand."""
    return objects / digest[:2] / digest


def statement_as_plain(statement: Statement) -> dict[str, Any]:
    """Return a statement as JSON holds it."""
    seen_on = statement.seen_on
    return {
        "kind": statement.kind.value,
        "stance": statement.stance.value,
        "text": statement.text,
        "source": statement.source,
        "seen_on": seen_on.isoformat() if seen_on else None,
    }


def _as_plain(record: Record) -> dict[str, Any]:
    held = record.held
    shelf, accepted = Shelf.parse(held.shelf), held.acceptance
    return {
        "format": FORMAT,
        "shelf": held.shelf,
        "version": str(held.version) if held.version else None,
        "sbe": {
            "publisher": shelf.publisher,
            "family": shelf.family,
            "version": str(shelf.sbe_version),
        }
        if shelf.sbe_version
        else None,
        "name": held.name,
        "kind": held.kind.value,
        "url": held.url,
        "size_bytes": held.size_bytes,
        "sha256": held.sha256,
        "modified_ns": record.modified_ns,
        "verified_at": record.verified_at.isoformat(timespec="seconds"),
        "judgement": {
            "verdict": held.judgement.verdict.value,
            "reasons": list(held.judgement.reasons),
            "statements": [statement_as_plain(said) for said in held.judgement.statements],
        },
        "acceptance": {
            "by": accepted.by,
            "reason": accepted.reason,
            "at": accepted.at.isoformat(timespec="seconds"),
        }
        if accepted
        else None,
        "siblings": list(record.siblings),
        "witnesses": [
            {
                "value": witness.value,
                "source": witness.source,
                "seen_on": witness.seen_on.isoformat(),
                "comment": witness.comment,
            }
            for witness in held.witnesses
        ],
    }


def _from_plain(values: Mapping[str, Any], objects: Path) -> Record:
    shelf, digest = Shelf.parse(values["shelf"]), sha256(values["sha256"])
    held = HeldPayload(
        version=shelf.version,
        shelf=str(shelf),
        name=payload_name(values["name"]),
        kind=PayloadKind(values["kind"]),
        url=str(values["url"]),
        path=object_path(objects, digest),
        size_bytes=int(values["size_bytes"]),
        sha256=digest,
        witnesses=tuple(_witness(item) for item in values["witnesses"]),
        judgement=_judgement(values["judgement"]),
        acceptance=_acceptance(values["acceptance"]) if values["acceptance"] else None,
    )
    return Record(
        held=held,
        modified_ns=int(values["modified_ns"]),
        verified_at=datetime.fromisoformat(values["verified_at"]),
        siblings=tuple(map(str, values["siblings"])),
    )


def _judgement(values: Mapping[str, Any]) -> Judgement:
    return Judgement(
        verdict=FileVerdict(values["verdict"]),
        reasons=tuple(map(str, values["reasons"])),
        statements=tuple(statement_from_plain(item) for item in values["statements"]),
    )


def statement_from_plain(values: Mapping[str, Any]) -> Statement:
    """Return what `statement_as_plain` wrote.

    Raises:
        ValueError: Not a statement (or KeyError, TypeError).
    """
    seen_on = values["seen_on"]
    return Statement(
        kind=StatementKind(values["kind"]),
        stance=Stance(values["stance"]),
        text=str(values["text"]),
        source=str(values["source"]),
        seen_on=date.fromisoformat(seen_on) if seen_on else None,
    )


def _acceptance(values: Mapping[str, Any]) -> Acceptance:
    return Acceptance(
        by=str(values["by"]),
        reason=str(values["reason"]),
        at=datetime.fromisoformat(values["at"]),
    )


def _witness(values: Mapping[str, Any]) -> Witness:
    return Witness(
        value=str(values["value"]),
        source=str(values["source"]),
        seen_on=date.fromisoformat(values["seen_on"]),
        comment=str(values["comment"]),
    )
