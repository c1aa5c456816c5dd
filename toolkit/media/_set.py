"""The documents of a set that are not TUF's or BagIt's: set.json, and writing.json / complete.json.

`data/plan/set.json` maps every target to its path; a file is found through it and never by joining a
target name to a path. It is itself a signed target, so it cannot be exchanged. `writing.json` records what
a set being written is meant to become; renamed to `complete.json` it says that everything was written and
read back. Neither is signed and neither is believed: they only tell unfinished from finished.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from toolkit.errors import InputError, StorageError, misread
from toolkit.filesystem import read_regular
from toolkit.media._device import BLOCK_BYTES, BlockHash, on_storage, require_regular
from toolkit.media._encryption import SCHEME
from toolkit.media._keys import as_instant, read_instant
from toolkit.media._names import (
    SUPPLEMENT,
    check_file_name,
    check_set_name,
    check_together,
    is_litter,
    medium_label,
)
from toolkit.model import Sha256

FORMAT = 2
ENCRYPTED_FORMAT = 3
"""Of an encrypted set, so that a ferry which would take ciphertext for payloads refuses it."""
SET_TARGET = "plan/set.json"
SET_PATH = "data/plan/set.json"
WRITING = "writing.json"
COMPLETE = "complete.json"
REPAIRED = "repaired.json"
"""In a folder of repaired files: what they were repaired for. Not believed either."""
BAG_DECLARATION = "bagit.txt"
TUF = "tuf"
PAYLOAD = "payload/"
"""Prefix of the target names of vendor files; below `data/` it is also their folder."""
SBE_SHELF = "sbe/"
"""Beginning of the catalog shelves that hold the files of one SBE."""

_256_BITS = re.compile(r"[0-9a-f]{64}\Z")
_SIZE_LIMIT_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPiece:
    """One file below `data/`: a whole target, or a segment of one."""

    path: str
    """POSIX path relative to the set folder."""
    medium: int
    """Number of the medium that carries it, from 1."""
    offset: int
    """Where in the target its first byte belongs."""
    size_bytes: int
    sha256: Sha256

    def blocks_of(self, target: Sequence[BlockHash]) -> tuple[BlockHash, ...]:
        """Return the hashes of its blocks, of those of its target; none, if they are not known of each."""
        first, count = self.offset // BLOCK_BYTES, -(-self.size_bytes // BLOCK_BYTES)
        blocks = tuple(target[first : first + count])
        return blocks if len(blocks) == count else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFile:
    """Where one target lies."""

    target: str
    size_bytes: int
    sha256: Sha256
    pieces: tuple[SetPiece, ...]
    """In order; together they are the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetEncryption:
    """Who can decrypt a set."""

    recipients: tuple[str, ...]
    """In the age format, `age1…`, sorted."""
    wrapped_key: str
    """The set's key, encrypted for them: an armored age file."""

    @property
    def addressees(self) -> str:
        """Say of how many one has to be, and who they are: `one of 2 recipients: age1…, age1…`."""
        count = len(self.recipients)
        text = "1 recipient" if count == 1 else f"one of {count} recipients"
        return f"{text}: {', '.join(self.recipients)}"

    def to_row(self) -> dict[str, object]:
        """Return it as it stands in JSON."""
        return {
            "scheme": SCHEME,
            "recipients": list(self.recipients),
            "wrapped_key": self.wrapped_key,
        }

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> SetEncryption:
        """Read what `to_row` returned.

        Raises:
            ValueError: A scheme that is not known here.
            KeyError: Something is missing.
        """
        if row["scheme"] != SCHEME:
            raise ValueError(f"encrypted by a scheme that is not known here: {row['scheme']}")
        return cls(recipients=_texts(row["recipients"]), wrapped_key=str(row["wrapped_key"]))


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
    encryption: SetEncryption | None = None
    """None: the payloads lie there as they are."""

    def label(self, number: int) -> str:
        """Return what is printed on one medium: `AZL-2611-K7Q2 2/3`."""
        return medium_label(self.set_name, number, self.media_count)

    def on_medium(
        self, number: int, supplement: Collection[str] = ()
    ) -> tuple[tuple[SetFile, SetPiece], ...]:
        """Return what one medium carries, each piece with its target.

        Args:
            number: The medium.
            supplement: Paths of the pieces, where it is a supplement.
        """
        return tuple(
            (file, piece)
            for file in self.files
            for piece in file.pieces
            if (piece.path in supplement if number == SUPPLEMENT else piece.medium == number)
        )

    def to_bytes(self) -> bytes:
        """Return set.json; equal plans give equal bytes."""
        return _dump(
            {
                "format": FORMAT if self.encryption is None else ENCRYPTED_FORMAT,
                "kind": "ferry-set",
                "set_id": self.set_id,
                "set_name": self.set_name,
                "issued_at": as_instant(self.issued_at),
                "expires_at": as_instant(self.expires_at),
                "media_count": self.media_count,
                "files": [
                    {
                        "target": file.target,
                        "size_bytes": file.size_bytes,
                        "sha256": file.sha256,
                        "pieces": [
                            {
                                "path": piece.path,
                                "medium": piece.medium,
                                "size_bytes": piece.size_bytes,
                                "sha256": piece.sha256,
                            }
                            for piece in file.pieces
                        ],
                    }
                    for file in self.files
                ],
                "roots": list(self.roots),
                **({} if self.encryption is None else {"encryption": self.encryption.to_row()}),
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
                files=tuple(map(_read_file, document["files"])),
                roots=tuple(map(read_digest, document["roots"])),
                encryption=SetEncryption.from_row(document["encryption"])
                if document["format"] == ENCRYPTED_FORMAT
                else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            refused = _not_understood(file, error)
            refused.hint = "a newer ferry may have written it; use that one"
            raise refused from error
        check_set_name(plan.set_name)
        check_together(plan.set_name, (piece.path for item in plan.files for piece in item.pieces))
        check_together(plan.set_name, (item.target for item in plan.files))
        for item in plan.files:
            for piece in item.pieces:
                if not piece.path.startswith("data/"):
                    raise InputError("read the set", file=file, found=piece.path, expected="data/…")
                if not 1 <= piece.medium <= plan.media_count:
                    raise InputError(
                        "read the set",
                        file=file,
                        found=f"{piece.path} on medium {piece.medium} of {plan.media_count}",
                    )
        return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What writing.json remembers of a file that was written to its end. It is not believed."""

    sha256: Sha256
    blocks: tuple[BlockHash, ...]
    """As they are signed; none before they were read back."""
    parity: Mapping[str, Sha256]
    """The files of its parity by name; empty: it has none so far."""


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
    """Name, size and hash of every payload of the set, in order of names."""
    medium: int = 1
    media_count: int = 1
    recipients: tuple[str, ...] = ()
    """Whom it is encrypted for; none: it is not encrypted."""
    supplement: tuple[str, ...] = ()
    """Paths of the pieces that it carries, where it is a supplement (`medium` is 0 then)."""

    @property
    def purpose(self) -> tuple[object, ...]:
        """What is equal where an unfinished set is the one that is wanted."""
        return self.payloads, self.root, self.recipients, self.supplement

    @property
    def label(self) -> str:
        """What is printed on it: `AZL-2611-K7Q2 2/3`."""
        return medium_label(self.set_name, self.medium, self.media_count)

    def plan_of(
        self, files: Iterable[SetFile], *, roots: Sequence[bytes], encryption: SetEncryption | None
    ) -> SetPlan:
        """Return the plan of the set, once it is known how everything lies on its media.

        Args:
            files: What it carries, in any order.
            roots: `1.root.json`, `2.root.json`, …
            encryption: Of an encrypted set.
        """
        return SetPlan(
            set_id=self.set_id,
            set_name=self.set_name,
            files=tuple(sorted(files, key=lambda file: file.target)),
            issued_at=self.issued_at,
            expires_at=self.expires_at,
            media_count=self.media_count,
            roots=tuple(Sha256(hashlib.sha256(data).hexdigest()) for data in roots),
            encryption=encryption,
        )

    def to_bytes(self, **completion: object) -> bytes:
        """Return the document; `completion` holds what only complete.json says."""
        return _dump(
            {
                "format": ENCRYPTED_FORMAT if self.recipients else FORMAT,
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
                "medium": self.medium,
                "media_count": self.media_count,
                **({"recipients": list(self.recipients)} if self.recipients else {}),
                **({"supplement": list(self.supplement)} if self.supplement else {}),
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
            supplement = _texts(document.get("supplement", []))
            if (document["medium"] == SUPPLEMENT) != bool(supplement):
                raise ValueError("a supplement is medium 0 and names its pieces")  # noqa: TRY301
            return cls(
                set_id=str(document["set_id"]),
                set_name=str(document["set_name"]),
                issued_at=read_instant(document["issued_at"]),
                expires_at=read_instant(document["expires_at"]),
                root=str(document["root"]),
                payloads=tuple(
                    (str(row["name"]), _count(row["size_bytes"]), read_digest(row["sha256"]))
                    for row in document["payloads"]
                ),
                medium=_count(document["medium"]),
                media_count=_count(document["media_count"]),
                recipients=_texts(document["recipients"])
                if document["format"] == ENCRYPTED_FORMAT
                else (),
                supplement=supplement,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _not_understood(file, error) from error


def as_rows(noted: Mapping[str, Noted]) -> list[dict[str, object]]:
    """Return what was written so far, by path, as writing.json holds it."""
    return [
        {"path": path, "sha256": note.sha256, "blake3": note.blocks, "parity": note.parity}
        for path, note in noted.items()
    ]


def read_noted(data: bytes) -> dict[str, Noted]:
    """Return what writing.json says was written so far, by path; nothing where that cannot be understood."""
    try:
        return {
            str(row["path"]): Noted(
                sha256=read_digest(row["sha256"]),
                blocks=(),  # those of what is read back count
                parity={_name(name): read_digest(digest) for name, digest in row["parity"].items()},
            )
            for row in json.loads(data)["noted"]
        }
    except (KeyError, TypeError, ValueError, AttributeError, InputError, RecursionError):
        return {}  # what stands there is hashed then


def is_signed_before(data: bytes) -> bool:
    """Whether writing.json says that the metadata of its set were signed before it was begun."""
    try:
        return json.loads(data)["signed"] is True
    except (KeyError, TypeError, ValueError, RecursionError):
        return False


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


def root_of_medium(place: Path) -> Path:
    """Return the root of a medium, resolved, also where one set folder on it is named.

    Raises:
        StorageError: It cannot be looked at.
    """
    with on_storage(f"look for a set on {place}"):
        whole = place.resolve()  # the parent of `.` is `.`
        return whole.parent if _is_set_folder(whole) else whole


def find_set_folder(root: Path) -> Path:
    """Return the only set folder of a medium.

    Raises:
        StorageError: The medium is missing, unreadable or holds no set, or repaired files of one alone.
        InputError: Several sets: one of them has to be named.
    """
    folder = find_place(root)
    with on_storage(f"look for a set on {root}"):
        is_beside = is_beside_media(folder)
    if is_beside:
        raise StorageError(
            f"look for a set on {root}",
            found=f"files that were repaired for {folder.name}, and no medium",
            expected="a medium of the set",
            hint="name the medium; only `ferry cluster import`, `media extract` and `media request` take this folder, "
            "too, beside it",
        )
    return folder


def find_place(root: Path) -> Path:
    """Return the only set folder of a medium, or the only folder of repaired files.

    Raises:
        StorageError: It is missing, unreadable or holds neither.
        InputError: Several: one of them has to be named.
    """
    folders = find_set_folders(root)
    if not folders:
        raise StorageError(
            f"look for a set on {root}",
            found="none",
            expected="a folder such as AZL-2611-K7Q2 with bagit.txt and tuf/ in it",
            hint="check the path, and whether the medium is plugged in; give its root or the set folder itself",
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


def is_beside_media(folder: Path) -> bool:
    """Whether a folder holds repaired files of a set and is no medium.

    Raises:
        OSError: It cannot be looked into.
    """
    return (folder / REPAIRED).is_file() and not _has_mark(folder)


def find_set_above(folder: Path) -> Path | None:
    """Return the set folder that a folder is or lies in; None: neither. One of repaired files is none.

    Args:
        folder: Need not be there yet.

    Raises:
        OSError: A folder above it cannot be looked into.
    """
    # not by tuf/, which any folder above may have
    whole = folder.resolve()
    return next((above for above in (whole, *whole.parents) if _has_mark(above)), None)


def read_small(path: Path, *, limit_bytes: int = _SIZE_LIMIT_BYTES) -> bytes:
    """Return a small file of a medium whole: no link is followed, and its size is bounded.

    Raises:
        OSError: It cannot be read; `NotRegularError` when it is no plain file.
        InputError: It is larger than any file of this kind.
    """
    require_regular(path)
    return read_regular(path, limit_bytes=limit_bytes)


def read_digest(text: object) -> Sha256:
    """Return a SHA-256 as a document gives it.

    Raises:
        ValueError: It is none.
    """
    return Sha256(_read_hash(text, "a SHA-256"))


def read_block_hash(text: object) -> BlockHash:
    """Return the hash of a block as a document gives it.

    Raises:
        ValueError: It is none.
    """
    return BlockHash(_read_hash(text, "the BLAKE3 of a block"))


def _read_hash(text: object, what: str) -> str:
    if not isinstance(text, str) or not _256_BITS.match(text):
        raise ValueError(f"{text!r} is not {what}")
    return text


def _is_set_folder(folder: Path) -> bool:
    return (folder / TUF).is_dir() or _has_mark(folder) or (folder / REPAIRED).is_file()


def _has_mark(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in (BAG_DECLARATION, WRITING, COMPLETE))


def _dump(document: Mapping[str, object]) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _load(data: bytes, *, kind: str, file: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
        if document["kind"] != kind or document["format"] not in (FORMAT, ENCRYPTED_FORMAT):
            raise InputError(
                "read",
                file=file,
                found=f"{document['kind']} format {document['format']}",
                expected=f"{kind} format {FORMAT} or {ENCRYPTED_FORMAT}",
                hint="a newer ferry may have written it; use that one",
            )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _not_understood(file, error) from error
    result: dict[str, Any] = document
    return result


def _read_file(row: dict[str, Any]) -> SetFile:
    """Read one target with its pieces; cuts fall on block borders, so that each piece is proven alone."""
    size, digest = _count(row["size_bytes"]), read_digest(row["sha256"])
    pieces: list[SetPiece] = []
    offset = 0
    for item in row["pieces"]:
        if offset % BLOCK_BYTES:
            raise ValueError(f"a segment of {row['target']} ends inside a block")
        piece = SetPiece(
            path=str(item["path"]),
            medium=_count(item["medium"]),
            offset=offset,
            size_bytes=_count(item["size_bytes"]),
            sha256=read_digest(item["sha256"]),
        )
        pieces.append(piece)
        offset += piece.size_bytes
    if offset != size or not pieces or (len(pieces) == 1 and pieces[0].sha256 != digest):
        raise ValueError(f"the pieces of {row['target']} are not the whole of it")
    return SetFile(target=str(row["target"]), size_bytes=size, sha256=digest, pieces=tuple(pieces))


def _not_understood(file: str, error: Exception) -> InputError:
    return InputError("read", file=file, found=misread(error))


def _name(text: str) -> str:
    check_file_name(text)
    return text


def _texts(rows: object) -> tuple[str, ...]:
    if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
        raise TypeError
    return tuple(rows)


def _count(number: object) -> int:
    if not isinstance(number, int) or number < 0:
        raise ValueError(f"{number!r} is not a size")
    return number
