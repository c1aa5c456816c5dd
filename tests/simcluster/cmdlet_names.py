"""Names the simulated cmdlets share: .NET types and enumerations, and objects made from JSON forms.

Source: Azure REST specification azurestackhci 2024-04-01 (names of enumeration values). Type names and
numbers are invented; docs/simulator.md says so.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tests.simcluster.values import OBJECT, NetEnum, NetObject, Value

LCM = "Microsoft.AzureStack.Lcm.PowerShell"
MODELS = "Microsoft.AzureStack.Services.Update.ResourceProvider.UpdateService.Models"
CAU = "Microsoft.ClusterAwareUpdating"
CLUSTERS = "Microsoft.FailoverClusters.PowerShell"

_ENUMERATIONS: dict[str, tuple[str, ...]] = {
    f"{MODELS}.UpdateState": (
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
    f"{MODELS}.UpdateRunState": ("Unknown", "Succeeded", "InProgress", "Failed"),
    f"{MODELS}.UpdateSummaryState": (
        "Unknown",
        "AppliedSuccessfully",
        "UpdateAvailable",
        "UpdateInProgress",
        "UpdateFailed",
        "NeedsAttention",
        "PreparationInProgress",
        "PreparationFailed",
    ),
    f"{MODELS}.HealthState": ("Unknown", "Success", "Failure", "Warning", "Error", "InProgress"),
    f"{MODELS}.UpdateAvailabilityType": ("Local", "Online", "Notify"),
    f"{MODELS}.RebootRequirement": ("Unknown", "True", "False"),
    f"{MODELS}.PackageType": ("Solution", "SBE"),
    f"{MODELS}.ManifestStatus": ("Ok", "ConnectionFailure"),
    f"{CAU}.RunState": ("RunNotInProgress", "RunInProgress", "RunFailed"),
    f"{CLUSTERS}.ClusterNodeState": ("Up", "Down", "Paused", "Joining"),
    f"{CLUSTERS}.NodeDrainStatus": ("NotInitiated", "InProgress", "Completed", "Failed"),
    f"{CLUSTERS}.NodeStatusInformation": ("Normal", "Isolated", "Quarantined", "DrainFailed"),
    f"{CLUSTERS}.ClusterGroupState": ("Online", "Offline", "Failed", "PartialOnline", "Pending"),
    f"{CLUSTERS}.ClusterResourceState": ("Online", "Offline", "Failed"),
    "Microsoft.DnsClient.Commands.RecordType": ("UNKNOWN", "A_AAAA", "A"),
    "System.Management.Automation.PSLanguageMode": (
        "FullLanguage",
        "RestrictedLanguage",
        "NoLanguage",
        "ConstrainedLanguage",
    ),
}


def enumeration(kind: str, name: str) -> NetEnum:
    """Return a value by the enumeration's last name."""
    full = next(one for one in _ENUMERATIONS if one.endswith(f".{kind}"))
    return NetEnum(full, name, _ENUMERATIONS[full].index(name))


_TYPES = {
    "ClusterResult": f"{CAU}.CauClusterResult",
    "NodeResults": f"{CAU}.CauNodeResult",
    "Node": f"{CAU}.CauNode",
    "InstallResults": f"{CAU}.UpdateInstallResult",
    "ErrorRecordData": f"{CAU}.ErrorRecordData",
    "TimingBreakdowUTC": f"{CAU}.TimingBreakdown",
    "Steps": f"{MODELS}.Step",
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
