"""What analyses found out about failed runs, kept in the site's journal: by it a next start is judged.

`analysis` and `cluster` know nothing of each other. What the one found reaches the other here: one entry
`evidence` for each run that a log bundle shows as the newest of its update, where that run or the update failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from toolkit.errors import InputError
from toolkit.model import RerunSafety, ResourceId, Sha256, SolutionVersion
from toolkit.site import Journal, JournalEntry

EVIDENCE_STEP = "evidence"
"""What the journal calls it."""
NO_RUN = "none"
"""What stands there as the last run before a start where there was none: earlier versions wrote nothing."""
_BETWEEN = " | "


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvidence:
    """What the analysis of one log bundle says of one failed run."""

    run_id: ResourceId
    run_updated_at: datetime | None
    """When that run changed last, as the bundle shows it."""
    bundle_sha256: Sha256
    analysed_at: datetime
    rule: str
    """Of the finding that is the best candidate for the cause; empty: nothing was found."""
    nodes: tuple[str, ...]
    headline: str
    rerun_safe: RerunSafety
    remedy: tuple[str, ...]
    blind_spots: int
    """So many sources were missing or damaged."""

    @property
    def update_id(self) -> str:
        """The update that the run is of."""
        return self.run_id.rpartition("/")[0]

    @property
    def finding(self) -> tuple[str, tuple[str, ...]]:
        """What makes two failures the same one."""
        return self.rule, self.nodes


def subject_of(update_id: str) -> str:
    """Return what the journal calls the runs of an update: `run 12.2603.1002.15`, `run SBE4.2.2603.1`."""
    try:
        return f"run {SolutionVersion.parse(update_id)}"
    except ValueError:
        return f"run {update_id.rpartition('/')[2]}"


def note_evidence(journal: Journal, *, cluster: str, found: RunEvidence) -> None:
    """Write down what an analysis found; its time is that of the entry. Hold the site's lock meanwhile.

    Raises:
        StorageError: The disk is full or fails.
    """
    journal.append(
        cluster=cluster,
        subject=subject_of(found.update_id),
        step=EVIDENCE_STEP,
        outcome="done",
        run_id=found.run_id,
        run_updated_at=found.run_updated_at.isoformat() if found.run_updated_at else "",
        bundle_sha256=found.bundle_sha256,
        rule=found.rule,
        nodes=", ".join(found.nodes),
        headline=found.headline,
        rerun_safe=found.rerun_safe,
        remedy=_BETWEEN.join(found.remedy),
        blind_spots=str(found.blind_spots),
    )


def evidence_in(entries: Iterator[JournalEntry]) -> Iterator[RunEvidence]:
    """Yield what was found, oldest first.

    Raises:
        InputError: An entry that ferry did not write so.
    """
    for entry in entries:
        if entry.step == EVIDENCE_STEP:
            yield _read(entry)


def since_added(
    journal: Journal, *, cluster: str, subject: str | None = None
) -> tuple[JournalEntry, ...]:
    """Return the entries of a subject since the site knows this cluster: an earlier one of that name is another.

    Args:
        journal: The site's.
        cluster: As the site calls it.
        subject: None: of all of them.

    Raises:
        InputError: A line that is not ours.
        StorageError: The journal cannot be read.
    """
    kept: list[JournalEntry] = []
    for entry in journal.entries(cluster=cluster):
        if entry.forgets_cluster:
            kept.clear()
        elif subject in (None, entry.subject):
            kept.append(entry)
    return tuple(kept)


def _read(entry: JournalEntry) -> RunEvidence:
    facts = entry.facts
    try:
        at = facts["run_updated_at"]
        return RunEvidence(
            run_id=ResourceId(facts["run_id"]),
            run_updated_at=datetime.fromisoformat(at) if at else None,
            bundle_sha256=Sha256(facts["bundle_sha256"]),
            analysed_at=entry.at,
            rule=facts["rule"],
            nodes=tuple(filter(None, facts["nodes"].split(", "))),
            headline=facts["headline"],
            rerun_safe=RerunSafety(facts["rerun_safe"]),
            remedy=tuple(filter(None, facts["remedy"].split(_BETWEEN))),
            blind_spots=int(facts["blind_spots"]),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            "read what an analysis found",
            place=f"journal entry of {entry.at:%Y-%m-%d %H:%M:%S} UTC",
            found=str(error),
            expected="an entry that `ferry logs analyse --site` wrote",
            hint="analyse the log bundle again; if the entry was edited, restore the journal from a backup",
        ) from error
