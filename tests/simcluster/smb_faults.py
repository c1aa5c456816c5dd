"""Faults of the SMB server: what a hook sees, what it may do, and hooks ready to use.

A hook is called before each command is carried out, with the command's name (`"WRITE"`) and the
state of the connection. It answers None (go on), `"drop"` (cut the connection now) or
`"drop unanswered"` (carry the command out, then cut the connection instead of answering). It may
put other bytes of the same length into `state.pending_write.data`. It runs in the connection's own
thread, so sleeping in it makes the server slow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.simcluster.faults import Faults
from tests.simcluster.journal import Journal


@dataclass(slots=True)
class PendingWrite:
    """What a WRITE is about to put into a file."""

    offset: int
    data: bytes


@dataclass(slots=True)
class ConnectionState:
    """What a hook may know of a connection."""

    peer: str
    user: str | None = None
    bytes_written: int = 0
    bytes_read: int = 0
    pending_write: PendingWrite | None = None


Verdict = Literal["drop", "drop unanswered"] | None
Hook = Callable[[str, ConnectionState], Verdict]


class _Countdown:
    """Lets a fault happen a set number of times, whichever connections it meets."""

    def __init__(self, times: int) -> None:
        self._left = times
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0


class DropAfterWritten:
    """Cut the connection once it has written so many bytes; the last write stays unanswered."""

    def __init__(self, size_bytes: int, *, times: int = 1) -> None:
        self._size_bytes = size_bytes
        self._times = _Countdown(times)

    def __call__(self, command: str, state: ConnectionState) -> Verdict:
        """Decide on one command."""
        if command != "WRITE" or state.pending_write is None:
            return None
        reached = state.bytes_written + len(state.pending_write.data)
        return "drop unanswered" if reached >= self._size_bytes and self._times.take() else None


class DropAfterRead:
    """Cut the connection at the first read after it has read so many bytes."""

    def __init__(self, size_bytes: int, *, times: int = 1) -> None:
        self._size_bytes = size_bytes
        self._times = _Countdown(times)

    def __call__(self, command: str, state: ConnectionState) -> Verdict:
        """Decide on one command."""
        is_due = command == "READ" and state.bytes_read >= self._size_bytes
        return "drop" if is_due and self._times.take() else None


class FlipByte:
    """Invert one byte of what is written at an offset, as a bad disk or cable would."""

    def __init__(self, offset: int, *, times: int = 1) -> None:
        self._offset = offset
        self._times = _Countdown(times)

    def __call__(self, command: str, state: ConnectionState) -> Verdict:
        """Spoil the one write that covers the offset."""
        pending = state.pending_write
        if command == "WRITE" and pending is not None:
            at = self._offset - pending.offset
            if 0 <= at < len(pending.data) and self._times.take():
                data = bytearray(pending.data)
                data[at] ^= 0xFF
                pending.data = bytes(data)
        return None


class ArmedFaults:
    """What the faults armed for a node do to its SMB connections; the journal counts what happens."""

    def __init__(self, faults: Faults, journal: Journal, node: str) -> None:
        self._faults = faults
        self._journal = journal
        self._node = node

    def __call__(self, command: str, state: ConnectionState) -> Verdict:
        """Decide on one command."""
        if command != "WRITE" or state.pending_write is None:
            return None
        size_bytes = len(state.pending_write.data)
        self._journal.count_smb_written(size_bytes)
        reached = state.bytes_written + size_bytes
        if self._faults.take("smb-drop", node=self._node, written_bytes=reached) is None:
            return None
        self._journal.count_smb_drop()
        return "drop unanswered"
