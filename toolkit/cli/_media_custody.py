"""`ferry media history`, `hand-over`, `return`, `receive`: who had a set, what they found, what came back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli import EXIT_NO
from toolkit.cli._custody import (
    believed_keys,
    by_option,
    place_options,
    receipts_option,
    scribe,
    tell_written,
)
from toolkit.cli._output import (
    FOLDER,
    LocalPath,
    TerminalProgress,
    echo,
    human_size,
    json_option,
    print_json,
    print_table,
    site_option,
)

if TYPE_CHECKING:
    from toolkit.media import Chain, Entry, Homecoming


@click.command("hand-over")
@click.argument("medium", type=FOLDER)
@click.option("--to", metavar="NAME", required=True, help="Who takes the medium.")
@by_option("Who hands it over and answers for this receipt.", required=True)
@place_options
@receipts_option
@json_option
def hand_over(
    medium: Path,
    to: str,
    by: str,
    site_dir: Path | None,
    catalog_dir: Path | None,
    receipts_dir: Path | None,
    *,
    json_output: bool,
) -> None:
    """Write down, signed, that a medium goes from one person to another.

    \b
    Example:
      ferry media hand-over E:\\ --to "Ben Okri" --by "Ada Lund" --catalog D:\\catalog

    Nothing on the medium is read or proven by this: it says who had it when.

    Changes: adds one receipt to custody/ on the medium, or to the folder of --receipts.
    """
    from toolkit.media import Register, describe_medium

    register = Register(
        label=describe_medium(medium),
        scribe=scribe(site_dir, catalog_dir, by),
        receipts=receipts_dir,
    )
    written = register.hand_over(to)
    if json_output:
        print_json("receipt", written)
    else:
        echo(f"{written.receipt.set_name}: {by} handed it to {to}")
    tell_written(written)


@click.command("history")
@click.argument("medium", type=FOLDER)
@place_options
@click.option(
    "--fingerprint",
    "fingerprints",
    multiple=True,
    help="Believe this key too, for this once: its fingerprint, from another channel; may be repeated.",
)
@receipts_option
@json_option
def history(
    medium: Path,
    site_dir: Path | None,
    catalog_dir: Path | None,
    fingerprints: tuple[str, ...],
    receipts_dir: Path | None,
    *,
    json_output: bool,
) -> int:
    """Print the receipts of a set in order, and every place where their chain does not hold.

    \b
    Example:
      ferry media history E:\\ --catalog D:\\catalog
      ferry media history E:\\ --site C:\\ferry-site

    At home the keys that `ferry catalog know-key` made known are believed. At a site these are its own, and
    home's, which the medium's signed metadata vouch for; others with --fingerprint.

    Changes: nothing. Exit 1: a receipt is missing, changed, of another set, or signed by a key not known here.
    """
    from toolkit.media import describe_medium, read_custody

    label = describe_medium(medium)
    chain = read_custody(
        label.folder,
        set_id=label.set_id,
        keys=believed_keys(medium, site_dir, catalog_dir, fingerprints),
        receipts=receipts_dir,
    )
    if json_output:
        print_json("custody", chain_facts(chain, label.set_name))
    else:
        print_chain(chain, label.set_name)
    return 0 if chain.is_whole else EXIT_NO


@click.command("return")
@click.argument("medium", type=FOLDER)
@click.argument(
    "files",
    nargs=-1,
    metavar="[FILE...]",
    type=LocalPath(exists=True, dir_okay=False),
)
@site_option
@by_option("Who sends it home and answers for this receipt.", required=True)
@receipts_option
@json_option
def return_(
    medium: Path,
    files: tuple[Path, ...],
    site_dir: Path,
    by: str,
    receipts_dir: Path | None,
    *,
    json_output: bool,
) -> None:
    """Send a medium home with requests and sealed files, named one by one in a signed receipt.

    \b
    Example:
      ferry media return E:\\ request.json plant7-logs.zip.age --by "Ben Okri" --site C:\\ferry-site

    FILE is a signed request, or a file in the age format, which only home can open: nothing else may lie on a
    medium that could be lost.

    Changes: copies the files into return/ on the medium and adds one receipt to its custody/; with --receipts
    both go into that folder.
    """
    from toolkit.media import Register, describe_medium, put_returns

    label = describe_medium(medium)
    register = Register(label=label, scribe=scribe(site_dir, None, by), receipts=receipts_dir)
    sent = put_returns(
        receipts_dir or label.folder, files, progress=TerminalProgress(quiet=json_output)
    )
    written = register.going_home([item.as_fact() for item in sent])
    if json_output:
        print_json("receipt", written)
    else:
        print_table(
            ("FILE", "SIZE", "SHA-256"),
            [(item.path.name, human_size(item.size_bytes), item.sha256) for item in sent],
        )
    tell_written(written)


@click.command("receive")
@click.argument("medium", type=FOLDER)
@click.option(
    "--catalog",
    "catalog_dir",
    required=True,
    type=FOLDER,
    help="The catalog folder from which the set was written.",
)
@receipts_option
@json_option
def receive(
    medium: Path, catalog_dir: Path, receipts_dir: Path | None, *, json_output: bool
) -> int:
    """Take in a medium that came home: is it the set that left, what did each site do, what does it bring?

    \b
    Example:
      ferry media receive E:\\ --catalog D:\\catalog

    A site is closed when it verified the set, and imported it with a known result on every cluster. Requests
    are taken in when their key is known, other files when a receipt of a known site names them.

    Changes: nothing on the medium. Copies receipts, requests and files into received/ in the catalog; the same
    command again copies nothing twice. Exit 1: a site is open, the chain breaks, the set is not the one that
    left, or a file was refused.
    """
    from toolkit.catalog import Catalog  # half of the time to start
    from toolkit.media import receive_medium

    came = receive_medium(
        medium,
        catalog_dir,
        keys=Catalog(catalog_dir).believed_keys(),
        receipts=receipts_dir,
        progress=TerminalProgress(quiet=json_output),
    )
    if json_output:
        print_json("received-medium", homecoming_facts(came))
    else:
        _print_homecoming(came)
    return 0 if came.is_closed else EXIT_NO


def homecoming_facts(came: Homecoming) -> dict[str, object]:
    """Return a homecoming as it is printed with `--json`."""
    return {
        **chain_facts(came.chain, came.set_name),
        "is_closed": came.is_closed,
        "differences": came.differences,
        "notes": came.notes,
        "sites": [{**dataclasses.asdict(site), "is_closed": site.is_closed} for site in came.sites],
        "taken": came.taken,
    }


def _print_homecoming(came: Homecoming) -> None:
    print_chain(came.chain, came.set_name)
    for difference in came.differences:
        echo(f"  not the set that left: {difference}")
    for note in came.notes:
        echo(f"  note: {note}")
    for item in came.taken:
        echo(f"{item.name}: {item.taking}, {item.text}")
    for site in came.sites:
        who = site.signer or f"site {site.site_id}"
        clusters = f" ({', '.join(site.clusters)})" if site.clusters else ""
        state = "closed" if site.is_closed else "OPEN: " + "; ".join(site.lacking)
        echo(f"{who}{clusters}: {state}")
    if not came.sites:
        echo("OPEN: no site that is known here has left a receipt")


def chain_facts(chain: Chain, set_name: str) -> dict[str, object]:
    """Return a chain as it is printed with `--json`."""
    return {
        "set_id": chain.set_id,
        "set_name": set_name,
        "is_whole": chain.is_whole,
        "entries": chain.entries,
        "breaks": chain.breaks,
    }


def print_chain(chain: Chain, set_name: str) -> None:
    """Print receipts in order, then every place where they do not hold together."""
    print_table(("NO", "RECEIPT", "WHEN", "BY", "SIGNED BY", "SAYS"), map(_row, chain.entries))
    for seen in chain.breaks:
        echo(f"  {seen.flaw}: {seen.text}")
    count = len(chain.entries)
    told = f"{count} receipt{'' if count == 1 else 's'}"
    if not chain.entries:
        echo(f"{set_name}: no receipts")
    elif chain.is_whole:
        echo(
            f"{set_name}: {told}, one unbroken chain (no chain can tell if newer ones were removed)"
        )
    else:
        echo(f"{set_name}: {told}, the chain breaks in {len(chain.breaks)} place(s)")


def _row(entry: Entry) -> tuple[object, ...]:
    receipt = entry.receipt
    if receipt is None:
        return (entry.counter or "?", entry.name, "", "", "", "")
    behind = " (clock behind)" if receipt.is_clock_behind else ""
    return (
        receipt.counter,
        receipt.kind,
        f"{receipt.at:%Y-%m-%d %H:%M} UTC{behind}",
        receipt.by or "nobody named",
        entry.signer or "unknown key",
        ", ".join(f"{name} {_shown(value)}" for name, value in receipt.facts.items()),
    )


def _shown(value: object) -> str:
    match value:
        case list():
            return f"{len(value)}"
        case dict():
            return " ".join(f"{name}:{_shown(item)}" for name, item in value.items())
        case str() if len(value) == 64:
            return f"{value[:12]}…"
        case _:
            return str(value)


COMMANDS = (hand_over, history, return_, receive)
