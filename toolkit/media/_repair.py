"""Repair in scratch space: what is damaged on a medium is made good beside it, and the medium stays untouched.

The scratch folder gets a folder named like the set, with the repaired files under the paths they have on the
medium and `repaired.json`, written last. `open_medium` takes it as one more place to look, before the medium.
Where a medium lost its `complete.json` and every piece was proven now, `repaired.json` says so in its place.
"""

from __future__ import annotations

import contextlib
import json
import operator
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from toolkit.errors import DigestError, InputError, StorageError, misread, system_says
from toolkit.media._device import (
    NotRegularError,
    free_bytes,
    holds,
    on_storage,
    require_regular,
    write_durably,
)
from toolkit.media._lock import repairing_alone
from toolkit.media._medium import Medium
from toolkit.media._parity import MEMORY_MB, has_tool, parity_folder, repair_file, require_tool
from toolkit.media._place import require_elsewhere
from toolkit.media._report import BAD, FileReport, Verdict
from toolkit.media._set import COMPLETE, REPAIRED, SetPiece, read_small
from toolkit.model import Progress, Silent, human_size

_WORK = "repair.part"
"""Where `par2` works meanwhile, in the folder of repaired files; what a killed repair left of it takes room."""


_WITHOUT = "; or ask home for what is damaged, naming the medium: ferry media request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What came of repairing a medium."""

    folder: Path | None
    """Where repaired files of the set lie; None: there are none."""
    repaired: tuple[str, ...]
    """Paths as on the medium; each has the signed hash."""
    hopeless: tuple[tuple[str, str], ...]
    """Path and reason of what could not be repaired."""
    missing: tuple[str, ...] = ()
    """Paths of what is not there at all: parity makes no such file."""

    def problem(self) -> DigestError | None:
        """Return the error this amounts to, or None when everything is good now."""
        if not self.hopeless:
            return None
        places = "the medium" if self.folder is None else "the medium and the scratch folder"
        return DigestError(
            "repair the medium",
            found="; ".join(f"{path}: {reason}" for path, reason in self.hopeless),
            expected="the signed bytes",
            hint=f"ask home for the rest, naming {places}: ferry media request",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What a folder of repaired files says of itself."""

    set_id: str
    finished: frozenset[int]
    """Numbers of the media that it stands in for the `complete.json` of."""


def repair_medium(
    medium: Medium,
    scratch: Path,
    *,
    memory_mb: int = MEMORY_MB,
    progress: Progress | None = None,
) -> Repair:
    """Read a medium whole, and make every damaged file below `data/` good in the scratch folder.

    Where its `complete.json` is missing or bad and every piece is good then, that is made good, too. The same call
    goes on: what was repaired and still has the signed hash is kept.

    Args:
        medium: A medium whose metadata were proven, incomplete or not.
        scratch: A folder on a local disk, not on the medium, with room for the damaged files and the
            largest of them once more.
        memory_mb: What `par2` may take.
        progress: Told of every step.

    Raises:
        InputError: Parity must make a file good, and `par2` is not installed.
        StorageError: Too little room in the scratch folder, it lies on the medium, or another process
            repairs this set there.
    """
    progress = progress or Silent()
    folder = scratch / medium.set_name
    attempted = f"repair {medium.label} in {scratch}"
    with on_storage(attempted):
        require_elsewhere(folder, medium.places, attempted=attempted)
    if not has_tool():
        progress.say("the program `par2` is not installed: damage can be named, not made good")
    verdicts = medium.verify(progress)
    bad = medium.bad_pieces(verdicts)
    is_unfinished = any(file.path == COMPLETE for file in verdicts.having(*BAD))
    repaired: list[str] = []
    hopeless: list[tuple[str, str]] = []
    with on_storage(attempted), contextlib.ExitStack() as alone:
        if (
            folder.is_dir()
            or is_unfinished
            or any(report.verdict is not Verdict.MISSING for report, _ in bad)
        ):
            alone.enter_context(_alone_in(folder, [piece for _, piece in bad], attempted=attempted))
        good = {piece for _, piece in bad if is_good(folder / piece.path, piece, progress)}
        missing = tuple(
            piece.path
            for report, piece in bad
            if report.verdict is Verdict.MISSING and piece not in good
        )
        damaged = [(report, piece) for report, piece in bad if piece.path not in missing]
        if not damaged and (missing or not is_unfinished):
            return Repair(folder=None, repaired=(), hopeless=(), missing=missing)
        by_parity = [piece for report, piece in damaged if report.has_parity and piece not in good]
        tool = require_tool(f"repair {medium.label}", otherwise=_WITHOUT) if by_parity else None
        _require_room(scratch, by_parity)
        for report, piece in damaged:
            if piece not in good:
                reason = _repair(tool, medium, report, piece, folder, memory_mb, progress)
                if reason is not None:
                    hopeless.append((piece.path, reason))
                    continue
            progress.say(f"{piece.path} is good again, and has the signed hash")
            repaired.append(piece.path)
        if is_unfinished and not hopeless and not missing:
            progress.say(f"every piece of {medium.label} is proven, which {COMPLETE} was to say")
            repaired.append(COMPLETE)
        stands_in = _note(
            medium,
            folder,
            unproven={piece.path for _, piece in bad} - set(repaired),
            finished=frozenset({medium.number} if COMPLETE in repaired else ()),
        )
    return Repair(
        folder=folder if stands_in else None,
        repaired=tuple(repaired),
        hopeless=tuple(hopeless),
        missing=missing,
    )


def read_repaired(folder: Path) -> Repaired | None:
    """Return what a folder of repaired files says of itself, or None if it is no such folder.

    Raises:
        InputError: `repaired.json` cannot be understood.
        OSError: It cannot be read.
    """
    try:
        data = read_small(folder / REPAIRED)
    except FileNotFoundError:
        return None
    try:
        document = json.loads(data)
        set_id = str(document["set_id"])
        finished = frozenset(map(operator.index, document.get("finished", ())))
        return Repaired(set_id=set_id, finished=finished)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            "read what was repaired",
            file=str(folder / REPAIRED),
            found=misread(error),
            hint="run the same `ferry media repair` again: it writes that file anew, and keeps what is good there; "
            "or leave that folder out",
        ) from error


@contextlib.contextmanager
def _alone_in(folder: Path, pieces: Iterable[SetPiece], *, attempted: str) -> Iterator[None]:
    """Have a folder to repair these pieces in, alone; where nothing was put into it, none is left."""
    made = [above for above in folder.parents if not above.exists()]
    ways = {above for piece in pieces for above in PurePosixPath(piece.path).parents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with repairing_alone(folder, attempted=attempted):
            try:
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(folder / _WORK)
                yield
            finally:
                _remove_empty(folder / way for way in sorted(ways, reverse=True))
    finally:
        _remove_empty(made)


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # not there, or not empty
            folder.rmdir()


def _note(
    medium: Medium, folder: Path, *, unproven: Collection[str], finished: frozenset[int]
) -> bool:
    """Say which files of the set lie in the folder, unless that is said there: the disk may be full meanwhile.

    Where none does, and nothing was said there yet, nothing is to be said.

    Args:
        medium: A medium of the set; the files may be of others, too.
        folder: The folder of repaired files.
        unproven: Paths of what is not good there, whatever lies there.
        finished: Number of the medium, if it stands in for its `complete.json`; what it says of others stays.

    Returns:
        Whether it stands in for anything.
    """
    with contextlib.suppress(OSError, InputError):
        before = read_repaired(folder)
        if before is not None and before.set_id == medium.set_id:
            finished = before.finished - {medium.number} | finished
    paths = (piece.path for file in medium.plan.files for piece in file.pieces)
    lying = [path for path in paths if path not in unproven and (folder / path).is_file()]
    if not (lying or finished or (folder / REPAIRED).exists()):
        return False
    document = {
        "format": 1,
        "kind": "ferry-repair",
        "set_id": medium.set_id,
        "set_name": medium.set_name,
        "files": lying,
        **({"finished": sorted(finished)} if finished else {}),
    }
    data = (json.dumps(document, indent=1) + "\n").encode()
    with contextlib.suppress(OSError, InputError):  # then it is written, which says what is wrong
        if read_small(folder / REPAIRED) == data:
            return bool(lying or finished)
    write_durably(folder / REPAIRED, data)
    return bool(lying or finished)


def _repair(
    tool: Path | None,
    medium: Medium,
    report: FileReport,
    piece: SetPiece,
    folder: Path,
    memory_mb: int,
    progress: Progress,
) -> str | None:
    path, parity = medium.folder / piece.path, parity_folder(medium.folder, piece.sha256)
    target = folder / piece.path
    try:
        require_regular(path)
        if tool is None or not report.has_parity:
            return "no parity was written for it"
        for item in parity.iterdir():  # a pipe would keep `par2` waiting
            require_regular(item)
    except NotRegularError as error:
        return f"{system_says(error)}: {error.filename}"
    target.parent.mkdir(parents=True, exist_ok=True)
    reason = repair_file(
        tool,
        path,
        parity,
        target,
        work=folder / _WORK,
        memory_mb=memory_mb,
        size_bytes=piece.size_bytes,
        progress=progress,
    )
    if reason is not None:
        return reason
    if not is_good(target, piece, progress):
        target.unlink()
        return "what parity makes of it does not have the signed hash"
    return None


def is_good(path: Path, piece: SetPiece, progress: Progress) -> bool:
    """Whether a file has the signed hash of a piece.

    Raises:
        OSError: It cannot be read.
    """
    return holds(path, size_bytes=piece.size_bytes, sha256=piece.sha256, progress=progress)


def _require_room(scratch: Path, pieces: Sequence[SetPiece]) -> None:
    """Refuse too little room: each file stays, and beside the one at work `par2` keeps its damaged copy."""
    sizes = [piece.size_bytes for piece in pieces]
    needed = sum(sizes) + max(sizes, default=0)
    free = free_bytes(scratch)
    if free < needed:
        raise StorageError(
            f"repair in {scratch}",
            found=f"{human_size(free)} free",
            expected=f"{human_size(needed)}: the files to repair, and the largest of them once more",
            hint="give another --scratch folder",
        )
