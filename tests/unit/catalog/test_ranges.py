from __future__ import annotations

import random

import pytest

from toolkit.catalog._ranges import BLOCK_BYTES, ENDLESS, SPLIT_BYTES, Blocks, Ranges

MIB = 1 << 20


def filled(*ends):
    """Blocks that are filled as far as given, in order."""
    blocks = Blocks()
    for index, end in enumerate(ends):
        blocks.note(index, end, 0)
    return blocks


def test_nothing_is_known_of_a_block_that_was_never_noted():
    blocks = filled(5)
    assert (blocks.filled(7), blocks.crc(7), len(blocks)) == (0, 0, 1)


def test_what_is_there_is_counted_also_when_a_block_is_noted_again():
    blocks = Blocks()
    blocks.note(3, 100, 1)
    blocks.note(3, 250, 2)
    blocks.note(0, 10, 3)
    blocks.note(3, 0, 0)
    assert (blocks.done_bytes, blocks.filled(3), blocks.crc(0)) == (10, 0, 3)


@pytest.mark.parametrize(
    ("ends", "whole"),
    [
        ((), 0),
        ((17,), 17),
        ((BLOCK_BYTES, 5), BLOCK_BYTES + 5),
        ((BLOCK_BYTES, 0, 9), BLOCK_BYTES),
        ((BLOCK_BYTES, BLOCK_BYTES), 2 * BLOCK_BYTES),
    ],
)
def test_the_file_is_whole_up_to_the_first_byte_missing(ends, whole):
    blocks = filled(*ends)
    assert blocks.whole_until() == whole
    assert blocks.whole_until(whole) == whole


@pytest.mark.parametrize(
    ("ends", "total", "gaps"),
    [
        ((), None, [(0, ENDLESS)]),
        ((), 10, [(0, 10)]),
        ((10,), 10, []),
        ((4,), 10, [(4, 10)]),
        ((BLOCK_BYTES, 7, BLOCK_BYTES), 3 * BLOCK_BYTES, [(BLOCK_BYTES + 7, 2 * BLOCK_BYTES)]),
        (
            (0, BLOCK_BYTES, 1),
            3 * BLOCK_BYTES,
            [(0, BLOCK_BYTES), (2 * BLOCK_BYTES + 1, 3 * BLOCK_BYTES)],
        ),
        ((BLOCK_BYTES,), None, [(BLOCK_BYTES, ENDLESS)]),
    ],
)
def test_what_is_missing_is_told_in_file_order(ends, total, gaps):
    assert filled(*ends).gaps(total) == gaps


def test_one_connection_gets_everything_up_to_the_next_bytes_there():
    ranges = Ranges(filled(0, 0, BLOCK_BYTES), 8 * BLOCK_BYTES)
    piece = ranges.take(None)
    assert (piece.position, piece.stop) == (0, 2 * BLOCK_BYTES)
    piece = ranges.take(None)
    assert (piece.position, piece.stop) == (3 * BLOCK_BYTES, 8 * BLOCK_BYTES)


def test_pieces_are_given_in_file_order_and_end_at_borders_of_blocks():
    ranges = Ranges(filled(9), 10 * MIB)
    first, second = ranges.take(4 * MIB), ranges.take(4 * MIB)
    assert (first.position, first.stop) == (9, 4 * MIB)
    assert (second.position, second.stop) == (4 * MIB, 8 * MIB)


def test_an_idle_connection_gets_the_second_half_of_the_longest_piece():
    ranges = Ranges(Blocks(), 100 * MIB)
    first = ranges.take(None)
    first.position = 20 * MIB
    second = ranges.take(4 * MIB)
    assert (first.stop, second.position, second.stop) == (60 * MIB, 60 * MIB, 100 * MIB)


def test_a_piece_that_is_nearly_done_is_not_shared():
    ranges = Ranges(Blocks(), 2 * SPLIT_BYTES - 1)
    ranges.take(None)
    assert ranges.take(MIB) is None


def test_a_file_of_unknown_length_is_not_shared():
    ranges = Ranges(Blocks(), None)
    piece = ranges.take(None)
    assert (piece.stop, ranges.take(MIB)) == (ENDLESS, None)
    ranges.narrow(MIB)
    assert piece.stop == ENDLESS


def test_the_length_of_a_file_may_be_learnt_later():
    ranges = Ranges(Blocks(), None)
    piece = ranges.take(None)
    ranges.end(3 * MIB)
    assert (piece.left, ranges.left_bytes) == (3 * MIB, 3 * MIB)


def test_others_can_help_with_what_a_narrowed_piece_leaves():
    ranges = Ranges(Blocks(), 100 * MIB)
    first = ranges.take(None)
    first.position = 10 * MIB + 5
    ranges.narrow(8 * MIB)
    second = ranges.take(8 * MIB)
    assert (first.stop, second.position) == (18 * MIB, 18 * MIB)


def test_what_is_missing_of_a_piece_taken_back_joins_what_follows():
    ranges = Ranges(Blocks(), 100 * MIB)
    first, second = ranges.take(4 * MIB), ranges.take(4 * MIB)
    first.position = MIB
    ranges.release(first)
    ranges.release(second)
    again = ranges.take(None)
    assert (again.position, again.stop, first.left) == (MIB, 100 * MIB, 0)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_connections_do_every_byte_is_given_once(seed):
    """Random steps of takers, narrowing and giving back; what was fetched is the file, each byte once."""
    chance = random.Random(seed)
    total = chance.randrange(1, 40 * MIB)
    ranges, pieces, fetched = Ranges(Blocks(), total), [], []
    while ranges.left_bytes:
        step = chance.random()
        if step < 0.4 or not pieces:
            want = chance.choice([None, 4 * MIB, chance.randrange(1, 8 * MIB)])
            if piece := ranges.take(want):
                pieces.append(piece)
        elif step < 0.8:
            piece = chance.choice(pieces)
            count = min(piece.left, chance.randrange(1, 3 * MIB))
            fetched.append((piece.position, count))
            piece.position += count
        elif step < 0.9:
            ranges.narrow(chance.randrange(1, 8 * MIB))
        else:
            ranges.release(pieces.pop(chance.randrange(len(pieces))))
    end = 0
    for start, count in sorted(pair for pair in fetched if pair[1]):
        assert start == end
        end += count
    assert end == total
