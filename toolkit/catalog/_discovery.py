"""bytes → what the vendor's solution discovery manifest announces (`ASZSolutionBundleUpdates`). Pure.

Known are `ApplicableUpdate` with `UpdateInfo` (`UpdateName`, `Version`, `PackageSizeInMb`) and
`BillOfMaterials/BomItem`, and `PackageMetadata/ServicesUpdates/Update/UpdateInfo`; whether a value is an
attribute or a child is not, nor which namespace. `MinVersionRequired` and `MinSbeVersionRequired` are
properties of the update object, `RecalledUpdate` stands in the ancestor of this schema: known where they
are, never expected. Every other node is kept by its path and counted, and addresses and hashes are looked
for in all of them, because the schema may have grown what we want most.

Source: NeilBird/Azure-Local AzLocal.UpdateManagement Get-AzLocalLatestSolutionVersion.ps1 (root, the two
places of `UpdateInfo`), update-via-powershell-23h2.md (properties of an update), Azure Stack Hub's XSD
`UpdateDiscoveryManifest` (`RecalledUpdate`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from toolkit.errors import InputError
from toolkit.model import SolutionVersion
from toolkit.xmltext import Element, read_xml

LIMIT_BYTES = 4 << 20
"""The manifest has some tens of kilobytes (third-party statement, see above)."""

_ATTEMPTED = "read solution discovery manifest"
_ROOT, _APPLICABLE, _RECALLED = "ASZSolutionBundleUpdates", "ApplicableUpdate", "RecalledUpdate"
_INFO, _BOM, _BOM_ITEM = "UpdateInfo", "BillOfMaterials", "BomItem"
_PACKAGES, _SERVICES, _UPDATE = "PackageMetadata", "ServicesUpdates", "Update"
_ENTRIES = (_APPLICABLE, _RECALLED)
_FACTS = ("UpdateName", "Version", "PackageSizeInMb", "MinVersionRequired", "MinSbeVersionRequired")
_KNOWN = {
    _INFO: (*_ENTRIES, _UPDATE),
    _BOM: _ENTRIES,
    _BOM_ITEM: (_BOM, _BOM_ITEM),
    _PACKAGES: (_ROOT,),
    _SERVICES: (_PACKAGES,),
    _UPDATE: (_SERVICES,),
    "Id": (_BOM_ITEM,),
    **dict.fromkeys(_FACTS, (*_ENTRIES, _INFO, _UPDATE)),
    "Version": (*_ENTRIES, _INFO, _UPDATE, _BOM_ITEM),
}
"""Node -> below what it is known; entries are known everywhere."""
_KNOWN_PAIRS = frozenset(
    (parent.casefold(), name.casefold()) for name, parents in _KNOWN.items() for parent in parents
)
_URL = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)
_HASH = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])")
_MOST_UNKNOWN, _LONGEST_NAME, _MOST_FILES = 200, 60, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedUpdate:
    """One `ApplicableUpdate` or `RecalledUpdate`."""

    version: SolutionVersion | None
    """None: `version_raw` is no solution version."""
    version_raw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedFile:
    """An address or hash of a bundle that stands where none is known to stand."""

    place: str
    url: str = ""
    sha256: str = ""
    version: SolutionVersion | None = None
    """The update inside which it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryManifest:
    """What the vendor announces."""

    applicable: tuple[AnnouncedUpdate, ...]
    recalled: tuple[AnnouncedUpdate, ...]
    files: tuple[AnnouncedFile, ...]
    unknown: tuple[tuple[str, int], ...]
    """(path, how often) of every node this program does not know; after 200 kinds: `(others)`."""
    remarks: tuple[str, ...]
    """What could be read in part only, for a person."""


def read_discovery(data: bytes, *, file: str | None = None) -> DiscoveryManifest:
    """Return what a discovery manifest says.

    Args:
        data: The XML.
        file: Its name or address, for error messages.

    Raises:
        InputError: Not XML, of another root, too large or too deep, or without any update.
    """
    if len(data) > LIMIT_BYTES:
        raise InputError(
            _ATTEMPTED, file=file, found=f"more than {LIMIT_BYTES} bytes", expected="a manifest"
        )
    root = read_xml(data, attempted=_ATTEMPTED, file=file)
    reader = _Reader()
    if _is(root, _ROOT):
        reader.read(root)
    if not (reader.applicable or reader.recalled):
        raise InputError(
            _ATTEMPTED,
            file=file,
            found=f"the root {root.name[:_LONGEST_NAME]} and no update",
            expected=f"{_ROOT} with {_APPLICABLE} entries",
            hint="is this what https://aka.ms/AzureEdgeUpdates leads to?",
        )
    return DiscoveryManifest(
        applicable=tuple(reader.applicable),
        recalled=tuple(reader.recalled),
        files=tuple(reader.files),
        unknown=tuple(reader.unknown.items()),
        remarks=tuple(reader.remarks),
    )


class _Reader:
    """Walks the tree once; entries count wherever they stand, but none inside another."""

    def __init__(self) -> None:
        self.applicable: list[AnnouncedUpdate] = []
        self.recalled: list[AnnouncedUpdate] = []
        self.files: list[AnnouncedFile] = []
        self.unknown: Counter[str] = Counter()
        self.remarks: list[str] = []

    def read(self, root: Element) -> None:
        """Read the root and everything below it."""
        waiting = [(root, root.name, _Inside())]
        while waiting:
            node, path, inside = waiting.pop()
            if _is(node, *_ENTRIES) and not inside.entry:
                inside = _Inside(entry=True, version=self._entry(node))
            for name, value in node.attributes:
                self._keep(node.name, name, f"{path}/@{name[:_LONGEST_NAME]}")
                self._look_for_files(value, f"{path}/@{name[:_LONGEST_NAME]}", inside.version)
            self._look_for_files(node.text, path, inside.version)
            for child in reversed(node.children):
                below = f"{path}/{child.name[:_LONGEST_NAME]}"
                if not _is(child, *_ENTRIES):
                    self._keep(node.name, child.name, below)
                waiting.append((child, below, inside))

    def _keep(self, parent: str, name: str, path: str) -> None:
        """Count a node that the schema, as far as it is public, does not have there."""
        if (parent.casefold(), name.casefold()) in _KNOWN_PAIRS:
            return
        room = len(self.unknown) < _MOST_UNKNOWN
        self.unknown[path if room or path in self.unknown else "(others)"] += 1

    def _entry(self, node: Element) -> SolutionVersion | None:
        entries = self.recalled if _is(node, _RECALLED) else self.applicable
        place = f"{node.name}[{len(entries) + 1}]"
        said = [value for part in _infos(node) if (value := part.value("Version"))]
        raw = said[0] if said else ""
        version: SolutionVersion | None = None
        try:
            version = SolutionVersion.parse(raw)
        except ValueError:
            self.remarks.append(f"{place}: {raw[:80] or 'nothing'!r} is no solution version")
        if len(set(said)) > 1:
            self.remarks.append(f"{place}: it names the versions {' and '.join(said)[:200]}")
            version = None
        entries.append(AnnouncedUpdate(version=version, version_raw=raw))
        return version

    def _look_for_files(self, text: str, place: str, version: SolutionVersion | None) -> None:
        urls = (url for url in _URL.findall(text) if "combinedsolutionbundle" in url.casefold())
        for fact in (
            *({"url": url} for url in urls),
            *({"sha256": digest.lower()} for digest in _HASH.findall(text)),
        ):
            if len(self.files) < _MOST_FILES:
                self.files.append(AnnouncedFile(place=place, version=version, **fact))


@dataclass(frozen=True, slots=True)
class _Inside:
    """The entry around a node."""

    entry: bool = False
    version: SolutionVersion | None = None


def _is(node: Element, *names: str) -> bool:
    return node.name.casefold() in {name.casefold() for name in names}


def _infos(node: Element) -> Iterator[Element]:
    """Return an entry and its `UpdateInfo`s: a fact may stand in either."""
    yield node
    yield from (child for child in node.children if _is(child, _INFO))
