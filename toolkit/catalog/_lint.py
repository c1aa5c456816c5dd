"""What is suspicious about the published facts we keep: findings as values. Pure.

The publisher's page is edited by hand and has carried placeholders, a hash with two digits too many and
one release's hash in another release's row. These checks find such things before a download does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from toolkit.catalog._releases import Release, ReleaseStatus
from toolkit.model import BundleStatus, Manifest, Payload, PayloadKind, SolutionVersion, Witness

_LISTED_WITHIN = timedelta(hours=24)
_REPEAT_DIGITS = 8
"""A run this long occurs twice in about one of 4 million random digests of 64 digits."""


class LintKind(StrEnum):
    """What is suspicious."""

    MALFORMED_HASH = "malformed-hash"
    PATTERNED_HASH = "patterned-hash"
    SHARED_HASH = "shared-hash"
    CONFLICTING_HASH = "conflicting-hash"
    UNPINNED = "unpinned"
    UNWITNESSED_PIN = "unwitnessed-pin"
    FOREIGN_URL = "foreign-url"
    NO_SUCCESSOR = "no-successor"
    UNKNOWN_VERSION = "unknown-version"
    DISAGREEMENT = "disagreement"
    UNSOURCED = "unsourced"


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """One suspicious fact."""

    kind: LintKind
    version: SolutionVersion
    payload: str
    """Its name, or empty when it is about the whole release."""
    text: str
    source: str
    """Where the suspicious value was read, if one place is to blame."""
    value: str = ""
    """The suspicious value, if it is a hash."""


def is_patterned(digest: str) -> bool:
    """Whether a hash repeats itself: no SHA-256 in practice, every typed placeholder."""
    runs = [digest[at : at + _REPEAT_DIGITS] for at in range(len(digest) - _REPEAT_DIGITS + 1)]
    return len(set(runs)) < len(runs)


def lint(manifests: Sequence[Manifest], releases: Sequence[Release]) -> tuple[LintFinding, ...]:
    """Return everything suspicious, by version."""
    findings = [
        *(found for manifest in manifests for found in _payload_findings(manifest)),
        *_shared(manifests),
        *_successors(manifests, releases),
        *_disagreements(manifests, releases),
    ]
    return tuple(sorted(findings, key=lambda found: (found.version, found.kind, found.text)))


def _payload_findings(manifest: Manifest) -> Iterator[LintFinding]:
    for payload in manifest.payloads:
        for kind, text, source in _one_payload(manifest, payload):
            yield LintFinding(
                kind=kind, version=manifest.version, payload=payload.name, text=text, source=source
            )
        for witness in payload.witnesses:
            for kind, text in _one_witness(payload, witness):
                yield LintFinding(
                    kind=kind,
                    version=manifest.version,
                    payload=payload.name,
                    text=text,
                    source=witness.source,
                    value=witness.value,
                )


def _one_payload(manifest: Manifest, payload: Payload) -> Iterator[tuple[LintKind, str, str]]:
    if payload.sha256 is None:
        yield (LintKind.UNPINNED, "no hash is pinned; a download of it stays unproven", "")
    else:
        if is_patterned(payload.sha256):
            yield (LintKind.PATTERNED_HASH, "the pinned hash repeats itself", "")
        if payload.sha256 not in {witness.value for witness in payload.witnesses}:
            yield (LintKind.UNWITNESSED_PIN, "no published value is the pinned hash", "")
    if payload.kind is PayloadKind.SOLUTION_BUNDLE and str(manifest.version) not in payload.url:
        yield (LintKind.FOREIGN_URL, f"its URL does not name {manifest.version}", payload.url)


def _one_witness(payload: Payload, witness: Witness) -> Iterator[tuple[LintKind, str]]:
    decided = payload.decided
    if not witness.is_wellformed:
        digits = f"{len(witness.value)} characters, not 64 hex digits"
        yield (LintKind.MALFORMED_HASH, f"{witness.value}: {digits}")
    elif payload.sha256 not in (None, witness.value) and not (
        decided and witness.seen_on <= decided.on
    ):
        text = f"{witness.value} was published too, not the pinned {payload.sha256}"
        yield (LintKind.CONFLICTING_HASH, text)
    if is_patterned(witness.value):
        yield (LintKind.PATTERNED_HASH, f"{witness.value} repeats itself: a placeholder")


def _shared(manifests: Sequence[Manifest]) -> Iterator[LintFinding]:
    """Find one hash published for two versions.

    If one of them pins it and the others do not, a person has sorted out whose it is, and only the others'
    rows were wrong.
    """
    seen: dict[str, dict[SolutionVersion, tuple[Payload, str]]] = defaultdict(dict)
    for manifest in manifests:
        for payload in manifest.payloads:
            values = [(witness.value, witness.source) for witness in payload.witnesses]
            for value, source in [*values, *([(payload.sha256, "")] if payload.sha256 else [])]:
                seen[value].setdefault(manifest.version, (payload, source))
    for value, holders in seen.items():
        owners = [version for version, (payload, _) in holders.items() if payload.sha256 == value]
        for version, (payload, source) in holders.items():
            others = ", ".join(str(other) for other in sorted(holders) if other != version)
            if others and owners != [version]:
                yield LintFinding(
                    kind=LintKind.SHARED_HASH,
                    version=version,
                    payload=payload.name,
                    text=f"{value} was published for {others} too",
                    source=source,
                    value=value,
                )


def _successors(
    manifests: Sequence[Manifest], releases: Sequence[Release]
) -> Iterator[LintFinding]:
    known = {str(release.version) for release in releases}
    withdrawn = {ReleaseStatus.SUPERSEDED, ReleaseStatus.RECALLED}
    for release in releases:
        if release.status in withdrawn and not release.superseded_by:
            text = f"{release.status.value}, but nothing says what replaces it"
            yield _about(LintKind.NO_SUCCESSOR, release.version, text, release.source)
    for manifest in manifests:
        if not manifest.sources:
            text = "does not say where its values were read"
            yield _about(LintKind.UNSOURCED, manifest.version, text, "")
        if manifest.status is not BundleStatus.LISTED and not manifest.superseded_by:
            text = f"{manifest.status.value}, but nothing says what replaces it"
            yield _about(LintKind.NO_SUCCESSOR, manifest.version, text, "")
        for other in filter(None, (*manifest.supersedes, manifest.superseded_by)):
            if other not in known:
                text = f"names {other}, which is not a release we know of"
                yield _about(LintKind.UNKNOWN_VERSION, manifest.version, text, "")


def _disagreements(
    manifests: Sequence[Manifest], releases: Sequence[Release]
) -> Iterator[LintFinding]:
    """Find manifests that do not say what the release table says.

    A bundle may be listed up to a day after its release (import-discover-updates-offline-23h2.md).
    """
    table = {release.version: release for release in releases}
    for manifest in manifests:
        release = table.get(manifest.version)
        if release is None:
            continue
        released_on = release.available_on
        is_listed_late = released_on is not None and (
            released_on < manifest.available_on <= released_on + _LISTED_WITHIN
        )
        for name, ours, theirs in (
            ("status", manifest.status.value, release.status.value),
            ("os_build", manifest.os_build, release.os_build),
            ("available_on", str(manifest.available_on), str(released_on)),
        ):
            if ours != theirs and not (name == "available_on" and is_listed_late):
                text = f"{name} is {ours} in the manifest and {theirs} in the release table"
                yield _about(LintKind.DISAGREEMENT, manifest.version, text, release.source)


def _about(kind: LintKind, version: SolutionVersion, text: str, source: str) -> LintFinding:
    return LintFinding(kind=kind, version=version, payload="", text=text, source=source)
