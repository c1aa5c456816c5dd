"""bytes → the releases we know of, with and without a solution bundle (manifests/releases.yaml). Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from toolkit.catalog._sourced import read_rows
from toolkit.model import Manifest, SolutionVersion
from toolkit.yamltext import Value

FORMAT = 1


class ReleaseStatus(StrEnum):
    """What is known of a release today."""

    LISTED = "listed"
    SUPERSEDED = "superseded"
    RECALLED = "recalled"
    NO_BUNDLE = "no-bundle"
    """Released, but only to be had online."""
    UNCONFIRMED = "unconfirmed"
    """Named by third parties only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One solution version and what is known of it."""

    version: SolutionVersion
    status: ReleaseStatus
    os_build: str = ""
    available_on: date | None = None
    superseded_by: str = ""
    source: str
    notes: str = ""


def read_releases(data: bytes, *, file: str | None = None) -> tuple[Release, ...]:
    """Return the release table that `data` holds.

    Raises:
        InputError: Not a release table; says the file, key and line.
    """
    return read_rows(
        data,
        "releases",
        file=file,
        format_number=FORMAT,
        read=_release,
        name=lambda release: release.version,
        once="each version once",
    )


def release_of(manifest: Manifest) -> Release:
    """Return what a manifest says, for a version that the release table does not list."""
    return Release(
        version=manifest.version,
        status=ReleaseStatus(manifest.status.value),
        os_build=manifest.os_build,
        available_on=manifest.available_on,
        superseded_by=manifest.superseded_by,
        source=dict(manifest.sources).get("version", ""),
        notes=manifest.notes,
    )


def _release(item: Value, source: Callable[[Value], str]) -> Release:
    values = item.record(
        ("version", "status", "source"), ("os_build", "available_on", "superseded_by", "notes")
    )
    texts = {
        key: values[key].text() if key in values else ""
        for key in ("os_build", "superseded_by", "notes")
    }
    return Release(
        version=values["version"].parse(SolutionVersion.parse, "a version like 12.2603.1002.15"),
        status=values["status"].parse(ReleaseStatus, " or ".join(ReleaseStatus)),
        available_on=(
            values["available_on"].parse(date.fromisoformat, "a date like 2026-03-17")
            if "available_on" in values
            else None
        ),
        source=source(values["source"]),
        **texts,
    )
