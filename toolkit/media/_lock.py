"""One process at a time: in one folder on a local disk, in what home keeps of its sets, on one medium, and in one scratch folder.

Nothing is put onto a medium for that, which may be full: the kernel locks its root folder. Where a folder cannot be
locked (Windows, some network disks), a file in the temporary folder of this user stands for it. Either lock ends with
its process, however that ends.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from toolkit.errors import StorageError
from toolkit.media._device import on_storage
from toolkit.media._place import device_of

_USER: int | None
"""Whose temporary folder it is; None: each user has one."""
_BOOK_TIMEOUT_S = 60


@contextlib.contextmanager
def one_at_a_time(path: Path, *, attempted: str, busy: str, timeout_s: float) -> Iterator[None]:
    """Hold the lock that the file `path` stands for.

    Args:
        path: The lock file; it stays behind.
        attempted: What cannot be done while another process holds it.
        busy: What another process does while it holds it.
        timeout_s: How long to wait for it.

    Raises:
        StorageError: Another process holds the lock, or it cannot be taken.
    """
    lock = FileLock(path, timeout=timeout_s)
    with on_storage(attempted):
        try:
            lock.acquire()
        except Timeout as error:  # an OSError too, so it is met first
            raise _in_use(attempted, busy) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def alone_on_medium(root: Path, *, attempted: str) -> Iterator[None]:
    """Let one process change what lies on a medium at a time.

    Args:
        root: Root of the medium.
        attempted: What cannot be done while another process does.

    Raises:
        StorageError: Another process writes or erases there, or the lock cannot be taken.
    """
    with _alone_in(
        root, attempted=attempted, busy="another ferry is writing it, or erasing a set on it"
    ):
        yield


@contextlib.contextmanager
def repairing_alone(folder: Path, *, attempted: str) -> Iterator[None]:
    """Let one process at a time repair media of a set in one scratch folder.

    Args:
        folder: Where the repaired files of the set lie; who holds the lock may remove it.
        attempted: What cannot be done while another process does.

    Raises:
        StorageError: Another process repairs there, or the lock cannot be taken.
    """
    busy = "another ferry is repairing media of this set there"
    with on_storage(attempted):
        before = folder.stat()
    with _alone_in(folder, attempted=attempted, busy=busy):
        with on_storage(attempted):
            is_still_there = folder.is_dir() and os.path.samestat(before, folder.stat())
        if not is_still_there:  # who held the lock has removed it just now
            raise _in_use(attempted, busy)
        yield


@contextlib.contextmanager
def making_keys_alone(folder: Path, *, attempted: str) -> Iterator[None]:
    """Let one process at a time make keys in a folder, which removes what a killed one left there.

    Raises:
        StorageError: Another process makes keys there, or the lock cannot be taken.
    """
    with _alone_in(folder, attempted=attempted, busy="another ferry is making keys there"):
        yield


@contextlib.contextmanager
def alone_in_book(book: Path, *, attempted: str) -> Iterator[None]:
    """Let one process at a time change what home keeps of its sets, a matter of moments; the next one waits.

    Args:
        book: Where home keeps its sets; made if missing.
        attempted: What is to be changed.

    Raises:
        StorageError: Another process holds the lock for long, or it cannot be taken.
    """
    with on_storage(attempted):
        book.mkdir(parents=True, exist_ok=True)
    busy = "another ferry is changing what this catalog knows of its sets"
    with one_at_a_time(book / ".lock", attempted=attempted, busy=busy, timeout_s=_BOOK_TIMEOUT_S):
        yield


@contextlib.contextmanager
def measuring_alone(book: Path, *, attempted: str) -> Iterator[None]:
    """Let one process at a time measure and sign a new set that is cut or spread, which may take an hour.

    Args:
        book: Where home keeps its sets.
        attempted: What cannot be done while another process does.

    Raises:
        StorageError: Another process does, or the lock cannot be taken.
    """
    busy = "another ferry is measuring a new set of this catalog, which may be the same one"
    with one_at_a_time(book / ".measuring.lock", attempted=attempted, busy=busy, timeout_s=0):
        yield


@contextlib.contextmanager
def _alone_in(folder: Path, *, attempted: str, busy: str) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        if not _lock_folder(folder, held, attempted=attempted, busy=busy):
            with on_storage(attempted):
                path = _stand_in(folder)
            held.enter_context(one_at_a_time(path, attempted=attempted, busy=busy, timeout_s=0))
        yield


def _in_use(attempted: str, busy: str) -> StorageError:
    return StorageError(
        attempted, found=busy, hint="wait for it to end, then run the same command again"
    )


def _stand_in(root: Path) -> Path:
    """Return the file that stands for a folder, whatever path leads to it."""
    user = "" if _USER is None else f"-{_USER}"
    folder = Path(tempfile.gettempdir()) / f"ferry-locks{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    made = folder.lstat()
    if not stat.S_ISDIR(made.st_mode) or _USER not in (None, made.st_uid):
        raise FileExistsError(errno.EEXIST, "not a folder of this user", str(folder))
    drive, device = device_of(root)
    place = hashlib.sha256(f"{drive} {device} {root.stat().st_ino}".encode()).hexdigest()[:16]
    return folder / f"{place}.lock"


if sys.platform == "win32":
    _USER = None

    def _lock_folder(
        folder: Path, held: contextlib.ExitStack, *, attempted: str, busy: str
    ) -> bool:
        return False

else:
    import fcntl

    _USER = os.getuid()

    def _lock_folder(
        folder: Path, held: contextlib.ExitStack, *, attempted: str, busy: str
    ) -> bool:
        """Have the folder itself locked until `held` is closed; return whether that is possible.

        Raises:
            StorageError: Another process has it locked.
        """
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return False  # some FUSE file systems cannot open a folder
        held.callback(os.close, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _in_use(attempted, busy) from error
        except OSError:
            return False  # NFS locks no folder, and some servers nothing
        return True
