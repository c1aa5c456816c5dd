"""Options of commands that fetch: where from, how fast, when, over how many connections."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from toolkit.catalog import Limits
from toolkit.errors import InputError

_OPTIONS = (
    click.option(
        "--url",
        "urls",
        multiple=True,
        help="Fetch from here: a folder's address, or one payload's full address. Several are mirrors. "
        "Default: as published.",
    ),
    click.option(
        "--limit-rate",
        metavar="RATE",
        help="Take at most so many bytes per second: 500k, 5M. Default: all.",
    ),
    click.option(
        "--between",
        metavar="HH:MM-HH:MM",
        help="Fetch at these hours only (local time), for as many days as it takes.",
    ),
    click.option(
        "--connections",
        metavar="MAX",
        type=int,
        default=Limits().most_connections,
        show_default=True,
        help="Use at most so many connections, 1 to 16; more than one only where that is faster.",
    ),
)


def line_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets `urls` and `limits`."""

    @functools.wraps(command)
    def call(
        *args: Any, limit_rate: str | None, between: str | None, connections: int, **options: Any
    ) -> Any:
        try:
            limits = Limits.parse(rate=limit_rate, between=between, connections=connections)
        except InputError as error:
            raise click.UsageError(str(error)) from error
        return command(*args, limits=limits, **options)

    for option in reversed(_OPTIONS):
        call = option(call)
    return call
