"""WRITE requests of an encrypted connection, encrypted from where the payload lies, and their answers.

smbprotocol builds a request from fields and copies its payload eight times on the way to the socket, each time
into new memory; and it takes an answer of 80 bytes apart field by field. A whole bundle cost four times the
processor time of Samba's own client. Here the payload is encrypted from the caller's memory into the frame that is
sent, in memory that is used again; and answers to these requests are read here. Everything else stays smbprotocol's:
connection, logon, keys, credits, the thread that receives, and every other answer.

A frame is kept until its write was acknowledged. What it holds can be decrypted again: no copy of the payload is
kept for the case that the line breaks.

Source: [MS-SMB2] 2.1 (transport), 2.2.1.2 (header), 2.2.21 (WRITE), 2.2.22 (its answer), 2.2.41 and 3.1.4.3
(encryption), 3.2.5.1 (receiving any message).
"""

from __future__ import annotations

import secrets
import struct
import threading
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from smbprotocol.connection import Ciphers, Commands
from smbprotocol.exceptions import SMBConnectionClosed, SMBException, SMBResponseException
from smbprotocol.header import NtStatus, SMB2HeaderResponse

_HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
_WRITE = struct.Struct("<HHIQ16sIIHHI")
_WRITTEN = struct.Struct("<HHI")
_TRANSFORM = struct.Struct("<4s16s16sIHHQ")
_PAYLOAD_AT = _HEADER.size + _WRITE.size
_LENGTH_BYTES, _TAG_BYTES, _NONCE_BYTES = 4, 16, 12
_SEALED_AT = _LENGTH_BYTES + _TRANSFORM.size
_PAYLOAD_IN_FRAME_AT = _SEALED_AT + _PAYLOAD_AT
_TAG_AT, _NONCE_AT = _LENGTH_BYTES + 4, _LENGTH_BYTES + 20
_CREDIT_BYTES = 1 << 16


class WriteAnswer:
    """What the node will say about one write. smbprotocol, too, keeps it, to wake whoever waits when the line breaks."""

    response: object = ()
    """smbprotocol looks for unanswered echoes of its own where it is None."""

    def __init__(self, connection: Any) -> None:
        """Expect one answer of this connection."""
        self._connection = connection
        self._message: bytes | None = None
        self.response_event = threading.Event()

    def arrived(self, message: bytes) -> None:
        """Take the decrypted answer, from its header on."""
        self._message = message
        self.response_event.set()

    def written_bytes(self, timeout_s: float) -> int:
        """Wait for the answer and return how many bytes the node has written.

        Raises:
            SMBResponseException: The node says no.
            SMBException: It says nothing for so long, or something else.
        """
        if not self.response_event.wait(timeout_s):
            raise SMBException(f"the node answered nothing for {timeout_s:.0f} s")
        if self._message is None:
            self._connection._check_worker_running()  # noqa: SLF001 - raises what ended it
            raise SMBConnectionClosed("the connection was dropped")
        header = _HEADER.unpack_from(self._message)
        if header[3] != NtStatus.STATUS_SUCCESS:
            response = SMB2HeaderResponse()
            response.unpack(self._message)
            raise SMBResponseException(response)
        return int(_WRITTEN.unpack_from(self._message, _HEADER.size)[2])


class Frame:
    """One write: its payload is put in piece by piece, then it is sent, and kept until the node has answered."""

    def __init__(self, connection: Any, key: bytes, memory: memoryview, free: list[Frame]) -> None:
        """Use this memory for one write after the other, each encrypted with this key; `free` has what may be used."""
        self._connection = connection
        self._key = AES(key)
        self._memory = memory
        self._free = free
        self.size_bytes = self.filled_bytes = 0

    def begin(self, header: bytes, message_id: int, session_id: int, *, size_bytes: int) -> None:
        """Begin with the headers of a write of so many bytes."""
        self.size_bytes, self.filled_bytes = size_bytes, 0
        self._message_id, self._nonce = message_id, secrets.token_bytes(_NONCE_BYTES)
        plain_bytes = _PAYLOAD_AT + size_bytes
        struct.pack_into(">I", self._memory, 0, _TRANSFORM.size + plain_bytes)
        _TRANSFORM.pack_into(
            self._memory, _LENGTH_BYTES, b"\xfdSMB", bytes(_TAG_BYTES), self._nonce, plain_bytes, 0, 1,
            session_id,
        )  # fmt: skip
        self._sealing = Cipher(self._key, GCM(self._nonce)).encryptor()
        self._sealing.authenticate_additional_data(self._memory[_NONCE_AT:_SEALED_AT])
        self._sealing.update_into(header, self._memory[_SEALED_AT:])

    @property
    def is_full(self) -> bool:
        """Whether the whole payload was put in."""
        return self.filled_bytes == self.size_bytes

    def put(self, data: memoryview) -> int:
        """Take as much of the payload as is missing; return how much that was."""
        data = data[: self.size_bytes - self.filled_bytes]
        self._sealing.update_into(data, self._memory[_PAYLOAD_IN_FRAME_AT + self.filled_bytes :])
        self.filled_bytes += len(data)
        return len(data)

    def send(self) -> None:
        """Send it, once it is full.

        Raises:
            SMBException: The connection is gone, or nobody would read the answer: what ended that.
            TimeoutError: The node takes nothing any more.
        """
        connection, transport = self._connection, self._connection.transport
        self._sealing.finalize()
        self._memory[_TAG_AT:_NONCE_AT] = self._sealing.tag
        sealed = self._memory[: _PAYLOAD_IN_FRAME_AT + self.size_bytes]
        self._answer = WriteAnswer(connection)
        with connection.given_up():
            connection._check_worker_running()  # noqa: SLF001
            connection.outstanding_requests[self._message_id] = self._answer
            try:
                with transport._sock_lock:  # noqa: SLF001 - its own `send` would copy the frame twice more
                    transport._sock.sendall(sealed)  # noqa: SLF001
            except ConnectionError:
                connection._check_worker_running()  # noqa: SLF001 - who hung up knows more
                raise
            except BaseException:
                transport.close()  # half a request cannot be followed by anything
                raise

    def written_bytes(self, timeout_s: float) -> int:
        """Wait for the answer and return how many bytes the node has written; see `WriteAnswer`."""
        with self._connection.given_up():
            return self._answer.written_bytes(timeout_s)

    def release(self) -> None:
        """Let the memory be used for another write: the payload is not wanted any more."""
        self._free.append(self)

    def payload(self) -> bytes:
        """Return what was put in so far."""
        opening = Cipher(self._key, GCM(self._nonce)).decryptor()
        end = _PAYLOAD_IN_FRAME_AT + self.filled_bytes
        return opening.update(self._memory[_SEALED_AT:end])[_PAYLOAD_AT:]


class WriteFrames:
    """Lays out the writes of one open file, for one thread, and reads their answers in that of smbprotocol."""

    def __init__(self, connection: Any, tree: Any, file_id: bytes, *, chunk_bytes: int) -> None:
        """Make room for nothing yet.

        Args:
            connection: smbprotocol's, logged on, with encryption by AES-GCM, that can be given up.
            tree: The share.
            file_id: Of the open file.
            chunk_bytes: The longest write.
        """
        self._connection = connection
        self._session_id = tree.session.session_id
        self._tree_id = tree.tree_connect_id
        self._file_id = file_id
        self._key = tree.session.encryption_key
        self._theirs = AESGCM(tree.session.decryption_key)
        self._frame_bytes = _PAYLOAD_IN_FRAME_AT + chunk_bytes + _TAG_BYTES
        self._free: list[Frame] = []

    def begin(self, size_bytes: int, offset: int) -> Frame:
        """Begin to write so many bytes there in the file; return the frame to fill and send.

        Raises:
            SMBException: The node has not granted enough credits.
        """
        charge = max(1, -(-size_bytes // _CREDIT_BYTES))
        message_id = self._message_id(charge)
        header = _HEADER.pack(
            b"\xfeSMB", _HEADER.size, charge, 0, Commands.SMB2_WRITE, charge, 0, 0,
            message_id, 0, self._tree_id, self._session_id, bytes(16),
        )  # fmt: skip
        header += _WRITE.pack(49, _PAYLOAD_AT, size_bytes, offset, self._file_id, 0, 0, 0, 0, 0)
        frame = self._free.pop() if self._free else self._made()
        frame.begin(header, message_id, self._session_id, size_bytes=size_bytes)
        return frame

    def _made(self) -> Frame:
        memory = memoryview(bytearray(self._frame_bytes))
        return Frame(self._connection, self._key, memory, self._free)

    def _message_id(self, charge: int) -> int:
        """Take a message number and its credits, as smbprotocol does."""
        connection = self._connection
        connection._check_worker_running()  # noqa: SLF001 - without it nobody would read the answer
        with connection.sequence_lock:
            window = connection.sequence_window
            if charge > window["high"] - window["low"]:
                raise SMBException("the node has not granted enough credits for a write")
            message_id = int(window["low"])
            window["low"] += charge
        return message_id

    def take(self, message: bytes) -> bool:
        """Take the answer to one of our writes; anything else, and what does not decrypt, is smbprotocol's."""
        opened = self._opened(message)
        if opened is None or len(opened) < _HEADER.size:
            return False
        header = _HEADER.unpack_from(opened)
        status, granted, message_id = header[3], header[5], header[8]
        connection = self._connection
        answer = connection.outstanding_requests.get(message_id)
        if not isinstance(answer, WriteAnswer):
            return False
        with connection.sequence_lock:
            connection.sequence_window["high"] += granted
        if status != NtStatus.STATUS_PENDING:  # else the answer follows
            del connection.outstanding_requests[message_id]
            answer.arrived(opened)
        return True

    def _opened(self, message: bytes) -> bytes | None:
        if len(message) < _TRANSFORM.size:
            return None
        protocol, tag, nonce, _, _, flags, session_id = _TRANSFORM.unpack_from(message)
        if (protocol, flags, session_id) != (b"\xfdSMB", 1, self._session_id):
            return None
        sealed, header = (
            message[_TRANSFORM.size :] + tag,
            message[_NONCE_AT - _LENGTH_BYTES : _TRANSFORM.size],
        )
        try:
            return self._theirs.decrypt(nonce[:_NONCE_BYTES], sealed, header)
        except InvalidTag:
            return None


def can_frame(connection: Any, session: Any) -> bool:
    """Whether the writes of a session are encrypted in the way that is laid out here."""
    ciphers = (Ciphers.AES_128_GCM, Ciphers.AES_256_GCM)
    return bool(session.encrypt_data) and connection.cipher_id in ciphers
