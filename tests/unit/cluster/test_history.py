import json
from datetime import timedelta

import pytest

from tests.unit.cluster.fakes import VERSION, Session, World
from toolkit.cluster import Cluster
from toolkit.model import KnownCluster, Node
from toolkit.site import REMOVED_STEP, Journal

ID = f"redmond/Solution{VERSION}"
SBE = "redmond/SBE4.2.2603.1"
TREE = {
    "Name": "Start update",
    "Status": "Error",
    "Steps": [{"Name": "Update Host OS", "Status": "Error", "ErrorMessage": "blocked"}],
}


@pytest.fixture
def world():
    def row(run_id, state, hour, ends="16:30"):
        return {
            "ResourceId": run_id,
            "State": state,
            "TimeStarted": f"2026-11-26T{hour:02}:00:00Z",
            "LastUpdatedTime": f"2026-11-26T{ends}:00Z",
        }

    return World(
        run_states=[
            row(f"{SBE}/1", "Succeeded", 8),
            row(f"{ID}/3", "InProgress", 20),
            row(f"{ID}/2", "Failed", 14),
        ],
        runs=json.dumps([{"ResourceId": f"{ID}/2", "State": 3, "Progress": TREE}]),
    )


@pytest.fixture
def journal(tmp_path):
    kept = Journal(tmp_path / "journal.jsonl")

    def note(step, outcome, **facts):
        kept.append(cluster="plant7", subject=f"run {VERSION}", step=step, outcome=outcome, **facts)

    note("prepare", "intent")
    note("prepare", "refused")
    note("start", "intent")
    note("start", "done", run_id=f"{ID}/2")
    note("evidence", "done", run_id=f"{ID}/2")
    note("start", "intent", fixed="set the ASR rule to audit")
    note("start", "done", run_id=f"{ID}/3")
    return kept


def past(world, journal, limit=50):
    known = KnownCluster(name="plant7", nodes=(Node(name="n1", address="n1"),))
    cluster = Cluster(known, connect=lambda _: Session(world), journal=journal)
    return cluster.history(limit=limit)


def test_runs_of_all_updates_come_newest_first(world, journal):
    told = past(world, journal)
    assert [run.run_id for run in told] == [f"{ID}/3", f"{ID}/2", f"{SBE}/1"]
    assert [run.update for run in told] == [f"Solution{VERSION}"] * 2 + ["SBE4.2.2603.1"]
    assert [run.run_id for run in past(world, journal, limit=1)] == [f"{ID}/3"]


def test_failed_run_names_its_step_and_no_other_does(world, journal):
    assert [run.failed_step for run in past(world, journal)] == ["", "Update Host OS", ""]


def test_what_this_site_started_is_known_by_its_journal(world, journal):
    told = past(world, journal)
    assert [run.kind for run in told] == ["installation", "installation", ""]
    assert told[0].fixed == "set the ASR rule to audit"
    assert told[1].fixed == ""


def test_times_that_cannot_be_compared_give_no_duration(world, journal):
    told = past(world, journal)
    assert told[1].duration == timedelta(hours=2, minutes=30)
    assert told[0].duration is None


def test_trees_are_asked_for_only_where_a_run_failed(world, journal):
    world.run_states = world.run_states[:2]
    past(world, journal)
    assert not any("ConvertTo-Json" in name for name in world.sent)


def test_run_whose_start_got_no_answer_may_have_been_started_here(world, journal):
    def note(step, outcome, **facts):
        journal.append(
            cluster="plant7", subject=f"run {VERSION}", step=step, outcome=outcome, **facts
        )

    begun = {"State": "InProgress", "TimeStarted": "2026-11-27T08:00:00Z"}
    note("start", "intent", fixed="replaced the disk of node2", last_run=f"{ID}/3")
    assert [run.kind for run in past(world, journal)] == ["installation", "installation", ""]

    world.run_states.append(begun | {"ResourceId": f"{ID}/4"})  # and ferry was killed
    first, *others = past(world, journal)
    assert (first.kind, first.fixed) == ("installation", "replaced the disk of node2")
    assert [run.is_assumed for run in (first, *others)] == [True, False, False, False]

    note("prepare", "intent", last_run=f"{ID}/4")
    note("prepare", "lost")
    assert past(world, journal)[0].kind == "installation"
    world.run_states.append(
        begun | {"ResourceId": f"{ID}/5", "TimeStarted": "2026-11-27T09:00:00Z"}
    )
    assert [run.kind for run in past(world, journal)][:2] == ["preparation", "installation"]


def test_start_that_never_arrived_takes_no_run_of_a_later_one(world, journal):
    def note(outcome, **facts):
        journal.append(
            cluster="plant7", subject="run SBE4.2.2603.1", step="start", outcome=outcome, **facts
        )

    note("intent", fixed="replaced the disk of node2", last_run="none")
    note("intent", fixed="replaced the fan of node2", last_run="none")
    note("done", run_id=f"{SBE}/1")
    last = past(world, journal)[-1]
    assert (last.fixed, last.is_assumed) == ("replaced the fan of node2", False)


@pytest.fixture
def begun(world, journal):
    """Note a start of the SBE without an answer, or let the cluster have a run of it."""

    class Begun:
        def intent(self, fixed, **facts):
            journal.append(
                cluster="plant7",
                subject="run SBE4.2.2603.1",
                step="start",
                outcome="intent",
                fixed=fixed,
                **facts,
            )

        def run(self, number, at):
            row = {"ResourceId": f"{SBE}/{number}", "State": "Failed", "TimeStarted": at}
            world.run_states.append(row)

        def assumed(self):
            told = past(world, journal)
            return {run.run_id[len(SBE) + 1 :]: run.fixed for run in told if run.is_assumed}

    return Begun()


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"last_run": "none"}, {"1": "new disk"}),
        ({}, {}),  # an earlier version did not write it
        ({"last_run": f"{SBE}/0"}, {}),  # the cluster has forgotten it
        ({"last_run": f"{SBE}/1"}, {}),
    ],
)
def test_run_of_unknown_age_was_not_started_here(begun, facts, told):
    begun.intent("new disk", **facts)
    assert begun.assumed() == told


def test_run_that_tells_no_beginning_is_placed_nowhere(begun):
    begun.run(2, None)
    begun.intent("new disk", last_run=f"{SBE}/2")
    assert begun.assumed() == {}


def test_of_several_starts_without_an_answer_the_older_has_the_older_run(begun):
    begun.intent("new disk", last_run=f"{SBE}/1")
    begun.intent("new fan", last_run=f"{SBE}/1")
    begun.run(2, "2026-11-26T18:00:00Z")
    assert begun.assumed() == {"2": "new fan"}  # which found no run of the older one
    begun.run(3, "2026-11-26T19:00:00Z")
    assert begun.assumed() == {"2": "new disk", "3": "new fan"}


def test_start_on_an_earlier_cluster_of_that_name_has_no_run_of_this_one(world, journal, begun):
    begun.intent("new disk", last_run="none")
    assert begun.assumed() == {"1": "new disk"}
    journal.append(cluster="plant7", subject="site", step=REMOVED_STEP, outcome="done")
    assert begun.assumed() == {}
    assert {run.kind for run in past(world, journal)} == {""}
