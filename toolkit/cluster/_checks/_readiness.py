"""Checks of the cluster's own health, before an update: what is asked, and every check of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from toolkit.cluster import _cmdlets
from toolkit.cluster._checks import _nodes
from toolkit.cluster._checks._asking import Ask
from toolkit.cluster._checks._check import Check, Told
from toolkit.model import KnownCluster, Node

NOT_ASKED: Told[Any] = Told(why="it was not asked")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyAnswers:
    """What the checks here ask of every node."""

    cluster: Told[str] = NOT_ASKED
    """The name of the failover cluster that the node belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterReadyAnswers:
    """What the checks here ask of the cluster."""

    nodes: Told[tuple[tuple[str, str], ...]] = NOT_ASKED


def ask_node(ask: Ask, node: Node) -> ReadyAnswers:
    """Ask one node everything that the checks here rest on."""
    return ReadyAnswers(cluster=ask(_cmdlets.cluster_name()))


def ask_cluster(ask: Ask, known: KnownCluster) -> ClusterReadyAnswers:
    """Ask the cluster everything that the checks here rest on; perhaps again, through another node."""
    return ClusterReadyAnswers(nodes=ask(_cmdlets.cluster_nodes()))


CHECKS: tuple[Check, ...] = _nodes.CHECKS
