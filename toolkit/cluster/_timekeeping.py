"""Which time it is: this machine's clock against those of the nodes.

Expiry is judged by a clock, and a laptop that lay in a drawer has a wrong one. The nodes of a cluster keep
one time among themselves, or nobody could log on to them. So where enough of them agree and this machine
does not agree with any of those, their time counts. What is said of it is written down with the import.

`judge_time` is pure; `ask_times` asks.

Source: Windows security policy "Maximum tolerance for computer clock synchronization" (Kerberos).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from toolkit.cluster import _cmdlets
from toolkit.errors import AuthenticationError, ClusterError, InputError, ReachError
from toolkit.model import Command, Node, T

AGREEMENT = timedelta(minutes=5)
"""So far apart may two clocks be and still agree: what Kerberos bears by default."""

TIME_STEP = "time"
"""What the journal calls it."""


class ClockSession(Protocol):
    """What it takes to ask a node for its time."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


class TimeSource(StrEnum):
    """Whose time counts."""

    CLOCK = "clock"
    """This machine's."""
    NODES = "nodes"
    FLOOR = "floor"
    """Neither: a trusted key signed later than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTime:
    """What one node said."""

    node: str
    at: datetime | None
    """Its time, as of one moment for all nodes; None: it said none."""
    problem: str = ""
    """Why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedTime:
    """The time by which expiry is judged, and what it rests on."""

    now: datetime
    """The time by the clock that counts; a medium is never judged by an earlier one than the floor."""
    source: TimeSource
    clock: datetime
    """This machine's."""
    floor: datetime
    nodes: tuple[NodeTime, ...]
    warning: str
    """What the operator should know; empty: the clocks agree."""

    @property
    def reference(self) -> datetime:
        """The time that counts in the end."""
        return max(self.now, self.floor)

    def facts(self) -> dict[str, str]:
        """Return everything for the journal."""
        return {
            "reference": _instant(self.reference),
            "source": self.source,
            "clock": _instant(self.clock),
            "floor": _instant(self.floor),
            "nodes": ", ".join(_told(item) for item in self.nodes),
        }


def ask_times(
    nodes: Sequence[Node],
    open_session: Callable[[Node], AbstractContextManager[ClockSession]],
    *,
    clock: Callable[[], float],
) -> tuple[tuple[NodeTime, ...], tuple[tuple[Node, ReachError], ...]]:
    """Ask every node for its time, one after the other: a refused password must not be tried twice.

    Args:
        nodes: All of a cluster.
        open_session: Opens a session with a node.
        clock: Monotonic seconds; the answers are brought to the moment of the last one by it.

    Returns:
        What each node said, and those that were not reached.

    Raises:
        AuthenticationError: A node refused the credential; no other was asked.
    """
    told: list[tuple[NodeTime, float]] = []
    lost: list[tuple[Node, ReachError]] = []
    for node in nodes:
        at, problem, read_at = None, "", 0.0
        try:
            with open_session(node) as session:
                at, read_at = session.invoke(_cmdlets.node_time()), clock()
        except AuthenticationError:
            raise
        except ReachError as error:
            lost.append((node, error))
            problem = str(error)
        except (ClusterError, InputError) as error:
            problem = str(error)
        told.append((NodeTime(node=node.name, at=at, problem=problem), read_at))
    return as_of(clock(), told), tuple(lost)


def as_of(moment: float, told: Iterable[tuple[NodeTime, float]]) -> tuple[NodeTime, ...]:
    """Bring times to one moment.

    Args:
        moment: By the monotonic clock.
        told: What each node said, and when, by the same clock.
    """
    return tuple(
        replace(item, at=item.at and _later(item.at, seconds=moment - read_at))
        for item, read_at in told
    )


def judge_time(clock: datetime, nodes: Sequence[NodeTime], *, floor: datetime) -> JudgedTime:
    """Choose the time by which expiry is judged.

    The nodes' time counts where at least two of them, and more than half of those that answered, agree,
    and this machine's clock agrees with none of those. Of the times that agree the latest is taken: so
    nothing counts as valid that one of them calls expired. In every other case this machine's clock
    counts. Neither counts where it is earlier than the floor.

    Args:
        clock: This machine's, at the same moment as the nodes' times.
        nodes: What the nodes said.
        floor: The newest date that a trusted key signed, as far as the site knows.
    """
    times = [item.at for item in nodes if item.at is not None]
    agreed = agreeing(times)
    is_outlier = bool(agreed) and not any(agree(clock, at) for at in agreed)
    now = agreed[-1] if is_outlier else clock
    source = TimeSource.NODES if is_outlier else TimeSource.CLOCK
    if now < floor:
        source = TimeSource.FLOOR
    warning = ""
    if finding := _finding(clock, times, agreed, is_outlier=is_outlier):
        warning = (
            f"this machine's clock says {_minute(clock)}; the nodes say: "
            f"{', '.join(_told(item) for item in nodes)}; the newest date that a trusted key signed is "
            f"{_minute(floor)}. {finding}: expiry is judged by {_OWNERS[source]}, "
            f"{_minute(max(now, floor))}{'. Set the clock that is wrong' if times else ''}"
        )
    return JudgedTime(
        now=now, source=source, clock=clock, floor=floor, nodes=tuple(nodes), warning=warning
    )


def _finding(
    clock: datetime, times: Sequence[datetime], agreed: Sequence[datetime], *, is_outlier: bool
) -> str:
    """Return what is odd about the clocks; empty: nothing."""
    if is_outlier:
        return "The nodes agree"
    if agreed or (len(times) == 1 and agree(clock, times[0])):
        return ""
    if not times:
        return "No node told its time"
    return "The nodes do not agree" if len(times) > 1 else "One node alone is too few"


_OWNERS = {
    TimeSource.CLOCK: "this machine's clock",
    TimeSource.NODES: "the nodes' time",
    TimeSource.FLOOR: "that date",
}


def agreeing(times: Sequence[datetime]) -> list[datetime]:
    """Return in order the times that agree, if they are at least two and more than half; else none."""
    ordered = sorted(times)
    groups = ([at for at in ordered if first <= at and agree(first, at)] for first in ordered)
    largest = max(groups, key=lambda group: (len(group), group[-1]), default=[])
    return largest if len(largest) > max(1, len(times) / 2) else []


def agree(one: datetime, other: datetime) -> bool:
    """Whether two clocks are as near to each other as Kerberos bears."""
    return abs(one - other) <= AGREEMENT


def _later(at: datetime, *, seconds: float) -> datetime:
    try:
        return at + timedelta(seconds=seconds)
    except OverflowError:  # a node at the end of the year 9999
        return at


def _told(item: NodeTime) -> str:
    return f"{item.node} {_minute(item.at) if item.at else 'nothing'}"


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
