"""What can become of a medium, each told by the command as what it is: its verdict, its words, its exit code.

Nobody is accused of tampering because of litter, a cut-off copy or a wrong clock, and a signature that does
not hold is not called damage.
"""

import json
import re
import shutil
import time
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from tests.simcluster import tar
from tests.stage import VERSION, Stage
from tests.system.conftest import clock_ahead, content, import_, make_site, write_medium
from tests.unit.media.making import flip

BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
ACCUSATION = re.compile(r"tamper|alter(ed|ation)|forge|manipulat", re.IGNORECASE)
WRITE = ("media", "write", VERSION, "--catalog", "catalog", "--keys", "keys", "--to", "medium")


def verify(stage, *more, expect, medium="medium"):
    """Run the command; whatever it says, it must accuse nobody."""
    done = stage.ferry("media", "verify", medium, "--site", "site", *more, expect=expect)
    words = done.out + done.err
    assert not ACCUSATION.search(words), words
    return words


def set_folder(stage, medium="medium") -> Path:
    (folder,) = (stage / medium).glob("AZL-*")
    return folder


def payload(stage) -> Path:
    return set_folder(stage) / "data" / "payload" / BUNDLE


# --- the verdicts ------------------------------------------------------------------------------------


def test_complete(carried):
    assert "complete" in verify(carried, expect=0)


def test_incomplete_without_its_last_file(carried):
    (set_folder(carried) / "complete.json").unlink()
    words = verify(carried, expect=6)
    assert "complete.json" in words
    assert "not complete" in words or "missing" in words
    assert "damage" not in words


def test_incomplete_without_a_payload(carried):
    payload(carried).unlink()
    words = verify(carried, expect=6)
    assert BUNDLE in words
    assert "damage" not in words


def test_damaged_is_told_by_file_block_and_offset(carried):
    flip(payload(carried), 8 * (3 << 20))
    words = verify(carried, expect=3)
    last = payload(carried).stat().st_size - 1
    assert BUNDLE in words
    assert f"block 0 (bytes 0 to {last}) differs" in words


@pytest.mark.parametrize("has_parity", [True, False], ids=["repairable", "a second trip"])
def test_damaged_says_whether_it_can_be_repaired(carried, has_parity):
    if shutil.which("par2") is None:
        pytest.skip("no par2 to make parity with")
    if not has_parity:
        shutil.rmtree(set_folder(carried) / "parity")
    flip(payload(carried), 8 * (3 << 20))
    words = verify(carried, expect=3)
    assert ("ferry media repair" in words) == has_parity


def test_not_authentic_by_a_stranger(carried):
    stranger = Stage(carried.folder / "stranger")
    for name in ("manifests", "catalog"):
        shutil.copytree(carried / name, stranger / name)
    stranger.ferry("trust", "init", "--keys", "keys")
    stranger.stick("medium")
    stranger.ferry(*WRITE)
    words = verify(carried, expect=3, medium=str(stranger / "medium"))
    assert "nobody whom this site trusts signed these bytes" in words
    assert "damage" not in words


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_not_authentic_by_one_signature_that_does_not_hold(carried, role):
    (path,) = (set_folder(carried) / "tuf").glob(f"*{role}.json")
    document = json.loads(path.read_bytes())
    (signature,) = document["signatures"]
    signature["sig"] = signature["sig"][::-1]
    path.write_text(json.dumps(document), "utf-8")
    assert "damage" not in verify(carried, expect=3)


def test_expired(carried):
    words = verify(carried, expect=3, medium=str(dated(carried, valid_days="1")))
    assert "is expired" in words
    assert "clock" in words
    assert "damage" not in words


def dated(stage, *, valid_days):
    """Write a medium with a clock that was two days behind."""
    behind = clock_ahead(timedelta(days=-2))
    past = Stage(stage.folder / "past")
    for name in ("manifests", "catalog"):
        shutil.copytree(stage / name, past / name)
    past.ferry("trust", "init", "--keys", "keys", **behind)
    past.stick("medium")
    past.ferry(*WRITE, "--valid-days", valid_days, **behind)
    shutil.rmtree(stage / "site")
    make_site(past)
    shutil.move(past / "site", stage / "site")
    return past / "medium"


def test_too_old(carried):
    shutil.move(carried / "medium", carried / "older")
    time.sleep(1.1)  # versions are seconds
    write_medium(carried)
    verify(carried, expect=0)
    words = verify(carried, expect=0, medium="older")
    assert "too old" in words
    assert "still listed" in words


def test_withdrawn(carried):
    """The newest set that the site accepted carries another update."""
    catalog = carried / "catalog"
    shutil.copytree(carried / "keys", carried / "elsewhere" / "keys")
    elsewhere = Stage(carried / "elsewhere")
    (bundle,) = catalog.rglob(BUNDLE)
    (elsewhere / "vendor").mkdir()
    with (
        zipfile.ZipFile(elsewhere / "vendor" / BUNDLE, "w") as archive,
        zipfile.ZipFile(bundle) as old,
    ):
        for name in old.namelist()[:1]:
            archive.writestr(name, b"as corrected by the vendor")
    elsewhere.declare([elsewhere / "vendor" / BUNDLE], "https://127.0.0.1:1/")
    elsewhere.ferry("catalog", "add", f"vendor/{BUNDLE}", "--catalog", "catalog")
    time.sleep(1.1)  # versions are seconds
    elsewhere.stick("medium")
    elsewhere.ferry(*WRITE)
    verify(carried, expect=0, medium=str(elsewhere / "medium"))
    words = verify(carried, expect=3)
    assert f"withdrawn: payload/{BUNDLE}" in words
    assert "damage" not in words


def test_not_yet_valid_is_a_clock_that_is_behind_and_told(carried):
    """TUF metadata have no beginning: what was signed later than the clock says puts the clock in doubt."""
    behind = clock_ahead(timedelta(days=-300))
    done = carried.ferry("media", "verify", "medium", "--site", "site", **behind)
    assert "the clock is behind" in done.err
    assert not ACCUSATION.search(done.out + done.err)


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 1)])
def test_litter(carried, strict, code):
    for name in ("Thumbs.db", "data/payload/.DS_Store", "desktop.ini"):
        (set_folder(carried) / name).write_bytes(b"left by a system")
    words = verify(carried, *strict, expect=code)
    assert "litter" in words
    assert "damage" not in words


# --- every file of a medium ----------------------------------------------------------------------------


def without_receipts(stage):
    """Every file of the set that was signed or listed: receipts and parity may come and go."""
    folder = set_folder(stage)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in ("custody", "parity")
    )


SAME_WITHOUT_LAST_LINE_END = ("tagmanifest-sha256.txt", "complete.json")
"""Their bytes are hashed nowhere; what they say counts."""


@pytest.mark.parametrize("what", ["empty", "missing", "last byte missing"])
def test_no_file_can_be_lost_in_part_without_being_named(carried, what):
    """As an unplugged exFAT stick, a copier or a full disk leave them."""
    for path in without_receipts(carried):
        data = path.read_bytes()
        if what == "missing":
            path.unlink()
        else:
            path.write_bytes(data[:-1] if what == "last byte missing" else b"")
        done = carried.ferry("media", "verify", "medium", "--site", "site", expect=None)
        words = done.out + done.err
        assert not ACCUSATION.search(words), words
        if what == "last byte missing" and path.name in SAME_WITHOUT_LAST_LINE_END:
            assert done.code == 0
        else:
            assert done.code in (3, 6), (path, words)
            assert path.name in words, words
        path.write_bytes(data)
    verify(carried, expect=0)


# --- two sets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "code"), [("tuf", 3), ("data/plan", 3), ("data/payload", 0)], ids=str
)
def test_parts_of_two_sets_of_the_same_payload_do_not_make_one(carried, part, code):
    """Who signed for what is told apart; the payload is the same bytes, whoever copied them."""
    shutil.move(carried / "medium", carried / "first")
    time.sleep(1.1)  # versions are seconds
    write_medium(carried)
    mine = set_folder(carried) / part
    shutil.rmtree(mine)
    shutil.copytree(set_folder(carried, "first") / part, mine)
    assert "damage" not in verify(carried, expect=code)


# --- two instances, two machines -----------------------------------------------------------------------


def test_two_writers_at_once_leave_one_whole_set(carried):
    shutil.rmtree(carried / "medium")
    carried.stick("medium")
    with carried.popen(*WRITE) as first, carried.popen(*WRITE) as second:
        ends = [
            (process.communicate(timeout=120)[1], process.returncode) for process in (first, second)
        ]
    assert sorted(code for _, code in ends) in ([0, 0], [0, 6])
    assert all("another ferry is writing it" in words for words, code in ends if code)
    assert "complete" in verify(carried, expect=0)
    set_folder(carried)


def test_writing_goes_on_at_another_machine_with_the_same_set(carried):
    """The keys, the catalog and the stick were carried there; nothing else was."""
    begun = begin_to_write(carried)
    set_id = json.loads(begun.read_bytes())["set_id"]
    there = Stage(carried.folder / "there")
    for name in ("manifests", "catalog", "keys", "medium"):
        shutil.copytree(carried / name, there / name)
    there.ferry(*WRITE)
    complete = json.loads((set_folder(there) / "complete.json").read_bytes())
    assert complete["set_id"] == set_id
    assert "complete" in verify(carried, expect=0, medium=str(there / "medium"))


def begin_to_write(stage):
    """Kill a writing as soon as it has begun; return its writing.json."""
    for _ in range(10):
        shutil.rmtree(stage / "medium", ignore_errors=True)
        stage.stick("medium")
        with stage.popen(*WRITE) as process:
            while process.poll() is None and not list((stage / "medium").glob("*/writing.json")):
                time.sleep(0.002)
            process.kill()
        if begun := list((stage / "medium").glob("*/writing.json")):
            return begun[0]
    raise AssertionError("it was complete each time before it could be killed")


@pytest.mark.parametrize("cmdlet", [tar.PROGRAM, "Add-SolutionUpdate"])
def test_import_on_another_laptop_takes_over_what_can_be_proven_only(carried, simulate, cmdlet):
    """A second site directory goes on from the share; what it brings is hashed by the node again."""
    cluster = simulate(carried)
    cluster.faults.arm("drop", cmdlet=cmdlet, when="before")
    import_(carried, "--patience-minutes", "0", expect=4)
    shutil.move(carried / "site", carried / "first-site")
    make_site(carried)
    carried.add_cluster(cluster.ready)
    import_(carried, "--stall-seconds", "1", "--wait-minutes", "0.1", expect=None)
    done = import_(carried, "--stall-seconds", "1", "--json")
    assert json.loads(done.out)["data"]["copied_bytes"] == 0
    assert cluster.world.journal.add_calls == 1
    shutil.rmtree(carried / "site")
    shutil.move(carried / "first-site", carried / "site")
    import_(carried, "--stall-seconds", "1")
    assert cluster.world.journal.add_calls == 1


# --- readers that are killed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("media", "verify", "medium", "--site", "site"),
        ("media", "extract", "medium", "--site", "site", "--to", "out"),
    ],
    ids=["verify", "copy"],
)
def test_reader_killed_at_any_moment_leaves_the_medium_alone_and_begins_again(carried, words):
    before = content(carried / "medium")
    took_s = carried.ferry(*words).seconds
    whole = content(carried / "out")
    shutil.rmtree(carried / "out", ignore_errors=True)
    was_killed = []
    for share in (0.3, 0.5, 0.7, 0.85, 0.95):
        was_killed.append(carried.kill_after(took_s * share, *words))
        assert content(carried / "medium") == before
        copied = content(carried / "out")
        assert all(copied[name] == data for name, data in whole.items() if name in copied)
    assert any(was_killed)
    carried.ferry(*words)
    assert content(carried / "medium") == before
    assert content(carried / "out") == whole
