"""The cmdlets without any network: pipelines in, values and error records out."""

import json
import zipfile
from datetime import UTC, datetime, timedelta
from uuid import UUID

import evtx
import pytest

from tests.simcluster.cmdlets import LIBRARY
from tests.simcluster.eventshapes import CAU_CHANNEL, MANAGEMENT_CHANNEL
from tests.simcluster.filetree import FileTree
from tests.simcluster.journal import Journal
from tests.simcluster.pipeline import Stage, run_pipeline
from tests.simcluster.psjson import to_json
from tests.simcluster.settingsstate import DvdDrive
from tests.simcluster.state import Clock, HealthCheck, Node, SolutionUpdate, World, first_events
from tests.simcluster.values import NetEnum, NetObject, NetVersion, PsError, custom, text_of
from tests.vendorsite.bundle import make_bundle, make_sbe

VERSION = "12.2603.1002.901"
SHARE = r"C:\ClusterStorage\Infrastructure_1\Shares\SU1_Infrastructure_1"
FOLDER = rf"{SHARE}\import\Solution"


class Heard:
    """Keeps what a pipeline says."""

    def __init__(self):
        self.values, self.errors, self.warnings = [], [], []

    def output(self, value):
        self.values.append(value)

    def error(self, error):
        self.errors.append(error)

    def warning(self, text):
        self.warnings.append(text)

    def progress(self, activity, status, percent):
        pass

    def pause(self, seconds):
        raise AssertionError("no test waits")


class Ticks:
    """A real clock that stands still until told."""

    def __init__(self):
        self.now = 1_790_000_000.0

    def __call__(self):
        return self.now


class Site:
    """A world of two nodes and a way to run pipelines on the first."""

    def __init__(self, folder):
        self.ticks = Ticks()
        csv = folder / "csv"
        nodes = []
        for name in ("node1", "node2"):
            (folder / name).mkdir()
            drive = FileTree(folder / name, {"ClusterStorage": csv})
            nodes.append(Node(name=name, address="127.0.0.1", drive=drive))
        self.world = World(
            name="cluster1",
            nodes=nodes,
            journal=Journal(folder / "journal.json"),
            clock=Clock(self.ticks),
            run_seconds=100,
        )
        for node in nodes:
            node.channels = first_events(node, "cluster.example", self.world.clock.now())
        self.node = nodes[0]
        self.drive("C:\\Windows\\Temp").mkdir(parents=True)
        self.drive(FOLDER).mkdir(parents=True)

    def drive(self, path):
        return self.node.drive.resolve(path)

    def run(self, *stages, given=()):
        """Run a pipeline; a stage is a name, (name, parameters) or (name, [arguments])."""
        heard = Heard()
        made = []
        for stage in stages:
            name, parameters = stage if isinstance(stage, tuple) else (stage, {})
            pairs = (
                [(None, one) for one in parameters]
                if isinstance(parameters, list)
                else list(parameters.items())
            )
            made.append(Stage(name, tuple(pairs)))
        run_pipeline(
            made, iter(given), library=LIBRARY, world=self.world, node=self.node, streams=heard
        )
        return heard

    def values(self, *stages, given=()):
        return self.run(*stages, given=given).values

    def add(self, version=VERSION):
        """Place and add a solution update; poll until it is listed."""
        bundle = make_bundle(self.drive(SHARE), version, size_bytes=50_000)
        folder = self.drive(FOLDER).with_name(version)
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(folder)
        bundle.unlink()
        self.run(("Add-SolutionUpdate", {"SourceFolder": rf"{SHARE}\import\{version}"}))
        for _ in range(self.world.discovery_polls + 1):
            self.run("Get-SolutionUpdate")
        return f"redmond/Solution{version}"

    def state(self, resource_id):
        select = ("Select-Object", {"ExpandProperty": "State"})
        (state,) = self.values(("Get-SolutionUpdate", {"Id": resource_id}), select)
        return str(state)

    def start(self, resource_id, **switches):
        return self.run(
            ("Get-SolutionUpdate", {"Id": resource_id}), ("Start-SolutionUpdate", switches)
        ).values[0]

    def finish(self):
        self.ticks.now += 200


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


# --- shaping objects ----------------------------------------------------------------------------

ROWS = [custom({"Name": name, "Size": size}) for name, size in (("b", 2), ("A", 10), ("c", 1))]


def names(rows):
    return [row.properties["Name"] for row in rows]


def test_select_takes_properties_by_any_case_and_wildcard(site):
    (row,) = site.values(("Select-Object", {"Property": ["nam*", "None"]}), given=ROWS[:1])
    assert row.properties == {"Name": "b", "None": None}


def test_select_cuts_the_stream(site):
    assert names(site.values(("Select-Object", {"First": 2, "Skip": 1}), given=ROWS)) == ["A", "c"]
    assert names(site.values(("Select-Object", {"Last": 1}), given=ROWS)) == ["c"]


def test_where_compares_without_regard_to_case(site):
    assert names(site.values(("Where-Object", {"Property": "Name", "EQ": None, "Value": "a"}), given=ROWS)) == ["A"]  # fmt: skip


def test_sort_orders_numbers_as_numbers(site):
    assert names(site.values(("Sort-Object", {"Property": "Size"}), given=ROWS)) == ["c", "b", "A"]


def test_measure_sums(site):
    (sums,) = site.values(("Measure-Object", {"Property": "Size", "Sum": None}), given=ROWS)
    assert (sums.properties["Count"], sums.properties["Sum"]) == (3, 13)


# --- ConvertTo-Json of Windows PowerShell 5.1 -----------------------------------------------------


def test_json_prints_enumerations_as_numbers_and_dates_in_milliseconds():
    row = custom({"State": NetEnum("X.State", "Ready", 2), "At": datetime(1970, 1, 2, tzinfo=UTC)})
    assert to_json(row, depth=2, compress=True) == '{"State":2,"At":"\\/Date(86400000)\\/"}'


def test_json_cuts_at_its_depth():
    deep = custom({"a": NetObject(("X.Y",), {"b": NetObject(("X.Z",), {"c": 1})})})
    assert to_json(deep, depth=1, compress=True) == '{"a":{"b":"X.Z"}}'


def test_json_escapes_what_a_browser_would_misread():
    assert to_json("<a & 'b'>/", depth=2, compress=True) == (
        '"\\u003ca \\u0026 \\u0027b\\u0027\\u003e/"'
    )


def test_json_prints_versions_and_time_spans_as_objects():
    row = custom({"v": NetVersion("1.2.3.4"), "t": timedelta(seconds=90), "g": UUID(int=1)})
    shown = json.loads(to_json(row, depth=2, compress=False))
    assert (shown["v"]["Build"], shown["t"]["TotalSeconds"]) == (3, 90)
    assert shown["g"] == "00000000-0000-0000-0000-000000000001"


def test_json_of_several_objects_is_an_array_and_of_none_is_nothing(site):
    assert site.values(("ConvertTo-Json", {"Compress": None}), given=[1, 2]) == ["[1,2]"]
    assert site.values("ConvertTo-Json") == []


# --- files ----------------------------------------------------------------------------------------


def test_set_content_writes_lines_with_a_byte_order_mark(site):
    site.run(("Set-Content", {"LiteralPath": "C:\\a.txt", "Encoding": "UTF8"}), given=["ä", "b"])
    assert site.drive("C:\\a.txt").read_bytes() == b"\xef\xbb\xbf\xc3\xa4\r\nb\r\n"
    assert site.values(("Get-Content", {"LiteralPath": "C:\\A.TXT"})) == ["ä", "b"]


def test_bytes_survive_set_add_and_get_content(site):
    for cmdlet, data in (("Set-Content", b"\0\1"), ("Add-Content", b"\2\xff")):
        site.run((cmdlet, {"LiteralPath": "C:\\b", "Encoding": "Byte"}), given=[data])
    read = site.values(("Get-Content", {"LiteralPath": "C:\\b", "Encoding": "Byte", "Raw": None}))
    assert read == [b"\0\1\2\xff"]


def test_content_into_a_missing_folder_is_refused(site):
    with pytest.raises(PsError) as got:
        site.run(("Set-Content", {"LiteralPath": "C:\\no\\a", "Value": "x"}))
    assert got.value.error_id.startswith("GetContentWriterDirectoryNotFoundError")


def test_content_of_nothing_makes_no_file_and_out_file_makes_an_empty_one(site):
    site.run(("Set-Content", {"LiteralPath": "C:\\a", "Encoding": "UTF8"}))
    assert not site.drive("C:\\a").exists()
    site.run(("Out-File", {"LiteralPath": "C:\\b", "Encoding": "ASCII"}))
    assert site.drive("C:\\b").read_bytes() == b""


def test_hash_is_of_the_real_file(site):
    site.drive("C:\\x").write_bytes(b"abc")
    (row,) = site.values(("Get-FileHash", {"LiteralPath": "C:\\x"}))
    assert row.properties["Hash"].startswith("BA7816BF8F01CFEA")


def test_hash_of_a_missing_file_is_an_error_record(site):
    heard = site.run(("Get-FileHash", {"LiteralPath": "C:\\x"}))
    assert [error.error_id.partition(",")[0] for error in heard.errors] == ["PathNotFound"]


def test_new_item_force_leaves_an_existing_folder_alone(site):
    parameters = {"ItemType": "Directory", "Path": "C:\\Windows"}
    site.run(("New-Item", {**parameters, "Force": None}))
    with pytest.raises(PsError, match="already exists"):
        site.run(("New-Item", parameters))


def test_moved_folder_stands_under_its_new_name_only(site):
    site.drive("C:\\a").mkdir()
    site.run(("Move-Item", {"LiteralPath": "C:\\a", "Destination": "C:\\b"}))
    assert site.values(("Test-Path", {"Path": ["C:\\a", "C:\\b"]})) == [False, True]


def test_folder_with_children_is_removed_only_recursively(site):
    site.drive("C:\\a\\b").mkdir(parents=True)
    assert site.run(("Remove-Item", {"LiteralPath": "C:\\a"})).errors
    site.run(("Remove-Item", {"LiteralPath": "C:\\a", "Recurse": None, "Force": None}))
    assert not site.drive("C:\\a").exists()


def test_listing_shows_the_shared_volumes_and_filters(site):
    shown = site.values(("Get-ChildItem", {"LiteralPath": "C:\\", "Name": None}))
    assert shown == ["ClusterStorage", "Windows"]
    assert text_of(site.values(("Get-ChildItem", {"Path": "C:\\Win*"}))) == "C:\\Windows"


def test_archive_is_expanded_and_refuses_to_overwrite(site):
    with zipfile.ZipFile(site.drive("C:\\a.zip"), "w") as archive:
        archive.writestr("sub/one.txt", "1")
    stage = ("Expand-Archive", {"LiteralPath": "C:\\a.zip", "DestinationPath": "C:\\out"})
    site.run(stage)
    assert site.drive("C:\\out\\sub\\one.txt").read_text() == "1"
    with pytest.raises(PsError, match="already exists"):
        site.run(stage)
    site.run((stage[0], {**stage[1], "Force": None}))


def test_broken_archive_is_refused(site):
    site.drive("C:\\a.zip").write_bytes(b"PK but not really")
    with pytest.raises(PsError) as got:
        site.run(("Expand-Archive", {"Path": "C:\\a.zip", "DestinationPath": "C:\\out"}))
    assert got.value.error_id == "InvalidDataException,Expand-Archive"


def test_archive_cannot_climb_out_of_its_folder(site):
    with zipfile.ZipFile(site.drive("C:\\a.zip"), "w") as archive:
        archive.writestr("../../evil.txt", "1")
    with pytest.raises(PsError):
        site.run(("Expand-Archive", {"Path": "C:\\a.zip", "DestinationPath": "C:\\out"}))


# --- import ---------------------------------------------------------------------------------------


def add(site, folder=FOLDER):
    return site.run(("Add-SolutionUpdate", {"SourceFolder": folder}))


def refusal(site, folder=FOLDER):
    with pytest.raises(PsError) as got:
        add(site, folder)
    assert got.value.error_id.startswith("AddSolutionUpdateFailed,")
    return str(got.value)


def expand(site, version=VERSION):
    bundle = make_bundle(site.drive(SHARE), version, size_bytes=50_000)
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(site.drive(FOLDER))


def test_missing_folder_and_missing_files_are_named(site):
    assert "does not exist" in refusal(site, rf"{SHARE}\nowhere")
    assert "SolutionUpdate.xml" in refusal(site)
    expand(site)
    (site.drive(FOLDER) / "SolutionUpdate.zip").unlink()
    assert refusal(site) == "The source folder does not contain SolutionUpdate.zip."


def test_damaged_payload_is_refused(site):
    expand(site)
    payload = site.drive(FOLDER) / f"AS_Update_{VERSION}.zip"
    data = bytearray(payload.read_bytes())
    data[len(data) // 2] ^= 1
    payload.write_bytes(data)
    assert "corrupt" in refusal(site)


def test_older_version_than_installed_is_refused(site):
    expand(site, "12.2601.1002.38")
    assert "newer" in refusal(site)


def test_added_update_is_copied_and_listed_after_some_polls(site):
    expand(site)
    add(site)
    counts = [len(site.values("Get-SolutionUpdate")) for _ in range(4)]
    assert counts == [0, 0, 1, 1]
    package = site.drive(rf"{SHARE}\Updates\Packages\Solution{VERSION}")
    assert sorted(path.name for path in package.iterdir()) == [
        f"AS_Update_{VERSION}.zip",
        "SolutionUpdate.xml",
        "SolutionUpdate.zip",
    ]


def test_second_add_is_counted_warned_of_and_changes_nothing(site):
    resource_id = site.add()
    heard = add(site, rf"{SHARE}\import\{VERSION}")
    assert heard.warnings
    assert site.world.journal.add_calls == 2
    assert [update.resource_id for update in site.world.list_updates()] == [resource_id]


def test_update_that_asks_for_an_sbe_becomes_ready_with_it(site):
    site.world.required_sbe_version = "4.2.2603.1"
    resource_id = site.add()
    assert site.state(resource_id) == "AdditionalContentRequired"
    folder = site.drive(FOLDER)
    make_sbe(folder, "Contoso", "GenA", "4.2.2603.1", supported_model="Contoso680")
    add(site)
    for _ in range(3):
        site.run("Get-SolutionUpdate")
    assert site.state(resource_id) == "Ready"


@pytest.mark.parametrize(("family", "version"), [("GenB", "4.2.2602.1"), ("GenA", "4.1.2409.1")])
def test_sbe_that_is_foreign_or_older_hides_the_update_until_the_right_one_is_added(
    site, family, version
):
    site.world.required_sbe_version = "4.2.2603.1"
    update = site.add()
    for number, (its_family, its_version) in enumerate([(family, version), ("GenA", "4.2.2603.1")]):
        folder = rf"{SHARE}\import\sbe{number}"
        site.drive(folder).mkdir()
        make_sbe(site.drive(folder), "Contoso", its_family, its_version, supported_model="X")
        add(site, folder)
        for _ in range(3):
            listed = {row.resource_id: row.state for row in site.world.list_updates()}
        if number == 0:
            assert listed == {f"redmond/SBE{version}": "HasPrerequisite"}
    assert listed[update] == "Ready"


@pytest.mark.parametrize(
    ("validated", "state"), [("12.2603.*.*", "HasPrerequisite"), ("12.2602.*.*", "Ready")]
)
def test_sbe_waits_for_a_version_that_it_is_validated_for(site, validated, state):
    make_sbe(
        site.drive(FOLDER), "Contoso", "GenA", "4.2.2603.1",
        supported_model="X", validated=(validated,),
    )  # fmt: skip
    add(site)
    for _ in range(3):
        site.run("Get-SolutionUpdate")
    assert site.state("redmond/SBE4.2.2603.1") == state


def test_sbe_without_its_payload_is_refused(site):
    *_, payload = make_sbe(
        site.drive(FOLDER), "Contoso", "GenA", "4.2.2603.1", supported_model="Contoso680"
    )
    payload.unlink()
    assert payload.name in refusal(site)


def test_version_below_the_required_one_has_a_prerequisite(site):
    site.world.current_version = "12.2508.1001.52"
    resource_id = site.add("12.2512.1002.16")
    assert site.state(resource_id) == "HasPrerequisite"
    (update,) = site.values("Get-SolutionUpdate")
    assert "12.2510" in text_of(update.properties["Prerequisites"])


# --- runs -----------------------------------------------------------------------------------------


def seen_states(site, resource_id):
    states = []
    for _ in range(110):
        state = site.state(resource_id)
        if state not in states:
            states.append(state)
        site.ticks.now += 1
    return states


def test_run_passes_through_the_documented_states(site):
    resource_id = site.add()
    site.start(resource_id)
    assert seen_states(site, resource_id) == [
        "Preparing",
        "HealthChecking",
        "Installing",
        "Installed",
    ]
    assert site.world.current_version == VERSION


def test_preparation_ends_ready_to_install(site):
    resource_id = site.add()
    run_id = site.start(resource_id, PrepareOnly=None)
    assert run_id.startswith(f"{resource_id}/")
    assert seen_states(site, resource_id) == ["Preparing", "HealthChecking", "ReadyToInstall"]


def test_run_that_nobody_watched_has_ended_all_the_same(site):
    resource_id = site.add()
    site.start(resource_id)
    site.finish()
    assert site.state(resource_id) == "Installed"


def test_clock_of_the_cluster_stays_ahead_and_never_goes_back(site):
    before = site.world.clock.now()
    site.start(site.add())
    site.finish()
    site.world.advance()
    after = site.world.clock.now()
    assert after - before > timedelta(hours=1)
    site.ticks.now += 1
    assert site.world.clock.now() - after == timedelta(seconds=1)


def test_second_start_is_refused_while_one_runs(site):
    resource_id = site.add()
    site.start(resource_id)
    with pytest.raises(PsError, match="another update is in progress"):
        site.start(resource_id)


def test_installed_update_cannot_be_started(site):
    resource_id = site.add()
    site.start(resource_id)
    site.finish()
    with pytest.raises(PsError, match="state Installed"):
        site.start(resource_id)


def test_another_update_in_progress_blocks_the_listed_one(site):
    resource_id = site.add()
    site.world.is_other_update_running = True
    assert site.state(resource_id) == "NotApplicableBecauseAnotherUpdateIsInProgress"


@pytest.mark.parametrize(
    ("severity", "switches", "outcome"),
    [
        ("CRITICAL", {"IgnoreWarnings": None}, "HealthCheckFailed"),
        ("WARNING", {}, "HealthCheckFailed"),
        ("WARNING", {"IgnoreWarnings": None}, "Installed"),
        ("INFORMATIONAL", {}, "Installed"),
    ],
)
def test_health_check_blocks_by_severity(site, severity, switches, outcome):
    site.world.health_checks = [
        HealthCheck(name="x", title="Free space", status="FAILURE", severity=severity)
    ]
    resource_id = site.add()
    site.start(resource_id, **switches)
    site.finish()
    assert site.state(resource_id) == outcome


def test_state_moves_only_along_the_table():
    update = SolutionUpdate(resource_id="x", version="1", display_name="x", state="Ready")
    with pytest.raises(ValueError, match="Ready -> Installed"):
        update.move("Installed")


def test_failed_run_tells_the_same_story_everywhere(site):
    site.world.failing_node = "node2"
    resource_id = site.add()
    site.start(resource_id)
    site.finish()
    assert site.state(resource_id) == "InstallationFailed"
    runs, reports = (
        json.loads(text)
        for text in site.values(
            ("Get-SolutionUpdate", {"Id": resource_id}),
            "Get-SolutionUpdateRun",
            ("ConvertTo-Json", {"Depth": 30}),
        )
        + site.values(
            ("Get-CauReport", {"ClusterName": "cluster1", "Detailed": None, "Last": None}),
            ("ConvertTo-Json", {"Depth": 30}),
        )
    )
    assert runs["State"] == 3
    assert "node2" in json.dumps(runs["Progress"])
    failed = [r for r in reports["ClusterResult"]["NodeResults"] if r["Status"] == "Failed"]
    assert [result["Node"]["NodeName"] for result in failed] == ["node2"]
    assert site.values(
        ("wevtutil.exe", ["qe", MANAGEMENT_CHANNEL, "/f:RenderedXml"]),
        ("Measure-Object", {}),
    )[0].properties["Count"] > 3  # fmt: skip


def test_failed_update_may_be_started_again(site):
    site.world.failing_node = "node2"
    resource_id = site.add()
    site.start(resource_id)
    site.finish()
    site.world.advance()
    site.world.failing_node = None
    site.start(resource_id)
    site.finish()
    assert site.state(resource_id) == "Installed"
    runs = site.values(
        ("Get-SolutionUpdate", {"Id": resource_id}),
        "Get-SolutionUpdateRun",
        ("Select-Object", {"ExpandProperty": "State"}),
    )
    assert [str(state) for state in runs] == ["Succeeded", "Failed"]


def test_cau_report_appears_when_the_cau_run_has_ended(site):
    site.start(site.add())
    assert site.values("Get-CauReport") == []
    site.finish()
    (summary,) = site.values("Get-CauReport")
    assert summary.properties["Status"] == "Succeeded"
    assert isinstance(summary.properties["RunId"], UUID)


def test_cau_reports_are_chosen_by_date(site):
    site.start(site.add())
    site.finish()
    after = {"StartDate": "2099-01-01T00:00:00Z"}
    assert site.values(("Get-CauReport", after)) == []
    assert len(site.values(("Get-CauReport", {"StartDate": "2020-01-01"}))) == 1
    with pytest.raises(PsError, match="Parameter set"):
        site.run(("Get-CauReport", {**after, "Last": None}))


def test_cau_run_is_seen_while_it_runs(site):
    assert text_of(site.values("Get-CauRun")) == "RunNotInProgress"
    site.start(site.add())
    site.ticks.now += 70
    (run,) = site.values("Get-CauRun")
    assert str(run.properties["RunState"]) == "RunInProgress"


# --- event logs -----------------------------------------------------------------------------------


def records(path):
    return [record["data"] for record in evtx.PyEvtxParser(str(path)).records()]


def test_exported_log_opens_and_holds_the_events(site):
    site.run(("wevtutil.exe", ["epl", "System", r"C:\Windows\Temp\s.evtx"]))
    found = records(site.drive(r"C:\Windows\Temp\s.evtx"))
    assert len(found) == 3
    assert "6005" in "".join(found)


def test_empty_channel_exports_an_empty_log(site):
    site.run(("wevtutil", ["epl", CAU_CHANNEL, r"C:\e.evtx"]))
    assert records(site.drive(r"C:\e.evtx")) == []


def test_time_filter_keeps_what_is_younger(site):
    later = (site.world.clock.now() + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    for query, count in (
        (f"*[System[TimeCreated[@SystemTime>='{later}']]]", 0),
        ("*[System[TimeCreated[@SystemTime&gt;='2020-01-01T00:00:00Z']]]", 3),
        ("*[System[TimeCreated[timediff(@SystemTime) <= 86400000]]]", 3),
    ):
        seen = site.values(("wevtutil", ["qe", "System", f"/q:{query}"]))
        assert len(seen) == count, query


def test_export_over_an_existing_file_needs_the_option(site):
    stage = ["epl", "System", r"C:\s.evtx"]
    site.run(("wevtutil", stage))
    assert "The file exists" in str(site.run(("wevtutil", stage)).errors[0])
    assert site.run(("wevtutil", [*stage, "/ow:true"])).errors == []


def test_unknown_channel_is_a_native_command_error(site):
    (error,) = site.run(("wevtutil", ["epl", "No-Such/Channel", r"C:\x.evtx"])).errors
    assert error.error_id == "NativeCommandError"
    assert "could not be found" in str(error)


def test_query_that_is_not_understood_is_refused(site):
    (error,) = site.run(("wevtutil", ["qe", "System", "/q:*[Nonsense]"])).errors
    assert "query is invalid" in str(error)
    assert "exit" not in str(error)


def test_events_carry_the_time_of_their_nodes_clock(site):
    ahead = site.world.nodes[1]
    ahead.clock_offset = timedelta(hours=-2)
    started = site.world.clock.now()
    site.start(site.add())
    site.finish()
    events = site.world.events(ahead, CAU_CHANNEL)
    assert events
    assert min(event.time for event in events) < started


# --- what a node tells of itself and of the world outside -------------------------------------


def test_volumes_of_a_node_are_listed_with_the_shared_ones(site):
    letters = [str(volume.properties["DriveLetter"]) for volume in site.values("Get-Volume")]
    assert letters == ["\0", "C", "\0", "\0"]
    (drive,) = site.values(("Get-Volume", {"DriveLetter": "c"}))
    assert drive.properties["Size"] > drive.properties["SizeRemaining"] > 0


def test_drive_that_is_not_there_is_an_error(site):
    (error,) = site.run(("Get-Volume", {"DriveLetter": "X"})).errors
    assert error.error_id.startswith("CmdletizationQuery_NotFound_DriveLetter")


def test_shared_volume_tells_its_path_and_partition(site):
    first, second = site.values(
        "Get-ClusterSharedVolume", ("Select-Object", {"ExpandProperty": "SharedVolumeInfo"})
    )
    assert first.properties["FriendlyVolumeName"] == r"C:\ClusterStorage\Infrastructure_1"
    assert second.properties["Partition"].properties["FreeSpace"] == 2913 << 30


def test_language_mode_is_read_from_a_variable(site):
    site.node.language_mode = "ConstrainedLanguage"
    (told,) = site.values(
        ("Get-Variable", {"Name": "ExecutionContext", "ValueOnly": None}),
        ("Select-Object", {"ExpandProperty": "SessionState"}),
    )
    assert told.properties["LanguageMode"].name == "ConstrainedLanguage"


def test_environment_of_the_machine_is_in_the_registry(site):
    site.node.variables["DISCONNECTED_OPS_SUPPORT"] = "True"
    key = r"HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
    (values,) = site.values(("Get-ItemProperty", {"LiteralPath": key}))
    assert values.properties["DISCONNECTED_OPS_SUPPORT"] == "True"


def test_several_registry_keys_are_read_in_one_call_and_say_which_they_are(site):
    site.node.registry = {
        r"hklm:\system\currentcontrolset\control\filesystem": {"LongPathsEnabled": 1},
        r"hklm:\software\microsoft\windows nt\currentversion": {"UBR": 32370},
    }
    keys = [
        r"HKLM:\SYSTEM\CurrentControlSet\Control\FileSystem",
        r"HKLM:\SOFTWARE\Nowhere",
        r"HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion",
    ]
    heard = site.run(
        ("Get-ItemProperty", {"LiteralPath": keys}),
        (
            "Select-Object",
            {"Property": ["PSPath", "LongPathsEnabled", "CurrentBuildNumber", "UBR"]},
        ),
    )
    root = "Microsoft.PowerShell.Core\\Registry::HKEY_LOCAL_MACHINE\\"
    assert [list(row.properties.values()) for row in heard.values] == [
        [root + r"SYSTEM\CurrentControlSet\Control\FileSystem", 1, None, None],
        [root + r"SOFTWARE\Microsoft\Windows NT\CurrentVersion", None, "26100", 32370],
    ]
    (error,) = heard.errors
    assert error.error_id == "PathNotFound,Microsoft.PowerShell.Commands.GetItemPropertyCommand"


def test_missing_registry_key_can_be_passed_over_in_silence(site):
    key = {"LiteralPath": [r"HKLM:\SOFTWARE\Nowhere"], "ErrorAction": "SilentlyContinue"}
    heard = site.run(("Get-ItemProperty", key))
    assert (heard.values, heard.errors) == ([], [])


def test_key_without_values_of_its_own_yields_nothing(site):
    key = {"LiteralPath": r"HKLM:\SOFTWARE\Microsoft"}
    heard = site.run(("Get-ItemProperty", key))
    assert (heard.values, heard.errors) == ([], [])


def test_paths_of_every_drive_are_tested_in_the_order_of_the_question(site):
    site.node.registry = {r"hklm:\software\vendor\rebootpending": {}}
    paths = [
        r"HKLM:\SOFTWARE\Vendor\RebootPending",
        r"C:\Windows\Temp",
        r"HKLM:\SOFTWARE\Vendor\RebootRequired",
        r"C:\Windows\Nothing",
        r"WSMan:\localhost\MaxEnvelopeSizekb",
        r"WSMan:\localhost\Nothing",
        r"HKLM:\SOFTWARE\Vendor",
    ]
    expected = [True, True, False, False, True, False, True]
    assert site.values(("Test-Path", {"LiteralPath": paths})) == expected
    folders = {"LiteralPath": [paths[0], paths[4]], "PathType": "Container"}
    assert site.values(("Test-Path", folders)) == [True, False]


def test_pattern_that_matches_nothing_is_one_no(site):
    paths = {"Path": [r"C:\Windows\T*", r"C:\Windows\X*"]}
    assert site.values(("Test-Path", paths)) == [True, False]


def test_settings_of_winrm_are_items_with_a_value(site):
    site.node.ready.wsman[r"Client\TrustedHosts"] = "node1,node2"
    paths = [r"WSMan:\localhost\MaxEnvelopeSizekb", r"WSMan:\localhost\Client\TrustedHosts"]
    rows = site.values(
        ("Get-Item", {"LiteralPath": paths}), ("Select-Object", {"Property": ["Name", "Value"]})
    )
    assert [tuple(row.properties.values()) for row in rows] == [
        ("MaxEnvelopeSizekb", "500"),
        ("TrustedHosts", "node1,node2"),
    ]


def test_registry_key_is_an_item_and_a_missing_one_an_error(site):
    key = r"HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
    heard = site.run(("Get-Item", {"LiteralPath": [key, r"HKLM:\SOFTWARE\Nowhere"]}))
    (item,) = heard.values
    assert item.properties["Name"] == "HKEY_LOCAL_MACHINE" + key.removeprefix("HKLM:")
    assert "UBR" in item.properties["Property"]
    (error,) = heard.errors
    assert error.error_id == "PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand"


def test_name_outside_has_an_address_only_if_the_world_says_so(site):
    site.world.resolvable = {"aka.ms"}
    (record,) = site.values(("Resolve-DnsName", {"Name": "AKA.ms", "Type": "A"}))
    assert record.properties["IPAddress"]
    (error,) = site.run(("Resolve-DnsName", {"Name": "mcr.microsoft.com"})).errors
    assert error.error_id == (
        "DNS_ERROR_RCODE_NAME_ERROR,Microsoft.DnsClient.Commands.ResolveDnsName"
    )


def test_name_service_that_is_silent_times_out(site):
    site.world.name_service_answers = False
    (error,) = site.run(("Resolve-DnsName", {"Name": "aka.ms"})).errors
    assert (error.error_id.partition(",")[0], error.category) == (
        "ERROR_TIMEOUT",
        "OperationTimeout",
    )


@pytest.mark.parametrize(
    ("host", "succeeded", "warnings"),
    [
        ("aka.ms", True, []),
        ("mcr.microsoft.com", False, ["TCP connect to (203.0.113.7 : 443) failed"]),
        ("nowhere.example", False, ["Name resolution of nowhere.example failed"]),
    ],
)
def test_port_outside_answers_only_if_the_world_says_so(site, host, succeeded, warnings):
    site.world.reachable, site.world.resolvable = {"aka.ms:443"}, {"mcr.microsoft.com"}
    wanted = {"ComputerName": host, "Port": 443}
    heard = site.run(("Test-NetConnection", {**wanted, "InformationLevel": "Quiet"}))
    assert (heard.values, heard.warnings) == ([succeeded], warnings)
    (detail,) = site.values(("Test-NetConnection", wanted))
    assert detail.properties["TcpTestSucceeded"] is succeeded


def test_update_that_needs_an_sbe_says_whose(site):
    site.world.required_sbe_version = "4.2.2603.1"
    site.add()
    (update,) = site.values("Get-SolutionUpdate")
    assert text_of(update.properties["State"]) == "AdditionalContentRequired"
    assert update.properties["AdditionalProperties"] == {
        "SBEFamily": "GenA",
        "SBEPublisher": "Contoso",
    }


def test_remark_about_the_sbe_is_told_with_the_environment(site):
    assert site.values("Get-SolutionUpdateEnvironment")[0].properties["AdditionalData"] == {}
    site.world.sbe_remark = "partially installed"
    (told,) = site.values("Get-SolutionUpdateEnvironment")
    assert told.properties["AdditionalData"] == {"SBEAdditionalData": "partially installed"}


def test_discovery_tells_how_the_look_at_the_sbe_manifest_ended(site):
    for status in ("ConnectionFailure", "Ok"):
        site.world.sbe_discovery = status
        (told,) = site.values("Get-SolutionDiscoveryDiagnosticInfo")
        assert told.properties["SbeManifestResult"].properties["Status"].name == status


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cmdlet", "field", "value", "properties"),
    [
        ("Get-TimeZone", "time_zone", "Tokyo Standard Time", ["Id"]),
        ("Get-Culture", "culture", "de-DE", ["Name"]),
        ("Get-UICulture", "ui_culture", "fr-FR", ["Name"]),
        ("Get-WinSystemLocale", "system_locale", "ja-JP", ["Name"]),
        ("Get-WinHomeLocation", "geo_id", 94, ["GeoId"]),
    ],
)
def test_setting_of_a_node_is_told(site, cmdlet, field, value, properties):
    setattr(site.node.settings, field, value)
    (told,) = site.values(cmdlet)
    assert [told.properties[name] for name in properties] == [value]


def test_decimal_separator_is_that_of_the_number_format(site):
    site.node.settings.decimal_separator = ","
    stages = ("Get-Culture", ("Select-Object", {"ExpandProperty": "NumberFormat"}))
    (numbers,) = site.values(*stages)
    assert numbers.properties["NumberDecimalSeparator"] == ","


def test_hotfixes_are_listed_or_found_by_id(site):
    site.node.settings.hotfixes = ["KB1", "KB2"]
    (told,) = site.values(("Get-HotFix", {"Id": "kb2"}))
    assert told.properties["HotFixID"] == "KB2"
    assert len(site.values("Get-HotFix")) == 2


def test_actions_of_attack_surface_rules_are_bytes(site):
    site.node.settings.attack_surface_rules = {"a": 1, "b": 2}
    (told,) = site.values("Get-MpPreference")
    assert list(told.properties.values()) == [["a", "b"], b"\x01\x02"]
    site.node.settings.attack_surface_rules = {}
    (told,) = site.values("Get-MpPreference")
    assert list(told.properties.values()) == [None, None]


def test_dvd_drives_are_those_of_all_machines_or_of_one(site):
    site.node.settings.dvd_drives += [DvdDrive(vm="db-01", path=r"D:\iso\setup.iso")]
    told = [drive.properties["Path"] for drive in site.values(("Get-VMDvdDrive", {"VMName": "*"}))]
    assert told == [None, r"D:\iso\setup.iso"]
    assert len(site.values(("Get-VMDvdDrive", {"VMName": "DB-01"}))) == 1


def test_cau_role_that_is_not_installed_is_an_error(site):
    with pytest.raises(PsError, match="not configured"):
        site.run(("Get-CauClusterRole", {"ClusterName": "cluster1"}))
    site.world.settings.cau_role = {"DaysOfWeek": 4}
    (told,) = site.values(("Get-CauClusterRole", {"ClusterName": "cluster1"}))
    assert told.properties == {"Name": "DaysOfWeek", "Value": 4}


def test_events_are_queried_by_provider_and_id(site):
    def asked(provider, event_id):
        query = f"/q:*[System[Provider[@Name='{provider}'] and EventID={event_id}]]"
        return len(site.values(("wevtutil.exe", ["qe", "System", query])))

    assert asked("EventLog", 6005) == 1
    assert (asked("EventLog", 19), asked("Microsoft-Windows-Eventlog", 6005)) == (0, 0)
    heard = site.run(("wevtutil.exe", ["qe", "System", "/q:*[System[Level=2]]"]))
    assert [error.message for error in heard.errors] == [
        "Failed to read events. The specified query is invalid."
    ]
