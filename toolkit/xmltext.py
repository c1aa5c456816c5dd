"""bytes → a small tree of XML elements, for documents of strangers whose schema is only half known. Pure.

Namespaces are kept apart from names, and names are compared without case: what is public about the vendors'
manifests was read with PowerShell's dot notation, which knows neither case nor the difference between an
attribute and a child element. So a *fact* of an element is an attribute or a child without children.

No document type, no entity, and no more than the limits below, so the tree fits in memory whatever comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from toolkit.errors import InputError

SIGNATURE_NAMESPACE = "http://www.w3.org/2000/09/xmldsig#"
"""Of XML signatures, which are no facts of the document."""

LIMIT_BYTES = 10 << 20
"""A vendor's manifest has tens of kilobytes, a list of files perhaps some megabytes."""
DEEPEST = 60
MOST_NODES = 100_000
"""Elements and attributes together."""


@dataclass(slots=True)
class Element:
    """One element, its attributes in order, its children, and the text that is directly in it."""

    name: str
    namespace: str
    attributes: tuple[tuple[str, str], ...]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def facts(self) -> Iterator[tuple[str, str]]:
        """Return (name, value) of each attribute and each child without children."""
        for name, value in self.attributes:
            yield name, value.strip()
        for child in self.children:
            if not child.children:
                yield child.name, child.text

    def value(self, *names: str) -> str:
        """Return the first fact of one of these names that says something; empty: none."""
        wanted = [name.casefold() for name in names]
        found: dict[str, str] = {}
        for name, value in self.facts():
            if value:
                found.setdefault(name.casefold(), value)
        return next((found[name] for name in wanted if name in found), "")

    def drop_signatures(self) -> None:
        """Take out every XML signature below: nothing in it is signed content, so nothing of it is a fact.

        Source: XML Signature Syntax and Processing 1.1, section 6.6.4 (the enveloped signature is left out of
        what is signed, and with it every `Object` that it brings).
        """
        for element in self.walk():
            element.children = [
                child for child in element.children if child.namespace != SIGNATURE_NAMESPACE
            ]

    def walk(self) -> Iterator[Element]:
        """Return the element and everything below it, in document order."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(reversed(element.children))

    def named(self, *names: str) -> Iterator[Element]:
        """Return the element and everything below it that has one of these names."""
        wanted = {name.casefold() for name in names}
        return (element for element in self.walk() if element.name.casefold() in wanted)

    def values(self) -> Iterator[tuple[str, str]]:
        """Return (name, value) of every attribute and every text here and below, the empty ones left out."""
        for element in self.walk():
            for name, value in (*element.attributes, (element.name, element.text)):
                if value.strip():
                    yield name, value.strip()


def read_xml(data: bytes, *, attempted: str, file: str | None) -> Element:
    """Return the root of the document that `data` holds.

    Raises:
        InputError: Not XML, with a document type, or beyond the limits; says where.
    """

    def refuse(found: str, place: str | None = None) -> InputError:
        return InputError(
            attempted,
            file=file,
            place=place,
            found=found,
            expected="an XML document",
            hint="get it again from its publisher; is it a sign-in or error page saved by that name?",
        )

    if len(data) > LIMIT_BYTES:
        raise refuse(f"{len(data)} bytes, more than {LIMIT_BYTES}")
    builder = _Builder()
    parser = DefusedXMLParser(target=builder, forbid_dtd=True)
    try:
        parser.feed(data)
        parser.close()
        return builder.root()
    except ParseError as error:
        line, column = error.position
        raise refuse(str(error), f"line {line}, column {column + 1}") from error
    except DefusedXmlException as error:
        raise refuse("a document type or entity, which no such file needs") from error
    except (ValueError, LookupError) as error:  # an encoding we do not know, or our own limits
        raise refuse(str(error)) from error


class _Builder:
    """Builds the tree while the parser reads, and stops at the limits."""

    def __init__(self) -> None:
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._root: Element | None = None
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1 + len(attributes)
        if self._count > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES} elements and attributes")
        if len(self._open) >= DEEPEST:
            raise ValueError(f"elements in elements, more than {DEEPEST} deep")
        namespace, name = _split(tag)
        element = Element(
            name, namespace, tuple((_split(key)[1], value) for key, value in attributes.items())
        )
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)
        self._texts.append([])

    def data(self, text: str) -> None:
        if self._texts:
            self._texts[-1].append(text)

    def end(self, _tag: str) -> None:
        self._open.pop().text = "".join(self._texts.pop()).strip()

    def close(self) -> None:
        """Everything is there already."""

    def root(self) -> Element:
        if self._root is None:
            raise ValueError("no element")
        return self._root


def _split(tag: str) -> tuple[str, str]:
    namespace, _, name = tag.rpartition("}")
    return namespace.removeprefix("{"), name
