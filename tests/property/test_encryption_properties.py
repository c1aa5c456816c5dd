"""Whatever its length, a payload comes out of its ciphertext as it went in, and out of no other."""

import hashlib
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.media.test_encryption import encrypted, key_of, opened
from toolkit.media._encryption import CHUNK_BYTES, PLAIN_BYTES, encrypted_bytes

SIZES = st.builds(
    lambda chunks, beside: max(0, chunks * PLAIN_BYTES + beside),
    st.integers(0, 3),
    st.integers(-40, 40),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("encryption") / "x.zip"


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(SIZES, st.integers(1000, 3 << 20), st.integers(1000, 3 << 20))
def test_any_length_goes_there_and_back_in_any_pieces(path, size_bytes, into, out_of):
    data = random.Random(size_bytes).randbytes(size_bytes)
    path.write_bytes(data)
    ciphertext = encrypted(path, data, step=into)
    assert len(ciphertext) == encrypted_bytes(size_bytes)
    assert opened(ciphertext, key_of(data), step=out_of) == (data, None)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(SIZES, st.data())
def test_no_bit_can_be_changed_and_no_byte_left_out_or_added(path, size_bytes, data):
    plain = random.Random(size_bytes).randbytes(size_bytes)
    path.write_bytes(plain)
    ciphertext = bytearray(encrypted(path, plain))
    place = data.draw(st.integers(0, len(ciphertext) - 1))
    act = data.draw(st.sampled_from(("change", "remove", "add", "end")))
    match act:
        case "change":
            ciphertext[place] ^= 1 << data.draw(st.integers(0, 7))
        case "remove":
            del ciphertext[place]
        case "add":
            ciphertext.insert(place, 0)
        case "end":
            del ciphertext[place:]
    found, fault = opened(bytes(ciphertext), key_of(plain))
    assert fault is not None
    assert plain.startswith(found)
    if act == "change":
        assert len(found) <= place // CHUNK_BYTES * PLAIN_BYTES


@given(st.binary(max_size=300), st.integers(0, 3 * PLAIN_BYTES))
def test_any_bytes_are_refused_in_words(data, size_bytes):
    key = key_of(b"", size_bytes=size_bytes, sha256=hashlib.sha256(b"other").hexdigest())
    found, fault = opened(data, key)
    assert found == b""
    assert fault is not None
