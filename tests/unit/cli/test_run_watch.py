"""What `ferry run watch` prints of what it sees."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.cluster.test_watching import INSTALLED, NODES, sight, step
from toolkit.cli._run_watch import _finish, _Screen
from toolkit.cluster import Seen
from toolkit.cluster._watching import foresee_rest
from toolkit.model import RunState


def look(*steps, stood_still=timedelta(), **options):
    seen = sight(*steps, **options)
    return Seen(sight=seen, outlook=foresee_rest(seen, nodes=NODES, stood_still=stood_still))


HOST = step(
    "Update Host OS",
    "InProgress",
    step("Wait for node node1", "Success", start=0, end=8),
    step("Wait for node node2", start=8, expected=40),
)


def test_group_that_was_over_when_first_seen_is_one_line(capsys):
    prepared = step("Preparing update", "Success", step("Copy", "Success"), start=0, end=2)
    _Screen().show(look(prepared, HOST))
    printed = capsys.readouterr().out
    assert "Preparing update: Success in 120 s" in printed
    assert "Copy" not in printed
    assert "Wait for node node1: Success" in printed


def test_line_says_where_the_run_is(capsys):
    _Screen().show(look(HOST))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "12.2604.1003.5: Installing, step Wait for node node2 (node2), 00:02 of about 00:40, "
        "1 of 2 nodes done"
    )


def test_what_was_shown_is_not_shown_again(capsys):
    screen = _Screen()
    screen.show(look(HOST))
    capsys.readouterr()
    screen.show(look(HOST))
    assert capsys.readouterr().out == ""


def test_advice_is_printed_when_it_becomes_due(capsys):
    screen = _Screen()
    screen.show(look(HOST))
    capsys.readouterr()
    for _ in range(2):
        screen.show(look(HOST, stood_still=timedelta(hours=2)))
    printed = capsys.readouterr().out
    assert printed.count("do not start it again") == 1
    assert "Wait for node node2:" in printed


@pytest.mark.parametrize(("steps", "is_told"), [((), True), ((HOST,), False)])
def test_run_that_failed_without_a_step_says_so(capsys, steps, is_told):
    failed = sight(*steps, state="InstallationFailed", run_state=RunState.Failed)
    assert _finish(failed, cluster="plant7", site_dir=Path("site"), json_output=False) == 1
    assert ("it has no steps" in capsys.readouterr().out) is is_told


@pytest.mark.parametrize(
    ("state", "run_state", "code"),
    [("InstallationFailed", RunState.Succeeded, 0), ("Installed", RunState.Failed, 1)],
)
def test_earlier_run_is_judged_by_itself(capsys, state, run_state, code):
    earlier = sight(HOST, state=state, run_state=run_state)
    about = {"cluster": "plant7", "site_dir": Path("site"), "is_of_run": True}
    assert _finish(earlier, json_output=True, **about) == code
    capsys.readouterr()
    assert _finish(earlier, json_output=False, **about) == code
    assert ("do not start it again" in capsys.readouterr().out) is (code == 1)


def test_run_that_succeeded_ends_with_0(capsys):
    assert _finish(INSTALLED, cluster="plant7", site_dir=Path("site"), json_output=False) == 0
    assert "Installed, run: Succeeded" in capsys.readouterr().out
