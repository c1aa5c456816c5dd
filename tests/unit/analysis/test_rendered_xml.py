from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from tests.simcluster.evtx import rendered_xml
from tests.unit.analysis.test_evtx import made
from toolkit.analysis._parsers.rendered_xml import read_rendered_xml
from toolkit.analysis._records import Damage, EventRecord

GOOD = rendered_xml(made(1), "the message")


def parsed(data: bytes) -> tuple[list[EventRecord], str]:
    items = list(read_rendered_xml(io.BytesIO(data)))
    events = [item for item in items if isinstance(item, EventRecord)]
    return events, " | ".join(str(item) for item in items if isinstance(item, Damage))


def test_event_is_read_with_its_message() -> None:
    ((event,), damage) = parsed(GOOD.encode())
    assert (event.provider, event.event_id, event.record_id) == ("Test", 1000, 1)
    assert event.at == datetime(2026, 3, 20, 1, 0, 1, 123456, tzinfo=UTC)
    assert event.data[1:] == (("Count", "3"), ("Good", "true"))
    assert event.message == "the message"
    assert damage == ""


def test_many_events_without_a_root_are_read() -> None:
    text = "".join(rendered_xml(made(number), "x") for number in range(1, 1001))
    events, damage = parsed(text.encode())
    assert [event.record_id for event in events] == list(range(1, 1001))
    assert damage == ""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encoding_is_told_by_the_first_bytes(encoding: str) -> None:
    ((event,), _) = parsed(rendered_xml(made(1), "größe – 日本").encode(encoding))
    assert event.message == "größe – 日本"


def test_broken_event_costs_only_itself() -> None:
    events, damage = parsed((GOOD + "<Event><System></Event>" + GOOD).encode())
    assert len(events) == 2
    assert "1 event(s) unreadable (element 2 …)" in damage


def test_cut_file_is_named() -> None:
    events, damage = parsed((GOOD + GOOD[:200]).encode())
    assert len(events) == 1
    assert "ends in the middle of an event" in damage


def test_characters_that_xml_forbids_do_not_cost_the_event() -> None:
    ((event,), damage) = parsed(GOOD.replace("the message", "a\x07b").encode())
    assert event.message == "a\ufffdb"
    assert damage == ""


def test_text_between_events_is_named() -> None:
    events, damage = parsed((GOOD + "Access is denied." + GOOD + "The end.").encode())
    assert len(events) == 2
    assert "between two events" in damage
    assert "after the last event" in damage


def test_entity_bomb_is_refused() -> None:
    bomb = "<!DOCTYPE x [<!ENTITY a 'aaaa'>]>" + GOOD
    events, damage = parsed(bomb.encode())
    assert len(events) == 1  # what stands before the event is cut off and named
    assert "between two events" in damage


def test_endless_event_does_not_fill_the_memory() -> None:
    events, damage = parsed(b"<Event>" + b"x" * (3 << 20) + b"</Event>" + GOOD.encode())
    assert len(events) == 1
    assert "without the end of an event" in damage


def test_empty_file_is_empty() -> None:
    assert parsed(b"") == ([], "")
    assert parsed("\ufeff\r\n".encode()) == ([], "")
