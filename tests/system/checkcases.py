"""What a batch of broken things is: one simulated cluster, one `ferry cluster check`, many checks that fire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.simcluster.cluster import SimCluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Things that are broken together because none disturbs another."""

    breaks: Callable[[SimCluster], None]
    fires: Mapping[str, str]
    """Check → its worst verdict then."""
    words: tuple[str, ...] = ("medium",)
    """What follows `ferry cluster check`."""
    environment: Mapping[str, str] = field(default_factory=dict)
