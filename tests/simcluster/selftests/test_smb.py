"""The embedded SMB server, as smbprotocol sees it."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import struct
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import smbclient
import smbclient.path
from smbprotocol.connection import Connection, SigningAlgorithms
from smbprotocol.exceptions import (
    AccessDenied,
    BadNetworkName,
    InvalidParameter,
    LogonFailure,
    NotSupported,
    SMBConnectionClosed,
    SMBException,
    SMBOSError,
    SMBResponseException,
)
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from tests.simcluster.ntlm import Accounts
from tests.simcluster.selftests.smb_site import PASSWORD, USER, Client, make_drive
from tests.simcluster.smb import SmbServer
from tests.simcluster.smb_faults import ConnectionState, DropAfterRead, DropAfterWritten, FlipByte

ADDRESS = "127.0.40.11"
MIB = 1 << 20
DATA = random.Random(1).randbytes(8 * MIB)  # a payload, not a secret

# a cut shows where the client happens to be: waiting for an answer, or sending the next request
CUT = (SMBConnectionClosed, OSError)

pytestmark = pytest.mark.network

Serve = Callable[..., tuple[SmbServer, Client]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A factory of running servers over one drive; all are stopped, and no thread is left."""
    drive = make_drive(tmp_path)
    accounts = Accounts(tmp_path / "accounts", {USER: PASSWORD}, ["NODE1"])
    servers = []
    before = set(threading.enumerate())

    def start(**options: Any) -> tuple[SmbServer, Client]:
        server = SmbServer(
            ADDRESS, 0, accounts=accounts, shares={"C$": drive, "Data": drive}, **options
        )
        server.start()
        servers.append(server)
        return server, Client(server.address, server.port)

    yield start
    smbclient.reset_connection_cache(fail_on_error=False)
    for server in servers:
        server.stop()
    assert set(threading.enumerate()) <= before


@pytest.fixture(params=[True, False], ids=["encrypted", "signed"])
def client(serve: Serve, request: pytest.FixtureRequest) -> Client:
    """A client of a server in each of its two modes."""
    return serve(require_encryption=request.param)[1]


def connect(client: Client, *, encrypt: bool = False, **options: Any) -> tuple[Connection, Session]:
    """Log on with smbprotocol's lower half."""
    connection = Connection(uuid.uuid4(), client.address, client.port)
    connection.connect(**options)
    session = Session(connection, client.user, client.password, require_encryption=encrypt)
    session.connect()
    return connection, session


def test_folders_are_made_and_listed(client: Client, tmp_path: Path) -> None:
    smbclient.makedirs(client.path(r"ClusterStorage\Infrastructure_1\Shares"), **client.login)
    assert (tmp_path / "csv" / "Infrastructure_1" / "Shares").is_dir()
    listed = smbclient.listdir(client.path(), **client.login)
    assert listed == ["ClusterStorage", "Windows"]


def test_a_pipelined_upload_arrives_whole(client: Client, tmp_path: Path) -> None:
    assert client.write_pipelined(r"ClusterStorage\x.zip", DATA) == len(DATA)
    stored = (tmp_path / "csv" / "x.zip").read_bytes()
    assert hashlib.sha256(stored).digest() == hashlib.sha256(DATA).digest()


def test_what_was_written_is_read_back(client: Client) -> None:
    client.write("x.bin", DATA[:MIB])
    assert client.read(r"X.BIN") == DATA[:MIB]


def test_a_file_tells_its_size_and_times(client: Client, tmp_path: Path) -> None:
    local = tmp_path / "c" / "x.bin"
    local.write_bytes(b"12345")
    found = smbclient.stat(client.path("x.bin"), **client.login)
    assert found.st_size == 5
    assert abs(found.st_mtime_ns - local.stat().st_mtime_ns) < 100


def test_times_can_be_set(client: Client, tmp_path: Path) -> None:
    local = tmp_path / "c" / "x.bin"
    local.write_bytes(b"")
    smbclient.utime(client.path("x.bin"), times=(1_000_000_000, 1_100_000_000), **client.login)
    assert (local.stat().st_atime, local.stat().st_mtime) == (1_000_000_000, 1_100_000_000)


def test_a_listing_tells_sizes_and_kinds(client: Client, tmp_path: Path) -> None:
    (tmp_path / "c" / "Windows" / "big.bin").write_bytes(bytes(3000))
    (tmp_path / "c" / "Windows" / "Temp").mkdir()
    entries = smbclient.scandir(client.path("Windows"), **client.login)
    listed = {(e.name, e.is_dir(), e.smb_info.end_of_file) for e in entries}
    assert listed == {("big.bin", False, 3000), ("Temp", True, 0)}


def test_a_long_listing_comes_in_several_answers(client: Client, tmp_path: Path) -> None:
    names = {f"{number:04}-{'x' * 60}.log" for number in range(1500)}
    for name in names:
        (tmp_path / "c" / "Windows" / name).touch()
    assert set(smbclient.listdir(client.path("Windows"), **client.login)) == names


def test_a_file_has_one_stream(client: Client) -> None:
    client.write("x.bin", b"12345")
    streams = smbclient.liststreams(client.path("x.bin"), **client.login)
    assert [(stream.name, stream.size) for stream in streams] == [("::$DATA", 5)]


def test_a_listing_obeys_its_pattern(client: Client, tmp_path: Path) -> None:
    for name in ("a.zip", "b.ZIP", "c.txt"):
        (tmp_path / "c" / "Windows" / name).touch()
    found = smbclient.listdir(client.path("Windows"), search_pattern="?.zip", **client.login)
    assert found == ["a.zip", "b.ZIP"]


def test_a_file_is_renamed(client: Client, tmp_path: Path) -> None:
    client.write("x.part", b"1")
    smbclient.rename(client.path("x.part"), client.path(r"Windows\x.zip"), **client.login)
    assert (tmp_path / "c" / "Windows" / "x.zip").read_bytes() == b"1"
    assert not (tmp_path / "c" / "x.part").exists()


def test_a_rename_does_not_overwrite(client: Client, tmp_path: Path) -> None:
    client.write("x.part", b"new")
    client.write("x.zip", b"old")
    with pytest.raises(OSError, match="0xc0000035"):
        smbclient.rename(client.path("x.part"), client.path("x.zip"), **client.login)
    assert (tmp_path / "c" / "x.zip").read_bytes() == b"old"


def test_a_replace_overwrites(client: Client, tmp_path: Path) -> None:
    client.write("x.part", b"new")
    client.write("x.zip", b"old")
    smbclient.replace(client.path("x.part"), client.path("x.zip"), **client.login)
    assert (tmp_path / "c" / "x.zip").read_bytes() == b"new"


def test_a_rename_to_another_volume_is_refused(client: Client, tmp_path: Path) -> None:
    client.write("x.part", b"1")
    with pytest.raises(SMBOSError, match="0xc00000d4"):
        smbclient.rename(client.path("x.part"), client.path(r"ClusterStorage\x"), **client.login)
    assert (tmp_path / "c" / "x.part").exists()


def test_the_case_of_a_name_can_be_changed(client: Client, tmp_path: Path) -> None:
    client.write("x.zip", b"1")
    smbclient.rename(client.path("x.zip"), client.path("X.ZIP"), **client.login)
    assert "X.ZIP" in [entry.name for entry in (tmp_path / "c").iterdir()]


def test_a_file_is_removed(client: Client, tmp_path: Path) -> None:
    client.write("x.zip", b"1")
    smbclient.remove(client.path("x.zip"), **client.login)
    assert not (tmp_path / "c" / "x.zip").exists()


def test_a_full_folder_is_not_removed(client: Client, tmp_path: Path) -> None:
    (tmp_path / "c" / "Windows" / "x").touch()
    with pytest.raises(OSError, match="0xc0000101"):
        smbclient.rmdir(client.path("Windows"), **client.login)


def test_a_mount_is_not_removed(client: Client, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="0xc0000022"):
        smbclient.rmdir(client.path("ClusterStorage"), **client.login)
    assert (tmp_path / "csv").is_dir()


def test_a_file_is_cut(client: Client, tmp_path: Path) -> None:
    client.write("x.bin", b"12345")
    smbclient.truncate(client.path("x.bin"), 2, **client.login)
    assert (tmp_path / "c" / "x.bin").read_bytes() == b"12"


def test_appending_begins_at_the_end(client: Client, tmp_path: Path) -> None:
    client.write("x.bin", b"12")
    with smbclient.open_file(client.path("x.bin"), mode="ab", **client.login) as file:
        file.write(b"34")
    assert (tmp_path / "c" / "x.bin").read_bytes() == b"1234"


def test_an_existing_file_is_not_created_again(client: Client) -> None:
    client.write("x.bin", b"")
    with pytest.raises(OSError, match="0xc0000035"):
        smbclient.open_file(client.path("x.bin"), mode="xb", **client.login)


@pytest.mark.parametrize(
    ("name", "status"), [("none.txt", "0xc0000034"), (r"none\none.txt", "0xc000003a")]
)
def test_what_is_missing_is_not_found(client: Client, name: str, status: str) -> None:
    with pytest.raises(OSError, match=status):
        smbclient.stat(client.path(name), **client.login)


def test_a_folder_is_not_opened_as_a_file(client: Client) -> None:
    with pytest.raises(OSError, match="0xc00000ba"):
        smbclient.open_file(client.path("Windows"), mode="rb", **client.login)


def test_a_read_only_file_is_not_written(client: Client, tmp_path: Path) -> None:
    (tmp_path / "c" / "x.bin").write_bytes(b"1")
    (tmp_path / "c" / "x.bin").chmod(0o444)
    with pytest.raises(OSError, match="0xc0000022"):
        smbclient.open_file(client.path("x.bin"), mode="r+b", **client.login)


def test_a_read_beyond_the_end_finds_nothing(client: Client) -> None:
    client.write("x.bin", b"12345")
    with smbclient.open_file(client.path("x.bin"), mode="rb", **client.login) as file:
        file.seek(5)
        assert file.read(10) == b""


def test_a_write_beyond_the_end_leaves_zeros(client: Client, tmp_path: Path) -> None:
    with smbclient.open_file(client.path("x.bin"), mode="wb", buffering=0, **client.login) as file:
        file.seek(3)
        file.write(b"x")
    assert (tmp_path / "c" / "x.bin").read_bytes() == b"\0\0\0x"


def test_a_handle_does_only_what_it_was_opened_for(serve: Serve) -> None:
    _, client = serve(require_encryption=False)
    client.write("x.bin", b"1")
    connection, session = connect(client)
    tree = TreeConnect(session, client.path()[:-1])
    tree.connect()
    opened = Open(tree, "x.bin")
    opened.create(
        ImpersonationLevel.Impersonation,
        FilePipePrinterAccessMask.FILE_READ_DATA,
        0,
        ShareAccess.FILE_SHARE_READ,
        CreateDisposition.FILE_OPEN,
        CreateOptions.FILE_NON_DIRECTORY_FILE,
    )
    with pytest.raises(AccessDenied):
        opened.write(b"2")
    assert opened.read(0, 1) == b"1"
    connection.disconnect()


def test_every_share_shows_its_drive(client: Client) -> None:
    listed = smbclient.listdir(client.path(share="data"), **client.login)
    assert listed == ["ClusterStorage", "Windows"]


def test_an_unknown_share_is_refused(client: Client) -> None:
    with pytest.raises(OSError, match="0xc00000cc"):
        smbclient.listdir(client.path(share="nothing"), **client.login)


def test_ipc_can_be_connected_but_has_no_pipes(serve: Serve) -> None:
    _, client = serve(require_encryption=False)
    connection, session = connect(client)
    tree = TreeConnect(session, rf"\\{ADDRESS}\IPC$")
    tree.connect()
    with pytest.raises(SMBException, match="0xc0000034"):
        Open(tree, "srvsvc").create(
            ImpersonationLevel.Impersonation,
            FilePipePrinterAccessMask.FILE_READ_DATA,
            0,
            ShareAccess.FILE_SHARE_READ,
            CreateDisposition.FILE_OPEN,
            0,
        )
    connection.disconnect()


@pytest.mark.parametrize(("user", "password"), [(USER, "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_credential_is_refused(client: Client, user: str, password: str) -> None:
    stranger = Client(client.address, client.port, user, password)
    with pytest.raises(LogonFailure):
        smbclient.register_session(stranger.address, **stranger.login)


def test_a_failed_logon_does_not_spoil_the_next_one(serve: Serve) -> None:
    _, client = serve()
    connection = Connection(uuid.uuid4(), client.address, client.port)
    connection.connect()
    with pytest.raises(LogonFailure):
        Session(connection, USER, "wrong").connect()
    session = Session(connection, USER, PASSWORD)
    session.connect()
    TreeConnect(session, client.path()[:-1]).connect()
    connection.disconnect()


@pytest.mark.parametrize("algorithm", [SigningAlgorithms.AES_GMAC, SigningAlgorithms.AES_CMAC])
def test_signatures_are_made_as_negotiated(serve: Serve, algorithm: int) -> None:
    _, client = serve(require_encryption=False)
    connection, session = connect(client, preferred_signing_algos=[algorithm])
    assert connection.signing_algorithm_id == algorithm
    TreeConnect(session, client.path()[:-1]).connect()
    connection.disconnect()


def test_a_client_may_encrypt_where_it_need_not(serve: Serve) -> None:
    _, client = serve(require_encryption=False)
    connection, session = connect(client, encrypt=True)
    assert session.encrypt_data
    TreeConnect(session, client.path()[:-1]).connect()
    connection.disconnect()


def test_an_unsigned_request_is_refused(serve: Serve) -> None:
    _, client = serve(require_encryption=False)
    connection, session = connect(client)
    tree = TreeConnect(session, client.path()[:-1])
    tree.connect()
    session.signing_required = False
    with pytest.raises(AccessDenied):
        connection.echo(sid=session.session_id)
    session.signing_required = True
    connection.disconnect()


def test_an_unsigned_tree_connect_ends_the_connection(serve: Serve) -> None:
    _, client = serve(require_encryption=False)
    connection, session = connect(client)
    session.signing_required = False
    with pytest.raises(SMBConnectionClosed):
        TreeConnect(session, client.path()[:-1]).connect()
    connection.disconnect(close=False)


@pytest.mark.parametrize("algorithm", [SigningAlgorithms.AES_GMAC, SigningAlgorithms.AES_CMAC])
def test_a_signed_request_changed_on_its_way_is_refused(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, algorithm: int
) -> None:
    _, client = serve(require_encryption=False)
    connection, session = connect(client, preferred_signing_algos=[algorithm])
    send = connection.transport.send
    monkeypatch.setattr(connection.transport, "send", lambda data: send(_with_last_flipped(data)))
    with pytest.raises(AccessDenied):
        connection.echo(sid=session.session_id)
    monkeypatch.undo()
    connection.disconnect()


def test_an_encrypted_request_changed_on_its_way_ends_the_connection(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client = serve()
    connection, session = connect(client)
    send = connection.transport.send
    monkeypatch.setattr(
        connection.transport, "send", lambda head: send(_with_last_flipped(head.pack()))
    )
    with pytest.raises(SMBConnectionClosed):
        connection.echo(sid=session.session_id)
    connection.disconnect(close=False)


def test_a_signed_request_is_not_enough_where_encryption_is_required(serve: Serve) -> None:
    _, client = serve()
    connection, session = connect(client)
    session.encrypt_data, session.signing_required = False, True
    with pytest.raises(AccessDenied):
        connection.echo(sid=session.session_id)
    session.encrypt_data = True
    connection.disconnect()


def test_a_client_that_cannot_encrypt_is_refused(serve: Serve) -> None:
    _, client = serve()
    connection = Connection(uuid.uuid4(), client.address, client.port)
    connection.connect(preferred_encryption_algos=[0x0001])  # AES-128-CCM
    with pytest.raises(AccessDenied):
        Session(connection, USER, PASSWORD, require_encryption=False).connect()
    connection.disconnect()


def test_an_older_dialect_is_refused(serve: Serve) -> None:
    _, client = serve()
    connection = Connection(uuid.uuid4(), client.address, client.port)
    with pytest.raises(NotSupported):
        connection.connect(dialect=0x0302)
    connection.disconnect(close=False)


def test_a_message_number_that_was_not_granted_ends_the_connection(serve: Serve) -> None:
    _, client = serve()
    connection, session = connect(client)
    connection.sequence_window["low"] += 10_000
    connection.sequence_window["high"] += 10_000
    with pytest.raises(SMBConnectionClosed):
        connection.echo(sid=session.session_id)
    connection.disconnect(close=False)


def test_a_request_pays_for_its_size(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    _, client = serve()
    with smbclient.open_file(client.path("x"), mode="wb", buffering=0, **client.login) as file:
        monkeypatch.setattr(file.fd.connection, "_calculate_credit_charge", lambda _: 1)
        with pytest.raises(InvalidParameter):
            file.fd.write(bytes(65537))


@pytest.mark.parametrize(
    "frame",
    [
        b"\xffSMB" + bytes(60),
        b"\xfdSMB" + bytes(60),
        b"\xfeSMB" + b"\xff" * 60,
        bytes(64),
        b"short",
    ],
)
def test_garbage_ends_the_connection(serve: Serve, frame: bytes) -> None:
    _, client = serve()
    with socket.create_connection((client.address, client.port), timeout=10) as peer:
        peer.sendall(struct.pack(">I", len(frame)) + frame)
        assert peer.recv(1) == b""


class Garbled:
    """A message of a command whose body is noise behind the right structure size."""

    def __init__(self, command: int, structure_size: int, noise: bytes) -> None:
        self.COMMAND = command  # the name smbprotocol asks for
        self._body = struct.pack("<H", structure_size) + noise

    def __len__(self) -> int:
        return len(self._body)

    def pack(self) -> bytes:
        return self._body


@pytest.mark.parametrize(
    ("command", "structure_size"),
    [(3, 9), (5, 57), (6, 24), (7, 24), (8, 49), (9, 49), (11, 57), (14, 33), (16, 41), (17, 33)],
)
def test_a_garbled_request_is_answered(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, command: int, structure_size: int
) -> None:
    server, client = serve(require_encryption=False)
    crashes: list[object] = []
    monkeypatch.setattr(server, "handle_error", lambda *where: crashes.append(where))
    connection, session = connect(client)
    monkeypatch.setattr(connection, "_calculate_credit_charge", lambda _: 1)
    tree = TreeConnect(session, client.path()[:-1])
    tree.connect()
    opened = Open(tree, "x.bin")
    opened.create(
        ImpersonationLevel.Impersonation,
        0x1F01FF,
        0,
        0,
        CreateDisposition.FILE_OPEN_IF,
        0,
    )
    noise = random.Random(command)  # the same noise at every run
    for _ in range(150):
        body = bytearray(noise.choice([0, 0, 1, 2, 8, 64, 255]) for _ in range(noise.randrange(90)))
        if noise.random() < 0.7:
            at = {6: 6, 7: 6, 8: 14, 9: 14, 11: 6, 14: 6, 16: 22, 17: 14}.get(command, 0)
            body[at : at + 16] = opened.file_id
        sent = connection.send(
            Garbled(command, structure_size, bytes(body)), session.session_id, tree.tree_connect_id
        )
        with contextlib.suppress(SMBResponseException):
            connection.receive(sent, timeout=10)
    assert connection.echo(sid=session.session_id)
    connection.disconnect(close=False)
    assert crashes == []


def test_stat_volume_tells_the_real_disk(client: Client) -> None:
    found = smbclient.stat_volume(client.path(), **client.login)
    assert 0 < found.caller_available_size <= found.total_size


def test_stat_volume_tells_the_limit(serve: Serve) -> None:
    _, client = serve(capacity_bytes=10 * MIB)
    client.write(r"ClusterStorage\x.bin", bytes(4 * MIB))
    found = smbclient.stat_volume(client.path(), **client.login)
    assert (found.total_size, found.caller_available_size) == (10 * MIB, 6 * MIB)


def test_a_full_disk_takes_no_more(serve: Serve, tmp_path: Path) -> None:
    _, client = serve(capacity_bytes=3 * MIB)
    with pytest.raises(SMBException, match="0xc000007f"):
        client.write_pipelined(r"ClusterStorage\x.bin", DATA)
    assert (tmp_path / "csv" / "x.bin").stat().st_size == 3 * MIB


def test_removing_makes_room_again(serve: Serve) -> None:
    _, client = serve(capacity_bytes=3 * MIB)
    client.write("x.bin", bytes(3 * MIB))
    smbclient.remove(client.path("x.bin"), **client.login)
    client.write("y.bin", bytes(3 * MIB))
    assert smbclient.stat(client.path("y.bin"), **client.login).st_size == 3 * MIB


def test_overwriting_in_place_needs_no_room(serve: Serve) -> None:
    _, client = serve(capacity_bytes=MIB)
    client.write("x.bin", bytes(MIB))
    with smbclient.open_file(client.path("x.bin"), mode="r+b", buffering=0, **client.login) as file:
        assert file.write(b"abc") == 3


def test_a_drop_leaves_more_than_was_acknowledged(serve: Serve, tmp_path: Path) -> None:
    _, client = serve(hook=DropAfterWritten(3 * MIB))
    with pytest.raises(CUT):
        client.write_pipelined("x.bin", DATA, depth=1)
    assert (tmp_path / "c" / "x.bin").read_bytes() == DATA[: 3 * MIB]


def test_after_a_drop_the_next_connection_works(serve: Serve, tmp_path: Path) -> None:
    _, client = serve(hook=DropAfterWritten(3 * MIB))
    with pytest.raises(CUT):
        client.write_pipelined("x.bin", DATA)
    smbclient.reset_connection_cache(fail_on_error=False)
    client.write_pipelined("x.bin", DATA)
    assert (tmp_path / "c" / "x.bin").read_bytes() == DATA


def test_a_drop_can_come_while_reading(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "c" / "x.bin").write_bytes(DATA)
    _, client = serve(hook=DropAfterRead(2 * MIB))
    with client.opened("x.bin", "rb") as file:
        assert b"".join(file.fd.read(at * MIB, MIB) for at in range(2)) == DATA[: 2 * MIB]
        with pytest.raises(SMBConnectionClosed):
            file.fd.read(2 * MIB, 1)


def test_a_flipped_byte_spoils_one_byte_once(serve: Serve, tmp_path: Path) -> None:
    _, client = serve(hook=FlipByte(MIB + 17))
    for name in ("first.bin", "second.bin"):
        client.write_pipelined(name, DATA)
    stored = (tmp_path / "c" / "first.bin").read_bytes()
    assert [at for at in range(MIB, MIB + 100) if stored[at] != DATA[at]] == [MIB + 17]
    assert stored[: MIB + 17] + DATA[MIB + 17 : MIB + 18] + stored[MIB + 18 :] == DATA
    assert (tmp_path / "c" / "second.bin").read_bytes() == DATA


def test_a_hook_sees_who_does_what(serve: Serve) -> None:
    seen = []

    def hook(command: str, state: ConnectionState) -> None:
        seen.append((command, state.user, state.bytes_written))

    _, client = serve(hook=hook)
    client.write("x.bin", b"123")
    smbclient.reset_connection_cache()
    commands = [command for command, _, _ in seen]
    assert commands[:4] == ["NEGOTIATE", "SESSION_SETUP", "SESSION_SETUP", "TREE_CONNECT"]
    assert ("WRITE", USER, 0) in seen
    assert ("LOGOFF", USER, 3) in seen


def test_stopping_cuts_clients(serve: Serve) -> None:
    server, client = serve()
    connection, session = connect(client)
    server.stop()
    with pytest.raises(CUT):
        connection.echo(sid=session.session_id)
    connection.disconnect(close=False)


def test_eight_clients_write_at_once(serve: Serve, tmp_path: Path) -> None:
    _, client = serve()

    def upload(number: int) -> None:
        cache: dict[str, Any] = {}
        with smbclient.open_file(
            client.path(f"{number}.bin"),
            mode="wb",
            buffering=0,
            connection_cache=cache,
            **client.login,
        ) as file:
            for offset in range(0, MIB, MIB // 4):
                file.write(DATA[offset : offset + MIB // 4])
        smbclient.reset_connection_cache(connection_cache=cache)

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(8):
        assert (tmp_path / "c" / f"{number}.bin").read_bytes() == DATA[:MIB]


def test_an_unknown_name_of_share_is_bad_network_name(serve: Serve) -> None:
    _, client = serve()
    connection, session = connect(client)
    with pytest.raises(BadNetworkName):
        TreeConnect(session, rf"\\{ADDRESS}\nothing").connect()
    connection.disconnect()


def _with_last_flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])
