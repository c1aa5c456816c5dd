"""What a rule is: its words as frozen data, and a pure function that finds it in a case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from itertools import groupby

from toolkit.analysis._case import Case, LoggedEvent
from toolkit.model import Evidence, RerunSafety, Severity

_SHOWN_EVIDENCE = 12

GUIDES = "github.com/Azure/AzureLocal-Supportability: "
"""Where the paths of guides stand, as text: a report on an island links nowhere."""


class Rank(IntEnum):
    """How close a finding is to the root cause; the closest comes first."""

    CAUSE = 0
    """A known failure, recognised exactly."""
    OBSERVATION = 1
    """What went wrong, on which node."""
    SYMPTOM = 2
    """What followed from it."""
    CONTEXT = 3
    """What else to know before trusting the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One place where a rule fits."""

    evidence: tuple[Evidence, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    """What goes into the braces of the rule's words."""
    severity: Severity | None = None
    """Instead of the rule's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One known failure: how it is found, and what to say of it."""

    id: str
    title: str
    severity: Severity
    rank: Rank
    cause: str
    remedy: tuple[str, ...]
    rerun_safe: RerunSafety
    find: Callable[[Case], Iterable[Hit]]
    guide: str = ""
    affects: str = ""
    is_state: bool = False
    """True: it tells how things are now, so a later success does not make it history."""


def filled(words: str, facts: Mapping[str, str]) -> str:
    """Put facts into the braces of a sentence; they are never themselves read as braces."""
    for name, fact in facts.items():
        words = words.replace(f"{{{name}}}", fact)
    return words


def events_of(
    *keys: tuple[str, int], node_argument: bool = True
) -> Callable[[Case], Iterator[Hit]]:
    """Return a finder: events with one of these ids, one hit per node.

    Args:
        keys: Provider and id.
        node_argument: Whether the first argument names the node (else the writer is meant).
    """

    def find(case: Case) -> Iterator[Hit]:
        def node(event: LoggedEvent) -> str:
            return case.spelled(event.argument(0)) if node_argument else event.node

        found = sorted(case.of(*keys), key=lambda event: (node(event), event.at))
        for name, group in groupby(found, key=node):
            events = list(group)
            yield Hit(
                evidence=of_events(events, node=name),
                facts={"node": name, "text": events[0].text, "detail": events[0].argument(1)},
            )

    return find


def of_events(events: Iterable[LoggedEvent], node: str = "") -> tuple[Evidence, ...]:
    """Return events as evidence, as being about `node` where it is given."""
    found = tuple(events)
    shown = [event.evidence() for event in found]
    if node:
        shown = [
            one
            if one.node == node
            else Evidence(
                node=node,
                source=one.source,
                at=one.at,
                text=one.text,
                place=f"{one.place} on {one.node}",
            )
            for one in shown
        ]
    return limited(shown)


def limited(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Return no more evidence than somebody reads, and say how much there was."""
    found = tuple(evidence)
    if len(found) <= _SHOWN_EVIDENCE:
        return found
    more = len(found) - _SHOWN_EVIDENCE
    note = Evidence(node="", source="", at=None, text=f"… and {more} more of the same", place="")
    return (*found[:_SHOWN_EVIDENCE], note)


def latest(evidence: Iterable[Evidence]) -> datetime | None:
    """Return the time of the newest piece; None if one of them has no time."""
    times = [one.at for one in evidence if one.source]
    known = [at for at in times if at is not None]
    return max(known) if known and len(known) == len(times) else None
