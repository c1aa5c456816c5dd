import json
import shutil

import pytest

from tests.simcluster.cluster import SimCluster
from tests.simcluster.healthy import make_healthy
from tests.stage import PASSWORD, USER, Stage
from tests.system import checkcases_ready
from tests.system.conftest import base_address, content
from toolkit.cluster import CHECKS

pytestmark = pytest.mark.network

BATCHES = {**checkcases_ready.BATCHES}
CASES = [(check, name) for name, batch in BATCHES.items() for check in batch.fires]
CHANGING = ("Add-", "Set-", "New-", "Remove-", "Move-", "Start-", "Invoke-", "Expand-", "Out-File")
ORDER = ["critical", "warning", "unknown", "pass"]


@pytest.fixture(scope="module")
def outcome(packed, tmp_path_factory):
    """Return what `ferry cluster check` finds with a batch of broken things; None: with nothing broken."""
    known = {}

    def run(name):
        batch = BATCHES.get(name)
        folder = tmp_path_factory.mktemp("check")
        for kept in ("keys", "manifests", "medium", "site"):
            shutil.copytree(packed / kept, folder / "s" / kept)
        stage = Stage(folder / "s")
        sim = SimCluster(folder / "sim", base=base_address(), user=USER, password=PASSWORD, nodes=2)
        with sim:
            make_healthy(sim.world)
            stage.add_cluster(sim.ready)
            if batch is not None:
                batch.breaks(sim)
            words = batch.words if batch else ("medium",)
            extra = batch.environment if batch else {}
            done = stage.ferry("cluster", "check", *words, "--json", expect=None, **extra)
        verdicts = {}
        for row in done.data["results"]:
            verdicts.setdefault(row["check"], []).append(row["verdict"])
        return {check: min(found, key=ORDER.index) for check, found in verdicts.items()}, done

    def of(name):
        if name not in known:
            known[name] = run(name)
        return known[name]

    return of


@pytest.mark.parametrize(("check", "batch"), CASES)
def test_check_fires(outcome, check, batch):
    verdicts, done = outcome(batch)
    assert verdicts.get(check) == BATCHES[batch].fires[check], done.out


@pytest.mark.parametrize("check", [check.id for check in CHECKS])
def test_check_does_not_fire(outcome, check):
    verdicts, done = outcome(None)
    told = [row for row in json.loads(done.out)["data"]["results"] if row["check"] == check]
    assert verdicts.get(check) == "pass", told or done.data["not_asked"]


def test_every_check_is_proven():
    assert {check for check, _ in CASES} == {check.id for check in CHECKS}


def test_what_fires_says_what_to_do_and_where_that_is_published(outcome):
    for name in BATCHES:
        _, done = outcome(name)
        for row in done.data["results"]:
            assert row["evidence"]
            assert row["source"]
            assert bool(row["remedy"]) == (row["verdict"] != "pass"), row


@pytest.fixture
def plant7(carried, simulate):
    return simulate(carried, nodes=2)


def test_healthy_cluster_passes_in_one_line_and_nothing_is_changed(carried, plant7):
    carried.ferry("media", "verify", "medium")
    before = content(carried / "site"), content(plant7.share_folder)
    done = carried.ferry("cluster", "check", "medium")
    assert done.out.splitlines()[-1] == f"{len(CHECKS)} checks pass"
    assert (content(carried / "site"), content(plant7.share_folder)) == before
    assert not [name for name in plant7.journal.commands if name.startswith(CHANGING)]


def test_critical_verdict_exits_1_with_evidence_and_what_to_do(carried, plant7):
    plant7.world.ready.group("press-control-vm").state = "Failed"
    before = content(carried / "site"), content(plant7.share_folder)
    done = carried.ferry("cluster", "check", "--save", "readiness.json", expect=1)
    assert "critical   cluster-groups: press-control-vm is Failed on node1" in done.out
    assert "next: Find out why the group does not run" in done.out
    assert "not asked  laptop-clock: it needs a medium" in done.out
    saved = json.loads((carried / "readiness.json").read_text(encoding="utf-8"))
    assert (saved["kind"], saved["data"]["cluster"]) == ("readiness", "plant7")
    assert (content(carried / "site"), content(plant7.share_folder)) == before


def test_warning_alone_exits_0(carried, plant7):
    plant7.world.nodes[0].registry[checkcases_ready.CREDSSP] = {"auth_credssp": 0}
    assert "warning    credssp on node1" in carried.ferry("cluster", "check").out


def test_node_that_is_down_leaves_the_rest_judged(carried, plant7):
    plant7.faults.arm("down", node="node1")
    result = carried.ferry("cluster", "check", "--json", expect=1).data
    critical = [row for row in result["results"] if row["verdict"] == "critical"]
    assert [(row["check"], row["node"]) for row in critical] == [
        ("node-reached", "node1"),
        ("node-up", "node1"),
    ]
    unknown = {row["node"] for row in result["results"] if row["verdict"] == "unknown"}
    assert unknown == {"node1"}


def test_constrained_language_changes_no_verdict(carried, simulate):
    simulate(carried, nodes=2, language_mode="ConstrainedLanguage")
    carried.ferry("cluster", "check", "medium", expect=0)
