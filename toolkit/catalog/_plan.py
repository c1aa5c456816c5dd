"""A plan: what one trip carries to which clusters, in which order, and what people must know. Pure.

A plan is made by `plan_trip` and kept as plan.json; downloading and writing a medium follow it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from toolkit.catalog._issues import IssueMatch
from toolkit.catalog._lacking import Lacking
from toolkit.catalog._paths import SbeMoment
from toolkit.catalog._prediction import PredictedUpdate
from toolkit.catalog._sbe_needs import SbeNeed, wrong_sbe
from toolkit.catalog._space import SpaceNeed
from toolkit.catalog._support import SupportWindow
from toolkit.errors import InputError
from toolkit.model import PayloadKind, Sha256, SolutionVersion
from toolkit.request import Origin
from toolkit.sbe import ClusterFacts, Hardware, Sbe, SbeVersion, unfit_reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPayload:
    """One file that travels."""

    name: str
    shelf: str
    """Where the catalog keeps it: `12.2603.1002.15` or `sbe/Contoso_GenA_4.2.2603.5`."""
    kind: PayloadKind
    url: str
    """Empty: no address is known; see the SBE's `where`."""
    sha256: Sha256 | None
    size_bytes: int | None
    """As measured, or as reviewed in the manifest; None: not known."""
    is_held: bool
    clusters: tuple[str, ...]
    """Who needs it."""

    @property
    def place(self) -> str:
        """Shelf and name, by which hops refer to it."""
        return f"{self.shelf}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One update of a cluster's path."""

    start: SolutionVersion
    version: SolutionVersion
    os_build: str
    text: str
    """Why this step is supported."""
    confidence: str
    source: str
    opt_in: str
    """What must be done first at the site; empty: nothing."""
    is_carried: bool
    other_way: str
    """How this update is installed that cannot be carried."""
    payloads: tuple[str, ...]
    """Places of its payloads."""
    sbes: tuple[SbeNeed, ...]
    predicted: tuple[PredictedUpdate, ...]
    """What `Get-SolutionUpdate` will list once its payloads are imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """What the trip does for one cluster."""

    cluster: str
    site_id: str
    request_id: str
    signed_by: str
    """Whose key signed the request, by the name under which somebody here made it known."""
    requested_at: datetime
    origin: Origin
    start: SolutionVersion
    goal: SolutionVersion
    note: str
    """Why there is nothing to do, if there is nothing."""
    sbe_publisher: str
    sbe_family: str
    sbe_version: str
    hardware: Hardware
    hops: tuple[Hop, ...]
    space: tuple[SpaceNeed, ...]
    lacking: Lacking | None
    support_now: SupportWindow
    support_then: SupportWindow
    issues: tuple[IssueMatch, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One trip."""

    plan_id: str
    """The beginning of the SHA-256 of everything else: it names the plan and shows a change."""
    made_at: datetime
    tool: str
    asked_for: SolutionVersion | None
    """None: the newest that each cluster can reach."""
    clusters: tuple[ClusterPlan, ...]
    payloads: tuple[PlannedPayload, ...]
    home: SpaceNeed
    medium: SpaceNeed
    warnings: tuple[str, ...]
    """What concerns the trip as a whole."""


def wanted_versions(plan: Plan) -> tuple[SolutionVersion, ...]:
    """Return the solution bundles that the trip carries, each once, in order."""
    return tuple(
        sorted({hop.version for item in plan.clusters for hop in item.hops if hop.is_carried})
    )


def check_held_sbes(plan: Plan, held: Iterable[Sbe]) -> None:
    """Check that the SBEs about to be written to a medium are exactly those of the plan.

    Args:
        plan: The plan of the trip.
        held: The SBEs whose files would travel; what is known of them beside their name counts too.

    Raises:
        InputError: One does not belong to the trip, does not fit its cluster, or is missing.
    """
    held = tuple(held)
    titles = {sbe.title.casefold() for sbe in held}
    for sbe in held:
        _check_one(plan, sbe)
    for cluster, hop, need in _carried(plan):
        if need.title.casefold() not in titles:
            raise InputError(
                f"carry the SBE of {cluster.cluster}",
                found=_list(sbe.title for sbe in held) or "no SBE in the catalog",
                expected=f"{need.title}, {need.moment} to {hop.version}: {need.why}",
                hint=f"get its three files {need.where}",
            )


def is_spare(plan: Plan, sbe: Sbe) -> bool:
    """Whether an SBE belongs on no cluster of the trip now, although nothing speaks against it."""
    carried = {need.title.casefold() for _, _, need in _carried(plan)}
    return sbe.title.casefold() not in carried and not _against(_closest(plan, sbe), sbe)


def _check_one(plan: Plan, sbe: Sbe) -> None:
    """Refuse an SBE that the plan does not carry, or that is known not to fit where it goes."""
    wanted = [row for row in _carried(plan) if row[2].title.casefold() == sbe.title.casefold()]
    if not wanted:
        cluster = _closest(plan, sbe)
        raise wrong_sbe(
            cluster.cluster,
            sbe,
            _against(cluster, sbe) or ("the plan does not carry it",),
            needed=_list(need.title for _, _, need in _carried(plan)) or "no SBE on this trip",
            hint="take it out of the manifest that declares it beside the update, or plan the trip again"
            " with --sbe",
        )
    for cluster, hop, need in wanted:
        solution = hop.start if need.moment is SbeMoment.BEFORE else hop.version
        reasons = unfit_reasons(sbe, replace(_facts(cluster), solution=solution))
        if reasons:
            raise wrong_sbe(
                cluster.cluster,
                sbe,
                reasons,
                needed=f"{need.wanted}: {need.why}",
                hint="the vendor's manifest is newer than the plan: plan the trip again",
            )


def _carried(plan: Plan) -> list[tuple[ClusterPlan, Hop, SbeNeed]]:
    return [
        (cluster, hop, need)
        for cluster in plan.clusters
        for hop in cluster.hops
        for need in hop.sbes
        if need.is_carried
    ]


def _closest(plan: Plan, sbe: Sbe) -> ClusterPlan:
    """Return the cluster that an SBE was probably meant for: of its family, else of its vendor."""
    return min(
        plan.clusters,
        key=lambda item: (
            item.sbe_family.casefold() != sbe.family.casefold(),
            item.sbe_publisher.casefold() != sbe.publisher.casefold(),
        ),
    )


def _against(cluster: ClusterPlan, sbe: Sbe) -> tuple[str, ...]:
    requested = [need.version for hop in cluster.hops for need in hop.sbes if need.is_requested]
    facts = replace(
        _facts(cluster),
        requested=SbeVersion.read(requested[-1]) if requested else None,
        solution=cluster.hops[-1].version if cluster.hops else None,
    )
    return unfit_reasons(sbe, facts)


def _facts(cluster: ClusterPlan) -> ClusterFacts:
    return ClusterFacts(
        hardware=cluster.hardware,
        family=cluster.sbe_family,
        installed=SbeVersion.read(cluster.sbe_version),
    )


def _list(texts: Iterable[str]) -> str:
    return ", ".join(texts)
