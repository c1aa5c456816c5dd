"""How long a release is supported. Pure.

Source: about-updates-23h2.md and release-information-23h2.md (six months for each release, on both trains),
azure-local-end-of-support-banner-23h2.md (23H2: April 2026, afterwards only to go forward). That the six
months count from the day a release became available is our reading; the pages name months, not days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from toolkit.catalog._releases import Release
from toolkit.model import OsTrain, SolutionVersion

SUPPORT_MONTHS = 6
END_OF_23H2 = date(2026, 4, 30)
ARB_MONTHS = 12
"""An Azure Arc resource bridge without an update for longer loses its certificates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportWindow:
    """How long one release is supported."""

    version: SolutionVersion
    available_on: date | None
    until: date | None
    """None: not known when it became available."""
    days_left: int | None
    """Below zero: it is over."""
    text: str
    source: str = "about-updates-23h2.md, release-information-23h2.md"


def support_of(
    version: SolutionVersion, releases: Sequence[Release], now: datetime
) -> SupportWindow:
    """Return the support window of a version, as seen today."""
    available_on = available(version, releases)
    ends = [add_months(available_on, SUPPORT_MONTHS)] if available_on else []
    if version.os_train is OsTrain.H23:
        ends.append(END_OF_23H2)
    until = min(ends, default=None)
    days_left = (until - now.date()).days if until else None
    return SupportWindow(
        version=version,
        available_on=available_on,
        until=until,
        days_left=days_left,
        text=_text(version, until, days_left),
    )


def available(version: SolutionVersion, releases: Sequence[Release]) -> date | None:
    """Return the day on which a version became available, if it is known."""
    return next((item.available_on for item in releases if item.version == version), None)


def add_months(day: date, months: int) -> date:
    """Return the same day some months later, or the last one of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in range(day.day, 27, -1):
        try:
            return date(year, month + 1, last)
        except ValueError:
            continue
    return date(year, month + 1, day.day)


def _text(version: SolutionVersion, until: date | None, days_left: int | None) -> str:
    if until is None or days_left is None:
        return f"how long {version} is supported is not known"
    train = ""
    if version.os_train is OsTrain.H23 and until == END_OF_23H2:
        train = "; support of 23H2 ended in April 2026, except for going forward"
        if days_left >= 0:
            train = "; support of 23H2 ends then"
    if days_left < 0:
        return f"support of {version} ended on {until}, {-days_left} days ago{train}"
    return f"{version} is supported until {until}, {days_left} more days{train}"
