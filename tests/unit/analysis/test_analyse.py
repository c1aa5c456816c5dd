"""The face: a bundle in, an analysis out."""

from __future__ import annotations

import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.analysis.bundles import (
    CHANNELS,
    Members,
    analysed,
    document,
    evtx,
    members_of,
    story,
    write_bundle,
)
from toolkit.analysis import Analysis, CoverageStatus, Outcome, _sources, analyse
from toolkit.logbundle import LogBundle
from toolkit.model import Gap, RerunSafety, Severity, Source


def status(analysis: Analysis, node: str, source: str) -> str:
    (row,) = [row for row in analysis.coverage if (row.node, row.source) == (node, source)]
    return row.status


def rules(analysis: Analysis) -> list[str]:
    return [one.rule for one in analysis.findings]


@pytest.fixture
def whole(tmp_path: Path) -> Members:
    return members_of(story(), tmp_path)


def test_run_that_succeeded_gives_no_finding(tmp_path: Path, whole: Members) -> None:
    analysis = analysed(tmp_path, whole)
    assert rules(analysis) == []
    assert not analysis.has_failure
    assert analysis.gaps == ()
    assert analysis.verdict.headline == "No failure was found on cluster plant7"
    assert [run.outcome for run in analysis.runs] == [Outcome.SUCCEEDED]


def test_hand_over_is_told(tmp_path: Path, whole: Members) -> None:
    (run,) = analysed(tmp_path, whole).runs
    assert len(run.coordinators) == 2
    assert {turn.outcome for turn in run.turns} == {"updated"}


@pytest.mark.parametrize(
    ("failure", "first"),
    [
        ("installer-blocked", "cau-installer-blocked-by-defender-asr"),
        ("restart-timeout", "cau-node-restart-timeout"),
        ("drain", "cau-drain-failed"),
    ],
)
def test_cause_of_a_failed_run_stands_first(tmp_path: Path, failure: str, first: str) -> None:
    analysis = analysed(tmp_path, members_of(story(failing_node="N2", failure=failure), tmp_path))
    assert rules(analysis)[0] == first
    assert analysis.verdict.nodes == ("N2",)
    assert analysis.verdict.rerun_safe is RerunSafety.AFTER_REMEDY
    assert analysis.verdict.headline.startswith(
        "Update Solution12.2603.1002.15 failed on cluster plant7: "
    )


@pytest.mark.parametrize("lost", ["evtx", "xml", "json"])
def test_cause_is_found_with_half_of_the_evidence(tmp_path: Path, lost: str) -> None:
    members = members_of(story(failing_node="N2"), tmp_path)
    kept = {key: data for key, data in members.items() if lost not in key[1]}
    assert rules(analysed(tmp_path, kept))[0] == "cau-installer-blocked-by-defender-asr"


def test_node_is_found_in_the_step_tree_alone(tmp_path: Path) -> None:
    members = members_of(story(failing_node="N2"), tmp_path)
    analysis = analysed(
        tmp_path,
        {
            ("", Source.UPDATE_RUNS): members["", Source.UPDATE_RUNS],
            ("N2", Source.SYSTEM_EVTX): members["N2", Source.SYSTEM_EVTX],
        },
    )
    assert rules(analysis)[0] == "update-run-failed"
    assert analysis.verdict.nodes == ("N2",)


def test_event_that_two_copies_tell_of_counts_once(tmp_path: Path, whole: Members) -> None:
    analysis = analysed(tmp_path, whole)
    starts = [one for one in analysis.timeline if "is being restarted" in one.text]
    assert len(starts) == 3


def test_clock_offsets_put_all_nodes_on_one_clock(tmp_path: Path) -> None:
    ahead = {"N2": timedelta(minutes=37)}
    members = members_of(story(clock_offsets=ahead), tmp_path)
    right = analysed(tmp_path, members, clock_offsets=ahead)
    wrong = analysed(tmp_path, members)
    plain = analysed(tmp_path, members_of(story(), tmp_path))
    assert right.runs == plain.runs
    assert wrong.runs != plain.runs


def test_open_run_forbids_another_try(tmp_path: Path) -> None:
    told = story()
    members = members_of(told.until(told.started_at + timedelta(minutes=70)), tmp_path)
    analysis = analysed(tmp_path, members)
    assert [run.outcome for run in analysis.runs] == [Outcome.OPEN]
    assert "cau-run-open" in rules(analysis)
    assert analysis.verdict.rerun_safe is RerunSafety.NO


def test_end_in_a_log_that_was_not_collected_is_not_called_open(tmp_path: Path) -> None:
    told = story()
    members = members_of(told.until(told.started_at + timedelta(minutes=70)), tmp_path)
    kept = {key: data for key, data in members.items() if key[0] != "N1"}
    gap = Gap(source="", node="N1", reason="unreachable", detail="no answer on port 5986")
    analysis = analysed(tmp_path, kept, [gap])
    assert [run.outcome for run in analysis.runs] == [Outcome.NOT_COLLECTED]


# --- coverage -------------------------------------------------------------------------------------


def test_unreachable_node_is_missing_in_every_source(tmp_path: Path, whole: Members) -> None:
    kept = {key: data for key, data in whole.items() if key[0] != "N3"}
    gap = Gap(source="", node="N3", reason="unreachable", detail="no answer on port 5986")
    analysis = analysed(tmp_path, kept, [gap])
    assert status(analysis, "N3", Source.SYSTEM_EVTX) == "missing"
    (finding,) = [one for one in analysis.findings if one.rule == "evidence-missing"]
    assert (finding.title, finding.severity) == (
        "Evidence of node N3 is missing",
        Severity.WARNING,
    )
    assert "port 5986" in finding.evidence[0].text
    assert "6 source(s) are missing" in analysis.verdict.headline


def test_node_that_only_the_run_names_is_reported(tmp_path: Path, whole: Members) -> None:
    kept = {key: data for key, data in whole.items() if key[0] != "N2"}
    assert status(analysed(tmp_path, kept), "N2", "(everything)") == "not asked for"


def test_source_nobody_asked_for_is_not_called_empty(tmp_path: Path, whole: Members) -> None:
    del whole["N1", Source.SYSTEM_EVTX]
    assert status(analysed(tmp_path, whole), "N1", Source.SYSTEM_EVTX) == "not asked for"


def test_empty_log_is_collected_and_empty(tmp_path: Path, whole: Members) -> None:
    whole["N1", Source.SYSTEM_EVTX] = evtx(tmp_path, [])
    analysis = analysed(tmp_path, whole)
    assert status(analysis, "N1", Source.SYSTEM_EVTX) == "empty"
    assert analysis.gaps == ()


def test_source_of_a_newer_ferry_is_kept_and_said(tmp_path: Path, whole: Members) -> None:
    whole["N1", "hologram.bin"] = b"x"
    analysis = analysed(tmp_path, whole)
    assert status(analysis, "N1", "hologram.bin") == "not understood"
    assert "evidence-not-understood" in rules(analysis)


@pytest.mark.parametrize("source", [*CHANNELS, Source.CAU_REPORTS, Source.UPDATE_RUNS])
def test_garbage_in_one_member_stops_no_other(tmp_path: Path, source: str) -> None:
    members = members_of(story(failing_node="N2"), tmp_path)
    node = "N2" if source in CHANNELS else ""
    members[node, source] = b"\x00garbage" * 999
    analysis = analysed(tmp_path, members)
    assert status(analysis, node, source) == "unreadable"
    assert "evidence-damaged" in rules(analysis)
    assert analysis.verdict.nodes == ("N2",)


def test_bytes_altered_after_collection_are_not_used(tmp_path: Path, whole: Members) -> None:
    path = write_bundle(tmp_path / "a.zip", whole)
    altered = tmp_path / "b.zip"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(altered, "w") as new:
        for name in old.namelist():
            spoil = name.endswith("N1/system.evtx")
            new.writestr(name, old.read(name)[:-1] + b"\x01" if spoil else old.read(name))
    with LogBundle(altered) as bundle:
        analysis = analyse(bundle)
    assert status(analysis, "N1", Source.SYSTEM_EVTX) == CoverageStatus.UNREADABLE


def test_member_damaged_in_the_archive_gives_what_can_be_read(
    tmp_path: Path, whole: Members
) -> None:
    path = write_bundle(tmp_path / "a.zip", whole)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("nodes/N1/system.evtx")
    start = info.header_offset + 30 + len(info.filename) + 20
    data[start + 10 : start + info.compress_size // 2] = bytes(info.compress_size // 2 - 10)
    path.write_bytes(data)
    with LogBundle(path) as bundle:
        analysis = analyse(bundle)
    assert status(analysis, "N1", Source.SYSTEM_EVTX) in ("damaged", "unreadable")
    assert status(analysis, "N2", Source.SYSTEM_EVTX) == "collected"


def test_collector_that_failed_half_way_is_named(tmp_path: Path, whole: Members) -> None:
    path = tmp_path / "a.zip"
    write_bundle(path, whole)
    text = zipfile.ZipFile(path).read("manifest.json").decode()
    altered = tmp_path / "b.zip"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(altered, "w") as new:
        for name in old.namelist():
            new.writestr(
                name,
                text.replace('"exit": 0', '"exit": 5') if "manifest" in name else old.read(name),
            )
    with LogBundle(altered) as bundle:
        analysis = analyse(bundle)
    assert status(analysis, "N1", Source.SYSTEM_EVTX) == "damaged"


def test_cap_on_events_is_said(
    tmp_path: Path, whole: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sources, "KEPT_EVENTS", 3)
    analysis = analysed(tmp_path, whole)
    (row,) = [row for row in analysis.coverage if (row.node, row.source) == ("N1", "cau.evtx")]
    assert row.status == "damaged"
    assert "only the newest 3 of" in row.detail[0]


def test_bundle_that_tells_nothing_says_so(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, {})
    assert "no-run-found" in rules(analysis)
    assert "No run was found" in analysis.verdict.headline


def test_cmdlet_that_was_refused_is_judged_like_any_text(tmp_path: Path, whole: Members) -> None:
    del whole["", Source.UPDATES]
    words = (
        "A RestResponse of GatewayTimeout was received calling GET on "
        "https://n1:4900/providers/Microsoft.Update.Admin/updateLocations"
    )
    gap = Gap(source=Source.UPDATES, node="", reason="failed", detail=words)
    assert "update-service-gateway-timeout" in rules(analysed(tmp_path, whole, [gap]))


def test_timeline_is_in_order_of_time(tmp_path: Path, whole: Members) -> None:
    times = [one.at for one in analysed(tmp_path, whole).timeline]
    assert times == sorted(times)


def test_timeline_is_bounded_and_keeps_what_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = members_of(story(failing_node="N2"), tmp_path)
    monkeypatch.setattr("toolkit.analysis._timeline.LIMIT", 20)
    analysis = analysed(tmp_path, members)
    assert len(analysis.timeline) == 20
    assert analysis.timeline_left_out > 0
    assert any("CAU run failed on node N2" in one.text for one in analysis.timeline)


# --- which runs have to be cured ----------------------------------------------------------------

RUN = "redmond/Solution12.2603.1002.15"
EMPTY = "The action plan does not contain the mandatory element 'Steps'."


def run_row(number: int, *, status: str, state: int = 3) -> dict[str, object]:
    progress = {"Name": "Start update", "Status": status, "Steps": []} if status else None
    return {
        "ResourceId": f"{RUN}/{number}",
        "State": state,
        "TimeStarted": f"2026-03-2{number}T01:00:00Z",
        "LastUpdatedTime": f"2026-03-2{number}T02:00:00Z",
        "Progress": progress,
    }


@pytest.mark.parametrize(
    ("statuses", "state", "failed"),
    [
        (["Error"], "InstallationFailed", [f"{RUN}/1"]),
        (["Success", "Error"], "InstallationFailed", [f"{RUN}/2"]),
        (["Error", "Success"], "Installed", []),
        (["Error", "InProgress"], "Installing", []),
        (["Error", ""], "InstallationFailed", [f"{RUN}/2"]),
        (["Success"], "HealthCheckFailed", [f"{RUN}/1"]),
        ([""], "Installing", []),
    ],
)
def test_newest_run_of_an_update_is_what_has_to_be_cured(
    tmp_path: Path, statuses: list[str], state: str, failed: list[str]
) -> None:
    rows = [run_row(number, status=status) for number, status in enumerate(statuses, start=1)]
    members = {
        ("", Source.UPDATE_RUNS): document(rows),
        ("", Source.UPDATES): document([{"ResourceId": RUN, "State": state}]),
    }
    assert [run.run_id for run in analysed(tmp_path, members).failed_runs] == failed


def test_run_without_steps_is_explained_by_its_action_plan(tmp_path: Path) -> None:
    plan = {"InstanceID": "2", "Status": "Failed", "AdditionalInformation": EMPTY}
    members = {
        ("", Source.UPDATE_RUNS): document([run_row(2, status="")]),
        ("", Source.UPDATES): document([{"ResourceId": RUN, "State": "InstallationFailed"}]),
        ("", Source.ACTION_PLANS): document([plan]),
    }
    analysis = analysed(tmp_path, members)
    assert analysis.verdict.rule == "resumed-update-empty-action-plan"
    assert analysis.verdict.rerun_safe is RerunSafety.AFTER_REMEDY


def test_marker_file_of_a_failed_run_is_read_as_text(tmp_path: Path) -> None:
    words = "CAU Run failed. Previous CAU run status was Canceled. Exceeded max CAU retries (2)."
    raised = f"Type 'EvalCauRetryApplicability' of Role 'CAU' raised an exception:\n{words}"
    marker = {"Path": r"C:\x\caufailureinfo.txt", "Text": raised}
    found = analysed(tmp_path, {("", Source.BREADCRUMBS): document([marker])}).findings
    assert any(one.rule.startswith("cau-retry-canceled") for one in found)
    assert found[0].evidence[0].place == r"file C:\x\caufailureinfo.txt"


def test_bundle_of_an_earlier_ferry_lacks_no_action_plans(tmp_path: Path, whole: Members) -> None:
    sources = {row.source for row in analysed(tmp_path, whole).coverage}
    assert not sources & {Source.ACTION_PLANS, Source.BREADCRUMBS}
    gap = Gap(source=Source.ACTION_PLANS, node="", reason="failed", detail="not recognised")
    assert status(analysed(tmp_path, whole, [gap]), "", Source.ACTION_PLANS) == "missing"
