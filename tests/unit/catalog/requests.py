"""Requests of sites and SBEs of vendors, made up for the tests; every value can be changed."""

from datetime import UTC, datetime

from toolkit.model import SolutionVersion
from toolkit.request import EndpointReach, Origin, SiteRequest, VolumeSpace
from toolkit.sbe import Hardware, Sbe, SbeVersion, SupportedModel

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
GIB = 1 << 30
INFRASTRUCTURE = "C:\\ClusterStorage\\Infrastructure_1"


def version(text):
    return SolutionVersion.parse(text)


def request_of(solution="12.2510.1002.94", **changes):
    """Return a measured request of a healthy cluster with an SBE of the family GenA."""
    values = {
        "request_id": "7f0d7a57-1f8f-4d53-b2f1-7a64f9a76f01",
        "site_id": "0b0f3d3e-38de-4f0f-8f18-8d8a5a0a4f02",
        "cluster": "plant7",
        "made_at": datetime(2026, 11, 24, 8, tzinfo=UTC),
        "origin": Origin.MEASURED,
        "solution_version": solution,
        "sbe_publisher": "Contoso",
        "sbe_family": "GenA",
        "sbe_version": "4.2.2510.1",
        "sbe_state": "installed",
        "hardware": Hardware(manufacturer="Contoso", model="Contoso X9000", sku=""),
        "node_count": 2,
        "update_state": "AppliedSuccessfully",
        "volumes": (
            VolumeSpace(node="n1", volume="C:", free_bytes=90 * GIB, size_bytes=400 * GIB),
            VolumeSpace(node="n2", volume="C:", free_bytes=80 * GIB, size_bytes=400 * GIB),
            VolumeSpace(node="", volume=INFRASTRUCTURE, free_bytes=150 * GIB, size_bytes=250 * GIB),
        ),
        "endpoints": (
            EndpointReach(group="ARB", address="packages.microsoft.com:443", is_reachable=True),
            EndpointReach(group="AKS", address="mcr.microsoft.com:443", is_reachable=True),
        ),
        "is_disconnected_operations": False,
    }
    return SiteRequest(**(values | changes))


def sbe_of(number="4.2.2603.5", *, family="GenA", publisher="Contoso", **changes):
    """Return an SBE for the machines of `request_of`, validated for every 12.x."""
    values = {
        "publisher": publisher,
        "family": family,
        "version": SbeVersion.parse(number),
        "models": (SupportedModel(model="Contoso X9000"),),
        "validated_for": ("12.*.*.*",),
        "release_link": "https://contoso.example/sbe/" + number,
    }
    return Sbe(**(values | changes))


def carried_sbes(plan):
    """The titles of the SBEs that a plan carries."""
    needs = (need for cluster in plan.clusters for hop in cluster.hops for need in hop.sbes)
    return tuple(sorted({need.title for need in needs if need.is_carried}))
