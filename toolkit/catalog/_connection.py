"""One connection: a thread that fetches a piece, hands over what comes, and takes the next piece."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from toolkit.catalog._fastlane import CHUNK_BYTES, FastLane
from toolkit.catalog._fetch import Answer, Fetcher, InterruptedDownload
from toolkit.catalog._limits import Pace
from toolkit.catalog._patience import Mirrors
from toolkit.catalog._ranges import BLOCK_BYTES, ENDLESS
from toolkit.catalog._transfer import Claim, Transfer
from toolkit.errors import DownloadError
from toolkit.names import shown

BUFFER_BYTES = 64 << 10
"""Larger buffers fall out of the processor's cache and were twice as slow (1 MiB)."""
LEAST_READ_BYTES = 16 << 10
"""One TLS record. A slow line is asked for less at a time, so that less is lost when the process is killed."""
UNWRITTEN_BYTES = 512 << 10
"""All connections together ask for no more than this at a time, for the same reason."""
READ_S = 0.002
"""One read takes about this much of its line, within those bounds …"""
READS_PER_S = 5000
"""… and all together are no more than this: each costs processor time."""
_WATCH_S = 0.02
FAST_AFTER_BYTES = 32 << 20
"""So much has come at such speed before the fast lane is taken …"""
LANE_BYTES_S = 64 << 20
LEAVE_BYTES_S = 16 << 20
"""… and a chunk that comes slower than this ends it."""
_LANE_WORTH_BYTES = 8 << 20


T = TypeVar("T")


def in_thread(name: str, act: Callable[[], T]) -> Future[T]:
    """Run something in a thread that nobody has to wait for, not even the end of the program."""
    ended: Future[T] = Future()

    def run() -> None:
        try:
            ended.set_result(act())
        except BaseException as error:  # noqa: BLE001 - raised again where `ended` is looked at
            ended.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return ended


class Throttle:
    """The pace of all connections together."""

    def __init__(self, rate_bytes_s: int | None) -> None:
        """Keep `rate_bytes_s`, or let everything pass."""
        self.is_limiting = False
        self.has_rate = rate_bytes_s is not None
        self._pace = Pace(rate_bytes_s)
        self._lock = threading.Lock()

    def wait(self, count_bytes: int) -> None:
        """Return when more may be received after these bytes."""
        if not self.has_rate:
            return
        with self._lock:
            delay_s = self._pace.delay_s(count_bytes, time.monotonic())
        self.is_limiting = delay_s > 0
        time.sleep(delay_s)


class Connection:
    """A thread that works for a claim until nothing is left, or it fails, or it is not wanted any more."""

    def __init__(
        self,
        claim: Claim,
        transfer: Transfer,
        *,
        fetcher: Fetcher,
        mirrors: Mirrors,
        throttle: Throttle,
        next_piece: Callable[[Claim], bool],
    ) -> None:
        """Start at once.

        Args:
            claim: The first piece.
            transfer: What all connections share.
            fetcher: Opens addresses.
            mirrors: Which addresses; used under the transfer's lock.
            throttle: The pace of all connections.
            next_piece: Exchanges the finished piece of the claim; False: end.
        """
        self.claim = claim
        self._transfer, self._fetcher, self._mirrors = transfer, fetcher, mirrors
        self._throttle, self._next_piece = throttle, next_piece
        self._buffer, self._read_bytes = memoryview(bytearray(BUFFER_BYTES)), BUFFER_BYTES
        self._watched_s, self._watched = time.monotonic(), (0, transfer.received_bytes)
        self.ended = in_thread("fetch", self._run)

    def _run(self) -> None:
        while self._fetch():
            pass

    def _fetch(self) -> bool:
        """Fetch the claim's piece, to its end; False if there is no other one to go on with.

        Raises:
            InterruptedDownload: It stopped before the end.
            DownloadError: It will not come from there.
            ChangedError, NoRangesError: See `Transfer.accept`.
            StorageError, OSError: The disk.
        """
        claim, transfer = self.claim, self._transfer
        with transfer.lock:
            url = claim.url = self._mirrors.pick()
            claim.opened_bytes = claim.received_bytes
            piece = claim.piece
            is_last = piece.stop in (ENDLESS, transfer.part.total_bytes)
            offset, stop = piece.position, None if is_last else piece.stop
            validator = transfer.part.validator(url)
        begun_s = time.monotonic()
        answer = self._fetcher.open(url, offset=offset, validator=validator, stop=stop)
        claim.opening_s = time.monotonic() - begun_s
        with contextlib.closing(answer):
            if not transfer.accept(claim, answer):
                return False
            try:
                while True:
                    self._copy(answer)
                    end = claim.piece.position
                    if not self._next_piece(claim):
                        return False
                    if stop is not None or claim.piece.position != end:
                        return True
            finally:
                came = claim.received_bytes - claim.opened_bytes
                if came:
                    rate = came / max(time.monotonic() - begun_s, 0.001)
                    with transfer.lock:
                        self._mirrors.brought(url, rate)

    def _copy(self, answer: Answer) -> None:
        """Take what comes until the piece is whole, the file ends, or the connection was disowned."""
        claim, transfer = self.claim, self._transfer
        mark_s, mark_bytes = time.monotonic(), claim.received_bytes
        while left := claim.piece.left:
            to_border = BLOCK_BYTES - claim.piece.position % BLOCK_BYTES
            share = max(LEAST_READ_BYTES, UNWRITTEN_BYTES // max(1, transfer.claims))
            most = min(left, to_border, self._read_bytes, share)
            data = self._buffer[: self._read(answer, self._buffer[:most])]
            if not data:
                self._end(answer)
                return
            if left == len(data):
                self._refuse_more(answer)
            if not transfer.take(claim, data):
                return
            self._throttle.wait(len(data))
            if claim.received_bytes - mark_bytes >= FAST_AFTER_BYTES:
                elapsed_s = time.monotonic() - mark_s
                if claim.received_bytes - mark_bytes >= LANE_BYTES_S * elapsed_s:
                    self._rush(answer)
                mark_s, mark_bytes = time.monotonic(), claim.received_bytes

    def _read(self, answer: Answer, buffer: memoryview) -> int:
        """Read once; every now and then see how much should be asked for at a time."""
        count = answer.readinto(buffer)
        self._transfer.count(self.claim, count)
        elapsed_s = time.monotonic() - self._watched_s
        if elapsed_s >= _WATCH_S:
            own, total = self.claim.received_bytes, self._transfer.received_bytes
            own_bytes_s = (own - self._watched[0]) / elapsed_s
            total_bytes_s = (total - self._watched[1]) / elapsed_s
            worth = max(own_bytes_s * READ_S, total_bytes_s / READS_PER_S)
            self._read_bytes = BUFFER_BYTES
            while self._read_bytes > max(worth, LEAST_READ_BYTES):
                self._read_bytes //= 2
            self._watched_s, self._watched = self._watched_s + elapsed_s, (own, total)
        return count

    def _rush(self, answer: Answer) -> None:
        """Take the fast lane as long as the line stays fast and nobody else fetches."""
        claim, transfer = self.claim, self._transfer
        if (
            self._throttle.has_rate
            or claim.piece.position % CHUNK_BYTES
            or claim.piece.left < _LANE_WORTH_BYTES
            or not transfer.is_alone_at_the_front(claim)
        ):
            return
        chunk, filled, is_fast = memoryview(b""), 0, True
        try:
            with FastLane(transfer.part, transfer.follower) as lane:
                while is_fast and claim.piece.left > CHUNK_BYTES and transfer.claims == 1:
                    chunk, begun_s = lane.chunk(), time.monotonic()
                    while filled < CHUNK_BYTES:
                        count = self._read(answer, chunk[filled : filled + BUFFER_BYTES])
                        if not count:
                            return
                        filled += count
                    put = partial(lane.put, claim.piece.position, chunk)
                    if not transfer.hand_over(claim, put, CHUNK_BYTES):
                        return
                    filled = 0
                    is_fast = (time.monotonic() - begun_s) * LEAVE_BYTES_S < CHUNK_BYTES
        finally:
            if filled:
                transfer.take(claim, chunk[:filled])

    def _end(self, answer: Answer) -> None:
        claim = self.claim
        if not self._transfer.end_of_body(claim):
            raise InterruptedDownload(
                f"fetch {shown(claim.url)}",
                found=f"the line ended at {claim.piece.position} of {answer.total_bytes} bytes",
            )

    def _refuse_more(self, answer: Answer) -> None:
        """Look whether an answer goes on behind the announced end, before the last bytes are taken."""
        total, piece = answer.total_bytes, self.claim.piece
        if piece.stop != total or self.claim.is_disowned:
            return
        with contextlib.suppress(InterruptedDownload):
            if answer.readinto(memoryview(bytearray(1))):
                raise DownloadError(
                    f"fetch {shown(self.claim.url)}",
                    found=f"more than the {total} bytes that were announced",
                    hint="a proxy on the way changes files; go around it, or give another address",
                )
