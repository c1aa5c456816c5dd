"""Windows event logs (.evtx), also cut, zeroed or scribbled over.

Theory of operation
    A log is a 4 KiB file header and chunks of 64 KiB, each closed in itself. We read it once, chunk by
    chunk, and give each chunk to the `evtx` package as a log of its own. So one bad chunk costs one
    chunk; a broken file header costs nothing; memory does not grow with the file.

    Before a chunk is handed over, its chain of records is walked: where a record's size cannot be right,
    the next plausible record is found and the bad one is made to span the distance. Only the live part
    of a chunk is bridged that way; what lies behind the free-space offset is overwritten history.

    Each chunk header says which records it holds. What was promised and not delivered is named.

Source: "Windows XML Event Log (EVTX)" of the libevtx documentation; behaviour of the `evtx` package
0.14 as measured: a bad record raises RuntimeError from `__next__` and the iterator goes on.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import IO, Any

import evtx

from toolkit.analysis._parsers.powershell_json import event_time
from toolkit.analysis._records import Damage, EventRecord

_HEADER_BYTES = 4096
_CHUNK_BYTES = 65536
_CHUNK_MAGIC = b"ElfChnk\0"
_RECORD_MAGIC = b"\x2a\x2a\0\0"
_FIRST_RECORD = 512
_LEAST_RECORD_BYTES = 28
_CHAINS = ((128, 64), (384, 32))
"""Tables of names and of templates in a chunk header: offset, number of buckets."""
_MOST_RECORDS = _CHUNK_BYTES // _LEAST_RECORD_BYTES
_NO_RECORD = (1 << 64) - 1
"""Stands for both ends of a chunk that was made ready and never written to."""
_NAMED_RANGES = 5
_OLDEST = datetime(2000, 1, 1, tzinfo=UTC)

_FILE_HEADER = struct.pack(
    "<8sQQQIHHHHQ", b"ElfFile\0", 0, 0, 2, 128, 1, 3, _HEADER_BYTES, 1, 0
).ljust(_HEADER_BYTES, b"\0")


def read_evtx(stream: IO[bytes]) -> Iterator[EventRecord | Damage]:
    """Yield every readable event in file order, and what could not be read.

    A log that was never closed is normal and no damage; chunks never used are none either.
    """
    log = _Log()
    for chunk in _chunks(stream):
        if isinstance(chunk, Damage):
            yield chunk
        else:
            yield from log.read(chunk)
    yield from log.missing()


@dataclass(slots=True)
class _Chunk:
    number: int
    data: bytearray


def _chunks(stream: IO[bytes]) -> Iterator[_Chunk | Damage]:
    """Cut the stream into chunks, finding the next one again where the order of bytes is lost."""
    buffer = bytearray(_read(stream, _HEADER_BYTES))
    if buffer[:8] == b"ElfFile\0":
        buffer.clear()
    elif buffer:
        yield Damage(what="the file header is not that of an event log", place="byte 0")
    number, unused = 0, 0
    while True:
        buffer += _read(stream, _CHUNK_BYTES - len(buffer))
        if not buffer:
            return
        number += 1
        if not any(buffer):
            unused += 1
            buffer.clear()
            continue
        if buffer[_FIRST_RECORD : _FIRST_RECORD + 4] == _RECORD_MAGIC and (
            buffer[:8] != _CHUNK_MAGIC
        ):
            yield Damage(what="the chunk's magic is broken; read all the same", place=_name(number))
            buffer[:8] = _CHUNK_MAGIC
        if buffer[:8] != _CHUNK_MAGIC:
            found = buffer.find(_CHUNK_MAGIC, 1)
            lost = found if found > 0 else len(buffer)
            if number > 1 or found < 0:  # in front of the first chunk the file header was reported
                yield Damage(what=f"{lost} bytes are no chunk; skipped", place=_name(number))
            del buffer[:lost]
            continue
        if unused:
            yield Damage(
                what=f"{unused} zeroed chunk(s) in the middle of the log", place=_name(number)
            )
            unused = 0
        if len(buffer) < _CHUNK_BYTES:
            yield Damage(what="the file ends in the middle of a chunk", place=_name(number))
        yield _Chunk(number, buffer.ljust(_CHUNK_BYTES, b"\0"))
        buffer.clear()


def _read(stream: IO[bytes], size: int) -> bytes:
    parts = b""
    while len(parts) < size and (data := stream.read(size - len(parts))):
        parts += data
    return parts


def _name(number: int) -> str:
    return f"chunk {number}"


@dataclass(slots=True)
class _Log:
    """What the chunks promised, and what they delivered."""

    ranges: list[tuple[int, int]] = field(default_factory=list)

    def read(self, chunk: _Chunk) -> Iterator[EventRecord | Damage]:
        """Yield the events of one chunk, and what is wrong with it."""
        first, last = struct.unpack_from("<QQ", chunk.data, 24)
        promised = range(first, last + 1) if 0 <= last - first < _MOST_RECORDS else None
        if first == last == _NO_RECORD:
            return
        # the package stops at the record of this id, wherever in the chunk it stands
        struct.pack_into("<Q", chunk.data, 32, _NO_RECORD)
        bridged = _bridge(chunk.data)
        while _cut_loops(chunk.data):
            pass
        delivered: set[int] = set()
        errors, husks = 0, 0
        for row in _rows(chunk.data):
            if isinstance(row, str):
                errors += 1
                continue
            delivered.add(row["event_record_id"])
            record = _record(row)
            if record is None:
                husks += 1
            else:
                yield record
        if bridged:
            yield Damage(
                what=f"{bridged} bad record(s) stepped over to reach those behind",
                place=_name(chunk.number),
            )
        if errors:
            yield Damage(what=f"{errors} record(s) unreadable", place=_name(chunk.number))
        if husks:
            yield Damage(
                what=f"{husks} half-overwritten record(s) without time or id left out",
                place=_name(chunk.number),
            )
        if promised is None:
            yield Damage(
                what="the chunk header is broken: how many records it held is unknown",
                place=_name(chunk.number),
            )
            self.ranges += _ranges(sorted(delivered))
        else:
            self.ranges += _ranges(sorted(delivered & set(promised)))
            self._end(promised)

    def _end(self, promised: range) -> None:
        """Remember where a chunk began and ended, so that what lacks at its edges shows as a gap."""
        self.ranges.append((promised.start, promised.start - 1))
        self.ranges.append((promised.stop, promised.stop - 1))

    def missing(self) -> Iterator[Damage]:
        """Yield the record numbers that lie between those delivered, over all chunks."""
        gaps: list[tuple[int, int]] = []
        reached: int | None = None
        for first, last in sorted(self.ranges):
            if reached is not None and first > reached + 1:
                if gaps and first > last and gaps[-1][1] == reached:  # an edge inside a gap
                    gaps[-1] = (gaps[-1][0], first - 1)
                else:
                    gaps.append((reached + 1, first - 1))
            reached = max(last, reached if reached is not None else last)
        if not gaps:
            return
        named = ", ".join(
            str(first) if first == last else f"{first}–{last}"
            for first, last in gaps[:_NAMED_RANGES]
        )
        more = len(gaps) - _NAMED_RANGES
        count = sum(last - first + 1 for first, last in gaps)
        yield Damage(
            what=f"records {named}{f' and {more} more ranges' if more > 0 else ''} missing",
            place=f"{count} record(s) in all",
        )


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for index in range(1, len(numbers) + 1):
        if index == len(numbers) or numbers[index] != numbers[index - 1] + 1:
            yield numbers[start], numbers[index - 1]
            start = index


# --- one chunk ----------------------------------------------------------------------------------


def _bridge(data: bytearray) -> int:
    """Repair the chain of records in the live part of a chunk; return the number of bridges."""
    (free,) = struct.unpack_from("<I", data, 48)
    end = free if _FIRST_RECORD < free <= _CHUNK_BYTES else _CHUNK_BYTES
    place, bridges = _FIRST_RECORD, 0
    while place + _LEAST_RECORD_BYTES <= end:
        if size := _size(data, place, end):
            place += size
            continue
        following = data.find(_RECORD_MAGIC, place + 1, end)
        while following >= 0 and not _size(data, following, end):
            following = data.find(_RECORD_MAGIC, following + 1, end)
        if following < 0:
            break
        struct.pack_into("<4sI", data, place, _RECORD_MAGIC, following - place)
        place = following
        bridges += 1
    return bridges


def _cut_loops(data: bytearray) -> bool:
    """End every chain of names and templates that leads out of the chunk or into itself.

    The `evtx` package follows both kinds of chain without looking back: a loop would hold it for ever.
    A cut may fall upon another chain, so this is repeated until it has nothing left to cut.

    Returns:
        Whether a chain was cut.
    """
    has_cut = False
    for table, buckets in _CHAINS:
        for bucket in range(table, table + 4 * buckets, 4):
            pointer, seen = bucket, set[int]()
            while offset := struct.unpack_from("<I", data, pointer)[0]:
                if offset in seen or not _FIRST_RECORD <= offset <= _CHUNK_BYTES - 4:
                    struct.pack_into("<I", data, pointer, 0)
                    has_cut = True
                    break
                seen.add(offset)
                pointer = offset
    return has_cut


def _size(data: bytearray, place: int, end: int) -> int:
    """Return the size of the record at `place`, or 0 if there cannot be one."""
    if place + _LEAST_RECORD_BYTES > end or data[place : place + 4] != _RECORD_MAGIC:
        return 0
    (size,) = struct.unpack_from("<I", data, place + 4)
    if not _LEAST_RECORD_BYTES <= size <= end - place:
        return 0
    (copy,) = struct.unpack_from("<I", data, place + size - 4)
    return int(size) if copy == size else 0


def _rows(data: bytearray) -> Iterator[dict[str, Any] | str]:
    """Yield what the `evtx` package reads in one chunk: rows, and the texts of its errors."""
    try:
        rows = evtx.PyEvtxParser(BytesIO(_FILE_HEADER + data), number_of_threads=1).records_json()
    except (RuntimeError, OSError, ValueError) as error:
        yield str(error)
        return
    for _ in range(2 * _MOST_RECORDS):  # it might repeat an error for ever
        try:
            row: Any = next(rows)
            yield row
        except StopIteration:
            return
        except (RuntimeError, OSError, ValueError) as error:
            yield str(error)


# --- one record ---------------------------------------------------------------------------------


def _record(row: dict[str, Any]) -> EventRecord | None:
    """Return the event of one row, or None for the husk of a half-overwritten record."""
    try:
        event = json.loads(row["data"], strict=False)["Event"]
        system = event["System"]
        at = event_time(_attribute(system.get("TimeCreated"), "SystemTime"))
        event_id = _number(system.get("EventID"))
        if at is None or at < _OLDEST or (event_id == 0 and not system.get("Channel")):
            return None
        return EventRecord(
            provider=str(_attribute(system.get("Provider"), "Name") or ""),
            event_id=event_id,
            version=_number(system.get("Version")),
            level=_number(system.get("Level")),
            channel=str(system.get("Channel") or ""),
            computer=str(system.get("Computer") or ""),
            record_id=_number(system.get("EventRecordID")) or row["event_record_id"],
            at=at,
            data=tuple(_payload(event)),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _attribute(value: object, name: str) -> object:
    attributes = value.get("#attributes") if isinstance(value, dict) else None
    return attributes.get(name) if isinstance(attributes, dict) else None


def _number(value: object) -> int:
    """Read a number that may be an int, a text, or an object with `#text`; 0 if it is none."""
    if isinstance(value, dict):
        value = value.get("#text")
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,19}", value) else 0


def _payload(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each argument, from EventData, or from UserData and its like."""
    data = event.get("EventData")
    if isinstance(data, dict):
        yield from _pairs(data)
        return
    for key in ("UserData", "ProcessingErrorData", "DebugData"):
        if isinstance(data := event.get(key), dict):
            for name, inner in data.items():
                yield from _pairs(inner) if isinstance(inner, dict) else _pairs({name: inner})


def _pairs(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in data.items():
        if name == "#attributes":
            continue
        if isinstance(value, dict) and "#text" in value:
            value = value["#text"]
        shown = "" if name == "Data" else name
        for item in value if isinstance(value, list) else [value]:
            yield shown, _text(item)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
