"""`ferry logs`: collect evidence and analyse it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from toolkit.analysis import Analysis, analyse, write_report
from toolkit.cli import EXIT_NO, Noun
from toolkit.cli._output import (
    OUTPUT_FILE,
    LocalPath,
    cluster_option,
    echo,
    human_size,
    json_option,
    print_json,
    site_option,
)
from toolkit.cli._reach import open_cluster, user_option
from toolkit.cluster import RunEvidence, note_evidence
from toolkit.logbundle import LogBundle, LogBundleWriter
from toolkit.model import Finding, Sha256
from toolkit.site import Site


@click.group(cls=Noun, name="logs")
def group() -> None:
    """Collect evidence from a cluster and analyse it without one."""


@group.command("collect")
@cluster_option
@site_option
@user_option
@click.option(
    "-o",
    "--output",
    "bundle",
    required=True,
    type=OUTPUT_FILE,
    help="The log bundle to write (a zip).",
)
@click.option(
    "--hours",
    type=click.IntRange(1, 24 * 366),
    default=72,
    show_default=True,
    help="How far back System, Windows Update and CAU reports go; the CAU logs are taken whole.",
)
@json_option
def collect(
    cluster_name: str,
    site_dir: Path,
    username: str | None,
    bundle: Path,
    hours: int,
    *,
    json_output: bool,
) -> int:
    """Gather the evidence of every node of a cluster into one log bundle.

    A node that does not answer is a named gap in the bundle, not a failed collection.

    \b
    Example:
      ferry logs collect --cluster plant7 --site C:\\ferry-site --user lcmuser -o plant7.zip

    Changes: nothing on the cluster but a scratch folder per node, removed again.
    Exit 1: no node gave any evidence.
    """
    _, cluster = open_cluster(site_dir, cluster_name, username, quiet=json_output)
    since = datetime.now(UTC) - timedelta(hours=hours)
    with LogBundleWriter(bundle, cluster=cluster.known.name) as writer:
        cluster.collect(writer, since=since)
    with LogBundle(bundle) as written:
        if json_output:
            print_json("log-bundle", {"members": written.members, "gaps": written.gaps})
        else:
            size = human_size(bundle.stat().st_size)
            echo(f"{bundle}: {len(written.members)} members, {size}")
            for gap in written.gaps:
                where = gap.node or "cluster"
                echo(f"  missing: {where} {gap.source or 'everything'}: {gap.detail}")
            echo(f"  next: {_next(written, bundle, site_dir)}")
        return 0 if written.members else EXIT_NO


def _next(written: LogBundle, bundle: Path, site_dir: Path) -> str:
    if not written.members:
        return (
            "no node gave anything: do what stands at each node, then collect again into another file "
            f"({bundle} stays as it is, and is of no use)"
        )
    return f'ferry logs analyse "{bundle}" --report "{bundle.stem}.html" --site "{site_dir}"'


@group.command("analyse")
@click.argument("bundle", type=LocalPath(dir_okay=False))
@click.option(
    "--report",
    "report_file",
    type=OUTPUT_FILE,
    help="Also write the report as one HTML file.",
)
@click.option(
    "--site",
    "site_dir",
    type=LocalPath(file_okay=False),
    envvar="FERRY_SITE",
    help="Write into the journal of this site what was found of failed runs (or set FERRY_SITE); without "
    "it `ferry run start` refuses after a failed run.",
)
@json_option
def analyse_command(
    bundle: Path, report_file: Path | None, site_dir: Path | None, *, json_output: bool
) -> int:
    """Say what went wrong, on which node, why, and what to do. Needs no cluster.

    Exit code 1 means that something critical was found.

    \b
    Example:
      ferry logs analyse plant7.zip --report plant7.html --site C:\\ferry-site

    Changes: the report file, of which an earlier one of that name is replaced, and the site's journal.
    """
    site = None if site_dir is None else Site(site_dir)
    with LogBundle(bundle) as opened:
        analysis, digest = analyse(opened), opened.digest()
    if report_file is not None:
        write_report(analysis, report_file)
    if json_output:
        print_json("analysis", analysis)
    else:
        _print(analysis)
    if report_file is not None:
        echo(f"report: {report_file}", err=True)
    if site is not None:
        _keep(analysis, digest, site)
    return EXIT_NO if analysis.has_failure else 0


def _keep(analysis: Analysis, digest: Sha256, site: Site) -> None:
    """Write what was found of failed runs into the site's journal, and say so."""
    known = {cluster.name.casefold(): cluster.name for cluster in site.clusters()}
    if not analysis.failed_runs:
        return
    if analysis.cluster.casefold() not in known:
        echo(f"not kept: the site knows no cluster {analysis.cluster}", err=True)
        return
    with site.lock():
        for run in analysis.failed_runs:
            verdict = run.verdict
            note_evidence(
                site.journal,
                cluster=known[analysis.cluster.casefold()],
                found=RunEvidence(
                    run_id=run.run_id,
                    run_updated_at=run.updated_at,
                    bundle_sha256=digest,
                    analysed_at=datetime.now(UTC),
                    rule=verdict.rule,
                    nodes=verdict.nodes,
                    headline=verdict.headline,
                    rerun_safe=verdict.rerun_safe,
                    remedy=verdict.remedy,
                    blind_spots=verdict.blind_spots,
                ),
            )
            echo(
                f"kept in the site's journal: what was found of run {run.run_id}\n"
                f"  {verdict.headline}\n  start again: {verdict.rerun_text}",
                err=True,
            )


def _print(analysis: Analysis) -> None:
    """Print the answer first, then the findings in short."""
    verdict = analysis.verdict
    echo(verdict.headline)
    if verdict.nodes:
        echo(f"  where:       {', '.join(verdict.nodes)}")
    if verdict.cause:
        echo(f"  why:         {verdict.cause}")
    echo(f"  start again: {verdict.rerun_text}")
    for number, step in enumerate(verdict.remedy, start=1):
        echo(f"  {'what to do:  ' if number == 1 else '             '}{number}. {step}")
    if analysis.findings:
        echo("\nfindings")
    for finding in analysis.findings:
        echo(f"  {finding.severity:9} {finding.title}{_where(finding)} [{finding.rule}]")
    if verdict.blind_spots:
        echo(f"\n{verdict.blind_spots} source(s) missing or damaged:")
        for gap in analysis.gaps:
            echo(f"  {gap.node or 'cluster'}  {gap.source}: {gap.reason}. {gap.detail}")


def _where(finding: Finding) -> str:
    """Return the first piece of evidence's place, so that it can be looked up."""
    first = next((one for one in finding.evidence if one.at is not None), None)
    if first is None:
        return ""
    return f" ({first.at:%Y-%m-%d %H:%M:%S} UTC, {first.node or 'cluster'}, {first.source})"
