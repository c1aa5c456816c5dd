"""One text that each signature must recognise, and one near miss that it must not.

The error texts are the literal ones of the public troubleshooting guides; names and versions are ours.
"""

from __future__ import annotations


def raised(interface: str, role: str, text: str) -> str:
    return f"Type '{interface}' of Role '{role}' raised an exception:\n\n{text}"


REMOTE = "Connecting to remote server N1 failed with the following error message : "
PLATFORM = (
    "Current node platform version is '{0}' but expect version should be greater than or equal "
    "to '{1}'"
)

SAMPLES: dict[str, tuple[str, str]] = {
    "resumed-update-empty-action-plan": (
        "AdditionalInformation: The action plan does not contain the mandatory\n element Steps.",
        "The action plan does not contain the mandatory element Steps.",
    ),
    "cau-installer-blocked-by-defender-asr": (
        "Failed to run a hotfix installer. Message: Cannot start hotfix installer on cluster node N2. "
        "Program path: powershell.exe. Parameters: -File x. Error code: 0x80070005",
        "Failed to run a hotfix installer. Message: Cannot start hotfix installer on cluster node N2. "
        "Program path: powershell.exe. Parameters: -File x. Error code: 0x80070002",
    ),
    "cau-run-failed-max-failed-nodes": (
        "CAU Run failed. The latest cluster update status is 'Failed'. The overall "
        "FullyQualifiedErrorId is 'MaxFailedNodesExceeded'.",
        "CAU Run failed. The latest cluster update status is 'Failed'. The overall "
        "FullyQualifiedErrorId is 'ClusterNotFound'.",
    ),
    "cau-node-restart-timeout": (
        '(ClusterUpdateException) Failed to restart "N2": The timeout limit (01:00:00) was reached.',
        '(ClusterUpdateException) Failed to restart "N2": The RPC server is unavailable.',
    ),
    "cau-updatedistribution-access-denied": (
        raised(
            "CauPreRequisites",
            "CAU",
            "Could not finish cau prerequisites due to error Cannot remove item "
            "C:\\UpdateDistribution\\x.cab: Access to the path 'x.cab' is denied.",
        ),
        raised(
            "CauPreRequisites", "CAU", "Could not finish cau prerequisites due to error: locked"
        ),
    ),
    "cau-retry-canceled-msuhostupdate-breadcrumb": (
        raised(
            "EvalCauRetryApplicability",
            "CAU",
            "CAU Run failed. Previous CAU run status was Canceled. Exceeded max CAU retries (2).",
        ),
        raised("EvalCauRetryApplicability", "CAU", "CAU Run failed. Previous status was Failed."),
    ),
    "cau-retry-canceled-sbe-breadcrumb": (
        raised(
            "EvalCauRetryApplicability",
            "CAU",
            "CAU Run failed. Previous CAU run status was Canceled. Exceeded max CAU retries (2).",
        ),
        raised("EvalCauRetryApplicability", "CAU", "CAU Run failed. Previous status was Failed."),
    ),
    "cau-node-update-failed-cluster-resource-locked": (
        "The node 'N2' failed to update. The error message is 'The requested operation cannot be "
        "completed because a resource has locked status.'",
        "The node 'N2' failed to update. The error message is 'The cluster node is not found.'",
    ),
    "cau-post-version-check-2510-23h2": (
        raised("CauPostVersionCheck", "CAU", PLATFORM.format("10.0.25398.1849", "10.0.25398.1913")),
        raised("CauPostVersionCheck", "CAU", PLATFORM.format("10.0.26100.1", "10.0.26100.32522")),
    ),
    "cau-post-version-check-nodes-not-updated": (
        raised("CauPostCheck", "CAU", PLATFORM.format("10.0.26100.1", "10.0.26100.32522")),
        raised("CauPostCheck", "CAU", PLATFORM.format("10.0.25398.1849", "10.0.25398.1913")),
    ),
    "sbe-cau-scan-failed": (
        "SBE CAU Scan failed. The Vendor.Plugin plug-in reported a failure while attempting to scan "
        "for applicable updates on node N2.",
        "SBE CAU Scan finished. 0 updates are applicable on node N2.",
    ),
    "cau-run-plugin-scan-failed-after-install": (
        "CAU run failed on node N2. Details: Microsoft.ClusterAwareUpdating.ClusterUpdateException: "
        "The Microsoft.HardwareUpdatePlugin plug-in reported a failure while attempting to scan",
        "CAU run failed on node N2. Details: Microsoft.ClusterAwareUpdating.ClusterUpdateException: "
        "The node is down.",
    ),
    "sbe-cau-running-after-done": (
        "ErrorID: SBE-CAU-RUNNING-AFTER-DONE. CAU is still running.",
        "ErrorID: SBE-CAU-DONE.",
    ),
    "sbe-content-integrity-tampered": (
        "Test-SBEContentIntegrity found 1 file that does not match.",
        "Test-SBEHealth found 1 file that does not match.",
    ),
    "sbe-integrity-stale-staged-metadata": (
        "SolutionExtension content failed integrity check in "
        "'C:\\CloudContent\\Microsoft_Reserved\\Update\\SBECache\\x'",
        "SolutionExtension content passed integrity check in "
        "'C:\\CloudContent\\Microsoft_Reserved\\Update\\SBECache\\x'",
    ),
    "sbe-integrity-system-healthcheck": (
        "SolutionExtension content failed integrity check in "
        "'C:\\ClusterStorage\\Infrastructure_1\\Shares\\SU1_Infrastructure_1\\CloudMedia"
        "\\SBE\\Installed\\Content\\'",
        "SolutionExtension content failed integrity check in "
        "'C:\\CloudContent\\Microsoft_Reserved\\Update\\SBECache\\SBE\\Installed\\Content\\'",
    ),
    "sbe-deployadless-placeholder-value": (
        "Cannot validate argument on parameter 'DeployADLess'. The argument \"[DEPLOYADLESS]\" does "
        "not belong to the set",
        "Cannot validate argument on parameter 'DeployADMore'.",
    ),
    "sbehealth-endpoint-unreachable": (
        "Failed to reach SBE manifest endpoint: vendor",
        "Reached SBE manifest endpoint: vendor",
    ),
    "sbehealth-inconsistent-env-vars": (
        "Inconsistent SBE ENV vars!! SBEInstalledContent is empty",
        "Consistent SBE ENV vars.",
    ),
    "sbehealth-solutionextension-module-invalid": (
        "The SolutionExtension module could not be validated.",
        "SolutionExtension content failed integrity check. "
        "The SolutionExtension module could not be validated.",
    ),
    "alm-update-access-denied-adless-2601": (
        REMOTE + "Access is denied. At New-AgentUpdateTriggerOnNode, line 3",
        REMOTE + "Access is denied. At Get-Something, line 3",
    ),
    "update-service-gateway-timeout": (
        "A RestResponse of GatewayTimeout was received calling GET on "
        "https://n1.example:4900/providers/Microsoft.Update.Admin/updateLocations",
        "A RestResponse of NotFound was received calling GET on "
        "https://n1.example:4900/providers/Microsoft.Update.Admin/updateLocations",
    ),
    "update-service-connection-failure-exception": (
        "WebException.Status: ConnectFailure on https://n1:4900/providers/Microsoft.Update.Admin/x. "
        "ConnectionFailureException",
        "WebException.Status: Timeout on https://n1:4900/providers/Microsoft.Update.Admin/x.",
    ),
    "update-service-crash-non-english-locale": (
        raised(
            "ResetOverrideDiscoveryUri",
            "UpdateBootstrap",
            "A WebException occurred while sending a RestRequest.",
        ),
        raised("ResetOverrideDiscoveryUri", "UpdateBootstrap", "Access is denied."),
    ),
    "getcaudeviceinfo-action-plan-failed": (
        "Action plan GetCauDeviceInfo ID 9a1d failed with state: Failed",
        "Action plan GetCauDeviceInfo ID 9a1d ended with state: Completed",
    ),
    "deploymentlaunchtype-registry-value-missing": (
        raised(
            "AddDeploymentTypeParameter",
            "BareMetal",
            "Property DeploymentLaunchType does not exist at path "
            "HKEY_LOCAL_MACHINE\\Software\\Microsoft\\AzureStackStampInformation",
        ),
        raised("AddDeploymentTypeParameter", "BareMetal", "Access is denied."),
    ),
    "os-build-mismatch-between-nodes": (
        raised(
            "UpdateOsBuildNumberInEce",
            "OsUpdate",
            "Expected N2 to be on OS Build Number 25398.1849 but found 25398.1732",
        ),
        raised("UpdateOsBuildNumberInEce", "OsUpdate", "Access is denied."),
    ),
    "vsr-registry-key-missing-after-os-update": (
        raised(
            "AfterOSPlatformUpdate",
            "ComposedImageUpdate",
            "Registry path 'SYSTEM\\CurrentControlSet\\Services\\VSR' not found",
        ),
        raised("AfterOSPlatformUpdate", "ComposedImageUpdate", "Registry path 'SYSTEM' not found"),
    ),
    "updatefod-null-valued-expression": (
        raised(
            "UpdateFOD",
            "ComposedImageUpdate",
            "You cannot call a method on a null-valued expression.",
        ),
        raised("UpdateFOD", "ComposedImageUpdate", "Access is denied."),
    ),
    "dotnet-update-clustername-variable-missing": (
        raised(
            "InstallDotNetUpdatesOnCluster",
            "OsUpdate",
            "[DotNetUpdates Cau Run] Failed to install NET updates on the cluster. Error: Cannot "
            "validate argument on parameter 'ClusterName'.",
        ),
        raised("InstallDotNetUpdatesOnCluster", "OsUpdate", "The operation timed out."),
    ),
    "dotnet-kb-check-newer-update-installed": (
        raised(
            "ValidateDotNetUpdatesOnCluster",
            "OsUpdate",
            "[PostCheck] Dotnet KBs not installed are KB5000001",
        ),
        raised("ValidateDotNetUpdatesOnCluster", "OsUpdate", "[PostCheck] All KBs installed"),
    ),
    "live-migration-sid-not-resolvable": (
        "Live migration of 'vm7' failed: No mapping between account names and security IDs was done. "
        "(0x80070534)",
        "No mapping between account names and security IDs was done. (0x80070534)",
    ),
    "arb-offline-before-extension-upgrade": (
        "Get-ArcHciMgmt returned components that are in failure state "
        "[ResourceBridge Status = Offline]",
        "Get-ArcHciMgmt returned components [ResourceBridge Status = Running]",
    ),
    "arb-extension-cleanup-scope-locked": (
        "(FailedToDeleteClusterExtension) DELETE ERROR CODE: ScopeLocked",
        "(FailedToDeleteClusterExtension) DELETE ERROR CODE: NotFound",
    ),
    "arb-resource-locked-healthcheck": (
        "ARB is locked, 1 lock found",
        "ARB is not locked, no lock found",
    ),
    "moc-staging-script-missing-disconnected": (
        raised(
            "ShouldUpdateMocPreSSU",
            "UpdateBootstrap",
            "Unable to locate MOC staging helper script for disconnected cluster",
        ),
        raised("ShouldUpdateMocPreSSU", "UpdateBootstrap", "Access is denied."),
    ),
    "evaltvmflow-az-accounts-version-conflict": (
        raised("EvalTVMFlow", "ArcIntegration", "This module requires Az.Accounts version 4.0.0."),
        raised("EvalTVMFlow", "ArcIntegration", "Access is denied."),
    ),
    "azcli-incompatible-extension-healthcheck": (
        "Known incompatible Azure CLI extensions detected: connectedmachine",
        "No incompatible Azure CLI extensions detected",
    ),
    "arbstack-validator-nonnumeric-extension-version": (
        'Exception occurred (Test-AzStackHciARBStack): Cannot convert value "1.0.0b1" to type '
        '"System.Version"',
        'Exception occurred (Test-AzStackHciARBStack): Cannot convert value "x" to type "Int32"',
    ),
    "hci-subscription-status-not-active": (
        "HCI cluster and node registration validity failed due to Azure Stack HCI Subscription "
        "Status not in expected status Active",
        "HCI cluster and node registration validity succeeded",
    ),
    "hci-registration-repair-required": (
        "ConnectionStatus : RepairRegistrationRequired",
        "ConnectionStatus : Connected",
    ),
    "services-version-not-supported-healthcheck": (
        "Got services version [10.2508.0.9]. We cannot start upgrade. The services version is not "
        "supported in this pnu",
        "Got services version [10.2508.0.9].",
    ),
    "network-validator-multiple-storage-ips": (
        "The term 'EnvValidatorNormalizeIPv4Subnet' is not recognized as the name of a cmdlet",
        "The term 'Get-Something' is not recognized as the name of a cmdlet",
    ),
    "validated-recipe-powershell-module-drift": (
        "Checking version of PS module 'Az.Accounts' on host 'N1'. Got '3.0.4' but expected '3.0.3' "
        "so it is invalid",
        "Checking version of PS module 'Az.Accounts' on host 'N1'. Got '3.0.3' so it is valid",
    ),
    "environment-validator-exception": (
        "Exception caught in Test-AzStackHciNetwork validator",
        "No exception in Test-AzStackHciNetwork validator",
    ),
    "asr-rule-group-policy-conflict": (
        "Group Policy-managed ASR settings were found. These settings can override OSConfig",
        "No Group Policy-managed ASR settings were found.",
    ),
    "dns-no-server-configured": ("No DNS server configured", "DNS server configured"),
    "dns-active-directory-domain-unresolved": (
        "Queried dns server 10.0.0.2 for corp.example on N1. Result returned 0 A records",
        "Queried dns server 10.0.0.2 for corp.example on N1. Result returned 2 A records",
    ),
    "domain-grant-cluster-permission-access-denied": (
        raised("AddComputerObjectPermissionToClusterForUpdate", "Domain", "Access is denied"),
        raised("AddComputerObjectPermissionToClusterForUpdate", "Domain", "The server is down"),
    ),
    "cluster-name-spn-wsman-misregistered": (
        REMOTE + "An unknown security error occured",
        REMOTE + "The user name or password is incorrect",
    ),
    "credssp-disabled-on-service": (
        "The authentication mechanism requested by the client is not supported by the server or "
        "unencrypted traffic is disabled in the service configuration.",
        "The authentication mechanism requested by the client is supported by the server.",
    ),
}
