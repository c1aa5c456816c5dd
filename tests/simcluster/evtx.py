"""Writes Windows event logs (.evtx) and prints events as `wevtutil` renders them.

Theory of operation
    A log is a 4 KiB file header and chunks of 64 KiB. A chunk is closed in itself: 512 bytes of
    header with two hash tables (64 buckets of names, 32 of templates), then records. A record is
    binary XML: an instance of the template `_EVENT` with one value per substitution, the last of
    which is itself binary XML: an instance of a template for `EventData` or `UserData`. A name or a
    template definition stands where it is first used in a chunk; later uses point back at it. So
    every offset depends on what the chunk already holds, and a record that turns out not to fit is
    taken back and written again at the head of a new chunk.

    A template is a small tree (`_Element`, `_Slot`); the same tree is written as binary XML and
    printed as text, so both forms of an event always agree.

Source: "Windows XML Event Log (EVTX)" of the libevtx documentation; [MS-EVEN6] 2.2.12 for the
grammar of BinXml; order of bucket chains, padding to 8 bytes and the value of unknown fields as seen
in real logs.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID
from xml.sax.saxutils import escape

FILE_HEADER_BYTES = 4096
CHUNK_BYTES = 65536
CHUNK_HEADER_BYTES = 512
RECORD_MAGIC = b"\x2a\x2a\0\0"

_NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"
_NAME_BUCKETS = 64
_TEMPLATE_BUCKETS = 32
_NO_NUMBER = (1 << 64) - 1  # counters of an empty chunk
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)

# BinXml value types
_NULL, _STRING, _INT32, _INT64, _DOUBLE, _BOOL = 0x00, 0x01, 0x07, 0x09, 0x0C, 0x0D
_BINARY, _GUID, _FILETIME, _SID, _XML, _STRINGS = 0x0E, 0x0F, 0x11, 0x13, 0x21, 0x81
_UNSIGNED = {1: 0x04, 2: 0x06, 4: 0x08, 8: 0x0A}
_HEX = {4: 0x14, 8: 0x15}

# BinXml tokens; 0x40 marks "attributes follow" on an element and "one more" on an attribute
_END, _OPEN, _CLOSE_START, _CLOSE_EMPTY, _END_ELEMENT, _TEXT, _ATTRIBUTE = range(7)
_TEMPLATE, _SUBSTITUTION, _OPTIONAL_SUBSTITUTION, _FRAGMENT = 0x0C, 0x0D, 0x0E, 0x0F
_MORE = 0x40


@dataclass(frozen=True, slots=True)
class UInt:
    """An unsigned integer of 1, 2, 4 or 8 bytes."""

    value: int
    size_bytes: int = 4


@dataclass(frozen=True, slots=True)
class HexInt:
    """An unsigned integer of 4 or 8 bytes that is shown in hexadecimal: error codes, keywords."""

    value: int
    size_bytes: int = 4


@dataclass(frozen=True, slots=True)
class Sid:
    """A security identifier: `S-1-5-18`."""

    text: str


@dataclass(frozen=True, slots=True)
class UserData:
    """A payload with an element of its own in place of `EventData`."""

    name: str
    items: tuple[tuple[str, object], ...]
    namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event.

    Values in `data` and `user_data` may be str, int, bool, float, bytes, aware datetime, UUID,
    `UInt`, `HexInt`, `Sid` or None. A plain int becomes the smallest of uint32, int32, uint64 and
    int64 that holds it. Unnamed strings become one string array, as the classic providers write it.
    """

    provider: str
    provider_guid: UUID | None
    event_id: int
    level: int
    time: datetime
    channel: str
    computer: str
    record_id: int
    data: tuple[tuple[str | None, object], ...] = ()
    version: int = 0
    task: int = 0
    opcode: int = 0
    keywords: int = 0x8000000000000000
    process_id: int = 0
    thread_id: int = 0
    user_sid: str | None = None
    user_data: UserData | None = None
    activity_id: UUID | None = None
    qualifiers: int | None = None


# --- templates ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a value goes in: its position in the list of values, and its type."""

    index: int
    kind: int
    optional: bool = True


@dataclass(frozen=True, slots=True)
class _Element:
    name: str
    attributes: tuple[tuple[str, str | _Slot], ...] = ()
    content: tuple[_Element | _Slot, ...] = ()


_SYSTEM = _Element(
    "System",
    (),
    (
        _Element("Provider", (("Name", _Slot(14, _STRING)), ("Guid", _Slot(15, _GUID)))),
        _Element("EventID", (("Qualifiers", _Slot(4, _UNSIGNED[2])),), (_Slot(3, _UNSIGNED[2]),)),
        _Element("Version", (), (_Slot(11, _UNSIGNED[1]),)),
        _Element("Level", (), (_Slot(0, _UNSIGNED[1]),)),
        _Element("Task", (), (_Slot(2, _UNSIGNED[2]),)),
        _Element("Opcode", (), (_Slot(1, _UNSIGNED[1]),)),
        _Element("Keywords", (), (_Slot(5, _HEX[8]),)),
        _Element("TimeCreated", (("SystemTime", _Slot(6, _FILETIME)),)),
        _Element("EventRecordID", (), (_Slot(10, _UNSIGNED[8]),)),
        _Element("Correlation", (("ActivityID", _Slot(7, _GUID)),)),
        _Element(
            "Execution",
            (
                ("ProcessID", _Slot(8, _UNSIGNED[4])),
                ("ThreadID", _Slot(9, _UNSIGNED[4])),
            ),
        ),
        _Element("Channel", (), (_Slot(16, _STRING),)),
        _Element("Computer", (), (_Slot(13, _STRING),)),
        _Element("Security", (("UserID", _Slot(12, _SID)),)),
    ),
)
"""The head of every event; the order of its values follows what Windows writes."""

_XMLNS = (("xmlns", _NAMESPACE),)
_EVENT = _Element("Event", _XMLNS, (_SYSTEM, _Slot(17, _XML)))
_BARE_EVENT = _Element("Event", _XMLNS, (_SYSTEM,))


@dataclass(frozen=True, slots=True)
class _Instance:
    """A template and the values that go into its slots."""

    template: _Element
    values: tuple[object, ...]


def _instance(event: Event) -> _Instance:
    payload = _payload(event)
    return _Instance(
        _BARE_EVENT if payload is None else _EVENT,
        (
            UInt(event.level, 1),
            UInt(event.opcode, 1),
            UInt(event.task, 2),
            UInt(event.event_id, 2),
            None if event.qualifiers is None else UInt(event.qualifiers, 2),
            HexInt(event.keywords, 8),
            event.time,
            event.activity_id,
            UInt(event.process_id, 4),
            UInt(event.thread_id, 4),
            UInt(event.record_id, 8),
            UInt(event.version, 1),
            None if event.user_sid is None else Sid(event.user_sid),
            event.computer,
            event.provider,
            event.provider_guid,
            event.channel,
            *(() if payload is None else (payload,)),
        ),
    )


def _payload(event: Event) -> _Instance | None:
    """Return the event's own data: a template of its shape, and the values."""
    if event.user_data is not None:
        own = event.user_data
        children = tuple(_item(name, (), at, value) for at, (name, value) in enumerate(own.items))
        namespace = () if own.namespace is None else (("xmlns", own.namespace),)
        return _Instance(
            _Element("UserData", (), (_Element(own.name, namespace, children),)),
            tuple(value for _, value in own.items),
        )
    if not event.data:
        return None
    values = tuple(value for _, value in event.data)
    if all(name is None and isinstance(value, str) for name, value in event.data):
        return _Instance(_Element("EventData", (), (_item("Data", (), 0, values),)), (values,))
    children = tuple(
        _item("Data", () if name is None else (("Name", name),), at, value)
        for at, (name, value) in enumerate(event.data)
    )
    return _Instance(_Element("EventData", (), children), values)


def _item(name: str, attributes: tuple[tuple[str, str], ...], at: int, value: object) -> _Element:
    kind, _ = _encode(value)
    # libevtx refuses a missing value unless the slot is optional and has a type
    return _Element(name, attributes, (_Slot(at, kind or _STRING, optional=value is None),))


# --- values -------------------------------------------------------------------------------------


def _integer(value: int) -> tuple[int, str]:
    for low, high, kind, layout in (
        (0, 1 << 32, _UNSIGNED[4], "<I"),
        (-(1 << 31), 0, _INT32, "<i"),
        (0, 1 << 64, _UNSIGNED[8], "<Q"),
        (-(1 << 63), 0, _INT64, "<q"),
    ):
        if low <= value < high:
            return kind, layout
    raise ValueError(f"{value} does not fit into 64 bits")


def _encode(value: object) -> tuple[int, bytes]:
    """Return the BinXml type and the bytes of a value."""
    match value:
        case None:
            return _NULL, b""
        case bool():
            return _BOOL, struct.pack("<I", value)
        case int():
            kind, layout = _integer(value)
            return kind, struct.pack(layout, value)
        case float():
            return _DOUBLE, struct.pack("<d", value)
        case str():
            return _STRING, value.encode("utf-16-le")
        case bytes():
            return _BINARY, value
        case UUID():
            return _GUID, value.bytes_le
        case datetime():
            return _FILETIME, struct.pack("<Q", _filetime(value))
        case UInt(number, size):
            return _UNSIGNED[size], number.to_bytes(size, "little")
        case HexInt(number, size):
            return _HEX[size], number.to_bytes(size, "little")
        case Sid(text):
            return _SID, _sid(text)
        case tuple():
            return _STRINGS, b"".join((str(item) + "\0").encode("utf-16-le") for item in value)
        case _:
            raise TypeError(f"an event cannot hold a value of type {type(value).__name__}")


def _filetime(moment: datetime) -> int:
    """Return 100 ns since 1601."""
    if moment.tzinfo is None:
        raise ValueError("the time of an event needs a time zone")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 10


def _sid(text: str) -> bytes:
    letter, revision, authority, *parts = text.split("-")
    if letter != "S":
        raise ValueError(f"{text!r} is not a security identifier")
    head = struct.pack("BB", int(revision), len(parts)) + int(authority).to_bytes(6, "big")
    return head + b"".join(struct.pack("<I", int(part)) for part in parts)


def printed(value: object) -> str:
    """Return a value as Windows prints it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case bytes():
            return value.hex().upper()
        case UUID():
            return f"{{{str(value).upper()}}}"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
        case UInt(number, _):
            return str(number)
        case HexInt(number, _):
            return f"0x{number:x}"
        case Sid(text):
            return text
        case _:
            return str(value)


# --- binary form --------------------------------------------------------------------------------


class _FullError(Exception):
    """The record does not fit into what is left of the chunk."""


class _Chunk:
    """One chunk while it is filled; offsets are those within the chunk."""

    def __init__(self, first_number: int) -> None:
        self.count = 0
        self._data = bytearray(CHUNK_HEADER_BYTES)
        self._first_number = first_number
        self._last_offset = 0
        self._ids: list[int] = []
        self._names: dict[str, int] = {}
        self._name_table = [0] * _NAME_BUCKETS
        self._templates: dict[_Element, tuple[int, bytes]] = {}
        self._template_table = [0] * _TEMPLATE_BUCKETS

    def append(self, event: Event) -> None:
        """Add one event.

        Raises:
            _FullError: It does not fit; the chunk is as it was before.
        """
        start = len(self._data)
        names, name_table = dict(self._names), self._name_table[:]
        templates, template_table = dict(self._templates), self._template_table[:]
        try:
            self._record(event)
        except _FullError:
            del self._data[start:]
            self._names, self._name_table = names, name_table
            self._templates, self._template_table = templates, template_table
            raise
        self._last_offset = start
        self._ids.append(event.record_id)
        self.count += 1

    def finish(self) -> bytes:
        """Return the chunk with its header, tables and checksums."""
        free = len(self._data)
        numbers = (self._first_number, self._first_number + self.count - 1)
        ids = (min(self._ids), max(self._ids)) if self._ids else (_NO_NUMBER, _NO_NUMBER)
        if not self._ids:
            numbers = (1, _NO_NUMBER)
        struct.pack_into(
            "<8sQQQQIIII", self._data, 0, b"ElfChnk", *numbers, *ids, 128, self._last_offset, free,
            zlib.crc32(self._data[CHUNK_HEADER_BYTES:]),
        )  # fmt: skip
        struct.pack_into(f"<{_NAME_BUCKETS}I", self._data, 128, *self._name_table)
        struct.pack_into(f"<{_TEMPLATE_BUCKETS}I", self._data, 384, *self._template_table)
        summed = self._data[:120] + self._data[128:CHUNK_HEADER_BYTES]
        struct.pack_into("<II", self._data, 120, 1, zlib.crc32(summed))
        return bytes(self._data.ljust(CHUNK_BYTES, b"\0"))

    def _record(self, event: Event) -> None:
        start = len(self._data)
        self._put("<4sIQQ", RECORD_MAGIC, 0, event.record_id, _filetime(event.time))
        self._fragment(_instance(event))
        self._data += bytes(-(len(self._data) + 4 - start) % 8)
        size = len(self._data) + 4 - start
        if start + size > CHUNK_BYTES:
            raise _FullError
        self._put("<I", size)
        struct.pack_into("<I", self._data, start + 4, size)

    def _instance(self, instance: _Instance) -> None:
        self._put("<BB", _TEMPLATE, 1)
        known = self._templates.get(instance.template)
        if known is None:
            identifier = sha256(repr(instance.template).encode()).digest()[:16]
            self._data += identifier[:4]
            self._put("<I", len(self._data) + 4)
            self._define(instance.template, identifier)
        else:
            offset, identifier = known
            self._data += identifier[:4]
            self._put("<I", offset)
        self._put("<I", len(instance.values))
        table = len(self._data)
        self._data += bytes(4 * len(instance.values))
        for index, value in enumerate(instance.values):
            start = len(self._data)
            if isinstance(value, _Instance):
                kind = _XML
                self._fragment(value)
            else:
                kind, encoded = _encode(value)
                self._data += encoded
            size = len(self._data) - start
            if size > 0xFFFF:
                raise _FullError
            struct.pack_into("<HBB", self._data, table + 4 * index, size, kind, 0)

    def _fragment(self, content: _Instance | _Element) -> None:
        self._data += bytes((_FRAGMENT, 1, 1, 0))
        if isinstance(content, _Element):
            self._element(content)
        else:
            self._instance(content)
        self._data.append(_END)

    def _define(self, template: _Element, identifier: bytes) -> None:
        offset = len(self._data)
        bucket = int.from_bytes(identifier[:4], "little") % _TEMPLATE_BUCKETS
        self._put("<I16sI", self._template_table[bucket], identifier, 0)
        start = len(self._data)
        self._fragment(template)
        struct.pack_into("<I", self._data, start - 4, len(self._data) - start)
        self._template_table[bucket] = offset
        self._templates[template] = offset, identifier

    def _element(self, element: _Element) -> None:
        more = _MORE if element.attributes else 0
        self._put("<BHI", _OPEN | more, 0xFFFF, 0)
        start = len(self._data)
        self._name(element.name)
        if element.attributes:
            self._put("<I", 0)
            attributes_start = len(self._data)
            for left, (name, value) in zip(
                range(len(element.attributes) - 1, -1, -1), element.attributes, strict=True
            ):
                self._data.append(_ATTRIBUTE | (_MORE if left else 0))
                self._name(name)
                self._content(value)
            struct.pack_into(
                "<I", self._data, attributes_start - 4, len(self._data) - attributes_start
            )
        if element.content:
            self._data.append(_CLOSE_START)
            for part in element.content:
                self._content(part)
            self._data.append(_END_ELEMENT)
        else:
            self._data.append(_CLOSE_EMPTY)
        struct.pack_into("<I", self._data, start - 4, len(self._data) - start)

    def _content(self, part: _Element | _Slot | str) -> None:
        match part:
            case _Element():
                self._element(part)
            case _Slot(index, kind, optional):
                token = _OPTIONAL_SUBSTITUTION if optional else _SUBSTITUTION
                self._put("<BHB", token, index, kind)
            case str():
                self._put("<BBH", _TEXT, _STRING, len(part.encode("utf-16-le")) // 2)
                self._data += part.encode("utf-16-le")

    def _name(self, name: str) -> None:
        """Write the offset of a name, and the name itself where it is new to the chunk."""
        if name in self._names:
            self._put("<I", self._names[name])
            return
        units = name.encode("utf-16-le")
        value = 0
        for (unit,) in struct.iter_unpack("<H", units):
            value = (value * 65599 + unit) & 0xFFFFFFFF
        offset, bucket = len(self._data) + 4, value % _NAME_BUCKETS
        self._put("<IIHH", offset, self._name_table[bucket], value & 0xFFFF, len(units) // 2)
        self._data += units + b"\0\0"
        self._name_table[bucket] = self._names[name] = offset

    def _put(self, layout: str, *values: object) -> None:
        self._data += struct.pack(layout, *values)


def write_evtx(path: Path, events: Iterable[Event]) -> None:
    """Write a clean, unwrapped log of these events, in this order; none gives an empty log.

    Raises:
        ValueError: An event is larger than a chunk, or holds a value that cannot be written.
    """
    next_id, chunks = 1, 0
    with path.open("wb") as out:
        out.write(bytes(FILE_HEADER_BYTES))
        number = 1
        chunk = _Chunk(number)
        for event in events:
            try:
                chunk.append(event)
            except _FullError:
                if chunk.count:
                    out.write(chunk.finish())
                    chunks += 1
                    chunk = _Chunk(number)
                try:
                    chunk.append(event)
                except _FullError as error:
                    raise ValueError(
                        f"event {event.record_id} is larger than a chunk of {CHUNK_BYTES} bytes"
                    ) from error
            number += 1
            next_id = event.record_id + 1
        out.write(chunk.finish())
        chunks += 1
        out.seek(0)
        out.write(_file_header(chunks, next_id))


def _file_header(chunks: int, next_id: int) -> bytes:
    head = struct.pack(
        "<8sQQQIHHHH", b"ElfFile", 0, chunks - 1, next_id, 128, 1, 3, FILE_HEADER_BYTES, chunks
    ).ljust(120, b"\0")
    return (head + struct.pack("<II", 0, zlib.crc32(head))).ljust(FILE_HEADER_BYTES, b"\0")


# --- text form ----------------------------------------------------------------------------------

LEVELS = {0: "Information", 1: "Critical", 2: "Error", 3: "Warning", 4: "Information", 5: "Verbose"}


def rendered_xml(event: Event, message: str) -> str:
    """Return one event as `wevtutil qe /f:RenderedXml` prints it: on one line, with its message."""
    info = (
        f"<RenderingInfo Culture='en-US'><Message>{escape(message)}</Message>"
        f"<Level>{LEVELS.get(event.level, '')}</Level><Task></Task><Opcode></Opcode>"
        f"<Channel>{escape(event.channel)}</Channel>"
        f"<Provider>{escape(event.provider)}</Provider><Keywords></Keywords></RenderingInfo>"
    )
    frame = _instance(event)
    return _print(frame.template, frame.values).removesuffix("</Event>") + info + "</Event>"


def _print(element: _Element, values: Sequence[object]) -> str:
    attributes = "".join(
        f" {name}='{escape(printed(value), {chr(39): '&apos;'})}'"
        for name, part in element.attributes
        if (value := values[part.index] if isinstance(part, _Slot) else part) is not None
    )
    start = f"<{element.name}{attributes}"
    if not element.content:
        return f"{start}/>"
    inner = ""
    for part in element.content:
        if isinstance(part, _Element):
            inner += _print(part, values)
            continue
        value = values[part.index]
        if isinstance(value, tuple):  # an array repeats the element it stands in
            return "".join(f"{start}>{escape(str(item))}</{element.name}>" for item in value)
        if isinstance(value, _Instance):
            inner += _print(value.template, value.values)
        else:
            inner += escape(printed(value))
    return f"{start}>{inner}</{element.name}>"
