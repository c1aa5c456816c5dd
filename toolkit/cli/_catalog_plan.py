"""`ferry catalog plan`: what a trip carries, made from the requests of sites."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.catalog import Catalog, load_manifests
from toolkit.cli._catalog_options import FILE, manifests_option
from toolkit.cli._output import (
    FOLDER,
    OUTPUT_FILE,
    check_apart,
    echo,
    json_option,
    print_json,
)


@click.command("plan")
@click.argument("requests", nargs=-1, required=True, metavar="REQUEST...", type=FILE)
@click.option(
    "--catalog",
    "catalog_dir",
    required=True,
    type=FOLDER,
    help="The catalog folder: it knows the keys of sites, holds payloads, and keeps the plan.",
)
@click.option(
    "--to", "goal", metavar="VERSION", help="The wanted version. Default: the newest reachable."
)
@click.option(
    "--sbe-manifest",
    "sbe_manifests",
    multiple=True,
    type=FILE,
    help="A vendor's SBE_Discovery_….xml; repeat for several.",
)
@click.option(
    "--sbe",
    "named",
    multiple=True,
    metavar="NAME",
    help="Take this SBE along: SBE_Contoso_GenA_4.2.2603.5, or its version. Refused if it does not fit.",
)
@click.option(
    "-o",
    "--output",
    default="plan.json",
    show_default=True,
    type=OUTPUT_FILE,
    help="The plan to write; an earlier plan of that name is replaced.",
)
@click.option(
    "--page",
    type=OUTPUT_FILE,
    help="Also write a page to read and print (HTML).",
)
@manifests_option
@json_option
def plan_command(
    requests: tuple[Path, ...],
    catalog_dir: Path,
    goal: str | None,
    sbe_manifests: tuple[Path, ...],
    named: tuple[str, ...],
    output: Path,
    page: Path | None,
    manifest_dirs: tuple[Path, ...],
    *,
    json_output: bool,
) -> None:
    """Plan one trip: which updates and SBEs each cluster needs, in which order, and what to know first.

    \b
    Example:
      ferry catalog plan plant7.json harbour2.json --catalog D:\\catalog --page plan.html

    Changes: writes the plan, and a copy into the catalog's folder plans; nothing is downloaded. A version
    without a supported path, or an SBE that would hide a cluster's updates, ends in exit code 7.
    """
    from toolkit.catalog import plan_text

    check_apart(output, page, options="--output and --page")
    plan = Catalog(catalog_dir).plan(
        requests,
        to=output,
        manifests=load_manifests(manifest_dirs),
        goal=goal,
        sbe_manifests=sbe_manifests,
        named=named,
        page=page,
    )
    if json_output:
        print_json("plan", plan)
        return
    echo(plan_text(plan))
    echo(f"\nwritten: {output}{f' and {page}' if page else ''}")
    if plan.payloads:
        echo(f"next: ferry catalog download --plan {output} --catalog {catalog_dir}")
