"""What a solution bundle does not hold, and what that means for one site's lines. Pure.

A bundle lacks the images of Azure Arc resource bridge (ARB) and of AKS on Azure Local; a cluster fetches them
during the update. A cluster that cannot, cannot finish from the bundle alone.

Source: import-discover-updates-offline-23h2.md and update-best-practices.md (what is not in the payload),
eastus-hci-endpoints.md (which addresses), disconnected-operations-update.md and
disconnected-operations-plan-updates.md. That an update cannot finish without any egress is inferred.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from toolkit.model import SolutionVersion
from toolkit.request import SiteRequest

_IMAGES = ("ARB", "AKS")
_ALDO_RELEASE, _ALDO_PREVIEW = 2602, 2511
_ALDO_EXCLUDE = 2603


class Supply(StrEnum):
    """Whether a site gets what the bundle lacks."""

    FETCHED = "fetched by the cluster during the update"
    BLOCKED = "cannot be fetched: the update cannot finish"
    UNKNOWN = "cannot tell"
    DISCONNECTED = "disconnected operations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """What becomes of what the bundle lacks, at one site."""

    supply: Supply
    text: str
    unreachable: tuple[str, ...] = ()
    """`group: host:port` of what the request could not reach."""
    steps: tuple[str, ...] = ()
    """What has to be done otherwise there."""


def lacking_at(request: SiteRequest, goal: SolutionVersion) -> Lacking:
    """Return what a site has to know about what is not in the payload."""
    unreachable = tuple(
        f"{item.group}: {item.address}" for item in request.endpoints if not item.is_reachable
    )
    if request.is_disconnected_operations:
        return _disconnected(goal)
    images = [item for item in request.endpoints if item.group.upper() in _IMAGES]
    asked = {item.group.upper() for item in images}
    blocked = [item for item in images if not item.is_reachable]
    if blocked:
        supply = Supply.BLOCKED
        text = (
            f"{len(blocked)} of {len(images)} addresses for the images of ARB and AKS cannot be reached"
            " from the cluster: open them for the time of the update"
        )
    elif asked >= set(_IMAGES):
        supply = Supply.FETCHED
        text = (
            "the images of ARB and AKS are not in the payload; the cluster reached their addresses"
        )
    else:
        supply = Supply.UNKNOWN
        missing = " and ".join(group for group in _IMAGES if group not in asked)
        text = (
            f"the images of ARB and AKS are not in the payload, and the request does not say whether the"
            f" cluster reaches the addresses of {missing}; without them the update cannot finish"
        )
    others = [item for item in unreachable if not item.upper().startswith(_IMAGES)]
    if others:
        text += f"; {len(others)} other addresses that an update needs cannot be reached either"
    if request.is_disconnected_operations is None:
        text += "; whether the cluster has disconnected operations is not known"
    return Lacking(supply=supply, text=text, unreachable=unreachable)


def _disconnected(goal: SolutionVersion) -> Lacking:
    steps = [
        "update the control plane (the appliance) first: its own package is not in this catalog, and its"
        " release must go with the one planned here",
        "on every node set the machine variable NUGET_CERT_REVOCATION_MODE to offline and restart it",
        "put the vendor's SBE_Discovery file on the appliance and point AutomaticOemUpdateUri to it,"
        " AutomaticUpdateUri to https://fakehost, UpdateRingName to Unknown",
    ]
    if goal.release == _ALDO_EXCLUDE:
        steps.append("for 2603 alone: add Test-ARBStackBandwidth to ExcludeTests.txt")
    text = (
        "the site has disconnected operations: whether the same bundle is meant for it, and how the images"
        " of ARB and AKS get there, is not published; ask Microsoft before the trip"
    )
    if goal.release < _ALDO_RELEASE:
        text += f"; disconnected operations exist from {_ALDO_RELEASE} on (as a preview from {_ALDO_PREVIEW})"
    return Lacking(supply=Supply.DISCONNECTED, text=text, steps=tuple(steps))
