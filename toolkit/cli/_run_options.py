"""Options that the commands of `ferry run` share."""

from __future__ import annotations

import click

from toolkit.cli._output import F, cluster_option, json_option, site_option
from toolkit.cli._reach import user_option


def run_options(command: F) -> F:
    """Add the version of the update, and how to reach its cluster."""
    for option in (json_option, user_option, site_option, cluster_option):
        command = option(command)
    return click.argument("version")(command)
