"""One process at a time, also where the disk belongs to a server that knows no file locks.

A native lock ends with its process. Where the file system has none (some network disks), the lock is a
file that names its owner: one whose process has died on this machine is taken over, one that names another
machine is not, for nobody here can tell whether that process still lives.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

from toolkit.catalog._storage import storage
from toolkit.errors import StorageError

_NO_NATIVE_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_SOFT_ENDING = ".owner.lock"
"""A name of its own: a native lock's file stays behind, and would look like an owner without a name."""


class InUseError(StorageError):
    """Another process holds the lock."""


@contextlib.contextmanager
def locked(
    path: Path, *, attempted: str, say: Callable[[str], None], wait_s: float = 0
) -> Iterator[None]:
    """Hold the lock that the file `path` stands for.

    Args:
        path: The lock file; it may stay behind, empty.
        attempted: What cannot be done while another process holds it.
        say: Told when the file system has no locks and a file with our name stands in for one.
        wait_s: How long to wait for another process.

    Raises:
        InUseError: Another process holds it.
        StorageError: The folder cannot be written.
    """
    lock: filelock.BaseFileLock = filelock.FileLock(path, timeout=wait_s, fallback_to_soft=False)
    with storage(attempted):
        try:
            _acquire(lock, attempted, hint="wait until that one has ended")
        except OSError as error:
            if error.errno not in _NO_NATIVE_LOCKS:
                raise
            say(
                f"{path.parent}: this file system has no locks; a file names the process at work instead"
            )
            owner_file = path.with_name(path.name.removesuffix(".lock") + _SOFT_ENDING)
            lock = filelock.SoftFileLock(owner_file, timeout=wait_s)
            _acquire(
                lock,
                attempted,
                hint=f"wait until that one has ended; only if it is gone for good, delete {owner_file}",
            )
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: filelock.BaseFileLock, attempted: str, *, hint: str) -> None:
    try:
        lock.acquire()
    except filelock.Timeout as error:
        owner = f" ({error})" if isinstance(lock, filelock.SoftFileLock) else ""
        raise InUseError(
            attempted, found=f"another ferry is working on it{owner}", hint=hint
        ) from error
