"""Checks of what runs on the cluster: its services, groups and storage. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from toolkit.cluster._checks._check import Check, CheckId, Reads, Said
from toolkit.cluster._checks._payload import not_when_disconnected
from toolkit.cluster._checks._saying import critical, of_cluster, passes, unknown, warns
from toolkit.cluster._cmdlets import payload
from toolkit.model import human_size

if TYPE_CHECKING:
    from toolkit.cluster._checks._answers import Answers
    from toolkit.cluster._cmdlets.ready import GroupState, StorageState

UPDATE_SERVICE = payload.UPDATE_GROUP
ORCHESTRATOR = payload.ORCHESTRATOR_GROUP
_ARB = "control-plan"
"""Part of the name of the group that the VM of the Azure Resource Bridge is in."""
_CLOUD_MANAGEMENT = "Cloud Management"
_CANCELED = "TSG/Update/Update-CAU-run-fails-previous-CAU-run-status-was-Canceled.md"
_GATEWAY = "TSG/Update/Get-SolutionUpdate-GatewayTimeout.md"
_ENDED = ("Completed", "Terminated", "Killed")
_ACTIVE = ("New", "Starting", "Running", "Suspended", "ShuttingDown", "Service", "QueryPending")


# --- groups -------------------------------------------------------------------------------------


def _is_online(name: str) -> Callable[[Answers], Iterator[Said]]:
    def judge(answers: Answers) -> Iterator[Said]:
        group = next((item for item in _groups(answers) if item.name == name), None)
        if group is None:
            yield critical(f"there is no group {name!r}")
        elif group.state == "Online":
            yield passes(f"online on {group.owner}")
        else:
            yield critical(f"{group.state} on {group.owner}")

    return judge


def _groups(answers: Answers) -> tuple[GroupState, ...]:
    return answers.cluster.ready.groups.value or ()


def _arb(answers: Answers) -> Iterator[Said]:
    found = [group for group in _groups(answers) if _ARB in group.name.casefold()]
    for group in found:
        says = f"{group.name} is {group.state} on {group.owner}"
        if group.state == "Online":
            yield passes(says)
        elif group.state in ("Offline", "Failed"):
            yield critical(says)
        else:
            yield unknown(says)
    if not found:
        yield unknown(f"no group is seen whose name holds {_ARB!r}")


def _other_groups(answers: Answers) -> Iterator[Said]:
    others = [
        group
        for group in _groups(answers)
        if group.name not in (UPDATE_SERVICE, ORCHESTRATOR) and _ARB not in group.name.casefold()
    ]
    fine = True
    for group in others:
        says = f"{group.name} is {group.state} on {group.owner}"
        is_needed = group.name == _CLOUD_MANAGEMENT
        if group.state == "Failed":
            yield critical(says)
        elif group.state in ("PartialOnline", "Pending") or (
            group.state == "Offline" and is_needed
        ):
            yield warns(says)
        elif group.state not in ("Online", "Offline"):
            yield unknown(says)
        else:
            continue
        fine = False
    if fine:
        yield passes(f"{len(others)} other groups")


def _resources(answers: Answers) -> Iterator[Said]:
    failed = answers.cluster.ready.failed_resources.value or ()
    for resource in failed:
        yield warns(f"{resource.name} ({resource.kind}) of {resource.group} is {resource.state}")
    if not failed:
        yield passes("none")


# --- storage ------------------------------------------------------------------------------------


def _pools(answers: Answers) -> Iterator[Said]:
    return _storage(answers.cluster.ready.pools.value or (), "storage pool")


def _disks(answers: Answers) -> Iterator[Said]:
    return _storage(answers.cluster.ready.disks.value or (), "virtual disk")


def _storage(items: tuple[StorageState, ...], what: str) -> Iterator[Said]:
    for item in items:
        says = (
            f"{item.name}: {item.health or 'no health told'}, {item.operational or 'no more told'}"
        )
        if item.is_read_only:
            yield critical(f"{says}, read-only")
        elif item.health == "Healthy":
            yield passes(says)
        elif item.health in ("Warning", "Unhealthy"):
            yield critical(says)
        else:
            yield unknown(says)
    if not items:
        yield unknown(f"the node names no {what}")


def _jobs(answers: Answers) -> Iterator[Said]:
    going = [job for job in answers.cluster.ready.jobs.value or () if job.state not in _ENDED]
    for job in going:
        left = "" if job.left_bytes is None else f", {human_size(job.left_bytes)} left"
        says = f"{job.name}: {job.state}, {job.percent or '?'} %{left}"
        if job.state not in (*_ACTIVE, "Exception"):
            yield unknown(says)
        elif job.state == "Exception" or any(
            word in job.name.casefold() for word in ("rebalance", "optimiz")
        ):
            yield warns(says, subject=f"{job.name}: {job.state}")
        else:
            yield critical(says)
    if not going:
        yield passes("none")


_GROUPS = of_cluster(lambda answers: answers.cluster.ready.groups)

CHECKS: tuple[Check, ...] = (
    Check(
        id=CheckId("update-service-online"),
        title="The update service is online",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-ClusterGroup",),
        rule=f"The group {UPDATE_SERVICE} is not `Online`, or not there: critical.",
        remedy=f'Bring the group online: `Start-ClusterGroup -Name "{UPDATE_SERVICE}"`. After a '
        "GatewayTimeout move it to another node (`Move-ClusterGroup`).",
        source=_GATEWAY,
        confidence="confirmed",
        rests_on=_GROUPS,
        judge=_is_online(UPDATE_SERVICE),
    ),
    Check(
        id=CheckId("orchestrator-online"),
        title="The orchestrator is online",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-ClusterGroup",),
        rule=f"The group {ORCHESTRATOR} is not `Online`, or not there: critical.",
        remedy=f'Bring the group online: `Start-ClusterGroup -Name "{ORCHESTRATOR}"`.',
        source="TSG/Update/ECE-Failed-to-acquire-the-read-lock-within.md",
        confidence="confirmed",
        rests_on=_GROUPS,
        judge=_is_online(ORCHESTRATOR),
    ),
    Check(
        id=CheckId("arb-online"),
        title="The VM of the Azure Resource Bridge is online",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-ClusterGroup",),
        rule=f"A group whose name holds `{_ARB}` is `Online`: pass; `Offline` or `Failed`: critical; no such "
        "group: unknown. Not asked with disconnected operations.",
        remedy="Start the group, and wait until the VM answers.",
        source="TSG/Update/Update-fails-with-ARB-offline.md",
        confidence="confirmed",
        not_asked=not_when_disconnected,
        rests_on=_GROUPS,
        judge=_arb,
    ),
    Check(
        id=CheckId("cluster-groups"),
        title="No other group has failed",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-ClusterGroup",),
        rule="`Failed`: critical. `PartialOnline`, `Pending`, or `Cloud Management` offline: warning. "
        "`Online`, and `Offline` of any other (a VM may be off): pass. Anything else: unknown.",
        remedy="Find out why the group does not run and bring it online, or have it taken away.",
        source=_CANCELED,
        confidence="inferred",
        rests_on=_GROUPS,
        judge=_other_groups,
    ),
    Check(
        id=CheckId("cluster-resources"),
        title="No cluster resource has failed",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-ClusterResource",),
        rule="A resource is `Failed`: warning.",
        remedy="Find out why the resource failed and bring it online, or have it taken away.",
        source=_CANCELED,
        confidence="inferred",
        rests_on=of_cluster(lambda answers: answers.cluster.ready.failed_resources),
        judge=_resources,
    ),
    Check(
        id=CheckId("storage-pools"),
        title="Storage pools are healthy",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-StoragePool",),
        rule="`Healthy`, and not read-only: pass. `Warning`, `Unhealthy` or read-only: critical. Anything "
        "else, or no pool: unknown.",
        remedy="Repair the storage first: a node that is drained takes redundancy away.",
        source=f"{_CANCELED}, cluster-aware-updating-faq.md",
        confidence="confirmed",
        rests_on=of_cluster(lambda answers: answers.cluster.ready.pools),
        judge=_pools,
    ),
    Check(
        id=CheckId("virtual-disks"),
        title="Virtual disks are healthy",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-VirtualDisk",),
        rule="`Healthy`: pass. `Warning` or `Unhealthy`: critical. Anything else, or no disk: unknown.",
        remedy="Wait until the repair has ended, or have the broken disk replaced.",
        source=f"{_CANCELED}, cluster-aware-updating-faq.md",
        confidence="confirmed",
        rests_on=of_cluster(lambda answers: answers.cluster.ready.disks),
        judge=_disks,
    ),
    Check(
        id=CheckId("storage-jobs"),
        title="No storage job is going on",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-StorageJob",),
        rule="A job is going on: critical; one that only rebalances or optimises, or has ended with an "
        "exception: warning. A state that is not known: unknown.",
        remedy="Wait until the job has ended (`Get-StorageJob`).",
        source=f"{_CANCELED}; that a repair stops an update is inferred",
        confidence="inferred",
        rests_on=of_cluster(lambda answers: answers.cluster.ready.jobs),
        judge=_jobs,
    ),
)
