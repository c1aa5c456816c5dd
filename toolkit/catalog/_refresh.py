"""What was read in public places × the manifests we have → proposals and changed texts. Pure.

Theory of operation: every row of a published table is a statement about one version. It is compared with
the version's manifest, and what is new becomes an edit of the manifest's text. An edit is *safe* when it
adds evidence, declares a new version or withdraws one; it is a *decision* when it says something else than
the manifest: another hash, address, date or OS build. Decisions stand in the diff and are written nowhere;
a person who applies the diff has decided. A pinned hash is never changed: a hash that differs from it is
proposed as one more witness.

A hash is *impossible* when it is not 64 hex digits, repeats itself, or was published for another version:
each of these has stood on the page. An impossible hash is recorded as a witness and never pinned.

Source: import-discover-updates-offline-23h2.md, revisions of 2025-05-13 to 2026-03-23.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain
from pathlib import Path

from toolkit.catalog._bundletable import BundlePage, PublishedRow
from toolkit.catalog._discovery import AnnouncedUpdate, DiscoveryManifest
from toolkit.catalog._lint import is_patterned
from toolkit.catalog._loading import Library, ManifestFile
from toolkit.catalog._manifest import https_url, read_manifest
from toolkit.catalog._manifesttext import (
    add_witness,
    pin,
    plain,
    set_fact,
    set_release,
    set_url,
    write_manifest,
)
from toolkit.catalog._proposals import FileChange, Proposal, Refresh
from toolkit.catalog._proposals import ProposalKind as Kind
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
_WITHDRAWN = (ReleaseStatus.SUPERSEDED, ReleaseStatus.RECALLED)

_Edit = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One document as it was read."""

    source: str
    """Where, and of which day: what becomes the source of a witness."""
    seen_on: date
    page: BundlePage | None = None
    discovery: DiscoveryManifest | None = None


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


@dataclass(frozen=True, slots=True)
class _Statement:
    """One row and where it was read."""

    row: PublishedRow
    reading: Reading


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


class _Published:
    """Every hash that was ever published, and for which versions."""

    def __init__(self, library: Library, statements: Iterable[_Statement]) -> None:
        self._pinned: dict[str, SolutionVersion] = {}
        self._seen: dict[str, set[SolutionVersion]] = defaultdict(set)
        for manifest in library.manifests:
            for payload in manifest.payloads:
                for witness in payload.witnesses:
                    self._seen[witness.value].add(manifest.version)
                if payload.sha256:
                    self._pinned[payload.sha256] = manifest.version
        for statement in statements:
            self._seen[statement.row.sha256].add(statement.row.version)

    def flaw(self, value: str, version: SolutionVersion, pinned: str | None = None) -> str:
        """Return why a hash cannot be this version's; empty: nothing speaks against it."""
        if not re.fullmatch(r"[0-9a-f]{64}", value):
            is_hex = re.fullmatch(r"[0-9a-f]+", value)
            flaw = (
                f"{len(value)} hex digits"
                if is_hex
                else f"{len(value)} characters, not all hex digits"
            )
            if is_patterned(value):
                return f"{flaw} and a repeating pattern: a placeholder"
            is_longer = pinned and value.startswith(pinned)
            return f"{flaw}: trailing {value[64:].upper()}" if is_longer else flaw
        if is_patterned(value):
            return "A repeating pattern: a placeholder"
        owner = self._pinned.get(value, version)
        if owner != version:
            return f"Well-formed but wrong row: this is the hash of {owner}"
        others = sorted(self._seen[value] - {version})
        return f"Published for {', '.join(map(str, others))} too" if others else ""


class _Comparison:
    """Collects proposals, and the edits of each file."""

    def __init__(self, readings: Sequence[Reading], library: Library) -> None:
        self.proposals: list[Proposal] = []
        self._readings = readings
        self._files = {file.manifest.version: file for file in library.files}
        self._table = {
            release.version: release for release in read_releases(library.releases_text.encode())
        }
        self._statements: dict[SolutionVersion, list[_Statement]] = defaultdict(list)
        for reading in readings:
            for row in reading.page.rows if reading.page else ():
                self._statements[row.version].append(_Statement(row, reading))
        self._recalls = _by_version(readings, lambda discovery: discovery.recalled)
        self._published = _Published(library, chain.from_iterable(self._statements.values()))
        self._drafts: dict[SolutionVersion, _Draft] = {}
        self._releases = _Draft(RELEASES, library.releases_text)

    def compare(self) -> None:
        """Find everything there is to find."""
        for version, statements in sorted(self._statements.items()):
            file = self._files.get(version) or self._new_file(version, statements)
            if file is not None:
                self._compare_rows(file, statements)
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

    def _compare_rows(self, file: ManifestFile, statements: Sequence[_Statement]) -> None:
        manifest = file.manifest
        payload = _bundle(manifest)
        if payload is None:
            text = "its manifest declares no solution bundle"
            self._say(Kind.DIFFERENCE, manifest.version, text, statements[0].reading, decide=True)
            return
        facts = {
            "os_build": manifest.os_build,
            "available_on": str(manifest.available_on),
            "url": payload.url,
        }
        for statement in statements:
            self._compare_facts(file, payload, statement, facts)
            payload = self._compare_hash(file, payload, statement)

    def _compare_hash(self, file: ManifestFile, payload: Payload, statement: _Statement) -> Payload:
        """Compare a row's hash with all that is known of the payload; return it with what is new."""
        version, reading, value = file.manifest.version, statement.reading, statement.row.sha256
        if not value and payload.sha256:
            text = f"{statement.row.place} has no hash; pinned is {payload.sha256}"
            self._say(Kind.UNREADABLE, version, text, reading, decide=True)
        if not value or _is_known(value, reading, payload.witnesses):
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

    def _compare_facts(
        self, file: ManifestFile, payload: Payload, statement: _Statement, facts: dict[str, str]
    ) -> None:
        """Compare a row's date, OS build and address with ours, or with what was proposed already."""
        row, reading, version = statement.row, statement.reading, file.manifest.version
        published = {
            "os_build": row.os_build,
            "available_on": str(row.available_on or ""),
            "url": row.url,
        }
        for key, value in published.items():
            if value in ("", facts[key]):
                continue
            text = f"{key} is {value} there and {facts[key]} here"
            if key == "url" and not _is_https(value):
                self._say(Kind.UNREADABLE, version, f"{text}; no plain https", reading, decide=True)
                continue
            facts[key] = value
            self._say(Kind.DIFFERENCE, version, text, reading, decide=True)
            self._edit(file, _setter(key, value, payload, reading), is_safe=False)

    def _new_file(
        self, version: SolutionVersion, statements: Sequence[_Statement]
    ) -> ManifestFile | None:
        """Propose a manifest for a version that has none; None: its row says too little."""
        row, reading = statements[0].row, statements[0].reading
        release = self._table.get(version)
        os_build = row.os_build or (release.os_build if release else "")
        available_on = row.available_on or (release.available_on if release else None)
        if not os_build or available_on is None or not _is_https(row.url):
            facts = (
                f"OS build {os_build or '?'}, available on {available_on or '?'}, address {row.url}"
            )
            text = f"{row.place} does not say enough for a manifest: {facts}"
            self._say(Kind.UNREADABLE, version, text, reading, decide=True)
            return None
        witnesses, pinned, how = self._hashes_of_new(version, statements)
        status, superseded_by, status_source = self._status_of_new(version, release, reading)
        elsewhere = release.source if release else reading.source
        sources = {
            "version": reading.source,
            "os_build": reading.source if row.os_build else elsewhere,
            "available_on": reading.source if row.available_on else elsewhere,
            "status": status_source,
            "payloads": reading.source,
            **({"superseded_by": status_source} if superseded_by else {}),
        }
        manifest = Manifest(
            version=version,
            os_build=os_build,
            available_on=available_on,
            status=status,
            payloads=(
                Payload(
                    name=f"CombinedSolutionBundle.{version}.zip",
                    kind=PayloadKind.SOLUTION_BUNDLE,
                    url=row.url,
                    witnesses=witnesses,
                    sha256=pinned,
                ),
            ),
            superseded_by=superseded_by,
            notes=_notes(row, "" if pinned else how),
            sources=tuple(sorted(sources.items())),
        )
        is_open = pinned is None and sum(not witness.comment for witness in witnesses) > 1
        text = f"OS build {os_build}, available on {available_on}, {status}; {how}"
        self._say(Kind.NEW, version, text, reading, decide=is_open)
        self._drafts[version] = _Draft(f"{version}.yaml", "")
        file = ManifestFile(path=Path(f"{version}.yaml"), text="", manifest=manifest)
        self._edit(file, lambda _: write_manifest(manifest), is_safe=True)
        if release and release.status.value != status.value:
            changed = replace(
                release,
                status=ReleaseStatus(status.value),
                os_build=os_build,
                available_on=available_on,
            )
            self._set_release(changed, reading, "bundle-page")
        return file

    def _hashes_of_new(
        self, version: SolutionVersion, statements: Sequence[_Statement]
    ) -> tuple[tuple[Witness, ...], Sha256 | None, str]:
        """Return a new version's witnesses, the hash to pin, and how that came about."""
        witnesses: list[Witness] = []
        for statement in statements:
            value, reading = statement.row.sha256, statement.reading
            if value and not _is_known(value, reading, witnesses):
                witnesses.append(
                    Witness(
                        value=value,
                        source=reading.source,
                        seen_on=reading.seen_on,
                        comment=self._published.flaw(value, version),
                    )
                )
        believable = {witness.value for witness in witnesses if not witness.comment}
        if len(believable) == 1:
            (value,) = believable
            return tuple(witnesses), Sha256(value), f"pinned is {value}"
        if believable:
            how = f"not pinned: {' and '.join(sorted(believable))} were both published"
        elif witnesses:
            how = f"not pinned: {witnesses[0].value} cannot be right: {witnesses[0].comment}"
        else:
            how = "not pinned: no hash is published"
        return tuple(witnesses), None, how

    def _status_of_new(
        self, version: SolutionVersion, release: Release | None, reading: Reading
    ) -> tuple[BundleStatus, str, str]:
        """Return status, successor, and where they were read."""
        if version in self._recalls:
            successor = release.superseded_by if release else ""
            return BundleStatus.RECALLED, successor, self._recalls[version].source
        if release and release.status in _WITHDRAWN:
            return BundleStatus(release.status.value), release.superseded_by, release.source
        return BundleStatus.LISTED, "", reading.source

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
                row = "is still there" if version in self._statements else "is not there"
                text = "recalled by the vendor" + (f"; its row {row}" if has_page else "")
                self._say(Kind.RECALL, version, text, reading)

    def _vanished(self) -> None:
        """Report listed versions that a page listed once and does not list any more."""
        pages = {_document(r.source): r for r in self._readings if r.page}
        unread = " ".join(p.text for r in pages.values() if r.page for p in r.page.problems)
        for version, file in sorted(self._files.items()):
            payload = _bundle(file.manifest)
            was_in = (
                {_document(witness.source) for witness in payload.witnesses} if payload else set()
            )
            gone_from = [reading for name, reading in pages.items() if name in was_in]
            is_gone = version not in self._statements and str(version) not in unread
            is_listed = file.manifest.status is BundleStatus.LISTED and version not in self._recalls
            if gone_from and is_gone and is_listed:
                text = "its row is gone and nothing recalls it; it stays as it is"
                self._say(Kind.VANISHED, version, text, gone_from[0])

    def _announced(self) -> None:
        """Propose releases that only the discovery manifest names."""
        announced = _by_version(self._readings, lambda discovery: discovery.applicable)
        for version, reading in sorted(announced.items(), key=lambda item: item[0]):
            release = self._table.get(version)
            if {version} & (self._files.keys() | self._statements.keys() | self._recalls.keys()):
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


def _is_known(value: str, reading: Reading, witnesses: Iterable[Witness]) -> bool:
    """Whether this document was seen with this hash before, in whichever revision."""
    document = _document(reading.source)
    return any(
        witness.value == value and _document(witness.source) == document for witness in witnesses
    )


def _document(source: str) -> str:
    """Return which document a source is a revision of: its name, wherever a copy of it is kept."""
    words = [word for word in source.partition(" (")[0].split() if "/" in word or "." in word]
    path = re.split(r"[?#]", words[-1] if words else source)[0]
    return re.sub(r"\.(?:md|html?)\Z", "", path.rstrip("/").rpartition("/")[2].casefold())


def _notes(row: PublishedRow, reason: str) -> str:
    said = f'The page says beside it: "{plain(row.note)}".' if row.note else ""
    unpinned = f"{reason[0].upper()}{reason[1:]}." if reason else ""
    return " ".join(filter(None, (said, unpinned)))


def _is_https(url: str) -> bool:
    """Whether an address is one that a manifest may hold."""
    try:
        return plain(https_url(url)) == url
    except ValueError:
        return False


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
