"""Makes cases for the rules: a few events or texts around which everything else is empty."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from toolkit.analysis._case import Case, Coverage, CoverageStatus, LoggedEvent, Text
from toolkit.analysis._events import CAU, CLUSTERING, EVENT_LOG, KERNEL, MANAGEMENT, WINDOWS_UPDATE
from toolkit.analysis._records import (
    CauReport,
    EventRecord,
    HealthResult,
    InstallResult,
    NodeResult,
    UpdateRow,
)
from toolkit.analysis._story import tell
from toolkit.model import Evidence, HealthCheck, ResourceId, RunState, Source, Step, UpdateRun

NODES = ("N1", "N2")
START = datetime(2026, 3, 20, 1, 0, tzinfo=UTC)
RUN = "{5D4C9A3E-9C4E-4F57-9D0C-2F6A6A0B7C11}"
OTHER_RUN = "{00000000-0000-4000-8000-000000000002}"
RUN_ID = RUN.strip("{}").lower()

_SOURCES = {
    MANAGEMENT: Source.CAU_MANAGEMENT_EVTX,
    CAU: Source.CAU_EVTX,
    WINDOWS_UPDATE: Source.WINDOWS_UPDATE_EVTX,
}


def event(
    minute: float,
    provider: str,
    event_id: int,
    *arguments: str,
    node: str = "N1",
    level: int = 4,
) -> LoggedEvent:
    at = START + timedelta(minutes=minute)
    return LoggedEvent(
        at=at,
        node=node,
        source=_SOURCES.get(provider, Source.SYSTEM_EVTX),
        record=EventRecord(
            provider=provider,
            event_id=event_id,
            version=0,
            level=level,
            channel="x",
            computer=node,
            record_id=int(minute * 10) + 1,
            at=at,
            data=tuple(("", argument) for argument in arguments),
        ),
    )


def manager(minute: float, event_id: int, *arguments: str, node: str = "N1") -> LoggedEvent:
    return event(minute, MANAGEMENT, event_id, *arguments, node=node)


def own(minute: float, event_id: int, *arguments: str, node: str = "N2") -> LoggedEvent:
    return event(minute, CAU, event_id, *arguments, node=node)


def clustering(minute: float, event_id: int, *arguments: str, node: str = "N1") -> LoggedEvent:
    return event(minute, CLUSTERING, event_id, *arguments, node=node)


def boot(minute: float, node: str) -> LoggedEvent:
    return event(minute, KERNEL, 12, node=node)


def crash(minute: float, node: str) -> LoggedEvent:
    return event(minute, EVENT_LOG, 6008, node=node)


def installed(minute: float, node: str, title: str = "Cumulative Update (KB1)") -> LoggedEvent:
    return event(minute, WINDOWS_UPDATE, 19, title, node=node)


def whole_logs(nodes: Iterable[str] = NODES) -> tuple[Coverage, ...]:
    return tuple(
        Coverage(
            node=node, source=Source.CAU_MANAGEMENT_EVTX, status=CoverageStatus.COLLECTED, records=1
        )
        for node in nodes
    )


def report(
    *,
    status: str = "Failed",
    error: str = "",
    code: int | None = None,
    plugin: str = "Microsoft.HotfixPlugin",
    run_id: str = RUN_ID,
) -> CauReport:
    install = InstallResult(title="KB1", update_id="1", result="", error_code=code)
    return CauReport(
        run_id=run_id,
        plugins=(plugin,),
        started_at=START,
        status=status,
        error="",
        nodes=(
            NodeResult(
                node="n2",
                status=status,
                error=error,
                failed=1 if code else 0,
                succeeded=0,
                installs=(install,),
            ),
        ),
    )


def check(status: str, severity: str) -> tuple[str, HealthResult]:
    return (
        Source.ENVIRONMENT,
        HealthResult(
            check=HealthCheck(
                name="AzStackHci_X",
                title="Disk space",
                status=status,
                severity=severity,
                description="Too little space.",
                remediation="Free some.",
                target="N1",
            ),
            has_failed=status == "FAILURE",
            severity=severity,
            at=START,
            place="HealthCheckResult[0]",
        ),
    )


def step(name: str, status: str, *inner: Step, error: str = "", minutes: float = 1) -> Step:
    return Step(
        name=name,
        status=status,
        error_message=error,
        started_at=START,
        ended_at=None if status == "InProgress" else START + timedelta(minutes=minutes),
        steps=inner,
    )


def update_run(state: str, progress: Step | None, *, minutes: float = 60) -> UpdateRun:
    return UpdateRun(
        resource_id=ResourceId("redmond/Solution12.2603.1002.15/9a1d"),
        state=RunState(state),
        state_raw=state,
        started_at=START,
        updated_at=START + timedelta(minutes=minutes),
        progress=progress,
    )


def listed(state: str, name: str = "Solution12.2603.1002.15") -> UpdateRow:
    return UpdateRow(resource_id=f"redmond/{name}", state=state, place="[0]")


def text(raw: str, *, check: str = "", target: str = "", node: str = "") -> Text:
    evidence = Evidence(node=node, source="x", at=None, text=raw, place="y")
    return Text(evidence=evidence, raw=raw, check=check, target=target)


def case(
    *events: LoggedEvent,
    reports: Iterable[CauReport] = (),
    runs: Iterable[UpdateRun] = (),
    updates: Iterable[UpdateRow] = (),
    checks: Iterable[tuple[str, HealthResult]] = (),
    coverage: tuple[Coverage, ...] | None = None,
    texts: Iterable[Text] = (),
) -> Case:
    coverage = whole_logs() if coverage is None else coverage
    return Case(
        cluster="plant7",
        nodes=NODES,
        events=events,
        cau_runs=tell(events, reports, coverage, NODES),
        reports=tuple(reports),
        update_runs=tuple(runs),
        updates=tuple(updates),
        checks=tuple(checks),
        environment=None,
        plans=(),
        markers=(),
        coverage=coverage,
        texts=tuple(texts),
    )
