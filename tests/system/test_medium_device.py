"""What the device says counts, not what memory says: damage below the file system, bad blocks, a pulled stick."""

import hashlib
import io
import os
import random
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from tests.badblocks import mounted_stick
from tests.disks import mounted_disk, place_in_image
from tests.stage import Stage
from tests.system.conftest import content
from tests.system.test_medium_mounts import Meddling, words
from tests.unit.media.making import Publisher, SiteTrust, make_payload
from toolkit.errors import DigestError, StorageError
from toolkit.media import Parity, audit_bag, fingerprint
from toolkit.media._device import CHUNK_BYTES
from toolkit.media._parity import rescue
from toolkit.model import Silent

NOW = datetime.now(UTC)
"""The command has no other."""
PAR2 = shutil.which("par2")
DATA = random.Random(11).randbytes(5 * CHUNK_BYTES + 1234)
MIDDLE = 2 * CHUNK_BYTES + CHUNK_BYTES // 3
SECTOR = 4096


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("publisher")
    return Publisher(
        folder / "keys", made_at=NOW - timedelta(days=1), expires_at=NOW + timedelta(days=700)
    )


@pytest.fixture
def site(tmp_path, publisher):
    return SiteTrust(tmp_path / "site").pin(publisher.root)


@pytest.fixture
def held(tmp_path):
    return make_payload(tmp_path / "catalog", data=DATA)


@pytest.fixture
def ferry(tmp_path, publisher):
    """Run the real command, with the publisher's root to believe."""
    stage = Stage(tmp_path / "s")
    (stage / "1.root.json").write_bytes(publisher.root)
    trust = ("--root", "1.root.json", "--fingerprint", fingerprint(publisher.root))

    def ferry(noun, verb, *more, expect):
        return stage.ferry(noun, verb, *map(str, more), *trust, expect=expect)

    return ferry


def payload_on(stick):
    (path,) = stick.rglob("*.zip")
    return path


def copied(medium):
    sink = io.BytesIO()
    medium.copy_target(medium.targets()[0].name, sink)
    return sink.getvalue()


# --- damage below the file system, while memory still has the bytes -----------------------------------


@pytest.fixture(params=["ext4", "fuse"])
def disk(request, tmp_path):
    """A file system whose bytes can be changed behind its back."""
    if request.param == "ext4":
        with mounted_disk("ext4", tmp_path, size_mib=96) as made:
            yield made
    else:
        with mounted_stick(tmp_path) as made:
            yield made


def spoil(disk):
    """Change a byte of the payload on the device; memory does not notice."""
    path = payload_on(disk.folder)
    assert path.read_bytes() == DATA
    disk.flip(path, MIDDLE)
    assert path.read_bytes() == DATA


def test_the_place_of_a_byte_in_an_image_is_where_its_bytes_lie(tmp_path):
    with mounted_disk("ext4", tmp_path, size_mib=96) as made:
        path = made.folder / "some"
        path.write_bytes(DATA)
        place = place_in_image(path, MIDDLE)
        with made.image.open("rb") as image:
            image.seek(place)
            assert image.read(100) == DATA[MIDDLE : MIDDLE + 100]


def test_reading_back_asks_the_device_and_not_memory(disk, publisher, site, held):
    with pytest.raises(StorageError, match="other bytes than were written") as caught:
        publisher.write(
            disk.folder,
            held,
            now=NOW,
            progress=Meddling("read back Combined", lambda: spoil(disk)),
        )
    assert "cannot be relied on" in words(caught.value)
    assert payload_on(disk.folder).read_bytes() == DATA  # whoever asks memory is still told so
    with pytest.raises(StorageError, match="not complete"):
        site.open(disk.folder, now=NOW)
    publisher.write(disk.folder, held, now=NOW)  # the same command writes it again
    assert site.open(disk.folder, now=NOW).verify().problem() is None


def test_verification_asks_the_device_and_not_memory(disk, publisher, held, ferry):
    publisher.write(disk.folder, held, now=NOW)
    spoil(disk)
    result = ferry("media", "verify", disk.folder, expect=3)
    assert f"block 0 (bytes 0 to {len(DATA) - 1}) differs" in result.err
    assert "read with O_DIRECT" in result.out
    assert payload_on(disk.folder).read_bytes() == DATA


def test_import_asks_the_device_and_not_memory(disk, publisher, site, held):
    publisher.write(disk.folder, held, now=NOW)
    opened = site.open(disk.folder, now=NOW)
    spoil(disk)
    with pytest.raises(DigestError, match="block 0 "):
        copied(opened)
    assert payload_on(disk.folder).read_bytes() == DATA


def test_without_direct_reads_memory_is_emptied_before(disk, publisher, site, held, monkeypatch):
    publisher.write(disk.folder, held, now=NOW)
    spoil(disk)
    monkeypatch.delattr(os, "O_DIRECT")
    report = site.open(disk.folder, now=NOW).verify()
    assert report.read_method == "posix_fadvise"
    assert isinstance(report.problem(), DigestError)


# --- bad blocks ---------------------------------------------------------------------------------------


@pytest.fixture
def stick(tmp_path):
    with mounted_stick(tmp_path) as made:
        yield made


@pytest.fixture
def with_parity(stick, publisher, held):
    """A medium with parity, and its payload, of which nothing is in memory."""
    if PAR2 is None:
        pytest.skip("the program par2 is not installed")
    publisher.write(stick.folder, held, now=NOW, parity=Parity(tool=PAR2, percent=5))
    path = payload_on(stick.folder)
    forget(path)
    return path


def forget(path):
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


BAD = ((0, 1), (MIDDLE, 1), (len(DATA) - 1, 1))
"""In the first sector, in the middle, and in the last one, which is not whole."""


def test_a_bad_block_is_named_repaired_and_what_is_imported_is_right(
    stick, with_parity, site, ferry, tmp_path
):
    stick.fail(with_parity, *BAD)
    with pytest.raises(OSError, match="Input/output error"):
        with_parity.read_bytes()
    seen = ferry("media", "verify", stick.folder, expect=6)
    assert f"unreadable  data/payload/{with_parity.name}" in seen.out
    assert "parity is on the medium" in seen.err
    before = content(stick.below)
    repaired = ferry("media", "repair", stick.folder, "--scratch", tmp_path / "scratch", expect=0)
    assert "1 repaired" in repaired.out
    assert content(stick.below) == before
    both = site.open(stick.folder, others=[tmp_path / "scratch"], now=NOW)
    assert hashlib.sha256(copied(both)).digest() == hashlib.sha256(DATA).digest()
    with pytest.raises(StorageError, match="Input/output error"):
        copied(site.open(stick.folder, now=NOW))


def test_only_the_sectors_that_cannot_be_read_are_lost(stick, with_parity, tmp_path):
    """A read of many sectors ends before the bad one; what comes after it must be asked for again."""
    stick.fail(with_parity, *BAD)
    copy = tmp_path / "copy"
    lost = rescue(with_parity, copy, size_bytes=len(DATA), progress=Silent())
    expected = bytearray(DATA)
    for first, _ in BAD:
        start = first // SECTOR * SECTOR
        end = min(start + SECTOR, len(DATA))
        expected[start:end] = bytes(end - start)
    assert copy.read_bytes() == expected
    assert lost == 2 * SECTOR + len(DATA) % SECTOR


def test_bad_blocks_are_repaired_from_a_write_protected_stick(
    stick, with_parity, site, ferry, tmp_path
):
    before = content(stick.below)
    with mounted_stick(tmp_path / "again", "ro", below=stick.below) as locked:
        path = payload_on(locked.folder)
        with pytest.raises(OSError, match="Read-only"):
            path.touch()
        assert audit_bag(locked.folder).is_valid
        forget(path)
        locked.fail(path, *BAD)
        seen = ferry("media", "verify", locked.folder, expect=6)
        assert "parity is on the medium" in seen.err
        ferry("media", "repair", locked.folder, "--scratch", tmp_path / "scratch", expect=0)
        assert copied(site.open(locked.folder, others=[tmp_path / "scratch"], now=NOW)) == DATA
    assert content(stick.below) == before


def test_more_bad_blocks_than_parity_are_a_second_trip(stick, with_parity, ferry, tmp_path):
    stick.fail(with_parity, (0, len(DATA) // 2))
    seen = ferry("media", "repair", stick.folder, "--scratch", tmp_path / "scratch", expect=3)
    assert "have it written anew" in seen.err
    assert not list((tmp_path / "scratch").rglob("*.zip"))


def test_a_bad_block_found_while_reading_back_is_told_and_another_place_is_taken(
    stick, publisher, site, held
):
    def wear():
        path = payload_on(stick.folder)
        forget(path)
        stick.fail(path, (MIDDLE, 1))

    with pytest.raises(StorageError, match="failing") as caught:
        publisher.write(stick.folder, held, now=NOW, progress=Meddling("read back Combined", wear))
    assert "another medium" in words(caught.value)
    assert not list(stick.folder.rglob("complete.json"))
    stick.come_back()
    publisher.write(stick.folder, held, now=NOW)
    assert site.open(stick.folder, now=NOW).verify().problem() is None


# --- a stick that is gone -----------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["write Combined", "read back Combined"])
def test_a_stick_that_is_gone_is_told_and_the_same_command_goes_on(
    stick, publisher, site, held, step
):
    with pytest.raises(StorageError, match="gone") as caught:
        publisher.write(stick.folder, held, now=NOW, progress=Meddling(step, stick.go, chunks=1))
    assert "plug it in again" in words(caught.value)
    assert not list(stick.below.rglob("complete.json"))
    stick.come_back()
    publisher.write(stick.folder, held, now=NOW)
    report = site.open(stick.folder, now=NOW).verify()
    assert report.problem() is None
    assert report.is_tidy(strict=True)


def test_a_driver_that_ends_while_it_is_read_back_is_a_stick_that_is_gone(stick, publisher, held):
    """exFAT and NTFS are programs on Linux; they end when their device does."""
    with pytest.raises(StorageError, match="gone") as caught:
        publisher.write(
            stick.folder,
            held,
            now=NOW,
            progress=Meddling("read back Combined", stick.die, chunks=1),
        )
    assert "plug it in again" in words(caught.value)


def test_a_stick_that_goes_while_it_is_verified_is_no_proof(stick, publisher, site, held):
    publisher.write(stick.folder, held, now=NOW)
    opened = site.open(stick.folder, now=NOW)
    with pytest.raises(StorageError, match="gone") as caught:
        opened.verify(Meddling("verify", stick.go, chunks=1))
    assert "plug it in again" in words(caught.value)


def test_a_stick_that_is_gone_when_it_is_imported_is_told(stick, publisher, site, held):
    publisher.write(stick.folder, held, now=NOW)
    opened = site.open(stick.folder, now=NOW)
    stick.go()
    with pytest.raises(StorageError, match="gone"):
        copied(opened)
    with pytest.raises(StorageError, match="gone"):
        site.open(stick.folder, now=NOW)
