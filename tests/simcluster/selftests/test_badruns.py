"""Update runs that go wrong: what each of their traces shows, and when."""

import json

import pytest

from tests.simcluster.baddays import Starved
from tests.simcluster.badruns import marker_of
from tests.simcluster.selftests.test_cmdlets import Site
from tests.simcluster.state import SolutionUpdate
from tests.simcluster.values import NetObject, PsError, property_of, text_of

GET = "Get-SolutionUpdate"


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    site.world.updates.append(
        SolutionUpdate(
            resource_id="redmond/Solution12.2604.1003.5",
            version="12.2604.1003.5",
            display_name="Azure Local 2604",
            state="Ready",
        )
    )
    return site


def start(site):
    return site.world.start(site.world.updates[0], is_prepare_only=False)


def pass_(site, seconds):
    site.ticks.now += seconds
    site.world.advance()


def cau_state(site):
    (found,) = site.values(("Get-CauRun", {"ClusterName": "cluster1"}))
    return text_of(property_of(found, "RunState") if isinstance(found, NetObject) else found)


def steps(step):
    yield step
    for part in step["Steps"]:
        yield from steps(part)


def failed_steps(run):
    whole = steps(run.plan.shown_at(run.plan.end))
    return [step["Name"] for step in whole if step["Status"] == "Error"]


def statuses(site):
    return [report["ClusterResult"]["Status"] for report in site.world.reports]


def management_ids(site):
    channel = "Microsoft-Windows-ClusterAwareUpdating-Management/Admin"
    nodes = site.world.nodes
    return [event.event_id for node in nodes for event in site.world.events(node, channel)]


def test_good_run_says_how_long_its_steps_should_take(site):
    run = start(site)
    shown = {step["Name"]: step for step in steps(run.plan.shown_at(run.plan.end))}
    assert shown["Wait for node node1"]["ExpectedExecutionTime"]["Minutes"] == 40
    assert shown["Downloading update"]["ExpectedExecutionTime"] is None


def test_stuck_run_stands_still_and_never_ends(site):
    site.world.bad_days.cau = "stuck"
    run = start(site)
    pass_(site, 500)
    first = site.values(GET, ("Get-SolutionUpdateRun", {}))[0]
    pass_(site, 5000)
    later = site.values(GET, ("Get-SolutionUpdateRun", {}))[0]
    assert text_of(property_of(later, "State")) == "InProgress"
    assert property_of(first, "LastUpdatedTime") == property_of(later, "LastUpdatedTime")
    assert cau_state(site) == "RunInProgress"
    assert not {1004, 1005, 1007} & set(management_ids(site))
    assert 1003 in management_ids(site)
    assert (run.update.state, statuses(site)) == ("Installing", [])


@pytest.mark.parametrize(
    ("version", "folder"),
    [("12.2604.1003.5", "MsuHostUpdate"), ("11.2506.1001.24", "SBE"), ("11.2505.1.1", "SBE")],
)
def test_marker_lies_where_the_guide_of_its_release_says(version, folder):
    assert rf"\CloudMedia\{folder}\Staged" in marker_of(version)


def test_failed_run_leaves_a_marker_and_the_next_ones_cancel_themselves(site):
    site.world.bad_days.cau, site.world.failing_node = "cancelled", "node2"
    start(site)
    pass_(site, 101)
    marker = site.world.nodes[0].drive.resolve(marker_of("12.2604.1003.5"))
    assert marker.exists()
    site.world.failing_node = None
    second = start(site)
    pass_(site, 101)
    assert statuses(site) == ["Failed", "Canceled"]
    assert "EvalCauRetryApplicability" in failed_steps(second)
    assert 1005 in management_ids(site)
    marker.rename(marker.with_suffix(".old"))
    start(site)
    pass_(site, 101)
    assert site.world.updates[0].state == "Installed"


def test_run_that_fails_on_another_day_leaves_no_marker(site):
    site.world.failing_node = "node2"
    start(site)
    pass_(site, 101)
    assert not site.world.nodes[0].drive.resolve(marker_of("12.2604.1003.5")).exists()


@pytest.mark.parametrize(
    ("day", "step"),
    [
        ("running-after-done", "SBEPartnerConfirmCauDone"),
        ("after-timeout", "SBEPartnerWaitForCauNodeStage"),
    ],
)
def test_cau_outlives_the_update_run_that_gave_up_and_succeeds(site, day, step):
    site.world.bad_days.cau = day
    run = start(site)
    for _ in range(200):
        pass_(site, 1)
        if run.is_over:
            break
    assert run.update.state == "InstallationFailed"
    assert failed_steps(run) == ["Start update", "Update solution", "Update Host OS", step]
    assert cau_state(site) == "RunInProgress"
    assert statuses(site) == []
    assert 1004 not in management_ids(site)
    pass_(site, site.world.bad_days.cau_goes_on_s)
    assert cau_state(site) == "RunNotInProgress"
    assert statuses(site) == ["Succeeded"]
    assert management_ids(site).count(1004) == 1


def test_resumed_run_is_empty_and_its_plan_says_why(site):
    site.world.bad_days.empty_resume, site.world.failing_node = True, "node1"
    first = start(site)
    pass_(site, 101)
    second = start(site)
    pass_(site, 101)
    assert (first.state, second.state) == ("Failed", "Failed")
    assert second.plan.steps == ()
    plans = site.values(("Get-ActionPlanInstances", {}))
    words = [property_of(plan, "AdditionalInformation") for plan in plans]
    assert [bool("does not contain the mandatory" in one) for one in words] == [False, True]


def test_update_service_that_is_asked_too_often_answers_when_asked_less(site, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("tests.simcluster.updateservice.time.monotonic", lambda: now[0])
    site.world.bad_days.starved = Starved(calls=2, within_s=10)
    site.values(GET)
    site.values(GET)
    with pytest.raises(PsError, match="RestResponse of GatewayTimeout was received calling Get"):
        site.values(GET)
    now[0] += 11
    assert site.values(GET)


def test_update_service_that_was_moved_is_silent_for_a_while(site, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("tests.simcluster.updateservice.time.monotonic", lambda: now[0])
    site.world.bad_days.service_silent_until = 1005.0
    with pytest.raises(PsError, match="ConnectFailure"):
        site.values(GET)
    now[0] += 6
    assert site.values(GET)


def test_story_tells_when_each_node_is_away(site):
    run = start(site)
    assert set(run.story.restarts) == {"node1", "node2"}
    for gone, back in run.story.restarts.values():
        assert run.story.run_began_at < gone < back < run.story.run_ended_at


def test_report_of_a_cancelled_run_is_as_json_as_the_others(site):
    site.world.bad_days.cau, site.world.failing_node = "cancelled", "node1"
    start(site)
    pass_(site, 101)
    start(site)
    pass_(site, 101)
    whole, cancelled = (json.loads(json.dumps(report)) for report in site.world.reports)
    assert whole.keys() == cancelled.keys()
    assert {row["Status"] for row in cancelled["ClusterResult"]["NodeResults"]} == {"Canceled"}
