"""Checks of whether something else than the orchestrator updates, or did, and of what stops its CAU run. Pure.

Theory of operation. An update that Windows installed belongs to the orchestrator if it lies in the time of an
update run, or of a CAU run that did not ask Windows Update, with some minutes more at both ends. Whatever lies
outside was installed by somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from toolkit.cluster._checks import _saying
from toolkit.cluster._checks._check import Check, CheckId, Reads, Said, Told
from toolkit.cluster._cmdlets.settings import CauReport, InstalledUpdate
from toolkit.model import RunState, UpdateState

if TYPE_CHECKING:
    from toolkit.cluster._checks._answers import Answers

LOOK_BACK = timedelta(days=90)
"""What happened earlier is not judged."""
_TOLERANCE = timedelta(minutes=15)
"""Clocks differ, and an event may be written after the end of a run."""
_WINDOWS_UPDATE_PLUGIN = "Microsoft.WindowsUpdatePlugin"
_DEFENDER = frozenset({"KB2267602", "KB4052623"})
"""Numbers of its signatures and its platform: they come every day, and no update run brings them."""
_BLOCKS_WMI = "d1e49aac-8f56-4280-b9ba-993a6d77406c"
_ALLOWED_ACTIONS = {"": "not set", "0": "off", "2": "audit", "6": "warn"}
_SHARED = ("c:\\clusterstorage\\", "\\\\")
_UNTOLD_END = timedelta(days=1)
"""So long a run may have gone on whose end is not told."""
_LAST_STOPPED = 2411
"""The last release that stops where a node lacks a .NET update that others have."""
_MOST_NAMED = 3
_THIRD_TUESDAY = (
    "TSG/Update/OS-update-automatically-set-to-run-on-3rd-Tuesday-following-SBE-update.md"
)
_WHO = (
    "Find out who installed it (SConfig, Windows Admin Center, Azure Update Manager, another tool) and stop "
    "that: only the orchestrator may update the nodes."
)
_ONE_SET = (
    "Bring the nodes to one set of .NET updates first: take off what Get-HotFix lists on some of them only, or have "
    "Microsoft's support say how. What is the same on every node is a warning."
)


def _plugin(answers: Answers) -> Iterator[Said]:
    reports = answers.cluster.settings.reports.value
    if reports is None:
        return
    now = _saying.time_there(answers)
    recent = [one for one in reports if one.started_at is None or now - one.started_at <= LOOK_BACK]
    unnamed = [one for one in recent if not one.plugin]
    if unnamed:
        yield _saying.unknown(f"the reports of {len(unnamed)} CAU runs do not name their plug-ins")
    outside = [one for one in recent if not _is_ours(one)]
    if not outside:
        yield _saying.passes(f"{len(recent)} reports of CAU runs in 90 days")
        return
    newest = outside[0]
    evidence = (
        f"CAU runs in 90 days that used it: {len(outside)}, the newest {newest.run_id}, "
        f"{_minute(newest.started_at)}, {newest.status or 'without a result'}"
    )
    runs, updates = answers.cluster.ready.runs.value, answers.cluster.ready.updates.value
    if runs is None or updates is None:
        yield _saying.warns(f"{evidence}; when the last update was installed was not told")
        return
    known = {update.resource_id for update in updates if update.state is UpdateState.Installed}
    installed = [  # a preparation succeeds, too
        one.updated_at
        for one in runs
        if one.state is RunState.Succeeded and one.update_id in known and one.updated_at is not None
    ]
    last = max(installed, default=None)
    is_over = newest.started_at is not None and last is not None and newest.started_at < last
    since = (
        f"an update was installed since, {_minute(last)}"
        if is_over
        else "no update was installed since"
    )
    yield _saying.warns(f"{evidence}; {since}", subject=newest.run_id)


def _is_ours(report: CauReport) -> bool:
    """Whether a CAU run may be the orchestrator's: it never uses that plug-in."""
    return _WINDOWS_UPDATE_PLUGIN not in report.plugin


def _self_updating(answers: Answers) -> Iterator[Said]:
    role = answers.cluster.settings.cau_role.value
    if role is None:
        return
    entries = {name.casefold(): value for name, value in role.items()}
    found = [
        f"{name} {value}"
        for name in ("DaysOfWeek", "WeeksOfMonth")
        if (value := entries.get(name.casefold(), "")) not in ("", "0", "None")
    ]
    script = entries.get("preupdatescript", "")
    if "sbecache" in script.casefold():
        found.append(f"PreUpdateScript {script}")
    if found and entries.get("status", "").casefold() == "offline":
        yield _saying.warns(f"the CAU role is switched off, and has a schedule: {', '.join(found)}")
    elif found:
        yield _saying.critical(f"the CAU role updates by itself: {', '.join(found)}")
    elif role and "daysofweek" not in entries:
        yield _saying.unknown(f"the CAU role tells no DaysOfWeek, only {', '.join(role)}")
    else:
        yield _saying.passes("the CAU role has no schedule" if role else "there is no CAU role")


def _automatic(answers: Answers) -> Iterator[Said]:
    for node, windows in _saying.told(answers, lambda node: node.settings.setup.windows):
        if windows.no_auto_update == "1":
            yield _saying.passes("NoAutoUpdate is 1", node)
        else:
            yield _saying.warns(f"NoAutoUpdate is {windows.no_auto_update or 'not set'}", node)


def _patched(answers: Answers) -> Iterator[Said]:
    outside = _outside(answers)
    if outside is None:
        return
    found = False
    for node, updates in outside.items():
        if updates:
            found = True
            yield _saying.warns(_listed(updates), node)
    if not found:
        yield _saying.passes("everything in 90 days was installed in the time of an update")


def _dotnet(answers: Answers) -> Iterator[Said]:
    outside = _outside(answers)
    package = answers.cluster.settings.package.value
    if outside is None or package is None:
        return
    carried = {kb for file in package if file.is_dotnet for kb in file.kbs}
    found = {
        node: [one for one in updates if ".NET" in one.title and not one.kbs & carried]
        for node, updates in outside.items()
    }
    logged = {node: {kb for one in updates for kb in one.kbs} for node, updates in found.items()}
    listed = dict(_saying.told(answers, lambda node: node.settings.setup.hotfixes))
    foreign = frozenset[str]().union(*logged.values())
    owned = {node: foreign.intersection(listed.get(node, kbs)) for node, kbs in logged.items()}
    if not any(found.values()):
        yield _saying.passes("none in 90 days that the package does not hold")
    elif len(set(owned.values())) > 1:
        told = ((node, ", ".join(sorted(there))) for node, there in owned.items())
        evidence = f"not the same on every node: {_saying.each(told)}"
        stops = any(version.release <= _LAST_STOPPED for version in _saying.versions(answers))
        yield _saying.critical(evidence, remedy=_ONE_SET) if stops else _saying.warns(evidence)
    else:
        for node, updates in found.items():
            if updates:
                yield _saying.warns(_listed(updates), node)


def _outside(answers: Answers) -> dict[str, list[InstalledUpdate]] | None:
    """Return what was installed outside of CAU runs and update runs; None: these are not known."""
    reports, runs = answers.cluster.settings.reports.value, answers.cluster.ready.runs.value
    if reports is None or runs is None:
        return None
    now = _saying.time_there(answers)
    ours = [
        *((one.started_at, one.ended_at) for one in reports if _is_ours(one)),
        *(
            (one.started_at, now if one.state is RunState.InProgress else one.updated_at)
            for one in runs
        ),
    ]
    return {
        node: [
            one
            for one in updates
            if now - one.at <= LOOK_BACK
            and not one.kbs & _DEFENDER
            and not any(_lies_in(one.at, begin, end) for begin, end in ours)
        ]
        for node, updates in _saying.told(answers, lambda node: node.settings.installed)
    }


def _lies_in(at: datetime, begin: datetime | None, end: datetime | None) -> bool:
    """Whether a moment lies in a run, or close to it; of a run whose beginning is not told it does not."""
    if begin is None or begin - at > _TOLERANCE:
        return False
    return at - (end or begin) <= _TOLERANCE + (timedelta() if end else _UNTOLD_END)


def _listed(updates: list[InstalledUpdate]) -> str:
    rest = len(updates) - _MOST_NAMED
    told = "; ".join(f"{_minute(one.at)} {one.title[:120]}" for one in updates[:_MOST_NAMED])
    return told + (f"; and {rest} more" if rest > 0 else "")


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at is not None else "at an unknown time"


def _rule_of_defender(answers: Answers) -> Iterator[Said]:
    for node, rules in _saying.told(answers, lambda node: node.settings.attack_surface_rules):
        action = rules.get(_BLOCKS_WMI, "")
        if action == "1":
            yield _saying.critical("the rule blocks processes that come from PSExec or WMI", node)
        elif action in _ALLOWED_ACTIONS:
            yield _saying.passes(_ALLOWED_ACTIONS[action], node)
        else:
            yield _saying.unknown(f"the rule has action {action}", node)


def _discs(answers: Answers) -> Iterator[Said]:
    for node, discs in _saying.told(answers, lambda node: node.settings.discs):
        local = [disc for disc in discs if not disc.path.casefold().startswith(_SHARED)]
        if local:
            told = ", ".join(f"{disc.vm} {disc.path}" for disc in local[:_MOST_NAMED])
            rest = len(local) - _MOST_NAMED
            yield _saying.warns(told + (f" and {rest} more" if rest > 0 else ""), node)
        else:
            yield _saying.passes(f"{len(discs)} discs, on shared storage all of them", node)


def _runs_and_installed(answers: Answers) -> Iterator[tuple[str, Told[object]]]:
    yield "", answers.cluster.settings.reports
    yield "", answers.cluster.ready.runs
    for node in answers.nodes:
        yield node.name, node.settings.installed


CHECKS: tuple[Check, ...] = (
    Check(
        id=CheckId("cau-windows-update"),
        title="No CAU run used the Windows Update plug-in",
        about="dont",
        reads=Reads.CLUSTER,
        asked=("Get-CauReport", "Get-SolutionUpdate", "Get-SolutionUpdateRun"),
        rule="A report of the last 90 days names Microsoft.WindowsUpdatePlugin: warning, with what is known of updates "
        "that were installed since. A report cannot be undone; that nodes are at different levels is found by `drift-os-build`.",
        remedy="Find out who starts such runs (Windows Admin Center, a schedule, a script) and stop it. See that "
        "drift-os-build, os-build-published and drift-hotfixes pass, or cure what they say; then install the solution update that "
        "matches the OS build as soon as possible.",
        source=f"{_THIRD_TUESDAY}, about-updates-23h2.md",
        confidence="confirmed",
        rests_on=_saying.of_cluster(lambda answers: answers.cluster.settings.reports),
        judge=_plugin,
    ),
    Check(
        id=CheckId("cau-self-updating"),
        title="CAU does not update by itself",
        about="dont",
        reads=Reads.CLUSTER,
        asked=("Get-ClusterResource", "Get-CauClusterRole"),
        rule="The CAU role has a schedule (DaysOfWeek, WeeksOfMonth), or a PreUpdateScript in the folder of "
        "an SBE: critical, a warning while its status is Offline. There is no role, or it has no schedule: "
        "pass. It does not tell DaysOfWeek: unknown.",
        remedy="Take the schedule off the role as the guide says, before the third Tuesday of the month.",
        source=_THIRD_TUESDAY,
        confidence="confirmed",
        rests_on=_saying.of_cluster(lambda answers: answers.cluster.settings.cau_role),
        judge=_self_updating,
    ),
    Check(
        id=CheckId("windows-update-off"),
        title="Windows Update does not install by itself",
        about="dont",
        reads=Reads.NODE,
        asked=("Get-ItemProperty",),
        rule="The policy NoAutoUpdate is not 1: warning.",
        remedy="Switch automatic updates off on every node by policy (NoAutoUpdate = 1).",
        source="cluster-aware-updating-requirements.md, remediations/DisableWindowsUpdate.md",
        confidence="confirmed",
        rests_on=_saying.of_nodes(lambda node: node.settings.setup.windows),
        judge=_automatic,
    ),
    Check(
        id=CheckId("patched-outside"),
        title="Nothing was installed outside an update",
        about="dont",
        reads=Reads.BOTH,
        asked=("wevtutil.exe", "Get-CauReport", "Get-SolutionUpdateRun"),
        rule="In the last 90 days the agent of Windows Update installed something (event 19) more than 15 "
        "minutes before or after every update run, and every CAU run without the Windows Update plug-in: "
        "warning. Updates of Defender do not count. The event log may not go back so far.",
        remedy=_WHO,
        source="about-updates-23h2.md; that such an event means it: our own conclusion",
        confidence="inferred",
        rests_on=_runs_and_installed,
        judge=_patched,
    ),
    Check(
        id=CheckId("dotnet-outside"),
        title="No .NET update that the package does not hold",
        about="dont",
        reads=Reads.BOTH,
        asked=(
            "wevtutil.exe",
            "Get-CauReport",
            "Get-SolutionUpdateRun",
            "Get-ChildItem",
            "Get-HotFix",
        ),
        rule="An update whose title names .NET was installed outside an update in 90 days, and the package on the "
        "infrastructure share does not hold it: warning. It is there now on some nodes only, and the installed or "
        "the wanted version is of 2411 or earlier: critical.",
        remedy=f"Read the guide before the update is started. {_WHO}",
        source="TSG/Update/Update-during-.NET-Updates-Installation-Out-of-Band-.Net-Updates-Installed-on-"
        "the-cluster.md",
        confidence="confirmed",
        rests_on=lambda answers: [
            ("", answers.cluster.settings.package),
            *_runs_and_installed(answers),
        ],
        judge=_dotnet,
    ),
    Check(
        id=CheckId("asr-rule"),
        title="Defender lets CAU start its installer",
        about="dont",
        reads=Reads.NODE,
        asked=("Get-MpPreference",),
        rule=f"The attack surface reduction rule {_BLOCKS_WMI} blocks: critical. It is off, audits, warns or is "
        "not set: pass. Another action: unknown.",
        remedy="Set the rule to Audit (2) on every node until the update is installed, as the guide says.",
        source="TSG/Update/Solution-Update-CAU-Run-fails-due-to-Windows-Defender-blocking-WMI-commands.md",
        confidence="confirmed",
        rests_on=_saying.of_nodes(lambda node: node.settings.attack_surface_rules),
        judge=_rule_of_defender,
    ),
    Check(
        id=CheckId("vm-discs"),
        title="No virtual machine holds a disc of one node",
        about="dont",
        reads=Reads.NODE,
        asked=("Get-VMDvdDrive",),
        rule="A disc image in a drive is neither below C:\\ClusterStorage nor on a share: warning.",
        remedy="Eject it, or put the image on shared storage: the machine cannot move to another node, and the "
        "node is not drained.",
        source="update-settings.md; that the path tells it: platform knowledge",
        confidence="platform",
        rests_on=_saying.of_nodes(lambda node: node.settings.discs),
        judge=_discs,
    ),
)
