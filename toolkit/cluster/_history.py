"""Every run that the cluster remembers, with what this site knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from toolkit.cluster import _cmdlets
from toolkit.cluster._cmdlets import ready
from toolkit.cluster._evidence import subject_of
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
    is_assumed: bool
    """This site was about to start it, and has no answer whether it did."""
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
    runs = session.invoke(ready.all_runs())
    newest = runs[:limit]
    failed = dict.fromkeys(run.update_id for run in newest if run.state is RunState.Failed)
    trees = {
        run.resource_id: run
        for update_id in failed
        for run in session.invoke(_cmdlets.update_runs(update_id))
    }
    starts = _starts(entries, runs)
    return tuple(
        _past(run, trees.get(run.resource_id), starts.get(run.resource_id)) for run in newest
    )


@dataclass(frozen=True, slots=True)
class _Start:
    """With which intent a run was started here, and whether that is only assumed."""

    intent: JournalEntry
    is_assumed: bool = False


def _starts(entries: Iterable[JournalEntry], runs: Sequence[RunSummary]) -> Mapping[str, _Start]:
    """Return what this site started, by run.

    An intent without an answer (ferry was killed, or the reply was lost) may have begun the first run of its update
    after the last that was there before.
    """
    starts: dict[str, _Start] = {}
    unanswered: list[JournalEntry] = []
    for entry in entries:
        if entry.step not in _KINDS or entry.outcome == "lost":
            continue
        if entry.outcome == "intent":
            unanswered.append(entry)
            continue
        intent = next((one for one in reversed(unanswered) if one.subject == entry.subject), None)
        if intent is not None:
            unanswered.remove(intent)
            if "run_id" in entry.facts:
                starts[entry.facts["run_id"]] = _Start(intent)
    for intent in reversed(unanswered):
        of_update = [run.resource_id for run in runs if subject_of(run.update_id) == intent.subject]
        last = intent.facts.get("last_run")
        since = of_update[: of_update.index(ResourceId(last))] if last in of_update else of_update
        unknown = [run_id for run_id in since if run_id not in starts]
        if unknown:
            starts[unknown[-1]] = _Start(intent, is_assumed=True)
    return starts


def _past(run: RunSummary, tree: UpdateRun | None, start: _Start | None) -> PastRun:
    has_failed = run.state is RunState.Failed
    step = deepest_error(tree.progress) if has_failed and tree and tree.progress else None
    return PastRun(
        run_id=run.resource_id,
        update=run.update_id.rpartition("/")[2],
        state=run.state_raw,
        started_at=run.started_at,
        duration=run.duration,
        failed_step=step.name if step else "",
        kind=_KINDS[start.intent.step] if start else "",
        is_assumed=start is not None and start.is_assumed,
        fixed=start.intent.facts.get("fixed", "") if start else "",
    )
