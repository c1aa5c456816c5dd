import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.media.making import PASSPHRASE, Publisher, flip, make_payload
from toolkit.catalog import load_manifests
from toolkit.catalog._records import Record
from toolkit.catalog._store import Store
from toolkit.cli import execute
from toolkit.cli._run_options import read_update
from toolkit.errors import InputError, StorageError
from toolkit.media import fingerprint, pin_root
from toolkit.model import Acceptance, FileVerdict

VERSION = "12.2603.1002.15"


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    now = datetime.now(UTC)
    return Publisher(
        tmp_path_factory.mktemp("publisher") / "keys",
        made_at=now - timedelta(days=1),
        expires_at=now + timedelta(days=700),
    )


@pytest.fixture
def hold(tmp_path):
    """Have the catalog hold one file of one version, judged as a test says."""
    store = Store(tmp_path / "catalog")

    def hold(**judged):
        held = make_payload(tmp_path / "made", version=VERSION, **judged)
        path = store.object(held.sha256)
        for folder in (path.parent, store.shelf(VERSION)):
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

    return hold


@pytest.fixture
def ferry(tmp_path, monkeypatch, publisher, capsys, hold):
    """Run `ferry` beside keys, a catalog, a medium and a site; returns (exit code, stdout, stderr)."""
    for name in ("FERRY_SITE", "FERRY_MANIFESTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FERRY_KEY_PASSPHRASE", PASSPHRASE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "medium").mkdir()
    hold()
    pin_root(tmp_path / "site" / "trust", publisher.root, fingerprint(publisher.root))

    def ferry(*words):
        code = execute([str(word) for word in words])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return ferry


@pytest.fixture
def write(ferry, publisher):
    def write(version=VERSION, *more):
        keys = publisher.folder
        words = ("--catalog", "catalog", "--keys", keys, "--to", "medium")
        return ferry("media", "write", version, *words, *more)

    return write


@pytest.fixture
def folder(write, tmp_path):
    """The set folder of a medium written by the command."""
    assert write()[0] == 0
    (folder,) = (tmp_path / "medium").iterdir()
    return folder


def test_writing_prints_the_label(write):
    code, out, _ = write(VERSION, "--name", "AZL-1")
    assert code == 0
    assert "AZL-1 1/1  complete" in out
    assert "CombinedSolutionBundle.12.2603.1002.15.zip" in out


AUTHORITIES = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"]


@pytest.mark.parametrize("name", AUTHORITIES)
def test_writing_does_not_ask_for_the_authorities_of_a_network(write, monkeypatch, tmp_path, name):
    for each in AUTHORITIES:  # the first that is set counts
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, str(tmp_path / "gone.pem"))
    assert write()[0] == 0


def test_writing_loads_nothing_of_a_download(tmp_path, hold, publisher):
    hold()
    (tmp_path / "medium").mkdir()
    script = (
        "import sys; from toolkit.cli import execute; code = execute(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    words = ("--catalog", tmp_path / "catalog", "--keys", publisher.folder)
    done = subprocess.run(
        [sys.executable, "-c", script, "media", "write", VERSION, *words, "--to", "medium"],
        cwd=tmp_path,
        env={**os.environ, "FERRY_KEY_PASSPHRASE": PASSPHRASE, "FERRY_MANIFESTS": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stderr.split())
    assert "toolkit.catalog._trip" in loaded
    rooms = {f"toolkit.catalog.{room}" for room in ("_connection", "_download", "_fetch", "_tls")}
    assert loaded.isdisjoint(rooms | {"jinja2", "requests"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--size", "foo"), "'foo' (expected: a number and MB, GB"),
        (("--size", "32GB", "--size", "0"), "'0' (expected: a number and MB, GB"),
        (("--size", "0GB"), "'0GB' (expected"),
        (("--name", "azl 1"), "'azl 1' (expected: 1 to 13 characters of A-Z"),
        (("--name", "NUL"), "is a device on Windows"),
        (("--name", ""), "'' (expected: 1 to 13"),
    ],
)
def test_what_is_no_size_or_name_is_a_usage_error(write, tmp_path, words, said):
    code, _, err = write(VERSION, *words)
    assert code == 2
    assert f"Invalid value for '{words[0]}'" in err
    assert said in " ".join(err.split())
    assert list((tmp_path / "medium").iterdir()) == []


def test_a_plan_of_media_takes_only_sizes(ferry, tmp_path):
    (tmp_path / "plan.json").touch()
    words = ("media", "plan", "plan.json", "--catalog", "catalog", "--size", "many")
    assert ferry(*words)[0] == 2


def test_a_finished_set_carries_the_receipt_of_its_writing(write, folder, tmp_path):
    (path,) = (folder / "custody").iterdir()
    receipt = json.loads(path.read_bytes())["signed"]
    assert path.name.startswith("0001-write-")
    assert receipt["by"] == ""
    complete = json.loads((folder / "complete.json").read_bytes())
    assert receipt["facts"]["read_back"] == complete["read_back"]["method"]
    before = path.read_bytes()
    assert write(VERSION, "--by", "Ada")[0] == 0, "the same set again"
    assert [seen.read_bytes() for seen in (folder / "custody").iterdir()] == [before]


def test_a_set_that_was_damaged_gets_no_receipt_of_its_writing(write, folder):
    shutil.rmtree(folder / "custody")
    (payload,) = (folder / "data" / "payload").iterdir()
    flip(payload, 3)
    code, out, err = write()
    assert (code, out) == (3, "")
    assert "ferry media repair" in err or "ferry media erase" in err  # as there is parity or not
    assert not (folder / "custody").exists()
    flip(payload, 3)
    assert write()[0] == 0
    assert len(list((folder / "custody").iterdir())) == 1


@pytest.mark.skipif(shutil.which("par2") is None, reason="the program par2 is not installed")
def test_repairing_a_medium_without_its_payload_ends_with_no_and_names_it(ferry, folder):
    (payload,) = (folder / "data" / "payload").iterdir()
    payload.unlink()
    code, out, err = ferry("media", "repair", "medium", "--scratch", "scratch", "--site", "site")
    assert (code, out) == (1, "")
    assert f"missing, and parity cannot make it: data/payload/{payload.name}" in err
    assert "next: ask home for it" in err
    assert "ferry media request" in ferry("media", "verify", "medium", "--site", "site")[2]


@pytest.mark.skipif(shutil.which("par2") is None, reason="the program par2 is not installed")
def test_what_cannot_be_repaired_is_not_called_undamaged(ferry, folder):
    (payload,) = (folder / "data" / "payload").iterdir()
    flip(payload, 3)
    shutil.rmtree(folder / "parity")
    code, out, err = ferry("media", "repair", "medium", "--scratch", "scratch", "--site", "site")
    assert (code, out) == (3, "")
    assert "no parity was written for it" in err
    assert "naming the medium: ferry media request" in err


def test_a_set_that_lost_its_last_file_says_what_it_said_and_nothing_that_was_not_measured(
    write, folder
):
    complete = folder / "complete.json"
    before = json.loads(complete.read_bytes())
    complete.unlink()
    code, out, err = write()
    assert (code, "complete" in out) == (0, True)
    assert "its payloads stood there already, read back with" in err
    assert "warning" not in err
    after = json.loads(complete.read_bytes())
    assert after["noted"] == before["noted"]
    assert before["noted"][0]["blake3"]
    assert before.keys() - after.keys() == {"written"}


def test_a_catalog_remembers_the_sets_it_wrote(folder, tmp_path):
    (path,) = (tmp_path / "catalog" / "sets").glob("*.json")
    record = json.loads(path.read_bytes())
    assert path.name == f"{folder.name}.json"
    (first,) = record["receipts"]
    assert (first["medium"], first["name"][:11]) == (1, "0001-write-")
    assert record["clusters"] == []


def test_a_catalog_that_cannot_remember_a_set_says_so(write, tmp_path):
    (tmp_path / "catalog" / "sets").touch()
    code, _, err = write()
    assert code == 0
    assert "will not know the set when it comes back" in err


def test_whoever_writes_stands_in_the_receipt(write, tmp_path):
    _, _, err = write(VERSION, "--by", "Ada Lund")
    (path,) = (tmp_path / "medium").glob("*/custody/*.json")
    assert json.loads(path.read_bytes())["signed"]["by"] == "Ada Lund"
    assert "signed by" in err


def test_a_catalog_that_cannot_sign_writes_all_the_same_and_says_so(write, tmp_path, monkeypatch):
    def refuse(_):
        raise StorageError("open the signing key", found="Read-only file system")

    monkeypatch.setattr("toolkit.catalog._exchange.open_key", refuse)
    code, _, err = write()
    assert code == 0
    assert "the set will have no receipt" in err
    assert not list((tmp_path / "medium").glob("*/custody"))


def test_nothing_is_left_in_what_is_no_catalog(ferry, publisher):
    before = sorted(publisher.folder.iterdir())
    words = ("--catalog", publisher.folder, "--keys", publisher.folder, "--to", "medium")
    assert ferry("media", "write", VERSION, *words)[0] == 6
    assert sorted(publisher.folder.iterdir()) == before


def test_a_short_version_is_enough(write):
    assert write("12.2603")[0] == 0


def test_the_os_build_of_the_manifest_is_signed(folder):
    (targets,) = folder.glob("tuf/*.targets.json")
    assert b'"os_build":"26100.32522"' in targets.read_bytes()


def test_what_the_catalog_does_not_hold_is_a_storage_error(write):
    code, _, err = write("11.2504.1001.21")
    assert code == 6
    assert "nothing" in err


@pytest.mark.parametrize(
    ("verdict", "code", "word"),
    [
        (FileVerdict.BAD, 3, "file bad"),
        (FileVerdict.HASH_IMPOSSIBLE, 7, "impossible"),
        (FileVerdict.UNPROVEN, 7, "ferry catalog accept"),
    ],
)
def test_what_is_not_proven_is_not_written(write, hold, tmp_path, verdict, code, word):
    hold(verdict=verdict)
    refused = write()
    assert refused[0] == code
    assert word in refused[2]
    assert list((tmp_path / "medium").iterdir()) == []


def test_what_somebody_answers_for_is_written_with_their_name(write, hold, tmp_path):
    accepted = Acceptance(by="Ada", reason="compared by telephone", at=datetime.now(UTC))
    hold(verdict=FileVerdict.UNPROVEN, acceptance=accepted)
    assert write()[0] == 0
    (targets,) = (tmp_path / "medium").glob("*/tuf/*.targets.json")
    assert b'"by":"Ada"' in targets.read_bytes()


def test_a_recalled_release_is_not_written(write, tmp_path):
    (tmp_path / "more").mkdir()
    source = load_manifests().find(VERSION)
    (tmp_path / "more" / "recalled.yaml").write_text(
        f"""\
format: 1
version: "{VERSION}"
os_build: "26100.32522"
available_on: 2026-03-17
status: recalled
superseded_by: "12.2604.1003.9"
payloads:
  - name: {source.payloads[0].name}
    kind: solution-bundle
    url: {source.payloads[0].url}
    sha256: {source.payloads[0].sha256}
    witnesses: []
sources:
  - of: [version, os_build, available_on, status, superseded_by, payloads]
    read_in: a test
""",
        encoding="utf-8",
    )
    code, _, err = write(VERSION, "--manifests", "more")
    assert code == 7
    assert "recalled" in err
    assert "12.2604.1003.9" in err


def test_a_wrong_passphrase_ends_in_7_without_a_traceback(write, monkeypatch):
    monkeypatch.setenv("FERRY_KEY_PASSPHRASE", "wrong horse")
    code, _, err = write()
    assert code == 7
    assert "Traceback" not in err
    assert "passphrase" in err


def test_the_passphrase_is_tried_before_any_archive_is_read(write, hold, monkeypatch):
    hold(source="somebody else")
    monkeypatch.setenv("FERRY_KEY_PASSPHRASE", "wrong horse")
    assert write()[0] == 7


def test_an_archive_that_only_somebody_else_looked_into_is_looked_into(write, hold):
    hold(source="SBE_Contoso.xml")  # which is no zip
    code, _, err = write()
    assert code == 3
    assert "file bad" in err


def test_a_validity_beyond_the_root_ends_in_7(write):
    assert write(VERSION, "--valid-days", "800")[0] == 7


def test_a_good_medium_verifies_with_0(ferry, folder):
    code, out, _ = ferry("media", "verify", "medium", "--site", "site")
    assert code == 0
    assert "15 of 15 files ok" in out


def test_a_report_as_json_says_every_verdict(ferry, folder):
    code, out, _ = ferry("media", "verify", "medium", "--site", "site", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["kind"] == "medium-report"
    assert {file["verdict"] for file in document["data"]["files"]} == {"ok"}


def test_a_flipped_bit_ends_in_3_and_is_named(ferry, folder):
    flip(next((folder / "data" / "payload").iterdir()), 5)
    code, out, err = ferry("media", "verify", "medium", "--site", "site")
    assert code == 3
    assert "damaged  data/payload/Combined" in out
    assert "block 0 (bytes 0 to 1299)" in err


def test_a_damaged_medium_still_gives_its_report_as_json(ferry, folder):
    flip(folder / "start.txt", 5)
    code, out, _ = ferry("media", "verify", "medium", "--site", "site", "--json")
    assert code == 3
    assert json.loads(out)["data"]["set_name"] == folder.name


def test_a_missing_file_ends_in_6(ferry, folder):
    next((folder / "data" / "payload").iterdir()).unlink()
    code, out, err = ferry("media", "verify", "medium", "--site", "site")
    assert code == 6
    assert "missing" in out
    assert "incomplete" in err


def test_a_foreign_file_is_a_no(ferry, folder):
    (folder / "data" / "virus.exe").write_bytes(b"x")
    assert ferry("media", "verify", "medium", "--site", "site")[0] == 1


def test_litter_is_a_no_only_when_strict(ferry, folder):
    (folder / "Thumbs.db").write_bytes(b"x")
    assert ferry("media", "verify", "medium", "--site", "site")[0] == 0
    assert ferry("media", "verify", "medium", "--site", "site", "--strict")[0] == 1


def test_a_medium_can_be_checked_without_a_site(ferry, folder, publisher):
    words = ("--root", folder / "tuf" / "1.root.json", "--fingerprint")
    assert ferry("media", "verify", "medium", *words, fingerprint(publisher.root))[0] == 0
    assert ferry("media", "verify", "medium", *words, fingerprint(b"another"))[0] == 3
    assert ferry("media", "verify", "medium", *words, "3f2a")[0] == 7


def test_verify_needs_something_to_trust(ferry, folder, publisher):
    assert ferry("media", "verify", "medium")[0] == 2
    words = ("--root", folder / "tuf" / "1.root.json")
    assert ferry("media", "verify", "medium", *words)[0] == 2


def test_a_place_that_is_no_site_ends_in_3(ferry, folder):
    code, _, err = ferry("media", "verify", "medium", "--site", "nowhere")
    assert code == 3
    assert "no root is pinned" in err


@pytest.fixture
def issued(publisher, tmp_path):
    """Write a medium some hours ago; return its set folder."""

    def issued(name, *, hours_ago, **payload):
        held = make_payload(tmp_path / f"made-{name}", **payload)
        now = datetime.now(UTC) - timedelta(hours=hours_ago)
        return publisher.write(tmp_path / name, held, now=now).folder

    return issued


def test_an_older_medium_that_carries_the_same_is_told_and_accepted(ferry, issued):
    first, second = issued("first", hours_ago=2), issued("second", hours_ago=1)
    assert ferry("media", "verify", second, "--site", "site")[0] == 0
    code, _, err = ferry("media", "verify", first, "--site", "site")
    assert code == 0
    assert f"warning: {first.name} is too old" in err
    assert "still listed" in err


def test_an_older_medium_with_something_withdrawn_ends_in_3(ferry, issued):
    first = issued("first", hours_ago=2)
    second = issued("second", hours_ago=1, data=b"as corrected by the vendor")
    assert ferry("media", "verify", second, "--site", "site")[0] == 0
    code, _, err = ferry("media", "verify", first, "--site", "site")
    assert code == 3
    assert "withdrawn: payload/CombinedSolutionBundle" in err


def test_a_clock_behind_is_told(ferry, folder, monkeypatch, tmp_path):
    state = tmp_path / "site" / "trust" / "state.json"
    ferry("media", "verify", "medium", "--site", "site")
    document = json.loads(state.read_bytes())
    document["floor"] = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"
    state.write_text(json.dumps(document), encoding="utf-8")
    code, _, err = ferry("media", "verify", "medium", "--site", "site")
    assert code == 0
    assert "clock is behind" in err


def test_show_says_that_nothing_was_verified(ferry, folder):
    code, out, _ = ferry("media", "show", "medium")
    assert code == 0
    assert "NOT VERIFIED" in out
    assert json.loads(ferry("media", "show", "medium", "--json")[1])["data"]["is_verified"] is False


def test_an_unfinished_set_shows_as_not_complete(ferry, folder):
    (folder / "complete.json").rename(folder / "writing.json")
    assert "NOT COMPLETE" in ferry("media", "show", "medium")[1]


# --- several media --------------------------------------------------------------------------------

SITE = ("--site", "site")


@pytest.fixture
def two(issued):
    """Two media with the same payload, the newer one first."""
    return issued("second", hours_ago=1), issued("first", hours_ago=2)


def test_several_media_are_reported_in_order_and_by_set(ferry, two):
    code, out, err = ferry("media", "verify", *two, *SITE)
    assert code == 0
    at = [out.index(f"{folder.name} 1/1: 15 of 15 files ok") for folder in two]
    assert at == sorted(at)
    for folder in two:
        assert f"{folder.name} is whole: its one medium is proven" in out
    assert f"warning: {two[1].name} is too old" in err


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda one, two: ((one / "data" / "x").touch(), (two / "start.txt").unlink()), 6),
        (lambda one, two: ((one / "start.txt").unlink(), flip(two / "start.html", 5)), 3),
        (lambda one, two: (two / "data" / "x").touch(), 1),
    ],
    ids=["foreign, missing", "missing, different", "good, foreign"],
)
def test_the_gravest_of_several_is_the_exit_code(ferry, two, spoil, code):
    spoil(*two)
    seen, out, err = ferry("media", "verify", *two, *SITE)
    assert seen == code
    assert out.count("files ok") == 2
    assert ("ferry: " in err) == (code != 1)


def test_a_folder_without_a_set_does_not_hide_the_others(ferry, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, err = ferry("media", "verify", "empty", "medium", *SITE)
    assert code == 6
    assert "15 of 15 files ok" in out
    assert "ferry: empty: look for a set" in err


def test_several_reports_as_json(ferry, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, _ = ferry("media", "verify", "empty", "medium", *SITE, "--json")
    document = json.loads(out)
    assert (code, document["kind"]) == (6, "medium-reports")
    first, second = document["data"]
    assert (first["medium"], first["report"], first["exit_code"]) == ("empty", None, 6)
    assert "look for a set" in first["problem"]
    assert (second["problem"], second["exit_code"]) == (None, 0)
    assert second["report"]["set_name"] == folder.name


def test_each_of_several_media_gets_its_receipt(ferry, two):
    words = ("--receipt", "--by", "Ben", "--catalog", "catalog")
    assert ferry("media", "verify", *two, *SITE, *words)[0] == 0
    for folder in two:
        assert [path.name[:9] for path in (folder / "custody").iterdir()] == ["0001-read"]


def test_what_cannot_go_together_is_a_usage_error(ferry, folder, two):
    assert ferry("media", "verify", "medium", folder.parent, *SITE)[0] == 2
    words = ("--receipt", "--by", "Ben", "--catalog", "catalog", "--receipts", "beside")
    assert ferry("media", "verify", *two, *SITE, *words)[0] == 2


# --- scanners -------------------------------------------------------------------------------------


@pytest.fixture
def scanner(tmp_path):
    """Make a scanner that logs the paths it gets and ends with a code; returns its path."""

    def scanner(code):
        program = tmp_path / "scan.sh"
        program.write_text(
            f'#!/bin/sh\necho "$1" >> "{tmp_path}/scanned"\necho seen\nexit {code}\n',
            encoding="utf-8",
        )
        program.chmod(0o755)
        return program

    return scanner


def scans(folder):
    receipts = [json.loads(path.read_bytes())["signed"] for path in folder.glob("custody/*.json")]
    return {seen["receipt"]: seen["facts"].get("scan") for seen in receipts}


needs_scripts = pytest.mark.skipif(sys.platform == "win32", reason="its scanners are shell scripts")


@needs_scripts
def test_a_clean_scan_before_writing_stands_in_the_receipt(write, scanner, tmp_path):
    assert write(VERSION, "--hook-before-write", scanner(0))[0] == 0
    (folder,) = (tmp_path / "medium").iterdir()
    (seen,) = scans(folder).values()
    assert (seen["program"], seen["exit_code"], seen["said"], seen["files"]) == (
        "scan.sh", 0, "seen", 1,
    )  # fmt: skip
    assert "/catalog/objects/" in (tmp_path / "scanned").read_text(encoding="utf-8")


@needs_scripts
@pytest.mark.parametrize(("said", "code", "word"), [(1, 3, "said no: seen"), (2, 7, "verdict")])
def test_what_a_scanner_does_not_call_clean_is_not_written(
    write, scanner, tmp_path, said, code, word
):
    refused = write(VERSION, "--hook-before-write", scanner(said))
    assert refused[0] == code
    assert word in refused[2]
    files = [path.name for path in (tmp_path / "medium").rglob("*") if path.is_file()]
    assert files == ["writing.json"], "the set was begun, and no payload"


@needs_scripts
def test_what_is_complete_is_not_scanned_again(write, folder, scanner, tmp_path):
    assert write(VERSION, "--hook-before-write", scanner(1))[0] == 0
    assert not (tmp_path / "scanned").exists()
    assert scans(folder) == {"write": None}


@needs_scripts
def test_what_can_be_refused_without_a_scan_is_refused_before_it(write, scanner, tmp_path):
    words = ("--hook-before-write", scanner(0))
    assert write(VERSION, "--valid-days", "800", *words)[0] == 7
    assert not (tmp_path / "scanned").exists()


@needs_scripts
def test_a_scan_of_a_set_that_has_its_first_receipt_is_told_to_stand_in_none(
    ferry, write, folder, scanner
):
    (folder / "complete.json").rename(folder / "writing.json")
    code, _, err = write(VERSION, "--hook-before-write", scanner(0))
    assert code == 0
    assert "stands in none" in err
    assert scans(folder) == {"write": None}


VERIFY = ("media", "verify", "medium", *SITE)
RECEIPT = ("--receipt", "--by", "Ben", "--catalog", "catalog")


@needs_scripts
@pytest.mark.parametrize(("said", "code"), [(0, 0), (1, 3)])
def test_a_scan_after_verifying_stands_in_the_receipt_good_or_bad(
    ferry, folder, scanner, tmp_path, said, code
):
    assert ferry(*VERIFY, *RECEIPT, "--hook-after-verify", scanner(said))[0] == code
    assert scans(folder)["read-back"]["exit_code"] == said
    scanned = (tmp_path / "scanned").read_text(encoding="utf-8")
    assert scanned == f"{tmp_path / 'medium' / folder.name / 'data'}\n"


@needs_scripts
def test_a_scanner_without_a_verdict_stands_in_no_receipt(ferry, folder, scanner):
    code, _, err = ferry(*VERIFY, *RECEIPT, "--hook-after-verify", scanner(77))
    assert code == 7
    assert "ended with 77" in err
    assert scans(folder) == {"write": None, "read-back": None}


@needs_scripts
def test_what_is_not_proven_is_not_scanned(ferry, folder, scanner, tmp_path):
    flip(next((folder / "data" / "payload").iterdir()), 5)
    assert ferry(*VERIFY, "--hook-after-verify", scanner(0))[0] == 3
    assert not (tmp_path / "scanned").exists()


@needs_scripts
def test_a_scanner_that_cannot_be_run_is_refused_before_anything_is_read(ferry, folder):
    label = folder / "start.txt"
    code, out, _ = ferry(*VERIFY, "--hook-after-verify", label)
    assert (code, out) == (7, "")


# --- erase ----------------------------------------------------------------------------------------


@pytest.fixture
def label(folder):
    return f"{folder.name} 1/1"


def test_erasing_takes_the_label_typed_exactly(ferry, folder, label):
    code, out, err = ferry("media", "erase", "medium", "--yes-erase", f"{label} ")
    assert code == 7
    assert "nothing was deleted" in err
    code, out, _ = ferry("media", "erase", "medium", "--catalog", "catalog", "--yes-erase", label)
    assert code == 0
    assert "CombinedSolutionBundle.12.2603.1002.15.zip" in out
    assert not folder.exists()


def test_a_set_whose_receipts_have_to_go_home_is_not_erased(ferry, folder, label):
    words = ("media", "hand-over", "medium", "--to", "Ben", "--by", "Ada", "--catalog", "catalog")
    assert ferry(*words)[0] == 0
    code, _, err = ferry("media", "erase", "medium", "--yes-erase", label)
    assert code == 6
    assert "custody/0002-hand-over-" in err
    assert (folder / "complete.json").exists()


def test_erasing_asks_where_somebody_can_be_asked(ferry, folder, label, monkeypatch):
    class Person(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{label}\n"))
    assert ferry("media", "erase", "medium")[0] == 2
    monkeypatch.setattr("sys.stdin", Person("AZL-1 1/1\n"))
    assert ferry("media", "erase", "medium")[0] == 7
    monkeypatch.setattr("sys.stdin", Person(f"{label}\n"))
    assert ferry("media", "erase", "medium", "--with-receipts", "--site", "site")[0] == 0
    assert not folder.exists()


def test_what_stays_is_a_no(ferry, folder, label):
    (folder / "mine.txt").write_bytes(b"x")
    words = ("--with-receipts", "--yes-erase", label)
    code, out, _ = ferry("media", "erase", "medium", *words)
    assert code == 1
    assert "stays, not of this set: mine.txt" in out
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_an_erasure_as_json(ferry, folder, label):
    code, out, _ = ferry("media", "erase", "medium", "--yes-erase", label, "--json")
    document = json.loads(out)
    assert (code, document["kind"]) == (0, "erasure")
    assert document["data"]["label"] == label
    assert "complete.json" in document["data"]["removed"]
    assert not folder.exists()


def test_a_set_of_another_catalog_is_not_erased(ferry, folder, label, tmp_path):
    (tmp_path / "other").mkdir()
    words = ("--catalog", "other", "--yes-erase", label)
    assert ferry("media", "erase", "medium", *words)[0] == 6
    assert (folder / "complete.json").exists()


# --- trust ----------------------------------------------------------------------------------------


def test_init_prints_the_fingerprint_alone_on_stdout(ferry, tmp_path):
    code, out, _ = ferry("trust", "init", "--keys", "new")
    assert code == 0
    assert out.strip() == fingerprint((tmp_path / "new" / "1.root.json").read_bytes())


def test_the_fingerprint_can_be_printed_again(ferry, publisher):
    from_keys = ferry("trust", "fingerprint", "--keys", publisher.folder)
    from_file = ferry("trust", "fingerprint", publisher.folder / "1.root.json")
    assert from_keys == from_file == (0, fingerprint(publisher.root) + "\n", "")


def test_the_fingerprint_of_nothing_or_of_two_things_is_a_usage_error(ferry, publisher):
    keys = publisher.folder
    assert ferry("trust", "fingerprint")[0] == 2
    assert ferry("trust", "fingerprint", keys / "1.root.json", "--keys", keys)[0] == 2


@pytest.mark.timeout(60)
@pytest.mark.skipif(sys.platform == "win32", reason="this system's pipes are no files")
@pytest.mark.parametrize(
    "words",
    [
        "trust fingerprint named",
        "site init new --root named --fingerprint 3f2a",
        "media verify medium --root named --fingerprint 3f2a",
        "media supplement named --catalog catalog --to medium",
        "media write --plan named --catalog catalog --keys keys --to medium",
    ],
)
def test_a_pipe_is_refused_instead_of_waited_for(ferry, publisher, tmp_path, words):
    os.mkfifo(tmp_path / "named")
    shutil.copytree(publisher.folder, tmp_path / "keys")
    code, _, err = ferry(*words.split())
    assert code == 7
    assert "a pipe or a device, which is not a file" in err
    assert "next: " in err


def test_what_is_no_root_no_fingerprint_and_no_version_says_what_to_do_next(
    ferry, publisher, tmp_path
):
    keys = ("--catalog", "catalog", "--keys", publisher.folder)
    root = publisher.folder / "1.root.json"
    (tmp_path / "noise").write_bytes(bytes(range(256)))
    (tmp_path / "other.json").write_bytes(root.read_bytes().replace(b'"root"', b'"snapshot"'))
    (tmp_path / "empty").mkdir()
    for words in (
        ("trust", "fingerprint", "noise"),
        ("trust", "fingerprint", "other.json"),
        ("trust", "fingerprint", "--keys", "empty"),
        ("site", "init", "new", "--root", "noise", "--fingerprint", "3f2a"),
        ("media", "write", "12.x", *keys, "--to", "medium"),
    ):
        code, _, err = ferry(*words)
        assert (code, "next: " in err) == (7, True), (words, err)


@pytest.mark.parametrize("text", ["12.x", "SBEx"])
def test_what_names_no_update_says_what_to_do_next(text):
    with pytest.raises(InputError) as caught:
        read_update(text)
    assert caught.value.hint


def test_keys_are_never_overwritten(ferry, publisher):
    code, _, err = ferry("trust", "init", "--keys", publisher.folder)
    assert code == 6
    assert "never overwritten" in err


# --- encryption -----------------------------------------------------------------------------------


@pytest.fixture
def recipient(ferry, tmp_path, publisher):
    """The recipient of a site that trusts the publisher, as the command prints it."""
    root = publisher.folder / "1.root.json"
    print_of = fingerprint(publisher.root)
    assert ferry("site", "init", "enclave", "--root", root, "--fingerprint", print_of)[0] == 0
    code, out, err = ferry("site", "identity", "--site", "enclave")
    assert (code, err) == (0, "")
    assert ferry("site", "identity", "--site", "enclave")[1] == out
    return out.strip()


def test_an_encrypted_set_is_labelled_verified_and_extracted(ferry, write, recipient, tmp_path):
    code, out, _ = write(VERSION, "--encrypt-to", recipient)
    assert code == 0
    assert f"encrypted for {recipient}" in out
    assert ferry("media", "verify", "medium", "--site", "enclave")[0] == 0
    label = json.loads(ferry("media", "show", "medium", "--json")[1])["data"]
    assert label["recipients"] == [recipient]
    words = ("media", "extract", "medium", "--to", "out", "--site", "enclave")
    assert ferry(*words)[:2] == (0, "out/CombinedSolutionBundle.12.2603.1002.15.zip\n")
    assert next((tmp_path / "out").iterdir()).read_bytes() == b"vendor bytes " * 100


def test_extracting_with_a_named_root_takes_a_named_identity(
    ferry, write, recipient, publisher, tmp_path
):
    write(VERSION, "--encrypt-to", recipient)
    root = (
        "--root",
        publisher.folder / "1.root.json",
        "--fingerprint",
        fingerprint(publisher.root),
    )
    words = ("media", "extract", "medium", "--to", "out", *root)
    code, _, err = ferry(*words)
    assert code == 7
    assert "--identity FILE" in err
    code, out, _ = ferry(*words, "--identity", tmp_path / "enclave/identity.age.key", "--json")
    assert code == 0
    assert json.loads(out)["kind"] == "extracted-payloads"


def test_what_is_no_recipient_is_told_with_where_to_get_one(write):
    code, _, err = write(VERSION, "--encrypt-to", "age1nonsense")
    assert code == 2
    assert "the recipient 'age1nonsense' (expected: one in the age format" in " ".join(err.split())
    assert "ferry site identity" in " ".join(err.split())


def test_a_name_of_two_lines_is_a_usage_error(write, tmp_path):
    code, _, err = write(VERSION, "--by", "Ada\nLund")
    assert code == 2
    assert "the name 'Ada\\nLund' (expected: the name of a person on one line)" in " ".join(
        err.split()
    )
    assert list((tmp_path / "medium").iterdir()) == []
