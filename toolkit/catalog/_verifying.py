"""Reading held bytes once more: are they what their name says, and what do the witnesses say today?

Nothing is deleted and nothing moved unless that is asked for: a changed file is named, its record says
that it is bad, and so it does not travel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from toolkit.catalog._gate import SET_ASIDE
from toolkit.catalog._hashing import Measured, measure
from toolkit.catalog._held import select_among
from toolkit.catalog._holding import Holding
from toolkit.catalog._intake import without_measurement
from toolkit.catalog._judging import explanation
from toolkit.catalog._records import Record
from toolkit.catalog._storage import storage
from toolkit.errors import DigestError, InputError, StorageError, ToolkitError
from toolkit.model import (
    FileVerdict,
    HeldPayload,
    Judgement,
    Manifest,
    Progress,
    Sha256,
    Stance,
    Statement,
    StatementKind,
)


class Condition(StrEnum):
    """What became of held bytes."""

    SOUND = "sound"
    CHANGED = "changed"
    """Their SHA-256 is no longer the one they are named by."""
    MISSING = "missing"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPayload:
    """One payload after its bytes were read again."""

    held: HeldPayload
    """With today's judgement."""
    condition: Condition
    detail: str = ""
    is_recorded: bool = True
    """Whether the catalog could take the result (a read-only one cannot)."""
    quarantined: Path | None = None
    """Where the explanation stands, if the payload was taken out of the catalog."""

    @property
    def is_bad(self) -> bool:
        """Whether the file must not be used."""
        return self.held.judgement.verdict is FileVerdict.BAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What reading held payloads again brought to light."""

    payloads: tuple[VerifiedPayload, ...]
    unclear: tuple[InputError, ...] = ()
    """Records that cannot be understood, of whatever payload."""

    @property
    def problem(self) -> ToolkitError | None:
        """The error that it amounts to, if any of the files cannot be used."""
        count = len(self.payloads)
        bad = [item for item in self.payloads if item.is_bad]
        if bad:
            is_moved = all(item.quarantined for item in bad)
            return DigestError(
                "verify held payloads",
                found=f"{len(bad)} of {count} bad: {_places(bad)}",
                hint="download or add them again" if is_moved else SET_ASIDE,
            )
        if self.unclear:
            return InputError(
                "verify held payloads",
                found=f"{len(self.unclear)} records cannot be understood, the first: {self.unclear[0]}",
                hint=self.unclear[0].hint,
            )
        lost = [item for item in self.payloads if item.condition is not Condition.SOUND]
        if lost:
            return StorageError(
                "verify held payloads",
                found=f"{len(lost)} of {count} cannot be read: {_places(lost)}",
                hint="get them again, with `ferry catalog download` or, of an SBE, `ferry catalog add`",
            )
        return None


def _places(items: Iterable[VerifiedPayload]) -> str:
    return ", ".join(f"{item.held.shelf}/{item.held.name}" for item in items)


def verify_held(
    holding: Holding,
    words: Sequence[str] = (),
    *,
    manifests: Iterable[Manifest] = (),
    is_deep: bool = False,
    quarantine: bool = False,
    progress: Progress,
) -> Verification:
    """Read held files, compare them with their names, and judge them by today's manifests.

    Arguments and errors: `Catalog.verify`.
    """
    known = tuple(manifests)
    by_version = {str(manifest.version): manifest for manifest in known}
    measured: dict[Sha256, _Reading] = {}
    results = []
    records, _, unclear = holding.store.understood()
    for record in select_among(records, words, holding.root):
        held = record.held
        if held.sha256 not in measured:
            measured[held.sha256] = _read(record, progress)
        reading = measured[held.sha256]
        if reading.condition is Condition.SOUND:
            judgement = holding.judge_again(
                record,
                manifest=by_version.get(held.shelf),
                known=known,
                is_deep=is_deep,
                progress=progress,
            )
        elif reading.condition is Condition.CHANGED:
            judgement = _changed(reading, held)
        else:
            judgement = held.judgement
        result = VerifiedPayload(
            held=_with(held, judgement), condition=reading.condition, detail=reading.detail
        )
        results.append(_record(holding, result, reading, progress))
        progress.say(f"{held.name}: {result.condition.value}, {judgement.verdict.value}")
    if quarantine:
        results = _quarantine(holding, results, measured, progress)
    return Verification(payloads=tuple(results), unclear=tuple(unclear))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    condition: Condition
    detail: str = ""
    found: Measured | None = None
    modified_ns: int = 0


def _read(record: Record, progress: Progress) -> _Reading:
    held = record.held
    try:
        with storage(f"read {held.path}"):
            if not held.path.exists():
                return _Reading(condition=Condition.MISSING, detail=f"no file {held.path}")
            modified_ns = held.path.stat().st_mtime_ns
            found = measure(held.path, what=f"verify {held.name}", progress=progress)
    except StorageError as error:
        return _Reading(condition=Condition.UNREADABLE, detail=str(error))
    is_sound = found.sha256 == held.sha256
    return _Reading(
        condition=Condition.SOUND if is_sound else Condition.CHANGED,
        detail="" if is_sound else f"{found.size_bytes} bytes, sha256 {found.sha256}",
        found=found,
        modified_ns=modified_ns,
    )


def _changed(reading: _Reading, held: HeldPayload) -> Judgement:
    text = f"it was changed after it was proven, or the disk fails: {reading.detail}"
    statement = Statement(kind=StatementKind.MEASUREMENT, stance=Stance.AGAINST, text=text)
    statements = (statement, *without_measurement(held))
    return Judgement(verdict=FileVerdict.BAD, reasons=(text,), statements=statements)


def _with(held: HeldPayload, judgement: Judgement) -> HeldPayload:
    accepted = held.acceptance if judgement.verdict is FileVerdict.UNPROVEN else None
    return replace(held, judgement=judgement, acceptance=accepted)


def _record(
    holding: Holding, result: VerifiedPayload, reading: _Reading, progress: Progress
) -> VerifiedPayload:
    """Write the judgement down, unless somebody changed the record meanwhile or nobody can."""
    held = result.held
    if reading.found is None:
        return result
    try:
        with holding.store.changing(progress):
            now = holding.store.record(held.shelf, held.name)
            if now is None or now.held.sha256 != held.sha256:
                return replace(result, is_recorded=False)
            is_sound = result.condition is Condition.SOUND
            holding.store.write(
                replace(
                    now,
                    held=_with(now.held, held.judgement),
                    verified_at=holding.now(),
                    # of changed bytes the old time stays: whoever uses them measures them again
                    modified_ns=reading.modified_ns if is_sound else now.modified_ns,
                )
            )
    except StorageError as error:
        progress.say(f"{held.name}: the result cannot be recorded: {error}")
        return replace(result, is_recorded=False)
    return result


def _quarantine(
    holding: Holding,
    results: Sequence[VerifiedPayload],
    measured: dict[Sha256, _Reading],
    progress: Progress,
) -> list[VerifiedPayload]:
    explained: dict[Sha256, Path] = {}
    for digest, reading in measured.items():
        condemned = [item.held for item in results if item.is_bad and item.held.sha256 == digest]
        if condemned and reading.found is not None:
            explained[digest] = _set_aside(holding, condemned, reading.found, progress)
    return [
        replace(item, quarantined=explained.get(item.held.sha256)) if item.is_bad else item
        for item in results
    ]


def _set_aside(
    holding: Holding, condemned: Sequence[HeldPayload], found: Measured, progress: Progress
) -> Path:
    """Take condemned payloads of the same bytes out, and the bytes if no record of them is left."""
    store, now, (first, *_) = holding.store, holding.now(), condemned
    with store.changing(progress):
        records = [item for item in store.understood()[0] if item.held.sha256 == first.sha256]
        going = [
            record
            for record in records
            if found.sha256 != first.sha256 or record.held.judgement.verdict is FileVerdict.BAD
        ]
        staying = [f"{item.held.shelf}/{item.held.name}" for item in records if item not in going]
        remarks = (f"The bytes stay for {', '.join(staying)}",) if staying else ()
        text = "".join(
            explanation(
                f"set aside {now.isoformat(timespec='seconds')} from {held.shelf}",
                expected=held.sha256,
                sha256=found.sha256,
                size_bytes=found.size_bytes,
                judgement=held.judgement,
                remarks=remarks,
            )
            for held in condemned
        )
        # in this order a killed process leaves records, by which the same command finds its way
        for record in going:
            store.hide(record)
        path = None if staying else first.path
        explained = store.set_aside(path, first.name, found.sha256, text)
        for record in going:
            store.forget(record)
    return explained
