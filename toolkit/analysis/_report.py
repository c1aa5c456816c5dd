"""The report: one HTML file, readable at night, printable, with no reference to anything outside."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from importlib import resources

from jinja2 import Environment, StrictUndefined

from toolkit import __version__
from toolkit.analysis._analysis import Analysis

MARK = '<meta name="generator" content="ferry'
"""Stands near the beginning of every report; by it an earlier report is recognised."""

TIMELINE_ROWS = 400
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


def render(analysis: Analysis) -> str:
    """Return the report of an analysis.

    Every text is escaped by the template engine; characters that HTML forbids are replaced here.
    """
    template = _environment().from_string(
        (resources.files("toolkit.analysis") / "_report.html.j2").read_text(encoding="utf-8")
    )
    shown = analysis.timeline[-TIMELINE_ROWS:]
    return template.render(
        analysis=analysis,
        verdict=analysis.verdict,
        moments=shown,
        left_out=analysis.timeline_left_out + len(analysis.timeline) - len(shown),
        version=__version__,
    )


def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.finalize = _legal
    environment.filters |= {"time": _time, "clock": _clock, "span": _span}
    return environment


def _legal(value: object) -> object:
    return _ILLEGAL.sub("\ufffd", value) if isinstance(value, str) else value


def _time(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if at else "–"


def _clock(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%H:%M:%S") if at else "–"


def _span(duration: timedelta | None) -> str:
    if duration is None:
        return "–"
    seconds = int(duration.total_seconds())
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
