"""Looking up what is held: by version or shelf, or by the words that a person types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from toolkit.catalog._records import Record
from toolkit.catalog._storage import storage
from toolkit.catalog._store import Store
from toolkit.catalog._versions import resolve_version
from toolkit.errors import InputError, StorageError
from toolkit.model import HeldPayload, Manifest, SolutionVersion


def all_held(store: Store) -> tuple[HeldPayload, ...]:
    """Return every payload we hold, by version and name.

    Raises:
        StorageError: A held file is missing or was changed, or the folder cannot be read.
        InputError: A record cannot be understood.
    """
    return tuple(sorted((checked(record, store).held for record in store.records()), key=by_shelf))


def held_on(store: Store, shelf: str) -> tuple[HeldPayload, ...]:
    """Return all payloads of one update or one SBE.

    Args:
        store: Where they are held.
        shelf: `12.2603.1002.15` or `sbe/<publisher>_<family>_<version>`.

    Raises:
        StorageError: They are not all held, or one is missing or was changed.
        InputError: A record cannot be understood.
    """
    paths = store.record_paths(shelf)
    records = [checked(record, store) for record in store.records(paths)]
    wanted = {name for record in records for name in record.siblings}
    missing = wanted - {record.held.name for record in records}
    if not records or missing:
        raise StorageError(
            f"find {shelf} in catalog {store.root}",
            found=f"{len(records)} payloads, not {', '.join(sorted(missing))}"
            if missing
            else "only what an earlier ferry recorded"
            if paths
            else "nothing",
            expected="all its payloads",
            hint=_how_to_get(shelf, store),
        )
    return tuple(sorted((record.held for record in records), key=by_shelf))


def held_of(store: Store, manifest: Manifest) -> tuple[HeldPayload, ...]:
    """Return all payloads of an update, wherever they are held.

    The files of an SBE that a manifest declares beside its bundle may have been added to a shelf of their own. They
    stay there, and the whole SBE belongs to the update then.

    Raises:
        StorageError: They are not all held, or one is missing or was changed.
        InputError: A record cannot be understood.
    """
    shelf = str(manifest.version)
    try:
        return held_on(store, shelf)
    except StorageError:
        own = [checked(record, store) for record in store.records(store.record_paths(shelf))]
        names = {record.held.name for record in own}
        lacking = {name for record in own for name in record.siblings} - names
        shelves, lacking = _shelves_with(lacking, manifest, store)
        if not own or lacking:
            raise
    sbes = (held for each in shelves for held in held_on(store, each))
    return (
        *sorted((record.held for record in own), key=by_shelf),
        *(replace(held, version=manifest.version) for held in sbes),
    )


def _shelves_with(
    lacking: set[str], manifest: Manifest, store: Store
) -> tuple[list[str], set[str]]:
    """Return the shelves of SBEs that hold payloads of a manifest, and the names that none holds."""
    pinned = {item.sha256: item.name for item in manifest.payloads if item.sha256 is not None}
    there: dict[str, set[str]] = {}
    for record in store.records() if lacking else ():
        name = pinned.get(record.held.sha256)
        if record.held.version is None and name in lacking:
            there.setdefault(record.held.shelf, set()).add(name)
    shelves = []
    # most first: SBEs of one vendor may have a file in common, and not each of them is meant
    for shelf, names in sorted(there.items(), key=lambda item: (-len(item[1]), item[0])):
        if names & lacking:
            shelves.append(shelf)
            lacking = lacking - names
    return sorted(shelves), lacking


def select(store: Store, words: Sequence[str]) -> tuple[Record, ...]:
    """Return the records that a person means: all of them, or by version, shelf or name.

    Args:
        store: Where they are held.
        words: Versions (`12.2603`), shelves, names, or `shelf/name`; none: everything.

    Raises:
        InputError: A word names nothing that is held; without words, a record cannot be understood.
        StorageError: A record cannot be read.
    """
    return select_among(store.understood()[0] if words else store.records(), words, store.root)


def select_among(records: Iterable[Record], words: Sequence[str], root: Path) -> tuple[Record, ...]:
    """Return those of the records in the catalog `root` that a person means: see `select`.

    Raises:
        InputError: A word names none of them.
    """
    records = sorted(records, key=lambda record: by_shelf(record.held))
    chosen: dict[tuple[str, str], Record] = {}
    for word in words:
        named = [record for record in records if _is_meant(word, record.held)]
        if not named:
            versions = {record.held.version for record in records if record.held.version}
            try:
                version = resolve_version(word, versions)
            except InputError as error:
                raise InputError(
                    f"find {word} in catalog {root}",
                    found="nothing of that name",
                    expected=", ".join(dict.fromkeys(record.held.shelf for record in records))
                    or "something held",
                    hint="`ferry catalog status` lists what is held",
                ) from error
            named = [record for record in records if record.held.version == version]
        chosen |= {(record.held.shelf, record.held.name): record for record in named}
    return tuple(chosen.values()) if words else tuple(records)


def select_one(store: Store, word: str) -> Record:
    """Return the one record that a person means.

    Raises:
        InputError: The word names nothing that is held, or several files.
        StorageError: A record cannot be read.
    """
    records = select(store, [word])
    if len(records) > 1:
        raise InputError(
            f"find one file called {word} in catalog {store.root}",
            found=f"{len(records)} of them",
            expected=" or ".join(f"{item.held.shelf}/{item.held.name}" for item in records),
        )
    return records[0]


def by_shelf(held: HeldPayload) -> tuple[bool, SolutionVersion | str, str]:
    """Sort key: updates by version, then SBEs by shelf; by name on each."""
    return (held.version is None, held.version or held.shelf, held.name)


def _how_to_get(shelf: str, store: Store) -> str:
    if shelf.startswith("sbe/"):
        return f"add its files with `ferry catalog add` to {store.root}"
    return f"run `ferry catalog download {shelf} --catalog {store.root}`"


def _is_meant(word: str, held: HeldPayload) -> bool:
    meant = word.replace("\\", "/").strip("/").casefold()
    names = (held.name, held.shelf, f"{held.shelf}/{held.name}")
    return meant in {name.casefold() for name in names}


def checked(record: Record, store: Store) -> Record:
    """Return the record if its bytes are there in full length; they are proven when used.

    Raises:
        StorageError: They are not, or cannot be looked at.
    """
    held = record.held
    with storage(f"read {held.path}"):
        size = held.path.stat().st_size if held.path.exists() else None
    if size != held.size_bytes:
        raise StorageError(
            f"use {held.name} of {held.shelf}",
            found=f"no such file as {held.path}"
            if size is None
            else f"{size} bytes in {held.path}",
            expected=f"{held.size_bytes} bytes",
            hint=_how_to_get(held.shelf, store),
        )
    return record
