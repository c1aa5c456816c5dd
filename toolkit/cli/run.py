"""`ferry run`: prepare, start, watch, show and list update runs."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.cli import EXIT_NO, Noun
from toolkit.cli._custody import by_option, receipt_scribe, receipts_option, tell_written
from toolkit.cli._output import FOLDER, echo, print_json, read_version
from toolkit.cli._reach import open_cluster
from toolkit.cli._run_history import history
from toolkit.cli._run_options import run_options
from toolkit.cli._run_start import prepare, start
from toolkit.cluster import Sight, deepest_error, state_result, walk
from toolkit.model import Step


@click.group(cls=Noun, name="run")
def group() -> None:
    """Prepare, start, watch, show and list update runs; always through the cluster's orchestrator."""


group.add_command(history)
group.add_command(prepare)
group.add_command(start)


@group.command("watch")
@run_options
@click.option(
    "--poll-seconds", type=click.FloatRange(min=0.1), default=30.0, show_default=True,
    help="Pause between looks; polling often starves the update service.",
)  # fmt: skip
@click.option(
    "--patience-minutes", type=click.FloatRange(min=0), default=60.0, show_default=True,
    help="How long no node at all may answer (nodes restart) before we give up.",
)  # fmt: skip
def watch(
    version: str,
    cluster_name: str,
    site_dir: Path,
    username: str | None,
    poll_seconds: float,
    patience_minutes: float,
    *,
    json_output: bool,
) -> int:
    """Follow a run step by step until it ends; may be closed and opened again at any time.

    \b
    Example:
      ferry run watch 12.2603.1002.15 --cluster plant7 --site C:\\ferry-site --user lcmuser

    Changes: nothing. Exit 1: the run failed.
    """
    _, cluster = open_cluster(site_dir, cluster_name, username, quiet=json_output)
    shown: dict[tuple[str, ...], str] = {}
    sight: Sight | None = None
    for sight in cluster.watch(
        read_version(version), poll_s=poll_seconds, patience_s=patience_minutes * 60
    ):
        if not json_output:
            _print_changes(sight, shown)
    return _finish(sight, json_output=json_output)


@group.command("show")
@run_options
@click.option(
    "--receipt-on",
    "medium",
    metavar="MEDIUM",
    type=FOLDER,
    help="Add a signed receipt of the result to the medium that the update came on.",
)
@by_option("Who answers for that receipt.")
@receipts_option
def show(
    version: str,
    cluster_name: str,
    site_dir: Path,
    username: str | None,
    medium: Path | None,
    by: str,
    receipts_dir: Path | None,
    *,
    json_output: bool,
) -> int:
    """Show an update's newest run with its whole step tree.

    \b
    Example:
      ferry run show 12.2603.1002.15 --cluster plant7 --site C:\\ferry-site --user lcmuser
      ferry run show 12.2603.1002.15 --cluster plant7 --receipt-on E:\\ --by "Ben Okri"

    Changes: nothing, but for one receipt in custody/ on the medium with --receipt-on, once the run has
    ended. Exit 1: the run failed.
    """
    scribe = receipt_scribe(
        site_dir, None, by, is_wanted=medium is not None, receipts_dir=receipts_dir
    )
    _, cluster = open_cluster(site_dir, cluster_name, username, quiet=json_output)
    sight = cluster.look(read_version(version))
    if not json_output and sight.run is not None and sight.run.progress is not None:
        for depth, step in walk(sight.run.progress):
            echo(_step_line(depth, step))
    code = _finish(sight, json_output=json_output)
    if medium is not None and scribe is not None:
        from toolkit.media import Register, describe_medium

        register = Register(label=describe_medium(medium), scribe=scribe, receipts=receipts_dir)
        tell_written(state_result(register, sight, cluster=cluster.known.name))
    return code


def _print_changes(sight: Sight, shown: dict[tuple[str, ...], str]) -> None:
    """Print the update's state and the steps whose status is new since the last look."""
    if shown.get(()) != sight.update.state_raw:
        shown[()] = sight.update.state_raw
        echo(f"update {sight.update.version}: {sight.update.state_raw}")
    if sight.run is None or sight.run.progress is None:
        return
    path: list[str] = []
    for depth, step in walk(sight.run.progress):
        path[depth:] = [step.name]
        if shown.get(tuple(path)) != step.status:
            shown[tuple(path)] = step.status
            echo(_step_line(depth, step))


def _step_line(depth: int, step: Step) -> str:
    took = ""
    if step.started_at and step.ended_at:
        took = f" in {(step.ended_at - step.started_at).total_seconds():.0f} s"
    elif step.expected:
        took = f", expected {step.expected.total_seconds():.0f} s"
    return f"{'  ' * (depth + 1)}{step.name}: {step.status}{took}"


def _finish(sight: Sight | None, *, json_output: bool) -> int:
    if sight is None:
        return EXIT_NO
    if json_output:
        print_json("run", sight)
    else:
        state = sight.run.state_raw if sight.run else "none"
        echo(f"update {sight.update.version}: {sight.update.state_raw}, run: {state}")
        failed = deepest_error(sight.run.progress) if sight.run and sight.run.progress else None
        if failed is not None:
            words = " ".join(failed.error_message.split())
            echo(f"  failed step: {failed.name}\n  the cluster says: {words}")
        if sight.has_failed:
            echo("  next: ferry logs collect, then ferry logs analyse; do not start it again")
    return EXIT_NO if sight.has_failed else 0
