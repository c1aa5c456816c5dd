"""Update runs that go wrong beyond a node that fails: how a run bends away from the good one.

Source: Solution-update-get-hung-at-downloading-status-with-action-plan-instance-running-for-months .md (stuck);
Update-CAU-run-fails-previous-CAU-run-status-was-Canceled.md and Previous-CAU-run-status-was-canceled.md (the
marker, the cancelled runs, their words); SBE-CAU-RUNNING-AFTER-DONE-Single-node-fail-SBE-Update.md;
Resumed-update-fails-immediately.md (no steps, the words of the plan). What is invented: docs/simulator.md.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.simcluster.steps import Step
from tests.simcluster.story import Story

if TYPE_CHECKING:
    from tests.simcluster.state import SolutionUpdate, UpdateRun, World

_CLOUD_MEDIA = r"C:\ClusterStorage\Infrastructure_1\Shares\SU1_Infrastructure_1\CloudMedia"
_SBE_MARKER = _CLOUD_MEDIA + r"\SBE\Staged\metadata\caufailureinfo.txt"
_MSU_MARKER = _CLOUD_MEDIA + r"\MsuHostUpdate\Staged\Metadata\cauFailureInfo.txt"
_MARKER_OF = {"2505": _SBE_MARKER, "2506": _SBE_MARKER}
_MOMENT = timedelta(seconds=3)
_MINUTE = timedelta(minutes=1)
EMPTY_PLAN_WORDS = (
    "CloudEngine.Configurations.InvalidXmlException: The action plan of the instance is not valid: "
    "element 'Action' does not contain the mandatory attribute 'Type'."
)
_STILL_RUNNING = (
    "ErrorID: SBE-CAU-RUNNING-AFTER-DONE - the Cluster-Aware Updating run is still in progress although all "
    "of its stages have been reported as done. Use Get-CauRun to find out when it has ended."
)
_TIMED_OUT = "The operation did not complete within the allotted time of 08:00:00."


def marker_of(version: str) -> str:
    """Return where the orchestrator of this version leaves the marker of a failed CAU run."""
    return _MARKER_OF.get(version.split(".")[1], _MSU_MARKER)


def finds_marker(world: World, update: SolutionUpdate) -> bool:
    """Whether the marker of an earlier failure makes the next CAU run cancel itself."""
    marker = world.nodes[0].drive.resolve(marker_of(update.version))
    return world.bad_days.cau == "cancelled" and marker.exists()


def leave_marker(world: World, run: UpdateRun) -> None:
    """Write the marker of a failed CAU run, where the day wants one."""
    if world.bad_days.cau != "cancelled" or run.story is None or run.story.report is None:
        return
    marker = world.nodes[0].drive.resolve(marker_of(run.update.version))
    if not marker.exists():
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(
            f"{run.story.run_ended_at:%Y-%m-%dT%H:%M:%SZ} CAU run failed\r\n", encoding="utf-8"
        )


def empty_plan(began: datetime) -> Step:
    """Return the plan of a run that fails at once, without a step."""
    return Step("", began, began + _MOMENT, "", "Error")


def bend(world: World, run: UpdateRun) -> UpdateRun:
    """Return how a run goes on the day that is set; one that never gets to CAU stays as it is."""
    story, days = run.story, world.bad_days
    if story is None:
        return run
    match days.cau:
        case "stuck":
            began = run.plan.start
            return dataclasses.replace(
                run, stands_still_at=began + (story.run_ended_at - began) / 2
            )
        case "running-after-done":
            return _given_up(
                run, story, days.cau_goes_on_s, "SBEPartnerConfirmCauDone", _STILL_RUNNING
            )
        case "after-timeout":
            return _given_up(
                run, story, days.cau_goes_on_s, "SBEPartnerWaitForCauNodeStage", _TIMED_OUT
            )
        case _:
            return run


def _given_up(run: UpdateRun, story: Story, goes_on_s: float, name: str, words: str) -> UpdateRun:
    """Let the update run fail in a step of the SBE role a while before its CAU run ends."""
    end = story.run_ended_at - timedelta(seconds=goes_on_s)
    error = f"Type '{name}' of Role 'SBE' raised an exception:\n\n{words}"
    last = Step(name, end - _MINUTE, end, "Role SBE", "Error", error)
    return dataclasses.replace(run, plan=_cut(run.plan, last), outcome="InstallationFailed")


def _cut(step: Step, last: Step) -> Step:
    """End a step that is going on when `last` begins; the deepest one that has steps gets `last` as its last."""
    done = tuple(
        dataclasses.replace(part, end=min(part.end, last.start)) if not part.steps else part
        for part in step.steps
        if part.start < last.start
    )
    if done and done[-1].steps and done[-1].end > last.start:
        parts = (*done[:-1], _cut(done[-1], last))
    else:
        parts = (*done, last)
    return dataclasses.replace(step, end=last.end, status="Error", error="", steps=parts)


def restarting(world: World, node: str, now: datetime) -> bool:
    """Whether CAU restarts this node just now, and the day makes it really go away."""
    run = world.active_run
    if not world.bad_days.restarts_nodes or run is None or run.story is None:
        return False
    gone, back = run.story.restarts.get(node, (None, None))
    return gone is not None and gone <= run.moment(now) and (back is None or run.moment(now) < back)
