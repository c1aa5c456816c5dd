from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.analysis.bundles import members_of, story, write_bundle
from toolkit.cli import execute


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    told = story(failing_node="N2", failure="restart-timeout")
    return write_bundle(tmp_path / "plant7.zip", members_of(told, tmp_path))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "plant7.zip", members_of(story(), tmp_path))


def test_failure_is_the_answer_no(failed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["logs", "analyse", str(failed)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("Update Solution12.2603.1002.15 failed on cluster plant7")
    assert "where:       N2" in out
    assert "start again: Yes, but only after" in out


def test_success_is_the_answer_yes(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["logs", "analyse", str(good)]) == 0
    assert capsys.readouterr().out.startswith("No failure was found on cluster plant7")


def test_report_is_written(failed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = failed.with_name("report.html")
    assert execute(["logs", "analyse", str(failed), "--report", str(report)]) == 1
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert str(report) in capsys.readouterr().err


def test_json_is_the_analysis(failed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["logs", "analyse", str(failed), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "analysis"
    assert document["data"]["verdict"]["nodes"] == ["N2"]
    assert document["data"]["findings"][0]["severity"] == "critical"


def test_what_is_no_bundle_is_an_input_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"no zip")
    assert execute(["logs", "analyse", str(path)]) == 7
    assert "not a whole zip archive" in capsys.readouterr().err


def test_bundle_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    assert execute(["logs", "analyse", str(tmp_path / "none.zip")]) == 6
