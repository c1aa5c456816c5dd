"""`ferry cluster check`: whether the trip will succeed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from toolkit.catalog import load_manifests
from toolkit.cli import EXIT_NO
from toolkit.cli._catalog_options import manifests_option
from toolkit.cli._output import (
    FOLDER,
    OUTPUT_FILE,
    TerminalProgress,
    cluster_option,
    echo,
    identity_option,
    json_document,
    json_option,
    read_version,
    site_option,
)
from toolkit.cli._reach import open_baseline, open_cluster, user_option
from toolkit.cluster import CheckResult, CheckVerdict, JudgedTime, Readiness
from toolkit.signed import write_document


@click.command("check")
@click.argument("media", nargs=-1, metavar="[MEDIUM]...", type=FOLDER)
@cluster_option
@site_option
@user_option
@click.option(
    "--version", "wanted", help="The update that is wanted, where no medium says it by itself."
)
@identity_option
@manifests_option
@click.option(
    "--save",
    type=OUTPUT_FILE,
    help="Also write the result (JSON), to be shown to others; an earlier one of that name is replaced.",
)
@json_option
def check(
    media: tuple[Path, ...],
    cluster_name: str,
    site_dir: Path,
    username: str | None,
    wanted: str | None,
    identity: Path | None,
    manifest_dirs: tuple[Path, ...],
    save: Path | None,
    *,
    json_output: bool,
) -> int:
    """Say whether the trip will succeed: look at every node, judge, and change nothing.

    What is critical is shown first, with what to do about it; then warnings, and what could not be found
    out. Name the MEDIUM to have it judged together with the cluster; without one, checks that need one are
    named as not asked. What every check asks and means: docs/reference/checks.md.

    \b
    Example:
      ferry cluster check E:\\ --cluster plant7 --site C:\\ferry-site --user lcmuser

    Changes: nothing on the cluster (asking makes it look for updates by itself). At the site: what was
    accepted of a MEDIUM is remembered, so that an older one is refused.
    Exit 1: a check is critical.
    """
    from toolkit.media import Medium, open_medium, recall  # with TUF; help needs none

    version = None if wanted is None else read_version(wanted)
    site, cluster = open_cluster(site_dir, cluster_name, username, quiet=json_output)
    floor = recall(site.trust_dir).floor

    def opened(judged: JudgedTime) -> Medium:
        medium = open_medium(
            media[0],
            site.trust_dir,
            others=media[1:],
            now=judged.now,
            progress=TerminalProgress(quiet=json_output),
        )
        medium.unlock(identity or site.identity)
        return medium

    readiness = cluster.check(
        opened if media else None,
        version,
        floor=floor,
        manifests=load_manifests(manifest_dirs),
        baseline=open_baseline(site, cluster.known.name),
    )
    document = json_document("readiness", readiness)
    if json_output:
        echo(document)
    else:
        _print(readiness)
    if save is not None:
        write_document(save, f"{document}\n".encode(), mark='"readiness"')
    return EXIT_NO if readiness.worst() is CheckVerdict.CRITICAL else 0


def _print(readiness: Readiness) -> None:
    wanted = f", for {readiness.version}" if readiness.version else ""
    carried = f", with medium {readiness.set_name}" if readiness.set_name else ""
    echo(f"cluster {readiness.cluster}{wanted}{carried}")
    for verdict in (CheckVerdict.CRITICAL, CheckVerdict.WARNING, CheckVerdict.UNKNOWN):
        _print_results(readiness.of(verdict))
    for check_id, why in readiness.not_asked:
        echo(f"not asked  {check_id}: {why}")
    failed = {
        result.check for result in readiness.results if result.verdict is not CheckVerdict.PASS
    }
    passed = {result.check for result in readiness.results} - failed
    echo(f"{len(passed)} checks pass")


def _print_results(results: Sequence[CheckResult]) -> None:
    for result in results:
        echo(f"{result.verdict:<9}  {result.place}: {result.evidence}")
        if result.remedy:
            echo(f"           next: {result.remedy}")
