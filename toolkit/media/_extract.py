"""Taking the vendor's files off media: put together, decrypted, and proven before they have their names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from toolkit.errors import StorageError
from toolkit.filesystem import sync_folder
from toolkit.media._device import free_bytes, gone_on_error, holds, on_storage
from toolkit.media._medium import Medium
from toolkit.media._place import require_elsewhere
from toolkit.media._set import PAYLOAD
from toolkit.model import Progress, Silent, Target, human_size


def extract_payloads(
    medium: Medium, folder: Path, *, progress: Progress | None = None
) -> tuple[Path, ...]:
    """Write every payload of a set into a folder under the vendor's name.

    The same call goes on: a file that stands there and has the signed hash is kept.

    Args:
        medium: A medium whose metadata were proven, of an encrypted set an unlocked one.
        folder: A folder on a local disk, not on one of the media; made if need be.
        progress: Told of every step.

    Returns:
        The files, in order of target names.

    Raises:
        TrustError: What lies on the media is not what was signed.
        StorageError: A piece is missing, the folder lies on one of the media, has too little room, or holds
            another file of such a name.
        InputError: The set is encrypted, and no identity has opened it.
    """
    progress = progress or Silent()
    wanted = {folder / target.name.removeprefix(PAYLOAD): target for target in medium.targets()}
    attempted = f"extract {medium.set_name} into {folder}"
    with on_storage(attempted):
        require_elsewhere(folder, medium.places, attempted=attempted)
        folder.mkdir(parents=True, exist_ok=True)
        absent = {
            path: target for path, target in wanted.items() if not _is_there(path, target, progress)
        }
        _require_room(folder, tuple(absent.values()))
        for path, target in absent.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _extract(medium, target, path, progress)
    return tuple(wanted)


def _extract(medium: Medium, target: Target, path: Path, progress: Progress) -> None:
    part = path.with_name(f"{path.name}.part")
    with gone_on_error(part):
        with part.open("wb") as out:
            medium.copy_target(target.name, out, progress=progress)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    sync_folder(path.parent)


def _is_there(path: Path, target: Target, progress: Progress) -> bool:
    if not path.exists():
        return False
    if not holds(path, size_bytes=target.size_bytes, sha256=target.sha256, progress=progress):
        raise StorageError(
            f"extract {target.name}",
            found=f"another file at {path}",
            expected="none, or this one",
            hint="choose an empty folder, or remove that file if nobody needs it",
        )
    return True


def _require_room(folder: Path, targets: Sequence[Target]) -> None:
    needed, free = sum(target.size_bytes for target in targets), free_bytes(folder)
    if free < needed:
        raise StorageError(
            f"extract into {folder}",
            found=f"{human_size(free)} free",
            expected=human_size(needed),
            hint="free space, or give another folder: --to DIR",
        )
