"""Options that the commands of `ferry run` share."""

from __future__ import annotations

import click

from toolkit.cli._output import F, cluster_option, json_option, read_version, site_option
from toolkit.cli._reach import user_option
from toolkit.cluster import UpdateName
from toolkit.errors import InputError
from toolkit.sbe import SbeVersion


def run_options(command: F) -> F:
    """Add the version of the update, and how to reach its cluster."""
    for option in (json_option, user_option, site_option, cluster_option):
        command = option(command)
    return click.argument("version")(command)


def read_update(text: str) -> UpdateName:
    """Read what names an update: `12.2603.1002.15`, or `SBE4.2.2603.1` for an SBE.

    Raises:
        InputError: Neither.
    """
    if not text.strip().upper().startswith("SBE"):
        return read_version(text)
    try:
        return SbeVersion.parse(text.strip()[len("SBE") :])
    except ValueError as error:
        raise InputError(
            "read which SBE is meant",
            found=str(error),
            expected="SBE4.2.2603.1, as it is listed",
            hint="type it as `ferry cluster discover` shows it",
        ) from error
