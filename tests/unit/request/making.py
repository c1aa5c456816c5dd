"""A request as a measured cluster of four nodes makes it."""

from datetime import UTC, datetime

from toolkit.request import (
    DiscoverySource,
    EndpointReach,
    HealthSummary,
    ListedUpdate,
    Origin,
    SiteRequest,
    VolumeSpace,
)
from toolkit.sbe import Hardware

MADE_AT = datetime(2026, 11, 24, 0, 24, 32, tzinfo=UTC)


def make_request(nodes: int = 4, **changes) -> SiteRequest:
    names = [f"node{number}" for number in range(1, nodes + 1)]
    facts = {
        "request_id": "1c9d7f2e-58a6-4a37-b4f0-0b6f6a1c2d3e",
        "site_id": "9e0f1a2b-3c4d-4e5f-8a6b-7c8d9e0f1a2b",
        "cluster": "plant7",
        "made_at": MADE_AT,
        "origin": Origin.MEASURED,
        "tool": "ferry 0.1.0",
        "solution_version": "12.2602.1002.501",
        "package_versions": (("Solution", "12.2602.1002.501"), ("SBE", "4.2.2512.1616")),
        "sbe_publisher": "Contoso",
        "sbe_family": "GenA",
        "sbe_version": "4.2.2512.1616",
        "sbe_state": "installed",
        "hardware": Hardware(manufacturer="Contoso", model="Contoso680", sku="0A6B"),
        "node_count": nodes,
        "update_state": "UpdateAvailable",
        "updates": (
            ListedUpdate(
                resource_id="redmond/Solution12.2603.1002.15",
                version="12.2603.1002.15",
                state="AdditionalContentRequired",
                package_type="Solution",
                sbe_version="4.2.2603.1",
                sbe_family="GenA",
                sbe_publisher="Contoso",
                min_version_required="12.2510.1002.0",
                min_sbe_version_required="2.0.0.0",
                prerequisites=("12.2602.1002.501",),
            ),
        ),
        "discovery": (
            DiscoverySource(
                component="SBE",
                manifest_source="https://aka.ms/AzureStackSBEUpdate/Contoso",
                status="ConnectionFailure",
                description="An error occurred while sending the request..",
            ),
        ),
        "volumes": (
            VolumeSpace(
                node="",
                volume=r"C:\ClusterStorage\Infrastructure_1",
                free_bytes=187 << 30,
                size_bytes=252 << 30,
            ),
            *(
                VolumeSpace(node=name, volume="C:", free_bytes=388 << 30, size_bytes=446 << 30)
                for name in names
            ),
        ),
        "language_modes": tuple((name, "FullLanguage") for name in names),
        "health": HealthSummary(state="Success", failed_warning=("AzStackHci_Cluster_CAU_Role",)),
        "endpoints": (
            EndpointReach(group="AKS", address="mcr.microsoft.com:443", is_reachable=False),
            EndpointReach(
                group="ARB", address="msk8s.api.cdp.microsoft.com:443", is_reachable=True
            ),
        ),
        "is_disconnected_operations": False,
        "time_floor": MADE_AT,
        "trusted_metadata": {"root": 1, "timestamp": 1764},
        "unknown": (("discovery of Solution", "the cluster does not tell it"),),
    }
    return SiteRequest(**{**facts, **changes})
