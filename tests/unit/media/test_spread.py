import hashlib
import io
import json
import random
import shutil
from dataclasses import replace

import pytest
from blake3 import blake3

from tests.unit.media.making import NOW, days, flip, make_payload
from tests.unit.media.test_several import HOLDS_ONE, PAYLOAD_BYTES
from tests.unit.media.test_write import Heard, StopAt, Stopped, content, noted_in
from toolkit.errors import DigestError, InputError, StorageError
from toolkit.media import MediumSize, Verdict, describe_medium
from toolkit.media import _write as writing
from toolkit.media._device import BLOCK_BYTES
from toolkit.media._layout import METADATA_ROOM_BYTES, RESERVE, lay_out
from toolkit.model import Silent

BUNDLE = "payload/CombinedSolutionBundle.12.2603.1002.15.zip"


def holds(blocks: float) -> MediumSize:
    """Of a medium with room for so many blocks of payload."""
    return MediumSize(
        size_bytes=int((blocks * BLOCK_BYTES + METADATA_ROOM_BYTES + 1) / (1 - RESERVE)) + 1
    )


TWO = (holds(1.1), holds(1.1))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A payload of one block and a half, which is cut where a medium has room for one."""
    data = random.Random(4).randbytes(BLOCK_BYTES // 2) * 3
    return make_payload(tmp_path_factory.mktemp("cut") / "catalog", data=data)


@pytest.fixture(scope="session")
def sbe(tmp_path_factory):
    return make_payload(
        tmp_path_factory.mktemp("whole") / "catalog",
        name="SBE_Contoso_Model1_4.2.2603.1.zip",
        data=b"sbe" * 1000,
    )


@pytest.fixture(scope="session")
def _spread(tmp_path_factory, publisher, bundle, sbe):
    base = tmp_path_factory.mktemp("spread")
    for number in (1, 2):
        publisher.write(
            base / f"stick{number}",
            bundle,
            sbe,
            media=TWO,
            book=base / "book",
            set_name="AZL-2603-TWO",
        )
    return base


@pytest.fixture
def sticks(_spread, tmp_path):
    """The roots of the two media of a set, and the book at home."""
    shutil.copytree(_spread, tmp_path, dirs_exist_ok=True)
    return tmp_path / "stick1", tmp_path / "stick2"


def copied(medium, name=BUNDLE):
    sink = io.BytesIO()
    medium.copy_target(name, sink)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def test_each_medium_is_proven_alone(sticks, site):
    for number, stick in enumerate(sticks, start=1):
        opened = site.open(stick)
        report = opened.verify()
        assert report.problem() is None
        assert report.is_tidy(strict=True)
        assert report.label == f"AZL-2603-TWO {number}/2"


def test_the_same_metadata_lie_on_every_medium(sticks):
    first, second = (
        {path.name: path.read_bytes() for path in stick.glob("*/tuf/*")} for stick in sticks
    )
    assert first == second
    assert len({(stick / "AZL-2603-TWO/data/plan/set.json").read_bytes() for stick in sticks}) == 1


@pytest.mark.parametrize("is_lost", [False, True])
def test_each_medium_notes_the_blocks_of_its_own_pieces(
    sticks, publisher, bundle, sbe, tmp_path, is_lost
):
    """As they are signed, and also when its last file was lost and it is finished again."""
    for stick in sticks:
        complete = stick / "AZL-2603-TWO/complete.json"
        if is_lost:
            complete.unlink()
            publisher.write(
                stick, bundle, sbe, media=TWO, book=tmp_path / "book", set_name="AZL-2603-TWO"
            )
        for row in noted_in(complete):
            data = (complete.parent / row["path"]).read_bytes()
            starts = range(0, len(data), BLOCK_BYTES)
            blocks = [data[start : start + BLOCK_BYTES] for start in starts]
            assert row["blake3"] == [blake3(block).hexdigest() for block in blocks]


@pytest.mark.parametrize("name", ["targets.json", "nothing"])
def test_a_set_whose_metadata_spoiled_at_home_is_refused(
    sticks, root, publisher, bundle, sbe, tmp_path, name
):
    (targets,) = (tmp_path / "book/AZL-2603-TWO/tuf").glob("*.targets.json")
    if name == "nothing":
        targets.unlink()
    else:
        targets.write_bytes(b'{"signed": []}')
    with pytest.raises(InputError, match="read what was signed of a set") as caught:
        publisher.write(
            root, bundle, sbe, media=TWO, book=tmp_path / "book", set_name="AZL-2603-TWO", number=1
        )
    assert "backup" in caught.value.hint
    assert not list(root.rglob("*.seg"))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_cut_payload_is_put_together_in_any_order(sticks, site, bundle, order):
    first, second = (sticks[index] for index in order)
    assert copied(site.open(first, others=[second])) == bundle.sha256


def test_a_piece_on_a_medium_that_was_not_named_is_said_before_a_byte_is_copied(sticks, site):
    sink = io.BytesIO()
    with pytest.raises(StorageError, match="lie elsewhere: AZL-2603-TWO 2/2") as caught:
        site.open(sticks[0]).copy_target(BUNDLE, sink)
    assert "name AZL-2603-TWO 2/2" in caught.value.hint
    assert sink.getvalue() == b""


def test_a_medium_of_another_set_is_refused(sticks, site, medium):
    with pytest.raises(InputError, match="AZL-2603-TEST"):
        site.open(sticks[0], others=[medium])


def test_a_damaged_segment_is_named_by_block(sticks, site):
    (segment,) = sticks[1].glob("*/data/seg/*/*.seg")
    flip(segment, 8 * 1000)
    (file,) = site.open(sticks[1]).verify().having(Verdict.DAMAGED)
    assert file.path.endswith("0001.seg")
    assert [damage.block for damage in file.damage] == [0]
    with pytest.raises(DigestError, match="block 1 "):
        copied(site.open(sticks[0], others=[sticks[1]]))


def test_a_missing_segment_is_incomplete_and_not_damaged(sticks, site):
    next(sticks[1].glob("*/data/seg/*/*.seg")).unlink()
    report = site.open(sticks[1], accept_incomplete=True).verify()
    assert not report.having(Verdict.DAMAGED)
    assert not report.is_complete
    with pytest.raises(StorageError, match="not complete"):
        site.open(sticks[1])


def test_a_medium_whose_own_record_is_lost_is_known_by_its_files(sticks, site):
    (sticks[1] / "AZL-2603-TWO/complete.json").unlink()
    assert site.open(sticks[1], accept_incomplete=True).number == 2


@pytest.mark.parametrize("left", [None, b"", b'{"set_id": "of another"}', "unfinished"], ids=str)
def test_what_ends_a_medium_is_asked_of_the_second_as_of_the_first(sticks, site, left):
    one, two = (stick / "AZL-2603-TWO" for stick in sticks)
    complete = two / "complete.json"
    kept = complete.read_bytes()
    complete.unlink()
    if left == "unfinished":
        (two / "writing.json").write_bytes(kept)
    elif left is not None:
        complete.write_bytes(left)
    for first, other in ((one, two), (two, one)):
        with pytest.raises(StorageError, match=r"missing complete\.json") as caught:
            site.open(first, others=[other])
        assert str(two) in str(caught.value)
        assert "`ferry media write`" in caught.value.hint
    assert site.open(one, others=[two], accept_incomplete=True).unfinished() == (two,)


def test_a_medium_that_says_it_is_of_another_set_is_unfinished_and_not_of_another(sticks, site):
    """Leaving it out would not help: the set needs it."""
    complete = sticks[1] / "AZL-2603-TWO/complete.json"
    document = json.loads(complete.read_bytes())
    complete.write_text(json.dumps(document | {"set_id": "of another"}))
    with pytest.raises(StorageError, match=r"missing complete\.json"):
        site.open(sticks[0], others=[sticks[1]])


def test_the_bag_of_each_medium_lists_its_own_files(sticks):
    for number, stick in enumerate(sticks, start=1):
        info = (stick / "AZL-2603-TWO/bag-info.txt").read_text("utf-8")
        assert f"Bag-Count: {number} of 2" in info
        listed = (stick / "AZL-2603-TWO/manifest-sha256.txt").read_text("utf-8").splitlines()
        present = [path for path in (stick / "AZL-2603-TWO/data").rglob("*") if path.is_file()]
        assert len(listed) == len(present)


def test_the_leaflet_tells_how_to_put_the_segments_together(sticks, bundle):
    text = (sticks[0] / "AZL-2603-TWO/start.txt").read_text("utf-8")
    assert "copy /b 0000.seg+0001.seg " in text
    assert bundle.sha256 in text
    assert "on medium 1 and 2 of 2" in text
    assert "Put together" in (sticks[0] / "AZL-2603-TWO/start.html").read_text("utf-8")


def test_the_label_counts_the_media(sticks):
    label = describe_medium(sticks[1])
    assert (label.medium, label.media_count) == (2, 2)


# --- writing ------------------------------------------------------------------------------------


def segments(folder):
    found = {name: data for name, data in content(folder).items() if name.endswith(".seg")}
    assert found
    return found


def write(publisher, tmp_path, *payloads, stick="stick1", **more):
    more.setdefault("media", TWO)
    return publisher.write(tmp_path / stick, *payloads, book=tmp_path / "book", **more)


def test_the_media_may_be_written_in_any_order(tmp_path, publisher, bundle, site):
    last = write(publisher, tmp_path, bundle, stick="b", number=2)
    first = write(publisher, tmp_path, bundle, stick="a")
    assert (last.number, first.number) == (2, 1)
    assert copied(site.open(tmp_path / "b", others=[tmp_path / "a"])) == bundle.sha256


def test_a_stopped_medium_goes_on_with_the_bytes_of_an_undisturbed_one(
    tmp_path, sticks, publisher, bundle, sbe
):
    base = tmp_path / "again"
    base.mkdir()
    for step in ("measure", "write", "read back"):
        with pytest.raises(Stopped):
            write(publisher, base, bundle, sbe, progress=StopAt(step))
    for number, stick in enumerate(sticks, start=1):
        finished = write(publisher, base, bundle, sbe, stick=stick.name)
        assert finished.number == number
        assert finished.verify().is_tidy(strict=True)
        assert segments(finished.folder) == segments(stick / "AZL-2603-TWO")


def test_a_lost_medium_is_written_again_by_name_with_the_same_bytes(
    tmp_path, sticks, publisher, bundle, sbe
):
    again = write(publisher, tmp_path, bundle, sbe, stick="new", set_name="AZL-2603-TWO", number=2)
    assert content(again.folder) == content(sticks[1] / "AZL-2603-TWO")


def test_a_finished_set_is_not_begun_again_on_its_own_stick(
    tmp_path, sticks, publisher, bundle, sbe
):
    before = content(sticks[0] / "AZL-2603-TWO")
    again = write(publisher, tmp_path, bundle, sbe, set_name="AZL-2603-TWO")
    assert again.number == 1
    assert content(again.folder) == before


def test_a_third_stick_does_not_begin_another_set_by_itself(
    tmp_path, sticks, publisher, bundle, sbe
):
    with pytest.raises(InputError, match="every medium of AZL-2603-TWO is written") as caught:
        write(publisher, tmp_path, bundle, sbe, stick="third")
    assert "--medium" in caught.value.hint
    assert write(publisher, tmp_path, bundle, sbe, stick="third", set_name="AZL-NEW").number == 1


def test_another_number_on_a_stick_of_this_set_is_refused(tmp_path, sticks, publisher, bundle, sbe):
    with pytest.raises(StorageError, match="this is medium AZL-2603-TWO 1/2"):
        write(publisher, tmp_path, bundle, sbe, set_name="AZL-2603-TWO", number=2)


def test_a_number_behind_the_last_is_refused(tmp_path, publisher, bundle):
    with pytest.raises(InputError, match="a set of 2 media"):
        write(publisher, tmp_path, bundle, number=3)


def test_a_number_behind_a_set_of_one_is_refused_too(tmp_path, publisher, sbe):
    with pytest.raises(InputError, match="a set of 1 media"):
        write(publisher, tmp_path, sbe, media=(), number=2)
    assert not list((tmp_path / "stick1").iterdir())


@pytest.mark.parametrize("step", ["read back", "write"], ids=["a segment stands", "none does"])
def test_a_cut_set_of_one_medium_is_not_gone_on_with_as_a_whole_one(
    tmp_path, publisher, bundle, step
):
    """Of the same payloads, and of one medium, too."""
    fat = [MediumSize(largest_file_bytes=BLOCK_BYTES)]
    with pytest.raises(Stopped):
        write(publisher, tmp_path, bundle, media=fat, progress=StopAt(step))
    (begun,) = (tmp_path / "stick1").iterdir()
    whole = write(publisher, tmp_path, bundle, media=[])
    assert whole.folder != begun
    assert whole.verify().is_tidy(strict=True)
    cut = write(publisher, tmp_path, bundle, media=fat)
    assert cut.folder == begun
    assert cut.verify().is_tidy(strict=True)


def test_a_segment_changed_since_it_was_measured_is_named_by_its_stretch(
    tmp_path, publisher, bundle
):
    """What was read of it is no whole file, and is not compared with one."""
    own = make_payload(tmp_path / "catalog", data=bundle.path.read_bytes())
    write(publisher, tmp_path, own, stick="a")
    flip(own.path, 8 * (BLOCK_BYTES + 1000))
    with pytest.raises(DigestError) as caught:
        write(publisher, tmp_path, own, stick="b", number=2)
    assert "0001.seg of Combined" in str(caught.value)
    end = own.size_bytes - 1
    assert f"changed since it was measured, in its bytes {BLOCK_BYTES} to {end}" in str(
        caught.value
    )
    assert own.sha256 not in str(caught.value)
    assert "--quarantine" in caught.value.hint
    assert not list((tmp_path / "b").rglob("*.seg*"))


def test_a_changed_catalog_file_is_noticed_before_anything_is_kept(tmp_path, publisher, bundle):
    spoilt = tmp_path / "spoilt.zip"
    shutil.copy(bundle.path, spoilt)
    flip(spoilt, 8 * BLOCK_BYTES + 3)
    with pytest.raises(DigestError, match="write Combined"):
        write(publisher, tmp_path, replace(bundle, path=spoilt))
    assert not list((tmp_path / "book").glob("[!.]*"))


def test_a_damaged_book_is_an_input_error(tmp_path, sticks, publisher, bundle, sbe):
    (tmp_path / "book/AZL-2603-TWO/spread.json").write_text("{}")
    with pytest.raises(InputError, match="the set that home keeps"):
        write(publisher, tmp_path, bundle, sbe)


def test_fat_cuts_a_set_on_one_medium(tmp_path, publisher, bundle, site, monkeypatch):
    monkeypatch.setattr(writing, "largest_file_bytes", lambda folder: BLOCK_BYTES + 5)
    one = write(publisher, tmp_path, bundle, media=())
    assert sorted(path.name for path in one.folder.rglob("*.seg")) == ["0000.seg", "0001.seg"]
    assert copied(site.open(tmp_path / "stick1")) == bundle.sha256
    assert json.loads((one.folder / "data/plan/set.json").read_bytes())["media_count"] == 1


def test_a_stick_that_holds_less_than_was_said_is_refused_before_a_payload(
    tmp_path, publisher, bundle, monkeypatch
):
    monkeypatch.setattr(writing, "free_bytes", lambda folder: BLOCK_BYTES // 2)
    heard = Heard()
    with pytest.raises(StorageError, match="bytes free"):
        write(publisher, tmp_path, bundle, progress=heard)
    assert heard.steps == []  # not even measured
    assert not list((tmp_path / "stick1").iterdir())


def test_a_begun_set_keeps_its_layout_whatever_is_laid_out_today(
    tmp_path, publisher, bundle, monkeypatch
):
    first = write(publisher, tmp_path, bundle)
    another = (holds(0), holds(2))  # everything on the second
    monkeypatch.setattr(
        writing,
        "lay_out",
        lambda payloads, media, **more: replace(lay_out(payloads, another, **more), media=media),
    )
    second = write(publisher, tmp_path, bundle, stick="stick2")
    assert second.set_id == first.set_id
    assert [path.name for path in second.folder.rglob("*.seg")] == ["0001.seg"]


def test_a_draft_that_a_crash_left_at_home_is_no_set(tmp_path, publisher, bundle):
    first = write(publisher, tmp_path, bundle)
    kept = tmp_path / "book" / first.set_name
    kept.rename(kept.with_name(f"{kept.name}.part"))
    assert write(publisher, tmp_path, bundle, stick="other").set_id != first.set_id


def test_an_expired_set_at_home_is_not_gone_on_with(tmp_path, publisher, bundle):
    old = write(publisher, tmp_path, bundle)
    later = NOW + days(200)
    new = write(publisher, tmp_path, bundle, stick="other", now=later, expires_at=later + days(9))
    assert new.set_id != old.set_id


def test_before_each_medium_is_written_somebody_may_look_at_what_it_will_carry(tmp_path, publisher):
    payloads = [
        make_payload(tmp_path / "made", name=f"SBE_{number}.zip", data=bytes([number]) * 300_000)
        for number in (1, 2)
    ]
    seen = []
    for number in (1, 2):
        publisher.write(
            tmp_path / f"one{number}",
            *payloads,
            media=[holds(0.006)] * 2,
            book=tmp_path / "one-book",
            before_write=lambda held: seen.append([item.name for item in held]),
        )
    assert seen == [["SBE_1.zip"], ["SBE_2.zip"]]


class First(Silent):
    """Does something when the first step begins, and remembers how it was refused."""

    def __init__(self, act):
        self.act, self.refusal = act, None

    def begin(self, what, *, total_bytes):
        act, self.act = self.act, lambda: None
        try:
            act()
        except StorageError as error:
            self.refusal = error


@pytest.mark.parametrize("name", [None, "AZL-2603-NEW"])
def test_of_two_that_begin_one_set_at_once_the_second_goes_on_with_the_set_of_the_first(
    tmp_path, publisher, name
):
    """While the first measures, the second is refused: each would make a set of its own, or take the other's draft."""
    payloads = [
        make_payload(tmp_path / "made", name=f"SBE_{n}.zip", data=bytes([n]) * PAYLOAD_BYTES)
        for n in (1, 2)
    ]
    more = {"media": [HOLDS_ONE] * 2, "book": tmp_path / "book", "set_name": name}

    def second():
        return publisher.write(tmp_path / "stick2", *payloads, **more, number=2)

    heard = First(second)
    first = publisher.write(tmp_path / "stick1", *payloads, **more, progress=heard)
    assert "another ferry is measuring a new set" in str(heard.refusal)
    assert "run the same command again" in heard.refusal.hint
    assert second().set_id == first.set_id
    assert len(list((tmp_path / "book").glob("*/spread.json"))) == 1
