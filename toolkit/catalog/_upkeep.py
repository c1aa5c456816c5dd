"""What lies in a catalog, and removing what nothing refers to any more."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from toolkit.catalog._held import by_shelf, select
from toolkit.catalog._holding import Holding
from toolkit.catalog._part import PartFile
from toolkit.catalog._plans import PlannedPayload, plan_files, read_plan
from toolkit.catalog._records import Record, read_record
from toolkit.catalog._storage import free_bytes, remove_file, storage
from toolkit.catalog._store import UNPACKED, Store, is_shelf
from toolkit.errors import InputError
from toolkit.model import HeldPayload, Progress, Sha256

_PART, _DRAFT = ".part", ".tmp"


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
    records, earlier, problems = _all_records(store)
    with storage(f"read catalog {store.root}"):
        objects = {path: path.stat().st_size for path in _objects(store)}
        jailed = {path: path.stat().st_size for path in _jailed(store)}
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
        earlier=earlier,
        problems=problems,
        unfinished=unfinished,
        unreferenced=tuple(sorted(objects.keys() - referred)),
        quarantined=tuple(sorted(jailed)),
        plans=tuple(_kept(path) for path in plan_files(store.plans)),
        object_bytes=sum(objects.values()),
        quarantine_bytes=sum(jailed.values()),
        unfinished_bytes=sum(item.size_bytes for item in unfinished),
        free_bytes=free,
    )


def _all_records(store: Store) -> tuple[list[Record], tuple[str, ...], tuple[str, ...]]:
    """Return the records, those of an earlier ferry, and what is wrong with the others."""
    records, earlier, problems = [], [], []
    for path in store.record_paths():
        try:
            record = read_record(path, store.objects)
        except InputError as error:
            problems.append(str(error))
            continue
        if record is None:
            earlier.append(path.relative_to(store.root).as_posix().removesuffix(".held.json"))
        else:
            records.append(record)
    return records, tuple(earlier), tuple(problems)


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
    with_quarantine: bool = False,
    is_dry_run: bool = False,
    progress: Progress,
) -> Pruning:
    """Remove what nothing refers to: bytes without a record, abandoned downloads and copies.

    Arguments and errors: `Catalog.prune`.
    """
    store = holding.store
    asked = select(holding.store, versions) if versions else ()
    with contextlib.ExitStack() as stack:
        if not is_dry_run:
            for record in asked:
                held = record.held
                stack.enter_context(
                    store.working_on(
                        held.shelf, held.name, attempted=f"remove {held.name}", progress=progress
                    )
                )
            stack.enter_context(store.changing(progress))
            asked = select(holding.store, versions) if versions else ()
        planned = [item for path in plan_files(store.plans) for item in read_plan(path)]
        needed_by = [(record, _needs(planned, record.held)) for record in asked]
        doomed = [record for record, plan in needed_by if not plan]
        with storage(f"write catalog {store.root}"):
            removed = tuple(
                _condemned(
                    store,
                    doomed,
                    planned,
                    before=holding.now() - older_than,
                    with_quarantine=with_quarantine,
                )
            )
        if not is_dry_run:
            for record in doomed:
                store.forget(record)
            with storage(f"write catalog {store.root}"):
                for item in removed:
                    remove_file(item.path)
                    if item.path.suffix == _PART:
                        _part_file(item.path).remove()
    return Pruning(
        removed=removed,
        kept=tuple(
            f"{record.held.shelf}/{record.held.name}: the plan {plan} needs it"
            for record, plan in needed_by
            if plan
        ),
        is_dry_run=is_dry_run,
    )


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
    *,
    before: datetime,
    with_quarantine: bool,
) -> Iterator[PrunedFile]:
    staying = [record for record in store.records() if record not in doomed]
    needed: set[Sha256 | None] = {record.held.sha256 for record in staying}
    needed |= {item.sha256 for item in planned}
    unwanted = {record.held.sha256 for record in doomed}
    for path in _objects(store):
        if path.name in needed:
            continue
        if path.name in unwanted:
            yield _pruned(path, "asked for by --version")
        elif _age(path) < before:
            yield _pruned(path, "no record refers to it")
    names = {f"{item.shelf}/{item.name}".casefold() for item in planned}
    for item in _unfinished(store):
        of = item.path.relative_to(store.root).as_posix().removesuffix(item.path.suffix)
        if item.modified_at < before and of.casefold() not in names:
            yield _pruned(item.path, f"nothing written since {item.modified_at:%Y-%m-%d}")
    if with_quarantine:
        for path in _jailed(store):
            if _age(path) < before:
                yield _pruned(path, "in quarantine")


def _pruned(path: Path, why: str) -> PrunedFile:
    return PrunedFile(path=path, size_bytes=path.stat().st_size, why=why)


# --- walking ------------------------------------------------------------------------------------


def _objects(store: Store) -> Iterator[Path]:
    for path in sorted(store.objects.glob("[0-9a-f][0-9a-f]/*")):
        if len(path.name) == len("00" * 32) and path.name.startswith(path.parent.name):
            yield path


def _jailed(store: Store) -> Iterator[Path]:
    return (path for path in sorted(store.quarantine.glob("*")) if path.suffix != ".txt")


def _unfinished(store: Store) -> Iterator[UnfinishedFile]:
    for folder in [*store.root.glob("*"), *store.root.glob("sbe/*")]:
        is_scratch = folder.name.startswith(UNPACKED)
        if not folder.is_dir() or not (is_scratch or is_shelf(store.root, folder)):
            continue
        for path in sorted(folder.iterdir()):
            if is_scratch or path.suffix in (_PART, _DRAFT):
                facts = path.stat()
                known = _part_file(path).known() if path.suffix == _PART else None
                yield UnfinishedFile(
                    path=path,
                    size_bytes=facts.st_size,
                    total_bytes=known.total_bytes if known else None,
                    modified_at=datetime.fromtimestamp(facts.st_mtime, UTC),
                )


def _part_file(path: Path) -> PartFile:
    return PartFile(path.with_suffix(""))


def _age(path: Path) -> datetime:
    """Return when a file came here: a linked file keeps its own, older time."""
    facts = path.stat()
    return datetime.fromtimestamp(max(facts.st_mtime, facts.st_ctime), UTC)
