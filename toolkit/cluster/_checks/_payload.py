"""Checks of what an update needs besides its payload: addresses outside, registration, disconnected operations. Pure.

A cluster of disconnected operations (ALDO) has an appliance instead of Azure: it is asked other things than a
connected one. Which of the two it is, every node says in a variable of its machine; what is asked of the other
kind only is named as not asked.

Source: eastus-hci-endpoints.md, disconnected-operations-update.md, disconnected-operations-plan-updates.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from toolkit.cluster import _cmdlets
from toolkit.cluster._checks._asking import Ask
from toolkit.cluster._checks._check import (
    NOT_ASKED,
    Check,
    CheckId,
    CheckVerdict,
    Reads,
    Said,
    Told,
)
from toolkit.cluster._checks._endpoints import GROUPS, Endpoint, EndpointGroup
from toolkit.cluster._checks._saying import installed, short, versions
from toolkit.cluster._cmdlets import payload
from toolkit.cluster._cmdlets.payload import MachineVariables, Registration
from toolkit.request import DiscoverySource

if TYPE_CHECKING:
    from toolkit.cluster._checks._answers import Answers

_PAGE = "disconnected-operations-update.md"
_EXCLUDED_TEST = "Test-ARBStackBandwidth"
_EXCLUDED_IN, _MOC_SCRIPT_IN = 2603, (2604, 2605)
_APPLIANCE_HOST, _NO_HOST = "edgeartifacts.blob.", "fakehost"
_CONNECTED = "the cluster is not one of disconnected operations"
_UNTOLD = "no node told whether the cluster is one of disconnected operations"
_DISCONNECTED = (
    "the cluster is one of disconnected operations: its appliance takes the place of Azure"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachAnswers:
    """What one node reaches outside."""

    node: str
    proxy: str
    """`host:port` through which it was asked; empty: directly."""
    reached: tuple[tuple[Endpoint, Told[bool]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadAnswers:
    """What the checks here ask of every node."""

    variables: Told[MachineVariables] = NOT_ASKED
    excluded_tests: Told[tuple[str, ...]] = NOT_ASKED
    """Lines of `ExcludeTests.txt`; none where there is no such file. Asked of disconnected operations only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPayloadAnswers:
    """What the checks here ask of the cluster."""

    discovery: Told[tuple[DiscoverySource, ...]] = NOT_ASKED
    registration: Told[Registration] = NOT_ASKED
    orchestrator: Told[str] = NOT_ASKED
    """The node that runs it."""
    endpoints: Told[ReachAnswers] = NOT_ASKED


def ask_node(ask: Ask) -> PayloadAnswers:
    """Ask one node everything that the checks here rest on."""
    variables = ask(payload.machine_variables())
    if not _is_disconnected(variables):
        return PayloadAnswers(variables=variables)
    excluded: Told[tuple[str, ...]] = Told(value=())
    there = ask(_cmdlets.path_exists(payload.EXCLUDED_TESTS))
    if there.why:
        excluded = Told(why=there.why)
    elif there.value:
        excluded = ask(payload.lines_of(payload.EXCLUDED_TESTS))
    return PayloadAnswers(variables=variables, excluded_tests=excluded)


def ask_cluster(ask: Ask, reach: Callable[[str], ReachAnswers]) -> ClusterPayloadAnswers:
    """Ask the cluster everything that the checks here rest on; perhaps again, through another node.

    Args:
        ask: Puts questions.
        reach: Asks what is reached outside through a proxy, or directly; takes up to 90 seconds.
    """
    variables = ask(payload.machine_variables())
    endpoints: Told[ReachAnswers] = Told(why=variables.why or _DISCONNECTED)
    if variables.value is not None and not _is_disconnected(variables):
        endpoints = Told(value=reach(variables.value.proxy))
    return ClusterPayloadAnswers(
        discovery=ask(_cmdlets.discovery()),
        registration=ask(payload.registration()),
        orchestrator=ask(payload.orchestrator_owner()),
        endpoints=endpoints,
    )


# --- which kind of cluster ----------------------------------------------------------------------


class _Kind(Enum):
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    MIXED = "mixed"
    UNTOLD = "untold"


def _is_disconnected(variables: Told[MachineVariables]) -> bool:
    return variables.value is not None and variables.value.disconnected_operations.lower() == "true"


def _kind(answers: Answers) -> _Kind:
    told = [node.payload.variables for node in answers.nodes if not node.payload.variables.why]
    if not told:
        return _Kind.UNTOLD
    found = {_is_disconnected(variables) for variables in told}
    if len(found) == 2:
        return _Kind.MIXED
    return _Kind.DISCONNECTED if found == {True} else _Kind.CONNECTED


def _not_when_connected(answers: Answers) -> str:
    return {_Kind.CONNECTED: _CONNECTED, _Kind.UNTOLD: _UNTOLD}.get(_kind(answers), "")


def not_when_disconnected(answers: Answers) -> str:
    """Say why what Azure does is not asked; empty: it is, for not every node that told says disconnected operations."""
    return _DISCONNECTED if _kind(answers) is _Kind.DISCONNECTED else ""


def _each_variable(answers: Answers) -> Iterator[tuple[str, Told[object]]]:
    for node in answers.nodes:
        yield node.name, node.payload.variables


def _said_by_each(
    answers: Answers, read: Callable[[MachineVariables], str]
) -> Iterator[tuple[str, str]]:
    for node in answers.nodes:
        if node.payload.variables.value is not None:
            yield node.name, read(node.payload.variables.value)


def _judge_kind(answers: Answers) -> Iterator[Said]:
    told = dict(_said_by_each(answers, lambda variables: variables.disconnected_operations))
    says = ", ".join(f"{node} {value or 'not set'}" for node, value in told.items())
    kind = _kind(answers)
    if kind is _Kind.MIXED:
        yield Said(verdict=CheckVerdict.CRITICAL, evidence=says)
    elif not {value.casefold() for value in told.values()} <= {"", "true", "false"}:
        yield Said(
            verdict=CheckVerdict.UNKNOWN, evidence=f"{says}: taken for a cluster in connected mode"
        )
    elif kind is _Kind.DISCONNECTED:
        words = f"disconnected operations ({says}): control plane first; its own preparation is not performed by ferry"
        yield Said(verdict=CheckVerdict.PASS, evidence=words)
    else:
        yield Said(verdict=CheckVerdict.PASS, evidence=f"connected mode ({says})")


# --- addresses outside --------------------------------------------------------------------------


def _is_carried(answers: Answers) -> bool:
    """Whether the payload of the wanted update is on the medium, or was imported."""
    wanted = answers.version
    if wanted is None:
        return False
    if answers.medium is not None and any(item.version == wanted for item in answers.medium.zips):
        return True
    return any(
        _cmdlets.is_version(update, wanted) and update.availability_type == "Local"
        for update in answers.cluster.ready.updates.value or ()
    )


def _judge_group(group: EndpointGroup) -> Callable[[Answers], Iterator[Said]]:
    def judge(answers: Answers) -> Iterator[Said]:
        seen = answers.cluster.payload.endpoints.value
        if seen is None:
            return
        told = dict(seen.reached)
        missed = [str(item) for item in group.endpoints if told[item].value is False]
        untold = [f"{item} ({told[item].why})" for item in group.endpoints if told[item].why]
        through = f" through proxy {seen.proxy}" if seen.proxy else ""
        words = [f"asked from {seen.node}{through}"]
        if missed:
            words.append(f"not reached: {', '.join(missed)}")
        if untold:
            words.append(f"not known: {', '.join(untold)}")
        verdict = CheckVerdict.PASS
        if not missed and not untold:
            words.append(f"all {len(group.endpoints)} reached")
        elif group.is_payload and _is_carried(answers):
            words.append("the wanted update is carried or imported and does not need them")
        else:
            verdict = CheckVerdict.WARNING if missed else CheckVerdict.UNKNOWN
            words.append(f"without them {group.stops}")
        if group.untestable:
            words.append(f"not testable: {', '.join(group.untestable)}")
        yield Said(
            verdict=verdict, evidence="; ".join(words), subject=", ".join([*missed, *untold])
        )

    return judge


def _check_of(group: EndpointGroup) -> Check:
    excused = (
        " Pass where the wanted update is on the medium or was imported."
        if group.is_payload
        else ""
    )
    return Check(
        id=CheckId(group.name),
        title=group.title,
        about="payload",
        reads=Reads.CLUSTER,
        asked=("Resolve-DnsName", "Test-NetConnection", "Invoke-WebRequest"),
        rule="One address is not reached: warning. No answer within 90 seconds, a name service that does not answer, or "
        f"a proxy that wants a logon: unknown.{excused} Without them {group.stops}. "
        f"Asked: {', '.join(map(str, group.endpoints))}.",
        remedy=group.remedy,
        source=group.source,
        confidence=group.confidence,
        not_asked=not_when_disconnected,
        rests_on=lambda answers: [("", answers.cluster.payload.endpoints)],
        judge=_judge_group(group),
    )


# --- Azure, and where updates are looked for ----------------------------------------------------


def _judge_registration(answers: Answers) -> Iterator[Said]:
    told = answers.cluster.payload.registration.value
    if told is None:
        return
    verdict = {"Connected": CheckVerdict.PASS, "": CheckVerdict.UNKNOWN}.get(
        told.connection, CheckVerdict.CRITICAL
    )
    yield Said(
        verdict=verdict,
        evidence=f"ConnectionStatus {told.connection or 'not told'}, "
        f"RegistrationStatus {told.registration or 'not told'}",
    )


def _source_of(component: str, answers: Answers) -> DiscoverySource | None:
    sources = answers.cluster.payload.discovery.value or ()
    return next((item for item in sources if item.component == component), None)


def _host(source: DiscoverySource | None) -> str:
    """Return the host of a source's address; empty: it has none."""
    try:
        return (urlsplit(source.manifest_source).hostname or "") if source is not None else ""
    except ValueError:  # an address of nonsense has no host
        return ""


def _source_words(source: DiscoverySource | None) -> str:
    if source is None:
        return "the cluster does not tell it"
    words = f"{source.manifest_source or 'no address'}: {source.status or 'no status'}"
    return f"{words} ({source.description})" if source.description else words


def _judge_discovery(answers: Answers) -> Iterator[Said]:
    source = _source_of("SBE", answers)
    verdict = {"Ok": CheckVerdict.PASS, "ConnectionFailure": CheckVerdict.WARNING}.get(
        source.status if source is not None else "", CheckVerdict.UNKNOWN
    )
    yield Said(verdict=verdict, evidence=_source_words(source))


def _rests_on_discovery(answers: Answers) -> Iterable[tuple[str, Told[object]]]:
    return [("", answers.cluster.payload.discovery)]


# --- disconnected operations --------------------------------------------------------------------


def _judge_revocation(answers: Answers) -> Iterator[Said]:
    for node, mode in _said_by_each(answers, lambda variables: variables.revocation_mode):
        is_offline = mode.casefold() == "offline"
        yield Said(
            verdict=CheckVerdict.PASS if is_offline else CheckVerdict.CRITICAL,
            node=node,
            evidence=f"NUGET_CERT_REVOCATION_MODE is {mode or 'not set'}",
        )


def _judge_hosted(answers: Answers) -> Iterator[Said]:
    source = _source_of("SBE", answers)
    verdict = CheckVerdict.CRITICAL
    if source is None or not source.manifest_source:
        verdict = CheckVerdict.UNKNOWN
    elif _host(source).startswith(_APPLIANCE_HOST):
        verdict = {"Ok": CheckVerdict.PASS, "": CheckVerdict.UNKNOWN}.get(source.status, verdict)
    yield Said(verdict=verdict, evidence=_source_words(source))


def _judge_update_uri(answers: Answers) -> Iterator[Said]:
    source = _source_of("Solution", answers)
    verdict = CheckVerdict.WARNING
    if source is None or not source.manifest_source:
        verdict = CheckVerdict.UNKNOWN
    elif _host(source) == _NO_HOST:
        verdict = CheckVerdict.PASS
    yield Said(verdict=verdict, evidence=_source_words(source))


def _wants_exclusion(answers: Answers) -> bool:
    return any(version.release == _EXCLUDED_IN for version in versions(answers))


def _owner(answers: Answers) -> str:
    """Return the node that runs the orchestrator, by the name that this site has for it; empty: none."""
    owner = answers.cluster.payload.orchestrator.value or ""
    names = (node.name for node in answers.nodes)
    return next((name for name in names if owner and short(name) == short(owner)), "")


def _rests_on_exclusion(answers: Answers) -> Iterator[tuple[str, Told[object]]]:
    yield "", answers.cluster.ready.environment
    if _wants_exclusion(answers):
        yield "", answers.cluster.payload.orchestrator
        for node in answers.nodes:
            if node.name == _owner(answers):
                yield node.name, node.payload.excluded_tests


def _judge_exclusion(answers: Answers) -> Iterator[Said]:
    current = installed(answers)
    if not _wants_exclusion(answers):
        wanted = f", wanted is {answers.version}" if answers.version is not None else ""
        yield Said(
            verdict=CheckVerdict.PASS if current is not None else CheckVerdict.UNKNOWN,
            evidence=f"installed is {current or 'a version that is not told'}{wanted}; only 2603 needs it",
        )
        return
    told = answers.cluster.payload.orchestrator.value
    owner = _owner(answers)
    if told is not None and not owner:
        yield Said(
            verdict=CheckVerdict.UNKNOWN,
            evidence=f"the orchestrator runs on {told or 'a node that is not told'}, which this site does not know",
        )
    for node in answers.nodes:
        lines = node.payload.excluded_tests.value
        if node.name == owner and lines is not None:
            has_line = _EXCLUDED_TEST.casefold() in {line.strip().casefold() for line in lines}
            yield Said(
                verdict=CheckVerdict.PASS if has_line else CheckVerdict.CRITICAL,
                node=node.name,
                evidence=f"{node.name} runs the orchestrator; ExcludeTests.txt there "
                + (f"has {', '.join(lines)}" if lines else "is not there, or empty"),
            )


def _judge_moc_script(answers: Answers) -> Iterator[Said]:
    wanted = answers.version
    needs_it = wanted is not None and wanted.release in _MOC_SCRIPT_IN
    yield Said(
        verdict=CheckVerdict.WARNING if needs_it else CheckVerdict.PASS,
        evidence=f"wanted is {wanted}"
        + ("; whether the script lies where it is looked for was not asked" if needs_it else ""),
    )


def _judge_control_plane(_: Answers) -> Iterator[Said]:
    yield Said(
        verdict=CheckVerdict.WARNING,
        evidence="the appliance's version was asked of nobody: no node tells it",
    )


CHECKS: tuple[Check, ...] = (
    Check(
        id=CheckId("disconnected-operations"),
        title="All nodes say whether it is a cluster of disconnected operations",
        about="payload",
        reads=Reads.NODE,
        asked=("Get-ItemProperty",),
        rule="DISCONNECTED_OPS_SUPPORT is True on some nodes and not on others: critical. Neither True nor False nor "
        "unset: unknown. What it is decides which of the checks below are asked.",
        remedy="Set the machine variable DISCONNECTED_OPS_SUPPORT alike on every node.",
        source=f"{_PAGE}, disconnected-operations-plan-updates.md",
        confidence="confirmed",
        rests_on=_each_variable,
        judge=_judge_kind,
    ),
    *(_check_of(group) for group in GROUPS),
    Check(
        id=CheckId("registration"),
        title="The cluster is registered and connected",
        about="payload",
        reads=Reads.CLUSTER,
        asked=("Get-AzureStackHCI",),
        rule="ConnectionStatus is not Connected: critical; not told: unknown.",
        remedy="Repair the registration first: the update's own check wants the cluster connected and its "
        "subscription active.",
        source="BreakFix-Update-Resolve-subscription-status-precheck-failure.md",
        confidence="confirmed",
        not_asked=not_when_disconnected,
        rests_on=lambda answers: [("", answers.cluster.payload.registration)],
        judge=_judge_registration,
    ),
    Check(
        id=CheckId("discovery-manifests"),
        title="The cluster reads its vendor's manifest",
        about="payload",
        reads=Reads.CLUSTER,
        asked=("Get-SolutionDiscoveryDiagnosticInfo",),
        rule="Status of the SBE manifest is ConnectionFailure: warning; neither that nor Ok: unknown.",
        remedy="On an island: import the SBE that the update asks for; it overrides in part what is not read.",
        source="Firewall-blocks-update-discovery.md",
        confidence="confirmed",
        not_asked=not_when_disconnected,
        rests_on=_rests_on_discovery,
        judge=_judge_discovery,
    ),
    Check(
        id=CheckId("aldo-control-plane"),
        title="The control plane is updated first",
        about="payload",
        reads=Reads.HERE,
        asked=(),
        rule="A cluster of disconnected operations: warning, always. The appliance's version cannot be read from a node.",
        remedy="Update the appliance before the cluster, on its seed node: Invoke-ApplianceUpdatePackageUpload, "
        "Wait-AppliancePreUpdate, keep what Get-ApplianceBitlockerRecoveryKeys tells, "
        "Test-ApplianceExternalIdentityConfigurationDeep, Start-ApplianceUpdate. Ferry does none of it.",
        source=f"disconnected-operations-plan-updates.md, {_PAGE}",
        confidence="confirmed",
        not_asked=_not_when_connected,
        rests_on=lambda _: (),
        judge=_judge_control_plane,
    ),
    Check(
        id=CheckId("aldo-revocation-offline"),
        title="Signatures are checked without the internet",
        about="payload",
        reads=Reads.NODE,
        asked=("Get-ItemProperty",),
        rule="Disconnected operations, and NUGET_CERT_REVOCATION_MODE of a node is not offline: critical.",
        remedy="Set the machine variable NUGET_CERT_REVOCATION_MODE to offline and restart the node (ferry does not).",
        source=_PAGE,
        confidence="confirmed",
        not_asked=_not_when_connected,
        rests_on=_each_variable,
        judge=_judge_revocation,
    ),
    Check(
        id=CheckId("aldo-manifest-hosted"),
        title="The vendor's manifest lies on the appliance and is read there",
        about="payload",
        reads=Reads.CLUSTER,
        asked=("Get-SolutionDiscoveryDiagnosticInfo",),
        rule="Disconnected operations, and the SBE manifest is looked for on another host than edgeartifacts.blob.…, or "
        "not read there: critical; no address or status told: unknown.",
        remedy="Put SBE_Discovery_<vendor>.xml on the appliance and set AutomaticOemUpdateUri to its address there.",
        source=_PAGE,
        confidence="confirmed",
        not_asked=_not_when_connected,
        rests_on=_rests_on_discovery,
        judge=_judge_hosted,
    ),
    Check(
        id=CheckId("aldo-update-uri"),
        title="No solution manifest is asked for online",
        about="payload",
        reads=Reads.CLUSTER,
        asked=("Get-SolutionDiscoveryDiagnosticInfo",),
        rule="Disconnected operations, and the solution manifest is looked for on another host than fakehost: warning; "
        "no address told: unknown.",
        remedy="Set AutomaticUpdateUri to https://fakehost and UpdateRingName to Unknown; never on a connected cluster.",
        source=_PAGE,
        confidence="confirmed",
        not_asked=_not_when_connected,
        rests_on=_rests_on_discovery,
        judge=_judge_update_uri,
    ),
    Check(
        id=CheckId("aldo-excluded-tests"),
        title="2603 leaves out the test of the bandwidth to Azure",
        about="payload",
        reads=Reads.BOTH,
        asked=("Get-ClusterGroup", "Test-Path", "Get-Content"),
        rule=f"Disconnected operations, 2603 is installed or wanted, and the line {_EXCLUDED_TEST} is not in "
        "ExcludeTests.txt on the node that runs the orchestrator: critical.",
        remedy=f"Add the line {_EXCLUDED_TEST} to {payload.EXCLUDED_TESTS} on that node.",
        source=_PAGE,
        confidence="confirmed",
        not_asked=_not_when_connected,
        rests_on=_rests_on_exclusion,
        judge=_judge_exclusion,
    ),
    Check(
        id=CheckId("aldo-moc-script"),
        title="The update finds its script for MOC",
        about="payload",
        reads=Reads.HERE,
        asked=(),
        rule="Disconnected operations, and 2604 or 2605 is wanted: warning.",
        remedy="Copy Update-MocHotfixOffline.ps1 on every node as the guide says, before the start or when "
        "ShouldUpdateMocPreSSU has failed.",
        source="Update-fails-on-ShouldUpdateMocPreSSU.md",
        confidence="confirmed",
        needs=frozenset({"update"}),
        not_asked=_not_when_connected,
        rests_on=lambda _: (),
        judge=_judge_moc_script,
    ),
)
