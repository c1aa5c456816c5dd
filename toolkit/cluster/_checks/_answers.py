"""Everything that the judges may read: what nodes, cluster, medium and site told. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from toolkit.cluster._baseline import Baseline
from toolkit.cluster._checks._drift import ClusterSettingsAnswers, SettingsAnswers
from toolkit.cluster._checks._payload import ClusterPayloadAnswers, PayloadAnswers
from toolkit.cluster._checks._readiness import ClusterReadyAnswers, ReadyAnswers
from toolkit.cluster._sbe_carried import CarriedSbe
from toolkit.cluster._timekeeping import JudgedTime
from toolkit.model import KnownCluster, SolutionVersion
from toolkit.sbe import SbeVersion

if TYPE_CHECKING:
    from toolkit.catalog import Manifests


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAnswers:
    """What one node said."""

    name: str
    why_not: str = ""
    """Why it was not reached; empty: it was."""
    ready: ReadyAnswers
    settings: SettingsAnswers
    payload: PayloadAnswers = field(default_factory=PayloadAnswers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAnswers:
    """What the cluster said, through the first node that answered."""

    ready: ClusterReadyAnswers
    settings: ClusterSettingsAnswers
    payload: ClusterPayloadAnswers = field(default_factory=ClusterPayloadAnswers)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedZip:
    """One solution bundle on a medium."""

    version: SolutionVersion
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumFacts:
    """What a medium carries."""

    set_name: str
    expires_at: datetime
    zips: tuple[CarriedZip, ...]
    sbes: tuple[CarriedSbe, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Everything that was told, at one time."""

    known: KnownCluster
    at: datetime
    """When it was told, by this machine's clock."""
    nodes: tuple[NodeAnswers, ...]
    """In the site's order, all of them."""
    cluster: ClusterAnswers
    time: JudgedTime
    medium: MediumFacts | None
    version: SolutionVersion | None
    """The wanted update: as named, or the only one on the medium."""
    sbe: SbeVersion | None = None
    """The SBE that is wanted instead of a solution update; None: none is."""
    baseline: Baseline | None
    manifests: Manifests
    """What this ferry knows of releases, paths and known issues."""
