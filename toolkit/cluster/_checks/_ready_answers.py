r"""What the checks of readiness ask, and what is told. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PureWindowsPath

from toolkit.cluster import _cmdlets
from toolkit.cluster._checks._asking import Ask
from toolkit.cluster._checks._check import NOT_ASKED, Told
from toolkit.cluster._cmdlets import reading, ready
from toolkit.errors import misread
from toolkit.model import (
    HealthCheck,
    Node,
    Plain,
    RunSummary,
    Update,
    UpdateEnvironment,
)
from toolkit.sbe import Hardware

_HKLM = "HKLM:\\"
FILE_SYSTEM = _HKLM + r"SYSTEM\CurrentControlSet\Control\FileSystem"
WSMAN_SERVICE = _HKLM + r"SOFTWARE\Microsoft\Windows\CurrentVersion\WSMAN\Service"
WSMAN_CLIENT = _HKLM + r"SOFTWARE\Microsoft\Windows\CurrentVersion\WSMAN\Client"
DELEGATION = _HKLM + r"SOFTWARE\Policies\Microsoft\Windows\CredentialsDelegation"
FRESH = DELEGATION + r"\AllowFreshCredentials"
FRESH_NTLM = DELEGATION + r"\AllowFreshCredentialsWhenNTLMOnly"
ENVIRONMENT = _HKLM + r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
_VALUES = {
    FILE_SYSTEM: ("LongPathsEnabled",),
    WSMAN_SERVICE: ("auth_credssp",),
    WSMAN_CLIENT: ("auth_credssp",),
    DELEGATION: ("ConcatenateDefaults_AllowFresh", "ConcatenateDefaults_AllowFreshNTLMOnly"),
    FRESH: ("1",),
    FRESH_NTLM: ("1",),
    ENVIRONMENT: ("SBEInstalledContent", "SBEInstalledMetadata"),
}
"""What is read of a node's registry."""
REBOOT_KEYS = (
    _HKLM + r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending",
    _HKLM + r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired",
)
MARKERS = (
    _cmdlets.INFRASTRUCTURE_SHARE / r"CloudMedia\SBE\Staged\metadata\caufailureinfo.txt",
    _cmdlets.INFRASTRUCTURE_SHARE / r"CloudMedia\MsuHostUpdate\Staged\Metadata\cauFailureInfo.txt",
)
"""Files that say that a CAU run failed; while one is there, the next run skips its waiting."""
_MOST_BYTES = 8 << 20
"""Larger results are not read: they travel through one reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyAnswers:
    """What the checks of readiness ask of every node."""

    cluster: Told[str] = NOT_ASKED
    """The name of the failover cluster that the node belongs to."""
    registry: Told[ready.RegistryValues] = NOT_ASKED
    reboot_keys: Told[tuple[bool, ...]] = NOT_ASKED
    """Which of `REBOOT_KEYS` exist."""
    wsman: Told[ready.WsmanSettings] = NOT_ASKED
    sids: Told[frozenset[str]] = NOT_ASKED
    """The groups that our account is in."""
    language_mode: Told[str] = NOT_ASKED
    volumes: Told[_cmdlets.Volumes] = NOT_ASKED
    hardware: Told[Hardware] = NOT_ASKED

    def setting(self, key: str, name: str) -> str:
        """Return a value of the registry as text; empty: it is not there, or was not told."""
        found = (self.registry.value or {}).get((key, name))
        return "" if found is None else str(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """One of `MARKERS` that is there."""

    path: PureWindowsPath
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthResults:
    """One file of health check results on the infrastructure share."""

    path: PureWindowsPath
    written_at: datetime
    checks: tuple[HealthCheck, ...] = ()
    problem: str = ""
    """Why nothing was read of it; empty: it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterReadyAnswers:
    """What the checks of readiness ask of the cluster."""

    nodes: Told[tuple[ready.NodeState, ...]] = NOT_ASKED
    groups: Told[tuple[ready.GroupState, ...]] = NOT_ASKED
    failed_resources: Told[tuple[ready.ResourceState, ...]] = NOT_ASKED
    pools: Told[tuple[ready.StorageState, ...]] = NOT_ASKED
    disks: Told[tuple[ready.StorageState, ...]] = NOT_ASKED
    jobs: Told[tuple[ready.StorageJob, ...]] = NOT_ASKED
    volumes: Told[_cmdlets.Volumes] = NOT_ASKED
    environment: Told[UpdateEnvironment] = NOT_ASKED
    updates: Told[tuple[Update, ...]] = NOT_ASKED
    runs: Told[tuple[RunSummary, ...]] = NOT_ASKED
    """Newest first."""
    cau: Told[ready.CauState] = NOT_ASKED
    has_share: Told[bool] = NOT_ASKED
    """Whether there is an infrastructure share: without, it is no Azure Local."""
    markers: Told[tuple[Marker, ...]] = NOT_ASKED
    health_files: Told[tuple[HealthResults, ...]] = NOT_ASKED


def ask_node(ask: Ask, node: Node) -> ReadyAnswers:
    """Ask one node everything that the checks of readiness rest on."""
    names = dict.fromkeys(name for values in _VALUES.values() for name in values)
    return ReadyAnswers(
        cluster=ask(_cmdlets.cluster_name()),
        registry=ask(ready.registry_values(tuple(_VALUES), tuple(names))),
        reboot_keys=ask(ready.paths_exist(REBOOT_KEYS)),
        wsman=ask(ready.wsman_settings()),
        sids=ask(ready.token()),
        language_mode=ask(_cmdlets.language_mode()),
        volumes=ask(_cmdlets.local_volumes(node.name)),
        hardware=ask(_cmdlets.hardware()),
    )


def ask_cluster(ask: Ask) -> ClusterReadyAnswers:
    """Ask the cluster everything that the checks of readiness rest on; perhaps again, through another node."""
    name = ask(_cmdlets.cluster_name())
    share = _cmdlets.INFRASTRUCTURE_SHARE
    paths = ask(ready.paths_exist([str(path) for path in (share, *MARKERS)]))
    return ClusterReadyAnswers(
        nodes=ask(ready.node_states()),
        groups=ask(ready.groups()),
        failed_resources=ask(ready.failed_resources()),
        pools=ask(ready.storage_pools()),
        disks=ask(ready.virtual_disks()),
        jobs=ask(ready.storage_jobs()),
        volumes=ask(_cmdlets.shared_volumes()),
        environment=ask(_cmdlets.environment()),
        updates=ask(_cmdlets.updates()),
        runs=_ask_runs(ask),
        cau=Told(why=name.why) if name.value is None else ask(ready.cau_run(name.value)),
        has_share=Told(why=paths.why) if paths.value is None else Told(value=paths.value[0]),
        markers=_ask_markers(ask, paths),
        health_files=_ask_health_files(ask),
    )


def _ask_runs(ask: Ask) -> Told[tuple[RunSummary, ...]]:
    """Ask for the runs, and for their times apart; a run without a time is a run all the same."""
    runs = ask(ready.all_runs())
    if not runs.value:
        return runs
    return Told(value=ready.timed(runs.value, ask(ready.run_times()).value or {}))


def _ask_markers(ask: Ask, paths: Told[tuple[bool, ...]]) -> Told[tuple[Marker, ...]]:
    if paths.value is None:
        return Told(why=paths.why)
    found = []
    for path, is_there in zip(MARKERS, paths.value[1:], strict=True):
        if is_there:
            text = ask(ready.text_of(path))
            found.append(Marker(path=path, text=text.why if text.value is None else text.value))
    return Told(value=tuple(found))


def _ask_health_files(ask: Ask) -> Told[tuple[HealthResults, ...]]:
    files = ask(ready.newest_health_files(_cmdlets.INFRASTRUCTURE_SHARE))
    if files.value is None:
        return Told(why=files.why)
    return Told(value=tuple(_ask_results(ask, file) for file in files.value))


def _ask_results(ask: Ask, file: ready.HealthFile) -> HealthResults:
    checks: tuple[HealthCheck, ...] = ()
    if file.size_bytes > _MOST_BYTES:
        problem = f"{file.size_bytes} bytes are too many to be read here"
    else:
        text = ask(ready.text_of(file.path))
        checks, problem = ((), text.why) if text.value is None else read_results(text.value)
    return HealthResults(path=file.path, written_at=file.written_at, checks=checks, problem=problem)


def read_results(text: str) -> tuple[tuple[HealthCheck, ...], str]:
    """Return the results in a file of them, and why there are none; one of both is empty."""
    try:
        checks = tuple(_results(json.loads(text)))
    except (ValueError, RecursionError) as error:
        return (), misread(error)
    return checks, "" if checks else "no result stands in it"


def _results(document: Plain) -> Iterator[HealthCheck]:
    """Yield every object that is a result, however deep the list of them stands."""
    for item in reading.items(document):
        if isinstance(item, dict) and {"Name", "Status"} <= item.keys():
            yield _cmdlets.health_check(item)
        elif isinstance(item, dict):
            for value in item.values():
                if isinstance(value, dict | list):
                    yield from _results(value)
