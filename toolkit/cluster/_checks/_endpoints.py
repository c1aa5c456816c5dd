"""The addresses outside that an update needs although its payload was carried, as data.

What the bundle lacks are images for the Azure Resource Bridge (ARB) and AKS; discovery, registration and
the check of signatures want the network too. A group is judged as a whole; `stops` says where an update
ends without it. Addresses with a region or a wildcard in them cannot be tried without a name: they are named.

Source: eastus-hci-endpoints.md (Azure/AzureStack-Tools; list of 2024-09-04), by its numbers and components;
ecpacr, hciarcvmsstorage and hciarcvmscontainerregistry are among the AKS group there or in *deployment*.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from toolkit.cluster._checks._check import Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address outside."""

    host: str
    port: int = 443

    def __str__(self) -> str:
        """Return `host:port`."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointGroup:
    """Addresses that are needed for one purpose."""

    name: str
    """Of its check: `endpoints-arb`."""
    title: str
    endpoints: tuple[Endpoint, ...]
    untestable: tuple[str, ...] = ()
    """Addresses that have a region, or whose beginning is anything."""
    stops: str
    """What happens where one is not reached."""
    remedy: str
    source: str
    confidence: Trust
    is_payload: bool = False
    """Only for what a medium brings: an update that was carried or imported does not need it."""


def _on(port: int, *hosts: str) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(host=host, port=port) for host in hosts)


_LIST = "eastus-hci-endpoints.md"
_OPEN = "Open these addresses before the update is started, or have somebody accept by name that it may stop there."

GROUPS: tuple[EndpointGroup, ...] = (
    EndpointGroup(
        name="endpoints-discovery",
        title="The places where updates are announced are reached",
        endpoints=_on(443, "aka.ms", "redirectiontool.trafficmanager.net"),
        stops="from 2405 on, feature updates and SBE updates are simply not listed",
        remedy="Import what the cluster should be offered; check discovery-manifests shows how its last look ended.",
        source=f"{_LIST}, Firewall-blocks-update-discovery.md",
        confidence="confirmed",
    ),
    EndpointGroup(
        name="endpoints-download",
        title="The places where updates are downloaded from are reached",
        endpoints=(
            *_on(
                443,
                "fe3.delivery.mp.microsoft.com",
                "azurestackreleases.download.prss.microsoft.com",
            ),
            *_on(80, "tlu.dl.delivery.mp.microsoft.com"),
        ),
        stops="an update that was not imported cannot be downloaded",
        remedy="Bring the update on a medium.",
        source=f"{_LIST}, import-discover-updates-offline-23h2.md",
        confidence="confirmed",
        is_payload=True,
    ),
    EndpointGroup(
        name="endpoints-microsoft-update",
        title="Microsoft Update is reached",
        endpoints=_on(
            80,
            "windowsupdate.microsoft.com",
            "wustat.windows.com",
            "ntservicepack.microsoft.com",
            "go.microsoft.com",
        ),
        untestable=(
            "*.download.windowsupdate.com",
            "*.delivery.mp.microsoft.com",
            "*.windowsupdate.microsoft.com",
            "*.windowsupdate.com",
            "*.update.microsoft.com",
        ),
        stops="what the operating system would fetch by itself is not fetched",
        remedy="Bring the update on a medium.",
        source=f"{_LIST}; that a carried update does not need it is our own conclusion",
        confidence="inferred",
        is_payload=True,
    ),
    EndpointGroup(
        name="endpoints-arb",
        title="Images of the Azure Resource Bridge can be fetched",
        endpoints=_on(
            443,
            "msk8s.api.cdp.microsoft.com",
            "msk8s.sb.tlu.dl.delivery.mp.microsoft.com",
            "kvamanagementoperator.azurecr.io",
            "k8connecthelm.azureedge.net",
            "k8sconnectcsp.azureedge.net",
            "packages.microsoft.com",
        ),
        untestable=(
            "<region>.dp.prod.appliances.azure.com",
            "*.prod.hot.ingest.monitor.core.windows.net",
            "time.windows.com:123 (UDP)",
        ),
        stops="the update stops at EnsureArbVmResourceState or UpdateArbAndExtensions of role MocArb: these images are "
        "not in the solution bundle",
        remedy=_OPEN,
        source=f"import-discover-updates-offline-23h2.md, update-best-practices.md, {_LIST}",
        confidence="inferred",
    ),
    EndpointGroup(
        name="endpoints-aks",
        title="Images of AKS can be fetched",
        endpoints=_on(
            443,
            "mcr.microsoft.com",
            "azurearcfork8s.azurecr.io",
            "linuxgeneva-microsoft.azurecr.io",
            "pipelineagent.azurecr.io",
            "hybridaks.azurecr.io",
            "aszk8snetworking.azurecr.io",
            "ecpacr.azurecr.io",
            "hybridaksstorage.z13.web.core.windows.net",
            "hciarcvmsstorage.z13.web.core.windows.net",
            "hciarcvmscontainerregistry.azurecr.io",
            "raw.githubusercontent.com",
        ),
        untestable=(
            "<region>.data.mcr.microsoft.com",
            "*.dl.delivery.mp.microsoft.com",
            "*.do.dsp.mp.microsoft.com",
            "<region>.dp.kubernetesconfiguration.azure.com",
        ),
        stops="the update stops at UpdateArbAndExtensions of role MocArb: these images are not in the solution bundle",
        remedy=_OPEN,
        source=f"import-discover-updates-offline-23h2.md, update-best-practices.md, {_LIST}",
        confidence="inferred",
    ),
    EndpointGroup(
        name="endpoints-arc",
        title="Azure Arc and Resource Manager are reached",
        endpoints=_on(
            443,
            "download.microsoft.com",
            "gbl.his.arc.azure.com",
            "guestnotificationservice.azure.com",
            "management.azure.com",
            "login.microsoftonline.com",
            "graph.microsoft.com",
        ),
        untestable=(
            "<region>.his.arc.azure.com",
            "*.guestconfiguration.azure.com",
            "*.servicebus.windows.net",
            "<region>.login.microsoft.com",
            "*.blob.core.windows.net",
            "<vault>.vault.azure.net",
        ),
        stops="the readiness check wants a connected cluster, and EvalTVMFlow of role ArcIntegration stops",
        remedy=_OPEN,
        source=f"{_LIST}, BreakFix-Update-Resolve-subscription-status-precheck-failure.md",
        confidence="inferred",
    ),
    EndpointGroup(
        name="endpoints-revocation",
        title="Revocation lists are reached",
        endpoints=_on(
            80,
            "crl3.digicert.com",
            "crl4.digicert.com",
            "ocsp.digicert.com",
            "oneocsp.microsoft.com",
            "ocsp2.globalsign.com",
            "ts-crl.ws.symantec.com",
            "ts-ocsp.ws.symantec.com",
            "s.symcb.com",
            "www.microsoft.com",
        ),
        stops="signatures of packages may not be checked while the update is prepared",
        remedy="Open port 80 to these addresses before the update is started.",
        source=f"{_LIST}; the effect follows from NUGET_CERT_REVOCATION_MODE in disconnected-operations-update.md",
        confidence="inferred",
    ),
)
"""In the order in which an update meets them."""


def in_turn() -> Iterator[Endpoint]:
    """Yield every address: one of each group, then the next of each, because the time for them is limited."""
    longest = max(len(group.endpoints) for group in GROUPS)
    for place in range(longest):
        for group in GROUPS:
            yield from group.endpoints[place : place + 1]
