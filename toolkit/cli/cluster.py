"""`ferry cluster`: what is done with a cluster before a run, and after it."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.catalog import load_manifests
from toolkit.cli import EXIT_NO, Noun
from toolkit.cli._catalog_options import manifests_option
from toolkit.cli._cluster_baseline import baseline
from toolkit.cli._cluster_check import check
from toolkit.cli._cluster_clean import clean
from toolkit.cli._cluster_request import request
from toolkit.cli._custody import (
    by_option,
    receipt_option,
    receipt_scribe,
    receipts_option,
    tell_written,
)
from toolkit.cli._output import (
    FOLDER,
    MINUTES,
    SECONDS,
    TerminalProgress,
    cluster_option,
    echo,
    human_size,
    identity_option,
    json_option,
    print_json,
    print_table,
    read_version,
    site_option,
    warn,
)
from toolkit.cli._reach import open_cluster, user_option, written_reason
from toolkit.cluster import ImportResult, NeededSbe, SbeBefore, state_import
from toolkit.model import Road, SolutionVersion


@click.group(cls=Noun, name="cluster")
def group() -> None:
    """Check a cluster, import updates and discover them, say what it needs; through any of its nodes.

    In order: baseline, check, request before the trip; check with the medium, import, discover after it; clean at the end.
    """


@group.command("discover")
@cluster_option
@site_option
@user_option
@json_option
def discover(cluster_name: str, site_dir: Path, username: str | None, *, json_output: bool) -> None:
    """Show what the cluster runs and which updates it offers, in which state.

    \b
    Example:
      ferry cluster discover --cluster plant7 --site C:\\ferry-site --user lcmuser

    Changes: nothing (asking makes the cluster look for updates by itself).
    """
    _, cluster = open_cluster(site_dir, cluster_name, username, quiet=json_output)
    seen = cluster.discover()
    if json_output:
        print_json("discovery", seen)
        return
    environment = seen.environment
    echo(
        f"cluster {cluster.known.name} (asked {seen.node}): version {environment.current_version}, "
        f"SBE {environment.current_sbe_version or 'none'}, state {environment.state}, "
        f"health {environment.health_state}"
    )
    print_table(
        ("VERSION", "STATE", "TYPE", "FROM", "NAME"),
        [
            (
                update.version,
                update.state_raw,
                update.package_type,
                update.availability_type,
                update.display_name,
            )
            for update in seen.updates
        ],
    )


@group.command("import")
@click.argument(
    "media",
    nargs=-1,
    required=True,
    metavar="MEDIUM...",
    type=FOLDER,
)
@cluster_option
@site_option
@user_option
@click.option("--version", "wanted", help="Which version, where the medium carries several.")
@click.option(
    "--poll-seconds",
    type=SECONDS,
    default=30.0,
    show_default=True,
    help="First pause between looks at the list; polling often starves the update service.",
)
@click.option(
    "--wait-minutes",
    type=MINUTES,
    default=30.0,
    show_default=True,
    help="How long to wait until the update is listed, and for an update service that does not answer. Where an earlier "
    "run added it and the cluster holds nothing of it after that time, it is added again: leave an addition the time it "
    "takes.",
)
@click.option(
    "--import-hides-updates",
    "hides_reason",
    metavar="REASON",
    default="",
    callback=written_reason,
    help="Import an SBE although it hides this update from the cluster, and say why in writing.",
)
@click.option(
    "--patience-minutes",
    type=MINUTES,
    default=15.0,
    show_default=True,
    help="How long to go on by itself while connections break and nothing gets further.",
)
@click.option(
    "--stall-seconds",
    type=SECONDS,
    default=120.0,
    show_default=True,
    help="How long another laptop's import must stand still before this one goes on in its place.",
)
@identity_option
@click.option(
    "--through-winrm",
    is_flag=True,
    help="Send the files as parameters of commands, where the port of SMB (445) is closed; slow, and says before it begins how long it will take.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check the cluster, and of the medium what is signed and which files are there; change nothing.",
)
@receipt_option
@by_option("Who imports it and answers for the receipt.")
@receipts_option
@manifests_option
@json_option
def import_(
    media: tuple[Path, ...],
    cluster_name: str,
    site_dir: Path,
    username: str | None,
    wanted: str | None,
    poll_seconds: float,
    wait_minutes: float,
    patience_minutes: float,
    stall_seconds: float,
    hides_reason: str,
    identity: Path | None,
    by: str,
    receipts_dir: Path | None,
    manifest_dirs: tuple[Path, ...],
    *,
    through_winrm: bool,
    dry_run: bool,
    is_wanted: bool,
    json_output: bool,
) -> int:
    """Bring an update from MEDIUM into the cluster, until the cluster lists it.

    Every node is asked for its time: where they agree and this machine's clock does not, theirs counts.
    The medium is proven next, every byte again while it is copied, and the node hashes what arrived.
    Where a connection breaks or a node restarts it goes on by itself, through another node if need be. After any
    interruption run the same command again, on this or on another laptop: it goes on from what stands on the
    share, and never adds the update twice.

    \b
    Example:
      ferry cluster import E:\\ --cluster plant7 --site C:\\ferry-site --user lcmuser

    Of a set that is spread over several media, name all; one that was copied to a folder will do:
      ferry cluster import E:\\ F:\\ D:\\copy-of-the-third --cluster plant7 --site C:\\ferry-site --user lcmuser

    Where a piece is missing or bad, name a supplement of the set, a copy, or the scratch folder of a repair beside
    the medium: it is taken from wherever it is good.

    What was encrypted is decrypted by the site's own identity, or by another with --identity.

    An SBE of the medium that must be installed before the update (`ferry cluster check` says so, too) is imported first,
    and the command ends: install it, then run the same command again. One that goes with the update is imported when the
    update asks for it.

    Before anything is added, what the cluster will list then is foretold; afterwards it is held against what the
    cluster lists. An SBE that would hide the update is refused.

    Changes: files in the import folder of the infrastructure share; one Add-SolutionUpdate for the update, and one
    for an SBE that it asks for; with --receipt one receipt in custody/ on the medium, once the cluster lists the update.
    Exit 1: added, but not listed within the waiting time, or hidden by an SBE; or an SBE is to be installed first.
    """
    from toolkit.media import Register, open_medium, recall  # with TUF; help needs none

    scribe = receipt_scribe(site_dir, None, by, is_wanted=is_wanted, receipts_dir=receipts_dir)
    site, cluster = open_cluster(site_dir, cluster_name, username, quiet=json_output)
    site_id = site.site_id()
    road = Road.WINRM if through_winrm else Road.SMB
    with site.lock():
        judged = cluster.tell_time(floor=recall(site.trust_dir).floor)
        if judged.warning:
            warn(judged.warning)
        opened = open_medium(
            media[0],
            site.trust_dir,
            others=media[1:],
            now=judged.now,
            progress=TerminalProgress(quiet=json_output),
        )
        opened.unlock(identity or site.identity)
        version = read_version(wanted, [target.version for target in opened.targets()])
        manifests = load_manifests(manifest_dirs)
        cluster.require_importing(
            opened,
            version,
            lowest=manifests.rules.lowest_importing,
            poll_s=poll_seconds,
            wait_s=wait_minutes * 60,
        )
        if dry_run:
            seen = cluster.discover()
            listed = seen.listed(version)
            if json_output:
                told = {"version": version, "node": seen.node, "road": road, "dry_run": True}
                print_json("import", told | {"update": listed})
            elif listed is not None:
                echo(
                    f"{seen.node} lists {version} already, as {listed.state_raw}: nothing would be sent but an SBE that "
                    "it asks for and the medium carries; nothing was changed"
                )
            else:
                echo(
                    f"would import {version}, if its payloads are good: of the media only what is signed and which "
                    f"files are there was looked at (all of it: ferry media verify)\n{seen.node} answers; the files "
                    f"would go by {road.upper()}, which was not tried; nothing was changed"
                )
            return 0
        result = cluster.import_update(
            opened,
            version,
            site_id=site_id,
            judged=judged,
            poll_s=poll_seconds,
            wait_s=wait_minutes * 60,
            patience_s=patience_minutes * 60,
            stall_s=stall_seconds,
            road=road,
            hides_reason=hides_reason,
            manifests=manifests,
        )
    if json_output:
        print_json("import", result)
    else:
        _print_import(result)
    if result.update is None:
        return EXIT_NO
    if scribe is not None:
        register = Register(label=opened.describe(), scribe=scribe, receipts=receipts_dir)
        name = cluster.known.name
        tell_written(state_import(register, result, cluster=name, journal=site.journal))
    return 0


def _print_import(result: ImportResult) -> None:
    if result.update is not None:
        echo(
            f"{result.version} is listed as {result.update.state_raw} "
            f"(through {', '.join(result.nodes)}, {human_size(result.copied_bytes)} copied)"
        )
    elif result.before is not None and result.before.name:
        echo(f"{result.version} was not imported yet: an SBE comes first")
    elif result.hidden_by:
        echo(f"the cluster does not list {result.version}: {result.hidden_by} hides it")
    else:
        echo(f"the cluster does not list {result.version} yet")
        echo("  next: run the same command again; it asks on for the whole waiting time")
    for difference in result.differences:
        echo(f"  not as foretold: {difference}")
    for step in result.advice:
        echo(f"  next: {step}")
    if result.before is not None:
        _print_before(result.before, result.version)
    if result.needs is not None:
        _print_needs(result.needs)


def _print_before(before: SbeBefore, version: SolutionVersion) -> None:
    says = f"SBE {before.minimum} or later must be installed before {version}; installed is {before.installed}"
    if before.name:
        state = f"is listed as {before.state}" if before.state else "is not listed yet"
        echo(f"  {says}. {before.name} {state}")
        for step in before.next_steps:
            echo(f"  {step}")
        return
    family = f" of the family {before.family}" if before.family else ""
    echo(
        f"  next: {says}. The medium carries none that is known to be that one: bring its three files{family}"
    )
    for reason in before.against:
        echo(f"    {reason}")


def _print_needs(needs: NeededSbe) -> None:
    files = ", ".join(needs.files) or f"the three files of SBE {needs.version or '(not said)'}"
    echo(f"  next: it asks for its vendor's SBE. Bring {files}, and run the same command again")
    if needs.notify_message:
        echo(f"  the vendor says: {needs.notify_message}")
    if needs.release_link:
        echo(f"  release notes: {needs.release_link}")


group.add_command(baseline)
group.add_command(check)
group.add_command(clean)
group.add_command(request)
