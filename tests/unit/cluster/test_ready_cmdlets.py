import json
from datetime import UTC, datetime, timedelta
from pathlib import PureWindowsPath

import pytest

from toolkit.cluster._cmdlets import ready
from toolkit.errors import InputError
from toolkit.model import RunState

KEY, OTHER = r"HKLM:\SOFTWARE\Contoso", r"HKLM:\SYSTEM\Contoso"
SHARE = PureWindowsPath(r"C:\share")
COMMANDS = (
    ready.node_states(),
    ready.groups(),
    ready.failed_resources(),
    ready.storage_pools(),
    ready.virtual_disks(),
    ready.storage_jobs(),
    ready.paths_exist([KEY]),
    ready.registry_values([KEY], ["a"]),
    ready.wsman_settings(),
    ready.token(),
    ready.booted_at(),
    ready.all_runs(),
    ready.run_times(),
    ready.cau_run("c"),
    ready.text_of(SHARE),
    ready.newest_health_files(SHARE),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_nothing_is_changed(command):
    assert not command.changes_cluster
    verbs = {stage.name.partition("-")[0] for stage in command.pipeline}
    assert verbs <= {"Get", "Select", "Where", "Sort", "Test", "ConvertTo", "whoami.exe"}


@pytest.mark.parametrize("state", ["Paused", 2, "2"])
def test_state_of_a_node_is_read_by_name_or_number(state):
    row = {"Name": "n1", "State": state, "DrainStatus": 3, "StatusInformation": 0}
    (node,) = ready.node_states().parse((row,))
    assert (node.state, node.drain_status, node.status_information) == (
        "Paused",
        "Failed",
        "Normal",
    )


def test_cluster_without_nodes_is_refused():
    with pytest.raises(InputError, match="no node"):
        ready.node_states().parse(())


def test_word_that_nobody_knows_is_kept():
    (node,) = ready.node_states().parse(({"Name": "n1", "State": "Resting"},))
    assert (node.state, node.drain_status) == ("Resting", "")


@pytest.mark.parametrize("owner", ["n1", {"Name": "n1", "State": "Up"}])
def test_owner_of_a_group_arrives_as_text_or_whole(owner):
    (group,) = ready.groups().parse(({"Name": "g", "State": 0, "OwnerNode": owner},))
    assert (group.state, group.owner) == ("Online", "n1")


@pytest.mark.parametrize(("health", "name"), [("Healthy", "Healthy"), (1, "Warning"), (7, "7")])
def test_health_of_a_disk_is_read_by_name_or_number(health, name):
    row = {"FriendlyName": "d", "HealthStatus": health, "OperationalStatus": ["OK", "Degraded"]}
    (disk,) = ready.virtual_disks().parse((row,))
    assert (disk.health, disk.operational, disk.is_read_only) == (name, "OK, Degraded", False)


def test_pools_that_are_no_pools_are_left_out():
    assert dict(ready.storage_pools().pipeline[0].parameters) == {"IsPrimordial": False}


def test_job_of_the_storage_tells_what_is_left():
    row = {"Name": "Repair", "JobState": 4, "PercentComplete": 25}
    (job,) = ready.storage_jobs().parse(({**row, "BytesProcessed": 1, "BytesTotal": 4},))
    assert (job.state, job.percent, job.left_bytes) == ("Running", "25", 3)
    (job,) = ready.storage_jobs().parse((row,))
    assert job.left_bytes is None


@pytest.mark.parametrize("reply", [(True, False), ("True", "False")])
def test_existence_is_told_in_order(reply):
    assert ready.paths_exist(["a", "b"]).parse(reply) == (True, False)


@pytest.mark.parametrize("reply", [(), (True,), (True, False, True), (True, None), (True, "maybe")])
def test_another_count_of_answers_is_refused(reply):
    with pytest.raises(InputError, match="Test-Path"):
        ready.paths_exist(["a", "b"]).parse(reply)


def test_registry_is_told_by_the_keys_that_were_asked_for():
    row = {
        "PSPath": r"Microsoft.PowerShell.Core\Registry::HKEY_LOCAL_MACHINE\software\CONTOSO",
        "a": 1,
        "b": None,
    }
    told = ready.registry_values([KEY, OTHER], ["a", "b"]).parse((row,))
    assert told == {(KEY, "a"): 1}


def test_registry_key_that_nobody_asked_for_is_refused():
    with pytest.raises(InputError, match="Get-ItemProperty"):
        ready.registry_values([KEY], ["a"]).parse(({"PSPath": OTHER, "a": 1},))


def test_key_that_is_not_there_is_no_error():
    parameters = dict(ready.registry_values([KEY], ["a"]).pipeline[0].parameters)
    assert parameters["ErrorAction"] == "SilentlyContinue"
    assert ready.registry_values([KEY], ["a"]).parse(()) == {}


def test_settings_of_winrm_are_read_by_name():
    rows = (
        {"Name": "TrustedHosts", "Value": "n1,n2"},
        {"Name": "MaxEnvelopeSizekb", "Value": "500"},
    )
    assert ready.wsman_settings().parse(rows) == ready.WsmanSettings(
        envelope_kb=500, trusted_hosts="n1,n2"
    )


@pytest.mark.parametrize(
    "rows",
    [
        (),
        ({"Name": "MaxEnvelopeSizekb", "Value": "500"},),
        ({"Name": "TrustedHosts", "Value": ""}, {"Name": "MaxEnvelopeSizekb", "Value": "many"}),
    ],
)
def test_settings_of_winrm_that_are_not_whole_are_refused(rows):
    with pytest.raises(InputError, match="Get-Item"):
        ready.wsman_settings().parse(rows)


def test_groups_of_an_account_are_read_by_sid():
    lines = (
        r'"VORDEFINIERT\Administratoren","Alias","S-1-5-32-544","Verbindliche Gruppe, Aktiviert"',
        '"Jeder","Bekannte Gruppe","S-1-1-0","Verbindliche Gruppe"',
    )
    assert ready.token().parse(lines) == {"S-1-5-32-544", "S-1-1-0"}


@pytest.mark.parametrize("reply", [(), ("",), ("ERROR: no groups",), ('"a","b"',)])
def test_account_without_any_group_is_refused(reply):
    with pytest.raises(InputError, match=r"whoami\.exe"):
        ready.token().parse(reply)


def test_last_start_of_a_machine_is_a_time():
    told = ready.booted_at().parse(({"LastBootUpTime": "2026-11-26T10:00:00+02:00"},))
    assert told == datetime(2026, 11, 26, 8, tzinfo=UTC)
    with pytest.raises(InputError, match="LastBootUpTime"):
        ready.booted_at().parse(({"LastBootUpTime": None},))


def test_runs_are_told_newest_first_and_those_without_a_time_last():
    rows = tuple(
        {"ResourceId": f"redmond/Solution12.2603.1002.15/{name}", "State": state, "TimeStarted": at}
        for name, state, at in (
            ("untimed", "Odd", None),
            ("old", "Failed", "2026-11-25T10:00:00Z"),
            ("new", "InProgress", "2026-11-26T10:00:00Z"),
            ("too", "Succeeded", None),
        )
    )
    runs = ready.all_runs().parse(rows)
    assert [run.resource_id.rpartition("/")[2] for run in runs][:2] == ["new", "old"]
    assert {run.update_id for run in runs} == {"redmond/Solution12.2603.1002.15"}
    assert {run.state_raw for run in runs if run.state is RunState.UNRECOGNISED} == {"Odd"}
    assert {run.is_preparation for run in runs} == {None}


def test_run_takes_as_long_as_the_cluster_counts_not_as_its_zones_differ():
    times = {"TimeStarted": "2026-11-26T10:00:00", "LastUpdatedTime": "2026-11-26T12:00:00"}
    row = {"ResourceId": "r/S1/2", "State": "Succeeded"} | times
    (bare,) = ready.all_runs().parse((row,))
    (told,) = ready.all_runs().parse((row | {"Duration": "P0DT7H0M0S"},))
    assert (bare.duration, told.duration) == (timedelta(hours=2), timedelta(hours=7))


def test_times_of_runs_are_moments_whatever_zone_the_wire_tells():
    rows = [
        {
            "ResourceId": f"r/S1/{number}",
            "State": "Failed",
            "TimeStarted": f"2026-11-26T1{number}:00:00",
        }
        for number in range(3)
    ]
    began = datetime(2026, 11, 26, 18, tzinfo=UTC)
    told = [
        {
            "ResourceId": f"r/S1/{number}",
            "TimeStarted": f"/Date({(began.timestamp() - number * 60) * 1000:.0f})/",
            "LastUpdatedTime": f"/Date({(began.timestamp() + 3600) * 1000:.0f})/",
        }
        for number in range(2)
    ]
    times = ready.run_times().parse((json.dumps(told),))
    runs = ready.timed(ready.all_runs().parse(tuple(rows)), times)
    assert [run.resource_id for run in runs] == ["r/S1/0", "r/S1/1", "r/S1/2"]
    assert [run.started_at for run in runs] == [began, began - timedelta(minutes=1), None]
    assert [run.updated_at for run in runs] == [*[began + timedelta(hours=1)] * 2, None]


def test_no_runs_have_no_times():
    assert ready.run_times().parse(()) == {}
    with pytest.raises(InputError, match="JSON"):
        ready.run_times().parse(("{",))


def test_cau_run_is_a_word_or_an_object():
    assert ready.cau_run("c").parse(("RunNotInProgress",)).state == "RunNotInProgress"
    going = ready.cau_run("c").parse(
        ({"RunId": "7", "RunStartTime": "2026-11-26T10:00:00Z", "CurrentOrchestrator": "n2"},)
    )
    assert (going.state, going.run_id, going.orchestrator) == ("RunInProgress", "7", "n2")
    assert going.started_at == datetime(2026, 11, 26, 10, tzinfo=UTC)
    with pytest.raises(InputError, match="Get-CauRun"):
        ready.cau_run("c").parse(())


def test_text_of_a_file_comes_without_its_mark():
    assert ready.text_of(SHARE).parse(("\ufeffone\r\n", "two")) == "one\r\ntwo"


def test_health_files_tell_size_and_time():
    row = {"FullName": r"C:\share\x.json", "Length": 7, "LastWriteTime": "2026-11-26T10:00:00Z"}
    (file,) = ready.newest_health_files(SHARE).parse((row,))
    assert (file.path.name, file.size_bytes) == ("x.json", 7)
    with pytest.raises(InputError, match="Length"):
        ready.newest_health_files(SHARE).parse(({**row, "Length": None},))
