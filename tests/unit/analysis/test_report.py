from __future__ import annotations

import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.unit.analysis.bundles import analysed, members_of, story
from toolkit.analysis import Analysis, report_html, write_report
from toolkit.errors import StorageError
from toolkit.model import Evidence

VOID = {"meta", "br", "input", "hr", "img", "link"}


class Reader(HTMLParser):
    """Collects what a page refers to, and checks that every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.references += [
            values[key] or ""
            for key in ("href", "src", "action", "data", "poster", "srcset")
            if key in values
        ]
        self.ids |= {values["id"] or ""} if "id" in values else set()
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def analysis(tmp_path: Path) -> Analysis:
    return analysed(tmp_path, members_of(story(failing_node="N2"), tmp_path))


def test_report_refers_to_nothing_outside_itself(analysis: Analysis) -> None:
    page = report_html(analysis)
    reader = Reader(page)
    assert all(reference.startswith("#") for reference in reader.references)
    assert {reference[1:] for reference in reader.references} <= reader.ids
    assert not re.search(r"url\(|@import|<script|<link|<img|<iframe|https?://", page)


def test_report_is_well_formed(analysis: Analysis) -> None:
    assert Reader(report_html(analysis)).open == []


def test_answer_stands_before_everything_else(analysis: Analysis) -> None:
    page = report_html(analysis)
    places = [
        page.index(words)
        for words in (
            "failed on cluster plant7: Microsoft Defender stopped",
            "Yes, but only after what is listed below is done.",
            "What the CAU runs did",
            '<h2 id="findings">',
            '<h2 id="coverage">',
            '<h2 id="timeline">',
        )
    ]
    assert places == sorted(places)


def test_words_of_a_node_are_never_markup(analysis: Analysis) -> None:
    evil = Evidence(node="<b>", source="x", at=None, text="<script>alert(1)</script>", place="'\"")
    finding = replace(analysis.findings[0], title="<img src=x>", evidence=(evil,))
    page = report_html(replace(analysis, cluster="<i>", findings=(finding,)))
    assert "<script" not in page
    assert "<img" not in page
    assert "<i>" not in page


def test_control_characters_do_not_reach_the_page(analysis: Analysis) -> None:
    page = report_html(replace(analysis, cluster="a\x00b\x1bc"))
    assert "a\ufffdb\ufffdc" in page


def test_report_says_how_many_lines_of_the_timeline_it_left_out(analysis: Analysis) -> None:
    long = replace(analysis, timeline=analysis.timeline * 50, timeline_left_out=7)
    shown = report_html(long).count('<td class="soft">')
    assert f"{len(long.timeline) - shown + 7} less important" in report_html(long)


def test_earlier_report_is_replaced(analysis: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(analysis, path)
    write_report(replace(analysis, cluster="other"), path)
    assert "Cluster other" in path.read_text(encoding="utf-8")
    assert not list(tmp_path.glob("report.html?*"))


def test_file_of_somebody_else_is_not_overwritten(analysis: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(StorageError, match="not a ferry report"):
        write_report(analysis, path)
    assert path.read_text() == "mine"


@pytest.mark.timeout(60)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system's pipes are no files")
def test_pipe_is_no_earlier_report(analysis: Analysis, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "report.html")
    with pytest.raises(StorageError, match="not a ferry report"):
        write_report(analysis, tmp_path / "report.html")


def test_folder_that_is_not_there_is_a_storage_error(analysis: Analysis, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        write_report(analysis, tmp_path / "nowhere" / "report.html")


def test_report_without_any_run_can_be_written(tmp_path: Path) -> None:
    assert "No CAU run is told of" in report_html(analysed(tmp_path, {}))
