"""What was read: documents, the rows in them, and every hash that was ever published. Pure.

A document has revisions and copies: the page of bundles, its Markdown source, a file saved from a browser.
They are told by their name alone, so that the same hash in the next revision is no news.

A hash is *impossible* when it is not 64 hex digits, repeats itself, or was published for another version:
each of these has stood on the page.

Source: import-discover-updates-offline-23h2.md, revisions of 2025-05-13 to 2026-03-23.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from toolkit.catalog._bundletable import BundlePage, PublishedRow
from toolkit.catalog._discovery import DiscoveryManifest
from toolkit.catalog._lint import is_patterned
from toolkit.model import Manifest, SolutionVersion, Witness


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One document as it was read."""

    source: str
    """Where, and of which day: what becomes the source of a witness."""
    seen_on: date
    page: BundlePage | None = None
    discovery: DiscoveryManifest | None = None


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One row and where it was read."""

    row: PublishedRow
    reading: Reading


def document_of(source: str) -> str:
    """Return which document a source is a revision of: its name, wherever a copy of it is kept."""
    words = [word for word in source.partition(" (")[0].split() if "/" in word or "." in word]
    path = re.split(r"[?#]", words[-1] if words else source)[0]
    return re.sub(r"\.(?:md|html?)\Z", "", path.rstrip("/").rpartition("/")[2].casefold())


class PublishedHashes:
    """Every hash that we know of, and for which versions it was published."""

    def __init__(self, manifests: Iterable[Manifest], rows: Iterable[ReadRow]) -> None:
        """Take the witnesses of all manifests and what was read now."""
        self._pinned: dict[str, SolutionVersion] = {}
        self._seen: dict[str, set[SolutionVersion]] = defaultdict(set)
        for manifest in manifests:
            for payload in manifest.payloads:
                for witness in payload.witnesses:
                    self._seen[witness.value].add(manifest.version)
                if payload.sha256:
                    self._pinned[payload.sha256] = manifest.version
        for read in rows:
            self._seen[read.row.sha256].add(read.row.version)

    def flaw(self, value: str, version: SolutionVersion, pinned: str | None = None) -> str:
        """Return why a hash cannot be this version's; empty: nothing speaks against it.

        Args:
            value: As published, lower-cased.
            version: For which it was published.
            pinned: The hash pinned for it, if there is one.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", value):
            return _malformation(value, pinned)
        if is_patterned(value):
            return "A repeating pattern: a placeholder"
        owner = self._pinned.get(value, version)
        if owner != version:
            return f"Well-formed but wrong row: this is the hash of {owner}"
        others = sorted(self._seen[value] - {version})
        return f"Published for {', '.join(map(str, others))} too" if others else ""

    def is_news(self, read: ReadRow, witnesses: Sequence[Witness]) -> bool:
        """Whether a row says what its document did not say of this payload before.

        It did say so if the same hash was seen in any revision of it. That a hash stands there *again*,
        after another one that can be right, is news, too: the newest statement counts.
        """
        value, version = read.row.sha256, read.row.version
        document = document_of(read.reading.source)
        seen = [
            witness.seen_on
            for witness in witnesses
            if witness.value == value and document_of(witness.source) == document
        ]
        if not seen or self.flaw(value, version):
            return not seen
        return any(
            max(seen) < rival.seen_on < read.reading.seen_on
            for rival in witnesses
            if rival.value != value and not self.flaw(rival.value, version)
        )


def _malformation(value: str, pinned: str | None) -> str:
    is_hex = re.fullmatch(r"[0-9a-f]+", value) is not None
    text = f"{len(value)} hex digits" if is_hex else f"{len(value)} characters, not all hex digits"
    if is_patterned(value):
        return f"{text} and a repeating pattern: a placeholder"
    is_longer = pinned is not None and value.startswith(pinned)
    return f"{text}: trailing {value[64:].upper()}" if is_longer else text
