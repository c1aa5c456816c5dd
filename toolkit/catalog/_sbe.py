"""SBEs as the connected side handles them: what a vendor offers, and taking its files into the catalog."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from toolkit.catalog._authorities import signing_authorities
from toolkit.catalog._fetch import Fetcher
from toolkit.catalog._loading import load_sbe_sources
from toolkit.catalog._sbe_fetch import read_vendor_manifest
from toolkit.catalog._sbe_offers import ClusterFacts, SbeOffers, offers


def find_sbes(
    manufacturer: str,
    *,
    about: ClusterFacts,
    fetcher: Fetcher,
    origin: str | None = None,
    signing_ca: Path | None = None,
    signers: Collection[str] = (),
) -> SbeOffers:
    """Return what a vendor released, and which of it belongs on a cluster.

    Args:
        manufacturer: The vendor, as the machines' BIOS reports it.
        about: What is known of the cluster.
        fetcher: What fetches.
        origin: An https address or a file to read instead of what the vendor publishes.
        signing_ca: PEM file with authorities whose word counts for signatures, besides the system's.
        signers: Organisations that sign for this vendor, besides itself.

    Raises:
        DownloadError: The address does not give us the manifest.
        StorageError: A file cannot be read.
        SignatureError: The manifest's signature does not hold.
        InputError: It is no discovery manifest, or a name or address cannot be used.
    """
    manifest = read_vendor_manifest(
        manufacturer,
        origin,
        sources=load_sbe_sources(),
        fetcher=fetcher,
        authorities=signing_authorities(signing_ca),
        signers=signers,
    )
    return offers(manifest, about)
