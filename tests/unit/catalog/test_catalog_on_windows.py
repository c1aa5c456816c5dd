"""The catalog on a Windows disk, imitated: drive letters, names that ignore case, full and locked disks."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import OSType
from pyfakefs.fake_filesystem_unittest import Patcher

from tests.unit.catalog.fakes import FakeSite, manifest_of, payload_of, zip_of
from toolkit.catalog import Catalog
from toolkit.catalog._held import select
from toolkit.catalog._shelf import Shelf
from toolkit.catalog._store import Store
from toolkit.errors import DigestError, DownloadError, StorageError
from toolkit.model import Silent
from toolkit.names import payload_name

DATA = zip_of(280_000)
PAYLOAD = payload_of(DATA)
MANIFEST = manifest_of(PAYLOAD)
ROOT = "D:\\catalog"
OBJECT = f"{ROOT}\\objects\\{PAYLOAD.sha256[:2]}\\{PAYLOAD.sha256}"
FINAL = f"{ROOT}\\12.2604.1003.9\\{PAYLOAD.name}"


@pytest.fixture
def _without_posix(monkeypatch):
    monkeypatch.delattr(os, "O_DIRECTORY", raising=False)


@pytest.fixture
def disk(_without_posix, fs):
    """A machine with C: and D:; what only POSIX has is taken away before the disk is imitated."""
    fs.os = OSType.WINDOWS
    fs.add_mount_point("D:", total_size=10_000_000)
    return fs


@pytest.fixture
def site():
    return FakeSite({PAYLOAD.url: DATA})


def catalog(site, root=ROOT):
    return Catalog(Path(root), fetcher=site, sleep=lambda _: None)


def test_a_download_lands_on_the_drive_it_was_sent_to(disk, site):
    (held,) = catalog(site).download(MANIFEST)
    assert str(held.path) == OBJECT
    assert disk.get_object(OBJECT).byte_contents == DATA
    assert disk.get_object(FINAL).byte_contents == DATA


def test_names_ignore_case(disk, site):
    catalog(site).download(MANIFEST)
    site.files.clear()
    (held,) = catalog(site, "d:\\CATALOG").download(MANIFEST)
    assert held.path.read_bytes() == DATA


def test_a_new_download_replaces_what_a_rename_finds_in_its_way(disk, site):
    catalog(site).download(MANIFEST)
    Path(FINAL).unlink()
    Path(OBJECT).chmod(0o600)
    Path(OBJECT).unlink()
    disk.create_file(FINAL + ".held.json.tmp", contents="half")
    (held,) = catalog(site).download(MANIFEST)
    assert catalog(site).held() == (held,)


def test_a_resumed_download_goes_on_on_windows_too(disk, site):
    site.cuts = [1000] * 6
    with pytest.raises(DownloadError):
        catalog(site).download(MANIFEST)
    before = site.bytes_served
    catalog(site).download(MANIFEST)
    assert site.bytes_served == len(DATA)
    assert before == 6000


def test_a_disk_too_small_is_a_storage_error_before_a_byte_is_fetched(disk, site):
    disk.add_mount_point("E:", total_size=100_000)
    with pytest.raises(StorageError, match="bytes free") as caught:
        catalog(site, "E:\\catalog").download(MANIFEST)
    assert caught.value.exit_code == 6
    assert site.bytes_served == 0


def test_a_disk_that_fills_up_keeps_the_part_and_no_final_name(disk, site):
    disk.add_mount_point("E:", total_size=1_000_000)
    site.on_read = lambda: disk.set_disk_usage(200_000, "E:")  # somebody else fills it meanwhile
    with pytest.raises(StorageError, match="No space left") as caught:
        catalog(site, "E:\\catalog").download(MANIFEST)
    folder = Path("E:\\catalog\\12.2604.1003.9")
    assert "same command" in caught.value.hint
    assert not (folder / PAYLOAD.name).exists()
    kept = (folder / (PAYLOAD.name + ".part")).read_bytes()
    assert kept == DATA[: len(kept)]
    assert kept


def test_after_space_was_freed_the_same_command_goes_on(disk, site):
    disk.add_mount_point("E:", total_size=200_000)
    disk.create_file("E:\\other.bin", st_size=20_000)
    with pytest.raises(StorageError):
        catalog(site, "E:\\catalog").download(MANIFEST)
    disk.set_disk_usage(1_000_000, "E:")
    (held,) = catalog(site, "E:\\catalog").download(MANIFEST)
    assert held.path.read_bytes() == DATA


@pytest.mark.usefixtures("_without_posix")
def test_a_write_protected_part_is_a_storage_error(site):
    with Patcher(allow_root_user=False) as patcher:
        assert patcher.fs is not None
        patcher.fs.os = OSType.WINDOWS
        patcher.fs.create_file(FINAL + ".part", contents="half", st_mode=0o100444)
        with pytest.raises(StorageError, match=r"ermission") as caught:
            catalog(site).download(MANIFEST)
    assert "write-protected" in caught.value.hint
    assert site.bytes_served == 0


def test_a_folder_in_the_way_is_a_storage_error(disk, site):
    disk.create_dir(FINAL + ".part")
    with pytest.raises(StorageError):
        catalog(site).download(MANIFEST)


def test_a_wrong_file_is_quarantined_under_a_windows_name(disk, site):
    site.files[PAYLOAD.url] = b"wrong"
    with pytest.raises(DigestError):
        catalog(site).download(MANIFEST)
    names = [path.name for path in Path(ROOT, "quarantine").iterdir()]
    assert len(names) == 2
    assert not any(set(name) & set('<>:"/\\|?*') for name in names)
    assert not Path(FINAL).exists()


@pytest.mark.parametrize("name", ["aux.zip", "Nul", "CON.held", "LPT9.xml", "com0", "conout$"])
def test_device_names_are_refused(name):
    with pytest.raises(ValueError, match=r"device|plain"):
        payload_name(name)


def test_the_longest_name_fits_a_windows_path_with_everything_added():
    root = "C:\\Users\\somebody\\catalog"
    name = payload_name("a" * 116 + ".zip")
    shelf = Shelf.parse("sbe/" + "A" * 8 + "_" + "B" * 57 + "_4.2.2506.1600")
    assert len(f"{root}\\{shelf}\\{name}.held.json.tmp") < 260


# --- upkeep ----------------------------------------------------------------------------------------


def test_a_bad_file_is_set_aside_and_fetched_anew(disk, site):
    (held,) = catalog(site).download(MANIFEST)
    held.path.chmod(0o644)
    held.path.write_bytes(DATA[:-9] + b"x" + DATA[-8:])
    held.path.chmod(0o444)
    catalog(site).verify(quarantine=True, progress=Silent())
    (again,) = catalog(site).download(MANIFEST)
    assert again.path.read_bytes() == DATA


def test_read_only_files_are_pruned_too(disk, site):
    catalog(site).download(MANIFEST)
    done = catalog(site).prune(
        versions=["12.2604.1003.9"], older_than=timedelta(0), progress=Silent()
    )
    assert [str(item.path) for item in done.removed] == [OBJECT]
    assert not Path(OBJECT).exists()
    assert catalog(site).held() == ()


def test_an_export_goes_to_another_drive_and_is_a_catalog_there(disk, site):
    catalog(site).download(MANIFEST)
    disk.add_mount_point("E:", total_size=10_000_000)
    catalog(site).export(Path("E:\\for-anna"), progress=Silent())
    (held,) = catalog(site, "E:\\for-anna").held()
    assert str(held.path).startswith("E:\\for-anna\\objects\\")
    assert held.path.read_bytes() == DATA


def test_names_of_shelves_and_files_ignore_case(disk, site):
    catalog(site).download(MANIFEST)
    (record,) = select(Store(Path(ROOT)), [f"12.2604.1003.9\\{PAYLOAD.name.upper()}"])
    assert record.held.name == PAYLOAD.name
