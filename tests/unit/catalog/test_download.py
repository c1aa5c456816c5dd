"""The engine on a web site in memory: several connections, mirrors, hours, stalls, limits, interruptions."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import random
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.catalog.fakes import BASE, FakeSite, Listener
from toolkit.catalog import _connection, _download, _transfer
from toolkit.catalog._download import download
from toolkit.catalog._fetch import InterruptedDownload
from toolkit.catalog._limits import Hours, Limits
from toolkit.catalog._part import Part, PartFile
from toolkit.catalog._ranges import BLOCK_BYTES
from toolkit.errors import AuthenticationError, DownloadError, StorageError

MIB = 1 << 20
DATA = random.Random(9).randbytes(16 * MIB + 12_345)
SMALL = DATA[:300_000]
URL, MIRROR = f"{BASE}/x.zip", "https://mirror.example/x.zip"


class Several:
    """A `Growth` that wants four connections as soon as the first has brought something."""

    is_trying = False

    def __init__(self, most):
        self.wanted, self._most = 1, min(most, 4)

    def restart(self, at_s):
        pass

    def limit(self, most):
        self._most = self.wanted = min(self.wanted, max(1, most))

    def see(self, sample):
        if sample.received_bytes:
            self.wanted = self._most


class Machine:
    """A place to download to, and everything that was said and waited."""

    def __init__(self, folder):
        self.where = PartFile(folder / "x.zip")
        self.site = FakeSite({URL: DATA})
        self.listener = Listener()
        self.waits = []
        self.now = datetime(2026, 4, 21, 23, 0, tzinfo=UTC)

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)

    def download(self, *urls, **options):
        return download(
            urls or (URL,),
            self.where,
            fetcher=self.site,
            progress=self.listener,
            sleep=self.sleep,
            now=lambda: self.now,
            chance=lambda: 0.5,
            **options,
        )

    def content(self):
        return self.where.path.read_bytes()

    def said(self, word):
        return any(word in line for line in self.listener.lines)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(_download, "TICK_S", 0.02)
    monkeypatch.setattr(_download, "LEAST_PIECE_BYTES", MIB)
    return Machine(tmp_path)


@pytest.fixture
def small(machine):
    machine.site.files[URL] = SMALL
    return machine


@pytest.fixture
def several(monkeypatch):
    monkeypatch.setattr(_download, "Growth", Several)


@pytest.fixture
def four(several, machine):
    """Four connections to a site slow enough for them to be called in."""
    machine.site.on_read = lambda: time.sleep(0.002)


def refuse_at(site, address, refusal):
    def refuse(url, offset):
        if url == address:
            raise refusal(f"fetch {url}", found="refused")

    site.on_open = refuse


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# --- several connections --------------------------------------------------------------------------


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize("stops", [True, False])
def test_several_connections_fetch_every_byte_once(machine, stops):
    machine.site.stops = stops
    done = machine.download()
    assert done.sha256 == sha256(DATA)
    assert machine.content() == DATA
    assert (done.size_bytes, done.announced_bytes, done.sources) == (len(DATA), len(DATA), (URL,))
    assert len(machine.site.asked) > 4
    assert machine.site.opened == machine.site.closed
    assert machine.site.bytes_served - len(DATA) < 20 * _connection.BUFFER_BYTES


@pytest.mark.usefixtures("four")
def test_cut_pieces_are_fetched_by_others(machine):
    machine.site.cuts = [None, None, 300_000, None, 800_000, 0, 500_000]
    assert machine.download().sha256 == sha256(DATA)
    assert machine.site.bytes_served - len(DATA) < 10 * _connection.BUFFER_BYTES
    assert machine.waits == []


@pytest.mark.usefixtures("several")
def test_at_the_end_nobody_waits_for_a_silent_connection(machine, monkeypatch):
    monkeypatch.setattr(_download, "HURRY_S", 0.2)
    monkeypatch.setattr(_download, "GRACE_S", 0.05)
    deaf, fetching = threading.Event(), threading.local()

    def one_falls_silent():
        time.sleep(0.002)
        fetching.reads = getattr(fetching, "reads", 0) + 1
        if machine.site.opened == 4 and fetching.reads == 3:
            deaf.wait(20)

    machine.site.on_read = one_falls_silent
    begun_s = time.monotonic()
    assert machine.download().sha256 == sha256(DATA)
    assert time.monotonic() - begun_s < 10
    assert machine.waits == []
    deaf.set()


@pytest.mark.usefixtures("four")
def test_a_server_without_ranges_is_left_with_one_connection_and_that_is_said(machine):
    machine.site.resumes = False
    done = machine.download()
    assert done.sha256 == sha256(DATA)
    assert machine.said("gives no parts of a file; going on with 1 connection")
    assert machine.site.bytes_served == len(DATA)
    assert [offset for _, offset, _ in machine.site.asked] == [0, 1]


@pytest.mark.usefixtures("several")
def test_a_file_of_unknown_length_is_not_shared(small):
    small.site.announces = None
    small.site.on_read = lambda: time.sleep(0.04)
    assert small.download().sha256 == sha256(SMALL)
    assert small.said("does not tell the length of the file; going on with 1 connection")
    assert len(small.site.asked) == 1


@pytest.mark.usefixtures("four")
def test_a_server_that_refuses_more_connections_is_left_with_those_it_allows(machine):
    def refuse(url, offset):
        if 3 < len(machine.site.asked) < 6:
            raise InterruptedDownload(f"fetch {url}", found="429 Too Many Requests")

    machine.site.on_open = refuse
    assert machine.download().sha256 == sha256(DATA)
    assert machine.said("429 Too Many Requests; going on with")
    assert machine.waits == []


@pytest.mark.usefixtures("four")
def test_a_file_that_changes_under_several_connections_is_started_over(machine):
    new = DATA[::-1]

    def change(url, offset):
        if len(machine.site.asked) == 4:
            machine.site.files[URL], machine.site.etag = new, '"2"'

    machine.site.on_open = change
    done = machine.download()
    assert done.sha256 == sha256(new)
    assert machine.content() == new
    assert machine.said("starting over with x.zip")


@pytest.mark.usefixtures("four")
def test_a_full_disk_ends_all_connections(machine, monkeypatch):
    honest = Part.write

    def full(part, offset, data):
        if offset > 8 * MIB:
            raise OSError(errno.ENOSPC, "No space left on device")
        honest(part, offset, data)

    monkeypatch.setattr(Part, "write", full)
    with pytest.raises(StorageError, match="No space left"):
        machine.download()
    monkeypatch.undo()
    before = machine.site.bytes_served
    done = machine.download()
    assert done.sha256 == sha256(DATA)
    assert machine.site.bytes_served - before == len(DATA) - done.resumed_bytes


@pytest.mark.usefixtures("several")
def test_where_gaps_are_filled_with_zeros_there_is_one_connection(machine, monkeypatch):
    monkeypatch.setattr(_download, "has_cheap_gaps", lambda folder: False)
    machine.site.on_read = lambda: time.sleep(0.001)
    machine.download()
    assert len(machine.site.asked) == 1


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize("others", [(), (MIRROR,)])
def test_a_question_that_nobody_waits_for_any_more_does_not_stop_the_growth(
    machine, monkeypatch, others
):
    settling = []
    honest = Several.see

    def see(growth, sample):
        honest(growth, sample)
        if sample.received_bytes > 12 * MIB:
            settling.append(sample.is_settling)

    def answer_late(url, offset):
        if offset == 1:
            while len(machine.site.asked) < 3:
                time.sleep(0.005)

    monkeypatch.setattr(Several, "see", see)
    machine.site.files[MIRROR] = DATA
    machine.site.cuts, machine.site.on_open = [6 * MIB], answer_late
    assert machine.download(URL, *others).sha256 == sha256(DATA)
    assert not all(settling)


# --- mirrors --------------------------------------------------------------------------------------


def test_a_mirror_takes_over_at_once(small):
    small.site.files[MIRROR] = SMALL
    small.site.cuts = [100_000]
    done = small.download(URL, MIRROR)
    assert (done.sha256, done.sources) == (sha256(SMALL), (URL, MIRROR))
    assert (small.waits, small.said("going on from mirror.example")) == ([], True)


def test_a_mirror_without_the_file_is_not_asked_again(small):
    small.site.files[MIRROR] = SMALL
    del small.site.files[URL]
    small.site.cuts = [1000, 1000]
    assert small.download(URL, MIRROR).sources == (MIRROR,)
    assert [url for url, _, _ in small.site.asked] == [URL, MIRROR, MIRROR, MIRROR]
    assert small.said("going on without vendor.example")


def test_a_mirror_with_a_file_of_another_length_is_not_asked_again(small):
    small.site.files[MIRROR] = SMALL + b"more"
    small.site.cuts = [100_000, 0]
    done = small.download(URL, MIRROR)
    assert (done.sha256, done.sources) == (sha256(SMALL), (URL,))
    assert small.said("a file of 300004 bytes (expected: 300000 bytes, as at")


@pytest.mark.parametrize("refusal", [DownloadError, AuthenticationError])
def test_a_mirror_that_wants_a_log_on_is_left_for_another(small, refusal):
    small.site.files[MIRROR] = SMALL
    refuse_at(small.site, URL, refusal)
    assert small.download(URL, MIRROR).sources == (MIRROR,)
    assert small.said("going on without vendor.example")


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize("refusal", [DownloadError, AuthenticationError])
def test_when_several_connections_fail_at_one_mirror_the_others_stay(machine, refusal):
    asked, all_asked = [], threading.Event()

    def refuse(url, offset):
        if url == URL and offset > 1:
            asked.append(offset)
            if len(asked) == 3:
                all_asked.set()
            all_asked.wait(5)
            raise refusal(f"fetch {url}", found="403 Forbidden")

    machine.site.files[MIRROR] = DATA
    machine.site.on_open = refuse
    assert machine.download(URL, MIRROR).sha256 == sha256(DATA)
    assert machine.said("403 Forbidden; going on without vendor.example")
    assert not machine.said("403 Forbidden; going on with ")


def test_when_no_mirror_has_the_file_the_last_reason_is_told(small):
    small.site.files.clear()
    with pytest.raises(DownloadError, match=r"mirror\.example.*404"):
        small.download(URL, MIRROR)


# --- answers --------------------------------------------------------------------------------------


def test_an_empty_file_is_a_file(machine):
    machine.site.files[URL] = b""
    assert machine.download().sha256 == sha256(b"")
    assert machine.content() == b""


@pytest.mark.parametrize("size", [1, BLOCK_BYTES, BLOCK_BYTES + 1, 4 * BLOCK_BYTES])
def test_files_of_any_length_come_whole(machine, size):
    machine.site.files[URL] = DATA[:size]
    assert machine.download().sha256 == sha256(DATA[:size])
    assert machine.content() == DATA[:size]


def test_a_file_of_unknown_length_comes_over_one_connection(small):
    small.site.announces = None
    done = small.download()
    assert (done.sha256, done.announced_bytes) == (sha256(SMALL), None)


def test_a_file_of_unknown_length_is_resumed(small):
    small.site.announces = None
    small.site.cuts = [100_000]
    assert small.download().sha256 == sha256(SMALL)
    assert [offset for _, offset, _ in small.site.asked] == [0, 100_000]


def test_more_than_was_announced_is_refused(small):
    small.site.announces = 200_000
    with pytest.raises(DownloadError, match="more than the 200000 bytes that were announced"):
        small.download()


def test_what_the_server_asks_to_wait_is_waited(small):
    def busy(url, offset):
        if len(small.site.asked) == 1:
            error = InterruptedDownload(f"fetch {url}", found="503 Service Unavailable")
            error.retry_after_s = 77.0
            raise error

    small.site.on_open = busy
    small.download()
    assert small.waits == [77.0]


def test_a_fault_of_our_own_is_not_taken_for_a_bad_line(small):
    def fail(url, offset):
        raise ZeroDivisionError

    small.site.on_open = fail
    with pytest.raises(ZeroDivisionError):
        small.download()
    assert small.listener.open_steps == 0


# --- the disk -------------------------------------------------------------------------------------


def test_a_file_too_large_for_the_file_system_is_refused_before_its_first_byte(small, monkeypatch):
    monkeypatch.setattr(_transfer, "largest_file_bytes", lambda folder: 299_999)
    with pytest.raises(StorageError, match=r"at most 299999 bytes on this file system \(FAT\)"):
        small.download()
    assert small.site.bytes_served == 0


def test_only_blocks_that_are_not_what_was_written_are_fetched_again(machine):
    machine.site.cuts = [8 * MIB]
    with pytest.raises(DownloadError):
        machine.download(retry_delays_s=())
    with machine.where.path.open("r+b") as file:
        file.seek(5 * BLOCK_BYTES + 9)
        file.write(b"power failed here")
    before = machine.site.bytes_served
    done = machine.download()
    assert done.sha256 == sha256(DATA)
    assert machine.said(f"{BLOCK_BYTES} bytes of x.zip are not what was written")
    assert [offset for _, offset, _ in machine.site.asked[1:]] == [5 * BLOCK_BYTES, 8 * MIB]
    assert machine.site.bytes_served - before == len(DATA) - 8 * MIB + BLOCK_BYTES
    assert done.resumed_bytes == 8 * MIB - BLOCK_BYTES


def test_ctrl_c_leaves_what_the_same_command_goes_on_with(machine):
    def interrupt(count_bytes):
        if machine.site.bytes_served > 4 * MIB:
            raise KeyboardInterrupt

    hold = threading.Event()
    machine.site.on_read = lambda: machine.site.bytes_served < 8 * MIB or hold.wait(10)
    machine.listener.advance = interrupt
    with pytest.raises(KeyboardInterrupt):
        machine.download()
    hold.set()
    assert machine.listener.open_steps == 0
    again = Machine(machine.where.path.parent)
    done = again.download()
    assert done.sha256 == sha256(DATA)
    assert done.resumed_bytes >= 4 * MIB
    assert again.site.bytes_served == len(DATA) - done.resumed_bytes


# --- the fast lane --------------------------------------------------------------------------------


@pytest.fixture
def fast(machine, monkeypatch):
    """A machine whose line counts as fast from 2 MiB on."""
    monkeypatch.setattr(_connection, "FAST_AFTER_BYTES", 2 * MIB)
    monkeypatch.setattr(_connection, "LANE_BYTES_S", 1)
    return machine


def test_a_fast_line_takes_the_fast_lane_and_the_file_is_the_same(fast, monkeypatch):
    puts, honest = [], _connection.FastLane.put

    def put(lane, offset, chunk):
        puts.append(offset)
        honest(lane, offset, chunk)

    monkeypatch.setattr(_connection.FastLane, "put", put)
    done = fast.download()
    assert done.sha256 == sha256(DATA)
    assert fast.content() == DATA
    assert puts == [at * MIB for at in range(2, 16)]


@pytest.mark.parametrize("after", [5 * MIB + 777, 6 * MIB, 15 * MIB + 5])
def test_a_line_cut_in_the_fast_lane_loses_nothing(fast, after):
    fast.site.cuts = [after]
    done = fast.download()
    assert done.sha256 == sha256(DATA)
    assert [offset for _, offset, _ in fast.site.asked] == [0, after]
    assert fast.site.bytes_served == len(DATA)


def test_a_line_that_becomes_slow_leaves_the_fast_lane(fast, monkeypatch):
    monkeypatch.setattr(_connection, "LEAVE_BYTES_S", 1e12)
    assert fast.download().sha256 == sha256(DATA)
    assert fast.content() == DATA


def test_a_limited_line_takes_no_fast_lane(fast, monkeypatch):
    monkeypatch.setattr(_connection, "FastLane", None)
    assert fast.download(limits=Limits(rate_bytes_s=1 << 40)).sha256 == sha256(DATA)


# --- the clock ------------------------------------------------------------------------------------

NIGHT = Limits(hours=Hours.parse("22:00-06:00"))


def test_outside_of_the_hours_it_waits_and_says_so(small):
    small.now = small.now.replace(hour=21, minute=58, second=30)
    small.download(limits=NIGHT)
    assert small.waits == [60, 30]
    assert small.said("outside of 22:00-06:00; waiting for 22:00")


def test_when_the_hours_end_it_stops_and_goes_on_the_next_night(machine):
    morning = threading.Event()

    def sun_rises():
        if machine.site.bytes_served > 8 * MIB and not morning.is_set():
            machine.now = machine.now.replace(day=22, hour=6)
            morning.wait(0.3)  # the crew looks at the clock ten times a second
            morning.set()

    machine.site.on_read = sun_rises
    done = machine.download(limits=NIGHT)
    assert done.sha256 == sha256(DATA)
    assert machine.said("the hours 22:00-06:00 are over")
    assert sum(machine.waits) == timedelta(hours=16).total_seconds()
    first, second = (offset for _, offset, _ in machine.site.asked)
    assert first == 0
    assert second >= 8 * MIB
    assert machine.listener.open_steps == 0


def test_a_silent_line_is_told_then_given_up_and_what_it_brings_later_is_not_written(
    small, monkeypatch
):
    monkeypatch.setattr(_download, "QUIET_S", 0.2)
    monkeypatch.setattr(_download, "STALL_S", 0.5)
    monkeypatch.setattr(_download, "GRACE_S", 0.05)
    deaf, ended = threading.Event(), threading.Event()
    honest = _transfer.Transfer.take

    def stall():
        if len(small.site.asked) == 1 and small.site.bytes_served > 100_000:
            deaf.wait(20)

    def take(transfer, claim, data):
        taken = honest(transfer, claim, data)
        if not taken:
            ended.set()
        return taken

    monkeypatch.setattr(_transfer.Transfer, "take", take)
    small.site.on_read = stall
    done = small.download()
    assert done.sha256 == sha256(SMALL)
    assert small.said("vendor.example: nothing for 0.2 s; waiting")
    assert small.said("less than 1024 bytes per second")
    small.site.files[URL] = b"?" * len(SMALL)
    deaf.set()
    assert ended.wait(5)
    assert small.content() == SMALL


def test_a_rate_is_kept(monkeypatch):
    waited = []
    throttle = _connection.Throttle(100_000)
    monkeypatch.setattr(time, "sleep", waited.append)
    for _ in range(10):
        throttle.wait(50_000)
    assert waited[-1] == pytest.approx(5.0, abs=0.2)
    assert throttle.is_limiting


def test_a_part_of_an_earlier_start_is_closed_with_the_download(small):
    small.download()
    with contextlib.closing(Part(small.where)) as part:
        assert part.blocks.done_bytes == len(SMALL)
