"""Bad days of the shares: faults that are armed while the cluster runs."""

import contextlib
import json
import time

import pytest
import smbclient
from smbprotocol.exceptions import SMBConnectionClosed, SMBException, SMBOSError

from tests.simcluster.selftests.smb_site import Client
from tests.simcluster.selftests.winrm import PASSWORD, USER, marks, pool, run, simulate

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


# --- share modes --------------------------------------------------------------------------------


def opened(cluster, name, mode, *, shared, node=0):
    """Open a file of the volume through one node; `shared` is what others may do meanwhile."""
    machine = cluster.machines[node]
    client = Client(machine.node.address, machine.ports.smb, USER, PASSWORD)
    path = client.path(rf"ClusterStorage\Infrastructure_1\{name}")
    return smbclient.open_file(path, mode=mode, buffering=0, share_access=shared, **client.login)


def on_node(cluster, *stages):
    """Run a pipeline; return the identifiers of its errors."""
    with pool(cluster) as ready:
        _, shell = run(ready, *stages)
    return [error.fq_error.partition(",")[0] for error in shell.streams.error]


@pytest.mark.parametrize(
    ("first", "second", "is_refused"),
    [
        (("wb", "r"), ("wb", "rwd"), True),  # the writer lets nobody else write
        (("wb", "r"), ("rb", "r"), True),  # the reader wants nobody to write
        (("wb", "r"), ("rb", "rw"), False),
        (("rb", "r"), ("rb", "r"), False),
        (("rb", "rwd"), ("wb", "rwd"), False),
    ],
)
def test_second_open_is_refused_where_the_share_modes_are_in_conflict(
    cluster, first, second, is_refused
):
    write(cluster, "x.bin", mib=1)
    (mode, shared), (other_mode, other_shared) = first, second
    with opened(cluster, "x.bin", mode, shared=shared):
        if is_refused:
            with pytest.raises(SMBOSError, match="0xc0000043"):
                opened(cluster, "x.bin", other_mode, shared=other_shared, node=1)
        else:
            opened(cluster, "x.bin", other_mode, shared=other_shared, node=1).close()
    opened(cluster, "x.bin", "wb", shared=None, node=1).close()


def test_open_file_is_neither_renamed_nor_removed_nor_hashed_until_it_is_closed(cluster):
    write(cluster, "x.part", mib=1)
    folder = r"C:\ClusterStorage\Infrastructure_1"
    path = {"LiteralPath": rf"{folder}\x.part"}
    hashing, removing = ("Get-FileHash", path), ("Remove-Item", path)
    renaming = ("Rename-Item", {**path, "NewName": "y.part"})
    moving = ("Move-Item", {**path, "Destination": rf"{folder}\z.part"})
    with opened(cluster, "x.part", "r+b", shared="r"):
        said = [on_node(cluster, stage) for stage in (hashing, renaming, moving, removing)]
    assert said == [
        ["FileReadError"],
        ["RenameItemIOError"],
        ["MoveFileInfoItemIOError"],
        ["RemoveFileSystemItemIOError"],
    ]
    assert [on_node(cluster, stage) for stage in (hashing, renaming)] == [[], []]


def test_folder_with_an_open_file_is_not_moved(cluster):
    (cluster.csv / "Infrastructure_1" / "f").mkdir()
    write(cluster, r"f\x.bin", mib=1)
    folder = r"C:\ClusterStorage\Infrastructure_1"
    moving = ("Move-Item", {"LiteralPath": rf"{folder}\f", "Destination": rf"{folder}\g"})
    with opened(cluster, r"f\x.bin", "rb", shared="r"):
        assert on_node(cluster, moving) == ["MoveDirectoryItemIOError"]
    assert on_node(cluster, moving) == []


def test_cut_connection_lets_go_of_its_file(cluster):
    cluster.faults.arm("smb-drop")
    with pytest.raises(CUT):
        write(cluster, "x.bin", mib=1)
    write(cluster, "x.bin", mib=1)


# --- the volume ---------------------------------------------------------------------------------

VOLUME = r"C:\ClusterStorage\Infrastructure_1"


def changes(name):
    """A pipeline of each cmdlet that changes something on the volume."""
    path = {"LiteralPath": rf"{VOLUME}\{name}"}
    return [
        ("New-Item", {"Path": rf"{VOLUME}\folder", "ItemType": "Directory"}),
        ("New-Item", {"Path": rf"{VOLUME}\new.txt", "ItemType": "File", "Value": "x"}),
        ("Set-Content", {**path, "Value": "x"}),
        ("Rename-Item", {**path, "NewName": "y.bin"}),
        ("Move-Item", {**path, "Destination": rf"{VOLUME}\z.bin"}),
        ("Remove-Item", path),
    ]


def test_share_that_may_only_be_read_refuses_every_change(cluster):
    write(cluster, "x.bin", mib=1)
    armed = cluster.faults.arm("read-only-share")
    with pytest.raises(SMBOSError, match="0xc0000022"):
        write(cluster, "x.bin", mib=1)
    with opened(cluster, "x.bin", "rb", shared="r") as file:
        assert file.read(1) == b"\0"
    said = [on_node(cluster, stage) for stage in changes("x.bin")]
    assert all(len(one) == 1 and one[0].endswith("UnauthorizedAccessError") for one in said)
    cluster.faults.disarm(armed)
    write(cluster, "x.bin", mib=1)


def test_full_share_lets_nothing_grow_and_everything_be_removed(cluster):
    write(cluster, "x.bin", mib=2)
    cluster.world.share_days.is_full = True
    with pytest.raises(SMBException, match="0xc000007f"):
        write(cluster, "new.bin", mib=1)
    with opened(cluster, "x.bin", "r+b", shared="r") as file:
        assert file.write(b"in place") == 8
    _, making, setting, *_, removing = changes("x.bin")
    said = [on_node(cluster, stage) for stage in (making, setting, removing)]
    assert said == [["NewItemIOError"], ["GetContentWriterIOError"], []]


def test_slow_disk_takes_its_time_and_goes_on(cluster):
    armed = cluster.faults.arm("slow-disk", seconds=0.2)
    began = time.monotonic()
    write(cluster, "x.bin", mib=3)
    assert time.monotonic() - began >= 0.6
    cluster.faults.disarm(armed)
    assert written(cluster, "x.bin") == 3


def test_node_that_goes_off_loses_what_was_not_flushed(cluster):
    machine = cluster.machines[0]
    client = Client(machine.node.address, machine.ports.smb, USER, PASSWORD)
    with (
        contextlib.suppress(OSError, SMBConnectionClosed),  # closing may find the node gone
        client.opened(r"ClusterStorage\Infrastructure_1\x.bin", "wb") as file,
    ):
        file.write(b"a" * MIB)
        file.fd.flush()
        file.write(b"b" * MIB)
        machine.share.loses_unflushed = True
        machine.power_off()
    machine.power_on()
    stands = (cluster.csv / "Infrastructure_1" / "x.bin").read_bytes()
    assert stands == b"a" * MIB + bytes(MIB)
