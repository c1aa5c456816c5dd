"""What makes each check of readiness fire."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.simcluster.cluster import SimCluster
from tests.simcluster.filetree import FileTree
from tests.simcluster.healthy import write_health_files
from tests.simcluster.readystate import ARB_GROUP, FailedResource, StorageJob
from tests.simcluster.state import HealthCheck, Node, SolutionUpdate, UpdateRun
from tests.simcluster.steps import Step
from tests.system.checkcases import Batch
from tests.system.conftest import clock_ahead

_REBOOT = r"hklm:\software\microsoft\windows\currentversion\component based servicing\rebootpending"
_FILE_SYSTEM = r"hklm:\system\currentcontrolset\control\filesystem"
CREDSSP = r"hklm:\software\microsoft\windows\currentversion\wsman\service"
_GATEWAY = (
    "A RestResponse of GatewayTimeout was received calling Get on https://node1.cluster.example:4900/"
    "providers/Microsoft.Update.Admin/updateLocations?api-version=2022-08-01"
)


def _break_machine(sim: SimCluster) -> None:
    node = sim.world.nodes[1]
    node.ready.state = "Paused"
    node.ready.drain_status = "Failed"
    node.volumes[1] = replace(node.volumes[1], free_bytes=12 << 30)
    node.registry[_REBOOT] = {}
    node.registry[_FILE_SYSTEM] = {"LongPathsEnabled": 0}
    node.registry[CREDSSP] = {"auth_credssp": 0}
    node.ready.wsman = {"MaxEnvelopeSizekb": "150", r"Client\TrustedHosts": "*"}
    node.language_mode = "ConstrainedLanguage"
    node.ready.sids.remove("S-1-5-32-544")
    node.sku = "0B7C"
    node.clock_offset = timedelta(minutes=20)


def _break_cluster(sim: SimCluster) -> None:
    world, ready = sim.world, sim.world.ready
    world.nodes.append(
        Node(name="node3", address="127.0.0.9", drive=FileTree(sim.folder, {}), is_up=False)
    )
    ready.group("Azure Stack HCI Update Service Cluster Group").state = "Offline"
    ready.group("Azure Stack HCI Orchestrator Service Cluster Group").state = "Failed"
    ready.group(ARB_GROUP).state = "Offline"
    ready.group("press-control-vm").state = "Failed"
    ready.failed_resources = [FailedResource(name="Virtual Machine press", group="press")]
    ready.pools[0].health = "Unhealthy"
    ready.virtual_disks[0].health = 1
    ready.storage_jobs = [
        StorageJob(name="Infrastructure_1-Repair", bytes_done=1 << 30, bytes_total=4 << 30)
    ]
    ready.cau_state = "RunFailed"
    world.shared_volumes[0] = replace(world.shared_volumes[0], free_bytes=1 << 20)
    marker = sim.share_folder / "CloudMedia" / "SBE" / "Staged" / "metadata" / "caufailureinfo.txt"
    marker.parent.mkdir(parents=True)
    marker.write_text("CAU run 7 was cancelled", encoding="utf-8")
    failed = HealthCheck(
        name="AzStackHci_ARBStack_ARBIsLocked",
        title="The resource bridge has no lock",
        status="FAILURE",
        severity="CRITICAL",
        description="A lock stands on the resource bridge.",
        remediation="Take the lock off.",
    )
    usual, world.health_checks = world.health_checks, [replace(failed, name="only-on-the-share")]
    write_health_files(world)
    world.health_checks = [*usual, failed]


def _break_runs(sim: SimCluster) -> None:
    world, now = sim.world, sim.world.clock.now()
    update = SolutionUpdate(
        resource_id="redmond/Solution12.2603.1002.15",
        version="12.2603.1002.15",
        display_name="2026.03 Cumulative Update",
        state="Downloading",
    )
    failed = SolutionUpdate(
        resource_id="redmond/Solution12.2512.1002.16",
        version="12.2512.1002.16",
        display_name="2025.12 Cumulative Update",
        state="PreparationFailed",
    )
    world.updates += [update, failed]
    world.runs.append(
        UpdateRun(
            resource_id=f"{update.resource_id}/11111111-2222-3333-4444-555555555555",
            update=update,
            plan=Step("Update", now - timedelta(hours=30), now + timedelta(hours=30)),
            outcome="Installed",
        )
    )
    world.ready.package_version = "12.2512.1002.16"
    world.sbe_remark = "The SBE is partially installed."


def _break_versions(sim: SimCluster) -> None:
    sim.world.current_version = "10.2408.2.7"


def _break_sbe(sim: SimCluster) -> None:
    sim.world.current_version = "11.2510.1002.93"
    sim.world.sbe_family, sim.world.current_sbe_version = "AS-HCI-AX-16G-45n0c", "4.1.2412.1201"


def _break_service(sim: SimCluster) -> None:
    sim.world.ready.update_service_error = _GATEWAY
    sim.world.nodes[1].ready.cluster = "cluster9"


def _switch_off(sim: SimCluster) -> None:
    sim.faults.arm("down", node="node2")


BATCHES = {
    "a machine": Batch(
        breaks=_break_machine,
        fires={
            "node-up": "critical",
            "node-drain": "critical",
            "system-drive-space": "critical",
            "pending-reboot": "warning",
            "long-paths": "warning",
            "import-root-length": "critical",
            "credssp": "warning",
            "winrm-envelope": "warning",
            "trusted-hosts": "critical",
            "language-mode": "warning",
            "deployment-user": "critical",
            "hardware-alike": "warning",
            "node-clocks": "critical",
        },
    ),
    "the cluster": Batch(
        breaks=_break_cluster,
        fires={
            "node-known": "warning",
            "update-service-online": "critical",
            "orchestrator-online": "critical",
            "arb-online": "critical",
            "cluster-groups": "critical",
            "cluster-resources": "warning",
            "storage-pools": "critical",
            "virtual-disks": "critical",
            "storage-jobs": "critical",
            "cau-run": "critical",
            "infrastructure-space": "critical",
            "cau-breadcrumbs": "critical",
            "health-checks": "critical",
            "health-file": "critical",
            "known-issues": "warning",
        },
    ),
    "its runs": Batch(
        breaks=_break_runs,
        fires={
            "no-update-running": "critical",
            "last-run": "critical",
            "run-stuck": "critical",
            "run-half-done": "warning",
            "sbe-installed": "critical",
            "laptop-clock": "warning",
        },
        environment=clock_ahead(timedelta(minutes=20)),
    ),
    "its version": Batch(
        breaks=_break_versions, fires={"version-floor": "critical", "update-path": "critical"}
    ),
    "its SBE": Batch(
        breaks=_break_sbe,
        fires={"sbe-minimum": "critical"},
        words=("--version", "12.2510.1002.531"),
    ),
    "its service": Batch(
        breaks=_break_service,
        fires={"update-service-answers": "critical", "one-cluster": "critical"},
        words=(),
    ),
    "a node that is off": Batch(breaks=_switch_off, fires={"node-reached": "critical"}, words=()),
}
