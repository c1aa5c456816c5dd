"""What the file system under a folder can do: the largest file it holds, and what a gap in a file costs.

Both sides write large files to disks that people bring along. A limit is told before the first byte, and
bytes are written out of order only where the gap before them is not filled with zeros on the disk.
"""

from __future__ import annotations

import sys
from pathlib import Path

FAT_LIMIT_BYTES = (4 << 30) - 1
"""Largest file on FAT32. Source: Microsoft, "FAT32 File System Specification" (32-bit file size)."""

_FAT = frozenset({"vfat", "msdos", "fat", "fat32", "fuse.fusefat"})
_WITHOUT_GAPS = _FAT | {"exfat"}
"""Source: both specifications: clusters of a file are a chain or a run from its start; none may be absent."""


def largest_file_bytes(folder: Path) -> int | None:
    """Return the largest file that the file system under a folder can hold, or None if not known."""
    return FAT_LIMIT_BYTES if _name(folder).lower() in _FAT else None


def has_cheap_gaps(folder: Path) -> bool:
    """Whether bytes may be written far behind a file's end without zeros being written before them."""
    return _name(folder).lower() not in _WITHOUT_GAPS


if sys.platform == "win32":
    import ctypes

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)

    def _name(folder: Path) -> str:
        name = ctypes.create_unicode_buffer(64)
        found = _kernel32.GetVolumeInformationW(
            folder.resolve().anchor, None, 0, None, None, None, name, len(name)
        )
        return name.value if found else ""

else:

    def _name(folder: Path) -> str:
        """Return the type of the innermost mount over a folder, from /proc/mounts where there is one."""
        try:
            lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        here = folder.resolve()
        best, kind = -1, ""
        for line in lines:
            fields = line.split(" ")
            if len(fields) < 3:
                continue
            point = Path(fields[1].replace("\\040", " "))
            if here.is_relative_to(point) and len(point.parts) >= best:
                best, kind = len(point.parts), fields[2]
        return kind
