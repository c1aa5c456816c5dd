"""What an archive holds is known from its end, and compared with what stands on the node."""

import io
import os
import zipfile
from pathlib import PureWindowsPath

import pytest

from toolkit.cluster._expanding import TAIL_BYTES, TailSink, check_expanded
from toolkit.errors import ClusterError

FOLDER = PureWindowsPath(r"C:\import\12.1.part")


def archive(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as opened:
        opened.mkdir("Empty")
        for name, data in files.items():
            opened.writestr(name, data)
    return packed.getvalue()


def passed_on(data, *, piece=700_001, announced=None):
    """Send an archive through; return what it says of itself, and what came out."""
    through = io.BytesIO()
    sink = TailSink(through, len(data) if announced is None else announced)
    for start in range(0, len(data), piece):
        sink.write(data[start : start + piece])
    return sink.members(), through.getvalue()


@pytest.mark.parametrize("size_bytes", [10, TAIL_BYTES, TAIL_BYTES + 3_000_000])
def test_directory_is_read_while_the_archive_goes_by(size_bytes):
    data = archive({"Nuget/Big.bin": os.urandom(size_bytes), "SolutionUpdate.xml": b"<x/>"})
    members, through = passed_on(data)
    assert members == {r"nuget\big.bin": size_bytes, "solutionupdate.xml": 4}
    assert through == data


def test_only_the_end_of_a_large_archive_is_kept():
    data = archive({"big.bin": bytes(3 * TAIL_BYTES)})
    sink = TailSink(io.BytesIO(), len(data))
    sink.write(data)
    assert len(sink._tail) == TAIL_BYTES


@pytest.mark.parametrize("spoil", [lambda data: data[:-5], lambda data: b"no zip at all" * 9])
def test_archive_without_a_readable_directory_says_nothing(spoil):
    assert passed_on(spoil(archive({"a": b"a"})))[0] is None


def test_folder_that_holds_all_files_and_more_is_right():
    found = [(FOLDER / "Nuget" / "Big.bin", 5), (FOLDER / "more.txt", 1)]
    check_expanded({r"nuget\big.bin": 5}, found, FOLDER)


@pytest.mark.parametrize("found", [[], [(FOLDER / "Nuget" / "Big.bin", 4)]])
def test_file_that_is_missing_or_short_is_named(found):
    with pytest.raises(ClusterError, match=r"1 of 1 files .* nuget.big\.bin") as caught:
        check_expanded({r"nuget\big.bin": 5}, found, FOLDER)
    assert "long paths" in caught.value.hint
