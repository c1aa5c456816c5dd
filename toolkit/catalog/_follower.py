"""Hashes a file in order, close behind whoever writes it, in a thread of its own.

Bytes come from the file, out of the operating system's cache as long as nobody is far ahead, or straight
from memory where the writer goes around that cache. No second pass over the finished file is needed.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from toolkit.catalog._part import Digest

PUSH_BYTES = 2 << 20
"""So often the disk begins to take what was hashed, so that little is left to wait for at the end.

Waiting for the disk itself would stop those who write meanwhile: a file system's journal is one for all. And a
process that waits for a disk dies late when it is killed, while its connections go on receiving.
"""
_READ_BYTES = 256 << 10


class Follower:
    """The hash of a growing file."""

    def __init__(self, path: Path, digest: Digest, position: int) -> None:
        """Follow the file at `path`; `digest` has taken the bytes up to `position` already.

        Args:
            path: Opened for reading here.
            digest: Must not be used by anybody else before `finish`.
            position: Where to go on.
        """
        self._digest, self._position = digest, position
        self._pushed = self._reached = position
        self._chunks: deque[tuple[int, memoryview, Callable[[], None]]] = deque()
        self._changed = threading.Condition()
        self._is_ending = self._is_stopped = False
        self._error: OSError | None = None
        self._file = path.open("rb", buffering=0)
        self._thread = threading.Thread(target=self._run, name="hash", daemon=True)
        self._thread.start()

    def reach(self, position: int) -> None:
        """Tell that the file is whole up to `position`.

        Raises:
            OSError: The file could not be read.
        """
        with self._changed:
            if self._error is not None:
                raise self._error
            self._reached = max(self._reached, position)
            if self._has_work():
                self._changed.notify()

    def feed(self, offset: int, chunk: memoryview, taken: Callable[[], None]) -> None:
        """Give the bytes at `offset` from memory, before they are written; all before are whole.

        Args:
            offset: Where the bytes stand in the file.
            chunk: Must not change before `taken` was called.
            taken: Called by the follower's thread.
        """
        with self._changed:
            if self._error is None and not self._is_stopped:
                self._chunks.append((offset, chunk, taken))
                self._changed.notify()
                return
        taken()  # nobody hashes any more; `reach` and `finish` say why

    def finish(self) -> str:
        """Wait until everything that was told of is hashed; return the hash in hex.

        Raises:
            OSError: The file could not be read.
        """
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._digest.hexdigest()

    def stop(self) -> None:
        """Give up."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        buffer = memoryview(bytearray(_READ_BYTES))
        with self._file:
            try:
                while self._step(buffer):
                    pass
            except OSError as error:
                with self._changed:
                    self._error = error
            with self._changed:
                self._is_stopped = True
                for _, _, taken in self._chunks:
                    taken()

    def _step(self, buffer: memoryview) -> bool:
        """Hash the next bytes; False at the end."""
        with self._changed:
            while not (self._is_stopped or self._is_ending or self._has_work()):
                self._changed.wait()
            if self._is_stopped or not (self._is_fed() or self._reached > self._position):
                return False
            chunk = self._chunks.popleft() if self._is_fed() else None
            limit = self._chunks[0][0] if self._chunks else self._reached
        if chunk is not None:
            _, data, taken = chunk
            self._digest.update(data)
            self._position += len(data)
            self._push()
            taken()
            return True
        self._file.seek(self._position)
        count = self._file.readinto(buffer[: min(len(buffer), limit - self._position)])
        if not count:
            raise OSError(None, "a file became shorter while it was written", str(self._file.name))
        self._digest.update(buffer[:count])
        self._position += count
        self._push()
        return True

    def _push(self) -> None:
        """Let the system begin to bring to the disk what was hashed, where it takes such hints.

        The stretch before is told again: a chunk from memory may have been written after it was hashed.
        """
        count = self._position - self._pushed
        if sys.platform == "linux" and count >= PUSH_BYTES:
            start = max(0, self._pushed - PUSH_BYTES)
            number = self._file.fileno()
            os.posix_fadvise(number, start, self._position - start, os.POSIX_FADV_DONTNEED)
            self._pushed = self._position

    def _is_fed(self) -> bool:
        return bool(self._chunks) and self._chunks[0][0] == self._position

    def _has_work(self) -> bool:
        behind = self._reached - self._position
        return self._is_fed() or behind >= (1 if self._chunks else _READ_BYTES)
