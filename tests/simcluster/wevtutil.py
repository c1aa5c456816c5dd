"""`wevtutil`: `epl` writes real .evtx files, `qe` prints events as XML.

Source: Microsoft Learn, "wevtutil" (verbs and options); "Consuming Events" (the XPath subset). Exit
codes and failure texts are Windows error messages (15007: channel not found, 80: file exists).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tests.simcluster.eventshapes import message
from tests.simcluster.evtx import Event, rendered_xml, write_evtx
from tests.simcluster.filecmdlets import locate
from tests.simcluster.pipeline import Call, Library, print_errors
from tests.simcluster.values import Value

LIBRARY = Library()

_ABSOLUTE = re.compile(
    r"TimeCreated\[\s*@SystemTime\s*(>=|<=|>|<)\s*(['\"])([^'\"]+)\2"
    r"(?:\s+and\s+@SystemTime\s*(>=|<=|>|<)\s*(['\"])([^'\"]+)\5)?"
)
_PROVIDER = re.compile(r"Provider\[\s*@Name\s*=\s*(['\"])([^'\"]+)\1\s*\]")
_EVENT_ID = re.compile(r"EventID\s*=\s*(\d+)")
_RELATIVE = re.compile(r"TimeCreated\[\s*timediff\(@SystemTime\)\s*<=\s*(\d+)\s*\]")


class _FailedError(Exception):
    """The program ends with a message and an exit code."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@LIBRARY.program("wevtutil.exe", "wevtutil")
def wevtutil(call: Call) -> Iterator[Value]:
    """Run one verb; what the program prints on its error stream becomes NativeCommandError."""
    arguments: list[str] = call.arguments["args"]
    verb = arguments[0].lower() if arguments else ""
    options = dict(_option(one) for one in arguments[1:] if one.startswith("/"))
    operands = [one for one in arguments[1:] if not one.startswith("/")]
    try:
        yield from _run(call, verb, operands, options)
    except _FailedError as failure:
        # a program's exit code stays in $LASTEXITCODE, which remoting does not carry
        print_errors(call, str(failure))


def _run(call: Call, verb: str, operands: list[str], options: dict[str, str]) -> Iterator[Value]:
    match verb, operands:
        case (("epl" | "export-log"), [channel, file]):
            _export(call, channel, file, options)
        case (("qe" | "query-events"), [channel]):
            yield from _query(call, channel, options)
        case (("el" | "enum-logs"), []):
            yield from sorted(call.node.channels)
        case _:
            raise _FailedError("Invalid command or wrong number of arguments.", 87)


def _option(argument: str) -> tuple[str, str]:
    name, _, value = argument[1:].partition(":")
    short = {"query": "q", "overwrite": "ow", "format": "f", "count": "c", "reversedirection": "rd"}
    return short.get(name.lower(), name.lower()), value


def _export(call: Call, channel: str, file: str, options: dict[str, str]) -> None:
    events = _selected(call, channel, options, f"Failed to export log {channel}.")
    target = locate(call, file)
    if not target.parent.is_dir():
        raise _FailedError(
            f"Failed to export log {channel}. The system cannot find the path specified.", 3
        )
    if target.exists() and options.get("ow", "").lower() != "true":
        raise _FailedError(f"Failed to export log {channel}. The file exists.", 80)
    write_evtx(target, events)


def _query(call: Call, channel: str, options: dict[str, str]) -> Iterator[Value]:
    events = _selected(call, channel, options, "Failed to read events.")
    if options.get("rd", "").lower() == "true":
        events = events[::-1]
    if "c" in options:
        events = events[: int(options["c"])]
    if options.get("f", "xml").lower() == "text":
        raise _FailedError("The simulator prints events as XML or RenderedXml only.", 87)
    for event in events:
        yield rendered_xml(event, message(event))


def _selected(call: Call, channel: str, options: dict[str, str], action: str) -> list[Event]:
    events = call.world.events(call.node, channel)
    if events is None:
        raise _FailedError(
            f"{action} The specified channel could not be found. Check channel configuration.",
            15007,
        )
    query = options.get("q", "*").strip()
    if query in {"", "*"}:
        return events
    begins, ends = _window(query, call.world.node_time(call.node))
    provider, event_id = _PROVIDER.search(query), _EVENT_ID.search(query)
    if not (begins or ends or provider or event_id):
        raise _FailedError(f"{action} The specified query is invalid.", 15001)
    return [
        event
        for event in events
        if (begins is None or event.time >= begins)
        and (ends is None or event.time <= ends)
        and (provider is None or event.provider == provider[2])
        and (event_id is None or event.event_id == int(event_id[1]))
    ]


def _window(query: str, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Read the time filter of a query: `TimeCreated[@SystemTime>='…']` or the timediff form."""
    plain = query.replace("&gt;", ">").replace("&lt;", "<")
    relative = _RELATIVE.search(plain)
    if relative:
        return now - timedelta(milliseconds=int(relative[1])), None
    begins = ends = None
    found = _ABSOLUTE.search(plain)
    if found:
        for operator, moment in ((found[1], found[3]), (found[4], found[6])):
            if operator and operator.startswith(">"):
                begins = _moment(moment)
            elif operator:
                ends = _moment(moment)
    return begins, ends


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise _FailedError("The specified query is invalid.", 15001) from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
