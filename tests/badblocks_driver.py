"""A FUSE file system over a folder, with bad blocks.

    python -m tests.badblocks_driver --folder FOLDER --mount MOUNT_POINT --faults FAULTS.json [--option ro]

Everything is passed on to the folder, but while the faults say so reads of some bytes answer EIO, or every call
answers ENODEV, as the kernel does of a pulled stick. Pages once read stay in the kernel's memory also when the
folder below changes. The faults are one document, `{"is_gone": true, "unreadable": {"/path": [[offset, count]]}}`,
read anew for each call.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
from pathlib import Path

import mfusepy


class Folder(mfusepy.Operations):
    """Passes every call on, unless a fault says otherwise."""

    use_ns = True

    def __init__(self, folder, faults):
        self._folder, self._file = folder, faults

    def _faults(self):
        faults = json.loads(self._file.read_bytes())
        if faults.get("is_gone"):
            raise OSError(errno.ENODEV, "pulled out")
        return faults

    def _real(self, path):
        self._faults()
        return Path(f"{self._folder}{path}")

    def getattr(self, path, fh=None):
        found = self._real(path).lstat()
        names = ("st_mode", "st_size", "st_nlink", "st_uid", "st_gid", "st_blocks")
        times = {f"st_{name}time": getattr(found, f"st_{name}time_ns") for name in "amc"}
        return {name: getattr(found, name) for name in names} | times

    def readdir(self, path, fh):
        return [".", "..", *(item.name for item in self._real(path).iterdir())]

    def statfs(self, path):
        found = os.statvfs(self._real(path))
        names = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_namemax")
        return {name: getattr(found, name) for name in names}

    def open(self, path, flags):
        return os.open(self._real(path), flags & ~os.O_DIRECT)  # libfuse's buffers are not aligned

    def create(self, path, mode, flags):
        return os.open(self._real(path), flags & ~os.O_DIRECT | os.O_CREAT, mode)

    def read(self, path, size, offset, fh):
        for first, count in self._faults().get("unreadable", {}).get(path, ()):
            if first < offset + size and offset < first + count:
                raise OSError(errno.EIO, "bad block")
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        self._faults()
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(self._real(path), length)

    def fsync(self, path, datasync, fh):
        self._faults()

    def release(self, path, fh):
        os.close(fh)

    def rename(self, old, new):
        self._real(old).rename(self._real(new))

    def unlink(self, path):
        self._real(path).unlink()

    def mkdir(self, path, mode):
        self._real(path).mkdir(mode)

    def rmdir(self, path):
        self._real(path).rmdir()

    def chmod(self, path, mode):
        self._real(path).chmod(mode)

    def utimens(self, path, times=None):
        os.utime(self._real(path), ns=times)


def main() -> None:
    """Serve until it is unmounted."""
    parser = argparse.ArgumentParser(description="Show a folder as a dying stick.")
    parser.add_argument("--folder", type=Path, required=True, help="what to show")
    parser.add_argument("--mount", type=Path, required=True, help="where")
    parser.add_argument("--faults", type=Path, required=True, help="the faults, as JSON")
    parser.add_argument("--option", action="append", default=[], help="of the mount, such as ro")
    arguments = parser.parse_args()
    mfusepy.FUSE(
        Folder(arguments.folder, arguments.faults),
        str(arguments.mount),
        foreground=True,
        nothreads=True,
        kernel_cache=True,
        fsname="ferry-test",
        **dict.fromkeys(arguments.option, True),
    )


if __name__ == "__main__":
    main()
