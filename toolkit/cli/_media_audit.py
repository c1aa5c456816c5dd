"""`ferry media audit`: any bag, by its hashes, without keys and without a site."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.cli import EXIT_NO
from toolkit.cli._output import (
    FOLDER,
    TerminalProgress,
    echo,
    human_size,
    json_option,
    print_json,
    print_table,
)


@click.command("audit")
@click.argument("bag", type=FOLDER)
@json_option
def audit(bag: Path, *, json_output: bool) -> int:
    """Compare a medium, or any BagIt bag, with its own manifests: hashes only.

    It proves that everything is there as it was packed, not who packed it; for that: ferry media verify.

    \b
    Example:
      ferry media audit E:\\

    Changes: nothing, neither on the medium nor at the site.

    Exit codes: 0 valid (names that other systems could not keep are told); 1 files below data/ that are
    in no manifest or not in each; 3 other bytes than listed; 6 incomplete or unreadable; 7 against the
    rules of BagIt.
    """
    from toolkit.media import audit_bag

    report = audit_bag(bag, progress=TerminalProgress(quiet=json_output))
    if json_output:
        print_json("bag-report", report)
    else:
        if report.findings:
            print_table(
                ("FOUND", "FILE", "DETAIL"),
                [(item.fault.value, item.path, item.detail) for item in report.findings],
            )
        echo(
            f"{report.folder.name}: {report.good_files} files ({human_size(report.good_bytes)}) as listed "
            f"by {', '.join(report.algorithms) or 'nobody'}, read with {report.read_method}\n"
            "hashes only: this proves completeness, not who wrote it"
        )
    if problem := report.problem():
        raise problem
    return 0 if report.is_valid else EXIT_NO
