"""Which member of a log bundle holds which source, and what became of it.

Every member is copied out with its hash proven, parsed, and accounted for: collected, empty, damaged,
unreadable, missing. A member that cannot be read never stops the others. Events are streamed; only
those that a rule or the timeline can use are kept, and no more than `KEPT_EVENTS` of one log.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import IO, BinaryIO, cast

from toolkit.analysis._case import Case, CauRun, Coverage, CoverageStatus, LoggedEvent
from toolkit.analysis._events import is_relevant, short_name
from toolkit.analysis._parsers.action_plans import read_action_plans, read_markers
from toolkit.analysis._parsers.cau_reports import read_cau_reports
from toolkit.analysis._parsers.evtx import read_evtx
from toolkit.analysis._parsers.health import read_environment, read_updates
from toolkit.analysis._parsers.powershell_json import LIMIT_BYTES
from toolkit.analysis._parsers.rendered_xml import read_rendered_xml
from toolkit.analysis._parsers.update_runs import read_update_runs
from toolkit.analysis._records import (
    ActionPlan,
    CauReport,
    Damage,
    EnvironmentRecord,
    EventRecord,
    HealthResult,
    Marker,
    UpdateRow,
    clean,
)
from toolkit.analysis._story import tell
from toolkit.analysis._texts import texts
from toolkit.errors import DigestError, InputError, StorageError, system_says
from toolkit.logbundle import LogBundle
from toolkit.model import Member, Source, UpdateRun

KEPT_EVENTS = 20_000
"""Of one log, the newest; about 30 MB of memory."""

_EVENT_READERS: dict[str, Callable[[IO[bytes]], Iterator[EventRecord | Damage]]] = {
    Source.CAU_EVTX: read_evtx,
    Source.CAU_XML: read_rendered_xml,
    Source.CAU_MANAGEMENT_EVTX: read_evtx,
    Source.CAU_MANAGEMENT_XML: read_rendered_xml,
    Source.SYSTEM_EVTX: read_evtx,
    Source.WINDOWS_UPDATE_EVTX: read_evtx,
}
_SINCE_LATER = (Source.ACTION_PLANS, Source.BREADCRUMBS)
"""Not asked for by earlier versions: a bundle without them lacks nothing that it should have."""
_CLUSTER_SOURCES = tuple(
    source for source in Source if source not in _EVENT_READERS and source not in _SINCE_LATER
)
_EVERYTHING = "(everything)"


def read_bundle(bundle: LogBundle, clock_offsets: Mapping[str, timedelta]) -> Case:
    """Read every member of a bundle and put it all on one clock.

    Args:
        bundle: The open bundle.
        clock_offsets: Node → how much its clock is ahead of the common one.

    Raises:
        StorageError: No room to unpack a member.
    """
    reader = _Reader(bundle, {short_name(name): ahead for name, ahead in clock_offsets.items()})
    for member in bundle.members:
        reader.read(member)
    return reader.case()


@dataclass(slots=True)
class _Reader:
    bundle: LogBundle
    clock_offsets: Mapping[str, timedelta]
    events: dict[tuple[str, str, int, datetime], LoggedEvent] = field(default_factory=dict)
    reports: list[CauReport] = field(default_factory=list)
    update_runs: list[UpdateRun] = field(default_factory=list)
    updates: list[UpdateRow] = field(default_factory=list)
    checks: list[tuple[str, HealthResult]] = field(default_factory=list)
    environment: EnvironmentRecord | None = None
    plans: list[ActionPlan] = field(default_factory=list)
    markers: list[Marker] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)

    def read(self, member: Member) -> None:
        """Read one member and account for it."""
        row = Coverage(node=member.node, source=member.source, status=CoverageStatus.COLLECTED)
        if member.source not in tuple(Source):
            self.coverage.append(replace(row, status=CoverageStatus.UNKNOWN))
            return
        with tempfile.TemporaryFile() as local:
            notes: list[str] = []
            if member.exit:
                notes.append(f"its collector ended with exit code {member.exit}")
            try:
                self.bundle.copy(member, cast("BinaryIO", local))
            except DigestError as error:
                # bytes that are not those collected prove nothing
                self.coverage.append(
                    replace(row, status=CoverageStatus.UNREADABLE, detail=(clean(str(error)),))
                )
                return
            except InputError as error:
                notes.append(clean(str(error)))
            except OSError as error:
                raise StorageError(
                    f"unpack {member.path}", found=system_says(error), hint="free temporary space"
                ) from error
            local.seek(0)
            try:
                row = self._parse(member, local, row)
            except InputError as error:
                row = replace(row, status=CoverageStatus.UNREADABLE)
                notes.append(clean(str(error)))
        if notes:
            status = CoverageStatus.DAMAGED if row.is_readable else row.status
            row = replace(row, status=status, detail=(*notes, *row.detail))
        self.coverage.append(row)

    def _parse(self, member: Member, stream: IO[bytes], row: Coverage) -> Coverage:
        if read := _EVENT_READERS.get(member.source):
            return self._log(member, read(stream), row)
        data = stream.read(LIMIT_BYTES + 1)
        match member.source:
            case Source.CAU_REPORTS:
                reports = read_cau_reports(data)
                self.reports += reports
                records = len(reports)
            case Source.UPDATE_RUNS:
                runs = read_update_runs(data)
                self.update_runs += runs
                records = len(runs)
            case Source.ACTION_PLANS:
                plans = read_action_plans(data)
                self.plans += plans
                records = len(plans)
            case Source.BREADCRUMBS:
                markers = read_markers(data)
                self.markers += markers
                records = len(markers)
            case Source.UPDATES:
                updates, checks = read_updates(data)
                self.updates += updates
                self.checks += [(member.source, check) for check in checks]
                records = len(updates)
            case _:
                self.environment = read_environment(data)
                self.checks += [(member.source, check) for check in self.environment.checks]
                records = 1 if data.strip() else 0
        status = CoverageStatus.COLLECTED if records else CoverageStatus.EMPTY
        return replace(row, status=status, records=records)

    def _log(
        self, member: Member, items: Iterator[EventRecord | Damage], row: Coverage
    ) -> Coverage:
        """Stream one log: keep what matters, count everything, name what is lost."""
        kept: deque[EventRecord] = deque(maxlen=KEPT_EVENTS)
        damage: list[str] = []
        records = relevant = first_id = 0
        first_at: datetime | None = None
        last_at: datetime | None = None
        ahead = self.clock_offsets.get(short_name(member.node), timedelta())
        for item in items:
            if isinstance(item, Damage):
                damage.append(clean(str(item)))
                continue
            records += 1
            first_id = min(first_id or item.record_id, item.record_id)
            first_at = min(first_at or item.at, item.at)
            last_at = max(last_at or item.at, item.at)
            if is_relevant(item):
                relevant += 1
                kept.append(item)
        for record in kept:
            self._keep(member, record, record.at - ahead)
        if relevant > len(kept):
            damage.append(
                f"only the newest {len(kept)} of {relevant} relevant events were looked at"
            )
        if damage:
            status = CoverageStatus.DAMAGED if records else CoverageStatus.UNREADABLE
        else:
            status = CoverageStatus.COLLECTED if records else CoverageStatus.EMPTY
        return replace(
            row,
            status=status,
            records=records,
            first_at=first_at - ahead if first_at else None,
            last_at=last_at - ahead if last_at else None,
            first_record_id=first_id,
            detail=tuple(damage),
        )

    def _keep(self, member: Member, record: EventRecord, at: datetime) -> None:
        """Keep an event once, though two copies of its channel may tell of it."""
        key = (short_name(member.node), record.channel, record.record_id, record.at)
        known = self.events.get(key)
        if known is None:
            self.events[key] = LoggedEvent(
                at=at, node=member.node, source=member.source, record=record
            )
        elif record.message and not known.record.message:
            self.events[key] = replace(known, record=replace(known.record, message=record.message))

    def case(self) -> Case:
        """Join everything."""
        names = [member.node for member in self.bundle.members]
        names += [gap.node for gap in self.bundle.gaps]
        nodes = tuple(dict.fromkeys(filter(None, names)))
        events = tuple(
            sorted(
                self.events.values(),
                key=lambda event: (event.at, event.node, event.source, event.record.record_id),
            )
        )
        coverage = (*self.coverage, *self._missing(nodes))
        runs = tell(events, self.reports, coverage, nodes)
        case = Case(
            cluster=self.bundle.cluster,
            nodes=nodes,
            events=events,
            cau_runs=runs,
            reports=tuple(self.reports),
            update_runs=tuple(self.update_runs),
            updates=tuple(self.updates),
            checks=tuple(self.checks),
            environment=self.environment,
            plans=tuple(self.plans),
            markers=tuple(self.markers),
            coverage=(*coverage, *_strangers(runs, nodes)),
            texts=(),
        )
        return replace(case, texts=tuple(texts(case, self.bundle.gaps)))

    def _missing(self, nodes: tuple[str, ...]) -> Iterator[Coverage]:
        """Yield a row for every source that should be there and is not, with the reason if known."""
        there = {(row.node, row.source) for row in self.coverage}
        expected = [(node, source) for node in nodes for source in _EVENT_READERS]
        expected += [("", source) for source in _CLUSTER_SOURCES]
        gaps = {(gap.node, gap.source): gap for gap in self.bundle.gaps}
        unexpected = [key for key in gaps if key not in expected and key[1]]
        for node, source in (*expected, *unexpected):
            if (node, source) in there:
                continue
            gap = gaps.get((node, source)) or gaps.get((node, ""))
            yield Coverage(
                node=node,
                source=source,
                status=CoverageStatus.NOT_ASKED if gap is None else CoverageStatus.MISSING,
                detail=() if gap is None else (clean(f"{gap.reason}: {gap.detail}"),),
            )


def _strangers(runs: tuple[CauRun, ...], nodes: tuple[str, ...]) -> Iterator[Coverage]:
    """Yield a row for every node that a run names and the bundle knows nothing of."""
    known = {short_name(node) for node in nodes}
    for name in dict.fromkeys(turn.node for run in runs for turn in run.turns):
        if name and short_name(name) not in known:
            yield Coverage(
                node=name,
                source=_EVERYTHING,
                status=CoverageStatus.NOT_ASKED,
                detail=("a CAU run names this node, but nothing of it is in the bundle",),
            )
