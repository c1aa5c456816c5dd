"""Gives a `ferry` of its own another clock: Python imports this first where its folder is on PYTHONPATH.

`TEST_CLOCK_AHEAD_S` is how far the clock is ahead, in seconds; with `TEST_CLOCK_JUMPS_AFTER` it is right
for so many readings of the time of day, and jumps then. The monotonic clock is left alone, as a real one
is, and so is OpenSSL's idea of the time: certificates are judged by the right one.
"""

import datetime
import itertools
import os
import time

_AHEAD_S = float(os.environ["TEST_CLOCK_AHEAD_S"])
_RIGHT_READINGS = int(os.environ.get("TEST_CLOCK_JUMPS_AFTER", "0"))
_readings = itertools.count()
_time = time.time


def _now_s() -> float:
    return _time() + (_AHEAD_S if next(_readings) >= _RIGHT_READINGS else 0)


class _WrongDatetime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(_now_s(), tz)


time.time = _now_s
datetime.datetime = _WrongDatetime  # type: ignore[misc]
