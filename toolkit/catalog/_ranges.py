"""Which bytes of a file are there, which are on their way, which does nobody fetch yet (pure).

A file is looked at in blocks of 256 KiB. A block is filled from its start: how far, and the CRC-32 of
that much, is all that is known of it. What is missing is cut into pieces, one for each connection, and
given out in file order, so that whoever hashes the file follows closely behind.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

BLOCK_BYTES = 256 << 10
ENDLESS = 1 << 62
"""Where the last piece stops while nobody has said how long the file is."""
SPLIT_BYTES = 4 << 20
"""A piece with less left than twice this is not shared with an idle connection."""


class Blocks:
    """How far each block of a file is filled, and the CRC-32 of what is in it: 8 bytes a block."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.done_bytes = 0
        self._filled, self._crcs = array("I"), array("I")

    def __len__(self) -> int:
        """Return the number of blocks up to the last one that something is known of."""
        return len(self._filled)

    def filled(self, index: int) -> int:
        """Return how many bytes of a block are there, from its start."""
        return self._filled[index] if index < len(self._filled) else 0

    def crc(self, index: int) -> int:
        """Return the CRC-32 of the bytes of a block that are there."""
        return self._crcs[index] if index < len(self._crcs) else 0

    def note(self, index: int, filled: int, crc: int) -> None:
        """Remember how far a block is filled now."""
        missing = index + 1 - len(self._filled)
        if missing > 0:
            self._filled.frombytes(bytes(missing * self._filled.itemsize))
            self._crcs.frombytes(bytes(missing * self._crcs.itemsize))
        self.done_bytes += filled - self._filled[index]
        self._filled[index], self._crcs[index] = filled, crc

    def whole_until(self, start: int = 0) -> int:
        """Return the first offset at or behind `start` that is not there.

        `start` lies in the file's first whole stretch already: what an earlier call returned, or 0.
        """
        index = start // BLOCK_BYTES
        while self.filled(index) == BLOCK_BYTES:
            index += 1
        return index * BLOCK_BYTES + self.filled(index)

    def gaps(self, total_bytes: int | None) -> list[tuple[int, int]]:
        """Return what is missing, as (first offset, offset behind the last), in file order."""
        end = ENDLESS if total_bytes is None else total_bytes
        found: list[tuple[int, int]] = []
        begin: int | None = None
        for index, filled in enumerate(self._filled):
            block = index * BLOCK_BYTES
            if filled and begin is not None:
                found.append((begin, block))
                begin = None
            if filled < BLOCK_BYTES and begin is None:
                begin = block + filled
        if begin is None:
            begin = len(self._filled) * BLOCK_BYTES
        return [(first, min(last, end)) for first, last in [*found, (begin, end)] if first < end]


@dataclass(slots=True, eq=False)
class Piece:
    """A stretch that one connection fetches: from `position` on, to before `stop`."""

    position: int
    stop: int

    @property
    def left(self) -> int:
        """How many bytes are still to come."""
        return max(0, self.stop - self.position)


class Ranges:
    """Gives out what is missing, piece by piece."""

    def __init__(self, blocks: Blocks, total_bytes: int | None) -> None:
        """Begin with everything that is not in `blocks`."""
        self._gaps = blocks.gaps(total_bytes)
        self._pieces: list[Piece] = []

    @property
    def left_bytes(self) -> int:
        """How much is missing still, on its way or not."""
        waiting = sum(stop - start for start, stop in self._gaps)
        return waiting + sum(piece.left for piece in self._pieces)

    def take(self, want_bytes: int | None) -> Piece | None:
        """Give out the first missing piece, of about `want_bytes` (None: up to the next bytes there).

        When every missing byte is on its way already, the second half of the longest piece is given.

        Returns:
            None when there is nothing to share.
        """
        if self._gaps:
            start, stop = self._gaps.pop(0)
            cut = stop if want_bytes is None else _border(start + want_bytes)
            if start < cut < stop:
                self._gaps.insert(0, (cut, stop))
                stop = cut
            piece = Piece(start, stop)
        else:
            longest = max(self._pieces, key=lambda each: each.left, default=None)
            if longest is None or longest.left < 2 * SPLIT_BYTES or longest.stop == ENDLESS:
                return None
            cut = _border(longest.position + longest.left // 2)
            piece = Piece(cut, longest.stop)
            longest.stop = cut
        self._pieces.append(piece)
        return piece

    def end(self, total_bytes: int) -> None:
        """Learn how long the file is."""
        self._gaps = [
            (start, min(stop, total_bytes)) for start, stop in self._gaps if start < total_bytes
        ]
        for piece in self._pieces:
            piece.stop = min(piece.stop, total_bytes)

    def narrow(self, want_bytes: int) -> None:
        """Leave each connection about `want_bytes` of its piece; the rest waits for others."""
        for piece in self._pieces:
            cut = _border(piece.position + want_bytes)
            if piece.position < cut < piece.stop != ENDLESS:
                self._wait(cut, piece.stop)
                piece.stop = cut

    def release(self, piece: Piece) -> None:
        """Take a piece back, fetched or not; what is missing of it waits for others."""
        self._pieces.remove(piece)
        if piece.left:
            self._wait(piece.position, piece.stop)
        piece.stop = piece.position

    def _wait(self, start: int, stop: int) -> None:
        """Put a stretch among those that nobody fetches, joined with its neighbours."""
        joined: list[tuple[int, int]] = []
        for first, last in sorted([*self._gaps, (start, stop)]):
            if joined and joined[-1][1] == first:
                joined[-1] = (joined[-1][0], last)
            else:
                joined.append((first, last))
        self._gaps = joined


def _border(offset: int) -> int:
    """Return the nearest border between blocks, at least the first one."""
    return max(1, round(offset / BLOCK_BYTES)) * BLOCK_BYTES
