"""What all connections of one download share: the bytes, who fetches which of them, and which file they are of.

Connections come from several threads; everything here happens under one lock. A connection that was disowned
changes nothing any more, whenever it comes back.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from toolkit.catalog._fetch import Answer
from toolkit.catalog._follower import Follower
from toolkit.catalog._part import Digest, Part
from toolkit.catalog._ranges import ENDLESS, Piece, Ranges
from toolkit.catalog._storage import free_bytes
from toolkit.errors import DownloadError, StorageError
from toolkit.filesystem import largest_file_bytes
from toolkit.names import shown

_log = logging.getLogger(__name__)


class ChangedError(Exception):
    """The file at an address is not the one whose bytes we have: start over."""


class NoRangesError(Exception):
    """A server sends a file from its start only."""


@dataclass(slots=True, eq=False)
class Claim:
    """One connection's share, as long as it is not disowned."""

    piece: Piece
    url: str = ""
    received_bytes: int = 0
    """By all its answers."""
    opened_bytes: int = 0
    """What of it had come before the present answer."""
    opening_s: float = 0.0
    """How long the present answer took from being asked for to its first bytes."""
    is_disowned: bool = False


class Transfer:
    """The state of one download."""

    def __init__(self, part: Part, advance: Callable[[int], None]) -> None:
        """Read what an earlier command left, and begin behind it.

        Args:
            part: Where the bytes go.
            advance: Told how many bytes were read and are good.
        """
        self.part = part
        self.name = part.path.stem
        self.lock = threading.RLock()
        self.received_bytes = 0
        """Over all connections, also what is thrown away later."""
        self.sources: list[str] = []
        self.announced_bytes = part.total_bytes
        """Length of the file in the latest answer, if it stood there."""
        self.gives_parts = False
        """A server has sent a part of this file from the middle."""
        self.starts = 1
        self._claims: list[Claim] = []
        self._notices: list[str] = []
        digest = hashlib.sha256()
        self._whole_bytes, forgotten = part.check(digest, advance)
        if part.is_unknown:
            self.say(f"nothing is known of the bytes there; starting over with {self.name}")
        if forgotten:
            self.say(
                f"{forgotten} bytes of {self.name} are not what was written; fetching them again"
            )
        if self.done_bytes:
            self.say(f"resuming {self.name} at {self.done_bytes} bytes")
        self._ranges = Ranges(part.blocks, part.total_bytes)
        self.follower = self._follow(digest)

    @property
    def done_bytes(self) -> int:
        """How much of the file is there."""
        return self.part.blocks.done_bytes

    @property
    def is_complete(self) -> bool:
        """Whether the whole file is there."""
        return self.part.total_bytes == self.done_bytes

    @property
    def claims(self) -> int:
        """How many connections have a share."""
        return len(self._claims)

    def say(self, text: str) -> None:
        """Leave a notice for a person."""
        with self.lock:
            self._notices.append(text)

    def notices(self) -> list[str]:
        """Return what was said since the last time."""
        with self.lock:
            said, self._notices = self._notices, []
        return said

    # --- who fetches what -----------------------------------------------------------------------

    def claim(self, want_bytes: int | None) -> Claim | None:
        """Give out a share of what is missing, or None if there is nothing to share."""
        with self.lock:
            if not self._claims and not self._ranges.left_bytes and not self.is_complete:
                # a disowned connection took bytes and never wrote them
                self._ranges = Ranges(self.part.blocks, self.part.total_bytes)
            piece = self._ranges.take(want_bytes)
            if piece is None:
                return None
            claim = Claim(piece)
            self._claims.append(claim)
            return claim

    def next_piece(self, claim: Claim, want_bytes: int | None) -> bool:
        """Exchange a finished piece for another one; False if there is none."""
        with self.lock:
            if claim.is_disowned:
                return False
            self._ranges.release(claim.piece)
            piece = self._ranges.take(want_bytes)
            if piece is None:
                self._claims.remove(claim)
                claim.is_disowned = True
                return False
            claim.piece = piece
            return True

    def disown(self, claim: Claim) -> None:
        """Take a share back; whatever its connection still reads is not written."""
        with self.lock:
            if not claim.is_disowned:
                claim.is_disowned = True
                self._claims.remove(claim)
                self._ranges.release(claim.piece)

    def narrow(self, want_bytes: int) -> None:
        """Leave each connection about so much, so that others can help."""
        with self.lock:
            self._ranges.narrow(want_bytes)

    @property
    def left_bytes(self) -> int:
        """How much is missing, if the length is known."""
        with self.lock:
            return self._ranges.left_bytes

    # --- what comes -----------------------------------------------------------------------------

    def accept(self, claim: Claim, answer: Answer) -> bool:
        """Look at an answer before its bytes are taken; False if the connection was disowned.

        Raises:
            ChangedError: It is of another file than the bytes that are there.
            NoRangesError: It is the whole file where others fetch parts of it.
            DownloadError: It is of another file than at the other addresses.
            StorageError: The disk cannot hold the file.
        """
        with self.lock:
            if claim.is_disowned:
                return False
            if self._ends_early(claim, answer):
                return True
            change = self._change(claim, answer)
            if change or answer.start != claim.piece.position:
                if answer.start != 0 or self.claims > 1:
                    if change:
                        raise ChangedError(change)
                    raise NoRangesError("the server gives no parts of a file")
                self._begin_again(change or "the server does not resume, or the file has changed")
                claim.piece = self._ranges.take(None) or claim.piece
            self._learn(claim.url, answer)
            return True

    def count(self, claim: Claim, count_bytes: int) -> None:
        """Note that bytes came, before they are taken."""
        with self.lock:
            self.received_bytes += count_bytes
            claim.received_bytes += count_bytes
            if claim.url not in self.sources and not claim.is_disowned:
                self.sources.append(claim.url)

    def take(self, claim: Claim, data: memoryview) -> bool:
        """Write what came at the claim's position; False if the connection was disowned.

        Raises:
            OSError: The disk is full or fails.
        """
        with self.lock:
            if claim.is_disowned:
                return False
            data = data[: claim.piece.left]
            self.part.write(claim.piece.position, data)
            claim.piece.position += len(data)
            self._whole_bytes = self.part.blocks.whole_until(self._whole_bytes)
            self.follower.reach(self._whole_bytes)
            return True

    def hand_over(self, claim: Claim, put: Callable[[], None], count_bytes: int) -> bool:
        """Let `put` write the next bytes instead; False if the connection was disowned."""
        with self.lock:
            if claim.is_disowned:
                return False
            put()
            claim.piece.position += count_bytes
            return True

    def is_alone_at_the_front(self, claim: Claim) -> bool:
        """Whether nobody else fetches, and everything before the claim's position is there."""
        with self.lock:
            return self.claims == 1 and self._whole_bytes == claim.piece.position

    def end_of_body(self, claim: Claim) -> bool:
        """Learn that an answer has ended; whether that is the end of a file of unknown length."""
        with self.lock:
            if claim.is_disowned or claim.piece.stop != ENDLESS:
                return False
            self.part.belongs_to(claim.piece.position, claim.url, self.part.validator(claim.url))
            self._ranges.end(claim.piece.position)
            return True

    def start_over(self, reason: str) -> None:
        """Forget everything; no connection may be at work."""
        with self.lock:
            self._begin_again(reason)

    def finish(self) -> str:
        """Bring a complete file to the disk and return its SHA-256 in hex.

        Raises:
            OSError: The disk is full or fails.
        """
        self.follower.reach(self.done_bytes)
        digest = self.follower.finish()
        self.part.finish()
        return digest

    def close(self) -> None:
        """Stop hashing."""
        self.follower.stop()

    # --- details --------------------------------------------------------------------------------

    def _follow(self, digest: Digest) -> Follower:
        return Follower(self.part.path, digest, self._whole_bytes)

    def _begin_again(self, reason: str) -> None:
        self.say(f"{reason}; starting over with {self.name}")
        _log.info("%s: starting over", reason)
        self.follower.stop()
        self.part.restart()
        self.starts += 1
        self._whole_bytes, self.sources = 0, []
        self._ranges = Ranges(self.part.blocks, None)
        self.follower = self._follow(hashlib.sha256())

    def _ends_early(self, claim: Claim, answer: Answer) -> bool:
        """Whether the server says now that the file ends where we are, and we have all before."""
        total = answer.total_bytes
        known = self.part.total_bytes
        if known is None or total != self.done_bytes or total != claim.piece.position:
            return False
        self._ranges.end(total)
        self.announced_bytes = total
        self.part.belongs_to(total, claim.url, answer.validator)
        return True

    def _change(self, claim: Claim, answer: Answer) -> str:
        """Return what tells that the answer is of another file than the bytes there; else nothing."""
        known, total = self.part.total_bytes, answer.total_bytes
        named = self.part.validator(claim.url)
        if None not in (known, total) and known != total:
            if self.sources and claim.url not in self.sources:
                raise DownloadError(
                    f"fetch {shown(claim.url)}",
                    found=f"a file of {total} bytes",
                    expected=f"{known} bytes, as at {shown(self.sources[0])}",
                )
            return f"the file there has {total} bytes now, not {known}"
        if named and answer.validator and named != answer.validator:
            return "the file there has changed"
        return ""

    def _learn(self, url: str, answer: Answer) -> None:
        self.announced_bytes = answer.total_bytes
        self.gives_parts = self.gives_parts or answer.start > 0
        total = self.part.total_bytes if answer.total_bytes is None else answer.total_bytes
        if total is not None and (total != self.part.total_bytes or not self.sources):
            self._require_room(total)
            self._ranges.end(total)
        self.part.belongs_to(total, url, answer.validator or self.part.validator(url))

    def _require_room(self, total_bytes: int) -> None:
        folder = self.part.path.parent
        attempted = f"download {self.name} to {folder}"
        largest = largest_file_bytes(folder)
        if largest is not None and total_bytes > largest:
            raise StorageError(
                attempted,
                found=f"a file of {total_bytes} bytes",
                expected=f"at most {largest} bytes on this file system (FAT)",
                hint="use a disk with NTFS, exFAT or a Linux file system",
            )
        missing, free = total_bytes - self.done_bytes, free_bytes(folder)
        if free is not None and missing > free:
            raise StorageError(
                attempted,
                found=f"{free} bytes free",
                expected=f"{missing} more bytes",
                hint="free space there; the same command goes on with what is there already",
            )
