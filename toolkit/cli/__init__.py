"""The command `ferry`: the root group, logging, and the only place where errors become exit codes.

Subcommand modules load lazily, so `ferry --help` needs no cryptography and no network library.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from toolkit import __version__
from toolkit.cli._output import TEXT, Diverted, cannot_print, echo, open_missing_streams
from toolkit.errors import InputError, ToolkitError

NOUNS = {
    "catalog": "what exists and what we hold (connected side)",
    "trust": "keys and the trusted root",
    "media": "signed media: write, verify, repair, audit, hand over, receive, erase",
    "site": "the disconnected place: trusted root, clusters, journal",
    "cluster": "check a cluster, import updates and discover them, say what it needs",
    "run": "prepare, start, watch, show and list update runs",
    "logs": "collect evidence and analyse it",
}

_PRINTED_BY_CLICK = {"-h", "--help", "--version"}
_ROOT_FLAGS = ("--debug", "-v", "--verbose")
EXIT_NO = 1
EXIT_BUG = 70
EXIT_STOPPED = 130
_SENTENCE = 200
"""Characters; click cuts a longer one."""


class _LazyGroup(click.Group):
    """A group whose subcommands live in `toolkit.cli.<noun>` and are imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NOUNS:
            return None
        module = importlib.import_module(f"toolkit.cli.{cmd_name}")
        command: click.Command = module.group
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(NOUNS.items()))


class Noun(click.Group):
    """A group whose help gives the first sentence of each command whole, and whose commands take only text for text."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command."""
        for parameter in cmd.params:
            if parameter.type is click.STRING:
                parameter.type = TEXT
        super().add_command(cmd, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, self.commands[name].get_short_help_str(_SENTENCE))
                    for name in sorted(self.commands)
                ]
            )


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ferry")
@click.option("--debug", is_flag=True, help="Print the traceback of an error, and debug log lines.")
@click.option("-v", "--verbose", is_flag=True, help="Log each step as a line on stderr.")
@click.pass_context
def root(ctx: click.Context, *, debug: bool, verbose: bool) -> None:
    """Carry an Azure Local update across an air gap, and bring back what happened.

    \b
    connected machine   ferry catalog … → ferry media write …
    disconnected site   ferry cluster check … → ferry media verify … →
                        ferry cluster import … → ferry run start …
    evidence            ferry logs collect … → ferry logs analyse …

    Exit codes: 0 done; 1 done and the answer is "no" (findings, failed check, failed run);
    2 usage; 3 trust; 4 not reached; 5 the cluster said no; 6 storage; 7 input; 70 a bug in ferry;
    130 stopped by hand; 143 ended by the system.
    """
    ctx.obj = {"debug": debug}
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("toolkit")  # never the root logger: libraries log message bodies
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING)


def _explain(error: ToolkitError) -> int:
    echo(f"ferry: {error}", err=True)
    if error.hint:
        echo(f"  next: {error.hint}", err=True)
    return error.exit_code


def _explain_other(error: Exception, words: Sequence[str]) -> int:
    """Say what is wrong on this machine, or that it is a bug, and return the exit code."""
    if isinstance(error, OSError) and not _PRINTED_BY_CLICK.isdisjoint(words):
        return _explain(cannot_print(error))
    package = str(error.name).split(".")[0] if isinstance(error, ModuleNotFoundError) else "toolkit"
    if package not in {"toolkit", "None", *sys.stdlib_module_names}:
        return _explain(
            InputError(
                "load what ferry is made of",
                found=f"no Python package {package}",
                expected="every package of requirements.lock",
                hint="ferry was updated or copied without it: install it again as the README says",
            )
        )
    echo(
        f"ferry: this is a bug in ferry, nothing you did: {type(error).__name__}\n"
        "  next: run the same command with --debug and send us what it prints",
        err=True,
    )
    return EXIT_BUG


def execute(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    open_missing_streams()
    code = _execute(arguments)
    if isinstance(sys.stdout, Diverted) and code in (0, EXIT_NO):
        return _explain(sys.stdout.why)
    return code


def _execute(arguments: list[str] | None) -> int:
    """Run it, and turn what is raised into a code (the only `except Exception` in the toolkit)."""
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    # "the same command with --debug": these may stand anywhere
    early = [word for word in words if word in _ROOT_FLAGS]
    words = [*early, *(word for word in words if word not in _ROOT_FLAGS)]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a legacy code page must not crash us
    try:
        outcome: Any = root.main(args=words, prog_name="ferry", standalone_mode=False)
        sys.stdout.flush()
    except ToolkitError as error:
        _explain(error)
        if debug:
            traceback.print_exc()
        return error.exit_code
    except (BrokenPipeError, SystemExit):  # click exits, when `ferry … | head` has seen enough
        with contextlib.suppress(io.UnsupportedOperation):  # what goes to stderr is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_STOPPED
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt) as stop:
        told = getattr(stop.__cause__ or stop, "__notes__", ["the same command goes on from here"])
        echo(f"ferry: stopped; {told[-1]}", err=True)
        return EXIT_STOPPED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the root group is where a bug becomes exit 70
        code = _explain_other(error, words)
        if debug:
            traceback.print_exc()
        return code
    return outcome if isinstance(outcome, int) else 0
