"""What home remembers of the sets it wrote and of what came back, in the catalog's folder.

::

    sets/<set name>.json        what left: identity, digest of the metadata, the first receipt, for whom
    sets/<set id>/              what was signed: the set as it is on every medium, without its payloads
    received/ledger.json        every receipt, request and file that was taken in, by its id
    received/<set name>/        requests and sealed files as they came; `custody/`: the receipts

The ledger stops replay by ids, not by times: clocks at sites are wrong.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from toolkit.errors import InputError, StorageError, misread
from toolkit.filesystem import read_regular, sync_folder
from toolkit.media._custody import ReceiptKind
from toolkit.media._device import gone_on_error, on_storage, write_durably
from toolkit.media._keys import as_instant, read_instant
from toolkit.media._lock import alone_in_book, one_at_a_time
from toolkit.media._medium import Medium
from toolkit.media._names import check_set_name
from toolkit.media._receipts import metadata_digest, read_custody
from toolkit.media._set import COMPLETE, SET_PATH, TUF, read_small
from toolkit.model import Sha256

SETS = "sets"
"""Folder of a catalog: what was written from it, and how it lies on media."""
RECEIVED = "received"
LEDGER = "ledger.json"
_FORMAT = 1
_LEDGER_LIMIT_BYTES = 64 << 20
"""A row for everything that ever came home: it may grow far longer than any other record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One cluster a set was written for."""

    cluster: str
    site_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstReceipt:
    """The receipt with which one medium of a set left."""

    medium: int
    """From 1; 0: a supplement, of which there may be several."""
    name: str
    sha256: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRecord:
    """A set as it left home."""

    set_id: str
    set_name: str
    issued_at: datetime
    expires_at: datetime
    metadata: Sha256
    """SHA-256 of its timestamp.json."""
    receipts: tuple[FirstReceipt, ...]
    """Of the media that have one; several of a number that was written again or has a spare copy, and of supplements."""
    clusters: tuple[Bound, ...]
    """For whom, as its plan said; empty: no plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One thing that came home."""

    item_id: str
    """Of a receipt or request; of another file its SHA-256."""
    kind: str
    sha256: Sha256
    set_id: str
    set_name: str
    name: str
    at: datetime


def keep_set(
    home: Path,
    medium: Medium,
    *,
    clusters: Sequence[tuple[str, str]],
    own_key: str,
) -> SetRecord:
    """Remember a set that was written, to know it again when it comes back and to write pieces of it again.

    What is remembered of a set already stays; clusters are added.

    Args:
        home: The catalog's folder.
        medium: One of the set's, proven.
        clusters: Cluster and site id of whom it is for.
        own_key: Fingerprint of the key with which this catalog signs receipts: a first receipt on the medium that
            is signed with it left from here, when it was written or at another time; any other may have been put there.

    Raises:
        StorageError: The folder cannot be written, or the medium not be read.
        InputError: An earlier record cannot be understood.
    """
    label = medium.describe()
    chain = read_custody(label.folder, set_id=label.set_id, keys={own_key: "this catalog"})
    receipts = tuple(
        FirstReceipt(medium=label.medium, name=seen.name, sha256=seen.sha256)
        for seen in chain.authentic()
        if seen.receipt and seen.receipt.kind == ReceiptKind.WRITE
    )
    record = SetRecord(
        set_id=label.set_id,
        set_name=label.set_name,
        issued_at=label.issued_at,
        expires_at=label.expires_at,
        metadata=metadata_digest(label.folder),
        receipts=receipts,
        clusters=tuple(Bound(cluster=cluster, site_id=site) for cluster, site in clusters),
    )
    folder = home / SETS
    path = folder / f"{record.set_name}.json"
    attempted = f"write {path}"
    with alone_in_book(folder, attempted=attempted), on_storage(attempted):
        _keep_signed(medium, signed_folder(home, record.set_id))
        if path.exists():
            known = _read_record(path)
            if known.set_id != record.set_id:
                path = folder / f"{record.set_name}.{record.set_id[:8]}.json"
            else:
                # one that left with another medium is not this one's, whoever copied it there
                left = {seen.sha256 for seen in known.receipts}
                new = (seen for seen in record.receipts if seen.sha256 not in left)
                record = replace(
                    record,
                    receipts=tuple(sorted((*known.receipts, *new), key=lambda seen: seen.medium)),
                    clusters=tuple(dict.fromkeys((*known.clusters, *record.clusters))),
                )
        document = {"format": _FORMAT, "kind": "ferry-set-record", **asdict(record)}
        for name in ("issued_at", "expires_at"):
            document[name] = as_instant(getattr(record, name))
        write_durably(path, _dump(document))
    return record


def signed_folder(home: Path, set_id: str) -> Path:
    """Return where home keeps what was signed of a set.

    Raises:
        InputError: The id is none; it may come from a medium, where anybody can have written it.
    """
    try:
        return home / SETS / str(uuid.UUID(set_id))
    except ValueError as error:
        raise InputError("read the id of the set", found=repr(set_id), expected="a UUID") from error


def find_set_record(home: Path, *, set_name: str, set_id: str, attempted: str) -> SetRecord:
    """Return what is remembered of a set that was written from here.

    Args:
        home: The catalog's folder.
        set_name: The name of its folder.
        set_id: Its UUID as the medium says; empty where it does not.
        attempted: What it is looked for, for the error.

    Raises:
        StorageError: Nothing is remembered of it, or the folder cannot be read.
        InputError: A record cannot be understood.
    """
    check_set_name(set_name)
    with on_storage(f"look for the set {set_name} in {home / SETS}"):
        paths = [home / SETS / f"{set_name}.json", *(home / SETS).glob(f"{set_name}.*.json")]
        records = [_read_record(path) for path in paths if path.exists()]
    for record in records:
        if record.set_id == set_id:
            return record
    if len(records) == 1:
        return records[0]
    raise StorageError(
        attempted,
        found=f"{home / SETS} knows no such set",
        expected="a set that was written from this catalog",
        hint="name the catalog from which it was written: --catalog DIR",
    )


def read_ledger(home: Path) -> tuple[LedgerRow, ...]:
    """Return everything that came home so far.

    Raises:
        InputError: The ledger cannot be understood; it is never begun anew, it guards against replay.
        StorageError: It cannot be read.
    """
    path = home / RECEIVED / LEDGER
    with on_storage(f"read {path}"):
        if not path.exists():
            return ()
        data = read_regular(path, limit_bytes=_LEDGER_LIMIT_BYTES)
    try:
        document = json.loads(data)
        if document["kind"] != "ferry-received" or document["format"] != _FORMAT:
            raise ValueError("another kind or format")  # noqa: TRY301
        return tuple(
            LedgerRow(**{**row, "at": read_instant(row["at"])}) for row in document["rows"]
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            "read the ledger of what came home",
            file=str(path),
            found=misread(error),
            hint="restore it from a backup; without it an old request could be passed off as new",
        ) from error


def write_ledger(home: Path, rows: Sequence[LedgerRow]) -> None:
    """Replace the ledger, by one rename.

    Raises:
        StorageError: The disk is full or write-protected.
    """
    path = home / RECEIVED / LEDGER
    plain = [{**asdict(row), "at": as_instant(row.at)} for row in rows]
    with on_storage(f"write {path}"):
        write_durably(path, _dump({"format": _FORMAT, "kind": "ferry-received", "rows": plain}))


@contextlib.contextmanager
def receiving(home: Path) -> Iterator[None]:
    """Let one process take things in at a time.

    Raises:
        StorageError: Another one does, or the folder cannot be written.
    """
    folder = home / RECEIVED
    attempted = f"take in what came home into {folder}"
    with on_storage(attempted):
        folder.mkdir(exist_ok=True)
    busy = "another ferry is taking something in"
    with one_at_a_time(folder / "lock", attempted=attempted, busy=busy, timeout_s=0):
        yield


def _keep_signed(medium: Medium, folder: Path) -> None:
    """Copy what proves a set, and nothing else that lies beside it; the folder appears by one rename, after everything in it is flushed."""
    if folder.exists():
        return
    draft = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    metadata = [f"{TUF}/{name}" for name in medium.metadata_names]
    with gone_on_error(draft):
        for path in (*metadata, SET_PATH, COMPLETE):
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            write_durably(draft / path, read_small(medium.folder / path))
        draft.rename(folder)
    sync_folder(folder.parent)


def _read_record(path: Path) -> SetRecord:
    data = read_regular(path)
    try:
        row = json.loads(data)
        if row["kind"] != "ferry-set-record" or row["format"] != _FORMAT:
            raise ValueError("another kind or format")  # noqa: TRY301
        return SetRecord(
            set_id=str(row["set_id"]),
            set_name=str(row["set_name"]),
            issued_at=read_instant(row["issued_at"]),
            expires_at=read_instant(row["expires_at"]),
            metadata=Sha256(row["metadata"]),
            receipts=tuple(
                FirstReceipt(
                    medium=int(item["medium"]),
                    name=str(item["name"]),
                    sha256=Sha256(item["sha256"]),
                )
                for item in row["receipts"]
            ),
            clusters=tuple(
                Bound(cluster=str(item["cluster"]), site_id=str(item["site_id"]))
                for item in row["clusters"]
            ),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            "read the record of a set",
            file=str(path),
            found=misread(error),
            hint="restore it from a backup: by it a medium that comes back is known again",
        ) from error


def _dump(document: object) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
