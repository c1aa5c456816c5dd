from __future__ import annotations

import io
import json
from pathlib import Path

import click
import pytest

from toolkit.cli._output import FOLDER, OUTPUT_FILE, TerminalProgress, echo, json_document


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_notice_stands_on_a_line_of_its_own_also_where_another_draws_the_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    drawing = TerminalProgress()
    drawing.begin("download x", total_bytes=100)
    drawing.advance(50)
    TerminalProgress().say("the proxy takes the password unencrypted\x1b[2J")
    drawing.end()
    lines = [line.rpartition("\r")[2] for line in terminal.getvalue().split("\n")]
    assert "the proxy takes the password unencrypted\\x1b[2J" in lines


class Writes(io.StringIO):
    def __init__(self):
        super().__init__()
        self.all = []

    def write(self, text):
        self.all.append(text)
        return len(text)


def test_a_line_is_written_at_once_so_that_lines_of_several_threads_do_not_mix(monkeypatch):
    stream = Writes()
    monkeypatch.setattr("sys.stderr", stream)
    echo("node2: asking", err=True)
    assert stream.all == ["node2: asking\n"]


def test_a_quiet_one_says_nothing(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    TerminalProgress(quiet=True).say("anything")
    assert terminal.getvalue() == ""


def test_json_has_no_half_of_a_character():
    """Strict readers refuse the whole document for it; a file may be called so."""
    value = {"k\udce4": ["B\udce4n", Path("B\udce4n")], "whole": "Bän 😀"}
    told = json.loads(json_document("x", value))["data"]
    assert told == {"k?": ["B?n", "B?n"], "whole": "Bän 😀"}


@pytest.mark.parametrize(
    ("kind", "advice"), [(FOLDER, "write a dot"), (OUTPUT_FILE, "name a file")]
)
def test_an_empty_name_is_refused_with_advice_for_what_is_wanted(kind, advice):
    with pytest.raises(click.BadParameter, match=f"it is empty; .*{advice}"):
        kind.convert("", None, None)
