"""Watching a run while nodes restart, the line breaks, and whoever watches goes home."""

import pytest

from tests.simcluster.state import SolutionUpdate
from tests.stage import VERSION

pytestmark = pytest.mark.network

WATCH = ("run", "watch", VERSION, "--poll-seconds", "0.2")


@pytest.fixture
def started(carried, simulate):
    """Return a maker of a site and its cluster, on which an update has just been started."""

    def start(**options):
        cluster = simulate(carried, **({"nodes": 2, "run_seconds": 4} | options))
        update = SolutionUpdate(
            resource_id=f"redmond/Solution{VERSION}",
            version=VERSION,
            display_name=VERSION,
            state="Ready",
        )
        cluster.world.updates.append(update)
        cluster.world.start(update, is_prepare_only=False)
        return carried, cluster

    return start


def test_watch_survives_the_restart_of_every_node(started):
    site, cluster = started(run_seconds=40)
    cluster.world.bad_days.restarts_nodes = True
    watched = site.ferry(*WATCH)
    assert "Installed" in watched.out
    assert all(node.ready.booted_at for node in cluster.world.nodes)  # both were really away
    assert "does not answer; nodes restart during an update" in watched.err


def test_watch_is_closed_and_reopened(started):
    site, cluster = started(run_seconds=40)
    with site.popen(*WATCH) as first:
        for line in first.stdout:
            if "Wait for node node1: InProgress" in line:
                break
        first.kill()
    watched = site.ferry(*WATCH)
    assert "Installed" in watched.out
    lines = [line.strip() for line in watched.out.splitlines()]
    finished = [line for line in lines if line.startswith("Downloading update: Success")]
    assert len(finished) == 1  # told again, once
    assert any("of about" in line and "node" in line for line in lines)
    assert cluster.world.active_run is None


def test_run_is_shown_without_its_version_and_an_earlier_one_by_its_id(started):
    site, cluster = started(run_seconds=1)
    site.ferry(*WATCH)
    (run,) = cluster.world.runs
    newest = site.ferry("run", "show", "--json").data["run"]
    assert newest["resource_id"] == run.resource_id
    words = ("run", "show", VERSION, "--run")
    short = run.resource_id.rpartition("/")[2]
    assert site.ferry(*words, short, "--json").data["run"]["state"] == "Succeeded"
    refused = site.ferry(*words, "1234", expect=5)
    assert run.resource_id in refused.err
    assert "ferry run history" in refused.err
    assert "give both" in site.ferry("run", "show", "--run", short, expect=2).err
    receipt = ("--receipt-on", ".", "--by", "Ben Okri")
    assert "leave out --run" in site.ferry(*words, short, *receipt, expect=2).err


def test_update_service_that_is_moved_meanwhile_is_waited_for(started):
    site, cluster = started(run_seconds=30)
    with site.popen(*WATCH) as watching:
        assert watching.stdout.readline()
        cluster.faults.arm("move-update-service", node="node2", seconds=2)
        out, err = watching.communicate(timeout=200)
    assert "Installed" in out
    assert "ConnectFailure" in err
    assert (
        cluster.world.ready.group("Azure Stack HCI Update Service Cluster Group").owner == "node2"
    )


def test_run_that_stands_still_is_named_by_the_check(started):
    site, cluster = started(run_seconds=1)
    run = cluster.world.runs[0]
    run.stands_still_at = run.plan.start + (run.plan.end - run.plan.start) / 2
    cluster.world.clock.run_at(500_000)
    checked = site.ferry("cluster", "check", "--version", VERSION, "--json", expect=1)
    told = {row["check"]: row["verdict"] for row in checked.data["results"]}
    assert told["run-stuck"] == "critical"
    assert told["no-update-running"] == "critical"
