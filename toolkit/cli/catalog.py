"""`ferry catalog`: what exists and what we hold, on the connected side."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.catalog import Catalog, HttpsFetcher, Limits, load_manifests
from toolkit.cli import (
    EXIT_NO,
    Noun,
    _catalog_add,
    _catalog_exchange,
    _catalog_inspect,
    _catalog_upkeep,
)
from toolkit.cli._catalog_line import line_options
from toolkit.cli._catalog_options import (
    FILE,
    exit_code,
    manifests_option,
    new_catalog_option,
    print_held,
)
from toolkit.cli._catalog_plan import plan_command
from toolkit.cli._catalog_reach import reach_options
from toolkit.cli._catalog_refresh import refresh_command
from toolkit.cli._catalog_sbe import sbe
from toolkit.cli._output import (
    TerminalProgress,
    echo,
    json_option,
    print_json,
    print_table,
)
from toolkit.model import Manifest

_LACKING = (
    "not in the payload: the images of Azure Arc resource bridge and of AKS on Azure Local; a connected-mode\n"
    "  cluster fetches them during the update, so without any egress it cannot finish from this file alone\n"
    "  (import-discover-updates-offline-23h2.md, update-best-practices.md)"
)


@click.group(cls=Noun, name="catalog")
def group() -> None:
    """See what exists, which path leads there, download what is needed, and look after it."""


@group.command("list")
@manifests_option
@json_option
def list_manifests(manifest_dirs: tuple[Path, ...], *, json_output: bool) -> None:
    """List every solution bundle that has a manifest, newest train last.

    \b
    Example:
      ferry catalog list

    Changes: nothing.
    """
    manifests = load_manifests(manifest_dirs)
    if json_output:
        print_json("manifests", manifests.manifests)
        return
    print_table(
        ("VERSION", "OS BUILD", "AVAILABLE", "STATUS", "FROM"),
        [
            (item.version, item.os_build, item.available_on, item.status.value, item.applies_from)
            for item in manifests
        ],
    )


@group.command("show")
@click.argument("version")
@manifests_option
@json_option
def show(version: str, manifest_dirs: tuple[Path, ...], *, json_output: bool) -> None:
    """Show one manifest: its payloads, every hash ever published for them, and what they lack.

    \b
    Example:
      ferry catalog show 12.2603

    Changes: nothing.
    """
    manifest = load_manifests(manifest_dirs).find(version)
    if json_output:
        print_json("manifest", manifest)
    else:
        _print_manifest(manifest)


@group.command("lint")
@manifests_option
@json_option
def lint(manifest_dirs: tuple[Path, ...], *, json_output: bool) -> int:
    """Find what is suspicious about the published facts; exit 1 if anything is.

    \b
    Example:
      ferry catalog lint

    Changes: nothing.
    """
    findings = load_manifests(manifest_dirs).lint()
    if json_output:
        print_json("lint", findings)
    else:
        print_table(
            ("VERSION", "KIND", "WHAT", "READ IN"),
            [(item.version, item.kind.value, item.text, item.source) for item in findings],
        )
    return EXIT_NO if findings else 0


@group.command("path")
@click.option("--from", "start", required=True, metavar="VERSION", help="The installed version.")
@click.option(
    "--to", "goal", metavar="VERSION", help="The wanted version. Default: the newest reachable."
)
@manifests_option
@json_option
def path(
    start: str, goal: str | None, manifest_dirs: tuple[Path, ...], *, json_output: bool
) -> int:
    """Show which updates lead from one version to another, in order; exit 1 if no path is supported.

    \b
    Example:
      ferry catalog path --from 11.2509.1001.21 --to 12.2603

    Changes: nothing.
    """
    found = load_manifests(manifest_dirs).path(start, goal)
    if json_output:
        print_json("update-path", found)
    else:
        for number, step in enumerate(found.steps, 1):
            carried = "" if step.importable else "  [online only: no solution bundle to import]"
            echo(f"{number}. {step.start} → {step.version}{carried}")
            echo(f"   {step.text} ({step.confidence})")
            if step.opt_in:
                echo(f"   first: {step.opt_in}")
            for sbe in step.sbe_minimums:
                families = ", ".join(sbe.families)
                then = f", then {sbe.then_with} or later with it" if sbe.then_with else ""
                echo(f"   SBE {sbe.vendor} {families}: {sbe.minimum} or later, {sbe.when}{then}")
        if found.reason:
            echo(found.reason)
        if found.nearest:
            echo(f"nearest that can be reached: {found.nearest}")
    return 0 if found.is_supported else EXIT_NO


@group.command("download")
@click.argument("versions", nargs=-1, metavar="[VERSION...]")
@click.option(
    "--plan",
    "plan_file",
    type=FILE,
    help="Fetch what this plan carries, made by `ferry catalog plan`, instead of naming versions.",
)
@new_catalog_option
@line_options
@reach_options
@manifests_option
@json_option
def download(
    versions: tuple[str, ...],
    plan_file: Path | None,
    catalog_dir: Path,
    urls: tuple[str, ...],
    limits: Limits,
    manifest_dirs: tuple[Path, ...],
    *,
    fetcher: HttpsFetcher,
    json_output: bool,
) -> int:
    """Fetch the payloads of updates and judge them; the same command resumes and repeats safely.

    \b
    Example:
      ferry catalog download --plan plan.json --catalog D:\\catalog
      ferry catalog download 12.2603 --catalog D:\\catalog

    Changes: adds files to the catalog folder, each with its verdict; exit 1 if one is not proven. A bad
    file, or one with another hash than the pinned one, goes to its folder quarantine, with the reasons,
    and the exit code is 3.
    """
    if bool(versions) == (plan_file is not None):
        raise click.UsageError("name versions, or give --plan FILE, one of them")
    manifests = load_manifests(manifest_dirs)
    catalog = Catalog(catalog_dir, fetcher=fetcher)
    progress = TerminalProgress(quiet=json_output)
    if plan_file is not None:
        held = catalog.fetch(
            plan_file, manifests=manifests, urls=urls, limits=limits, progress=progress
        )
    else:
        wanted = [manifests.find(version) for version in versions]
        held = catalog.download(
            *wanted, urls=urls, known=manifests, progress=progress, limits=limits
        )
    print_held(held, json_output=json_output)
    return exit_code(held)


def _print_manifest(manifest: Manifest) -> None:
    facts = {
        "version": manifest.version,
        "OS build": f"{manifest.os_build} ({manifest.version.os_train.value})",
        "available": manifest.available_on,
        "status": manifest.status.value,
        "applies from": manifest.applies_from,
        "supersedes": ", ".join(manifest.supersedes),
        "superseded by": manifest.superseded_by,
        "notes": manifest.notes,
    }
    for name, value in facts.items():
        if value:
            echo(f"{name:14}{value}")
    for payload in manifest.payloads:
        echo(f"\n{payload.name}  ({payload.kind.value})")
        echo(f"  url     {payload.url}")
        echo(f"  pinned  {payload.sha256 or 'no hash can be believed'}")
        if payload.decided:
            echo(f"  decided {payload.decided.on} by {payload.decided.by}: {payload.decided.why}")
        for witness in payload.witnesses:
            remark = f"  [{witness.comment}]" if witness.comment else ""
            echo(f"  witness {witness.value}{remark}")
            echo(f"          {witness.source}, seen {witness.seen_on}")
    echo(f"\n{_LACKING}")
    for name, source in manifest.sources:
        echo(f"{name:14}read in {source}")


group.add_command(sbe)
group.add_command(plan_command)
group.add_command(refresh_command)
group.add_command(_catalog_add.add)
for _command in (*_catalog_upkeep.COMMANDS, *_catalog_exchange.COMMANDS):
    group.add_command(_command)
group.add_command(_catalog_inspect.inspect)
