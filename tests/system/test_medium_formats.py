"""A medium on the file systems of real sticks: exFAT, NTFS and FAT32, with what systems leave on them."""

import hashlib
import io
import json
import os
import random
from dataclasses import replace

import pytest

from tests.disks import mounted_disk
from tests.unit.media.making import NOW, Publisher, SiteTrust, make_payload
from toolkit.filesystem import largest_file_bytes
from toolkit.media import Verdict, audit_bag
from toolkit.media import _write as writing
from toolkit.media._device import BLOCK_BYTES, CHUNK_BYTES

MIB = 1 << 20
KINDS = ("exfat", "ntfs", "fat")
LITTER = (
    # Windows
    "System Volume Information/IndexerVolumeGuid",
    "System Volume Information/WPSettings.dat",
    "$RECYCLE.BIN/desktop.ini",
    # macOS
    ".Spotlight-V100/VolumeConfiguration.plist",
    ".fseventsd/fseventsd-uuid",
    ".Trashes/501",
    "._.Trashes",
    ".DS_Store",
    # Linux
    ".Trash-1000/info/holiday.trashinfo",
)
INSIDE = ("Thumbs.db", "desktop.ini", ".DS_Store", "._bagit.txt", "data/payload/Thumbs.db")


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    return Publisher(tmp_path_factory.mktemp("publisher") / "keys")


@pytest.fixture
def site(tmp_path, publisher):
    return SiteTrust(tmp_path / "site").pin(publisher.root)


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """Return a factory of mounted disks; a second call plugs the same one in again."""

    def plug_in(kind, size_mib=96):
        if kind == "fat":  # this driver calls every disk full
            monkeypatch.setattr(writing, "free_bytes", lambda folder: size_mib * MIB)
        return mounted_disk(kind, tmp_path, size_mib=size_mib)

    return plug_in


def payload(tmp_path, size_bytes, name=""):
    data = random.Random(5).randbytes(size_bytes)
    return make_payload(tmp_path / "catalog", name=name, data=data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_medium_is_written_pulled_and_proven(plug_in, publisher, site, tmp_path, kind):
    # FAT's driver loses what was written before something is appended, so nothing is: whole chunks
    held = payload(tmp_path, 3 * CHUNK_BYTES + (0 if kind == "fat" else 1001))
    with plug_in(kind) as disk:
        publisher.write(disk.folder, held)
    with plug_in(kind) as disk:
        opened = site.open(disk.folder, now=NOW)
        report = opened.verify()
        assert report.problem() is None
        assert report.is_tidy(strict=True)
        assert report.read_method in {"O_DIRECT", "posix_fadvise"}
        assert audit_bag(disk.folder).is_valid
        sink = io.BytesIO()
        opened.copy_target(opened.targets()[0].name, sink)
        assert hashlib.sha256(sink.getvalue()).hexdigest() == held.sha256


@pytest.mark.parametrize("kind", KINDS)
def test_what_systems_leave_is_litter_and_never_damage(plug_in, publisher, site, tmp_path, kind):
    held = payload(tmp_path, CHUNK_BYTES)
    with plug_in(kind) as disk:
        for name in LITTER:
            leave(disk.folder / name)
        folder = publisher.write(disk.folder, held).folder
        for name in INSIDE:
            leave(folder / name)
        report = site.open(disk.folder, now=NOW).verify()
        assert report.problem() is None
        assert report.is_tidy()
        assert {file.path for file in report.having(Verdict.LITTER)} == set(INSIDE)
        assert not report.is_tidy(strict=True)
        # the same command finds the set among it, and nothing is written
        assert publisher.write(disk.folder, held).folder == folder


def leave(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"left by a system")


def test_a_payload_larger_than_fat_holds_is_cut_where_the_disk_is_seen_to_be_fat(
    plug_in, publisher, site, tmp_path, monkeypatch
):
    """Where FAT's limit is real it takes a disk of 5 GiB; here it is one block, and one byte, as FAT's is."""
    held = payload(tmp_path, BLOCK_BYTES + 2 * CHUNK_BYTES)
    with plug_in("fat", size_mib=160) as disk:
        assert largest_file_bytes(disk.folder) == (4 << 30) - 1
        monkeypatch.setattr(writing, "largest_file_bytes", lambda folder: held.size_bytes - 1)
        publisher.write(disk.folder, held, book=tmp_path / "book")
    with plug_in("fat") as disk:
        assert [path.stat().st_size for path in sorted(disk.folder.rglob("*.seg"))] == [
            BLOCK_BYTES,
            2 * CHUNK_BYTES,
        ]
        opened = site.open(disk.folder, now=NOW)
        assert opened.verify().problem() is None
        sink = io.BytesIO()
        opened.copy_target(opened.targets()[0].name, sink)
        assert hashlib.sha256(sink.getvalue()).hexdigest() == held.sha256


class StoppedError(Exception):
    """Before the first byte of a payload is written."""


@pytest.mark.parametrize(
    ("size_bytes", "pieces"),
    [((4 << 30) - 1, None), (4 << 30, [63 * BLOCK_BYTES, BLOCK_BYTES])],
    ids=["4 GiB - 1", "4 GiB"],
)
def test_a_file_as_large_as_fat_holds_stays_whole_and_a_byte_more_is_cut(
    plug_in, publisher, tmp_path, size_bytes, pieces
):
    """The file is a hole of that length in the catalog; the writing ends when its layout is known."""
    held = payload(tmp_path, 1)
    os.truncate(held.path, 0)
    os.truncate(held.path, size_bytes)
    held = replace(held, size_bytes=size_bytes, sha256=sha256_of_zeros(size_bytes))

    def stop(carried):
        assert list(carried) == [held]
        raise StoppedError

    book = tmp_path / "home" / "sets"
    with plug_in("fat", size_mib=5 << 10) as disk, pytest.raises(StoppedError):
        publisher.write(disk.folder, held, book=book, before_write=stop)
    plans = [json.loads(path.read_bytes()) for path in book.glob("*/set.json")]
    cut = [[piece["size_bytes"] for piece in plan["files"][0]["pieces"]] for plan in plans]
    assert cut == ([] if pieces is None else [pieces])


def sha256_of_zeros(size_bytes):
    digest, zeros = hashlib.sha256(), bytes(MIB)
    for _ in range(size_bytes // MIB):
        digest.update(zeros)
    digest.update(bytes(size_bytes % MIB))
    return digest.hexdigest()


@pytest.mark.parametrize("kind", ["exfat", "ntfs"])
def test_no_limit_of_fat_is_seen_where_there_is_none(plug_in, kind):
    with plug_in(kind) as disk:
        assert largest_file_bytes(disk.folder) is None
