import re
from datetime import UTC, datetime, timedelta
from pathlib import Path, PureWindowsPath

import pytest

from toolkit.cluster import _cmdlets
from toolkit.cluster._cmdlets import payload, reading, runs, share
from toolkit.errors import ClusterError, InputError
from toolkit.model import ResourceId, UpdateState
from toolkit.request import DiscoverySource, VolumeSpace
from toolkit.sbe import Hardware

FILE = PureWindowsPath(r"C:\Windows\Temp\x.evtx")


def test_no_command_is_made_outside_the_list_that_a_reviewer_reads():
    listed = Path(_cmdlets.__file__).parent
    toolkit = listed.parent.parent
    makers = {
        path
        for path in toolkit.rglob("*.py")
        if re.search(r"\bCmdlet\(|\bCmdlet as\b", path.read_text(encoding="utf-8"))
    }
    assert {path for path in makers if path.parent != listed} == set()
    assert listed / "__init__.py" in makers


def test_enumerations_are_asked_for_by_name():
    assert [stage.name for stage in _cmdlets.updates().pipeline] == [
        "Get-SolutionUpdate",
        "Select-Object",
    ]


def test_step_trees_are_asked_for_at_full_depth():
    stage = _cmdlets.update_runs("redmond/x").pipeline[-1]
    assert (stage.name, dict(stage.parameters)["Depth"]) == ("ConvertTo-Json", 30)


def test_every_command_that_changes_something_says_so():
    changing = [
        _cmdlets.make_folder(FILE),
        _cmdlets.remove(FILE),
        _cmdlets.move(FILE, FILE),
        _cmdlets.expand(FILE, FILE, timeout_s=1),
        _cmdlets.add_update(FILE),
        runs.start_update("x", prepare_only=True),
    ]
    assert all(command.changes_cluster for command in changing)
    assert not _cmdlets.updates().changes_cluster


def test_log_export_asks_for_the_time_window_in_utc():
    command = _cmdlets.export_log("System", FILE, since=datetime(2026, 11, 1, 12, tzinfo=UTC))
    assert command.pipeline[0].parameters[-1][1] == (
        "/q:*[System[TimeCreated[@SystemTime>='2026-11-01T12:00:00.000Z']]]"
    )


def test_cluster_without_a_name_is_refused_for_all_such_would_be_one():
    with pytest.raises(InputError, match="no Name"):
        _cmdlets.cluster_name().parse(({"Name": None},))


def test_unknown_update_state_keeps_its_text():
    (update,) = _cmdlets.updates().parse(({"ResourceId": "r/Solution1", "State": "Brandnew"},))
    assert (update.state, update.state_raw) == (UpdateState.UNRECOGNISED, "Brandnew")


def test_sbe_row_without_version_takes_its_sbe_version():
    (update,) = _cmdlets.updates().parse(
        ({"ResourceId": "r/SBE4.1.2.3", "Version": None, "SbeVersion": "4.1.2.3"},)
    )
    assert update.version == "4.1.2.3"


def test_reply_that_is_no_object_is_an_input_error():
    with pytest.raises(InputError, match="Get-SolutionUpdate"):
        _cmdlets.updates().parse(("text",))


def test_empty_environment_asks_whether_this_is_azure_local():
    with pytest.raises(InputError) as error:
        _cmdlets.environment().parse(())
    assert "Azure Local" in error.value.hint


@pytest.mark.parametrize(
    "packages",
    [
        [{"Solution": "12.1", "SBE": "4.0"}],
        [{"PackageType": "Solution", "Version": "12.1"}, {"PackageType": "SBE", "Version": "4.0"}],
        ["Solution: 12.1", "SBE: 4.0"],
    ],
)
def test_package_versions_are_read_in_every_shape_seen(packages):
    seen = _cmdlets.environment().parse(({"PackageVersions": packages},))
    assert seen.package_versions == (("Solution", "12.1"), ("SBE", "4.0"))


def test_health_checks_are_read():
    row = {
        "Name": "T",
        "Status": "FAILURE",
        "Severity": "CRITICAL",
        "AdditionalData": {"Detail": "d"},
    }
    seen = _cmdlets.environment().parse(({"HealthCheckResult": [row]},))
    assert (seen.health_checks[0].status, seen.health_checks[0].detail) == ("FAILURE", "d")


def test_hash_that_is_no_hash_is_an_input_error():
    with pytest.raises(InputError):
        _cmdlets.file_hash(FILE, timeout_s=1).parse(({"Hash": "none"},))


def test_runs_that_are_no_json_are_an_input_error():
    with pytest.raises(InputError, match="JSON"):
        _cmdlets.update_runs("x").parse(("{",))


def test_no_runs_at_all_are_an_empty_tuple():
    assert _cmdlets.update_runs("x").parse(()) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/Date(0)/", datetime(1970, 1, 1, tzinfo=UTC)),
        ("/Date(-62135596800000)/", None),
        ("2026-11-01T10:00:00.1234567Z", datetime(2026, 11, 1, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2026-11-01T10:00:00", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("0001-01-01T00:00:00", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_times_are_read_as_utc_or_not_at_all(text, expected):
    assert reading.time(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("01:02:03", timedelta(hours=1, minutes=2, seconds=3)),
        ("1.00:00:00.5", timedelta(days=1, seconds=0.5)),
        ({"TotalSeconds": 90}, timedelta(seconds=90)),
        ("PT1H30M", timedelta(minutes=90)),
        ("P1DT0.5S", timedelta(days=1, seconds=0.5)),
        ("P2D", timedelta(days=2)),
        ("P", None),
        ("PT", None),
        ({}, None),
        (None, None),
    ],
)
def test_spans_are_read_in_every_shape(value, expected):
    assert reading.span(value) == expected


# --- what a request tells -----------------------------------------------------------------------

ASKED = [
    _cmdlets.listed_updates(),
    _cmdlets.discovery(),
    _cmdlets.cluster_nodes(),
    _cmdlets.local_volumes("n1"),
    _cmdlets.shared_volumes(),
    _cmdlets.language_mode(),
    _cmdlets.hardware(),
    _cmdlets.machine_settings(),
    _cmdlets.node_time(),
    _cmdlets.resolves("aka.ms"),
    _cmdlets.reaches("aka.ms", 443),
]


@pytest.mark.parametrize("command", ASKED, ids=lambda command: command.name)
def test_question_reads_only_and_is_no_script(command):
    assert not command.changes_cluster
    for stage in command.pipeline:
        assert stage.name.split("-")[0] in ("Get", "Resolve", "Select", "Test")
        assert not any("{" in str(value) or "$" in str(value) for _, value in stage.parameters)


@pytest.mark.parametrize("command", ASKED[:-2], ids=lambda command: command.name)
@pytest.mark.parametrize("reply", ["text", None, 5, [{}]])
def test_reply_of_another_shape_is_an_input_error(command, reply):
    with pytest.raises(InputError):
        command.parse((reply,))


def test_listed_update_tells_what_it_asks_for():
    (update,) = _cmdlets.listed_updates().parse(
        (
            {
                "ResourceId": "redmond/Solution12.2603.1002.15",
                "Version": "12.2603.1002.15",
                "SbeVersion": "4.2.2603.1",
                "State": "AdditionalContentRequired",
                "PackageType": "Solution",
                "MinVersionRequired": "12.2510.1002.0",
                "MinSbeVersionRequired": "2.0.0.0",
                "Prerequisites": [{"Version": "12.2602.1002.501"}],
                "AdditionalProperties": {"SBEFamily": "Gen3", "SBEPublisher": None},
            },
        )
    )
    assert (update.state, update.sbe_version) == ("AdditionalContentRequired", "4.2.2603.1")
    assert (update.sbe_family, update.sbe_publisher) == ("Gen3", "")
    assert (update.min_version_required, update.min_sbe_version_required) == (
        "12.2510.1002.0",
        "2.0.0.0",
    )
    assert update.prerequisites == ("12.2602.1002.501",)


@pytest.mark.parametrize(
    ("row", "sources"),
    [
        ({}, ()),
        (
            {"Configuration": {"ComponentUris": {"Solution": "https://s"}}},
            (DiscoverySource(component="Solution", manifest_source="https://s", status=""),),
        ),
        (
            {"SbeManifestResult": {"ManifestSource": "https://b", "Status": "Ok"}},
            (DiscoverySource(component="SBE", manifest_source="https://b", status="Ok"),),
        ),
        ({"SbeManifestResult": "text", "Configuration": "text"}, ()),
    ],
)
def test_discovery_is_told_as_far_as_the_cluster_tells_it(row, sources):
    assert _cmdlets.discovery().parse((row,)) == sources


def test_only_volumes_with_a_letter_that_stay_in_the_machine_are_told():
    rows = (
        {"DriveLetter": "C", "DriveType": "Fixed", "Size": 9, "SizeRemaining": 1},
        {"DriveLetter": "D", "DriveType": 3, "Size": 9, "SizeRemaining": 2},
        {"DriveLetter": "E", "DriveType": "CD-ROM", "Size": 9, "SizeRemaining": 0},
        {"DriveLetter": "F", "DriveType": 2, "Size": 9, "SizeRemaining": 0},
        {"DriveLetter": "\0", "DriveType": "Fixed", "Size": 9, "SizeRemaining": 0},
        {"DriveLetter": None, "DriveType": "Fixed", "Size": 9, "SizeRemaining": 0},
    )
    assert _cmdlets.local_volumes("n1").parse(rows).spaces == (
        VolumeSpace(node="n1", volume="C:", free_bytes=1, size_bytes=9),
        VolumeSpace(node="n1", volume="D:", free_bytes=2, size_bytes=9),
    )


@pytest.mark.parametrize("free", [None, "many", -1, 10, 1 << 53, 1.5])
def test_volume_without_a_number_of_free_bytes_does_not_lose_the_others(free):
    rows = (
        {"FriendlyVolumeName": "one", "Partition": {"FreeSpace": free, "Size": 9}},
        {"FriendlyVolumeName": "two", "Partition": {"FreeSpace": 5, "Size": 9}},
        {"FriendlyVolumeName": "three", "Partition": None},
    )
    told = _cmdlets.shared_volumes().parse(rows)
    assert [volume.volume for volume in told.spaces] == ["two"]
    assert told.untold == ("one", "three")


def test_hardware_is_told_without_the_blanks_of_the_firmware():
    row = {"SystemManufacturer": "Contoso ", "SystemProductName": "X", "SystemSKU": None}
    assert _cmdlets.hardware().parse((row,)) == Hardware(manufacturer="Contoso", model="X")


@pytest.mark.parametrize(
    ("reply", "is_known"),
    [((), False), (({"IPAddress": None},), False), (({"IPAddress": "a"},), True)],
)
def test_name_is_known_only_with_an_address(reply, is_known):
    assert _cmdlets.resolves("aka.ms").parse(reply) is is_known


@pytest.mark.parametrize("reply", [(), (False,), (None,), ("no",)])
def test_port_is_reached_only_if_the_node_says_so(reply):
    assert not _cmdlets.reaches("aka.ms", 443).parse(reply)
    assert _cmdlets.reaches("aka.ms", 443).parse((*reply, True))


# --- runs ---------------------------------------------------------------------------------------


def test_switches_are_sent_only_where_they_are_asked_for():
    def sent(**switches):
        return runs.start_update("x", **switches).pipeline[-1].parameters

    assert sent(prepare_only=False) == ()
    assert sent(prepare_only=True) == (("PrepareOnly", None),)
    assert sent(prepare_only=False, ignores_warnings=True) == (("IgnoreWarnings", None),)


def test_what_action_plans_were_started_with_stays_on_the_node():
    command = runs.save_action_plans(FILE)
    chosen = dict(command.pipeline[2].parameters)["Property"]
    assert "AdditionalInformation" in chosen
    assert "RuntimeParameters" not in chosen


# --- what the payload lacks ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, ""),
        ({"HTTPS_PROXY": "http://proxy.lan:8080"}, "proxy.lan:8080"),
        ({"HTTPS_PROXY": "proxy.lan"}, "proxy.lan:80"),
        ({"HTTPS_PROXY": None, "HTTP_PROXY": "HTTP://proxy.lan:3128/"}, "proxy.lan:3128"),
        ({"HTTPS_PROXY": "http://ada:p@ss/word@proxy.lan:8080"}, "proxy.lan:8080"),
        ({"HTTPS_PROXY": "http://ada:secret@[2001:db8::1]:8080"}, "[2001:db8::1]:8080"),
    ],
)
def test_proxy_is_kept_without_its_password(variables, proxy):
    assert payload.machine_variables().parse((variables,)).proxy == proxy


def test_variables_that_are_not_set_are_empty():
    told = payload.machine_variables().parse(({"DISCONNECTED_OPS_SUPPORT": " True "},))
    assert (told.disconnected_operations, told.revocation_mode) == ("True", "")


@pytest.mark.parametrize("owner", ["node2", {"Name": "node2", "State": "Up"}])
def test_owner_of_the_orchestrator_is_read_from_an_object_or_its_text(owner):
    assert payload.orchestrator_owner().parse(({"OwnerNode": owner},)) == "node2"


def test_registration_is_read_as_it_is_worded():
    row = {"ConnectionStatus": "OutOfPolicy", "RegistrationStatus": "Registered"}
    told = payload.registration().parse((row,))
    assert (told.connection, told.registration) == ("OutOfPolicy", "Registered")


def test_an_update_that_names_no_sbe_needs_one_of_which_nothing_is_known():
    needed = payload.sbe_asked_for(ResourceId("redmond/Solution1")).parse(({"SbeVersion": None},))
    assert needed.files == ()


# --- the import folder --------------------------------------------------------------------------


def test_folder_and_file_are_told_apart_and_a_folder_has_no_length():
    rows = (
        {"FullName": r"C:\i\v", "PSIsContainer": True, "Length": None, "LastWriteTime": "a"},
        {"FullName": r"C:\i\b.zip", "PSIsContainer": False, "Length": 7, "LastWriteTime": "b"},
    )
    folder, file = share.tree(PureWindowsPath(r"C:\i")).parse(rows)
    assert (folder.is_folder, folder.size_bytes) == (True, 0)
    assert (file.is_folder, file.size_bytes, file.written_at) == (False, 7, "b")


def test_listing_is_cut_at_its_bound_and_more_is_refused_not_held():
    row = {"FullName": r"C:\i\b", "PSIsContainer": False, "Length": 1, "LastWriteTime": "b"}
    command = share.tree(PureWindowsPath(r"C:\i"))
    cut = dict(command.pipeline[-1].parameters)
    assert cut["First"] == share.MOST_ITEMS + 1
    assert len(command.parse((row,) * share.MOST_ITEMS)) == share.MOST_ITEMS
    with pytest.raises(ClusterError, match="more than 50000 files and folders"):
        command.parse((row,) * (share.MOST_ITEMS + 1))


def test_mark_at_the_beginning_of_a_text_is_none_of_it():
    assert share.texts((FILE,)).parse(("\ufeff{}", "[]")) == ("{}", "[]")


@pytest.mark.parametrize(
    ("command", "changes"),
    [
        (share.new_file(FILE, "x"), True),
        (share.rename(FILE, "y"), True),
        (share.names(FILE, "*"), False),
        (share.tree(FILE), False),
        (share.texts((FILE,)), False),
    ],
)
def test_what_changes_the_share_says_so(command, changes):
    assert command.changes_cluster is changes
