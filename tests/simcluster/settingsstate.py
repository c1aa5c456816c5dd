"""How nodes and cluster are set up: data that a test edits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class NodeSettings:
    """How a node is set up."""


@dataclass(slots=True, kw_only=True)
class ClusterSettings:
    """How the cluster is set up."""
