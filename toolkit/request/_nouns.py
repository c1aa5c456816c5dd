"""The nouns of a request. The order of their fields is the order in which a person reads the document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from uuid import uuid4

from toolkit import __version__
from toolkit.sbe import NO_SBE, UNINSTALLED_SBE, Hardware, SbeVersion

KIND = "ferry-request"
A_NAME = "a name on one line, such as plant7"
FORMAT = 1


class Origin(StrEnum):
    """Where the answers of a request come from."""

    MEASURED = "measured"
    TYPED = "typed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedUpdate:
    """One row of `Get-SolutionUpdate`, as far as a plan needs it."""

    resource_id: str
    version: str
    state: str
    package_type: str = ""
    sbe_version: str = ""
    """The SBE it is, or the SBE it asks for (`AdditionalContentRequired`)."""
    sbe_family: str = ""
    sbe_publisher: str = ""
    min_version_required: str = ""
    min_sbe_version_required: str = ""
    prerequisites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverySource:
    """Where the cluster looks for updates, and how that went (`Get-SolutionDiscoveryDiagnosticInfo`)."""

    component: str
    """`Solution` or `SBE`."""
    manifest_source: str
    status: str
    """`Ok`, `ConnectionFailure` …, as the cluster words it."""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSpace:
    """Free space on one volume."""

    node: str
    """Empty: a cluster shared volume, the same from every node."""
    volume: str
    """`C:` or `C:\\ClusterStorage\\Infrastructure_1`."""
    free_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointReach:
    """Whether one address outside can be reached from the cluster."""

    group: str
    """What it is for: `ARB`, `AKS`, `Update discovery` …"""
    address: str
    """`host:port`."""
    is_reachable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSummary:
    """The cluster's health in short."""

    state: str = ""
    """`HealthState` as the cluster words it."""
    failed_critical: tuple[str, ...] = ()
    failed_warning: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRequest:
    """What one cluster is and needs."""

    request_id: str
    """A UUID."""
    site_id: str
    """A UUID made with the site."""
    cluster: str
    made_at: datetime
    origin: Origin
    tool: str = ""
    """Which ferry made it: `ferry 0.2.0`."""
    solution_version: str
    """Empty: could not be found out."""
    package_versions: tuple[tuple[str, str], ...] = ()
    sbe_publisher: str = ""
    sbe_family: str = ""
    sbe_version: str = ""
    sbe_state: str = ""
    """`installed`, `none`, `not installed` or what the cluster says (`partially installed`)."""
    hardware: Hardware = field(default_factory=Hardware)
    node_count: int = 0
    update_state: str = ""
    """`State` of `Get-SolutionUpdateEnvironment`."""
    updates: tuple[ListedUpdate, ...] = ()
    discovery: tuple[DiscoverySource, ...] = ()
    volumes: tuple[VolumeSpace, ...] = ()
    language_modes: tuple[tuple[str, str], ...] = ()
    """(node, `FullLanguage` or `ConstrainedLanguage`)."""
    health: HealthSummary = field(default_factory=HealthSummary)
    endpoints: tuple[EndpointReach, ...] = ()
    is_disconnected_operations: bool | None = None
    """None: could not be found out."""
    time_floor: datetime | None = None
    """No earlier time is believed at the site."""
    trusted_metadata: Mapping[str, int] = field(default_factory=dict)
    """TUF role → the version the site accepted last."""
    unknown: tuple[tuple[str, str], ...] = ()
    """(what, why it could not be found out). What: a key of the document, or `volumes of node3`."""


def cluster_name(text: str) -> str:
    """Return `text` if it can name a cluster: one line that a person can read.

    Raises:
        ValueError: It cannot; signed or typed, it would be printed as something else than one name.
    """
    if not text.strip() or not text.isprintable():
        raise ValueError(f"{text!r} is no name")
    return text


def new_request(
    cluster: str, *, site_id: str, origin: Origin, now: datetime | None = None
) -> SiteRequest:
    """Return a request of a cluster in which no question is answered yet."""
    return SiteRequest(
        request_id=str(uuid4()),
        site_id=site_id,
        cluster=cluster,
        made_at=(now or datetime.now(UTC)).replace(microsecond=0),
        origin=origin,
        tool=f"ferry {__version__}",
        solution_version="",
    )


def sbe_state_of(version: str, told: str = "") -> str:
    """Return `sbe_state` of an installed SBE version and of what the cluster says about it.

    Source: solution-builder-extension.md (2.1.0.0: none; 4.0.0.0: there, but not installed);
    update-troubleshooting-23h2.md (`SBEAdditionalData`: "... is partially installed ...").
    """
    if told:
        return "partially installed" if "partially installed" in told.lower() else told
    installed = SbeVersion.read(version)
    if installed is None:
        return ""
    return {NO_SBE: "none", UNINSTALLED_SBE: "not installed"}.get(installed, "installed")
