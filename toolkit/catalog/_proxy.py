"""The proxy on the way out: which one, and how it lets us through to a server (CONNECT).

A proxy comes from `--proxy`, else from the environment (HTTPS_PROXY, ALL_PROXY) or the operating
system's settings; NO_PROXY names hosts that are reached without one in either case.

Theory of operation: CONNECT is asked without a name first. On 407 the strongest method both sides know is
taken: Negotiate (Kerberos, else NTLM), NTLM, Basic; the first two need several legs on one TCP connection.
A password is shown once. If it is refused, no thread of this process shows it again, because accounts lock:
therefore one thread logs on first while the others wait. What worked once is used at once from then on.

Source: RFC 9110 sections 9.3.6 (CONNECT), 11.7; RFC 7617 (Basic); RFC 4559 (Negotiate), [MS-NTHT] (NTLM).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from toolkit import __version__
from toolkit.catalog._replies import Challenge, InterruptedDownload, challenges, offered
from toolkit.errors import AuthenticationError, DownloadError, InputError

METHODS = ("Negotiate", "NTLM", "Basic")
"""What we know, strongest first."""

_LEGS = 8
"""More than any of the methods needs."""
_REPLY_LIMIT_BYTES = 64 << 10
_UNREADABLE = (struct.error, ValueError, LookupError, TypeError)
"""What pyspnego raises about a token that it cannot read, besides its own errors."""

Dial = Callable[[], socket.socket]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a proxy listens, and what its address says about who we are. The repr shows no password."""

    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Return host and port."""
        return f"{self.host}:{self.port}"


def read_address(text: str, *, where: str) -> Address:
    """Read `http://[user[:password]@]host[:port]`; the scheme may be missing.

    Raises:
        InputError: It is something else. The text is not repeated: it may hold a password.
    """
    parts = port = None
    with contextlib.suppress(ValueError):  # its words may repeat a password
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port or 80
    if (
        not parts
        or port is None
        or parts.scheme != "http"
        or not parts.hostname
        or parts.path not in ("", "/")
    ):
        raise InputError(
            f"read the proxy's address in {where}",
            found="no address of an HTTP proxy",
            expected="http://HOST:PORT",
            hint="in a user name or password write %40 for @, %3A for :, %2F for /, %23 for #",
        )
    return Address(
        host=parts.hostname,
        port=port,
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )


class Proxies:
    """Which proxy leads to a server, if any."""

    def __init__(
        self,
        explicit: str | None,
        user: str | None,
        ask_password: Callable[[str], str] | None,
        *,
        say: Callable[[str], None],
    ) -> None:
        """Log on as `user`, whose password is asked for once and only if a proxy wants it.

        Raises:
            InputError: `explicit` is no address of a proxy, or carries a password.
        """
        self._explicit = explicit
        self._user, self._ask_password, self._say = user, ask_password, say
        self._known: dict[Address, Proxy] = {}
        self._lock = threading.Lock()
        if explicit is not None and read_address(explicit, where="--proxy").password is not None:
            raise InputError(
                "read --proxy",
                found="a password in it, which others can read on the command line",
                hint="give the password in FERRY_PROXY_PASSWORD, or wait for the prompt",
            )

    def on_the_way_to(self, url: str) -> Proxy | None:
        """Return the proxy to ask; None: the server is reached directly.

        Raises:
            InputError: The environment names something that is no proxy's address.
        """
        import requests.utils  # it takes a tenth of a second, and many commands fetch nothing

        if requests.utils.should_bypass_proxies(url, no_proxy=None):
            return None
        text, where = self._explicit, "--proxy"
        if text is None:
            found = requests.utils.get_environ_proxies(url)
            text, where = requests.utils.select_proxy(url, found), "the environment (HTTPS_PROXY)"
        if not text:
            return None
        address = read_address(text, where=where)
        user = self._user or address.user
        with self._lock:
            return self._known.setdefault(
                address, Proxy(address, user, self._ask_password, say=self._say)
            )


class Proxy:
    """One proxy, and the way it lets us in."""

    def __init__(
        self,
        address: Address,
        user: str | None,
        ask_password: Callable[[str], str] | None,
        *,
        say: Callable[[str], None],
    ) -> None:
        """Nothing is contacted yet."""
        self.address = address
        self._user, self._ask_password, self._say = user, ask_password, say
        self._password = address.password if user == address.user else None
        self._scheme: str | None = None
        self._refusal = ""
        self._first = threading.Lock()

    @property
    def may_ask(self) -> bool:
        """Whether a person may have to be asked for the password."""
        return self._user is not None and self._password is None

    def tunnel(self, dial: Dial, host: str, port: int) -> socket.socket:
        """Return a connection to a server through this proxy.

        Args:
            dial: Opens a TCP connection to the proxy.
            host: The server's name; the proxy looks it up.
            port: Its port.

        Raises:
            AuthenticationError: The proxy does not let us in; the password is not tried again.
            InterruptedDownload: It cannot reach the server at the moment.
            DownloadError: It refuses to connect to this server.
            InputError: It wants a password, and nobody can be asked.
            OSError: The connection to the proxy failed.
            http.client.HTTPException: It does not speak HTTP.
        """
        attempted = f"reach {host}:{port} through the proxy {self.address}"
        with _Talk(dial, host, port) as talk:
            self._check_not_refused(attempted)
            if self._scheme is None:
                reply = talk.ask()
                if reply.status == 407:
                    with self._first:
                        self._check_not_refused(attempted)
                        reply = self._log_on(talk, reply, attempted)
            else:
                reply = self._prove_again(talk, self._scheme, attempted)
            self._check(reply, attempted)
            return talk.keep()

    def _log_on(self, talk: _Talk, reply: _Reply, attempted: str) -> _Reply:
        """Return the proxy's last word about the strongest method that both sides know."""
        if self._scheme is not None:  # another thread has found the way meanwhile
            return self._prove_again(talk, self._scheme, attempted)
        names = {challenge.scheme.lower() for challenge in reply.challenges}
        for scheme in METHODS:
            if scheme.lower() not in names or (scheme == "Basic" and self._user is None):
                continue
            try:
                answer, is_shown = self._prove(talk, scheme, attempted)
            except _UnavailableError:  # no ticket, no library: nothing was sent
                continue
            if answer.status != 407:
                self._scheme = scheme
                return answer
            if is_shown:
                raise self._refused(answer, attempted)
            talk.hang_up()
        if self._user is None:
            raise AuthenticationError(
                attempted,
                found=f"407: the proxy wants a log-on; it offers {reply.offered}",
                expected=f"one of {', '.join(METHODS)}, and a user",
                hint="name the user with --proxy-user; the password comes from FERRY_PROXY_PASSWORD or a "
                "prompt",
            )
        raise AuthenticationError(
            attempted,
            found=f"407: the proxy offers {reply.offered}",
            expected=f"one of {', '.join(METHODS)} that works here",
            hint="ask whoever runs the proxy; Kerberos needs the extra azlocal-ferry[kerberos] on Linux",
        )

    def _prove_again(self, talk: _Talk, scheme: str, attempted: str) -> _Reply:
        """Log on by the method that has worked before."""
        try:
            return self._prove(talk, scheme, attempted)[0]
        except _UnavailableError as error:  # the ticket is over
            raise AuthenticationError(
                attempted,
                found=f"{scheme} has worked before and does not now: {error}",
                hint="log on to this machine anew, or name the user with --proxy-user",
            ) from error

    def _prove(self, talk: _Talk, scheme: str, attempted: str) -> tuple[_Reply, bool]:
        """Go through the legs of one method; also tell whether a proof of the password was sent."""
        step = self._basic() if scheme == "Basic" else self._spnego(scheme.lower())
        token = step(None)
        for leg in range(_LEGS):
            reply = talk.ask(f"{scheme} {base64.b64encode(token).decode()}")
            challenge = reply.token(scheme)
            if reply.status != 407 or challenge is None:
                return reply, scheme == "Basic" or leg > 0
            if reply.closes:
                raise AuthenticationError(
                    attempted,
                    found=f"the proxy ends the connection in the middle of the {scheme} log-on",
                    hint="something between this machine and the proxy closes connections; ask who runs it",
                )
            try:
                token = step(challenge)
            except _UnavailableError as error:
                raise AuthenticationError(
                    attempted,
                    found=f"the proxy's {scheme} challenge cannot be answered: {error}",
                    hint="see --proxy-user; ask whoever runs the proxy",
                ) from error
        raise AuthenticationError(
            attempted,
            found=f"the proxy's {scheme} log-on does not end",
            expected=f"an answer after at most {_LEGS} steps",
            hint="ask whoever runs the proxy",
        )

    def _basic(self) -> Callable[[bytes | None], bytes]:
        if ":" in str(self._user):
            raise _UnavailableError("Basic knows no user name with a colon")
        user, password = str(self._user), self._get_password()
        self._say(f"the proxy {self.address} takes the password unencrypted (Basic)")
        return lambda _challenge: f"{user}:{password}".encode()

    def _spnego(self, protocol: str) -> Callable[[bytes | None], bytes]:
        """Return the steps of Negotiate or NTLM; without a user, those of who is logged on here."""
        import spnego  # few need it, and it takes a while

        password = None if self._user is None else self._get_password()
        with _usable():
            context = spnego.client(
                self._user, password, hostname=self.address.host, service="HTTP", protocol=protocol
            )

        def step(challenge: bytes | None) -> bytes:
            with _usable():
                return context.step(challenge) or b""

        return step

    def _get_password(self) -> str:
        if self._password is None:
            if self._ask_password is None:
                raise InputError(
                    f"log on to the proxy {self.address}",
                    found="a user without a password, and nobody who can be asked for it",
                    hint="give the password in FERRY_PROXY_PASSWORD",
                )
            self._password = self._ask_password(str(self._user))
        return self._password

    def _check(self, reply: _Reply, attempted: str) -> None:
        if 200 <= reply.status <= 299:
            return
        if reply.status == 407:
            raise self._refused(reply, attempted)
        said = f"{reply.status} {reply.reason}".strip()
        if reply.status in (408, 429) or reply.status >= 500:
            raise InterruptedDownload(
                attempted,
                found=f"the proxy cannot reach it: {said}",
                hint="ask whoever runs the proxy if it stays like this",
            )
        raise DownloadError(
            attempted,
            found=f"the proxy refuses: {said}",
            hint="ask whoever runs the proxy to open the way, or name another with --proxy",
        )

    def _refused(self, reply: _Reply, attempted: str) -> AuthenticationError:
        """Remember that the proxy has refused what we can show, and return the error."""
        self._refusal = f"407: the proxy refuses the user or password; it offers {reply.offered}"
        return self._not_admitted(attempted)

    def _check_not_refused(self, attempted: str) -> None:
        if self._refusal:
            raise self._not_admitted(attempted)

    def _not_admitted(self, attempted: str) -> AuthenticationError:
        return AuthenticationError(
            attempted,
            found=self._refusal,
            hint="it was tried once and is not tried again, because accounts lock; check --proxy-user "
            "(DOMAIN\\name or name@domain) and FERRY_PROXY_PASSWORD",
        )


class _UnavailableError(Exception):
    """A method cannot be used here and now: no ticket, no library, a token that makes no sense."""


@contextlib.contextmanager
def _usable() -> Iterator[None]:
    from spnego.exceptions import SpnegoError

    try:
        yield
    except (SpnegoError, *_UNREADABLE) as error:
        raise _UnavailableError(str(error).partition("\n")[0]) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    status: int
    reason: str
    challenges: tuple[Challenge, ...]
    offered: str
    closes: bool

    def token(self, scheme: str) -> bytes | None:
        """Return what the proxy says within one method; None: nothing."""
        for challenge in self.challenges:
            if challenge.scheme.lower() == scheme.lower() and challenge.token:
                with contextlib.suppress(binascii.Error):
                    return base64.b64decode(challenge.token, validate=True)
        return None


class _Talk:
    """CONNECT, asked as often as it takes; on one connection as long as the proxy keeps it open."""

    def __init__(self, dial: Dial, host: str, port: int) -> None:
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._head = (
            f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: ferry/{__version__}\r\n"
            "Proxy-Connection: keep-alive\r\n"
        )
        self._dial = dial
        self._socket: socket.socket | None = None

    def __enter__(self) -> _Talk:
        return self

    def __exit__(self, *_error: object) -> None:
        self.hang_up()

    def ask(self, authorization: str = "") -> _Reply:
        sock = self._connected()
        proof = f"Proxy-Authorization: {authorization}\r\n" if authorization else ""
        sock.sendall(f"{self._head}{proof}\r\n".encode("ascii"))
        with contextlib.closing(http.client.HTTPResponse(sock, method="CONNECT")) as answer:
            answer.begin()
            is_open = 200 <= answer.status <= 299
            closes = not is_open and not _is_read_to_its_end(answer)
            fields = answer.headers.get_all("Proxy-Authenticate", [])
        if closes:
            self.hang_up()
        return _Reply(
            status=answer.status,
            reason=answer.reason,
            challenges=challenges(fields),
            offered=offered(fields),
            closes=closes,
        )

    def keep(self) -> socket.socket:
        """Hand the connection over."""
        kept, self._socket = self._connected(), None
        return kept

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = self._dial()
        return self._socket

    def hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _is_read_to_its_end(answer: http.client.HTTPResponse) -> bool:
    """Read the page that goes with a refusal; False: this connection is of no use any more."""
    if answer.will_close:
        return False
    answer.read(_REPLY_LIMIT_BYTES)
    return answer.isclosed()
