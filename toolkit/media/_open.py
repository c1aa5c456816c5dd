"""Opening a medium at a site: prove, require completeness, and only then remember."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit.errors import InputError, SignatureError, StorageError, misread
from toolkit.media._device import on_storage
from toolkit.media._identity import is_supplement, sets_named
from toolkit.media._medium import Medium, describe_medium
from toolkit.media._older import check_beside_memory
from toolkit.media._repair import read_repaired
from toolkit.media._report import FINISH_HERE
from toolkit.media._set import (
    COMPLETE,
    SET_TARGET,
    find_place,
    find_set_folder,
    is_beside_media,
)
from toolkit.media._sign import CUSTODY_KEY
from toolkit.media._trust import load_trust, may_have_forgotten, save_state, trust_lock
from toolkit.media._verify import Checked, go_on, how_to_complete
from toolkit.model import Progress, Silent
from toolkit.signed import fingerprint_of


def open_medium(
    root: Path,
    trust_dir: Path,
    *,
    others: Sequence[Path] = (),
    now: datetime | None = None,
    accept_incomplete: bool = False,
    progress: Progress | None = None,
) -> Medium:
    """Prove the metadata of a medium under the site's trusted root, and remember it if it is whole.

    Args:
        root: Root of the medium, or one set folder on it.
        trust_dir: The site's trust state.
        others: Further media of the same set, its supplements, and folders that `repair_medium` made, in any
            order: what was named first changes places with the first medium, or else the first supplement.
        now: The time; the clock by default. Never earlier than the time floor.
        accept_incomplete: Return an incomplete set too, so that it can be examined. The site does not
            remember it, and nothing was proven of the files that are missing. Nor does it remember a
            supplement alone, which is not a set.
        progress: Told of every warning.

    Raises:
        SignatureError: Signed by nobody this site trusts, or no metadata at all.
        DigestError: A file of the metadata or set.json is not the signed one.
        ExpiredError: No longer valid.
        RollbackError: Older than what this site has accepted, and something on it was withdrawn since.
        TrustError: No root was pinned here.
        StorageError: Medium missing, unreadable or incomplete (the missing parts are named).
        InputError: Several sets on the medium, one medium named twice, or a damaged trust state.
    """
    named = (root, *others)
    with on_storage(f"open the set {root}"):
        folder, others = _main_first(named)
        with trust_lock(trust_dir):
            trust = load_trust(trust_dir)
            forgotten = may_have_forgotten(trust_dir, trust)
            checked = check_beside_memory(folder, trust, now=now or datetime.now(UTC))
            repaired, further, finished = _same_set(folder, others, checked)
            medium = Medium(
                folder, checked, repaired=repaired, others=further, named=named, finished=finished
            )
            missing, unfinished = medium.missing(), medium.unfinished()
            if not missing and not medium.supplement:
                save_state(trust_dir, checked.state)
            elif missing and not accept_incomplete:
                raise StorageError(
                    f"open the set {unfinished[0] if unfinished else folder}",
                    found=f"it is not complete, missing {', '.join(missing[:5])}",
                    expected="every file of the set, and complete.json, which is written last",
                    hint=_how_to_finish(unfinished[0], missing)
                    if unfinished
                    else how_to_complete(folder),
                )
    for warning in filter(None, (forgotten, *medium.warnings)):
        (progress or Silent()).say(f"warning: {warning}")
    return medium


def vouched_key(root: Path, trust_dir: Path, *, now: datetime | None = None) -> str:
    """Return the fingerprint of the key of home's receipts, which a set's signed metadata vouch for.

    Nothing is remembered, and no payload is read.

    Args:
        root: Root of the medium, or one set folder on it.
        trust_dir: The site's trust state.
        now: The time; the clock by default.

    Returns:
        The fingerprint; empty where the metadata name no key.

    Raises:
        TrustError: The metadata cannot be proven here as `open_medium` proves them: damaged, expired, rolled back,
            of another publisher.
        StorageError: Medium missing, unreadable or incomplete.
        InputError: Several sets on the medium, or a damaged trust state.
    """
    folder = find_set_folder(root)
    checked = check_beside_memory(folder, load_trust(trust_dir), now=now or datetime.now(UTC))
    custom: dict[str, Any] = checked.targets[SET_TARGET].custom or {}
    key = custom.get(CUSTODY_KEY)
    try:
        return fingerprint_of(str(key)) if key else ""
    except ValueError as error:
        raise SignatureError(
            f"read the key of home's receipts of {folder.name}",
            found=misread(error),
            expected="64 hex digits",
            hint="a newer ferry may have written the medium; use that one",
        ) from error


def _how_to_finish(folder: Path, missing: Sequence[str]) -> str:
    """Return what to do about a medium that is not finished; where its last file alone is missing, there are two ways."""
    if tuple(missing) != (COMPLETE,):
        return go_on(folder)
    return f"{go_on(folder)}; or {FINISH_HERE}"


def _main_first(roots: Sequence[Path]) -> tuple[Path, Sequence[Path]]:
    """Return the folder of a medium, a supplement only where there is none, and the other places."""
    folders = list(map(find_place, roots))
    signed = [folder for folder in folders if not is_beside_media(folder)]
    signed = signed or [find_set_folder(folders[0])]  # which is refused
    main = next((folder for folder in signed if not is_supplement(folder)), signed[0])
    number = folders.index(main)
    return main, (*roots[:number], *roots[number + 1 :])


def _same_set(
    first: Path, others: Sequence[Path], checked: Checked
) -> tuple[tuple[Path, ...], tuple[Path, ...], frozenset[int]]:
    """Part other places of one set into what is looked into first and media, and return what was finished by a repair.

    First come repaired files and supplements, which have what is bad elsewhere. Bytes are proven when they are
    copied.
    """
    repaired: list[Path] = []
    media: list[Path] = []
    finished: frozenset[int] = frozenset()
    for root in others:
        folder = find_place(root)
        with on_storage(f"look into {folder}"):
            is_twice = any(folder.samefile(other) for other in (first, *media, *repaired))
            found = read_repaired(folder)
        if is_twice:
            raise InputError(
                "put a set together",
                file=str(root),
                found=f"{folder.name} there is named twice",
                expected="each medium of the set once",
                hint="leave it out, or name the medium that you meant",
            )
        (media if found is None and not is_supplement(folder) else repaired).append(folder)
        named = (found.set_id,) if found is not None else sets_named(folder)
        if not named:
            named = (describe_medium(folder).set_id,)  # which says what is wrong there
        if checked.plan.set_id not in named:
            raise InputError(
                "put a set together",
                file=str(root),
                found=f"{folder.name} ({named[0]})",
                expected=f"a medium or repaired files of {checked.plan.set_name} ({checked.plan.set_id})",
                hint="leave it out, or name only media of one set",
            )
        finished |= found.finished if found is not None else frozenset()
    return tuple(repaired), tuple(media), finished
