"""The documents of a set that are not TUF's or BagIt's: set.json, and writing.json / complete.json.

`data/plan/set.json` maps every target to its path; a file is found through it and never by joining a
target name to a path. It is itself a signed target, so it cannot be exchanged. `writing.json` records what
a set being written is meant to become; renamed to `complete.json` it says that everything was written and
read back. Neither is signed and neither is believed: they only tell unfinished from finished.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from toolkit.errors import InputError, StorageError, misread
from toolkit.media._device import on_storage, require_regular
from toolkit.media._keys import as_instant, read_instant
from toolkit.media._names import check_set_name, check_together, is_litter
from toolkit.model import Sha256

FORMAT = 1
SET_TARGET = "plan/set.json"
SET_PATH = "data/plan/set.json"
WRITING = "writing.json"
COMPLETE = "complete.json"
BAG_DECLARATION = "bagit.txt"
TUF = "tuf"
PAYLOAD = "payload/"
"""Prefix of the target names of vendor files; below `data/` it is also their folder."""
SBE_SHELF = "sbe/"
"""Beginning of the catalog shelves that hold the files of one SBE."""

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_SIZE_LIMIT_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFile:
    """Where one target lies."""

    target: str
    path: str
    """POSIX path relative to the set folder."""
    size_bytes: int
    sha256: Sha256
    medium: int = 1
    """Number of the medium that carries it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPlan:
    """What one set consists of (set.json)."""

    set_id: str
    set_name: str
    issued_at: datetime
    expires_at: datetime
    media_count: int
    files: tuple[SetFile, ...]
    roots: tuple[Sha256, ...]
    """SHA-256 of `1.root.json`, `2.root.json`, …"""

    def to_bytes(self) -> bytes:
        """Return set.json; equal plans give equal bytes."""
        return _dump(
            {
                "format": FORMAT,
                "kind": "ferry-set",
                "set_id": self.set_id,
                "set_name": self.set_name,
                "issued_at": as_instant(self.issued_at),
                "expires_at": as_instant(self.expires_at),
                "media_count": self.media_count,
                "files": [
                    {
                        "target": file.target,
                        "path": file.path,
                        "size_bytes": file.size_bytes,
                        "sha256": file.sha256,
                        "medium": file.medium,
                    }
                    for file in self.files
                ],
                "roots": list(self.roots),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, *, file: str) -> SetPlan:
        """Read set.json.

        Raises:
            InputError: Not a set.json this version understands, or names that may not stand there.
        """
        document = _load(data, kind="ferry-set", file=file)
        try:
            plan = cls(
                set_id=str(document["set_id"]),
                set_name=str(document["set_name"]),
                issued_at=read_instant(document["issued_at"]),
                expires_at=read_instant(document["expires_at"]),
                media_count=int(document["media_count"]),
                files=tuple(
                    SetFile(
                        target=str(row["target"]),
                        path=str(row["path"]),
                        size_bytes=_count(row["size_bytes"]),
                        sha256=_digest(row["sha256"]),
                        medium=int(row["medium"]),
                    )
                    for row in document["files"]
                ),
                roots=tuple(map(_digest, document["roots"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _not_understood(file, error) from error
        check_set_name(plan.set_name)
        check_together(plan.set_name, (item.path for item in plan.files))
        check_together(plan.set_name, (item.target for item in plan.files))
        for item in plan.files:
            if not item.path.startswith("data/"):
                raise InputError("read the set", file=file, found=item.path, expected="data/…")
        return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a set being written is meant to become (writing.json, later complete.json)."""

    set_id: str
    set_name: str
    issued_at: datetime
    expires_at: datetime
    root: str
    """Fingerprint of the newest root that signs it."""
    payloads: tuple[tuple[str, int, Sha256], ...]
    """Name, size and hash of every payload, in order of names."""

    def to_bytes(self, **completion: object) -> bytes:
        """Return the document; `completion` holds what only complete.json says."""
        return _dump(
            {
                "format": FORMAT,
                "kind": "ferry-set-state",
                "set_id": self.set_id,
                "set_name": self.set_name,
                "issued_at": as_instant(self.issued_at),
                "expires_at": as_instant(self.expires_at),
                "root": self.root,
                "payloads": [
                    {"name": name, "size_bytes": size, "sha256": digest}
                    for name, size, digest in self.payloads
                ],
                **completion,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, *, file: str) -> Intent:
        """Read writing.json or complete.json.

        Raises:
            InputError: Not such a document.
        """
        document = _load(data, kind="ferry-set-state", file=file)
        try:
            return cls(
                set_id=str(document["set_id"]),
                set_name=str(document["set_name"]),
                issued_at=read_instant(document["issued_at"]),
                expires_at=read_instant(document["expires_at"]),
                root=str(document["root"]),
                payloads=tuple(
                    (str(row["name"]), _count(row["size_bytes"]), _digest(row["sha256"]))
                    for row in document["payloads"]
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _not_understood(file, error) from error


def read_back_method(data: bytes) -> str:
    """Return how the writer read the set back, from complete.json; empty where it does not say."""
    try:
        return str(json.loads(data)["read_back"]["method"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def find_set_folders(root: Path) -> tuple[Path, ...]:
    """Return the set folders of a medium; `root` may also be one itself.

    Raises:
        StorageError: The medium is missing or cannot be read.
    """
    with on_storage(f"look for a set on {root}"):
        if _is_set_folder(root):
            return (root,)
        # some litter ("System Volume Information") may not be looked into
        inside = (item for item in root.iterdir() if item.is_dir() and not is_litter(item.name))
        return tuple(sorted(item for item in inside if _is_set_folder(item)))


def find_set_folder(root: Path) -> Path:
    """Return the only set folder of a medium.

    Raises:
        StorageError: The medium is missing, unreadable or holds no set.
        InputError: Several sets: one of them has to be named.
    """
    folders = find_set_folders(root)
    if not folders:
        raise StorageError(
            f"look for a set on {root}",
            found="none",
            expected="a folder such as AZL-2611-K7Q2 with bagit.txt and tuf/ in it",
            hint="check the path: give the medium's root or the set folder itself",
        )
    if len(folders) > 1:
        raise InputError(
            "choose a set",
            file=str(root),
            found=", ".join(folder.name for folder in folders),
            expected="one",
            hint=f"name the folder: {folders[-1]}",
        )
    return folders[0]


def read_small(path: Path, *, limit_bytes: int = _SIZE_LIMIT_BYTES) -> bytes:
    """Return a small file whole; its size is bounded.

    Raises:
        OSError: It cannot be read; `NotRegularError` when it is no plain file.
        InputError: It is larger than any file of this kind.
    """
    require_regular(path)
    with path.open("rb") as reading:
        data = reading.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise InputError(
            "read",
            file=str(path),
            found="a large file",
            expected=f"{limit_bytes} bytes at most",
        )
    return data


def _is_set_folder(folder: Path) -> bool:
    marks = (BAG_DECLARATION, WRITING, COMPLETE)
    return (folder / TUF).is_dir() or any((folder / mark).is_file() for mark in marks)


def _dump(document: Mapping[str, object]) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _load(data: bytes, *, kind: str, file: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
        if document["kind"] != kind or document["format"] != FORMAT:
            raise InputError(
                "read",
                file=file,
                found=f"{document['kind']} format {document['format']}",
                expected=f"{kind} format {FORMAT}",
                hint="a newer ferry may have written it; use that one",
            )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _not_understood(file, error) from error
    result: dict[str, Any] = document
    return result


def _not_understood(file: str, error: Exception) -> InputError:
    return InputError("read", file=file, found=misread(error))


def _digest(text: object) -> Sha256:
    if not isinstance(text, str) or not _SHA256.match(text):
        raise ValueError(f"{text!r} is not a SHA-256")
    return Sha256(text)


def _count(number: object) -> int:
    if not isinstance(number, int) or number < 0:
        raise ValueError(f"{number!r} is not a size")
    return number
