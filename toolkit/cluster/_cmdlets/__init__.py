"""Every command ever sent to a node: a typed value and the parser of its reply. Pure.

This package is the list a security reviewer reads: no command is made anywhere else. Each command is a
pipeline of in-box cmdlets (and `wevtutil.exe`) with parameters, so it also runs where PowerShell is in
constrained language mode; no script text is sent. `Select-Object` is used where enumerations are read: it makes them arrive by name.
Replies are read tolerantly: fields we do not know are ignored, missing ones become empty.

Here stand the commands that discovery, import, requests and collection use; further ones in the module of
their subject: `ready`, `settings`, `payload`, `share`, `runs`. `building` and `reading` are what all of them share.

Source: azure-local/update/update-via-powershell-23h2.md (cmdlets and properties), Azure REST
specification azurestackhci 2024-04-01 (states), import-discover-updates-offline-23h2.md (import).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PureWindowsPath

from toolkit.cluster._cmdlets import building, reading
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
    return Command(
        pipeline=(Cmdlet("New-Item", parameters),), parse=reading.nothing, changes_cluster=True
    )


def remove(path: PureWindowsPath) -> Command[None]:
    """Remove a file or folder that ferry wrote."""
    parameters = (("LiteralPath", str(path)), ("Recurse", None), ("Force", None))
    return Command(
        pipeline=(Cmdlet("Remove-Item", parameters),), parse=reading.nothing, changes_cluster=True
    )


def move(path: PureWindowsPath, destination: PureWindowsPath) -> Command[None]:
    """Give a finished folder its final name."""
    parameters = (("LiteralPath", str(path)), ("Destination", str(destination)))
    return Command(
        pipeline=(Cmdlet("Move-Item", parameters),), parse=reading.nothing, changes_cluster=True
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
        parse=reading.nothing,
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
    "PackageSizeInMb",
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
        building.select(_ENVIRONMENT_PROPERTIES),
    )
    return Command(
        pipeline=stages, parse=lambda reply: _environment(reading.only(reply, stages[0]))
    )


def updates() -> Command[tuple[Update, ...]]:
    """Read the updates the cluster offers; asking also triggers its discovery."""
    return Command(
        pipeline=(Cmdlet("Get-SolutionUpdate"), building.select(_UPDATE_PROPERTIES)),
        parse=lambda reply: tuple(
            _update(reading.row(item, "Get-SolutionUpdate")) for item in reply
        ),
    )


def add_update(folder: PureWindowsPath) -> Command[None]:
    """Hand an expanded solution bundle, or the three files of an SBE, to the update service."""
    return Command(
        pipeline=(Cmdlet("Add-SolutionUpdate", (("SourceFolder", str(folder)),)),),
        parse=reading.nothing,
        timeout_s=1800,
        changes_cluster=True,
    )


def update_runs(resource_id: ResourceId) -> Command[tuple[UpdateRun, ...]]:
    """Read an update's runs with their full step trees, newest first.

    Only `ConvertTo-Json` keeps a tree of unknown depth whole; it prints enumerations as numbers, so
    the runs' states are read by `run_states`.
    """
    return Command(
        pipeline=(*_runs_of(resource_id), building.to_json()),
        parse=_runs,
        timeout_s=300,
    )


def run_states(resource_id: ResourceId) -> Command[dict[str, str]]:
    """Read the state of each run of an update by name: run id → state."""
    return Command(
        pipeline=(*_runs_of(resource_id), building.select(["ResourceId", "State"])),
        parse=lambda reply: {
            reading.text(row, "ResourceId"): reading.text(row, "State")
            for row in (reading.row(item, "Get-SolutionUpdateRun") for item in reply)
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
MACHINE_ENVIRONMENT = r"HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
_LANGUAGE_MODES = ("FullLanguage", "ConstrainedLanguage", "RestrictedLanguage", "NoLanguage")
_NOT_FIXED = ("removable", "network", "cd-rom", "ram disk", "2", "4", "5", "6")
"""`DriveType` by name or number (MSFT_Volume) of what an update's files are never put on."""
_MOST_BYTES = 1 << 53


def listed_updates() -> Command[tuple[ListedUpdate, ...]]:
    """Read the listed updates with what they ask for; asking also triggers the cluster's discovery.

    Source: solution-builder-extension.md (AdditionalProperties of an update that needs an SBE).
    """
    return Command(
        pipeline=(Cmdlet("Get-SolutionUpdate"), building.select(_LISTED_PROPERTIES)),
        parse=lambda reply: tuple(
            _listed_update(reading.row(item, "Get-SolutionUpdate")) for item in reply
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
        pipeline=(stage, building.select(properties)),
        parse=lambda reply: _discovery_sources(reading.only(reply, stage)),
    )


def cluster_nodes() -> Command[tuple[tuple[str, str], ...]]:
    """Read the cluster's nodes and their states: (`node1`, `Up`)."""
    return Command(
        pipeline=(Cmdlet("Get-ClusterNode"), building.select(["Name", "State"])),
        parse=lambda reply: tuple(
            (reading.text(row, "Name"), reading.text(row, "State"))
            for row in (reading.row(item, "Get-ClusterNode") for item in reply)
        ),
    )


def local_volumes(node: str) -> Command[Volumes]:
    """Read the space on every volume of a node that has a drive letter and stays in the machine."""
    name, properties = "Get-Volume", ["DriveLetter", "DriveType", "Size", "SizeRemaining"]
    return Command(
        pipeline=(Cmdlet(name), building.select(properties)),
        parse=lambda reply: _volumes(
            node,
            [
                (f"{letter}:", row.get("SizeRemaining"), row.get("Size"))
                for row in (reading.row(item, name) for item in reply)
                if (letter := reading.text(row, "DriveLetter").strip("\0 "))
                and reading.text(row, "DriveType").lower() not in _NOT_FIXED
            ],
        ),
    )


def shared_volumes() -> Command[Volumes]:
    """Read the space on every cluster shared volume, by the path that every node sees it at."""
    name = "Get-ClusterSharedVolume"
    stages = (
        Cmdlet(name),
        building.expand_property("SharedVolumeInfo"),
        building.select(["FriendlyVolumeName", "Partition"]),
    )
    return Command(
        pipeline=stages,
        parse=lambda reply: _volumes("", [_partition(reading.row(item, name)) for item in reply]),
    )


def language_mode() -> Command[str]:
    """Read the language mode of the session, without a script to ask for it."""
    variable = (("Name", "ExecutionContext"), ("ValueOnly", None))
    stages = (
        Cmdlet("Get-Variable", variable),
        building.expand_property("SessionState"),
        building.select(["LanguageMode"]),
    )
    return Command(pipeline=stages, parse=lambda reply: _mode(reading.only(reply, stages[0])))


def hardware() -> Command[Hardware]:
    """Read what the firmware says the machine is: by this an SBE is chosen.

    Source: Troubleshooting-SBEHealth-Test-Endpoint-Matches-ModelSKU.md.
    """
    stages = building.registry(_BIOS, ["SystemManufacturer", "SystemProductName", "SystemSKU"])
    return Command(pipeline=stages, parse=lambda reply: _firmware(reading.only(reply, stages[0])))


def machine_settings() -> Command[MachineSettings]:
    """Read two environment variables of the machine, from where the registry keeps them.

    Source: disconnected-operations-update.md (`DISCONNECTED_OPS_SUPPORT` is `True`),
    azure-arc/servers/manage-agent.md (`HTTPS_PROXY`).
    """
    stages = building.registry(
        MACHINE_ENVIRONMENT, ["DISCONNECTED_OPS_SUPPORT", "HTTPS_PROXY", "HTTP_PROXY"]
    )
    return Command(pipeline=stages, parse=lambda reply: _settings(reading.only(reply, stages[0])))


def resolves(host: str) -> Command[bool]:
    """Ask the node's name service for an address of a host; an unknown name is an error of the cmdlet."""
    parameters = (("Name", host), ("Type", "A"), ("DnsOnly", None), ("QuickTimeout", None))
    return Command(
        pipeline=(Cmdlet("Resolve-DnsName", parameters), building.select(["IPAddress"])),
        parse=lambda reply: any(
            reading.text(reading.row(item, "Resolve-DnsName"), "IPAddress") for item in reply
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
    return Command(
        pipeline=(building.program("wevtutil.exe", arguments),),
        parse=reading.nothing,
        timeout_s=600,
    )


def render_log(channel: str, file: PureWindowsPath) -> Command[None]:
    """Write a channel's events as XML with their message texts to a file on the node."""
    return Command(
        pipeline=(
            building.program("wevtutil.exe", ["qe", channel, "/f:RenderedXml"]),
            building.to_file(file),
        ),
        parse=reading.nothing,
        timeout_s=600,
    )


def save_environment(file: PureWindowsPath) -> Command[None]:
    """Write versions, state and every health check result as JSON to a file on the node."""
    return building.save(
        Cmdlet("Get-SolutionUpdateEnvironment", (("FullHealthCheckDetails", None),)), file
    )


def updates_as_told() -> Command[tuple[Plain, ...]]:
    """Read every listed update for the log bundle: over the wire, where states arrive by name."""
    return Command(
        pipeline=(Cmdlet("Get-SolutionUpdate"), building.select(_UPDATE_PROPERTIES)),
        parse=lambda reply: reply,
        timeout_s=300,
    )


def save_update_runs(file: PureWindowsPath) -> Command[None]:
    """Write the runs of every listed update, with full step trees, as JSON to a file on the node."""
    return building.save(Cmdlet("Get-SolutionUpdate"), file, Cmdlet("Get-SolutionUpdateRun"))


def save_cau_reports(file: PureWindowsPath, cluster: str, since: datetime) -> Command[None]:
    """Write the detailed CAU reports since a time as JSON to a file on the node."""
    parameters: tuple[tuple[str | None, Plain], ...] = (
        ("ClusterName", cluster),
        ("StartDate", since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("Detailed", None),
    )
    return building.save(Cmdlet("Get-CauReport", parameters), file)


def cluster_name() -> Command[str]:
    """Read the failover cluster's own name."""
    return Command(pipeline=(Cmdlet("Get-Cluster"), building.select(["Name"])), parse=_cluster_name)


# --- building -----------------------------------------------------------------------------------


def _runs_of(resource_id: ResourceId) -> tuple[Cmdlet, Cmdlet]:
    return (
        Cmdlet("Get-SolutionUpdate", (("Id", resource_id),)),
        Cmdlet("Get-SolutionUpdateRun"),
    )


def _since_query(since: datetime) -> str:
    stamp = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return f"*[System[TimeCreated[@SystemTime>='{stamp}']]]"


# --- reading ------------------------------------------------------------------------------------


def _cluster_name(reply: tuple[Plain, ...]) -> str:
    name = reading.text(reading.only(reply, Cmdlet("Get-Cluster")), "Name")
    if not name:  # nameless nodes would all belong to one cluster
        raise InputError("read the reply of Get-Cluster", found="no Name", expected="one")
    return name


def _hash(reply: tuple[Plain, ...]) -> Sha256:
    value = reading.text(reading.only(reply, Cmdlet("Get-FileHash")), "Hash").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise InputError("read the reply of Get-FileHash", found=repr(value), expected="SHA-256")
    return Sha256(value)


def _environment(row: dict[str, Plain]) -> UpdateEnvironment:
    packages = []
    for item in reading.items(row.get("PackageVersions")):
        if isinstance(item, dict):
            if "PackageType" in item:
                packages.append((reading.text(item, "PackageType"), reading.text(item, "Version")))
            else:
                packages += [(name, str(version)) for name, version in item.items()]
        else:
            name, _, version = str(item).partition(":")
            packages.append((name.strip(), version.strip()))
    return UpdateEnvironment(
        current_version=reading.text(row, "CurrentVersion"),
        current_sbe_version=reading.text(row, "CurrentSbeVersion"),
        state=reading.text(row, "State"),
        health_state=reading.text(row, "HealthState"),
        hardware_model=reading.text(row, "HardwareModel"),
        sbe_family=reading.text(row, "SbeFamily"),
        package_versions=tuple(packages),
        health_checks=tuple(
            health_check(item)
            for item in reading.items(row.get("HealthCheckResult"))
            if isinstance(item, dict)
        ),
        additional=reading.pairs(row.get("AdditionalData")),
    )


def health_check(row: dict[str, Plain]) -> HealthCheck:
    """Read one `HealthCheckResult`, as it travels or as it stands in a file."""
    additional = row.get("AdditionalData")
    detail = additional.get("Detail") if isinstance(additional, dict) else None
    return HealthCheck(
        name=reading.text(row, "Name"),
        title=reading.text(row, "DisplayName", "Title"),
        status=reading.text(row, "Status"),
        severity=reading.text(row, "Severity"),
        description=reading.text(row, "Description"),
        remediation=reading.text(row, "Remediation"),
        target=reading.text(row, "TargetResourceName", "TargetResourceID"),
        detail="" if detail is None else str(detail),
        timestamp=reading.text(row, "Timestamp"),
    )


def _update(row: dict[str, Plain]) -> Update:
    state = reading.text(row, "State")
    resource_id = reading.text(row, "ResourceId")
    version = reading.text(row, "Version")
    if not version:  # SBE rows leave it empty in one published sample
        version = reading.text(row, "SbeVersion") or resource_id.rpartition("/")[2]
    return Update(
        resource_id=ResourceId(resource_id),
        version=version,
        display_name=reading.text(row, "DisplayName"),
        state=UpdateState(state),
        state_raw=state,
        package_type=reading.text(row, "PackageType"),
        sbe_version=reading.text(row, "SbeVersion"),
        availability_type=reading.text(row, "AvailabilityType"),
        health_state=reading.text(row, "HealthState"),
        reboot_required=reading.text(row, "RebootRequired"),
        progress_text=reading.text(row, "UpdateStateProperties"),
        package_path=reading.text(row, "PackagePath"),
        package_size_bytes=size << 20
        if isinstance(size := row.get("PackageSizeInMb"), int) and size > 0
        else None,
        prerequisites=tuple(
            reading.text(item, "Version", "PackageName") if isinstance(item, dict) else str(item)
            for item in reading.items(row.get("Prerequisites"))
        ),
    )


def _listed_update(row: dict[str, Plain]) -> ListedUpdate:
    update = _update(row)
    asked = dict(reading.pairs(row.get("AdditionalProperties")))
    return ListedUpdate(
        resource_id=update.resource_id,
        version=update.version,
        state=update.state_raw,
        package_type=update.package_type,
        sbe_version=update.sbe_version,
        sbe_family=asked.get("SBEFamily", ""),
        sbe_publisher=asked.get("SBEPublisher", ""),
        min_version_required=reading.text(row, "MinVersionRequired"),
        min_sbe_version_required=reading.text(row, "MinSbeVersionRequired"),
        prerequisites=update.prerequisites,
    )


def _discovery_sources(row: dict[str, Plain]) -> tuple[DiscoverySource, ...]:
    configuration = row.get("Configuration")
    uris = configuration.get("ComponentUris") if isinstance(configuration, dict) else None
    addresses = dict(reading.pairs(uris))
    sources = []
    for component, name in (("Solution", "SolutionManifestResult"), ("SBE", "SbeManifestResult")):
        told = row.get(name)
        result = told if isinstance(told, dict) else {}
        source = reading.text(result, "ManifestSource") or addresses.get(component, "")
        if source or result:
            sources.append(
                DiscoverySource(
                    component=component,
                    manifest_source=source,
                    status=reading.text(result, "Status"),
                    description=reading.text(result, "Description"),
                )
            )
    return tuple(sources)


def _partition(row: dict[str, Plain]) -> tuple[str, Plain, Plain]:
    told = row.get("Partition")
    partition = told if isinstance(told, dict) else {}
    return (
        reading.text(row, "FriendlyVolumeName"),
        partition.get("FreeSpace"),
        partition.get("Size"),
    )


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
        manufacturer=reading.text(row, "SystemManufacturer").strip(),
        model=reading.text(row, "SystemProductName").strip(),
        sku=reading.text(row, "SystemSKU").strip(),
    )


def _settings(row: dict[str, Plain]) -> MachineSettings:
    return MachineSettings(
        disconnected_operations=reading.text(row, "DISCONNECTED_OPS_SUPPORT").strip(),
        has_proxy=any(reading.text(row, name).strip() for name in ("HTTPS_PROXY", "HTTP_PROXY")),
    )


def _mode(row: dict[str, Plain]) -> str:
    mode = reading.text(row, "LanguageMode")
    if mode not in _LANGUAGE_MODES:
        raise InputError(
            "read the language mode of a session",
            found=repr(mode),
            expected=f"one of {', '.join(_LANGUAGE_MODES)}",
        )
    return mode


def _runs(reply: tuple[Plain, ...]) -> tuple[UpdateRun, ...]:
    cmdlet = "Get-SolutionUpdateRun"
    rows = [reading.row(item, cmdlet) for item in reading.json_items(reply, cmdlet)]
    runs = [
        UpdateRun(
            resource_id=ResourceId(reading.text(row, "ResourceId")),
            state=RunState(reading.text(row, "State")),
            state_raw=reading.text(row, "State"),
            started_at=reading.time(row.get("TimeStarted")),
            updated_at=reading.time(row.get("LastUpdatedTime")),
            progress=_step(progress) if isinstance(progress := row.get("Progress"), dict) else None,
        )
        for row in rows
    ]
    epoch = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(runs, key=lambda run: run.started_at or epoch, reverse=True))


def _step(row: dict[str, Plain]) -> Step:
    return Step(
        name=reading.text(row, "Name"),
        description=reading.text(row, "Description"),
        status=reading.text(row, "Status"),
        error_message=reading.text(row, "ErrorMessage"),
        started_at=reading.time(row.get("StartTimeUtc")),
        ended_at=reading.time(row.get("EndTimeUtc")),
        expected=reading.span(row.get("ExpectedExecutionTime")),
        steps=tuple(
            _step(item) for item in reading.items(row.get("Steps")) if isinstance(item, dict)
        ),
    )


def _instant(reply: tuple[Plain, ...]) -> datetime:
    """Read a time that says its offset: without one it could be of any place."""
    text = str(reply[-1]) if reply else ""
    at = reading.time(text) if re.search(r"(Z|[+-]\d\d:\d\d)\Z", text) else None
    if at is None:
        raise InputError(
            "read the reply of Get-Date",
            found=repr(text[:80]),
            expected="a time with its offset from UTC",
        )
    return at


def is_version(update: Update, version: SolutionVersion) -> bool:
    """Whether a listed update is this solution version (and not an SBE of the same number)."""
    try:
        return SolutionVersion.parse(update.resource_id) == version
    except ValueError:
        return False
