"""What a vendor released, and which of it belongs on a cluster. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from toolkit.catalog._document import shown_origin
from toolkit.catalog._sbe_fetch import VendorManifest
from toolkit.model import Statement
from toolkit.sbe import (
    NO_SBE,
    ClusterFacts,
    Fit,
    Sbe,
    Unread,
    unfit_reasons,
    unsure_reasons,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SbeOffer:
    """One released SBE, whether it fits, and how to get it."""

    sbe: Sbe
    fit: Fit | None
    """None: nothing was told of a cluster."""
    against: tuple[str, ...]
    """Why it does not fit."""
    unsure: tuple[str, ...]
    """What would have to be known to tell."""
    how_to_get: tuple[str, ...]
    """What a person does to get its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SbeOffers:
    """What a vendor's discovery manifest offers."""

    manufacturer: str
    name: str
    """The manifest's file name."""
    asked: str
    """The address or file that was asked for."""
    url: str
    """Where it came from in the end; empty: from a file."""
    signature: Statement
    offers: tuple[SbeOffer, ...]
    """The newest first."""
    notes: tuple[str, ...]
    unread: tuple[Unread, ...]
    """The first facts that are not known to this program."""
    unread_count: int


def offers(manifest: VendorManifest, cluster: ClusterFacts) -> SbeOffers:
    """Return what a vendor offers, judged for a cluster if something was told of one."""
    newest_first = sorted(
        manifest.content.sbes, key=lambda sbe: (sbe.version, sbe.family), reverse=True
    )
    return SbeOffers(
        manufacturer=manifest.manufacturer,
        name=manifest.name,
        asked=shown_origin(manifest.asked),
        url=shown_origin(manifest.url),
        signature=manifest.signature,
        offers=tuple(_offer(sbe, cluster) for sbe in newest_first),
        notes=manifest.notes,
        unread=manifest.content.unread,
        unread_count=manifest.content.unread_count,
    )


def _offer(sbe: Sbe, cluster: ClusterFacts) -> SbeOffer:
    against = unfit_reasons(sbe, cluster)
    # who does not say which SBE is installed does not ask for it
    assumed = replace(cluster, installed=cluster.installed or NO_SBE)
    unsure = unsure_reasons(sbe, assumed)
    return SbeOffer(
        sbe=sbe,
        fit=_fit(against, unsure) if cluster.is_told or sbe.is_recalled else None,
        against=against,
        unsure=unsure if cluster.is_told and not against else (),
        how_to_get=() if against else tuple(how_to_get(sbe)),
    )


def _fit(against: tuple[str, ...], unsure: tuple[str, ...]) -> Fit:
    if against:
        return Fit.NO
    return Fit.UNKNOWN if unsure else Fit.YES


def how_to_get(sbe: Sbe) -> Iterator[str]:
    """Return how a person gets the files of an SBE, step by step."""
    if sbe.addresses:
        yield f"ferry catalog add {sbe.title} --catalog DIR"
        return
    where = sbe.release_link or "the vendor's support pages"
    yield f"get {sbe.title}.xml and {sbe.title}.zip, or the vendor's zip with them, from {where}"
    yield "then: ferry catalog add FILE… --catalog DIR"
