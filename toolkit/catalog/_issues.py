"""Known issues of releases: bytes → rows (manifests/issues.yaml), and which of them concern a trip. Pure.

A row is matched against what the site's request tells. What no request tells stays a question for a
person: such a row may concern the site, and it is said what decides.

Source: the troubleshooting guides in Azure/AzureLocal-Supportability and the known-issues page; each row
names its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from toolkit.catalog._paths import VersionPattern, patterns
from toolkit.catalog._sbe_needs import uses_sbe
from toolkit.catalog._sourced import read_rows
from toolkit.model import SolutionVersion
from toolkit.request import SiteRequest
from toolkit.yamltext import Value

FORMAT = 1
GUIDES = "https://github.com/Azure/AzureLocal-Supportability/blob/main/"
"""Where a guide of the path `TSG/…` is read."""

_OPTIONAL = ("affects", "from", "to", "nodes", "operations", "sbe", "only_if", "seen")
_SIGNS = ("health_check", "update_state", "unreachable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What in a request points to an issue; any one of these does."""

    health_checks: tuple[str, ...] = ()
    """Parts of the names of failed health checks."""
    update_states: tuple[str, ...] = ()
    """States of a listed update."""
    unreachable: str = ""
    """A source of updates that cannot be reached: `SBE` or `Solution`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIssue:
    """One known issue and whom it concerns."""

    issue: str
    title: str
    affects: tuple[VersionPattern, ...]
    """The cluster is at or goes to such a version; empty: said by `starts` and `goals`, or every version."""
    starts: tuple[VersionPattern, ...]
    goals: tuple[VersionPattern, ...]
    is_single_node: bool
    """Concerns clusters of one node only."""
    is_disconnected: bool
    """Concerns clusters with disconnected operations only."""
    needs_sbe: bool
    """Concerns clusters with a Solution Builder Extension only."""
    only_if: str
    """What a person has to know; empty: nothing more."""
    seen: Signs
    signature: str
    mitigation: str
    guide: str
    source: str

    @property
    def is_general(self) -> bool:
        """Whether it can happen with every update."""
        return not (self.affects or self.starts or self.goals)

    def names(self, start: SolutionVersion, goal: SolutionVersion) -> bool:
        """Whether it concerns an update from one version to another."""
        return (
            (not self.affects or _any(self.affects, start) or _any(self.affects, goal))
            and (not self.starts or _any(self.starts, start))
            and (not self.goals or _any(self.goals, goal))
        )


class Bearing(StrEnum):
    """How much an issue concerns a trip, the nearest first."""

    SEEN = "the request points to it"
    FITS = "fits this site"
    OPEN = "may fit this site"
    GENERAL = "can happen with every update"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueMatch:
    """A known issue that concerns a cluster's trip."""

    issue: str
    title: str
    bearing: Bearing
    why: str
    """What points to it, or what a person has to find out."""
    signature: str
    mitigation: str
    guide: str
    """An address, for a person with a network."""
    source: str

    @property
    def is_general(self) -> bool:
        """Whether it is nothing special to these releases."""
        return self.bearing is Bearing.GENERAL


def read_issues(data: bytes, *, file: str | None = None) -> tuple[KnownIssue, ...]:
    """Return the known issues that `data` holds.

    Raises:
        InputError: Not such a document; says the file, key and line.
    """
    return read_rows(
        data,
        "issues",
        file=file,
        format_number=FORMAT,
        read=_issue,
        name=lambda issue: issue.issue,
        once="each id once",
    )


def match_issues(
    issues: Sequence[KnownIssue],
    request: SiteRequest,
    hops: Sequence[tuple[SolutionVersion, SolutionVersion]],
) -> tuple[IssueMatch, ...]:
    """Return the issues that concern a cluster on its way, the nearest first.

    Args:
        issues: All known issues.
        request: What the site told.
        hops: (from, to) of each update of the path.
    """
    found = [
        match
        for issue in issues
        if any(issue.names(start, goal) for start, goal in hops)
        and (match := _match(issue, request)) is not None
    ]
    order = list(Bearing)
    return tuple(sorted(found, key=lambda match: order.index(match.bearing)))


def _match(issue: KnownIssue, request: SiteRequest) -> IssueMatch | None:
    open_questions = [issue.only_if] if issue.only_if else []
    for wanted, answer, question in (
        (issue.is_single_node, _is_single_node(request), "the cluster has one node"),
        (
            issue.is_disconnected,
            request.is_disconnected_operations,
            "the cluster has disconnected operations",
        ),
        (issue.needs_sbe, uses_sbe(request), "the cluster's vendor has an SBE for it"),
    ):
        if wanted and answer is False:
            return None
        if wanted and answer is None:
            open_questions.append(question)
    sign = _sign(issue.seen, request)
    if sign:
        bearing, why = Bearing.SEEN, sign
    elif issue.is_general:
        bearing, why = Bearing.GENERAL, ""
    elif open_questions:
        bearing, why = Bearing.OPEN, ""
    else:
        bearing, why = Bearing.FITS, ""
    if open_questions and not sign:
        why = f"only if {' and '.join(open_questions)}"
    return IssueMatch(
        issue=issue.issue,
        title=issue.title,
        bearing=bearing,
        why=why,
        signature=issue.signature,
        mitigation=issue.mitigation,
        guide=GUIDES + issue.guide.replace(" ", "%20")
        if issue.guide.startswith("TSG/")
        else issue.guide,
        source=issue.source,
    )


def _is_single_node(request: SiteRequest) -> bool | None:
    return None if request.node_count == 0 else request.node_count == 1


def _sign(signs: Signs, request: SiteRequest) -> str:
    """Return what in a request points to an issue, in words, or nothing."""
    failed = (*request.health.failed_critical, *request.health.failed_warning)
    for name in failed:
        if any(part.casefold() in name.casefold() for part in signs.health_checks):
            return f"the health check {name} failed"
    for update in request.updates:
        if update.state in signs.update_states:
            return f"{update.resource_id or update.version} is in state {update.state}"
    for source in request.discovery:
        if source.component == signs.unreachable and source.status not in ("", "Ok"):
            return f"the {source.component} manifest cannot be read: {source.status}"
    return ""


def _issue(item: Value, source: Callable[[Value], str]) -> KnownIssue:
    values = item.record(("id", "title", "signature", "mitigation", "guide", "source"), _OPTIONAL)
    return KnownIssue(
        issue=values["id"].text(),
        title=values["title"].text(),
        affects=patterns(values["affects"]) if "affects" in values else (),
        starts=patterns(values["from"]) if "from" in values else (),
        goals=patterns(values["to"]) if "to" in values else (),
        is_single_node=_is(values, "nodes", "single"),
        is_disconnected=_is(values, "operations", "disconnected"),
        needs_sbe=_is(values, "sbe", "installed"),
        only_if=values["only_if"].text() if "only_if" in values else "",
        seen=_signs(values["seen"]) if "seen" in values else Signs(),
        signature=values["signature"].text(),
        mitigation=values["mitigation"].text(),
        guide=values["guide"].parse(_guide, "a path such as TSG/Update/….md"),
        source=source(values["source"]),
    )


def _signs(value: Value) -> Signs:
    values = value.record((), _SIGNS)
    if not values:
        raise value.refuse(found="nothing", expected=" or ".join(_SIGNS))
    texts = {
        key: tuple(item.text() for item in values[key].items()) if key in values else ()
        for key in ("health_check", "update_state")
    }
    return Signs(
        health_checks=texts["health_check"],
        update_states=texts["update_state"],
        unreachable=values["unreachable"].parse(_component, "SBE or Solution")
        if "unreachable" in values
        else "",
    )


def _is(values: dict[str, Value], key: str, word: str) -> bool:
    """Return whether a key is there; it knows one word only."""
    if key not in values:
        return False
    found = values[key].text()
    if found != word:
        raise values[key].refuse(found=found, expected=word)
    return True


def _component(text: str) -> str:
    if text not in ("SBE", "Solution"):
        raise ValueError(text)
    return text


def _guide(text: str) -> str:
    if not text.endswith(".md") or ".." in text.split("/") or text.startswith("/"):
        raise ValueError(text)
    return text


def _any(known: Sequence[VersionPattern], version: SolutionVersion) -> bool:
    return any(pattern.fits(version) for pattern in known)
