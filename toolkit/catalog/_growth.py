"""How many connections help? Found by trying while the file comes (pure).

Theory of operation: the rate of what is there is measured for a moment. Then more connections are opened:
four times as many, up to a limit. Once each has brought its first bytes and has settled, the rate
is measured again. Connections are kept as far as the rate has grown by them and the others end with their
piece; then nothing is tried for a while, each time for longer. Nothing is tried at all while something else
is the limit: the processor, a rate that a person set, or what is written by one connection anyway.

Moments are short, so that a file of seconds gains too, and longer on a long way: what one round trip more or
less brings must not decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FAST_BYTES_S = 128 << 20
"""More than a gigabit line brings. One connection as fast as this is faster alone: see `_fastlane`."""
BUSY = 0.5
"""A process that computes for this share of the time does not wait for the line."""
MEASURE_S = 0.2
SETTLE_S = 0.05
GAIN = 1.25
"""A rate has grown clearly when it is this many times the one before."""
NEARLY = 0.8
"""Connections that bring this share of what as many first ones brought are all kept."""
LOOKS = 4
"""So often the rate is measured before connections are said not to help: one bad moment proves nothing."""
REST_S = 5.0
STEP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was seen at one moment."""

    at_s: float
    received_bytes: int
    """Since the beginning, over all connections."""
    busy_s: float
    """Time for which this process has computed."""
    opening_s: float
    """How long the slowest connection took from being asked for to its first bytes: some round trips."""
    is_settling: bool
    """Not every connection that is wanted has brought something."""
    is_paced: bool
    """A rate limit that a person set makes us wait."""


class Growth:
    """Decides how many connections there should be."""

    def __init__(self, most: int) -> None:
        """Begin with one, and never want more than `most`."""
        self.wanted = 1
        self._allowed = self._most = most
        self._mark: Sample | None = None
        self._settled_at_s = 0.0
        self._before: tuple[int, float] | None = None
        """While something is tried: connections and rate before it."""
        self._best = 0.0
        """While something is tried: the best rate since."""
        self._looks = 0
        self._rest_s, self._rest_until_s = REST_S, 0.0

    @property
    def is_trying(self) -> bool:
        """Whether it is open yet if the latest connections help."""
        return self._before is not None

    def restart(self, at_s: float) -> None:
        """Begin anew after all connections had ended; what was refused then may be allowed now."""
        self.wanted, self._most = 1, self._allowed
        self._mark, self._before = None, None
        self._settled_at_s = at_s + SETTLE_S

    def limit(self, most: int) -> None:
        """Want no more than `most` for now: further connections were refused."""
        self._most = max(1, most)
        self.wanted = min(self.wanted, self._most)
        self._before = self._mark = None

    def see(self, sample: Sample) -> None:
        """Take a measurement, and change `wanted` when something was learnt."""
        if sample.is_settling:
            self._settled_at_s = sample.at_s + max(SETTLE_S, sample.opening_s)
        if sample.at_s < self._settled_at_s:
            self._mark = None
            return
        mark = self._mark
        if mark is None:
            self._mark = sample
            return
        elapsed_s = sample.at_s - mark.at_s
        if elapsed_s < max(MEASURE_S, 2 * sample.opening_s):
            return
        self._mark = sample
        rate = (sample.received_bytes - mark.received_bytes) / elapsed_s
        if self._before is not None and not self._judge(*self._before, rate, sample.at_s):
            return
        is_busy = sample.busy_s - mark.busy_s > BUSY * elapsed_s
        is_fast = self.wanted == 1 and rate >= FAST_BYTES_S
        if rate and not (is_busy or is_fast or sample.is_paced):
            self._try(rate, sample.at_s)

    def _judge(self, count: int, before: float, rate: float, at_s: float) -> bool:
        """Keep as many connections as the rate has grown for; False if that is not clear yet."""
        self._best, self._looks = max(self._best, rate), self._looks + 1
        tried = self.wanted
        gain = self._best / before
        useful = count if gain < GAIN else min(tried, math.ceil(count * gain / NEARLY))
        if useful < tried and self._looks < LOOKS:
            return False
        self._before = None
        if useful < tried:
            self.wanted = useful
            self._rest_until_s = at_s + self._rest_s
            self._rest_s *= 2
        return True

    def _try(self, rate: float, at_s: float) -> None:
        more = min(self._most, STEP * self.wanted)
        if at_s < self._rest_until_s or more <= self.wanted:
            return
        self._before, self._best, self._looks = (self.wanted, rate), 0.0, 0
        self.wanted = more
        self._mark, self._settled_at_s = None, at_s + SETTLE_S
