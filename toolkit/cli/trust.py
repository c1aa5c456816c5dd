"""`ferry trust`: the publisher's keys and the root that every site pins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from toolkit.cli import Noun
from toolkit.cli._output import LocalPath, echo, read_passphrase
from toolkit.media import fingerprint as fingerprint_of
from toolkit.media import init_trust, read_root, read_root_chain

PASSPHRASE_VARIABLE = "FERRY_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable


@click.group(cls=Noun, name="trust")
def group() -> None:
    """Make the publisher's keys, and show the fingerprint that sites pin."""


@group.command("init")
@click.option(
    "--keys",
    "keys_dir",
    required=True,
    type=LocalPath(file_okay=False),
    help="A new or empty folder for the keys.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 36600),
    default=730,
    show_default=True,
    help="How long the root is valid; no medium can outlive it.",
)
def init(keys_dir: Path, days: int) -> None:
    """Make the four signing keys and the root, encrypted with a passphrase.

    \b
    Example:
      ferry trust init --keys C:\\ferry-keys

    Changes: makes the folder and the files in it. The passphrase comes from FERRY_KEY_PASSPHRASE or a
    prompt. Give the printed fingerprint to every site by voice or on paper, never on the medium. Move
    root.pem to a safe place: writing media does not need it.
    """
    passphrase = read_passphrase(PASSPHRASE_VARIABLE, "Passphrase for the keys", confirm=True)
    expires_at = datetime.now(UTC) + timedelta(days=days)
    printed = init_trust(keys_dir, passphrase, expires_at=expires_at)
    echo(f"keys made in {keys_dir}; the root is valid until {expires_at:%Y-%m-%d}", err=True)
    echo(printed)


@group.command("fingerprint")
@click.argument("root_file", required=False, type=LocalPath(exists=True, dir_okay=False))
@click.option(
    "--keys",
    "keys_dir",
    type=LocalPath(exists=True, file_okay=False),
    help="Show the fingerprint of this keys folder's first root instead.",
)
def fingerprint(root_file: Path | None, keys_dir: Path | None) -> None:
    """Print a root's fingerprint in groups of four, for reading aloud.

    \b
    Example:
      ferry trust fingerprint --keys C:\\ferry-keys
      ferry trust fingerprint E:\\AZL-2603-K7Q2\\tuf\\1.root.json

    Changes: nothing.
    """
    if (root_file is None) == (keys_dir is None):
        raise click.UsageError("give a root.json or --keys DIR, one of them")
    root = root_file.read_bytes() if root_file else read_root_chain(keys_dir or Path())[0]
    read_root(root, file=str(root_file or keys_dir))
    echo(fingerprint_of(root))
