"""Debian's Samba as a second, independent SMB server over the same drives.

Our own server and the client library under test could share a wrong belief; Samba shares none of
theirs. It runs in the foreground on a high port, keeps everything it writes in one folder, and
needs no privilege: the account is a name in its own password database, mapped to whoever runs the
tests.

Source: smb.conf(5), smbd(8), pdbedit(8) of Samba 4.17.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.simcluster.filetree import FileTree

_START_TIMEOUT_S = 20
_STOP_TIMEOUT_S = 10
_SBIN = "/usr/sbin"  # not on every user's search path

_GLOBAL = """\
[global]
server role = standalone server
workgroup = WORKGROUP
smb ports = {port}
interfaces = {address}/8
bind interfaces only = yes
disable netbios = yes
server min protocol = SMB3_11
server signing = mandatory
server smb encrypt = {encrypt}
map to guest = never
passdb backend = tdbsam:{folder}/private/passdb.tdb
username map = {folder}/users.map
private dir = {folder}/private
lock directory = {folder}/lock
state directory = {folder}/state
cache directory = {folder}/cache
pid directory = {folder}/pid
ncalrpc dir = {folder}/ncalrpc
log file = {folder}/log/smbd.log
load printers = no
printcap name = /dev/null
disable spoolss = yes
usershare max shares = 0
unix extensions = no
"""

_SHARE = """\
[{name}]
path = {path}
read only = no
"""


def available() -> bool:
    """Tell whether this machine has what it takes to run Samba's server."""
    return sys.platform != "win32" and all(map(_program, ("smbd", "pdbedit")))


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), _SBIN]))


class SambaServer:
    """One smbd of our own; usable as a context manager.

    Samba shows a folder under another one's root only if it lies there (links that leave a share
    need a module that is not always installed). So while it runs, the folder of each mount moves
    under the drive's root and leaves a link at its old place, where everyone else finds it.
    """

    def __init__(
        self,
        address: str,
        port: int,
        *,
        folder: Path,
        user: str,
        password: str,
        shares: Mapping[str, FileTree],
        require_encryption: bool = True,
    ) -> None:
        """Prepare, without starting yet.

        Args:
            address: A loopback address.
            port: Above 1023; 0 chooses a free one.
            folder: Where Samba keeps everything it writes.
            user: The one account's name.
            password: Its password.
            shares: Share name to drive.
            require_encryption: Refuse what is not encrypted; signing is always required.
        """
        self.address = address
        self.port = port or _free_port(address)
        self._folder = folder
        self._user = user
        self._password = password
        self._shares = shares
        self._encrypt = "required" if require_encryption else "off"
        self._process: subprocess.Popen[bytes] | None = None
        self._moved: list[tuple[Path, Path]] = []

    def start(self) -> None:
        """Configure, start, and wait until connections are taken.

        Raises:
            RuntimeError: Samba refuses the configuration or does not come up; says what it wrote.
        """
        self._configure()
        for tree in {id(tree): tree for tree in self._shares.values()}.values():
            for name, folder in tree.mounts.items():
                inside = (tree.root / name).absolute()
                folder.rename(inside)
                folder.symlink_to(inside, target_is_directory=True)
                self._moved.append((folder, inside))
        with (self._folder / "log" / "console.log").open("wb") as console:
            self._process = subprocess.Popen(
                [_program("smbd") or "smbd", "-F", "--no-process-group", "-s", self._config],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,  # so that `stop` reaches the children, and only them
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"smbd does not answer on port {self.port}:\n{self._log()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End smbd and its children, and move the mounts' folders back."""
        if self._process is not None and sys.platform != "win32":
            import signal  # half of its names do not exist on Windows

            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_STOP_TIMEOUT_S)
            self._process = None
        while self._moved:
            folder, inside = self._moved.pop()
            folder.unlink()
            inside.rename(folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _config(self) -> str:
        return str(self._folder / "smb.conf")

    def _configure(self) -> None:
        for name in ("private", "lock", "state", "cache", "pid", "ncalrpc", "log"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        owner = _account_of_this_process()
        users = f'{owner} = "{self._user}" "WORKGROUP\\{self._user}" "NODE1\\{self._user}"\n'
        (self._folder / "users.map").write_text(users, encoding="utf-8")
        text = _GLOBAL.format(
            address=self.address, port=self.port, encrypt=self._encrypt, folder=self._folder
        )
        for name, tree in self._shares.items():
            text += _SHARE.format(name=name, path=tree.root)
        Path(self._config).write_text(text, encoding="utf-8")
        added = subprocess.run(
            [_program("pdbedit") or "pdbedit", "-s", self._config, "-a", "-u", owner, "-t"],
            input=f"{self._password}\n{self._password}\n".encode(),
            capture_output=True,
            check=False,
        )
        if added.returncode:
            raise RuntimeError(f"pdbedit does not take the account:\n{added.stderr.decode()}")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection((self.address, self.port), timeout=1).close()
            return True
        return False

    def _log(self) -> str:
        logs = sorted((self._folder / "log").glob("*.log"))
        return "\n".join(log.read_text(encoding="utf-8", errors="replace") for log in logs)


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _account_of_this_process() -> str:
    if sys.platform != "win32":
        import pwd  # does not exist on Windows

        return pwd.getpwuid(os.geteuid()).pw_name
    else:  # noqa: RET505  # only so does the type check see that one branch belongs to one system
        raise RuntimeError("Samba's server does not run on Windows")
