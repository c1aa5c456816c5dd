"""`ferry trust`: the publisher's keys and the root that every site pins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from toolkit.cli import Noun
from toolkit.cli._output import FOLDER, PASSPHRASE_VARIABLE, LocalPath, echo, read_passphrase
from toolkit.cli._trust_ceremony import COMMANDS
from toolkit.media import (
    ROOT_VALID_DAYS,
    init_trust,
    read_root,
    read_root_chain,
    read_root_file,
)
from toolkit.media import fingerprint as fingerprint_of


@click.group(cls=Noun, name="trust")
def group() -> None:
    """Make the publisher's keys, replace them over the years, show the fingerprint that sites pin."""


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
    default=ROOT_VALID_DAYS,
    show_default=True,
    help="How long the root is valid; no medium can outlive it.",
)
@click.option(
    "--root-keys",
    "root_count",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="How many root keys to make; each of several has a passphrase of its own.",
)
@click.option(
    "--root-threshold",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="How many of them must sign a later root.",
)
def init(keys_dir: Path, days: int, root_count: int, root_threshold: int) -> None:
    """Make the signing keys and the root, encrypted with passphrases.

    \b
    Example:
      ferry trust init --keys C:\\ferry-keys
      ferry trust init --keys C:\\ferry-keys --root-keys 3 --root-threshold 2

    Changes: makes the folder and the files in it. The passphrase comes from FERRY_KEY_PASSPHRASE or a
    prompt; several root keys ask for one passphrase each, typed by whoever will hold the key. Give the
    printed fingerprint to every site by voice or on paper, never on the medium. Move the root keys (root.pem,
    or root-<id>.pem) to safe places: writing media does not need them.
    """
    if root_threshold > root_count:
        raise click.BadParameter(
            f"{root_threshold} signatures of {root_count} root keys (expected: at most {root_count})",
            param_hint="--root-threshold",
        )
    passphrase = read_passphrase(PASSPHRASE_VARIABLE, "Passphrase for the keys", confirm=True)
    expires_at = datetime.now(UTC) + timedelta(days=days)
    several = range(1, root_count + 1) if root_count > 1 else ()
    printed = init_trust(
        keys_dir,
        passphrase,
        expires_at=expires_at,
        root_passphrases=[
            read_passphrase(PASSPHRASE_VARIABLE, f"Passphrase for root key {number}", confirm=True)
            for number in several
        ],
        root_threshold=root_threshold,
    )
    echo(f"keys made in {keys_dir}; the root is valid until {expires_at:%Y-%m-%d}", err=True)
    echo(printed)


@group.command("fingerprint")
@click.argument("root_file", required=False, type=LocalPath(exists=True, dir_okay=False))
@click.option(
    "--keys",
    "keys_dir",
    type=FOLDER,
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
    root = read_root_file(root_file) if root_file else read_root_chain(keys_dir or Path())[0]
    read_root(root, file=str(root_file or keys_dir))
    echo(fingerprint_of(root))


for _command in COMMANDS:
    group.add_command(_command)
