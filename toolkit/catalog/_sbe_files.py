"""The three files of an SBE, checked against each other, and what the catalog should take in of them.

The checklist: exactly one discovery manifest, one metadata file and one package (the zip); metadata and package
of one name; the discovery manifest lists them and did not recall them; the package hash; the signatures; the
metadata's list of files. What a witness says is a statement; what makes a set unusable is a fault.

A discovery manifest beside a vendor's zip, or given apart, replaces the one inside: vendors ask for that,
because their manifest grows with every release.

Source: update-via-powershell-23h2.md step 3; Solution-builder-extension-overview.md; Dell's SBE release notes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from toolkit.catalog._loading import load_sbe_sources
from toolkit.catalog._sbe_finding import ATTEMPTED, Candidate, Placed, SbeRole, candidates, place
from toolkit.catalog._sbe_metadata import SbeMetadata, read_sbe_metadata
from toolkit.catalog._sbe_package import content_statement, package_statement
from toolkit.catalog._storage import storage
from toolkit.catalog._xmlsig import Authorities, check_signature
from toolkit.errors import DigestError, InputError
from toolkit.model import PayloadKind, Progress, Sha256, Silent, Stance, Statement, StatementKind
from toolkit.sbe import Sbe, SbeManifest, read_sbe_manifest, sbe_named

_TOGETHER = (
    "the three travel together: SBE_Discovery_<M>.xml, SBE_<M>_<F>_<V>.xml and SBE_<M>_<F>_<V>.zip"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SbeFile:
    """One of the three files, and what speaks for and against it."""

    role: SbeRole
    name: str
    path: Path
    """Where its bytes stand now."""
    origin: str
    """Where it was found, for people: `Bundle_SBE_Dell.zip, member files/SBE_….zip`."""
    size_bytes: int
    sha256: Sha256
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SbeFiles:
    """The three files of one SBE."""

    sbe: Sbe
    """As the discovery manifest lists it; as its files are named where it does not."""
    files: tuple[SbeFile, ...]
    """The package first: it is the one most likely to be refused."""
    faults: tuple[str, ...]
    """Why they must not be used together."""
    notes: tuple[str, ...]
    """What a person should know, but need not act on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """One file to be taken into the catalog."""

    source: Path
    shelf: str
    name: str
    kind: PayloadKind
    url: str
    sha256: Sha256
    """What the statements speak of: measured here, published by nobody."""
    statements: tuple[Statement, ...]
    siblings: tuple[str, ...]


def read_sbe_files(
    paths: Sequence[Path],
    *,
    discovery: bytes | None,
    scratch: Path,
    authorities: Authorities,
    signers: Collection[str] = (),
    now: datetime | None = None,
    progress: Progress | None = None,
) -> SbeFiles:
    """Find the three files of one SBE and check them.

    Args:
        paths: Folders, single files, and zips in which a vendor hands them out.
        discovery: A discovery manifest to be used instead of the one among them.
        scratch: An empty folder for what stands in a zip; best on the disk of the catalog.
        authorities: Whose word counts for signatures.
        signers: Organisations that sign for this vendor, besides itself.
        now: The time, aware UTC.
        progress: Told what happens.

    Raises:
        InputError: They are not the files of one SBE, or one of them cannot be understood.
        StorageError: A file cannot be read, or `scratch` cannot be written.
    """
    progress = progress or Silent()
    found = [item for path in paths for item in candidates(path)]
    metadata, package = (_only(found, role) for role in (SbeRole.METADATA, SbeRole.PACKAGE))
    named = sbe_named(package.name)
    if named is None or metadata.name[:-4].casefold() != package.name[:-4].casefold():
        raise InputError(
            ATTEMPTED,
            found=f"{metadata.name} and {package.name}",
            expected="metadata and package of one name",
            hint=_TOGETHER,
        )
    chosen, replaced = _discovery(found, discovery, named)
    check = _Check(scratch, authorities, (named.publisher, *signers), now, progress)

    file, said, content = check.document(chosen)
    manifest = read_sbe_manifest(content, file=chosen.name)
    entries = manifest.find(named.family, named.version)
    listed = _structure(
        Stance.FOR if entries else Stance.SILENT,
        f"lists {named.title}" if entries else f"does not list {named.title}",
        source=chosen.name,
    )
    manifest_file = replace(file, statements=(said, listed))
    file, said, content = check.document(metadata)
    details = read_sbe_metadata(content, file=metadata.name)
    spoken = (said, *_of_metadata(file, named, details, entries, chosen.name))
    metadata_file = replace(file, statements=spoken)
    package_file = check.package(package, details, entries, chosen.name, metadata.name)
    return SbeFiles(
        sbe=_described(named, entries),
        files=(package_file, metadata_file, manifest_file),
        faults=tuple(_faults(named, entries, manifest, chosen.name)),
        notes=(*_replacement_notes(chosen, replaced, manifest), *manifest.notes),
    )


def plan_adoptions(files: SbeFiles, *, discovery_url: str = "") -> tuple[Adoption, ...]:
    """Return what is to be taken into the catalog, the package first.

    Args:
        files: The three files, checked.
        discovery_url: Where the discovery manifest was fetched, if it was.

    Raises:
        DigestError: A witness speaks against one of them.
        InputError: They must not be used together.
    """
    for file in files.files:
        for said in file.statements:
            if said.stance is Stance.AGAINST:
                raise DigestError(
                    f"add {file.name}",
                    found=f"{said.text} ({said.source})",
                    expected="what its vendor published",
                    hint="nothing was added; get the three files again, from the vendor itself",
                )
    if files.faults:
        instead = f"choose another: `ferry catalog sbe {files.sbe.publisher}`"
        raise InputError(
            f"add {files.sbe.title}",
            found="; ".join(files.faults),
            hint=instead if files.sbe.is_recalled else _current(files.sbe),
        )
    names = tuple(file.name for file in files.files)
    urls = {name.casefold(): url for name, url in files.sbe.urls}
    return tuple(
        Adoption(
            source=file.path,
            shelf=f"sbe/{names[0][4:-4]}",  # the package's name without "SBE_" and ".zip"
            name=file.name,
            kind=PayloadKind.SBE,
            url=discovery_url
            if file.role is SbeRole.DISCOVERY
            else urls.get(file.name.casefold(), ""),
            sha256=file.sha256,
            statements=file.statements,
            siblings=names,
        )
        for file in files.files
    )


# --- which files --------------------------------------------------------------------------------


def _only(found: Sequence[Candidate], role: SbeRole) -> Candidate:
    """Return the one file of a role.

    Raises:
        InputError: None, or several.
    """
    names = [item for item in found if item.role is role]
    if len(names) == 1:
        return names[0]
    raise InputError(
        ATTEMPTED,
        found=", ".join(item.origin for item in names) if names else f"no {role.value}",
        expected=f"one {role.value}",
        hint="name the files of one SBE only" if names else _TOGETHER,
    )


def _discovery(
    found: Sequence[Candidate], given: bytes | None, named: Sbe
) -> tuple[Candidate, Candidate | None]:
    """Return the discovery manifest to use, and the one that it replaces.

    Raises:
        InputError: There is none, or several of which none is the newer one.
    """
    among = [item for item in found if item.role is SbeRole.DISCOVERY]
    loose = [item for item in among if item.is_loose]
    inside = [item for item in among if not item.is_loose]
    if given is not None:
        name = among[0].name if among else f"SBE_Discovery_{named.publisher}.xml"
        chosen = Candidate(role=SbeRole.DISCOVERY, name=name, data=given)
        return chosen, next(iter(among), None)
    if len(loose) == 1 and len(inside) <= 1:
        return loose[0], next(iter(inside), None)
    if not among:
        raise InputError(
            ATTEMPTED,
            found=f"no {SbeRole.DISCOVERY.value}",
            expected=f"SBE_Discovery_{named.publisher}.xml",
            hint=_current(named),
        )
    return _only(among, SbeRole.DISCOVERY), None


def _replacement_notes(
    chosen: Candidate, replaced: Candidate | None, manifest: SbeManifest
) -> Iterator[str]:
    if replaced is None:
        return
    yield f"the discovery manifest {chosen.origin} is used instead of {replaced.origin}"
    try:
        before = read_sbe_manifest(replaced.read(), file=replaced.name)
    except InputError as error:
        yield f"the one it replaces cannot be read: {error}"
        return
    listed = {(sbe.family.casefold(), sbe.version) for sbe in manifest.sbes}
    lacking = [sbe for sbe in before.sbes if (sbe.family.casefold(), sbe.version) not in listed]
    if lacking:
        titles = ", ".join(sbe.title for sbe in lacking[:5])
        yield f"it lacks what that one lists: {titles}; is it the newer one?"


def _described(named: Sbe, entries: Sequence[Sbe]) -> Sbe:
    """Return the SBE as it is listed, under the name that its files have."""
    if not entries:
        return named
    return replace(entries[0], publisher=named.publisher, family=named.family)


def _faults(named: Sbe, entries: Sequence[Sbe], manifest: SbeManifest, name: str) -> Iterator[str]:
    if not entries:
        same_family = [
            str(sbe.version)
            for sbe in manifest.sbes
            if sbe.family.casefold() == named.family.casefold()
        ]
        lists = (
            f"of that family {', '.join(same_family[:20])}"
            if same_family
            else "none of that family"
        )
        yield f"{name} does not list {named.title} ({lists})"
    for sbe in entries:
        if sbe.is_recalled:
            yield f"{named.title} was recalled by its vendor, says {name}"


def _current(sbe: Sbe) -> str:
    """Return what to do about a discovery manifest."""
    address = load_sbe_sources().address_of(sbe.publisher, sbe.family)
    return f"give the vendor's current manifest: --discovery {address or 'FILE'}" + (
        " (or a file)" if address else ""
    )


# --- what speaks for and against them -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Check:
    """How files are looked at."""

    scratch: Path
    authorities: Authorities
    signers: tuple[str, ...]
    now: datetime | None
    progress: Progress

    def document(self, file: Candidate) -> tuple[SbeFile, Statement, bytes]:
        """Return an XML file, what its signature says, and what may be read of it; it is read once."""
        data = file.read()
        checked = check_signature(
            data,
            name=file.name,
            authorities=self.authorities,
            signers=self.signers,
            now=self.now or datetime.now(UTC),
        )
        path = file.path
        if path is None or not file.is_loose:
            path = self.scratch / file.name
            with storage(f"write {path}"):
                path.write_bytes(data)
        placed = Placed(
            path=path, size_bytes=len(data), sha256=Sha256(hashlib.sha256(data).hexdigest())
        )
        return _as_file(file, placed), checked.statement, checked.content

    def package(
        self,
        file: Candidate,
        details: SbeMetadata,
        entries: Sequence[Sbe],
        manifest_name: str,
        metadata_name: str,
    ) -> SbeFile:
        """Return the package: its hash and its members against what is said of them."""
        placed = place(file, self.scratch, self.progress)
        with storage(f"read {placed.path}"):
            content = content_statement(
                placed.path, details, source=metadata_name, progress=self.progress
            )
        hashed = package_statement(placed.sha256, entries, source=manifest_name)
        return replace(_as_file(file, placed), statements=(hashed, content))


def _as_file(file: Candidate, placed: Placed) -> SbeFile:
    return SbeFile(
        role=file.role,
        name=file.name,
        path=placed.path,
        origin=file.origin,
        size_bytes=placed.size_bytes,
        sha256=placed.sha256,
        statements=(),
    )


def _of_metadata(
    file: SbeFile, named: Sbe, details: SbeMetadata, entries: Sequence[Sbe], manifest_name: str
) -> Iterator[Statement]:
    if any(file.sha256 in sbe.digests for sbe in entries):
        yield package_statement(file.sha256, entries, source=manifest_name)
    if str(named.version) in details.texts:
        yield _structure(Stance.FOR, f"names its version {named.version}", source=file.name)


def _structure(stance: Stance, text: str, *, source: str) -> Statement:
    return Statement(kind=StatementKind.STRUCTURE, stance=stance, text=text, source=source)
