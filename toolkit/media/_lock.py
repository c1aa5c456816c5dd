"""One process at a time in one folder on a local disk."""

from __future__ import annotations

import contextlib
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
