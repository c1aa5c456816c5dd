"""bytes → `SbeManifest`: a vendor's `SBE_Discovery_<Manufacturer>.xml`, every SBE it released. Pure.

What is known of the schema: `ApplicableUpdate/UpdateInfo/SupportedModels/SupportedModel` with the attributes
`SupportedSKUs` and `NotSupportedSKUs`, `ValidatedConfigurations` with version ranges somewhere inside, and
`packageHash` (Azure/AzureLocal-Supportability TSG/SolutionExtension and TSG/EnvironmentValidator);
`RecalledUpdate` beside `ApplicableUpdate` in the ancestor of that schema (Azure Stack Hub). No vendor's file
was at hand. So a fact is taken from an attribute or a child element, under the names that
`Get-SolutionUpdate` gives its properties; the publisher, family and version also from the name
`SBE_<Manufacturer>_<Family>_<Version>` wherever it stands in an entry. What is not understood is kept, counted
and never guessed: a validated range in an unknown form makes "not said" of all of them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from toolkit.errors import InputError
from toolkit.model import Sha256, SolutionVersion
from toolkit.names import https_url, payload_name
from toolkit.sbe._nouns import Sbe, SbeVersion, SupportedModel, sbe_named
from toolkit.xmltext import Element, read_xml

DISCOVERY_NAME = re.compile(r"SBE_Discovery_([A-Za-z0-9-]+)\.xml\Z", re.IGNORECASE)
"""Source: samples of file names on Microsoft's and the vendors' pages."""
_ATTEMPTED = "read SBE discovery manifest"
_TITLE = re.compile(r"SBE_([^_\s/\\]+)_([^\s/\\]+?)_(\d+(?:\.\d+){3})(?![\d.]*\d)", re.IGNORECASE)
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,59}\Z")
"""What may become part of a file's or folder's name."""
_PATTERN = re.compile(r"\d{1,9}(\.(\d{1,9}|\*)){1,3}\Z", re.ASCII)
_MOST_NOTES = 10
_MOST_UNREAD, _LONGEST_TEXT, _LONGEST_NAME = 200, 300, 60
_Path = tuple["_Path | None", str]
"""The path to an element from its end: spelled out only for what is kept."""

_VERSION = ("SbeVersion", "Version")
_PUBLISHER = ("SBEPublisher", "Publisher", "Manufacturer")
_FAMILY = ("SBEFamily", "Family")
_LINK = ("SBEReleaseLink", "ReleaseLink")
_NOTICE = ("SBENotifyMessage", "NotifyMessage")
_SIZE = ("SBEPackageSizeInMb", "PackageSizeInMb")
_MIN_SOLUTION, _MIN_SBE = "MinVersionRequired", "MinSbeVersionRequired"
_HASH, _MODEL, _VALIDATED = "packageHash", "SupportedModel", "ValidatedConfigurations"
_SKUS, _NOT_SKUS = "SupportedSKUs", "NotSupportedSKUs"
_KNOWN = frozenset(
    name.casefold()
    for name in (
        *_VERSION,
        *_PUBLISHER,
        *_FAMILY,
        *_LINK,
        *_NOTICE,
        *_SIZE,
        *(_MIN_SOLUTION, _MIN_SBE, _HASH, _MODEL, _SKUS, _NOT_SKUS),
        *("UpdateName", "DisplayName", "PackagePath"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Something in a manifest that this program does not know."""

    place: str
    """`ApplicableUpdate[2]/UpdateInfo/Colour`: the path to it, entries counted from 1."""
    text: str
    """Its value, cut after 300 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SbeManifest:
    """What a vendor released."""

    publisher: str
    """From the file's name, else from its entries; empty: nobody is named."""
    sbes: tuple[Sbe, ...]
    """In the order of the file; the same one twice if it stands there twice."""
    remarks: tuple[str, ...] = ()
    """What could be read in part only, for a person."""
    unread: tuple[Unread, ...] = ()
    """The first 200 facts that are not known."""
    unread_count: int = 0
    """How many there are."""

    @property
    def notes(self) -> tuple[str, ...]:
        """The remarks, as many as a person reads."""
        more = len(self.remarks) - _MOST_NOTES
        rest = (f"and {more} more remarks",) if more > 0 else ()
        return (*self.remarks[:_MOST_NOTES], *rest)

    def find(self, family: str, version: SbeVersion) -> tuple[Sbe, ...]:
        """Return the entries of one SBE; a family that an entry does not name may be any."""
        return tuple(
            sbe
            for sbe in self.sbes
            if sbe.version == version and sbe.family.casefold() in ("", family.casefold())
        )


def read_sbe_manifest(data: bytes, *, file: str | None = None) -> SbeManifest:
    """Return what a discovery manifest says.

    Args:
        data: The XML.
        file: Its name, for error messages; `SBE_Discovery_<Manufacturer>.xml` also names the publisher.

    Raises:
        InputError: Not XML, or it lists no SBE.
    """
    root = read_xml(data, attempted=_ATTEMPTED, file=file)
    root.drop_signatures()
    reader = _Reader()
    for element, place in _entries(root):
        reader.read(element, place)
    reader.recall()
    if not reader.sbes:
        raise InputError(
            _ATTEMPTED,
            file=file,
            found=f"the root {root.name}; {'; '.join(reader.remarks) or 'no entry'}",
            expected="ApplicableUpdate entries with the version of an SBE",
            hint="is this the vendor's SBE_Discovery_<Manufacturer>.xml?",
        )
    reader.keep_unread(root)
    name = DISCOVERY_NAME.match(re.split(r"[/\\]", file)[-1]) if file else None
    publishers = [sbe.publisher for sbe in reader.sbes if sbe.publisher]
    return SbeManifest(
        publisher=name[1] if name else next(iter(publishers), ""),
        sbes=tuple(reader.sbes),
        remarks=tuple(reader.remarks),
        unread=tuple(reader.unread),
        unread_count=reader.unread_count,
    )


def describe_sbe(named: Sbe, discovery: bytes, *, file: str) -> Sbe:
    """Return an SBE as the vendor's manifest beside its files describes it.

    Args:
        named: What the names of its files say.
        discovery: The manifest.
        file: The manifest's name.

    Raises:
        InputError: The manifest cannot be understood, or lists no such SBE.
    """
    listed = read_sbe_manifest(discovery, file=file).find(named.family, named.version)
    if not listed:
        raise InputError(
            _ATTEMPTED,
            file=file,
            found=f"no entry for {named.title}",
            expected="the manifest that lists the SBE beside it",
            hint="take the vendor's newest discovery manifest: ferry catalog add … --discovery FILE",
        )
    return replace(listed[0], family=named.family, publisher=named.publisher)


def digest_of(text: str) -> Sha256 | None:
    """Return the SHA-256 that a text can be, in hex or base64; None: it is not 32 bytes."""
    text = text.strip()
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return Sha256(text.lower())
    if len(text) != 44:  # 32 bytes in base64
        return None
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return Sha256(decoded.hex()) if len(decoded) == 32 else None


class _Reader:
    """Collects what the entries say."""

    def __init__(self) -> None:
        self.sbes: list[Sbe] = []
        self.remarks: list[str] = []
        self.unread: list[Unread] = []
        self.unread_count = 0
        self._recalled: list[Sbe] = []

    def read(self, entry: Element, place: str) -> None:
        """Read one ApplicableUpdate or RecalledUpdate."""
        sbe = self._sbe(entry, place)
        if sbe is None:
            return
        if entry.name.casefold() != "recalledupdate":
            self.sbes.append(sbe)
            return
        self._recalled.append(replace(sbe, is_recalled=True))
        if not sbe.family:
            self.remarks.append(f"{place}: {sbe.version} of no family: recalled for every family")

    def recall(self) -> None:
        """Mark what was recalled, and list what is named only to recall it."""
        families: dict[SbeVersion, set[str]] = {}
        for sbe in self._recalled:
            families.setdefault(sbe.version, set()).add(sbe.family.casefold())
        listed: set[tuple[SbeVersion, str]] = set()
        for at, sbe in enumerate(self.sbes):
            recalled, family = families.get(sbe.version), sbe.family.casefold()
            if recalled and (not family or "" in recalled or family in recalled):
                self.sbes[at] = replace(sbe, is_recalled=True)
                listed |= {(sbe.version, ""), (sbe.version, family)}
        for sbe in self._recalled:
            if (sbe.version, sbe.family.casefold()) not in listed:
                self.sbes.append(sbe)

    def keep_unread(self, root: Element) -> None:
        """Keep every fact that is not known."""
        waiting: list[tuple[Element, _Path, bool]] = [(root, (None, root.name), False)]
        while waiting:
            node, path, validated = waiting.pop()
            validated = validated or node.name.casefold() == _VALIDATED.casefold()
            attributes = (
                (name, value.strip(), (path, f"@{name}")) for name, value in node.attributes
            )
            for name, value, place in ((node.name, node.text, path), *attributes):
                if not value or name.casefold() in _KNOWN or (validated and _PATTERN.match(value)):
                    continue
                self.unread_count += 1
                if len(self.unread) < _MOST_UNREAD:
                    self.unread.append(Unread(place=_spell(place), text=value[:_LONGEST_TEXT]))
            waiting.extend(
                (child, (path, name), validated)
                for child, name in reversed(list(_numbered(node.children)))
            )

    def _sbe(self, entry: Element, place: str) -> Sbe | None:
        infos = [entry, *entry.named("UpdateInfo")]

        def fact(*names: str) -> str:
            found = (info.value(name) for name in names for info in infos)
            return next((value for value in found if value), "")

        values = list(entry.values())
        title = next((found for _, value in values if (found := _TITLE.search(value))), None)
        version_text = fact(*_VERSION) or (title[3] if title else "")
        try:
            version = SbeVersion.parse(version_text)
        except ValueError:
            self.remarks.append(f"{place}: no SBE version ({version_text[:40] or 'nothing'})")
            return None
        if title and title[3] != str(version):
            self.remarks.append(f"{place}: version {version}, but it names {title[0]}")
            title = None
        family = self._name(fact(*_FAMILY), title and title[2], place, "family")
        if not family and _is_solution_version(version_text):
            self.remarks.append(f"{place}: {version} is a solution update, no SBE")
            return None
        digests = dict.fromkeys(filter(None, (digest_of(value) for _, value in values)))
        raw_hash, digest = self._package_hash(values, place)
        return Sbe(
            publisher=self._name(fact(*_PUBLISHER), title and title[1], place, "publisher"),
            family=family,
            version=version,
            models=tuple(self._models(entry, place)),
            validated_for=self._validated(entry, place),
            package_sha256=digest,
            package_hash=raw_hash,
            digests=tuple(digests),
            package_size_mb=_whole(fact(*_SIZE)),
            urls=tuple(self._urls(values, place)),
            release_link=fact(*_LINK),
            notify_message=fact(*_NOTICE),
            min_solution_version=fact(_MIN_SOLUTION),
            min_sbe_version=fact(_MIN_SBE),
        )

    def _name(self, said: str, titled: str | None, place: str, what: str) -> str:
        """Return a publisher or family: as said, else as in the name of its files."""
        name = said or titled or ""
        if titled and said and said.casefold() != titled.casefold():
            self.remarks.append(f"{place}: {what} {said!r}, but its files are of {titled!r}")
        if name and not _SAFE.match(name):
            self.remarks.append(f"{place}: {what} {name[:60]!r} cannot be part of a file name")
            return ""
        return name

    def _package_hash(
        self, values: Iterable[tuple[str, str]], place: str
    ) -> tuple[str, Sha256 | None]:
        """Return `packageHash` as written, and the one SHA-256 it can be."""
        said = list(
            dict.fromkeys(value for name, value in values if name.casefold() == _HASH.casefold())
        )
        digests = {digest_of(value) for value in said}
        if len(digests) == 1 and None not in digests:
            return said[0], digests.pop()
        if said:
            self.remarks.append(
                f"{place}: packageHash {', '.join(said)[:200]} is not one SHA-256 in hex or base64"
            )
        return ", ".join(said), None

    def _models(self, entry: Element, place: str) -> Iterator[SupportedModel]:
        for element in entry.named(_MODEL):
            if element.text:
                yield SupportedModel(
                    model=element.text,
                    skus=_list(element.value(_SKUS)),
                    excluded_skus=_list(element.value(_NOT_SKUS)),
                )
            else:
                self.remarks.append(f"{place}: a SupportedModel without a name")

    def _validated(self, entry: Element, place: str) -> tuple[str, ...]:
        """Return the version patterns, or nothing if one of them has a form we do not know."""
        patterns: dict[str, None] = {}
        for element in entry.named(_VALIDATED):
            for name, value in element.values():
                is_bound = name.casefold().startswith(("min", "max"))
                if _PATTERN.match(value) and not is_bound:
                    patterns[value] = None
                elif is_bound or re.search(r"\d\.\d|\*", value):
                    self.remarks.append(
                        f"{place}: {_VALIDATED} says {name} = {value[:80]!r}, which is no pattern like "
                        "10.2408.*.*; what it was validated for is unknown"
                    )
                    return ()
        return tuple(patterns)

    def _urls(self, values: Iterable[tuple[str, str]], place: str) -> Iterator[tuple[str, str]]:
        """Return the addresses of its files: those that end in the name of one."""
        for _, value in dict.fromkeys(values):
            if not value.lower().startswith(("https:", "http:")):
                continue
            try:
                name = unquote(urlsplit(value).path.rpartition("/")[2])
                if sbe_named(name) and name.lower().endswith((".xml", ".zip")):
                    yield payload_name(name), https_url(value)
            except ValueError as error:
                self.remarks.append(f"{place}: {error}")


def _entries(root: Element) -> Iterator[tuple[Element, str]]:
    """Return every entry with its place, wherever it stands, but none inside another."""
    counts: dict[str, int] = {}
    waiting = [root]
    while waiting:
        element = waiting.pop()
        if element.name.casefold() in ("applicableupdate", "recalledupdate"):
            counts[element.name] = counts.get(element.name, 0) + 1
            yield element, f"{element.name}[{counts[element.name]}]"
        else:
            waiting.extend(reversed(element.children))


def _numbered(children: list[Element]) -> Iterator[tuple[Element, str]]:
    """Return the children with their names; names that are there several times get a number."""
    total = Counter(child.name for child in children)
    seen: Counter[str] = Counter()
    for child in children:
        seen[child.name] += 1
        number = f"[{seen[child.name]}]" if total[child.name] > 1 else ""
        yield child, f"{child.name}{number}"


def _spell(path: _Path) -> str:
    names: list[str] = []
    rest: _Path | None = path
    while rest is not None:
        rest, name = rest
        names.append(name[:_LONGEST_NAME])
    return "/".join(reversed(names))


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None


def _is_solution_version(text: str) -> bool:
    try:
        SolutionVersion.parse(text)
    except ValueError:
        return False
    return True
