import io
import itertools
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cluster.fakes import BUNDLE, VERSION, Medium, Session, World, refusal
from tests.unit.cluster.test_cluster import EXPANDED, ZIP, Clock, make, outcomes
from toolkit.cluster._cmdlets import IMPORT_FOLDER
from toolkit.cluster._import_states import (
    BUDGETS,
    FileStands,
    ImportState,
    Patience,
    Stands,
    state_of,
)
from toolkit.cluster._share_records import ImportStep, Outcome, ShareRecord
from toolkit.errors import (
    ClusterError,
    CommandError,
    ConnectError,
    ReachError,
    SessionLostError,
    StateError,
)
from toolkit.model import PayloadKind, Road
from toolkit.site import Journal

WHOLE = FileStands(is_whole=True, is_proven=True)
ARRIVED = FileStands(is_whole=True, is_proven=False)
ABSENT = FileStands(is_whole=False, is_proven=False)


def stands(*files, submission=None, is_archive=True, is_expanded=False):
    return Stands(
        submission=submission, files=files, is_archive=is_archive, is_expanded=is_expanded
    )


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (stands(ABSENT), ImportState.COPYING),
        (stands(ARRIVED), ImportState.COPIED),
        (stands(WHOLE), ImportState.VERIFIED),
        (stands(ABSENT, is_expanded=True), ImportState.READY),
        (stands(WHOLE, ARRIVED, ABSENT, is_archive=False), ImportState.COPIED),
        (stands(WHOLE, WHOLE, ABSENT, is_archive=False), ImportState.COPYING),
        (stands(WHOLE, WHOLE, is_archive=False), ImportState.READY),
        (stands(ABSENT, submission=Outcome.INTENT), ImportState.SUBMITTED),
        (stands(WHOLE, submission=Outcome.DONE, is_expanded=True), ImportState.SUBMITTED),
        (stands(WHOLE, submission=Outcome.LOST, is_expanded=True), ImportState.READY),
        (stands(WHOLE, submission=Outcome.REFUSED, is_expanded=True), ImportState.READY),
    ],
)
def test_state_is_what_stands_there(found, state):
    assert state_of(found) is state


def test_every_state_has_a_budget():
    assert set(BUDGETS) == set(ImportState)


def test_pauses_grow_up_to_a_limit_and_begin_anew_after_something_moved():
    patience = Patience(patience_s=10_000)
    pauses = [patience.lost(ImportState.COPYING, now=0) for _ in range(9)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    patience.moved()
    assert patience.lost(ImportState.COPYING, now=9_000) == 1


def test_patience_is_counted_from_the_first_loss():
    patience = Patience(patience_s=900)
    assert patience.lost(ImportState.SUBMITTED, now=5_000) is not None
    assert patience.lost(ImportState.SUBMITTED, now=5_899) is not None
    assert patience.lost(ImportState.SUBMITTED, now=5_900) is None


def test_without_patience_the_first_loss_is_the_end():
    assert Patience(patience_s=0).lost(ImportState.COPYING, now=7) is None


def test_what_begins_anew_each_time_is_tried_a_few_times():
    patience = Patience(patience_s=10_000)
    pauses = [patience.lost(ImportState.COPIED, now=0) for _ in range(6)]
    assert None not in pauses[:5]
    assert pauses[5] is None


# --- the machine against a node in memory -------------------------------------------------------


@pytest.fixture
def world():
    return World()


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


def carried():
    return Medium({"bundle.zip": (PayloadKind.SOLUTION_BUNDLE, BUNDLE)})


class Flaky(Session):
    """A session that is lost where a script says so, before or after a command took effect."""

    def __init__(self, world, losses):
        super().__init__(world)
        self.losses = losses

    def invoke(self, command):
        fate = next(self.losses, "")
        if fate == "unreached":
            raise ConnectError("connect", found="refused")
        if fate == "before":
            raise SessionLostError("run")
        reply = super().invoke(command)
        if fate == "after":
            raise SessionLostError("run")
        return reply


def imported(world, journal, *, losses=(), clock=None, **options):
    fates = iter(losses)
    sessions = {name: Flaky(world, fates) for name in ("n1", "n2")}
    cluster = make(journal, clock or Clock(), sessions)
    return cluster.import_update(carried(), VERSION, site_id="site-1", **options)


@pytest.mark.parametrize("fate", ["unreached", "before", "after"])
@pytest.mark.parametrize("at", range(34))
def test_one_loss_anywhere_changes_nothing_in_the_end(world, journal, at, fate):
    result = imported(world, journal, losses=[*itertools.repeat("", at), fate])
    if (
        result.update is None
    ):  # the submission itself never arrived: the same command asks, then adds
        assert world.add_calls == 0
        result = imported(world, journal, wait_s=60)
    assert result.update is not None
    assert world.files[ZIP] == BUNDLE
    assert EXPANDED in world.folders
    assert world.add_calls == 1


@given(st.lists(st.sampled_from(["", "", "", "", "before", "after", "unreached"]), max_size=120))
def test_any_losses_end_in_one_submission_or_in_an_error_of_the_line(tmp_path_factory, losses):
    world, journal = World(), Journal(tmp_path_factory.mktemp("j") / "journal.jsonl")
    for fates in (losses, ()):
        try:
            result = imported(world, journal, losses=fates, wait_s=60)
        except ReachError:
            assert fates
    assert result.update is not None or world.sent.count("Add-SolutionUpdate") == 1
    assert world.files[ZIP] == BUNDLE
    assert world.add_calls <= 1


def test_node_that_went_away_is_replaced_by_the_next(world, journal):
    result = imported(world, journal, losses=[*[""] * 7, "before", "unreached"])
    assert result.nodes == ("n1", "n2")
    assert result.node == "n2"


def test_copy_goes_on_where_it_was_cut_off(world, journal):
    world.loses_copies = 1
    result = imported(world, journal)
    assert result.copied_bytes == len(BUNDLE)
    assert result.recopied_bytes == 0
    assert not [path for path in world.files if path.endswith(".part")]


def test_what_a_restarted_node_had_not_written_is_not_relied_on(world, journal):
    world.loses_copies = 2
    real, waits = Clock(), []

    def restart(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            world.booted_at = "2026-11-26T12:00:00+00:00"
            (part,) = (name for name in world.files if name.endswith(".part"))
            world.files[part] = bytes(len(world.files[part]))

    real.sleep = restart
    imported(world, journal, clock=real)
    assert world.safe_bytes == [None, len(BUNDLE) // 2, 0]
    assert world.files[ZIP] == BUNDLE


def test_what_was_not_relied_on_is_not_relied_on_by_a_later_run(world, journal):
    """The node restarts, and the run that found it so is stopped before it has sent anything."""
    world.loses_copies, world.reaches = 2, lambda: 0.5

    def restart(seconds):
        if world.booted_at.startswith("2026-11-26T12"):
            raise KeyboardInterrupt
        world.booted_at = "2026-11-26T12:00:00+00:00"
        (part,) = (name for name in world.files if name.endswith(".part"))
        world.files[part] = bytes(len(world.files[part]))
        world.reaches = lambda: 0

    clock = Clock()
    clock.sleep = restart
    with pytest.raises(KeyboardInterrupt):
        imported(world, journal, clock=clock)
    world.loses_copies = 0
    imported(world, journal)
    assert world.files[ZIP] == BUNDLE


def left_unfinished(world, *, node, booted_at, data):
    """What an earlier run leaves on the share that was stopped while it copied."""
    folder = IMPORT_FOLDER / "ferry" / str(VERSION)
    written = ShareRecord(
        token=1,
        number=1,
        step=ImportStep.COPY,
        outcome=Outcome.INTENT,
        delivery=str(VERSION),
        path=ZIP,
        node=node,
        site_id="site-1",
        machine="m",
        facts={"booted_at": booted_at},
    )
    world.files[str(folder / written.file_name)] = written.text().encode()
    for ending in ("json", "left"):
        world.files[str(IMPORT_FOLDER / "ferry" / f"token-0000001.{ending}")] = b""
    world.files[ZIP + ".t0000001.part"] = data


@pytest.mark.parametrize("is_up_since", [True, False], ids=["up since", "restarted"])
def test_bytes_through_winrm_vouch_for_nothing_that_stood_there_before_a_restart(
    world, journal, is_up_since
):
    """By that road nothing is cut off, so the next run by SMB must know it."""
    before = world.booted_at if is_up_since else "2026-11-19T12:00:00+00:00"
    left_unfinished(world, node="n1", booted_at=before, data=BUNDLE[:5000])
    world.fail_on["Add-Content"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        imported(world, journal, road=Road.WINRM)
    assert imported(world, journal).update is not None
    assert world.safe_bytes == [None if is_up_since else 0]
    assert world.files[ZIP] == BUNDLE


def test_bytes_through_winrm_vouch_for_a_file_that_they_began(world, journal):
    assert imported(world, journal, road=Road.WINRM).update is not None
    assert world.files[ZIP] == BUNDLE
    assert world.safe_bytes == []
    vouched = [
        ShareRecord.read(data.decode()).facts["booted_at"]
        for path, data in world.files.items()
        if path.endswith("-copy-intent.json")
    ]
    assert vouched == [world.booted_at]


def test_flushing_what_was_flushed_before_is_no_progress(world, journal):
    """Each time the unfinished file is lost with the node, and the same beginning is written again."""
    clock, world.loses_copies, world.flushes = Clock(), 100, True

    def lose_it(seconds):
        Clock.sleep(clock, max(seconds, 100))
        world.booted_at = f"2026-11-26T12:00:00.{int(clock.now):06}+00:00"
        for path in world.files:
            if path.endswith(".part"):
                world.files[path] = b""

    clock.sleep = lose_it
    with pytest.raises(ReachError):
        imported(world, journal, clock=clock, patience_s=600)
    assert clock.now < 1500


def test_later_run_returns_to_the_node_that_wrote(world, journal):
    left_unfinished(world, node="n2", booted_at=world.booted_at, data=BUNDLE[:5000])
    result = imported(world, journal)
    assert result.nodes == ("n1", "n2")
    assert world.safe_bytes == [None]


def test_nothing_getting_further_ends_in_the_last_error_after_the_patience(world, journal):
    clock = Clock()
    world.loses_copies = 10**6
    with pytest.raises(ReachError):
        imported(world, journal, clock=clock, patience_s=600)
    assert 600 <= clock.now < 800
    assert world.add_calls == 0


def test_line_that_gets_a_little_further_each_time_is_borne_for_longer_than_the_patience(
    world, journal
):
    clock = Clock()
    world.loses_copies = 50
    world.reaches = lambda: (51 - world.loses_copies) / 100

    def slow(seconds):
        Clock.sleep(clock, max(seconds, 100))

    clock.sleep = slow
    assert imported(world, journal, clock=clock, patience_s=600).update is not None
    assert clock.now > 5000


@pytest.mark.parametrize("cmdlet", ["Get-SolutionUpdate", "Get-SolutionUpdateEnvironment"])
@pytest.mark.parametrize("words", ["ConnectFailure on [https://", "RestResponse of GatewayTimeout"])
def test_service_that_moves_to_the_next_node_is_waited_for_from_the_first_look_on(
    world, journal, cmdlet, words
):
    clock = Clock()
    world.fail_on[f"{cmdlet} | Select-Object"] = refusal(cmdlet, words)

    def later(seconds):
        world.fail_on.clear()
        Clock.sleep(clock, seconds)

    clock.sleep = later
    assert imported(world, journal, clock=clock).update is not None
    assert clock.now >= 60


def test_unfinished_copy_of_an_older_ferry_is_gone_on_with(world, journal):
    world.files[ZIP + ".part"] = BUNDLE[:5000]
    assert imported(world, journal).copied_bytes == len(BUNDLE) - 5000


def test_folder_with_another_content_than_recorded_is_expanded_anew(world, journal):
    imported(world, journal)
    world.updates.clear()
    del world.files[EXPANDED + r"\SolutionUpdate.xml"]
    assert imported(world, journal, wait_s=60).update is not None
    assert world.files[EXPANDED + r"\SolutionUpdate.xml"]


@pytest.mark.parametrize("node", ["restarted", "silent", "up since"])
def test_expanded_folder_counts_only_as_long_as_its_node_is_up(world, journal, node):
    world.fail_on["Add-SolutionUpdate"] = refusal()
    with pytest.raises(ClusterError):
        imported(world, journal)
    world.fail_on.clear()
    file = EXPANDED + r"\SolutionUpdate.xml"
    world.files[file] = bytes(len(world.files[file]))  # its contents were in memory only
    if node == "restarted":
        world.booted_at = "2026-11-26T12:00:00+00:00"
    elif node == "silent":
        world.fail_on["Get-CimInstance | Select-Object"] = refusal("Get-CimInstance")
    imported(world, journal)
    assert (world.files[file] == b"<xml/>") is (node != "up since")
    assert world.sent.count("Expand-Archive") == (1 if node == "up since" else 2)


def test_folder_of_a_node_that_never_tells_since_when_it_is_up_is_expanded_once(world, journal):
    world.fail_on["Get-CimInstance | Select-Object"] = refusal("Get-CimInstance")
    assert imported(world, journal).update is not None
    assert world.sent.count("Expand-Archive") == 1


@pytest.mark.parametrize("act", ["copy", "expand"])
def test_what_something_on_the_node_takes_away_each_time_is_not_written_for_ever(
    world, journal, act
):
    class Scanned(Flaky):
        def _Move_Item(self, values, command):
            super()._Move_Item(values, command)
            if act == "expand":
                del self.world.files[EXPANDED + r"\SolutionUpdate.xml"]
            return []

        def invoke(self, command):
            if act == "copy" and "Get-ChildItem" in command.name:
                self.world.files.pop(ZIP, None)
            return super().invoke(command)

    cluster = make(journal, Clock(), {"n1": Scanned(world, iter(()))})
    with pytest.raises(ClusterError, match="written 3 times on n1"):
        cluster.import_update(carried(), VERSION, site_id="site-1")
    assert world.add_calls == 0


def taken_away(world, journal, before, times):
    """Import while something takes away what a command is about to use, before the command, so often."""

    class Cleaned(Flaky):
        left = times

        def invoke(self, command):
            path = next(
                (str(v) for k, v in command.pipeline[0].parameters if k == "LiteralPath"), ""
            )
            if command.name.startswith(before) and self.left and (".part" in path or path == ZIP):
                self.left -= 1
                self._Remove_Item({"LiteralPath": path}, command)
                raise CommandError("run", cmdlet=before, found=f"Cannot find path '{path}'")
            return super().invoke(command)

    cluster = make(journal, Clock(), {"n1": Cleaned(world, iter(()))})
    return cluster.import_update(carried(), VERSION, site_id="site-1")


TAKING = ("Get-ChildItem", "Move-Item", "Get-FileHash")


@pytest.mark.parametrize("before", TAKING)
def test_what_is_taken_away_meanwhile_is_written_again(world, journal, before):
    result = taken_away(world, journal, before, times=2)
    assert result.update is not None
    assert world.add_calls == 1


@pytest.mark.parametrize("before", TAKING)
def test_what_is_taken_away_meanwhile_each_time_is_not_written_for_ever(world, journal, before):
    with pytest.raises(ClusterError, match="written 3 times on n1") as stopped:
        taken_away(world, journal, before, times=99)
    assert "virus scanner" in stopped.value.hint
    assert world.add_calls == 0


def test_command_that_fails_and_takes_nothing_away_stops_the_import(world, journal):
    class Full(Flaky):
        def _Move_Item(self, values, command):
            raise CommandError("run Move-Item", cmdlet="Move-Item", found="not enough space")

    cluster = make(journal, Clock(), {"n1": Full(world, iter(()))})
    with pytest.raises(CommandError, match="not enough space"):
        cluster.import_update(carried(), VERSION, site_id="site-1")


def test_expansion_of_what_an_earlier_run_copied_is_compared_with_the_medium(world, journal):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("SolutionUpdate.xml", "<xml/>")
        archive.writestr("Nuget/Deep.nupkg", "too long a path there")
    whole = Medium({"bundle.zip": (PayloadKind.SOLUTION_BUNDLE, packed.getvalue())})
    for _ in range(2):
        cluster = make(journal, Clock(), {"n1": Session(world)})
        with pytest.raises(ClusterError, match=r"1 of 2 files are missing.*deep\.nupkg"):
            cluster.import_update(whole, VERSION, site_id="site-1")
    assert world.sent.count("Get-FileHash") == 1
    assert world.add_calls == 0


def test_archive_whose_directory_cannot_be_read_is_told(world, journal):
    said = []
    cluster = make(journal, Clock(), {"n1": Session(world)})
    cluster._progress.say = said.append
    cluster.import_update(carried(), VERSION, site_id="site-1")
    assert any(line.startswith("not checked: what is expanded") for line in said)


def test_what_an_import_did_stands_on_the_share(world, journal):
    imported(world, journal)
    names = [path.rpartition("\\")[2] for path in world.files if r"\ferry" in path]
    assert names == [
        "token-0000001.json",
        "0000001-0001-copy-intent.json",
        "0000001-0002-verify-done.json",
        "0000001-0003-expand-intent.json",
        "0000001-0004-expand-done.json",
        "0000001-0005-submit-intent.json",
        "0000001-0006-submit-done.json",
        "token-0000001.left",
    ]


def test_torn_record_is_passed_over(world, journal):
    folder = IMPORT_FOLDER / "ferry" / str(VERSION)
    world.files[str(folder / "0000001-0005-submit-done.json")] = b'{"kind": "ferry-sh'
    assert imported(world, journal).update is not None
    assert world.add_calls == 1


def test_another_laptop_asks_before_it_adds_what_the_first_one_added(world, journal, tmp_path):
    world.listed_after = 10**9
    imported(world, journal, wait_s=60)
    world.listed_after = 0
    other = Journal(tmp_path / "other.jsonl")
    cluster = make(other, Clock(), {"n1": Session(world)})
    assert cluster.import_update(carried(), VERSION, site_id="site-2").update is not None
    assert world.add_calls == 1
    assert outcomes(other) == [("submit", "done")] or outcomes(other) == []


@pytest.mark.parametrize("name", ["CombinedSolutionBundle.12.2601.1.1.zip", f"{VERSION}1"])
def test_leftovers_of_another_version_are_named_and_left(world, journal, name):
    stays = str(IMPORT_FOLDER / name)
    world.files[stays] = b"old"
    said = []
    cluster = make(journal, Clock(), {"n1": Session(world)})
    cluster._progress.say = said.append
    cluster.import_update(carried(), VERSION, site_id="site-1")
    assert world.files[stays] == b"old"
    assert any(f"{name} (3 B)" in line for line in said)


def test_something_foreign_under_our_name_is_refused_and_the_token_given_back(world, journal):
    world.files[ZIP] = b"other"
    with pytest.raises(StateError, match="does not know it"):
        imported(world, journal)
    assert str(IMPORT_FOLDER / "ferry" / "token-0000001.left") in world.files
