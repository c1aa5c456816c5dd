"""The in-box cmdlets that shape objects: Select-, Where-, Sort-, Measure-Object, ConvertTo-Json …."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.simcluster.pipeline import (
    Call,
    Library,
    Parameter,
    anything,
    number,
    switch,
    text,
    texts,
)
from tests.simcluster.psjson import to_json
from tests.simcluster.values import (
    OBJECT,
    NetEnum,
    NetObject,
    Value,
    custom,
    property_of,
    text_of,
    type_name,
)

LIBRARY = Library()
_COMMANDS = "Microsoft.PowerShell.Commands"


def _flat(call: Call) -> Iterator[Value]:
    """Take -InputObject or the pipeline's objects."""
    if call["InputObject"] is not None:
        given = call["InputObject"]
        yield from given if isinstance(given, list) else [given]
    yield from call.input


@LIBRARY.cmdlet(
    "Select-Object",
    Parameter("Property", texts, position=0),
    Parameter("ExpandProperty"),
    Parameter("First", number),
    Parameter("Last", number),
    Parameter("Skip", number),
    Parameter("Unique", switch),
    Parameter("InputObject", anything),
    owner=f"{_COMMANDS}.SelectObjectCommand",
)
def select_object(call: Call) -> Iterator[Value]:
    """Project, expand or cut the stream."""
    first, last, skip = call["First"], call["Last"], call["Skip"] or 0
    source = _flat(call)
    if last is not None:
        source = iter(list(source)[-last:])
    seen: list[str] = []
    taken = 0
    for index, item in enumerate(source):
        if index < skip:
            continue
        if first is not None and taken >= first:
            return
        taken += 1
        for result in _selected(call, item):
            if call["Unique"]:
                if text_of(result) in seen:
                    continue
                seen.append(text_of(result))
            yield result


def _selected(call: Call, item: Value) -> Iterator[Value]:
    expand = call["ExpandProperty"]
    if expand is not None:
        if not _has(item, expand):
            call.error(
                call.failure(
                    f'Property "{expand}" cannot be found.',
                    "ExpandPropertyNotFound",
                    "InvalidArgument",
                    exception="System.Management.Automation.PSArgumentException",
                    target=text_of(item),
                )
            )
            return
        found = property_of(item, expand)
        yield from found if isinstance(found, list) else [found]
    elif call["Property"]:
        bag: dict[str, Value] = {}
        for pattern in call["Property"]:
            for name in _names(item, pattern):
                bag[name] = property_of(item, name)
        yield custom(bag, type_name(item))
    else:
        yield item


def _has(item: Value, name: str) -> bool:
    if isinstance(item, NetObject):
        return name.lower() in {key.lower() for key in item.properties}
    return property_of(item, name) is not None


def _names(item: Value, pattern: str) -> list[str]:
    """Return the properties a name or wildcard stands for, in the type's own spelling."""
    own = list(item.properties) if isinstance(item, NetObject) else []
    if any(mark in pattern for mark in "*?["):
        return [name for name in own if fnmatch.fnmatch(name.lower(), pattern.lower())]
    return [next((name for name in own if name.lower() == pattern.lower()), pattern)]


_WHERE: dict[str, Callable[[Value, Value], bool]] = {
    "EQ": lambda a, b: _same(a, b),
    "NE": lambda a, b: not _same(a, b),
    "Like": lambda a, b: fnmatch.fnmatch(text_of(a).lower(), text_of(b).lower()),
    "NotLike": lambda a, b: not fnmatch.fnmatch(text_of(a).lower(), text_of(b).lower()),
    "GT": lambda a, b: bool(_order(a) > _order(b)),
    "GE": lambda a, b: bool(_order(a) >= _order(b)),
    "LT": lambda a, b: bool(_order(a) < _order(b)),
    "LE": lambda a, b: bool(_order(a) <= _order(b)),
    "In": lambda a, b: any(_same(a, one) for one in (b if isinstance(b, list) else [b])),
}


@LIBRARY.cmdlet(
    "Where-Object",
    Parameter("Property", text, position=0, is_mandatory=True),
    Parameter("Value", anything, position=1),
    *(Parameter(name, switch) for name in _WHERE),
    Parameter("InputObject", anything),
    owner=f"{_COMMANDS}.WhereObjectCommand",
)
def where_object(call: Call) -> Iterator[Value]:
    """Keep the objects whose property compares as asked."""
    operator = next((name for name in _WHERE if call[name]), None)
    for item in _flat(call):
        found = property_of(item, call["Property"])
        if operator is None:
            if found:
                yield item
        elif _WHERE[operator](found, call["Value"]):
            yield item


def _same(left: Value, right: Value) -> bool:
    return text_of(left).lower() == text_of(right).lower()


def _order(value: Value) -> Any:
    if isinstance(value, bool | int | float):
        return (0, value, "")
    if isinstance(value, datetime):
        return (1, value.timestamp(), "")
    if isinstance(value, timedelta):
        return (1, value.total_seconds(), "")
    if isinstance(value, NetEnum):
        return (0, value.number, "")
    return (2, 0, text_of(value).lower())


@LIBRARY.cmdlet(
    "Sort-Object",
    Parameter("Property", texts, position=0),
    Parameter("Descending", switch),
    Parameter("InputObject", anything),
    owner=f"{_COMMANDS}.SortObjectCommand",
)
def sort_object(call: Call) -> Iterator[Value]:
    """Sort by properties, or by value."""
    names = call["Property"]

    def key(item: Value) -> Any:
        return [_order(property_of(item, name)) for name in names] if names else _order(item)

    yield from sorted(_flat(call), key=key, reverse=bool(call["Descending"]))


@LIBRARY.cmdlet(
    "Measure-Object",
    Parameter("Property", position=0),
    Parameter("Sum", switch),
    Parameter("Maximum", switch),
    Parameter("Minimum", switch),
    Parameter("InputObject", anything),
    owner=f"{_COMMANDS}.MeasureObjectCommand",
)
def measure_object(call: Call) -> Iterator[Value]:
    """Count, and sum up if asked."""
    name = call["Property"]
    items = [property_of(item, name) if name else item for item in _flat(call)]
    numbers = [float(item) for item in items if isinstance(item, int | float)]
    yield NetObject(
        (f"{_COMMANDS}.GenericMeasureInfo", f"{_COMMANDS}.MeasureInfo", OBJECT),
        {
            "Count": len(items),
            "Average": None,
            "Sum": sum(numbers) if call["Sum"] else None,
            "Maximum": max(numbers) if call["Maximum"] and numbers else None,
            "Minimum": min(numbers) if call["Minimum"] and numbers else None,
            "Property": name,
        },
    )


@LIBRARY.cmdlet(
    "ConvertTo-Json",
    Parameter("InputObject", anything, position=0),
    Parameter("Depth", number),
    Parameter("Compress", switch),
    owner=f"{_COMMANDS}.ConvertToJsonCommand",
)
def convert_to_json(call: Call) -> Iterator[Value]:
    """Print everything that came as one JSON text: one object alone, several as an array."""
    items = list(_flat(call))
    if not items:
        return
    depth = 2 if call["Depth"] is None else call["Depth"]
    whole = items[0] if len(items) == 1 else items  # the array of several costs a level itself
    yield to_json(whole, depth=depth, compress=bool(call["Compress"]))


@LIBRARY.cmdlet("Out-Null", owner=f"{_COMMANDS}.OutNullCommand")
def out_null(call: Call) -> Iterator[Value]:
    """Swallow everything."""
    for _ in call.input:
        pass
    return iter(())


@LIBRARY.cmdlet(
    "Out-String",
    Parameter("Stream", switch),
    Parameter("Width", number),
    owner=f"{_COMMANDS}.OutStringCommand",
)
def out_string(call: Call) -> Iterator[Value]:
    """Print objects as text; tables and lists are not imitated."""
    lines = [text_of(item) for item in call.input]
    yield from lines if call["Stream"] else ["".join(f"{line}\r\n" for line in lines)]


@LIBRARY.cmdlet(
    "Write-Output", Parameter("InputObject", anything, position=0),
    owner=f"{_COMMANDS}.WriteOutputCommand",
)  # fmt: skip
def write_output(call: Call) -> Iterator[Value]:
    """Pass objects on."""
    yield from _flat(call)


@LIBRARY.cmdlet(
    "Write-Warning", Parameter("Message", text, position=0, is_mandatory=True),
    owner=f"{_COMMANDS}.WriteWarningCommand",
)  # fmt: skip
def write_warning(call: Call) -> Iterator[Value]:
    """Write a warning record."""
    call.streams.warning(call["Message"])
    return iter(())


@LIBRARY.cmdlet(
    "Write-Progress",
    Parameter("Activity", text, position=0, is_mandatory=True),
    Parameter("Status", text, position=1),
    Parameter("PercentComplete", number),
    owner=f"{_COMMANDS}.WriteProgressCommand",
)
def write_progress(call: Call) -> Iterator[Value]:
    """Write a progress record."""
    percent = -1 if call["PercentComplete"] is None else call["PercentComplete"]
    call.streams.progress(call["Activity"], call["Status"] or "Processing", percent)
    return iter(())


@LIBRARY.cmdlet(
    "Write-Error",
    Parameter("Message", text, position=0, is_mandatory=True),
    owner="Microsoft.PowerShell.Commands.WriteErrorException",
)
def write_error(call: Call) -> Iterator[Value]:
    """Write an error record that does not end the pipeline."""
    failure = call.failure(
        call["Message"],
        "Microsoft.PowerShell.Commands.WriteErrorException",
        exception="Microsoft.PowerShell.Commands.WriteErrorException",
    )
    failure.error_id = "Microsoft.PowerShell.Commands.WriteErrorException"
    call.error(failure)
    return iter(())


@LIBRARY.cmdlet(
    "Start-Sleep",
    Parameter("Seconds", number, position=0),
    Parameter("Milliseconds", number),
    owner=f"{_COMMANDS}.StartSleepCommand",
)
def start_sleep(call: Call) -> Iterator[Value]:
    """Wait in real time."""
    call.pause((call["Seconds"] or 0) + (call["Milliseconds"] or 0) / 1000)
    return iter(())
