"""May a run be started now? Every reason against it, and what goes into the journal. Pure.

Theory of operation. A start asks five questions, and a `Permit` answers all of them at once, so that nobody
has to come back five times:

1. state: may this update be started at all?
2. readiness: nothing critical, by checks made now; the failed run that question 4 is about is no reason of its
   own;
3. warnings: each one, and each check without an answer, is accepted by its name. What nobody named is not
   accepted, nor what came while a window was awaited: that nobody has seen;
4. evidence: after a failed run that run's log bundle was analysed, and where a re-run is not safe as it is,
   a person says in writing what was cured. So, too, where it was a run of another update: then its failure is a
   warning, for the start of this one may be what cures it;
5. window: it can end in time, by what such runs took.

A preparation installs nothing: it needs only what would stop it.

Source: update-phases-23h2.md (warnings block, `-IgnoreWarnings`), update-best-practices.md (no blind re-run),
update-via-powershell-23h2.md (how long runs take).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from toolkit.cluster._checks import CheckId, CheckResult, CheckVerdict, Readiness
from toolkit.cluster._evidence import RunEvidence
from toolkit.cluster._running import PHASES, Phase, state_refusal
from toolkit.errors import StateError
from toolkit.model import RerunSafety, RunState, RunSummary, Update, UpdateState
from toolkit.site import REASON_LETTERS, says_why

_HEALTH = CheckId("health-checks")
_LAST_RUN = CheckId("last-run")
"""Its subject is the update that failed."""
_HALF_DONE = CheckId("run-half-done")
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
    seen: frozenset[tuple[str, ...]] | None = None
    """Identities of what was accepted before the window was awaited; None: it is seen now."""

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
    evidence: tuple[RunEvidence, ...]
    """What was found out about the failed runs before, that of this update first."""
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
    """What analyses said of runs of this cluster, oldest first."""
    last_fix_at: datetime | None
    """When somebody last said in writing what was cured."""
    nodes: int
    now: datetime
    """By the clock that counts."""

    @property
    def has_failed(self) -> bool:
        """Whether the update's last attempt failed."""
        run = self.newest_run(self.update.resource_id)
        return PHASES[self.update.state] is Phase.FAILED or (
            run is not None and run.state is RunState.Failed
        )

    def newest_run(self, update_id: str) -> RunSummary | None:
        """Return the newest run of an update."""
        return next((run for run in self.runs if run.update_id == update_id), None)

    def finding(self, update_id: str) -> RunEvidence | None:
        """Return the newest analysis of an update's newest run, if it saw as much of the run as there is."""
        run = self.newest_run(update_id)
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
    failed = tuple(_failed(case, counted))
    against += _critical(counted)
    against += _unaccepted(counted, case.readiness, wish)
    for one in failed:
        against += _uncured(one, wish)
    against += _too_late(expected, case, wish)
    starts_at = wish.window.not_before
    return Permit(
        refusals=tuple(against),
        accepted=tuple(result for result in counted if _is_accepted(result, wish)),
        evidence=tuple(one.finding for one in failed if one.finding is not None),
        notes=tuple(note for one in failed for note in _notes(one, case)),
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
    """Yield the results that decide about this start, with what they are for it."""
    for result in case.readiness.results:
        if wish.prepare_only and result.check not in _STOP_PREPARATION:
            continue
        if _is_of_another(result, case):
            yield replace(result, verdict=CheckVerdict.WARNING)  # judged by its evidence, too
        elif not _is_told_by_evidence(result, case):
            yield result


def _is_told_by_evidence(result: CheckResult, case: Case) -> bool:
    """Whether a result speaks only of the failed run that is judged by its evidence; what is unknown speaks of nothing."""
    if not case.has_failed or result.verdict is CheckVerdict.UNKNOWN:
        return False
    if result.check == _LAST_RUN:
        return result.subject == case.update.resource_id
    return result.check == _HALF_DONE and _is_named(case.update.version, result.evidence)


def _is_of_another(result: CheckResult, case: Case) -> bool:
    """Whether a result says that another update failed."""
    return (
        result.check == _LAST_RUN
        and result.verdict is CheckVerdict.CRITICAL
        and result.subject not in ("", case.update.resource_id)
    )


def _is_named(name: str, words: str) -> bool:
    """Whether a text names an update or run, and not another one that its name is a part of."""
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\.?\w)", words) is not None


def _critical(results: Sequence[CheckResult]) -> Iterator[Refusal]:
    for result in results:
        if result.verdict is CheckVerdict.CRITICAL:
            yield Refusal(
                kind="readiness",
                text=f"{result.place}: {result.evidence}",
                hint=result.remedy,
            )


def _needs_name(result: CheckResult) -> bool:
    return result.verdict in (CheckVerdict.WARNING, CheckVerdict.UNKNOWN)


def _is_accepted(result: CheckResult, wish: Wish) -> bool:
    is_seen = wish.seen is None or result.identity in wish.seen
    return _needs_name(result) and result.check in wish.accepted and is_seen


def _unaccepted(
    results: Sequence[CheckResult], readiness: Readiness, wish: Wish
) -> Iterator[Refusal]:
    open_ = [result for result in results if _needs_name(result)]
    missing = [result for result in open_ if not _is_accepted(result, wish)]
    if missing:
        told = (f"\n     {result.verdict}  {result.place}: {result.evidence}" for result in missing)
        names = dict.fromkeys(result.check for result in open_)
        options = " ".join(f"--accept-warnings {name}" for name in names)
        yield Refusal(
            kind="warnings",
            text=f"nobody has accepted what is no pass:{''.join(told)}",
            hint=f"look into each of them; what you answer for you accept by name: {options}",
        )
    judged = {result.check for result in readiness.results if _needs_name(result)}
    critical = {result.check for result in readiness.of(CheckVerdict.CRITICAL)}
    before = {check for check, *_ in wish.seen or ()}
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    """An update whose last attempt failed, and what is known of that."""

    name: str
    words: str
    run: RunSummary | None
    """Its newest one."""
    finding: RunEvidence | None
    """Of that run."""
    evidence: tuple[RunEvidence, ...]
    """Of all its runs, oldest first."""


def _failed(case: Case, counted: Sequence[CheckResult]) -> Iterator[_Failed]:
    """Yield what has failed and stands against this start: its own update first, then others."""
    own = case.update.resource_id
    others = (one.subject for one in counted if one.check == _LAST_RUN and one.subject)
    for update_id in dict.fromkeys([own, *others] if case.has_failed else others):
        name = update_id.rpartition("/")[2]
        yield _Failed(
            name=name,
            words=f"it is {case.update.state_raw}" if update_id == own else f"{name} failed",
            run=case.newest_run(update_id),
            finding=case.finding(update_id),
            evidence=tuple(one for one in case.evidence if one.update_id == update_id),
        )


def _uncured(failed: _Failed, wish: Wish) -> Iterator[Refusal]:
    """Yield what is missing after a failed run: its evidence, or what was done about it."""
    run, found = failed.run, failed.finding
    if run is not None and found is None:
        yield Refusal(
            kind="evidence",
            text=f"{failed.words}; its newest run, {run.resource_id}, is {run.state_raw}, and no analysis of that run "
            "is in the journal",
            hint="never run it again blindly: `ferry logs collect --cluster NAME --site DIR -o FILE`, then "
            "`ferry logs analyse FILE --site DIR`; cure the cause, then repeat this command",
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
        text=f"{failed.words}{told}",
        hint=f'{again}, then repeat this command with --i-have-fixed "what you did" '
        f"(at least {REASON_LETTERS} letters)",
    )


def _said(found: RunEvidence) -> str:
    blind = f", with {found.blind_spots} source(s) missing" if found.blind_spots else ""
    rule = f" [{found.rule}]" if found.rule else ""
    return f"its analysis{blind} says: {found.headline}{rule}; {_RERUN[found.rerun_safe]}"


def _notes(failed: _Failed, case: Case) -> Iterator[str]:
    found = failed.finding
    if found is None:
        return
    yield f"{failed.name} failed before; {_said(found)}"
    for step in found.remedy:
        yield f"  what was to be done: {step}"
    before = [
        one
        for one in failed.evidence
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
