"""`ferry catalog add`: files that came by another way, each sort with an adder of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from toolkit.catalog import (
    Catalog,
    HttpsFetcher,
    Manifests,
    add_sbe,
    add_solution_bundle,
    fetch_sbe,
    is_sbe_source,
    is_solution_bundle,
    load_manifests,
)
from toolkit.cli._catalog_options import (
    exit_code,
    manifests_option,
    new_catalog_option,
    print_held,
)
from toolkit.cli._catalog_reach import reach_options
from toolkit.cli._catalog_sbe import signing_options
from toolkit.cli._output import TerminalProgress, json_option
from toolkit.errors import InputError
from toolkit.model import HeldPayload, Progress
from toolkit.sbe import sbe_named


@dataclass(frozen=True, slots=True, kw_only=True)
class Adding:
    """What every adder may need."""

    catalog: Catalog
    manifests: Manifests
    fetcher: HttpsFetcher
    discovery: str | None
    signing_ca: Path | None
    signers: tuple[str, ...]
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Adder:
    """Takes in one sort of files."""

    accepts: str
    """What they are called, for people."""
    claims: Callable[[Path], bool]
    """Whether it takes something; mostly by name."""
    add: Callable[[Adding, Sequence[Path]], Sequence[HeldPayload]]
    """Takes in what it claimed."""


def _add_bundles(adding: Adding, files: Sequence[Path]) -> Sequence[HeldPayload]:
    return [
        add_solution_bundle(
            adding.catalog, path, manifests=adding.manifests, progress=adding.progress
        )
        for path in files
    ]


def _add_sbe(adding: Adding, files: Sequence[Path]) -> Sequence[HeldPayload]:
    return add_sbe(
        adding.catalog,
        files,
        fetcher=adding.fetcher,
        discovery=adding.discovery,
        signing_ca=adding.signing_ca,
        signers=adding.signers,
        progress=adding.progress,
    )


def _is_title(path: Path) -> bool:
    return not path.exists() and path.parent == Path() and _title(path) is not None


def _title(path: Path) -> str | None:
    is_file_name = path.name.lower().endswith((".xml", ".zip"))
    return path.name if not is_file_name and sbe_named(path.name) else None


def _fetch_sbes(adding: Adding, titles: Sequence[Path]) -> Sequence[HeldPayload]:
    return [
        payload
        for title in titles
        for payload in fetch_sbe(
            adding.catalog,
            title.name,
            fetcher=adding.fetcher,
            discovery=adding.discovery,
            signing_ca=adding.signing_ca,
            signers=adding.signers,
            progress=adding.progress,
        )
    ]


ADDERS = (
    Adder(
        accepts="CombinedSolutionBundle.<version>.zip",
        claims=is_solution_bundle,
        add=_add_bundles,
    ),
    Adder(
        accepts="the files of one SBE, their folder, or the vendor's zip with them",
        claims=is_sbe_source,
        add=_add_sbe,
    ),
    Adder(
        accepts="the title of an SBE such as SBE_Dell_AS-HCI-AX-16G_4.2.2506.1600, to be fetched",
        claims=_is_title,
        add=_fetch_sbes,
    ),
)
"""In the order in which they may claim files."""


@click.command("add")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE|FOLDER|SBE...", type=click.Path(path_type=Path)
)
@new_catalog_option
@click.option(
    "--discovery",
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
    claimed, left = [], list(dict.fromkeys(files))
    for adder in ADDERS:
        taken = [path for path in left if adder.claims(path)]
        claimed.append((adder, taken))
        left = [path for path in left if path not in taken]
    if left:
        raise InputError(
            "add files",
            found=", ".join(map(str, left)),
            expected=" or ".join(adder.accepts for adder in ADDERS),
            hint="give a file its published name; nothing was added",
        )
    adding = Adding(
        catalog=Catalog(catalog_dir, fetcher=fetcher),
        manifests=load_manifests(manifest_dirs),
        fetcher=fetcher,
        discovery=discovery,
        signing_ca=signing_ca,
        signers=signers,
        progress=TerminalProgress(quiet=json_output),
    )
    held = [payload for adder, taken in claimed if taken for payload in adder.add(adding, taken)]
    print_held(held, json_output=json_output)
    return exit_code(held)


COMMANDS = (add,)
