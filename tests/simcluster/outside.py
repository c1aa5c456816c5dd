"""What an update needs besides its payload: data that a test edits.

Source: eastus-hci-endpoints.md (Azure/AzureStack-Tools; list of 2024-09-04), the addresses without a region.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_WEB = (
    "aka.ms",
    "aszk8snetworking.azurecr.io",
    "azurearcfork8s.azurecr.io",
    "azurestackreleases.download.prss.microsoft.com",
    "download.microsoft.com",
    "ecpacr.azurecr.io",
    "fe3.delivery.mp.microsoft.com",
    "gbl.his.arc.azure.com",
    "graph.microsoft.com",
    "guestnotificationservice.azure.com",
    "hciarcvmscontainerregistry.azurecr.io",
    "hciarcvmsstorage.z13.web.core.windows.net",
    "hybridaks.azurecr.io",
    "hybridaksstorage.z13.web.core.windows.net",
    "k8connecthelm.azureedge.net",
    "k8sconnectcsp.azureedge.net",
    "kvamanagementoperator.azurecr.io",
    "linuxgeneva-microsoft.azurecr.io",
    "login.microsoftonline.com",
    "management.azure.com",
    "mcr.microsoft.com",
    "msk8s.api.cdp.microsoft.com",
    "msk8s.sb.tlu.dl.delivery.mp.microsoft.com",
    "packages.microsoft.com",
    "pipelineagent.azurecr.io",
    "raw.githubusercontent.com",
    "redirectiontool.trafficmanager.net",
)
_PLAIN = (
    "crl3.digicert.com",
    "crl4.digicert.com",
    "go.microsoft.com",
    "ntservicepack.microsoft.com",
    "ocsp.digicert.com",
    "ocsp2.globalsign.com",
    "oneocsp.microsoft.com",
    "s.symcb.com",
    "tlu.dl.delivery.mp.microsoft.com",
    "ts-crl.ws.symantec.com",
    "ts-ocsp.ws.symantec.com",
    "windowsupdate.microsoft.com",
    "wustat.windows.com",
    "www.microsoft.com",
)
ALL_ENDPOINTS = frozenset({f"{host}:443" for host in _WEB} | {f"{host}:80" for host in _PLAIN})
"""`host:port` of everything that a cluster with open firewalls reaches."""


@dataclass(slots=True, kw_only=True)
class Outside:
    """What the cluster has to do with the world outside, and what it makes of imported content."""

    connection_status: str = "Connected"
    registration_status: str = "Registered"
    proxy_answers: dict[str, int] = field(default_factory=dict)
    """`host:port` → HTTP status that whoever asks through the proxy gets; every other address is not reached."""
    sbe_uri: str = ""
    """Where the SBE manifest is looked for; empty: where the vendor has it."""
    solution_uri: str = "https://aka.ms/AzureEdgeUpdates"
    lists_although_hidden: bool = False
    """Updates stay listed that an imported SBE hides: what nobody foretells."""
