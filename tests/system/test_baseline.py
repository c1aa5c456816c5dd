"""The settings of the nodes, remembered at the site, and what a check says when they change."""

import json

import pytest

from tests.simcluster.settingsstate import modules_folder
from tests.system.conftest import content

pytestmark = pytest.mark.network
READ_ONLY = {
    "Get-Cluster",
    "Get-ChildItem",
    "Get-Culture",
    "Get-HotFix",
    "Get-ItemProperty",
    "Get-SolutionUpdateEnvironment",
    "Get-TimeZone",
    "Get-UICulture",
    "Get-WinHomeLocation",
    "Get-WinSystemLocale",
    "Select-Object",
    "Test-Path",
}


def take(stage, *more, expect=0, **extra):
    words = ["cluster", "baseline", "--by", "Ben Okri", *more]
    return stage.ferry(*words, expect=expect, **extra)


def show(stage):
    return stage.ferry("cluster", "baseline", "--show", "--json").data["baseline"]


def drifts(stage):
    """What a check says of settings: check → verdicts with their nodes."""
    results = stage.ferry("cluster", "check", "--json", expect=None).data["results"]
    found = {}
    for row in results:
        if row["check"].startswith("drift-") and row["verdict"] != "pass":
            found.setdefault(row["check"], []).append((row["verdict"], row["node"]))
    return found


@pytest.fixture
def plant7(carried, simulate):
    return simulate(carried, nodes=2)


def test_baseline_is_kept_and_shown_and_the_cluster_is_only_read(carried, plant7):
    share = content(plant7.share_folder)
    said = take(carried)
    assert "remembered in" in said.out
    assert set(plant7.journal.commands) == READ_ONLY
    assert content(plant7.share_folder) == share
    plant7.stop()
    kept = show(carried)
    assert (kept["by"], kept["solution_version"]) == ("Ben Okri", "12.2602.1002.501")
    assert [node["node"] for node in kept["nodes"]] == ["node1", "node2"]
    for node in kept["nodes"]:
        assert node["untold"] == {}
        assert node["values"]["time_zone"] == ["UTC"]
        assert node["values"]["hotfixes"] == ["KB5066129", "KB5066780"]
        assert "Az.Accounts 4.0.2" in node["values"]["modules"]
    intent, entry = [
        row
        for line in (carried / "site" / "journal.jsonl").read_text().splitlines()
        if (row := json.loads(line))["step"] == "baseline"
    ]
    assert (intent["outcome"], entry["outcome"]) == ("intent", "done")
    assert (
        entry["facts"]
        == intent["facts"]
        == {"by": "Ben Okri", "solution_version": "12.2602.1002.501"}
    )


def test_change_on_every_node_is_found_by_the_baseline_alone(carried, plant7):
    for node in plant7.world.nodes:
        node.settings.time_zone = "Tokyo Standard Time"
    assert drifts(carried) == {}
    for node in plant7.world.nodes:
        node.settings.time_zone = "UTC"
    take(carried)
    for node in plant7.world.nodes:
        node.settings.time_zone = "Tokyo Standard Time"
    found = {"drift-time-zone": [("warning", "node1"), ("warning", "node2")]}
    assert drifts(carried) == found
    said = take(carried)
    assert (
        "changed since the earlier baseline: node1, time zone: now Tokyo Standard Time" in said.out
    )
    assert drifts(carried) == {}
    assert len(list((carried / "site" / "baselines").glob("plant7*.json"))) == 2


def test_nodes_that_differ_are_remembered_only_if_that_is_meant(carried, plant7):
    plant7.world.nodes[1].settings.system_locale = "de-DE"
    said = take(carried, expect=1)
    assert "the nodes differ: system locale, not the same on every node: de-DE (node2)" in said.out
    assert "--although-nodes-differ" in said.out
    assert not (carried / "site" / "baselines").exists()
    take(carried, "--although-nodes-differ")
    assert drifts(carried) == {"drift-system-locale": [("critical", "")]}


def test_what_an_update_changes_is_compared_only_at_the_version_of_the_baseline(carried, plant7):
    take(carried)
    for node in plant7.world.nodes:
        node.settings.hotfixes.append("KB5070000")
        accounts = modules_folder(node.drive.root) / "Az.Accounts"
        (accounts / "4.0.2").rename(accounts / "5.0.0")
    both = [("warning", "node1"), ("warning", "node2")]
    assert drifts(carried) == {"drift-hotfixes": both, "drift-modules": both}
    plant7.world.current_version = "12.2603.1002.15"
    assert drifts(carried) == {}


def test_node_that_is_down_leaves_no_baseline(carried, plant7):
    plant7.faults.arm("down", node="node2")
    said = take(carried, expect=4)
    assert "node2" in said.err
    assert not (carried / "site" / "baselines").exists()


def test_baseline_from_before_the_cluster_was_removed_is_told_and_not_compared(carried, plant7):
    take(carried)
    for node in plant7.world.nodes:
        node.settings.time_zone = "Tokyo Standard Time"
    carried.ferry("site", "remove-cluster", "plant7")
    carried.add_cluster(plant7.ready)
    words = "warning: the baseline that Ben Okri took on "
    assert words in carried.ferry("cluster", "check", expect=None).err
    assert words in carried.ferry("cluster", "check", "--json", expect=None).err
    assert words in carried.ferry("cluster", "baseline", "--show", expect=7).err
    assert drifts(carried) == {}
    take(carried)
    assert words not in carried.ferry("cluster", "check", expect=None).err


def test_site_without_a_baseline_says_how_to_take_one(carried):
    carried.ferry("site", "add-cluster", "plant7", "--node", "127.0.0.1")
    said = carried.ferry("cluster", "baseline", "--show", expect=7)
    assert "ferry cluster baseline --by" in said.err


def test_baseline_that_somebody_edited_is_refused_until_a_new_one_is_taken(carried, plant7):
    take(carried)
    asked = dict(plant7.journal.commands)
    path = carried / "site" / "baselines" / "plant7.json"
    edited = path.read_text().replace('"UTC"', "5")
    path.write_text(edited)
    said = carried.ferry("cluster", "check", expect=7)
    assert "plant7.json" in said.err
    assert "ferry cluster baseline --by" in said.err
    assert dict(plant7.journal.commands) == asked
    said = take(carried)
    assert "warning: read the baseline" in said.err
    (beside,) = path.parent.glob("plant7.until-*.json")
    assert beside.read_text() == edited
    show(carried)


@pytest.mark.parametrize("words", [(), ("--show", "--by", "Ben Okri")])
def test_baseline_is_taken_by_somebody_and_shown_to_everybody(carried, words):
    carried.ferry("cluster", "baseline", *words, expect=2)


def test_ca_file_that_holds_no_certificate_ends_a_check(carried, plant7):
    (carried / "site" / "ca" / "plant7.pem").write_bytes(b"")
    said = carried.ferry("cluster", "check", expect=7)
    assert "plant7.pem" in said.err
    assert not plant7.journal.commands
