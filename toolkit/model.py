"""The nouns of the crossing: frozen values, enumerations, and nothing that does I/O.

Every boundary hands over one of these. Names follow `docs/glossary.md`; cmdlet and state names keep
Microsoft's spelling. Values we do not know are kept (`raw` fields), never dropped and never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import total_ordering
from pathlib import Path
from typing import Generic, NewType, Protocol, TypeVar

Sha256 = NewType("Sha256", str)
"""A SHA-256 digest as 64 lower-case hex digits."""

TargetName = NewType("TargetName", str)
"""A payload's name on a medium, as listed by the signed targets metadata."""

ResourceId = NewType("ResourceId", str)
"""An update's or update run's id as the cluster prints it: `redmond/Solution12.2603.1002.15`."""

T = TypeVar("T")

Plain = None | bool | int | float | str | bytes | list["Plain"] | dict[str, "Plain"]
"""What a node's reply is made of once the wire types are gone; enumerations arrive as their name."""


def human_size(size_bytes: int) -> str:
    """Return a size as people say it: `1.3 GiB`."""
    amount = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


# --- progress -----------------------------------------------------------------------------------


class Progress(Protocol):
    """Where long work reports to. The command line draws it; tests and libraries ignore it."""

    def begin(self, what: str, *, total_bytes: int | None) -> None:
        """Start one measured step; `total_bytes` is None when unknown."""

    def advance(self, count_bytes: int) -> None:
        """Report bytes done since the last call, in the step begun last."""

    def end(self) -> None:
        """End the step begun last."""

    def say(self, message: str) -> None:
        """Report one finished step or notice as a line of its own."""


class Silent:
    """A `Progress` that shows nothing."""

    def begin(self, what: str, *, total_bytes: int | None) -> None:
        """Show nothing."""

    def advance(self, count_bytes: int) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""

    def say(self, message: str) -> None:
        """Show nothing."""


# --- versions -----------------------------------------------------------------------------------


class OsTrain(StrEnum):
    """The operating system a solution release runs on (23H2 = 25398.x, 24H2 = 26100.x)."""

    H23 = "23H2"
    H24 = "24H2"


@total_ordering
@dataclass(frozen=True, slots=True)
class SolutionVersion:
    """A solution version `P.YYMM.T.B`, ordered by OS train first, then `(YYMM, T, B)`.

    Plain tuple order is not an age order across `P`: `11.2510.1002.93` is newer content than
    `12.2505.1001.23` but belongs to the older operating-system train.

    Source: release-information-23h2.md (all published values; the meaning of `P`).
    """

    product: int
    release: int
    train: int
    build: int

    _PATTERN = re.compile(
        r"(?:[A-Za-z0-9_.-]+/)?(?:Solution)?(10|11|12)\.(\d{4})\.(\d{1,4})\.(\d{1,4})\Z",
        re.IGNORECASE | re.ASCII,
    )

    @classmethod
    def parse(cls, text: str) -> SolutionVersion:
        """Read a full version, with or without `Solution` and a stamp name before it.

        Raises:
            ValueError: Not a full solution version. (Short forms such as `2505` need the catalog.)
        """
        found = cls._PATTERN.match(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is not a solution version of the form 12.2603.1002.15")
        product, release, train, build = map(int, found.groups())
        if not 1 <= release % 100 <= 12:
            raise ValueError(f"{text!r}: {release:04} is not a year and month (YYMM)")
        return cls(product, release, train, build)

    @property
    def os_train(self) -> OsTrain:
        """The operating-system train: 10.x and 11.x run 23H2, 12.x runs 24H2."""
        return OsTrain.H24 if self.product == 12 else OsTrain.H23

    @property
    def order(self) -> tuple[str, int, int, int, int]:
        """Sort key: train, then release, feature train, build; `product` last parts 10.x twins."""
        return (self.os_train.value, self.release, self.train, self.build, self.product)

    def __lt__(self, other: SolutionVersion) -> bool:
        """Order by `order`."""
        return self.order < other.order

    def __str__(self) -> str:
        """Return the published spelling."""
        return f"{self.product}.{self.release:04}.{self.train}.{self.build}"


# --- catalog ------------------------------------------------------------------------------------


class BundleStatus(StrEnum):
    """What the publisher says of a solution bundle today."""

    LISTED = "listed"
    SUPERSEDED = "superseded"
    RECALLED = "recalled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """One published statement about a payload's SHA-256: advisory, and sometimes wrong."""

    value: str
    """As published (any length; lower-cased by the manifest reader)."""
    source: str
    """Where it was read: repository, path and commit, or page and date."""
    seen_on: date
    """The date of that revision."""
    comment: str = ""

    @property
    def is_wellformed(self) -> bool:
        """Whether it can be a SHA-256 at all: 64 hex digits."""
        return re.fullmatch(r"[0-9a-f]{64}", self.value) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A person knew every hash published up to a day and chose the pinned one."""

    on: date
    by: str
    why: str


class StatementKind(StrEnum):
    """What kind of witness speaks about a file."""

    PUBLISHED_HASH = "published-hash"
    """The publisher's page or our manifest names its SHA-256."""
    PACKAGE_HASH = "package-hash"
    """The vendor's discovery manifest names its hash."""
    SIGNATURE = "signature"
    """A signature inside the file, or over it."""
    COLLEAGUE = "colleague"
    """A signed catalog of somebody we know."""
    MEASUREMENT = "measurement"
    """Our own earlier measurement."""
    SIZE = "size"
    """The length that a server or manifest announced."""
    STRUCTURE = "structure"
    """What the file itself holds: zip directory, CRCs, XML that agrees with its neighbours."""


class Stance(StrEnum):
    """What a witness says of the file."""

    FOR = "for"
    AGAINST = "against"
    SILENT = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one witness says about one file."""

    kind: StatementKind
    stance: Stance
    text: str
    """What was said, in words."""
    source: str = ""
    """Who said it: page, address, key."""
    seen_on: date | None = None


class FileVerdict(StrEnum):
    """What the witnesses together say of a file."""

    PROVEN = "proven"
    HASH_IMPOSSIBLE = "file good, published hash impossible"
    BAD = "file bad"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict on a file, and what it rests on."""

    verdict: FileVerdict
    reasons: tuple[str, ...]
    """Why, the weightiest first; what the operator reads."""
    statements: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Somebody answers with their name for a file that its witnesses do not prove."""

    by: str
    reason: str
    at: datetime


class PayloadKind(StrEnum):
    """What a payload is for."""

    SOLUTION_BUNDLE = "solution-bundle"
    """`CombinedSolutionBundle.<version>.zip`."""
    SBE = "sbe"
    """One of the three files of a Solution Builder Extension."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One published file of an update, and what was published about it."""

    name: str
    kind: PayloadKind
    url: str
    witnesses: tuple[Witness, ...]
    sha256: Sha256 | None
    """The hash we pin from the witnesses (reviewed by a person); None if none can be believed."""
    size_bytes: int | None = None
    decided: Decision | None = None
    """Why it is the pinned hash although others were published; one published later reopens it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Our reviewed text that declares one solution bundle."""

    version: SolutionVersion
    os_build: str
    available_on: date
    status: BundleStatus
    payloads: tuple[Payload, ...]
    applies_from: str = ""
    supersedes: tuple[str, ...] = ()
    superseded_by: str = ""
    notes: str = ""
    sources: tuple[tuple[str, str], ...] = ()
    """(key, where its value was read) for every value above but the notes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPayload:
    """A payload the catalog holds, as measured and judged."""

    version: SolutionVersion | None
    """The solution bundle it belongs to; None: an SBE file on a shelf of its own."""
    shelf: str
    """Where the catalog keeps it: `12.2603.1002.15` or `sbe/Dell_AX-16G_4.2.2506.1600`."""
    name: str
    kind: PayloadKind
    url: str
    path: Path
    """The file with these bytes, named by its digest."""
    size_bytes: int
    sha256: Sha256
    witnesses: tuple[Witness, ...]
    judgement: Judgement
    acceptance: Acceptance | None = None
    os_build: str = ""
    """The OS build of that solution bundle, where its manifest was at hand."""

    @property
    def is_fit_to_travel(self) -> bool:
        """Whether it may be written to a medium: proven, or unproven with a person's name under it."""
        verdict = self.judgement.verdict
        return verdict is FileVerdict.PROVEN or (
            verdict is FileVerdict.UNPROVEN and self.acceptance is not None
        )


# --- medium -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One target of a medium: what the signed metadata says of a payload."""

    name: TargetName
    size_bytes: int
    sha256: Sha256
    kind: PayloadKind
    version: SolutionVersion
    url: str = ""


# --- site, cluster, node ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A user name and password. Its repr shows neither."""

    username: str = field(repr=False)
    password: str = field(repr=False)


class Transport(StrEnum):
    """How WinRM is spoken: 5986 with a checked certificate, or 5985 with message encryption."""

    HTTPS = "https"
    HTTP = "http"


class Road(StrEnum):
    """How the bytes of a file get to a node."""

    SMB = "smb"
    WINRM = "winrm"
    """As parameters of commands, where the port of SMB is closed: slow."""


class AuthMethod(StrEnum):
    """How a node is asked to accept us; names as pypsrp takes them."""

    NEGOTIATE = "negotiate"
    NTLM = "ntlm"
    KERBEROS = "kerberos"
    CREDSSP = "credssp"
    BASIC = "basic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine of a cluster, and how to reach it."""

    name: str
    address: str
    """Host name or IP address to connect to."""
    transport: Transport = Transport.HTTPS
    winrm_port: int | None = None
    """None: 5986 for HTTPS, 5985 for HTTP."""
    smb_port: int = 445
    auth: AuthMethod = AuthMethod.NEGOTIATE
    ca_file: str | None = None
    """PEM file that the node's certificate must chain to; None: the operating system's store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCluster:
    """A cluster as the site knows it."""

    name: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Cmdlet:
    """One stage of a pipeline: a cmdlet (or in-box program) and its parameters.

    A parameter with the name None is positional; the value None marks a switch.
    """

    name: str
    parameters: tuple[tuple[str | None, Plain], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[T]):
    """One typed request to a node: a pipeline of cmdlets, and how to read what comes back.

    Values travel as parameters and are never pasted into script text.
    """

    pipeline: tuple[Cmdlet, ...]
    parse: Callable[[tuple[Plain, ...]], T]
    """Raises `InputError` for a reply it cannot understand."""
    timeout_s: float = 120.0
    changes_cluster: bool = False
    """True: never sent again unless the state was asked for in between."""

    @property
    def name(self) -> str:
        """The cmdlets in order, for logs and errors; no parameter value is shown."""
        return " | ".join(stage.name for stage in self.pipeline)


# --- what the cluster says ----------------------------------------------------------------------


class UpdateState(StrEnum):
    """`State` of a solution update. Unknown values keep their text in `Update.state_raw`.

    Source: Azure REST specification, azurestackhci 2024-04-01, updates.json.
    """

    HasPrerequisite = "HasPrerequisite"
    Obsolete = "Obsolete"
    Ready = "Ready"
    NotApplicableBecauseAnotherUpdateIsInProgress = "NotApplicableBecauseAnotherUpdateIsInProgress"
    AdditionalContentRequired = "AdditionalContentRequired"
    Downloading = "Downloading"
    DownloadFailed = "DownloadFailed"
    Preparing = "Preparing"
    PreparationFailed = "PreparationFailed"
    ScanInProgress = "ScanInProgress"
    ScanFailed = "ScanFailed"
    HealthChecking = "HealthChecking"
    HealthCheckFailed = "HealthCheckFailed"
    ReadyToInstall = "ReadyToInstall"
    Installing = "Installing"
    Installed = "Installed"
    InstallationFailed = "InstallationFailed"
    Invalid = "Invalid"
    Recalled = "Recalled"
    UNRECOGNISED = "(unrecognised)"

    @classmethod
    def _missing_(cls, value: object) -> UpdateState:
        return cls.UNRECOGNISED


class RunState(StrEnum):
    """`State` of an update run. Source: Azure REST specification, updateRuns.json."""

    Unknown = "Unknown"
    Succeeded = "Succeeded"
    InProgress = "InProgress"
    Failed = "Failed"
    UNRECOGNISED = "(unrecognised)"

    @classmethod
    def _missing_(cls, value: object) -> RunState:
        return cls.UNRECOGNISED


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """One health check result (`HealthCheckResult`), as the node words it."""

    name: str
    title: str = ""
    status: str
    severity: str
    description: str = ""
    remediation: str = ""
    target: str = ""
    detail: str = ""
    timestamp: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateEnvironment:
    """What `Get-SolutionUpdateEnvironment` says of the cluster."""

    current_version: str
    current_sbe_version: str
    state: str
    health_state: str
    hardware_model: str = ""
    sbe_family: str = ""
    package_versions: tuple[tuple[str, str], ...] = ()
    health_checks: tuple[HealthCheck, ...] = ()
    additional: tuple[tuple[str, str], ...] = ()
    """`AdditionalData`: (`SBEAdditionalData`, "… is partially installed …")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One row of `Get-SolutionUpdate`."""

    resource_id: ResourceId
    version: str
    display_name: str
    state: UpdateState
    state_raw: str
    package_type: str = ""
    sbe_version: str = ""
    availability_type: str = ""
    health_state: str = ""
    reboot_required: str = ""
    progress_text: str = ""
    """`UpdateStateProperties` as text: "80% complete."."""
    package_path: str = ""
    package_size_bytes: int | None = None
    """None: the cluster does not tell it."""
    prerequisites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of an update run; steps nest without a documented limit."""

    name: str
    description: str = ""
    status: str
    """`Success`, `Error`, `InProgress` …, as sent."""
    error_message: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    expected: timedelta | None = None
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRun:
    """One row of `Get-SolutionUpdateRun` with its step tree."""

    resource_id: ResourceId
    state: RunState
    state_raw: str
    started_at: datetime | None
    updated_at: datetime | None
    progress: Step | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One row of `Get-SolutionUpdateRun` without its step tree."""

    resource_id: ResourceId
    update_id: ResourceId
    """The update it belongs to."""
    state: RunState
    state_raw: str
    started_at: datetime | None
    updated_at: datetime | None
    is_preparation: bool | None
    """Whether it only prepares; None: that cannot be told."""
    took: timedelta | None = None
    """As the cluster counts it; None: it does not tell."""

    @property
    def duration(self) -> timedelta | None:
        """From its beginning to its last change, which may be told in different zones: so what it took counts first.

        None where that is not told, and the times are missing or cannot be compared.
        """
        if self.took is not None:
            return self.took
        if self.started_at is None or self.updated_at is None or self.updated_at < self.started_at:
            return None
        return self.updated_at - self.started_at


# --- evidence -----------------------------------------------------------------------------------


class Source(StrEnum):
    """The named pieces of evidence a log bundle can hold. `cluster` and `analysis` share only these."""

    CAU_EVTX = "cau.evtx"
    """`Microsoft-Windows-ClusterAwareUpdating/Admin`, exported on every node."""
    CAU_XML = "cau.xml"
    """The same channel as rendered XML (`wevtutil qe /f:RenderedXml`), one `Event` after another."""
    CAU_MANAGEMENT_EVTX = "cau-management.evtx"
    """`Microsoft-Windows-ClusterAwareUpdating-Management/Admin`."""
    CAU_MANAGEMENT_XML = "cau-management.xml"
    SYSTEM_EVTX = "system.evtx"
    """`System`, within the time window."""
    WINDOWS_UPDATE_EVTX = "windows-update.evtx"
    """`Microsoft-Windows-WindowsUpdateClient/Operational`, within the time window."""
    CAU_REPORTS = "cau-reports.json"
    """`Get-CauReport -Detailed | ConvertTo-Json`, once per cluster."""
    UPDATE_RUNS = "update-runs.json"
    """`Get-SolutionUpdateRun | ConvertTo-Json` with full step trees, once per cluster."""
    UPDATES = "updates.json"
    """Every row of `Get-SolutionUpdate`, states by name, once per cluster."""
    ENVIRONMENT = "environment.json"
    """`Get-SolutionUpdateEnvironment -FullHealthCheckDetails | ConvertTo-Json`, once per cluster."""
    ACTION_PLANS = "action-plans.json"
    """The newest of `Get-ActionPlanInstances | ConvertTo-Json`, once per cluster."""
    BREADCRUMBS = "breadcrumbs.json"
    """Marker files that failed CAU runs left on the infrastructure share: path and text, once per cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file inside a log bundle and how it got there."""

    path: str
    """POSIX path inside the archive."""
    source: str
    """A `Source` value, or a name this version does not know (kept)."""
    node: str
    """Empty: asked once for the whole cluster."""
    sha256: Sha256
    size_bytes: int
    collector: str
    """The cmdlets that produced it."""
    collected_at: datetime
    exit: int
    """0, or the exit code of the collector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Evidence that is missing, and why: "no error found" must never mean "not collected"."""

    source: str
    node: str
    reason: str
    """`unreachable`, `refused`, `failed`, `empty` or `damaged`."""
    detail: str


class Severity(StrEnum):
    """How much a finding matters."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class RerunSafety(StrEnum):
    """Whether the failed operation may be run again."""

    YES = "yes"
    AFTER_REMEDY = "after-remedy"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where a finding was read: node, source, time, text, and the place inside the source."""

    node: str
    source: str
    at: datetime | None
    text: str
    place: str
    """Record id, step path or JSON path inside the member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The conclusion of one rule, and everything it rests on."""

    rule: str
    title: str
    severity: Severity
    cause: str
    remedy: tuple[str, ...]
    guide: str
    rerun_safe: RerunSafety
    evidence: tuple[Evidence, ...]
    affects: str = ""
    """The releases that a published guide names, if any."""
