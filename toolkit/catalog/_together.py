"""Several downloads drawn as one: the bytes of all that are still to come, their rate, the time they take."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.errors import ReachError
from toolkit.model import Progress

if TYPE_CHECKING:
    from toolkit.catalog._fetch import Fetcher


class Together:
    """The `Progress` of several downloads in turn: each step is as long as everything still to come."""

    def __init__(self, progress: Progress, sizes_bytes: Sequence[int | None]) -> None:
        """Draw on `progress`; `sizes_bytes` are those of the downloads in turn, as far as known."""
        self._progress = progress
        self._sizes = list(sizes_bytes)
        self._number = 0

    def begin(self, what: str, *, total_bytes: int | None) -> None:
        """Start drawing a download and all that follow it."""
        sizes = [total_bytes, *self._sizes[self._number + 1 :]]
        known = [size for size in sizes if size is not None]
        count = len(self._sizes)
        self._progress.begin(
            what if count < 2 else f"{what} ({self._number + 1} of {count}; bytes of all to come)",
            total_bytes=sum(known) if len(known) == len(sizes) else None,
        )

    def advance(self, count_bytes: int) -> None:
        """Report bytes of the present download."""
        self._progress.advance(count_bytes)

    def end(self) -> None:
        """Stop drawing; a download that starts over begins again."""
        self._progress.end()

    def say(self, message: str) -> None:
        """Report a notice."""
        self._progress.say(message)

    def next(self) -> None:
        """Go on to the next download."""
        self._number += 1


def size_of(urls: Sequence[str], fetcher: Fetcher) -> int | None:
    """Ask for the size of a file, by its first byte; None where nobody can say at the moment.

    Raises:
        DownloadError, AuthenticationError: No address gives us the file: better known before the first
            of many gigabytes.
    """
    from toolkit.catalog._fetch import InterruptedDownload  # the network, where it is used

    refused: ReachError | None = None
    for url in urls:
        try:
            with contextlib.closing(fetcher.open(url, offset=0, validator="", stop=1)) as answer:
                return answer.total_bytes
        except InterruptedDownload:
            return None
        except ReachError as error:
            refused = error
    if refused is not None:
        raise refused
    return None
