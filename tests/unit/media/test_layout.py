import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.media.making import make_payload
from toolkit.errors import InputError, StorageError
from toolkit.filesystem import FAT_LIMIT_BYTES
from toolkit.media import MediumSize, read_media
from toolkit.media._device import BLOCK_BYTES
from toolkit.media._layout import lay_out, parse_size
from toolkit.model import TargetName

GIB = 1 << 30
FAT = MediumSize(largest_file_bytes=FAT_LIMIT_BYTES)


@pytest.fixture(scope="module")
def sized(tmp_path_factory):
    """Payloads that say they have a size; nothing here opens them."""
    held = make_payload(tmp_path_factory.mktemp("catalog"))

    def make(*sizes):
        return {
            TargetName(f"payload/{number}.zip"): replace(
                held, size_bytes=size, path=Path(f"{number}"), sha256=f"{number:012x}{0:052x}"
            )
            for number, size in enumerate(sizes)
        }

    return make


def places(parts):
    return [(part.target[8:], part.medium, part.size_bytes) for part in parts]


def test_everything_stays_whole_where_it_fits(sized):
    layout = lay_out(sized(10 * GIB, 1), [MediumSize()])
    parts = layout.parts
    assert places(parts) == [("0.zip", 1, 10 * GIB), ("1.zip", 1, 1)]
    assert [part.path for part in parts] == ["data/payload/0.zip", "data/payload/1.zip"]


def test_fat_cuts_what_is_larger_than_4_gib_minus_1(sized):
    layout = lay_out(sized(10 * GIB, FAT_LIMIT_BYTES), [FAT])
    parts = layout.parts
    assert [part.path for part in parts if part.target.endswith("0.zip")] == [
        f"data/seg/{0:012x}/000{number}.seg" for number in range(3)
    ]
    assert all(part.size_bytes <= FAT_LIMIT_BYTES for part in parts)
    assert [part.is_whole for part in parts] == [False, False, False, True]


def test_a_payload_goes_whole_to_the_medium_that_can_hold_it(sized):
    media = [MediumSize(size_bytes=8 * GIB), MediumSize(size_bytes=16 * GIB)]
    assert places(lay_out(sized(10 * GIB, 5 * GIB), media).parts) == [
        ("0.zip", 2, 10 * GIB),
        ("1.zip", 1, 5 * GIB),
    ]


def test_what_no_medium_holds_whole_is_spread_over_the_room_that_is_left(sized):
    media = [MediumSize(size_bytes=8 * GIB)] * 3
    layout = lay_out(sized(20 * GIB), media)
    parts = layout.parts
    assert {part.medium for part in parts} == {1, 2, 3}
    assert sum(part.size_bytes for part in parts) == 20 * GIB


def test_too_little_room_is_said_with_the_size_that_would_do(sized):
    with pytest.raises(StorageError, match="too little room") as caught:
        lay_out(sized(20 * GIB), [MediumSize(size_bytes=8 * GIB)] * 2)
    size = re.search(r"at least ([\d.]+ GiB)", caught.value.hint)[1]
    more = MediumSize(size_bytes=parse_size(size) + GIB // 10)
    assert lay_out(sized(20 * GIB), [MediumSize(size_bytes=8 * GIB)] * 2 + [more])


@given(
    st.lists(st.integers(0, 40 * GIB), min_size=1, max_size=6),
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 64 * GIB)),
            st.sampled_from([None, FAT_LIMIT_BYTES]),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_parts_are_the_whole_of_it_and_keep_every_limit(sized, sizes, media):
    media = [MediumSize(size_bytes=size, largest_file_bytes=limit) for size, limit in media]
    payloads = sized(*sizes)
    try:
        layout = lay_out(payloads, media)
    except StorageError:
        room = [medium.room_bytes for medium in media]
        assert None not in room
        # each medium may waste less than a block for every payload that is cut
        assert sum(room) < sum(sizes) + len(media) * len(sizes) * BLOCK_BYTES
        return
    parts, media = layout.parts, layout.media
    for target, held in payloads.items():
        mine = [part for part in parts if part.target == target]
        assert [part.offset for part in mine] == [
            sum(part.size_bytes for part in mine[:index]) for index in range(len(mine))
        ]
        assert sum(part.size_bytes for part in mine) == held.size_bytes
        assert all(part.offset % BLOCK_BYTES == 0 for part in mine)
    assert len({part.path for part in parts}) == len(parts)
    for number, medium in enumerate(media, start=1):
        mine = [part.size_bytes for part in parts if part.medium == number]
        assert mine
        assert medium.room_bytes is None or sum(mine) <= medium.room_bytes
        assert medium.largest_file_bytes is None or max(mine, default=0) <= FAT_LIMIT_BYTES


@pytest.mark.parametrize(
    ("text", "size"),
    [("32GB", 32 * 10**9), ("29.8 GiB", int(29.8 * GIB)), ("1tb", 10**12), ("500MB", 5 * 10**8)],
)
def test_a_size_is_read_as_printed_on_a_stick(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "32", "GB", "-1GB", "32 Gb/s", "1e9GB", "١GB", "0GB", "0.000MB"]
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InputError, match="read the size"):
        parse_size(text)


def test_media_are_read_from_what_a_person_says_of_them():
    assert read_media((), None) == ()
    assert read_media((), "exfat") == ()
    assert read_media((), "fat32") == (FAT,)
    assert read_media(("32GB", "16GB"), "fat32") == tuple(
        MediumSize(size_bytes=size, largest_file_bytes=FAT_LIMIT_BYTES)
        for size in (32 * 10**9, 16 * 10**9)
    )


def test_more_media_than_anybody_carries_are_refused():
    with pytest.raises(InputError, match="100 media") as caught:
        read_media(("1GB",) * 100, None)
    assert "larger ones" in caught.value.hint


def test_a_medium_that_nothing_is_left_for_is_not_in_the_set(sized):
    media = [
        MediumSize(size_bytes=GIB),
        MediumSize(size_bytes=32 * GIB),
        MediumSize(size_bytes=2 * GIB),
    ]
    layout = lay_out(sized(10 * GIB), media)
    assert layout.media == (media[1],)
    assert layout.is_simple
    assert [part.medium for part in layout.parts] == [1]
