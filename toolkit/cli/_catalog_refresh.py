"""`ferry catalog refresh`: what is published now, against the manifests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.catalog import HttpsFetcher
from toolkit.cli import EXIT_NO
from toolkit.cli._catalog_options import manifests_option
from toolkit.cli._catalog_reach import reach_options
from toolkit.cli._output import (
    FILE_OR_URL,
    LocalPath,
    TerminalProgress,
    echo,
    json_option,
    print_json,
)

if TYPE_CHECKING:
    from toolkit.catalog import Refresh


@click.command("refresh")
@click.option(
    "--from",
    "pages",
    multiple=True,
    type=FILE_OR_URL,
    metavar="URL|FILE",
    help="A page with the table of bundles, Markdown or HTML; repeat for several.",
)
@click.option(
    "--discovery",
    "discoveries",
    multiple=True,
    type=FILE_OR_URL,
    metavar="URL|FILE",
    help="A solution discovery manifest (XML); repeat for several.",
)
@click.option(
    "--write",
    "write_to",
    type=LocalPath(file_okay=False),
    metavar="DIR",
    help="Write new and safely changed manifests into this folder, to be used with --manifests.",
)
@reach_options
@manifests_option
@json_option
def refresh_command(
    pages: tuple[str, ...],
    discoveries: tuple[str, ...],
    write_to: Path | None,
    manifest_dirs: tuple[Path, ...],
    *,
    fetcher: HttpsFetcher,
    json_output: bool,
) -> int:
    """Compare what is published now with the manifests; print what is new as a diff for `git apply`.

    Without --from and --discovery, Microsoft's page of bundles and https://aka.ms/AzureEdgeUpdates are
    read; with one of them, only what is named. Exit 1: a person must decide something.

    \b
    Example:
      ferry catalog refresh

    Changes: nothing, or with --write the folder named there. A hash that differs from the pinned one, and
    another date or address, are only in the diff: who applies it has decided.
    """
    from toolkit.catalog import refresh

    found = refresh(
        pages,
        discoveries,
        manifest_dirs=manifest_dirs,
        write_to=write_to,
        fetcher=fetcher,
        progress=TerminalProgress(quiet=json_output),
    )
    if json_output:
        print_json(
            "refresh",
            {
                "sources": found.sources,
                "rows_read": found.rows_read,
                "needs_decision": found.needs_decision,
                "proposals": found.proposals,
                "remarks": found.remarks,
                "written": found.written,
                "diff": found.diff,
            },
        )
    else:
        _print(found)
    return EXIT_NO if found.needs_decision else 0


def _print(found: Refresh) -> None:
    """Print the diff on stdout and everything a person reads on stderr."""
    for proposal in found.proposals:
        mark = "DECIDE " if proposal.needs_decision else ""
        about = f"{proposal.version}: " if proposal.version else ""
        echo(f"{mark}{proposal.kind.value}: {about}{proposal.text} [{proposal.source}]", err=True)
    for remark in found.remarks:
        echo(remark, err=True)
    news = f"{len(found.proposals)} proposal(s)" if found.proposals else "nothing new"
    echo(f"{found.rows_read} row(s) read, {news}", err=True)
    for name in found.written:
        echo(f"wrote {name}", err=True)
    if found.diff:
        echo(found.diff.removesuffix("\n"))
