"""The unfinished bytes of one payload on the disk: written anywhere, journalled, checked when found again.

A process may be killed and power may fail at any moment. Bytes are written first and journalled after,
without waiting for the disk: what the journal tells is compared with the bytes before it is believed.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Protocol

from toolkit.catalog._journal import (
    LINE_LIMIT_BYTES,
    Known,
    address_line,
    block_line,
    first_line,
    read_lines,
)
from toolkit.catalog._ranges import BLOCK_BYTES, Blocks
from toolkit.filesystem import refuse_pipe

PART = ".part"
"""Ending of the name of a file whose bytes are not all there yet."""


class Digest(Protocol):
    """A running hash."""

    def update(self, data: memoryview, /) -> None:
        """Take the next bytes."""

    def hexdigest(self) -> str:
        """Return the hash of everything taken so far."""


class PartFile:
    """Where the unfinished bytes of one payload and the journal beside them lie."""

    def __init__(self, path: Path) -> None:
        """`path` is the final name; nothing is read or written yet."""
        self.path = path.with_name(path.name + PART)
        self.journal_path = self.path.with_name(self.path.name + ".journal")

    def known(self) -> Known | None:
        """Return what the journal tells; None if there is none, or none that is good."""
        try:
            refuse_pipe(self.journal_path)
            with self.journal_path.open("rb") as file:
                return read_lines(iter(lambda: file.readline(LINE_LIMIT_BYTES), b""))
        except FileNotFoundError:
            return None

    def remove(self) -> None:
        """Throw bytes and journal away."""
        self.path.unlink(missing_ok=True)
        self.journal_path.unlink(missing_ok=True)

    def rename(self, target: Path) -> None:
        """Give the bytes another name and drop the journal."""
        self.path.replace(target)
        self.journal_path.unlink(missing_ok=True)


class Part:
    """An open part file. Any thread may call it."""

    def __init__(self, where: PartFile) -> None:
        """Open the file, or make it, and read the journal; no byte is believed before `check`.

        Raises:
            OSError: The disk is full, fails or is not writable.
        """
        self.path = where.path
        self._lock = threading.Lock()
        self._is_closed = False
        if not where.path.exists():
            where.path.touch()
        self._file = where.path.open("r+b", buffering=0)
        self._at = -1
        known = where.known()
        if not where.journal_path.exists():
            where.journal_path.touch()
        self._journal = where.journal_path.open("r+b", buffering=0)  # not every disk can append
        self._journal.seek(0, os.SEEK_END)
        self.is_unknown = known is None and self.size_bytes > 0
        """Bytes were there and nothing was known of them; they are gone now."""
        self._known = known or Known()
        self._has_begun = known is not None
        if known is None:
            self._empty()
        else:
            self._journal.write(b"\n")  # ends a line that was torn

    @property
    def size_bytes(self) -> int:
        """Length of the file as it is now, gaps included."""
        return os.fstat(self._file.fileno()).st_size

    @property
    def blocks(self) -> Blocks:
        """What is there."""
        return self._known.blocks

    @property
    def total_bytes(self) -> int | None:
        """Length of the whole file, if it was announced."""
        return self._known.total_bytes

    def validator(self, url: str) -> str:
        """Return what named the state of the file at an address; empty if nothing did."""
        return self._known.validators.get(url, "")

    def check(self, digest: Digest, advance: Callable[[int], None]) -> tuple[int, int]:
        """Read what the journal tells of, once; forget every block that is not what it says.

        Returns:
            How far the file is whole from its start, all of it fed to `digest`; and how many bytes were
            forgotten.
        """
        buffer = memoryview(bytearray(BLOCK_BYTES))
        whole, forgotten = 0, 0
        for index in range(len(self.blocks)):
            filled = self.blocks.filled(index)
            if not filled:
                continue
            data = buffer[:filled]
            self._file.seek(index * BLOCK_BYTES)
            if not _fill(self._file, data) or zlib.crc32(data) != self.blocks.crc(index):
                self.note(index, 0, 0)
                forgotten += filled
                continue
            if whole == index * BLOCK_BYTES:
                digest.update(data)
                whole += filled
            advance(filled)
        self._at = -1
        return whole, forgotten

    def belongs_to(self, total_bytes: int | None, url: str, validator: str) -> None:
        """Write down what the bytes belong to, if that is news."""
        with self._lock:
            if not self._has_begun or total_bytes != self.total_bytes:
                self._known.total_bytes, self._has_begun = total_bytes, True
                self._append(first_line(total_bytes))
            if self._known.validators.get(url) != validator:
                self._known.validators[url] = validator
                self._append(address_line(url, validator))

    def write(self, offset: int, data: memoryview) -> None:
        """Write bytes that follow what is there of their blocks, and journal them block by block."""
        with self._lock:
            if self._is_closed:
                return
            self._write(offset, data)
            while data:
                index, start = divmod(offset, BLOCK_BYTES)
                chunk = data[: BLOCK_BYTES - start]
                crc = zlib.crc32(chunk, self.blocks.crc(index) if start else 0)
                self._note(index, start + len(chunk), crc)
                offset, data = offset + len(chunk), data[len(chunk) :]

    def note(self, index: int, filled: int, crc: int) -> None:
        """Journal what somebody else wrote."""
        with self._lock:
            if not self._is_closed:
                self._note(index, filled, crc)

    def restart(self) -> None:
        """Forget everything."""
        with self._lock:
            self._known = Known()
            self._empty()

    def finish(self) -> None:
        """Bring a whole file to the disk, and no byte more than the file has."""
        if self.total_bytes is not None and self.size_bytes > self.total_bytes:
            self._file.truncate(self.total_bytes)
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the files; whoever still writes is not heard any more."""
        with self._lock:
            self._is_closed = True
            self._file.close()
            self._journal.close()

    def _empty(self) -> None:
        for file in (self._file, self._journal):
            if os.fstat(file.fileno()).st_size:  # some FUSE drivers cannot write after a cut
                file.truncate(0)
            file.seek(0)
        self._at, self._has_begun = -1, False

    def _write(self, offset: int, data: memoryview) -> None:
        if self._at != offset:
            self._file.seek(offset)
        self._at = -1
        written = 0
        while written < len(data):
            written += self._file.write(data[written:])
        self._at = offset + written

    def _note(self, index: int, filled: int, crc: int) -> None:
        self._append(block_line(index, filled, crc))
        self.blocks.note(index, filled, crc)

    def _append(self, line: bytes) -> None:
        written = self._journal.write(line)
        if written < len(line):  # full: the error comes with the rest
            self._journal.write(line[written:])


def _fill(file: FileIO, buffer: memoryview) -> bool:
    """Read exactly as much as the buffer holds; False at the end of the file."""
    done = 0
    while done < len(buffer):
        count = file.readinto(buffer[done:])
        if not count:
            return False
        done += count
    return True
