"""What a complete reading of a set found, as values."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from toolkit.errors import DigestError, StorageError, ToolkitError
from toolkit.media._names import medium_label
from toolkit.media._set import COMPLETE, SET_PATH


def writing_command(*, is_supplement: bool) -> str:
    """Return the command that writes such a medium, as a hint names it."""
    return f"`ferry media {'supplement' if is_supplement else 'write'}`"


def write_anew(*, is_supplement: bool) -> str:
    """Return what to do about a medium that was complete; writing does not go on with one."""
    command = writing_command(is_supplement=is_supplement)
    return f"have it written anew: `ferry media erase`, then the same {command}"


FINISH_HERE = (
    "prove every byte of it here: ferry media repair PATH --scratch DIR, then import from both"
)
"""What else helps where nothing but `complete.json` is missing or bad."""


class Verdict(StrEnum):
    """What was found of one file."""

    OK = "ok"
    MISSING = "missing"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"
    LITTER = "litter"
    """Left by an operating system, or a half file among receipts by a killed process; harmless."""
    FOREIGN = "foreign"
    """Nobody listed it; it is never read."""


BAD = (Verdict.DAMAGED, Verdict.UNREADABLE, Verdict.MISSING)
"""What is listed and not good, gravest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One block that differs from its signed hash; the last byte is included."""

    block: int
    first_byte: int
    last_byte: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """The verdict on one file of a set."""

    path: str
    verdict: Verdict
    detail: str = ""
    damage: tuple[Damage, ...] = ()
    """Damaged blocks of 64 MiB, where block hashes were signed."""
    has_parity: bool = False
    """Whether parity to repair it with lies on the medium; false where no file is left to repair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumReport:
    """What a complete reading of a set found."""

    set_name: str
    set_id: str
    medium: int
    """Number of this medium in the set, from 1; 0: a supplement."""
    media_count: int
    expires_at: datetime
    read_method: str
    """How the bytes were read; `cached` may have come from memory instead of the device."""
    files: tuple[FileReport, ...]
    warnings: tuple[str, ...] = ()
    read_bytes_per_s: int | None = None
    """The mean over the files that are good; None: too little was read to tell."""
    supplement: tuple[str, ...] = ()
    """Of a supplement, the paths of the pieces that it carries."""

    @property
    def label(self) -> str:
        """What is printed on the medium: `AZL-2611-K7Q2 2/3`."""
        return medium_label(self.set_name, self.medium, self.media_count)

    def having(self, *verdicts: Verdict) -> tuple[FileReport, ...]:
        """Return the files with one of these verdicts."""
        return tuple(file for file in self.files if file.verdict in verdicts)

    @property
    def is_complete(self) -> bool:
        """Whether no listed file is missing."""
        return not self.having(Verdict.MISSING)

    def problem(self, *, made_good: Collection[str] = ()) -> ToolkitError | None:
        """Return the error this report amounts to, gravest first, or None when the set is good.

        Damaged bytes cannot be proven (DigestError), missing or unreadable ones are the medium's
        fault (StorageError); so is a `complete.json` that does not say what was signed: it proves
        nothing, and counts as one that is missing. Foreign files and litter are no error: see `is_tidy`.

        Args:
            made_good: Paths that count as good, because they were proven elsewhere.
        """
        attempted = f"verify the medium {self.label}"
        anew = write_anew(is_supplement=bool(self.supplement))

        def bad(verdict: Verdict) -> tuple[FileReport, ...]:
            return tuple(file for file in self.having(verdict) if file.path not in made_good)

        damaged = bad(Verdict.DAMAGED)
        if damaged and {file.path for file in damaged} != {COMPLETE}:
            return DigestError(
                attempted,
                found="; ".join(f"{file.path}: {file.detail}" for file in damaged[:5]),
                expected="the signed bytes",
                hint=_remedy(tuple(file for file in damaged if file.path != COMPLETE))
                or f"do not import from it; {anew}; or have only what is bad written: `ferry media request`",
            )
        if unread := bad(Verdict.UNREADABLE):
            again = "unplug it, plug it in again and verify again; else "
            other = "use another medium, or ask home for what is bad: ferry media request"
            pieces = tuple(file for file in unread if file.path != COMPLETE)
            if not pieces:
                other = self._how_to_get({COMPLETE})
            return StorageError(
                attempted,
                found="; ".join(f"{file.path}: {file.detail}" for file in unread[:5]),
                hint=(_remedy(pieces) if pieces else None) or again + other,
            )
        missing = bad(Verdict.MISSING)
        if lacking := (*damaged, *missing):
            found = [f"{file.path} {file.detail}" for file in damaged]
            found += ["missing " + ", ".join(file.path for file in missing[:5])] if missing else []
            return StorageError(
                attempted,
                found=f"incomplete, {'; '.join(found)}",
                hint=self._how_to_get({file.path for file in lacking}),
            )
        return None

    def _how_to_get(self, missing: set[str]) -> str:
        """Return what to do about files that are not there."""
        is_one = bool(self.supplement)
        if COMPLETE in missing:
            hint = f"have the writing finished: the same {writing_command(is_supplement=is_one)} goes on"
            return f"{hint}; or {FINISH_HERE}" if missing == {COMPLETE} else hint
        hint = f"it was complete once; {write_anew(is_supplement=is_one)}, or copy it again"
        if any(path.startswith("data/") and path != SET_PATH for path in missing):
            hint += "; or have only what is missing written: `ferry media request`"
        return hint

    def is_tidy(self, *, strict: bool = False) -> bool:
        """Whether nothing lies in the set folder that does not belong there."""
        unwanted = (Verdict.FOREIGN, Verdict.LITTER) if strict else (Verdict.FOREIGN,)
        return not self.having(*unwanted)


def _remedy(files: tuple[FileReport, ...]) -> str | None:
    """Return the way that parity opens, where all of it can be tried."""
    if not all(file.has_parity for file in files):
        return None
    return "parity is on the medium: ferry media repair PATH --scratch DIR, then import from both"
