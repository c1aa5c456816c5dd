"""How a run is watched: the node that is asked, the pauses between, and what is said of a run."""

from datetime import UTC, datetime, timedelta

import pytest

from toolkit.cluster._running import Sight
from toolkit.cluster._watching import Watch, foresee_rest
from toolkit.errors import (
    AuthenticationError,
    CommandError,
    ConnectError,
    SessionLostError,
    StateError,
)
from toolkit.model import (
    Node,
    ResourceId,
    RunState,
    Step,
    Update,
    UpdateRun,
    UpdateState,
)

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
NODES = ("node1", "node2", "node3")
MINUTE = timedelta(minutes=1)


def step(name, status="InProgress", *steps, start=0, end=None, expected=None, description=""):
    return Step(
        name=name,
        status=status,
        description=description,
        started_at=AT + start * MINUTE,
        ended_at=None if end is None else AT + end * MINUTE,
        expected=None if expected is None else expected * MINUTE,
        steps=steps,
    )


def sight(*steps, state="Installing", minutes=10, run_state=RunState.InProgress):
    root = step("Start update", "InProgress", *steps)
    return Sight(
        update=Update(
            resource_id=ResourceId("redmond/Solution12.2604.1003.5"),
            version="12.2604.1003.5",
            display_name="",
            state=UpdateState(state),
            state_raw=state,
        ),
        run=UpdateRun(
            resource_id=ResourceId("r/1"),
            state=run_state,
            state_raw=run_state.value,
            started_at=AT,
            updated_at=AT + minutes * MINUTE,
            progress=root,
        ),
    )


INSTALLED = sight(state="Installed", run_state=RunState.Succeeded)


# --- where a run is -----------------------------------------------------------------------------


def test_deepest_step_that_goes_on_is_named_with_its_node_and_what_is_expected():
    waits = (
        step("Wait for node node1", "Success", start=0, end=8),
        step("Wait for node NODE2", start=8, expected=40),
        step("Wait for node node3", "NotStarted"),
    )
    outlook = foresee_rest(sight(step("Update Host OS", "InProgress", *waits)), nodes=NODES)
    assert outlook.step_path == ("Start update", "Update Host OS", "Wait for node NODE2")
    assert (outlook.node, outlook.nodes_done) == ("node2", (1, 3))
    assert (outlook.elapsed, outlook.expected) == (2 * MINUTE, 40 * MINUTE)
    assert not outlook.overdue
    assert outlook.advice == ""


def test_nodes_before_tell_how_long_a_step_takes_where_the_cluster_does_not():
    waits = (
        step("Wait for node node1", "Success", start=0, end=3),
        step("Wait for node node2", "Success", start=3, end=5),
        step("Wait for node node3", start=5),
    )
    seen = sight(step("Host", "InProgress", *waits), minutes=12)
    outlook = foresee_rest(seen, nodes=NODES)
    assert outlook.expected == 3 * MINUTE
    assert outlook.overdue
    assert "ferry logs collect" in outlook.advice


def test_step_that_nobody_expects_anything_of_is_not_overdue():
    outlook = foresee_rest(sight(step("Preparing update"), minutes=999), nodes=NODES)
    assert (outlook.expected, outlook.node, outlook.nodes_done) == (None, "", None)
    assert not outlook.overdue


def test_node_is_found_in_a_description_and_not_inside_another_name():
    of = lambda **words: foresee_rest(sight(step(**words)), nodes=NODES).node  # noqa: E731
    assert of(name="Wait", description="SBEPartnerWaitForCauNodeStage node3") == "node3"
    assert of(name="Wait for node10") == ""


def test_slow_failover_of_the_orchestrator_has_a_guide():
    failover = step("Failover ECE Service to new Node")
    assert foresee_rest(sight(failover, minutes=14), nodes=NODES).advice == ""
    assert "ECEAgent-Slowness" in foresee_rest(sight(failover, minutes=16), nodes=NODES).advice


def test_run_that_stands_still_is_advised():
    still = foresee_rest(sight(step("CAU")), nodes=NODES, stood_still=timedelta(hours=1))
    assert still.elapsed == 70 * MINUTE
    assert "do not start it again" in still.advice


def test_run_that_is_over_or_has_no_steps_has_no_outlook():
    assert foresee_rest(INSTALLED, nodes=NODES) is None
    bare = Sight(update=sight().update, run=None)
    assert foresee_rest(bare, nodes=NODES) is None


# --- which node, how often ----------------------------------------------------------------------


class Cluster:
    """Answers what a test has prepared for each look, and remembers who was asked when."""

    def __init__(self, *answers, poll_s=30.0, patience_s=3600.0):
        self.answers, self.now = list(answers), 0.0
        self.asked, self.pauses, self.said = [], [], []
        self.down = set()
        self.watch = Watch(
            look=self._look,
            unreached=lambda lost: ConnectError("reach", found=", ".join(n.name for n, _ in lost)),
            nodes=tuple(Node(name=name, address=name) for name in NODES),
            progress=self,
            sleep=self._sleep,
            clock=lambda: self.now,
            poll_s=poll_s,
            patience_s=patience_s,
        )

    def say(self, text):
        self.said.append(text)

    def advance(self, name, done_bytes, total_bytes):
        raise AssertionError("nothing is copied")

    def _sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    def _look(self, node):
        self.asked.append(node.name)
        if node.name in self.down:
            raise SessionLostError("ask")
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run(self):
        return list(self.watch.run())


def timeout(words="A RestResponse of GatewayTimeout was received"):
    return CommandError("list updates", cmdlet="Get-SolutionUpdate", found=words)


def test_last_node_is_asked_first_and_again():
    cluster = Cluster(sight(), INSTALLED)
    assert [seen.sight.update.state_raw for seen in cluster.run()] == ["Installing", "Installed"]
    assert cluster.asked == ["node3", "node3"]


def test_node_that_went_away_is_left_alone_for_a_while():
    cluster = Cluster(sight())
    looks = cluster.watch.run()
    next(looks)
    cluster.down = {"node3"}
    for _ in range(4):
        next(looks)
    assert cluster.asked == ["node3", "node3", "node2", "node2", "node2", "node2"]
    cluster.down = {"node2"}
    next(looks)
    assert cluster.asked[-2:] == ["node2", "node1"]
    assert [text.split()[0] for text in cluster.said] == ["node3", "node2"]


def test_no_node_answering_ends_it_only_when_patience_does():
    cluster = Cluster(sight(), patience_s=600)
    looks = cluster.watch.run()
    next(looks)
    cluster.down = set(NODES)
    with pytest.raises(ConnectError, match="node1, node2, node3"):
        next(looks)
    assert 600 < cluster.now < 700


def test_refused_password_ends_it_at_once():
    cluster = Cluster(AuthenticationError("log on"))
    with pytest.raises(AuthenticationError):
        cluster.run()
    assert cluster.asked == ["node3"]


def test_run_that_does_not_change_is_asked_half_as_often():
    cluster = Cluster(
        *[sight(minutes=10 + look) for look in range(6)], sight(step("new")), INSTALLED
    )
    cluster.run()
    assert cluster.pauses == [30, 30, 30, 60, 60, 60, 30]


def test_silent_update_service_is_asked_less_often_and_the_advice_is_given_once():
    cluster = Cluster(
        timeout(), timeout(), timeout("ConnectFailure on [https://…]"), sight(), INSTALLED
    )
    assert len(cluster.run()) == 2
    assert cluster.pauses == [60, 120, 240, 120]
    assert len([text for text in cluster.said if "Azure Stack HCI Update Service" in text]) == 1


def test_update_service_that_stays_silent_ends_it_with_the_advice():
    cluster = Cluster(timeout())
    with pytest.raises(CommandError) as caught:
        cluster.run()
    assert (caught.value.exit_code, caught.value.cmdlet) == (5, "Get-SolutionUpdate")
    assert "move" in caught.value.hint
    assert "did not answer 5 times in a row" in str(caught.value)
    assert "GatewayTimeout" in str(caught.value)
    assert cluster.pauses == [60, 120, 240, 300]


def test_other_words_of_a_cmdlet_end_it():
    cluster = Cluster(timeout("You cannot call a method on a null-valued expression"))
    with pytest.raises(CommandError):
        cluster.run()


def no_share():
    return StateError("work with cluster plant7", current="the share is not there")


def test_node_that_is_back_without_its_share_is_waited_for():
    cluster = Cluster(sight(), no_share(), no_share(), INSTALLED)
    assert [seen.sight.update.state_raw for seen in cluster.run()] == ["Installing", "Installed"]
    assert cluster.asked == ["node3", "node3", "node2", "node1"]
    assert ["the share is not there" in text for text in cluster.said] == [True]


def test_share_that_does_not_come_back_ends_it_when_patience_does():
    cluster = Cluster(sight(), no_share(), patience_s=600)
    with pytest.raises(StateError):
        cluster.run()
    assert 600 < cluster.now < 700


def test_update_that_was_never_seen_ends_it_at_once():
    cluster = Cluster(no_share())
    with pytest.raises(StateError):
        cluster.run()
    assert cluster.pauses == []


def test_time_that_stands_still_is_measured_by_our_own_clock():
    cluster = Cluster(*[sight(step("CAU"))] * 5, INSTALLED)
    seen = cluster.run()
    still = [look.outlook.stood_still.total_seconds() for look in seen if look.outlook]
    assert still == [0, 30, 60, 90, 150]
