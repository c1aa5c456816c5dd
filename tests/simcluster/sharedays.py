"""Bad days of the cluster's volume: data that a test edits, or faults that are armed while the cluster runs."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.simcluster.faults import Faults, Kind

_MIB = 1 << 20


@dataclass(slots=True, kw_only=True)
class ShareDays:
    """How the volume under `C:\\ClusterStorage` is today."""

    is_full: bool = False
    """Nothing more fits on it (fault `share-full`)."""
    is_read_only: bool = False
    """Nothing may be written on it (fault `read-only-share`)."""
    seconds_per_mib: float = 0.0
    """So long every MiB takes that is written on it (fault `slow-disk`)."""
    faults: Faults | None = None
    """What is armed just now."""

    def refuses_bytes(self) -> bool:
        """Whether nothing more fits."""
        return self.is_full or self._is_armed("share-full")

    def refuses_changes(self) -> bool:
        """Whether nothing may be changed."""
        return self.is_read_only or self._is_armed("read-only-share")

    def delay(self, size_bytes: int) -> None:
        """Take as long as the disk does."""
        fault = self.faults.standing("slow-disk") if self.faults is not None else None
        per_mib_s = self.seconds_per_mib if fault is None else fault.seconds
        if per_mib_s:
            time.sleep(per_mib_s * size_bytes / _MIB)

    def _is_armed(self, kind: Kind) -> bool:
        return self.faults is not None and self.faults.standing(kind) is not None
