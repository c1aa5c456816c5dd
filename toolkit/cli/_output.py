"""Model → table or JSON on stdout; progress on stderr; options that several commands share."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, TextIO, TypeVar, cast

import click

from toolkit.errors import InputError, StorageError, system_says
from toolkit.model import SolutionVersion
from toolkit.model import human_size as human_size  # commands take it from here

F = TypeVar("F", bound=Callable[..., Any])

PASSPHRASE_VARIABLE = "FERRY_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable
"""Of the publisher's keys."""
JSON_FORMAT = 1
"""Version of every `--json` document; see docs/reference/formats.md."""


_UNPRINTABLE = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (
        *(set(range(0x20)) - {0x09, 0x0A}),
        *range(0x7F, 0xA0),
        *range(0x202A, 0x202F),  # these and the next turn the direction of text around
        *range(0x2066, 0x206A),
    )
}


def printable(text: str) -> str:
    """Show control characters instead of sending them: names and logs come from strangers."""
    return text.translate(_UNPRINTABLE)


def echo(text: str, *, err: bool = False) -> None:
    """Print one text on stdout or stderr.

    A reader that has seen enough (`ferry … | head`) ends the output, never the command or its code. Nor does a
    standard output that takes nothing more, as a file on a full disk: the rest goes to stderr.
    """
    stream = sys.stderr if err else sys.stdout
    try:
        stream.write(f"{printable(text)}\n")  # one write, or lines of several threads would mix
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except OSError as error:
        if not err:
            sys.stdout = cast("TextIO", Diverted(error))
            echo(text)


class Diverted(io.TextIOBase):
    """Stands for a standard output that takes nothing more: what a command did must be said, so it goes to stderr."""

    def __init__(self, error: OSError) -> None:
        """Say from where on it does."""
        self.why = StorageError(
            "print the result",
            found=system_says(error),
            hint="what did not go there stands above, and what the command does is done; free space where the output "
            "goes, or send the next one elsewhere",
        )
        echo(
            f"ferry: standard output takes nothing more: {system_says(error)}; it goes on here",
            err=True,
        )

    def write(self, text: str) -> int:
        """Print a text, which has its line end, on stderr."""
        echo(text.removesuffix("\n"), err=True)
        return len(text)


def warn(*warnings: str) -> None:
    """Say on stderr what goes on all the same, and must be known."""
    for text in warnings:
        echo(f"warning: {text}", err=True)


def cannot_print(error: OSError) -> StorageError:
    """Return what it means that standard output does not take a help text, which changes nothing."""
    return StorageError(
        "print the result",
        found=system_says(error),
        hint="free space where the output goes, or send it elsewhere; then the same command again",
    )


def open_missing_streams() -> None:
    """Open what a service or scheduled task is started without, so that nobody else must ask."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - to the very end
            setattr(sys, name, stream)


def as_json(value: object) -> object:
    """Turn a model value into plain JSON: ISO times, version strings, enumeration values."""
    match value:
        case Enum():
            return value.value
        case SolutionVersion() | PurePath() | str():  # half a character is none in JSON
            return str(value).encode(errors="replace").decode()
        case datetime() | date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case dict():
            return {as_json(str(key)): as_json(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [as_json(item) for item in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            from toolkit.sbe import SbeVersion  # with its readers of XML; `ferry --help` needs none

            if isinstance(value, SbeVersion):
                return str(value)
            return {
                item.name: as_json(getattr(value, item.name)) for item in dataclasses.fields(value)
            }
        case _:
            return value


def json_document(kind: str, value: object) -> str:
    """Return one document: `{"format": 1, "kind": …, "data": …}`."""
    document = {"format": JSON_FORMAT, "kind": kind, "data": as_json(value)}
    return json.dumps(document, indent=2)  # escapes what is not ASCII, control characters too


def print_json(kind: str, value: object) -> None:
    """Print one `json_document`."""
    echo(json_document(kind, value))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print left-aligned columns; an empty table prints its headings only."""
    cells = [[printable(str(cell)).replace("\n", " ") for cell in row] for row in rows]
    lines = [list(headings), *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        echo(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )


class TerminalProgress:
    """Draws `Progress` on stderr: a bar with rate and ETA on a terminal, a line per step otherwise."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Draw nothing at all when `quiet` (for `--json`)."""
        self._quiet = quiet
        self._bar: Any = None

    def begin(self, what: str, *, total_bytes: int | None) -> None:
        """Start a bar, or print the step."""
        if self._quiet:
            return
        if sys.stderr.isatty():
            from tqdm import tqdm  # only a terminal needs it

            self._bar = tqdm(
                total=total_bytes, desc=what, unit="B", unit_scale=True, unit_divisor=1024
            )
        else:
            size = "" if total_bytes is None else f" ({human_size(total_bytes)})"
            echo(f"{what}{size}", err=True)

    def advance(self, count_bytes: int) -> None:
        """Move the bar; without bytes, show at least that time goes by."""
        if self._bar is not None:
            self._bar.update(count_bytes) if count_bytes else self._bar.refresh()

    def end(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def say(self, message: str) -> None:
        """Print one line, above the bar if there is one, whoever drew it."""
        if self._quiet:
            return
        if sys.stderr.isatty():
            from tqdm import tqdm  # it knows every bar

            tqdm.write(printable(message), file=sys.stderr)
        else:
            echo(message, err=True)


def understood_by(
    read: Callable[[str], object],
) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return the callback of an option: what `read` refuses of it is a usage error, in its words."""

    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        try:
            for text in value if isinstance(value, tuple) else (value,):
                if text is not None:
                    read(text)
        except InputError as error:
            words = (f"{error.found} (expected: {error.expected})", error.hint)
            raise click.BadParameter(
                "; ".join(filter(None, words)), ctx=context, param=parameter
            ) from error
        return value

    return callback


def is_text(words: str) -> bool:
    """Whether words given by a person are text: bytes that are no UTF-8 reach Python as halves of characters."""
    return words == words.encode(errors="replace").decode()


class _Text(click.types.StringParamType):
    """What a person types, but for names of files, which may be any bytes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, if it is one."""
        text: str = super().convert(value, param, ctx)
        if not is_text(text):
            self.fail(
                "it is no text in UTF-8; type it in a terminal whose encoding is UTF-8.", param, ctx
            )
        return text


TEXT = _Text()
"""Every option or argument without another type has this one."""
FILE_OR_URL = click.types.StringParamType()


class _Span(click.FloatRange):
    """A time given by a person: a number, and no longer than anybody waits."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, unless it is called one and is none."""
        span: float = super().convert(value, param, ctx)
        if math.isnan(span):  # it is in every range
            self.fail(f"{value!r} is no time.", param, ctx)
        return span


SECONDS = _Span(min=0.1, max=3600)
MINUTES = _Span(min=0, max=7 * 24 * 60)


class LocalPath(click.Path):
    """A file or folder given by a person; an empty name, as of an unset variable, is not this folder."""

    def __init__(
        self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True
    ) -> None:
        """Say what it may be; arguments as of `click.Path`."""
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        """Return the path, unless the name is empty."""
        if value == "":
            what = "for the current folder write a dot" if self.dir_okay else "name a file"
            self.fail(f"it is empty; {what}", param, ctx)
        return super().convert(value, param, ctx)


class _OutputFile(LocalPath):
    """A file to write, refused before any work is done for it if it cannot be one."""

    def __init__(self, *, folder: LocalPath | None) -> None:
        """Say what its folder has to be."""
        super().__init__(dir_okay=False)
        self._folder = folder

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from toolkit.media import require_outside_sets  # with TUF, which no other command needs

        if str(value) == "-":
            self.fail("'-' is no file to write; name one.", param, ctx)
        path: Any = super().convert(value, param, ctx)
        if self._folder is not None:
            self._folder.convert(path.parent, param, ctx)
        require_outside_sets(path)
        return path


FOLDER = LocalPath(exists=True, file_okay=False)
OUTPUT_FILE = _OutputFile(folder=FOLDER)
DRAFT_FILE = _OutputFile(folder=None)
"""Its folder may be made by the same command."""


def check_apart(first: Path, second: Path | None, *, options: str) -> None:
    """Refuse two files to write that are one, before either is written.

    Args:
        first: One of them.
        second: The other; None: only one is written.
        options: How a person named them: `--output and --page`.

    Raises:
        click.UsageError: They are one; names that differ by case alone are, on a stick.
    """
    if second is None:
        return
    if os.path.realpath(first).casefold() == os.path.realpath(second).casefold():
        raise click.UsageError(
            f"{options} name one file, {first}: the second would replace the first."
        )


json_option = click.option("--json", "json_output", is_flag=True, help="Print JSON on stdout.")


def site_option(command: F) -> F:
    """Add `--site DIR` (or the environment variable FERRY_SITE)."""
    return click.option(
        "--site",
        "site_dir",
        type=LocalPath(file_okay=False),
        envvar="FERRY_SITE",
        required=True,
        help="The site directory made by `ferry site init` (or set FERRY_SITE).",
    )(command)


def identity_option(command: F) -> F:
    """Add `--identity FILE`."""
    return click.option(
        "--identity",
        type=LocalPath(exists=True, dir_okay=False),
        help="Decrypt with the age identity in this file. Default: the site's own.",
    )(command)


def cluster_option(command: F) -> F:
    """Add `--cluster NAME`."""
    return click.option(
        "--cluster",
        "cluster_name",
        envvar="FERRY_CLUSTER",
        required=True,
        help="The cluster, as added by `ferry site add-cluster` (or set FERRY_CLUSTER).",
    )(command)


def read_version(text: str | None, carried: Sequence[SolutionVersion] = ()) -> SolutionVersion:
    """Read a full version given by a person, or take the only one that is carried.

    Raises:
        InputError: Not a full version, or none given where several are carried.
    """
    choice = sorted(set(carried))
    if text is None and len(choice) == 1:
        return choice[0]
    if text is None:
        raise InputError(
            "choose a version",
            found=", ".join(map(str, choice)) or "no version",
            hint="name one: --version VERSION",
        )
    try:
        return SolutionVersion.parse(text)
    except ValueError as error:
        raise InputError(
            "read version",
            found=str(error),
            expected="a full version such as 12.2603.1002.15",
            hint="type it as `ferry catalog list` and `ferry cluster discover` show it",
        ) from error


def read_passphrase(variable: str, prompt: str, *, confirm: bool = False) -> str:
    """Return a secret from the environment variable, or ask for it without echo.

    Raises:
        InputError: It is not in the environment, and nobody can be asked; or it is no text.
    """
    if found := os.environ.get(variable):
        return secret_text(found, of=variable)
    if not sys.stdin.isatty():
        raise InputError(
            f"ask for {prompt!r}",
            found="none given, and no terminal to ask at",
            expected=f"{variable}, or a terminal",
            hint=f"set {variable} for this command, or run it at a terminal, which asks",
        )
    answer: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    return secret_text(answer, of=prompt)


def secret_text(secret: str, *, of: str) -> str:
    """Return a secret that can be used as it was meant; it is never shown.

    Args:
        secret: What was given.
        of: Where it comes from.

    Raises:
        InputError: It is no text, so another secret would be sent than was meant.
    """
    if not is_text(secret):
        raise InputError(
            f"read {of}",
            found="bytes that are no UTF-8",
            expected="text in UTF-8",
            hint="nothing was sent. Give it in a terminal, or from a program, whose encoding is UTF-8",
        )
    return secret
