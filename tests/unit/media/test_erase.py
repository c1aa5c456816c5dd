"""Erasing a set: its own files and nothing else, never through a link, and resumed after any interruption."""

import errno
import json
import shutil
import sys
from pathlib import Path
from uuid import UUID

import pytest

from tests.unit.media.making import NOW, SiteTrust, days, flip, make_payload, proven
from tests.unit.media.receipts import HOME
from tests.unit.media.test_several import HOLDS_ONE, PAYLOAD_BYTES
from tests.unit.media.test_write import StopAt, Stopped
from toolkit.errors import InputError, SignatureError, StorageError
from toolkit.media import (
    Register,
    Scribe,
    describe_medium,
    erase_set,
    keep_set,
    plan_erasure,
)
from toolkit.model import Silent

links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


def erase(root, **more):
    planned = plan_erasure(root, **more)
    erase_set(planned, progress=Silent())
    return planned


@pytest.fixture
def written_receipt(folder):
    """The set has the receipt that its writing left."""
    register = Register(label=describe_medium(folder), scribe=Scribe(key=HOME, by="Ada"))
    return f"custody/{register.write().path.name}"


@pytest.fixture
def receipts(folder, written_receipt):
    """The set was handed over, and has something that travels home."""
    register = Register(label=describe_medium(folder), scribe=Scribe(key=HOME, by="Ada"))
    path = register.hand_over("Ben").path
    (folder / "return").mkdir()
    (folder / "return" / "plant7.request.json").write_bytes(b"{}")
    return f"custody/{path.name}", "return/plant7.request.json"


def left(folder):
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )


def test_a_set_is_gone_and_its_neighbours_are_not(medium, folder):
    (medium / "holiday.jpg").write_bytes(b"x")
    (medium / "AZL-OTHER").mkdir()
    (medium / "AZL-OTHER" / "notes.txt").write_bytes(b"x")
    files = left(folder)
    planned = erase(medium)
    assert sorted(path for path, _ in planned.removed) == files
    assert planned.foreign == ()
    assert left(medium) == ["AZL-OTHER/notes.txt", "holiday.jpg"]
    assert not folder.exists()


def test_looking_changes_nothing(medium, folder):
    before = {path: path.stat().st_mtime_ns for path in medium.rglob("*")}
    planned = plan_erasure(medium)
    assert planned.size_bytes == sum(path.stat().st_size for path in folder.rglob("*.*"))
    assert {path: path.stat().st_mtime_ns for path in medium.rglob("*")} == before


def test_what_is_not_of_the_set_stays_and_is_named(medium, folder):
    names = [
        "Thumbs.db",
        "data/more.exe",
        "data/payload/notes.txt",
        "data/seg/0123456789ab/0000.seg",
        "mine/deep/x.txt",
        "parity/notes.txt",
        "tuf/notes.json",
    ]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    assert list(erase(medium).foreign) == names
    assert left(folder) == names
    assert not (folder / "data/plan").exists(), "empty folders go"


@links
def test_links_are_never_followed_and_stay(medium, folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder / "data" / "payload", elsewhere)
    shutil.rmtree(folder / "data" / "payload")
    (folder / "data" / "payload").symlink_to(elsewhere)
    (folder / "start.txt").unlink()
    (folder / "start.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "secret.txt").write_bytes(b"x")
    assert erase(medium).foreign == ("data/payload", "start.txt")
    assert len(list(elsewhere.iterdir())) == 2
    assert (tmp_path / "secret.txt").exists()
    assert left(folder) == ["data/payload", "start.txt"]


@links
def test_a_set_folder_that_is_a_link_is_refused(medium, folder, tmp_path):
    folder.rename(tmp_path / "real")
    folder.symlink_to(tmp_path / "real")
    with pytest.raises(StorageError, match="is a link"):
        plan_erasure(medium)


def test_the_receipt_of_its_writing_goes_with_the_set(medium, folder, written_receipt):
    assert written_receipt in [path for path, _ in erase(medium).removed]
    assert not folder.exists()


def test_where_receipts_must_not_go_nothing_is_erased(medium, folder, receipts):
    before = left(folder)
    with pytest.raises(StorageError, match="what tells home of the set") as caught:
        erase(medium)
    for name in receipts:
        assert name in str(caught.value)
    assert "--with-receipts" in caught.value.hint
    assert left(folder) == before
    assert describe_medium(folder).is_complete
    erase(medium, with_receipts=True)
    assert not folder.exists()


def test_many_receipts_are_counted(medium, folder):
    (folder / "custody").mkdir()
    for number in range(2, 9):
        (folder / "custody" / f"{number:04}-verify-0123abcd.json").write_bytes(b"{}")
    with pytest.raises(StorageError, match=r"0006-verify-0123abcd\.json and 2 more"):
        plan_erasure(medium)


def test_what_an_earlier_erasing_left_of_a_set_goes(medium, folder, written_receipt):
    """It left writing.json and the receipt, and would leave them again and again."""
    for path in left(folder):
        if path not in (written_receipt, "complete.json"):
            (folder / path).unlink()
    (folder / "complete.json").rename(folder / "writing.json")
    assert len(erase(medium).removed) == 2
    assert list(medium.iterdir()) == []


def test_a_half_receipt_goes(medium, folder, written_receipt):
    (folder / f"{written_receipt}.part").write_bytes(b"{")
    assert erase(medium).foreign == ()
    assert not folder.exists()


def test_a_manifest_cannot_have_receipts_erased(medium, folder, receipts):
    with (folder / "manifest-sha256.txt").open("ab") as file:
        for path in (*receipts, "return/other.age"):
            file.write(f"{'0' * 64}  {path}\n".encode())
    (folder / "custody" / "notes.txt").write_bytes(b"x")
    with pytest.raises(StorageError, match="what tells home") as caught:
        erase(medium)
    for name in (*receipts, "return/other.age"):
        assert (name in str(caught.value)) == (folder / name).exists()
    assert erase(medium, with_receipts=True).foreign == ("custody/notes.txt",)


def test_an_unfinished_set_goes_with_what_was_begun(root, publisher, payload):
    with pytest.raises(Stopped):
        publisher.write(root, payload, set_name="AZL-1", progress=StopAt("read back"))
    (root / "AZL-1/data/payload/x.part").write_bytes(b"half")
    (root / f"AZL-1/data/payload/{payload.name}.part").write_bytes(b"half")
    assert erase(root).foreign == ("data/payload/x.part",)


def test_a_damaged_set_goes_as_far_as_it_is_known(medium, folder):
    flip(folder / "manifest-sha256.txt", 8 * 70)
    (folder / "tagmanifest-sha256.txt").write_bytes(b"\xff")
    (folder / "data/plan/set.json").write_bytes(b"{")
    assert erase(medium).foreign == ()
    assert not folder.exists()


def test_segments_and_parity_are_the_set_s_own(medium, folder):
    label = describe_medium(folder)
    for name in (
        f"data/seg/{label.payloads[0][2][:12]}/0003.seg",
        "parity/0123456789ab/p.par2",
        "parity/0123456789ab/p.vol000+50.par2",
        "parity/ba9876543210.part/p.par2",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    assert erase(medium).foreign == ()


def test_files_of_two_sets_in_one_folder_are_refused(medium, folder):
    document = json.loads((folder / "complete.json").read_bytes())
    document["set_id"] = "6d3f0f7e-0000-4000-8000-000000000000"
    (folder / "complete.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match=r"set\.json"):
        plan_erasure(medium)


@pytest.mark.parametrize("name", ["../AZL-1", "a/b", "nul", ""])
def test_a_name_that_is_none_is_refused(medium, folder, name):
    document = json.loads((folder / "complete.json").read_bytes())
    document["set_name"] = name
    (folder / "complete.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError):
        plan_erasure(medium)


def test_what_is_no_set_is_not_erased(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "bagit.txt").write_bytes(b"x")
    with pytest.raises(StorageError):
        plan_erasure(tmp_path)


@pytest.mark.parametrize("data", [b"", b"{}"])
def test_a_set_that_does_not_say_what_it_is_is_refused_with_what_to_do(medium, folder, data):
    (folder / "complete.json").write_bytes(data)
    with pytest.raises(InputError) as caught:
        plan_erasure(medium)
    assert "same `ferry media write`" in caught.value.hint
    assert f"delete {folder} by hand" in caught.value.hint


def test_what_is_no_folder_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="a file where a folder belongs") as caught:
        plan_erasure(tmp_path / "file")
    assert "check the path" in caught.value.hint


def test_a_write_protected_medium_is_a_storage_error(medium, folder, monkeypatch):
    planned = plan_erasure(medium)

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StorageError, match="write-protected"):
        erase_set(planned, progress=Silent())


def test_a_medium_exchanged_meanwhile_is_not_erased(medium, folder, publisher, tmp_path):
    planned = plan_erasure(medium)
    shutil.rmtree(medium)
    publisher.write(medium, make_payload(tmp_path / "made"), set_name=folder.name)
    with pytest.raises(StorageError, match="is here now"):
        erase_set(planned, progress=Silent())
    assert describe_medium(medium).is_complete


def test_a_medium_that_cannot_be_read_any_more_is_a_storage_error(medium, folder, monkeypatch):
    planned = plan_erasure(medium)

    def fail(where):
        raise OSError(errno.EIO, "Input/output error", str(where))

    monkeypatch.setattr("toolkit.media._erase.walk", fail)
    with pytest.raises(StorageError, match="failing"):
        erase_set(planned, progress=Silent())


@links
def test_a_link_put_there_meanwhile_is_not_followed(medium, folder, tmp_path):
    planned = plan_erasure(medium)
    (folder / "data" / "payload").rename(tmp_path / "elsewhere")
    (folder / "data" / "payload").symlink_to(tmp_path / "elsewhere")
    erase_set(planned, progress=Silent())
    assert len(list((tmp_path / "elsewhere").iterdir())) == 2


# --- interrupted ----------------------------------------------------------------------------------


class Dying(Silent):
    """Dies after so many files."""

    def __init__(self, count):
        self.left = count

    def advance(self, count_bytes):
        self.left -= 1
        if self.left == 0:
            raise Stopped


@pytest.mark.parametrize("count", range(1, 16))
def test_the_same_command_goes_on_wherever_it_was_stopped(medium, folder, site, count):
    """16 files, one of which tells to the end whose the others were."""
    files = len(left(folder))
    planned = plan_erasure(medium, trust_dir=site.folder)
    with pytest.raises(Stopped):
        erase_set(planned, progress=Dying(count))
    assert len(left(folder)) == files - count
    assert not describe_medium(medium).is_complete
    assert len(erase(medium, trust_dir=site.folder).removed) == files - count
    assert not folder.exists()


def test_what_was_half_erased_can_be_written_again(root, publisher, payload, site):
    publisher.write(root, payload, set_name="AZL-1")
    with pytest.raises(Stopped):
        erase_set(plan_erasure(root), progress=Dying(3))
    assert publisher.write(root, payload).set_name == "AZL-1"
    assert site.open(root).verify().is_tidy(strict=True)


# --- known here -----------------------------------------------------------------------------------


def test_a_site_erases_what_was_signed_under_its_root_expired_or_not(medium, folder, site):
    memory = site.memory()
    erase(medium, trust_dir=site.folder)
    assert not folder.exists()
    assert site.memory() == memory


def test_a_site_does_not_erase_a_stranger_s_set(medium, folder, other_publisher, tmp_path):
    site = SiteTrust(tmp_path / "other" / "trust").pin(other_publisher.root)
    with pytest.raises(SignatureError):
        plan_erasure(medium, trust_dir=site.folder)


def test_what_cannot_be_proven_at_a_site_is_told_how_to_go(medium, folder, site):
    (folder / "tuf" / "timestamp.json").unlink()
    (folder / "complete.json").rename(folder / "writing.json")
    with pytest.raises(StorageError) as caught:
        plan_erasure(medium, trust_dir=site.folder)
    assert "without --site" in caught.value.hint


def test_home_erases_what_was_written_from_its_catalog(medium, folder, written_receipt, tmp_path):
    home = tmp_path / "home"
    label = describe_medium(folder)
    keep_set(home, proven(folder), clusters=(), own_key=HOME.fingerprint)
    plan_erasure(medium, home=home)
    (home / "sets" / f"{label.set_name}.json").unlink()
    with pytest.raises(StorageError, match=r"erase .*knows no such set"):
        plan_erasure(medium, home=home)
    keep_set(home, proven(folder), clusters=(), own_key=HOME.fingerprint)
    record = home / "sets" / f"{label.set_name}.json"
    record.write_text(record.read_text("utf-8").replace(label.set_id, str(UUID(int=7))), "utf-8")
    with pytest.raises(StorageError, match="written from"):
        plan_erasure(medium, home=home)


def test_home_knows_a_spread_set_before_it_is_finished(tmp_path, publisher):
    payloads = [
        make_payload(tmp_path / "made", name=f"SBE_{n}.zip", data=bytes([n]) * PAYLOAD_BYTES)
        for n in (1, 2)
    ]
    home, stick = tmp_path / "home", tmp_path / "stick"
    home.mkdir()
    with pytest.raises(Stopped):
        publisher.write(
            stick,
            *payloads,
            media=[HOLDS_ONE] * 2,
            book=home / "sets",
            progress=StopAt("read back"),
            now=NOW - days(1),
        )
    (folder,) = stick.iterdir()
    erase(stick, home=home)
    assert not folder.exists()
    assert [kept.name for kept in (home / "sets").glob("[!.]*")] == [folder.name]
