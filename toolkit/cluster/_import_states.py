"""The states of an import, what is done in each, and how long a loss is borne. Pure.

====================  =============================================  ====================================
state                 found by                                       what is done
====================  =============================================  ====================================
COPYING               a file is not there under its final name       copy it, going on from what stands there
COPIED                it is there, and not proven by this run        the node hashes it
VERIFIED              all files proven, nothing of them expanded     expand beside, compare, move
READY                 what is added stands there, proven             `Add-SolutionUpdate`, once
SUBMITTED             the journal or a record knows of a submission  ask the cluster until it shows it
====================  =============================================  ====================================

The state is found anew from what stands on the share before each act; nothing is remembered over a loss but
which unchanged files this run has proven. So every act may be cut off anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from toolkit.cluster._share_records import MAY_BE_ADDED, Outcome


class ImportState(Enum):
    """Where an import stands."""

    COPYING = auto()
    COPIED = auto()
    VERIFIED = auto()
    READY = auto()
    SUBMITTED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStands:
    """What was found of one file."""

    is_whole: bool
    is_proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stands:
    """What was found of one delivery: of a solution bundle, or of an SBE."""

    submission: Outcome | None
    """The last that the journal or a record knows of it."""
    files: tuple[FileStands, ...]
    is_archive: bool
    """What is added is what is in the file, not the files themselves."""
    is_expanded: bool
    """It stands there, by a record and by names and lengths, and its node is up since; not asked once it was submitted."""


def state_of(stands: Stands) -> ImportState:
    """Return the state in which an import is."""
    if stands.submission in MAY_BE_ADDED:
        return ImportState.SUBMITTED
    if stands.is_archive and stands.is_expanded:
        return ImportState.READY
    for file in stands.files:
        if not file.is_whole:
            return ImportState.COPYING
        if not file.is_proven:
            return ImportState.COPIED
    return ImportState.VERIFIED if stands.is_archive else ImportState.READY


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How often one state is tried again without anything getting further."""

    tries: int | None = None
    """None: as long as patience lasts."""
    first_pause_s: float = 1
    most_pause_s: float = 60


BUDGETS: Mapping[ImportState, Budget] = {
    ImportState.COPYING: Budget(),
    ImportState.COPIED: Budget(tries=5),
    ImportState.VERIFIED: Budget(tries=5),
    ImportState.READY: Budget(),
    ImportState.SUBMITTED: Budget(),
}
"""Hashing and expanding take long and begin anew each time; what is sent goes on where it stopped."""


@dataclass(slots=True, kw_only=True)
class Patience:
    """How long losses of the line are borne: counted from the first one after something got further."""

    patience_s: float
    _since: float | None = None
    _losses: int = 0

    @property
    def has_lost_again(self) -> bool:
        """Whether more than one loss came without anything getting further."""
        return self._losses > 1

    def moved(self) -> None:
        """Forget what was lost: something got further."""
        self._since, self._losses = None, 0

    def lost(self, state: ImportState, now: float) -> float | None:
        """Count a loss; return the pause before the next try, or None: it is enough."""
        budget = BUDGETS[state]
        self._since = now if self._since is None else self._since
        self._losses += 1
        if now - self._since >= self.patience_s or (
            budget.tries is not None and self._losses > budget.tries
        ):
            return None
        return min(budget.first_pause_s * 2.0 ** (self._losses - 1), budget.most_pause_s)
