"""The rows of a version that has no manifest yet → its manifest. Pure.

Its hash is pinned when it is the only one that can be right; otherwise the manifest has none, says why, and
nobody can download from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.catalog._manifesttext import plain
from toolkit.catalog._readings import PublishedHashes, Reading, ReadRow
from toolkit.catalog._releases import Release, ReleaseStatus
from toolkit.model import (
    BundleStatus,
    Manifest,
    Payload,
    PayloadKind,
    Sha256,
    SolutionVersion,
    Witness,
)
from toolkit.names import https_url

_WITHDRAWN = (ReleaseStatus.SUPERSEDED, ReleaseStatus.RECALLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewManifest:
    """A manifest as proposed."""

    manifest: Manifest
    how: str
    """Which hash is pinned, or why none is."""
    is_open: bool
    """Several hashes can be right: a person decides."""
    reading: Reading
    """Whose date and address it has."""


def new_manifest(
    version: SolutionVersion,
    rows: Sequence[ReadRow],
    *,
    published: PublishedHashes,
    release: Release | None,
    recall: Reading | None,
) -> NewManifest | None:
    """Return the manifest of a version.

    Args:
        version: The version of all of `rows`.
        rows: What was read of it; date and address are those of the first row that says enough.
        published: To judge its hash.
        release: What the table of releases knows of it.
        recall: Where it was recalled, if it was.

    Returns:
        None if no row says enough.
    """
    for read in rows:
        row, reading = read.row, read.reading
        os_build = row.os_build or (release.os_build if release else "")
        available_on = row.available_on or (release.available_on if release else None)
        if os_build and available_on is not None and is_manifest_address(row.url):
            break
    else:
        return None
    witnesses = _witnesses(version, rows, published)
    pinned, how = _pin(witnesses)
    status, superseded_by, status_source = _status(release, recall, reading)
    table = release.source if release else ""
    sources = {
        "version": reading.source,
        "os_build": reading.source if row.os_build else table,
        "available_on": reading.source if row.available_on else table,
        "status": status_source,
        "payloads": reading.source,
        **({"superseded_by": status_source} if superseded_by else {}),
    }
    said = f'The page says beside it: "{plain(row.note)}".' if plain(row.note) else ""
    payload = Payload(
        name=f"CombinedSolutionBundle.{version}.zip",
        kind=PayloadKind.SOLUTION_BUNDLE,
        url=row.url,
        witnesses=witnesses,
        sha256=pinned,
    )
    manifest = Manifest(
        version=version,
        os_build=os_build,
        available_on=available_on,
        status=status,
        payloads=(payload,),
        superseded_by=superseded_by,
        notes=" ".join(filter(None, (said, "" if pinned else f"{how}."))),
        sources=tuple(sorted(sources.items())),
    )
    is_open = pinned is None and any(not witness.comment for witness in witnesses)
    return NewManifest(manifest=manifest, how=how, is_open=is_open, reading=reading)


def is_manifest_address(url: str) -> bool:
    """Whether an address is one that a manifest may hold."""
    try:
        return plain(https_url(url)) == url
    except ValueError:
        return False


def _witnesses(
    version: SolutionVersion, rows: Sequence[ReadRow], published: PublishedHashes
) -> tuple[Witness, ...]:
    witnesses: list[Witness] = []
    for read in rows:
        if read.row.sha256 and published.is_news(read, witnesses):
            witness = Witness(
                value=read.row.sha256,
                source=read.reading.source,
                seen_on=read.reading.seen_on,
                comment=published.flaw(read.row.sha256, version),
            )
            witnesses.append(witness)
    return tuple(witnesses)


def _pin(witnesses: Sequence[Witness]) -> tuple[Sha256 | None, str]:
    """Return the hash to pin, and how that came about."""
    believable = sorted({witness.value for witness in witnesses if not witness.comment})
    if len(believable) == 1:
        return Sha256(believable[0]), f"Pinned is {believable[0]}"
    if believable:
        return None, f"Not pinned: {' and '.join(believable)} were published"
    if witnesses:
        first = witnesses[0]
        return None, f"Not pinned: {first.value} cannot be right: {first.comment}"
    return None, "Not pinned: no hash is published"


def _status(
    release: Release | None, recall: Reading | None, reading: Reading
) -> tuple[BundleStatus, str, str]:
    """Return status, successor, and where they were read."""
    if recall is not None:
        return BundleStatus.RECALLED, release.superseded_by if release else "", recall.source
    if release and release.status in _WITHDRAWN:
        return BundleStatus(release.status.value), release.superseded_by, release.source
    return BundleStatus.LISTED, "", reading.source
