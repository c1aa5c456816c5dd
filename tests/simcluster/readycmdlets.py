"""The cmdlets that tell whether a node and its cluster are well.

Source: module references FailoverClusters, Storage, CimCmdlets; *whoami*. On Windows PowerShell 5.1 the
storage cmdlets show the words for what a CIM class keeps as numbers (Storage.types.ps1xml).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tests.simcluster.cmdlet_names import CLUSTERS, enumeration
from tests.simcluster.pipeline import Call, Library, Parameter, switch, text
from tests.simcluster.readystate import StorageItem
from tests.simcluster.values import OBJECT, NetObject, Value, text_of

LIBRARY = Library()
_CIM = "Microsoft.Management.Infrastructure.CimInstance"
_UP_FOR = timedelta(days=9)


def _storage_object(kind: str, properties: dict[str, Value]) -> NetObject:
    return NetObject((f"{_CIM}#ROOT/Microsoft/Windows/Storage/{kind}", _CIM, OBJECT), properties)


@LIBRARY.cmdlet(
    "Get-ClusterResource",
    Parameter("Name", text, position=0),
    Parameter("Cluster"),
    owner=f"{CLUSTERS}.GetResourceCommand",
)
def get_cluster_resource(call: Call) -> Iterator[Value]:
    """List one resource for each group, and those that have failed."""
    ready = call.world.ready
    rows = [(group.name, group.name, "Generic Service", group.state) for group in ready.groups]
    rows += [(one.name, one.group, one.kind, "Failed") for one in ready.failed_resources]
    for name, group, kind, state in rows:
        if call["Name"] is None or call["Name"].lower() == name.lower():
            known = state if state in ("Online", "Offline", "Failed") else "Online"
            yield NetObject(
                (f"{CLUSTERS}.ClusterResource", OBJECT),
                {
                    "Name": name,
                    "State": enumeration("ClusterResourceState", known),
                    "OwnerGroup": NetObject((f"{CLUSTERS}.ClusterGroup", OBJECT), {}, text=group),
                    "ResourceType": NetObject(
                        (f"{CLUSTERS}.ClusterResourceType", OBJECT), {}, text=kind
                    ),
                },
                text=name,
            )


@LIBRARY.cmdlet(
    "Get-StoragePool",
    Parameter("FriendlyName", text, position=0),
    Parameter("IsPrimordial", switch),
    owner="Get-StoragePool",
)
def get_storage_pool(call: Call) -> Iterator[Value]:
    """List the pools; of the primordial one only that it exists."""
    if call["IsPrimordial"] is not False:
        yield _pool(StorageItem(name="Primordial"), is_primordial=True)
    if not call["IsPrimordial"]:
        for item in call.world.ready.pools:
            yield _pool(item, is_primordial=False)


def _pool(item: StorageItem, *, is_primordial: bool) -> NetObject:
    return _storage_object(
        "MSFT_StoragePool",
        {
            "FriendlyName": item.name,
            "HealthStatus": item.health,
            "OperationalStatus": item.operational,
            "IsPrimordial": is_primordial,
            "IsReadOnly": item.is_read_only,
        },
    )


@LIBRARY.cmdlet(
    "Get-VirtualDisk",
    Parameter("FriendlyName", text, position=0),
    owner="Get-VirtualDisk",
)
def get_virtual_disk(call: Call) -> Iterator[Value]:
    """List the virtual disks."""
    for item in call.world.ready.virtual_disks:
        yield _storage_object(
            "MSFT_VirtualDisk",
            {
                "FriendlyName": item.name,
                "HealthStatus": item.health,
                "OperationalStatus": item.operational,
                "ResiliencySettingName": "Mirror",
            },
        )


@LIBRARY.cmdlet("Get-StorageJob", Parameter("Name", text, position=0), owner="Get-StorageJob")
def get_storage_job(call: Call) -> Iterator[Value]:
    """List the jobs of the storage."""
    for job in call.world.ready.storage_jobs:
        yield _storage_object(
            "MSFT_StorageJob",
            {
                "Name": job.name,
                "JobState": job.state,
                "PercentComplete": job.percent,
                "BytesProcessed": job.bytes_done,
                "BytesTotal": job.bytes_total,
                "IsBackgroundTask": True,
            },
        )


@LIBRARY.cmdlet(
    "Get-CimInstance",
    Parameter("ClassName", text, position=0, is_mandatory=True),
    Parameter("Namespace"),
    owner="Microsoft.Management.Infrastructure.CimCmdlets.GetCimInstanceCommand",
)
def get_cim_instance(call: Call) -> Iterator[Value]:
    """Describe the operating system; no other class is known here."""
    if call["ClassName"].lower() != "win32_operatingsystem":
        raise call.failure(
            "Invalid class ", "HRESULT 0x80041010", "MetadataError",
            exception="Microsoft.Management.Infrastructure.CimException",
            target=call["ClassName"],
        )  # fmt: skip
    booted_at = call.node.ready.booted_at or call.world.began_at - _UP_FOR
    yield NetObject(
        (f"{_CIM}#root/cimv2/Win32_OperatingSystem", _CIM, OBJECT),
        {
            "Caption": "Microsoft Azure Stack HCI",
            "BuildNumber": call.node.os_build.partition(".")[0],
            "LastBootUpTime": booted_at,
            "LocalDateTime": call.world.node_time(call.node),
        },
    )


@LIBRARY.program("whoami.exe", "whoami")
def whoami(call: Call) -> Iterator[Value]:
    """Print the account, or with `/groups /fo csv /nh` its groups as CSV."""
    arguments = [text_of(one).lower() for one in call.arguments["args"]]
    if "/groups" not in arguments:
        yield f"{call.world.domain.partition('.')[0]}\\lcmuser"
        return
    if "/nh" not in arguments:
        yield '"Group Name","Type","SID","Attributes"'
    for sid in call.node.ready.sids:
        yield f'"Gruppe {sid.rpartition("-")[2]}","Alias","{sid}","Mandatory group, Enabled group"'
