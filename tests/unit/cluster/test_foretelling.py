"""What is foretold is written down before, and judged once when the list has come to rest."""

import pytest

from tests.unit.cluster.fakes import SBE_VERSION, VERSION, Session, World, refusal, sbe_files
from toolkit.cluster._foretelling import Foretelling
from toolkit.cluster._sbe_carried import CarriedSbe
from toolkit.errors import CommandError, StateError
from toolkit.model import Silent
from toolkit.sbe import describe_sbe, sbe_named
from toolkit.site import Journal

SUBJECT = f"import {VERSION}"
RIGHT, WRONG = SBE_VERSION, "4.2.2603.9"
ASKING = {
    "ResourceId": f"redmond/Solution{VERSION}",
    "Version": str(VERSION),
    "PackageType": "Solution",
    "State": "AdditionalContentRequired",
    "SbeVersion": RIGHT,
}
WRONG_ROW = {
    "ResourceId": f"redmond/SBE{WRONG}",
    "Version": WRONG,
    "PackageType": "SBE",
    "State": "HasPrerequisite",
    "SbeVersion": WRONG,
}


@pytest.fixture
def world():
    return World(updates=[dict(ASKING)])


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


@pytest.fixture
def foretelling(world, journal):
    """Return a factory: each one is a new run of the command, with the same journal."""
    now = [0.0]

    def make(**changes):
        def note(step, outcome, **facts):
            journal.append(cluster="plant7", subject=SUBJECT, step=step, outcome=outcome, **facts)

        def sleep(seconds):
            now[0] += seconds

        return Foretelling(
            **{
                "session": Session(world),
                "version": VERSION,
                "subject": SUBJECT,
                "note": note,
                "entries": lambda: journal.entries(cluster="plant7"),
                "progress": Silent(),
                "sleep": sleep,
                "clock": lambda: now[0],
                "poll_s": 30,
                "wait_s": 1800,
                **changes,
            }
        )

    make.now = now
    return make


def carried(version):
    files = sbe_files(version=version)
    named = sbe_named(next(name for name in files if name.endswith(".zip")))
    sbe = describe_sbe(named, files["SBE_Discovery_Contoso.xml"], file="SBE_Discovery_Contoso.xml")
    return CarriedSbe(sbe=sbe, files=())


def steps(journal):
    return [(entry.step, entry.outcome) for entry in journal.entries(cluster="plant7")]


def listed(world):
    """The update as the cluster lists it, if it does; what it is does not matter."""
    return object() if ASKING["ResourceId"] in {r["ResourceId"] for r in world.updates} else None


def test_what_is_foretold_is_judged_once(foretelling, world, journal):
    now = foretelling()
    now.before(carried(RIGHT), bundle=VERSION)
    world.updates[0]["State"] = "Ready"
    world.updates.append({**WRONG_ROW, "ResourceId": f"redmond/SBE{RIGHT}", "Version": RIGHT})
    assert now.after(listed(world)).differences == ()
    assert foretelling.now == [120]
    assert now.after(listed(world)).differences == ()
    assert foretelling.now == [120]
    assert steps(journal) == [
        ("asks for SBE", "done"),
        ("predict", "done"),
        ("predicted", "done"),
    ]


def test_a_run_that_was_cut_off_is_judged_by_the_next(foretelling, world, journal):
    foretelling().before(carried(RIGHT), bundle=VERSION)
    (difference,) = [
        item
        for item in foretelling().after(listed(world)).differences
        if item.version == str(VERSION)
    ]
    assert difference.found == "AdditionalContentRequired"
    assert steps(journal)[-1] == ("predicted", "differs")


def test_sbe_that_comes_long_before_the_update_hides_nothing_that_was_never_listed(
    foretelling, world, journal
):
    world.updates = []
    first = foretelling()
    first.before(carried(RIGHT), bundle=None)
    world.updates.append({**WRONG_ROW, "ResourceId": f"redmond/SBE{RIGHT}", "Version": RIGHT})
    after = first.after(object(), is_of_update=False)
    assert after.hidden_by == ""
    assert not foretelling().is_hidden()
    assert [e for e in steps(journal) if e[0] == "predicted"] == [("predicted", "done")]
    assert first.after(None, is_of_update=False).advice == ()
    assert not foretelling().is_hidden()


def test_wrong_sbe_is_refused_and_nothing_is_written_down(foretelling, journal):
    with pytest.raises(StateError, match=f"would hide {VERSION}"):
        foretelling().before(carried(WRONG), bundle=VERSION)
    assert steps(journal) == [("asks for SBE", "done")]


def test_hidden_update_is_known_to_the_next_run_with_what_it_asked_for(foretelling, world, journal):
    now = foretelling(hides_reason="the vendor wants it so")
    now.before(carried(WRONG), bundle=VERSION)
    assert foretelling().is_hidden()
    world.updates = [dict(WRONG_ROW)]
    after = now.after(None)
    assert after.differences == ()
    assert after.hidden_by == f"SBE{WRONG}"
    assert RIGHT in after.advice[0]
    assert foretelling().is_hidden()
    assert str(foretelling().look().facts(VERSION).requested) == RIGHT


def test_journal_of_a_removed_cluster_tells_nothing(foretelling, journal):
    foretelling(hides_reason="the vendor wants it so").before(carried(WRONG), bundle=VERSION)
    journal.append(cluster="plant7", subject="site", step="remove-cluster", outcome="done")
    assert not foretelling().is_hidden()


def test_list_that_moves_is_looked_at_again(foretelling, world):
    now = foretelling()
    now.before(carried(RIGHT), bundle=VERSION)
    states = iter(["AdditionalContentRequired", "Ready", "Ready"])
    told = Session(world)

    def invoke(command):
        if command.name == "Get-SolutionUpdate | Select-Object":
            world.updates[0]["State"] = next(states)
        return told.invoke(command)

    now.session = type("Moving", (), {"invoke": staticmethod(invoke)})()
    found = {item.version for item in now.after(listed(world)).differences}
    assert str(VERSION) not in found
    assert foretelling.now == [240]


def test_service_that_does_not_answer_is_asked_again_until_the_time_is_over(foretelling, world):
    now = foretelling()
    now.before(carried(RIGHT), bundle=VERSION)
    world.fail_on["Get-SolutionUpdate | Select-Object"] = refusal("Get-SolutionUpdate")
    with pytest.raises(CommandError):
        now.after(listed(world))
    assert foretelling.now == [1800]


def test_what_the_cluster_does_not_tell_is_foretold_without(foretelling, world):
    for name in ("Get-ItemProperty", "Get-SolutionDiscoveryDiagnosticInfo"):
        world.fail_on[f"{name} | Select-Object"] = refusal(name)
    sight = foretelling().look()
    assert sight.hardware.model == "Contoso 680"
    assert sight.discovery == ()
    assert sight.is_disconnected_operations is None
