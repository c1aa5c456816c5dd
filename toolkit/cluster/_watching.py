"""How a run is watched: which node is asked, how often, and what is said of it.

Theory of operation. Nodes restart during an update, so one that does not answer is left alone for a while and the
next one is asked; the last node in the site's order is asked first, because it usually restarts last. One that is just
back may lack the share or the list for a while: what was seen before is waited for. Only when no node tells of the run
does patience run out. Asking often starves the update service: what stands still is asked half as
often, and when the service does not answer the pauses double. Nothing is kept between two watches: whatever is said
follows from what the cluster tells, and from how long it has told nothing new.

Source: update-via-powershell-23h2.md (sessions drop), Get-SolutionUpdate-GatewayTimeout.md (the service is starved by
frequent questions), ECEAgent-Slowness-During-Update.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

from toolkit.cluster import _cmdlets
from toolkit.cluster._cmdlets import payload, ready
from toolkit.cluster._running import Sight
from toolkit.errors import (
    AuthenticationError,
    CommandError,
    ReachError,
    StateError,
    says_not_now,
)
from toolkit.model import Command, Node, Progress, RunState, Step, T, Update

_UNCHANGED_LOOKS = 3
"""After so many looks that saw nothing new, pauses are twice as long."""
_LONGEST_PAUSE = 10
"""Pauses grow to so many times the one that was asked for: 300 s for 30 s."""
_LOOKS_WITHOUT_NODE = 2
"""So many pauses is a node left alone that did not answer."""
_UNANSWERED_LOOKS = 5
_SERVICE_ADVICE = (
    f'ask less often, and have somebody move "{payload.UPDATE_GROUP}" to another node; the run '
    "goes on meanwhile (guide: TSG/Update/Get-SolutionUpdate-GatewayTimeout.md)"
)
_OVERDUE = 2
"""So many times as long as expected is overdue."""
_STANDS_STILL = timedelta(minutes=30)
_FAILOVER = "Failover ECE Service to new Node"
_FAILOVER_TAKES = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Where a run is, and whether that is as it should be."""

    step_path: tuple[str, ...]
    """The step that is going on, outermost first."""
    node: str
    """The node it works on; empty: no step names one."""
    nodes_done: tuple[int, int] | None
    """How many of the steps that are alike, one a node, are done; None: they are not alike."""
    elapsed: timedelta | None
    """How long it has been going on; None: the cluster does not tell."""
    expected: timedelta | None
    """What the orchestrator expects, or else the longest time of its like; None: nobody knows."""
    stood_still: timedelta
    """So long the cluster has told nothing new."""
    advice: str = ""
    """What to do about it; empty: nothing but wait."""

    @property
    def overdue(self) -> bool:
        """Whether it takes much longer than expected."""
        return (
            self.elapsed is not None
            and self.expected is not None
            and self.elapsed > _OVERDUE * self.expected
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look of a watch."""

    sight: Sight
    outlook: Outlook | None
    """None: no step is going on."""


class LookSession(Protocol):
    """What it takes to look at a run."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


def look_at(session: LookSession, update: Update, run_id: str = "") -> Sight:
    """Read a run of an update with its whole step tree; the newest one if none is named.

    Raises:
        StateError: There is no such run.
        ReachError: The node does not answer.
        ClusterError: A cmdlet failed.
    """
    runs = session.invoke(_cmdlets.update_runs(update.resource_id))
    if run_id:
        wanted = [run for run in runs if run_id.lower() in _names(run.resource_id)]
        if not wanted:
            raise StateError(
                f"show run {run_id} of update {update.version}",
                current="its runs are " + (", ".join(run.resource_id for run in runs) or "none"),
                hint="`ferry run history` lists every run the cluster remembers",
            )
        runs = tuple(wanted)
    if not runs:
        return Sight(update=update, run=None)
    states = session.invoke(_cmdlets.run_states(update.resource_id))
    raw = states.get(runs[0].resource_id, runs[0].state_raw)
    return Sight(update=update, run=replace(runs[0], state=RunState(raw), state_raw=raw))


def find_last_run(session: LookSession) -> Update:
    """Return the update that ran last.

    Raises:
        StateError: None ever did.
        ReachError: The node does not answer.
        ClusterError: A cmdlet failed.
    """
    runs = session.invoke(ready.all_runs())
    for update in session.invoke(_cmdlets.updates()) if runs else ():
        if update.resource_id == runs[0].update_id:
            return update
    raise StateError(
        "show the newest run",
        current="no update has run yet",
        hint="name the version; `ferry cluster discover` lists them",
    )


def _names(resource_id: str) -> tuple[str, str]:
    """Return how a run may be called: by its whole id, or by the last part of it."""
    whole = resource_id.lower()
    return whole, whole.rpartition("/")[2]


def foresee_rest(
    sight: Sight, *, nodes: Sequence[str], stood_still: timedelta = timedelta()
) -> Outlook | None:
    """Say where a run is.

    Args:
        sight: As the cluster tells it.
        nodes: Names to look for in steps.
        stood_still: So long it has told nothing new.
    """
    run = sight.run
    if run is None or run.progress is None or not sight.is_moving:
        return None
    path = _going_on(run.progress)
    if not path:
        return None
    step, beside = path[-1], path[-2].steps if len(path) > 1 else ()
    alike = [one for one in beside if _pattern(one, nodes) == _pattern(step, nodes)]
    done = [one for one in alike if one.status == "Success"]
    elapsed = None
    if step.started_at is not None and run.updated_at is not None:
        elapsed = run.updated_at - step.started_at + stood_still
    outlook = Outlook(
        step_path=tuple(one.name for one in path),
        node=next((name for one in reversed(path) if (name := _node_of(one, nodes))), ""),
        nodes_done=(len(done), len(alike)) if len(alike) > 1 else None,
        elapsed=elapsed,
        expected=step.expected or max((_took(one) for one in done), default=None) or None,
        stood_still=stood_still,
    )
    return replace(outlook, advice=_advice(outlook))


def _going_on(step: Step) -> tuple[Step, ...]:
    """Return the path to the deepest step that is going on."""
    if step.status != "InProgress":
        return ()
    below = (_going_on(child) for child in reversed(step.steps))
    return (step, *next((path for path in below if path), ()))


def _node_of(step: Step, nodes: Sequence[str]) -> str:
    words = re.findall(r"[\w-]+", f"{step.name} {step.description}".lower())
    return next((name for name in nodes if name.lower() in words), "")


def _pattern(step: Step, nodes: Sequence[str]) -> str:
    node = _node_of(step, nodes)
    return step.name.lower().replace(node.lower(), "*") if node else step.name.lower()


def _took(step: Step) -> timedelta:
    if step.started_at is None or step.ended_at is None:
        return timedelta()
    return step.ended_at - step.started_at


def _advice(outlook: Outlook) -> str:
    elapsed = outlook.elapsed or timedelta()
    if outlook.step_path[-1] == _FAILOVER and elapsed > _FAILOVER_TAKES:
        return (
            "this step takes minutes; a slow orchestrator agent is a known problem "
            "(guide: TSG/Update/ECEAgent-Slowness-During-Update.md)"
        )
    if outlook.overdue or outlook.stood_still > _STANDS_STILL:
        return (
            "do not start it again: a CAU run may go on although its step does not. Collect evidence while it "
            "stands there (ferry logs collect), and analyse it"
        )
    return ""


@dataclass(slots=True, kw_only=True)
class Watch:
    """Looks at one run again and again until nothing moves any more."""

    look: Callable[[Node], Sight]
    """Asks one node."""
    unreached: Callable[[list[tuple[Node, ReachError]]], ReachError]
    """Makes one error of those of all nodes."""
    nodes: tuple[Node, ...]
    """In the order in which they are updated, as far as that is known."""
    progress: Progress
    sleep: Callable[[float], None]
    clock: Callable[[], float]
    poll_s: float
    patience_s: float
    _lost: dict[str, tuple[float, ReachError]] = field(default_factory=dict)
    """Node → until when it is left alone, and why."""
    _doublings: int = 0
    _unanswered: int = 0

    def run(self) -> Iterator[Seen]:
        """Yield what is seen, until nothing moves any more.

        Raises:
            ReachError: No node answered for `patience_s` seconds.
            AuthenticationError: A node refused the credential.
            StateError: The update is not listed; where it was seen before, for `patience_s` seconds.
            ClusterError: A cmdlet failed on the node, or the update service was silent several times.
        """
        order = list(reversed(self.nodes))
        names = [node.name for node in self.nodes]
        answered_at = told_new_at = self.clock()
        last: Sight | None = None
        doubt, unchanged = "", 0
        while True:
            try:
                sight = self._ask(order)
            except AuthenticationError:
                raise
            except ReachError:
                if self.clock() - answered_at > self.patience_s:
                    raise
            except StateError as error:
                if last is None or self.clock() - answered_at > self.patience_s:
                    raise
                if str(error) != doubt:
                    self.progress.say(f"{error}; it was seen before, so it is waited for")
                doubt = str(error)
            except CommandError as error:
                self._bear(error)
                answered_at = self.clock()
            else:
                answered_at, doubt = self.clock(), ""
                self._unanswered, self._doublings = 0, max(0, self._doublings - 1)
                told_new_at = told_new_at if sight == last else answered_at
                unchanged = unchanged + 1 if last and _is_same(sight, last) else 0
                last = sight
                stood_still = timedelta(seconds=answered_at - told_new_at)
                outlook = foresee_rest(sight, nodes=names, stood_still=stood_still)
                yield Seen(sight=sight, outlook=outlook)
                if not sight.is_moving:
                    return
            self.sleep(self._pause(unchanged))

    def _ask(self, order: list[Node]) -> Sight:
        """Ask the first node that answers, and begin with it the next time."""
        for node in tuple(order):
            if self.clock() < self._lost.get(node.name, (0.0, None))[0]:
                continue
            try:
                sight = self.look(node)
            except AuthenticationError:
                raise
            except ReachError as error:
                if node.name not in self._lost:
                    self.progress.say(
                        f"{node.name} does not answer; nodes restart during an update"
                    )
                alone_s = _LOOKS_WITHOUT_NODE * self.poll_s
                self._lost[node.name] = (self.clock() + alone_s, error)
                order.append(order.pop(order.index(node)))
            except StateError:  # another node may have what this one lacks
                order.append(order.pop(order.index(node)))
                raise
            else:
                self._lost.pop(node.name, None)
                return sight
        raise self.unreached([(node, self._lost[node.name][1]) for node in self.nodes])

    def _bear(self, error: CommandError) -> None:
        """Have patience with an update service that does not answer."""
        if not says_not_now(error.words):
            raise error
        self._unanswered += 1
        self._doublings += 1
        if self._unanswered == _UNANSWERED_LOOKS:
            raise CommandError(
                "follow the run",
                cmdlet=error.cmdlet,
                error_id=error.error_id,
                found=f"the update service did not answer {_UNANSWERED_LOOKS} times in a row, at last: {error.found}",
                expected="an answer",
                hint=_SERVICE_ADVICE,
            ) from error
        if self._unanswered == 1:
            self.progress.say(f"the update service does not answer: {error.found}")
            self.progress.say(f"  {_SERVICE_ADVICE}")

    def _pause(self, unchanged: int) -> float:
        doublings = self._doublings + (unchanged >= _UNCHANGED_LOOKS)
        return self.poll_s * min(_LONGEST_PAUSE, 1 << doublings)


def _is_same(sight: Sight, other: Sight) -> bool:
    """Whether two sights show the same states and steps; that the cluster wrote a new time is no change."""

    def shown(one: Sight) -> tuple[object, ...]:
        run = one.run
        return (one.update.state_raw, *((run.state_raw, run.progress) if run else ()))

    return shown(sight) == shown(other)
