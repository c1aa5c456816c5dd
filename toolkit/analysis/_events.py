"""The events we know: what each id of a provider means, in our own words.

Ids, never texts, are matched: message texts are in the language of the node. Events we do not know are
kept if they are errors or come from a CAU provider, and are shown with their arguments.

Source: public dump of both CAU providers (ids, meanings, argument order; levels and names of arguments
are unknown), provider manifests of Windows 10 build 18990 (WindowsUpdateClient), the same dump for
FailoverClustering (a selection), and real System logs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from toolkit.analysis._records import EventRecord, clean
from toolkit.model import Severity

CAU = "Microsoft-Windows-ClusterAwareUpdating"
MANAGEMENT = "Microsoft-Windows-ClusterAwareUpdating-Management"
WINDOWS_UPDATE = "Microsoft-Windows-WindowsUpdateClient"
CLUSTERING = "Microsoft-Windows-FailoverClustering"
KERNEL = "Microsoft-Windows-Kernel-General"
POWER = "Microsoft-Windows-Kernel-Power"
EVENT_LOG = "EventLog"
USER32 = "User32"

_TEXT_LIMIT = 4000

_INFO, _WARNING, _CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an event says; `{0}` is its first argument."""

    text: str
    severity: Severity = Severity.INFO


MEANINGS: dict[tuple[str, int], Meaning] = {
    (provider, event_id): Meaning(text, severity)
    for provider, rows in {
        MANAGEMENT: (
            (1001, "CAU run takes longer than the warning limit {0}", _WARNING),
            (1002, "CAU run took longer than its limit {0} and is being stopped", _CRITICAL),
            (1003, "CAU run {0} started, or taken over, on cluster {1}", _INFO),
            (1004, "CAU run {0} finished: success", _INFO),
            (1005, "CAU run {0} was cancelled", _WARNING),
            (1006, "CAU run {0} finished: part of it failed", _CRITICAL),
            (1007, "CAU run {0} failed: {2} ({3})", _CRITICAL),
            (1008, "node {0} is in maintenance mode", _INFO),
            (1009, "node {0} left maintenance mode", _INFO),
            (1010, "node {0} is being restarted", _INFO),
            (1011, "node {0} is back from its restart", _INFO),
            (1012, "restart of node {0} failed: {1}", _CRITICAL),
            (1013, "CAU run failed on node {0}: {1}", _CRITICAL),
            (1014, "an earlier, interrupted CAU run on {0} was cleaned up", _WARNING),
            (1015, "node {0} is locked, maybe by another orchestrator", _CRITICAL),
            (1016, "node {0} could not be put into maintenance mode: {1}", _CRITICAL),
            (1017, "node {0} could not be resumed: {1}", _CRITICAL),
            (1018, "CAU run stopped: restarting node {0} would cost the cluster its quorum", _CRITICAL),
            (1019, "CAU run stopped: more nodes failed than allowed ({0})", _CRITICAL),
            (1020, "CAU run stopped: all nodes must be online, {0} are not", _CRITICAL),
            (1021, "a user cancelled CAU run {0}", _WARNING),
            (1022, "the CAU run report could not be saved: {0}", _WARNING),
            (1023, "a CAU run report could not be read: {0}", _WARNING),
        ),
        CAU: (
            (1000, "{0}", _INFO),
            (2000, "the CAU service on this node was not shut down cleanly", _WARNING),
            (2001, "scan done: {0} update(s) found", _INFO),
            (2002, "scan failed: {0}", _CRITICAL),
            (2003, "download done: {0} update(s)", _INFO),
            (2004, "download failed: {0}", _CRITICAL),
            (2005, "installation done: {0} update(s)", _INFO),
            (2006, "installation failed: {0}", _CRITICAL),
            (2007, "the Windows Update Agent's work is being cancelled", _WARNING),
            (2008, "update skipped, it needs somebody to answer: {0} {1}", _INFO),
            (2009, "update skipped, its licence is not accepted: {0} {1}", _INFO),
            (2010, "warning of the Windows Update Agent ignored: {0} ({1})", _INFO),
            (2011, "contact with orchestrator {1} lost ({0}, last seen {2})", _WARNING),
            (2012, "orchestrator {0} is back", _INFO),
            (2013, "report {0} could not be stored: {1}", _WARNING),
            (2014, "activity continued under another id", _INFO),
            (2015, "report {0} could not be read: {1}", _WARNING),
            (2016, "another orchestrator holds {0} ({1}); {2} was refused", _CRITICAL),
            (2017, "optional update skipped: {0} {1}", _INFO),
            (2018, "update skipped, not important: {0} {1}", _INFO),
            (2021, "installer {0} could not be started for {2}: {3}, exit code {4}", _CRITICAL),
        ),
        WINDOWS_UPDATE: (
            (16, "no connection to the update service", _INFO),
            (19, "installed: {0}", _INFO),
            (20, "installation failed: {1} ({0})", _WARNING),
            (21, "restart needed to finish the installation", _INFO),
            (24, "uninstall failed ({0})", _WARNING),
            (25, "check for updates failed ({0})", _INFO),
            (31, "download failed: {0} ({1})", _WARNING),
            (43, "installation started: {0}", _INFO),
        ),
        CLUSTERING: (
            (1069, "cluster resource failed: {0} {1} {2} {3}", _WARNING),
            (1135, "node {0} was removed from the cluster membership", _WARNING),
            (1137, "moving role {0} for a drain failed: {1}", _WARNING),
            (1146, "the resource host process ended and was restarted", _WARNING),
            (1177, "quorum lost, the cluster service stops", _CRITICAL),
            (1652, "node {0} could not join the cluster", _WARNING),
            (1653, "node {0} could not join the cluster", _WARNING),
            (1672, "node {0} is quarantined", _WARNING),
            (1673, "node {0} is isolated", _WARNING),
            (1677, "draining node {0} failed", _WARNING),
            (4871, "the cluster service could not start: {0} {1}", _WARNING),
            (5120, "cluster shared volume {0} is paused: {1} {2}", _WARNING),
            (5142, "cluster shared volume {0} is no longer accessible: {1} {2}", _CRITICAL),
        ),
        KERNEL: (
            (12, "operating system started", _INFO),
            (13, "operating system is shutting down", _INFO),
        ),
        POWER: ((41, "the node restarted without shutting down first", _WARNING),),
        EVENT_LOG: (
            (6005, "event log service started", _INFO),
            (6006, "event log service stopped", _INFO),
            (6008, "the shutdown before this start was unexpected", _WARNING),
            (6009, "operating system started", _INFO),
        ),
        USER32: ((1074, "restart or shutdown asked for by {0}: {2}", _INFO),),
    }.items()
    for event_id, text, severity in rows
}  # fmt: skip

BOOTS = frozenset({(KERNEL, 12), (EVENT_LOG, 6005), (EVENT_LOG, 6009)})
"""Events that only a machine that has started can write."""

OF_NODE = frozenset({1008, 1009, 1010, 1011, 1012, 1013, 1015, 1016, 1017, 1018})
"""Ids of the coordinator whose first argument is the node they are about."""

HRESULTS = {
    0x80004005: "unspecified error",
    0x80070002: "file not found",
    0x80070003: "path not found",
    0x80070005: "access denied",
    0x80070020: "file in use by another process",
    0x80070070: "disk full",
    0x800700DF: "file too large",
    0x80070422: "a needed service is disabled",
    0x80070534: "account name cannot be resolved",
    0x80070643: "fatal error during installation",
    0x800706BA: "the other machine's RPC service does not answer",
    0x80070BC2: "restart needed",
    0x80070BC9: "installation failed, a restart is pending",
    0x800F0823: "servicing stack too old for this package",
    0x800F081F: "servicing source files not found",
    0x800F0831: "an earlier package that this one needs is missing",
    0x800F0922: "servicing failed in its last stage",
    0x80240016: "another installation is in progress, or a restart is pending",
    0x8024001E: "the update service was stopped",
    0x80240022: "all updates failed",
    0x80240438: "no route to the update service",
    0x8024402C: "update server's name cannot be resolved",
    0x80248007: "licence terms not found",
    0x00240005: "restart pending",
}
"""Source: winerror.h and wuerror.h, as Microsoft documents them."""


def hresult_text(text: str) -> str:
    """Return an error number as hexadecimal with its meaning, or the text as it was."""
    words = text.strip()
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}", words):
        code = int(words, 16)
    elif re.fullmatch(r"-?\d{6,10}", words):
        code = int(words) & 0xFFFFFFFF
    else:
        return text
    meaning = HRESULTS.get(code)
    return f"0x{code:08X} ({meaning})" if meaning else f"0x{code:08X}"


def is_relevant(record: EventRecord) -> bool:
    """Whether a timeline or a rule can use the event: CAU, a known id, or any error."""
    return (
        record.provider in (CAU, MANAGEMENT)
        or (record.provider, record.event_id) in MEANINGS
        or record.level in (1, 2)
    )


def severity_of(record: EventRecord) -> Severity:
    """Return how much an event matters by itself; unknown errors are warnings."""
    meaning = MEANINGS.get((record.provider, record.event_id))
    if meaning is not None:
        return meaning.severity
    return _WARNING if record.level in (1, 2) else _INFO


def describe(record: EventRecord) -> str:
    """Return what the event says: our words where we know the id, else its own and its arguments."""
    meaning = MEANINGS.get((record.provider, record.event_id))
    if meaning is None:
        own = record.message or ", ".join(filter(None, record.arguments))
        text = f"{record.provider} {record.event_id}: {own}"
    else:
        arguments = [hresult_text(argument) for argument in record.arguments]
        text = re.sub(
            r"\{(\d)\}",
            lambda slot: arguments[int(slot[1])] if int(slot[1]) < len(arguments) else "?",
            meaning.text,
        )
    text = clean(text)
    return text if len(text) <= _TEXT_LIMIT else f"{text[:_TEXT_LIMIT]} …"


def same_node(one: str, other: str) -> bool:
    """Whether two spellings name the same node: case and DNS suffix do not count."""
    return short_name(one) == short_name(other)


def short_name(node: str) -> str:
    """Return a node's name as it is compared."""
    return node.strip().strip("'\"").partition(".")[0].casefold()
