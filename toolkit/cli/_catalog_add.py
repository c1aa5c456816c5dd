"""`ferry catalog add`: files that came by another way."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.catalog import Catalog, HttpsFetcher, load_manifests
from toolkit.cli._catalog_options import (
    exit_code,
    manifests_option,
    new_catalog_option,
    print_held,
)
from toolkit.cli._catalog_reach import reach_options
from toolkit.cli._catalog_sbe import signing_options
from toolkit.cli._output import FILE_OR_URL, LocalPath, TerminalProgress, json_option


@click.command("add")
@click.argument("files", nargs=-1, required=True, metavar="FILE|FOLDER|SBE...", type=LocalPath())
@new_catalog_option
@click.option(
    "--discovery",
    type=FILE_OR_URL,
    metavar="FILE|URL",
    help="A newer SBE_Discovery_<Manufacturer>.xml than the one among the files.",
)
@reach_options
@signing_options
@manifests_option
@json_option
def add(
    files: tuple[Path, ...],
    catalog_dir: Path,
    discovery: str | None,
    signing_ca: Path | None,
    signers: tuple[str, ...],
    manifest_dirs: tuple[Path, ...],
    *,
    fetcher: HttpsFetcher,
    json_output: bool,
) -> int:
    """Take files that came by another way, such as a browser, into the catalog, and judge them.

    \b
    Example:
      ferry catalog add Downloads\\CombinedSolutionBundle.12.2603.1002.15.zip --catalog D:\\catalog
      ferry catalog add Downloads\\Bundle_SBE_Dell_AS-HCI-AX-16G_4.2.2506.1600.zip --catalog D:\\catalog

    Changes: adds the files to the catalog folder. On the same disk that takes no room: your file becomes
    read-only, and may be deleted. Exit 1 if one is not proven; a bad file is refused with exit code 3.
    """
    held = Catalog(catalog_dir, fetcher=fetcher).add(
        files,
        manifests=load_manifests(manifest_dirs),
        discovery=discovery,
        signing_ca=signing_ca,
        signers=signers,
        progress=TerminalProgress(quiet=json_output),
    )
    print_held(held, json_output=json_output)
    return exit_code(held)
