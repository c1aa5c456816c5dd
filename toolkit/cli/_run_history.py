"""`ferry run history`: every run the cluster remembers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from toolkit.cli._output import (
    cluster_option,
    echo,
    json_option,
    print_json,
    print_table,
    site_option,
)
from toolkit.cli._reach import open_cluster, user_option
from toolkit.cluster import PastRun


@click.command("history")
@cluster_option
@site_option
@user_option
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many runs."
)
@json_option
def history(
    cluster_name: str,
    site_dir: Path,
    username: str | None,
    limit: int,
    *,
    json_output: bool,
) -> None:
    """List every run the cluster remembers, newest first.

    The cluster remembers the runs of the updates that it lists. What this site started is named by its kind, with
    what was written about an earlier failure.

    \b
    Example:
      ferry run history --cluster plant7 --site C:\\ferry-site --user lcmuser

    Changes: nothing.
    """
    _, cluster = open_cluster(site_dir, cluster_name, username, quiet=json_output)
    runs = cluster.history(limit=limit)
    if json_output:
        print_json("run-history", {"runs": runs})
    elif not runs:
        echo("the cluster remembers no run of the updates that it lists")
    else:
        print_table(
            ("started (UTC)", "update", "state", "took", "started here", "failed step"), _rows(runs)
        )


def _rows(runs: tuple[PastRun, ...]) -> Iterator[tuple[str, ...]]:
    for run in runs:
        minutes = None if run.duration is None else round(run.duration.total_seconds() / 60)
        yield (
            f"{run.started_at:%Y-%m-%d %H:%M}" if run.started_at else "unknown",
            run.update,
            run.state,
            "unknown" if minutes is None else f"{minutes // 60}:{minutes % 60:02} h",
            _started_here(run),
            run.failed_step,
        )


def _started_here(run: PastRun) -> str:
    doubt = " (perhaps: no answer came back)" if run.is_assumed else ""
    return run.kind + doubt + (f", after: {run.fixed}" if run.fixed else "") or "no"
