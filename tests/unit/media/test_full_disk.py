"""Whatever fails while a file is made, no half of it stays behind."""

import errno
import os

import pytest
from pyrage import x25519

from tests.unit.media.making import PASSPHRASE, Publisher
from tests.unit.media.receipts import HOME
from toolkit.errors import StorageError
from toolkit.media import Register, Scribe, describe_medium
from toolkit.media._device import StreamDigest, copy_durably, write_durably
from toolkit.media._keys import write_secret
from toolkit.media._set_key import new_key, store_key
from toolkit.model import Silent

RECIPIENT = str(x25519.Identity.generate().to_public())
SET_ID = "6d3f0f7e-0000-4000-8000-000000000000"


@pytest.fixture
def full(monkeypatch):
    """From now on the disk is full, which it says when a file is flushed."""

    def refuse(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill():
        monkeypatch.setattr("os.fsync", refuse)

    return fill


def copy(folder):
    (folder.parent / "source").write_bytes(b"vendor bytes")
    source, target = folder.parent / "source", folder / "copy"
    with StreamDigest() as digest:
        copy_durably(source, target, digest=digest, accept=lambda: True, progress=Silent())


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: write_durably(folder / "small", b"small"),
        lambda folder: write_secret(folder / "secret", b"secret"),
        lambda folder: store_key(folder, new_key(SET_ID, (RECIPIENT,))),
        copy,
    ],
    ids=["small file", "key file", "key of a set", "payload"],
)
def test_a_full_disk_leaves_nothing(root, full, make):
    full()
    with pytest.raises((OSError, StorageError), match="space left"):
        make(root)
    assert os.listdir(root) == []  # noqa: PTH208 - names are enough


def test_a_full_disk_leaves_what_was_there(root, full):
    write_durably(root / "small", b"first")
    full()
    with pytest.raises(OSError, match="space left"):
        write_durably(root / "small", b"second")
    assert {path.name: path.read_bytes() for path in root.iterdir()} == {"small": b"first"}


@pytest.mark.skipif(os.name == "nt", reason="a link needs a privilege there")
@pytest.mark.parametrize(
    ("make", "name"),
    [(lambda folder: write_durably(folder / "small", b"small"), "small"), (copy, "copy")],
    ids=["small file", "payload"],
)
def test_a_link_where_a_half_file_belongs_leads_to_nothing(root, make, name):
    """Who prepares a medium must not have a file of the writer's machine written over."""
    other = root.parent / "of somebody"
    other.write_bytes(b"kept")
    (root / f"{name}.part").symlink_to(other)
    make(root)
    assert other.read_bytes() == b"kept"
    assert not (root / name).is_symlink()
    assert (root / name).read_bytes() in (b"small", b"vendor bytes")


def test_a_key_that_stood_there_before_stays(root):
    write_secret(root / "secret", b"first")
    with pytest.raises(FileExistsError):
        write_secret(root / "secret", b"second")
    assert (root / "secret").read_bytes() == b"first"


def test_a_full_medium_has_no_half_receipt(folder, full):
    full()
    with pytest.raises(StorageError, match="full"):
        Register(label=describe_medium(folder), scribe=Scribe(key=HOME, by="Ada")).write()
    assert not list(folder.glob("custody/*"))


def test_a_full_disk_has_no_half_keys(tmp_path, full):
    full()
    with pytest.raises(StorageError, match="full"):
        Publisher(tmp_path / "keys", PASSPHRASE)
    assert not list((tmp_path / "keys").glob("*"))
