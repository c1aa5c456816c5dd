"""Who writes receipts, whose receipts are believed, and the options that say so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli._output import FOLDER, F, LocalPath, echo, understood_by, warn
from toolkit.errors import StorageError, ToolkitError, TrustError

if TYPE_CHECKING:  # half of the time to start, for commands that write no receipt
    from toolkit.catalog import Catalog
    from toolkit.media import Medium, Scan, Scribe, Written
    from toolkit.site import Site

receipts_option = click.option(
    "--receipts",
    "receipts_dir",
    metavar="DIR",
    type=LocalPath(file_okay=False),
    help="A folder with this set's receipts beside the medium, for media that stay write-protected.",
)


receipt_option = click.option(
    "--receipt", "is_wanted", is_flag=True, help="Add a signed receipt of it to the medium."
)


def by_option(help_text: str, *, required: bool = False) -> Callable[[F], F]:
    """Add `--by NAME`."""
    return click.option(
        "--by",
        metavar="NAME",
        required=required,
        default="",
        callback=understood_by(_check_person),
        help=help_text,
    )


def _check_person(name: str) -> None:
    if name:
        from toolkit.media import check_person

        check_person(name)


def place_options(command: F) -> F:
    """Add `--site DIR` and `--catalog DIR`: where a command is given, and whose key and knowledge it uses."""
    site = click.option(
        "--site",
        "site_dir",
        type=LocalPath(file_okay=False),  # of the environment: it need not be used
        envvar="FERRY_SITE",
        help="At a site: its directory, made by `ferry site init` (or set FERRY_SITE).",
    )
    catalog = click.option(
        "--catalog",
        "catalog_dir",
        type=FOLDER,
        help="At home: the catalog folder; it comes before a site.",
    )
    return site(catalog(command))


def home_scribe(catalog: Catalog, by: str) -> Scribe:
    """Return who writes receipts at home, where no time is remembered."""
    from toolkit.media import Scribe

    return Scribe(key=catalog.signing_key(), by=by)


def site_scribe(site: Site, by: str) -> Scribe:
    """Return who writes receipts at a site; it signs with the key of its requests."""
    from toolkit.media import Scribe, recall
    from toolkit.signed import open_key

    return Scribe(
        key=open_key(site.request_key),
        by=by,
        site_id=site.site_id(),
        floor=recall(site.trust_dir).floor,
    )


def scribe(site_dir: Path | None, catalog_dir: Path | None, by: str) -> Scribe:
    """Return who writes receipts in the place that was named.

    Raises:
        UsageError: None was.
    """
    if catalog_dir is not None:
        from toolkit.catalog import Catalog  # half of the time to start

        return home_scribe(Catalog(catalog_dir), by)
    if site_dir is not None:
        from toolkit.site import Site

        return site_scribe(Site(site_dir), by)
    raise click.UsageError("give --site DIR at a site, or --catalog DIR at home: its key signs")


def believed_keys(
    medium: Path,
    site_dir: Path | None,
    catalog_dir: Path | None,
    fingerprints: tuple[str, ...],
) -> dict[str, str]:
    """Return fingerprint → holder of every key that is believed in the place that was named, if any.

    A site believes its own key, and home's as far as the medium's signed metadata vouch for it.
    """
    from toolkit.media import read_fingerprint, vouched_key
    from toolkit.signed import open_key
    from toolkit.site import Site

    keys = {read_fingerprint(text): "compared by you" for text in fingerprints}
    if catalog_dir is not None:
        from toolkit.catalog import Catalog  # half of the time to start

        keys |= Catalog(catalog_dir).believed_keys()
    elif site_dir is not None:
        site = Site(site_dir)
        try:
            if home := vouched_key(medium, site.trust_dir):
                keys[home] = "home"
        except (TrustError, StorageError) as error:
            warn(f"the key of home cannot be proven by this medium: {error}")
        if site.request_key.exists():
            keys[open_key(site.request_key).fingerprint] = "this site"
    return keys


def write_scribe(catalog: Catalog, by: str) -> Scribe | None:
    """Return who writes the first receipt of a set; None, and a warning, where the catalog cannot sign."""
    try:
        return home_scribe(catalog, by)
    except StorageError as error:
        warn(f"the set will have no receipt: {error}")
        return None


def note_writing(
    catalog: Catalog,
    medium: Medium,
    scribe: Scribe,
    *,
    plan: Path | None,
    scan: Scan | None,
) -> None:
    """Add the first receipt of a set, and let the catalog remember the set for its return."""
    from toolkit.media import Register, keep_set

    if written := Register(label=medium.describe(), scribe=scribe).write(scan):
        tell_written(written)
    elif scan is not None:
        warn("the set had its first receipt before; this scan stands in none")
    try:
        clusters = catalog.bound_for(plan)
        keep_set(catalog.root, medium, clusters=clusters, own_key=scribe.key.fingerprint)
    except StorageError as error:
        warn(f"this catalog will not know the set when it comes back: {error}")


@contextlib.contextmanager
def telling_only_if(problem: ToolkitError | None) -> Iterator[None]:
    """Let a receipt that cannot be written be told only, where something graver has to be said after it."""
    try:
        yield
    except ToolkitError as error:
        if problem is None:
            raise
        warn(f"no receipt of this: {error}")


def receipt_scribe(
    site_dir: Path | None,
    catalog_dir: Path | None,
    by: str,
    *,
    is_wanted: bool,
    receipts_dir: Path | None,
) -> Scribe | None:
    """Return who writes the receipt that was asked for, before hours of work; None: none was.

    Raises:
        UsageError: An option that belongs to a receipt where none is wanted, or no name of a person.
    """
    if not is_wanted:
        if by or receipts_dir is not None:
            raise click.UsageError("--by and --receipts belong to a receipt: ask for one")
        return None
    if not by:
        raise click.UsageError("a receipt needs --by NAME: somebody answers for it")
    return scribe(site_dir, catalog_dir, by)


def tell_written(written: Written) -> None:
    """Say on stderr which receipt was added, and where the chain before it does not hold."""
    for seen in written.breaks:
        warn(f"the receipts before: {seen.text}")
    if written.receipt.is_clock_behind:
        warn("this machine's clock is behind; the receipt says so")
    echo(f"receipt {written.path} signed by {written.fingerprint}", err=True)
