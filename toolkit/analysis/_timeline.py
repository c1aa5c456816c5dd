"""What happened, one line per fact, over all nodes on one clock. Bounded; says what it left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from toolkit.analysis._case import Case, walk
from toolkit.analysis._events import BOOTS, CAU, MANAGEMENT, WINDOWS_UPDATE
from toolkit.model import Severity, Source

LIMIT = 5000
_UNIMPORTANT_CAU = frozenset({(CAU, 1000), (CAU, 2010), (CAU, 2014)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of the timeline."""

    at: datetime
    node: str
    source: str
    text: str
    place: str
    severity: Severity


def timeline(case: Case) -> tuple[tuple[Moment, ...], int]:
    """Return the moments in order of time, at most `LIMIT`, and how many were left out.

    What matters most stays: CAU and errors before warnings, warnings before the rest; of equal ones
    the newest.
    """
    moments = [*_events(case), *_steps(case)]
    left_out = max(0, len(moments) - LIMIT)
    if left_out:
        moments.sort(key=lambda row: (row[0], -row[1].at.timestamp()))
        del moments[LIMIT:]
    return tuple(sorted((one for _, one in moments), key=lambda one: (one.at, one.node))), left_out


def _events(case: Case) -> Iterator[tuple[int, Moment]]:
    for event in case.events:
        key, severity = event.key, event.severity
        if key[0] in (CAU, MANAGEMENT) and key not in _UNIMPORTANT_CAU:
            weight = 0
        elif severity is not Severity.INFO or key in BOOTS or key == (WINDOWS_UPDATE, 19):
            weight = 1
        else:
            weight = 2
        yield (
            weight,
            Moment(
                at=event.at,
                node=event.node,
                source=event.source,
                text=event.text,
                place=event.place,
                severity=severity,
            ),
        )


def _steps(case: Case) -> Iterator[tuple[int, Moment]]:
    """Yield the begin and end of update runs, and the ends of steps that failed."""
    for run in case.update_runs:
        bounds = [(run.started_at, f"update run {run.resource_id} started", Severity.INFO)]
        if run.progress and run.progress.ended_at:
            failed = run.progress.status.lower() == "error"
            bounds.append(
                (
                    run.progress.ended_at,
                    f"update run {run.resource_id} ended: {run.progress.status}",
                    Severity.CRITICAL if failed else Severity.INFO,
                )
            )
        for path, step in walk(run.progress) if run.progress else ():
            if len(path) > 1 and step.status.lower() == "error":
                bounds.append((step.ended_at, f"step {path[-1]} failed", Severity.CRITICAL))
        for at, text, severity in bounds:
            if at is not None:
                yield (
                    0,
                    Moment(
                        at=at,
                        node="",
                        source=Source.UPDATE_RUNS,
                        text=text,
                        place=run.resource_id,
                        severity=severity,
                    ),
                )
