"""Auditing any bag by its hashes: is everything there that its manifests list, and nothing else?

It needs neither keys nor a site, and proves completeness only: whoever can change a file can change the
manifest as well. The rules are in `_bag`; here the files are looked for and read, each once, past the
page cache, with all hash algorithms that list it.
"""

from __future__ import annotations

import contextlib
import hashlib
import stat
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from toolkit.errors import DigestError, InputError, StorageError, ToolkitError, system_says
from toolkit.media import _bag
from toolkit.media._device import (
    DeviceReader,
    ReadMethod,
    on_storage,
    weakest,
)
from toolkit.media._names import check_path, is_litter, is_litter_path
from toolkit.media._set import BAG_DECLARATION, read_small
from toolkit.media._walk import is_folder, walk
from toolkit.model import Progress, Silent

_TAG_FILE_LIMIT_BYTES = 64 << 20
"""Half a million lines of a manifest; a tag file beyond it is not read."""


class BagFault(StrEnum):
    """What was found against one file of a bag, or against the bag."""

    DAMAGED = "damaged"
    """Other bytes than a manifest says."""
    INVALID = "invalid"
    """Against a rule of BagIt."""
    UNREADABLE = "unreadable"
    MISSING = "missing"
    TO_FETCH = "to fetch"
    """Not there; fetch.txt says where to get it."""
    UNLISTED = "unlisted"
    """Below data/, but in no manifest, or not in each."""
    NOT_PORTABLE = "not portable"
    """Valid here; another system or BagIt tool could not have it so."""
    UNCHECKED = "unchecked"
    """A manifest whose hash algorithm is not known here, beside one that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BagFinding:
    """One thing found."""

    fault: BagFault
    path: str
    """Relative to the bag, with `/`; `.` is the bag itself."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BagReport:
    """What an audit found; it says nothing of who wrote the bag."""

    folder: Path
    version: str
    """Of BagIt, as the bag declares it."""
    algorithms: tuple[str, ...]
    """By which payload files were compared."""
    read_method: str
    """How the bytes were read; `cached` may have come from memory instead of the device."""
    good_files: int
    """Files of any manifest that are as listed."""
    good_bytes: int
    findings: tuple[BagFinding, ...]

    def having(self, *faults: BagFault) -> tuple[BagFinding, ...]:
        """Return the findings of these kinds."""
        return tuple(finding for finding in self.findings if finding.fault in faults)

    @property
    def is_valid(self) -> bool:
        """Whether the bag is complete and every listed byte is as listed.

        Source: RFC 8493, 3 ("complete", "valid").
        """
        return len(self.having(BagFault.NOT_PORTABLE, BagFault.UNCHECKED)) == len(self.findings)

    def problem(self) -> ToolkitError | None:
        """Return the error this report amounts to, gravest first; unlisted files alone are none."""
        attempted = f"audit the bag {self.folder}"
        if damaged := self.having(BagFault.DAMAGED):
            return DigestError(
                attempted,
                found=_named(damaged),
                expected="the bytes that the bag's manifests list",
                hint="copy the bag again, or have it made again",
            )
        if invalid := self.having(BagFault.INVALID):
            return InputError(
                attempted,
                found=_named(invalid),
                expected="a bag by the rules of BagIt (RFC 8493)",
                hint="have the bag made again",
            )
        if unread := self.having(BagFault.UNREADABLE):
            return StorageError(
                attempted,
                found=_named(unread),
                hint="unplug the medium, plug it in again and audit again; else use another one",
            )
        if missing := self.having(BagFault.MISSING, BagFault.TO_FETCH):
            return StorageError(
                attempted,
                found=f"incomplete: {_named(missing)}",
                expected="every file that its manifests list",
                hint="copy the bag again; what is to be fetched, fetch.txt names with its address",
            )
        return None


def audit_bag(folder: Path, *, progress: Progress | None = None) -> BagReport:
    """Compare a bag with its own manifests: hashes only, whoever wrote it.

    Args:
        folder: The bag, or a folder with exactly one bag in it (the root of a medium).
        progress: Told of every chunk.

    Raises:
        StorageError: The folder cannot be read.
        InputError: Several bags in it: one has to be named.

    Source: RFC 8493.
    """
    progress = progress or Silent()
    folder = _find_bag(folder)
    with on_storage(f"audit the bag {folder}"):
        audit = _Audit(folder)
        audit.look()
    audit.read_rules()
    audit.compare(progress)
    audit.check_oxum()
    return BagReport(
        folder=folder,
        version="{}.{}".format(*audit.declared.version),
        algorithms=tuple(sorted({audit.algorithms[name] for name in audit.payload})),
        read_method=weakest(audit.methods).value,
        good_files=audit.good_files,
        good_bytes=audit.good_bytes,
        findings=tuple(sorted(audit.findings, key=lambda item: (item.path, item.fault))),
    )


def rule_findings(folder: Path, *, payload_sizes: Mapping[str, int]) -> tuple[BagFinding, ...]:
    """Return what is against the rules in the tag files of a bag; no payload file is looked at.

    Args:
        folder: The bag.
        payload_sizes: Path → size of every payload file as it ought to be.

    Raises:
        OSError: The folder cannot be read.

    Source: RFC 8493.
    """
    audit = _Audit(folder)
    audit.look()
    audit.sizes = {path: size for path, size in audit.sizes.items() if not _bag.is_payload(path)}
    audit.sizes |= payload_sizes
    audit.read_rules()
    audit.check_oxum()
    return tuple(audit.findings)


@dataclass
class _Audit:
    """One audit under way."""

    folder: Path
    findings: list[BagFinding] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    """Path → size of every regular file there."""
    declared: _bag.Declaration = field(
        default_factory=lambda: _bag.Declaration(version=(1, 0), encoding="utf-8")
    )
    payload: dict[str, dict[str, str]] = field(default_factory=dict)
    """File name of a manifest → path → digest."""
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    """The same for tag manifests."""
    algorithms: dict[str, str] = field(default_factory=dict)
    """File name of either kind → hash algorithm."""
    odd: dict[str, list[str]] = field(default_factory=dict)
    """File name of either kind → what another BagIt tool could stumble over in it."""
    to_fetch: set[str] = field(default_factory=set)
    stands_for: dict[str, str] = field(default_factory=dict)
    """Path as it is stored → as a manifest spells it."""
    methods: list[ReadMethod] = field(default_factory=list)
    good_files: int = 0
    good_bytes: int = 0

    def note(self, fault: BagFault, path: str, detail: str = "") -> None:
        self.findings.append(BagFinding(fault=fault, path=path, detail=detail))

    def look(self) -> None:
        """Find every file; links are never followed."""
        for path, found in walk(self.folder):
            relative = path.relative_to(self.folder).as_posix()
            if stat.S_ISREG(found.st_mode):
                self.sizes[relative] = found.st_size
            elif not is_folder(found):
                self.note(BagFault.INVALID, relative, "a link, pipe or device; it is not opened")

    def read_rules(self) -> None:
        """Read the tag files that BagIt knows."""
        try:
            self.declared = _bag.read_declaration(self._small(BAG_DECLARATION))
        except ValueError as error:
            self.note(BagFault.INVALID, BAG_DECLARATION, str(error))
        if not (self.folder / "data").is_dir():
            self.note(BagFault.INVALID, ".", "no folder data/")
        self._read_manifests()
        if _bag.FETCH in self.sizes:
            try:
                text = _bag.decode(self._small(_bag.FETCH), self.declared.encoding)
                self.to_fetch, faults = _bag.read_fetch(text, version=self.declared.version)
            except ValueError as error:
                faults = [str(error)]
            self._note_all(_bag.FETCH, faults)
        self._check_lists()

    def check_oxum(self) -> None:
        """Compare bag-info.txt with the payload, unless a file of it is wanting or too many anyway."""
        if _bag.INFO not in self.sizes or any(
            _bag.is_payload(item.path) and item.fault is not BagFault.NOT_PORTABLE
            for item in self.findings
        ):
            return
        try:
            text = _bag.decode(self._small(_bag.INFO), self.declared.encoding)
            fault = _bag.oxum_fault(text, [self.sizes[path] for path in self._payload_paths()])
        except ValueError as error:
            fault = str(error)
        self._note_all(_bag.INFO, [fault] if fault else [])

    def _read_manifests(self) -> None:
        unknown = []
        for name in sorted(self.sizes):
            is_tag = name.startswith("tag")
            written = _bag.manifest_algorithm(name, tag=is_tag)
            if written is None:
                continue
            algorithm = _bag.hash_name(written)
            if algorithm is None:
                unknown.append((name, f"the hash algorithm {written} is not known here"))
                continue
            version = self.declared.version
            try:
                text = _bag.decode(self._small(name), self.declared.encoding)
                entries, faults = _bag.read_entries(text, algorithm=algorithm, version=version)
                self.odd[name] = [] if faults else _bag.odd_spellings(text, version=version)
            except ValueError as error:
                entries, faults = {}, [str(error)]
            self._note_all(name, faults)
            (self.tags if is_tag else self.payload)[name] = entries
            self.algorithms[name] = algorithm
        if not self.payload and not unknown:
            self.note(BagFault.INVALID, ".", "no manifest of the payload")
        for name, detail in unknown:
            self.note(BagFault.UNCHECKED if self.payload else BagFault.INVALID, name, detail)

    def _check_lists(self) -> None:
        """Compare the manifests with each other and with the rules about what they may name."""
        for name, entries in self.payload.items():
            strays = [path for path in entries if not _bag.is_payload(path)]
            self._note_all(name, [f"names {path!r}, which is not below data/" for path in strays])
        manifests = {name for name in self.sizes if _bag.manifest_algorithm(name, tag=False)}
        for name, entries in self.tags.items():
            strays = [path for path in entries if _bag.is_beyond_tags(path)]
            self._note_all(name, [f"names {path!r}, which is no tag file" for path in strays])
            if self.declared.version >= (1, 0):
                lacking = sorted(manifests - entries.keys())
                self._note_all(name, [f"does not name {path}" for path in lacking])
        for name, entries in self.payload.items():
            strays = sorted(self.to_fetch - entries.keys())
            self._note_all(_bag.FETCH, [f"names {path!r}, which {name} lacks" for path in strays])

    def compare(self, progress: Progress) -> None:
        """Read every listed file once, and look for files that nobody listed."""
        wanted: dict[str, dict[str, str]] = {}
        for lists in (self.tags, self.payload):
            for name, entries in lists.items():
                for path, digest in entries.items():
                    wanted.setdefault(path, {})[name] = digest
        folded = {_fold(path): path for path in self.sizes}
        total = sum(self.sizes.get(path, 0) for path in wanted)
        progress.begin(f"audit {self.folder.name}", total_bytes=total)
        try:
            for path in sorted(wanted):
                self._compare(path, wanted[path], folded, progress)
        finally:
            progress.end()
        self._find_unlisted()
        self._check_names(wanted)

    def _find_unlisted(self) -> None:
        for path in sorted(self._payload_paths()):
            listed = self.stands_for.get(path, path)
            lacking = [name for name, entries in self.payload.items() if listed not in entries]
            if len(lacking) == len(self.payload):
                litter = is_litter_path(Path(path))
                detail = "left by an operating system" if litter else "in no manifest"
                self.note(BagFault.UNLISTED, path, detail)
            elif lacking and self.declared.version >= (1, 0):
                self.note(BagFault.UNLISTED, path, f"not in {lacking[0]}")

    def _compare(
        self, path: str, wanted: Mapping[str, str], folded: Mapping[str, str], progress: Progress
    ) -> None:
        stored = self._stored(path, folded)
        if stored is None:
            fault = BagFault.TO_FETCH if path in self.to_fetch else BagFault.MISSING
            near = folded.get(_fold(path))
            self.note(fault, path, f"but {near} is there, in another case" if near else "")
            return
        self.stands_for[stored] = path
        try:
            found, size = self._digests(stored, wanted, progress)
        except OSError as error:
            self.note(BagFault.UNREADABLE, path, system_says(error))
        else:
            differing = [name for name, digest in wanted.items() if found[name] != digest]
            for name in differing:
                detail = f"{self.algorithms[name]} {found[name]}, not {wanted[name]} as in {name}"
                self.note(BagFault.DAMAGED, path, detail)
            if not differing:
                self.good_files += 1
                self.good_bytes += size

    def _stored(self, path: str, folded: Mapping[str, str]) -> str | None:
        """Return under which name a listed file was found, or None; nothing else is ever opened."""
        near = folded.get(_fold(path))
        if path in self.sizes or near is None:
            return path if path in self.sizes else None
        if _compose(near) == _compose(path):
            self.note(BagFault.NOT_PORTABLE, path, "stored with its accents spelt otherwise")
            return near
        with contextlib.suppress(OSError):  # where case does not matter, both names are one file
            if (self.folder / near).samefile(self.folder / path):
                return near
        return None

    def _digests(
        self, path: str, manifests: Iterable[str], progress: Progress
    ) -> tuple[dict[str, str], int]:
        """Return the digest for each manifest, and the size, from one reading."""
        hashers = {
            name: hashlib.new(self.algorithms[name], usedforsecurity=False) for name in manifests
        }
        size = 0
        with DeviceReader(self.folder / path) as reader:
            for chunk in reader.chunks():
                for hasher in hashers.values():
                    hasher.update(chunk)
                size += len(chunk)
                progress.advance(len(chunk))
        self.methods.append(reader.method)
        return {name: hasher.hexdigest() for name, hasher in hashers.items()}, size

    def _check_names(self, wanted: Mapping[str, object]) -> None:
        """Name what another system, shell or BagIt tool could not keep, or not read."""
        for name, odd in self.odd.items():
            for detail in odd:
                self.note(BagFault.NOT_PORTABLE, name, detail)
        seen: dict[str, str] = {}
        for path in sorted(self._payload_paths() | {path for path in wanted if path in self.sizes}):
            try:
                check_path(path)
            except InputError as error:
                self.note(BagFault.NOT_PORTABLE, path, error.found or "")
            if is_litter_path(Path(path)):
                self.note(BagFault.NOT_PORTABLE, path, "operating systems make, change and hide it")
            folded = _fold(path)
            if folded in seen:
                detail = f"the same name as {seen[folded]} on Windows and macOS"
                self.note(BagFault.NOT_PORTABLE, path, detail)
            seen[folded] = path

    def _payload_paths(self) -> set[str]:
        return {path for path in self.sizes if _bag.is_payload(path)}

    def _note_all(self, path: str, faults: list[str]) -> None:
        for detail in faults:
            self.note(BagFault.INVALID, path, detail)

    def _small(self, name: str) -> bytes:
        """Return a tag file whole.

        Raises:
            ValueError: Not there, not to be read, or too large to be a tag file.
        """
        try:
            return read_small(self.folder / name, limit_bytes=_TAG_FILE_LIMIT_BYTES)
        except OSError as error:
            raise ValueError(f"not to be read ({system_says(error)})") from error
        except InputError as error:
            raise ValueError(f"larger than {_TAG_FILE_LIMIT_BYTES} bytes") from error


def _find_bag(folder: Path) -> Path:
    with on_storage(f"look for a bag in {folder}"):
        if (folder / BAG_DECLARATION).is_file():
            return folder
        # some litter may not be looked into
        inside = (item for item in folder.iterdir() if not is_litter(item.name))
        bags = sorted(item for item in inside if (item / BAG_DECLARATION).is_file())
    if len(bags) > 1:
        raise InputError(
            "choose a bag",
            file=str(folder),
            found=", ".join(bag.name for bag in bags),
            expected="one",
            hint=f"name the folder: {bags[-1]}",
        )
    return bags[0] if bags else folder


def _fold(path: str) -> str:
    """Return what Windows and macOS take for the same name."""
    return _compose(path).casefold()


def _compose(path: str) -> str:
    """Return a path with its accents in one piece: macOS takes them apart."""
    return unicodedata.normalize("NFC", path)


def _named(findings: tuple[BagFinding, ...]) -> str:
    return "; ".join(
        f"{item.path}: {item.detail}" if item.detail else item.path for item in findings[:5]
    )
