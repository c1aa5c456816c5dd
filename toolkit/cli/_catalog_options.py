"""What the commands of `ferry catalog` share: options, and how held payloads are printed."""

from __future__ import annotations

from collections.abc import Sequence

import click

from toolkit.cli import EXIT_NO
from toolkit.cli._output import FOLDER, F, LocalPath, echo, human_size, print_json, print_table
from toolkit.model import FileVerdict, HeldPayload

FILE = LocalPath(exists=True, dir_okay=False)
"""The type of an option or argument that names a file which is there."""


def manifests_option(command: F) -> F:
    """Add `--manifests DIR` (repeatable, or the environment variable FERRY_MANIFESTS)."""
    return click.option(
        "--manifests",
        "manifest_dirs",
        type=FOLDER,
        multiple=True,
        envvar="FERRY_MANIFESTS",
        help="A folder of further manifests; repeat for several (or set FERRY_MANIFESTS).",
    )(command)


def catalog_option(command: F) -> F:
    """Add `--catalog DIR`: one that is there already."""
    return click.option(
        "--catalog",
        "catalog_dir",
        required=True,
        type=FOLDER,
        help="The catalog folder.",
    )(command)


def new_catalog_option(command: F) -> F:
    """Add `--catalog DIR`: made if missing."""
    return click.option(
        "--catalog",
        "catalog_dir",
        required=True,
        type=LocalPath(file_okay=False),
        help="The catalog folder; it is made if missing.",
    )(command)


def print_held(held: Sequence[HeldPayload], *, json_output: bool) -> None:
    """Print payloads with their verdicts, and the reasons of those that are not proven."""
    if json_output:
        print_json("held-payloads", held)
        return
    print_table(
        ("SHELF", "PAYLOAD", "SIZE", "VERDICT", "SHA-256"),
        [
            (item.shelf, item.name, human_size(item.size_bytes), verdict_of(item), item.sha256)
            for item in held
        ],
    )
    for item in held:
        if item.judgement.verdict is not FileVerdict.PROVEN:
            echo(f"{item.name}: {verdict_of(item)}")
            for reason in item.judgement.reasons:
                echo(f"  - {reason}")


def verdict_of(held: HeldPayload) -> str:
    """Return a verdict as people read it, with the name of who accepted it."""
    verdict = held.judgement.verdict.value
    if held.acceptance is None:
        return verdict
    return f"{verdict}, accepted by {held.acceptance.by}"


def exit_code(held: Sequence[HeldPayload]) -> int:
    """Return 0 if all of it may travel, 1 if not."""
    return 0 if all(item.is_fit_to_travel for item in held) else EXIT_NO
