"""The Azure Local, Cluster-Aware Updating and failover-cluster cmdlets over the world's state.

Source: update-via-powershell-23h2.md, update-troubleshooting-23h2.md, import-discover-updates-offline-
23h2.md (cmdlets, properties, samples); Azure REST specification azurestackhci 2024-04-01
(enumerations); ClusterAwareUpdating module reference. Numbers of enumerations, names of types and words
of refusals are invented; docs/simulator.md lists them.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from uuid import UUID

from tests.simcluster import filecmdlets, generic, wevtutil
from tests.simcluster.evtx import Event
from tests.simcluster.packages import Package, PackageError, read_package
from tests.simcluster.pipeline import Call, Library, Parameter, anything, switch, text
from tests.simcluster.state import (
    PACKAGES,
    HealthCheck,
    SolutionUpdate,
    StartRefusedError,
    UpdateRun,
    World,
    packages_folder,
    version_key,
)
from tests.simcluster.values import (
    OBJECT,
    NetEnum,
    NetObject,
    NetVersion,
    Value,
    custom,
    property_of,
    text_of,
)

LIBRARY = Library()
for _other in (generic.LIBRARY, filecmdlets.LIBRARY, wevtutil.LIBRARY):
    LIBRARY.include(_other)

_LCM = "Microsoft.AzureStack.Lcm.PowerShell"
_MODELS = "Microsoft.AzureStack.Services.Update.ResourceProvider.UpdateService.Models"
_CAU = "Microsoft.ClusterAwareUpdating"
_CLUSTERS = "Microsoft.FailoverClusters.PowerShell"

_ENUMERATIONS: dict[str, tuple[str, ...]] = {
    f"{_MODELS}.UpdateState": (
        "HasPrerequisite",
        "Obsolete",
        "Ready",
        "NotApplicableBecauseAnotherUpdateIsInProgress",
        "Preparing",
        "Installing",
        "Installed",
        "PreparationFailed",
        "InstallationFailed",
        "Invalid",
        "Recalled",
        "Downloading",
        "DownloadFailed",
        "HealthChecking",
        "HealthCheckFailed",
        "ReadyToInstall",
        "ScanInProgress",
        "ScanFailed",
        "AdditionalContentRequired",
    ),
    f"{_MODELS}.UpdateRunState": ("Unknown", "Succeeded", "InProgress", "Failed"),
    f"{_MODELS}.UpdateSummaryState": (
        "Unknown",
        "AppliedSuccessfully",
        "UpdateAvailable",
        "UpdateInProgress",
        "UpdateFailed",
        "NeedsAttention",
        "PreparationInProgress",
        "PreparationFailed",
    ),
    f"{_MODELS}.HealthState": ("Unknown", "Success", "Failure", "Warning", "Error", "InProgress"),
    f"{_MODELS}.UpdateAvailabilityType": ("Local", "Online", "Notify"),
    f"{_MODELS}.RebootRequirement": ("Unknown", "True", "False"),
    f"{_MODELS}.PackageType": ("Solution", "SBE"),
    f"{_CAU}.RunState": ("RunNotInProgress", "RunInProgress", "RunFailed"),
    f"{_CLUSTERS}.ClusterNodeState": ("Up", "Down", "Paused", "Joining"),
    f"{_CLUSTERS}.ClusterGroupState": ("Online", "Offline", "Failed"),
    "System.Management.Automation.PSLanguageMode": (
        "FullLanguage",
        "RestrictedLanguage",
        "NoLanguage",
        "ConstrainedLanguage",
    ),
}
_NO_DATE = datetime(1, 1, 1, tzinfo=UTC)


def _enum(kind: str, name: str) -> NetEnum:
    full = next(one for one in _ENUMERATIONS if one.endswith(f".{kind}"))
    return NetEnum(full, name, _ENUMERATIONS[full].index(name))


# --- environment --------------------------------------------------------------------------------


@LIBRARY.cmdlet(
    "Get-SolutionUpdateEnvironment",
    Parameter("FullHealthCheckDetails", switch),
    owner=f"{_LCM}.GetSolutionUpdateEnvironmentCmdlet",
)
def get_environment(call: Call) -> Iterator[Value]:
    """Describe the cluster's update summary."""
    world = call.world
    world.advance()
    checks = world.health_checks
    services = world.current_version
    yield NetObject(
        (f"{_MODELS}.SolutionUpdateEnvironment", OBJECT),
        {
            "ResourceId": "redmond",
            "SbeFamily": world.sbe_family,
            "HardwareModel": world.hardware_model,
            "LastChecked": world.clock.now(),
            "PackageVersions": [
                {"Solution": world.current_version},
                {"Services": services},
                {"Platform": world.current_version},
                {"SBE": world.current_sbe_version},
            ],
            "CurrentVersion": world.current_version,
            "CurrentSbeVersion": world.current_sbe_version,
            "LastUpdated": world.last_updated,
            "State": _enum("UpdateSummaryState", _summary_state(world)),
            "HealthState": _enum("HealthState", _health_state(checks)),
            "HealthCheckResult": [
                _health_check(world, check, is_full=bool(call["FullHealthCheckDetails"]))
                for check in checks
                if call["FullHealthCheckDetails"] or check.has_failed
            ],
            "HealthCheckDate": world.clock.now() if checks else _NO_DATE,
            "AdditionalData": {},
        },
    )


def _summary_state(world: World) -> str:
    states = {update.state for update in world.updates}
    active = world.active_run
    if active is not None:
        is_preparing = active.update.state in {"Preparing", "HealthChecking"}
        return "PreparationInProgress" if is_preparing else "UpdateInProgress"
    if world.is_other_update_running:
        return "UpdateInProgress"
    if "InstallationFailed" in states:
        return "UpdateFailed"
    if states & {"PreparationFailed", "HealthCheckFailed"}:
        return "PreparationFailed"
    if states & {"Ready", "ReadyToInstall", "HasPrerequisite", "AdditionalContentRequired"}:
        return "UpdateAvailable"
    return "AppliedSuccessfully"


def _health_state(checks: list[HealthCheck]) -> str:
    failed = {check.severity.upper() for check in checks if check.has_failed}
    if "CRITICAL" in failed:
        return "Failure"
    return "Warning" if "WARNING" in failed else "Success" if checks else "Unknown"


def _health_check(world: World, check: HealthCheck, *, is_full: bool) -> NetObject:
    at = world.clock.now()
    properties: dict[str, Value] = {
        "Name": check.name,
        "DisplayName": check.title,
        "Title": check.title,
        "Status": check.status,
        "Severity": check.severity,
        "Description": check.description,
        "Remediation": check.remediation,
        "TargetResourceID": check.target,
        "TargetResourceName": check.target,
        "TargetResourceType": "Node" if check.target else "",
        "Timestamp": at,
        "HealthCheckSource": r"Manual\Standard\Medium\ValidatedRecipe\7a4ba847",
    }
    if is_full:
        properties["AdditionalData"] = {
            "Detail": check.detail,
            "Status": check.status,
            "Resource": check.target,
            "Source": check.name,
        }
    return NetObject((f"{_MODELS}.HealthCheckResult", OBJECT), properties)


@LIBRARY.cmdlet(
    "Invoke-SolutionUpdatePrecheck",
    Parameter("SystemHealth", switch),
    owner=f"{_LCM}.InvokeSolutionUpdatePrecheckCmdlet",
)
def invoke_precheck(call: Call) -> Iterator[Value]:
    """Start the health checks; they are over at once here."""
    call.world.advance()
    yield from ()


@LIBRARY.cmdlet(
    "Get-SolutionDiscoveryDiagnosticInfo",
    owner=f"{_LCM}.GetSolutionDiscoveryDiagnosticInfoCmdlet",
)
def get_discovery_info(call: Call) -> Iterator[Value]:
    """Say where manifests are looked for; an isolated cluster reaches none of them."""
    uri = f"https://aka.ms/AzureStackSBEUpdate/{call.world.manufacturer}"
    yield NetObject(
        (f"{_MODELS}.DiscoveryDiagnosticInfo", OBJECT),
        {
            "Configuration": NetObject(
                (f"{_MODELS}.DiscoveryConfiguration", OBJECT),
                {"ComponentUris": {"SBE": uri, "Solution": "https://aka.ms/AzureEdgeUpdates"}},
            ),
            "SbeManifestResult": NetObject(
                (f"{_MODELS}.ManifestResult", OBJECT),
                {
                    "ManifestSource": uri,
                    "Status": "ConnectionFailure",
                    "Description": "The remote name could not be resolved.",
                },
            ),
        },
    )


# --- updates ------------------------------------------------------------------------------------


@LIBRARY.cmdlet(
    "Get-SolutionUpdate",
    Parameter("Id", text, position=0),
    Parameter("FullHealthCheckDetails", switch),
    owner=f"{_LCM}.GetSolutionUpdateCmdlet",
)
def get_solution_update(call: Call) -> Iterator[Value]:
    """List the updates; every call also drives the discovery of added ones."""
    listed = call.world.list_updates()
    wanted = call["Id"]
    if wanted is not None:
        listed = [update for update in listed if update.resource_id.lower() == wanted.lower()]
        if not listed:
            raise call.failure(
                f"Update '{wanted}' was not found.",
                "UpdateNotFound",
                "ObjectNotFound",
                exception="Microsoft.AzureStack.Services.Update.Common.UpdateNotFoundException",
                target=wanted,
            )
    for update in listed:
        yield _update(call.world, update, is_full=bool(call["FullHealthCheckDetails"]))


def _update(world: World, update: SolutionUpdate, *, is_full: bool) -> NetObject:
    checks = world.health_checks if update.state == "HealthCheckFailed" or is_full else []
    return NetObject(
        (f"{_MODELS}.Update", OBJECT),
        {
            "ResourceId": update.resource_id,
            "InstalledDate": update.installed_at,
            "Description": update.description,
            "State": _enum("UpdateState", update.state),
            "KbLink": "https://learn.microsoft.com/azure/azure-local/",
            "MinVersionRequired": update.min_version_required,
            "MinSbeVersionRequired": update.min_sbe_version_required,
            "PackagePath": update.package_path,
            "PackageSizeInMb": update.package_size_in_mb,
            "DisplayName": update.display_name,
            "Version": update.version,
            "SbeVersion": update.sbe_version,
            "Publisher": update.publisher,
            "ReleaseLink": "",
            "AvailabilityType": _enum("UpdateAvailabilityType", update.availability_type),
            "PackageType": _enum("PackageType", update.package_type),
            "Prerequisites": _prerequisites(update),
            "UpdateStateProperties": _state_text(world, update),
            "AdditionalProperties": dict(update.additional_properties),
            "ComponentVersions": [
                NetObject(
                    (f"{_MODELS}.PackageVersionInfo", OBJECT),
                    {"PackageType": kind, "Version": update.version, "LastUpdated": None},
                )
                for kind in ("Services", "Platform")
                if update.package_type == "Solution"
            ],
            "RebootRequired": _enum("RebootRequirement", update.reboot_required),
            "HealthState": _enum("HealthState", update.health_state),
            "HealthCheckResult": [_health_check(world, check, is_full=is_full) for check in checks],
            "HealthCheckDate": _NO_DATE,
            "BillOfMaterials": [],
        },
        text=update.resource_id,
    )


def _prerequisites(update: SolutionUpdate) -> list[Value]:
    if update.state != "HasPrerequisite":
        return []
    wanted = update.min_version_required
    return [
        NetObject(
            (f"{_MODELS}.UpdatePrerequisite", OBJECT),
            {"UpdateType": "Solution", "Version": wanted, "PackageName": f"Solution{wanted}"},
            text=f"Solution {wanted}",
        )
    ]


def _state_text(world: World, update: SolutionUpdate) -> str:
    run = world.active_run
    if update.state == "Installing" and run is not None and run.update is update:
        whole = (run.plan.end - run.plan.start).total_seconds()
        done = (world.clock.now() - run.plan.start).total_seconds()
        return f"{min(99, int(100 * done / whole))}% complete."
    return update.notify_message if update.state == "AdditionalContentRequired" else ""


@LIBRARY.cmdlet(
    "Add-SolutionUpdate",
    Parameter("SourceFolder", text, position=0, is_mandatory=True),
    Parameter("SkipSbeVersionValidation", switch),
    owner=f"{_LCM}.AddSolutionUpdateCmdlet",
)
def add_solution_update(call: Call) -> Iterator[Value]:
    """Check the source folder, copy its package, and let the service discover it."""
    world = call.world
    world.journal.count_add()
    source = call["SourceFolder"]
    refusal = world.refuse_add()
    if refusal is not None:
        raise _refused(call, refusal, source)
    try:
        package = read_package(filecmdlets.locate(call, source))
    except PackageError as exc:
        raise _refused(call, str(exc), source) from exc
    _check_version(call, package, source)
    resource_id = f"redmond/{package.name}"
    with world.lock:
        if world.knows(resource_id):
            call.streams.warning(
                f"Package {package.name} was added before; nothing is copied a second time."
            )
            return iter(())
        _copy(package.files, packages_folder(call.node) / package.name)
        world.add(_new_update(package, resource_id))
    return iter(())


def _refused(call: Call, words: str, source: str) -> Exception:
    return call.failure(
        words,
        "AddSolutionUpdateFailed",
        "InvalidData",
        exception="Microsoft.AzureStack.Services.Update.Common.UpdateServiceException",
        target=source,
    )


def _check_version(call: Call, package: Package, source: str) -> None:
    world = call.world
    installed = (
        world.current_sbe_version if package.package_type == "SBE" else world.current_version
    )
    if version_key(package.version) < version_key(installed):
        raise _refused(
            call,
            f"Package {package.name} cannot be added: version {installed} is installed, which is "
            "newer.",
            source,
        )
    if package.package_type == "SBE" and package.family.lower() != world.sbe_family.lower():
        raise _refused(
            call,
            f"Package {package.name} is of family {package.family}; this system is of family "
            f"{world.sbe_family}.",
            source,
        )


def _copy(files: tuple[Path, ...], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)


def _new_update(package: Package, resource_id: str) -> SolutionUpdate:
    is_sbe = package.package_type == "SBE"
    return SolutionUpdate(
        resource_id=resource_id,
        version=package.version,
        package_type=package.package_type,
        display_name=package.display_name,
        state="Ready",
        sbe_version=package.version if is_sbe else "",
        publisher=package.publisher,
        min_version_required=package.min_version_required,
        min_sbe_version_required=package.min_sbe_version_required,
        package_path=f"{PACKAGES}\\{package.name}",
        package_size_in_mb=package.size_in_mb,
        os_build=package.os_build,
        additional_properties={"SBEFamily": package.family} if is_sbe else {},
    )


@LIBRARY.cmdlet(
    "Start-SolutionUpdate",
    Parameter("Update", anything),
    Parameter("PrepareOnly", switch),
    Parameter("IgnoreWarnings", switch),
    owner=f"{_LCM}.StartSolutionUpdateCmdlet",
)
def start_solution_update(call: Call) -> Iterator[Value]:
    """Start each update of the pipeline; yields the run's id."""
    for update in _updates(call):
        try:
            run = call.world.start(
                update,
                is_prepare_only=bool(call["PrepareOnly"]),
                ignores_warnings=bool(call["IgnoreWarnings"]),
            )
        except StartRefusedError as exc:
            raise call.failure(
                str(exc),
                "StartSolutionUpdateFailed",
                "InvalidOperation",
                exception="System.InvalidOperationException",
                target=update.resource_id,
            ) from exc
        yield run.resource_id


def _updates(call: Call) -> Iterator[SolutionUpdate]:
    """Yield the state behind each update object that came in."""
    given = [] if call["Update"] is None else [call["Update"]]
    for item in (*given, *call.input):
        wanted = text_of(property_of(item, "ResourceId")).lower()
        update = next((u for u in call.world.updates if u.resource_id.lower() == wanted), None)
        if update is None:
            raise call.failure(
                "The input object cannot be bound to any parameters for the command.",
                "InputObjectNotBound",
                "InvalidArgument",
                exception="System.Management.Automation.ParameterBindingException",
                target=text_of(item),
            )
        yield update


@LIBRARY.cmdlet(
    "Get-SolutionUpdateRun",
    Parameter("Update", anything),
    owner=f"{_LCM}.GetSolutionUpdateRunCmdlet",
)
def get_solution_update_run(call: Call) -> Iterator[Value]:
    """List the runs of each update of the pipeline, newest first."""
    for update in _updates(call):
        call.world.advance()
        for run in reversed(call.world.runs):
            if run.update is update:
                yield _run(call.world, run)


def _run(world: World, run: UpdateRun) -> NetObject:
    now = min(world.clock.now(), run.plan.end)
    return NetObject(
        (f"{_MODELS}.UpdateRun", OBJECT),
        {
            "ResourceId": run.resource_id,
            "Progress": live(run.plan.shown_at(now), f"{_MODELS}.Step"),
            "TimeStarted": run.plan.start,
            "LastUpdatedTime": now,
            "Duration": now - run.plan.start,
            "State": _enum("UpdateRunState", run.state),
        },
        text=run.resource_id,
    )


# --- Cluster-Aware Updating ---------------------------------------------------------------------

_TYPES = {
    "ClusterResult": f"{_CAU}.CauClusterResult",
    "NodeResults": f"{_CAU}.CauNodeResult",
    "Node": f"{_CAU}.CauNode",
    "InstallResults": f"{_CAU}.UpdateInstallResult",
    "ErrorRecordData": f"{_CAU}.ErrorRecordData",
    "TimingBreakdowUTC": f"{_CAU}.TimingBreakdown",
    "Steps": f"{_MODELS}.Step",
}
_JSON_DATE = re.compile(r"/Date\((-?\d+)\)/")


def live(value: object, kind: str) -> Value:
    """Return the objects that a JSON form (as `ConvertTo-Json` prints it) was made of."""
    if isinstance(value, str) and (found := _JSON_DATE.fullmatch(value)):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(found[1]))
    if isinstance(value, list):
        return [live(item, kind) for item in value]
    if isinstance(value, dict):
        if "Ticks" in value:
            return timedelta(microseconds=int(value["Ticks"]) // 10)
        members = {
            str(key): live(item, _TYPES.get(str(key), f"{kind}.{key}"))
            for key, item in value.items()
        }
        if isinstance(members.get("RunId"), str):
            members["RunId"] = UUID(str(members["RunId"]))
        return NetObject((kind, OBJECT), members)
    return value


@LIBRARY.cmdlet(
    "Get-CauReport",
    Parameter("ClusterName", text, position=0),
    Parameter("Detailed", switch),
    Parameter("Last", switch),
    Parameter("StartDate", anything),
    Parameter("EndDate", anything),
    owner=f"{_CAU}.Commands.GetCauReportCommand",
)
def get_cau_report(call: Call) -> Iterator[Value]:
    """List the reports of finished CAU runs, oldest first."""
    _check_cluster(call)
    if call["Last"] and (call["StartDate"] is not None or call["EndDate"] is not None):
        raise call.failure(
            "Parameter set cannot be resolved using the specified named parameters.",
            "AmbiguousParameterSet",
            "InvalidArgument",
            exception="System.Management.Automation.ParameterBindingException",
        )
    call.world.advance()
    begins, ends = _date(call, "StartDate"), _date(call, "EndDate")
    reports = [cast("NetObject", live(one, f"{_CAU}.CauReport")) for one in call.world.reports]
    chosen = [
        report
        for report in reports
        if (begins is None or _began(report) >= begins) and (ends is None or _began(report) <= ends)
    ]
    for report in chosen[-1:] if call["Last"] else chosen:
        yield report if call["Detailed"] else _summary(report)


def _began(report: NetObject) -> datetime:
    return cast("datetime", property_of(property_of(report, "ClusterResult"), "StartTimestamp"))


def _summary(report: NetObject) -> NetObject:
    result = property_of(report, "ClusterResult")
    names = ("ClusterName", "RunId", "StartTimestamp", "RunDuration", "Status")
    return NetObject(
        (f"{_CAU}.CauReportSummary", OBJECT), {name: property_of(result, name) for name in names}
    )


def _date(call: Call, parameter: str) -> datetime | None:
    """Convert to [datetime] as PowerShell does: text is US or ISO, and local (here UTC) time."""
    value = call[parameter]
    if value is None or isinstance(value, datetime):
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)
    for read in (
        datetime.fromisoformat,
        lambda one: datetime.strptime(one, "%m/%d/%Y"),  # noqa: DTZ007 - the zone follows
        lambda one: datetime.strptime(one, "%m/%d/%Y %H:%M:%S"),  # noqa: DTZ007
    ):
        try:
            moment = read(text_of(value))
        except ValueError:
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise call.failure(
        f"Cannot bind parameter '{parameter}'. Cannot convert value \"{text_of(value)}\" to type "
        '"System.DateTime".',
        "CannotConvertArgumentNoMessage",
        "InvalidArgument",
        exception="System.Management.Automation.ParameterBindingException",
    )


def _check_cluster(call: Call) -> None:
    name = call["ClusterName"] or call["Name"] or "."
    known = {call.world.name.lower(), f"{call.world.name}.{call.world.domain}".lower(), "."}
    if name.lower() not in known:
        raise call.failure(
            f"The cluster '{name}' could not be found.",
            "ClusterNotFound",
            "ObjectNotFound",
            exception="Microsoft.ClusterAwareUpdating.ClusterUpdateException",
            target=name,
        )


@LIBRARY.cmdlet(
    "Get-CauRun",
    Parameter("ClusterName", text, position=0),
    owner=f"{_CAU}.Commands.GetCauRunCommand",
)
def get_cau_run(call: Call) -> Iterator[Value]:
    """Say whether a CAU run is going on."""
    _check_cluster(call)
    call.world.advance()
    run, now = call.world.active_run, call.world.clock.now()
    story = None if run is None else run.story
    if story is None or not _cau_started(story.events, now) or now >= story.run_ended_at:
        yield _enum("RunState", "RunNotInProgress")
        return
    yield NetObject(
        (f"{_CAU}.CauRun", OBJECT),
        {
            "RunState": _enum("RunState", "RunInProgress"),
            "RunStartTime": _first_event(story.events),
            "CurrentOrchestrator": call.node.name,
            "NodeResults": [],
        },
    )


def _first_event(events: dict[str, dict[str, list[Event]]]) -> datetime:
    return min(e.time for channels in events.values() for log in channels.values() for e in log)


def _cau_started(events: dict[str, dict[str, list[Event]]], now: datetime) -> bool:
    return _first_event(events) <= now


# --- the failover cluster -----------------------------------------------------------------------


@LIBRARY.cmdlet(
    "Get-Cluster",
    Parameter("Name", text, position=0),
    Parameter("Domain"),
    owner=f"{_CLUSTERS}.GetClusterCommand",
)
def get_cluster(call: Call) -> Iterator[Value]:
    """Describe the failover cluster."""
    _check_cluster(call)
    yield NetObject(
        (f"{_CLUSTERS}.Cluster", OBJECT),
        {
            "Name": call.world.name,
            "Domain": call.world.domain,
            "ClusterFunctionalLevel": 12,
            "S2DEnabled": 1,
        },
        text=call.world.name,
    )


@LIBRARY.cmdlet(
    "Get-ClusterNode",
    Parameter("Name", text, position=0),
    Parameter("Cluster"),
    owner=f"{_CLUSTERS}.GetNodeCommand",
)
def get_cluster_node(call: Call) -> Iterator[Value]:
    """List the cluster's nodes."""
    wanted = call["Name"]
    found = False
    for index, node in enumerate(call.world.nodes, start=1):
        if wanted is not None and node.name.lower() != wanted.lower():
            continue
        found = True
        yield NetObject(
            (f"{_CLUSTERS}.ClusterNode", OBJECT),
            {
                "Name": node.name,
                "NodeName": node.name,
                "Id": str(index),
                "State": _enum("ClusterNodeState", "Up" if node.is_up else "Down"),
                "Cluster": call.world.name,
            },
            text=node.name,
        )
    if wanted is not None and not found:
        call.error(
            call.failure(
                f"The cluster node '{wanted}' was not found.",
                "Get-ClusterNode",
                "ObjectNotFound",
                exception="Microsoft.FailoverClusters.PowerShell.ClusterCmdletException",
                target=wanted,
            )
        )


@LIBRARY.cmdlet(
    "Get-ClusterGroup",
    Parameter("Name", text, position=0),
    Parameter("Cluster"),
    owner=f"{_CLUSTERS}.GetGroupCommand",
)
def get_cluster_group(call: Call) -> Iterator[Value]:
    """List the groups of the update service and the orchestrator."""
    owner = next((node.name for node in call.world.nodes if node.is_up), call.node.name)
    for name in (
        "Cluster Group",
        "Azure Stack HCI Update Service Cluster Group",
        "Azure Stack HCI Orchestrator Service Cluster Group",
    ):
        if call["Name"] is None or call["Name"].lower() == name.lower():
            yield NetObject(
                (f"{_CLUSTERS}.ClusterGroup", OBJECT),
                {
                    "Name": name,
                    "OwnerNode": owner,
                    "State": _enum("ClusterGroupState", "Online"),
                    "Cluster": call.world.name,
                },
                text=name,
            )


# --- the node -----------------------------------------------------------------------------------


@LIBRARY.cmdlet("Get-Date", owner="Microsoft.PowerShell.Commands.GetDateCommand")
def get_date(call: Call) -> Iterator[Value]:
    """Tell the node's own time."""
    yield call.world.node_time(call.node)


@LIBRARY.cmdlet(
    "Get-TimeZone",
    Parameter("Id"),
    Parameter("Name"),
    owner="Microsoft.PowerShell.Commands.GetTimeZoneCommand",
)
def get_time_zone(call: Call) -> Iterator[Value]:
    """Nodes keep UTC."""
    yield NetObject(
        ("System.TimeZoneInfo", OBJECT),
        {
            "Id": "UTC",
            "DisplayName": "(UTC) Coordinated Universal Time",
            "StandardName": "Coordinated Universal Time",
            "BaseUtcOffset": timedelta(),
            "SupportsDaylightSavingTime": False,
        },
        text="(UTC) Coordinated Universal Time",
    )


@LIBRARY.cmdlet(
    "Get-Volume",
    Parameter("DriveLetter", text, position=0),
    owner="Get-Volume",
)
def get_volume(call: Call) -> Iterator[Value]:
    """Describe drive C: by the disk the simulator runs on."""
    if call["DriveLetter"] is not None and call["DriveLetter"].upper() != "C":
        call.error(
            call.failure(
                f"No MSFT_Volume objects found with property 'DriveLetter' equal to "
                f"'{call['DriveLetter']}'.",
                "CmdletizationQuery_NotFound_DriveLetter",
                "ObjectNotFound",
                exception="Microsoft.PowerShell.Cmdletization.Cim.CimJobException",
                target=call["DriveLetter"],
            )
        )
        return
    usage = shutil.disk_usage(call.node.drive.root)
    yield NetObject(
        (
            "Microsoft.Management.Infrastructure.CimInstance#ROOT/Microsoft/Windows/Storage/"
            "MSFT_Volume",
            "Microsoft.Management.Infrastructure.CimInstance",
            OBJECT,
        ),
        {
            "DriveLetter": "C",
            "FileSystemType": "NTFS",
            "HealthStatus": "Healthy",
            "Size": usage.total,
            "SizeRemaining": usage.free,
        },
    )


@LIBRARY.cmdlet(
    "Get-Variable",
    Parameter("Name", text, position=0, is_mandatory=True),
    Parameter("ValueOnly", switch),
    owner="Microsoft.PowerShell.Commands.GetVariableCommand",
)
def get_variable(call: Call) -> Iterator[Value]:
    """Show the variables a client may ask about itself: `ExecutionContext`, `PSVersionTable`."""
    mode = _enum("PSLanguageMode", call.node.language_mode)
    session = NetObject(
        ("System.Management.Automation.SessionState", OBJECT), {"LanguageMode": mode}
    )
    variables: dict[str, Value] = {
        "executioncontext": NetObject(
            ("System.Management.Automation.EngineIntrinsics", OBJECT), {"SessionState": session}
        ),
        "psversiontable": {
            "PSVersion": NetVersion("5.1.26100.32522"),
            "PSEdition": "Desktop",
        },
    }
    name = call["Name"]
    if name.lower() not in variables:
        call.error(
            call.failure(
                f"Cannot find a variable with the name '{name}'.",
                "VariableNotFound",
                "ObjectNotFound",
                exception="System.Management.Automation.ItemNotFoundException",
                target=name,
            )
        )
        return
    value = variables[name.lower()]
    if call["ValueOnly"]:
        yield value
    else:
        yield NetObject(
            ("System.Management.Automation.PSVariable", OBJECT), {"Name": name, "Value": value}
        )


_WINDOWS_VERSION = r"HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_BIOS = r"HKLM:\HARDWARE\DESCRIPTION\System\BIOS"


def _registry(call: Call) -> dict[str, dict[str, Value]]:
    world = call.world
    return {
        _WINDOWS_VERSION.lower(): {
            "ProductName": "Azure Stack HCI",
            "CurrentBuildNumber": "26100",
            "UBR": 32522,
            "DisplayVersion": "24H2",
        },
        _BIOS.lower(): {
            "SystemManufacturer": world.manufacturer,
            "SystemProductName": world.hardware_model,
            "SystemSKU": "",
        },
    }


@LIBRARY.cmdlet(
    "Get-ItemProperty",
    Parameter("Path", text, position=0),
    Parameter("LiteralPath"),
    Parameter("Name", anything, position=1),
    owner="Microsoft.PowerShell.Commands.GetItemPropertyCommand",
)
def get_item_property(call: Call) -> Iterator[Value]:
    """Read one of the few registry keys a node has here."""
    path = str(call["LiteralPath"] or call["Path"])
    values = _registry(call).get(path.rstrip("\\").lower())
    if values is None:
        call.error(
            call.failure(
                f"Cannot find path '{path}' because it does not exist.",
                "PathNotFound",
                "ObjectNotFound",
                exception="System.Management.Automation.ItemNotFoundException",
                target=path,
            )
        )
        return
    wanted = call["Name"]
    names = [text_of(one).lower() for one in (wanted if isinstance(wanted, list) else [wanted])]
    yield custom({k: v for k, v in values.items() if wanted is None or k.lower() in names})


@LIBRARY.cmdlet(
    "Get-ComputerInfo",
    Parameter("Property", anything, position=0),
    owner="Microsoft.PowerShell.Commands.GetComputerInfoCommand",
)
def get_computer_info(call: Call) -> Iterator[Value]:
    """Describe the machine in a few properties."""
    yield NetObject(
        ("Microsoft.PowerShell.Commands.ComputerInfo", OBJECT),
        {
            "CsName": call.node.name.upper(),
            "CsManufacturer": call.world.manufacturer,
            "CsModel": call.world.hardware_model,
            "OsName": "Microsoft Azure Stack HCI",
            "OsVersion": "10.0.26100",
            "OsBuildNumber": "26100",
            "TimeZone": "(UTC) Coordinated Universal Time",
        },
    )


@LIBRARY.program("hostname.exe", "hostname")
def hostname(call: Call) -> Iterator[Value]:
    """Print the computer name."""
    yield call.node.name.upper()
