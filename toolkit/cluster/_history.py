"""Every run that the cluster remembers, with what this site knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from toolkit.cluster import _cmdlets
from toolkit.cluster._cmdlets import ready
from toolkit.cluster._running import deepest_error
from toolkit.model import Command, ResourceId, RunState, RunSummary, T, UpdateRun
from toolkit.site import JournalEntry

_KINDS: dict[str, Literal["preparation", "installation"]] = {
    "prepare": "preparation",
    "start": "installation",
}


class HistorySession(Protocol):
    """What it takes to ask for runs."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """One run: what the cluster tells, and what stands in this site's journal."""

    run_id: ResourceId
    update: str
    """`Solution12.2603.1002.15`, `SBE4.2.2603.1`."""
    state: str
    started_at: datetime | None
    duration: timedelta | None
    """Until it changed last; None: its times cannot be compared."""
    failed_step: str
    """The deepest step that failed and says why; empty: it did not fail, or no step tells."""
    kind: Literal["preparation", "installation", ""]
    """Empty: this site did not start it."""
    fixed: str
    """What was written about an earlier failure when it was started here."""


def read_history(
    session: HistorySession, entries: Iterable[JournalEntry], *, limit: int
) -> tuple[PastRun, ...]:
    """Ask for the newest runs of all listed updates; of those that failed, for the step.

    Args:
        session: With a node.
        entries: The journal's of this cluster.
        limit: How many.

    Raises:
        ReachError: The node does not answer.
        ClusterError: A cmdlet failed.
        InputError: The reply is not understood.
    """
    newest = session.invoke(ready.all_runs())[:limit]
    failed = dict.fromkeys(run.update_id for run in newest if run.state is RunState.Failed)
    trees = {
        run.resource_id: run
        for update_id in failed
        for run in session.invoke(_cmdlets.update_runs(update_id))
    }
    started = dict(_intents(entries))
    return tuple(
        _past(run, trees.get(run.resource_id), started.get(run.resource_id)) for run in newest
    )


def _intents(entries: Iterable[JournalEntry]) -> Iterator[tuple[str, JournalEntry]]:
    """Yield run → the intent with which it was started from this site."""
    open_: dict[str, JournalEntry] = {}
    for entry in entries:
        if entry.step not in _KINDS:
            continue
        if entry.outcome == "intent":
            open_[entry.subject] = entry
        elif "run_id" in entry.facts and entry.subject in open_:
            yield entry.facts["run_id"], open_.pop(entry.subject)


def _past(run: RunSummary, tree: UpdateRun | None, intent: JournalEntry | None) -> PastRun:
    has_failed = run.state is RunState.Failed
    step = deepest_error(tree.progress) if has_failed and tree and tree.progress else None
    return PastRun(
        run_id=run.resource_id,
        update=run.update_id.rpartition("/")[2],
        state=run.state_raw,
        started_at=run.started_at,
        duration=run.duration,
        failed_step=step.name if step else "",
        kind=_KINDS[intent.step] if intent else "",
        fixed=intent.facts.get("fixed", "") if intent else "",
    )
