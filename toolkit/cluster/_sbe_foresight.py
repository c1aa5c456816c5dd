"""Which SBE of a medium may be imported, what the cluster will list then, and whether it did. Pure.

An SBE that is older than asked for, of another family or not validated for the update overrides in part what
the cluster knows of its vendor's releases, and the update is listed no more. So one SBE is chosen by the
rules of `toolkit.sbe`; what the cluster will list is foretold before anything is added, by the same rules as
in a plan; and what it lists afterwards is held against that.

Source: Update-missing-after-importing-SBE.md, update-via-powershell-23h2.md (the three files).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from toolkit.cluster._sbe_carried import CarriedSbe
from toolkit.errors import InputError, StateError
from toolkit.model import SolutionVersion, Update, UpdateEnvironment, UpdateState
from toolkit.request import DiscoverySource, ListedUpdate, Origin, new_request
from toolkit.sbe import (
    ClusterFacts,
    Hardware,
    Sbe,
    SbeVersion,
    belongs,
    unfit_reasons,
    unsure_reasons,
)

if TYPE_CHECKING:
    from toolkit.catalog import PredictedUpdate

NOT_LISTED = "not listed"
"""What is found of an update that the cluster does not list."""

_MANIFESTS = r"C:\ClusterStorage\Infrastructure_1\Shares\SU1_Infrastructure_1\Updates\Manifests"

_MOST_WORDS = 500
"""So many letters of a reason are remembered."""

_FURTHER: dict[str, frozenset[str]] = {
    UpdateState.Ready: frozenset(
        {
            UpdateState.Downloading,
            UpdateState.DownloadFailed,
            UpdateState.Preparing,
            UpdateState.PreparationFailed,
            UpdateState.ScanInProgress,
            UpdateState.ScanFailed,
            UpdateState.HealthChecking,
            UpdateState.HealthCheckFailed,
            UpdateState.ReadyToInstall,
            UpdateState.Installing,
            UpdateState.InstallationFailed,
            UpdateState.Installed,
        }
    )
}
"""State → those that follow it when somebody starts the update meanwhile.

Source: Azure REST specification, azurestackhci 2024-04-01, updates.json (states).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSight:
    """What a cluster told just before something is added to it."""

    environment: UpdateEnvironment
    listed: tuple[ListedUpdate, ...]
    hardware: Hardware
    """Of the node that was asked."""
    discovery: tuple[DiscoverySource, ...] = ()
    is_disconnected_operations: bool | None = None
    """None: not told."""

    def row(self, version: SolutionVersion) -> ListedUpdate | None:
        """Return the row of a solution update; None: it is not listed."""
        for row in self.listed:
            if row.package_type != "SBE" and row.version == str(version):
                return row
        return None

    def remembering(self, version: SolutionVersion, *, sbe_version: str) -> ClusterSight:
        """Return the same with the row of an update that is hidden now, as it was listed before."""
        row = ListedUpdate(
            resource_id=f"redmond/Solution{version}",
            version=str(version),
            state=UpdateState.AdditionalContentRequired.value,
            package_type="Solution",
            sbe_version=sbe_version,
        )
        return replace(self, listed=(*self.listed, row))

    def facts(self, version: SolutionVersion) -> ClusterFacts:
        """Return what decides which SBE belongs on the cluster with an update."""
        row = self.row(version)
        return ClusterFacts(
            hardware=self.hardware,
            family=self.environment.sbe_family,
            installed=SbeVersion.read(self.environment.current_sbe_version),
            requested=SbeVersion.read(row.sbe_version) if row is not None else None,
            solution=version,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """What the cluster will list after something was added."""

    predicted: tuple[PredictedUpdate, ...]

    @property
    def hidden(self) -> tuple[PredictedUpdate, ...]:
        """The solution updates that it will list no more."""
        from toolkit.catalog import HIDDEN

        return tuple(
            row for row in self.predicted if row.package_type != "SBE" and row.states[0] == HIDDEN
        )

    def hiding(self, version: SolutionVersion) -> str:
        """Return why an update will be listed no more; empty: it will be listed."""
        return next((row.reason for row in self.hidden if row.version == str(version)), "")

    def lines(self) -> Iterator[str]:
        """Yield what is foretold, one sentence for each update."""
        for row in self.predicted:
            yield (
                f"foretold: {row.package_type} {row.version} will be {' or '.join(_foretold(row))} "
                f"({row.confidence}): {row.reason}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One update of which the cluster says something else than was foretold."""

    version: str
    predicted: tuple[str, ...]
    """States, the likeliest first; `hidden` is none."""
    found: str
    """Its state, or `not listed`."""
    confidence: str

    def __str__(self) -> str:
        """Return it as a sentence."""
        return (
            f"{self.version}: foretold was {' or '.join(self.predicted)} ({self.confidence}), "
            f"found is {self.found}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NeededSbe:
    """The SBE that a listed update asks for, in its vendor's words."""

    publisher: str
    family: str
    version: str
    release_link: str = ""
    notify_message: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the three files; empty: the cluster does not say enough to name them."""
        if not (self.publisher and self.family and self.version):
            return ()
        title = f"SBE_{self.publisher}_{self.family}_{self.version}"
        return f"SBE_Discovery_{self.publisher}.xml", f"{title}.xml", f"{title}.zip"


def choose(
    carried: Sequence[CarriedSbe],
    *,
    version: SolutionVersion,
    sight: ClusterSight,
    hides_reason: str = "",
) -> CarriedSbe:
    """Return the SBE to import for an update; of several that belong on the cluster, the newest.

    Args:
        carried: Those of a medium.
        version: The update.
        sight: What the cluster told.
        hides_reason: Why one that does not belong is imported all the same, in writing. A recalled one is not.

    Raises:
        StateError: None on the medium is known to belong on this cluster; says why for each, and what
            importing it would hide.
    """
    facts = sight.facts(version)
    candidates = [item for item in carried if belongs(item.sbe, facts)]
    if not candidates and hides_reason:
        candidates = [item for item in carried if not item.sbe.is_recalled]
    if candidates:
        return max(candidates, key=lambda item: item.sbe.version)
    asked = f"SBE {facts.requested or '(version not known)'}"
    raise StateError(
        f"import the SBE that {version} asks for",
        current="; ".join(_why_not(item.sbe, facts, version) for item in carried),
        expected=f"{asked} of the family {facts.family or '(not known)'}",
        hint="nothing of it was added: a wrong SBE hides solution updates from the cluster. Bring the "
        "three files of the right one: `ferry cluster request` says which, `ferry catalog plan` finds them",
    )


def doubts(
    carried: CarriedSbe, *, version: SolutionVersion, sight: ClusterSight
) -> tuple[str, ...]:
    """Return what is not known about a chosen SBE on this cluster, each a sentence."""
    return unsure_reasons(carried.sbe, replace(sight.facts(version), requested=None))


def foresee(sight: ClusterSight, *, bundle: SolutionVersion | None, sbe: Sbe | None) -> Foresight:
    """Return what the cluster will list once a solution bundle, an SBE or both are added.

    Args:
        sight: What it tells now.
        bundle: The update that is added, or was before.
        sbe: The SBE that is added.

    Raises:
        InputError: The cluster does not say which version is installed.
    """
    from toolkit.catalog import ImportCase, predict

    request = replace(
        new_request("", site_id="", origin=Origin.MEASURED),
        hardware=sight.hardware,
        updates=sight.listed,
        discovery=sight.discovery,
        is_disconnected_operations=sight.is_disconnected_operations,
    )
    case = ImportCase(
        request=request,
        start=installed_version(sight.environment),
        bundle=bundle,
        sbe=sbe,
        installed_sbe=SbeVersion.read(sight.environment.current_sbe_version),
        family=sight.environment.sbe_family,
        needs_sbe=None,
        is_first=True,
    )
    return Foresight(predicted=predict(case))


def refuse_hiding(foresight: Foresight, *, version: SolutionVersion, title: str) -> None:
    """Refuse to add an SBE that would hide the update for which it is imported.

    Raises:
        StateError: It would; says why, and how it can be done all the same.
    """
    why = foresight.hiding(version)
    if why:
        raise StateError(
            f"import {title}",
            current=f"it would hide {version}: {why}",
            expected="the SBE that the update asks for",
            hint="it was not added. Bring the right one; only if hiding the update is what you want, "
            "say why with --import-hides-updates",
        )


def compare(foresight: Foresight, updates: Sequence[Update]) -> tuple[Difference, ...]:
    """Return where a cluster lists something else than was foretold.

    An update that was started meanwhile, and so is further on the way, is no difference.
    """
    from toolkit.catalog import HIDDEN

    found = {(item.package_type == "SBE", item.version): item.state_raw for item in updates}
    differences = []
    for row in foresight.predicted:
        state = found.get((row.package_type == "SBE", row.version), HIDDEN)
        foretold = _foretold(row)
        expected = set(foretold).union(*(_FURTHER.get(item, ()) for item in foretold))
        if state not in expected:
            differences.append(
                Difference(
                    version=row.version,
                    predicted=foretold,
                    found=NOT_LISTED if state == HIDDEN else state,
                    confidence=str(row.confidence),
                )
            )
    return tuple(differences)


def _foretold(row: PredictedUpdate) -> tuple[str, ...]:
    """Return the states that are said, and that count afterwards: all of them only where it is a guess."""
    from toolkit.catalog import Confidence

    return row.states if row.confidence is Confidence.UNKNOWN else row.states[:1]


def hidden_by(version: SolutionVersion, updates: Sequence[Update]) -> str:
    """Return the added SBEs that may hide an update which is not listed; empty: it is listed, or none is there.

    Source: Update-missing-after-importing-SBE.md (only the imported SBE is listed then).
    """
    if any(item.package_type != "SBE" and item.version == str(version) for item in updates):
        return ""
    return ", ".join(
        item.resource_id.rpartition("/")[2] or item.version
        for item in updates
        if item.package_type == "SBE" and item.state is not UpdateState.Installed
    )


def advice(version: SolutionVersion, *, asked_for: str, manifest_source: str) -> tuple[str, ...]:
    """Return how a hidden update comes back, in the guide's order.

    Source: Update-missing-after-importing-SBE.md (mitigation).
    """
    wanted = f"SBE {asked_for}" if asked_for else "the SBE that it asked for"
    source = f"{manifest_source} " if manifest_source else ""
    return (
        f"import {wanted}: the same command with a medium that carries it brings {version} back",
        f"or, if nobody knows which one that was: put the vendor's online manifest {source}in the place of "
        f"the one in {_MANIFESTS} on a node, then `ferry cluster discover` twice, two minutes apart (ferry does "
        "not do it for you)",
    )


def remember(foresight: Foresight) -> str:
    """Write a foresight as one text for the journal, whose lines are short."""
    rows = [asdict(row) | {"reason": row.reason[:_MOST_WORDS]} for row in foresight.predicted]
    return json.dumps(rows, ensure_ascii=False)


def recall(text: str) -> Foresight:
    """Read what `remember` wrote.

    Raises:
        InputError: It did not write this.
    """
    from toolkit.catalog import Confidence, PredictedUpdate

    try:
        rows = tuple(
            PredictedUpdate(
                version=row["version"],
                package_type=row["package_type"],
                states=tuple(row["states"]),
                reason=row["reason"],
                confidence=Confidence(row["confidence"]),
                source=row["source"],
            )
            for row in json.loads(text)
        )
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            "read in the journal what was foretold of an import",
            found=repr(text[:80]),
            expected="what ferry wrote",
            hint="the journal was edited: take it from your copy of the site",
        ) from error
    return Foresight(predicted=rows)


def _why_not(sbe: Sbe, facts: ClusterFacts, version: SolutionVersion) -> str:
    against = unfit_reasons(sbe, facts)
    if against:
        return f"importing {sbe.title} would hide {version}: {'; '.join(against)}"
    return "; ".join(unsure_reasons(sbe, facts))


def installed_version(environment: UpdateEnvironment) -> SolutionVersion:
    """Return the installed solution version.

    Raises:
        InputError: The cluster does not tell it.
    """
    try:
        return SolutionVersion.parse(environment.current_version)
    except ValueError as error:
        raise InputError(
            "foretell what the cluster will list",
            found=f"installed is {environment.current_version or 'a version that it does not tell'}",
            expected="a version like 12.2602.1002.501",
            hint="is its update service online? `ferry cluster discover` shows what it tells",
        ) from error
