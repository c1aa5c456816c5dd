"""Events as `wevtutil qe /f:RenderedXml` prints them: `Event` elements one after another, no root.

The stream is cut at the end tags and each element is parsed alone, so memory is bounded by one event
and one broken event costs one event.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import IO
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from toolkit.analysis._parsers.powershell_json import encoding_of, event_time
from toolkit.analysis._records import Damage, EventRecord

_READ_BYTES = 65536
_EVENT_LIMIT = 1 << 20
_END = "</Event>"
_START = re.compile(r"<Event[\s>]")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NAMED = 3


def read_rendered_xml(stream: IO[bytes]) -> Iterator[EventRecord | Damage]:
    """Yield every readable event in file order, and what could not be read."""
    broken = _Broken()
    for number, piece in enumerate(_pieces(stream), start=1):
        record = None if isinstance(piece, Damage) else _record(piece)
        if isinstance(piece, Damage):
            yield piece
        elif record is None:
            broken.add(number)
        else:
            yield record
    yield from broken.damage()


class _Broken:
    """Which elements could not be understood; the first few are named."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[int] = []

    def add(self, number: int) -> None:
        self.count += 1
        if len(self.first) < _NAMED:
            self.first.append(number)

    def damage(self) -> Iterator[Damage]:
        if self.count:
            named = ", ".join(map(str, self.first))
            yield Damage(what=f"{self.count} event(s) unreadable", place=f"element {named} …")


def _pieces(stream: IO[bytes]) -> Iterator[str | Damage]:
    """Cut the stream into the texts of its `Event` elements."""
    data = stream.read(_READ_BYTES)
    decoder = codecs.getincrementaldecoder(encoding_of(data))("replace")
    text = ""
    while data:
        text += decoder.decode(data)
        *whole, text = text.split(_END)
        for piece in whole:
            yield from _piece(piece)
        if len(text) > _EVENT_LIMIT:
            yield Damage(what=f"{len(text)} characters without the end of an event; skipped")
            text = ""
        data = stream.read(_READ_BYTES)
    text += decoder.decode(b"", final=True)
    if _START.search(text):
        yield Damage(what="the file ends in the middle of an event")
    elif text.strip():
        yield Damage(what=f"{len(text.strip())} characters after the last event are no event")


def _piece(text: str) -> Iterator[str | Damage]:
    start = _START.search(text)
    if start is None:
        yield Damage(what=f"{len(text)} characters are no event; skipped")
        return
    if text[: start.start()].strip():
        yield Damage(what=f"{start.start()} characters between two events; skipped")
    yield text[start.start() :] + _END


def _record(text: str) -> EventRecord | None:
    try:
        event = fromstring(_FORBIDDEN.sub("\ufffd", text))
    except (ParseError, DefusedXmlException, ValueError):
        return None
    system = _find(event, "System")
    if system is None:
        return None
    at = event_time(_attribute(_find(system, "TimeCreated"), "SystemTime"))
    if at is None:
        return None
    info = _find(event, "RenderingInfo")
    return EventRecord(
        provider=_attribute(_find(system, "Provider"), "Name"),
        event_id=_number(system, "EventID"),
        version=_number(system, "Version"),
        level=_number(system, "Level"),
        channel=_text(_find(system, "Channel")),
        computer=_text(_find(system, "Computer")),
        record_id=_number(system, "EventRecordID"),
        at=at,
        data=tuple(_payload(event)),
        message="" if info is None else _text(_find(info, "Message")),
    )


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _find(element: Element, name: str) -> Element | None:
    return next((item for item in element if _local(item) == name), None)


def _attribute(element: Element | None, name: str) -> str:
    return "" if element is None else element.get(name, "")


def _text(element: Element | None) -> str:
    return "" if element is None else (element.text or "").strip()


def _number(system: Element, name: str) -> int:
    digits = _text(_find(system, name))
    return int(digits) if re.fullmatch(r"[0-9]{1,19}", digits) else 0


def _payload(event: Element) -> Iterator[tuple[str, str]]:
    if (data := _find(event, "EventData")) is not None:
        for item in data:
            yield item.get("Name", ""), _text(item)
    if (own := _find(event, "UserData")) is not None:
        for inner in own:
            for item in inner:
                yield _local(item), _text(item)
