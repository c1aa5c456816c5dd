"""Receipts on disk: one file each in `custody/` of the set, or in a folder beside a read-only medium.

Files are only ever added. A receipt that is written elsewhere continues the chain on the medium, so whoever
looks at the chain names both folders.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit.errors import InputError, StorageError
from toolkit.filesystem import DRAFT, read_begin
from toolkit.media._custody import (
    LAST_COUNTER,
    LIMIT_BYTES,
    Break,
    Chain,
    Flaw,
    Receipt,
    ReceiptKind,
    read_chain,
    seal_receipt,
)
from toolkit.media._device import on_storage, require_regular, write_durably
from toolkit.media._names import is_litter
from toolkit.media._set import TUF, read_small
from toolkit.model import Sha256
from toolkit.signed import SigningKey

CUSTODY = "custody"
RETURN = "return"
"""Folder of what travels home; beside a read-only medium it stands among the receipts."""
_MOST_FILES = 2 * LAST_COUNTER


def check_person(name: str) -> None:
    """Refuse what cannot stand in a receipt as the name of whoever answers for it; empty: nobody was named.

    Raises:
        InputError: It is not one line.
    """
    if name != name.strip() or (name and not name.isprintable()):
        raise InputError(
            "write a receipt",
            found=f"the name {name!r}",
            expected="the name of a person on one line",
            hint="give the name without line ends, tabs, or blanks around it",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scribe:
    """Who writes receipts in one place: the key that signs and the person who answers.

    Raises:
        InputError: The name of the person is not one line.
    """

    key: SigningKey = field(repr=False)
    by: str
    """As they call themselves; empty: nobody was named."""
    site_id: str = ""
    """Empty: at home."""
    floor: datetime | None = None
    """It is proven to be at least this late; None: nothing is."""

    def __post_init__(self) -> None:
        """Refuse a bad name here: hours of work may lie before the receipt."""
        check_person(self.by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A receipt that was just added."""

    path: Path
    receipt: Receipt
    fingerprint: str
    """Of the key that signed it."""
    breaks: tuple[Break, ...]
    """Where the chain before it does not hold; keys were not looked at."""


def read_custody(
    folder: Path,
    *,
    set_id: str,
    keys: Mapping[str, str],
    receipts: Path | None = None,
    expected: Mapping[Sha256, str] | None = None,
) -> Chain:
    """Return the chain of receipts of one set.

    Args:
        folder: The set folder.
        set_id: The set they have to be about.
        keys: Fingerprints of the keys that are believed here → who holds each.
        receipts: A further folder with receipts of the set.
        expected: As of `read_chain`.

    Raises:
        StorageError: A folder or a file in it cannot be read.
        InputError: A folder holds far more files than a set has receipts.
    """
    return read_chain(
        (seen for place in _places(folder, receipts) for seen in _files(place)),
        set_id=set_id,
        keys=keys,
        expected=expected,
    )


def add_receipt(
    folder: Path,
    kind: ReceiptKind,
    facts: Mapping[str, Any],
    scribe: Scribe,
    *,
    set_id: str,
    set_name: str,
    receipts: Path | None = None,
    now: datetime | None = None,
) -> Written:
    """Add one receipt behind the newest one; a chain that does not hold is continued all the same.

    Args:
        folder: The set folder.
        kind: What it is about.
        facts: Plain JSON values without floating-point numbers.
        scribe: Who writes it.
        set_id: The set's UUID.
        set_name: The set's name.
        receipts: Where to write it instead of `custody/` in the set folder; made if missing.
        now: The time; the clock by default.

    Raises:
        StorageError: The medium is write-protected, full or gone, or the folder holds another set's receipts.
        InputError: The chain or the receipt is too long.
    """
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    chain = read_custody(folder, set_id=set_id, keys={}, receipts=receipts)
    _require_own(chain, receipts)
    counter, previous = chain.last()
    if counter >= LAST_COUNTER:
        raise InputError(
            "write a receipt",
            found=f"a chain with the number {counter}",
            expected=f"at most {LAST_COUNTER}",
            hint="look at them with `ferry media history`, and move away what does not belong there",
        )
    receipt = Receipt(
        kind=kind,
        counter=counter + 1,
        previous=previous,
        receipt_id=str(uuid.uuid4()),
        at=now,
        is_clock_behind=scribe.floor is not None and now < scribe.floor,
        by=scribe.by,
        site_id=scribe.site_id,
        set_id=set_id,
        set_name=set_name,
        facts=facts,
    )
    data = seal_receipt(receipt, scribe.key)
    if len(data) > LIMIT_BYTES:
        raise InputError(
            "write a receipt",
            found=f"{len(data)} bytes",
            expected=f"at most {LIMIT_BYTES}",
            hint="put fewer files into return/",
        )
    place = receipts or folder / CUSTODY
    try:
        with on_storage(f"write the receipt {receipt.file_name} in {place}"):
            place.mkdir(exist_ok=True)
            write_durably(place / receipt.file_name, data)
    except StorageError as error:
        if receipts is None:
            error.hint = (
                "if the medium is to stay write-protected, name a folder with --receipts DIR: the "
                "receipt is written there and travels beside it"
            )
        raise
    return Written(
        path=place / receipt.file_name,
        receipt=receipt,
        fingerprint=scribe.key.fingerprint,
        breaks=tuple(seen for seen in chain.breaks if seen.flaw is not Flaw.UNKNOWN_KEY),
    )


def metadata_digest(folder: Path) -> Sha256:
    """Return the SHA-256 of a set's timestamp.json: by its signature chain it stands for the whole set.

    Raises:
        StorageError: It cannot be read.
    """
    path = folder / TUF / "timestamp.json"
    with on_storage(f"read {path}"):
        return Sha256(hashlib.sha256(read_small(path)).hexdigest())


def _places(folder: Path, receipts: Path | None) -> Iterator[Path]:
    """Yield each folder with receipts once."""
    own = folder / CUSTODY
    with on_storage(f"look for receipts in {folder}"):
        if own.is_dir():
            yield own
        if receipts is not None and receipts.exists() and not _is_same(own, receipts):
            yield receipts


def _is_same(own: Path, receipts: Path) -> bool:
    return own.is_dir() and own.samefile(receipts)


def _files(place: Path) -> Iterator[tuple[str, bytes]]:
    with on_storage(f"read the receipts in {place}"):
        names = sorted(
            item.name
            for item in place.iterdir()
            if not is_litter(item.name)
            and item.suffix not in (".part", DRAFT)
            and item.name != RETURN
        )
        if len(names) > _MOST_FILES:
            raise InputError(
                "read the receipts",
                file=str(place),
                found=f"{len(names)} files",
                expected=f"at most {_MOST_FILES}",
                hint="name the folder that holds receipts and nothing else",
            )
        for name in names:
            require_regular(place / name)
            yield name, read_begin(place / name, LIMIT_BYTES + 1)


def _require_own(chain: Chain, receipts: Path | None) -> None:
    """Refuse to mix the receipts of two sets in one folder that a person has named."""
    other = next((seen for seen in chain.breaks if seen.flaw is Flaw.OTHER_SET), None)
    if other is not None and receipts is not None:
        raise StorageError(
            f"write a receipt in {receipts}",
            found=other.text,
            expected="receipts of this set and no others",
            hint="name another folder with --receipts; each set has its own",
        )
