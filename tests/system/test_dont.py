"""What an update of the orchestrator leaves behind is no finding; what somebody else did beside it is one."""

import time

import pytest

from tests.simcluster.healthy import write_health_files
from tests.simcluster.state import SolutionUpdate
from tests.system.checkcases_dont import install

pytestmark = pytest.mark.network
VERSION, BUILD = "12.2603.1002.15", "26100.32522"


def found(stage):
    """What a check says of the don'ts: check → nodes that it speaks of."""
    dont = {"patched-outside", "dotnet-outside", "cau-windows-update", "os-build-published"}
    results = stage.ferry("cluster", "check", "--json", expect=None).data["results"]
    return {
        row["check"]: row["node"]
        for row in results
        if row["verdict"] != "pass" and (row["check"] in dont or row["check"].startswith("drift-"))
    }


@pytest.fixture
def updated(carried, simulate):
    """A cluster that has had its baseline taken, and one update since."""
    sim = simulate(carried, nodes=2, run_seconds=1)
    carried.ferry("cluster", "baseline", "--by", "Ben Okri")
    update = SolutionUpdate(
        resource_id=f"redmond/Solution{VERSION}",
        version=VERSION,
        display_name="2026.03 Cumulative Update",
        state="Ready",
        os_build=BUILD,
    )
    sim.world.updates.append(update)
    sim.world.start(update, is_prepare_only=False)
    until = time.monotonic() + 30
    while sim.world.active_run is not None and time.monotonic() < until:
        time.sleep(0.1)
        sim.world.advance()
    assert sim.world.current_version == VERSION
    write_health_files(sim.world)
    return sim


def test_update_of_the_orchestrator_is_no_finding(carried, updated):
    assert all(len(node.channels["System"]) > 3 for node in updated.world.nodes)
    for node in updated.world.nodes:
        node.settings.hotfixes.append("KB5070002")
    assert found(carried) == {}


def test_what_was_installed_beside_it_is_one(carried, updated):
    node = updated.world.nodes[0]
    install(updated.world, node, at_days_ago=2, title="2026-03 Cumulative Update (KB5070003)")
    assert found(carried) == {"patched-outside": "node1"}
