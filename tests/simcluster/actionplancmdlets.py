"""`Get-ActionPlanInstances` over the world's runs: one plan for each.

Source: Resumed-update-fails-immediately.md, Solution-update-get-hung-at-downloading-status….md (properties and
names). Names of the statuses but `Running` and `Failed` are invented.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simcluster.pipeline import Call, Library
from tests.simcluster.values import OBJECT, NetObject, Value

LIBRARY = Library()
_ECE = "CloudEngine.Actions"
_STATUSES = {"InProgress": "Running", "Failed": "Failed", "Succeeded": "Completed"}


@LIBRARY.cmdlet("Get-ActionPlanInstances", owner="ECEClient.GetActionPlanInstancesCommand")
def get_action_plan_instances(call: Call) -> Iterator[Value]:
    """List the orchestrator's plans, in no order that one may count on."""
    world = call.world
    world.advance()
    for run in world.runs:
        now = min(world.clock.now(), run.plan.end)
        yield NetObject(
            (f"{_ECE}.ActionPlanInstance", OBJECT),
            {
                "InstanceID": run.resource_id.rpartition("/")[2],
                "ActionPlanName": "MAS Update",
                "ActionTypeName": "",
                "Status": _STATUSES[run.state],
                "StartDateTime": run.plan.start,
                "EndDateTime": run.plan.end if run.is_over else None,
                "LastModifiedDateTime": now,
                "RuntimeParameters": {
                    "updateId": run.update.resource_id,
                    "UpdateVersion": run.update.version,
                },
                "AdditionalInformation": world.bad_days.action_plan_words.get(run.resource_id, ""),
                "ProgressAsXml": "",
            },
        )
