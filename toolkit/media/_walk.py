"""Looking through a folder on a medium, and never leaving it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path


def walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield everything below a folder; what leads elsewhere is yielded and never gone through.

    Raises:
        OSError: A folder cannot be read.
    """
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                path, info = Path(entry.path), entry.stat(follow_symlinks=False)
                if is_folder(info):
                    waiting.append(path)
                yield path, info


def is_folder(info: os.stat_result) -> bool:
    """Whether something is a folder itself, neither a link nor a junction of Windows."""
    return stat.S_ISDIR(info.st_mode) and not is_junction(info)


def is_junction(info: os.stat_result) -> bool:
    """Whether something looks like a folder and leads elsewhere: a reparse point of Windows."""
    attributes: int = getattr(info, "st_file_attributes", 0)
    return stat.S_ISDIR(info.st_mode) and bool(attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)
