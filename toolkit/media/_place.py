"""Where files are about to be written: refused before the first byte if they cannot or should not go there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from toolkit.errors import StorageError
from toolkit.filesystem import file_system
from toolkit.media._device import free_bytes, on_storage
from toolkit.media._names import is_litter
from toolkit.media._set import WRITING, find_set_above, find_set_folders
from toolkit.model import human_size


class PlaceKind(StrEnum):
    """What a folder lies on, as far as the operating system tells."""

    REMOVABLE = "removable"
    FIXED = "fixed disk"
    NETWORK = "network"
    UNKNOWN = "unknown kind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is known of the root of a medium before it is written."""

    kind: PlaceKind
    file_system: str
    """As the system names it; empty: not known."""
    free_bytes: int

    def __str__(self) -> str:
        """Return it as one tells it to a person: `removable, vfat, 29.8 GiB free`."""
        facts = [self.kind.value, self.file_system, f"{human_size(self.free_bytes)} free"]
        return ", ".join(filter(None, facts))


def check_place(root: Path) -> Place:
    """Look at the root of a medium before anything is written.

    Raises:
        StorageError: It is not there, the system disk itself, a folder with other things in it, or
            write-protected.
        OSError: It cannot be looked at.
    """
    attempted = f"write a medium at {root}"
    if not root.is_dir():  # a folder made for an absent stick would fill the disk of this machine
        raise StorageError(
            attempted,
            found="no such folder",
            expected="the root of a medium, or an empty folder",
            hint="plug the medium in and mount it; if it is to be a folder on a disk, make it first: "
            f'mkdir "{root}"',
        )
    if _is_system_disk(root):
        raise StorageError(
            attempted,
            found="the disk this machine runs from",
            expected="the root of a removable medium, or an empty folder",
            hint="check the drive letter or the mount point",
        )
    if not os.access(root, os.W_OK):
        raise StorageError(
            attempted,
            found="it is write-protected, or not writable for this user",
            hint="open its write lock, or mount it writable",
        )
    if not os.path.ismount(root) and not find_set_folders(root):
        other = sorted(item.name for item in root.iterdir() if not _is_harmless(item))
        if other:
            raise StorageError(
                attempted,
                found=f"a folder with other things in it: {', '.join(other[:3])}",
                expected="the root of a medium, an empty folder, or one with a set in it",
                hint="make a new folder, and give that",
            )
    return Place(kind=_kind(root), file_system=file_system(root), free_bytes=free_bytes(root))


def require_elsewhere(folder: Path, places: Iterable[Path], *, attempted: str) -> None:
    """Refuse to write into what is read from, or into any other set: what lies on a medium is never touched.

    Args:
        folder: Where files will be written; need not be there yet.
        places: Set folders, and what was named to find them.
        attempted: For the error.

    Raises:
        StorageError: It is one of them, lies within one, on the same removable device, or in a set folder.
        OSError: One of them cannot be looked at.
    """
    whole = folder.resolve()
    there = [above for above in (whole, *whole.parents) if above.exists()]
    for place in filter(Path.exists, places):  # what is gone, the reading of it says
        # the same file, not the same path: FAT knows no case, and a medium may be mounted twice
        is_within = any(above.samefile(place) for above in there)
        if is_within or (
            _kind(place) is PlaceKind.REMOVABLE and device_of(there[0]) == device_of(place)
        ):
            raise StorageError(
                attempted,
                found=f"{folder} lies on the medium, or on one of several: {place}",
                expected="a folder elsewhere: nothing is written to a medium that is read",
                hint="name a folder on a local disk; if the medium is a copy there, name its set folder alone",
            )
    _require_outside_sets(whole, attempted=attempted)


def require_outside_sets(file: Path) -> None:
    """Refuse to write a file into a set folder, whether or not that medium is read: it would not belong there.

    Args:
        file: Need not be there yet.

    Raises:
        StorageError: It would lie in a set folder, or that cannot be seen.
    """
    attempted = f"write {file}"
    with on_storage(attempted):
        _require_outside_sets(file.parent, attempted=attempted)


def _require_outside_sets(folder: Path, *, attempted: str) -> None:
    if (found := find_set_above(folder)) is not None:
        raise StorageError(
            attempted,
            found=f"{found} is a set folder of a medium",
            expected="a folder elsewhere: what is not of the set spoils it",
            hint="name a place beside that folder, or on a local disk",
        )


def device_of(folder: Path) -> tuple[str, int]:
    """Return what tells the device of a folder: its drive (copied sticks have one number on Windows) and number.

    Raises:
        OSError: It cannot be looked at.
    """
    return folder.resolve().anchor, folder.stat().st_dev


def _is_harmless(item: Path) -> bool:
    """Whether an operating system left it, or a writing that ended with its very first file."""
    if is_litter(item.name):
        return True
    return item.is_dir() and {found.name for found in item.iterdir()} <= {f"{WRITING}.part"}


def _is_system_disk(root: Path) -> bool:
    where = root.resolve()
    system = Path(os.environ.get("SYSTEMDRIVE", "C:") + "\\" if sys.platform == "win32" else "/")
    return where == system or (
        os.path.ismount(where)
        and (where / ("Windows" if sys.platform == "win32" else "etc")).is_dir()
    )


_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs"})

if sys.platform == "win32":
    import ctypes

    _DRIVE_TYPES = {2: PlaceKind.REMOVABLE, 3: PlaceKind.FIXED, 4: PlaceKind.NETWORK}

    def _kind(root: Path) -> PlaceKind:
        number = ctypes.WinDLL("kernel32").GetDriveTypeW(root.resolve().anchor)
        return _DRIVE_TYPES.get(number, PlaceKind.UNKNOWN)

else:

    def _kind(root: Path) -> PlaceKind:
        """Ask the kernel for the block device under a folder; USB disks call themselves fixed, their bus does not."""
        if file_system(root) in _NETWORK:
            return PlaceKind.NETWORK
        number = root.stat().st_dev
        device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
        if not device.exists():
            return PlaceKind.UNKNOWN
        device = device.resolve()
        if "/usb" in str(device) or "/mmc" in str(device):
            return PlaceKind.REMOVABLE
        for folder in (device, device.parent):
            if (folder / "removable").is_file():
                is_removable = (folder / "removable").read_text(encoding="ascii").strip() == "1"
                return PlaceKind.REMOVABLE if is_removable else PlaceKind.FIXED
        return PlaceKind.UNKNOWN
