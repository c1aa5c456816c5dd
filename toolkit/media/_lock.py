"""One process at a time: in one folder on a local disk, or on one medium."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from toolkit.errors import StorageError
from toolkit.media._device import on_storage


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
            raise StorageError(
                attempted,
                found=busy,
                hint="wait for it to end, then run the same command again",
            ) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def one_writer(root: Path, book: Path | None) -> Iterator[None]:
    """Let one process of this home write to a medium at a time; two would begin two sets on it.

    The lock is at home, because a medium holds nothing but sets.

    Args:
        root: Root of the medium.
        book: Where home keeps what it knows of sets, beside which the lock lies; None: nowhere, and
            nothing is locked.

    Raises:
        StorageError: Another process writes there.
    """
    if book is None:
        yield
        return
    attempted = f"write a medium at {root}"
    with on_storage(attempted):
        book.parent.mkdir(parents=True, exist_ok=True)
        place = hashlib.sha256(str(root.resolve()).encode()).hexdigest()
    busy = "another ferry is writing to it"
    path = book.parent / f"medium-{place[:16]}.lock"
    with one_at_a_time(path, attempted=attempted, busy=busy, timeout_s=0):
        yield
