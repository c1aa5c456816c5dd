"""The receipts of a set, from the command line: at home, at a site, and on the way back."""

import json
import shutil

import pytest

from tests.made_requests import make_request
from tests.unit.media.making import NOW, Publisher, flip, make_payload, proven
from tests.unit.media.receipts import HOME, SITE, STRANGER, Scroll, sha256
from toolkit.catalog import Catalog
from toolkit.cli import execute
from toolkit.media import Register, Scribe, describe_medium, fingerprint, keep_set, pin_root
from toolkit.request import to_bytes
from toolkit.signed import open_key
from toolkit.site import Site


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    return Publisher(tmp_path_factory.mktemp("publisher") / "keys")


@pytest.fixture(scope="module")
def written(tmp_path_factory, publisher):
    base = tmp_path_factory.mktemp("written")
    (base / "medium").mkdir()
    publisher.write(
        base / "medium", make_payload(base / "catalog"), set_name="AZL-2603-TEST", now=NOW
    )
    return base / "medium"


@pytest.fixture
def ferry(tmp_path, monkeypatch, capsys, written):
    """Run `ferry` beside a medium without receipts; returns (exit code, stdout, stderr)."""
    monkeypatch.delenv("FERRY_SITE", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(written, tmp_path / "medium")

    def ferry(*words):
        code = execute([str(word) for word in words])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return ferry


@pytest.fixture
def folder(ferry, tmp_path):
    return tmp_path / "medium" / "AZL-2603-TEST"


@pytest.fixture
def custody(folder):
    """Put a usual chain of receipts onto the medium."""
    (folder / "custody").mkdir()
    scroll = Scroll(set_id=describe_medium(folder).set_id).usual()
    for name, data in scroll.files.items():
        (folder / "custody" / name).write_bytes(data)
    return folder / "custody"


@pytest.fixture
def home(ferry, tmp_path):
    """The catalog at home, which has no key yet."""
    (tmp_path / "catalog").mkdir()
    return tmp_path / "catalog"


@pytest.fixture
def site(ferry, tmp_path, publisher):
    """A site that trusts the publisher's root."""
    root = publisher.root
    Site.create(tmp_path / "site", pin=lambda trust: pin_root(trust, root, fingerprint(root)))
    return tmp_path / "site"


def known(*keys):
    return [word for key in keys for word in ("--fingerprint", key.fingerprint)]


# --- history ------------------------------------------------------------------------------------


def test_history_tells_an_unbroken_chain_in_order(ferry, custody):
    code, out, _ = ferry("media", "history", "medium", *known(HOME, SITE))
    assert code == 0
    lines = out.splitlines()[1:7]
    assert [line.split()[1] for line in lines] == [
        "write", "hand-over", "verify", "import", "result", "return",
    ]  # fmt: skip
    assert "6 receipts, one unbroken chain" in out


def test_history_names_keys_that_are_not_known(ferry, custody):
    code, out, _ = ferry("media", "history", "medium", *known(HOME))
    assert code == 1
    assert f"signed by a key not known here, fingerprint {SITE.fingerprint}" in out
    assert STRANGER.fingerprint not in out


def test_history_names_a_gap_as_a_gap(ferry, custody):
    next(custody.glob("0003-*")).unlink()
    code, out, _ = ferry("media", "history", "medium", *known(HOME, SITE))
    assert code == 1
    assert "missing: receipt 3 is missing: not copied, or removed" in out
    assert "tamper" not in out.lower()


def test_history_of_a_set_without_receipts_is_empty_and_whole(ferry, folder):
    code, out, _ = ferry("media", "history", folder)
    assert code == 0
    assert "no receipts" in out


def test_history_as_json(ferry, custody):
    next(custody.glob("0002-*")).write_bytes(b"")
    code, out, _ = ferry("media", "history", "medium", *known(HOME, SITE), "--json")
    assert code == 1
    data = json.loads(out)["data"]
    assert (data["set_name"], data["is_whole"]) == ("AZL-2603-TEST", False)
    assert [(seen["flaw"], seen["counter"]) for seen in data["breaks"]] == [("not a receipt", 2)]
    assert data["entries"][2]["receipt"]["by"] == "Ada"


def test_a_mistyped_fingerprint_is_an_input_error(ferry, custody):
    assert ferry("media", "history", "medium", "--fingerprint", "3f2a")[0] == 7


def test_history_changes_nothing_on_the_medium(ferry, custody):
    def facts():
        return {path: path.stat().st_mtime_ns for path in custody.parent.rglob("*")}

    before = facts()
    ferry("media", "history", "medium")
    assert facts() == before


def test_history_at_a_site_believes_home_under_its_root(ferry, tmp_path, publisher, home, site):
    key = Catalog(home).signing_key()
    (tmp_path / "second").mkdir()
    payload = make_payload(tmp_path / "made")
    medium = publisher.write(tmp_path / "second", payload, now=NOW, custody_key=key.public_hex)
    Register(label=medium.describe(), scribe=Scribe(key=key, by="Ada")).write()
    words = ("media", "verify", "second", "--site", "site", "--receipt", "--by", "Ben")
    assert ferry(*words)[0] == 0
    code, out, _ = ferry("media", "history", "second", "--site", "site")
    assert code == 0
    first, second = out.splitlines()[1:3]
    assert "  home  " in first
    assert "  this site  " in second


def test_history_says_when_the_key_of_home_cannot_be_proven(ferry, custody, site):
    (custody.parent / "tuf" / "timestamp.json").write_bytes(b"{}")
    code, _, err = ferry("media", "history", "medium", "--site", "site")
    assert code == 1
    assert "the key of home cannot be proven by this medium" in err


# --- hand-over, verify --------------------------------------------------------------------------


def receipts(folder):
    """Return every receipt of a set as its signed statement, in order."""
    paths = sorted((folder / "custody").glob("*.json"))
    return [json.loads(path.read_bytes())["signed"] for path in paths]


def test_a_hand_over_is_written_down_at_home_and_at_a_site(ferry, folder, home, site):
    words = ("media", "hand-over", "medium", "--to", "Ben", "--by", "Ada")
    code, out, err = ferry(*words, "--catalog", "catalog")
    assert (code, out) == (0, "AZL-2603-TEST: Ada handed it to Ben\n")
    assert "0001-hand-over-" in err
    assert ferry(*words, "--site", "site")[0] == 0
    first, second = receipts(folder)
    assert (first["facts"]["to"], first["by"], first["site_id"]) == ("Ben", "Ada", "")
    assert second["site_id"] == Site(site).site_id()
    keys = known(open_key(site / "request.key.pem"))
    assert ferry("media", "history", "medium", "--catalog", "catalog", *keys)[0] == 0


def test_a_hand_over_needs_a_place_whose_key_signs(ferry):
    words = ("media", "hand-over", "medium", "--to", "Ben", "--by", "Ada")
    assert "--site DIR at a site" in ferry(*words)[2]
    assert ferry(*words)[0] == 2


def test_a_hand_over_to_nobody_is_an_input_error(ferry, home):
    words = ("media", "hand-over", "medium", "--to", " ", "--by", "Ada")
    code, _, err = ferry(*words, "--catalog", "catalog")
    assert code == 7
    assert "next: give the name" in err


def test_a_name_of_thousands_of_characters_is_not_repeated_whole(ferry, home):
    words = ("media", "hand-over", "medium", "--to", "Ben", "--by", "Ada\n" * 600)
    code, _, err = ferry(*words, "--catalog", "catalog")
    assert code == 2
    assert len(err) < 400
    assert "(expected: the name of a person on one line)" in err


def test_what_is_wrong_with_earlier_receipts_and_the_clock_is_told(ferry, folder, custody, site):
    next(custody.glob("0003-*")).unlink()
    pinned = site / "trust" / "state.json"
    state = {"format": 1, "kind": "ferry-trust-state", "metadata": {}}
    pinned.write_text(json.dumps({**state, "floor": "2099-01-01T00:00:00Z"}), encoding="utf-8")
    words = ("media", "hand-over", "medium", "--to", "Ben", "--by", "Ada", "--site", "site")
    code, _, err = ferry(*words)
    assert code == 0
    assert "the receipts before: receipt 3 is missing" in err
    assert "this machine's clock is behind" in err
    assert "(clock behind)" in ferry("media", "history", "medium")[1]


def test_a_receipt_that_cannot_be_written_is_an_error_of_its_own(ferry, folder, site):
    (folder / "custody").touch()
    words = ("media", "verify", "medium", "--site", "site", "--receipt", "--by", "Ben")
    code, out, err = ferry(*words)
    assert code == 6
    assert "files ok" in out
    assert "--receipts DIR" in err


def test_a_hand_over_as_json(ferry, home):
    words = ("media", "hand-over", "medium", "--to", "Ben", "--by", "Ada", "--json")
    code, out, _ = ferry(*words, "--catalog", "catalog")
    assert code == 0
    assert json.loads(out)["data"]["receipt"]["kind"] == "hand-over"


def test_verifying_changes_nothing_on_the_medium_unless_asked(ferry, folder, site):
    assert ferry("media", "verify", "medium", "--site", "site")[0] == 0
    assert not (folder / "custody").exists()


def test_verifying_at_a_site_can_leave_a_receipt(ferry, folder, site):
    words = ("media", "verify", "medium", "--site", "site", "--receipt", "--by", "Ben")
    assert ferry(*words)[0] == 0
    (found,) = receipts(folder)
    assert (found["receipt"], found["by"]) == ("verify", "Ben")
    facts = found["facts"]
    assert facts["is_proven"] is True
    assert facts["files"]["ok"] > 5
    assert facts["read_method"]
    assert facts["metadata"] == sha256((folder / "tuf" / "timestamp.json").read_bytes())
    assert ferry("media", "verify", "medium", "--site", "site")[0] == 0, "receipts are no litter"


def test_verifying_at_home_is_a_read_back(ferry, folder, home, publisher):
    (folder.parents[1] / "1.root.json").write_bytes(publisher.root)
    words = ("--root", "1.root.json", "--fingerprint", fingerprint(publisher.root))
    more = ("--catalog", "catalog", "--receipt", "--by", "Ada")
    assert ferry("media", "verify", "medium", *words, *more)[0] == 0
    assert receipts(folder)[0]["receipt"] == "read-back"


def test_a_damaged_medium_gets_its_receipt_too_and_stays_an_error(ferry, folder, site):
    flip(next((folder / "data" / "payload").iterdir()), 99)
    words = ("media", "verify", "medium", "--site", "site", "--receipt", "--by", "Ben")
    assert ferry(*words)[0] == 3
    facts = receipts(folder)[0]["facts"]
    assert facts["is_proven"] is False
    assert facts["files"]["damaged"] == 1


def test_a_receipt_can_stand_beside_a_medium(ferry, folder, site, tmp_path):
    words = ("media", "verify", "medium", "--site", "site", "--receipt", "--by", "Ben")
    assert ferry(*words, "--receipts", "beside")[0] == 0
    assert not (folder / "custody").exists()
    assert len(list((tmp_path / "beside").iterdir())) == 1
    told = ferry("media", "history", "medium", "--site", "site", "--receipts", "beside")
    assert told[0] == 0
    assert "1 receipt, one unbroken chain" in told[1]


def test_a_receipt_that_cannot_be_written_never_hides_the_damage(ferry, folder, site):
    flip(next((folder / "data" / "payload").iterdir()), 99)
    (folder / "custody").touch()  # nothing can be written into a file
    words = ("media", "verify", "medium", "--site", "site", "--receipt", "--by", "Ben")
    code, _, err = ferry(*words)
    assert code == 3
    assert "no receipt of this" in err


@pytest.mark.parametrize(
    "words",
    [("--receipt",), ("--by", "Ben"), ("--receipts", "beside")],
    ids=["nobody named", "no receipt", "no receipt beside"],
)
def test_options_of_a_receipt_go_together(ferry, site, words):
    assert ferry("media", "verify", "medium", "--site", "site", *words)[0] == 2


# --- return, receive ----------------------------------------------------------------------------


@pytest.fixture
def left(ferry, home, folder):
    """The set as it left home, with its first receipt; the catalog remembers it."""
    scribe = Scribe(key=Catalog(home).signing_key(), by="Ada")
    Register(label=describe_medium(folder), scribe=scribe).write()
    return keep_set(
        home,
        proven(folder),
        clusters=[("plant7", "x")],
        own_key=scribe.key.fingerprint,
    )


@pytest.fixture
def request_file(site, tmp_path):
    asked = make_request(site_id=Site(site).site_id())
    (tmp_path / "plant7.json").write_bytes(to_bytes(asked, open_key(site / "request.key.pem")))
    return "plant7.json"


def test_what_comes_home_is_taken_in_once_its_key_is_known(
    ferry, left, home, site, request_file, tmp_path
):
    words = ("media", "return", "medium", request_file, "--site", "site", "--by", "Ben")
    code, out, err = ferry(*words)
    assert code == 0
    assert "plant7.request.json" in out
    assert "0002-return-" in err
    receive = ("media", "receive", "medium", "--catalog", "catalog")
    code, out, _ = ferry(*receive)
    assert code == 1
    key = open_key(site / "request.key.pem").fingerprint
    assert f"plant7.request.json: refused, signed by a key not known here, fingerprint {key}" in out
    (receipt,) = (tmp_path / "medium").glob("*/custody/0002-*")
    know = ("catalog", "know-key", receipt, "--name", "plant7", "--fingerprint", key)
    assert ferry(*know, "--catalog", "catalog")[0] == 0
    code, out, _ = ferry(*receive)
    assert code == 1, "the site neither verified nor imported it"
    assert "plant7.request.json: taken in" in out
    assert "plant7: OPEN: not verified; not imported" in out
    assert "site x (plant7): OPEN: no receipt of this site came home" in out
    data = json.loads(ferry(*receive, "--json")[1])["data"]
    assert (data["is_closed"], data["is_whole"]) == (False, True)
    assert data["taken"][0]["taking"] == "already here"
    assert [row["is_closed"] for row in data["sites"]] == [False, False]


def test_a_medium_that_nobody_touched_has_no_site_to_tell_of(ferry, home, left):
    (home / "sets" / "AZL-2603-TEST.json").unlink()
    key = Catalog(home).signing_key().fingerprint
    keep_set(home, proven(home.parent / "medium"), clusters=[], own_key=key)
    code, out, _ = ferry("media", "receive", "medium", "--catalog", "catalog")
    assert code == 1
    assert "no site that is known here has left a receipt" in out


def test_a_set_that_is_another_one_is_told(ferry, left, folder):
    (folder / "tuf" / "timestamp.json").unlink()
    code, out, _ = ferry("media", "receive", "medium", "--catalog", "catalog")
    assert code == 1
    assert "not the set that left: its metadata cannot be read" in out


def test_a_return_as_json(ferry, site, folder):
    words = ("media", "return", "medium", "--site", "site", "--by", "Ben", "--json")
    code, out, _ = ferry(*words)
    assert code == 0
    assert json.loads(out)["data"]["receipt"]["facts"]["files"] == []
