from dataclasses import replace
from datetime import timedelta
from pathlib import PureWindowsPath

import pytest

from tests.unit.cluster.wellknown import (
    AT,
    FLOOR,
    GB,
    WANTED,
    disk,
    groups,
    judged,
    node_state,
    results,
    space,
    well,
    with_cluster,
    with_environment,
    with_node,
    with_registry,
)
from toolkit.cluster._checks import CHECKS, CheckVerdict, judge_all
from toolkit.cluster._checks._answers import CarriedZip
from toolkit.cluster._checks._check import Told
from toolkit.cluster._checks._payload import PayloadAnswers
from toolkit.cluster._checks._ready_answers import (
    ENVIRONMENT,
    FILE_SYSTEM,
    FRESH,
    ClusterReadyAnswers,
    Marker,
    ReadyAnswers,
)
from toolkit.cluster._checks._services import UPDATE_SERVICE
from toolkit.cluster._cmdlets.payload import MachineVariables
from toolkit.cluster._cmdlets.ready import CauState, ResourceState, StorageJob, WsmanSettings
from toolkit.cluster._timekeeping import NodeTime, judge_time
from toolkit.model import (
    HealthCheck,
    Node,
    ResourceId,
    RunState,
    RunSummary,
    SolutionVersion,
    Update,
    UpdateState,
)
from toolkit.sbe import Hardware, SbeVersion

OURS = [check for check in CHECKS if check.about == "readiness"]
SHARED = r"C:\ClusterStorage\Infrastructure_1"


def update(state, version="12.2603.1002.15", **facts):
    return Update(
        resource_id=ResourceId(f"redmond/Solution{version}"),
        version=version,
        display_name="",
        state=UpdateState(state),
        state_raw=state,
        **facts,
    )


def run(state, *, age=timedelta(hours=1), changed=timedelta(minutes=1)):
    return RunSummary(
        resource_id=ResourceId("redmond/Solution12.2603.1002.15/1"),
        update_id=ResourceId("redmond/Solution12.2603.1002.15"),
        state=RunState(state),
        state_raw=state,
        started_at=AT - age,
        updated_at=AT - changed,
        is_preparation=None,
    )


def job(name, state="Running"):
    return StorageJob(name=name, state=state, percent="40", left_bytes=GB)


def check_result(severity, status="FAILURE", name="AzStackHci_Test"):
    return HealthCheck(name=name, status=status, severity=severity, description="It is bad.")


def nodes(*second):
    return lambda a: with_cluster(a, nodes=(node_state("node1"), *second))


def wsman(size=500, hosts="node1,10.0.0.1,node2,10.0.0.2"):
    return WsmanSettings(envelope_kb=size, trusted_hosts=hosts)


def wanting(version):
    return lambda a: replace(a, version=SolutionVersion.parse(version))


def carrying(*zips):
    carried = tuple(
        CarriedZip(version=version, name=f"{version}.zip", size_bytes=size)
        for version, size in zips
    )
    return lambda a: replace(a, medium=replace(a.medium, zips=carried))


def both(*changes):
    def change(answers):
        for one in changes:
            answers = one(answers)
        return answers

    return change


def environment(**values):
    return lambda a: with_environment(a, **values)


def cluster(**values):
    return lambda a: with_cluster(a, **values)


def node(**values):
    return lambda a: with_node(a, **values)


def registry(key, name, value):
    return lambda a: with_registry(a, key, name, value)


def times(*at, clock=AT):
    return lambda a: replace(a, time=judged(*at, clock=clock))


def unreached(a):
    first, second = a.nodes
    return replace(a, nodes=(first, replace(second, why_not="connection refused")))


def disconnected(a, *said):
    told = [
        MachineVariables(disconnected_operations=one, revocation_mode="", proxy="")
        for one in said or ("True", "True")
    ]
    nodes = tuple(
        replace(node, payload=PayloadAnswers(variables=Told(value=one)))
        for node, one in zip(a.nodes, told, strict=True)
    )
    without = cluster(groups=tuple(g for g in groups() if "control" not in g.name))
    return without(replace(a, nodes=nodes))


HARDWARE = Hardware(manufacturer="Contoso", model="C680", sku="1")
MARKER = Marker(path=PureWindowsPath(r"C:\x\caufailureinfo.txt"), text="cancelled")
TWENTY = timedelta(minutes=20)
LISTED = update("Ready", package_size_bytes=10 * GB, availability_type="Local")
ONLINE = replace(LISTED, availability_type="Online")

SPEAKS = [
    ("node-reached", unreached, "critical"),
    ("one-cluster", node(cluster="cluster9"), "critical"),
    ("node-known", nodes(node_state("node2"), node_state("node3")), "warning"),
    ("node-known", nodes(), "warning"),
    ("node-up", nodes(node_state("node2", "Paused")), "critical"),
    ("node-up", nodes(node_state("node2", "Down")), "critical"),
    ("node-up", nodes(node_state("node2", "Joining")), "warning"),
    ("node-up", nodes(node_state("node2", "Resting")), "unknown"),
    ("node-drain", nodes(node_state("node2", drain="InProgress")), "critical"),
    ("node-drain", nodes(node_state("node2", drain="Failed")), "critical"),
    ("node-drain", nodes(node_state("node2", "Paused", "Completed")), "critical"),
    ("node-drain", nodes(node_state("node2", information="Quarantined")), "critical"),
    ("node-drain", nodes(node_state("node2", drain="")), "unknown"),
    ("update-service-online", cluster(groups=groups(**{UPDATE_SERVICE: "Offline"})), "critical"),
    ("update-service-online", cluster(groups=()), "critical"),
    ("orchestrator-online", cluster(groups=groups()[:1]), "critical"),
    ("arb-online", cluster(groups=groups(**{"x-control-plane-1": "Failed"})), "critical"),
    ("arb-online", cluster(groups=groups(**{"x-control-plane-1": "Pending"})), "unknown"),
    ("arb-online", cluster(groups=groups()[:2]), "unknown"),
    ("cluster-groups", cluster(groups=groups(vm="Failed")), "critical"),
    ("cluster-groups", cluster(groups=groups(vm="PartialOnline")), "warning"),
    ("cluster-groups", cluster(groups=groups(Cloud_Management="Offline")), "warning"),
    ("cluster-groups", cluster(groups=groups(vm="Odd")), "unknown"),
    (
        "cluster-resources",
        cluster(failed_resources=(ResourceState(name="IP", state="Failed", group="g", kind="k"),)),
        "warning",
    ),
    ("storage-pools", cluster(pools=disk("Unhealthy")), "critical"),
    ("storage-pools", cluster(pools=(replace(disk()[0], is_read_only=True),)), "critical"),
    ("storage-pools", cluster(pools=disk("Unknown")), "unknown"),
    ("storage-pools", cluster(pools=()), "unknown"),
    ("virtual-disks", cluster(disks=disk("Warning")), "critical"),
    ("virtual-disks", cluster(disks=disk("7")), "unknown"),
    ("storage-jobs", cluster(jobs=(job("Disk-Repair"),)), "critical"),
    ("storage-jobs", cluster(jobs=(job("Disk-Repair", "Suspended"),)), "critical"),
    ("storage-jobs", cluster(jobs=(job("Rebalance"),)), "warning"),
    ("storage-jobs", cluster(jobs=(job("Disk-Repair", "Exception"),)), "warning"),
    ("storage-jobs", cluster(jobs=(job("Disk-Repair", "Odd"),)), "unknown"),
    ("system-drive-space", node(volumes=space("C:", free=30 * GB - 1)), "critical"),
    ("system-drive-space", node(volumes=space("D:")), "unknown"),
    ("pending-reboot", node(reboot_keys=(False, True)), "warning"),
    ("long-paths", registry(FILE_SYSTEM, "LongPathsEnabled", 0), "warning"),
    ("long-paths", registry(FILE_SYSTEM, "LongPathsEnabled", None), "warning"),
    (
        "long-paths",
        both(
            registry(FILE_SYSTEM, "LongPathsEnabled", 0),
            environment(current_version="11.2510.1002.93"),
        ),
        "critical",
    ),
    ("winrm-envelope", node(wsman=wsman(499)), "warning"),
    ("winrm-envelope", node(wsman=wsman(8192)), "warning"),
    ("language-mode", node(language_mode="NoLanguage"), "critical"),
    ("language-mode", node(language_mode="ConstrainedLanguage"), "warning"),
    ("trusted-hosts", node(wsman=wsman(hosts="*")), "critical"),
    ("trusted-hosts", node(wsman=wsman(hosts="node1,10.0.0.1,node2")), "warning"),
    ("trusted-hosts", node(wsman=wsman(hosts="")), "warning"),
    ("credssp", registry(FRESH, "1", "WSMAN/other"), "warning"),
    ("credssp", registry(FRESH, "1", None), "warning"),
    ("deployment-user", node(sids=frozenset({"S-1-5-32-545"})), "critical"),
    (
        "deployment-user",
        node(sids=frozenset({"S-1-5-32-544", "S-1-5-21-1-2-3-525"})),
        "critical",
    ),
    ("hardware-alike", node(hardware=replace(HARDWARE, sku="2")), "warning"),
    ("hardware-alike", node(hardware=Hardware()), "unknown"),
    ("node-clocks", times(AT, AT + TWENTY), "critical"),
    ("laptop-clock", times(AT, AT, clock=AT + TWENTY), "warning"),
    ("laptop-clock", times(*[FLOOR - TWENTY] * 2, clock=FLOOR - TWENTY), "critical"),
    ("infrastructure-space", cluster(volumes=space(SHARED, free=40 * GB - 1)), "critical"),
    ("infrastructure-space", cluster(volumes=space(SHARED, free=44 * GB)), "warning"),
    ("infrastructure-space", cluster(volumes=space(r"C:\ClusterStorage\Other")), "unknown"),
    (
        "infrastructure-space",
        cluster(
            updates=(LISTED,),
            volumes=space(SHARED, free=20 * GB - 1),
        ),
        "critical",
    ),
    (
        "infrastructure-space",
        cluster(updates=(ONLINE,), volumes=space(SHARED, free=40 * GB - 1)),
        "critical",
    ),
    (
        "infrastructure-space",
        both(carrying(), cluster(updates=(replace(LISTED, package_size_bytes=None),))),
        "unknown",
    ),
    ("import-root-length", registry(FILE_SYSTEM, "LongPathsEnabled", 0), "critical"),
    ("version-floor", environment(current_version="10.2411.2.12"), "critical"),
    ("version-floor", environment(current_version="latest"), "unknown"),
    ("update-path", environment(current_version="11.2510.1002.93"), "critical"),
    ("update-path", environment(current_version="12.2604.1003.209"), "critical"),
    ("update-path", environment(current_version=str(WANTED)), "warning"),
    ("update-path", environment(current_version="?"), "unknown"),
    ("update-path", wanting("12.2510.1002.88"), "critical"),
    ("update-path", wanting("12.2612.1002.1"), "unknown"),
    (
        "update-path",
        both(environment(current_version="12.2510.1002.531"), wanting("12.2511.1002.5")),
        "critical",
    ),
    (
        "update-path",
        both(environment(current_version="11.2509.1001.22"), wanting("12.2509.1001.22")),
        "warning",
    ),
    (
        "sbe-installed",
        environment(additional=(("SBEAdditionalData", "is partially installed"),)),
        "critical",
    ),
    ("sbe-installed", environment(current_sbe_version="4.0.0.0"), "warning"),
    ("sbe-installed", registry(ENVIRONMENT, "SBEInstalledContent", r"C:\x"), "warning"),
    ("sbe-installed", environment(sbe_family=""), "unknown"),
    ("sbe-installed", environment(current_sbe_version=""), "unknown"),
    (
        "sbe-minimum",
        both(
            environment(
                current_version="11.2510.1002.93",
                sbe_family="AS-HCI-AX-16G-45n0c",
                current_sbe_version="4.1.2412.1201",
            ),
            wanting("12.2510.1002.531"),
        ),
        "critical",
    ),
    (
        "sbe-minimum",
        both(
            environment(current_version="11.2510.1002.93", sbe_family=""),
            wanting("12.2510.1002.531"),
        ),
        "unknown",
    ),
    ("no-update-running", cluster(updates=(update("Installing"),)), "critical"),
    ("no-update-running", cluster(updates=(update("ScanInProgress"),)), "critical"),
    (
        "no-update-running",
        cluster(updates=(update("NotApplicableBecauseAnotherUpdateIsInProgress"),)),
        "critical",
    ),
    (
        "no-update-running",
        cluster(updates=(update("Ready"),), runs=(run("InProgress"),)),
        "critical",
    ),
    ("no-update-running", cluster(updates=(update("Parked"),)), "unknown"),
    ("no-update-running", cluster(updates=(update(""),)), "unknown"),
    ("last-run", cluster(runs=(run("Failed"), run("Succeeded"))), "critical"),
    ("last-run", cluster(updates=(update("HealthCheckFailed"),)), "critical"),
    ("last-run", cluster(runs=(run("Odd"),)), "unknown"),
    ("run-stuck", cluster(runs=(run("InProgress", changed=timedelta(hours=7)),)), "critical"),
    ("run-stuck", cluster(runs=(replace(run("InProgress"), updated_at=None),)), "unknown"),
    (
        "run-stuck",
        cluster(
            updates=(update("Downloading"),), runs=(run("InProgress", age=timedelta(hours=25)),)
        ),
        "critical",
    ),
    ("run-half-done", environment(state="NeedsAttention"), "warning"),
    ("run-half-done", environment(package_versions=(("Solution", "12.2512.1002.16"),)), "warning"),
    ("run-half-done", environment(package_versions=(("SBE", "4.2.2512.1616"),)), "unknown"),
    ("run-half-done", environment(state=""), "unknown"),
    ("run-half-done", environment(state="HalfDone"), "unknown"),
    ("cau-run", cluster(cau=CauState(state="RunInProgress", run_id="7")), "critical"),
    ("cau-run", cluster(cau=CauState(state="RunFailed")), "critical"),
    ("cau-run", cluster(cau=CauState(state="Odd")), "critical"),
    ("cau-breadcrumbs", cluster(markers=(MARKER,)), "critical"),
    ("health-checks", environment(health_checks=(check_result("CRITICAL"),)), "critical"),
    ("health-checks", environment(health_checks=(check_result("Warning"),)), "warning"),
    ("health-checks", environment(health_checks=(check_result("Odd"),)), "unknown"),
    ("health-checks", environment(health_checks=(check_result("Critical", "Odd"),)), "unknown"),
    ("health-checks", environment(health_checks=()), "unknown"),
    ("health-checks", environment(health_state="Failure"), "unknown"),
    ("health-checks", environment(health_state="InProgress"), "unknown"),
    ("health-file", cluster(health_files=results(check_result("Critical"))), "critical"),
    ("health-file", cluster(health_files=results(check_result("Warning"))), "warning"),
    (
        "health-file",
        cluster(health_files=results(written_at=AT - timedelta(hours=49))),
        "warning",
    ),
    ("health-file", cluster(health_files=()), "unknown"),
    (
        "health-file",
        cluster(health_files=(replace(results()[0], checks=(), problem="no JSON"),)),
        "unknown",
    ),
    (
        "known-issues",
        environment(
            health_checks=(check_result("CRITICAL", name="AzStackHci_ARBStack_ARBIsLocked"),)
        ),
        "warning",
    ),
]

NEARLY = [
    (
        "update-path",
        both(
            environment(current_version="12.2510.1002.531"),
            wanting("12.2511.1002.5"),
            cluster(updates=(update("Ready", "12.2511.1002.5"),)),
        ),
    ),
    ("one-cluster", node(cluster="CLUSTER1")),
    ("node-known", nodes(node_state("NODE2"))),
    ("node-drain", nodes(node_state("node2", drain="Completed"))),
    ("arb-online", cluster(groups=groups(**{"y-Control-Plan": "Online"}))),
    ("cluster-groups", cluster(groups=groups(vm="Offline"))),
    ("storage-jobs", cluster(jobs=(job("Disk-Repair", "Completed"),))),
    ("system-drive-space", node(volumes=space("C:", free=30 * GB))),
    ("long-paths", registry(FILE_SYSTEM, "LongPathsEnabled", "1")),
    ("trusted-hosts", node(wsman=wsman(hosts="NODE*, 10.0.0.*"))),
    ("deployment-user", node(sids=frozenset({"S-1-5-32-544", "S-1-5-32-525"}))),
    ("node-clocks", times(AT, AT + timedelta(minutes=5))),
    ("node-clocks", times(AT)),
    ("laptop-clock", times(AT, AT, clock=AT + timedelta(minutes=5))),
    ("infrastructure-space", cluster(volumes=space(SHARED, free=48 * GB))),
    (
        "infrastructure-space",
        cluster(
            updates=(LISTED,),
            volumes=space(SHARED, free=24 * GB),
        ),
    ),
    (
        "infrastructure-space",
        both(carrying(), cluster(updates=(ONLINE,), volumes=space(SHARED, free=24 * GB))),
    ),
    (
        "import-root-length",
        both(
            registry(FILE_SYSTEM, "LongPathsEnabled", 0),
            environment(current_version="11.2509.1001.21"),
            wanting("11.2510.1002.93"),
        ),
    ),
    ("version-floor", environment(current_version="10.2411.3.2")),
    (
        "update-path",
        both(
            environment(current_version="11.2510.1002.93"),
            carrying((SolutionVersion.parse("12.2510.1002.531"), GB), (WANTED, GB)),
        ),
    ),
    ("sbe-installed", environment(current_sbe_version="2.1.0.0", sbe_family="")),
    (
        "sbe-installed",
        node(
            registry={
                (ENVIRONMENT, "SBEInstalledContent"): "x",
                (ENVIRONMENT, "SBEInstalledMetadata"): "y",
            }
        ),
    ),
    (
        "sbe-minimum",
        both(
            environment(
                current_version="11.2510.1002.93",
                sbe_family="AS-HCI-AX-16G-45n0c",
                current_sbe_version="4.2.2506.1600",
            ),
            wanting("12.2510.1002.531"),
        ),
    ),
    (
        "sbe-minimum",
        both(
            environment(
                current_version="11.2510.1002.93", sbe_family="", current_sbe_version="2.1.0.0"
            ),
            wanting("12.2510.1002.531"),
        ),
    ),
    ("sbe-minimum", environment(sbe_family="")),
    (
        "no-update-running",
        cluster(updates=(update("Ready"), update("Installed")), runs=(run("Succeeded"),)),
    ),
    ("last-run", cluster(runs=(run("Succeeded"), run("Failed")))),
    ("run-stuck", cluster(runs=(run("InProgress", changed=timedelta(hours=6)),))),
    (
        "run-stuck",
        cluster(
            updates=(update("Installing"),), runs=(run("InProgress", age=timedelta(hours=25)),)
        ),
    ),
    ("run-stuck", cluster(runs=(run("Failed", changed=timedelta(days=9)),))),
    ("run-half-done", environment(state="AppliedSuccessfully")),
    ("health-checks", environment(health_checks=(check_result("INFORMATIONAL"),))),
    ("health-file", cluster(health_files=results(check_result("Informational")))),
    (
        "health-file",
        both(
            environment(health_checks=(check_result("CRITICAL"),)),
            cluster(health_files=results(check_result("Critical"))),
        ),
    ),
]


def worst(answers, check_id):
    (check,) = [check for check in CHECKS if check.id == check_id]
    return judge_all(answers, [check]).worst()


@pytest.mark.parametrize("check", OURS, ids=lambda check: check.id)
def test_nothing_is_found_where_all_is_well(check):
    assert worst(well(), check.id) is CheckVerdict.PASS


@pytest.mark.parametrize(("check", "change", "verdict"), SPEAKS)
def test_check_speaks(check, change, verdict):
    assert worst(change(well()), check) == verdict


@pytest.mark.parametrize(("check", "change"), NEARLY)
def test_check_is_silent_where_it_is_nearly_so(check, change):
    assert worst(change(well()), check) is CheckVerdict.PASS


@pytest.mark.parametrize("check", OURS, ids=lambda check: check.id)
def test_silence_is_never_a_pass(check):
    untold = replace(
        well(),
        nodes=tuple(replace(node, why_not="gone", ready=ReadyAnswers()) for node in well().nodes),
        cluster=replace(well().cluster, ready=ClusterReadyAnswers()),
        time=judged(None, None),
    )
    readiness = judge_all(untold, [check])
    assert readiness.worst() in (CheckVerdict.UNKNOWN, CheckVerdict.CRITICAL)
    assert not readiness.of(CheckVerdict.PASS)


@pytest.mark.parametrize(
    ("words", "verdict"),
    [("A RestResponse of GatewayTimeout was received", "critical"), ("access denied", "unknown")],
)
def test_update_service_that_fails_is_judged_by_its_words(words, verdict):
    answers = well()
    ready = replace(answers.cluster.ready, updates=Told(why=words))
    answers = replace(answers, cluster=replace(answers.cluster, ready=ready))
    assert worst(answers, "update-service-answers") == verdict


def test_three_clocks_name_the_one_that_is_wrong():
    answers = replace(
        well(),
        known=replace(
            well().known, nodes=(*well().known.nodes, Node(name="node3", address="10.0.0.3"))
        ),
    )
    clocks = [
        NodeTime(node=f"node{number}", at=at)
        for number, at in enumerate((AT, AT + TWENTY, AT), start=1)
    ]
    answers = replace(answers, time=judge_time(AT, clocks, floor=FLOOR))
    (check,) = [check for check in CHECKS if check.id == "node-clocks"]
    (result,) = judge_all(answers, [check]).results
    assert "more than 5 minutes from the others: node2;" in result.evidence


def test_bridge_is_not_asked_for_where_operations_are_disconnected():
    (check,) = [check for check in CHECKS if check.id == "arb-online"]
    readiness = judge_all(disconnected(well()), [check])
    assert list(readiness.not_asked) == [
        (
            "arb-online",
            "the cluster is one of disconnected operations: its appliance takes the place of Azure",
        )
    ]


def test_bridge_is_asked_for_where_only_one_node_says_disconnected_operations():
    (check,) = [check for check in CHECKS if check.id == "arb-online"]
    readiness = judge_all(disconnected(well(), "True", ""), [check])
    assert not readiness.not_asked
    assert [result.verdict for result in readiness.results] == [CheckVerdict.UNKNOWN]


def test_space_is_not_asked_for_where_nobody_knows_the_size():
    (check,) = [check for check in CHECKS if check.id == "infrastructure-space"]
    readiness = judge_all(replace(well(), medium=None), [check])
    assert readiness.not_asked[0][1].startswith(f"the size of {WANTED} is not known")


@pytest.mark.parametrize(
    ("there", "wanted", "verdict"),
    [
        ("4.2.2512.1616", None, "critical"),
        ("4.2.2512.1616", "4.2.2512.1615", "critical"),
        ("4.2.2512.1616", "4.2.2512.1616", "warning"),
        ("4.2.2512.1616", "4.2.2603.1", "warning"),
        ("", "4.2.2603.1", "warning"),
    ],
)
def test_partly_installed_sbe_stops_every_start_but_the_one_that_cures_it(there, wanted, verdict):
    remark = (("SBEAdditionalData", "is partially installed"),)
    (check,) = [check for check in CHECKS if check.id == "sbe-installed"]
    answers = with_environment(well(), additional=remark, current_sbe_version=there)
    answers = replace(answers, sbe=SbeVersion.read(wanted or ""))
    result = judge_all(answers, [check]).results[0]
    assert result.verdict == verdict
    assert "is partially installed" in result.evidence
    if verdict == "critical":
        assert "`ferry run start SBE" in result.remedy


def test_failed_update_is_named_by_its_id():
    listed = (update("InstallationFailed"), update("Ready", "12.2604.1003.9"))
    answers = with_cluster(well(), updates=listed, runs=(run("Failed"),))
    (check,) = [check for check in CHECKS if check.id == "last-run"]
    results = judge_all(answers, [check]).results
    assert [result.subject for result in results] == ["redmond/Solution12.2603.1002.15"] * 2


@pytest.mark.parametrize(
    ("other", "prepared", "verdict"),
    [("Ready", "ReadyToInstall", "critical"), ("Ready", "Installed", "pass")],
)
def test_preparation_of_one_update_hides_not_the_failed_run_of_another(other, prepared, verdict):
    failed = run("Failed")
    since = replace(
        run("Succeeded"),
        resource_id=ResourceId("redmond/Solution12.2604.1003.9/1"),
        update_id=ResourceId("redmond/Solution12.2604.1003.9"),
    )
    listed = (update(other), update(prepared, "12.2604.1003.9"))
    (check,) = [check for check in CHECKS if check.id == "last-run"]
    answers = with_cluster(well(), updates=listed, runs=(since, failed))
    (found,) = judge_all(answers, [check]).results
    assert found.verdict == verdict
    assert found.subject == (failed.update_id if verdict == "critical" else "")


def test_failed_run_that_the_same_update_was_prepared_after_is_judged_when_that_was_started():
    (check,) = [check for check in CHECKS if check.id == "last-run"]
    runs = (run("Succeeded"), run("Failed"))
    answers = with_cluster(well(), updates=(update("ReadyToInstall"),), runs=runs)
    assert [found.verdict for found in judge_all(answers, [check]).results] == ["pass"]


def test_room_that_shrinks_is_the_same_warning():
    (check,) = [check for check in CHECKS if check.id == "infrastructure-space"]
    found = [
        judge_all(with_cluster(well(), volumes=space(SHARED, free=free)), [check]).results[0]
        for free in (44 * GB, 43 * GB)
    ]
    assert {result.verdict for result in found} == {"warning"}
    assert found[0].identity == found[1].identity


def test_marker_is_shown_by_its_first_characters():
    answers = with_cluster(well(), markers=(replace(MARKER, text="x" * 1000),))
    (check,) = [check for check in CHECKS if check.id == "cau-breadcrumbs"]
    (result,) = judge_all(answers, [check]).results
    assert result.evidence == r"C:\x\caufailureinfo.txt: " + "x" * 300
