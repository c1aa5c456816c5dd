"""What happened to the nodes and to the cluster while it was being updated.

Source: ids of FailoverClustering from a public dump of its messages; Kernel-Power 41 and EventLog 6008
as Windows documents them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from toolkit.analysis._case import Case
from toolkit.analysis._events import CLUSTERING, EVENT_LOG, MANAGEMENT, POWER, same_node
from toolkit.analysis._rules._rule import Hit, Rank, Rule, events_of, limited
from toolkit.model import Evidence, RerunSafety, Severity

_SLACK = timedelta(minutes=5)


def _restarts(case: Case) -> list[tuple[str, datetime, datetime]]:
    """Return the windows in which CAU had a node down on purpose: node, from, to."""
    windows = []
    for run in case.cau_runs:
        asked = [event for event in run.events if event.key == (MANAGEMENT, 1010)]
        for event in asked:
            node = event.argument(0)
            ends = [
                other.at
                for other in run.events
                if other.key in ((MANAGEMENT, 1011), (MANAGEMENT, 1012))
                and other.at >= event.at
                and same_node(other.argument(0), node)
            ]
            windows.append((node, event.at, min(ends, default=run.ended_at or run.last_at)))
    return windows


def _removed(case: Case) -> Iterator[Hit]:
    """Find nodes lost from the membership while CAU had not asked for it."""
    windows = _restarts(case)
    found: dict[str, list[Evidence]] = {}
    for event in case.of((CLUSTERING, 1135)):
        node = case.spelled(event.argument(0))
        expected = any(
            same_node(node, name) and begin - _SLACK <= event.at <= end + _SLACK
            for name, begin, end in windows
        )
        if not expected:
            found.setdefault(node, []).append(event.evidence())
    for node, evidence in found.items():
        yield Hit(evidence=limited(evidence), facts={"node": node})


def _in_run(*keys: tuple[str, int]) -> Callable[[Case], Iterator[Hit]]:
    """Return a finder for what a node wrote of itself while a CAU run was going on."""

    def find(case: Case) -> Iterator[Hit]:
        spans = [
            (run.started_at or run.last_at, run.ended_at or run.last_at) for run in case.cau_runs
        ]
        found: dict[str, list[Evidence]] = {}
        for event in case.of(*keys):
            if any(begin - _SLACK <= event.at <= end + _SLACK for begin, end in spans):
                found.setdefault(event.node, []).append(event.evidence())
        for node, evidence in found.items():
            yield Hit(evidence=limited(evidence), facts={"node": node})

    return find


RULES: tuple[Rule, ...] = (
    Rule(
        id="cluster-quorum-lost",
        title="The cluster lost its quorum",
        severity=Severity.CRITICAL,
        rank=Rank.CAUSE,
        cause="The Cluster service on {node} stopped because too few nodes could see each other.",
        remedy=(
            "Get-ClusterNode on every node; check the cluster networks and the witness.",
            "Bring the cluster back and storage healthy before anything else.",
        ),
        rerun_safe=RerunSafety.NO,
        find=events_of((CLUSTERING, 1177), node_argument=False),
    ),
    Rule(
        id="cluster-volume-lost",
        title="A cluster volume was paused or lost on node {node}",
        severity=Severity.WARNING,
        rank=Rank.OBSERVATION,
        cause="The node lost access to shared storage; virtual machines on it may have stopped.",
        remedy=(
            "Get-VirtualDisk, Get-StorageJob: storage must be healthy before the next node is "
            "restarted.",
        ),
        rerun_safe=RerunSafety.AFTER_REMEDY,
        find=events_of((CLUSTERING, 5120), (CLUSTERING, 5142), node_argument=False),
    ),
    Rule(
        id="cluster-drain-failed",
        title="Draining node {node} failed",
        severity=Severity.WARNING,
        rank=Rank.OBSERVATION,
        cause="The cluster could not move every role off the node.",
        remedy=("See which role stayed, and why it cannot move, in the evidence and on the node.",),
        rerun_safe=RerunSafety.AFTER_REMEDY,
        find=events_of((CLUSTERING, 1677)),
    ),
    Rule(
        id="cluster-role-move-failed",
        title="Role {node} could not be moved off its node",
        severity=Severity.WARNING,
        rank=Rank.CAUSE,
        cause="Moving the role for a drain failed with error {detail}.",
        remedy=("Get-ClusterGroup: look at the role, move it by hand and read its error.",),
        rerun_safe=RerunSafety.AFTER_REMEDY,
        find=events_of((CLUSTERING, 1137)),
    ),
    Rule(
        id="cluster-node-quarantined",
        title="Node {node} is quarantined or isolated by the cluster",
        severity=Severity.WARNING,
        rank=Rank.OBSERVATION,
        cause="The node left the cluster several times in a short while, or cannot be reached.",
        remedy=("Check its networks; then Start-ClusterNode {node} -ClearQuarantine.",),
        rerun_safe=RerunSafety.AFTER_REMEDY,
        find=events_of((CLUSTERING, 1672), (CLUSTERING, 1673)),
    ),
    Rule(
        id="cluster-node-removed",
        title="Node {node} dropped out of the cluster when CAU had not restarted it",
        severity=Severity.WARNING,
        rank=Rank.OBSERVATION,
        cause="The other nodes lost it: network, storage, or the node itself.",
        remedy=("Look in the timeline for what happened on {node} in the minute before.",),
        rerun_safe=RerunSafety.AFTER_REMEDY,
        find=_removed,
    ),
    Rule(
        id="node-unexpected-restart",
        title="Node {node} restarted unexpectedly during the CAU run",
        severity=Severity.CRITICAL,
        rank=Rank.CAUSE,
        cause="The node went down without shutting down: power, a crash, or somebody's hand.",
        remedy=(
            "Look for a memory dump on {node} and at its management controller's (BMC) log.",
            "Make sure storage is healthy again (Get-VirtualDisk, Get-StorageJob).",
        ),
        rerun_safe=RerunSafety.AFTER_REMEDY,
        find=_in_run((EVENT_LOG, 6008), (POWER, 41)),
    ),
)
