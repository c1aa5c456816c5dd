"""Keys, signatures and encryption of one SMB 3.1.1 session, from the server's side.

Source: [MS-SMB2] 3.1.4.1 and 3.1.5.1 (signing), 3.1.4.2 (keys), 3.1.4.3 and 2.2.41 (encryption),
3.3.5.4 (the chain of hashes over the messages before the logon).
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import struct
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

from tests.simcluster.smb_wire import (
    TRANSFORM_BYTES,
    TRANSFORM_MAGIC,
    BrokenFrameError,
    Command,
)

AES_128_GCM = 0x0002
SHA_512 = 0x0001

_TRANSFORM = struct.Struct("<4s16s16sIHHQ")
_KEY_BYTES = 16
_TAG_BYTES = 16
_SIGNATURE = slice(48, 64)


class SigningAlgorithm(IntEnum):
    """Signing algorithms of 2.2.3.1.7 that this server offers."""

    AES_CMAC = 1
    AES_GMAC = 2


class PreauthHash:
    """The running hash that ties the keys to every message before them."""

    def __init__(self, value: bytes = bytes(64)) -> None:
        self.value = value

    def add(self, message: bytes | bytearray | memoryview) -> None:
        """Take in one whole message, request or response."""
        self.value = hashlib.sha512(self.value + bytes(message)).digest()

    def copy(self) -> PreauthHash:
        """Branch the chain: each logon continues the connection's own."""
        return PreauthHash(self.value)


class SessionKeys:
    """All keys of one logged-on session."""

    def __init__(
        self, session_key: bytes, preauth: PreauthHash, algorithm: SigningAlgorithm
    ) -> None:
        secret = session_key[:_KEY_BYTES].ljust(_KEY_BYTES, b"\0")
        self._algorithm = algorithm
        self._signing_key = _derive(secret, b"SMBSigningKey\0", preauth)
        self._incoming = AESGCM(_derive(secret, b"SMBC2SCipherKey\0", preauth))
        self._outgoing = AESGCM(_derive(secret, b"SMBS2CCipherKey\0", preauth))
        self._nonces = itertools.count(1)

    def sign(self, message: bytearray) -> None:
        """Put the signature into a finished response, whose signature field is still zero."""
        message[_SIGNATURE] = self._signature(message, is_response=True)

    def is_signed(self, message: memoryview) -> bool:
        """Tell whether a request carries the signature only the logged-on client can make."""
        bare = bytearray(message)
        bare[_SIGNATURE] = bytes(16)
        expected = self._signature(bare, is_response=False)
        return hmac.compare_digest(expected, bytes(message[_SIGNATURE]))

    def seal(self, message: bytes | bytearray, session_id: int) -> bytes:
        """Encrypt a response into a frame with a transform header."""
        nonce = struct.pack("<QI", next(self._nonces), 0)
        head = _TRANSFORM.pack(
            TRANSFORM_MAGIC, bytes(16), nonce + bytes(4), len(message), 0, 1, session_id
        )
        sealed = self._outgoing.encrypt(nonce, message, head[20:])
        return b"".join((head[:4], sealed[-_TAG_BYTES:], head[20:], sealed[:-_TAG_BYTES]))

    def open(self, frame: bytearray) -> bytes:
        """Decrypt a request.

        Raises:
            BrokenFrameError: The frame was changed on its way, or never was this session's
                (3.3.5.2.1.1: the connection ends).
        """
        _, tag, nonce, size, _, flags, _ = _TRANSFORM.unpack_from(frame)
        head = bytes(frame[20:TRANSFORM_BYTES])
        try:
            message = self._incoming.decrypt(
                nonce[:12], b"".join((memoryview(frame)[TRANSFORM_BYTES:], tag)), head
            )
        except InvalidTag:
            raise BrokenFrameError("a frame does not decrypt") from None
        if flags != 1 or size != len(message):
            raise BrokenFrameError("a transform header contradicts its message")
        return message

    def _signature(self, message: bytearray, *, is_response: bool) -> bytes:
        if self._algorithm is SigningAlgorithm.AES_CMAC:
            mac = CMAC(AES(self._signing_key))
            mac.update(bytes(message))
            return mac.finalize()
        (command,) = struct.unpack_from("<H", message, 12)
        nonce = bytes(message[24:32]) + struct.pack(
            "<I", is_response | (command == Command.CANCEL) << 1
        )
        return AESGCM(self._signing_key).encrypt(nonce, b"", message)


def session_of_frame(frame: bytearray) -> int:
    """Read which session a transform header claims."""
    if len(frame) < TRANSFORM_BYTES:
        raise BrokenFrameError("a frame is shorter than its transform header")
    return int(_TRANSFORM.unpack_from(frame)[-1])


def _derive(secret: bytes, label: bytes, preauth: PreauthHash) -> bytes:
    return KBKDFHMAC(
        algorithm=hashes.SHA256(),
        mode=Mode.CounterMode,
        length=_KEY_BYTES,
        rlen=4,
        llen=4,
        location=CounterLocation.BeforeFixed,
        label=label,
        context=preauth.value,
        fixed=None,
    ).derive(secret)
