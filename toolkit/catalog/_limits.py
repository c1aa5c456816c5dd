"""How much of the line a download may take, and when: rate, hours of the day, connections (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from toolkit.errors import InputError

MOST_CONNECTIONS = 16
"""So many are opened only where it was measured that they help."""
LEAST_RATE_BYTES_S = 16 << 10

_RATE = re.compile(r"(\d+(?:\.\d+)?)([kKmMgG]?)\Z")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_HOURS = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """A stretch of every day, local time; it may go over midnight."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Read `22:00-06:00`.

        Raises:
            ValueError: It is not two different times of day.
        """
        found = _HOURS.match(text.strip())
        if not found:
            raise ValueError(f"not two times of day: {text!r}")
        hour, minute, last_hour, last_minute = (int(part) for part in found.groups())
        if (last_hour, last_minute) == (24, 0):
            last_hour = 0
        start, end = time(hour, minute), time(last_hour, last_minute)
        if start == end:
            raise ValueError(f"not a part of the day: {text!r}")
        return cls(start=start, end=end)

    def __str__(self) -> str:
        """Return it as it is read."""
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    def wait(self, now: datetime) -> timedelta:
        """Return how long it is until the stretch begins; zero within it."""
        at = now.time()
        if self.start < self.end:
            is_within = self.start <= at < self.end
        else:
            is_within = at >= self.start or at < self.end
        if is_within:
            return timedelta()
        begin = now.replace(hour=self.start.hour, minute=self.start.minute, second=0, microsecond=0)
        return begin - now if begin > now else begin - now + timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a person allows."""

    rate_bytes_s: int | None = None
    """Of all connections together."""
    hours: Hours | None = None
    most_connections: int = MOST_CONNECTIONS

    @classmethod
    def parse(
        cls,
        *,
        rate: str | None = None,
        between: str | None = None,
        connections: int = MOST_CONNECTIONS,
    ) -> Limits:
        """Read what a person typed: `5M`, `22:00-06:00`, 8.

        Raises:
            InputError: It cannot be understood, or is out of bounds.
        """
        if not 1 <= connections <= MOST_CONNECTIONS:
            raise InputError(
                "read --connections", found=str(connections), expected=f"1 to {MOST_CONNECTIONS}"
            )
        try:
            hours = None if between is None else Hours.parse(between)
        except ValueError as error:
            raise InputError(
                "read --between", found=str(error), expected="local times like 22:00-06:00"
            ) from error
        return cls(
            rate_bytes_s=None if rate is None else _rate(rate),
            hours=hours,
            most_connections=connections,
        )


class Pace:
    """Spreads what comes over time so that a rate is kept."""

    def __init__(self, rate_bytes_s: int | None) -> None:
        """Keep at most `rate_bytes_s`; None: let everything pass."""
        self._rate_bytes_s = rate_bytes_s
        self._due_s = 0.0

    def delay_s(self, count_bytes: int, now_s: float) -> float:
        """Return how long to wait after having received some bytes, before receiving more."""
        if self._rate_bytes_s is None:
            return 0.0
        self._due_s = max(self._due_s, now_s) + count_bytes / self._rate_bytes_s
        return self._due_s - now_s


def _rate(text: str) -> int:
    found = _RATE.match(text.strip())
    rate = int(float(found[1]) * _UNITS[found[2].lower()]) if found else 0
    if rate < LEAST_RATE_BYTES_S:
        raise InputError(
            "read --limit-rate",
            found=text,
            expected=f"bytes per second, at least {LEAST_RATE_BYTES_S >> 10}k: 500k, 5M, 1.5G",
        )
    return rate
