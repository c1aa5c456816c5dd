"""Checks of the nodes: whether they answer, belong together and are well. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.cluster._checks._check import Check, CheckId, CheckVerdict, Reads, Said

if TYPE_CHECKING:
    from toolkit.cluster._checks._answers import Answers


def _reached(answers: Answers) -> Iterator[Said]:
    for node in answers.nodes:
        verdict = CheckVerdict.CRITICAL if node.why_not else CheckVerdict.PASS
        yield Said(verdict=verdict, node=node.name, evidence=node.why_not or "it answers")


def _one_cluster(answers: Answers) -> Iterator[Said]:
    told = {node.name: node.ready.cluster.value for node in answers.nodes}
    named = {node: name for node, name in told.items() if name is not None}
    is_one = len({name.casefold() for name in named.values()}) == 1
    says = (
        f"all say {next(iter(named.values()))}"
        if is_one
        else ", ".join(f"{node} says {name}" for node, name in named.items())
    )
    yield Said(verdict=CheckVerdict.PASS if is_one else CheckVerdict.CRITICAL, evidence=says)


CHECKS: tuple[Check, ...] = (
    Check(
        id=CheckId("node-reached"),
        title="Every node answers",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-Cluster",),
        rule="A node is not reached, refuses the password or does not reply: critical.",
        remedy="Look at cable and power of the node, its address (`ferry site show`) and its WinRM port. "
        "During an update run nodes restart: then wait and check again.",
        source="our own: an update needs every node",
        confidence="platform",
        rests_on=lambda _: (),
        judge=_reached,
    ),
    Check(
        id=CheckId("one-cluster"),
        title="All nodes belong to one cluster",
        about="readiness",
        reads=Reads.NODE,
        asked=("Get-Cluster",),
        rule="The nodes name different clusters: critical.",
        remedy="Remove the cluster from this site (`ferry site remove-cluster`) and add it again with its "
        "own nodes only (`ferry site add-cluster`).",
        source="our own: nothing may be changed on somebody else's cluster",
        confidence="platform",
        rests_on=lambda answers: [(node.name, node.ready.cluster) for node in answers.nodes],
        judge=_one_cluster,
    ),
)
