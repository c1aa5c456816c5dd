"""Event logs, CAU reports, update runs and health checks of every node → one log bundle.

Each node writes its evidence to a folder of its own with in-box tools, the files come home over SMB, and
the folder is removed. What could not be had becomes a named gap: an unreachable node, an access denied or
a missing channel never stops the collection, and "no error found" never means "not collected".

Read-only but for that folder: no channel is cleared or switched, no file of others is touched.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PureWindowsPath
from typing import BinaryIO, Protocol, cast

from toolkit.cluster import _cmdlets
from toolkit.cluster._checks import MARKERS
from toolkit.cluster._cmdlets import ready, runs
from toolkit.errors import (
    AuthenticationError,
    ClusterError,
    InputError,
    ReachError,
    StorageError,
    ToolkitError,
    system_says,
)
from toolkit.logbundle import LogBundleWriter
from toolkit.model import Command, Gap, Node, Progress, Sha256, Silent, Source, T

_log = logging.getLogger(__name__)

_SCRATCH = PureWindowsPath(r"C:\Windows\Temp")
_PARALLEL_NODES = 4
_MARKER_CHARACTERS = 65_536
"""So much is taken of a marker of a failed CAU run; they are short."""

CHANNELS: dict[Source, str] = {
    Source.CAU_EVTX: "Microsoft-Windows-ClusterAwareUpdating/Admin",
    Source.CAU_MANAGEMENT_EVTX: "Microsoft-Windows-ClusterAwareUpdating-Management/Admin",
    Source.SYSTEM_EVTX: "System",
    Source.WINDOWS_UPDATE_EVTX: "Microsoft-Windows-WindowsUpdateClient/Operational",
}
"""The CAU channels are small (about 1 MB) and taken whole; the others within the time window.

Source: PrivateCloud.DiagnosticInfo (names of the CAU channels); there is no `…/Operational` one.
"""

_RENDERED: dict[Source, Source] = {
    Source.CAU_XML: Source.CAU_EVTX,
    Source.CAU_MANAGEMENT_XML: Source.CAU_MANAGEMENT_EVTX,
}
NODE_SOURCES: tuple[Source, ...] = (*CHANNELS, *_RENDERED)
CLUSTER_SOURCES: tuple[Source, ...] = (
    Source.ENVIRONMENT,
    Source.UPDATES,
    Source.UPDATE_RUNS,
    Source.CAU_REPORTS,
    Source.ACTION_PLANS,
    Source.BREADCRUMBS,
)


class CollectSession(Protocol):
    """What a collection needs of a session with a node."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""

    def download(
        self, path: PureWindowsPath, sink: BinaryIO, *, progress: Progress
    ) -> tuple[int, Sha256]:
        """Copy a file of the node into `sink`."""


Produce = Callable[[CollectSession, BinaryIO], str]
"""Writes one piece of evidence into the sink; returns the cmdlets that told it."""

Open = Callable[[Node], AbstractContextManager[CollectSession]]


@dataclass(slots=True, kw_only=True)
class Collection:
    """One collection over all nodes of a cluster into one bundle."""

    nodes: tuple[Node, ...]
    open: Open
    writer: LogBundleWriter
    since: datetime
    progress: Progress
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _asked: set[Source] = field(default_factory=set)

    def run(self) -> tuple[Gap, ...]:
        """Collect everything that can be had; return what could not.

        Raises:
            AuthenticationError: The first node that answers refused the credential: no other is
                asked, accounts lock.
            StorageError: The disk under the bundle is full or fails.
        """
        gaps: list[Gap] = []
        rest = list(self.nodes)
        while rest and not self._asked.issuperset(CLUSTER_SOURCES):
            # one node at a time until one has accepted the credential and told of the whole cluster
            node = rest.pop(0)
            gaps += self._node(node, is_first=True)
        gaps += [
            Gap(source=source, node="", reason="unreachable", detail="no node told us")
            for source in CLUSTER_SOURCES
            if source not in self._asked
        ]
        with ThreadPoolExecutor(max_workers=_PARALLEL_NODES) as pool:
            for lost in pool.map(lambda node: self._node(node, is_first=False), rest):
                gaps += lost
        for gap in gaps:
            self.writer.add_gap(gap)
        return tuple(gaps)

    def _node(self, node: Node, *, is_first: bool) -> list[Gap]:
        try:
            with self.open(node) as session:
                return list(self._evidence(session, node, is_first=is_first))
        except AuthenticationError as error:
            if is_first:
                raise
            return [self._gap("", node.name, error)]
        except (ReachError, ClusterError, InputError) as error:
            return [self._gap("", node.name, error)]

    def _evidence(self, session: CollectSession, node: Node, *, is_first: bool) -> Iterator[Gap]:
        """Collect one node's evidence in its scratch folder, and yield what was missing."""
        scratch = _SCRATCH / f"ferry-{secrets.token_hex(6)}"
        session.invoke(_cmdlets.make_folder(scratch))
        lost: ReachError | None = None
        try:
            for source, owner, produce in self._commands(scratch, node, with_cluster=is_first):
                try:
                    if lost is None:
                        self._one(session, source, owner, produce, node)
                except (ClusterError, InputError) as error:
                    yield self._gap(source, owner, error)
                except ReachError as error:
                    lost = error
                if owner == "" and lost is None:
                    self._asked.add(source)
                if owner and lost is not None:
                    yield self._gap(source, owner, lost)
        finally:
            self._clean(None if lost else session, scratch, node)

    def _clean(self, session: CollectSession | None, scratch: PureWindowsPath, node: Node) -> None:
        """Remove the scratch folder, also after Ctrl-C or a full disk here."""
        try:
            if session is not None:
                session.invoke(_cmdlets.remove(scratch))
                self.progress.say(f"{node.name}: done")
                return
        except (ReachError, ClusterError) as error:
            _log.info("node %s: %s", node.name, error)
        self.progress.say(f"{node.name}: {scratch} may still be there; remove it by hand")

    def _commands(
        self, scratch: PureWindowsPath, node: Node, *, with_cluster: bool
    ) -> Iterator[tuple[Source, str, Produce]]:
        """Yield source, the node it belongs to ("" the cluster), and what produces it."""

        def saved(command: Command[None], source: Source) -> Produce:
            def produce(session: CollectSession, sink: BinaryIO) -> str:
                session.invoke(command)
                path = scratch / source
                # Set-Content makes no file when nothing comes down the pipeline: collected, and empty
                if command.pipeline[-1].name != "Set-Content" or session.invoke(
                    _cmdlets.path_exists(path)
                ):
                    session.download(path, sink, progress=Silent())
                return command.name

            return produce

        for source, channel in CHANNELS.items():
            since = self.since if source not in _RENDERED.values() else None
            command = _cmdlets.export_log(channel, scratch / source, since=since)
            yield source, node.name, saved(command, source)
        for source, same in _RENDERED.items():
            command = _cmdlets.render_log(CHANNELS[same], scratch / source)
            yield source, node.name, saved(command, source)

        def updates(session: CollectSession, sink: BinaryIO) -> str:
            command = _cmdlets.updates_as_told()
            sink.write(json.dumps(session.invoke(command), default=str).encode())
            return command.name

        def reports(session: CollectSession, sink: BinaryIO) -> str:
            name = session.invoke(_cmdlets.cluster_name())
            command = _cmdlets.save_cau_reports(scratch / Source.CAU_REPORTS, name, self.since)
            return saved(command, Source.CAU_REPORTS)(session, sink)

        def markers(session: CollectSession, sink: BinaryIO) -> str:
            found = [
                {
                    "Path": str(path),
                    "Text": session.invoke(ready.text_of(path))[:_MARKER_CHARACTERS],
                }
                for path in MARKERS
                if session.invoke(_cmdlets.path_exists(path))
            ]
            sink.write(json.dumps(found).encode())
            return ready.text_of(MARKERS[0]).name

        plans = runs.save_action_plans(scratch / Source.ACTION_PLANS)
        environment = _cmdlets.save_environment(scratch / Source.ENVIRONMENT)
        update_runs = _cmdlets.save_update_runs(scratch / Source.UPDATE_RUNS)
        of_cluster: dict[Source, Produce] = {
            Source.ENVIRONMENT: saved(environment, Source.ENVIRONMENT),
            Source.UPDATES: updates,
            Source.UPDATE_RUNS: saved(update_runs, Source.UPDATE_RUNS),
            Source.CAU_REPORTS: reports,
            Source.ACTION_PLANS: saved(plans, Source.ACTION_PLANS),
            Source.BREADCRUMBS: markers,
        }
        for source, produce in of_cluster.items():
            if with_cluster and source not in self._asked:
                yield source, "", produce

    def _one(
        self, session: CollectSession, source: Source, name: str, produce: Produce, node: Node
    ) -> None:
        """Have one piece of evidence produced, and put it into the bundle."""
        with _local_storage(), tempfile.TemporaryFile() as local:
            collector = produce(session, cast("BinaryIO", local))
            local.seek(0)
            with self._lock:
                self.writer.add(
                    cast("BinaryIO", local),
                    source=source,
                    node=name,
                    collector=f"{collector} on {node.name}",
                    collected_at=datetime.now(UTC),
                )

    def _gap(self, source: str, node: str, error: ToolkitError) -> Gap:
        match error:
            case AuthenticationError():
                reason = "refused"
            case ReachError():
                reason = "unreachable"
            case _:
                reason = "failed"
        self.progress.say(f"{node or 'cluster'}: {source or 'everything'} is missing ({reason})")
        return Gap(source=source, node=node, reason=reason, detail=str(error))


@contextlib.contextmanager
def _local_storage() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            "keep evidence on this machine on its way into the log bundle",
            found=system_says(error),
            hint="free space in the folder for temporary files, then collect again",
        ) from error
