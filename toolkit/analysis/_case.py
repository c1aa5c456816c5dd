"""What the rules see: everything read from one log bundle, on one clock. Pure values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from toolkit.analysis._events import MANAGEMENT, OF_NODE, describe, severity_of, short_name
from toolkit.analysis._records import (
    ActionPlan,
    CauReport,
    EnvironmentRecord,
    EventRecord,
    HealthResult,
    Marker,
    UpdateRow,
)
from toolkit.model import Evidence, Severity, Step, UpdateRun


class CoverageStatus(StrEnum):
    """What became of one source of one node."""

    COLLECTED = "collected"
    EMPTY = "empty"
    """Collected, and there is nothing in it."""
    DAMAGED = "damaged"
    """Collected; a part cannot be read."""
    UNREADABLE = "unreadable"
    """Collected; nothing in it can be used."""
    MISSING = "missing"
    """Not collected, for the reason given."""
    NOT_ASKED = "not asked for"
    """Neither in the bundle nor reported missing."""
    UNKNOWN = "not understood"
    """A source this version does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the bundle holds of one source of one node, and what it lacks."""

    node: str
    """Empty: asked once for the whole cluster."""
    source: str
    status: CoverageStatus
    records: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    first_record_id: int = 0
    detail: tuple[str, ...] = ()

    @property
    def is_readable(self) -> bool:
        """Whether at least a part of the source could be read, even if there was nothing in it."""
        return self.status in (
            CoverageStatus.COLLECTED, CoverageStatus.EMPTY, CoverageStatus.DAMAGED
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """One event, who wrote it, where it lies, and when it happened on the common clock."""

    at: datetime
    node: str
    source: str
    record: EventRecord

    @property
    def key(self) -> tuple[str, int]:
        """Provider and id: what rules match."""
        return self.record.provider, self.record.event_id

    @property
    def place(self) -> str:
        """Where it lies in its source."""
        return f"record {self.record.record_id}"

    @property
    def text(self) -> str:
        """What it says."""
        return describe(self.record)

    @property
    def severity(self) -> Severity:
        """How much it matters by itself."""
        return severity_of(self.record)

    def argument(self, index: int) -> str:
        """Return an argument by position; empty if there is none."""
        arguments = self.record.arguments
        return arguments[index] if index < len(arguments) else ""

    @property
    def subject(self) -> str:
        """The node it is about: a coordinator writes of others."""
        is_of_other = self.record.provider == MANAGEMENT and self.record.event_id in OF_NODE
        return (self.argument(0) if is_of_other else "") or self.node

    def evidence(self) -> Evidence:
        """Return the event as evidence."""
        return Evidence(
            node=self.node, source=self.source, at=self.at, text=self.text, place=self.place
        )


class Outcome(StrEnum):
    """How a CAU run ended, as far as the evidence tells."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partly failed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    OPEN = "open"
    """No end recorded although every coordinator's log was collected: it may still be running."""
    NOT_COLLECTED = "end not collected"
    """No end recorded, but a log that may hold it is missing or damaged."""
    OVERWRITTEN = "end overwritten"
    """No end recorded, and a log that may have held it begins only later: it wrapped."""

    @property
    def is_end(self) -> bool:
        """Whether the run is known to have ended."""
        return self in (Outcome.SUCCEEDED, Outcome.PARTIAL, Outcome.FAILED, Outcome.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One stretch of a node's turn: scan, download, drain, install, restart, resume."""

    name: str
    started_at: datetime | None
    ended_at: datetime | None
    """None: it never ended."""
    detail: str = ""

    @property
    def took(self) -> timedelta | None:
        """How long it took; None if an end is missing or the clocks disagree."""
        if self.started_at is None or self.ended_at is None or self.ended_at < self.started_at:
            return None
        return self.ended_at - self.started_at


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTurn:
    """One node's part in a CAU run."""

    node: str
    phases: tuple[Phase, ...]
    outcome: str
    """`updated`, `failed`, `in maintenance`, `restarting`, `begun` or `not reached`."""
    error: str = ""
    suspended_at: datetime | None = None
    resumed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CauRun:
    """The story of one CAU run, told by the events of all nodes and its report."""

    run_id: str
    """Lower case, no braces; empty if the evidence does not tell."""
    started_at: datetime | None
    ended_at: datetime | None
    last_at: datetime
    """The last sign of life of this run."""
    outcome: Outcome
    note: str
    coordinators: tuple[str, ...]
    """The nodes that orchestrated the run, in order; more than one means a hand-over."""
    turns: tuple[NodeTurn, ...]
    events: tuple[LoggedEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One piece of text that signatures are matched against."""

    evidence: Evidence
    raw: str
    """What is matched, escapes undone."""
    check: str = ""
    """Name of the health check it comes from, if any."""
    target: str = ""
    """The update it belongs to, if known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything read from one bundle."""

    cluster: str
    nodes: tuple[str, ...]
    events: tuple[LoggedEvent, ...]
    """In order of time, then of record id."""
    cau_runs: tuple[CauRun, ...]
    reports: tuple[CauReport, ...]
    update_runs: tuple[UpdateRun, ...]
    updates: tuple[UpdateRow, ...]
    checks: tuple[tuple[str, HealthResult], ...]
    """Source and result."""
    environment: EnvironmentRecord | None
    plans: tuple[ActionPlan, ...]
    markers: tuple[Marker, ...]
    coverage: tuple[Coverage, ...]
    texts: tuple[Text, ...]

    def of(self, *keys: tuple[str, int]) -> Iterator[LoggedEvent]:
        """Yield the events with one of these providers and ids, in order of time."""
        return (event for event in self.events if event.key in keys)

    def node_named(self, text: str) -> str:
        """Return the node that a text names, as the bundle spells it; empty if none or several."""
        words = {short_name(word) for word in text.replace("\\", " ").split()}
        words |= {short_name(word.strip("',;:()[]\"")) for word in text.split()}
        found = [node for node in self.nodes if short_name(node) in words]
        return found[0] if len(found) == 1 else ""

    def spelled(self, name: str) -> str:
        """Return a node's name as the bundle spells it, or as it was given."""
        return next((node for node in self.nodes if short_name(node) == short_name(name)), name)


def walk(step: Step, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Step]]:
    """Yield a step and all below it with their paths, depth first."""
    here = (*path, step.name or "(unnamed)")
    yield here, step
    for inner in step.steps:
        yield from walk(inner, here)
