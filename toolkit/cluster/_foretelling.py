"""Before something is added: what the cluster will list. After it: whether that came true.

Theory of operation. What was foretold is written to the journal (step `predict`) before the addition is
sent, and judged once (step `predicted`) when the list has come to rest; an import that was interrupted in
between finds the first without the second and judges it on its next run. Asking makes the service look
for updates, and what it lists follows later: a list is at rest when two looks some time apart are equal.

Source: Update-missing-after-importing-SBE.md (two looks, about two minutes apart).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from toolkit.cluster import _cmdlets
from toolkit.cluster._cmdlets import payload
from toolkit.cluster._sbe_carried import CarriedSbe
from toolkit.cluster._sbe_foresight import (
    ClusterSight,
    Difference,
    Foresight,
    NeededSbe,
    advice,
    compare,
    foresee,
    hidden_by,
    recall,
    refuse_hiding,
    remember,
)
from toolkit.errors import ClusterError, CommandError, InputError
from toolkit.model import Command, Progress, ResourceId, SolutionVersion, T, Update
from toolkit.sbe import Hardware
from toolkit.site import JournalEntry

PREDICT_STEP, PREDICTED_STEP, ASKS_STEP = "predict", "predicted", "asks for SBE"
_LOOKS_APART = 4
"""Two looks that must be equal are so many first pauses apart: two minutes, where a pause is 30 s."""


class Asked(Protocol):
    """What is needed of a session with a node."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


class Note(Protocol):
    """Writes one line to the journal of an import."""

    def __call__(self, step: str, outcome: str, **facts: str) -> None:
        """Write it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What became of the updates that were foretold."""

    differences: tuple[Difference, ...] = ()
    hidden_by: str = ""
    """What was added and hides the update; empty: it is listed, or nothing is known to hide it."""
    advice: tuple[str, ...] = ()
    """How a hidden update comes back."""


@dataclass(slots=True, kw_only=True)
class Foretelling:
    """What is foretold in one import of one version, in one session."""

    session: Asked
    version: SolutionVersion
    subject: str
    """What the journal calls this import."""
    note: Note
    entries: Callable[[], Iterable[JournalEntry]]
    """Everything the journal knows of the cluster, oldest first."""
    progress: Progress
    sleep: Callable[[float], None]
    clock: Callable[[], float]
    poll_s: float
    wait_s: float
    hides_reason: str = ""
    """Why an SBE may be added that hides the update; empty: it may not."""

    def look(self) -> ClusterSight:
        """Ask what decides which SBE belongs on the cluster, and what it will list.

        An update that is hidden now is asked for by what it asked for when it was listed.

        Raises:
            ClusterError: It does not tell what is installed and listed.
            ReachError: The node went away.
        """
        environment = self.session.invoke(_cmdlets.environment())
        listed = self.session.invoke(_cmdlets.listed_updates())
        settings = self._told("how it is set up", _cmdlets.machine_settings())
        sight = ClusterSight(
            environment=environment,
            listed=listed,
            hardware=self._told("its hardware", _cmdlets.hardware())
            or Hardware(model=environment.hardware_model),
            discovery=self._told("where it looks for updates", _cmdlets.discovery()) or (),
            is_disconnected_operations=None
            if settings is None
            else settings.disconnected_operations.lower() == "true",
        )
        row, asked_for = sight.row(self.version), self._asked_for()
        if row is not None:
            self._remember(row.sbe_version)
        elif asked_for:
            return sight.remembering(self.version, sbe_version=asked_for)
        return sight

    def before(self, carried: CarriedSbe | None, *, bundle: SolutionVersion | None) -> Foresight:
        """Foretell what is listed after the addition that is sent next; tell it, and write it down.

        Args:
            carried: The SBE that is added; None: the update itself is.
            bundle: The update, where it is added too, or was before; None: it comes later.

        Raises:
            StateError: It would hide the update, and nobody said in writing why that should be.
            ClusterError: The cluster does not tell what is installed and listed.
            InputError: It does not tell which version is installed.
            ReachError: The node went away.
        """
        sight = self.look()
        foresight = foresee(sight, bundle=bundle, sbe=carried.sbe if carried else None)
        for line in foresight.lines():
            self.progress.say(line)
        title = carried.sbe.title if carried else ""
        if not self.hides_reason:
            refuse_hiding(foresight, version=self.version, title=title)
        facts = {"sbe": title, "rows": remember(foresight)}
        if foresight.hiding(self.version):
            facts["hides"] = self.hides_reason
        self.note(PREDICT_STEP, "done", **facts)
        return foresight

    def after(self, shown: Update | None, *, is_of_update: bool = True) -> Aftermath:
        """Hold what is listed against what was foretold last, once; say what hides an update that is not listed.

        Args:
            shown: What was added, as the cluster listed it last; None: it does not list it.
            is_of_update: It was the update, or an SBE for it; not an SBE that comes long before it.

        Raises:
            ClusterError: The cluster does not tell what is listed.
            InputError: The journal was edited.
            ReachError: The node went away; the next run judges.
        """
        foresight = self._open_foresight()
        if foresight is None and (shown is not None or not is_of_update):
            return Aftermath()
        updates = self._at_rest()
        differences = compare(foresight, updates) if foresight is not None else ()
        culprit = hidden_by(self.version, updates) if is_of_update else ""
        self.note(
            PREDICTED_STEP,
            "differs" if differences else "done",
            differences="; ".join(map(str, differences)),
            hidden_by=culprit,
        )
        return Aftermath(
            differences=differences,
            hidden_by=culprit,
            advice=self._advice() if culprit else (),
        )

    def is_hidden(self) -> bool:
        """Whether the update was hidden when it was looked for last, or was foretold to be by what came since."""
        entries = [e for e in self._known() if e.step in (PREDICT_STEP, PREDICTED_STEP)]
        facts = entries[-1].facts if entries else {}
        return bool(facts.get("hidden_by") or facts.get("hides"))

    def needed(self, resource_id: ResourceId) -> NeededSbe | None:
        """Return the SBE that a listed update asks for; None: the cluster does not tell."""
        needed = self._told("which SBE it asks for", payload.sbe_asked_for(resource_id))
        if needed is not None:
            self._remember(needed.version)
        return needed

    def _told(self, what: str, command: Command[T]) -> T | None:
        """Ask what a foresight can be without."""
        try:
            return self.session.invoke(command)
        except (ClusterError, InputError) as error:
            self.progress.say(f"the cluster does not tell {what}: {error}")
            return None

    def _at_rest(self) -> tuple[Update, ...]:
        """Return the list when it is the same twice; after the whole waiting time as it is."""
        until = self.clock() + self.wait_s
        before: tuple[Update, ...] | None = None
        while True:
            try:
                updates = self.session.invoke(_cmdlets.updates())
            except CommandError as error:
                if self.clock() >= until:
                    raise
                self.progress.say(f"the update service does not answer: {error.found}")
            else:
                is_same = before is not None and _states(before) == _states(updates)
                if is_same or (before is not None and self.clock() >= until):
                    return updates
                before = updates
            self.progress.say("waiting until the cluster lists the same twice")
            self.sleep(self.poll_s * _LOOKS_APART)

    def _advice(self) -> tuple[str, ...]:
        sources = self._told("where it looks for updates", _cmdlets.discovery()) or ()
        return advice(
            self.version,
            asked_for=self._asked_for(),
            manifest_source=next((s.manifest_source for s in sources if s.component == "SBE"), ""),
        )

    def _asked_for(self) -> str:
        """Return the SBE that the update asked for when it was listed last."""
        found = [entry.facts["sbe"] for entry in self._known() if entry.step == ASKS_STEP]
        return found[-1] if found else ""

    def _remember(self, sbe_version: str) -> None:
        """Write down which SBE the update asks for: once it is hidden, the cluster does not tell."""
        if sbe_version not in ("", self._asked_for()):
            self.note(ASKS_STEP, "done", sbe=sbe_version)

    def _open_foresight(self) -> Foresight | None:
        """Return what was foretold and not yet judged."""
        steps = [e for e in self._known() if e.step in (PREDICT_STEP, PREDICTED_STEP)]
        if not steps or steps[-1].step == PREDICTED_STEP:
            return None
        return recall(steps[-1].facts.get("rows", ""))

    def _known(self) -> list[JournalEntry]:
        """Return this import's entries since the cluster of this name was added."""
        entries: list[JournalEntry] = []
        for entry in self.entries():
            if entry.forgets_cluster:
                entries.clear()
            elif entry.subject == self.subject:
                entries.append(entry)
        return entries


def _states(updates: Iterable[Update]) -> set[tuple[str, str]]:
    return {(update.resource_id, update.state_raw) for update in updates}
