import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from tests.unit.cluster.fakes import BUNDLE, VERSION, Medium, Unreachable, refusal
from toolkit.catalog import load_manifests
from toolkit.cluster import Cluster
from toolkit.cluster._checking import Checking
from toolkit.errors import (
    AuthenticationError,
    ConnectError,
    InputError,
    SessionLostError,
    StateError,
)
from toolkit.model import KnownCluster, Node, PayloadKind, Silent, SolutionVersion
from toolkit.site import Journal

FLOOR = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
MANIFESTS = load_manifests()
NODES = ("n1", "n2", "n3")


class Asked:
    """A node that answers by cmdlet, and remembers what it was asked."""

    def __init__(self, name, log, replies=None):
        self.name, self.log = name, log
        self.replies = {
            "Get-Cluster": [{"Name": "plant7"}],
            "Get-Date": ["2026-11-26T12:00:00+00:00"],
            "Get-ClusterNode": [{"Name": "n1", "State": "Up"}],
            **(replies or {}),
        }

    def __enter__(self):
        return self

    def __exit__(self, *stop):
        return None

    def invoke(self, command):
        first = command.pipeline[0].name
        self.log.append((self.name, first, threading.get_ident()))
        reply = self.replies.get(first, refusal(first, "no such cmdlet"))
        if isinstance(reply, list):
            return command.parse(tuple(reply))
        raise reply


class Refusing(Unreachable):
    def invoke(self, command):
        raise AuthenticationError("log on to node", found="access denied")


@pytest.fixture
def log():
    return []


def check(sessions):
    checking = Checking(
        known=KnownCluster(
            name="plant7", nodes=tuple(Node(name=name, address=name) for name in sessions)
        ),
        open=lambda node: sessions[node.name],
        progress=Silent(),
        clock=lambda: 0.0,
        now=lambda: NOW,
    )
    return checking, checking.run(floor=FLOOR, manifests=MANIFESTS)


def asked(log, cmdlet):
    return [node for node, name, _ in log if name == cmdlet]


def test_all_nodes_are_asked_and_the_first_about_the_cluster(log):
    _, answers = check({name: Asked(name, log) for name in NODES})
    assert [node.name for node in answers.nodes] == list(NODES)
    assert {node.ready.cluster.value for node in answers.nodes} == {"plant7"}
    assert asked(log, "Get-ClusterNode") == ["n1"]
    assert {told.at for told in answers.time.nodes} == {NOW}


def test_one_node_alone_until_it_has_accepted_the_password(log):
    check({name: Asked(name, log) for name in NODES})
    assert log[0][:2] == ("n1", "Get-Cluster")
    threads = {node: thread for node, _, thread in log}
    assert threads["n1"] not in (threads["n2"], threads["n3"])


def test_refused_password_is_offered_once(log):
    with pytest.raises(AuthenticationError):
        check({"n1": Refusing(), "n2": Asked("n2", log)})
    assert log == []


def test_node_that_alone_refuses_the_password_leaves_the_others_judged(log):
    checking, answers = check({"n1": Asked("n1", log), "n2": Refusing(), "n3": Asked("n3", log)})
    assert [bool(node.why_not) for node in answers.nodes] == [False, True, False]
    assert [node.name for node, _ in checking.lost] == ["n2"]


def test_node_that_is_not_reached_is_passed_over(log):
    checking, answers = check({"n1": Unreachable(), "n2": Asked("n2", log)})
    assert "connection refused" in answers.nodes[0].why_not
    assert "connection refused" in answers.nodes[0].ready.cluster.why
    assert [(node.name, node.state) for node in answers.cluster.ready.nodes.value] == [("n1", "Up")]
    assert [node.name for node, _ in checking.lost] == ["n1"]


def test_node_that_went_away_is_asked_nothing_more(log):
    gone = ConnectError("connect to node n1", found="connection refused")
    _, answers = check({"n1": Asked("n1", log, {"Get-Date": gone}), "n2": Asked("n2", log)})
    assert asked(log, "Get-ClusterNode") == ["n2"]
    assert answers.nodes[0].why_not == ""
    assert answers.time.nodes[0].problem == str(gone)


def test_question_about_the_cluster_that_got_lost_is_put_to_the_next_node(log):
    lost = SessionLostError("run Get-ClusterNode", found="no answer")
    _, answers = check({"n1": Asked("n1", log, {"Get-ClusterNode": lost}), "n2": Asked("n2", log)})
    assert asked(log, "Get-ClusterNode") == ["n1", "n2"]
    assert answers.cluster.ready.nodes.why == ""


def test_question_that_two_further_nodes_lose_is_given_up(log):
    lost = SessionLostError("run Get-ClusterNode", found="no answer")
    names = ("n1", "n2", "n3", "n4")
    _, answers = check({name: Asked(name, log, {"Get-ClusterNode": lost}) for name in names})
    assert asked(log, "Get-ClusterNode") == ["n1", "n2", "n3"]
    assert "no answer" in answers.cluster.ready.nodes.why


def test_refusal_of_a_cmdlet_is_kept_in_its_words_and_not_asked_again(log):
    words = refusal("Get-ClusterNode", "access denied")
    _, answers = check({"n1": Asked("n1", log, {"Get-ClusterNode": words}), "n2": Asked("n2", log)})
    assert asked(log, "Get-ClusterNode") == ["n1"]
    assert "access denied" in answers.cluster.ready.nodes.why


def test_node_is_sent_few_pipelines(log):
    check({"n1": Asked("n1", log), "n2": Asked("n2", log)})
    assert len([name for node, name, _ in log if node == "n2"]) <= 22


def test_stopped_by_hand_it_waits_for_one_answer_of_a_node_and_no_more(log):
    stopped = threading.Event()

    class Stopped(Asked):
        def invoke(self, command):
            if command.pipeline[0].name == "Get-ClusterNode":
                stopped.set()
                raise KeyboardInterrupt
            return super().invoke(command)

    class Waiting(Asked):
        def invoke(self, command):
            stopped.wait(10)
            time.sleep(0.2)
            return super().invoke(command)

    with pytest.raises(KeyboardInterrupt):
        check({"n1": Stopped("n1", log), "n2": Waiting("n2", log)})
    assert len([name for node, name, _ in log if node == "n2"]) == 1


@pytest.fixture
def cluster_of(tmp_path):
    def make(sessions):
        nodes = tuple(Node(name=name, address=name) for name in sessions)
        return Cluster(
            KnownCluster(name="plant7", nodes=nodes),
            connect=lambda node: sessions[node.name],
            journal=Journal(tmp_path / "journal.jsonl"),
        )

    return make


def test_cluster_that_is_no_azure_local_is_named(log, cluster_of):
    sessions = {"n1": Asked("n1", log, {"Test-Path": [False] * 3})}
    with pytest.raises(StateError, match="infrastructure share"):
        cluster_of(sessions).check(None, None, floor=FLOOR, manifests=MANIFESTS)


def test_no_node_that_answers_is_an_error_and_no_verdict(cluster_of):
    sessions = {"n1": Unreachable(), "n2": Unreachable()}
    with pytest.raises(ConnectError, match="n1: connection refused; n2: connection refused"):
        cluster_of(sessions).check(None, None, floor=FLOOR, manifests=MANIFESTS)


def test_what_is_wrong_with_every_node_is_what_the_advice_is_about(cluster_of):
    class Untrusted(Unreachable):
        def invoke(self, command):
            raise ConnectError("connect", found="a strange CA", hint="give the CA's certificate")

    with pytest.raises(ConnectError) as caught:
        cluster_of({"n1": Untrusted(), "n2": Untrusted()}).check(
            None, None, floor=FLOOR, manifests=MANIFESTS
        )
    assert caught.value.hint == "give the CA's certificate"
    with pytest.raises(ConnectError) as caught:
        cluster_of({"n1": Untrusted(), "n2": Unreachable()}).check(
            None, None, floor=FLOOR, manifests=MANIFESTS
        )
    assert "check cable" in caught.value.hint


def test_only_update_on_a_medium_is_the_wanted_one(log, cluster_of):
    readiness = cluster_of({"n1": Asked("n1", log)}).check(
        lambda judged: LabelledMedium(), None, floor=FLOOR, manifests=MANIFESTS, now=lambda: NOW
    )
    assert (readiness.version, readiness.set_name) == (VERSION, "set")


def test_version_that_the_medium_does_not_carry_is_refused_and_the_carried_are_named(
    log, cluster_of
):
    cluster = cluster_of({"n1": Asked("n1", log)})
    other = SolutionVersion.parse("12.2605.1001.1")
    for ask in (
        lambda: cluster.check(
            lambda judged: LabelledMedium(),
            other,
            floor=FLOOR,
            manifests=MANIFESTS,
            now=lambda: NOW,
        ),
        lambda: cluster.require_importing(LabelledMedium(), other, lowest=VERSION),
    ):
        with pytest.raises(InputError, match=f"the medium carries {VERSION}"):
            ask()


class LabelledMedium(Medium):
    """One that carries a solution bundle."""

    def __init__(self):
        super().__init__({"bundle.zip": (PayloadKind.SOLUTION_BUNDLE, BUNDLE)})

    def describe(self):
        return SimpleNamespace(set_name="set", expires_at=NOW)
