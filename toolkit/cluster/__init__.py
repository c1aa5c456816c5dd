"""What an Azure Local cluster says and does, asked through whichever of its nodes answers.

Face: `Cluster`. Everything is asked of one node at a time in short sessions, because nodes restart under
us during an update; a node that does not answer is passed over, a refused password never is.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from toolkit.cluster import _cmdlets
from toolkit.cluster._admitting import (
    bundles_of,
    require_carried,
    require_importing,
    require_one_cluster,
)
from toolkit.cluster._answering import answered
from toolkit.cluster._baseline import Baseline, Drift, drift_between, drift_from
from toolkit.cluster._checking import Checking, LabelledMedium, facts_of, with_medium
from toolkit.cluster._checks import (
    CHECKS,
    CheckId,
    CheckResult,
    CheckVerdict,
    Readiness,
    judge_all,
)
from toolkit.cluster._cleaning import Cleaner, Cleaning
from toolkit.cluster._collecting import CLUSTER_SOURCES, NODE_SOURCES, Collection, CollectSession
from toolkit.cluster._evidence import RunEvidence, note_evidence, since_added
from toolkit.cluster._fencing import Claim
from toolkit.cluster._gate import Expected, Permit, Refusal, Window, Wish
from toolkit.cluster._history import PastRun, read_history
from toolkit.cluster._import_states import Patience
from toolkit.cluster._importing import (
    Import,
    ImportResult,
    NodeSession,
    SourceMedium,
)
from toolkit.cluster._remembering import (
    ask_settings,
    keep_baseline,
    kept_baseline,
    replaceable_baseline,
)
from toolkit.cluster._requesting import SignedRequest, sign_request
from toolkit.cluster._running import Phase, Sight, UpdateName, deepest_error, is_named, walk
from toolkit.cluster._sbe_before import SbeBefore
from toolkit.cluster._sbe_foresight import NeededSbe
from toolkit.cluster._starting import Grounds, Started, Starting, StartSession
from toolkit.cluster._surveying import Survey
from toolkit.cluster._timekeeping import (
    TIME_STEP,
    JudgedTime,
    NodeTime,
    TimeSource,
    ask_times,
    judge_time,
)
from toolkit.cluster._watching import Outlook, Seen, Watch, find_last_run, look_at
from toolkit.cluster._witnessing import state_import, state_result
from toolkit.errors import AuthenticationError, ConnectError, ReachError, StateError
from toolkit.logbundle import LogBundleWriter
from toolkit.model import (
    Gap,
    KnownCluster,
    Node,
    Progress,
    Road,
    Silent,
    SolutionVersion,
    T,
    Update,
    UpdateEnvironment,
)
from toolkit.request import SiteRequest
from toolkit.site import Journal

if TYPE_CHECKING:
    from toolkit.catalog import Manifests

__all__ = [
    "CHECKS",
    "CLUSTER_SOURCES",
    "NODE_SOURCES",
    "Baseline",
    "CheckId",
    "CheckResult",
    "CheckVerdict",
    "Cleaning",
    "Cluster",
    "Drift",
    "Expected",
    "Grounds",
    "ImportResult",
    "JudgedTime",
    "NeededSbe",
    "NodeTime",
    "Outlook",
    "Overview",
    "PastRun",
    "Permit",
    "Phase",
    "Readiness",
    "Refusal",
    "RunEvidence",
    "SbeBefore",
    "Seen",
    "Sight",
    "SignedRequest",
    "Started",
    "TimeSource",
    "UpdateName",
    "Window",
    "Wish",
    "deepest_error",
    "drift_between",
    "drift_from",
    "judge_time",
    "keep_baseline",
    "kept_baseline",
    "note_evidence",
    "replaceable_baseline",
    "sign_request",
    "state_import",
    "state_result",
    "walk",
]

_STALL_S = 120.0
"""So long nothing may grow on the share before it is taken from another laptop."""


class Session(NodeSession, CollectSession, Protocol):
    """What the cluster needs of a session with a node; `toolkit.remote.Session` is one."""


Connect = Callable[[Node], AbstractContextManager[Session]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the cluster is and what it offers, as one node told it."""

    node: str
    environment: UpdateEnvironment
    updates: tuple[Update, ...]

    def listed(self, version: SolutionVersion) -> Update | None:
        """Return the solution update of a version; None: the cluster does not list it."""
        return next((one for one in self.updates if _cmdlets.is_version(one, version)), None)


class Cluster:
    """One known cluster, with the means to reach its nodes.

    Args:
        known: Name and nodes.
        connect: Opens a session with a node; the credential is inside.
        journal: Where every change is written down before and after it is made.
        progress: Where steps are reported.
        sleep: Waits between polls.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        known: KnownCluster,
        *,
        connect: Connect,
        journal: Journal,
        progress: Progress | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember how to reach the cluster; nothing is contacted yet."""
        self.known = known
        self._connect = connect
        self._journal = journal
        self._progress = progress or Silent()
        self._sleep = sleep
        self._clock = clock

    def discover(self) -> Overview:
        """Read the environment and the listed updates.

        Raises:
            ReachError: No node answered, or one refused the credential.
            ClusterError: A cmdlet failed on the node.
            InputError: The reply is not that of an Azure Local cluster.
        """

        def both(session: Session, node: Node) -> Overview:
            return Overview(
                node=node.name,
                environment=session.invoke(_cmdlets.environment()),
                updates=session.invoke(_cmdlets.updates()),
            )

        return self._on_some_node(both)

    def tell_time(
        self, *, floor: datetime, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> JudgedTime:
        """Compare this machine's clock with those of all nodes; nothing is changed.

        Args:
            floor: It is at least this late.
            now: This machine's clock, read once, after the last answer.

        Raises:
            AuthenticationError: A node refused the credential; no other was asked.
            ReachError: No node answered.
        """
        self._progress.say("asking every node for its time")
        times, lost = ask_times(self.known.nodes, self._connect, clock=self._clock)
        if len(lost) == len(self.known.nodes):
            raise self._unreached(list(lost))
        for told in times:
            if told.problem:
                self._progress.say(f"{told.node} did not tell its time: {told.problem}")
        return judge_time(now(), times, floor=floor)

    def check(
        self,
        open_medium: Callable[[JudgedTime], LabelledMedium] | None,
        wanted: UpdateName | None,
        *,
        floor: datetime,
        manifests: Manifests,
        baseline: Baseline | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Readiness:
        """Judge by every check whether an update will succeed; nothing is changed.

        Args:
            open_medium: Opens and accepts, by the time that the nodes told, what the update is carried on;
                None: none is at hand.
            wanted: The update that is wanted, or an SBE; None: the only update on the medium, or none.
            floor: It is at least this late.
            manifests: What is known of releases, paths and known issues.
            baseline: The settings that a person once called right.
            now: This machine's clock.

        Raises:
            AuthenticationError: The first node that was reached refused the credential; no other was asked.
            ReachError: No node answered.
            StateError: No node that answered is one of an Azure Local cluster.
            InputError: The medium carries updates, and not the wanted one.
            TrustError: What the medium says of an SBE is not what was signed.
        """
        checking = Checking(
            known=self.known,
            open=self._connect,
            progress=self._progress,
            clock=self._clock,
            now=now,
        )
        answers = checking.run(floor=floor, manifests=manifests, wanted=wanted, baseline=baseline)
        if len(checking.lost) == len(self.known.nodes):
            raise self._unreached(checking.lost)
        if answers.cluster.ready.has_share.value is False:
            raise self._not_azure_local("any node")
        if open_medium is not None:
            answers = with_medium(answers, facts_of(open_medium(answers.time)))
        return judge_all(answers)

    def require_importing(
        self,
        medium: SourceMedium,
        version: SolutionVersion,
        *,
        lowest: SolutionVersion,
        poll_s: float = 30,
        wait_s: float = 1800,
    ) -> None:
        """Refuse what is not on the medium, and what nothing may be imported into; nothing is changed.

        Args:
            medium: Opened and accepted by this site.
            version: The one to import.
            lowest: The lowest installed version that can import.
            poll_s: First pause between looks at the list; the import that follows has the same.
            wait_s: How long an update service that says not now is asked again.

        Raises:
            InputError: The medium does not carry the version, or the nodes belong to different clusters.
            StateError: The installed version cannot import, or it is no Azure Local cluster.
            ReachError: No node answered, or one refused the credential.
            ClusterError: The update service does not tell the installed version.
        """
        require_carried(version, bundles_of(medium), attempted=f"import {version}")
        environment = answered(
            lambda: self._on_some_node(lambda session, _: session.invoke(_cmdlets.environment())),
            self._clock() + wait_s,
            poll_s=poll_s,
            progress=self._progress,
            sleep=self._sleep,
            clock=self._clock,
        )
        require_importing(
            self.known,
            self._connect,
            installed=environment.current_version,
            lowest=lowest,
            progress=self._progress,
        )

    def survey(self, *, site_id: str) -> SiteRequest:
        """Measure what a request tells of the cluster; nothing is changed.

        A node that does not answer and a cmdlet that fails are noted in `unknown`.

        Raises:
            AuthenticationError: A node refused the credential; no other was asked.
            ReachError: No node answered.
        """
        survey = Survey(
            known=self.known,
            site_id=site_id,
            open=self._connect,
            progress=self._progress,
            clock=self._clock,
        )
        request = survey.run()
        if len(survey.lost) == len(self.known.nodes):
            raise self._unreached(survey.lost)
        return request

    def take_baseline(
        self, *, by: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> Baseline:
        """Read how every node is set up; nothing is changed, and nothing is kept yet.

        Args:
            by: The person who calls it right.
            now: This machine's clock.

        Raises:
            ReachError: A node was not reached, or refuses the credential.
            ClusterError: The installed version was not told.
            InputError: The nodes belong to different clusters, or the reply is not that of an Azure Local cluster.
        """
        version = self._on_some_node(
            lambda session, _: session.invoke(_cmdlets.environment()).current_version
        )
        require_one_cluster(self.known, self._connect, progress=self._progress)
        nodes = ask_settings(self.known.nodes, self._connect, progress=self._progress)
        return Baseline(
            cluster=self.known.name,
            by=by,
            solution_version=version,
            nodes=tuple(nodes),
            taken_at=now(),
        )

    def import_update(
        self,
        medium: SourceMedium,
        version: SolutionVersion,
        *,
        site_id: str,
        judged: JudgedTime | None = None,
        poll_s: float = 30,
        wait_s: float = 1800,
        patience_s: float = 900,
        stall_s: float = _STALL_S,
        road: Road = Road.SMB,
        hides_reason: str = "",
        manifests: Manifests | None = None,
    ) -> ImportResult:
        """Bring a version from a verified medium into the cluster; going on from any earlier try.

        A lost session is followed by another, with the next node, until nothing gets further.

        Args:
            medium: Opened and accepted by this site.
            version: One that the medium carries.
            site_id: Of this site; stands on the share with what is written there.
            judged: The time by which the medium was accepted; goes into the journal.
            poll_s: First pause between looks at the list; polling often starves the update service.
            wait_s: How long to wait for the version to be listed.
            patience_s: How long losses are borne while nothing gets further; 0: the first one ends it.
            stall_s: How long another laptop's import must stand still before this one takes over.
            road: How the bytes get to the node.
            hides_reason: Why an SBE is imported although it hides the version; empty: it is refused.
            manifests: What is published, for what must be installed before; None: only the cluster is asked.

        Raises:
            TrustError: The medium or what arrived on the node is not what was signed.
            ReachError: Nothing got further within `patience_s`; the same command continues.
            StateError: Another laptop imports, or something in the import folder is not ours.
            StorageError: The share is full.
            ClusterError: A cmdlet refused, in the cluster's words.
        """
        if judged is not None:
            self._journal.append(
                cluster=self.known.name,
                subject=f"import {version}",
                step=TIME_STEP,
                outcome="done",
                **judged.facts(),
            )
        return Import(
            nodes=self.known.nodes,
            open=self._session,
            cluster=self.known.name,
            medium=medium,
            version=version,
            journal=self._journal,
            claim=Claim(
                version=version,
                site_id=site_id,
                progress=self._progress,
                sleep=self._sleep,
                stall_s=stall_s,
            ),
            patience=Patience(patience_s=patience_s),
            progress=self._progress,
            sleep=self._sleep,
            clock=self._clock,
            poll_s=poll_s,
            wait_s=wait_s,
            road=road,
            hides_reason=hides_reason,
            manifests=manifests,
        ).run()

    def clean(
        self,
        version: SolutionVersion | None,
        *,
        site_id: str,
        all_versions: bool = False,
        dry_run: bool = False,
    ) -> Cleaning:
        """Remove from the import folder what ferry wrote of a version, and nothing else.

        Args:
            version: None: the only one there is.
            site_id: Of this site.
            all_versions: Every version; one that is still needed is named and left.
            dry_run: Only say what would go.

        Raises:
            InputError: No version was named and there are several, or that one left nothing.
            StateError: The version is still needed, or another laptop is importing.
            ReachError: No node answered, or each went away; the same command continues.
            ClusterError: A cmdlet refused, in the cluster's words.
        """

        def claim(of: SolutionVersion) -> Claim:
            return Claim(
                version=of,
                site_id=site_id,
                progress=self._progress,
                sleep=self._sleep,
                stall_s=_STALL_S,
                act="clean the import folder of",
            )

        cleaner = Cleaner(
            cluster=self.known.name, journal=self._journal, progress=self._progress, claim=claim
        )
        return self._on_some_node(
            lambda session, node: cleaner.run(
                session, node.name, version, all_versions=all_versions, dry_run=dry_run
            )
        )

    def await_window(self, name: UpdateName, wish: Wish, grounds: Grounds) -> Wish:
        """Judge whether a run may be started, then wait for the beginning of its window, if it has one.

        Args:
            name: A listed update: a solution update, or an SBE.
            wish: What is asked for.
            grounds: What checks rest on besides the cluster.

        Returns:
            The wish to start with: of its warnings only those count that were seen before the waiting.

        Raises:
            StateError: It may not be started; every reason is named.
            ReachError: No node answered.
            ClusterError: A cmdlet failed on the node.
        """
        return self._starting(name, wish, grounds).await_window()

    def start(
        self, name: UpdateName, wish: Wish, grounds: Grounds, *, dry_run: bool = False
    ) -> Started:
        """Check the cluster, judge, and start an update (or its preparation) through the orchestrator.

        Args:
            name: A listed update: a solution update, or an SBE.
            wish: What is asked for.
            grounds: What checks rest on besides the cluster.
            dry_run: Only find out whether it would be allowed.

        Raises:
            StateError: It may not be started; every reason is named.
            SessionLostError: The outcome is unknown; `look` tells whether it started.
            ReachError: No node answered; nothing was started.
            ClusterError: `Start-SolutionUpdate` refused, in the cluster's words.
        """
        return self._starting(name, wish, grounds).run(dry_run=dry_run)

    def _starting(self, name: UpdateName, wish: Wish, grounds: Grounds) -> Starting:
        def check() -> Readiness:
            return self.check(
                None,
                name,
                floor=grounds.floor,
                manifests=grounds.manifests,
                baseline=grounds.baseline,
            )

        return Starting(
            cluster=self.known.name,
            nodes=len(self.known.nodes),
            wish=wish,
            find=lambda session: self._find(session, name),
            on_some_node=self._on_some_node,
            check=check,
            now=lambda: self.tell_time(floor=grounds.floor).reference,
            journal=self._journal,
            progress=self._progress,
            sleep=self._sleep,
            clock=self._clock,
        )

    def look(
        self, version: UpdateName | None, *, run_id: str = "", node: Node | None = None
    ) -> Sight:
        """Read an update and one of its runs with the whole step tree.

        Args:
            version: A listed update; None: the one that ran last.
            run_id: A run of it; empty: the newest.
            node: The node to ask; None: the first that answers.

        Raises:
            StateError: The cluster does not list the version, or does not know the run.
            ReachError: No node answered.
            ClusterError: A cmdlet failed on the node.
        """

        def on(session: Session, _: Node) -> Sight:
            update = self._find(session, version) if version else find_last_run(session)
            return look_at(session, update, run_id)

        return self._on_some_node(on, nodes=(node,) if node else None)

    def watch(
        self, version: UpdateName, *, poll_s: float = 30, patience_s: float = 3600
    ) -> Iterator[Seen]:
        """Yield what is seen of a run until nothing moves any more; nodes may restart meanwhile.

        Raises:
            ReachError: No node answered for `patience_s` seconds.
            StateError: The cluster does not list the version.
            ClusterError: A cmdlet failed on the node, or the update service stayed silent.
        """
        return Watch(
            look=lambda node: self.look(version, node=node),
            unreached=self._unreached,
            nodes=self.known.nodes,
            progress=self._progress,
            sleep=self._sleep,
            clock=self._clock,
            poll_s=poll_s,
            patience_s=patience_s,
        ).run()

    def history(self, *, limit: int) -> tuple[PastRun, ...]:
        """Read the newest runs of all listed updates, newest first.

        Args:
            limit: How many.

        Raises:
            ReachError: No node answered.
            ClusterError: A cmdlet failed on the node.
            InputError: The journal or a reply cannot be understood.
            StorageError: The journal cannot be read.
        """
        entries = since_added(self._journal, cluster=self.known.name)
        return self._on_some_node(lambda session, _: read_history(session, entries, limit=limit))

    def collect(self, writer: LogBundleWriter, *, since: datetime) -> tuple[Gap, ...]:
        """Gather the evidence of every node into a log bundle; return what was missing.

        Raises:
            AuthenticationError: A node refused the credential; no other was asked.
            StorageError: The disk under the bundle is full or fails.
        """
        return Collection(
            nodes=self.known.nodes,
            open=self._connect,
            writer=writer,
            since=since,
            progress=self._progress,
        ).run()

    def _find(self, session: StartSession, version: UpdateName) -> Update:
        listed = session.invoke(_cmdlets.updates())
        for update in listed:
            if is_named(update, version):
                return update
        raise StateError(
            f"find update {version} on cluster {self.known.name}",
            current="listed are "
            + (", ".join(update.version for update in listed) or "no updates"),
            hint="import it first, or wait for the cluster's discovery: ferry cluster discover",
        )

    def _on_some_node(
        self,
        act: Callable[[Session, Node], T],
        *,
        only_first_answer: bool = False,
        nodes: Sequence[Node] | None = None,
    ) -> T:
        """Act on the first node that answers; of `nodes`, where they are given.

        With `only_first_answer`, a session lost after the node has answered is not tried elsewhere:
        what it changed is unknown, and the same command finds out.
        """
        lost: list[tuple[Node, ReachError]] = []
        for node in nodes or self.known.nodes:
            has_answered = False
            if lost:
                self._progress.say(f"{lost[-1][1]}; going on through {node.name}")
            try:
                with self._session(node) as session:
                    has_answered = True
                    return act(session, node)
            except AuthenticationError:
                raise
            except ReachError as error:
                if has_answered and only_first_answer:
                    raise
                lost.append((node, error))
        raise self._unreached(lost)

    @contextlib.contextmanager
    def _session(self, node: Node) -> Iterator[Session]:
        """Open a session with a node that answers and has the infrastructure share."""
        with self._connect(node) as session:
            if not session.invoke(_cmdlets.path_exists(_cmdlets.INFRASTRUCTURE_SHARE)):
                raise self._not_azure_local(f"node {node.name}")
            yield session

    def _not_azure_local(self, through: str) -> StateError:
        return StateError(
            f"work with cluster {self.known.name} through {through}",
            current=f"{_cmdlets.INFRASTRUCTURE_SHARE} is not there",
            expected="the infrastructure share of an Azure Local cluster",
            hint="is this the right machine, and its infrastructure volume online?",
        )

    def _unreached(self, lost: list[tuple[Node, ReachError]]) -> ReachError:
        if len(lost) == 1:
            return lost[0][1]
        hints = {error.hint for _, error in lost}
        same = hints.pop() if len(hints) == 1 else None
        return ConnectError(
            f"reach cluster {self.known.name}",
            found="; ".join(f"{node.name}: {error.found or error}" for node, error in lost),
            expected="one node that answers",
            hint=same
            or "check cable, addresses (`ferry site show`) and ports; the same command continues",
        )
