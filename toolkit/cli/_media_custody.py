"""`ferry media history`, `hand-over`: who had a set, and what they found."""

from __future__ import annotations

from pathlib import Path

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
from toolkit.cli._output import echo, json_option, print_json, print_table
from toolkit.media import Chain, Entry, Register, describe_medium, read_custody

_MEDIUM = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command("hand-over")
@click.argument("medium", type=_MEDIUM)
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
@click.argument("medium", type=_MEDIUM)
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
      ferry media history E:\\ --site C:\\ferry-site --fingerprint "3f2a 91c0 …"

    At a site only its own receipts are believed; home reads its fingerprint out for --fingerprint.

    Changes: nothing. Exit 1: a receipt is missing, changed, of another set, or signed by a key not known here.
    """
    label = describe_medium(medium)
    chain = read_custody(
        label.folder,
        set_id=label.set_id,
        keys=believed_keys(site_dir, catalog_dir, fingerprints),
        receipts=receipts_dir,
    )
    if json_output:
        print_json("custody", chain_facts(chain, label.set_name))
    else:
        print_chain(chain, label.set_name)
    return 0 if chain.is_whole else EXIT_NO


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
        echo(f"{set_name}: {told}, one unbroken chain; newer ones, if any, are not on this medium")
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


COMMANDS = (hand_over, history)
