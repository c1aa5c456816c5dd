from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.cluster import _gate
from toolkit.cluster._checks import CHECKS, CheckId, CheckResult, CheckVerdict, Readiness
from toolkit.cluster._evidence import RunEvidence
from toolkit.cluster._gate import Case, Window, Wish, expect, judge_start, published_hours, refuse
from toolkit.model import (
    RerunSafety,
    ResourceId,
    RunState,
    RunSummary,
    Sha256,
    SolutionVersion,
    Update,
    UpdateState,
)

NOW = datetime(2026, 11, 26, 20, tzinfo=UTC)
ID = ResourceId("redmond/Solution12.2603.1002.15")
OTHER = ResourceId("redmond/Solution12.2602.1002.501")
REASON = "set the ASR rule to audit"


def result(check="node-up", verdict=CheckVerdict.PASS, *, node="", evidence="as it is", subject=""):
    return CheckResult(
        check=CheckId(check),
        title="t",
        verdict=verdict,
        node=node,
        evidence=evidence,
        remedy="" if verdict is CheckVerdict.PASS else "cure it",
        source="s",
        subject=subject,
    )


def readiness(*results):
    return Readiness(
        cluster="plant7",
        checked_at=NOW,
        version=SolutionVersion.parse(ID),
        set_name="",
        results=results or (result(),),
        not_asked=(),
    )


def update(state):
    return Update(
        resource_id=ID,
        version="12.2603.1002.15",
        display_name="",
        state=UpdateState(state),
        state_raw=state,
    )


def run(state="Failed", *, of=ID, number=1, began=NOW - timedelta(hours=5), took=3.0):
    return RunSummary(
        resource_id=ResourceId(f"{of}/run-{number}"),
        update_id=of,
        state=RunState(state),
        state_raw=state,
        started_at=began,
        updated_at=began + timedelta(hours=took),
        is_preparation=None,
    )


def evidence(*, of, safe=RerunSafety.AFTER_REMEDY, rule="asr", at=NOW, **changes):
    found = RunEvidence(
        run_id=of.resource_id,
        run_updated_at=of.updated_at,
        bundle_sha256=Sha256("0" * 64),
        analysed_at=at,
        rule=rule,
        nodes=("node3",),
        headline="The installer was blocked",
        rerun_safe=safe,
        remedy=("Set the rule to audit.",),
        blind_spots=0,
    )
    return replace(found, **changes)


def case(state="Ready", **changes):
    known = Case(
        update=update(state),
        runs=(),
        readiness=readiness(),
        evidence=(),
        last_fix_at=None,
        nodes=4,
        now=NOW,
    )
    return replace(known, **changes)


def failed(safe=RerunSafety.AFTER_REMEDY, **changes):
    newest = run()
    return case(
        "InstallationFailed", runs=(newest,), evidence=(evidence(of=newest, safe=safe),), **changes
    )


def kinds(permit):
    return [refusal.kind for refusal in permit.refusals]


# --- state and readiness ------------------------------------------------------------------------


def test_ready_update_of_a_healthy_cluster_may_be_started():
    permit = judge_start(case(), Wish())
    assert permit.allowed
    assert (permit.accepted, permit.notes, permit.ignores_warnings) == ((), (), False)


@pytest.mark.parametrize("state", ["Installing", "Installed", "HasPrerequisite", "SomethingNew"])
def test_state_in_which_nothing_may_be_started_is_the_first_reason(state):
    assert kinds(judge_start(case(state), Wish()))[0] == "state"


def test_every_critical_result_is_a_reason_of_its_own():
    seen = readiness(
        result("node-up", CheckVerdict.CRITICAL, node="node2", evidence="it is Paused"),
        result("storage-jobs", CheckVerdict.CRITICAL, evidence="Repair, 40 %"),
    )
    permit = judge_start(case(readiness=seen), Wish())
    assert kinds(permit) == ["readiness", "readiness"]
    assert permit.refusals[0].text == "node-up on node2: it is Paused"
    assert permit.refusals[0].hint == "cure it"


def test_what_is_critical_cannot_be_accepted():
    seen = readiness(result("cau-run", CheckVerdict.CRITICAL))
    wish = Wish(accepted=frozenset({CheckId("cau-run")}), fixed=REASON)
    assert kinds(judge_start(case(readiness=seen), wish)) == ["readiness"]


_RESULTS = st.builds(
    result,
    st.sampled_from(sorted({check.id for check in CHECKS} | {"cau-run", "cau-breadcrumbs", "x"})),
    st.sampled_from(list(CheckVerdict)),
)


@given(
    results=st.lists(_RESULTS, min_size=1),
    state=st.sampled_from([str(state) for state in UpdateState]),
    accepted=st.frozensets(st.sampled_from(["cau-run", "node-up", "x"])),
    fixed=st.sampled_from(["", "no", REASON]),
    was_analysed=st.booleans(),
)
def test_nothing_critical_is_ever_allowed(results, state, accepted, fixed, was_analysed):
    newest = run()
    found = (evidence(of=newest, safe=RerunSafety.YES),) if was_analysed else ()
    asked = case(state, runs=(newest,), evidence=found, readiness=readiness(*results))
    permit = judge_start(asked, Wish(accepted=frozenset(map(CheckId, accepted)), fixed=fixed))
    is_worse = any(item.verdict is CheckVerdict.CRITICAL for item in results)
    open_ = {item.check for item in results if item.verdict in ("warning", "unknown")}
    assert not permit.allowed or (not is_worse and open_ <= accepted)


def test_preparation_needs_less():
    seen = readiness(
        result("cau-breadcrumbs", CheckVerdict.CRITICAL),
        result("drift-hotfixes", CheckVerdict.WARNING),
    )
    assert judge_start(case(readiness=seen), Wish(prepare_only=True)).allowed
    assert kinds(judge_start(case(readiness=seen), Wish())) == ["readiness", "warnings"]
    down = readiness(result("update-service-online", CheckVerdict.CRITICAL))
    assert not judge_start(case(readiness=down), Wish(prepare_only=True)).allowed


def test_checks_that_the_gate_names_exist():
    known = {check.id for check in CHECKS}
    assert {_gate._HEALTH, _gate._LAST_RUN, _gate._HALF_DONE, *_gate._STOP_PREPARATION} <= known


# --- warnings -----------------------------------------------------------------------------------


def test_each_warning_and_each_silence_is_accepted_by_its_name():
    seen = readiness(
        result("pending-reboot", CheckVerdict.WARNING, node="node1", evidence="RebootPending"),
        result("endpoints-arb", CheckVerdict.UNKNOWN, evidence="no answer"),
    )
    permit = judge_start(
        case(readiness=seen), Wish(accepted=frozenset({CheckId("pending-reboot")}))
    )
    assert kinds(permit) == ["warnings"]
    assert "endpoints-arb: no answer" in permit.refusals[0].text
    assert "RebootPending" not in permit.refusals[0].text
    asked = "--accept-warnings pending-reboot --accept-warnings endpoints-arb"
    assert permit.refusals[0].hint.endswith(asked)
    both = frozenset({CheckId("pending-reboot"), CheckId("endpoints-arb")})
    permit = judge_start(case(readiness=seen), Wish(accepted=both))
    assert permit.allowed
    assert [item.evidence for item in permit.accepted] == ["RebootPending", "no answer"]


def test_nothing_is_accepted_in_advance():
    permit = judge_start(case(), Wish(accepted=frozenset({CheckId("pending-reboot")})))
    assert kinds(permit) == ["warnings"]
    assert "pending-reboot" in permit.refusals[0].text


@pytest.mark.parametrize(
    ("verdicts", "is_told"),
    [
        (["warning"], True),
        (["warning", "warning"], True),
        (["warning", "unknown"], False),
        (["unknown"], False),
    ],
)
def test_cluster_ignores_warnings_only_if_its_own_checks_warn_and_no_more(verdicts, is_told):
    seen = readiness(*(result("health-checks", CheckVerdict(verdict)) for verdict in verdicts))
    wish = Wish(accepted=frozenset({CheckId("health-checks")}))
    assert judge_start(case(readiness=seen), wish).ignores_warnings is is_told
    assert not judge_start(case(readiness=seen), Wish()).ignores_warnings


# --- evidence -----------------------------------------------------------------------------------


def test_failed_run_is_not_started_before_its_evidence_is_analysed():
    permit = judge_start(
        case("InstallationFailed", runs=(run(),)), Wish(fixed="I looked at everything")
    )
    assert kinds(permit) == ["evidence"]
    assert "never run it again blindly" in permit.refusals[0].hint


def test_failed_run_counts_even_where_the_update_is_ready_again():
    assert kinds(judge_start(case("ReadyToInstall", runs=(run(),)), Wish())) == ["evidence"]


def test_evidence_of_another_run_does_not_count():
    newest, older = run(number=2), run(number=1, began=NOW - timedelta(days=2))
    asked = case("InstallationFailed", runs=(newest, older), evidence=(evidence(of=older),))
    assert kinds(judge_start(asked, Wish(fixed=REASON))) == ["evidence"]


def test_evidence_that_saw_less_of_the_run_does_not_count():
    newest = run()
    early = evidence(of=newest, run_updated_at=newest.updated_at - timedelta(minutes=5))
    asked = case("InstallationFailed", runs=(newest,), evidence=(early,))
    assert kinds(judge_start(asked, Wish(fixed=REASON))) == ["evidence"]


@pytest.mark.parametrize("safe", [RerunSafety.AFTER_REMEDY, RerunSafety.UNKNOWN, RerunSafety.NO])
def test_rerun_that_is_not_safe_needs_a_written_reason(safe):
    permit = judge_start(failed(safe), Wish(fixed="done"))
    assert kinds(permit) == ["reason"]
    assert "The installer was blocked" in permit.refusals[0].text
    assert "(Set the rule to audit)" in permit.refusals[0].hint
    permit = judge_start(failed(safe), Wish(fixed=REASON))
    assert permit.allowed
    assert "The installer was blocked" in permit.notes[0]


@pytest.mark.parametrize("words", ["1234567890", "a fix? ......", "ok ok ok ok"])
def test_reason_is_counted_by_its_letters(words):
    assert kinds(judge_start(failed(), Wish(fixed=words))) == ["reason"]


def test_rerun_that_would_do_harm_is_called_that_even_with_a_reason():
    assert "would do harm" in judge_start(failed(RerunSafety.NO), Wish(fixed=REASON)).notes[0]


def test_rerun_that_is_safe_needs_no_reason():
    assert judge_start(failed(RerunSafety.YES), Wish()).allowed


def test_failed_update_without_a_run_needs_a_reason():
    assert kinds(judge_start(case("DownloadFailed"), Wish())) == ["reason"]
    assert judge_start(case("DownloadFailed"), Wish(fixed=REASON)).allowed


def test_same_finding_after_a_fix_is_said():
    first, second = run(number=1, began=NOW - timedelta(days=2)), run(number=2)
    asked = case(
        "InstallationFailed",
        runs=(second, first),
        evidence=(evidence(of=first, at=NOW - timedelta(days=1)), evidence(of=second)),
        last_fix_at=NOW - timedelta(hours=6),
    )
    notes = judge_start(asked, Wish(fixed=REASON)).notes
    assert any("same finding as before the last fix" in note for note in notes)
    other = replace(asked, evidence=(replace(asked.evidence[0], rule="disk"), asked.evidence[1]))
    assert not any("same finding" in note for note in judge_start(other, Wish(fixed=REASON)).notes)


def test_check_that_tells_of_the_analysed_run_is_no_reason_of_its_own():
    of_it = result("last-run", CheckVerdict.CRITICAL, evidence="it is Failed", subject=ID)
    asked = failed(readiness=readiness(of_it))
    assert judge_start(asked, Wish(fixed=REASON)).allowed
    of_nobody = result("last-run", CheckVerdict.CRITICAL, evidence=f"run {ID}/run-1 is Failed")
    asked = failed(readiness=readiness(of_it, of_nobody))
    assert kinds(judge_start(asked, Wish(fixed=REASON))) == ["readiness"]


def test_check_that_tells_of_a_run_that_began_to_fail_since_stays_critical():
    of_it = result("last-run", CheckVerdict.CRITICAL, subject=ID)
    assert kinds(judge_start(case(readiness=readiness(of_it)), Wish(fixed=REASON))) == ["readiness"]


@pytest.mark.parametrize(
    ("words", "is_told"),
    [(f"of the packages {ID.removeprefix('redmond/Solution')}", True), (f"of {ID}9", False)],
)
def test_half_done_version_is_excused_only_where_it_is_that_of_the_failed_update(words, is_told):
    half = result("run-half-done", CheckVerdict.WARNING, evidence=words)
    permit = judge_start(failed(readiness=readiness(half)), Wish(fixed=REASON))
    assert permit.allowed is is_told


# --- another update that failed -----------------------------------------------------------------

LAST_RUN = CheckId("last-run")
OF_ANOTHER = (
    result("last-run", CheckVerdict.CRITICAL, evidence="its run is Failed", subject=OTHER),
    result("last-run", CheckVerdict.CRITICAL, evidence="it is InstallationFailed", subject=OTHER),
)
ANSWERED = Wish(accepted=frozenset({LAST_RUN}), fixed=REASON)


def after_another(safe=None, **changes):
    """Another update's run failed; with `safe` it was analysed."""
    other = run(of=OTHER)
    found = () if safe is None else (evidence(of=other, safe=safe),)
    known = {"runs": (other,), "evidence": found, "readiness": readiness(*OF_ANOTHER)}
    return case(**known | changes)


def test_other_failed_run_must_be_analysed_before_anything_is_started():
    permit = judge_start(after_another(), ANSWERED)
    assert kinds(permit) == ["evidence"]
    assert f"Solution12.2602.1002.501 failed; its newest run, {OTHER}/run-1" in (
        permit.refusals[0].text
    )


def test_other_failed_run_is_answered_for_by_name_and_in_writing():
    asked = after_another(RerunSafety.AFTER_REMEDY)
    assert kinds(judge_start(asked, Wish())) == ["warnings", "reason"]
    assert kinds(judge_start(asked, replace(ANSWERED, fixed=""))) == ["reason"]
    assert kinds(judge_start(asked, replace(ANSWERED, accepted=frozenset()))) == ["warnings"]
    permit = judge_start(asked, ANSWERED)
    assert permit.allowed
    assert {item.check for item in permit.accepted} == {LAST_RUN}
    assert permit.evidence == asked.evidence
    assert permit.notes[0].startswith("Solution12.2602.1002.501 failed before; ")


def test_other_run_that_may_be_repeated_as_it_is_needs_no_reason_but_its_name():
    asked = after_another(RerunSafety.YES)
    assert kinds(judge_start(asked, Wish())) == ["warnings"]
    assert judge_start(asked, replace(ANSWERED, fixed="")).allowed


def test_other_update_that_failed_without_a_run_needs_a_reason():
    asked = after_another(runs=())
    assert kinds(judge_start(asked, replace(ANSWERED, fixed=""))) == ["reason"]
    assert judge_start(asked, ANSWERED).allowed


def test_analysis_of_the_one_excuses_not_the_other():
    own = run()
    both = (OF_ANOTHER[1], result("last-run", CheckVerdict.CRITICAL, subject=ID))
    asked = after_another(
        RerunSafety.YES,
        runs=(own, run(of=OTHER)),
        readiness=readiness(*both),
        update=update("InstallationFailed"),
    )
    assert kinds(judge_start(asked, ANSWERED)) == ["evidence"]
    known = (evidence(of=own), *asked.evidence)
    permit = judge_start(replace(asked, evidence=known), ANSWERED)
    assert permit.allowed
    assert [found.update_id for found in permit.evidence] == [ID, OTHER]


def test_preparation_is_not_stopped_by_another_update_that_failed():
    assert judge_start(after_another(), Wish(prepare_only=True)).allowed


@pytest.mark.parametrize("check", ["last-run", "run-half-done"])
def test_silence_is_not_excused_by_the_evidence_of_a_run_that_its_words_name(check):
    silent = result(check, CheckVerdict.UNKNOWN, evidence=f"{ID} could not be read")
    asked = failed(readiness=readiness(silent))
    assert kinds(judge_start(asked, Wish(fixed=REASON))) == ["warnings"]


# --- window -------------------------------------------------------------------------------------


def window(*, begins=None, ends):
    return Wish(
        window=Window(
            not_before=None if begins is None else NOW + timedelta(hours=begins),
            must_end_by=NOW + timedelta(hours=ends),
        )
    )


def test_window_that_is_too_short_is_refused_with_the_sum():
    permit = judge_start(case(), window(ends=8.9))
    assert kinds(permit) == ["window"]
    assert "9 h 00 min (published for 4 node(s)) = 2026-11-27 05:00 UTC" in permit.refusals[0].text
    assert "ferry run prepare" in permit.refusals[0].hint
    assert judge_start(case(), window(ends=9)).allowed


def test_window_counts_from_its_beginning():
    assert kinds(judge_start(case("ReadyToInstall"), window(begins=2, ends=5.9))) == ["window"]
    permit = judge_start(case("ReadyToInstall"), window(begins=2, ends=6))
    assert permit.allowed
    assert permit.wait_until == NOW + timedelta(hours=2)


def test_time_that_has_come_is_not_waited_for():
    assert judge_start(case(), window(begins=-1, ends=10)).wait_until is None


def test_published_times_lie_on_a_line():
    assert published_hours(1) == (3.0, 1.5)
    assert published_hours(4) == (5.0, 4.0)
    assert published_hours(16) == pytest.approx((13.0, 14.0))


def test_what_this_cluster_took_counts_for_what_is_prepared():
    took = (run("Succeeded", of=OTHER, took=2.5), run("Succeeded", of=OTHER, number=2, took=2))
    known = expect(case("ReadyToInstall", runs=took))
    assert (known.duration, "on this cluster" in known.basis) == (timedelta(hours=2.5), True)
    assert expect(case("Ready", runs=took)).duration == timedelta(hours=9)
    slow = (run("Succeeded", of=OTHER, took=12),)
    assert expect(case("Ready", runs=slow)).duration == timedelta(hours=12)


@pytest.mark.parametrize(
    "other",
    [
        run("Failed", of=OTHER, took=2),
        run("Succeeded", of=ID, took=2),
        run("Succeeded", of=ResourceId("redmond/SBE4.2.2603.1"), took=2),
        replace(run("Succeeded", of=OTHER, took=2), is_preparation=True),
    ],
)
def test_run_that_is_not_alike_tells_no_time(other):
    assert "published" in expect(case("ReadyToInstall", runs=(other,))).basis


# --- what is said -------------------------------------------------------------------------------


def test_one_reason_is_one_sentence():
    error = refuse(
        update("Installed"), judge_start(case("Installed"), Wish()).refusals, verb="start"
    )
    assert str(error).startswith("start update 12.2603.1002.15: it is Installed")
    assert error.hint == "nothing is left to do"


def test_several_reasons_are_all_said():
    seen = readiness(result("node-up", CheckVerdict.CRITICAL, node="node2"))
    asked = case("Installed", readiness=seen)
    error = refuse(asked.update, judge_start(asked, Wish()).refusals, verb="start")
    assert "2 reasons stand against it" in str(error)
    assert "2. node-up on node2: as it is\n     next: cure it" in str(error)
