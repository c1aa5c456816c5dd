from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.analysis.cases import (
    NODES,
    RUN,
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
from toolkit.analysis._verdict import Verdict, verdict
from toolkit.model import RerunSafety

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
