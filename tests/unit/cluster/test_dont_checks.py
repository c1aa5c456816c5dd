"""Every judge of the don'ts: a case in which it speaks, near ones in which it is silent, and no answer at all."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from toolkit.catalog import load_manifests
from toolkit.cluster._baseline import Baseline
from toolkit.cluster._checks import Answers, CheckVerdict, judge_all
from toolkit.cluster._checks._answers import ClusterAnswers, NodeAnswers
from toolkit.cluster._checks._check import Told
from toolkit.cluster._checks._drift import (
    CHECKS,
    ClusterSettingsAnswers,
    SettingsAnswers,
    SetupAnswers,
)
from toolkit.cluster._checks._readiness import ClusterReadyAnswers, ReadyAnswers
from toolkit.cluster._cmdlets.settings import (
    CauReport,
    Culture,
    Disc,
    InstalledUpdate,
    PackageFile,
    WindowsSettings,
)
from toolkit.cluster._timekeeping import NodeTime, judge_time
from toolkit.model import (
    KnownCluster,
    ResourceId,
    RunState,
    RunSummary,
    SolutionVersion,
    Update,
    UpdateEnvironment,
    UpdateState,
)

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
INSTALLED = "12.2602.1002.501"
MANIFESTS = load_manifests()
SETUP = SetupAnswers(
    time_zone=Told(value="UTC"),
    culture=Told(value=Culture(name="en-US", decimal_separator=".")),
    ui_culture=Told(value="en-US"),
    system_locale=Told(value="en-US"),
    home_location=Told(value="244"),
    windows=Told(value=WindowsSettings(build="26100.32370", no_auto_update="1")),
    hotfixes=Told(value=("KB1", "KB2")),
    modules=Told(value=("Az.Accounts 4.0.2",)),
)
SETTINGS = SettingsAnswers(
    setup=SETUP,
    installed=Told(value=()),
    attack_surface_rules=Told(value={}),
    discs=Told(value=()),
)
OLDER = WindowsSettings(build="26100.9999", no_auto_update="1")
CLUSTER = ClusterSettingsAnswers(
    reports=Told(value=()), cau_role=Told(value={}), package=Told(value=())
)


def environment(version=INSTALLED):
    told = UpdateEnvironment(
        current_version=version,
        current_sbe_version="",
        state="AppliedSuccessfully",
        health_state="Success",
        hardware_model="",
        sbe_family="",
        package_versions=(),
        health_checks=(),
        additional=(),
    )
    return Told(value=told)


def listed(state=UpdateState.Installed):
    """The update that the runs here are of."""
    return Update(
        resource_id=ResourceId("redmond/Solution12"),
        version="12",
        display_name="",
        state=state,
        state_raw=state.value,
    )


def setup(**changes):
    """Answers of a node whose settings are the usual ones but for these."""
    return replace(SETTINGS, setup=replace(SETUP, **told(changes)))


def told(changes):
    return {name: Told(value=value) for name, value in changes.items()}


def answers(*nodes, version=INSTALLED, runs=(), wanted=None, baseline=None, now=AT, **cluster):
    names = [f"node{number}" for number in range(1, max(2, len(nodes)) + 1)]
    given = (*nodes, *[SETTINGS] * (len(names) - len(nodes)))
    return Answers(
        known=KnownCluster(name="plant7", nodes=()),
        at=AT,
        nodes=tuple(
            NodeAnswers(name=name, ready=ReadyAnswers(), settings=settings)
            for name, settings in zip(names, given, strict=True)
        ),
        cluster=ClusterAnswers(
            ready=ClusterReadyAnswers(
                environment=environment(version),
                runs=Told(value=runs),
                updates=Told(value=(listed(),)),
            ),
            settings=replace(CLUSTER, **told(cluster)),
        ),
        time=judge_time(AT, [NodeTime(node=name, at=now) for name in names], floor=AT),
        medium=None,
        version=SolutionVersion.parse(wanted) if wanted else None,
        baseline=baseline,
        manifests=MANIFESTS,
    )


def said(check_id, given):
    (check,) = [check for check in CHECKS if check.id == check_id]
    readiness = judge_all(given, [check])
    assert readiness.not_asked == ()
    return [(result.verdict, result.node, result.evidence) for result in readiness.results]


def verdicts(check_id, given):
    return [(verdict, node) for verdict, node, _ in said(check_id, given)]


def report(days_ago, plugin="Microsoft.HotfixPlugin", **more):
    began = AT - timedelta(days=days_ago)
    values = {
        "run_id": "run-1",
        "plugin": plugin,
        "status": "Succeeded",
        "started_at": began,
        "ended_at": began + timedelta(hours=3),
    }
    return CauReport(**values | more)


def run(days_ago, state=RunState.Succeeded, hours=4):
    began = AT - timedelta(days=days_ago)
    return RunSummary(
        resource_id=ResourceId("redmond/Solution12/run"),
        update_id=ResourceId("redmond/Solution12"),
        state=state,
        state_raw=state.value,
        started_at=began,
        updated_at=began + timedelta(hours=hours),
        is_preparation=None,
    )


def installed(*updates, listed=None):
    """A node that installed these, (days ago, title), and lists these hotfixes now; None: their numbers."""
    rows = tuple(
        InstalledUpdate(at=AT - timedelta(days=days), title=title) for days, title in updates
    )
    hotfixes = tuple(kb for row in rows for kb in row.kbs) if listed is None else listed
    setup = replace(SETUP, hotfixes=Told(value=hotfixes))
    return replace(SETTINGS, setup=setup, installed=Told(value=rows))


def baseline(*nodes, version=INSTALLED):
    settings = nodes or (SETUP.settings("node1"), SETUP.settings("node2"))
    return Baseline(
        cluster="plant7",
        taken_at=AT - timedelta(days=9),
        by="Ben Okri",
        solution_version=version,
        nodes=settings,
    )


WINDOWS_UPDATE = "Microsoft.WindowsUpdatePlugin"
KB = "2026-10 Cumulative Update (KB5066780)"
DOTNET = "2026-10 Cumulative Update for .NET Framework 4.8.1 (KB5066129)"
BLOCK = "d1e49aac-8f56-4280-b9ba-993a6d77406c"
COMMA = Culture(name="de-DE", decimal_separator=",")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_healthy_cluster_passes(check):
    assert {verdict for verdict, _, _ in said(check.id, answers())} == {"pass"}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_cluster_as_in_its_baseline_passes(check):
    assert {verdict for verdict, _, _ in said(check.id, answers(baseline=baseline()))} == {"pass"}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_without_any_answer_nothing_passes(check):
    given = answers()
    silent = replace(
        given,
        nodes=tuple(replace(node, settings=SettingsAnswers()) for node in given.nodes),
        cluster=ClusterAnswers(ready=ClusterReadyAnswers(), settings=ClusterSettingsAnswers()),
    )
    assert {verdict for verdict, _, _ in said(check.id, silent)} == {"unknown"}


@pytest.mark.parametrize(
    ("check", "changes", "verdict"),
    [
        ("drift-time-zone", {"time_zone": "Tokyo Standard Time"}, "critical"),
        ("drift-culture", {"culture": Culture(name="en-GB", decimal_separator=".")}, "critical"),
        ("drift-culture", {"ui_culture": "de-DE"}, "critical"),
        ("drift-system-locale", {"system_locale": "de-DE"}, "critical"),
        ("drift-system-locale", {"home_location": "94"}, "critical"),
        (
            "drift-os-build",
            {"windows": WindowsSettings(build="26100.32522", no_auto_update="1")},
            "critical",
        ),
        ("drift-hotfixes", {"hotfixes": ("KB1",)}, "warning"),
        ("drift-modules", {"modules": ("Az.Accounts 5.0.0",)}, "critical"),
    ],
)
def test_setting_that_differs_between_nodes_speaks_and_only_it(check, changes, verdict):
    given = answers(setup(**changes))
    assert verdicts(check, given) == [(verdict, "")]
    drifts = [other.id for other in CHECKS if other.id.startswith("drift-") and other.id != check]
    for other in drifts:
        assert verdicts(other, given) == [("pass", "")]


@pytest.mark.parametrize(
    ("check", "changes", "verdict"),
    [
        ("drift-time-zone", {"time_zone": "Tokyo Standard Time"}, "warning"),
        ("drift-culture", {"ui_culture": "de-DE"}, "warning"),
        ("drift-system-locale", {"home_location": "94"}, "warning"),
        ("drift-hotfixes", {"hotfixes": ("KB1", "KB2", "KB3")}, "warning"),
        ("drift-modules", {"modules": ("Az.Accounts 5.0.0",)}, "warning"),
        (
            "drift-os-build",
            {"windows": WindowsSettings(build="26100.32522", no_auto_update="1")},
            "critical",
        ),
    ],
)
def test_setting_that_changed_on_all_nodes_is_known_by_the_baseline(check, changes, verdict):
    everywhere = [setup(**changes)] * 2
    assert verdicts(check, answers(*everywhere)) == [("pass", "")]
    given = answers(*everywhere, baseline=baseline())
    assert verdicts(check, given) == [(verdict, "node1"), (verdict, "node2")]


def test_what_an_update_changes_is_not_compared_with_a_baseline_of_another_version():
    newer = [setup(hotfixes=("KB9",), time_zone="Tokyo Standard Time")] * 2
    given = answers(*newer, baseline=baseline(version="12.2601.1002.503"))
    evidence = "KB9; the baseline is of 12.2601.1002.503, before an update, and is not compared"
    assert said("drift-hotfixes", given) == [("pass", "", evidence)]
    assert verdicts("drift-time-zone", given) == [("warning", "node1"), ("warning", "node2")]


def test_without_the_installed_version_the_baseline_is_no_pass_for_what_an_update_changes():
    given = answers(baseline=baseline())
    silent = replace(
        given, cluster=replace(given.cluster, ready=ClusterReadyAnswers(runs=Told(value=())))
    )
    assert verdicts("drift-modules", silent) == [("unknown", ""), ("pass", "")]
    assert verdicts("drift-time-zone", silent) == [("pass", "")]


def test_node_that_the_baseline_does_not_know_is_no_pass_of_its_own():
    given = answers(baseline=baseline(SETUP.settings("node1")))
    assert said("drift-culture", given)[0] == (
        "unknown",
        "node2",
        "the baseline of 2026-11-17 does not hold: culture, display language",
    )


def test_node_that_did_not_tell_is_unknown_beside_the_others():
    silent = replace(SETTINGS, setup=replace(SETUP, time_zone=Told(why="no such cmdlet")))
    assert verdicts("drift-time-zone", answers(silent)) == [("unknown", "node1"), ("pass", "")]


@pytest.mark.parametrize(
    ("version", "wanted", "verdict"),
    [
        (INSTALLED, None, "warning"),
        ("12.2508.1001.52", None, "critical"),
        ("12.2507.1001.10", "12.2508.1001.52", "critical"),
        ("strange", "12.2603.1002.15", "warning"),
    ],
)
def test_decimal_comma_is_critical_only_with_2508(version, wanted, verdict):
    given = answers(setup(culture=COMMA), version=version, wanted=wanted)
    assert verdicts("decimal-comma", given) == [(verdict, "node1"), ("pass", "node2")]


@pytest.mark.parametrize(
    ("build", "verdict", "words"),
    [
        ("26100.32522", "warning", "patched outside"),
        ("26100.9999", "critical", "not whole"),
        ("25398.99999", "critical", "not whole"),
    ],
)
def test_build_that_is_not_the_published_one_speaks(build, verdict, words):
    given = answers(setup(windows=WindowsSettings(build=build, no_auto_update="1")))
    ((found, node, evidence),) = said("os-build-published", given)
    assert (found, node) == (verdict, "node1")
    assert words in evidence


@pytest.mark.parametrize("version", ["12.2699.1002.1", "12.2612.1002.1", "12.2605.1003.210", ""])
def test_version_whose_build_is_not_known_is_no_pass(version):
    assert verdicts("os-build-published", answers(version=version)) == [("unknown", "")]


@pytest.mark.parametrize(
    ("version", "modules", "is_warned"),
    [
        ("10.2411.3.2", ("Az.Accounts 3.0.3", "Az.Resources 6.12.0", "Az.Storage 9.9.9"), False),
        ("10.2411.3.2", ("Az.Accounts 4.0.2",), True),
        ("10.2411.3.2", ("Az.ConnectedMachine 0.9.0",), True),
        (INSTALLED, ("Az.Accounts 4.0.3",), False),
    ],
)
def test_modules_that_2411_does_not_work_with_speak(version, modules, is_warned):
    given = answers(*[setup(modules=modules)] * 2, version=version)
    assert (("warning", "node1") in verdicts("drift-modules", given)) is is_warned


@pytest.mark.parametrize(
    ("modules", "verdict"),
    [
        (("Az.Accounts 4.0.10",), "critical"),
        ((), "critical"),
        (("Az.Accounts 4.0.2", "Az.Accounts 3.0.3"), "warning"),
        (("Az.Accounts 4.0.2", "AzStackHci.EnvironmentChecker 1.2"), "warning"),
    ],
)
def test_newest_modules_of_az_decide_how_bad_it_is(modules, verdict):
    assert verdicts("drift-modules", answers(setup(modules=modules))) == [(verdict, "")]


def test_cau_run_with_windows_update_after_the_last_update_is_told_as_that():
    reports = (report(2, WINDOWS_UPDATE), report(50))
    given = answers(reports=reports, runs=(run(30), run(1, RunState.Failed)))
    ((verdict, _, evidence),) = said("cau-windows-update", given)
    assert (verdict, evidence) == (
        "warning",
        "CAU runs in 90 days that used it: 1, the newest run-1, 2026-11-24 12:00 UTC, Succeeded; no update "
        "was installed since",
    )


def test_preparation_alone_is_no_update_that_was_installed():
    given = answers(reports=(report(40, WINDOWS_UPDATE),), runs=(run(1),))
    prepared = Told(value=(listed(UpdateState.ReadyToInstall),))
    ready = replace(given.cluster.ready, updates=prepared)
    given = replace(given, cluster=replace(given.cluster, ready=ready))
    ((_, _, evidence),) = said("cau-windows-update", given)
    assert evidence.endswith("no update was installed since")


def test_cau_run_with_windows_update_before_the_last_update_is_a_warning():
    given = answers(reports=(report(40, f"X, {WINDOWS_UPDATE}"),), runs=(run(30),))
    ((verdict, _, evidence),) = said("cau-windows-update", given)
    assert verdict == "warning"
    assert evidence.endswith("an update was installed since, 2026-10-27 16:00 UTC")


@pytest.mark.parametrize("untold", ["runs", "updates"])
def test_cau_run_with_windows_update_warns_where_the_runs_are_not_told(untold):
    given = answers(reports=(report(40, WINDOWS_UPDATE),))
    ready = replace(given.cluster.ready, **{untold: Told(why="gone")})
    silent = replace(given, cluster=replace(given.cluster, ready=ready))
    assert verdicts("cau-windows-update", silent) == [("warning", "")]


@pytest.mark.parametrize(
    ("reports", "found"),
    [
        ((report(91, WINDOWS_UPDATE),), "pass"),
        ((report(2, "Microsoft.RollingUpgradePlugin"),), "pass"),
        ((report(2, WINDOWS_UPDATE, started_at=None, ended_at=None),), "warning"),
    ],
)
def test_old_cau_runs_and_other_plugins_are_silent(reports, found):
    assert verdicts("cau-windows-update", answers(reports=reports)) == [(found, "")]


def test_report_that_names_no_plugin_is_no_pass():
    assert ("unknown", "") in verdicts("cau-windows-update", answers(reports=(report(2, ""),)))


@pytest.mark.parametrize(
    ("role", "verdict"),
    [
        ({"DaysOfWeek": "4", "WeeksOfMonth": "3"}, "critical"),
        ({"weeksofmonth": "3"}, "critical"),
        ({"DaysOfWeek": "Tuesday", "Status": "Online"}, "critical"),
        ({"DaysOfWeek": "Tuesday", "Status": "Offline"}, "warning"),
        ({"PreUpdateScript": r"D:\CloudContent\SBECache\4.1\x.ps1"}, "critical"),
        ({"PreUpdateScript": r"C:\ours.ps1", "DaysOfWeek": "None", "WeeksOfMonth": ""}, "pass"),
        ({"MaxRetriesPerNode": "3", "DaysOfWeek": "0"}, "pass"),
        ({"MaxRetriesPerNode": "3"}, "unknown"),
        ({"": ""}, "unknown"),
    ],
)
def test_cau_role_speaks_if_it_has_a_schedule(role, verdict):
    assert verdicts("cau-self-updating", answers(cau_role=role)) == [(verdict, "")]


@pytest.mark.parametrize(("policy", "verdict"), [("0", "warning"), ("", "warning"), ("1", "pass")])
def test_automatic_updates_speak_unless_policy_forbids_them(policy, verdict):
    windows = WindowsSettings(build="26100.32370", no_auto_update=policy)
    given = answers(setup(windows=windows))
    assert verdicts("windows-update-off", given) == [(verdict, "node1"), ("pass", "node2")]


@pytest.mark.parametrize(
    ("reports", "runs", "is_ours"),
    [
        ((), (), False),
        ((report(10.1),), (), True),
        ((report(9.99),), (), True),
        ((report(9.9),), (), False),
        ((report(10.2),), (), False),
        ((report(10.5, ended_at=None),), (), True),
        ((report(11.5, ended_at=None),), (), False),
        ((report(10.1, started_at=None),), (), False),
        ((report(10.1, WINDOWS_UPDATE),), (), False),
        ((), (run(10.1),), True),
        ((), (run(10.2),), False),
        ((), (run(10.2, RunState.InProgress, hours=1),), True),
    ],
)
def test_update_belongs_to_us_if_it_lies_in_a_run_or_close_to_it(reports, runs, is_ours):
    given = answers(installed((10, KB)), reports=reports, runs=runs)
    expected = [("pass", "")] if is_ours else [("warning", "node1")]
    assert verdicts("patched-outside", given) == expected


@pytest.mark.parametrize(
    "title",
    [
        "Security Intelligence Update for Microsoft Defender Antivirus - KB2267602 (Version 1.4)",
        "Update for Microsoft Defender Antivirus antimalware platform - KB4052623",
    ],
)
def test_updates_of_defender_do_not_count(title):
    assert verdicts("patched-outside", answers(installed((10, title)))) == [("pass", "")]


def test_what_was_installed_long_ago_does_not_count():
    assert verdicts("patched-outside", answers(installed((91, KB)))) == [("pass", "")]


def test_ninety_days_are_counted_by_the_nodes_time():
    later = AT + timedelta(days=85)
    assert verdicts("patched-outside", answers(installed((10, KB)), now=later)) == [("pass", "")]


def test_first_updates_from_outside_are_named_and_the_rest_is_counted():
    given = answers(installed(*[(day, KB) for day in range(1, 6)]))
    ((_, _, evidence),) = said("patched-outside", given)
    assert evidence.startswith("2026-11-25 12:00 UTC 2026-10 Cumulative Update (KB5066780); ")
    assert evidence.endswith("; and 2 more")


@pytest.mark.parametrize("check", ["patched-outside", "dotnet-outside"])
@pytest.mark.parametrize("what", ["reports", "runs"])
def test_where_runs_are_not_told_nothing_is_called_foreign(check, what):
    given = answers(installed((10, DOTNET)))
    ready, settings = given.cluster.ready, given.cluster.settings
    if what == "runs":
        ready = replace(ready, runs=Told(why="gone"))
    else:
        settings = replace(settings, reports=Told(why="gone"))
    silent = replace(given, cluster=ClusterAnswers(ready=ready, settings=settings))
    assert verdicts(check, silent) == [("unknown", "")]


def test_foreign_dotnet_update_on_every_node_is_a_warning():
    given = answers(*[installed((10, DOTNET), (10, KB))] * 2)
    assert verdicts("dotnet-outside", given) == [("warning", "node1"), ("warning", "node2")]


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        (INSTALLED, None, "warning"),
        ("10.2411.1.10", "10.2503.0.13", "critical"),
        ("11.2504.1001.19", "11.2505.1001.22", "warning"),
    ],
)
def test_foreign_dotnet_update_on_one_node_stops_an_update_of_2411(version, wanted, expected):
    given = answers(installed((10, DOTNET)), version=version, wanted=wanted)
    ((verdict, node, evidence),) = said("dotnet-outside", given)
    assert (verdict, node) == (expected, "")
    assert evidence == "not the same on every node: node1 KB5066129, node2 nothing"


@pytest.mark.parametrize(
    ("first", "second"),
    [(("KB5066129",), ("KB5066129", "KB7")), (("KB1",), ())],
    ids=["installed on the other, too", "taken off again"],
)
def test_foreign_dotnet_update_is_a_warning_once_the_nodes_are_alike_again(first, second):
    given = answers(
        installed((10, DOTNET), listed=first),
        installed(listed=second),
        version="10.2411.3.2",
    )
    assert verdicts("dotnet-outside", given) == [("warning", "node1")]


def test_node_that_does_not_list_its_hotfixes_is_judged_by_its_log():
    untold = installed((10, DOTNET))
    untold = replace(untold, setup=replace(untold.setup, hotfixes=Told(why="access denied")))
    given = answers(untold, version="10.2411.3.2")
    assert verdicts("dotnet-outside", given) == [("critical", "")]


def test_remedy_of_uneven_dotnet_updates_is_one_that_can_be_done():
    (check,) = [check for check in CHECKS if check.id == "dotnet-outside"]
    (result,) = judge_all(answers(installed((10, DOTNET)), version="10.2411.3.2"), [check]).results
    assert result.verdict == "critical"
    assert "Get-HotFix" in result.remedy


@pytest.mark.parametrize(
    ("is_dotnet", "expected"), [(True, [("pass", "")]), (False, [("warning", "")])]
)
def test_dotnet_update_of_the_package_is_not_foreign(is_dotnet, expected):
    package = (PackageFile(kbs=frozenset({"KB5066129"}), is_dotnet=is_dotnet),)
    given = answers(installed((10, DOTNET)), package=package)
    assert verdicts("dotnet-outside", given) == expected


def test_other_foreign_updates_are_no_dotnet_ones():
    assert verdicts("dotnet-outside", answers(installed((10, KB)))) == [("pass", "")]


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ({BLOCK: "1"}, "critical"),
        ({BLOCK: "0"}, "pass"),
        ({BLOCK: "2"}, "pass"),
        ({BLOCK: "6"}, "pass"),
        ({"another": "1"}, "pass"),
        ({BLOCK: "9"}, "unknown"),
    ],
)
def test_rule_of_defender_speaks_if_it_blocks(rules, verdict):
    given = answers(replace(SETTINGS, attack_surface_rules=Told(value=rules)))
    assert verdicts("asr-rule", given) == [(verdict, "node1"), ("pass", "node2")]


@pytest.mark.parametrize(
    ("path", "verdict"),
    [
        (r"D:\iso\setup.iso", "warning"),
        (r"C:\ClusterStorageOld\setup.iso", "warning"),
        (r"c:\clusterstorage\UserStorage_1\setup.iso", "pass"),
        (r"\\fileserver\iso\setup.iso", "pass"),
    ],
)
def test_disc_speaks_if_no_other_node_sees_it(path, verdict):
    given = answers(replace(SETTINGS, discs=Told(value=(Disc(vm="db-01", path=path),))))
    assert verdicts("vm-discs", given) == [(verdict, "node1"), ("pass", "node2")]


@pytest.mark.parametrize(
    ("check_id", "given"),
    [
        ("drift-os-build", answers(setup(windows=OLDER))),
        ("os-build-published", answers(setup(windows=OLDER))),
    ],
)
def test_remedy_of_what_is_critical_needs_no_update_that_it_stops(check_id, given):
    (check,) = [check for check in CHECKS if check.id == check_id]
    (result,) = judge_all(given, [check]).of(CheckVerdict.CRITICAL)
    assert "next update" not in result.remedy
    assert "ferry starts no" in result.remedy
