"""What the tests of both SMB servers share: a drive, an account, and how to talk to them."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import smbclient

from tests.simcluster.filetree import FileTree

USER = "Administrator"
PASSWORD = "P@ss:wörd 1"


def make_drive(folder: Path) -> FileTree:
    """A drive with one folder of its own and the cluster's volume mounted."""
    (folder / "c" / "Windows").mkdir(parents=True)
    (folder / "csv").mkdir()
    return FileTree(folder / "c", {"ClusterStorage": folder / "csv"})


@dataclass
class Client:
    """A server's address with the keyword arguments every smbclient call needs."""

    address: str
    port: int
    user: str = USER
    password: str = PASSWORD

    @property
    def login(self) -> dict[str, Any]:
        return {"username": self.user, "password": self.password, "port": self.port}

    def path(self, rest: str = "", share: str = "C$") -> str:
        return rf"\\{self.address}\{share}\{rest}"

    @contextlib.contextmanager
    def opened(self, rest: str, mode: str) -> Iterator[Any]:
        """Open a file unbuffered; closing it forgives a connection that was cut."""
        file: Any = smbclient.open_file(self.path(rest), mode=mode, buffering=0, **self.login)
        try:
            yield file
        finally:
            try:
                if file.fd.connection.transport.connected:
                    file.close()
            finally:  # smbprotocol would warn of a handle it can no longer close
                file.fd._connected = False

    def write(self, rest: str, data: bytes) -> None:
        with self.opened(rest, "wb") as file:
            while data:
                data = data[file.write(data) :]

    def read(self, rest: str) -> bytes:
        with smbclient.open_file(self.path(rest), mode="rb", **self.login) as file:
            found = file.read()
        assert isinstance(found, bytes)
        return found

    def write_pipelined(
        self, rest: str, data: bytes, *, chunk_bytes: int = 1 << 20, depth: int = 4
    ) -> int:
        """Write with several requests under way, as the toolkit writes payloads.

        Returns:
            How many bytes the server acknowledged.
        """
        charge = -(-chunk_bytes // 65536)
        with self.opened(rest, "wb") as file:
            opened = file.fd
            connection = opened.connection
            ids = {
                "sid": opened.tree_connect.session.session_id,
                "tid": opened.tree_connect.tree_connect_id,
            }
            window = connection.sequence_window
            while window["high"] - window["low"] < charge * (depth + 1):
                connection.echo(sid=ids["sid"], credit_request=512)
            under_way: deque[tuple[Any, Any]] = deque()
            acknowledged = 0
            for offset in range(0, len(data), chunk_bytes):
                request, receive = opened.write(
                    data[offset : offset + chunk_bytes], offset=offset, send=False
                )
                sent = connection.send(request, credit_request=charge, **ids)
                under_way.append((receive, sent))
                if len(under_way) == depth:
                    receive, sent = under_way.popleft()
                    acknowledged += receive(sent)
            for receive, sent in under_way:
                acknowledged += receive(sent)
        return acknowledged
