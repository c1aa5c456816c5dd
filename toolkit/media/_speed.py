"""How fast a medium takes and gives bytes: a medium that gets slow is about to fail, or sits in a bad port."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from toolkit.model import human_size

SLOW_BYTES_PER_S = 10 << 20
"""The slowest cards still sold write 10 MB in a second. Source: SD Association, speed class 10."""
_ENOUGH_BYTES = 64 << 20
"""Fewer say more about opening files than about the device."""


@dataclass(slots=True, kw_only=True)
class Speed:
    """Bytes that went one way, and the time that took; other work between does not count."""

    clock: Callable[[], float] = time.monotonic
    size_bytes: int = 0
    seconds: float = 0.0

    def start(self) -> float:
        """Return the time, for `add`."""
        return self.clock()

    def add(self, size_bytes: int, *, since: float) -> None:
        """Count bytes that went between `since` and now."""
        self.seconds += self.clock() - since
        self.size_bytes += size_bytes

    @property
    def bytes_per_s(self) -> int | None:
        """The mean; None: too little went to tell."""
        if self.size_bytes < _ENOUGH_BYTES or not self.seconds:
            return None
        return int(self.size_bytes / self.seconds)


def human_speed(bytes_per_s: int | None) -> str:
    """Return a speed as people read it: `87.5 MiB/s`."""
    return "too little to tell" if bytes_per_s is None else f"{human_size(bytes_per_s)}/s"


def slow_warnings(bytes_per_s: int | None) -> tuple[str, ...]:
    """Return what to say of a medium that reads slowly, if it does."""
    if bytes_per_s is None or bytes_per_s >= SLOW_BYTES_PER_S:
        return ()
    return (
        f"it reads with {human_speed(bytes_per_s)} only: plug it into another port, without a hub; if it "
        "stays slow, it may be about to fail: copy the set folder to another one",
    )
