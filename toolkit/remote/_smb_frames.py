"""WRITE requests of an encrypted connection, laid out in memory that is used again.

smbprotocol builds a request from fields and copies its payload eight times on the way to the socket, each time
into new memory; a whole bundle cost four times the processor time of Samba's own client. Here the payload is
copied once, behind its two headers, and encrypted into the frame that is sent. Everything else stays
smbprotocol's: connection, logon, keys, credits, and the answers, which it decrypts and checks.

Source: [MS-SMB2] 2.1 (transport), 2.2.1.2 (header), 2.2.21 (WRITE), 2.2.41 and 3.1.4.3 (encryption).
"""

from __future__ import annotations

import secrets
import struct
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from smbprotocol.connection import Ciphers, Commands, Request, SMB2HeaderRequest
from smbprotocol.exceptions import SMBException
from smbprotocol.open import SMB2WriteRequest

_HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
_WRITE = struct.Struct("<HHIQ16sIIHHI")
_TRANSFORM = struct.Struct("<4s16s16sIHHQ")
_PAYLOAD_AT = _HEADER.size + _WRITE.size
_LENGTH_BYTES, _TAG_BYTES = 4, 16
_SEALED_AT = _LENGTH_BYTES + _TRANSFORM.size
_TAG_AT, _NONCE_AT = _LENGTH_BYTES + 4, _LENGTH_BYTES + 20
_CREDIT_BYTES = 1 << 16


class WriteFrames:
    """Sends the writes of one open file; for one thread."""

    def __init__(self, connection: Any, tree: Any, file_id: bytes, *, chunk_bytes: int) -> None:
        """Make room for one write.

        Args:
            connection: smbprotocol's, logged on, with encryption by AES-GCM.
            tree: The share.
            file_id: Of the open file.
            chunk_bytes: The longest write.
        """
        self._connection = connection
        self._session_id = tree.session.session_id
        self._tree_id = tree.tree_connect_id
        self._file_id = file_id
        self._cipher = AESGCM(tree.session.encryption_key)
        self._plain = memoryview(bytearray(_PAYLOAD_AT + chunk_bytes))
        self._frame = memoryview(bytearray(_SEALED_AT + _PAYLOAD_AT + chunk_bytes + _TAG_BYTES))

    def send(self, data: bytes | memoryview, offset: int) -> Any:
        """Send one write; return smbprotocol's request, whose answer its connection waits for.

        Raises:
            SMBException: The node has not granted enough credits.
            OSError: The connection is gone.
        """
        charge = max(1, -(-len(data) // _CREDIT_BYTES))
        request = self._request(charge)
        message_id = request.message["message_id"].get_value()
        end = _PAYLOAD_AT + len(data)
        _HEADER.pack_into(
            self._plain, 0, b"\xfeSMB", _HEADER.size, charge, 0, Commands.SMB2_WRITE, charge, 0, 0,
            message_id, 0, self._tree_id, self._session_id, bytes(16),
        )  # fmt: skip
        _WRITE.pack_into(
            self._plain, _HEADER.size, 49, _PAYLOAD_AT, len(data), offset, self._file_id,
            0, 0, 0, 0, 0,
        )  # fmt: skip
        self._plain[_PAYLOAD_AT:end] = data
        transport = self._connection.transport
        with transport._sock_lock:  # noqa: SLF001 - its own `send` would copy the frame twice more
            transport._sock.sendall(self._sealed(end))  # noqa: SLF001
        return request

    def _request(self, charge: int) -> Any:
        """Take a message number and its credits, as smbprotocol does, and await the answer there."""
        connection = self._connection
        connection._check_worker_running()  # noqa: SLF001 - without it nobody would read the answer
        header = SMB2HeaderRequest()
        with connection.sequence_lock:
            window = connection.sequence_window
            if charge > window["high"] - window["low"]:
                raise SMBException("the node has not granted enough credits for a write")
            header["message_id"] = window["low"]
            window["low"] += charge
        header["command"] = Commands.SMB2_WRITE
        request = Request(header, SMB2WriteRequest, connection, session_id=self._session_id)
        connection.outstanding_requests[header["message_id"].get_value()] = request
        return request

    def _sealed(self, size_bytes: int) -> memoryview:
        """Encrypt the request into the frame; return what goes onto the wire."""
        nonce = secrets.token_bytes(12)
        end = _SEALED_AT + size_bytes
        struct.pack_into(">I", self._frame, 0, end - _LENGTH_BYTES)
        _TRANSFORM.pack_into(
            self._frame, _LENGTH_BYTES, b"\xfdSMB", bytes(_TAG_BYTES), nonce, size_bytes, 0, 1,
            self._session_id,
        )  # fmt: skip
        self._cipher.encrypt_into(
            nonce,
            self._plain[:size_bytes],
            self._frame[_NONCE_AT:_SEALED_AT],
            self._frame[_SEALED_AT : end + _TAG_BYTES],
        )
        self._frame[_TAG_AT:_NONCE_AT] = self._frame[end : end + _TAG_BYTES]
        return self._frame[:end]


def can_frame(connection: Any, session: Any) -> bool:
    """Whether the writes of a session are encrypted in the way that is laid out here."""
    ciphers = (Ciphers.AES_128_GCM, Ciphers.AES_256_GCM)
    return bool(session.encrypt_data) and connection.cipher_id in ciphers
