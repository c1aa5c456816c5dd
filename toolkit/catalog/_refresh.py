"""What was read in public places × the manifests we have → proposals and changed texts. Pure.

Theory of operation: every row of a published table is a statement about one version. It is compared with
the version's manifest, and what is new becomes an edit of the manifest's text. An edit is *safe* when it
adds evidence, declares a new version or withdraws one; it is a *decision* when it says something else than
the manifest: another hash, address, date or OS build. Decisions stand in the diff and are written nowhere:
a person takes them over, and about a hash records why (`decided`). A pinned hash is never changed: a hash
that differs from it is proposed as one more witness, and one that cannot be right is recorded as a witness
that says why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain
from pathlib import Path

from toolkit.catalog._discovery import AnnouncedUpdate, DiscoveryManifest
from toolkit.catalog._loading import Library, ManifestFile
from toolkit.catalog._manifest import read_manifest
from toolkit.catalog._manifesttext import (
    add_witness,
    pin,
    plain,
    set_fact,
    set_release,
    set_url,
    write_manifest,
)
from toolkit.catalog._newmanifest import is_manifest_address, new_manifest
from toolkit.catalog._proposals import FileChange, Proposal, Refresh
from toolkit.catalog._proposals import ProposalKind as Kind
from toolkit.catalog._readings import PublishedHashes, Reading, ReadRow, document_of
from toolkit.catalog._releases import Release, ReleaseStatus, read_releases
from toolkit.model import (
    BundleStatus,
    Manifest,
    Payload,
    PayloadKind,
    Sha256,
    SolutionVersion,
    Witness,
)

RELEASES = "releases.yaml"
_NAMED_NODES = 12

_Edit = Callable[[str], str]


def propose(readings: Sequence[Reading], library: Library) -> Refresh:
    """Compare what was read with what we have.

    Args:
        readings: What was read; about a new version's date and address the first one is believed.
        library: What we have.

    Raises:
        InputError: A change does not fit the way a manifest is written.
    """
    comparison = _Comparison(readings, library)
    comparison.compare()
    return Refresh(
        sources=tuple(reading.source for reading in readings),
        rows_read=sum(len(reading.page.rows) for reading in readings if reading.page),
        proposals=tuple(comparison.proposals),
        changes=tuple(comparison.changes()),
        remarks=tuple(_remarks(readings, library)),
    )


@dataclass(slots=True)
class _Draft:
    """A file and the edits proposed for it, in order."""

    name: str
    before: str
    edits: list[tuple[_Edit, bool]] = field(default_factory=list)
    """(edit, whether it is safe)."""

    def text(self, *, only_safe: bool = False) -> str:
        text = self.before
        for edit, is_safe in self.edits:
            if is_safe or not only_safe:
                text = edit(text)
        return text


class _Comparison:
    """Collects proposals, and the edits of each file."""

    def __init__(self, readings: Sequence[Reading], library: Library) -> None:
        self.proposals: list[Proposal] = []
        self._readings = readings
        self._files = {file.manifest.version: file for file in library.files}
        self._table = {
            release.version: release for release in read_releases(library.releases_text.encode())
        }
        self._rows: dict[SolutionVersion, list[ReadRow]] = defaultdict(list)
        for reading in readings:
            for row in reading.page.rows if reading.page else ():
                self._rows[row.version].append(ReadRow(row, reading))
        self._recalls = _by_version(readings, lambda discovery: discovery.recalled)
        self._published = PublishedHashes(
            library.manifests, chain.from_iterable(self._rows.values())
        )
        self._drafts: dict[SolutionVersion, _Draft] = {}
        self._releases = _Draft(RELEASES, library.releases_text)

    def compare(self) -> None:
        """Find everything there is to find."""
        for version, rows in sorted(self._rows.items()):
            known = self._files.get(version)
            file = known or self._new_file(version, rows)
            payload = _bundle(file.manifest) if file else None
            if file and payload:
                self._compare_facts(file, payload, rows)
            if known and payload:
                for read in rows:
                    payload = self._compare_hash(known, payload, read)
            elif known:
                text = "its manifest declares no solution bundle"
                self._say(Kind.DIFFERENCE, version, text, rows[0].reading, decide=True)
        self._unreadable_rows()
        self._recalled()
        self._vanished()
        self._announced()

    def changes(self) -> Iterator[FileChange]:
        """Return the changed texts, each read again."""
        for version, draft in sorted(self._drafts.items()):
            after = draft.text()
            read_manifest(after.encode(), file=f"{draft.name} as proposed")
            yield FileChange(
                name=draft.name,
                version=version,
                before=draft.before,
                after=after,
                safe=draft.text(only_safe=True),
            )
        if self._releases.edits:
            after = self._releases.text()
            read_releases(after.encode(), file=f"{RELEASES} as proposed")
            yield FileChange(
                name=RELEASES,
                version=None,
                before=self._releases.before,
                after=after,
                safe=after,
            )

    # --- rows -------------------------------------------------------------------------------------

    def _compare_hash(self, file: ManifestFile, payload: Payload, read: ReadRow) -> Payload:
        """Compare a row's hash with all that is known of the payload; return it with what is new."""
        version, reading, value = file.manifest.version, read.reading, read.row.sha256
        if not value and payload.sha256:
            text = f"{read.row.place} has no hash; pinned is {payload.sha256}"
            self._say(Kind.UNREADABLE, version, text, reading, decide=True)
        if not value:
            return payload
        if not self._published.is_news(read, payload.witnesses):
            if self._is_undecided(value, file.manifest):
                text = (
                    f"{value} is recorded, but nobody decided: pin one and record why (`decided`)"
                )
                self._say(Kind.CHANGED_HASH, version, text, reading, decide=True)
            return payload
        kind, text, comment = self._judge(value, payload, version)
        witness = Witness(
            value=value, source=reading.source, seen_on=reading.seen_on, comment=comment
        )
        is_safe = kind is not Kind.CHANGED_HASH
        self._say(kind, version, text, reading, decide=not is_safe)
        self._edit(file, lambda text: add_witness(text, payload.name, witness), is_safe=is_safe)
        known = replace(payload, witnesses=(*payload.witnesses, witness))
        if kind is not Kind.PIN:
            return known
        self._edit(file, lambda text: pin(text, payload.name, value), is_safe=True)
        return replace(known, sha256=Sha256(value))

    def _is_undecided(self, value: str, manifest: Manifest) -> bool:
        """Whether a manifest keeps a hash that could be right and is not pinned, and nobody chose."""
        payload = _bundle(manifest)
        if payload is None or value == payload.sha256:
            return False
        seen = [witness.seen_on for witness in payload.witnesses if witness.value == value]
        is_open = payload.decided is None or payload.decided.on < max(seen, default=date.min)
        return bool(seen) and is_open and not self._published.flaw(value, manifest.version)

    def _judge(
        self, value: str, payload: Payload, version: SolutionVersion
    ) -> tuple[Kind, str, str]:
        """Return what a hash not seen there before is, in words, and the comment of its witness."""
        if value == payload.sha256:
            return Kind.WITNESS, "the pinned hash stands here too", ""
        flaw = self._published.flaw(value, version, payload.sha256)
        if flaw:
            return Kind.IMPOSSIBLE_HASH, f"{value}: {flaw}", flaw
        rivals = [
            witness
            for witness in payload.witnesses
            if witness.value != value and not self._published.flaw(witness.value, version)
        ]
        if payload.sha256 is None and not rivals:
            return Kind.PIN, f"{value}: the first published hash that can be right", ""
        seen = payload.witnesses if payload.sha256 else rivals
        ours = payload.sha256 or rivals[0].value
        where = [f"{w.source}, {w.seen_on}" for w in seen if w.value == ours]
        text = f"{value}; ours is {ours} ({'; '.join(where) or 'no witness'}), and stays until a person decides"
        return Kind.CHANGED_HASH, text, "Published instead of the hash known before"

    def _compare_facts(self, file: ManifestFile, payload: Payload, rows: Sequence[ReadRow]) -> None:
        """Compare dates, OS builds and addresses with ours, and with what was proposed already."""
        version = file.manifest.version
        ours = {
            "os_build": file.manifest.os_build,
            "available_on": str(file.manifest.available_on),
            "url": payload.url,
        }
        for read in rows:
            theirs = {
                "os_build": read.row.os_build,
                "available_on": str(read.row.available_on or ""),
                "url": read.row.url,
            }
            for key, value in theirs.items():
                if value in ("", ours[key]):
                    continue
                text = f"{key} is {value} there and {ours[key]} here"
                if key == "url" and not is_manifest_address(value):
                    text += "; it is no plain https address"
                    self._say(Kind.UNREADABLE, version, text, read.reading, decide=True)
                    continue
                ours[key] = value
                self._say(Kind.DIFFERENCE, version, text, read.reading, decide=True)
                self._edit(file, _setter(key, value, payload, read.reading), is_safe=False)

    def _new_file(self, version: SolutionVersion, rows: Sequence[ReadRow]) -> ManifestFile | None:
        """Propose a manifest for a version that has none; None: its rows say too little."""
        release = self._table.get(version)
        new = new_manifest(
            version,
            rows,
            published=self._published,
            release=release,
            recall=self._recalls.get(version),
        )
        if new is None:
            row = rows[0].row
            facts = f"OS build {row.os_build or '?'}, {row.available_on or 'no date'}, {row.url}"
            text = f"{row.place} does not say enough for a manifest: {facts}"
            self._say(Kind.UNREADABLE, version, text, rows[0].reading, decide=True)
            return None
        manifest = new.manifest
        facts = f"OS build {manifest.os_build}, {manifest.available_on}, {manifest.status}"
        self._say(Kind.NEW, version, f"{facts}. {new.how}", new.reading, decide=new.is_open)
        file = ManifestFile(path=Path(f"{version}.yaml"), text="", manifest=manifest)
        self._edit(file, lambda _: write_manifest(manifest), is_safe=True)
        if release and release.status.value != manifest.status.value:
            changed = replace(
                release,
                status=ReleaseStatus(manifest.status.value),
                os_build=manifest.os_build,
                available_on=manifest.available_on,
            )
            self._set_release(changed, new.reading, "bundle-page")
        return file

    def _unreadable_rows(self) -> None:
        for reading in self._readings:
            for problem in reading.page.problems if reading.page else ():
                text = f"{problem.place}: {problem.found} (expected: {problem.expected}): {problem.text}"
                self._say(Kind.UNREADABLE, None, text, reading, decide=True)

    # --- what is withdrawn, and what has no row ---------------------------------------------------

    def _recalled(self) -> None:
        for version, reading in sorted(self._recalls.items(), key=lambda item: item[0]):
            file, release = self._files.get(version), self._table.get(version)
            is_news = False
            if file and file.manifest.status is not BundleStatus.RECALLED:
                is_news = True
                status = BundleStatus.RECALLED.value
                self._edit(file, _setter("status", status, None, reading), is_safe=True)
            if version not in self._drafts and file is None and release is None:
                release = Release(version=version, status=ReleaseStatus.NO_BUNDLE, source="")
            if release and release.status is not ReleaseStatus.RECALLED:
                is_news = True
                changed = replace(release, status=ReleaseStatus.RECALLED)
                self._set_release(changed, reading, "edge-updates")
            if is_news:
                has_page = any(reading.page for reading in self._readings)
                row = "is still there" if version in self._rows else "is not there"
                text = "recalled by the vendor" + (f"; its row {row}" if has_page else "")
                self._say(Kind.RECALL, version, text, reading)

    def _vanished(self) -> None:
        """Report listed versions that a page listed once and does not list any more."""
        pages = {document_of(r.source): r for r in self._readings if r.page}
        unread = " ".join(p.text for r in pages.values() if r.page for p in r.page.problems)
        for version, file in sorted(self._files.items()):
            payload = _bundle(file.manifest)
            was_in = (
                {document_of(witness.source) for witness in payload.witnesses} if payload else set()
            )
            gone_from = [reading for name, reading in pages.items() if name in was_in]
            is_gone = version not in self._rows and str(version) not in unread
            is_listed = file.manifest.status is BundleStatus.LISTED and version not in self._recalls
            if gone_from and is_gone and is_listed:
                text = "its row is gone and nothing recalls it; it stays as it is"
                self._say(Kind.VANISHED, version, text, gone_from[0])

    def _announced(self) -> None:
        """Propose releases that only the discovery manifest names."""
        announced = _by_version(self._readings, lambda discovery: discovery.applicable)
        for version, reading in sorted(announced.items(), key=lambda item: item[0]):
            release = self._table.get(version)
            if {version} & (self._files.keys() | self._rows.keys() | self._recalls.keys()):
                continue
            if release and release.status is not ReleaseStatus.UNCONFIRMED:
                continue
            known = release or Release(version=version, status=ReleaseStatus.NO_BUNDLE, source="")
            self._set_release(
                replace(known, status=ReleaseStatus.NO_BUNDLE), reading, "edge-updates"
            )
            self._say(Kind.RELEASE, version, "announced, and no row has its bundle", reading)

    # --- collecting -------------------------------------------------------------------------------

    def _say(
        self,
        kind: Kind,
        version: SolutionVersion | None,
        text: str,
        reading: Reading,
        *,
        decide: bool = False,
    ) -> None:
        self.proposals.append(
            Proposal(
                kind=kind,
                version=version,
                text=plain(text),
                source=reading.source,
                seen_on=reading.seen_on,
                needs_decision=decide,
            )
        )

    def _edit(self, file: ManifestFile, edit: _Edit, *, is_safe: bool) -> None:
        draft = self._drafts.setdefault(file.manifest.version, _Draft(file.path.name, file.text))
        draft.edits.append((edit, is_safe))

    def _set_release(self, release: Release, reading: Reading, name: str) -> None:
        facts = {
            "version": str(release.version),
            "os_build": release.os_build,
            "available_on": str(release.available_on or ""),
            "status": release.status.value,
            "superseded_by": release.superseded_by,
            "notes": release.notes,
        }
        self._table[release.version] = release
        self._releases.edits.append(
            (
                lambda text: set_release(
                    text,
                    facts,
                    source=reading.source,
                    source_name=f"{name}-{reading.seen_on}",
                ),
                True,
            )
        )


def _setter(key: str, value: str, payload: Payload | None, reading: Reading) -> _Edit:
    """Return the edit that sets a fact: of the manifest, or the address of a payload."""
    if key == "url" and payload is not None:
        name = payload.name
        return lambda text: set_url(text, name, value, read_in=reading.source)
    return lambda text: set_fact(text, key, value, read_in=reading.source)


def _by_version(
    readings: Iterable[Reading],
    updates: Callable[[DiscoveryManifest], Iterable[AnnouncedUpdate]],
) -> dict[SolutionVersion, Reading]:
    """Return where each update was read first."""
    found: dict[SolutionVersion, Reading] = {}
    for reading in readings:
        for update in updates(reading.discovery) if reading.discovery else ():
            if update.version is not None:
                found.setdefault(update.version, reading)
    return found


def _bundle(manifest: Manifest) -> Payload | None:
    bundles = (p for p in manifest.payloads if p.kind is PayloadKind.SOLUTION_BUNDLE)
    return next(bundles, None)


def _remarks(readings: Iterable[Reading], library: Library) -> Iterator[str]:
    pins = {str(p.sha256): m.version for m in library.manifests for p in m.payloads if p.sha256}
    for reading in readings:
        if reading.page and reading.page.commented_rows:
            yield f"{reading.source}: {reading.page.commented_rows} row(s) are commented out and count for nothing"
        if reading.discovery is None:
            continue
        for remark in reading.discovery.remarks:
            yield plain(f"{reading.source}: {remark}")
        for file in reading.discovery.files:
            known = f", which is pinned for {pins[file.sha256]}" if file.sha256 in pins else ""
            about = f" (inside {file.version})" if file.version else ""
            yield plain(
                f"{reading.source}: {file.place}{about} has {file.url or file.sha256}{known}; not used"
            )
        if reading.discovery.unknown:
            named = [
                f"{path} ({count})" for path, count in reading.discovery.unknown[:_NAMED_NODES]
            ]
            more = len(reading.discovery.unknown) - len(named)
            rest = f" and {more} more" if more else ""
            yield plain(f"{reading.source}: nodes ferry does not know: {', '.join(named)}{rest}")
