"""Steps of an update run, and times as `ConvertTo-Json` of Windows PowerShell 5.1 prints them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


def date_json(moment: datetime | None) -> str | None:
    """Return a date as `/Date(milliseconds since 1970)/`."""
    if moment is None:
        return None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return f"/Date({since // timedelta(milliseconds=1)})/"


def span_json(length: timedelta) -> dict[str, object]:
    """Return a time span as the object its public properties make."""
    seconds = length.total_seconds()
    return {
        "Ticks": length // timedelta(microseconds=1) * 10,
        "Days": length.days,
        "Hours": length.seconds // 3600,
        "Milliseconds": length.microseconds // 1000,
        "Minutes": length.seconds // 60 % 60,
        "Seconds": length.seconds % 60,
        "TotalDays": seconds / 86400,
        "TotalHours": seconds / 3600,
        "TotalMilliseconds": seconds * 1000,
        "TotalMinutes": seconds / 60,
        "TotalSeconds": seconds,
    }


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an update run with its end already known; `shown_at` is what a node shows of it."""

    name: str
    start: datetime
    end: datetime
    description: str = ""
    status: str = "Success"
    error: str = ""
    steps: tuple[Step, ...] = ()
    expected: timedelta | None = None
    """How long the orchestrator expects it to take, where it says so."""

    def shown_at(self, moment: datetime) -> dict[str, object]:
        """Return the step as JSON of Windows PowerShell, as it looks at that moment."""
        begun, ended = moment >= self.start, moment >= self.end
        status = self.status if ended else "InProgress" if begun else "NotStarted"
        return {
            "Name": self.name,
            "Description": self.description,
            "ErrorMessage": self.error if ended else "",
            "AggregatedErrorMessages": None,
            "Status": status,
            "StartTimeUtc": date_json(self.start) if begun else None,
            "EndTimeUtc": date_json(self.end) if ended else None,
            "LastUpdatedTimeUtc": date_json(min(moment, self.end)) if begun else None,
            "ExpectedExecutionTime": None if self.expected is None else span_json(self.expected),
            "Steps": [step.shown_at(moment) for step in self.steps],
        }
