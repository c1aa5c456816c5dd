"""The disconnected side against the simulated cluster, each fault once."""

import hashlib
import io
import json
import random
import shutil
import subprocess
import time
import zipfile

import pytest

from tests.simcluster import samba
from tests.simcluster.smb_faults import DropAfterWritten, FlipByte
from tests.stage import SBE_VERSION, VERSION
from tests.system.conftest import SIZE_MIB, content, import_

BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
QUICK = ("--poll-seconds", "0.2")
SHARE = ("ClusterStorage", "Infrastructure_1", "Shares", "SU1_Infrastructure_1")


def run_to_its_end(stage, *, expect=0):
    stage.ferry("run", "start", VERSION)
    return stage.ferry("run", "watch", VERSION, *QUICK, expect=expect)


def imported_bundle(cluster):
    """Return the bundle's bytes as they stand on the infrastructure share."""
    path = "\\".join([*SHARE, "import", BUNDLE])
    return cluster.world.nodes[0].drive.resolve(path).read_bytes()


def set_smb_fault(cluster, hook):
    for machine in cluster.machines:
        machine.share.hook = hook


# --- the line -----------------------------------------------------------------------------------


def test_update_is_imported_prepared_and_installed(carried, simulate):
    cluster = simulate(carried, run_seconds=3)
    seen = json.loads(carried.ferry("cluster", "discover", "--json").out)["data"]
    assert seen["environment"]["current_version"]
    done = json.loads(import_(carried, "--json").out)["data"]
    assert (done["update"]["state"], round(done["copied_bytes"] / 2**20)) == ("Ready", SIZE_MIB)
    carried.ferry("run", "prepare", VERSION)
    assert "ReadyToInstall" in carried.ferry("run", "watch", VERSION, *QUICK).out
    assert "Installed" in run_to_its_end(carried).out
    assert cluster.world.journal.add_calls == 1
    shown = json.loads(carried.ferry("run", "show", VERSION, "--json").out)["data"]
    assert shown["run"]["progress"]["steps"]


def test_receipts_of_import_and_result_go_onto_the_medium(carried, simulate):
    simulate(carried, run_seconds=1)
    import_(carried, "--receipt", "--by", "Ben")
    show = ("run", "show", VERSION, "--receipt-on", "medium", "--by", "Ben")
    assert "wait for its end" in carried.ferry(*show, expect=5).err
    run_to_its_end(carried)
    carried.ferry(*show)
    keys = [json.loads(path.read_bytes()) for path in (carried / "medium").glob("*/custody/*")]
    facts = {seen["signed"]["receipt"]: seen["signed"]["facts"] for seen in keys}
    assert set(facts) == {"write", "import", "result"}
    arrived = hashlib.sha256(next((carried / "medium").glob("*/data/payload/Comb*")).read_bytes())
    assert facts["import"]["targets"][BUNDLE] == arrived.hexdigest()
    assert facts["result"]["state"] == "Installed"


def test_failed_node_is_found_from_the_evidence_alone(carried, simulate):
    cluster = simulate(carried, run_seconds=3)
    cluster.faults.arm("fail-node", node="node3")
    import_(carried)
    assert "the cluster says" in run_to_its_end(carried, expect=1).out
    assert "never run it again blindly" in carried.ferry("run", "start", VERSION, expect=5).err
    carried.ferry("logs", "collect", "-o", "b.zip")
    cluster.stop()
    analysis = carried.ferry("logs", "analyse", "b.zip", "--report", "b.html", "--json", expect=1)
    findings = json.loads(analysis.out)["data"]["findings"]
    assert findings[0]["severity"] == "critical"
    assert {e["node"] for f in findings for e in f["evidence"]} >= {"node3"}
    report = (carried / "b.html").read_text(encoding="utf-8")
    assert "node3" in report
    assert "src=" not in report
    assert 'href="http' not in report


def test_whole_line_over_http_with_message_encryption(carried, simulate):
    cluster = simulate(carried, transport="http", run_seconds=2)
    import_(carried)
    assert "Installed" in run_to_its_end(carried).out
    assert cluster.world.journal.add_calls == 1


@pytest.mark.skipif(not samba.available(), reason="Samba's smbd is not installed")
def test_whole_line_with_samba(carried, simulate):
    cluster = simulate(carried, run_seconds=2, smb="samba")
    import_(carried)
    assert imported_bundle(cluster) == next((carried / "medium").rglob(BUNDLE)).read_bytes()
    assert "Installed" in run_to_its_end(carried).out
    carried.ferry("logs", "collect", "-o", "b.zip")
    collected = json.loads(carried.ferry("logs", "analyse", "b.zip", "--json").out)["data"]
    assert all(row["status"] != "damaged" for row in collected["coverage"])


def test_sbe_that_the_update_asks_for_is_imported_from_the_medium(carried, simulate):
    cluster = simulate(carried, required_sbe_version=SBE_VERSION)
    done = json.loads(import_(carried, "--json").out)["data"]
    assert done["update"]["state"] == "Ready"
    assert cluster.world.journal.add_calls == 2
    import_(carried)
    assert cluster.world.journal.add_calls == 2


# --- what goes wrong ----------------------------------------------------------------------------


def test_second_import_adds_nothing(carried, simulate):
    cluster = simulate(carried)
    import_(carried)
    assert f"lists {VERSION} already, as Ready" in import_(carried, "--dry-run").out
    assert json.loads(import_(carried, "--json").out)["data"]["copied_bytes"] == 0
    assert cluster.world.journal.add_calls == 1


def test_dry_run_changes_nothing(carried, simulate):
    cluster = simulate(carried)
    before = content(carried / "site")
    told = import_(carried, "--dry-run").out
    assert "would import" in told
    assert "by SMB, which was not tried" in told
    assert "ferry media verify" in told  # no payload was read
    assert cluster.world.journal.add_calls == 0
    assert {k: v for k, v in content(carried / "site").items() if "journal" in k} == {
        k: v for k, v in before.items() if "journal" in k
    }


def test_byte_altered_on_its_way_to_the_node_is_refused(carried, simulate):
    cluster = simulate(carried)
    set_smb_fault(cluster, FlipByte(3 << 20))
    refused = import_(carried, expect=3)
    assert BUNDLE in refused.err
    assert "node1" in refused.err
    assert cluster.world.journal.add_calls == 0
    import_(carried)


def test_byte_altered_on_the_medium_is_refused_while_copying(carried, simulate):
    cluster = simulate(carried)
    path = next((carried / "medium").rglob(BUNDLE))
    data = bytearray(path.read_bytes())
    data[2 << 20] ^= 1
    path.write_bytes(data)
    assert BUNDLE in import_(carried, expect=3).err
    assert cluster.world.journal.add_calls == 0


def test_connection_lost_during_the_copy_is_continued_by_the_same_command(carried, simulate):
    cluster = simulate(carried)
    set_smb_fault(cluster, DropAfterWritten(3 << 20))
    assert "same command" in import_(carried, "--patience-minutes", "0", expect=4).err
    set_smb_fault(cluster, None)
    import_(carried)
    assert imported_bundle(cluster) == next((carried / "medium").rglob(BUNDLE)).read_bytes()
    assert cluster.world.journal.add_calls == 1


def test_reply_lost_after_add_took_effect_is_not_repeated(carried, simulate):
    cluster = simulate(carried)
    cluster.faults.arm("drop", cmdlet="Add-SolutionUpdate", when="after")
    import_(carried, "--patience-minutes", "0", expect=4)
    import_(carried)
    assert cluster.world.journal.add_calls == 1


def test_refused_update_is_told_in_the_clusters_own_words(carried, simulate):
    cluster = simulate(carried)
    cluster.faults.arm("refuse-add", words="The package is not signed by a known publisher.")
    assert "not signed by a known publisher" in import_(carried, expect=5).err


def test_wrong_password_is_tried_once(carried, simulate):
    cluster = simulate(carried)
    refused = carried.ferry("cluster", "discover", expect=4, FERRY_PASSWORD="wrong-secret")
    assert "wrong-secret" not in refused.err + refused.out
    refusals = sum(count["refused"] for count in cluster.world.journal.logons.values())
    assert refusals == 1


def test_wrong_password_is_tried_once_also_by_the_collection(carried, simulate):
    cluster = simulate(carried)
    carried.ferry("logs", "collect", "-o", "b.zip", expect=4, FERRY_PASSWORD="wrong-secret")
    assert sum(count["refused"] for count in cluster.world.journal.logons.values()) == 1
    assert not (carried / "b.zip").exists()


def test_no_node_answering_is_a_reach_error(carried, simulate):
    simulate(carried).stop()
    refused = carried.ferry("cluster", "discover", expect=4)
    assert "next:" in refused.err
    assert "Traceback" not in refused.err


def test_node_that_is_down_is_passed_over(carried, simulate):
    cluster = simulate(carried)
    cluster.machines[0].power_off()
    assert "asked node2" in carried.ferry("cluster", "discover").out


def test_node_that_is_down_is_a_named_gap_of_the_bundle(carried, simulate):
    cluster = simulate(carried)
    cluster.machines[1].power_off()
    assert "missing: node2" in carried.ferry("logs", "collect", "-o", "b.zip").out
    with zipfile.ZipFile(carried / "b.zip") as bundle:
        manifest = json.loads(bundle.read("manifest.json"))
        assert {gap["node"] for gap in manifest["gaps"]} == {"node2"}
        assert {m["node"] for m in manifest["members"]} == {"", "node1", "node3", "node4"}


def test_collection_leaves_nothing_on_the_nodes(carried, simulate):
    cluster = simulate(carried)
    carried.ferry("logs", "collect", "-o", "b.zip")
    for node in cluster.world.nodes:
        assert list(node.drive.resolve("Windows\\Temp").iterdir()) == []


def test_unknown_certificate_authority_of_the_nodes_is_refused(carried, simulate):
    simulate(carried)
    clusters = carried / "site" / "clusters.json"
    clusters.write_text(clusters.read_text("utf-8").replace('"plant7.pem"', "null"), "utf-8")
    assert "certificate" in carried.ferry("cluster", "discover", expect=4).err.lower()


def test_full_disk_of_the_cluster_leaves_no_half_file_under_the_final_name(carried, simulate):
    cluster = simulate(carried, disk_bytes=4 << 20)
    refused = import_(carried, expect=6)
    assert "full" in refused.err.lower() or "space" in refused.err.lower()
    with pytest.raises(FileNotFoundError):
        imported_bundle(cluster)


def test_broken_member_of_a_log_bundle_is_a_named_partial_result(carried, simulate):
    simulate(carried)
    carried.ferry("logs", "collect", "-o", "b.zip")
    with zipfile.ZipFile(carried / "b.zip") as old, zipfile.ZipFile(carried / "c.zip", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data[: len(data) // 2] if name == "nodes/node2/cau.evtx" else data)
    partial = carried.ferry("logs", "analyse", "c.zip", expect=None)
    assert partial.code in (0, 1)
    assert "node2" in partial.out + partial.err
    assert "cau.evtx" in partial.out + partial.err


def test_file_that_is_no_log_bundle_is_an_input_error(carried):
    (carried / "b.zip").write_bytes(b"PK nothing")
    assert "b.zip" in carried.ferry("logs", "analyse", "b.zip", expect=7).err


def test_event_logs_of_a_bundle_open_in_an_independent_reader(carried, simulate, tmp_path):
    if shutil.which("evtxexport") is None:
        pytest.skip("libevtx's evtxexport is not installed")
    simulate(carried)
    carried.ferry("logs", "collect", "-o", "b.zip")
    with zipfile.ZipFile(carried / "b.zip") as bundle:
        names = [name for name in bundle.namelist() if name.endswith(".evtx")]
        assert len(names) == 16
        for name in names:
            log = tmp_path / "one.evtx"
            log.write_bytes(bundle.read(name))
            done = subprocess.run(["evtxexport", log], capture_output=True, check=True)
            assert b"evtxexport" in done.stdout


def test_import_killed_at_random_moments_is_finished_by_the_same_command(carried, simulate):
    cluster = simulate(carried)

    def slow(command, state):
        time.sleep(0.15 if command == "WRITE" else 0)

    set_smb_fault(cluster, slow)
    words = ["cluster", "import", "medium", "--poll-seconds", "0.2", "--wait-minutes", "0.1"]
    killed = [carried.kill_after(random.uniform(0.4, 1.6), *words) for _ in range(3)]
    assert any(killed), "no import was killed while it ran"
    set_smb_fault(cluster, None)
    import_(carried)
    assert imported_bundle(cluster) == next((carried / "medium").rglob(BUNDLE)).read_bytes()
    assert cluster.world.journal.add_calls == 1


def test_two_laptops_process_at_once_one_waits_its_turn(carried, simulate):
    simulate(carried)
    words = ["cluster", "import", "medium", "--poll-seconds", "0.2"]
    with carried.popen(*words) as first:
        time.sleep(0.9)
        second = carried.ferry(*words, expect=None)
        first.communicate(timeout=60)
    assert first.returncode == 0
    assert second.code in (0, 6)
    if second.code == 6:
        assert "another ferry" in second.err


def test_password_is_nowhere_in_site_logs_or_bundle(carried, simulate):
    simulate(carried)
    import_(carried)
    collected = carried.ferry("-v", "--debug", "logs", "collect", "-o", "b.zip")
    secret = carried.environment["FERRY_PASSWORD"]
    assert secret not in collected.err + collected.out
    for data in content(carried / "site").values():
        assert secret.encode() not in data
    with zipfile.ZipFile(io.BytesIO((carried / "b.zip").read_bytes())) as bundle:
        for name in bundle.namelist():
            assert secret.encode() not in bundle.read(name)


def test_journal_tells_every_change(carried, simulate):
    simulate(carried)
    import_(carried)
    lines = carried.ferry("site", "journal", "--cluster", "plant7").out.splitlines()
    assert [line.split()[-2:] for line in lines[-4:]] == [
        ["predict", "done"],
        ["submit", "intent"],
        ["submit", "done"],
        ["predicted", "done"],
    ]
