"""The commands of a catalog's upkeep, as they are typed."""

from __future__ import annotations

import getpass
import json
from dataclasses import replace

import pytest

from tests.unit.catalog.fakes import payload_of, witness_of, zip_of
from tests.unit.catalog.holding import DATA, PAYLOAD, SBE_NAMES, SHELF, says
from tests.vendorsite.bundle import make_sbe
from toolkit.cli import execute
from toolkit.model import Stance, StatementKind

XML = b"<SBE/>" * 100


@pytest.fixture
def ferry(capsys, monkeypatch, tmp_path, holding):
    """Run `ferry catalog` on the catalog, with a manifest of what is published."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        f"format: 1\nversion: {SHELF}\nos_build: '26100.32999'\navailable_on: 2026-04-20\n"
        f"status: listed\npayloads:\n  - {{name: {PAYLOAD.name}, kind: solution-bundle,"
        f" url: '{PAYLOAD.url}', sha256: {PAYLOAD.sha256}, witnesses: []}}\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("FERRY_MANIFESTS", str(folder))

    def call(*words):
        code = execute(["catalog", *map(str, words), "--catalog", str(holding.root)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def unproven(holding, file_of):
    return holding.adopt(file_of(XML), statements=())


# --- add -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [PAYLOAD.name, PAYLOAD.name.lower(), PAYLOAD.name.replace(".zip", " (1).zip")]
)
def test_a_bundle_that_a_browser_fetched_is_proven_and_held(ferry, holding, file_of, name):
    code, out, _ = ferry("add", file_of(DATA, name))
    assert code == 0
    assert "proven" in out
    (held,) = holding.catalog.held()
    assert (held.name, held.shelf) == (PAYLOAD.name, SHELF)


def test_a_bundle_that_is_not_the_published_one_is_refused(ferry, holding, file_of):
    code, _, err = ferry("add", file_of(zip_of(300_000, seed=1), PAYLOAD.name))
    assert code == 3
    assert "nothing was added" in err
    assert holding.files() == set()


def test_a_file_with_the_name_of_a_held_one_is_hashed_and_refused(ferry, holding, file_of):
    held = holding.download()
    code, out, err = ferry("add", file_of(b"random" * 800, PAYLOAD.name))
    assert (code, out) == (3, "")
    assert held.sha256 in err
    assert "what is held stays" in err
    assert ferry("add", file_of(DATA, PAYLOAD.name))[0] == 0
    assert [item.path for item in holding.catalog.held()] == [held.path]


def test_a_file_nobody_knows_is_refused_with_what_is_accepted_and_nothing_is_added(
    ferry, holding, file_of
):
    code, _, err = ferry("add", file_of(DATA, PAYLOAD.name), file_of(b"x", "setup.exe"))
    assert code == 7
    assert "setup.exe" in err
    assert "CombinedSolutionBundle.<version>.zip" in err
    assert not holding.root.exists()


def test_a_bundle_of_a_version_without_manifest_is_refused(ferry, file_of):
    code, _, err = ferry("add", file_of(DATA, "CombinedSolutionBundle.12.2611.1003.9.zip"))
    assert code == 7
    assert "manifest" in err


def test_a_bundle_in_a_folder_is_added_and_what_is_left_alone_is_named(ferry, holding, tmp_path):
    folder = tmp_path / "Downloads"
    (folder / "more").mkdir(parents=True)
    (folder / PAYLOAD.name).write_bytes(DATA)
    (folder / "setup.exe").write_bytes(b"x")
    code, _, err = ferry("add", folder)
    assert code == 0
    assert "2 others are left alone: more, setup.exe" in err
    assert [held.name for held in holding.catalog.held()] == [PAYLOAD.name]


def test_a_bundle_and_an_sbe_in_one_folder_are_both_added(ferry, holding, tmp_path):
    make_sbe(tmp_path, "Contoso", "GenA", "4.2.2603.1", supported_model="X")
    (tmp_path / PAYLOAD.name).write_bytes(DATA)
    ferry("add", tmp_path)
    assert len(holding.catalog.held()) == 4


def test_a_folder_without_any_such_file_is_refused(ferry, tmp_path):
    (tmp_path / "setup.exe").write_bytes(b"x")
    code, _, err = ferry("add", tmp_path)
    assert code == 7
    assert "nothing was added" in err


def test_nothing_is_added_when_one_of_several_bundles_has_no_manifest(ferry, holding, file_of):
    words = (
        file_of(DATA, PAYLOAD.name),
        file_of(b"x", "CombinedSolutionBundle.12.2611.1003.9.zip"),
    )
    assert ferry("add", *words)[0] == 7
    assert holding.catalog.held() == ()


# --- verify ----------------------------------------------------------------------------------------


def test_verify_says_proven_with_reasons_and_0(ferry, holding):
    holding.download()
    code, out, _ = ferry("verify")
    assert code == 0
    assert "pinned" in out


def test_verify_says_no_for_what_is_not_proven_and_0_once_it_is_accepted(ferry, unproven):
    assert ferry("verify")[0] == 1
    assert ferry("accept", unproven.name, "--reason", "by telephone", "--by", "Ada")[0] == 0
    code, out, _ = ferry("verify")
    assert code == 0
    assert "accepted by Ada" in out


def test_verify_ends_in_3_for_a_bad_file_and_names_it(ferry, holding):
    holding.spoil(holding.download())
    code, out, err = ferry("verify")
    assert code == 3
    assert "changed" in out
    assert PAYLOAD.name in err
    assert "--quarantine" in err


def test_verify_with_quarantine_says_where_it_went_and_what_to_do(ferry, holding):
    holding.spoil(holding.download())
    code, out, err = ferry("verify", "--quarantine")
    assert code == 3
    assert "moved to quarantine" in out
    assert "download" in err


def test_verify_ends_in_6_for_a_missing_file(ferry, holding):
    holding.download().path.unlink()
    code, out, _ = ferry("verify")
    assert code == 6
    assert "missing" in out


# --- accept ----------------------------------------------------------------------------------------


def test_accept_writes_down_the_account_by_default(ferry, holding, unproven):
    assert ferry("accept", unproven.name, "--reason", "by telephone")[0] == 0
    assert holding.catalog.held()[0].acceptance.by == getpass.getuser()


def test_accept_needs_a_reason(ferry, unproven):
    assert ferry("accept", unproven.name)[0] == 2


def test_a_bad_file_cannot_be_accepted(ferry, holding):
    holding.spoil(holding.download())
    ferry("verify")
    code, _, err = ferry("accept", PAYLOAD.name, "--reason", "in a hurry")
    assert code == 3
    assert "download it again" in err


def test_a_file_under_an_impossible_hash_cannot_be_accepted(ferry, holding):
    odd = replace(payload_of(DATA, witnesses=(witness_of("3a2e"),)), sha256=None)
    holding.download(payload=odd)
    code, _, err = ferry("accept", PAYLOAD.name, "--reason", "in a hurry")
    assert code == 7
    assert "vendor" in err


def test_a_proven_file_needs_no_acceptance(ferry, holding):
    holding.download()
    assert ferry("accept", PAYLOAD.name, "--reason", "x")[0] == 7


# --- status and prune ------------------------------------------------------------------------------


def test_status_shows_verdicts_leftovers_and_room(ferry, holding, unproven):
    holding.download()
    (holding.root / SHELF / "b.zip.part").write_bytes(b"half")
    holding.plan({"shelf": SHELF, "name": PAYLOAD.name, "sha256": None})
    code, out, _ = ferry("status")
    assert code == 0
    for words in ("proven", "unproven", "unfinished: b.zip.part", "1 files stay for it", " free"):
        assert words in out
    assert "no hard links" not in out


def test_status_says_once_that_names_are_missing(ferry, holding):
    held = holding.download()
    (holding.root / SHELF / held.name).unlink()
    assert ferry("status")[1].count("no hard links") == 1


def test_prune_says_what_would_go_and_then_removes_it(ferry, holding):
    held = holding.download()
    words = ("prune", "--version", SHELF)
    assert "would be freed" in ferry(*words, "--dry-run")[1]
    assert held.path.exists()
    assert ferry(*words)[0] == 0
    assert not held.path.exists()


def test_prune_says_no_when_a_plan_needs_what_should_go(ferry, holding):
    holding.download()
    holding.plan({"shelf": SHELF, "name": PAYLOAD.name, "sha256": None})
    code, out, _ = ferry("prune", "--version", SHELF)
    assert code == 1
    assert "the plan trip needs it" in out


# --- export, import, know-key ----------------------------------------------------------------------


def test_a_file_goes_from_one_colleague_to_the_other(ferry, holding, tmp_path, capsys):
    holding.download()
    code, out, _ = ferry("export", tmp_path / "x", SHELF)
    assert code == 0
    fingerprint = out.strip().splitlines()[-1].removeprefix("signed by ")
    there = ["--catalog", str(tmp_path / "anna")]
    assert execute(["catalog", "import", str(tmp_path / "x"), *there]) == 3
    listing = str(tmp_path / "x" / "catalog.json")
    words = ["catalog", "know-key", listing, "--name", "Ben", "--fingerprint"]
    assert execute([*words, "0000 " * 16, *there]) == 3
    assert execute([*words, fingerprint, *there]) == 0
    assert execute(["catalog", "import", str(tmp_path / "x"), *there]) == 0
    assert "proven" in capsys.readouterr().out


# --- json ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["verify"], "verified-payloads"),
        (["status"], "catalog-status"),
        (["prune", "--dry-run"], "pruning"),
        (["accept", SBE_NAMES[1], "--reason", "x"], "held-payloads"),
    ],
)
def test_json_is_one_document_of_a_named_kind(ferry, holding, unproven, words, kind):
    holding.download()
    _, out, err = ferry(*words, "--json")
    assert json.loads(out)["kind"] == kind
    assert err == ""


def test_export_as_json_tells_the_fingerprint(ferry, holding, tmp_path):
    holding.download()
    document = json.loads(ferry("export", tmp_path / "x", "--json")[1])
    assert document["kind"] == "catalog-export"
    assert len(document["data"]["fingerprint"].replace(" ", "")) == 64


def test_statements_are_told_as_json(ferry, holding, file_of):
    holding.adopt(file_of(XML), statements=(says(StatementKind.SIGNATURE, Stance.SILENT),))
    document = json.loads(ferry("verify", "--json")[1])
    (said, measured) = document["data"][0]["held"]["judgement"]["statements"]
    assert (said["kind"], said["stance"]) == ("signature", "cannot tell")
    assert measured["kind"] == "measurement"


@pytest.mark.parametrize("folder", [SHELF, "sbe", "."])
@pytest.mark.parametrize(
    "words", [("verify",), ("status",), ("prune",), ("export", "{tmp}/for-anna")]
)
def test_a_folder_that_cannot_be_read_is_named_and_not_passed_over(
    ferry, holding, unproven, unreadable, tmp_path, words, folder
):
    holding.download()
    unreadable(holding.root / folder)
    code, _, err = ferry(*(word.format(tmp=tmp_path) for word in words))
    assert code == 6
    assert f"read {holding.root / folder}: Permission denied" in err
    assert not (tmp_path / "for-anna").exists()


def test_bytes_that_cannot_be_read_are_not_called_missing(ferry, holding, unreadable):
    unreadable(holding.download().path.parent)
    code, out, err = ferry("status")
    assert code == 6
    assert "MISSING" not in out
    assert "Permission denied" in err


def test_a_download_over_bytes_that_cannot_be_read_is_a_storage_error(ferry, holding, unreadable):
    unreadable(holding.download().path.parent)
    code, _, err = ferry("download", SHELF)
    assert code == 6
    assert "Permission denied" in err


@pytest.mark.parametrize("text", [b"", b"{"])
def test_one_record_that_cannot_be_understood_stops_no_other_from_being_verified(
    ferry, holding, text
):
    holding.download()
    broken = holding.root / SHELF / "other.zip.held.json"
    broken.write_bytes(text)
    for words in ((), (SHELF,), ("--quarantine",)):
        code, out, err = ferry("verify", *words)
        assert code == 7
        assert f"{PAYLOAD.name}: proven" in out
        assert str(broken) in out
        assert "next: delete this record" in err


def test_a_record_that_cannot_be_understood_stops_no_export_of_others(ferry, holding, tmp_path):
    held = holding.download()
    broken = holding.root / SHELF / "other.zip.held.json"
    broken.write_bytes(b"{")
    code, _, err = ferry("export", tmp_path / "all")
    assert code == 7
    assert str(broken) in err
    assert "next: delete this record" in err
    assert ferry("export", tmp_path / "one", held.name)[0] == 0
