"""May a run be started now? Every reason against it, and what goes into the journal. Pure.

Theory of operation. A start asks five questions, and a `Permit` answers all of them at once, so that nobody
has to come back five times:

1. state: may this update be started at all?
2. readiness: nothing critical, by checks made now; the failed run that question 4 is about is no reason of its
   own;
3. warnings: each one, and each check without an answer, is accepted by its name. What nobody named is not
   accepted, nor what came on another node while a window was awaited;
4. evidence: after a failed run that run's log bundle was analysed, and where a re-run is not safe as it is,
   a person says in writing what was cured;
5. window: it can end in time, by what such runs took.

A preparation installs nothing: it needs only what would stop it.

Source: update-phases-23h2.md (warnings block, `-IgnoreWarnings`), update-best-practices.md (no blind re-run),
update-via-powershell-23h2.md (how long runs take).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from toolkit.cluster._checks import CheckId, CheckResult, CheckVerdict, Readiness
from toolkit.cluster._evidence import RunEvidence
from toolkit.cluster._running import PHASES, Phase, state_refusal
from toolkit.errors import StateError
from toolkit.model import RerunSafety, RunState, RunSummary, Update, UpdateState
from toolkit.site import REASON_LETTERS, says_why

_HEALTH = CheckId("health-checks")
_TELL_OF_FAILED_RUN = (CheckId("last-run"), CheckId("run-half-done"))
"""Checks that may speak of the very run that the evidence is about."""
_STOP_PREPARATION = tuple(
    map(
        CheckId,
        (
            "node-reached",
            "one-cluster",
            "node-up",
            "update-service-online",
            "orchestrator-online",
            "update-service-answers",
            "no-update-running",
            "system-drive-space",
            "infrastructure-space",
        ),
    )
)
_PUBLISHED_HOURS = {1: (3.0, 1.5), 4: (5.0, 4.0)}
"""Nodes → hours of preparation with its health checks, and of installation.

Source: update-via-powershell-23h2.md. What lies between and beyond is a straight line [inferred].
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a run may take place."""

    not_before: datetime | None = None
    must_end_by: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person asks for."""

    prepare_only: bool = False
    accepted: frozenset[CheckId] = frozenset()
    """Checks whose warnings are accepted by name."""
    fixed: str = ""
    """After a failed run: what was done about its cause."""
    window: Window = field(default_factory=Window)
    seen: frozenset[tuple[CheckId, str]] | None = None
    """(check, node) of what was accepted before the window was awaited; None: it is seen now."""

    @property
    def verb(self) -> str:
        """What is asked for, as the journal and our sentences call it."""
        return "prepare" if self.prepare_only else "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One reason against it, and what to do."""

    kind: Literal["state", "readiness", "warnings", "evidence", "reason", "window"]
    text: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How long a run takes, and how we know."""

    duration: timedelta
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Whether it may be started now."""

    refusals: tuple[Refusal, ...]
    accepted: tuple[CheckResult, ...]
    """Warnings and unknowns that somebody answers for by name."""
    evidence: RunEvidence | None
    """What was found out about the failed run before, if there was one."""
    notes: tuple[str, ...]
    """What a person should know although it may be started."""
    ignores_warnings: bool
    """Whether the cluster is told to go on with warnings of its own health checks."""
    expected: Expected
    wait_until: datetime | None
    """It may be started, but not yet."""

    @property
    def allowed(self) -> bool:
        """Whether nothing stands against it."""
        return not self.refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is known of one update when its start is judged."""

    update: Update
    runs: tuple[RunSummary, ...]
    """All runs of the cluster, newest first."""
    readiness: Readiness
    evidence: tuple[RunEvidence, ...]
    """What analyses said of runs of this update, oldest first."""
    last_fix_at: datetime | None
    """When somebody last said in writing what was cured."""
    nodes: int
    now: datetime
    """By the clock that counts."""

    @property
    def newest_run(self) -> RunSummary | None:
        """The newest run of this update."""
        return next((run for run in self.runs if run.update_id == self.update.resource_id), None)

    @property
    def has_failed(self) -> bool:
        """Whether its last attempt failed."""
        run = self.newest_run
        return PHASES[self.update.state] is Phase.FAILED or (
            run is not None and run.state is RunState.Failed
        )

    @property
    def finding(self) -> RunEvidence | None:
        """The newest analysis of its newest run; one that saw less of the run than there is does not count."""
        run = self.newest_run
        if run is None:
            return None
        return next((one for one in reversed(self.evidence) if _is_of(one, run)), None)


def judge_state(update: Update, wish: Wish) -> Refusal | None:
    """Return why nothing may be started in this state; None: it may, as far as the state goes."""
    found = state_refusal(update, prepare_only=wish.prepare_only)
    return None if found is None else Refusal(kind="state", text=found[0], hint=found[1])


def judge_start(case: Case, wish: Wish) -> Permit:
    """Answer whether a run may be started, with every reason against it, the weightiest first."""
    expected = expect(case, prepare_only=wish.prepare_only)
    state = judge_state(case.update, wish)
    against = [] if state is None else [state]
    counted = tuple(_counted(case, wish))
    against += _critical(counted)
    against += _unaccepted(counted, case.readiness, wish)
    against += _uncured(case, wish)
    against += _too_late(expected, case, wish)
    starts_at = wish.window.not_before
    return Permit(
        refusals=tuple(against),
        accepted=tuple(result for result in counted if _is_accepted(result, wish)),
        evidence=case.finding if case.has_failed else None,
        notes=tuple(_notes(case)),
        ignores_warnings=_ignores_warnings(counted, wish),
        expected=expected,
        wait_until=starts_at if starts_at is not None and starts_at > case.now else None,
    )


def refuse(update: Update, refusals: Sequence[Refusal], *, verb: str) -> StateError:
    """Return why it may not be started, as one error that names every reason."""
    action = f"{verb} update {update.version}"
    if len(refusals) == 1:
        (only,) = refusals
        return StateError(action, current=only.text, hint=only.hint)
    lines = [f"{len(refusals)} reasons stand against it"]
    for number, refusal in enumerate(refusals, start=1):
        lines += [f"  {number}. {refusal.text}", f"     next: {refusal.hint}"]
    return StateError(
        action,
        current="\n".join(lines),
        hint="do what stands at each reason; then the same command judges anew",
    )


def expect(case: Case, *, prepare_only: bool = False) -> Expected:
    """Return how long a run takes on this cluster.

    The longest run of another update of the same kind that this cluster brought to its end counts; where there is
    none, what is published for its number of nodes. What is not prepared yet takes at least the published time: an
    earlier run may have been prepared by another.
    """
    preparation, installation = published_hours(case.nodes)
    is_prepared = case.update.state is UpdateState.ReadyToInstall
    hours = 0.0 if is_prepared else preparation
    if not prepare_only:
        hours += installation
    published = Expected(
        duration=timedelta(hours=hours),
        basis=f"published for {case.nodes} node(s)",
    )
    measured = Expected(
        duration=max(_durations(case), default=timedelta()),
        basis="the longest run of that kind that succeeded on this cluster",
    )
    if prepare_only or not measured.duration:
        return published
    return measured if is_prepared else max(measured, published, key=lambda one: one.duration)


def published_hours(nodes: int) -> tuple[float, float]:
    """Return the published hours of preparation and of installation for a number of nodes."""
    (few, low), (many, high) = _PUBLISHED_HOURS.items()
    share = (nodes - few) / (many - few)
    return (
        low[0] + (high[0] - low[0]) * share,
        low[1] + (high[1] - low[1]) * share,
    )


def _durations(case: Case) -> Iterator[timedelta]:
    alike = (
        run
        for run in case.runs
        if run.state is RunState.Succeeded
        and run.update_id != case.update.resource_id
        and _kind(run.update_id) == _kind(case.update.resource_id)
        and not run.is_preparation
    )
    for run in alike:
        if run.duration is not None:
            yield run.duration


def _kind(update_id: str) -> str:
    return "SBE" if update_id.rpartition("/")[2].upper().startswith("SBE") else "Solution"


# --- readiness and warnings ---------------------------------------------------------------------


def _counted(case: Case, wish: Wish) -> Iterator[CheckResult]:
    """Yield the results that decide about this start."""
    for result in case.readiness.results:
        if wish.prepare_only and result.check not in _STOP_PREPARATION:
            continue
        if not _is_told_by_evidence(result, case):
            yield result


def _is_told_by_evidence(result: CheckResult, case: Case) -> bool:
    """Whether a result speaks only of the failed run that is judged by its evidence; what is unknown speaks of nothing."""
    run = case.newest_run
    if not case.has_failed or result.check not in _TELL_OF_FAILED_RUN:
        return False
    if result.verdict is CheckVerdict.UNKNOWN:
        return False
    names = (case.update.resource_id, case.update.version, run.resource_id if run else "")
    return any(name and _is_named(name, result.evidence) for name in names)


def _is_named(name: str, words: str) -> bool:
    """Whether a text names an update or run, and not another one that its name is a part of."""
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\.?\w)", words) is not None


def _critical(results: Sequence[CheckResult]) -> Iterator[Refusal]:
    for result in results:
        if result.verdict is CheckVerdict.CRITICAL:
            where = f" on {result.node}" if result.node else ""
            yield Refusal(
                kind="readiness",
                text=f"{result.check}{where}: {result.evidence}",
                hint=result.remedy,
            )


def _needs_name(result: CheckResult) -> bool:
    return result.verdict in (CheckVerdict.WARNING, CheckVerdict.UNKNOWN)


def _is_accepted(result: CheckResult, wish: Wish) -> bool:
    is_seen = wish.seen is None or (result.check, result.node) in wish.seen
    return _needs_name(result) and result.check in wish.accepted and is_seen


def _unaccepted(
    results: Sequence[CheckResult], readiness: Readiness, wish: Wish
) -> Iterator[Refusal]:
    open_ = [result for result in results if _needs_name(result)]
    missing = [result for result in open_ if not _is_accepted(result, wish)]
    if missing:
        told = (
            f"\n     {result.verdict}  {result.check}{f' on {result.node}' if result.node else ''}: "
            f"{result.evidence}"
            for result in missing
        )
        names = dict.fromkeys(result.check for result in open_)
        options = " ".join(f"--accept-warnings {name}" for name in names)
        yield Refusal(
            kind="warnings",
            text=f"nobody has accepted what is no pass:{''.join(told)}",
            hint=f"look into each of them; what you answer for you accept by name: {options}",
        )
    judged = {result.check for result in readiness.results if _needs_name(result)}
    critical = {result.check for result in readiness.of(CheckVerdict.CRITICAL)}
    before = {check for check, _ in wish.seen or ()}
    if none := sorted(wish.accepted - judged - critical - before):
        yield Refusal(
            kind="warnings",
            text=f"accepted is what is no warning now: {', '.join(none)}",
            hint="leave out --accept-warnings for it: nothing is accepted in advance",
        )


def _ignores_warnings(results: Sequence[CheckResult], wish: Wish) -> bool:
    """Whether the cluster's own health checks warn, no more than that, and somebody accepted it."""
    verdicts = {result.verdict for result in results if result.check == _HEALTH}
    return _HEALTH in wish.accepted and verdicts == {CheckVerdict.WARNING}


# --- evidence -----------------------------------------------------------------------------------

_RERUN = {
    RerunSafety.YES: "it may be started again as it is",
    RerunSafety.AFTER_REMEDY: "it may be started again only after the remedy",
    RerunSafety.UNKNOWN: "nobody has published whether it may be started again",
    RerunSafety.NO: "starting it again would not help, or would do harm",
}


def _is_of(evidence: RunEvidence, run: RunSummary) -> bool:
    if evidence.run_id != run.resource_id:
        return False
    if run.updated_at is None:
        return True
    seen = evidence.run_updated_at
    return seen is not None and seen >= run.updated_at


def _uncured(case: Case, wish: Wish) -> Iterator[Refusal]:
    """Yield what is missing after a failed run: its evidence, or what was done about it."""
    if not case.has_failed:
        return
    run, found = case.newest_run, case.finding
    failed = f"it is {case.update.state_raw}"
    if run is not None and found is None:
        yield Refusal(
            kind="evidence",
            text=f"{failed}; its newest run, {run.resource_id}, is {run.state_raw}, and no analysis of that run "
            "is in the journal",
            hint="never run it again blindly: `ferry logs collect -o FILE`, then `ferry logs analyse FILE "
            "--site DIR`; cure the cause, then repeat this command",
        )
    is_reason = says_why(wish.fixed)
    is_safe = found is not None and found.rerun_safe is RerunSafety.YES
    if is_reason or is_safe or (run is not None and found is None):
        return
    told = "" if found is None else f"; {_said(found)}"
    again = "never run it again blindly: cure the cause"
    if found is not None and found.remedy:
        steps = "; ".join(step.rstrip(".") for step in found.remedy)
        again += f" ({steps})"
    yield Refusal(
        kind="reason",
        text=f"{failed}{told}",
        hint=f'{again}, then repeat this command with --i-have-fixed "what you did" '
        f"(at least {REASON_LETTERS} letters)",
    )


def _said(found: RunEvidence) -> str:
    blind = f", with {found.blind_spots} source(s) missing" if found.blind_spots else ""
    rule = f" [{found.rule}]" if found.rule else ""
    return f"its analysis{blind} says: {found.headline}{rule}; {_RERUN[found.rerun_safe]}"


def _notes(case: Case) -> Iterator[str]:
    found = case.finding
    if not case.has_failed or found is None:
        return
    yield f"{case.update.version} failed before; {_said(found)}"
    for step in found.remedy:
        yield f"  what was to be done: {step}"
    before = [
        one
        for one in case.evidence
        if one.run_id != found.run_id
        and case.last_fix_at is not None
        and one.analysed_at < case.last_fix_at
    ]
    if found.rule and before and before[-1].finding == found.finding:
        yield "this is the same finding as before the last fix: that fix did not cure it"


# --- window -------------------------------------------------------------------------------------


def _too_late(expected: Expected, case: Case, wish: Wish) -> Iterator[Refusal]:
    end = wish.window.must_end_by
    if end is None:
        return
    begins = max(case.now, wish.window.not_before or case.now).astimezone(end.tzinfo)
    if begins + expected.duration > end:
        is_split = case.update.state is not UpdateState.ReadyToInstall and not wish.prepare_only
        hint = "choose a longer window"
        if is_split:
            hint += (
                ", or let the cluster prepare before it: `ferry run prepare` installs nothing and "
                "restarts no node"
            )
        yield Refusal(
            kind="window",
            text=f"it would end too late: {_minute(begins)} + {_hours(expected.duration)} "
            f"({expected.basis}) = {_minute(begins + expected.duration)}, and it must end by {_minute(end)}",
            hint=hint,
        )


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M %Z}"


def _hours(duration: timedelta) -> str:
    minutes = round(duration.total_seconds() / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"
