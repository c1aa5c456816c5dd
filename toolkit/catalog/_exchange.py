"""A catalog for a colleague: hard links or proven copies in a folder, and one signed list of them.

The list (`catalog.json`) is signed with the exporting catalog's own key, so that whoever knows that key
knows who held these bytes and how they judged them. An import believes no byte because of it: every file
is hashed, none may contradict a pinned hash, and acceptances stay with the person who gave them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from toolkit import request
from toolkit.catalog._gate import SET_ASIDE
from toolkit.catalog._hashing import measure
from toolkit.catalog._held import checked, select
from toolkit.catalog._holding import Holding
from toolkit.catalog._judging import Wanted
from toolkit.catalog._manifest import sha256
from toolkit.catalog._plans import read_plan
from toolkit.catalog._records import (
    Record,
    object_path,
    statement_as_plain,
)
from toolkit.catalog._shelf import Shelf
from toolkit.catalog._storage import read_at_most, remove_file, storage
from toolkit.catalog._store import Store
from toolkit.errors import DigestError, InputError, StorageError, misread
from toolkit.filesystem import write_beside
from toolkit.model import (
    FileVerdict,
    HeldPayload,
    Manifest,
    Payload,
    PayloadKind,
    Progress,
    Sha256,
    Stance,
    Statement,
    StatementKind,
)
from toolkit.names import payload_name
from toolkit.signed import (
    LIMIT_BYTES,
    RECEIPT,
    SUPPLEMENT_REQUEST,
    KnownKey,
    Sealed,
    SigningKey,
    fingerprint_of,
    open_key,
    seal,
    unseal,
)

KIND = "ferry-catalog"
FORMAT = 1
LIST = "catalog.json"
_KEY = "catalog.key.pem"


# --- export -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What was put into a folder for a colleague."""

    folder: Path
    payloads: tuple[HeldPayload, ...]
    linked: int
    """How many take no room of their own."""
    fingerprint: str
    """Of the key that signed the list; the colleague compares it once over another channel."""


def export_catalog(
    holding: Holding,
    folder: Path,
    words: Sequence[str] = (),
    *,
    plan: Path | None = None,
    progress: Progress,
) -> Export:
    """Put held payloads into a folder that is a catalog of its own, with a signed list.

    Arguments and errors: `Catalog.export`.
    """
    with storage(f"export to {folder}"):
        own, place = holding.root.resolve(), folder.resolve()
    if own.is_relative_to(place) or place.is_relative_to(own):
        raise InputError(
            f"export to {folder}",
            found=f"the catalog {holding.root} itself, or a folder around it or in it",
            expected="a folder of its own",
            hint=f"name a new folder beside the catalog, such as {own.with_name('for-colleague')}",
        )
    chosen = list(select(holding.store, words)) if words or plan is None else []
    if plan is not None:
        chosen += [record for record in _of_plan(holding, plan) if record not in chosen]
    for record in chosen:
        if record.held.judgement.verdict is FileVerdict.BAD:
            raise DigestError(
                f"export {record.held.name}",
                found="; ".join(record.held.judgement.reasons),
                hint=SET_ASIDE,
            )
        checked(record, holding.store)
    key = signing_key(holding)  # before hours of copying
    target, linked = Store(folder), 0
    for record in chosen:
        linked += _send(record, target, progress)
    with target.changing(progress):
        records = list(_our_own(target, holding.store, progress))
        body = {
            "format": FORMAT,
            "made_at": holding.now().isoformat(timespec="seconds"),
            "objects": [_row(record) for record in records],
        }
        data = seal(KIND, body, key)
        if len(data) > LIMIT_BYTES:
            raise InputError(
                f"export to {folder}",
                found=f"{len(records)} payloads, a list of {len(data)} bytes",
                expected=f"at most {LIMIT_BYTES}",
                hint="export into several folders",
            )
        with storage(f"write {folder / LIST}"):
            write_beside(folder / LIST, data)
    return Export(
        folder=folder,
        payloads=tuple(record.held for record in records),
        linked=linked,
        fingerprint=key.fingerprint,
    )


def _our_own(target: Store, store: Store, progress: Progress) -> Iterator[Record]:
    """Yield what lies in the other catalog and is held here too, as it is judged here.

    Our key vouches for nothing else: the folder may hold what somebody else put there.
    """
    for there in target.records():
        held = there.held
        own = store.record(held.shelf, held.name)
        if own is not None and own.held.sha256 == held.sha256:
            yield replace(own, held=replace(own.held, path=held.path))
        else:
            progress.say(
                f"{held.shelf}/{held.name}: stands in {target.root} and is not held here:"
                f" {LIST} does not vouch for it"
            )


def _of_plan(holding: Holding, plan: Path) -> list[Record]:
    records = {(record.held.shelf, record.held.name): record for record in holding.store.records()}
    chosen = []
    for item in read_plan(plan):
        record = records.get((item.shelf, item.name))
        if record is None or item.sha256 not in (None, record.held.sha256):
            raise StorageError(
                f"export what {plan} needs",
                found=f"{item.shelf}/{item.name} not held"
                + (" with that hash" if record is not None else ""),
                expected=f"sha256 {item.sha256}" if item.sha256 else None,
                hint="fetch or add what the plan needs first",
            )
        chosen.append(record)
    return chosen


def _send(record: Record, target: Store, progress: Progress) -> bool:
    """Put one payload into the other catalog; return whether it is a link."""
    held = record.held
    with target.working_on(
        held.shelf, held.name, attempted=f"export {held.name}", progress=progress
    ):
        path = target.object(held.sha256)
        there = target.record(held.shelf, held.name)
        if there is None or not there.is_untouched(path) or there.held.sha256 != held.sha256:
            _bring(record, target, progress)
        with target.changing(progress):
            if there is not None and there.held.sha256 != held.sha256:
                target.forget(there)
            target.show(held.shelf, held.name, held.sha256)
            with storage(f"write {path}"):
                modified_ns, is_link = path.stat().st_mtime_ns, path.samefile(held.path)
            sent = replace(record, held=replace(held, path=path), modified_ns=modified_ns)
            if there != sent:
                target.write(sent)
    progress.say(f"{held.name}: {'linked' if is_link else 'copied'}")
    return is_link


def _bring(record: Record, target: Store, progress: Progress) -> None:
    """Have the bytes stand in the other catalog, as a link, or as a copy that was hashed."""
    held = record.held
    stands, draft = target.object(held.sha256), target.draft(held.shelf, held.name)
    what = f"check {held.name}"
    with storage(f"read {stands}"):
        if stands.exists():
            if measure(stands, what=what, progress=progress).sha256 == held.sha256:
                return
            remove_file(stands)  # a copy of ours that the disk has spoilt
    try:
        with storage(f"read {held.path}"):
            if not target.link(held.path, draft):
                digest = target.copy(held.path, draft, progress=progress).sha256
            elif record.is_untouched(held.path):
                digest = held.sha256
            else:
                digest = measure(draft, what=what, progress=progress).sha256
        if digest != held.sha256:
            raise DigestError(
                f"export {held.name}",
                found=f"sha256 {digest} in {held.path}",
                expected=f"sha256 {held.sha256}",
                hint=SET_ASIDE,
            )
        with target.changing(progress):
            target.place(draft, held.sha256)
    finally:
        with storage(f"write {draft}"):
            remove_file(draft)


def _row(record: Record) -> dict[str, Any]:
    held = record.held
    return {
        "shelf": held.shelf,
        "name": held.name,
        "kind": held.kind.value,
        "url": held.url,
        "sha256": held.sha256,
        "size_bytes": held.size_bytes,
        "verdict": held.judgement.verdict.value,
        "reasons": list(held.judgement.reasons),
        "statements": [statement_as_plain(said) for said in held.judgement.statements],
        "siblings": list(record.siblings),
    }


# --- import -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    """One payload as a colleague's list describes it."""

    shelf: str
    name: str
    kind: PayloadKind
    url: str
    sha256: Sha256
    verdict: FileVerdict
    siblings: tuple[str, ...]


def import_catalog(
    holding: Holding, folder: Path, *, manifests: Iterable[Manifest], progress: Progress
) -> tuple[HeldPayload, ...]:
    """Take in what a known colleague exported; every file is hashed, and none may contradict a pin.

    Arguments and errors: `Catalog.import_from`.
    """
    path = folder / LIST
    sealed = unseal(read_at_most(path, LIMIT_BYTES), kind=KIND, file=str(path))
    colleague = holding.known_keys.require(
        sealed,
        what=f"catalog in {folder}",
        hint=f'compare the fingerprint with its maker, then: ferry catalog know-key "{path}" '
        f'--name NAME --fingerprint "…" --catalog "{holding.root}"',
    )
    made_at, offers = _read_list(sealed, str(path))
    known = tuple(manifests)
    published = {
        (str(manifest.version), payload.name): payload
        for manifest in known
        for payload in manifest.payloads
    }
    for offer in offers:
        _check_pin(offer, published.get((offer.shelf, offer.name)), colleague)
    taken = []
    for offer in offers:
        record = holding.store.record(offer.shelf, offer.name)
        if record is not None and record.held.sha256 != offer.sha256:
            progress.say(f"{offer.shelf}/{offer.name}: another file is held here; theirs is left")
            continue
        wanted = Wanted(
            shelf=offer.shelf,
            payload=published.get((offer.shelf, offer.name)) or _payload(offer),
            must_be=offer.sha256,
            siblings=offer.siblings,
            statements=(_statement(offer, colleague, sealed, made_at),),
            known=known,
        )
        source = object_path(folder / "objects", offer.sha256)
        taken.append(holding.take_in(source, wanted, progress))
    return tuple(taken)


def know_key(
    holding: Holding, path: Path, *, name: str, fingerprint: str, progress: Progress
) -> KnownKey:
    """Believe the key that signed a document, once a person has compared its fingerprint.

    Arguments and errors: `Catalog.know_key`.
    """
    sealed = _any_sealed(read_at_most(path, LIMIT_BYTES), str(path))
    with holding.store.changing(progress):
        return holding.known_keys.add(name, sealed, fingerprint)


def signing_key(holding: Holding) -> SigningKey:
    """Return the catalog's own key; it is made the first time.

    Errors: `Catalog.signing_key`.
    """
    return open_key(holding.root / _KEY)


def believed_keys(holding: Holding) -> dict[str, str]:
    """Return fingerprint → holder of every key that is believed here, the catalog's own among them.

    A key that is known for a colleague's export vouches for nothing else.

    Errors: `Catalog.believed_keys`.
    """
    found = {
        fingerprint_of(key.public_hex): key.name
        for key in holding.known_keys.keys()  # noqa: SIM118
        if key.kind != KIND
    }
    if (holding.root / _KEY).exists():
        found[signing_key(holding).fingerprint] = "this catalog"
    return found


def _any_sealed(data: bytes, file: str) -> Sealed:
    """Return who signed an export, a receipt, or a request of either kind, in whatever form it came."""
    for kind in (KIND, RECEIPT, SUPPLEMENT_REQUEST):
        with contextlib.suppress(InputError):
            return unseal(data, kind=kind, file=file)
    return request.unseal_request(data, file=file)


def _read_list(sealed: Sealed, file: str) -> tuple[datetime, tuple[_Offer, ...]]:
    try:
        if sealed.body["format"] != FORMAT:
            raise ValueError(f"format {sealed.body['format']!r}, not {FORMAT}")  # noqa: TRY301
        made_at = datetime.fromisoformat(sealed.body["made_at"])
        return made_at, tuple(_offer(row) for row in sealed.body["objects"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "read the list of an exported catalog",
            file=file,
            found=misread(error),
            hint="it may come from a newer ferry",
        ) from error


def _offer(row: Mapping[str, Any]) -> _Offer:
    return _Offer(
        shelf=str(Shelf.parse(row["shelf"])),
        name=payload_name(row["name"]),
        kind=PayloadKind(row["kind"]),
        url=str(row["url"]),
        sha256=sha256(row["sha256"]),
        verdict=FileVerdict(row["verdict"]),
        siblings=tuple(payload_name(name) for name in row["siblings"]),
    )


def _check_pin(offer: _Offer, published: Payload | None, colleague: KnownKey) -> None:
    if published is not None and published.sha256 not in (None, offer.sha256):
        raise DigestError(
            f"import {offer.shelf}/{offer.name} of {colleague.name}",
            found=f"sha256 {offer.sha256}",
            expected=f"sha256 {published.sha256}, the pinned one",
            hint="nothing was imported; find out with them whose file is right",
        )


def _payload(offer: _Offer) -> Payload:
    return Payload(name=offer.name, kind=offer.kind, url=offer.url, witnesses=(), sha256=None)


def _statement(offer: _Offer, colleague: KnownKey, sealed: Sealed, made_at: datetime) -> Statement:
    return Statement(
        kind=StatementKind.COLLEAGUE,
        stance=Stance.FOR if offer.verdict is FileVerdict.PROVEN else Stance.SILENT,
        text=f"{colleague.name} holds it as {offer.verdict.value}",
        source=f"catalog signed by {sealed.fingerprint}",
        seen_on=made_at.date(),
    )
