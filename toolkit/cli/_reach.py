"""From options to a reachable cluster: site, credential, session; and why something is done to it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from toolkit.cli._output import F, TerminalProgress, secret_text, warn
from toolkit.cluster import Baseline, Cluster, kept_baseline
from toolkit.errors import InputError
from toolkit.model import Credential
from toolkit.remote import connect
from toolkit.site import REASON_LETTERS, Site, says_why


def user_option(command: F) -> F:
    """Add `--user NAME` (or FERRY_USERNAME). There is no option for a password, on purpose."""
    return click.option(
        "--user",
        "username",
        envvar="FERRY_USERNAME",
        help="Account of the deployment (LCM) user (or set FERRY_USERNAME; else you are asked). The "
        "password comes from FERRY_PASSWORD, the system's keyring, or a prompt.",
    )(command)


def written_reason(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """Return a reason that goes into the journal, if one is given; a callback of its option.

    Raises:
        click.BadParameter: It says nothing.
    """
    if value and not says_why(value):
        raise click.BadParameter(f"say it in at least {REASON_LETTERS} letters")
    return value.strip()


def credential(cluster_name: str, username: str | None) -> Credential:
    """Get the credential: environment, then the operating system's keyring, then a prompt.

    Raises:
        InputError: Nothing of that is there and nobody can be asked; or it is no text.
    """
    can_ask = sys.stdin.isatty()
    if not username:
        if not can_ask:
            raise _nobody_to_ask("user name", "--user or FERRY_USERNAME", "name it with --user")
        username = str(click.prompt(f"User for cluster {cluster_name}", err=True))
    secret_text(username, of="the user name")
    source = "FERRY_PASSWORD"
    password = os.environ.get(source)
    if not password:
        source = "the password in the keyring"
        password = _from_keyring(cluster_name, username)
    if not password:
        if not can_ask:
            raise _nobody_to_ask(
                "password",
                "FERRY_PASSWORD or the keyring",
                f"set FERRY_PASSWORD, or keep it (`keyring set ferry:{cluster_name} {username}`)",
            )
        source = "the password"
        password = str(click.prompt(f"Password of {username}", hide_input=True, err=True))
    return Credential(username=username, password=secret_text(password, of=source))


def _from_keyring(cluster_name: str, username: str) -> str | None:
    import keyring
    import keyring.errors

    try:
        kept: str | None = keyring.get_password(f"ferry:{cluster_name}", username)
    except keyring.errors.KeyringError:  # no keyring here: ask instead
        return None
    return kept


def _nobody_to_ask(what: str, where: str, how: str) -> InputError:
    return InputError(
        f"get the {what} for the cluster",
        found="none given, and no terminal to ask at",
        expected=f"{where}, or a terminal",
        hint=f"{how}; or run it at a terminal, which asks",
    )


def open_cluster(
    site_dir: Path, cluster_name: str, username: str | None, *, quiet: bool
) -> tuple[Site, Cluster]:
    """Open the site and prepare to reach one of its clusters; nothing is contacted yet."""
    site = Site(site_dir)
    known = site.reachable(site.cluster(cluster_name))
    secret = credential(known.name, username)
    cluster = Cluster(
        known,
        connect=lambda node: connect(node, secret),
        journal=site.journal,
        progress=TerminalProgress(quiet=quiet),
    )
    return site, cluster


def open_baseline(site: Site, cluster_name: str) -> Baseline | None:
    """Return the baseline that is kept of a cluster; one that no longer counts is told, with and without --json."""
    return kept_baseline(site, cluster_name, warn=warn)
