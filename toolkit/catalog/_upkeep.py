"""What lies in a catalog, and removing what nothing refers to any more."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from toolkit.catalog._held import by_shelf, select
from toolkit.catalog._holding import Holding
from toolkit.catalog._locks import InUseError
from toolkit.catalog._part import PART, PartFile
from toolkit.catalog._plans import PlannedPayload, plan_files, read_plan
from toolkit.catalog._records import ENDING, Record
from toolkit.catalog._storage import free_bytes, listed, remove_file, storage
from toolkit.catalog._store import UNPACKED, Store
from toolkit.errors import InputError
from toolkit.filesystem import DRAFT
from toolkit.model import HeldPayload, Progress, Sha256

# --- status -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelvedPayload:
    """One held payload, and how it stands on its shelf."""

    held: HeldPayload
    is_there: bool
    """Whether its bytes are there in full length."""
    is_linked: bool
    """Whether its name on the shelf is a hard link to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedFile:
    """A download that has not ended, or what a killed process left of a copy."""

    path: Path
    size_bytes: int
    total_bytes: int | None
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPlan:
    """A plan in the catalog, and how many files it keeps from being pruned."""

    name: str
    payload_count: int
    problem: str = ""
    """Why it cannot be understood; nothing can be pruned before that is settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogStatus:
    """What lies in a catalog. Nothing was hashed."""

    root: Path
    payloads: tuple[ShelvedPayload, ...]
    earlier: tuple[str, ...]
    """Recorded by an earlier ferry: held again after the next download, which fetches nothing."""
    problems: tuple[str, ...]
    """Records that cannot be understood."""
    unfinished: tuple[UnfinishedFile, ...]
    unreferenced: tuple[Path, ...]
    """Bytes that no record refers to."""
    quarantined: tuple[Path, ...]
    plans: tuple[KeptPlan, ...]
    object_bytes: int
    quarantine_bytes: int
    unfinished_bytes: int
    free_bytes: int | None
    """None where the file system does not tell."""

    @property
    def has_links(self) -> bool:
        """Whether every held payload has its name on its shelf."""
        return all(item.is_linked for item in self.payloads)


def catalog_status(holding: Holding) -> CatalogStatus:
    """Say what lies in a catalog.

    Arguments and errors: `Catalog.status`.
    """
    store = holding.store
    records, earlier, problems = store.understood()
    with storage(f"read catalog {store.root}"):
        objects = {path: facts.st_size for path, facts in _objects(store)}
        quarantined = {path: facts.st_size for path, facts in _quarantined(store)}
        unfinished = tuple(_unfinished(store))
        free = free_bytes(store.root)
    referred = {record.held.path for record in records}
    return CatalogStatus(
        root=store.root,
        payloads=tuple(
            ShelvedPayload(
                held=record.held,
                is_there=objects.get(record.held.path) == record.held.size_bytes,
                is_linked=store.is_shown(record.held.shelf, record.held.name, record.held.sha256),
            )
            for record in sorted(records, key=lambda record: by_shelf(record.held))
        ),
        earlier=tuple(
            path.relative_to(store.root).as_posix().removesuffix(ENDING) for path in earlier
        ),
        problems=tuple(map(str, problems)),
        unfinished=unfinished,
        unreferenced=tuple(sorted(objects.keys() - referred)),
        quarantined=tuple(sorted(quarantined)),
        plans=tuple(_kept(path) for path in plan_files(store.plans)),
        object_bytes=sum(objects.values()),
        quarantine_bytes=sum(quarantined.values()),
        unfinished_bytes=sum(item.size_bytes for item in unfinished),
        free_bytes=free,
    )


def _kept(path: Path) -> KeptPlan:
    try:
        return KeptPlan(name=path.stem, payload_count=len(read_plan(path)))
    except InputError as error:
        return KeptPlan(name=path.stem, payload_count=0, problem=str(error))


# --- prune --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedFile:
    """One file that was removed, or would be."""

    path: Path
    size_bytes: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """What was removed, and what was asked for but is needed."""

    removed: tuple[PrunedFile, ...]
    kept: tuple[str, ...]
    """Why something stays that was named."""
    is_dry_run: bool

    @property
    def freed_bytes(self) -> int:
        """How much room that makes."""
        return sum(item.size_bytes for item in self.removed)


def prune(
    holding: Holding,
    *,
    versions: Sequence[str] = (),
    older_than: timedelta,
    plans_older_than: timedelta | None = None,
    with_quarantine: bool = False,
    is_dry_run: bool = False,
    progress: Progress,
) -> Pruning:
    """Remove what nothing refers to: bytes without a record, abandoned downloads and copies.

    Arguments and errors: `Catalog.prune`.
    """
    store = holding.store
    before = holding.now() - older_than
    asked = select(holding.store, versions) if versions else ()
    named = {(record.held.shelf, record.held.name) for record in asked}
    with storage(f"read catalog {store.root}"):
        unfinished = [item.path for item in _unfinished(store, before)]
    shelves = set(store.shelves())
    idle = {_place(store, path) for path in unfinished if path.parent not in shelves}
    abandoned = {_place(store, path) for path in unfinished} - idle
    with contextlib.ExitStack() as stack:
        for place in sorted(named | abandoned):
            try:
                if not is_dry_run:
                    attempted = f"remove {place[1]}"
                    work = store.working_on(*place, attempted=attempted, progress=progress)
                    stack.enter_context(work)
            except InUseError:
                if place in named:
                    raise
            else:
                idle.add(place)
        if not is_dry_run:
            stack.enter_context(store.changing(progress))
            asked = select(holding.store, versions) if versions else ()
        plans = plan_files(store.plans)
        outdated = list(_outdated(plans, holding.now(), plans_older_than))
        going = {item.path for item in outdated}
        planned = [item for path in plans if path not in going for item in _read_plan(path)]
        needed_by = [(record, _needs(planned, record.held)) for record in asked]
        doomed = [record for record, plan in needed_by if not plan]
        with storage(f"write catalog {store.root}"):
            removed = (
                *outdated,
                *_condemned(
                    store,
                    doomed,
                    planned,
                    idle,
                    before=before,
                    with_quarantine=with_quarantine,
                ),
            )
        if not is_dry_run:
            for record in doomed:
                store.forget(record)
            with storage(f"write catalog {store.root}"):
                emptied = [path for path, facts in _scratch(store) if _age(facts) < before]
                for item in removed:
                    remove_file(item.path)
                    if item.path.suffix == PART:
                        _part_file(item.path).remove()
                for folder in emptied:
                    with contextlib.suppress(OSError):  # younger files are in it
                        folder.rmdir()
    return Pruning(
        removed=removed,
        kept=tuple(
            f"{record.held.shelf}/{record.held.name}: the plan {plan} needs it"
            for record, plan in needed_by
            if plan
        ),
        is_dry_run=is_dry_run,
    )


def _outdated(
    plans: Iterable[Path], now: datetime, older_than: timedelta | None
) -> Iterator[PrunedFile]:
    """Find the plans that a person has given up by their age; they keep nothing any more."""
    if older_than is not None:
        for path, facts in _looked_at(plans):
            if _age(facts) < now - older_than:
                why = f"a plan of {_age(facts):%Y-%m-%d}"
                yield PrunedFile(path=path, size_bytes=facts.st_size, why=why)


def _read_plan(path: Path) -> tuple[PlannedPayload, ...]:
    try:
        return read_plan(path)
    except InputError as error:
        raise InputError(
            "find out what must stay for the plans in the catalog",
            found=str(error),
            hint=f"nothing was removed; plan that trip again, or delete {path} if nobody needs it",
        ) from error


def _needs(planned: Sequence[PlannedPayload], held: HeldPayload) -> str:
    """Return a plan that needs a payload, or nothing."""
    for item in planned:
        is_named = (item.shelf.casefold(), item.name.casefold()) == (
            held.shelf.casefold(),
            held.name.casefold(),
        )
        if is_named or item.sha256 == held.sha256:
            return item.plan
    return ""


def _condemned(
    store: Store,
    doomed: Sequence[Record],
    planned: Sequence[PlannedPayload],
    idle: Set[tuple[str, str]],
    *,
    before: datetime,
    with_quarantine: bool,
) -> Iterator[PrunedFile]:
    staying = [record for record in store.records() if record not in doomed]
    needed: set[Sha256 | None] = {record.held.sha256 for record in staying}
    needed |= {item.sha256 for item in planned}
    unwanted = {record.held.sha256 for record in doomed}
    for path, facts in _objects(store):
        if path.name in needed:
            continue
        if path.name in unwanted:
            yield PrunedFile(path=path, size_bytes=facts.st_size, why="asked for by --version")
        elif _age(facts) < before:
            yield PrunedFile(path=path, size_bytes=facts.st_size, why="no record refers to it")
    names = {f"{item.shelf}/{item.name}".casefold() for item in planned}
    for item in _unfinished(store, before):
        place = _place(store, item.path)
        if place in idle and "/".join(place).casefold() not in names:
            why = f"nothing written since {item.modified_at:%Y-%m-%d}"
            yield PrunedFile(path=item.path, size_bytes=item.size_bytes, why=why)
    if with_quarantine:
        for path, facts in _quarantined(store):
            if _age(facts) < before:
                yield PrunedFile(path=path, size_bytes=facts.st_size, why="in quarantine")


# --- walking ------------------------------------------------------------------------------------


_Found = Iterator[tuple[Path, os.stat_result]]


def _objects(store: Store) -> _Found:
    folders = (path for path in listed(store.objects) if path.match("[0-9a-f][0-9a-f]"))
    for path, facts in _looked_at(path for folder in folders for path in listed(folder)):
        if len(path.name) == len("00" * 32) and path.name.startswith(path.parent.name):
            yield path, facts


def _quarantined(store: Store) -> _Found:
    return _looked_at(
        path for path in listed(store.quarantine) if path.suffix not in (".txt", DRAFT)
    )


def _scratch(store: Store) -> _Found:
    return _looked_at(path for path in listed(store.root) if path.name.startswith(UNPACKED))


def _unfinished(store: Store, before: datetime | None = None) -> Iterator[UnfinishedFile]:
    """Find what was begun and not ended, or as much of it as was last written before a time."""
    shelved = [path for folder in store.shelves() for path in listed(folder)]
    beside = [
        path for folder in (store.root, store.plans, store.quarantine) for path in listed(folder)
    ]
    parts = [path for path in shelved if path.suffix == PART]
    drafts = [path for path in (*shelved, *beside) if path.suffix == DRAFT]
    unpacked = [path for folder, _ in _scratch(store) for path in listed(folder)]
    for path, facts in _looked_at(parts + drafts + unpacked):
        if before is None or _age(facts) < before:
            known = _part_file(path).known() if path.suffix == PART else None
            yield UnfinishedFile(
                path=path,
                size_bytes=facts.st_size,
                total_bytes=known.total_bytes if known else None,
                modified_at=_age(facts),
            )


def _looked_at(paths: Iterable[Path]) -> _Found:
    """Skip what is gone by now: others work here as well."""
    for path in paths:
        try:
            yield path, path.stat()
        except FileNotFoundError:
            continue


def _part_file(path: Path) -> PartFile:
    return PartFile(path.with_suffix(""))


def _place(store: Store, path: Path) -> tuple[str, str]:
    """Return shelf and name of the payload that an unfinished file belongs to."""
    return path.parent.relative_to(store.root).as_posix(), path.stem.partition(ENDING)[0]


def _age(facts: os.stat_result) -> datetime:
    """Return when a file came here: a linked file keeps its own, older time."""
    return datetime.fromtimestamp(max(facts.st_mtime, facts.st_ctime), UTC)
