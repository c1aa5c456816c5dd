"""What files, folders and volumes look like on the wire: the information classes of [MS-FSCC].

Pure but for `stat`. Numbers are the class numbers of [MS-FSCC] 2.4 (files) and 2.5 (volumes).
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from tests.simcluster.smb_wire import RefusedError, Status, to_filetime

READ_ONLY, DIRECTORY, ARCHIVE = 0x1, 0x10, 0x20

_CLUSTER_BYTES = 4096
_SECTOR_BYTES = 512
_FILE_SYSTEM = "NTFS"
# case-preserved names, Unicode, persistent ACLs, sparse files: as NTFS says of itself
_FILE_SYSTEM_ATTRIBUTES = 0x4F
_MAX_NAME_CHARACTERS = 255


def is_read_only(mode: int) -> bool:
    """Tell whether the owner may not write: our stand-in for the read-only attribute."""
    return not mode & stat.S_IWUSR


def network_open(local: Path) -> bytes:
    """FileNetworkOpenInformation: four times, two sizes, attributes, four reserved bytes."""
    found = local.stat()
    return _times(found) + struct.pack("<QQII", *_sizes(found), _attributes(found), 0)


def file(
    info_class: int,
    local: Path,
    *,
    path: str,
    access: int,
    position: int,
    is_delete_pending: bool,
) -> tuple[bytes, int]:
    """Describe one open file.

    Returns:
        The bytes, and how many of them the client must have room for.

    Raises:
        RefusedError: The class is not known here.
    """
    found = local.stat()
    is_folder = stat.S_ISDIR(found.st_mode)
    basic = _times(found) + struct.pack("<II", _attributes(found), 0)
    links = max(1, found.st_nlink) if not is_folder else 1
    standard = struct.pack("<QQIBBH", *_sizes(found), links, is_delete_pending, is_folder, 0)
    internal = struct.pack("<Q", _inode(found))
    name = ("\\" + path).encode("utf-16-le")
    named = struct.pack("<I", len(name)) + name
    ea, alignment, mode = bytes(4), bytes(4), bytes(4)
    granted, at = struct.pack("<I", access & 0xFFFFFFFF), struct.pack("<Q", position)
    everything = basic + standard + internal + ea + granted + at + mode + alignment
    fixed = {
        4: basic,
        5: standard,
        6: internal,
        7: ea,
        8: granted,
        14: at,
        16: mode,
        17: alignment,
        34: network_open(local),
        35: struct.pack("<II", _attributes(found), 0),
    }
    if info_class in fixed:
        return fixed[info_class], len(fixed[info_class])
    if info_class == 18:
        return everything + named, len(everything) + 4
    if info_class in (9, 48):  # the name, the normalised name
        return named, 4
    if info_class == 22:
        return (b"" if is_folder else _unnamed_stream(found)), 0
    raise RefusedError(Status.INVALID_INFO_CLASS)


def volume(info_class: int, folder: Path, total_bytes: int, free_bytes: int) -> tuple[bytes, int]:
    """Describe the volume a file lies on; answers as `file` does."""
    total, free = total_bytes // _CLUSTER_BYTES, free_bytes // _CLUSTER_BYTES
    unit = struct.pack("<II", _CLUSTER_BYTES // _SECTOR_BYTES, _SECTOR_BYTES)
    system = _FILE_SYSTEM.encode("utf-16-le")
    serial = zlib.crc32(str(folder).encode())
    answers = {
        1: (_times(folder.stat())[:8] + struct.pack("<IIBB", serial, 0, 0, 0), 18),
        3: (struct.pack("<QQ", total, free) + unit, 24),
        4: (struct.pack("<II", 7, 0x20), 8),  # a disk that is mounted
        5: (
            struct.pack("<III", _FILE_SYSTEM_ATTRIBUTES, _MAX_NAME_CHARACTERS, len(system))
            + system,
            12,
        ),
        7: (struct.pack("<QQQ", total, free, free) + unit, 32),
        11: (struct.pack("<IIIIIII", *[_SECTOR_BYTES] * 2, *[_CLUSTER_BYTES] * 2, 0, 0, 0), 28),
    }
    if info_class not in answers:
        raise RefusedError(Status.INVALID_INFO_CLASS)
    return answers[info_class]


def directory(
    info_class: int, entries: Sequence[tuple[str, Path]], room: int, *, single: bool
) -> tuple[int, bytes]:
    """List entries, as many as fit.

    Returns:
        How many entries were listed, and the bytes.

    Raises:
        RefusedError: The class is not known here, or not even one entry fits.
    """
    listed = 0
    data = bytearray()
    last_at = 0
    for name, path in entries:
        at = len(data) + -len(data) % 8
        entry = _entry(info_class, name, path)
        if at + len(entry) > room:
            break
        data += bytes(at - len(data)) + entry
        if listed:  # the entry before points at this one
            struct.pack_into("<I", data, last_at, at - last_at)
        last_at = at
        listed += 1
        if single:
            break
    if not listed:
        raise RefusedError(Status.INFO_LENGTH_MISMATCH)
    return listed, bytes(data)


def _entry(info_class: int, name: str, path: Path) -> bytes:
    encoded = name.encode("utf-16-le")
    found = path.stat()
    if info_class == 12:
        return struct.pack("<III", 0, 0, len(encoded)) + encoded
    allocated, size = _sizes(found)
    sizes = struct.pack("<QQII", size, allocated, _attributes(found), len(encoded))
    head = bytes(8) + _times(found) + sizes
    inode = struct.pack("<Q", _inode(found))
    tails = {
        1: b"",
        2: bytes(4),
        3: bytes(4 + 2 + 24),
        37: bytes(4 + 2 + 24 + 2) + inode,
        38: bytes(4 + 4) + inode,
    }
    if info_class not in tails:
        raise RefusedError(Status.INVALID_INFO_CLASS)
    return head + tails[info_class] + encoded


def _unnamed_stream(found: os.stat_result) -> bytes:
    name = "::$DATA".encode("utf-16-le")
    allocated, size = _sizes(found)
    return struct.pack("<IIQQ", 0, len(name), size, allocated) + name


def _sizes(found: os.stat_result) -> tuple[int, int]:
    """Give the allocated size and the end of file; folders have neither."""
    if stat.S_ISDIR(found.st_mode):
        return 0, 0
    return -(-found.st_size // _CLUSTER_BYTES) * _CLUSTER_BYTES, found.st_size


def _times(found: os.stat_result) -> bytes:
    """Creation, access, write and change time."""
    born_ns = int(getattr(found, "st_birthtime", found.st_ctime) * 1_000_000_000)
    times = (
        min(born_ns, found.st_mtime_ns),
        found.st_atime_ns,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )
    return struct.pack("<QQQQ", *map(to_filetime, times))


def _attributes(found: os.stat_result) -> int:
    if stat.S_ISDIR(found.st_mode):
        return DIRECTORY
    return ARCHIVE | (READ_ONLY if is_read_only(found.st_mode) else 0)


def _inode(found: os.stat_result) -> int:
    return found.st_ino & ((1 << 64) - 1)
