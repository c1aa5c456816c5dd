"""What a cluster lists after an import, by Update-missing-after-importing-SBE.md and the pages it rests on."""

from __future__ import annotations

import pytest

from tests.unit.catalog.requests import request_of, sbe_of, version
from toolkit.catalog._prediction import HIDDEN, ImportCase, is_in_progress, predict
from toolkit.request import DiscoverySource, ListedUpdate
from toolkit.sbe import SbeVersion


def row(number, state, *, sbe="", kind="Solution", lowest=""):
    return ListedUpdate(
        resource_id=f"redmond/{kind}{number}",
        version=number,
        state=state,
        package_type=kind,
        sbe_version=sbe,
        min_version_required=lowest,
    )


def case_of(start="10.2405.3.7", bundle=None, sbe=None, *, updates=(), **changes):
    values = {
        "request": request_of(start, sbe_family="Gen3", updates=updates),
        "start": version(start),
        "bundle": bundle and version(bundle),
        "sbe": sbe,
        "installed_sbe": SbeVersion.parse("4.1.2405.1"),
        "family": "Gen3",
        "needs_sbe": None,
        "is_first": True,
    }
    return ImportCase(**(values | changes))


def rows(case):
    return {item.version: (*item.states, str(item.confidence)) for item in predict(case)}


def gen3(number, *validated, family="Gen3", **changes):
    return sbe_of(number, family=family, validated_for=validated, **changes)


BEFORE = (
    row("4.1.2412.5", "AdditionalContentRequired", sbe="4.1.2412.5", kind="SBE"),
    row("10.2411.0.24", "AdditionalContentRequired", sbe="4.1.2412.5"),
)
"""Step 1 of the guide."""


def test_an_older_sbe_hides_the_update_and_waits_for_a_version_that_it_supports():
    """Steps 2 and 3, scenario A."""
    case = case_of(sbe=gen3("4.1.2407.1", "10.2408.*.*", "10.2411.*.*"), updates=BEFORE)
    assert rows(case) == {
        "4.1.2407.1": ("HasPrerequisite", "confirmed"),
        "4.1.2412.5": (HIDDEN, "AdditionalContentRequired", "inferred"),
        "10.2411.0.24": (HIDDEN, "confirmed"),
    }


def test_an_older_sbe_that_supports_the_installed_version_is_ready_itself():
    """Scenario B."""
    case = case_of(sbe=gen3("4.1.2407.1", "10.2405.*.*", "10.2408.*.*"), updates=BEFORE)
    assert rows(case)["4.1.2407.1"] == ("Ready", "confirmed")
    assert rows(case)["10.2411.0.24"] == (HIDDEN, "confirmed")


def test_a_newer_sbe_of_another_family_hides_the_update():
    case = case_of(sbe=gen3("4.1.2412.9", "10.2411.*.*", family="Gen4"), updates=BEFORE)
    assert rows(case) == {
        "4.1.2412.9": ("HasPrerequisite", "Ready", "unknown"),
        "4.1.2412.5": (HIDDEN, "AdditionalContentRequired", "inferred"),
        "10.2411.0.24": (HIDDEN, "confirmed"),
    }


def test_the_sbe_that_was_asked_for_makes_the_update_ready():
    """Mitigation of the guide."""
    case = case_of(sbe=gen3("4.1.2412.5", "10.2411.*.*"), updates=BEFORE)
    assert rows(case) == {
        "4.1.2412.5": ("HasPrerequisite", "confirmed"),
        "10.2411.0.24": ("Ready", "confirmed"),
    }


def test_a_bundle_imported_with_a_wrong_sbe_is_hidden():
    case = case_of(bundle="10.2411.0.24", sbe=gen3("4.1.2407.1", "10.2411.*.*"), updates=BEFORE)
    assert rows(case)["10.2411.0.24"] == (HIDDEN, "confirmed")


def test_what_an_sbe_is_validated_for_may_be_unknown():
    case = case_of(sbe=gen3("4.1.2412.5"), updates=BEFORE)
    assert rows(case)["4.1.2412.5"] == ("HasPrerequisite", "Ready", "unknown")


def test_an_sbe_waits_for_the_version_that_its_manifest_asks_for():
    sbe = gen3("4.1.2412.5", "10.2405.*.*", min_solution_version="10.2408.0.0")
    assert rows(case_of(sbe=sbe))["4.1.2412.5"] == ("HasPrerequisite", "inferred")


def test_an_sbe_that_is_installed_stays_so():
    sbe = gen3("4.1.2405.1", "10.2405.*.*")
    assert rows(case_of(sbe=sbe))["4.1.2405.1"] == ("Installed", "inferred")


def test_a_bundle_alone_keeps_the_state_in_which_the_cluster_lists_it():
    case = case_of(bundle="10.2411.0.24", updates=BEFORE)
    assert rows(case)["10.2411.0.24"] == ("AdditionalContentRequired", "confirmed")


def test_a_bundle_that_needs_no_sbe_is_ready():
    case = case_of(bundle="10.2411.0.24", needs_sbe=False)
    assert rows(case)["10.2411.0.24"] == ("Ready", "inferred")


def test_a_bundle_above_its_lowest_start_waits():
    listed = row("10.2411.0.24", "HasPrerequisite", lowest="10.2408.0.0")
    case = case_of(bundle="10.2411.0.24", updates=(listed,), needs_sbe=False)
    assert rows(case)["10.2411.0.24"] == ("HasPrerequisite", HIDDEN, "inferred")
    reached = case_of("10.2408.2.7", bundle="10.2411.0.24", updates=(listed,), needs_sbe=False)
    assert rows(reached)["10.2411.0.24"] == ("Ready", "inferred")


def test_nothing_but_a_bundle_leaves_the_others_as_they_are():
    case = case_of(bundle="10.2408.0.29", updates=BEFORE, needs_sbe=False)
    assert rows(case)["10.2411.0.24"] == ("AdditionalContentRequired", "inferred")


def test_an_update_that_goes_with_an_unknown_sbe_may_vanish():
    listed = row("10.2408.0.29", "Ready")
    case = case_of(sbe=gen3("4.1.2412.5", "10.2405.*.*"), updates=(listed,))
    assert rows(case)["10.2408.0.29"] == ("Ready", HIDDEN, "unknown")


def test_what_is_installed_is_not_predicted():
    case = case_of(sbe=gen3("4.1.2412.5"), updates=(row("10.2405.3.7", "Installed"),))
    assert "10.2405.3.7" not in rows(case)


def test_later_updates_of_a_path_know_nothing_of_todays_list():
    case = case_of(bundle="10.2411.0.24", updates=BEFORE, needs_sbe=False, is_first=False)
    assert rows(case) == {"10.2411.0.24": ("Ready", "inferred")}


def unreached(*components, disconnected=False):
    discovery = tuple(
        DiscoverySource(component=name, manifest_source="x", status="ConnectionFailure")
        for name in components
    )
    request = request_of(discovery=discovery, is_disconnected_operations=disconnected)
    return rows(case_of(bundle="10.2411.0.24", request=request, needs_sbe=False))["10.2411.0.24"]


def test_a_manifest_that_cannot_be_read_makes_the_prediction_unknown():
    assert unreached() == ("Ready", "inferred")
    assert unreached("SBE") == ("Ready", HIDDEN, "unknown")
    assert unreached("SBE", "Solution") == ("Ready", HIDDEN, "unknown")


def test_disconnected_operations_read_no_manifest_online_on_purpose():
    assert unreached("SBE", "Solution", disconnected=True) == ("Ready", "inferred")


def test_every_row_says_why():
    case = case_of(bundle="10.2411.0.24", sbe=gen3("4.1.2412.5", "10.2411.*.*"), updates=BEFORE)
    assert all(item.reason for item in predict(case))


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ("Installing", True),
        ("Downloading", True),
        ("HealthChecking", True),
        ("ScanInProgress", True),
        ("Ready", False),
        ("Installed", False),
        ("AdditionalContentRequired", False),
    ],
)
def test_states_in_which_something_is_going_on(state, answer):
    assert is_in_progress(state) is answer
