"""What flows through a simulated pipeline: .NET values as plain Python, and error records.

Text, numbers, booleans, bytes, aware datetimes, timedeltas, UUIDs, lists and dictionaries stand for
themselves. Only what Python lacks has a class here. Nothing in this file knows a protocol.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

Value = object
"""Anything a pipeline can carry."""

OBJECT = "System.Object"
CUSTOM_OBJECT = "System.Management.Automation.PSCustomObject"


@dataclass(frozen=True, slots=True)
class NetEnum:
    """One value of a .NET enumeration."""

    type_name: str
    name: str
    number: int

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class NetVersion:
    """`System.Version`."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class NetChar:
    """`System.Char`, for instance a drive letter; the letter a volume without one has is the NUL."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class NetObject:
    """A .NET object, or with `is_custom` the property bag `Select-Object` makes."""

    type_names: tuple[str, ...]
    properties: dict[str, Value]
    text: str = ""
    """What ToString() says; empty: the type's name."""
    is_custom: bool = False

    def __str__(self) -> str:
        if self.text:
            return self.text
        if self.is_custom:
            inner = "; ".join(f"{name}={text_of(item)}" for name, item in self.properties.items())
            return f"@{{{inner}}}"
        return self.type_names[0]


def custom(properties: dict[str, Value], selected_from: str = "") -> NetObject:
    """Return a property bag; `selected_from` names the type `Select-Object` took it from."""
    names = (f"Selected.{selected_from}",) if selected_from else ()
    return NetObject((*names, CUSTOM_OBJECT, OBJECT), properties, is_custom=True)


def text_of(value: Value) -> str:
    """Return what PowerShell's string conversion makes of a value."""
    match value:
        case None:
            return ""
        case bool():
            return str(value)
        case list() | tuple():
            return " ".join(text_of(item) for item in value)
        case dict():
            return "System.Collections.Hashtable"
        case timedelta():
            return _timespan(value)
        case _:
            return str(value)


def _timespan(value: timedelta) -> str:
    total = abs(value)
    hours, rest = divmod(total.seconds, 3600)
    sign = "-" if value < timedelta() else ""
    days = f"{total.days}." if total.days else ""
    fraction = f".{total.microseconds * 10:07}" if total.microseconds else ""
    return f"{sign}{days}{hours:02}:{rest // 60:02}:{rest % 60:02}{fraction}"


def type_name(value: Value) -> str:
    """Return the full name of a value's .NET type."""
    match value:
        case NetObject():
            return value.type_names[0]
        case NetEnum():
            return value.type_name
        case bool():
            return "System.Boolean"
        case int():
            return "System.Int32" if -(2**31) <= value < 2**31 else "System.Int64"
        case str():
            return "System.String"
        case dict():
            return "System.Collections.Hashtable"
        case list() | tuple():
            return "System.Object[]"
        case _:
            return f"System.{type(value).__name__}"


def property_of(value: Value, name: str) -> Value:
    """Read a property as `.name` does: any case, None when there is none."""
    wanted = name.lower()
    if isinstance(value, NetObject):
        return next((v for k, v in value.properties.items() if k.lower() == wanted), None)
    if isinstance(value, dict):
        return next((v for k, v in value.items() if str(k).lower() == wanted), None)
    if wanted in {"length", "count"} and isinstance(value, str | bytes | list):
        return len(value)
    return None


@dataclass(slots=True)
class PsError(Exception):
    """An error record. Raised: the pipeline ends (terminating); written: it goes on."""

    message: str
    error_id: str
    category: str = "NotSpecified"
    exception: str = "System.Exception"
    target: str = ""
    activity: str = ""
    base_exceptions: tuple[str, ...] = field(default=("System.Exception", OBJECT))

    @property
    def exception_types(self) -> tuple[str, ...]:
        """The exception's class and its bases, most specific first."""
        if self.exception in self.base_exceptions:
            return self.base_exceptions
        return (self.exception, *self.base_exceptions)

    @property
    def reason(self) -> str:
        """The class name alone, as the category line shows it."""
        return self.exception.rpartition(".")[2]

    def __str__(self) -> str:
        return self.message
