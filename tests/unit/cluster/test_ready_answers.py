import json
from datetime import UTC, datetime
from pathlib import PureWindowsPath

import pytest

from toolkit.cluster._checks import _ready_answers
from toolkit.cluster._checks._check import Told
from toolkit.cluster._cmdlets import ready
from toolkit.cluster._cmdlets.ready import HealthFile

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
RESULT = {"Name": "Disks", "Status": "FAILURE", "Severity": "Critical"}


class Replies:
    """Answers by the first cmdlet and, where it has one, the path."""

    def __init__(self, text="[]", *, size=10, exist=(True, False, False)):
        self.text, self.size, self.exist, self.asked = text, size, exist, []

    def __call__(self, command):
        first = command.pipeline[0]
        path = str(dict(first.parameters).get("LiteralPath"))
        self.asked.append((first.name, path))
        match first.name:
            case "Get-ChildItem":
                file = HealthFile(
                    path=PureWindowsPath(r"C:\x\h.json"), size_bytes=self.size, written_at=AT
                )
                return Told(value=(file,))
            case "Get-Content":
                return self.text if isinstance(self.text, Told) else Told(value=self.text)
            case "Test-Path":
                return Told(value=self.exist)
            case "Get-Cluster":
                return Told(value="cluster1")
            case _:
                return Told(why="no such cmdlet")


def files(replies):
    (file,) = _ready_answers.ask_cluster(replies).health_files.value
    return file


@pytest.mark.parametrize(
    "document", [[RESULT], RESULT, {"HealthCheckResult": [RESULT]}, [{"a": {"b": [RESULT]}}]]
)
def test_results_are_found_however_deep_their_list_stands(document):
    assert [check.name for check in files(Replies(json.dumps(document))).checks] == ["Disks"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "nothing in it"),
        ("{", "no JSON"),
        ("[]", "no result"),
        ("7", "no result"),
        ("[" * 100_000, "nested too deeply"),
        (Told(why="access denied"), "access denied"),
    ],
)
def test_file_that_cannot_be_read_says_why(text, problem):
    file = files(Replies(text))
    assert problem in file.problem
    assert file.checks == ()


def test_file_that_is_too_large_is_not_sent_for():
    replies = Replies(size=(8 << 20) + 1)
    assert "too many" in files(replies).problem
    assert "Get-Content" not in [name for name, _ in replies.asked]


def test_only_a_marker_that_is_there_is_read():
    told = _ready_answers.ask_cluster(Replies("CAU failed", exist=(True, False, True)))
    assert told.has_share.value is True
    assert [(marker.path.name, marker.text) for marker in told.markers.value] == [
        ("cauFailureInfo.txt", "CAU failed")
    ]


def test_cau_is_asked_about_by_the_failover_clusters_own_name():
    asked = []

    def ask(command):
        if command.pipeline[0].name == "Get-CauRun":
            asked.append(dict(command.pipeline[0].parameters)["ClusterName"])
        return Replies()(command)

    _ready_answers.ask_cluster(ask)
    assert asked == ["cluster1"]


@pytest.mark.parametrize("is_told", [True, False])
def test_runs_are_timed_as_log_bundles_tell_it_and_without_that_not_at_all(is_told):
    row = {"ResourceId": "r/S1/1", "State": "Failed", "LastUpdatedTime": "2026-11-26T19:00:00"}
    moment = row | {"LastUpdatedTime": f"/Date({AT.timestamp() * 1000:.0f})/"}

    def ask(command):
        if command.name == ready.all_runs().name:
            return Told(value=command.parse((row,)))
        if command.name == ready.run_times().name and is_told:
            return Told(value=command.parse((json.dumps(moment),)))
        return Told(why="access denied")

    (run,) = _ready_answers.ask_cluster(ask).runs.value
    assert run.state_raw == "Failed"
    assert run.updated_at == (AT if is_told else None)
