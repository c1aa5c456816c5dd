import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.cluster.fakes import VERSION, Session, World, refusal
from toolkit.cluster import _cmdlets, note_evidence
from toolkit.cluster._checks import CheckId, CheckResult, CheckVerdict, Readiness
from toolkit.cluster._evidence import RunEvidence
from toolkit.cluster._gate import Window, Wish
from toolkit.cluster._starting import Starting
from toolkit.errors import (
    AuthenticationError,
    CommandError,
    ConnectError,
    InputError,
    SessionLostError,
    StateError,
)
from toolkit.model import Node, RerunSafety, ResourceId, Sha256
from toolkit.site import REMOVED_STEP, Journal

ID = f"redmond/Solution{VERSION}"
RUN = f"{ID}/run-1"
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ENDED = datetime(2026, 11, 26, 11, tzinfo=UTC)
START = "Get-SolutionUpdate | Start-SolutionUpdate"
ALL_RUNS = "Get-SolutionUpdate | Get-SolutionUpdateRun | Select-Object"
REASON = "set the ASR rule to audit"


class Plant:
    """A cluster of two nodes with one update, and everything around a start."""

    def __init__(self, folder):
        self.world = World()
        self.journal = Journal(folder / "journal.jsonl")
        self.results = ()
        self.now, self.said, self.slept, self.checks = NOW, [], [], 0
        self.wakes = []
        self.is_listed_as("Ready")

    def is_listed_as(self, state):
        self.world.updates = [{"ResourceId": ID, "Version": str(VERSION), "State": state}]
        self.world.listed_after = 0

    def has_run(self, state="Failed", *, run_id=RUN, ended=ENDED):
        began = {"ResourceId": run_id, "TimeStarted": "2026-11-26T10:00:00Z"}
        wire = {"State": state, "LastUpdatedTime": "2026-11-26T19:00:00"}  # another zone
        at = f"/Date({int(ended.timestamp() * 1000)})/"
        self.world.run_states = [began | wire]
        self.world.runs = json.dumps([began | {"State": 3, "LastUpdatedTime": at}])

    def was_analysed(self, *, run_id=RUN, safe=RerunSafety.AFTER_REMEDY, ended=ENDED):
        found = RunEvidence(
            run_id=ResourceId(run_id),
            run_updated_at=ended,
            bundle_sha256=Sha256("ab" * 32),
            analysed_at=NOW,
            rule="asr",
            nodes=("node2", "node3"),
            headline="The installer was blocked",
            rerun_safe=safe,
            remedy=("Set the rule to audit.", "Resume the node."),
            blind_spots=0,
        )
        note_evidence(self.journal, cluster="plant7", found=found)

    def on_some_node(self, act, *, only_first_answer=False):
        return act(Session(self.world), Node(name="n1", address="n1"))

    def check(self):
        self.checks += 1
        return Readiness(
            cluster="plant7",
            checked_at=NOW,
            version=VERSION,
            set_name="",
            results=self.results,
            not_asked=(),
        )

    def say(self, words):
        self.said.append(words)

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)
        for wake in self.wakes:
            wake()

    def starting(self, **wish):
        return Starting(
            cluster="plant7",
            nodes=2,
            wish=Wish(**wish),
            find=self.find,
            on_some_node=self.on_some_node,
            check=self.check,
            now=lambda: self.now,
            journal=self.journal,
            progress=self,
            sleep=self.sleep,
            clock=lambda: self.now.timestamp(),
        )

    def find(self, session):
        return session.invoke(_cmdlets.updates())[0]

    def start(self, *, dry_run=False, **wish):
        return self.starting(**wish).run(dry_run=dry_run)

    @property
    def starts(self):
        return self.world.sent.count(START)

    def noted(self):
        return [
            (entry.step, entry.outcome)
            for entry in self.journal.entries(cluster="plant7", subject=f"run {VERSION}")
        ]

    def facts(self, outcome="intent"):
        entries = self.journal.entries(cluster="plant7", subject=f"run {VERSION}")
        return next(entry.facts for entry in entries if entry.outcome == outcome)


@pytest.fixture
def plant(tmp_path):
    return Plant(tmp_path)


def result(check, verdict, evidence="as it is"):
    return CheckResult(
        check=CheckId(check),
        title="t",
        verdict=CheckVerdict(verdict),
        node="n2",
        evidence=evidence,
        remedy="cure it",
        source="s",
    )


# --- starting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prepare_only", [False, True])
def test_start_returns_the_run_and_is_journalled_before_and_after(plant, prepare_only):
    step = "prepare" if prepare_only else "start"
    assert plant.start(prepare_only=prepare_only).run_id == RUN
    assert plant.noted() == [(step, "intent"), (step, "done")]
    assert plant.facts() == {"node": "n1", "state": "Ready", "last_run": "none"}
    assert plant.facts("done") == {"node": "n1", "run_id": RUN}


def test_dry_run_judges_and_sends_nothing(plant):
    started = plant.start(dry_run=True)
    assert (started.run_id, started.permit.allowed, plant.checks) == ("", True, 1)
    assert plant.starts == 0
    assert plant.noted() == []


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("Installing", "running already"),
        ("Installed", "nothing is left"),
        ("AdditionalContentRequired", "SBE"),
        ("HasPrerequisite", "prerequisite"),
        ("SomethingNew", "does not know that state"),
    ],
)
def test_wrong_state_is_refused_before_anything_else_is_asked(plant, state, words):
    plant.is_listed_as(state)
    with pytest.raises(StateError, match=f"it is {state}") as refused:
        plant.start()
    assert words in refused.value.hint
    assert (plant.checks, plant.starts) == (0, 0)


def test_prepared_update_is_not_prepared_again(plant):
    plant.is_listed_as("ReadyToInstall")
    with pytest.raises(StateError, match="ReadyToInstall"):
        plant.start(prepare_only=True)


def test_what_is_critical_refuses_and_nothing_is_sent(plant):
    plant.results = (result("node-up", "critical", "it is Paused"),)
    with pytest.raises(StateError, match="node-up on n2: it is Paused"):
        plant.start(accepted=frozenset({CheckId("node-up")}), fixed=REASON)
    assert plant.starts == 0
    assert plant.noted() == []


def test_what_is_accepted_is_journalled_with_its_evidence(plant):
    plant.results = (result("health-checks", "warning", "a disk is slow"),)
    with pytest.raises(StateError, match="a disk is slow"):
        plant.start()
    plant.start(accepted=frozenset({CheckId("health-checks")}))
    assert plant.facts()["accepted"] == "health-checks n2: a disk is slow"
    assert plant.facts()["ignores_warnings"] == "yes"
    assert "accepted: health-checks on n2: a disk is slow" in plant.said


def test_refusal_of_the_cluster_is_journalled_in_its_words(plant):
    plant.world.fail_on[START] = refusal("Start-SolutionUpdate", "another update is in progress")
    with pytest.raises(CommandError, match="another update") as refused:
        plant.start()
    assert "nothing was started" in refused.value.hint
    assert plant.noted() == [("start", "intent"), ("start", "refused")]
    assert "another update is in progress" in plant.facts("refused")["words"]


# --- after a failed run -------------------------------------------------------------------------


def test_failed_run_is_not_started_before_its_evidence_is_analysed(plant):
    plant.is_listed_as("InstallationFailed")
    plant.has_run()
    with pytest.raises(StateError, match="no analysis of that run") as refused:
        plant.start(fixed=REASON)
    assert "never run it again blindly" in refused.value.hint
    plant.was_analysed()
    with pytest.raises(StateError, match="The installer was blocked") as refused:
        plant.start()
    assert "Set the rule to audit; Resume the node" in refused.value.hint
    plant.start(fixed=REASON)
    facts = plant.facts()
    assert facts["last_run"] == RUN
    assert (facts["fixed"], facts["finding"], facts["evidence"]) == (REASON, "asr", "ab" * 32)
    assert any("Resume the node." in line for line in plant.said)


@pytest.mark.parametrize("state", ["Succeeded", "Cancelled"])
def test_evidence_counts_where_the_update_failed_and_its_run_says_otherwise(plant, state):
    plant.is_listed_as("InstallationFailed")
    plant.has_run(state)
    with pytest.raises(StateError, match=f"is {state}, and no analysis of that run"):
        plant.start(fixed=REASON)
    plant.was_analysed()
    assert plant.start(fixed=REASON).run_id == RUN


@pytest.mark.parametrize(
    "other", [{"run_id": f"{ID}/run-0"}, {"ended": ENDED - timedelta(seconds=1)}]
)
def test_evidence_of_another_run_or_of_less_of_it_does_not_count(plant, other):
    plant.is_listed_as("InstallationFailed")
    plant.has_run()
    plant.was_analysed(**other)
    with pytest.raises(StateError, match="no analysis of that run"):
        plant.start(fixed=REASON)


def test_evidence_of_an_earlier_cluster_of_that_name_does_not_count(plant):
    plant.is_listed_as("InstallationFailed")
    plant.has_run()
    plant.was_analysed()
    plant.journal.append(cluster="plant7", subject="site", step=REMOVED_STEP, outcome="done")
    with pytest.raises(StateError, match="no analysis of that run"):
        plant.start(fixed=REASON)


def test_evidence_that_somebody_edited_is_not_guessed_at(plant):
    plant.journal.append(
        cluster="plant7", subject=f"run {VERSION}", step="evidence", outcome="done", run_id=RUN
    )
    with pytest.raises(InputError, match="ferry logs analyse"):
        plant.start()


def test_other_failed_update_is_answered_for_with_its_evidence(plant):
    other = "redmond/Solution12.2603.1002.15"
    plant.has_run(run_id=f"{other}/run-7")
    plant.results = (
        replace(result("last-run", "critical", "it is InstallationFailed"), subject=other),
    )
    answered = {"fixed": REASON, "accepted": frozenset({CheckId("last-run")})}
    with pytest.raises(StateError, match="no analysis of that run"):
        plant.start(**answered)
    plant.was_analysed(run_id=f"{other}/run-7", ended=ENDED - timedelta(seconds=1))
    with pytest.raises(StateError, match="no analysis of that run"):
        plant.start(**answered)
    assert plant.starts == 0
    plant.was_analysed(run_id=f"{other}/run-7")
    plant.start(**answered)
    facts = plant.facts()
    assert (facts["fixed"], facts["finding"], facts["evidence"]) == (REASON, "asr", "ab" * 32)
    assert facts["accepted"] == "last-run n2: it is InstallationFailed"


# --- a lost reply -------------------------------------------------------------------------------


def lose(plant, *, then):
    """Lose the reply to the start, with what the cluster shows after it."""

    plant.world.fail_on[START] = SessionLostError("start", found="the line broke")
    plant.wakes.append(then)


def test_run_whose_start_was_not_answered_is_learned_from_the_cluster(plant):
    lose(plant, then=lambda: plant.has_run("InProgress", run_id=f"{ID}/run-2"))
    assert plant.start().run_id == f"{ID}/run-2"
    assert plant.starts == 1
    assert plant.facts("done") == {"run_id": f"{ID}/run-2", "learned": "from the cluster"}


@pytest.mark.parametrize("reply", [[], [""]])
def test_start_that_names_no_run_is_never_called_no_start(plant, reply):
    plant.world.start_reply = reply
    with pytest.raises(SessionLostError, match="no new run is seen"):
        plant.start()
    plant.wakes.append(lambda: plant.has_run("InProgress", run_id=f"{ID}/run-2"))
    assert plant.start().run_id == f"{ID}/run-2"
    assert plant.starts == 2


def test_silent_service_is_recognised_in_the_middle_of_long_words(plant):
    words = "Failed: '" + "y" * 300 + " GatewayTimeout " + "z" * 300 + "'"
    plant.world.fail_on[START] = refusal("Start-SolutionUpdate", words)
    with pytest.raises(SessionLostError):
        plant.start()
    assert plant.noted() == [("start", "intent"), ("start", "lost")]


def test_password_that_expires_meanwhile_does_not_hide_that_the_start_may_have_begun(plant):
    def expire():
        plant.world.fail_on[ALL_RUNS] = AuthenticationError("sign in", found="password expired")

    lose(plant, then=expire)
    with pytest.raises(AuthenticationError) as refused:
        plant.start()
    assert f"`ferry run show {VERSION}`" in refused.value.hint
    assert plant.noted() == [("start", "intent"), ("start", "lost")]


def test_start_that_is_stopped_by_hand_says_that_it_may_have_begun(plant):
    plant.world.fail_on[START] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt) as stopped:
        plant.start()
    (told,) = stopped.value.__notes__
    assert f"`ferry run show {VERSION}`" in told
    assert plant.noted() == [("start", "intent")]


def test_start_that_is_stopped_while_it_is_looked_for_says_that_it_may_have_begun(plant):
    def stop():
        raise KeyboardInterrupt

    lose(plant, then=stop)
    with pytest.raises(KeyboardInterrupt) as stopped:
        plant.start()
    (told,) = stopped.value.__notes__
    assert f"`ferry run show {VERSION}`" in told
    assert plant.noted() == [("start", "intent")]


def test_start_that_the_service_did_not_answer_in_time_is_looked_for(plant):
    plant.world.fail_on[START] = refusal("Start-SolutionUpdate", "RestResponse of GatewayTimeout")
    with pytest.raises(SessionLostError, match="no new run is seen") as unknown:
        plant.start()
    assert "GatewayTimeout" in str(unknown.value)
    assert f"`ferry run show {VERSION}`" in unknown.value.hint
    assert plant.noted() == [("start", "intent"), ("start", "lost")]
    plant.wakes.append(lambda: plant.has_run("InProgress", run_id=f"{ID}/run-2"))
    assert plant.start().run_id == f"{ID}/run-2"
    assert plant.facts("done")["learned"] == "from the cluster"


def test_run_that_goes_on_after_it_had_ended_is_learned_too(plant):
    plant.is_listed_as("InstallationFailed")
    plant.has_run()
    plant.was_analysed()
    lose(plant, then=lambda: plant.has_run("InProgress"))
    assert plant.start(fixed=REASON).run_id == RUN


def test_run_that_was_there_before_is_not_taken_for_the_new_one(plant):
    plant.has_run("Succeeded")
    lose(plant, then=lambda: None)
    with pytest.raises(SessionLostError, match="no new run is seen") as unknown:
        plant.start()
    assert f"`ferry run show {VERSION}`" in unknown.value.hint
    assert plant.starts == 1
    assert plant.noted() == [("start", "intent"), ("start", "lost")]


def test_cluster_that_does_not_answer_at_once_is_asked_again(plant):
    def back():
        if len(plant.slept) == 1:
            plant.world.fail_on[ALL_RUNS] = ConnectError("connect to node n1")
        if len(plant.slept) == 3:
            plant.world.fail_on.pop(ALL_RUNS)
            plant.has_run("InProgress", run_id=f"{ID}/run-2")

    lose(plant, then=back)
    assert plant.start().run_id == f"{ID}/run-2"
    assert len(plant.slept) == 3


def test_refused_password_is_no_lost_reply(plant):
    plant.world.fail_on[START] = AuthenticationError("log on")
    with pytest.raises(AuthenticationError):
        plant.start()
    assert plant.slept == []


# --- the window ---------------------------------------------------------------------------------


def test_beginning_is_awaited_after_it_was_judged(plant):
    begins = NOW + timedelta(minutes=2, seconds=30)
    starting = plant.starting(window=Window(not_before=begins))
    starting.await_window()
    assert plant.slept == [60, 60, 30]
    assert plant.said[0].startswith("allowed; 2 min until 2026-11-26 12:02")
    assert plant.said[-1].startswith("allowed; less than a minute until 2026-11-26 12:02")
    started = starting.run(dry_run=False)
    assert (plant.checks, started.permit.wait_until) == (2, None)
    assert plant.facts()["not_before"] == begins.isoformat()


def test_what_only_prepared_another_update_tells_no_time(plant):
    plant.is_listed_as("ReadyToInstall")
    other = "redmond/Solution12.2603.1002.15"
    plant.has_run("Succeeded", run_id=f"{other}/run-7")  # nine hours, as the wire tells them
    assert "on this cluster" in plant.start(dry_run=True).permit.expected.basis
    plant.journal.append(
        cluster="plant7",
        subject="run 12.2603.1002.15",
        step="prepare",
        outcome="done",
        run_id=f"{other}/run-7",
    )
    assert "published" in plant.start(dry_run=True).permit.expected.basis


def test_nothing_begins_too_early_where_the_clock_was_set_back(plant):
    begins = NOW + timedelta(minutes=1)
    starting = plant.starting(window=Window(not_before=begins))
    starting.await_window()
    plant.now -= timedelta(seconds=20)
    starting.run(dry_run=False)
    assert plant.slept == [60, 20]
    assert plant.now == begins


def test_refusal_comes_before_the_waiting(plant):
    plant.results = (result("node-up", "critical"),)
    with pytest.raises(StateError):
        plant.starting(window=Window(not_before=NOW + timedelta(hours=3))).await_window()
    assert plant.slept == []


def test_without_a_beginning_nothing_is_awaited_or_asked(plant):
    plant.starting(window=Window(must_end_by=NOW + timedelta(hours=30))).await_window()
    assert (plant.slept, plant.checks) == ([], 0)


def test_warning_that_came_while_waiting_was_accepted_by_nobody(plant):
    accepted = frozenset({CheckId("pending-reboot")})
    window = Window(not_before=NOW + timedelta(minutes=1))
    plant.results = (result("pending-reboot", "warning"),)
    wish = plant.starting(window=window, accepted=accepted).await_window()
    elsewhere = replace(result("pending-reboot", "warning", "a key is there"), node="n3")
    plant.results = (*plant.results, elsewhere)
    starting = replace(plant.starting(), wish=wish)
    with pytest.raises(StateError, match="pending-reboot on n3: a key is there"):
        starting.run(dry_run=False)
    assert plant.starts == 0
    plant.results = ()
    starting.run(dry_run=False)
    assert plant.starts == 1


@pytest.mark.parametrize(
    ("changes", "is_new"),
    [
        ({}, False),
        ({"evidence": "another disk is slow"}, True),
        ({"verdict": CheckVerdict.UNKNOWN}, True),
        ({"subject": "C:"}, True),
    ],
)
def test_same_check_that_says_something_new_was_accepted_by_nobody(plant, changes, is_new):
    plant.results = (result("health-checks", "warning", "a disk is slow"),)
    accepted = frozenset({CheckId("health-checks")})
    window = Window(not_before=NOW + timedelta(minutes=1))
    wish = plant.starting(window=window, accepted=accepted).await_window()
    plant.results = (replace(plant.results[0], **changes),)
    starting = replace(plant.starting(), wish=wish)
    if is_new:
        with pytest.raises(StateError, match="nobody has accepted"):
            starting.run(dry_run=False)
    else:
        starting.run(dry_run=False)
    assert plant.starts == (not is_new)


def test_number_that_moves_while_waiting_is_not_a_new_finding(plant):
    narrow = result("infrastructure-space", "warning", "60 GiB free")
    plant.results = (replace(narrow, subject="Infrastructure_1"),)
    accepted = frozenset({narrow.check})
    window = Window(not_before=NOW + timedelta(minutes=1))
    wish = plant.starting(window=window, accepted=accepted).await_window()
    plant.results = (replace(plant.results[0], evidence="59 GiB free"),)
    replace(plant.starting(), wish=wish).run(dry_run=False)
    assert plant.facts()["accepted"].endswith("59 GiB free")


def test_what_changed_while_waiting_refuses(plant):
    starting = plant.starting(window=Window(not_before=NOW + timedelta(minutes=1)))
    starting.await_window()
    plant.results = (result("node-up", "critical"),)
    with pytest.raises(StateError):
        starting.run(dry_run=False)
    assert plant.starts == 0
