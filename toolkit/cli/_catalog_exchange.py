"""`ferry catalog export`, `import`, `know-key`: sharing what is held with colleagues."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.catalog import Catalog, load_manifests
from toolkit.cli._catalog_options import (
    FILE,
    catalog_option,
    exit_code,
    manifests_option,
    new_catalog_option,
    print_held,
)
from toolkit.cli._output import FOLDER, LocalPath, TerminalProgress, echo, json_option, print_json


@click.command("export")
@click.argument("folder", metavar="DIR", type=LocalPath(file_okay=False))
@click.argument("words", nargs=-1, metavar="[VERSION]...")
@catalog_option
@click.option(
    "--plan",
    type=FILE,
    help="A plan whose files to take.",
)
@json_option
def export(
    folder: Path, words: tuple[str, ...], catalog_dir: Path, plan: Path | None, *, json_output: bool
) -> None:
    """Put held files into a folder for a colleague, with a signed list; the same command goes on.

    \b
    Example:
      ferry catalog export E:\\for-anna 12.2603 --catalog D:\\catalog

    Changes: makes the folder a catalog of its own, with hard links on the same disk and hashed copies
    elsewhere. The first export makes the catalog's signing key. Give the printed fingerprint to your
    colleague by voice.
    """
    done = Catalog(catalog_dir).export(
        folder,
        words,
        plan=plan,
        progress=TerminalProgress(quiet=json_output),
    )
    if json_output:
        print_json("catalog-export", done)
        return
    print_held(done.payloads, json_output=False)
    echo(f"{len(done.payloads)} files in {folder}, {done.linked} of those sent now are links")
    echo(f"signed by {done.fingerprint}")


@click.command("import")
@click.argument("folder", metavar="DIR", type=FOLDER)
@new_catalog_option
@manifests_option
@json_option
def import_(
    folder: Path, catalog_dir: Path, manifest_dirs: tuple[Path, ...], *, json_output: bool
) -> int:
    """Take in what a colleague exported: its signer must be known, and every file is hashed.

    \b
    Example:
      ferry catalog import E:\\from-ben --catalog D:\\catalog

    Changes: adds the files to the catalog; the colleague becomes one of their witnesses. Nothing is taken
    that contradicts a pinned hash. Exit 1 if a file is not proven.
    """
    held = Catalog(catalog_dir).import_from(
        folder,
        manifests=load_manifests(manifest_dirs),
        progress=TerminalProgress(quiet=json_output),
    )
    print_held(held, json_output=json_output)
    return exit_code(held)


@click.command("know-key")
@click.argument("file", type=FILE)
@new_catalog_option
@click.option("--name", required=True, help="Who holds the key: a site or a colleague.")
@click.option("--fingerprint", required=True, help="The key's fingerprint, from another channel.")
@json_option
def know_key_command(
    file: Path, catalog_dir: Path, name: str, fingerprint: str, *, json_output: bool
) -> None:
    """Believe the key that signed a site's request or receipt, or a colleague's export.

    \b
    Example:
      ferry catalog know-key request.json --name plant7 --fingerprint "3f2a 91c0 …" --catalog D:\\catalog

    Changes: adds the key to known-keys.json in the catalog, if the fingerprint is its own. Have it read
    to you over the telephone, never take it from the file's own sender by the same way.
    """
    known = Catalog(catalog_dir).know_key(
        file,
        name=name,
        fingerprint=fingerprint,
        progress=TerminalProgress(quiet=json_output),
    )
    if json_output:
        print_json("known-key", known)
    else:
        other = "" if known.name == name.strip() else f"; it keeps that name, and is not {name} too"
        echo(f"{known.name} is known since {known.known_since:%Y-%m-%d}{other}")


COMMANDS = (export, import_, know_key_command)
