"""`ferry catalog sbe`: what a hardware vendor released."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.catalog import HttpsFetcher
from toolkit.cli import EXIT_NO
from toolkit.cli._catalog_options import FILE
from toolkit.cli._catalog_reach import reach_options
from toolkit.cli._output import (
    FILE_OR_URL,
    F,
    echo,
    json_option,
    print_json,
    print_table,
    read_version,
)
from toolkit.errors import InputError
from toolkit.sbe import ClusterFacts, Fit, Hardware, Sbe, SbeVersion

if TYPE_CHECKING:
    from toolkit.catalog import SbeOffers


def signing_options(command: F) -> F:
    """Add `--signing-ca FILE` and `--signer NAME`: whose word counts for the vendors' signatures."""
    authority = click.option(
        "--signing-ca",
        type=FILE,
        help="Certificate authorities (PEM) whose code-signing certificates count, besides those of the "
        "operating system.",
    )
    signer = click.option(
        "--signer",
        "signers",
        multiple=True,
        metavar="NAME",
        help="An organisation that signs for this vendor, as the vendor told you; repeat for several. "
        "The vendor itself always counts.",
    )
    return authority(signer(command))


@click.command("sbe")
@click.argument("manufacturer")
@click.option(
    "--from",
    "origin",
    type=FILE_OR_URL,
    metavar="FILE|URL",
    help="Read this SBE_Discovery_<Manufacturer>.xml. Default: what the vendor publishes.",
)
@click.option("--model", default="", help="The machines' model, as their firmware says it.")
@click.option("--sku", default="", help="The machines' SKU, as their firmware says it.")
@click.option("--family", default="", help="The cluster's SBE family (`SbeFamily`).")
@click.option("--installed", metavar="VERSION", help="The cluster's SBE (`CurrentSbeVersion`).")
@click.option("--for", "solution", metavar="VERSION", help="The solution version it will have.")
@reach_options
@signing_options
@json_option
def sbe(
    manufacturer: str,
    origin: str | None,
    model: str,
    sku: str,
    family: str,
    installed: str | None,
    solution: str | None,
    signing_ca: Path | None,
    signers: tuple[str, ...],
    *,
    fetcher: HttpsFetcher,
    json_output: bool,
) -> int:
    """List the SBEs a vendor released and, told of a cluster, which belong on it; exit 1 if none does.

    \b
    Example:
      ferry catalog sbe Dell --model "AX-760" --family AS-HCI-AX-16G --for 12.2510.1002.531

    Changes: nothing.
    """
    from toolkit.catalog import find_sbes

    about = ClusterFacts(
        hardware=Hardware(model=model, sku=sku),
        family=family,
        installed=_sbe_version(installed),
        solution=None if solution is None else read_version(solution),
    )
    found = find_sbes(
        manufacturer,
        about=about,
        fetcher=fetcher,
        origin=origin,
        signing_ca=signing_ca,
        signers=signers,
    )
    if json_output:
        print_json("sbe-offers", found)
    else:
        _print(found)
    fits = any(offer.fit in (Fit.YES, Fit.UNKNOWN) for offer in found.offers)
    return EXIT_NO if about.is_told and not fits else 0


def _sbe_version(text: str | None) -> SbeVersion | None:
    try:
        return None if text is None else SbeVersion.parse(text)
    except ValueError as error:
        raise InputError(
            "read SBE version", found=str(error), hint="the cluster says it: `CurrentSbeVersion`"
        ) from error


def _print(found: SbeOffers) -> None:
    print_table(
        ("SBE", "FITS", "MODELS", "VALIDATED FOR", "NOTICE"),
        [
            (
                offer.sbe.title,
                _fits(offer.sbe, offer.fit),
                ", ".join(item.model for item in offer.sbe.models),
                ", ".join(offer.sbe.validated_for) or "not said",
                offer.sbe.notify_message,
            )
            for offer in found.offers
        ],
    )
    for offer in found.offers:
        lines = (*offer.against, *offer.unsure, *offer.how_to_get)
        if offer.fit is not None and lines:
            echo(f"\n{offer.sbe.title}")
            for line in lines:
                echo(f"  {line}")
    echo(f"\n{found.name} from {found.url or found.asked}: {found.signature.text}")
    for note in found.notes:
        echo(f"note: {note}")
    if found.unread_count:
        echo(
            f"note: facts in it that ferry does not know: {found.unread_count} (--json shows them)"
        )


def _fits(sbe: Sbe, fit: Fit | None) -> str:
    if sbe.is_recalled:
        return "recalled"
    return "" if fit is None else fit.value
