"""Environment, listed updates and the health check results inside both.

The same result is written in three ways: REST (`Failed`, `Critical`), on the box (`FAILURE`,
`CRITICAL`) and as numbers where ConvertTo-Json met an enumeration. `AdditionalData.Status` is readable
in all of them.

Source: Azure REST specification azurestackhci 2024-04-01, hciCommon.json; the guide on
Test-ServicesVersion, which prints one result as numbers (Status 1 = failure, Severity 2 = critical;
that 0 and 1 are the two milder severities is our reading).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from toolkit.analysis._parsers.powershell_json import child, items, rows, text, time
from toolkit.analysis._records import EnvironmentRecord, HealthResult, UpdateRow
from toolkit.errors import InputError
from toolkit.model import HealthCheck

_FAILED = {"failed", "failure", "error", "1"}
_SEVERITIES = {
    "critical": "Critical", "warning": "Warning", "informational": "Informational",
    "hidden": "Hidden", "2": "Critical", "1": "Warning", "0": "Informational",
}  # fmt: skip


def read_environment(data: bytes) -> EnvironmentRecord:
    """Return what the cluster said of its version, state and health.

    Raises:
        InputError: No JSON, or not that of a solution update environment.
    """
    found = rows(data, "solution update environment")
    if not found:
        return EnvironmentRecord(current_version="", checks=())
    row = found[-1]
    own = child(row, "properties") or row
    known = {"CurrentVersion", "currentVersion", "State", "state", "HealthCheckResult"}
    if not known & set(own):
        raise InputError(
            "read solution update environment",
            found=f"an object with {', '.join(row) or 'nothing'}",
        )
    return EnvironmentRecord(
        current_version=text(own, "CurrentVersion", "currentVersion"),
        checks=tuple(_checks(own, "")),
    )


def read_updates(data: bytes) -> tuple[tuple[UpdateRow, ...], tuple[HealthResult, ...]]:
    """Return the listed updates, and the health check results of their preparation.

    Raises:
        InputError: No JSON, or not that of solution updates.
    """
    updates: list[UpdateRow] = []
    checks: list[HealthResult] = []
    for index, row in enumerate(rows(data, "solution updates")):
        own = child(row, "properties") or row
        name = text(row, "ResourceId", "resourceId", "id")
        if not name:
            raise InputError(
                "read solution updates", place=f"[{index}]", found="an object without ResourceId"
            )
        updates.append(
            UpdateRow(resource_id=name, state=text(own, "State", "state"), place=f"[{index}]")
        )
        checks += _checks(own, f"[{index}].")
    return tuple(updates), tuple(checks)


def _checks(row: dict[str, Any], place: str) -> Iterator[HealthResult]:
    key = "HealthCheckResult" if "HealthCheckResult" in row else "healthCheckResult"
    for index, item in enumerate(items(row.get(key))):
        if isinstance(item, dict):
            yield read_check(item, f"{place}{key}[{index}]")


def read_check(row: dict[str, Any], place: str) -> HealthResult:
    """Return one result, whichever way it is written."""
    row = {key[:1].upper() + key[1:]: value for key, value in row.items()}
    extra = child(row, "AdditionalData")
    status, severity = text(row, "Status"), text(row, "Severity")
    spoken = text(extra, "Status")
    shown = spoken if spoken and re.fullmatch(r"\d+", status) else status
    return HealthResult(
        check=HealthCheck(
            name=text(row, "Name"),
            title=text(row, "Title", "DisplayName"),
            status=shown,
            severity=severity,
            description=text(row, "Description"),
            remediation=text(row, "Remediation"),
            target=text(row, "TargetResourceName", "TargetResourceID"),
            detail=text(extra, "Detail", "ExceptionMessage"),
            timestamp=text(row, "Timestamp"),
        ),
        has_failed=shown.lower() in _FAILED,
        severity=_SEVERITIES.get(severity.lower(), severity),
        at=time(row.get("Timestamp")),
        place=place,
    )
