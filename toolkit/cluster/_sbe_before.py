"""Which SBE must be installed before an update, and which of a medium is that one.

Two sources say so: the page about the change to 24H2, by the vendor's families, and the listed update itself. That
SBE is chosen for what runs now, not for what is imported after it.

Source: update-opt-enable.md (minimums), update-via-powershell-23h2.md (`MinSbeVersionRequired`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from toolkit.cluster import _cmdlets
from toolkit.cluster._running import PHASES, Phase
from toolkit.cluster._sbe_carried import CarriedSbe
from toolkit.cluster._sbe_foresight import ClusterSight, installed_version
from toolkit.errors import InputError
from toolkit.model import (
    Command,
    Progress,
    SolutionVersion,
    T,
    Update,
    UpdateEnvironment,
    UpdateState,
)
from toolkit.sbe import NO_SBE, SbeVersion, belongs, unfit_reasons, unsure_reasons

if TYPE_CHECKING:
    from toolkit.catalog import Manifests, SbeMinimum


class Asked(Protocol):
    """What is needed of a session with a node."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SbeBefore:
    """An SBE that must be installed before an update, and is not."""

    family: str
    minimum: str
    """As it is published: an `x` stands for digits left open."""
    installed: str
    """What the cluster has."""
    why: str
    """Who says so."""
    name: str = ""
    """The one that was imported for it, as `ferry run start` takes it: `SBE4.2.2506.1600`; empty: none."""
    state: str = ""
    """Its state; empty: the cluster does not list it yet."""
    against: tuple[str, ...] = ()
    """Where none was imported: why none of those on the medium is that one."""

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What is to be done with the one that was imported, as far as its state tells."""
        again = "run this same command again"
        match PHASES[UpdateState(self.state)]:
            case Phase.RUNNING:
                return (f"next: ferry run watch {self.name}, to its end; then {again}",)
            case Phase.FAILED:
                return (
                    "next: never run it again blindly: ferry logs collect, then ferry logs analyse; cure the cause",
                    f"then: ferry run start {self.name}, and when it is installed, {again}",
                )
            case Phase.DONE:
                return (
                    f"next: wait until the cluster tells that version as installed, then {again}; where it goes on to tell "
                    f"{self.installed}: ferry logs collect, and ask Microsoft's support",
                )
            case _:  # what a start may refuse it refuses with its own next step
                return (
                    f"next: ferry run start {self.name}",
                    f"then: ferry run watch {self.name}, to its end; and {again}",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """A version below which the installed SBE must not be."""

    published: str
    floor: SbeVersion
    why: str


def minimum_before(
    environment: UpdateEnvironment, *, published: Iterable[SbeMinimum], asked: str
) -> Minimum | None:
    """Return the highest minimum that the SBE must have before the update; None: there is none.

    Args:
        environment: What the cluster runs.
        published: What pages say of the step, for every vendor.
        asked: `MinSbeVersionRequired` of the listed update; empty: it says none, or is not listed.
    """
    from toolkit.catalog import SbeMoment  # lower floor, loaded when it is asked for

    found = [
        Minimum(published=row.minimum, floor=row.floor, why=f"{row.vendor}, by {row.source}")
        for row in published
        if row.when is SbeMoment.BEFORE and row.names(environment.sbe_family)
    ]
    own = SbeVersion.read(asked)
    if own is not None:
        found.append(Minimum(published=asked, floor=own, why="the update, MinSbeVersionRequired"))
    return max(found, key=lambda item: item.floor, default=None)


def choose_before(
    carried: Sequence[CarriedSbe], *, floor: SbeVersion, sight: ClusterSight
) -> tuple[CarriedSbe | None, tuple[str, ...]]:
    """Return the newest SBE of a medium that belongs on the cluster as it runs now; else why none does.

    Raises:
        InputError: The cluster does not say which version is installed.
    """
    solution = installed_version(sight.environment)
    facts = replace(sight.facts(solution), requested=None)
    fitting: list[CarriedSbe] = []
    against: list[str] = []
    for item in carried:
        if item.sbe.version < floor:
            against.append(f"{item.sbe.title} is older than {floor}")
        elif belongs(item.sbe, facts):
            fitting.append(item)
        else:
            against += unfit_reasons(item.sbe, facts) or unsure_reasons(item.sbe, facts)
    return max(fitting, key=lambda item: item.sbe.version, default=None), tuple(against)


def has_prerequisite(update: Update | None) -> bool:
    """Whether a listed update waits for something that must be installed before it."""
    return update is not None and update.state is UpdateState.HasPrerequisite


def lacking_before(
    session: Asked,
    version: SolutionVersion,
    listed: Update | None,
    *,
    manifests: Manifests | None,
    progress: Progress,
) -> Minimum | None:
    """Return the minimum that the installed SBE is below; None: it is not, or there is none.

    Args:
        session: With any node.
        version: The update.
        listed: As the cluster lists it; None: it does not.
        manifests: What is published; None: nothing is known of it.
        progress: Told what cannot be checked.

    Raises:
        ReachError: The node went away.
        ClusterError: The cluster does not tell what is installed and listed.
    """
    asks = has_prerequisite(listed)
    if manifests is None and not asks:
        return None
    environment = session.invoke(_cmdlets.environment())
    rows = session.invoke(_cmdlets.listed_updates()) if asks else ()
    ours = (row for row in rows if listed is not None and row.resource_id == listed.resource_id)
    published: tuple[SbeMinimum, ...] = ()
    try:
        if manifests is not None:
            published = manifests.sbe_minimums(environment.current_version, str(version))
    except InputError as error:
        progress.say(f"not checked: which SBE must be installed before {version}: {error}")
    installed = SbeVersion.read(environment.current_sbe_version)
    if published and not environment.sbe_family and installed != NO_SBE:
        progress.say(
            f"not checked: which SBE must be installed before {version}; the cluster does not tell its SBE's family"
        )
    asked = next((row.min_sbe_version_required for row in ours), "")
    minimum = minimum_before(environment, published=published, asked=asked)
    if minimum is None:
        return None
    if installed is None:
        progress.say(
            f"not checked: whether SBE {minimum.published} or later is installed, which {version} needs; the cluster "
            f"says {environment.current_sbe_version!r}"
        )
        return None
    return minimum if installed < minimum.floor else None
