"""`ferry run prepare` and `ferry run start`: judged by checks made now, and by what is known of earlier runs."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from toolkit.catalog import load_manifests
from toolkit.cli._catalog_options import manifests_option
from toolkit.cli._output import F, echo, print_json
from toolkit.cli._reach import open_baseline, open_cluster, written_reason
from toolkit.cli._run_options import read_update, run_options
from toolkit.cluster import CHECKS, CheckId, Grounds, Started, Window, Wish


def _check_names(
    context: click.Context, parameter: click.Parameter, names: tuple[str, ...]
) -> frozenset[CheckId]:
    known = {check.id for check in CHECKS}
    if strange := [name for name in names if name not in known]:
        raise click.BadParameter(
            f"no check is called {', '.join(strange)}; `ferry cluster check` names them",
            ctx=context,
            param=parameter,
        )
    return frozenset(map(CheckId, names))


class _Instant(click.ParamType[datetime]):
    """A time as ISO 8601 writes it; without a zone it is of this machine's."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the time with its zone."""
        at = again = None
        if len(value.strip()) > len("2026-11-28"):  # a day alone is no time
            with contextlib.suppress(ValueError, OverflowError):
                given = datetime.fromisoformat(value.strip())
                at, again = (given.replace(fold=fold).astimezone() for fold in (0, 1))
        if at != again:
            self.fail(
                f"{value!r} comes twice or never: this machine's clock is set forward or back then; write it with the "
                "offset from UTC, such as 2026-11-28T22:00+01:00",
                param,
                ctx,
            )
        if at is None:
            self.fail(
                f"{value!r} is no time such as 2026-11-28T22:00 (of this machine's zone) or "
                "2026-11-28T22:00+01:00",
                param,
                ctx,
            )
        return at


_OPTIONS = (
    click.option(
        "--accept-warnings",
        "accepted",
        metavar="CHECK",
        multiple=True,
        callback=_check_names,
        help="Answer for what this check warns of, or could not find out; once for each check. It goes to "
        "the journal. What is critical cannot be accepted.",
    ),
    click.option(
        "--i-have-fixed",
        "fixed",
        metavar="REASON",
        default="",
        callback=written_reason,
        help="After a failed run whose evidence was analysed: what you did about its cause, in at least 10 "
        "letters. It goes to the journal.",
    ),
    click.option(
        "--dry-run", is_flag=True, help="Say whether it would be allowed; change nothing."
    ),
)


def _start_options(command: F) -> F:
    for option in reversed(_OPTIONS):
        command = option(command)
    return run_options(manifests_option(command))


@click.command("prepare")
@_start_options
def prepare(
    version: str,
    cluster_name: str,
    site_dir: Path,
    username: str | None,
    accepted: frozenset[CheckId],
    fixed: str,
    manifest_dirs: tuple[Path, ...],
    *,
    dry_run: bool,
    json_output: bool,
) -> None:
    """Let the cluster prepare an update and check its own health; nothing is installed.

    Refused is only what would stop the preparation itself; what stands against a start is shown by
    `ferry cluster check`.

    \b
    Example:
      ferry run prepare 12.2603.1002.15 --cluster plant7 --site C:\\ferry-site --user lcmuser

    Changes: the cluster stages the update's files (Start-SolutionUpdate -PrepareOnly).
    Exit 5: refused, each reason with what to do; nothing was started.
    """
    _start(
        version,
        Wish(prepare_only=True, accepted=accepted, fixed=fixed),
        (site_dir, cluster_name, username),
        manifest_dirs,
        dry_run=dry_run,
        json_output=json_output,
    )


@click.command("start")
@_start_options
@click.option(
    "--not-before",
    type=_Instant(),
    help="Judge now, wait until this time by the nodes' clocks, judge again, then start.",
)
@click.option(
    "--must-end-by",
    type=_Instant(),
    help="Refuse if it is not expected to end by then: by what such runs took on this cluster, or else by "
    "what is published.",
)
def start(
    version: str,
    cluster_name: str,
    site_dir: Path,
    username: str | None,
    accepted: frozenset[CheckId],
    fixed: str,
    not_before: datetime | None,
    must_end_by: datetime | None,
    manifest_dirs: tuple[Path, ...],
    *,
    dry_run: bool,
    json_output: bool,
) -> None:
    """Start an update when everything was found ready; nodes are drained and restarted one after the other.

    The checks of `ferry cluster check` are made first. What is critical refuses the start; each warning, and
    each check without an answer, is accepted by name. After a failed run its evidence is analysed first
    (`ferry logs analyse FILE --site DIR`).

    What the static payload lacks: images for Azure Resource Bridge and AKS are fetched from the
    internet during the update, unless this is a disconnected-operations cluster.

    \b
    Example:
      ferry run start 12.2603.1002.15 --cluster plant7 --site C:\\ferry-site --user lcmuser
      ferry run start SBE4.2.2603.1 --cluster plant7 --site C:\\ferry-site --user lcmuser
      ferry run start 12.2603.1002.15 --cluster plant7 --site C:\\ferry-site --not-before 2026-11-28T22:00

    Changes: the cluster installs the update (Start-SolutionUpdate).
    Exit 5: refused, each reason with what to do; nothing was started. Exit 4: not
    reached; where a reply was lost it says whether the run began, or that this is unknown.
    """
    _start(
        version,
        Wish(
            accepted=accepted,
            fixed=fixed,
            window=Window(not_before=not_before, must_end_by=must_end_by),
        ),
        (site_dir, cluster_name, username),
        manifest_dirs,
        dry_run=dry_run,
        json_output=json_output,
    )


def _start(
    version: str,
    wish: Wish,
    where: tuple[Path, str, str | None],
    manifest_dirs: tuple[Path, ...],
    *,
    dry_run: bool,
    json_output: bool,
) -> None:
    from toolkit.media import recall  # with TUF; help needs none

    site_dir, _, _ = where
    wanted = read_update(version)
    site, cluster = open_cluster(*where, quiet=json_output)
    grounds = Grounds(
        floor=recall(site.trust_dir).floor,
        manifests=load_manifests(manifest_dirs),
        baseline=open_baseline(site, cluster.known.name),
    )
    if not dry_run:
        wish = cluster.await_window(wanted, wish, grounds)
    with site.lock():
        started = cluster.start(wanted, wish, grounds, dry_run=dry_run)
    if json_output:
        document = {"version": wanted, "dry_run": dry_run, "run_id": started.run_id}
        print_json("started", document | {"permit": started.permit})
    else:
        _print(version, wish, started, cluster=cluster.known.name, site_dir=site_dir)


def _print(version: str, wish: Wish, started: Started, *, cluster: str, site_dir: Path) -> None:
    if not started.run_id:
        begins = started.permit.wait_until
        when = f"from {begins:%Y-%m-%d %H:%M %Z} on" if begins else "now"
        done = "prepared" if wish.prepare_only else "started"
        echo(f"{version} could be {done} {when}; nothing was changed")
        return
    what = "preparation started" if wish.prepare_only else "started"
    hours = started.permit.expected.duration.total_seconds() / 3600
    echo(
        f"{what}, run {started.run_id}\n"
        f"  expected: about {hours:.1f} h ({started.permit.expected.basis})\n"
        f'  next: ferry run watch {version} --cluster {cluster} --site "{site_dir}"'
    )
