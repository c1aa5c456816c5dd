"""The damaged samples are damaged as they say, judged by a reader that is not ours."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from evtx import PyEvtxParser

from tests.data.make_evtx import FILES, NODES, DamagedLog, make_damaged, make_run


def read_ids(log: DamagedLog, *, validate_checksums: bool = False) -> list[int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        parser: Any = PyEvtxParser(
            log.path, skip_errors=True, validate_checksums=validate_checksums
        )
        return [row["event_record_id"] for row in parser.records()]


@pytest.fixture
def logs(tmp_path: Path) -> dict[str, DamagedLog]:
    return make_damaged(tmp_path)


def test_intact_log_is_whole(logs: dict[str, DamagedLog]) -> None:
    assert read_ids(logs["intact"], validate_checksums=True) == list(range(1001, 1601))
    assert logs["intact"].lost == ()


def test_whole_and_lost_records_are_all_records(logs: dict[str, DamagedLog]) -> None:
    for name in set(logs) - {"empty", "header-only"}:
        both = sorted((*logs[name].whole, *logs[name].lost))
        assert both == list(range(1001, 1601))


@pytest.mark.parametrize("name", ["truncated", "record-size", "bad-chunk-magic"])
def test_plain_reader_misses_records_that_are_whole(logs: dict[str, DamagedLog], name: str) -> None:
    ids = read_ids(logs[name])
    assert 0 < len(ids) < len(logs[name].whole)
    assert set(ids) < set(logs[name].whole)


def test_zeroed_chunk_is_the_only_loss(logs: dict[str, DamagedLog]) -> None:
    assert read_ids(logs["zeroed-chunk"]) == list(logs["zeroed-chunk"].whole)
    assert len(logs["zeroed-chunk"].lost) > 100


def test_dirty_header_hides_nothing_from_a_reader_that_looks_at_the_chunks(
    logs: dict[str, DamagedLog],
) -> None:
    assert read_ids(logs["dirty"]) == list(logs["dirty"].whole)


def test_wrapped_log_holds_all_records_out_of_order(logs: dict[str, DamagedLog]) -> None:
    ids = read_ids(logs["wrapped"])
    assert ids != sorted(ids)
    assert sorted(ids) == list(logs["wrapped"].whole)


def test_one_broken_record_breaks_the_checksum_of_its_chunk_alone(
    logs: dict[str, DamagedLog],
) -> None:
    missing = set(range(1001, 1601)) - set(read_ids(logs["record-size"], validate_checksums=True))
    assert set(logs["record-size"].lost) < missing
    assert missing == set(logs["zeroed-chunk"].lost)


@pytest.mark.parametrize("name", ["empty", "header-only"])
def test_empty_log_has_nothing(logs: dict[str, DamagedLog], name: str) -> None:
    assert read_ids(logs[name]) == []


def test_run_is_written_for_every_node_and_channel(tmp_path: Path) -> None:
    make_run(tmp_path / "run", failing_node="n2")
    for node in NODES:
        names = sorted(path.name for path in (tmp_path / "run" / node).iterdir())
        assert names == sorted(
            f"{name}.{ending}" for name in FILES.values() for ending in ("evtx", "xml")
        )
