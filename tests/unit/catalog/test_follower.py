from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import random
import sys
import threading
import time

import pytest

from toolkit.catalog import _fastlane
from toolkit.catalog._fastlane import CHUNK_BYTES, FastLane
from toolkit.catalog._follower import PUSH_BYTES, Follower
from toolkit.catalog._part import Part, PartFile

DATA = random.Random(8).randbytes(8 * CHUNK_BYTES)


@pytest.fixture
def part(tmp_path):
    with contextlib.closing(Part(PartFile(tmp_path / "x.zip"))) as part:
        part.belongs_to(len(DATA), "https://v.example/x", "")
        yield part


@pytest.fixture
def follow(part):
    """Return a function that starts a follower of the part; all are stopped in the end."""
    with contextlib.ExitStack() as stack:

        def start(position=0):
            digest = hashlib.sha256(DATA[:position])
            follower = Follower(part.path, digest, position)
            stack.callback(follower.stop)
            return follower

        yield start


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_a_file_is_hashed_behind_its_writer(part, follow):
    follower = follow()
    for at in range(0, 5 * CHUNK_BYTES, 100_000):
        part.write(at, memoryview(DATA)[at : at + 100_000])
        follower.reach(at + 100_000)
    end = part.size_bytes
    assert follower.finish() == sha256(DATA[:end])


def test_it_goes_on_where_the_check_has_ended(part, follow):
    part.write(0, memoryview(DATA)[:500_000])
    follower = follow(300_000)
    follower.reach(500_000)
    assert follower.finish() == sha256(DATA[:500_000])


def test_chunks_from_memory_wait_for_what_is_before_them(part, follow):
    follower, taken = follow(), threading.Event()
    part.write(0, memoryview(DATA)[:100])
    follower.feed(100, memoryview(DATA)[100:200], taken.set)
    assert not taken.wait(0.05)
    follower.reach(100)
    assert taken.wait(5)
    assert follower.finish() == sha256(DATA[:200])


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system takes no such hints")
def test_the_disk_begins_to_take_what_was_hashed(part, follow, monkeypatch):
    told = []
    monkeypatch.setattr(os, "posix_fadvise", lambda number, *stretch: told.append(stretch[:2]))
    follower = follow()
    part.write(0, memoryview(DATA))
    follower.reach(len(DATA))
    follower.finish()
    ends = [start + count for start, count in told]
    assert ends == [at * PUSH_BYTES for at in range(1, len(DATA) // PUSH_BYTES + 1)]


def test_a_file_that_becomes_shorter_is_an_error_and_nobody_waits_for_ever(part, follow):
    follower, taken = follow(), threading.Event()
    follower.feed(200_000, memoryview(DATA)[:10], taken.set)
    follower.reach(100_000)  # told of, and never written
    assert taken.wait(5)
    with pytest.raises(OSError, match="shorter"):
        follower.finish()
    with pytest.raises(OSError, match="shorter"):
        follower.reach(100_001)
    again = threading.Event()
    follower.feed(200_010, memoryview(DATA)[:10], again.set)
    assert again.is_set()


# --- the fast lane --------------------------------------------------------------------------------


def drive(part, follower, chunks=8):
    with FastLane(part, follower) as lane:
        for number in range(chunks):
            at = number * CHUNK_BYTES
            chunk = lane.chunk()
            chunk[:] = DATA[at : at + CHUNK_BYTES]
            lane.put(at, chunk)


@pytest.fixture(params=["as the system can", "refused at the first write", "not offered"])
def _way(request, monkeypatch):
    """How writing past the cache goes."""
    if request.param == "not offered":
        monkeypatch.setattr(_fastlane, "_open_direct", lambda part: None)
    if request.param == "refused at the first write":

        class Refusing:
            def seek(self, offset):
                return offset

            def write(self, data):
                raise OSError(errno.EINVAL, "Invalid argument")

            def close(self):
                pass

        monkeypatch.setattr(_fastlane, "_open_direct", lambda part: Refusing())


@pytest.mark.usefixtures("_way")
def test_the_fast_lane_writes_hashes_and_journals_every_chunk(part, follow):
    follower = follow()
    drive(part, follower)
    assert part.path.read_bytes() == DATA
    assert part.blocks.whole_until() == part.blocks.done_bytes == len(DATA)
    assert follower.finish() == sha256(DATA)
    digest = hashlib.sha256()
    assert part.check(digest, lambda _: None) == (len(DATA), 0)
    assert digest.hexdigest() == sha256(DATA)


def test_a_full_disk_ends_the_fast_lane_with_its_error(part, follow, monkeypatch):
    monkeypatch.setattr(_fastlane, "_open_direct", lambda part: None)

    def full(self, offset, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Part, "write", full)
    with pytest.raises(OSError, match="No space"):
        drive(part, follow(), chunks=20)
    assert part.blocks.done_bytes == 0


def test_a_follower_that_failed_does_not_hold_up_the_fast_lane(part, follow):
    follower = follow()
    follower.reach(500_000)  # never written
    until = time.monotonic() + 5
    while follower._error is None and time.monotonic() < until:
        time.sleep(0.01)
    drive(part, follower, chunks=8)
    with pytest.raises(OSError, match="shorter"):
        follower.finish()


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(os, "O_DIRECT"),
    reason="writing past the cache is for Linux",
)
def test_without_the_file_there_is_no_writing_past_the_cache(part):
    part.path.unlink()
    assert _fastlane._open_direct(part) is None
