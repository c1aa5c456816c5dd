"""CAU runs, told from the events of all nodes and from the run reports.

Theory of operation
    The coordinator's events carry a run id only where a run starts (1003), ends (1004 to 1007) or is
    cancelled by hand (1021). All others belong to the run that is open at that moment. A second 1003
    with the same id is a hand-over: the coordinator's own node had to restart. The updated node's own
    events (2001 …) carry no run id either, and belong to the open run in the same way.

    A run without an end is either open, or its end lies in a log that was not collected, or in one that
    wrapped since. Which of these it is follows from the coverage, and is never left out.

Source: event lists of both CAU providers, and a printed two-node run (README of HyperVReports).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from toolkit.analysis._case import (
    CauRun,
    Coverage,
    CoverageStatus,
    LoggedEvent,
    NodeTurn,
    Outcome,
    Phase,
)
from toolkit.analysis._events import CAU, MANAGEMENT, OF_NODE, hresult_text, short_name
from toolkit.analysis._parsers.cau_reports import normal_run_id
from toolkit.analysis._records import CauReport, NodeResult
from toolkit.model import Source

_ENDS = {
    1004: Outcome.SUCCEEDED,
    1005: Outcome.CANCELLED,
    1006: Outcome.PARTIAL,
    1007: Outcome.FAILED,
    1021: Outcome.CANCELLED,
}
_NODE_FAILED = {1012, 1013, 1015, 1016, 1017, 1018}
_FIRST_ERRORS = {2002, 2004, 2006, 2021} | _NODE_FAILED

_PHASES = {
    2001: ("scan", "{} update(s) found"),
    2002: ("scan", "failed: {}"),
    2003: ("download", "{} update(s)"),
    2004: ("download", "failed: {}"),
    1008: ("drain", ""),
    1016: ("drain", "failed"),
    2005: ("install", "{} update(s)"),
    2006: ("install", "failed: {}"),
    1011: ("restart", ""),
    1012: ("restart", "failed"),
    1009: ("resume", ""),
}
"""The event that ends a phase → its name and what to say of it; a phase begins where the last ended."""

MANAGEMENT_SOURCES = (Source.CAU_MANAGEMENT_EVTX, Source.CAU_MANAGEMENT_XML)


def tell(
    events: Iterable[LoggedEvent],
    reports: Iterable[CauReport],
    coverage: tuple[Coverage, ...],
    nodes: tuple[str, ...],
) -> tuple[CauRun, ...]:
    """Return every CAU run the evidence knows of, oldest first.

    Args:
        events: Of all nodes, in order of time.
        reports: The run reports.
        coverage: Which logs were there to tell.
        nodes: The cluster's nodes as the bundle spells them.
    """
    teller = _Teller(nodes)
    for event in events:
        provider, _ = event.key
        if provider == MANAGEMENT:
            teller.manage(event)
        elif provider == CAU and teller.current is not None:
            teller.current.of_node(event, event.node)
    by_id = {report.run_id: report for report in reports if report.run_id}
    told = [_told(run, by_id.pop(run.run_id, None), coverage, nodes) for run in teller.runs]
    told += [_only_reported(report, nodes) for report in by_id.values()]
    return tuple(sorted(told, key=lambda run: run.started_at or run.last_at))


@dataclass(slots=True)
class _Turn:
    node: str
    cursor: datetime | None
    phases: list[Phase] = field(default_factory=list)
    suspended_at: datetime | None = None
    resumed_at: datetime | None = None
    restart_at: datetime | None = None
    has_failed: bool = False
    error: str = ""

    def add(self, event: LoggedEvent) -> None:
        """Take the next event of this node's turn."""
        _, event_id = event.key
        if event_id in _FIRST_ERRORS:
            self.error = self.error or event.text
            self.has_failed = self.has_failed or event_id in _NODE_FAILED
        if event_id == 1010:
            self.restart_at = self.cursor = event.at
        if event_id in _PHASES:
            name, detail = _PHASES[event_id]
            self.phases.append(
                Phase(
                    name=name,
                    started_at=self.cursor,
                    ended_at=event.at,
                    detail=detail.format(hresult_text(event.argument(0))),
                )
            )
            self.cursor = event.at
        if event_id == 1008:
            self.suspended_at, self.resumed_at = self.suspended_at or event.at, None
        elif event_id == 1009:
            self.resumed_at = event.at
        elif event_id == 1011:
            self.restart_at = None

    def told(self) -> NodeTurn:
        """Return the turn as far as it got."""
        phases = list(self.phases)
        if self.has_failed:
            outcome = "failed"
        elif self.restart_at is not None:
            outcome = "restarting"
            phases.append(Phase(name="restart", started_at=self.restart_at, ended_at=None))
        elif self.resumed_at is not None:
            outcome = "updated"
        else:
            outcome = "in maintenance" if self.suspended_at is not None else "begun"
        return NodeTurn(
            node=self.node,
            phases=tuple(phases),
            outcome=outcome,
            error=self.error,
            suspended_at=self.suspended_at,
            resumed_at=self.resumed_at,
        )


@dataclass(slots=True)
class _Run:
    run_id: str
    nodes: tuple[str, ...]
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    cursor: datetime | None = None
    coordinators: list[str] = field(default_factory=list)
    turns: dict[str, _Turn] = field(default_factory=dict)
    events: list[LoggedEvent] = field(default_factory=list)

    def of_node(self, event: LoggedEvent, name: str) -> None:
        """Take an event of one node's turn."""
        self.events.append(event)
        short = short_name(name)
        spelled = next((node for node in self.nodes if short_name(node) == short), name)
        turn = self.turns.setdefault(short, _Turn(spelled, self.cursor))
        turn.add(event)
        if event.key == (MANAGEMENT, 1009):
            self.cursor = event.at

    def seen_from(self, node: str) -> None:
        """Remember who coordinates."""
        if not self.coordinators or self.coordinators[-1] != node:
            self.coordinators.append(node)


class _Teller:
    """Goes through the coordinators' events and keeps track of the open run."""

    def __init__(self, nodes: tuple[str, ...]) -> None:
        self.nodes = nodes
        self.runs: list[_Run] = []
        self.current: _Run | None = None

    def manage(self, event: LoggedEvent) -> None:
        """Take the next event of a coordinator."""
        _, event_id = event.key
        if event_id == 1003:
            self._start(event)
        elif event_id in _ENDS:
            self._end(event, _ENDS[event_id])
        elif event_id in OF_NODE:
            if self.current is None:
                self.current = self._new("")
            self.current.seen_from(event.node)
            self.current.of_node(event, event.argument(0))
        elif self.current is not None:
            self.current.events.append(event)

    def _start(self, event: LoggedEvent) -> None:
        run_id = normal_run_id(event.argument(0))
        if self.current is None or self.current.run_id != run_id:
            self.current = self._known(run_id) or self._new(run_id)
        run = self.current
        run.outcome = run.ended_at = None
        run.started_at = run.started_at or event.at
        run.cursor = event.at
        run.seen_from(event.node)
        run.events.append(event)

    def _end(self, event: LoggedEvent, outcome: Outcome) -> None:
        run_id = normal_run_id(event.argument(0))
        run = self._known(run_id)
        if run is None and self.current is not None and not self.current.run_id:
            run = self.current
            run.run_id = run_id
        run = run or self._new(run_id)
        run.seen_from(event.node)
        run.events.append(event)
        run.outcome, run.ended_at = outcome, event.at
        self.current = None

    def _known(self, run_id: str) -> _Run | None:
        return next((run for run in reversed(self.runs) if run.run_id == run_id), None)

    def _new(self, run_id: str) -> _Run:
        run = _Run(run_id, self.nodes)
        self.runs.append(run)
        return run


# --- the end of a run ---------------------------------------------------------------------------


def _told(
    run: _Run, report: CauReport | None, coverage: tuple[Coverage, ...], nodes: tuple[str, ...]
) -> CauRun:
    last_at = max(event.at for event in run.events)
    outcome, note = run.outcome, ""
    if outcome is None:
        outcome, note = _missing_end(last_at, report, coverage, nodes)
    turns = [turn.told() for turn in run.turns.values()]
    if report is not None:
        turns = [_with_error(turn, report.nodes) for turn in turns]
    if run.started_at is not None and turns and outcome.is_end:
        reached = {short_name(turn.node) for turn in turns}
        turns += [
            NodeTurn(node=node, phases=(), outcome="not reached")
            for node in nodes
            if short_name(node) not in reached
        ]
    return CauRun(
        run_id=run.run_id,
        started_at=run.started_at,
        ended_at=run.ended_at,
        last_at=last_at,
        outcome=outcome,
        note=note,
        coordinators=tuple(run.coordinators),
        turns=tuple(turns),
        events=tuple(run.events),
    )


def _missing_end(
    last_at: datetime,
    report: CauReport | None,
    coverage: tuple[Coverage, ...],
    nodes: tuple[str, ...],
) -> tuple[Outcome, str]:
    """Decide why a run has no end."""
    if report is not None and (reported := _reported(report)) is not None:
        return reported, "its end was read from the run report"
    logs = [row for row in coverage if row.source in MANAGEMENT_SOURCES]
    whole = {
        row.node for row in logs if row.status in (CoverageStatus.COLLECTED, CoverageStatus.EMPTY)
    }
    lacking = [node for node in nodes if node not in whole]
    if lacking:
        return Outcome.NOT_COLLECTED, f"no whole coordinator log of {', '.join(lacking)}"
    wrapped = sorted(
        {
            row.node
            for row in logs
            if row.first_record_id > 1 and row.first_at is not None and row.first_at > last_at
        }
    )
    if wrapped:
        return Outcome.OVERWRITTEN, f"the coordinator log of {', '.join(wrapped)} begins later"
    return Outcome.OPEN, "no end in any coordinator log, all of which were collected"


def _reported(report: CauReport) -> Outcome | None:
    """Return how a report says its run ended; a number says nothing, its errors do."""
    match report.status.lower():
        case "succeeded":
            return Outcome.SUCCEEDED
        case "partiallyfailed":
            return Outcome.PARTIAL
        case "failed":
            return Outcome.FAILED
        case "canceled" | "cancelled":
            return Outcome.CANCELLED
        case _ if report.error or any(node_has_failed(node) for node in report.nodes):
            return Outcome.FAILED
        case _:
            return None


def node_has_failed(result: NodeResult) -> bool:
    """Whether a report says that a node was not updated as it should have been."""
    return (
        result.status.lower().endswith("failed")
        or result.failed > 0
        or bool(result.error)
        or any(install.error_code for install in result.installs)
    )


def _with_error(turn: NodeTurn, results: tuple[NodeResult, ...]) -> NodeTurn:
    found = next((one for one in results if short_name(one.node) == short_name(turn.node)), None)
    if found is None or turn.error or not found.error:
        return turn
    return replace(turn, error=found.error)


def _only_reported(report: CauReport, nodes: tuple[str, ...]) -> CauRun:
    """Tell a run of which only the report is left."""
    turns = []
    for result in report.nodes:
        short = short_name(result.node)
        failed = node_has_failed(result)
        reached = failed or result.status.lower() not in ("canceled", "cancelled")
        turns.append(
            NodeTurn(
                node=next((node for node in nodes if short_name(node) == short), result.node),
                phases=(),
                outcome="failed" if failed else "updated" if reached else "not reached",
                error=result.error,
            )
        )
    started_at = report.started_at
    return CauRun(
        run_id=report.run_id,
        started_at=started_at,
        ended_at=None,
        last_at=started_at or datetime.fromisoformat("2000-01-01T00:00:00+00:00"),
        outcome=_reported(report) or Outcome.NOT_COLLECTED,
        note="known from its run report only: no event of it is in the bundle",
        coordinators=(),
        turns=tuple(turns),
        events=(),
    )
