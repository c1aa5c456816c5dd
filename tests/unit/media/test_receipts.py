"""Receipts on disk: added behind the newest, never changed, on the medium or beside it."""

import errno
import json
from dataclasses import replace

import pytest

from tests.unit.media.making import NOW, days, make_payload
from tests.unit.media.receipts import HOME, KEYS, SET_ID, SITE, Scroll
from toolkit.errors import InputError, RollbackError, SignatureError, StorageError
from toolkit.media import (
    ReceiptKind,
    Register,
    Scribe,
    Verdict,
    describe_medium,
    read_custody,
    vouched_key,
)
from toolkit.media._receipts import add_receipt, metadata_digest

ADA = Scribe(key=HOME, by="Ada", floor=NOW)
SET_NAME = "AZL-2603-TEST"


@pytest.fixture
def add(tmp_path):
    """Add a receipt to the set in the folder of the test."""

    def add(kind=ReceiptKind.VERIFY, scribe=ADA, facts=None, folder=tmp_path, **more):
        names = {"set_id": SET_ID, "set_name": SET_NAME, "now": NOW, **more}
        return add_receipt(folder, kind, facts or {}, scribe, **names)

    return add


def look(folder, **more):
    return read_custody(folder, set_id=SET_ID, keys=KEYS, **more)


def test_receipts_are_added_one_behind_the_other(tmp_path, add):
    for kind in ReceiptKind:
        written = add(kind)
        assert written.path == tmp_path / "custody" / written.receipt.file_name
        assert written.breaks == ()
    chain = look(tmp_path)
    assert chain.is_whole
    assert [entry.receipt.kind for entry in chain.authentic()] == list(ReceiptKind)


def test_an_earlier_receipt_is_never_touched(tmp_path, add):
    first = add().path
    before = first.read_bytes(), first.stat().st_mtime_ns
    add()
    assert (first.read_bytes(), first.stat().st_mtime_ns) == before


def test_a_receipt_beside_the_medium_goes_on_with_its_chain(tmp_path, add):
    add(ReceiptKind.WRITE)
    beside = tmp_path / "beside"
    for _ in range(2):
        assert add(receipts=beside, scribe=replace(ADA, key=SITE)).path.parent == beside
    assert len(list((tmp_path / "custody").iterdir())) == 1
    assert len(look(tmp_path).entries) == 1
    chain = look(tmp_path, receipts=beside)
    assert chain.is_whole
    assert len(chain.entries) == 3


def test_the_same_folder_named_twice_is_read_once(tmp_path, add):
    add()
    assert look(tmp_path, receipts=tmp_path / "custody").is_whole


def test_a_broken_chain_is_continued_and_told(tmp_path, add):
    add().path.unlink()
    add(scribe=ADA)
    add().path.write_bytes(b"spilt coffee")
    written = add()
    assert [seen.counter for seen in written.breaks] == [2]
    assert written.receipt.counter == 3
    assert [seen.counter for seen in look(tmp_path).breaks] == [2]


def test_a_clock_behind_the_floor_is_written_down(add):
    assert add(now=NOW - days(1)).receipt.is_clock_behind
    assert not add(now=NOW).receipt.is_clock_behind


def test_litter_and_unfinished_files_are_no_receipts(tmp_path, add):
    add()
    for name in (".DS_Store", "Thumbs.db", "._0001-verify-00000001.json", "0002-x.json.part"):
        (tmp_path / "custody" / name).write_bytes(b"x")
    assert look(tmp_path).is_whole


def test_a_half_receipt_of_a_killed_process_is_litter_and_in_nobody_s_way(site, medium, folder):
    label = describe_medium(folder)
    register = Register(label=label, scribe=ADA, now=lambda: NOW)
    left = folder / "custody" / f"{register.write().path.name}.part"
    left.write_bytes(b"{")
    report = site.open(folder).verify()
    (litter,) = report.having(Verdict.LITTER)
    assert (litter.path, litter.detail) == (
        f"custody/{left.name}",
        "left by unfinished writing",
    )
    assert report.problem() is None
    assert report.is_tidy()
    assert register.verify(report, None).breaks == ()
    chain = read_custody(folder, set_id=label.set_id, keys=KEYS)
    assert chain.is_whole
    assert len(chain.entries) == 2
    assert left.read_bytes() == b"{"


def test_anything_else_in_the_folder_is_named(tmp_path, add):
    add()
    (tmp_path / "custody" / "notes.txt").write_text("x", encoding="utf-8")
    assert "notes.txt cannot be read as a receipt" in look(tmp_path).breaks[0].text


def test_a_link_is_never_followed(tmp_path, add):
    name = add().path
    name.rename(tmp_path / "elsewhere.json")
    name.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(StorageError, match="not a regular file") as caught:
        look(tmp_path)
    assert "move away what stands there" in caught.value.hint


def test_a_folder_among_receipts_is_named_with_what_to_do(tmp_path, add):
    add()
    (tmp_path / "custody" / "copies").mkdir()
    with pytest.raises(StorageError, match="copies") as caught:
        look(tmp_path)
    (tmp_path / "custody" / "copies").rename(tmp_path / "copies")
    assert "move away what stands there" in caught.value.hint
    assert len(look(tmp_path).entries) == 1


def test_a_folder_of_anything_is_not_read_as_one_of_receipts(tmp_path):
    (tmp_path / "many").mkdir()
    for number in range(2000):
        (tmp_path / "many" / f"{number}.txt").touch()
    with pytest.raises(InputError, match="2000 files"):
        look(tmp_path, receipts=tmp_path / "many")


def test_receipts_of_two_sets_are_not_mixed_in_one_folder(tmp_path, add):
    beside = tmp_path / "beside"
    add(receipts=beside)
    (tmp_path / "other").mkdir()
    with pytest.raises(StorageError, match="is a receipt of the set") as caught:
        add(folder=tmp_path / "other", receipts=beside, set_id="x", set_name="AZL-OTHER")
    assert "each set has its own" in caught.value.hint


def test_a_write_protected_medium_is_told_of_receipts_beside_it(add, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("toolkit.media._receipts.write_durably", refuse)
    with pytest.raises(StorageError, match="write-protected") as caught:
        add()
    assert "--receipts DIR" in caught.value.hint


def test_the_longest_chain_ends_with_a_sentence(tmp_path, add):
    scroll = Scroll()
    name = scroll.add("verify", HOME, counter=999, previous="0" * 64)
    (tmp_path / "custody").mkdir()
    (tmp_path / "custody" / name).write_bytes(scroll.files[name])
    with pytest.raises(InputError, match="999"):
        add()


def test_a_receipt_that_no_reader_would_take_is_not_written(tmp_path, add):
    with pytest.raises(InputError, match="bytes"):
        add(facts={"files": ["x" * 100] * 1000})
    assert not (tmp_path / "custody").exists()


@pytest.mark.parametrize("name", [" Ada", "Ada\n", "A\x1bda"])
def test_a_name_that_is_no_line_is_refused_before_any_work(name):
    with pytest.raises(InputError, match="name"):
        replace(ADA, by=name)


def test_no_secret_stands_in_the_receipt_nor_in_what_is_shown(add):
    written = add()
    document = json.loads(written.path.read_bytes())
    assert set(document["signatures"][0]) == {"keyid", "public", "sig"}
    assert "key" not in repr(ADA)


def test_the_metadata_of_a_set_are_one_digest(folder, tmp_path):
    assert len(metadata_digest(folder)) == 64
    with pytest.raises(StorageError):
        metadata_digest(tmp_path)


# --- home's key ---------------------------------------------------------------------------------


def test_a_site_knows_the_key_of_home_by_the_signed_metadata(publisher, payload, root, site):
    publisher.write(root, payload, custody_key=HOME.public_hex)
    memory = site.memory()
    assert vouched_key(root, site.folder, now=NOW) == HOME.fingerprint
    assert site.memory() == memory, "nothing is remembered"


def test_an_older_set_that_is_still_good_vouches_for_its_key(
    publisher, payload, root, site, tmp_path
):
    publisher.write(root, payload, custody_key=HOME.public_hex)
    site.open(publisher.write(tmp_path / "newer", payload, now=NOW + days(1)).folder)
    assert site.open(root).warnings
    assert vouched_key(root, site.folder, now=NOW) == HOME.fingerprint
    site.open(
        publisher.write(
            tmp_path / "other", make_payload(tmp_path / "held", data=b"new"), now=NOW + days(2)
        ).folder
    )
    with pytest.raises(RollbackError, match="withdrawn"):
        vouched_key(root, site.folder, now=NOW)


def test_a_set_without_such_a_key_names_none(medium, site):
    assert vouched_key(medium, site.folder, now=NOW) == ""


def test_the_key_of_home_is_believed_under_the_pinned_root_only(
    publisher, other_publisher, payload, root, site
):
    other_publisher.write(root, payload, custody_key=HOME.public_hex)
    with pytest.raises(SignatureError):
        vouched_key(root, site.folder, now=NOW)


def test_a_key_of_another_form_is_not_believed(publisher, payload, root, site):
    publisher.write(root, payload, custody_key="no hex digits")
    with pytest.raises(SignatureError, match="key of home"):
        vouched_key(root, site.folder, now=NOW)


def test_a_proven_set_was_written_before_now(folder, site):
    medium = site.open(folder)
    scribe = replace(ADA, floor=None)
    early = Register(label=medium.describe(), scribe=scribe, now=lambda: NOW - days(1))
    assert early.hand_over("Ben").receipt.is_clock_behind
    late = Register(label=medium.describe(), scribe=scribe, now=lambda: NOW)
    assert not late.hand_over("Ben").receipt.is_clock_behind
