"""What a check is, what it finds, and what all of them say together. Pure.

Theory of operation. A check is one question with one verdict for each node, or one for the cluster. It is a
value: what it rests on, its rule in words, what to do, and where the rule is published stand beside the
function that judges; the reference page is written from them. A judge reads answers and nothing else, and
speaks only of what was told: an answer that is missing is found by `judge_all` through `rests_on`, and
becomes `unknown` in the node's own words. So no judge can take silence for a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Literal, NewType, TypeVar

from toolkit.model import SolutionVersion

if TYPE_CHECKING:
    from toolkit.cluster._checks._answers import Answers

T_co = TypeVar("T_co", covariant=True)
CheckId = NewType("CheckId", str)
About = Literal["readiness", "dont", "payload"]
Need = Literal["medium", "update", "baseline"]
Trust = Literal["confirmed", "inferred", "platform"]
"""Whether a rule is published, concluded from what is published, or known of Windows."""


class CheckVerdict(StrEnum):
    """What a check says, the worst first."""

    CRITICAL = "critical"
    WARNING = "warning"
    UNKNOWN = "unknown"
    PASS = "pass"  # noqa: S105 - a verdict


class Reads(StrEnum):
    """Who is asked."""

    NODE = "every node"
    CLUSTER = "the cluster, through one node"
    BOTH = "both"
    HERE = "this machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Generic[T_co]):
    """An answer, or why there is none."""

    value: T_co | None = None
    why: str = ""
    """The node's own words; empty: it answered."""

    def __post_init__(self) -> None:
        """Refuse what is neither: a question that nobody asked must not look answered."""
        if (self.value is None) == (not self.why):
            raise ValueError("either an answer, or the reason why there is none")


NOT_ASKED: Told[Any] = Told(why="it was not asked")
"""What stands in place of every answer until a node is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One verdict of a judge; everything else stands in its check."""

    verdict: CheckVerdict
    node: str = ""
    """Empty: of the whole cluster."""
    evidence: str
    remedy: str = ""
    """Instead of the check's own."""
    subject: str = ""
    """What it speaks of, where its evidence changes by itself or a start asks for it; empty: the evidence tells."""


def _asked_everywhere(_: Answers) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question that is asked of a cluster before an update."""

    id: CheckId
    title: str
    """What is so when it passes."""
    about: About
    reads: Reads
    asked: tuple[str, ...]
    """The cmdlets, for the reference page."""
    rule: str
    remedy: str
    source: str
    """Where the rule is published, or that it is our own."""
    confidence: Trust
    needs: frozenset[Need] = frozenset()
    """All that must be there, or it is not asked."""
    not_asked: Callable[[Answers], str] = _asked_everywhere
    """Why it is not asked of such a cluster; empty: it is asked."""
    rests_on: Callable[[Answers], Iterable[tuple[str, Told[object]]]]
    """(node, answer) of everything without which there is no verdict; the node is empty for the cluster."""
    judge: Callable[[Answers], Iterable[Said]]
    """Says nothing of an answer that is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One verdict as it is printed, journalled and written as JSON."""

    check: CheckId
    title: str
    verdict: CheckVerdict
    node: str
    evidence: str
    remedy: str
    """Empty where nothing is to be done."""
    source: str
    subject: str = ""
    """What it speaks of: the id of an update, a volume …; empty: the evidence tells."""

    @property
    def place(self) -> str:
        """The check, and the node that it speaks of: `node-up on node2`."""
        return f"{self.check} on {self.node}" if self.node else self.check

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes two results one: whoever accepted the one has seen the other."""
        return self.check, self.node, self.verdict, self.subject or self.evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Every verdict about a cluster at one time."""

    cluster: str
    checked_at: datetime
    version: SolutionVersion | None
    """The wanted update, if one was named."""
    set_name: str
    """Of the medium; empty: none was there."""
    results: tuple[CheckResult, ...]
    not_asked: tuple[tuple[CheckId, str], ...]
    """(check, why)."""

    def worst(self) -> CheckVerdict:
        """Return the verdict that counts in the end; `unknown` where nothing was asked."""
        found = {result.verdict for result in self.results}
        return next((verdict for verdict in CheckVerdict if verdict in found), CheckVerdict.UNKNOWN)

    def of(self, verdict: CheckVerdict) -> tuple[CheckResult, ...]:
        """Return the results with one verdict, in the order of the checks."""
        return tuple(result for result in self.results if result.verdict is verdict)
