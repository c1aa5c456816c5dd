"""Every run that the cluster remembers, with what this site knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from toolkit.cluster import _cmdlets
from toolkit.cluster._cmdlets import ready
from toolkit.cluster._evidence import NO_RUN, subject_of
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
        entries: The journal's of this cluster, since the site knows it.
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
    after the last that was there before, and of several the older one the older run. Where that last run is not known,
    none is said to be: the times of runs may be of another zone than the journal's.
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
    for subject in {intent.subject for intent in unanswered}:
        of_update = [
            run.resource_id
            for run in runs
            if subject_of(run.update_id) == subject and run.started_at is not None
        ]
        intents: list[JournalEntry] = []
        begun: list[ResourceId] = []
        # newest first: where there are more intents than runs, the later one saw that the earlier had begun none
        for intent in reversed([one for one in unanswered if one.subject == subject]):
            since = _since(intent, of_update)
            unknown = [run_id for run_id in since if run_id not in (*starts, *begun)]
            if unknown:
                intents.append(intent)
                begun.append(unknown[-1])
        for intent, run_id in zip(intents, sorted(begun, key=of_update.index), strict=True):
            starts[run_id] = _Start(intent, is_assumed=True)
    return starts


def _since(intent: JournalEntry, runs: Sequence[ResourceId]) -> Sequence[ResourceId]:
    """Return those of an update's runs, newest first, that were not there before an intent."""
    last = intent.facts.get("last_run", "")
    if last == NO_RUN:
        return runs
    return runs[: runs.index(ResourceId(last))] if last in runs else ()


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
