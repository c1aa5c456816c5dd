"""The members' bytes, read once in the file's order: local headers, CRC-32, and the bytes between.

Checksums are added up by a second thread, one piece behind the reader (zlib lets go of the interpreter
for both), so a stored member costs its CRC-32 alone and a deflated one its inflation. Memory is a few
pieces, and for a deflated archive within the archive its tail.

Source: APPNOTE.TXT 6.3.10, sections 4.3.7 (local header) and 4.3.9 (data descriptor).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from toolkit.catalog._inside._directory import (
    ENCRYPTED,
    HIDDEN,
    LOCAL,
    LOCAL_SIGNATURE,
    STORED,
    STREAMED,
    UTF8_NAME,
    Directory,
    Entry,
    FileSource,
    Source,
    TailSource,
    widened,
)
from toolkit.catalog._inside._report import Findings, ZipProblem
from toolkit.model import Progress

BUFFER_BYTES = 1 << 16
"""For headers and small members; reads beyond it go straight into the piece."""
PIECE_BYTES = 1 << 20
_PACKED_PIECE_BYTES = 1 << 18
_SMALL_BYTES = 1 << 16
"""Handing less than this to the other thread costs more than it saves."""
_TAIL_LIMIT_BYTES = 4 << 20
_COMPARED_FLAGS = ENCRYPTED | STREAMED | UTF8_NAME | HIDDEN
_DESCRIPTOR_SIGNATURE = b"PK\7\x08"


@dataclass(frozen=True, slots=True)
class WholeMember:
    """A member whose every byte is right, and where its data are."""

    entry: Entry
    data: Source
    """Its content; of a deflated one the last bytes only."""


def read_members(
    file: io.BufferedIOBase,
    directory: Directory,
    order: Sequence[int],
    findings: Findings,
    progress: Progress,
) -> Iterator[WholeMember]:
    """Check every member, and yield those that are whole.

    Args:
        file: The archive, opened with a buffer of its own.
        directory: Its directory, whose members lie in front of it.
        order: The numbers of its entries, by the place of their local headers.
        findings: Told what is wrong.
        progress: Told of compressed bytes.

    Raises:
        OSError: The file cannot be read.
    """
    at = unclaimed = 0
    with ThreadPoolExecutor(1, thread_name_prefix="crc32") as pool:
        reader = _Reader(file, pool, progress)
        for index in order:
            entry = directory[index]
            if entry.offset < at:
                text = "it begins before the member in front of it ends"
                findings.note(ZipProblem.OVERLAP, text, entry.name)
                continue
            unclaimed += entry.offset - at
            start = _data_start(file, entry, findings)
            at = (start or entry.offset + LOCAL.size) + entry.packed_bytes
            if at > directory.start:
                text = f"its {entry.packed_bytes} bytes reach into the directory"
                findings.note(ZipProblem.DAMAGED_MEMBER, text, entry.name)
                return
            if start is None:
                continue
            whole = reader.check(entry, start, findings)
            if entry.flags & STREAMED:
                at += _descriptor_length(file, entry, at, findings)
            if whole is not None:
                yield WholeMember(entry, whole)
    unclaimed += directory.start - at
    if unclaimed and not findings.has(ZipProblem.DAMAGED_MEMBER):
        text = f"{unclaimed} bytes of the archive belong to no member"
        findings.note(ZipProblem.UNCLAIMED_BYTES, text)


def content(member: WholeMember, limit_bytes: int) -> bytes:
    """Return the content of a small member that was found whole.

    Raises:
        ValueError: It is larger than the limit.
        OSError: The file cannot be read.
    """
    if max(member.entry.size_bytes, member.entry.packed_bytes) > limit_bytes:
        raise ValueError(f"it has {member.entry.size_bytes} bytes, more than {limit_bytes}")
    return member.data.read_at(0, member.entry.size_bytes)


def _data_start(file: io.BufferedIOBase, entry: Entry, findings: Findings) -> int | None:
    """Return where a member's data begin; None if no local header stands where it should."""
    file.seek(entry.offset)
    header = file.read(LOCAL.size)
    if len(header) < LOCAL.size or not header.startswith(LOCAL_SIGNATURE):
        findings.note(
            ZipProblem.DAMAGED_MEMBER,
            f"no member begins at byte {entry.offset}, where the directory says: download the "
            "archive again",
            entry.name,
        )
        return None
    fields: tuple[int, ...] = LOCAL.unpack(header)[2:]
    flags, method, _, _, crc, packed, size, name_length, extra_length = fields
    name = file.read(name_length)
    extra = file.read(extra_length)
    try:
        size, packed = widened((size, packed), extra)
    except ValueError as error:
        findings.note(ZipProblem.DAMAGED_MEMBER, f"its own header: {error}", entry.name)
        return None
    figures = ((crc, entry.crc), (packed, entry.packed_bytes), (size, entry.size_bytes))
    streamed = flags & STREAMED  # a zero may stand here, and a descriptor behind the data
    for what, differs in (
        ("name", name != entry.raw_name),
        ("flags", (flags ^ entry.flags) & _COMPARED_FLAGS),
        ("compression method", method != entry.method),
        ("checksum or size", any(own != said and (own or not streamed) for own, said in figures)),
    ):
        if differs:
            findings.note(
                ZipProblem.DISAGREEMENT,
                f"its own header has another {what} than the directory; programs differ in which "
                "one they believe",
                entry.name,
            )
    return entry.offset + LOCAL.size + name_length + extra_length


def _descriptor_length(file: io.BufferedIOBase, entry: Entry, at: int, findings: Findings) -> int:
    """Return the length of the data descriptor behind a member; its signature is optional."""
    file.seek(at)
    found = file.read(24)
    sizes = (entry.packed_bytes, entry.size_bytes)
    bodies = [struct.pack("<L2Q", entry.crc, *sizes)]
    if max(sizes) < 1 << 32:
        bodies.append(struct.pack("<3L", entry.crc, *sizes))
    for signature in (_DESCRIPTOR_SIGNATURE, b""):
        for body in bodies:
            if found.startswith(signature + body):
                return len(signature + body)
    findings.note(
        ZipProblem.DISAGREEMENT,
        "the checksum and sizes behind its data are not those of the directory",
        entry.name,
    )
    return 0


class _RunningCrc:
    """A CRC-32 one piece behind: another thread adds a piece up while the next one is made."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._value = 0
        self._behind: Future[int] | None = None

    def add(self, piece: bytes | memoryview) -> None:
        """Add a piece, which must stay as it is until the next call has returned."""
        value = self.value()
        if len(piece) < _SMALL_BYTES:
            self._value = zlib.crc32(piece, value)
        else:
            self._behind = self._pool.submit(zlib.crc32, piece, value)

    def value(self) -> int:
        """Return the CRC-32 of all pieces."""
        if self._behind is not None:
            self._value, self._behind = self._behind.result(), None
        return self._value


class _Damage(Exception):  # noqa: N818 - never leaves this file
    """What is wrong with one member's data."""


def _compare(found: int, expected: int) -> None:
    if found != expected:
        raise _Damage(f"its CRC-32 is {found:08x}, the directory says {expected:08x}")


class _Reader:
    """Reads members of one file."""

    def __init__(
        self, file: io.BufferedIOBase, pool: ThreadPoolExecutor, progress: Progress
    ) -> None:
        self._file, self._pool, self._progress = file, pool, progress
        self._buffers = (memoryview(bytearray(PIECE_BYTES)), memoryview(bytearray(PIECE_BYTES)))

    def check(self, entry: Entry, start: int, findings: Findings) -> Source | None:
        """Return a member's content if every byte of it is right."""
        if not entry.is_readable:
            self._progress.advance(entry.packed_bytes)
            return None
        self._file.seek(start)
        crc = _RunningCrc(self._pool)
        source: Source = FileSource(self._file, start, entry.packed_bytes)
        try:
            if entry.method == STORED:
                self._stored(entry, crc)
            else:
                tail = self._inflated(entry, crc)
                source = TailSource(tail, entry.size_bytes)
            _compare(crc.value(), entry.crc)
        except _Damage as damage:
            text = f"{damage}: download the archive again"
            findings.note(ZipProblem.DAMAGED_MEMBER, text, entry.name)
            return None
        return source

    def _stored(self, entry: Entry, crc: _RunningCrc) -> None:
        left, turn = entry.packed_bytes, 0
        while left:
            buffer = self._buffers[turn][: min(left, PIECE_BYTES)]
            count = self._file.readinto(buffer)
            if not count:
                raise _Damage("the file ends inside it")
            crc.add(buffer[:count])
            self._progress.advance(count)
            left -= count
            turn = 1 - turn

    def _inflated(self, entry: Entry, crc: _RunningCrc) -> bytes:
        tail = _Tail(_TAIL_LIMIT_BYTES if _may_be_looked_into(entry) else 0)
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        left, unfolded = entry.packed_bytes, 0
        packed = b""
        while not inflater.eof:
            if not packed:
                packed = self._file.read(min(left, _PACKED_PIECE_BYTES))
                left -= len(packed)
                self._progress.advance(len(packed))
            room = entry.size_bytes - unfolded + 1  # enough to notice that it claims too little
            try:
                piece = inflater.decompress(packed, min(room, PIECE_BYTES))
            except zlib.error as error:
                raise _Damage(f"its compressed data are damaged after {unfolded} bytes") from error
            if not packed and not piece:
                raise _Damage(f"its compressed data end early, after {unfolded} bytes")
            packed = inflater.unconsumed_tail
            unfolded += len(piece)
            if unfolded > entry.size_bytes:
                raise _Damage(f"it unfolds to more than the {entry.size_bytes} bytes it claims")
            crc.add(piece)
            tail.add(piece)
        if unfolded != entry.size_bytes:
            raise _Damage(f"it unfolds to {unfolded} bytes, not {entry.size_bytes}")
        if left or inflater.unused_data:
            raise _Damage("its compressed data end before the next member begins")
        return tail.joined()


class _Tail:
    """The last bytes of what goes by."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._pieces: deque[bytes] = deque()
        self._held = 0

    def add(self, piece: bytes) -> None:
        if not self._limit:
            return
        self._pieces.append(piece)
        self._held += len(piece)
        while self._held - len(self._pieces[0]) >= self._limit:
            self._held -= len(self._pieces.popleft())

    def joined(self) -> bytes:
        return b"".join(self._pieces)


def _may_be_looked_into(entry: Entry) -> bool:
    return entry.name.lower().endswith((".zip", ".xml"))
