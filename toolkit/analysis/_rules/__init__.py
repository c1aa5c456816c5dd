"""Every rule, and how a case becomes findings.

A rule never sees a file. To add one, write it into the module of its subject (or, for an error text,
into a file below `signatures/`) and into docs/reference/rules.md.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from toolkit.analysis._case import Case, Outcome
from toolkit.analysis._records import clean, cleaned
from toolkit.analysis._rules import cau, coverage, health, nodes, signatures, steps
from toolkit.analysis._rules._rule import GUIDES, Hit, Rank, Rule, filled, latest
from toolkit.model import Finding, Severity

RULES: tuple[Rule, ...] = (
    *signatures.RULES,
    *cau.RULES,
    *nodes.RULES,
    *steps.RULES,
    *health.RULES,
    *coverage.RULES,
)

_ORDER = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def findings(case: Case) -> tuple[Finding, ...]:
    """Return what the rules find, the worst first and causes before what followed from them.

    Of causes alike, those of the run that failed last come first: what an earlier one failed of may be cured. What
    a later success has overtaken is kept, as information.
    """
    success = _newest_success(case)
    began = max((run.started_at for run in steps.failed_runs(case) if run.started_at), default=None)
    found = [(rule, _finding(rule, hit, success)) for rule in RULES for hit in rule.find(case)]
    found.sort(
        key=lambda row: (
            _ORDER[row[1].severity],
            row[0].rank,
            _is_over_before(row[1], began),
            _time(row[1]),
        )
    )
    return tuple(finding for _, finding in found)


def _is_over_before(finding: Finding, began: datetime | None) -> bool:
    at = latest(finding.evidence)
    return began is not None and at is not None and at < began


def _finding(rule: Rule, hit: Hit, success: datetime | None) -> Finding:
    facts = {name: clean(fact) for name, fact in hit.facts.items()}
    at = latest(hit.evidence)
    finding = Finding(
        rule=rule.id,
        title=filled(rule.title, facts),
        severity=hit.severity or rule.severity,
        cause=filled(rule.cause, facts),
        remedy=tuple(filled(step, facts) for step in rule.remedy),
        guide=f"{GUIDES}{rule.guide}" if rule.guide else "",
        rerun_safe=rule.rerun_safe,
        affects=rule.affects,
        evidence=tuple(map(cleaned, hit.evidence)),
    )
    if success is None or at is None or at >= success or rule.is_state:
        return finding
    return replace(
        finding,
        severity=Severity.INFO,
        title=f"Earlier: {finding.title}",
        cause=f"{finding.cause} (A later run succeeded.)",
    )


def _newest_success(case: Case) -> datetime | None:
    ends = [
        run.ended_at or run.last_at for run in case.cau_runs if run.outcome is Outcome.SUCCEEDED
    ]
    by_update = steps.newest_success(case)
    return max([*ends, *([by_update] if by_update else [])], default=None)


def _time(finding: Finding) -> float:
    times = [one.at.timestamp() for one in finding.evidence if one.at is not None]
    return min(times, default=float("inf"))


__all__ = ["RULES", "Rank", "Rule", "findings"]
