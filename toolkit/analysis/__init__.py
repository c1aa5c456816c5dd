"""A log bundle → what went wrong, on which node, why, is a second try safe, and what to do.

Works on the bundle alone: no cluster, no network. Sources are read by `_sources` through `_parsers`,
put on one clock, told as CAU runs by `_story`, judged by `_rules`, condensed by `_verdict`. A part that
cannot be read never stops the rest: it becomes a gap and a finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from toolkit.analysis._analysis import Analysis, CauRunStory, FailedRun
from toolkit.analysis._case import CauRun, Coverage, CoverageStatus, NodeTurn, Outcome, Phase
from toolkit.analysis._records import clean
from toolkit.analysis._report import MARK, render
from toolkit.analysis._rules import RULES, findings
from toolkit.analysis._rules.steps import failed_runs
from toolkit.analysis._sources import read_bundle
from toolkit.analysis._timeline import Moment, timeline
from toolkit.analysis._verdict import Verdict, run_verdict, verdict
from toolkit.errors import StorageError, system_says
from toolkit.filesystem import has_mark, write_beside
from toolkit.logbundle import LogBundle
from toolkit.model import Gap

__all__ = [
    "RULES", "Analysis", "CauRunStory", "Coverage", "CoverageStatus", "FailedRun", "Moment", "NodeTurn", "Outcome",
    "Phase", "Verdict", "analyse", "report_html", "write_report",
]  # fmt: skip


def analyse(bundle: LogBundle, *, clock_offsets: Mapping[str, timedelta] | None = None) -> Analysis:
    """Read a bundle and judge what it tells.

    Args:
        bundle: The open bundle.
        clock_offsets: Node → how much its clock was ahead when the bundle was made; nodes that are
            not named count as right.

    Raises:
        StorageError: No room to unpack a member of the bundle.
    """
    case = read_bundle(bundle, clock_offsets or {})
    found = findings(case)
    moments, left_out = timeline(case)
    return Analysis(
        cluster=clean(case.cluster),
        bundle_created_at=bundle.created_at,
        current_version=case.environment.current_version if case.environment else "",
        verdict=verdict(case, found),
        findings=found,
        runs=tuple(map(_story, case.cau_runs)),
        failed_runs=tuple(
            FailedRun(
                run_id=run.resource_id,
                updated_at=run.updated_at,
                verdict=run_verdict(case, found, run),
            )
            for run in failed_runs(case)
        ),
        timeline=moments,
        timeline_left_out=left_out,
        coverage=case.coverage,
        gaps=tuple(map(_gap, (row for row in case.coverage if not _is_whole(row)))),
    )


def _story(run: CauRun) -> CauRunStory:
    return CauRunStory(
        run_id=run.run_id,
        started_at=run.started_at,
        ended_at=run.ended_at,
        last_at=run.last_at,
        outcome=run.outcome,
        note=run.note,
        coordinators=run.coordinators,
        turns=run.turns,
    )


def _is_whole(row: Coverage) -> bool:
    return row.status in (CoverageStatus.COLLECTED, CoverageStatus.EMPTY)


def _gap(row: Coverage) -> Gap:
    return Gap(source=row.source, node=row.node, reason=row.status, detail="; ".join(row.detail))


def report_html(analysis: Analysis) -> str:
    """Return the analysis as one HTML file that refers to nothing outside itself."""
    return render(analysis)


def write_report(analysis: Analysis, path: Path) -> None:
    """Write the HTML report beside its name and rename it; an earlier report is replaced.

    Raises:
        StorageError: The file exists and is no report of ours, or it cannot be written.
    """
    attempted = f"write report {path}"
    try:
        if path.exists() and not has_mark(path, MARK):
            raise StorageError(
                attempted,
                found="a file of that name that is not a ferry report",
                hint="choose another name; files of others are never overwritten",
            )
        write_beside(path, report_html(analysis).encode())
    except OSError as error:
        raise StorageError(attempted, found=system_says(error)) from error
