"""How well nodes and cluster are: data that a test edits."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tests.simcluster.values import Value

ARB_GROUP = "a1b2c3-control-plane-0-4d5e6f"
"""The group of the VM of the Azure Resource Bridge."""


def _usual_wsman() -> dict[str, str]:
    return {"MaxEnvelopeSizekb": "500", r"Client\TrustedHosts": ""}


def _usual_sids() -> list[str]:
    return [
        "S-1-1-0",
        "S-1-5-32-544",
        "S-1-5-32-545",
        "S-1-5-21-1004336348-1177238915-682003330-513",
    ]


@dataclass(slots=True, kw_only=True)
class NodeReady:
    """How well a node is."""

    cluster: str = ""
    """The failover cluster that it says it belongs to; empty: this one."""
    state: str = ""
    """What the failover cluster says of it; empty: `Up` while it runs, else `Down`."""
    drain_status: str = "NotInitiated"
    status_information: str = "Normal"
    wsman: dict[str, str] = field(default_factory=_usual_wsman)
    """Path below `WSMan:\\localhost` → value."""
    sids: list[str] = field(default_factory=_usual_sids)
    """The groups of every account that logs on, as `whoami` lists them."""
    booted_at: datetime | None = None
    """None: nine days before the cluster's clock began."""


@dataclass(slots=True, kw_only=True)
class ClusterGroup:
    """One group of the failover cluster."""

    name: str
    state: str = "Online"
    owner: str = ""
    """Empty: the first node that runs."""
    kind: str = "GenericService"


@dataclass(slots=True, kw_only=True)
class FailedResource:
    """One resource that has failed."""

    name: str
    group: str
    kind: str = "Generic Service"


@dataclass(slots=True, kw_only=True)
class StorageItem:
    """One storage pool or virtual disk; a number in place of a word is sent as a number."""

    name: str
    health: Value = "Healthy"
    operational: Value = "OK"
    is_read_only: bool = False


@dataclass(slots=True, kw_only=True)
class StorageJob:
    """One job of the storage."""

    name: str
    state: Value = "Running"
    percent: int = 0
    bytes_done: int = 0
    bytes_total: int = 0


def _usual_groups() -> list[ClusterGroup]:
    return [
        ClusterGroup(name="Cluster Group", kind="Cluster"),
        ClusterGroup(name="Available Storage", state="Offline", kind="AvailableStorage"),
        ClusterGroup(name="Cloud Management", kind="ClusterGroup"),
        ClusterGroup(name="Azure Stack HCI Update Service Cluster Group"),
        ClusterGroup(name="Azure Stack HCI Orchestrator Service Cluster Group"),
        ClusterGroup(name=ARB_GROUP, kind="VirtualMachine"),
        ClusterGroup(name="press-control-vm", kind="VirtualMachine"),
    ]


def _usual_disks() -> list[StorageItem]:
    return [StorageItem(name="Infrastructure_1"), StorageItem(name="UserStorage_1")]


@dataclass(slots=True, kw_only=True)
class ClusterReady:
    """How well the cluster is."""

    groups: list[ClusterGroup] = field(default_factory=_usual_groups)
    failed_resources: list[FailedResource] = field(default_factory=list)
    pools: list[StorageItem] = field(default_factory=lambda: [StorageItem(name="SU1_Pool")])
    virtual_disks: list[StorageItem] = field(default_factory=_usual_disks)
    storage_jobs: list[StorageJob] = field(default_factory=list)
    cau_state: str = ""
    """What `Get-CauRun` says, whatever goes on; empty: what goes on."""
    update_service_error: str = ""
    """What `Get-SolutionUpdate` fails with; empty: it answers."""
    package_version: str = ""
    """The version of the solution's packages; empty: the installed one."""
    ordinary_users: set[str] = field(default_factory=set)
    """Accounts that may log on and are no administrators: WinRM refuses them a shell."""
    pipeline_seconds: float = 0
    """So long every pipeline takes on every node; for measurements."""

    def group(self, name: str) -> ClusterGroup:
        """Return a group by its name."""
        return next(group for group in self.groups if group.name == name)
