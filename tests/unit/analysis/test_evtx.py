from __future__ import annotations

import io
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.simcluster.evtx import Event, UserData, write_evtx
from toolkit.analysis._parsers.evtx import read_evtx
from toolkit.analysis._records import Damage, EventRecord

SAMPLES = Path(__file__).parents[3] / ".." / "shared" / "evtx-samples"
AT = datetime(2026, 3, 20, 1, 0, 0, 123456, tzinfo=UTC)
HEADER, CHUNK = 4096, 65536

Log = Callable[..., bytearray]


def made(number: int, **changes: object) -> Event:
    fields: dict[str, object] = {
        "provider": "Test",
        "provider_guid": UUID(int=7),
        "event_id": 1000,
        "level": 4,
        "time": AT + timedelta(seconds=number),
        "channel": "Test/Admin",
        "computer": "N1.corp.example",
        "record_id": number,
        "data": (("Text", f"{number} " + "x" * 400), ("Count", 3), ("Good", True)),
    }
    return Event(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """Return the bytes of a log of `count` events, about 60 to a chunk."""

    def make(count: int = 200, **changes: object) -> bytearray:
        write_evtx(tmp_path / "x.evtx", [made(number, **changes) for number in range(1, count + 1)])
        return bytearray((tmp_path / "x.evtx").read_bytes())

    return make


def parsed(data: bytes) -> tuple[list[EventRecord], str]:
    """Return the events, and everything said of damage."""
    items = list(read_evtx(io.BytesIO(data)))
    events = [item for item in items if isinstance(item, EventRecord)]
    return events, " | ".join(str(item) for item in items if isinstance(item, Damage))


def ids(events: list[EventRecord]) -> list[int]:
    return [event.record_id for event in events]


def test_event_is_read_whole(log: Log) -> None:
    (event, *_), damage = parsed(log(1))
    assert event == EventRecord(
        provider="Test",
        event_id=1000,
        version=0,
        level=4,
        channel="Test/Admin",
        computer="N1.corp.example",
        record_id=1,
        at=AT + timedelta(seconds=1),
        data=(("Text", "1 " + "x" * 400), ("Count", "3"), ("Good", "true")),
    )
    assert damage == ""


def test_whole_log_is_read_without_complaint(log: Log) -> None:
    events, damage = parsed(log())
    assert ids(events) == list(range(1, 201))
    assert damage == ""


def test_unnamed_arguments_keep_their_order(log: Log) -> None:
    ((event,), _) = parsed(log(1, data=((None, "a"), (None, "b"))))
    assert event.data == (("", "a"), ("", "b"))


def test_user_data_is_read_like_event_data(log: Log) -> None:
    own = UserData("CbsUpdateChangeState", (("updateName", "x"), ("errorCode", "0x0")))
    ((event,), _) = parsed(log(1, data=(), user_data=own))
    assert event.data == (("updateName", "x"), ("errorCode", "0x0"))


def test_record_id_is_the_one_of_the_node_not_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.evtx"
    write_evtx(path, [made(4711)])
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, HEADER + 512 + 8, 1)  # as an export numbers it
    struct.pack_into("<QQ", data, HEADER + 24, 1, 1)
    events, damage = parsed(data)
    assert ids(events) == [4711]
    assert damage == ""


def test_log_without_events_is_empty_and_whole(log: Log) -> None:
    assert parsed(log(0)) == ([], "")


def test_zeroed_chunk_is_named_with_the_records_that_are_missing(log: Log) -> None:
    data = log()
    first, last = struct.unpack_from("<QQ", data, HEADER + CHUNK + 24)
    data[HEADER + CHUNK : HEADER + 2 * CHUNK] = bytes(CHUNK)
    events, damage = parsed(data)
    assert f"records {first}–{last} missing" in damage
    assert "zeroed chunk" in damage
    assert ids(events) == [*range(1, first), *range(last + 1, 201)]


def test_unused_chunks_at_the_end_are_no_damage(log: Log) -> None:
    events, damage = parsed(log(50) + bytes(3 * CHUNK))
    assert len(events) == 50
    assert damage == ""


def test_broken_chunk_magic_costs_nothing_but_is_said(log: Log) -> None:
    data = log()
    data[HEADER + CHUNK : HEADER + CHUNK + 8] = b"garbage!"
    events, damage = parsed(data)
    assert len(events) == 200
    assert "magic" in damage


@pytest.mark.parametrize("spoilt", [bytes(512), b"\xff" * HEADER])
def test_broken_file_header_costs_nothing_but_is_said(log: Log, spoilt: bytes) -> None:
    data = log()
    data[: len(spoilt)] = spoilt
    events, damage = parsed(data)
    assert len(events) == 200
    assert "file header" in damage


def test_garbage_in_front_is_skipped(log: Log) -> None:
    events, damage = parsed(b"\xaa" * 512 + log())
    assert len(events) == 200
    assert "file header" in damage


def test_cut_file_gives_what_is_left_of_its_last_chunk(log: Log) -> None:
    data = log()[: HEADER + CHUNK + CHUNK // 2]
    events, damage = parsed(data)
    (in_first,) = struct.unpack_from("<Q", data, HEADER + 32)
    assert len(events) > in_first
    assert "ends in the middle" in damage
    assert f"{len(events) + 1}–" in damage


@pytest.mark.parametrize("size", [0, 27, 0x7FFFFFFF])
def test_record_of_impossible_size_is_stepped_over(log: Log, size: int) -> None:
    data = log()
    place = HEADER + 512
    (first,) = struct.unpack_from("<I", data, place + 4)
    struct.pack_into("<I", data, place + first + 4, size)
    events, damage = parsed(data)
    assert set(ids(events)) >= {1, *range(3, 201)}
    assert "stepped over" in damage


def test_unreadable_record_is_counted_and_named(log: Log) -> None:
    data = log()
    place = HEADER + 512
    (first,) = struct.unpack_from("<I", data, place + 4)
    data[place + first + 24 : place + first + 120] = b"\x51" * 96
    events, damage = parsed(data)
    assert ids(events) == [1, *range(3, 201)]
    assert "1 record(s) unreadable" in damage
    assert "records 2 missing" in damage


def test_husk_of_an_overwritten_record_is_left_out_and_counted(log: Log) -> None:
    events, damage = parsed(log(1, event_id=0, channel="", time=datetime(1601, 1, 1, tzinfo=UTC)))
    assert events == []
    assert "half-overwritten" in damage


def test_wrong_last_id_in_a_chunk_header_costs_nothing(log: Log) -> None:
    data = log(50)
    struct.pack_into("<Q", data, HEADER + 32, 7)
    events, _ = parsed(data)
    assert len(events) == 50


def test_chain_of_names_that_loops_does_not_hold_us(log: Log) -> None:
    data = log(3)
    for bucket in range(128, 384, 4):
        (name,) = struct.unpack_from("<I", data, HEADER + bucket)
        if name:
            struct.pack_into("<I", data, HEADER + name, name)
    events, _ = parsed(data)
    assert len(events) == 3


def test_chunks_in_the_order_of_a_wrapped_log_are_no_damage(log: Log) -> None:
    data = log()
    count = (len(data) - HEADER) // CHUNK
    chunks = [data[HEADER + i * CHUNK : HEADER + (i + 1) * CHUNK] for i in range(count)]
    events, damage = parsed(data[:HEADER] + b"".join(chunks[2:] + chunks[:2]))
    assert sorted(ids(events)) == list(range(1, 201))
    assert damage == ""


@pytest.mark.parametrize("data", [b"", b"x", b"ElfFile\0", b"PK\x03\x04" + bytes(9000)])
def test_what_is_no_log_gives_no_event_and_no_error(data: bytes) -> None:
    events, _ = parsed(data)
    assert events == []


MINIMUM = {
    "system.evtx": 1881,
    "setup-servicing.evtx": 32,
    "rcm-operational-dirty.evtx": 1774,
    "bad-chunk-magic.evtx": 269,
    "zero-data-size-record.evtx": 335,
    "application-no-crc32.evtx": 17,
    "msexchange-forwarded.evtx": 1,
    "helloforbusiness-operational.evtx": 5,
    "security-short.evtx": 7,
    "languagepacksetup-operational.evtx": 17,
    "system-truncated.evtx": 194,
    "dns-malformed.evtx": 5,
}
"""Events a patient reader finds in these real files, less the one husk in two of them."""


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real sample logs are not on this machine")
@pytest.mark.parametrize("name", MINIMUM)
def test_real_log_is_read_at_least_as_far_as_a_patient_reader_gets(name: str) -> None:
    events, _ = parsed((SAMPLES / name).read_bytes())
    assert len(events) >= MINIMUM[name]
    assert all(event.at.year > 2000 for event in events)
