"""Zip archives written byte by byte, also those that no library would write."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

STREAMED, UTF8, ENCRYPTED = 1 << 3, 1 << 11, 1
FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF


@dataclass
class Member:
    """One member; what is not given is right."""

    name: str | bytes
    data: bytes = b""
    method: int = 0
    flags: int = 0
    packed: bytes | None = None
    """The bytes that stand in the archive."""
    crc: int | None = None
    packed_bytes: int | None = None
    size_bytes: int | None = None
    offset: int | None = None
    attributes: int = 0
    disk: int = 0
    extra: bytes = b""
    local: dict[str, object] = field(default_factory=dict)
    """What the local header says instead: name, method, flags, crc, packed_bytes, size_bytes, signature."""
    descriptor: bytes = b""
    gap: bytes = b""
    """Bytes in front of its local header."""
    wide: bool = False
    """Sizes and offset stand in Zip64 fields."""

    @property
    def raw_name(self) -> bytes:
        if isinstance(self.name, bytes):
            return self.name
        return self.name.encode("utf-8" if self.flags & UTF8 else "cp437")

    def body(self) -> bytes:
        if self.packed is not None:
            return self.packed
        if self.method != 8:
            return self.data
        deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
        return deflater.compress(self.data) + deflater.flush()

    def figures(self) -> tuple[int, int, int]:
        body = self.body()
        return (
            zlib.crc32(self.data) if self.crc is None else self.crc,
            len(body) if self.packed_bytes is None else self.packed_bytes,
            len(self.data) if self.size_bytes is None else self.size_bytes,
        )

    def local_header(self) -> bytes:
        crc, packed, size = self.figures()
        said = {
            "signature": b"PK\3\4",
            "name": self.raw_name,
            "method": self.method,
            "flags": self.flags,
            "crc": crc,
            "packed_bytes": packed,
            "size_bytes": size,
            **self.local,
        }
        extra = b""
        if self.wide:
            extra = struct.pack("<2H2Q", 1, 16, said["size_bytes"], said["packed_bytes"])
            said |= {"packed_bytes": FULL32, "size_bytes": FULL32}
        fields = (
            said["signature"], 20, said["flags"], said["method"], 0, 0,
            said["crc"], said["packed_bytes"], said["size_bytes"], len(said["name"]), len(extra),
        )  # fmt: skip
        return struct.pack("<4s5H3L2H", *fields) + said["name"] + extra

    def entry(self, place: int) -> bytes:
        crc, packed, size = self.figures()
        offset = place if self.offset is None else self.offset
        extra = self.extra
        if self.wide:
            extra += struct.pack("<2H3Q", 1, 24, size, packed, offset)
            packed = size = offset = FULL32
        name = self.raw_name
        fields = (
            b"PK\1\2", 20, 20, self.flags, self.method, 0, 0, crc, packed, size,
            len(name), len(extra), 0, self.disk, 0, self.attributes, offset,
        )  # fmt: skip
        return struct.pack("<4s6H3L5H2L", *fields) + name + extra


def craft(
    *members: Member,
    comment: bytes = b"",
    zip64: bool = False,
    disk: int = 0,
    count: int | None = None,
    shift: int = 0,
    directory_tail: bytes = b"",
) -> bytes:
    """Return an archive of these members.

    Args:
        members: In the order of their bytes and of the directory.
        comment: The archive's comment.
        zip64: End it with the Zip64 records.
        disk: The part that it says it is.
        count: How many members it says it has.
        shift: Added to the offset of the directory that it states.
        directory_tail: Bytes of the directory that belong to no entry.
    """
    data = b""
    entries = []
    for member in members:
        data += member.gap
        entries.append(member.entry(len(data)))
        data += member.local_header() + member.body() + member.descriptor
    directory = b"".join(entries) + directory_tail
    number = len(members) if count is None else count
    return data + directory + end(number, len(directory), len(data) + shift, zip64=zip64, disk=disk,
                                  at=len(data) + len(directory), comment=comment)  # fmt: skip


def end(
    count: int,
    size: int,
    offset: int,
    *,
    at: int = 0,
    zip64: bool = False,
    disk: int = 0,
    comment: bytes = b"",
) -> bytes:
    """Return the end records of a directory."""
    records = b""
    if zip64:
        records += struct.pack(
            "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, disk, disk, count, count, size, offset
        )
        records += struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
        count, size, offset = FULL16, FULL32, FULL32
    records += struct.pack(
        "<4s4H2LH", b"PK\5\6", disk, disk, min(count, FULL16), min(count, FULL16), size, offset,
        len(comment),
    )  # fmt: skip
    return records + comment


def metadata(version: str) -> bytes:
    """Return a `SolutionUpdate.xml` in one of the forms that public scripts read."""
    return (
        f"<ASZSolutionBundleUpdates><ApplicableUpdate Version='{version}'><UpdateInfo>"
        f"<Version>{version}</Version></UpdateInfo></ApplicableUpdate></ASZSolutionBundleUpdates>"
    ).encode()


def bundle(version: str, *extra: Member, platform: bytes | None = None, **changed: Member) -> bytes:
    """Return a solution bundle, with members replaced (`metadata=`, `services=`) or added."""
    inner = craft(Member("Platform/OsUpdate.msu", b"msu" * 50))
    return craft(
        changed.get("metadata", Member("SolutionUpdate.xml", metadata(version), method=8)),
        changed.get(
            "services", Member("SolutionUpdate.zip", craft(Member("Services.nuspec", b"n")))
        ),
        Member(f"AS_Update_{version}.zip", inner if platform is None else platform),
        *extra,
    )


def write_sparse(path: Path, name: str, *, size_bytes: int) -> None:
    """Write an archive with one stored member of zeros, as a file with a hole; its CRC-32 is wrong."""
    member = Member(name, crc=0, packed_bytes=size_bytes, size_bytes=size_bytes, wide=True)
    header = member.local_header()
    directory = member.entry(0)
    with path.open("wb") as file:
        file.write(header)
        file.seek(len(header) + size_bytes)
        at = file.tell()
        file.write(directory)
        file.write(end(1, len(directory), at, zip64=True, at=at + len(directory)))
