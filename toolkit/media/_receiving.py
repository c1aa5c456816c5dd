"""A medium comes home: compared with what left, its receipts judged, and what it brings taken in.

The same call may be repeated, also after it was killed: files are copied first, under names that do not
change, and the ledger is replaced last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from toolkit.errors import InputError, SignatureError, StorageError
from toolkit.filesystem import read_begin
from toolkit.media._custody import Chain, Entry, ReceiptKind, read_chain
from toolkit.media._device import measure, on_storage, write_durably
from toolkit.media._home import (
    RECEIVED,
    LedgerRow,
    SetRecord,
    find_set_record,
    read_ledger,
    receiving,
    write_ledger,
)
from toolkit.media._medium import describe_medium
from toolkit.media._receipts import CUSTODY, metadata_digest, read_custody
from toolkit.media._returning import Returned, carry, read_either, returns
from toolkit.media._set import find_set_folder, read_small
from toolkit.model import Progress, Sha256
from toolkit.signed import LIMIT_BYTES

_REQUEST, _RECEIPT, _SEALED = "request", "receipt", "sealed"


class Taking(StrEnum):
    """What became of one file that came home."""

    TAKEN = "taken in"
    ALREADY = "already here"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One file of `return/`."""

    name: str
    kind: str
    taking: Taking
    text: str = ""
    """Why it was refused, or where it lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteStory:
    """What the receipts of one site tell, and what they do not."""

    site_id: str
    signer: str
    """Who holds the key that signed them; empty: nothing came from there."""
    clusters: tuple[str, ...]
    lacking: tuple[str, ...]

    @property
    def is_closed(self) -> bool:
        """Whether the set was verified there, and imported with a known result on every cluster."""
        return not self.lacking


@dataclass(frozen=True, slots=True, kw_only=True)
class Homecoming:
    """A medium that came home."""

    set_id: str
    set_name: str
    differences: tuple[str, ...]
    """In what the set differs from the one that left."""
    chain: Chain
    notes: tuple[str, ...]
    sites: tuple[SiteStory, ...]
    taken: tuple[Taken, ...]

    @property
    def is_closed(self) -> bool:
        """Whether nothing is open, broken or refused."""
        return (
            not self.differences
            and self.chain.is_whole
            and bool(self.sites)
            and all(site.is_closed for site in self.sites)
            and all(item.taking is not Taking.REFUSED for item in self.taken)
        )


def receive_medium(
    root: Path,
    home: Path,
    *,
    keys: Mapping[str, str],
    receipts: Path | None = None,
    progress: Progress,
    now: datetime | None = None,
) -> Homecoming:
    """Compare a medium with what left, judge its receipts, and take in what it brings.

    Nothing on the medium is changed.

    Args:
        root: Root of the medium, or one set folder on it.
        home: The catalog's folder, from which the set was written.
        keys: Fingerprints of the keys that are believed there → who holds each.
        receipts: The folder beside the medium, where it stayed write-protected.
        progress: Told of every copy.
        now: The time; the clock by default.

    Raises:
        StorageError: The medium or the catalog cannot be read or written, or the set did not leave from there.
        InputError: Several sets, or a record, the ledger or a folder that cannot be understood.
    """
    folder = find_set_folder(root)
    set_id, number = _claims(folder)
    record = find_set_record(
        home, set_name=folder.name, set_id=set_id, attempted=f"receive the set {folder.name}"
    )
    left = {seen.sha256: seen.name for seen in record.receipts if seen.medium == number}
    chain = read_custody(folder, set_id=record.set_id, keys=keys, receipts=receipts)
    if not any(entry.sha256 in left for entry in chain.entries):
        chain = read_custody(
            folder, set_id=record.set_id, keys=keys, receipts=receipts, expected=left
        )
    with receiving(home):
        intake = _Intake(
            home=home,
            record=record,
            keys=keys,
            progress=progress,
            now=now or datetime.now(UTC),
            rows=list(read_ledger(home)),
        )
        notes = intake.not_here(chain)
        places = [folder / CUSTODY, *([receipts] if receipts else [])]
        known = intake.keep_receipts(chain, places)
        stated = _stated(known)
        taken = [
            intake.take(item, stated)
            for place in (folder, receipts)
            if place is not None
            for item in returns(place)
        ]
        write_ledger(home, intake.rows)
    here = {item.name for item in taken} | {row.name for row in intake.rows_of_set()}
    return Homecoming(
        set_id=record.set_id,
        set_name=record.set_name,
        differences=tuple(_differences(folder, record, claimed=set_id)),
        chain=chain,
        notes=notes,
        sites=tuple(_stories(record, known, here)),
        taken=tuple(taken),
    )


def _claims(folder: Path) -> tuple[str, int]:
    """Return which set a medium says it belongs to, and which of its media it says it is."""
    try:
        label = describe_medium(folder)
    except (StorageError, InputError):
        return "", 1  # told as a difference
    return label.set_id, label.medium


def _differences(folder: Path, record: SetRecord, *, claimed: str) -> Iterator[str]:
    if not claimed:
        yield "it does not say any more which set it is"
    elif claimed != record.set_id:
        yield f"it says it is the set {claimed}; the one that left is {record.set_id}"
    try:
        if metadata_digest(folder) != record.metadata:
            yield "its metadata are not those that left"
    except (StorageError, InputError) as error:
        yield f"its metadata cannot be read: {error.found}"


def _bytes(entry: Entry, places: list[Path]) -> bytes:
    """Return the bytes of an entry, as they were when the chain was read."""
    for path in (place / entry.name for place in places):
        with on_storage(f"read {path}"):
            data = read_small(path) if path.exists() else b""
        if hashlib.sha256(data).hexdigest() == entry.sha256:
            return data
    raise StorageError(
        f"take in {entry.name}",
        found="it is gone, or has other bytes than a moment ago",
        hint="unplug the medium, plug it in again, then run the same command again",
    )


def _stated(known: Iterable[Entry]) -> dict[str, set[str]]:
    """Return name → digests of the files that sites have signed for."""
    stated: dict[str, set[str]] = {}
    for entry in known:
        for name, digest in _files(entry):
            stated.setdefault(name, set()).add(digest)
    return stated


def _files(entry: Entry) -> Iterator[tuple[str, str]]:
    receipt = entry.receipt
    if receipt is None or receipt.kind != ReceiptKind.RETURN:
        return
    rows = receipt.facts.get("files", ())
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            yield str(row.get("name")), str(row.get("sha256"))


def _stories(record: SetRecord, known: Iterable[Entry], here: set[str]) -> Iterator[SiteStory]:
    """Yield what each site has told; sites that the set was for and that told nothing, too."""
    told: dict[tuple[str, str], list[Entry]] = {}
    for entry in known:
        if entry.receipt and entry.receipt.site_id:
            told.setdefault((entry.receipt.site_id, entry.fingerprint), []).append(entry)
    bound: dict[str, list[str]] = {}
    for item in record.clusters:
        bound.setdefault(item.site_id, []).append(item.cluster)
    for (site_id, _), entries in told.items():
        yield _story(site_id, entries, bound.get(site_id, []), here)
    for site_id in sorted(bound.keys() - {site_id for site_id, _ in told}):
        yield SiteStory(
            site_id=site_id,
            signer="",
            clusters=tuple(bound[site_id]),
            lacking=("no receipt of this site came home",),
        )


def _story(site_id: str, entries: list[Entry], bound: list[str], here: set[str]) -> SiteStory:
    verified, lacking = False, []
    seen: dict[str, set[str]] = {
        ReceiptKind.VERIFY: set(),
        ReceiptKind.IMPORT: set(),
        ReceiptKind.RESULT: set(),
    }
    for entry in entries:
        if entry.receipt is None or entry.receipt.kind not in seen:
            continue
        facts = entry.receipt.facts
        if entry.receipt.kind == ReceiptKind.VERIFY and facts.get("is_proven") is True:
            verified = True
        seen[entry.receipt.kind].add(str(facts.get("cluster", "")))
    if not verified:
        lacking.append("verified with faults" if seen[ReceiptKind.VERIFY] else "not verified")
    clusters = sorted({*bound, *seen[ReceiptKind.IMPORT], *seen[ReceiptKind.RESULT]})
    if not clusters:
        lacking.append("not imported")
    for cluster in clusters:
        if cluster not in seen[ReceiptKind.IMPORT]:
            lacking.append(f"not imported on {cluster}")
        if cluster not in seen[ReceiptKind.RESULT]:
            lacking.append(f"no result of {cluster}")
    named = {name for entry in entries for name, _ in _files(entry)}
    lacking += [f"{name} was sent home and is not here" for name in sorted(named - here)]
    return SiteStory(
        site_id=site_id,
        signer=entries[0].signer,
        clusters=tuple(clusters),
        lacking=tuple(lacking),
    )


@dataclass(slots=True, kw_only=True)
class _Intake:
    """Takes things in, and writes them into the ledger's rows."""

    home: Path
    record: SetRecord
    keys: Mapping[str, str]
    progress: Progress
    now: datetime
    rows: list[LedgerRow]
    _by_id: dict[str, LedgerRow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_id = {row.item_id: row for row in self.rows}

    @property
    def place(self) -> Path:
        """Where things of this set lie."""
        return self.home / RECEIVED / self.record.set_name

    def rows_of_set(self) -> list[LedgerRow]:
        """Return what came home with this set, now and before."""
        return [row for row in self.rows if row.set_id == self.record.set_id]

    def not_here(self, chain: Chain) -> tuple[str, ...]:
        """Name the receipts that came home before and are not on this medium."""
        here = {entry.sha256 for entry in chain.entries}
        return tuple(
            f"{row.name} came home on {row.at:%Y-%m-%d} and is not on this medium: another copy of the "
            "set came then, or it was removed"
            for row in self.rows_of_set()
            if row.kind == _RECEIPT and row.sha256 not in here
        )

    def keep_receipts(self, chain: Chain, places: list[Path]) -> tuple[Entry, ...]:
        """Copy what known keys signed, and return it with everything that came before."""
        kept = self.place / CUSTODY
        for entry in chain.authentic():
            if entry.receipt is None:
                continue
            target = kept / entry.receipt.file_name
            if not target.exists():
                data = _bytes(entry, places)
                with on_storage(f"write {target}"):
                    kept.mkdir(parents=True, exist_ok=True)
                    write_durably(target, data)
            if entry.receipt.receipt_id not in self._by_id:
                self._note(entry.receipt.receipt_id, _RECEIPT, entry.sha256, target.name)
        with on_storage(f"read {kept}"):
            paths = sorted(kept.iterdir()) if kept.is_dir() else []
            files = [
                (path.name, read_begin(path, LIMIT_BYTES + 1))
                for path in paths
                if path.suffix == ".json"
            ]
        return read_chain(files, set_id=self.record.set_id, keys=self.keys).authentic()

    def take(self, item: Returned, stated: Mapping[str, set[str]]) -> Taken:
        """Take in one file of `return/`, or say why not."""
        name = item.path.name
        kind = _REQUEST if item.is_request else _SEALED
        if item.is_request:
            item_id, refusal = self._request(item)
        else:
            item_id, refusal = item.sha256, ""
            if item.sha256 not in stated.get(name, ()):
                refusal = "no receipt of a known site names it with these bytes"
        before = self._by_id.get(item_id)
        if before is not None and (before.sha256, before.set_id) != (
            item.sha256,
            self.record.set_id,
        ):
            refusal = (
                f"it came home before, with the set {before.set_name} on {before.at:%Y-%m-%d}: "
                "an old one is not taken for new"
            )
        if refusal:
            return Taken(name=name, kind=kind, taking=Taking.REFUSED, text=refusal)
        target = self._target(name, item.sha256)
        if before is not None and target.exists():
            return Taken(name=name, kind=kind, taking=Taking.ALREADY, text=str(target))
        with on_storage(f"write {target}"):
            target.parent.mkdir(parents=True, exist_ok=True)
        carry(item, target, self.progress)
        if before is None:
            self._note(item_id, kind, item.sha256, name)
        return Taken(name=name, kind=kind, taking=Taking.TAKEN, text=str(target))

    def _request(self, item: Returned) -> tuple[str, str]:
        """Return the id of a request, or why it is none that can be taken in."""
        with on_storage(f"read {item.path}"):
            data = read_begin(item.path, LIMIT_BYTES + 1)  # which a reader refuses
        try:
            request_id, sealed = read_either(data, file=item.path.name)
        except (InputError, SignatureError) as error:
            return "", str(error)
        if sealed.fingerprint not in self.keys:
            return "", (
                f"signed by a key not known here, fingerprint {sealed.fingerprint}; once it is "
                "compared: ferry catalog know-key"
            )
        return request_id, ""

    def _target(self, name: str, digest: Sha256) -> Path:
        """Return where a file goes: under its name, or beside another one that came under it."""
        target = self.place / name
        with on_storage(f"read {target}"):
            if target.exists() and measure(target).sha256 != digest:
                return target.with_name(f"{digest[:8]}-{name}")
        return target

    def _note(self, item_id: str, kind: str, digest: Sha256, name: str) -> None:
        row = LedgerRow(
            item_id=item_id,
            kind=kind,
            sha256=digest,
            set_id=self.record.set_id,
            set_name=self.record.set_name,
            name=name,
            at=self.now,
        )
        self.rows.append(row)
        self._by_id[item_id] = row
