"""TLS connections to servers, direct or through a proxy, kept open from one question to the next.

Everything that can go wrong before a server answers is told here, once: no such name, nobody there, no
way, no TLS, a certificate that is refused, and by whom it was issued.

Source: RFC 9112 sections 9.3 (persistence), 9.8 (an end without close_notify is no end); RFC 8446
section 6 (alerts).
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from toolkit.catalog import _tls
from toolkit.catalog._proxy import Proxies, Proxy
from toolkit.catalog._replies import InterruptedDownload
from toolkit.errors import AuthenticationError, DownloadError, ReachError, system_says

_MOST_IDLE = 16
"""Idle connections that are kept; more ranges at once than this are of no use."""

_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
_WANTS_CERTIFICATE = (
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "UNKNOWN_CA",
    "CERTIFICATE_UNKNOWN",
)
_OTHER_PROTOCOL = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PROTOCOL_VERSION", "HANDSHAKE_FAILURE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A server: name and port, and whether it may see our client certificate."""

    host: str
    port: int
    with_certificate: bool

    @property
    def netloc(self) -> str:
        """Return name and port as they stand in an address."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == http.client.HTTPS_PORT else f"{name}:{self.port}"


class Line:
    """One connection to a server, on which one question is asked after the other."""

    def __init__(self, sock: ssl.SSLSocket, origin: Origin) -> None:
        """`sock` has shaken hands."""
        self.sock, self.origin = sock, origin

    def ask(self, request: bytes) -> http.client.HTTPResponse:
        """Send a GET and read the head of the answer; hang up if that fails.

        Raises:
            OSError: The line was cut, or nothing came.
            http.client.HTTPException: What came is not HTTP.
        """
        with contextlib.ExitStack() as failed:
            failed.callback(self.close)
            try:
                self.sock.sendall(request)
            except (ConnectionError, ssl.SSLError):
                self.sock.recv(1)  # if the server has said why it hung up, this raises its alert
                raise
            response = http.client.HTTPResponse(self.sock, method="GET")
            failed.callback(response.close)
            response.begin()
            failed.pop_all()
        return response

    def hears(self, wait_s: float = 0.0) -> bytes | None:
        """Listen for what nobody asked for; None: silence, as it should be, empty: the line is closed."""
        until = self.sock.gettimeout()
        try:
            self.sock.settimeout(wait_s)
            return self.sock.recv(1)
        except (ssl.SSLWantReadError, BlockingIOError, TimeoutError):
            return None
        except OSError:
            return b""
        finally:
            self.sock.settimeout(until)

    def close(self) -> None:
        """Hang up."""
        self.sock.close()


class Lines:
    """Opens connections and keeps idle ones for the next question."""

    def __init__(
        self,
        trust: _tls.Trust,
        proxies: Proxies,
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        say: Callable[[str], None],
    ) -> None:
        """Nothing is contacted yet."""
        self._trust, self._proxies, self._say = trust, proxies, say
        self._connect_timeout_s, self._read_timeout_s = connect_timeout_s, read_timeout_s
        self._known_hosts: set[str] = set()
        self._idle: list[Line] = []
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, _hang_up, self._idle)
        """Close the idle connections; also done when nobody uses this any more."""

    def ask(
        self, origin: Origin, request: bytes, *, attempted: str
    ) -> tuple[Line, http.client.HTTPResponse]:
        """Ask on an idle connection, else on a new one.

        Raises:
            InterruptedDownload: The server is not reached at the moment.
            AuthenticationError: The proxy or the server wants to know who we are.
            DownloadError: It will not be reached like this.
        """
        with self.translated(attempted, origin.host, self._read_timeout_s):
            while line := self._take(origin):
                with contextlib.suppress(ConnectionError, ssl.SSLError):  # closed while it was idle
                    return line, line.ask(request)
            line = self._open(origin, attempted)
            return line, line.ask(request)

    def log_on(self, origin: Origin, *, attempted: str) -> None:
        """Open a connection if a person may have to be asked for a proxy's password; keep it.

        Raises:
            InputError: The proxy wants a password and nobody can be asked for it.
            ReachError: See `ask`.
        """
        proxy = self._proxies.on_the_way_to(f"https://{origin.netloc}/")
        if proxy is not None and proxy.may_ask:
            with self.translated(attempted, origin.host, self._read_timeout_s):
                self.give_back(self._take(origin) or self._open(origin, attempted))

    def give_back(self, line: Line) -> None:
        """Keep a connection whose last answer was read to its end."""
        with self._lock:
            if self.close.alive and len(self._idle) < _MOST_IDLE:
                self._idle.append(line)
                return
        line.close()

    def _take(self, origin: Origin) -> Line | None:
        while True:
            with self._lock:
                found = next((line for line in self._idle if line.origin == origin), None)
                if found is None:
                    return None
                self._idle.remove(found)
            if found.hears() is None:
                return found
            found.close()

    def _open(self, origin: Origin, attempted: str) -> Line:
        proxy = self._proxies.on_the_way_to(f"https://{origin.netloc}/")
        context = self._trust.context(with_certificate=origin.with_certificate)
        try:
            sock = self._shake_hands(origin, proxy, context, attempted)
        except ssl.SSLCertVerificationError as error:
            seen = self._seen_certificate(origin, proxy, attempted)
            now = datetime.now(UTC)
            raise _tls.refused(attempted, seen, error, host=origin.host, now=now) from error
        sock.settimeout(self._read_timeout_s)
        self._known_hosts.add(origin.host)
        self._mention_authority(sock, origin.host)
        return Line(sock, origin)

    def _shake_hands(
        self, origin: Origin, proxy: Proxy | None, context: ssl.SSLContext, attempted: str
    ) -> ssl.SSLSocket:
        """Return a connection with TLS.

        Raises:
            ssl.SSLCertVerificationError: The server's certificate is refused.
        """
        timeout_s = self._connect_timeout_s
        with contextlib.ExitStack() as failed:
            if proxy is None:
                with self.translated(attempted, origin.host, timeout_s):
                    sock = self._dial(origin.host, origin.port)
            else:
                host, port = proxy.address.host, proxy.address.port
                with self.translated(f"reach the proxy {proxy.address}", host, timeout_s):
                    sock = proxy.tunnel(lambda: self._dial(host, port), origin.host, origin.port)
                self._known_hosts.add(host)
            failed.callback(sock.close)
            with self.translated(attempted, origin.host, timeout_s):
                # an end without close_notify must not look like the end of a body (RFC 9112, 9.8)
                wrapped = context.wrap_socket(
                    sock, server_hostname=origin.host, suppress_ragged_eofs=False
                )
            failed.pop_all()
        return wrapped

    def _dial(self, host: str, port: int) -> socket.socket:
        sock = socket.create_connection((host, port), timeout=self._connect_timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _seen_certificate(
        self, origin: Origin, proxy: Proxy | None, attempted: str
    ) -> bytes | None:
        """Connect once more, only to read which certificate is shown; no byte of ours is sent."""
        with (
            contextlib.suppress(ReachError),
            self._shake_hands(origin, proxy, _tls.unverified(), attempted) as sock,
        ):
            return sock.getpeercert(binary_form=True)
        return None

    def _mention_authority(self, sock: ssl.SSLSocket, host: str) -> None:
        if not self._trust.added:
            return
        leaf = _tls.read_certificate(sock.getpeercert(binary_form=True))
        if leaf is not None and leaf.issuer in self._trust.added:
            self._say(
                f"{host}: its certificate is from '{_tls.name_of(leaf.issuer)}', an authority of --ca, "
                "which can read and change what passes; hashes prove the files"
            )

    @contextlib.contextmanager
    def translated(self, attempted: str, host: str, timeout_s: float) -> Iterator[None]:
        """Turn what the network and Python's libraries say into our errors; not a refused certificate.

        Args:
            attempted: What we tried.
            host: Whom we tried to reach.
            timeout_s: How long we would have waited.
        """
        try:
            yield
        except ssl.SSLCertVerificationError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise self.translate(error, attempted, host, timeout_s) from error

    def translate(
        self, error: Exception, attempted: str, host: str, timeout_s: float | None = None
    ) -> ReachError:
        """Return our error for one of the network's, most specific first; see `translated`."""
        if timeout_s is None:
            timeout_s = self._read_timeout_s
        match error:
            case socket.gaierror():
                return self._unknown_name(error, attempted, host)
            case ssl.SSLError() if not isinstance(error, ssl.SSLEOFError):
                return _no_tls(error, attempted, host)
            case TimeoutError():
                found = f"nothing came from {host} for {timeout_s:g} s"
            case ConnectionRefusedError():
                found = f"{host} refused the connection: nobody listens there"
            case http.client.RemoteDisconnected():
                found = f"{host} ended the connection without an answer"
            case ssl.SSLEOFError() | ConnectionError() | http.client.IncompleteRead():
                found = f"the line to {host} was cut"
            case http.client.HTTPException():
                found = f"{host} gave an answer that is not HTTP"
            case OSError() if error.errno in _NO_WAY:
                found = f"there is no way to {host} ({system_says(error)})"
            case _:
                found = system_says(error) if isinstance(error, OSError) else str(error)
        return InterruptedDownload(
            attempted, found=found, hint="check the line; the same command goes on from there"
        )

    def _unknown_name(self, error: socket.gaierror, attempted: str, host: str) -> ReachError:
        """A name that was known before, or a silent name server, may come back; a wrong name does not."""
        if error.errno == socket.EAI_AGAIN or host in self._known_hosts:
            return InterruptedDownload(
                attempted,
                found=f"no name server knows {host} at the moment ({system_says(error)})",
                hint="check the line and the DNS settings of this machine",
            )
        return DownloadError(
            attempted,
            found=f"DNS knows no host named {host} ({system_says(error)})",
            hint="check the address and the DNS settings of this machine; where only a proxy knows names, "
            "give it with --proxy",
        )


def _no_tls(error: ssl.SSLError, attempted: str, host: str) -> ReachError:
    reason = error.reason or str(error)
    if any(word in reason for word in _WANTS_CERTIFICATE):
        return AuthenticationError(
            attempted,
            found=f"{host} wants a client certificate that it knows ({reason})",
            hint="give one with --client-cert FILE",
        )
    if any(word in reason for word in _OTHER_PROTOCOL):
        return DownloadError(
            attempted,
            found=f"{host} does not speak TLS as we do ({reason})",
            expected="TLS 1.2 or 1.3",
            hint="check the port in the address; some servers end like this without --client-cert",
        )
    return InterruptedDownload(attempted, found=f"TLS failed ({reason})", hint="try again")


def _hang_up(lines: list[Line]) -> None:
    while lines:
        lines.pop().close()
