"""A folder seen as a dying stick: a FUSE file system (`tests.badblocks_driver`) whose faults a test sets.

The driver is a process of its own, so that a test cannot wait for itself.
"""

from __future__ import annotations

import contextlib
import ctypes.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FUSERMOUNT = shutil.which("fusermount3") or shutil.which("fusermount")


@dataclass(frozen=True)
class Stick:
    """A mounted folder."""

    folder: Path
    """Where it is mounted."""
    below: Path
    """What it shows."""
    _faults: Path
    _server: subprocess.Popen[bytes]

    def fail(self, path: Path, *places: tuple[int, int]) -> None:
        """Let these bytes of a file be unreadable: offset and count each; none: all can be read."""
        name = path.relative_to(self.folder).as_posix()
        self._tell({"unreadable": {f"/{name}": places}})

    def go(self) -> None:
        """Be pulled out, as far as the kernel tells a program."""
        self._tell({"is_gone": True})

    def die(self) -> None:
        """Let the driver itself end."""
        self._server.kill()
        self._server.wait()

    def come_back(self) -> None:
        """Have no fault."""
        self._tell({})

    def flip(self, path: Path, offset: int) -> None:
        """Change a byte below the mounted file system, which is not told."""
        real = self.below / path.relative_to(self.folder)
        before = real.stat()
        with real.open("rb+", buffering=0) as file:
            file.seek(offset)
            (byte,) = file.read(1)
            file.seek(offset)
            file.write(bytes([byte ^ 0xFF]))
        os.utime(real, ns=(before.st_atime_ns, before.st_mtime_ns))

    def _tell(self, faults: dict[str, object]) -> None:
        draft = self._faults.with_suffix(".tmp")
        draft.write_text(json.dumps(faults), encoding="utf-8")
        draft.replace(self._faults)


@contextlib.contextmanager
def mounted_stick(work: Path, *options: str, below: Path | None = None) -> Iterator[Stick]:
    """Mount a folder (a new one by default) below `work`; skip the test where that cannot be done."""
    lacking = _lacking()
    if lacking:
        pytest.skip(f"no file system with bad blocks can be made here: {lacking}")
    below = below or work / "below"
    stick, faults = work / "stick", work / "faults.json"
    for folder in (below, stick):
        folder.mkdir(parents=True, exist_ok=True)
    faults.write_text("{}", encoding="utf-8")
    words = ["--folder", below, "--mount", stick, "--faults", faults]
    words += [word for option in options for word in ("--option", option)]
    with (work / "badblocks.log").open("w+", encoding="utf-8") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.badblocks_driver", *words],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
        try:
            until = time.monotonic() + 30
            while not stick.is_mount():
                if server.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    raise RuntimeError(f"the folder cannot be mounted: {log.read()[-2000:]}")
                time.sleep(0.02)
            yield Stick(stick, below, faults, server)
        finally:
            assert FUSERMOUNT is not None
            subprocess.run([FUSERMOUNT, "-u", "-z", str(stick)], check=False, capture_output=True)
            server.kill()
            server.wait()


def _lacking() -> str:
    """Return what a FUSE file system needs and this machine does not have."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "no /dev/fuse"
    if FUSERMOUNT is None:
        return "no fusermount"
    if not (ctypes.util.find_library("fuse") or ctypes.util.find_library("fuse3")):
        return "no libfuse"
    return ""
