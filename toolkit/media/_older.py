"""Judging a set beside the memory of the site: an older one is good while what it carries is still listed.

TUF refuses every set older than the newest accepted one, because an old one could bring back a withdrawn
update. But two sticks written for one trip differ in age, too. So an older set is proven once more by
itself, under the newest root; then the publisher's newest statement, kept in the site's memory, decides:
every payload must stand there with the same bytes, and the facts about it are taken from there. The
memory is never set back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from toolkit.errors import RollbackError
from toolkit.media._keys import SNAPSHOT, TARGETS, TIMESTAMP
from toolkit.media._trust import Trust
from toolkit.media._verify import HISTORY, Checked, check_set


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
        older = check_set(folder, _knowing_roots_only(trust), now=now)
        listed = _newest_statement(trust, older, at=max(now, trust.state.floor))
        if listed is None:
            raise
        carried = {
            name: target for name, target in older.targets.items() if not name.startswith("plan/")
        }
        withdrawn = [name for name in sorted(carried) if not _is_in(listed, name, carried[name])]
        if withdrawn:
            raise RollbackError(
                rollback.attempted,
                found=f"{rollback.found}; withdrawn: {', '.join(withdrawn)}",
                expected=rollback.expected,
                hint=rollback.hint,
            ) from rollback
    return replace(
        older,
        targets={**older.targets, **{name: listed[name] for name in carried}},
        state=trust.state,
        warnings=(
            *older.warnings,
            f"{older.plan.set_name} is too old (issued {older.plan.issued_at:%Y-%m-%d}), but its payloads "
            "are still listed by the newest set this site accepted; the newest one stays remembered",
        ),
    )


def _knowing_roots_only(trust: Trust) -> Trust:
    roots = {name: data for name, data in trust.state.metadata.items() if name.startswith(HISTORY)}
    return replace(trust, state=replace(trust.state, metadata=roots))


def _newest_statement(
    trust: Trust, older: Checked, *, at: datetime
) -> Mapping[str, TargetFile] | None:
    """Return the targets accepted last, or None once they expired or their keys were replaced."""
    roots = (data for name, data in older.state.metadata.items() if name.startswith(HISTORY))
    newest = max(
        (Metadata[Root].from_bytes(data).signed for data in roots), key=lambda root: root.version
    )
    try:
        for role in (TIMESTAMP, SNAPSHOT, TARGETS):
            signed = Metadata[Targets].from_bytes(trust.state.metadata[f"{role}.json"])
            newest.verify_delegate(role, signed.signed_bytes, signed.signatures)
            if signed.signed.is_expired(at):
                return None
    except RepositoryError:
        return None
    return signed.signed.targets


def _is_in(listed: Mapping[str, TargetFile], name: str, target: TargetFile) -> bool:
    found = listed.get(name)
    return found is not None and (found.length, found.hashes) == (target.length, target.hashes)
