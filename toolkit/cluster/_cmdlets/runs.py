"""Commands about update runs: start one, and tell of all. Pure; only `start_update` changes anything.

Source: update-via-powershell-23h2.md, update-phases-23h2.md (`-PrepareOnly`, `-IgnoreWarnings`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PureWindowsPath

from toolkit.cluster._cmdlets import building, reading
from toolkit.model import Cmdlet, Command, Plain, ResourceId, RunState, RunSummary

_RUN = "Get-SolutionUpdateRun"
_ACTION_PLAN_PROPERTIES = [
    "InstanceID",
    "ActionPlanName",
    "ActionTypeName",
    "Status",
    "StartDateTime",
    "EndDateTime",
    "LastModifiedDateTime",
    "AdditionalInformation",
]
"""`RuntimeParameters` are left out: what plans are started with may be secret."""
_NEWEST_PLANS = 20
_MARKER_LINES = 200
_MEDIA = PureWindowsPath(
    r"C:\ClusterStorage\Infrastructure_1\Shares\SU1_Infrastructure_1\CloudMedia"
)
CAU_MARKERS = (
    _MEDIA / "SBE" / "Staged" / "metadata" / "caufailureinfo.txt",
    _MEDIA / "MsuHostUpdate" / "Staged" / "Metadata" / "cauFailureInfo.txt",
)
"""Files that a failed CAU run leaves behind; while one is there, no further try is made.

Source: Update-CAU-run-fails-previous-CAU-run-status-was-Canceled.md (the SBE's, 2505 and 2506),
Previous-CAU-run-status-was-canceled.md (the other, 2604).
"""


def start_update(
    resource_id: ResourceId, *, prepare_only: bool, ignores_warnings: bool = False
) -> Command[str]:
    """Start an update (or only its preparation) through the orchestrator; returns the run's id.

    Args:
        resource_id: The update.
        prepare_only: Prepare and check only.
        ignores_warnings: Let the cluster go on where its own health checks only warn.
    """
    switches: list[tuple[str | None, Plain]] = []
    if prepare_only:
        switches.append(("PrepareOnly", None))
    if ignores_warnings:
        switches.append(("IgnoreWarnings", None))
    return Command(
        pipeline=(
            Cmdlet("Get-SolutionUpdate", (("Id", resource_id),)),
            Cmdlet("Start-SolutionUpdate", tuple(switches)),
        ),
        parse=lambda reply: next((str(item) for item in reversed(reply) if item), ""),
        timeout_s=600,
        changes_cluster=True,
    )


def all_runs() -> Command[tuple[RunSummary, ...]]:
    """Read the runs of all listed updates without their step trees, newest first."""
    properties = ["ResourceId", "State", "TimeStarted", "LastUpdatedTime"]
    return Command(
        pipeline=(Cmdlet("Get-SolutionUpdate"), Cmdlet(_RUN), building.select(properties)),
        parse=_summaries,
        timeout_s=300,
    )


def save_action_plans(file: PureWindowsPath) -> Command[None]:
    """Write the newest action plans of the orchestrator as JSON to a file on the node.

    Source: Resumed-update-fails-immediately.md (`AdditionalInformation` says why a plan failed at once).
    """
    return building.save(
        Cmdlet("Get-ActionPlanInstances"),
        file,
        Cmdlet("Sort-Object", (("Property", "LastModifiedDateTime"), ("Descending", None))),
        Cmdlet(
            "Select-Object",
            (("First", _NEWEST_PLANS), ("Property", list[Plain](_ACTION_PLAN_PROPERTIES))),
        ),
    )


def read_marker(path: PureWindowsPath) -> Command[str]:
    """Read a marker file; it is short, and of a longer one the beginning will do."""
    parameters = (
        ("LiteralPath", str(path)),
        ("TotalCount", _MARKER_LINES),
        ("Encoding", "UTF8"),
    )
    return Command(
        pipeline=(Cmdlet("Get-Content", parameters),),
        parse=lambda reply: "\n".join(map(str, reply)),
    )


def _summaries(reply: tuple[Plain, ...]) -> tuple[RunSummary, ...]:
    runs = [_summary(reading.row(item, _RUN)) for item in reply]
    never = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(runs, key=lambda run: run.started_at or never, reverse=True))


def _summary(row: dict[str, Plain]) -> RunSummary:
    run_id, state = reading.text(row, "ResourceId"), reading.text(row, "State")
    return RunSummary(
        resource_id=ResourceId(run_id),
        update_id=ResourceId(run_id.rpartition("/")[0]),
        state=RunState(state),
        state_raw=state,
        started_at=reading.time(row.get("TimeStarted")),
        updated_at=reading.time(row.get("LastUpdatedTime")),
        is_preparation=None,
    )
