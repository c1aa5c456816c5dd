"""Update runs, CAU run reports, environment and updates, as ConvertTo-Json writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.analysis.bundles import document, story
from toolkit.analysis._parsers.action_plans import read_action_plans, read_markers
from toolkit.analysis._parsers.cau_reports import read_cau_reports
from toolkit.analysis._parsers.health import read_environment, read_updates
from toolkit.analysis._parsers.powershell_json import span, time
from toolkit.analysis._parsers.update_runs import read_update_runs
from toolkit.errors import InputError
from toolkit.model import RunState

AT = datetime(2026, 3, 20, 1, 0, tzinfo=UTC)
MS = int(AT.timestamp() * 1000)


@pytest.mark.parametrize(
    "written",
    [
        f"/Date({MS})/",
        f"\\/Date({MS})\\/",
        {"value": f"/Date({MS})/", "DateTime": "Friday"},
        "2026-03-20T01:00:00Z",
        "2026-03-20T01:00:00.0000000Z",
        "2026-03-20T02:00:00+01:00",
        "2026-03-20 01:00:00",
    ],
)
def test_time_is_read_however_it_is_written(written: object) -> None:
    assert time(written) == AT


@pytest.mark.parametrize(
    "written",
    [None, "", "1/1/0001 12:00:00 AM", "/Date(-62135596800000)/", "/Date(99999999999999999)/",
     "9999-99-99T00:00:00Z", "0001-01-01T00:00:00"],
)  # fmt: skip
def test_no_time_is_none(written: object) -> None:
    assert time(written) is None


@pytest.mark.parametrize(
    ("written", "minutes"),
    [
        ("01:30:00", 90),
        ("1.00:00:00", 1440),
        ({"Ticks": 600_000_000}, 1),
        ({"TotalSeconds": 60}, 1),
    ],
)
def test_time_span_is_read_however_it_is_written(written: object, minutes: int) -> None:
    assert span(written) == timedelta(minutes=minutes)


def test_single_run_stands_without_a_list() -> None:
    row = {"ResourceId": "redmond/Solution1/x", "State": "Failed", "Progress": None}
    (run,) = read_update_runs(document(row))
    assert run.state is RunState.Failed


def test_runs_are_ordered_by_their_start() -> None:
    newer = {"ResourceId": "b", "TimeStarted": "2026-03-20T01:00:00Z", "State": "Failed"}
    older = {"ResourceId": "a", "TimeStarted": "2026-03-19T01:00:00Z", "State": "Failed"}
    assert [run.resource_id for run in read_update_runs(document([newer, older]))] == ["a", "b"]


def test_state_written_as_a_number_is_kept_and_not_guessed() -> None:
    (run,) = read_update_runs(document({"ResourceId": "a", "State": 3}))
    assert (run.state, run.state_raw) == (RunState.UNRECOGNISED, "3")


def test_steps_nest() -> None:
    told = story(failing_node="N2")
    (run,) = read_update_runs(document({"ResourceId": "a", "Progress": told.progress}))
    assert run.progress is not None
    assert run.progress.status == "Error"
    assert "Update Host OS" in [inner.name for inner in run.progress.steps[-1].steps]


def test_run_in_the_form_of_the_rest_interface_is_read() -> None:
    row = {"id": "a", "properties": {"state": "Succeeded", "progress": {"name": "s", "steps": []}}}
    (run,) = read_update_runs(document(row))
    assert (run.state, run.progress and run.progress.name) == (RunState.Succeeded, "s")


def test_steps_nested_without_end_are_refused() -> None:
    row: dict[str, object] = {"Name": "x"}
    for _ in range(400):
        row = {"Name": "x", "Steps": [row]}
    with pytest.raises(InputError, match="nested"):
        read_update_runs(document({"ResourceId": "a", "Progress": row}))


def test_report_of_the_simulated_cluster_is_read() -> None:
    (report,) = read_cau_reports(document(story(failing_node="N2").report))
    failed = next(node for node in report.nodes if node.node == "N2")
    assert report.status == "Failed"
    assert report.plugins == ("Microsoft.HotfixPlugin",)
    assert failed.failed == 1
    assert failed.installs[-1].hresult == "0x80070005"


def test_run_id_is_compared_without_braces_and_case() -> None:
    (report,) = read_cau_reports(document({"ClusterResult": {"RunId": "{ABC}"}}))
    assert report.run_id == "abc"


def test_error_text_is_found_in_every_form() -> None:
    for error in (
        "boom",
        {"ExceptionData": "boom"},
        {"Exception": {"Message": "boom"}},
    ):
        result = {"RunId": "1", "ErrorRecordData": error}
        (report,) = read_cau_reports(document({"ClusterResult": result}))
        assert report.error == "boom"


@pytest.mark.parametrize(
    ("status", "severity", "failed", "meant"),
    [
        ("FAILURE", "CRITICAL", True, "Critical"),
        ("Failed", "Critical", True, "Critical"),
        (1, 2, True, "Critical"),
        ("ERROR", "WARNING", True, "Warning"),
        (0, 2, False, "Critical"),
        ("SUCCESS", "CRITICAL", False, "Critical"),
        ("Succeeded", "Informational", False, "Informational"),
        ("FAILURE", "Catastrophic", True, "Catastrophic"),
    ],
)
def test_health_result_means_the_same_in_every_encoding(
    status: object, severity: object, failed: bool, meant: str
) -> None:
    row = {"HealthCheckResult": [{"Name": "x", "Status": status, "Severity": severity}]}
    (result,) = read_environment(document(row)).checks
    assert (result.has_failed, result.severity) == (failed, meant)


def test_readable_status_beside_a_number_wins() -> None:
    check = {"Name": "x", "Status": 0, "Severity": 2, "AdditionalData": {"Status": "FAILURE"}}
    (result,) = read_environment(document({"HealthCheckResult": [check]})).checks
    assert result.has_failed
    assert result.check.status == "FAILURE"


def test_single_health_result_stands_without_a_list() -> None:
    row = {"State": 1, "HealthCheckResult": {"Name": "x", "Status": 1, "Severity": 2}}
    assert len(read_environment(document(row)).checks) == 1


def test_health_results_of_updates_are_read_with_their_place() -> None:
    row = {"ResourceId": "a", "State": "Ready", "HealthCheckResult": [{"Name": "x"}]}
    updates, checks = read_updates(document([row]))
    assert updates[0].state == "Ready"
    assert checks[0].place == "[0].HealthCheckResult[0]"


READERS: tuple[Callable[[bytes], object], ...] = (
    read_update_runs,
    read_cau_reports,
    read_environment,
    read_updates,
)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "data",
    [b"{", b"7", b"[1, 2]", b'"x"', b"[[]]", b"\xff\xfe\x00", b"[" * 100_000, b'{"x": 1}', b"{}"],
)
def test_what_cannot_be_understood_is_an_input_error(
    read: Callable[[bytes], object], data: bytes
) -> None:
    with pytest.raises(InputError):
        read(data)


@pytest.mark.parametrize("read", READERS)
def test_empty_file_holds_nothing_and_is_no_error(read: Callable[[bytes], object]) -> None:
    assert read(b"") is not None
    assert read(b"\xef\xbb\xbf\r\n") is not None


def test_half_of_a_surrogate_pair_does_not_get_through() -> None:
    (run,) = read_update_runs(json.dumps({"ResourceId": "a\ud800b"}).encode())
    run.resource_id.encode("utf-8")


def test_action_plan_says_why_it_did_not_go_on() -> None:
    row = {
        "InstanceID": "9a1d",
        "ActionPlanName": "MAS Update",
        "Status": "Failed",
        "EndDateTime": f"/Date({MS})/",
        "AdditionalInformation": {"Message": "no steps"},
    }
    (plan,) = read_action_plans(document(row))
    assert (plan.instance_id, plan.status, plan.at) == ("9a1d", "Failed", AT)
    assert plan.words == '{"Message": "no steps"}'


def test_marker_has_a_path_and_perhaps_no_text() -> None:
    (marker,) = read_markers(document([{"Path": "C:\\x.txt", "Text": ""}]))
    assert (marker.path, marker.text) == ("C:\\x.txt", "")
    assert read_markers(b"[]") == ()


@pytest.mark.parametrize("read", [read_action_plans, read_markers])
def test_objects_of_another_kind_are_no_plans_and_no_markers(
    read: Callable[[bytes], object],
) -> None:
    with pytest.raises(InputError):
        read(document([{"Version": "1"}]))
