"""What the plans in a catalog refer to: as much of `plans/<plan>.json` as keeping their files needs.

A plan says much more; here only its list `payloads` matters, each with `name`, `shelf` and `sha256` (null
where nobody knows it yet). What cannot be understood, is of a newer
format or was changed is refused: it might refer to anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toolkit.catalog._manifest import sha256
from toolkit.catalog._plan_file import LIMIT_BYTES, read_document
from toolkit.catalog._storage import read_at_most, storage
from toolkit.errors import InputError, misread
from toolkit.model import Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPayload:
    """One file that a plan needs."""

    plan: str
    """The plan's file name without its ending."""
    shelf: str
    name: str
    sha256: Sha256 | None


def plan_files(folder: Path) -> tuple[Path, ...]:
    """Return the plans in a folder.

    Raises:
        StorageError: It cannot be read.
    """
    with storage(f"read plans in {folder}"):
        return tuple(sorted(folder.glob("*.json")))


def read_plan(path: Path) -> tuple[PlannedPayload, ...]:
    """Return what one plan needs.

    Raises:
        InputError: It cannot be understood, or was changed after it was made.
        StorageError: It cannot be read.
    """
    document = read_document(read_at_most(path, LIMIT_BYTES), file=str(path))
    try:
        return tuple(
            PlannedPayload(
                plan=path.stem,
                shelf=_text(row["shelf"]),
                name=_text(row["name"]),
                sha256=None if row["sha256"] is None else sha256(_text(row["sha256"])),
            )
            for row in document["payloads"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "read what a plan refers to",
            file=str(path),
            found=misread(error),
            expected="a list `payloads` with shelf, name and sha256",
            hint="plan the trip again, or delete this plan if nobody needs it",
        ) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
