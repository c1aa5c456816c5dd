"""What an analysis hands over: frozen values only, ready for JSON and for the report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from toolkit.analysis._case import Coverage, NodeTurn, Outcome
from toolkit.analysis._timeline import Moment
from toolkit.analysis._verdict import Verdict
from toolkit.model import Finding, Gap, ResourceId, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class CauRunStory:
    """One CAU run without its events, which stand in the timeline."""

    run_id: str
    started_at: datetime | None
    ended_at: datetime | None
    last_at: datetime
    outcome: Outcome
    note: str
    coordinators: tuple[str, ...]
    turns: tuple[NodeTurn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRun:
    """The newest run of an update, where the run or the update failed."""

    run_id: ResourceId
    updated_at: datetime | None
    """When it changed last, as far as this bundle shows."""
    verdict: Verdict
    """What was found of this run; of other runs in the bundle it says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Everything an analysis found out about one log bundle."""

    cluster: str
    bundle_created_at: datetime
    current_version: str
    """The solution version the cluster reported; empty if it did not."""
    verdict: Verdict
    findings: tuple[Finding, ...]
    """Critical first; root causes before what followed from them."""
    runs: tuple[CauRunStory, ...]
    failed_runs: tuple[FailedRun, ...]
    """What has to be cured before they are started again, each with a verdict of its own."""
    timeline: tuple[Moment, ...]
    timeline_left_out: int
    coverage: tuple[Coverage, ...]
    gaps: tuple[Gap, ...]

    @property
    def has_failure(self) -> bool:
        """Whether something critical was found, or nothing could be read at all."""
        critical = any(one.severity is Severity.CRITICAL for one in self.findings)
        return critical or not any(row.is_readable for row in self.coverage)
