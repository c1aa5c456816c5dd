"""Any bytes, and any value in any place of a draft, are a draft that can end or are refused."""

import copy
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.media.making import NOW, PASSPHRASE, days
from toolkit.errors import InputError, SignatureError
from toolkit.media import Ceremony, RootChange, init_trust
from toolkit.media._draft import draft_facts, read_draft

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)


def places(value, path=()):
    """Return the paths of every value inside a document."""
    inner = enumerate(value) if isinstance(value, list) else ()
    for name, item in value.items() if isinstance(value, dict) else inner:
        yield (*path, name)
        yield from places(item, (*path, name))


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    keys = tmp_path_factory.mktemp("drafts") / "keys"
    init_trust(keys, PASSPHRASE, expires_at=NOW + days(700), now=NOW)
    ceremony = Ceremony(keys, now=NOW)
    ceremony.revise(RootChange(role="timestamp", adds_key=True, removes=""), PASSPHRASE)
    ceremony.sign(keys / "root.pem", PASSPHRASE)
    return json.loads(ceremony.draft_file.read_bytes())


def read(data):
    """Return what a draft says, or None if it is refused as it should be."""
    try:
        return draft_facts(read_draft(data, file="draft"))
    except (InputError, SignatureError):
        return None


def require_the_same_or_unsigned(signed, data):
    """Whatever still counts as signed says the same; only a root's spelling, its fingerprint, is free."""
    facts, meant = read(data), read(json.dumps(signed).encode())
    if facts is not None and facts.is_enough:
        assert (facts.root, facts.changes) == (meant.root, meant.changes)


@given(st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_refused_as_input(data):
    assert read(data) is None


@settings(max_examples=300)
@given(at=st.integers(0, 1 << 16), value=json_values)
@example(at=0, value=1.5)
def test_any_value_in_any_place_never_gets_more_said_than_was_signed(signed, at, value):
    document = copy.deepcopy(signed)
    (*path, last) = (every := list(places(document)))[at % len(every)]
    inner = document
    for name in path:
        inner = inner[name]
    inner[last] = value
    require_the_same_or_unsigned(signed, json.dumps(document).encode())


@settings(max_examples=200)
@given(at=st.integers(0, 1 << 20), bit=st.integers(0, 7))
def test_no_flipped_bit_says_something_else_and_is_signed(signed, at, bit):
    data = bytearray(json.dumps(signed).encode())
    data[at % len(data)] ^= 1 << bit
    require_the_same_or_unsigned(signed, bytes(data))
