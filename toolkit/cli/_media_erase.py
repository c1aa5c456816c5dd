"""`ferry media erase`: one set is deleted from a medium, and nothing else on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli import EXIT_NO
from toolkit.cli._output import (
    FOLDER,
    TerminalProgress,
    echo,
    human_size,
    json_option,
    print_json,
    print_table,
)
from toolkit.errors import InputError
from toolkit.site import TRUST

if TYPE_CHECKING:
    from toolkit.media import Erasure


@click.command("erase")
@click.argument("medium", type=FOLDER)
@click.option(
    "--site",
    "site_dir",
    type=FOLDER,
    help="Only if it is signed under the root that this site trusts, expired or not.",
)
@click.option(
    "--catalog", "catalog_dir", type=FOLDER, help="Only if it was written from this catalog."
)
@click.option(
    "--with-receipts",
    is_flag=True,
    help="Receipts of what was done with it, and return/, may go as well.",
)
@click.option(
    "--yes-erase",
    "label",
    metavar="LABEL",
    help='Do not ask: the label of the medium, typed exactly, such as "AZL-2611-K7Q2 1/1".',
)
@json_option
def erase(
    medium: Path,
    site_dir: Path | None,
    catalog_dir: Path | None,
    label: str | None,
    *,
    with_receipts: bool,
    json_output: bool,
) -> int:
    """Delete one set from a medium, and nothing else that lies there; the same command resumes.

    \b
    Example:
      ferry media erase E:\\ --catalog D:\\catalog

    It deletes files, as any program does: with recovery tools their bytes can be found afterwards.

    Changes: removes the files of the set that its own documents name, and its folder. Where receipts of more than
    its writing or return/ are on it, nothing is deleted (exit 6) unless --with-receipts; take them home first with
    `ferry media receive`. Links and files that are not of the set stay, in its folder, and are named: exit 1.
    """
    from toolkit.media import erase_set, plan_erasure

    planned = plan_erasure(
        medium,
        with_receipts=with_receipts,
        trust_dir=site_dir / TRUST if site_dir else None,
        home=catalog_dir,
    )
    if not json_output:
        _print_plan(planned)
    _require_label(planned.label.label, label)
    erase_set(planned, progress=TerminalProgress(quiet=json_output))
    if json_output:
        print_json("erasure", _facts(planned))
    else:
        echo(f"{planned.label.label}: {len(planned.removed)} files deleted (not wiped)")
    return EXIT_NO if planned.foreign else 0


def _print_plan(planned: Erasure) -> None:
    echo(f"{planned.label.label} in {planned.label.folder}")
    print_table(
        ("PAYLOAD OF THE SET", "SIZE"),
        [(name, human_size(size)) for name, size, _ in planned.label.payloads],
    )
    echo(f"to delete: {len(planned.removed)} files, {human_size(planned.size_bytes)}")
    for path in planned.foreign:
        echo(f"stays, not of this set: {path}")


def _require_label(expected: str, typed: str | None) -> None:
    """Have a person type which medium is to be erased.

    Raises:
        UsageError: Nobody can be asked.
        InputError: It was another label.
    """
    if typed is None and not sys.stdin.isatty():
        raise click.UsageError(f"nobody can be asked here: give --yes-erase {expected!r}")
    if typed is None:
        typed = str(click.prompt("Type the label to delete it", err=True))
    if typed != expected:
        raise InputError(
            "erase a set",
            found=f"the label {typed!r}",
            expected=repr(expected),
            hint="nothing was deleted; look at the label on the medium: is it the right one?",
        )


def _facts(planned: Erasure) -> dict[str, object]:
    return {
        "label": planned.label.label,
        "set_id": planned.label.set_id,
        "folder": planned.label.folder,
        "removed": [path for path, _ in planned.removed],
        "removed_bytes": planned.size_bytes,
        "foreign": planned.foreign,
    }
