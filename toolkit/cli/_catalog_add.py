"""`ferry catalog add`: files that came by another way, each sort with an adder of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from toolkit.catalog import (
    Catalog,
    Manifests,
    add_solution_bundle,
    is_solution_bundle,
    load_manifests,
)
from toolkit.cli._catalog_options import (
    exit_code,
    manifests_option,
    new_catalog_option,
    print_held,
)
from toolkit.cli._output import TerminalProgress, json_option
from toolkit.errors import InputError
from toolkit.model import HeldPayload, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Adder:
    """Takes in one sort of files."""

    accepts: str
    """What they are called, for people."""
    claim: Callable[[Sequence[Path]], Sequence[Path]]
    """Returns those of the files that it takes; looks at names only."""
    add: Callable[[Catalog, Sequence[Path], Manifests, Progress], Sequence[HeldPayload]]
    """Takes in what it claimed."""


def _claim_bundles(files: Sequence[Path]) -> Sequence[Path]:
    return [path for path in files if is_solution_bundle(path)]


def _add_bundles(
    catalog: Catalog, files: Sequence[Path], manifests: Manifests, progress: Progress
) -> Sequence[HeldPayload]:
    return [
        add_solution_bundle(catalog, path, manifests=manifests, progress=progress) for path in files
    ]


ADDERS = [
    Adder(accepts="CombinedSolutionBundle.<version>.zip", claim=_claim_bundles, add=_add_bundles)
]
"""In the order in which they may claim files."""


@click.command("add")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)
@new_catalog_option
@manifests_option
@json_option
def add(
    files: tuple[Path, ...],
    catalog_dir: Path,
    manifest_dirs: tuple[Path, ...],
    *,
    json_output: bool,
) -> int:
    """Take files that came by another way, such as a browser, into the catalog, and judge them.

    \b
    Example:
      ferry catalog add Downloads\\CombinedSolutionBundle.12.2603.1002.15.zip --catalog D:\\catalog

    Changes: adds the files to the catalog folder. On the same disk that takes no room: your file becomes
    read-only, and may be deleted. Exit 1 if one is not proven; a bad file is refused with exit code 3.
    """
    claimed, left = [], list(dict.fromkeys(files))
    for adder in ADDERS:
        taken = adder.claim(left)
        claimed.append((adder, taken))
        left = [path for path in left if path not in taken]
    if left:
        raise InputError(
            "add files",
            found=", ".join(map(str, left)),
            expected=" or ".join(adder.accepts for adder in ADDERS),
            hint="give a file its published name; nothing was added",
        )
    catalog, manifests = Catalog(catalog_dir), load_manifests(manifest_dirs)
    progress = TerminalProgress(quiet=json_output)
    held = [
        payload
        for adder, taken in claimed
        if taken
        for payload in adder.add(catalog, taken, manifests, progress)
    ]
    print_held(held, json_output=json_output)
    return exit_code(held)


COMMANDS = (add,)
