from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.analysis.cases import (
    OTHER_RUN,
    RUN,
    RUN_ID,
    START,
    case,
    manager,
    own,
    report,
    whole_logs,
)
from toolkit.analysis._case import CauRun, CoverageStatus, LoggedEvent, Outcome

BEGIN = manager(0, 1003, RUN, "plant7")


def run_of(*events: LoggedEvent) -> CauRun:
    (run,) = case(*events).cau_runs
    return run


@pytest.mark.parametrize(
    ("event_id", "outcome"),
    [
        (1004, Outcome.SUCCEEDED),
        (1005, Outcome.CANCELLED),
        (1006, Outcome.PARTIAL),
        (1007, Outcome.FAILED),
        (1021, Outcome.CANCELLED),
    ],
)
def test_run_ends_as_its_last_event_says(event_id: int, outcome: Outcome) -> None:
    run = run_of(BEGIN, manager(9, event_id, RUN, "plant7"))
    assert (run.run_id, run.outcome) == (RUN_ID, outcome)
    assert run.ended_at == START + timedelta(minutes=9)


def test_second_start_with_the_same_id_is_a_hand_over() -> None:
    run = run_of(
        BEGIN, manager(30, 1003, RUN, "plant7", node="N2"), manager(60, 1004, RUN, "x", node="N2")
    )
    assert run.coordinators == ("N1", "N2")
    assert run.started_at == START


def test_two_runs_are_two_stories() -> None:
    runs = case(
        BEGIN,
        manager(9, 1007, RUN, "x"),
        manager(20, 1003, OTHER_RUN, "x"),
        manager(30, 1004, OTHER_RUN, "x"),
    ).cau_runs
    assert [run.outcome for run in runs] == [Outcome.FAILED, Outcome.SUCCEEDED]


def test_phases_of_a_node_are_measured() -> None:
    run = run_of(
        BEGIN, own(1, 2001, "2"), own(5, 2003, "2"), manager(7, 1008, "N2"), own(20, 2005, "2"),
        manager(21, 1010, "N2"), manager(30, 1011, "N2"), own(31, 2001, "0"), manager(32, 1009, "N2"),
        manager(33, 1004, RUN, "x"),
    )  # fmt: skip
    turn = next(turn for turn in run.turns if turn.node == "N2")
    assert turn.outcome == "updated"
    assert [(phase.name, phase.took) for phase in turn.phases] == [
        ("scan", timedelta(minutes=1)),
        ("download", timedelta(minutes=4)),
        ("drain", timedelta(minutes=2)),
        ("install", timedelta(minutes=13)),
        ("restart", timedelta(minutes=9)),
        ("scan", timedelta(minutes=1)),
        ("resume", timedelta(minutes=1)),
    ]


def test_restart_that_never_ended_stays_open() -> None:
    run = run_of(BEGIN, manager(7, 1008, "N2"), manager(21, 1010, "N2"))
    (turn,) = run.turns
    assert turn.outcome == "restarting"
    assert turn.phases[-1].ended_at is None


def test_first_error_of_a_node_is_kept() -> None:
    run = run_of(
        BEGIN, own(5, 2006, "0x80070005"), own(6, 2006, "0x80070002"), manager(7, 1013, "N2", "x"),
        manager(8, 1007, RUN, "x"),
    )  # fmt: skip
    failed = next(turn for turn in run.turns if turn.node == "N2")
    assert failed.outcome == "failed"
    assert "0x80070005" in failed.error


def test_node_that_was_not_reached_is_named() -> None:
    run = run_of(
        BEGIN, manager(7, 1008, "N1"), manager(8, 1013, "N1", "x"), manager(9, 1007, RUN, "x")
    )
    assert [(turn.node, turn.outcome) for turn in run.turns] == [
        ("N1", "failed"),
        ("N2", "not reached"),
    ]


def test_node_is_the_same_in_any_spelling() -> None:
    run = run_of(BEGIN, manager(7, 1008, "n2.corp.example"), manager(8, 1009, "N2"))
    assert [turn.node for turn in run.turns] == ["N2"]


def test_clocks_that_disagree_give_no_duration() -> None:
    run = run_of(BEGIN, own(-5, 2001, "1"))
    assert run.turns == () or run.turns[0].phases[0].took is None


def test_events_before_any_start_belong_to_the_run_that_ends_next() -> None:
    run = run_of(manager(7, 1008, "N2"), manager(9, 1007, RUN, "x"))
    assert (run.run_id, run.started_at) == (RUN_ID, None)
    assert run.turns[0].node == "N2"


# --- runs without an end --------------------------------------------------------------------------


def test_run_without_end_is_open_where_every_log_was_collected() -> None:
    assert run_of(BEGIN).outcome is Outcome.OPEN


@pytest.mark.parametrize("status", [CoverageStatus.MISSING, CoverageStatus.DAMAGED])
def test_run_without_end_is_unknown_where_a_log_is_not_whole(status: CoverageStatus) -> None:
    first, second = whole_logs()
    (run,) = case(BEGIN, coverage=(first, replace(second, status=status))).cau_runs
    assert run.outcome is Outcome.NOT_COLLECTED
    assert "N2" in run.note


def test_rendered_copy_stands_in_for_a_damaged_log() -> None:
    first, second = whole_logs()
    rendered = replace(second, source="cau-management.xml")
    damaged = replace(second, status=CoverageStatus.DAMAGED)
    (run,) = case(BEGIN, coverage=(first, damaged, rendered)).cau_runs
    assert run.outcome is Outcome.OPEN


def test_run_without_end_is_overwritten_where_a_log_begins_only_later() -> None:
    first, second = whole_logs()
    wrapped = replace(second, first_record_id=900, first_at=START + timedelta(days=3))
    (run,) = case(BEGIN, coverage=(first, wrapped)).cau_runs
    assert run.outcome is Outcome.OVERWRITTEN


def test_report_tells_the_end_that_no_log_has() -> None:
    (run,) = case(BEGIN, reports=[report(status="Succeeded")]).cau_runs
    assert run.outcome is Outcome.SUCCEEDED
    assert "report" in run.note


def test_run_known_from_its_report_only_is_told() -> None:
    (run,) = case(reports=[report(error="boom")]).cau_runs
    assert (run.outcome, run.turns[0].node, run.turns[0].error) == (Outcome.FAILED, "N2", "boom")


def test_status_that_is_a_number_is_judged_by_the_errors() -> None:
    (failed,) = case(reports=[report(status="2", code=-1)]).cau_runs
    (unknown,) = case(reports=[report(status="2")]).cau_runs
    assert (failed.outcome, unknown.outcome) == (Outcome.FAILED, Outcome.NOT_COLLECTED)
