"""`ferry media`: one signed medium, written on the connected side and proven at the site."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from toolkit.cli import EXIT_NO, Noun
from toolkit.cli._catalog_options import catalog_option, manifests_option
from toolkit.cli._media_audit import audit
from toolkit.cli._output import (
    TerminalProgress,
    echo,
    human_size,
    json_option,
    print_json,
    print_table,
    read_passphrase,
)
from toolkit.cli.trust import PASSPHRASE_VARIABLE
from toolkit.media import (
    MediumLabel,
    MediumReport,
    Verdict,
    describe_medium,
    open_keys,
    open_medium,
    pin_root,
    write_medium,
)

_MEDIUM = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group(cls=Noun, name="media")
def group() -> None:
    """Write a signed medium, verify it, show what it says of itself."""


group.add_command(audit)


@group.command("write")
@click.argument("versions", nargs=-1, metavar="[VERSION...]")
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Write what this plan carries, made by `ferry catalog plan`, instead of naming versions.",
)
@catalog_option
@click.option(
    "--keys",
    "keys_dir",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The keys folder made by `ferry trust init`.",
)
@click.option(
    "--to",
    "root",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Root of the mounted medium.",
)
@click.option(
    "--valid-days",
    type=click.IntRange(1, 3660),
    default=180,
    show_default=True,
    help="Sites refuse the medium afterwards.",
)
@manifests_option
@click.option("--name", "set_name", help="Name of the set folder (A-Z, 0-9, -; 13 at most).")
@json_option
def write(
    versions: tuple[str, ...],
    plan_file: Path | None,
    catalog_dir: Path,
    keys_dir: Path,
    root: Path,
    valid_days: int,
    manifest_dirs: tuple[Path, ...],
    set_name: str | None,
    *,
    json_output: bool,
) -> None:
    """Write one signed set of updates to a medium and read it back; the same command resumes.

    \b
    Example:
      ferry media write --plan plan.json --catalog D:\\catalog --keys C:\\ferry-keys --to E:\\
      ferry media write 12.2603.1002.15 --catalog D:\\catalog --keys C:\\ferry-keys --to E:\\

    Only what is proven, or was accepted by name, is written; each archive is looked into once before. With a
    plan, an SBE that would hide a cluster's updates is refused.

    Changes: adds one set folder to the medium; nothing else on it is touched. The catalog remembers what was
    looked into. The passphrase comes from FERRY_KEY_PASSPHRASE or a prompt.
    """
    from toolkit.catalog import (
        Catalog,
        load_manifests,
    )  # half of the time to start, for writing alone

    if bool(versions) == (plan_file is not None):
        raise click.UsageError("name versions, or give --plan FILE, one of them")
    progress = TerminalProgress(quiet=json_output)
    # first the keys: looking into archives may take an hour
    keys = open_keys(keys_dir, read_passphrase(PASSPHRASE_VARIABLE, "Passphrase for the keys"))
    payloads = Catalog(catalog_dir).for_medium(
        versions,
        plan=plan_file,
        manifests=load_manifests(manifest_dirs),
        progress=progress,
    )
    medium = write_medium(
        root,
        payloads,
        keys=keys,
        expires_at=datetime.now(UTC) + timedelta(days=valid_days),
        set_name=set_name,
        progress=progress,
    )
    _print_label(medium.describe(), json_output=json_output)


@group.command("verify")
@click.argument("medium", type=_MEDIUM)
@click.option(
    "--site",
    "site_dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="FERRY_SITE",
    help="The site directory made by `ferry site init` (or set FERRY_SITE).",
)
@click.option(
    "--root",
    "root_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Without a site: the root.json to trust. Rollback is not checked then.",
)
@click.option(
    "--fingerprint", help="Without a site: that root's fingerprint, from another channel."
)
@click.option("--strict", is_flag=True, help='Let operating-system litter be a "no" as well.')
@json_option
def verify(
    medium: Path,
    site_dir: Path | None,
    root_file: Path | None,
    fingerprint: str | None,
    *,
    strict: bool,
    json_output: bool,
) -> int:
    """Prove who published a medium and every byte on it, reading past the page cache.

    \b
    Example:
      ferry media verify E:\\ --site C:\\ferry-site
      ferry media verify E:\\ --root 1.root.json --fingerprint "3f2a 91c0 …"

    Changes: nothing on the medium. The site remembers a complete medium as the newest it has seen;
    an older one is accepted with a warning while the newest lists everything on it.

    Exit codes: 0 proven; 1 proven, but files lie there that do not belong; 3 not the signed bytes,
    expired, rolled back or not signed under the trusted root; 6 incomplete or unreadable.
    """
    with _trust(site_dir, root_file, fingerprint) as trust_dir:
        opened = open_medium(medium, trust_dir, accept_incomplete=True)
        report = opened.verify(TerminalProgress(quiet=json_output))
    if json_output:
        print_json("medium-report", report)
    else:
        _print_report(report)
    if problem := report.problem():
        raise problem
    return 0 if report.is_tidy(strict=strict) else EXIT_NO


@group.command("show")
@click.argument("medium", type=_MEDIUM)
@json_option
def show(medium: Path, *, json_output: bool) -> None:
    """Show what a medium says of itself; not verified.

    \b
    Example:
      ferry media show E:\\

    Changes: nothing. Nobody has proven what is shown: use `ferry media verify` for that.
    """
    _print_label(describe_medium(medium), json_output=json_output)


@contextlib.contextmanager
def _trust(
    site_dir: Path | None, root_file: Path | None, fingerprint: str | None
) -> Iterator[Path]:
    if root_file is not None and fingerprint is not None:
        with tempfile.TemporaryDirectory(prefix="ferry-root-") as borrowed:
            pin_root(Path(borrowed), root_file.read_bytes(), fingerprint)
            yield Path(borrowed)
    elif root_file is None and fingerprint is None and site_dir is not None:
        yield site_dir / "trust"
    else:
        raise click.UsageError("give --site DIR, or --root FILE together with --fingerprint")


def _print_label(label: MediumLabel, *, json_output: bool) -> None:
    if json_output:
        print_json("medium-label", label)
        return
    state = "complete" if label.is_complete else "NOT COMPLETE"
    proof = "verified" if label.is_verified else "NOT VERIFIED: nobody has proven what stands here"
    echo(f"{label.set_name}  {state}, valid until {label.expires_at:%Y-%m-%d}  ({proof})")
    echo(f"{label.folder}")
    print_table(
        ("PAYLOAD", "SIZE", "SHA-256"),
        [(name, human_size(size), digest) for name, size, digest in label.payloads],
    )


def _print_report(report: MediumReport) -> None:
    for warning in report.warnings:
        echo(f"warning: {warning}", err=True)
    print_table(
        ("VERDICT", "FILE", "DETAIL"),
        [(file.verdict.value, file.path, file.detail) for file in report.files],
    )
    good = len(report.having(Verdict.OK))
    echo(
        f"{report.set_name}: {good} of {len(report.files)} files ok, read with {report.read_method}, "
        f"valid until {report.expires_at:%Y-%m-%d}"
    )
