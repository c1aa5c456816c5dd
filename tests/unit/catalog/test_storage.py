from __future__ import annotations

import errno

import pytest

from toolkit.catalog._storage import storage, write_beside
from toolkit.errors import StorageError


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "free space"), (errno.EROFS, "write-protected"), (errno.EIO, "check the disk")],
)
def test_each_kind_of_disk_trouble_has_its_advice(number, hint):
    with pytest.raises(StorageError) as caught, storage("write x"):
        raise OSError(number, "words of the system")
    assert "words of the system" in str(caught.value)
    assert hint in caught.value.hint


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.json"
    write_beside(path, "old")
    (tmp_path / "a.json.tmp").mkdir()
    with pytest.raises(OSError, match=r"a\.json"):
        write_beside(path, "new")
    assert path.read_text() == "old"


def test_a_text_is_written_with_the_same_line_ends_everywhere(tmp_path):
    path = tmp_path / "a.json"
    write_beside(path, "a\nb\n")
    assert path.read_bytes() == b"a\nb\n"
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]
