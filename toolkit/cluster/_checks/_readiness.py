"""Checks of the cluster's own health, before an update: what they ask, and all of them in order. Pure."""

from __future__ import annotations

from toolkit.cluster._checks import _nodes, _services, _updates
from toolkit.cluster._checks._check import Check
from toolkit.cluster._checks._ready_answers import (
    ClusterReadyAnswers,
    ReadyAnswers,
    ask_cluster,
    ask_node,
)

__all__ = ["CHECKS", "ClusterReadyAnswers", "ReadyAnswers", "ask_cluster", "ask_node"]

CHECKS: tuple[Check, ...] = (
    *_nodes.MEMBERS,
    *_services.CHECKS,
    *_nodes.MACHINES,
    *_updates.CHECKS,
)
