"""`ConvertTo-Json` as Windows PowerShell 5.1 does it.

Enumerations become numbers, dates `"\\/Date(ms)\\/"`, versions and time spans objects of their
properties; beyond the depth an object becomes its text; `< > & '` are escaped.

Source: PowerShell 5.1, ConvertToJsonCommand (JavaScriptSerializer underneath); observed output.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tests.simcluster.steps import span_json
from tests.simcluster.values import NetEnum, NetObject, NetVersion, Value, text_of

_DATE_MARK = "\ue000"
"""Stands for the backslash before a slash until the text is printed; private use, never in a log."""


def to_json(value: Value, *, depth: int, compress: bool) -> str:
    """Print one value."""
    plain = _plain(value, depth)
    if compress:
        text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    else:
        text = json.dumps(plain, indent=4, separators=(",", ":  "), ensure_ascii=False)
        text = text.replace("\n", "\r\n")
    text = re.sub("[<>&'\x7f-\x9f\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.replace(_DATE_MARK, "\\")


def _plain(value: Value, depth: int) -> object:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case NetEnum():
            return value.number
        case datetime():
            since = value.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
            return f"{_DATE_MARK}/Date({since // timedelta(milliseconds=1)}){_DATE_MARK}/"
        case UUID():
            return str(value)
        case _:
            pass
    if depth < 0:
        return text_of(value)
    match value:
        case timedelta():
            return span_json(value)
        case NetVersion():
            return _version(value)
        case bytes():
            return list(value)
        case list() | tuple():
            return [_plain(item, depth - 1) for item in value]
        case _:
            return {str(key): _plain(item, depth - 1) for key, item in _members(value)}


def _members(value: Value) -> Iterator[tuple[object, Value]]:
    if isinstance(value, NetObject):
        yield from value.properties.items()
    elif isinstance(value, dict):
        yield from value.items()


def _version(value: NetVersion) -> dict[str, int]:
    parts = [int(part) for part in value.text.split(".")] + [-1, -1, -1]
    return {
        "Major": parts[0],
        "Minor": parts[1],
        "Build": parts[2],
        "Revision": parts[3],
        "MajorRevision": -1 if parts[3] < 0 else parts[3] >> 16,
        "MinorRevision": parts[3] & 0xFFFF if parts[3] >= 0 else -1,
    }
