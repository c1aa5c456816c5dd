from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from toolkit.catalog._limits import Hours, Limits, Pace
from toolkit.errors import InputError


@pytest.mark.parametrize(
    ("text", "at", "wait"),
    [
        ("22:00-06:00", "21:59", timedelta(minutes=1)),
        ("22:00-06:00", "22:00", timedelta()),
        ("22:00-06:00", "00:00", timedelta()),
        ("22:00-06:00", "05:59", timedelta()),
        ("22:00-06:00", "06:00", timedelta(hours=16)),
        ("09:30-17:00", "09:00", timedelta(minutes=30)),
        ("09:30-17:00", "12:00", timedelta()),
        ("09:30-17:00", "17:00", timedelta(hours=16, minutes=30)),
        ("18:00-24:00", "23:59", timedelta()),
        ("18:00-24:00", "00:00", timedelta(hours=18)),
    ],
)
def test_the_wait_is_until_the_hours_begin(text, at, wait):
    now = datetime.strptime(f"2026-04-21 {at}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    assert Hours.parse(text).wait(now) == wait


@pytest.mark.parametrize(
    "text",
    ["", "22-06", "22:00", "22:00-22:00", "25:00-06:00", "22:61-06:00", "24:30-06:00", "a-b"],
)
def test_other_texts_are_no_hours(text):
    with pytest.raises(InputError, match="--between"):
        Limits.parse(between=text)


def test_hours_are_written_as_they_are_read():
    assert str(Hours.parse(" 2:05-14:00")) == "02:05-14:00"


@pytest.mark.parametrize(
    ("text", "rate"),
    [("500k", 512_000), ("5M", 5 << 20), ("1.5g", 3 << 29), ("16384", 16384), (" 1M ", 1 << 20)],
)
def test_rates_are_read_as_people_write_them(text, rate):
    assert Limits.parse(rate=text).rate_bytes_s == rate


@pytest.mark.parametrize("text", ["", "fast", "-5M", "5MB/s", "0", "15k", "5 M"])
def test_other_texts_are_no_rate(text):
    with pytest.raises(InputError, match="--limit-rate"):
        Limits.parse(rate=text)


@pytest.mark.parametrize("count", [0, -1, 17])
def test_connections_are_bounded(count):
    with pytest.raises(InputError, match="--connections"):
        Limits.parse(connections=count)


def test_a_pace_is_kept_over_time_and_not_made_up_for():
    pace = Pace(1000)
    assert pace.delay_s(500, 100.0) == pytest.approx(0.5)
    assert pace.delay_s(500, 100.0) == pytest.approx(1.0)
    assert pace.delay_s(500, 101.0) == pytest.approx(0.5)
    assert pace.delay_s(500, 200.0) == pytest.approx(0.5)


def test_without_a_rate_nobody_waits():
    assert Pace(None).delay_s(1 << 40, 0.0) == 0
