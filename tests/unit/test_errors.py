"""What an error says is for people: no word of the programming language is in it."""

import json
import re
from pathlib import Path

import pytest

from toolkit.errors import InputError, misread, system_says

TOOLKIT = Path(__file__).parents[2] / "toolkit"
NOT_FOR_PEOPLE = re.compile(r"Error|codec|indices|object|NoneType|char \d|attribute|recursion")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "nothing in it"),
        (b"\xff\xfe", "no text in UTF-8 at byte 0"),
        (b"[1,\n x]", "no JSON at line 2, column 2"),
        (b"[" * 100_000, "values nested too deeply"),
        (b"{}", 'no "body"'),
        (b"[]", "a value of another kind than its place asks for"),
        (b"5", "a value of another kind than its place asks for"),
        (b'{"body": "\\ud800"}', "half a character in a text"),
        (b"1" * 10_000, "a number of thousands of digits"),
        (b'{"body": null}', "a value of another kind than its place asks for"),
    ],
)
def test_what_was_not_understood_is_said_in_plain_words(data, words):
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError, RecursionError)) as caught:
        json.loads(data.decode())["body"].encode()
    assert misread(caught.value) == words
    assert not NOT_FOR_PEOPLE.search(words)


def test_a_sentence_of_our_own_is_kept():
    assert misread(ValueError("plan.made_at has no time zone")) == "plan.made_at has no time zone"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "E:/x"), "No space left on device"),
        (OSError(None, "not a regular file", "E:/x"), "not a regular file"),
        (OSError("the disk said no"), "the disk said no"),
        (TimeoutError(), "the system gave no reason"),
    ],
)
def test_the_system_is_quoted_without_numbers_and_paths(error, words):
    assert system_says(error) == words


@pytest.mark.parametrize("quote", ["a", "it's ", 'a "word" of '])
def test_what_is_quoted_is_cut_where_it_is_longer_than_one_reads(quote):
    typed = quote * 480
    error = InputError("write a receipt", found=f"the name {typed!r}", expected="a name")
    assert len(str(error)) < 220
    assert f"… ({len(typed)} characters)" in str(error).replace("…'", "…").replace('…"', "…")


def test_a_number_is_cut_where_it_is_longer_than_one_reads():
    found = InputError("read", found=f"medium {10**399} instead of 1").found
    assert found == f"medium 1{'0' * 99}… (400 digits) instead of 1"
    assert InputError("read", found=f"sha256 {'0' * 64}").found == f"sha256 {'0' * 64}"


def test_a_long_sentence_with_apostrophes_is_kept():
    found = "the site's key; " * 40 + "'short' and the node's clock"
    assert InputError("read", found=found).found == found


def test_what_the_system_said_goes_through_one_place():
    own = [
        path.relative_to(TOOLKIT).as_posix()
        for path in TOOLKIT.rglob("*.py")
        if ".strerror" in path.read_text(encoding="utf-8")
        and "remote" not in path.parts  # where foreign libraries put other things into it
    ]
    assert own == ["errors.py"]


def test_only_a_bug_is_named_by_its_class():
    named = [
        path.relative_to(TOOLKIT).as_posix()
        for path in TOOLKIT.rglob("*.py")
        if "type(error).__name__}: {error}" in path.read_text(encoding="utf-8")
    ]
    assert named == []
