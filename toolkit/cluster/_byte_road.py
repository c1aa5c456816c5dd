"""A file to a node through WinRM alone, where port 445 is closed: slow, and measured before the first byte is sent.

Theory of operation. The bytes go as a parameter of `Add-Content`, a chunk per command, so they arrive in
order and whatever stands in the unfinished file is a beginning of the stream, even if a command was cut off
inside its chunk. After each chunk the node is asked how long the file is: a length that is not ours means that
somebody else writes it. A command whose answer was lost may still be writing, so an upload that goes on waits
until the length stands still. The caller proves the whole file with the node's own hash: what a node that
crashed had not written to its disk is found by that, for no cmdlet cuts a file to what it had.

How fast a node appends bytes is not published, so it is measured: by the same commands, on a scratch file that is
removed at once, before anything of the payload is sent; from then on by what is sent.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import PureWindowsPath
from typing import Protocol

from toolkit.cluster import _cmdlets
from toolkit.cluster._cmdlets import roads
from toolkit.cluster._share_records import RECORDS_FOLDER
from toolkit.errors import ClusterError, CommandError, ToolkitError, TransferError
from toolkit.model import Command, Progress, T, human_size

_CHUNK_BYTES = 4 << 20
"""In Base64 well below the 10 MB that a WSMan host takes as one object (about_Session_Configurations)."""
_STILL_S = 10
"""A file whose length is the same after so long is written by nobody."""
SCRATCH = RECORDS_FOLDER / "speed.probe"
"""What the road is measured with; a run that was cut off leaves it, the next one removes it."""
_PROBE_CHUNKS = 2
_RECENT_CHUNKS = 16
"""By so many the pace is judged: a line that gets slower is told within 64 MiB."""
_AGAIN_S = 600
"""So often it is said again how long it will take."""


class Invoking(Protocol):
    """What the byte path needs of a session."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


class Pace:
    """How fast this road is, and how long what is left will take by it."""

    def __init__(
        self,
        *,
        progress: Progress,
        clock: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC).astimezone(),
    ) -> None:
        """Know nothing yet.

        Args:
            progress: Told how long it will take, before it begins and then from time to time.
            clock: Seconds, from anywhere.
            now: This machine's clock, in its own zone.
        """
        self._progress = progress
        self._clock = clock
        self._now = now
        self._recent: deque[tuple[int, float]] = deque(maxlen=_RECENT_CHUNKS)
        self._told_at: float | None = None

    def foretell(self, session: Invoking, name: str, left_bytes: int) -> None:
        """Say how long a file will take; where nothing was measured yet, measure first.

        Raises:
            ReachError: The node did not answer.
        """
        if not self._recent:
            self._measure(session)
        if self._recent:
            self._tell(name, left_bytes)

    def append(self, session: Invoking, file: PureWindowsPath, data: bytes) -> int:
        """Write bytes behind what a file holds, and take the time; return how long the file is then.

        Raises:
            ReachError: The node did not answer.
            CommandError: A cmdlet refused, in the node's words.
        """
        began = self._clock()
        session.invoke(roads.append_bytes(file, data))
        size_bytes = session.invoke(roads.measure(file)).size_bytes
        if len(data) == _CHUNK_BYTES:  # what is shorter tells how long a command takes, not a byte
            self._recent.append((len(data), self._clock() - began))
        return size_bytes

    def refine(self, name: str, left_bytes: int) -> None:
        """Say again how long a file will take, where that was said long ago or never."""
        if self._told_at is None or self._clock() - self._told_at >= _AGAIN_S:
            self._tell(name, left_bytes)

    def _measure(self, session: Invoking) -> None:
        chunk = bytes(range(256)) * (_CHUNK_BYTES // 256)
        self._progress.say(
            f"measuring how fast WinRM is, with {human_size(_PROBE_CHUNKS * _CHUNK_BYTES)} that are removed again"
        )
        try:
            for _ in range(_PROBE_CHUNKS):
                self.append(session, SCRATCH, chunk)
        except CommandError as error:
            self._progress.say(
                f"how fast WinRM is could not be measured beforehand ({error.found}); the first "
                f"{human_size(_CHUNK_BYTES)} will tell"
            )
        finally:
            with contextlib.suppress(ToolkitError):
                session.invoke(_cmdlets.remove(SCRATCH))

    def _tell(self, name: str, left_bytes: int) -> None:
        sent_bytes = sum(size_bytes for size_bytes, _ in self._recent)
        per_s = sent_bytes / max(sum(seconds for _, seconds in self._recent), 0.001)
        left = timedelta(seconds=left_bytes / per_s)
        self._told_at = self._clock()
        self._progress.say(
            f"through WinRM at {human_size(round(per_s))} a second (measured): the remaining {human_size(left_bytes)} "
            f"of {name} take about {_spoken(left)}, until {self._now() + left:%Y-%m-%d %H:%M} by this machine's clock; "
            "by SMB it would be much faster (open port 445)"
        )


class ByteUpload:
    """A sink for one file of a node; fed the whole stream, it sends what the node does not have yet."""

    def __init__(
        self,
        session: Invoking,
        path: PureWindowsPath,
        *,
        size_bytes: int,
        pace: Pace,
        sleep: Callable[[float], None],
        part: str | None = None,
        must_exist: bool = False,
        on_arrived: Callable[[], None] = lambda: None,
    ) -> None:
        """Look what stands there from earlier tries and find out where to go on.

        Args:
            session: With the node.
            path: The name the file gets at last; its folder exists.
            size_bytes: Length of the whole stream.
            pace: How fast this road is; what it measured of one file holds for the next.
            sleep: Waits.
            part: Name of the unfinished file, in the same folder; None: `<name>.part`.
            must_exist: Go on with an unfinished file that stands there, never make one.
            on_arrived: Told whenever something has arrived.

        Raises:
            ReachError: The node did not answer; the same command continues.
            TransferError: Somebody else writes the file.
            ClusterError: `must_exist`, and nothing stands there; or a cmdlet refused.
        """
        self._session = session
        self._path = path
        self._part = path.with_name(part or f"{path.name}.part")
        self._size_bytes = size_bytes
        self._pace = pace
        self._on_arrived = on_arrived
        self._sleep = sleep
        self._attempted = f"copy {path.name} to {path.parent} through WinRM"
        self._fed_bytes = 0
        self._block = bytearray()
        there = self._found(must_exist=must_exist)
        if there > size_bytes:
            session.invoke(_cmdlets.remove(self._part))
            there = 0
        self.resumed_at_bytes = there
        """Bytes below this stand on the node already and are skipped, not sent again."""
        self.acknowledged_bytes = 0
        """How many bytes of this try the node has acknowledged."""
        if self._left_bytes > _CHUNK_BYTES:  # less is sent as quickly as measured
            pace.foretell(session, path.name, self._left_bytes)

    @property
    def sent_to_bytes(self) -> int:
        """How far into the file something was sent."""
        return self.resumed_at_bytes + self.acknowledged_bytes

    def skip(self, count_bytes: int) -> None:
        """Pass over the next bytes of the stream, all below `resumed_at_bytes`: the caller has them no more."""
        self._fed_bytes += count_bytes

    def unacknowledged(self) -> tuple[int, list[bytes]]:
        """Return where in the stream that begins which was taken and not acknowledged, and all of it."""
        return self.sent_to_bytes, [bytes(self._block)]

    def write(self, data: bytes | memoryview) -> int:
        """Take the next bytes of the stream; return how many, which is all.

        Raises:
            ReachError: The node does not answer any more; the same command continues.
            TransferError: More bytes than announced, or somebody else writes the file.
            ClusterError: A cmdlet refused, in the node's words.
        """
        view = memoryview(data).cast("B")
        skipped = min(len(view), max(0, self.resumed_at_bytes - self._fed_bytes))
        self._fed_bytes += len(view)
        if self._fed_bytes > self._size_bytes:
            raise self._wrong(f"at least {self._fed_bytes} bytes to send")
        rest = view[skipped:]
        while rest:
            taken = rest[: _CHUNK_BYTES - len(self._block)]
            rest = rest[len(taken) :]
            self._block += taken
            if len(self._block) == _CHUNK_BYTES:
                self._send()
        return len(view)

    def finish(self) -> None:
        """Send the rest and give the file its name.

        Raises:
            ReachError: The node does not answer any more; the same command continues.
            TransferError: The stream was shorter than announced, or somebody else writes the file.
            ClusterError: A cmdlet refused, in the node's words.
        """
        if self._fed_bytes != self._size_bytes:
            raise self._wrong(f"the stream ended after {self._fed_bytes} bytes")
        if self._block:
            self._send()
        self._session.invoke(_cmdlets.move(self._part, self._path))

    def __enter__(self) -> ByteUpload:
        """Return the sink."""
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        """Leave what arrived for the next try."""

    def _found(self, *, must_exist: bool) -> int:
        """Return how many bytes stand there, once nobody adds to them any more."""
        if not self._session.invoke(_cmdlets.path_exists(self._part)):
            if must_exist:
                raise ClusterError(
                    self._attempted,
                    found=f"{self._part} is not there any more",
                    hint="somebody or something removed it meanwhile; have that left alone, then run the same command again",
                )
            return 0
        found = size_bytes = self._measured()
        while size_bytes <= found + _CHUNK_BYTES:  # a command that was left alone adds no more
            self._sleep(_STILL_S)
            before, size_bytes = size_bytes, self._measured()
            if size_bytes == before:
                return size_bytes
        raise self._not_alone(size_bytes, expected=f"at most {found + _CHUNK_BYTES} bytes")

    def _send(self) -> None:
        data = bytes(self._block)
        expected = self.sent_to_bytes + len(data)
        found = self._pace.append(self._session, self._part, data)
        if found != expected:
            raise self._not_alone(found, expected=f"{expected} bytes")
        self._block.clear()
        self.acknowledged_bytes += len(data)
        self._on_arrived()
        if self._left_bytes > _CHUNK_BYTES:
            self._pace.refine(self._path.name, self._left_bytes)

    @property
    def _left_bytes(self) -> int:
        return self._size_bytes - self.sent_to_bytes

    def _measured(self) -> int:
        return self._session.invoke(roads.measure(self._part)).size_bytes

    def _not_alone(self, found: int, *, expected: str) -> TransferError:
        return TransferError(
            self._attempted,
            found=f"{self._part.name} has {found} bytes there",
            expected=expected,
            hint="does another machine copy it too? Once that has ended, run the same command again",
        )

    def _wrong(self, found: str) -> TransferError:
        return TransferError(
            self._attempted, found=found, expected=f"{self._size_bytes} bytes of the stream"
        )


def _spoken(time: timedelta) -> str:
    hours, minutes = divmod(round(time.total_seconds() / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{max(1, minutes)} min"
