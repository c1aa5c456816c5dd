"""Which SBE goes with an update of a cluster, why, and where its files come from. Pure.

Theory of operation: an update that says which SBE it asks for gets that one and no other. The change from
23H2 to 24H2 has published minimums for some families, before or with it. Otherwise the newest SBE of the
cluster's family that its vendor validated for the update goes along; one of which that is not known never
does, unless a person names it. Where only the wrong one is at hand, there is no plan.

Source: update-opt-enable.md (minimums), solution-builder-extension.md, Update-missing-after-importing-SBE.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from toolkit.catalog._paths import SbeMinimum, SbeMoment, lowest
from toolkit.catalog._prediction import requested_sbe
from toolkit.catalog._sbe_sources import SbeSources, is_same_vendor
from toolkit.errors import InputError
from toolkit.model import SolutionVersion
from toolkit.request import ListedUpdate, SiteRequest
from toolkit.sbe import (
    NO_SBE,
    UNINSTALLED_SBE,
    ClusterFacts,
    Sbe,
    SbeVersion,
    belongs,
    sbe_named,
    unfit_reasons,
    unsure_reasons,
)

_GUIDE = "TSG/Update/Update-missing-after-importing-SBE.md"
_OVERVIEW = "solution-builder-extension.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class SbeNeed:
    """One SBE that belongs to an update of a cluster."""

    moment: SbeMoment
    publisher: str
    family: str
    version: str
    """The one that goes along; empty: none is known that fits."""
    wanted: str
    """What is needed, in words: `4.2.2506.14 or later`."""
    why: str
    is_requested: bool
    """Whether the update asks for exactly this one."""
    is_required: bool
    """Whether the update cannot go without; otherwise it is the newest that fits."""
    is_installed: bool
    """Whether the cluster has it already, so that nothing has to be carried."""
    where: str
    """Where its files come from."""
    notice: str
    """What its vendor wants operators to read."""
    unsure: tuple[str, ...]
    """What could not be told of it."""
    source: str

    @property
    def title(self) -> str:
        """The beginning of its files' names, or nothing if no SBE is known that fits."""
        return f"SBE_{self.publisher}_{self.family}_{self.version}" if self.version else ""

    @property
    def is_carried(self) -> bool:
        """Whether its files have to travel."""
        return bool(self.version) and not self.is_installed


@dataclass(frozen=True, slots=True, kw_only=True)
class SbeSupply:
    """The SBEs a choice is made from."""

    described: tuple[Sbe, ...]
    """What vendors' discovery manifests list."""
    held: tuple[Sbe, ...]
    """What the catalog holds, known by name alone."""
    declared: Mapping[SolutionVersion, tuple[Sbe, ...]]
    """What the manifest of each update declares, known by name alone."""
    named: tuple[Sbe, ...]
    """What a person asked for."""
    sources: SbeSources
    """Where vendors publish their discovery manifests."""

    def all(self) -> tuple[Sbe, ...]:
        """Return each SBE once, with what its vendor's manifest says if there is one."""
        known: dict[str, Sbe] = {}
        for sbe in (*self.described, *self.named, *self.at_hand):
            known.setdefault(sbe.title.casefold(), sbe)
        return tuple(known.values())

    @property
    def at_hand(self) -> tuple[Sbe, ...]:
        """What is held or declared, known by name alone."""
        return (*self.held, *chain.from_iterable(self.declared.values()))

    def asked_of(self, publisher: str) -> SbeSupply:
        """Return the same for a cluster of one vendor: what names no vendor is of the one that was asked."""

        def named(sbes: tuple[Sbe, ...]) -> tuple[Sbe, ...]:
            return tuple(replace(sbe, publisher=sbe.publisher or publisher) for sbe in sbes)

        return replace(self, described=named(self.described), named=named(self.named))


@dataclass(frozen=True, slots=True, kw_only=True)
class SbeCase:
    """One update of one cluster, for which an SBE is chosen."""

    request: SiteRequest
    start: SolutionVersion
    goal: SolutionVersion
    installed: SbeVersion | None
    """What the cluster has by then; None: not known."""
    minimums: tuple[SbeMinimum, ...]
    """Given for the change from 23H2 to 24H2."""
    supply: SbeSupply

    @property
    def row(self) -> ListedUpdate | None:
        """What the cluster lists of this update."""
        rows = (row for row in self.request.updates if row.version == str(self.goal))
        return next((row for row in rows if row.package_type != "SBE"), None)

    @property
    def requested(self) -> SbeVersion | None:
        """The SBE that the update asks for; None: it is not listed, or asks for none."""
        return requested_sbe(self.row)

    @property
    def family(self) -> str:
        """The cluster's family; empty: not known."""
        return self.request.sbe_family or (self.row.sbe_family if self.row else "")

    @property
    def publisher(self) -> str:
        """The cluster's vendor; empty: not known."""
        if said := self.request.sbe_publisher or (self.row.sbe_publisher if self.row else ""):
            return said
        found = {
            sbe.publisher
            for sbe in self.supply.described
            if sbe.publisher and self.family and sbe.family.casefold() == self.family.casefold()
        }
        return found.pop() if len(found) == 1 else ""

    @property
    def vendor(self) -> str:
        """Whose manifest is to be read: the cluster's vendor, else who made its machines; empty: not known."""
        asked = (
            self.supply.sources.manufacturer_at(source.manifest_source)
            for source in self.request.discovery
            if source.component == "SBE"
        )
        return self.publisher or next(filter(None, asked), self.request.hardware.manufacturer)

    def against(self, sbe: Sbe, solution: SolutionVersion) -> tuple[str, ...]:
        """Return what speaks against an SBE on this cluster, with `solution`."""
        return unfit_reasons(sbe, self.facts(solution))

    def unsure(self, sbe: Sbe, solution: SolutionVersion) -> tuple[str, ...]:
        """Return what cannot be told of an SBE on this cluster, with `solution`."""
        return unsure_reasons(sbe, self.facts(solution))

    def facts(self, solution: SolutionVersion) -> ClusterFacts:
        """Return what is known of the cluster on which an SBE goes with `solution`."""
        return ClusterFacts(
            hardware=self.request.hardware,
            family=self.family,
            installed=self.installed,
            requested=self.requested if solution == self.goal else None,
            solution=solution,
        )


def uses_sbe(request: SiteRequest) -> bool | None:
    """Return whether a cluster's vendor has an SBE for it, or None if the request does not tell.

    Source: solution-builder-extension.md (2.1.0.0: no SBE).
    """
    if request.sbe_family:
        return True
    return None if not request.sbe_version else request.sbe_version != str(NO_SBE)


def installed_sbe(request: SiteRequest) -> SbeVersion | None:
    """Return the installed SBE version, or None if the request does not tell one."""
    return SbeVersion.read(request.sbe_version)


def choose_sbes(case: SbeCase) -> tuple[SbeNeed, ...]:
    """Return the SBEs that go before and with an update, in that order.

    Raises:
        InputError: Only a wrong SBE is at hand for an update that needs one.
    """
    minimum = next((row for row in case.minimums if row.names(case.family)), None)
    needs: list[SbeNeed] = []
    if minimum is not None and minimum.when is SbeMoment.BEFORE:
        floor = minimum.floor
        if not _has(case.installed, floor):
            needs.append(
                _need(
                    case,
                    SbeMoment.BEFORE,
                    floor=floor,
                    wanted=f"{minimum.minimum} or later",
                    why=f"{minimum.vendor} asks for it before the change to 24H2",
                    source=minimum.source,
                )
            )
            if needs[0].version:  # by then it is installed
                case = replace(case, installed=SbeVersion.parse(needs[0].version))
    needs.append(_with_update(case, minimum))
    return tuple(needs)


def wrong_sbe(
    cluster: str, sbe: Sbe, reasons: Iterable[str], *, needed: str, hint: str | None
) -> InputError:
    """Return the error for an SBE that would hide a cluster's solution updates."""
    return InputError(
        f"take {sbe.title} to {cluster}",
        found=f"{'; '.join(reasons)}. Once imported, it would hide the cluster's solution updates"
        f" ({_GUIDE})",
        expected=needed,
        hint=hint,
    )


def _with_update(case: SbeCase, minimum: SbeMinimum | None) -> SbeNeed:
    """Return the SBE that is imported together with the update."""
    if case.requested is not None:
        row = case.row
        state = row.state if row else ""
        return _need(
            case,
            SbeMoment.WITH,
            floor=None,
            wanted=str(case.requested),
            why=f"the cluster lists the update as {state} and names this SBE with it",
            source=_GUIDE,
        )
    if minimum is not None and minimum.then_with:
        return _need(
            case,
            SbeMoment.WITH,
            floor=lowest(minimum.then_with),
            wanted=f"{minimum.then_with} or later",
            why=f"{minimum.vendor} asks for it with the change to 24H2",
            source=minimum.source,
        )
    if minimum is not None and minimum.when is SbeMoment.EITHER:
        return _need(
            case,
            SbeMoment.EITHER,
            floor=minimum.floor,
            wanted=f"{minimum.minimum} or later",
            why=f"{minimum.vendor} asks for it before or with the change to 24H2",
            source=minimum.source,
        )
    return _need(
        case,
        SbeMoment.WITH,
        floor=None,
        wanted="the newest that is validated for the update",
        why=f"the newest of the family {case.family or '?'} that its vendor validated for {case.goal}",
        source=_OVERVIEW,
    )


def _need(
    case: SbeCase,
    moment: SbeMoment,
    *,
    floor: SbeVersion | None,
    wanted: str,
    why: str,
    source: str,
) -> SbeNeed:
    solution = case.start if moment is SbeMoment.BEFORE else case.goal
    requested = case.requested if moment is not SbeMoment.BEFORE else None
    is_required = requested is not None or (floor is not None and not _has(case.installed, floor))
    chosen = _choose(case, solution, floor=floor)
    if chosen is None and requested is not None:
        if requested != case.installed:  # nothing has to be carried, so nothing wrong can be
            _refuse_wrong_requested(case, solution, requested)
            _refuse_wrong_at_hand(case, solution, f"{requested}, which {case.goal} asks for")
        if case.publisher and case.family:
            chosen = Sbe(publisher=case.publisher, family=case.family, version=requested)
    elif chosen is None and is_required:
        _refuse_wrong_at_hand(case, solution, f"{wanted} of the family {case.family or '?'}")
    where = ""
    if chosen is not None:
        where = _where(case, chosen)
    else:
        why, where = _nothing_known(case, solution)
    return SbeNeed(
        moment=moment,
        publisher=(chosen.publisher if chosen else "") or case.publisher,
        family=(chosen.family if chosen else "") or case.family,
        version=str(chosen.version) if chosen else "",
        wanted=wanted,
        why=why,
        is_requested=requested is not None,
        is_required=is_required,
        is_installed=chosen is not None and chosen.version == case.installed,
        where=where,
        notice=chosen.notify_message if chosen else "",
        unsure=case.unsure(chosen, solution) if chosen else (),
        source=source,
    )


def _nothing_known(case: SbeCase, solution: SolutionVersion) -> tuple[str, str]:
    """Return why no SBE is known that fits, and where to look for one."""
    if not case.vendor:
        why = "the request does not say whose hardware it is"
        return why, "ask the site and plan again with --sbe-manifest FILE"
    address = case.supply.sources.address_of(case.vendor, case.family)
    manifest = address or f"the SBE_Discovery file of {case.vendor}"
    if any(is_same_vendor(sbe.publisher, case.vendor) for sbe in case.supply.described):
        why = f"the manifest of {case.vendor} that was given lists none that fits {solution}"
        return why, f"is there a newer one ({manifest})? Plan again with --sbe-manifest FILE"
    why = f"no discovery manifest of {case.vendor} was given"
    return why, f"get {manifest} and plan again with --sbe-manifest FILE"


def _choose(case: SbeCase, solution: SolutionVersion, *, floor: SbeVersion | None) -> Sbe | None:
    """Return the newest SBE that fits: one that a person named before all others."""
    fitting = [
        sbe
        for sbe in case.supply.all()
        if sbe.publisher
        and (sbe.family or case.family)  # or nobody can say how its files are named
        and is_same_vendor(sbe.publisher, case.publisher)
        and not case.against(sbe, solution)
        and (floor is None or sbe.version >= floor)
    ]
    named = [sbe for sbe in fitting if sbe in case.supply.named]
    sure = [sbe for sbe in fitting if belongs(sbe, case.facts(solution))]
    return max(named or sure, key=lambda sbe: sbe.version, default=None)


def _refuse_wrong_requested(
    case: SbeCase, solution: SolutionVersion, requested: SbeVersion
) -> None:
    """Refuse the very SBE that an update asks for if its vendor's manifest speaks against it."""
    for sbe in case.supply.described:
        is_it = sbe.version == requested and sbe.family.casefold() == case.family.casefold()
        if (
            is_it
            and is_same_vendor(sbe.publisher, case.publisher)
            and (reasons := case.against(sbe, solution))
        ):
            raise wrong_sbe(
                case.request.cluster,
                sbe,
                reasons,
                needed=f"one that fits, although {case.goal} asks for this one",
                hint=f"ask {sbe.publisher}: its manifest and the cluster disagree",
            )


def _refuse_wrong_at_hand(case: SbeCase, solution: SolutionVersion, needed: str) -> None:
    """Refuse to plan where a wrong SBE for this cluster is at hand and the right one is nowhere."""
    for sbe in case.supply.at_hand:
        is_family = bool(case.family) and sbe.family.casefold() == case.family.casefold()
        is_vendor = bool(case.publisher) and is_same_vendor(sbe.publisher, case.publisher)
        if (is_family or is_vendor) and (reasons := case.against(sbe, solution)):
            _, where = _nothing_known(case, solution)
            raise wrong_sbe(
                case.request.cluster,
                sbe,
                reasons,
                needed=" ".join(filter(None, (case.publisher, needed))),
                hint=f"get the right one and add it with `ferry catalog add FILE…`; or {where}",
            )


def _where(case: SbeCase, sbe: Sbe) -> str:
    if sbe.version == case.installed:
        return "installed already"
    if _is_among(sbe, case.supply.held):
        return "held in the catalog"
    if sbe.addresses or _is_among(sbe, case.supply.declared.get(case.goal, ())):
        return "from its vendor's addresses: `ferry catalog download --plan`"
    page = sbe.release_link or f"the support pages of {sbe.publisher or 'its vendor'}"
    return f"from {page}; then `ferry catalog add FILE…`"


def _is_among(sbe: Sbe, others: Iterable[Sbe]) -> bool:
    return sbe.title.casefold() in {other.title.casefold() for other in others}


def _has(installed: SbeVersion | None, floor: SbeVersion) -> bool:
    """Whether a version, or a later one, is installed for certain."""
    return installed not in (None, NO_SBE, UNINSTALLED_SBE) and installed >= floor


def named_sbes(texts: Sequence[str], supply: SbeSupply) -> tuple[Sbe, ...]:
    """Return the SBEs that a person named, `SBE_Contoso_GenA_4.2.2603.5` or the version alone.

    A whole name need not be known; what only its vendor's manifest tells is then open.

    Raises:
        InputError: No SBE of that name is known, or several are.
    """
    return tuple(_named(text, supply.all()) for text in texts)


def _named(text: str, known: Sequence[Sbe]) -> Sbe:
    wanted = text.strip().removesuffix(".zip").removesuffix(".xml").casefold()
    found = [sbe for sbe in known if wanted in (sbe.title.casefold(), str(sbe.version))]
    if len(found) == 1:
        return found[0]
    if not found and (sbe := sbe_named(text.strip())):
        return sbe
    raise InputError(
        "read --sbe",
        found=f"{text!r}, which " + (f"fits {_titles(found)}" if found else "is not known"),
        expected=_titles(known) or "an SBE of a vendor's manifest or of the catalog",
        hint="write its whole name"
        if found
        else "name its discovery manifest: --sbe-manifest FILE",
    )


def _titles(sbes: Sequence[Sbe]) -> str:
    return ", ".join(sbe.title for sbe in sbes)
