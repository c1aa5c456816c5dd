"""Whatever the bytes of an archive are, looking into it ends in a report, in bounded memory."""

from __future__ import annotations

import io
import random
import struct
import tempfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.catalog.zipcraft import STREAMED, Member, bundle, craft, end
from toolkit.catalog._inside import ZipReport, inspect_zip

NAME = "CombinedSolutionBundle.12.2603.1002.15.zip"
PEAK_BYTES = 16 << 20
"""Buffers take 5 MiB of it; the archives here are small."""
GOOD = bundle("12.2603.1002.15", Member("wide", b"w" * 40, wide=True))
NOISE = random.Random(7).randbytes(300_000)
TEXT = b"".join(b"line %d of a text that repeats itself\n" % number for number in range(20_000))

pieces = st.sampled_from(
    [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\x08", b"\xff" * 4, b"\xff" * 8]
)
members = st.builds(
    Member,
    name=st.binary(max_size=12)
    | st.sampled_from([b"SolutionUpdate.xml", b"AS_Update_1.2.3.4.zip"]),
    data=st.binary(max_size=60),
    method=st.sampled_from([0, 8, 9, 14]),
    flags=st.sampled_from([0, 1, STREAMED, 1 << 11, 1 << 13]) | st.integers(0, 0xFFFF),
    packed=st.none() | st.binary(max_size=40),
    crc=st.none() | st.integers(0, 0xFFFFFFFF),
    packed_bytes=st.none() | st.integers(0, 0xFFFFFFFF),
    size_bytes=st.none() | st.integers(0, 0xFFFFFFFF),
    offset=st.none() | st.integers(0, 500) | st.integers(0, 0xFFFFFFFF),
    attributes=st.integers(0, 0xFFFFFFFF),
    disk=st.sampled_from([0, 0, 0, 1, 0xFFFF]),
    extra=st.binary(max_size=30),
    gap=st.binary(max_size=5),
    wide=st.booleans(),
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def look(
    path: Path, data: bytes, *, is_deep: bool = True, peak_bytes: int = PEAK_BYTES
) -> ZipReport:
    path.write_bytes(data)
    tracemalloc.start()
    try:
        report = inspect_zip(path, is_deep=is_deep)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < peak_bytes
    assert report.size_bytes == len(data)
    assert 0 <= report.unchecked <= report.members
    return report


@given(data=st.binary(max_size=300) | st.lists(pieces | st.binary(max_size=30)).map(b"".join))
def test_any_bytes_end_in_a_report(folder: Path, data: bytes) -> None:
    assert not look(folder / NAME, data).is_whole


@settings(max_examples=300)
@given(
    words=st.lists(
        st.tuples(
            st.integers(0, len(GOOD) - 9),
            st.sampled_from(["<B", "<H", "<L", "<Q"]),
            st.integers(0, 255) | st.sampled_from([0xFFFF, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1]),
        ),
        max_size=6,
    ),
    cut=st.none() | st.integers(0, len(GOOD)),
    extra=st.binary(max_size=8),
)
def test_a_good_archive_with_any_damage_ends_in_a_report(
    folder: Path, words: list[tuple[int, str, int]], cut: int | None, extra: bytes
) -> None:
    data = bytearray(GOOD)
    for at, form, value in words:
        struct.pack_into(form, data, at, value % (1 << 8 * struct.calcsize(form)))
    look(folder / NAME, bytes(data[:cut]) + extra)


@settings(max_examples=300)
@given(
    made=st.lists(members, max_size=5),
    zip64=st.booleans(),
    count=st.none() | st.integers(0, 0xFFFF),
    shift=st.sampled_from([0, 0, 0, 1, 1000]),
    comment=st.binary(max_size=30),
)
def test_any_lies_of_members_end_in_a_report(
    folder: Path, made: list[Member], zip64: bool, count: int | None, shift: int, comment: bytes
) -> None:
    look(folder / NAME, craft(*made, zip64=zip64, count=count, shift=shift, comment=comment))


@settings(max_examples=40)
@given(
    flip=st.integers(0, len(NOISE) - 1),
    bit=st.integers(0, 7),
    method=st.sampled_from([0, 8]),
    content=st.sampled_from([NOISE, TEXT]),
)
def test_one_flipped_bit_in_a_member_is_named_as_pythons_library_names_it(
    folder: Path, flip: int, bit: int, method: int, content: bytes
) -> None:
    hit = Member("hit", content, method=method)
    data = bytearray(craft(Member("before", b"b"), hit, Member("ballast", NOISE)))
    data[data.index(b"hit") + 3 + flip % len(hit.body())] ^= 1 << bit
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            named = archive.testzip()
    except zlib.error:
        named = "hit"
    report = look(folder / "flipped.zip", bytes(data))
    assert [finding.member for finding in report.faults] == ([named] if named else [])


@given(
    contents=st.dictionaries(
        st.from_regex(r"m[a-z]{1,8}(/m[a-z]{1,8}){0,2}\.txt", fullmatch=True),  # no device name
        st.tuples(st.binary(max_size=300), st.sampled_from([0, 8])),
        max_size=6,
    ),
    comment=st.binary(max_size=50).filter(lambda text: b"PK" not in text),
)
def test_what_pythons_library_writes_is_always_whole(
    folder: Path, contents: dict[str, tuple[bytes, int]], comment: bytes
) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.comment = comment
        for name, (data, method) in contents.items():
            archive.writestr(name, data, method)
    path = folder / "python.zip"
    path.write_bytes(sink.getvalue())
    report = inspect_zip(path)
    assert (report.faults, report.is_whole) == ((), True)


def test_hostile_directories_stay_in_bounded_memory(folder: Path) -> None:
    long_names = [Member(f"{number}/" + "b/" * 14_000) for number in range(30)]
    for made, peak_bytes in (
        (long_names, 64 << 20),  # 400,000 folders are compared, not one more
        ([Member(f"{number}:<a.") for number in range(3000)], PEAK_BYTES),
    ):
        entries = b"".join(member.entry(0) for member in made)
        data = entries + end(len(made), len(entries), 0)
        look(folder / NAME, data, is_deep=False, peak_bytes=peak_bytes)
