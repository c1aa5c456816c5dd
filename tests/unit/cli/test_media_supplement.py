"""Pieces that are missing or bad, from the command line: asked for, written, and used together."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import toolkit
from tests.unit.media.making import PASSPHRASE, Publisher, flip, make_payload
from toolkit.catalog._records import Record
from toolkit.catalog._store import Store
from toolkit.cli import execute
from toolkit.media import fingerprint, keep_set, pin_root
from toolkit.signed import open_key
from toolkit.site import Site

VERSION = "12.2603.1002.15"
NAME = f"CombinedSolutionBundle.{VERSION}.zip"
ASK = ("media", "request", "A", "--site", "site", "-o", "plant7.supplement.json")
ANSWER = ("media", "supplement", "plant7.supplement.json", "--catalog", "catalog", "--to", "S")
BOTH = ("media", "verify", "A", "S", "--site", "site")


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    now = datetime.now(UTC)
    return Publisher(
        tmp_path_factory.mktemp("publisher") / "keys",
        made_at=now - timedelta(days=1),
        expires_at=now + timedelta(days=700),
    )


@pytest.fixture
def ferry(tmp_path, monkeypatch, publisher, capsys):
    """Run `ferry` beside keys, a catalog with a bundle and a site; returns (exit code, stdout, stderr)."""
    for name in ("FERRY_SITE", "FERRY_MANIFESTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FERRY_KEY_PASSPHRASE", PASSPHRASE)
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / "catalog")
    held = make_payload(tmp_path / "made", version=VERSION)
    path = store.object(held.sha256)
    for folder in (path.parent, store.shelf(VERSION), tmp_path / "A", tmp_path / "S"):
        folder.mkdir(parents=True, exist_ok=True)
    held.path.replace(path)
    store.write(
        Record(
            held=replace(held, path=path),
            modified_ns=path.stat().st_mtime_ns,
            verified_at=datetime.now(UTC),
            siblings=(held.name,),
        )
    )
    root = publisher.root
    Site.create(tmp_path / "site", pin=lambda trust: pin_root(trust, root, fingerprint(root)))

    def ferry(*words):
        code = execute([str(word) for word in words])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return ferry


@pytest.fixture
def medium(ferry, publisher, tmp_path):
    """The set folder of a medium that home wrote."""
    words = ("--catalog", "catalog", "--keys", publisher.folder, "--to", "A", "--parity", "0")
    code, _, err = ferry("media", "write", VERSION, *words)
    assert code == 0, err
    (folder,) = (tmp_path / "A").iterdir()
    return folder


@pytest.fixture
def damaged(medium):
    flip(medium / "data/payload" / NAME, 800)
    return medium


@pytest.fixture
def asked(ferry, damaged, tmp_path):
    """A request of the site, whose key home knows."""
    assert ferry(*ASK)[0] == 0
    key = open_key(tmp_path / "site/request.key.pem").fingerprint
    words = ("plant7.supplement.json", "--name", "plant7", "--fingerprint", key)
    assert ferry("catalog", "know-key", *words, "--catalog", "catalog")[0] == 0
    return tmp_path / "plant7.supplement.json"


def test_nothing_is_written_where_nothing_is_wrong(ferry, medium, tmp_path):
    code, out, _ = ferry(*ASK)
    assert code == 0
    assert "no piece is missing or bad; nothing was written" in out
    assert not (tmp_path / "plant7.supplement.json").exists()
    assert not (tmp_path / "site/request.key.pem").exists()
    data = json.loads(ferry(*ASK, "--json")[1])["data"]
    assert (data["file"], data["fingerprint"], data["lacking"]["pieces"]) == (None, None, [])


@pytest.mark.parametrize("left", [None, b"{}"])
def test_a_medium_that_lost_its_last_file_is_refused_until_home_finished_it(
    ferry, medium, publisher, left
):
    complete = medium / "complete.json"
    complete.unlink()
    if left is not None:
        complete.write_bytes(left)
    code, out, err = ferry(*ASK)
    assert (code, "nothing was written" in out) == (1, True)
    assert "complete.json is missing or bad, and an import insists on it" in err
    extract = ("media", "extract", "A", "--to", "out", "--site", "site")
    for words in (("media", "verify", "A", "--site", "site"), extract):
        code, _, err = ferry(*words)
        assert code in (3, 6)
        assert "the same `ferry media write`" in err
    words = ("--catalog", "catalog", "--keys", publisher.folder, "--to", "A", "--parity", "0")
    assert ferry("media", "write", VERSION, *words)[0] == 0
    assert ferry(*extract)[0] == 0
    assert ferry(*ASK)[0] == 0


def test_what_is_bad_is_asked_for_in_a_signed_file(ferry, damaged, tmp_path):
    code, out, _ = ferry(*ASK)
    assert code == 0
    assert f"data/payload/{NAME}" in out
    assert "1 piece(s) missing or bad" in out
    key = open_key(tmp_path / "site/request.key.pem").fingerprint
    assert f"signed by this site's key {key}" in out
    body = json.loads((tmp_path / "plant7.supplement.json").read_bytes())["signed"]
    assert body["site_id"] == Site(tmp_path / "site").site_id()
    data = json.loads(ferry(*ASK, "--json")[1])["data"]
    assert data["lacking"]["pieces"][0]["found"] == "damaged"
    assert data["fingerprint"] == key


def test_what_is_no_piece_is_told(ferry, medium):
    flip(medium / "start.txt", 5)
    code, out, err = ferry(*ASK)
    assert code == 0
    assert "no piece is missing or bad" in out
    assert "differs too, and no import needs it: start.txt" in err


def test_a_file_of_others_is_not_written_over(ferry, damaged, tmp_path):
    (tmp_path / "plant7.supplement.json").write_text("mine")
    code, _, err = ferry(*ASK)
    assert code == 6
    assert "not such a file of ferry" in err


@pytest.mark.parametrize(
    "words",
    [
        ("media", "request", "-o"),
        ("cluster", "request", "--print"),
        ("catalog", "plan", "--page"),
        ("logs", "collect", "-o"),
        ("trust", "renew", "--draft"),
    ],
)
@pytest.mark.parametrize("place", ["", "data/payload"])
def test_no_document_is_written_into_a_set_folder(ferry, medium, words, place):
    code, _, err = ferry(*words, medium / place / "new.json")
    assert code == 6
    assert f"{medium} is a set folder of a medium" in err
    assert "next: name a place beside that folder" in err


def test_a_document_may_lie_beside_a_set(ferry, damaged):
    words = ("media", "request", "A", "--site", "site", "-o", "A/plant7.supplement.json")
    assert ferry(*words)[0] == 0


def test_an_unknown_site_is_refused_and_told_how_to_be_known(ferry, damaged, tmp_path):
    ferry(*ASK)
    code, _, err = ferry(*ANSWER)
    assert code == 3
    assert "ferry catalog know-key" in err
    assert not list((tmp_path / "S").iterdir())


def test_home_writes_what_was_asked_without_any_key(ferry, asked, damaged, tmp_path, monkeypatch):
    monkeypatch.delenv("FERRY_KEY_PASSPHRASE")
    code, out, err = ferry(*ANSWER, "--by", "Ada", "--parity", "0")
    assert code == 0, err
    assert f"{damaged.name} supplement: 1 piece(s) of {damaged.name}" in out
    assert "as plant7 asked" in out
    (receipt,) = (tmp_path / "S" / damaged.name / "custody").iterdir()
    facts = json.loads(receipt.read_bytes())["signed"]["facts"]
    assert (facts["pieces"], facts["payloads"]) == (1, 1)
    label = json.loads(ferry(*ANSWER, "--parity", "0", "--json")[1])["data"]
    assert label["supplement"] == [f"data/payload/{NAME}"]
    assert label["is_complete"] is True
    assert ferry("media", "history", "S", "--catalog", "catalog")[0] == 0
    assert "supplement  complete" in ferry("media", "show", "S")[1]


def test_the_site_uses_both(ferry, asked, damaged, tmp_path):
    assert ferry(*ANSWER, "--parity", "0")[0] == 0
    assert ferry("media", "verify", "A", "--site", "site")[0] == 3
    code, out, _ = ferry("media", "verify", "S", "--site", "site")
    assert code == 0
    assert f"a supplement: 1 piece(s) of {damaged.name}" in out
    code, out, _ = ferry(*BOTH)
    assert code == 0
    assert "1 file(s) missing or bad here are good elsewhere: import from all of these" in out
    assert f"{damaged.name} is whole: its one medium is proven, with 1 file(s)" in out
    rows = json.loads(ferry(*BOTH, "--json")[1])["data"]
    assert [row["made_good"] for row in rows] == [[f"data/payload/{NAME}"], []]
    assert [row["exit_code"] for row in rows] == [0, 0]
    assert ferry("media", "extract", "A", "--to", "out", "--site", "site")[0] == 3
    assert ferry("media", "extract", "A", "S", "--to", "out", "--site", "site")[0] == 0
    assert (tmp_path / "out" / NAME).read_bytes() == b"vendor bytes " * 100


def test_a_receipt_of_both_says_that_the_medium_alone_is_not_proven(ferry, asked, damaged):
    ferry(*ANSWER, "--parity", "0")
    assert ferry(*BOTH, "--receipt", "--by", "Ben")[0] == 0
    for root, proven in ((damaged, False), (damaged.parents[1] / "S" / damaged.name, True)):
        (path,) = (root / "custody").glob("*-verify-*.json")
        assert json.loads(path.read_bytes())["signed"]["facts"]["is_proven"] is proven


def test_a_request_goes_home_with_the_medium(ferry, asked, damaged):
    words = ("--site", "site", "--by", "Ben")
    assert ferry("media", "return", "A", "plant7.supplement.json", *words)[0] == 0
    _, out, _ = ferry("media", "receive", "A", "--catalog", "catalog")
    assert "plant7.supplement.json: taken in" in out
    taken = f"catalog/received/{damaged.name}/plant7.supplement.json"
    words = ("--catalog", "catalog", "--to", "S", "--parity", "0")
    assert ferry("media", "supplement", taken, *words)[0] == 0


def test_a_release_that_was_recalled_since_is_not_written_again(ferry, asked, tmp_path):
    published = next((Path(toolkit.__file__).parents[1] / "manifests").glob(f"{VERSION}.yaml"))
    text = published.read_text(encoding="utf-8").replace("status: listed", "status: recalled")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / f"{VERSION}.yaml").write_text(text, encoding="utf-8")
    code, _, err = ferry(*ANSWER, "--parity", "0", "--manifests", "more")
    assert code == 7
    assert "a release that its publisher recalled" in err
    assert not list((tmp_path / "S").iterdir())


def test_a_payload_that_is_not_held_any_more_is_named(ferry, asked, tmp_path):
    for record in (tmp_path / "catalog" / VERSION).glob("*.held.json"):
        record.unlink()
    code, _, err = ferry(*ANSWER, "--parity", "0")
    assert code == 6
    assert f"ferry catalog download {VERSION}" in err


def test_a_name_that_is_too_long_ends_with_what_to_do(ferry, damaged):
    code, _, err = ferry(*ASK[:-1], "x" * 252)
    assert code == 6
    assert "next: choose a shorter name" in err


def test_a_catalog_s_key_that_cannot_be_read_is_told_once(ferry, asked, tmp_path, monkeypatch):
    (key,) = (tmp_path / "catalog").glob("*.pem")
    honest = Path.open

    def opened(path, *arguments, **options):
        if path.name == key.name:
            raise PermissionError(13, "Permission denied", str(path))
        return honest(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", opened)
    code, _, err = ferry(*ANSWER, "--parity", "0")
    assert code == 6
    assert "next: check its permissions" in err
    assert "the set will have no receipt" not in err


def test_a_set_from_the_future_is_told_before_anything_is_written(
    ferry, asked, publisher, tmp_path
):
    """Home's clock was ahead when it wrote another set."""
    future = datetime.now(UTC).replace(microsecond=0) + timedelta(days=400)
    held = make_payload(tmp_path / "more", version=VERSION)
    medium = publisher.write(tmp_path / "F", held, set_name="AZL-AHEAD", now=future)
    own = open_key(tmp_path / "catalog/catalog.key.pem").fingerprint
    keep_set(tmp_path / "catalog", medium, clusters=(), own_key=own)
    (tmp_path / "B").mkdir()
    words = ("--catalog", "catalog", "--keys", publisher.folder, "--to", "B", "--parity", "0")
    for command in (ANSWER, ("media", "write", VERSION, *words)):
        code, _, err = ferry(*command, "--json")
        assert code == 0
        assert f"warning: AZL-AHEAD left with the time of issue {future:%Y-%m-%d %H:%M}" in err


def test_a_scanner_that_says_no_ends_it(ferry, asked, tmp_path):
    program = tmp_path / "scan.sh"
    program.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    code, _, err = ferry(*ANSWER, "--parity", "0", "--hook-before-write", program)
    assert code == 3
    assert "before it is written" in err
    assert not list((tmp_path / "S").glob("*/complete.json"))
