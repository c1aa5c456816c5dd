"""Files that came by another way than a download."""

from __future__ import annotations

import os

import pytest

from tests.unit.catalog.fakes import digest_of, zip_of
from tests.unit.catalog.holding import SBE_NAMES, SBE_SHELF, says
from toolkit.errors import DigestError, InputError, StorageError
from toolkit.model import FileVerdict, Stance, StatementKind

XML = b"<SBE/>" * 400


def test_a_file_is_held_on_its_shelf_with_what_its_witnesses_say(holding, file_of):
    held = holding.adopt(file_of(XML), expected=digest_of(XML))
    assert held.path.read_bytes() == XML
    assert (held.version, held.shelf) == (None, SBE_SHELF)
    assert held.judgement.verdict is FileVerdict.PROVEN
    assert holding.catalog.held() == (held,)
    assert (holding.root / SBE_SHELF / held.name).samefile(held.path)


def test_a_family_may_hold_underscores_and_is_recorded_apart(holding, file_of):
    holding.adopt(file_of(XML))
    (record,) = (holding.root / SBE_SHELF).glob("*.held.json")
    text = record.read_text(encoding="utf-8")
    for part in ('"publisher": "Contoso"', '"family": "Gen_A"', '"version": "4.2.2603.1"'):
        assert part in text


def test_a_file_of_ours_on_the_same_disk_is_linked_and_becomes_read_only(holding, file_of):
    source = file_of(XML)
    held = holding.adopt(source)
    assert held.path.samefile(source)
    assert source.stat().st_mode & 0o777 == 0o444


def test_the_given_file_may_be_deleted_afterwards(holding, file_of):
    source = file_of(XML)
    held = holding.adopt(source)
    source.unlink()
    assert held.path.read_bytes() == XML


def test_where_nothing_can_be_linked_the_file_is_copied_and_hashed_on_the_way(
    holding, file_of, monkeypatch
):
    def refuse(*_args, **_more):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    source = file_of(XML)
    held = holding.adopt(source)
    assert held.path.read_bytes() == XML
    assert not held.path.samefile(source)
    assert not (holding.root / SBE_SHELF / held.name).exists()
    assert holding.catalog.held() == (held,)
    assert (f"copy {source.name}", len(XML)) in holding.listener.steps


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners of files exist on POSIX only")
def test_a_file_of_another_user_is_copied_for_he_could_change_it(holding, file_of):
    source = file_of(XML)
    try:
        os.chown(source, 12345, 12345)
    except PermissionError:
        pytest.skip("only root may give files away")
    assert not holding.adopt(source).path.samefile(source)


def test_a_link_is_followed_by_copying(holding, file_of, tmp_path):
    (tmp_path / "link").symlink_to(file_of(XML))
    held = holding.adopt(tmp_path / "link")
    assert not held.path.is_symlink()
    assert held.path.read_bytes() == XML


def test_a_file_with_another_hash_is_refused_and_stays_where_it_is(holding, file_of):
    source = file_of(XML)
    with pytest.raises(DigestError, match="sha256") as caught:
        holding.adopt(source, expected=digest_of(b"other"))
    assert "nothing was added" in caught.value.hint
    assert source.read_bytes() == XML
    assert holding.files() == set()


def test_a_file_that_a_witness_speaks_against_is_refused(holding, file_of):
    against = (says(StatementKind.SIGNATURE, Stance.AGAINST),)
    with pytest.raises(DigestError, match="signature says so"):
        holding.adopt(file_of(XML), statements=against)
    assert holding.files() == set()


def test_a_damaged_zip_is_refused(holding, file_of):
    data = zip_of(5000)
    with pytest.raises(DigestError, match="zip"):
        holding.adopt(file_of(data[:-30]), name=SBE_NAMES[2])


def test_the_expected_hash_alone_proves_nothing(holding, file_of):
    held = holding.adopt(file_of(XML), expected=digest_of(XML), statements=())
    assert held.judgement.verdict is FileVerdict.UNPROVEN


def test_a_held_file_is_not_read_again(holding, file_of):
    first = holding.adopt(file_of(XML), expected=digest_of(XML))
    again = holding.adopt(file_of(b"never read", "other"), expected=digest_of(XML))
    assert again == first
    assert holding.said("was not read")


def test_the_same_bytes_under_two_names_take_the_room_of_one(holding, file_of):
    first = holding.adopt(file_of(XML))
    second = holding.adopt(file_of(XML, "again"), shelf="sbe/Contoso_B_4.2.2603.2")
    assert first.path == second.path
    assert len([name for name in holding.files() if name.startswith("objects/")]) == 1


def test_a_newer_file_of_the_same_name_takes_the_place_of_the_older(holding, file_of):
    holding.adopt(file_of(XML))
    newer = holding.adopt(file_of(XML + b"!", "newer"))
    assert holding.catalog.held() == (newer,)
    assert (holding.root / SBE_SHELF / newer.name).read_bytes() == XML + b"!"


def test_an_unproven_file_never_takes_the_place_of_a_proven_one(holding, file_of):
    proven = holding.adopt(file_of(XML))
    with pytest.raises(InputError, match="held here as proven") as caught:
        holding.adopt(file_of(XML + b"!", "newer"), statements=())
    assert "prune" in caught.value.hint
    assert holding.catalog.held() == (proven,)


def test_a_file_that_takes_anothers_place_is_told(holding, file_of):
    older = holding.adopt(file_of(XML), statements=())
    holding.adopt(file_of(XML + b"!", "newer"), statements=())
    assert holding.said(older.sha256)


def test_what_is_said_against_a_newer_file_does_not_touch_the_held_one(holding, file_of):
    held = holding.adopt(file_of(XML))
    against = (says(StatementKind.SIGNATURE, Stance.AGAINST),)
    with pytest.raises(DigestError):
        holding.adopt(file_of(XML + b"!", "newer"), statements=against)
    assert holding.catalog.held() == (held,)


def test_a_file_that_somebody_still_writes_is_refused(holding, file_of):
    source = file_of(XML)

    def write(_count):
        del holding.listener.advance  # once
        with source.open("ab") as file:
            file.write(b"more")

    holding.listener.advance = write
    with pytest.raises(StorageError, match="changed while it was read"):
        holding.adopt(source)
    assert holding.files() == set()


def test_all_files_of_an_sbe_are_found_by_its_shelf(holding, file_of):
    holding.adopt(file_of(XML))
    with pytest.raises(StorageError, match=SBE_NAMES[0]):
        holding.catalog.find(SBE_SHELF)
    holding.adopt(file_of(b"<x/>", "b"), name=SBE_NAMES[0])
    holding.adopt(file_of(zip_of(5000), "c"), name=SBE_NAMES[2])
    assert {held.name for held in holding.catalog.find(SBE_SHELF)} == set(SBE_NAMES)


@pytest.mark.parametrize(
    ("shelf", "name"),
    [
        ("12.2604", "a.xml"), ("sbe/Contoso_4.2.2603.1", "a.xml"), ("sbe/../x_y_1.2.3.4", "a.xml"),
        ("sbe/Contoso_A_4.2", "a.xml"), ("SBE_Contoso", "a.xml"), (SBE_SHELF, "../a.xml"),
        ("sbe/a/b_c_1.2.3.4", "a.xml"), ("sbe/nul_A_1.2.3.4", "a.xml"), (SBE_SHELF, "a.lock"),
        ("sbe/Contoso_" + "A" * 80 + "_1.2.3.4", "a.xml"), ("sbe/Contoso_A_1.02.3.4", "a.xml"),
    ],
)  # fmt: skip
def test_a_place_that_is_none_is_an_input_error(holding, file_of, shelf, name):
    with pytest.raises(InputError):
        holding.adopt(file_of(XML), shelf=shelf, name=name)
    assert not holding.root.exists()


def test_a_missing_file_is_a_storage_error(holding, tmp_path):
    with pytest.raises(StorageError, match="nowhere"):
        holding.adopt(tmp_path / "nowhere")


def test_damaged_bytes_without_a_record_are_set_aside_and_replaced(holding, file_of):
    stray = holding.root / "objects" / digest_of(XML)[:2] / digest_of(XML)
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"half")
    held = holding.adopt(file_of(XML), expected=digest_of(XML))
    assert held.path.read_bytes() == XML
    assert len(list((holding.root / "quarantine").glob("*.txt"))) == 1
    assert holding.said("set aside")


# --- accepting -------------------------------------------------------------------------------------


@pytest.fixture
def unproven(holding, file_of):
    return holding.adopt(file_of(XML), statements=())


def test_an_accepted_file_carries_name_reason_and_time(holding, unproven):
    held = holding.catalog.accept(unproven.name, by="Ada", reason="compared by telephone")
    assert (held.acceptance.by, held.acceptance.reason) == ("Ada", "compared by telephone")
    assert holding.catalog.held()[0].acceptance == held.acceptance
    assert held.acceptance.at == holding.now


def test_what_is_proven_needs_nobody(holding, file_of):
    proven = holding.adopt(file_of(XML))
    with pytest.raises(InputError, match="proven"):
        holding.catalog.accept(proven.name, by="Ada", reason="why not")


@pytest.mark.parametrize(
    ("by", "reason", "found"), [("", "x", "nobody's name"), ("Ada", " ", "no reason")]
)
def test_nobody_or_no_reason_accepts_nothing(holding, unproven, by, reason, found):
    with pytest.raises(InputError, match=found):
        holding.catalog.accept(unproven.name, by=by, reason=reason)


def test_a_name_on_two_shelves_must_be_said_in_full(holding, unproven, file_of):
    other = "sbe/Contoso_B_4.2.2603.2"
    holding.adopt(file_of(b"b", "b"), shelf=other, statements=())
    with pytest.raises(InputError, match="2 of them"):
        holding.catalog.accept(unproven.name, by="Ada", reason="x")
    held = holding.catalog.accept(f"{other}/{unproven.name}", by="Ada", reason="x")
    assert held.shelf == other


def test_an_acceptance_ends_when_the_file_is_another(holding, unproven, file_of):
    holding.catalog.accept(unproven.name, by="Ada", reason="x")
    assert holding.adopt(file_of(b"other", "b"), statements=()).acceptance is None


def test_an_acceptance_ends_when_the_file_is_proven(holding, unproven, file_of):
    holding.catalog.accept(unproven.name, by="Ada", reason="x")
    again = holding.adopt(file_of(XML, "b"), expected=digest_of(XML))
    assert (again.judgement.verdict, again.acceptance) == (FileVerdict.PROVEN, None)


def test_a_lost_file_of_an_sbe_is_to_be_added_not_downloaded(holding, unproven):
    unproven.path.unlink()
    with pytest.raises(StorageError) as caught:
        holding.catalog.held()
    assert "ferry catalog add" in caught.value.hint
