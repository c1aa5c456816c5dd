"""Medium → import folder of the infrastructure share → hash on the node → `Add-SolutionUpdate`.

Theory of operation. An import is a state machine (`_import_states`) whose state is found anew from what
stands on the share before each act: a file that arrived is recognised by its hash, a folder that was
expanded by its share record, names and lengths, as long as the node that wrote it is up since; a submission by the journal, the records and what the update
service holds. Every change is written to the journal before it is sent (`intent`) and after (`done`), and to
the share, so that another laptop can go on. Whatever is cut off, the import goes on by itself, through
another node if this one is gone; and where patience ends, the same command goes on.

The one step that must not happen twice is the submission: once somebody knows of one, the service is asked,
and only if it has neither the update nor its package after the whole waiting time, it is submitted again.
Who may write at all is decided in `_fencing`.

Order. An SBE that must be installed before the update is delivered first, and the run ends with it: only a person
starts a run of it. One that goes with the update is delivered when the listed update asks for it.

Source: import-discover-updates-offline-23h2.md (the procedure), update-via-powershell-23h2.md (package
folder).
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from toolkit.cluster import _cmdlets
from toolkit.cluster._admitting import bundles_of, require_carried
from toolkit.cluster._answering import MOST_PAUSE_S, answered
from toolkit.cluster._byte_road import ByteUpload, Pace
from toolkit.cluster._cmdlets import ready, share
from toolkit.cluster._cmdlets.share import ShareItem
from toolkit.cluster._evidence import since_added
from toolkit.cluster._expanding import TailSink, check_expanded, expand
from toolkit.cluster._fencing import Claim
from toolkit.cluster._foretelling import Foretelling
from toolkit.cluster._import_states import FileStands, ImportState, Patience, Stands, state_of
from toolkit.cluster._lasting import BeginAnewError, LastingSink, UploadSink
from toolkit.cluster._record_reading import RecordReader
from toolkit.cluster._running import PHASES, Phase, UpdateName, is_named
from toolkit.cluster._sbe_before import SbeBefore, choose_before, has_prerequisite, lacking_before
from toolkit.cluster._sbe_carried import CarriedSbe, carried_sbes
from toolkit.cluster._sbe_foresight import Difference, NeededSbe, choose, doubts, foresee
from toolkit.cluster._share_records import (
    BOOTED_AT,
    FLUSHED,
    MAY_BE_ADDED,
    ImportStep,
    Outcome,
    ShareRecord,
    ShareView,
    digest_of,
    unfinished,
)
from toolkit.errors import (
    AuthenticationError,
    ClusterError,
    CommandError,
    ConnectError,
    DigestError,
    InputError,
    ReachError,
    StateError,
    ToolkitError,
    TransferError,
    says_no_reply,
)
from toolkit.model import (
    Command,
    Node,
    Progress,
    Road,
    SolutionVersion,
    T,
    Target,
    TargetName,
    Update,
    UpdateState,
    human_size,
)
from toolkit.site import Journal

if TYPE_CHECKING:
    from toolkit.catalog import Manifests

_NODE_BYTES_PER_S = 5 << 20
"""Slowest hashing or expanding we wait for; Expand-Archive of Windows PowerShell is this slow."""
_RECORDED_EACH_BYTES = 64 << 20
"""So often the share is told how much of a copy is on the disk."""
_BUNDLE_STEP = "submit"
"""The submission of the update itself, in the journal."""
_MOST_ARRIVALS = 3
"""A node that restarts may forget a name that it just gave; so often in one run it does not."""
_REFUSED = (
    "nothing was added, and all that arrived stays. `ferry cluster check` with the medium says what it finds against "
    "it; once that is mended, run the same command again: it only adds"
)


class SourceMedium(Protocol):
    """What an import needs of a verified medium."""

    def targets(self) -> tuple[Target, ...]:
        """Return every target of the medium."""

    def copy_target(self, name: TargetName, sink: BinaryIO, *, progress: Progress) -> None:
        """Copy one target, proving every byte on the way."""


class NodeSession(Protocol):
    """What an import needs of a session with a node."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""

    def upload(
        self,
        path: PureWindowsPath,
        *,
        size_bytes: int,
        part: str | None = None,
        must_exist: bool = False,
        safe_bytes: int | None = None,
        on_flushed: Callable[[int], None] | None = None,
    ) -> UploadSink:
        """Begin or resume an upload to an unfinished file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """How an import ended."""

    version: SolutionVersion
    node: str
    """The one that was asked last."""
    update: Update | None
    """The update as the cluster lists it; None: not listed within the waiting time."""
    copied_bytes: int
    """Bytes sent now; what stood on the share from an earlier try is not counted."""
    recopied_bytes: int = 0
    """Of these, bytes that were sent more than once, because the line broke."""
    nodes: tuple[str, ...] = ()
    """Every node that was worked through, in order."""
    differences: tuple[Difference, ...] = ()
    """Where the cluster lists something else than was foretold."""
    hidden_by: str = ""
    """The SBE that hides the update; empty: it is listed, or nothing is known to hide it."""
    advice: tuple[str, ...] = ()
    """How a hidden update comes back."""
    needs: NeededSbe | None = None
    """The SBE that the update still asks for; None: it asks for none, or the cluster does not tell."""
    before: SbeBefore | None = None
    """The SBE that must be installed before the update; None: none that is known."""


@dataclass(slots=True)
class _Reached:
    """How far this run has come with one file of the share."""

    sent_to_bytes: int = 0
    """The furthest that any upload of it came."""
    flushed_bytes: int = 0
    """Below this, it is on the disk, whatever happens to the node."""
    flushed_ever_bytes: int = 0
    """The most that ever was: flushing the same again is no progress."""
    through: tuple[str, str] | None = None
    """Through which node, and since when that was up, its last upload went; None: what it built on is not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delivery:
    """What is added in one go: a solution bundle, or the three files of an SBE."""

    title: str
    step: str
    """Of its submission, in the journal."""
    files: tuple[Target, ...]
    place: PureWindowsPath
    """Where its files are copied to."""
    folder: PureWindowsPath
    """The folder that is added."""
    is_archive: bool
    awaits: UpdateName
    """Whose row in the cluster's list shows the effect."""
    has_effect: Callable[[Update | None], bool]
    package: str = ""
    """Folder of the update service's own copy, where that alone shows that it was added."""
    bundle: SolutionVersion | None
    """The update, where it is added too, or was before; None: it comes later."""
    sbe: CarriedSbe | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ahead:
    """What comes before the update."""

    before: SbeBefore | None = None
    """None: nothing that is known."""
    shown: Update | None = None
    """How the cluster lists that SBE; None: it does not."""

    @property
    def is_delivered(self) -> bool:
        """Whether that SBE was delivered: it is to be installed, and the update comes after it."""
        return self.before is not None and bool(self.before.name)


@dataclass(slots=True, kw_only=True)
class Import:
    """One import of one version, through whichever nodes answer."""

    nodes: Sequence[Node]
    open: Callable[[Node], AbstractContextManager[NodeSession]]
    """Opens a session with a node of this cluster."""
    cluster: str
    medium: SourceMedium
    version: SolutionVersion
    journal: Journal
    claim: Claim
    patience: Patience
    progress: Progress
    sleep: Callable[[float], None]
    clock: Callable[[], float]
    poll_s: float
    wait_s: float
    road: Road = Road.SMB
    hides_reason: str = ""
    """Why an SBE may be imported that hides the update; empty: it may not."""
    manifests: Manifests | None = None
    """What is published; None: nothing of it is known."""
    _session: NodeSession = field(init=False)
    _node: str = field(init=False)
    """The node that is worked through now."""
    _turn: int = 0
    _held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """The session with it."""
    _state: ImportState = ImportState.COPYING
    _visited: list[str] = field(default_factory=list)
    _proven: dict[PureWindowsPath, ShareItem] = field(default_factory=dict)
    """What a node hashed in this run, as it stood there then."""
    _arrived: Counter[PureWindowsPath] = field(default_factory=Counter)
    """How often this run has copied something whole, or expanded it."""
    _expanded_by: dict[PureWindowsPath, NodeSession] = field(default_factory=dict)
    """The session in which this run expanded a folder."""
    _members: dict[TargetName, Mapping[str, int] | None] = field(default_factory=dict)
    """What an archive that went by holds, by its own directory; None: it has none that can be read."""
    _reader: RecordReader = field(default_factory=RecordReader)
    _sent: set[str] = field(default_factory=set)
    """Submissions that this run has sent: each once, whatever became of it."""
    _until: dict[str, float] = field(default_factory=dict)
    """Submission → when waiting for its effect ends."""
    _copied_bytes: int = 0
    _recopied_bytes: int = 0
    _reached: defaultdict[PureWindowsPath, _Reached] = field(
        default_factory=lambda: defaultdict(_Reached)
    )
    _pace: Pace = field(init=False)
    _has_told: bool = False
    _has_told_road: bool = False
    _has_returned: bool = False

    def __post_init__(self) -> None:
        """Know nothing yet of how fast the byte path is."""
        self._pace = Pace(progress=self.progress, clock=self.clock)

    @property
    def subject(self) -> str:
        """What the journal calls this import."""
        return f"import {self.version}"

    def run(self) -> ImportResult:
        """Import the version, going on from whatever an earlier try left.

        Raises:
            InputError: The medium does not carry the version, or an SBE on it cannot be understood.
            DigestError: What arrived on the node differs from what was signed.
            StateError: Something stands in the import folder that ferry did not write, another laptop
                imports, or no SBE on the medium is the one that the update asks for.
            ClusterError: `Add-SolutionUpdate` or another cmdlet refused, in the cluster's words.
            StorageError: The share is full.
            AuthenticationError: A node refused the credential; no other was asked.
            ReachError: Nothing got further for as long as patience lasts; the same command continues.
        """
        bundle, sbes = self._bundle(), carried_sbes(self.medium)
        with self._held:
            lost: ReachError | None = None
            while True:
                try:
                    if lost is None:
                        self._connect()
                    else:
                        self._bear(lost)
                    return self._through_this_node(bundle, sbes)
                except AuthenticationError:
                    raise
                except ReachError as error:
                    if error is lost:  # it was borne long enough
                        raise
                    lost = error

    def _connect(self) -> None:
        self._held.close()
        node = self.nodes[self._turn % len(self.nodes)]
        self._node = node.name
        self._session = self._held.enter_context(self.open(node))
        if node.name not in self._visited[-1:]:
            self._visited.append(node.name)

    def _bear(self, error: ReachError) -> None:
        """Bear a loss, or raise it, when that was long enough: after a pause go on, through the next node if need be."""
        while True:
            pause_s = self.patience.lost(self._state, self.clock())
            if pause_s is None:
                raise error
            if isinstance(error, ConnectError) or self.patience.has_lost_again:
                self._turn += 1
            following = self.nodes[self._turn % len(self.nodes)].name
            self.progress.say(f"{error}; going on through {following} in {pause_s:.0f} s")
            self.sleep(pause_s)
            try:
                self._connect()
            except AuthenticationError:
                raise
            except ReachError as another:
                error = another
            else:
                return

    def _through_this_node(self, bundle: Target, sbes: Sequence[CarriedSbe]) -> ImportResult:
        try:
            listed, ahead = self._delivered_in_order(bundle, sbes)
        except ReachError:
            raise
        except ToolkitError:
            self._leave()
            raise
        self._leave()
        foretelling = self._foretelling()
        after = foretelling.after(
            ahead.shown if ahead.is_delivered else listed, is_of_update=not ahead.is_delivered
        )
        return ImportResult(
            version=self.version,
            node=self._node,
            update=listed,
            copied_bytes=self._copied_bytes,
            recopied_bytes=self._recopied_bytes,
            nodes=tuple(self._visited),
            differences=after.differences,
            hidden_by=after.hidden_by,
            advice=after.advice,
            needs=foretelling.needed(listed.resource_id)
            if listed is not None and _asks_for_sbe(listed) and not ahead.is_delivered
            else None,
            before=ahead.before,
        )

    def _delivered_in_order(
        self, bundle: Target, sbes: Sequence[CarriedSbe]
    ) -> tuple[Update | None, _Ahead]:
        """Deliver what the update needs next; return its row, and what is known of an SBE that comes before it."""
        listed = self._answered(self._listed)
        is_hidden = listed is None and self._foretelling().is_hidden()
        if listed is not None and not self._sent:
            self.progress.say(f"update {self.version} is listed already: {listed.state_raw}")
        ahead = _Ahead() if is_hidden or _is_begun(listed) else self._ahead(listed, sbes)
        if listed is None and not is_hidden and not ahead.is_delivered:
            listed = self._delivered(self._solution(bundle))
            if has_prerequisite(listed):
                ahead = self._ahead(listed, sbes)
        if ahead.is_delivered:  # the rest comes when that SBE is installed
            return listed, ahead
        if sbes and (is_hidden or _asks_for_sbe(listed)):
            listed = self._delivered(self._chosen_sbe(sbes))
        elif sbes and self._sent <= {_BUNDLE_STEP}:
            self.progress.say("the SBE on the medium was not asked for and not imported")
        return listed, ahead

    # --- the SBE that comes first --------------------------------------------------------------

    def _ahead(self, listed: Update | None, sbes: Sequence[CarriedSbe]) -> _Ahead:
        """Deliver the SBE that must be installed before the update, if the medium carries it."""
        lacking = self._answered(
            lambda: lacking_before(
                self._session,
                self.version,
                listed,
                manifests=self.manifests,
                progress=self.progress,
            )
        )
        if lacking is None:
            return _Ahead()
        sight = self._answered(self._foretelling().look)
        chosen, against = choose_before(sbes, floor=lacking.floor, sight=sight)
        if chosen is not None and listed is not None and not self.hides_reason:
            hides = foresee(sight, bundle=self.version, sbe=chosen.sbe).hiding(self.version)
            chosen, against = (None, (hides,)) if hides else (chosen, ())
        before = SbeBefore(
            family=sight.environment.sbe_family,
            minimum=lacking.published,
            installed=sight.environment.current_sbe_version,
            why=lacking.why,
            against=against,
        )
        says = (
            f"before {self.version}, SBE {before.minimum} or later must be installed ({before.why}); installed is "
            f"{before.installed}"
        )
        if chosen is None:
            self.progress.say(f"{says}, and the medium carries none that is known to be that one")
            return _Ahead(before=before)
        self.progress.say(f"{says}: {chosen.sbe.title}, which is on the medium, goes first")
        shown = self._answered(lambda: self._listed(chosen.sbe.version))
        if shown is None:
            shown = self._delivered(self._sbe_before(chosen, listed))
        state = "" if shown is None else shown.state_raw
        named = replace(before, name=f"SBE{chosen.sbe.version}", state=state, against=())
        return _Ahead(before=named, shown=shown)

    def _foretelling(self) -> Foretelling:
        return Foretelling(
            session=self._session,
            version=self.version,
            subject=self.subject,
            note=self._note,
            entries=lambda: self.journal.entries(cluster=self.cluster),
            progress=self.progress,
            sleep=self.sleep,
            clock=self.clock,
            poll_s=self.poll_s,
            wait_s=self.wait_s,
            hides_reason=self.hides_reason,
        )

    def _leave(self) -> None:
        """Say that this run has ended, if that can be said: else others wait a little before they go on."""
        if self.claim.number:
            with contextlib.suppress(ToolkitError):
                self.claim.leave(self._session)

    # --- what is delivered ---------------------------------------------------------------------

    def _bundle(self) -> Target:
        bundles = bundles_of(self.medium)
        require_carried(self.version, bundles, attempted=f"import {self.version}")
        return bundles[self.version]

    def _solution(self, bundle: Target) -> _Delivery:
        return _Delivery(
            title=str(self.version),
            step=_BUNDLE_STEP,
            files=(bundle,),
            place=_cmdlets.IMPORT_FOLDER,
            folder=_cmdlets.IMPORT_FOLDER / str(self.version),
            is_archive=True,
            awaits=self.version,
            has_effect=_is_listed,
            package=f"Solution{self.version}",
            bundle=self.version,
        )

    def _chosen_sbe(self, sbes: Sequence[CarriedSbe]) -> _Delivery:
        """Choose the hardware vendor's three files, which the update asks for."""
        sight = self._answered(self._foretelling().look)
        chosen = choose(sbes, version=self.version, sight=sight, hides_reason=self.hides_reason)
        title = chosen.sbe.title
        self.progress.say(f"the update asks for its vendor's SBE; {title} is on the medium")
        for doubt in doubts(chosen, version=self.version, sight=sight):
            self.progress.say(f"not checked: {doubt}")
        hides = foresee(sight, bundle=self.version, sbe=chosen.sbe).hiding(self.version)
        return self._of_sbe(
            chosen,
            awaits=self.version,
            has_effect=_is_gone if hides else _has_its_sbe,
            bundle=self.version,
        )

    def _sbe_before(self, chosen: CarriedSbe, listed: Update | None) -> _Delivery:
        return self._of_sbe(
            chosen,
            awaits=chosen.sbe.version,
            has_effect=_is_listed,
            package=f"SBE{chosen.sbe.version}",
            bundle=None if listed is None else self.version,
        )

    def _of_sbe(self, chosen: CarriedSbe, **more: Any) -> _Delivery:
        title = chosen.sbe.title
        folder = _cmdlets.IMPORT_FOLDER / f"{self.version}-{title}"
        return _Delivery(
            title=f"{self.version}-{title}",
            step=f"submit {title}",
            files=chosen.files,
            place=folder,
            folder=folder,
            is_archive=False,
            sbe=chosen,
            **more,
        )

    # --- the machine ---------------------------------------------------------------------------

    def _delivered(self, delivery: _Delivery) -> Update | None:
        """Go from state to state until the cluster shows the effect, or the time to wait for it is over."""
        self.claim.hold(self._session)
        self._session.invoke(_cmdlets.make_folder(delivery.place))
        while True:
            seen = self._look()
            stands = self._stands(delivery, seen)
            state = state_of(stands)
            if state is not self._state:
                self._state = state
                self.patience.moved()
            match state:
                case ImportState.COPYING | ImportState.COPIED:
                    wanted = next(
                        file
                        for file, found in zip(delivery.files, stands.files, strict=True)
                        if not found.is_proven
                    )
                    if state is ImportState.COPYING:
                        self._copy(delivery, wanted, seen)
                    else:
                        self._verify(delivery, wanted, seen)
                case ImportState.VERIFIED:
                    self._expand(delivery, seen)
                case ImportState.READY:
                    self._submit(delivery)
                case ImportState.SUBMITTED:
                    listed, is_settled = self._await_effect(delivery, stands.submission)
                    if is_settled:
                        return listed

    def _look(self) -> ShareView:
        """See what stands on the share now."""
        items = self._session.invoke(share.tree(_cmdlets.IMPORT_FOLDER))
        records = self._reader.records(self._session, items, self.version, progress=self.progress)
        seen = ShareView(items=items, records=records)
        if not self._has_told:
            self._has_told = True
            self._tell_leftovers(seen)
        return seen

    def _tell_leftovers(self, seen: ShareView) -> None:
        ours = (str(self.version), self._bundle().name.rpartition("/")[2])
        for name, size_bytes in seen.others(ours):
            self.progress.say(
                f"left alone in the import folder: {name} ({human_size(size_bytes)}), which is not of this import; "
                "ferry cluster clean removes what ferry wrote there"
            )

    def _stands(self, delivery: _Delivery, seen: ShareView) -> Stands:
        submission, signed = self._submission(delivery, seen), delivery.files[0].sha256
        return Stands(
            submission=submission,
            files=tuple(
                FileStands(
                    is_whole=seen.at(_path_of(delivery, target)) is not None,
                    is_proven=self._is_proven(delivery, target, seen),
                )
                for target in delivery.files
            ),
            is_archive=delivery.is_archive,
            is_expanded=delivery.is_archive
            and submission is None
            and self._is_kept(delivery.folder, seen.expansion_of(delivery.folder, signed)),
        )

    def _is_kept(self, folder: PureWindowsPath, expansion: ShareRecord | None) -> bool:
        """Whether an expanded folder still holds what it did: a node that goes down loses contents, not names and lengths."""
        if expansion is None:
            return False
        if self._expanded_by.get(folder) is self._session:  # which lives, so its node was up since
            return True
        booted_at = self._booted_at()
        written_in = (expansion.node, expansion.facts.get(BOOTED_AT))
        return bool(booted_at) and written_in == (self._node, booted_at)

    def _submission(self, delivery: _Delivery, seen: ShareView) -> Outcome | None:
        """Return what the journal and the records know of a submission; a "may be" outweighs a "no"."""
        noted = self._last_outcome(delivery.step)
        known = [Outcome(noted)] if noted in set(Outcome) else []
        known += seen.outcomes(ImportStep.SUBMIT, delivery.title)[-1:]
        return next((one for one in known if one in MAY_BE_ADDED), None)

    def _is_proven(self, delivery: _Delivery, target: Target, seen: ShareView) -> bool:
        """Whether a node has hashed what stands there, in this run or in an earlier one of this site."""
        path = _path_of(delivery, target)
        item = seen.at(path)
        if item is None:
            return False
        if self._proven.get(path) != item and (
            self._last_outcome(f"copy {path.name}") != "done"
            or not seen.is_verified(item, target.sha256, site_id=self.claim.site_id)
        ):
            return False
        self._proven[path] = item
        return True

    # --- acts ----------------------------------------------------------------------------------

    def _copy(self, delivery: _Delivery, target: Target, seen: ShareView) -> None:
        """Have the target stand on the share, going on from what an earlier try has sent."""
        path = _path_of(delivery, target)
        self._refuse_vanishing(path)
        while True:
            try:
                self._copy_once(delivery, target, path, seen)
            except BeginAnewError:
                seen = self._look()
            else:
                return

    def _copy_once(
        self, delivery: _Delivery, target: Target, path: PureWindowsPath, seen: ShareView
    ) -> None:
        fresh = [seen]  # what the first upload of this copy goes by; each later one looks anew

        def begin(held_bytes: int | None) -> AbstractContextManager[UploadSink]:
            seen = fresh.pop() if fresh else self._look()
            return self._upload(delivery, target, seen, held_bytes)

        with LastingSink(begin, self._bear, lambda sink: self._count(path, sink)) as sink:
            tail = TailSink(sink, target.size_bytes)
            self.medium.copy_target(target.name, cast("BinaryIO", tail), progress=self.progress)
            self.claim.check(self._session)
            sink.finish()
        if delivery.is_archive:
            self._members[target.name] = tail.members()
        self._arrived[path] += 1
        self.progress.say(f"copied {path.name} to {self._node}; now the node hashes it")

    def _upload(
        self, delivery: _Delivery, target: Target, seen: ShareView, held_bytes: int | None
    ) -> UploadSink:
        """Begin an upload, or go on with what stands there, whoever wrote it.

        `held_bytes`: below this, an earlier upload of this stream by this run was acknowledged.
        """
        path = _path_of(delivery, target)
        self.claim.check(self._session)
        parts = seen.parts_of(path)
        if parts:
            self._return_to(seen.safety_of(path).node)
        booted_at = self._booted_at()
        told = seen.safety_of(path)
        here = (self._node, booted_at)
        reached = self._reached[path]
        wrote = (told.node, told.booted_at) if held_bytes is None else reached.through
        is_believed = (bool(booted_at) and wrote == here) or (held_bytes is None and not told.node)
        flushed_bytes = max(told.flushed_bytes, reached.flushed_bytes)
        flushed_bytes = min(flushed_bytes, *(item.size_bytes for item in parts)) if parts else 0
        reached.flushed_bytes = flushed_bytes
        # by bytes nothing can be cut off, so what is not believed stays, and no record may vouch for it
        is_vouched = self.road is Road.SMB or is_believed or not parts
        facts = {BOOTED_AT: booted_at if is_vouched else "", FLUSHED: str(flushed_bytes)}
        part = unfinished(path.name, self.claim.number)
        self._note(f"copy {path.name}", "intent", path=str(path), size_bytes=str(target.size_bytes))
        about = {"path": path, "part": part, **_signed(target)}

        def flushed(flushed_bytes: int) -> None:
            reached.flushed_bytes = flushed_bytes
            if flushed_bytes > reached.flushed_ever_bytes:
                reached.flushed_ever_bytes = flushed_bytes
                self.patience.moved()
            if flushed_bytes - int(facts[FLUSHED]) >= _RECORDED_EACH_BYTES:
                facts[FLUSHED] = str(flushed_bytes)
                self._record(delivery, ImportStep.COPY, Outcome.FLUSHED, facts=facts, **about)

        if parts and all(item.path.name != part for item in parts):
            self._take_over(parts[0], part)
        upload: UploadSink
        if self.road is Road.SMB:
            with self._without_smb_told():
                upload = self._session.upload(
                    path,
                    size_bytes=target.size_bytes,
                    part=part,
                    must_exist=bool(parts),
                    safe_bytes=held_bytes if is_believed else flushed_bytes,
                    on_flushed=flushed,
                )
        else:
            upload = ByteUpload(
                self._session,
                path,
                size_bytes=target.size_bytes,
                pace=self._pace,
                sleep=self.sleep,
                part=part,
                must_exist=bool(parts),
                on_arrived=self.patience.moved,
            )
        with contextlib.ExitStack() as failed:
            failed.push(upload)
            # only now, for it vouches for what stands there: what is not believed has been cut off
            self._record(delivery, ImportStep.COPY, Outcome.INTENT, facts=facts, **about)
            failed.pop_all()
        reached.through = here if is_vouched else None
        return upload

    @contextlib.contextmanager
    def _without_smb_told(self) -> Iterator[None]:
        """Say once, where a node that answers by WinRM does not by SMB, that there is another road."""
        try:
            yield
        except ConnectError:
            if not self._has_told_road:
                self._has_told_road = True
                self.progress.say(
                    f"{self._node} answers by WinRM and not by SMB. Where its port stays closed, stop this and run the "
                    "same command with --through-winrm, which is slow"
                )
            raise

    def _return_to(self, writer: str) -> None:
        """Go on through the node that an earlier run wrote through: it may still have what others cannot rely on."""
        names = [node.name for node in self.nodes]
        if not self._has_returned and writer != self._node and writer in names:
            self._turn = names.index(writer)
            self._has_returned = True
            self._connect()
        self._has_returned = True

    def _booted_at(self) -> str:
        """Return since when the node is up; empty where it does not tell."""
        try:
            return self._session.invoke(ready.booted_at()).isoformat()
        except (CommandError, InputError):
            return ""

    def _take_over(self, part: ShareItem, name: str) -> None:
        """Make an unfinished file ours; it is refused as long as its earlier writer holds it."""
        try:
            self._session.invoke(share.rename(part.path, name))
        except CommandError as error:
            raise TransferError(
                f"go on with {part.path.name} on node {self._node}",
                found=error.found,
                hint="the earlier connection may still be open there; run the same command again in a few minutes",
            ) from error
        self.progress.say(f"going on with {part.path.name}, {human_size(part.size_bytes)}")

    def _count(self, path: PureWindowsPath, sink: UploadSink) -> None:
        self._copied_bytes += sink.sent_to_bytes - sink.resumed_at_bytes
        reached = self._reached[path]
        before = reached.sent_to_bytes or sink.resumed_at_bytes
        if sink.sent_to_bytes > before:  # be it that no line holds until a flush is due
            self.patience.moved()
        self._recopied_bytes += max(0, min(before, sink.sent_to_bytes) - sink.resumed_at_bytes)
        reached.sent_to_bytes = max(before, sink.sent_to_bytes)

    def _verify(self, delivery: _Delivery, target: Target, seen: ShareView) -> None:
        """Have the node hash what stands there: signed, or removed."""
        path = _path_of(delivery, target)
        step = f"copy {path.name}"
        item = seen.at(path)
        timeout_s = 120 + target.size_bytes / _NODE_BYTES_PER_S
        try:
            found = self._session.invoke(_cmdlets.file_hash(path, timeout_s=timeout_s))
        except CommandError:
            if self._session.invoke(_cmdlets.path_exists(path)):
                raise
            self.progress.say(f"{path.name} was taken away on {self._node} before it was hashed")
            return
        if found == target.sha256 and item is not None:
            if path not in self._arrived:
                self.progress.say(f"{path.name} is on {self._node} already, hash proven there")
            self._note(step, "done", sha256=found)
            self._record(
                delivery,
                ImportStep.VERIFY,
                Outcome.DONE,
                path=path,
                facts={"written_at": item.written_at},
                **_signed(target),
            )
            self._proven[path] = item
            self._remove_leftovers(seen.parts_of(path))
            return
        if path not in self._arrived:
            self._refuse_foreign(step, path, seen)
        self.claim.check(self._session)
        self._session.invoke(_cmdlets.remove(path))
        if path in self._arrived:
            self._note(step, "failed", sha256=found)
            raise DigestError(
                f"verify {path} on node {self._node}",
                found=f"sha256 {found}",
                expected=f"sha256 {target.sha256} (signed on the medium)",
                hint="it was altered between the medium and the node and has been removed there; "
                "run the same command again, and if it fails again look at that network path",
            )

    def _expand(self, delivery: _Delivery, seen: ShareView) -> None:
        """Have the archive's content stand in a folder of its own: beside first, then moved."""
        final = delivery.folder
        earlier = seen.expansion_of(final, delivery.files[0].sha256)
        if earlier is None:
            self._refuse_vanishing(final)
        else:
            self.progress.say(
                f"{final.name} was expanded on {earlier.node}, and whether all of it was on the disk since is not known"
            )
        self._read_members(delivery.files[0])
        self.claim.check(self._session)
        if seen.at(final) is not None:
            self._refuse_foreign("expand", final, seen)
            self._session.invoke(_cmdlets.remove(final))
        self._remove_leftovers(seen.parts_of(final))
        self._note("expand", "intent", path=str(final))
        signed = _signed(delivery.files[0])
        number = self.claim.next_number
        part = final.with_name(unfinished(final.name, self.claim.number, number))
        self._record(
            delivery, ImportStep.EXPAND, Outcome.INTENT, path=final, part=part.name, **signed
        )
        self._session.invoke(_cmdlets.make_folder(part))
        try:
            self._fill(delivery, part)
        except CommandError:
            if self._session.invoke(_cmdlets.path_exists(part)):
                raise
            self.progress.say(f"{part.name} was taken away on {self._node} while it was made")
        else:
            self._expanded_by[final] = self._session
            self._note("expand", "done", path=str(final))
        self._arrived[final] += 1

    def _fill(self, delivery: _Delivery, part: PureWindowsPath) -> None:
        """Expand the archive into a folder, prove its content, and give it its final name."""
        archive, final = _path_of(delivery, delivery.files[0]), delivery.folder
        members = self._members[delivery.files[0].name]
        booted_at = self._booted_at()
        self.progress.say(f"expanding {archive.name} on {self._node}")
        timeout_s = 600 + delivery.files[0].size_bytes / _NODE_BYTES_PER_S
        expand(self._session, archive, part, timeout_s=timeout_s, progress=self.progress)
        items = self._session.invoke(share.tree(part))
        if members is not None:
            files = ((item.path, item.size_bytes) for item in items if not item.is_folder)
            check_expanded(members, files, part)
        self.claim.check(self._session)
        self._record(
            delivery,
            ImportStep.EXPAND,
            Outcome.DONE,
            path=final,
            part=part.name,
            facts={"content": digest_of(items, part), BOOTED_AT: booted_at},
            **_signed(delivery.files[0]),
        )
        self._session.invoke(_cmdlets.move(part, final))

    def _read_members(self, archive: Target) -> None:
        """Learn what an archive holds; where it was copied by an earlier run, the medium is read for it."""
        name = archive.name.rpartition("/")[2]
        if archive.name not in self._members:
            self.progress.say(
                f"reading {name} on the medium, for what must stand there once it is expanded"
            )
            tail = TailSink(None, archive.size_bytes)
            self.medium.copy_target(archive.name, cast("BinaryIO", tail), progress=self.progress)
            self._members[archive.name] = tail.members()
        if self._members[archive.name] is None:
            self.progress.say(
                f"not checked: what is expanded, for the directory of {name} cannot be read"
            )

    def _remove_leftovers(self, parts: Iterable[ShareItem]) -> None:
        """Remove what an earlier try did not finish; what is still held on the node is left."""
        for part in parts:
            try:
                self._session.invoke(_cmdlets.remove(part.path))
            except CommandError as error:
                self.progress.say(f"{part.path.name} cannot be removed yet: {error.found}")

    def _submit(self, delivery: _Delivery) -> None:
        """Add the folder; the intent stands on the share before the token is asked for the last time."""
        step, folder = delivery.step, delivery.folder
        self._answered(lambda: self._foretelling().before(delivery.sbe, bundle=delivery.bundle))
        self.claim.check(self._session)
        self._note(step, "intent", folder=str(folder))
        self._record(delivery, ImportStep.SUBMIT, Outcome.INTENT, path=folder)
        self.claim.check(self._session)
        self._sent.add(step)
        try:
            self._session.invoke(_cmdlets.add_update(folder))
        except CommandError as error:
            if says_no_reply(error.words):
                self.progress.say(
                    f"the update service did not answer whether it adds it ({error.found}); asking the cluster"
                )
                return
            self._note(step, "refused", error_id=error.error_id or "", words=error.found or "")
            self._record(delivery, ImportStep.SUBMIT, Outcome.REFUSED, path=folder)
            error.hint = error.hint or _REFUSED
            raise
        self._note(step, "done", folder=str(folder))
        self._record(delivery, ImportStep.SUBMIT, Outcome.DONE, path=folder)
        self.progress.say(f"added to the update service from {folder}")

    def _await_effect(
        self, delivery: _Delivery, submission: Outcome | None
    ) -> tuple[Update | None, bool]:
        """Wait until the cluster shows the effect; return what it lists, and whether that is the end."""
        step = delivery.step
        if step not in self._until:
            self._until[step] = self.clock() + self.wait_s
            if step not in self._sent:
                self.progress.say(f"{step}: {submission} is known of it; asking the cluster")
        listed = self._wait_for(delivery, until=self._until[step])
        package = _cmdlets.PACKAGES_FOLDER / delivery.package
        took_effect = delivery.has_effect(listed) or (
            bool(delivery.package) and self._session.invoke(_cmdlets.path_exists(package))
        )
        if not took_effect and step not in self._sent:
            self.progress.say("the cluster holds nothing of it: adding it again")
            self.claim.check(self._session)
            self._note(step, "lost")
            self._record(delivery, ImportStep.SUBMIT, Outcome.LOST, path=delivery.folder)
            del self._until[step]
            return None, False
        if took_effect and self._last_outcome(step) != "done":
            self._note(step, "done", learned="from the cluster")
        return listed, True

    # --- the cluster's list --------------------------------------------------------------------

    def _listed(self, name: UpdateName | None = None) -> Update | None:
        """Return the row of an update, or of an SBE; without a name, of the update that is imported."""
        for update in self._session.invoke(_cmdlets.updates()):
            if is_named(update, name or self.version):
                return update
        return None

    def _wait_for(self, delivery: _Delivery, *, until: float) -> Update | None:
        """Ask until the listed update shows it; the service discovers in its own time."""
        pause_s = self.poll_s
        while True:
            listed = self._answered(lambda: self._listed(delivery.awaits), until=until)
            if delivery.has_effect(listed) or self.clock() >= until:
                return listed
            self.patience.moved()
            state = "not listed yet" if listed is None else listed.state_raw
            self.progress.say(f"{state}; asking again in {pause_s:.0f} s")
            self.sleep(pause_s)
            pause_s = min(pause_s * 1.5, MOST_PAUSE_S)

    def _answered(self, ask: Callable[[], T], *, until: float | None = None) -> T:
        """Ask the update service; as long as it says not now, ask again."""
        until = self.clock() + self.wait_s if until is None else until
        return answered(
            ask,
            until,
            poll_s=self.poll_s,
            progress=self.progress,
            sleep=self.sleep,
            clock=self.clock,
        )

    # --- journal and records -------------------------------------------------------------------

    def _record(
        self,
        delivery: _Delivery,
        step: ImportStep,
        outcome: Outcome,
        *,
        path: PureWindowsPath,
        **more: Any,
    ) -> None:
        self.claim.record(
            self._session,
            step,
            outcome,
            delivery=delivery.title,
            path=path,
            node=self._node,
            **more,
        )

    def _note(self, step: str, outcome: str, **facts: str) -> None:
        self.journal.append(
            cluster=self.cluster,
            subject=self.subject,
            step=step,
            outcome=outcome,
            node=self._node,
            **facts,
        )

    def _last_outcome(self, step: str) -> str | None:
        known = since_added(self.journal, cluster=self.cluster, subject=self.subject)
        return next((entry.outcome for entry in reversed(known) if entry.step == step), None)

    def _refuse_vanishing(self, path: PureWindowsPath) -> None:
        """Stop what would go on for ever: it was written as often as a loss can explain, and did not stay."""
        if self._arrived[path] >= _MOST_ARRIVALS:
            raise ClusterError(
                f"import {self.version}",
                found=f"{path} was written {self._arrived[path]} times on {self._node}, and each time it was gone or changed "
                "meanwhile or soon after",
                expected="that nobody touches it there",
                hint="look whether a virus scanner of the nodes takes files away there, or a person or task cleans "
                "that folder; then run the same command again",
            )

    def _refuse_foreign(self, step: str, path: PureWindowsPath, seen: ShareView) -> None:
        if self._last_outcome(step) is None and not seen.knows(path):
            raise StateError(
                f"import {self.version}",
                current=f"{path} stands on {self._node} and this site's journal does not know it, nor does a "
                "share record",
                expected="an import folder without leftovers of others",
                hint="find out who put it there; remove or rename it on the node, then run this again",
            )


def _path_of(delivery: _Delivery, target: Target) -> PureWindowsPath:
    return delivery.place / target.name.rpartition("/")[2]


def _signed(target: Target) -> dict[str, Any]:
    return {"sha256": target.sha256, "size_bytes": target.size_bytes}


def _is_listed(update: Update | None) -> bool:
    return update is not None


def _is_begun(update: Update | None) -> bool:
    """Whether it is under way, ended or failed: then nothing is added before it."""
    return update is not None and PHASES[update.state] not in (Phase.ACTIONABLE, Phase.BLOCKED)


def _is_gone(update: Update | None) -> bool:
    return update is None


def _asks_for_sbe(update: Update | None) -> bool:
    return update is not None and update.state is UpdateState.AdditionalContentRequired


def _has_its_sbe(update: Update | None) -> bool:
    return update is not None and not _asks_for_sbe(update)
