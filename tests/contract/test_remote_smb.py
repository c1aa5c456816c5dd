"""Our copies over real sockets: the same tests against the simulator's SMB server and, where it is
installed, against Samba."""

import contextlib
import hashlib
import io
import os
import socket
import threading
import time
from pathlib import PureWindowsPath

import pytest

from tests.contract.impostor import impostor
from tests.simcluster import samba
from tests.simcluster.filetree import FileTree
from tests.simcluster.ntlm import Accounts
from tests.simcluster.samba import SambaServer
from tests.simcluster.smb import SmbServer
from tests.simcluster.smb_faults import DropAfterRead, DropAfterWritten, FlipByte
from toolkit.cluster._lasting import LastingSink
from toolkit.errors import (
    AuthenticationError,
    ClusterError,
    ConnectError,
    StorageError,
    TransferError,
)
from toolkit.model import Credential, Node, Silent
from toolkit.remote import connect

pytestmark = pytest.mark.network

USER, PASSWORD = "lcm", "pa55: w0rd"
FILE = PureWindowsPath(r"C:\import\bundle.zip")
MIB = 1 << 20
WINDOW_BYTES = 4 * MIB


@pytest.fixture
def drive(tmp_path):
    (tmp_path / "drive" / "import").mkdir(parents=True)
    return FileTree(tmp_path / "drive")


@pytest.fixture
def local(tmp_path):
    return tmp_path / "drive" / "import" / "bundle.zip"


@pytest.fixture
def part(local):
    return local.with_name("bundle.zip.part")


@pytest.fixture
def embedded(tmp_path, drive):
    """Return a factory of the simulator's server."""
    with contextlib.ExitStack() as running:

        def start(**settings):
            accounts = Accounts(tmp_path / "accounts", {USER: PASSWORD}, ["PLANT"])
            server = SmbServer("127.0.0.1", 0, accounts=accounts, shares={"C$": drive}, **settings)
            return running.enter_context(server)

        yield start


needs_samba = pytest.mark.skipif(not samba.available(), reason="Samba is not installed")


@pytest.fixture
def independent(tmp_path, drive):
    """Return a factory of Samba."""
    with contextlib.ExitStack() as running:

        def start(**settings):
            server = SambaServer(
                "127.0.0.1",
                0,
                folder=tmp_path / "samba",
                user=USER,
                password=PASSWORD,
                shares={"C$": drive},
                **settings,
            )
            return running.enter_context(server)

        yield start


@pytest.fixture(
    params=[
        "embedded-encrypted",
        "embedded-signed",
        pytest.param("independent-encrypted", marks=needs_samba),
        pytest.param("independent-signed", marks=needs_samba),
    ]
)
def server(request):
    kind, _, protection = request.param.partition("-")
    return request.getfixturevalue(kind)(require_encryption=protection == "encrypted")


def session(server, *, password=PASSWORD, user=USER):
    node = Node(name="n1", address="127.0.0.1", smb_port=server.port)
    return connect(node, Credential(username=user, password=password))


def send(server, data, *, path=FILE, piece=300_000):
    """Upload in pieces of an odd size; return where it resumed."""
    with session(server) as opened, opened.upload(path, size_bytes=len(data)) as sink:
        for start in range(0, len(data), piece):
            sink.write(data[start : start + piece])
        sink.finish()
        return sink.resumed_at_bytes


def fetch(server, path=FILE):
    sink = io.BytesIO()
    with session(server) as opened:
        size, sha256 = opened.download(path, sink, progress=Silent())
    return sink.getvalue(), size, sha256


def test_large_upload_arrives_whole_and_leaves_no_part(server, local, part):
    data = os.urandom(64 * MIB)
    assert send(server, data) == 0
    assert hashlib.sha256(local.read_bytes()).digest() == hashlib.sha256(data).digest()
    assert not part.exists()


def test_what_was_uploaded_is_downloaded_with_size_and_hash(server):
    data = os.urandom(9 * MIB + 4321)
    send(server, data)
    assert fetch(server) == (data, len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1])
def test_sizes_around_a_block_arrive_whole(server, local, size):
    data = os.urandom(size)
    send(server, data)
    assert local.read_bytes() == data
    assert fetch(server)[0] == data


def test_upload_replaces_a_file_of_its_name(server, local):
    local.write_bytes(b"an older one, and longer" * 1000)
    send(server, b"new")
    assert local.read_bytes() == b"new"


def test_abandoned_upload_is_resumed_by_a_new_session(server, local, part):
    data = os.urandom(12 * MIB)
    with session(server) as opened, opened.upload(FILE, size_bytes=len(data)) as sink:
        sink.write(data[: 9 * MIB])
    assert part.stat().st_size == 9 * MIB
    assert not local.exists()
    assert send(server, data) == 9 * MIB - WINDOW_BYTES
    assert local.read_bytes() == data


def test_longer_remainder_of_another_file_is_overwritten(server, local, part):
    part.write_bytes(b"x" * (7 * MIB))
    data = os.urandom(6 * MIB)
    assert send(server, data) == 0
    assert local.read_bytes() == data


def send_with(server, data, **settings):
    """Upload in one piece with these settings; return where it resumed."""
    with session(server) as opened:
        with opened.upload(FILE, size_bytes=len(data), **settings) as sink:
            sink.write(data)
            sink.finish()
        return sink.resumed_at_bytes


def test_unfinished_file_may_have_a_name_of_the_callers(server, local):
    data = os.urandom(9 * MIB)
    unfinished = local.with_name("bundle.zip.t0000007.part")
    unfinished.write_bytes(data[: 8 * MIB])
    assert send_with(server, data, part=unfinished.name) == 8 * MIB - WINDOW_BYTES
    assert local.read_bytes() == data
    assert not unfinished.exists()


def test_unfinished_file_that_must_exist_is_not_made(server, part):
    with session(server) as opened, pytest.raises(ClusterError, match="no such file"):
        opened.upload(FILE, size_bytes=1, must_exist=True)
    assert not part.exists()
    part.write_bytes(b"")
    assert send_with(server, b"x", must_exist=True) == 0


def test_nothing_above_the_known_offset_is_believed(server, local, part):
    data = os.urandom(12 * MIB)
    part.write_bytes(data[: 3 * MIB] + bytes(9 * MIB))  # a restart lost what was not flushed
    assert send_with(server, data, safe_bytes=3 * MIB) == 3 * MIB
    assert local.read_bytes() == data


def test_caller_is_told_what_the_disk_holds(server, part):
    told, data = [], os.urandom(100 * MIB)
    part.write_bytes(data[: 10 * MIB])
    send_with(server, data, on_flushed=told.append)
    assert told == sorted(told)
    assert len(told) == 2  # at 6 + 32 and 6 + 64 MiB
    assert all(32 <= later // MIB - 6 <= 68 for later in told)


def test_part_file_is_not_written_by_two_at_once(server):
    with (
        session(server) as first,
        first.upload(FILE, size_bytes=10),
        session(server) as second,
        pytest.raises(TransferError, match="open elsewhere"),
    ):
        second.upload(FILE, size_bytes=10)


def test_wrong_password_is_an_authentication_error_and_not_offered_again(server):
    with session(server, password="wrong") as opened:
        for _ in range(2):
            with pytest.raises(AuthenticationError, match="wrong user name or password"):
                opened.upload(FILE, size_bytes=1)


def test_unknown_share_is_the_nodes_no(server):
    with session(server) as opened, pytest.raises(ClusterError, match=r"share D\$.*no such share"):
        opened.upload(PureWindowsPath(r"D:\x\y.zip"), size_bytes=1)


def test_missing_folder_is_the_nodes_no(server):
    with session(server) as opened, pytest.raises(ClusterError, match="no such folder"):
        opened.upload(PureWindowsPath(r"C:\nowhere\y.zip"), size_bytes=1)


def test_missing_file_is_the_nodes_no(server):
    with pytest.raises(ClusterError, match="no such file"):
        fetch(server)


def test_folder_is_not_downloaded(server):
    with pytest.raises(ClusterError, match="a folder stands under this name"):
        fetch(server, PureWindowsPath(r"C:\import"))


# --- faults, which only our own server can be told to have ---------------------------------------


def logons(server):
    """Count the logons that the server answers."""
    seen = []
    server.hook = lambda command, state: seen.append(command)
    return lambda: seen.count("SESSION_SETUP")


def test_wrong_password_reaches_the_node_once(embedded):
    server = embedded()
    count = logons(server)
    with session(server, password="wrong") as opened:
        for _ in range(3):
            with pytest.raises(AuthenticationError):
                opened.download(FILE, io.BytesIO(), progress=Silent())
    assert count() == 2  # the two legs of one NTLM logon


def test_password_refused_by_smb_is_not_offered_to_winrm(embedded):
    server = embedded()
    with session(server, password="wrong") as opened:
        with pytest.raises(AuthenticationError):
            opened.upload(FILE, size_bytes=1)
        with pytest.raises(AuthenticationError):
            opened.invoke(None)  # would fail otherwise: it is no command


def test_dropped_upload_is_resumed_by_the_same_command(embedded, local, part):
    data = os.urandom(20 * MIB)
    server = embedded(hook=DropAfterWritten(11 * MIB))
    with pytest.raises(TransferError, match="the connection was dropped") as caught:
        send(server, data)
    assert "goes on where this one stopped" in caught.value.hint
    left = part.stat().st_size
    assert 7 * MIB <= left <= 15 * MIB
    assert send(server, data) == left - WINDOW_BYTES
    assert local.read_bytes() == data


def test_holes_of_a_dropped_upload_are_filled(embedded, local, part):
    data = os.urandom(10 * MIB)
    holes = data[: 4 * MIB] + bytes(3 * MIB) + data[7 * MIB : 8 * MIB]  # the last write came first
    part.write_bytes(holes)
    assert send(embedded(), data) == 4 * MIB
    assert local.read_bytes() == data


@pytest.mark.parametrize("at_mib", [30, 45, 57])
def test_stream_is_not_begun_anew_where_nothing_on_the_way_arrived(embedded, local, at_mib):
    data, losses, written = os.urandom(96 * MIB), [], []

    def cut(command, state):
        if command == "WRITE" and not losses:
            written.append(len(state.pending_write.data))
            return "drop" if sum(written) >= at_mib * MIB else None
        return None

    with (
        session(embedded(hook=cut)) as opened,
        LastingSink(
            lambda held: opened.upload(FILE, size_bytes=len(data), safe_bytes=held),
            losses.append,
            lambda _: None,
        ) as sink,
    ):
        for start in range(0, len(data), 2 * MIB):  # as a medium is read
            sink.write(data[start : start + 2 * MIB])
        sink.finish()
    assert len(losses) == 1
    assert local.read_bytes() == data


@pytest.mark.parametrize("credits_", [8, 32, 128])
def test_few_credits_suffice_for_writes_and_the_flushes_beside_them(
    embedded, local, monkeypatch, credits_
):
    monkeypatch.setattr("tests.simcluster.smb._MAX_CREDITS", credits_)
    data, flushed = os.urandom(80 * MIB), []
    send_with(embedded(), data, on_flushed=flushed.append)
    assert flushed
    assert local.read_bytes() == data


def test_node_that_acknowledges_nothing_is_hung_up_on(embedded, part):
    release = threading.Event()

    def stall(command, state):
        if command == "WRITE" and state.bytes_written >= 2 * MIB:
            release.wait(20)

    server = embedded(hook=stall)
    try:
        with pytest.raises(TransferError, match="answered nothing for 1 s"):
            send_with(server, bytes(8 * MIB), stall_s=1)
    finally:
        release.set()
    assert part.stat().st_size >= 2 * MIB


def test_node_that_is_slow_and_goes_on_is_left_alone(embedded, local):
    def hesitate(command, state):
        if command == "WRITE":
            time.sleep(0.6)

    send_with(embedded(hook=hesitate), bytes(5 * MIB), stall_s=2)
    assert local.stat().st_size == 5 * MIB


def test_dropped_download_is_a_transfer_error(embedded, local):
    local.write_bytes(os.urandom(12 * MIB))
    with pytest.raises(TransferError, match="the connection was dropped"):
        fetch(embedded(hook=DropAfterRead(5 * MIB)))


def test_spoiled_byte_is_seen_by_reading_back(embedded):
    data = os.urandom(3 * MIB)
    server = embedded(hook=FlipByte(2 * MIB + 17))
    send(server, data)
    assert fetch(server)[2] != hashlib.sha256(data).hexdigest()


def test_full_disk_of_the_node_is_a_storage_error_and_can_go_on(embedded, tmp_path, part):
    data = os.urandom(12 * MIB)
    server = embedded(capacity_bytes=6 * MIB)
    with pytest.raises(StorageError, match="on node n1 its disk is full") as caught:
        send(server, data)
    assert "goes on where this one stopped" in caught.value.hint
    assert 0 < part.stat().st_size <= 6 * MIB


# --- no server that fits -------------------------------------------------------------------------


def at(port):
    node = Node(name="n1", address="127.0.0.1", smb_port=port)
    return connect(node, Credential(username=USER, password=PASSWORD))


def test_refused_connection_is_a_connect_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        port = taken.getsockname()[1]
        with at(port) as opened, pytest.raises(ConnectError, match="refused") as caught:
            opened.upload(FILE, size_bytes=1)
    assert f"port {port}" in caught.value.hint


@pytest.mark.parametrize("greeting", [b"", b"\x00\x00\x00\x44HTTP/1.1 400 Bad Request" + bytes(44)])
def test_something_else_on_the_port_is_a_connect_error(greeting):
    with (
        impostor(greeting) as port,
        at(port) as opened,
        pytest.raises(ConnectError),
    ):
        opened.upload(FILE, size_bytes=1)
