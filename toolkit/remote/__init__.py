"""One authenticated talk with one node: commands by PowerShell remoting, large files by SMB.

::

    with connect(node, credential) as session:
        updates = session.invoke(command)
        size, sha256 = session.download(path, sink, progress=progress)

Nothing is retried in here. Keep a session short: nodes restart under it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import PureWindowsPath
from typing import BinaryIO

from toolkit.errors import AuthenticationError, InputError
from toolkit.model import Command, Credential, Node, Progress, Sha256, T
from toolkit.remote import _smb
from toolkit.remote._psrp import Shell
from toolkit.remote._smb import STALL_S, Upload

__all__ = ["Session", "Upload", "connect"]


def connect(node: Node, credential: Credential) -> Session:
    """Prepare a session with a node; the first command or copy contacts it.

    Raises:
        InputError: The node's settings would show the password to the network, or its CA file holds no certificate.
        StorageError: Its CA file cannot be read.
    """
    return Session(node, credential)


class Session:
    """Commands and files of one node, for one thread; closed at the end of its with-block."""

    def __init__(self, node: Node, credential: Credential) -> None:
        """Prepare; nothing is contacted yet."""
        self.node = node
        self._credential = credential
        self._shell = Shell(node, credential)
        self._refused: AuthenticationError | None = None

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply.

        Raises:
            ConnectError: The node cannot be reached, or not securely.
            AuthenticationError: It refused the credential; this session does not offer it again.
            SessionLostError: No answer in time, or the connection dropped; the outcome is unknown.
            CommandError: A cmdlet failed, in its own words.
            InputError: The reply cannot be understood.
        """
        with self._offered_once():
            reply = self._shell.run(command)
        try:
            return command.parse(reply)
        except InputError as error:
            error.hint = error.hint or (
                f"node {self.node.name} answered what this ferry does not know: run the same command again; if it stays "
                "so, see whether there is a newer ferry"
            )
            raise

    def upload(
        self,
        path: PureWindowsPath,
        *,
        size_bytes: int,
        part: str | None = None,
        must_exist: bool = False,
        safe_bytes: int | None = None,
        on_flushed: Callable[[int], None] | None = None,
        stall_s: float = STALL_S,
    ) -> Upload:
        """Begin or resume an upload to an unfinished file; its `finish` gives it its name.

        Args:
            path: With a drive letter; the folder exists.
            size_bytes: Length of the whole stream.
            part: Name of the unfinished file, in the same folder; None: `<name>.part`.
            must_exist: Go on with an unfinished file that stands there, never make one.
            safe_bytes: Believe nothing above this offset of what stands there.
            on_flushed: Told now and then below which offset the node has written everything to its disk.
            stall_s: Hang up when the node acknowledges nothing for so long.

        Raises:
            ConnectError: No SMB 3 connection to the node.
            AuthenticationError: It refused the credential; this session does not offer it again.
            ClusterError: The node does not let us write there, in its own words; or `must_exist`, and
                nothing stands there.
            TransferError: Somebody else has the unfinished file open.
            InputError: A path without a drive letter.
        """
        with self._offered_once():
            return _smb.begin_upload(
                self.node,
                self._credential,
                path,
                size_bytes=size_bytes,
                part=part,
                must_exist=must_exist,
                safe_bytes=safe_bytes,
                on_flushed=on_flushed,
                stall_s=stall_s,
            )

    def download(
        self, path: PureWindowsPath, sink: BinaryIO, *, progress: Progress
    ) -> tuple[int, Sha256]:
        """Copy a file of the node into `sink`; return its size in bytes and its SHA-256.

        Args:
            path: With a drive letter.
            sink: Opened for writing; on error its content must be thrown away.
            progress: Told of every block.

        Raises:
            ConnectError: No SMB 3 connection to the node.
            AuthenticationError: It refused the credential; this session does not offer it again.
            ClusterError: No such file, or it may not be read.
            TransferError: The copy stopped before its end; the same command starts it again.
            StorageError: The sink cannot be written.
            InputError: A path without a drive letter.
        """
        with self._offered_once():
            return _smb.download(self.node, self._credential, path, sink, progress=progress)

    def close(self) -> None:
        """Remove our shell from the node, if it can be reached, and hang up."""
        self._shell.close()

    def __enter__(self) -> Session:
        """Return the session."""
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        """Close the session."""
        self.close()

    @contextlib.contextmanager
    def _offered_once(self) -> Iterator[None]:
        if self._refused is not None:
            raise self._refused
        try:
            yield
        except AuthenticationError as error:
            self._refused = error
            raise
