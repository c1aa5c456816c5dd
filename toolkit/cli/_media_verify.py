"""What `ferry media verify` prints, writes down and concludes of one medium or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli import EXIT_NO
from toolkit.cli._custody import tell_written, telling_only_if
from toolkit.cli._output import echo, human_size, print_json, print_table, warn

if TYPE_CHECKING:
    from toolkit.media import Examined, MediumReport, Scribe

_GRAVEST_FIRST = (3, 6, 7, EXIT_NO, 0)


def check_media(media: Sequence[Path], receipts_dir: Path | None) -> None:
    """Refuse media that cannot be examined in one command.

    Raises:
        UsageError: One is named twice, or several share a folder of receipts.
    """
    if len({medium.resolve() for medium in media}) < len(media):
        raise click.UsageError("a medium is named twice")
    if receipts_dir is not None and len(media) > 1:
        raise click.UsageError(
            "each medium has receipts of its own: with --receipts, name one medium"
        )


def tell_examined(found: Sequence[Examined], *, strict: bool, json_output: bool) -> None:
    """Print the report of each medium, then how much of each set is there and good."""
    from toolkit.media import sets_of

    if len(found) == 1:
        if found[0].report is not None:
            _tell_report(found[0].report, json_output=json_output)
        return
    if json_output:
        print_json("medium-reports", [_row(item, strict=strict) for item in found])
        return
    for item in found:
        echo(f"{item.root}")
        if item.report is not None:
            _tell_report(item.report, json_output=False)
        if item.made_good:
            count = len(item.made_good)
            echo(
                f"{count} file(s) missing or bad here are good elsewhere: import from all of these"
            )
        echo("")
    for state in sets_of(found):
        echo(str(state))


def add_receipts(found: Sequence[Examined], scribe: Scribe, receipts_dir: Path | None) -> None:
    """Add a receipt of what was found to each medium that was read."""
    from toolkit.media import Register

    for item in found:
        if item.medium is None or item.report is None:
            continue
        with telling_only_if(item.problem):
            label = item.medium.describe()
            register = Register(label=label, scribe=scribe, receipts=receipts_dir)
            tell_written(register.verify(item.report, item.scan))


def conclude(found: Sequence[Examined], *, strict: bool) -> int:
    """Return the exit code: the gravest of all media.

    Raises:
        ToolkitError: What is wrong with the only medium.
    """
    if len(found) == 1 and found[0].problem is not None:
        raise found[0].problem
    for item in found:
        if item.problem is not None:
            echo(f"ferry: {item.root}: {item.problem}", err=True)
            if item.problem.hint:
                echo(f"  next: {item.problem.hint}", err=True)
    return min((_exit_code(item, strict=strict) for item in found), key=_GRAVEST_FIRST.index)


def _exit_code(item: Examined, *, strict: bool) -> int:
    if item.problem is not None:
        return item.problem.exit_code
    return 0 if item.report is not None and item.report.is_tidy(strict=strict) else EXIT_NO


def _row(item: Examined, *, strict: bool) -> dict[str, object]:
    return {
        "medium": item.root,
        "report": item.report,
        "problem": None if item.problem is None else str(item.problem),
        "made_good": item.made_good,
        "exit_code": _exit_code(item, strict=strict),
    }


def _tell_report(report: MediumReport, *, json_output: bool) -> None:
    from toolkit.media import Verdict

    if json_output:
        print_json("medium-report", report)
        return
    for warning in report.warnings:
        warn(warning)
    print_table(
        ("VERDICT", "FILE", "DETAIL"),
        [(file.verdict.value, file.path, file.detail) for file in report.files],
    )
    good = len(report.having(Verdict.OK))
    echo(
        f"{report.label}: {good} of {len(report.files)} files ok, read with {report.read_method}{_at(report)}, "
        f"valid until {report.expires_at:%Y-%m-%d}"
    )
    if report.supplement:
        echo(
            f"a supplement: {len(report.supplement)} piece(s) of {report.set_name}, to be used together with the "
            "medium that lacks them"
        )


def _at(report: MediumReport) -> str:
    speed = report.read_bytes_per_s
    return "" if speed is None else f" at {human_size(speed)}/s"
