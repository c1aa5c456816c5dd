"""What an update needs besides its payload: each check speaks in one case and is silent in a near one."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from toolkit.catalog import load_manifests
from toolkit.cluster._checks import Answers, CheckVerdict, judge_all
from toolkit.cluster._checks._answers import (
    CarriedZip,
    ClusterAnswers,
    MediumFacts,
    NodeAnswers,
)
from toolkit.cluster._checks._check import Told
from toolkit.cluster._checks._drift import ClusterSettingsAnswers, SettingsAnswers
from toolkit.cluster._checks._endpoints import GROUPS, in_turn
from toolkit.cluster._checks._payload import (
    CHECKS,
    ClusterPayloadAnswers,
    PayloadAnswers,
    ReachAnswers,
)
from toolkit.cluster._checks._readiness import ClusterReadyAnswers, ReadyAnswers
from toolkit.cluster._cmdlets.payload import MachineVariables, Registration
from toolkit.cluster._surveying import ENDPOINTS as ENDPOINTS_OF_A_REQUEST
from toolkit.cluster._timekeeping import NodeTime, judge_time
from toolkit.model import (
    KnownCluster,
    ResourceId,
    SolutionVersion,
    Update,
    UpdateEnvironment,
    UpdateState,
)
from toolkit.request import DiscoverySource

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
MANIFESTS = load_manifests()
NODES = ("node1", "node2")
WANTED = "12.2604.1003.9"
IDS = [check.id for check in CHECKS]
ENDPOINTS = [check_id for check_id in IDS if check_id.startswith("endpoints-")]
ALDO = [check_id for check_id in IDS if check_id.startswith("aldo-")]
PASS, WARNING, CRITICAL, UNKNOWN = (
    CheckVerdict.PASS,
    CheckVerdict.WARNING,
    CheckVerdict.CRITICAL,
    CheckVerdict.UNKNOWN,
)


def variables(disconnected="", revocation="", proxy=""):
    return MachineVariables(
        disconnected_operations=disconnected, revocation_mode=revocation, proxy=proxy
    )


def node(name, told=None, lines=(), why=""):
    answers = PayloadAnswers(
        variables=Told(why=why) if why else Told(value=told or variables()),
        excluded_tests=Told(value=tuple(lines)),
    )
    return NodeAnswers(name=name, ready=ReadyAnswers(), settings=SettingsAnswers(), payload=answers)


def reach(missed=(), untold=(), proxy=""):
    def told(host):
        if host in untold:
            return Told(why="the proxy wants a logon (407)")
        return Told(value=host not in missed)

    rows = tuple((endpoint, told(endpoint.host)) for endpoint in in_turn())
    return Told(value=ReachAnswers(node="node2", proxy=proxy, reached=rows))


def source(component, address, status="Ok"):
    return DiscoverySource(component=component, manifest_source=address, status=status)


CONNECTED = ClusterPayloadAnswers(
    discovery=Told(value=(source("SBE", "https://aka.ms/AzureStackSBEUpdate/Contoso"),)),
    registration=Told(value=Registration(connection="Connected", registration="Registered")),
    orchestrator=Told(value="node2"),
    endpoints=reach(),
)
ON_APPLIANCE = replace(
    CONNECTED,
    discovery=Told(
        value=(
            source("SBE", "https://edgeartifacts.blob.plant7.lan/x/SBE_Discovery_Contoso.xml"),
            source("Solution", "https://fakehost", ""),
        )
    ),
)
LINES = ("Test-Other", " test-arbstackbandwidth ")


def answers(
    cluster=CONNECTED,
    nodes=None,
    *,
    installed="12.2602.1002.501",
    updates=(),
    version=None,
    medium=None,
):
    environment = UpdateEnvironment(
        current_version=installed, current_sbe_version="", state="", health_state=""
    )
    return Answers(
        known=KnownCluster(name="plant7", nodes=()),
        at=AT,
        nodes=tuple(nodes or (node(name) for name in NODES)),
        cluster=ClusterAnswers(
            ready=ClusterReadyAnswers(
                environment=Told(value=environment), updates=Told(value=updates)
            ),
            settings=ClusterSettingsAnswers(),
            payload=cluster,
        ),
        time=judge_time(AT, [NodeTime(node=name, at=AT) for name in NODES], floor=AT),
        medium=medium,
        version=version and SolutionVersion.parse(version),
        baseline=None,
        manifests=MANIFESTS,
    )


def aldo(cluster=ON_APPLIANCE, *, told=None, lines=LINES, installed="12.2603.1002.15", **more):
    nodes = [node(name, told or variables("True", "Offline"), lines) for name in NODES]
    return answers(cluster, nodes, installed=installed, **more)


def verdicts(told, check_id):
    readiness = judge_all(told, CHECKS)
    found = {(row.node, row.verdict) for row in readiness.results if row.check == check_id}
    return found or next(why for check, why in readiness.not_asked if check == check_id)


def evidence(told, check_id):
    readiness = judge_all(told, CHECKS)
    return " | ".join(row.evidence for row in readiness.results if row.check == check_id)


# --- silent -------------------------------------------------------------------------------------


@pytest.mark.parametrize("check_id", [check_id for check_id in IDS if check_id not in ALDO])
def test_connected_cluster_that_reaches_everything_passes(check_id):
    assert verdicts(answers(), check_id) == {("", PASS)}


@pytest.mark.parametrize("check_id", ALDO)
def test_connected_cluster_is_not_asked_about_disconnected_operations(check_id):
    told = answers(version=WANTED)
    assert "not one of disconnected operations" in verdicts(told, check_id)


@pytest.mark.parametrize("check_id", [*ENDPOINTS, "registration", "discovery-manifests"])
def test_disconnected_operations_are_not_asked_about_azure(check_id):
    assert "appliance takes the place" in verdicts(aldo(), check_id)


@pytest.mark.parametrize("check_id", [name for name in ALDO if name != "aldo-control-plane"])
def test_disconnected_operations_well_set_up_pass(check_id):
    told = verdicts(aldo(version="12.2606.1003.1"), check_id)
    assert {verdict for _, verdict in told} == {PASS}


def test_nothing_is_judged_of_a_kind_that_no_node_told():
    silent = answers(nodes=[node(name, why="gone") for name in NODES])
    assert verdicts(silent, "disconnected-operations") == {(name, UNKNOWN) for name in NODES}
    assert "no node told" in verdicts(silent, "aldo-update-uri")


# --- endpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_an_address_that_is_not_reached_is_a_warning_that_says_what_stops(group):
    missed = group.endpoints[-1]
    told = answers(replace(CONNECTED, endpoints=reach(missed=[missed.host])))
    assert verdicts(told, group.name) == {("", WARNING)}
    words = evidence(told, group.name)
    assert f"asked from node2; not reached: {missed}; without them {group.stops}" in words
    assert all(name in words for name in group.untestable)


def test_what_a_proxy_does_not_let_out_is_unknown():
    host = "mcr.microsoft.com"
    told = answers(replace(CONNECTED, endpoints=reach(untold=[host], proxy="proxy.lan:8080")))
    assert verdicts(told, "endpoints-aks") == {("", UNKNOWN)}
    words = evidence(told, "endpoints-aks")
    assert "through proxy proxy.lan:8080" in words
    assert "mcr.microsoft.com:443 (the proxy wants a logon (407))" in words


def medium(version=WANTED):
    carried = CarriedZip(version=SolutionVersion.parse(version), name="x.zip", size_bytes=1)
    return MediumFacts(set_name="set", expires_at=AT, zips=(carried,), sbes=())


def imported(kind):
    return Update(
        resource_id=ResourceId(f"redmond/Solution{WANTED}"),
        version=WANTED,
        display_name="",
        state=UpdateState.Ready,
        state_raw="Ready",
        availability_type=kind,
    )


@pytest.mark.parametrize("check_id", ["endpoints-download", "endpoints-microsoft-update"])
def test_what_a_medium_brings_need_not_be_reached(check_id):
    missed = [endpoint.host for group in GROUPS for endpoint in group.endpoints]
    island = replace(CONNECTED, endpoints=reach(missed=missed))
    local, online = (imported("Local"),), (imported("Online"),)
    assert verdicts(answers(island, version=WANTED), check_id) == {("", WARNING)}
    assert verdicts(answers(island, updates=online, version=WANTED), check_id) == {("", WARNING)}
    assert verdicts(answers(island, updates=local, version=WANTED), check_id) == {("", PASS)}
    carried = answers(island, version=WANTED, medium=medium())
    assert verdicts(carried, check_id) == {("", PASS)}
    assert "does not need them" in evidence(carried, check_id)
    other = answers(island, version=WANTED, medium=medium("12.2603.1002.15"))
    assert verdicts(other, check_id) == {("", WARNING)}


def test_every_address_of_the_list_is_asked_once_and_the_first_of_each_group_first():
    asked = [str(endpoint) for endpoint in in_turn()]
    assert len(asked) == len(set(asked)) == sum(len(group.endpoints) for group in GROUPS) == 41
    assert asked[: len(GROUPS)] == [str(group.endpoints[0]) for group in GROUPS]
    assert {f"{host}:{port}" for _, host, port in ENDPOINTS_OF_A_REQUEST} < set(asked)
    assert not any(letter in host for host in asked for letter in "*<")
    assert all("*" in name or "<" in name or "UDP" in name for g in GROUPS for name in g.untestable)


# --- Azure and discovery ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connection", "verdict"), [("Connected", PASS), ("Disconnected", CRITICAL), ("", UNKNOWN)]
)
def test_registration(connection, verdict):
    told = Told(value=Registration(connection=connection, registration="Registered"))
    assert verdicts(answers(replace(CONNECTED, registration=told)), "registration") == {
        ("", verdict)
    }


@pytest.mark.parametrize(
    ("status", "verdict"),
    [("Ok", PASS), ("ConnectionFailure", WARNING), ("", UNKNOWN), ("Odd", UNKNOWN)],
)
def test_discovery(status, verdict):
    told = Told(value=(source("SBE", "https://aka.ms/x", status),))
    cluster = replace(CONNECTED, discovery=told)
    assert verdicts(answers(cluster), "discovery-manifests") == {("", verdict)}


def test_discovery_without_an_sbe_source_is_unknown():
    cluster = replace(CONNECTED, discovery=Told(value=()))
    assert verdicts(answers(cluster), "discovery-manifests") == {("", UNKNOWN)}


def test_answer_that_is_missing_is_unknown_in_the_clusters_words():
    cluster = replace(CONNECTED, registration=Told(why="no such cmdlet"))
    assert verdicts(answers(cluster), "registration") == {("", UNKNOWN)}
    assert evidence(answers(cluster), "registration") == "no such cmdlet"


# --- disconnected operations --------------------------------------------------------------------


def test_nodes_that_differ_are_critical():
    nodes = [node("node1", variables("True")), node("node2")]
    told = answers(nodes=nodes)
    assert verdicts(told, "disconnected-operations") == {("", CRITICAL)}
    assert evidence(told, "disconnected-operations") == "node1 True, node2 not set"


@pytest.mark.parametrize(
    ("word", "verdict"), [("Enabled", UNKNOWN), ("1", UNKNOWN), ("false", PASS)]
)
def test_word_that_is_neither_yes_nor_no_is_unknown(word, verdict):
    told = answers(nodes=[node(name, variables(word)) for name in NODES])
    assert verdicts(told, "disconnected-operations") == {("", verdict)}


def test_control_plane_is_always_a_warning():
    assert verdicts(aldo(), "aldo-control-plane") == {("", WARNING)}


def test_revocation_mode_of_each_node_counts():
    nodes = [node("node1", variables("True", "offline")), node("node2", variables("True"))]
    told = verdicts(answers(ON_APPLIANCE, nodes), "aldo-revocation-offline")
    assert told == {("node1", PASS), ("node2", CRITICAL)}


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ((source("SBE", "https://aka.ms/AzureStackSBEUpdate/Contoso"),), CRITICAL),
        ((source("SBE", "https://edgeartifacts.blob.x.lan/y", "ConnectionFailure"),), CRITICAL),
        ((source("SBE", "https://edgeartifacts.blob.x.lan/y", ""),), UNKNOWN),
        ((source("SBE", "http://[nonsense"),), CRITICAL),
        ((), UNKNOWN),
    ],
)
def test_manifest_on_the_appliance(rows, verdict):
    cluster = replace(ON_APPLIANCE, discovery=Told(value=rows))
    assert verdicts(aldo(cluster), "aldo-manifest-hosted") == {("", verdict)}


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [((source("Solution", "https://aka.ms/AzureEdgeUpdates"),), WARNING), ((), UNKNOWN)],
)
def test_solution_manifest_that_is_asked_for_online(rows, verdict):
    cluster = replace(ON_APPLIANCE, discovery=Told(value=rows))
    assert verdicts(aldo(cluster), "aldo-update-uri") == {("", verdict)}


def test_excluded_test_is_looked_for_where_the_orchestrator_runs():
    told = aldo(lines=("Test-Other",))
    assert verdicts(told, "aldo-excluded-tests") == {("node2", CRITICAL)}
    assert "node2 runs the orchestrator" in evidence(told, "aldo-excluded-tests")


def test_excluded_test_is_needed_by_2603_alone():
    older = {"installed": "12.2602.1002.501", "lines": ()}
    assert verdicts(aldo(**older), "aldo-excluded-tests") == {("", PASS)}
    wanted = aldo(**older, version="12.2603.1002.15")
    assert verdicts(wanted, "aldo-excluded-tests") == {("node2", CRITICAL)}
    assert verdicts(aldo(installed="odd"), "aldo-excluded-tests") == {("", UNKNOWN)}


def test_excluded_test_of_an_unknown_owner_is_unknown():
    stranger = replace(ON_APPLIANCE, orchestrator=Told(value="node9"))
    assert verdicts(aldo(stranger), "aldo-excluded-tests") == {("", UNKNOWN)}
    silent = replace(ON_APPLIANCE, orchestrator=Told(why="no such group"))
    assert verdicts(aldo(silent), "aldo-excluded-tests") == {("", UNKNOWN)}


@pytest.mark.parametrize(
    ("version", "verdict"), [("12.2604.1003.9", WARNING), ("12.2605.1003.1", WARNING)]
)
def test_moc_script(version, verdict):
    assert verdicts(aldo(version=version), "aldo-moc-script") == {("", verdict)}


def test_moc_script_needs_a_version():
    assert "version of an update" in verdicts(aldo(), "aldo-moc-script")
