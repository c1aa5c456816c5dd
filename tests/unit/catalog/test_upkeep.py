from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime, timedelta

import filelock
import pytest

from tests.unit.catalog.fakes import payload_of, zip_of
from tests.unit.catalog.holding import DATA, PAYLOAD, SHELF
from toolkit.catalog._part import Part, PartFile
from toolkit.errors import InputError, StorageError

OTHER = "12.2605.1003.2"
OTHER_DATA = zip_of(5000, seed=9)
WEEK = timedelta(days=7)


@pytest.fixture
def pruned(holding):
    def pruned(*, older_than=WEEK, **more):
        return holding.catalog.prune(older_than=older_than, progress=holding.listener, **more)

    return pruned


@pytest.fixture
def later(holding):
    """Let a month pass: files cannot be older than the test, so the clock moves."""

    def later():
        holding.now = datetime.now(UTC) + timedelta(days=30)

    return later


def lay(holding, name, data=b"left"):
    path = holding.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def begin(holding, name, total_bytes=8):
    """Leave what a killed download leaves."""
    path = lay(holding, f"{name}.part", b"").with_suffix("")
    with contextlib.closing(Part(PartFile(path))) as part:
        part.belongs_to(total_bytes, "https://example.test/a", "v1")
        part.write(0, memoryview(b"half"))


# --- status ----------------------------------------------------------------------------------------


def test_status_tells_what_is_held_and_the_room_it_takes(holding):
    held = holding.download()
    found = holding.catalog.status()
    assert [item.held for item in found.payloads] == [held]
    assert found.payloads[0].is_there
    assert found.has_links
    assert (found.object_bytes, found.unfinished_bytes, found.quarantine_bytes) == (len(DATA), 0, 0)
    assert found.free_bytes > 0


def test_status_tells_when_names_on_shelves_are_missing(holding):
    held = holding.download()
    (holding.root / SHELF / held.name).unlink()
    assert not holding.catalog.status().has_links


def test_status_tells_what_is_missing_without_failing(holding):
    holding.download().path.unlink()
    assert not holding.catalog.status().payloads[0].is_there


def test_status_tells_unfinished_downloads_with_their_length(holding):
    begin(holding, f"{SHELF}/{PAYLOAD.name}")
    lay(holding, f"{SHELF}/other.zip.part")
    lay(holding, f"{SHELF}/other.zip.part.journal", b"[")
    found = {item.path.name: item for item in holding.catalog.status().unfinished}
    assert found[f"{PAYLOAD.name}.part"].total_bytes == 8
    assert found["other.zip.part"].total_bytes is None


def test_status_tells_leftovers_quarantine_and_what_cannot_be_understood(holding):
    holding.download()
    lay(holding, f"objects/ab/{'ab' * 32}")
    lay(holding, "quarantine/a.zip.123", b"12345")
    lay(holding, "quarantine/a.zip.123.txt")
    lay(holding, f"{SHELF}/b.zip.held.json", b"{")
    lay(holding, f"{SHELF}/c.zip.held.json", b'{"format": 1}')
    holding.plan({"shelf": SHELF, "name": PAYLOAD.name, "sha256": None})
    lay(holding, "plans/odd.json", b"{}")
    found = holding.catalog.status()
    assert [path.name for path in found.unreferenced] == ["ab" * 32]
    assert [path.name for path in found.quarantined] == ["a.zip.123"]
    assert found.quarantine_bytes == 5
    assert found.earlier == (f"{SHELF}/c.zip",)
    assert len(found.problems) == 1
    assert {plan.name: bool(plan.problem) for plan in found.plans} == {"trip": False, "odd": True}


def test_status_passes_over_what_vanishes_while_it_looks(holding):
    held = holding.download()
    for name in (f"objects/ab/{'ab' * 32}", f"{SHELF}/a.zip.part", "quarantine/a.zip.123"):
        lay(holding, name).unlink()
        (holding.root / name).symlink_to(holding.root / "gone")
    found = holding.catalog.status()
    assert [item.held for item in found.payloads] == [held]
    assert (found.unfinished, found.unreferenced, found.quarantined) == ((), (), ())


def test_status_of_no_catalog_is_a_storage_error(holding):
    with pytest.raises(StorageError):
        holding.catalog.status()


# --- prune -----------------------------------------------------------------------------------------


def test_what_is_held_stays(holding, pruned, later):
    holding.download()
    before = holding.files()
    later()
    assert pruned().removed == ()
    assert holding.files() == before


def test_bytes_without_a_record_go_once_they_are_old(holding, pruned, later):
    held = holding.download()
    stray = lay(holding, f"objects/ab/{'ab' * 32}")
    assert pruned().removed == ()
    later()
    assert [item.path for item in pruned().removed] == [stray]
    assert not stray.exists()
    assert held.path.exists()


def test_a_linked_file_with_an_old_time_of_its_own_is_not_old(holding, pruned):
    stray = lay(holding, f"objects/ab/{'ab' * 32}")
    os.utime(stray, (0, 0))
    assert pruned().removed == ()


def test_abandoned_downloads_and_copies_go_with_their_journals(holding, pruned, later):
    begin(holding, f"{SHELF}/a.zip")
    lay(holding, f"{SHELF}/b.zip.tmp")
    lay(holding, "sbe/Contoso_A_4.2.2603.1/c.zip.part")
    later()
    assert len(pruned().removed) == 3
    assert holding.files() == set()


def test_a_dry_run_removes_nothing_and_says_the_same(holding, pruned, later):
    lay(holding, f"{SHELF}/a.zip.part")
    later()
    told = pruned(is_dry_run=True)
    assert holding.files() == {f"{SHELF}/a.zip.part"}
    assert told.removed == pruned().removed
    assert holding.files() == set()


def test_quarantined_files_go_only_when_asked_and_their_explanations_stay(holding, pruned, later):
    lay(holding, "quarantine/a.zip.123")
    lay(holding, "quarantine/a.zip.123.txt")
    later()
    assert pruned().removed == ()
    pruned(with_quarantine=True)
    assert holding.files() == {"quarantine/a.zip.123.txt"}


def test_a_version_goes_when_asked_for_by_name_and_the_others_stay(holding, pruned):
    holding.download()
    other = holding.download(OTHER_DATA, version=OTHER)
    done = pruned(versions=[SHELF])
    assert (done.freed_bytes, done.kept) == (len(DATA), ())
    assert holding.catalog.held() == (other,)
    assert not any(name.startswith(SHELF) for name in holding.files())


def test_bytes_that_another_shelf_needs_stay(holding, pruned):
    holding.download()
    holding.download(payload=PAYLOAD, version=OTHER)
    assert pruned(versions=[SHELF]).removed == ()
    (left,) = holding.catalog.held()
    assert (left.shelf, left.path.read_bytes()) == (OTHER, DATA)


@pytest.mark.parametrize(
    "row",
    [
        {"shelf": SHELF, "name": PAYLOAD.name, "sha256": None},
        {"shelf": SHELF.upper(), "name": PAYLOAD.name.lower(), "sha256": PAYLOAD.sha256},
        {"shelf": "elsewhere", "name": "other", "sha256": PAYLOAD.sha256.upper()},
    ],
)
def test_nothing_goes_that_a_plan_needs(holding, pruned, row):
    held = holding.download()
    holding.plan(row)
    done = pruned(versions=[SHELF], older_than=timedelta(0))
    assert done.removed == ()
    assert "trip" in done.kept[0]
    assert holding.catalog.held() == (held,)


def test_bytes_that_only_a_plan_names_stay(holding, pruned, later):
    stray = lay(holding, f"objects/ab/{'ab' * 32}")
    holding.plan({"shelf": SHELF, "name": "a.zip", "sha256": "ab" * 32})
    later()
    assert pruned().removed == ()
    assert stray.exists()


def test_old_plans_go_when_asked_and_what_stayed_for_them_alone_goes_too(holding, pruned, later):
    held = holding.download()
    holding.plan({"shelf": SHELF, "name": held.name, "sha256": held.sha256}, name="given-up")
    lay(holding, "plans/odd.json", b"{")
    later()
    with pytest.raises(InputError, match="odd"):
        pruned(plans_older_than=timedelta(days=60))
    done = pruned(plans_older_than=WEEK, versions=[SHELF])
    assert {item.path.stem for item in done.removed} == {"given-up", "odd", held.sha256}
    assert done.kept == ()
    assert holding.files() == set()


def test_an_unfinished_download_that_a_plan_needs_stays(holding, pruned, later):
    lay(holding, f"{SHELF}/a.zip.part")
    holding.plan({"shelf": SHELF, "name": "a.zip", "sha256": None})
    later()
    assert pruned().removed == ()


@pytest.mark.parametrize(
    "text",
    [
        "{}", "[]", "", '{"payloads": 5}', '{"payloads": [{}]}', "[" * 100_000,
        '{"payloads": [{"name": "a", "shelf": "b", "sha256": "short"}]}',
        '{"payloads": [{"name": 1, "shelf": "b", "sha256": null}]}',
    ],
    ids=range(8),
)  # fmt: skip
def test_a_plan_that_cannot_be_understood_blocks_pruning(holding, pruned, later, text):
    lay(holding, "plans/odd.json", text.encode())
    lay(holding, f"{SHELF}/a.zip.part")
    later()
    with pytest.raises(InputError, match=r"odd\.json") as caught:
        pruned()
    assert "plan that trip again, or delete" in caught.value.hint
    with pytest.raises(InputError, match=r"odd\.json"):
        pruned(is_dry_run=True)
    assert f"{SHELF}/a.zip.part" in holding.files()


@pytest.mark.parametrize(
    ("old", "new"), [('"format": 1', '"format": 2'), ('"name": "a.zip"', '"name": "b.zip"')]
)
def test_a_plan_that_is_newer_or_was_changed_blocks_pruning(holding, pruned, later, old, new):
    plan = holding.plan({"shelf": SHELF, "name": "a.zip", "sha256": None}, name="odd")
    plan.write_text(plan.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    lay(holding, f"{SHELF}/a.zip.part")
    later()
    with pytest.raises(InputError, match=r"odd\.json"):
        pruned()
    assert f"{SHELF}/a.zip.part" in holding.files()


def test_a_record_that_cannot_be_understood_blocks_pruning(holding, pruned, later):
    lay(holding, f"{SHELF}/a.zip.held.json", b"{")
    lay(holding, f"objects/ab/{'ab' * 32}")
    later()
    with pytest.raises(InputError, match="record"):
        pruned()


def test_what_somebody_works_on_is_not_removed(holding, pruned):
    held = holding.download()
    lock = holding.root / SHELF / f"{held.name}.lock"
    with filelock.FileLock(lock), pytest.raises(StorageError, match="another ferry"):
        pruned(versions=[SHELF])
    assert holding.catalog.held() == (held,)


@pytest.mark.parametrize("name", ["a.zip.part", "a.zip.tmp", "a.zip.held.json.0a1b2c3d.tmp"])
def test_a_file_that_another_ferry_writes_stays_and_the_rest_goes(holding, pruned, later, name):
    lay(holding, f"{SHELF}/{name}")
    lay(holding, f"{SHELF}/b.zip.part")
    later()
    with filelock.FileLock(holding.root / SHELF / "a.zip.lock"):
        assert [item.path.name for item in pruned().removed] == ["b.zip.part"]
    assert holding.files() == {f"{SHELF}/{name}"}
    assert [item.path.name for item in pruned().removed] == [name]


def test_drafts_that_a_killed_ferry_left_anywhere_in_the_catalog_go(holding, pruned, later):
    names = (
        "plans/a.json.0b.tmp",
        f"{SHELF}/a.zip.held.json.tmp",
        "quarantine/a.txt.tmp",
        "a.0b.tmp",
    )
    for name in names:
        lay(holding, name)
    assert holding.catalog.status().quarantined == ()
    later()
    assert len(pruned().removed) == len(names)
    assert holding.files() == set()


def test_a_copy_that_is_a_link_with_an_old_time_is_not_old(holding, pruned):
    os.utime(lay(holding, f"{SHELF}/a.zip.tmp"), (0, 0))
    assert pruned().removed == ()


def test_scratch_folders_go_with_what_is_in_them_once_they_are_old(holding, pruned, later):
    lay(holding, "unpacked-a/x.xml")
    (holding.root / "unpacked-b").mkdir()
    pruned()
    assert sorted(path.name for path in holding.root.glob("unpacked-*")) == [
        "unpacked-a",
        "unpacked-b",
    ]
    later()
    assert [item.path.name for item in pruned().removed] == ["x.xml"]
    assert not list(holding.root.glob("unpacked-*"))


def test_foreign_files_in_the_folder_are_left_alone(holding, pruned, later):
    names = {"notes/a.part", "objects/ab/notes", "objects/readme.txt", "a.part"}
    for name in names:
        lay(holding, name)
    later()
    assert pruned(with_quarantine=True).removed == ()
    assert holding.files() == names


def test_an_sbe_goes_by_its_shelf(holding, pruned, file_of):
    held = holding.adopt(file_of(b"<x/>"))
    pruned(versions=[held.shelf])
    assert holding.files() == set()


def test_what_was_replaced_by_a_reviewed_pin_is_pruned(holding, pruned, later):
    old = holding.download()
    holding.download(OTHER_DATA, payload=payload_of(OTHER_DATA, PAYLOAD.name))
    later()
    assert [item.path for item in pruned().removed] == [old.path]
