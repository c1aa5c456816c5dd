"""Large writes past the operating system's cache, for a line that is about as fast as the disk.

Buffered writing of gigabytes costs processor time twice (into the cache, and out of it for the hash) and
stalls when dirty pages are flushed. Here a chunk of 1 MiB is filled from the line, hashed and written at
the same time from the same memory, by a thread each, while the next chunks are filled. Where the system
or the file system knows no such writing, the chunks are written the ordinary way.

Whoever is killed loses the chunks on their way: 4 MiB at most, a few hundredths of a second of such a line.
"""

from __future__ import annotations

import errno
import os
import queue
import sys
import threading
import zlib
from io import FileIO

from toolkit.catalog._follower import Follower
from toolkit.catalog._part import Part
from toolkit.catalog._ranges import BLOCK_BYTES
from toolkit.filesystem import aligned_buffers

CHUNK_BYTES = 1 << 20
_CHUNKS = 4


class FastLane:
    """Writes whole chunks of a part file and feeds its follower; use it as a context manager.

    Only one connection may be at work, and everything before the first chunk must be there.
    """

    def __init__(self, part: Part, follower: Follower) -> None:
        """Begin with empty chunks; `follower` hashes what `put` takes."""
        self._part, self._follower = part, follower
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        for chunk in aligned_buffers(_CHUNKS, CHUNK_BYTES):
            self._free.put(chunk)
        self._filled: queue.SimpleQueue[tuple[int, memoryview, threading.Event] | None]
        self._filled = queue.SimpleQueue()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="write", daemon=True)

    def __enter__(self) -> FastLane:
        """Start writing."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until everything is written.

        Raises:
            OSError: It could not be written.
        """
        self._filled.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def chunk(self) -> memoryview:
        """Return a chunk to fill, as soon as one is free.

        Raises:
            OSError: An earlier one could not be written.
        """
        free = self._free.get()
        if self._error is not None:
            raise self._error
        return free

    def put(self, offset: int, chunk: memoryview) -> None:
        """Hash and write a full chunk at `offset`, a multiple of its size."""
        hashed = threading.Event()
        self._follower.feed(offset, chunk, hashed.set)
        self._filled.put((offset, chunk, hashed))

    def _run(self) -> None:
        direct = _open_direct(self._part)
        try:
            while (item := self._filled.get()) is not None:
                offset, chunk, hashed = item
                if self._error is None:
                    try:
                        if direct is not None and not _write_direct(direct, offset, chunk):
                            direct.close()
                            direct = None
                        if direct is None:
                            self._part.write(offset, chunk)
                        else:
                            self._journal(offset, chunk)
                    except OSError as error:
                        self._error = error
                hashed.wait()
                self._free.put(chunk)
        finally:
            if direct is not None:
                direct.close()

    def _journal(self, offset: int, chunk: memoryview) -> None:
        for start in range(0, len(chunk), BLOCK_BYTES):
            block = chunk[start : start + BLOCK_BYTES]
            self._part.note((offset + start) // BLOCK_BYTES, len(block), zlib.crc32(block))


def _open_direct(part: Part) -> FileIO | None:
    if sys.platform == "linux" and hasattr(os, "O_DIRECT"):
        try:
            return FileIO(os.open(part.path, os.O_WRONLY | os.O_DIRECT), "wb")
        except OSError:  # what is really wrong, ordinary writing says
            return None
    return None


def _write_direct(file: FileIO, offset: int, chunk: memoryview) -> bool:
    """Write a chunk past the cache; False if the file system cannot after all."""
    file.seek(offset)
    done = 0
    while done < len(chunk):
        try:
            done += file.write(chunk[done:])
        except OSError as error:
            if error.errno == errno.EINVAL:
                return False
            raise
    return True
