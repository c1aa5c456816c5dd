"""`SiteRequest` ↔ the signed document `request.json`. Pure.

The document has one key for each field of the nouns, in their order; a field that is a list of pairs is
written as a list of small objects, so that it still reads well and keeps its order. The field types of
the nouns are the schema: a value of another type is refused with its place, and so is a key nobody here
knows, because it was signed as a part of what is asked for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import types
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

from toolkit.errors import InputError
from toolkit.request._nouns import A_NAME, FORMAT, KIND, SiteRequest, cluster_name
from toolkit.request._paper import as_utf8, from_paper, is_paper
from toolkit.signed import Sealed, SigningKey, seal, unseal

_PAIRS = {
    "package_versions": ("package", "version"),
    "language_modes": ("node", "mode"),
    "unknown": ("what", "why"),
}
"""Field → the keys of the small objects its pairs are written as."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


def to_bytes(request: SiteRequest, key: SigningKey) -> bytes:
    """Return the signed document; equal input gives equal bytes.

    Raises:
        ValueError: A time without zone, or a number too large to mean the same everywhere.
    """
    return seal(KIND, {"kind": KIND, "format": FORMAT, **_object(request)}, key)


def read_request(data: bytes, *, file: str | None = None) -> tuple[SiteRequest, Sealed]:
    """Return the request in `data`, and who signed it (which says nothing about whether to believe them).

    Args:
        data: `request.json`, or the text that a scanner read from its paper.
        file: Its name, for error messages.

    Raises:
        InputError: Not a request, one of a newer format, or a value of the wrong kind, with its place.
        SignatureError: It was edited, or is not signed.
    """
    sealed = unseal_request(data, file=file)
    reader = _Reader(file)
    body = dict(sealed.body)
    reader.check_format(body)
    del body["kind"], body["format"]
    request: SiteRequest = reader.noun(SiteRequest, body, "")
    reader.check_cluster(request.cluster)
    for name in ("request_id", "site_id"):
        reader.check_uuid(getattr(request, name), name)
    return request, sealed


def unseal_request(data: bytes, *, file: str | None = None) -> Sealed:
    """Return who signed a request, in whatever form it came; what it says is not read.

    Args:
        data: As in `read_request`.
        file: Its name, for error messages.

    Raises:
        InputError: Not a request.
        SignatureError: It was edited, or is not signed.
    """
    data = as_utf8(data)
    if is_paper(data):
        data = from_paper(data, file=file)
    return unseal(data, kind=KIND, file=file)


# --- writing ------------------------------------------------------------------------------------


def _object(noun: Any) -> dict[str, Any]:
    return {
        field.name: _pairs(field.name, getattr(noun, field.name))
        if field.name in _PAIRS
        else _plain(getattr(noun, field.name))
        for field in dataclasses.fields(noun)
    }


def _pairs(name: str, pairs: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [dict(zip(_PAIRS[name], pair, strict=True)) for pair in pairs]


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"{value} has no time zone")
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case StrEnum():
            return value.value
        case tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return dict(value)
        case _ if dataclasses.is_dataclass(value):
            return _object(value)
        case _:
            return value


# --- reading ------------------------------------------------------------------------------------


class _Reader:
    """Reads plain JSON values as the types of the nouns; every refusal names its place."""

    def __init__(self, file: str | None) -> None:
        self._file = file

    def refuse(
        self, place: str, found: object, expected: str, hint: str | None = None
    ) -> InputError:
        return InputError(
            "read ferry request",
            file=self._file,
            place=place or None,
            found=_shown(found),
            expected=expected,
            hint=hint or "ask the site for a new one: ferry cluster request",
        )

    def check_format(self, body: Mapping[str, Any]) -> None:
        found = body.get("format")
        if type(found) is int and found > FORMAT:
            tool = body.get("tool")
            maker = tool if isinstance(tool, str) and tool else "a newer ferry"
            raise self.refuse(
                "format",
                f"format {found}, made by {maker}",
                f"format {FORMAT}, which is the newest that this ferry knows",
                f"read it with {maker}, or any later one",
            )
        if type(found) is not int or found != FORMAT:
            raise self.refuse("format", found, f"{FORMAT}")

    def check_uuid(self, text: str, place: str) -> None:
        try:
            same = str(UUID(text)) == text
        except ValueError:
            same = False
        if not same:
            raise self.refuse(place, text, "a UUID in lower case")

    def check_cluster(self, text: str) -> None:
        try:
            cluster_name(text)
        except ValueError as error:
            raise self.refuse("cluster", repr(text), A_NAME) from error

    def noun(self, noun: Any, value: object, place: str) -> Any:
        if not isinstance(value, dict):
            raise self.refuse(place, value, "an object")
        kinds = get_type_hints(noun)
        known = {field.name: field for field in dataclasses.fields(noun)}
        for name in value:
            if name not in known:
                raise self.refuse(
                    _below(place, name),
                    "a key that this ferry does not know",
                    f"one of {', '.join(known)}",
                    "it was made by a newer ferry: read it with that one",
                )
        values = {}
        for name, field in known.items():
            if name in value:
                values[name] = self._field(name, kinds[name], value[name], _below(place, name))
            elif field.default is dataclasses.MISSING and (
                field.default_factory is dataclasses.MISSING
            ):
                raise self.refuse(_below(place, name), "nothing", "a value")
        return noun(**values)

    def _field(self, name: str, kind: Any, value: object, place: str) -> Any:
        if name not in _PAIRS:
            return self._value(kind, value, place)
        keys = _PAIRS[name]
        rows = []
        for row_place, row in self._list(value, place):
            if not isinstance(row, dict) or set(row) != set(keys):
                raise self.refuse(row_place, row, f"an object with {' and '.join(keys)}")
            rows.append(tuple(self._value(str, row[key], _below(row_place, key)) for key in keys))
        return tuple(rows)

    def _value(self, kind: Any, value: object, place: str) -> Any:
        origin = get_origin(kind)
        if origin is types.UnionType:  # `kind | None`
            return None if value is None else self._value(get_args(kind)[0], value, place)
        if origin is tuple:
            item = get_args(kind)[0]
            return tuple(self._value(item, one, at) for at, one in self._list(value, place))
        if origin is Mapping:
            if not isinstance(value, dict):
                raise self.refuse(place, value, "an object")
            item = get_args(kind)[1]
            return {
                name: self._value(item, one, _below(place, name)) for name, one in value.items()
            }
        if dataclasses.is_dataclass(kind):
            return self.noun(kind, value, place)
        return self._scalar(kind, value, place)

    def _scalar(self, kind: Any, value: object, place: str) -> Any:
        if kind is int:
            if type(value) is not int or value < 0:
                raise self.refuse(place, value, "a whole number, zero or more")
            return value
        if kind is bool:
            if not isinstance(value, bool):
                raise self.refuse(place, value, "true or false")
            return value
        if not isinstance(value, str):
            raise self.refuse(place, value, "a text")
        if kind is datetime:
            return self._instant(value, place)
        if kind is not str:  # an enumeration
            if value not in list(kind):
                raise self.refuse(place, value, f"one of {', '.join(kind)}")
            return kind(value)
        return value

    def _instant(self, text: str, place: str) -> datetime:
        with contextlib.suppress(ValueError):
            if _INSTANT.fullmatch(text):
                return datetime.fromisoformat(text).astimezone(UTC)
        raise self.refuse(place, text, "a time in UTC like 2026-11-24T00:24:32Z")

    def _list(self, value: object, place: str) -> list[tuple[str, object]]:
        if not isinstance(value, list):
            raise self.refuse(place, value, "a list")
        return [(f"{place}[{index}]", item) for index, item in enumerate(value)]


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _shown(value: object) -> str:
    match value:
        case str():
            return value if len(value) <= 100 else f"{value[:100]}…"
        case None:
            return "nothing"
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return str(value)
