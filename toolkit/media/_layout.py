"""Which part of which payload lies on which medium of a set: arithmetic, done before the first byte.

A payload stands whole, under the vendor's name, wherever it fits a medium and its file system, so that the
vendor's own procedure stays possible. Only where it fits nowhere is it cut into numbered segments. A cut falls
on the border of a signed block, and no segment is larger than FAT holds, so that every segment can be proven
alone and copied to any stick.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from toolkit.errors import InputError, StorageError
from toolkit.filesystem import FAT_LIMIT_BYTES
from toolkit.media._device import BLOCK_BYTES
from toolkit.media._encryption import encrypted_bytes
from toolkit.model import HeldPayload, TargetName, human_size

SEGMENT = "data/seg/"
SEGMENT_PATH = re.compile(rf"{SEGMENT}([0-9a-f]{{12}})/\d{{4}}\.seg\Z", re.ASCII)
"""Of any segment: the first digits of its payload's SHA-256, and its number."""
ENCRYPTED_ENDING = ".enc"
"""Of an encrypted payload in one piece: it is not the vendor's file, and must not look like it."""
SEGMENT_BYTES = FAT_LIMIT_BYTES // BLOCK_BYTES * BLOCK_BYTES
METADATA_ROOM_BYTES = 1 << 20
RESERVE = 0.02
"""Left free on a medium: what a file system needs for itself, and for receipts that come later."""
_PARITY_OVERHEAD = 1.1
"""What the parity of a file takes over its percentage: headers, and blocks rounded up."""
MEDIA_LIMIT = 99
FILE_SYSTEMS = ("fat32", "exfat", "ntfs", "ext4")

_SIZE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(MB|GB|TB|MIB|GIB|TIB)\Z", re.IGNORECASE | re.ASCII)
_UNITS = {"mb": 10**6, "gb": 10**9, "tb": 10**12, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumSize:
    """What one medium of a set can hold."""

    size_bytes: int | None = None
    """Of the whole medium; None: as much as it is asked to, which is seen when it is written."""
    largest_file_bytes: int | None = None
    """None: any size."""
    parity_percent: int = 0
    """Parity that is to be written beside the payloads."""

    @property
    def room_bytes(self) -> int | None:
        """Room for payloads."""
        if self.size_bytes is None:
            return None
        room = int(self.size_bytes * (1 - RESERVE)) - METADATA_ROOM_BYTES
        return max(0, int(room / (1 + self.parity_percent / 100 * _PARITY_OVERHEAD)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One payload, or one segment of it, on one medium."""

    held: HeldPayload
    target: TargetName
    path: str
    """POSIX path below the set folder."""
    medium: int
    """From 1."""
    offset: int
    size_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether this is a whole payload and not a segment of it."""
        return not self.path.startswith(SEGMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The media that a set needs, and what lies on each."""

    media: tuple[MediumSize, ...]
    """In order of their numbers; one that nothing was left for is not among them."""
    parts: tuple[Part, ...]
    """In order of targets and offsets."""

    @property
    def is_simple(self) -> bool:
        """Whether whole payloads on one medium are all there is."""
        return len(self.media) <= 1 and all(part.is_whole for part in self.parts)


def parse_size(text: str) -> int:
    """Return the bytes of a size as printed on a stick: `32GB` (decimal), `29.8GiB` (binary).

    Raises:
        InputError: Not a size.
    """
    match = _SIZE.match(text.strip())
    size = int(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if not size:
        raise InputError(
            "read the size of a medium",
            found=repr(text),
            expected="a number and MB, GB, TB, MiB, GiB or TiB, such as 32GB",
        )
    return size


def read_media(
    sizes: Sequence[str], file_system: str | None, *, parity_percent: int = 0
) -> tuple[MediumSize, ...]:
    """Return the media of a set from what a person said of them.

    Args:
        sizes: As printed on each, `32GB`; none: one medium, as large as it has to be.
        file_system: One of `FILE_SYSTEMS`; None: seen when it is written.
        parity_percent: Parity that is to go with the payloads.

    Raises:
        InputError: Not a size, or more media than a set may have.
    """
    if len(sizes) > MEDIA_LIMIT:
        raise InputError(
            "spread a set",
            found=f"{len(sizes)} media",
            expected=f"at most {MEDIA_LIMIT}",
            hint="take fewer and larger ones",
        )
    largest = FAT_LIMIT_BYTES if file_system == "fat32" else None
    if not sizes:
        return () if largest is None else (MediumSize(largest_file_bytes=largest),)
    return tuple(
        MediumSize(
            size_bytes=parse_size(size),
            largest_file_bytes=largest,
            parity_percent=parity_percent,
        )
        for size in sizes
    )


def lay_out(
    payloads: Mapping[TargetName, HeldPayload],
    media: Sequence[MediumSize],
    *,
    is_encrypted: bool = False,
) -> Layout:
    """Place every payload: whole on the first medium with room, else in segments over what room is left.

    Args:
        payloads: What the set carries, by target name.
        media: What the media of the set can hold, in order of their numbers.
        is_encrypted: Whether they are to be encrypted, which makes them a little longer.

    Raises:
        StorageError: They hold too little together.
    """
    free = [size.room_bytes for size in media]
    parts: list[Part] = []
    cut: list[tuple[TargetName, HeldPayload]] = []
    ending = ENCRYPTED_ENDING if is_encrypted else ""
    for target, held in sorted(payloads.items(), key=lambda item: (-item[1].size_bytes, item[0])):
        size = _stored_bytes(held, is_encrypted=is_encrypted)
        index = _first_with_room(size, free, media)
        if index is None:
            cut.append((target, held))
            continue
        free[index] = _less(free[index], size)
        parts.append(
            Part(
                held=held,
                target=target,
                path=f"data/{target}{ending}",
                medium=index + 1,
                offset=0,
                size_bytes=size,
            )
        )
    lacking = 0
    for target, held in cut:
        size = _stored_bytes(held, is_encrypted=is_encrypted)
        segments, left = _segments(target, held, size, free, media)
        parts += segments
        lacking += left
    if lacking:
        needed = sum(held.size_bytes for held in payloads.values())
        raise StorageError(
            f"lay out {human_size(needed)} of payloads on {len(media)} media",
            found=f"{human_size(lacking)} too little room (2 % of each medium stay free)",
            hint=f"add one more medium: --size with at least {human_size(_medium_for(lacking))}",
        )
    used = sorted({part.medium for part in parts})
    return Layout(
        media=tuple(media[number - 1] for number in used),
        parts=tuple(
            replace(part, medium=used.index(part.medium) + 1)
            for part in sorted(parts, key=lambda part: (part.target, part.offset))
        ),
    )


def _stored_bytes(held: HeldPayload, *, is_encrypted: bool) -> int:
    """Return how long a payload is on media."""
    return encrypted_bytes(held.size_bytes) if is_encrypted else held.size_bytes


def _first_with_room(
    size_bytes: int, free: Sequence[int | None], media: Sequence[MediumSize]
) -> int | None:
    for index, (room, medium) in enumerate(zip(free, media, strict=True)):
        largest = medium.largest_file_bytes
        if (room is None or size_bytes <= room) and (largest is None or size_bytes <= largest):
            return index
    return None


def _segments(
    target: TargetName,
    held: HeldPayload,
    size_bytes: int,
    free: list[int | None],
    media: Sequence[MediumSize],
) -> tuple[list[Part], int]:
    """Cut a payload over the room that is left; also return how many bytes found no place."""
    parts: list[Part] = []
    offset = 0
    for index, medium in enumerate(media):
        limit = SEGMENT_BYTES
        if medium.largest_file_bytes is not None:
            limit = min(limit, medium.largest_file_bytes // BLOCK_BYTES * BLOCK_BYTES)
        while offset < size_bytes:
            room, left = free[index], size_bytes - offset
            size = min(left, limit)
            if room is not None and room < size:
                size = room // BLOCK_BYTES * BLOCK_BYTES
            if not size:
                break
            parts.append(
                Part(
                    held=held,
                    target=target,
                    path=f"{SEGMENT}{held.sha256[:12]}/{len(parts):04}.seg",
                    medium=index + 1,
                    offset=offset,
                    size_bytes=size,
                )
            )
            free[index] = _less(room, size)
            offset += size
    return parts, size_bytes - offset


def _less(room: int | None, size_bytes: int) -> int | None:
    return None if room is None else room - size_bytes


def _medium_for(size_bytes: int) -> int:
    """Return the size of a medium with that much room, a block's waste included."""
    return int((size_bytes + BLOCK_BYTES + METADATA_ROOM_BYTES) / (1 - RESERVE)) + 1
