"""What people must know before a trip: about a cluster's request, its health, the release, the SBEs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from toolkit.catalog._lacking import Supply
from toolkit.catalog._loading import Manifests
from toolkit.catalog._plan import ClusterPlan, Hop
from toolkit.catalog._prediction import is_in_progress
from toolkit.catalog._releases import Release, ReleaseStatus
from toolkit.catalog._sbe_needs import SbeNeed, uses_sbe
from toolkit.catalog._sbe_sources import is_same_vendor
from toolkit.catalog._space import Room
from toolkit.catalog._support import ARB_MONTHS, add_months, available, support_of
from toolkit.request import Origin, SiteRequest
from toolkit.sbe import Sbe

STALE_AFTER = timedelta(days=14)
"""Free space, health and listed updates of a request that is older say little; our own measure."""
_AHEAD = timedelta(days=1)
_TROUBLE = ("UpdateFailed", "NeedsAttention", "PreparationFailed")


def cluster_warnings(
    plan: ClusterPlan,
    request: SiteRequest,
    *,
    manifests: Manifests,
    held: Sequence[Sbe],
    now: datetime,
) -> Iterable[str]:
    """Return what to know of one cluster's part of the trip.

    Args:
        plan: What is planned for it.
        request: What it told.
        manifests: What exists.
        held: The SBEs that the catalog holds.
        now: The time, aware UTC.
    """
    yield from _about_request(request, now)
    yield from _about_health(request)
    if not plan.hops:
        return
    yield from _about_release(plan, manifests, now)
    yield from _about_sbes(plan, request, manifests, held)
    if plan.lacking is not None and plan.lacking.supply in (Supply.BLOCKED, Supply.DISCONNECTED):
        yield plan.lacking.text
    for need in plan.space:
        if need.room is Room.SHORT:
            yield f"too little room on {need.place}: {need.why}"
    for hop in plan.hops:
        if hop.confidence != "confirmed":
            yield f"that {hop.start} leads to {hop.version} is {hop.confidence}, no page says it in these words"


def _about_request(request: SiteRequest, now: datetime) -> Iterable[str]:
    if request.origin is Origin.TYPED:
        yield "the answers were typed in by a person, not measured: check them against the cluster"
    age = now - request.made_at
    if age > STALE_AFTER:
        yield f"the request is {age.days} days old: space, health and listed updates may have changed"
    if age < -_AHEAD:
        yield f"the request is dated {request.made_at:%Y-%m-%d}, in the future: a clock is wrong, there or here"
    for what, why in request.unknown:
        yield f"not known: {what} ({why})"


def _about_health(request: SiteRequest) -> Iterable[str]:
    if request.health.failed_critical:
        names = ", ".join(request.health.failed_critical)
        yield f"critical health checks fail; cure them before the update: {names}"
    if request.update_state in _TROUBLE:
        yield (
            f"the cluster says {request.update_state}: find out why before anything is started again"
            " (`ferry logs collect`)"
        )
    for update in request.updates:
        if is_in_progress(update.state):
            yield f"{update.resource_id or update.version} is {update.state}: wait until it has ended"


def _about_release(plan: ClusterPlan, manifests: Manifests, now: datetime) -> Iterable[str]:
    release = next(item for item in manifests.releases if item.version == plan.goal)
    if release.status is ReleaseStatus.SUPERSEDED:
        yield f"{plan.goal} was superseded by {release.superseded_by}"
    if release.status is ReleaseStatus.UNCONFIRMED:
        yield f"{plan.goal} is named by third parties only: no published page lists it"
    newest = _newest(manifests)
    is_over = plan.support_then.days_left is not None and plan.support_then.days_left < 0
    if is_over and newest is not None and newest.version != plan.goal:
        yield f"{plan.support_then.text}: the trip ends on a release without support"
    began = available(plan.start, manifests.releases)
    if began is not None and add_months(began, ARB_MONTHS) < now.date():
        yield (
            f"{plan.start} is more than a year old: the certificates of Azure Arc resource bridge expire"
            " without an update for a year"
        )
    for hop in plan.hops:
        if not hop.is_carried:
            yield f"{hop.start} to {hop.version} cannot be carried: {hop.other_way}"


def _about_sbes(
    plan: ClusterPlan, request: SiteRequest, manifests: Manifests, held: Sequence[Sbe]
) -> Iterable[str]:
    if uses_sbe(request) is None:
        yield "whether the hardware has an SBE is not known: an update may ask for one"
    needs = [(hop, need) for hop in plan.hops for need in hop.sbes]
    for hop, need in needs:
        if not need.version:
            yield _about_missing_sbe(hop, need)
        if need.version and not need.is_installed and need.unsure:
            yield f"{need.title}: {'; '.join(need.unsure)}"
        if need.is_carried and need.notice:
            yield f"{need.title}, its vendor says: {need.notice}"
    carried = {need.title.casefold() for _, need in needs}
    for sbe in held:
        is_theirs = (
            bool(sbe.publisher and request.sbe_publisher)  # an empty name is everybody's
            and is_same_vendor(sbe.publisher, request.sbe_publisher)
            and sbe.family.casefold() == request.sbe_family.casefold()
        )
        if is_theirs and sbe.title.casefold() not in carried:
            yield f"the catalog also holds {sbe.title}: it does not belong to this trip, never import it here"
    for hop in plan.hops:
        if hop.start.os_train is not hop.version.os_train and uses_sbe(request):
            rules = manifests.rules.sbe_minimums
            if not any(row.names(request.sbe_family) for row in rules):
                yield (
                    f"no SBE minimum is published for {request.sbe_family or 'this family'} and the change"
                    " to 24H2: ask its vendor before the trip"
                )


def _about_missing_sbe(hop: Hop, need: SbeNeed) -> str:
    if need.is_required:
        return f"{hop.version} needs SBE {need.wanted}: {need.why}; {need.where}"
    return (
        f"no SBE is known for {hop.version} ({need.why}): if the update asks for one"
        f" (AdditionalContentRequired), it waits for the next trip; {need.where}"
    )


def trip_warnings(
    clusters: Sequence[ClusterPlan], *, manifests: Manifests, now: datetime
) -> Iterable[str]:
    """Return what to know of the trip as a whole."""
    newest = _newest(manifests)
    if newest is not None:
        window = support_of(newest.version, manifests.releases, now)
        if window.days_left is not None and window.days_left < 0:
            yield (
                f"the newest release that this ferry knows, {newest.version}, is out of support itself: newer"
                " ones must exist; `ferry catalog refresh`, or write a manifest, and plan again"
            )
    if any(not hop.is_carried for item in clusters for hop in item.hops):
        yield "a part of the way cannot be carried: see the cluster's updates"


def _newest(manifests: Manifests) -> Release | None:
    """Return the release that became available last, of those that are offered."""
    dated = [
        (release.available_on, release.version, release)
        for release in manifests.releases
        if release.status is ReleaseStatus.LISTED and release.available_on is not None
    ]
    return max(dated)[2] if dated else None
