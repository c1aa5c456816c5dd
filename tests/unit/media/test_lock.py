"""One ferry at a time on one medium; no lock outlives its process, and none lies on the medium."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.media.making import NOW, days, make_payload
from toolkit.errors import StorageError
from toolkit.media import _lock as locking
from toolkit.media import erase_set, plan_erasure, write_medium
from toolkit.media._lock import alone_on_medium, repairing_alone
from toolkit.model import Silent

posix = pytest.mark.skipif(sys.platform == "win32", reason="folders are not locked there")
HOLDING = """
import sys
from pathlib import Path
from toolkit.media._lock import alone_on_medium

with alone_on_medium(Path(sys.argv[1]), attempted="hold it"):
    print("held", flush=True)
    sys.stdin.read()
"""


class During(Silent):
    """Does something when the first step begins, and remembers how it was refused."""

    def __init__(self, act):
        self.act, self.refusals = act, []

    def begin(self, what, *, total_bytes):
        try:
            self.act()
        except StorageError as error:
            self.refusals.append(error)


@pytest.fixture
def unlockable(monkeypatch, tmp_path):
    """No folder can be locked; a file in a temporary folder of the test stands for each."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    honest = sys.modules["fcntl"].flock

    def flock(handle, operation):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.ENOLCK, "No locks available")
        honest(handle, operation)

    monkeypatch.setattr("fcntl.flock", flock)


@pytest.fixture(params=["folder", pytest.param("file", marks=posix)])
def locks(request):
    """The medium's own folder is locked, or a file stands for it where its file system cannot."""
    if request.param == "file":
        request.getfixturevalue("unlockable")


def test_two_cannot_write_one_medium(locks, root, publisher, payload):
    """Nor can a second one write another set onto it meanwhile."""
    heard = During(lambda: publisher.write(root, payload, set_name="AZL-2"))
    publisher.write(root, payload, set_name="AZL-1", progress=heard)
    assert "another ferry is writing it" in str(heard.refusals[0])
    assert "wait for it to end" in heard.refusals[0].hint
    assert len(heard.refusals) == 2, "the same while it is read back"
    assert [path.name for path in root.iterdir()] == ["AZL-1"]
    assert publisher.write(root, payload).verify().is_tidy(strict=True)


def test_one_that_is_written_is_not_erased(locks, root, publisher, payload):
    def erase():
        erase_set(plan_erasure(root), progress=Silent())

    heard = During(erase)
    written = publisher.write(root, payload, progress=heard)
    assert "another ferry is writing it" in str(heard.refusals[0])
    assert written.verify().is_tidy(strict=True)


@pytest.mark.parametrize("place", ["root", "set folder", "here"])
@pytest.mark.parametrize("erased", ["root", "here"])
def test_one_that_is_erased_is_neither_written_nor_erased(
    locks, medium, folder, publisher, payload, place, erased, monkeypatch
):
    places = {"root": medium, "set folder": folder, "here": Path()}
    monkeypatch.chdir(folder)

    def write():
        write_medium(
            places[place], [payload], keys=publisher.keys, expires_at=NOW + days(9), now=NOW
        )

    planned = plan_erasure(places[erased])
    for act in (write, lambda: erase_set(planned, progress=Silent())):
        heard = During(act)
        with pytest.raises(Stopped):
            erase_set(planned, progress=Stopping(heard))
        assert "another ferry is writing it, or erasing" in str(heard.refusals[0])
    monkeypatch.chdir(medium)  # nobody stands in what is to go
    erase_set(plan_erasure(medium), progress=Silent())
    assert list(medium.iterdir()) == []


class Stopped(BaseException):
    """The process dies here."""


class Stopping(Silent):
    def __init__(self, heard):
        self.heard = heard

    def begin(self, what, *, total_bytes):
        self.heard.begin(what, total_bytes=total_bytes)
        raise Stopped


def test_two_media_on_one_disk_are_written_at_once(locks, tmp_path, publisher, payload):
    heard = During(lambda: publisher.write(tmp_path / "two", payload))
    publisher.write(tmp_path / "one", payload, progress=heard)
    assert heard.refusals == []


def test_what_was_written_after_it_was_looked_at_is_not_left_without_its_record(
    root, publisher, payload, tmp_path
):
    """Between the plan and the typed label another ferry finished the set."""
    with pytest.raises(Stopped):
        publisher.write(root, payload, progress=Stopping(During(lambda: None)))
    planned = plan_erasure(root)
    publisher.write(root, payload)
    with pytest.raises(StorageError, match="more than were looked at") as caught:
        erase_set(planned, progress=Silent())
    assert "run the same command again" in caught.value.hint
    assert publisher.write(root, payload).verify().is_tidy(strict=True)


def test_two_do_not_repair_in_one_folder(locks, tmp_path):
    with (
        repairing_alone(tmp_path, attempted="repair"),
        pytest.raises(StorageError, match="another ferry is repairing media of this set there"),
        repairing_alone(tmp_path, attempted="repair"),
    ):
        pass
    with repairing_alone(tmp_path, attempted="repair"):
        pass


@pytest.mark.parametrize("is_made_again", [False, True])
def test_a_folder_that_was_removed_meanwhile_is_not_repaired_in(
    locks, tmp_path, monkeypatch, is_made_again
):
    """Whoever had it locked ended without a repair between the opening of the folder and its lock."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    honest = locking._lock_folder

    def lock_folder(*words, **more):
        is_locked = honest(*words, **more)
        folder.rename(tmp_path / "removed")
        if is_made_again:
            folder.mkdir()
        return is_locked

    monkeypatch.setattr(locking, "_lock_folder", lock_folder)
    with (
        pytest.raises(StorageError, match=r"another ferry is repairing|not there"),
        repairing_alone(folder, attempted="repair"),
    ):
        pass


@posix
def test_locks_that_are_not_this_user_s_are_refused_with_what_to_do(unlockable, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"ferry-locks-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(StorageError, match="not a folder of this user") as caught,
        alone_on_medium(tmp_path, attempted="write"),
    ):
        pass
    assert "move that away" in caught.value.hint


@posix
def test_copied_sticks_in_two_drives_are_written_at_once(
    unlockable, tmp_path, publisher, payload, monkeypatch
):
    """Windows gives them one number, and their roots as well."""
    monkeypatch.setattr("toolkit.media._lock.device_of", lambda root: (root.name, 7))
    honest = Path.stat

    def stat_of(path, **more):
        info = honest(path, **more)
        return os.stat_result((info[0], 5, *info[2:])) if path.name in ("E", "F") else info

    monkeypatch.setattr(Path, "stat", stat_of)
    heard = During(lambda: publisher.write(tmp_path / "F", payload))
    publisher.write(tmp_path / "E", payload, progress=heard)
    assert heard.refusals == []
    with (
        alone_on_medium(tmp_path / "E", attempted="write"),
        pytest.raises(StorageError, match="another ferry"),
        alone_on_medium(tmp_path / "E", attempted="write"),
    ):
        pass


@posix
@pytest.mark.parametrize("trap", ["a link", "a file"])
def test_a_stand_in_is_not_made_where_somebody_else_leads_it(unlockable, root, tmp_path, trap):
    place = tmp_path / f"ferry-locks-{os.getuid()}"
    if trap == "a link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.touch()
    with pytest.raises(StorageError), alone_on_medium(root, attempted="write"):
        pass


def test_a_lock_ends_with_a_killed_process(root, publisher, payload):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(root)],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match="another ferry"):
            publisher.write(root, payload)
        assert list(root.iterdir()) == [], "nothing lies there for it"
        other.kill()
    assert publisher.write(root, make_payload(payload.path.parent)).missing() == ()
