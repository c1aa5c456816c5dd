"""The manifests shipped with this program, and folders of further ones, as one library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.catalog._issues import KnownIssue, read_issues
from toolkit.catalog._lint import LintFinding, lint
from toolkit.catalog._manifest import read_manifest
from toolkit.catalog._paths import PathRules, SbeMinimum, UpdatePath, find_path, read_paths
from toolkit.catalog._releases import Release, ReleaseStatus, read_releases, release_of
from toolkit.catalog._sbe_sources import SbeSources, read_sbe_sources
from toolkit.catalog._storage import read_at_most, storage
from toolkit.catalog._versions import resolve_version
from toolkit.errors import InputError, StorageError
from toolkit.model import BundleStatus, Manifest, SolutionVersion
from toolkit.yamltext import LIMIT_BYTES

_RELEASES, _PATHS = "releases.yaml", "paths.yaml"
_ISSUES, _SBE_SOURCES = "issues.yaml", "sbe-sources.yaml"
_TABLES = frozenset({_RELEASES, _PATHS, _ISSUES, _SBE_SOURCES})
_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """Everything we know of what exists: manifests, releases without one, and the supported paths."""

    manifests: tuple[Manifest, ...]
    """By version."""
    releases: tuple[Release, ...]
    """By version; those of `manifests` among them."""
    rules: PathRules
    issues: tuple[KnownIssue, ...] = ()
    """Known issues of releases."""

    def __iter__(self) -> Iterator[Manifest]:
        """Iterate over the manifests, by version."""
        return iter(self.manifests)

    def __len__(self) -> int:
        """Return the number of manifests."""
        return len(self.manifests)

    def find(self, text: str) -> Manifest:
        """Return the manifest of the version that a person typed, in full or short.

        Raises:
            InputError: Not a version, ambiguous, or without a manifest.
        """
        version = resolve_version(text, (manifest.version for manifest in self.manifests))
        for manifest in self.manifests:
            if manifest.version == version:
                return manifest
        release = next((item for item in self.releases if item.version == version), None)
        raise InputError(
            f"find a manifest of {version}",
            found=f"a release that is {release.status.value}" if release else "no such release",
            expected="one of `ferry catalog list`",
            hint="write a manifest for it (docs/reference/formats.md) and name its folder: --manifests",
        )

    def version(self, text: str) -> SolutionVersion:
        """Return the version that a person typed, in full or short.

        Raises:
            InputError: Not a version, or ambiguous.
        """
        known = (  # what only third parties name must be written in full
            release.version
            for release in self.releases
            if release.status is not ReleaseStatus.UNCONFIRMED
        )
        return resolve_version(text, known)

    def path(self, start: str, goal: str | None = None) -> UpdatePath:
        """Return the supported updates from one version to another, or why there are none.

        Args:
            start: The installed version, in full or short.
            goal: The wanted version; None for the newest with a solution bundle.

        Raises:
            InputError: Not a version, or ambiguous.
        """
        return find_path(
            self.version(start),
            None if goal is None else self.version(goal),
            rules=self.rules,
            releases=self.releases,
            bundles=frozenset(manifest.version for manifest in self.manifests),
        )

    def sbe_minimums(self, start: str, goal: str) -> tuple[SbeMinimum, ...]:
        """Return the SBEs, of every vendor, that the next step from one version to another needs.

        Raises:
            InputError: Not a version, or ambiguous.
        """
        return tuple(
            item for step in self.path(start, goal).steps[:1] for item in step.sbe_minimums
        )

    def lint(self) -> tuple[LintFinding, ...]:
        """Return everything suspicious about the published facts."""
        return lint(self.manifests, self.releases)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFile:
    """One manifest and the text it was read from, its lines ending in a line feed."""

    path: Path
    text: str
    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Everything we know, and the texts it was read from."""

    manifests: Manifests
    files: tuple[ManifestFile, ...]
    """The file that counts for each version, by version."""
    releases_text: str
    """The release table as shipped."""


def load_manifests(extra_folders: Iterable[Path] = ()) -> Manifests:
    """Read the shipped manifests, then those of further folders.

    A further manifest may declare a new version, or repeat a known one with more payloads; it may not
    change a pinned hash without the record of a person's decision. It may withdraw a release, but never
    bring one back.

    Raises:
        InputError: A file cannot be understood, or a pinned hash differs; says file, key and line.
        StorageError: A folder or file cannot be read.
    """
    return load_library(extra_folders).manifests


def load_library(extra_folders: Iterable[Path] = ()) -> Library:
    """Read what `load_manifests` reads, and keep the texts.

    Raises:
        InputError: See `load_manifests`.
        StorageError: A folder or file cannot be read.
    """
    shipped = _shipped_folder()
    files = {file.manifest.version: file for file in _read_folder(shipped)}
    table = read_at_most(shipped / _RELEASES, LIMIT_BYTES)
    releases = {version: release_of(file.manifest) for version, file in files.items()}
    releases |= {release.version: release for release in read_releases(table, file=_RELEASES)}
    for folder in extra_folders:
        for file in _read_folder(folder):
            version = file.manifest.version
            if version in files:
                _check_pins(files[version].manifest, file.manifest, folder)
            manifest = _still_withdrawn(file.manifest, releases.get(version))
            files[version] = replace(file, manifest=manifest)
            if version not in releases or releases[version].status.value != manifest.status.value:
                releases[version] = release_of(manifest)
    return Library(
        manifests=Manifests(
            manifests=tuple(files[version].manifest for version in sorted(files)),
            releases=tuple(releases[version] for version in sorted(releases)),
            rules=read_paths(read_at_most(shipped / _PATHS, LIMIT_BYTES), file=_PATHS),
            issues=read_issues(read_at_most(shipped / _ISSUES, LIMIT_BYTES), file=_ISSUES),
        ),
        files=tuple(files[version] for version in sorted(files)),
        releases_text=_text(table),
    )


def _still_withdrawn(manifest: Manifest, known: Release | None) -> Manifest:
    """Return a further manifest with the status it has at least.

    A folder of further manifests grows old; what was withdrawn since must not come back with it.
    """
    grades = list(BundleStatus)  # listed, superseded, recalled
    if known is None or known.status.value not in grades:
        return manifest
    status = BundleStatus(known.status.value)
    if grades.index(status) <= grades.index(manifest.status):
        return manifest
    return replace(
        manifest, status=status, superseded_by=manifest.superseded_by or known.superseded_by
    )


def load_sbe_sources() -> SbeSources:
    """Return where vendors publish their SBE discovery manifests, as shipped.

    Raises:
        InputError: The file cannot be understood.
        StorageError: It cannot be read.
    """
    return read_sbe_sources(
        read_at_most(_shipped_folder() / _SBE_SOURCES, LIMIT_BYTES), file=_SBE_SOURCES
    )


def _shipped_folder() -> Path:
    """Return `toolkit/manifests` as in the wheel, or `manifests` beside the package as in a checkout."""
    for folder in (_PACKAGE / "manifests", _PACKAGE.parent / "manifests"):
        if (folder / _RELEASES).is_file():
            return folder
    raise StorageError(
        "find the manifests shipped with ferry",
        found=f"none in {_PACKAGE}",
        hint="install ferry again; its files are incomplete",
    )


def _read_folder(folder: Path) -> Iterator[ManifestFile]:
    with storage(f"read manifests in {folder}"):
        paths = sorted(
            path for path in folder.iterdir() if path.suffix.lower() in (".yaml", ".yml")
        )
    seen: dict[SolutionVersion, str] = {}
    for path in paths:
        if path.name in _TABLES:
            continue
        data = read_at_most(path, LIMIT_BYTES)
        manifest = read_manifest(data, file=str(path))
        if manifest.version in seen:
            raise InputError(
                "read manifest",
                file=str(path),
                place="version",
                found=f"{manifest.version}, which {seen[manifest.version]} declares too",
                expected="one file for each version",
            )
        seen[manifest.version] = path.name
        yield ManifestFile(path=path, text=_text(data), manifest=manifest)


def _text(data: bytes) -> str:
    return data.decode().replace("\r\n", "\n")


def _check_pins(known: Manifest, extra: Manifest, folder: Path) -> None:
    pins = {payload.name: payload.sha256 for payload in extra.payloads}
    decided = {payload.name for payload in extra.payloads if payload.decided}
    for payload in known.payloads:
        is_other = payload.sha256 is not None and pins.get(payload.name) != payload.sha256
        if is_other and payload.name not in decided:
            raise InputError(
                "read manifest",
                file=str(folder),
                place=f"{extra.version}, payload {payload.name}",
                found=f"sha256 {pins.get(payload.name)}",
                expected=f"sha256 {payload.sha256}, which is pinned already",
                hint="a pinned hash is changed only after a review: record it as `decided`",
            )
