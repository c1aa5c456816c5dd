"""One file from an HTTPS server, from an offset on: the catalog's only hole to the network.

It knows requests and urllib3 and maps their errors: what may pass (a cut line, a stall, 503) becomes
`InterruptedDownload`, which the caller tries again; the rest is a final `DownloadError`. The body is
read from the urllib3 response into the caller's buffer: requests' own iterator copies it several times
and was half as fast.

Source: RFC 9110 sections 8.8.3 (strong validators), 13.1.5 (If-Range), 14 (ranges), 15.5.17 (416).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import requests
import urllib3

from toolkit import __version__
from toolkit.errors import DownloadError, InputError

CONNECT_TIMEOUT_S = 20.0
READ_TIMEOUT_S = 60.0
"""A line that brings nothing for this long has stalled."""

RECORD_BYTES = 16 << 10
"""Largest piece of TLS, which comes as a whole. Source: RFC 8446 section 5.1."""

_CA_LIMIT_BYTES = 4 << 20
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)\Z")


class InterruptedDownload(DownloadError):  # noqa: N818 - it is a DownloadError, of the kind that passes
    """The transfer stopped for a reason that may pass; trying again makes sense."""

    retry_after_s: float | None = None
    """What the server asked us to wait (`Retry-After`), if it did."""


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


class HttpsFetcher:
    """Fetches over HTTPS with certificates checked; proxies and REQUESTS_CA_BUNDLE are honoured."""

    def __init__(
        self,
        ca_file: Path | None = None,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """Trust the authorities of `ca_file` (PEM) instead of the public ones, if given.

        Raises:
            InputError: No certificate stands in `ca_file`, or it cannot be read.
        """
        if ca_file is not None:
            _check_authorities(ca_file)
        self._verify = None if ca_file is None else str(ca_file)
        self._timeout = (connect_timeout_s, read_timeout_s)

    def open(self, url: str, *, offset: int, validator: str, stop: int | None = None) -> Answer:
        """Ask for a file, from `offset` to before `stop`, if it still is what `validator` names.

        Raises:
            InterruptedDownload: The server or the line is out of order at the moment.
            DownloadError: The server refuses, is not trusted, or speaks no HTTPS.
        """
        headers = {"Accept-Encoding": "identity", "User-Agent": f"ferry/{__version__}"}
        if offset or stop is not None:
            headers["Range"] = f"bytes={offset}-{'' if stop is None else stop - 1}"
            if validator:
                headers["If-Range"] = validator
        with contextlib.ExitStack() as cleanup:
            session = cleanup.enter_context(requests.Session())
            del session.adapters["http://"]  # also after a redirect
            with _translated(url):
                response = session.get(
                    url, headers=headers, stream=True, timeout=self._timeout, verify=self._verify
                )
            cleanup.callback(response.close)
            _check(response, url)
            answer = _HttpsAnswer(response, url, offset, cleanup.pop_all())
        if answer.start == offset or answer.start == 0:
            return answer
        answer.close()
        if offset == 0:
            raise DownloadError(
                f"fetch {url}", found="a range nobody asked for", hint="give another address: --url"
            )
        # the file is shorter than what we have: it is another file
        return self.open(url, offset=0, validator="")


class _HttpsAnswer:
    def __init__(
        self, response: requests.Response, url: str, offset: int, cleanup: contextlib.ExitStack
    ) -> None:
        headers = response.headers
        self._raw: urllib3.HTTPResponse = response.raw
        self._url, self._cleanup = url, cleanup
        self._finished = False
        etag = headers.get("ETag", "")
        strong = etag if etag.startswith('"') else ""
        self.validator = strong or headers.get("Last-Modified", "")
        self.start = 0
        self.total_bytes: int | None = None
        found = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
        if response.status_code == 200:
            length = headers.get("Content-Length", "")
            self.total_bytes = int(length) if length.isdecimal() else None
        elif found:  # 206, or 416 with the length of the file
            self.total_bytes = None if found[2] == "*" else int(found[2])
            if response.status_code == 206:
                self.start = int(found[1] or 0)
            else:
                self._finished = True
                self.start = -1 if self.total_bytes is None else self.total_bytes
        else:
            self._finished, self.start = True, -1

    def readinto(self, buffer: memoryview) -> int:
        if self._finished:
            return 0
        with _translated(self._url):
            if len(buffer) > RECORD_BYTES:
                return self._raw.readinto(buffer)
            # who asks for little has a slow line, and does not wait for more than has come
            data = self._raw.read1(len(buffer))
            buffer[: len(data)] = data
            return len(data)

    def close(self) -> None:
        self._cleanup.close()


def _check_authorities(ca_file: Path) -> None:
    found = "no certificate"
    try:
        with ca_file.open("rb") as file:
            if b"-----BEGIN CERTIFICATE-----" in file.read(_CA_LIMIT_BYTES):
                return
    except OSError as error:
        found = error.strerror or str(error)
    raise InputError(
        "read certificate authority",
        file=str(ca_file),
        found=found,
        expected="one or more PEM certificates",
    )


def _check(response: requests.Response, url: str) -> None:
    status, encoding = response.status_code, response.headers.get("Content-Encoding", "identity")
    said = f"{status} {response.reason or ''}".strip()
    if status in _PASSING:
        raise InterruptedDownload(
            f"fetch {url}", found=said, hint="the server is busy; try again later"
        )
    if status not in (200, 206, 416):
        raise DownloadError(
            f"fetch {url}",
            found=said,
            expected="200 or 206",
            hint="check the address in the manifest, or give another with --url"
            if status in (404, 410)
            else "the server or a proxy on the way refuses; ask who runs it",
        )
    if encoding.lower() != "identity":
        raise DownloadError(
            f"fetch {url}",
            found=f"a body encoded as {encoding}",
            expected="the file as it is",
            hint="a proxy on the way changes files; go around it",
        )


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    """Map the errors of requests and urllib3 to ours, most specific first."""
    try:
        yield
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise DownloadError(
            f"fetch {url}",
            found=str(error),
            expected="an https address, also after redirects",
            hint="payloads are fetched over https only; give another address with --url",
        ) from error
    except requests.exceptions.TooManyRedirects as error:
        raise DownloadError(f"fetch {url}", found="redirects without end") from error
    except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
        if "CERTIFICATE_VERIFY_FAILED" not in str(error):
            raise _interrupted(url, error) from error
        raise DownloadError(
            f"fetch {url}",
            found="a certificate that we do not trust",
            expected="one that a known authority has signed for this host",
            hint="if a proxy inspects TLS here, give its authority with --ca FILE",
        ) from error
    except OSError as error:  # requests' errors are OSErrors; so are a reset line and a bad CA file
        if isinstance(error, requests.RequestException | ConnectionError | TimeoutError):
            raise _interrupted(url, error) from error
        raise DownloadError(
            f"fetch {url}", found=str(error), hint="check --ca and REQUESTS_CA_BUNDLE"
        ) from error
    except urllib3.exceptions.HTTPError as error:
        raise _interrupted(url, error) from error


def _interrupted(url: str, error: Exception) -> InterruptedDownload:
    return InterruptedDownload(f"fetch {url}", found=_short(error), hint="the line was cut")


def _short(error: Exception) -> str:
    """Return the innermost reason: urllib3 wraps it several times."""
    reason: object = error
    while isinstance(reason, Exception):
        inner = getattr(reason, "reason", None) or (reason.args[-1] if reason.args else None)
        if not isinstance(inner, Exception):
            break
        reason = inner
    name, text = type(reason).__name__, str(reason)
    return text if name in text else f"{name}: {text}"
