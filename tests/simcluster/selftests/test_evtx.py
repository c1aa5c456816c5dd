"""Logs we write, read by two programs that have nothing to do with each other or with us."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import pytest
from evtx import PyEvtxParser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simcluster.evtx import Event, HexInt, Sid, UInt, UserData, rendered_xml, write_evtx

Write = Callable[..., Path]
Export = Callable[[Path], list[ElementTree.Element]]

NS = "{http://schemas.microsoft.com/win/2004/08/events/event}"

EVENT = Event(
    provider="Microsoft-Windows-ClusterAwareUpdating-Management",
    provider_guid=UUID("9b9e93d6-5569-4179-8c8a-5201cb2b9536"),
    event_id=1008,
    level=4,
    time=datetime(2026, 3, 20, 4, 23, 35, 123456, tzinfo=UTC),
    channel="Microsoft-Windows-ClusterAwareUpdating-Management/Admin",
    computer="n1.cluster.example",
    record_id=41,
    data=(("NodeName", "n1"),),
    version=1,
    task=7,
    opcode=13,
    keywords=0x8000000000000018,
    process_id=3120,
    thread_id=4404,
    user_sid="S-1-5-18",
)

VALUES = [
    # value, JSON of the evtx package, text of evtxexport
    ("über Größe <&>\"' €", "über Größe <&>\"' €", "über Größe <&>\"' €"),
    ("", "", ""),
    (7, 7, "7"),
    (1 << 40, 1 << 40, str(1 << 40)),
    (True, True, "true"),
    (False, False, "false"),
    (b"\x01\xfe", "01FE", "01FE"),
    (UInt(200, 1), 200, "200"),
    (UInt(65535, 2), 65535, "65535"),
    (UInt((1 << 64) - 1, 8), (1 << 64) - 1, str((1 << 64) - 1)),
    (HexInt(0x80070005), "0x80070005", "0x80070005"),
    (HexInt(0x8000000000000018, 8), "0x8000000000000018", "0x8000000000000018"),
    (Sid("S-1-5-21-1-2-3-500"), "S-1-5-21-1-2-3-500", "S-1-5-21-1-2-3-500"),
    (
        UUID("945a8954-c147-4acd-923f-40c45405a658"),
        "945A8954-C147-4ACD-923F-40C45405A658",
        "{945A8954-C147-4ACD-923F-40C45405A658}",
    ),
    (
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "2026-01-02T03:04:05.678901Z",
        "2026-01-02T03:04:05.678901000Z",
    ),
    (1.5, "1.5", "1.500000e+000"),
]


def rows_of(path: Path, form: str = "records_json") -> list[dict[str, Any]]:
    parser: Any = PyEvtxParser(path, validate_checksums=True)
    return list(getattr(parser, form)())


def read_json(path: Path) -> list[dict[str, Any]]:
    events = []
    for row in rows_of(path):
        event = json.loads(row["data"])["Event"]
        assert event["System"]["EventRecordID"] == row["event_record_id"]
        events.append(event)
    return events


@pytest.fixture
def evtxexport() -> Export:
    program = shutil.which("evtxexport")
    if program is None:
        pytest.skip("evtxexport (Debian package libevtx-utils) is not installed")

    def export(path: Path) -> list[ElementTree.Element]:
        done = subprocess.run(
            [program, "-f", "xml", path], capture_output=True, encoding="utf-8", timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "Unable" not in done.stdout
        xml = done.stdout[done.stdout.find("<Event") :]
        return list(ElementTree.fromstring(f"<Events>{xml}</Events>")) if "<Event" in xml else []  # noqa: S314

    return export


@pytest.fixture
def written(tmp_path: Path) -> Write:
    def write(*events: Event) -> Path:
        path = tmp_path / "log.evtx"
        write_evtx(path, events)
        return path

    return write


def numbered(count: int) -> list[Event]:
    return [replace(EVENT, record_id=41 + n, data=(("N", n),)) for n in range(count)]


# --- the evtx package ---------------------------------------------------------------------------


def test_every_system_field_is_read(written: Write) -> None:
    [event] = read_json(written(replace(EVENT, qualifiers=32768, activity_id=UUID(int=5))))
    system = event["System"]
    assert system["Provider"]["#attributes"] == {
        "Name": "Microsoft-Windows-ClusterAwareUpdating-Management",
        "Guid": "9B9E93D6-5569-4179-8C8A-5201CB2B9536",
    }
    assert system["EventID"] == {"#attributes": {"Qualifiers": 32768}, "#text": 1008}
    assert [system[key] for key in ("Version", "Level", "Task", "Opcode")] == [1, 4, 7, 13]
    assert system["Keywords"] == "0x8000000000000018"
    assert system["TimeCreated"]["#attributes"]["SystemTime"] == "2026-03-20T04:23:35.123456Z"
    assert system["Correlation"]["#attributes"]["ActivityID"] == str(UUID(int=5))
    assert system["Execution"]["#attributes"] == {"ProcessID": 3120, "ThreadID": 4404}
    assert system["Channel"] == "Microsoft-Windows-ClusterAwareUpdating-Management/Admin"
    assert system["Computer"] == "n1.cluster.example"
    assert system["Security"]["#attributes"] == {"UserID": "S-1-5-18"}


def test_what_an_event_does_not_have_is_left_out(written: Write) -> None:
    [event] = read_json(written(replace(EVENT, provider_guid=None, user_sid=None)))
    assert event["System"]["Provider"]["#attributes"] == {"Name": EVENT.provider}
    assert event["System"]["Security"] is None
    assert event["System"]["Correlation"] is None


def test_the_record_header_carries_the_time(written: Write) -> None:
    [row] = rows_of(written(EVENT))
    assert row["timestamp"] == "2026-03-20T04:23:35.123456Z UTC"


@pytest.mark.parametrize(("value", "expected", "_"), VALUES)
def test_value_is_read_with_its_type(written: Write, value: object, expected: Any, _: Any) -> None:
    [event] = read_json(written(replace(EVENT, data=(("value", value), ("after", "end")))))
    assert event["EventData"] == {"value": expected, "after": "end"}


@pytest.mark.parametrize("value", [-3, -(1 << 31), -(1 << 40)])
def test_negative_number_is_read(written: Write, value: object) -> None:
    [event] = read_json(written(replace(EVENT, data=(("value", value),))))
    assert event["EventData"] == {"value": value}


def test_missing_value_does_not_shift_the_others(written: Write) -> None:
    [event] = read_json(written(replace(EVENT, data=(("a", None), ("b", "x")))))
    assert event["EventData"] == {"a": "", "b": "x"}


def test_unnamed_strings_are_read_in_order(written: Write) -> None:
    data = ((None, "10.00."), (None, "26100"), (None, ""), (None, "last"))
    [event] = read_json(written(replace(EVENT, data=data)))
    assert event["EventData"] == {"Data": {"#text": ["10.00.", "26100", "", "last"]}}


def test_unnamed_values_of_mixed_types_are_read_in_order(written: Write) -> None:
    [event] = read_json(written(replace(EVENT, data=((None, "a"), (None, 2)))))
    assert event["EventData"] == {"Data": {"#text": ["a", 2]}}


def test_user_data_is_read(written: Write) -> None:
    own = UserData("CbsUpdate", (("Id", "KB1"), ("State", 112)), namespace="http://setup")
    [event] = read_json(written(replace(EVENT, data=(), user_data=own)))
    assert event["UserData"]["CbsUpdate"] == {
        "#attributes": {"xmlns": "http://setup"},
        "Id": "KB1",
        "State": 112,
    }
    assert "EventData" not in event


def test_event_without_data_is_read(written: Write) -> None:
    [event] = read_json(written(replace(EVENT, data=())))
    assert set(event) == {"#attributes", "System"}


def test_templates_of_different_shape_share_a_chunk(written: Write) -> None:
    events = read_json(
        written(
            replace(EVENT, record_id=1, data=(("a", 1),)),
            replace(EVENT, record_id=2, data=(("a", "text"),)),
            replace(EVENT, record_id=3, data=(("b", 1), ("a", 2))),
            replace(EVENT, record_id=4, data=(("a", 3),)),
        )
    )
    assert [event["EventData"] for event in events] == [
        {"a": 1},
        {"a": "text"},
        {"b": 1, "a": 2},
        {"a": 3},
    ]


def test_two_thousand_events_fill_many_chunks_and_all_are_read(written: Write) -> None:
    path = written(*numbered(2000))
    assert path.stat().st_size > 4096 + 5 * 65536
    assert [event["EventData"]["N"] for event in read_json(path)] == list(range(2000))


def test_record_that_does_not_fit_starts_the_next_chunk(written: Write) -> None:
    large = [replace(EVENT, record_id=n, data=(("text", "x" * 20_000),)) for n in range(1, 4)]
    assert [event["System"]["EventRecordID"] for event in read_json(written(*large))] == [1, 2, 3]


def test_empty_log_has_no_events(written: Write) -> None:
    assert read_json(written()) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.dictionaries(
        st.sampled_from("abcdefgh"),
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            st.integers(-(1 << 63), (1 << 64) - 1),
            st.booleans(),
            st.uuids(),
        ),
        min_size=1,
    )
)
def test_any_text_and_number_survives_the_way_through_a_log(
    tmp_path: Path, data: dict[str, object]
) -> None:
    path = tmp_path / "any.evtx"
    event = replace(EVENT, data=tuple(data.items()))
    write_evtx(path, [event, replace(event, record_id=42)])
    expected = {
        name: str(value).upper() if isinstance(value, UUID) else value
        for name, value in data.items()
    }
    assert [event["EventData"] for event in read_json(path)] == [expected] * 2


# --- libevtx ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "_", "expected"), VALUES)
def test_value_is_read_by_libevtx(
    written: Write, evtxexport: Export, value: object, _: Any, expected: Any
) -> None:
    [event] = evtxexport(written(replace(EVENT, data=(("value", value), ("after", "end")))))
    items = event.findall(f"{NS}EventData/{NS}Data")
    assert [(item.get("Name"), item.text or "") for item in items] == [
        ("value", expected),
        ("after", "end"),
    ]


def test_system_fields_are_read_by_libevtx(written: Write, evtxexport: Export) -> None:
    [event] = evtxexport(written(EVENT))
    system = {child.tag.removeprefix(NS): child for child in event.iterfind(f"{NS}System/*")}
    assert {tag: child.text for tag, child in system.items() if child.text} == {
        "EventID": "1008",
        "Version": "1",
        "Level": "4",
        "Task": "7",
        "Opcode": "13",
        "Keywords": "0x8000000000000018",
        "EventRecordID": "41",
        "Channel": "Microsoft-Windows-ClusterAwareUpdating-Management/Admin",
        "Computer": "n1.cluster.example",
    }
    assert system["Provider"].attrib["Guid"] == "{9B9E93D6-5569-4179-8C8A-5201CB2B9536}"
    time = system["TimeCreated"].attrib["SystemTime"]
    assert time == "2026-03-20T04:23:35.123456000Z"


@pytest.mark.parametrize(
    ("changes", "path", "expected"),
    [
        ({"data": ((None, "one"), (None, ""), (None, "3"))}, "EventData/Data", ["one", None, "3"]),
        ({"data": (), "user_data": UserData("Own", (("Id", "KB1"),))}, "UserData/Own/Id", ["KB1"]),
        ({"data": ()}, "EventData", []),
        ({"data": (("a", None), ("b", "x"))}, "EventData/Data", ["x"]),
    ],
)
def test_payload_of_any_form_is_read_by_libevtx(
    written: Write, evtxexport: Export, changes: dict[str, Any], path: str, expected: Any
) -> None:
    [event] = evtxexport(written(replace(EVENT, **changes)))
    steps = "/".join(NS + step for step in path.split("/"))
    assert [item.text for item in event.findall(steps)] == expected


def test_two_thousand_events_are_read_by_libevtx(written: Write, evtxexport: Export) -> None:
    events = evtxexport(written(*numbered(2000)))
    assert [event.findtext(f"{NS}EventData/{NS}Data") for event in events] == [
        str(n) for n in range(2000)
    ]


def test_empty_log_is_read_by_libevtx(written: Write, evtxexport: Export) -> None:
    assert evtxexport(written()) == []


# --- against the bytes of real logs -------------------------------------------------------------


@pytest.mark.parametrize(("name", "stored"), [("Event", "ba0c"), ("System", "6f54")])
def test_name_carries_the_hash_that_windows_stores(written: Write, name: str, stored: str) -> None:
    units = name.encode("utf-16-le")
    entry = bytes.fromhex(stored) + len(name).to_bytes(2, "little") + units + b"\0\0"
    assert entry in written(EVENT).read_bytes()


# --- what is refused, and what damage does ------------------------------------------------------


def test_event_larger_than_a_chunk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="larger than a chunk"):
        write_evtx(tmp_path / "log", [replace(EVENT, data=(("text", "x" * 33_000),))])


def test_time_without_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="time zone"):
        write_evtx(tmp_path / "log", [replace(EVENT, time=datetime(2026, 1, 1))])  # noqa: DTZ001


def test_value_of_unknown_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="complex"):
        write_evtx(tmp_path / "log", [replace(EVENT, data=(("value", 1j),))])


def test_checksums_cover_header_tables_and_records(written: Write) -> None:
    path = written(EVENT)
    whole = path.read_bytes()
    for offset in (4096 + 24, 4096 + 200, 4096 + 700):
        damaged = bytearray(whole)
        damaged[offset] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(RuntimeError):
            rows_of(path)


# --- rendered XML -------------------------------------------------------------------------------


def test_rendered_event_stands_on_one_line_with_its_message() -> None:
    text = rendered_xml(EVENT, "Node n1 is in <maintenance> mode.")
    assert text.startswith(f"<Event xmlns='{NS[1:-1]}'><System><Provider Name='Microsoft-")
    assert "<Message>Node n1 is in &lt;maintenance&gt; mode.</Message>" in text
    assert "<TimeCreated SystemTime='2026-03-20T04:23:35.1234560Z'/>" in text
    assert text.endswith("</RenderingInfo></Event>")
    assert "\n" not in text


@pytest.mark.parametrize(("value", "_", "__"), VALUES)
def test_rendered_event_holds_the_same_values_as_the_log(
    written: Write, value: object, _: Any, __: Any
) -> None:
    event = replace(EVENT, data=(("value's", value), ("after", "end")))
    [row] = rows_of(written(event), "records")
    from_log = ElementTree.fromstring(row["data"])  # noqa: S314
    rendered = ElementTree.fromstring(rendered_xml(event, "text"))  # noqa: S314

    def values(root: ElementTree.Element) -> list[tuple[str | None, str]]:
        # the evtx package drops braces and the seventh digit of a second
        return [
            (item.get("Name"), (item.text or "").strip("{}").replace("9010Z", "901Z"))
            for item in root.findall(f"{NS}EventData/{NS}Data")
        ]

    assert values(rendered) == values(from_log)


def test_rendered_user_data_and_unnamed_strings_keep_their_form() -> None:
    own = UserData("Own", (("Id", "KB1"),), namespace="http://setup")
    assert "<UserData><Own xmlns='http://setup'><Id>KB1</Id></Own></UserData>" in rendered_xml(
        replace(EVENT, data=(), user_data=own), ""
    )
    assert "<EventData><Data>a</Data><Data></Data></EventData>" in rendered_xml(
        replace(EVENT, data=((None, "a"), (None, ""))), ""
    )
