"""The shape of SMB 3.1.1 messages: framing, header, status codes, and what a reply is made of.

Pure: bytes and values only. Section numbers are those of [MS-SMB2]; status values are of
[MS-ERREF] 2.3.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

DIALECT = 0x0311
HEADER_BYTES = 64
MAX_IO_BYTES = 8 * 1024 * 1024  # what Windows Server answers in NEGOTIATE (3.3.5.4)
MAX_FRAME_BYTES = MAX_IO_BYTES + 64 * 1024
CREDIT_BYTES = 64 * 1024  # payload one credit pays for (3.3.5.2.5)

MAGIC = b"\xfeSMB"
TRANSFORM_MAGIC = b"\xfdSMB"
TRANSFORM_BYTES = 52

FLAG_RESPONSE = 0x1
FLAG_RELATED = 0x4
FLAG_SIGNED = 0x8

SAME_FILE = b"\xff" * 16  # a related request's "the file of the request before"

_HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
_EPOCH_TICKS = 116_444_736_000_000_000  # 1970 in units of 100 ns since 1601


class Command(IntEnum):
    """Commands of 2.2.1.2."""

    NEGOTIATE = 0
    SESSION_SETUP = 1
    LOGOFF = 2
    TREE_CONNECT = 3
    TREE_DISCONNECT = 4
    CREATE = 5
    CLOSE = 6
    FLUSH = 7
    READ = 8
    WRITE = 9
    LOCK = 10
    IOCTL = 11
    CANCEL = 12
    ECHO = 13
    QUERY_DIRECTORY = 14
    CHANGE_NOTIFY = 15
    QUERY_INFO = 16
    SET_INFO = 17
    OPLOCK_BREAK = 18


class Status(IntEnum):
    """The status codes this server answers with."""

    SUCCESS = 0
    BUFFER_OVERFLOW = 0x80000005
    NO_MORE_FILES = 0x80000006
    INVALID_INFO_CLASS = 0xC0000003
    INFO_LENGTH_MISMATCH = 0xC0000004
    INVALID_PARAMETER = 0xC000000D
    NO_SUCH_FILE = 0xC000000F
    INVALID_DEVICE_REQUEST = 0xC0000010
    END_OF_FILE = 0xC0000011
    MORE_PROCESSING_REQUIRED = 0xC0000016
    ACCESS_DENIED = 0xC0000022
    OBJECT_NAME_INVALID = 0xC0000033
    OBJECT_NAME_NOT_FOUND = 0xC0000034
    OBJECT_NAME_COLLISION = 0xC0000035
    OBJECT_PATH_NOT_FOUND = 0xC000003A
    SHARING_VIOLATION = 0xC0000043
    LOGON_FAILURE = 0xC000006D
    DISK_FULL = 0xC000007F
    FILE_IS_A_DIRECTORY = 0xC00000BA
    NOT_SUPPORTED = 0xC00000BB
    NETWORK_NAME_DELETED = 0xC00000C9
    BAD_NETWORK_NAME = 0xC00000CC
    REQUEST_NOT_ACCEPTED = 0xC00000D0
    NOT_SAME_DEVICE = 0xC00000D4
    UNEXPECTED_IO_ERROR = 0xC00000E9
    DIRECTORY_NOT_EMPTY = 0xC0000101
    NOT_A_DIRECTORY = 0xC0000103
    FILE_CLOSED = 0xC0000128
    FS_DRIVER_REQUIRED = 0xC000019C
    USER_SESSION_DELETED = 0xC0000203


class RefusedError(Exception):
    """A request is answered with an error status."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


class BrokenFrameError(Exception):
    """The peer sent what ends a connection rather than what earns an answer."""


@dataclass(slots=True)
class Header:
    """The SMB2 packet header, synchronous form (2.2.1.2)."""

    command: int
    message_id: int
    credit_charge: int = 0
    status: int = 0
    credits: int = 0
    flags: int = 0
    next_command: int = 0
    reserved: int = 0
    tree_id: int = 0
    session_id: int = 0

    @classmethod
    def unpack(cls, message: memoryview) -> Header:
        """Read the first 64 bytes of a message."""
        if len(message) < HEADER_BYTES:
            raise BrokenFrameError("a message is shorter than its header")
        (
            magic,
            size,
            charge,
            status,
            command,
            wanted,
            flags,
            next_command,
            message_id,
            reserved,
            tree_id,
            session_id,
            _signature,
        ) = _HEADER.unpack_from(message)
        if magic != MAGIC or size != HEADER_BYTES:
            raise BrokenFrameError("a message does not begin with an SMB2 header")
        return cls(
            command=command,
            message_id=message_id,
            credit_charge=charge,
            status=status,
            credits=wanted,
            flags=flags,
            next_command=next_command,
            reserved=reserved,
            tree_id=tree_id,
            session_id=session_id,
        )

    def pack(self) -> bytes:
        """Write the header with an empty signature."""
        return _HEADER.pack(
            MAGIC,
            HEADER_BYTES,
            self.credit_charge,
            self.status,
            self.command,
            self.credits,
            self.flags,
            self.next_command,
            self.message_id,
            self.reserved,
            self.tree_id,
            self.session_id,
            bytes(16),
        )


@dataclass(slots=True)
class Request:
    """One request of a frame: its header and its bytes, header included."""

    header: Header
    message: memoryview

    def unpack(self, layout: struct.Struct, structure_size: int) -> tuple[Any, ...]:
        """Read the fixed part of the body, without its leading StructureSize.

        Raises:
            RefusedError: The body is too short, or says it is another structure.
        """
        body = self.message[HEADER_BYTES:]
        if len(body) < layout.size:
            raise RefusedError(Status.INVALID_PARAMETER)
        size, *fields = layout.unpack_from(body)
        if size != structure_size:
            raise RefusedError(Status.INVALID_PARAMETER)
        return tuple(fields)

    def buffer(self, offset: int, length: int) -> memoryview:
        """Read a variable part; its offset counts from the start of the header."""
        if length and (offset < HEADER_BYTES or offset + length > len(self.message)):
            raise RefusedError(Status.INVALID_PARAMETER)
        return self.message[offset : offset + length]

    def text(self, offset: int, length: int) -> str:
        """Read a variable part that is UTF-16."""
        try:
            return bytes(self.buffer(offset, length)).decode("utf-16-le")
        except UnicodeDecodeError:
            raise RefusedError(Status.OBJECT_NAME_INVALID) from None


@dataclass(slots=True)
class Reply:
    """What a handler answers; the connection makes a message of it."""

    body: bytes = field(repr=False)
    status: int = Status.SUCCESS
    session_id: int | None = None
    tree_id: int | None = None


def split(message: memoryview) -> Iterator[Request]:
    """Take the requests of a compound one by one (3.3.5.2.7)."""
    while True:
        header = Header.unpack(message)
        step = header.next_command
        if step == 0:
            yield Request(header, message)
            return
        if step % 8 or not HEADER_BYTES <= step <= len(message):
            raise BrokenFrameError("a compound points outside itself")
        yield Request(header, message[:step])
        message = message[step:]


def error_body() -> bytes:
    """ERROR Response without error data (2.2.2)."""
    return struct.pack("<HBBIB", 9, 0, 0, 0, 0)


def output_body(data: bytes) -> bytes:
    """Response of QUERY_DIRECTORY and QUERY_INFO (2.2.34, 2.2.38)."""
    return struct.pack("<HHI", 9, HEADER_BYTES + 8, len(data)) + data


def to_filetime(time_ns: int) -> int:
    """Turn nanoseconds since 1970 into a FILETIME."""
    return time_ns // 100 + _EPOCH_TICKS


def from_filetime(ticks: int) -> int:
    """Turn a FILETIME into nanoseconds since 1970."""
    return (ticks - _EPOCH_TICKS) * 100


def padded(data: bytes, alignment: int = 8) -> bytes:
    """Fill up with zeros to a multiple of the alignment."""
    return data + bytes(-len(data) % alignment)
