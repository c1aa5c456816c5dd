"""`ferry run watch` and `show`: how a run goes on, and how it stands."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import click

from toolkit.cli import EXIT_NO
from toolkit.cli._custody import by_option, receipt_scribe, receipts_option, tell_written
from toolkit.cli._output import (
    FOLDER,
    MINUTES,
    SECONDS,
    cluster_option,
    echo,
    json_option,
    print_json,
    site_option,
)
from toolkit.cli._reach import open_cluster, user_option
from toolkit.cli._run_options import read_update, run_options
from toolkit.cluster import Outlook, Seen, Sight, deepest_error, state_result, walk
from toolkit.model import RunState, Step

_TELL_EVERY_S = 300


@click.command("watch")
@run_options
@click.option(
    "--poll-seconds", type=SECONDS, default=30.0, show_default=True,
    help="Pause between looks; polling often starves the update service.",
)  # fmt: skip
@click.option(
    "--patience-minutes", type=MINUTES, default=60.0, show_default=True,
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
    """Follow a run step by step until it ends; close it and open it again whenever you like.

    \b
    Example:
      ferry run watch 12.2603.1002.15 --cluster plant7 --site C:\\ferry-site --user lcmuser

    Changes: nothing. Exit 1: the run failed.
    """
    _, cluster = open_cluster(site_dir, cluster_name, username, quiet=json_output)
    screen = _Screen()
    seen: Seen | None = None
    for seen in cluster.watch(
        read_update(version), poll_s=poll_seconds, patience_s=patience_minutes * 60
    ):
        if not json_output:
            screen.show(seen)
    return (
        EXIT_NO
        if seen is None
        else _finish(
            seen.sight, cluster=cluster.known.name, site_dir=site_dir, json_output=json_output
        )
    )


@click.command("show")
@json_option
@user_option
@site_option
@cluster_option
@click.argument("version", required=False)
@click.option(
    "--run",
    "run_id",
    default="",
    help="An earlier run: its id, or the last part of it; not with --receipt-on.",
)
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
    version: str | None,
    cluster_name: str,
    site_dir: Path,
    username: str | None,
    run_id: str,
    medium: Path | None,
    by: str,
    receipts_dir: Path | None,
    *,
    json_output: bool,
) -> int:
    """Show a run with its whole step tree: the newest one of VERSION, or of the cluster.

    \b
    Example:
      ferry run show 12.2603.1002.15 --cluster plant7 --site C:\\ferry-site --user lcmuser
      ferry run show 12.2603.1002.15 --cluster plant7 --receipt-on E:\\ --by "Ben Okri"

    Changes: nothing, but for one receipt in custody/ on the medium with --receipt-on, once the run has
    ended. Exit 1: the run failed.
    """
    if run_id and not version:
        raise click.UsageError("--run names a run of VERSION: give both")
    if run_id and medium is not None:
        raise click.UsageError("a receipt tells how the update ended: leave out --run")
    scribe = receipt_scribe(
        site_dir, None, by, is_wanted=medium is not None, receipts_dir=receipts_dir
    )
    _, cluster = open_cluster(site_dir, cluster_name, username, quiet=json_output)
    sight = cluster.look(read_update(version) if version else None, run_id=run_id)
    if not json_output and sight.run is not None and sight.run.progress is not None:
        for depth, step in walk(sight.run.progress):
            echo(_step_line(depth, step))
    code = _finish(
        sight,
        cluster=cluster.known.name,
        site_dir=site_dir,
        json_output=json_output,
        is_of_run=bool(run_id),
    )
    if medium is not None and scribe is not None:
        from toolkit.media import Register, describe_medium

        register = Register(label=describe_medium(medium), scribe=scribe, receipts=receipts_dir)
        tell_written(state_result(register, sight, cluster=cluster.known.name))
    return code


class _Screen:
    """Prints what is new since the last look, and every few minutes where the run is."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, ...], str] = {}
        self._told_at = -float("inf")
        self._advised = ""

    def show(self, seen: Seen) -> None:
        """Print what is new."""
        update, run = seen.sight.update, seen.sight.run
        if self._shown.get(()) != update.state_raw:
            self._shown[()] = update.state_raw
            echo(f"update {update.version}: {update.state_raw}")
        if run is not None and run.progress is not None:
            self._show_steps(run.progress, ())
        outlook = seen.outlook
        if outlook is None:
            return
        now = time.monotonic()
        if now - self._told_at >= _TELL_EVERY_S:
            self._told_at = now
            echo(_outlook_line(seen.sight, outlook))
        if outlook.advice != self._advised:
            self._advised = outlook.advice
            if outlook.advice:
                echo(f"  {outlook.step_path[-1]}: {outlook.advice}")

    def _show_steps(self, step: Step, above: tuple[str, ...], *, is_quiet: bool = False) -> None:
        """Print the steps whose status is new; a group that was never seen unfinished, without its steps."""
        path = (*above, step.name)
        is_first = path not in self._shown
        if self._shown.get(path) != step.status:
            self._shown[path] = step.status
            if not is_quiet:
                echo(_step_line(len(above), step))
        is_collapsed = is_quiet or (is_first and step.status == "Success")
        for child in step.steps:
            self._show_steps(child, path, is_quiet=is_collapsed)


def _outlook_line(sight: Sight, outlook: Outlook) -> str:
    words = [f"step {outlook.step_path[-1]}" + (f" ({outlook.node})" if outlook.node else "")]
    if outlook.elapsed is not None:
        took = _hours(outlook.elapsed)
        words.append(f"{took} of about {_hours(outlook.expected)}" if outlook.expected else took)
    if outlook.overdue:
        words.append("overdue")
    if outlook.nodes_done is not None:
        words.append(f"{outlook.nodes_done[0]} of {outlook.nodes_done[1]} nodes done")
    if outlook.stood_still > timedelta(minutes=5):
        words.append(f"nothing new for {_hours(outlook.stood_still)}")
    update = sight.update
    return (
        " ".join(f"{update.version}: {update.state_raw} {update.progress_text} ".split())
        + f", {', '.join(words)}"
    )


def _hours(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _step_line(depth: int, step: Step) -> str:
    took = ""
    if step.started_at and step.ended_at:
        took = f" in {(step.ended_at - step.started_at).total_seconds():.0f} s"
    elif step.expected:
        took = f", expected {step.expected.total_seconds():.0f} s"
    return f"{'  ' * (depth + 1)}{step.name}: {step.status}{took}"


def _finish(
    sight: Sight, *, cluster: str, site_dir: Path, json_output: bool, is_of_run: bool = False
) -> int:
    """Print how it stands; return the exit code: of the update, or of the run alone that was asked for."""
    run = sight.run
    has_failed = sight.has_failed
    if is_of_run and run is not None:
        has_failed = run.state is RunState.Failed
    if json_output:
        print_json("run", sight)
        return EXIT_NO if has_failed else 0
    state = run.state_raw if run else "none"
    echo(f"update {sight.update.version}: {sight.update.state_raw}, run: {state}")
    failed = deepest_error(run.progress) if run and run.progress else None
    if failed is not None:
        words = " ".join(failed.error_message.split())
        echo(f"  failed step: {failed.name}\n  the cluster says: {words}")
    elif run is not None and has_failed and not (run.progress and run.progress.steps):
        echo("  it has no steps: it failed before the first one; its action plan may say why")
    if has_failed:
        echo(
            "  next: do not start it again; collect its evidence, and have it analysed:\n"
            f'    ferry logs collect --cluster {cluster} --site "{site_dir}" -o FILE.zip\n'
            f'    ferry logs analyse FILE.zip --report FILE.html --site "{site_dir}"'
        )
    return EXIT_NO if has_failed else 0
