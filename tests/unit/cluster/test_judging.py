from dataclasses import replace
from datetime import UTC, datetime

import pytest

from toolkit.catalog import load_manifests
from toolkit.cluster._checks import CHECKS, Answers, Check, CheckId, CheckVerdict, judge_all
from toolkit.cluster._checks._answers import ClusterAnswers, NodeAnswers
from toolkit.cluster._checks._check import Reads, Said, Told
from toolkit.cluster._checks._drift import ClusterSettingsAnswers, SettingsAnswers
from toolkit.cluster._checks._readiness import ClusterReadyAnswers, ReadyAnswers
from toolkit.cluster._timekeeping import NodeTime, judge_time
from toolkit.errors import ToolkitError
from toolkit.model import KnownCluster, SolutionVersion

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def answers():
    return Answers(
        known=KnownCluster(name="plant7", nodes=()),
        at=AT,
        nodes=tuple(
            NodeAnswers(name=name, ready=ReadyAnswers(), settings=SettingsAnswers())
            for name in ("node1", "node2")
        ),
        cluster=ClusterAnswers(ready=ClusterReadyAnswers(), settings=ClusterSettingsAnswers()),
        time=judge_time(AT, [NodeTime(node="node1", at=AT)], floor=AT),
        medium=None,
        version=None,
        baseline=None,
        manifests=load_manifests(),
    )


def check_of(*said, told=(), needs=(), not_asked=""):
    return Check(
        id=CheckId("disks"),
        title="Disks are well",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-Disk",),
        rule="not well: critical",
        remedy="Replace it.",
        source="our own",
        confidence="confirmed",
        needs=frozenset(needs),
        not_asked=lambda _: not_asked,
        rests_on=lambda _: told,
        judge=lambda _: said,
    )


PASSED = Said(verdict=CheckVerdict.PASS, node="node1", evidence="well")
BAD = Said(verdict=CheckVerdict.CRITICAL, node="node1", evidence="not well")


def test_result_carries_what_its_check_says(answers):
    (result,) = judge_all(answers, [check_of(BAD)]).results
    assert (result.check, result.title, result.node) == ("disks", "Disks are well", "node1")
    assert (result.evidence, result.remedy, result.source) == ("not well", "Replace it.", "our own")


def test_remedy_of_a_verdict_comes_before_that_of_its_check(answers):
    (result,) = judge_all(answers, [check_of(replace(BAD, remedy="Pull it."))]).results
    assert result.remedy == "Pull it."


def test_pass_needs_no_remedy(answers):
    (result,) = judge_all(answers, [check_of(PASSED)]).results
    assert result.remedy == ""


def test_check_without_any_answer_is_unknown_once_for_each_node_and_is_not_judged(answers):
    told = [
        ("node1", Told(why="no such cmdlet")),
        ("node1", Told(why="access denied")),
        ("node2", Told(why="not reached")),
        ("node2", Told(why="not reached")),
    ]
    results = judge_all(answers, [check_of(PASSED, told=told)]).results
    assert [(result.verdict, result.node, result.evidence) for result in results] == [
        (CheckVerdict.UNKNOWN, "node1", "no such cmdlet; access denied"),
        (CheckVerdict.UNKNOWN, "node2", "not reached"),
    ]
    assert {result.remedy for result in results} == {
        "Find out why there was no answer, then check again."
    }


def test_node_that_said_nothing_is_unknown_beside_what_the_others_said(answers):
    told = [("node1", Told(value=False)), ("node2", Told(why="not reached"))]
    results = judge_all(answers, [check_of(BAD, told=told)]).results
    assert [(result.verdict, result.node) for result in results] == [
        (CheckVerdict.UNKNOWN, "node2"),
        (CheckVerdict.CRITICAL, "node1"),
    ]


def test_check_whose_needs_are_not_met_is_not_asked(answers):
    readiness = judge_all(answers, [check_of(BAD, needs=("medium", "update", "baseline"))])
    assert (readiness.results, readiness.not_asked) == (
        (),
        (
            (
                "disks",
                "it needs a medium and the version of an update and a baseline of this cluster",
            ),
        ),
    )


def test_check_whose_needs_are_met_is_asked(answers):
    named = replace(answers, version=SolutionVersion.parse("12.2603.1002.901"))
    readiness = judge_all(named, [check_of(BAD, needs=("update",))])
    assert (len(readiness.results), readiness.not_asked) == (1, ())


def test_check_that_does_not_concern_the_cluster_says_why_it_is_not_asked(answers):
    readiness = judge_all(answers, [check_of(BAD, not_asked="it has no disks")])
    assert (readiness.results, readiness.not_asked) == ((), (("disks", "it has no disks"),))


def test_check_without_a_verdict_is_a_mistake_of_ours(answers):
    with pytest.raises(ToolkitError, match="judge by check disks: no verdict"):
        judge_all(answers, [check_of()])


@pytest.mark.parametrize("both", [{}, {"value": 1, "why": "x"}])
def test_answer_is_either_told_or_missing(both):
    with pytest.raises(ValueError, match="either"):
        Told(**both)


def test_false_nothing_and_zero_are_answers():
    assert [Told(value=value).why for value in (False, (), "", 0)] == [""] * 4


def test_worst_verdict_counts_and_nothing_asked_is_no_pass(answers):
    order = list(CheckVerdict)
    assert order == ["critical", "warning", "unknown", "pass"]
    for place, verdict in enumerate(order):
        said = [Said(verdict=one, evidence="x") for one in reversed(order[place:])]
        readiness = judge_all(answers, [check_of(*said)])
        assert readiness.worst() is verdict
        assert [result.verdict for result in readiness.of(verdict)] == [verdict]
    assert judge_all(answers, []).worst() is CheckVerdict.UNKNOWN


def test_every_check_has_a_name_of_its_own():
    assert len({check.id for check in CHECKS}) == len(CHECKS)
