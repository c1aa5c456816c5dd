"""The cmdlets of Cluster-Aware Updating and of the failover cluster, over the world's state.

Source: module references ClusterAwareUpdating and FailoverClusters.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

from tests.simcluster.cmdlet_names import CAU, CLUSTERS, enumeration, live
from tests.simcluster.evtx import Event
from tests.simcluster.pipeline import Call, Library, Parameter, anything, switch, text
from tests.simcluster.values import OBJECT, NetObject, Value, property_of, text_of

LIBRARY = Library()


# --- Cluster-Aware Updating ---------------------------------------------------------------------


@LIBRARY.cmdlet(
    "Get-CauReport",
    Parameter("ClusterName", text, position=0),
    Parameter("Detailed", switch),
    Parameter("Last", switch),
    Parameter("StartDate", anything),
    Parameter("EndDate", anything),
    owner=f"{CAU}.Commands.GetCauReportCommand",
)
def get_cau_report(call: Call) -> Iterator[Value]:
    """List the reports of finished CAU runs, oldest first."""
    _check_cluster(call)
    if call["Last"] and (call["StartDate"] is not None or call["EndDate"] is not None):
        raise call.failure(
            "Parameter set cannot be resolved using the specified named parameters.",
            "AmbiguousParameterSet",
            "InvalidArgument",
            exception="System.Management.Automation.ParameterBindingException",
        )
    call.world.advance()
    begins, ends = _date(call, "StartDate"), _date(call, "EndDate")
    reports = [cast("NetObject", live(one, f"{CAU}.CauReport")) for one in call.world.reports]
    chosen = [
        report
        for report in reports
        if (begins is None or _began(report) >= begins) and (ends is None or _began(report) <= ends)
    ]
    for report in chosen[-1:] if call["Last"] else chosen:
        yield report if call["Detailed"] else _summary(report)


def _began(report: NetObject) -> datetime:
    return cast("datetime", property_of(property_of(report, "ClusterResult"), "StartTimestamp"))


def _summary(report: NetObject) -> NetObject:
    result = property_of(report, "ClusterResult")
    names = ("ClusterName", "RunId", "StartTimestamp", "RunDuration", "Status")
    return NetObject(
        (f"{CAU}.CauReportSummary", OBJECT), {name: property_of(result, name) for name in names}
    )


def _date(call: Call, parameter: str) -> datetime | None:
    """Convert to [datetime] as PowerShell does: text is US or ISO, and local (here UTC) time."""
    value = call[parameter]
    if value is None or isinstance(value, datetime):
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)
    for read in (
        datetime.fromisoformat,
        lambda one: datetime.strptime(one, "%m/%d/%Y"),  # noqa: DTZ007 - the zone follows
        lambda one: datetime.strptime(one, "%m/%d/%Y %H:%M:%S"),  # noqa: DTZ007
    ):
        try:
            moment = read(text_of(value))
        except ValueError:
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise call.failure(
        f"Cannot bind parameter '{parameter}'. Cannot convert value \"{text_of(value)}\" to type "
        '"System.DateTime".',
        "CannotConvertArgumentNoMessage",
        "InvalidArgument",
        exception="System.Management.Automation.ParameterBindingException",
    )


def _check_cluster(call: Call) -> None:
    name = call["ClusterName"] or call["Name"] or "."
    known = {call.world.name.lower(), f"{call.world.name}.{call.world.domain}".lower(), "."}
    if name.lower() not in known:
        raise call.failure(
            f"The cluster '{name}' could not be found.",
            "ClusterNotFound",
            "ObjectNotFound",
            exception="Microsoft.ClusterAwareUpdating.ClusterUpdateException",
            target=name,
        )


@LIBRARY.cmdlet(
    "Get-CauRun",
    Parameter("ClusterName", text, position=0),
    owner=f"{CAU}.Commands.GetCauRunCommand",
)
def get_cau_run(call: Call) -> Iterator[Value]:
    """Say whether a CAU run is going on."""
    _check_cluster(call)
    call.world.advance()
    if call.world.ready.cau_state:
        yield enumeration("RunState", call.world.ready.cau_state)
        return
    run, now = call.world.active_run, call.world.clock.now()
    story = None if run is None else run.story
    if story is None or not _cau_started(story.events, now) or now >= story.run_ended_at:
        yield enumeration("RunState", "RunNotInProgress")
        return
    yield NetObject(
        (f"{CAU}.CauRun", OBJECT),
        {
            "RunState": enumeration("RunState", "RunInProgress"),
            "RunStartTime": _first_event(story.events),
            "CurrentOrchestrator": call.node.name,
            "NodeResults": [],
        },
    )


def _first_event(events: dict[str, dict[str, list[Event]]]) -> datetime:
    return min(e.time for channels in events.values() for log in channels.values() for e in log)


def _cau_started(events: dict[str, dict[str, list[Event]]], now: datetime) -> bool:
    return _first_event(events) <= now


# --- the failover cluster -----------------------------------------------------------------------


@LIBRARY.cmdlet(
    "Get-Cluster",
    Parameter("Name", text, position=0),
    Parameter("Domain"),
    owner=f"{CLUSTERS}.GetClusterCommand",
)
def get_cluster(call: Call) -> Iterator[Value]:
    """Describe the failover cluster."""
    _check_cluster(call)
    yield NetObject(
        (f"{CLUSTERS}.Cluster", OBJECT),
        {
            "Name": call.node.ready.cluster or call.world.name,
            "Domain": call.world.domain,
            "ClusterFunctionalLevel": 12,
            "S2DEnabled": 1,
        },
        text=call.world.name,
    )


@LIBRARY.cmdlet(
    "Get-ClusterNode",
    Parameter("Name", text, position=0),
    Parameter("Cluster"),
    owner=f"{CLUSTERS}.GetNodeCommand",
)
def get_cluster_node(call: Call) -> Iterator[Value]:
    """List the cluster's nodes."""
    wanted = call["Name"]
    found = False
    for index, node in enumerate(call.world.nodes, start=1):
        if wanted is not None and node.name.lower() != wanted.lower():
            continue
        found = True
        yield NetObject(
            (f"{CLUSTERS}.ClusterNode", OBJECT),
            {
                "Name": node.name,
                "NodeName": node.name,
                "Id": str(index),
                "State": enumeration(
                    "ClusterNodeState", node.ready.state or ("Up" if node.is_up else "Down")
                ),
                "DrainStatus": enumeration("NodeDrainStatus", node.ready.drain_status),
                "StatusInformation": enumeration(
                    "NodeStatusInformation", node.ready.status_information
                ),
                "Cluster": call.world.name,
            },
            text=node.name,
        )
    if wanted is not None and not found:
        call.error(
            call.failure(
                f"The cluster node '{wanted}' was not found.",
                "Get-ClusterNode",
                "ObjectNotFound",
                exception="Microsoft.FailoverClusters.PowerShell.ClusterCmdletException",
                target=wanted,
            )
        )


@LIBRARY.cmdlet(
    "Get-ClusterGroup",
    Parameter("Name", text, position=0),
    Parameter("Cluster"),
    owner=f"{CLUSTERS}.GetGroupCommand",
)
def get_cluster_group(call: Call) -> Iterator[Value]:
    """List the groups."""
    owner = next((node.name for node in call.world.nodes if node.is_up), call.node.name)
    for group in call.world.ready.groups:
        if call["Name"] is None or call["Name"].lower() == group.name.lower():
            yield NetObject(
                (f"{CLUSTERS}.ClusterGroup", OBJECT),
                {
                    "Name": group.name,
                    "OwnerNode": NetObject(
                        (f"{CLUSTERS}.ClusterNode", OBJECT), {}, text=group.owner or owner
                    ),
                    "State": enumeration("ClusterGroupState", group.state),
                    "GroupType": group.kind,
                    "Cluster": call.world.name,
                },
                text=group.name,
            )


@LIBRARY.cmdlet(
    "Get-ClusterSharedVolume",
    Parameter("Name", text, position=0),
    Parameter("Cluster"),
    owner=f"{CLUSTERS}.GetClusterSharedVolumeCommand",
)
def get_cluster_shared_volume(call: Call) -> Iterator[Value]:
    """List the cluster shared volumes; each has one partition."""
    for number, volume in enumerate(call.world.shared_volumes, start=1):
        name = f"Cluster Virtual Disk ({volume.name.rpartition(chr(92))[2]})"
        if call["Name"] is not None and call["Name"].lower() != name.lower():
            continue
        used = volume.size_bytes - volume.free_bytes
        partition = NetObject(
            (f"{CLUSTERS}.ClusterDiskPartitionInfo", OBJECT),
            {
                "Name": rf"\\?\Volume{{00000000-0000-0000-0000-{number:012}}}",
                "FileSystem": "CSVFS",
                "Size": volume.size_bytes,
                "FreeSpace": volume.free_bytes,
                "UsedSpace": used,
                "PercentFree": 100.0 * volume.free_bytes / max(1, volume.size_bytes),
            },
        )
        shared = NetObject(
            (f"{CLUSTERS}.ClusterSharedVolumeInfo", OBJECT),
            {
                "FriendlyVolumeName": volume.name,
                "Partition": partition,
                "PartitionNumber": 2,
                "VolumeOffset": 16777216,
            },
        )
        yield NetObject(
            (f"{CLUSTERS}.ClusterSharedVolume", OBJECT),
            {
                "Name": name,
                "State": enumeration("ClusterResourceState", "Online"),
                "OwnerNode": call.node.name,
                "SharedVolumeInfo": [shared],
            },
            text=name,
        )
