"""Small promises about local files: translated errors, bounded reading, room, removal."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from toolkit.errors import StorageError, system_says
from toolkit.filesystem import read_begin

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def storage(attempted: str) -> Iterator[None]:
    """Turn what the operating system says about a local file into a `StorageError`."""
    try:
        yield
    except OSError as error:
        found = system_says(error)
        if error.errno in _FULL:
            hint = "free space there; the same command goes on with what is there already"
        elif error.errno == errno.EFBIG:
            hint = "a file of that size does not fit there: FAT32 ends at 4 GiB; use NTFS, exFAT or ext4"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = "check that the disk is not write-protected and the folder is yours"
        elif error.errno == errno.EEXIST:
            hint = "a file has that name, or a link that leads nowhere; move it away, or choose another"
        elif error.errno in (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG):
            hint = "check the name, and whether it is that of a file and its folder is there"
        else:
            hint = "check the disk; the same command goes on with what is there already"
        raise StorageError(attempted, found=found, hint=hint) from error


def read_at_most(path: Path, limit_bytes: int) -> bytes:
    """Return a file's bytes; one more than the limit where it is too long, which its reader refuses.

    Raises:
        InputError: It is a pipe or a device.
        StorageError: It cannot be read.
    """
    with storage(f"read {path}"):
        return read_begin(path, limit_bytes + 1)


def free_bytes(folder: Path) -> int | None:
    """Return the room left, or None where the file system does not tell (some report nothing at all).

    Raises:
        OSError: The folder is not there.
    """
    usage = shutil.disk_usage(folder)
    return usage.free if usage.total else None


def listed(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted; nothing where there is none.

    `Path.glob` passes over what it may not read, as if it were empty.

    Raises:
        StorageError: It cannot be read.
    """
    with storage(f"read {folder}"):
        try:
            return sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []


def remove_file(path: Path) -> None:
    """Remove a file if it is there, also a read-only one on Windows, which refuses that."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        path.chmod(0o644)
        path.unlink(missing_ok=True)
