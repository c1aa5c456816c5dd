"""Every command ever sent to a node: a typed value and the parser of its reply. Pure.

This is the list a security reviewer reads. Each command is a pipeline of in-box cmdlets (and
`wevtutil.exe`) with parameters, so it also runs where PowerShell is in constrained language mode; no
script text is sent. `Select-Object` is used where enumerations are read: it makes them arrive by name.
Replies are read tolerantly: fields we do not know are ignored, missing ones become empty.

Source: azure-local/update/update-via-powershell-23h2.md (cmdlets and properties), Azure REST
specification azurestackhci 2024-04-01 (states), import-discover-updates-offline-23h2.md (import).
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import PureWindowsPath

from toolkit.errors import InputError
from toolkit.model import (
    Cmdlet,
    Command,
    HealthCheck,
    Plain,
    ResourceId,
    RunState,
    Sha256,
    SolutionVersion,
    Step,
    Update,
    UpdateEnvironment,
    UpdateRun,
    UpdateState,
)

INFRASTRUCTURE_SHARE = PureWindowsPath(
    r"C:\ClusterStorage\Infrastructure_1\Shares\SU1_Infrastructure_1"
)
IMPORT_FOLDER = INFRASTRUCTURE_SHARE / "import"
PACKAGES_FOLDER = INFRASTRUCTURE_SHARE / "Updates" / "Packages"

_JSON_DEPTH = 30
"""Step trees are more than 8 levels deep; ConvertTo-Json cuts at 2 by default."""


# --- files on a node ----------------------------------------------------------------------------


def path_exists(path: PureWindowsPath) -> Command[bool]:
    """Ask whether a file or folder exists."""
    return Command(
        pipeline=(Cmdlet("Test-Path", (("LiteralPath", str(path)),)),),
        parse=lambda reply: reply[-1:] in ((True,), ("True",)),
    )


def make_folder(path: PureWindowsPath) -> Command[None]:
    """Make a folder and its parents; one that exists is left alone."""
    parameters = (("ItemType", "Directory"), ("Path", str(path)), ("Force", None))
    return Command(pipeline=(Cmdlet("New-Item", parameters),), parse=_nothing, changes_cluster=True)


def remove(path: PureWindowsPath) -> Command[None]:
    """Remove a file or folder that ferry wrote."""
    parameters = (("LiteralPath", str(path)), ("Recurse", None), ("Force", None))
    return Command(
        pipeline=(Cmdlet("Remove-Item", parameters),), parse=_nothing, changes_cluster=True
    )


def move(path: PureWindowsPath, destination: PureWindowsPath) -> Command[None]:
    """Give a finished folder its final name."""
    parameters = (("LiteralPath", str(path)), ("Destination", str(destination)))
    return Command(
        pipeline=(Cmdlet("Move-Item", parameters),), parse=_nothing, changes_cluster=True
    )


def file_hash(path: PureWindowsPath, *, timeout_s: float) -> Command[Sha256]:
    """Let the node hash a file: proof of what arrived, measured by the other side."""
    parameters = (("LiteralPath", str(path)), ("Algorithm", "SHA256"))
    return Command(pipeline=(Cmdlet("Get-FileHash", parameters),), parse=_hash, timeout_s=timeout_s)


def expand(
    archive: PureWindowsPath, destination: PureWindowsPath, *, timeout_s: float
) -> Command[None]:
    """Expand a zip on the node into an empty folder."""
    parameters = (("LiteralPath", str(archive)), ("DestinationPath", str(destination)))
    return Command(
        pipeline=(Cmdlet("Expand-Archive", parameters),),
        parse=_nothing,
        timeout_s=timeout_s,
        changes_cluster=True,
    )


# --- solution updates ---------------------------------------------------------------------------

_UPDATE_PROPERTIES = [
    "ResourceId",
    "Version",
    "SbeVersion",
    "DisplayName",
    "State",
    "PackageType",
    "AvailabilityType",
    "HealthState",
    "RebootRequired",
    "UpdateStateProperties",
    "PackagePath",
    "Prerequisites",
]

_ENVIRONMENT_PROPERTIES = [
    "ResourceId",
    "SbeFamily",
    "HardwareModel",
    "PackageVersions",
    "CurrentVersion",
    "CurrentSbeVersion",
    "State",
    "HealthState",
    "HealthCheckResult",
]


def environment() -> Command[UpdateEnvironment]:
    """Read the cluster's installed versions, state and health."""
    stages = (
        Cmdlet("Get-SolutionUpdateEnvironment", (("FullHealthCheckDetails", None),)),
        _select(_ENVIRONMENT_PROPERTIES),
    )
    return Command(pipeline=stages, parse=lambda reply: _environment(_only(reply, stages[0])))


def updates() -> Command[tuple[Update, ...]]:
    """Read the updates the cluster offers; asking also triggers its discovery."""
    return Command(
        pipeline=(Cmdlet("Get-SolutionUpdate"), _select(_UPDATE_PROPERTIES)),
        parse=lambda reply: tuple(_update(_row(item, "Get-SolutionUpdate")) for item in reply),
    )


def add_update(folder: PureWindowsPath) -> Command[None]:
    """Hand an expanded solution bundle, or the three files of an SBE, to the update service."""
    return Command(
        pipeline=(Cmdlet("Add-SolutionUpdate", (("SourceFolder", str(folder)),)),),
        parse=_nothing,
        timeout_s=1800,
        changes_cluster=True,
    )


def start_update(resource_id: ResourceId, *, prepare_only: bool) -> Command[str]:
    """Start an update (or only its preparation) through the orchestrator; returns the run's id."""
    switches: tuple[tuple[str | None, Plain], ...] = (
        (("PrepareOnly", None),) if prepare_only else ()
    )
    return Command(
        pipeline=(
            Cmdlet("Get-SolutionUpdate", (("Id", resource_id),)),
            Cmdlet("Start-SolutionUpdate", switches),
        ),
        parse=lambda reply: next((str(item) for item in reversed(reply) if item), ""),
        timeout_s=600,
        changes_cluster=True,
    )


def update_runs(resource_id: ResourceId) -> Command[tuple[UpdateRun, ...]]:
    """Read an update's runs with their full step trees, newest first.

    Only `ConvertTo-Json` keeps a tree of unknown depth whole; it prints enumerations as numbers, so
    the runs' states are read by `run_states`.
    """
    return Command(
        pipeline=(*_runs_of(resource_id), _to_json()),
        parse=_runs,
        timeout_s=300,
    )


def run_states(resource_id: ResourceId) -> Command[dict[str, str]]:
    """Read the state of each run of an update by name: run id → state."""
    return Command(
        pipeline=(*_runs_of(resource_id), _select(["ResourceId", "State"])),
        parse=lambda reply: {
            _text(row, "ResourceId"): _text(row, "State")
            for row in (_row(item, "Get-SolutionUpdateRun") for item in reply)
        },
        timeout_s=300,
    )


# --- evidence -----------------------------------------------------------------------------------


def export_log(channel: str, file: PureWindowsPath, *, since: datetime | None) -> Command[None]:
    """Export an event log, or the part of it since a time, to a file on the node."""
    arguments = ["epl", channel, str(file), "/ow:true"]
    if since is not None:
        arguments.append(f"/q:{_since_query(since)}")
    return Command(pipeline=(_program("wevtutil.exe", arguments),), parse=_nothing, timeout_s=600)


def render_log(channel: str, file: PureWindowsPath) -> Command[None]:
    """Write a channel's events as XML with their message texts to a file on the node."""
    return Command(
        pipeline=(
            _program("wevtutil.exe", ["qe", channel, "/f:RenderedXml"]),
            _to_file(file),
        ),
        parse=_nothing,
        timeout_s=600,
    )


def save_environment(file: PureWindowsPath) -> Command[None]:
    """Write versions, state and every health check result as JSON to a file on the node."""
    return _save(Cmdlet("Get-SolutionUpdateEnvironment", (("FullHealthCheckDetails", None),)), file)


def updates_as_told() -> Command[tuple[Plain, ...]]:
    """Read every listed update for the log bundle: over the wire, where states arrive by name."""
    return Command(
        pipeline=(Cmdlet("Get-SolutionUpdate"), _select(_UPDATE_PROPERTIES)),
        parse=lambda reply: reply,
        timeout_s=300,
    )


def save_update_runs(file: PureWindowsPath) -> Command[None]:
    """Write the runs of every listed update, with full step trees, as JSON to a file on the node."""
    return _save(Cmdlet("Get-SolutionUpdate"), file, Cmdlet("Get-SolutionUpdateRun"))


def save_cau_reports(file: PureWindowsPath, cluster: str, since: datetime) -> Command[None]:
    """Write the detailed CAU reports since a time as JSON to a file on the node."""
    parameters: tuple[tuple[str | None, Plain], ...] = (
        ("ClusterName", cluster),
        ("StartDate", since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("Detailed", None),
    )
    return _save(Cmdlet("Get-CauReport", parameters), file)


def cluster_name() -> Command[str]:
    """Read the failover cluster's own name."""
    return Command(
        pipeline=(Cmdlet("Get-Cluster"), _select(["Name"])),
        parse=lambda reply: _text(_only(reply, Cmdlet("Get-Cluster")), "Name"),
    )


# --- building -----------------------------------------------------------------------------------


def _select(properties: list[str]) -> Cmdlet:
    return Cmdlet("Select-Object", (("Property", list[Plain](properties)),))


def _to_json() -> Cmdlet:
    return Cmdlet("ConvertTo-Json", (("Depth", _JSON_DEPTH), ("Compress", None)))


def _to_file(file: PureWindowsPath) -> Cmdlet:
    return Cmdlet("Set-Content", (("LiteralPath", str(file)), ("Encoding", "UTF8")))


def _program(name: str, arguments: list[str]) -> Cmdlet:
    return Cmdlet(name, tuple((None, argument) for argument in arguments))


def _save(first: Cmdlet, file: PureWindowsPath, *more: Cmdlet) -> Command[None]:
    return Command(
        pipeline=(first, *more, _to_json(), _to_file(file)), parse=_nothing, timeout_s=600
    )


def _runs_of(resource_id: ResourceId) -> tuple[Cmdlet, Cmdlet]:
    return (
        Cmdlet("Get-SolutionUpdate", (("Id", resource_id),)),
        Cmdlet("Get-SolutionUpdateRun"),
    )


def _since_query(since: datetime) -> str:
    stamp = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return f"*[System[TimeCreated[@SystemTime>='{stamp}']]]"


# --- reading ------------------------------------------------------------------------------------


def _nothing(reply: tuple[Plain, ...]) -> None:
    """Ignore what a command prints besides its effect."""


def _row(item: Plain, cmdlet: str) -> dict[str, Plain]:
    if not isinstance(item, dict):
        raise InputError(
            f"read the reply of {cmdlet}", found=type(item).__name__, expected="an object"
        )
    return item


def _only(reply: tuple[Plain, ...], cmdlet: Cmdlet) -> dict[str, Plain]:
    if not reply:
        raise InputError(
            f"read the reply of {cmdlet.name}",
            found="no object",
            expected="one",
            hint="is this an Azure Local cluster, and its update service online?",
        )
    return _row(reply[-1], cmdlet.name)


def _text(row: dict[str, Plain], *keys: str) -> str:
    for key in keys:
        value = row.get(key)
        if value is not None:
            return str(value)
    return ""


def _items(value: Plain) -> list[Plain]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _hash(reply: tuple[Plain, ...]) -> Sha256:
    value = _text(_only(reply, Cmdlet("Get-FileHash")), "Hash").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise InputError("read the reply of Get-FileHash", found=repr(value), expected="SHA-256")
    return Sha256(value)


def _environment(row: dict[str, Plain]) -> UpdateEnvironment:
    packages = []
    for item in _items(row.get("PackageVersions")):
        if isinstance(item, dict):
            if "PackageType" in item:
                packages.append((_text(item, "PackageType"), _text(item, "Version")))
            else:
                packages += [(name, str(version)) for name, version in item.items()]
        else:
            name, _, version = str(item).partition(":")
            packages.append((name.strip(), version.strip()))
    return UpdateEnvironment(
        current_version=_text(row, "CurrentVersion"),
        current_sbe_version=_text(row, "CurrentSbeVersion"),
        state=_text(row, "State"),
        health_state=_text(row, "HealthState"),
        hardware_model=_text(row, "HardwareModel"),
        sbe_family=_text(row, "SbeFamily"),
        package_versions=tuple(packages),
        health_checks=tuple(
            _health_check(item)
            for item in _items(row.get("HealthCheckResult"))
            if isinstance(item, dict)
        ),
    )


def _health_check(row: dict[str, Plain]) -> HealthCheck:
    additional = row.get("AdditionalData")
    detail = additional.get("Detail") if isinstance(additional, dict) else None
    return HealthCheck(
        name=_text(row, "Name"),
        title=_text(row, "DisplayName", "Title"),
        status=_text(row, "Status"),
        severity=_text(row, "Severity"),
        description=_text(row, "Description"),
        remediation=_text(row, "Remediation"),
        target=_text(row, "TargetResourceName", "TargetResourceID"),
        detail="" if detail is None else str(detail),
        timestamp=_text(row, "Timestamp"),
    )


def _update(row: dict[str, Plain]) -> Update:
    state = _text(row, "State")
    resource_id = _text(row, "ResourceId")
    version = _text(row, "Version")
    if not version:  # SBE rows leave it empty in one published sample
        version = _text(row, "SbeVersion") or resource_id.rpartition("/")[2]
    return Update(
        resource_id=ResourceId(resource_id),
        version=version,
        display_name=_text(row, "DisplayName"),
        state=UpdateState(state),
        state_raw=state,
        package_type=_text(row, "PackageType"),
        sbe_version=_text(row, "SbeVersion"),
        availability_type=_text(row, "AvailabilityType"),
        health_state=_text(row, "HealthState"),
        reboot_required=_text(row, "RebootRequired"),
        progress_text=_text(row, "UpdateStateProperties"),
        package_path=_text(row, "PackagePath"),
        prerequisites=tuple(
            _text(item, "Version", "PackageName") if isinstance(item, dict) else str(item)
            for item in _items(row.get("Prerequisites"))
        ),
    )


def _runs(reply: tuple[Plain, ...]) -> tuple[UpdateRun, ...]:
    text = "".join(str(item) for item in reply)
    if not text.strip():
        return ()
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(
            "read the reply of Get-SolutionUpdateRun", found=str(error), expected="JSON"
        ) from error
    rows = [_row(item, "Get-SolutionUpdateRun") for item in _items(document)]
    runs = [
        UpdateRun(
            resource_id=ResourceId(_text(row, "ResourceId")),
            state=RunState(_text(row, "State")),
            state_raw=_text(row, "State"),
            started_at=_time(row.get("TimeStarted")),
            updated_at=_time(row.get("LastUpdatedTime")),
            progress=_step(progress) if isinstance(progress := row.get("Progress"), dict) else None,
        )
        for row in rows
    ]
    epoch = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(runs, key=lambda run: run.started_at or epoch, reverse=True))


def _step(row: dict[str, Plain]) -> Step:
    return Step(
        name=_text(row, "Name"),
        description=_text(row, "Description"),
        status=_text(row, "Status"),
        error_message=_text(row, "ErrorMessage"),
        started_at=_time(row.get("StartTimeUtc")),
        ended_at=_time(row.get("EndTimeUtc")),
        expected=_span(row.get("ExpectedExecutionTime")),
        steps=tuple(_step(item) for item in _items(row.get("Steps")) if isinstance(item, dict)),
    )


def _time(value: Plain) -> datetime | None:
    """Read a time as ConvertTo-Json writes it: `/Date(ms)/`, or ISO 8601; the year 1 means none."""
    text = "" if value is None else str(value)
    milliseconds = re.fullmatch(r"\\?/Date\((-?\d+)([+-]\d{4})?\)\\?/", text)
    try:
        if milliseconds:
            at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(milliseconds[1]))
        else:
            at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return at.astimezone(UTC) if at.year > 1 else None


def _span(value: Plain) -> timedelta | None:
    """Read a TimeSpan: an object with `TotalSeconds`, or its text `[d.]hh:mm:ss[.fffffff]`."""
    if isinstance(value, dict):
        seconds = value.get("TotalSeconds")
        return timedelta(seconds=float(seconds)) if isinstance(seconds, int | float) else None
    found = re.fullmatch(r"(?:(\d+)\.)?(\d+):(\d+):(\d+(?:\.\d+)?)", str(value))
    if found is None:
        return None
    days, hours, minutes, rest = found.groups(default="0")
    return timedelta(days=int(days), hours=int(hours), minutes=int(minutes), seconds=float(rest))


def is_version(update: Update, version: SolutionVersion) -> bool:
    """Whether a listed update is this solution version (and not an SBE of the same number)."""
    try:
        return SolutionVersion.parse(update.resource_id) == version
    except ValueError:
        return False
