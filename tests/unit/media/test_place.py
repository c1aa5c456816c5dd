import os
from pathlib import Path

import pytest

from toolkit.errors import StorageError
from toolkit.media._place import PlaceKind, check_place


def test_an_empty_folder_is_taken(root):
    place = check_place(root)
    assert place.free_bytes > 0
    assert "free" in str(place)


@pytest.mark.parametrize("name", ["Thumbs.db", "System Volume Information", ".Trash-1000"])
def test_what_an_operating_system_leaves_does_not_make_a_folder_foreign(root, name):
    (root / name).mkdir()
    assert check_place(root)


def test_a_folder_with_a_set_in_it_is_taken(medium):
    (medium / "notes.txt").write_text("x")
    assert check_place(medium)


def test_a_folder_with_other_things_is_refused_and_they_are_named(root):
    (root / "holiday.jpg").write_text("x")
    with pytest.raises(StorageError, match=r"other things in it: holiday\.jpg") as caught:
        check_place(root)
    assert "new folder" in caught.value.hint


def test_a_mounted_medium_may_hold_other_things(root, monkeypatch):
    (root / "holiday.jpg").write_text("x")
    monkeypatch.setattr(os.path, "ismount", lambda path: path == root)
    assert check_place(root)


@pytest.mark.skipif(os.name == "nt", reason="paths of Linux")
def test_the_system_disk_is_refused():
    with pytest.raises(StorageError, match="this machine runs from"):
        check_place(Path("/"))


def test_another_system_s_disk_is_refused(root, monkeypatch):
    (root / "etc").mkdir()
    (root / "Windows").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == root.resolve())
    with pytest.raises(StorageError, match="this machine runs from"):
        check_place(root)


def test_write_protection_is_noticed_before_anything_is_written(root, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StorageError, match="write-protected"):
        check_place(root)


def test_the_kind_is_one_that_can_be_told(root):
    assert check_place(root).kind in PlaceKind
