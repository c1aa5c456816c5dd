"""The site directory on a Windows file system."""

import errno
import os
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import OSType

from toolkit.errors import InputError, StorageError
from toolkit.model import KnownCluster, Node
from toolkit.site import Site


@pytest.fixture
def _without_posix(monkeypatch):
    monkeypatch.delattr(os, "O_DIRECTORY", raising=False)


@pytest.fixture
def windows(_without_posix, fs):
    fs.os = OSType.WINDOWS
    return fs


def make(path="D:\\Ferry Site"):
    return Site.create(Path(path), pin=lambda trust_dir: None)


def nodes(*names):
    return tuple(Node(name=name, address=name) for name in names)


def test_site_lives_under_a_drive_letter(windows):
    site = make()
    site.add_cluster(KnownCluster(name="plant7", nodes=nodes("n1")), ca_file=None)
    assert Site(Path("d:\\FERRY SITE")).cluster("plant7").nodes == nodes("n1")


def test_names_that_differ_by_case_only_are_one_name(windows):
    site = make()
    site.add_cluster(KnownCluster(name="plant7", nodes=nodes("n1")), ca_file=None)
    with pytest.raises(StorageError, match="a cluster of that name"):
        site.add_cluster(KnownCluster(name="PLANT7", nodes=nodes("n1")), ca_file=None)
    with pytest.raises(InputError, match="once"):
        site.add_cluster(KnownCluster(name="other", nodes=nodes("n1", "N1")), ca_file=None)


@pytest.mark.parametrize("name", ["con", "NUL", "com1", "lpt9.local", "Aux"])
def test_device_names_cannot_be_clusters(windows, name):
    with pytest.raises(InputError, match="device"):
        make().add_cluster(KnownCluster(name=name, nodes=nodes("n1")), ca_file=None)


def test_full_disk_refuses_the_change_before_it_is_made(windows):
    site = make()
    windows.set_disk_usage(windows.get_disk_usage("D:\\").used + 10, "D:\\")
    with pytest.raises(StorageError):
        site.journal.append(cluster="c", subject="s", step="t", outcome="intent")
    assert Path("D:\\Ferry Site\\journal.jsonl").stat().st_size == 0


def test_read_only_disk_is_a_storage_error(windows, monkeypatch):
    site = make()

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "The media is write protected")  # winerror 19

    monkeypatch.setattr("toolkit.site.os.fsync", refuse)
    with pytest.raises(StorageError, match="write protected"):
        site.add_cluster(KnownCluster(name="plant7", nodes=nodes("n1")), ca_file=None)
