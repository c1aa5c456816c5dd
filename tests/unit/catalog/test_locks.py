"""Locks on disks that have them and on disks that have none."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.unit.catalog.fakes import Listener
from toolkit.catalog._locks import locked
from toolkit.errors import StorageError

fcntl = pytest.importorskip("fcntl", reason="flock exists on POSIX only")


@pytest.fixture
def said():
    return Listener()


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def without_flock(request, monkeypatch):
    """A disk whose server keeps no locks; no such file system can be mounted for a test."""

    def refuse(*_args):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


def hold(path, said, **more):
    return locked(path, attempted="download x.zip", say=said.say, **more)


def test_a_second_process_is_told_at_once(tmp_path, said):
    with (
        hold(tmp_path / "x.lock", said),
        pytest.raises(StorageError, match="another ferry"),
        hold(tmp_path / "x.lock", said),
    ):
        pass
    with hold(tmp_path / "x.lock", said):
        assert said.lines == []


def test_a_second_process_waits_for_a_short_change(tmp_path, said):
    order = []

    def first():
        with hold(tmp_path / "x.lock", said):
            began.set()
            time.sleep(0.2)
            order.append("first")

    began = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    began.wait(5)
    with hold(tmp_path / "x.lock", said, wait_s=10):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


@pytest.mark.usefixtures("without_flock")
def test_without_locks_a_file_with_our_name_stands_in_and_that_is_said(tmp_path, said):
    with hold(tmp_path / "x.lock", said):
        text = (tmp_path / "x.owner.lock").read_text(encoding="utf-8")
        assert text.splitlines()[0] == str(os.getpid())
        assert "no locks" in said.lines[0]
        with (
            pytest.raises(StorageError, match="another ferry") as caught,
            hold(tmp_path / "x.lock", said),
        ):
            pass
        assert "x.owner.lock" in caught.value.hint
    assert not (tmp_path / "x.owner.lock").exists()


HOLDER = """
import filelock, sys, time
lock = filelock.SoftFileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.usefixtures("without_flock")
def test_the_lock_of_a_process_that_died_is_taken_over(tmp_path, said):
    path = tmp_path / "x.owner.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        with pytest.raises(StorageError, match="another ferry"), hold(tmp_path / "x.lock", said):
            pass
        holder.send_signal(signal.SIGKILL)
    assert path.exists()
    with hold(tmp_path / "x.lock", said):
        assert path.read_text(encoding="utf-8").splitlines()[0] == str(os.getpid())


@pytest.mark.usefixtures("without_flock")
def test_the_lock_of_another_machine_is_left_alone_and_its_owner_named(tmp_path, said):
    (tmp_path / "x.owner.lock").write_text("4711\nnas-of-plant7\n", encoding="utf-8")
    with (
        pytest.raises(StorageError, match="4711 on nas-of-plant7") as caught,
        hold(tmp_path / "x.lock", said),
    ):
        pass
    assert "delete" in caught.value.hint


def test_a_file_where_the_folder_should_be_is_a_storage_error(tmp_path, said):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(StorageError), hold(tmp_path / "file" / "x.lock", said):
        pass
