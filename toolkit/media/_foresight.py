"""What sites will make of a medium, told at home before it is written: by the signed sets that left before it.

A site remembers the newest time of issue and the newest root that it saw, and is never set back. What home keeps
of its sets (see `_home`) is the most that a site can have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Targets

from toolkit.errors import InputError, StorageError
from toolkit.media._device import on_storage
from toolkit.media._home import SETS
from toolkit.media._keys import ROOT, read_root
from toolkit.media._set import SET_PATH, TUF, SetPlan, read_small
from toolkit.media._spread import Signed
from toolkit.media._trust import OUTRUN


def foresee(home: Path, *, now: datetime | None = None) -> tuple[str, ...]:
    """Say which sets left with a time of issue that is still to come.

    Args:
        home: The catalog's folder.
        now: The time; the clock by default.

    Returns:
        A warning for each, and for each set that cannot be read.
    """
    return _known(home).warnings(now or datetime.now(UTC))


def foresee_supplement(home: Path, signed: Signed, *, now: datetime) -> tuple[str, ...]:
    """Say what `foresee` does, and whether keys that signed a set were replaced since.

    Args:
        home: The catalog's folder.
        signed: The set.
        now: The time.

    Raises:
        InputError: A newer root that home keeps is none.
        SignatureError: A newer root that home keeps was altered.
        StorageError: It cannot be read.
    """
    own = signed.plan
    known = _known(home)
    later = [
        left
        for left in known.sets
        if len(left.plan.roots) > len(own.roots) and left.plan.roots[: len(own.roots)] == own.roots
    ]
    warnings = known.warnings(now, but=own.set_id)
    newest = max(later, key=lambda left: len(left.plan.roots), default=None)
    if newest is None or _is_signed_under(newest.newest_root(), signed.metadata):
        return warnings
    number = len(newest.plan.roots)
    return (
        *warnings,
        f"{own.set_name} is signed under root {len(own.roots)}, and since {newest.plan.set_name} left "
        f"under root {number} its keys are replaced: a site that has seen root {number} refuses the set and this "
        "supplement; for such a site write the whole medium anew: ferry media write",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """One set that left, as home keeps it."""

    folder: Path
    plan: SetPlan

    def newest_root(self) -> bytes:
        path = self.folder / TUF / f"{len(self.plan.roots)}.root.json"
        with on_storage(f"read {path}"):
            return read_small(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    sets: tuple[_Left, ...]
    unreadable: tuple[str, ...]
    """A warning for each that is not among them."""

    def warnings(self, now: datetime, *, but: str = "") -> tuple[str, ...]:
        plans = (left.plan for left in self.sets if left.plan.set_id != but)
        return (*self.unreadable, *(_ahead(plan, now) for plan in plans if plan.issued_at > now))


def _known(home: Path) -> _Known:
    sets: list[_Left] = []
    unreadable: list[str] = []
    for folder in _folders(home):
        try:
            with on_storage(f"read what home keeps of a set in {folder}"):
                data = read_small(folder / SET_PATH)
            plan = SetPlan.from_bytes(data, file=str(folder / SET_PATH))
        except (StorageError, InputError) as error:
            unreadable.append(f"{error}; restore it from a backup of the catalog")
        else:
            sets.append(_Left(folder=folder, plan=plan))
    return _Known(sets=tuple(sets), unreadable=tuple(unreadable))


def _folders(home: Path) -> Iterator[Path]:
    for found in sorted((home / SETS).glob(f"*/{SET_PATH}")):
        folder = found.parents[2]
        if folder.suffix != ".part":  # of a process that was killed
            yield folder


def _ahead(plan: SetPlan, now: datetime) -> str:
    date = f"{plan.issued_at:%Y-%m-%d %H:%M} UTC"
    return (
        f"{plan.set_name} left with the time of issue {date}, which is still to come: by this machine's clock it is "
        f"{now:%Y-%m-%d %H:%M} UTC. If the clock is wrong, set it. If it is right, it was ahead then: a site that "
        f"accepted {plan.set_name} takes a medium for expired that is valid until before {date}, and for too old "
        f"if it carries anything else. Keep {plan.set_name} from other sites; for such a site wait, or {OUTRUN}"
    )


def _is_signed_under(root: bytes, metadata: Mapping[str, bytes]) -> bool:
    newest = read_root(root, file="the newest root that home keeps")
    for name, data in metadata.items():
        role = name.split(".")[-2]  # timestamp.json, 1793707200.targets.json
        if role == ROOT:
            continue
        signed = Metadata[Targets].from_bytes(data)
        try:
            newest.verify_delegate(role, signed.signed_bytes, signed.signatures)
        except RepositoryError:
            return False
    return True
