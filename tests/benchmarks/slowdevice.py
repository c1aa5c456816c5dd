"""A device as slow as a medium is: the disk of this machine, throttled for one process and its children."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup/blkio")


@contextlib.contextmanager
def throttled(folder: Path, bytes_per_s: int) -> Iterator[None]:
    """Let this process read and directly write the disk of `folder` at this speed, no faster.

    What goes through the page cache is written by the kernel and not slowed down. Needs root and the
    blkio controller (cgroup 1).
    """
    number = folder.stat().st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    group = _GROUPS / f"ferry-bench-{os.getpid()}"
    group.mkdir()
    try:
        for what in ("read", "write"):
            limit = group / f"blkio.throttle.{what}_bps_device"
            limit.write_text(f"{device} {bytes_per_s}", encoding="ascii")
        (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        with contextlib.suppress(OSError):
            (_GROUPS / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        group.rmdir()
