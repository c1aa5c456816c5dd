"""`ferry logs`: collect evidence and analyse it."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.analysis import Analysis, analyse, write_report
from toolkit.cli import EXIT_NO
from toolkit.cli._output import json_option, print_json
from toolkit.logbundle import LogBundle
from toolkit.model import Finding


@click.group(name="logs")
def group() -> None:
    """Collect evidence from a cluster and analyse it without one."""


@group.command("analyse")
@click.argument("bundle", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--report",
    "report_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the report as one HTML file.",
)
@json_option
def analyse_command(bundle: Path, report_file: Path | None, *, json_output: bool) -> int:
    r"""Say what went wrong, on which node, why, and what to do. Needs no cluster.

    Exit code 1 means that something critical was found.

    \b
    Example:
      ferry logs analyse plant7.zip --report plant7.html

    Changes: nothing but the report file; an earlier report of that name is replaced.
    """
    with LogBundle(bundle) as opened:
        analysis = analyse(opened)
    if report_file is not None:
        write_report(analysis, report_file)
    if json_output:
        print_json("analysis", analysis)
    else:
        _print(analysis)
    if report_file is not None:
        click.echo(f"report: {report_file}", err=True)
    return EXIT_NO if analysis.has_failure else 0


def _print(analysis: Analysis) -> None:
    """Print the answer first, then the findings in short."""
    verdict = analysis.verdict
    click.echo(verdict.headline)
    if verdict.nodes:
        click.echo(f"  where:       {', '.join(verdict.nodes)}")
    if verdict.cause:
        click.echo(f"  why:         {verdict.cause}")
    click.echo(f"  start again: {verdict.rerun_text}")
    for number, step in enumerate(verdict.remedy, start=1):
        click.echo(f"  {'what to do:  ' if number == 1 else '             '}{number}. {step}")
    if analysis.findings:
        click.echo("\nfindings")
    for finding in analysis.findings:
        click.echo(f"  {finding.severity:9} {finding.title}{_where(finding)} [{finding.rule}]")
    if verdict.blind_spots:
        click.echo(f"\n{verdict.blind_spots} source(s) missing or damaged:")
        for gap in analysis.gaps:
            click.echo(f"  {gap.node or 'cluster'}  {gap.source}: {gap.reason}. {gap.detail}")


def _where(finding: Finding) -> str:
    """Return the first piece of evidence's place, so that it can be looked up."""
    first = next((one for one in finding.evidence if one.at is not None), None)
    if first is None:
        return ""
    return f" ({first.at:%Y-%m-%d %H:%M:%S} UTC, {first.node or 'cluster'}, {first.source})"
