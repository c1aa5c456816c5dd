"""A plan as a page to read and print: one HTML file that refers to nothing outside. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from toolkit.catalog._issues import Bearing
from toolkit.catalog._lacking import Supply
from toolkit.catalog._plan import Plan
from toolkit.catalog._space import Room, at_least
from toolkit.htmltext import page_template
from toolkit.model import human_size

PAGE_MARK = '<meta name="generator" content="ferry plan">'
"""Stands near the beginning of every page: an earlier one may be replaced, anything else may not."""

_TONES = {
    Room.ENOUGH: "good",
    Room.SHORT: "critical",
    Room.UNKNOWN: "warning",
    Supply.FETCHED: "good",
    Supply.BLOCKED: "critical",
    Supply.UNKNOWN: "warning",
    Supply.DISCONNECTED: "warning",
    Bearing.SEEN: "critical",
    Bearing.FITS: "warning",
    Bearing.OPEN: "info",
    Bearing.GENERAL: "plain",
}


def plan_page(plan: Plan) -> str:
    """Return the page of a plan."""
    template = page_template(
        "toolkit.catalog", "_plan_page.html.j2", time=_time, size=human_size, at_least=at_least
    )
    return template.render(plan=plan, tones=_TONES)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
