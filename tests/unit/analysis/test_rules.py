"""Each structural rule with a case in which it speaks, and a near one in which it is silent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.analysis.cases import (
    OTHER_RUN,
    RUN,
    START,
    boot,
    case,
    check,
    clustering,
    crash,
    event,
    installed,
    listed,
    manager,
    own,
    report,
    step,
    text,
    update_run,
    whole_logs,
)
from tests.unit.analysis.signature_samples import SAMPLES
from toolkit.analysis._case import Case, CoverageStatus
from toolkit.analysis._events import POWER
from toolkit.analysis._rules import RULES, findings
from toolkit.analysis._rules.signatures import SIGNATURES
from toolkit.model import Severity

RULE = {rule.id: rule for rule in RULES}

BEGIN = manager(0, 1003, RUN, "plant7")
SUCCESS = manager(60, 1004, RUN, "plant7")
FAILURE = manager(60, 1007, RUN, "plant7", "too many", "0x80004005", "")
RESTART = manager(10, 1010, "N2")
BACK = manager(20, 1011, "N2")
FAILED_STEP = step("Install", "Error", error="Type 'A' of Role 'B' raised an exception: no")
MISSING = replace(whole_logs(("N2",))[0], status=CoverageStatus.MISSING)

Table = dict[str, tuple[Callable[[], Case], Callable[[], Case]]]

SILENT = lambda: case(BEGIN, SUCCESS, runs=[update_run("Succeeded", step("Start", "Success"))])  # noqa: E731

TABLE: Table = {
    "cau-run-failed": (lambda: case(BEGIN, FAILURE), lambda: case(BEGIN, SUCCESS)),
    "cau-run-cancelled": (
        lambda: case(BEGIN, manager(9, 1021, RUN, "x"), manager(10, 1005, RUN, "x")),
        lambda: case(BEGIN, SUCCESS),
    ),
    "cau-run-open": (
        lambda: case(BEGIN),
        lambda: case(BEGIN, coverage=(*whole_logs(("N1",)), MISSING)),
    ),
    "cau-run-end-unknown": (
        lambda: case(BEGIN, coverage=(*whole_logs(("N1",)), MISSING)),
        lambda: case(BEGIN),
    ),
    "cau-node-failed": (
        lambda: case(BEGIN, manager(5, 1013, "N2", "bad"), FAILURE),
        lambda: case(BEGIN, FAILURE),
    ),
    "cau-restart-failed": (
        lambda: case(BEGIN, RESTART, manager(70, 1012, "N2", "timeout"), FAILURE),
        lambda: case(BEGIN, RESTART, BACK, SUCCESS),
    ),
    "cau-node-never-back": (
        lambda: case(BEGIN, RESTART, FAILURE),
        lambda: case(BEGIN, RESTART, boot(15, "N2"), FAILURE),
    ),
    "cau-node-started-unseen": (
        lambda: case(BEGIN, RESTART, boot(15, "N2"), FAILURE),
        lambda: case(BEGIN, RESTART, boot(15, "N2"), BACK, SUCCESS),
    ),
    "cau-drain-failed": (
        lambda: case(BEGIN, manager(5, 1016, "N2", "no room"), FAILURE),
        lambda: case(BEGIN, manager(5, 1008, "N2"), FAILURE),
    ),
    "cau-resume-failed": (
        lambda: case(BEGIN, manager(5, 1017, "N2", "no"), FAILURE),
        lambda: case(BEGIN, manager(5, 1009, "N2"), FAILURE),
    ),
    "cau-node-left-paused": (
        lambda: case(BEGIN, manager(5, 1008, "N2"), FAILURE),
        lambda: case(BEGIN, manager(5, 1008, "N2"), manager(6, 1009, "N2"), FAILURE),
    ),
    "cau-quorum": (lambda: case(BEGIN, manager(5, 1018, "N2"), FAILURE), SILENT),
    "cau-node-locked": (lambda: case(BEGIN, manager(5, 1015, "N2"), FAILURE), SILENT),
    "cau-max-failed-nodes": (lambda: case(BEGIN, manager(5, 1019, "0"), FAILURE), SILENT),
    "cau-nodes-offline": (lambda: case(BEGIN, manager(5, 1020, "1"), FAILURE), SILENT),
    "cau-run-too-long": (
        lambda: case(BEGIN, manager(5, 1002, "05:00:00"), FAILURE),
        lambda: case(BEGIN, manager(5, 1001, "05:00:00"), SUCCESS),
    ),
    "cau-operation-failed": (
        lambda: case(BEGIN, own(5, 2006, "0x80070005"), FAILURE),
        lambda: case(BEGIN, own(5, 2005, "1"), SUCCESS),
    ),
    "cau-report-node-failed": (
        lambda: case(reports=[report(code=-2147024891)]),
        lambda: case(reports=[report(status="Succeeded")]),
    ),
    "cau-orchestrator-lost": (
        lambda: case(BEGIN, own(5, 2011, "a", "b", "c"), SUCCESS),
        lambda: case(BEGIN, own(5, 2012, "b"), SUCCESS),
    ),
    "cau-report-lost": (lambda: case(BEGIN, SUCCESS, manager(61, 1022, "full")), SILENT),
    "cau-recovered": (lambda: case(BEGIN, manager(1, 1014, "plant7"), SUCCESS), SILENT),
    "cau-out-of-band-plugin": (
        lambda: case(reports=[report(status="Succeeded", plugin="Microsoft.WindowsUpdatePlugin")]),
        lambda: case(reports=[report(status="Succeeded")]),
    ),
    "update-outside-cau-run": (
        lambda: case(BEGIN, SUCCESS, installed(300, "N2")),
        lambda: case(BEGIN, installed(30, "N2"), SUCCESS),
    ),
    "cluster-quorum-lost": (lambda: case(clustering(5, 1177)), SILENT),
    "cluster-volume-lost": (
        lambda: case(clustering(5, 5120, "CSV1")),
        lambda: case(clustering(5, 5122, "CSV1")),
    ),
    "cluster-drain-failed": (lambda: case(clustering(5, 1677, "N2")), SILENT),
    "cluster-role-move-failed": (lambda: case(clustering(5, 1137, "vm7", "5018")), SILENT),
    "cluster-node-quarantined": (
        lambda: case(clustering(5, 1672, "N2", "3")),
        lambda: case(clustering(5, 1680, "N2")),
    ),
    "cluster-node-removed": (
        lambda: case(BEGIN, SUCCESS, clustering(30, 1135, "N2")),
        lambda: case(BEGIN, RESTART, clustering(11, 1135, "N2"), BACK, SUCCESS),
    ),
    "node-unexpected-restart": (
        lambda: case(BEGIN, crash(30, "N2"), SUCCESS),
        lambda: case(BEGIN, SUCCESS, crash(300, "N2")),
    ),
    "update-run-failed": (
        lambda: case(runs=[update_run("Failed", step("Start", "Error", FAILED_STEP))]),
        SILENT,
    ),
    "ece-failover-step-stalled": (
        lambda: case(
            runs=[
                update_run(
                    "Succeeded",
                    step(
                        "A",
                        "Success",
                        step("Failover ECE Service to new Node", "Success", minutes=16),
                    ),
                )
            ]
        ),
        lambda: case(
            runs=[
                update_run(
                    "Succeeded",
                    step(
                        "A",
                        "Success",
                        step("Failover ECE Service to new Node", "Success", minutes=6),
                    ),
                )
            ]
        ),
    ),
    "update-run-in-progress": (
        lambda: case(runs=[update_run("2", step("A", "InProgress"))]),
        SILENT,
    ),
    "update-state-failed": (
        lambda: case(updates=[listed("HealthCheckFailed")]),
        lambda: case(updates=[listed("Installed")]),
    ),
    "update-needs-sbe": (
        lambda: case(updates=[listed("AdditionalContentRequired")]),
        lambda: case(updates=[listed("Ready")]),
    ),
    "update-recalled": (
        lambda: case(updates=[listed("Recalled")]),
        lambda: case(updates=[listed("Obsolete")]),
    ),
    "solution-update-missing-after-sbe-import": (
        lambda: case(updates=[listed("HasPrerequisite", "SBE4.1.2409.1"), listed("Installed")]),
        lambda: case(updates=[listed("HasPrerequisite", "SBE4.1.2409.1"), listed("Ready")]),
    ),
    "health-check-critical": (
        lambda: case(checks=[check("FAILURE", "Critical")]),
        lambda: case(checks=[check("SUCCESS", "Critical")]),
    ),
    "health-check-warning": (
        lambda: case(checks=[check("FAILURE", "Warning")]),
        lambda: case(checks=[check("FAILURE", "Informational")]),
    ),
    "evidence-missing": (lambda: case(coverage=(MISSING,)), SILENT),
    "evidence-damaged": (
        lambda: case(coverage=(replace(MISSING, status=CoverageStatus.DAMAGED),)),
        SILENT,
    ),
    "evidence-not-understood": (
        lambda: case(coverage=(replace(MISSING, status=CoverageStatus.UNKNOWN),)),
        SILENT,
    ),
    "no-run-found": (case, SILENT),
}


def test_every_structural_rule_stands_in_the_table() -> None:
    assert set(TABLE) == set(RULE) - set(SIGNATURES)


@pytest.mark.parametrize("name", TABLE)
def test_rule_speaks(name: str) -> None:
    assert list(RULE[name].find(TABLE[name][0]()))


@pytest.mark.parametrize("name", TABLE)
def test_rule_is_silent_where_it_should_be(name: str) -> None:
    assert not list(RULE[name].find(TABLE[name][1]()))


@pytest.mark.parametrize("name", TABLE)
def test_no_brace_is_left_in_what_a_rule_says(name: str) -> None:
    said = [one for one in findings(TABLE[name][0]()) if one.rule == name]
    assert said
    for one in said:
        assert "{" not in one.title + one.cause.replace(RUN, "") + " ".join(one.remedy)


def test_rule_ids_are_unique() -> None:
    assert len(RULE) == len(RULES)


def test_cause_comes_before_what_followed_from_it() -> None:
    judged = case(
        BEGIN, RESTART, manager(70, 1012, "N2", "timeout"), manager(71, 1013, "N2", "x"),
        manager(72, 1019, "0"), manager(73, 1007, RUN, "plant7", "x", "0x1", ""),
    )  # fmt: skip
    order = [one.rule for one in findings(judged)]
    wanted = ["cau-restart-failed", "cau-node-failed", "cau-run-failed"]
    assert sorted(wanted, key=order.index) == wanted


def test_failure_that_a_later_run_overcame_is_information() -> None:
    later = (manager(100, 1003, OTHER_RUN, "x"), manager(160, 1004, OTHER_RUN, "x"))
    found = findings(case(BEGIN, manager(5, 1013, "N2", "bad"), FAILURE, *later))
    (one,) = [one for one in found if one.rule == "cau-node-failed"]
    assert one.severity is Severity.INFO
    assert one.title.startswith("Earlier: ")


def test_failed_health_check_stays_critical_after_a_success() -> None:
    found = findings(case(BEGIN, SUCCESS, checks=[check("FAILURE", "Critical")]))
    assert [one.severity for one in found if one.rule == "health-check-critical"] == ["critical"]


def test_node_down_on_purpose_is_not_reported_as_lost_under_another_spelling() -> None:
    judged = case(
        BEGIN, manager(10, 1010, "n2.corp.example"), clustering(11, 1135, "N2"), BACK, SUCCESS
    )
    assert not list(RULE["cluster-node-removed"].find(judged))


def test_power_loss_in_a_run_is_reported() -> None:
    judged = case(BEGIN, event(30, POWER, 41, node="N2"), SUCCESS)
    assert list(RULE["node-unexpected-restart"].find(judged))


def test_update_outside_a_run_is_not_judged_where_a_coordinator_log_is_missing() -> None:
    judged = case(BEGIN, SUCCESS, installed(300, "N2"), coverage=whole_logs(("N1",)))
    assert not list(RULE["update-outside-cau-run"].find(judged))


def test_virus_definitions_do_not_count_as_patching() -> None:
    title = "Security Intelligence Update for Microsoft Defender Antivirus"
    judged = case(BEGIN, SUCCESS, installed(300, "N2", title))
    assert not list(RULE["update-outside-cau-run"].find(judged))


def test_evidence_is_limited_and_says_how_much_there_was() -> None:
    many = [own(minute, 2006, "0x80070005") for minute in range(1, 31)]
    (hit,) = RULE["cau-operation-failed"].find(case(BEGIN, *many, FAILURE))
    assert len(hit.evidence) == 13
    assert hit.evidence[-1].text == "… and 18 more of the same"


def test_error_number_is_explained() -> None:
    (hit,) = RULE["cau-operation-failed"].find(case(BEGIN, own(5, 2006, "-2147024891"), FAILURE))
    assert hit.facts["code"] == "0x80070005 (access denied)"


def test_deepest_failing_step_is_named_by_interface_and_role() -> None:
    tree = step("Start", "Error", step("Outer", "Error", FAILED_STEP, error="one step failed"))
    (hit,) = RULE["update-run-failed"].find(case(runs=[update_run("Failed", tree)]))
    assert hit.facts["step"] == "A (role B)"
    assert hit.facts["text"] == "no"


def test_run_whose_state_is_a_number_is_judged_by_its_steps() -> None:
    tree = step("Start", "Error", FAILED_STEP)
    assert list(RULE["update-run-failed"].find(case(runs=[update_run("3", tree)])))


def test_braces_in_a_fact_are_not_filled_again() -> None:
    judged = case(BEGIN, manager(5, 1013, "N2", "{node} {text}"), FAILURE)
    (one,) = [one for one in findings(judged) if one.rule == "cau-node-failed"]
    assert one.cause == "The coordinator says: {node} {text}"


@pytest.mark.parametrize(("minute", "first"), [(-30, "resumed"), (30, "cau-installer-blocked")])
def test_cause_of_the_run_that_failed_last_comes_before_those_of_earlier_runs(minute, first):
    """A cause from before that run began may be cured; of those of the run itself the earliest counts."""

    def at(found, minutes):
        return replace(
            found, evidence=replace(found.evidence, at=START + timedelta(minutes=minutes))
        )

    texts = [
        at(text(SAMPLES["resumed-update-empty-action-plan"][0]), 40),
        at(text(SAMPLES["cau-installer-blocked-by-defender-asr"][0]), minute),
    ]
    failed = update_run("Failed", step("Start", "Error"))
    assert findings(case(runs=[failed], texts=texts))[0].rule.startswith(first)
