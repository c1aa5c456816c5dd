"""A `complete.json` that says something else than what was signed: named, and written again by the same command."""

import json
import shutil

import pytest

from tests.stage import VERSION
from tests.system.conftest import content, write_medium
from tests.unit.media.making import flip

VERIFY = ("media", "verify")
OTHER = {"set_id": "4f1c2d3e-5a6b-4c7d-8e9f-0a1b2c3d4e5f", "root": "0000 1111", "medium": 2}


@pytest.mark.parametrize("name", OTHER)
def test_a_medium_with_an_edited_complete_json_is_named_and_finished_again(carried, name):
    (complete,) = (carried / "medium").glob("*/complete.json")
    before = content(complete.parent)
    complete.write_text(json.dumps({**json.loads(complete.read_bytes()), name: OTHER[name]}))
    said = carried.ferry(*VERIFY, "medium", expect=6)
    assert "complete.json" in said.err
    assert name in said.err
    assert "the same `ferry media write` goes on" in said.err
    write_medium(carried)
    assert [item.name for item in (carried / "medium").iterdir()] == [complete.parent.name]
    carried.ferry(*VERIFY, "medium", "--strict")
    after = content(complete.parent)
    assert after.pop("complete.json") != before.pop(
        "complete.json"
    )  # it tells when it was completed
    assert after == before


def test_the_complete_json_of_another_set_makes_no_second_one(carried):
    write = ("media", "write", VERSION, "--catalog", "catalog", "--keys", "keys", "--name", "AZL-2")
    carried.ferry(*write, "--to", carried.stick("other"))
    (other,) = (carried / "other").glob("*/complete.json")
    (complete,) = (carried / "medium").glob("*/complete.json")
    shutil.copy(other, complete)
    assert "AZL-2" in carried.ferry(*VERIFY, "medium", expect=6).err
    write_medium(carried)
    assert [item.name for item in (carried / "medium").iterdir()] == [complete.parent.name]
    carried.ferry(*VERIFY, "medium", "--strict")
    carried.ferry(*VERIFY, "other", "--strict")


@pytest.mark.parametrize("left", ["nothing", "of its medium"])
def test_a_supplement_is_known_by_its_label_and_finished_again(carried, left):
    flip(next((carried / "medium").glob("*/data/payload/*.zip")), 8 * (5 << 20))
    said = carried.ferry("media", "request", "medium", "-o", "ask.json").out
    key = said.partition("signed by this site's key ")[2].splitlines()[0]
    known = ("ask.json", "--name", "plant7", "--fingerprint", key, "--catalog", "catalog")
    carried.ferry("catalog", "know-key", *known)
    (carried / "second").mkdir()
    answer = ("media", "supplement", "ask.json", "--catalog", "catalog", "--to", "second")
    carried.ferry(*answer)
    (complete,) = (carried / "second").glob("*/complete.json")
    complete.unlink()
    if left == "of its medium":
        shutil.copy(next((carried / "medium").glob("*/complete.json")), complete)
    said = carried.ferry(*VERIFY, "second", expect=6)
    assert "supplement" in said.out
    assert "`ferry media supplement`" in said.err
    assert "media write" not in said.err
    carried.ferry(*answer)
    carried.ferry(*VERIFY, "second", "--strict")
    assert "is whole" in carried.ferry(*VERIFY, "second", "medium").out
