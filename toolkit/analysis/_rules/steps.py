"""What went wrong in an update run, from its step tree, and what the update list says.

Source: Azure REST specification updateRuns.json and updates.json (states); the guide
ECEAgent-Slowness-During-Update (15 minutes for the fail-over step).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from toolkit.analysis._case import Case, walk
from toolkit.analysis._records import UpdateRow
from toolkit.analysis._rules._rule import Hit, Rank, Rule
from toolkit.model import Evidence, RerunSafety, RunState, Severity, Source, Step, UpdateRun

_FAILED = ("error", "failed")
_STALLS = "failover ece service"
_STALL_LIMIT = timedelta(minutes=15)
_RAISED = re.compile(r"Type '([^']+)' of Role '([^']+)' raised an exception:\s*", re.IGNORECASE)
_FAILED_STATES = (
    "DownloadFailed", "PreparationFailed", "ScanFailed", "HealthCheckFailed", "InstallationFailed"
)  # fmt: skip
_OF_NO_USE = ("Installed", "Obsolete", "Recalled", "Invalid")


def deepest_failure(step: Step) -> tuple[tuple[str, ...], Step] | None:
    """Return the failed step that has no failed step with a message below it, the earliest if several.

    Source: practice of public update tooling: the deepest step in status Error with a message is the
    candidate for the root cause.
    """
    failed = [
        (path, inner)
        for path, inner in walk(step)
        if inner.status.lower() in _FAILED and inner.error_message
    ]
    deepest = [
        (path, inner)
        for path, inner in failed
        if not any(other[: len(path)] == path and other != path for other, _ in failed)
    ]
    return min(deepest, key=lambda row: _time(row[1]), default=None)


def _time(step: Step) -> float:
    at = step.ended_at or step.started_at
    return at.timestamp() if at else float("inf")


def has_failed(run: UpdateRun) -> bool:
    """Whether an update run failed, whichever way its state was written."""
    if run.state in (RunState.Failed, RunState.Succeeded, RunState.InProgress):
        return run.state is RunState.Failed
    return run.progress is not None and run.progress.status.lower() in _FAILED


def failed_runs(case: Case) -> Iterator[UpdateRun]:
    """Yield of each update its newest run, if that failed or the update did; a start after it makes a run of its own.

    An update may fail without its run (`DownloadFailed`, or a run whose state was written as a number and that no
    step tells of): a start asks for the evidence of its newest run all the same.
    """
    newest = {run.resource_id.rpartition("/")[0]: run for run in case.update_runs}
    states = {row.resource_id: row.state for row in case.updates}
    for update_id, run in newest.items():
        if has_failed(run) or states.get(update_id) in _FAILED_STATES:
            yield run


def _run_failed(case: Case) -> Iterator[Hit]:
    for run in filter(has_failed, case.update_runs):
        found = deepest_failure(run.progress) if run.progress else None
        if found is None:
            yield Hit(
                evidence=(_evidence(case, run, (), None),),
                facts={
                    "run": run.resource_id,
                    "step": "(no step tells)",
                    "text": "The step tree holds no error text.",
                },
            )
            continue
        path, step = found
        raised = _RAISED.search(step.error_message)
        words = _RAISED.sub("", step.error_message).strip() or step.error_message
        step_name = f"{raised[1]} (role {raised[2]})" if raised else path[-1]
        yield Hit(
            evidence=(_evidence(case, run, path, step),),
            facts={
                "run": run.resource_id,
                "step": step_name,
                "text": words if len(words) <= 600 else f"{words[:600]} …",
            },
        )


def _evidence(case: Case, run: UpdateRun, path: tuple[str, ...], step: Step | None) -> Evidence:
    text = step.error_message or step.status if step else f"state {run.state_raw}"
    return Evidence(
        node=case.node_named(text),
        source=Source.UPDATE_RUNS,
        at=(step.ended_at or step.started_at) if step else run.updated_at,
        text=text if len(text) <= 4000 else f"{text[:4000]} …",
        place=f"{run.resource_id}: {' › '.join(path)}" if path else run.resource_id,
    )


def _stalled(case: Case) -> Iterator[Hit]:
    for run in case.update_runs:
        for path, step in walk(run.progress) if run.progress else ():
            if not step.name.lower().startswith(_STALLS) or step.started_at is None:
                continue
            end = step.ended_at or run.updated_at
            if end is not None and end - step.started_at > _STALL_LIMIT:
                minutes = int((end - step.started_at).total_seconds() // 60)
                yield Hit(
                    evidence=(_evidence(case, run, path, step),),
                    facts={"run": run.resource_id, "minutes": str(minutes)},
                )


def _in_progress(case: Case) -> Iterator[Hit]:
    """Find the newest run, if it was going on when the bundle was made."""
    if not case.update_runs:
        return
    run = case.update_runs[-1]
    if run.state is RunState.InProgress or (
        run.state is RunState.UNRECOGNISED
        and run.progress is not None
        and run.progress.status.lower() == "inprogress"
    ):
        open_steps = [
            (path, step)
            for path, step in (walk(run.progress) if run.progress else ())
            if step.status.lower() == "inprogress"
        ]
        path, step = max(open_steps, key=lambda row: len(row[0]), default=((), None))
        yield Hit(
            evidence=(_evidence(case, run, path, step),),
            facts={"run": run.resource_id, "step": path[-1] if path else "unknown"},
        )


def _updates(*states: str) -> Callable[[Case], Iterator[Hit]]:
    def find(case: Case) -> Iterator[Hit]:
        for row in case.updates:
            if row.state in states:
                yield Hit(
                    evidence=(
                        Evidence(
                            node="",
                            source=Source.UPDATES,
                            at=None,
                            text=f"{row.resource_id}: {row.state}",
                            place=row.place,
                        ),
                    ),
                    facts={"update": row.resource_id, "state": row.state},
                )

    return find


def _hidden(case: Case) -> Iterator[Hit]:
    """Find an SBE that waits for something while no solution update is left to start."""
    waiting = [row for row in case.updates if _is_sbe(row) and row.state == "HasPrerequisite"]
    left = [row for row in case.updates if not _is_sbe(row) and row.state not in _OF_NO_USE]
    for row in () if left else waiting:
        yield Hit(
            evidence=(
                Evidence(
                    node="",
                    source=Source.UPDATES,
                    at=None,
                    text=f"{row.resource_id}: {row.state}; no solution update is listed beside it",
                    place=row.place,
                ),
            ),
            facts={"sbe": row.resource_id},
        )


def _is_sbe(row: UpdateRow) -> bool:
    return row.resource_id.rpartition("/")[2].upper().startswith("SBE")


def newest_success(case: Case) -> datetime | None:
    """Return when the last update run that succeeded ended."""
    ends = [
        (run.progress.ended_at if run.progress else None) or run.updated_at
        for run in case.update_runs
        if run.state is RunState.Succeeded
        or (run.progress is not None and run.progress.status.lower() == "success"
            and run.state is RunState.UNRECOGNISED)
    ]  # fmt: skip
    return max((end for end in ends if end is not None), default=None)


RULES: tuple[Rule, ...] = (
    Rule(
        id="update-run-failed",
        title="The update run failed in step {step}",
        severity=Severity.CRITICAL,
        rank=Rank.OBSERVATION,
        cause="{text}",
        remedy=(
            "If a finding above names this failure, do what it says.",
            "Else search the public guides for the words of the message, and show this report to "
            "Microsoft support.",
        ),
        rerun_safe=RerunSafety.UNKNOWN,
        find=_run_failed,
    ),
    Rule(
        id="ece-failover-step-stalled",
        title="The orchestrator hung for {minutes} minutes while moving to another node",
        severity=Severity.WARNING,
        rank=Rank.CAUSE,
        cause="The ECEAgent service on the nodes has become slow; the step that moves the "
        "orchestrator service takes a few minutes at most when all is well.",
        remedy=(
            "While the step hangs: restart the process of the service ECEAgent on every node, one "
            "after another, and check that it runs.",
            "The run then goes on by itself. If it has failed already, start the update again.",
        ),
        rerun_safe=RerunSafety.AFTER_REMEDY,
        find=_stalled,
        guide="TSG/Update/ECEAgent-Slowness-During-Update.md",
    ),
    Rule(
        id="update-run-in-progress",
        title="The update run was still going on when the bundle was made (step {step})",
        severity=Severity.INFO,
        rank=Rank.CONTEXT,
        cause="Run {run} has not ended: what is read here is a moment, not an outcome.",
        remedy=("Wait for its end (ferry run watch), then collect and analyse again.",),
        rerun_safe=RerunSafety.NO,
        find=_in_progress,
        is_state=True,
    ),
    Rule(
        id="update-state-failed",
        title="The cluster lists the update {update} as {state}",
        severity=Severity.CRITICAL,
        rank=Rank.SYMPTOM,
        cause="The update stopped in this state and can be resumed from there once the reason is "
        "gone.",
        remedy=("Treat the findings above, then resume: ferry run start.",),
        rerun_safe=RerunSafety.AFTER_REMEDY,
        find=_updates(*_FAILED_STATES),
        is_state=True,
    ),
    Rule(
        id="update-needs-sbe",
        title="The update {update} waits for the hardware vendor's SBE",
        severity=Severity.WARNING,
        rank=Rank.OBSERVATION,
        cause="The update needs a newer Solution Builder Extension, which is not on the cluster.",
        remedy=("Bring the SBE's three files on a medium and import them: ferry cluster import.",),
        rerun_safe=RerunSafety.AFTER_REMEDY,
        find=_updates("AdditionalContentRequired"),
        is_state=True,
    ),
    Rule(
        id="update-recalled",
        title="The update {update} is {state}",
        severity=Severity.WARNING,
        rank=Rank.OBSERVATION,
        cause="The publisher withdrew the update, or it is not valid for this cluster.",
        remedy=("Do not install it; bring another release.",),
        rerun_safe=RerunSafety.NO,
        find=_updates("Recalled", "Invalid"),
        is_state=True,
    ),
    Rule(
        id="solution-update-missing-after-sbe-import",
        title="{sbe} waits for something, and no solution update is listed",
        severity=Severity.WARNING,
        rank=Rank.OBSERVATION,
        cause="Perhaps an SBE was imported that is older than the one asked for, or of another family: it takes "
        "the place of the vendor's manifest, and a solution update that has no fitting SBE there is hidden. An SBE "
        "may also wait for a release that nobody has brought yet.",
        remedy=(
            "Import the SBE that was asked for: ferry cluster import.",
            "If that is not known, put the vendor's current manifest into Updates\\Manifests on the "
            "infrastructure share.",
            "Look twice, two minutes apart: ferry cluster discover.",
        ),
        rerun_safe=RerunSafety.AFTER_REMEDY,
        find=_hidden,
        guide="TSG/Update/Update-missing-after-importing-SBE.md",
        is_state=True,
    ),
)
