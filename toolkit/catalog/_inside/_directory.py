"""Where an archive says its members are: its end record and directory, read without believing them.

Python's `zipfile` repairs silently what matters here: it accepts bytes before the archive and behind it,
lets a later name hide an earlier one, and cuts a name at a NUL. So the records are read as they stand.
The directory is held once, as it is in the file; an entry is taken apart whenever it is asked for. That
bounds memory by the limits below, whatever the archive claims.

Source: APPNOTE.TXT (ZIP File Format Specification) 6.3.10, sections 4.3 to 4.6.
"""

from __future__ import annotations

import io
import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from toolkit.catalog._inside._report import Findings, ZipProblem, shortened

MEMBERS_LIMIT = 200_000
"""An expanded operating-system image has a few ten thousand files."""
DIRECTORY_LIMIT_BYTES = 32 << 20

STORED, DEFLATED, DEFLATE64 = 0, 8, 9
ENCRYPTED, STREAMED, UTF8_NAME = 1 << 0, 1 << 3, 1 << 11
HIDDEN = 1 << 6 | 1 << 13
"""Strong encryption, and local headers that are masked for it."""

LOCAL = struct.Struct("<4s5H3L2H")
LOCAL_SIGNATURE = b"PK\3\4"
_ENTRY = struct.Struct("<4s6H3L5H2L")
_ENTRY_SIGNATURE = b"PK\1\2"
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\5\6"
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_SPLIT_SIGNATURE = b"PK\7\x08"
_COMMENT_LIMIT = 0xFFFF
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ZIP64_FIELD, _UNICODE_NAME_FIELD = 0x0001, 0x7075


class Source(Protocol):
    """Bytes that can be read anywhere."""

    size_bytes: int

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes; fewer where they end or cannot be seen."""


class FileSource:
    """A stretch of an open file."""

    def __init__(self, file: io.BufferedIOBase, base: int, size_bytes: int) -> None:
        """Use `size_bytes` bytes of `file` from `base` on."""
        self._file, self._base, self.size_bytes = file, base, size_bytes

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes."""
        if offset >= self.size_bytes:
            return b""
        self._file.seek(self._base + offset)
        return self._file.read(min(count, self.size_bytes - offset))


class TailSource:
    """The end of something that went by: a compressed member's."""

    def __init__(self, tail: bytes, size_bytes: int) -> None:
        """Keep the last bytes of something that had `size_bytes`."""
        self._tail, self._start, self.size_bytes = tail, size_bytes - len(tail), size_bytes

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes; none if they begin before the tail."""
        if offset < self._start:
            return b""
        return self._tail[offset - self._start : offset - self._start + count]


class Entry(NamedTuple):
    """What the directory says of one member."""

    name: str
    raw_name: bytes
    other_name: str
    """Another name given in an extra field, for programs that prefer it; empty: none, or the same."""
    flags: int
    method: int
    crc: int
    packed_bytes: int
    size_bytes: int
    offset: int
    """Where its local header begins."""
    attributes: int
    """External attributes: a Unix mode in the upper half, Windows attributes in the lower."""
    disk: int

    @property
    def is_folder(self) -> bool:
        """Whether it is there only to make a folder."""
        return self.name.endswith(("/", "\\"))

    @property
    def is_readable(self) -> bool:
        """Whether its bytes can be checked here."""
        return self.method in (STORED, DEFLATED) and not self.flags & (ENCRYPTED | HIDDEN)


class Directory:
    """All entries, in the directory's order."""

    def __init__(self, data: bytes, positions: Sequence[int], start: int) -> None:
        """Keep the directory's bytes and where its entries begin in them."""
        self._data, self._positions = data, positions
        self.start = start
        """Where it begins in the archive: the end of the members."""

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._positions)

    def __iter__(self) -> Iterator[Entry]:
        """Take one entry after the other apart."""
        return (_entry(self._data, position)[0] for position in self._positions)

    def __getitem__(self, index: int) -> Entry:
        """Take one entry apart."""
        return _entry(self._data, self._positions[index])[0]


def read_directory(source: Source, findings: Findings) -> Directory | None:
    """Return an archive's directory, or None if there is none to go on with.

    Args:
        source: The whole archive.
        findings: Told what is wrong.

    Raises:
        OSError: The source cannot be read.
    """
    end = _find_end(source, findings)
    if end is None:
        return None
    place = _directory_place(source, end, findings)
    if place is None:
        return None
    offset, size, count = place
    if count > MEMBERS_LIMIT or size > DIRECTORY_LIMIT_BYTES:
        findings.note(
            ZipProblem.OVER_LIMIT,
            f"it claims {count} members in a directory of {size} bytes; ferry reads at most "
            f"{MEMBERS_LIMIT} members and {DIRECTORY_LIMIT_BYTES} bytes",
        )
        return None
    data = source.read_at(offset, size)
    if len(data) < size:
        findings.note(ZipProblem.UNCHECKED, "its directory is too long to be seen in passing")
        return None
    return Directory(data, _positions(data, count, findings), offset)


def _find_end(source: Source, findings: Findings) -> int | None:
    """Return where the end record begins."""
    start = max(0, source.size_bytes - _END.size - _COMMENT_LIMIT)
    tail = source.read_at(start, source.size_bytes - start)
    places = [at for at in _occurrences(tail, _END_SIGNATURE) if at + _END.size <= len(tail)]
    ends = {at: at + _END.size + int(_END.unpack_from(tail, at)[7]) for at in places}
    whole = [at for at in places if ends[at] == len(tail)]
    if len(whole) > 1:
        findings.note(
            ZipProblem.AMBIGUOUS_END,
            f"{len(whole)} end records fit its end, and programs differ in which one they take",
        )
    if whole:
        return start + whole[-1]
    short = [at for at in places if ends[at] < len(tail)]
    if short:
        findings.note(
            ZipProblem.TRAILING_BYTES,
            f"{len(tail) - ends[short[-1]]} bytes follow its end: download it again",
        )
        return start + short[-1]
    _note_endless(source, findings)
    return None


def _note_endless(source: Source, findings: Findings) -> None:
    """Say what a file without an end record looks like."""
    head = source.read_at(0, 16)
    if head.startswith(_SPLIT_SIGNATURE):
        findings.note(ZipProblem.MULTI_DISK, "it is the first part of an archive of several")
    elif head.startswith(LOCAL_SIGNATURE):
        findings.note(
            ZipProblem.TRUNCATED,
            f"its end is missing after {source.size_bytes} bytes: download it again",
            _last_begun(source),
        )
    else:
        shown = f", which begin with {_for_people(head)}" if head else ""
        findings.note(ZipProblem.NOT_A_ZIP, f"no zip archive, but {source.size_bytes} bytes{shown}")


def _for_people(head: bytes) -> str:
    """Return the first bytes of a file as a text where they are one: often a web page says what happened."""
    if not any(head):
        return "zeros"
    text = " ".join(head.decode("ascii", "replace").split())
    return f'"{text}"' if text.isprintable() and text.isascii() else head.hex(" ")


def _last_begun(source: Source) -> str:
    """Return the name of the last member that begins in an archive without an end, as far as one sees."""
    name, at = "", 0
    for _ in range(MEMBERS_LIMIT):
        header = source.read_at(at, LOCAL.size)
        if len(header) < LOCAL.size or not header.startswith(LOCAL_SIGNATURE):
            break
        _, _, flags, *_, packed, size, length, extra_length = LOCAL.unpack(header)
        name = _decoded(source.read_at(at + LOCAL.size, length), flags)
        extra = source.read_at(at + LOCAL.size + length, extra_length)
        try:
            _, packed = widened((size, packed), extra)
        except ValueError:
            break
        if flags & STREAMED and not packed:
            break
        at += LOCAL.size + length + extra_length + packed
    return name


def _directory_place(source: Source, end: int, findings: Findings) -> tuple[int, int, int] | None:
    """Return the directory's offset, length and number of entries."""
    _, *classic, _ = _END.unpack(source.read_at(end, _END.size))
    disk, first_disk, here, count, size, offset = classic
    directory_end = end
    wide = _end64(source, end)
    if wide is None and (_FULL16 in classic[:4] or _FULL32 in classic[4:]):
        findings.note(
            ZipProblem.DAMAGED_DIRECTORY, "its end record needs a Zip64 record, and there is none"
        )
        return None
    if wide is not None:
        directory_end, values = wide
        for narrow, full, value in zip(
            classic, (_FULL16,) * 4 + (_FULL32,) * 2, values, strict=True
        ):
            if narrow not in (full, value):
                findings.note(
                    ZipProblem.DISAGREEMENT,
                    f"one end record says {narrow} where the other says {value}",
                )
                return None
        disk, first_disk, here, count, size, offset = values
    if disk or first_disk or here != count:
        findings.note(
            ZipProblem.MULTI_DISK,
            f"it is one of several parts: {here} of {count} members are said to be in this one",
        )
        return None
    if offset + size != directory_end:
        findings.note(
            ZipProblem.MISPLACED_DIRECTORY,
            f"its directory should end at byte {offset + size} and ends at {directory_end}: bytes "
            "were lost or put in; download it again",
        )
        return None
    return offset, size, count


def _end64(source: Source, end: int) -> tuple[int, tuple[int, ...]] | None:
    """Return where the Zip64 end record begins, and its values in the order of the classic one."""
    at = end - _LOCATOR.size
    locator = source.read_at(at, _LOCATOR.size) if at >= 0 else b""
    if not locator.startswith(b"PK\6\7"):
        return None
    _, _, offset, _ = _LOCATOR.unpack(locator)
    record = source.read_at(offset, _END64.size) if offset + _END64.size <= at else b""
    if not record.startswith(b"PK\6\6"):
        return None
    _, length, _, _, *values = _END64.unpack(record)
    return (offset, tuple(values)) if offset + 12 + length == at else None


def _positions(data: bytes, count: int, findings: Findings) -> array[int]:
    """Return where the entries begin that can be taken apart."""
    positions = array("I")
    at = 0
    for number in range(1, count + 1):
        if not data.startswith(_ENTRY_SIGNATURE, at) or at + _ENTRY.size > len(data):
            findings.note(
                ZipProblem.DAMAGED_DIRECTORY,
                f"entry {number} of {count} is damaged: download the archive again",
            )
            return positions
        try:
            entry, after = _entry(data, at)
        except ValueError as error:
            findings.note(ZipProblem.DAMAGED_DIRECTORY, f"entry {number} of {count}: {error}")
            return positions
        if entry.disk:
            findings.note(
                ZipProblem.MULTI_DISK, f"it is said to be in part {entry.disk + 1}", entry.name
            )
        positions.append(at)
        at = after
    if at != len(data):
        findings.note(
            ZipProblem.DAMAGED_DIRECTORY,
            f"{len(data) - at} bytes of it belong to none of its {count} entries",
        )
    return positions


def _entry(data: bytes, at: int) -> tuple[Entry, int]:
    """Return the entry that begins at `at`, and where the next one begins.

    Raises:
        ValueError: It is not whole.
    """
    (
        _, _, _, flags, method, _, _, crc, packed, size,
        name_length, extra_length, comment_length, disk, _, attributes, offset,
    ) = _ENTRY.unpack_from(data, at)  # fmt: skip
    name_end = at + _ENTRY.size + name_length
    extra_end = name_end + extra_length
    after = extra_end + comment_length
    if after > len(data):
        raise ValueError("it reaches past the directory's end")
    raw = data[name_end - name_length : name_end]
    extra = data[name_end:extra_end]
    size, packed, offset = widened((size, packed, offset), extra)
    name = _decoded(raw, flags)
    entry = Entry(
        name=name,
        raw_name=raw,
        other_name=_other_name(name, raw, extra),
        flags=flags,
        method=method,
        crc=crc,
        packed_bytes=packed,
        size_bytes=size,
        offset=offset,
        attributes=attributes,
        disk=0 if disk == _FULL16 else disk,
    )
    return entry, after


def widened(values: Sequence[int], extra: bytes) -> tuple[int, ...]:
    """Return `values` with each 0xFFFFFFFF replaced by the next one of the Zip64 field.

    Raises:
        ValueError: The field is missing or too short.
    """
    if _FULL32 not in values:
        return tuple(values)
    field = _extra_field(extra, _ZIP64_FIELD)
    full = [value for value in values if value == _FULL32]
    if len(field) < 8 * len(full):
        raise ValueError("it needs a Zip64 field, and there is none")
    wide = iter(struct.unpack_from(f"<{len(full)}Q", field))
    return tuple(next(wide) if value == _FULL32 else value for value in values)


def _extra_field(extra: bytes, wanted: int) -> bytes:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == wanted:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return b""


def _decoded(raw: bytes, flags: int) -> str:
    """Return a name as text."""
    return raw.decode("utf-8", "replace") if flags & UTF8_NAME else raw.decode("cp437")


def _other_name(name: str, raw: bytes, extra: bytes) -> str:
    """Return the name of the Info-ZIP Unicode path field where it counts and differs."""
    field = _extra_field(extra, _UNICODE_NAME_FIELD)
    if len(field) < 5 or field[1:5] != struct.pack("<L", zlib.crc32(raw)):
        return ""
    other = field[5:].decode("utf-8", "replace")
    return "" if other == name else shortened(other)


def _occurrences(data: bytes, wanted: bytes) -> Iterator[int]:
    at = data.find(wanted)
    while at >= 0:
        yield at
        at = data.find(wanted, at + 1)
