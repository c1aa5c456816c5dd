"""The whole simulated cluster: one scripted crossing, each fault, and the process of its own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import evtx
import pytest
import requests
import smbclient
from pypsrp.exceptions import WSManFaultError

from tests.simcluster.cluster import SimCluster
from tests.simcluster.eventshapes import MANAGEMENT_CHANNEL
from tests.simcluster.faults import Faults
from tests.simcluster.selftests.winrm import (
    PASSWORD,
    USER,
    loopback,
    marks,
    pool,
    prepare,
    run,
    simulate,
)
from tests.simcluster.state import SolutionUpdate
from tests.vendorsite.bundle import make_bundle

pytestmark = marks

VERSION = "12.2603.1002.901"
SHARE = r"C:\ClusterStorage\Infrastructure_1\Shares\SU1_Infrastructure_1"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def cluster(tmp_path):
    with simulate(tmp_path / "sim", nodes=2, run_seconds=1.0) as running:
        yield running


def wait_until(holds, seconds=10):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.05)


def place_bundle(cluster):
    """Put an expanded solution bundle where it can be added from."""
    path = make_bundle(cluster.share_folder, VERSION, size_bytes=50_000)
    archive = rf"{SHARE}\{path.name}"
    with pool(cluster) as ready:
        parameters = {"LiteralPath": archive, "DestinationPath": rf"{SHARE}\import\Solution"}
        _, shell = run(ready, ("Expand-Archive", parameters))
    assert shell.streams.error == []
    return rf"{SHARE}\import\Solution"


def states(ready):
    rows, _ = run(
        ready, "Get-SolutionUpdate", ("Select-Object", {"Property": ["ResourceId", "State"]})
    )
    return {
        row.extended_properties["ResourceId"]: str(row.extended_properties["State"]) for row in rows
    }


# --- one crossing -------------------------------------------------------------------------------


def test_update_is_carried_imported_started_fails_and_leaves_evidence(tmp_path):
    bundle = make_bundle(tmp_path, VERSION, size_bytes=300_000)
    resource_id = f"redmond/Solution{VERSION}"
    with simulate(
        tmp_path / "sim", nodes=3, smb="embedded", run_seconds=1.5, failing_node="node2"
    ) as cluster:
        address = cluster.machines[0].node.address
        share = SHARE.replace("C:", rf"\\{address}\C$")
        login = {"username": USER, "password": PASSWORD, "port": cluster.machines[0].ports.smb}
        try:
            smbclient.makedirs(rf"{share}\import", exist_ok=True, **login)
            with smbclient.open_file(rf"{share}\import\{bundle.name}", "wb", **login) as file:
                file.write(bundle.read_bytes())
        finally:
            smbclient.reset_connection_cache(fail_on_error=False)
        with pool(cluster) as ready:
            archive = rf"{SHARE}\import\{bundle.name}"
            (hashed,), _ = run(ready, ("Get-FileHash", {"LiteralPath": archive}))
            folder = rf"{SHARE}\import\Solution"
            expand = {"LiteralPath": archive, "DestinationPath": folder}
            _, expanded = run(ready, ("Expand-Archive", expand))
            _, added = run(ready, ("Add-SolutionUpdate", {"SourceFolder": folder}))
            listings = [states(ready) for _ in range(3)]
            get = ("Get-SolutionUpdate", {"Id": resource_id})
            run(ready, get, ("Start-SolutionUpdate", {"PrepareOnly": None}))
            wait_until(lambda: states(ready)[resource_id] == "ReadyToInstall")
            (run_id,), _ = run(ready, get, "Start-SolutionUpdate")
            wait_until(lambda: states(ready)[resource_id] == "InstallationFailed")
            (report,), _ = run(
                ready,
                ("Get-CauReport", {"ClusterName": "cluster1", "Detailed": None}),
                ("ConvertTo-Json", {"Depth": 30, "Compress": None}),
            )
            target = r"C:\Windows\Temp\management.evtx"
            run(ready, ("wevtutil.exe", ["epl", MANAGEMENT_CHANNEL, target, "/ow:true"]))
        written = [
            node.drive.resolve(target)
            for node in cluster.world.nodes
            if node.drive.resolve(target).exists()
        ]
        counted = json.loads(cluster.journal.path.read_text("utf-8"))
    assert len(hashed.extended_properties["Hash"]) == 64
    assert expanded.streams.progress
    assert added.streams.error == []
    assert listings == [{}, {}, {resource_id: "Ready"}]
    assert run_id.startswith(f"{resource_id}/")
    results = {
        one["Node"]["NodeName"]: one["Status"]
        for one in json.loads(report)["ClusterResult"]["NodeResults"]
    }
    assert results == {"node1": "Succeeded", "node2": "Failed", "node3": "Canceled"}
    (log,) = written
    assert evtx.PyEvtxParser(str(log))
    assert counted["add_calls"] == 1
    assert counted["logons"][f"winrm {USER}"] == {"accepted": 1}
    assert counted["logons"][f"smb {USER}"] == {"accepted": 1}


# --- faults -------------------------------------------------------------------------------------


def test_add_is_refused_in_the_words_of_the_fault_and_then_taken(cluster):
    folder = place_bundle(cluster)
    cluster.faults.arm("refuse-add", words="Not signed by anyone we know.")
    with pool(cluster) as ready:
        _, refused = run(ready, ("Add-SolutionUpdate", {"SourceFolder": folder}))
        _, taken = run(ready, ("Add-SolutionUpdate", {"SourceFolder": folder}))
    assert [str(error) for error in refused.streams.error] == ["Not signed by anyone we know."]
    assert taken.streams.error == []
    assert cluster.journal.add_calls == 2


def test_discovery_takes_as_many_polls_as_asked(cluster):
    folder = place_bundle(cluster)
    cluster.faults.arm("delay-discovery", count=4)
    with pool(cluster) as ready:
        run(ready, ("Add-SolutionUpdate", {"SourceFolder": folder}))
        assert [len(states(ready)) for _ in range(6)] == [0, 0, 0, 0, 1, 1]


def test_other_update_blocks_while_the_fault_is_armed(cluster):
    folder = place_bundle(cluster)
    fault = cluster.faults.arm("other-update")
    with pool(cluster) as ready:
        run(ready, ("Add-SolutionUpdate", {"SourceFolder": folder}))
        seen = [states(ready) for _ in range(3)][-1]
        cluster.faults.disarm(fault)
        after = states(ready)
    assert list(seen.values()) == ["NotApplicableBecauseAnotherUpdateIsInProgress"]
    assert list(after.values()) == ["Ready"]


def test_refused_password_is_refused_although_it_is_right(cluster):
    fault = cluster.faults.arm("refuse-password", node="node1")
    with pytest.raises(Exception, match="authenticate"), pool(cluster):
        pass
    with pool(cluster, node=1):
        pass
    cluster.faults.disarm(fault)
    with pool(cluster):
        pass


def test_node_that_is_down_refuses_connections_until_it_is_up(cluster):
    fault = cluster.faults.arm("down", node="node1")
    wait_until(lambda: not cluster.machines[0].node.is_up)
    with pytest.raises(requests.exceptions.ConnectionError), pool(cluster):
        pass
    cluster.faults.disarm(fault)
    wait_until(lambda: cluster.machines[0].node.is_up)
    with pool(cluster) as ready:
        rows, _ = run(ready, "Get-ClusterNode", ("Select-Object", {"Property": "State"}))
    assert [str(row.extended_properties["State"]) for row in rows] == ["Up", "Up"]


def test_rebooted_node_comes_back_without_its_shells(cluster):
    with pool(cluster) as ready:
        cluster.faults.arm("reboot", node="node1", seconds=0.3)
        wait_until(lambda: not cluster.machines[0].node.is_up)
        wait_until(lambda: cluster.machines[0].node.is_up)
        with pytest.raises(WSManFaultError) as got:
            run(ready, "hostname.exe")
        assert got.value.code == 2150858843
        ready.state = 4  # closed: its shell is gone
    with pool(cluster) as ready:
        assert run(ready, "hostname.exe")[0] == ["NODE1"]


def test_node_switched_off_by_hand_stays_off(cluster):
    cluster.machines[1].power_off()
    time.sleep(0.2)
    assert not cluster.machines[1].node.is_up


def test_skipped_requests_pass_before_the_fault_strikes(cluster):
    cluster.faults.arm("drop", verb="Receive", skip=2)
    with pool(cluster) as ready:
        run(ready, "hostname.exe")
        with pytest.raises(requests.exceptions.ConnectionError):
            run(ready, "hostname.exe")
    assert cluster.journal.drops == 1


def test_control_file_arms_and_disarms_from_outside(cluster):
    beside = cluster.faults.control.with_suffix(".tmp")
    beside.write_text('{"faults": [{"kind": "fail-node", "node": "node2"}]}', encoding="utf-8")
    beside.replace(cluster.faults.control)
    wait_until(lambda: cluster.world.failing_node == "node2")
    cluster.faults.control.unlink()
    wait_until(lambda: cluster.world.failing_node is None)


def test_control_file_with_an_unknown_fault_is_refused(tmp_path):
    (tmp_path / "c.json").write_text('{"faults": [{"kind": "earthquake"}]}', encoding="utf-8")
    with pytest.raises(ValueError, match="earthquake"):
        Faults(tmp_path / "c.json").reread()


def test_second_cluster_moves_to_free_addresses(cluster, tmp_path):
    with simulate(tmp_path / "other") as other:
        assert other.machines[0].node.address != cluster.machines[0].node.address
        with pool(other) as ready:
            assert run(ready, "hostname.exe")[0] == ["NODE1"]


def test_failing_node_that_is_none_of_ours_is_refused(tmp_path):
    with pytest.raises(ValueError, match="node9"):
        SimCluster(tmp_path, user=USER, password=PASSWORD, failing_node="node9")


# --- as a process -------------------------------------------------------------------------------


@pytest.fixture
def process(tmp_path):
    """The simulator as a process, and what it says when it is ready."""
    ready_file = tmp_path / "ready.json"
    words = ["--folder", tmp_path / "sim", "--ready-file", ready_file, "--nodes", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.simcluster", *words, "--base", loopback()],
        cwd=ROOT,
        env={**os.environ, "SIM_USER": USER, "SIM_PASSWORD": PASSWORD},
        stdin=subprocess.PIPE,
    ) as running:
        try:
            wait_until(lambda: ready_file.exists() or running.poll() is not None, seconds=30)
            yield running, json.loads(ready_file.read_text("utf-8"))
        finally:
            if running.poll() is None:
                running.kill()


def test_process_says_where_it_listens_and_ends_with_its_input(process):
    running, ready = process
    node = ready["nodes"][1]
    answer = requests.post(
        f"https://{node['address']}:{node['https_port']}/wsman",
        verify=ready["ca_file"],
        timeout=5,
    )
    assert answer.status_code == 401
    assert set(node) == {"name", "address", "https_port", "http_port", "smb_port"}
    assert json.loads(Path(ready["journal"]).read_text("utf-8"))["add_calls"] == 0
    running.stdin.close()
    assert running.wait(timeout=10) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_process_ends_on_sigterm(process):
    running, _ = process
    running.terminate()
    assert running.wait(timeout=10) == 0


# --- runs on a bad day --------------------------------------------------------------------------


def list_update(cluster):
    update = SolutionUpdate(
        resource_id=f"redmond/Solution{VERSION}",
        version=VERSION,
        display_name="Azure Local",
        state="Ready",
    )
    cluster.world.updates.append(update)
    return update


def test_node_that_cau_restarts_really_goes_away_and_comes_back(tmp_path):
    with simulate(tmp_path / "sim", nodes=2, run_seconds=8.0) as cluster:
        cluster.world.bad_days.restarts_nodes = True
        update = list_update(cluster)
        cluster.world.start(update, is_prepare_only=False)
        for node in (cluster.world.nodes[0], cluster.world.nodes[1]):
            wait_until(lambda node=node: not node.is_up)
            wait_until(lambda node=node: node.is_up)
            assert node.ready.booted_at is not None
        cluster.world.advance()


def test_bad_days_are_armed_from_the_control_file_and_taken_back(cluster):
    list_update(cluster)
    faults = [
        {"kind": "cau", "words": "stuck"},
        {"kind": "gateway-timeout", "count": 0, "seconds": 5},
        {"kind": "move-update-service", "node": "node2", "seconds": 0.1},
    ]
    cluster.faults.control.write_text(json.dumps({"faults": faults}), encoding="utf-8")
    days = cluster.world.bad_days
    wait_until(lambda: days.cau == "stuck" and days.starved is not None)
    wait_until(lambda: days.service_silent_until < time.monotonic())
    with pool(cluster) as ready:
        _, shell = run(ready, "Get-SolutionUpdate")
        assert "GatewayTimeout" in str(shell.streams.error[0])
        assert "node2.cluster.example:4900" in str(shell.streams.error[0])
        cluster.faults.control.unlink()
        wait_until(lambda: days.cau == "" and days.starved is None)
        assert states(ready) == {f"redmond/Solution{VERSION}": "Ready"}


def test_wire_record_keeps_every_message_that_arrived(tmp_path):
    with (
        simulate(tmp_path / "sim", record_wire=True) as cluster,
        pool(cluster) as ready,
    ):
        run(ready, ("Get-Cluster", {"Name": "x" * 100_000}))  # more than one fragment
        shell = prepare(ready)
        shell.add_script("1 + 1")
        shell.invoke()
        sent = [path.read_text("utf-8") for path in sorted((cluster.folder / "wire").iterdir())]
        assert any("Get-Cluster" in text and "x" * 100_000 in text for text in sent)
        assert [text for text in sent if 'N="IsScript">true' in text]
        assert cluster.journal.scripts == 1
