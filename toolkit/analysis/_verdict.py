"""The answer in plain words: what failed, where, why, is a second try safe, what to do.

One answer is about the whole bundle, and each failed run has one of its own: another run's step tree, and what was
logged while that one went on, says nothing of it. What is of no run in particular (health, markers, gaps) counts for all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from toolkit.analysis._case import Case, CoverageStatus, Outcome
from toolkit.analysis._rules.steps import has_failed
from toolkit.model import Evidence, Finding, RerunSafety, RunState, Severity, Source, UpdateRun

_WORST_FIRST = (
    RerunSafety.NO, RerunSafety.AFTER_REMEDY, RerunSafety.UNKNOWN, RerunSafety.YES
)  # fmt: skip

_RERUN_WORDS = {
    RerunSafety.YES: "Yes: the same operation may be started again as it is.",
    RerunSafety.AFTER_REMEDY: "Yes, but only after what is listed below is done.",
    RerunSafety.NO: "No: starting it again would not help, or would do harm.",
    RerunSafety.UNKNOWN: "Not known: nobody has published an answer. Ask Microsoft support first.",
}

_LOGGED = (
    Source.CAU_EVTX, Source.CAU_XML, Source.CAU_MANAGEMENT_EVTX, Source.CAU_MANAGEMENT_XML, Source.SYSTEM_EVTX,
    Source.WINDOWS_UPDATE_EVTX, Source.CAU_REPORTS,
)  # fmt: skip
"""Sources that tell when something happened, and not to which update run it belongs."""
_MARGIN = timedelta(minutes=15)
"""What followed from a failure is written after it, and clocks differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What somebody woken at night needs first."""

    headline: str
    nodes: tuple[str, ...]
    cause: str
    rerun_safe: RerunSafety
    rerun_text: str
    remedy: tuple[str, ...]
    rule: str
    """Of the finding that this rests on; empty: nothing critical was found."""
    blind_spots: int
    """How many sources are missing or damaged; more than none means: there may be more."""


def verdict(case: Case, findings: tuple[Finding, ...]) -> Verdict:
    """Condense the findings; the first one is the best candidate for the root cause."""
    worst = [one for one in findings if one.severity is Severity.CRITICAL]
    if not worst:
        return _without_failure(case, findings, _blind_spots(case))
    return _condensed(case, worst, _what(case))


def run_verdict(case: Case, findings: tuple[Finding, ...], run: UpdateRun) -> Verdict:
    """Condense what the findings say of one failed run; where they say nothing, nothing is known of it."""
    critical = (one for one in findings if one.severity is Severity.CRITICAL)
    worst = [about for one in critical if (about := _of_run(one, run, case.update_runs))]
    what = _failure_of(run, case)
    if worst:
        return _condensed(case, worst, what)
    return Verdict(
        headline=f"{what}: nothing in this bundle says why",
        nodes=(),
        cause="",
        rerun_safe=RerunSafety.UNKNOWN,
        rerun_text=_RERUN_WORDS[RerunSafety.UNKNOWN],
        remedy=(),
        rule="",
        blind_spots=_blind_spots(case),
    )


def _of_run(finding: Finding, run: UpdateRun, runs: tuple[UpdateRun, ...]) -> Finding | None:
    """Return a finding without the evidence of other runs; None: it rests on theirs."""
    told = [(piece, _is_of(piece, run, runs)) for piece in finding.evidence]
    of_it = {is_of for _, is_of in told}
    if False in of_it and True not in of_it:
        return None
    return replace(finding, evidence=tuple(piece for piece, is_of in told if is_of is not False))


def _is_of(piece: Evidence, run: UpdateRun, runs: tuple[UpdateRun, ...]) -> bool | None:
    """Whether a piece of evidence is of this run; None: it is of no run in particular."""
    if piece.source == Source.UPDATE_RUNS:
        return f"{piece.place}:".startswith(f"{run.resource_id}:")
    if piece.source == Source.UPDATES:
        return piece.text.startswith(f"{run.resource_id.rpartition('/')[0]}:")
    if piece.source not in _LOGGED:
        return None
    meanwhile = [one.resource_id for one in runs if _went_on(one, piece)]
    return run.resource_id in meanwhile if meanwhile else None


def _went_on(run: UpdateRun, piece: Evidence) -> bool:
    if piece.at is None or run.started_at is None or run.updated_at is None:
        return False
    return run.started_at - _MARGIN <= piece.at <= run.updated_at + _MARGIN


def _blind_spots(case: Case) -> int:
    return sum(
        row.status
        in (
            CoverageStatus.MISSING,
            CoverageStatus.NOT_ASKED,
            CoverageStatus.DAMAGED,
            CoverageStatus.UNREADABLE,
        )
        for row in case.coverage
    )


def _condensed(case: Case, worst: list[Finding], what: str) -> Verdict:
    first = worst[0]
    nodes = next(
        (
            found
            for finding in worst
            if (found := [one.node for one in finding.evidence if one.node])
        ),
        [],
    )
    return Verdict(
        headline=f"{what}: {first.title}",
        nodes=tuple(dict.fromkeys(nodes)),
        cause=first.cause,
        rerun_safe=(safe := _rerun(case, worst)),
        rerun_text=_RERUN_WORDS[safe],
        remedy=first.remedy,
        rule=first.rule,
        blind_spots=_blind_spots(case),
    )


def _rerun(case: Case, worst: list[Finding]) -> RerunSafety:
    """Return whether a second try is safe: an open run forbids it; else the first finding decides.

    A finding further down only weighs in if it forbids what the first one allows.
    """
    if case.cau_runs and case.cau_runs[-1].outcome is Outcome.OPEN:
        return RerunSafety.NO
    if any(one.rerun_safe is RerunSafety.NO for one in worst):
        return RerunSafety.NO
    known = [one.rerun_safe for one in worst if one.rerun_safe is not RerunSafety.UNKNOWN]
    return min(known, key=_WORST_FIRST.index, default=RerunSafety.UNKNOWN)


def _what(case: Case) -> str:
    run = case.update_runs[-1] if case.update_runs else None
    if run is not None and has_failed(run):
        return _failure_of(run, case)
    if case.cau_runs and case.cau_runs[-1].outcome in (Outcome.FAILED, Outcome.PARTIAL):
        return f"The CAU run failed on cluster {case.cluster}"
    return f"Cluster {case.cluster} needs attention"


def _failure_of(run: UpdateRun, case: Case) -> str:
    name = run.resource_id.partition("/")[2].partition("/")[0] or run.resource_id
    return f"Update {name} failed on cluster {case.cluster}"


def _without_failure(case: Case, findings: tuple[Finding, ...], blind: int) -> Verdict:
    run = case.update_runs[-1] if case.update_runs else None
    caveat = f", but {blind} source(s) are missing or damaged" if blind else ""
    if case.cau_runs and case.cau_runs[-1].outcome is Outcome.OPEN:
        headline = f"A CAU run is still open on cluster {case.cluster}"
        safe, text = RerunSafety.NO, "No: wait for the open run to end."
    elif run is not None and run.state is RunState.InProgress:
        headline = f"An update run is still in progress on cluster {case.cluster}"
        safe, text = RerunSafety.NO, "No: wait for the open run to end."
    elif not case.cau_runs and run is None:
        headline = f"No run was found in the evidence of cluster {case.cluster}"
        safe, text = RerunSafety.UNKNOWN, "Nothing was seen to run."
    else:
        headline = f"No failure was found on cluster {case.cluster}"
        safe, text = RerunSafety.YES, "There is nothing to repeat."
    warnings = [one for one in findings if one.severity is Severity.WARNING]
    return Verdict(
        headline=headline + caveat,
        nodes=(),
        cause=f"{len(warnings)} warning(s) are listed below." if warnings else "",
        rerun_safe=safe,
        rerun_text=text,
        remedy=warnings[0].remedy if warnings else (),
        rule="",
        blind_spots=blind,
    )
