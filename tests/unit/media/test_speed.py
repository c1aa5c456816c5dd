"""How fast a medium is: a mean over enough bytes, or nothing at all."""

import json

import pytest

from tests.unit.media.making import make_payload
from tests.unit.media.test_write import Heard, StopAt, Stopped
from toolkit.media import _speed as speeds
from toolkit.media._speed import Speed, human_speed, slow_warnings

MIB = 1 << 20


class Clock:
    """A clock that goes on by so many seconds whenever it is read."""

    def __init__(self, step_s=1.0):
        self.now, self.step_s = 0.0, step_s

    def __call__(self):
        self.now += self.step_s
        return self.now


def test_the_mean_is_over_everything_that_was_added():
    speed = Speed(clock=Clock())
    for size_bytes in (100 * MIB, 50 * MIB):
        speed.add(size_bytes, since=speed.start())
    assert speed.bytes_per_s == 75 * MIB


def test_work_between_does_not_count():
    clock = Clock()
    speed = Speed(clock=clock)
    speed.add(100 * MIB, since=speed.start())
    clock.now += 1000
    speed.add(100 * MIB, since=speed.start())
    assert speed.bytes_per_s == 100 * MIB


def test_too_little_tells_nothing():
    speed = Speed(clock=Clock())
    speed.add(64 * MIB - 1, since=speed.start())
    assert speed.bytes_per_s is None
    assert human_speed(None) == "too little to tell"
    assert slow_warnings(None) == ()


def test_no_time_at_all_is_no_speed():
    speed = Speed(clock=Clock(step_s=0))
    speed.add(100 * MIB, since=speed.start())
    assert speed.bytes_per_s is None


def test_below_ten_mib_a_second_is_slow():
    assert slow_warnings(10 * MIB) == ()
    (warning,) = slow_warnings(10 * MIB - 1)
    assert "10.0 MiB/s" in warning
    assert "another port" in warning


# --- media ----------------------------------------------------------------------------------------


@pytest.fixture
def timed(monkeypatch):
    """Any byte is enough, and each file takes so many seconds."""

    def timed(seconds):
        def add(self, size_bytes, *, since):
            self.seconds += seconds
            self.size_bytes += size_bytes

        monkeypatch.setattr(speeds, "_ENOUGH_BYTES", 1)
        monkeypatch.setattr(Speed, "add", add)

    return timed


def test_the_speeds_of_writing_are_told_and_kept(timed, publisher, root, payload):
    timed(1)
    heard = Heard()
    folder = publisher.write(root, payload, progress=heard).folder
    complete = json.loads((folder / "complete.json").read_bytes())
    assert complete["read_back"]["bytes_per_s"] == payload.size_bytes
    assert complete["written"] == {"bytes": 1300, "bytes_per_s": 1300}
    assert any("written with 1.3 KiB/s, read back with 1.3 KiB/s" in text for text in heard.said)
    assert any("warning: it reads with 1.3 KiB/s only" in text for text in heard.said)


def test_what_stood_already_was_not_written_by_this_run(publisher, root, payload):
    with pytest.raises(Stopped):
        publisher.write(root, payload, progress=StopAt("read back"))
    folder = publisher.write(root, payload).folder
    complete = json.loads((folder / "complete.json").read_bytes())
    assert "written" not in complete
    assert complete["read_back"]["bytes_per_s"] is None


def test_nothing_is_called_written_where_all_of_it_stood_already(timed, publisher, root, payload):
    timed(1)
    folder = publisher.write(root, payload).folder
    (folder / "complete.json").unlink()
    heard = Heard()
    publisher.write(root, payload, progress=heard)
    complete = json.loads((folder / "complete.json").read_bytes())
    assert "written" not in complete
    assert complete["read_back"]["bytes_per_s"] == payload.size_bytes  # as it was measured now
    (said,) = (text for text in heard.said if "is complete" in text)
    assert said.endswith("its payloads stood there already, read back with 1.3 KiB/s")


def test_of_what_was_lost_only_that_is_called_written(timed, publisher, root, payload, tmp_path):
    timed(1)
    other = make_payload(tmp_path / "catalog", name="SBE_1.zip", data=b"sbe")
    folder = publisher.write(root, payload, other).folder
    for name in ("complete.json", "data/payload/SBE_1.zip"):
        (folder / name).unlink()
    publisher.write(root, payload, other)
    complete = json.loads((folder / "complete.json").read_bytes())
    assert complete["written"] == {"bytes": 3, "bytes_per_s": 3}


def test_the_speed_of_reading_is_in_the_report(timed, site, medium):
    timed(1)
    report = site.open(medium).verify()
    sizes = [path.stat().st_size for path in (medium / "AZL-2603-TEST" / "data").rglob("*.*")]
    assert report.read_bytes_per_s == sum(sizes) // len(sizes)
    assert any("it reads with" in warning for warning in report.warnings)


def test_what_is_not_good_does_not_count(timed, site, folder):
    timed(1)
    (folder / "data/payload/SBE_Contoso_Model1_4.2.2603.1.zip").write_bytes(b"x" * 10_000_000)
    assert site.open(folder).verify().read_bytes_per_s < 10_000


def test_a_fast_medium_has_no_warning(timed, site, medium):
    timed(1e-9)
    assert site.open(medium).verify().warnings == ()


# --- the wrong stick ------------------------------------------------------------------------------


def warnings(heard):
    return [text for text in heard.said if "also holds" in text]


def test_another_set_begun_for_the_same_payloads_is_named(publisher, root, payload):
    with pytest.raises(Stopped):
        publisher.write(root, payload, set_name="AZL-1", progress=StopAt("read back"))
    heard = Heard()
    publisher.write(root, payload, set_name="AZL-2", progress=heard)
    (warning,) = warnings(heard)
    assert "AZL-1 1/1, unfinished, with the same payloads" in warning
    assert (root / "AZL-1" / "writing.json").exists()


def test_other_payloads_and_finished_sets_are_not_named(tmp_path, publisher, root, payload):
    other = make_payload(tmp_path / "catalog", name="SBE_1.zip", data=b"sbe")
    with pytest.raises(Stopped):
        publisher.write(root, other, progress=StopAt("read back"))
    publisher.write(root, payload, set_name="AZL-1")
    heard = Heard()
    publisher.write(root, payload, set_name="AZL-2", progress=heard)
    assert warnings(heard) == []
