"""Asks nodes and cluster everything that the checks rest on; nothing is changed.

Theory of operation. Accounts lock: so the nodes are asked one after the other until one has accepted the
password, and only then all others at once, each by a thread with a session of its own. The first node that
answers is also asked about the cluster. What a node refuses to tell, or cannot, is kept with its words; a
question about the cluster whose answer got lost is put to further nodes. A node that is gone is asked
nothing more. No silence becomes an answer: what was not told is judged `unknown`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from toolkit.cluster import _cmdlets
from toolkit.cluster._admitting import require_carried
from toolkit.cluster._baseline import Baseline
from toolkit.cluster._checks import Answers, _drift, _payload, _readiness
from toolkit.cluster._checks._answers import CarriedZip, ClusterAnswers, MediumFacts, NodeAnswers
from toolkit.cluster._checks._check import Told
from toolkit.cluster._checks._endpoints import in_turn
from toolkit.cluster._checks._payload import ReachAnswers
from toolkit.cluster._reaching import ask_reach
from toolkit.cluster._running import UpdateName
from toolkit.cluster._sbe_carried import TargetSource, carried_sbes
from toolkit.cluster._timekeeping import NodeTime, as_of, judge_time
from toolkit.errors import (
    AuthenticationError,
    ClusterError,
    ConnectError,
    InputError,
    ReachError,
)
from toolkit.model import Command, KnownCluster, Node, PayloadKind, Progress, SolutionVersion, T
from toolkit.sbe import SbeVersion

if TYPE_CHECKING:
    from toolkit.catalog import Manifests

_log = logging.getLogger(__name__)

_AT_ONCE = 16
"""Nodes that are asked at the same time: as many as a cluster can have."""
_MOST_LOSSES = 2
"""After so many lost answers in a row a node counts as gone; through so many further nodes the cluster is
asked what got lost."""


class Label(Protocol):
    """What is written on a medium."""

    @property
    def set_name(self) -> str:
        """The name of the set."""

    @property
    def expires_at(self) -> datetime:
        """When it may be used no more."""


class LabelledMedium(TargetSource, Protocol):
    """What a check needs of a verified medium."""

    def describe(self) -> Label:
        """Return what is written on it."""


def facts_of(medium: LabelledMedium) -> MediumFacts:
    """Return what a medium carries; of its payloads only what vendors say of their SBEs is read.

    Raises:
        InputError: Files of an SBE that do not belong together, or cannot be understood.
        TrustError: What is read is not what was signed.
        StorageError: It cannot be read.
    """
    label = medium.describe()
    return MediumFacts(
        set_name=label.set_name,
        expires_at=label.expires_at,
        zips=tuple(
            CarriedZip(
                version=target.version,
                name=target.name.rpartition("/")[2],
                size_bytes=target.size_bytes,
            )
            for target in medium.targets()
            if target.kind is PayloadKind.SOLUTION_BUNDLE
        ),
        sbes=carried_sbes(medium),
    )


def with_medium(answers: Answers, facts: MediumFacts) -> Answers:
    """Add what a medium carries; where no update was named, the only one on it is the wanted one.

    Raises:
        InputError: The medium carries updates, and not the one that was named.
    """
    version = answers.version
    if version is not None and facts.zips:  # media may bring an SBE alone
        carried = (zip_.version for zip_ in facts.zips)
        require_carried(version, carried, attempted=f"check for {version}")
    if version is None and len(facts.zips) == 1:
        version = facts.zips[0].version
    return replace(answers, medium=facts, version=version)


class CheckSession(Protocol):
    """What a check needs of a session with a node."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


@dataclass(slots=True)
class NodeAsk:
    """Asks one node; after it is gone, says so of every further question."""

    session: CheckSession
    is_over: threading.Event = field(default_factory=threading.Event)
    """Set when nobody waits for the answers any more."""
    error: ReachError | None = None
    """How the last lost answer got lost."""
    has_answered: bool = False
    _losses: int = 0

    def __call__(self, command: Command[T]) -> Told[T]:
        if self.is_over.is_set():
            return Told(why="the check was stopped")
        if self.error is not None and self._losses >= _MOST_LOSSES:
            return Told(why=str(self.error))
        try:
            answer = self.session.invoke(command)
        except ReachError as error:
            is_gone = isinstance(error, AuthenticationError | ConnectError)
            self._losses = _MOST_LOSSES if is_gone else self._losses + 1
            self.error = error
            return Told(why=str(error))
        except (ClusterError, InputError) as error:
            told: Told[T] = Told(why=str(error))
        else:
            told = Told(value=answer)
        self._losses, self.has_answered = 0, True
        return told

    @property
    def last_was_lost(self) -> bool:
        """Whether the last question stayed without any reply."""
        return self._losses > 0


@dataclass(slots=True)
class _ClusterAsk:
    """Asks the cluster through one node after the other; what was replied to is not asked again."""

    through: NodeAsk
    replied: dict[str, Told[Any]] = field(default_factory=dict)
    has_losses: bool = False

    def __call__(self, command: Command[T]) -> Told[T]:
        question = repr(command.pipeline)
        if question in self.replied:
            return self.replied[question]
        told = self.through(command)
        if self.through.last_was_lost:
            self.has_losses = True
        else:
            self.replied[question] = told
        return told


@dataclass(slots=True, kw_only=True)
class Checking:
    """One round through a cluster."""

    known: KnownCluster
    open: Callable[[Node], AbstractContextManager[CheckSession]]
    progress: Progress
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    lost: list[tuple[Node, ReachError]] = field(default_factory=list)
    """The nodes that told nothing at all."""
    _is_over: threading.Event = field(default_factory=threading.Event)
    _times: dict[str, tuple[NodeTime, float]] = field(default_factory=dict)
    _reached: ReachAnswers | None = None
    """What one node reaches outside; asked once, because it takes its time."""

    def run(
        self,
        *,
        floor: datetime,
        manifests: Manifests,
        wanted: UpdateName | None = None,
        baseline: Baseline | None = None,
    ) -> Answers:
        """Return everything that was told.

        Raises:
            AuthenticationError: The first node that was reached refused the credential; no other was asked.
        """
        told: dict[str, NodeAnswers] = {}
        cluster = ClusterAnswers(
            ready=_readiness.ClusterReadyAnswers(), settings=_drift.ClusterSettingsAnswers()
        )
        waiting = iter(self.known.nodes)
        for node in waiting:
            with self.open(node) as session:
                ask = NodeAsk(session)
                ask(_cmdlets.cluster_name())
                if isinstance(ask.error, AuthenticationError):
                    raise ask.error
                if not ask.has_answered:
                    told[node.name] = self._answers(ask, node)
                    continue
                about, cluster = self._lead(ask, node, waiting, told)
            for other in self._others(node, told) if about.has_losses else ():
                with self.open(other) as session:
                    about = _ClusterAsk(NodeAsk(session), about.replied)
                    cluster = self._ask_cluster(about, other)
                if not about.has_losses:
                    break
        end = self.clock()
        times = [self._times[node.name] for node in self.known.nodes]
        return Answers(
            known=self.known,
            at=self.now(),
            nodes=tuple(told[node.name] for node in self.known.nodes),
            cluster=cluster,
            time=judge_time(self.now(), as_of(end, times), floor=floor),
            medium=None,
            version=wanted if isinstance(wanted, SolutionVersion) else None,
            sbe=wanted if isinstance(wanted, SbeVersion) else None,
            baseline=baseline,
            manifests=manifests,
        )

    def _lead(
        self, ask: NodeAsk, node: Node, waiting: Iterator[Node], told: dict[str, NodeAnswers]
    ) -> tuple[_ClusterAsk, ClusterAnswers]:
        """Ask the first node that answered about itself and the cluster, and meanwhile all others."""
        about = _ClusterAsk(ask)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            others = pool.map(self._visit, waiting)
            try:
                told[node.name] = self._answers(ask, node)
                cluster = self._ask_cluster(about, node)
                told |= {answers.name: answers for answers in others}
            except BaseException:  # the pool waits for its threads
                self._is_over.set()
                raise
        return about, cluster

    def _others(self, asked: Node, told: dict[str, NodeAnswers]) -> Sequence[Node]:
        """Return nodes that answered, to be asked what got lost."""
        answered = (
            node for node in self.known.nodes if node is not asked and not told[node.name].why_not
        )
        return tuple(answered)[:_MOST_LOSSES]

    def _visit(self, node: Node) -> NodeAnswers:
        with self.open(node) as session:
            return self._answers(NodeAsk(session, self._is_over), node)

    def _answers(self, ask: NodeAsk, node: Node) -> NodeAnswers:
        """Ask a node everything about itself."""
        self.progress.say(f"{node.name}: asking")
        at = ask(_cmdlets.node_time())
        told = NodeTime(node=node.name, at=at.value, problem=at.why)
        self._times[node.name] = (told, self.clock())
        ready = _readiness.ask_node(ask, node)
        settings = _drift.ask_node(ask)
        needs = _payload.ask_node(ask)
        why_not = ""
        if not ask.has_answered and ask.error is not None:
            why_not = str(ask.error)
            self.lost.append((node, ask.error))
            _log.info("node %s did not answer: %s", node.name, ask.error)
        return NodeAnswers(
            name=node.name, why_not=why_not, ready=ready, settings=settings, payload=needs
        )

    def _ask_cluster(self, ask: _ClusterAsk, node: Node) -> ClusterAnswers:
        """Ask everything about the cluster through a node, as far as it was not replied to."""
        return ClusterAnswers(
            ready=_readiness.ask_cluster(ask),
            settings=_drift.ask_cluster(ask),
            payload=_payload.ask_cluster(ask, lambda proxy: self._reach(node, proxy)),
        )

    def _reach(self, node: Node, proxy: str) -> ReachAnswers:
        """Ask a node what it reaches outside; the first that was asked counts."""
        if self._reached is None:
            self.progress.say(f"{node.name}: asking what is reached outside")
            reached = ask_reach(
                tuple(in_turn()), open=lambda: self.open(node), proxy=proxy, clock=self.clock
            )
            self._reached = ReachAnswers(node=node.name, proxy=proxy, reached=reached)
        return self._reached
