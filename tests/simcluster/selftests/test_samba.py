"""Samba's server as a fixture, as smbprotocol sees it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import smbclient
from smbprotocol.exceptions import LogonFailure

from tests.simcluster import samba
from tests.simcluster.selftests.smb_site import PASSWORD, USER, Client, make_drive

ADDRESS = "127.0.40.13"
DATA = random.Random(3).randbytes(8 << 20)  # a payload, not a secret

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not samba.available(), reason="Samba's smbd and pdbedit are not installed"),
]


@pytest.fixture(scope="module", params=[True, False], ids=["encrypted", "signed"])
def site(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Client, Path]]:
    """One server for all tests of a mode, and the folder its drive lies in."""
    folder = tmp_path_factory.mktemp("samba")
    server = samba.SambaServer(
        ADDRESS,
        0,
        folder=folder / "samba",
        user=USER,
        password=PASSWORD,
        shares={"C$": make_drive(folder)},
        require_encryption=request.param,
    )
    with server:
        yield Client(server.address, server.port), folder
        smbclient.reset_connection_cache(fail_on_error=False)


@pytest.fixture
def client(site: tuple[Client, Path]) -> Client:
    return site[0]


@pytest.fixture
def folder(site: tuple[Client, Path]) -> Path:
    return site[1]


def test_a_pipelined_upload_arrives_whole_on_the_mount(client: Client, folder: Path) -> None:
    smbclient.makedirs(client.path(r"ClusterStorage\Infrastructure_1"), **client.login)
    assert client.write_pipelined(r"ClusterStorage\Infrastructure_1\x.zip", DATA) == len(DATA)
    assert (folder / "csv" / "Infrastructure_1" / "x.zip").read_bytes() == DATA


def test_what_was_written_is_read_back(client: Client) -> None:
    client.write("x.bin", DATA[:100_000])
    assert client.read("X.BIN") == DATA[:100_000]


def test_a_replace_overwrites(client: Client, folder: Path) -> None:
    client.write("y.part", b"new")
    client.write("y.zip", b"old")
    smbclient.replace(client.path("y.part"), client.path("y.zip"), **client.login)
    assert (folder / "c" / "y.zip").read_bytes() == b"new"


def test_a_wrong_password_is_refused(client: Client) -> None:
    cache: dict[str, object] = {}
    with pytest.raises(LogonFailure):
        smbclient.register_session(
            client.address,
            username=USER,
            password="wrong",
            port=client.port,
            connection_cache=cache,
        )
    smbclient.reset_connection_cache(connection_cache=cache, fail_on_error=False)


def test_an_unknown_share_is_refused(client: Client) -> None:
    with pytest.raises(OSError, match=r"0xc00000cc|0xc0000225"):
        smbclient.listdir(client.path(share="nothing"), **client.login)


def test_stopping_puts_the_mount_back(tmp_path: Path) -> None:
    drive = make_drive(tmp_path)
    (tmp_path / "csv" / "x").touch()
    server = samba.SambaServer(
        ADDRESS, 0, folder=tmp_path / "samba", user=USER, password=PASSWORD, shares={"C$": drive}
    )
    with server:
        assert drive.resolve(r"ClusterStorage\X").exists()
    assert [entry.name for entry in (tmp_path / "csv").iterdir()] == ["x"]
    assert not (tmp_path / "csv").is_symlink()
    assert not (drive.root / "ClusterStorage").exists()


def test_a_failed_start_says_what_samba_wrote(tmp_path: Path) -> None:
    drive = make_drive(tmp_path)
    (tmp_path / "samba" / "lock").mkdir(parents=True)
    (tmp_path / "samba" / "lock" / "msg.lock").write_text("not a folder", encoding="utf-8")
    server = samba.SambaServer(
        ADDRESS, 0, folder=tmp_path / "samba", user=USER, password=PASSWORD, shares={"C$": drive}
    )
    with pytest.raises(RuntimeError, match=r"smbd|pdbedit"):
        server.start()
    assert not (tmp_path / "csv").is_symlink()
