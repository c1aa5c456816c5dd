"""`ferry catalog inspect`: what is inside zip archives, before anything travels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli import EXIT_NO
from toolkit.cli._output import (
    LocalPath,
    TerminalProgress,
    echo,
    human_size,
    json_option,
    print_json,
)

if TYPE_CHECKING:
    from toolkit.catalog import ZipReport


@click.command("inspect")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=LocalPath(dir_okay=False),
)
@click.option(
    "--quick", is_flag=True, help="Read the directory only, no member: seconds, not minutes."
)
@json_option
def inspect(files: tuple[Path, ...], *, quick: bool, json_output: bool) -> int:
    """Look into zip archives for damage and danger, named by member; exit 1 if there are faults.

    \b
    Example:
      ferry catalog inspect CombinedSolutionBundle.12.2603.1002.15.zip

    Every member is read once and its CRC-32 compared. What an archive must hold follows from its name.
    Doubts are shown too; they do not change the exit code.

    Changes: nothing.
    """
    from toolkit.catalog import inspect_zip

    progress = TerminalProgress(quiet=json_output)
    reports = [inspect_zip(file, is_deep=not quick, progress=progress) for file in files]
    if json_output:
        print_json("zip-reports", reports)
    else:
        for report in reports:
            _print(report)
    return EXIT_NO if any(report.faults for report in reports) else 0


def _print(report: ZipReport) -> None:
    checked = report.members - report.unchecked
    echo(
        f"{report.name}: {report.kind.value}, {human_size(report.size_bytes)}, unfolds to "
        f"{human_size(report.unfolds_to_bytes)}; {checked} of {report.members} members checked and whole"
    )
    if report.stated_versions:
        echo(f"  states version {', '.join(report.stated_versions)}")
    if report.longest_path:
        echo(
            f"  longest path on a cluster, {len(report.longest_path)} characters: {report.longest_path}"
        )
    for finding in report.findings:
        echo(f"  {'fault' if finding.is_fault else 'doubt'}  {finding.kind.value}: {finding}")
