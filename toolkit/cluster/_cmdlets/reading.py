"""Readers that the parsers of many replies share: tolerant of what is missing. Pure."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from toolkit.errors import InputError, misread
from toolkit.model import Cmdlet, Plain


def nothing(reply: tuple[Plain, ...]) -> None:
    """Ignore what a command prints besides its effect."""


def row(item: Plain, cmdlet: str) -> dict[str, Plain]:
    """Take one item of a reply as an object.

    Raises:
        InputError: It is none.
    """
    if not isinstance(item, dict):
        raise InputError(
            f"read the reply of {cmdlet}", found=type(item).__name__, expected="an object"
        )
    return item


def only(reply: tuple[Plain, ...], cmdlet: Cmdlet) -> dict[str, Plain]:
    """Take the one object that was asked for; of several the last.

    Raises:
        InputError: There is none.
    """
    if not reply:
        raise InputError(
            f"read the reply of {cmdlet.name}",
            found="no object",
            expected="one",
            hint="is this an Azure Local cluster, and its update service online?",
        )
    return row(reply[-1], cmdlet.name)


def text(row: dict[str, Plain], *keys: str) -> str:
    """Return the first of these properties that has a value, as text; empty: none has."""
    for key in keys:
        value = row.get(key)
        if value is not None:
            return str(value)
    return ""


def name_of(value: Plain) -> str:
    """Return the name of an object that came whole, or as its text; empty: none came."""
    return text(value, "Name") if isinstance(value, dict) else str(value or "")


def items(value: Plain) -> list[Plain]:
    """Take a value as a list: PowerShell unrolls one of a single item."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def json_items(reply: tuple[Plain, ...], cmdlet: str) -> list[Plain]:
    """Read what `ConvertTo-Json` printed of the objects of a cmdlet; of none it prints nothing.

    Raises:
        InputError: It is no JSON.
    """
    written = "".join(str(item) for item in reply)
    try:
        return items(json.loads(written)) if written.strip() else []
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"read the reply of {cmdlet}", found=misread(error), expected="JSON"
        ) from error


def pairs(value: Plain) -> tuple[tuple[str, str], ...]:
    """Read a dictionary of texts."""
    rows = value.items() if isinstance(value, dict) else ()
    return tuple((name, "" if item is None else str(item)) for name, item in rows)


def time(value: Plain) -> datetime | None:
    """Read a time as ConvertTo-Json writes it: `/Date(ms)/`, or ISO 8601; the year 1 means none."""
    written = "" if value is None else str(value)
    milliseconds = re.fullmatch(r"\\?/Date\((-?\d+)([+-]\d{4})?\)\\?/", written)
    try:
        if milliseconds:
            at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(milliseconds[1]))
        else:
            at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", written))
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return at.astimezone(UTC) if at.year > 1 else None


def span(value: Plain) -> timedelta | None:
    """Read a TimeSpan: an object with `TotalSeconds`, or a text, `[d.]hh:mm:ss[.fffffff]` or `P1DT2H3M4.5S`.

    Source: [MS-PSRP] 2.2.5.1.5 (the second form of text: XML Schema duration).
    """
    if isinstance(value, dict):
        seconds = value.get("TotalSeconds")
        return timedelta(seconds=float(seconds)) if isinstance(seconds, int | float) else None
    found = re.fullmatch(r"(?:(\d+)\.)?(\d+):(\d+):(\d+(?:\.\d+)?)", str(value)) or re.fullmatch(
        r"P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", str(value)
    )
    if found is None:
        return None
    days, hours, minutes, rest = found.groups(default="0")
    try:
        return timedelta(
            days=int(days), hours=int(hours), minutes=int(minutes), seconds=float(rest)
        )
    except (OverflowError, ValueError):  # longer than any time; or digits without end
        return None
