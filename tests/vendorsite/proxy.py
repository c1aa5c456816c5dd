"""A company's proxy on loopback: CONNECT, with Basic, NTLM and Negotiate, and misbehaving on demand.

It knows nothing of TLS: what goes through a tunnel is relayed as it is. An intercepting proxy is one that
leads every tunnel to a server with a certificate of its own (`leads_to`).

Source: RFC 9110 section 9.3.6 (CONNECT); RFC 7617 (Basic); RFC 4559 (Negotiate), [MS-NTHT] (NTLM over
HTTP). Negotiate carries NTLM here; a KDC is not imitated.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import select
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from spnego.exceptions import SpnegoError

from tests.simcluster.ntlm import Accounts

_CHUNK_BYTES = 64 << 10


@dataclass
class ProxyFaults:
    """What goes wrong. Everything may be changed while the proxy runs."""

    status: int | None = None
    """Answer a CONNECT that is allowed with this status: 403, 502 …"""
    status_times: int | None = None
    """How many answers get that status; None: every one."""
    closes_after_407: bool = False
    """Hang up after each 407, also in the middle of a log-on."""
    refuses_negotiate: bool = False
    """Refuse Negotiate at its first leg, as a proxy does that knows Kerberos only."""
    ticket: bytes | None = None
    """What lets in by Negotiate at its first leg, as a Kerberos ticket does."""
    challenge: bytes | None = None
    """Send this instead of the second leg of NTLM or Negotiate."""
    page: bytes = b"no"
    """The page that goes with a refusal."""


@dataclass(frozen=True)
class Asked:
    """One CONNECT as it was answered."""

    target: str
    scheme: str
    status: int


@dataclass
class Record:
    """What happened at the proxy."""

    asked: list[Asked] = field(default_factory=list)
    logons: list[tuple[str, bool]] = field(default_factory=list)
    """Passwords that were shown: by which method, and whether they were right."""
    connections: int = 0


class CompanyProxy:
    """Listens at `address` until the with-block ends; lets everybody through if it offers no method."""

    def __init__(
        self,
        folder: Path,
        *,
        methods: Sequence[str] = (),
        users: Mapping[str, str] | None = None,
        domain: str = "CORP",
        leads_to: tuple[str, int] | None = None,
    ) -> None:
        self.methods = tuple(methods)
        self.accounts = Accounts(folder, users or {}, [domain])
        self.leads_to = leads_to
        self.faults = ProxyFaults()
        self.record = Record()
        self.lock = threading.Lock()
        self._httpd = _Httpd(self)
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        """Return HOST:PORT."""
        return f"127.0.0.1:{self._httpd.server_address[1]}"

    @property
    def url(self) -> str:
        """What `--proxy` takes."""
        return f"http://{self.address}"

    def __enter__(self) -> CompanyProxy:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()

    def takes_status(self) -> int | None:
        """Use up one of the answers that go wrong."""
        with self.lock:
            if self.faults.status_times == 0:
                return None
            if self.faults.status_times is not None:
                self.faults.status_times -= 1
            return self.faults.status


class _Httpd(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # an open tunnel must not keep a test waiting

    def __init__(self, proxy: CompanyProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Httpd

    def setup(self) -> None:
        super().setup()
        self.context: Any = None
        with self.server.proxy.lock:
            self.server.proxy.record.connections += 1

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Stay silent; what happened is in the record."""

    def do_CONNECT(self) -> None:
        """Let the client through if it may."""
        proxy = self.server.proxy
        scheme, _, credential = self.headers.get("Proxy-Authorization", "").partition(" ")
        challenges = self._challenges(scheme, credential)
        status = 407 if challenges is not None else proxy.takes_status() or 200
        with proxy.lock:
            proxy.record.asked.append(Asked(self.path, scheme, status))
        if status != 200:
            self._refuse(status, challenges or [])
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection(proxy.leads_to or (host, int(port)), timeout=10) as far:
            self.send_response(200, "Connection established")
            self.end_headers()
            self.close_connection = True
            _relay(self.connection, far)

    def _refuse(self, status: int, challenges: list[str]) -> None:
        faults = self.server.proxy.faults
        self.send_response(status)
        for challenge in challenges:
            self.send_header("Proxy-Authenticate", challenge)
        self.send_header("Content-Length", str(len(faults.page)))
        if status == 407 and faults.closes_after_407:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(faults.page)

    def _challenges(self, scheme: str, credential: str) -> list[str] | None:
        """Return what a 407 must say, or None if the client may pass."""
        proxy = self.server.proxy
        offers = [f'{m} realm="proxy, of CORP"' if m == "Basic" else m for m in proxy.methods]
        if not offers:
            return None
        try:
            token = base64.b64decode(credential, validate=True)
        except binascii.Error:
            return offers
        if scheme == "Basic" and "Basic" in proxy.methods:
            user, _, password = token.decode().partition(":")
            return (
                None if self._note(scheme, proxy.accounts.check_basic(user, password)) else offers
            )
        if scheme not in proxy.methods or scheme not in ("NTLM", "Negotiate"):
            return offers
        if scheme == "Negotiate" and proxy.faults.ticket is not None:
            return None if self._note(scheme, token == proxy.faults.ticket) else offers
        if scheme == "Negotiate" and proxy.faults.refuses_negotiate:
            return offers
        return self._step(scheme, token, offers)

    def _step(self, scheme: str, token: bytes, offers: list[str]) -> list[str] | None:
        is_last = self.context is not None
        if self.context is None:
            self.context = self.server.proxy.accounts.acceptor()
        try:
            answer = self.context.step(token)
        except SpnegoError:
            self.context = None
            self._note(scheme, False)
            return offers
        if self.context.complete:
            self._note(scheme, True)
            return None
        if is_last:
            return offers
        answer = self.server.proxy.faults.challenge or answer
        return [f"{scheme} {base64.b64encode(answer).decode()}"]

    def _note(self, scheme: str, accepted: bool) -> bool:
        with self.server.proxy.lock:
            self.server.proxy.record.logons.append((scheme, accepted))
        return accepted


def _relay(near: socket.socket, far: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            for source in select.select([near, far], [], [])[0]:
                data = source.recv(_CHUNK_BYTES)
                if not data:
                    return
                (far if source is near else near).sendall(data)
