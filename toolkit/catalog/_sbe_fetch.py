"""A vendor's SBE discovery manifest, from where the vendor publishes it or from a copy of it.

The manifest says which SBEs there are; where it names the addresses of their files, these can be fetched, and
otherwise the vendor's pages are the place. Either way `ferry catalog add` takes them in.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from toolkit.catalog._document import read_document, shown_origin
from toolkit.catalog._fetch import Fetcher
from toolkit.catalog._sbe_sources import SbeSources, is_same_vendor
from toolkit.catalog._xmlsig import NOBODY, Authorities, check_signature
from toolkit.errors import InputError, SignatureError
from toolkit.model import Stance, Statement
from toolkit.sbe import DISCOVERY_NAME, SbeManifest, read_sbe_manifest
from toolkit.xmltext import LIMIT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorManifest:
    """A discovery manifest, and where it comes from."""

    manufacturer: str
    names: tuple[str, ...]
    """What its vendor is called: as it was asked for, as it is listed, and the aliases."""
    name: str
    """Its file name: `SBE_Discovery_Dell.xml`."""
    data: bytes
    asked: str
    """The address or file that was asked for."""
    url: str
    """Where it came from in the end; empty: from a file."""
    signers: tuple[str, ...]
    """Organisations that sign for the vendor."""
    signature: Statement
    content: SbeManifest
    notes: tuple[str, ...]
    """What a person should know, but need not act on."""


def read_vendor_manifest(
    manufacturer: str,
    origin: str | None,
    *,
    sources: SbeSources,
    fetcher: Fetcher,
    authorities: Authorities,
    family: str = "",
    signers: Collection[str] = (),
    now: datetime | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> VendorManifest:
    """Return a vendor's discovery manifest.

    Args:
        manufacturer: Whose.
        origin: An https address or a file; None: where the vendor publishes it.
        sources: Where vendors publish.
        fetcher: What fetches.
        authorities: Whose word counts for its signature.
        family: Whose SBEs are looked for: it may have a manifest of its own.
        signers: Organisations that sign for this vendor, besides itself.
        now: The time, aware UTC.
        sleep: Waits before a repetition.

    Raises:
        DownloadError: The address does not give it to us.
        StorageError: The file cannot be read.
        SignatureError: Its signature does not hold.
        InputError: It is no discovery manifest, or another vendor's, or the name or address cannot be used.
    """
    try:
        source = sources.of(manufacturer, family)
    except ValueError as error:
        raise InputError(
            "read SBE discovery manifest",
            found=str(error),
            expected="a manufacturer's name as the machines' firmware says it, such as Dell",
        ) from error
    asked = origin or source.address
    document = read_document(fetcher, asked, limit_bytes=LIMIT_BYTES, sleep=sleep)
    data, url = document.data, document.url
    host = (urlsplit(url).hostname or "").casefold()
    notes: tuple[str, ...] = ()
    if origin is None and source.hosts and host not in source.hosts:
        notes = (f"it came from {host}; seen before: {', '.join(source.hosts)}",)
    last = unquote(urlsplit(url).path.rpartition("/")[2]) if url else Path(asked).name
    name = last if DISCOVERY_NAME.match(last) else f"SBE_Discovery_{source.manufacturer}.xml"
    names = tuple(dict.fromkeys((manufacturer, source.manufacturer, *source.aliases)))
    signing = tuple(dict.fromkeys((*names, *signers)))
    signature, content = read_checked(
        data,
        file=name,
        origin=url or asked,
        authorities=authorities,
        signers=signing,
        now=now or datetime.now(UTC),
    )
    manifest = VendorManifest(
        manufacturer=source.manufacturer,
        names=names,
        name=name,
        data=data,
        asked=asked,
        url=url,
        signers=signing,
        signature=signature,
        content=content,
        notes=(*notes, *content.notes),
    )
    _check_vendor(manifest)
    return manifest


def _check_vendor(manifest: VendorManifest) -> None:
    """Refuse a manifest in which every entry is another vendor's than the one that was asked for."""
    found = dict.fromkeys(sbe.publisher for sbe in manifest.content.sbes if sbe.publisher)
    if found and not any(
        is_same_vendor(*names) for names in itertools.product(found, manifest.names)
    ):
        raise InputError(
            "read SBE discovery manifest",
            file=manifest.asked,
            found=f"SBEs of {', '.join(found)}",
            expected=f"SBEs of {manifest.manufacturer}",
            hint=f"name its vendor instead: {next(iter(found))}; or get the manifest of "
            f"{manifest.manufacturer}",
        )


def read_checked(
    data: bytes,
    *,
    file: str,
    origin: str,
    now: datetime,
    authorities: Authorities = NOBODY,
    signers: Collection[str] = (),
) -> tuple[Statement, SbeManifest]:
    """Return what the signature of a discovery manifest says, and the manifest as it was signed.

    Args:
        data: The XML.
        file: Its name.
        origin: Where it comes from, for the error.
        now: The time, aware UTC.
        authorities: Whose word counts for its signature; nobody's: it is only asked whether it holds.
        signers: Organisations that should sign it.

    Raises:
        SignatureError: Its signature does not hold.
        InputError: It is no discovery manifest.
    """
    checked = check_signature(data, name=file, authorities=authorities, signers=signers, now=now)
    if checked.statement.stance is Stance.AGAINST:
        raise SignatureError(
            f"read {file} from {shown_origin(origin)}",
            found=checked.statement.text,
            expected="the manifest as its vendor signed it",
            hint="get it again, over another line; if it stays so, ask the vendor",
        )
    return checked.statement, read_sbe_manifest(checked.content, file=file)
