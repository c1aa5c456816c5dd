"""`Plan` ↔ plan.json, format 1: one key for each field of the nouns, in their order. Pure.

`plan_id` is the beginning of the SHA-256 of the canonical JSON of everything else, so a plan that was edited
or damaged is noticed. It is no signature: whoever can write the file can make another plan.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
from datetime import date, datetime
from enum import Enum
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

from toolkit.catalog._plan import Plan
from toolkit.errors import InputError, misread
from toolkit.model import SolutionVersion
from toolkit.signed import canonical

KIND = "ferry-plan"
FORMAT = 1
LIMIT_BYTES = 16 << 20
_ID_DIGITS = 16
_KINDS = {str: "text", int: "whole number", bool: "true or false"}
"""What the types of values are called, for people."""


def to_bytes(plan: Plan) -> bytes:
    """Return plan.json."""
    document = {"format": FORMAT, "kind": KIND, **_plain(plan)}
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def identified(plan: Plan) -> Plan:
    """Return the plan with the id that its content has."""
    return dataclasses.replace(plan, plan_id=_id(_plain(plan)))


def read_plan(data: bytes, *, file: str | None = None) -> Plan:
    """Return the plan in `data`.

    Raises:
        InputError: Not a plan, one of a newer format, or changed after it was made.
    """
    document = read_document(data, file=file)
    try:
        plan: Plan = _read(Plan, document, "plan")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refuse(misread(error), f"a {KIND} of format {FORMAT}", file=file) from error
    return plan


def read_document(data: bytes, *, file: str | None = None) -> dict[str, Any]:
    """Return the plain values of a plan that is whole and unchanged; what they are is not checked.

    Raises:
        InputError: Not a plan, one of a newer format, or changed after it was made.
    """
    if len(data) > LIMIT_BYTES:
        raise _refuse(f"more than {LIMIT_BYTES} bytes", f"a {KIND}", file=file)
    try:
        document: dict[str, Any] = json.loads(data.decode("utf-8-sig"))
        found_kind, found_format = document.pop("kind"), document.pop("format")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refuse(misread(error), f"a {KIND}", file=file) from error
    if found_kind != KIND:
        raise _refuse(f"a {found_kind}", f"a {KIND}", file=file)
    if found_format != FORMAT:
        hint = "use a ferry that knows this format"
        raise _refuse(f"format {found_format}", f"format {FORMAT}", hint, file=file)
    try:
        said, real = document.get("plan_id"), _id(document)
    except (ValueError, TypeError, RecursionError) as error:
        raise _refuse(misread(error), f"a {KIND} of format {FORMAT}", file=file) from error
    if said != real:
        raise _refuse(
            f"plan_id {said}, which is not that of its content" if said else "no plan_id",
            "a plan as `ferry catalog plan` wrote it",
            "it was changed after it was made: plan the trip again",
            file=file,
        )
    return document


def _refuse(
    found: str,
    expected: str,
    hint: str = "give the file that `ferry catalog plan` wrote, or plan the trip again",
    *,
    file: str | None,
) -> InputError:
    return InputError("read plan", file=file, found=found, expected=expected, hint=hint)


def _id(plain: dict[str, Any]) -> str:
    rest = {key: value for key, value in plain.items() if key != "plan_id"}
    return hashlib.sha256(canonical(rest)).hexdigest()[:_ID_DIGITS]


def _plain(value: Any) -> Any:
    match value:
        case SolutionVersion():
            return str(value)
        case Enum():
            return value.value
        case date():  # datetime is one too
            return value.isoformat()
        case tuple():
            return [_plain(item) for item in value]
        case _ if dataclasses.is_dataclass(value):
            return {
                item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)
            }
        case _:
            return value


def _read(kind: Any, value: Any, place: str) -> Any:
    """Return a plain value as the type of a field.

    Raises:
        ValueError: It is of another type; says the place.
    """
    if isinstance(kind, NewType):
        kind = kind.__supertype__
    if get_origin(kind) in (types.UnionType, Union):  # `kind | None`
        return None if value is None else _read(get_args(kind)[0], value, place)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{place} is no list")
        return tuple(
            _read(get_args(kind)[0], item, f"{place}[{number}]")
            for number, item in enumerate(value)
        )
    if kind is SolutionVersion:
        return SolutionVersion.parse(_read(str, value, place))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{place} is no object")
        kinds = get_type_hints(kind)
        names = [item.name for item in dataclasses.fields(kind)]
        values = {name: _read(kinds[name], value[name], f"{place}.{name}") for name in names}
        return kind(**values)
    if kind in (datetime, date):
        found = kind.fromisoformat(_read(str, value, place))
        if kind is datetime and found.tzinfo is None:
            raise ValueError(f"{place} has no time zone")
        return found
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if type(value) is not kind:
        raise ValueError(f"{place} is no {_KINDS.get(kind, 'such value')}")
    return value
