"""Starting an update run: what has to be so before, and what the journal keeps of it."""

import json
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.simcluster.healthy import make_healthy
from tests.simcluster.state import HealthCheck, SolutionUpdate
from tests.stage import VERSION, Stage

START = ("run", "start", VERSION)
WATCH = ("run", "watch", VERSION, "--poll-seconds", "0.2")
REBOOT_PENDING = (
    r"hklm:\software\microsoft\windows\currentversion\component based servicing\rebootpending"
)
SBE = "SBE4.2.2603.1"
REASON = "took the node's disk out of read-only mode"


@pytest.fixture
def site(packed, tmp_path) -> Stage:
    """A site of this test's own."""
    for name in ("manifests", "site"):
        shutil.copytree(packed / name, tmp_path / "s" / name)
    return Stage(tmp_path / "s")


@pytest.fixture
def plant(site, simulate):
    """Its cluster, on which the update was imported."""
    cluster = simulate(site, nodes=2, run_seconds=1)
    cluster.world.updates.append(
        SolutionUpdate(
            resource_id=f"redmond/Solution{VERSION}",
            version=VERSION,
            display_name=VERSION,
            state="Ready",
        )
    )
    return cluster


def entries(site, step=""):
    lines = (site / "site" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if row["subject"] == f"run {VERSION}" and step in ("", row["step"])]


def fail(site, plant, version=VERSION):
    """Let a run fail on node2; the next ones fail there as long as the fault is armed."""
    fault = plant.faults.arm("fail-node", node="node2")
    site.ferry("run", "start", version)
    site.ferry("run", "watch", version, "--poll-seconds", "0.2", expect=1)
    return fault


def list_sbe(plant):
    plant.world.updates.append(
        SolutionUpdate(
            resource_id=f"redmond/{SBE}",
            version=SBE.removeprefix("SBE"),
            sbe_version=SBE.removeprefix("SBE"),
            package_type="SBE",
            display_name="SBE",
            state="Ready",
            additional_properties={"SBEFamily": plant.world.sbe_family},
        )
    )


def analyse(site, name):
    site.ferry("logs", "collect", "-o", name)
    return site.ferry("logs", "analyse", name, expect=1)


# --- readiness ----------------------------------------------------------------------------------


def test_start_refuses_what_is_critical(site, plant):
    plant.faults.arm("down", node="node2")
    refused = site.ferry(*START, expect=5)
    assert "node-reached on node2" in refused.err
    assert plant.world.runs == []
    assert not (site / "site" / "journal.jsonl").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_start_onto_a_full_disk_says_that_the_run_was_started(site, plant):
    words = [sys.executable, "-m", "toolkit", *START]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            words, env=site.environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    (run,) = plant.world.runs
    assert f"started, run {run.resource_id}" in done.stderr
    assert "the same command" not in done.stderr
    assert done.returncode == 6


def test_warnings_are_accepted_by_name_and_journalled(site, plant):
    slow = HealthCheck(
        name="AzStackHci_Storage_Latency",
        title="Latency of disks",
        status="FAILURE",
        severity="WARNING",
        description="Disk 2000 of node1 is slow.",
    )
    plant.world.health_checks.append(slow)
    make_healthy(plant.world)  # the files of results say the same
    refused = site.ferry(*START, expect=5).err
    assert "Disk 2000 of node1 is slow." in refused
    named = refused.partition("accept by name: ")[2].split("\n")[0].split()
    accepted = named[1::2]
    assert "health-checks" in accepted
    assert set(named[::2]) == {"--accept-warnings"}
    site.ferry(*START, *named)
    facts = entries(site, "start")[0]["facts"]
    assert all(name in facts["accepted"] for name in accepted)
    assert "Disk 2000 of node1 is slow." in facts["accepted"]
    assert facts["ignores_warnings"] == "yes"
    table = site.ferry("site", "journal").out
    assert f"accepted: {facts['accepted']}" in table
    assert "Installed" in site.ferry(*WATCH).out


def test_prepare_needs_less_than_start(site, plant):
    plant.world.nodes[1].registry[REBOOT_PENDING] = {}
    site.ferry("run", "prepare", VERSION)
    assert "ReadyToInstall" in site.ferry(*WATCH).out
    assert "pending-reboot on node2" in site.ferry(*START, expect=5).err
    site.ferry(*START, "--accept-warnings", "pending-reboot")


def test_dry_run_says_whether_it_could_be_started(site, plant):
    assert "could be started now" in site.ferry(*START, "--dry-run").out
    assert plant.world.runs == []


def test_what_is_no_check_or_no_time_is_a_usage_error(site, plant):
    for words, said in (
        (("--accept-warnings", "everything"), "no check is called everything"),
        (("--not-before", "soon"), "'soon' is no time"),
        (("--must-end-by", "2026-11-28"), "is no time such as"),
    ):
        assert said in site.ferry(*START, *words, expect=2).err


def test_sbe_is_started_by_the_name_it_is_listed_under(site, plant):
    list_sbe(plant)
    site.ferry("run", "start", SBE)
    assert [run.update.package_type for run in plant.world.runs] == ["SBE"]
    assert "run SBE4.2.2603.1" in (site / "site" / "journal.jsonl").read_text(encoding="utf-8")
    assert site.ferry("run", "start", "SBE4.2.2603", expect=7).err


# --- the window ---------------------------------------------------------------------------------


def test_window_that_is_too_short_is_refused(site, plant):
    ends = datetime.now(UTC) + timedelta(hours=3)
    refused = site.ferry(*START, "--must-end-by", ends.isoformat(), expect=5)
    assert "published for 2 node(s)" in refused.err
    assert plant.world.runs == []
    ends += timedelta(hours=5)
    site.ferry(*START, "--must-end-by", ends.isoformat())
    (intent, _) = entries(site, "start")
    assert intent["facts"]["must_end_by"].startswith(f"{ends.astimezone():%Y-%m-%dT%H:%M}")


def test_not_before_waits_and_checks_again(site, plant):
    begins = datetime.now(UTC) + timedelta(seconds=20)
    with site.popen(*START, "--not-before", begins.isoformat()) as waiting:
        for line in waiting.stderr:
            if line.startswith("allowed;"):
                break
        plant.faults.arm("down", node="node2")
        _, err = waiting.communicate(timeout=120)
    assert datetime.now(UTC) > begins
    assert waiting.returncode == 5
    assert "node-reached on node2" in err
    assert plant.world.runs == []


# --- after a failed run -------------------------------------------------------------------------


def test_failed_run_is_started_again_only_after_its_evidence_and_with_a_reason(site, plant):
    fault = fail(site, plant)
    refused = site.ferry(*START, "--i-have-fixed", REASON, expect=5)
    assert "never run it again blindly" in refused.err
    assert "no analysis of that run" in refused.err
    assert "kept in the site's journal" in analyse(site, "first.zip").err
    refused = site.ferry(*START, expect=5)
    assert "Microsoft Defender stopped the installer" in refused.err
    assert "--i-have-fixed" in refused.err
    assert len(plant.world.runs) == 1

    # the fix did not cure it: what was found of the first run says nothing of the second
    started = site.ferry(*START, "--i-have-fixed", REASON)
    assert "Microsoft Defender stopped the installer" in started.err
    assert entries(site, "start")[-2]["facts"]["fixed"] == REASON
    site.ferry(*WATCH, expect=1)
    assert "no analysis of that run" in site.ferry(*START, "--i-have-fixed", REASON, expect=5).err

    analyse(site, "second.zip")
    plant.faults.disarm(fault)
    said = site.ferry(*START, "--i-have-fixed", "set the rule to audit on both nodes").err
    assert "same finding as before the last fix" in said
    assert "Installed" in site.ferry(*WATCH).out


def test_other_update_is_started_after_a_failed_one_only_with_its_evidence_and_by_name(site, plant):
    list_sbe(plant)
    plant.faults.disarm(fail(site, plant, SBE))
    accepted = ("--accept-warnings", "last-run")
    answered = (*START, *accepted, "--i-have-fixed", REASON)
    refused = site.ferry(*answered, expect=5).err
    assert f"{SBE} failed; its newest run" in refused
    assert "no analysis of that run" in refused
    assert len(plant.world.runs) == 1

    assert f"Update {SBE} failed" in analyse(site, "first.zip").err
    refused = site.ferry(*START, "--i-have-fixed", REASON, expect=5).err
    assert "accept by name: --accept-warnings last-run" in refused
    refused = site.ferry(*START, *accepted, expect=5).err
    assert "Microsoft Defender stopped the installer" in refused
    assert "--i-have-fixed" in refused
    site.ferry(*answered)
    assert plant.world.runs[-1].update.version == VERSION
    facts = entries(site, "start")[0]["facts"]
    assert "last-run" in facts["accepted"]
    assert (facts["fixed"], bool(facts["evidence"])) == (REASON, True)


def test_history_lists_runs_newest_first(site, plant):
    assert "remembers no run" in site.ferry("run", "history").out
    site.ferry("run", "prepare", VERSION)
    site.ferry(*WATCH)
    fail(site, plant)
    past = site.ferry("run", "history", "--json").data["runs"]
    assert [run["run_id"] for run in past] == [run.resource_id for run in plant.world.runs[::-1]]
    assert [run["kind"] for run in past] == ["installation", "preparation"]
    assert [run["state"] for run in past] == ["Failed", "Succeeded"]
    assert past[0]["failed_step"]
    assert VERSION in site.ferry("run", "history", "--limit", "1").out


# --- a lost reply -------------------------------------------------------------------------------


def test_reply_of_start_lost_is_learned_from_the_cluster(site, plant):
    plant.faults.arm("drop", cmdlet="Start-SolutionUpdate", when="after")
    started = site.ferry(*START, "--json")
    (run,) = plant.world.runs
    assert started.data["run_id"] == run.resource_id
    intent, done = entries(site, "start")
    assert (intent["outcome"], done["facts"]["learned"]) == ("intent", "from the cluster")


def test_run_that_began_before_ferry_was_killed_may_have_been_started_here(site, plant):
    fail(site, plant)
    analyse(site, "before.zip")
    plant.faults.arm("slow", cmdlet="Start-SolutionUpdate", seconds=60)
    with site.popen(*START, "--i-have-fixed", REASON) as ferry:
        while len(plant.world.runs) < 2:
            assert ferry.poll() is None
            time.sleep(0.05)
        ferry.kill()
    first, second = site.ferry("run", "history", "--json").data["runs"]
    assert (first["kind"], first["is_assumed"]) == ("installation", True)
    assert first["fixed"] == REASON
    assert (second["kind"], second["is_assumed"]) == ("installation", False)
    assert f"perhaps: no answer came back), after: {REASON}" in site.ferry("run", "history").out
