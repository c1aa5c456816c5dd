"""What an inspection finds: problems by kind and member, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_NAMED = 20
"""So many members are named for one kind of problem; the others are counted."""
_NAME_LIMIT = 300
"""A member's name may have 64 KiB; a report shows its two ends."""


class ZipProblem(StrEnum):
    """What can be wrong with an archive."""

    NOT_A_ZIP = "not-a-zip"
    TRUNCATED = "truncated"
    TRAILING_BYTES = "trailing-bytes"
    AMBIGUOUS_END = "ambiguous-end"
    MULTI_DISK = "multi-disk"
    OVER_LIMIT = "over-limit"
    """More than this program reads; says which limit."""
    MISPLACED_DIRECTORY = "misplaced-directory"
    DAMAGED_DIRECTORY = "damaged-directory"
    DAMAGED_MEMBER = "damaged-member"
    DISAGREEMENT = "disagreement"
    """The archive says two things about one member, and programs differ in which one they believe."""
    OVERLAP = "overlap"
    BOMB = "bomb"
    ENCRYPTED = "encrypted"
    METHOD = "method"
    DUPLICATE = "duplicate"
    COLLISION = "collision"
    TRAVERSAL = "traversal"
    ABSOLUTE = "absolute"
    STREAM = "stream"
    DEVICE = "device"
    CHARACTER = "character"
    TRAILING_DOT = "trailing-dot"
    NAME_TOO_LONG = "name-too-long"
    LINK = "link"
    SPECIAL = "special"
    NO_METADATA = "no-metadata"
    BAD_METADATA = "bad-metadata"
    OTHER_VERSION = "other-version"
    LONG_PATH = "long-path"
    BACKSLASH = "backslash"
    ODD_PATH = "odd-path"
    UNCLAIMED_BYTES = "unclaimed-bytes"
    UNCHECKED = "unchecked"
    MISSING_MEMBER = "missing-member"
    UNVERSIONED = "unversioned"

    @property
    def is_fault(self) -> bool:
        """Whether it condemns the archive; the others are doubts, which an honest vendor's file may have."""
        return self not in _DOUBTS


_DOUBTS = frozenset(
    {
        ZipProblem.LONG_PATH,  # one was published, and installs where long paths are switched on
        ZipProblem.BACKSLASH,  # what .NET wrote for years; Windows unpacks it well
        ZipProblem.ODD_PATH,
        ZipProblem.UNCLAIMED_BYTES,
        ZipProblem.UNCHECKED,
        ZipProblem.MISSING_MEMBER,  # the layout of a published bundle is not documented
        ZipProblem.UNVERSIONED,  # nor is the schema of its metadata
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipFinding:
    """One thing that is wrong with an archive, or doubtful."""

    kind: ZipProblem
    is_fault: bool
    member: str
    """Its name as the archive spells it, `outer.zip: inner` inside a nested one; empty: the archive."""
    text: str

    def __str__(self) -> str:
        """Return the sentence, with the member it is about."""
        return f"{self.member}: {self.text}" if self.member else self.text


class Findings:
    """Collects problems, in bounded memory however many there are."""

    def __init__(self) -> None:
        """Begin with none."""
        self._prefix = ""
        self._found: dict[ZipProblem, list[ZipFinding]] = {}
        self._more: dict[ZipProblem, int] = {}

    def within(self, member: str) -> Findings:
        """Return a collector for what is inside a nested archive; both collect into one place."""
        inner = Findings()
        inner._prefix = f"{self._prefix}{shortened(member)}: "
        inner._found, inner._more = self._found, self._more
        return inner

    def note(self, kind: ZipProblem, text: str, member: str = "") -> None:
        """Keep one problem; past the first few of a kind only their number."""
        named = self._found.setdefault(kind, [])
        if len(named) == _NAMED:
            self._more[kind] = self._more.get(kind, 0) + 1
            return
        where = (self._prefix + shortened(member)).removesuffix(": ")
        named.append(ZipFinding(kind=kind, is_fault=kind.is_fault, member=where, text=text))

    def has(self, *kinds: ZipProblem) -> bool:
        """Whether a problem of one of these kinds was found."""
        return any(kind in self._found for kind in kinds)

    def collected(self) -> tuple[ZipFinding, ...]:
        """Return everything, faults first, by kind in the order in which they were met."""
        found = []
        for kind in sorted(ZipProblem, key=lambda kind: not kind.is_fault):
            found += self._found.get(kind, [])
            if kind in self._more:
                text = f"{self._more[kind]} more members have the same: {kind.value}"
                found.append(ZipFinding(kind=kind, is_fault=kind.is_fault, member="", text=text))
        return tuple(found)


def shortened(name: str) -> str:
    """Return a name that fits into a report."""
    if len(name) <= _NAME_LIMIT:
        return name
    half = _NAME_LIMIT // 2
    return f"{name[:half]}…{name[-half:]}"
