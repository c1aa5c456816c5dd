from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.unit.analysis.bundles import members_of, story, write_bundle
from toolkit.cli import execute
from toolkit.model import KnownCluster, Node
from toolkit.site import JournalEntry, Site


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


# --- what is kept at the site -------------------------------------------------------------------


def make_site(folder: Path, *clusters: str) -> Site:
    site = Site.create(folder / "site", pin=lambda _: None)
    for name in clusters:
        node = Node(name="N1", address="n1.example")
        site.add_cluster(KnownCluster(name=name, nodes=(node,)), ca_file=None)
    return site


def kept(site: Site) -> list[JournalEntry]:
    return list(site.journal.entries(cluster="plant7"))


def test_finding_of_a_failed_run_is_kept_at_the_site(
    failed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = make_site(tmp_path, "Plant7")
    assert execute(["logs", "analyse", str(failed), "--site", str(site.root)]) == 1
    (entry,) = kept(site)
    assert (entry.subject, entry.step) == ("run 12.2603.1002.15", "evidence")
    assert entry.facts["bundle_sha256"] == hashlib.sha256(failed.read_bytes()).hexdigest()
    assert entry.facts["rule"] == "cau-node-restart-timeout"
    assert (entry.facts["rerun_safe"], entry.facts["nodes"]) == ("after-remedy", "N2")
    assert "kept in the site's journal" in capsys.readouterr().err


def test_nothing_is_kept_where_nothing_failed(good: Path, tmp_path: Path) -> None:
    site = make_site(tmp_path, "plant7")
    assert execute(["logs", "analyse", str(good), "--site", str(site.root)]) == 0
    assert kept(site) == []


def test_bundle_of_another_cluster_is_analysed_and_not_kept(
    failed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = make_site(tmp_path, "plant8")
    assert execute(["logs", "analyse", str(failed), "--site", str(site.root)]) == 1
    assert "knows no cluster plant7" in capsys.readouterr().err
    assert not (site.root / "journal.jsonl").exists()


def test_site_that_is_none_is_said_before_the_analysis(
    failed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["logs", "analyse", str(failed), "--site", str(tmp_path / "no")]) == 7
    assert capsys.readouterr().out == ""
