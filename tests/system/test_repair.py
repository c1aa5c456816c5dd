"""Repair as the command does it: twice, without room, by two at once, and killed anywhere."""

import itertools
import os
import shutil
import sys
import time

import pytest

from tests.stage import VERSION
from tests.system.conftest import content, dying
from tests.unit.media.making import flip

pytestmark = pytest.mark.skipif(shutil.which("par2") is None, reason="no par2 to repair with")
BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
MIB = 1 << 20


@pytest.fixture
def damaged(carried):
    """A site with a medium of which one bit is wrong."""
    (payload,) = (carried / "medium").glob(f"*/data/payload/{BUNDLE}")
    flip(payload, 8 * 3 * MIB)
    return carried


def repair(stage, scratch, *, expect):
    words = ("media", "repair", "medium", "--scratch", str(scratch), "--site", "site")
    return stage.ferry(*words, expect=expect)


def test_what_is_repaired_already_needs_no_room(damaged, mount):
    scratch = mount("scratch", "size=32m")
    repair(damaged, scratch, expect=0)
    before = content(scratch)
    with pytest.raises(OSError, match="No space left"):
        (scratch / "holiday.mov").write_bytes(bytes(32 * MIB))
    assert "1 repaired" in repair(damaged, scratch, expect=0).out
    (scratch / "holiday.mov").unlink()
    assert content(scratch) == before


@pytest.mark.parametrize("size", ["size=4m", "size=4m,nr_inodes=2"])
@pytest.mark.parametrize("name", ["", "new/scratch"])
def test_without_room_nothing_is_left(damaged, mount, size, name):
    disk = mount("scratch", size)
    refused = repair(damaged, disk / name, expect=6)
    assert "full" in refused.err or "MiB free" in refused.err
    assert list(disk.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is of POSIX")
def test_killed_before_every_touch_of_its_scratch_the_same_command_goes_on(damaged, mount):
    """In the same room, and nothing is left of the half."""
    scratch = mount("scratch", "size=13m")
    repair(damaged, scratch, expect=0)
    peace = content(scratch)
    words = ("media", "repair", "medium", "--scratch", str(scratch), "--site", "site")
    with dying(damaged, scratch, *words) as killed_before:
        for touch in itertools.count():
            shutil.rmtree(scratch / next(iter(peace)).partition("/")[0])
            was_killed = killed_before(touch)
            assert not killed_before(sys.maxsize)
            assert content(scratch) == peace
            if not was_killed:
                break
    assert touch > 5


WAITING_PAR2 = """#!/bin/sh
touch "{here}/begun"
while [ ! -e "{here}/go" ]; do sleep 0.1; done
exec {par2} "$@"
"""


@pytest.fixture
def waiting(tmp_path):
    """A `par2` that waits for the file `go` beside it."""
    folder = tmp_path / "waiting"
    folder.mkdir()
    tool = folder / "par2"
    tool.write_text(WAITING_PAR2.format(here=folder, par2=shutil.which("par2")))
    tool.chmod(0o755)
    return folder


def test_whoever_comes_during_a_repair_is_told_what_is_true(damaged, waiting):
    """A second repair is refused; who only reads is not, and does not take what is half."""
    words = ("media", "repair", "medium", "--scratch", "scratch", "--site", "site")
    first = damaged.popen(*words, PATH=f"{waiting}{os.pathsep}{os.environ['PATH']}")
    with first:
        try:
            while not (waiting / "begun").exists():
                assert first.poll() is None
                time.sleep(0.1)
            refused = repair(damaged, "scratch", expect=6).err
            read = damaged.ferry("media", "verify", "medium", "--site", "site", expect=3).err
            both = ("medium", "scratch", "--to", "files", "--site", "site")
            absent = damaged.ferry("media", "extract", *both, expect=6).err
            repair(damaged, "elsewhere", expect=0)
        finally:
            (waiting / "go").touch()
        assert "1 repaired" in first.communicate(timeout=damaged.patience_s)[0]
    assert first.returncode == 0
    assert "another ferry is repairing media of this set there" in refused
    assert "wait for it to end" in refused
    for said in (read, absent):
        assert "another ferry" not in said
    assert "look for a set on scratch: none" in absent
