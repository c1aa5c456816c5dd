"""Which files are open, with which access, and what their openers let others do meanwhile: share modes.

One table serves all nodes: a file of a cluster volume is the same file on each of them. Files only; folders
are never in anybody's way here.

Source: [MS-FSA] 2.1.5.1.2.2 (the rule), [MS-SMB2] 2.2.13 (ShareAccess), 3.3.5.9.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

_READ, _WRITE, _DELETE = 0x21, 0x6, 0x10000
"""FILE_READ_DATA or FILE_EXECUTE, FILE_WRITE_DATA or FILE_APPEND_DATA, DELETE."""
_SHARES = ((_READ, 0x1), (_WRITE, 0x2), (_DELETE, 0x4))
READER = (_READ, 0x1)
"""How a cmdlet of Windows PowerShell opens a file that it reads: others may read it too, not write it."""
REMOVER = (_DELETE, 0x7)
"""How a file is opened to be renamed, moved or removed."""


@dataclass(frozen=True, slots=True)
class Holder:
    """One open: its access, and what it lets others have."""

    access: int
    shared: int


class OpenFiles:
    """All opens of a cluster."""

    def __init__(self) -> None:
        self._holders: dict[str, list[Holder]] = {}
        self._lock = threading.Lock()

    def hold(self, path: Path, access: int, shared: int) -> Holder | None:
        """Note an open; None: it is in conflict with another one."""
        with self._lock:
            holders = self._holders.setdefault(_key(path), [])
            if any(_conflicts(access, shared, holder) for holder in holders):
                return None
            holder = Holder(access, shared)
            holders.append(holder)
            return holder

    def release(self, path: Path, holder: Holder) -> None:
        """Forget an open."""
        with self._lock:
            holders = self._holders.get(_key(path), [])
            holders[:] = [one for one in holders if one is not holder]
            if not holders:
                self._holders.pop(_key(path), None)

    def move(self, source: Path, target: Path) -> None:
        """Let the opens of a file follow it to its new name."""
        with self._lock:
            moved = self._holders.pop(_key(source), None)
            if moved:
                self._holders[_key(target)] = moved

    def is_in_use(self, path: Path, access: int, shared: int) -> bool:
        """Whether a file, or one below a folder, may not be opened in this way just now."""
        with self._lock:
            return any(
                _conflicts(access, shared, holder)
                for key, holders in self._holders.items()
                if key == _key(path) or key.startswith(_key(path) + os.sep)
                for holder in holders
            )


def _key(path: Path) -> str:
    return os.path.normcase(path.resolve())


def _conflicts(access: int, shared: int, holder: Holder) -> bool:
    return any(
        (access & rights and not holder.shared & allowed)
        or (holder.access & rights and not shared & allowed)
        for rights, allowed in _SHARES
    )
