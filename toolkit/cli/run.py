"""`ferry run`: prepare, start, watch, show and list update runs."""

from __future__ import annotations

import click

from toolkit.cli import Noun
from toolkit.cli._run_history import history
from toolkit.cli._run_start import prepare, start
from toolkit.cli._run_watch import show, watch


@click.group(cls=Noun, name="run")
def group() -> None:
    """Prepare, start, watch, show and list update runs; always through the cluster's orchestrator.

    In order: prepare, watch, start, watch. After a failed run: ferry logs collect, ferry logs analyse, then start again.
    """


group.add_command(history)
group.add_command(prepare)
group.add_command(show)
group.add_command(start)
group.add_command(watch)
