"""Addresses of one file → the file on a disk with its size and SHA-256, hashed while it comes.

Theory of operation: one connection fetches from the first missing byte on, a thread behind it hashes what is
there. While that goes on, the caller's thread measures, reports, and decides: more connections if they help
(`_growth`), another address if one fails (`_patience`), none at all outside of the hours a person set. Each
connection has a thread; it fetches a piece (`_ranges`), writes and journals it (`_part`), and takes the
next. A line that is faster than what several connections are good for is written past the cache (`_fastlane`).

A connection that has stalled cannot be interrupted, only disowned: its piece is given to another, and
whatever it still reads is thrown away. Nothing is judged here: whoever called compares the digest with what
was published.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from toolkit.catalog._connection import Connection, Throttle, in_thread
from toolkit.catalog._fetch import Fetcher, InterruptedDownload
from toolkit.catalog._growth import Growth, Sample
from toolkit.catalog._limits import Limits
from toolkit.catalog._part import Part, PartFile
from toolkit.catalog._patience import RETRY_DELAYS_S, Mirrors, Retries
from toolkit.catalog._storage import storage
from toolkit.catalog._transfer import ChangedError, Claim, NoRangesError, Transfer
from toolkit.errors import DownloadError, ReachError
from toolkit.filesystem import has_cheap_gaps
from toolkit.model import Progress, Sha256
from toolkit.names import shown

_log = logging.getLogger(__name__)

OPENINGS = 20
"""A piece keeps one of several connections so many times as long as opening it took: 5 % are lost …"""
LEAST_PIECE_S, LONGEST_PIECE_S = 1.0, 6.0
"""… within these bounds: whoever hashes follows as far behind as all pieces together are long."""
LEAST_PIECE_BYTES = 4 << 20
REFUSED_BYTES = 256 << 10
"""An answer that ends with less was refused; one that brought more was cut."""
SHOW_S = 0.5
"""So often a line that brings nothing is shown to do so."""
QUIET_S = 10.0
"""After so long without a byte a person is told."""
HURRY_S = 3.0
"""So long the last of several connections may be silent, the first time, until its piece is given to another."""
STALL_S = 60.0
"""So long a line may bring less than `FLOOR_BYTES_S` before it is given up."""
FLOOR_BYTES_S = 1 << 10
TICK_S = 0.05
GRACE_S = 1.0
"""So long a connection that is not wanted any more is waited for; it may be deaf."""
LOOK_S = 60.0
"""So often the clock is read while waiting for the hours: it may be set, or the machine have slept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """What a finished download measured."""

    size_bytes: int
    sha256: Sha256
    announced_bytes: int | None
    """Length the server announced last, if it did."""
    resumed_bytes: int
    """How much of it an earlier command had left."""
    sources: tuple[str, ...]
    """The addresses that this command took bytes from."""


def download(
    urls: Sequence[str],
    part: PartFile,
    *,
    fetcher: Fetcher,
    progress: Progress,
    limits: Limits | None = None,
    retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    chance: Callable[[], float] = random.random,
) -> Downloaded:
    """Bring a file into `part`, going on from what is there.

    Args:
        urls: Addresses of the same file, the preferred one first.
        part: Where the bytes go; its journal is kept beside it until the caller renames it.
        fetcher: What opens an address; its answers are read in threads of their own.
        progress: Told what happens, from the calling thread alone.
        limits: What a person allows.
        retry_delays_s: How long to wait before each repetition of a failed attempt.
        sleep: Waits between attempts, and for the hours.
        now: The local time, aware.
        chance: Numbers from 0 to 1, for delays that are not the same everywhere.

    Returns:
        What was measured; the file is on the disk, whole, under the name of `part`.

    Raises:
        DownloadError: No server gives us the whole file.
        AuthenticationError: No server gives it to us without a log-on, or a proxy does not let us in.
        InputError: A proxy wants a password, and nobody can be asked for it.
        StorageError: The disk is full or fails, or cannot hold the file; what is there stays.
    """
    for url in urls:  # a prompt in another thread would outlive Ctrl-C, and be taken for a stall
        fetcher.log_on(url)
    limits = limits or Limits()
    retries = Retries(retry_delays_s, random=chance)
    with contextlib.ExitStack() as open_until_end:
        open_until_end.enter_context(storage(f"write {part.path}"))
        opened = open_until_end.enter_context(contextlib.closing(Part(part)))
        crew = _Crew(opened, Mirrors(urls), fetcher, progress, limits, now)
        open_until_end.enter_context(contextlib.closing(crew))
        resumed_bytes = crew.transfer.done_bytes
        while not crew.transfer.is_complete:
            crew.wait_for_hours(sleep)
            try:
                crew.run()
            except InterruptedDownload as error:
                sleep(crew.give_up_or_wait(error, retries))
        return crew.finish(resumed_bytes)


class _Crew:
    """The connections of one download, and whoever decides how many there are."""

    def __init__(
        self,
        part: Part,
        mirrors: Mirrors,
        fetcher: Fetcher,
        progress: Progress,
        limits: Limits,
        now: Callable[[], datetime],
    ) -> None:
        self._mirrors, self._fetcher, self._progress = mirrors, fetcher, progress
        self._hours, self._now = limits.hours, now
        self._throttle = Throttle(limits.rate_bytes_s)
        is_ordered = not has_cheap_gaps(part.path.parent)
        if is_ordered:
            _log.info("one connection: this file system fills gaps with zeros")
        self._growth = Growth(1 if is_ordered else limits.most_connections)
        self._crew: list[_Watched] = []
        self._hurry_s = HURRY_S
        self._scout: futures.Future[None] | None = None
        self._rate_bytes_s = 0.0
        self._seen_s, self._seen_bytes = time.monotonic(), 0
        self._drawn = 0
        """Which start of the file is being drawn; see `Transfer.starts`."""
        self._reported_bytes, self._shown_s = 0, 0.0
        if part.blocks.done_bytes:
            self._draw(part, 1)
        self.transfer = Transfer(part, self._advance)

    def wait_for_hours(self, sleep: Callable[[float], None]) -> None:
        """Return within the hours that a person set."""
        is_said = False
        while self._hours is not None and (wait_s := self._hours.wait(self._now()).total_seconds()):
            if not is_said:
                self._progress.say(
                    f"outside of {self._hours}; waiting for {self._hours.start:%H:%M}"
                )
                is_said = True
            sleep(min(wait_s, LOOK_S))

    def run(self) -> None:
        """Fetch until everything is there or the hours are over.

        Raises:
            InterruptedDownload: The last connection stopped, for a reason that may pass.
            DownloadError, AuthenticationError: No address gives us the file.
            StorageError, OSError: The disk.
        """
        self._growth.restart(time.monotonic())
        self._scout = None
        while not self.transfer.is_complete:
            if self._hours is not None and self._hours.wait(self._now()):
                self._progress.say(f"the hours {self._hours} are over")
                self._send_home()
                return
            self._call_in()
            self._wait()
            self._report()
            self._hear_the_scout()
            for each in [each for each in self._crew if each.connection.ended.done()]:
                self._part_with(each, each.connection.ended.exception())
            for each in [each for each in self._crew if each.has_stalled(self._progress)]:
                self._part_with(each, _stalled(each.claim.url))
            self._hurry()
            self._measure()

    def give_up_or_wait(self, error: InterruptedDownload, retries: Retries) -> float:
        """Return how long to wait before going on.

        Raises:
            DownloadError: It was tried often enough.
        """
        done_bytes = self.transfer.done_bytes
        delay_s = retries.delay_s(done_bytes, error.retry_after_s)
        if delay_s is None:
            raise DownloadError(
                error.attempted,
                found=f"{error.found}, after {done_bytes} bytes",
                expected="the whole file",
                hint="the same command goes on from there",
            ) from error
        self._progress.say(f"{error.found}; resuming at {done_bytes} bytes in {delay_s:.1f} s")
        return delay_s

    def finish(self, resumed_bytes: int) -> Downloaded:
        """Return what was measured of the whole file."""
        self._send_home()
        self._report()
        return Downloaded(
            size_bytes=self.transfer.done_bytes,
            sha256=Sha256(self.transfer.finish()),
            announced_bytes=self.transfer.announced_bytes,
            resumed_bytes=resumed_bytes if self.transfer.starts == 1 else 0,
            sources=tuple(self.transfer.sources),
        )

    def close(self) -> None:
        """Leave everything as it is, for the next command."""
        self._send_home()
        self.transfer.close()
        if self._drawn:
            self._progress.end()

    # --- who is at work -------------------------------------------------------------------------

    def _call_in(self) -> None:
        """Start as many connections as are wanted and have something to do."""
        wanted = self._growth.wanted
        if wanted > 1 and not self._gives_parts():
            wanted = 1
        if wanted > 1 and wanted > len(self._crew):
            self.transfer.narrow(self._piece_bytes(wanted))
        while len(self._crew) < wanted:
            claim = self.transfer.claim(self._want_bytes())
            if claim is None:
                break
            connection = Connection(
                claim,
                self.transfer,
                fetcher=self._fetcher,
                mirrors=self._mirrors,
                throttle=self._throttle,
                next_piece=self._next_piece,
            )
            self._crew.append(_Watched(connection))

    def _gives_parts(self) -> bool:
        """Whether several connections can share the file; found out by asking for its second byte.

        The answer that is being read must not be cut short for nothing: it may be the only one.
        """
        transfer = self.transfer
        if transfer.gives_parts:
            return True
        if transfer.part.total_bytes is None:
            self._fewer(1, "the server does not tell the length of the file")
            return False
        if self._scout is None:
            self._scout = in_thread("scout", self._ask_for_a_part)
        return False

    def _hear_the_scout(self) -> None:
        """Take its answer, also where nobody waits for it any more."""
        if self._scout is None or not self._scout.done():
            return
        refused, self._scout = self._scout.exception(), None
        if refused is None:
            self.transfer.gives_parts = True
        elif not isinstance(refused, NoRangesError | ReachError):
            raise refused
        elif not self.transfer.gives_parts:
            self._fewer(1, str(refused))

    def _ask_for_a_part(self) -> None:
        url = self._mirrors.pick()
        with contextlib.closing(self._fetcher.open(url, offset=1, validator="", stop=2)) as answer:
            if answer.start != 1:
                raise NoRangesError("the server gives no parts of a file")

    def _next_piece(self, claim: Claim) -> bool:
        """Give a connection more to do, or let it end; called from its thread."""
        with self.transfer.lock:
            if self.transfer.claims > self._growth.wanted:
                self.transfer.disown(claim)
            return self.transfer.next_piece(claim, self._want_bytes())

    def _want_bytes(self) -> int | None:
        wanted = self._growth.wanted
        is_shared = wanted > 1 and self.transfer.gives_parts
        return self._piece_bytes(wanted) if is_shared else None

    def _piece_bytes(self, wanted: int) -> int:
        """Return a good size: some seconds of one connection, and towards the end its share."""
        piece_s = LEAST_PIECE_S
        if not self._growth.is_trying:
            piece_s = min(max(piece_s, OPENINGS * self._opening_s), LONGEST_PIECE_S)
        of_time = int(self._rate_bytes_s * piece_s / max(1, len(self._crew)))
        of_file = self.transfer.left_bytes // wanted
        return max(LEAST_PIECE_BYTES, min(of_time, of_file))

    @property
    def _opening_s(self) -> float:
        return max((each.claim.opening_s for each in self._crew), default=0.0)

    def _wait(self) -> None:
        awaited = [each.connection.ended for each in self._crew]
        if self._scout is not None:
            awaited.append(self._scout)
        futures.wait(awaited, timeout=TICK_S, return_when=futures.FIRST_COMPLETED)

    def _part_with(self, each: _Watched, error: BaseException | None) -> None:
        """Take a connection out of the crew, and decide what its end means for the others.

        Raises:
            InterruptedDownload: It was the last one, and may be tried again.
            DownloadError, AuthenticationError: It was the last one at the last address.
            StorageError, OSError: The disk.
        """
        self._crew.remove(each)
        self.transfer.disown(each.claim)
        url, others, mirrors = each.claim.url, len(self._crew), self._mirrors
        match error:
            case None:
                pass
            case ChangedError() | NoRangesError() | ReachError() if mirrors.is_out(url):
                pass
            case ChangedError():
                self._send_home()
                self.transfer.start_over(str(error))
                raise InterruptedDownload(f"fetch {shown(url)}", found=str(error)) from error
            case NoRangesError() if mirrors.usable == 1:
                self._fewer(1, str(error))
            case InterruptedDownload():
                if mirrors.failed(url):
                    self._progress.say(
                        f"{_host(url)}: {error.found}; going on from {_host(mirrors.pick())}"
                    )
                elif not others:
                    raise error
                elif each.claim.received_bytes - each.claim.opened_bytes < REFUSED_BYTES:
                    self._fewer(others, str(error.found))
            case NoRangesError() | ReachError() if mirrors.usable > 1:
                mirrors.drop(url)
                self._progress.say(f"{error}; going on without {_host(url)}")
            case ReachError() if others:
                self._fewer(others, str(error.found))
            case _:
                raise error

    def _hurry(self) -> None:
        """When there is nothing left to give out, let nobody be waited for who brings nothing."""
        if len(self._crew) >= self._growth.wanted:
            return
        for each in [each for each in self._crew if each.quiet_s > self._hurry_s]:
            self._hurry_s *= 2
            self._crew.remove(each)
            self.transfer.disown(each.claim)

    def _fewer(self, count: int, why: str) -> None:
        self._growth.limit(count)
        self._progress.say(f"{why}; going on with {count} connection{'s' if count > 1 else ''}")

    def _send_home(self) -> None:
        """Take every share back; connections end with what they are reading."""
        for each in self._crew:
            self.transfer.disown(each.claim)
        futures.wait([each.connection.ended for each in self._crew], timeout=GRACE_S)
        self._crew.clear()

    # --- what is seen ---------------------------------------------------------------------------

    def _measure(self) -> None:
        at_s, received_bytes = time.monotonic(), self.transfer.received_bytes
        if at_s - self._seen_s >= TICK_S:
            rate = (received_bytes - self._seen_bytes) / (at_s - self._seen_s)
            self._rate_bytes_s += (rate - self._rate_bytes_s) * (0.2 if self._rate_bytes_s else 1)
            self._seen_s, self._seen_bytes = at_s, received_bytes
        self._growth.see(
            Sample(
                at_s=at_s,
                received_bytes=received_bytes,
                busy_s=time.process_time(),
                opening_s=self._opening_s,
                is_settling=self._scout is not None
                or not all(each.claim.received_bytes for each in self._crew),
                is_paced=self._throttle.is_limiting,
            )
        )

    def _report(self) -> None:
        transfer = self.transfer
        with transfer.lock:
            starts, done_bytes = transfer.starts, transfer.done_bytes
        for notice in transfer.notices():
            self._progress.say(notice)
        if self._drawn != starts and (done_bytes or transfer.part.total_bytes is not None):
            self._draw(transfer.part, starts)
        new_bytes = done_bytes - self._reported_bytes
        if self._drawn == starts and (new_bytes or time.monotonic() - self._shown_s > SHOW_S):
            self._advance(max(0, new_bytes))

    def _draw(self, part: Part, starts: int) -> None:
        if self._drawn:
            self._progress.end()
        self._drawn, self._reported_bytes = starts, 0
        self._progress.begin(f"download {part.path.stem}", total_bytes=part.total_bytes)

    def _advance(self, count_bytes: int) -> None:
        self._shown_s = time.monotonic()
        self._reported_bytes += count_bytes
        self._progress.advance(count_bytes)


class _Watched:
    """A connection and when it was last heard of."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.claim = connection, connection.claim
        self._heard_s = self._mark_s = time.monotonic()
        self._heard_bytes = self._mark_bytes = 0
        self._is_told = False

    @property
    def quiet_s(self) -> float:
        """How long it has brought nothing."""
        return time.monotonic() - self._heard_s

    def has_stalled(self, progress: Progress) -> bool:
        """Whether it brought next to nothing for long; a shorter silence is told."""
        now_s, received_bytes = time.monotonic(), self.claim.received_bytes
        if received_bytes != self._heard_bytes:
            self._heard_s, self._heard_bytes, self._is_told = now_s, received_bytes, False
        elif self.quiet_s >= QUIET_S and not self._is_told:
            self._is_told = True
            progress.say(f"{_host(self.claim.url)}: nothing for {QUIET_S:g} s; waiting")
        if now_s - self._mark_s < STALL_S:
            return False
        came_bytes = received_bytes - self._mark_bytes
        self._mark_s, self._mark_bytes = now_s, received_bytes
        return came_bytes < FLOOR_BYTES_S * STALL_S


def _stalled(url: str) -> InterruptedDownload:
    return InterruptedDownload(
        f"fetch {shown(url)}",
        found=f"less than {FLOOR_BYTES_S} bytes per second for {STALL_S:g} s",
        hint="the line has stalled",
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc
