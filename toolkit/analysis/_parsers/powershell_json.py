"""JSON as `ConvertTo-Json` of Windows PowerShell writes it: how it differs from everybody else's.

One object stands alone, several stand in a list, none is an empty file. Enumerations are numbers, or
names where somebody projected them. Times are `/Date(ms)/` or ISO 8601; the year 1 means "never".
`Set-Content -Encoding UTF8` puts a byte order mark in front.
"""

from __future__ import annotations

import codecs
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from toolkit.analysis._records import clean
from toolkit.errors import InputError

LIMIT_BYTES = 16 << 20
"""A step tree of a large cluster is a few MB; what is larger is not read."""

_DATE = re.compile(r"\\?/Date\((-?\d{1,18})(?:[+-]\d{4})?\)\\?/")
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?\s*(Z|[+-]\d\d:?\d\d)?")


def rows(data: bytes, name: str) -> tuple[dict[str, Any], ...]:
    """Return the objects of one document, whether one, several or none.

    Raises:
        InputError: No JSON, too large, too deep, or not made of objects.
    """
    if len(data) > LIMIT_BYTES:
        raise InputError(
            f"read {name}", found=f"{len(data)} bytes", expected=f"at most {LIMIT_BYTES}"
        )
    text = decode(data)
    if not text.strip():
        return ()
    try:
        document = json.loads(text, strict=False)
    except ValueError as error:
        raise InputError(f"read {name}", found=str(error), expected="JSON") from error
    except RecursionError as error:
        raise InputError(f"read {name}", found="JSON nested too deeply") from error
    found = items(document)
    if not all(isinstance(row, dict) for row in found):
        raise InputError(f"read {name}", found="a bare value", expected="objects")
    return tuple(found)


def decode(data: bytes) -> str:
    """Return the text of a file that says its encoding by its first bytes, or is UTF-8."""
    return data.decode(encoding_of(data), "replace")


def encoding_of(start: bytes) -> str:
    """Return the encoding that the first bytes of a file announce."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


def items(value: Any) -> list[Any]:
    """Return the members of a list, or the only one, or none."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text(row: dict[str, Any], *keys: str) -> str:
    """Return the first of these properties that has a value, as text."""
    for key in keys:
        value = row.get(key)
        if value is not None and value != "":
            return clean(value if isinstance(value, str) else json.dumps(value, default=str))
    return ""


def child(row: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a property that should be an object; empty if it is none."""
    value = row.get(key)
    return value if isinstance(value, dict) else {}


def time(value: object) -> datetime | None:
    """Read a time as PowerShell writes it; None for none, and for the year 1."""
    if isinstance(value, dict):  # a DateTime with added properties: {"value": …, "DateTime": …}
        value = value.get("value")
    words = str(value)
    if date := _DATE.fullmatch(words.strip()):
        try:
            at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(date[1]))
        except OverflowError:
            return None
        return at if at.year > 1 else None
    return event_time(words)


def event_time(value: object) -> datetime | None:
    """Read an ISO 8601 time with up to nine digits of a second, of which six are kept; UTC."""
    found = _ISO.match(str(value).strip())
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0').ljust(6, '0')}{zone or 'Z'}")
        return at.astimezone(UTC) if at.year > 1 else None
    except (ValueError, OverflowError):
        return None


def span(value: object) -> timedelta | None:
    """Read a TimeSpan: an object with `Ticks` or `TotalSeconds`, or its text `[d.]hh:mm:ss`."""
    try:
        if isinstance(value, dict):
            if isinstance(ticks := value.get("Ticks"), int):
                return timedelta(microseconds=ticks / 10)
            seconds = value.get("TotalSeconds")
            return timedelta(seconds=seconds) if isinstance(seconds, int | float) else None
        found = re.fullmatch(r"(?:(\d{1,8})\.)?(\d+):(\d+):(\d+(?:\.\d+)?)", str(value))
        if found is None:
            return None
        days, hours, minutes, rest = found.groups(default="0")
        return timedelta(
            days=int(days), hours=int(hours), minutes=int(minutes), seconds=float(rest)
        )
    except (OverflowError, ValueError):
        return None
