"""The settings of all nodes as a person once called them right, kept at the site. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The settings of a cluster's nodes at one time."""

    cluster: str
    taken_at: datetime
    by: str
    """The person who called them right."""
    solution_version: str
    """What was installed then; an update may change more than a person."""
