"""Any bytes parse, or raise `InputError`; never anything else, and never without end."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simcluster.evtx import rendered_xml
from tests.unit.analysis.bundles import evtx, story
from toolkit.analysis._parsers.action_plans import read_action_plans, read_markers
from toolkit.analysis._parsers.cau_reports import read_cau_reports
from toolkit.analysis._parsers.evtx import read_evtx
from toolkit.analysis._parsers.health import read_environment, read_updates
from toolkit.analysis._parsers.rendered_xml import read_rendered_xml
from toolkit.analysis._parsers.update_runs import read_update_runs
from toolkit.analysis._records import Damage, EventRecord
from toolkit.errors import InputError

JSON_READERS: tuple[Callable[[bytes], object], ...] = (
    read_update_runs, read_cau_reports, read_environment, read_updates,
    read_action_plans, read_markers
)  # fmt: skip

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(
            ["ResourceId", "Progress", "Steps", "Status", "ErrorMessage", "StartTimeUtc", "ClusterResult",
             "NodeResults", "InstallResults", "ErrorCode", "ErrorRecordData", "Node", "RunId", "Plugin",
             "HealthCheckResult", "AdditionalData", "Severity", "Name", "properties", "State", "Exception",
             "ExpectedExecutionTime", "Ticks", "TotalSeconds", "value", "NumberOfFailedUpdates"]
        ), inner, max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip

flips = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=40)
words = st.lists(
    st.tuples(st.integers(0, 1 << 20), st.integers(0, 0xFFFF) | st.integers(0, 0xFFFFFFFF)),
    max_size=8,
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    told = story(failing_node="N2")
    events = [
        event for channels in told.events.values() for log in channels.values() for event in log
    ]
    return evtx(tmp_path_factory.mktemp("log"), events)


@pytest.fixture(scope="module")
def rendered() -> bytes:
    told = story(failing_node="N2")
    return "".join(rendered_xml(event, text) for event, text in told.messages.items()).encode()


def consume(items: object) -> None:
    for item in items:  # type: ignore[attr-defined]
        assert isinstance(item, EventRecord | Damage)


@given(st.binary(max_size=3000))
def test_event_log_of_any_bytes(data: bytes) -> None:
    consume(read_evtx(io.BytesIO(data)))
    consume(read_evtx(io.BytesIO(b"ElfFile\0".ljust(4096, b"\0") + b"ElfChnk\0" + data)))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=flips, words=words, cut=st.none() | st.integers(0, 1 << 20))
def test_event_log_with_any_damage(
    log: bytes, flips: list[tuple[int, int]], words: list[tuple[int, int]], cut: int | None
) -> None:
    data = bytearray(log)
    for place, value in flips:
        data[place % len(data)] = value
    for place, value in words:
        struct.pack_into("<I", data, place % (len(data) - 4), value)
    consume(read_evtx(io.BytesIO(data if cut is None else data[: cut % len(data)])))


@given(st.binary(max_size=2000))
def test_rendered_events_of_any_bytes(data: bytes) -> None:
    consume(read_rendered_xml(io.BytesIO(data)))
    consume(read_rendered_xml(io.BytesIO(b"<Event>" + data + b"</Event>")))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=flips)
def test_rendered_events_with_any_damage(rendered: bytes, flips: list[tuple[int, int]]) -> None:
    data = bytearray(rendered)
    for place, value in flips:
        data[place % len(data)] = value
    consume(read_rendered_xml(io.BytesIO(data)))


@pytest.mark.parametrize("read", JSON_READERS)
@given(data=st.binary(max_size=500) | json_values.map(lambda value: json.dumps(value).encode()))
def test_cmdlet_output_of_any_bytes(read: Callable[[bytes], object], data: bytes) -> None:
    try:
        read(data)
    except InputError:
        return


@given(st.lists(st.integers(1, 5000), max_size=30, unique=True))
def test_every_event_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, ids: list[int]
) -> None:
    told = story()
    some = told.events["N1"]["System"][0]
    data = evtx(tmp_path_factory.getbasetemp(), [replace(some, record_id=one) for one in ids])
    found = [item for item in read_evtx(io.BytesIO(data)) if isinstance(item, EventRecord)]
    assert [event.record_id for event in found] == ids
