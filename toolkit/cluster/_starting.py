"""Judges whether a run may be started, starts it once, and finds out what became of a lost reply.

Theory of operation. Everything is asked anew for each start, and nothing is sent before `judge_start` allows it.
`Start-SolutionUpdate` is sent once. If its reply gets lost, names no run, or says that the update service did not
answer in time, it is not sent again: the cluster is asked for its runs until one shows that was not there before, or
goes on that had ended. If none does, the outcome is unknown, and said to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from toolkit.cluster._baseline import Baseline
from toolkit.cluster._checks import Readiness
from toolkit.cluster._cmdlets import ready
from toolkit.cluster._cmdlets.runs import start_update
from toolkit.cluster._evidence import NO_RUN, evidence_in, since_added, subject_of
from toolkit.cluster._gate import Case, Permit, Wish, judge_start, judge_state, refuse
from toolkit.errors import (
    AuthenticationError,
    ClusterError,
    CommandError,
    ReachError,
    SessionLostError,
    StorageError,
    says_no_reply,
)
from toolkit.model import (
    Command,
    Node,
    Progress,
    ResourceId,
    RunState,
    RunSummary,
    T,
    Update,
)
from toolkit.site import Journal

if TYPE_CHECKING:
    from toolkit.catalog import Manifests

_LOOKS_AFTER_S = (0.0, 5.0, 15.0, 30.0, 60.0)
"""Pauses before each look for a run whose start was not answered: a node that restarts is back after minutes,
but the others answer."""
_LONGEST_SLEEP_S = 60.0


class StartSession(Protocol):
    """What a start needs of a session with a node."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


class OnSomeNode(Protocol):
    """Acts through the first node that answers."""

    def __call__(
        self, act: Callable[[StartSession, Node], T], *, only_first_answer: bool = False
    ) -> T:
        """With `only_first_answer`, what is lost after an answer is not tried through another node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What checks rest on besides the cluster."""

    floor: datetime
    """It is at least this late."""
    manifests: Manifests
    """What is known of releases, paths and known issues."""
    baseline: Baseline | None
    """The settings that a person once called right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What became of a start."""

    run_id: ResourceId
    """Empty: nothing was started, it was only judged."""
    permit: Permit
    readiness: Readiness


@dataclass(slots=True, kw_only=True)
class Starting:
    """One start of one update, from the first question to the run's id."""

    cluster: str
    nodes: int
    wish: Wish
    find: Callable[[StartSession], Update]
    on_some_node: OnSomeNode
    check: Callable[[], Readiness]
    now: Callable[[], datetime]
    """By the clock that counts; only asked where a window is given."""
    journal: Journal
    progress: Progress
    sleep: Callable[[float], None]
    clock: Callable[[], float]

    def await_window(self) -> Wish:
        """Judge now, while somebody is there to read a refusal; then wait until the window begins.

        Returns:
            The wish, with what was seen of the warnings that are accepted: nobody has seen others.

        Raises:
            StateError: It may not be started.
            ReachError: No node answered.
            ClusterError: A cmdlet failed.
        """
        if self.wish.window.not_before is not None:
            case, _, permit = self._judged()
            self._wait(case, permit)
            seen = frozenset(result.identity for result in permit.accepted)
            return replace(self.wish, seen=seen)
        return self.wish

    def run(self, *, dry_run: bool) -> Started:
        """Judge and start.

        Raises:
            StateError: It may not be started; every reason is named.
            SessionLostError: The outcome is unknown.
            ReachError: No node answered; nothing was started.
            ClusterError: `Start-SolutionUpdate` refused, in the cluster's words.
        """
        case, readiness, permit = self._judged()
        while permit.wait_until is not None and not dry_run:  # the clock that counts was set back
            self._wait(case, permit)
            case, readiness, permit = self._judged()
        for note in permit.notes:
            self.progress.say(note)
        for result in permit.accepted:
            self.progress.say(f"accepted: {result.place}: {result.evidence}")
        run_id = ResourceId("") if dry_run else self._started(case, permit)
        return Started(run_id=run_id, permit=permit, readiness=readiness)

    def _wait(self, case: Case, permit: Permit) -> None:
        """Wait until the window begins, and say so once a minute."""
        begins = permit.wait_until
        if begins is None:
            return
        end = self.clock() + (begins - case.now).total_seconds()
        while (left := end - self.clock()) > 0:
            wait = f"{left / 60:.0f} min" if left >= 60 else "less than a minute"
            self.progress.say(f"allowed; {wait} until {begins:%Y-%m-%d %H:%M %Z}")
            self.sleep(min(left, _LONGEST_SLEEP_S))

    # --- judging -------------------------------------------------------------------------------

    def _judged(self) -> tuple[Case, Readiness, Permit]:
        """Ask everything and judge; what is refused is raised."""
        update, runs = self.on_some_node(self._read)
        if state := judge_state(update, self.wish):
            raise refuse(update, (state,), verb=self.wish.verb)
        subject = subject_of(update.resource_id)
        entries = since_added(self.journal, cluster=self.cluster)
        readiness = self.check()
        window = self.wish.window
        case = Case(
            update=update,
            runs=runs,
            readiness=readiness,
            evidence=tuple(evidence_in(iter(entries))),
            last_fix_at=max(
                (one.at for one in entries if one.subject == subject and one.facts.get("fixed")),
                default=None,
            ),
            nodes=self.nodes,
            now=readiness.checked_at
            if window.not_before is None and window.must_end_by is None
            else self.now(),
        )
        permit = judge_start(case, self.wish)
        if not permit.allowed:
            raise refuse(update, permit.refusals, verb=self.wish.verb)
        return case, readiness, permit

    def _read(self, session: StartSession, _: Node) -> tuple[Update, tuple[RunSummary, ...]]:
        """Read the update and all runs, newest first; which of them only prepared tells the journal."""
        update = self.find(session)
        prepared = {
            entry.facts.get("run_id")
            for entry in self.journal.entries(cluster=self.cluster)
            if entry.step == "prepare"
        }
        runs = session.invoke(ready.all_runs())
        return update, tuple(
            replace(run, is_preparation=True) if run.resource_id in prepared else run
            for run in ready.timed(runs, session.invoke(ready.run_times()))
        )

    # --- starting ------------------------------------------------------------------------------

    def _started(self, case: Case, permit: Permit) -> ResourceId:
        update, step = case.update, self.wish.verb
        is_sent = False

        def send(session: StartSession, node: Node) -> ResourceId:
            nonlocal is_sent
            facts = self._facts(case, permit)
            self._note(update, step, "intent", node=node.name, **facts)
            is_sent = True
            command = start_update(
                update.resource_id,
                prepare_only=self.wish.prepare_only,
                ignores_warnings=permit.ignores_warnings,
            )
            try:
                run_id = session.invoke(command)
            except ClusterError as error:
                if isinstance(error, CommandError) and says_no_reply(error.words):
                    raise SessionLostError(
                        f"{step} update {update.version}", found=error.found
                    ) from error
                self._note(update, step, "refused", node=node.name, words=str(error))
                error.hint = error.hint or (
                    "nothing was started. `ferry cluster discover` says in which state the update is, `ferry run history` "
                    "what runs; once what stands in its way is gone, run the same command again"
                )
                raise
            if not run_id:
                raise SessionLostError(f"{step} update {update.version}", found="no run was named")
            self._note(update, step, "done", node=node.name, run_id=run_id)
            return ResourceId(run_id)

        try:
            try:
                return self.on_some_node(send, only_first_answer=True)
            except AuthenticationError:
                raise
            except ReachError as error:
                if not is_sent:
                    raise
                return self._learned(case, error)
        except KeyboardInterrupt as stop:  # also while it is looked for
            if is_sent:
                stop.add_note(_unknown(update))
            raise
        except StorageError as full:  # what became of it could not be written down
            if is_sent:
                full.hint = f"{_unknown(update)}; {full.hint}"
            raise

    def _learned(self, case: Case, error: ReachError) -> ResourceId:
        """Ask the cluster whether a run began whose start was not answered."""
        update, verb = case.update, self.wish.verb
        self.progress.say(f"the reply to {verb} was lost; asking the cluster whether it began")
        for pause_s in _LOOKS_AFTER_S:
            self.sleep(pause_s)
            try:
                runs = self.on_some_node(lambda session, _: session.invoke(ready.all_runs()))
            except AuthenticationError as refused:
                self._note(update, verb, "lost", words=str(error))
                refused.hint = _unknown(update)
                raise
            except (ReachError, ClusterError):
                continue
            if (found := _new_run(case, runs)) is not None:
                self._note(update, verb, "done", run_id=found, learned="from the cluster")
                return found
        self._note(update, verb, "lost", words=str(error))
        raise SessionLostError(
            f"{verb} update {update.version}",
            found=f"the reply was lost ({error}), and no new run is seen",
            hint=_unknown(update),
        ) from error

    def _facts(self, case: Case, permit: Permit) -> dict[str, str]:
        """Return what the journal keeps of a start: on what grounds, and who answers for what."""
        window = self.wish.window
        runs = (run.resource_id for run in case.runs if run.update_id == case.update.resource_id)
        facts = {
            "state": case.update.state_raw,
            "last_run": next(runs, NO_RUN),
            "fixed": self.wish.fixed.strip(),
            "accepted": "; ".join(
                f"{result.check} {result.node}: {result.evidence}" for result in permit.accepted
            ),
            "ignores_warnings": "yes" if permit.ignores_warnings else "",
            "evidence": "; ".join(found.bundle_sha256 for found in permit.evidence),
            "finding": "; ".join(found.rule for found in permit.evidence),
            "not_before": window.not_before.isoformat() if window.not_before else "",
            "must_end_by": window.must_end_by.isoformat() if window.must_end_by else "",
        }
        return {name: value for name, value in facts.items() if value}

    def _note(self, update: Update, step: str, outcome: str, **facts: str) -> None:
        self.journal.append(
            cluster=self.cluster,
            subject=subject_of(update.resource_id),
            step=step,
            outcome=outcome,
            **facts,
        )


def _unknown(update: Update) -> str:
    shown = subject_of(update.resource_id).replace("run", "run show", 1)
    return (
        f"whether it began is unknown: look at `ferry {shown}` in a few minutes; this command judges anew and starts "
        "nothing that runs"
    )


def _new_run(case: Case, runs: tuple[RunSummary, ...]) -> ResourceId | None:
    """Return the update's run that was not there before, or had ended and goes on.

    By id and state, not by time: the times of a run may be of another zone than the node's clock.
    """
    before = {run.resource_id: run.state for run in case.runs}
    for run in runs:
        was = before.get(run.resource_id)
        is_new = was is None or (run.state is RunState.InProgress and was is not run.state)
        if is_new and run.update_id == case.update.resource_id:
            return run.resource_id
    return None
