"""What a set says of itself against what was signed of it, and which medium of its set a folder is."""

import random
import shutil
import sys
from dataclasses import fields, replace
from datetime import timedelta

import pytest

from tests.unit.media.making import NOW, days, make_payload
from tests.unit.media.test_spread import TWO
from tests.unit.media.test_supplement import (
    BUNDLE,
    SBE,
    at_this_time,  # noqa: F401 - a fixture that is used by being here
    copied,
    cross,  # noqa: F401 - as above
    damaged,  # noqa: F401 - as above
)
from tests.unit.media.test_write import Heard, content
from toolkit.errors import StorageError
from toolkit.media import Verdict, site_recipient
from toolkit.media._device import BLOCK_BYTES
from toolkit.media._set import Intent
from toolkit.model import Sha256

DIGEST = Sha256("0" * 64)
OTHER = {
    "set_id": "4f1c2d3e-5a6b-4c7d-8e9f-0a1b2c3d4e5f",
    "set_name": "AZL-OTHER",
    "issued_at": NOW - days(900),
    "expires_at": NOW - days(700),
    "root": "0123 4567",
    "payloads": (("other.zip", 3, DIGEST),),
    "medium": 7,
    "media_count": 7,
    "recipients": ("age1other",),
    "supplement": (f"data/{BUNDLE}",),
}


def edit(complete, **values):
    """Have a complete.json say something else; a supplement is medium 0."""
    intent = Intent.from_bytes(complete.read_bytes(), file="complete.json")
    if "supplement" in values:
        values["medium"] = 0
    complete.write_bytes(replace(intent, **values).to_bytes())


def judged(site, root):
    """The verdict on complete.json where nothing else is wrong, and the error it amounts to."""
    report = site.open(root, accept_incomplete=True).verify()
    (bad,) = (file for file in report.files if file.verdict is not Verdict.OK)
    assert bad.path == "complete.json"
    return bad, report.problem()


def judged_good(site, root):
    return site.open(root).verify().problem() is None


def test_every_field_is_compared():
    assert OTHER.keys() == {item.name for item in fields(Intent)}


@pytest.mark.parametrize("field", OTHER)
def test_a_complete_json_that_says_something_else_is_as_one_that_is_gone(
    root, publisher, payload, site, field
):
    written = publisher.write(root, payload)
    before = content(root)
    edit(written.folder / "complete.json", **{field: OTHER[field]})
    with pytest.raises(StorageError, match=r"not complete, missing complete\.json"):
        site.open(root)
    bad, problem = judged(site, root)
    assert (bad.verdict, field in bad.detail) == (Verdict.DAMAGED, True)
    assert isinstance(problem, StorageError)
    assert bad.detail in str(problem)
    assert problem.hint == (
        "have the writing finished: the same `ferry media write` goes on; or prove every byte of it here: "
        "ferry media repair PATH --scratch DIR, then import from both"
    )
    heard = Heard()
    again = publisher.write(root, payload, now=NOW + days(1), progress=heard)
    assert content(root) == before
    assert not [step for step in heard.steps if step.startswith("write ")]
    assert site.open(root).missing() == ()
    assert again.verify().is_tidy(strict=True)


def test_a_number_of_many_digits_is_not_shown_whole(root, publisher, payload, site):
    edit(publisher.write(root, payload).folder / "complete.json", medium=10**399)
    bad, problem = judged(site, root)
    assert "… (400 digits) instead of 1" in bad.detail
    assert len(str(problem)) < 400


def test_the_complete_json_of_another_set_is_not_taken_for_it(
    tmp_path, root, publisher, payload, site
):
    """Of the same payloads for the same publisher, made a day later and valid for longer."""
    written = publisher.write(root, payload)
    other = publisher.write(tmp_path / "other", payload, now=NOW + days(1))
    shutil.copy(other.folder / "complete.json", written.folder)
    assert other.set_id in judged(site, root)[0].detail
    assert publisher.write(root, payload, now=NOW + days(1)).folder == written.folder
    assert [item.name for item in root.iterdir()] == [written.set_name]


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_complete_json_that_is_a_link_is_as_one_that_is_gone(
    root, publisher, payload, site, tmp_path
):
    complete = publisher.write(root, payload).folder / "complete.json"
    complete.rename(tmp_path / "elsewhere")
    complete.symlink_to(tmp_path / "elsewhere")
    assert "ferry media write" in judged(site, root)[1].hint
    publisher.write(root, payload)
    assert judged_good(site, root)
    assert not complete.is_symlink()


def test_another_set_that_says_what_it_is_stays_another(root, publisher, other_publisher, payload):
    """For other recipients, of another publisher, with other payloads: each is whole, and a new one is begun."""
    others = [
        other_publisher.write(root, payload),
        publisher.write(root, replace(payload, name="second.zip")),
    ]
    before = content(root)
    mine = publisher.write(root, payload)
    assert mine.folder not in [other.folder for other in others]
    assert {path: data for path, data in content(root).items() if path in before} == before
    assert all((other.folder / "complete.json").exists() for other in others)


def test_a_set_whose_time_is_over_is_not_finished_for_what_it_says(root, publisher, payload):
    written = publisher.write(root, payload, expires_at=NOW + days(1))
    edit(written.folder / "complete.json", expires_at=NOW + days(400))
    assert publisher.write(root, payload, now=NOW + days(2)).folder != written.folder


def test_an_encrypted_set_with_other_hashes_is_finished_with_its_key(
    tmp_path, publisher, payload, site
):
    more = {"recipients": [site_recipient(tmp_path / "identity")], "book": tmp_path / "book"}
    stick = tmp_path / "stick"
    written = publisher.write(stick, payload, **more)
    before = content(stick)
    edit(written.folder / "complete.json", payloads=((payload.name, payload.size_bytes, DIGEST),))
    assert "other payloads" in judged(site, stick)[0].detail
    publisher.write(stick, payload, **more)
    assert content(stick) == before
    assert judged_good(site, stick)


def test_a_warning_names_such_a_set_as_unfinished(root, publisher, payload):
    written = publisher.write(root, payload)
    edit(written.folder / "complete.json", payloads=())
    heard = Heard()
    publisher.write(root, payload, set_name="AZL-OWN", progress=heard)
    assert f"also holds {written.set_name}, unfinished" in "".join(heard.said)


# --- which medium -------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path, publisher):
    """Write, or finish, both media of a set."""
    held = make_payload(tmp_path / "held", data=random.Random(4).randbytes(BLOCK_BYTES // 2) * 3)

    def write():
        for stick in ("one", "two"):
            publisher.write(tmp_path / stick, held, media=TWO, book=tmp_path / "book")
        return tmp_path / "one", tmp_path / "two"

    return write


def test_the_complete_json_of_the_other_medium_does_not_make_it_that_one(two, site):
    one, two_ = two()
    before = content(two_)
    (complete,) = two_.glob("*/complete.json")
    shutil.copy(next(one.glob("*/complete.json")), complete)
    assert judged(site, two_)[0].detail == "says medium 1 instead of 2"
    two()
    assert content(two_) == before
    assert site.open(two_).number == 2
    assert judged_good(site, two_)


def test_a_label_that_was_damaged_does_not_make_it_another_medium(two, site):
    """The tag manifest disagrees with it; complete.json tells then, and is not blamed."""
    one, _ = two()
    (info,) = one.glob("*/bag-info.txt")
    info.write_bytes(info.read_bytes().replace(b" 1/2\n", b" 2/2\n"))
    opened = site.open(one)
    (bad,) = (file for file in opened.verify().files if file.verdict is not Verdict.OK)
    assert (opened.number, bad.path) == (1, "bag-info.txt")


@pytest.mark.parametrize("lost", ["", "tagmanifest-sha256.txt", "manifest-sha256.txt", "exchanged"])
def test_a_supplement_is_known_without_its_complete_json(damaged, lost):  # noqa: F811
    written = damaged.answer(damaged.ask("A"))
    damaged.file("S", "complete.json").unlink()
    if lost == "exchanged":
        shutil.copy(damaged.file("A", "complete.json"), written.folder)
    elif lost:
        damaged.file("S", lost).unlink()
    with pytest.raises(StorageError, match=r"missing complete\.json") as caught:
        damaged.open("S")
    assert "`ferry media supplement`" in caught.value.hint
    opened = damaged.open("S", accept_incomplete=True)
    assert (opened.number, opened.supplement) == (0, written.supplement)
    problem = opened.verify().problem()
    assert isinstance(problem, StorageError)
    assert "same `ferry media supplement`" in problem.hint


@pytest.mark.parametrize("of", ["A", "other"])
def test_a_supplement_with_the_complete_json_of_another_medium_is_finished_again(damaged, of):  # noqa: F811
    path = damaged.ask("A")
    before = content(damaged.answer(path).folder)
    damaged.write("other", name="AZL-OTHER", now=NOW - timedelta(hours=1))
    shutil.copy(damaged.file(of, "complete.json"), damaged.file("S", "complete.json"))
    again = damaged.answer(path)
    assert content(again.folder) == before
    assert again.verify().is_tidy(strict=True)
    assert copied(damaged.open("A", "S")) == damaged.payloads[0].sha256


def test_a_medium_with_the_complete_json_of_its_supplement_is_finished_again(damaged):  # noqa: F811
    damaged.answer(damaged.ask("A"))
    shutil.copy(damaged.file("S", "complete.json"), damaged.file("A", "complete.json"))
    with pytest.raises(StorageError) as caught:
        damaged.open("A")
    assert "`ferry media write`" in caught.value.hint
    damaged.write("A")
    assert damaged.open("A").number == 1


def test_a_supplement_whose_own_complete_json_says_something_else_finishes_nothing(damaged):  # noqa: F811
    damaged.answer(damaged.ask("A"))
    damaged.file("A", "complete.json").unlink()
    shutil.copy(damaged.file("S", "complete.json"), damaged.base / "kept")
    edit(damaged.file("S", "complete.json"), supplement=(f"data/{SBE}",))
    with pytest.raises(StorageError, match=r"missing complete\.json"):
        damaged.open("A", "S")
    shutil.copy(damaged.base / "kept", damaged.file("S", "complete.json"))
    assert copied(damaged.open("A", "S")) == damaged.payloads[0].sha256


def test_a_supplement_with_other_pieces_is_still_refused(damaged):  # noqa: F811
    damaged.answer(damaged.ask("A"))
    damaged.file("A", f"data/{BUNDLE}").write_bytes(damaged.payloads[0].path.read_bytes())
    damaged.file("A", f"data/{SBE}").unlink()
    with pytest.raises(StorageError, match="supplement with other pieces"):
        damaged.answer(damaged.ask("A"))
