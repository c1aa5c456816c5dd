"""For all values: what is sent as a parameter reads back the same; for all bytes: a value or `InputError`."""

import contextlib
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st
from pypsrp.serializer import Serializer

from toolkit.errors import InputError
from toolkit.remote._values import plain, wire

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

TAGS = ["Obj", "Props", "MS", "LST", "IE", "DCT", "En", "S", "I32", "BA", "C", "Ref", "TN", "T"]
trees = st.recursive(
    st.builds(
        lambda tag, text, ref: f'<{tag} RefId="{ref}" N="Key">{text}</{tag}>',
        st.sampled_from(TAGS),
        st.sampled_from(["", "7", "x", "_x0041_", "true"]),
        st.sampled_from(["0", "1"]),
    ),
    lambda inner: st.builds(
        lambda tag, ref, inside: f'<{tag} RefId="{ref}" N="Value">{"".join(inside)}</{tag}>',
        st.sampled_from(TAGS),
        st.sampled_from(["0", "1"]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=10,
)


@given(values)
def test_what_is_sent_reads_back_the_same(value):
    assert plain(ET.tostring(Serializer().serialize(wire(value)), encoding="unicode")) == value


@given(st.text() | trees)
def test_anything_is_a_value_or_refused_as_input(xml):
    with contextlib.suppress(InputError):
        plain(xml)
