"""Checks of what should not have been changed by hand, nor differ between nodes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.cluster._checks._check import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsAnswers:
    """What the checks here and those of the payload ask of every node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettingsAnswers:
    """What the checks here and those of the payload ask of the cluster."""


CHECKS: tuple[Check, ...] = ()
