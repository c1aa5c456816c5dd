"""Repair in scratch space: what is damaged on a medium is made good beside it, and the medium stays untouched.

The scratch folder gets a folder named like the set, with the repaired files under the paths they have on the
medium and `repaired.json`, written last. `open_medium` takes it as one more place to look, before the medium.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import DigestError, InputError, StorageError, misread
from toolkit.media._device import free_bytes, measure, on_storage, write_durably
from toolkit.media._medium import Medium
from toolkit.media._parity import MEMORY_MB, parity_folder, repair_file, require_tool
from toolkit.media._report import WRITE_ANEW, FileReport
from toolkit.media._set import REPAIRED, SetPiece, read_small
from toolkit.model import Progress, Silent, human_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What came of repairing a medium."""

    folder: Path | None
    """Where the repaired files lie; None: nothing was damaged."""
    repaired: tuple[str, ...]
    """Paths as on the medium; each has the signed hash."""
    hopeless: tuple[tuple[str, str], ...]
    """Path and reason of what could not be repaired."""

    def problem(self) -> DigestError | None:
        """Return the error this amounts to, or None when everything is good now."""
        if not self.hopeless:
            return None
        return DigestError(
            "repair the medium",
            found="; ".join(f"{path}: {reason}" for path, reason in self.hopeless),
            expected="the signed bytes",
            hint=WRITE_ANEW,
        )


def repair_medium(
    medium: Medium,
    scratch: Path,
    *,
    memory_mb: int = MEMORY_MB,
    progress: Progress | None = None,
) -> Repair:
    """Read a medium whole, and make every damaged file below `data/` good in the scratch folder.

    The same call goes on: what was repaired and still has the signed hash is kept.

    Args:
        medium: A medium whose metadata were proven, incomplete or not.
        scratch: A folder on a local disk with room for twice the largest damaged file.
        memory_mb: What `par2` may take.
        progress: Told of every step.

    Raises:
        InputError: `par2` is not installed.
        StorageError: Too little room in the scratch folder.
    """
    progress = progress or Silent()
    tool = require_tool(f"repair {medium.label}")
    damaged = medium.damaged_pieces(medium.verify(progress))
    if not damaged:
        return Repair(folder=None, repaired=(), hopeless=())
    folder = scratch / medium.set_name
    repaired: list[str] = []
    hopeless: list[tuple[str, str]] = []
    with on_storage(f"repair {medium.label} in {scratch}"):
        folder.mkdir(parents=True, exist_ok=True)
        _require_room(scratch, [piece for _, piece in damaged])
        for report, piece in damaged:
            target = folder / piece.path
            if not _is_good(target, piece):
                reason = _repair(tool, medium, report, piece, target, memory_mb, progress)
                if reason is not None:
                    hopeless.append((piece.path, reason))
                    continue
            progress.say(f"{piece.path} is good again, and has the signed hash")
            repaired.append(piece.path)
        document = {
            "format": 1,
            "kind": "ferry-repair",
            "set_id": medium.set_id,
            "set_name": medium.set_name,
            "files": repaired,
        }
        write_durably(folder / REPAIRED, (json.dumps(document, indent=1) + "\n").encode())
    return Repair(folder=folder, repaired=tuple(repaired), hopeless=tuple(hopeless))


def read_repaired(folder: Path) -> str | None:
    """Return the id of the set that a folder holds repaired files of, or None if it is no such folder.

    Raises:
        InputError: `repaired.json` cannot be understood.
        OSError: It cannot be read.
    """
    try:
        data = read_small(folder / REPAIRED)
    except FileNotFoundError:
        return None
    try:
        return str(json.loads(data)["set_id"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            "read what was repaired", file=str(folder / REPAIRED), found=misread(error)
        ) from error


def _repair(
    tool: Path,
    medium: Medium,
    report: FileReport,
    piece: SetPiece,
    target: Path,
    memory_mb: int,
    progress: Progress,
) -> str | None:
    if not report.has_parity:
        return "no parity was written for it"
    target.parent.mkdir(parents=True, exist_ok=True)
    reason = repair_file(
        tool,
        medium.folder / piece.path,
        parity_folder(medium.folder, piece.sha256),
        target,
        memory_mb=memory_mb,
        size_bytes=piece.size_bytes,
        progress=progress,
    )
    if reason is not None:
        return reason
    if not _is_good(target, piece):
        target.unlink()
        return "what parity makes of it does not have the signed hash"
    return None


def _is_good(path: Path, piece: SetPiece) -> bool:
    return path.is_file() and measure(path).sha256 == piece.sha256


def _require_room(scratch: Path, pieces: Sequence[SetPiece]) -> None:
    needed = sum(piece.size_bytes for piece in pieces) + max(piece.size_bytes for piece in pieces)
    free = free_bytes(scratch)
    if free < needed:
        raise StorageError(
            f"repair in {scratch}",
            found=f"{human_size(free)} free",
            expected=f"{human_size(needed)}: the damaged files, and the largest of them once more",
            hint="give another --scratch folder",
        )
