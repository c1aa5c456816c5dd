"""A small document from an address or a file: read whole, within a limit, and tried again after a passing fault."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolkit.catalog._fetch import Fetcher, InterruptedDownload
from toolkit.catalog._patience import Retries
from toolkit.catalog._storage import read_at_most
from toolkit.errors import DownloadError, InputError
from toolkit.names import https_url, shown

RETRY_DELAYS_S = (1.0, 2.0, 4.0)
_READ_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What an address gave us."""

    data: bytes
    url: str
    """Where it came from in the end, after all redirects; empty: from a file."""


def is_address(origin: str) -> bool:
    """Whether a person named an address, not a file."""
    return "://" in origin


def shown_origin(origin: str) -> str:
    """Return an address or a file's path as it may stand in a message."""
    return shown(origin) if is_address(origin) else origin


def read_document(
    fetcher: Fetcher,
    origin: str,
    *,
    limit_bytes: int,
    sleep: Callable[[float], None] = time.sleep,
) -> Document:
    """Return the document at an https address or in a file; one byte more than the limit of a longer file.

    Raises:
        DownloadError: The server does not give it to us, or it is longer than the limit.
        StorageError: The file cannot be read.
        InputError: The address is not https.
    """
    if not is_address(origin):
        return Document(data=read_at_most(Path(origin), limit_bytes), url="")
    try:
        url = https_url(origin)
    except ValueError as error:
        raise InputError(
            f"read {shown(origin)}", found=str(error), expected="an https address"
        ) from error
    retries = Retries(RETRY_DELAYS_S, random=lambda: 0.5)
    while True:
        try:
            return _fetch(fetcher, url, limit_bytes)
        except InterruptedDownload as error:
            delay_s = retries.delay_s(0, error.retry_after_s)
            if delay_s is None:
                raise
            sleep(delay_s)


def _fetch(fetcher: Fetcher, url: str, limit_bytes: int) -> Document:
    answer = fetcher.open(url, offset=0, validator="")
    try:
        data, buffer = bytearray(), memoryview(bytearray(_READ_BYTES))
        while len(data) <= limit_bytes and (count := answer.readinto(buffer)):
            data += buffer[:count]
    finally:
        answer.close()
    if len(data) > limit_bytes:
        raise DownloadError(
            f"fetch {shown(url)}",
            found=f"more than {limit_bytes} bytes",
            expected="a small document",
            hint="is this the right address?",
        )
    if answer.total_bytes not in (None, len(data)):
        raise InterruptedDownload(
            f"fetch {shown(url)}",
            found=f"{len(data)} bytes",
            expected=f"{answer.total_bytes} bytes, as the server announced",
            hint="the line was cut; try again",
        )
    return Document(data=bytes(data), url=getattr(answer, "url", url))
