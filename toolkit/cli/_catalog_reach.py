"""The options that say how a vendor's web server is reached: proxy, authorities, client certificate."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import Any, cast

import click

from toolkit.catalog import HttpsFetcher
from toolkit.cli._catalog_options import FILE
from toolkit.cli._output import F, TerminalProgress, read_passphrase

_OPTIONS = (
    click.option(
        "--proxy",
        metavar="http://HOST:PORT",
        help="The proxy to go through. Default: as HTTPS_PROXY or the operating system says. Hosts in "
        "NO_PROXY are reached without one.",
    ),
    click.option(
        "--proxy-user",
        envvar="FERRY_PROXY_USER",
        metavar="NAME",
        help="Who logs on to the proxy (or set FERRY_PROXY_USER). Default: who is logged on here. The "
        "password comes from FERRY_PROXY_PASSWORD or a prompt.",
    ),
    click.option(
        "--ca",
        "ca_file",
        type=FILE,
        help="Certificate authorities (PEM) to trust besides those of the operating system, or of "
        "REQUESTS_CA_BUNDLE or SSL_CERT_FILE.",
    ),
    click.option(
        "--client-cert",
        type=FILE,
        help="A certificate (PEM) to show to servers that want one; with its key in the file, or in "
        "--client-key. Its passphrase comes from FERRY_CLIENT_KEY_PASSPHRASE or a prompt.",
    ),
    click.option("--client-key", type=FILE, help="The private key of --client-cert (PEM)."),
)


def reach_options(command: F) -> F:
    """Add `--proxy`, `--proxy-user`, `--ca`, `--client-cert`, `--client-key`; hand over a `fetcher`.

    The command gets an `HttpsFetcher` ready for use, which is closed when the command ends.
    """

    @functools.wraps(command)
    def with_fetcher(
        *args: Any,
        proxy: str | None,
        proxy_user: str | None,
        ca_file: Path | None,
        client_cert: Path | None,
        client_key: Path | None,
        **options: Any,
    ) -> Any:
        if client_key is not None and client_cert is None:
            raise click.UsageError("--client-key needs --client-cert")
        fetcher = HttpsFetcher(
            ca_file,
            proxy=proxy,
            proxy_user=proxy_user,
            ask_proxy_password=_ask_proxy_password,
            client_cert=client_cert,
            client_key=client_key,
            ask_key_passphrase=_ask_key_passphrase,
            say=TerminalProgress(quiet=bool(options.get("json_output"))).say,
        )
        with contextlib.closing(fetcher):
            return command(*args, fetcher=fetcher, **options)

    for option in reversed(_OPTIONS):
        with_fetcher = option(with_fetcher)
    return cast("F", with_fetcher)


def _ask_proxy_password(user: str) -> str:
    return read_passphrase("FERRY_PROXY_PASSWORD", f"Password of {user} for the proxy")


def _ask_key_passphrase() -> str:
    return read_passphrase("FERRY_CLIENT_KEY_PASSPHRASE", "Passphrase of the client key")
