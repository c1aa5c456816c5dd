from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.analysis.cases import (
    NODES,
    RUN,
    START,
    case,
    check,
    listed,
    manager,
    own,
    step,
    update_run,
    whole_logs,
)
from toolkit.analysis._case import Case, CoverageStatus
from toolkit.analysis._rules import findings
from toolkit.analysis._rules.steps import failed_runs
from toolkit.analysis._verdict import Verdict, run_verdict, verdict
from toolkit.model import RerunSafety, ResourceId, UpdateRun

BEGIN = manager(0, 1003, RUN, "plant7")
FAILURE = manager(60, 1007, RUN, "plant7", "x", "0x80004005", "")


def judged(found: Case) -> Verdict:
    return verdict(found, findings(found))


@pytest.mark.parametrize(
    ("found", "headline", "again"),
    [
        (
            case(BEGIN, manager(9, 1013, "N2", "bad"), FAILURE),
            "The CAU run failed on cluster plant7: CAU gave up on node N2",
            RerunSafety.AFTER_REMEDY,
        ),
        (
            case(checks=[check("FAILURE", "Critical")]),
            "Cluster plant7 needs attention: Health check failed, critical: Disk space",
            RerunSafety.AFTER_REMEDY,
        ),
        (
            case(runs=[update_run("InProgress", step("A", "InProgress"))]),
            "An update run is still in progress on cluster plant7",
            RerunSafety.NO,
        ),
        (case(BEGIN), "A CAU run is still open on cluster plant7", RerunSafety.NO),
        (case(), "No run was found in the evidence of cluster plant7", RerunSafety.UNKNOWN),
        (
            case(BEGIN, manager(60, 1004, RUN, "plant7")),
            "No failure was found on cluster plant7",
            RerunSafety.YES,
        ),
    ],
)
def test_answer_fits_what_was_found(found: Case, headline: str, again: RerunSafety) -> None:
    answer = judged(found)
    assert (answer.headline, answer.rerun_safe) == (headline, again)


def test_missing_evidence_is_part_of_a_good_answer() -> None:
    first, second = whole_logs(NODES)
    lost = replace(second, status=CoverageStatus.MISSING)
    answer = judged(case(BEGIN, manager(60, 1004, RUN, "x"), coverage=(first, lost)))
    assert answer.headline == (
        "No failure was found on cluster plant7, but 1 source(s) are missing or damaged"
    )


def test_unknown_safety_gives_way_to_what_is_known() -> None:
    failed = step("A", "Error", error="nobody knows this text")
    alone = judged(case(runs=[update_run("Failed", failed)]))
    with_node = judged(
        case(BEGIN, own(5, 2006, "0x80070005"), FAILURE, runs=[update_run("Failed", failed)])
    )
    assert alone.rerun_safe is RerunSafety.UNKNOWN
    assert with_node.rerun_safe is RerunSafety.AFTER_REMEDY


def test_open_run_forbids_what_a_finding_would_allow() -> None:
    open_run = case(BEGIN, updates=[listed("InstallationFailed")])
    assert judged(open_run).rerun_safe is RerunSafety.NO


# --- one verdict for each failed run --------------------------------------------------------------


def run_of(name: str, *, hours: float, error: str) -> UpdateRun:
    """A run that failed within an hour, so many hours after the others began."""
    at = START + timedelta(hours=hours)
    failed = replace(
        step("Update Host OS", "Error", error=error),
        started_at=at,
        ended_at=at + timedelta(hours=1),
    )
    return replace(
        update_run("Failed", failed),
        resource_id=ResourceId(f"redmond/{name}/1"),
        started_at=at,
        updated_at=at + timedelta(hours=1),
    )


def judged_runs(found: Case) -> dict[str, Verdict]:
    told = findings(found)
    return {
        run.resource_id.split("/")[1]: run_verdict(found, told, run) for run in failed_runs(found)
    }


OLD = run_of("Solution12.2603.1002.15", hours=0, error="the first words")
NEW = run_of("SBE4.2.2603.1", hours=30, error="the other words")


def test_each_failed_run_has_the_verdict_of_its_own_evidence() -> None:
    answers = judged_runs(
        case(
            BEGIN,
            own(5, 2006, "0x80070005", node="N2"),
            manager(50, 1007, RUN, "plant7", "x", "0x80004005", ""),
            runs=[OLD, NEW],
            updates=[
                listed("InstallationFailed"),
                listed("InstallationFailed", "SBE4.2.2603.1"),
            ],
        )
    )
    old, new = answers["Solution12.2603.1002.15"], answers["SBE4.2.2603.1"]
    assert old.headline.startswith("Update Solution12.2603.1002.15 failed on cluster plant7")
    assert (old.rule, old.nodes) == ("cau-operation-failed", ("N2",))
    assert new.headline.startswith("Update SBE4.2.2603.1 failed on cluster plant7")
    assert (new.rule, new.cause, new.nodes) == ("update-run-failed", "the other words", ())


def test_what_forbids_a_second_try_of_the_one_run_leaves_the_other_as_it_is() -> None:
    lost = [BEGIN, manager(10, 1010, "N2", "x"), manager(50, 1007, RUN, "plant7", "x", "0x8", "")]
    answers = judged_runs(case(*lost, runs=[OLD, NEW]))
    assert answers["Solution12.2603.1002.15"].rule == "cau-node-never-back"
    assert answers["Solution12.2603.1002.15"].rerun_safe is RerunSafety.NO
    assert answers["SBE4.2.2603.1"].rerun_safe is RerunSafety.UNKNOWN


def test_what_is_of_no_run_in_particular_counts_for_each() -> None:
    answers = judged_runs(case(runs=[OLD, NEW], checks=[check("FAILURE", "Critical")]))
    assert {answer.rerun_safe for answer in answers.values()} == {RerunSafety.AFTER_REMEDY}


def test_failed_run_of_which_nothing_is_found_is_never_called_safe() -> None:
    found = case(runs=[OLD])
    answer = run_verdict(found, (), OLD)
    assert (answer.rerun_safe, answer.rule) == (RerunSafety.UNKNOWN, "")
    assert answer.headline.endswith("nothing in this bundle says why")


def test_one_failed_run_alone_is_judged_as_the_bundle_is() -> None:
    found = case(BEGIN, own(5, 2006, "0x80070005"), FAILURE, runs=[OLD])
    assert judged_runs(found) == {"Solution12.2603.1002.15": judged(found)}
