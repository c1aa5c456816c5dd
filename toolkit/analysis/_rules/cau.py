"""What went wrong in a CAU run, from the events of coordinator and nodes and from the run report.

Source: event lists of both CAU providers; Get-CauReport; the troubleshooting guides where named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from toolkit.analysis._case import Case, CauRun, NodeTurn, Outcome
from toolkit.analysis._events import (
    BOOTS,
    CAU,
    MANAGEMENT,
    WINDOWS_UPDATE,
    hresult_text,
    same_node,
)
from toolkit.analysis._rules._rule import Hit, Rank, Rule, events_of, limited, of_events
from toolkit.analysis._story import MANAGEMENT_SOURCES, node_has_failed
from toolkit.model import Evidence, RerunSafety, Severity, Source

_AFTER = RerunSafety.AFTER_REMEDY
_RUN_AGAIN = "When every node is Up and healthy, start the update again."
_MARGIN = timedelta(minutes=10)
_SIGNS_OF_LIFE = timedelta(minutes=90)
"""A restart takes up to an hour by CAU's own limit; after that a silent node is lost."""


def _manager(*ids: int) -> tuple[tuple[str, int], ...]:
    return tuple((MANAGEMENT, event_id) for event_id in ids)


def _of_cau(*ids: int) -> tuple[tuple[str, int], ...]:
    return tuple((CAU, event_id) for event_id in ids)


# --- runs ---------------------------------------------------------------------------------------


def _runs(*outcomes: Outcome) -> Callable[[Case], Iterator[Hit]]:
    def find(case: Case) -> Iterator[Hit]:
        for run in case.cau_runs:
            if run.outcome in outcomes:
                yield Hit(evidence=_of_run(run), facts=_run_facts(run))

    return find


def _of_run(run: CauRun) -> tuple[Evidence, ...]:
    """Return the events that began and ended a run; or the report, if there is nothing else."""
    if not run.events:
        return (
            Evidence(
                node="",
                source=Source.CAU_REPORTS,
                at=run.started_at,
                text=f"the report says: {run.outcome}",
                place=f"run {run.run_id}",
            ),
        )
    bounds = [
        event for event in run.events if event.key in _manager(1003, 1004, 1005, 1006, 1007, 1021)
    ]
    return of_events(bounds or [run.events[-1]])


def _run_facts(run: CauRun) -> dict[str, str]:
    failed = next((turn for turn in run.turns if turn.outcome == "failed"), None)
    return {
        "run": run.run_id or "(id unknown)",
        "note": run.note,
        "node": failed.node if failed else "",
        "first": f" The first node that failed is {failed.node}." if failed else "",
    }


# --- nodes that did not come through --------------------------------------------------------------


def _never_back(case: Case) -> Iterator[Hit]:
    """Find restarts after which neither the coordinator nor the node itself wrote of a start."""
    for run, turn in _turns(case, "restarting"):
        evidence, seen = _restart(case, run, turn)
        if not seen and _has_silence(case, run):
            yield Hit(evidence=evidence, facts={"node": turn.node})


def _started_unseen(case: Case) -> Iterator[Hit]:
    """Find restarts after which the node started, but the coordinator never said so."""
    for run in case.cau_runs:
        for turn in run.turns:
            unseen = turn.outcome == "restarting" or any(
                phase.name == "restart" and phase.detail == "failed" for phase in turn.phases
            )
            evidence, seen = _restart(case, run, turn) if unseen else ((), False)
            if seen:
                yield Hit(evidence=evidence, facts={"node": turn.node})


def _turns(case: Case, outcome: str) -> Iterator[tuple[CauRun, NodeTurn]]:
    return ((run, turn) for run in case.cau_runs for turn in run.turns if turn.outcome == outcome)


def _restart(case: Case, run: CauRun, turn: NodeTurn) -> tuple[tuple[Evidence, ...], bool]:
    """Return the last restart's traces, and whether the node started again."""
    asked = [
        event
        for event in run.events
        if event.key == (MANAGEMENT, 1010) and same_node(event.argument(0), turn.node)
    ]
    if not asked:
        return (), False
    since = asked[-1].at
    booted = [
        event
        for event in case.events
        if event.key in BOOTS and same_node(event.node, turn.node) and event.at >= since
    ]
    return of_events([asked[-1], *booted[:1]], node=turn.node), bool(booted)


def _has_silence(case: Case, run: CauRun) -> bool:
    """Whether enough time is covered after the last sign of life to call a silence one."""
    newest = max((event.at for event in case.events), default=run.last_at)
    return run.outcome.is_end or newest - run.last_at > _SIGNS_OF_LIFE


def _left_paused(case: Case) -> Iterator[Hit]:
    """Find nodes that a run which has ended left in maintenance mode."""
    if not case.cau_runs or not case.cau_runs[-1].outcome.is_end:
        return
    run = case.cau_runs[-1]
    for turn in run.turns:
        if turn.suspended_at is not None and turn.resumed_at is None:
            evidence = [
                event
                for event in run.events
                if event.key == (MANAGEMENT, 1008) and same_node(event.argument(0), turn.node)
            ]
            yield Hit(evidence=of_events(evidence, node=turn.node), facts={"node": turn.node})


# --- the nodes' own words -------------------------------------------------------------------------

_ACTS = {2002: "scan", 2004: "download", 2006: "installation", 2021: "installation"}


def _operation_failed(case: Case) -> Iterator[Hit]:
    """Find failed scans, downloads and installations, one hit per node and act."""
    found: dict[tuple[str, str], list[tuple[str, Evidence]]] = {}
    for event in case.of(*_of_cau(*_ACTS)):
        code = event.argument(3 if event.key[1] == 2021 else 0)
        act = _ACTS[event.key[1]]
        found.setdefault((event.node, act), []).append((code, event.evidence()))
    for (node, act), rows in found.items():
        yield Hit(
            evidence=limited(evidence for _, evidence in rows),
            facts={"node": node, "act": act, "code": hresult_text(rows[-1][0])},
        )


def _reported_node(case: Case) -> Iterator[Hit]:
    """Find nodes that a run report lists as failed, with the updates that failed there."""
    for report in case.reports:
        for result in filter(node_has_failed, report.nodes):
            node = case.spelled(result.node)
            failed = [install for install in result.installs if install.error_code]
            texts = [
                f"{install.title or install.update_id}: {hresult_text(install.hresult)}"
                for install in failed
            ]
            texts = ([result.error] if result.error else []) + texts or [f"status {result.status}"]
            yield Hit(
                evidence=limited(
                    Evidence(
                        node=node,
                        source=Source.CAU_REPORTS,
                        at=report.started_at,
                        text=text,
                        place=f"report of run {report.run_id}, which began then, node {result.node}",
                    )
                    for text in texts
                ),
                facts={"node": node, "text": texts[0]},
            )


# --- patching from elsewhere ----------------------------------------------------------------------


def _other_plugin(case: Case) -> Iterator[Hit]:
    for report in case.reports:
        plugin = next((one for one in report.plugins if "WindowsUpdatePlugin" in one), None)
        if plugin:
            yield Hit(
                evidence=(
                    Evidence(
                        node="",
                        source=Source.CAU_REPORTS,
                        at=report.started_at,
                        text=f"plug-in {plugin}",
                        place=f"run {report.run_id}",
                    ),
                )
            )


def _outside(case: Case) -> Iterator[Hit]:
    """Find updates installed while no CAU run was going on.

    Only judged where the coordinators' logs are whole and reach back far enough to know.
    """
    logs = [row for row in case.coverage if row.source in MANAGEMENT_SOURCES and row.is_readable]
    covered = {row.node for row in logs}
    if not case.nodes or not covered.issuperset(case.nodes) or not case.cau_runs:
        return
    oldest = max(
        (row.first_at for row in logs if row.first_at is not None and row.first_record_id > 1),
        default=None,
    )
    spans = [
        (run.started_at - _MARGIN, (run.ended_at or run.last_at) + _MARGIN)
        for run in case.cau_runs
        if run.started_at is not None and run.events
    ]
    found: dict[str, list[Evidence]] = {}
    for event in case.of((WINDOWS_UPDATE, 19)):
        title = event.record.argument("updateTitle") or event.argument(0)
        if "defender" in title.lower() or "security intelligence" in title.lower():
            continue  # definitions come every day, and by themselves
        if oldest is not None and event.at < oldest:
            continue
        if any(run.started_at is None or not run.events for run in case.cau_runs):
            continue  # a run of unknown length may have covered it
        if not any(begin <= event.at <= end for begin, end in spans):
            found.setdefault(event.node, []).append(event.evidence())
    for node, evidence in found.items():
        yield Hit(evidence=limited(evidence), facts={"node": node})


RULES: tuple[Rule, ...] = (
    Rule(
        id="cau-run-failed",
        title="The CAU run failed",
        severity=Severity.CRITICAL,
        rank=Rank.SYMPTOM,
        cause="Cluster-Aware Updating ended run {run} without having updated every node.{first}",
        remedy=("Treat the findings above this one first; they come before it.", _RUN_AGAIN),
        rerun_safe=_AFTER,
        find=_runs(Outcome.FAILED, Outcome.PARTIAL),
    ),
    Rule(
        id="cau-run-cancelled",
        title="The CAU run was cancelled",
        severity=Severity.WARNING,
        rank=Rank.SYMPTOM,
        cause="Run {run} was cancelled, by a person or by the orchestrator.",
        remedy=(
            "Find out who cancelled it and why; look for an earlier run that failed.",
            _RUN_AGAIN,
        ),
        rerun_safe=_AFTER,
        find=_runs(Outcome.CANCELLED),
    ),
    Rule(
        id="cau-run-open",
        title="A CAU run is still open",
        severity=Severity.WARNING,
        rank=Rank.OBSERVATION,
        cause="Run {run} has begun and no coordinator has written its end, although all their logs "
        "were collected. It may still be running.",
        remedy=(
            "Ask Get-CauRun on the cluster; while it says RunInProgress, wait.",
            "Never start a second run. If nothing moves for hours, call Microsoft support.",
        ),
        rerun_safe=RerunSafety.NO,
        find=_runs(Outcome.OPEN),
    ),
    Rule(
        id="cau-run-end-unknown",
        title="How the CAU run ended is not in this bundle",
        severity=Severity.WARNING,
        rank=Rank.CONTEXT,
        cause="Run {run} has no recorded end: {note}.",
        remedy=(
            "Collect again, from every node, and soon: the coordinator's log holds about 1 MB.",
            "Or ask the cluster: Get-CauReport -Last -Detailed.",
        ),
        rerun_safe=RerunSafety.UNKNOWN,
        find=_runs(Outcome.NOT_COLLECTED, Outcome.OVERWRITTEN),
    ),
    Rule(
        id="cau-node-failed",
        title="CAU gave up on node {node}",
        severity=Severity.CRITICAL,
        rank=Rank.OBSERVATION,
        cause="The coordinator says: {detail}",
        remedy=("Treat that error on node {node}.", _RUN_AGAIN),
        rerun_safe=_AFTER,
        find=events_of(*_manager(1013)),
    ),
    Rule(
        id="cau-restart-failed",
        title="Node {node} did not come back from its restart in time",
        severity=Severity.CRITICAL,
        rank=Rank.CAUSE,
        cause="CAU restarted the node and lost patience with it. The coordinator says: {detail}",
        remedy=(
            "Look at node {node} through its management controller (BMC): at a prompt, in firmware, "
            "or running?",
            "When it runs: Get-ClusterNode, and Resume-ClusterNode if it is Paused.",
            _RUN_AGAIN,
        ),
        rerun_safe=_AFTER,
        find=events_of(*_manager(1012)),
        guide="TSG/SolutionExtension/Solution-builder-extension-update-scenarios.md",
    ),
    Rule(
        id="cau-node-never-back",
        title="Node {node} was restarted and never came back",
        severity=Severity.CRITICAL,
        rank=Rank.CAUSE,
        cause="Neither the coordinator nor the node's own System log tells of a start after the "
        "restart.",
        remedy=(
            "Look at node {node} through its management controller (BMC) first.",
            "When it runs again, collect its logs and analyse once more.",
        ),
        rerun_safe=RerunSafety.NO,
        find=_never_back,
    ),
    Rule(
        id="cau-node-started-unseen",
        title="Node {node} started again, but the coordinator did not see it",
        severity=Severity.WARNING,
        rank=Rank.OBSERVATION,
        cause="The node's System log shows a start after the restart that CAU asked for; the "
        "coordinator never noted it, or only after its limit. The node was slow, or not reachable.",
        remedy=(
            "Get-ClusterNode: is {node} Up? Check its network and its Cluster service.",
            _RUN_AGAIN,
        ),
        rerun_safe=_AFTER,
        find=_started_unseen,
    ),
    Rule(
        id="cau-drain-failed",
        title="The roles of node {node} could not be moved away",
        severity=Severity.CRITICAL,
        rank=Rank.CAUSE,
        cause="CAU could not put the node into maintenance mode: {detail}",
        remedy=(
            "Find what stays on the node: Get-ClusterGroup | where OwnerNode -eq {node}; virtual "
            "machines that cannot move (memory, networks, attached media) and storage that is "
            "resynchronising (Get-StorageJob) are the usual ones.",
            "Move them by hand, then start the update again.",
        ),
        rerun_safe=_AFTER,
        find=events_of(*_manager(1016)),
    ),
    Rule(
        id="cau-resume-failed",
        title="Node {node} could not be taken out of maintenance mode",
        severity=Severity.CRITICAL,
        rank=Rank.CAUSE,
        cause="CAU could not resume the node: {detail}",
        remedy=("On the cluster: Resume-ClusterNode {node}, and read its error.", _RUN_AGAIN),
        rerun_safe=_AFTER,
        find=events_of(*_manager(1017)),
    ),
    Rule(
        id="cau-node-left-paused",
        title="Node {node} was left in maintenance mode",
        severity=Severity.WARNING,
        rank=Rank.SYMPTOM,
        cause="The run ended while the node was paused; it carries no roles and the cluster has "
        "that much less room.",
        remedy=("When the node is healthy: Resume-ClusterNode {node} -Failback Immediate.",),
        rerun_safe=_AFTER,
        find=_left_paused,
    ),
    Rule(
        id="cau-quorum",
        title="CAU stopped: restarting node {node} would cost the cluster its quorum",
        severity=Severity.CRITICAL,
        rank=Rank.CAUSE,
        cause="Too few other nodes or witnesses were there to carry the cluster.",
        remedy=(
            "Get-ClusterNode, Get-ClusterQuorum: bring the missing nodes and the witness back.",
            _RUN_AGAIN,
        ),
        rerun_safe=_AFTER,
        find=events_of(*_manager(1018)),
    ),
    Rule(
        id="cau-node-locked",
        title="Node {node} is locked by another orchestrator",
        severity=Severity.CRITICAL,
        rank=Rank.CAUSE,
        cause="Another CAU run, or the remains of one, holds the node.",
        remedy=(
            "Get-CauRun: if a run is in progress, wait for it.",
            "If none is, clear the remains: Invoke-CauRun -ForceRecovery -Force.",
        ),
        rerun_safe=_AFTER,
        find=events_of(*_manager(1015), *_of_cau(2016)),
    ),
    Rule(
        id="cau-max-failed-nodes",
        title="CAU stopped because too many nodes had failed",
        severity=Severity.CRITICAL,
        rank=Rank.SYMPTOM,
        cause="This follows from the node that failed first; the run may not go on with others.",
        remedy=("Treat the node that failed first.",),
        rerun_safe=_AFTER,
        find=events_of(*_manager(1019), node_argument=False),
    ),
    Rule(
        id="cau-nodes-offline",
        title="CAU did not go on: not all nodes were online",
        severity=Severity.CRITICAL,
        rank=Rank.CAUSE,
        cause="The run requires every node to be online.",
        remedy=("Get-ClusterNode: bring the missing nodes up.", _RUN_AGAIN),
        rerun_safe=_AFTER,
        find=events_of(*_manager(1020), node_argument=False),
    ),
    Rule(
        id="cau-run-too-long",
        title="The CAU run was stopped because it took too long",
        severity=Severity.CRITICAL,
        rank=Rank.OBSERVATION,
        cause="The run went over its limit (StopAfter).",
        remedy=(
            "Find the longest phase in the run story: a drain, a restart, an installation.",
            _RUN_AGAIN,
        ),
        rerun_safe=_AFTER,
        find=events_of(*_manager(1002), node_argument=False),
    ),
    Rule(
        id="cau-operation-failed",
        title="The {act} failed on node {node}: {code}",
        severity=Severity.CRITICAL,
        rank=Rank.OBSERVATION,
        cause="The node's own CAU log says that the {act} ended with {code}.",
        remedy=(
            "Read what the node logged at that time: CBS.log and dism.log for an installation, "
            "Get-WindowsUpdateLog for scan and download; Defender and application control for "
            "access denied.",
            _RUN_AGAIN,
        ),
        rerun_safe=_AFTER,
        find=_operation_failed,
    ),
    Rule(
        id="cau-report-node-failed",
        title="The CAU run report lists node {node} as failed",
        severity=Severity.CRITICAL,
        rank=Rank.OBSERVATION,
        cause="The report says: {text}",
        remedy=("Treat that error on node {node}.", _RUN_AGAIN),
        rerun_safe=_AFTER,
        find=_reported_node,
    ),
    Rule(
        id="cau-orchestrator-lost",
        title="Node {node} lost contact with the orchestrator of its CAU run",
        severity=Severity.WARNING,
        rank=Rank.OBSERVATION,
        cause="The node did not hear from the orchestrator for a long time and let go of its work.",
        remedy=(
            "Was the orchestrator's node restarted or cut off at that time? Look at the timeline.",
        ),
        rerun_safe=_AFTER,
        find=events_of(*_of_cau(2011), node_argument=False),
    ),
    Rule(
        id="cau-report-lost",
        title="A CAU run report could not be saved or read",
        severity=Severity.INFO,
        rank=Rank.CONTEXT,
        cause="Get-CauReport will lack this run; its story then stands in the event logs only.",
        remedy=("Keep this bundle: it may be the only record of the run.",),
        rerun_safe=RerunSafety.YES,
        find=events_of(*_manager(1022, 1023), *_of_cau(2013, 2015), node_argument=False),
    ),
    Rule(
        id="cau-recovered",
        title="CAU cleaned up after an earlier, interrupted run",
        severity=Severity.INFO,
        rank=Rank.CONTEXT,
        cause="An earlier run did not end properly; its remains were removed.",
        remedy=("Nothing to do, if the run after it succeeded.",),
        rerun_safe=RerunSafety.YES,
        find=events_of(*_manager(1014), node_argument=False),
    ),
    Rule(
        id="cau-out-of-band-plugin",
        title="CAU installed Windows updates outside a solution update",
        severity=Severity.WARNING,
        rank=Rank.OBSERVATION,
        cause="A CAU run used the Windows Update plug-in. On Azure Local only the update "
        "orchestrator may start CAU; nodes patched this way no longer match any release.",
        remedy=(
            "Find the schedule: Get-CauClusterRole; on releases before 2505 an SBE update may have "
            "left one for the third Tuesday.",
            "Compare the OS builds of all nodes before the next update.",
        ),
        rerun_safe=_AFTER,
        find=_other_plugin,
        guide="TSG/Update/OS-update-automatically-set-to-run-on-3rd-Tuesday-following-SBE-update.md",
    ),
    Rule(
        id="update-outside-cau-run",
        title="Node {node} installed Windows updates while no CAU run was going on",
        severity=Severity.WARNING,
        rank=Rank.OBSERVATION,
        cause="Something else than the update orchestrator patched the node: an administrator, WSUS "
        "or another tool.",
        remedy=(
            "Find out what installed it and keep that tool off the nodes of the cluster.",
            "Compare the OS builds of all nodes before the next update.",
        ),
        rerun_safe=_AFTER,
        find=_outside,
    ),
)
