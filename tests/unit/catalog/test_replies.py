"""The head of an HTTP answer, read without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import Message

import pytest

from toolkit.catalog._replies import (
    Challenge,
    InterruptedDownload,
    challenges,
    check_status,
    offered,
    read_head,
    retry_after_s,
)
from toolkit.errors import DownloadError
from toolkit.names import shown

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def head(status, asked_range=False, **fields):
    return read_head(status, fields_of(**fields), attempted="fetch it", asked_range=asked_range)


def fields_of(**fields):
    made = Message()
    for name, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            made[name.replace("_", "-")] = value
    return made


def test_a_whole_file_has_a_length_and_no_offset():
    found = head(200, Content_Length="10", ETag='"x"')
    assert (found.start, found.body_bytes, found.total_bytes, found.validator) == (0, 10, 10, '"x"')


def test_a_range_has_its_own_length_and_that_of_the_file():
    found = head(206, asked_range=True, Content_Range="bytes 5-9/20", Content_Length="5")
    assert (found.start, found.body_bytes, found.total_bytes) == (5, 5, 20)


def test_the_length_of_the_file_may_be_unknown_in_a_range():
    assert head(206, asked_range=True, Content_Range="bytes 5-9/*").total_bytes is None


@pytest.mark.parametrize(("span", "start"), [("bytes */20", 20), ("", -1), ("bytes */*", -1)])
def test_past_the_end_nothing_follows(span, start):
    found = head(416, asked_range=True, Content_Range=span)
    assert (found.start, found.body_bytes) == (start, 0)


def test_a_weak_etag_names_no_state():
    assert head(200, ETag='W/"x"').validator == ""
    assert head(200, ETag='W/"x"', Last_Modified="today").validator == "today"


def test_the_same_length_twice_is_one_length():
    assert head(200, Content_Length=["7", "7"]).body_bytes == 7


def test_two_lengths_are_none():
    with pytest.raises(DownloadError, match="'7, 8'"):
        head(200, Content_Length=["7", "8"])


def test_a_length_beside_chunks_does_not_count():
    assert head(200, Content_Length="7", Transfer_Encoding="chunked").body_bytes is None


@pytest.mark.parametrize("status", [206, 416])
def test_a_range_that_nobody_asked_for_is_refused(status):
    with pytest.raises(DownloadError, match="nobody asked for"):
        head(status, Content_Range="bytes 0-4/5")


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
def test_every_compression_is_refused(coding):
    with pytest.raises(DownloadError, match=coding):
        head(200, Content_Encoding=coding)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 5 ", 5),
        ("Thu, 26 Nov 2026 12:01:00 GMT", 60),
        ("Thu, 26 Nov 2026 11:00:00 GMT", 0),
        ("Thursday, 26-Nov-26 12:01:00 GMT", 60),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("9" * 400, None),
        ("Thu, 99 Nov 2026 12:01:00 GMT", None),
    ],
)
def test_a_wait_is_seconds_or_a_date(value, seconds):
    assert retry_after_s(fields_of(Retry_After=value), NOW) == seconds


def test_without_a_wait_none_is_asked_for():
    with pytest.raises(InterruptedDownload) as caught:
        check_status(429, "Too Many Requests", fields_of(), attempted="fetch it", now=NOW)
    assert caught.value.retry_after_s is None
    assert "we ask too often" in caught.value.found


def test_several_challenges_may_share_a_field():
    field = 'Basic realm="a, Digest b", charset="UTF-8", Negotiate YII=, NTLM'
    assert challenges([field]) == (
        Challenge("Basic", 'realm=""'), Challenge("Negotiate", "YII="), Challenge("NTLM", "")
    )  # fmt: skip


def test_each_method_is_named_once():
    assert offered(["NTLM", "NTLM TlRM", "Basic realm=x"]) == "NTLM, Basic"
    assert offered([]) == "no method"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://h/x", "https://h/x"),
        ("https://user:pw@h:1/x", "https://h:1/x"),
        ("https://h/x?sig=abc#y", "https://h/x?…"),
        ("https://[::1/x", "an unreadable address"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url, text):
    assert shown(url) == text
