"""Makes sample event logs for tests: told CAU runs, and one long log damaged in known ways.

    python -m tests.data.make_evtx FOLDER

Nothing here is copied from a machine: the events come from `tests/simcluster/story.py`, and the log
that gets damaged holds numbered events only, so that a test can say which of them must survive. The
kinds of damage are those seen in public samples of real logs: cut copies, zeroed chunks, records with
a broken size, chunks without their magic, copies of a live log, logs that have wrapped.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from tests.simcluster.eventshapes import (
    CAU_CHANNEL,
    MANAGEMENT,
    MANAGEMENT_CHANNEL,
    SYSTEM_CHANNEL,
    WINDOWS_UPDATE_CHANNEL,
    make_event,
)
from tests.simcluster.evtx import (
    CHUNK_BYTES,
    CHUNK_HEADER_BYTES,
    FILE_HEADER_BYTES,
    rendered_xml,
    write_evtx,
)
from tests.simcluster.story import Failure, Story, cau_run

STARTED_AT = datetime(2026, 3, 20, 4, 0, 4, tzinfo=UTC)
NODES = ("n1", "n2", "n3")
RUN_ID = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")

FILES = {
    CAU_CHANNEL: "cau",
    MANAGEMENT_CHANNEL: "cau-management",
    SYSTEM_CHANNEL: "system",
    WINDOWS_UPDATE_CHANNEL: "windows-update",
}
"""Channel → file name without its ending, as in a log bundle."""


def make_run(
    folder: Path, *, failing_node: str | None = None, failure: Failure = "installer-blocked"
) -> Story:
    """Write the logs of one run as `<node>/<name>.evtx` and `.xml` and return its story."""
    story = cau_run(
        cluster="c1",
        nodes=NODES,
        started_at=STARTED_AT,
        run_id=RUN_ID,
        failing_node=failing_node,
        failure=failure,
    )
    for node, channels in story.events.items():
        (folder / node).mkdir(parents=True)
        for channel, events in channels.items():
            write_evtx(folder / node / f"{FILES[channel]}.evtx", events)
            (folder / node / f"{FILES[channel]}.xml").write_text(
                "".join(rendered_xml(event, story.messages[event]) + "\n" for event in events),
                encoding="utf-8",
            )
    return story


# --- damage -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DamagedLog:
    """A log and what is left in it."""

    path: Path
    whole: tuple[int, ...]
    """Ids of the records whose bytes are all still there, in the order of their ids."""
    lost: tuple[int, ...]
    """Ids of the records that are gone or broken, in the order of their ids."""


@dataclass(frozen=True, slots=True)
class _Record:
    record_id: int
    start: int
    end: int


def make_damaged(folder: Path) -> dict[str, DamagedLog]:
    """Write `intact`, the damaged copies of it, and two empty logs; return them by name."""
    folder.mkdir(parents=True, exist_ok=True)
    intact = folder / "intact.evtx"
    write_evtx(
        intact,
        (
            make_event(
                MANAGEMENT,
                1008,
                f"node-{number}",
                time=STARTED_AT + timedelta(seconds=number),
                computer="n1.cluster.example",
                record_id=number,
            )
            for number in range(1001, 1601)
        ),
    )
    data = intact.read_bytes()
    records = list(_records(data))
    second, third = (FILE_HEADER_BYTES + number * CHUNK_BYTES for number in (1, 2))
    victim = [record for record in records if second <= record.start][20]

    def damaged(name: str, content: bytes, *broken: _Record) -> DamagedLog:
        path = folder / f"{name}.evtx"
        path.write_bytes(content)
        lost = tuple(record.record_id for record in broken)
        whole = tuple(record.record_id for record in records if record.record_id not in lost)
        return DamagedLog(path, whole, lost)

    def patched(at: int, patch: bytes) -> bytes:
        return data[:at] + patch + data[at + len(patch) :]

    cut = third + CHUNK_BYTES // 2
    size = struct.unpack_from("<I", data, victim.start + 4)[0]
    first_chunk = data[FILE_HEADER_BYTES:second]
    dirty = bytearray(data)
    struct.pack_into("<Q", dirty, 16, 0)
    struct.pack_into("<H", dirty, 42, 1)
    struct.pack_into("<I", dirty, 120, 1)
    empty = folder / "empty.evtx"
    write_evtx(empty, [])
    header_only = folder / "header-only.evtx"
    header_only.write_bytes(empty.read_bytes()[:FILE_HEADER_BYTES])
    return {
        "intact": damaged("intact", data),
        "truncated": damaged(
            "truncated", data[:cut], *(record for record in records if record.end > cut)
        ),
        "zeroed-chunk": damaged(
            "zeroed-chunk",
            patched(second, bytes(CHUNK_BYTES)),
            *(record for record in records if second <= record.start < third),
        ),
        "record-size": damaged(
            "record-size", patched(victim.start + 4, struct.pack("<I", size ^ 0x10000)), victim
        ),
        "bad-chunk-magic": damaged("bad-chunk-magic", patched(second, b"ElfChmk\0")),
        # a copy of a live log: marked dirty, counts of the header not up to date
        "dirty": damaged("dirty", bytes(dirty)),
        # the oldest chunk stands last
        "wrapped": damaged("wrapped", data[:FILE_HEADER_BYTES] + data[second:] + first_chunk),
        "empty": DamagedLog(empty, (), ()),
        "header-only": DamagedLog(header_only, (), ()),
    }


def _records(data: bytes) -> Iterator[_Record]:
    for chunk in range(FILE_HEADER_BYTES, len(data), CHUNK_BYTES):
        end = chunk + struct.unpack_from("<I", data, chunk + 48)[0]
        at = chunk + CHUNK_HEADER_BYTES
        while at < end:
            size, record_id = struct.unpack_from("<IQ", data, at + 4)
            yield _Record(record_id, at, at + size)
            at += size


def main(folder: Path) -> None:
    """Write every sample below the folder, which must not hold them yet."""
    make_run(folder / "healthy")
    make_run(folder / "failed", failing_node="n2")
    make_damaged(folder / "damaged")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
