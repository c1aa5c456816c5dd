"""What is inside a zip archive, before anything travels: damage and danger, named by member.

::

    report = inspect_zip(Path("CombinedSolutionBundle.12.2603.1002.15.zip"))
    for finding in report.faults:
        print(finding)

A *fault* condemns the archive: it is damaged, dangerous, or not what its name says. A *doubt* is something
that an honest vendor's file may have and that somebody should know. Two choices follow from that:

* A path beyond 259 characters is a doubt. The nodes' setting decides whether it can be unpacked, a vendor
  published one, and refusing the only file there is would help nobody. A name that no Windows can hold is a
  fault.
* A bundle without `SolutionUpdate.xml` in any folder is a fault: every published update has it, and without
  it no cluster sees an update. The two payload archives are documented for an update package, but the layout
  of a published bundle is not; if they are missing that is a doubt.

`_directory` reads where the members are said to be, `_survey` and `_names` judge what it says, `_data` reads
every byte once, `_expects` knows what an update must hold.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from toolkit.catalog._inside._data import BUFFER_BYTES, WholeMember, content, read_members
from toolkit.catalog._inside._directory import Directory, FileSource, TailSource, read_directory
from toolkit.catalog._inside._expects import (
    METADATA,
    XML_LIMIT_BYTES,
    Expects,
    ZipKind,
    stated_versions,
)
from toolkit.catalog._inside._report import Findings, ZipFinding, ZipProblem, shortened
from toolkit.catalog._inside._survey import Survey, survey
from toolkit.catalog._storage import storage
from toolkit.errors import InputError
from toolkit.filesystem import open_regular
from toolkit.model import Progress, Silent, SolutionVersion

__all__ = [
    "Expects",
    "ZipFinding",
    "ZipKind",
    "ZipProblem",
    "ZipReport",
    "inspect_zip",
    "members_at_end",
]

_VERSIONS_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipReport:
    """What is inside an archive."""

    name: str
    kind: ZipKind
    size_bytes: int
    is_deep: bool
    """Whether the members' bytes were read, not only the directory."""
    members: int
    unfolds_to_bytes: int
    unchecked: int
    """Members whose bytes were not checked: after a quick look all of them."""
    longest_path: str
    """On a cluster, documented archives inside this one included; empty if it is not expanded there."""
    stated_versions: tuple[str, ...]
    """What its metadata say, the first few."""
    findings: tuple[ZipFinding, ...]
    """Faults first."""

    @property
    def faults(self) -> tuple[ZipFinding, ...]:
        """What condemns it."""
        return tuple(finding for finding in self.findings if finding.is_fault)

    @property
    def is_whole(self) -> bool:
        """Whether every byte of every member was found right, and no fault around them."""
        return self.is_deep and not self.unchecked and not self.faults


def members_at_end(tail: bytes, size_bytes: int) -> dict[str, int] | None:
    """Return the files of an archive that went by, as they are called on Windows, in lower case.

    Args:
        tail: The end of the archive, with its directory.
        size_bytes: Length of the whole archive.

    Returns:
        Name below the archive's root and length of each file; None if its directory cannot be read there.
    """
    findings = Findings()
    directory = read_directory(TailSource(tail, size_bytes), findings)
    if directory is None or findings.collected():
        return None
    return {
        entry.name.replace("/", "\\").lower(): entry.size_bytes
        for entry in directory
        if not entry.is_folder
    }


def inspect_zip(
    path: Path,
    *,
    expects: Expects | None = None,
    is_deep: bool = True,
    progress: Progress | None = None,
) -> ZipReport:
    """Look into an archive; whatever its bytes are, the answer is a report.

    Args:
        path: The archive.
        expects: What it should be; None: what its name says.
        is_deep: Read every member once. Otherwise only the directory is read: names, sizes, places.
        progress: Told of compressed bytes.

    Raises:
        InputError: It is a pipe or a device.
        StorageError: The file cannot be read.
    """
    with (
        storage(f"read {path}"),
        open_regular(path) as raw,
        io.BufferedReader(raw, BUFFER_BYTES) as file,
    ):
        looking = _Inspection(file, expects or Expects.of(path.name))
        looking.look(f"check {path.name}", is_deep=is_deep, progress=progress or Silent())
    return looking.report(path.name)


class _Inspection:
    """One look into one archive."""

    def __init__(self, file: io.BufferedIOBase, expects: Expects) -> None:
        self._file, self._expects = file, expects
        self._size_bytes = file.seek(0, io.SEEK_END)
        self._findings = Findings()
        self._survey = Survey()
        self._members = self._whole = 0
        self._is_deep = False
        self._versions: tuple[str, ...] = ()

    def look(self, what: str, *, is_deep: bool, progress: Progress) -> None:
        """Read the directory, then the members, unless the directory speaks against reading them."""
        directory = read_directory(FileSource(self._file, 0, self._size_bytes), self._findings)
        if directory is None:
            return
        self._members = len(directory)
        self._survey = survey(
            directory,
            self._size_bytes,
            self._findings,
            root=self._expects.root,
            documented=self._expects.documented,
        )
        for title in self._expects.documented.keys() - self._survey.documented.keys():
            kind = ZipProblem.NO_METADATA if title == METADATA else ZipProblem.MISSING_MEMBER
            self._findings.note(kind, f"no folder of it holds {title}, which belongs to an update")
        self._is_deep = is_deep and not self._findings.has(ZipProblem.BOMB, ZipProblem.OVERLAP)
        if self._is_deep:
            progress.begin(what, total_bytes=self._survey.packed_bytes)
            try:
                self._read(directory, progress)
            finally:
                progress.end()

    def report(self, name: str) -> ZipReport:
        """Return what was found."""
        return ZipReport(
            name=name,
            kind=self._expects.kind,
            size_bytes=self._size_bytes,
            is_deep=self._is_deep,
            members=self._members,
            unfolds_to_bytes=self._survey.unfolds_to_bytes,
            unchecked=self._members - self._whole,
            longest_path=self._survey.longest_path,
            stated_versions=self._versions,
            findings=self._findings.collected(),
        )

    def _read(self, directory: Directory, progress: Progress) -> None:
        order = self._survey.order
        for member in read_members(self._file, directory, order, self._findings, progress):
            self._whole += 1
            name = member.entry.name
            if name == self._survey.documented.get(METADATA):
                self._read_metadata(member)
            root = self._expects.root_within(name.replace("\\", "/").rpartition("/")[2])
            if root is not None:
                self._look_within(member, root)

    def _look_within(self, member: WholeMember, root: str) -> None:
        """Judge the names of a documented archive inside this one; its bytes are right already."""
        findings = self._findings.within(member.entry.name)
        directory = read_directory(member.data, findings)
        if directory is not None:
            size_bytes = member.data.size_bytes
            inner = survey(
                directory, size_bytes, findings, root=root, documented={}, is_nested=True
            )
            longest = max(self._survey.longest_path, inner.longest_path, key=len)
            self._survey.longest_path = longest

    def _read_metadata(self, member: WholeMember) -> None:
        """Compare the version that the metadata state with the one in the archive's name."""
        name, expected = member.entry.name, self._expects.version
        try:
            versions = stated_versions(content(member, XML_LIMIT_BYTES))
        except (ValueError, InputError) as error:
            why = error.found if isinstance(error, InputError) else error
            text = f"it cannot be read as the metadata of an update: {why}"
            self._findings.note(ZipProblem.BAD_METADATA, text, name)
            return
        self._versions = tuple(map(shortened, versions[:_VERSIONS_SHOWN]))
        if not versions:
            text = "it states no version where one is expected: compare it by eye"
            self._findings.note(ZipProblem.UNVERSIONED, text, name)
        elif expected and expected not in map(_plain, versions):
            shown = ", ".join(self._versions)
            text = f"it states {shown}, the archive's name says {expected}: another release's file"
            self._findings.note(ZipProblem.OTHER_VERSION, text, name)


def _plain(version: str) -> str:
    try:
        return str(SolutionVersion.parse(version))
    except ValueError:
        return version
