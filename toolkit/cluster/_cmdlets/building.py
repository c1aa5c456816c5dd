"""Stages that many commands share. Pure."""

from __future__ import annotations

from pathlib import PureWindowsPath

from toolkit.cluster._cmdlets import reading
from toolkit.model import Cmdlet, Command, Plain

_JSON_DEPTH = 30
"""Step trees are more than 8 levels deep; ConvertTo-Json cuts at 2 by default."""


def select(properties: list[str], *, first: int | None = None) -> Cmdlet:
    """Keep these properties, of the `first` so many if that is given; an enumeration among them arrives by name."""
    wanted = ("Property", list[Plain](properties))
    return Cmdlet("Select-Object", (wanted,) if first is None else (wanted, ("First", first)))


def expand_property(name: str) -> Cmdlet:
    """Go on with what one property holds."""
    return Cmdlet("Select-Object", (("ExpandProperty", name),))


def registry(key: str, values: list[str]) -> tuple[Cmdlet, Cmdlet]:
    """Read values of a registry key; one that is not there is no error."""
    return Cmdlet("Get-ItemProperty", (("LiteralPath", key),)), select(values)


def to_json() -> Cmdlet:
    """Write what arrives as JSON, whole trees; enumerations become numbers."""
    return Cmdlet("ConvertTo-Json", (("Depth", _JSON_DEPTH), ("Compress", None)))


def to_file(file: PureWindowsPath) -> Cmdlet:
    """Write what arrives to a file on the node."""
    return Cmdlet("Set-Content", (("LiteralPath", str(file)), ("Encoding", "UTF8")))


def program(name: str, arguments: list[str]) -> Cmdlet:
    """Run an in-box program; each argument stays one."""
    return Cmdlet(name, tuple((None, argument) for argument in arguments))


def save(first: Cmdlet, file: PureWindowsPath, *more: Cmdlet) -> Command[None]:
    """Write what a cmdlet tells, sent on through others, as JSON to a file on the node."""
    return Command(
        pipeline=(first, *more, to_json(), to_file(file)), parse=reading.nothing, timeout_s=600
    )
