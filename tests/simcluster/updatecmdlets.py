"""The cmdlets of the update service, over the world's state.

Source: update-via-powershell-23h2.md, update-troubleshooting-23h2.md, import-discover-updates-offline-
23h2.md (cmdlets, properties, samples). Words of refusal are invented; docs/simulator.md lists them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.simcluster import filecmdlets
from tests.simcluster.cmdlet_names import LCM, MODELS, enumeration, live
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
from tests.simcluster.updateservice import ask
from tests.simcluster.values import OBJECT, NetObject, Value, property_of, text_of

LIBRARY = Library()
_NO_DATE = datetime(1, 1, 1, tzinfo=UTC)


# --- environment --------------------------------------------------------------------------------


@LIBRARY.cmdlet(
    "Get-SolutionUpdateEnvironment",
    Parameter("FullHealthCheckDetails", switch),
    owner=f"{LCM}.GetSolutionUpdateEnvironmentCmdlet",
)
def get_environment(call: Call) -> Iterator[Value]:
    """Describe the cluster's update summary."""
    ask(call)
    world = call.world
    world.advance()
    checks = world.health_checks
    services = world.current_version
    yield NetObject(
        (f"{MODELS}.SolutionUpdateEnvironment", OBJECT),
        {
            "ResourceId": "redmond",
            "SbeFamily": world.sbe_family,
            "HardwareModel": world.hardware_model,
            "LastChecked": world.clock.now(),
            "PackageVersions": [
                {"Solution": world.ready.package_version or world.current_version},
                {"Services": services},
                {"Platform": world.current_version},
                {"SBE": world.current_sbe_version},
            ],
            "CurrentVersion": world.current_version,
            "CurrentSbeVersion": world.current_sbe_version,
            "LastUpdated": world.last_updated,
            "State": enumeration("UpdateSummaryState", _summary_state(world)),
            "HealthState": enumeration("HealthState", _health_state(checks)),
            "HealthCheckResult": [
                _health_check(world, check, is_full=bool(call["FullHealthCheckDetails"]))
                for check in checks
                if call["FullHealthCheckDetails"] or check.has_failed
            ],
            "HealthCheckDate": world.clock.now() if checks else _NO_DATE,
            "AdditionalData": {"SBEAdditionalData": world.sbe_remark} if world.sbe_remark else {},
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
    return NetObject((f"{MODELS}.HealthCheckResult", OBJECT), properties)


@LIBRARY.cmdlet(
    "Invoke-SolutionUpdatePrecheck",
    Parameter("SystemHealth", switch),
    owner=f"{LCM}.InvokeSolutionUpdatePrecheckCmdlet",
)
def invoke_precheck(call: Call) -> Iterator[Value]:
    """Start the health checks; they are over at once here."""
    ask(call)
    call.world.advance()
    yield from ()


@LIBRARY.cmdlet(
    "Get-SolutionDiscoveryDiagnosticInfo",
    owner=f"{LCM}.GetSolutionDiscoveryDiagnosticInfoCmdlet",
)
def get_discovery_info(call: Call) -> Iterator[Value]:
    """Say where manifests are looked for, and how the last look at the SBE's ended."""
    outside = call.world.outside
    uri = outside.sbe_uri or f"https://aka.ms/AzureStackSBEUpdate/{call.world.manufacturer}"
    yield NetObject(
        (f"{MODELS}.DiscoveryDiagnosticInfo", OBJECT),
        {
            "Configuration": NetObject(
                (f"{MODELS}.DiscoveryConfiguration", OBJECT),
                {"ComponentUris": {"SBE": uri, "Solution": outside.solution_uri}},
            ),
            "SbeManifestResult": NetObject(
                (f"{MODELS}.ManifestResult", OBJECT),
                {
                    "ManifestSource": uri,
                    "Status": enumeration("ManifestStatus", call.world.sbe_discovery),
                    "Description": "Successfully read the discovery manifest."
                    if call.world.sbe_discovery == "Ok"
                    else "There was an exception reading the discovery manifest: An error occurred "
                    "while sending the request..",
                },
            ),
        },
    )


# --- updates ------------------------------------------------------------------------------------


@LIBRARY.cmdlet(
    "Get-SolutionUpdate",
    Parameter("Id", text, position=0),
    Parameter("FullHealthCheckDetails", switch),
    owner=f"{LCM}.GetSolutionUpdateCmdlet",
)
def get_solution_update(call: Call) -> Iterator[Value]:
    """List the updates; every call also drives the discovery of added ones."""
    if words := call.world.ready.update_service_error:
        raise call.failure(
            words,
            "Microsoft.AzureStack.Common.Infrastructure.HttpClient.TransientException",
            exception="Microsoft.AzureStack.Common.Infrastructure.HttpClient.TransientException",
        )
    ask(call)
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
        (f"{MODELS}.Update", OBJECT),
        {
            "ResourceId": update.resource_id,
            "InstalledDate": update.installed_at,
            "Description": update.description,
            "State": enumeration("UpdateState", update.state),
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
            "AvailabilityType": enumeration("UpdateAvailabilityType", update.availability_type),
            "PackageType": enumeration("PackageType", update.package_type),
            "Prerequisites": _prerequisites(update),
            "UpdateStateProperties": _state_text(world, update),
            "AdditionalProperties": dict(update.additional_properties),
            "ComponentVersions": [
                NetObject(
                    (f"{MODELS}.PackageVersionInfo", OBJECT),
                    {"PackageType": kind, "Version": update.version, "LastUpdated": None},
                )
                for kind in ("Services", "Platform")
                if update.package_type == "Solution"
            ],
            "RebootRequired": enumeration("RebootRequirement", update.reboot_required),
            "HealthState": enumeration("HealthState", update.health_state),
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
            (f"{MODELS}.UpdatePrerequisite", OBJECT),
            {"UpdateType": "Solution", "Version": wanted, "PackageName": f"Solution{wanted}"},
            text=f"Solution {wanted}",
        )
    ]


def _state_text(world: World, update: SolutionUpdate) -> str:
    run = world.active_run
    if update.state == "Installing" and run is not None and run.update is update:
        whole = (run.plan.end - run.plan.start).total_seconds()
        done = (run.moment(world.clock.now()) - run.plan.start).total_seconds()
        return f"{min(99, int(100 * done / whole))}% complete."
    return update.notify_message if update.state == "AdditionalContentRequired" else ""


@LIBRARY.cmdlet(
    "Add-SolutionUpdate",
    Parameter("SourceFolder", text, position=0, is_mandatory=True),
    Parameter("SkipSbeVersionValidation", switch),
    owner=f"{LCM}.AddSolutionUpdateCmdlet",
)
def add_solution_update(call: Call) -> Iterator[Value]:
    """Check the source folder, copy its package, and let the service discover it."""
    ask(call)
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
    """Refuse an old solution update; a wrong SBE is taken, and hides updates.

    Source: Update-missing-after-importing-SBE.md.
    """
    installed = call.world.current_version
    if package.package_type == "SBE" or version_key(package.version) >= version_key(installed):
        return
    raise _refused(
        call,
        f"Package {package.name} cannot be added: version {installed} is installed, which is newer.",
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
        package_size_in_mb=max(1, package.size_in_mb),  # bundles of tests are tiny, real ones never
        os_build=package.os_build,
        validated_for=package.validated_for,
        additional_properties={"SBEFamily": package.family, "SBEPublisher": package.publisher}
        if is_sbe
        else {},
    )


@LIBRARY.cmdlet(
    "Start-SolutionUpdate",
    Parameter("Update", anything),
    Parameter("PrepareOnly", switch),
    Parameter("IgnoreWarnings", switch),
    owner=f"{LCM}.StartSolutionUpdateCmdlet",
)
def start_solution_update(call: Call) -> Iterator[Value]:
    """Start each update of the pipeline; yields the run's id."""
    ask(call)
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
    owner=f"{LCM}.GetSolutionUpdateRunCmdlet",
)
def get_solution_update_run(call: Call) -> Iterator[Value]:
    """List the runs of each update of the pipeline, newest first."""
    ask(call)
    for update in _updates(call):
        call.world.advance()
        for run in reversed(call.world.runs):
            if run.update is update:
                yield _run(call.world, run)


def _run(world: World, run: UpdateRun) -> NetObject:
    now = min(run.moment(world.clock.now()), run.plan.end)
    return NetObject(
        (f"{MODELS}.UpdateRun", OBJECT),
        {
            "ResourceId": run.resource_id,
            "Progress": live(run.plan.shown_at(now), f"{MODELS}.Step"),
            "TimeStarted": run.plan.start,
            "LastUpdatedTime": now,
            "Duration": now - run.plan.start,
            "State": enumeration("UpdateRunState", run.state),
        },
        text=run.resource_id,
    )
