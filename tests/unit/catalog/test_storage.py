from __future__ import annotations

import errno
import os

import pytest

from tests.unit.catalog.fakes import Listener
from toolkit.catalog._hashing import measure
from toolkit.catalog._inside import inspect_zip
from toolkit.catalog._sbe_finding import candidates, place
from toolkit.catalog._sbe_package import open_bounded
from toolkit.catalog._storage import storage
from toolkit.errors import InputError, StorageError
from toolkit.filesystem import open_regular


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "free space"), (errno.EROFS, "write-protected"), (errno.EIO, "check the disk")],
)
def test_each_kind_of_disk_trouble_has_its_advice(number, hint):
    with pytest.raises(StorageError) as caught, storage("write x"):
        raise OSError(number, "words of the system")
    assert "words of the system" in str(caught.value)
    assert hint in caught.value.hint


READERS = {
    "open": open_regular,
    "measure": lambda path: measure(path, what="check", progress=Listener()),
    "inspect": inspect_zip,
    "zip": open_bounded,
    "sbe": lambda path: [place(each, path, Listener()) for each in candidates(path)],
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system's pipes are no files")
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path, read):
    pipe = tmp_path / "SBE_Contoso_Gen_A_4.2.2603.1.zip"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="not a file"):
        read(pipe)


def test_a_folder_is_still_a_folder_to_whoever_opens_it(tmp_path):
    with pytest.raises(OSError, match=r"directory|denied"):
        open_regular(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="not everybody may make links on Windows")
def test_a_link_that_leads_nowhere_is_not_blamed_on_the_disk(tmp_path):
    (tmp_path / "catalog").symlink_to(tmp_path / "gone")
    with pytest.raises(StorageError) as caught, storage("write x"):
        (tmp_path / "catalog").mkdir(exist_ok=True)
    assert "a link that leads nowhere" in caught.value.hint


def test_a_file_too_large_for_the_disk_gets_its_own_advice():
    with pytest.raises(StorageError) as caught, storage("write x"):
        raise OSError(errno.EFBIG, "File too large")
    assert "FAT32" in caught.value.hint


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EISDIR, errno.ENOTDIR])
def test_a_wrong_name_is_not_blamed_on_the_disk(number):
    with pytest.raises(StorageError) as caught, storage("read x"):
        raise OSError(number, os.strerror(number))
    assert "check the name" in caught.value.hint
