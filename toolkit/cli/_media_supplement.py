"""`ferry media request` and `ferry media supplement`: pieces that are missing or bad, asked for and written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli import EXIT_NO
from toolkit.cli._catalog_options import FILE, catalog_option, manifests_option
from toolkit.cli._custody import by_option, note_writing, write_scribe
from toolkit.cli._output import (
    OUTPUT_FILE,
    LocalPath,
    TerminalProgress,
    echo,
    human_size,
    json_option,
    print_json,
    print_table,
    site_option,
    warn,
)
from toolkit.cli._scan import ScanBefore, chosen_scanner, scan_options
from toolkit.media import MEMORY_MB  # the rest within commands: help needs no TUF
from toolkit.signed import SUPPLEMENT_REQUEST, open_key, write_document
from toolkit.site import Site

if TYPE_CHECKING:
    from toolkit.media import Lacking, Medium, Supplement


@click.command("request")
@click.argument(
    "media",
    nargs=-1,
    required=True,
    metavar="MEDIUM...",
    type=LocalPath(exists=True, file_okay=False),
)
@site_option
@click.option(
    "--missing",
    "whole_set",
    is_flag=True,
    help="Of a set over several media, ask for all of those that are not named, too: they are lost.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=OUTPUT_FILE,
    help="The request to write (JSON); an earlier request of that name is replaced.",
)
@json_option
def request(
    media: tuple[Path, ...],
    site_dir: Path,
    output: Path,
    *,
    whole_set: bool,
    json_output: bool,
) -> int:
    """Read media whole, and ask home for what is missing or bad on them, in one small signed file.

    \b
    Example:
      ferry media request E:\\ --site C:\\ferry-site -o plant7.supplement.json

    Where parity lies on the medium, `ferry media repair` comes first: it may make the trip needless. Name its
    scratch folder here, too, and only what it could not repair is asked for. The request travels alone, or with
    the medium (`ferry media return`); at home `ferry media supplement` writes what it asks for.

    Changes: nothing on the media. At the site: the file named, and once a key to sign with; nothing where nothing
    is missing or bad. As with `media verify`, the site remembers a complete medium.

    Exit 1: no piece is missing or bad, but an import refuses a medium whose complete.json is.
    """
    from toolkit.media import find_lacking

    site = Site(site_dir)
    site_id = site.site_id()
    lacking = find_lacking(
        media,
        site.trust_dir,
        whole_set=whole_set,
        progress=TerminalProgress(quiet=json_output),
    )
    fingerprint = None
    if lacking.pieces:
        key = open_key(site.request_key)
        fingerprint = key.fingerprint
        data = lacking.request(site_id=site_id).to_bytes(key)
        write_document(output, data, mark=SUPPLEMENT_REQUEST)
    if json_output:
        file = output if lacking.pieces else None
        print_json(
            "supplement-request", {"file": file, "fingerprint": fingerprint, "lacking": lacking}
        )
        return _exit_code(lacking)
    _tell_lacking(lacking)
    if fingerprint is not None:
        echo(f"{output}: request for them, signed by this site's key {fingerprint}")
        echo("  next: carry it home, or send it with the medium: ferry media return")
    return _exit_code(lacking)


@click.command("supplement")
@click.argument("request_file", metavar="REQUEST", type=FILE)
@catalog_option
@manifests_option
@click.option(
    "--to",
    "root",
    required=True,
    type=LocalPath(file_okay=False),
    help="Root of the mounted medium: another one than holds the set.",
)
@click.option(
    "--parity",
    "parity_percent",
    type=click.IntRange(0, 100),
    help="Per cent of parity beside the pieces; 0: none. Default: 5, where the program par2 is installed.",
)
@by_option("Who writes it; the name stands in the first receipt.")
@scan_options(
    "--hook-before-write",
    "A scanner, run with the path of each payload that pieces are taken from; exit code 0: clean, 1: refuse it.",
)
@json_option
def supplement(
    request_file: Path,
    catalog_dir: Path,
    manifest_dirs: tuple[Path, ...],
    root: Path,
    parity_percent: int | None,
    by: str,
    hook: Path | None,
    hook_minutes: int,
    *,
    json_output: bool,
) -> None:
    """Write what a site asks for again onto a second, small medium of the same set; the same command resumes.

    \b
    Example:
      ferry media supplement plant7.supplement.json --catalog D:\\catalog --to E:\\

    The request must be signed by a key that is known here (`ferry catalog know-key`), and be about a set that
    was written from this catalog and is still valid. Keys of the publisher are not needed: everything is signed
    already. The site names both media: `ferry cluster import E:\\ F:\\`.

    Changes: adds one set folder to the medium; nothing else on it is touched. The first receipt in its custody/
    is signed with the catalog's key; the catalog remembers it, and what was looked into.
    """
    from toolkit.catalog import Catalog, load_manifests  # half of the time to start
    from toolkit.media import choose_parity, prepare_supplement, write_supplement

    progress = TerminalProgress(quiet=json_output)
    parity = choose_parity(parity_percent, memory_mb=MEMORY_MB, progress=progress)
    before = ScanBefore(chosen_scanner(hook, hook_minutes), progress)
    catalog = Catalog(catalog_dir)
    prepared = prepare_supplement(catalog_dir, request_file, keys=catalog.believed_keys())
    warn(*prepared.warnings)
    payloads = catalog.for_supplement(
        prepared.wanted, manifests=load_manifests(manifest_dirs), progress=progress
    )
    scribe = write_scribe(catalog, by)
    medium = write_supplement(
        root, prepared, payloads, parity=parity, before_write=before, progress=progress
    )
    label = medium.describe()
    if json_output:
        print_json("medium-label", label)
    else:
        _tell_written(prepared, medium)
    if scribe is not None:
        note_writing(catalog, medium, scribe, plan=None, scan=before.scan)


def _exit_code(lacking: Lacking) -> int:
    """Return "no" where nothing can be asked for, and an import refuses the media all the same."""
    return EXIT_NO if lacking.unfinished and not lacking.pieces else 0


def _tell_lacking(lacking: Lacking) -> None:
    if lacking.pieces:
        print_table(
            ("FOUND", "SIZE", "FILE"),
            [(piece.found, human_size(piece.size_bytes), piece.path) for piece in lacking.pieces],
        )
        size = human_size(sum(piece.size_bytes for piece in lacking.pieces))
        echo(f"{lacking.set_name}: {len(lacking.pieces)} piece(s) missing or bad, {size}")
    else:
        echo(f"{lacking.set_name}: no piece is missing or bad; nothing was written")
    if lacking.repairable:
        echo(
            f"  first: ferry media repair MEDIUM --scratch DIR; parity lies there for {len(lacking.repairable)} "
            "of them. Then run this again with DIR beside the media"
        )
    if lacking.other_files:
        echo(
            f"  differs too, and no import needs it: {', '.join(lacking.other_files[:5])}", err=True
        )
    if lacking.unfinished:
        echo(
            f"  {', '.join(lacking.unfinished)}: complete.json is missing or bad, and an import insists on it. Where "
            "no piece is, `ferry media repair` stands in for it; else a supplement has one, or the same `ferry media "
            "write` finishes the medium where it was made",
            err=True,
        )
    if lacking.not_named:
        echo(
            f"  not looked at: {', '.join(lacking.not_named)}; of lost ones, everything: --missing",
            err=True,
        )


def _tell_written(prepared: Supplement, medium: Medium) -> None:
    asked = prepared.request
    echo(
        f"{medium.label}: {len(asked.pieces)} piece(s) of {medium.set_name}, {human_size(asked.size_bytes)}, as "
        f"{prepared.signer} asked on {asked.made_at:%Y-%m-%d}; valid until {medium.expires_at:%Y-%m-%d}"
    )
    echo(f"{medium.folder}")
    print_table(
        ("SIZE", "FILE", "SHA-256"),
        [(human_size(piece.size_bytes), piece.path, piece.sha256) for piece in asked.pieces],
    )


COMMANDS = (request, supplement)
