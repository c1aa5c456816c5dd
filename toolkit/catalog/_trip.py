"""What one trip carries, from the plan to the medium: fetched, looked into, checked against each other.

The last check before anything is written: every payload is fit to travel, every archive was read whole, and
no SBE goes along that would hide the updates of the cluster it is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from toolkit.catalog._gate import require_fit_to_travel
from toolkit.catalog._held import checked, held_of, held_on
from toolkit.catalog._holding import Holding
from toolkit.catalog._judging import is_looked_into
from toolkit.catalog._limits import Limits
from toolkit.catalog._loading import Manifests
from toolkit.catalog._plan import Plan, check_held_sbes, is_spare, wanted_versions
from toolkit.catalog._sbe_finding import SbeRole, role_of
from toolkit.catalog._sbe_needs import wrong_sbe
from toolkit.catalog._shelf import Shelf
from toolkit.catalog._storage import read_at_most
from toolkit.catalog._verifying import verify_held
from toolkit.errors import InputError, ReachError, StorageError
from toolkit.model import (
    BundleStatus,
    HeldPayload,
    Manifest,
    PayloadKind,
    Progress,
    Sha256,
    SolutionVersion,
)
from toolkit.sbe import Fit, Sbe, describe_sbe, sbe_named, validated_for
from toolkit.xmltext import LIMIT_BYTES


def fetch_trip(
    holding: Holding,
    plan: Plan,
    manifests: Manifests,
    *,
    urls: Sequence[str] = (),
    limits: Limits | None = None,
    progress: Progress,
) -> tuple[HeldPayload, ...]:
    """Fetch everything that a plan carries and is not held yet: bundles first, then vendors' SBEs.

    Arguments and errors: `Catalog.fetch`.
    """
    from toolkit.catalog._sbe import fetch_sbe  # the network; what goes onto a medium needs none

    wanted = [manifests.find(str(version)) for version in wanted_versions(plan)]
    held = list(
        holding.download(*wanted, urls=urls, known=manifests, progress=progress, limits=limits)
    )
    by_hand: list[InputError] = []
    for shelf in _sbe_shelves(plan):
        title = f"SBE_{shelf.rpartition('/')[2]}"
        try:
            held += held_on(holding.store, shelf)
            continue
        except StorageError as error:  # nothing of it, or not all: an earlier call was stopped
            if error.__cause__ is not None:  # the disk itself: nothing is known of what is there
                raise
            if holding.store.record_paths(shelf):
                progress.say(f"{title}: {error.found}; fetching it again")
        try:
            held += fetch_sbe(holding, title, limits=limits, progress=progress)
        except InputError as error:
            by_hand.append(error)
        except ReachError as error:
            way_out = (
                f"or bring the vendor's zip of {title} in: ferry catalog add FILE --catalog DIR"
            )
            error.hint = "; ".join(filter(None, (error.hint, way_out)))
            raise
    if by_hand:
        raise InputError(
            f"fetch what plan {plan.plan_id} carries",
            found="; ".join(f"{error.attempted}: {error.found}" for error in by_hand),
            hint=by_hand[0].hint or "bring its files in with `ferry catalog add`; the rest is held",
        )
    return tuple(held)


def choose_for_medium(
    holding: Holding,
    manifests: Manifests,
    *,
    versions: Sequence[str] = (),
    plan: Plan | None = None,
    progress: Progress,
) -> tuple[HeldPayload, ...]:
    """Return what goes onto a medium, each payload with the update it travels with.

    Arguments and errors: `Catalog.for_medium`.
    """
    if plan is not None:
        wanted = wanted_versions(plan)
        if not wanted:
            raise InputError(
                f"write what plan {plan.plan_id} carries",
                found="a plan in which nothing is to be carried",
                hint="read the plan: it says what each cluster needs instead",
            )
        sbe_versions = tuple(_sbe_versions(plan))
    else:
        wanted = tuple(dict.fromkeys(manifests.find(text).version for text in versions))
        sbe_versions = ()
    chosen: list[HeldPayload] = []
    for version in wanted:
        manifest = manifests.find(str(version))
        _require_not_recalled(manifest)
        chosen += [
            replace(held, os_build=manifest.os_build) for held in held_of(holding.store, manifest)
        ]
    for shelf, version in sbe_versions:
        # what an update's manifest declares as well goes with the update that the plan says
        chosen = [held for held in chosen if held.shelf != shelf]
        chosen += [replace(held, version=version) for held in held_on(holding.store, shelf)]
    sbes = tuple(_described(chosen))
    if plan is not None:
        spare = [(sbe, held) for sbe, held in sbes if is_spare(plan, sbe)]
        for sbe, _ in spare:
            progress.say(f"{sbe.title} stays here: no cluster of the plan needs it")
        chosen = _without(chosen, [held for _, held in spare])
        check_held_sbes(plan, [sbe for sbe, held in sbes if held in chosen])
    else:
        _check_alone(sbes)
    return _fit(holding, chosen, manifests, progress)


def choose_by_hash(
    holding: Holding,
    manifests: Manifests,
    wanted: Mapping[Sha256, SolutionVersion],
    *,
    progress: Progress,
) -> tuple[HeldPayload, ...]:
    """Return payloads that were on a medium before and go onto another one.

    Arguments and errors: `Catalog.for_supplement`.
    """
    for version in wanted.values():
        _require_not_recalled(manifests.find(str(version)))
    found: dict[Sha256, HeldPayload] = {}
    bad: dict[Sha256, StorageError] = {}
    for record in holding.store.records():
        sha256 = record.held.sha256
        if sha256 in wanted and sha256 not in found:
            try:
                found[sha256] = checked(record, holding.store).held
            except StorageError as error:  # another shelf may hold the same bytes whole
                bad.setdefault(sha256, error)
    absent = sorted(wanted.keys() - found.keys())
    for sha256 in absent:
        if sha256 in bad:
            raise bad[sha256]
    if absent:
        raise StorageError(
            f"find the file with the sha256 {absent[0]} in catalog {holding.root}",
            found="nothing",
            expected=f"a payload of {wanted[absent[0]]}",
            hint=f"run `ferry catalog download {wanted[absent[0]]} --catalog {holding.root}`, or add the SBE again",
        )
    for shelf in {held.shelf for held in found.values() if held.version is None}:
        _check_alone(_described(held_on(holding.store, shelf)))
    return _fit(holding, found.values(), manifests, progress)


def _fit(
    holding: Holding, chosen: Iterable[HeldPayload], manifests: Manifests, progress: Progress
) -> tuple[HeldPayload, ...]:
    """Return payloads that may travel, each archive after it was read whole once."""
    looked = tuple(_looked_into(holding, chosen, manifests, progress))
    for held in looked:
        require_fit_to_travel(held)
    return looked


def _require_not_recalled(manifest: Manifest) -> None:
    if manifest.status is BundleStatus.RECALLED:
        raise InputError(
            f"write {manifest.version} to a medium",
            found="a release that its publisher recalled",
            hint=f"take {manifest.superseded_by}" if manifest.superseded_by else None,
        )


def _sbe_shelves(plan: Plan) -> tuple[str, ...]:
    """Return the shelves of the SBEs that travel and that no manifest declares beside its bundle."""
    found = {item.shelf for item in plan.payloads if item.kind is PayloadKind.SBE}
    return tuple(sorted(shelf for shelf in found if _shelf(plan, shelf).version is None))


def _shelf(plan: Plan, text: str) -> Shelf:
    try:
        return Shelf.parse(text)
    except ValueError as error:
        raise _odd(
            plan, f"the shelf {text!r}: {error}", "a shelf such as sbe/Dell_AX-16G_4.2.2506.1600"
        ) from error


def _sbe_versions(plan: Plan) -> Iterator[tuple[str, SolutionVersion]]:
    """Yield each SBE shelf of a plan with the first update that it goes with."""
    for shelf in _sbe_shelves(plan):
        title = f"SBE_{shelf.rpartition('/')[2]}"
        versions = [
            hop.version
            for cluster in plan.clusters
            for hop in cluster.hops
            for need in hop.sbes
            if need.title.casefold() == title.casefold()
        ]
        if not versions:
            raise _odd(
                plan, f"{title}, which no update of the plan names", "each SBE with its update"
            )
        yield shelf, min(versions)


def _odd(plan: Plan, found: str, expected: str) -> InputError:
    return InputError(
        f"read what plan {plan.plan_id} carries",
        found=found,
        expected=expected,
        hint="plan the trip again: ferry catalog plan",
    )


def _described(chosen: Iterable[HeldPayload]) -> Iterator[tuple[Sbe, HeldPayload]]:
    """Yield each SBE among the payloads as its vendor's own manifest beside it describes it."""
    shelves: dict[str, list[HeldPayload]] = {}
    for held in chosen:
        if held.kind is PayloadKind.SBE:
            shelves.setdefault(held.shelf, []).append(held)
    for files in shelves.values():
        manifests = [held for held in files if role_of(held.name) is SbeRole.DISCOVERY]
        for held in files:
            named = sbe_named(held.name) if role_of(held.name) is SbeRole.PACKAGE else None
            if named is None:
                continue
            if len(manifests) != 1:
                raise InputError(
                    f"carry {named.title}",
                    found=", ".join(item.name for item in files),
                    expected="the vendor's SBE_Discovery_<vendor>.xml beside it, one",
                    hint="add the three files of the SBE again: ferry catalog add",
                )
            data = read_at_most(manifests[0].path, LIMIT_BYTES)
            yield describe_sbe(named, data, file=manifests[0].name), held


def _without(chosen: Sequence[HeldPayload], spare: Sequence[HeldPayload]) -> list[HeldPayload]:
    """Return the payloads without the files of some SBEs, named by their packages.

    A discovery manifest beside them stays as long as another package needs it.
    """
    gone = {(held.shelf, held.name[:-4].casefold()) for held in spare}
    kept = [held for held in chosen if (held.shelf, held.name[:-4].casefold()) not in gone]
    needed = {held.shelf for held in kept if role_of(held.name) is SbeRole.PACKAGE}
    return [
        held for held in kept if role_of(held.name) is not SbeRole.DISCOVERY or held.shelf in needed
    ]


def _check_alone(sbes: Iterable[tuple[Sbe, HeldPayload]]) -> None:
    """Check what can be said of an SBE without knowing the cluster: recalled, or not for this update."""
    for sbe, held in sbes:
        against = [f"{sbe.title} was recalled by {sbe.publisher}"] if sbe.is_recalled else []
        if held.version is not None:
            finding = validated_for(sbe, held.version)
            against += [finding.text] if finding.fit is Fit.NO else []
        if against:
            raise wrong_sbe(
                "any cluster",
                sbe,
                against,
                needed=f"an SBE that is validated for {held.version}",
                hint="plan the trip with the sites' requests: ferry catalog plan",
            )


def _looked_into(
    holding: Holding, chosen: Iterable[HeldPayload], manifests: Manifests, progress: Progress
) -> Iterator[HeldPayload]:
    """Return the payloads, each archive after it was read whole once."""
    for held in chosen:
        if is_looked_into(held.name, held.judgement):
            yield held
            continue
        verified = verify_held(
            holding,
            [f"{held.shelf}/{held.name}"],
            manifests=manifests,
            is_deep=True,
            progress=progress,
        )
        if verified.problem is not None:
            raise verified.problem
        (seen,) = verified.payloads
        yield replace(held, judgement=seen.held.judgement, acceptance=seen.held.acceptance)
