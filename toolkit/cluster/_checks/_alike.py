"""Checks of settings that are the same on all nodes, and stay as they are. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from toolkit.cluster._baseline import NodeSettings, Setting, drift_between, drift_from
from toolkit.cluster._checks import _saying
from toolkit.cluster._checks._check import Check, CheckId, CheckVerdict, Reads, Said, Told

if TYPE_CHECKING:
    from toolkit.cluster._checks._answers import Answers, NodeAnswers

_COMMA_CRASHES = 2508
"""The release whose update service ends where decimals are written with a comma."""
_MODULES_OF_2411 = {
    "Az.Accounts": "3.0.3",
    "Az.Resources": "6.12.0",
    "Az.ConnectedMachine": "0.8.0",
}
_BUILD = re.compile(r"[0-9]+\.[0-9]+")
_BEST_PRACTICES = "update-best-practices.md"
_OUT_OF_BAND = "about-updates-23h2.md, update-via-powershell-23h2.md"
_SET_BACK = (
    "Where the nodes differ, set them to one value, which may not be done while an update runs: until then ferry starts "
    "none. Where it only is another than in the baseline, set it back after the update rather than before it; or, if it is "
    "meant to be so, remember it: ferry cluster baseline."
)
_ALIGN = (
    "Update with the orchestrator and with nothing else: its next update brings all nodes to one level. "
    "If an update already stopped at it, follow the guide."
)
_ALIGN_FIRST = (
    "Bring the nodes to one level first, as UpdateOsBuildNumberInEce-MismatchedBuilds.md says or with Microsoft's "
    "support: until then ferry starts no update. From then on update with the orchestrator and with nothing else. "
    "Where the build is right and the baseline is not, take a new one: ferry cluster baseline."
)


def _alike(
    *settings: Setting, differing: CheckVerdict, changed: CheckVerdict = CheckVerdict.WARNING
) -> Callable[[Answers], Iterator[Said]]:
    """Return a judge that compares the nodes with each other, and each with the baseline."""

    def judge(answers: Answers) -> Iterator[Said]:
        nodes = [node.settings.setup.settings(node.name) for node in answers.nodes]
        said = [*_between(nodes, settings, differing), *_since(answers, nodes, settings, changed)]
        yield from said
        if not any(one.verdict in (differing, changed) for one in said):
            yield _saying.passes(_alike_in(nodes, settings) + _outdated(answers, settings))

    return judge


def _between(
    nodes: Sequence[NodeSettings], settings: Sequence[Setting], verdict: CheckVerdict
) -> Iterator[Said]:
    for drift in drift_between(nodes):
        if drift.setting in settings:
            yield Said(verdict=verdict, evidence=drift.evidence)


def _since(
    answers: Answers,
    nodes: Sequence[NodeSettings],
    settings: Sequence[Setting],
    verdict: CheckVerdict,
) -> Iterator[Said]:
    """Compare with the baseline, if there is one that is still to be compared with."""
    baseline, told = answers.baseline, answers.cluster.ready.environment
    if baseline is None or _outdated(answers, settings):
        return
    if told.value is None and any(setting.follows_updates for setting in settings):
        yield _saying.unknown(
            f"it is not known whether the baseline's version, {baseline.solution_version}, is still "
            f"installed: {told.why}"
        )
        return
    then = {node.node.casefold(): node.values for node in baseline.nodes}
    for node in nodes:
        kept = then.get(node.node.casefold(), {})
        lacking = [name.words for name in settings if name in node.values and name not in kept]
        if lacking:
            yield _saying.unknown(
                f"the baseline of {baseline.taken_at:%Y-%m-%d} does not hold: {', '.join(lacking)}",
                node.node,
                remedy="Look whether it is right, and take a new baseline: ferry cluster baseline.",
            )
    for drift in drift_from(baseline, nodes):
        if drift.setting in settings:
            yield Said(verdict=verdict, node=drift.node, evidence=drift.evidence)


def _outdated(answers: Answers, settings: Sequence[Setting]) -> str:
    """Return that an update came after the baseline, where updates change these; empty: none is known of."""
    baseline, told = answers.baseline, answers.cluster.ready.environment.value
    if baseline is None or told is None or told.current_version == baseline.solution_version:
        return ""
    if not any(setting.follows_updates for setting in settings):
        return ""
    return (
        f"; the baseline is of {baseline.solution_version}, before an update, and is not compared"
    )


def _alike_in(nodes: Sequence[NodeSettings], settings: Sequence[Setting]) -> str:
    values = {text for node in nodes for name in settings for text in node.values.get(name, ())}
    shown = ", ".join(sorted(values)) if len(values) < 4 else f"{len(values)} on every node"
    return shown or "none"


def _grounds(*settings: Setting) -> _saying.RestsOn:
    return lambda answers: [
        (node.name, node.settings.setup.of(setting))
        for node in answers.nodes
        for setting in settings
    ]


def _decimal_point(answers: Answers) -> Iterator[Said]:
    releases = {version.release for version in _saying.versions(answers)}
    for node, culture in _saying.told(answers, lambda node: node.settings.setup.culture):
        evidence = f"{culture.name} writes 1{culture.decimal_separator}5"
        if culture.decimal_separator == ".":
            yield _saying.passes(evidence, node)
        elif _COMMA_CRASHES in releases:
            yield _saying.critical(f"{evidence}: the update service of 2508 ends at it", node)
        else:
            yield _saying.warns(evidence, node)


def _published(answers: Answers) -> Iterator[Said]:
    told = answers.cluster.ready.environment.value
    if told is None:
        return
    version = _saying.installed(answers)
    release = next((one for one in answers.manifests.releases if one.version == version), None)
    if release is None or not _BUILD.fullmatch(release.os_build):
        yield _saying.unknown(
            f"this ferry does not know which build belongs to {told.current_version or 'nothing'}",
            remedy="Bring a newer ferry, or the manifest of that version (FERRY_MANIFESTS), and check again.",
        )
        return
    expected = release.os_build
    others = False
    for node, windows in _saying.told(answers, lambda node: node.settings.setup.windows):
        if windows.build == expected:
            continue
        others = True
        evidence = f"{windows.build}; {expected} belongs to {version}"
        if _number(windows.build) > _number(expected):
            yield _saying.warns(f"{evidence}: it was patched outside an update", node)
        else:
            yield _saying.critical(
                f"{evidence}: an update is not whole on it", node, remedy=_ALIGN_FIRST
            )
    if not others:
        yield _saying.passes(f"{expected} belongs to {version}")


def _number(build: str) -> tuple[int, ...]:
    return tuple(int(part) for part in build.split("."))


def _modules_of(node: NodeAnswers) -> Told[tuple[str, ...]]:
    return node.settings.setup.modules


def _newest(modules: Sequence[str]) -> frozenset[tuple[str, tuple[int, ...]]]:
    """Return the version of each module of Az that is used: of several side by side the newest."""
    versions: dict[str, tuple[int, ...]] = {}
    for name, _, version in (module.partition(" ") for module in modules):
        if name.startswith("Az."):
            number = tuple(int(part) for part in re.findall(r"[0-9]{1,9}", version))
            versions[name] = max(number, versions.get(name, ()))
    return frozenset(versions.items())


def _modules(answers: Answers) -> Iterator[Said]:
    newest = {_newest(told) for _, told in _saying.told(answers, _modules_of)}
    differing = CheckVerdict.CRITICAL if len(newest) > 1 else CheckVerdict.WARNING
    yield from _alike(Setting.MODULES, differing=differing)(answers)
    if 2411 not in {version.release for version in _saying.versions(answers)}:
        return
    for node, modules in _saying.told(answers, _modules_of):
        wrong = [
            f"{module} (expected {expected})"
            for module in modules
            for name, expected in _MODULES_OF_2411.items()
            if module.startswith(f"{name} ") and module != f"{name} {expected}"
        ]
        if wrong:
            yield _saying.warns(f"not the modules that 2411 works with: {', '.join(wrong)}", node)


CHECKS: tuple[Check, ...] = (
    Check(
        id=CheckId("drift-time-zone"),
        title="One time zone",
        about="dont",
        reads=Reads.NODE,
        asked=("Get-TimeZone",),
        rule="The nodes differ: critical. It is another than in the baseline: warning.",
        remedy=_SET_BACK,
        source=_BEST_PRACTICES,
        confidence="confirmed",
        rests_on=_grounds(Setting.TIME_ZONE),
        judge=_alike(Setting.TIME_ZONE, differing=CheckVerdict.CRITICAL),
    ),
    Check(
        id=CheckId("drift-culture"),
        title="One culture and one display language",
        about="dont",
        reads=Reads.NODE,
        asked=("Get-Culture", "Get-UICulture"),
        rule="The nodes differ: critical. It is another than in the baseline: warning. Both are those of our "
        "account on each node.",
        remedy=_SET_BACK,
        source=_BEST_PRACTICES,
        confidence="confirmed",
        rests_on=_grounds(Setting.CULTURE, Setting.UI_CULTURE),
        judge=_alike(Setting.CULTURE, Setting.UI_CULTURE, differing=CheckVerdict.CRITICAL),
    ),
    Check(
        id=CheckId("drift-system-locale"),
        title="One system locale and one region",
        about="dont",
        reads=Reads.NODE,
        asked=("Get-WinSystemLocale", "Get-WinHomeLocation"),
        rule="The nodes differ: critical. It is another than in the baseline: warning.",
        remedy=_SET_BACK,
        source=_BEST_PRACTICES,
        confidence="confirmed",
        rests_on=_grounds(Setting.SYSTEM_LOCALE, Setting.HOME_LOCATION),
        judge=_alike(Setting.SYSTEM_LOCALE, Setting.HOME_LOCATION, differing=CheckVerdict.CRITICAL),
    ),
    Check(
        id=CheckId("decimal-comma"),
        title="Decimals are written with a point",
        about="dont",
        reads=Reads.NODE,
        asked=("Get-Culture",),
        rule="They are not: critical where the installed or the wanted version is of 2508, else a warning.",
        remedy="Set the formats of en-US on every node, as the guide says.",
        source="TSG/Update/UpdateService-Crash-on-non-en-US.md",
        confidence="confirmed",
        rests_on=_saying.of_nodes(lambda node: node.settings.setup.culture),
        judge=_decimal_point,
    ),
    Check(
        id=CheckId("drift-os-build"),
        title="One OS build",
        about="dont",
        reads=Reads.NODE,
        asked=("Get-ItemProperty",),
        rule="The nodes differ: critical. It is another than in a baseline of the same solution version: "
        "critical.",
        remedy=_ALIGN_FIRST,
        source="TSG/Update/UpdateOsBuildNumberInEce-MismatchedBuilds.md",
        confidence="confirmed",
        rests_on=_grounds(Setting.OS_BUILD),
        judge=_alike(
            Setting.OS_BUILD, differing=CheckVerdict.CRITICAL, changed=CheckVerdict.CRITICAL
        ),
    ),
    Check(
        id=CheckId("os-build-published"),
        title="The OS build is the one of the installed version",
        about="dont",
        reads=Reads.BOTH,
        asked=("Get-ItemProperty", "Get-SolutionUpdateEnvironment"),
        rule="A higher build than the published one: warning. A lower one: critical. A version whose build "
        "this ferry does not know: unknown.",
        remedy=_ALIGN,
        source="release-information-23h2.md, about-updates-23h2.md",
        confidence="confirmed",
        rests_on=lambda answers: [
            ("", answers.cluster.ready.environment),
            *((node.name, node.settings.setup.windows) for node in answers.nodes),
        ],
        judge=_published,
    ),
    Check(
        id=CheckId("drift-hotfixes"),
        title="One set of hotfixes",
        about="dont",
        reads=Reads.NODE,
        asked=("Get-HotFix",),
        rule="The nodes differ: warning. They are others than in a baseline of the same solution version: "
        "warning.",
        remedy=_ALIGN,
        source=_OUT_OF_BAND,
        confidence="confirmed",
        rests_on=_grounds(Setting.HOTFIXES),
        judge=_alike(Setting.HOTFIXES, differing=CheckVerdict.WARNING),
    ),
    Check(
        id=CheckId("drift-modules"),
        title="One set of PowerShell modules",
        about="dont",
        reads=Reads.NODE,
        asked=("Get-ChildItem",),
        rule="The newest version of a module of Az differs between the nodes: critical. Older ones beside it, or "
        "another module, differ: warning. They are others than in a baseline of the same solution version: "
        "warning. With 2411, other versions of Az.Accounts, Az.Resources or Az.ConnectedMachine than it "
        "works with: warning.",
        remedy="Remove what was installed by hand, and close every PowerShell session on the nodes; the "
        "update brings the modules that it needs.",
        source="about-updates-23h2.md, TSG/Update/Solution-Update-EvalTVMFlow-UpdateArbAndExtensions.md",
        confidence="confirmed",
        rests_on=_grounds(Setting.MODULES),
        judge=_modules,
    ),
)
