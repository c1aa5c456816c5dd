"""The three traces of a told CAU run agree with each other and with what is published of real ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from evtx import PyEvtxParser

from tests.simcluster.eventshapes import (
    CAU,
    CAU_CHANNEL,
    CHANNELS,
    CLUSTERING,
    KERNEL,
    MANAGEMENT,
    MANAGEMENT_CHANNEL,
    SYSTEM_CHANNEL,
)
from tests.simcluster.evtx import Event, HexInt, write_evtx
from tests.simcluster.story import PREPARATION, Failure, Story, cau_run

STARTED = datetime(2026, 3, 20, 4, 0, 4, tzinfo=UTC)
RUN_ID = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
SIGNATURES = Path(__file__).parents[3] / ".." / "shared" / "domain" / "tsg-signatures.yaml"


def tell(*nodes: str, **arguments: Any) -> Story:
    return cau_run(
        cluster="c1", nodes=nodes or ("n1", "n2"), started_at=STARTED, run_id=RUN_ID, **arguments
    )


def fail(failure: Failure) -> Story:
    return tell("n1", "n2", "n3", failing_node="n2", failure=failure)


def all_events(story: Story) -> list[Event]:
    return sorted(
        (event for logs in story.events.values() for log in logs.values() for event in log),
        key=lambda event: event.time,
    )


def ids(story: Story, provider: str) -> list[int]:
    return [event.event_id for event in all_events(story) if event.provider == provider]


def only(story: Story, provider: str, event_id: int) -> list[Event]:
    return [
        event
        for event in all_events(story)
        if (event.provider, event.event_id) == (provider, event_id)
    ]


def steps_of(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield step
    for child in step["Steps"]:
        yield from steps_of(child)


def step_named(story: Story, name: str) -> dict[str, Any]:
    [step] = [step for step in steps_of(story.progress) if step["Name"] == name]
    return step


def json_date(moment: datetime) -> str:
    return f"/Date({int(moment.timestamp() * 1000)})/"


def cluster_result(story: Story) -> dict[str, Any]:
    assert story.report is not None
    result: dict[str, Any] = story.report["ClusterResult"]  # type: ignore[assignment]
    return result


# --- a run that succeeds ------------------------------------------------------------------------


def test_same_arguments_tell_the_same_story() -> None:
    assert tell() == tell()


def test_management_events_of_two_nodes_follow_the_published_run() -> None:
    one_node = [1008, 1010, 1011, 1009]
    assert ids(tell(), MANAGEMENT) == [1003, *one_node, 1003, *one_node, 1004]


def test_node_events_tell_two_rounds_and_a_last_empty_scan() -> None:
    events = [
        event
        for event in tell("n1", "n2").events["n1"][CAU_CHANNEL]
        if event.event_id in (2001, 2003, 2005)
    ]
    assert [event.event_id for event in events] == [2001, 2003, 2005, 2001, 2003, 2005, 2001]
    assert str(events[-1].data[0][1]) == "UInt(value=0, size_bytes=4)"


def test_new_orchestrator_takes_over_the_same_run_before_the_old_one_restarts() -> None:
    story = tell("n1", "n2", "n3")
    first, second = only(story, MANAGEMENT, 1003)
    assert (first.computer, second.computer) == ("n3.cluster.example", "n1.cluster.example")
    assert first.data == second.data == (("RunId", f"{{{RUN_ID}}}"), ("ClusterName", "c1"))
    [restart] = [
        event for event in only(story, MANAGEMENT, 1010) if event.data == (("NodeName", "n3"),)
    ]
    assert second.time < restart.time
    assert restart.computer == "n1.cluster.example"


def test_only_node_resumes_its_own_run_after_the_restart() -> None:
    assert ids(tell("n1"), MANAGEMENT) == [1003, 1008, 1010, 1003, 1011, 1009, 1004]


def test_restarting_node_writes_nothing_between_shutdown_and_boot() -> None:
    story = tell("n1", "n2", "n3")
    [down], [up] = (
        [event for event in story.events["n2"][SYSTEM_CHANNEL] if event.event_id == event_id]
        for event_id in (13, 12)
    )
    assert up.time - down.time > timedelta(minutes=5)
    assert not [
        event
        for log in story.events["n2"].values()
        for event in log
        if down.time < event.time < up.time
    ]


def test_boot_events_are_numbered_in_another_order_than_they_happened() -> None:
    log = [event for event in tell().events["n1"][SYSTEM_CHANNEL] if event.event_id in (12, 6005)]
    assert [event.event_id for event in log] == [6005, 12]
    assert log[0].time > log[1].time


def test_other_nodes_see_the_restarting_node_leave() -> None:
    removed = only(tell("n1", "n2", "n3"), CLUSTERING, 1135)
    assert {(event.computer[:2], event.data[0][1]) for event in removed} == {
        (a, b) for a in ("n1", "n2", "n3") for b in ("n1", "n2", "n3") if a != b
    }


def test_record_ids_count_up_from_the_first_in_every_log() -> None:
    for channels in tell(first_record_id=500).events.values():
        for log in channels.values():
            assert [event.record_id for event in log] == list(range(500, 500 + len(log)))


def test_clock_offset_moves_all_events_of_its_node_alone() -> None:
    offset = timedelta(minutes=7)
    right, wrong = tell(), tell(clock_offsets={"n1": offset})
    for channel in CHANNELS:
        for node, moved in (("n1", offset), ("n2", timedelta())):
            assert [event.time + moved for event in right.events[node][channel]] == [
                event.time for event in wrong.events[node][channel]
            ]
    assert right.report == wrong.report


def test_kernel_names_the_new_build() -> None:
    [boot] = [
        event
        for event in tell(os_build="26100.4946").events["n1"][SYSTEM_CHANNEL]
        if (event.provider, event.event_id) == (KERNEL, 12)
    ]
    values = dict(boot.data)
    assert str(values["BuildVersion"]) == "UInt(value=26100, size_bytes=4)"
    assert str(values["QfeVersion"]) == "UInt(value=4946, size_bytes=4)"


def test_every_event_has_a_message_with_all_arguments_filled_in() -> None:
    for failure in ("installer-blocked", "restart-timeout", "drain"):
        story = fail(failure)
        assert set(story.messages) == set(all_events(story))
        assert not [text for text in story.messages.values() if re.search(r"%\d", text)]


def test_every_log_can_be_read(tmp_path: Path) -> None:
    story = fail("installer-blocked")
    for channels in story.events.values():
        for events in channels.values():
            path = tmp_path / "log.evtx"
            write_evtx(path, events)
            parser: Any = PyEvtxParser(path, validate_checksums=True)
            rows = [json.loads(row["data"])["Event"]["System"] for row in parser.records_json()]
            assert [row["EventRecordID"] for row in rows] == [event.record_id for event in events]


# --- a run that fails ---------------------------------------------------------------------------


def test_blocked_installer_is_told_by_the_node_and_ends_the_run() -> None:
    story = fail("installer-blocked")
    log = story.events["n2"][CAU_CHANNEL]
    assert [event.event_id for event in log][-2:] == [2021, 2006]
    assert log[-1].data == (("HResult", HexInt(0x80070005)),)
    assert ids(story, MANAGEMENT)[-4:] == [1009, 1013, 1019, 1007]


def test_node_that_stays_away_has_no_1011_and_writes_no_more() -> None:
    story = fail("restart-timeout")
    assert ids(story, MANAGEMENT)[-5:] == [1010, 1012, 1013, 1019, 1007]
    gone, told = only(story, MANAGEMENT, 1010)[-1], only(story, MANAGEMENT, 1012)[-1]
    assert timedelta(minutes=60) <= told.time - gone.time < timedelta(minutes=61)
    assert story.events["n2"][SYSTEM_CHANNEL][-1].event_id == 13


def test_node_that_is_not_drained_never_enters_maintenance() -> None:
    story = fail("drain")
    assert ids(story, MANAGEMENT)[-4:] == [1016, 1013, 1019, 1007]
    [drain] = only(story, CLUSTERING, 1677)
    assert drain.computer == "n2.cluster.example"
    assert [event.data[0][1] for event in only(story, MANAGEMENT, 1008)] == ["n1"]


def test_nodes_after_the_failed_one_are_not_touched() -> None:
    story = fail("drain")
    assert story.events["n3"][CAU_CHANNEL] == []
    assert [node["Status"] for node in cluster_result(story)["NodeResults"]] == [
        "Succeeded",
        "Failed",
        "Canceled",
    ]


def test_failing_node_must_be_a_node() -> None:
    with pytest.raises(ValueError, match="n9 is not a node of c1: n1, n2"):
        tell(failing_node="n9")


def test_only_node_cannot_tell_that_it_never_came_back() -> None:
    with pytest.raises(ValueError, match="only node"):
        tell("n1", failing_node="n1", failure="restart-timeout")


# --- the CAU report -----------------------------------------------------------------------------


def test_report_agrees_with_the_events() -> None:
    story = tell()
    result = cluster_result(story)
    assert result["RunId"] == str(RUN_ID)
    assert result["Status"] == "Succeeded"
    assert result["StartTimestamp"] == json_date(only(story, MANAGEMENT, 1003)[0].time)
    suspended, back = only(story, MANAGEMENT, 1008), only(story, MANAGEMENT, 1011)
    assert [node["NodeSuspendedTimestamp"] for node in result["NodeResults"]] == [
        json_date(event.time) for event in suspended
    ]
    assert [node["RebootEnd"] for node in result["TimingBreakdowUTC"]] == [
        json_date(event.time) for event in back
    ]
    installed = only(story, CAU, 2005)
    assert sum(node["NumberOfSucceededUpdates"] for node in result["NodeResults"]) == len(installed)


def test_report_of_a_blocked_installer_names_the_update_and_its_code_as_int32() -> None:
    result = cluster_result(fail("installer-blocked"))
    assert result["Status"] == "Failed"
    assert result["ErrorRecordData"]["FullyQualifiedErrorId"] == "MaxFailedNodesExceeded"
    [install] = result["NodeResults"][1]["InstallResults"]
    assert (install["UpdateResultCode"], install["ErrorCode"]) == ("Failed", -2147024891)


def test_report_and_steps_can_be_written_as_json() -> None:
    story = fail("drain")
    assert json.loads(json.dumps([story.report, story.progress])) == [story.report, story.progress]


# --- the step tree ------------------------------------------------------------------------------


def test_steps_lie_around_the_run_in_time() -> None:
    story = tell()
    assert story.started_at == STARTED - PREPARATION
    assert step_named(story, "Start update")["StartTimeUtc"] == json_date(story.started_at)
    assert step_named(story, "InvokeCauRunForMsuUpdate")["EndTimeUtc"] == json_date(STARTED)
    wait = step_named(story, "Wait for node n1")
    resumed = only(story, MANAGEMENT, 1009)[0]
    assert wait["EndTimeUtc"] == json_date(resumed.time)
    assert {step["Status"] for step in steps_of(story.progress)} == {"Success"}


@pytest.mark.parametrize("failure", ["installer-blocked", "restart-timeout", "drain"])
def test_deepest_failed_step_carries_the_exception(failure: Failure) -> None:
    story = fail(failure)
    assert story.state == "Failed"
    failed = [step for step in steps_of(story.progress) if step["Status"] == "Error"]
    assert [step["Name"] for step in failed] == [
        "Start update",
        "Update solution",
        "Update Host OS",
        "CauPostCheck",
    ]
    assert failed[-1]["ErrorMessage"].startswith(
        "Type 'CauPostCheck' of Role 'CAU' raised an exception:"
    )
    assert "The node 'n2' failed to update." in failed[-1]["ErrorMessage"]


@pytest.mark.parametrize(
    ("failure", "in_steps", "in_details"),
    [
        (
            "installer-blocked",
            {"cau-run-failed-max-failed-nodes"},
            {"cau-installer-blocked-by-defender-asr"},
        ),
        (
            "restart-timeout",
            {"cau-run-failed-max-failed-nodes", "cau-node-restart-timeout"},
            {"cau-node-restart-timeout"},
        ),
        ("drain", {"cau-run-failed-max-failed-nodes"}, set()),
    ],
)
def test_published_signatures_recognise_the_failure(
    failure: Failure, in_steps: set[str], in_details: set[str]
) -> None:
    if not SIGNATURES.exists():
        pytest.skip("the collected signatures are not beside this checkout")
    entries = yaml.safe_load(SIGNATURES.read_text(encoding="utf-8"))["entries"]

    def recognised(text: str) -> set[str]:
        return {
            entry["id"]
            for entry in entries
            if any(re.search(rule, text, re.I | re.S) for rule in entry["match"])
        }

    story = fail(failure)
    assert recognised(step_named(story, "CauPostCheck")["ErrorMessage"]) == in_steps
    [event] = only(story, MANAGEMENT, 1013)
    assert recognised(story.messages[event]) == in_details


# --- in the middle ------------------------------------------------------------------------------


def test_story_so_far_holds_nothing_of_the_future() -> None:
    story = fail("drain")
    moment = STARTED + timedelta(minutes=20)
    so_far = story.until(moment)
    assert so_far.state == "InProgress"
    assert so_far.report is None
    assert all_events(so_far) == [event for event in all_events(story) if event.time <= moment]
    assert [step["Name"] for step in steps_of(so_far.progress) if step["Status"] == "InProgress"][
        -1
    ] == "Wait for node n1"
    assert step_named(so_far, "CauPostCheck")["Status"] == "NotStarted"
    assert step_named(so_far, "CauPostCheck")["ErrorMessage"] == ""


def test_story_so_far_is_cut_at_true_time_whatever_a_clock_says() -> None:
    moment = STARTED + timedelta(minutes=20)
    wrong = tell(clock_offsets={"n1": timedelta(hours=-9)}).until(moment)
    right = tell().until(moment)
    assert len(all_events(wrong)) == len(all_events(right))


def test_story_after_its_end_is_the_whole_story() -> None:
    story = tell()
    assert story.until(story.ended_at) is story


def test_management_log_is_empty_on_a_node_that_never_led() -> None:
    assert tell("n1", "n2", "n3").events["n2"][MANAGEMENT_CHANNEL] == []
