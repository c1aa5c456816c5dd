"""The text of the codes: any order, twice, wrapped; never a part, never another request's."""

import base64
import hashlib
import random
import zlib

import pytest
import segno

from tests.made_requests import make_request
from toolkit.errors import InputError
from toolkit.request import from_paper, to_bytes, to_paper
from toolkit.request._paper import PART_CHARS, is_paper
from toolkit.request._paper_words import WORDS
from toolkit.signed import LIMIT_BYTES


def large(key) -> bytes:
    noise = random.Random(1)
    unknown = tuple((f"everything of node{n}", noise.randbytes(60).hex()) for n in range(20))
    return to_bytes(make_request(16, unknown=unknown), key)


def as_code(packed: bytes) -> bytes:
    text = base64.b32encode(packed).decode().rstrip("=")
    return f"FERRY1:1/1:{hashlib.sha256(packed).hexdigest()[:8].upper()}:{text}".encode()


def test_dictionary_of_this_format_never_changes():
    assert (
        hashlib.sha256(WORDS).hexdigest()
        == "f2c6ba716050685fb3a0911ec551a2827a0287f92556615d4ead774cc3367700"
    )


@pytest.mark.parametrize("nodes", [1, 4, 16])
def test_usual_request_fits_into_one_code_that_phones_read(key, nodes):
    (text,) = to_paper(to_bytes(make_request(nodes), key))
    code = segno.make_qr(text, error="m", boost_error=False)
    assert code.version <= 25
    assert code.mode == "alphanumeric"


def test_codes_are_read_in_any_order_and_also_twice(key):
    data = large(key)
    texts = list(to_paper(data))
    assert 2 <= len(texts) <= 3
    assert all(len(text) < PART_CHARS + 25 for text in texts)
    assert from_paper("\n".join([*reversed(texts), texts[0]]).encode()) == data


def test_text_that_a_mail_program_broke_is_read(key):
    data = large(key)
    text = "".join(to_paper(data)).lower()
    wrapped = "\r\n  ".join(text[at : at + 60] for at in range(0, len(text), 60))
    assert from_paper(wrapped.encode()) == data


def test_output_of_zbarimg_with_its_labels_is_read(key):
    data = large(key)
    text = "".join(f"QR-Code:{part}\n" for part in to_paper(data)).encode()
    assert is_paper(text)
    assert from_paper(text) == data


def test_missing_code_is_named(key):
    with pytest.raises(InputError, match="no code 2 of 3"):
        from_paper(
            "\n".join(
                part for part in to_paper(large(key)) if "/3" in part[:10] and "2/" not in part[:10]
            ).encode()
        )


def test_codes_of_two_requests_are_refused(key):
    mixed = [to_paper(large(key))[0], to_paper(to_bytes(make_request(), key))[0]]
    with pytest.raises(InputError, match=r"more than one request|cannot be read"):
        from_paper("\n".join(mixed).encode())


def test_misread_letter_is_noticed(key):
    (text,) = to_paper(to_bytes(make_request(), key))
    wrong = text[:-5] + ("A" if text[-5] != "A" else "B") + text[-4:]
    with pytest.raises(InputError, match="misread"):
        from_paper(wrong.encode())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", "begins with"),
        (b"hello", "begins with"),
        (b"FERRY1:", "cannot be read"),
        (b"FERRY1:1/1:00000000:ABC1", "cannot be read"),
        (b"FERRY1:0/0:00000000:ABCD", "no code"),
        (b"FERRY1:9/1:00000000:ABCD", "no code 1"),
        (b"FERRY1:1/1:00000000:ABCD", "misread"),
        (b"notes FERRY1:1/1:00000000:ABCD", "begins with"),
    ],
)
def test_text_that_is_no_request_is_refused(text, found):
    with pytest.raises(InputError, match=found):
        from_paper(text, file="request.txt")


def test_paper_of_a_newer_format_asks_for_a_newer_ferry():
    assert is_paper(b"FERRY2:1/1:00000000:ABCD")
    with pytest.raises(InputError) as refused:
        from_paper(b"FERRY2:1/1:00000000:ABCD")
    assert "newer ferry" in refused.value.hint


@pytest.mark.parametrize(
    "packed", [b"garbage", zlib.compress(b"{}")[:-3], b"", zlib.compress(b"{}") + b"x"]
)
def test_code_whose_data_cannot_be_unpacked_is_refused(packed):
    with pytest.raises(InputError):
        from_paper(as_code(packed))


def test_code_that_unpacks_without_end_is_refused_in_bounded_memory():
    deflate = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_DEFAULT_STRATEGY, WORDS)
    packed = deflate.compress(bytes(8 * LIMIT_BYTES)) + deflate.flush()
    with pytest.raises(InputError, match="more than"):
        from_paper(as_code(packed))


def test_request_too_large_for_one_page_is_refused_with_the_way_out(key):
    noise = random.Random(1)
    unknown = tuple((str(n), noise.randbytes(400).hex()) for n in range(30))
    with pytest.raises(InputError) as refused:
        to_paper(to_bytes(make_request(unknown=unknown), key))
    assert "request.json" in refused.value.hint
