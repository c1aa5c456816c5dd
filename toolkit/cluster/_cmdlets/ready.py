r"""Commands that ask whether a cluster is ready for an update. Pure; none changes anything.

An enumeration of a CIM class (storage) or of the failover cluster arrives as its name or as its number,
depending on the formatting that a node has loaded: both are read, and what is neither is kept as it stands.

Source: module references FailoverClusters, Storage, CimCmdlets, ClusterAwareUpdating; *whoami*;
about_Registry_Provider, about_WSMan_Provider. Troubleshooting-Test-SystemDrive-Free-Space.md (health files).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PureWindowsPath

from toolkit.cluster._cmdlets import building, reading
from toolkit.errors import InputError
from toolkit.model import Cmdlet, Command, Plain, ResourceId, RunState, RunSummary

RegistryValues = Mapping[tuple[str, str], Plain]
r"""(key as it was asked for, name of the value) → what stands there; what is not there is not in it."""

_NODE_STATES = {"-1": "Unknown", "0": "Up", "1": "Down", "2": "Paused", "3": "Joining"}
_DRAINS = {"-1": "Unknown", "0": "NotInitiated", "1": "InProgress", "2": "Completed", "3": "Failed"}
_GROUP_STATES = {
    "-1": "Unknown",
    "0": "Online",
    "1": "Offline",
    "2": "Failed",
    "3": "PartialOnline",
    "4": "Pending",
}
_HEALTH = {"0": "Healthy", "1": "Warning", "2": "Unhealthy", "5": "Unknown"}
_JOB_STATES = {
    "2": "New",
    "3": "Starting",
    "4": "Running",
    "5": "Suspended",
    "6": "ShuttingDown",
    "7": "Completed",
    "8": "Terminated",
    "9": "Killed",
    "10": "Exception",
    "11": "Service",
    "12": "QueryPending",
}
_HEALTH_FOLDER = PureWindowsPath("Updates", "HealthCheck", "System")


# --- the failover cluster -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """What the failover cluster says of one node."""

    name: str
    state: str
    drain_status: str
    status_information: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """One group of the failover cluster."""

    name: str
    state: str
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceState:
    """One resource of the failover cluster."""

    name: str
    state: str
    group: str
    kind: str


def node_states() -> Command[tuple[NodeState, ...]]:
    """Read the nodes of the cluster with their states; there is none without nodes."""
    properties = ["Name", "State", "DrainStatus", "StatusInformation"]
    return Command(
        pipeline=(Cmdlet("Get-ClusterNode"), building.select(properties)), parse=_node_states
    )


def groups() -> Command[tuple[GroupState, ...]]:
    """Read the groups of the cluster: services, virtual machines, and the cluster's own."""
    properties = ["Name", "State", "OwnerNode"]
    return Command(
        pipeline=(Cmdlet("Get-ClusterGroup"), building.select(properties)),
        parse=lambda reply: tuple(
            GroupState(
                name=reading.text(row, "Name"),
                state=_named(row, "State", _GROUP_STATES),
                owner=reading.name_of(row.get("OwnerNode")),
            )
            for row in _rows(reply, "Get-ClusterGroup")
        ),
    )


def failed_resources() -> Command[tuple[ResourceState, ...]]:
    """Read the resources of the cluster that have failed."""
    where: tuple[tuple[str | None, Plain], ...] = (
        ("Property", "State"),
        ("EQ", None),
        ("Value", "Failed"),
    )
    properties = ["Name", "State", "OwnerGroup", "ResourceType"]
    return Command(
        pipeline=(
            Cmdlet("Get-ClusterResource"),
            Cmdlet("Where-Object", where),
            building.select(properties),
        ),
        parse=lambda reply: tuple(
            ResourceState(
                name=reading.text(row, "Name"),
                state=reading.text(row, "State"),
                group=reading.name_of(row.get("OwnerGroup")),
                kind=reading.name_of(row.get("ResourceType")),
            )
            for row in _rows(reply, "Get-ClusterResource")
        ),
    )


# --- storage ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageState:
    """One storage pool or virtual disk."""

    name: str
    health: str
    operational: str
    is_read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageJob:
    """One job of the storage: a repair, a rebalance …."""

    name: str
    state: str
    percent: str
    left_bytes: int | None
    """None: it does not tell."""


def storage_pools() -> Command[tuple[StorageState, ...]]:
    """Read the pools that were made of disks, with their health."""
    properties = ["FriendlyName", "HealthStatus", "OperationalStatus", "IsReadOnly"]
    return _storage(Cmdlet("Get-StoragePool", (("IsPrimordial", False),)), properties)


def virtual_disks() -> Command[tuple[StorageState, ...]]:
    """Read the virtual disks with their health."""
    return _storage(
        Cmdlet("Get-VirtualDisk"), ["FriendlyName", "HealthStatus", "OperationalStatus"]
    )


def storage_jobs() -> Command[tuple[StorageJob, ...]]:
    """Read the jobs of the storage, those that have ended too."""
    properties = ["Name", "JobState", "PercentComplete", "BytesProcessed", "BytesTotal"]
    return Command(
        pipeline=(Cmdlet("Get-StorageJob"), building.select(properties)),
        parse=lambda reply: tuple(
            StorageJob(
                name=reading.text(row, "Name"),
                state=_named(row, "JobState", _JOB_STATES).replace(" ", ""),
                percent=reading.text(row, "PercentComplete"),
                left_bytes=_left(row.get("BytesTotal"), row.get("BytesProcessed")),
            )
            for row in _rows(reply, "Get-StorageJob")
        ),
    )


# --- one machine --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class WsmanSettings:
    """Settings of WinRM on a node."""

    envelope_kb: int
    trusted_hosts: str


def paths_exist(paths: Sequence[str]) -> Command[tuple[bool, ...]]:
    r"""Ask at once which of several files, folders and registry keys (`HKLM:\…`) exist."""
    return Command(
        pipeline=(Cmdlet("Test-Path", (("LiteralPath", list[Plain](paths)),)),),
        parse=lambda reply: _each_exists(reply, len(paths)),
    )


def registry_values(keys: Sequence[str], names: Sequence[str]) -> Command[RegistryValues]:
    r"""Read values of several registry keys at once; a key or value that is not there is no error.

    Args:
        keys: As PowerShell names them: `HKLM:\SOFTWARE\…`.
        names: Of the values; each is looked for in every key.
    """
    parameters: tuple[tuple[str | None, Plain], ...] = (
        ("LiteralPath", list[Plain](keys)),
        ("ErrorAction", "SilentlyContinue"),
    )
    return Command(
        pipeline=(
            Cmdlet("Get-ItemProperty", parameters),
            building.select(["PSPath", *names]),
        ),
        parse=lambda reply: _registry(reply, keys, names),
    )


def wsman_settings() -> Command[WsmanSettings]:
    """Read how large an envelope WinRM takes, and whom the node trusts without Kerberos."""
    paths: list[Plain] = [
        r"WSMan:\localhost\MaxEnvelopeSizekb",
        r"WSMan:\localhost\Client\TrustedHosts",
    ]
    return Command(
        pipeline=(
            Cmdlet("Get-Item", (("LiteralPath", paths),)),
            building.select(["Name", "Value"]),
        ),
        parse=_wsman,
    )


def token() -> Command[frozenset[str]]:
    """Read the SIDs of the groups that we are in; their names are translated on a node, SIDs are not."""
    return Command(
        pipeline=(building.program("whoami.exe", ["/groups", "/fo", "csv", "/nh"]),), parse=_sids
    )


def booted_at() -> Command[datetime]:
    """Read when the machine was started last."""
    name = "Get-CimInstance"
    stage = Cmdlet(name, (("ClassName", "Win32_OperatingSystem"),))
    return Command(
        pipeline=(stage, building.select(["LastBootUpTime"])),
        parse=lambda reply: _moment(
            reading.only(reply, stage).get("LastBootUpTime"), name, "LastBootUpTime"
        ),
    )


# --- updates and their evidence -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CauState:
    """What Cluster-Aware Updating does at the moment."""

    state: str
    """`RunNotInProgress`, `RunInProgress`, `RunFailed`, or another word as sent."""
    run_id: str = ""
    started_at: datetime | None = None
    orchestrator: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFile:
    """One file of health check results on the infrastructure share."""

    path: PureWindowsPath
    size_bytes: int
    written_at: datetime


RunTimes = Mapping[str, tuple[datetime | None, datetime | None]]
"""Run id → when it began, and when it changed last."""


def all_runs() -> Command[tuple[RunSummary, ...]]:
    """Read the runs of every listed update, without their step trees, newest first.

    Their times may be of another zone, which is not told: what is judged by them asks `run_times`, too.
    """
    properties = ["ResourceId", "State", "TimeStarted", "LastUpdatedTime", "Duration"]
    return Command(
        pipeline=(
            Cmdlet("Get-SolutionUpdate"),
            Cmdlet("Get-SolutionUpdateRun"),
            building.select(properties),
        ),
        parse=_summaries,
        timeout_s=300,
    )


def run_times() -> Command[RunTimes]:
    """Read the times of the same runs as log bundles hold them: as JSON, which tells moments.

    Source: Windows PowerShell 5.1, `ConvertTo-Json` (`/Date(…)/` counts from 1970 UTC); that the service's times
    come without a zone on the wire is inferred.
    """
    return Command(
        pipeline=(
            Cmdlet("Get-SolutionUpdate"),
            Cmdlet("Get-SolutionUpdateRun"),
            building.select(["ResourceId", "TimeStarted", "LastUpdatedTime"]),
            building.to_json(),
        ),
        parse=_times,
        timeout_s=300,
    )


def timed(runs: Sequence[RunSummary], times: RunTimes) -> tuple[RunSummary, ...]:
    """Return runs with the times that `run_times` told of them, and with none where it told none; newest first."""
    return _newest_first(
        replace(run, started_at=began, updated_at=changed)
        for run in runs
        for began, changed in [times.get(run.resource_id, (None, None))]
    )


def cau_run(cluster: str) -> Command[CauState]:
    """Ask whether a CAU run is going on.

    Args:
        cluster: The failover cluster's own name.
    """
    return Command(
        pipeline=(Cmdlet("Get-CauRun", (("ClusterName", cluster),)),), parse=_cau, timeout_s=300
    )


def text_of(path: PureWindowsPath) -> Command[str]:
    """Read a small text file on the node, without its byte order mark."""
    parameters: tuple[tuple[str | None, Plain], ...] = (
        ("LiteralPath", str(path)),
        ("Raw", None),
        ("Encoding", "UTF8"),
    )
    return Command(
        pipeline=(Cmdlet("Get-Content", parameters),),
        parse=lambda reply: "".join(str(item) for item in reply).removeprefix("\ufeff"),
    )


def newest_health_files(share: PureWindowsPath) -> Command[tuple[HealthFile, ...]]:
    """Find the two newest files of results.

    Args:
        share: The infrastructure share.
    """
    name = "Get-ChildItem"
    found: tuple[tuple[str | None, Plain], ...] = (
        ("LiteralPath", str(share / _HEALTH_FOLDER)),
        ("Filter", "HealthCheckResult*.json"),
    )
    stages = (
        Cmdlet(name, found),
        Cmdlet("Sort-Object", (("Property", "LastWriteTime"), ("Descending", None))),
        Cmdlet(
            "Select-Object", (("First", 2), ("Property", ["FullName", "Length", "LastWriteTime"]))
        ),
    )
    return Command(
        pipeline=stages,
        parse=lambda reply: tuple(
            HealthFile(
                path=PureWindowsPath(reading.text(row, "FullName")),
                size_bytes=_whole(row.get("Length"), name, "Length"),
                written_at=_moment(row.get("LastWriteTime"), name, "LastWriteTime"),
            )
            for row in _rows(reply, name)
        ),
    )


# --- reading ------------------------------------------------------------------------------------


def _rows(reply: tuple[Plain, ...], cmdlet: str) -> list[dict[str, Plain]]:
    return [reading.row(item, cmdlet) for item in reply]


def _node_states(reply: tuple[Plain, ...]) -> tuple[NodeState, ...]:
    name = "Get-ClusterNode"
    if not reply:
        raise InputError(f"read the reply of {name}", found="no node", expected="one or more")
    return tuple(
        NodeState(
            name=reading.text(row, "Name"),
            state=_named(row, "State", _NODE_STATES),
            drain_status=_named(row, "DrainStatus", _DRAINS),
            status_information=_named(row, "StatusInformation", {"0": "Normal"}),
        )
        for row in _rows(reply, name)
    )


def _named(row: dict[str, Plain], key: str, names: Mapping[str, str]) -> str:
    """Return an enumeration's name, whether it came as such or as a number."""
    told = reading.text(row, key)
    return names.get(told, told)


def _storage(stage: Cmdlet, properties: list[str]) -> Command[tuple[StorageState, ...]]:
    return Command(
        pipeline=(stage, building.select(properties)),
        parse=lambda reply: tuple(
            StorageState(
                name=reading.text(row, "FriendlyName"),
                health=_named(row, "HealthStatus", _HEALTH),
                operational=", ".join(map(str, reading.items(row.get("OperationalStatus")))),
                is_read_only=row.get("IsReadOnly") in (True, "True"),
            )
            for row in _rows(reply, stage.name)
        ),
    )


def _left(total: Plain, done: Plain) -> int | None:
    return total - done if isinstance(total, int) and isinstance(done, int) else None


def _each_exists(reply: tuple[Plain, ...], count: int) -> tuple[bool, ...]:
    answers = {True: True, "True": True, False: False, "False": False}
    told = tuple(answers.get(item) for item in reply if isinstance(item, bool | str))
    if len(told) != count or None in told:
        raise InputError(
            "read the reply of Test-Path",
            found=f"{len(reply)} answers",
            expected=f"yes or no for each of {count}",
        )
    return tuple(item is True for item in told)


def _registry(
    reply: tuple[Plain, ...], keys: Sequence[str], names: Sequence[str]
) -> RegistryValues:
    asked = {_below(key): key for key in keys}
    values: dict[tuple[str, str], Plain] = {}
    for row in _rows(reply, "Get-ItemProperty"):
        key = asked.get(_below(reading.text(row, "PSPath")))
        if key is None:
            raise InputError(
                "read the reply of Get-ItemProperty",
                found=f"the key {reading.text(row, 'PSPath')!r}",
                expected="one of those that were asked for",
            )
        values |= {(key, name): row[name] for name in names if row.get(name) is not None}
    return values


def _below(path: str) -> str:
    """Return a registry path as every spelling has it: without drive, hive and case."""
    path = path.rpartition("::")[2].casefold()
    for hive in ("hklm:\\", "hkey_local_machine\\"):
        path = path.removeprefix(hive)
    return path.strip("\\")


def _wsman(reply: tuple[Plain, ...]) -> WsmanSettings:
    told = {
        reading.text(row, "Name").casefold(): row.get("Value") for row in _rows(reply, "Get-Item")
    }
    if "trustedhosts" not in told:
        raise InputError(
            "read the reply of Get-Item", found=", ".join(told), expected="TrustedHosts"
        )
    hosts = ",".join(map(str, reading.items(told["trustedhosts"])))
    return WsmanSettings(
        envelope_kb=_whole(told.get("maxenvelopesizekb"), "Get-Item", "MaxEnvelopeSizekb"),
        trusted_hosts=hosts,
    )


def _sids(reply: tuple[Plain, ...]) -> frozenset[str]:
    """Read the third column of CSV lines; names before it may hold commas, but no quotation marks."""
    lines = [line for item in reply for line in str(item).splitlines() if line.strip()]
    columns = [line.strip().strip('"').split('","') for line in lines]
    sids = frozenset(row[2] for row in columns if len(row) > 2 and row[2].startswith("S-1-"))
    if not sids:
        raise InputError(
            "read the reply of whoami.exe",
            found=repr(" ".join(lines)[:80]),
            expected="lines with the SID of a group",
        )
    return sids


def _summaries(reply: tuple[Plain, ...]) -> tuple[RunSummary, ...]:
    return _newest_first(
        RunSummary(
            resource_id=ResourceId(run_id := reading.text(row, "ResourceId")),
            update_id=ResourceId(run_id.rpartition("/")[0]),
            state=RunState(reading.text(row, "State")),
            state_raw=reading.text(row, "State"),
            started_at=reading.time(row.get("TimeStarted")),
            updated_at=reading.time(row.get("LastUpdatedTime")),
            is_preparation=None,
            took=reading.span(row.get("Duration")),
        )
        for row in _rows(reply, "Get-SolutionUpdateRun")
    )


def _newest_first(runs: Iterable[RunSummary]) -> tuple[RunSummary, ...]:
    return tuple(
        sorted(runs, key=lambda run: (run.started_at is not None, run.started_at), reverse=True)
    )


def _times(reply: tuple[Plain, ...]) -> RunTimes:
    cmdlet = "Get-SolutionUpdateRun"
    rows = (reading.row(item, cmdlet) for item in reading.json_items(reply, cmdlet))
    return {
        reading.text(row, "ResourceId"): (
            reading.time(row.get("TimeStarted")),
            reading.time(row.get("LastUpdatedTime")),
        )
        for row in rows
    }


def _cau(reply: tuple[Plain, ...]) -> CauState:
    if not reply:
        raise InputError("read the reply of Get-CauRun", found="nothing", expected="a state")
    told = reply[-1]
    if not isinstance(told, dict):
        return CauState(state=str(told))
    return CauState(
        state=reading.text(told, "RunState") or "RunInProgress",
        run_id=reading.text(told, "RunId"),
        started_at=reading.time(told.get("RunStartTime")),
        orchestrator=reading.name_of(told.get("CurrentOrchestrator")),
    )


def _moment(value: Plain, cmdlet: str, name: str) -> datetime:
    at = reading.time(value)
    if at is None:
        raise InputError(
            f"read the reply of {cmdlet}", found=f"{name} {value!r}", expected="a time"
        )
    return at


def _whole(value: Plain, cmdlet: str, name: str) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit()):
        raise InputError(
            f"read the reply of {cmdlet}", found=f"{name} {value!r}", expected="a whole number"
        )
    return int(text)
