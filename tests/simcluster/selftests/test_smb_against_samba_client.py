"""The embedded SMB server, as Samba's own command-line client sees it.

Samba shares no code with us, nor with the library the toolkit uses.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.simcluster.ntlm import Accounts
from tests.simcluster.selftests.smb_site import PASSWORD, USER, make_drive
from tests.simcluster.smb import SmbServer

ADDRESS = "127.0.40.12"
DATA = random.Random(2).randbytes(5_000_001)  # a payload, not a secret

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not shutil.which("smbclient"), reason="Samba's smbclient is not installed"),
]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["encrypt", "sign"])
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run commands of smbclient in one session, with each kind of protection."""
    accounts = Accounts(tmp_path / "accounts", {USER: PASSWORD}, ["WORKGROUP"])
    login = tmp_path / "login"
    login.write_text(f"username={USER}\npassword={PASSWORD}\n", encoding="utf-8")
    server = SmbServer(
        ADDRESS,
        0,
        accounts=accounts,
        shares={"C$": make_drive(tmp_path)},
        require_encryption=request.param == "encrypt",
    )

    def run_commands(*commands: str, login: Path = login) -> subprocess.CompletedProcess[str]:
        server_options = [f"//{ADDRESS}/C$", "-p", str(server.port)]
        protection = ["-A", str(login), f"--client-protection={request.param}"]
        return subprocess.run(
            ["smbclient", *server_options, *protection, "-c", "; ".join(commands)],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    with server:
        yield run_commands


def test_it_lists_what_is_there(run: Run) -> None:
    done = run("ls")
    assert done.returncode == 0, done
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert listed == [".", "..", "ClusterStorage", "Windows"]


def test_it_makes_and_removes_folders(run: Run, tmp_path: Path) -> None:
    assert run(r"mkdir ClusterStorage\a", r"mkdir ClusterStorage\a\b").returncode == 0
    assert (tmp_path / "csv" / "a" / "b").is_dir()
    assert run(r"rmdir ClusterStorage\a\b").returncode == 0
    assert [*(tmp_path / "csv" / "a").iterdir()] == []


def test_it_puts_and_gets_a_file_whole(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out.bin").write_bytes(DATA)
    back = tmp_path / "back.bin"
    done = run(rf"put {tmp_path}/out.bin ClusterStorage\x.bin", rf"get clusterstorage\X.BIN {back}")
    assert done.returncode == 0, done
    digests = {
        hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "csv" / "x.bin", back)
    }
    assert digests == {hashlib.sha256(DATA).hexdigest()}


def test_it_renames_and_deletes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c" / "Windows" / "old.txt").write_text("1", encoding="utf-8")
    assert run(r"rename Windows\old.txt Windows\new.txt").returncode == 0
    assert [entry.name for entry in (tmp_path / "c" / "Windows").iterdir()] == ["new.txt"]
    assert run(r"del Windows\new.txt").returncode == 0
    assert [*(tmp_path / "c" / "Windows").iterdir()] == []


def test_its_wrong_password_is_refused(run: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text(f"username={USER}\npassword=wrong\n", encoding="utf-8")
    done = run("ls", login=wrong)
    assert done.returncode == 1
    assert "NT_STATUS_LOGON_FAILURE" in done.stdout + done.stderr
