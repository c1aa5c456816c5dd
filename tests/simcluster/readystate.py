"""How well nodes and cluster are: data that a test edits."""

from __future__ import annotations

from dataclasses import dataclass, field


def _usual_wsman() -> dict[str, str]:
    return {"MaxEnvelopeSizekb": "500", r"Client\TrustedHosts": ""}


@dataclass(slots=True, kw_only=True)
class NodeReady:
    """How well a node is."""

    wsman: dict[str, str] = field(default_factory=_usual_wsman)
    """Path below `WSMan:\\localhost` → value."""


@dataclass(slots=True, kw_only=True)
class ClusterReady:
    """How well the cluster is."""
