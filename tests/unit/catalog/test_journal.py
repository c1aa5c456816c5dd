from __future__ import annotations

import json
import zlib

from hypothesis import given
from hypothesis import strategies as st

from toolkit.catalog._journal import FORMAT, address_line, block_line, first_line, read_lines
from toolkit.catalog._ranges import BLOCK_BYTES

LINES = [
    first_line(1000),
    address_line("https://a.example/x", '"1"'),
    block_line(0, 500, 0xABC),
    block_line(0, 700, 0xDEF),
]


def line_of(text):
    return b"%08x %b\n" % (zlib.crc32(text.encode()), text.encode())


def test_what_was_written_is_read_and_the_later_line_counts():
    known = read_lines(LINES)
    assert known.total_bytes == 1000
    assert known.validators == {"https://a.example/x": '"1"'}
    assert (known.blocks.filled(0), known.blocks.crc(0)) == (700, 0xDEF)


def test_a_length_may_be_learnt_later():
    assert read_lines([first_line(None), first_line(7)]).total_bytes == 7


def test_a_torn_line_is_skipped():
    known = read_lines([*LINES[:3], LINES[3][:9], b"\n", block_line(1, 5, 1)])
    assert (known.blocks.filled(0), known.blocks.filled(1)) == (500, 5)


def test_without_a_good_first_line_nothing_is_known():
    assert read_lines([]) is None
    assert read_lines([b"\0" * 40, *LINES]) is None
    assert read_lines(LINES[1:]) is None


def test_another_format_or_size_of_blocks_is_as_no_journal():
    newer = {"format": FORMAT + 1, "total_bytes": 1, "block_bytes": BLOCK_BYTES}
    larger = {"format": FORMAT, "total_bytes": 1, "block_bytes": 2 * BLOCK_BYTES}
    for values in (newer, larger, {"format": FORMAT}):
        assert read_lines([line_of(json.dumps(values)), block_line(0, 1, 1)]) is None


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_journal_or_none(data):
    read_lines(data.splitlines(keepends=True))


@given(at=st.integers(0, sum(map(len, LINES)) - 1), bit=st.integers(0, 7))
def test_one_flipped_bit_is_never_believed(at, bit):
    data = bytearray(b"".join(LINES))
    data[at] ^= 1 << bit
    known = read_lines(bytes(data).splitlines(keepends=True))
    if known is not None:
        assert known.total_bytes == 1000
        assert known.validators in ({}, {"https://a.example/x": '"1"'})
        assert (known.blocks.filled(0), known.blocks.crc(0)) in {(0, 0), (500, 0xABC), (700, 0xDEF)}
