"""Options that the commands of `ferry catalog` share."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.cli._output import F


def manifests_option(command: F) -> F:
    """Add `--manifests DIR` (repeatable, or the environment variable FERRY_MANIFESTS)."""
    return click.option(
        "--manifests",
        "manifest_dirs",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        multiple=True,
        envvar="FERRY_MANIFESTS",
        help="A folder of further manifests; repeat for several (or set FERRY_MANIFESTS).",
    )(command)
