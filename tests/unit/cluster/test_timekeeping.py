"""Whose time counts: this machine's, the nodes', or a date that a trusted key signed."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.cluster.fakes import Session, Unreachable, World
from toolkit.cluster import Cluster, JudgedTime, NodeTime, TimeSource, judge_time
from toolkit.errors import AuthenticationError, CommandError, ReachError
from toolkit.model import KnownCluster, Node
from toolkit.site import Journal

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
FLOOR = datetime(2026, 11, 1, tzinfo=UTC)
TIMES = (
    "2026-11-26T13:00:10.0000000+01:00",
    "2026-11-26T12:00:20Z",
    "2026-11-26T07:00:30.0000000-05:00",
)


def at(**delta):
    return NOW + timedelta(**delta)


def judged(clock, *times, floor=FLOOR) -> JudgedTime:
    told = tuple(NodeTime(node=f"n{n}", at=time) for n, time in enumerate(times, start=1))
    return judge_time(clock, told, floor=floor)


# --- the clocks agree -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "times",
    [
        (NOW, NOW),
        (at(minutes=5), NOW),
        (at(minutes=-5), at(minutes=-4), None, NOW),
        (NOW,),
        (NOW, None, None),
        (at(days=30), NOW, NOW),
    ],
    ids=["two", "within five minutes", "one silent", "one node", "one of three", "one astray"],
)
def test_clock_that_most_nodes_agree_with_counts_without_a_word(times):
    time = judged(NOW, *times)
    assert (time.now, time.source, time.warning) == (NOW, TimeSource.CLOCK, "")


# --- this machine's clock is the outlier -------------------------------------------------------------


@pytest.mark.parametrize("year", [2015, 2040])
def test_clock_of_another_year_is_outvoted_and_all_times_are_told(year):
    time = judged(NOW.replace(year=year), at(seconds=-20), NOW, at(seconds=3))
    assert (time.now, time.source) == (at(seconds=3), TimeSource.NODES)
    assert time.reference == time.now
    for words in (
        f"clock says {year}-11-26 12:00 UTC",
        "n1 2026-11-26 11:59 UTC, n2 2026-11-26 12:00 UTC, n3 2026-11-26 12:00 UTC",
        "signed is 2026-11-01 00:00 UTC",
        "The nodes agree: expiry is judged by the nodes' time, 2026-11-26 12:00 UTC",
    ):
        assert words in time.warning


def test_six_minutes_are_too_far_apart():
    assert judged(at(minutes=6), NOW, NOW).source is TimeSource.NODES


def test_of_times_that_agree_the_latest_is_taken():
    assert judged(at(days=9), at(minutes=-2), NOW, at(minutes=-4)).now == NOW


def test_one_node_astray_does_not_outvote_two():
    time = judged(at(days=9), NOW, at(days=-400), at(minutes=1))
    assert (time.now, time.source) == (at(minutes=1), TimeSource.NODES)


def test_clock_that_agrees_with_a_minority_is_outvoted():
    assert judged(at(days=9), NOW, NOW, at(days=9)).source is TimeSource.NODES


def test_clock_near_to_one_of_those_that_agree_is_no_outlier():
    assert judged(at(minutes=8), NOW, at(minutes=4)).source is TimeSource.CLOCK


def test_unreachable_node_is_told_and_does_not_keep_the_others_from_agreeing():
    time = judged(at(days=5000), NOW, None, NOW)
    assert time.source is TimeSource.NODES
    assert "n2 nothing" in time.warning


# --- nobody can tell ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ((NOW,), "One node alone is too few"),
        ((NOW, None), "One node alone is too few"),
        ((NOW, at(days=1)), "The nodes do not agree"),
        ((NOW, NOW, at(days=1), at(days=1)), "The nodes do not agree"),
        ((NOW, NOW, at(days=1), at(days=2)), "The nodes do not agree"),
        ((None, None), "No node told its time"),
    ],
)
def test_without_agreement_the_clock_counts_and_that_is_told(times, words):
    clock = at(days=5000)
    time = judged(clock, *times)
    assert (time.now, time.source) == (clock, TimeSource.CLOCK)
    assert words in time.warning
    assert "judged by this machine's clock, 2040-08-04 12:00 UTC" in time.warning


@pytest.mark.parametrize(("times", "is_said"), [((None, None), False), ((NOW,), True)])
def test_a_clock_is_called_wrong_only_where_clocks_differ(times, is_said):
    warning = judged(at(days=5000), *times).warning
    assert ("Set the clock that is wrong" in warning) is is_said


def test_nodes_that_disagree_are_told_also_where_the_clock_is_with_one_of_them():
    assert "The nodes do not agree" in judged(NOW, NOW, at(days=1)).warning


# --- the floor ---------------------------------------------------------------------------------------


def test_nodes_behind_the_floor_do_not_set_the_time_back():
    time = judged(at(days=5000), at(days=-900), at(days=-900))
    assert (time.reference, time.source) == (FLOOR, TimeSource.FLOOR)
    assert "judged by that date, 2026-11-01 00:00 UTC" in time.warning


def test_clock_behind_the_floor_does_not_set_the_time_back():
    time = judged(at(days=-900), at(days=-900), at(days=-900))
    assert (time.reference, time.source) == (FLOOR, TimeSource.FLOOR)


# --- asking ------------------------------------------------------------------------------------------


class Silent:
    """Answers everything but what time it is."""

    def invoke(self, command):
        raise CommandError("run Get-Date", cmdlet="Get-Date", error_id="X", found="not here")


class Refusing:
    def invoke(self, command):
        raise AuthenticationError("log on to n1", found="refused")


class Ticking:
    """A stopwatch that goes on by ten seconds with each look."""

    seconds = 0.0

    def __call__(self):
        self.seconds += 10
        return self.seconds


def cluster(tmp_path, *sessions):
    by_name = {f"n{n}": session for n, session in enumerate(sessions, start=1)}
    asked = []

    def connect(node):
        asked.append(node.name)
        session = by_name[node.name]
        return session if hasattr(session, "__enter__") else nullcontext(session)

    made = Cluster(
        KnownCluster(name="plant7", nodes=tuple(Node(name=n, address=n) for n in by_name)),
        connect=connect,
        journal=Journal(tmp_path / "journal.jsonl"),
        clock=Ticking(),
    )
    return made, asked


def test_times_are_brought_to_the_moment_of_the_last_answer(tmp_path):
    made, _ = cluster(tmp_path, *(Session(World(time=text)) for text in TIMES))
    time = made.tell_time(floor=FLOOR, now=lambda: at(seconds=40))
    assert [item.at for item in time.nodes] == [at(seconds=40), at(seconds=40), at(seconds=40)]
    assert time.warning == ""


def test_node_that_is_down_and_one_that_does_not_know_the_cmdlet_are_told_with_why(tmp_path):
    made, _ = cluster(tmp_path, Unreachable(), Silent(), Session(World(time=TIMES[1])))
    down, silent, good = made.tell_time(floor=FLOOR, now=lambda: NOW).nodes
    assert (down.at, silent.at) == (None, None)
    assert "connection refused" in down.problem
    assert "not here" in silent.problem
    assert good.at is not None


def test_time_without_its_offset_is_no_time(tmp_path):
    made, _ = cluster(tmp_path, Session(World(time="2026-11-26T12:00:00")))
    (told,) = made.tell_time(floor=FLOOR, now=lambda: NOW).nodes
    assert told.at is None
    assert "offset from UTC" in told.problem


def test_refused_password_is_tried_on_one_node_only(tmp_path):
    made, asked = cluster(tmp_path, Refusing(), Refusing())
    with pytest.raises(AuthenticationError):
        made.tell_time(floor=FLOOR)
    assert asked == ["n1"]


def test_without_any_node_there_is_nothing_to_import_into(tmp_path):
    made, _ = cluster(tmp_path, Unreachable(), Unreachable())
    with pytest.raises(ReachError, match=r"n1.*n2"):
        made.tell_time(floor=FLOOR)


def test_facts_for_the_journal_are_instants_and_what_each_node_said():
    assert judged(at(days=5000), NOW, None, NOW).facts() == {
        "reference": "2026-11-26T12:00:00Z",
        "source": "nodes",
        "clock": "2040-08-04T12:00:00Z",
        "floor": "2026-11-01T00:00:00Z",
        "nodes": "n1 2026-11-26 12:00 UTC, n2 nothing, n3 2026-11-26 12:00 UTC",
    }
