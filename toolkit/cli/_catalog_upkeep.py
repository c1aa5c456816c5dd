"""`ferry catalog verify`, `accept`, `status`, `prune`: looking after what is held."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.catalog import Catalog, load_manifests
from toolkit.cli import EXIT_NO
from toolkit.cli._catalog_options import (
    catalog_option,
    exit_code,
    manifests_option,
    print_held,
    verdict_of,
)
from toolkit.cli._output import (
    TerminalProgress,
    echo,
    human_size,
    json_option,
    print_json,
    print_table,
)
from toolkit.errors import InputError
from toolkit.model import FileVerdict

if TYPE_CHECKING:
    from toolkit.catalog import CatalogStatus, Pruning, VerifiedPayload


@click.command("verify")
@click.argument("words", nargs=-1, metavar="[NAME|VERSION]...")
@catalog_option
@click.option("--deep", "is_deep", is_flag=True, help="Compare every checksum inside zips as well.")
@click.option(
    "--quarantine",
    is_flag=True,
    help="Move bad files to quarantine, so that the next download fetches them anew.",
)
@manifests_option
@json_option
def verify(
    words: tuple[str, ...],
    catalog_dir: Path,
    manifest_dirs: tuple[Path, ...],
    *,
    is_deep: bool,
    quarantine: bool,
    json_output: bool,
) -> int:
    """Read held files again, compare them with their hashes, and judge them by today's manifests.

    \b
    Example:
      ferry catalog verify --catalog D:\\catalog
      ferry catalog verify 12.2603 --deep --catalog D:\\catalog

    Changes: records the verdicts; moves bad files with --quarantine; deletes nothing. A read-only catalog
    is verified too.

    Exit codes: 0 all proven, or accepted; 1 one is not; 3 one is bad; 6 one is missing or unreadable; 7 a
    record cannot be understood.
    """
    done = Catalog(catalog_dir).verify(
        words,
        manifests=load_manifests(manifest_dirs),
        is_deep=is_deep,
        quarantine=quarantine,
        progress=TerminalProgress(quiet=json_output),
    )
    if json_output:
        print_json("verified-payloads", done.payloads)
    else:
        _print_verified(done.payloads)
        _print_unclear(done.unclear)
    if done.problem is not None:
        raise done.problem
    return exit_code([item.held for item in done.payloads])


@click.command("accept")
@click.argument("name")
@catalog_option
@click.option("--reason", required=True, help="Why you answer for it; it is signed on the medium.")
@click.option("--by", help="Who answers for it. Default: your account's name.")
@json_option
def accept(name: str, catalog_dir: Path, reason: str, by: str | None, *, json_output: bool) -> None:
    """Answer with your name for a file that its witnesses do not prove, so that it may travel.

    \b
    Example:
      ferry catalog accept SBE_Discovery_Contoso.xml --reason "compared by telephone" --catalog D:\\catalog

    Changes: the file's record; name and reason are signed on every medium that carries it. A bad file, or
    one under an impossible published hash, cannot be accepted.
    """
    held = Catalog(catalog_dir).accept(
        name,
        by=by or _account(),
        reason=reason,
        progress=TerminalProgress(quiet=json_output),
    )
    print_held([held], json_output=json_output)


@click.command("status")
@catalog_option
@json_option
def status(catalog_dir: Path, *, json_output: bool) -> None:
    """Show what the catalog holds, what is unfinished or in quarantine, and the room it takes.

    \b
    Example:
      ferry catalog status --catalog D:\\catalog

    Changes: nothing. Nothing is hashed: use `ferry catalog verify` for that.
    """
    found = Catalog(catalog_dir).status()
    if json_output:
        print_json("catalog-status", found)
    else:
        _print_status(found)


@click.command("prune")
@catalog_option
@click.option(
    "--version",
    "versions",
    multiple=True,
    metavar="VERSION",
    help="An update or SBE shelf that is no longer wanted; repeat for several.",
)
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(0, 36500),
    default=7,
    show_default=True,
    metavar="DAYS",
    help="Leave younger leftovers alone: somebody may go on with them.",
)
@click.option(
    "--plans-older-than",
    "plan_days",
    type=click.IntRange(0, 36500),
    metavar="DAYS",
    help="Plans of that age, too, and what stayed for them alone. Default: every plan stays.",
)
@click.option(
    "--quarantine", "with_quarantine", is_flag=True, help="Quarantined files of that age, too."
)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only say what would go.")
@json_option
def prune_command(
    catalog_dir: Path,
    versions: tuple[str, ...],
    days: int,
    plan_days: int | None,
    *,
    with_quarantine: bool,
    is_dry_run: bool,
    json_output: bool,
) -> int:
    """Remove files that no record and no plan refers to, and downloads nobody goes on with.

    \b
    Example:
      ferry catalog prune --dry-run --catalog D:\\catalog
      ferry catalog prune --version 12.2510.1002.88 --catalog D:\\catalog

    Changes: deletes those files, and with --version that update. Nothing goes that a plan in the catalog
    needs: exit 1 if that was asked for.
    """
    done = Catalog(catalog_dir).prune(
        versions=versions,
        older_than=timedelta(days=days),
        plans_older_than=None if plan_days is None else timedelta(days=plan_days),
        with_quarantine=with_quarantine,
        is_dry_run=is_dry_run,
        progress=TerminalProgress(quiet=json_output),
    )
    if json_output:
        print_json("pruning", done)
    else:
        _print_pruning(done)
    return EXIT_NO if done.kept else 0


COMMANDS = (verify, accept, status, prune_command)


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:  # no such account, or no environment
        raise InputError(
            "say who accepts", found="no account name", hint="name yourself: --by NAME"
        ) from error


def _print_verified(results: Sequence[VerifiedPayload]) -> None:
    print_table(
        ("CONDITION", "SHELF", "PAYLOAD", "SIZE", "VERDICT"),
        [
            (
                item.condition.value,
                item.held.shelf,
                item.held.name,
                human_size(item.held.size_bytes),
                verdict_of(item.held),
            )
            for item in results
        ],
    )
    for item in results:
        echo(f"{item.held.shelf}/{item.held.name}: {verdict_of(item.held)}")
        for reason in (*item.held.judgement.reasons, item.detail):
            if reason:
                echo(f"  - {reason}")
        if item.quarantined:
            echo(f"  moved to quarantine: {item.quarantined}")


def _print_unclear(problems: Sequence[object]) -> None:
    for problem in problems:
        echo(f"cannot be understood: {problem}")


def _print_status(found: CatalogStatus) -> None:
    print_table(
        ("SHELF", "PAYLOAD", "SIZE", "VERDICT"),
        [
            (
                item.held.shelf,
                item.held.name,
                human_size(item.held.size_bytes) if item.is_there else "MISSING",
                verdict_of(item.held),
            )
            for item in found.payloads
        ],
    )
    for name in found.earlier:
        echo(f"recorded by an earlier ferry: {name}; the next download of it takes it over")
    _print_unclear(found.problems)
    for part in found.unfinished:
        total = f" of {human_size(part.total_bytes)}" if part.total_bytes else ""
        echo(f"unfinished: {part.path.name}, {human_size(part.size_bytes)}{total}")
    for path in found.unreferenced:
        echo(f"no record refers to {path.name}: `ferry catalog prune` removes it")
    for path in found.quarantined:
        echo(f"in quarantine: {path.name}")
    for plan in found.plans:
        echo(f"plan {plan.name}: {plan.problem or f'{plan.payload_count} files stay for it'}")
    if not found.has_links:
        echo(
            "not every file has its name on its shelf: this file system has no hard links, or somebody "
            "removed or copied them; only the records count"
        )
    bad = [item for item in found.payloads if item.held.judgement.verdict is FileVerdict.BAD]
    if bad:
        echo(f"{len(bad)} bad: `ferry catalog verify --quarantine` sets them aside")
    free = "unknown" if found.free_bytes is None else human_size(found.free_bytes)
    echo(
        f"{human_size(found.object_bytes)} held, {human_size(found.unfinished_bytes)} unfinished, "
        f"{human_size(found.quarantine_bytes)} in quarantine, {free} free"
    )


def _print_pruning(done: Pruning) -> None:
    print_table(
        ("SIZE", "WHY", "FILE"),
        [(human_size(item.size_bytes), item.why, item.path) for item in done.removed],
    )
    for text in done.kept:
        echo(f"stays: {text}")
    if done.kept:
        echo(
            "  next: plans lie in the catalog's folder plans; delete one that nobody needs any more,"
            " or the old ones with --plans-older-than"
        )
    echo(f"{human_size(done.freed_bytes)} {'would be freed' if done.is_dry_run else 'freed'}")
