"""A medium on real file systems: write-protected, full, pulled out, in capitals, damaged by its copier."""

import errno
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.media.making import NOW, Publisher, SiteTrust, flip, make_payload
from toolkit.errors import DigestError, StorageError
from toolkit.media import BagFault, Verdict, audit_bag, erase_set, plan_erasure
from toolkit.media._device import CHUNK_BYTES
from toolkit.media._place import device_of
from toolkit.model import Silent

MIB = 1 << 20
ACCUSATIONS = ("tamper", "alter", "forge")


@pytest.fixture
def publisher(tmp_path):
    return Publisher(tmp_path / "keys")


@pytest.fixture
def site(tmp_path, publisher):
    return SiteTrust(tmp_path / "site").pin(publisher.root)


@pytest.fixture
def held(tmp_path):
    """Six chunks of bytes that do not repeat, and a tail that fills no sector."""
    data = b"".join(n.to_bytes(4, "little") for n in range(12 * CHUNK_BYTES // 4)) + b"tail"
    return make_payload(tmp_path / "catalog", data=data)


class Meddling(Silent):
    """Does something when a step begins, or after so many of its chunks."""

    def __init__(self, step, act, *, chunks=0):
        self.step, self.act, self.left = step, act, chunks
        self.is_on = False

    def begin(self, what, *, total_bytes):
        self.is_on = what.startswith(self.step)
        self.advance(0)

    def advance(self, count_bytes):
        if self.is_on and self.left == 0:
            self.is_on = False
            self.act()
        self.left -= self.is_on


def words(error):
    text = f"{error} / {error.hint}"
    assert not [word for word in ACCUSATIONS if word in text.lower()]
    return text


# --- where it is written ----------------------------------------------------------------------------


def test_a_read_only_mount_is_verified_and_left_as_it_is(mount, publisher, site, held):
    stick = mount("stick", "size=64m")
    publisher.write(stick, held)
    subprocess.run(["mount", "-o", "remount,ro", str(stick)], check=True)
    with pytest.raises(OSError, match="Read-only"):
        (stick / "x").touch()
    opened = site.open(stick)
    assert opened.verify().problem() is None
    sink = io.BytesIO()
    opened.copy_target(opened.targets()[0].name, sink)
    assert sink.getvalue() == held.path.read_bytes()
    assert audit_bag(stick).is_valid


def test_a_read_only_mount_is_not_written_to(mount, publisher, held):
    stick = mount("stick", "size=64m,ro")
    with pytest.raises(StorageError, match="write-protected") as caught:
        publisher.write(stick, held)
    assert "write lock" in caught.value.hint


def test_a_disk_full_in_the_middle_is_told_and_the_same_command_goes_on(
    mount, publisher, site, held
):
    """There was room when it began; then somebody else took it."""
    stick = mount("stick", "size=40m")

    def fill():
        (stick / "holiday.mov").write_bytes(bytes(16 * MIB))

    with pytest.raises(StorageError, match="full") as caught:
        publisher.write(stick, held, progress=Meddling("write", fill, chunks=2))
    assert "free space" in words(caught.value)
    assert not list(stick.rglob("*.zip"))
    assert not list(stick.rglob("complete.json"))
    (stick / "holiday.mov").unlink()
    publisher.write(stick, held)
    report = site.open(stick).verify()
    assert report.problem() is None
    assert report.is_tidy(strict=True)


@pytest.mark.parametrize("step", ["write Combined", "read back Combined"])
def test_a_stick_pulled_out_is_told_and_nothing_is_written_where_it_was(
    mount, publisher, held, step
):
    stick = mount("stick", "size=64m")

    def pull():
        subprocess.run(["umount", "-l", str(stick)], check=True)
        # what is mounted for the end of the test lies below a folder of its own
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "empty", str(stick)], check=True)

    with pytest.raises(StorageError) as caught:
        publisher.write(stick, held, progress=Meddling(step, pull))
    assert "plugged in" in words(caught.value)
    assert list(stick.iterdir()) == []


def test_a_device_gone_while_it_is_read_back_is_told(tmp_path, publisher, held, monkeypatch):
    """The kernel answers every read of it with ENODEV from one moment on."""
    honest, reads = os.fdopen, [0]

    class Gone:
        def __init__(self, file):
            self.file = file

        def readinto(self, buffer):
            reads[0] += 1
            if reads[0] > 2:
                raise OSError(errno.ENODEV, "No such device")
            return self.file.readinto(buffer)

        def __getattr__(self, name):
            return getattr(self.file, name)

    def fdopen(handle, mode="r", **more):
        file = honest(handle, mode, **more)
        return Gone(file) if mode == "rb" and more == {"buffering": 0} else file

    monkeypatch.setattr("toolkit.media._device.os.fdopen", fdopen)
    with pytest.raises(StorageError, match="gone") as caught:
        publisher.write(tmp_path / "stick", held)
    assert "plug it in again" in words(caught.value)
    monkeypatch.undo()
    assert publisher.write(tmp_path / "stick", held).verify().problem() is None


def test_a_fat_stick_carries_a_medium(fat, publisher, site, tmp_path, monkeypatch):
    # this driver calls every disk full, and loses what was written before something is appended
    monkeypatch.setattr("toolkit.media._write.free_bytes", lambda folder: 96 * MIB)
    publisher.write(fat, make_payload(tmp_path / "catalog", data=bytes(range(256)) * 4 * (4 << 10)))
    report = site.open(fat).verify()
    assert report.problem() is None
    assert report.is_tidy(strict=True)
    assert audit_bag(fat).is_valid


def test_a_trust_state_on_fat_needs_no_links(fat, publisher, tmp_path, held):
    """It is one file; only the copy that the client works on has a link."""
    publisher.write(tmp_path / "stick", held)
    site = SiteTrust(fat / "site").pin(publisher.root)
    assert site.open(tmp_path / "stick").warnings == ()
    assert site.open(tmp_path / "stick").warnings == ()


def test_a_temporary_folder_on_fat_is_explained(fat, publisher, site, tmp_path, held, monkeypatch):
    publisher.write(tmp_path / "stick", held)
    monkeypatch.setattr("tempfile.tempdir", str(fat))
    before = site.memory()
    with pytest.raises(StorageError, match="cannot hold links") as caught:
        site.open(tmp_path / "stick")
    assert str(fat) in words(caught.value)
    assert "TMPDIR" in caught.value.hint
    assert site.memory() == before


def test_each_mount_is_a_device_and_two_folders_on_one_are_not(mount):
    sticks = mount("stick", "size=64m"), mount("other", "size=64m")
    for stick in sticks:
        for name in ("one", "two"):
            (stick / name).mkdir()
    assert len({device_of(stick) for stick in sticks}) == 2
    assert {device_of(sticks[0] / name) for name in ("one", "two")} == {device_of(sticks[0])}


def test_a_set_is_erased_from_a_fat_stick(fat, publisher, tmp_path, monkeypatch):
    monkeypatch.setattr("toolkit.media._write.free_bytes", lambda folder: 96 * MIB)
    publisher.write(fat, make_payload(tmp_path / "catalog"))
    (fat / "holiday.jpg").write_bytes(b"x")
    erase_set(plan_erasure(fat), progress=Silent())
    assert [path.name for path in fat.iterdir()] == ["holiday.jpg"]


def test_a_fat_stick_is_written_by_one_at_a_time(fat, publisher, tmp_path, monkeypatch):
    held = make_payload(tmp_path / "catalog", data=bytes(CHUNK_BYTES))  # see above
    monkeypatch.setattr("toolkit.media._write.free_bytes", lambda folder: 96 * MIB)
    refusals = []

    def again():
        with pytest.raises(StorageError, match="another ferry is writing it") as caught:
            publisher.write(fat, held)
        refusals.append(caught.value)

    written = publisher.write(fat, held, set_name="AZL-1", progress=Meddling("write", again))
    assert len(refusals) == 1
    assert [path.name for path in fat.iterdir()] == ["AZL-1"]
    assert written.verify().problem() is None


def test_a_set_is_erased_from_a_stick_that_is_full(mount, publisher, site, held):
    """Nothing has to be put onto it for that, and no lock either."""
    stick = mount("stick", "size=40m")
    publisher.write(stick, held)
    with pytest.raises(OSError, match="space"):
        (stick / "holiday.mov").write_bytes(bytes(64 * MIB))
    erase_set(plan_erasure(stick), progress=Silent())
    assert [path.name for path in stick.iterdir()] == ["holiday.mov"]


def test_nothing_is_erased_from_a_read_only_mount(mount, publisher, site, held):
    stick = mount("stick", "size=64m")
    publisher.write(stick, held)
    subprocess.run(["mount", "-o", "remount,ro", str(stick)], check=True)
    with pytest.raises(StorageError, match="write-protected") as caught:
        erase_set(plan_erasure(stick), progress=Silent())
    assert "write lock" in caught.value.hint
    assert site.open(stick).verify().problem() is None


# --- what became of it ------------------------------------------------------------------------------


@pytest.fixture
def medium(tmp_path, publisher, held):
    publisher.write(tmp_path / "stick", held, set_name="AZL-1")
    return tmp_path / "stick" / "AZL-1"


@pytest.fixture
def payload(medium):
    return next((medium / "data/payload").iterdir())


@pytest.mark.parametrize("where", ["offset 0", "middle", "last partial block"])
def test_one_bit_flipped_at(site, medium, payload, where):
    size = payload.stat().st_size
    byte = {"offset 0": 0, "middle": size // 2, "last partial block": size - 1}[where]
    flip(payload, 8 * byte)
    opened = site.open(medium)
    problem = opened.verify().problem()
    assert isinstance(problem, DigestError)
    assert payload.name in words(problem)
    with pytest.raises(DigestError):
        opened.copy_target(opened.targets()[0].name, io.BytesIO())
    assert [item.path for item in audit_bag(medium).having(BagFault.DAMAGED)] == [
        f"data/payload/{payload.name}"
    ]


@pytest.mark.parametrize("left", [0, 1, 4096, 12 * CHUNK_BYTES])
def test_a_payload_truncated_to(site, medium, payload, left):
    """0 as exFAT leaves a file whose stick was pulled too early."""
    os.truncate(payload, left)
    with pytest.raises(StorageError, match="cut short") as caught:
        site.open(medium)
    words(caught.value)
    problem = site.open(medium, accept_incomplete=True).verify().problem()
    assert f"{left} bytes instead of" in words(problem)


def test_the_last_file_missing(site, medium):
    (medium / "complete.json").unlink()
    with pytest.raises(StorageError, match=r"complete\.json") as caught:
        site.open(medium)
    words(caught.value)


def test_a_stray_file_of_windows(site, medium):
    for folder in (medium, medium / "data", medium / "data/payload", medium / "tuf"):
        (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    report = site.open(medium).verify()
    assert report.problem() is None
    assert report.is_tidy()
    assert len(report.having(Verdict.LITTER)) == 4


def test_manifests_with_carriage_returns_are_read_but_are_not_the_written_bytes(site, medium):
    """As a copier leaves them that takes them for text."""
    for name in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        data = (medium / name).read_bytes()
        (medium / name).write_bytes(data.replace(b"\n", b"\r\n"))
    report = site.open(medium).verify()
    assert [file.path for file in report.having(Verdict.DAMAGED)] == ["manifest-sha256.txt"]
    assert "differs from the tag manifest" in words(report.problem())
    assert [item.path for item in audit_bag(medium).findings] == ["manifest-sha256.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="case does not matter there")
def test_an_upper_cased_payload_is_missing_and_is_named(site, medium, payload):
    payload.rename(payload.with_name(payload.name.upper()))
    report = site.open(medium, accept_incomplete=True).verify()
    (foreign,) = report.having(Verdict.FOREIGN)
    assert foreign.detail == f"data/payload/{payload.name} in another case"
    assert isinstance(report.problem(), StorageError)
    words(report.problem())


@pytest.mark.skipif(sys.platform == "win32", reason="case does not matter there")
def test_a_copy_in_capitals_is_no_set_and_nobody_is_accused(site, medium, tmp_path):
    for path in sorted(medium.rglob("*"), reverse=True):
        path.rename(path.with_name(path.name.upper()))
    with pytest.raises(StorageError) as caught:
        site.open(medium)
    assert "bagit.txt" in words(caught.value)


def test_a_copy_on_another_file_system_is_as_good(mount, site, medium):
    copy = Path(shutil.copytree(medium, mount("other", "size=64m") / medium.name))
    assert site.open(copy, now=NOW).verify().problem() is None
