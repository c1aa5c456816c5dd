"""Answers of a cluster on which nothing is to be found, and how to change one of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import PureWindowsPath

from toolkit.catalog import load_manifests
from toolkit.cluster._checks import Answers
from toolkit.cluster._checks._answers import CarriedZip, ClusterAnswers, MediumFacts, NodeAnswers
from toolkit.cluster._checks._check import Told
from toolkit.cluster._checks._drift import ClusterSettingsAnswers, SettingsAnswers
from toolkit.cluster._checks._ready_answers import (
    DELEGATION,
    FILE_SYSTEM,
    FRESH,
    FRESH_NTLM,
    WSMAN_CLIENT,
    WSMAN_SERVICE,
    ClusterReadyAnswers,
    HealthResults,
    ReadyAnswers,
)
from toolkit.cluster._checks._services import ORCHESTRATOR, UPDATE_SERVICE
from toolkit.cluster._cmdlets import Volumes
from toolkit.cluster._cmdlets.ready import (
    CauState,
    GroupState,
    NodeState,
    StorageState,
    WsmanSettings,
)
from toolkit.cluster._timekeeping import NodeTime, judge_time
from toolkit.model import HealthCheck, KnownCluster, Node, SolutionVersion, UpdateEnvironment
from toolkit.request import VolumeSpace
from toolkit.sbe import Hardware

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
FLOOR = datetime(2026, 11, 1, tzinfo=UTC)
INSTALLED, WANTED = "12.2602.1002.501", SolutionVersion.parse("12.2603.1002.15")
MANIFESTS = load_manifests()
NAMES = ("node1", "node2")
GB = 1 << 30
REGISTRY = {
    (FILE_SYSTEM, "LongPathsEnabled"): 1,
    (WSMAN_SERVICE, "auth_credssp"): 1,
    (WSMAN_CLIENT, "auth_credssp"): 1,
    (DELEGATION, "ConcatenateDefaults_AllowFresh"): 1,
    (DELEGATION, "ConcatenateDefaults_AllowFreshNTLMOnly"): 1,
    (FRESH, "1"): "WSMAN/*",
    (FRESH_NTLM, "1"): "WSMAN/*",
}
ENVIRONMENT = UpdateEnvironment(
    current_version=INSTALLED,
    current_sbe_version="4.2.2512.1616",
    state="UpdateAvailable",
    health_state="Success",
    sbe_family="GenA",
    package_versions=(("Solution", INSTALLED),),
    health_checks=(HealthCheck(name="Disks", status="SUCCESS", severity="CRITICAL"),),
)


def space(volume, *, node="", free=100 * GB):
    return Volumes(
        spaces=(VolumeSpace(node=node, volume=volume, free_bytes=free, size_bytes=400 * GB),),
        untold=(),
    )


def groups(**states):
    named = {UPDATE_SERVICE: "Online", ORCHESTRATOR: "Online", "x-control-plane-1": "Online"}
    named |= {name.replace("_", " "): state for name, state in states.items()}
    return tuple(GroupState(name=name, state=state, owner="node1") for name, state in named.items())


def disk(health="Healthy", **facts):
    return (StorageState(name="one", health=health, operational="OK", is_read_only=False, **facts),)


def node_state(name, state="Up", drain="NotInitiated", information="Normal"):
    return NodeState(name=name, state=state, drain_status=drain, status_information=information)


def results(*checks, written_at=AT):
    path = PureWindowsPath(r"C:\x\HealthCheckResult.EnvironmentChecker.1.json")
    found = checks or (HealthCheck(name="Disks", status="SUCCESS", severity="Critical"),)
    return (HealthResults(path=path, written_at=written_at, checks=found),)


def told(**values):
    return {name: Told(value=value) for name, value in values.items()}


def judged(*times, clock=AT):
    nodes = [NodeTime(node=name, at=at) for name, at in zip(NAMES, times, strict=False)]
    return judge_time(clock, nodes, floor=FLOOR)


def well() -> Answers:
    """A cluster that every check lets pass, with a medium for its next update."""
    ready = ReadyAnswers(
        **told(
            cluster="cluster1",
            registry=REGISTRY,
            reboot_keys=(False, False),
            wsman=WsmanSettings(envelope_kb=500, trusted_hosts="node1, 10.0.0.1,NODE2,10.0.0.2"),
            sids=frozenset({"S-1-5-32-544", "S-1-5-21-1-2-3-513"}),
            language_mode="FullLanguage",
            volumes=space("C:"),
            hardware=Hardware(manufacturer="Contoso", model="C680", sku="1"),
        )
    )
    cluster = ClusterReadyAnswers(
        **told(
            nodes=tuple(node_state(name) for name in NAMES),
            groups=groups(),
            failed_resources=(),
            pools=disk(),
            disks=disk(),
            jobs=(),
            volumes=space(r"C:\ClusterStorage\Infrastructure_1"),
            environment=ENVIRONMENT,
            updates=(),
            runs=(),
            cau=CauState(state="RunNotInProgress"),
            has_share=True,
            markers=(),
            health_files=results(),
        )
    )
    nodes = tuple(
        Node(name=name, address=f"10.0.0.{number}") for number, name in enumerate(NAMES, start=1)
    )
    return Answers(
        known=KnownCluster(name="plant7", nodes=nodes),
        at=AT,
        nodes=tuple(
            NodeAnswers(name=name, ready=ready, settings=SettingsAnswers()) for name in NAMES
        ),
        cluster=ClusterAnswers(ready=cluster, settings=ClusterSettingsAnswers()),
        time=judged(AT, AT),
        medium=MediumFacts(
            set_name="set",
            expires_at=AT + timedelta(days=30),
            zips=(CarriedZip(version=WANTED, name="bundle.zip", size_bytes=10 * GB),),
            sbes=(),
        ),
        version=WANTED,
        baseline=None,
        manifests=MANIFESTS,
    )


def with_node(answers: Answers, **values) -> Answers:
    """Let node2 answer otherwise."""
    first, second = answers.nodes
    ready = replace(second.ready, **told(**values))
    return replace(answers, nodes=(first, replace(second, ready=ready)))


def with_registry(answers: Answers, key: str, name: str, value: object) -> Answers:
    """Let node2 have another value in its registry; None: none."""
    found = {**REGISTRY, (key, name): value}
    return with_node(answers, registry={at: item for at, item in found.items() if item is not None})


def with_cluster(answers: Answers, **values) -> Answers:
    """Let the cluster answer otherwise."""
    ready = replace(answers.cluster.ready, **told(**values))
    return replace(answers, cluster=replace(answers.cluster, ready=ready))


def with_environment(answers: Answers, **values) -> Answers:
    """Let the cluster's environment be another."""
    return with_cluster(answers, environment=replace(ENVIRONMENT, **values))
