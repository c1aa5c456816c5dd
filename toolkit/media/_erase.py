"""Erasing one set from a medium: its own files, and nothing else that lies there.

What is a set's own is told by its documents: what its manifests list, the payloads that `complete.json` or
`writing.json` names, and the fixed names of tag files, metadata and parity. Whatever else lies in the set folder
stays and is named; a link is never followed and never removed.

Theory of operation. `complete.json` is renamed to `writing.json` first, so that a set of which something is gone
is never called complete. Payloads go next, then what tells which set it was, `writing.json` last: an erasure that
was interrupted finds its set again. The receipt of its writing goes with it; others, and `return/`, tell home what
became of the set: where there are any, nothing is erased unless they may go, too.
This is deletion: on flash memory and with recovery tools, bytes can be found afterwards.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.errors import InputError, SignatureError, StorageError
from toolkit.filesystem import sync_folder
from toolkit.media._bag import INFO, MANIFEST, TAG_MANIFEST, read_manifest
from toolkit.media._custody import RECEIPT_NAME, ReceiptKind
from toolkit.media._device import on_storage
from toolkit.media._home import SETS, find_set_record
from toolkit.media._layout import SEGMENT_PATH
from toolkit.media._leaflet import LEAFLETS
from toolkit.media._lock import alone_on_medium
from toolkit.media._medium import MediumLabel, describe_medium
from toolkit.media._names import check_set_name
from toolkit.media._parity import PARITY_PATH
from toolkit.media._receipts import CUSTODY, RETURN
from toolkit.media._set import (
    BAG_DECLARATION,
    COMPLETE,
    PAYLOAD,
    SET_PATH,
    TUF,
    WRITING,
    SetPlan,
    read_small,
    root_of_medium,
)
from toolkit.media._spread import is_kept
from toolkit.media._trust import load_trust, new_trust
from toolkit.media._verify import check_set
from toolkit.media._walk import is_folder, walk
from toolkit.model import Progress, Sha256

_TIMESTAMP = f"{TUF}/timestamp.json"
_FIXED = frozenset(
    {BAG_DECLARATION, INFO, MANIFEST, TAG_MANIFEST, SET_PATH, COMPLETE, WRITING, _TIMESTAMP}
    | LEAFLETS
)
_METADATA = re.compile(rf"{TUF}/\d+\.(root|snapshot|targets)\.json\Z")
_STATE = (COMPLETE, WRITING)
_TOLD = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What erasing one set removes, and what stays."""

    label: MediumLabel
    removed: tuple[tuple[str, int], ...]
    """Path in the set folder and size of each file, in the order in which they go."""
    foreign: tuple[str, ...]
    """What is not the set's own and stays."""

    @property
    def size_bytes(self) -> int:
        """How much is removed."""
        return sum(size for _, size in self.removed)


def plan_erasure(
    root: Path,
    *,
    with_receipts: bool = False,
    trust_dir: Path | None = None,
    home: Path | None = None,
) -> Erasure:
    """Look at a set that is to be erased; nothing is changed.

    Args:
        root: Root of the medium, or one set folder on it.
        with_receipts: Whether receipts of more than its writing, and `return/`, may go.
        trust_dir: A site's trust state: the set must be signed under its root, expired or not.
        home: A catalog's folder: the set must be one that was written from there.

    Raises:
        StorageError: No set there, it is not known to that catalog, receipts on it may not go, or it cannot
            be read.
        InputError: Several sets, or documents that cannot be understood or contradict each other.
        TrustError: Not signed under the site's root.
    """
    label = describe_medium(root)
    check_set_name(label.set_name)
    folder = label.folder
    if not is_folder(folder.lstat()):
        raise StorageError(
            f"erase {label.set_name}",
            found=f"{folder} is a link",
            expected="a set folder",
            hint="give the folder that it leads to, if that is what you mean",
        )
    label = replace(label, folder=folder.resolve())
    _require_one_story(folder, label)
    if home is not None:
        _require_written_from(home, label)
    with on_storage(f"look through {folder}"):
        own = _Own(folder, label)
        found = [(path, info) for path, info in _below(folder) if not is_folder(info)]
    removed, kept, foreign = [], [], []
    for path, info in found:
        if not stat.S_ISREG(info.st_mode):
            foreign.append(path)
        elif _tells_home(path) and not with_receipts and _receipt(path) != ReceiptKind.WRITE:
            kept.append(path)
        elif _tells_home(path) or own.has(path):
            removed.append((path, info.st_size))
        else:
            foreign.append(path)
    if trust_dir is not None:
        _require_signed(folder, label, trust_dir, own=[path for path, _ in removed])
    if kept:
        more = f" and {len(kept) - _TOLD} more" if len(kept) > _TOLD else ""
        raise StorageError(
            f"erase {label.label}",
            found=f"what tells home of the set: {', '.join(sorted(kept)[:_TOLD])}{more}",
            expected="nothing that has to go home",
            hint="take it home (`ferry media receive`); then, or if nobody needs it: --with-receipts",
        )
    return Erasure(
        label=label,
        removed=tuple(sorted(removed, key=lambda item: (_turn(item[0]), item[0]))),
        foreign=tuple(sorted(foreign)),
    )


def erase_set(erasure: Erasure, *, progress: Progress) -> None:
    """Erase what was planned; the same two calls go on after an interruption.

    Raises:
        StorageError: The medium is write-protected, gone, in use by another ferry, or not what was looked at.
        InputError: It cannot be understood any more.
    """
    attempted = f"erase {erasure.label.label}"
    root = root_of_medium(erasure.label.folder)
    with alone_on_medium(root, attempted=attempted), on_storage(attempted):
        _require_as_planned(erasure)
        progress.begin(attempted, total_bytes=erasure.size_bytes)
        try:
            _erase(erasure, progress)
        finally:
            progress.end()


def _require_as_planned(erasure: Erasure) -> None:
    """Look again: whoever was asked may have taken time."""
    label = erasure.label
    here = describe_medium(label.folder)
    if (here.set_id, here.medium) != (label.set_id, label.medium):
        raise StorageError(
            f"erase {label.label}",
            found=f"{here.label} ({here.set_id}) is here now",
            hint="the medium was exchanged after it was looked at: run the same command again",
        )
    own = _Own(label.folder, here)
    known = {path for path, _ in erasure.removed} | {COMPLETE, WRITING}
    added = sorted(
        path
        for path, info in _below(label.folder)
        if stat.S_ISREG(info.st_mode) and (own.has(path) or _tells_home(path)) and path not in known
    )
    if added:
        raise StorageError(
            f"erase {label.label}",
            found=f"{len(added)} files more than were looked at, such as {added[0]}",
            hint="another ferry has written to it meanwhile: is it done? Then run the same command again",
        )


def _erase(erasure: Erasure, progress: Progress) -> None:
    folder = erasure.label.folder
    if (folder / COMPLETE).exists():
        (folder / COMPLETE).replace(folder / WRITING)
        sync_folder(folder)
    still = {path for path, info in _below(folder) if stat.S_ISREG(info.st_mode)}
    for path, size in erasure.removed:
        if path in still and path not in _STATE:
            (folder / path).unlink()
            progress.advance(size)
    folders = [path for path, info in _below(folder) if is_folder(info)]
    for path in sorted(folders, key=len, reverse=True):  # what is inside comes first
        if not any((folder / path).iterdir()):
            (folder / path).rmdir()
    if any(path in _STATE for path, _ in erasure.removed):
        (folder / WRITING).unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
    sync_folder(folder.parent)


class _Own:
    """Which paths are a set's own, by its documents."""

    def __init__(self, folder: Path, label: MediumLabel) -> None:
        payloads = {f"data/{PAYLOAD}{name}" for name, _, _ in label.payloads}
        self._segments = {digest[:12] for _, _, digest in label.payloads}
        self._paths = _FIXED | payloads | _listed(folder)

    def has(self, path: str) -> bool:
        """Whether a path is; what unfinished writing left under its name is, too."""
        name = path.removesuffix(".part")
        segment = SEGMENT_PATH.match(name)
        if segment is not None:
            return segment[1] in self._segments or name in self._paths
        return (
            name in self._paths
            or _METADATA.match(name) is not None
            or PARITY_PATH.match(name) is not None
            or (name != path and _receipt(name) is not None)
        )


def _listed(folder: Path) -> set[str]:
    """Return what the manifests list; one that is absent or cannot be understood lists nothing."""
    listed: dict[str, Sha256] = {}
    for name in (MANIFEST, TAG_MANIFEST):
        with contextlib.suppress(FileNotFoundError, InputError):
            listed |= read_manifest(read_small(folder / name), file=name)
    return {path for path in listed if not path.startswith((f"{CUSTODY}/", f"{RETURN}/"))}


def _receipt(path: str) -> str | None:
    """Return the kind of receipt that a path is for, or None."""
    folder, _, name = path.rpartition("/")
    match = RECEIPT_NAME.match(name)
    return match["kind"] if match is not None and folder == CUSTODY else None


def _tells_home(path: str) -> bool:
    """Whether a path is for a receipt, or for what travels home."""
    return _receipt(path) is not None or path.rpartition("/")[0] == RETURN


def _turn(path: str) -> int:
    """Return when a file goes: by what comes last, an interrupted erasure is known again."""
    if path in (TAG_MANIFEST, MANIFEST, SET_PATH, *_STATE):
        return 3
    if path == _TIMESTAMP:
        return 1
    return 2 if path.startswith(f"{TUF}/") else 0


def _below(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield everything below by its POSIX path."""
    return ((path.relative_to(folder).as_posix(), info) for path, info in walk(folder))


def _require_one_story(folder: Path, label: MediumLabel) -> None:
    """Refuse a folder whose documents name different sets."""
    try:
        with on_storage(f"read {folder / SET_PATH}"):
            data = read_small(folder / SET_PATH) if (folder / SET_PATH).is_file() else None
        plan = None if data is None else SetPlan.from_bytes(data, file=SET_PATH)
    except InputError:
        return  # it says nothing; complete.json or writing.json does
    if plan is not None and plan.set_id != label.set_id:
        raise InputError(
            "erase a set",
            file=str(folder),
            found=f"{SET_PATH} of {plan.set_name} ({plan.set_id})",
            expected=f"that of {label.set_name} ({label.set_id}), as the folder says of itself",
            hint="files of two sets lie here; delete by hand what nobody needs",
        )


def _require_written_from(home: Path, label: MediumLabel) -> None:
    if is_kept(home / SETS, label.set_name, set_id=label.set_id):
        return
    attempted = f"erase {label.set_name}"
    record = find_set_record(
        home, set_name=label.set_name, set_id=label.set_id, attempted=attempted
    )
    if record.set_id != label.set_id:
        raise StorageError(
            attempted,
            found=f"the set {label.set_id}",
            expected=f"{record.set_id}, which was written from {home} under that name",
            hint="this is another set: look at the label on the medium",
        )


def _require_signed(
    folder: Path, label: MediumLabel, trust_dir: Path, *, own: Sequence[str]
) -> None:
    """Refuse a set that nobody signed under the site's root, whenever that was."""
    trust = new_trust(load_trust(trust_dir).root)
    if _TIMESTAMP not in own and all(_turn(path) for path in own):
        return  # an erasure was interrupted among its last small files: no payload is left
    try:
        plan = check_set(folder, trust, now=label.issued_at).plan
    except StorageError as error:
        error.hint = (
            "what is unfinished or damaged cannot be proven: without --site its typed label decides"
        )
        raise
    if plan.set_id != label.set_id:
        raise SignatureError(
            f"erase {label.set_name}",
            found=f"{label.set_id}, as the folder says of itself",
            expected=f"{plan.set_id}, as it is signed",
            hint="without --site its typed label decides",
        )
