"""`Get-SolutionUpdateRun | ConvertTo-Json`: update runs with their step trees.

Source: Azure REST specification azurestackhci 2024-04-01, updateRuns.json; update-phases-23h2.md.
"""

from __future__ import annotations

from typing import Any

from toolkit.analysis._parsers.powershell_json import child, items, rows, span, text, time
from toolkit.errors import InputError
from toolkit.model import ResourceId, RunState, Step, UpdateRun

_NAME = "update runs"
_DEEPEST = 200
"""Real trees are about ten levels deep."""


def read_update_runs(data: bytes) -> tuple[UpdateRun, ...]:
    """Return the update runs, oldest first; those without a start time come first.

    A state that was written as a number is kept as that number: its meaning is published nowhere. The
    statuses of the steps are texts and tell how the run ended.

    Raises:
        InputError: No JSON, or not that of update runs.
    """
    runs = [_run(row) for row in rows(data, _NAME)]
    return tuple(
        sorted(runs, key=lambda run: run.started_at.timestamp() if run.started_at else 0.0)
    )


def _run(row: dict[str, Any]) -> UpdateRun:
    resource_id = text(row, "ResourceId", "resourceId", "id")
    own = child(row, "properties") or row  # the REST form keeps all but the id one level down
    progress = own.get("Progress", own.get("progress"))
    if not resource_id and not isinstance(progress, dict):
        raise InputError(f"read {_NAME}", found=f"an object with {', '.join(row) or 'nothing'}")
    state = text(own, "State", "state")
    return UpdateRun(
        resource_id=ResourceId(resource_id),
        state=RunState(state),
        state_raw=state,
        started_at=time(own.get("TimeStarted", own.get("timeStarted"))),
        updated_at=time(own.get("LastUpdatedTime", own.get("lastUpdatedTime"))),
        progress=_step(progress, 0) if isinstance(progress, dict) else None,
    )


def _step(row: dict[str, Any], depth: int) -> Step:
    if depth > _DEEPEST:
        raise InputError(f"read {_NAME}", found=f"steps nested more than {_DEEPEST} deep")
    return Step(
        name=text(row, "Name", "name"),
        description=text(row, "Description", "description"),
        status=text(row, "Status", "status"),
        error_message=text(row, "ErrorMessage", "errorMessage"),
        started_at=time(row.get("StartTimeUtc", row.get("startTimeUtc"))),
        ended_at=time(row.get("EndTimeUtc", row.get("endTimeUtc"))),
        expected=span(row.get("ExpectedExecutionTime", row.get("expectedExecutionTime"))),
        steps=tuple(
            _step(item, depth + 1)
            for item in items(row.get("Steps", row.get("steps")))
            if isinstance(item, dict)
        ),
    )
