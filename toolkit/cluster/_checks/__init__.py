"""What is asked of a cluster before an update, and what the answers mean. Pure.

::

    readiness = judge_all(answers)
    readiness.worst()                   # critical, warning, unknown or pass

`CHECKS` lists every check in the order in which they are shown.
"""

from __future__ import annotations

from toolkit.cluster._checks._answers import Answers
from toolkit.cluster._checks._check import Check, CheckId, CheckResult, CheckVerdict, Readiness
from toolkit.cluster._checks._judging import CHECKS, judge_all
from toolkit.cluster._checks._ready_answers import MARKERS

__all__ = [
    "CHECKS",
    "MARKERS",
    "Answers",
    "Check",
    "CheckId",
    "CheckResult",
    "CheckVerdict",
    "Readiness",
    "judge_all",
]
