"""Opening a medium at a site: prove, require completeness, and only then remember."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from toolkit.errors import StorageError
from toolkit.media._medium import Medium
from toolkit.media._older import check_beside_memory
from toolkit.media._set import find_set_folder
from toolkit.media._trust import load_trust, save_state, trust_lock
from toolkit.model import Progress, Silent


def open_medium(
    root: Path,
    trust_dir: Path,
    *,
    now: datetime | None = None,
    accept_incomplete: bool = False,
    progress: Progress | None = None,
) -> Medium:
    """Prove the metadata of a medium under the site's trusted root, and remember it if it is whole.

    Args:
        root: Root of the medium, or one set folder on it.
        trust_dir: The site's trust state.
        now: The time; the clock by default. Never earlier than the time floor.
        accept_incomplete: Return an incomplete set too, so that it can be examined. The site does not
            remember it, and nothing was proven of the files that are missing.
        progress: Told of every warning.

    Raises:
        SignatureError: Signed by nobody this site trusts, or no metadata at all.
        DigestError: A file of the metadata or set.json is not the signed one.
        ExpiredError: No longer valid.
        RollbackError: Older than what this site has accepted, and something on it was withdrawn since.
        TrustError: No root was pinned here.
        StorageError: Medium missing, unreadable or incomplete (the missing parts are named).
        InputError: Several sets on the medium, or a damaged trust state.
    """
    folder = find_set_folder(root)
    with trust_lock(trust_dir):
        checked = check_beside_memory(folder, load_trust(trust_dir), now=now or datetime.now(UTC))
        medium = Medium(folder, checked)
        missing = medium.missing()
        if not missing:
            save_state(trust_dir, checked.state)
        elif not accept_incomplete:
            raise StorageError(
                f"open the set {folder}",
                found=f"it is not complete, missing {', '.join(missing[:5])}",
                expected="every file of the set, and complete.json, which is written last",
                hint="run the same `ferry media write` again where it was made; it goes on from there",
            )
    for warning in medium.warnings:
        (progress or Silent()).say(f"warning: {warning}")
    return medium
