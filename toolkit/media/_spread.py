"""A set that is cut, or spread over several media: measured and signed at home before the first byte is written.

Every medium of a set carries the same signed metadata, so all hashes must be known before the first medium is
complete. The set is kept at home until then, in a folder of its own: any medium can be written or resumed
later, in any order, and a lost one written again with the same bytes.

::

    <book>/<set name>/set.json, tuf/…   as on every medium
                      spread.json       what it was made for, and which media are complete

The folder appears by one rename, after everything in it is flushed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from toolkit.errors import DigestError, InputError, misread
from toolkit.filesystem import sync_folder
from toolkit.media._device import (
    BlockHash,
    Readable,
    ReadMethod,
    StreamDigest,
    gone_on_error,
    on_storage,
    read_ahead,
    write_durably,
)
from toolkit.media._encryption import Encrypting
from toolkit.media._keys import SigningKeys
from toolkit.media._layout import Layout, MediumSize, Part
from toolkit.media._lock import alone_in_book
from toolkit.media._set import TUF, Intent, SetFile, SetPiece, SetPlan, read_small
from toolkit.media._set_key import SetKey, new_key, store_key
from toolkit.media._sign import PlacedPayload, read_blocks, sign_set
from toolkit.model import HeldPayload, Progress, Sha256, TargetName

_SET = "set.json"
_STATE = "spread.json"
_CHANGED = (
    "the catalog's file changed since it was downloaded: set it aside with "
    "`ferry catalog verify --quarantine`, then download it again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What was signed of a set: enough to write any of it again, without a key."""

    plan: SetPlan
    metadata: Mapping[str, bytes]
    """Name in `tuf/` → bytes."""

    @property
    def roots(self) -> tuple[bytes, ...]:
        """The whole root chain, version 1 first."""
        return tuple(
            self.metadata[f"{number}.root.json"] for number in range(1, len(self.plan.roots) + 1)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One set as home keeps it while its media are written."""

    folder: Path
    intent: Intent
    """Of the set; each medium has it with its own number."""
    sizes: tuple[MediumSize, ...]
    """What the media were said to hold."""
    done: frozenset[int]
    """Numbers of the media that were completed."""
    plan: SetPlan
    metadata: Mapping[str, bytes]
    """Name in `tuf/` → bytes."""

    def mark_done(self, number: int) -> Spread:
        """Remember that a medium was completed; what another process remembered meanwhile is kept."""
        with alone_in_book(self.folder.parent, attempted=f"note medium {number} as written"):
            done = read_spread(self.folder).done | {number}
            write_durably(self.folder / _STATE, _state(self.intent, self.sizes, done))
        return replace(self, done=done)

    @property
    def open_numbers(self) -> tuple[int, ...]:
        """The media that are not complete yet."""
        return tuple(
            number for number in range(1, self.plan.media_count + 1) if number not in self.done
        )


def parts_of(
    plan: SetPlan, intent: Intent, payloads: Mapping[TargetName, HeldPayload]
) -> tuple[Part, ...]:
    """Return what lies where on a medium, as it was signed: another ferry might lay it out otherwise today."""
    return tuple(
        Part(
            held=payloads[TargetName(file.target)],
            target=TargetName(file.target),
            path=piece.path,
            medium=intent.medium,
            offset=piece.offset,
            size_bytes=piece.size_bytes,
        )
        for file, piece in plan.on_medium(intent.medium, intent.supplement)
    )


def blocks_of(signed: Signed | Spread) -> dict[str, tuple[BlockHash, ...]]:
    """Return the signed hashes of the blocks of every piece, by path.

    Raises:
        InputError: What was signed cannot be understood.
    """
    of_targets = (data for name, data in signed.metadata.items() if name.endswith(".targets.json"))
    blocks = read_blocks(next(of_targets, b""))
    return {
        piece.path: piece.blocks_of(blocks.get(file.target, ()))
        for file in signed.plan.files
        for piece in file.pieces
    }


def read_metadata(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Return files of a set folder's `tuf/`, by name.

    Raises:
        OSError: It cannot be read.
        InputError: A file is larger than any of its kind.
    """
    return {name: read_small(folder / TUF / name) for name in names}


def find_spread(
    book: Path, intent: Intent, sizes: Sequence[MediumSize], *, set_name: str | None, now: datetime
) -> Spread | None:
    """Return the set of these payloads for these media, if one was begun and has not expired.

    One that lacks a medium goes before one that is finished.
    """
    found: list[Spread] = []
    if not book.is_dir():
        return None
    for folder in sorted(book.iterdir()):
        if (
            folder.suffix == ".part"
            or set_name not in (None, folder.name)
            or not (folder / _STATE).is_file()
        ):
            continue
        known = read_spread(folder)
        same = (known.intent.purpose, known.sizes)
        if same != (intent.purpose, tuple(sizes)) or known.intent.expires_at <= now:
            continue
        found.append(known)
    return max(found, key=lambda known: len(known.open_numbers), default=None)


def is_kept(book: Path, set_name: str, *, set_id: str) -> bool:
    """Whether home keeps this set as one that is cut or spread.

    Raises:
        InputError: What it keeps under that name cannot be understood.
        StorageError: It cannot be read.
    """
    return (book / set_name / _STATE).is_file() and (
        read_spread(book / set_name).intent.set_id == set_id
    )


def make_spread(
    book: Path,
    intent: Intent,
    layout: Layout,
    keys: SigningKeys,
    *,
    custody_key: str,
    progress: Progress,
) -> Spread:
    """Measure every payload once, sign the set, and keep it.

    Raises:
        DigestError: A file of the catalog is no longer what was held.
        OSError: A file cannot be read, or the book not written.
    """
    key = new_key(intent.set_id, intent.recipients) if intent.recipients else None
    placed: list[PlacedPayload] = []
    files: list[SetFile] = []
    for _, group in itertools.groupby(layout.parts, key=lambda part: part.target):
        of_one = tuple(group)
        payload, pieces = _measured(of_one, key, progress)
        placed.append(payload)
        files.append(
            SetFile(
                target=payload.target,
                size_bytes=payload.size_bytes,
                sha256=payload.sha256,
                pieces=pieces,
            )
        )
    plan = intent.plan_of(
        files, roots=keys.roots, encryption=key.encryption if key is not None else None
    )
    metadata = sign_set(
        keys,
        placed,
        plan.to_bytes(),
        issued_at=intent.issued_at,
        expires_at=intent.expires_at,
        custody_key=custody_key,
    )
    folder = book / intent.set_name
    draft = book / f"{intent.set_name}.part"
    shutil.rmtree(draft, ignore_errors=True)
    with gone_on_error(draft):
        (draft / TUF).mkdir(parents=True)
        for name, data in metadata.items():
            write_durably(draft / TUF / name, data)
        write_durably(draft / _SET, plan.to_bytes())
        write_durably(draft / _STATE, _state(intent, layout.media, ()))
        if key is not None:
            store_key(book, key)
        draft.rename(folder)
    sync_folder(book)
    return Spread(
        folder=folder,
        intent=intent,
        sizes=layout.media,
        done=frozenset(),
        plan=plan,
        metadata=metadata,
    )


def read_spread(folder: Path) -> Spread:
    """Return a set that home keeps.

    Raises:
        InputError: Its documents cannot be understood.
        StorageError: It cannot be read.
    """
    with on_storage(f"read the set kept in {folder}"):
        state = read_small(folder / _STATE)
        plan = SetPlan.from_bytes(read_small(folder / _SET), file=str(folder / _SET))
        metadata = {item.name: read_small(item) for item in (folder / TUF).iterdir()}
    try:
        document = json.loads(state)
        return Spread(
            folder=folder,
            intent=Intent.from_bytes(json.dumps(document["intent"]).encode(), file=_STATE),
            sizes=tuple(MediumSize(**row) for row in document["sizes"]),
            done=frozenset(map(int, document["done"])),
            plan=plan,
            metadata=metadata,
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            "read the set that home keeps",
            file=str(folder / _STATE),
            found=misread(error),
            hint="a newer ferry may have written it; else delete that folder: its media must then be "
            "written as a new set",
        ) from error


def changed_in_catalog(held: HeldPayload, *, size_bytes: int, sha256: Sha256) -> DigestError:
    """Return the error for a file that is no longer what the catalog holds."""
    return DigestError(
        f"write {held.name}",
        found=f"{size_bytes} bytes, sha256 {sha256} in {held.path}",
        expected=f"{held.size_bytes} bytes, sha256 {held.sha256}",
        hint=_CHANGED,
    )


def changed_since_measured(part: Part, *, is_encrypted: bool) -> DigestError:
    """Return the error for a part that is no longer what was measured and signed; the rest was not read."""
    held, end = part.held, part.offset + part.size_bytes
    where = "" if is_encrypted or part.is_whole else f", in its bytes {part.offset} to {end - 1}"
    return DigestError(
        f"write {part.path} of {held.name}",
        found=f"{held.path} has changed since it was measured{where}",
        expected="the bytes for which the set is signed",
        hint=_CHANGED,
    )


def as_stored(
    held: HeldPayload, target: TargetName, key: SetKey | None
) -> Callable[[io.FileIO], Readable] | None:
    """Return what the file of a payload is read through to have it as media hold it; None: nothing."""
    if key is None:
        return None
    own = key.of_payload(target, size_bytes=held.size_bytes, sha256=held.sha256)

    def changed(size_bytes: int, sha256: Sha256) -> DigestError:
        return changed_in_catalog(held, size_bytes=size_bytes, sha256=sha256)

    return lambda file: Encrypting(file, own, changed=changed)


def _measured(
    parts: Sequence[Part], key: SetKey | None, progress: Progress
) -> tuple[PlacedPayload, tuple[SetPiece, ...]]:
    """Read a payload once for the hashes of the whole, of every block and of every piece."""
    held, target = parts[0].held, parts[0].target
    through = as_stored(held, target, key)
    digests = [hashlib.sha256() for _ in parts if len(parts) > 1]
    ends = [part.offset + part.size_bytes for part in parts]
    index = position = 0
    progress.begin(f"measure {held.name}", total_bytes=ends[-1])
    try:
        with (
            StreamDigest() as whole,
            contextlib.closing(read_ahead(held.path, through=through)) as chunks,
        ):
            for whole_chunk in chunks:
                whole.update(whole_chunk)
                progress.advance(len(whole_chunk))
                chunk = whole_chunk
                while len(chunk) and index < len(digests):
                    piece = chunk[: ends[index] - position]
                    digests[index].update(piece)
                    position += len(piece)
                    chunk = chunk[len(piece) :]
                    index += position == ends[index]
            found = whole.measured(ReadMethod.CACHED)
    finally:
        progress.end()
    if through is None and found.sha256 != held.sha256:
        raise changed_in_catalog(held, size_bytes=found.size_bytes, sha256=found.sha256)
    found_of = [Sha256(digest.hexdigest()) for digest in digests] or [found.sha256]
    pieces = tuple(
        SetPiece(
            path=part.path,
            medium=part.medium,
            offset=part.offset,
            size_bytes=part.size_bytes,
            sha256=digest,
        )
        for part, digest in zip(parts, found_of, strict=True)
    )
    placed = PlacedPayload(
        held=held,
        target=target,
        size_bytes=found.size_bytes,
        sha256=found.sha256,
        blocks=found.blocks,
    )
    return placed, pieces


def _state(intent: Intent, sizes: Iterable[MediumSize], done: Iterable[int]) -> bytes:
    document = {
        "intent": json.loads(intent.to_bytes()),
        "sizes": [asdict(size) for size in sizes],
        "done": sorted(done),
    }
    return (json.dumps(document, indent=1) + "\n").encode()
