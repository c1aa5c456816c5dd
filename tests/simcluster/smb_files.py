"""The file commands of the SMB server: CREATE to SET_INFO over a FileTree.

Every command takes a `Request` and gives the body of its response, or raises `RefusedError`.
What a file or volume looks like in bytes is in `smb_info`. Section numbers are those of [MS-SMB2];
information classes those of [MS-FSCC] 2.4.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import shutil
import stat
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tests.simcluster import smb_info
from tests.simcluster.filetree import FileTree
from tests.simcluster.open_files import REMOVER, Holder, OpenFiles
from tests.simcluster.sharedays import ShareDays
from tests.simcluster.smb_faults import ConnectionState, PendingWrite
from tests.simcluster.smb_wire import (
    CREDIT_BYTES,
    HEADER_BYTES,
    MAX_IO_BYTES,
    SAME_FILE,
    RefusedError,
    Request,
    Status,
    from_filetime,
    output_body,
)

_CREATE = struct.Struct("<HBBIQQIIIIIHHII")
_CLOSE = struct.Struct("<HHI16s")
_READ = struct.Struct("<HBBIQ16sIIIHH")
_WRITE = struct.Struct("<HHIQ16sIIHHI")
_QUERY_DIRECTORY = struct.Struct("<HBBI16sHHI")
_QUERY_INFO = struct.Struct("<HBBIHHIII16s")
_SET_INFO = struct.Struct("<HBBIHHI16s")

_SUPERSEDE, _OPEN, _CREATE_NEW, _OPEN_IF, _OVERWRITE, _OVERWRITE_IF = range(6)
_SUPERSEDED, _OPENED, _CREATED, _OVERWRITTEN = range(4)

_OPTION_FOLDER, _OPTION_FILE, _OPTION_DELETE_ON_CLOSE = 0x1, 0x40, 0x1000

# access rights of 2.2.13.1
READ_DATA, WRITE_DATA, APPEND_DATA, EXECUTE = 0x1, 0x2, 0x4, 0x20
WRITE_ATTRIBUTES, DELETE = 0x100, 0x10000
ALL_ACCESS = 0x1F01FF
_GENERIC = {
    0x80000000: 0x120089,
    0x40000000: 0x120116,
    0x20000000: 0x1200A0,
    0x10000000: ALL_ACCESS,
    0x02000000: ALL_ACCESS,  # MAXIMUM_ALLOWED
}

_KEEP_TIME = (0, (1 << 64) - 1, (1 << 64) - 2)  # "do not change this time" ([MS-FSCC] 2.4.7)


@contextlib.contextmanager
def _os_errors_as_statuses() -> Iterator[None]:
    """Answer what this machine's file system refuses as Windows would."""
    try:
        yield
    except ValueError:
        raise RefusedError(Status.OBJECT_NAME_INVALID) from None
    except OverflowError:  # an offset no file can have
        raise RefusedError(Status.INVALID_PARAMETER) from None
    except OSError as exc:
        raise RefusedError(
            _STATUS_OF_ERRNO.get(exc.errno or 0, Status.UNEXPECTED_IO_ERROR)
        ) from exc


_STATUS_OF_ERRNO = {
    errno.ENOENT: Status.OBJECT_NAME_NOT_FOUND,
    errno.EEXIST: Status.OBJECT_NAME_COLLISION,
    errno.ENOTDIR: Status.OBJECT_PATH_NOT_FOUND,
    errno.EISDIR: Status.FILE_IS_A_DIRECTORY,
    errno.EACCES: Status.ACCESS_DENIED,
    errno.EPERM: Status.ACCESS_DENIED,
    errno.EROFS: Status.ACCESS_DENIED,
    errno.ENOSPC: Status.DISK_FULL,
    errno.ENOTEMPTY: Status.DIRECTORY_NOT_EMPTY,
    errno.ENAMETOOLONG: Status.OBJECT_NAME_INVALID,
}


class Disk:
    """How much fits on a drive: what this machine has, or a limit the test sets."""

    def __init__(
        self,
        tree: FileTree,
        capacity_bytes: int | None = None,
        open_files: OpenFiles | None = None,
        days: ShareDays | None = None,
    ) -> None:
        self.tree = tree
        self.open_files = open_files or OpenFiles()
        self.days = days or ShareDays()
        self._capacity_bytes = capacity_bytes
        self._used_bytes = 0
        self._lock = threading.Lock()

    def measure(self) -> tuple[int, int]:
        """Count what lies on the drive now, whoever put it there.

        Returns:
            Total and free size in bytes.
        """
        if self._capacity_bytes is None:
            usage = shutil.disk_usage(self.tree.root)
            return usage.total, usage.free
        with self._lock:
            self._used_bytes = sum(map(_size_below, (path for _, path in self.tree.entries(""))))
            return self._capacity_bytes, max(0, self._capacity_bytes - self._used_bytes)

    def check_change(self, path: str, *, grows: bool = False) -> None:
        """Refuse to write on the cluster's volume on a day when that cannot be done.

        Raises:
            RefusedError: ACCESS_DENIED or DISK_FULL.
        """
        if self.tree.volume(path) == self.tree.root:
            return
        if self.days.refuses_changes():
            raise RefusedError(Status.ACCESS_DENIED)
        if grows and self.days.refuses_bytes():
            raise RefusedError(Status.DISK_FULL)

    @contextlib.contextmanager
    def growth(self, file: BinaryIO, end: int) -> Iterator[None]:
        """Hold room for a file to reach a new end while it is written.

        Raises:
            RefusedError: DISK_FULL.
        """
        if self._capacity_bytes is None:
            yield
            return
        with self._lock:
            grown = end - os.fstat(file.fileno()).st_size
            if grown > 0 and self._used_bytes + grown > self._capacity_bytes:
                raise RefusedError(Status.DISK_FULL)
            yield
            self._used_bytes += max(0, grown)


def _size_below(path: Path) -> int:
    """Add up the files of a tree that others may be changing meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        if not path.is_dir():
            return path.stat().st_size
        return sum(map(_size_below, path.iterdir()))
    return 0


@dataclass(slots=True)
class OpenFile:
    """One open of a client: a path on a drive with the rights it was granted."""

    number: int
    tree_id: int
    disk: Disk
    path: str
    access: int
    is_folder: bool
    holder: Holder | None = None
    is_delete_pending: bool = False
    file: BinaryIO | None = None
    unlisted: list[tuple[str, Path]] | None = None
    position: int = 0
    unflushed_at: int | None = None
    """The lowest offset that was written since the last flush."""

    @property
    def file_id(self) -> bytes:
        """The 16 bytes a client names this open by (2.2.14.1)."""
        return struct.pack("<QQ", self.number, self.number)

    @property
    def local(self) -> Path:
        """Where the file lies now."""
        return self.disk.tree.resolve(self.path)

    def need(self, rights: int) -> None:
        """Refuse unless one of the rights was granted."""
        if not self.access & rights:
            raise RefusedError(Status.ACCESS_DENIED)

    def data(self) -> BinaryIO:
        """Give the file for reading or writing, opened at its first use."""
        if self.is_folder:
            raise RefusedError(Status.INVALID_DEVICE_REQUEST)
        if self.file is None:
            writes = self.access & (WRITE_DATA | APPEND_DATA)
            self.file = self.local.open("r+b" if writes else "rb", buffering=0)
        return self.file

    def let_go(self) -> None:
        """Close the file of this machine, so that it can be moved on every platform."""
        if self.file is not None:
            self.file.close()
            self.file = None


@dataclass(slots=True)
class FileCommands:
    """The opens of one session, and the commands that work on them."""

    state: ConnectionState
    _opens: dict[int, OpenFile] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def find(self, file_id: bytes, last: OpenFile | None) -> OpenFile:
        """Find an open by its identifier; `last` is the one of the request before."""
        if file_id == SAME_FILE and last is not None:
            return last
        found = self._opens.get(struct.unpack_from("<Q", file_id, 8)[0])
        if found is None or found.file_id != file_id:
            raise RefusedError(Status.FILE_CLOSED)
        return found

    def close_all(self, tree_id: int | None = None) -> None:
        """End every open, or every open of one tree connect, as when a client goes away."""
        for opened in list(self._opens.values()):
            if tree_id is None or opened.tree_id == tree_id:
                with contextlib.suppress(RefusedError):
                    self._end(opened)

    def lose_unflushed(self) -> None:
        """Lose what was written and not flushed, as a machine does that stops: zeros stand there (2.2.17)."""
        for opened in self._opens.values():
            if opened.unflushed_at is not None:
                file = opened.data()
                size = os.fstat(file.fileno()).st_size
                file.truncate(min(size, opened.unflushed_at))
                file.truncate(size)

    def create(self, request: Request, tree_id: int, disk: Disk) -> tuple[OpenFile, bytes]:
        """CREATE (3.3.5.9); create contexts and oplocks are not looked at."""
        (
            _, _, _, _, _, access, _, shared, disposition, options, offset, length, _, _
        ) = request.unpack(_CREATE, 57)  # fmt: skip
        path = _checked_name(request.text(offset, length))
        access |= sum(rights for bit, rights in _GENERIC.items() if access & bit)
        with _os_errors_as_statuses():
            local = disk.tree.resolve(path)
            disk.measure()
            writes = access & (WRITE_DATA | APPEND_DATA | DELETE)
            if writes or disposition not in (_OPEN, _OPEN_IF) or not local.exists():
                disk.check_change(path)
            is_folder = bool(options & _OPTION_FOLDER) or local.is_dir()
            holder = None if is_folder else _held(disk, local, access, shared)
            try:
                action = _make(local, disposition, options, access)
                opened = OpenFile(
                    next(self._numbers), tree_id, disk, path, access, local.is_dir(), holder
                )
                if options & _OPTION_DELETE_ON_CLOSE:
                    opened.need(DELETE)
                    _mark_for_deletion(opened)
            except BaseException:
                if holder is not None:
                    disk.open_files.release(local, holder)
                raise
            body = struct.pack("<HBBI", 89, 0, 0, action) + smb_info.network_open(local)
        self._opens[opened.number] = opened
        return opened, body + opened.file_id + bytes(8)

    def close(self, request: Request, last: OpenFile | None) -> bytes:
        """CLOSE (3.3.5.10)."""
        flags, _, file_id = request.unpack(_CLOSE, 24)
        opened = self.find(file_id, last)
        with _os_errors_as_statuses():
            attributes = smb_info.network_open(opened.local)[:-4] if flags & 1 else bytes(52)
        self._end(opened)
        return struct.pack("<HHI", 60, flags & 1, 0) + attributes

    def flush(self, request: Request, last: OpenFile | None) -> bytes:
        """FLUSH (3.3.5.11)."""
        _, _, file_id = request.unpack(_CLOSE, 24)
        opened = self.find(file_id, last)
        opened.need(WRITE_DATA | APPEND_DATA)
        if not opened.is_folder:
            with _os_errors_as_statuses():
                os.fsync(opened.data().fileno())
            opened.unflushed_at = None
        return struct.pack("<HH", 4, 0)

    def read(self, request: Request, last: OpenFile | None) -> bytes:
        """READ (3.3.5.12)."""
        (_, _, length, offset, file_id, minimum, _, _, _, _) = request.unpack(_READ, 49)
        _check_size(request, length)
        opened = self.find(file_id, last)
        opened.need(READ_DATA | EXECUTE)
        with _os_errors_as_statuses():
            file = opened.data()
            file.seek(offset)
            data = file.read(length)
        if length and len(data) < max(minimum, 1):
            raise RefusedError(Status.END_OF_FILE)
        self.state.bytes_read += len(data)
        return struct.pack("<HBBIII", 17, HEADER_BYTES + 16, 0, len(data), 0, 0) + data

    def write(self, request: Request, last: OpenFile | None) -> bytes:
        """WRITE (3.3.5.13)."""
        offset, file_id, data, flags = _write_of(request)
        if self.state.pending_write is not None:
            data = memoryview(self.state.pending_write.data)
        opened = self.find(file_id, last)
        opened.need(WRITE_DATA | APPEND_DATA)
        with _os_errors_as_statuses():
            file, end = opened.data(), offset + len(data)
            grows = end > os.fstat(file.fileno()).st_size
            opened.disk.check_change(opened.path, grows=grows)
            opened.disk.days.delay(len(data))
            with opened.disk.growth(file, end):
                _write_all(file, offset, data)
            if flags & 1:  # WRITE_THROUGH
                os.fsync(file.fileno())
        if not flags & 1:
            before = opened.unflushed_at
            opened.unflushed_at = offset if before is None else min(offset, before)
        self.state.bytes_written += len(data)
        return struct.pack("<HHIIHH", 17, 0, len(data), 0, 0, 0)

    def query_directory(self, request: Request, last: OpenFile | None) -> bytes:
        """QUERY_DIRECTORY (3.3.5.18)."""
        (info_class, flags, _, file_id, offset, length, room) = request.unpack(_QUERY_DIRECTORY, 33)
        _check_size(request, room)
        opened = self.find(file_id, last)
        if not opened.is_folder:
            raise RefusedError(Status.INVALID_PARAMETER)
        opened.need(READ_DATA)
        is_first = opened.unlisted is None or bool(flags & 0x11)  # RESTART_SCANS, REOPEN
        with _os_errors_as_statuses():
            if is_first:
                pattern = request.text(offset, length) or "*"
                opened.unlisted = _matching(opened, pattern)
            remaining = opened.unlisted or []
            if not remaining:
                raise RefusedError(Status.NO_SUCH_FILE if is_first else Status.NO_MORE_FILES)
            listed, data = smb_info.directory(
                info_class,
                remaining,
                room,
                single=bool(flags & 2),  # RETURN_SINGLE_ENTRY
            )
            del remaining[:listed]
        return output_body(data)

    def query_info(self, request: Request, last: OpenFile | None) -> tuple[Status, bytes]:
        """QUERY_INFO (3.3.5.20); security descriptors and quotas are not kept."""
        (kind, info_class, room, _, _, _, _, _, file_id) = request.unpack(_QUERY_INFO, 41)
        _check_size(request, room)
        opened = self.find(file_id, last)
        with _os_errors_as_statuses():
            if kind == 1:
                data, fixed_bytes = smb_info.file(
                    info_class,
                    opened.local,
                    path=opened.path,
                    access=opened.access,
                    position=opened.position,
                    is_delete_pending=opened.is_delete_pending,
                )
            elif kind == 2:
                volume = opened.disk.tree.volume(opened.path)
                data, fixed_bytes = smb_info.volume(info_class, volume, *opened.disk.measure())
            else:
                raise RefusedError(Status.NOT_SUPPORTED)
        if room < fixed_bytes:
            raise RefusedError(Status.INFO_LENGTH_MISMATCH)
        status = Status.SUCCESS if len(data) <= room else Status.BUFFER_OVERFLOW
        return status, output_body(data[:room])

    def set_info(self, request: Request, last: OpenFile | None) -> bytes:
        """SET_INFO (3.3.5.21)."""
        (kind, info_class, length, offset, _, _, file_id) = request.unpack(_SET_INFO, 33)
        opened = self.find(file_id, last)
        data = bytes(request.buffer(offset, length))
        setter = _SETTERS.get(info_class)
        if kind != 1 or setter is None:
            raise RefusedError(Status.NOT_SUPPORTED)
        try:
            with _os_errors_as_statuses():
                setter(opened, data)
        except struct.error:
            raise RefusedError(Status.INFO_LENGTH_MISMATCH) from None
        return struct.pack("<H", 2)

    def _end(self, opened: OpenFile) -> None:
        opened.let_go()
        if self._opens.pop(opened.number, None) is not None and opened.holder is not None:
            opened.disk.open_files.release(opened.local, opened.holder)
        if opened.is_delete_pending:
            with _os_errors_as_statuses():
                local = opened.local
                if opened.is_folder:
                    local.rmdir()
                else:
                    local.unlink(missing_ok=True)


def _held(disk: Disk, local: Path, access: int, shared: int) -> Holder:
    """Note the open among the others of the file.

    Raises:
        RefusedError: SHARING_VIOLATION.
    """
    holder = disk.open_files.hold(local, access, shared)
    if holder is None:
        raise RefusedError(Status.SHARING_VIOLATION)
    return holder


def pending_write(request: Request) -> PendingWrite:
    """Tell what a WRITE request is about to do."""
    offset, _, data, _ = _write_of(request)
    return PendingWrite(offset, bytes(data))


def _write_of(request: Request) -> tuple[int, bytes, memoryview, int]:
    (at, length, offset, file_id, _, _, _, _, flags) = request.unpack(_WRITE, 49)
    _check_size(request, length)
    data = request.buffer(at, length)
    return offset, file_id, data, flags


def _write_all(file: BinaryIO, offset: int, data: memoryview) -> None:
    file.seek(offset)
    while data:
        data = data[file.write(data) :]


def _check_size(request: Request, size_bytes: int) -> None:
    """Refuse more data than the protocol allows, or than the request's credits pay for."""
    paid = max(1, request.header.credit_charge) * CREDIT_BYTES
    if size_bytes > MAX_IO_BYTES or size_bytes > paid:
        raise RefusedError(Status.INVALID_PARAMETER)


def _checked_name(name: str) -> str:
    """Take a name as CREATE and rename carry it: relative to the share, with backslashes."""
    if name.startswith("\\"):
        raise RefusedError(Status.INVALID_PARAMETER)
    if ":" in name or "/" in name:  # no alternate data streams here
        raise RefusedError(Status.OBJECT_NAME_INVALID)
    return name


def _make(local: Path, disposition: int, options: int, access: int) -> int:
    """Bring about what CREATE asks for, and tell which create action it was."""
    try:
        mode = local.stat().st_mode
    except FileNotFoundError:
        mode = None
    except NotADirectoryError:
        raise RefusedError(Status.OBJECT_PATH_NOT_FOUND) from None
    if mode is None:
        if not local.parent.is_dir():
            raise RefusedError(Status.OBJECT_PATH_NOT_FOUND)
        if disposition in (_OPEN, _OVERWRITE):
            raise RefusedError(Status.OBJECT_NAME_NOT_FOUND)
        if options & _OPTION_FOLDER:
            local.mkdir()
        else:
            local.open("xb").close()
        return _CREATED
    if disposition == _CREATE_NEW:
        raise RefusedError(Status.OBJECT_NAME_COLLISION)
    is_folder = stat.S_ISDIR(mode)
    if is_folder and options & _OPTION_FILE:
        raise RefusedError(Status.FILE_IS_A_DIRECTORY)
    if not is_folder and options & _OPTION_FOLDER:
        raise RefusedError(Status.NOT_A_DIRECTORY)
    empties = disposition in (_SUPERSEDE, _OVERWRITE, _OVERWRITE_IF)
    changes = empties or access & (WRITE_DATA | APPEND_DATA)
    if not is_folder and changes and smb_info.is_read_only(mode):
        raise RefusedError(Status.ACCESS_DENIED)
    if not empties:
        return _OPENED
    if is_folder:
        raise RefusedError(Status.OBJECT_NAME_COLLISION)
    os.truncate(local, 0)
    return _SUPERSEDED if disposition == _SUPERSEDE else _OVERWRITTEN


def _matching(opened: OpenFile, pattern: str) -> list[tuple[str, Path]]:
    """List a folder through a search pattern ([MS-FSA] 2.1.4.4), dots first."""
    translated = "".join(
        {"*": ".*", "?": ".", "<": ".*", ">": ".", '"': r"\."}.get(letter, re.escape(letter))
        for letter in pattern
    )
    matches = re.compile(translated, re.IGNORECASE | re.DOTALL).fullmatch
    local = opened.local
    dots = [(".", local), ("..", local.parent if local != opened.disk.tree.root else local)]
    return [
        (name, path)
        for name, path in dots + opened.disk.tree.entries(opened.path)
        if matches(name) and path.exists()
    ]


def _refuse_volume_root(opened: OpenFile) -> None:
    if opened.local == opened.disk.tree.volume(opened.path):
        raise RefusedError(Status.ACCESS_DENIED)


def _mark_for_deletion(opened: OpenFile) -> None:
    _refuse_volume_root(opened)
    local = opened.local
    if opened.is_folder and any(local.iterdir()):
        raise RefusedError(Status.DIRECTORY_NOT_EMPTY)
    if not opened.is_folder and smb_info.is_read_only(local.stat().st_mode):
        raise RefusedError(Status.ACCESS_DENIED)
    opened.is_delete_pending = True


def _set_basic(opened: OpenFile, data: bytes) -> None:
    """FileBasicInformation: write and access time, the read-only attribute."""
    opened.need(WRITE_ATTRIBUTES)
    _, accessed, written, _, attributes = struct.unpack_from("<QQQQI", data)
    local = opened.local
    now = local.stat()
    if attributes and not opened.is_folder:
        writable = now.st_mode | stat.S_IWUSR
        local.chmod(now.st_mode & ~0o222 if attributes & smb_info.READ_ONLY else writable)
    os.utime(
        local,
        ns=(
            now.st_atime_ns if accessed in _KEEP_TIME else from_filetime(accessed),
            now.st_mtime_ns if written in _KEEP_TIME else from_filetime(written),
        ),
    )


def _set_rename(opened: OpenFile, data: bytes) -> None:
    """FileRenameInformation, within one volume."""
    opened.need(DELETE)
    _refuse_volume_root(opened)
    replaces, _, length = struct.unpack_from("<B7xQI", data)
    name = _checked_name(data[20 : 20 + length].decode("utf-16-le"))
    tree = opened.disk.tree
    source, target = opened.local, tree.resolve(name)
    if tree.volume(name) != tree.volume(opened.path):
        raise RefusedError(Status.NOT_SAME_DEVICE)
    if not target.parent.is_dir():
        raise RefusedError(Status.OBJECT_PATH_NOT_FOUND)
    is_same = target.exists() and target.samefile(source)
    if is_same:
        target = target.with_name(name.split("\\")[-1])  # a change of case only
    elif target.exists() and not replaces:
        raise RefusedError(Status.OBJECT_NAME_COLLISION)
    elif target.is_dir() or (target.exists() and opened.is_folder):
        raise RefusedError(Status.ACCESS_DENIED)
    if not is_same and opened.disk.open_files.is_in_use(target, *REMOVER):
        raise RefusedError(Status.ACCESS_DENIED)  # the file that would be replaced is open
    opened.let_go()
    source.replace(target)
    opened.disk.open_files.move(source, target)
    opened.path = name


def _set_disposition(opened: OpenFile, data: bytes) -> None:
    """FileDispositionInformation and its extended form: the first bit means delete."""
    opened.need(DELETE)
    if data[:1] and data[0] & 1:
        _mark_for_deletion(opened)
    else:
        opened.is_delete_pending = False


def _set_position(opened: OpenFile, data: bytes) -> None:
    """FilePositionInformation."""
    (opened.position,) = struct.unpack_from("<Q", data)


def _set_allocation(opened: OpenFile, data: bytes) -> None:
    """FileAllocationInformation: room is checked, and a smaller size cuts the file."""
    opened.need(WRITE_DATA)
    (size,) = struct.unpack_from("<Q", data)
    file = opened.data()
    now = os.fstat(file.fileno()).st_size
    if size < now:
        file.truncate(size)
    elif size - now > opened.disk.measure()[1]:
        raise RefusedError(Status.DISK_FULL)


def _set_end_of_file(opened: OpenFile, data: bytes) -> None:
    """FileEndOfFileInformation."""
    opened.need(WRITE_DATA)
    (size,) = struct.unpack_from("<Q", data)
    file = opened.data()
    with opened.disk.growth(file, size):
        file.truncate(size)


_SETTERS = {
    4: _set_basic,
    10: _set_rename,
    13: _set_disposition,
    14: _set_position,
    19: _set_allocation,
    20: _set_end_of_file,
    64: _set_disposition,
}
