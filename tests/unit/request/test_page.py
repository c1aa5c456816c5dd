"""The page: it shows what a person must see, and nothing of a stranger's is markup."""

import re
from dataclasses import replace

import pytest

from tests.made_requests import make_request, request_with_noise
from toolkit.errors import InputError
from toolkit.request import (
    HealthSummary,
    render_page,
    to_bytes,
)
from toolkit.sbe import Hardware


def page_of(request, key) -> str:
    return render_page(request, to_bytes(request, key), key.fingerprint)


def test_page_shows_what_a_person_must_see(key):
    page = page_of(make_request(), key)
    for text in (
        "plant7",
        "2026-11-24 00:24 UTC",
        "measured on the cluster",
        "12.2602.1002.501",
        "Contoso GenA 4.2.2512.1616",
        "SKU 0A6B",
        "AdditionalContentRequired",
        "asks for SBE 4.2.2603.1",
        "187.0 <",
        "of 252.0 GB",
        "discovery of Solution",
        *key.fingerprint.split(),
    ):
        assert text in page, text


def test_page_of_an_empty_request_says_not_known(key):
    blank = make_request(
        0,
        **dict.fromkeys(("updates", "discovery", "volumes", "language_modes", "endpoints"), ()),
        solution_version="",
        hardware=Hardware(),
        health=HealthSummary(),
        is_disconnected_operations=None,
        time_floor=None,
    )
    blank = replace(blank, sbe_publisher="", sbe_family="", sbe_version="", sbe_state="")
    assert page_of(blank, key).count("not known") == 9


def test_text_of_the_cluster_is_never_markup_and_nothing_outside_is_named(key):
    evil = "<script>alert(1)</script>\x00\x1b"
    page = page_of(make_request(cluster=evil, solution_version=evil), key)
    assert "<script" not in page
    assert "\x00" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)\s*=|url\(|@import", page)


def test_request_with_more_codes_than_fit_is_refused(key):
    with pytest.raises(InputError, match="codes"):
        page_of(request_with_noise(8000), key)
