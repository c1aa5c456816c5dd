"""What all witnesses of a file say together: proven, bad, unproven, or good against an impossible hash. Pure.

Both happen: lines and proxies damage files, and the publisher's page has carried placeholders, hashes with
digits too many and other releases' hashes. So every statement counts for what it is:

* *Origin* witnesses speak for whoever made the file: a published hash, a vendor's package hash, a signature,
  a colleague's signed catalog. Lengths and structure say that nothing was lost on the way, and nothing about
  the origin.
* Our own measurement is no second witness: the bytes are named by their hash, and nobody new speaks when they
  still have it. It speaks only against them.
* A published hash is *impossible*, and then says nothing, if it is not 64 hex digits, repeats itself, is
  listed for another version too, or was replaced later without a decision of ours. A hash that we pin and
  another version's manifest keeps as a mistake of the page is not "listed for another version": a person has
  sorted that out.

====================  ==================================================================================
verdict               when
====================  ==================================================================================
file bad              its structure is broken, its length is not the announced one, it is another release's
                      file, a package hash or signature contradicts it; or any other possible statement
                      does, and no origin witness speaks for it
unproven              something contradicts it and an origin witness speaks for it (the witnesses
                      contradict each other); or there are not two witnesses with an origin among them
file good,            nothing contradicts it but impossible hashes, its structure is whole, and either the
published hash        pinned hash is among the impossible ones or no origin witness speaks for it
impossible
proven                nothing contradicts it, it is what we pin if we pin anything, and at least two
                      witnesses speak for it, one of them an origin
====================  ==================================================================================

In this order, the worse first: one more witness for a file never makes its verdict worse, one more against it
never better. Nothing here writes a manifest: a pinned hash changes only by a person's hand.

Source: docs/adr/0005-connected-side.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from toolkit.catalog._inside import ZipReport
from toolkit.catalog._lint import is_patterned
from toolkit.model import (
    Decision,
    FileVerdict,
    Judgement,
    Manifest,
    Payload,
    Sha256,
    SolutionVersion,
    Stance,
    Statement,
    StatementKind,
    Witness,
)

_ORIGINS = frozenset(
    {
        StatementKind.PUBLISHED_HASH,
        StatementKind.PACKAGE_HASH,
        StatementKind.SIGNATURE,
        StatementKind.COLLEAGUE,
    }
)
_DECISIVE = frozenset(
    {
        StatementKind.STRUCTURE,
        StatementKind.SIZE,
        StatementKind.SIGNATURE,
        StatementKind.PACKAGE_HASH,
    }
)
"""Against these no origin witness helps."""
_WEIGHT = (
    StatementKind.STRUCTURE,
    StatementKind.SIZE,
    StatementKind.SIGNATURE,
    StatementKind.PACKAGE_HASH,
    StatementKind.PUBLISHED_HASH,
    StatementKind.COLLEAGUE,
    StatementKind.MEASUREMENT,
)
_FINDINGS_SHOWN = 5
SERVER = "the server"
"""Source of the statement about a length that was announced while downloading."""
OURSELVES = ""
"""Source of what we found in an archive; a vendor's list of its files is another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a file is."""

    sha256: Sha256
    size_bytes: int
    announced_bytes: int | None = None
    """The length that the server announced; None if the file did not just come from one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A measurement of our own of what had this payload's name before."""

    sha256: Sha256
    measured_on: date
    source: str
    """Where that file had come from."""


def judge(
    payload: Payload,
    measured: Measured,
    *,
    structure: ZipReport | None = None,
    statements: Sequence[Statement] = (),
    others: Iterable[tuple[SolutionVersion, Payload]] = (),
    earlier: Sequence[Earlier] = (),
) -> Judgement:
    """Weigh everything that is said of a file.

    Args:
        payload: What was published about it, and what we pin.
        measured: What it is.
        structure: What is inside it; None if it is not an archive or was not looked into.
        statements: What further witnesses say: package hashes, signatures, colleagues.
        others: Payloads of other names, with their versions; see `other_payloads`.
        earlier: What we measured before.
    """
    row = _Row(payload, tuple(others))
    published = tuple(row.statements(measured.sha256))
    stranger = tuple(row.stranger(measured.sha256))
    said = (
        *stranger,
        *(statement for statement, _ in published),
        *_sizes(payload, measured),
        *_structure(structure),
        *(_measurement(before, measured) for before in earlier),
        *statements,
    )
    verdict = _verdict(
        said,
        is_strangers=bool(stranger),
        is_pinned=payload.sha256 in (None, measured.sha256),
        has_impossible=any(is_impossible for _, is_impossible in published),
    )
    reasons = (
        *map(_sentence, stranger),
        *map(_sentence, _by_weight(verdict, said[len(stranger) :])),
        _advice(verdict, said, payload),
    )
    return Judgement(verdict=verdict, reasons=reasons, statements=said)


def other_payloads(
    manifests: Iterable[Manifest], payload: Payload
) -> Iterator[tuple[SolutionVersion, Payload]]:
    """Return the payloads of all manifests but those of this name, with their versions.

    One SBE serves many versions under one name; that is no contradiction.
    """
    for manifest in manifests:
        for other in manifest.payloads:
            if other.name != payload.name:
                yield manifest.version, other


def _verdict(
    said: Sequence[Statement], *, is_strangers: bool, is_pinned: bool, has_impossible: bool
) -> FileVerdict:
    """Apply the table of this module."""
    against = {item.kind for item in said if item.stance is Stance.AGAINST}
    speaking = {
        (item.kind, item.source)
        for item in said
        if item.stance is Stance.FOR and item.kind is not StatementKind.MEASUREMENT
    }
    kinds = {kind for kind, _ in speaking}
    has_origin = not kinds.isdisjoint(_ORIGINS)
    if is_strangers or against & _DECISIVE or (against and not has_origin):
        return FileVerdict.BAD
    if against:
        return FileVerdict.UNPROVEN
    if has_origin and is_pinned and len(speaking) > 1:
        return FileVerdict.PROVEN
    if has_impossible and StatementKind.STRUCTURE in kinds and not (has_origin and is_pinned):
        return FileVerdict.HASH_IMPOSSIBLE
    return FileVerdict.UNPROVEN


class _Row:
    """What was published about one payload, among everything else that was published."""

    def __init__(
        self, payload: Payload, others: tuple[tuple[SolutionVersion, Payload], ...]
    ) -> None:
        self._payload, self._others = payload, others
        pin = payload.sha256
        self._witnesses = payload.witnesses
        if pin is not None and pin not in {witness.value for witness in payload.witnesses}:
            ours = Witness(value=pin, source="the manifest's pinned hash", seen_on=date.min)
            self._witnesses = (ours, *payload.witnesses)

    def statements(self, found: Sha256) -> Iterator[tuple[Statement, bool]]:
        """Yield what each published hash says, and whether it contradicts the file and is impossible."""
        for witness in self._witnesses:
            stance, text, is_impossible = self._said(witness, found)
            yield (
                Statement(
                    kind=StatementKind.PUBLISHED_HASH,
                    stance=stance,
                    text=text,
                    source=witness.source,
                    seen_on=None if witness.seen_on == date.min else witness.seen_on,
                ),
                is_impossible,
            )

    def stranger(self, found: Sha256) -> Iterator[Statement]:
        """Say whose file it is if another version pins its hash and we do not."""
        for version, other in self._others:
            if other.sha256 == found != self._payload.sha256:
                yield Statement(
                    kind=StatementKind.PUBLISHED_HASH,
                    stance=Stance.AGAINST,
                    text=f"The file is {other.name}: download it again, from another address",
                    source=f"the manifest of {version}",
                )

    def _said(self, witness: Witness, found: Sha256) -> tuple[Stance, str, bool]:
        value = witness.value
        if made := self._set_aside(witness):
            text = f"The published {value} was set aside on {made.on} by {made.by}: {made.why}"
            return Stance.SILENT, text, False
        elsewhere = self._listed_elsewhere(value)
        if value == found and elsewhere is None:
            return Stance.FOR, "The published SHA-256 is the file's", False
        if value == found:
            text = f"The published SHA-256 is the file's, but it is also listed for {elsewhere}"
            return Stance.SILENT, text, False
        if flaw := self._flaw(value):
            text = f"The published {value} cannot be this file's SHA-256: {flaw}"
            return Stance.SILENT, text, True
        if later := self._replacement(value):
            text = (
                f"The published {value} was replaced without notice: {later.value} was published on "
                f"{later.seen_on}"
            )
            return Stance.SILENT, text, True
        return Stance.AGAINST, f"The published SHA-256 is {value}, the file's is {found}", False

    def _flaw(self, value: str) -> str:
        """Say why a published value can be no hash of this payload, whatever the file; empty: it can."""
        if not Witness(value=value, source="", seen_on=date.min).is_wellformed:
            return f"{len(value)} characters, not 64 hex digits"
        if is_patterned(value):
            return "it repeats itself, a placeholder"
        elsewhere = self._listed_elsewhere(value)
        return "" if elsewhere is None else f"it is also listed for {elsewhere}"

    def _listed_elsewhere(self, value: str) -> SolutionVersion | None:
        for version, other in self._others:
            if other.sha256 == value:
                return version
            is_sorted_out = value == self._payload.sha256 and other.sha256 is not None
            if value in {witness.value for witness in other.witnesses} and not is_sorted_out:
                return version
        return None

    def _set_aside(self, witness: Witness) -> Decision | None:
        """Return the decision for another hash by a person who knew of this one."""
        made = self._payload.decided
        is_other = witness.value != self._payload.sha256
        return made if made and is_other and witness.seen_on <= made.on else None

    def _replacement(self, value: str) -> Witness | None:
        """Return a possible hash that was published after this one was seen last."""
        last = max(witness.seen_on for witness in self._witnesses if witness.value == value)
        if self._payload.decided and value == self._payload.sha256:
            last = max(last, self._payload.decided.on)
        for witness in self._witnesses:
            if witness.seen_on > last and not self._flaw(witness.value):
                return witness
        return None


def _sizes(payload: Payload, measured: Measured) -> Iterator[Statement]:
    for who, size_bytes in (
        (SERVER, measured.announced_bytes),
        ("the manifest", payload.size_bytes),
    ):
        if size_bytes == measured.size_bytes:
            text = f"The file has the {size_bytes} bytes that {who} announced"
            yield Statement(kind=StatementKind.SIZE, stance=Stance.FOR, text=text, source=who)
        elif size_bytes is not None:
            text = (
                f"The file has {measured.size_bytes} bytes, {who} announced {size_bytes}: download it "
                "again"
            )
            yield Statement(kind=StatementKind.SIZE, stance=Stance.AGAINST, text=text, source=who)


def _structure(report: ZipReport | None) -> Iterator[Statement]:
    if report is None:
        return
    if report.is_whole:
        text = "Every member of the archive is whole, and its names and sizes are in order"
        yield _inside(Stance.FOR, text)
    elif not report.faults:
        text = f"Of the archive's {report.members} members {report.unchecked} were not checked"
        yield _inside(Stance.SILENT, text)
    for finding in report.faults[:_FINDINGS_SHOWN]:
        text = f"In the archive, {finding}"
        yield _inside(Stance.AGAINST, text)
    if len(report.faults) > _FINDINGS_SHOWN:
        text = (
            f"In the archive there are {len(report.faults) - _FINDINGS_SHOWN} more faults; "
            "`ferry catalog inspect` lists them"
        )
        yield _inside(Stance.AGAINST, text)
    doubts = [finding for finding in report.findings if not finding.is_fault]
    for finding in doubts[:_FINDINGS_SHOWN]:
        text = f"Worth knowing: {finding}"
        yield _inside(Stance.SILENT, text)


def _inside(stance: Stance, text: str) -> Statement:
    return Statement(kind=StatementKind.STRUCTURE, stance=stance, text=text, source=OURSELVES)


def _measurement(before: Earlier, measured: Measured) -> Statement:
    if before.sha256 == measured.sha256:
        stance = Stance.FOR
        text = "An earlier measurement gave the same SHA-256"
    else:
        stance = Stance.SILENT
        text = f"An earlier download gave another file, {before.sha256}: try a third address"
    return Statement(
        kind=StatementKind.MEASUREMENT,
        stance=stance,
        text=text,
        source=before.source,
        seen_on=before.measured_on,
    )


def _by_weight(verdict: FileVerdict, said: Sequence[Statement]) -> list[Statement]:
    """Return the statements that led to a verdict first."""
    stances = [Stance.AGAINST, Stance.SILENT, Stance.FOR]
    if verdict is FileVerdict.PROVEN:
        stances.reverse()
    return sorted(
        said,
        key=lambda item: (stances.index(item.stance), _WEIGHT.index(item.kind), item.source),
    )


def _sentence(said: Statement) -> str:
    where = ", ".join(str(part) for part in (said.source, said.seen_on) if part)
    return f"{said.text} ({where})" if where else said.text


def _advice(verdict: FileVerdict, said: Sequence[Statement], payload: Payload) -> str:
    """Say what to do next."""
    if verdict is FileVerdict.PROVEN:
        return f"{payload.name} may travel"
    if verdict is FileVerdict.BAD:
        return (
            "Do not use the file: download it again, from another line or address; if the same file "
            "comes, ask the publisher"
        )
    if verdict is FileVerdict.HASH_IMPOSSIBLE:
        return (
            "Ask the publisher for the SHA-256 over another channel and have it pinned in a reviewed "
            "manifest; a file altered on purpose would look the same"
        )
    if any(item.stance is Stance.AGAINST for item in said):
        return (
            "The witnesses contradict each other: find out which hash counts, pin it, and record why "
            "in the manifest as `decided`"
        )
    return (
        "Find one more witness (a published hash, a colleague's catalog, a look inside), or accept the "
        "file by name and with a reason"
    )
