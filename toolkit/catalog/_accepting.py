"""A person answers with a name and a reason for a file that its witnesses do not prove."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from toolkit.catalog._gate import advice
from toolkit.catalog._held import select_one
from toolkit.catalog._store import Store
from toolkit.errors import DigestError, InputError
from toolkit.model import Acceptance, FileVerdict, HeldPayload, Progress


def accept(
    store: Store, word: str, *, by: str, reason: str, now: datetime, progress: Progress
) -> HeldPayload:
    """Write down who answers for a file that its witnesses do not prove, and why.

    Arguments and errors: `Catalog.accept`.
    """
    if not by.strip() or not reason.strip():
        raise InputError(
            f"accept {word}",
            found="nobody's name" if reason.strip() else "no reason",
            expected="who answers for it, and why",
            hint="both are signed on every medium that carries it",
        )
    with store.changing(progress):
        record = select_one(store, word)
        held = record.held
        _check_acceptable(held)
        accepted = Acceptance(by=by.strip(), reason=reason.strip(), at=now)
        record = replace(record, held=replace(held, acceptance=accepted))
        store.write(record)
    return record.held


def _check_acceptable(held: HeldPayload) -> None:
    attempted, judgement = f"accept {held.name} of {held.shelf}", held.judgement
    found = f"{judgement.verdict.value}: {'; '.join(judgement.reasons)}"
    match judgement.verdict:
        case FileVerdict.UNPROVEN:
            return
        case FileVerdict.BAD:
            raise DigestError(attempted, found=found, hint=advice(judgement))
        case FileVerdict.HASH_IMPOSSIBLE:
            raise InputError(
                attempted,
                found=found,
                expected="a reviewed hash instead of a person's word",
                hint=advice(judgement),
            )
        case FileVerdict.PROVEN:
            raise InputError(attempted, found=found, hint="it travels as it is")
