"""What ferry wrote into the import folder is removed again, and nothing else.

Theory of operation. The share records say what ferry wrote, but who may write the share may write a record too.
So a record alone removes nothing: what goes must stand in the import folder, carry its version in the name, and
be a file that was copied, the unfinished form of one, or a folder that holds, by names and lengths, exactly what
was expanded. All else is named and left. Before anything goes, the token is taken, as by an import: another
laptop that copies or expands is not disturbed; one whose node is hashing for longer than a cleaning looks stops at
its next change. Only what is seen with the token in hand is removed, for until then another laptop may have added
it. The records of a version go last, when nothing of it is left; tokens stay, for the next one must be higher.
A cleaning whose node goes away is run again through another: it sees anew what still stands there. What was just
being removed is known then by its rest, if nothing was written there since. Which version goes, the first look
decides: when it is gone, no other one takes its place.

A version is kept as long as the update service may need its files: while it is added and not listed yet, while
its SBE is added and still asked for, and while its run is in progress. Once it is listed, the service has a copy
of its own.

Source: update-via-powershell-23h2.md (the service's own package folder), import-discover-updates-offline-23h2.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PureWindowsPath
from typing import Protocol

from toolkit.cluster import _cmdlets
from toolkit.cluster._byte_road import SCRATCH
from toolkit.cluster._cmdlets import IMPORT_FOLDER, share
from toolkit.cluster._cmdlets.share import ShareItem
from toolkit.cluster._fencing import Claim
from toolkit.cluster._record_reading import RecordReader
from toolkit.cluster._running import PHASES, Phase
from toolkit.cluster._share_records import (
    MAY_BE_ADDED,
    RECORDS_FOLDER,
    ImportStep,
    Outcome,
    ShareRecord,
    ShareView,
    records_folder,
)
from toolkit.errors import CommandError, InputError, StateError, ToolkitError
from toolkit.model import Command, Progress, SolutionVersion, T, Update, UpdateState
from toolkit.site import Journal

STEP = "clean"


class Asked(Protocol):
    """What is needed of a session with a node."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A file or folder in the import folder."""

    path: PureWindowsPath
    size_bytes: int
    version: str = ""
    """Of which import; empty: ferry did not write it."""
    why: str = ""
    """Why it was left; empty: it was removed, or would be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """What was removed, and what was left."""

    cluster: str
    node: str
    is_dry_run: bool
    removed: tuple[Leftover, ...]
    left: tuple[Leftover, ...]

    @property
    def has_foreign(self) -> bool:
        """Whether something was left that ferry did not write."""
        return any(not one.version for one in self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """What of one version stands in the import folder."""

    version: SolutionVersion
    ours: tuple[Leftover, ...]
    why: str
    """Why it is kept; empty: it goes."""


@dataclass(slots=True, kw_only=True)
class Cleaner:
    """One cleaning of the import folder, through whichever nodes answer."""

    cluster: str
    journal: Journal
    progress: Progress
    claim: Callable[[SolutionVersion], Claim]
    """Makes the claim of a run that is about a version."""
    session: Asked = field(init=False)
    node: str = field(init=False)
    _removed: list[Leftover] = field(default_factory=list)
    _left: list[Leftover] = field(default_factory=list)
    _chosen: Sequence[SolutionVersion] | None = None
    """By the first look, and for good; None: not yet, or all."""
    _unknown: Leftover | None = None
    """What was being removed when a session was lost."""
    _files: frozenset[ShareItem] = frozenset()
    """As they were seen last."""
    _reader: RecordReader = field(default_factory=RecordReader)

    def run(
        self,
        session: Asked,
        node: str,
        wanted: SolutionVersion | None,
        *,
        all_versions: bool,
        dry_run: bool,
    ) -> Cleaning:
        """Remove what ferry wrote of one version, or of all that are no longer needed.

        Args:
            session: With a node.
            node: Its name.
            wanted: Which version; None: the only one there is.
            all_versions: Every version; one that is still needed is named and left.
            dry_run: Only say what would go.

        Raises:
            InputError: No version was named, and there are several; or the one that was named left nothing.
            StateError: The version is still needed, or another laptop is importing.
            ReachError: The node went away; run again through another, it continues.
            ClusterError: A cmdlet refused, in the cluster's words.
        """
        self.session, self.node, self._left = session, node, []
        items, found = self._survey(wanted, all_versions=all_versions)
        going = [one for one in found if not one.why]
        if dry_run:
            self._removed += (item for one in going for item in one.ours)
        elif going:
            claim = self.claim(going[0].version)
            claim.hold(self.session)
            try:  # seen anew: until now another laptop may have added what lay there
                items, found = self._survey(wanted, all_versions=all_versions)
                for one in found:
                    if not one.why:
                        self._remove(claim, one)
            finally:
                with contextlib.suppress(ToolkitError):
                    claim.leave(self.session)
        for one in found:
            self._left += _kept(one.ours, why=one.why) if one.why else ()
        self._left += foreign(items, (*self._removed, *self._left))
        return Cleaning(
            cluster=self.cluster,
            node=self.node,
            is_dry_run=dry_run,
            removed=tuple(self._removed),
            left=tuple(self._left),
        )

    def _survey(
        self, wanted: SolutionVersion | None, *, all_versions: bool
    ) -> tuple[tuple[ShareItem, ...], tuple[_Standing, ...]]:
        """See what stands in the import folder now, and what of each version may go."""
        items = self._standing()
        self._learn(items)
        versions = sorted(_versions(items))
        if self._chosen is None and not all_versions:
            self._chosen = _choice(versions, wanted)
        chosen = versions if self._chosen is None else self._chosen
        updates, installed = self._updates(), self._installed()
        found: list[_Standing] = []
        for version in versions:
            records = self._reader.records(self.session, items, version, progress=self.progress)
            why = needed(version, records, updates, installed)
            if version not in chosen:
                why = "another version: name it, or --all-versions"
            elif why and not all_versions:
                raise StateError(
                    f"clean the import folder of {version}",
                    current=why,
                    expected="an import that has ended",
                    hint="wait until the cluster lists it and its run has ended: ferry cluster discover",
                )
            seen = ShareView(items=items, records=records)
            ours = tuple(belongings(seen, version))
            if rest := self._rest(version, ours):
                ours += (rest,)
            if not why and all(one.why for one in found):  # once, with the first that goes
                ours += tuple(_probe(items, version))
            found.append(_Standing(version=version, ours=ours, why=why))
        return items, tuple(found)

    def _standing(self) -> tuple[ShareItem, ...]:
        if not self.session.invoke(_cmdlets.path_exists(IMPORT_FOLDER)):
            return ()
        return self.session.invoke(share.tree(IMPORT_FOLDER))

    def _updates(self) -> tuple[Update, ...]:
        return self.session.invoke(_cmdlets.updates())

    def _installed(self) -> SolutionVersion | None:
        told = self.session.invoke(_cmdlets.environment()).current_version
        try:
            return SolutionVersion.parse(told)
        except ValueError:
            return None

    def _remove(self, claim: Claim, standing: _Standing) -> None:
        version = standing.version
        for one in standing.ours:
            claim.check(self.session)
            self._note(version, "intent", path=str(one.path), size_bytes=str(one.size_bytes))
            self._unknown = one
            try:
                self.session.invoke(_cmdlets.remove(one.path))
            except CommandError as error:
                self._unknown = None
                self._note(version, "refused", path=str(one.path), words=error.found or "")
                self._left += _kept([one], why=error.found or "the node refused")
            else:
                self._has_gone(one)
        if not any(one.version == str(version) for one in self._left):
            claim.check(self.session)
            self.session.invoke(_cmdlets.remove(records_folder(version)))

    def _learn(self, items: Iterable[ShareItem]) -> None:
        """See what became of that which was being removed when a session was lost."""
        files = frozenset(item for item in items if not item.is_folder)
        one = self._unknown
        if one is not None and all(item.path != one.path for item in items):
            self._has_gone(one, learned="from the cluster")
        elif (
            one is not None
            and not {f for f in files if f.path.is_relative_to(one.path)} <= self._files
        ):
            self._unknown = None  # somebody wrote there since
        self._files = files

    def _rest(self, version: SolutionVersion, ours: Iterable[Leftover]) -> Leftover | None:
        """Return what was being removed of a version, where its rest would not be known as ours."""
        one = self._unknown
        if one is None or one.version != str(version):
            return None
        if one.path in {SCRATCH, *(item.path for item in ours)}:  # the probe is known by its name
            return None
        return one

    def _has_gone(self, one: Leftover, **facts: str) -> None:
        self._unknown = None
        self._note(one.version, "done", path=str(one.path), **facts)
        self.progress.say(f"removed {one.path.relative_to(IMPORT_FOLDER)}")
        self._removed.append(one)

    def _note(self, version: SolutionVersion | str, outcome: str, **facts: str) -> None:
        self.journal.append(
            cluster=self.cluster,
            subject=f"clean {version}",
            step=STEP,
            outcome=outcome,
            node=self.node,
            **facts,
        )


# --- what is ours -------------------------------------------------------------------------------


def belongings(seen: ShareView, version: SolutionVersion) -> Iterator[Leftover]:
    """Yield what ferry wrote of a version: what may be removed whole.

    Args:
        seen: The import folder, with the records of this version.
        version: Part of every name that ferry gives.
    """
    found: dict[PureWindowsPath, ShareItem] = {}
    for record in seen.records:
        path = PureWindowsPath(record.path)
        is_folder = record.step is ImportStep.EXPAND
        candidates = list(seen.parts_of(path))
        whole = seen.at(path)
        if whole is not None and record.step is not ImportStep.SUBMIT:
            is_whole = not is_folder or seen.expansion_of(path, record.sha256) is not None
            candidates += [whole] if is_whole else []
        found |= {item.path: item for item in candidates if item.is_folder is is_folder}
    ours = {path: item for path, item in found.items() if _is_named_for(path, version)}
    for folder in {path.parent for path in ours} - {IMPORT_FOLDER}:
        below = {item.path for item in seen.items if folder in item.path.parents}
        whole = seen.at(folder)
        if whole is not None and below <= ours.keys():  # of an SBE: nothing else lies in it
            ours = {path: item for path, item in ours.items() if path not in below}
            ours[folder] = whole
    for path in sorted(ours):
        yield Leftover(path=path, size_bytes=_size(seen.items, path), version=str(version))


def _probe(items: Iterable[ShareItem], version: SolutionVersion) -> Iterator[Leftover]:
    """Yield what the byte path was measured with by a run that was cut off."""
    for item in items:
        if item.path == SCRATCH:
            yield Leftover(path=item.path, size_bytes=item.size_bytes, version=str(version))


def foreign(items: Iterable[ShareItem], known: Sequence[Leftover]) -> Iterator[Leftover]:
    """Yield what stands in the import folder and is none of ours: the folder itself, where all of it is."""
    items = [item for item in items if not item.path.is_relative_to(RECORDS_FOLDER)]
    accounted = {one.path for one in known}
    above = {parent for path in accounted for parent in path.parents}

    def is_known(path: PureWindowsPath) -> bool:
        return not accounted.isdisjoint((path, *path.parents))

    told: set[PureWindowsPath] = set()
    for item in sorted(items, key=lambda item: item.path):
        if is_known(item.path) or item.path in above or not told.isdisjoint(item.path.parents):
            continue
        told.add(item.path)
        yield Leftover(
            path=item.path,
            size_bytes=_size(items, item.path),
            why="no record of ferry knows it as it is",
        )


def needed(
    version: SolutionVersion,
    records: Iterable[ShareRecord],
    updates: Iterable[Update],
    installed: SolutionVersion | None,
) -> str:
    """Say why the update service may still need the files of a version; empty: it does not."""
    last: dict[str, Outcome] = {}
    for record in records:
        if record.step is ImportStep.SUBMIT:
            last[record.delivery] = record.outcome
    added = {delivery for delivery, outcome in last.items() if outcome in MAY_BE_ADDED}
    listed = next((update for update in updates if _cmdlets.is_version(update, version)), None)
    if listed is None:
        is_past = installed is not None and version <= installed
        return (
            "it was added and is not listed yet: the update service may still read it"
            if added and not is_past
            else ""
        )
    if PHASES.get(listed.state) is Phase.RUNNING:
        return f"its run is in progress ({listed.state_raw})"
    if listed.state is UpdateState.AdditionalContentRequired and added - {str(version)}:
        return "its SBE was added and is still asked for: the update service may still read it"
    return ""


def _versions(items: Iterable[ShareItem]) -> set[SolutionVersion]:
    """Return the versions of which there are records."""
    found = set()
    for item in items:
        if item.is_folder and item.path.parent == RECORDS_FOLDER:
            try:
                version = SolutionVersion.parse(item.path.name)
            except ValueError:
                continue
            if item.path == records_folder(version):  # else ferry did not name it
                found.add(version)
    return found


def _choice(
    versions: Sequence[SolutionVersion], wanted: SolutionVersion | None
) -> Sequence[SolutionVersion]:
    if wanted is None and len(versions) < 2:
        return versions
    if wanted in versions:
        return [version for version in versions if version == wanted]
    raise InputError(
        "clean the import folder",
        found=f"records of {', '.join(map(str, versions)) or 'no version'}",
        expected="one version" if wanted is None else f"records of {wanted}",
        hint="name one with --version, or all with --all-versions"
        if versions
        else "nothing is left to remove; without --version ferry looks for anything else there",
    )


def _is_named_for(path: PureWindowsPath, version: SolutionVersion) -> bool:
    top = path.relative_to(IMPORT_FOLDER).parts[0]
    return top == str(version) or top.startswith(
        (f"{version}-SBE", f"{version}.t", f"CombinedSolutionBundle.{version}.")
    )


def _kept(ours: Iterable[Leftover], *, why: str) -> Iterator[Leftover]:
    for one in ours:
        yield Leftover(path=one.path, size_bytes=one.size_bytes, version=one.version, why=why)


def _size(items: Iterable[ShareItem], path: PureWindowsPath) -> int:
    return sum(item.size_bytes for item in items if item.path == path or path in item.path.parents)
