"""Judging a set beside the memory of the site: an older one is good while what it carries is still listed.

TUF refuses every set older than the newest accepted one, because an old one could bring back a withdrawn
update. But two sticks written for one trip differ in age, too. So an older set is proven once more by
itself, under the newest root; then the publisher's newest statement, kept in the site's memory, decides:
every payload must stand there with the same bytes, and the facts about it are taken from there; of an
encrypted one its plaintext counts, and how it lies on the older medium only the older set can say. The
memory is never set back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from toolkit.errors import RollbackError
from toolkit.media._keys import SNAPSHOT, TARGETS, TIMESTAMP
from toolkit.media._sign import BLOCKS, ENCRYPTED
from toolkit.media._trust import Trust
from toolkit.media._verify import HISTORY, Checked, check_set

_STORED = (BLOCKS, ENCRYPTED)
"""What `custom` of a target says of its bytes on one set of media."""


def check_beside_memory(folder: Path, trust: Trust, *, now: datetime) -> Checked:
    """Prove a set as `check_set` does; an older one counts while all that it carries is still listed.

    Raises:
        RollbackError: Older than what this site has accepted, and something on it was withdrawn since.
        TrustError: As `check_set`; an older set is judged under the newest root.
        StorageError: As `check_set`.
        InputError: As `check_set`.

    Source: TUF specification, client workflow 5.4.3 and 5.5.5 (rollback), relaxed as said above.
    """
    try:
        return check_set(folder, trust, now=now)
    except RollbackError as rollback:
        older = check_set(folder, _knowing_roots_only(trust), now=now, whole=trust)
        newest = _newest_statement(trust, older)
        if newest is None or newest.expires_at <= max(now, trust.state.floor):
            raise
        # what lies under plan/ is about its own set only
        carried = {
            name: target for name, target in older.targets.items() if not name.startswith("plan/")
        }
        withdrawn = [name for name in sorted(carried) if not newest.lists(name, carried[name])]
        if withdrawn:
            raise RollbackError(
                rollback.attempted,
                found=f"{rollback.found}; withdrawn: {', '.join(withdrawn)}",
                expected=rollback.expected,
                hint=rollback.hint,
            ) from rollback
    return replace(
        older,
        targets={
            **older.targets,
            **{name: _restated(target, newest.targets[name]) for name, target in carried.items()},
        },
        expires_at=min(older.expires_at, newest.expires_at),
        state=trust.state,
        warnings=(
            *older.warnings,
            f"{older.plan.set_name} is too old (issued {older.plan.issued_at:%Y-%m-%d %H:%M:%S} UTC), but its payloads "
            "are still listed by the newest set this site accepted; the newest one stays remembered",
        ),
    )


def _knowing_roots_only(trust: Trust) -> Trust:
    roots = {name: data for name, data in trust.state.metadata.items() if name.startswith(HISTORY)}
    return replace(trust, state=replace(trust.state, metadata=roots))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    """What the publisher said last, as far as this site knows."""

    targets: Mapping[str, TargetFile]
    expires_at: datetime

    def lists(self, name: str, target: TargetFile) -> bool:
        found = self.targets.get(name)
        return found is not None and _payload(found) == _payload(target)


def _payload(target: TargetFile) -> tuple[object, object]:
    """Return length and hashes of what a target is when it was decrypted."""
    plain = (target.custom or {}).get(ENCRYPTED)
    if isinstance(plain, dict):
        return plain.get("size_bytes"), {"sha256": plain.get("sha256")}
    return target.length, target.hashes


def _restated(target: TargetFile, newest: TargetFile) -> TargetFile:
    """Return a target with the newest facts about its payload, and how it lies on the older medium."""
    own, facts = (
        {name: value for name, value in (custom or {}).items() if (name in _STORED) is is_own}
        for custom, is_own in ((target.custom, True), (newest.custom, False))
    )
    return TargetFile(target.length, target.hashes, target.path, {"custom": {**facts, **own}})


def _newest_statement(trust: Trust, older: Checked) -> _Statement | None:
    """Return what was accepted last, or None if its keys were replaced since or it cannot be read."""
    history = (data for name, data in older.state.metadata.items() if name.startswith(HISTORY))
    roots = (Metadata[Root].from_bytes(data).signed for data in history)
    newest = max(roots, key=lambda root: root.version)
    try:
        remembered = {
            role: Metadata[Targets].from_bytes(trust.state.metadata[f"{role}.json"])
            for role in (TIMESTAMP, SNAPSHOT, TARGETS)
        }
        for role, metadata in remembered.items():
            newest.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, KeyError):
        return None
    return _Statement(
        targets=remembered[TARGETS].signed.targets,
        expires_at=min(metadata.signed.expires for metadata in remembered.values()),
    )
