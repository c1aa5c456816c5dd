"""Everything in a case that somebody wrote in words: what the text signatures are matched against.

One piece is one step's error, one event, one health check result, one error of a report, one reason
why evidence is missing. Signatures are matched against a piece, never across two.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import datetime

from toolkit.analysis._case import Case, Text, walk
from toolkit.analysis._events import CAU, MANAGEMENT
from toolkit.analysis._records import HealthResult, clean
from toolkit.model import Evidence, Gap, Severity, Source

_SHOWN = 4000
_MATCHED = 20_000
_ESCAPE = re.compile(r"\\u(00[2-7][0-9a-fA-F])")
_QUOTES = str.maketrans({"‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "\xa0": " "})


def normal(text: str) -> str:
    """Return text as signatures expect it: JSON and XML escapes undone, plain quotes and spaces."""
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text[:_MATCHED])
    return html.unescape(text).translate(_QUOTES)


def texts(case: Case, gaps: tuple[Gap, ...]) -> Iterator[Text]:
    """Yield every piece of text of a case."""
    yield from _of_steps(case)
    yield from _of_reports(case)
    yield from _of_plans(case)
    yield from _of_events(case)
    for source, result in case.checks:
        yield _of_check(case, source, result)
    for gap in gaps:
        yield _text(case, source=gap.source, node=gap.node, text=gap.detail, place="gap")


def _text(
    case: Case,
    *,
    source: str,
    text: str,
    place: str,
    node: str = "",
    at: datetime | None = None,
    target: str = "",
    raw: str = "",
    check: str = "",
) -> Text:
    shown = clean(text)
    return Text(
        evidence=Evidence(
            node=node or case.node_named(shown[:_SHOWN]),
            source=source,
            at=at,
            text=shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]} …",
            place=clean(place),
        ),
        raw=normal(raw or text),
        check=check,
        target=target,
    )


def _of_steps(case: Case) -> Iterator[Text]:
    for run in case.update_runs:
        for path, step in walk(run.progress) if run.progress else ():
            if step.error_message:
                yield _text(
                    case,
                    source=Source.UPDATE_RUNS,
                    at=step.ended_at or step.started_at or run.updated_at,
                    text=step.error_message,
                    place=f"{run.resource_id}: {' › '.join(path)}",
                    target=run.resource_id,
                )


def _of_reports(case: Case) -> Iterator[Text]:
    for report in case.reports:
        place = f"report of run {report.run_id or '(no id)'}, which began then"
        if report.error:
            yield _text(
                case,
                source=Source.CAU_REPORTS,
                at=report.started_at,
                text=report.error,
                place=place,
            )
        for node in report.nodes:
            if node.error:
                yield _text(
                    case,
                    source=Source.CAU_REPORTS,
                    node=case.spelled(node.node),
                    at=report.started_at,
                    text=node.error,
                    place=f"{place}, node {node.node}",
                )


def _of_plans(case: Case) -> Iterator[Text]:
    for plan in case.plans:
        if plan.words:
            yield _text(
                case,
                source=Source.ACTION_PLANS,
                at=plan.at,
                text=f"AdditionalInformation: {plan.words}",
                place=f"{plan.name or 'action plan'} {plan.instance_id}, {plan.status}",
            )
    for marker in case.markers:
        if marker.text:
            yield _text(
                case, source=Source.BREADCRUMBS, text=marker.text, place=f"file {marker.path}"
            )


def _of_events(case: Case) -> Iterator[Text]:
    for event in case.events:
        if event.severity is Severity.INFO and event.record.provider not in (CAU, MANAGEMENT):
            continue
        raw = f"{event.record.message} {' '.join(event.record.arguments)}"
        yield _text(
            case,
            source=event.source,
            node=case.spelled(event.subject),
            at=event.at,
            text=event.text,
            raw=raw,
            place=f"{event.place} on {event.node}",
        )


def _of_check(case: Case, source: str, result: HealthResult) -> Text:
    check = result.check
    parts = (check.name, check.title, check.description, check.detail)
    return _text(
        case,
        source=source,
        node=case.spelled(check.target) if case.node_named(check.target) else "",
        at=result.at,
        text=". ".join(part.rstrip(".") for part in parts if part),
        place=result.place,
        check=check.name,
    )
