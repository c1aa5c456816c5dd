"""The stream of chunks by itself: what opens, and what does not."""

import hashlib
import random
from pathlib import Path

import pytest

from toolkit.errors import DigestError
from toolkit.media._device import StreamDigest, copy_durably
from toolkit.media._encryption import (
    CHUNK_BYTES,
    PLAIN_BYTES,
    TAG_BYTES,
    Decrypting,
    Encrypting,
    encrypted_bytes,
    payload_key,
)
from toolkit.model import Silent

SIZES = (0, 1, PLAIN_BYTES - 1, PLAIN_BYTES, PLAIN_BYTES + 1, 2 * PLAIN_BYTES, 3 * PLAIN_BYTES + 7)


def key_of(data: bytes, **other):
    facts = {
        "set_id": "7e4f",
        "target": "payload/x.zip",
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return payload_key(bytes(32), **{**facts, **other})


def changed(size_bytes, sha256):
    return DigestError("write x.zip", found=f"{size_bytes} bytes, sha256 {sha256}")


def encrypted(path: Path, data: bytes, *, key=None, offset=0, step=CHUNK_BYTES * 4) -> bytes:
    key = key or key_of(data)
    out = bytearray()
    buffer = memoryview(bytearray(step))
    with path.open("rb", buffering=0) as file:
        reading = Encrypting(file, key, changed=changed)
        reading.seek(offset)
        while count := reading.readinto(buffer):
            out += buffer[:count]
    return bytes(out)


def opened(ciphertext: bytes, key, *, step=1 << 20) -> tuple[bytes, str | None]:
    out = bytearray()
    opening = Decrypting(key, out.extend)
    for at in range(0, len(ciphertext), step):
        opening.write(memoryview(ciphertext)[at : at + step])
    fault = opening.finish()
    return bytes(out), fault


@pytest.fixture
def made(tmp_path):
    """Make a file of a size; return it, its bytes and its ciphertext."""

    def make(size_bytes):
        data = random.Random(size_bytes).randbytes(size_bytes)
        path = tmp_path / "x.zip"
        path.write_bytes(data)
        return path, data, encrypted(path, data)

    return make


@pytest.mark.parametrize("size_bytes", SIZES)
def test_what_was_encrypted_is_decrypted(made, size_bytes):
    _, data, ciphertext = made(size_bytes)
    assert len(ciphertext) == encrypted_bytes(size_bytes)
    assert opened(ciphertext, key_of(data)) == (data, None)


def test_an_empty_payload_is_one_empty_chunk(made):
    assert len(made(0)[2]) == TAG_BYTES


@pytest.mark.parametrize("step", [1, 4096 + 1, CHUNK_BYTES - 1, CHUNK_BYTES + 1, 1 << 26])
def test_pieces_of_any_length_are_taken(made, step):
    path, data, ciphertext = made(SIZES[-1] if step > 1 else 5)
    assert encrypted(path, data, step=step) == ciphertext
    assert opened(ciphertext, key_of(data), step=step) == (data, None)


def test_the_same_payload_gives_the_same_bytes_and_another_does_not(made):
    path, data, ciphertext = made(1000)
    assert encrypted(path, data) == ciphertext
    other = encrypted(path, data, key=key_of(data, target="payload/y.zip"))
    assert not [at for at in range(0, 1000, 16) if other[at : at + 16] == ciphertext[at : at + 16]]


@pytest.mark.parametrize("offset", [0, CHUNK_BYTES, 3 * CHUNK_BYTES])
def test_reading_from_the_middle_gives_the_rest_of_the_whole(made, offset):
    path, data, ciphertext = made(SIZES[-1])
    assert encrypted(path, data, offset=offset) == ciphertext[offset:]


def chunks(ciphertext):
    return [ciphertext[at : at + CHUNK_BYTES] for at in range(0, len(ciphertext), CHUNK_BYTES)]


@pytest.mark.parametrize(
    ("order", "found", "kept"),
    [
        ((1, 0, 2, 3), "chunk 0 of 4 does not open", 0),
        ((0, 2, 1, 3), "chunk 1 of 4 does not open", 1),
        ((0, 1, 1, 2, 3), "chunk 2 of 4 does not open", 2),
        ((0, 1, 3), "chunk 2 of 4 does not open", 2),
        ((0, 1, 2), "it ends after 3 of 4 chunks", 3),
        ((), "it ends after 0 of 4 chunks", 0),
        ((0, 1, 2, 3, 3), "chunk 3 of 4 does not open", 3),
        ((3,), "chunk 0 of 4 does not open", 0),
    ],
)
def test_chunks_that_were_moved_repeated_or_left_out_do_not_open(made, order, found, kept):
    _, data, ciphertext = made(SIZES[-1])
    parts = chunks(ciphertext)
    plain, fault = opened(b"".join(parts[index] for index in order), key_of(data))
    assert fault == found
    assert plain == data[: kept * PLAIN_BYTES]


def test_a_chunk_behind_the_last_is_noticed(made):
    _, data, ciphertext = made(2 * PLAIN_BYTES)
    assert opened(ciphertext + ciphertext[:CHUNK_BYTES], key_of(data)) == (
        data,
        "it goes on behind its 2 chunks",
    )


def test_a_payload_cut_to_its_first_chunk_does_not_pass_for_a_shorter_one(made):
    _, data, ciphertext = made(2 * PLAIN_BYTES)
    cut = data[:PLAIN_BYTES]
    assert opened(ciphertext[:CHUNK_BYTES], key_of(cut)) == (b"", "chunk 0 of 1 does not open")


@pytest.mark.parametrize(
    "other", [{"set_id": "8a"}, {"target": "payload/y.zip"}, {"sha256": "0" * 64}]
)
def test_the_key_of_another_set_target_or_payload_opens_nothing(made, other):
    _, data, ciphertext = made(10)
    plain, fault = opened(ciphertext, key_of(data, **other))
    assert (plain, fault) == (b"", "chunk 0 of 1 does not open")


@pytest.mark.parametrize("byte", [0, PLAIN_BYTES, CHUNK_BYTES - 1, CHUNK_BYTES, -1])
def test_no_byte_of_a_damaged_chunk_is_handed_on(made, byte):
    _, data, ciphertext = made(SIZES[4])
    damaged = bytearray(ciphertext)
    damaged[byte] ^= 1
    plain, fault = opened(bytes(damaged), key_of(data))
    assert fault is not None
    assert plain == data[: (byte % len(ciphertext)) // CHUNK_BYTES * PLAIN_BYTES]


def test_what_opens_and_is_another_plaintext_is_said(made):
    """Only who knows the key can make such bytes: a recipient, or home itself."""
    path, data, _ = made(10)
    key = key_of(data)
    path.write_bytes(b"0123456789")
    with path.open("rb", buffering=0) as file:
        reading = Encrypting(file, key, changed=changed)
        reading._is_whole = False
        buffer = memoryview(bytearray(100))
        forged = bytes(buffer[: reading.readinto(buffer)])
    plain, fault = opened(forged, key)
    assert plain == b"0123456789"
    assert "decrypted it has the sha256 84d8" in fault


@pytest.mark.parametrize("now", [b"", b"short", b"x" * 100, b"y" * 101, b"x" * (2 << 20)])
def test_a_file_that_changed_is_not_encrypted_to_its_end(tmp_path, now):
    key = key_of(b"y" * 100)
    source, target = tmp_path / "x.zip", tmp_path / "x.zip.enc"
    source.write_bytes(now)
    digest = hashlib.sha256(now).hexdigest()
    with (
        StreamDigest() as hashing,
        pytest.raises(DigestError, match=f"{len(now)} bytes, sha256 {digest}"),
    ):
        copy_durably(
            source,
            target,
            digest=hashing,
            accept=lambda: True,
            progress=Silent(),
            through=lambda file: Encrypting(file, key, changed=changed),
        )
    assert not target.exists()


def test_no_secret_is_printed():
    assert "secret" not in repr(key_of(b"x"))
