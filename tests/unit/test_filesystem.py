"""What a file system can do, read from the mount over the folder, and files that appear whole."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import re
import sys
from pathlib import Path

import pytest

from toolkit import filesystem
from toolkit.errors import StorageError
from toolkit.filesystem import (
    FAT_LIMIT_BYTES,
    aligned_buffers,
    has_cheap_gaps,
    largest_file_bytes,
    on_storage,
    sync_file,
    sync_folder,
    write_beside,
)


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


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_draft(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_beside(path, b"old")

    def fail(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_beside(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_writings_at_once_each_is_whole_and_the_later_one_stays(tmp_path, monkeypatch):
    path, flush = tmp_path / "plan.json", os.fsync

    def another_comes_between(handle):
        monkeypatch.setattr(os, "fsync", flush)
        write_beside(path, b"first to end")
        flush(handle)

    monkeypatch.setattr(os, "fsync", another_comes_between)
    write_beside(path, b"last to end")
    assert path.read_bytes() == b"last to end"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_network_disk_that_cannot_flush_a_folder_is_no_error(tmp_path, monkeypatch, number):
    def refuse(_handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    sync_folder(tmp_path)


@pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="folders are flushed on POSIX only")
@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.ENOSYS])
def test_a_folder_that_a_driver_does_not_open_is_no_error(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    sync_folder(tmp_path)


@pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="folders are flushed on POSIX only")
def test_a_folder_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")


@pytest.mark.parametrize("mode", [0o644, 0o444])
def test_what_another_program_wrote_is_flushed_and_stays_as_it_was(tmp_path, monkeypatch, mode):
    flushed, honest = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(handle) or honest(handle))
    path = tmp_path / "p.par2"
    path.write_bytes(b"parity")
    path.chmod(mode)
    sync_file(path)
    assert (len(flushed), path.read_bytes()) == (1, b"parity")


@pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="folders are flushed on POSIX only")
def test_a_disk_that_fails_to_flush_a_folder_is_an_error(tmp_path, monkeypatch):
    def fail(_handle):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        sync_folder(tmp_path)


@pytest.mark.parametrize("place", ["the file", "its folder", "the folder itself"])
def test_what_may_not_be_read_is_not_called_unwritable(tmp_path, monkeypatch, place):
    """An administrator may read everything, so the answers of the system are made up."""
    path = tmp_path / "root.json"
    path.touch()
    denied = {"the file": path, "its folder": tmp_path, "the folder itself": tmp_path}[place]
    monkeypatch.setattr("os.access", lambda at, mode: str(at) != str(denied))
    read = tmp_path if place == "the folder itself" else path
    refused = pytest.raises(StorageError, match="not readable for this user")
    with refused as caught, on_storage("read the roots"):
        raise PermissionError(errno.EACCES, "Permission denied", str(read))
    assert "check its permissions" in caught.value.hint


@pytest.mark.parametrize("name", ["there.json", "new.json"])
def test_what_may_not_be_written_is_said_so(tmp_path, monkeypatch, name):
    (tmp_path / "there.json").touch()
    monkeypatch.setattr("os.access", lambda at, mode: not mode & os.W_OK)
    with pytest.raises(StorageError, match="not writable for this user"), on_storage("write"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / name))


def test_a_name_that_is_too_long_is_told_with_what_to_do(tmp_path):
    with pytest.raises(StorageError) as caught, on_storage("write"):
        (tmp_path / ("x" * 300)).touch()
    assert "shorter name" in caught.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("flag", [0, getattr(os, "O_NOFOLLOW", 0)])
def test_a_link_that_is_not_followed_is_told_with_what_to_do(tmp_path, flag):
    path = tmp_path / "lock"
    path.symlink_to(path if not flag else tmp_path)
    with (
        pytest.raises(StorageError, match="a link that leads nowhere, or") as caught,
        on_storage("lock"),
    ):
        os.close(os.open(path, os.O_RDONLY | flag))
    assert "move away" in caught.value.hint


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ECONNABORTED])
def test_a_device_or_its_driver_that_ended_is_gone(number):
    with pytest.raises(StorageError, match="gone") as caught, on_storage("write"):
        raise OSError(number, os.strerror(number))
    assert "plug it in again" in caught.value.hint


@pytest.mark.parametrize(
    ("number", "what", "next_step"),
    [
        (errno.ESTALE, "gone", "connect the network disk again"),
        (errno.EDQUOT, "the quota of this user", "free space"),
    ],
)
def test_what_a_network_disk_refuses_is_told_with_what_to_do(number, what, next_step):
    with pytest.raises(StorageError, match=what) as caught, on_storage("write"):
        raise OSError(number, os.strerror(number))
    assert next_step in caught.value.hint


# --- buffers for devices ------------------------------------------------------------------------


def test_buffers_for_devices_are_aligned_and_apart():
    first, second = aligned_buffers(2, 2 << 20)
    assert len(first) == len(second) == 2 << 20
    addresses = [ctypes.addressof(ctypes.c_char.from_buffer(each)) for each in (first, second)]
    assert [address % mmap.PAGESIZE for address in addresses] == [0, 0]
    first[:] = b"1" * len(first)
    assert second[0] == second[-1] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_linux_may_give_large_pages_to_buffers_for_devices_and_no_fork_shares_them():
    if not Path("/sys/kernel/mm/transparent_hugepage").exists():
        pytest.skip("this kernel has no large pages")
    (buffer,) = aligned_buffers(1, 4 << 20)
    middle = ctypes.addressof(ctypes.c_char.from_buffer(buffer)) + len(buffer) // 2
    for area in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text()):
        begin, end = (int(number, 16) for number in area.split(maxsplit=1)[0].split("-"))
        if begin <= middle < end:
            break
    assert area.split()[1] == "rw-p"  # shared memory has a setting of its own, which is off
    flags = area.partition("VmFlags:")[2].split()
    assert {"dc", "hg"} <= set(flags)  # "do not copy at a fork", large pages
