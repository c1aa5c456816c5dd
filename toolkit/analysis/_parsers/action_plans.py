"""Action plans of the orchestrator, and the marker files that failed CAU runs leave behind.

Source: Resumed-update-fails-immediately.md (`AdditionalInformation`, `Status`, `LastModifiedDateTime` of
`Get-ActionPlanInstances`); Update-CAU-run-fails-previous-CAU-run-status-was-Canceled.md (the marker files).
"""

from __future__ import annotations

from toolkit.analysis._parsers.powershell_json import rows, text, time
from toolkit.analysis._records import ActionPlan, Marker
from toolkit.errors import InputError

_KNOWN = {"InstanceID", "ActionPlanName", "Status"}


def read_action_plans(data: bytes) -> tuple[ActionPlan, ...]:
    """Return the action plans as they stand there: the newest first.

    Raises:
        InputError: No JSON, or not that of action plans.
    """
    found = rows(data, "action plans")
    for row in found:
        if not _KNOWN & set(row):
            raise InputError(
                "read action plans", found=f"an object with {', '.join(row) or 'nothing'}"
            )
    return tuple(
        ActionPlan(
            instance_id=text(row, "InstanceID"),
            name=text(row, "ActionPlanName"),
            status=text(row, "Status"),
            at=time(row.get("LastModifiedDateTime")) or time(row.get("EndDateTime")),
            words=text(row, "AdditionalInformation"),
        )
        for row in found
    )


def read_markers(data: bytes) -> tuple[Marker, ...]:
    """Return the marker files with what stands in them.

    Raises:
        InputError: No JSON, or not that of marker files.
    """
    found = rows(data, "marker files")
    for row in found:
        if not row.get("Path"):
            raise InputError("read marker files", found="an object without Path")
    return tuple(Marker(path=text(row, "Path"), text=text(row, "Text")) for row in found)
