"""CLIXML of a node → plain values, and plain parameter values → what pypsrp sends. Pure.

pypsrp's own reader decides by type name and gives up (raw XML text) on collections whose element type it
does not know, such as a `List` of health checks. The shape is in the XML elements, so that is what we read;
type names only tell an enumeration from a number.

Both shapes of 3.6 give the same value: an enumeration sent as an object and one sent as a string are its
name. Date, time span, decimal, version and GUID stay the text the node wrote.

Source: [MS-PSRP] 2.2.5 (serialization of types).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from pypsrp.serializer import TaggedValue

from toolkit.errors import InputError, misread
from toolkit.model import Plain

_MAX_DEPTH = 100
"""Remoting cuts objects at depth 1 and callers at a few more; deeper is not a cmdlet's reply."""

_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def _text(element: Element) -> str:
    """Undo `_xHHHH_`, which stands for one UTF-16 unit."""
    text = element.text or ""
    if "_x" not in text:
        return text
    units = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _whole(element: Element) -> int:
    return int(element.text or "")


_PRIMITIVES: dict[str, Callable[[Element], Plain]] = {
    "Nil": lambda _: None,
    "B": lambda element: (element.text or "").strip().lower() == "true",
    "C": lambda element: chr(_whole(element)),
    "BA": lambda element: base64.b64decode(element.text or "", validate=True),
    **dict.fromkeys(("By", "SB", "I16", "U16", "I32", "U32", "I64", "U64"), _whole),
    **dict.fromkeys(("Sg", "Db"), lambda element: float(element.text or "")),
    **dict.fromkeys(
        ("S", "ToString", "DT", "TS", "D", "G", "URI", "Version", "XD", "SBK", "SS", "PR"), _text
    ),
}
_LISTS = ("LST", "IE", "STK", "QUE")


def plain(xml: str) -> Plain:
    """Read one serialised object.

    Raises:
        InputError: Not CLIXML, or a value that its own tag contradicts.
    """
    try:
        return _Reader().value(fromstring(xml), 0)
    except (ParseError, DefusedXmlException, ValueError, KeyError, OverflowError) as error:
        raise InputError(
            "read an object of a node's reply",
            found=misread(error),
            expected="CLIXML as [MS-PSRP] describes it",
            hint="run the command again with --debug and send us what it prints",
        ) from error


class _Reader:
    """One object's references: values by RefId, type names by TN RefId."""

    def __init__(self) -> None:
        self._values: dict[str, Plain] = {}
        self._types: dict[str, list[str]] = {}

    def value(self, element: Element, depth: int) -> Plain:
        if depth > _MAX_DEPTH:
            raise ValueError(f"objects nested more than {_MAX_DEPTH} deep")
        if element.tag in _PRIMITIVES:
            return _PRIMITIVES[element.tag](element)
        if element.tag == "Ref":
            return self._values[element.attrib["RefId"]]
        if element.tag != "Obj":
            raise ValueError(f"an element <{element.tag}>")
        ref = element.get("RefId", "")
        self._values[ref] = None  # an object that contains itself ends here
        self._values[ref] = read = self._object(element, depth)
        return read

    def _object(self, element: Element, depth: int) -> Plain:
        types = self._type_names(element)
        words = element.find("ToString")
        adapted: dict[str, Plain] = {}
        added: dict[str, Plain] = {}
        for child in element:
            if child.tag in _LISTS:
                return [self.value(item, depth + 1) for item in child]
            if child.tag == "DCT":
                return self._dictionary(child, depth)
            if child.tag in _PRIMITIVES and child is not words:
                is_enum = "System.Enum" in types and words is not None
                return _text(words) if is_enum and words is not None else self.value(child, depth)
            if child.tag in ("Props", "MS"):
                into = adapted if child.tag == "Props" else added
                into.update((_name(item), self.value(item, depth + 1)) for item in child)
        if not adapted and not added and words is not None and words.text:
            return _text(words)
        return adapted | added  # as in PowerShell, an added property hides the type's own

    def _dictionary(self, element: Element, depth: int) -> Plain:
        read: dict[str, Plain] = {}
        for entry in element:
            pair = {part.get("N", ""): self.value(part, depth + 1) for part in entry}
            read[str(pair["Key"])] = pair["Value"]
        return read

    def _type_names(self, element: Element) -> list[str]:
        names = element.find("TN")
        if names is not None:
            types = [name.text or "" for name in names]
            self._types[names.get("RefId", "")] = types
            return types
        reference = element.find("TNRef")
        return [] if reference is None else self._types[reference.get("RefId", "")]


def _name(element: Element) -> str:
    name = Element("S")
    name.text = element.attrib["N"]
    return _text(name)


def wire(value: Plain) -> object:
    """Turn a parameter value into what pypsrp serialises without losing width.

    pypsrp sends every Python int as 32 bits and every float as single precision; a tag says otherwise.

    Raises:
        InputError: An integer that no .NET integer holds.
    """
    match value:
        case bool() | str() | bytes() | None:
            return value
        case int():
            for tag, low, high in (("I32", -(1 << 31), 1 << 31), ("I64", -(1 << 63), 1 << 63)):
                if low <= value < high:
                    return TaggedValue(tag, value)
            raise InputError(
                "send a number to a node", found=f"{value.bit_length()} bits", expected="64 bits"
            )
        case float():
            return TaggedValue("Db", value)
        case list():
            return [wire(item) for item in value]
        case dict():
            return {key: wire(item) for key, item in value.items()}
