"""The report: one HTML file, readable at night, printable, with no reference to anything outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from toolkit import __version__
from toolkit.analysis._analysis import Analysis
from toolkit.htmltext import page_template

MARK = '<meta name="generator" content="ferry'
"""Stands near the beginning of every report; by it an earlier report is recognised."""

TIMELINE_ROWS = 400


def render(analysis: Analysis) -> str:
    """Return the report of an analysis."""
    template = page_template(
        "toolkit.analysis", "_report.html.j2", time=_time, clock=_clock, span=_span
    )
    shown = analysis.timeline[-TIMELINE_ROWS:]
    return template.render(
        analysis=analysis,
        verdict=analysis.verdict,
        moments=shown,
        left_out=analysis.timeline_left_out + len(analysis.timeline) - len(shown),
        version=__version__,
    )


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
