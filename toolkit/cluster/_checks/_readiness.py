"""Checks of the cluster's own health, before an update. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.cluster._checks._check import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyAnswers:
    """What the checks here ask of every node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterReadyAnswers:
    """What the checks here ask of the cluster."""


CHECKS: tuple[Check, ...] = ()
