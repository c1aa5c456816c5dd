import random
import shutil

import pytest

from tests.unit.media.making import flip, make_payload
from tests.unit.media.test_several import Heard
from tests.unit.media.test_spread import TWO
from toolkit.errors import DigestError, InputError, StorageError
from toolkit.media import _device as device
from toolkit.media import _extract as extracting
from toolkit.media import _place as placing
from toolkit.media import extract_payloads, site_recipient
from toolkit.media._device import BLOCK_BYTES

BUNDLE = "CombinedSolutionBundle.12.2603.1002.15.zip"
SBE = "SBE_Contoso_Model1_4.2.2603.1.zip"


@pytest.fixture
def opened(site, medium):
    return site.open(medium)


def test_the_vendors_files_get_their_names(opened, folder, tmp_path):
    files = extract_payloads(opened, tmp_path / "out")
    assert files == (tmp_path / "out" / BUNDLE, tmp_path / "out" / SBE)
    for path in files:
        assert path.read_bytes() == (folder / "data/payload" / path.name).read_bytes()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {BUNDLE, SBE}


def test_what_is_there_already_is_kept(opened, tmp_path):
    (first, second) = extract_payloads(opened, tmp_path / "out")
    second.unlink()
    before = first.stat()
    assert extract_payloads(opened, tmp_path / "out") == (first, second)
    assert first.stat().st_mtime_ns == before.st_mtime_ns
    assert second.exists()


def test_another_file_of_that_name_is_not_overwritten(opened, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / SBE).write_bytes(b"mine")
    with pytest.raises(StorageError, match="another file at"):
        extract_payloads(opened, tmp_path / "out")
    assert (tmp_path / "out" / SBE).read_bytes() == b"mine"


def test_damage_leaves_nothing_under_any_name(opened, folder, tmp_path):
    flip(folder / "data/payload" / BUNDLE, 8 * 700)
    with pytest.raises(DigestError):
        extract_payloads(opened, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_damage_is_told_also_where_the_half_file_cannot_be_removed(
    opened, folder, tmp_path, monkeypatch
):
    flip(folder / "data/payload" / BUNDLE, 8 * 700)

    def refuse(path, **more):
        raise PermissionError(13, "in use by another process")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    with pytest.raises(DigestError, match="block 0"):
        extract_payloads(opened, tmp_path / "out")


def test_too_little_room_is_told_before_a_byte(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(extracting, "free_bytes", lambda folder: 1000)
    with pytest.raises(StorageError, match=" free "):
        extract_payloads(opened, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def encrypted(publisher, tmp_path):
    """Write an encrypted payload of 3 MiB; return its set folder and the identity."""
    identity = tmp_path / "identity.age.key"
    data = random.Random(1).randbytes(3 << 20)
    medium = publisher.write(
        tmp_path / "stick",
        make_payload(tmp_path / "catalog", data=data),
        book=tmp_path / "book",
        recipients=[site_recipient(identity)],
    )
    return medium.folder, identity


def test_encrypted_payloads_are_decrypted(encrypted, site, tmp_path):
    folder, identity = encrypted
    opened = site.open(folder)
    opened.unlock(identity)
    (path,) = extract_payloads(opened, tmp_path / "out")
    assert path.name == BUNDLE
    assert path.read_bytes() == (tmp_path / "catalog" / BUNDLE).read_bytes()


def test_without_an_identity_nothing_is_left(encrypted, site, tmp_path):
    with pytest.raises(InputError, match="no identity was given"):
        extract_payloads(site.open(encrypted[0]), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("byte", [0, 1 << 20, -1])
def test_a_failed_decryption_leaves_nothing_under_any_name(encrypted, site, tmp_path, byte):
    folder, identity = encrypted
    opened = site.open(folder)
    opened.unlock(identity)
    (path,) = folder.glob("data/payload/*.enc")
    flip(path, 8 * (byte % path.stat().st_size))
    with pytest.raises(DigestError):
        extract_payloads(opened, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_segments_are_put_together(publisher, site, tmp_path):
    data = random.Random(2).randbytes(BLOCK_BYTES // 2) * 3
    held = make_payload(tmp_path / "catalog", data=data)
    for stick in ("a", "b"):
        publisher.write(tmp_path / stick, held, media=TWO, book=tmp_path / "book")
    opened = site.open(tmp_path / "a", others=[tmp_path / "b"])
    (path,) = extract_payloads(opened, tmp_path / "out")
    assert path.read_bytes() == data
    shutil.rmtree(tmp_path / "b")
    path.unlink()
    with pytest.raises(StorageError, match="lie elsewhere"):
        extract_payloads(opened, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("inside", ["", "out", "AZL-2603-TEST", "AZL-2603-TEST/data/payload/new"])
def test_nothing_is_extracted_onto_the_medium_itself(opened, medium, folder, inside, tmp_path):
    (tmp_path / "link").symlink_to(medium)
    before = sorted(medium.rglob("*"))
    for root in (medium, tmp_path / "link"):
        to = root / inside.replace("AZL-2603-TEST", folder.name)
        with pytest.raises(StorageError, match="lies on the medium"):
            extract_payloads(opened, to)
    assert sorted(medium.rglob("*")) == before


def test_nothing_is_extracted_into_another_set_folder(opened, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "other")
    with pytest.raises(StorageError, match="is a set folder of a medium"):
        extract_payloads(opened, tmp_path / "other/data/new")
    assert not (tmp_path / "other/data/new").exists()


def test_beside_a_copy_of_the_set_folder_there_is_room(site, folder):
    opened = site.open(folder)
    assert len(extract_payloads(opened, folder.parent / "payloads")) == 2


def test_another_folder_of_the_same_stick_is_the_medium_too(site, folder, monkeypatch):
    monkeypatch.setattr(placing, "_kind", lambda root: placing.PlaceKind.REMOVABLE)
    with pytest.raises(StorageError, match="lies on the medium"):
        extract_payloads(site.open(folder), folder.parent / "payloads")


def test_a_medium_that_is_named_twice_is_refused(site, medium, folder):
    for again in (medium, folder):
        with pytest.raises(InputError, match="named twice"):
            site.open(medium, others=[again])


def test_a_file_of_another_size_is_not_read_before_it_is_refused(opened, tmp_path, monkeypatch):
    (first, _) = extract_payloads(opened, tmp_path / "out")
    with first.open("ab") as file:
        file.write(b"more")
    monkeypatch.setattr(device, "measure", None)
    with pytest.raises(StorageError, match="another file at"):
        extract_payloads(opened, tmp_path / "out")


def test_reading_again_what_is_there_is_told(opened, tmp_path):
    extract_payloads(opened, tmp_path / "out")
    heard = Heard()
    extract_payloads(opened, tmp_path / "out", progress=heard)
    assert [what for what, _ in heard.begun] == [f"read {BUNDLE} again", f"read {SBE} again"]
    assert heard.bytes == sum(total for _, total in heard.begun)
