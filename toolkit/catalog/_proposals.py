"""What a refresh found, as values: proposals, changed texts, and the diff that shows them. Pure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from toolkit.model import SolutionVersion

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
"""A line with its end; `str.splitlines` would also cut where YAML does not."""


class ProposalKind(StrEnum):
    """What one proposal is about."""

    NEW = "new"
    """A version that has no manifest yet."""
    WITNESS = "witness"
    """The pinned hash, in a place where it was not seen before."""
    PIN = "pin"
    """A believable hash for a payload that has none pinned."""
    IMPOSSIBLE_HASH = "impossible-hash"
    """Published, but it cannot be right."""
    CHANGED_HASH = "changed-hash"
    """Another hash than the pinned one: a person decides."""
    DIFFERENCE = "difference"
    """Another date, OS build or address than ours: a person decides."""
    RECALL = "recall"
    """The vendor recalled the release."""
    VANISHED = "vanished"
    """Its row is gone and nothing says why."""
    RELEASE = "release"
    """A release that can only be had online, or was not known for certain."""
    UNREADABLE = "unreadable"
    """A row that cannot be understood, or says too little: a person reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One thing that was found, and what it means."""

    kind: ProposalKind
    version: SolutionVersion | None
    text: str
    source: str
    seen_on: date
    needs_decision: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """The proposed text of one file."""

    name: str
    """`12.2603.1002.15.yaml`, or `releases.yaml`."""
    version: SolutionVersion | None
    """None: the table of releases."""
    before: str
    """Empty: there is no such file yet."""
    after: str
    """With everything proposed."""
    safe: str
    """Without what a person must decide."""

    @property
    def diff(self) -> str:
        """The change as `git apply` and `patch -p1` take it."""
        name = f"manifests/{self.name}"
        lines = difflib.unified_diff(
            _LINE.findall(self.before),
            _LINE.findall(self.after),
            f"a/{name}" if self.before else "/dev/null",
            f"b/{name}",
        )
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in lines
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """Everything that was found."""

    sources: tuple[str, ...]
    rows_read: int
    proposals: tuple[Proposal, ...]
    changes: tuple[FileChange, ...]
    remarks: tuple[str, ...]
    """What is worth knowing and changes nothing."""
    written: tuple[str, ...] = ()
    """Files that were written, where that was asked for."""

    @property
    def needs_decision(self) -> bool:
        """Whether a person must decide something."""
        return any(proposal.needs_decision for proposal in self.proposals)

    @property
    def diff(self) -> str:
        """All changes as one unified diff; empty: nothing new."""
        return "".join(change.diff for change in self.changes)
