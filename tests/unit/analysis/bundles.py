"""Makes log bundles for tests: from the simulated cluster's story, or from bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from tests.simcluster.evtx import Event, rendered_xml, write_evtx
from tests.simcluster.story import Story, cau_run
from toolkit.analysis import Analysis, analyse
from toolkit.logbundle import LogBundle, LogBundleWriter
from toolkit.model import Gap, Source

STARTED = datetime(2026, 3, 20, 1, 0, tzinfo=UTC)
RUN_ID = UUID("5d4c9a3e-9c4e-4f57-9d0c-2f6a6a0b7c11")
NODES = ("N1", "N2", "N3")
UPDATE = "redmond/Solution12.2603.1002.15"

CHANNELS = {
    Source.CAU_EVTX: "Microsoft-Windows-ClusterAwareUpdating/Admin",
    Source.CAU_MANAGEMENT_EVTX: "Microsoft-Windows-ClusterAwareUpdating-Management/Admin",
    Source.SYSTEM_EVTX: "System",
    Source.WINDOWS_UPDATE_EVTX: "Microsoft-Windows-WindowsUpdateClient/Operational",
}
RENDERED = {
    Source.CAU_XML: Source.CAU_EVTX,
    Source.CAU_MANAGEMENT_XML: Source.CAU_MANAGEMENT_EVTX,
}

Members = dict[tuple[str, str], bytes]
"""(node, source) → bytes."""


def story(**options: object) -> Story:
    chosen: dict[str, object] = {
        "cluster": "plant7",
        "nodes": NODES,
        "started_at": STARTED,
        "run_id": RUN_ID,
    }
    return cau_run(**(chosen | options))  # type: ignore[arg-type]


def evtx(folder: Path, events: Iterable[Event]) -> bytes:
    path = folder / "made.evtx"
    write_evtx(path, events)
    return path.read_bytes()


def members_of(told: Story, folder: Path) -> Members:
    """Return what a collection would bring home from the nodes of a story."""
    members: Members = {}
    for node, channels in told.events.items():
        for source, channel in CHANNELS.items():
            members[node, source] = evtx(folder, channels[channel])
        for source, same in RENDERED.items():
            events = channels[CHANNELS[same]]
            text = "\r\n".join(rendered_xml(event, told.messages[event]) for event in events)
            members[node, source] = "\ufeff".encode() + text.encode()
    members["", Source.ENVIRONMENT] = document(
        {"CurrentVersion": "12.2602.1002.7", "State": 2, "HealthCheckResult": []}
    )
    members["", Source.UPDATES] = document([{"ResourceId": UPDATE, "State": 15}])
    members["", Source.UPDATE_RUNS] = document(
        {
            "ResourceId": f"{UPDATE}/9a1d0c5e",
            "State": {"InProgress": 2, "Failed": 3}.get(told.state, 1),
            "TimeStarted": told.started_at.isoformat(),
            "LastUpdatedTime": told.ended_at.isoformat(),
            "Progress": told.progress,
        }
    )
    members["", Source.CAU_REPORTS] = document(told.report)
    return members


def document(value: object) -> bytes:
    """Return JSON as a file on the node holds it; none is an empty file."""
    return b"" if value is None else b"\xef\xbb\xbf" + json.dumps(value).encode()


def write_bundle(
    path: Path, members: Mapping[tuple[str, str], bytes], gaps: Sequence[Gap] = ()
) -> Path:
    with LogBundleWriter(path, cluster="plant7") as writer:
        for (node, source), data in members.items():
            writer.add(
                io.BytesIO(data),
                source=source,
                node=node,
                collector="test",
                collected_at=STARTED,
            )
        for gap in gaps:
            writer.add_gap(gap)
    return path


def analysed(
    folder: Path,
    members: Mapping[tuple[str, str], bytes],
    gaps: Sequence[Gap] = (),
    **options: object,
) -> Analysis:
    path = folder / "bundle.zip"
    path.unlink(missing_ok=True)
    with LogBundle(write_bundle(path, members, gaps)) as bundle:
        return analyse(bundle, **options)  # type: ignore[arg-type]
