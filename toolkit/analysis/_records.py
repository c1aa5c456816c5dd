"""The typed lines that parsers hand to the timeline and the rules. Pure values.

A parser yields records and, where the input was not whole, `Damage`: nothing is lost without a word.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from toolkit.model import Evidence, HealthCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One event of a Windows event log."""

    provider: str
    event_id: int
    version: int
    level: int
    """1 critical, 2 error, 3 warning, 4 information, 0 always."""
    channel: str
    computer: str
    record_id: int
    """`EventRecordID` as the node gave it; an exported file numbers its records anew beside it."""
    at: datetime
    """`TimeCreated`, UTC, by the clock of the node."""
    data: tuple[tuple[str, str], ...]
    """Name (empty for classic providers) and text of each argument, in message order."""
    message: str = ""
    """The rendered message, where the source has one; in the language of the node."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The texts of the arguments, in message order."""
        return tuple(text for _, text in self.data)

    def argument(self, name: str) -> str:
        """Return the argument of that name, or an empty text."""
        return next((text for key, text in self.data if key == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A part of an input that could not be read: what, and where."""

    what: str
    place: str = ""

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.what} ({self.place})" if self.place else self.what


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallResult:
    """One update on one node in a CAU run report."""

    title: str
    update_id: str
    result: str
    """`Failed`, `Succeeded` … or the number that stood there."""
    error_code: int | None

    @property
    def hresult(self) -> str:
        """The error as it is searched for: `0x80070005`; empty if there is none."""
        return f"0x{self.error_code & 0xFFFFFFFF:08X}" if self.error_code else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResult:
    """One node in a CAU run report."""

    node: str
    status: str
    error: str
    failed: int
    succeeded: int
    installs: tuple[InstallResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CauReport:
    """One CAU run report."""

    run_id: str
    """Lower case, without braces; empty if the report has none."""
    plugins: tuple[str, ...]
    started_at: datetime | None
    status: str
    error: str
    nodes: tuple[NodeResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthResult:
    """One health check result with its place; status and severity put on one scale."""

    check: HealthCheck
    has_failed: bool
    severity: str
    """`Critical`, `Warning`, `Informational`, `Hidden`, or what stood there."""
    at: datetime | None
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRow:
    """One listed update, as far as an analysis needs it."""

    resource_id: str
    state: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionPlan:
    """One action plan of the orchestrator, as far as it says something."""

    instance_id: str
    name: str
    status: str
    at: datetime | None
    """When it changed last."""
    words: str
    """`AdditionalInformation`: why it did not go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A file that a failed CAU run left behind."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRecord:
    """What the cluster said of its version and its health."""

    current_version: str
    checks: tuple[HealthResult, ...]


def clean(text: str) -> str:
    """Return text that every output can carry: no half of a surrogate pair, no NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


def cleaned(evidence: Evidence) -> Evidence:
    """Return evidence whose texts every output can carry."""
    return replace(evidence, text=clean(evidence.text), place=clean(evidence.place))
