"""The baseline: what differs between nodes, what changed since, and the file it is kept in."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from toolkit.cluster._baseline import (
    Baseline,
    NodeSettings,
    Setting,
    drift_between,
    drift_from,
    read_baseline,
    write_baseline,
)
from toolkit.errors import InputError

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)


def settings(node, **values):
    return NodeSettings(node=node, values={Setting(name): told for name, told in values.items()})


def baseline(*nodes):
    return Baseline(
        cluster="plant7",
        taken_at=AT,
        by="Ben Okri",
        solution_version="12.2602.1002.501",
        nodes=nodes,
    )


def said(drifts):
    return [(drift.setting, drift.node, drift.evidence) for drift in drifts]


def test_nodes_that_are_alike_do_not_differ():
    nodes = [settings(name, time_zone=("UTC",), hotfixes=("KB1", "KB2")) for name in ("n1", "n2")]
    assert said(drift_between(nodes)) == []


def test_value_that_differs_is_told_with_the_nodes_that_have_it():
    zones = {"n1": "UTC", "n2": "W. Europe Standard Time", "n3": "UTC"}
    nodes = [settings(name, time_zone=(zone,)) for name, zone in zones.items()]
    assert said(drift_between(nodes)) == [
        (
            "time_zone",
            "",
            "time zone, not the same on every node: UTC (n1, n3), W. Europe Standard Time (n2)",
        )
    ]


def test_of_a_list_only_what_is_not_on_every_node_is_told():
    nodes = [settings("n1", hotfixes=("KB1", "KB2")), settings("n2", hotfixes=("KB1",))]
    assert said(drift_between(nodes)) == [
        ("hotfixes", "", "hotfixes, not the same on every node: KB2 (n1)")
    ]


def test_node_that_did_not_tell_a_setting_differs_from_nobody():
    assert said(drift_between([settings("n1", os_build=("1.2",)), settings("n2")])) == []


def test_nodes_as_in_the_baseline_have_not_drifted():
    node = settings("n1", time_zone=("UTC",), hotfixes=("KB1",))
    assert said(drift_from(baseline(node), [node])) == []


def test_change_since_the_baseline_is_told_with_both_values_and_the_day():
    then = settings("N1", time_zone=("UTC",), hotfixes=("KB1",))
    now = settings("n1", time_zone=("Tokyo Standard Time",), hotfixes=("KB1", "KB2"))
    assert said(drift_from(baseline(then), [now])) == [
        ("time_zone", "n1", "time zone: now Tokyo Standard Time, 2026-11-26 UTC"),
        ("hotfixes", "n1", "hotfixes: now KB2, 2026-11-26 nothing"),
    ]


def test_what_was_not_told_then_is_not_compared():
    now = settings("n1", culture=("de-DE",))
    assert said(drift_from(baseline(settings("n1")), [now])) == []
    assert said(drift_from(baseline(), [now])) == []


def test_long_lists_are_cut():
    many = tuple(f"KB{number:03}" for number in range(25))
    nodes = [settings("n1", hotfixes=many), settings("n2", hotfixes=())]
    (drift,) = drift_between(nodes)
    assert drift.evidence.endswith("KB019 (n1) and 5 more")


KEPT = baseline(
    replace(
        settings("n1", time_zone=("UTC",), modules=("Az.Accounts 4.0.0",)),
        untold={Setting.HOTFIXES: "access denied"},
    )
)


def test_baseline_that_was_written_is_read_back():
    assert read_baseline(write_baseline(KEPT), file="plant7.json") == KEPT


def changed(**values):
    return json.dumps(json.loads(write_baseline(KEPT)) | values).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        changed(format=2),
        changed(kind="ferry-site"),
        changed(by=None),
        changed(taken_at="2026-11-26T12:00:00"),
        changed(taken_at="yesterday"),
        changed(nodes=[]),
        changed(nodes={"n1": {}}),
        changed(nodes={"n1": {"settings": {"shoe_size": ["44"]}, "untold": {}}}),
        changed(nodes={"n1": {"settings": {"culture": [1]}, "untold": {}}}),
        changed(nodes={"n1": {"settings": {"culture": "de-DE"}, "untold": {}}}),
    ],
)
def test_file_that_is_not_ours_is_refused_with_its_name(data):
    with pytest.raises(InputError, match=r"plant7\.json"):
        read_baseline(data, file="plant7.json")


def test_every_setting_has_words():
    assert all(setting.words for setting in Setting)
