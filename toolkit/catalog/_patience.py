"""Which address next, after how long, and when to give up (pure).

Attempts that fail for a passing reason are repeated a bounded number of times; new bytes count as progress
and refill the budget, so a long download over a bad line ends as well. With several addresses of the same
file, the one that failed least is next, at once; among equals the fastest, and one that was not tried yet
before one that was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

RETRY_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
PROGRESS_BYTES = 8 << 20
"""So many new bytes refill the budget."""
JITTER = 0.25
"""Delays are this share longer or shorter, so that many sites do not come back at the same moment."""
LONGEST_RETRY_AFTER_S = 900.0


class Retries:
    """The budget of repeated attempts."""

    def __init__(self, delays_s: Sequence[float], *, random: Callable[[], float]) -> None:
        """Wait `delays_s` in turn; `random` gives numbers from 0 to 1."""
        self._delays_s, self._random = tuple(delays_s), random
        self._left = list(delays_s)
        self._furthest_bytes = 0

    def delay_s(self, done_bytes: int, retry_after_s: float | None) -> float | None:
        """Return how long to wait before the next attempt; None when the budget is used up.

        Args:
            done_bytes: How much of the file is there.
            retry_after_s: How long the server asked us to wait, if it did.
        """
        if done_bytes >= self._furthest_bytes + PROGRESS_BYTES:
            self._left, self._furthest_bytes = list(self._delays_s), done_bytes
        if not self._left:
            return None
        delay_s = self._left.pop(0) * (1 + JITTER * (2 * self._random() - 1))
        return max(delay_s, min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S))


@dataclass(slots=True)
class _Mirror:
    url: str
    failures: int = 0
    """Since the last bytes that came."""
    bytes_s: float | None = None
    is_out: bool = False


class Mirrors:
    """The addresses of one file, by health."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Take the addresses in the order in which they were given."""
        self._mirrors = {url: _Mirror(url) for url in urls}

    @property
    def usable(self) -> int:
        """How many may still be asked."""
        return sum(not mirror.is_out for mirror in self._mirrors.values())

    def pick(self) -> str:
        """Return the address to ask next."""
        usable = [mirror for mirror in self._mirrors.values() if not mirror.is_out]
        best = max(
            usable,
            key=lambda each: (
                -each.failures,
                float("inf") if each.bytes_s is None else each.bytes_s,
            ),
        )
        return best.url

    def brought(self, url: str, bytes_s: float) -> None:
        """Note the rate of one connection to an address; its failures are forgotten."""
        mirror = self._mirrors[url]
        mirror.failures = 0
        mirror.bytes_s = bytes_s if mirror.bytes_s is None else (mirror.bytes_s + bytes_s) / 2

    def failed(self, url: str) -> bool:
        """Note a failure that may pass; return whether another address has failed less often."""
        mirror = self._mirrors[url]
        mirror.failures += 1
        mirror.bytes_s = mirror.bytes_s or 0.0
        return self._mirrors[self.pick()].failures < mirror.failures

    def drop(self, url: str) -> None:
        """Never ask an address again."""
        self._mirrors[url].is_out = True

    def is_out(self, url: str) -> bool:
        """Whether an address was dropped."""
        return self._mirrors[url].is_out
