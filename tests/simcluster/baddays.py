"""What goes wrong around an update run: data that a test edits."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

CauDay = Literal["", "stuck", "cancelled", "running-after-done", "after-timeout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Starved:
    """When the update service is asked too often."""

    calls: int
    """More than so many calls …"""
    within_s: float
    """… in so many seconds of real time."""


@dataclass(slots=True, kw_only=True)
class BadDays:
    """What goes wrong, and how."""

    action_plan_words: dict[str, str] = field(default_factory=dict)
    """Run → `AdditionalInformation` of its action plan: why the plan did not go on."""
    cau: CauDay = ""
    """How the CAU run of an update that is started from now on goes wrong.

    stuck: it stands still in its middle, and the update run with it.
    cancelled: one that fails leaves a marker on the share; as long as that stands, the next ones are cancelled.
    running-after-done: the update run gives up while CAU goes on, and CAU succeeds (one node).
    after-timeout: a step of the update run reaches its limit while CAU goes on, and CAU succeeds.
    """
    cau_goes_on_s: float = 5.0
    """So long CAU goes on after the update run gave up."""
    empty_resume: bool = False
    """An update that failed is resumed with an empty action plan: its next run fails at once, without steps."""
    starved: Starved | None = None
    """The update service answers GatewayTimeout as long as it is asked more often than that."""
    calls: deque[float] = field(default_factory=deque)
    """When the update service was asked of late (`time.monotonic`)."""
    service_silent_until: float = 0.0
    """The update service has been moved and does not answer before (`time.monotonic`)."""
    restarts_nodes: bool = False
    """A node that CAU restarts really goes away meanwhile: its WinRM, its shells and its share."""
