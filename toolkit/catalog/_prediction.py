"""What `Get-SolutionUpdate` will list after an import, as far as published facts tell. Pure.

Theory of operation: importing an SBE overrides, in part, what the cluster reads online. Solution updates
that ask for another SBE are then no longer offered: they are hidden, and only the imported SBE is listed.
With the SBE that was asked for, they are Ready. A solution bundle alone is Ready where no SBE is asked for,
and AdditionalContentRequired where one is. Everything beyond that is inferred or unknown, and says so.

Source: Update-missing-after-importing-SBE.md, Firewall-blocks-update-discovery.md,
update-via-powershell-23h2.md, solution-builder-extension.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from toolkit.model import SolutionVersion, UpdateState
from toolkit.request import ListedUpdate, SiteRequest
from toolkit.sbe import ClusterFacts, Fit, Sbe, SbeVersion, unfit_reasons, validated_for

HIDDEN = "hidden"
"""Not a state: the update is not listed any more."""

_GUIDE = "TSG/Update/Update-missing-after-importing-SBE.md"
_UPDATING = "update-via-powershell-23h2.md"
_FIREWALL = "TSG/SolutionExtension/Firewall-blocks-update-discovery.md"


class Confidence(StrEnum):
    """How far a prediction can be relied on."""

    CONFIRMED = "confirmed"
    INFERRED = "inferred"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedUpdate:
    """One row that the cluster will list, or will list no longer."""

    version: str
    """The solution's version, or the SBE's for a row of its own."""
    package_type: str
    """`Solution` or `SBE`."""
    states: tuple[str, ...]
    """The likeliest first: names of `UpdateState`, or `hidden`."""
    reason: str
    confidence: Confidence
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCase:
    """What is imported where; the facts that a prediction rests on."""

    request: SiteRequest
    start: SolutionVersion
    """What the cluster will run then."""
    bundle: SolutionVersion | None
    """The imported solution bundle, if there is one."""
    sbe: Sbe | None
    """The imported SBE, if there is one."""
    installed_sbe: SbeVersion | None
    family: str
    needs_sbe: bool | None
    """Whether the update asks for an SBE that the cluster does not have; None: not known."""
    is_first: bool
    """Whether the cluster still lists what its request says."""

    def reasons_against(
        self, requested: SbeVersion | None, solution: SolutionVersion | None
    ) -> tuple[str, ...]:
        """Return why the imported SBE is the wrong one for an update, and what that one asks for."""
        if self.sbe is None:
            return ()
        facts = ClusterFacts(
            hardware=self.request.hardware,
            family=self.family,
            installed=self.installed_sbe,
            requested=requested,
            solution=solution,
        )
        return unfit_reasons(self.sbe, facts)


def predict(case: ImportCase) -> tuple[PredictedUpdate, ...]:
    """Return what the cluster will list after the import."""
    listed = case.request.updates if case.is_first else ()
    busy = next((item for item in listed if is_in_progress(item.state)), None)
    rows: list[PredictedUpdate] = []
    if case.bundle is not None:
        row = next((item for item in listed if item.version == str(case.bundle)), None)
        rows.append(_bundle(case, case.bundle, row, busy))
    if case.sbe is not None:
        rows.append(_imported_sbe(case, case.sbe))
    rows.extend(_others(case, listed))
    return tuple(rows)


def is_in_progress(state: str) -> bool:
    """Whether an update in this state is being worked on.

    Source: OS-update-automatically-set-to-run-on-3rd-Tuesday-following-SBE-update.md (`*ing`), and
    ScanInProgress, which that test misses.
    """
    return state.endswith("ing") or state == UpdateState.ScanInProgress


def requested_sbe(row: ListedUpdate | None) -> SbeVersion | None:
    """Return the SBE version that a listed solution update asks for, if it asks for one."""
    if row is None or row.package_type == "SBE" or not row.sbe_version:
        return None
    return SbeVersion.read(row.sbe_version)


def _bundle(
    case: ImportCase,
    bundle: SolutionVersion,
    row: ListedUpdate | None,
    busy: ListedUpdate | None,
) -> PredictedUpdate:
    def say(
        states: tuple[str, ...], reason: str, confidence: Confidence, source: str = ""
    ) -> PredictedUpdate:
        return PredictedUpdate(
            version=str(bundle),
            package_type="Solution",
            states=states,
            reason=reason,
            confidence=confidence,
            source=source,
        )

    requested = requested_sbe(row)
    against = case.reasons_against(requested, bundle)
    if against:
        return say((HIDDEN,), _hides(against), Confidence.CONFIRMED, _GUIDE)
    if busy is not None:
        state = UpdateState.NotApplicableBecauseAnotherUpdateIsInProgress.value
        return say((state,), f"{_name(busy)} is {busy.state}", Confidence.INFERRED)
    if row is not None and _is_above(row.min_version_required, case.start):
        reason = f"it starts from {row.min_version_required}, the cluster is at {case.start}"
        return say((UpdateState.HasPrerequisite.value, HIDDEN), reason, Confidence.INFERRED)
    ready, content = UpdateState.Ready.value, UpdateState.AdditionalContentRequired.value
    if case.sbe is not None and requested == case.sbe.version:
        reason = f"the SBE that it asks for, {requested}, is imported with it"
        return say((ready,), reason, Confidence.CONFIRMED, _GUIDE)
    if case.sbe is not None:
        reason = f"{case.sbe.title} is imported with it and nothing speaks against it"
        found = say((ready, content), reason, Confidence.INFERRED)
    elif row is not None and row.state == content:
        reason = f"the cluster lists it so today: it asks for the SBE {row.sbe_version or '?'}"
        return say((content,), reason, Confidence.CONFIRMED, _UPDATING)
    elif case.needs_sbe is False:
        found = say((ready,), "no SBE has to come with it", Confidence.INFERRED, _UPDATING)
    else:
        reason = "whether it asks for a newer SBE is not known before it is imported"
        found = say((ready, content), reason, Confidence.UNKNOWN)
    unread = _unread_sources(case.request)
    if unread and not case.request.is_disconnected_operations:
        reason = f"{found.reason}; {unread}"
        return say((*found.states, HIDDEN), reason, Confidence.UNKNOWN, _FIREWALL)
    return found


def _imported_sbe(case: ImportCase, sbe: Sbe) -> PredictedUpdate:
    """Return how the imported SBE itself is listed: by what it is validated for."""
    ready, blocked = UpdateState.Ready.value, UpdateState.HasPrerequisite.value
    if case.installed_sbe == sbe.version:
        states: tuple[str, ...] = (UpdateState.Installed.value,)
        reason, confidence = "it is installed already", Confidence.INFERRED
    elif _is_above(sbe.min_solution_version, case.start):
        states, confidence = (blocked,), Confidence.INFERRED
        reason = f"it needs {sbe.min_solution_version}, the cluster is at {case.start}"
    else:
        found = validated_for(sbe, case.start)
        states, confidence = {
            Fit.YES: ((ready,), Confidence.CONFIRMED),
            Fit.NO: ((blocked,), Confidence.CONFIRMED),
            Fit.UNKNOWN: ((blocked, ready), Confidence.UNKNOWN),
        }[found.fit]
        reason = found.text
    if sbe.family and case.family and sbe.family.casefold() != case.family.casefold():
        states, confidence = (blocked, ready), Confidence.UNKNOWN
        reason = (
            f"how an SBE of the family {sbe.family} is listed on {case.family} is not published"
        )
    if states == (blocked,) and case.bundle is not None:
        reason += "; it is installed together with the update"
    return PredictedUpdate(
        version=str(sbe.version),
        package_type="SBE",
        states=states,
        reason=reason,
        confidence=confidence,
        source=_GUIDE,
    )


def _others(case: ImportCase, listed: tuple[ListedUpdate, ...]) -> Iterator[PredictedUpdate]:
    """Return what becomes of the updates that were listed before."""
    for row in listed:
        is_imported = row.version == str(case.bundle) or (
            case.sbe is not None
            and row.sbe_version == str(case.sbe.version)
            and row.package_type == "SBE"
        )
        if is_imported or row.state == UpdateState.Installed:
            continue
        states, reason, confidence = _other(case, row)
        yield PredictedUpdate(
            version=row.version or row.sbe_version,
            package_type=row.package_type or "Solution",
            states=states,
            reason=reason,
            confidence=confidence,
            source=_GUIDE if case.sbe else "",
        )


def _other(case: ImportCase, row: ListedUpdate) -> tuple[tuple[str, ...], str, Confidence]:
    if case.sbe is None:
        return (row.state,), "nothing that concerns it is imported", Confidence.INFERRED
    if row.package_type == "SBE":
        reason = f"{case.sbe.title} overrides what is read online"
        return (HIDDEN, row.state), reason, Confidence.INFERRED
    requested = requested_sbe(row)
    against = case.reasons_against(requested, _version(row.version))
    if requested is not None and against:
        return (HIDDEN,), _hides(against), Confidence.CONFIRMED
    if requested is not None and row.state == UpdateState.AdditionalContentRequired:
        reason = f"the SBE that it asks for, {requested}, is imported"
        return (UpdateState.Ready.value,), reason, Confidence.CONFIRMED
    reason = f"whether {case.sbe.title} goes with it is not known"
    return (row.state, HIDDEN), reason, Confidence.UNKNOWN


def _hides(against: tuple[str, ...]) -> str:
    return f"the wrong SBE hides it: {'; '.join(against)}"


def _unread_sources(request: SiteRequest) -> str:
    """Return what follows from sources of updates that the cluster cannot read, or nothing."""
    unread = [item.component for item in request.discovery if item.status not in ("", "Ok")]
    if not unread:
        return ""
    if len(set(unread)) > 1:
        return (
            "the cluster reads neither manifest online, and whether it lists an imported update then"
            " is not published"
        )
    return (
        f"the cluster cannot read the {unread[0]} manifest, which has hidden updates from 2405 on"
    )


def _is_above(lowest: str, version: SolutionVersion) -> bool:
    found = _version(lowest)
    return found is not None and found > version


def _version(text: str) -> SolutionVersion | None:
    try:
        return SolutionVersion.parse(text)
    except ValueError:
        return None


def _name(row: ListedUpdate) -> str:
    return row.resource_id or row.version or row.sbe_version
