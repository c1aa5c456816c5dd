"""`ferry cluster clean`: the import folder is given back."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.cli import EXIT_NO
from toolkit.cli._output import (
    cluster_option,
    echo,
    human_size,
    json_option,
    print_json,
    print_table,
    read_version,
    site_option,
)
from toolkit.cli._reach import open_cluster, user_option


@click.command("clean")
@cluster_option
@site_option
@user_option
@click.option("--version", "wanted", help="Which version, where there are several.")
@click.option(
    "--all-versions",
    is_flag=True,
    help="Every version; one that the update service may still need is named and left.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed; change nothing.")
@json_option
def clean(
    cluster_name: str,
    site_dir: Path,
    username: str | None,
    wanted: str | None,
    *,
    all_versions: bool,
    dry_run: bool,
    json_output: bool,
) -> int:
    """Remove from the import folder what ferry wrote there, and nothing else.

    Goes: copied files, what imports left unfinished, and folders that hold exactly what was expanded there; by the
    records that imports keep on the share, whichever laptop they ran on. A version is kept while the update
    service may still read it. What ferry did not write, or does not recognise any more, is named and left.

    \b
    Example:
      ferry cluster clean --cluster plant7 --site C:\\ferry-site --user lcmuser

    Changes: files in the import folder of the infrastructure share; never the update service's own packages.
    Exit 1: something was left that ferry did not write.
    """
    version = None if wanted is None else read_version(wanted)
    site, cluster = open_cluster(site_dir, cluster_name, username, quiet=json_output)
    with site.lock():
        done = cluster.clean(
            version, site_id=site.site_id(), all_versions=all_versions, dry_run=dry_run
        )
    if json_output:
        print_json("cleaning", done)
    else:
        freed = human_size(sum(one.size_bytes for one in done.removed))
        echo(
            f"{'would remove' if dry_run else 'removed'} {len(done.removed)} of ferry's files and folders, {freed}"
        )
        print_table(
            ("PATH", "SIZE", "VERSION", "LEFT BECAUSE"),
            [
                (str(one.path), human_size(one.size_bytes), one.version or "-", one.why or "-")
                for one in (*done.removed, *done.left)
            ],
        )
    return EXIT_NO if done.has_foreign else 0
