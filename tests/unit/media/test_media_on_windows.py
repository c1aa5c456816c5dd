"""The same rules on a Windows file system: drive letters, case folding, device names, full disks."""

import contextlib
import errno
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import OSType
from pyfakefs.helpers import get_uid, set_uid

from tests.unit.media.making import NOW, Publisher, SiteTrust, days, flip, make_payload
from toolkit.errors import DigestError, InputError, RollbackError, StorageError
from toolkit.media import BagFault, Verdict, _leaflet, audit_bag, describe_medium

for name in ("start.txt", "start.html", "verify.ps1", "verify.sh"):
    _leaflet._template(name)  # kept by its cache: the package's own files are not on the fake disk

STICK_BYTES = 8 << 20


@contextlib.contextmanager
def plain_user():
    """Without administrator rights, to whom the fake disk would give way."""
    before = get_uid()
    set_uid(1000)
    try:
        yield
    finally:
        set_uid(before)


@pytest.fixture
def windows(fs):
    """A Windows machine with a system disk C: and a stick E: of 8 MiB."""
    fs.os = OSType.WINDOWS
    fs.create_dir("C:\\ferry")
    fs.add_mount_point("E:", total_size=STICK_BYTES)
    return fs


@pytest.fixture
def publisher(windows):
    return Publisher(Path("C:\\ferry\\keys"))


@pytest.fixture
def held(windows):
    return make_payload(Path("C:\\ferry\\catalog"))


@pytest.fixture
def site(publisher):
    return SiteTrust(Path("C:\\ferry\\site\\trust")).pin(publisher.root)


@pytest.fixture
def stick(publisher, held):
    """A finished medium in drive E:."""
    publisher.write(Path("E:\\"), held, set_name="AZL-2603-TEST")
    return Path("E:\\")


def test_a_medium_is_written_to_and_read_from_a_drive_letter(site, stick):
    report = site.open(stick).verify()
    assert report.problem() is None
    assert report.is_tidy(strict=True)


def test_manifests_use_forward_slashes_on_windows_too(stick):
    manifest = (stick / "AZL-2603-TEST" / "manifest-sha256.txt").read_bytes()
    assert b"  data/payload/CombinedSolutionBundle.12.2603.1002.15.zip\n" in manifest
    assert b"\\" not in manifest
    assert b"\r" not in manifest


def test_an_upper_cased_copy_is_still_found(site, stick):
    """FAT tools and old archivers change case; Windows does not care and neither do we there."""
    folder = stick / "AZL-2603-TEST"
    payload = next((folder / "data" / "payload").iterdir())
    payload.rename(payload.with_name(payload.name.upper()))
    report = site.open(stick).verify()
    assert report.having(Verdict.MISSING) == ()
    assert report.problem() is None


def test_an_upper_cased_copy_is_a_valid_bag(stick):
    folder = stick / "AZL-2603-TEST"
    payload = next((folder / "data" / "payload").iterdir())
    payload.rename(payload.with_name(payload.name.upper()))
    report = audit_bag(stick)
    assert report.is_valid
    assert report.findings == ()


def test_a_bag_with_a_name_that_windows_would_change_is_not_opened_by_it(stick):
    """Only what was seen in the folders is opened, under the name it was seen with."""
    manifest = stick / "AZL-2603-TEST" / "manifest-sha256.txt"
    (stick / "x").write_bytes(b"outside")
    with manifest.open("ab") as out:
        out.write(b"0" * 64 + b"  data/payload\\..\\..\\x\n" + b"0" * 64 + b"  data/NUL\n")
    missing = [item.path for item in audit_bag(stick).having(BagFault.MISSING)]
    assert missing == ["data/NUL", "data/payload\\..\\..\\x"]


def test_device_names_are_refused_before_anything_is_written(publisher, windows):
    held = make_payload(Path("C:\\ferry\\catalog"), data=b"x")
    with pytest.raises(InputError, match="device on Windows"):
        publisher.write(Path("E:\\"), replace(held, name="NUL.zip"))
    assert list(Path("E:\\").iterdir()) == []


def test_two_names_that_differ_in_case_are_refused(publisher, held):
    twin = replace(held, name=held.name.upper())
    with pytest.raises(InputError, match="same name"):
        publisher.write(Path("E:\\"), held, twin)


def test_a_drive_that_is_not_there_is_a_storage_error(publisher, held):
    with pytest.raises(StorageError):
        publisher.write(Path("Q:\\sticks"), held)


def test_a_stick_too_small_is_refused_before_the_first_byte(publisher, windows):
    big = make_payload(Path("C:\\ferry\\catalog"), data=bytes(STICK_BYTES))
    with pytest.raises(StorageError, match="bytes free"):
        publisher.write(Path("E:\\"), big)
    assert [path.name for path in Path("E:\\").rglob("*") if path.is_file()] == ["writing.json"]


def test_a_stick_that_fills_up_in_the_middle_leaves_no_half_payload(publisher, windows, held):
    """Its room was taken by somebody else after the check."""
    big = make_payload(
        Path("C:\\ferry\\catalog"), name="Bundle.zip", data=b"y" * (STICK_BYTES * 3 // 4)
    )
    windows.create_file("E:\\other.bin", contents=b"z" * 1000)

    class Greedy:
        def begin(self, what, *, total_bytes):
            windows.create_file("E:\\greedy.bin", st_size=STICK_BYTES // 2)

        def advance(self, count_bytes): ...
        def end(self): ...
        def say(self, message): ...

    with pytest.raises(StorageError, match="full"):
        publisher.write(Path("E:\\"), big, progress=Greedy())
    assert not list(Path("E:\\").rglob("Bundle.zip"))
    Path("E:\\greedy.bin").unlink()
    assert publisher.write(Path("E:\\"), big).verify().problem() is None


def test_a_write_protected_stick_is_a_storage_error(publisher, windows, held, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "The media is write protected")  # winerror 19 → EACCES

    monkeypatch.setattr(windows, "makedir", refuse)
    with pytest.raises(StorageError, match="not writable"):
        publisher.write(Path("E:\\"), held)


def test_a_write_protected_stick_can_be_verified(site, stick, windows):
    for path in [stick, *stick.rglob("*")]:
        windows.chmod(str(path), 0o555, force_unix_mode=True)
    with plain_user():
        assert site.open(stick).verify().problem() is None


def test_a_rolled_back_stick_is_refused(publisher, site, stick, held):
    newer = make_payload(Path("C:\\ferry\\catalog"), data=b"as corrected by the vendor")
    Path("C:\\ferry\\later").mkdir()
    publisher.write(Path("C:\\ferry\\later"), newer, now=NOW + days(1))
    site.open(Path("C:\\ferry\\later"), now=NOW + days(1))
    with pytest.raises(RollbackError):
        site.open(stick, now=NOW + days(1))


def test_a_damaged_payload_is_refused(site, stick):
    flip(next((stick / "AZL-2603-TEST" / "data" / "payload").iterdir()), 9)
    assert isinstance(site.open(stick).verify().problem(), DigestError)


def test_the_recycle_bin_of_the_stick_is_litter(site, stick):
    (stick / "AZL-2603-TEST" / "$RECYCLE.BIN").mkdir()
    (stick / "AZL-2603-TEST" / "$RECYCLE.BIN" / "desktop.ini").write_bytes(b"x")
    report = site.open(stick).verify()
    assert report.is_tidy()
    assert not report.is_tidy(strict=True)


def test_the_label_can_be_shown(stick, held):
    label = describe_medium(stick)
    digest = hashlib.sha256(held.path.read_bytes()).hexdigest()
    assert label.payloads == ((held.name, held.size_bytes, digest),)
