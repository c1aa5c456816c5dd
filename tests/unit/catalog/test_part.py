from __future__ import annotations

import contextlib
import hashlib
import random

import pytest

from toolkit.catalog._part import Part, PartFile
from toolkit.catalog._ranges import BLOCK_BYTES

DATA = random.Random(7).randbytes(3 * BLOCK_BYTES + 1000)
TOTAL = len(DATA)
URL = "https://v.example/x"


@pytest.fixture
def where(tmp_path):
    return PartFile(tmp_path / "x.zip")


@contextlib.contextmanager
def opened(where):
    with contextlib.closing(Part(where)) as part:
        yield part


def leave(where, *stretches, total=TOTAL):
    """Write stretches of the data as a killed command did."""
    with opened(where) as part:
        part.belongs_to(total, URL, '"1"')
        for start, end in stretches:
            for at in range(start, end, 50_000):
                part.write(at, memoryview(DATA)[at : min(at + 50_000, end)])


def check(part):
    digest, advanced = hashlib.sha256(), []
    whole, forgotten = part.check(digest, advanced.append)
    assert digest.hexdigest() == hashlib.sha256(DATA[:whole]).hexdigest()
    return whole, forgotten, sum(advanced)


def test_a_new_part_is_empty_and_knows_nothing(where):
    with opened(where) as part:
        assert (part.size_bytes, part.total_bytes, part.validator(URL)) == (0, None, "")
        assert not part.is_unknown


def test_what_was_written_is_found_again_with_what_it_belongs_to(where):
    leave(where, (0, 70_000))
    with opened(where) as part:
        assert check(part) == (70_000, 0, 70_000)
        assert (part.total_bytes, part.validator(URL)) == (len(DATA), '"1"')


def test_stretches_out_of_order_are_found_again(where):
    leave(where, (2 * BLOCK_BYTES, len(DATA)), (0, 1000))
    with opened(where) as part:
        whole, forgotten, advanced = check(part)
        assert (whole, forgotten) == (1000, 0)
        assert advanced == part.blocks.done_bytes == 1000 + len(DATA) - 2 * BLOCK_BYTES
        assert part.blocks.gaps(part.total_bytes) == [(1000, 2 * BLOCK_BYTES)]


def test_a_write_over_several_blocks_is_journalled_block_by_block(where):
    with opened(where) as part:
        part.belongs_to(len(DATA), URL, "")
        part.write(0, memoryview(DATA))
    with opened(where) as part:
        assert check(part) == (len(DATA), 0, len(DATA))


def test_only_a_block_that_is_not_what_was_written_is_forgotten(where):
    leave(where, (0, len(DATA)))
    with where.path.open("r+b") as file:
        file.seek(BLOCK_BYTES + 5)
        file.write(b"\0\0\0")
    with opened(where) as part:
        assert check(part)[:2] == (BLOCK_BYTES, BLOCK_BYTES)
        assert part.blocks.gaps(len(DATA)) == [(BLOCK_BYTES, 2 * BLOCK_BYTES)]
    with opened(where) as part:  # and that is remembered
        assert check(part)[:2] == (BLOCK_BYTES, 0)


def test_a_file_that_lost_its_end_loses_the_blocks_there(where):
    leave(where, (0, len(DATA)))
    with where.path.open("r+b") as file:
        file.truncate(BLOCK_BYTES + 10)
    with opened(where) as part:
        assert check(part)[:2] == (BLOCK_BYTES, len(DATA) - BLOCK_BYTES)


def test_bytes_without_a_journal_are_thrown_away(where):
    where.path.write_bytes(DATA)
    with opened(where) as part:
        assert part.is_unknown
        assert part.size_bytes == 0


def test_a_journal_damaged_at_its_start_is_as_none(where):
    leave(where, (0, len(DATA)))
    with where.journal_path.open("r+b") as file:
        file.write(b"?")
    with opened(where) as part:
        assert part.is_unknown
        part.belongs_to(5, URL, "")
    with opened(where) as part:
        assert part.total_bytes == 5


def test_a_journal_torn_at_its_end_is_gone_on_with(where):
    leave(where, (0, 100_000))
    torn = where.journal_path.read_bytes()[:-5]
    where.journal_path.write_bytes(torn)
    with opened(where) as part:
        assert check(part)[0] == 50_000
        part.write(50_000, memoryview(DATA)[50_000:60_000])
    with opened(where) as part:
        assert check(part)[0] == 60_000


def test_starting_over_forgets_everything(where):
    leave(where, (0, 70_000))
    with opened(where) as part:
        part.restart()
        assert (part.size_bytes, part.blocks.done_bytes, part.total_bytes) == (0, 0, None)
        part.belongs_to(None, URL, "")
        part.write(0, memoryview(DATA)[:10])
    with opened(where) as part:
        assert check(part)[0] == 10


def test_a_file_longer_than_announced_is_cut_at_the_end(where):
    leave(where, (0, 70_000), total=60_000)
    with opened(where) as part:
        part.finish()
    assert where.path.read_bytes() == DATA[:60_000]


def test_whoever_writes_after_the_end_is_not_heard(where):
    with opened(where) as part:
        part.belongs_to(10, URL, "")
    part.write(0, memoryview(DATA))
    part.note(0, 5, 5)
    assert where.path.read_bytes() == b""


def test_a_finished_part_gets_its_name_and_leaves_nothing(where, tmp_path):
    leave(where, (0, len(DATA)))
    where.rename(tmp_path / "x.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_a_part_thrown_away_leaves_nothing(where, tmp_path):
    leave(where, (0, 10))
    where.remove()
    where.remove()
    assert list(tmp_path.iterdir()) == []
