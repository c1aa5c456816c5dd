"""URL → a file on disk with its size and SHA-256, hashed while it is written.

Theory of operation: bytes go to `<name>.part`; a journal beside it (`<name>.part.json`) says which file
they belong to: address, validator, length. A later attempt hashes what is there and asks for the rest
with Range and If-Range; when the server does not resume, or the file has changed, it starts over and
says so. Attempts that fail for a passing reason are repeated a bounded number of times; 64 MiB of new
bytes count as progress and refill the budget, so a long download over a bad line ends as well.

Nothing is judged here: whoever called compares the digest with what was published.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from toolkit.catalog._fetch import Answer, Fetcher, InterruptedDownload
from toolkit.catalog._storage import storage, write_beside
from toolkit.errors import DownloadError, StorageError
from toolkit.model import Progress, Sha256

BUFFER_BYTES = 64 << 10
"""Larger buffers fall out of the processor's cache and were twice as slow (1 MiB)."""
PROGRESS_BYTES = 64 << 20
RETRY_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
_READ_BYTES = 1 << 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """What a finished download measured."""

    size_bytes: int
    sha256: Sha256
    announced_bytes: int | None
    """Length the server announced last, if it did."""
    resumed_bytes: int
    """How much of it an earlier command had left."""


@dataclass(slots=True)
class _Journal:
    url: str = ""
    validator: str = ""
    total_bytes: int | None = None


class PartFile:
    """The unfinished bytes of one payload and the journal beside them."""

    def __init__(self, path: Path) -> None:
        """`path` is the final name; nothing is read or written yet."""
        self.path = path.with_name(path.name + ".part")
        self._journal_path = self.path.with_name(self.path.name + ".json")

    def journal(self) -> _Journal:
        """Return what is known of the bytes; nothing, if the journal is missing or unreadable."""
        try:
            values = json.loads(self._journal_path.read_text(encoding="utf-8"))
            total = values["total_bytes"]
            return _Journal(
                url=str(values["url"]),
                validator=str(values["validator"]),
                total_bytes=None if total is None else int(total),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return _Journal()  # the pinned hash proves the bytes in any case

    def note(self, journal: _Journal) -> None:
        """Write down what the bytes belong to."""
        values = {
            "url": journal.url,
            "validator": journal.validator,
            "total_bytes": journal.total_bytes,
        }
        write_beside(self._journal_path, json.dumps({"format": 1, **values}, indent=1))

    def remove(self) -> None:
        """Throw bytes and journal away."""
        self.path.unlink(missing_ok=True)
        self._journal_path.unlink(missing_ok=True)

    def rename(self, target: Path) -> None:
        """Give the bytes another name and drop the journal."""
        self.path.replace(target)
        self._journal_path.unlink(missing_ok=True)


def download(
    url: str,
    part: PartFile,
    *,
    fetcher: Fetcher,
    progress: Progress,
    retry_delays_s: Sequence[float],
    sleep: Callable[[float], None],
) -> Downloaded:
    """Bring the file at `url` into `part`, going on from what is there.

    Raises:
        DownloadError: The server does not give us the whole file.
        StorageError: The disk is full or fails; what was written stays for the next attempt.
    """
    with storage(f"write {part.path}"), part.path.open("ab", buffering=0) as file:
        transfer = _Transfer(url, part, file, progress)
        transfer.hash_existing()
        resumed_bytes = transfer.size_bytes
        left, furthest = list(retry_delays_s), transfer.size_bytes
        while not transfer.is_complete():
            try:
                transfer.attempt(fetcher)
                break
            except InterruptedDownload as error:
                if transfer.size_bytes >= furthest + PROGRESS_BYTES:
                    left, furthest = list(retry_delays_s), transfer.size_bytes
                if not left:
                    raise DownloadError(
                        f"download {url}",
                        found=f"{error.found}, after {transfer.size_bytes} bytes",
                        expected="the whole file",
                        hint="the same command goes on from there",
                    ) from error
                delay = left.pop(0)
                progress.say(
                    f"{error.found}; resuming at {transfer.size_bytes} bytes in {delay:g} s"
                )
                sleep(delay)
            finally:
                transfer.end_progress()
        os.fsync(file.fileno())
    return Downloaded(
        size_bytes=transfer.size_bytes,
        sha256=Sha256(transfer.digest.hexdigest()),
        announced_bytes=transfer.journal.total_bytes,
        resumed_bytes=0 if transfer.started_over else resumed_bytes,
    )


class _Transfer:
    """The bytes written so far, their running digest, and what they belong to."""

    def __init__(self, url: str, part: PartFile, file: BinaryIO, progress: Progress) -> None:
        self._url, self._part, self._file, self._progress = url, part, file, progress
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._is_drawing = False
        self.digest = hashlib.sha256()
        self.size_bytes = 0
        self.started_over = False
        self.journal = part.journal()

    def hash_existing(self) -> None:
        """Hash what an earlier command left."""
        present = self._part.path.stat().st_size
        if present == 0:
            return
        self._begin(f"check what is there of {self._part.path.stem}", present)
        with self._part.path.open("rb") as file:
            while data := file.read(_READ_BYTES):
                self.digest.update(data)
                self._progress.advance(len(data))
                self.size_bytes += len(data)
        self.end_progress()
        self._progress.say(f"resuming {self._part.path.stem} at {self.size_bytes} bytes")

    def is_complete(self) -> bool:
        """Whether an earlier command had received everything and only failed to finish."""
        return self.size_bytes > 0 and self.size_bytes == self.journal.total_bytes

    def attempt(self, fetcher: Fetcher) -> None:
        """Fetch what is missing, to the end.

        Raises:
            InterruptedDownload: It stopped before the end.
            DownloadError: It will not come.
        """
        same_address = self.journal.url == self._url
        validator = self.journal.validator if same_address else ""
        answer = fetcher.open(self._url, offset=self.size_bytes, validator=validator)
        with contextlib.closing(answer):
            known = self.journal.total_bytes
            if (
                answer.start
                and known is not None
                and answer.total_bytes not in (None, known, self.size_bytes)
            ):
                self._start_over(f"the file there has {answer.total_bytes} bytes now, not {known}")
                raise InterruptedDownload(f"fetch {self._url}", found="another file than before")
            if answer.start == 0 and self.size_bytes:
                self._start_over("the server does not resume, or the file there has changed")
            self._note(answer)
            self._make_room(answer)
            self._begin(f"download {self._part.path.stem}", answer.total_bytes)
            self._progress.advance(self.size_bytes)
            self._copy(answer)
        if answer.total_bytes is not None and self.size_bytes < answer.total_bytes:
            raise InterruptedDownload(
                f"fetch {self._url}",
                found=f"the line ended at {self.size_bytes} of {answer.total_bytes} bytes",
            )

    def end_progress(self) -> None:
        """End the step being drawn, if there is one."""
        if self._is_drawing:
            self._progress.end()
            self._is_drawing = False

    def _copy(self, answer: Answer) -> None:
        buffer, digest = self._buffer, self.digest
        while count := answer.readinto(buffer):
            data = buffer[:count]
            self._write(data)
            digest.update(data)
            self.size_bytes += count
            self._progress.advance(count)

    def _write(self, data: memoryview) -> None:
        """Write all of `data`, or leave the file as it was and raise."""
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError:
            with contextlib.suppress(OSError):  # keep file and digest in step
                self._file.truncate(self.size_bytes)
            raise

    def _note(self, answer: Answer) -> None:
        journal = _Journal(self._url, answer.validator, answer.total_bytes)
        if journal != self.journal:
            self._part.note(journal)
            self.journal = journal

    def _make_room(self, answer: Answer) -> None:
        if answer.total_bytes is None:
            return
        missing = answer.total_bytes - self.size_bytes
        free = shutil.disk_usage(self._part.path.parent).free
        if missing > free:
            raise StorageError(
                f"download {self._part.path.stem} to {self._part.path.parent}",
                found=f"{free} bytes free",
                expected=f"{missing} more bytes",
                hint="free space there; the same command goes on with what is there already",
            )

    def _start_over(self, reason: str) -> None:
        self._progress.say(f"{reason}; starting over with {self._part.path.stem}")
        _log.info("%s: starting over", reason)
        self._file.truncate(0)
        self.digest, self.size_bytes, self.started_over = hashlib.sha256(), 0, True
        self.journal = _Journal()

    def _begin(self, what: str, total_bytes: int | None) -> None:
        self.end_progress()
        self._progress.begin(what, total_bytes=total_bytes)
        self._is_drawing = True
