"""A plan as a page to read and print: one HTML file that refers to nothing outside. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib import resources

from jinja2 import Environment, StrictUndefined

from toolkit.catalog._issues import Bearing
from toolkit.catalog._lacking import Supply
from toolkit.catalog._plan import Plan
from toolkit.catalog._space import Room, at_least
from toolkit.model import human_size

PAGE_MARK = '<meta name="generator" content="ferry plan">'
"""Stands near the beginning of every page: an earlier one may be replaced, anything else may not."""

_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
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
    """Return the page of a plan; every text is escaped by the template engine."""
    template = _environment().from_string(
        (resources.files("toolkit.catalog") / "_plan_page.html.j2").read_text(encoding="utf-8")
    )
    return template.render(plan=plan, tones=_TONES)


def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.finalize = _legal
    environment.filters |= {"time": _time, "size": human_size, "at_least": at_least}
    return environment


def _legal(value: object) -> object:
    return _ILLEGAL.sub("\ufffd", value) if type(value) is str else value


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
