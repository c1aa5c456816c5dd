"""Medium → import folder of the infrastructure share → hash on the node → `Add-SolutionUpdate`.

Theory of operation. Every step leaves a fact that can be asked for again, and every change is written to
the journal before it is sent (`intent`) and after (`done`). The same command run again therefore goes on:
a file that arrived is recognised by its hash, a folder that was expanded by its final name (it is expanded
under another name and then moved), a submission by the journal and by what the update service holds. The
one step that must not happen twice is the submission: once the journal knows of one, the service is asked,
and only if it has neither the update nor its package after the whole waiting time, it is submitted again.

Source: import-discover-updates-offline-23h2.md (the procedure), update-via-powershell-23h2.md (package
folder).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import BinaryIO, Protocol, cast

from toolkit.cluster import _cmdlets
from toolkit.cluster._foretelling import Foretelling
from toolkit.cluster._sbe_carried import CarriedSbe, carried_sbes
from toolkit.cluster._sbe_foresight import Difference, NeededSbe, choose, doubts, foresee
from toolkit.errors import (
    CommandError,
    DigestError,
    InputError,
    StateError,
)
from toolkit.model import (
    Command,
    PayloadKind,
    Progress,
    SolutionVersion,
    T,
    Target,
    TargetName,
    Update,
    UpdateState,
)
from toolkit.site import REMOVED_STEP, Journal

_NODE_BYTES_PER_S = 5 << 20
"""Slowest hashing or expanding we wait for; Expand-Archive of Windows PowerShell is this slow."""


class SourceMedium(Protocol):
    """What an import needs of a verified medium."""

    def targets(self) -> tuple[Target, ...]:
        """Return every target of the medium."""

    def copy_target(self, name: TargetName, sink: BinaryIO, *, progress: Progress) -> None:
        """Copy one target, proving every byte on the way."""


class UploadSink(Protocol):
    """A resumable upload: fed the whole stream, it sends what the node does not have yet."""

    resumed_at_bytes: int

    def write(self, data: bytes) -> int:
        """Take the next bytes of the stream."""

    def finish(self) -> None:
        """Flush, and give the file its final name."""

    def __enter__(self) -> UploadSink:
        """Return the sink."""

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        """Let go of the file; what arrived stays for the next try."""


class NodeSession(Protocol):
    """What an import needs of a session with a node."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""

    def upload(self, path: PureWindowsPath, *, size_bytes: int) -> UploadSink:
        """Begin or resume an upload to `<path>.part`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """How an import ended."""

    version: SolutionVersion
    node: str
    update: Update | None
    """The update as the cluster lists it; None: not listed within the waiting time."""
    copied_bytes: int
    """Bytes sent now; what stood on the share from an earlier try is not counted."""
    differences: tuple[Difference, ...] = ()
    """Where the cluster lists something else than was foretold."""
    hidden_by: str = ""
    """The SBE that hides the update; empty: it is listed, or nothing is known to hide it."""
    advice: tuple[str, ...] = ()
    """How a hidden update comes back."""
    needs: NeededSbe | None = None
    """The SBE that the update still asks for; None: it asks for none, or the cluster does not tell."""


@dataclass(slots=True, kw_only=True)
class Import:
    """One import of one version, in one session."""

    session: NodeSession
    node: str
    cluster: str
    medium: SourceMedium
    version: SolutionVersion
    journal: Journal
    progress: Progress
    sleep: Callable[[float], None]
    clock: Callable[[], float]
    poll_s: float
    wait_s: float
    hides_reason: str = ""
    """Why an SBE may be imported that hides the update; empty: it may not."""
    _copied_bytes: int = 0

    @property
    def subject(self) -> str:
        """What the journal calls this import."""
        return f"import {self.version}"

    def run(self) -> ImportResult:
        """Import the version, going on from whatever an earlier try left.

        Raises:
            InputError: The medium does not carry the version, or an SBE on it cannot be understood.
            DigestError: What arrived on the node differs from what was signed.
            StateError: Something stands in the import folder that ferry did not write, or no SBE on the
                medium is the one that the update asks for.
            ClusterError: `Add-SolutionUpdate` or another cmdlet refused, in the cluster's words.
            ReachError: The node went away; the same command continues.
        """
        bundle = self._bundle()
        sbes = carried_sbes(self.medium)
        foretelling = self._foretelling()
        listed = self._listed()
        hidden_by = "" if listed is not None else foretelling.hidden_by()
        if listed is not None:
            self.progress.say(f"update {self.version} is listed already: {listed.state_raw}")
        elif not hidden_by:
            folder = self._expanded(bundle)
            listed = self._submitted("submit", folder, _is_listed, None)
        asks = listed is not None and listed.state is UpdateState.AdditionalContentRequired
        if (asks or hidden_by) and sbes:
            listed = self._add_sbe(sbes)
        elif sbes:
            self.progress.say("the SBE on the medium was not asked for and not imported")
        after = foretelling.after(listed)
        needs = None
        if listed is not None and listed.state is UpdateState.AdditionalContentRequired:
            needs = foretelling.needed(listed.resource_id)
        return ImportResult(
            version=self.version,
            node=self.node,
            update=listed,
            copied_bytes=self._copied_bytes,
            differences=after.differences,
            hidden_by=after.hidden_by,
            advice=after.advice,
            needs=needs,
        )

    def _foretelling(self) -> Foretelling:
        return Foretelling(
            session=self.session,
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

    def _bundle(self) -> Target:
        for target in self.medium.targets():
            if target.version == self.version and target.kind is PayloadKind.SOLUTION_BUNDLE:
                return target
        carried = sorted({str(target.version) for target in self.medium.targets()})
        raise InputError(
            f"import {self.version}",
            found=f"the medium carries {', '.join(carried) or 'nothing'}",
            hint="name a version that is on the medium: ferry media show PATH",
        )

    def _listed(self) -> Update | None:
        for update in self.session.invoke(_cmdlets.updates()):
            if _cmdlets.is_version(update, self.version):
                return update
        return None

    # --- files ---------------------------------------------------------------------------------

    def _placed(self, target: Target, folder: PureWindowsPath) -> PureWindowsPath:
        """Have the target stand on the share, proven by the node's own hash."""
        path = folder / target.name.rpartition("/")[2]
        timeout_s = 120 + target.size_bytes / _NODE_BYTES_PER_S
        step = f"copy {path.name}"
        self.session.invoke(_cmdlets.make_folder(folder))
        if self.session.invoke(_cmdlets.path_exists(path)):
            if self._node_hash(path, timeout_s) == target.sha256:
                self.progress.say(f"{path.name} is on {self.node} already, hash proven there")
                self._note(step, "done", sha256=target.sha256)
                return path
            self._refuse_foreign(step, path)
            self.session.invoke(_cmdlets.remove(path))
        self._note(step, "intent", path=str(path), size_bytes=str(target.size_bytes))
        with self.session.upload(path, size_bytes=target.size_bytes) as sink:
            self.medium.copy_target(target.name, cast("BinaryIO", sink), progress=self.progress)
            sink.finish()
            self._copied_bytes += target.size_bytes - sink.resumed_at_bytes
        self.progress.say(f"copied {path.name} to {self.node}; now the node hashes it")
        arrived = self._node_hash(path, timeout_s)
        if arrived != target.sha256:
            self.session.invoke(_cmdlets.remove(path))
            self._note(step, "failed", sha256=arrived)
            raise DigestError(
                f"verify {path} on node {self.node}",
                found=f"sha256 {arrived}",
                expected=f"sha256 {target.sha256} (signed on the medium)",
                hint="it was altered between the medium and the node and has been removed there; "
                "run the same command again, and if it fails again look at that network path",
            )
        self._note(step, "done", sha256=arrived)
        return path

    def _node_hash(self, path: PureWindowsPath, timeout_s: float) -> str:
        return self.session.invoke(_cmdlets.file_hash(path, timeout_s=timeout_s))

    def _expanded(self, bundle: Target) -> PureWindowsPath:
        """Have the solution bundle's content stand in a folder of its own."""
        final = _cmdlets.IMPORT_FOLDER / str(self.version)
        part = final.with_name(f"{final.name}.part")
        step = "expand"
        if self.session.invoke(_cmdlets.path_exists(final)):
            self._refuse_foreign(step, final)
            return final
        archive = self._placed(bundle, _cmdlets.IMPORT_FOLDER)
        if self.session.invoke(_cmdlets.path_exists(part)):
            self._refuse_foreign(step, part)
            self.session.invoke(_cmdlets.remove(part))
        self._note(step, "intent", path=str(final))
        self.progress.say(f"expanding {archive.name} on {self.node}")
        timeout_s = 600 + bundle.size_bytes / _NODE_BYTES_PER_S
        self.session.invoke(_cmdlets.expand(archive, part, timeout_s=timeout_s))
        self.session.invoke(_cmdlets.move(part, final))
        self._note(step, "done", path=str(final))
        return final

    def _add_sbe(self, sbes: Sequence[CarriedSbe]) -> Update | None:
        """Add the hardware vendor's three files, which the update asks for."""
        sight = self._foretelling().look()
        chosen = choose(sbes, version=self.version, sight=sight, hides_reason=self.hides_reason)
        title = chosen.sbe.title
        folder = _cmdlets.IMPORT_FOLDER / f"{self.version}-{title}"
        self.progress.say(f"the update asks for the vendor's SBE; {title} is on the medium")
        for doubt in doubts(chosen, version=self.version, sight=sight):
            self.progress.say(f"not checked: {doubt}")
        for target in chosen.files:
            self._placed(target, folder)
        hides = foresee(sight, bundle=self.version, sbe=chosen.sbe).hiding(self.version)
        effect = _is_gone if hides else _has_its_sbe
        return self._submitted(f"submit {title}", folder, effect, chosen)

    # --- submission ----------------------------------------------------------------------------

    def _submitted(
        self,
        step: str,
        folder: PureWindowsPath,
        has_effect: Callable[[Update | None], bool],
        sbe: CarriedSbe | None,
    ) -> Update | None:
        """Have a folder added exactly once, and wait until the cluster shows the effect."""
        outcome = self._last_outcome(step)
        if outcome in ("intent", "done"):
            self.progress.say(f"the journal says {step}: {outcome}; asking the cluster")
            listed = self._wait_for(has_effect)
            package = _cmdlets.PACKAGES_FOLDER / f"Solution{self.version}"
            if has_effect(listed) or (
                step == "submit" and self.session.invoke(_cmdlets.path_exists(package))
            ):
                if outcome == "intent":
                    self._note(step, "done", learned="from the cluster")
                return listed
            self.progress.say("the cluster holds nothing of it: adding it again")
            self._note(step, "lost")
        self._foretelling().before(sbe)
        self._submit(folder, step)
        return self._wait_for(has_effect)

    def _submit(self, folder: PureWindowsPath, step: str) -> None:
        self._note(step, "intent", folder=str(folder))
        try:
            self.session.invoke(_cmdlets.add_update(folder))
        except CommandError as error:
            self._note(step, "refused", error_id=error.error_id or "", words=error.found or "")
            raise
        self._note(step, "done", folder=str(folder))
        self.progress.say(f"added to the update service from {folder}")

    def _wait_for(self, has_effect: Callable[[Update | None], bool]) -> Update | None:
        """Ask until the listed update shows it; the service discovers in its own time."""
        until = self.clock() + self.wait_s
        pause_s = self.poll_s
        while True:
            listed = self._listed()
            if has_effect(listed) or self.clock() >= until:
                return listed
            state = "not listed yet" if listed is None else listed.state_raw
            self.progress.say(f"{state}; asking again in {pause_s:.0f} s")
            self.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 300)

    # --- journal -------------------------------------------------------------------------------

    def _note(self, step: str, outcome: str, **facts: str) -> None:
        self.journal.append(
            cluster=self.cluster,
            subject=self.subject,
            step=step,
            outcome=outcome,
            node=self.node,
            **facts,
        )

    def _last_outcome(self, step: str) -> str | None:
        last = None
        for entry in self.journal.entries(cluster=self.cluster):
            if entry.step == REMOVED_STEP:  # another cluster of this name: nothing before counts
                last = None
            elif (entry.subject, entry.step) == (self.subject, step):
                last = entry.outcome
        return last

    def _refuse_foreign(self, step: str, path: PureWindowsPath) -> None:
        if self._last_outcome(step) is None:
            raise StateError(
                f"import {self.version}",
                current=f"{path} stands on {self.node} and this site's journal does not know it",
                expected="an import folder without leftovers of others",
                hint="find out who put it there; remove or rename it on the node, then run this again",
            )


def _is_listed(update: Update | None) -> bool:
    return update is not None


def _has_its_sbe(update: Update | None) -> bool:
    return update is not None and update.state is not UpdateState.AdditionalContentRequired


def _is_gone(update: Update | None) -> bool:
    return update is None
