"""Update states as a table, and what may be done in each.

Theory of operation. An update moves `Ready → (Downloading) → Preparing → HealthChecking →
ReadyToInstall | Installing → Installed`; each working state has a failed twin from which
`Start-SolutionUpdate` would go on. We never do that by ourselves: after a failure a person says in
writing what was cured. States we do not know are shown and watched, but nothing is started in them.

Source: Azure REST specification azurestackhci 2024-04-01 updates.json (the states),
update-phases-23h2.md (the transitions), update-best-practices.md (no blind re-run).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from toolkit.cluster import _cmdlets
from toolkit.model import RunState, SolutionVersion, Step, Update, UpdateRun, UpdateState
from toolkit.sbe import SbeVersion

UpdateName = SolutionVersion | SbeVersion
"""What a person names an update by: a solution version, or an SBE's (`SBE4.2.2603.1`)."""


def is_named(update: Update, name: UpdateName) -> bool:
    """Whether a listed update is the one that is named; a solution update is no SBE of the same number."""
    if isinstance(name, SolutionVersion):
        return _cmdlets.is_version(update, name)
    found = update.resource_id.rpartition("/")[2].upper()
    return found.startswith("SBE") and SbeVersion.read(found.removeprefix("SBE")) == name


class Phase(StrEnum):
    """What a state means for us."""

    ACTIONABLE = "actionable"
    RUNNING = "running"
    FAILED = "failed"
    DONE = "done"
    BLOCKED = "blocked"
    UNRECOGNISED = "unrecognised"


PHASES: dict[UpdateState, Phase] = {
    UpdateState.HasPrerequisite: Phase.BLOCKED,
    UpdateState.Obsolete: Phase.BLOCKED,
    UpdateState.Ready: Phase.ACTIONABLE,
    UpdateState.NotApplicableBecauseAnotherUpdateIsInProgress: Phase.BLOCKED,
    UpdateState.AdditionalContentRequired: Phase.BLOCKED,
    UpdateState.Downloading: Phase.RUNNING,
    UpdateState.DownloadFailed: Phase.FAILED,
    UpdateState.Preparing: Phase.RUNNING,
    UpdateState.PreparationFailed: Phase.FAILED,
    UpdateState.ScanInProgress: Phase.RUNNING,
    UpdateState.ScanFailed: Phase.FAILED,
    UpdateState.HealthChecking: Phase.RUNNING,
    UpdateState.HealthCheckFailed: Phase.FAILED,
    UpdateState.ReadyToInstall: Phase.ACTIONABLE,
    UpdateState.Installing: Phase.RUNNING,
    UpdateState.Installed: Phase.DONE,
    UpdateState.InstallationFailed: Phase.FAILED,
    UpdateState.Invalid: Phase.BLOCKED,
    UpdateState.Recalled: Phase.BLOCKED,
    UpdateState.UNRECOGNISED: Phase.UNRECOGNISED,
}

_BLOCKED_HINTS = {
    UpdateState.HasPrerequisite: "install the update named as its prerequisite first",
    UpdateState.NotApplicableBecauseAnotherUpdateIsInProgress: "wait for the other update to end",
    UpdateState.AdditionalContentRequired: "import the three SBE files of the hardware vendor first",
    UpdateState.Recalled: "the publisher withdrew it; import the version that replaces it",
    UpdateState.Obsolete: "a newer update replaced it; run `ferry cluster discover`",
    UpdateState.Invalid: "it is not made for this system; run `ferry logs collect` and analyse",
}


def state_refusal(update: Update, *, prepare_only: bool) -> tuple[str, str] | None:
    """Return why an update may not be started (or prepared) in its state, and what to do; None: it may.

    What failed may be started again; whether it should be is another question.

    Args:
        update: As the cluster lists it now.
        prepare_only: Whether only the preparation is asked for.
    """
    phase = PHASES[update.state]
    allowed = (
        {UpdateState.Ready} if prepare_only else {UpdateState.Ready, UpdateState.ReadyToInstall}
    )
    if phase is Phase.FAILED or update.state in allowed:
        return None
    hint = {
        Phase.RUNNING: "it is running already: `ferry run watch` follows it",
        Phase.DONE: "nothing is left to do",
        Phase.ACTIONABLE: "it is prepared already: `ferry run start` installs it",
        Phase.UNRECOGNISED: "this ferry does not know that state: look at it with `ferry run show`",
    }.get(phase) or _BLOCKED_HINTS[update.state]
    return f"it is {update.state_raw} (expected: {' or '.join(sorted(allowed))})", hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One look at an update and its newest run."""

    update: Update
    run: UpdateRun | None

    @property
    def is_moving(self) -> bool:
        """Whether something still works on it."""
        if self.run is not None and self.run.state is RunState.InProgress:
            return True
        return PHASES[self.update.state] is Phase.RUNNING

    @property
    def has_failed(self) -> bool:
        """Whether its last attempt failed."""
        return PHASES[self.update.state] is Phase.FAILED or (
            self.run is not None and self.run.state is RunState.Failed
        )


def walk(step: Step, depth: int = 0) -> Iterator[tuple[int, Step]]:
    """Yield every step with its depth, parents first."""
    yield depth, step
    for child in step.steps:
        yield from walk(child, depth + 1)


def deepest_error(step: Step) -> Step | None:
    """Return the deepest failed step that says why: the candidate for the root cause."""
    for child in step.steps:
        found = deepest_error(child)
        if found is not None:
            return found
    return step if step.status == "Error" and step.error_message else None
