"""An SMB 3.1.1 file server over the drives of a simulated node.

Theory of operation
    One thread per connection reads a frame, opens its encryption, takes the requests of the
    compound one by one, answers each, signs or encrypts the answers and sends them in one frame.
    So answers leave in the order of the requests, and CANCEL has nothing to do.

    A connection begins with NEGOTIATE, which fixes dialect, cipher and signing algorithm. A session
    begins with SESSION_SETUP; from the hash over all messages so far and the key NTLM agreed on
    come the session's keys (`smb_crypto`). After that a request must be encrypted, or signed where
    encryption is not required; every signature is checked. A client may send only message numbers
    it has been granted (`_Window`); one that does not is cut off, as Windows does.

    The file commands are in `smb_files`, the messages in `smb_wire`, the faults in `smb_faults`.

Section numbers are those of [MS-SMB2]. What is not imitated stands in docs/simulator.md.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import socketserver
import struct
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from spnego.exceptions import SpnegoError

from tests.simcluster.filetree import FileTree
from tests.simcluster.ntlm import Accounts
from tests.simcluster.open_files import OpenFiles
from tests.simcluster.sharedays import ShareDays
from tests.simcluster.smb_crypto import (
    AES_128_GCM,
    SHA_512,
    PreauthHash,
    SessionKeys,
    SigningAlgorithm,
    session_of_frame,
)
from tests.simcluster.smb_faults import ConnectionState, Hook, Verdict
from tests.simcluster.smb_files import ALL_ACCESS, Disk, FileCommands, OpenFile, pending_write
from tests.simcluster.smb_wire import (
    DIALECT,
    FLAG_RELATED,
    FLAG_RESPONSE,
    FLAG_SIGNED,
    HEADER_BYTES,
    MAX_FRAME_BYTES,
    MAX_IO_BYTES,
    TRANSFORM_MAGIC,
    BrokenFrameError,
    Command,
    Header,
    RefusedError,
    Reply,
    Request,
    Status,
    error_body,
    padded,
    split,
    to_filetime,
)

_NEGOTIATE = struct.Struct("<HHHHI16sIHH")
_SESSION_SETUP = struct.Struct("<HBBIIHHQ")
_TREE_CONNECT = struct.Struct("<HHHH")
_IOCTL = struct.Struct("<HHI16sIIIIIIII")

_CONTEXT_PREAUTH, _CONTEXT_ENCRYPTION, _CONTEXT_SIGNING = 1, 2, 8
_SIGNING_ENABLED_AND_REQUIRED = 0x3
_CAPABILITY_LARGE_MTU = 0x4  # multi-credit requests
_SESSION_FLAG_BINDING = 0x1
_SESSION_FLAG_ENCRYPT = 0x4
_SHARE_FLAG_ENCRYPT = 0x8000
_SHARE_DISK, _SHARE_PIPE = 1, 2
_DFS_REFERRALS = (0x00060194, 0x000601B0)
_MAX_CREDITS = 8192  # the default of Windows Server

_IPC = "IPC$"


class SmbServer(socketserver.ThreadingTCPServer):
    """One node's SMB server; usable as a context manager."""

    allow_reuse_address = sys.platform != "win32"  # there it would let two servers share a port
    daemon_threads = False

    def __init__(
        self,
        address: str,
        port: int,
        *,
        accounts: Accounts,
        shares: Mapping[str, FileTree],
        require_encryption: bool = True,
        hook: Hook | None = None,
        capacity_bytes: int | None = None,
        open_files: OpenFiles | None = None,
        days: ShareDays | None = None,
    ) -> None:
        """Bind, without serving yet.

        Args:
            address: Of the node.
            port: 0 takes a free one; `port` tells which.
            accounts: Who may log on.
            shares: Share name to drive; `IPC$` comes with every server.
            require_encryption: Refuse whatever is not encrypted; else what is not signed.
            hook: A fault; see `smb_faults`. May be exchanged while the server runs.
            capacity_bytes: Size of each drive, all its mounts included; None for the real disk's.
            open_files: Of all nodes that share a volume; a table of its own by default.
            days: How the cluster's volume is today; well by default.
        """
        super().__init__((address, port), _Connection)
        self.address: str = self.socket.getsockname()[0]
        self.port: int = self.socket.getsockname()[1]
        self.accounts = accounts
        self.require_encryption = require_encryption
        self.hook = hook
        self.guid = uuid.uuid4().bytes_le
        open_files = open_files or OpenFiles()
        disks = {id(tree): Disk(tree, capacity_bytes, open_files, days) for tree in shares.values()}
        self.shares = {name.casefold(): disks[id(tree)] for name, tree in shares.items()}
        self._connections: set[socket.socket] = set()
        self.loses_unflushed = False
        """Set before `stop`: what was written and not flushed is lost."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve in threads of its own until `stop`."""
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.05,), name=f"smb-{self.address}:{self.port}"
        )
        self._thread.start()

    def stop(self) -> None:
        """Cut every connection and wait until every thread has ended."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
            self._thread = None
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that `stop` can cut it."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)


class _Window:
    """The message numbers a client may use (3.3.1.1, 3.3.5.2.3)."""

    def __init__(self) -> None:
        self._available = {0}
        self._next = 1

    def take(self, header: Header) -> None:
        numbers = range(header.message_id, header.message_id + max(1, header.credit_charge))
        if not self._available.issuperset(numbers):
            raise BrokenFrameError("a client used a message number it was not granted")
        self._available.difference_update(numbers)

    def grant(self, wanted: int) -> int:
        granted = min(max(1, wanted), _MAX_CREDITS - len(self._available))
        self._available.update(range(self._next, self._next + granted))
        self._next += granted
        return granted


@dataclass(slots=True)
class _Session:
    """One logon: on its way while `keys` is None."""

    number: int
    acceptor: Any
    preauth: PreauthHash
    files: FileCommands
    keys: SessionKeys | None = None
    trees: dict[int, Disk | None] = field(default_factory=dict)  # None is IPC$


@dataclass(slots=True)
class _Chain:
    """What the requests of one compound hand on to each other (3.3.5.2.7.2)."""

    session_id: int = 0
    tree_id: int = 0
    opened: OpenFile | None = None
    refused: Status | None = None


class _Connection(socketserver.BaseRequestHandler):
    """The state of one client's connection."""

    server: SmbServer
    request: socket.socket

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._window = _Window()
        self._preauth = PreauthHash()
        self._is_negotiated = False
        self._can_encrypt = False
        self._signing = SigningAlgorithm.AES_CMAC  # without a signing context (3.3.5.4)
        self._sessions: dict[int, _Session] = {}
        self._state = ConnectionState(peer="{}:{}".format(*self.client_address))
        self._handlers: dict[int, Callable[[Request, _Session, _Chain], Reply]] = {
            Command.ECHO: _echo,
            Command.LOGOFF: self._log_off,
            Command.TREE_CONNECT: self._connect_tree,
            Command.TREE_DISCONNECT: self._disconnect_tree,
            Command.CREATE: self._create,
            Command.IOCTL: self._ioctl,
            Command.QUERY_INFO: self._query_info,
            Command.CLOSE: self._with_files(FileCommands.close),
            Command.FLUSH: self._with_files(FileCommands.flush),
            Command.READ: self._with_files(FileCommands.read),
            Command.WRITE: self._with_files(FileCommands.write),
            Command.QUERY_DIRECTORY: self._with_files(FileCommands.query_directory),
            Command.SET_INFO: self._with_files(FileCommands.set_info),
        }

    def handle(self) -> None:
        """Answer frames until either side ends the connection."""
        with contextlib.suppress(OSError, BrokenFrameError):
            while (frame := self._receive_frame()) is not None:
                answer = self._answer(frame)
                if answer:
                    self.request.sendall(struct.pack(">I", len(answer)) + answer)

    def finish(self) -> None:
        for session in self._sessions.values():
            if self.server.loses_unflushed:
                session.files.lose_unflushed()
            session.files.close_all()

    def _receive_frame(self) -> bytearray | None:
        head = self._receive(4)
        if head is None:
            return None
        (size,) = struct.unpack(">I", head)
        if not HEADER_BYTES <= size <= MAX_FRAME_BYTES:
            raise BrokenFrameError("a frame has an impossible size")
        return self._receive(size)

    def _receive(self, size: int) -> bytearray | None:
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            received = self.request.recv_into(rest)
            if not received:
                return None
            rest = rest[received:]
        return data

    def _answer(self, frame: bytearray) -> bytes | bytearray:
        if frame[:4] != TRANSFORM_MAGIC:
            return self._answer_compound(memoryview(frame), None)
        session = self._sessions.get(session_of_frame(frame))
        if session is None or session.keys is None:
            raise BrokenFrameError("a frame is encrypted for no session of this connection")
        answer = self._answer_compound(memoryview(session.keys.open(frame)), session)
        return session.keys.seal(answer, session.number) if answer else answer

    def _answer_compound(
        self, message: memoryview, encrypted_by: _Session | None
    ) -> bytes | bytearray:
        chain = _Chain()
        answers: list[tuple[Header, Reply, SessionKeys | None]] = []
        for request in split(message):
            header = request.header
            if header.command == Command.CANCEL:
                continue
            self._window.take(header)
            if header.flags & FLAG_RELATED:
                header.session_id, header.tree_id = chain.session_id, chain.tree_id
            else:
                chain = _Chain(header.session_id, header.tree_id)
            session = self._sessions.get(header.session_id)
            reply = self._serve(request, session, chain, encrypted_by)
            if session is None and reply.session_id is not None:
                session = self._sessions.get(reply.session_id)
            answers.append((header, reply, session.keys if session else None))
        packed = [
            self._pack(
                header, reply, None if encrypted_by else keys, is_last=reply is answers[-1][1]
            )
            for header, reply, keys in answers
        ]
        return packed[0] if len(packed) == 1 else b"".join(packed)

    def _pack(
        self, asked: Header, reply: Reply, keys: SessionKeys | None, *, is_last: bool
    ) -> bytearray:
        body = reply.body if is_last else padded(reply.body)
        is_signed = keys is not None and asked.command != Command.NEGOTIATE
        header = Header(
            command=asked.command,
            message_id=asked.message_id,
            credit_charge=asked.credit_charge,
            status=reply.status,
            credits=self._window.grant(asked.credits),
            flags=FLAG_RESPONSE | (asked.flags & FLAG_RELATED) | (FLAG_SIGNED if is_signed else 0),
            next_command=0 if is_last else HEADER_BYTES + len(body),
            reserved=asked.reserved,
            tree_id=asked.tree_id if reply.tree_id is None else reply.tree_id,
            session_id=asked.session_id if reply.session_id is None else reply.session_id,
        )
        message = bytearray(header.pack())
        message += body
        if keys is not None and is_signed:
            keys.sign(message)
        if asked.command == Command.NEGOTIATE:
            self._preauth.add(message)
        elif reply.status == Status.MORE_PROCESSING_REQUIRED:
            self._sessions[header.session_id].preauth.add(message)
        return message

    def _serve(
        self,
        request: Request,
        session: _Session | None,
        chain: _Chain,
        encrypted_by: _Session | None,
    ) -> Reply:
        """Serve one request, as far as it may be served and no fault forbids it."""
        verdict = None
        try:
            verdict = self._ask_hook(request)
            reply = self._serve_checked(request, session, chain, encrypted_by)
        except RefusedError as refusal:
            if request.header.command == Command.CREATE:
                chain.refused = refusal.status
            reply = Reply(error_body(), refusal.status)
        if verdict == "drop unanswered":
            raise BrokenFrameError("a fault cuts the connection before the answer")
        return reply

    def _ask_hook(self, request: Request) -> Verdict:
        hook = self.server.hook
        self._state.pending_write = None  # the hook may have been taken away since the last request
        if hook is None:
            return None
        command = request.header.command
        is_write = command == Command.WRITE
        if is_write:
            self._state.pending_write = pending_write(request)
        verdict = hook(Command(command).name, self._state)
        if verdict == "drop":
            raise BrokenFrameError("a fault cuts the connection")
        return verdict

    def _serve_checked(
        self,
        request: Request,
        session: _Session | None,
        chain: _Chain,
        encrypted_by: _Session | None,
    ) -> Reply:
        if chain.refused is not None:
            raise RefusedError(chain.refused)
        command = request.header.command
        if command == Command.NEGOTIATE:
            return self._negotiate(request)
        if not self._is_negotiated:
            raise BrokenFrameError("a client did not begin with NEGOTIATE")
        if command == Command.SESSION_SETUP and (session is None or session.keys is None):
            return self._set_up_session(request, session)
        if command == Command.ECHO and request.header.session_id == 0:
            return _echo()
        if session is None or session.keys is None:
            raise RefusedError(Status.USER_SESSION_DELETED)
        if encrypted_by is None:
            self._check_signature(request, session.keys)
        elif encrypted_by is not session:
            raise RefusedError(Status.ACCESS_DENIED)
        handler = self._handlers.get(command)
        if handler is None:
            raise RefusedError(Status.NOT_SUPPORTED)
        return handler(request, session, chain)

    def _check_signature(self, request: Request, keys: SessionKeys) -> None:
        """Refuse what is not signed, or not encrypted where it must be (3.3.5.2.4, 3.3.5.2.9)."""
        if request.header.flags & FLAG_SIGNED:
            is_good = keys.is_signed(request.message)
        elif request.header.command == Command.TREE_CONNECT:
            raise BrokenFrameError("TREE_CONNECT is not signed")  # 3.3.5.7: not even answered
        else:
            is_good = False
        if not is_good or self.server.require_encryption:
            raise RefusedError(Status.ACCESS_DENIED)

    def _negotiate(self, request: Request) -> Reply:
        """NEGOTIATE (3.3.5.3, 3.3.5.4)."""
        if self._is_negotiated:
            raise BrokenFrameError("a client negotiates twice")
        count, _, _, _, _, offset, contexts, _ = request.unpack(_NEGOTIATE, 36)
        dialects = request.buffer(HEADER_BYTES + _NEGOTIATE.size, 2 * count)
        if (DIALECT,) not in struct.iter_unpack("<H", dialects):
            raise RefusedError(Status.NOT_SUPPORTED)
        offered = _read_contexts(request, offset, contexts)
        if SHA_512 not in _identifiers(offered.get(_CONTEXT_PREAUTH, b""), extra=2):
            raise RefusedError(Status.INVALID_PARAMETER)
        answers = [
            (_CONTEXT_PREAUTH, struct.pack("<HHH", 1, 32, SHA_512) + secrets.token_bytes(32))
        ]
        if _CONTEXT_ENCRYPTION in offered:
            self._can_encrypt = AES_128_GCM in _identifiers(offered[_CONTEXT_ENCRYPTION])
            cipher = AES_128_GCM if self._can_encrypt else 0
            answers.append((_CONTEXT_ENCRYPTION, struct.pack("<HH", 1, cipher)))
        signing = _identifiers(offered.get(_CONTEXT_SIGNING, b""))
        for algorithm in (SigningAlgorithm.AES_GMAC, SigningAlgorithm.AES_CMAC):
            if algorithm in signing:
                self._signing = algorithm
                answers.append((_CONTEXT_SIGNING, struct.pack("<HH", 1, algorithm)))
                break
        self._is_negotiated = True
        self._preauth.add(request.message)
        return Reply(self._negotiate_body(answers))

    def _negotiate_body(self, contexts: list[tuple[int, bytes]]) -> bytes:
        token = self.server.accounts.acceptor().step() or b""
        at = HEADER_BYTES + 64  # behind the header and the fixed part
        head = struct.pack(
            "<HHHH16sIIIIQQHHI",
            65,
            _SIGNING_ENABLED_AND_REQUIRED,
            DIALECT,
            len(contexts),
            self.server.guid,
            _CAPABILITY_LARGE_MTU,
            MAX_IO_BYTES,
            MAX_IO_BYTES,
            MAX_IO_BYTES,
            to_filetime(time.time_ns()),
            0,
            at,
            len(token),
            at + len(padded(token)),
        )
        packed = [struct.pack("<HHI", kind, len(data), 0) + data for kind, data in contexts]
        return head + padded(token) + b"".join([*map(padded, packed[:-1]), packed[-1]])

    def _set_up_session(self, request: Request, session: _Session | None) -> Reply:
        """SESSION_SETUP (3.3.5.5); no binding of sessions to second connections."""
        flags, _, _, _, offset, length, _ = request.unpack(_SESSION_SETUP, 25)
        if flags & _SESSION_FLAG_BINDING:
            raise RefusedError(Status.REQUEST_NOT_ACCEPTED)
        if self.server.require_encryption and not self._can_encrypt:
            raise RefusedError(Status.ACCESS_DENIED)
        if session is None:
            if request.header.session_id:
                raise RefusedError(Status.USER_SESSION_DELETED)
            session = _Session(
                number=secrets.randbits(63) | 1,
                acceptor=self.server.accounts.acceptor(),
                preauth=self._preauth.copy(),
                files=FileCommands(self._state),
            )
            self._sessions[session.number] = session
        session.preauth.add(request.message)
        try:
            token = session.acceptor.step(bytes(request.buffer(offset, length))) or b""
        except SpnegoError:
            del self._sessions[session.number]
            raise RefusedError(Status.LOGON_FAILURE) from None
        status = Status.MORE_PROCESSING_REQUIRED
        flags = 0
        if session.acceptor.complete:
            status = Status.SUCCESS
            flags = _SESSION_FLAG_ENCRYPT if self.server.require_encryption else 0
            session.keys = SessionKeys(session.acceptor.session_key, session.preauth, self._signing)
            self._state.user = session.acceptor.client_principal
        body = struct.pack("<HHHH", 9, flags, HEADER_BYTES + 8, len(token)) + token
        return Reply(body, status, session_id=session.number)

    def _log_off(self, _: Request, session: _Session, __: _Chain) -> Reply:
        """LOGOFF (3.3.5.6)."""
        session.files.close_all()
        del self._sessions[session.number]
        return Reply(struct.pack("<HH", 4, 0))

    def _connect_tree(self, request: Request, session: _Session, _: _Chain) -> Reply:
        """TREE_CONNECT (3.3.5.7)."""
        _, offset, length = request.unpack(_TREE_CONNECT, 9)
        name = request.text(offset, length).split("\\")[-1].casefold()
        if name != _IPC.casefold() and name not in self.server.shares:
            raise RefusedError(Status.BAD_NETWORK_NAME)
        disk = self.server.shares.get(name)
        number = max(session.trees, default=0) + 1
        session.trees[number] = disk
        flags = _SHARE_FLAG_ENCRYPT if self.server.require_encryption else 0
        kind = _SHARE_DISK if disk is not None else _SHARE_PIPE
        return Reply(struct.pack("<HBBIII", 16, kind, 0, flags, 0, ALL_ACCESS), tree_id=number)

    def _disconnect_tree(self, request: Request, session: _Session, _: _Chain) -> Reply:
        """TREE_DISCONNECT (3.3.5.8)."""
        if request.header.tree_id not in session.trees:
            raise RefusedError(Status.NETWORK_NAME_DELETED)
        session.files.close_all(request.header.tree_id)
        del session.trees[request.header.tree_id]
        return Reply(struct.pack("<HH", 4, 0))

    def _create(self, request: Request, session: _Session, chain: _Chain) -> Reply:
        disk = _disk_of(request, session)
        if disk is None:  # no named pipe exists
            raise RefusedError(Status.OBJECT_NAME_NOT_FOUND)
        chain.opened, body = session.files.create(request, request.header.tree_id, disk)
        return Reply(body)

    def _query_info(self, request: Request, session: _Session, chain: _Chain) -> Reply:
        _disk_of(request, session)
        status, body = session.files.query_info(request, chain.opened)
        return Reply(body, status)

    def _ioctl(self, request: Request, session: _Session, _: _Chain) -> Reply:
        """IOCTL (3.3.5.15): only to say that there is no DFS, and nothing else either."""
        _disk_of(request, session)
        _, code, *_rest = request.unpack(_IOCTL, 57)
        if code in _DFS_REFERRALS:
            raise RefusedError(Status.FS_DRIVER_REQUIRED)
        raise RefusedError(Status.INVALID_DEVICE_REQUEST)

    @staticmethod
    def _with_files(
        method: Callable[[FileCommands, Request, OpenFile | None], bytes],
    ) -> Callable[[Request, _Session, _Chain], Reply]:
        """Make a handler of a file command that needs nothing but its session's opens."""

        def handler(request: Request, session: _Session, chain: _Chain) -> Reply:
            _disk_of(request, session)
            return Reply(method(session.files, request, chain.opened))

        return handler


def _echo(*_: object) -> Reply:
    """ECHO (3.3.5.17), which a client may also send without a session."""
    return Reply(struct.pack("<HH", 4, 0))


def _disk_of(request: Request, session: _Session) -> Disk | None:
    """Find the drive of the tree connect a request names; None for IPC$."""
    if request.header.tree_id not in session.trees:
        raise RefusedError(Status.NETWORK_NAME_DELETED)
    return session.trees[request.header.tree_id]


def _read_contexts(request: Request, offset: int, count: int) -> dict[int, bytes]:
    """Read the negotiate contexts (2.2.3.1)."""
    contexts = {}
    for _ in range(count):
        kind, length, _ = struct.unpack("<HHI", request.buffer(offset, 8))
        contexts[kind] = bytes(request.buffer(offset + 8, length))
        offset += 8 + length + -length % 8
    return contexts


def _identifiers(context: bytes, *, extra: int = 0) -> list[int]:
    """Read a context that is a count, perhaps another field, and that many 16-bit identifiers."""
    count = int.from_bytes(context[:2], "little")
    found = context[2 + extra : 2 + extra + 2 * count]
    return [identifier for (identifier,) in struct.iter_unpack("<H", found[: len(found) // 2 * 2])]
