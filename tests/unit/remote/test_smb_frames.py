"""Answers to writes that are laid out already; the writes themselves are proven against real servers."""

import contextlib
import struct
import threading
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from smbprotocol.exceptions import DiskFull, SMBConnectionClosed, SMBException

from toolkit.remote._smb_frames import WriteAnswer, WriteFrames

OURS, THEIRS, SESSION = bytes(range(16)), bytes(range(16, 32)), 77
WRITE, READ, DISK_FULL, PENDING = 9, 8, 0xC000007F, 0x103


class Wire:
    """A connection of smbprotocol, as far as writing needs one."""

    def __init__(self):
        self.sent = bytearray()
        self.closed = []
        self.outstanding_requests = {}
        self.sequence_lock = threading.Lock()
        self.sequence_window = {"low": 5, "high": 100}
        self.transport = SimpleNamespace(
            _sock_lock=threading.Lock(),
            _sock=SimpleNamespace(sendall=self.sent.extend),
            close=lambda: self.closed.append(True),
        )
        self.ended = None
        self.given_up = contextlib.nullcontext

    def _check_worker_running(self):
        if self.ended:
            raise self.ended


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def frames(wire):
    session = SimpleNamespace(session_id=SESSION, encryption_key=OURS, decryption_key=THEIRS)
    tree = SimpleNamespace(session=session, tree_connect_id=3)
    return WriteFrames(wire, tree, bytes(16), chunk_bytes=1 << 17)


def sent(frames, size_bytes, offset):
    """Send a write of zeros."""
    frame = frames.begin(size_bytes, offset)
    assert frame.put(memoryview(bytes(size_bytes))) == size_bytes
    frame.send()
    return frame


def answered(
    message_id, *, status=0, count=4, command=WRITE, key=THEIRS, flags=1, session=SESSION, body=None
):
    """An encrypted answer; [MS-SMB2] 2.2.1.2, 2.2.22 and 2.2.41."""
    plain = struct.pack(
        "<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 1, status, command, 7, 1, 0, message_id, 0, 3, SESSION, b""
    )  # fmt: skip
    plain += struct.pack("<HHIIHH", 17, 0, count, 0, 0, 0) if body is None else body
    header = struct.pack("<16sIHHQ", b"n" * 12, len(plain), 0, flags, session)
    sealed = AESGCM(key).encrypt(b"n" * 12, plain, header)
    return b"\xfdSMB" + sealed[-16:] + header + sealed[:-16]


def test_answer_tells_how_much_was_written_and_grants_credits(wire, frames):
    answer = sent(frames, 4, 0)
    assert frames.take(answered(5))
    assert answer.written_bytes(1) == 4
    assert wire.sequence_window == {"low": 6, "high": 107}
    assert wire.outstanding_requests == {}


def test_answers_may_come_in_any_order(frames):
    first, second = sent(frames, 4, 0), sent(frames, 4, 4)
    assert frames.take(answered(6, count=2))
    assert frames.take(answered(5, count=1))
    assert (first.written_bytes(1), second.written_bytes(1)) == (1, 2)


def test_long_write_takes_a_credit_for_every_64_kib(wire, frames):
    sent(frames, 1 << 17, 0)
    assert wire.sequence_window["low"] == 7


@pytest.mark.parametrize("pieces", [[1 << 17], [1, (1 << 17) - 1], [16, 1000, 70_000, 60_056]])
def test_payload_in_pieces_is_one_write_that_the_node_can_decrypt(wire, frames, pieces):
    data = bytes(range(256)) * 512
    frame, at = frames.begin(len(data), 1 << 33), 0
    for piece in pieces:
        assert frame.payload() == data[:at]
        assert frame.put(memoryview(data[at : at + piece])) == piece
        at += piece
    assert frame.is_full
    assert frame.put(memoryview(b"more")) == 0
    frame.send()
    message = bytes(wire.sent)
    length, tag, header, sealed = message[:4], message[8:24], message[24:56], message[56:]
    assert int.from_bytes(length, "big") == len(message) - 4
    plain = AESGCM(OURS).decrypt(header[:12], sealed + tag, header)
    assert struct.unpack_from("<HHIQ", plain, 64) == (49, 112, len(data), 1 << 33)
    assert plain[112:] == data == frame.payload()


def test_line_that_ended_while_a_write_was_filled_is_told_with_what_ended_it(wire, frames):
    frame = frames.begin(4, 0)
    frame.put(memoryview(b"data"))
    wire.ended = SMBException("an answer that is neither encrypted nor signed as agreed")
    with pytest.raises(SMBException, match="neither encrypted nor signed"):
        frame.send()
    assert not wire.sent
    assert not wire.outstanding_requests


def test_line_that_ends_while_a_write_is_sent_is_told_with_what_ended_it(wire, frames):
    def sendall(data):
        wire.ended = SMBException("an answer that is neither encrypted nor signed as agreed")
        raise BrokenPipeError

    wire.transport._sock.sendall = sendall
    with pytest.raises(SMBException, match="neither encrypted nor signed"):
        sent(frames, 4, 0)


def test_connection_with_half_a_write_on_it_is_closed_at_once(wire, frames):
    def interrupted(data):
        raise KeyboardInterrupt

    wire.transport._sock.sendall = interrupted
    with pytest.raises(KeyboardInterrupt):
        sent(frames, 4, 0)
    assert wire.closed


def test_memory_of_a_write_is_used_again(frames):
    frame = sent(frames, 4, 0)
    frame.release()
    again = frames.begin(9, 4)
    assert again is frame
    assert again.payload() == b""


def test_write_without_credits_is_not_sent(wire, frames):
    wire.sequence_window["high"] = 6
    with pytest.raises(SMBException, match="not granted enough credits"):
        sent(frames, 1 << 17, 0)
    assert not wire.sent
    assert not wire.outstanding_requests


def test_answer_that_promises_another_one_is_not_the_answer(wire, frames):
    answer = sent(frames, 4, 0)
    assert frames.take(answered(5, status=PENDING))
    assert not wire.outstanding_requests[5].response_event.is_set()
    assert frames.take(answered(5))
    assert answer.written_bytes(1) == 4


def test_no_of_the_node_is_raised_with_its_status(frames):
    answer = sent(frames, 4, 0)
    assert frames.take(answered(5, status=DISK_FULL, body=struct.pack("<HBBI", 9, 0, 0, 0)))
    with pytest.raises(DiskFull):
        answer.written_bytes(1)


@pytest.mark.parametrize(
    "message",
    [
        answered(5, key=OURS),
        answered(5, flags=2),
        answered(5, session=78),
        answered(99),
        answered(5)[:-1],
        answered(5)[:40],
        b"",
        b"\xfeSMB" + bytes(76),
    ],
    ids=["our own, sent back", "compressed", "another session", "no such request", "cut", "short", "empty", "bare"],
)  # fmt: skip
def test_what_is_no_answer_to_a_write_is_left_to_smbprotocol(wire, frames, message):
    sent(frames, 4, 0)
    assert not frames.take(message)
    assert not wire.outstanding_requests[5].response_event.is_set()
    assert wire.sequence_window["high"] == 100


def test_answer_to_another_request_is_left_to_smbprotocol(wire, frames):
    wire.outstanding_requests[4] = object()
    assert not frames.take(answered(4, command=READ))


def test_answer_without_its_fields_is_not_a_count(frames):
    answer = sent(frames, 4, 0)
    assert frames.take(answered(5, body=b""))
    with pytest.raises(struct.error):
        answer.written_bytes(1)


def test_silence_is_told_after_the_time_it_may_take(frames):
    with pytest.raises(SMBException, match="answered nothing for 0 s"):
        sent(frames, 4, 0).written_bytes(0.01)


def test_end_of_the_connection_wakes_who_waits_and_says_why(wire, frames):
    answer = sent(frames, 4, 0)
    wire.ended = SMBException("an answer that is neither encrypted nor signed as agreed")
    for request in wire.outstanding_requests.values():  # as smbprotocol does
        request.response_event.set()
    with pytest.raises(SMBException, match="neither encrypted"):
        answer.written_bytes(1)


def test_end_without_a_reason_is_a_dropped_connection():
    answer = WriteAnswer(Wire())
    answer.response_event.set()
    with pytest.raises(SMBConnectionClosed, match="dropped"):
        answer.written_bytes(1)
