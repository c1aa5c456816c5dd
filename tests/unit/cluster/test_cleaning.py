"""What of the import folder is ours, what is somebody else's, and what is still needed."""

import functools
from dataclasses import replace
from pathlib import PureWindowsPath

import pytest

from tests.unit.cluster.fakes import VERSION, Session, World
from toolkit.cluster import _cmdlets
from toolkit.cluster._byte_road import SCRATCH
from toolkit.cluster._cleaning import Cleaner, Leftover, belongings, foreign, needed
from toolkit.cluster._cmdlets import IMPORT_FOLDER
from toolkit.cluster._cmdlets.share import ShareItem
from toolkit.cluster._fencing import Claim
from toolkit.cluster._share_records import (
    RECORDS_FOLDER,
    ImportStep,
    Outcome,
    ShareRecord,
    ShareView,
    digest_of,
    records_folder,
)
from toolkit.errors import CommandError, InputError, SessionLostError, StateError
from toolkit.model import Silent, SolutionVersion
from toolkit.site import Journal

BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
SBE = f"{VERSION}-SBE_Contoso_GenA_4.2.2604.1"


def item(name, size_bytes=10, *, is_folder=False):
    return ShareItem(
        path=IMPORT_FOLDER / name,
        is_folder=is_folder,
        size_bytes=0 if is_folder else size_bytes,
        written_at="",
    )


def folder(name):
    return item(name, is_folder=True)


def record(step, outcome, name, **more):
    return ShareRecord(
        token=1,
        number=1,
        step=step,
        outcome=outcome,
        delivery=more.pop("delivery", str(VERSION)),
        path=str(name if isinstance(name, PureWindowsPath) else IMPORT_FOLDER / name),
        node="n1",
        site_id="s",
        machine="m",
        **more,
    )


COPIED = record(ImportStep.COPY, Outcome.INTENT, BUNDLE, sha256="aa")
EXPANDED = (folder(str(VERSION)), item(rf"{VERSION}\a.xml", 5))


def expanded(items=EXPANDED):
    content = digest_of(items, IMPORT_FOLDER / str(VERSION))
    facts = {"content": content}
    return record(ImportStep.EXPAND, Outcome.DONE, str(VERSION), sha256="aa", facts=facts)


def ours(items, *records):
    """Return names and sizes of what may be removed."""
    found = belongings(ShareView(items=tuple(items), records=records), VERSION)
    return {str(one.path.relative_to(IMPORT_FOLDER)): one.size_bytes for one in found}


def test_copied_file_and_its_unfinished_form_are_ours():
    items = [item(BUNDLE, 7), item(f"{BUNDLE}.t0000001.part", 3), item("other.zip")]
    assert ours(items, COPIED) == {BUNDLE: 7, f"{BUNDLE}.t0000001.part": 3}


def test_file_that_no_record_knows_is_not_ours():
    assert ours([item(BUNDLE)]) == {}


def test_folder_that_holds_what_was_expanded_is_ours_whole():
    assert ours(EXPANDED, expanded()) == {str(VERSION): 5}


@pytest.mark.parametrize("more", [item(rf"{VERSION}\notes.txt"), item(rf"{VERSION}\sub\deep.txt")])
def test_folder_into_which_somebody_put_a_file_is_left(more):
    assert ours([*EXPANDED, more], expanded()) == {}


def test_unfinished_folder_is_ours_whatever_it_holds():
    part = f"{VERSION}.t0000001.0004.part"
    intent = record(ImportStep.EXPAND, Outcome.INTENT, str(VERSION), part=part)
    assert ours([folder(part), item(rf"{part}\a.xml", 4)], intent) == {part: 4}


def test_folder_of_an_sbe_is_ours_only_if_nothing_else_lies_in_it():
    copies = [
        record(ImportStep.COPY, Outcome.INTENT, rf"{SBE}\{name}", delivery=SBE)
        for name in ("x.zip", "x.xml")
    ]
    items = [folder(SBE), item(rf"{SBE}\x.zip", 6), item(rf"{SBE}\x.xml", 1)]
    assert ours(items, *copies) == {SBE: 7}
    assert ours([*items, item(rf"{SBE}\notes.txt")], *copies) == {
        rf"{SBE}\x.zip": 6,
        rf"{SBE}\x.xml": 1,
    }


@pytest.mark.parametrize(
    "name",
    [
        "Other.zip",
        r"ferry\token-0000001.json",
        PureWindowsPath(r"C:\Windows\notepad.exe"),
        IMPORT_FOLDER,
        IMPORT_FOLDER.parent / "Updates" / "Packages" / f"Solution{VERSION}",
        "CombinedSolutionBundle.12.2604.1003.91.zip",
    ],
)
def test_record_that_names_what_ferry_would_not_call_so_removes_nothing(name):
    items = [item("Other.zip"), item(r"ferry\token-0000001.json")]
    items += [item("CombinedSolutionBundle.12.2604.1003.91.zip")]
    assert ours(items, record(ImportStep.COPY, Outcome.DONE, name)) == {}


def test_what_was_added_is_not_removed_for_its_submission_alone():
    assert ours(EXPANDED, record(ImportStep.SUBMIT, Outcome.DONE, str(VERSION))) == {}


def test_foreign_things_are_named_once_and_from_their_top():
    known = [Leftover(path=IMPORT_FOLDER / SBE / "x.zip", size_bytes=1, version="v")]
    items = [
        folder("theirs"),
        item(r"theirs\deep\a.bin", 4),
        item("note.txt", 2),
        folder(SBE),
        item(rf"{SBE}\x.zip"),
        item(rf"{SBE}\mine.txt", 3),
        item(str((RECORDS_FOLDER / "token-0000001.json").relative_to(IMPORT_FOLDER))),
    ]
    found = {
        str(one.path.relative_to(IMPORT_FOLDER)): one.size_bytes for one in foreign(items, known)
    }
    assert found == {"theirs": 4, "note.txt": 2, rf"{SBE}\mine.txt": 3}


# --- needed -------------------------------------------------------------------------------------

ADDED = record(ImportStep.SUBMIT, Outcome.DONE, str(VERSION))
LOST = replace(ADDED, outcome=Outcome.LOST)
SBE_ADDED = record(ImportStep.SUBMIT, Outcome.INTENT, SBE, delivery=SBE)
OLDER = SolutionVersion.parse("12.2602.1002.501")


def listed(state):
    row = {"ResourceId": f"redmond/Solution{VERSION}", "State": state, "Version": str(VERSION)}
    return _cmdlets.updates().parse((row,))


@pytest.mark.parametrize(
    ("records", "updates", "installed", "why"),
    [
        ([ADDED], (), OLDER, "not listed yet"),
        ([replace(ADDED, outcome=Outcome.INTENT)], (), None, "not listed yet"),
        ([ADDED], (), VERSION, ""),  # installed since, and listed no more
        ([LOST], (), OLDER, ""),
        ([COPIED], (), OLDER, ""),  # never added: a leftover
        ([ADDED], listed("Ready"), OLDER, ""),
        ([ADDED], listed("Installing"), OLDER, "its run is in progress (Installing)"),
        ([ADDED], listed("InstallationFailed"), OLDER, ""),
        ([ADDED], listed("AdditionalContentRequired"), OLDER, ""),
        ([ADDED, SBE_ADDED], listed("AdditionalContentRequired"), OLDER, "its SBE was added"),
    ],
)
def test_version_is_kept_while_the_update_service_may_read_it(records, updates, installed, why):
    said = needed(VERSION, records, updates, installed)
    assert (said.find(why) >= 0) if why else said == ""


# --- the whole of it, against a node in memory ----------------------------------------------------

SHARED = str(IMPORT_FOLDER / BUNDLE)


def cleaner(world, journal, meanwhile=lambda: None):
    """A cleaner before which another laptop acts, as long as the token is not taken."""

    class Late(Claim):
        def hold(self, session):
            meanwhile()
            Claim.hold(self, session)

    def claim(version):
        return Late(
            version=version, site_id="s", progress=Silent(), sleep=lambda seconds: None, stall_s=1
        )

    made = Cleaner(cluster="plant7", journal=journal, progress=Silent(), claim=claim)
    return functools.partial(made.run, Session(world), "n1")


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


@pytest.fixture
def world():
    made = World(files={SHARED: b"zip"})
    made.folders |= {str(IMPORT_FOLDER), str(RECORDS_FOLDER), str(records_folder(VERSION))}
    write(made, COPIED)
    return made


def write(world, record):
    path = records_folder(VERSION) / record.file_name
    world.files[str(path)] = record.text().encode()


def test_cleaning_removes_what_is_ours_and_its_records(world, journal):
    done = cleaner(world, journal)(None, all_versions=False, dry_run=False)
    assert [one.path.name for one in done.removed] == [BUNDLE]
    assert set(world.files) == {
        str(RECORDS_FOLDER / "token-0000001.json"),
        str(RECORDS_FOLDER / "token-0000001.left"),
    }


def test_what_a_measuring_that_was_cut_off_left_is_removed_too(world, journal):
    world.files[str(SCRATCH)] = bytes(9)
    done = cleaner(world, journal)(None, all_versions=True, dry_run=False)
    assert [(one.path.name, one.size_bytes) for one in done.removed] == [
        (BUNDLE, 3),
        (SCRATCH.name, 9),
    ]
    assert str(SCRATCH) not in world.files
    assert not done.left


def test_what_is_added_while_the_token_is_waited_for_is_not_removed(world, journal):
    late = cleaner(world, journal, lambda: write(world, ADDED))
    with pytest.raises(StateError, match="not listed yet"):
        late(None, all_versions=False, dry_run=False)
    assert SHARED in world.files
    assert str(RECORDS_FOLDER / "token-0000001.left") in world.files


@pytest.mark.parametrize(("records", "advice"), [((), "nothing is left"), ((COPIED,), "--all-")])
def test_version_without_records_is_refused_with_what_can_be_named(journal, records, advice):
    world = World(folders={str(IMPORT_FOLDER), str(RECORDS_FOLDER)})
    if records:
        world.folders.add(str(records_folder(VERSION)))
    with pytest.raises(InputError) as caught:
        cleaner(world, journal)(OLDER, all_versions=False, dry_run=False)
    assert advice in caught.value.hint


@pytest.mark.parametrize("wanted", [None, VERSION])
def test_cleaning_whose_session_is_lost_goes_on_through_another_node(
    world, journal, monkeypatch, wanted
):
    def lost(self, values, command):
        taken(self, values, command)
        monkeypatch.setattr(Session, "_Remove_Item", taken)
        raise SessionLostError("remove")

    taken = Session._Remove_Item
    monkeypatch.setattr(Session, "_Remove_Item", lost)
    clean = cleaner(world, journal)
    with pytest.raises(SessionLostError):
        clean(wanted, all_versions=False, dry_run=False)
    done = clean(wanted, all_versions=False, dry_run=False)
    assert [one.path.name for one in done.removed] == [BUNDLE]
    assert not any(str(records_folder(VERSION)) in path for path in world.files)
    assert [entry.outcome for entry in journal.entries(cluster="plant7")] == ["intent", "done"]


def half_removed(world, journal, monkeypatch):
    """A cleaner whose session is lost when half of the expanded folder is removed."""

    def lost(self, values, command):
        if values["LiteralPath"] == str(IMPORT_FOLDER / str(VERSION)):
            del self.world.files[rf"{values['LiteralPath']}\a.xml"]
            monkeypatch.setattr(Session, "_Remove_Item", taken)
            raise SessionLostError("remove")
        return taken(self, values, command)

    taken = Session._Remove_Item
    monkeypatch.setattr(Session, "_Remove_Item", lost)
    top = IMPORT_FOLDER / str(VERSION)
    world.folders.add(str(top))
    world.files |= {rf"{top}\{name}.xml": b"12345" for name in "ab"}
    write(world, expanded((*EXPANDED, item(rf"{VERSION}\b.xml", 5))))
    clean = cleaner(world, journal)
    with pytest.raises(SessionLostError):
        clean(None, all_versions=False, dry_run=False)
    return clean


def test_rest_of_what_was_being_removed_goes_too(world, journal, monkeypatch):
    done = half_removed(world, journal, monkeypatch)(None, all_versions=False, dry_run=False)
    assert {one.path.name for one in done.removed} == {str(VERSION), BUNDLE}
    assert not done.left


def test_measuring_whose_removal_was_lost_is_removed_once(world, journal, monkeypatch):
    def lost(self, values, command):
        if values["LiteralPath"] == str(SCRATCH):
            monkeypatch.setattr(Session, "_Remove_Item", taken_once)
            raise SessionLostError("remove")
        return taken(self, values, command)

    def taken_once(self, values, command):
        path = values["LiteralPath"]
        if path not in self.world.files and path not in self.world.folders:
            raise CommandError("remove", cmdlet="Remove-Item", error_id="PathNotFound")
        return taken(self, values, command)

    taken = Session._Remove_Item
    monkeypatch.setattr(Session, "_Remove_Item", lost)
    world.files[str(SCRATCH)] = bytes(9)
    clean = cleaner(world, journal)
    with pytest.raises(SessionLostError):
        clean(None, all_versions=False, dry_run=False)
    done = clean(None, all_versions=False, dry_run=False)
    assert [one.path.name for one in done.removed] == [BUNDLE, SCRATCH.name]
    assert not done.left
    assert not any(str(records_folder(VERSION)) in path for path in world.files)


def test_rest_into_which_somebody_wrote_is_left(world, journal, monkeypatch):
    clean = half_removed(world, journal, monkeypatch)
    world.files[str(IMPORT_FOLDER / str(VERSION) / "b.xml")] = b"other"
    done = clean(None, all_versions=False, dry_run=False)
    assert [one.path.name for one in done.removed] == [BUNDLE]
    assert [one.path.name for one in done.left] == [str(VERSION)]
    assert done.has_foreign


def test_version_whose_records_went_when_the_session_was_lost_is_no_mistake(world, journal):
    clean = cleaner(world, journal)
    done = clean(VERSION, all_versions=False, dry_run=False)
    assert clean(VERSION, all_versions=False, dry_run=False).removed == done.removed


OTHER = SolutionVersion.parse("12.2605.1003.1")
OTHERS = str(IMPORT_FOLDER / f"CombinedSolutionBundle.{OTHER}.zip")


def import_other(world, *records):
    """Another version stands there too."""
    copied = record(ImportStep.COPY, Outcome.INTENT, PureWindowsPath(OTHERS), delivery=str(OTHER))
    world.files[OTHERS] = b"zip"
    world.folders.add(str(records_folder(OTHER)))
    for one in (copied, *records):
        world.files[str(records_folder(OTHER) / one.file_name)] = one.text().encode()


@pytest.mark.parametrize("wanted", [None, VERSION])
@pytest.mark.parametrize("records", [(), (replace(ADDED, delivery=str(OTHER)),)])
def test_other_version_stays_where_records_went_when_the_session_was_lost(
    world, journal, monkeypatch, wanted, records
):
    def lost(self, values, command):
        taken(self, values, command)
        if values["LiteralPath"] == str(records_folder(VERSION)):
            raise SessionLostError("remove")
        return []

    taken = Session._Remove_Item
    monkeypatch.setattr(Session, "_Remove_Item", lost)
    clean = cleaner(world, journal)
    if wanted:
        import_other(world, *records)
    with pytest.raises(SessionLostError):
        clean(wanted, all_versions=False, dry_run=False)
    if not wanted:  # another laptop imports it while the next node is reached
        import_other(world, *records)
    done = clean(wanted, all_versions=False, dry_run=False)
    assert [one.path.name for one in done.removed] == [BUNDLE]
    assert [(str(one.path), one.version) for one in done.left] == [(OTHERS, str(OTHER))]
    assert OTHERS in world.files


def test_version_that_is_imported_while_the_token_is_waited_for_is_left(world, journal):
    clean = cleaner(world, journal, lambda: import_other(world))
    done = clean(None, all_versions=False, dry_run=False)
    assert [one.path.name for one in done.removed] == [BUNDLE]
    assert [(str(one.path), one.version) for one in done.left] == [(OTHERS, str(OTHER))]


def test_what_would_go_is_only_told(world, journal):
    before = dict(world.files)
    done = cleaner(world, journal)(None, all_versions=False, dry_run=True)
    assert [one.path.name for one in done.removed] == [BUNDLE]
    assert world.files == before


def test_empty_record_stops_no_cleaning(world, journal):
    world.files[str(records_folder(VERSION) / "0000001-0009-submit-done.json")] = b""
    done = cleaner(world, journal)(None, all_versions=False, dry_run=False)
    assert len(done.removed) == 1


def test_folder_that_only_reads_like_a_version_stops_no_cleaning(world, journal):
    world.folders.remove(str(records_folder(VERSION)))
    world.folders.add(str(RECORDS_FOLDER / "012.2604.1003.9"))
    done = cleaner(world, journal)(None, all_versions=False, dry_run=False)
    assert done.removed == ()
    assert [one.path.name for one in done.left] == [BUNDLE]
    assert not any("Remove-Item" in name for name in world.sent)
