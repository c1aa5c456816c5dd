"""What must not be done to a cluster, done to a simulated one, and which check finds it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from tests.simcluster.cluster import SimCluster
from tests.simcluster.eventshapes import WINDOWS_UPDATE, make_event
from tests.simcluster.settingsstate import DvdDrive, modules_folder
from tests.simcluster.state import Node, World
from tests.simcluster.story import cau_run
from tests.system.checkcases import Batch

_WINDOWS = r"hklm:\software\microsoft\windows nt\currentversion"
_AUTOMATIC = r"hklm:\software\policies\microsoft\windows\windowsupdate\au"
_SERVICE = UUID("7971F918-A847-4430-9279-4A52D1EFE18D")
DOTNET = "2026-10 Cumulative Update for .NET Framework 4.8.1 (KB5070001)"


def _set_up_otherwise(sim: SimCluster) -> None:
    node = sim.world.nodes[1]
    node.settings.time_zone = "Tokyo Standard Time"
    node.settings.culture, node.settings.decimal_separator = "de-DE", ","
    node.settings.geo_id = 94
    node.settings.hotfixes.append("KB5070000")
    accounts = modules_folder(node.drive.root) / "Az.Accounts"
    (accounts / "4.0.2").rename(accounts / "5.0.0")
    node.registry[_WINDOWS] = {"CurrentBuildNumber": "26100", "UBR": 1}


def _patch_outside(sim: SimCluster) -> None:
    world, node = sim.world, sim.world.nodes[1]
    at = world.clock.now() - timedelta(days=3)
    install(world, node, at_days_ago=5, title=DOTNET)
    report = cau_run(
        cluster=world.name,
        nodes=[one.name for one in world.nodes],
        started_at=at,
        run_id=uuid4(),
        failing_node=None,
        failure="drain",
        domain=world.domain,
        os_build="26100.32522",
        clock_offsets={},
    ).report
    assert report is not None
    world.reports.append(report | {"Plugin": "Microsoft.WindowsUpdatePlugin"})
    world.settings.cau_role = {"Status": "Online", "DaysOfWeek": 4, "WeeksOfMonth": 3}
    node.registry[_AUTOMATIC] = {"NoAutoUpdate": 0}
    node.settings.attack_surface_rules["d1e49aac-8f56-4280-b9ba-993a6d77406c"] = 1
    node.settings.dvd_drives.append(DvdDrive(vm="db-01", path=r"D:\iso\setup.iso"))


def install(world: World, node: Node, *, at_days_ago: float, title: str) -> None:
    """Let the Windows Update agent of a node write that it installed something."""
    log = node.channels["System"]
    log.append(
        make_event(
            WINDOWS_UPDATE,
            19,
            title,
            uuid4(),
            200,
            _SERVICE,
            time=world.clock.now() - timedelta(days=at_days_ago),
            computer=f"{node.name}.{world.domain}",
            record_id=len(log) + 1,
        )
    )


BATCHES = {
    "settings of a node": Batch(
        breaks=_set_up_otherwise,
        fires={
            "drift-time-zone": "critical",
            "drift-culture": "critical",
            "drift-system-locale": "critical",
            "decimal-comma": "warning",
            "drift-os-build": "critical",
            "os-build-published": "critical",
            "drift-hotfixes": "warning",
            "drift-modules": "critical",
        },
    ),
    "patches from outside": Batch(
        breaks=_patch_outside,
        fires={
            "cau-windows-update": "warning",
            "cau-self-updating": "critical",
            "windows-update-off": "warning",
            "patched-outside": "warning",
            "dotnet-outside": "warning",
            "asr-rule": "critical",
            "vm-discs": "warning",
        },
    ),
}
