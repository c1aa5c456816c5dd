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
from dataclasses import dataclass
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
from toolkit.request import DiscoverySource, ListedUpdate, VolumeSpace
from toolkit.sbe import Hardware

INFRASTRUCTURE_SHARE = PureWindowsPath(
    r"C:\ClusterStorage\Infrastructure_1\Shares\SU1_Infrastructure_1"
)
IMPORT_FOLDER = INFRASTRUCTURE_SHARE / "import"
PACKAGES_FOLDER = INFRASTRUCTURE_SHARE / "Updates" / "Packages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """Volumes with the space on them, and those of which a node could not tell it."""

    spaces: tuple[VolumeSpace, ...]
    untold: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSettings:
    """Environment variables of a machine that decide what it can reach."""

    disconnected_operations: str
    """`DISCONNECTED_OPS_SUPPORT` as it stands there; empty: not set."""
    has_proxy: bool
    """Web traffic goes through a proxy; its address may hold a password and is not read home."""


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
    "AdditionalData",
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


# --- what a request tells -----------------------------------------------------------------------

_LISTED_PROPERTIES = [
    "ResourceId",
    "Version",
    "SbeVersion",
    "State",
    "PackageType",
    "MinVersionRequired",
    "MinSbeVersionRequired",
    "Prerequisites",
    "AdditionalProperties",
]
_BIOS = r"HKLM:\HARDWARE\DESCRIPTION\System\BIOS"
_ENVIRONMENT = r"HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
_LANGUAGE_MODES = ("FullLanguage", "ConstrainedLanguage", "RestrictedLanguage", "NoLanguage")
_NOT_FIXED = ("removable", "network", "cd-rom", "ram disk", "2", "4", "5", "6")
"""`DriveType` by name or number (MSFT_Volume) of what an update's files are never put on."""
_MOST_BYTES = 1 << 53


def listed_updates() -> Command[tuple[ListedUpdate, ...]]:
    """Read the listed updates with what they ask for; asking also triggers the cluster's discovery.

    Source: solution-builder-extension.md (AdditionalProperties of an update that needs an SBE).
    """
    return Command(
        pipeline=(Cmdlet("Get-SolutionUpdate"), _select(_LISTED_PROPERTIES)),
        parse=lambda reply: tuple(
            _listed_update(_row(item, "Get-SolutionUpdate")) for item in reply
        ),
    )


def discovery() -> Command[tuple[DiscoverySource, ...]]:
    """Read where the cluster looks for updates, and how its last look ended.

    Source: Firewall-blocks-update-discovery.md. `SolutionManifestResult` is not documented: where there
    is none, only the address is told.
    """
    stage = Cmdlet("Get-SolutionDiscoveryDiagnosticInfo")
    properties = ["Configuration", "SolutionManifestResult", "SbeManifestResult"]
    return Command(
        pipeline=(stage, _select(properties)),
        parse=lambda reply: _discovery_sources(_only(reply, stage)),
    )


def cluster_nodes() -> Command[tuple[tuple[str, str], ...]]:
    """Read the cluster's nodes and their states: (`node1`, `Up`)."""
    return Command(
        pipeline=(Cmdlet("Get-ClusterNode"), _select(["Name", "State"])),
        parse=lambda reply: tuple(
            (_text(row, "Name"), _text(row, "State"))
            for row in (_row(item, "Get-ClusterNode") for item in reply)
        ),
    )


def local_volumes(node: str) -> Command[Volumes]:
    """Read the space on every volume of a node that has a drive letter and stays in the machine."""
    name, properties = "Get-Volume", ["DriveLetter", "DriveType", "Size", "SizeRemaining"]
    return Command(
        pipeline=(Cmdlet(name), _select(properties)),
        parse=lambda reply: _volumes(
            node,
            [
                (f"{letter}:", row.get("SizeRemaining"), row.get("Size"))
                for row in (_row(item, name) for item in reply)
                if (letter := _text(row, "DriveLetter").strip("\0 "))
                and _text(row, "DriveType").lower() not in _NOT_FIXED
            ],
        ),
    )


def shared_volumes() -> Command[Volumes]:
    """Read the space on every cluster shared volume, by the path that every node sees it at."""
    name = "Get-ClusterSharedVolume"
    stages = (
        Cmdlet(name),
        _expand_property("SharedVolumeInfo"),
        _select(["FriendlyVolumeName", "Partition"]),
    )
    return Command(
        pipeline=stages,
        parse=lambda reply: _volumes("", [_partition(_row(item, name)) for item in reply]),
    )


def language_mode() -> Command[str]:
    """Read the language mode of the session, without a script to ask for it."""
    variable = (("Name", "ExecutionContext"), ("ValueOnly", None))
    stages = (
        Cmdlet("Get-Variable", variable),
        _expand_property("SessionState"),
        _select(["LanguageMode"]),
    )
    return Command(pipeline=stages, parse=lambda reply: _mode(_only(reply, stages[0])))


def hardware() -> Command[Hardware]:
    """Read what the firmware says the machine is: by this an SBE is chosen.

    Source: Troubleshooting-SBEHealth-Test-Endpoint-Matches-ModelSKU.md.
    """
    stages = _registry(_BIOS, ["SystemManufacturer", "SystemProductName", "SystemSKU"])
    return Command(pipeline=stages, parse=lambda reply: _firmware(_only(reply, stages[0])))


def machine_settings() -> Command[MachineSettings]:
    """Read two environment variables of the machine, from where the registry keeps them.

    Source: disconnected-operations-update.md (`DISCONNECTED_OPS_SUPPORT` is `True`),
    azure-arc/servers/manage-agent.md (`HTTPS_PROXY`).
    """
    stages = _registry(_ENVIRONMENT, ["DISCONNECTED_OPS_SUPPORT", "HTTPS_PROXY", "HTTP_PROXY"])
    return Command(pipeline=stages, parse=lambda reply: _settings(_only(reply, stages[0])))


def resolves(host: str) -> Command[bool]:
    """Ask the node's name service for an address of a host; an unknown name is an error of the cmdlet."""
    parameters = (("Name", host), ("Type", "A"), ("DnsOnly", None), ("QuickTimeout", None))
    return Command(
        pipeline=(Cmdlet("Resolve-DnsName", parameters), _select(["IPAddress"])),
        parse=lambda reply: any(
            _text(_row(item, "Resolve-DnsName"), "IPAddress") for item in reply
        ),
        timeout_s=30,
    )


def reaches(host: str, port: int) -> Command[bool]:
    """Let the node open a connection to a port; where a firewall is silent it takes half a minute."""
    parameters = (("ComputerName", host), ("Port", port), ("InformationLevel", "Quiet"))
    return Command(
        pipeline=(Cmdlet("Test-NetConnection", parameters),),
        parse=lambda reply: reply[-1:] in ((True,), ("True",)),
        timeout_s=60,
    )


def node_time() -> Command[datetime]:
    """Read what time it is for a node; it travels with its offset from UTC.

    Source: Get-Date (Microsoft.PowerShell.Utility); [MS-PSRP] 2.2.5.1.4 (date and time).
    """
    stage = Cmdlet("Get-Date")
    return Command(pipeline=(stage,), parse=_instant, timeout_s=30)


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


def _expand_property(name: str) -> Cmdlet:
    return Cmdlet("Select-Object", (("ExpandProperty", name),))


def _registry(key: str, values: list[str]) -> tuple[Cmdlet, Cmdlet]:
    """Read values of a registry key; one that is not there is no error."""
    return Cmdlet("Get-ItemProperty", (("LiteralPath", key),)), _select(values)


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


def _pairs(value: Plain) -> tuple[tuple[str, str], ...]:
    """Read a dictionary of texts."""
    rows = value.items() if isinstance(value, dict) else ()
    return tuple((name, "" if item is None else str(item)) for name, item in rows)


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
        additional=_pairs(row.get("AdditionalData")),
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


def _listed_update(row: dict[str, Plain]) -> ListedUpdate:
    update = _update(row)
    asked = dict(_pairs(row.get("AdditionalProperties")))
    return ListedUpdate(
        resource_id=update.resource_id,
        version=update.version,
        state=update.state_raw,
        package_type=update.package_type,
        sbe_version=update.sbe_version,
        sbe_family=asked.get("SBEFamily", ""),
        sbe_publisher=asked.get("SBEPublisher", ""),
        min_version_required=_text(row, "MinVersionRequired"),
        min_sbe_version_required=_text(row, "MinSbeVersionRequired"),
        prerequisites=update.prerequisites,
    )


def _discovery_sources(row: dict[str, Plain]) -> tuple[DiscoverySource, ...]:
    configuration = row.get("Configuration")
    uris = configuration.get("ComponentUris") if isinstance(configuration, dict) else None
    addresses = dict(_pairs(uris))
    sources = []
    for component, name in (("Solution", "SolutionManifestResult"), ("SBE", "SbeManifestResult")):
        told = row.get(name)
        result = told if isinstance(told, dict) else {}
        source = _text(result, "ManifestSource") or addresses.get(component, "")
        if source or result:
            sources.append(
                DiscoverySource(
                    component=component,
                    manifest_source=source,
                    status=_text(result, "Status"),
                    description=_text(result, "Description"),
                )
            )
    return tuple(sources)


def _partition(row: dict[str, Plain]) -> tuple[str, Plain, Plain]:
    told = row.get("Partition")
    partition = told if isinstance(told, dict) else {}
    return _text(row, "FriendlyVolumeName"), partition.get("FreeSpace"), partition.get("Size")


def _volumes(node: str, rows: list[tuple[str, Plain, Plain]]) -> Volumes:
    """Sort (volume, free, size) into what can be told and what cannot: an offline volume has no size."""
    spaces, untold = [], []
    for volume, free, size in rows:
        if isinstance(free, int) and isinstance(size, int) and 0 <= free <= size < _MOST_BYTES:
            spaces.append(VolumeSpace(node=node, volume=volume, free_bytes=free, size_bytes=size))
        else:
            untold.append(volume)
    return Volumes(spaces=tuple(spaces), untold=tuple(untold))


def _firmware(row: dict[str, Plain]) -> Hardware:
    return Hardware(
        manufacturer=_text(row, "SystemManufacturer").strip(),
        model=_text(row, "SystemProductName").strip(),
        sku=_text(row, "SystemSKU").strip(),
    )


def _settings(row: dict[str, Plain]) -> MachineSettings:
    return MachineSettings(
        disconnected_operations=_text(row, "DISCONNECTED_OPS_SUPPORT").strip(),
        has_proxy=any(_text(row, name).strip() for name in ("HTTPS_PROXY", "HTTP_PROXY")),
    )


def _mode(row: dict[str, Plain]) -> str:
    mode = _text(row, "LanguageMode")
    if mode not in _LANGUAGE_MODES:
        raise InputError(
            "read the language mode of a session",
            found=repr(mode),
            expected=f"one of {', '.join(_LANGUAGE_MODES)}",
        )
    return mode


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


def _instant(reply: tuple[Plain, ...]) -> datetime:
    """Read a time that says its offset: without one it could be of any place."""
    text = str(reply[-1]) if reply else ""
    at = _time(text) if re.search(r"(Z|[+-]\d\d:\d\d)\Z", text) else None
    if at is None:
        raise InputError(
            "read the reply of Get-Date",
            found=repr(text[:80]),
            expected="a time with its offset from UTC",
        )
    return at


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
