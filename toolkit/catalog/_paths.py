"""Which updates lead from one version to another: rules as data, and a search over them. Pure.

Theory of operation: the rules of manifests/paths.yaml allow direct steps between versions; the search
goes breadth-first from the installed version over the releases that may be offered. Every step goes up
(later in order and never of an earlier month), so the search ends and no path goes down. A recalled
release is never a step. A superseded or unconfirmed one is a step only if it was asked for by name.
Opt-in rules are tried only when there is no path without them. Where there is no path, the answer says
why.

Source: release-information-23h2.md, import-discover-updates-offline-23h2.md, update-opt-enable.md; each
rule in paths.yaml names its own.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from toolkit.catalog._releases import Release, ReleaseStatus
from toolkit.catalog._sourced import source_reader
from toolkit.model import SolutionVersion
from toolkit.sbe import SbeVersion
from toolkit.yamltext import Value, read_yaml, require_format

FORMAT = 1
_OFFERED = (ReleaseStatus.LISTED, ReleaseStatus.NO_BUNDLE)


@dataclass(frozen=True, slots=True)
class VersionPattern:
    """`P.YYMM.T.B`, each part a number, a range `2504-2509`, or `*`."""

    text: str
    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, text: str) -> VersionPattern:
        """Read a pattern.

        Raises:
            ValueError: Not of that form.
        """
        parts = text.split(".")
        if len(parts) != 4:
            raise ValueError(text)
        return cls(text, tuple(_range(part) for part in parts))

    def fits(self, version: SolutionVersion) -> bool:
        """Whether the version matches."""
        parts = (version.product, version.release, version.train, version.build)
        return all(
            low <= part <= high for part, (low, high) in zip(parts, self.ranges, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRule:
    """One kind of direct step that the publisher supports."""

    rule: str
    starts: tuple[VersionPattern, ...]
    goals: tuple[VersionPattern, ...]
    month: str
    """`same`, `later`, or empty for either."""
    opt_in: str
    """What must be done first, if the publisher does not offer the step by itself."""
    text: str
    confidence: str
    """`confirmed` or `inferred`."""
    source: str

    def allows(self, start: SolutionVersion, goal: SolutionVersion) -> bool:
        """Whether this rule supports the direct step."""
        return (
            _is_up(start, goal)
            and not (self.month == "same" and goal.release != start.release)
            and not (self.month == "later" and goal.release == start.release)
            and any(pattern.fits(start) for pattern in self.starts)
            and any(pattern.fits(goal) for pattern in self.goals)
        )


class SbeMoment(StrEnum):
    """When an SBE goes onto a cluster, seen from the update it belongs to."""

    BEFORE = "before the update"
    EITHER = "before or with the update"
    WITH = "with the update"


@dataclass(frozen=True, slots=True, kw_only=True)
class SbeMinimum:
    """The Solution Builder Extension a vendor's clusters need for the change to 24H2."""

    vendor: str
    families: tuple[str, ...]
    minimum: str
    """As published: an `x` stands for digits left open."""
    when: SbeMoment
    then_with: str = ""
    """A later SBE that has to go with the update, if the page names one."""
    source: str

    @property
    def floor(self) -> SbeVersion:
        """The lowest version that `minimum` allows."""
        return lowest(self.minimum)

    def names(self, family: str) -> bool:
        """Whether this row is about a cluster's family.

        The page writes `AX-16G` where a cluster says `AS-HCI-AX-16G-45n0c`: a name counts wherever it
        stands whole.
        """
        return any(
            re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", family, re.IGNORECASE)
            for name in self.families
        )


def lowest(published: str) -> SbeVersion:
    """Return the lowest version that a published minimum such as `4.2.2506.xx` allows.

    Raises:
        ValueError: Not of that form.
    """
    return SbeVersion.parse(published.replace("x", "0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRules:
    """Everything manifests/paths.yaml says."""

    lowest_importing: SolutionVersion
    """The lowest installed version into which a solution bundle can be imported."""
    offline_source: str
    sbe_minimums: tuple[SbeMinimum, ...]
    rules: tuple[PathRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStep:
    """One update of a path, and the rule that supports it."""

    start: SolutionVersion
    version: SolutionVersion
    rule: str
    text: str
    opt_in: str
    confidence: str
    source: str
    importable: bool
    """Whether it can be carried: a solution bundle exists and `start` can import one."""
    sbe_minimums: tuple[SbeMinimum, ...]
    """Given where the step changes from 23H2 to 24H2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePath:
    """The updates from one version to another, in order; or why there are none."""

    start: SolutionVersion
    goal: SolutionVersion | None
    """None: nothing newer is known."""
    steps: tuple[PathStep, ...]
    is_supported: bool
    """Whether the goal can be reached, or is reached already."""
    reason: str
    """Why `steps` is empty, or empty."""
    nearest: SolutionVersion | None = None
    """Where the goal cannot be reached: what can be, closest to it."""


def read_paths(data: bytes, *, file: str | None = None) -> PathRules:
    """Return the rules that `data` holds.

    Raises:
        InputError: Not such a document; says the file, key and line.
    """
    values = read_yaml(data, file=file).record(
        ("format", "sources", "offline", "sbe_minimums", "rules")
    )
    require_format(values["format"], FORMAT)
    source = source_reader(values["sources"])
    offline = values["offline"].record(("lowest_installed", "source"))
    rules = tuple(_rule(item, source) for item in values["rules"].items())
    return PathRules(
        lowest_importing=offline["lowest_installed"].parse(SolutionVersion.parse, "a full version"),
        offline_source=source(offline["source"]),
        sbe_minimums=tuple(_minimum(item, source) for item in values["sbe_minimums"].items()),
        rules=rules,
    )


def find_path(
    start: SolutionVersion,
    goal: SolutionVersion | None,
    *,
    rules: PathRules,
    releases: Sequence[Release],
    bundles: frozenset[SolutionVersion],
) -> UpdatePath:
    """Return the shortest supported path, or the reason why there is none.

    Args:
        start: The installed version.
        goal: The wanted version; None for the newest that can be reached.
        rules: The supported steps.
        releases: All releases we know of.
        bundles: The versions that have a solution bundle.
    """
    known = {release.version: release for release in releases}
    path = UpdatePath(start=start, goal=goal, steps=(), is_supported=False, reason="")
    if goal is None:
        reached = _search(start, _offered(known, goal), rules.rules)
        newest = max((version for version in reached if version in bundles), default=None)
        if newest is not None:
            return find_path(start, newest, rules=rules, releases=releases, bundles=bundles)
        if any(_is_up(start, version) for version in bundles):
            reason = f"no supported path leads from {start} to a release with a solution bundle"
            return replace(path, reason=reason)
        return replace(path, is_supported=True, reason=f"nothing newer than {start} is known")
    if goal == start:
        return replace(path, is_supported=True, reason=f"the cluster is at {goal} already")
    if refusal := _refusal(start, goal, known):
        reached = _search(start, _offered(known, None), rules.rules)
        return replace(path, reason=refusal, nearest=_nearest(goal, reached))
    ordinary = tuple(rule for rule in rules.rules if not rule.opt_in)
    for allowed in (ordinary, rules.rules):
        came_from = _search(start, _offered(known, goal), allowed)
        if goal in came_from:
            steps = _steps(goal, came_from, rules, bundles)
            return replace(path, steps=steps, is_supported=True)
    return replace(
        path, reason=_no_way(start, goal, rules, came_from), nearest=_nearest(goal, came_from)
    )


def _is_up(start: SolutionVersion, goal: SolutionVersion) -> bool:
    """Whether going from one to the other is going up: in order, and in months.

    Order alone is not enough: every 24H2 release is later in order than every 23H2 release.
    """
    return goal > start and goal.release >= start.release


def _search(
    start: SolutionVersion, offered: Sequence[SolutionVersion], rules: Sequence[PathRule]
) -> dict[SolutionVersion, tuple[SolutionVersion, PathRule]]:
    """Return, for each version that can be reached, the version and rule before it."""
    came_from: dict[SolutionVersion, tuple[SolutionVersion, PathRule]] = {}
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        for version in offered:
            if version in came_from:
                continue
            rule = next((rule for rule in rules if rule.allows(here, version)), None)
            if rule is not None:
                came_from[version] = (here, rule)
                waiting.append(version)
    return came_from


def _offered(
    known: Mapping[SolutionVersion, Release], goal: SolutionVersion | None
) -> list[SolutionVersion]:
    """Return what may be a step; later builds first, so that they win among equally short paths."""
    return sorted(
        (
            version
            for version, release in known.items()
            if release.status in _OFFERED or version == goal
        ),
        reverse=True,
    )


def _steps(
    goal: SolutionVersion,
    came_from: Mapping[SolutionVersion, tuple[SolutionVersion, PathRule]],
    rules: PathRules,
    bundles: frozenset[SolutionVersion],
) -> tuple[PathStep, ...]:
    steps: list[PathStep] = []
    version = goal
    while version in came_from:
        start, rule = came_from[version]
        changes_train = start.os_train is not version.os_train
        steps.append(
            PathStep(
                start=start,
                version=version,
                rule=rule.rule,
                text=rule.text,
                opt_in=rule.opt_in,
                confidence=rule.confidence,
                source=rule.source,
                importable=version in bundles and start >= rules.lowest_importing,
                sbe_minimums=rules.sbe_minimums if changes_train else (),
            )
        )
        version = start
    return tuple(reversed(steps))


def _refusal(
    start: SolutionVersion, goal: SolutionVersion, known: Mapping[SolutionVersion, Release]
) -> str:
    release = known.get(goal)
    if release is None:
        return f"{goal} is not a release we know of"
    if release.status is ReleaseStatus.RECALLED:
        instead = f"; {release.superseded_by} replaces it" if release.superseded_by else ""
        return f"{goal} was recalled by its publisher{instead}"
    if not _is_up(start, goal):
        return f"{goal} is older than {start}; updates never go down"
    return ""


def _no_way(
    start: SolutionVersion,
    goal: SolutionVersion,
    rules: PathRules,
    reached: Collection[SolutionVersion],
) -> str:
    leading = [rule for rule in rules.rules if any(pattern.fits(goal) for pattern in rule.goals)]
    furthest = f"; from {start} the furthest is {max(reached)}" if reached else ""
    if not leading:
        return f"no supported step leads to {goal}{furthest}"
    starts = ", ".join(sorted({pattern.text for rule in leading for pattern in rule.starts}))
    return f"{goal} can be installed only from {starts}, which {start} does not reach{furthest}"


def _nearest(goal: SolutionVersion, reached: Collection[SolutionVersion]) -> SolutionVersion | None:
    """Return the reachable version closest to a goal: of its month, else the last before, else the newest."""
    month = [
        version
        for version in reached
        if (version.os_train, version.release) == (goal.os_train, goal.release)
    ]
    before = [version for version in reached if version < goal]
    return max(month or before or reached, default=None)


def _rule(item: Value, source: Callable[[Value], str]) -> PathRule:
    values = item.record(("id", "from", "to", "text", "confidence", "source"), ("month", "opt_in"))
    return PathRule(
        rule=values["id"].text(),
        starts=patterns(values["from"]),
        goals=patterns(values["to"]),
        month=values["month"].parse(_one_of("same", "later"), "same or later")
        if "month" in values
        else "",
        opt_in=values["opt_in"].text() if "opt_in" in values else "",
        text=values["text"].text(),
        confidence=values["confidence"].parse(
            _one_of("confirmed", "inferred"), "confirmed or inferred"
        ),
        source=source(values["source"]),
    )


def _minimum(item: Value, source: Callable[[Value], str]) -> SbeMinimum:
    values = item.record(("vendor", "families", "minimum", "when", "source"), ("then_with",))
    return SbeMinimum(
        vendor=values["vendor"].text(),
        families=tuple(family.text() for family in values["families"].items()),
        minimum=values["minimum"].parse(_published_minimum, "an SBE version like 4.2.2506.xx"),
        when=values["when"].parse(SbeMoment, " or ".join(SbeMoment)),
        then_with=values["then_with"].parse(_published_minimum, "an SBE version like 4.2.2508.x")
        if "then_with" in values
        else "",
        source=source(values["source"]),
    )


def _published_minimum(text: str) -> str:
    lowest(text)
    return text


def patterns(value: Value) -> tuple[VersionPattern, ...]:
    """Return a list of version patterns.

    Raises:
        InputError: No list, or one of them is none.
    """
    return tuple(
        item.parse(VersionPattern.parse, "a pattern like 12.2504-2509.1001.*")
        for item in value.items()
    )


def _range(text: str) -> tuple[int, int]:
    if text == "*":
        return (0, 9999)
    found = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", text, re.ASCII)
    if found is None:
        raise ValueError(text)
    low = int(found[1])
    high = int(found[2] or low)
    if high < low:
        raise ValueError(text)
    return (low, high)


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return read
