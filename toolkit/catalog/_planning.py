"""Requests of sites → the plan of one trip. Pure: the time and everything held come in as arguments.

Each cluster gets the path that the rules allow, hop by hop, with what of it can be carried, which SBE goes
with it, what the cluster will list after each import, and what people must know. What several clusters need
travels once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from toolkit.catalog._issues import match_issues
from toolkit.catalog._lacking import lacking_at
from toolkit.catalog._loading import Manifests
from toolkit.catalog._paths import PathStep, SbeMoment, UpdatePath
from toolkit.catalog._plan import ClusterPlan, Hop, Plan, PlannedPayload
from toolkit.catalog._plan_file import identified
from toolkit.catalog._plan_warnings import cluster_warnings, trip_warnings
from toolkit.catalog._prediction import ImportCase, PredictedUpdate, predict
from toolkit.catalog._sbe_needs import (
    SbeCase,
    SbeNeed,
    SbeSupply,
    choose_sbes,
    installed_sbe,
    named_sbes,
    uses_sbe,
    wrong_sbe,
)
from toolkit.catalog._sbe_sources import SbeSources
from toolkit.catalog._space import Total, room_at_home, room_at_site, room_on_medium
from toolkit.catalog._support import support_of
from toolkit.errors import InputError
from toolkit.model import Payload, PayloadKind, Sha256, SolutionVersion
from toolkit.request import SiteRequest
from toolkit.sbe import Sbe, SbeVersion, sbe_named


class OnShelf(Protocol):
    """A file that the catalog holds."""

    @property
    def shelf(self) -> str:
        """Where the catalog keeps it."""

    @property
    def name(self) -> str:
        """Its file name."""

    @property
    def size_bytes(self) -> int:
        """As measured."""

    @property
    def sha256(self) -> Sha256:
        """As measured."""


@dataclass(frozen=True, kw_only=True)
class _Trip:
    """What is the same for every cluster, and the payloads collected so far."""

    manifests: Manifests
    supply: SbeSupply
    held: Mapping[tuple[str, str], OnShelf]
    now: datetime
    payloads: dict[str, PlannedPayload] = field(default_factory=dict)

    def carry(self, payload: PlannedPayload, cluster: str) -> str:
        """Take a payload along for a cluster; return its place."""
        known = self.payloads.get(payload.place, payload)
        clusters = dict.fromkeys((*known.clusters, cluster))
        self.payloads[payload.place] = replace(known, clusters=tuple(clusters))
        return payload.place

    def planned(
        self,
        shelf: str,
        name: str,
        kind: PayloadKind,
        *,
        url: str = "",
        sha256: Sha256 | None = None,
        size_bytes: int | None = None,
    ) -> PlannedPayload:
        """Return a payload, with what was measured of it if it is held."""
        held = self.held.get((shelf, name))
        is_held = held is not None and sha256 in (None, held.sha256)
        return PlannedPayload(
            name=name,
            shelf=shelf,
            kind=kind,
            url=url,
            sha256=held.sha256 if held is not None and is_held else sha256,
            size_bytes=held.size_bytes if held is not None and is_held else size_bytes,
            is_held=is_held,
            clusters=(),
        )


def plan_trip(
    requests: Sequence[SiteRequest],
    *,
    signed_by: Sequence[str],
    goal: SolutionVersion | None,
    manifests: Manifests,
    sbes: Sequence[Sbe],
    sbe_sources: SbeSources,
    held: Iterable[OnShelf],
    now: datetime,
    tool: str,
    named: Sequence[str] = (),
    home_free_bytes: int | None = None,
) -> Plan:
    """Return the plan of a trip to every cluster that asked.

    Args:
        requests: One for each cluster.
        signed_by: Whose key signed each of them, as it is known here.
        goal: The wanted version; None: for each cluster the newest it can reach.
        manifests: What exists, the supported paths and the known issues.
        sbes: What vendors' discovery manifests list.
        sbe_sources: Where vendors publish those.
        held: What the catalog holds.
        now: The time, aware UTC.
        tool: Which ferry plans: `ferry 0.2.0`.
        named: SBEs that a person asks for, by name or version.
        home_free_bytes: Free space where the catalog is, if known.

    Raises:
        InputError: A version cannot be reached, an SBE would hide the updates, or a request says too little.
    """
    on_shelf = {(item.shelf, item.name): item for item in held}
    supply = SbeSupply(
        described=tuple(sbes),
        held=_sbes_of(name for _, name in on_shelf),
        declared={
            manifest.version: _sbes_of(
                payload.name for payload in manifest.payloads if payload.kind is PayloadKind.SBE
            )
            for manifest in manifests
        },
        named=(),
        sources=sbe_sources,
    )
    supply = replace(supply, named=named_sbes(named, supply))
    trip = _Trip(manifests=manifests, supply=supply, held=on_shelf, now=now)
    labels = _labels(requests)
    _refuse_foreign(supply.named, requests)
    clusters = tuple(
        _cluster_plan(trip, request, label, signer, goal)
        for request, label, signer in zip(requests, labels, signed_by, strict=True)
    )
    payloads = tuple(trip.payloads[place] for place in sorted(trip.payloads))
    return identified(
        Plan(
            plan_id="",
            made_at=now,
            tool=tool,
            asked_for=goal,
            clusters=clusters,
            payloads=payloads,
            home=room_at_home(
                Total.of([(item.name, item.size_bytes) for item in payloads if not item.is_held]),
                home_free_bytes,
            ),
            medium=room_on_medium(Total.of([(item.name, item.size_bytes) for item in payloads])),
            warnings=tuple(trip_warnings(clusters, manifests=manifests, now=now)),
        )
    )


# --- one cluster ----------------------------------------------------------------------------------


def _cluster_plan(
    trip: _Trip, request: SiteRequest, label: str, signer: str, goal: SolutionVersion | None
) -> ClusterPlan:
    start = _start(request)
    path = trip.manifests.path(str(start), None if goal is None else str(goal))
    if not path.is_supported:
        raise _no_path(request, path)
    end = path.steps[-1].version if path.steps else start
    hops = _hops(trip, request, label, path)
    pairs = [(hop.start, hop.version) for hop in hops]
    releases = trip.manifests.releases
    plan = ClusterPlan(
        cluster=label,
        site_id=request.site_id,
        request_id=request.request_id,
        signed_by=signer,
        requested_at=request.made_at,
        origin=request.origin,
        start=start,
        goal=end,
        note=path.reason,
        sbe_publisher=request.sbe_publisher,
        sbe_family=request.sbe_family,
        sbe_version=request.sbe_version,
        hardware=request.hardware,
        hops=hops,
        space=room_at_site(request, _zips(trip, hops)) if hops else (),
        lacking=lacking_at(request, end) if hops else None,
        support_now=support_of(start, releases, trip.now),
        support_then=support_of(end, releases, trip.now),
        issues=match_issues(trip.manifests.issues, request, pairs),
        warnings=(),
    )
    warnings = cluster_warnings(
        plan, request, manifests=trip.manifests, held=trip.supply.held, now=trip.now
    )
    return replace(plan, warnings=tuple(warnings))


def _start(request: SiteRequest) -> SolutionVersion:
    try:
        return SolutionVersion.parse(request.solution_version)
    except ValueError as error:
        raise InputError(
            f"plan the trip to {request.cluster}",
            found=f"the request tells no installed version ({request.solution_version or 'empty'})",
            expected="a full version such as 12.2510.1002.94",
            hint="make the request again; Get-SolutionUpdateEnvironment shows it as CurrentVersion",
        ) from error


def _no_path(request: SiteRequest, path: UpdatePath) -> InputError:
    goal = "anywhere" if path.goal is None else f"to {path.goal}"
    return InputError(
        f"find a path for {request.cluster} from {path.start} {goal}",
        found=path.reason,
        expected=f"a version it can reach; the nearest is {path.nearest}" if path.nearest else None,
        hint=f"plan again with --to {path.nearest}"
        if path.nearest
        else "deploy anew from a later release: since 10.2408.0 each one can be (release information)",
    )


def _hops(trip: _Trip, request: SiteRequest, label: str, path: UpdatePath) -> tuple[Hop, ...]:
    hops: list[Hop] = []
    installed = installed_sbe(request)
    chosen: set[str] = set()
    for step in path.steps:
        needs: tuple[SbeNeed, ...] = ()
        case = _case(request, step, installed, trip.supply)
        if uses_sbe(request) is not False:
            needs = choose_sbes(case)
        hops.append(_hop(trip, request, label, step, needs, case))
        chosen |= {need.title.casefold() for need in needs}
        last = next((need.version for need in reversed(needs) if need.version), "")
        installed = SbeVersion.parse(last) if last else installed
    _refuse_unchosen(trip, request, path, chosen)
    return tuple(hops)


def _case(
    request: SiteRequest, step: PathStep, installed: SbeVersion | None, supply: SbeSupply
) -> SbeCase:
    case = SbeCase(
        request=request,
        start=step.start,
        goal=step.version,
        installed=installed,
        minimums=step.sbe_minimums,
        supply=supply,
    )
    return replace(case, supply=supply.asked_of(case.publisher))


def _hop(
    trip: _Trip,
    request: SiteRequest,
    label: str,
    step: PathStep,
    needs: tuple[SbeNeed, ...],
    case: SbeCase,
) -> Hop:
    places: list[str] = []
    if step.importable:
        manifest = trip.manifests.find(str(step.version))
        places += [
            trip.carry(_of_manifest(trip, step.version, payload), label)
            for payload in manifest.payloads
            if payload.kind is PayloadKind.SOLUTION_BUNDLE
        ]
    for need in needs:
        if need.is_carried:
            places += [trip.carry(item, label) for item in _sbe_files(trip, case, need)]
    release = next((item for item in trip.manifests.releases if item.version == step.version), None)
    return Hop(
        start=step.start,
        version=step.version,
        os_build=release.os_build if release else "",
        text=step.text,
        confidence=step.confidence,
        source=step.source,
        opt_in=step.opt_in,
        is_carried=step.importable,
        other_way="" if step.importable else _other_way(trip, step),
        payloads=tuple(places),
        sbes=needs,
        predicted=_predicted(request, step, needs, case),
    )


def _predicted(
    request: SiteRequest, step: PathStep, needs: Sequence[SbeNeed], case: SbeCase
) -> tuple[PredictedUpdate, ...]:
    imported = next(
        (need for need in needs if need.moment is not SbeMoment.BEFORE and need.is_carried), None
    )
    if not step.importable and imported is None:
        return ()
    is_satisfied = any(need.is_installed for need in needs if need.moment is not SbeMoment.BEFORE)
    before = next(
        (need for need in needs if need.moment is SbeMoment.BEFORE and need.version), None
    )
    return predict(
        ImportCase(
            request=request,
            start=step.start,
            bundle=step.version if step.importable else None,
            sbe=_known(case, imported) if imported else None,
            installed_sbe=SbeVersion.parse(before.version) if before else case.installed,
            family=case.family,
            needs_sbe=False if uses_sbe(request) is False or is_satisfied else None,
            is_first=str(step.start) == request.solution_version,
        )
    )


def _known(case: SbeCase, need: SbeNeed) -> Sbe:
    """Return everything known of the SBE that was chosen."""
    for sbe in case.supply.all():
        if sbe.title.casefold() == need.title.casefold():
            return sbe
    return Sbe(publisher=need.publisher, family=need.family, version=SbeVersion.parse(need.version))


def _other_way(trip: _Trip, step: PathStep) -> str:
    lowest = trip.manifests.rules.lowest_importing
    if step.start < lowest:
        why = f"a cluster below {lowest} cannot import a solution bundle"
    else:
        why = f"no solution bundle of {step.version} is published"
    return (
        f"{why}: the cluster has to install it online, with Azure Update Manager or Start-SolutionUpdate,"
        " and reach the addresses of update discovery and download for that time; or it is deployed anew"
        " from a later release"
    )


# --- payloads -------------------------------------------------------------------------------------


def _of_manifest(trip: _Trip, version: SolutionVersion, payload: Payload) -> PlannedPayload:
    return trip.planned(
        str(version),
        payload.name,
        payload.kind,
        url=payload.url,
        sha256=payload.sha256,
        size_bytes=payload.size_bytes,
    )


def _sbe_files(trip: _Trip, case: SbeCase, need: SbeNeed) -> list[PlannedPayload]:
    """Return the three files of an SBE: those that the update's manifest declares, or as they are named.

    Source: update-via-powershell-23h2.md, step 3 (names; the three always travel together).
    """
    names = {
        f"{need.title}.zip": "",
        f"{need.title}.xml": "",
        f"SBE_Discovery_{need.publisher}.xml": trip.supply.sources.address_of(
            need.publisher, need.family
        ),
    }
    declared = {
        payload.name.casefold(): payload
        for manifest in trip.manifests
        if manifest.version == case.goal
        for payload in manifest.payloads
        if payload.kind is PayloadKind.SBE
    }
    if all(name.casefold() in declared for name in names):
        return [_of_manifest(trip, case.goal, declared[name.casefold()]) for name in names]
    sbe = _known(case, need)
    told = {name.casefold(): url for name, url in sbe.urls}
    shelf = f"sbe/{need.publisher}_{need.family}_{need.version}"
    return [
        trip.planned(
            shelf,
            name,
            PayloadKind.SBE,
            url=told.get(name.casefold(), address),
            sha256=sbe.package_sha256 if name.endswith(".zip") else None,
        )
        for name, address in names.items()
    ]


def _zips(trip: _Trip, hops: Sequence[Hop]) -> list[tuple[SolutionVersion, str, int | None]]:
    """Return (version, name, size) of each solution bundle, in the order of the hops."""
    return [
        (hop.version, payload.name, payload.size_bytes)
        for hop in hops
        for place in hop.payloads
        if (payload := trip.payloads[place]).kind is PayloadKind.SOLUTION_BUNDLE
    ]


def _sbes_of(names: Iterable[str]) -> tuple[Sbe, ...]:
    """Return the SBEs whose zip is among some files, known by its name alone."""
    zips = sorted(name for name in names if name.casefold().endswith(".zip"))
    return tuple(sbe for name in zips if (sbe := sbe_named(name)) is not None)


# --- what is refused ------------------------------------------------------------------------------


def _refuse_foreign(named: Sequence[Sbe], requests: Sequence[SiteRequest]) -> None:
    """Refuse an SBE that a person named and that is of no cluster's family."""
    for sbe in named:
        if any(_may_be_for(sbe, request) for request in requests):
            continue
        families = sorted({request.sbe_family for request in requests} - {""}) or ["no SBE at all"]
        raise wrong_sbe(
            ", ".join(request.cluster for request in requests),
            sbe,
            [f"it is of the family {sbe.family}; the clusters have {', '.join(families)}"],
            needed=" or ".join(families),
            hint="leave --sbe out, and the plan says which one is needed",
        )


def _may_be_for(sbe: Sbe, request: SiteRequest) -> bool:
    if uses_sbe(request) is False:
        return False
    return not request.sbe_family or sbe.family.casefold() in ("", request.sbe_family.casefold())


def _refuse_unchosen(trip: _Trip, request: SiteRequest, path: UpdatePath, chosen: set[str]) -> None:
    """Refuse an SBE that a person named for this cluster and that fits no update of its path."""
    if not path.steps:
        return
    step = path.steps[-1]
    case = _case(request, step, installed_sbe(request), trip.supply)
    for sbe in case.supply.named:
        if not _may_be_for(sbe, request) or sbe.title.casefold() in chosen:
            continue
        needed = choose_sbes(replace(case, supply=replace(case.supply, named=())))[-1]
        raise wrong_sbe(
            request.cluster,
            sbe,
            case.against(sbe, step.version) or (f"{needed.wanted} is needed",),
            needed=f"{needed.title or needed.wanted}: {needed.why}",
            hint=f"leave --sbe out; the one that is needed comes {needed.where}"
            if needed.version
            else needed.where or None,
        )


def _labels(requests: Sequence[SiteRequest]) -> tuple[str, ...]:
    """Return a name for each cluster that no other has.

    Raises:
        InputError: No request, or two of the same cluster.
    """
    if not requests:
        raise InputError("plan a trip", found="no request", expected="at least one")
    names = Counter(request.cluster.casefold() for request in requests)
    twice = Counter((request.site_id, request.cluster.casefold()) for request in requests)
    for request in requests:
        if twice[request.site_id, request.cluster.casefold()] > 1:
            raise InputError(
                "plan a trip",
                found=f"two requests of {request.cluster}",
                expected="one for each cluster",
                hint="take the newer one",
            )
    return tuple(
        request.cluster
        if names[request.cluster.casefold()] == 1
        else f"{request.cluster} (site {request.site_id[:8]})"
        for request in requests
    )
