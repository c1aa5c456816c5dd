"""What is asked about that which an update needs besides its payload: everything here only reads.

Source: solution-builder-extension.md, disconnected-operations-update.md, Microsoft Learn (the cmdlets).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PureWindowsPath

from toolkit.cluster._cmdlets import MACHINE_ENVIRONMENT, building, reading
from toolkit.cluster._sbe_foresight import NeededSbe
from toolkit.model import Cmdlet, Command, Plain, ResourceId

EXCLUDED_TESTS = PureWindowsPath(
    r"C:\Program Files\WindowsPowerShell\Modules\AzStackHci.EnvironmentChecker\ExcludeTests.txt"
)
ORCHESTRATOR_GROUP = "Azure Stack HCI Orchestrator Service Cluster Group"
UPDATE_GROUP = "Azure Stack HCI Update Service Cluster Group"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineVariables:
    """Environment variables of a machine that say what it reaches, and how; empty: not set."""

    disconnected_operations: str
    """`DISCONNECTED_OPS_SUPPORT`."""
    revocation_mode: str
    """`NUGET_CERT_REVOCATION_MODE`."""
    proxy: str
    """`host:port` for web traffic. User and password that stand in the variable are dropped as it is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """How a cluster stands with Azure, in its own words."""

    connection: str
    """`ConnectionStatus`: `Connected`, or another word."""
    registration: str
    """`RegistrationStatus`."""


def machine_variables() -> Command[MachineVariables]:
    """Read the machine's environment variables, from where the registry keeps them.

    Source: disconnected-operations-update.md, azure-arc/servers/manage-agent.md (`HTTPS_PROXY`).
    """
    names = [
        "DISCONNECTED_OPS_SUPPORT",
        "NUGET_CERT_REVOCATION_MODE",
        "HTTPS_PROXY",
        "HTTP_PROXY",
    ]
    stages = building.registry(MACHINE_ENVIRONMENT, names)
    return Command(pipeline=stages, parse=lambda reply: _variables(reading.only(reply, stages[0])))


def registration() -> Command[Registration]:
    """Read whether the cluster is registered and connected.

    Source: BreakFix-Update-Resolve-subscription-status-precheck-failure.md.
    """
    stage = Cmdlet("Get-AzureStackHCI")
    return Command(
        pipeline=(stage, building.select(["ConnectionStatus", "RegistrationStatus"])),
        parse=lambda reply: _registration(reading.only(reply, stage)),
    )


def orchestrator_owner() -> Command[str]:
    """Read which node runs the orchestrator.

    Source: disconnected-operations-update.md (its group, and that the owner is meant).
    """
    stage = Cmdlet("Get-ClusterGroup", (("Name", ORCHESTRATOR_GROUP),))
    return Command(
        pipeline=(stage, building.select(["OwnerNode"])),
        parse=lambda reply: reading.name_of(reading.only(reply, stage).get("OwnerNode")),
    )


def lines_of(path: PureWindowsPath) -> Command[tuple[str, ...]]:
    """Read a small text file on a node."""
    return Command(
        pipeline=(Cmdlet("Get-Content", (("LiteralPath", str(path)),)),),
        parse=lambda reply: tuple(str(line) for line in reply),
    )


def reaches_through(host: str, port: int, proxy: str) -> Command[None]:
    """Let the node ask a host for its first page, through a proxy; that no page is there is an error of the cmdlet.

    Source: *Invoke-WebRequest* (Microsoft.PowerShell.Utility, 5.1).
    """
    scheme = "http" if port == 80 else "https"
    parameters: tuple[tuple[str | None, Plain], ...] = (
        ("Uri", f"{scheme}://{host}:{port}/"),
        ("Method", "Head"),
        ("Proxy", f"http://{proxy}"),
        ("UseBasicParsing", None),
        ("TimeoutSec", 20),
        ("MaximumRedirection", 0),
    )
    return Command(
        pipeline=(Cmdlet("Invoke-WebRequest", parameters), building.select(["StatusCode"])),
        parse=reading.nothing,
        timeout_s=60,
    )


def sbe_asked_for(resource_id: ResourceId) -> Command[NeededSbe]:
    """Read which SBE a listed update asks for, and what its vendor says of it.

    Source: solution-builder-extension.md (`SbeVersion` and `AdditionalProperties` of an update that needs one).
    """
    stage = Cmdlet("Get-SolutionUpdate", (("Id", resource_id),))
    return Command(
        pipeline=(stage, building.select(["SbeVersion", "AdditionalProperties"])),
        parse=lambda reply: _needed(reading.only(reply, stage)),
    )


def _variables(row: dict[str, Plain]) -> MachineVariables:
    return MachineVariables(
        disconnected_operations=reading.text(row, "DISCONNECTED_OPS_SUPPORT").strip(),
        revocation_mode=reading.text(row, "NUGET_CERT_REVOCATION_MODE").strip(),
        proxy=_without_credential(reading.text(row, "HTTPS_PROXY", "HTTP_PROXY")),
    )


def _without_credential(address: str) -> str:
    """Return `host:port` of a proxy's address; a port that is not said is 80."""
    host = re.sub(r"\A[a-z][a-z0-9+.-]*://", "", address.strip(), flags=re.IGNORECASE)
    host = host.rpartition("@")[2].partition("/")[0]  # a password may hold a slash
    return host if not host or re.search(r":\d+\Z", host) else f"{host}:80"


def _registration(row: dict[str, Plain]) -> Registration:
    return Registration(
        connection=reading.text(row, "ConnectionStatus"),
        registration=reading.text(row, "RegistrationStatus"),
    )


def _needed(row: dict[str, Plain]) -> NeededSbe:
    said = dict(reading.pairs(row.get("AdditionalProperties")))
    return NeededSbe(
        publisher=said.get("SBEPublisher", ""),
        family=said.get("SBEFamily", ""),
        version=reading.text(row, "SbeVersion"),
        release_link=said.get("SBEReleaseLink", ""),
        notify_message=said.get("SBENotifyMessage", ""),
    )
