from __future__ import annotations

import json

import pytest

from toolkit.cli import catalog as commands
from toolkit.cli import execute

DIGEST = "ab" * 32


@pytest.fixture
def ferry(capsys, monkeypatch):
    monkeypatch.delenv("FERRY_MANIFESTS", raising=False)

    def call(*words):
        code = execute(["catalog", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "format: 1\nversion: 12.2604.1003.9\nos_build: '26100.32999'\navailable_on: 2026-04-20\n"
        "status: recalled\npayloads:\n"
        "  - {name: CombinedSolutionBundle.12.2604.1003.9.zip, kind: solution-bundle,"
        f" url: 'https://v.example/12.2604.1003.9.zip', sha256: {DIGEST}, witnesses: []}}\n",
        encoding="utf-8",
    )
    return tmp_path


def test_list_shows_every_bundle(ferry):
    code, out, _ = ferry("list")
    assert code == 0
    assert len(out.splitlines()) == 23
    assert "12.2603.1002.15" in out


def test_list_takes_further_folders_from_the_option_and_the_environment(ferry, folder, monkeypatch):
    assert "12.2604.1003.9" in ferry("list", "--manifests", str(folder))[1]
    monkeypatch.setenv("FERRY_MANIFESTS", str(folder))
    assert "12.2604.1003.9" in ferry("list")[1]


def test_show_prints_every_witness_and_what_the_payload_lacks(ferry):
    code, out, _ = ferry("show", "11.2504.1001.19")
    assert code == 0
    assert out.count("witness ") == 3
    assert "placeholder" in out
    assert "Azure Arc resource bridge" in out
    assert "AKS" in out


def test_show_refuses_an_ambiguous_version_with_the_candidates(ferry):
    code, _, err = ferry("show", "12.2510")
    assert code == 7
    assert "12.2510.1002.531" in err
    assert "next:" in err


def test_lint_says_no_when_it_finds_something(ferry):
    code, out, _ = ferry("lint")
    assert code == 1
    assert "malformed-hash" in out


def test_path_prints_numbered_steps_with_what_each_needs(ferry):
    code, out, _ = ferry("path", "--from", "11.2509", "--to", "12.2603")
    assert code == 0
    assert out.startswith("1. 11.2509.1001.21 → 11.2510.1002.93\n")
    assert "SBE Dell" in out


def test_path_marks_steps_that_cannot_be_carried_and_those_to_opt_in(ferry):
    assert "online only" in ferry("path", "--from", "2411.2", "--to", "2411.3")[1]
    assert "24H2Ready" in ferry("path", "--from", "11.2509", "--to", "12.2509")[1]


def test_path_without_a_supported_way_says_why_and_no(ferry):
    code, out, _ = ferry("path", "--from", "12.2509", "--to", "12.2510.1002.531")
    assert code == 1
    assert "11.2510" in out


def test_a_recalled_update_is_not_downloaded(ferry, folder, tmp_path):
    code, _, err = ferry(
        "download", "2604", "--manifests", str(folder), "--catalog", str(tmp_path / "c")
    )
    assert code == 7
    assert "recalled" in err
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["list"], "manifests"),
        (["show", "12.2603"], "manifest"),
        (["lint"], "lint"),
        (["path", "--from", "12.2509"], "update-path"),
    ],
)
def test_json_is_one_document_of_a_named_kind(ferry, words, kind):
    _, out, err = ferry(*words, "--json")
    document = json.loads(out)
    assert (document["format"], document["kind"]) == (1, kind)
    assert document["data"]
    assert err == ""


@pytest.mark.parametrize("name", sorted(commands.group.commands))
def test_every_help_has_an_example_that_stands_alone_and_says_what_changes(ferry, name):
    code, out, _ = ferry(name, "--help")
    assert code == 0
    assert f"\n    ferry catalog {name}" in out
    assert "Changes: " in out
