"""What the bundle does not hold: "no error found" must never mean "not collected"."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from toolkit.analysis._case import Case, Coverage, CoverageStatus
from toolkit.analysis._rules._rule import Hit, Rank, Rule
from toolkit.model import Evidence, RerunSafety, Severity


def _rows(*statuses: CoverageStatus) -> Callable[[Case], Iterator[Hit]]:
    def find(case: Case) -> Iterator[Hit]:
        groups: dict[str, list[Coverage]] = {}
        for row in case.coverage:
            if row.status in statuses:
                groups.setdefault(row.node, []).append(row)
        for node, rows in groups.items():
            yield Hit(
                evidence=tuple(map(_evidence, rows)),
                facts={
                    "owner": f"node {node}" if node else "the cluster as a whole",
                    "sources": ", ".join(row.source for row in rows),
                    "node": node,
                },
            )

    return find


def _evidence(row: Coverage) -> Evidence:
    return Evidence(
        node=row.node,
        source=row.source,
        at=None,
        text="; ".join(row.detail) or row.status,
        place=row.status,
    )


def _nothing(case: Case) -> Iterator[Hit]:
    if not case.cau_runs and not case.update_runs:
        read = [row for row in case.coverage if row.is_readable]
        yield Hit(
            evidence=(),
            facts={"read": f"{len(read)} source(s) were read"},
            severity=Severity.INFO if read else Severity.WARNING,
        )


RULES: tuple[Rule, ...] = (
    Rule(
        id="evidence-missing",
        title="Evidence of {owner} is missing",
        severity=Severity.WARNING,
        rank=Rank.CONTEXT,
        cause="Not in this bundle: {sources}. What happened there is unknown, not unremarkable.",
        remedy=("Collect again when it can be reached: ferry logs collect.",),
        rerun_safe=RerunSafety.UNKNOWN,
        find=_rows(CoverageStatus.MISSING, CoverageStatus.NOT_ASKED),
        is_state=True,
    ),
    Rule(
        id="evidence-damaged",
        title="Evidence of {owner} is damaged or cut short",
        severity=Severity.INFO,
        rank=Rank.CONTEXT,
        cause="Parts could not be read: {sources}. What stood in them is unknown.",
        remedy=("Collect again, if the logs have not wrapped since.",),
        rerun_safe=RerunSafety.UNKNOWN,
        find=_rows(CoverageStatus.DAMAGED, CoverageStatus.UNREADABLE),
        is_state=True,
    ),
    Rule(
        id="evidence-not-understood",
        title="The bundle holds evidence that this version does not know",
        severity=Severity.INFO,
        rank=Rank.CONTEXT,
        cause="Not looked at: {sources}.",
        remedy=("Analyse it with a newer ferry.",),
        rerun_safe=RerunSafety.UNKNOWN,
        find=_rows(CoverageStatus.UNKNOWN),
        is_state=True,
    ),
    Rule(
        id="no-run-found",
        title="The bundle tells of no update run and no CAU run",
        severity=Severity.INFO,
        rank=Rank.CONTEXT,
        cause="{read}, and none mentions a run: there was none in the time collected, or its traces "
        "were not collected.",
        remedy=("Check the time window and the coverage below.",),
        rerun_safe=RerunSafety.UNKNOWN,
        find=_nothing,
        is_state=True,
    ),
)
