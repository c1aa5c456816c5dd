"""A supplement: what is bad on a medium, asked for at the site, written at home, and used with the medium."""

import hashlib
import io
import json
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.media.making import NOW, Publisher, SiteTrust, days, flip, make_payload, proven
from tests.unit.media.receipts import HOME, SITE, STRANGER
from tests.unit.media.test_spread import TWO
from tests.unit.media.test_write import Heard, StopAt, Stopped, content
from toolkit.errors import (
    DigestError,
    ExpiredError,
    InputError,
    RollbackError,
    SignatureError,
    StorageError,
)
from toolkit.media import (
    Register,
    Scribe,
    Taking,
    Verdict,
    audit_bag,
    choose_parity,
    describe_medium,
    examine_media,
    extract_payloads,
    find_lacking,
    keep_set,
    plan_erasure,
    prepare_supplement,
    put_returns,
    read_custody,
    receive_medium,
    repair_medium,
    sets_of,
    site_recipient,
    write_supplement,
)
from toolkit.media import _several as several
from toolkit.media._device import BLOCK_BYTES
from toolkit.media._supplement_request import read_supplement_request
from toolkit.model import HeldPayload, Silent
from toolkit.signed import SUPPLEMENT_REQUEST, seal, unseal

SITE_ID = "9e0f1a2b-3c4d-4e5f-8a6b-7c8d9e0f1a2b"
KEYS = {HOME.fingerprint: "this catalog", SITE.fingerprint: "plant7"}
SAME = ("set_id", "set_name", "issued_at", "expires_at", "root", "payloads", "media_count")
"""Of complete.json: what every medium of a set says."""
BUNDLE = "payload/CombinedSolutionBundle.12.2603.1002.15.zip"
SBE = "payload/SBE_Contoso_Model1_4.2.2603.1.zip"


@dataclass
class Crossing:
    """Home, one site, and the media between them."""

    base: Path
    publisher: Publisher
    trust: SiteTrust
    payloads: tuple[HeldPayload, ...]
    more: dict = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.base / "catalog"

    def write(self, *sticks, name="AZL-2603-TEST", **more):
        """Write a set, and let home keep it as the command does."""
        for stick in sticks:
            written = self.publisher.write(
                self.base / stick,
                *self.payloads,
                book=self.home / "sets",
                set_name=name,
                **{**self.more, **more},
            )
            keep_set(self.home, written, clusters=(), own_key=HOME.fingerprint)
        return self

    def stick(self, name):
        return self.base / name

    def file(self, stick, path):
        (folder,) = (item for item in self.stick(stick).iterdir() if item.is_dir())
        return folder / path

    def lacking(self, *sticks, **more):
        return find_lacking([self.base / stick for stick in sticks], self.trust.folder, **more)

    def ask(self, *sticks, **more):
        """Return the file of the request that a site makes of what is bad on media."""
        request = self.lacking(*sticks, **more).request(site_id=SITE_ID, now=NOW)
        path = self.base / "plant7.supplement.json"
        path.write_bytes(request.to_bytes(SITE))
        return path

    def prepare(self, path, *, keys=KEYS, now=NOW):
        return prepare_supplement(self.home, path, keys=keys, now=now)

    def answer(self, path, stick="S", *, now=NOW, **more):
        prepared = self.prepare(path, now=now)
        (self.base / stick).mkdir(exist_ok=True)
        return write_supplement(self.base / stick, prepared, self.payloads, now=now, **more)

    def examine(self, *sticks):
        return examine_media(
            [self.base / stick for stick in sticks], self.trust.folder, progress=Silent()
        )

    def open(self, first, *others, **more):
        others = [self.base / stick for stick in others]
        return self.trust.open(self.base / first, others=others, **more)


@pytest.fixture(autouse=True)
def at_this_time(monkeypatch):
    honest = several.open_medium
    monkeypatch.setattr(
        several, "open_medium", lambda root, trust, **more: honest(root, trust, now=NOW, **more)
    )


@pytest.fixture
def cross(tmp_path, publisher, site):
    """Make a crossing; home holds what is given, else a bundle and an SBE."""

    def cross(*payloads, **more):
        held = payloads or (
            make_payload(tmp_path / "held"),
            make_payload(tmp_path / "held", name=SBE.rpartition("/")[2], data=b"sbe" * 7),
        )
        return Crossing(tmp_path, publisher, site, held, more)

    return cross


@pytest.fixture
def damaged(cross):
    """A set on one medium, whose bundle has a flipped bit."""
    crossing = cross().write("A")
    flip(crossing.file("A", f"data/{BUNDLE}"), 800)
    return crossing


def copied(medium, name=BUNDLE):
    sink = io.BytesIO()
    medium.copy_target(name, sink)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def resigned(path, change, key=SITE):
    """Change what a request says, and sign it again: a site may ask for anything."""
    body = dict(unseal(path.read_bytes(), kind=SUPPLEMENT_REQUEST).body)
    change(body)
    del body["kind"]
    path.write_bytes(seal(SUPPLEMENT_REQUEST, body, key))
    return path


# --- what a site lacks --------------------------------------------------------------------------


def test_nothing_is_asked_for_where_nothing_is_wrong(cross):
    lacking = cross().write("A").lacking("A")
    assert (lacking.pieces, lacking.repairable, lacking.other_files) == ((), (), ())
    assert lacking.not_named == ()


def test_what_is_damaged_or_missing_is_asked_for_as_it_was_signed(damaged):
    damaged.file("A", f"data/{SBE}").unlink()
    bundle, sbe = damaged.lacking("A").pieces
    assert (bundle.path, bundle.found) == (f"data/{BUNDLE}", Verdict.DAMAGED)
    assert (bundle.size_bytes, bundle.sha256) == (1300, damaged.payloads[0].sha256)
    assert (sbe.path, sbe.found) == (f"data/{SBE}", Verdict.MISSING)


def test_what_cannot_be_read_is_asked_for(cross, monkeypatch):
    from toolkit.media import _medium as medium_module

    crossing, honest = cross().write("A"), medium_module.measure_blocks

    def failing(path, **more):
        if path.name == BUNDLE.rpartition("/")[2]:
            raise OSError(5, "Input/output error")
        return honest(path, **more)

    monkeypatch.setattr(medium_module, "measure_blocks", failing)
    (piece,) = crossing.lacking("A").pieces
    assert piece.found is Verdict.UNREADABLE


def test_a_good_copy_of_the_medium_leaves_nothing_to_ask_for(damaged):
    copy = shutil.copytree(damaged.stick("A"), damaged.stick("copy"))
    (copy / "AZL-2603-TEST/data" / BUNDLE).write_bytes(damaged.payloads[0].path.read_bytes())
    assert damaged.lacking("A", "copy").pieces == ()


def test_what_is_no_piece_is_told_and_not_asked_for(cross):
    crossing = cross().write("A")
    flip(crossing.file("A", "start.txt"), 9)
    lacking = crossing.lacking("A")
    assert lacking.pieces == ()
    assert lacking.other_files == ("start.txt",)


def test_metadata_that_cannot_be_proven_end_the_asking(cross):
    crossing = cross().write("A")
    flip(crossing.file("A", "tuf/timestamp.json"), 900)
    with pytest.raises((DigestError, SignatureError)):
        crossing.lacking("A")


def test_media_of_two_sets_are_asked_for_one_by_one(damaged):
    damaged.write("B", name="AZL-OTHER", now=NOW - days(1))
    with pytest.raises(InputError, match="2 sets: AZL-2603-TEST, AZL-OTHER"):
        damaged.lacking("A", "B")


def test_of_media_that_are_not_named_all_is_asked_for_only_as_lost(cut):
    lacking = cut.lacking("one")
    assert (lacking.pieces, lacking.not_named) == ((), ("AZL-2603-TWO 2/2",))
    lost = cut.lacking("one", whole_set=True)
    assert {piece.found for piece in lost.pieces} == {Verdict.MISSING}
    on_two = {piece.path for _, piece in cut.trust.open(cut.stick("two"), now=NOW).pieces}
    assert {piece.path for piece in lost.pieces} == on_two


@pytest.mark.skipif(shutil.which("par2") is None, reason="the program par2 is not installed")
def test_parity_that_lies_there_is_told_and_what_it_repaired_is_not_asked_for(cross, tmp_path):
    parity = choose_parity(5, memory_mb=64, progress=Silent())
    big = make_payload(tmp_path / "held", data=random.Random(3).randbytes(300_000))
    crossing = cross(big, parity=parity).write("A")
    flip(crossing.file("A", f"data/{BUNDLE}"), 80_000)
    lacking = crossing.lacking("A")
    assert lacking.repairable == (f"data/{BUNDLE}",)
    scratch = tmp_path / "scratch"
    repair_medium(crossing.open("A", accept_incomplete=True), scratch, memory_mb=64)
    assert crossing.lacking("A", "scratch").pieces == ()
    flip(scratch / "AZL-2603-TEST/data" / BUNDLE, 5)
    assert len(crossing.lacking("A", "scratch").pieces) == 1
    crossing.file("A", f"data/{BUNDLE}").unlink()
    lacking = crossing.lacking("A", "scratch")
    assert (len(lacking.pieces), lacking.repairable) == (
        1,
        (),
    )  # no parity makes a file from nothing


# --- the medium that home writes ----------------------------------------------------------------


def test_the_supplement_has_the_piece_and_the_set_is_whole_with_it(damaged):
    with pytest.raises(DigestError):
        copied(damaged.open("A"))
    written = damaged.answer(damaged.ask("A"))
    assert copied(damaged.open("A", "S")) == damaged.payloads[0].sha256
    assert copied(damaged.open("S", "A")) == damaged.payloads[0].sha256
    present = [path.name for path in (written.folder / "data/payload").iterdir()]
    assert present == [BUNDLE.rpartition("/")[2]]
    assert content(written.folder)["tuf/timestamp.json"] == (
        damaged.file("A", "tuf/timestamp.json").read_bytes()
    )


def test_a_payload_whose_piece_is_elsewhere_is_named_by_its_medium(damaged):
    damaged.answer(damaged.ask("A"))
    with pytest.raises(StorageError, match="lie elsewhere: AZL-2603-TEST 1/1"):
        copied(damaged.open("S"), SBE)


def test_the_supplement_alone_is_proven_as_a_supplement(damaged):
    damaged.answer(damaged.ask("A"))
    (item,) = damaged.examine("S")
    assert item.problem is None
    assert item.report.is_tidy(strict=True)
    assert (item.report.medium, item.report.supplement) == (0, (f"data/{BUNDLE}",))
    assert item.report.label == "AZL-2603-TEST supplement"


def test_it_is_a_valid_bag_that_says_what_it_is(damaged):
    folder = damaged.answer(damaged.ask("A")).folder
    assert audit_bag(folder).is_valid
    info = (folder / "bag-info.txt").read_text("utf-8")
    assert "External-Identifier: AZL-2603-TEST supplement\n" in info
    assert "Bag-Count" not in info
    text = (folder / "start.txt").read_text("utf-8")
    assert "THIS IS A SUPPLEMENT" in text
    assert SBE.rpartition("/")[2] not in text
    assert "This is a supplement" in (folder / "start.html").read_text("utf-8")
    complete = json.loads((folder / "complete.json").read_bytes())
    assert (complete["medium"], complete["supplement"]) == (0, [f"data/{BUNDLE}"])
    first = json.loads(damaged.file("A", "complete.json").read_bytes())
    assert {name: complete[name] for name in first if name in SAME} == {
        name: first[name] for name in SAME
    }
    label = describe_medium(folder)
    assert (label.label, label.supplement) == ("AZL-2603-TEST supplement", (f"data/{BUNDLE}",))


def test_the_same_again_writes_nothing(damaged):
    path = damaged.ask("A")
    before = content(damaged.answer(path).folder)
    heard = Heard()
    assert content(damaged.answer(path, progress=heard).folder) == before
    assert "supplement is already complete" in heard.said[0]
    assert heard.said[1:] == ["medium AZL-2603-TEST supplement is whole, every byte of it was read"]
    assert content(damaged.answer(damaged.ask("A"), stick="again").folder) == before


@pytest.mark.parametrize("step", ["write", "read back"])
def test_a_stopped_supplement_goes_on(damaged, step):
    path = damaged.ask("A")
    with pytest.raises(Stopped):
        damaged.answer(path, progress=StopAt(step))
    with pytest.raises(StorageError, match="not complete"):
        damaged.open("S")
    whole = damaged.answer(path)
    assert whole.verify().is_tidy(strict=True)
    assert content(whole.folder) == content(damaged.answer(path, stick="undisturbed").folder)


def test_it_never_goes_into_a_folder_of_the_set(damaged):
    path = damaged.ask("A")
    with pytest.raises(StorageError, match="AZL-2603-TEST 1/1"):
        damaged.answer(path, stick="A")
    damaged.answer(path)
    damaged.file("A", f"data/{SBE}").unlink()
    with pytest.raises(StorageError, match="with other pieces"):
        damaged.answer(damaged.ask("A"))


def test_a_scanner_sees_only_what_pieces_are_taken_from(damaged):
    seen = []
    damaged.answer(damaged.ask("A"), before_write=seen.append)
    assert seen == [(damaged.payloads[0],)]


@pytest.mark.skipif(shutil.which("par2") is None, reason="the program par2 is not installed")
def test_it_can_be_repaired_itself(damaged, tmp_path):
    damaged.answer(damaged.ask("A"), parity=choose_parity(5, memory_mb=64, progress=Silent()))
    flip(damaged.file("S", f"data/{BUNDLE}"), 77)
    repair = repair_medium(damaged.open("S"), tmp_path / "scratch", memory_mb=64)
    assert repair.repaired == (f"data/{BUNDLE}",)
    medium = damaged.open("A", "scratch", "S")
    assert copied(medium) == damaged.payloads[0].sha256


def test_a_catalog_that_lost_the_payload_is_told(damaged):
    path = damaged.ask("A")
    with pytest.raises(StorageError, match="does not hold payload/Combined"):
        write_supplement(damaged.stick("S"), damaged.prepare(path), damaged.payloads[1:], now=NOW)
    assert not damaged.stick("S").exists()


def test_a_changed_catalog_file_is_noticed(damaged):
    path = damaged.ask("A")
    flip(damaged.payloads[0].path, 3)
    with pytest.raises(DigestError, match="write CombinedSolutionBundle"):
        damaged.answer(path)
    assert not (damaged.stick("S") / "AZL-2603-TEST/complete.json").exists()


# --- sets that are cut, spread or encrypted -----------------------------------------------------


@pytest.fixture
def cut(cross, tmp_path):
    """A payload that is cut, and one that is not, over two media."""
    bundle = make_payload(tmp_path / "held", data=random.Random(4).randbytes(BLOCK_BYTES // 2) * 3)
    sbe = make_payload(tmp_path / "held", name=SBE.rpartition("/")[2], data=b"sbe" * 7)
    return cross(bundle, sbe, media=TWO).write("one", "two", name="AZL-2603-TWO")


def test_of_a_cut_payload_only_the_bad_segment_travels(cut):
    (segment,) = cut.stick("two").glob("*/data/seg/*/*.seg")
    flip(segment, 8 * 1000)
    written = cut.answer(cut.ask("one", "two"))
    (again,) = written.folder.glob("data/seg/*/*.seg")
    assert (again.name, again.stat().st_size) == (segment.name, BLOCK_BYTES // 2)
    for order in (("one", "two", "S"), ("S", "two", "one"), ("two", "S", "one")):
        assert copied(cut.open(*order)) == cut.payloads[0].sha256
    one, two, three = cut.examine("one", "two", "S")
    assert (one.problem, two.problem, three.problem) == (None, None, None)
    assert two.made_good == written.supplement
    assert [str(state) for state in sets_of([one, two, three])] == [
        "AZL-2603-TWO is whole: all 2 media are proven, with 1 file(s) of a supplement"
    ]


def test_one_supplement_has_what_is_bad_on_several_media(cut, tmp_path):
    next(cut.stick("one").glob("*/data/seg/*/*.seg")).unlink()
    flip(next(cut.stick("two").glob("*/data/seg/*/*.seg")), 1)
    written = cut.answer(cut.ask("one", "two"))
    assert [Path(path).name for path in written.supplement] == ["0000.seg", "0001.seg"]
    files = extract_payloads(cut.open("one", "two", "S"), tmp_path / "out")
    assert [hashlib.sha256(file.read_bytes()).hexdigest() for file in files] == [
        held.sha256 for held in cut.payloads
    ]


def test_a_lost_medium_is_supplemented_whole(cut):
    shutil.rmtree(cut.stick("two"))
    cut.answer(cut.ask("one", whole_set=True))
    assert copied(cut.open("one", "S")) == cut.payloads[0].sha256


def test_a_medium_of_the_set_is_not_written_over_its_supplement(cut, publisher):
    flip(next(cut.stick("two").glob("*/data/seg/*/*.seg")), 1)
    cut.answer(cut.ask("two"))
    with pytest.raises(StorageError, match="already holds something else"):
        cut.write("S", name="AZL-2603-TWO", number=1)


def test_an_encrypted_piece_is_made_again_with_the_same_bytes(cross, tmp_path):
    identity = tmp_path / "identity.age.key"
    crossing = cross(recipients=[site_recipient(identity)]).write("A")
    stored = crossing.file("A", f"data/{BUNDLE}.enc")
    good = stored.read_bytes()
    flip(stored, 800)
    written = crossing.answer(crossing.ask("A"))
    assert (written.folder / f"data/{BUNDLE}.enc").read_bytes() == good
    assert written.describe().recipients == (site_recipient(identity),)
    medium = crossing.open("A", "S")
    medium.unlock(identity)
    assert copied(medium) == crossing.payloads[0].sha256


def test_an_encrypted_set_whose_key_is_gone_is_not_supplemented(cross, tmp_path):
    crossing = cross(recipients=[site_recipient(tmp_path / "identity.age.key")]).write("A")
    flip(crossing.file("A", f"data/{BUNDLE}.enc"), 800)
    path = crossing.ask("A")
    next((crossing.home / "sets").glob("*.key.json")).unlink()
    with pytest.raises(StorageError, match="the key of the set"):
        crossing.prepare(path)


# --- requests that home refuses -----------------------------------------------------------------


def test_an_expired_set_is_not_supplemented(damaged):
    path = damaged.ask("A")
    with pytest.raises(ExpiredError, match="valid until"):
        damaged.answer(path, now=NOW + days(181))
    assert not damaged.stick("S").exists()


def test_a_request_of_an_unknown_site_is_refused(damaged):
    path = damaged.ask("A")
    with pytest.raises(SignatureError, match="not known here") as caught:
        damaged.prepare(path, keys={HOME.fingerprint: "this catalog"})
    assert "ferry catalog know-key" in caught.value.hint


def test_an_edited_request_is_refused(damaged):
    path = damaged.ask("A")
    path.write_bytes(path.read_bytes().replace(b"damaged", b"missing"))
    with pytest.raises(SignatureError, match="signature does not hold"):
        damaged.prepare(path)


def test_only_what_proves_the_set_is_kept_and_reaches_a_supplement(cross):
    """The manifest of tags is signed by nobody: it may list what somebody put there."""
    crossing = cross().write("A")
    shutil.rmtree(crossing.home / "sets")
    names = {item.name for item in crossing.file("A", "tuf").iterdir()}
    for name in ("3.root.json", "9.targets.json", "read me.html"):
        crossing.file("A", f"tuf/{name}").write_bytes(b"{}")
        with crossing.file("A", "tagmanifest-sha256.txt").open("ab") as out:
            out.write(f"{hashlib.sha256(b'{}').hexdigest()}  tuf/{name}\n".encode())
    written = proven(crossing.stick("A"))
    keep_set(crossing.home, written, clusters=(), own_key=HOME.fingerprint)
    kept = crossing.home / "sets" / written.set_id / "tuf"
    assert {item.name for item in kept.iterdir()} == names
    (kept / "9.targets.json").write_bytes(b"{}")
    flip(crossing.file("A", f"data/{BUNDLE}"), 800)
    crossing.answer(crossing.ask("A"))
    assert {item.name for item in crossing.file("S", "tuf").iterdir()} == names


def test_a_request_of_a_set_that_home_does_not_know_is_refused(damaged):
    path = damaged.ask("A")
    (damaged.home / "sets/AZL-2603-TEST.json").unlink()
    with pytest.raises(StorageError, match="knows no such set"):
        damaged.prepare(path)


def test_a_request_of_another_set_of_that_name_is_refused(damaged):
    def change(body):
        body["set_id"] = "5d0f6a1c-2b3c-4d5e-8f90-123456789abc"

    with pytest.raises(StorageError, match="a request about the set 5d0f6a1c"):
        damaged.prepare(resigned(damaged.ask("A"), change))


def test_a_request_of_other_metadata_is_refused(damaged):
    with pytest.raises(DigestError, match="a request about metadata"):
        damaged.prepare(resigned(damaged.ask("A"), lambda body: body.update(metadata="00" * 32)))


@pytest.mark.parametrize(
    "change",
    [
        {"path": "data/payload/other.zip"},
        {"path": "data/plan/set.json"},
        {"size_bytes": 1299},
        {"sha256": "00" * 32},
    ],
)
def test_what_the_set_does_not_have_is_not_written(damaged, change):
    path = resigned(damaged.ask("A"), lambda body: body["pieces"][0].update(change))
    with pytest.raises(InputError, match=r"as the set has it"):
        damaged.prepare(path)


@pytest.mark.parametrize(
    "change",
    [
        {"pieces": []},
        {"pieces": None},
        {"format": 2},
        {"set_name": "../x"},
        {"set_id": "x"},
        {"request_id": 7},
        {"pieces": [{"path": "data/x", "size_bytes": -1, "sha256": "00" * 32, "found": "damaged"}]},
        {"pieces": [{"path": "data/x", "size_bytes": 1, "sha256": "00" * 32, "found": "ok"}]},
        {"pieces": [{"path": "../x", "size_bytes": 1, "sha256": "00" * 32, "found": "damaged"}]},
        {"pieces": [{"path": "data/x", "size_bytes": 1, "sha256": "0", "found": "damaged"}]},
        {
            "pieces": [{"path": "data/x", "size_bytes": 1, "sha256": "00" * 32, "found": "damaged"}]
            * 2
        },
    ],
)
def test_a_request_that_is_none_is_refused(damaged, change):
    path = resigned(damaged.ask("A"), lambda body: body.update(change))
    with pytest.raises(InputError):
        read_supplement_request(path.read_bytes())


def test_what_home_keeps_must_be_what_left(damaged):
    path = damaged.ask("A")
    set_id = describe_medium(damaged.stick("A")).set_id
    kept = damaged.home / "sets" / set_id
    flip(kept / "data/plan/set.json", 5)
    with pytest.raises(DigestError):
        damaged.prepare(path)
    flip(kept / "data/plan/set.json", 5)
    flip(kept / "tuf/timestamp.json", 5)
    with pytest.raises(DigestError, match="other metadata"):
        damaged.prepare(path)
    shutil.rmtree(kept)
    with pytest.raises(StorageError, match="signed part of every set"):
        damaged.prepare(path)


def test_home_keeps_what_was_signed_and_no_payload(cross):
    crossing = cross().write("A")
    (kept,) = (path for path in (crossing.home / "sets").iterdir() if path.is_dir())
    assert kept.name == describe_medium(crossing.stick("A")).set_id
    on_medium = content(crossing.stick("A") / "AZL-2603-TEST")
    found = content(kept)
    assert found.items() <= on_medium.items()
    assert {name.partition("/")[0] for name in found} == {"data", "tuf"}
    assert not [name for name in found if name.startswith("data/payload")]


# --- at the site again --------------------------------------------------------------------------


def test_a_damaged_medium_counts_as_good_with_its_supplement(damaged):
    damaged.answer(damaged.ask("A"))
    bad, supplement = damaged.examine("A", "S")
    assert (bad.problem, supplement.problem) == (None, None)
    assert bad.made_good == (f"data/{BUNDLE}",)
    assert bad.report.having(Verdict.DAMAGED)
    assert [str(state) for state in sets_of([bad, supplement])] == [
        "AZL-2603-TEST is whole: its one medium is proven, with 1 file(s) of a supplement"
    ]


def test_a_bad_supplement_makes_nothing_good(damaged):
    damaged.answer(damaged.ask("A"))
    flip(damaged.file("S", f"data/{BUNDLE}"), 9)
    bad, supplement = damaged.examine("A", "S")
    assert isinstance(bad.problem, DigestError)
    assert isinstance(supplement.problem, DigestError)
    assert not sets_of([bad, supplement])[0].is_whole


def test_what_the_supplement_does_not_have_stays_bad(damaged):
    damaged.answer(damaged.ask("A"))
    damaged.file("A", f"data/{SBE}").unlink()
    bad, _ = damaged.examine("A", "S")
    assert isinstance(bad.problem, StorageError)
    assert bad.made_good == (f"data/{BUNDLE}",)
    with pytest.raises(StorageError, match="missing data/payload/SBE"):
        damaged.open("A", "S")


def test_a_tag_file_is_made_good_by_nothing(damaged):
    damaged.answer(damaged.ask("A"))
    flip(damaged.file("A", "start.txt"), 9)
    bad, _ = damaged.examine("A", "S")
    assert isinstance(bad.problem, DigestError)


def test_a_supplement_is_no_medium_of_its_set(damaged):
    damaged.answer(damaged.ask("A"))
    (state,) = sets_of(damaged.examine("S", "S"))
    assert str(state) == "0 of 1 media of AZL-2603-TEST: 1/1 is missing"


def test_a_supplement_of_another_set_is_not_taken(damaged):
    damaged.answer(damaged.ask("A"))
    damaged.write("B", name="AZL-OTHER", now=NOW - days(1))
    with pytest.raises(InputError, match="put a set together"):
        damaged.open("B", "S")
    flip(damaged.file("B", f"data/{BUNDLE}"), 9)
    assert isinstance(damaged.examine("B", "S")[0].problem, DigestError)


def test_a_supplement_alone_is_not_remembered(damaged):
    damaged.file("A", f"data/{BUNDLE}").unlink()
    damaged.answer(damaged.ask("A"))
    before = damaged.trust.memory()
    damaged.open("S")
    assert damaged.trust.memory() == before
    damaged.open("A", "S")
    assert damaged.trust.memory() != before


def test_a_medium_that_was_lost_but_for_its_metadata_is_whole_with_a_supplement(damaged):
    """What ended a copy of A before its last files is no end: everything that is missing was proven."""
    damaged.file("A", f"data/{BUNDLE}").unlink()
    damaged.file("A", "complete.json").unlink()
    damaged.answer(damaged.ask("A"))
    bad, _ = damaged.examine("A", "S")
    assert bad.problem is None
    assert copied(damaged.open("A", "S")) == damaged.payloads[0].sha256


def test_a_withdrawn_payload_does_not_come_back_by_a_supplement(damaged, publisher, tmp_path):
    damaged.answer(damaged.ask("A"))
    newer = make_payload(tmp_path / "newer", version="12.2604.1003.9", data=b"newer")
    publisher.write(tmp_path / "N", newer, now=NOW + days(1))
    damaged.trust.open(tmp_path / "N", now=NOW + days(2))
    for first, *others in (("S",), ("A", "S"), ("S", "A")):
        with pytest.raises(RollbackError, match="withdrawn: payload/Combined"):
            damaged.open(first, *others, now=NOW + days(2))


@pytest.mark.parametrize(
    "pieces", [[], ["data/payload/other.zip"], [f"data/{BUNDLE}", "data/payload/other.zip"]]
)
def test_a_medium_that_calls_itself_a_supplement_of_what_it_has_not_is_not_proven(damaged, pieces):
    path = damaged.file("A", "complete.json")
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({**document, "medium": 0, "supplement": pieces}))
    (item,) = damaged.examine("A")
    assert isinstance(item.problem, DigestError)
    assert "complete.json" in str(item.problem)


def test_what_is_wrong_with_a_supplement_is_mended_by_the_command_that_writes_it(
    damaged, monkeypatch
):
    path = damaged.ask("A")
    damaged.stick("S").mkdir()
    hints = []

    def refused(act, *errors):
        with pytest.raises(errors) as caught:
            act()
        hints.append(caught.value.hint)

    with monkeypatch.context() as small:
        small.setattr("toolkit.media._write.free_bytes", lambda folder: 1000)
        refused(lambda: damaged.answer(path), StorageError)
    with monkeypatch.context() as fat:
        fat.setattr("toolkit.media._write.largest_file_bytes", lambda folder: 1000)
        refused(lambda: damaged.answer(path), StorageError)
    refused(lambda: damaged.open("S"), StorageError)
    damaged.answer(path)
    payload = damaged.file("S", f"data/{BUNDLE}")
    flip(payload, 7)
    refused(lambda: damaged.answer(path), DigestError)
    payload.unlink()
    refused(lambda: damaged.answer(path), StorageError)
    refused(lambda: damaged.open("S"), StorageError)
    flip(damaged.file("S", "data/plan/set.json"), 7)
    refused(lambda: damaged.open("S"), DigestError)
    for hint in hints:
        assert "media write" not in hint
        assert "--" not in hint
    assert ["`ferry media supplement`" in hint for hint in hints] == [False] * 2 + [True] * 5


def test_a_supplement_is_erased_like_a_medium(damaged):
    damaged.answer(damaged.ask("A"))
    erasure = plan_erasure(damaged.stick("S"), home=damaged.home)
    assert not erasure.foreign
    assert f"data/{BUNDLE}" in [path for path, _ in erasure.removed]


def test_the_folder_that_was_printed_may_be_named_again(damaged):
    """And that of the damaged set is refused: nothing is begun within either."""
    path = damaged.ask("A")
    written = damaged.answer(path)
    again = write_supplement(written.folder, damaged.prepare(path), damaged.payloads, now=NOW)
    assert again.folder == written.folder
    damaged_folder = damaged.stick("A") / "AZL-2603-TEST"
    with pytest.raises(StorageError, match="1/1"):
        write_supplement(damaged_folder, damaged.prepare(path), damaged.payloads, now=NOW)
    for folder in (written.folder, damaged_folder):
        assert not (folder / folder.name).exists()


# --- receipts, and the way home -----------------------------------------------------------------


def register(medium, key, site_id=""):
    scribe = Scribe(key=key, by="Ada", site_id=site_id)
    return Register(label=medium.describe(), scribe=scribe, now=lambda: NOW)


def test_a_supplement_has_receipts_of_its_own(damaged):
    written = damaged.answer(damaged.ask("A"))
    assert register(written, HOME).write().receipt.facts["pieces"] == 1
    opened = damaged.open("S")
    assert register(opened, SITE, SITE_ID).verify(opened.verify()).receipt.facts["is_proven"]
    chain = read_custody(written.folder, set_id=written.set_id, keys=KEYS)
    assert chain.is_whole
    assert [entry.receipt.kind for entry in chain.entries] == ["write", "verify"]
    came = receive_medium(damaged.stick("S"), damaged.home, keys=KEYS, progress=Silent(), now=NOW)
    assert (came.differences, came.chain.is_whole) == ((), True)


def test_a_supplement_that_lost_its_first_receipt_is_noticed_though_another_one_left(damaged):
    path = damaged.ask("A")
    for stick in ("S", "again"):
        written = damaged.answer(path, stick=stick)
        register(written, HOME).write()
        record = keep_set(damaged.home, written, clusters=(), own_key=HOME.fingerprint)
    assert [seen.medium for seen in record.receipts] == [0, 0]
    home = {"keys": KEYS, "progress": Silent(), "now": NOW}
    for stick in ("S", "again"):
        assert receive_medium(damaged.stick(stick), damaged.home, **home).chain.is_whole
    shutil.rmtree(damaged.file("again", "custody"))
    chain = receive_medium(damaged.stick("again"), damaged.home, **home).chain
    assert [seen.flaw for seen in chain.breaks] == ["missing", "missing"]


def test_a_first_receipt_is_remembered_only_if_this_catalog_signed_it(damaged):
    """Also later, where the writing had ended before it was; not one that was put there, or is of another medium."""
    path = damaged.ask("A")

    def kept(key, stick):
        written = damaged.answer(path, stick=stick)
        if key is not None:
            register(written, key).write()
        return keep_set(damaged.home, written, clusters=(), own_key=HOME.fingerprint)

    assert [seen.medium for seen in kept(HOME, "S").receipts] == [0]
    assert len(kept(STRANGER, "strange").receipts) == 1
    assert len(kept(None, "late").receipts) == 1
    record = kept(HOME, "late")
    assert [seen.medium for seen in record.receipts] == [0, 0]
    shutil.copytree(damaged.file("S", "custody"), damaged.file("A", "custody"))
    again = keep_set(
        damaged.home, proven(damaged.stick("A")), clusters=(), own_key=HOME.fingerprint
    )
    assert again.receipts == record.receipts


def test_a_request_travels_with_the_medium_and_is_taken_in(damaged):
    path = damaged.ask("A")
    opened = damaged.open("A")
    (sent,) = put_returns(opened.folder, [path], progress=Silent())
    assert sent.path.name == "plant7.supplement.json"
    register(opened, SITE, SITE_ID).going_home([sent.as_fact()])
    for taking in (Taking.TAKEN, Taking.ALREADY):
        came = receive_medium(
            damaged.stick("A"), damaged.home, keys=KEYS, progress=Silent(), now=NOW
        )
        (taken,) = came.taken
        assert (taken.taking, taken.kind) == (taking, "request")
    damaged.answer(Path(taken.text))
    assert copied(damaged.open("A", "S")) == damaged.payloads[0].sha256


def test_its_name_says_on_the_way_what_it_is(damaged, tmp_path):
    path = damaged.ask("A").rename(tmp_path / "please.json")
    (sent,) = put_returns(damaged.open("A").folder, [path], progress=Silent())
    assert sent.path.name == "please.supplement.json"


def test_an_edited_or_strange_request_is_not_taken_in(damaged):
    opened = damaged.open("A")
    path = damaged.ask("A")
    put_returns(opened.folder, [path], progress=Silent())
    there = opened.folder / "return" / path.name
    for change in (
        lambda: there.write_bytes(there.read_bytes().replace(b"damaged", b"missing")),
        lambda: there.write_bytes(resigned(path, lambda body: None, STRANGER).read_bytes()),
    ):
        change()
        came = receive_medium(
            damaged.stick("A"), damaged.home, keys=KEYS, progress=Silent(), now=NOW
        )
        assert [item.taking for item in came.taken] == [Taking.REFUSED]
    path.write_bytes(path.read_bytes().replace(b"damaged", b"missing"))
    with pytest.raises(SignatureError):
        put_returns(opened.folder, [path], progress=Silent())


@pytest.mark.parametrize("order", [("A", "S"), ("S", "A")])
def test_nothing_is_extracted_onto_either_whichever_is_named_first(damaged, order):
    damaged.answer(damaged.ask("A"))
    for name in order:
        with pytest.raises(StorageError, match="lies on the medium"):
            extract_payloads(damaged.open(*order), damaged.stick(name) / "out")


# --- several places that hold a piece -------------------------------------------------------------


@pytest.fixture
def scattered(damaged):
    """A medium A whose bundle is bad and whose SBE is missing, S with both and a bad bundle, G with the bundle."""
    damaged.answer(damaged.ask("A"), stick="G")
    damaged.file("A", f"data/{SBE}").unlink()
    damaged.answer(damaged.ask("A"))
    flip(damaged.file("S", f"data/{BUNDLE}"), 9)
    return damaged


@pytest.mark.parametrize("order", [("A", "S", "G"), ("A", "G", "S"), ("S", "A", "G")])
def test_a_piece_is_taken_from_wherever_it_is_good(scattered, order, tmp_path):
    assert scattered.lacking(*order).pieces == ()
    found = scattered.examine(*order)
    assert [item.problem for item in found] == [None] * 3
    assert [str(state) for state in sets_of(found)] == [
        "AZL-2603-TEST is whole: its one medium is proven, with 2 file(s) of a supplement"
    ]
    heard = Heard()
    extract_payloads(scattered.open(*order), tmp_path / "out", progress=heard)
    for held in scattered.payloads:
        assert (tmp_path / "out" / held.name).read_bytes() == held.path.read_bytes()
    assert f"look for a good copy of data/{BUNDLE}" in heard.steps
    assert f"look for a good copy of data/{SBE}" not in heard.steps  # one copy: read once


@pytest.mark.parametrize("order", [("A", "copy"), ("copy", "A")])
def test_a_bad_copy_of_a_medium_hides_no_good_one(damaged, order):
    copy = shutil.copytree(damaged.stick("A"), damaged.stick("copy"))
    (copy / "AZL-2603-TEST/data" / BUNDLE).write_bytes(damaged.payloads[0].path.read_bytes())
    (copy / "AZL-2603-TEST/data" / SBE).unlink()
    assert [item.problem for item in damaged.examine(*order)] == [None, None]
    medium = damaged.open(*order)
    assert copied(medium) == damaged.payloads[0].sha256
    assert copied(medium, SBE) == damaged.payloads[1].sha256


def test_where_no_copy_is_good_each_is_named_with_what_is_wrong(scattered):
    shutil.rmtree(scattered.stick("G"))
    with pytest.raises(DigestError) as caught:
        copied(scattered.open("A", "S"))
    for stick in ("A", "S"):
        path = scattered.file(stick, f"data/{BUNDLE}")
        assert f"{path}: block 0 (bytes 0 to 1299) differs" in str(caught.value)
    assert "ferry media request" in caught.value.hint
    assert "written anew" not in caught.value.hint


def test_wrong_bytes_of_the_only_copy_are_named_by_their_place(damaged):
    with pytest.raises(DigestError, match=r"block 0 .* differs in .*A.AZL-2603-TEST"):
        copied(damaged.open("A"))


def test_of_a_cut_payload_the_bad_segment_is_named(cut):
    (segment,) = cut.stick("two").glob("*/data/seg/*/*.seg")
    flip(segment, 8 * 1000)
    with pytest.raises(DigestError, match=r"block 1 .* differs in .*two"):
        copied(cut.open("one", "two"))


def test_copies_of_which_none_can_be_read_are_no_wrong_bytes(damaged, monkeypatch):
    from toolkit.media import _medium as medium_module

    def failing(path, **more):
        raise OSError(5, "Input/output error")

    shutil.copytree(damaged.stick("A"), damaged.stick("copy"))
    monkeypatch.setattr(medium_module, "measure_blocks", failing)
    with pytest.raises(
        StorageError, match=r"A.AZL.*Input/output error.*copy.AZL.*Input/output error"
    ):
        copied(damaged.open("A", "copy"))


@pytest.mark.skipif(shutil.which("par2") is None, reason="the program par2 is not installed")
def test_a_repaired_file_that_was_damaged_since_hides_no_good_one(cross, tmp_path):
    parity = choose_parity(5, memory_mb=64, progress=Silent())
    big = make_payload(tmp_path / "held", data=random.Random(3).randbytes(300_000))
    crossing = cross(big, parity=parity).write("A")
    shutil.copytree(crossing.stick("A"), crossing.stick("copy"))
    flip(crossing.file("A", f"data/{BUNDLE}"), 80_000)
    repair_medium(crossing.open("A"), tmp_path / "scratch", memory_mb=64)
    flip(crossing.file("scratch", f"data/{BUNDLE}"), 5)
    assert copied(crossing.open("A", "copy", "scratch")) == big.sha256
    with pytest.raises(DigestError, match=r"scratch.*differs; .*A.*differs") as caught:
        copied(crossing.open("A", "scratch"))
    assert "ferry media repair" in caught.value.hint


# --- a medium that was lost -----------------------------------------------------------------------


def test_a_lost_medium_is_replaced_by_its_supplement(cut):
    cut.answer(cut.ask("two", whole_set=True))
    assert copied(cut.open("two", "S")) == cut.payloads[0].sha256
    found = cut.examine("two", "S")
    (state,) = sets_of(found)
    assert state.is_whole
    assert str(state) == (
        "AZL-2603-TWO is whole: 1 of 2 media proven, 1/2 is replaced by a supplement"
    )
    for whole_set in (False, True):
        lacking = cut.lacking("two", "S", whole_set=whole_set)
        assert (lacking.pieces, lacking.not_named) == ((), ())


def test_a_supplement_that_is_bad_in_part_replaces_no_medium(cut):
    written = cut.answer(cut.ask("two", whole_set=True))
    flip(
        next(written.folder.glob("data/*/*.zip"), None)
        or next(written.folder.glob("data/seg/*/*")),
        8,
    )
    found = cut.examine("two", "S")
    assert [str(state) for state in sets_of(found)] == [
        "1 of 2 media of AZL-2603-TWO: 1/2 is missing"
    ]
    assert cut.lacking("two", "S").not_named == ("AZL-2603-TWO 1/2",)


# --- a medium that lost its last file -------------------------------------------------------------


@pytest.mark.parametrize("left", [None, b"{}"])
def test_what_an_import_insists_on_is_not_called_needless(cross, left):
    crossing = cross().write("A")
    crossing.file("A", "complete.json").unlink()
    if left is not None:
        crossing.file("A", "complete.json").write_bytes(left)
    with pytest.raises(StorageError, match=r"missing complete\.json"):
        crossing.open("A")
    lacking = crossing.lacking("A")
    assert (lacking.pieces, lacking.other_files) == ((), ())
    assert lacking.unfinished == ("AZL-2603-TEST 1/1",)


@pytest.mark.skipif(shutil.which("par2") is None, reason="the program par2 is not installed")
def test_a_medium_that_a_repair_finished_is_not_called_unfinished(cross):
    crossing = cross().write("A")
    crossing.file("A", "complete.json").unlink()
    repair_medium(crossing.open("A", accept_incomplete=True), crossing.stick("scratch"))
    assert crossing.lacking("A", "scratch").unfinished == ()
    assert copied(crossing.open("A", "scratch")) == crossing.payloads[0].sha256


def test_a_supplement_finishes_a_medium_that_lost_its_last_file(damaged):
    damaged.answer(damaged.ask("A"))
    damaged.file("A", "complete.json").write_bytes(b"")
    lacking = damaged.lacking("A", "S")
    assert (lacking.pieces, lacking.unfinished) == ((), ())
    assert copied(damaged.open("A", "S")) == damaged.payloads[0].sha256


def test_one_of_several_media_that_lost_its_last_file_is_finished_again(cut):
    before = content(cut.stick("two"))
    cut.file("two", "complete.json").unlink()
    cut.write("two", name="AZL-2603-TWO")
    assert content(cut.stick("two")) == before
    assert describe_medium(cut.stick("two")).medium == 2


@pytest.mark.parametrize("left", [None, b"{}"])
def test_a_supplement_that_lost_its_last_file_is_finished_again(damaged, left):
    path = damaged.ask("A")
    written = damaged.answer(path)
    before = content(written.folder)
    damaged.file("S", "complete.json").unlink()
    if left is not None:
        damaged.file("S", "complete.json").write_bytes(left)
    again = damaged.answer(path)
    assert (content(again.folder), again.supplement) == (before, written.supplement)
    assert again.verify().is_tidy(strict=True)


@pytest.mark.parametrize("left", [None, b"", b'{"set_id": "of another"}'])
def test_a_supplement_that_lost_its_last_file_gives_its_pieces_all_the_same(damaged, left):
    damaged.answer(damaged.ask("A"))
    damaged.file("S", "complete.json").unlink()
    if left is not None:
        damaged.file("S", "complete.json").write_bytes(left)
    assert copied(damaged.open("A", "S")) == damaged.payloads[0].sha256


def test_no_medium_that_lost_its_last_file_becomes_a_supplement(damaged):
    path = damaged.ask("A")
    damaged.file("A", "complete.json").unlink()
    damaged.file("A", f"data/{SBE}").unlink()
    with pytest.raises(StorageError, match="something else") as caught:
        damaged.answer(path, stick="A")
    assert "--name" not in caught.value.hint, "a supplement has the name of its set"


def test_a_supplement_with_other_pieces_is_not_taken_for_the_one_that_is_asked_for(damaged):
    damaged.answer(damaged.ask("A"))
    damaged.file("S", "complete.json").unlink()
    damaged.file("A", f"data/{BUNDLE}").write_bytes(damaged.payloads[0].path.read_bytes())
    damaged.file("A", f"data/{SBE}").unlink()
    with pytest.raises(StorageError, match="something else"):
        damaged.answer(damaged.ask("A"))
    assert not damaged.file("S", "writing.json").exists()
