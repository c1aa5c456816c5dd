"""The events the simulated cluster can write: everything about them that their arguments do not say.

The comment under each table says what is known and what is invented.

Source: public lists of event ids, meanings and arguments of both CAU providers and of
FailoverClustering; provider manifests rebuilt from Windows 10 (WindowsUpdateClient); real System logs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tests.simcluster.evtx import Event, printed

CAU = "Microsoft-Windows-ClusterAwareUpdating"
MANAGEMENT = "Microsoft-Windows-ClusterAwareUpdating-Management"
WINDOWS_UPDATE = "Microsoft-Windows-WindowsUpdateClient"
KERNEL = "Microsoft-Windows-Kernel-General"
CLUSTERING = "Microsoft-Windows-FailoverClustering"
EVENT_LOG = "EventLog"
USER32 = "User32"

CAU_CHANNEL = f"{CAU}/Admin"
MANAGEMENT_CHANNEL = f"{MANAGEMENT}/Admin"
SYSTEM_CHANNEL = "System"
WINDOWS_UPDATE_CHANNEL = f"{WINDOWS_UPDATE}/Operational"
CHANNELS = (CAU_CHANNEL, MANAGEMENT_CHANNEL, SYSTEM_CHANNEL, WINDOWS_UPDATE_CHANNEL)

_GUIDS = {
    CAU: UUID("10629806-46F2-4366-9092-53025E067E8C"),
    MANAGEMENT: UUID("9B9E93D6-5569-4179-8C8A-5201CB2B9536"),
    WINDOWS_UPDATE: UUID("945A8954-C147-4ACD-923F-40C45405A658"),
    KERNEL: UUID("A68CA8B7-004F-D7B6-A698-07E2DE0F1F5D"),
    CLUSTERING: UUID("BAF908EA-3421-4CA9-9B84-6689B8C6F85F"),
    USER32: UUID("B0AA8734-56F7-41CC-B2F4-DE228E98B946"),
}

_PROCESSES = {EVENT_LOG: (0, 0), KERNEL: (4, 8)}
"""Process and thread id; those of all other providers are invented."""


@dataclass(frozen=True, slots=True)
class _Shape:
    channel: str
    level: int
    fields: tuple[str | None, ...]
    text: str
    task: int = 0
    opcode: int = 0
    keywords: int = 0x8000000000000000
    version: int = 0
    qualifiers: int | None = None


_RUN = ("RunId", "ClusterName")
_NODE = ("NodeName",)
_DETAILS = ("NodeName", "Details")
_UPDATE = ("updateTitle", "updateGuid", "updateRevisionNumber")
_INSTALLER = ("Installer", "Parameters", "UpdateFile", "HResult", "ExitCode")
_BOOT = (
    *("MajorVersion", "MinorVersion", "BuildVersion", "QfeVersion", "ServiceVersion"),
    *("BootMode", "StartTime"),
)


# fmt: off
_MANAGEMENT_SHAPES = {
    1003: _Shape(MANAGEMENT_CHANNEL, 4, _RUN, "Run %1 on cluster %2 has started."),
    1004: _Shape(MANAGEMENT_CHANNEL, 4, _RUN, "Run %1 on cluster %2 succeeded."),
    1005: _Shape(MANAGEMENT_CHANNEL, 3, _RUN, "Run %1 on cluster %2 was cancelled."),
    1007: _Shape(MANAGEMENT_CHANNEL, 2, (*_RUN, "ErrorMessage", "ErrorCode", "StackTrace"),
                 "Run %1 on cluster %2 failed. Message: %3 Code: %4 Stack: %5"),
    1008: _Shape(MANAGEMENT_CHANNEL, 4, _NODE, "Node %1 is in maintenance mode."),
    1009: _Shape(MANAGEMENT_CHANNEL, 4, _NODE, "Node %1 left maintenance mode."),
    1010: _Shape(MANAGEMENT_CHANNEL, 4, _NODE, "Node %1 is being restarted."),
    1011: _Shape(MANAGEMENT_CHANNEL, 4, _NODE, "Node %1 is back after its restart."),
    1012: _Shape(MANAGEMENT_CHANNEL, 2, _DETAILS, "Node %1 did not restart. Details: %2"),
    1013: _Shape(MANAGEMENT_CHANNEL, 2, _DETAILS, "CAU run failed on node %1. Details: %2"),
    1016: _Shape(MANAGEMENT_CHANNEL, 2, _DETAILS,
                 "Node %1 cannot enter maintenance mode. Details: %2"),
    1019: _Shape(MANAGEMENT_CHANNEL, 2, ("MaxFailedNodes",),
                 "More than %1 nodes failed; the run is cancelled."),
}
"""Known: ids, meanings, order of arguments. Invented: levels, field names, texts."""

_CAU_SHAPES = {
    2001: _Shape(CAU_CHANNEL, 4, ("UpdateCount",), "Scan done: %1 updates."),
    2003: _Shape(CAU_CHANNEL, 4, ("UpdateCount",), "Download done: %1 updates."),
    2005: _Shape(CAU_CHANNEL, 4, ("UpdateCount",), "Installation done: %1 updates."),
    2006: _Shape(CAU_CHANNEL, 2, ("HResult",), "Installation failed with %1."),
    2010: _Shape(CAU_CHANNEL, 3, ("Message", "Code"),
                 "A warning of the update agent is ignored: %1 (%2)"),
    2021: _Shape(CAU_CHANNEL, 2, _INSTALLER,
                 "Installer %1 with %2 could not be started for %3: %4, exit code %5."),
}
"""Known: ids, meanings, order of arguments. Invented: levels, field names, texts."""

_WINDOWS_UPDATE_SHAPES = {
    19: _Shape(SYSTEM_CHANNEL, 4, (*_UPDATE, "serviceGuid"), "Installation successful: %1",
               task=1, opcode=13, keywords=0x8000000000000018, version=1),
    26: _Shape(WINDOWS_UPDATE_CHANNEL, 4, ("updateCount", "serviceGuid"), "Found %1 updates.",
               task=1, opcode=11, version=1),
    41: _Shape(WINDOWS_UPDATE_CHANNEL, 4, ("updateGuid", "updateRevisionNumber", "updateTitle"),
               "An update was downloaded: %3", task=1, opcode=12, version=1),
    43: _Shape(SYSTEM_CHANNEL, 4, _UPDATE, "Installation started: %1",
               task=1, opcode=13, keywords=0x8000000000002008, version=1),
    44: _Shape(SYSTEM_CHANNEL, 4, _UPDATE, "Download started: %1",
               task=1, opcode=12, keywords=0x8000000000002004, version=1),
}
"""As in real logs and published manifests. Invented: opcode and keywords of 26 and 41."""

_KERNEL_SHAPES = {
    12: _Shape(SYSTEM_CHANNEL, 4, _BOOT, "The operating system started at system time %7.",
               task=1, keywords=0x8000000000000080),
    13: _Shape(SYSTEM_CHANNEL, 4, ("StopTime",),
               "The operating system is shutting down at system time %1.",
               task=2, keywords=0x8000000000000080),
}
_EVENT_LOG_SHAPES = {
    6005: _Shape(SYSTEM_CHANNEL, 4, (None,), "The event log service was started.",
                 keywords=0x80000000000000, qualifiers=32768),
    6006: _Shape(SYSTEM_CHANNEL, 4, (None,), "The event log service was stopped.",
                 keywords=0x80000000000000, qualifiers=32768),
    6009: _Shape(SYSTEM_CHANNEL, 4, (None,) * 5, "Operating system %1 %2 %3 %4.",
                 keywords=0x80000000000000, qualifiers=32768),
}
_USER32_SHAPES = {
    1074: _Shape(SYSTEM_CHANNEL, 4, tuple(f"param{n}" for n in range(1, 8)),
                 "The process %1 has initiated the %5 of computer %2 for user %7: %3, code %4.",
                 keywords=0x8080000000000000, qualifiers=32768),
}
"""As in real logs."""

_CLUSTERING_SHAPES = {
    1135: _Shape(SYSTEM_CHANNEL, 1, _NODE,
                 "Cluster node %1 was removed from the active membership."),
    1677: _Shape(SYSTEM_CHANNEL, 2, _NODE, "Draining node %1 failed."),
}
"""Known: ids, meanings. Invented: levels, field names, texts, and that 1677 goes to System."""
# fmt: on

_SHAPES = {
    MANAGEMENT: _MANAGEMENT_SHAPES,
    CAU: _CAU_SHAPES,
    WINDOWS_UPDATE: _WINDOWS_UPDATE_SHAPES,
    KERNEL: _KERNEL_SHAPES,
    EVENT_LOG: _EVENT_LOG_SHAPES,
    USER32: _USER32_SHAPES,
    CLUSTERING: _CLUSTERING_SHAPES,
}


def channel_of(provider: str, event_id: int) -> str:
    """Return the log an event goes to."""
    return _SHAPES[provider][event_id].channel


def make_event(
    provider: str,
    event_id: int,
    *values: object,
    time: datetime,
    computer: str,
    record_id: int,
) -> Event:
    """Return an event with these arguments, in the order of its fields."""
    shape = _SHAPES[provider][event_id]
    process_id, thread_id = _PROCESSES.get(provider, (3120, 4404))
    return Event(
        provider=provider,
        provider_guid=_GUIDS.get(provider),
        event_id=event_id,
        level=shape.level,
        time=time,
        channel=shape.channel,
        computer=computer,
        record_id=record_id,
        data=tuple(zip(shape.fields, values, strict=True)),
        version=shape.version,
        task=shape.task,
        opcode=shape.opcode,
        keywords=shape.keywords,
        process_id=process_id,
        thread_id=thread_id,
        user_sid=None if provider == EVENT_LOG else "S-1-5-18",
        qualifiers=shape.qualifiers,
    )


def message(event: Event) -> str:
    """Return the text of an event of these providers, with its arguments filled in."""
    values = [value for _, value in event.data]
    text = _SHAPES[event.provider][event.event_id].text
    return re.sub(r"%(\d)", lambda number: printed(values[int(number[1]) - 1]), text)
