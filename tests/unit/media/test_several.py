"""Several media at once: a thread for each device, one report for each, and whether the set is whole."""

import errno
import shutil
import threading
import time

import pytest

from tests.unit.media.making import NOW, days, flip, make_payload
from toolkit.errors import DigestError, SignatureError, StorageError, TrustError
from toolkit.media import MediumSize, Scanner, examine_media, sets_of
from toolkit.media import _several as several
from toolkit.media._layout import METADATA_ROOM_BYTES, RESERVE
from toolkit.media._place import device_of
from toolkit.model import Silent

PAYLOAD_BYTES = 300_000
HOLDS_ONE = MediumSize(size_bytes=int((PAYLOAD_BYTES * 1.5 + METADATA_ROOM_BYTES) / (1 - RESERVE)))


class Heard(Silent):
    def __init__(self):
        self.begun, self.bytes, self.said = [], 0, []

    def begin(self, what, *, total_bytes):
        self.begun.append((what, total_bytes))

    def advance(self, count_bytes):
        self.bytes += count_bytes

    def say(self, message):
        self.said.append(message)


@pytest.fixture(scope="session")
def _three(tmp_path_factory, publisher):
    base = tmp_path_factory.mktemp("three")
    payloads = [
        make_payload(
            base / "catalog", name=f"SBE_{number}.zip", data=bytes([number]) * PAYLOAD_BYTES
        )
        for number in (1, 2, 3)
    ]
    for number in (1, 2, 3):
        publisher.write(
            base / f"stick{number}",
            *payloads,
            media=[HOLDS_ONE] * 3,
            book=base / "book",
            set_name="AZL-2603-3",
            now=NOW - days(1),
        )
    return base


@pytest.fixture
def sticks(_three, tmp_path):
    """The roots of the three media of a set."""
    names = ("stick1", "stick2", "stick3")
    return [shutil.copytree(_three / name, tmp_path / name) for name in names]


@pytest.fixture
def examine(site, monkeypatch):
    """Examine media at the site, at the time of the tests."""
    honest = several.open_medium
    monkeypatch.setattr(
        several, "open_medium", lambda root, trust, **more: honest(root, trust, now=NOW, **more)
    )

    def examine(*roots, progress=None, **more):
        return examine_media(roots, site.folder, progress=progress or Silent(), **more)

    return examine


@pytest.fixture
def own_devices(monkeypatch):
    """Every medium is a device of its own."""
    monkeypatch.setattr(several, "device_of", lambda root: (root.name, 0))


def payload(stick):
    (path,) = stick.glob("*/data/payload/*")
    return path


def test_every_medium_is_reported_in_the_order_it_was_named(sticks, examine, own_devices):
    one, two, three = sticks
    found = examine(three, one, two)
    assert [item.report.medium for item in found] == [3, 1, 2]
    assert [item.root for item in found] == [three, one, two]
    assert [item.problem for item in found] == [None] * 3


def test_different_devices_are_read_at_the_same_time(sticks, examine, own_devices, monkeypatch):
    honest, met = several._read, threading.Barrier(3, timeout=20)

    def read(item, progress):
        met.wait()  # nobody goes on until all three are here
        return honest(item, progress)

    monkeypatch.setattr(several, "_read", read)
    assert all(item.problem is None for item in examine(*sticks))


def test_media_on_one_device_are_read_one_after_the_other(sticks, examine, monkeypatch):
    honest, active, most = several._read, [0], [0]

    def read(item, progress):
        active[0] += 1
        most[0] = max(most[0], active[0])
        time.sleep(0.01)
        active[0] -= 1
        return honest(item, progress)

    monkeypatch.setattr(several, "_read", read)
    assert len(examine(*sticks)) == 3
    assert most == [1]


def test_devices_are_told_apart_by_their_number(tmp_path, monkeypatch):
    assert device_of(tmp_path) == device_of(tmp_path / ".")
    assert device_of(tmp_path)[1] == tmp_path.stat().st_dev
    with pytest.raises(FileNotFoundError):
        device_of(tmp_path / "absent")


def test_a_device_that_goes_away_keeps_no_other_from_being_read(sticks, examine, monkeypatch):
    def gone(root):
        if root in lost:
            raise OSError(errno.ENODEV, "No such device", str(root))
        return root.name, 0

    monkeypatch.setattr(several, "device_of", gone)
    lost = [sticks[1]]
    found = examine(*sticks)
    assert [type(item.problem) for item in found] == [type(None), StorageError, type(None)]
    assert [item.report is None for item in found] == [False, True, False]
    lost = list(sticks)
    assert {type(item.problem) for item in examine(*sticks)} == {StorageError}


def test_their_progress_is_one(sticks, examine, own_devices):
    heard = Heard()
    found = examine(*sticks, progress=heard)
    ((what, total),) = heard.begun
    assert what == "verify 3 media, 3 at a time"
    assert total == sum(item.medium.size_bytes for item in found)
    assert heard.bytes == total
    assert sorted(heard.said) == [f"verify AZL-2603-3 {number}/3" for number in (1, 2, 3)]


def test_one_medium_alone_is_told_as_ever(sticks, examine):
    heard = Heard()
    examine(sticks[1], progress=heard)
    assert [what for what, _ in heard.begun] == ["verify AZL-2603-3 2/3"]


def test_what_is_wrong_with_one_keeps_no_other_from_being_read(
    sticks, examine, own_devices, other_publisher, tmp_path
):
    one, two, three = sticks
    flip(payload(one), 7)
    payload(two).unlink()
    strange = other_publisher.write(tmp_path / "strange", make_payload(tmp_path / "made")).folder
    (tmp_path / "empty").mkdir()
    found = examine(one, two, strange, tmp_path / "empty", three)
    assert [type(item.problem) for item in found] == [
        DigestError, StorageError, SignatureError, StorageError, type(None),
    ]  # fmt: skip
    assert [item.report is None for item in found] == [False, False, True, True, False]


def test_what_is_stopped_in_one_thread_stops_all(sticks, examine, own_devices, monkeypatch):
    class Hand(Heard):
        def advance(self, count_bytes):
            raise KeyboardInterrupt

    ended = []
    honest = several._read

    def read(item, progress):
        try:
            for _ in range(1000):  # each device has much to read
                honest(item, progress)
        finally:
            ended.append(item.root)

    monkeypatch.setattr(several, "_read", read)
    with pytest.raises(KeyboardInterrupt):
        examine(*sticks, progress=Hand())
    assert len(ended) == 3


def test_a_bug_in_one_thread_is_not_swallowed(sticks, examine, own_devices, monkeypatch):
    def read(item, progress):
        raise ZeroDivisionError

    monkeypatch.setattr(several, "_read", read)
    with pytest.raises(ZeroDivisionError):
        examine(*sticks)


# --- the set ------------------------------------------------------------------------------------


def sentences(found):
    return [str(state) for state in sets_of(found)]


def test_a_whole_set_is_told(sticks, examine):
    assert sentences(examine(*sticks)) == ["AZL-2603-3 is whole: all 3 media are proven"]


def test_what_is_missing_of_a_set_is_told_by_its_label(sticks, examine):
    assert sentences(examine(*sticks[:2])) == ["2 of 3 media of AZL-2603-3: 3/3 is missing"]


def test_what_is_there_and_not_good_is_told_apart(sticks, examine):
    flip(payload(sticks[0]), 7)
    assert sentences(examine(*sticks[:2])) == [
        "1 of 3 media of AZL-2603-3: 3/3 is missing, 1/3 is not proven"
    ]


def test_a_good_copy_stands_for_a_bad_one(sticks, examine, tmp_path):
    copy = shutil.copytree(sticks[0], tmp_path / "copy")
    flip(payload(sticks[0]), 7)
    assert sentences(examine(*sticks, copy)) == ["AZL-2603-3 is whole: all 3 media are proven"]


def test_sets_are_counted_apart(sticks, examine, medium):
    assert sentences(examine(sticks[0], medium)) == [
        "1 of 3 media of AZL-2603-3: 2/3 is missing, 3/3 is missing",
        "AZL-2603-TEST is whole: its one medium is proven",
    ]


# --- scanners -----------------------------------------------------------------------------------


def test_a_scanner_is_run_on_what_was_proven_only(sticks, examine, tmp_path):
    program = tmp_path / "scan.sh"
    program.write_text(
        f'#!/bin/sh\necho "$1" >> {tmp_path}/log\ncase "$1" in *stick3*) exit 1;; esac\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    flip(payload(sticks[0]), 7)
    scanner = Scanner.choose(program, timeout_s=30)
    bad, good, infected = examine(*sticks, scanner=scanner)
    assert (bad.scan, good.scan.exit_code, infected.scan.exit_code) == (None, 0, 1)
    assert isinstance(infected.problem, TrustError)
    assert good.problem is None
    assert len((tmp_path / "log").read_text(encoding="utf-8").splitlines()) == 2
    assert sentences([bad, good, infected]) == [
        "1 of 3 media of AZL-2603-3: 1/3 is not proven, 3/3 is not proven"
    ]
