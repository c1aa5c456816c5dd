"""Values ↔ CLIXML as PowerShell remoting writes it (over psrpcore's serialiser).

The depth rule is what decides how a cmdlet's objects look on the other side. Remoting serialises at
depth 1; a .NET property costs one level, a note property (what `Select-Object` makes) costs none,
containers are free; at depth 0 a complex object *or an enumeration* becomes its text. So
`Get-SolutionUpdate` alone sends `State` as a string, and with `Select-Object` as an enumeration object.

Source: PowerShell, serialization.cs (WriteOneObject, HandleComplexTypePSObject).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, cast

from psrpcore.types import (
    ErrorCategory,
    ErrorCategoryInfo,
    ErrorRecord,
    NETException,
    PSChar,
    PSCustomObject,
    PSDict,
    PSDouble,
    PSEnumBase,
    PSInt64,
    PSList,
    PSNoteProperty,
    PSObject,
    PSType,
    PSVersion,
    add_note_property,
)

from tests.simcluster.values import (
    OBJECT,
    NetChar,
    NetEnum,
    NetObject,
    NetVersion,
    PsError,
    Value,
    custom,
)

REMOTING_DEPTH = 1


def to_wire(value: Value, depth: int = REMOTING_DEPTH) -> Any:
    """Return the psrpcore value that serialises as Windows would send this one."""
    match value:
        case None | bool() | str() | bytes():
            return value
        case int():
            return value if -(2**31) <= value < 2**31 else PSInt64(value)
        case float():
            return PSDouble(value)
        case NetVersion():
            return PSVersion(value.text)
        case NetChar():
            return PSChar(ord(value.text))
        case NetEnum():
            return _enumeration(value) if depth > 0 else value.name
        case list() | tuple():
            return _array([to_wire(item, depth) for item in value])
        case dict():
            return PSDict({to_wire(k, depth): to_wire(v, depth) for k, v in value.items()})
        case NetObject():
            return _object(value, depth)
        case _:
            return value


def _object(value: NetObject, depth: int) -> Any:
    if depth <= 0:
        return str(value)
    if value.is_custom:
        bag = PSCustomObject()
        for name, item in value.properties.items():
            add_note_property(bag, name, to_wire(item, depth))
        bag.PSObject.type_names = list(value.type_names)
        return bag
    live = PSObject()
    live.PSObject.type_names = [*value.type_names]
    if live.PSObject.type_names[-1] != OBJECT:
        live.PSObject.type_names.append(OBJECT)
    live.PSObject.adapted_properties = [
        PSNoteProperty(name, value=to_wire(item, depth - 1))
        for name, item in value.properties.items()
    ]
    live.PSObject.to_string = str(value)
    return live


def _array(items: list[Any]) -> Any:
    array = PSList(items)
    array.PSObject.type_names = ["System.Object[]", "System.Array", OBJECT]
    return array


def _enumeration(value: NetEnum) -> Any:
    return _enumeration_class(value.type_name, value.name, value.number)[value.name]


@cache
def _enumeration_class(type_name: str, name: str, number: int) -> Any:
    made = PSEnumBase(type_name.rpartition(".")[2], {name: number})
    return PSType([type_name], rehydrate=False)(made)


def from_wire(value: Any) -> Value:
    """Return a received parameter or input object as a plain value."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        names = cast("Any", value).PSObject.type_names
        return NetEnum(names[0], str(value.name), int(value.value))
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {from_wire(key): from_wire(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_wire(item) for item in value]
    if isinstance(value, datetime):
        return value
    if type(value).__name__ == "PSVersion":
        return NetVersion(str(value))
    if isinstance(value, PSObject) and (properties := _properties(value)):
        return custom(properties)
    return value


def _properties(value: Any) -> dict[str, Value]:
    meta = value.PSObject
    return {
        prop.name: from_wire(prop.get_value(value))
        for prop in (*meta.adapted_properties, *meta.extended_properties)
    }


def error_fields(error: PsError) -> dict[str, Any]:
    """Return a record's parts as `write_error` and `error_record` take them."""
    exception = NETException(Message=error.message, HResult=-2146233088)
    exception.PSObject.type_names = list(error.exception_types)
    return {
        "exception": exception,
        "category_info": ErrorCategoryInfo(
            Category=ErrorCategory[error.category],
            Activity=error.activity,
            Reason=error.reason,
            TargetName=error.target,
            TargetType="String" if error.target else "",
        ),
        "target_object": error.target or None,
        "fully_qualified_error_id": error.error_id,
    }


def error_record(error: PsError) -> Any:
    """Return the record that ends a pipeline."""
    fields = error_fields(error)
    return ErrorRecord(
        Exception=fields["exception"],
        CategoryInfo=fields["category_info"],
        TargetObject=fields["target_object"],
        FullyQualifiedErrorId=fields["fully_qualified_error_id"],
    )
