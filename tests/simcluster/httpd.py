"""The HTTP(S) listener of a node: one handler object per TCP connection, as NTLM needs it."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from tests.simcluster.auth import ConnectionAuth, MalformedError, Policy

_HANDSHAKE_LIMIT_S = 10.0
_MAX_BODY_BYTES = 4 << 20
_SOAP_TYPE = "application/soap+xml;charset=UTF-8"


class DropConnectionError(Exception):
    """A fault asks for the connection to be cut without an answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One SOAP answer and its HTTP status."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """One authenticated request."""

    body: bytes
    user: str
    client_address: str


@dataclass(frozen=True, slots=True)
class Service:
    """What stands behind a listener."""

    policy: Policy
    answer: Callable[[Exchange], Reply]
    """Answers a SOAP request; raises `DropConnectionError` to cut the line instead."""
    identify: bytes
    """What an anonymous Identify is told."""
    count_bytes: Callable[[int, int], None] = lambda received, sent: None


class Listener(ThreadingHTTPServer):
    """A listening socket that can be closed with every connection it accepted."""

    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # there it would let two servers share a port
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self, address: str, port: int, service: Service, tls: ssl.SSLContext | None
    ) -> None:
        self.service = service
        self.tls = tls
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__((address, port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server for our own name, as the base class would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.port

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Serve in a thread of its own."""
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def stop(self) -> None:
        """Stop listening and cut every connection."""
        self.shutdown()
        self.server_close()
        self.cut_all()

    def cut_all(self) -> None:
        """Cut every connection, as a machine that loses power does."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                # the plain socket's way: the TLS one would drop its state under a reading thread
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def track(self, connection: socket.socket) -> None:
        """Remember an open connection."""
        with self._lock:
            self._connections.add(connection)

    def forget(self, connection: socket.socket) -> None:
        """Forget a closed connection."""
        with self._lock:
            self._connections.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is everyday business here."""


class _Handler(BaseHTTPRequestHandler):
    """One TCP connection."""

    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-HTTPAPI/2.0"
    sys_version = ""
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Shake hands here, in the connection's own thread: a stalled client blocks no other."""
        listener = cast("Listener", self.server)
        self._listener = listener
        self._raw = self.request
        listener.track(self._raw)
        subject = None
        if listener.tls is not None:
            self.request.settimeout(_HANDSHAKE_LIMIT_S)
            try:
                self.request = listener.tls.wrap_socket(self.request, server_side=True)
            finally:
                listener.forget(self._raw)
            self.request.settimeout(None)
            subject = _common_name(self.request)
            self._raw = self.request
            listener.track(self._raw)
        super().setup()
        self._auth = ConnectionAuth(listener.service.policy, subject)

    def finish(self) -> None:
        """Close the connection for good."""
        try:
            with contextlib.suppress(OSError, ValueError):
                super().finish()
        finally:
            self._listener.forget(self._raw)
            with contextlib.suppress(OSError):
                self.request.close()

    def handle(self) -> None:
        """Serve requests until the client, or a fault, ends the connection."""
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError, DropConnectionError):
            super().handle()

    def do_POST(self) -> None:
        """Answer one request."""
        service = self._listener.service
        length = int(self.headers.get("Content-Length", "0"))
        if self.path.rstrip("/") != "/wsman" or length > _MAX_BODY_BYTES:
            self._send(404 if length <= _MAX_BODY_BYTES else 413)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        service.count_bytes(length, 0)
        if self.headers.get("WSMANIDENTIFY", "").lower() == "unauthenticated":
            self._send(200, service.identify, _SOAP_TYPE)
            return
        decision = self._auth.decide(self.headers.get("Authorization", ""))
        if decision.status != 200 or not body:
            self._send(decision.status, challenges=decision.challenges)
            return
        is_sealed = self.headers.get("Content-Type", "").startswith("multipart/encrypted")
        if self._auth.must_seal and not is_sealed:
            self._send(500)
            return
        try:
            message = self._auth.open_sealed(body) if is_sealed else body
        except MalformedError:
            self._send(400)
            return
        reply = service.answer(
            Exchange(message, self._auth.user or "", str(self.client_address[0]))
        )
        content, kind = reply.body, _SOAP_TYPE
        if is_sealed:
            kind, content = self._auth.seal(reply.body)
        self._send(reply.status, content, kind, decision.challenges)

    def _send(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = "",
        challenges: tuple[str, ...] = (),
    ) -> None:
        """Write status, headers and body in one piece: two would wait for each other's ACK."""
        self.send_response(status)
        for challenge in challenges:
            self.send_header("WWW-Authenticate", challenge)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        head = b"".join(self._headers_buffer) + b"\r\n"
        self._headers_buffer: list[bytes] = []
        self._listener.service.count_bytes(0, len(body))
        self.request.sendall(head + body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class has it
        """Keep quiet."""


def _common_name(connection: ssl.SSLSocket) -> str | None:
    certificate = connection.getpeercert()
    if not certificate:
        return None
    names = cast("tuple[tuple[tuple[str, str], ...], ...]", certificate.get("subject", ()))
    return next((value for part in names for key, value in part if key == "commonName"), None)
