"""Custody receipts: signed statements about one set, each naming the one before it. Pure.

A receipt says who did what with the set, when, and what was found. It is a signed document (`toolkit.signed`)
with a counter and the SHA-256 of the whole file before it, so the files of one set form a chain. `read_chain`
takes the bytes of all of them and names every place where the chain does not hold, and what it is there: a gap
is a gap, a changed file a changed file.

What a chain alone cannot tell is that its newest receipts were taken away: nothing names them. Who knows of
receipts by another way gives their digests as `expected`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

from toolkit.errors import InputError, SignatureError, misread
from toolkit.media._keys import as_instant
from toolkit.model import Sha256
from toolkit.signed import RECEIPT, SigningKey, fingerprint_of, respelt, seal, unseal

FORMAT = 1
LAST_COUNTER = 999
LIMIT_BYTES = 64 << 10
"""No receipt is longer; a usual one has a thousand bytes."""

RECEIPT_NAME = re.compile(
    r"(?P<counter>\d{4})-(?P<kind>[a-z]+(?:-[a-z]+)*)-[0-9a-f]{8}\.json\Z", re.ASCII
)
"""Of the file of a receipt."""
_WORD = re.compile(r"[a-z]+(-[a-z]+)*\Z")
_DIGEST = re.compile(r"([0-9a-f]{64})?\Z")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"


class ReceiptKind(StrEnum):
    """What a receipt is about; others, of a newer ferry, are shown as they are."""

    WRITE = "write"
    READ_BACK = "read-back"
    """Read again at home, after the writing."""
    HAND_OVER = "hand-over"
    VERIFY = "verify"
    IMPORT = "import"
    RESULT = "result"
    RETURN = "return"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One statement about one set."""

    kind: str
    counter: int
    """From 1, without gaps."""
    previous: str
    """SHA-256 of the file before it; empty for the first."""
    receipt_id: str
    at: datetime
    """By the clock of the machine, right or wrong."""
    is_clock_behind: bool
    """Whether that clock was earlier than a time that was proven to be past."""
    by: str
    """The person who answers for it; empty: nobody was named."""
    site_id: str
    """The site where it was made; empty: at home."""
    set_id: str
    set_name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What was found or done: plain JSON values, by kind."""

    @property
    def file_name(self) -> str:
        """The name it has in `custody/`."""
        return f"{self.counter:04}-{self.kind}-{self.receipt_id[:8]}.json"


class Flaw(StrEnum):
    """In which way a chain of receipts does not hold."""

    MISSING = "missing"
    CHANGED = "changed"
    NOT_A_RECEIPT = "not a receipt"
    RENAMED = "renamed"
    OTHER_SET = "of another set"
    SAME_NUMBER = "same number"
    OTHER_BEFORE = "another before it"
    UNKNOWN_KEY = "unknown key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One place where a chain does not hold."""

    flaw: Flaw
    counter: int
    """Of the receipt, as far as it is known; 0: not at all."""
    text: str
    """A sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a chain, and what is wrong with it."""

    name: str
    sha256: Sha256
    counter: int
    receipt: Receipt | None = None
    """None: it cannot be read, or what it says was changed."""
    fingerprint: str = ""
    """Of the key that signed it."""
    signer: str = ""
    """Who holds that key, as it is known here; empty: not known."""
    breaks: tuple[Break, ...] = ()

    @property
    def is_authentic(self) -> bool:
        """Whether a known key signed it for this set, wherever in the chain it stands."""
        return self.receipt is not None and not any(
            seen.flaw in (Flaw.UNKNOWN_KEY, Flaw.OTHER_SET) for seen in self.breaks
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """All receipts of one set, in order, and every place where they do not hold together."""

    set_id: str
    entries: tuple[Entry, ...]
    gaps: tuple[Break, ...]
    """What is missing."""

    @property
    def breaks(self) -> tuple[Break, ...]:
        """Every place where the chain does not hold, in order of counters."""
        found = [*self.gaps, *(seen for entry in self.entries for seen in entry.breaks)]
        return tuple(sorted(found, key=lambda seen: seen.counter))

    @property
    def is_whole(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.breaks

    def authentic(self) -> tuple[Entry, ...]:
        """Return what known keys signed for this set, in order."""
        return tuple(entry for entry in self.entries if entry.is_authentic)

    def last(self) -> tuple[int, str]:
        """Return counter and digest of the newest file: what the next receipt follows.

        Files that are no receipts of the set count only right behind one: nobody can end a chain by a name.
        """
        counter, digest = 0, ""
        for entry in self.entries:
            is_of_set = entry.receipt is not None and entry.receipt.set_id == self.set_id
            if is_of_set or entry.counter == counter + 1:
                counter, digest = entry.counter, entry.sha256
        return counter, digest


def seal_receipt(receipt: Receipt, key: SigningKey) -> bytes:
    """Return a signed receipt; equal input gives equal bytes.

    Raises:
        ValueError: Facts that are no plain JSON, or a floating-point number among them.
    """
    return seal(RECEIPT, _ordered(_body(receipt)), key)


def read_receipt(data: bytes, *, file: str) -> tuple[Receipt, str]:
    """Return a receipt whose signature holds, and the public key of whoever signed it.

    Raises:
        InputError: Not a receipt, or one of a newer format.
        SignatureError: A byte of it is not as it was written, or it is not signed.
    """
    if len(data) > LIMIT_BYTES:
        raise InputError(
            "read ferry receipt",
            file=file,
            found=f"more than {LIMIT_BYTES} bytes",
            expected="a receipt, which is shorter",
        )
    sealed = unseal(data, kind=RECEIPT, file=file)
    try:
        receipt = _receipt(sealed.body)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "read ferry receipt",
            file=file,
            found=misread(error),
            hint="a newer ferry may have written it; use that one",
        ) from error
    # the chain hashes whole files, and no later one holds the hash of the newest
    if respelt(data, _ordered(sealed.body)) != data:
        raise SignatureError(
            f"read ferry receipt {file}",
            found="the same statement spelt otherwise",
            expected="the bytes as they were written",
        )
    return receipt, sealed.public_hex


def read_chain(
    files: Iterable[tuple[str, bytes]],
    *,
    set_id: str,
    keys: Mapping[str, str],
    expected: Mapping[Sha256, str] | None = None,
) -> Chain:
    """Return the receipts of one set in order, with every place where they do not hold together.

    Args:
        files: File name and bytes of everything that claims to be a receipt of the set.
        set_id: The set they have to be about.
        keys: Fingerprints of the keys that are believed here → who holds each.
        expected: SHA-256 of receipts that are known to exist → their file names.
    """
    entries = sorted(
        (_entry(name, data, set_id=set_id, keys=keys) for name, data in files),
        key=lambda entry: (entry.counter, entry.name),
    )
    numbered: dict[int, list[Entry]] = {}
    for entry in entries:
        numbered.setdefault(entry.counter, []).append(entry)
    linked = [_linked(entry, numbered) for entry in entries]
    return Chain(
        set_id=set_id,
        entries=tuple(linked),
        gaps=(*_gaps(linked), *_not_here(linked, expected or {})),
    )


def _entry(name: str, data: bytes, *, set_id: str, keys: Mapping[str, str]) -> Entry:
    digest = Sha256(hashlib.sha256(data).hexdigest())
    match = RECEIPT_NAME.match(name)
    counter = int(match[1]) if match else 0
    try:
        receipt, public_hex = read_receipt(data, file=name)
    except SignatureError as error:
        text = f"{name} was changed after it was signed, or is not signed ({error.found})"
        return _unread(name, digest, counter, Flaw.CHANGED, text)
    except InputError as error:
        text = f"{name} cannot be read as a receipt: {error.found}"
        return _unread(name, digest, counter, Flaw.NOT_A_RECEIPT, text)
    fingerprint = fingerprint_of(public_hex)
    breaks = []

    def add(flaw: Flaw, text: str) -> None:
        breaks.append(Break(flaw=flaw, counter=receipt.counter, text=text))

    if name != receipt.file_name:
        add(Flaw.RENAMED, f"{name} was written as {receipt.file_name}")
    if receipt.set_id != set_id:
        add(Flaw.OTHER_SET, f"{name} is a receipt of the set {receipt.set_name}, not of this one")
    if fingerprint not in keys:
        text = f"{name} is signed by a key not known here, fingerprint {fingerprint}"
        add(Flaw.UNKNOWN_KEY, text)
    return Entry(
        name=name,
        sha256=digest,
        counter=receipt.counter,
        receipt=receipt,
        fingerprint=fingerprint,
        signer=keys.get(fingerprint, ""),
        breaks=tuple(breaks),
    )


def _unread(name: str, digest: Sha256, counter: int, flaw: Flaw, text: str) -> Entry:
    broken = Break(flaw=flaw, counter=counter, text=text)
    return Entry(name=name, sha256=digest, counter=counter, breaks=(broken,))


def _linked(entry: Entry, numbered: Mapping[int, list[Entry]]) -> Entry:
    """Return the entry with what its neighbours say against it."""
    breaks, twins = list(entry.breaks), numbered[entry.counter]
    if entry.counter and len(twins) > 1:
        text = f"{entry.name} is one of {len(twins)} receipts with the number {entry.counter}"
        breaks.append(Break(flaw=Flaw.SAME_NUMBER, counter=entry.counter, text=text))
    before = numbered.get(entry.counter - 1, []) if entry.counter > 1 else []
    if entry.receipt is None or not all(other.receipt for other in before):
        pass  # after a changed file nothing can follow rightly: that is one fault, not two
    elif entry.counter == 1 and entry.receipt.previous:
        text = f"{entry.name} has the number 1 and was written after another receipt"
        breaks.append(Break(flaw=Flaw.OTHER_BEFORE, counter=entry.counter, text=text))
    elif before and entry.receipt.previous not in {other.sha256 for other in before}:
        text = f"{entry.name} was written after another receipt than {before[0].name}"
        breaks.append(Break(flaw=Flaw.OTHER_BEFORE, counter=entry.counter, text=text))
    return replace(entry, breaks=tuple(breaks))


def _gaps(entries: list[Entry]) -> list[Break]:
    counters = sorted({0, *(entry.counter for entry in entries)})
    return [
        Break(flaw=Flaw.MISSING, counter=low + 1, text=_missing(low + 1, high - 1))
        for low, high in pairwise(counters)
        if high - low > 1
    ]


def _missing(first: int, last: int) -> str:
    which = f"receipt {first} is" if first == last else f"receipts {first} to {last} are"
    return f"{which} missing: not copied, or removed"


def _not_here(entries: list[Entry], expected: Mapping[Sha256, str]) -> list[Break]:
    here = {entry.sha256 for entry in entries}
    found = []
    for digest, name in expected.items():
        match = RECEIPT_NAME.match(name)
        if digest not in here:
            counter = int(match[1]) if match else 0
            text = f"{name} is known here by another way and is not among them"
            found.append(Break(flaw=Flaw.MISSING, counter=counter, text=text))
    return found


# --- the document -------------------------------------------------------------------------------


def _body(receipt: Receipt) -> dict[str, Any]:
    return {
        "kind": RECEIPT,
        "format": FORMAT,
        "receipt": receipt.kind,
        "counter": receipt.counter,
        "previous": receipt.previous,
        "receipt_id": receipt.receipt_id,
        "at": as_instant(receipt.at),
        "is_clock_behind": receipt.is_clock_behind,
        "by": receipt.by,
        "site_id": receipt.site_id,
        "set_id": receipt.set_id,
        "set_name": receipt.set_name,
        "facts": dict(receipt.facts),
    }


def _receipt(body: Mapping[str, Any]) -> Receipt:
    if body["format"] != FORMAT:
        raise ValueError(f"format {body['format']!r}, not {FORMAT}")
    counter, facts, behind = body["counter"], body["facts"], body["is_clock_behind"]
    if type(counter) is not int or not 1 <= counter <= LAST_COUNTER:
        raise ValueError(f"the number {counter!r}")
    if not isinstance(facts, dict) or not isinstance(behind, bool):
        raise TypeError
    texts = {name: body[name] for name in ("by", "site_id", "set_id", "set_name")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError
    return Receipt(
        kind=_matching(_WORD, body["receipt"]),
        counter=counter,
        previous=_matching(_DIGEST, body["previous"]),
        receipt_id=_matching(_UUID, body["receipt_id"]),
        at=datetime.strptime(body["at"], _INSTANT).replace(tzinfo=UTC),
        is_clock_behind=behind,
        facts=facts,
        **texts,
    )


def _matching(pattern: re.Pattern[str], text: object) -> str:
    if not isinstance(text, str) or not pattern.match(text):
        raise ValueError(f"the value {text!r}")
    return text


def _ordered(value: Any) -> Any:
    """Return plain JSON with the keys of every object in order."""
    match value:
        case dict():
            return {name: _ordered(value[name]) for name in sorted(value)}
        case list() | tuple():
            return [_ordered(item) for item in value]
        case _:
            return value
