"""What the head of an HTTP answer says: from where on, how much, which state of the file; or why not.

Pure: status and header fields in, a `Head` or one of our errors out. What may pass becomes
`InterruptedDownload`, what will not becomes `DownloadError`, a missing right `AuthenticationError`; each
has a sentence of its own.

Source: RFC 9110 sections 8.4 (Content-Encoding), 8.6 (Content-Length), 8.8.3 (strong validators),
10.2.3 (Retry-After), 11.6 and 11.7 (challenges), 14.4 (Content-Range), 15 (status codes); RFC 9112
section 6.1 (Transfer-Encoding); RFC 6585 sections 4 and 6 (429, 511).
"""

from __future__ import annotations

import email.utils
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message

from toolkit.errors import AuthenticationError, DownloadError

_NEVER_PASSING = frozenset({501, 505, 511})
"""Of 5xx: not implemented, HTTP version, and the log-on page of a guest network."""
_PASSING = frozenset({408, 421, 425, 429})

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)\Z")
_UNSATISFIED = re.compile(r"bytes \*/(\d{1,18})\Z")
_LENGTH = re.compile(r"\d{1,18}\Z")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_CHALLENGE = re.compile(r"([A-Za-z][A-Za-z0-9._~+-]*)(?:\s+(\S.*))?\Z")


class InterruptedDownload(DownloadError):  # noqa: N818 - it is a DownloadError, of the kind that passes
    """The transfer stopped for a reason that may pass; trying again makes sense."""

    retry_after_s: float | None = None
    """What the server asked us to wait (`Retry-After`), if it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What an answer that brings the file, or a range of it, says about it."""

    start: int
    """Offset of the first byte; the file's length (-1: unknown) if we asked for bytes beyond its end."""
    body_bytes: int | None
    """Bytes that follow, if the answer says it."""
    total_bytes: int | None
    """Length of the whole file, if the answer says it."""
    validator: str
    """A strong ETag, else Last-Modified, else empty."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to prove who we are, as a server or proxy offers it."""

    scheme: str
    token: str


def challenges(fields: list[str]) -> tuple[Challenge, ...]:
    """Return what `WWW-Authenticate` or `Proxy-Authenticate` fields offer; one field may hold several."""
    parts = [part.strip() for field in fields for part in _QUOTED.sub('""', field).split(",")]
    found = [match for part in parts if (match := _CHALLENGE.match(part))]
    return tuple(Challenge(match[1], match[2] or "") for match in found)


def offered(fields: list[str]) -> str:
    """Return the names of the offered methods as a person reads them."""
    names = dict.fromkeys(challenge.scheme for challenge in challenges(fields))
    return ", ".join(names) or "no method"


def check_status(
    status: int, reason: str, headers: Message, *, attempted: str, now: datetime
) -> None:
    """Return if the answer brings a file, a range, or says that we are past its end.

    Raises:
        InterruptedDownload: The server is out of order at the moment, or wants us to wait.
        AuthenticationError: It wants to know who we are.
        DownloadError: It refuses.
    """
    if status in (200, 206, 416):
        return
    said = f"{status} {reason}".strip()
    if status in _PASSING or (500 <= status <= 599 and status not in _NEVER_PASSING):
        raise _come_again(said, status, headers, attempted, now)
    match status:
        case 401:
            raise AuthenticationError(
                attempted,
                found=f"{said}: the server wants a log-on ({_offers(headers, 'WWW-Authenticate')})",
                expected="a file that anybody may fetch",
                hint="ferry logs on to no web server; use --client-cert FILE if it takes "
                "certificates, or another address",
            )
        case 407:
            raise AuthenticationError(
                attempted,
                found=f"{said}: a proxy on the way wants a log-on "
                f"({_offers(headers, 'Proxy-Authenticate')})",
                hint="name the proxy, so that ferry can log on to it: --proxy and --proxy-user",
            )
        case 403:
            hint = (
                "the server, or a filter on the way, lets this machine not have it; ask who runs it"
            )
        case 404 | 410:
            hint = "check the address in the manifest, or give another with --url"
        case 511:
            hint = "this network wants a log-on in a browser first"
        case 400 | 495 | 496:  # nginx answers 400 where it misses a client certificate
            hint = "if the server wants a client certificate, give it with --client-cert FILE"
        case _:
            hint = "the server, or a proxy on the way, refuses; ask who runs it"
    raise DownloadError(attempted, found=said, expected="200 or 206", hint=hint)


def _come_again(
    said: str, status: int, headers: Message, attempted: str, now: datetime
) -> InterruptedDownload:
    wait_s = retry_after_s(headers, now)
    asked = "" if wait_s is None else f", and asks us to wait {wait_s:.0f} s"
    what = "we ask too often" if status == 429 else "the server is out of order at the moment"
    error = InterruptedDownload(
        attempted, found=f"{said}: {what}{asked}", hint="try the same command again later"
    )
    error.retry_after_s = wait_s
    return error


def _offers(headers: Message, field: str) -> str:
    return f"it offers {offered(headers.get_all(field, []))}"


def retry_after_s(headers: Message, now: datetime) -> float | None:
    """Return how long the server asks us to wait: seconds, or a date.

    A date is measured from the answer's own `Date`, so that a wrong clock here changes nothing.
    """
    text = headers.get("Retry-After", "").strip()
    if _LENGTH.match(text):
        return float(text)
    until = _date(text)
    if until is None:
        return None
    return max(0.0, (until - (_date(headers.get("Date", "")) or now)).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def read_head(status: int, headers: Message, *, attempted: str, asked_range: bool) -> Head:
    """Return what an answer with status 200, 206 or 416 says about the file.

    Raises:
        DownloadError: It is compressed, in a coding we did not ask for, has a length that is none, or
            names another range than it brings.
    """
    _check_coding(headers, attempted)
    length = _content_length(headers, attempted)
    etag = headers.get("ETag", "")
    validator = etag if etag.startswith('"') else headers.get("Last-Modified", "")
    if status == 200:
        return Head(start=0, body_bytes=length, total_bytes=length, validator=validator)
    if not asked_range:
        raise _wrong(attempted, f"a range that nobody asked for ({status})", "the whole file")
    span = headers.get("Content-Range", "")
    if status == 416:
        unsatisfied = _UNSATISFIED.match(span)
        total = int(unsatisfied[1]) if unsatisfied else None
        start = -1 if total is None else total
        return Head(start=start, body_bytes=0, total_bytes=total, validator=validator)
    return _range_head(span, length, validator, attempted)


def _range_head(span: str, length: int | None, validator: str, attempted: str) -> Head:
    found = _CONTENT_RANGE.match(span)
    if not found:
        raise _wrong(
            attempted, f"a range without its place (Content-Range: {span!r})", "bytes A-B/LENGTH"
        )
    first, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    size = last - first + 1
    if size < 1 or (total is not None and last >= total):
        raise _wrong(attempted, f"a range that cannot be (Content-Range: {span!r})")
    if length not in (None, size):
        raise _wrong(
            attempted, f"a range of {size} bytes with a length of {length}", "the same number twice"
        )
    return Head(start=first, body_bytes=size, total_bytes=total, validator=validator)


def _check_coding(headers: Message, attempted: str) -> None:
    encoding = headers.get("Content-Encoding", "identity").strip()
    if encoding.lower() not in ("", "identity"):
        raise DownloadError(
            attempted,
            found=f"a body compressed as {encoding}, which nobody asked for",
            expected="the file as it is",
            hint="a proxy on the way, or the server, changes files; go around it",
        )
    transfer = headers.get("Transfer-Encoding", "chunked").strip()
    if transfer.lower() not in ("chunked", "identity"):
        raise _wrong(attempted, f"a body sent as {transfer!r}", "the file as it is")


def _content_length(headers: Message, attempted: str) -> int | None:
    if "Transfer-Encoding" in headers:
        return None  # RFC 9112, 6.3: it overrides Content-Length
    found = set(headers.get_all("Content-Length", []))
    if not found:
        return None
    text = found.pop().strip()
    if found or not _LENGTH.match(text):
        said = ", ".join(sorted({text, *found}))
        raise _wrong(attempted, f"a length that is none (Content-Length: {said!r})", "one number")
    return int(text)


def _wrong(attempted: str, found: str, expected: str | None = None) -> DownloadError:
    return DownloadError(
        attempted,
        found=found,
        expected=expected,
        hint="the server, or a proxy on the way, is faulty; give another address",
    )
