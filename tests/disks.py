"""Disks of tests: images with the file systems that sticks have.

Each is mounted through the driver that Debian has for it, so that no kernel module is needed; ext4 is mounted by
the kernel, over a loop device. Where a machine cannot do that, the test is skipped with the reason.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

# _IOWR('f', 11, struct fiemap). Source: linux/fs.h, linux/fiemap.h
_FIEMAP = 0xC020660B
_SYNC = 1
_PLAIN_FLAGS = 0x0001 | 0x1000
"""FIEMAP_EXTENT_LAST and FIEMAP_EXTENT_MERGED; any other means that the place is not where the bytes lie."""


@dataclass(frozen=True)
class Format:
    """How a disk is made and mounted; `{image}` and `{folder}` stand for what they are."""

    make: Sequence[str]
    mount: Sequence[str]
    is_kernel: bool = False
    needs_device: bool = False


FORMATS = {
    "exfat": Format(
        ("mkfs.exfat", "{image}"),
        ("mount.exfat-fuse", "{image}", "{folder}"),
        needs_device=True,  # for root, it takes whatever it gets for one
    ),
    "ntfs": Format(("mkfs.ntfs", "-F", "-Q", "-q", "{image}"), ("ntfs-3g", "{image}", "{folder}")),
    "fat": Format(
        ("mkfs.vfat", "-F", "32", "{image}"), ("fusefat", "-o", "rw+", "{image}", "{folder}")
    ),
    "ext4": Format(
        ("mkfs.ext4", "-q", "-F", "{image}"),
        ("mount", "-t", "ext4", "-o", "loop", "{image}", "{folder}"),
        is_kernel=True,
    ),
}


@dataclass(frozen=True)
class Disk:
    """A mounted image."""

    folder: Path
    """Where it is mounted."""
    image: Path

    def flip(self, path: Path, offset: int) -> None:
        """Change a byte of a file in the image, below the file system, which is not told."""
        with self.image.open("rb+", buffering=0) as image:
            image.seek(place_in_image(path, offset))
            (byte,) = image.read(1)
            image.seek(-1, os.SEEK_CUR)
            image.write(bytes([byte ^ 0xFF]))


@contextlib.contextmanager
def mounted_disk(kind: str, work: Path, *, size_mib: int) -> Iterator[Disk]:
    """Make an image in `work` if there is none, and mount it; skip the test where that cannot be done."""
    format_ = FORMATS[kind]
    for program in (format_.make[0], format_.mount[0]):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} to have a disk with {kind}")
    if format_.is_kernel and os.geteuid() != 0:
        pytest.skip(f"only root may mount {kind}")
    image, folder = work / f"{kind}.img", work / kind
    if not image.exists():
        with image.open("wb") as file:
            file.truncate(size_mib << 20)
        _run(format_.make, image, folder, check=True)
    folder.mkdir(exist_ok=True)
    with _device(image) if format_.needs_device else contextlib.nullcontext(image) as device:
        done = _run(format_.mount, device, folder, check=False)
        if done.returncode != 0 or not folder.is_mount():
            pytest.skip(f"{kind} cannot be mounted here: {(done.stderr or done.stdout).strip()}")
        try:
            yield Disk(folder, image)
        finally:
            unmount = ["umount"] if format_.is_kernel else ["fusermount", "-u"]
            subprocess.run([*unmount, str(folder)], check=True)
            _wait_for_driver(device)


def place_in_image(path: Path, offset: int) -> int:
    """Return where in its image, or on its disk, a byte of a file lies.

    Source: Linux, Documentation/filesystems/fiemap.rst
    """
    request = struct.pack("=QQIIII", offset, 1, _SYNC, 0, 1, 0) + bytes(56)
    with path.open("rb") as file:
        answer = fcntl.ioctl(file, _FIEMAP, request)
    (extents,) = struct.unpack_from("=I", answer, 20)
    logical, physical, _, flags = struct.unpack_from("=QQQ16xI", answer, 32)
    assert extents == 1
    assert flags & ~_PLAIN_FLAGS == 0
    return physical + offset - logical


def _run(
    words: Sequence[str], image: Path, folder: Path, *, check: bool
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [word.format(image=image, folder=folder) for word in words],
        capture_output=True,
        text=True,
        check=check,
    )


@contextlib.contextmanager
def _device(image: Path) -> Iterator[Path]:
    """Make a block device of an image."""
    made = subprocess.run(
        ["losetup", "--find", "--show", str(image)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"no loop device can be had here: {made.stderr.strip()}")
    device = Path(made.stdout.strip())
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", str(device)], check=True)


def _wait_for_driver(device: Path) -> None:
    """Wait until it has written what it still had, and let go of the device."""
    until = time.monotonic() + 30
    while _is_open(device) and time.monotonic() < until:
        time.sleep(0.05)


def _is_open(device: Path) -> bool:
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if link.readlink() == device:
                return True
    return False
