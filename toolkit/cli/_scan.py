"""The options that name a scanner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli._output import F, LocalPath

if TYPE_CHECKING:
    from toolkit.media import Scan, Scanner
    from toolkit.model import HeldPayload, Progress

_MINUTES = 240


def scan_options(option: str, help_text: str) -> Callable[[F], F]:
    """Add the option that names a program, and `--hook-timeout MINUTES`."""

    def add(command: F) -> F:
        timeout = click.option(
            "--hook-timeout",
            "hook_minutes",
            type=click.IntRange(min=1),
            default=_MINUTES,
            show_default=True,
            help="Minutes that one run of the scanner may take.",
        )
        hook = click.option(
            option,
            "hook",
            metavar="PROGRAM",
            type=LocalPath(exists=True, dir_okay=False),
            help=help_text,
        )
        return hook(timeout(command))

    return add


def chosen_scanner(hook: Path | None, minutes: int) -> Scanner | None:
    """Return the scanner that was named, before hours of work; None: none was.

    Raises:
        InputError: Nothing that can be run.
        StorageError: It cannot be read.
    """
    if hook is None:
        return None
    from toolkit.media import Scanner

    return Scanner.choose(hook, timeout_s=60 * minutes)


@dataclass(slots=True)
class ScanBefore:
    """Has payloads scanned before the first of them is written, where a scanner was named."""

    scanner: Scanner | None
    progress: Progress
    scan: Scan | None = None
    """What it said; None: nothing was scanned."""

    def __call__(self, payloads: Sequence[HeldPayload]) -> None:
        """Scan them.

        Raises:
            TrustError: The scanner found something.
            InputError: It could not be run, or gave no verdict.
        """
        if self.scanner is not None:
            from toolkit.media import scan_payloads

            self.scan = scan_payloads(self.scanner, payloads, progress=self.progress)
