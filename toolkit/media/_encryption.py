"""The bytes of a payload on an encrypted medium: AES-256-GCM, chunk by chunk.

Theory of operation. A set has one random key (`_set_key`). Each payload has a key of its own that follows
from it by HKDF over all that the payload is: set, target name, plaintext length and SHA-256. So no key
serves two payloads, one payload in another's place does not open, and the same bytes can be written again
with nothing kept but the set's key. A payload is cut into chunks that are encrypted one by one; the nonce
is the chunk's number and a mark on the last, so that chunks which were moved, repeated or cut off do not
open. With its tag a chunk has exactly 1 MiB: every cut of a set, on a multiple of 64 MiB, falls between two.

Nothing here believes the tags alone: what lies on a medium is proven by signed hashes of the ciphertext,
what was decrypted by the signed hash of the plaintext.

Source: Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance", 2015 (STREAM), with the nonces of age-encryption.org/v1, "Payload"; NIST SP 800-38D
(GCM); RFC 5869 (HKDF).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from toolkit.errors import DigestError
from toolkit.model import Sha256

SCHEME = "aes-256-gcm-chunks-of-1-mib"
"""What set.json calls all this."""
KEY_BYTES = 32
CHUNK_BYTES = 1 << 20
"""Of ciphertext with its tag; the last chunk may be shorter."""
TAG_BYTES = 16
PLAIN_BYTES = CHUNK_BYTES - TAG_BYTES
_COUNTER_BYTES = 11
"""With the mark on the last chunk they are the 12 bytes of a nonce."""


def encrypted_bytes(size_bytes: int) -> int:
    """Return how long a payload of that length is when it is encrypted."""
    return size_bytes + TAG_BYTES * _chunk_count(size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadKey:
    """The key of one payload, and of which."""

    secret: bytes = field(repr=False)
    size_bytes: int
    """Of the plaintext."""
    sha256: Sha256
    """Of the plaintext."""

    @property
    def chunk_count(self) -> int:
        """How many chunks the payload has: at least one, which may be empty."""
        return _chunk_count(self.size_bytes)

    def nonce(self, number: int) -> bytes:
        """Return the nonce of a chunk, counted from 0."""
        is_last = number == self.chunk_count - 1
        return number.to_bytes(_COUNTER_BYTES, "big") + bytes([is_last])


def payload_key(
    set_key: bytes, *, set_id: str, target: str, size_bytes: int, sha256: Sha256
) -> PayloadKey:
    """Return the key of one payload.

    Args:
        set_key: The set's key.
        set_id: The set's UUID.
        target: The payload's target name.
        size_bytes: Length of the plaintext.
        sha256: SHA-256 of the plaintext.
    """
    about = "\n".join(("ferry payload key 1", set_id, target, str(size_bytes), sha256))
    derivation = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=about.encode())
    return PayloadKey(secret=derivation.derive(set_key), size_bytes=size_bytes, sha256=sha256)


class Encrypting:
    """A payload's file, read as its ciphertext."""

    def __init__(
        self, file: io.FileIO, key: PayloadKey, *, changed: Callable[[int, Sha256], DigestError]
    ) -> None:
        """Take the opened plaintext.

        Args:
            file: The plaintext.
            key: The payload's key.
            changed: Makes the error for a file that is not the payload any more, from its length and hash.
        """
        self._file = file
        self._key = key
        self._changed = changed
        self._cipher = AESGCM(key.secret)
        self._plain = hashlib.sha256()
        self._is_whole = True
        self._number = 0
        self._ready = memoryview(b"")

    def seek(self, offset: int) -> None:
        """Go on at this offset of the ciphertext, a multiple of `CHUNK_BYTES`.

        Only what is read from its beginning to its end is compared with the payload's hash.
        """
        self._number = offset // CHUNK_BYTES
        self._is_whole = offset == 0
        self._file.seek(self._number * PLAIN_BYTES)

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer as far as the ciphertext goes and return the count; 0 at the end.

        Raises:
            DigestError: The file is not the payload any more.
            OSError: It cannot be read.
        """
        filled = 0
        while filled < len(buffer):
            if not self._ready:
                self._ready = memoryview(self._next())
                if not self._ready:
                    break
            part = self._ready[: len(buffer) - filled]
            buffer[filled : filled + len(part)] = part
            self._ready = self._ready[len(part) :]
            filled += len(part)
        return filled

    def _next(self) -> bytes:
        left = self._key.chunk_count - self._number
        if not left:
            return b""
        expected = min(PLAIN_BYTES, self._key.size_bytes - self._number * PLAIN_BYTES)
        plain = self._file.read(expected)
        self._plain.update(plain)
        is_end = left == 1 and not self._file.read(1)
        if len(plain) != expected or is_end != (left == 1):
            raise self._refusal()
        if is_end and self._is_whole and self._plain.hexdigest() != self._key.sha256:
            raise self._refusal()
        number, self._number = self._number, self._number + 1
        return self._cipher.encrypt(self._key.nonce(number), plain, None)

    def _refusal(self) -> DigestError:
        self._file.seek(0)
        found = hashlib.file_digest(self._file, "sha256").hexdigest()
        return self._changed(self._file.tell(), Sha256(found))


class Decrypting:
    """Takes the ciphertext of a payload in any pieces and hands on its plaintext.

    Nothing of a chunk that does not open is handed on, and nothing after it.
    """

    def __init__(self, key: PayloadKey, sink: Callable[[bytes], object]) -> None:
        """Open with `key`, and give what was opened to `sink`."""
        self._key = key
        self._sink = sink
        self._cipher = AESGCM(key.secret)
        self._plain = hashlib.sha256()
        self._number = 0
        self._pending = bytearray()
        self._fault: str | None = None

    def write(self, data: memoryview) -> None:
        """Take the next bytes of the ciphertext."""
        while len(data):
            part = data[: CHUNK_BYTES - len(self._pending)]
            data = data[len(part) :]
            if len(part) == CHUNK_BYTES:
                self._open(part)
                continue
            self._pending += part
            if len(self._pending) == CHUNK_BYTES:
                self._open_pending()

    def finish(self) -> str | None:
        """Take the end, and return what is wrong in words; None: it was the whole payload."""
        if self._pending:
            self._open_pending()
        if self._fault is None and self._number < self._key.chunk_count:
            return f"it ends after {self._number} of {self._key.chunk_count} chunks"
        if self._fault is None and self._plain.hexdigest() != self._key.sha256:
            return f"decrypted it has the sha256 {self._plain.hexdigest()}"
        return self._fault

    def _open_pending(self) -> None:
        self._open(memoryview(bytes(self._pending)))
        self._pending.clear()

    def _open(self, chunk: memoryview) -> None:
        if self._fault is not None:
            return
        if self._number == self._key.chunk_count:
            self._fault = f"it goes on behind its {self._number} chunks"
            return
        try:
            plain = self._cipher.decrypt(self._key.nonce(self._number), chunk, None)
        except InvalidTag:
            self._fault = f"chunk {self._number} of {self._key.chunk_count} does not open"
            return
        self._number += 1
        self._plain.update(plain)
        self._sink(plain)


def _chunk_count(size_bytes: int) -> int:
    return max(1, -(-size_bytes // PLAIN_BYTES))
