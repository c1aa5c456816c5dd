"""The world behind the cmdlets: cluster, nodes, updates and runs as plain data a test may edit.

Theory of operation. The cluster's clock runs with ours, and faster while an update run is going: a run
of hours takes `run_seconds` of real time, and the cluster's clock stays ahead by the difference. What a
run shows at any moment follows from its plan; states move along `TRANSITIONS` and nowhere else.

Source: update-phases-23h2.md and Azure REST specification azurestackhci 2024-04-01 (states).
"""

from __future__ import annotations

import dataclasses
import fnmatch
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from tests.simcluster.baddays import BadDays
from tests.simcluster.badruns import EMPTY_PLAN_WORDS, bend, empty_plan, finds_marker, leave_marker
from tests.simcluster.eventshapes import CHANNELS, EVENT_LOG, KERNEL, make_event
from tests.simcluster.evtx import Event, UInt
from tests.simcluster.filetree import FileTree
from tests.simcluster.journal import Journal
from tests.simcluster.open_files import OpenFiles
from tests.simcluster.outside import Outside
from tests.simcluster.readystate import ClusterReady, NodeReady
from tests.simcluster.settingsstate import ClusterSettings, NodeSettings
from tests.simcluster.sharedays import ShareDays
from tests.simcluster.steps import Step
from tests.simcluster.story import PREPARATION, Failure, Story, cau_run
from tests.simcluster.values import Value

SHARE = r"C:\ClusterStorage\Infrastructure_1\Shares\SU1_Infrastructure_1"
PACKAGES = SHARE + r"\Updates\Packages"

_NEXT_OS_BUILD = "26100.32522"
"""What an update installs that does not say it: the build that was published for 12.2603."""
_GB = 1 << 30
_RECOVERY = 499 << 20

TRANSITIONS: dict[str, frozenset[str]] = {
    "HasPrerequisite": frozenset({"Ready", "AdditionalContentRequired", "Obsolete"}),
    "AdditionalContentRequired": frozenset({"Ready", "HasPrerequisite", "Obsolete"}),
    "Ready": frozenset(
        {
            "Downloading",
            "Preparing",
            "NotApplicableBecauseAnotherUpdateIsInProgress",
            "Obsolete",
            "Recalled",
        }
    ),
    "NotApplicableBecauseAnotherUpdateIsInProgress": frozenset(
        {"Ready", "ReadyToInstall", "HasPrerequisite", "AdditionalContentRequired", "Obsolete"}
    ),
    "Downloading": frozenset({"Preparing", "DownloadFailed"}),
    "DownloadFailed": frozenset({"Downloading", "Preparing"}),
    "Preparing": frozenset({"HealthChecking", "PreparationFailed"}),
    "PreparationFailed": frozenset({"Downloading", "Preparing"}),
    "HealthChecking": frozenset({"ReadyToInstall", "Installing", "HealthCheckFailed"}),
    "HealthCheckFailed": frozenset({"Preparing", "HealthChecking"}),
    "ReadyToInstall": frozenset(
        {"Preparing", "HealthChecking", "NotApplicableBecauseAnotherUpdateIsInProgress", "Obsolete"}
    ),
    "Installing": frozenset({"Installed", "InstallationFailed"}),
    "InstallationFailed": frozenset({"Preparing", "HealthChecking", "Installing"}),
    "Installed": frozenset({"Obsolete"}),
    "Obsolete": frozenset(),
    "Recalled": frozenset(),
    "Invalid": frozenset(),
}
"""State → the states that may follow it."""

STARTABLE = frozenset(
    {
        "Ready",
        "ReadyToInstall",
        "DownloadFailed",
        "PreparationFailed",
        "HealthCheckFailed",
        "InstallationFailed",
    }
)
WORKING = frozenset({"Downloading", "Preparing", "HealthChecking", "Installing"})

EXTRA_CHANNELS = (
    "Application",
    "Security",
    "Setup",
    "AzStackHciEnvironmentChecker",
    "Microsoft-Windows-FailoverClustering/Operational",
    "Microsoft-Windows-WinRM/Operational",
)
"""Channels that exist on a node and stay empty here."""


class Clock:
    """The cluster's time: ours, or faster for a while; it never goes back."""

    def __init__(self, real: Callable[[], float] = time.time) -> None:
        self._real = real
        self._since_real_s = real()
        self._since = datetime.fromtimestamp(self._since_real_s, UTC)
        self.factor = 1.0

    def now(self) -> datetime:
        """Return the cluster's time."""
        return self._since + timedelta(seconds=(self._real() - self._since_real_s) * self.factor)

    def run_at(self, factor: float, since: datetime | None = None) -> None:
        """Go on `factor` times as fast as ours; `since`, if given, is when that began."""
        now = self.now()
        if since is not None and since < now:
            behind_s = (now - since).total_seconds() / self.factor
            now = since + timedelta(seconds=behind_s * factor)
        self._since, self._since_real_s, self.factor = now, self._real(), factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Space on a volume."""

    name: str
    """A drive letter, nothing for a volume without one, or the path of a cluster shared volume."""
    size_bytes: int
    free_bytes: int
    drive_type: str = "Fixed"
    file_system: str = "NTFS"


NODE_VOLUMES: tuple[Volume, ...] = (
    Volume(name="", size_bytes=_RECOVERY, free_bytes=_RECOVERY // 4),
    Volume(name="C", size_bytes=446 * _GB, free_bytes=388 * _GB),
)
"""A recovery partition without a letter, and the system drive."""
SHARED_VOLUMES: tuple[Volume, ...] = (
    Volume(
        name=r"C:\ClusterStorage\Infrastructure_1",
        size_bytes=252 * _GB,
        free_bytes=187 * _GB,
        file_system="CSVFS_ReFS",
    ),
    Volume(
        name=r"C:\ClusterStorage\UserStorage_1",
        size_bytes=4096 * _GB,
        free_bytes=2913 * _GB,
        file_system="CSVFS_ReFS",
    ),
)


@dataclass(slots=True, kw_only=True)
class Node:
    """One machine of the cluster."""

    name: str
    address: str
    drive: FileTree
    language_mode: str = "FullLanguage"
    clock_offset: timedelta = timedelta()
    """How much its clock is ahead of the cluster's."""
    is_up: bool = True
    volumes: list[Volume] = field(default_factory=lambda: list(NODE_VOLUMES))
    sku: str = "0A6B"
    """`SystemSKU` as its firmware says."""
    os_build: str = "26100.32370"
    """Build and revision of Windows: that of 12.2602.1002.501."""
    variables: dict[str, str] = field(default_factory=dict)
    """Environment variables of the machine, apart from the usual ones."""
    registry: dict[str, dict[str, Value]] = field(default_factory=dict)
    r"""Further keys and values, and others for the usual ones; keys in lower case: `hklm:\system\…`."""
    ready: NodeReady = field(default_factory=NodeReady)
    settings: NodeSettings = field(default_factory=NodeSettings)
    channels: dict[str, list[Event]] = field(default_factory=dict)
    """Event log channel → events, apart from those of the run that is going on."""


@dataclass(slots=True, kw_only=True)
class HealthCheck:
    """One health check result."""

    name: str
    title: str
    status: str = "SUCCESS"
    severity: str = "INFORMATIONAL"
    description: str = ""
    remediation: str = ""
    target: str = ""
    detail: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether the check found something."""
        return self.status != "SUCCESS"


@dataclass(slots=True, kw_only=True)
class SolutionUpdate:
    """One row of Get-SolutionUpdate."""

    resource_id: str
    version: str
    package_type: str = "Solution"
    display_name: str
    state: str
    sbe_version: str = ""
    publisher: str = "Microsoft"
    description: str = ""
    min_version_required: str = ""
    min_sbe_version_required: str = ""
    package_path: str = ""
    package_size_in_mb: int = 1024
    availability_type: str = "Local"
    reboot_required: str = "Unknown"
    health_state: str = "Unknown"
    os_build: str = ""
    installed_at: datetime | None = None
    notify_message: str = ""
    validated_for: tuple[str, ...] = ()
    """Solution versions that an SBE may be installed on, as patterns; empty: every one."""
    additional_properties: dict[str, str] = field(default_factory=dict)

    def move(self, state: str) -> None:
        """Go to another state.

        Raises:
            ValueError: The table knows no such transition.
        """
        if state == self.state:
            return
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"{self.resource_id}: no transition {self.state} -> {state}")
        self.state = state


@dataclass(slots=True, kw_only=True)
class UpdateRun:
    """One start of an update, and how it will go."""

    resource_id: str
    update: SolutionUpdate
    plan: Step
    outcome: str
    """State of the update at the end of the plan."""
    story: Story | None = None
    """The CAU run inside; None: it never gets that far."""
    stands_still_at: datetime | None = None
    """From then on nothing moves any more; None: it goes to its end."""
    is_over: bool = False
    is_told: bool = False
    """Whether nothing more will be heard of its CAU run."""

    def moment(self, now: datetime) -> datetime:
        """Return how far the run has come by now."""
        return now if self.stands_still_at is None else min(now, self.stands_still_at)

    @property
    def state(self) -> str:
        """The run's own state."""
        if not self.is_over:
            return "InProgress"
        return "Failed" if self.outcome.endswith("Failed") else "Succeeded"


class StartRefusedError(Exception):
    """Start-SolutionUpdate says no, in these words."""


@dataclass(slots=True, kw_only=True)
class World:
    """One simulated cluster."""

    name: str
    nodes: list[Node]
    journal: Journal
    domain: str = "cluster.example"
    current_version: str = "12.2602.1002.501"
    manufacturer: str = "Contoso"
    sbe_family: str = "GenA"
    current_sbe_version: str = "4.2.2512.1616"
    hardware_model: str = "Contoso680"
    sbe_remark: str = ""
    """What `AdditionalData` says about the installed SBE."""
    shared_volumes: list[Volume] = field(default_factory=lambda: list(SHARED_VOLUMES))
    sbe_discovery: str = "ConnectionFailure"
    """`SbeManifestResult.Status`."""
    reachable: set[str] = field(default_factory=set)
    """Addresses outside that the nodes reach, as `host:port`."""
    resolvable: set[str] = field(default_factory=set)
    """Further hosts whose names have addresses, which a firewall blocks."""
    name_service_answers: bool = True
    required_sbe_version: str | None = None
    """Imported solution updates ask for this SBE first (`AdditionalContentRequired`)."""
    discovery_polls: int = 2
    """Get-SolutionUpdate calls before an added update is listed."""
    run_seconds: float | None = 20.0
    """How long a whole update run takes in real time; None: as long as on a real cluster."""
    failing_node: str | None = None
    failure: Failure = "installer-blocked"
    is_other_update_running: bool = False
    refuse_add: Callable[[], str | None] = lambda: None
    """Asked at each Add-SolutionUpdate; words make it refuse."""
    health_checks: list[HealthCheck] = field(default_factory=list)
    updates: list[SolutionUpdate] = field(default_factory=list)
    runs: list[UpdateRun] = field(default_factory=list)
    reports: list[dict[str, object]] = field(default_factory=list)
    """CAU reports in the form `Get-CauReport -Detailed | ConvertTo-Json` prints them."""
    ready: ClusterReady = field(default_factory=ClusterReady)
    settings: ClusterSettings = field(default_factory=ClusterSettings)
    outside: Outside = field(default_factory=Outside)
    bad_days: BadDays = field(default_factory=BadDays)
    share_days: ShareDays = field(default_factory=ShareDays)
    open_files: OpenFiles = field(default_factory=OpenFiles)
    clock: Clock = field(default_factory=Clock)
    lock: threading.RLock = field(default_factory=threading.RLock)
    last_updated: datetime | None = None
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _undiscovered: list[tuple[SolutionUpdate, int]] = field(default_factory=list)

    # --- time ----------------------------------------------------------------------------------

    def node_time(self, node: Node) -> datetime:
        """Return what a node's own clock shows."""
        return self.clock.now() + node.clock_offset

    def advance(self) -> None:
        """Let everything happen that was due by now."""
        with self.lock:
            run = self.active_run
            if run is not None:
                self._advance(run)
            for story_run in self._untold():
                self._tell(story_run)
            for update in self.updates:
                self._settle(update)

    def _advance(self, run: UpdateRun) -> None:
        now = run.moment(self.clock.now())
        for state, begins_at in _phases(run.plan):
            if begins_at <= now and _may_reach(run.update.state, state):
                run.update.move(state)
        if now < run.plan.end:
            return
        run.update.move(run.outcome)
        run.is_over = True
        self.clock.run_at(1.0, since=run.plan.end)
        if run.outcome == "Installed":
            self._install(run)
        else:
            leave_marker(self, run)

    def _untold(self) -> list[UpdateRun]:
        """Return the runs whose CAU run has more to tell."""
        return [run for run in self.runs if run.story is not None and not run.is_told]

    def _tell(self, run: UpdateRun) -> None:
        """Publish the CAU report when it is there; when all is over, keep the events on the nodes."""
        story, now = run.story, run.moment(self.clock.now())
        if story is None or now < story.run_ended_at:
            return
        if story.report is not None and story.report not in self.reports:
            self.reports.append(story.report)
        if run.is_over:
            run.is_told = True
            for node in self.nodes:
                for channel, events in story.events[node.name].items():
                    node.channels.setdefault(channel, []).extend(events)

    def cau_story(self) -> Story | None:
        """Return the CAU run that is going on, if any; it may outlive its update run."""
        now = self.clock.now()
        for run in self._untold():
            story, moment = run.story, run.moment(now)
            if story is not None and story.run_began_at <= moment < story.run_ended_at:
                return story
        return None

    def _install(self, run: UpdateRun) -> None:
        update = run.update
        update.installed_at = self.last_updated = run.plan.end
        if update.package_type == "SBE":
            self.current_sbe_version = update.sbe_version
        else:
            self.current_version = update.version
            for node in self.nodes:
                node.os_build = update.os_build or _NEXT_OS_BUILD

    @property
    def active_run(self) -> UpdateRun | None:
        """The run that is going on, if any."""
        return next((run for run in self.runs if not run.is_over), None)

    # --- the update service --------------------------------------------------------------------

    def add(self, update: SolutionUpdate) -> None:
        """Take an update whose package stands in its folder; it is listed after some polls."""
        with self.lock:
            self._undiscovered.append((update, self.discovery_polls))

    def knows(self, resource_id: str) -> bool:
        """Whether an update was added already, listed or not."""
        pending = (update for update, _ in self._undiscovered)
        return any(known.resource_id == resource_id for known in (*self.updates, *pending))

    def list_updates(self) -> list[SolutionUpdate]:
        """Return what is listed now. Asking also drives the discovery."""
        with self.lock:
            waiting, self._undiscovered = self._undiscovered, []
            for update, polls in waiting:
                if polls > 0:
                    self._undiscovered.append((update, polls - 1))
                else:
                    update.state = self._resting_state(update)  # its first; nothing led to it
                    self.updates.append(update)
            self.advance()
            return [update for update in self.updates if not self._is_hidden(update)]

    def _is_hidden(self, update: SolutionUpdate) -> bool:
        """Whether an added SBE that is not the one asked for leaves this update without a valid match."""
        if self.outside.lists_although_hidden:
            return False
        return update.state == "AdditionalContentRequired" and any(
            _is_sbe(other) and other.state != "Installed" for other in self.updates
        )

    def _settle(self, update: SolutionUpdate) -> None:
        """Let a listed update's state follow from the rest of the world."""
        if update.state not in {
            "Ready",
            "HasPrerequisite",
            "AdditionalContentRequired",
            "NotApplicableBecauseAnotherUpdateIsInProgress",
        }:
            return
        update.move(self._resting_state(update))

    def _resting_state(self, update: SolutionUpdate) -> str:
        busy = self.active_run is not None or self.is_other_update_running
        if _is_sbe(update) and not (self._is_fitting(update) and self._is_validated(update)):
            return "HasPrerequisite"
        if update.package_type == "Solution" and version_key(update.version) <= version_key(
            self.current_version
        ):
            return "Obsolete"
        if update.package_type == "Solution" and version_key(
            update.min_version_required or "0"
        ) > version_key(self.current_version):
            return "HasPrerequisite"
        if (
            update.package_type == "Solution"
            and self.required_sbe_version
            and not self._has_sbe(self.required_sbe_version)
        ):
            update.sbe_version = self.required_sbe_version
            update.additional_properties |= {
                "SBEFamily": self.sbe_family,
                "SBEPublisher": self.manufacturer,
            }
            update.notify_message = (
                f"Solution Builder Extension {self.required_sbe_version} of {self.manufacturer} is "
                "needed; add its three files."
            )
            return "AdditionalContentRequired"
        return "NotApplicableBecauseAnotherUpdateIsInProgress" if busy else "Ready"

    def _has_sbe(self, version: str) -> bool:
        added = (u.sbe_version for u in self.updates if _is_sbe(u) and self._is_fitting(u))
        return any(
            version_key(one) >= version_key(version) for one in (self.current_sbe_version, *added)
        )

    def _is_fitting(self, sbe: SolutionUpdate) -> bool:
        """Whether an SBE is of this system's family and not older than the installed one."""
        family = sbe.additional_properties.get("SBEFamily", "")
        return family.lower() == self.sbe_family.lower() and version_key(
            sbe.sbe_version
        ) >= version_key(self.current_sbe_version)

    def _is_validated(self, sbe: SolutionUpdate) -> bool:
        """Whether an SBE may be installed on the version that runs.

        Source: Update-missing-after-importing-SBE.md, scenarios A and B.
        """
        return not sbe.validated_for or any(
            fnmatch.fnmatchcase(self.current_version, pattern) for pattern in sbe.validated_for
        )

    def start(
        self, update: SolutionUpdate, *, is_prepare_only: bool, ignores_warnings: bool = False
    ) -> UpdateRun:
        """Start an update.

        Raises:
            StartRefusedError: Its state, or another run, forbids that.
        """
        with self.lock:
            self.advance()
            if self.active_run is not None or self.is_other_update_running:
                raise StartRefusedError(
                    f"Update {update.resource_id} cannot be started because another update is in "
                    "progress."
                )
            if update.state not in STARTABLE:
                raise StartRefusedError(
                    f"Update {update.resource_id} cannot be started in state {update.state}."
                )
            run = self._plan(update, is_prepare_only, ignores_warnings)
            self.runs.append(run)
            if self.run_seconds is not None:
                whole = self._story(update).ended_at - self._story(update).started_at
                self.clock.run_at(max(1.0, whole.total_seconds() / max(self.run_seconds, 0.05)))
            self.advance()
            return run

    def _story(self, update: SolutionUpdate) -> Story:
        return cau_run(
            cluster=self.name,
            nodes=[node.name for node in self.nodes],
            started_at=self.clock.now() + PREPARATION,
            run_id=uuid4(),
            failing_node=self.failing_node,
            failure=self.failure,
            domain=self.domain,
            os_build=update.os_build or _NEXT_OS_BUILD,
            clock_offsets={node.name: node.clock_offset for node in self.nodes},
            is_cancelled=finds_marker(self, update),
        )

    def _plan(
        self, update: SolutionUpdate, is_prepare_only: bool, ignores_warnings: bool
    ) -> UpdateRun:
        story = self._story(update)
        resource_id = f"{update.resource_id}/{uuid4()}"
        if self.bad_days.empty_resume and update.state.endswith("Failed"):
            self.bad_days.action_plan_words[resource_id] = EMPTY_PLAN_WORDS
            plan = empty_plan(self.clock.now())
            return UpdateRun(
                resource_id=resource_id, update=update, plan=plan, outcome=update.state
            )
        blocking = next((c for c in self.health_checks if _blocks(c, ignores_warnings)), None)
        if blocking is not None or is_prepare_only:
            plan = _preparation(story.plan, blocking)
            outcome = "HealthCheckFailed" if blocking else "ReadyToInstall"
            return UpdateRun(resource_id=resource_id, update=update, plan=plan, outcome=outcome)
        outcome = "Installed" if story.state == "Succeeded" else "InstallationFailed"
        run = UpdateRun(
            resource_id=resource_id, update=update, plan=story.plan, outcome=outcome, story=story
        )
        return bend(self, run)

    # --- events --------------------------------------------------------------------------------

    def events(self, node: Node, channel: str) -> list[Event] | None:
        """Return a channel's events up to now, oldest first; None: there is no such channel."""
        self.advance()
        with self.lock:
            name = next((c for c in node.channels if c.lower() == channel.lower()), None)
            if name is None:
                return None
            events = list(node.channels[name])
            for run in self._untold():
                if run.story is not None:
                    story = run.story.until(run.moment(self.clock.now()))
                    events += story.events[node.name].get(name, [])
        return [
            dataclasses.replace(event, record_id=number)
            for number, event in enumerate(events, start=1)
        ]


def first_events(node: Node, domain: str, booted_at: datetime) -> dict[str, list[Event]]:
    """Return the channels of a node that was started once and has been quiet since."""
    computer = f"{node.name}.{domain}"
    shapes: list[tuple[str, int, tuple[object, ...]]] = [
        (EVENT_LOG, 6009, ("10.00.", "26100", "", "Multiprocessor Free", "0")),
        (EVENT_LOG, 6005, ("",)),
        (KERNEL, 12, (*map(UInt, (10, 0, 26100, 32370, 0, 0)), booted_at)),
    ]
    channels: dict[str, list[Event]] = {name: [] for name in (*CHANNELS, *EXTRA_CHANNELS)}
    channels["System"] = [
        make_event(provider, event_id, *values, time=booted_at, computer=computer, record_id=number)
        for number, (provider, event_id, values) in enumerate(shapes, start=1)
    ]
    return channels


def version_key(version: str) -> tuple[int, ...]:
    """Return a dotted version as numbers, for comparing."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def run_uuid(run: UpdateRun) -> UUID:
    """Return the last segment of a run's resource id: the id of its action plan instance."""
    return UUID(run.resource_id.rpartition("/")[2])


def packages_folder(node: Node) -> Path:
    """Return where the update service of this cluster keeps its packages."""
    return node.drive.resolve(PACKAGES)


def _is_sbe(update: SolutionUpdate) -> bool:
    return update.package_type == "SBE"


def _blocks(check: HealthCheck, ignores_warnings: bool) -> bool:
    severity = check.severity.upper()
    return check.has_failed and (
        severity == "CRITICAL" or (severity == "WARNING" and not ignores_warnings)
    )


def _may_reach(state: str, wanted: str) -> bool:
    return state != wanted and wanted in TRANSITIONS[state]


def _phases(plan: Step) -> list[tuple[str, datetime]]:
    """Return the states a run passes through and when each begins."""
    begins: dict[str, datetime] = {}
    for step in plan.steps:
        state = {
            "Downloading update": "Preparing",
            "Preparing update": "Preparing",
            "Checking health.": "HealthChecking",
        }.get(step.name, "Installing")
        begins.setdefault(state, step.start)
    return list(begins.items())


def _preparation(plan: Step, blocking: HealthCheck | None) -> Step:
    """Return the part of a plan that ends with the health checks."""
    *steps, check = [step for step in plan.steps if step.name in _PREPARATION_STEPS]
    error = "" if blocking is None else f"{blocking.title}: {blocking.description}"
    status = "Success" if blocking is None else "Error"
    check = dataclasses.replace(check, status=status, error=error)
    return dataclasses.replace(plan, end=check.end, status=status, error="", steps=(*steps, check))


_PREPARATION_STEPS = frozenset({"Downloading update", "Preparing update", "Checking health."})
