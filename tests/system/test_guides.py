"""Guides of the vendor as tests: from the symptom, through evidence and advice, to the update that goes on.

*Update-missing-after-importing-SBE* is `test_hidden_updates.py`.
"""

import json
import shutil
import time
from dataclasses import dataclass

import pytest

from tests.simcluster.baddays import Starved
from tests.simcluster.badruns import marker_of
from tests.simcluster.cluster import SimCluster
from tests.simcluster.state import SolutionUpdate
from tests.stage import Stage

pytestmark = pytest.mark.network

VERSION = "12.2604.1003.1006"
REASON = "followed the guide to its end on every node"


@dataclass
class Plant:
    """A site and its cluster, which lists one update."""

    site: Stage
    cluster: SimCluster
    update: SolutionUpdate

    @property
    def days(self):
        return self.cluster.world.bad_days

    @property
    def runs(self):
        return self.cluster.world.runs

    def start(self, *words, expect=0):
        return self.site.ferry("run", "start", self.update.version, *words, expect=expect)

    def watch(self, *words, expect=0):
        pause = words or ("--poll-seconds", "0.2")
        return self.site.ferry("run", "watch", self.update.version, *pause, expect=expect)

    def analyse(self, name):
        """Collect and analyse; return rule → finding, in the order of the report."""
        self.site.ferry("logs", "collect", "-o", name)
        told = self.site.ferry("logs", "analyse", name, "--json", expect=1)
        return {finding["rule"]: finding for finding in told.data["findings"]}

    def wait_until(self, holds, seconds=60):
        until = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < until, "waited too long"
            time.sleep(0.05)
            self.cluster.world.advance()


@pytest.fixture
def plant(packed, tmp_path, simulate):
    """Return a maker of plants."""

    def make(*, version=VERSION, installed="12.2603.1002.15", os_build="26100.32522", **options):
        for name in ("manifests", "site"):
            shutil.copytree(packed / name, tmp_path / "s" / name)
        site = Stage(tmp_path / "s")
        cluster = simulate(site, **({"nodes": 2, "run_seconds": 1} | options))
        update = SolutionUpdate(
            resource_id=f"redmond/Solution{version}",
            version=version,
            display_name=version,
            state="Ready",
        )
        cluster.world.current_version = installed
        for node in cluster.world.nodes:
            node.os_build = os_build
        cluster.world.updates.append(update)
        return Plant(site, cluster, update)

    return make


def test_get_solution_update_gateway_timeout(plant):
    here = plant(run_seconds=12)
    here.start()
    here.days.starved = Starved(calls=6, within_s=8)
    watched = here.watch("--poll-seconds", "1")
    assert "GatewayTimeout was received" in watched.err
    assert 'move "Azure Stack HCI Update Service Cluster Group" to another node' in watched.err
    assert "ask less often" in watched.err
    assert "Installed" in watched.out


@pytest.mark.parametrize(
    ("version", "installed", "os_build"),
    [
        ("12.2506.1001.29", "12.2505.1001.23", "26100.4061"),
        (VERSION, "12.2603.1002.15", "26100.32522"),
    ],
)
def test_previous_cau_run_was_canceled(plant, version, installed, os_build):
    here = plant(version=version, installed=installed, os_build=os_build)
    here.days.cau = "cancelled"
    blocked = here.cluster.faults.arm("fail-node", node="node2")
    here.start()
    here.watch(expect=1)
    here.cluster.faults.disarm(blocked)
    here.cluster.world.start(here.update, is_prepare_only=False)  # somebody does, in the portal
    watched = here.watch(expect=1)
    assert "Previous CAU run status was Canceled. Exceeded max CAU retries" in watched.out

    found = here.analyse("canceled.zip")
    kind = "sbe" if ".2506." in version else "msuhostupdate"
    assert f"cau-retry-canceled-{kind}-breadcrumb" in found
    assert next(iter(found)) == "cau-installer-blocked-by-defender-asr"  # what failed first

    refused = here.start("--i-have-fixed", REASON, expect=5)
    assert "cau-breadcrumbs" in refused.err
    assert marker_of(version).rpartition("\\")[2].lower() in refused.err.lower()
    assert len(here.runs) == 2

    marker = here.cluster.world.nodes[0].drive.resolve(marker_of(version))
    marker.rename(marker.with_suffix(".old"))
    here.start("--i-have-fixed", REASON)
    assert "Installed" in here.watch().out


def test_sbe_cau_running_after_done(plant):
    here = plant(nodes=1)
    here.days.cau, here.days.cau_goes_on_s = "running-after-done", 900
    here.start()
    watched = here.watch(expect=1)
    assert "failed step: SBEPartnerConfirmCauDone" in watched.out
    assert "SBE-CAU-RUNNING-AFTER-DONE" in watched.out

    finding = here.analyse("running.zip")["sbe-cau-running-after-done"]
    assert "Never start a second CAU run by hand" in json.dumps(finding)
    refused = here.start("--i-have-fixed", REASON, expect=5)
    assert "cau-run" in refused.err
    assert len(here.runs) == 1

    here.cluster.world.clock.run_at(2000)
    here.wait_until(lambda: here.cluster.world.cau_story() is None)
    here.cluster.world.clock.run_at(1)
    here.days.cau = ""
    assert here.cluster.world.reports[-1]["ClusterResult"]["Status"] == "Succeeded"
    here.start("--i-have-fixed", "waited until CAU had ended, and its report says Succeeded")
    assert "Installed" in here.watch().out


def test_resumed_update_fails_immediately(plant):
    here = plant()
    here.days.empty_resume = True
    blocked = here.cluster.faults.arm("fail-node", node="node2")
    here.start()
    here.watch(expect=1)
    here.cluster.faults.disarm(blocked)
    here.analyse("first.zip")
    here.start("--i-have-fixed", REASON)
    watched = here.watch(expect=1)
    assert "it has no steps" in watched.out
    assert "ferry logs collect" in watched.out

    assert "no analysis of that run" in here.start("--i-have-fixed", REASON, expect=5).err
    finding = here.analyse("second.zip")["resumed-update-empty-action-plan"]
    assert finding["severity"] == "critical"
    refused = here.start(expect=5)
    assert "an empty action plan was submitted" in refused.err
    assert "clear the update service's cache of action plans" in refused.err
    assert len(here.runs) == 2

    here.days.empty_resume = False
    here.start("--i-have-fixed", "support deleted the empty plans and cleared the cache")
    assert "Installed" in here.watch().out
