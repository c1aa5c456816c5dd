"""One Cluster-Aware Updating run, told the same way by event logs, CAU report and step tree.

Theory of operation
    `cau_run` plays a run forward on a clock of its own and lets every node write what it would have
    written: the orchestrator to the Management log, the node being updated to its own CAU log, the
    machines to System and WindowsUpdateClient/Operational. The report and the step tree of the
    update run are built from the same moments. Everything follows from the arguments.

    Nodes take turns in the order given. The run starts on an orchestrator that is not first in
    turn; before the orchestrator's own turn its role moves to another node, which writes a second
    1003 with the same run id. A node that fails ends the run (`MaxFailedNodes` 0).

Source: ids, meanings and order of arguments from the public event lists of both CAU providers; order
and gaps of events from a printed two-node run (README of the PowerShell module HyperVReports); System
and WindowsUpdateClient shapes from real logs; texts of failures from the Azure Local troubleshooting
guides. What is invented is listed in docs/simulator.md, "Event logs and the CAU story".
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from tests.simcluster.eventshapes import (
    CAU,
    CHANNELS,
    CLUSTERING,
    EVENT_LOG,
    KERNEL,
    MANAGEMENT,
    USER32,
    WINDOWS_UPDATE,
    channel_of,
    make_event,
    message,
)
from tests.simcluster.evtx import Event, HexInt, UInt
from tests.simcluster.steps import Step, date_json, span_json

Failure = Literal["installer-blocked", "restart-timeout", "drain"]

PREPARATION = timedelta(minutes=45)
"""From the start of the update run to the start of its CAU run."""

# --- the face -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WindowsPackage:
    """One update as Windows names it; the number of the KB article is in brackets at its end."""

    title: str
    update_id: UUID


CUMULATIVE = WindowsPackage(
    "2026-03 Cumulative Update for Microsoft server operating system version 24H2 (KB5078740)",
    UUID("7c0d3c57-51a5-4c5e-9b45-0f9d0b6f4a01"),
)
"""Needs a restart."""
FRAMEWORK = WindowsPackage(
    "2026-03 Cumulative Update for .NET Framework 3.5 and 4.8.1 (KB5078741)",
    UUID("7c0d3c57-51a5-4c5e-9b45-0f9d0b6f4a02"),
)
"""Becomes applicable after the restart; installed in a second round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A CAU run and the update run around it, as its traces show it at one moment."""

    state: Literal["InProgress", "Succeeded", "Failed"]
    """State of the update run."""
    started_at: datetime
    """Start of the update run; the CAU run starts `PREPARATION` later."""
    ended_at: datetime
    """End of the update run, also while `state` is still InProgress."""
    events: dict[str, dict[str, list[Event]]]
    """Node → channel → events in the order of their record ids."""
    messages: dict[Event, str]
    report: dict[str, object] | None
    """One CAU report, as `Get-CauReport -Detailed | ConvertTo-Json` of Windows PowerShell prints it:
    dates as `/Date(ms)/`, time spans as objects. None until the CAU run has ended."""
    progress: dict[str, object]
    """`Progress` of the update run (the root step), in the same form."""
    plan: Step
    run_began_at: datetime
    """Start of the CAU run."""
    run_ended_at: datetime
    clock_offsets: Mapping[str, timedelta]
    restarts: Mapping[str, tuple[datetime, datetime | None]]
    """Node → when it goes down and when it is back; None: never."""

    def until(self, moment: datetime) -> Story:
        """Return the same story as its traces show it at that moment."""
        if moment >= self.ended_at:
            return self
        events = {
            node: {
                channel: [
                    event
                    for event in events
                    if event.time - self.clock_offsets.get(node, timedelta()) <= moment
                ]
                for channel, events in channels.items()
            }
            for node, channels in self.events.items()
        }
        return dataclasses.replace(
            self,
            state="InProgress",
            events=events,
            report=self.report if moment >= self.run_ended_at else None,
            progress=self.plan.shown_at(moment),
        )


def cau_run(
    *,
    cluster: str,
    nodes: Sequence[str],
    started_at: datetime,
    run_id: UUID,
    failing_node: str | None = None,
    failure: Failure = "installer-blocked",
    domain: str = "cluster.example",
    os_build: str = "26100.32522",
    clock_offsets: Mapping[str, timedelta] | None = None,
    first_record_id: int = 1,
    is_cancelled: bool = False,
) -> Story:
    """Tell one CAU run over these nodes.

    Args:
        cluster: Name of the failover cluster.
        nodes: Node names in the order they are updated.
        started_at: When the CAU run starts (aware).
        run_id: Id of the CAU run.
        failing_node: The node on which the run fails; None: it succeeds.
        failure: How it fails there.
        domain: DNS suffix of the `Computer` field.
        os_build: Build the nodes start with after the restart.
        clock_offsets: Node → how much its clock is ahead.
        first_record_id: Of every log.
        is_cancelled: It finds the marker of an earlier failure and cancels itself after minutes.

    Raises:
        ValueError: A failing node that is not in the cluster, or a restart that never ends on the
            only node, where nobody is left to write of it.
    """
    if failing_node is not None and failing_node not in nodes:
        raise ValueError(f"{failing_node} is not a node of {cluster}: {', '.join(nodes)}")
    if failing_node is not None and failure == "restart-timeout" and len(nodes) == 1:
        raise ValueError("the only node cannot tell that it never came back")
    run = _Run(
        cluster=cluster,
        turns=tuple(_Turn(node) for node in nodes),
        run_id=run_id,
        failing_node=failing_node,
        failure=failure,
        domain=domain,
        os_build=os_build,
        clock_offsets=clock_offsets or {},
        first_record_id=first_record_id,
        is_cancelled=is_cancelled,
        now=started_at,
        orchestrator=nodes[-1],
        events={node: {channel: [] for channel in CHANNELS} for node in nodes},
    )
    succeeded = run.play()
    plan = _plan(run, started_at)
    return Story(
        state="Succeeded" if succeeded else "Failed",
        started_at=plan.start,
        ended_at=plan.end,
        events=run.events,
        messages={
            event: message(event)
            for channels in run.events.values()
            for events in channels.values()
            for event in events
        },
        report=_report(run, started_at),
        progress=plan.shown_at(plan.end),
        plan=plan,
        run_began_at=started_at,
        run_ended_at=run.now,
        clock_offsets=run.clock_offsets,
        restarts={
            turn.node: (turn.restart_at, turn.back_at)
            for turn in run.turns
            if turn.restart_at is not None
        },
    )


# --- the run ------------------------------------------------------------------------------------

_POWERSHELL = r"%systemroot%\System32\WindowsPowerShell\v1.0\powershell.exe"
_PARAMETERS = "-File $update$"
_SCRIPT = (
    r"\\localhost\C$\ClusterStorage\Infrastructure_1\Shares\SU1_Infrastructure_1"
    r"\CloudMedia\Platform\CAUHotfix_All\InstallMsuFiles.ps1"
)
_ACCESS_DENIED = 0x80070005
_RESTART_PENDING = 0x240005
_RESTART_LIMIT = timedelta(hours=1)
_MAX_FAILED_NODES = 0
_MAX_RETRIES_PER_NODE = 3  # default of Invoke-CauRun
_SERVICE_ID = UUID("7971F918-A847-4430-9279-4A52D1EFE18D")
_EXPECTED_A_NODE = timedelta(minutes=40)
_CANCELLED = "CAU Run failed. Previous CAU run status was Canceled. Exceeded max CAU retries (2)."
_PLUGIN = "Microsoft.HotfixPlugin"  # host OS updates of Azure Local from 2604


@dataclass(slots=True)
class _Turn:
    """What became of one node."""

    node: str
    begun_at: datetime | None = None
    suspended_at: datetime | None = None
    resumed_at: datetime | None = None
    restart_at: datetime | None = None
    back_at: datetime | None = None
    ended_at: datetime | None = None
    status: str = "Canceled"
    error: str | None = None
    installed: list[tuple[WindowsPackage, datetime, int]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Run:
    """Plays the run; `now` is true time, events carry the time of their node's clock."""

    cluster: str
    turns: tuple[_Turn, ...]
    run_id: UUID
    failing_node: str | None
    failure: Failure
    domain: str
    os_build: str
    clock_offsets: Mapping[str, timedelta]
    first_record_id: int
    is_cancelled: bool
    now: datetime
    orchestrator: str
    events: dict[str, dict[str, list[Event]]]

    def play(self) -> bool:
        """Play to the end; whether the run succeeded."""
        self._manage(1003, self._braced, self.cluster)
        if self.is_cancelled:
            self._wait(minutes=2)
            self._manage(1005, self._braced, self.cluster)
            return False
        for turn in self.turns:
            if turn.node == self.orchestrator and len(self.turns) > 1:
                self._hand_over(turn.node)
            turn.begun_at = self.now
            details = self._update(turn)
            turn.ended_at = self.now
            if details is not None:
                turn.status = "Failed"
                self._manage(1013, turn.node, details)
                self._fail()
                return False
            turn.status = "Succeeded"
        self._wait(seconds=1)
        self._manage(1004, self._braced, self.cluster)
        return True

    def _update(self, turn: _Turn) -> str | None:
        """Update one node; return the details of its failure, if any."""
        node = turn.node
        fails = node == self.failing_node
        self._wait(seconds=15)
        self._tell(node, CAU, 2010, "A restart is pending.", HexInt(_RESTART_PENDING))
        self._scan_and_download(node, CUMULATIVE)
        self._wait(seconds=54)
        if fails and self.failure == "drain":
            return self._refuse_to_drain(turn)
        turn.suspended_at = self.now
        self._manage(1008, node)
        if fails and self.failure == "installer-blocked":
            return self._block_installer(turn)
        self._install(turn, CUMULATIVE, minutes=17)
        self._wait(seconds=1)
        if not self._restart(turn, comes_back=not fails):
            return self._miss(turn)
        self._wait(seconds=22)
        self._scan_and_download(node, FRAMEWORK)
        self._install(turn, FRAMEWORK, minutes=1)
        self._wait(seconds=5)
        self._tell(node, CAU, 2001, UInt(0))
        self._manage(1009, node)
        turn.resumed_at = self.now
        return None

    def _hand_over(self, away_from: str) -> None:
        self._wait(seconds=8)
        self.orchestrator = next(turn.node for turn in self.turns if turn.node != away_from)
        self._manage(1003, self._braced, self.cluster)

    def _scan_and_download(self, node: str, package: WindowsPackage) -> None:
        self._tell(node, WINDOWS_UPDATE, 26, UInt(1), _SERVICE_ID)
        self._tell(node, CAU, 2001, UInt(1))
        self._wait(seconds=2)
        self._tell(node, WINDOWS_UPDATE, 44, package.title, package.update_id, UInt(1))
        self._wait(minutes=4)
        self._tell(node, WINDOWS_UPDATE, 41, package.update_id, UInt(1), package.title)
        self._tell(node, CAU, 2003, UInt(1))

    def _install(self, turn: _Turn, package: WindowsPackage, *, minutes: int) -> None:
        names = (package.title, package.update_id, UInt(1))
        self._wait(seconds=3)
        self._tell(turn.node, WINDOWS_UPDATE, 43, *names)
        self._wait(minutes=minutes)
        self._tell(turn.node, WINDOWS_UPDATE, 19, *names, _SERVICE_ID)
        self._tell(turn.node, CAU, 2005, UInt(1))
        turn.installed.append((package, self.now, 0))

    def _restart(self, turn: _Turn, *, comes_back: bool) -> bool:
        node = turn.node
        turn.restart_at = self.now
        self._manage(1010, node)
        self._wait(seconds=1)
        computer = node.upper()
        self._tell(
            node, USER32, 1074, rf"C:\Windows\system32\wbem\wmiprvse.exe ({computer})", computer,
            "Operating System: Hotfix (Planned)", "0x80020011", "restart", "",
            r"NT AUTHORITY\SYSTEM",
        )  # fmt: skip
        self._wait(seconds=9)
        self._tell(node, EVENT_LOG, 6006, "")
        self._wait(seconds=2)
        self._tell(node, KERNEL, 13, self._clock(node))
        self._wait(seconds=2)
        for other in self.turns:
            if other.node != node:
                self._tell(other.node, CLUSTERING, 1135, node)
        if not comes_back:
            return False
        self._wait(minutes=7)
        booted_at = self.now
        self._wait(seconds=14)
        build, revision = self.os_build.split(".")
        # the log service starts after the kernel but numbers its own events first
        self._tell(node, EVENT_LOG, 6009, "10.00.", build, "", "Multiprocessor Free", "0")
        self._tell(node, EVENT_LOG, 6005, "")
        numbers = (10, 0, int(build), int(revision), 0, 0)
        self._tell(
            node, KERNEL, 12, *map(UInt, numbers), self._clock(node, booted_at), at=booted_at
        )
        self._wait(seconds=31)
        if node == self.orchestrator:
            self._manage(1003, self._braced, self.cluster)
        self._manage(1011, node)
        turn.back_at = self.now
        return True

    # the three failures

    def _refuse_to_drain(self, turn: _Turn) -> str:
        self._wait(minutes=30)
        self._tell(turn.node, CLUSTERING, 1677, turn.node)
        turn.error = (
            "Microsoft.ClusterAwareUpdating.ClusterUpdateException: "
            f'The node "{turn.node}" could not be drained; its roles stayed where they were.'
        )
        self._manage(1016, turn.node, turn.error)
        return turn.error

    def _block_installer(self, turn: _Turn) -> str:
        for _ in range(1 + _MAX_RETRIES_PER_NODE):
            self._wait(seconds=40)
            denied = HexInt(_ACCESS_DENIED)
            self._tell(turn.node, CAU, 2021, _POWERSHELL, _PARAMETERS, _SCRIPT, denied, UInt(0))
            self._tell(turn.node, CAU, 2006, denied)
        turn.installed.append((CUMULATIVE, self.now, _ACCESS_DENIED))
        self._wait(seconds=6)
        self._manage(1009, turn.node)
        turn.resumed_at = self.now
        return (
            "Microsoft.ClusterAwareUpdating.ClusterUpdateException: "
            f"Failed to run a hotfix installer. Message: Cannot start hotfix installer on cluster "
            f"node {turn.node}. Program path: {_POWERSHELL}. Parameters: {_PARAMETERS}. "
            f"Update path: {_SCRIPT}. Error code: 0x{_ACCESS_DENIED:x}."
        )

    def _miss(self, turn: _Turn) -> str:
        self._wait(seconds=_RESTART_LIMIT.seconds)
        turn.error = (
            f'(ClusterUpdateException) Failed to restart "{turn.node}": '
            "The timeout limit (01:00:00) was reached."
        )
        self._manage(1012, turn.node, turn.error)
        return turn.error

    def _fail(self) -> None:
        self._manage(1019, UInt(_MAX_FAILED_NODES))
        self._wait(seconds=2)
        self._manage(
            1007, self._braced, self.cluster,
            "The number of failed nodes exceeds the limit of the run.", "0x80004005",
            "   at Microsoft.ClusterAwareUpdating.Orchestrator.Run()",
        )  # fmt: skip

    # writing

    @property
    def _braced(self) -> str:
        return f"{{{self.run_id}}}"

    def _wait(self, *, minutes: int = 0, seconds: int = 0) -> None:
        self.now += timedelta(minutes=minutes, seconds=seconds, microseconds=self._count() * 137)

    def _count(self) -> int:
        return sum(len(log) for channels in self.events.values() for log in channels.values())

    def _clock(self, node: str, at: datetime | None = None) -> datetime:
        return (at or self.now) + self.clock_offsets.get(node, timedelta())

    def _manage(self, event_id: int, *values: object) -> None:
        self._tell(self.orchestrator, MANAGEMENT, event_id, *values)

    def _tell(
        self, node: str, provider: str, event_id: int, *values: object, at: datetime | None = None
    ) -> None:
        log = self.events[node][channel_of(provider, event_id)]
        log.append(
            make_event(
                provider,
                event_id,
                *values,
                time=self._clock(node, at),
                computer=f"{node}.{self.domain}",
                record_id=self.first_record_id + len(log),
            )
        )


# --- the CAU report -----------------------------------------------------------------------------


def _report(run: _Run, started_at: datetime) -> dict[str, object]:
    failed = any(turn.status == "Failed" for turn in run.turns)
    status = "Canceled" if run.is_cancelled else "Failed" if failed else "Succeeded"
    return {
        "ClusterResult": {
            "ClusterName": run.cluster,
            "RunId": str(run.run_id),
            "StartTimestamp": date_json(started_at),
            "RunDuration": span_json(run.now - started_at),
            "Status": status,
            "ErrorRecordData": _error("MaxFailedNodesExceeded", None) if failed else None,
            "NodeResults": [_node_result(turn) for turn in run.turns],
            "TimingBreakdowUTC": [
                {
                    "NodeName": turn.node,
                    "DrainEnd": date_json(turn.suspended_at),
                    "RebootStart": date_json(turn.restart_at),
                    "RebootEnd": date_json(turn.back_at),
                }
                for turn in run.turns
            ],
        },
        "Plugin": _PLUGIN,
    }


def _node_result(turn: _Turn) -> dict[str, object]:
    resumed = turn.resumed_at or turn.ended_at
    return {
        "Node": {"NodeName": turn.node},
        "Status": turn.status,
        "ErrorRecordData": None if turn.error is None else _error("NodeFailed", turn.error),
        "NumberOfSucceededUpdates": sum(code == 0 for _, _, code in turn.installed),
        "NumberOfFailedUpdates": sum(code != 0 for _, _, code in turn.installed),
        "NodeSuspendedTimestamp": date_json(turn.suspended_at),
        "NodeSuspendedDuration": None
        if turn.suspended_at is None or resumed is None
        else span_json(resumed - turn.suspended_at),
        "InstallResults": [
            {
                "NodeName": turn.node,
                "UpdateId": str(package.update_id),
                "UpdateTitle": package.title,
                "UpdateDescription": "",
                "UpdateResultCode": "Failed" if code else "Succeeded",
                "ErrorCode": _int32(code),
                "RebootRequired": package == CUMULATIVE,
                "Timestamp": date_json(at),
            }
            for package, at, code in turn.installed
        ],
        "TransientInstallErrors": [],
    }


def _error(error_id: str, text: str | None) -> dict[str, object]:
    return {"FullyQualifiedErrorId": error_id, "ExceptionData": text}


def _int32(code: int) -> int:
    return code - (1 << 32) if code >> 31 else code


# --- the step tree ------------------------------------------------------------------------------


def _plan(run: _Run, started_at: datetime) -> Step:
    """Lay the update run around the CAU run."""
    begin = started_at - PREPARATION
    minute = timedelta(minutes=1)
    failing = next((turn for turn in run.turns if turn.status == "Failed"), None)
    last, error = "CauPostCheck", "" if failing is None else _cau_error(failing)
    if run.is_cancelled:
        last, error = "EvalCauRetryApplicability", _CANCELLED
    failed = bool(error)
    status = "Error" if failed else "Success"
    checked_at = run.now + minute
    host_os = Step(
        "Update Host OS",
        started_at - 6 * minute,
        checked_at if failed else checked_at + minute,
        "Update the operating system of every node with Cluster-Aware Updating.",
        status,
        "One or more steps of the host OS update failed." if failed else "",
        (
            _interface("CauPreRequisites", "CAU", started_at - 6 * minute, started_at - 4 * minute),
            _interface("CauPreHealthCheck", "CAU", started_at - 4 * minute, started_at - minute),
            _interface("InvokeCauRunForMsuUpdate", "CAU", started_at - minute, started_at),
            *(_wait_step(turn, run.now) for turn in run.turns),
            _interface(last, "CAU", run.now, checked_at, error),
            *(
                ()
                if failed
                else (_interface("CauPostVersionCheck", "CAU", checked_at, checked_at + minute),)
            ),
        ),
        _EXPECTED_A_NODE * len(run.turns),
    )  # fmt: skip
    modules = Step(
        "Update PowerShell modules", host_os.end, host_os.end + 3 * minute, "", "Success"
    )
    end = host_os.end if failed else modules.end
    installation = Step(
        "Update solution",
        begin + 21 * minute,
        end,
        "",
        status,
        "",
        (
            Step("Update bootstrap services", begin + 21 * minute, begin + 33 * minute),
            Step("Failover ECE Service to new Node", begin + 33 * minute, begin + 39 * minute),
            host_os,
            *(() if failed else (modules,)),
        ),
    )
    return Step(
        "Start update",
        begin,
        end,
        "Update the solution.",
        status,
        "",
        (
            Step("Downloading update", begin, begin + minute),
            Step("Preparing update", begin + minute, begin + 8 * minute),
            Step("Checking health.", begin + 8 * minute, begin + 20 * minute),
            Step("Initiating update installation.", begin + 20 * minute, begin + 21 * minute),
            installation,
        ),
    )


def _interface(name: str, role: str, start: datetime, end: datetime, error: str = "") -> Step:
    text = f"Type '{name}' of Role '{role}' raised an exception:\n\n{error}" if error else ""
    return Step(name, start, end, f"Role {role}", "Error" if error else "Success", text)


def _wait_step(turn: _Turn, run_ended_at: datetime) -> Step:
    return Step(
        f"Wait for node {turn.node}",
        turn.begun_at or run_ended_at,
        turn.ended_at or run_ended_at,
        "Role SBE, SBEPartnerWaitForCauNodeStage",
        "Success" if turn.status == "Succeeded" else "Skipped",
        expected=_EXPECTED_A_NODE,
    )


def _cau_error(turn: _Turn) -> str:
    """Return the sentence the orchestrator makes of a failed CAU report.

    Source: GetCauError in the guide "Previous CAU run status was Canceled".
    """
    text = (
        "CAU Run failed. The latest cluster update status is 'Failed'. "
        "The overall FullyQualifiedErrorId is 'MaxFailedNodesExceeded'. "
        f"The node '{turn.node}' failed to update."
    )
    if turn.error is not None:
        text += f" The error message is '{turn.error}'."
    failures = [
        {
            "UpdateTitle": package.title,
            "UpdateId": str(package.update_id),
            "ErrorCode": _int32(code),
        }
        for package, _, code in turn.installed
        if code
    ]
    listed = ",".join(json.dumps(failure, separators=(",", ":")) for failure in failures)
    return f"{text} Failed update list -- {listed}".rstrip()
