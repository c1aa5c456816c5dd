"""What the file system under a folder can do, files that are there whole or not at all, and reading that ends.

Both sides write large files to disks that people bring along. A limit is told before the first byte, and
bytes are written out of order only where the gap before them is not filled with zeros on the disk. What is
read may be anything that somebody put under a name: a pipe is never waited for, and a small file has a limit.
What is moved past the page cache is moved through buffers that devices like.
"""

from __future__ import annotations

import contextlib
import errno
import io
import mmap
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from toolkit.errors import InputError, StorageError, system_says

FAT_LIMIT_BYTES = (4 << 30) - 1
"""Largest file on FAT32. Source: Microsoft, "FAT32 File System Specification" (32-bit file size)."""

_FAT = frozenset({"vfat", "msdos", "fat", "fat32", "fuse.fusefat"})
_WITHOUT_GAPS = _FAT | {"exfat"}
"""Source: both specifications: clusters of a file are a chain or a run from its start; none may be absent."""


DRAFT = ".tmp"
"""Ending of what a killed process leaves of a file that was not whole yet."""

_SMALL_LIMIT_BYTES = 8 << 20
"""No key, root, record or list of ours comes near it."""
_MARK_WITHIN_BYTES = 2048

_CANNOT_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF)
"""What network disks answer for a folder, whose server decides, and Windows for a file opened to read."""
_CANNOT_OPEN = (*_CANNOT_FLUSH, errno.EACCES, errno.EPERM)
"""What drivers that are programs (FUSE) answer for a folder; its files are flushed without it."""


_MOVE_AWAY = (
    "move away what stands there; if a file belongs there, put the file itself in its place, no link to it, "
    "then run the same command again"
)
_PLUG_IN = "plug it in again, then run the same command again"
_REASONS = {
    errno.ENOSPC: ("full", "free space or take a larger one, then run the same command again"),
    errno.EROFS: ("write-protected", "open its write lock or take another one"),
    errno.ENAMETOOLONG: ("a name that is too long for it", "choose a shorter name"),
    errno.EFBIG: ("a file system that cannot hold so large a file", "format it as exFAT or NTFS"),
    errno.EIO: ("failing (input/output error)", "copy to another medium and retire this one"),
    errno.EDQUOT: (
        "full (the quota of this user)",
        "free space there, then run the same command again",
    ),
    errno.ENODEV: ("gone", _PLUG_IN),
    errno.ENXIO: ("gone", _PLUG_IN),
    errno.ESTALE: ("gone", "connect the network disk again, then run the same command again"),
    errno.ENOTCONN: ("gone", _PLUG_IN),  # its driver was a program (FUSE) and has ended,
    errno.ECONNABORTED: ("gone", _PLUG_IN),  # or did so when it was just asked
    errno.EEXIST: ("taken by something else", "move that away, or give another place"),
    errno.ENOTDIR: (
        "a file where a folder belongs",
        "check the path, or move that file away",
    ),
    errno.ENOENT: ("not there", "check the path, and whether the medium is plugged in"),
    errno.ELOOP: ("a link that leads nowhere, or is not followed there", _MOVE_AWAY),
    errno.EISDIR: (
        "a folder where a file belongs",
        "delete it by hand if nobody needs what is in it, then run the same command again",
    ),
}
_NOT_WRITABLE = ("not writable for this user", "check its permissions and its write lock")
_NOT_READABLE = (
    "not readable for this user",
    "check its permissions, or run ferry as the user to whom it belongs",
)


class NotRegularError(OSError):
    """A link, pipe, device or folder stands where a file belongs; it was not opened."""


@contextlib.contextmanager
def on_storage(attempted: str) -> Iterator[None]:
    """Translate every `OSError` of the block into a `StorageError` that names the cause.

    Raises:
        StorageError: The device is full, write-protected, gone, failing or unreadable.
    """
    try:
        yield
    except OSError as error:
        what, hint = _reason(error)
        text = system_says(error)
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        if names:
            text += f": {' -> '.join(names)}"
        raise StorageError(
            attempted, found=f"{what} ({text})" if what else text, hint=hint
        ) from error


def _reason(error: OSError) -> tuple[str | None, str | None]:
    """Return what it means that the system refused, and what to do next; None: not known."""
    if isinstance(error, NotRegularError):
        return None, _MOVE_AWAY
    if error.errno not in (errno.EACCES, errno.EPERM):
        return _REASONS.get(error.errno or 0, (None, None))
    return _NOT_READABLE if _is_unreadable(error.filename) else _NOT_WRITABLE


def _is_unreadable(path: str | bytes | int | None) -> bool:
    """Whether reading is refused: an error does not say what was tried."""
    if not path or isinstance(path, int):
        return False
    folder = os.path.dirname(path) or os.curdir  # noqa: PTH120 - a `Path` of bytes is none
    return not os.access(folder, os.X_OK) or (
        os.path.lexists(path) and not os.access(path, os.R_OK)
    )


def file_system(folder: Path) -> str:
    """Return what the system calls the file system under a folder; empty if it does not say."""
    return _name(folder)


def largest_file_bytes(folder: Path) -> int | None:
    """Return the largest file that the file system under a folder can hold, or None if not known."""
    return FAT_LIMIT_BYTES if _name(folder).lower() in _FAT else None


def has_cheap_gaps(folder: Path) -> bool:
    """Whether bytes may be written far behind a file's end without zeros being written before them."""
    return _name(folder).lower() not in _WITHOUT_GAPS


def refuse_pipe(path: Path) -> None:
    """Refuse what is only called like a file, before it is opened: a pipe would block for ever.

    A link may lead to the file. Of a folder the system says itself that it is none.

    Raises:
        InputError: It is a pipe or a device.
        OSError: Nothing stands there, or it cannot be looked at.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(
            f"read {path}",
            found="a pipe or a device, which is not a file",
            expected="a file on a disk",
            hint="save it to a disk first, and give that file",
        )


def open_regular(path: Path) -> io.FileIO:
    """Open a file to read, and nothing that is only called like one.

    Raises:
        InputError: It is a pipe or a device.
        OSError: It cannot be read.
    """
    refuse_pipe(path)
    return path.open("rb", buffering=0)


def read_begin(path: Path, count_bytes: int) -> bytes:
    """Return so many bytes of a file, fewer only where it ends.

    Raises:
        InputError: It is a pipe or a device.
        OSError: It cannot be read.
    """
    refuse_pipe(path)
    with path.open("rb") as file:
        return file.read(count_bytes)


def read_regular(path: Path, *, limit_bytes: int = _SMALL_LIMIT_BYTES) -> bytes:
    """Return a small file whole.

    Raises:
        InputError: It is larger than any file of its kind, or a pipe or a device.
        OSError: It cannot be read.
    """
    data = read_begin(path, limit_bytes + 1)
    if len(data) > limit_bytes:
        raise InputError(
            "read",
            file=str(path),
            found="a large file",
            expected=f"{limit_bytes} bytes at most",
            hint="no file of its kind is that large: is it the one you mean?",
        )
    return data


def has_mark(path: Path, mark: str) -> bool:
    """Whether a mark stands near the beginning of a file; in a pipe or a device nobody looks for it.

    Raises:
        OSError: It cannot be read.
    """
    try:
        return mark.encode() in read_begin(path, _MARK_WITHIN_BYTES)
    except InputError:
        return False


def write_beside(path: Path, data: bytes | io.FileIO, *, is_locked: bool = False) -> None:
    """Write a file so that it is there whole or not at all; of two at once the later one stays.

    Args:
        path: The file.
        data: What it will hold; of an open file the rest, however large.
        is_locked: Whether nobody else can write it now: then its draft has always the same name, and
            what a killed process left of it is written over.

    Raises:
        OSError: The disk is full or fails; the file is as it was.
    """
    own = "" if is_locked else f".{secrets.token_hex(4)}"
    draft = path.with_name(f"{path.name}{own}{DRAFT}")
    try:
        with draft.open("wb") as file:
            if isinstance(data, io.FileIO):
                shutil.copyfileobj(data, file)
            else:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def aligned_buffers(count: int, size_bytes: int) -> tuple[memoryview, ...]:
    """Return memory to read and write files past the page cache with, aligned as every device wants it.

    A device is handed the pieces of real memory that a buffer lies in. Here 2 MiB in one piece were read at 3 GiB/s,
    in 512 pieces (a page each) at 1.2. Linux gives large pages only to memory that is private (it may be set to give
    none), and a fork must not share private memory that a device writes to (open(2), "O_DIRECT").

    Args:
        count: How many buffers.
        size_bytes: Of each; a multiple of the page size. 2 MiB are one large page where the kernel aligns them so.
    """
    length = count * size_bytes
    memory = mmap.mmap(-1, length)
    if sys.platform == "linux" and hasattr(mmap, "MADV_HUGEPAGE"):
        private = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):  # a kernel without large pages
            private.madvise(mmap.MADV_DONTFORK)
            private.madvise(mmap.MADV_HUGEPAGE)
            memory = private
    whole = memoryview(memory)
    return tuple(whole[at : at + size_bytes] for at in range(0, length, size_bytes))


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system knows such a thing (not on Windows).

    Raises:
        OSError: The disk fails.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno in _CANNOT_OPEN:
            return
        raise
    _flush(handle)


def sync_file(path: Path) -> None:
    """Make bytes durable that another program wrote; a file that may only be read, where a reader may ask.

    Raises:
        OSError: The disk fails.
    """
    mode = os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY  # Windows flushes for writers
    _flush(os.open(path, mode | getattr(os, "O_BINARY", 0)))


def _flush(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
    finally:
        os.close(handle)


if sys.platform == "win32":
    import ctypes

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)

    def _name(folder: Path) -> str:
        name = ctypes.create_unicode_buffer(64)
        found = _kernel32.GetVolumeInformationW(
            folder.resolve().anchor, None, 0, None, None, None, name, len(name)
        )
        return name.value if found else ""

else:

    def _name(folder: Path) -> str:
        """Return the type of the innermost mount over a folder, from /proc/mounts where there is one."""
        try:
            lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        here = folder.resolve()
        best, kind = -1, ""
        for line in lines:
            fields = line.split(" ")
            if len(fields) < 3:
                continue
            point = Path(fields[1].replace("\\040", " "))
            if here.is_relative_to(point) and len(point.parts) >= best:
                best, kind = len(point.parts), fields[2]
        return kind
