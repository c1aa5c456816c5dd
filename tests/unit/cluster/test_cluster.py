import io
import json
import re
from datetime import UTC, datetime

import pytest

from tests.unit.cluster.fakes import (
    BUNDLE,
    SBE,
    SBE_VERSION,
    VERSION,
    Medium,
    Session,
    Unreachable,
    World,
    refusal,
    sbe_files,
)
from toolkit.cluster import CLUSTER_SOURCES, NODE_SOURCES, Cluster, _cmdlets, judge_time
from toolkit.cluster._checks import MARKERS
from toolkit.cluster._cmdlets import IMPORT_FOLDER, PACKAGES_FOLDER
from toolkit.errors import (
    AuthenticationError,
    CommandError,
    DigestError,
    InputError,
    ReachError,
    SessionLostError,
    StateError,
    StorageError,
)
from toolkit.logbundle import LogBundle, LogBundleWriter
from toolkit.model import KnownCluster, Node, PayloadKind, SolutionVersion, UpdateState
from toolkit.site import Journal

ZIP = str(IMPORT_FOLDER / "bundle.zip")
EXPANDED = str(IMPORT_FOLDER / str(VERSION))
VERSION_THAT_IMPORTS = SolutionVersion.parse("12.2601.1002.1")


class Clock:
    def __init__(self):
        self.now, self.slept = 0.0, []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def world():
    return World()


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


@pytest.fixture
def cluster(world, journal, clock):
    return make(journal, clock, {"n1": Session(world), "n2": Session(world)})


def make(journal, clock, sessions):
    return Cluster(
        KnownCluster(name="plant7", nodes=tuple(Node(name=n, address=n) for n in sessions)),
        connect=lambda node: sessions[node.name],
        journal=journal,
        sleep=clock.sleep,
        clock=clock,
    )


def medium(*sbes):
    """A medium with a solution bundle and SBEs, each the three files of `sbe_files`."""
    files = {"bundle.zip": (PayloadKind.SOLUTION_BUNDLE, BUNDLE)}
    for number, sbe in enumerate(sbes):
        files |= {f"sbe/{number}/{name}": (PayloadKind.SBE, data) for name, data in sbe.items()}
    return Medium(files)


def outcomes(journal, subject=f"import {VERSION}"):
    return [(e.step, e.outcome) for e in journal.entries(cluster="plant7", subject=subject)]


# --- import -------------------------------------------------------------------------------------


def test_import_copies_proves_expands_adds_and_waits_until_listed(cluster, world, journal):
    world.listed_after = 3
    result = cluster.import_update(medium(), VERSION, site_id="site-1", poll_s=30)
    assert result.update.state is UpdateState.Ready
    assert result.copied_bytes == len(BUNDLE)
    assert world.files[ZIP] == BUNDLE
    assert EXPANDED in world.folders
    assert world.add_calls == 1
    assert outcomes(journal) == [
        ("copy bundle.zip", "intent"),
        ("copy bundle.zip", "done"),
        ("expand", "intent"),
        ("expand", "done"),
        ("predict", "done"),
        ("submit", "intent"),
        ("submit", "done"),
        ("predicted", "done"),
    ]


def test_polling_slows_down(cluster, world, clock):
    world.listed_after = 6
    cluster.import_update(medium(), VERSION, site_id="site-1", poll_s=30)
    *polls, before_the_second_look = clock.slept
    assert polls == sorted(polls)
    assert polls[0] == 30
    assert polls[-1] > 60
    assert before_the_second_look == 120


def test_version_not_listed_in_time_is_an_answer_not_an_error(cluster, world):
    world.listed_after = 10**9
    assert cluster.import_update(medium(), VERSION, site_id="site-1", wait_s=300).update is None


def test_second_import_of_a_listed_version_changes_nothing(cluster, world):
    cluster.import_update(medium(), VERSION, site_id="site-1")
    world.sent.clear()
    assert cluster.import_update(medium(), VERSION, site_id="site-1").copied_bytes == 0
    assert world.add_calls == 1
    assert not any("Expand" in name or "Add" in name for name in world.sent)


def test_import_again_while_not_listed_only_asks(cluster, world):
    world.listed_after = 10**9
    cluster.import_update(medium(), VERSION, site_id="site-1", wait_s=60)
    world.listed_after = 0
    assert cluster.import_update(medium(), VERSION, site_id="site-1").update is not None
    assert world.add_calls == 1


def test_file_that_arrived_earlier_is_not_copied_again(cluster, world, journal):
    world.fail_on["Expand-Archive"] = SessionLostError("expand")
    with pytest.raises(SessionLostError):
        cluster.import_update(medium(), VERSION, site_id="site-1")
    world.fail_on.clear()
    assert cluster.import_update(medium(), VERSION, site_id="site-1").copied_bytes == 0


def test_half_expanded_folder_is_expanded_anew(cluster, world):
    world.fail_on["Move-Item"] = SessionLostError("move")
    with pytest.raises(SessionLostError):
        cluster.import_update(medium(), VERSION, site_id="site-1")
    world.fail_on.clear()
    cluster.import_update(medium(), VERSION, site_id="site-1")
    assert EXPANDED in world.folders
    assert EXPANDED + ".part" not in world.folders


def test_submission_of_unknown_outcome_that_took_effect_is_not_repeated(cluster, world, journal):
    journal.append(cluster="plant7", subject=f"import {VERSION}", step="expand", outcome="done")
    journal.append(cluster="plant7", subject=f"import {VERSION}", step="submit", outcome="intent")
    world.folders.add(EXPANDED)
    world.updates = [{"ResourceId": f"redmond/Solution{VERSION}", "State": "Ready"}]
    world.listed_after = 3
    assert cluster.import_update(medium(), VERSION, site_id="site-1").update is not None
    assert world.add_calls == 0
    assert outcomes(journal)[-1] == ("submit", "done")


def test_submission_that_never_arrived_is_sent_after_the_whole_wait(cluster, world, journal, clock):
    journal.append(cluster="plant7", subject=f"import {VERSION}", step="expand", outcome="done")
    journal.append(cluster="plant7", subject=f"import {VERSION}", step="submit", outcome="intent")
    world.folders.add(EXPANDED)
    assert cluster.import_update(medium(), VERSION, site_id="site-1", wait_s=600).update is not None
    assert world.add_calls == 1
    assert clock.now >= 600


def test_update_that_the_cluster_lost_is_added_again(cluster, world, journal):
    cluster.import_update(medium(), VERSION, site_id="site-1")
    world.updates.clear()
    assert cluster.import_update(medium(), VERSION, site_id="site-1", wait_s=60).update is not None
    assert world.add_calls == 2
    assert ("submit", "lost") in outcomes(journal)


def test_update_still_being_discovered_is_not_added_again(cluster, world):
    cluster.import_update(medium(), VERSION, site_id="site-1")
    world.updates.clear()
    world.folders.add(str(PACKAGES_FOLDER / f"Solution{VERSION}"))
    assert cluster.import_update(medium(), VERSION, site_id="site-1", wait_s=60).update is None
    assert world.add_calls == 1


def test_journal_of_a_removed_cluster_does_not_count_for_its_successor(cluster, world, journal):
    cluster.import_update(medium(), VERSION, site_id="site-1")
    journal.append(cluster="plant7", subject="site", step="remove-cluster", outcome="done")
    world.updates.clear()
    world.files = {path: data for path, data in world.files.items() if "ferry" not in path}
    with pytest.raises(StateError, match="does not know it"):
        cluster.import_update(medium(), VERSION, site_id="site-1")


class KilledError(BaseException):
    """The process ended here."""


class DyingJournal:
    """A journal whose process ends once it has so many lines."""

    def __init__(self, journal, lines):
        self.journal, self.left, self.entries = journal, lines, journal.entries

    def append(self, **entry):
        self.journal.append(**entry)
        self.left -= 1
        if self.left == 0:
            raise KilledError


@pytest.mark.parametrize("lines", range(1, 8))
def test_import_killed_behind_any_line_of_its_journal_is_finished_and_added_once(
    world, journal, clock, lines
):
    judged = judge_time(datetime.now(UTC), (), floor=datetime.now(UTC))
    dying = make(DyingJournal(journal, lines), clock, {"n1": Session(world)})
    with pytest.raises(KilledError):
        dying.import_update(medium(), VERSION, site_id="site-1", judged=judged)
    assert len(outcomes(journal)) == lines
    result = make(journal, clock, {"n1": Session(world)}).import_update(
        medium(), VERSION, site_id="site-1", judged=judged
    )
    assert result.update.state is UpdateState.Ready
    assert world.add_calls == 1
    assert EXPANDED in world.folders
    assert [step for step, _ in outcomes(journal)].count("time") == 2


def test_refused_submission_is_told_in_the_clusters_words(cluster, world, journal):
    world.fail_on["Add-SolutionUpdate"] = refusal()
    with pytest.raises(CommandError, match="not enough space") as refused:
        cluster.import_update(medium(), VERSION, site_id="site-1")
    assert outcomes(journal)[-1] == ("submit", "refused")
    assert "nothing was added" in refused.value.hint
    assert "`ferry cluster check`" in refused.value.hint
    world.fail_on.clear()
    result = cluster.import_update(medium(), VERSION, site_id="site-1")
    assert (result.copied_bytes, world.add_calls) == (0, 1)


def test_submission_that_the_service_did_not_answer_in_time_counts_as_sent(
    cluster, world, journal, monkeypatch
):
    def starved(self, values, command):
        taken(self, values, command)
        raise refusal(words="A RestResponse of GatewayTimeout was received calling Put on https://")

    taken = Session._Add_SolutionUpdate
    monkeypatch.setattr(Session, "_Add_SolutionUpdate", starved)
    world.listed_after = 10**9
    assert cluster.import_update(medium(), VERSION, site_id="site-1", wait_s=60).update is None
    assert outcomes(journal)[-2] == ("submit", "intent")
    world.listed_after = 0
    assert cluster.import_update(medium(), VERSION, site_id="site-1").update is not None
    assert world.add_calls == 1


def test_byte_altered_in_transit_is_caught_by_the_nodes_hash(cluster, world, journal):
    world.flip_in_transit = True
    with pytest.raises(DigestError, match=r"bundle\.zip on node n1"):
        cluster.import_update(medium(), VERSION, site_id="site-1")
    assert ZIP not in world.files
    assert world.add_calls == 0
    world.flip_in_transit = False
    assert cluster.import_update(medium(), VERSION, site_id="site-1").update is not None


def test_file_that_somebody_else_put_there_is_not_touched(cluster, world):
    world.files[ZIP] = b"other"
    with pytest.raises(StateError, match="does not know it"):
        cluster.import_update(medium(), VERSION, site_id="site-1")
    assert world.files[ZIP] == b"other"


def test_folder_that_somebody_else_put_there_is_not_used(cluster, world):
    world.folders.add(EXPANDED)
    with pytest.raises(StateError, match="does not know it"):
        cluster.import_update(medium(), VERSION, site_id="site-1")
    assert world.add_calls == 0


def test_version_that_is_not_on_the_medium_is_refused_first(cluster, world):
    with pytest.raises(InputError, match=r"12\.2604\.1003\.9"):
        cluster.import_update(medium(), SolutionVersion.parse("12.2603.1002.15"), site_id="s")
    assert not any("New-Item" in name for name in world.sent)


def test_sbe_of_the_medium_is_added_when_the_update_asks_for_it(cluster, world):
    world.state_after_add = "AdditionalContentRequired"
    result = cluster.import_update(medium(SBE), VERSION, site_id="site-1")
    assert result.update.state is UpdateState.Ready
    assert world.add_calls == 2
    assert {path.rpartition("\\")[2] for path in world.files} >= set(SBE)


def test_sbe_whose_addition_lost_its_reply_is_not_called_unimported(cluster, world, monkeypatch):
    def lost(self, values, command):
        taken(self, values, command)
        if self.world.add_calls == 2:
            raise SessionLostError("add")
        return []

    taken, said = Session._Add_SolutionUpdate, []
    monkeypatch.setattr(Session, "_Add_SolutionUpdate", lost)
    cluster._progress.say = said.append
    world.state_after_add = "AdditionalContentRequired"
    result = cluster.import_update(medium(SBE), VERSION, site_id="site-1")
    assert (result.update.state, world.add_calls) == (UpdateState.Ready, 2)
    assert not any("not imported" in line for line in said)


def test_another_sbe_for_the_same_update_is_sent_to_a_folder_of_its_own_and_added_at_once(
    cluster, world, journal, clock
):
    world.state_after_add, world.asks_for_sbe = "AdditionalContentRequired", ""
    cluster.import_update(medium(sbe_files(version="4.2.2603.1")), VERSION, site_id="site-1")
    world.updates[0]["State"] = "AdditionalContentRequired"  # that one was not enough
    asked, world.sent[:] = world.add_calls, []
    cluster.import_update(medium(SBE), VERSION, site_id="site-1")
    assert world.add_calls == asked + 1
    (folder,) = {path.rpartition("\\")[0] for path in world.files if "4.2.2604.1.zip" in path}
    assert {path.rpartition("\\")[2] for path in world.files if path.startswith(folder)} == set(SBE)
    assert ("submit SBE_Contoso_GenA_4.2.2604.1", "done") in outcomes(journal)
    assert ("submit SBE_Contoso_GenA_4.2.2603.1", "lost") not in outcomes(journal)


def test_sbe_that_is_asked_for_and_not_on_the_medium_is_named_with_its_files(cluster, world):
    world.state_after_add = "AdditionalContentRequired"
    world.additional = {
        "SBEPublisher": "Contoso",
        "SBEFamily": "GenA",
        "SBEReleaseLink": "https://oem.example/notes",
        "SBENotifyMessage": "update the BMC first",
    }
    needs = cluster.import_update(medium(), VERSION, site_id="site-1").needs
    assert needs.files == (
        "SBE_Discovery_Contoso.xml",
        f"SBE_Contoso_GenA_{SBE_VERSION}.xml",
        f"SBE_Contoso_GenA_{SBE_VERSION}.zip",
    )
    assert needs.release_link == "https://oem.example/notes"
    assert needs.notify_message == "update the BMC first"


def test_sbe_is_left_alone_when_nobody_asks_for_it(cluster, world):
    cluster.import_update(medium(SBE), VERSION, site_id="site-1")
    assert world.add_calls == 1


@pytest.mark.parametrize(
    ("sbe", "reason"),
    [
        (sbe_files("GenB"), "of the family GenB, the cluster is GenA"),
        (sbe_files(version="4.2.2511.1"), "older than the installed 4.2.2512.1616"),
        (sbe_files(version="4.2.2603.1"), "older than 4.2.2604.1, which the update asks for"),
        (sbe_files(validated="12.2603.*.*"), "not for 12.2604.1003.9"),
    ],
    ids=["foreign", "older", "not asked for", "not validated"],
)
def test_sbe_that_would_hide_the_update_is_refused_before_anything_of_it_is_sent(
    cluster, world, sbe, reason
):
    world.state_after_add = "AdditionalContentRequired"
    with pytest.raises(StateError, match=re.escape(reason)) as refused:
        cluster.import_update(medium(sbe), VERSION, site_id="site-1")
    assert "hides solution updates" in refused.value.hint
    assert world.add_calls == 1
    assert not any(path.rpartition("\\")[2] in sbe for path in world.files)


def test_the_sbe_that_fits_is_chosen_among_several(cluster, world):
    world.state_after_add = "AdditionalContentRequired"
    cluster.import_update(medium(sbe_files("GenB"), SBE), VERSION, site_id="site-1")
    sent = {path.rpartition("\\")[2] for path in world.files}
    assert sent >= set(SBE)
    assert not any("GenB" in name for name in sent)


def test_of_two_sbes_that_fit_the_newest_is_chosen(cluster, world):
    world.state_after_add, world.asks_for_sbe = "AdditionalContentRequired", ""
    older = sbe_files(version="4.2.2603.1")
    cluster.import_update(medium(older, SBE), VERSION, site_id="site-1")
    sent = {path.rpartition("\\")[2] for path in world.files}
    assert "SBE_Contoso_GenA_4.2.2604.1.zip" in sent
    assert "SBE_Contoso_GenA_4.2.2603.1.zip" not in sent


def test_sbe_of_which_nobody_knows_whether_it_fits_is_refused_with_what_is_open(cluster, world):
    world.state_after_add, world.asks_for_sbe = "AdditionalContentRequired", ""
    with pytest.raises(StateError, match=r"which versions SBE_\S+ is validated for is not known"):
        cluster.import_update(medium(sbe_files(validated="")), VERSION, site_id="site-1")
    assert world.add_calls == 1


@pytest.mark.parametrize("lost", sorted(SBE))
def test_sbe_without_one_of_its_files_is_refused_first(cluster, world, lost):
    incomplete = {name: data for name, data in SBE.items() if name != lost}
    with pytest.raises(InputError, match="SBE"):
        cluster.import_update(medium(incomplete), VERSION, site_id="site-1")
    assert not any("New-Item" in name for name in world.sent)


def test_sbe_that_its_own_discovery_manifest_does_not_list_is_refused(cluster, world):
    odd = {**sbe_files("GenB"), "SBE_Discovery_Contoso.xml": SBE["SBE_Discovery_Contoso.xml"]}
    with pytest.raises(InputError, match="no entry for SBE_Contoso_GenB"):
        cluster.import_update(medium(odd), VERSION, site_id="site-1")
    assert world.add_calls == 0


def test_service_that_says_not_now_at_the_first_question_is_asked_again(
    cluster, world, clock, monkeypatch
):
    def busy(self, values, command):
        if clock.now < 200:
            raise refusal("Get-SolutionUpdateEnvironment", "RestResponse of GatewayTimeout")
        return told(self, values, command)

    told = Session._Get_SolutionUpdateEnvironment
    monkeypatch.setattr(Session, "_Get_SolutionUpdateEnvironment", busy)
    cluster.require_importing(medium(), VERSION, lowest=VERSION_THAT_IMPORTS)
    assert clock.slept == [60, 90, 135]


@pytest.mark.parametrize(("words", "slept"), [("GatewayTimeout", 787), ("it is broken", 0)])
def test_service_that_stays_silent_or_says_something_else_ends_it(
    cluster, world, clock, words, slept
):
    world.fail_on[_cmdlets.environment().name] = refusal(words=words)
    with pytest.raises(CommandError, match=words):
        cluster.require_importing(medium(), VERSION, lowest=VERSION_THAT_IMPORTS, wait_s=600)
    assert int(sum(clock.slept)) == slept


def test_unreachable_node_is_passed_over(world, journal, clock):
    cluster = make(journal, clock, {"n1": Unreachable(), "n2": Session(world)})
    assert cluster.import_update(medium(), VERSION, site_id="site-1").node == "n2"


def test_submission_that_is_lost_is_not_sent_again_through_another_node(cluster, world):
    world.fail_on["Add-SolutionUpdate"] = SessionLostError("add")
    assert cluster.import_update(medium(), VERSION, site_id="site-1", wait_s=60).update is None
    assert world.sent.count("Add-SolutionUpdate") == 1


def test_refused_password_is_tried_on_one_node_only(cluster, world):
    world.fail_on["Test-Path"] = AuthenticationError("log on")
    with pytest.raises(AuthenticationError):
        cluster.discover()
    assert len(world.sent) == 1


def test_machine_that_is_no_azure_local_node_is_said_to_be_none(cluster, world):
    world.folders.clear()
    with pytest.raises(StateError, match="infrastructure share of an Azure Local cluster"):
        cluster.import_update(medium(), VERSION, site_id="site-1")
    assert set(world.sent) == {"Test-Path"}


def test_no_node_answering_is_a_reach_error(journal, clock):
    with pytest.raises(ReachError, match="refused"):
        make(journal, clock, {"n1": Unreachable()}).discover()


# --- runs ---------------------------------------------------------------------------------------


def listed(world, state):
    world.updates = [
        {"ResourceId": f"redmond/Solution{VERSION}", "Version": str(VERSION), "State": state}
    ]
    world.listed_after = 0


RUNS = (
    '[{"ResourceId":"r/1","State":2,"TimeStarted":"\\/Date(1760000000000)\\/","Progress":null},'
    '{"ResourceId":"r/2","State":1,"TimeStarted":"\\/Date(1770000000000)\\/",'
    '"Progress":{"Name":"Start update","Status":"Error","Steps":['
    '{"Name":"Update Host OS","Status":"Error","ErrorMessage":"outer","Steps":['
    '{"Name":"CAU","Status":"Error","ErrorMessage":"root cause"}]}]}}]'
)


def test_look_takes_the_newest_run_with_its_state_by_name(cluster, world):
    listed(world, "InstallationFailed")
    world.runs = RUNS
    world.run_states = [
        {"ResourceId": "r/1", "State": "Succeeded"},
        {"ResourceId": "r/2", "State": "Failed"},
    ]
    sight = cluster.look(VERSION)
    assert (sight.run.resource_id, sight.run.state_raw) == ("r/2", "Failed")
    assert sight.has_failed
    assert not sight.is_moving


def test_update_without_a_run_is_shown_as_such(cluster, world):
    listed(world, "Ready")
    sight = cluster.look(VERSION)
    assert sight.run is None
    assert not sight.has_failed


def test_watch_ends_when_nothing_moves(cluster, world, clock):
    listed(world, "Installing")
    seen = []
    for look in cluster.watch(VERSION, poll_s=5):
        seen.append(look.sight.update.state_raw)
        listed(world, "Installed" if len(seen) == 2 else "Installing")
    assert seen == ["Installing", "Installing", "Installed"]
    assert clock.slept == [5, 5]


def test_watch_survives_nodes_that_restart(cluster, world):
    listed(world, "Installing")
    looks = cluster.watch(VERSION, poll_s=5)
    next(looks)
    world.fail_on["Test-Path"] = SessionLostError("ask")
    listed(world, "Installed")

    def back(seconds):
        world.fail_on.clear()

    cluster._sleep = back
    world.fail_on.clear()
    assert next(looks).sight.update.state is UpdateState.Installed


def test_watch_gives_up_when_no_node_answers_for_too_long(cluster, world, clock):
    world.fail_on["Test-Path"] = SessionLostError("ask")
    with pytest.raises(ReachError, match=r"n1: .*; n2: "):
        list(cluster.watch(VERSION, poll_s=60, patience_s=600))
    assert 600 < clock.now < 1000


def test_watch_does_not_hide_a_refused_password(cluster, world, clock):
    world.fail_on["Test-Path"] = AuthenticationError("log on")
    with pytest.raises(AuthenticationError):
        list(cluster.watch(VERSION))
    assert clock.slept == []


# --- evidence -----------------------------------------------------------------------------------

SINCE = datetime(2026, 11, 1, tzinfo=UTC)


def collect(cluster, tmp_path):
    with LogBundleWriter(tmp_path / "b.zip", cluster="plant7") as writer:
        cluster.collect(writer, since=SINCE)
    return LogBundle(tmp_path / "b.zip")


def test_every_source_of_every_node_is_in_the_bundle(cluster, world, tmp_path):
    with collect(cluster, tmp_path) as bundle:
        assert {m.source for m in bundle.members if m.node == "n1"} == set(NODE_SOURCES)
        assert {m.source for m in bundle.members if m.node == "n2"} == set(NODE_SOURCES)
        assert {m.source for m in bundle.members if not m.node} == set(CLUSTER_SOURCES)
        assert bundle.gaps == ()
        sink = io.BytesIO()
        bundle.copy(bundle.members[0], sink)
        assert sink.getvalue().startswith(b"ElfFile")


def test_scratch_folder_is_removed_from_every_node(cluster, world, tmp_path):
    collect(cluster, tmp_path).close()
    assert world.files == {}


def test_scratch_folder_is_removed_also_when_the_disk_here_is_full(cluster, world, tmp_path):
    writer = LogBundleWriter(tmp_path / "b.zip", cluster="plant7")

    def full(*arguments, **options):
        raise StorageError("write log bundle")

    writer.add = full
    with pytest.raises(StorageError):
        cluster.collect(writer, since=SINCE)
    writer.abandon()
    assert not any("ferry-" in folder for folder in world.folders)


def test_unreachable_node_is_a_named_gap(world, journal, clock, tmp_path):
    cluster = make(journal, clock, {"n1": Unreachable(), "n2": Session(world)})
    with collect(cluster, tmp_path) as bundle:
        assert [(gap.node, gap.reason) for gap in bundle.gaps] == [("n1", "unreachable")]
        assert {m.source for m in bundle.members if not m.node} == set(CLUSTER_SOURCES)


def test_no_node_answering_leaves_a_bundle_of_gaps(journal, clock, tmp_path):
    with collect(make(journal, clock, {"n1": Unreachable()}), tmp_path) as bundle:
        assert bundle.members == ()
        assert {gap.source for gap in bundle.gaps} == {"", *CLUSTER_SOURCES}


def test_cmdlet_that_fails_is_a_gap_and_the_others_go_on(cluster, world, tmp_path):
    name = next(iter(["Get-Cluster | Select-Object"]))
    world.fail_on[name] = refusal("Get-Cluster", "access denied")
    with collect(cluster, tmp_path) as bundle:
        assert [(gap.source, gap.reason) for gap in bundle.gaps] == [("cau-reports.json", "failed")]
        assert "access denied" in bundle.gaps[0].detail


def test_command_that_prints_nothing_is_collected_and_empty(cluster, world, tmp_path):
    world.nothing_from = {"wevtutil.exe | Set-Content"}
    with collect(cluster, tmp_path) as bundle:
        assert bundle.gaps == ()
        assert {m.source for m in bundle.members if m.size_bytes == 0} == {
            "cau.xml",
            "cau-management.xml",
        }


def test_node_lost_in_the_middle_names_what_is_missing_and_the_next_node_tells_of_the_cluster(
    world, journal, clock, tmp_path
):
    dying = World()
    dying.fail_on["wevtutil.exe | Set-Content"] = SessionLostError("render")
    cluster = make(journal, clock, {"n1": Session(dying), "n2": Session(world)})
    with collect(cluster, tmp_path) as bundle:
        assert {gap.source for gap in bundle.gaps} == {"cau.xml", "cau-management.xml"}
        assert {gap.node for gap in bundle.gaps} == {"n1"}
        assert {m.source for m in bundle.members if not m.node} == set(CLUSTER_SOURCES)


def test_refused_password_stops_the_collection_at_the_first_node(cluster, world, tmp_path):
    world.fail_on["New-Item"] = AuthenticationError("log on")
    with pytest.raises(AuthenticationError):
        collect(cluster, tmp_path)
    assert world.sent == ["New-Item"]
    assert list(tmp_path.glob("b.zip*")) == []


def test_markers_of_failed_cau_runs_are_taken_with_what_stands_in_them(cluster, world, tmp_path):
    marker = str(MARKERS[1])
    world.files[marker] = b"CAU Run failed." + b"x" * 100_000
    collect(cluster, tmp_path)
    with LogBundle(tmp_path / "b.zip") as bundle:
        (member,) = [one for one in bundle.members if one.source == "breadcrumbs.json"]
        sink = io.BytesIO()
        bundle.copy(member, sink)
    (found,) = json.loads(sink.getvalue())
    assert (found["Path"], found["Text"][:15]) == (marker, "CAU Run failed.")
    assert len(found["Text"]) == 65_536
    assert world.files[marker].startswith(b"CAU")
