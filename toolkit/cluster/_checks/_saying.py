"""What the judges share: verdicts with their evidence, and the answers that there are. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from toolkit.cluster._checks._check import CheckVerdict, Said, Told
from toolkit.model import SolutionVersion, T

if TYPE_CHECKING:
    from toolkit.cluster._checks._answers import Answers, NodeAnswers

RestsOn = Callable[["Answers"], Iterable[tuple[str, Told[object]]]]


def passes(evidence: str, node: str = "") -> Said:
    """Say that it is so."""
    return Said(verdict=CheckVerdict.PASS, node=node, evidence=evidence)


def warns(evidence: str, node: str = "", *, remedy: str = "", subject: str = "") -> Said:
    """Say that an update may suffer from it."""
    return Said(
        verdict=CheckVerdict.WARNING, node=node, evidence=evidence, remedy=remedy, subject=subject
    )


def critical(evidence: str, node: str = "", *, remedy: str = "", subject: str = "") -> Said:
    """Say that an update would fail, or do harm."""
    return Said(
        verdict=CheckVerdict.CRITICAL, node=node, evidence=evidence, remedy=remedy, subject=subject
    )


def unknown(evidence: str, node: str = "", *, remedy: str = "") -> Said:
    """Say that what was told does not answer the question."""
    return Said(verdict=CheckVerdict.UNKNOWN, node=node, evidence=evidence, remedy=remedy)


def of_nodes(pick: Callable[[NodeAnswers], Told[object]]) -> RestsOn:
    """Return the grounds of a check that rests on one answer of every node."""
    return lambda answers: [(node.name, pick(node)) for node in answers.nodes]


def of_cluster(*picks: Callable[[Answers], Told[object]]) -> RestsOn:
    """Return the grounds of a check that rests on answers about the cluster."""
    return lambda answers: [("", pick(answers)) for pick in picks]


def told(answers: Answers, pick: Callable[[NodeAnswers], Told[T]]) -> Iterator[tuple[str, T]]:
    """Yield the answers that there are: (node, answer)."""
    for node in answers.nodes:
        value = pick(node).value
        if value is not None:
            yield node.name, value


def each(of: Iterable[tuple[str, object]]) -> str:
    """Return what the nodes say, one after the other: `node1 2, node2 3`."""
    return ", ".join(f"{node} {value or 'nothing'}" for node, value in of)


def short(name: str) -> str:
    """Return a node's name without domain and case, to be compared."""
    return name.partition(".")[0].casefold()


def time_there(answers: Answers) -> datetime:
    """Return the time by the nodes' clocks, the latest of them; by ours where none told it."""
    times = [item.at for item in answers.time.nodes if item.at is not None]
    return max(times, default=answers.at)


def installed(answers: Answers) -> SolutionVersion | None:
    """Return the installed version; None: it was not told, or is none that we can read."""
    environment = answers.cluster.ready.environment.value
    if environment is None:
        return None
    try:
        return SolutionVersion.parse(environment.current_version)
    except ValueError:
        return None


def versions(answers: Answers) -> Iterator[SolutionVersion]:
    """Yield the installed version and the wanted one, as far as they are known."""
    for version in (installed(answers), answers.version):
        if version is not None:
            yield version
