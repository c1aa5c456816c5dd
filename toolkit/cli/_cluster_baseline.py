"""`ferry cluster baseline`: how the nodes are set up, remembered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from toolkit.cli import EXIT_NO
from toolkit.cli._custody import by_option
from toolkit.cli._output import (
    cluster_option,
    echo,
    json_option,
    print_json,
    print_table,
    site_option,
    warn,
)
from toolkit.cli._reach import open_baseline, open_cluster, user_option
from toolkit.cluster import (
    Baseline,
    Drift,
    drift_between,
    drift_from,
    keep_baseline,
    replaceable_baseline,
)
from toolkit.errors import InputError
from toolkit.site import Site


@click.command("baseline")
@cluster_option
@site_option
@user_option
@by_option("Who looked at the nodes and calls them right; it is written down.")
@click.option(
    "--although-nodes-differ",
    "accepts_differences",
    is_flag=True,
    help="Remember them although they are not set up alike: checks go on naming the differences.",
)
@click.option("--show", is_flag=True, help="Only show what is remembered; no cluster is contacted.")
@json_option
def baseline(
    cluster_name: str,
    site_dir: Path,
    username: str | None,
    by: str,
    *,
    accepts_differences: bool,
    show: bool,
    json_output: bool,
) -> int:
    """Remember how the nodes are set up today, so that check finds what changed since.

    Time zone, cultures, OS build, hotfixes and PowerShell modules of every node are read and compared. Take a
    baseline when the cluster is as it should be, and again after each update.

    \b
    Example:
      ferry cluster baseline --by "Ben Okri" --cluster plant7 --site C:\\ferry-site --user lcmuser

    Changes: nothing on the cluster; one file at the site (the earlier one is kept beside it).
    Exit 1: the nodes differ, and nothing was remembered.
    """
    if show and (by or accepts_differences):
        raise click.UsageError(
            "--show takes no baseline: leave --by and --although-nodes-differ out."
        )
    if show:
        return _show(Site(site_dir), cluster_name, json_output=json_output)
    if not by:
        raise click.UsageError("Missing option '--by', or '--show'.")
    site, cluster = open_cluster(site_dir, cluster_name, username, quiet=json_output)
    before = replaceable_baseline(site, cluster.known.name, warn=warn)
    taken = cluster.take_baseline(by=by)
    differences = tuple(drift_between(taken.nodes))
    changes = () if before is None else tuple(drift_from(before, taken.nodes))
    kept = None
    if accepts_differences or not differences:
        with site.lock():
            kept = keep_baseline(site, taken)
    if json_output:
        _print_json(taken, differences, changes, kept)
    else:
        _print(taken)
        _print_drifts("the nodes differ", differences)
        _print_drifts("changed since the earlier baseline", changes)
        echo(
            f"remembered in {kept}"
            if kept
            else "nothing was remembered\n  next: set the nodes up alike, or, if they are meant to be so, run "
            "it again with --although-nodes-differ"
        )
    return 0 if kept else EXIT_NO


def _show(site: Site, cluster_name: str, *, json_output: bool) -> int:
    name = site.cluster(cluster_name).name
    kept = open_baseline(site, name)
    if kept is None:
        raise InputError(
            f"show the baseline of cluster {name}",
            file=str(site.root),
            found="none",
            hint='take one: ferry cluster baseline --by "your name"',
        )
    if json_output:
        _print_json(kept, tuple(drift_between(kept.nodes)), (), None)
    else:
        _print(kept)
        _print_drifts("the nodes differ", tuple(drift_between(kept.nodes)))
    return 0


def _print_json(
    taken: Baseline, differences: Sequence[Drift], changes: Sequence[Drift], kept: Path | None
) -> None:
    print_json(
        "baseline",
        {"baseline": taken, "differences": differences, "changes": changes, "file": kept},
    )


def _print(taken: Baseline) -> None:
    echo(
        f"cluster {taken.cluster}, version {taken.solution_version}, {taken.taken_at:%Y-%m-%d %H:%M} UTC, "
        f"by {taken.by}"
    )
    print_table(
        ("NODE", "SETTING", "VALUE"),
        [
            (node.node, setting.words, ", ".join(texts) or "none")
            for node in taken.nodes
            for setting, texts in node.values.items()
        ],
    )
    for node in taken.nodes:
        for setting, why in node.untold.items():
            echo(f"not told by {node.node}: {setting.words}: {why}")


def _print_drifts(title: str, drifts: Sequence[Drift]) -> None:
    for drift in drifts:
        echo(f"{title}: {f'{drift.node}, ' if drift.node else ''}{drift.evidence}")
