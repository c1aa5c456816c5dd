"""Which SBE is chosen, what is foretold of it, and whether it came true."""

import pytest

from tests.unit.catalog.requests import sbe_of, version
from toolkit.cluster._sbe_carried import CarriedSbe
from toolkit.cluster._sbe_foresight import (
    ClusterSight,
    Difference,
    NeededSbe,
    advice,
    choose,
    compare,
    doubts,
    foresee,
    hidden_by,
    recall,
    refuse_hiding,
    remember,
)
from toolkit.errors import InputError, StateError
from toolkit.model import ResourceId, Update, UpdateEnvironment, UpdateState
from toolkit.request import DiscoverySource, ListedUpdate
from toolkit.sbe import Hardware, SbeVersion, SupportedModel

WANTED = version("12.2603.1002.15")
ASKED_FOR = "4.2.2603.7"
ASKS = UpdateState.AdditionalContentRequired.value


def listed(number=str(WANTED), state=ASKS, *, sbe=ASKED_FOR, kind="Solution"):
    return ListedUpdate(
        resource_id=f"redmond/{kind}{number}",
        version=number,
        state=state,
        package_type=kind,
        sbe_version=sbe,
    )


def update(number, state, *, kind="Solution"):
    return Update(
        resource_id=ResourceId(f"redmond/{kind}{number}"),
        version=number,
        display_name="",
        state=UpdateState(state),
        state_raw=state,
        package_type=kind,
    )


def sight(*rows, installed="12.2602.1002.501", **changes):
    environment = UpdateEnvironment(
        current_version=installed,
        current_sbe_version="4.2.2512.1616",
        state="UpdateAvailable",
        health_state="Success",
        sbe_family="GenA",
    )
    values = {"listed": rows or (listed(),), "hardware": Hardware(model="Contoso X9000", sku="0A")}
    return ClusterSight(environment=environment, **(values | changes))


def carried(number=ASKED_FOR, **changes):
    return CarriedSbe(sbe=sbe_of(number, **changes), files=())


def pick(*sbes, reason="", **changes):
    chosen = choose(sbes, version=WANTED, sight=sight(**changes), hides_reason=reason)
    return str(chosen.sbe.version)


# --- choosing -----------------------------------------------------------------------------------


def test_the_sbe_that_is_asked_for_is_chosen():
    assert pick(carried("4.2.2603.1"), carried(), carried("4.2.2604.1")) == ASKED_FOR


WRONG = {
    "older": (carried("4.2.2603.1"), f"older than {ASKED_FOR}"),
    "newer": (carried("4.2.2604.1"), f"newer than {ASKED_FOR}"),
    "foreign": (carried(family="GenB"), "of the family GenB, the cluster is GenA"),
    "recalled": (carried(is_recalled=True), "was recalled"),
    "not validated": (carried(validated_for=("12.2511.*.*",)), f"not for {WANTED}"),
    "another model": (carried(models=(SupportedModel(model="Contoso Y1"),)), "supports Contoso Y1"),
    "another SKU": (
        carried(models=(SupportedModel(model="Contoso X9000", skus=("0B",)),)),
        "does not support Contoso X9000 with SKU 0A",
    ),
}


@pytest.mark.parametrize(("sbe", "why"), WRONG.values(), ids=WRONG)
def test_a_wrong_sbe_is_refused_with_what_it_would_hide(sbe, why):
    with pytest.raises(StateError, match=f"would hide {WANTED}") as refused:
        pick(sbe)
    assert why in str(refused.value)
    assert ASKED_FOR in (refused.value.expected or "")


@pytest.mark.parametrize("name", [name for name in WRONG if name != "recalled"])
def test_a_written_reason_takes_a_wrong_sbe_but_never_a_recalled_one(name):
    reason = "the vendor told us to"
    assert pick(WRONG[name][0], reason=reason) == str(WRONG[name][0].sbe.version)
    with pytest.raises(StateError, match="recalled"):
        pick(carried(is_recalled=True), reason=reason)


def test_a_written_reason_does_not_pass_over_the_right_sbe():
    assert pick(carried("4.2.2604.1"), carried(), reason="the vendor told us to") == ASKED_FOR


def test_what_is_not_known_of_an_sbe_is_no_hiding():
    with pytest.raises(StateError) as refused:
        pick(carried(family=""))
    assert "hide 12" not in str(refused.value)
    assert "the family of SBE_Contoso__4.2.2603.7 is not known" in str(refused.value)


def test_a_hidden_update_is_asked_for_by_what_it_asked_for_before():
    hidden = sight(listed("4.2.2603.1", "HasPrerequisite", sbe="4.2.2603.1", kind="SBE"))
    assert hidden.row(WANTED) is None
    remembered = hidden.remembering(WANTED, sbe_version=ASKED_FOR)
    assert remembered.facts(WANTED).requested == SbeVersion.parse(ASKED_FOR)
    with pytest.raises(StateError, match="older than"):
        choose([carried("4.2.2603.1")], version=WANTED, sight=remembered)


def test_doubts_of_a_chosen_sbe_are_told():
    chosen = carried(models=())
    told = doubts(chosen, version=WANTED, sight=sight())
    assert told == (f"which models {chosen.sbe.title} supports is not known",)


# --- foretelling --------------------------------------------------------------------------------


def test_the_right_sbe_makes_the_update_ready():
    foresight = foresee(sight(), bundle=WANTED, sbe=carried().sbe)
    assert not foresight.hidden
    assert foresight.hiding(WANTED) == ""
    first = next(iter(foresight.lines()))
    assert first.startswith(f"foretold: Solution {WANTED} will be Ready (confirmed): ")


@pytest.mark.parametrize("name", ["older", "newer", "foreign", "another SKU"])
def test_a_wrong_sbe_hides_the_update(name):
    sbe, why = WRONG[name]
    foresight = foresee(sight(), bundle=WANTED, sbe=sbe.sbe)
    assert [row.version for row in foresight.hidden] == [str(WANTED)]
    assert why in foresight.hiding(WANTED)
    with pytest.raises(StateError, match=f"would hide {WANTED}") as refused:
        refuse_hiding(foresight, version=WANTED, title=sbe.sbe.title)
    assert "--import-hides-updates" in (refused.value.hint or "")


def test_an_sbe_that_hides_another_update_for_now_is_not_refused():
    later = "12.2604.1003.9"
    told = sight(listed(), listed(later, sbe="4.2.2604.1"))
    foresight = foresee(told, bundle=WANTED, sbe=carried().sbe)
    assert [row.version for row in foresight.hidden] == [later]
    refuse_hiding(foresight, version=WANTED, title="SBE")


def test_a_bundle_alone_hides_nothing():
    foresight = foresee(sight(listed(state="Ready", sbe="")), bundle=WANTED, sbe=None)
    assert not foresight.hidden


def test_sources_that_are_not_read_make_it_unknown():
    unread = DiscoverySource(component="SBE", manifest_source="x", status="ConnectionFailure")
    told = sight(listed(state="Ready", sbe=""), discovery=(unread,))
    assert foresee(told, bundle=WANTED, sbe=None).predicted[0].confidence == "unknown"


def test_without_an_installed_version_nothing_is_foretold():
    with pytest.raises(InputError, match="foretell"):
        foresee(sight(installed=""), bundle=WANTED, sbe=None)


# --- comparing ----------------------------------------------------------------------------------


def foresight(**changes):
    return foresee(sight(**changes), bundle=WANTED, sbe=carried().sbe)


SBE_ROW = update(ASKED_FOR, "Ready", kind="SBE")


@pytest.mark.parametrize(
    "state",
    ["Ready", "Preparing", "HealthCheckFailed", "ReadyToInstall", "Installing", "Installed"],
)
def test_what_was_foretold_and_what_follows_it_is_no_difference(state):
    assert compare(foresight(), [update(str(WANTED), state), SBE_ROW]) == ()


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([], "not listed"),
        ([update(str(WANTED), ASKS)], ASKS),
        ([update(str(WANTED), "Ready", kind="SBE")], "not listed"),
    ],
)
def test_anything_else_is_a_difference(rows, found):
    differences = compare(foresight(), [*rows, SBE_ROW])
    assert differences == (
        Difference(version=str(WANTED), predicted=("Ready",), found=found, confidence="confirmed"),
    )
    assert str(differences[0]) == f"{WANTED}: foretold was Ready (confirmed), found is {found}"


def test_an_update_that_is_hidden_as_foretold_is_no_difference():
    wrong = foresee(sight(), bundle=WANTED, sbe=carried("4.2.2603.1").sbe)
    row = update("4.2.2603.1", "Ready", kind="SBE")
    assert compare(wrong, [row]) == ()
    assert compare(wrong, [row, update(str(WANTED), ASKS)])[0].predicted == ("hidden",)


def test_an_update_that_was_inferred_to_be_hidden_and_is_listed_is_a_difference():
    other = listed("4.2.2512.9", "Ready", sbe="4.2.2512.9", kind="SBE")
    inferred = foresee(sight(listed(), other), bundle=WANTED, sbe=carried().sbe)
    assert any("SBE 4.2.2512.9 will be hidden (inferred)" in line for line in inferred.lines())
    there = [update(str(WANTED), "Ready"), SBE_ROW]
    assert compare(inferred, there) == ()
    (difference,) = compare(inferred, [*there, update("4.2.2512.9", "Ready", kind="SBE")])
    assert str(difference) == "4.2.2512.9: foretold was hidden (inferred), found is Ready"


def test_of_a_guess_all_states_are_said_and_none_of_them_is_a_difference():
    guess = foresee(sight(listed(state="Ready", sbe="")), bundle=WANTED, sbe=None)
    first = next(iter(guess.lines()))
    assert f"Solution {WANTED} will be Ready or {ASKS} (unknown)" in first
    assert compare(guess, [update(str(WANTED), ASKS)]) == ()
    assert compare(guess, [update(str(WANTED), "HasPrerequisite")])


def test_what_was_foretold_survives_the_journal():
    before = foresight()
    after = recall(remember(before))
    assert compare(after, []) == compare(before, [])
    assert after == before


@pytest.mark.parametrize("text", ["", "{", "[1]", "[{}]", '[{"version": "1"}]', "3"])
def test_an_edited_journal_is_refused(text):
    with pytest.raises(InputError, match="foretold"):
        recall(text)


# --- advice -------------------------------------------------------------------------------------


def test_what_hides_an_update_is_named():
    wrong = update("4.2.2603.1", "HasPrerequisite", kind="SBE")
    installed = update("4.2.2512.1616", "Installed", kind="SBE")
    assert hidden_by(WANTED, [wrong, installed]) == "SBE4.2.2603.1"
    assert hidden_by(WANTED, [installed]) == ""
    assert hidden_by(WANTED, [wrong, update(str(WANTED), ASKS)]) == ""


def test_advice_names_the_sbe_first_and_then_the_online_manifest():
    first, second = advice(WANTED, asked_for=ASKED_FOR, manifest_source="https://oem.example/")
    assert ASKED_FOR in first
    assert "https://oem.example/" in second
    assert r"Updates\Manifests" in second
    assert "the SBE that it asked for" in advice(WANTED, asked_for="", manifest_source="")[0]


def test_the_three_files_that_are_needed_are_named_if_they_are_known():
    needed = NeededSbe(publisher="Contoso", family="GenA", version=ASKED_FOR)
    assert needed.files == (
        "SBE_Discovery_Contoso.xml",
        f"SBE_Contoso_GenA_{ASKED_FOR}.xml",
        f"SBE_Contoso_GenA_{ASKED_FOR}.zip",
    )
    assert NeededSbe(publisher="", family="GenA", version=ASKED_FOR).files == ()
