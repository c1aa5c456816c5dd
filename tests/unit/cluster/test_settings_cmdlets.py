"""What nodes answer about their settings, and what becomes of replies that say too little."""

from datetime import UTC, datetime, timedelta

import pytest

from toolkit.cluster._cmdlets import settings
from toolkit.cluster._cmdlets.settings import (
    CauReport,
    Culture,
    Disc,
    InstalledUpdate,
    PackageFile,
    WindowsSettings,
)
from toolkit.errors import InputError

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
EVERY = (
    settings.time_zone(),
    settings.culture(),
    settings.ui_culture(),
    settings.system_locale(),
    settings.home_location(),
    settings.hotfixes(),
    settings.modules(),
    settings.windows(),
    settings.installed_by_windows_update(),
    settings.attack_surface_rules(),
    settings.vm_discs(),
    settings.cau_reports("plant7"),
    settings.cau_role_is_installed(),
    settings.cau_role("plant7"),
    settings.package_files(),
)


@pytest.mark.parametrize("command", EVERY, ids=lambda command: command.name)
def test_nothing_here_changes_a_node(command):
    assert not command.changes_cluster
    first = command.pipeline[0].name
    assert first.startswith("Get-") or dict(command.pipeline[0].parameters)[None]
    assert first != "wevtutil.exe" or command.pipeline[0].parameters[0][1] == "qe"


@pytest.mark.parametrize(
    ("command", "row", "expected"),
    [
        (settings.time_zone(), {"Id": "UTC"}, "UTC"),
        (settings.ui_culture(), {"Name": "en-US"}, "en-US"),
        (settings.system_locale(), {"Name": "de-DE "}, "de-DE"),
        (settings.home_location(), {"GeoId": 244}, "244"),
        (
            settings.culture(),
            {"Name": "de-DE", "NumberFormat": {"NumberDecimalSeparator": ","}},
            Culture(name="de-DE", decimal_separator=","),
        ),
    ],
)
def test_setting_is_read(command, row, expected):
    assert command.parse((row,)) == expected


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (settings.time_zone(), ()),
        (settings.time_zone(), ({"Id": None},)),
        (settings.culture(), ({"Name": "de-DE", "NumberFormat": None},)),
        (settings.culture(), ({"Name": "de-DE", "NumberFormat": "System.Globalization"},)),
        (settings.windows(), ()),
        (settings.windows(), ({"CurrentBuildNumber": "26100"},)),
        (settings.modules(), ()),
        (settings.attack_surface_rules(), ()),
        (settings.installed_by_windows_update(), ("<Event",)),
        (settings.installed_by_windows_update(), ("<Event/>",)),
    ],
)
def test_reply_that_says_too_little_is_no_answer(command, reply):
    with pytest.raises(InputError):
        command.parse(reply)


def test_hotfixes_are_told_once_and_in_order():
    rows = [{"HotFixID": name} for name in ("KB2", "kb1", "KB2", None)]
    assert settings.hotfixes().parse(tuple(rows)) == ("KB1", "KB2")
    assert settings.hotfixes().parse(()) == ()


def test_modules_are_told_by_their_folders():
    base = r"C:\Program Files\WindowsPowerShell\Modules"
    rows = tuple({"FullName": rf"{base}\{name}"} for name in (r"Az.B\2.0", r"Az.A\3.0.3"))
    assert settings.modules().parse(rows) == ("Az.A 3.0.3", "Az.B 2.0")


def test_build_and_policy_stand_in_different_keys():
    build = {"CurrentBuildNumber": "26100", "UBR": 32370, "NoAutoUpdate": None}
    policy = {"CurrentBuildNumber": None, "UBR": None, "NoAutoUpdate": 1}
    assert settings.windows().parse((build, policy)) == WindowsSettings(
        build="26100.32370", no_auto_update="1"
    )
    assert settings.windows().parse((build,)).no_auto_update == ""


NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"


def event(title, at="2026-11-26T12:00:00.1234567Z"):
    return (
        f"<Event xmlns='{NAMESPACE}'><System><Provider Name='X'/><EventID>19</EventID>"
        f"<TimeCreated SystemTime='{at}'/></System><EventData>"
        f"<Data Name='updateTitle'>{title}</Data><Data Name='updateRevisionNumber'>1</Data>"
        "</EventData></Event>"
    )


def test_what_windows_update_installed_is_read_from_the_arguments_of_its_events():
    titles = ("Kumulatives Update .NET &amp; mehr (KB5066129)", "")
    told = settings.installed_by_windows_update().parse(tuple(map(event, titles)))
    assert [update.title for update in told] == [
        "Kumulatives Update .NET & mehr (KB5066129)",
        "an update without a title",
    ]
    assert told[0].at == AT + timedelta(microseconds=123456)
    assert told[0].kbs == {"KB5066129"}
    assert settings.installed_by_windows_update().parse(()) == ()


def test_updates_are_asked_for_newest_first_and_not_without_end():
    words = [value for _, value in settings.installed_by_windows_update().pipeline[0].parameters]
    assert words[:2] == ["qe", "System"]
    assert words[3:] == ["/f:XML", "/rd:true", "/c:1000"]


def test_rules_of_defender_are_read_with_their_actions():
    names = ("AttackSurfaceReductionRules_Ids", "AttackSurfaceReductionRules_Actions")
    parse = settings.attack_surface_rules().parse
    assert parse((dict(zip(names, (["D1E4", "be9b"], [2, 1]), strict=True)),)) == {
        "d1e4": "2",
        "be9b": "1",
    }
    assert parse((dict(zip(names, ("D1E4", 1), strict=True)),)) == {"d1e4": "1"}
    assert parse((dict(zip(names, (["a", "b"], b"\x00\x06"), strict=True)),)) == {
        "a": "0",
        "b": "6",
    }
    assert parse((dict.fromkeys(names),)) == {}
    with pytest.raises(InputError, match="2 rules and 1 actions"):
        parse((dict(zip(names, (["a", "b"], [1]), strict=True)),))


def test_empty_drive_of_a_virtual_machine_holds_no_disc():
    rows = ({"VMName": "web", "Path": None}, {"VMName": "db", "Path": r"D:\x.iso"})
    assert settings.vm_discs().parse(rows) == (Disc(vm="db", path=r"D:\x.iso"),)


def report(day, plugin="Microsoft.HotfixPlugin", **more):
    result = {
        "RunId": f"run-{day}",
        "StartTimestamp": f"2026-11-{day:02}T12:00:00Z",
        "RunDuration": "PT1H30M",
        "Status": "Succeeded",
    }
    return {"Plugin": plugin, "ClusterResult": result | more}


def test_cau_reports_come_newest_first():
    told = settings.cau_reports("plant7").parse((report(1), report(3), report(2)))
    assert [item.run_id for item in told] == ["run-3", "run-2", "run-1"]
    assert told[2] == CauReport(
        run_id="run-1",
        plugin="Microsoft.HotfixPlugin",
        status="Succeeded",
        started_at=datetime(2026, 11, 1, 12, tzinfo=UTC),
        ended_at=datetime(2026, 11, 1, 13, 30, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("plugin", "expected"),
    [
        (["A", "B"], "A, B"),
        ({"Name": "A", "Order": 1}, "A"),
        ({"PluginName": "A"}, "A"),
        ({"x": "A"}, "x A"),
        (None, ""),
    ],
)
def test_plugin_is_read_in_whatever_shape_it_comes(plugin, expected):
    (told,) = settings.cau_reports("plant7").parse((report(1, plugin),))
    assert told.plugin == expected


def test_report_without_times_is_kept_and_comes_last():
    bare = {"Plugin": "A", "ClusterResult": "Microsoft.ClusterAwareUpdating.CauClusterResult"}
    told = settings.cau_reports("plant7").parse((bare, report(1), report(2, RunDuration=None)))
    assert [(item.run_id, item.ended_at is None) for item in told] == [
        ("run-2", True),
        ("run-1", False),
        ("", True),
    ]


def test_run_that_would_end_after_all_time_has_no_end():
    late = report(1, StartTimestamp="9999-12-31T12:00:00Z", RunDuration="P1D")
    endless = report(1, RunDuration="P9999999999D")
    told = settings.cau_reports("plant7").parse((late, endless))
    assert [item.ended_at for item in told] == [None, None]


def test_settings_of_the_cau_role_are_texts():
    rows = ({"Name": "DaysOfWeek", "Value": 4}, {"Name": "WeeksOfMonth", "Value": [1, 3]})
    assert settings.cau_role("plant7").parse(rows) == {"DaysOfWeek": "4", "WeeksOfMonth": "1, 3"}


@pytest.mark.parametrize(("reply", "is_installed"), [((), False), (({"Name": "CAU"},), True)])
def test_cau_role_is_there_if_its_resource_is(reply, is_installed):
    assert settings.cau_role_is_installed().parse(reply) is is_installed


def test_package_files_of_dotnet_are_known_by_their_folder():
    base = r"C:\ClusterStorage\Infrastructure_1\Shares\SU1_Infrastructure_1\CloudMedia\Platform\MSU"
    rows = (
        {"FullName": rf"{base}\DotNet\Windows11.0-kb5066129-x64-NDP481.msu"},
        {"FullName": rf"{base}\UnifiedCumulative\Windows11.0-KB5066780-x64.msu"},
    )
    assert settings.package_files().parse(rows) == (
        PackageFile(kbs=frozenset({"KB5066129"}), is_dotnet=True),
        PackageFile(kbs=frozenset({"KB5066780"}), is_dotnet=False),
    )


def test_update_without_a_number_has_none():
    assert InstalledUpdate(at=AT, title="Intel - net - 1.2.3").kbs == frozenset()
