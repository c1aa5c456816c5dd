"""Files through WinRM alone, over real sockets: our byte path against the simulated node."""

import os
from datetime import UTC, datetime
from pathlib import PureWindowsPath

import pytest

from tests.simcluster.cluster import SimCluster
from tests.simcluster.selftests.winrm import loopback
from toolkit.cluster import _byte_road
from toolkit.cluster._byte_road import SCRATCH, ByteUpload, Pace
from toolkit.errors import ClusterError, SessionLostError, TransferError
from toolkit.model import Credential, Node
from toolkit.remote import connect

pytestmark = pytest.mark.network

USER, PASSWORD = "lcmuser", "pa55: w0rd"
FOLDER = PureWindowsPath(r"C:\ClusterStorage\Infrastructure_1")
FILE = FOLDER / "bundle.zip"
MIB = 1 << 20


class Told:
    """A progress that remembers what was said."""

    def __init__(self):
        self.said = []

    def say(self, message):
        self.said.append(message)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sim")
    options = {"nodes": 1, "smb": "none", "base": loopback()}
    with SimCluster(folder, user=USER, password=PASSWORD, **options) as running:
        yield running


@pytest.fixture
def local(cluster):
    """Where the file arrives on this machine."""
    yield (path := cluster.csv / "Infrastructure_1" / FILE.name)
    for left in path.parent.glob(f"{FILE.name}*"):
        left.unlink()


def scratch(cluster):
    """What the road is measured with, on this machine."""
    path = cluster.world.nodes[0].drive.resolve(str(SCRATCH))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def part(local):
    return local.with_name("bundle.zip.part")


@pytest.fixture
def session(cluster):
    scratch(cluster)
    node = cluster.machines[0].node
    known = Node(name=node.name, address=node.address, ca_file=str(cluster.authority.ca_file))
    with connect(known, Credential(username=USER, password=PASSWORD)) as opened:
        yield opened


def pace(told, *, tick_s=1):
    ticks = iter(range(0, 10**9, tick_s))
    noon = datetime(2026, 11, 27, 12, tzinfo=UTC)
    return Pace(progress=told, clock=lambda: float(next(ticks)), now=lambda: noon)


def begin(session, size_bytes, *, told=None, slept=None, **settings):
    return ByteUpload(
        session,
        FILE,
        size_bytes=size_bytes,
        pace=settings.pop("pace", None) or pace(told or Told()),
        sleep=(slept if slept is not None else []).append,
        **settings,
    )


def send(session, data, **settings):
    """Upload in pieces of an odd size; return where it resumed."""
    with begin(session, len(data), **settings) as sink:
        for start in range(0, len(data), 300_000):
            sink.write(data[start : start + 300_000])
        sink.finish()
    return sink.resumed_at_bytes


def test_file_arrives_whole_and_leaves_no_part(session, local, part):
    data = os.urandom(9 * MIB + 17)
    assert send(session, data) == 0
    assert local.read_bytes() == data
    assert not part.exists()


@pytest.mark.parametrize("size_bytes", [1, 4 * MIB, 4 * MIB + 1])
def test_sizes_around_a_chunk_arrive_whole(session, local, size_bytes):
    data = os.urandom(size_bytes)
    send(session, data)
    assert local.read_bytes() == data


def test_technician_is_told_how_long_it_will_take_before_the_first_byte_is_sent(
    cluster, session, part
):
    told = Told()
    begin(session, 2000 * MIB, told=told)
    before, line = told.said
    assert before == "measuring how fast WinRM is, with 8.0 MiB that are removed again"
    assert "4.0 MiB a second (measured)" in line  # a chunk takes one tick of the clock
    assert "the remaining 2.0 GiB of bundle.zip take about 8 min, until 2026-11-27 12:08" in line
    assert "open port 445" in line
    assert not part.exists()
    assert not scratch(cluster).exists()


def test_it_is_told_again_from_time_to_time_as_it_goes(session, local):
    told = Told()
    send(session, bytes(40 * MIB), pace=pace(told, tick_s=150))
    assert len(told.said) > 3
    _, first, again, *_ = told.said
    assert "the remaining 40.0 MiB" in first
    assert "until 2026-11-27 12:25" in first
    assert "the remaining 40.0 MiB" not in again


def test_road_is_measured_once_and_not_for_what_one_command_carries(cluster, session, local):
    road = pace(Told())
    before = cluster.journal.commands["Add-Content"]
    for size_bytes, commands in ((MIB, 1), (5 * MIB, 2 + 2), (5 * MIB, 2)):
        send(session, bytes(size_bytes), pace=road)
        local.unlink()
        assert cluster.journal.commands["Add-Content"] - before == commands
        before += commands


def test_scratch_file_of_a_run_that_was_cut_off_does_not_stay(cluster, session):
    scratch(cluster).write_bytes(bytes(MIB))
    begin(session, 5 * MIB)
    assert not scratch(cluster).exists()


def test_road_that_cannot_be_measured_beforehand_is_said_and_measured_as_it_goes(
    cluster, session, local
):
    scratch(cluster).mkdir()
    told = Told()
    send(session, bytes(9 * MIB), told=told)
    assert "could not be measured beforehand" in told.said[1]
    assert "the remaining 5.0 MiB" in told.said[2]
    assert local.stat().st_size == 9 * MIB


def test_lost_answer_is_resumed_behind_what_arrived(cluster, session, local, part):
    data = os.urandom(13 * MIB)
    cluster.faults.arm("drop", cmdlet="Add-Content", verb="Receive", when="after", skip=3)
    with pytest.raises(SessionLostError):
        send(session, data)
    left = part.stat().st_size
    assert left in (4 * MIB, 8 * MIB)
    slept = []
    assert send(session, data, slept=slept) == left
    assert slept == [_byte_road._STILL_S]
    assert local.read_bytes() == data


def test_chunk_that_was_cut_off_inside_is_continued_there(session, local, part):
    data = os.urandom(6 * MIB)
    part.write_bytes(data[: 5 * MIB + 123])
    assert send(session, data) == 5 * MIB + 123
    assert local.read_bytes() == data


def test_upload_waits_until_an_earlier_command_has_ended(session, local, part):
    data = os.urandom(6 * MIB)
    part.write_bytes(data[:MIB])
    growing = iter([2 * MIB, 3 * MIB, 3 * MIB])
    waits = []

    class Growing(list):
        def append(self, seconds):
            waits.append(seconds)
            part.write_bytes(data[: next(growing)])

    assert send(session, data, slept=Growing()) == 3 * MIB
    assert len(waits) == 3
    assert local.read_bytes() == data


def test_file_that_grows_under_our_hands_is_left_to_the_other(session, part):
    with begin(session, 8 * MIB) as sink:
        sink.write(bytes(2 * MIB))
        part.write_bytes(b"of another laptop")
        with pytest.raises(TransferError, match="bytes there"):
            sink.write(bytes(2 * MIB))


def test_file_that_never_stands_still_is_not_waited_for_for_ever(session, part):
    part.write_bytes(b"")

    class Growing(list):
        def append(self, seconds):
            part.write_bytes(bytes(part.stat().st_size + 3 * MIB))

    with pytest.raises(TransferError, match=r"has 6291456 bytes there \(expected: at most 4194304"):
        begin(session, 8 * MIB, slept=Growing())


def test_longer_remainder_of_another_file_is_begun_anew(session, local, part):
    part.write_bytes(bytes(3 * MIB))
    assert send(session, b"short") == 0
    assert local.read_bytes() == b"short"


def test_unfinished_file_that_must_exist_is_not_made(session, part):
    with pytest.raises(ClusterError, match="not there any more") as gone:
        begin(session, 1, must_exist=True)
    assert "run the same command again" in gone.value.hint
    assert not part.exists()


def test_stream_of_another_length_is_refused(session, local):
    with begin(session, 10) as sink, pytest.raises(TransferError, match="at least 11"):
        sink.write(bytes(11))
    with begin(session, 10) as sink:
        sink.write(bytes(9))
        with pytest.raises(TransferError, match="ended after 9"):
            sink.finish()
    assert not local.exists()
