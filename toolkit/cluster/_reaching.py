"""Which addresses outside one node reaches, several at a time; nothing is changed.

Theory of operation. Where a firewall drops packets an address costs half a minute, so they are shared out to
several sessions with one node, and no further one is asked when the time for all is over: what was not asked
is said to be unknown. Behind a proxy names are resolved by the proxy, so it alone is asked; any answer of the
host shows that it is reached, but 403, 502, 503 and 504 may be the proxy's own words, and tell nothing.

Source: *Resolve-DnsName*, *Test-NetConnection*, *Invoke-WebRequest* (Windows PowerShell 5.1); RFC 9110, 15.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from queue import Empty, SimpleQueue
from typing import Protocol

from toolkit.cluster import _cmdlets
from toolkit.cluster._checks._check import Told
from toolkit.cluster._checks._endpoints import Endpoint
from toolkit.cluster._cmdlets import payload
from toolkit.errors import ClusterError, CommandError, InputError, ReachError
from toolkit.model import Command, T

AT_ONCE = 8
"""Sessions with the node; it allows 30 to one user by default (`MaxShellsPerUser`)."""
WITHIN_S = 90.0
"""After this time no further address is asked."""
_NOT_THE_HOST = {
    "403": "the proxy may have forbidden it",
    "407": "the proxy wants a logon",
    "502": "the proxy may not have reached it",
    "503": "the proxy may not have reached it",
    "504": "the proxy may not have reached it",
}
_NO_ADDRESS = "DNS_ERROR_"


class ReachSession(Protocol):
    """What is needed of a session with a node."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


def ask_reach(
    endpoints: Sequence[Endpoint],
    *,
    open: Callable[[], AbstractContextManager[ReachSession]],  # noqa: A002 - as everywhere in this package
    proxy: str = "",
    clock: Callable[[], float] = time.monotonic,
) -> tuple[tuple[Endpoint, Told[bool]], ...]:
    """Return for each address whether one node reaches it, or why that is not known.

    Args:
        endpoints: Asked in this order.
        open: Opens one more session with the node; it accepted the password before.
        proxy: `host:port` through which the node reaches the web; empty: directly.
        clock: Monotonic seconds.
    """
    waiting: SimpleQueue[Endpoint] = SimpleQueue()
    for endpoint in endpoints:
        waiting.put(endpoint)
    until = clock() + WITHIN_S
    told: dict[Endpoint, Told[bool]] = {}

    def ask_in_turn() -> None:
        endpoint: Endpoint | None = None
        try:
            with open() as session:
                for endpoint in _while_there(waiting, until, clock):
                    told[endpoint] = _ask(session, endpoint, proxy)
        except ReachError as error:  # this session is lost; others go on
            if endpoint is not None:
                told[endpoint] = Told(why=str(error))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(ask_in_turn) for _ in range(min(AT_ONCE, len(endpoints)))]:
            done.result()
    late: Told[bool] = Told(why="it was not asked, that would have taken too long")
    return tuple((endpoint, told.get(endpoint, late)) for endpoint in endpoints)


def _while_there(
    waiting: SimpleQueue[Endpoint], until: float, clock: Callable[[], float]
) -> Iterator[Endpoint]:
    while clock() < until:
        try:
            yield waiting.get_nowait()
        except Empty:
            return


def _ask(session: ReachSession, endpoint: Endpoint, proxy: str) -> Told[bool]:
    try:
        if proxy:
            session.invoke(payload.reaches_through(endpoint.host, endpoint.port, proxy))
            return Told(value=True)
        has_address = session.invoke(_cmdlets.resolves(endpoint.host))
        return Told(
            value=has_address and session.invoke(_cmdlets.reaches(endpoint.host, endpoint.port))
        )
    except CommandError as error:
        return _heard(error, is_through_proxy=bool(proxy))
    except (ClusterError, InputError) as error:
        return Told(why=str(error))


def _heard(error: CommandError, *, is_through_proxy: bool) -> Told[bool]:
    """Read what an error says of an address."""
    error_id = error.error_id or ""
    if not is_through_proxy:
        no_such_name = error_id.startswith(_NO_ADDRESS)
        return Told(value=False) if no_such_name else Told(why=error.found or str(error))
    if error_id.startswith("MaximumRedirectExceeded"):
        return Told(value=True)
    if not error_id.startswith("WebCmdletWebResponseException"):
        return Told(why=error.found or str(error))
    status = re.search(r"\((\d{3})\)", error.found or "")
    if status is None:
        return Told(value=False)
    why = _NOT_THE_HOST.get(status[1])
    return Told(why=f"{why} ({status[1]})") if why else Told(value=True)
