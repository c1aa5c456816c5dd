"""A finished set that lost its last file: what was signed says what it is to become, so it is finished and not begun again.

`complete.json` is the only file of a set that nothing else vouches for: it may be missing, empty, of another kind or
another set's while every payload stands. The metadata that are there are used again as they are: sites may have accepted them.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from toolkit.errors import InputError, StorageError, ToolkitError
from toolkit.filesystem import sync_folder
from toolkit.media import _bag
from toolkit.media._device import write_durably
from toolkit.media._identity import contradiction, label_of
from toolkit.media._medium import Medium
from toolkit.media._set import (
    COMPLETE,
    PAYLOAD,
    SET_PATH,
    WRITING,
    Intent,
    SetPlan,
    is_signed_before,
    read_small,
)
from toolkit.media._spread import Signed, read_metadata
from toolkit.media._trust import new_trust
from toolkit.media._verify import check_set

_ANY_TIME = datetime.min.replace(tzinfo=UTC)


def holds_targets(folder: Path, wanted: Collection[str], *, now: datetime) -> bool:
    """Whether a set folder's plan, of which nothing is proven, lists exactly these payloads and is valid."""
    try:
        plan = SetPlan.from_bytes(read_small(folder / SET_PATH), file=SET_PATH)
    except (OSError, InputError):
        return False
    found = {file.target for file in plan.files if file.target.startswith(PAYLOAD)}
    return found == set(wanted) and plan.expires_at > now


def is_contradicted(folder: Path, said: Intent, root: bytes) -> bool:
    """Whether a complete set says of itself something else than was signed of it under this root.

    What is not proven, or of another publisher, contradicts nothing.
    """
    try:
        # expired or not: it is asked what it is, not whether it may be used
        medium = Medium(folder, check_set(folder, new_trust(root), now=_ANY_TIME))
        return bool(contradiction(said, medium.intent(medium.number, medium.supplement)))
    except (ToolkitError, OSError):
        return False


def regain(folder: Path, wanted: Intent, root: bytes, *, now: datetime) -> tuple[Signed, Intent]:
    """Have a set whose `complete.json` says nothing, or something else than was signed, say again what it is to become (`writing.json`).

    Args:
        folder: The set folder.
        wanted: What is to be written; the set must be of the same purpose.
        root: `1.root.json` of the keys.
        now: The time.

    Returns:
        What was signed of it, and what it is to become.

    Raises:
        StorageError: It is not this publisher's set of that purpose, or not proven to be.
    """
    try:
        medium = Medium(folder, check_set(folder, new_trust(root), now=now))
        signed = Signed(plan=medium.plan, metadata=read_metadata(folder, medium.metadata_names))
        numbers = [
            number
            for number in range(1, signed.plan.media_count + 1)
            if label_of(folder) == signed.plan.label(number)
        ]
    except (ToolkitError, OSError) as error:
        raise _refused(folder, str(error)) from error
    if not numbers:
        raise _refused(folder, f"{_bag.INFO} does not call it a medium of its set")
    intent = medium.intent(numbers[0])
    if (intent.purpose, intent.media_count) != (wanted.purpose, wanted.media_count):
        raise _refused(folder, "it was written with other keys, recipients, sizes or payloads")
    if not is_under_way(folder):  # else its notes stay
        _say_again(folder, intent)
    return signed, intent


def is_under_way(folder: Path) -> bool:
    """Whether a set that lost its last file was being finished when that was stopped: its signatures stay as they are."""
    try:
        return not (folder / COMPLETE).exists() and is_signed_before(read_small(folder / WRITING))
    except (OSError, InputError):
        return False


def regain_supplement(folder: Path, intent: Intent, signed: Signed) -> bool:
    """Do the same with a supplement; false where the folder is none, or has pieces that this one shall not have.

    Raises:
        OSError: The medium cannot be written.
    """
    try:
        is_same = read_small(folder / SET_PATH) == signed.plan.to_bytes()
        if not is_same or label_of(folder) != intent.label:
            return False
    except (OSError, InputError):
        return False
    pieces = (piece.path for file in signed.plan.files for piece in file.pieces)
    if any((folder / path).exists() for path in pieces if path not in intent.supplement):
        return False
    _say_again(folder, intent)
    return True


def _say_again(folder: Path, intent: Intent) -> None:
    (folder / COMPLETE).unlink(missing_ok=True)
    write_durably(folder / WRITING, intent.to_bytes(signed=True))
    sync_folder(folder)


def _refused(folder: Path, reason: str) -> StorageError:
    return StorageError(
        f"finish the set {folder}",
        found=f"the same payloads, no {COMPLETE} that says what it is, and {reason}",
        expected="this very set, so that it can be finished, or none with these payloads",
        hint="delete that folder by hand if nobody needs it, and run the same command again; or leave it and write "
        "another set beside it, with a name of your own: --name",
    )
