"""Large files in and out of one node: SMB 3, signed at least and encrypted where the node can.

What it hides: smbprotocol, its exceptions, credits, and what a copy cut off in the middle left behind.
Theory of operation:

* One connection per file. Up to `_DEPTH` requests of `_CHUNK_BYTES` are on their way at once, so memory is
  bounded by their product and the line is never idle.
* An upload goes to `<name>.part`, or another name of the caller's. When it is cut off, requests that were on
  their way may have arrived in any order, so the last `_DEPTH` x `_CHUNK_BYTES` of the remote file may have
  holes; everything below was acknowledged. That is where the next upload resumes, unless the caller knows how
  much was acknowledged. The caller proves the whole file with the node's own hash, so a remainder that is not ours
  only costs a second copy.
* Where AES-GCM encrypts, nothing is copied on its way from the caller's memory to the socket but by encrypting it. What
  the node has not acknowledged can be had again, for the next upload of the same stream.
* Acknowledged is not yet on the disk: a node that restarts may lose it. So a caller that asks is told, every
  `_FLUSH_BYTES`, below which offset the node has written everything to its disk; the flush is on its way
  beside the writes and is waited for only when the next one is due.
* A node that acknowledges nothing for `stall_s` is hung up on. That is counted in bytes: one that is slow and
  goes on is left alone.
* smbprotocol accepts an answer that is neither encrypted nor signed; `_refuse_bare_answers` does not.

Source: [MS-SMB2], in particular 3.2.4.1.2 (credits), 3.2.5.1.1, 3.2.5.1.3 (decrypting, verifying) and 2.2.17
(only a flush promises that the data is on the disk).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import struct
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any, BinaryIO, Protocol

from cryptography.exceptions import InvalidTag
from smbprotocol import Dialects
from smbprotocol.connection import Connection
from smbprotocol.exceptions import (
    SMBAuthenticationError,
    SMBConnectionClosed,
    SMBException,
    SMBResponseException,
)
from smbprotocol.file_info import (
    FileEndOfFileInformation,
    FileRenameInformation,
)
from smbprotocol.header import NtStatus
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FileAttributes,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
    SMB2SetInfoRequest,
    SMB2SetInfoResponse,
    SMB2WriteResponse,
)
from smbprotocol.session import Session as SmbSession
from smbprotocol.tree import TreeConnect

from toolkit.errors import (
    AuthenticationError,
    ClusterError,
    ConnectError,
    InputError,
    ReachError,
    StorageError,
    ToolkitError,
    TransferError,
)
from toolkit.model import AuthMethod, Credential, Node, Progress, Sha256
from toolkit.remote._smb_frames import WriteFrames, can_frame

logging.getLogger("smbprotocol").addHandler(logging.NullHandler())  # it logs what it also raises

_CHUNK_BYTES = 1 << 20
_DEPTH = 4
"""Of 64 KiB to 8 MiB x 1 to 8 none was surely faster; and after a cut, all that may be on the way is sent again."""
_CREDIT_BYTES = 1 << 16
_CONNECT_S = 30
STALL_S = 60.0
"""A node that acknowledges not one write of `_CHUNK_BYTES` for so long stands still."""
_PATIENCE_S = 120
"""Longest wait for any other answer; a flush of gigabytes to a slow disk is the longest we know."""
_FLUSH_BYTES = 32 << 20
"""Between two flushes of an upload whose caller wants to know what the disk holds: what a restart may cost."""


class Upload:
    """A sink for one file of a node; fed the whole stream, it sends what the node does not have yet."""

    def __init__(
        self,
        part: contextlib.AbstractContextManager[_File],
        *,
        node: Node,
        path: PureWindowsPath,
        size_bytes: int,
        safe_bytes: int | None = None,
        on_flushed: Callable[[int], None] | None = None,
        stall_s: float = STALL_S,
    ) -> None:
        """Open what stands there from earlier tries and find out where to go on.

        Args:
            part: The unfinished file on the node; held open until the end of the with-block.
            node: For messages.
            path: The name it gets at last.
            size_bytes: Length of the whole stream.
            safe_bytes: What the node is known to hold; nothing above it is believed, and it is cut off, so that
                nobody believes it later.
            on_flushed: Told below which offset the node has written everything to its disk.
            stall_s: So long may the node acknowledge nothing.
        """
        self._node = node
        self._path = path
        self._size_bytes = size_bytes
        self._attempted = f"copy {path.name} to {path.parent} on node {node.name}"
        self._on_flushed = on_flushed
        self._stall_s = stall_s
        self._fed_bytes = 0
        self._sent_bytes = 0
        self._filling: _Write | None = None
        self._on_the_way: deque[_Write] = deque()
        self._flush: Callable[[], None] | None = None
        self._flush_asked_at = 0
        self._held = contextlib.ExitStack()
        self._file = self._held.enter_context(part)
        there = self._file.size_bytes
        if there > size_bytes:  # not the beginning of our stream
            self._cut(0)
            there = 0
        acknowledged = max(0, there - _DEPTH * _CHUNK_BYTES)
        self.resumed_at_bytes = acknowledged if safe_bytes is None else min(safe_bytes, there)
        """Bytes below this stand on the node already and are skipped, not sent again."""
        if safe_bytes is not None and there > safe_bytes:
            self._cut(safe_bytes)
        self.acknowledged_bytes = 0
        """How many bytes of this try the node has acknowledged."""

    @property
    def sent_to_bytes(self) -> int:
        """How far into the file something was sent."""
        return self.resumed_at_bytes + self._sent_bytes

    def skip(self, count_bytes: int) -> None:
        """Pass over the next bytes of the stream, all below `resumed_at_bytes`: the caller has them no more."""
        self._fed_bytes += count_bytes

    def unacknowledged(self) -> tuple[int, list[bytes]]:
        """Return where in the stream that begins which was taken and not acknowledged, and all of it."""
        writes = [*self._on_the_way, *([] if self._filling is None else [self._filling])]
        return self.resumed_at_bytes + self.acknowledged_bytes, [item.payload() for item in writes]

    def write(self, data: bytes | memoryview) -> int:
        """Take the next bytes of the stream; return how many, which is all.

        Raises:
            TransferError: The connection dropped; the same command continues.
            StorageError: The node's disk is full.
            ClusterError: The node refuses, in its own words.
        """
        view = memoryview(data).cast("B")
        skipped = min(len(view), max(0, self.resumed_at_bytes - self._fed_bytes))
        self._fed_bytes += len(view)
        if self._fed_bytes > self._size_bytes:
            raise TransferError(
                self._attempted,
                found=f"at least {self._fed_bytes} bytes to send",
                expected=f"{self._size_bytes} bytes",
            )
        rest = view[skipped:]
        while rest:
            if self._filling is None:
                self._filling = self._begun()
            rest = rest[self._filling.put(rest) :]
            if self._filling.is_full:
                self._send(self._filling)
        return len(view)

    def finish(self) -> None:
        """Send the rest, have the node write everything to its disk, and give the file its name.

        Raises:
            TransferError: The connection dropped, or the stream was shorter than announced.
            StorageError: The node's disk is full.
            ClusterError: The node refuses, in its own words.
        """
        if self._fed_bytes != self._size_bytes:
            raise TransferError(
                self._attempted,
                found=f"the stream ended after {self._fed_bytes} bytes",
                expected=f"{self._size_bytes} bytes",
            )
        while self._on_the_way:
            self._settle()
        if self._flush is not None:
            self._flush()
        with _translated(self._attempted, self._node):
            self._file.set_size(self._size_bytes)
            self._file.flush()
            self._file.rename(self._path)

    def __enter__(self) -> Upload:
        """Return the sink."""
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        """Let go of the file; without `finish`, what arrived stays for the next try."""
        self._on_flushed = None  # whoever gives up wants to be told nothing more
        with contextlib.suppress(ToolkitError):
            while self._on_the_way:
                self._settle()
        self._held.close()

    def _cut(self, size_bytes: int) -> None:
        """Have the unfinished file end there."""
        with contextlib.ExitStack() as failed:
            failed.callback(self._held.close)
            with _translated(self._attempted, self._node):
                self._file.set_size(size_bytes)
            failed.pop_all()

    def _begun(self) -> _Write:
        """Begin the next write, once there is room for it on the way."""
        if len(self._on_the_way) >= self._file.depth:
            self._settle()
        offset = self.sent_to_bytes
        size_bytes = min(self._file.chunk_bytes, self._size_bytes - offset)
        with _translated(self._attempted, self._node):
            return self._file.begin_write(size_bytes, offset)

    def _send(self, write: _Write) -> None:
        """Send a write that is full."""
        self._sent_bytes += write.size_bytes
        with _translated(self._attempted, self._node):
            write.send()
        self._filling = None
        self._on_the_way.append(write)

    def _settle(self) -> None:
        """Wait for the answer to the first write on its way."""
        write = self._on_the_way[0]
        with _translated(self._attempted, self._node):
            written = write.written_bytes(self._stall_s)
            if written < write.size_bytes:  # allowed; the hole lies where the next try begins
                raise SMBException(f"the node wrote {written} of {write.size_bytes} bytes")
        self.acknowledged_bytes += write.size_bytes
        self._on_the_way.popleft().release()
        if self._on_flushed is not None:
            self._flush_when_due(self._on_flushed)

    def _flush_when_due(self, tell: Callable[[int], None]) -> None:
        """Have the node write to its disk what it has acknowledged, without waiting for it now."""
        if self.acknowledged_bytes - self._flush_asked_at < _FLUSH_BYTES:
            return
        if self._flush is not None:
            self._flush()
        self._flush_asked_at = self.acknowledged_bytes
        flushed_bytes = self.resumed_at_bytes + self.acknowledged_bytes
        with _translated(self._attempted, self._node):
            answer = self._file.begin_flush()

        def settle() -> None:
            with _translated(self._attempted, self._node):
                answer()
            tell(flushed_bytes)

        self._flush = settle


def begin_upload(
    node: Node,
    credential: Credential,
    path: PureWindowsPath,
    *,
    size_bytes: int,
    part: str | None,
    must_exist: bool,
    safe_bytes: int | None,
    on_flushed: Callable[[int], None] | None,
    stall_s: float,
) -> Upload:
    """Open the unfinished file on the node; `Session.upload` documents it."""
    unfinished = path.with_name(part or path.name + ".part") if path.name else path
    disposition = CreateDisposition.FILE_OPEN if must_exist else CreateDisposition.FILE_OPEN_IF
    opened = _opened(node, credential, unfinished, disposition=disposition)
    return Upload(
        opened,
        node=node,
        path=path,
        size_bytes=size_bytes,
        safe_bytes=safe_bytes,
        on_flushed=on_flushed,
        stall_s=stall_s,
    )


def download(
    node: Node,
    credential: Credential,
    path: PureWindowsPath,
    sink: BinaryIO,
    *,
    progress: Progress,
) -> tuple[int, Sha256]:
    """Copy a file of the node into `sink`; `Session.download` documents it."""
    with _opened(node, credential, path, disposition=None) as file:
        progress.begin(f"{path.name} from {node.name}", total_bytes=file.size_bytes)
        try:
            return _drain(file, sink, f"copy {path} from node {node.name}", node, progress)
        finally:
            progress.end()


def _drain(
    file: _File, sink: BinaryIO, attempted: str, node: Node, progress: Progress
) -> tuple[int, Sha256]:
    """Copy an open file into the sink; return its size and SHA-256."""
    digest, size = hashlib.sha256(), file.size_bytes
    for data in _blocks(file, size, attempted, node):
        digest.update(data)
        _keep(sink, data, attempted)
        progress.advance(len(data))
    return size, Sha256(digest.hexdigest())


def _keep(sink: BinaryIO, data: bytes, attempted: str) -> None:
    try:
        sink.write(data)
    except OSError as error:
        raise StorageError(
            attempted,
            found=f"this machine cannot write it ({error.strerror or error})",
            hint="free space here, then run the same command again",
        ) from error


def _blocks(file: _File, size: int, attempted: str, node: Node) -> Iterator[bytes]:
    """Yield the file in order, with up to `depth` reads on their way."""
    asked: deque[tuple[int, int, Callable[[], bytes]]] = deque()
    offset = 0
    while offset < size or asked:
        with _translated(attempted, node):
            while offset < size and len(asked) < file.depth:
                length = min(file.chunk_bytes, size - offset)
                asked.append((offset, length, file.begin_read(offset, length)))
                offset += length
            start, length, answer = asked.popleft()
            data = answer()
            while len(data) < length:  # a short read is allowed
                more = file.begin_read(start + len(data), length - len(data))()
                if not more:
                    raise SMBException("the file became shorter meanwhile")
                data += more
        yield data


# --- one open file ------------------------------------------------------------------------------


class _Write(Protocol):
    """One write of a file: filled, sent, answered."""

    @property
    def size_bytes(self) -> int:
        """How long it is."""

    @property
    def is_full(self) -> bool:
        """Whether its whole payload was put in."""

    def put(self, data: memoryview) -> int:
        """Take as much of the payload as is missing; return how much that was."""

    def send(self) -> None:
        """Send it, once it is full."""

    def written_bytes(self, timeout_s: float) -> int:
        """Wait so long for the answer; return how many bytes the node has written."""

    def payload(self) -> bytes:
        """Return what was put in so far."""

    def release(self) -> None:
        """Let its memory be used again: it was acknowledged."""


class _PlainWrite:
    """A write that smbprotocol lays out: signed, or encrypted in another way than by AES-GCM."""

    def __init__(self, file: _File, size_bytes: int, offset: int) -> None:
        self._file, self._offset, self.size_bytes = file, offset, size_bytes
        self._data = bytearray()

    @property
    def is_full(self) -> bool:
        return len(self._data) == self.size_bytes

    def put(self, data: memoryview) -> int:
        data = data[: self.size_bytes - len(self._data)]
        self._data += data
        return len(data)

    def send(self) -> None:
        message, _ = self._file.handle.write(self.payload(), offset=self._offset, send=False)
        self._request = self._file.send(message, _credits(self.size_bytes))

    def written_bytes(self, timeout_s: float) -> int:
        response = SMB2WriteResponse()
        received = self._file.connection.receive(self._request, timeout=timeout_s)
        response.unpack(received["data"].get_value())
        return int(response["count"].get_value())

    def payload(self) -> bytes:
        return bytes(self._data)

    def release(self) -> None:
        self._data.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """An open file and what its connection allows."""

    connection: Any
    tree: Any
    handle: Any
    chunk_bytes: int
    depth: int

    @property
    def size_bytes(self) -> int:
        return int(self.handle.end_of_file)

    def begin_write(self, size_bytes: int, offset: int) -> _Write:
        """Begin to write so many bytes there."""
        frames = self.connection.frames
        if frames is None:
            return _PlainWrite(self, size_bytes, offset)
        write: _Write = frames.begin(size_bytes, offset)
        return write

    def begin_read(self, offset: int, length: int) -> Callable[[], bytes]:
        message, receive = self.handle.read(offset, length, send=False)
        request = self.send(message, _credits(length))
        return lambda: bytes(receive(request))

    def begin_flush(self) -> Callable[[], None]:
        """Have the node write to its disk what it has acknowledged by now."""
        message, receive = self.handle.flush(send=False)
        request = self.send(message, 1)

        def settle() -> None:
            receive(request)

        return settle

    def flush(self) -> None:
        """Have the node write everything to its disk, and wait for it."""
        self.begin_flush()()

    def set_size(self, size_bytes: int) -> None:
        """Cut the file off there; an unfinished file of an earlier try may have been longer."""
        info = FileEndOfFileInformation()
        info["end_of_file"] = size_bytes
        self._set_info(info)

    def rename(self, path: PureWindowsPath) -> None:
        """Give the file this name, replacing one that has it."""
        info = FileRenameInformation()
        info["replace_if_exists"] = True
        info["file_name"] = _inside_drive(path)
        self._set_info(info)

    def _set_info(self, info: Any) -> None:
        message = SMB2SetInfoRequest()
        message["info_type"] = info.INFO_TYPE
        message["file_info_class"] = info.INFO_CLASS
        message["file_id"] = self.handle.file_id
        message["buffer"] = info.pack()
        response = self.connection.receive(self.send(message, 1))
        SMB2SetInfoResponse().unpack(response["data"].get_value())

    def send(self, message: Any, credit_request: int) -> Any:
        """Send one request of smbprotocol's about this file."""
        return self.connection.send(
            message,
            sid=self.tree.session.session_id,
            tid=self.tree.tree_connect_id,
            credit_request=credit_request,
        )


def _credits(length: int) -> int:
    return max(1, -(-length // _CREDIT_BYTES))


def _inside_drive(path: PureWindowsPath) -> str:
    return str(path.relative_to(path.anchor))


@contextlib.contextmanager
def _opened(
    node: Node, credential: Credential, path: PureWindowsPath, *, disposition: int | None
) -> Iterator[_File]:
    """Open one file over a connection of its own: drive `C:` of a path is the share `C$`.

    With a disposition it is opened to be written, without one to be read.
    """
    is_upload = disposition is not None
    if not (len(path.drive) == 2 and path.root and path.name):
        raise InputError(
            f"reach a file on node {node.name}",
            found=str(path),
            expected=r"an absolute path with a drive letter, like C:\folder\file",
        )
    connection = _Connection(uuid.uuid4(), node.address, node.smb_port, require_signing=True)
    try:
        share = f"{path.drive[0].upper()}$"
        with _translated(f"reach share {share} of node {node.name} by SMB", node, opening=True):
            tree = _tree(connection, node, credential, share)
            chunk_bytes, depth = _grow_window(connection, tree, is_upload=is_upload)
        handle = Open(tree, _inside_drive(path))
        verb = "write" if is_upload else "read"
        with _translated(f"{verb} {path} on node {node.name}", node):
            _create(handle, disposition)
        if is_upload and can_frame(connection, tree.session):
            connection.frames = WriteFrames(
                connection, tree, handle.file_id, chunk_bytes=chunk_bytes
            )
        yield _File(
            connection=connection,
            tree=tree,
            handle=handle,
            chunk_bytes=chunk_bytes,
            depth=depth,
        )
        with contextlib.suppress(ToolkitError), _translated("hang up", node):
            connection.disconnect()
    finally:
        connection.disconnect(close=False)


def _create(handle: Any, disposition: int | None) -> None:
    access = FilePipePrinterAccessMask
    options = CreateOptions.FILE_NON_DIRECTORY_FILE
    if disposition is not None:
        handle.create(
            ImpersonationLevel.Impersonation,
            access.GENERIC_READ | access.GENERIC_WRITE | access.DELETE,
            FileAttributes.FILE_ATTRIBUTE_NORMAL,
            ShareAccess.FILE_SHARE_READ,  # nobody else writes it at the same time
            disposition,
            options,
        )
    else:
        handle.create(
            ImpersonationLevel.Impersonation,
            access.GENERIC_READ,
            FileAttributes.FILE_ATTRIBUTE_NORMAL,
            ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE,
            CreateDisposition.FILE_OPEN,
            options | CreateOptions.FILE_SEQUENTIAL_ONLY,
        )


def _tree(connection: Any, node: Node, credential: Credential, share: str) -> Any:
    """Connect, authenticate once, and reach the share; everything after is encrypted or signed."""
    connection.connect(timeout=_CONNECT_S)
    connection.transport._sock.settimeout(STALL_S)  # noqa: SLF001 - a send would wait for ever
    if connection.dialect < Dialects.SMB_3_0_0:
        raise ConnectError(
            f"connect to node {node.name} by SMB",
            found=f"SMB dialect {connection.dialect:#06x}",
            expected="SMB 3.0 or newer",
            hint="nodes of Azure Local speak SMB 3.1.1; is this one, or something in between?",
        )
    is_spnego = node.auth in (AuthMethod.NEGOTIATE, AuthMethod.NTLM, AuthMethod.KERBEROS)
    session = SmbSession(
        connection,
        username=credential.username,
        password=credential.password,
        require_encryption=bool(connection.supports_encryption),
        auth_protocol=node.auth.value if is_spnego else AuthMethod.NEGOTIATE.value,
    )
    _refuse_bare_answers(connection.transport, session)
    _take_written(connection)
    session.connect()
    tree = TreeConnect(session, rf"\\{node.address}\{share}")
    tree.connect()
    return tree


def _refuse_bare_answers(transport: Any, session: Any) -> None:
    """Once a session stands, take only encrypted answers, or signed ones where it is not encrypted."""
    receive = transport.recv

    def checked(timeout: float) -> bytes:
        message: bytes = receive(timeout)
        if message and session.encrypt_data is not None:  # None: still authenticating
            is_encrypted = message[:4] == b"\xfdSMB"
            status, flags = message[8:12], int.from_bytes(message[16:20], "little")
            is_signed = (
                bool(flags & 0x8) or status == b"\x03\x01\x00\x00"
            )  # STATUS_PENDING never is
            if not is_encrypted and (session.encrypt_data or not is_signed):
                raise SMBException("an answer that is neither encrypted nor signed as agreed")
        return message

    transport.recv = checked


def _take_written(connection: _Connection) -> None:
    """Let the frames of a file read the answers to its writes; smbprotocol need not see these."""
    receive = connection.transport.recv

    def others(timeout: float) -> bytes:
        while True:
            message: bytes = receive(timeout)
            frames = connection.frames
            if not message or frames is None or not frames.take(message):
                return message

    connection.transport.recv = others


def _grow_window(connection: Any, tree: Any, *, is_upload: bool) -> tuple[int, int]:
    """Ask for enough credits to keep `_DEPTH` chunks on their way; return chunk size and depth."""
    limit = connection.max_write_size if is_upload else connection.max_read_size
    if not connection.supports_multi_credit:
        limit = min(limit, _CREDIT_BYTES)
    chunk_bytes = min(_CHUNK_BYTES, limit)
    charge = _credits(chunk_bytes)

    def available() -> int:
        window = connection.sequence_window
        return int(window["high"] - window["low"])

    for _ in range(8):  # servers grant what they like; Windows and Samba need one or two
        if available() >= charge * (_DEPTH + 1):
            break
        connection.echo(sid=tree.session.session_id, credit_request=512)
    while charge >= available() and charge > 1:  # one is left for a flush beside it
        chunk_bytes //= 2
        charge = _credits(chunk_bytes)
    return chunk_bytes, max(1, min(_DEPTH, available() // charge - 1))


class _Connection(Connection):  # type: ignore[misc]  # smbprotocol is not typed for us
    """A connection that waits `_PATIENCE_S` where smbprotocol would wait for ever, and only once."""

    frames: WriteFrames | None = None
    """Of the file that is written, where its writes are encrypted."""

    def send(self, *args: Any, **kwargs: Any) -> Any:
        """Send one request; half a request cannot be followed by anything."""
        with self.given_up():
            return super().send(*args, **kwargs)

    def receive(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """Wait for the answer to one request; a node that fails to answer is not asked again."""
        patience_s = timeout or _PATIENCE_S
        began = time.monotonic()
        with self.given_up():
            try:
                return super().receive(*args, timeout=patience_s, **kwargs)
            except SMBResponseException:
                raise
            except SMBException as error:
                if time.monotonic() - began < patience_s:
                    raise
                raise SMBException(f"the node answered nothing for {patience_s:.0f} s") from error

    @contextlib.contextmanager
    def given_up(self) -> Iterator[None]:
        """Close the connection when the block fails, unless with an answer."""
        try:
            yield
        except SMBResponseException:  # an answer, if a no
            raise
        except (SMBException, TimeoutError, *_UNREADABLE):
            self.transport.close()
            raise
        except OSError as error:
            self.transport.close()
            raise SMBConnectionClosed("the connection was dropped") from error


# --- errors -------------------------------------------------------------------------------------

_UNREADABLE = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, InvalidTag
)  # fmt: skip
"""What smbprotocol lets through when an answer is not what the protocol says."""

_STATUS_NAMES = {
    value: name for name, value in vars(NtStatus).items() if name.startswith("STATUS_")
}
_LOGON_REFUSED = {
    0xC000006A: "wrong password",
    0xC000006D: "wrong user name or password",
    0xC000006E: "the account is restricted",
    0xC000006F: "the account may not log on at this time",
    0xC0000070: "the account may not log on from this machine",
    0xC0000071: "the password has expired",
    0xC0000072: "the account is disabled",
    0xC0000193: "the account has expired",
    0xC000015B: "the account may not log on over the network",
    0xC0000224: "the password must be changed first",
    0xC0000234: "the account is locked",
}
_DISK_FULL = {0xC000007F: "its disk is full", 0xC0000044: "the quota there is used up"}
_NO_SHARE = "does the node have this drive, and its administrative shares switched on?"
_SAID_NO = {
    0xC0000022: ("access denied", "the account must be an administrator of the node"),
    0xC0000034: ("no such file", None),
    0xC000003A: ("no such folder", None),
    0xC00000BA: ("a folder stands under this name", None),
    0xC00000CC: ("no such share", _NO_SHARE),
    0xC0000225: ("no such share", _NO_SHARE),
}
_GONE = {
    0xC0000043: "the file is open elsewhere",  # often our own dropped connection, for a while
    0xC0000203: "the node ended the session",
    0xC00000C9: "the node took the share away",
    0xC000035C: "the session expired",
    0xC0000128: "the node closed the file",
}


@contextlib.contextmanager
def _translated(attempted: str, node: Node, *, opening: bool = False) -> Iterator[None]:
    """Turn what smbprotocol and what lies under it raise into our errors, most specific first."""
    try:
        yield
    except SMBResponseException as error:
        raise _answered(attempted, node, error.status) from error
    except SMBAuthenticationError as error:
        raise AuthenticationError(
            attempted,
            found=str(error).splitlines()[0],
            hint="Kerberos needs an optional package, a ticket and the node's name instead of its address; "
            "negotiate falls back to NTLM",
        ) from error
    except SMBConnectionClosed as error:
        raise _lost(attempted, node, "the connection was dropped", opening=opening) from error
    except (SMBException, OSError) as error:
        raise _lost(attempted, node, _words(error), opening=opening) from error
    except _UNREADABLE as error:
        if isinstance(error.__cause__, OSError):  # how smbprotocol wraps a refused connection
            found = _words(error.__cause__)
        else:
            found = f"an answer that is not understood ({type(error).__name__})"
        raise _lost(attempted, node, found, opening=opening) from error


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _lost(attempted: str, node: Node, found: str, *, opening: bool) -> ReachError:
    if opening:
        return ConnectError(
            attempted,
            found=found,
            hint=f"is {node.address} right, the node up, and port {node.smb_port} open to this machine?",
        )
    return TransferError(
        attempted, found=found, hint="run the same command again; it goes on where this one stopped"
    )


def _answered(attempted: str, node: Node, status: int) -> ToolkitError:
    code = f"NTSTATUS {status:#010x}"
    if status in _LOGON_REFUSED:
        return AuthenticationError(
            attempted,
            found=f"the node refuses the credential: {_LOGON_REFUSED[status]} ({code})",
            hint="it was tried once and is not tried again, because accounts lock; check user name "
            "(DOMAIN\\name or name@domain) and password",
        )
    if status in _DISK_FULL:
        return StorageError(
            attempted,
            found=f"on node {node.name} {_DISK_FULL[status]} ({code})",
            hint="free space there, then run the same command again; it goes on where this one stopped",
        )
    if status in _GONE:
        return TransferError(
            attempted,
            found=f"{_GONE[status]} ({code})",
            hint="wait a minute and run the same command again; it goes on where this one stopped",
        )
    # not str(error): smbprotocol reads details for it that an answer need not have
    words, hint = _SAID_NO.get(status, (_STATUS_NAMES.get(status, "it says no"), None))
    return ClusterError(attempted, found=f"{words} ({code})", hint=hint)
