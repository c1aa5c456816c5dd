"""An import on a bad day: nodes restart, laptops change, the share is not as it should be."""

import json
import shutil
import signal
import time

import pytest

from tests.simcluster.smb_faults import DropAfterWritten
from tests.stage import VERSION, Stage
from tests.system.conftest import SIZE_MIB, content, import_
from tests.system.test_site import BUNDLE, SHARE, imported_bundle, set_smb_fault

QUICK = ("cluster", "import", "medium", "--poll-seconds", "0.2", "--wait-minutes", "1")


def share_of(cluster):
    return cluster.world.nodes[0].drive.resolve("\\".join([*SHARE, "import"]))


def signed(stage):
    return next((stage / "medium").rglob(BUNDLE)).read_bytes()


def other_laptop(stage, name="b"):
    """Another machine with a site of its own, made like this one before anything was imported."""
    folder = stage.folder.parent / name
    for part in ("manifests", "medium", "site"):
        shutil.copytree(stage / part, folder / part)
    described = folder / "site" / "site.json"
    document = json.loads(described.read_text("utf-8"))
    document["site_id"] = "7f9c2b1e-0000-4000-8000-0000000000b2"
    described.write_text(json.dumps(document), "utf-8")
    return Stage(folder)


class SlowWrites:
    """Lets each write take a while."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self, command, state):
        time.sleep(self.seconds if command == "WRITE" else 0)


# --- the line and the nodes ---------------------------------------------------------------------


def test_line_that_breaks_is_gone_on_with_by_the_same_run(carried, simulate):
    cluster = simulate(carried)
    cluster.faults.arm("smb-drop", after_bytes=5 << 20)
    cluster.faults.arm("drop", cmdlet="Add-SolutionUpdate", when="after")
    cluster.faults.arm("drop", cmdlet="Get-FileHash")
    done = import_(carried, "--json").data
    assert done["update"]["state"] == "Ready"
    assert done["recopied_bytes"] <= 5 << 20
    assert imported_bundle(cluster) == signed(carried)
    assert cluster.journal.add_calls == 1


def test_node_that_restarts_is_replaced_by_another(carried, simulate):
    cluster = simulate(carried)
    set_smb_fault(cluster, SlowWrites(0.3))
    with carried.popen(*QUICK, "--json") as process:
        while not list(share_of(cluster).glob("*.part")):
            time.sleep(0.05)
        cluster.faults.arm("reboot", node="node1", seconds=8)
        out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert json.loads(out)["data"]["nodes"][:2] == ["node1", "node2"]
    assert imported_bundle(cluster) == signed(carried)
    assert cluster.journal.add_calls == 1


def test_unflushed_tail_of_a_restarted_node_is_sent_again(carried, simulate):
    cluster = simulate(carried, nodes=1)
    set_smb_fault(cluster, DropAfterWritten(5 << 20))
    import_(carried, "--patience-minutes", "0", expect=4)
    (part,) = share_of(cluster).glob("*.part")
    stood = part.stat().st_size
    with part.open("r+b") as file:  # what its memory held is gone with it
        file.truncate(0)
        file.truncate(stood)
    cluster.faults.arm("reboot", node="node1", seconds=0.5)
    time.sleep(2)
    done = import_(carried, "--json").data
    assert round(done["copied_bytes"] / 2**20) == SIZE_MIB
    assert imported_bundle(cluster) == signed(carried)


# --- laptops ------------------------------------------------------------------------------------


def test_second_laptop_goes_on_from_the_share(carried, simulate):
    cluster = simulate(carried)
    other = other_laptop(carried)
    set_smb_fault(cluster, SlowWrites(0.3))
    assert carried.kill_after(4, *QUICK)
    set_smb_fault(cluster, None)
    stood = sum(path.stat().st_size for path in share_of(cluster).glob("*.part"))
    done = import_(other, "--stall-seconds", "1", "--json").data
    assert done["update"]["state"] == "Ready"
    assert done["copied_bytes"] <= (SIZE_MIB + 5 << 20) - stood
    assert imported_bundle(cluster) == signed(carried)
    assert json.loads(import_(carried, "--json").out)["data"]["copied_bytes"] == 0
    assert cluster.journal.add_calls == 1


def test_second_laptop_does_not_add_what_the_first_one_added(carried, simulate):
    cluster = simulate(carried)
    other = other_laptop(carried)
    cluster.faults.arm("delay-discovery", count=5)
    cluster.faults.arm("drop", cmdlet="Add-SolutionUpdate", when="after")
    import_(carried, "--patience-minutes", "0", expect=4)
    assert "asking the cluster" in import_(other, "--stall-seconds", "1").err
    assert cluster.journal.add_calls == 1


def test_laptop_that_still_copies_is_not_disturbed(carried, simulate):
    cluster = simulate(carried)
    other = other_laptop(carried)
    set_smb_fault(cluster, SlowWrites(1))
    with carried.popen(*QUICK) as first:
        while not list(share_of(cluster).glob("*.part")):
            time.sleep(0.05)
        refused = import_(other, "--stall-seconds", "3", expect=5)
        assert "is importing" in refused.err
        set_smb_fault(cluster, None)
        _, err = first.communicate(timeout=100)
    assert first.returncode == 0, err
    assert cluster.journal.add_calls == 1


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="a process cannot be stopped here")
def test_laptop_that_slept_and_was_overtaken_writes_nothing_more(carried, simulate):
    cluster = simulate(carried)
    other = other_laptop(carried)
    set_smb_fault(cluster, SlowWrites(0.5))
    with carried.popen(*QUICK) as first:
        while not list(share_of(cluster).glob("*.part")):
            time.sleep(0.05)
        first.send_signal(signal.SIGSTOP)
        cluster.faults.arm("reboot", node="node1", seconds=0.5)  # it lets go of the sleeper's file
        cluster.faults.arm("refuse-add", words="not now")
        assert "not now" in import_(other, "--stall-seconds", "1", expect=5).err
        first.send_signal(signal.SIGCONT)
        _, err = first.communicate(timeout=100)
    assert first.returncode == 5, err
    assert "took over the import folder (token 2)" in err
    assert imported_bundle(cluster) == signed(carried)
    assert cluster.journal.add_calls == 1
    import_(other)


# --- the share ----------------------------------------------------------------------------------


def test_leftovers_of_an_older_version_are_named_and_not_mixed(carried, simulate):
    cluster = simulate(carried)
    older = share_of(cluster) / "12.2601.1001.8"
    older.mkdir(parents=True)
    (older / "SolutionUpdate.xml").write_bytes(b"<old/>")
    told = import_(carried).err
    assert "12.2601.1001.8" in told
    assert "ferry cluster clean" in told
    assert content(older) == {"SolutionUpdate.xml": b"<old/>"}


def test_folder_of_which_a_file_is_missing_is_expanded_anew(carried, simulate):
    cluster = simulate(carried)
    cluster.faults.arm("refuse-add", words="not now")
    import_(carried, expect=5)
    (share_of(cluster) / VERSION / "SolutionUpdate.xml").unlink()
    assert import_(carried, "--json").data["update"]["state"] == "Ready"
    assert (share_of(cluster) / VERSION / "SolutionUpdate.xml").is_file()


@pytest.mark.parametrize("road", [(), ("--through-winrm",)])
def test_import_by_either_road_ends_alike(carried, simulate, road):
    cluster = simulate(carried)
    import_(carried, *road)
    assert imported_bundle(cluster) == signed(carried)
    assert not list(share_of(cluster).glob("*.part"))
