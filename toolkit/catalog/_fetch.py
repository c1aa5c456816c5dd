"""One file from an HTTPS server, from an offset on: the catalog's only hole to the network.

What may pass (a cut line, a stall, 503) becomes `InterruptedDownload`, which the caller tries again; the
rest is a final error. Below lie `_replies` (what an answer says, pure), `_lines` (connections), `_proxy` (the
way out) and `_tls` (whom we believe).

* Only https, also after a redirect. A redirect to another server is followed and said, because that server
  then vouches for the bytes; it never sees our client certificate. A proxy's password is the proxy's alone.
* The body goes from the TLS layer straight into the caller's buffer: http.client's own reader costs a
  tenth more processor time, requests' a third.

Source: RFC 9110 sections 10.2.2 and 15.4 (redirects), 13.1.5 (If-Range), 14 (ranges), 15.5.17 (416).
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urljoin, urlsplit

from toolkit import __version__
from toolkit.catalog._lines import Line, Lines, Origin
from toolkit.catalog._proxy import Proxies
from toolkit.catalog._replies import Head, InterruptedDownload, check_status, read_head
from toolkit.catalog._tls import Trust
from toolkit.errors import DownloadError, ReachError
from toolkit.names import shown

__all__ = ["Answer", "Fetcher", "HttpsFetcher", "InterruptedDownload"]

CONNECT_TIMEOUT_S = 20.0
READ_TIMEOUT_S = 60.0
"""A line that brings nothing for this long has stalled."""
MOST_REDIRECTS = 10

RECORD_BYTES = 16 << 10
"""Largest piece of TLS, which comes as a whole. Source: RFC 8446 section 5.1."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PAGE_LIMIT_BYTES = 64 << 10
"""A page that nobody wants (of a refusal) is read up to this, so that its connection can be kept."""
_REST_LIMIT_BYTES = 16
"""So few bytes of a file, which come with their head, are read for the same reason: somebody asked for its size."""
_SURPLUS_WAIT_S = 0.05
"""How long we listen, once a file, whether more comes than was announced."""
_SAFE_IN_TARGET = "!#$%&'()*+,/:;=?@[]~"
"""Stands in a path or query as it is (RFC 3986, 2.2); "%" because addresses come escaped already."""


class Answer(Protocol):
    """An open answer of the server."""

    start: int
    """Offset in the file of the first byte that `readinto` will give."""
    total_bytes: int | None
    """Length of the whole file, if the server says it."""
    validator: str
    """What names this state of the file: a strong ETag, else Last-Modified, else empty."""

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer as far as bytes come; 0 at the end of what the server sends.

        Raises:
            InterruptedDownload: The line was cut or has stalled.
        """

    def close(self) -> None:
        """Release the connection."""


class Fetcher(Protocol):
    """Whatever can open a URL at an offset."""

    def open(self, url: str, *, offset: int, validator: str, stop: int | None = None) -> Answer:
        """Ask for a file, from `offset` to before `stop`, if it still is what `validator` names.

        Args:
            url: An https address.
            offset: First byte wanted.
            validator: What named the state of the file in an earlier answer; empty: any.
            stop: The byte after the last one wanted; None: to the end.

        Returns:
            An answer that starts at `offset`, or at 0 where the server does not resume. It may go on
            beyond `stop`: whoever reads stops reading.

        Raises:
            InterruptedDownload: May pass.
            DownloadError: Will not pass by itself.
        """

    def log_on(self, url: str) -> None:
        """Ask a person now, from this thread, for what opening an address may need.

        Whatever else is wrong with the way there is told when it is opened.

        Raises:
            InputError: Something is needed, and nobody can be asked for it.
        """


class HttpsFetcher:
    """Fetches over HTTPS with certificates checked, through a proxy where one is set.

    One fetcher serves any number of threads; each answer belongs to one. Connections are kept for the next
    question until `close`.
    """

    def __init__(
        self,
        ca_file: Path | None = None,
        *,
        proxy: str | None = None,
        proxy_user: str | None = None,
        ask_proxy_password: Callable[[str], str] | None = None,
        client_cert: Path | None = None,
        client_key: Path | None = None,
        ask_key_passphrase: Callable[[], str] | None = None,
        say: Callable[[str], None] = lambda _text: None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """Read what is needed to trust and to be trusted; nothing is contacted yet.

        Args:
            ca_file: Authorities (PEM) to trust besides those of the operating system.
            proxy: `http://host:port`; None: as the environment or the operating system says.
            proxy_user: Who logs on to the proxy; None: as its address says, else who is logged on here.
            ask_proxy_password: Called once with the user's name, if the proxy wants a password.
            client_cert: Certificate (PEM) for the servers of the addresses asked for; never shown to
                another one after a redirect.
            client_key: Its private key; None: in the same file.
            ask_key_passphrase: Called once, if the key is encrypted.
            say: Told, each once, what a person should know about the way.
            connect_timeout_s: How long a server may take to be reached.
            read_timeout_s: How long a line may bring nothing.

        Raises:
            InputError: A file or the proxy's address cannot be used.
        """
        said: set[str] = set()

        def say_once(text: str) -> None:
            if text not in said:
                said.add(text)
                say(text)

        self._say = say_once
        self._shows_certificate = client_cert is not None
        self._lines = Lines(
            Trust(ca_file, client_cert, client_key, ask_passphrase=ask_key_passphrase),
            Proxies(proxy, proxy_user, ask_proxy_password, say=say_once),
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
            say=say_once,
        )

    def close(self) -> None:
        """Hang up idle connections; answers that are open stay so."""
        self._lines.close()

    def open(
        self, url: str, *, offset: int, validator: str, stop: int | None = None
    ) -> HttpsAnswer:
        """Ask for a file, from `offset` to before `stop`, if it still is what `validator` names.

        Raises:
            InterruptedDownload: The server or the line is out of order at the moment.
            AuthenticationError: The proxy or the server wants to know who we are, or refuses us.
            DownloadError: The server refuses, is not trusted, or speaks no HTTPS.
            InputError: The proxy wants a password and nobody can be asked for it.
        """
        fields: dict[str, str] = {}
        if offset or stop is not None:
            fields["Range"] = f"bytes={offset}-{'' if stop is None else stop - 1}"
            if validator and validator.isascii() and validator.isprintable():
                fields["If-Range"] = validator
        answer = self._get(url, fields)
        if answer.is_whole or (answer.start == offset and not _differ(validator, answer.validator)):
            return answer
        # not the range asked for, or of a file that is shorter than what we have, or another one
        answer.close()
        return self._get(url, {})

    def log_on(self, url: str) -> None:
        """Ask a person now, from this thread, for a proxy's password if it may be needed.

        Raises:
            InputError: It is needed, and nobody can be asked for it.
        """
        attempted = f"fetch {shown(url)}"
        with contextlib.suppress(ReachError):  # told again when a file is asked for
            address = _read_address(url, attempted)
            self._lines.log_on(self._origin(address, address), attempted=attempted)

    def _origin(self, address: _Address, first: _Address) -> Origin:
        is_first = (address.host, address.port) == (first.host, first.port)
        return Origin(
            host=address.host,
            port=address.port,
            with_certificate=self._shows_certificate and is_first,
        )

    def _get(self, url: str, fields: dict[str, str]) -> HttpsAnswer:
        attempted = f"fetch {shown(url)}"
        first = address = _read_address(url, attempted)
        for _ in range(MOST_REDIRECTS + 1):
            origin = self._origin(address, first)
            request = _request(origin.netloc, address.target, fields)
            line, response = self._lines.ask(origin, request, attempted=attempted)
            if response.status not in _REDIRECTS:
                return self._answer(line, response, address, attempted, asks="Range" in fields)
            location = response.headers.get("Location", "")
            _put_away(line, response, self._lines, is_spent=_read_page(response))
            address = self._follow(address, location, attempted)
            attempted = f"fetch {shown(url)}, redirected to {shown(address.url)}"
        raise DownloadError(
            f"fetch {shown(url)}",
            found=f"redirects without end (more than {MOST_REDIRECTS})",
            hint="the server is faulty; give another address",
        )

    def _follow(self, address: _Address, location: str, attempted: str) -> _Address:
        """Return where a redirect leads to, and say it if that is another server."""
        try:
            target = urljoin(address.url, location)
            is_https = urlsplit(target).scheme == "https"
        except ValueError as error:
            raise DownloadError(
                attempted,
                found="a redirect to an unreadable address",
                expected="an https address, also after redirects",
                hint="the server is faulty; give another address",
            ) from error
        if not location or not is_https:
            raise DownloadError(
                attempted,
                found=f"a redirect to {shown(target)}, without encryption"
                if location
                else "a redirect that does not say where to",
                expected="an https address, also after redirects",
                hint="payloads are fetched over https only; give another address",
            )
        found = _read_address(target, f"{attempted}, redirected to {shown(target)}")
        if (found.host, found.port) != (address.host, address.port):
            self._say(f"{address.host} sends us on to {found.host}, which vouches for what comes")
        return found

    def _answer(
        self,
        line: Line,
        response: http.client.HTTPResponse,
        address: _Address,
        attempted: str,
        *,
        asks: bool,
    ) -> HttpsAnswer:
        try:
            now = datetime.now(UTC)
            status, headers = response.status, response.headers
            check_status(status, response.reason, headers, attempted=attempted, now=now)
            head = read_head(status, headers, attempted=attempted, asked_range=asks)
        except ReachError:
            _put_away(line, response, self._lines, is_spent=_read_page(response))
            raise
        if response.chunked:
            self._say(f"{address.host} sends in chunks, without saying how much will come")
        elif head.body_bytes is None:
            self._say(f"{address.host} does not say how long the file is")
        return HttpsAnswer(line, response, head, self._lines, attempted, address.url)


class HttpsAnswer:
    """An open answer of a server.

    Attributes:
        url: Where the bytes come from, after all redirects.
        is_whole: Whether it is the whole file, and not a range of it.
    """

    def __init__(
        self,
        line: Line,
        response: http.client.HTTPResponse,
        head: Head,
        lines: Lines,
        attempted: str,
        url: str,
    ) -> None:
        """Take over a connection on which the head of an answer was read."""
        self.start, self.total_bytes, self.validator = head.start, head.total_bytes, head.validator
        self.is_whole, self.url = response.status == 200, url
        self._line, self._response, self._lines, self._attempted = line, response, lines, attempted
        self._left = None if response.chunked else head.body_bytes
        self._ends_file = head.total_bytes == head.start + (head.body_bytes or 0)
        self._receive = line.sock.recv_into
        self._ahead: bytes | None = None
        self._failure: OSError | None = None
        self._is_noisy = False

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer as far as bytes come; 0 at the end of what the server sends.

        Raises:
            InterruptedDownload: The line was cut or has stalled; what came before was given.
            DownloadError: More came than was announced.
        """
        if self._left is None:
            return self._read_unmeasured(buffer)
        size = min(len(buffer), self._left)
        if not size:
            return 0
        if self._failure is not None:
            raise self._interrupted(self._failure)
        filled, receive = 0, self._receive
        try:
            if self._ahead != b"":
                filled = self._read_ahead(buffer[:size])
            while filled < size:
                count = receive(buffer[filled:size])
                if not count:
                    raise ConnectionResetError
                filled += count
                if size <= RECORD_BYTES:  # who asks for little does not wait for more than has come
                    break
        except OSError as error:
            self._failure = error
            if not filled:
                raise self._interrupted(error) from error
        self._left -= filled
        if not self._left:
            self._check_end()
        return filled

    def close(self) -> None:
        """Keep the connection for the next question if next to nothing is left on it, else hang up."""
        if self._left is None:
            is_spent = self._response.isclosed()
        elif self._response.status == 416:
            is_spent = _read_page(self._response)
        else:
            if 0 < self._left <= _REST_LIMIT_BYTES:
                with contextlib.suppress(ReachError):
                    self.readinto(memoryview(bytearray(self._left)))
            is_spent = self._left == 0 and not self._is_noisy
        _put_away(self._line, self._response, self._lines, is_spent=is_spent)

    def _read_ahead(self, buffer: memoryview) -> int:
        """Take what came together with the head."""
        if self._ahead is None:
            self._ahead = bytes(self._response.fp.peek(1))
        count = min(len(self._ahead), len(buffer))
        buffer[:count] = self._ahead[:count]
        self._ahead = self._ahead[count:]
        return count

    def _read_unmeasured(self, buffer: memoryview) -> int:
        try:
            return self._response.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, ssl.SSLEOFError) and not self._response.chunked:
                raise InterruptedDownload(
                    self._attempted,
                    found="the line ended without saying that this was the end, and no length was "
                    "announced",
                    hint="the same command goes on from there",
                ) from error
            raise self._lines.translate(error, self._attempted, self._line.origin.host) from error

    def _interrupted(self, error: OSError) -> ReachError:
        if not isinstance(error, ConnectionError | ssl.SSLEOFError):
            return self._lines.translate(error, self._attempted, self._line.origin.host)
        return InterruptedDownload(
            self._attempted,
            found=f"the line was cut {self._left} bytes before the end that was announced",
            hint="the same command goes on from there",
        )

    def _check_end(self) -> None:
        """Listen whether more comes: then the announced length is wrong, and so is the file."""
        heard = self._ahead or self._line.hears(_SURPLUS_WAIT_S if self._ends_file else 0.0)
        if heard is None:
            return
        self._is_noisy = True
        if heard:
            raise DownloadError(
                self._attempted,
                found="a body longer than announced",
                expected=f"its end after {self._response.length} bytes",
                hint="the server, or a proxy on the way, is faulty; give another address",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Address:
    """An https address, taken apart."""

    url: str
    host: str
    port: int
    target: str


def _read_address(url: str, attempted: str) -> _Address:
    try:
        return _parse_address(url)
    except ValueError as error:
        raise DownloadError(
            attempted,
            found="an address that cannot be used",
            expected="https://HOST/PATH without a user name",
            hint="payloads are fetched over https only; give another address",
        ) from error


def _parse_address(url: str) -> _Address:
    """Take an address apart.

    Raises:
        ValueError: Not https, a user in it, an impossible port or IPv6 address, no name for DNS.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode()
    if parts.scheme != "https" or not host or "@" in parts.netloc:
        raise ValueError(shown(url))
    target = quote(parts.path or "/", safe=_SAFE_IN_TARGET)
    if parts.query:
        target += "?" + quote(parts.query, safe=_SAFE_IN_TARGET)
    return _Address(url=url, host=host, port=parts.port or http.client.HTTPS_PORT, target=target)


def _request(netloc: str, target: str, fields: dict[str, str]) -> bytes:
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {netloc}",
        f"User-Agent: ferry/{__version__}",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Cache-Control: no-transform",  # asks proxies not to compress either (RFC 9111, 5.2.1.6)
        *(f"{name}: {value}" for name, value in fields.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _differ(wanted: str, found: str) -> bool:
    """Whether two validators of the same kind name two states of a file: a server that ignores If-Range."""
    same_kind = wanted.startswith('"') == found.startswith('"')
    return bool(wanted and found) and same_kind and wanted != found


def _read_page(response: http.client.HTTPResponse) -> bool:
    """Read a page that nobody wants; False: there is too much of it, or the connection ends."""
    try:
        if not response.will_close:
            response.read(_PAGE_LIMIT_BYTES)
    except (OSError, http.client.HTTPException):
        return False
    return response.isclosed()


def _put_away(
    line: Line, response: http.client.HTTPResponse, lines: Lines, *, is_spent: bool
) -> None:
    response.close()
    if is_spent and not response.will_close:
        lines.give_back(line)
    else:
        line.close()
