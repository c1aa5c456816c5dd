"""`Get-CauReport -Detailed | ConvertTo-Json`: what each CAU run did on each node.

Source: Microsoft.ClusterAwareUpdating namespace (NodeResult, UpdateInstallResult, SummaryStatus);
docset Get-CauReport.
"""

from __future__ import annotations

import re
from typing import Any

from toolkit.analysis._parsers.powershell_json import child, items, rows, text, time
from toolkit.analysis._records import CauReport, InstallResult, NodeResult
from toolkit.errors import InputError

_NAME = "CAU run reports"


def read_cau_reports(data: bytes) -> tuple[CauReport, ...]:
    """Return the reports, oldest first; those without a start time come first.

    Raises:
        InputError: No JSON, or not that of CAU run reports.
    """
    reports = [_report(row) for row in rows(data, _NAME)]
    return tuple(
        sorted(
            reports,
            key=lambda report: report.started_at.timestamp() if report.started_at else 0.0,
        )
    )


def _report(row: dict[str, Any]) -> CauReport:
    result = child(row, "ClusterResult") or row
    if not {"RunId", "NodeResults", "Status", "StartTimestamp"} & set(result):
        raise InputError(f"read {_NAME}", found=f"an object with {', '.join(row) or 'nothing'}")
    return CauReport(
        run_id=normal_run_id(text(result, "RunId")),
        plugins=tuple(_plugin(item) for item in items(row.get("Plugin", result.get("Plugin")))),
        started_at=time(result.get("StartTimestamp", result.get("StartTime"))),
        status=text(result, "Status"),
        error=_error(result),
        nodes=tuple(
            _node(item) for item in items(result.get("NodeResults")) if isinstance(item, dict)
        ),
    )


def normal_run_id(words: str) -> str:
    """Return a run id as it is compared: lower case, no braces."""
    return words.strip().strip("{}").lower()


def _plugin(item: Any) -> str:
    return (text(item, "Name", "PluginName") if isinstance(item, dict) else str(item)).strip()


def _error(row: dict[str, Any]) -> str:
    """Return the texts of an ErrorRecordData, which is an object of several, or one text."""
    error = row.get("ErrorRecordData")
    if isinstance(error, dict):
        keys = ("ExceptionData", "Exception", "FullyQualifiedErrorId", "ErrorDetails")
        return ": ".join(dict.fromkeys(filter(None, (_words(error.get(key)) for key in keys))))
    return _words(error)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return text(value, "Message", "Text") or text({"": value}, "")
    return "" if value is None else text({"": value}, "")


def _node(row: dict[str, Any]) -> NodeResult:
    node = row.get("Node")
    return NodeResult(
        node=text(node, "NodeName", "Name") if isinstance(node, dict) else _words(node),
        status=text(row, "Status"),
        error=_error(row),
        failed=_count(row.get("NumberOfFailedUpdates")),
        succeeded=_count(row.get("NumberOfSucceededUpdates")),
        installs=tuple(
            _install(item) for item in items(row.get("InstallResults")) if isinstance(item, dict)
        ),
    )


def _install(row: dict[str, Any]) -> InstallResult:
    return InstallResult(
        title=text(row, "UpdateTitle", "UpdateDescription"),
        update_id=text(row, "UpdateId"),
        result=text(row, "UpdateResultCode"),
        error_code=_code(row.get("ErrorCode")),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1_000_000 else 0


def _code(value: Any) -> int | None:
    """Read an HRESULT: a signed number, its digits, or `0x…`."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    words = str(value).strip()
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}", words):
        return int(words, 16)
    return int(words) if re.fullmatch(r"-?[0-9]{1,10}", words) else None
