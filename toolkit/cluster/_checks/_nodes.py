"""Checks of the nodes: whether they answer, belong together, and let an update do its work. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.cluster._checks._check import Check, CheckId, Reads, Said, Told
from toolkit.cluster._checks._ready_answers import (
    DELEGATION,
    FILE_SYSTEM,
    FRESH,
    FRESH_NTLM,
    REBOOT_KEYS,
    WSMAN_CLIENT,
    WSMAN_SERVICE,
    ReadyAnswers,
)
from toolkit.cluster._checks._saying import (
    critical,
    each,
    installed,
    of_cluster,
    of_nodes,
    passes,
    short,
    told,
    unknown,
    warns,
)
from toolkit.cluster._timekeeping import AGREEMENT, agree, agreeing
from toolkit.model import OsTrain, human_size

if TYPE_CHECKING:
    from toolkit.cluster._checks._answers import Answers

_TRUSTED_HOSTS = (
    "TSG/EnvironmentValidator/Known-Issue-WinRM-cannot-process-the-configuration-request.md"
)
_LCM = "TSG/LCM/access-denied-lcm-user.md"
_PATHS = "TSG/Update/Update-preparation-fails-Could-not-find-part-of-the-file-path.md"
_CANCELED = "TSG/Update/Update-CAU-run-fails-previous-CAU-run-status-was-Canceled.md"
_SYSTEM_DRIVE_BYTES = 30 << 30
_ENVELOPE_KB = 500
_ADMINISTRATORS = "S-1-5-32-544"
_PROTECTED_USERS = "-525"
_CREDSSP: tuple[tuple[str, str, str], ...] = (
    (WSMAN_SERVICE, "auth_credssp", "1"),
    (WSMAN_CLIENT, "auth_credssp", "1"),
    (DELEGATION, "ConcatenateDefaults_AllowFresh", "1"),
    (DELEGATION, "ConcatenateDefaults_AllowFreshNTLMOnly", "1"),
    (FRESH, "1", "WSMAN/*"),
    (FRESH_NTLM, "1", "WSMAN/*"),
)


# --- there, and of one cluster ------------------------------------------------------------------


def _reached(answers: Answers) -> Iterator[Said]:
    for node in answers.nodes:
        yield critical(node.why_not, node.name) if node.why_not else passes("yes", node.name)


def _one_cluster(answers: Answers) -> Iterator[Said]:
    names = list(told(answers, lambda node: node.ready.cluster))
    if len({name.casefold() for _, name in names}) == 1:
        yield passes(f"all say {names[0][1]}")
    else:
        yield critical(", ".join(f"{node} says {name}" for node, name in names))


def _known(answers: Answers) -> Iterator[Said]:
    here = {short(node.name): node.name for node in answers.known.nodes}
    there = {short(node.name): node.name for node in answers.cluster.ready.nodes.value or ()}
    words = [
        *(f"this site does not know {there[name]}" for name in there.keys() - here.keys()),
        *(f"the cluster does not know {here[name]}" for name in here.keys() - there.keys()),
    ]
    yield warns("; ".join(sorted(words))) if words else passes(f"{len(there)} nodes")


# --- as the failover cluster sees them ----------------------------------------------------------


def _up(answers: Answers) -> Iterator[Said]:
    for node in answers.cluster.ready.nodes.value or ():
        match node.state:
            case "Up":
                yield passes("Up", node.name)
            case "Paused" | "Down":
                yield critical(_with_information(node.state, node.status_information), node.name)
            case "Joining":
                yield warns("Joining: it comes back just now", node.name)
            case _:
                yield unknown(f"its state is {node.state or 'not told'!r}", node.name)


def _with_information(state: str, information: str) -> str:
    return state if information in ("", "Normal") else f"{state} ({information})"


def _not_draining(answers: Answers) -> Iterator[Said]:
    for node in answers.cluster.ready.nodes.value or ():
        status = f"drain status {node.drain_status or 'not told'}"
        if node.drain_status in ("InProgress", "Failed"):
            yield critical(status, node.name)
        elif node.status_information not in ("", "Normal"):
            yield critical(f"the cluster says {node.status_information} of it", node.name)
        elif node.drain_status == "NotInitiated":
            yield passes(status, node.name)
        elif node.drain_status == "Completed" and node.state == "Up":
            yield passes(f"{status}, and it is up again", node.name)
        elif node.drain_status == "Completed":
            yield critical(f"{status}, and it is {node.state}", node.name)
        else:
            yield unknown(status, node.name)


# --- room, reboots, paths -----------------------------------------------------------------------


def _system_drive(answers: Answers) -> Iterator[Said]:
    for node, volumes in told(answers, lambda node: node.ready.volumes):
        drive = next((item for item in volumes.spaces if item.volume.upper() == "C:"), None)
        if drive is None:
            yield unknown("the node does not tell the space on C:", node)
            continue
        free = f"{human_size(drive.free_bytes)} of {human_size(drive.size_bytes)} free"
        if drive.free_bytes < _SYSTEM_DRIVE_BYTES:
            yield critical(f"{free}; 30 GiB are needed", node)
        else:
            yield passes(free, node)


def _no_reboot(answers: Answers) -> Iterator[Said]:
    for node, exist in told(answers, lambda node: node.ready.reboot_keys):
        pending = [key for key, is_there in zip(REBOOT_KEYS, exist, strict=True) if is_there]
        yield warns(f"there is {' and '.join(pending)}", node) if pending else passes("none", node)


def has_long_paths(ready: ReadyAnswers) -> bool:
    """Whether Windows takes paths of more than 259 characters on a node."""
    return ready.setting(FILE_SYSTEM, "LongPathsEnabled") == "1"


def _long_paths(answers: Answers) -> Iterator[Said]:
    current, wanted = installed(answers), answers.version
    changes_train = (
        current is not None
        and wanted is not None
        and (current.os_train, wanted.os_train) == (OsTrain.H23, OsTrain.H24)
    )
    for node in answers.nodes:
        if node.ready.registry.value is None:
            continue
        found = node.ready.setting(FILE_SYSTEM, "LongPathsEnabled")
        evidence = f"LongPathsEnabled is {found or 'not set'}"
        if has_long_paths(node.ready):
            yield passes(evidence, node.name)
        elif changes_train:
            yield critical(f"{evidence}, and the way goes from {current} to {wanted}", node.name)
        else:
            yield warns(evidence, node.name)


# --- WinRM and who we are -----------------------------------------------------------------------


def _envelope(answers: Answers) -> Iterator[Said]:
    sizes = [
        (node, wsman.envelope_kb) for node, wsman in told(answers, lambda node: node.ready.wsman)
    ]
    for node, size in sizes:
        if size < _ENVELOPE_KB:
            yield warns(f"MaxEnvelopeSizekb is {size}", node)
        else:
            yield passes(f"MaxEnvelopeSizekb is {size}", node)
    if len({size for _, size in sizes}) > 1:
        yield warns(f"the nodes differ: {each(sizes)}")


def _language(answers: Answers) -> Iterator[Said]:
    modes = list(told(answers, lambda node: node.ready.language_mode))
    for node, mode in modes:
        if mode in ("FullLanguage", "ConstrainedLanguage"):
            yield passes(mode, node)
        else:
            yield critical(mode, node)
    if len({mode for _, mode in modes}) > 1:
        yield warns(
            f"the nodes differ: {each(modes)}",
            remedy="Find out which policy of application control reaches only some of the nodes.",
        )


def _trusted_hosts(answers: Answers) -> Iterator[Said]:
    wanted = [
        name
        for node in answers.known.nodes
        for name in dict.fromkeys((short(node.name), node.address.casefold()))
    ]
    for node, wsman in told(answers, lambda node: node.ready.wsman):
        entries = [item.strip().casefold() for item in wsman.trusted_hosts.split(",")]
        listed = [entry for entry in entries if entry]
        missing = [
            name for name in wanted if not any(fnmatch.fnmatch(name, entry) for entry in listed)
        ]
        if "*" in listed:
            yield critical("TrustedHosts holds *, every machine there is", node)
        elif missing:
            yield warns(
                f"TrustedHosts is {wsman.trusted_hosts or 'empty'}; missing: {', '.join(missing)}",
                node,
            )
        else:
            yield passes(f"TrustedHosts is {wsman.trusted_hosts}", node)


def _credssp(answers: Answers) -> Iterator[Said]:
    for node in answers.nodes:
        if node.ready.registry.value is None:
            continue
        wrong = [
            f"{key}\\{name} is {found or 'not set'}, expected {wanted}"
            for key, name, wanted in _CREDSSP
            if (found := node.ready.setting(key, name)) != wanted
        ]
        yield warns("; ".join(wrong), node.name) if wrong else passes("as expected", node.name)


def _account(answers: Answers) -> Iterator[Said]:
    for node, sids in told(answers, lambda node: node.ready.sids):
        if _ADMINISTRATORS not in sids:
            yield critical("the account is not in the group Administrators", node)
        elif any(sid.endswith(_PROTECTED_USERS) for sid in sids if sid.startswith("S-1-5-21-")):
            yield critical("the account is in the group Protected Users", node)
        else:
            yield passes("an administrator", node)


def _hardware(answers: Answers) -> Iterator[Said]:
    machines = [
        (node, f"{item.model} {item.sku}".strip())
        for node, item in told(answers, lambda node: node.ready.hardware)
    ]
    nameless = [node for node, machine in machines if not machine]
    if nameless:
        yield unknown(f"the firmware tells no model on {', '.join(nameless)}")
    elif len({machine for _, machine in machines}) > 1:
        yield warns(f"the nodes differ: {each(machines)}")
    else:
        yield passes(machines[0][1])


# --- clocks -------------------------------------------------------------------------------------


def _times(answers: Answers) -> list[tuple[str, Told[object]]]:
    return [
        (
            item.node,
            Told(why=item.problem or "it told no time") if item.at is None else Told(value=item.at),
        )
        for item in answers.time.nodes
    ]


def _node_clocks(answers: Answers) -> Iterator[Said]:
    clocks = [item for item in answers.time.nodes if item.at]
    says = ", ".join(f"{item.node} {item.at:%Y-%m-%d %H:%M:%S}" for item in clocks)
    agreed = agreeing([item.at for item in clocks if item.at])
    wrong = [item.node for item in clocks if item.at and item.at not in agreed]
    if len(clocks) == 1 or not wrong:
        yield passes(f"{says} (UTC)")
    elif not agreed:
        yield critical(f"no two agree, or too few: {says} (UTC)")
    else:
        yield critical(
            f"more than {AGREEMENT.seconds // 60} minutes from the others: {', '.join(wrong)}; "
            f"{says} (UTC)"
        )


def _laptop_clock(answers: Answers) -> Iterator[Said]:
    ours, floor = answers.time.clock, answers.time.floor
    theirs = [item.at for item in answers.time.nodes if item.at]
    says = f"this machine says {ours:%Y-%m-%d %H:%M} UTC, the nodes {_each_time(answers)}"
    if max(ours, *theirs) < floor:
        yield critical(
            f"{says}; a trusted key signed later than all of them, {floor:%Y-%m-%d %H:%M} UTC",
            remedy="Set the clocks of this machine and of the nodes.",
        )
    elif not any(agree(ours, at) for at in agreeing(theirs) or theirs):
        yield warns(says, subject="this machine's clock")
    else:
        yield passes(says)


def _each_time(answers: Answers) -> str:
    clocks = answers.time.nodes
    return ", ".join(f"{item.at:%Y-%m-%d %H:%M} UTC" for item in clocks if item.at)


_REGISTRY = of_nodes(lambda node: node.ready.registry)
_NODE_STATES = of_cluster(lambda answers: answers.cluster.ready.nodes)
_WSMAN = of_nodes(lambda node: node.ready.wsman)

MEMBERS: tuple[Check, ...] = (
    Check(
        id=CheckId("node-reached"),
        title="Every node answers",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-Cluster",),
        rule="A node is not reached, refuses the password or does not reply: critical.",
        remedy="Look at cable and power of the node, its address (`ferry site show`) and its WinRM port. "
        "During an update run nodes restart: then wait, and check again.",
        source="our own: an update needs every node",
        confidence="platform",
        rests_on=lambda _: (),
        judge=_reached,
    ),
    Check(
        id=CheckId("one-cluster"),
        title="All nodes belong to one cluster",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-Cluster",),
        rule="The nodes name different clusters: critical.",
        remedy="Remove the cluster from this site (`ferry site remove-cluster`) and add it again with its "
        "own nodes only (`ferry site add-cluster`).",
        source="our own: nothing may be changed on somebody else's cluster",
        confidence="platform",
        rests_on=of_nodes(lambda node: node.ready.cluster),
        judge=_one_cluster,
    ),
    Check(
        id=CheckId("node-known"),
        title="This site knows every node",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-ClusterNode",),
        rule="A node of the cluster is not known here, or one that is known here is not in the cluster: "
        "warning.",
        remedy="Remove the cluster from this site and add it again with all its nodes "
        "(`ferry site remove-cluster`, `ferry site add-cluster`).",
        source="update-via-powershell-23h2.md (nodes restart in turn: each must be known to be asked)",
        confidence="inferred",
        rests_on=_NODE_STATES,
        judge=_known,
    ),
    Check(
        id=CheckId("node-up"),
        title="Every node is up",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-ClusterNode",),
        rule="`Up`: pass. `Paused` or `Down`: critical. `Joining`: warning. Anything else: unknown.",
        remedy="Start the node, or resume it (`Resume-ClusterNode`), before the update.",
        source=f"{_CANCELED}, update-best-practices.md",
        confidence="confirmed",
        rests_on=_NODE_STATES,
        judge=_up,
    ),
    Check(
        id=CheckId("node-drain"),
        title="No node is draining",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-ClusterNode",),
        rule="Drain status `NotInitiated`, or `Completed` on a node that is up: pass. `InProgress`, "
        "`Failed`, or status information other than `Normal`: critical. Anything else: unknown.",
        remedy="Wait until the drain has ended. After a failed one find the role that does not move, then "
        "`Resume-ClusterNode`.",
        source=f"{_CANCELED}, update-best-practices.md",
        confidence="confirmed",
        rests_on=_NODE_STATES,
        judge=_not_draining,
    ),
)
"""Whether the nodes are there."""

MACHINES: tuple[Check, ...] = (
    Check(
        id=CheckId("system-drive-space"),
        title="30 GB are free on C:",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-Volume",),
        rule="Less than 30 GiB free on C: of a node: critical. It tells no space: unknown.",
        remedy="Free space on C:; the health check AzStackHci_Hardware_Test_SystemDrive_Free_Space stops "
        "the update.",
        source="TSG/EnvironmentValidator/Troubleshooting-Test-SystemDrive-Free-Space.md",
        confidence="confirmed",
        rests_on=of_nodes(lambda node: node.ready.volumes),
        judge=_system_drive,
    ),
    Check(
        id=CheckId("pending-reboot"),
        title="No reboot is pending",
        about="readiness",
        reads=Reads.NODE,
        asked=("Test-Path",),
        rule="Windows has marked in the registry that a reboot is pending: warning.",
        remedy="Drain the node, restart it, resume it; then check again.",
        source="Windows servicing: the keys RebootPending and RebootRequired",
        confidence="platform",
        rests_on=of_nodes(lambda node: node.ready.reboot_keys),
        judge=_no_reboot,
    ),
    Check(
        id=CheckId("long-paths"),
        title="Long paths are switched on",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-ItemProperty",),
        rule="`LongPathsEnabled` is 1: pass. Otherwise warning; critical where the way goes from 11.x or "
        "10.x to 12.x.",
        remedy="Switch long paths on for every node (group policy: Enable Win32 long paths), then check "
        "again.",
        source=_PATHS,
        confidence="confirmed",
        rests_on=_REGISTRY,
        judge=_long_paths,
    ),
    Check(
        id=CheckId("winrm-envelope"),
        title="WinRM takes envelopes of the usual size",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-Item",),
        rule="`MaxEnvelopeSizekb` below 500: warning. The nodes differ: warning.",
        remedy="Set it to 500 on every node: `Set-Item WSMan:\\localhost\\MaxEnvelopeSizekb 500`; a group "
        "policy may have cut it down.",
        source="[MS-WSMV] (MaxEnvelopeSizekb, 500 by default)",
        confidence="platform",
        rests_on=_WSMAN,
        judge=_envelope,
    ),
    Check(
        id=CheckId("language-mode"),
        title="Our commands are allowed",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-Variable",),
        rule="`FullLanguage` or `ConstrainedLanguage`: pass. Another mode: critical. The nodes differ: "
        "warning.",
        remedy="An endpoint with restricted commands is not enough: let the account use the default one "
        "(Microsoft.PowerShell).",
        source="about_Language_Modes",
        confidence="platform",
        rests_on=of_nodes(lambda node: node.ready.language_mode),
        judge=_language,
    ),
    Check(
        id=CheckId("trusted-hosts"),
        title="TrustedHosts name the nodes and nothing more",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-Item",),
        rule="`*` in TrustedHosts: critical. The name or address of a node is missing: warning.",
        remedy="Have TrustedHosts of every node list name, address and full name of every node, and no `*`.",
        source=f"{_TRUSTED_HOSTS}, {_LCM}",
        confidence="confirmed",
        rests_on=_WSMAN,
        judge=_trusted_hosts,
    ),
    Check(
        id=CheckId("credssp"),
        title="CredSSP is as the orchestrator expects",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-ItemProperty",),
        rule="`auth_credssp` of service and client, both `ConcatenateDefaults_…` are 1, and fresh "
        "credentials are allowed for `WSMAN/*`, with NTLM too: pass. Otherwise warning.",
        remedy="Set what is named; where it comes back, a group policy reverts it and has to be changed.",
        source="TSG/Security/CredSsp-Authentication-Issues.md",
        confidence="confirmed",
        rests_on=_REGISTRY,
        judge=_credssp,
    ),
    Check(
        id=CheckId("deployment-user"),
        title="The account is an administrator and not protected",
        about="readiness",
        reads=Reads.NODE,
        asked=("whoami.exe",),
        rule="The account is not in Administrators (S-1-5-32-544), or is in Protected Users (…-525): "
        "critical.",
        remedy="Use the deployment (LCM) user, make it an administrator of every node, and take it out of "
        "Protected Users.",
        source=f"update-via-powershell-23h2.md, {_LCM}",
        confidence="confirmed",
        rests_on=of_nodes(lambda node: node.ready.sids),
        judge=_account,
    ),
    Check(
        id=CheckId("hardware-alike"),
        title="All machines are one model",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-ItemProperty",),
        rule="Model or SKU differ between nodes: warning. The firmware tells none: unknown.",
        remedy="An SBE must fit every machine: ask the vendor whether one fits them all.",
        source="TSG/EnvironmentValidator/Troubleshooting-SBEHealth-Test-Endpoint-Matches-ModelSKU.md",
        confidence="confirmed",
        rests_on=of_nodes(lambda node: node.ready.hardware),
        judge=_hardware,
    ),
    Check(
        id=CheckId("node-clocks"),
        title="The nodes' clocks agree",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-Date",),
        rule="A node is more than 5 minutes from most of the others, or no two agree: critical.",
        remedy="Set the clock that is wrong, and find out why the node does not follow its time source.",
        source="Windows security policy: Maximum tolerance for computer clock synchronization (Kerberos)",
        confidence="platform",
        rests_on=_times,
        judge=_node_clocks,
    ),
    Check(
        id=CheckId("laptop-clock"),
        title="This machine's clock is right",
        about="readiness",
        reads=Reads.BOTH,
        asked=("Get-Date",),
        rule="More than 5 minutes from the nodes' clocks: warning. Nodes and this machine are all earlier "
        "than the newest date that a trusted key signed: critical.",
        remedy="Set the clock of this machine: the expiry of media is judged by it.",
        source="Windows security policy: Maximum tolerance for computer clock synchronization (Kerberos)",
        confidence="platform",
        needs=frozenset({"medium"}),
        rests_on=_times,
        judge=_laptop_clock,
    ),
)
"""Whether the machines are set up so that an update can work."""
