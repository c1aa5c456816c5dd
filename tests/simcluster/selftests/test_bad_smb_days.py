"""Bad days of the shares: faults that are armed while the cluster runs."""

import json

import pytest
import smbclient
from smbprotocol.exceptions import SMBConnectionClosed, SMBException

from tests.simcluster.selftests.smb_site import Client
from tests.simcluster.selftests.winrm import PASSWORD, USER, marks, simulate

pytestmark = marks

MIB = 1 << 20
CUT = (SMBConnectionClosed, SMBException, OSError)


@pytest.fixture
def cluster(tmp_path):
    with simulate(tmp_path / "sim", nodes=2, smb="embedded", run_seconds=1.0) as running:
        yield running
        smbclient.reset_connection_cache(fail_on_error=False)


def write(cluster, name, *, mib, node=0):
    """Write so many blocks of a MiB, over a connection of its own."""
    smbclient.reset_connection_cache(fail_on_error=False)
    machine = cluster.machines[node]
    client = Client(machine.node.address, machine.ports.smb, USER, PASSWORD)
    with client.opened(rf"ClusterStorage\Infrastructure_1\{name}", "wb") as file:
        for _ in range(mib):
            file.write(bytes(MIB))


def written(cluster, name):
    return (cluster.csv / "Infrastructure_1" / name).stat().st_size // MIB


def test_an_armed_drop_cuts_a_connection_once_it_has_written_so_much(cluster):
    cluster.faults.arm("smb-drop", after_bytes=3 * MIB)
    with pytest.raises(CUT):
        write(cluster, "x.bin", mib=5)
    assert written(cluster, "x.bin") == 3
    write(cluster, "x.bin", mib=5)
    assert written(cluster, "x.bin") == 5
    cluster.journal.flush()
    counted = json.loads(cluster.journal.path.read_text())
    assert (counted["smb_drops"], counted["smb_written_bytes"]) == (1, 8 * MIB)


def test_an_armed_drop_of_one_node_leaves_the_others_alone(cluster):
    cluster.faults.arm("smb-drop", node="node2")
    write(cluster, "x.bin", mib=1, node=0)
    with pytest.raises(CUT):
        write(cluster, "x.bin", mib=1, node=1)


def test_a_drop_armed_through_the_control_file_strikes_as_often_as_it_says(cluster):
    fault = {"kind": "smb-drop", "after_bytes": MIB, "times": 2}
    cluster.faults.control.write_text(json.dumps({"faults": [fault]}))
    cluster.faults.reread()
    for _ in range(2):
        with pytest.raises(CUT):
            write(cluster, "x.bin", mib=2)
    write(cluster, "x.bin", mib=2)
