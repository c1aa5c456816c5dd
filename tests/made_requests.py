"""Requests as tests need them: of a usual cluster, and one that fills its page."""

import itertools
import random
from datetime import UTC, datetime

from toolkit.request import (
    DiscoverySource,
    EndpointReach,
    HealthSummary,
    ListedUpdate,
    Origin,
    SiteRequest,
    VolumeSpace,
    to_bytes,
    to_paper,
)
from toolkit.sbe import Hardware
from toolkit.signed import SigningKey

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


def crowded_request(codes: int, key: SigningKey) -> SiteRequest:
    """A request in which every text is long and every list too, with noise for so many codes."""
    for noise_bytes in itertools.count(0, 100):
        request = request_with_noise(noise_bytes)
        if len(to_paper(to_bytes(request, key))) == codes:
            return request
    raise AssertionError


def request_with_noise(noise_bytes: int) -> SiteRequest:
    long = "w" * 25 + " " + "Wide words " * 9
    noise = random.Random(7).randbytes(noise_bytes).hex()
    return make_request(
        16,
        cluster=long,
        tool=long,
        solution_version=long,
        update_state=long,
        sbe_publisher=long,
        sbe_family=long,
        sbe_state=long,
        hardware=Hardware(manufacturer=long, model=long, sku=long),
        health=HealthSummary(state=long, failed_critical=(long,), failed_warning=(long,)),
        language_modes=(("node1", long), ("node2", long[1:])),
        updates=tuple(
            ListedUpdate(
                resource_id=long,
                version=long,
                state=long,
                package_type="Solution",
                sbe_version=long,
            )
            for _ in range(5)
        ),
        volumes=tuple(
            VolumeSpace(node=long, volume=long, free_bytes=1 << 40, size_bytes=1 << 41)
            for _ in range(13)
        ),
        endpoints=tuple(
            EndpointReach(
                group=f"{group} of a long name", address="a:1", is_reachable=group % 2 > 0
            )
            for group in range(7)
        ),
        unknown=(*((f"{n} {long}", long) for n in range(6)), ("noise", noise)),
    )
