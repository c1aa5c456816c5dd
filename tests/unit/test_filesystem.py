"""What a file system can do is read from the mount over the folder."""

from __future__ import annotations

import sys

import pytest

from toolkit import filesystem
from toolkit.filesystem import FAT_LIMIT_BYTES, has_cheap_gaps, largest_file_bytes


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    """Return a function that lets a table of mounts stand over the temporary folder."""

    def mount(text):
        table = tmp_path / "mounts"
        table.write_text(text.format(here=tmp_path), encoding="utf-8")
        honest = filesystem.Path
        monkeypatch.setattr(
            filesystem, "Path", lambda name: table if name == "/proc/mounts" else honest(name)
        )
        return tmp_path

    return mount


@pytest.mark.parametrize(
    ("mounts", "limit"),
    [
        ("/dev/sdb1 / vfat rw 0 0\n", FAT_LIMIT_BYTES),
        ("/dev/sda1 / ext4 rw 0 0\n", None),
        ("/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 {here} vfat rw 0 0\n", FAT_LIMIT_BYTES),
        ("/dev/sdb1 / vfat rw 0 0\n/dev/sda1 {here} exfat rw 0 0\nbroken\n", None),
        ("", None),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows is asked directly")
def test_the_innermost_mount_tells_the_largest_file(mounted, mounts, limit):
    assert largest_file_bytes(mounted(mounts)) == limit


@pytest.mark.parametrize(
    ("kind", "cheap"), [("vfat", False), ("exfat", False), ("ext4", True), ("nfs4", True)]
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows is asked directly")
def test_fat_and_exfat_fill_gaps_with_zeros(mounted, kind, cheap):
    assert has_cheap_gaps(mounted(f"/dev/sdb1 / {kind} rw 0 0\n")) is cheap


def test_fat32_holds_4_gib_minus_one():
    assert FAT_LIMIT_BYTES == 4_294_967_295
