"""Checks of what should not have been changed by hand, nor differ between nodes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.cluster._checks._asking import Ask
from toolkit.cluster._checks._check import Check
from toolkit.model import KnownCluster, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsAnswers:
    """What the checks here and those of the payload ask of every node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettingsAnswers:
    """What the checks here and those of the payload ask of the cluster."""


def ask_node(ask: Ask, node: Node) -> SettingsAnswers:
    """Ask one node everything that the checks here and those of the payload rest on."""
    return SettingsAnswers()


def ask_cluster(ask: Ask, known: KnownCluster) -> ClusterSettingsAnswers:
    """Ask the cluster everything that the checks here rest on; perhaps again, through another node."""
    return ClusterSettingsAnswers()


CHECKS: tuple[Check, ...] = ()
