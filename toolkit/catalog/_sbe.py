"""SBEs as the connected side handles them: what a vendor offers, and taking its files into the catalog."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.catalog._authorities import signing_authorities
from toolkit.catalog._document import read_document
from toolkit.catalog._fetch import Fetcher
from toolkit.catalog._holding import Holding
from toolkit.catalog._limits import Limits
from toolkit.catalog._loading import load_sbe_sources
from toolkit.catalog._sbe_fetch import read_vendor_manifest
from toolkit.catalog._sbe_files import SbeFiles, plan_adoptions, read_sbe_files
from toolkit.catalog._sbe_finding import role_of
from toolkit.catalog._sbe_offers import SbeOffers, how_to_get, offers
from toolkit.catalog._storage import storage
from toolkit.errors import InputError
from toolkit.model import HeldPayload, Progress
from toolkit.sbe import ClusterFacts, sbe_named
from toolkit.xmltext import LIMIT_BYTES


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
        about: What somebody told of the cluster.
        fetcher: What fetches.
        origin: An https address or a file to read instead of what the vendor publishes.
        signing_ca: PEM file with authorities whose word counts for signatures, besides the system's.
        signers: Organisations that sign for this vendor, besides itself.

    Raises:
        DownloadError: The address does not give us the manifest.
        StorageError: A file cannot be read.
        SignatureError: The manifest's signature does not hold.
        InputError: It is no discovery manifest, or another vendor's, or a name or address cannot be used.
    """
    manifest = read_vendor_manifest(
        manufacturer,
        origin,
        sources=load_sbe_sources(),
        fetcher=fetcher,
        authorities=signing_authorities(signing_ca),
        family=about.family,
        signers=signers,
    )
    return offers(manifest, about)


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorProof:
    """What shows that a vendor's files are the vendor's, besides the files themselves."""

    discovery: str | None = None
    """An https address or a file of a discovery manifest, newer than the one among the files; None: that
    one or, where there are no files yet, the one that the vendor publishes."""
    signing_ca: Path | None = None
    """PEM file with authorities whose word counts for signatures, besides the system's."""
    signers: Collection[str] = ()
    """Organisations that sign for this vendor, besides itself."""


def is_sbe_source(path: Path) -> bool:
    """Whether `add_sbe` would look into a file: one of an SBE, or a zip that may hold them."""
    return role_of(path.name) is not None or path.suffix.lower() == ".zip"


def add_sbe(
    holding: Holding,
    paths: Sequence[Path],
    *,
    progress: Progress,
    proof: VendorProof | None = None,
) -> tuple[HeldPayload, ...]:
    """Take the three files of one SBE into the catalog, checked against each other.

    Args:
        holding: Where to.
        paths: Folders, single files, and zips in which a vendor hands them out.
        progress: Told what happens.
        proof: What else proves that the files are the vendor's.

    Raises:
        DigestError: A witness speaks against one of them; nothing was added.
        InputError: They are not the files of one SBE, or must not be used together.
        StorageError: A file cannot be read, or the catalog not be written.
        DownloadError: The discovery manifest cannot be fetched.
    """
    proof, given = proof or VendorProof(), None
    if proof.discovery is not None:
        given = read_document(holding.fetcher, proof.discovery, limit_bytes=LIMIT_BYTES)
    with holding.store.scratch() as scratch:
        files = read_sbe_files(
            paths,
            discovery=given.data if given else None,
            scratch=scratch,
            authorities=signing_authorities(proof.signing_ca),
            signers=proof.signers,
            progress=progress,
        )
        return _take_in(holding, files, given.url if given else "", progress)


def fetch_sbe(
    holding: Holding,
    title: str,
    *,
    progress: Progress,
    limits: Limits | None = None,
    proof: VendorProof | None = None,
) -> tuple[HeldPayload, ...]:
    """Fetch the files of an SBE where its vendor's manifest says they are, and take them in like `add_sbe`.

    Args:
        holding: Where to.
        title: `SBE_<publisher>_<family>_<version>`.
        progress: Told what happens.
        limits: What a person allows of the line.
        proof: As in `add_sbe`.

    Raises:
        DigestError: A witness speaks against one of them; nothing was added.
        DownloadError: A file cannot be fetched; the same call goes on with what is there.
        InputError: The vendor does not list it, or does not say where its files are, or the manifest is another
            vendor's.
        StorageError: The catalog cannot be written.
    """
    named = sbe_named(title)
    if named is None:
        raise InputError(
            f"fetch {title}", expected="a title like SBE_Dell_AS-HCI-AX-16G_4.2.2506.1600"
        )
    proof = proof or VendorProof()
    authorities = signing_authorities(proof.signing_ca)
    manifest = read_vendor_manifest(
        named.publisher,
        proof.discovery,
        sources=load_sbe_sources(),
        fetcher=holding.fetcher,
        authorities=authorities,
        family=named.family,
        signers=proof.signers,
    )
    listed = [
        sbe for sbe in manifest.content.find(named.family, named.version) if not sbe.is_recalled
    ]
    found = next((sbe.addresses for sbe in listed if sbe.addresses), ())
    if not found:
        how = "; ".join(how_to_get(listed[0])) if listed else ""
        raise InputError(
            f"fetch {title}",
            found=f"no address of its files in {manifest.name}" if listed else "no such SBE",
            expected=f"one that {manifest.name} lists and that was not recalled",
            hint=how or f"see what there is: `ferry catalog sbe {named.publisher}`",
        )
    with holding.store.scratch() as scratch:
        paths = [
            holding.fetch_into(
                scratch / name, url, shelf=f"sbe/{name[4:-4]}", limits=limits, progress=progress
            )
            for name, url in found
        ]
        beside = scratch / manifest.name
        with storage(f"write {beside}"):
            beside.write_bytes(manifest.data)
        files = read_sbe_files(
            [*paths, beside],
            discovery=None,
            scratch=scratch,
            authorities=authorities,
            signers=manifest.signers,
            progress=progress,
        )
        return _take_in(holding, files, manifest.url, progress)


def _take_in(
    holding: Holding, files: SbeFiles, discovery_url: str, progress: Progress
) -> tuple[HeldPayload, ...]:
    for note in files.notes:
        progress.say(f"{files.sbe.title}: {note}")
    return tuple(
        holding.adopt(
            item.source,
            shelf=item.shelf,
            name=item.name,
            kind=item.kind,
            url=item.url,
            expected_sha256=item.sha256,
            siblings=item.siblings,
            statements=item.statements,
            progress=progress,
        )
        for item in plan_adoptions(files, discovery_url=discovery_url)
    )
