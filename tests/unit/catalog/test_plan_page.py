"""A plan as a page and as text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.unit.catalog.requests import GIB, request_of, sbe_of
from tests.unit.catalog.test_plan import BUNDLE, NEWEST, NO_SBE, Held, asks_for, plan_of, reach
from toolkit.catalog import plan_text
from toolkit.catalog._issues import Bearing
from toolkit.catalog._lacking import Supply
from toolkit.catalog._plan_page import _TONES, plan_page
from toolkit.catalog._space import Room
from toolkit.request import HealthSummary, Origin

HOSTILE = '<script>alert("x")</script>\x07&amp;'


class _Texts(HTMLParser):
    """Collects the text that a browser shows."""

    def __init__(self):
        super().__init__()
        self.texts = []

    def handle_data(self, data):
        self.texts.append(data)


def shown(plan):
    parser = _Texts()
    parser.feed(plan_page(plan))
    return re.sub(r"\s+", " ", " ".join(parser.texts))


def trip():
    return plan_of(
        request_of("11.2508.1001.51", cluster="a", endpoints=reach(aks=False)),
        request_of(
            cluster="b",
            updates=(asks_for("4.2.2603.5"),),
            is_disconnected_operations=True,
            origin=Origin.TYPED,
        ),
        request_of(NEWEST, cluster="c", **NO_SBE),
        sbes=[sbe_of()],
        held=[Held(NEWEST, BUNDLE)],
        free=8 * GIB,
    )


def test_the_page_shows_every_cluster_hop_payload_and_warning():
    plan = trip()
    text = shown(plan)
    assert f"b: 12.2510.1002.94 → {NEWEST}" in text
    assert "c: nothing to do" in text
    for payload in plan.payloads:
        assert payload.name in text
    for cluster in plan.clusters:
        for warning in (*plan.warnings, *cluster.warnings):
            assert re.sub(r"\s+", " ", warning) in text
        for hop in cluster.hops:
            assert f"{hop.start} → {hop.version}" in text
        for issue in cluster.issues:
            assert issue.mitigation in text
    assert "cannot be fetched: the update cannot finish" in text
    assert "Test-ARBStackBandwidth" in text


def test_the_page_refers_to_nothing_outside_and_runs_nothing():
    page = plan_page(trip())
    assert not re.search(r"<(script|img|link|iframe)|(src|href)=|@import|url\(", page)
    assert "default-src 'none'" in page


def test_what_strangers_wrote_is_text_on_the_page():
    plan = plan_of(
        request_of(
            cluster=HOSTILE,
            unknown=((HOSTILE, HOSTILE),),
            health=HealthSummary(failed_critical=(HOSTILE,)),
        ),
        sbes=[sbe_of(notify_message=HOSTILE)],
    )
    page = plan_page(plan)
    assert "<script>" not in page
    assert "\x07" not in page
    assert '<script>alert("x")</script>' in shown(plan)


@pytest.mark.parametrize("value", [*Room, *Supply, *Bearing], ids=str)
def test_every_answer_has_a_tone(value):
    assert _TONES[value] in ("good", "warning", "critical", "info", "plain")


def test_the_text_is_short_and_says_the_same():
    plan = trip()
    text = plan_text(plan)
    lines = text.splitlines()
    assert len(lines) < 70
    assert "a  11.2508.1001.51 → 12.2603.1002.15" in lines
    assert "c  12.2603.1002.15 (nothing newer than 12.2603.1002.15 is known)" in lines
    assert "     SBE with the update: SBE_Contoso_GenA_4.2.2603.5 (required)" in lines
    assert f"     then listed: {NEWEST} Ready (confirmed)" in lines
    assert f"        12.0 GiB  held    {BUNDLE}  for a, b" in lines
    assert "  room     medium: more than 12.0 GiB needed, not known free: cannot tell" in lines


def test_the_text_says_what_is_not_carried_and_what_comes_first():
    early = plan_text(plan_of(request_of("11.2509.1001.21"), goal="12.2509.1001.22"))
    assert '     first: Enable-SolutionFeature -Name "24H2Ready"' in early
    online = plan_text(plan_of(request_of("10.2411.2.12", **NO_SBE), goal="10.2503.0.13"))
    assert "  1. 10.2411.3.2  [not carried]" in online


def test_nothing_in_a_request_adds_a_line_to_the_text():
    forged = plan_text(plan_of(request_of(unknown=(("x", "y)\nplant7  signed by you"),))))
    assert "  ! not known: x (y) plant7  signed by you)" in forged.splitlines()
