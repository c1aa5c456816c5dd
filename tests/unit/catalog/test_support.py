from __future__ import annotations

from datetime import date

import pytest

from tests.unit.catalog.requests import NOW, version
from toolkit.catalog import load_manifests
from toolkit.catalog._support import add_months, support_of

RELEASES = load_manifests().releases


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 3, 17), 6, date(2026, 9, 17)),
        (date(2025, 8, 29), 6, date(2026, 2, 28)),
        (date(2025, 8, 31), 6, date(2026, 2, 28)),
        (date(2027, 8, 31), 6, date(2028, 2, 29)),
        (date(2025, 12, 16), 6, date(2026, 6, 16)),
        (date(2026, 3, 31), 1, date(2026, 4, 30)),
        (date(2025, 1, 15), 12, date(2026, 1, 15)),
    ],
)
def test_months_end_on_the_same_day_or_the_last_of_a_shorter_month(day, months, later):
    assert add_months(day, months) == later


def test_a_release_of_unknown_age_has_an_unknown_window():
    window = support_of(version("12.2604.1003.1006"), RELEASES, NOW)
    assert (window.until, window.days_left) == (None, None)
    assert "not known" in window.text


def test_the_last_day_is_still_supported():
    now = NOW.replace(month=9, day=17)
    assert support_of(version("12.2603.1002.15"), RELEASES, now).days_left == 0


def test_a_release_of_23h2_may_end_before_23h2_does():
    window = support_of(version("11.2504.1001.19"), RELEASES, NOW)
    assert str(window.until) == "2025-10-21"
