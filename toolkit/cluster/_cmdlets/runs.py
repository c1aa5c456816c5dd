"""Commands about update runs: start one, and tell of the orchestrator's plans. Pure; `start_update` changes the cluster.

Source: update-via-powershell-23h2.md, update-phases-23h2.md (`-PrepareOnly`, `-IgnoreWarnings`).
"""

from __future__ import annotations

from pathlib import PureWindowsPath

from toolkit.cluster._cmdlets import building
from toolkit.model import Cmdlet, Command, Plain, ResourceId

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
