"""What the cluster's own health checks found.

Source: Azure REST specification hciCommon.json; update-phases-23h2.md (critical and warning results
block an update, informational ones do not).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from toolkit.analysis._case import Case
from toolkit.analysis._records import HealthResult
from toolkit.analysis._rules._rule import Hit, Rank, Rule, limited
from toolkit.model import Evidence, RerunSafety, Severity

_MILD = ("Informational", "Hidden")


def _failed(*, is_critical: bool) -> Callable[[Case], Iterator[Hit]]:
    def find(case: Case) -> Iterator[Hit]:
        groups: dict[str, list[tuple[str, HealthResult]]] = {}
        for source, result in case.checks:
            critical = result.severity == "Critical"
            if result.has_failed and result.severity not in _MILD and critical is is_critical:
                title = result.check.title or result.check.name
                groups.setdefault(title, []).append((source, result))
        for title, rows in groups.items():
            first = rows[0][1].check
            yield Hit(
                evidence=limited(_evidence(case, source, result) for source, result in rows),
                facts={
                    "check": title or "(without a name)",
                    "text": first.description or first.detail or "It gives no description.",
                    "remediation": first.remediation or "It gives no remediation.",
                },
            )

    return find


def _evidence(case: Case, source: str, result: HealthResult) -> Evidence:
    check = result.check
    detail = check.detail or check.description
    return Evidence(
        node=case.spelled(check.target) if case.node_named(check.target) else "",
        source=source,
        at=result.at,
        text=f"{check.name}: {check.status}, {result.severity}"
        + (f", {check.target}" if check.target else "")
        + (f". {detail}" if detail else ""),
        place=result.place,
    )


_REMEDY = (
    "The cluster says: {remediation}",
    "Then let it check again: Invoke-SolutionUpdatePrecheck -SystemHealth.",
)

RULES: tuple[Rule, ...] = (
    Rule(
        id="health-check-critical",
        title="Health check failed, critical: {check}",
        severity=Severity.CRITICAL,
        rank=Rank.OBSERVATION,
        cause="{text}",
        remedy=_REMEDY,
        rerun_safe=RerunSafety.AFTER_REMEDY,
        find=_failed(is_critical=True),
        is_state=True,
    ),
    Rule(
        id="health-check-warning",
        title="Health check failed, warning: {check}",
        severity=Severity.WARNING,
        rank=Rank.OBSERVATION,
        cause="{text}",
        remedy=_REMEDY,
        rerun_safe=RerunSafety.AFTER_REMEDY,
        find=_failed(is_critical=False),
        is_state=True,
    ),
)
