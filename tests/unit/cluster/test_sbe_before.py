"""An SBE that must be installed before the update goes first, and the update waits for it."""

import pytest

from tests.unit.cluster.fakes import SBE_VERSION, VERSION, Session, World, sbe_files
from tests.unit.cluster.test_cluster import ZIP, Clock, make, medium, outcomes
from toolkit.catalog._paths import SbeMinimum, SbeMoment
from toolkit.cluster import SbeBefore
from toolkit.errors import InputError, SessionLostError
from toolkit.model import UpdateState
from toolkit.site import Journal

TITLE = f"SBE_Contoso_GenA_{SBE_VERSION}"
FOR_NOW = sbe_files(validated="12.2603.*.*")
"""Validated for what runs, not for the update that comes after it."""


class Published:
    """What pages say of the next step."""

    def __init__(self, *rows):
        self.rows = rows

    def sbe_minimums(self, start, goal):
        assert (start, goal) == ("12.2603.1002.15", str(VERSION))
        return self.rows


class Silent:
    def sbe_minimums(self, start, goal):
        raise InputError("read a version", found=start)


def minimum(published="4.2.2604.x", *, family="GenA", when=SbeMoment.BEFORE):
    return SbeMinimum(
        vendor="Contoso", families=(family,), minimum=published, when=when, source="opt-in-page"
    )


@pytest.fixture
def world():
    return World(lists_sbes=True)


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


@pytest.fixture
def said():
    return []


@pytest.fixture
def run(world, journal, said):
    def run(*sbes, manifests=None, **options):
        cluster = make(journal, Clock(), {"n1": Session(world), "n2": Session(world)})
        cluster._progress.say = said.append
        return cluster.import_update(
            medium(*sbes), VERSION, site_id="site-1", manifests=manifests, **options
        )

    return run


def names(world):
    return {path.rpartition("\\")[2] for path in world.files}


def test_sbe_that_must_be_installed_before_is_imported_first_and_nothing_else(run, world, journal):
    result = run(FOR_NOW, manifests=Published(minimum()))
    assert result.update is None
    assert (result.before.name, result.before.state) == (f"SBE{SBE_VERSION}", "Ready")
    assert (result.before.minimum, result.before.installed) == ("4.2.2604.x", "4.2.2512.1616")
    assert (result.differences, result.hidden_by, result.advice) == ((), "", ())
    assert world.add_calls == 1
    assert names(world) >= set(FOR_NOW)
    assert ZIP not in world.files
    assert outcomes(journal)[-4:] == [
        ("predict", "done"),
        (f"submit {TITLE}", "intent"),
        (f"submit {TITLE}", "done"),
        ("predicted", "done"),
    ]


def test_update_waits_until_that_sbe_is_installed_and_is_imported_then(run, world):
    published = Published(minimum())
    run(FOR_NOW, manifests=published)
    again = run(FOR_NOW, manifests=published)
    assert again.before.name == f"SBE{SBE_VERSION}"
    assert (again.copied_bytes, world.add_calls) == (0, 1)
    world.installed_sbe, world.updates[0]["State"] = SBE_VERSION, "Installed"
    done = run(FOR_NOW, manifests=published)
    assert done.update.state is UpdateState.Ready
    assert done.before is None
    assert world.add_calls == 2


def test_sbe_whose_addition_lost_its_reply_is_not_added_twice(run, world, monkeypatch):
    def lost(self, values, command):
        taken(self, values, command)
        raise SessionLostError("add")

    taken = Session._Add_SolutionUpdate
    monkeypatch.setattr(Session, "_Add_SolutionUpdate", lost)
    result = run(FOR_NOW, manifests=Published(minimum()))
    assert result.before.state == "Ready"
    assert world.add_calls == 1


def test_sbe_that_is_not_listed_in_time_is_waited_for_by_the_next_run(run, world):
    world.listed_after = 10**9
    result = run(FOR_NOW, manifests=Published(minimum()), wait_s=60)
    assert (result.before.name, result.before.state) == (f"SBE{SBE_VERSION}", "")
    world.listed_after = 0
    assert run(FOR_NOW, manifests=Published(minimum())).before.state == "Ready"
    assert world.add_calls == 1


@pytest.mark.parametrize(
    ("sbe", "why"),
    [
        (sbe_files(version="4.2.2603.9", validated="12.2603.*.*"), "is older than 4.2.2604.0"),
        (sbe_files(), "not for 12.2603.1002.15"),
        (sbe_files("GenB", validated="12.2603.*.*"), "of the family GenB, the cluster is GenA"),
    ],
    ids=["too old", "not for what runs", "foreign"],
)
def test_update_is_imported_where_no_sbe_of_the_medium_is_that_one_and_says_what_is_missing(
    run, world, said, sbe, why
):
    result = run(sbe, manifests=Published(minimum()))
    assert result.update.state is UpdateState.Ready
    assert result.before.name == ""
    assert why in "; ".join(result.before.against)
    assert world.add_calls == 1
    assert any("must be installed" in line and "carries none" in line for line in said)


def test_update_that_asks_for_a_newer_installed_sbe_itself_gets_it_from_the_medium(run, world):
    world.state_after_add, world.min_sbe = "HasPrerequisite", SBE_VERSION
    result = run(sbe_files(validated="12.*.*.*"))
    assert result.update.state is UpdateState.HasPrerequisite
    assert (result.before.name, result.before.state) == (f"SBE{SBE_VERSION}", "Ready")
    assert "MinSbeVersionRequired" in result.before.why
    assert world.add_calls == 2


def test_listed_update_gets_what_it_asks_for_where_the_one_before_would_hide_it(run, world):
    world.lists_sbes, world.state_after_add = False, "AdditionalContentRequired"
    run()
    result = run(
        sbe_files(version="4.2.2603.5", validated="12.2603.*.*"),
        sbe_files(),
        manifests=Published(minimum("4.2.2603.x")),
    )
    assert result.update.state is UpdateState.Ready
    assert result.before.name == ""
    assert f"older than {SBE_VERSION}" in result.before.against[0]
    assert f"SBE_Contoso_GenA_{SBE_VERSION}.zip" in names(world)
    assert "SBE_Contoso_GenA_4.2.2603.5.zip" not in names(world)


@pytest.mark.parametrize("state", ["Installing", "InstallationFailed", "Installed"])
def test_nothing_goes_before_an_update_that_has_begun(run, world, state):
    world.updates = [
        {"ResourceId": f"redmond/Solution{VERSION}", "Version": str(VERSION), "State": state}
    ]
    assert run(FOR_NOW, manifests=Published(minimum())).before is None
    assert world.add_calls == 0


@pytest.mark.parametrize(
    "published",
    [
        Published(),
        Published(minimum(when=SbeMoment.EITHER)),
        Published(minimum(family="GenB")),
        Published(minimum("4.2.2512.xx")),
    ],
    ids=["none", "may go with it", "of others", "installed"],
)
def test_nothing_goes_first_where_nothing_must(run, world, published):
    result = run(FOR_NOW, manifests=published)
    assert (result.before, world.add_calls) == (None, 1)


@pytest.mark.parametrize(
    ("changes", "manifests", "told"),
    [
        ({"installed_sbe": "?"}, Published(minimum()), "the cluster says '?'"),
        ({"sbe_family": ""}, Published(minimum()), "does not tell its SBE's family"),
        ({}, Silent(), "which SBE must be installed before"),
    ],
)
def test_what_cannot_be_checked_is_said_and_does_not_stop_the_import(
    run, world, said, changes, manifests, told
):
    for name, value in changes.items():
        setattr(world, name, value)
    assert run(manifests=manifests).update is not None
    assert any(line.startswith("not checked") and told in line for line in said)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("", "next: ferry run start SBE4.2.2506.1600"),
        ("Ready", "next: ferry run start SBE4.2.2506.1600"),
        ("Parked", "next: ferry run start SBE4.2.2506.1600"),
        ("Installing", "next: ferry run watch SBE4.2.2506.1600, to its end"),
        ("InstallationFailed", "next: never run it again blindly"),
        ("Installed", "next: wait until the cluster tells that version as installed"),
    ],
)
def test_next_step_is_one_that_the_state_allows(state, says):
    before = SbeBefore(
        family="F",
        minimum="4.2.2506.xx",
        installed="4.1.2412.1201",
        why="the page",
        name="SBE4.2.2506.1600",
        state=state,
    )
    assert before.next_steps[0].startswith(says)
    assert "run this same command again" in before.next_steps[-1]
