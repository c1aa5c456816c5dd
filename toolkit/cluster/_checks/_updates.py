"""Checks of the way to the wanted update, and of what earlier runs left behind. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from toolkit.cluster import _cmdlets
from toolkit.cluster._checks._check import Check, CheckId, Reads, Said
from toolkit.cluster._checks._nodes import has_long_paths
from toolkit.cluster._checks._ready_answers import ENVIRONMENT
from toolkit.cluster._checks._saying import (
    critical,
    installed,
    of_cluster,
    of_nodes,
    passes,
    time_there,
    unknown,
    warns,
)
from toolkit.cluster._checks._services import UPDATE_SERVICE
from toolkit.errors import InputError
from toolkit.model import (
    HealthCheck,
    OsTrain,
    RunState,
    RunSummary,
    SolutionVersion,
    Update,
    UpdateEnvironment,
    UpdateState,
    human_size,
)
from toolkit.request import HealthSummary, ListedUpdate, Origin, new_request, sbe_state_of
from toolkit.sbe import NO_SBE, UNINSTALLED_SBE, SbeVersion

if TYPE_CHECKING:
    from toolkit.catalog import Manifests
    from toolkit.cluster._checks._answers import Answers

_SPACE = "TSG/Update/Update-preparation-fails-Could-not-find-part-of-the-file-path.md"
_CANCELED = "TSG/Update/Update-CAU-run-fails-previous-CAU-run-status-was-Canceled.md"
_CANCELED_HOST = "TSG/Update/Previous-CAU-run-status-was-canceled.md"
_GATEWAY = "TSG/Update/Get-SolutionUpdate-GatewayTimeout.md"
_HUNG = (
    "TSG/Update/Solution-update-get-hung-at-downloading-status-with-action-plan-instance-running-"
    "for-months .md"
)
_INFRASTRUCTURE = r"C:\ClusterStorage\Infrastructure_1"
_COPY = 2
"""Times the zip that an import has used up once the update is listed: the zip itself and its expanded form."""
_NARROW = 1.2
_LONGEST_PATH = 259
_VENDOR_PATH = 264
r"""How long a path below `Updates\Packages\…\Platform\ISO\sources\replacementmanifests` is known to become."""
_STANDS_STILL = timedelta(hours=6)
_DOWNLOADS = timedelta(hours=24)
_OLD_RESULTS = timedelta(hours=48)
_SHOWN = 300
"""Characters of a marker that are shown."""
_INSTALL_SBE = (
    "Start the same SBE or a newer one of its family now (`ferry run start SBE…`): while it is partly installed ferry starts "
    "nothing else."
)
_SECONDS = "%Y-%m-%d %H:%M UTC"
_STATES = (
    "AppliedSuccessfully",
    "UpdateAvailable",
    "UpdateInProgress",
    "UpdateFailed",
    "PreparationInProgress",
    "PreparationFailed",
)
"""Of the cluster, beside `NeedsAttention`; what goes on and what failed is judged by other checks."""
_BUSY = ("ScanInProgress", "NotApplicableBecauseAnotherUpdateIsInProgress")


def _at(moment: datetime | None) -> str:
    return "at a time that is not told" if moment is None else f"{moment:{_SECONDS}}"


# --- room and paths -----------------------------------------------------------------------------


def _listed(answers: Answers) -> Update | None:
    """Return the wanted update as the cluster lists it."""
    wanted = answers.version
    updates = answers.cluster.ready.updates.value or ()
    return next(
        (item for item in updates if wanted is not None and _cmdlets.is_version(item, wanted)), None
    )


def _need(answers: Answers) -> tuple[int, str] | None:
    """Return the room that the wanted update still takes, and how that comes about; None: not known."""
    from toolkit.catalog import EXPANSION  # lower floor, loaded when it is asked for

    wanted, update = answers.version, _listed(answers)
    if wanted is None:
        return None
    times = EXPANSION[wanted.os_train]
    zips = answers.medium.zips if answers.medium else ()
    carried = next((item for item in zips if item.version == wanted), None)
    image = ", and the expanded image of 12.x" if wanted.os_train is OsTrain.H24 else ""
    is_imported = update is not None and update.availability_type == "Local"
    told = None if update is None else update.package_size_bytes
    if told is not None and (is_imported or carried is None):
        size, times = told, times - _COPY
        where = "imported already" if is_imported else "downloaded by the service"
        of = f"of its {human_size(size)}: the service's own copy{image}; it is {where}"
    elif carried is not None:
        size = carried.size_bytes
        of = f"of {carried.name}, {human_size(size)}: zip, expanded form, the service's copy{image}"
    else:
        return None
    return times * size, f"{human_size(times * size)} are needed, {times} times the size {of}"


def _space_not_asked(answers: Answers) -> str:
    is_listed = _listed(answers) is not None
    if is_listed or answers.cluster.ready.updates.why or _need(answers) is not None:
        return ""
    return (
        f"the size of {answers.version} is not known: bring the medium, or check once it is listed"
    )


def _space(answers: Answers) -> Iterator[Said]:
    volumes, need = answers.cluster.ready.volumes.value, _need(answers)
    if need is None and _listed(answers) is not None:
        yield unknown(
            f"the cluster lists {answers.version} without its size",
            remedy="Check with its medium, or find out how large it is, and whether there is room for it.",
        )
        return
    if volumes is None or need is None:
        return
    volume = next(
        (item for item in volumes.spaces if item.volume.casefold() == _INFRASTRUCTURE.casefold()),
        None,
    )
    if volume is None:
        yield unknown(f"the cluster does not tell the space on {_INFRASTRUCTURE}")
        return
    need_bytes, why = need
    says = f"{human_size(volume.free_bytes)} free on {_INFRASTRUCTURE}; {why}"
    if volume.free_bytes < need_bytes:
        yield critical(says)
    elif volume.free_bytes < _NARROW * need_bytes:
        yield warns(says, subject=_INFRASTRUCTURE)
    else:
        yield passes(says)


def _path_length(answers: Answers) -> Iterator[Said]:
    wanted = answers.version
    if wanted is None:
        return
    longest = _cmdlets.IMPORT_FOLDER / f"{wanted}.t0000001.part" / f"AS_Update_{wanted}.zip"
    length, which = len(str(longest)), str(longest)
    if wanted.os_train is OsTrain.H24 and length < _VENDOR_PATH:
        length = _VENDOR_PATH
        which = r"a path below Updates\Packages\…\Platform\ISO\sources\replacementmanifests"
    says = f"{which} has {length} characters"
    short_paths = [
        node.name
        for node in answers.nodes
        if node.ready.registry.value is not None and not has_long_paths(node.ready)
    ]
    if length > _LONGEST_PATH and short_paths:
        yield critical(f"{says}; long paths are off on {', '.join(short_paths)}")
    else:
        yield passes(says)


# --- the way ------------------------------------------------------------------------------------


def _environment(answers: Answers) -> UpdateEnvironment | None:
    return answers.cluster.ready.environment.value


def _version_floor(answers: Answers) -> Iterator[Said]:
    environment, current = _environment(answers), installed(answers)
    lowest = answers.manifests.rules.lowest_importing
    if environment is None:
        return
    if current is None:
        yield unknown(f"the installed version is {environment.current_version or 'not told'!r}")
    elif current < lowest:
        yield critical(f"{current} is installed; importing begins with {lowest}")
    else:
        yield passes(f"{current} is installed")


def _update_path(answers: Answers) -> Iterator[Said]:
    current, wanted = installed(answers), answers.version
    if wanted is None or _environment(answers) is None:
        return
    if current is None:
        yield unknown("the installed version is not told in a form that we know")
        return
    if wanted not in {release.version for release in answers.manifests.releases}:
        yield unknown(
            f"{wanted} is not a release we know of",
            remedy="Bring a newer ferry, or the manifest of this update (FERRY_MANIFESTS).",
        )
        return
    yield _judged_path(answers.manifests, current, wanted, answers)


def _judged_path(
    manifests: Manifests, current: SolutionVersion, wanted: SolutionVersion, answers: Answers
) -> Said:
    try:
        path = manifests.path(str(current), str(wanted))
    except InputError as error:
        return unknown(str(error))
    if not path.is_supported:
        nearest = f"; the nearest that can be reached is {path.nearest}" if path.nearest else ""
        return critical(f"{path.reason}{nearest}")
    if not path.steps:
        return warns(path.reason, remedy="Nothing is left to be done for this update.")
    first = path.steps[0]
    is_carried = answers.medium is not None and any(
        item.version == first.version for item in answers.medium.zips
    )
    if len(path.steps) > 1:
        way = " → ".join(str(version) for version in (current, *(s.version for s in path.steps)))
        if is_carried:
            return passes(f"several updates are needed, the first is on the medium: {way}")
        return critical(f"several updates are needed: {way}; the first is not on the medium")
    says = f"from {current} to {wanted}: {first.text}"
    if not (first.importable or is_carried or _listed(answers)):
        return critical(
            f"{says} No solution bundle of it is known that could be carried",
            remedy="Carry a version that has one (`ferry catalog list`), or update the connected way.",
        )
    if first.opt_in:
        return warns(says, remedy=first.opt_in)
    return passes(says)


# --- SBE ----------------------------------------------------------------------------------------


def _sbe_installed(answers: Answers) -> Iterator[Said]:
    environment = _environment(answers)
    if environment is not None:
        yield _judged_sbe(environment, answers.sbe)
    for node in answers.nodes:
        if node.ready.registry.value is None:
            continue
        names = ("SBEInstalledContent", "SBEInstalledMetadata")
        there = [name for name in names if node.ready.setting(ENVIRONMENT, name)]
        if len(there) == 1:
            yield warns(f"of {' and '.join(names)} only {there[0]} is set", node.name)


def _judged_sbe(environment: UpdateEnvironment, wanted: SbeVersion | None) -> Said:
    version = SbeVersion.read(environment.current_sbe_version)
    words = dict(environment.additional).get("SBEAdditionalData", "")
    says = f"{environment.sbe_family or 'no family'}, version {environment.current_sbe_version or 'not told'}"
    if words and wanted is not None and (version is None or wanted >= version):
        return warns(f"{says}: {words}; {wanted} is to be started, which cures it")
    if words:
        return critical(f"{says}: {words}", remedy=_INSTALL_SBE)
    if version is None:
        return unknown(f"the version is {environment.current_sbe_version or 'not told'!r}")
    if version == NO_SBE:
        return passes(f"no SBE ({NO_SBE})")
    if version == UNINSTALLED_SBE:
        return warns(f"there, but never installed ({UNINSTALLED_SBE})")
    if not environment.sbe_family:
        return unknown(f"version {version}, but no family is told")
    return passes(says)


def _sbe_minimum(answers: Answers) -> Iterator[Said]:
    from toolkit.catalog import SbeMoment  # lower floor, loaded when it is asked for

    environment, current, wanted = _environment(answers), installed(answers), answers.version
    if environment is None or wanted is None:
        return
    if current is None:
        yield unknown("the installed version is not told in a form that we know")
        return
    try:
        published = answers.manifests.sbe_minimums(str(current), str(wanted))
    except InputError as error:
        yield unknown(str(error))
        return
    minimums = [minimum for minimum in published if minimum.names(environment.sbe_family)]
    found = SbeVersion.read(environment.current_sbe_version)
    if published and not environment.sbe_family and found != NO_SBE:
        yield unknown("minimums are published for this step, and the cluster tells no family")
        return
    carried = [item.sbe.version for item in answers.medium.sbes] if answers.medium else []
    for minimum in minimums:
        says = (
            f"{environment.sbe_family} needs {minimum.minimum} {minimum.when}; installed is "
            f"{environment.current_sbe_version or 'not told'}"
        )
        if found is None:
            yield unknown(says)
        elif found >= minimum.floor:
            yield passes(says)
        elif minimum.when is not SbeMoment.BEFORE and any(
            item >= minimum.floor for item in carried
        ):
            yield passes(f"{says}; the medium carries it")
        else:
            yield critical(says)
    if not minimums:
        yield passes("none is published for this step and family")


# --- what goes on -------------------------------------------------------------------------------


def _service_answers(answers: Answers) -> Iterator[Said]:
    updates = answers.cluster.ready.updates
    if updates.value is not None:
        yield passes(f"it lists {len(updates.value)} updates")
    elif "GatewayTimeout" in updates.why:
        yield critical(updates.why)
    else:
        yield unknown(updates.why)


def _none_running(answers: Answers) -> Iterator[Said]:
    updates, runs = answers.cluster.ready.updates.value, answers.cluster.ready.runs.value
    busy, strange = [], []
    for update in updates or ():
        says = f"{update.version} is {update.state_raw or 'in a state that is not told'}"
        if update.state_raw.endswith("ing") or update.state_raw in _BUSY:
            busy.append(says)
        elif update.state is UpdateState.UNRECOGNISED:
            strange.append(says)
    busy += [
        f"run {run.resource_id} is {run.state_raw}"
        for run in runs or ()
        if run.state is RunState.InProgress
    ]
    if busy:
        yield critical("; ".join(busy))
    elif strange:
        yield unknown("; ".join(strange))
    elif updates is not None and runs is not None:
        yield passes("none")


def _last_run(answers: Answers) -> Iterator[Said]:
    runs, updates = answers.cluster.ready.runs.value, answers.cluster.ready.updates.value
    has_failed = False
    newest = _newest_but_prepared(runs or (), updates or ())
    if newest is not None and newest.state is RunState.Failed:
        has_failed = True
        says = f"the newest run, {newest.resource_id}, is {newest.state_raw} since {_at(newest.updated_at)}"
        yield critical(says, subject=newest.update_id)
    for update in updates or ():
        if update.state_raw.endswith("Failed"):
            has_failed = True
            yield critical(f"{update.version} is {update.state_raw}", subject=update.resource_id)
    if has_failed:
        return
    if runs and runs[0].state in (RunState.UNRECOGNISED, RunState.Unknown):
        yield unknown(f"the newest run, {runs[0].resource_id}, is {runs[0].state_raw!r}")
    elif runs:
        yield passes(f"the newest run is {runs[0].state_raw}")
    elif runs is not None:
        yield passes("no run is remembered")


def _newest_but_prepared(
    runs: Sequence[RunSummary], updates: Sequence[Update]
) -> RunSummary | None:
    """Return the newest run, passing over what only prepared since: that hides no failure of another update."""
    waiting = (UpdateState.Ready, UpdateState.ReadyToInstall)
    prepared = {update.resource_id for update in updates if update.state in waiting}
    of_updates: dict[str, RunSummary] = {}
    for run in runs:
        of_updates.setdefault(run.update_id, run)
    return next(
        (
            run
            for run in of_updates.values()
            if run.state is not RunState.Succeeded or run.update_id not in prepared
        ),
        None,
    )


def _stuck(answers: Answers) -> Iterator[Said]:
    runs, updates = answers.cluster.ready.runs.value, answers.cluster.ready.updates.value or ()
    if runs is None:
        return
    now = time_there(answers)
    downloading = {item.resource_id for item in updates if item.state is UpdateState.Downloading}
    words, timeless = [], []
    for run in runs:
        if run.state is not RunState.InProgress:
            continue
        if run.updated_at is not None and now - run.updated_at > _STANDS_STILL:
            words.append(f"{run.resource_id} changed last {_at(run.updated_at)}")
        elif (
            run.update_id in downloading
            and run.started_at is not None
            and now - run.started_at > _DOWNLOADS
        ):
            words.append(f"{run.resource_id} is downloading since {_at(run.started_at)}")
        elif run.updated_at is None:
            timeless.append(run.resource_id)
    if words:
        yield critical("; ".join(words))
    if timeless:
        yield unknown(f"it is not told when these changed last: {', '.join(timeless)}")
    if not words and not timeless:
        yield passes("none")


def _half_done(answers: Answers) -> Iterator[Said]:
    environment = _environment(answers)
    if environment is None:
        return
    package = dict(environment.package_versions).get("Solution", "")
    says = f"{environment.current_version or 'no version'}, state {environment.state or 'not told'}"
    if environment.state == "NeedsAttention":
        yield warns("the cluster's state is NeedsAttention")
    elif package and package != environment.current_version:
        yield warns(f"the version is {environment.current_version}, of the packages {package}")
    elif not package:
        yield unknown(f"{says}; the version of the packages is not told")
    elif environment.state not in _STATES:
        yield unknown(says)
    else:
        yield passes(says)


def _cau_run(answers: Answers) -> Iterator[Said]:
    run = answers.cluster.ready.cau.value
    if run is None:
        return
    facts = [
        f"run {run.run_id}" if run.run_id else "",
        f"since {_at(run.started_at)}" if run.started_at else "",
        f"led by {run.orchestrator}" if run.orchestrator else "",
    ]
    says = ", ".join(filter(None, (run.state, *facts)))
    if run.state == "RunNotInProgress":
        yield passes(says)
    elif run.state == "RunInProgress":
        yield critical(says, remedy="Wait until it has ended; look at it with `ferry run watch`.")
    else:
        yield critical(f"{says}: the last run is locked, or failed")


def _markers(answers: Answers) -> Iterator[Said]:
    markers = answers.cluster.ready.markers.value or ()
    for marker in markers:
        yield critical(f"{marker.path}: {marker.text.strip()[:_SHOWN]}")
    if not markers:
        yield passes("none")


# --- health -------------------------------------------------------------------------------------


def _failures(checks: tuple[HealthCheck, ...]) -> Iterator[tuple[str, Said]]:
    """Yield (name, verdict) of every result that is no success."""
    for check in checks:
        name = check.name or check.title
        at = f" ({check.target})" if check.target else ""
        says = f"{name}{at}: {check.description or check.title or check.status}"
        remedy = check.remediation
        if check.status.upper() in ("SUCCESS", "SUCCEEDED"):
            continue
        if check.status.upper() not in ("FAILURE", "FAILED", "ERROR"):
            yield name, unknown(f"{says}; its status is {check.status!r}")
        elif check.severity.upper() == "CRITICAL":
            yield name, critical(says, remedy=remedy)
        elif check.severity.upper() == "WARNING":
            yield name, warns(says, remedy=remedy)
        elif check.severity.upper() != "INFORMATIONAL":
            yield name, unknown(f"{says}; it failed with severity {check.severity!r}")


def _health(answers: Answers) -> Iterator[Said]:
    environment = _environment(answers)
    if environment is None:
        return
    found = [said for _, said in _failures(environment.health_checks)]
    says = f"{len(environment.health_checks)} results"
    yield from found
    if not environment.health_checks:
        yield unknown(f"no result is told, and the health state is {environment.health_state!r}")
    elif not found and environment.health_state != "Success":
        yield unknown(
            f"{says}, none of them a warning; the health state is {environment.health_state!r}"
        )
    elif not found:
        yield passes(says)


def _health_files(answers: Answers) -> Iterator[Said]:
    files, environment = answers.cluster.ready.health_files.value, _environment(answers)
    if files is None or environment is None:
        return
    if not files:
        yield unknown("no results stand on the share")
        return
    known = {name for name, _ in _failures(environment.health_checks)}
    fine = True
    for file in files:
        if file.problem:
            yield unknown(f"{file.path.name}: {file.problem}")
            fine = False
        for name, said in _failures(file.checks):
            if name not in known:
                yield replace(said, evidence=f"{file.path.name}: {said.evidence}")
                fine = False
    newest = max(files, key=lambda file: file.written_at)
    says = f"{newest.path.name} was written {_at(newest.written_at)}"
    if time_there(answers) - newest.written_at > _OLD_RESULTS:
        yield warns(says)
    elif fine:
        yield passes(f"{says}, and says nothing else")


def _known_issues(answers: Answers) -> Iterator[Said]:
    from toolkit.catalog import Bearing, match_issues  # lower floor, loaded when it is asked for

    environment, current, wanted = _environment(answers), installed(answers), answers.version
    if environment is None or wanted is None:
        return
    if current is None:
        yield unknown("the installed version is not told in a form that we know")
        return
    failures = list(_failures(environment.health_checks))
    request = replace(
        new_request(answers.known.name, site_id="", origin=Origin.MEASURED, now=answers.at),
        solution_version=environment.current_version,
        sbe_family=environment.sbe_family,
        sbe_version=environment.current_sbe_version,
        sbe_state=sbe_state_of(environment.current_sbe_version),
        node_count=len(answers.known.nodes),
        health=HealthSummary(
            state=environment.health_state, failed_critical=tuple(name for name, _ in failures)
        ),
        updates=tuple(
            ListedUpdate(
                resource_id=update.resource_id,
                version=update.version,
                state=update.state_raw,
                package_type=update.package_type,
            )
            for update in answers.cluster.ready.updates.value or ()
        ),
    )
    matches = match_issues(answers.manifests.issues, request, [(current, wanted)])
    seen = [match for match in matches if match.bearing is Bearing.SEEN]
    for match in seen:
        yield warns(f"{match.title}: {match.why}", remedy=f"{match.mitigation} ({match.guide})")
    if not seen:
        titles = [match.title for match in matches if not match.is_general]
        yield passes("; ".join(titles) or "none is published for this step")


_ENVIRONMENT = of_cluster(lambda answers: answers.cluster.ready.environment)
_REGISTRY = of_nodes(lambda node: node.ready.registry)
_RUNS = of_cluster(
    lambda answers: answers.cluster.ready.runs, lambda answers: answers.cluster.ready.updates
)

CHECKS: tuple[Check, ...] = (
    Check(
        id=CheckId("infrastructure-space"),
        title="There is room for the update",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-ClusterSharedVolume", "Get-SolutionUpdate"),
        rule="Free on the infrastructure volume is less than three (23H2) or four (24H2) times the zip, less "
        "two of these once the update is imported (listed as `Local`), or where no medium brings it: critical; "
        "less than 1.2 times that: warning. It is listed without a size, and no medium brings it: unknown.",
        remedy="Free space on the infrastructure volume; what ferry left there of earlier imports: "
        "`ferry cluster clean`. Remove nothing of others.",
        source=f"update-via-powershell-23h2.md, {_SPACE}; the factors are inferred",
        confidence="inferred",
        needs=frozenset({"update"}),
        not_asked=_space_not_asked,
        rests_on=of_cluster(
            lambda answers: answers.cluster.ready.volumes,
            lambda answers: answers.cluster.ready.updates,
        ),
        judge=_space,
    ),
    Check(
        id=CheckId("import-root-length"),
        title="The import root leaves room for paths",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-ItemProperty",),
        rule="The longest path of the update has more than 259 characters (known of 12.x: 264) and long "
        "paths are off on a node: critical.",
        remedy="Switch long paths on for every node (group policy: Enable Win32 long paths), then check "
        "again.",
        source=_SPACE,
        confidence="inferred",
        needs=frozenset({"update"}),
        rests_on=of_nodes(lambda node: node.ready.registry),
        judge=_path_length,
    ),
    Check(
        id=CheckId("version-floor"),
        title="The installed version can import",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-SolutionUpdateEnvironment",),
        rule="The installed version is below the lowest one that can import: critical. It cannot be read: "
        "unknown.",
        remedy="The first update to 10.2411.3.2 needs the connected way; from there on media will do.",
        source="import-discover-updates-offline-23h2.md, release-information-23h2.md",
        confidence="confirmed",
        rests_on=_ENVIRONMENT,
        judge=_version_floor,
    ),
    Check(
        id=CheckId("update-path"),
        title="The wanted update is the next step",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-SolutionUpdateEnvironment",),
        rule="One supported step, or several of which the first is on the medium: pass. Several without the "
        "first, one that cannot be carried, no way, down, or recalled: critical. A step that must be asked for first, or one that is "
        "installed already: warning. A release that is not known here: unknown.",
        remedy="Carry the version that is named first: `ferry catalog plan` finds the way.",
        source="release-information-23h2.md, update-opt-enable.md, import-discover-updates-offline-23h2.md",
        confidence="confirmed",
        needs=frozenset({"update"}),
        rests_on=_ENVIRONMENT,
        judge=_update_path,
    ),
    Check(
        id=CheckId("sbe-installed"),
        title="The SBE is installed whole",
        about="readiness",
        reads=Reads.BOTH,
        asked=("Get-SolutionUpdateEnvironment", "Get-ItemProperty"),
        rule="The cluster says that it is partly installed: critical, but a warning where the same SBE or a newer one "
        "is to be started. 4.0.0.0 (never installed), or one of the "
        "variables SBEInstalledContent and SBEInstalledMetadata alone: warning. A version without a family, "
        "or none that can be read: unknown. 2.1.0.0: there is none, pass.",
        remedy="Install the same SBE or a newer one now, as the guide says.",
        source="solution-builder-extension.md, "
        "TSG/SolutionExtension/Solution-builder-extension-deploy-scenarios.md, "
        "TSG/EnvironmentValidator/Troubleshooting-SBEHealth-Test-Installed-SBE-Env-Vars.md",
        confidence="confirmed",
        rests_on=lambda answers: [*_ENVIRONMENT(answers), *_REGISTRY(answers)],
        judge=_sbe_installed,
    ),
    Check(
        id=CheckId("sbe-minimum"),
        title="The SBE is new enough for this step",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-SolutionUpdateEnvironment",),
        rule="The installed SBE is below the minimum that its vendor's family needs for the change to 24H2: "
        "critical, unless it may go with the update and the medium carries it. No family is told: unknown.",
        remedy="Install that SBE first: `ferry cluster import` brings one that the medium carries before the update, "
        "`ferry run start SBE…` installs it.",
        source="update-opt-enable.md",
        confidence="confirmed",
        needs=frozenset({"update"}),
        rests_on=_ENVIRONMENT,
        judge=_sbe_minimum,
    ),
    Check(
        id=CheckId("update-service-answers"),
        title="The update service answers",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-SolutionUpdate",),
        rule="The cmdlet fails with GatewayTimeout: critical. It fails otherwise: unknown.",
        remedy=f'Ask less often, and move the group "{UPDATE_SERVICE}" to another node '
        "(`Move-ClusterGroup`).",
        source=_GATEWAY,
        confidence="confirmed",
        rests_on=lambda _: (),
        judge=_service_answers,
    ),
    Check(
        id=CheckId("no-update-running"),
        title="No other update is in progress",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-SolutionUpdate", "Get-SolutionUpdateRun"),
        rule="An update is in a state that ends with `ing`, in ScanInProgress, or waits for another, or a run is "
        "`InProgress`: critical. An update is in a state that is not known: unknown.",
        remedy="Wait until it has ended: `ferry run watch`.",
        source="TSG/Update/OS-update-automatically-set-to-run-on-3rd-Tuesday-following-SBE-update.md",
        confidence="confirmed",
        rests_on=_RUNS,
        judge=_none_running,
    ),
    Check(
        id=CheckId("last-run"),
        title="The last run did not fail",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-SolutionUpdate", "Get-SolutionUpdateRun"),
        rule="The newest run is `Failed`, where those are passed over that only prepared another update since; or an "
        "update is in a state that ends with `Failed`: critical.",
        remedy="Collect the evidence (`ferry logs collect --cluster NAME --site DIR -o FILE`), analyse it (`ferry logs analyse "
        "FILE --site DIR`), cure the cause; `ferry run start` of the update that failed says how it goes on. Another update "
        "is started only after that, too, and with `--accept-warnings last-run`.",
        source="update-best-practices.md, update-troubleshooting-23h2.md",
        confidence="confirmed",
        rests_on=_RUNS,
        judge=_last_run,
    ),
    Check(
        id=CheckId("run-stuck"),
        title="No run stands still",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-SolutionUpdate", "Get-SolutionUpdateRun"),
        rule="A run in progress has not changed for 6 hours by the nodes' clock, or is downloading for more "
        "than 24 hours: critical. It is not told when it changed last: unknown.",
        remedy="Collect the evidence (`ferry logs collect --cluster NAME --site DIR -o FILE`), and look for an old action plan GetCauDeviceInfo "
        "as the guide says.",
        source=f"{_HUNG}; the hours are inferred",
        confidence="inferred",
        rests_on=_RUNS,
        judge=_stuck,
    ),
    Check(
        id=CheckId("run-half-done"),
        title="No version is half installed",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-SolutionUpdateEnvironment",),
        rule="The version of the packages is another than that of the cluster, or the cluster's state is "
        "`NeedsAttention`: warning. One of them is not told, or the state is not known: unknown.",
        remedy="Look at the last run (`ferry run show`) and end it before another begins.",
        source="update-via-powershell-23h2.md, Azure REST specification azurestackhci 2024-04-01",
        confidence="inferred",
        rests_on=_ENVIRONMENT,
        judge=_half_done,
    ),
    Check(
        id=CheckId("cau-run"),
        title="No CAU run is going on or locked",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-CauRun",),
        rule="`RunNotInProgress`: pass. `RunInProgress`, `RunFailed` or any other word: critical.",
        remedy="Collect the evidence first. A locked run is ended by Microsoft's support, or with them, by "
        "`Invoke-CauRun -ForceRecovery -Force`; ferry never sends it.",
        source="TSG/Update/Update-gets-stuck-with-ClearCorruptReports-CAU-error.md, "
        "TSG/SolutionExtension/SBE-CAU-RUNNING-AFTER-DONE-Single-node-fail-SBE-Update.md",
        confidence="confirmed",
        rests_on=of_cluster(lambda answers: answers.cluster.ready.cau),
        judge=_cau_run,
    ),
    Check(
        id=CheckId("cau-breadcrumbs"),
        title="No marker of a failed CAU run is left",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Test-Path", "Get-Content"),
        rule="caufailureinfo.txt is there, below CloudMedia of the infrastructure share: critical.",
        remedy="Cure what the first failed run failed with, then rename the file, and only then start again.",
        source=f"{_CANCELED} (SBE), {_CANCELED_HOST} (MsuHostUpdate)",
        confidence="confirmed",
        rests_on=of_cluster(lambda answers: answers.cluster.ready.markers),
        judge=_markers,
    ),
    Check(
        id=CheckId("health-checks"),
        title="No health check fails",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-SolutionUpdateEnvironment",),
        rule="A failed check is `CRITICAL`: critical; `WARNING`: warning (it stops the update too, unless "
        "warnings are ignored); `INFORMATIONAL`: pass. No result, a word that is not known, or nothing bad although the "
        "health state is not `Success`: unknown.",
        remedy="Do what the check itself says, then `Invoke-SolutionUpdatePrecheck -SystemHealth`.",
        source="update-phases-23h2.md, update-troubleshooting-23h2.md",
        confidence="confirmed",
        rests_on=_ENVIRONMENT,
        judge=_health,
    ),
    Check(
        id=CheckId("health-file"),
        title="The newest results on the share agree",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-ChildItem", "Get-Content", "Get-SolutionUpdateEnvironment"),
        rule="A check that failed there and not in the cluster's own answer: as `health-checks` says. The "
        "newest file is older than 48 hours: warning. None, or one that cannot be read: unknown.",
        remedy="Have the checks run anew (`Invoke-SolutionUpdatePrecheck -SystemHealth`), then check again.",
        source="TSG/EnvironmentValidator/Troubleshooting-Test-SystemDrive-Free-Space.md, "
        "update-troubleshooting-23h2.md (they run daily)",
        confidence="confirmed",
        rests_on=of_cluster(
            lambda answers: answers.cluster.ready.health_files,
            lambda answers: answers.cluster.ready.environment,
        ),
        judge=_health_files,
    ),
    Check(
        id=CheckId("known-issues"),
        title="No published problem waits on this step",
        about="readiness",
        reads=Reads.CLUSTER,
        asked=("Get-SolutionUpdateEnvironment", "Get-SolutionUpdate"),
        rule="What the cluster tells points to a known issue of this step: warning. Issues that only may fit "
        "are named, and pass.",
        remedy="Follow the guide before the update is started.",
        source="known-issues.md and the troubleshooting guides; each issue names its own",
        confidence="confirmed",
        needs=frozenset({"update"}),
        rests_on=of_cluster(
            lambda answers: answers.cluster.ready.environment,
            lambda answers: answers.cluster.ready.updates,
        ),
        judge=_known_issues,
    ),
)
