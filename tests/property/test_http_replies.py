"""Any answer is understood or refused with our own error; a length that is believed is a number."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import Message
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from toolkit.catalog._replies import (
    InterruptedDownload,
    challenges,
    check_status,
    read_head,
    retry_after_s,
)
from toolkit.errors import AuthenticationError, DownloadError
from toolkit.names import shown

NOW = datetime(2026, 11, 26, tzinfo=UTC)
values = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40),
    st.builds("bytes {}-{}/{}".format, st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)),
    st.integers(-5, 10**20).map(str),
    st.sampled_from(["chunked", "identity", "gzip", "*", 'W/"x"', '"x"', "bytes */5"]),
)
fields = st.lists(
    st.tuples(
        st.sampled_from(
            ["Content-Length", "Content-Range", "Content-Encoding", "Transfer-Encoding", "ETag",
             "Last-Modified", "Retry-After", "Date", "WWW-Authenticate", "Proxy-Authenticate"]
        ), values,
    ),
    max_size=6,
)  # fmt: skip


def message(pairs):
    made = Message()
    for name, value in pairs:
        made[name] = value
    return made


def outcome(read):
    try:
        return read()
    except (DownloadError, AuthenticationError) as error:
        return error


@given(st.sampled_from([200, 206, 416]), fields, st.booleans())
def test_a_head_is_understood_or_refused_for_good(status, pairs, asked_range):
    found = outcome(
        lambda: read_head(status, message(pairs), attempted="x", asked_range=asked_range)
    )
    assert not isinstance(found, InterruptedDownload)
    if isinstance(found, DownloadError):
        return
    assert found.start >= -1
    assert found.body_bytes is None or found.body_bytes >= 0
    if found.total_bytes is not None and found.body_bytes is not None:
        assert found.start + found.body_bytes <= found.total_bytes


@given(st.integers(100, 999), fields)
def test_a_status_brings_a_file_or_one_of_our_errors_with_advice(status, pairs):
    found = outcome(lambda: check_status(status, "Reason", message(pairs), attempted="x", now=NOW))
    assert (found is None) == (status in (200, 206, 416))
    assert found is None or found.hint


@given(fields)
def test_a_wait_is_never_negative(pairs):
    found = retry_after_s(message(pairs), NOW)
    assert found is None or found >= 0


@given(st.lists(st.text(max_size=60), max_size=3))
def test_any_challenge_is_read(texts):
    assert all(challenge.scheme for challenge in challenges(texts))


@given(st.text(max_size=60))
def test_a_password_is_never_shown(text):
    assert "@" not in shown(f"https://user:{quote(text, safe='')}@host/").partition("host")[0]
