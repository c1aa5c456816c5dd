"""A web server on loopback that hands out a folder over HTTPS, and misbehaves on demand.

It speaks what a download needs (HEAD, GET, ETag, Last-Modified, Range, If-Range, 416) and keeps its own
certificate authority, so a client must be told whom to trust. A test sets `server.faults` at any time
and reads `server.requests` and `server.bytes_served` afterwards.

Source: RFC 9110 sections 8.8 (validators), 13.1.5 (If-Range), 14 (ranges).
"""

from __future__ import annotations

import contextlib
import email.utils
import http
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.vendorsite.certificates import make_certificates

_CHUNK_BYTES = 64 << 10
_RANGE = re.compile(r"bytes=(\d+)-(\d*)\Z")


@dataclass
class Faults:
    """What goes wrong. Everything may be changed while the server runs."""

    cut_after: int | None = None
    """Close the connection after this many body bytes of an answer."""
    cut_politely: bool = False
    """Say over TLS that this is the end before cutting."""
    cut_times: int | None = None
    """How many answers are cut; None: every one."""
    flip_byte_at: int | None = None
    """Invert the byte at this offset of the file."""
    no_ranges: bool = False
    """Answer every range with 200 and the whole file."""
    new_etag_each_time: bool = False
    """A different ETag in every answer, as if the file had changed."""
    weak_etag: bool = False
    """Only a weak ETag (W/"…"), which must not be used for ranges."""
    no_validators: bool = False
    """Neither ETag nor Last-Modified."""
    extra_length: int = 0
    """Added to the announced Content-Length."""
    status: int | None = None
    """Answer with this status instead of the file: 404, 503 …"""
    status_times: int | None = None
    """How many answers get that status; None: every one."""
    bytes_per_s: int | None = None
    """Speed limit of one connection."""
    stall_after: int | None = None
    """Stop sending after this many body bytes and keep the connection open."""
    redirect_to: str | None = None
    """Answer 302 with this Location."""
    redirect_times: int | None = None
    """How many answers are redirects; None: every one."""
    raw_answer: bytes | None = None
    """Answer with these bytes, whatever they are, and hang up."""
    raw_times: int | None = None
    """How many answers are such bytes; None: every one."""
    chunked: bool = False
    """Send in chunks, without a Content-Length."""
    no_length: bool = False
    """Announce no length; the end of the connection is the end of the file."""
    ends_dirty: bool = False
    """With `no_length`: hang up without saying over TLS that this is the end."""
    surplus: int = 0
    """Send this many bytes more than announced."""
    ignores_if_range: bool = False
    """Answer a range also when the file has changed."""
    fields: dict[str, str] = field(default_factory=dict)
    """Header fields of every answer; of the same name, they replace ours."""


@dataclass(frozen=True)
class Request:
    """One request as it was answered."""

    method: str
    path: str
    range: str | None
    if_range: str | None
    status: int


class VendorServer:
    """Serves `folder` at `url` until the with-block ends; `ca_file` is whom a client must trust."""

    def __init__(self, folder: Path, *, tls_dir: Path, faults: Faults | None = None) -> None:
        self.folder = folder.resolve()
        self.faults = faults or Faults()
        self.requests: list[Request] = []
        self.bytes_served = 0
        """Body bytes handed to the connection, over all answers."""
        self.connections = 0
        """TLS connections that were accepted."""
        self._open: set[ssl.SSLSocket] = set()
        self.client_names: list[str] = []
        """Common names of the client certificates that were shown."""
        self.ca_file, self._certificate, self._key = make_certificates(tls_dir)
        self._httpd = _Httpd(self)
        self.show()
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.05,), daemon=True)
        self._lock = threading.Lock()
        self.stopping = threading.Event()

    def show(
        self,
        certificate: Path | None = None,
        key: Path | None = None,
        *,
        clients: Path | None = None,
    ) -> None:
        """Show this certificate from now on; without one, our own again.

        Args:
            certificate: The certificate (PEM).
            key: Its key.
            clients: The authority whose certificates a client must show.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate or self._certificate, key or self._key)
        if clients is not None:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        self._httpd.context = context

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return int(self._httpd.server_address[1])

    @property
    def url(self) -> str:
        """Base URL of the folder, without a trailing slash."""
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and close every connection's listener."""
        self.stopping.set()
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()

    def __enter__(self) -> VendorServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def note(self, request: Request) -> None:
        """Remember a request."""
        with self._lock:
            self.requests.append(request)

    def hang_up(self) -> None:
        """Close every connection."""
        with self._lock:
            sockets, self._open = self._open, set()
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def ended(self, sock: ssl.SSLSocket) -> None:
        """Forget a connection."""
        with self._lock:
            self._open.discard(sock)

    def accepted(self, sock: ssl.SSLSocket) -> None:
        """Count a connection."""
        shown = sock.getpeercert() or {}
        names = [value for item in shown.get("subject", ()) for _key, value in item]
        with self._lock:
            self.connections += 1
            self._open.add(sock)
            self.client_names += names

    def served(self, count_bytes: int) -> None:
        """Count body bytes."""
        with self._lock:
            self.bytes_served += count_bytes

    def takes(self, name: str) -> bool:
        """Use up one of a fault's times (`cut_times`, `status_times`); False when none is left."""
        with self._lock:
            left: int | None = getattr(self.faults, name)
            if left is not None:
                setattr(self.faults, name, max(0, left - 1))
            return left is None or left > 0


class _Httpd(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a stalled answer must not keep a test waiting

    context: ssl.SSLContext

    def __init__(self, site: VendorServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.site = site

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: clients that hang up or refuse our certificate are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Httpd

    def setup(self) -> None:
        # the handshake runs in this connection's thread, not in the accepting one
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.server.site.accepted(self.request)
        super().setup()

    def finish(self) -> None:
        # the server closes the plain socket it accepted, which the wrapped one has replaced
        try:
            super().finish()
        finally:
            self.server.site.ended(self.request)
            self.request.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Stay silent; requests are remembered instead."""

    def do_HEAD(self) -> None:
        """Answer the headers of GET."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        """Answer a file, or a range of it."""
        self._answer(with_body=True)

    def _misbehave(self) -> bool:
        """Answer something else than a file, if a fault says so."""
        site, faults = self.server.site, self.server.site.faults
        if faults.raw_answer is not None and site.takes("raw_times"):
            self.wfile.write(faults.raw_answer)
            self._hang_up()
        elif faults.redirect_to is not None and site.takes("redirect_times"):
            self._plain(302, {"Location": faults.redirect_to})
        elif faults.status is not None and site.takes("status_times"):
            self._plain(faults.status)
        else:
            return False
        return True

    def _answer(self, *, with_body: bool) -> None:
        site, faults = self.server.site, self.server.site.faults
        if self._misbehave():
            return
        path = _inside(site.folder, self.path)
        if path is None:
            self._plain(404)
            return
        size, etag, changed = self._validators(path)
        start, end = 0, size - 1
        wanted = self.headers.get("Range")
        fresh = faults.ignores_if_range or self.headers.get("If-Range") in (None, etag, changed)
        if wanted and fresh and not faults.no_ranges and (found := _RANGE.match(wanted)):
            start = int(found[1])
            end = min(int(found[2] or end), end)
            if start > end:
                self._plain(416, {"Content-Range": f"bytes */{size}"})
                return
            status = 206
        else:
            status = 200
        self._note(status)
        count = end - start + 1
        fields = {"Content-Type": "application/octet-stream"}
        if faults.chunked:
            fields["Transfer-Encoding"] = "chunked"
        elif faults.no_length:
            fields["Connection"] = "close"
        else:
            fields["Content-Length"] = str(count + faults.extra_length)
        if not faults.no_ranges:
            fields["Accept-Ranges"] = "bytes"
        if not faults.no_validators:
            fields |= {"ETag": etag, "Last-Modified": changed}
        if status == 206:
            fields["Content-Range"] = f"bytes {start}-{end}/{size}"
        self._head(status, fields)
        if with_body:
            self._send(path, start, count)

    def _validators(self, path: Path) -> tuple[int, str, str]:
        faults, facts = self.server.site.faults, path.stat()
        tag = f'"{facts.st_size:x}-{facts.st_mtime_ns:x}"'
        if faults.new_etag_each_time:
            tag = f'"{time.perf_counter_ns():x}"'
        if faults.weak_etag:
            tag = f"W/{tag}"
        return facts.st_size, tag, email.utils.formatdate(facts.st_mtime, usegmt=True)

    def _send(self, path: Path, start: int, count: int) -> None:
        site, faults = self.server.site, self.server.site.faults
        cut = faults.cut_after
        if cut is not None and (cut >= count or not site.takes("cut_times")):
            cut = None
        stop_at = min(count, cut if cut is not None else count)
        begun, sent = time.monotonic(), 0
        with path.open("rb") as file:
            file.seek(start)
            while sent < stop_at:
                data = bytearray(file.read(min(_CHUNK_BYTES, stop_at - sent)))
                flip = -1 if faults.flip_byte_at is None else faults.flip_byte_at - start - sent
                if 0 <= flip < len(data):
                    data[flip] ^= 0xFF
                self._write(data)
                site.served(len(data))
                sent += len(data)
                if faults.bytes_per_s:
                    ahead = sent / faults.bytes_per_s - (time.monotonic() - begun)
                    site.stopping.wait(max(0.0, ahead))
                if faults.stall_after is not None and sent >= faults.stall_after:
                    site.stopping.wait()
        if cut is not None and faults.cut_politely:
            self._say_goodbye()
        elif cut is not None or faults.extra_length > 0:
            self._hang_up()
        elif faults.chunked:
            self.wfile.write(b"0\r\n\r\n")
        elif faults.no_length and not faults.ends_dirty:
            self._say_goodbye()
        elif faults.surplus:
            self.wfile.write(bytes(faults.surplus))

    def _write(self, data: bytes) -> None:
        if self.server.site.faults.chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.wfile.write(data)

    def _say_goodbye(self) -> None:
        self.close_connection = True
        self.connection.settimeout(10)
        with contextlib.suppress(OSError):  # the client hangs up, or answers in kind
            self.connection.unwrap()

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _plain(self, status: int, fields: dict[str, str] | None = None) -> None:
        self._note(status)
        body = http.HTTPStatus(status).phrase.encode()
        self._head(status, {**(fields or {}), "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, fields: dict[str, str]) -> None:
        self.send_response_only(status)
        fields = {"Date": self.date_time_string(), **fields, **self.server.site.faults.fields}
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()

    def _note(self, status: int) -> None:
        self.server.site.note(
            Request(
                method=self.command,
                path=self.path,
                range=self.headers.get("Range"),
                if_range=self.headers.get("If-Range"),
                status=status,
            )
        )


def _inside(folder: Path, target: str) -> Path | None:
    path = (folder / unquote(urlsplit(target).path).lstrip("/")).resolve()
    return path if path.is_relative_to(folder) and path.is_file() else None
