import errno
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.unit.media.making import SiteTrust, flip, make_payload
from tests.unit.media.test_lock import During
from tests.unit.media.test_several import HOLDS_ONE, PAYLOAD_BYTES
from tests.unit.media.test_spread import TWO
from tests.unit.media.test_write import Heard, StopAt, Stopped, content, noted_in
from toolkit.errors import DigestError, InputError, StorageError
from toolkit.media import (
    Parity,
    Verdict,
    choose_parity,
    describe_medium,
    examine_media,
    find_lacking,
    plan_erasure,
    repair_medium,
)
from toolkit.media import _parity as parity_module
from toolkit.media import _repair as repairing
from toolkit.media import _write as writing
from toolkit.media._device import BLOCK_BYTES, ReadMethod
from toolkit.media._parity import parity_bytes, rescue
from toolkit.model import Silent

TOOL = shutil.which("par2")
pytestmark = pytest.mark.skipif(TOOL is None, reason="the program par2 is not installed")
NAME = "CombinedSolutionBundle.12.2603.1002.15.zip"
SIZE = 3_000_001


@pytest.fixture(scope="module")
def _with_parity(tmp_path_factory, publisher):
    base = tmp_path_factory.mktemp("parity")
    held = make_payload(base / "catalog", data=random.Random(7).randbytes(SIZE))
    publisher.write(base / "stick", held, parity=Parity(tool=TOOL, percent=5), set_name="AZL-1")
    return base


@pytest.fixture
def stick(_with_parity, tmp_path):
    """The root of a medium with 5 % of parity."""
    return shutil.copytree(_with_parity / "stick", tmp_path / "stick")


def damage(stick, places, count=64):
    path = stick / "AZL-1/data/payload" / NAME
    data = bytearray(path.read_bytes())
    for place in places:
        data[place : place + count] = bytes(count)
    path.write_bytes(data)


def copied(medium):
    sink = io.BytesIO()
    medium.copy_target(f"payload/{NAME}", sink)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def test_the_parity_of_a_file_lies_in_a_folder_of_its_own(stick):
    (folder,) = (stick / "AZL-1/parity").iterdir()
    assert {path.suffix for path in folder.iterdir()} == {".par2"}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= parity_bytes(SIZE, 5)


def test_anybody_can_check_it_with_par2_alone(stick):
    (index,) = (stick / "AZL-1/parity").glob("*/p.par2")
    payload = stick / "AZL-1/data/payload" / NAME
    words = [TOOL, "verify", "-q", "-B", str(payload.parent), str(index), str(payload)]
    assert subprocess.run(words, check=False, stdout=subprocess.DEVNULL).returncode == 0


def test_parity_does_not_make_a_medium_untidy(stick, site):
    report = site.open(stick).verify()
    assert report.problem() is None
    assert report.is_tidy(strict=True)


def test_damage_is_reported_as_repairable(stick, site):
    damage(stick, [1_000_000])
    report = site.open(stick).verify()
    (file,) = report.having(Verdict.DAMAGED)
    assert file.has_parity
    assert "ferry media repair" in report.problem().hint


def test_a_bad_complete_json_hides_no_parity(stick, site):
    damage(stick, [1_000_000])
    (stick / "AZL-1/complete.json").write_bytes(b"{}")
    problem = site.open(stick, accept_incomplete=True).verify().problem()
    assert isinstance(problem, DigestError)
    assert "ferry media repair" in problem.hint


def test_a_last_file_and_a_payload_that_cannot_be_read_are_both_repaired_here(
    stick, site, monkeypatch
):
    def failing(*arguments, **options):
        raise OSError(errno.EIO, "Input/output error")

    honest = Path.open
    monkeypatch.setattr("toolkit.media._medium.measure_blocks", failing)
    monkeypatch.setattr(
        Path,
        "open",
        lambda path, *rest, **options: (failing if path.name == "complete.json" else honest)(
            path, *rest, **options
        ),
    )
    report = site.open(stick, accept_incomplete=True).verify()
    assert len(report.having(Verdict.UNREADABLE)) == 2
    assert "ferry media repair" in report.problem().hint


@pytest.mark.parametrize("left", [None, b"{}"])
@pytest.mark.parametrize("places", [[], [1_000_000]], ids=["whole", "damaged"])
def test_a_lost_complete_json_needs_no_second_trip(stick, site, tmp_path, left, places):
    sound = hashlib.sha256((stick / "AZL-1/data/payload" / NAME).read_bytes()).hexdigest()
    damage(stick, places)
    (stick / "AZL-1/complete.json").unlink()
    if left is not None:
        (stick / "AZL-1/complete.json").write_bytes(left)
    scratch = tmp_path / "scratch"
    for _ in range(2):
        opened = site.open(stick, accept_incomplete=True)
        assert repair_medium(opened, scratch).repaired[-1:] == ("complete.json",)
    assert copied(site.open(stick, others=[scratch])) == sound
    with pytest.raises(StorageError, match=r"missing complete\.json"):
        site.open(stick)


def test_only_what_parity_must_make_needs_the_program(stick, site, tmp_path, monkeypatch):
    path = stick / "AZL-1/data/payload" / NAME
    sound, scratch = path.read_bytes(), tmp_path / "scratch"
    monkeypatch.setattr(parity_module.shutil, "which", lambda name: None)

    def repair(heard=None):
        return repair_medium(
            site.open(stick, accept_incomplete=True), scratch, progress=heard or Silent()
        )

    (stick / "AZL-1/complete.json").unlink()
    damage(stick, [1_000_000])
    heard = Heard()
    with pytest.raises(InputError, match="`par2` is not installed") as caught:
        repair(heard)
    assert "ask home for what is damaged" in caught.value.hint
    assert any("`par2` is not installed" in line for line in heard.said)
    assert not scratch.exists()
    shutil.move(stick / "AZL-1/parity", tmp_path / "away")
    assert [reason for _, reason in repair().hopeless] == ["no parity was written for it"]
    path.write_bytes(sound)
    assert repair().repaired == ("complete.json",)
    assert copied(site.open(stick, others=[scratch])) == hashlib.sha256(sound).hexdigest()


def test_what_was_repaired_before_needs_no_program(stick, site, tmp_path, monkeypatch):
    damage(stick, [1_000_000])
    opened, scratch = site.open(stick), tmp_path / "scratch"
    before = repair_medium(opened, scratch)
    monkeypatch.setattr(parity_module.shutil, "which", lambda name: None)
    assert repair_medium(opened, scratch) == before


def test_what_is_not_whole_is_not_finished_by_a_repair(stick, site, tmp_path):
    (stick / "AZL-1/complete.json").unlink()
    damage(stick, range(0, SIZE, 20_000))
    repair = repair_medium(site.open(stick, accept_incomplete=True), tmp_path / "scratch")
    assert (repair.repaired, len(repair.hopeless)) == ((), 1)
    (stick / "AZL-1/data/payload" / NAME).unlink()
    repair = repair_medium(site.open(stick, accept_incomplete=True), tmp_path / "scratch")
    assert (repair.repaired, repair.missing) == ((), (f"data/payload/{NAME}",))
    assert not (tmp_path / "scratch").exists()
    with pytest.raises(StorageError, match=r"missing complete\.json"):
        site.open(stick)


def test_a_repair_finishes_the_medium_that_it_read_and_no_other(root, publisher, site, tmp_path):
    held = make_payload(tmp_path / "catalog", data=random.Random(4).randbytes(BLOCK_BYTES // 2) * 3)
    sticks = tmp_path / "one", tmp_path / "two"
    for stick in sticks:
        publisher.write(stick, held, media=TWO, book=tmp_path / "book")
        next(stick.glob("*/complete.json")).unlink()
    scratch = tmp_path / "scratch"
    for number, stick in enumerate(sticks, start=1):
        repair_medium(site.open(stick, accept_incomplete=True), scratch)
        opened = site.open(sticks[0], others=[sticks[1], scratch], accept_incomplete=True)
        assert len(opened.unfinished()) == 2 - number
    assert opened.missing() == ()


@pytest.mark.parametrize(
    "text",
    ["[]", "null", "{}"]
    + [f'{{"set_id": "x", "finished": {said}}}' for said in ('["1"]', "[[1]]", "1", "[1.5]")],
)
def test_a_note_of_repairs_that_is_none_is_named(tmp_path, text):
    (tmp_path / "repaired.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"repaired\.json") as caught:
        repairing.read_repaired(tmp_path)
    assert "ferry media repair" in caught.value.hint


def test_damage_without_parity_is_a_second_trip(stick, site):
    damage(stick, [1_000_000])
    shutil.rmtree(stick / "AZL-1/parity")
    report = site.open(stick).verify()
    assert "written anew" in report.problem().hint
    repair = repair_medium(site.open(stick), stick.parent / "scratch")
    assert repair.hopeless[0][1] == "no parity was written for it"
    assert isinstance(repair.problem(), DigestError)


def test_what_is_damaged_is_repaired_beside_the_medium(stick, site):
    sound = content(stick)["AZL-1/data/payload/" + NAME]
    damage(stick, [0, 1_000_000, SIZE - 64])
    before = content(stick)
    repair = repair_medium(site.open(stick), stick.parent / "scratch")
    assert repair.repaired == (f"data/payload/{NAME}",)
    assert content(stick) == before  # the medium is as it was
    assert (repair.folder / "data/payload" / NAME).read_bytes() == sound
    whole = site.open(stick, others=[stick.parent / "scratch"])
    assert copied(whole) == hashlib.sha256(sound).hexdigest()
    with pytest.raises(DigestError):
        copied(site.open(stick))


def test_a_file_cut_short_is_repaired_as_far_as_parity_goes(stick, site):
    path = stick / "AZL-1/data/payload" / NAME
    data = path.read_bytes()
    path.write_bytes(data[:-100_000])
    with pytest.raises(StorageError, match="cut short"):
        site.open(stick)
    repair = repair_medium(site.open(stick, accept_incomplete=True), stick.parent / "scratch")
    assert repair.problem() is None
    whole = site.open(stick, others=[stick.parent / "scratch"])
    assert copied(whole) == hashlib.sha256(data).hexdigest()


def test_more_damage_than_parity_is_said_with_the_reason(stick, site):
    damage(stick, range(0, SIZE, 20_000))
    repair = repair_medium(site.open(stick), stick.parent / "scratch")
    assert repair.repaired == ()
    assert "recovery blocks" in repair.hopeless[0][1]
    assert not (stick.parent / "scratch/AZL-1/data/payload" / NAME).exists()


def test_forged_parity_makes_nothing_that_is_believed(stick, site, tmp_path):
    path = stick / "AZL-1/data/payload" / NAME
    other = tmp_path / "other" / NAME
    other.parent.mkdir()
    other.write_bytes(random.Random(8).randbytes(SIZE))
    (folder,) = (stick / "AZL-1/parity").iterdir()
    shutil.rmtree(folder)
    folder.mkdir()
    words = [TOOL, "create", "-q", "-q", "-r100", "-n1", "-b1000", f"-B{other.parent}"]
    subprocess.run([*words, str(folder / "p.par2"), str(other)], check=True)
    path.write_bytes(other.read_bytes()[:-1] + b"x")
    repair = repair_medium(site.open(stick), tmp_path / "scratch")
    assert "does not have the signed hash" in repair.hopeless[0][1]
    assert not list((tmp_path / "scratch").rglob("*.zip"))


def test_repairing_twice_keeps_what_is_good(stick, site, monkeypatch):
    damage(stick, [5])
    repair_medium(site.open(stick), stick.parent / "scratch")
    monkeypatch.setattr("toolkit.media._repair.repair_file", None)  # must not be needed
    assert repair_medium(site.open(stick), stick.parent / "scratch").problem() is None


def test_two_cannot_repair_one_set_in_one_folder(stick, site):
    damage(stick, [1_000_000])
    scratch = stick.parent / "scratch"

    def repair_too():
        if (scratch / "AZL-1").exists():
            repair_medium(site.open(stick), scratch)

    heard = During(repair_too)
    assert repair_medium(site.open(stick), scratch, progress=heard).problem() is None
    assert heard.refusals
    assert "another ferry is repairing media of this set there" in str(heard.refusals[0])
    assert "writing" not in str(heard.refusals[0])
    assert "wait for it to end" in heard.refusals[0].hint


def test_nothing_damaged_is_nothing_to_repair(stick, site):
    repair = repair_medium(site.open(stick), stick.parent / "scratch")
    assert (repair.folder, repair.problem()) == (None, None)
    assert not (stick.parent / "scratch").exists()


def test_what_is_missing_altogether_is_named_and_nobodys_damage(stick, site, tmp_path):
    path = stick / "AZL-1/data/payload" / NAME
    sound = path.read_bytes()
    path.unlink()
    opened = site.open(stick, accept_incomplete=True)
    (file,) = opened.verify().having(Verdict.MISSING)
    assert not file.has_parity
    assert "ferry media request" in opened.verify().problem().hint
    repair = repair_medium(opened, tmp_path / "scratch")
    assert (repair.folder, repair.repaired, repair.hopeless) == (None, (), ())
    assert repair.missing == (f"data/payload/{NAME}",)
    there = tmp_path / "scratch/AZL-1/data/payload" / NAME
    there.parent.mkdir(parents=True)
    there.write_bytes(sound)  # it was repaired before the medium lost it
    again = repair_medium(opened, tmp_path / "scratch")
    assert (again.repaired, again.missing) == ((f"data/payload/{NAME}",), ())


def test_one_damaged_and_one_missing_are_told_apart(root, publisher, site, two, tmp_path):
    publisher.write(root, *two, parity=Parity(tool=TOOL, percent=5), set_name="AZL-1")
    (root / "AZL-1/data/payload/SBE_Contoso.zip").unlink()
    flip(root / "AZL-1/data/payload" / NAME, 800)
    repair = repair_medium(site.open(root, accept_incomplete=True), tmp_path / "scratch")
    assert repair.repaired == (f"data/payload/{NAME}",)
    assert repair.missing == ("data/payload/SBE_Contoso.zip",)
    assert repair.problem() is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_place_of_a_payload_is_told_and_never_opened(stick, site, tmp_path):
    path = stick / "AZL-1/data/payload" / NAME
    path.unlink()
    os.mkfifo(path)
    (file,) = site.open(stick).verify().having(Verdict.DAMAGED)
    assert (file.detail, file.has_parity) == ("not a regular file", False)
    repair = repair_medium(site.open(stick), tmp_path / "scratch")
    assert repair.hopeless == ((f"data/payload/{NAME}", f"not a regular file: {path}"),)
    with pytest.raises(DigestError, match="not a regular file"):
        copied(site.open(stick))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_place_of_parity_is_never_opened(stick, site, tmp_path):
    damage(stick, [5])
    (volume,) = stick.glob("AZL-1/parity/*/p.vol*")
    volume.unlink()
    os.mkfifo(volume)
    repair = repair_medium(site.open(stick), tmp_path / "scratch")
    assert repair.hopeless == ((f"data/payload/{NAME}", f"not a regular file: {volume}"),)


def test_repaired_files_are_taken_beside_a_medium_in_any_order(stick, site, tmp_path):
    """Alone, they are no medium that somebody forgot to finish."""
    damage(stick, [5])
    repair_medium(site.open(stick), tmp_path / "scratch")
    sound = copied(site.open(stick, others=[tmp_path / "scratch"]))
    assert copied(site.open(tmp_path / "scratch", others=[stick])) == sound
    examined = examine_media([stick, tmp_path / "scratch"], site.folder, progress=Silent())
    for act in (
        lambda: site.open(tmp_path / "scratch"),
        lambda: describe_medium(tmp_path / "scratch"),
        lambda: plan_erasure(tmp_path / "scratch"),
        lambda: find_lacking([tmp_path / "scratch"], site.folder),
    ):
        with pytest.raises(StorageError, match="repaired for AZL-1, and no medium") as caught:
            act()
        assert "name the medium" in caught.value.hint
    assert "and no medium" in str(examined[1].problem)


def test_repaired_files_copied_over_their_medium_make_no_less_of_it(stick, site, tmp_path):
    damage(stick, [5])
    repaired = repair_medium(site.open(stick), tmp_path / "scratch").folder
    shutil.copytree(repaired, stick / "AZL-1", dirs_exist_ok=True)
    assert site.open(stick).verify().problem() is None


def test_repaired_files_of_another_set_are_refused(stick, site, medium, publisher, tmp_path):
    damage(stick, [5])
    repair_medium(site.open(stick), tmp_path / "scratch")
    elsewhere = SiteTrust(tmp_path / "elsewhere").pin(publisher.root)
    with pytest.raises(InputError, match="put a set together"):
        elsewhere.open(medium, others=[tmp_path / "scratch"])


@pytest.fixture
def windows_words(monkeypatch):
    """What the C runtime of Windows makes of a sector that cannot be read."""
    monkeypatch.setattr("toolkit.media._device._BAD_SECTOR", {errno.EACCES, errno.EINVAL})


def test_a_device_that_fails_on_windows_is_not_called_write_protected(stick, site, windows_words):
    medium, unreadable = site.open(stick), PermissionError(errno.EACCES, "Permission denied")

    class Failing(io.BytesIO):
        def readinto(self, buffer):
            raise unreadable

    def opened(path):
        file = path.open("rb", buffering=0)
        return SimpleNamespace(
            fileno=file.fileno, close=file.close, readinto=Failing().readinto
        ), ReadMethod.NO_BUFFERING

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("toolkit.media._device._open_uncached", opened)
        with pytest.raises(StorageError, match="Input/output error") as caught:
            medium.copy_target(f"payload/{NAME}", io.BytesIO())
    assert "ferry media verify" in caught.value.hint


@pytest.mark.parametrize("words", [errno.EIO, errno.EACCES, errno.EINVAL])
def test_sectors_that_cannot_be_read_are_zeros(tmp_path, windows_words, words):
    class Failing(io.BytesIO):
        def read(self, count=-1):
            """Give what lies before the bad sector, and the error only to whoever goes on, as Linux does."""
            if 8192 <= self.tell() < 8192 + 4096:
                raise OSError(words, os.strerror(words))
            return super().read(min(count, 8192 - self.tell()) if self.tell() < 8192 else count)

    data = random.Random(9).randbytes(50_000)

    class Source:
        is_plugged_in = True

        def open(self, *_, **__):
            if not self.is_plugged_in:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory")
            self.is_plugged_in = is_still_there
            return Failing(data)

    is_still_there = True
    lost = rescue(Source(), tmp_path / "copy", size_bytes=len(data), progress=Silent())
    assert lost == 4096
    assert (tmp_path / "copy").read_bytes() == data[:8192] + bytes(4096) + data[8192 + 4096 :]
    is_still_there = False
    with pytest.raises(FileNotFoundError):  # a device that is gone has no bad sectors
        rescue(Source(), tmp_path / "copy", size_bytes=len(data), progress=Silent())


def test_a_stopped_par2_leaves_no_parity_under_its_name(root, publisher, payload, tmp_path):
    failing = tmp_path / "par2"
    failing.write_text("#!/bin/sh\necho some reason; exit 3\n")
    failing.chmod(0o755)
    with pytest.raises(StorageError, match="par2 ended with 3: some reason"):
        publisher.write(root, payload, parity=Parity(tool=failing, percent=5), set_name="AZL-1")
    assert not list((root / "AZL-1/parity").glob("*/p.par2"))
    again = publisher.write(root, payload, parity=Parity(tool=TOOL, percent=5), set_name="AZL-1")
    assert list((again.folder / "parity").glob("*/p.par2"))
    assert not list(again.folder.rglob("*.part"))


@pytest.fixture
def two(tmp_path):
    """Two payloads that are large enough for parity."""
    data = random.Random(9).randbytes(200_000)
    names = (NAME, "SBE_Contoso.zip")
    return [
        make_payload(tmp_path / "catalog", name=name, data=data + name.encode()) for name in names
    ]


def test_parity_that_was_written_over_by_a_counterfeit_is_found(root, publisher, two, monkeypatch):
    honest = writing.copy_durably

    def wrapping(source, target, **more):
        result = honest(source, target, **more)
        if source == two[1].path:
            (early,) = root.glob(f"*/parity/{two[0].sha256[:12]}/p.vol*")
            flip(early, 500)
        return result

    monkeypatch.setattr(writing, "copy_durably", wrapping)
    with pytest.raises(StorageError, match=r"read back .*p\.vol.*other bytes than were written"):
        publisher.write(root, *two, parity=Parity(tool=TOOL, percent=5))
    assert not list(root.rglob("complete.json"))


@pytest.mark.parametrize("is_damaged", [True, False])
def test_parity_of_an_earlier_run_is_kept_if_it_reads_back(root, publisher, two, is_damaged):
    parity = Parity(tool=TOOL, percent=5)
    with pytest.raises(Stopped):
        publisher.write(root, *two, parity=parity, progress=StopAt("write SBE"))
    (early,) = root.glob(f"*/parity/{two[0].sha256[:12]}/p.vol*")
    before = early.read_bytes()
    if is_damaged:
        flip(early, 500)
    heard = Heard()
    publisher.write(root, *two, parity=parity, progress=heard)
    assert (f"parity of {NAME}" in heard.steps) is is_damaged
    assert early.read_bytes() == before


def test_a_finishing_that_was_stopped_does_not_write_payloads_again(root, publisher, two):
    """A finished set had lost its last file; what was looked at is noted with its parity."""
    more = {"parity": Parity(tool=TOOL, percent=5), "set_name": "AZL-1"}
    complete = publisher.write(root, *two, **more).folder / "complete.json"
    noted = noted_in(complete)
    complete.unlink()
    with pytest.raises(Stopped):
        publisher.write(root, *two, progress=StopAt("read back"), **more)
    heard = Heard()
    publisher.write(root, *two, progress=heard, **more)
    assert heard.steps == [f"read back {held.name}" for held in two]
    assert noted_in(complete) == noted


def test_parity_is_the_default_only_where_it_can_be_made(monkeypatch):
    heard = Heard()
    assert choose_parity(None, memory_mb=64, progress=heard).percent == 5
    assert choose_parity(0, memory_mb=64, progress=heard) is None
    assert heard.said == []
    monkeypatch.setattr(parity_module.shutil, "which", lambda name: None)
    assert choose_parity(None, memory_mb=64, progress=heard) is None
    assert "second trip" in heard.said[0]
    with pytest.raises(InputError, match="not installed"):
        choose_parity(5, memory_mb=64, progress=heard)


def test_a_damaged_segment_file_flips_back(stick, site):
    flip(stick / "AZL-1/data/payload" / NAME, 8 * 123_456)
    assert repair_medium(site.open(stick), stick.parent / "s").problem() is None


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("scratch", "a file where a folder belongs|taken by"),
        ("scratch/x/AZL-1", "taken by something else"),
    ],
)
def test_a_file_in_place_of_the_scratch_folder_is_told_with_what_to_do(
    stick, site, tmp_path, file, said
):
    damage(stick, [1_000_000])
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    with pytest.raises(StorageError, match=said) as caught:
        repair_medium(site.open(stick), tmp_path / "scratch/x")
    assert "move that" in caught.value.hint


@pytest.mark.parametrize("scratch", ["copy", "copy/AZL-1/data"])
def test_nothing_is_repaired_into_another_copy_of_the_set(stick, site, tmp_path, scratch):
    damage(stick, [1_000_000])
    shutil.copytree(stick, tmp_path / "copy")
    before = content(tmp_path)
    with pytest.raises(StorageError, match="is a set folder of a medium"):
        repair_medium(site.open(stick), tmp_path / scratch)
    assert {name: data for name, data in content(tmp_path).items() if name in before} == before


@pytest.mark.parametrize("scratch", ["stick", "stick/scratch", "stick/AZL-1/data", "copy"])
def test_nothing_is_repaired_on_the_medium_itself(stick, site, tmp_path, scratch):
    damage(stick, [1_000_000])
    shutil.copytree(stick, tmp_path / "copy")
    before = content(tmp_path)
    named = tmp_path / "copy/AZL-1" if scratch == "copy" else stick
    with pytest.raises(StorageError, match="lies on the medium"):
        repair_medium(site.open(named), tmp_path / scratch)
    assert {name: data for name, data in content(tmp_path).items() if name in before} == before


def test_room_is_asked_for_what_will_be_repaired_and_its_damaged_copy(stick, site, monkeypatch):
    damage(stick, [1_000_000])
    monkeypatch.setattr(repairing, "free_bytes", lambda folder: 2 * SIZE - 1)
    with pytest.raises(StorageError, match="once more"):
        repair_medium(site.open(stick), stick.parent / "scratch")
    monkeypatch.setattr(repairing, "free_bytes", lambda folder: 2 * SIZE)
    assert repair_medium(site.open(stick), stick.parent / "scratch").problem() is None
    monkeypatch.setattr(repairing, "free_bytes", lambda folder: 0)
    again = repair_medium(site.open(stick), stick.parent / "scratch")
    assert len(again.repaired) == 1
    shutil.rmtree(stick / "AZL-1/parity")
    shutil.rmtree(stick.parent / "scratch")
    assert repair_medium(site.open(stick), stick.parent / "scratch").hopeless


@pytest.mark.parametrize("there", ["", "scratch", "scratch/AZL-1/data/payload"])
def test_a_repair_without_room_leaves_no_folder(stick, site, monkeypatch, there):
    damage(stick, [1_000_000])
    (stick.parent / there).mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(repairing, "free_bytes", lambda folder: SIZE)
    with pytest.raises(StorageError, match="once more"):
        repair_medium(site.open(stick), stick.parent / "scratch")
    assert not (stick.parent / "scratch/AZL-1").exists()
    assert (stick.parent / "scratch").exists() is bool(there)


def test_a_repair_without_room_leaves_what_was_there(stick, site, monkeypatch):
    damage(stick, [1_000_000])
    other = stick.parent / "scratch/AZL-1/notes/mine.txt"
    other.parent.mkdir(parents=True)
    other.touch()
    (stick.parent / "scratch/AZL-1/own").mkdir()
    monkeypatch.setattr(repairing, "free_bytes", lambda folder: SIZE)
    with pytest.raises(StorageError, match="once more"):
        repair_medium(site.open(stick), stick.parent / "scratch")
    assert {path.name for path in other.parents[1].rglob("*")} == {"notes", "mine.txt", "own"}


def test_a_disk_that_is_full_in_the_middle_has_no_empty_folders(stick, site, monkeypatch):
    damage(stick, [1_000_000])

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(parity_module, "rescue", full)
    with pytest.raises(StorageError, match="full"):
        repair_medium(site.open(stick), stick.parent / "scratch")
    assert not (stick.parent / "scratch").exists()


def test_where_nothing_is_left_to_repair_nothing_is_written(stick, site, monkeypatch):
    damage(stick, [5])
    first = repair_medium(site.open(stick), stick.parent / "scratch")
    before = content(first.folder)
    with monkeypatch.context() as patch:
        patch.setattr(repairing, "write_durably", None)  # must not be needed
        assert repair_medium(site.open(stick), stick.parent / "scratch") == first
    (first.folder / "repaired.json").write_bytes(b"{}")
    with pytest.raises(InputError, match=r"repaired\.json"):
        site.open(stick, others=[stick.parent / "scratch"])
    repair_medium(site.open(stick), stick.parent / "scratch")
    assert copied(site.open(stick, others=[stick.parent / "scratch"]))
    assert content(first.folder) == before


@pytest.mark.parametrize("there", [(), ("scratch",), ("scratch/AZL-1/notes",)])
def test_a_repair_that_mends_nothing_leaves_nothing(stick, site, there):
    """Nor does it send anybody with a folder in which there is nothing."""
    damage(stick, [5])
    shutil.rmtree(stick / "AZL-1/parity")
    for name in there:
        (stick.parent / name).mkdir(parents=True)
    opened = site.open(stick)
    before = {*stick.parent.rglob("*")}
    repair = repair_medium(opened, stick.parent / "scratch")
    assert (len(repair.hopeless), repair.folder) == (1, None)
    assert {*stick.parent.rglob("*")} == before
    assert "naming the medium: ferry media request" in repair.problem().hint


def test_what_lies_in_scratch_is_what_is_noted_there(stick, site):
    """Also when it spoils there, and parity no longer makes it good."""
    damage(stick, [5])
    first = repair_medium(site.open(stick), stick.parent / "scratch")
    noted = first.folder / "repaired.json"
    assert json.loads(noted.read_bytes())["files"] == [f"data/payload/{NAME}"]
    flip(first.folder / "data/payload" / NAME, 8)
    shutil.rmtree(stick / "AZL-1/parity")
    assert repair_medium(site.open(stick), stick.parent / "scratch").hopeless
    assert json.loads(noted.read_bytes())["files"] == []


def test_what_was_repaired_of_each_medium_of_a_set_is_noted_once(tmp_path, publisher, site):
    names = (NAME, "SBE_Contoso.zip")
    held = [
        make_payload(
            tmp_path / "held", name=name, data=random.Random(name).randbytes(PAYLOAD_BYTES)
        )
        for name in names
    ]
    more = {"media": (HOLDS_ONE, HOLDS_ONE), "book": tmp_path / "book", "set_name": "AZL-2"}
    opened = []
    for stick in (tmp_path / "one", tmp_path / "two"):
        publisher.write(stick, *held, parity=Parity(tool=TOOL, percent=5), **more)
        (path,) = stick.rglob("*.zip")
        flip(path, 800)
        opened.append(site.open(stick))
    scratch = tmp_path / "scratch"
    for medium in opened:
        assert len(repair_medium(medium, scratch).repaired) == 1
    noted = scratch / "AZL-2/repaired.json"
    assert json.loads(noted.read_bytes())["files"] == [f"data/payload/{name}" for name in names]
    before = noted.stat().st_mtime_ns
    for medium in opened:
        repair_medium(medium, scratch)
    assert noted.stat().st_mtime_ns == before
