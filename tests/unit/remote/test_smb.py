"""Copies over a file of a node that lives in memory, with blocks on their way like SMB's."""

import contextlib
import hashlib
import io
import uuid
from pathlib import PureWindowsPath

import pytest
from smbprotocol.exceptions import (
    AccessDenied,
    BadNetworkName,
    LogonFailure,
    SharingViolation,
    SMBConnectionClosed,
    SMBException,
    SMBResponseException,
)
from smbprotocol.header import SMB2HeaderResponse

from toolkit.errors import (
    AuthenticationError,
    ClusterError,
    ConnectError,
    InputError,
    StorageError,
    TransferError,
)
from toolkit.model import Credential, Node, Silent
from toolkit.remote import connect
from toolkit.remote._smb import (
    _CHUNK_BYTES,
    _DEPTH,
    Upload,
    _Connection,
    _drain,
    _refuse_bare_answers,
    _translated,
)

NODE = Node(name="n1", address="n1.plant.example")
PATH = PureWindowsPath(r"C:\import\bundle.zip")
WINDOW = _DEPTH * _CHUNK_BYTES


class RemoteFile:
    """A file of a node; writes land when their answer is fetched, or at the end."""

    def __init__(self, content=b"", *, chunk_bytes=1000, depth=3, short=None):
        self.content = bytearray(content)
        self.chunk_bytes, self.depth = chunk_bytes, depth
        self.size_bytes = len(content)
        self.name = "part"
        self.is_flushed = self.is_open = False
        self.most_on_the_way = self.on_the_way = 0
        self.written: list[tuple[int, int]] = []
        self.fail_after: int | None = None
        self.unanswered_from = 1 << 60
        self.short = short

    @contextlib.contextmanager
    def opened(self):
        self.is_open = True
        yield self
        self.is_open = False

    def _leave(self):
        self.on_the_way += 1
        self.most_on_the_way = max(self.most_on_the_way, self.on_the_way)
        if self.fail_after is not None:
            self.fail_after -= 1
            if self.fail_after < 0:
                raise SMBConnectionClosed("gone")

    def begin_write(self, size_bytes, offset):
        return RemoteWrite(self, size_bytes, offset)

    def begin_read(self, offset, length):
        self._leave()

        def answer():
            self.on_the_way -= 1
            return bytes(self.content[offset : offset + min(length, self.short or length)])

        return answer

    def set_size(self, size_bytes):
        del self.content[size_bytes:]

    @staticmethod
    def refuse(*_):
        raise SMBConnectionClosed("gone")

    def flush(self):
        self.is_flushed = True

    def rename(self, path):
        self.name = str(path)


class RemoteWrite:
    def __init__(self, file, size_bytes, offset):
        self.file, self.size_bytes, self.offset = file, size_bytes, offset
        self.data = b""
        self.is_answered = False

    @property
    def is_full(self):
        return len(self.data) == self.size_bytes

    def put(self, data):
        taken = bytes(data[: self.size_bytes - len(self.data)])
        self.data += taken
        return len(taken)

    def send(self):
        assert self.is_full
        self.file._leave()

    def written_bytes(self, timeout_s):
        assert timeout_s > 0
        if self.offset >= self.file.unanswered_from:
            raise SMBConnectionClosed("gone")
        self.file.on_the_way -= 1
        self.is_answered = True
        content, taken = self.file.content, self.data[: self.file.short]
        content += bytes(max(0, self.offset - len(content)))
        content[self.offset : self.offset + len(taken)] = taken
        self.file.written.append((self.offset, len(taken)))
        return len(taken)

    def payload(self):
        return self.data

    def release(self):
        assert self.is_answered


def pattern(size):
    return bytes((i * 7 + i // 251) % 256 for i in range(size))


def upload(file, size):
    return Upload(file.opened(), node=NODE, path=PATH, size_bytes=size)


def test_upload_in_odd_pieces_arrives_whole_under_its_name():
    file, data = RemoteFile(), pattern(12_345)
    with upload(file, len(data)) as sink:
        for start in range(0, len(data), 777):
            assert sink.write(data[start : start + 777]) == len(data[start : start + 777])
        sink.finish()
    assert bytes(file.content) == data
    assert (file.name, file.is_flushed, file.is_open) == (str(PATH), True, False)


def test_upload_of_nothing_makes_an_empty_file():
    file = RemoteFile()
    with upload(file, 0) as sink:
        sink.finish()
    assert (bytes(file.content), file.name) == (b"", str(PATH))


def test_upload_keeps_the_line_full_but_memory_bounded():
    file = RemoteFile(depth=3)
    with upload(file, 50_000) as sink:
        sink.write(pattern(50_000))
        sink.finish()
    assert file.most_on_the_way == 3
    assert max(length for _, length in file.written) == 1000


def test_short_write_is_told_and_made_good_by_the_next_try():
    file, data = RemoteFile(short=300), pattern(3000)
    with upload(file, len(data)) as sink:
        sink.write(data)
        with pytest.raises(TransferError, match="300 of 1000 bytes"):
            sink.finish()
    file.short, file.size_bytes = None, len(file.content)
    with upload(file, len(data)) as sink:
        sink.write(data)
        sink.finish()
    assert bytes(file.content) == data


def test_upload_resumes_below_what_may_have_holes():
    data = pattern(WINDOW + 5000)
    file = RemoteFile(data[:4000] + bytes(WINDOW), chunk_bytes=_CHUNK_BYTES)
    with upload(file, len(data)) as sink:
        assert sink.resumed_at_bytes == 4000
        sink.write(data)
        sink.finish()
    assert bytes(file.content) == data
    assert min(offset for offset, _ in file.written) == 4000


def test_upload_resumed_in_the_middle_of_a_piece_skips_only_what_stands():
    data = pattern(WINDOW + 100)
    file = RemoteFile(data[:33] + bytes(WINDOW), chunk_bytes=_CHUNK_BYTES)
    with upload(file, len(data)) as sink:
        for start in range(0, len(data), 50_000):
            sink.write(data[start : start + 50_000])
        sink.finish()
    assert bytes(file.content) == data


@pytest.mark.parametrize("stood", [1999, 2000, 2001, 9000])
def test_what_is_not_believed_is_cut_off_before_anything_is_sent(stood):
    """A node that restarted has zeros there; the length would vouch for them to whoever comes next."""
    file, data = RemoteFile(pattern(2000).ljust(stood, b"\0")[:stood]), pattern(12_000)
    with Upload(file.opened(), node=NODE, path=PATH, size_bytes=len(data), safe_bytes=2000) as sink:
        assert sink.resumed_at_bytes == len(file.content) == min(stood, 2000)
        sink.write(data)
        sink.finish()
    assert bytes(file.content) == data


def test_node_that_does_not_cut_off_is_let_go_of():
    file = RemoteFile(bytes(9000))
    file.set_size = RemoteFile.refuse
    with pytest.raises(TransferError):
        Upload(file.opened(), node=NODE, path=PATH, size_bytes=12_000, safe_bytes=2000)
    assert not file.is_open


def test_small_remainder_is_sent_again_whole():
    file = RemoteFile(b"x" * 500)
    assert upload(file, 10_000).resumed_at_bytes == 0


def test_remainder_longer_than_the_stream_is_overwritten_and_cut():
    data = pattern(2000)
    file = RemoteFile(b"x" * (WINDOW + 9000))
    with upload(file, len(data)) as sink:
        assert (sink.resumed_at_bytes, len(file.content)) == (0, 0)
        sink.write(data)
        sink.finish()
    assert bytes(file.content) == data


def test_unfinished_upload_stays_for_the_next_try_without_its_name():
    file, data = RemoteFile(), pattern(5000)
    with upload(file, 5000) as sink:
        sink.write(data[:3500])
    assert bytes(file.content) == data[:3000]
    assert (file.name, file.is_open) == ("part", False)


def test_stream_that_ends_early_is_not_given_its_name():
    file = RemoteFile()
    with upload(file, 5000) as sink:
        sink.write(pattern(4999))
        with pytest.raises(TransferError, match="ended after 4999 bytes"):
            sink.finish()
    assert file.name == "part"


def test_stream_longer_than_announced_is_refused():
    with upload(RemoteFile(), 10) as sink, pytest.raises(TransferError, match="expected: 10 bytes"):
        sink.write(b"x" * 11)


@pytest.mark.parametrize("after", [0, 1, 2, 7])
def test_what_was_taken_and_not_acknowledged_can_be_had_again(after):
    file, data = RemoteFile(), pattern(12_345)
    file.fail_after = after
    with upload(file, len(data)) as sink:
        with pytest.raises(TransferError):
            sink.write(data)
        start, kept = sink.unacknowledged()
        assert start == sink.acknowledged_bytes
        assert b"".join(kept) == data[start : start + sum(map(len, kept))]
        assert start + sum(map(len, kept)) == 1000 * (after + 1)


@pytest.mark.parametrize("answered", [0, 1, 5])
def test_what_was_sent_and_never_answered_can_be_had_again(answered):
    file, data = RemoteFile(depth=3), pattern(12_345)
    file.unanswered_from = answered * 1000
    with upload(file, len(data)) as sink:
        with pytest.raises(TransferError):
            sink.write(data)
        start, kept = sink.unacknowledged()
        assert (start, sink.acknowledged_bytes) == (answered * 1000, answered * 1000)
        assert b"".join(kept) == data[start : start + 3000]


def test_dropped_upload_says_that_the_same_command_goes_on():
    file = RemoteFile()
    file.fail_after = 2
    with upload(file, 50_000) as sink, pytest.raises(TransferError) as caught:
        sink.write(pattern(50_000))
    assert "bundle.zip" in str(caught.value)
    assert "goes on where this one stopped" in caught.value.hint


def drained(file):
    sink = io.BytesIO()
    return sink, _drain(file, sink, "copy", NODE, Silent())


def test_download_returns_size_and_hash_of_what_it_wrote():
    data = pattern(12_345)
    sink, (size, sha256) = drained(RemoteFile(data))
    assert sink.getvalue() == data
    assert (size, sha256) == (12_345, hashlib.sha256(data).hexdigest())


def test_empty_file_is_downloaded():
    assert drained(RemoteFile())[1] == (0, hashlib.sha256().hexdigest())


def test_short_read_is_completed():
    data = pattern(5000)
    assert drained(RemoteFile(data, short=300))[0].getvalue() == data


def test_download_keeps_no_more_than_depth_blocks_on_their_way():
    file = RemoteFile(pattern(50_000), depth=4)
    drained(file)
    assert file.most_on_the_way == 4


def test_file_that_became_shorter_is_not_a_download():
    file = RemoteFile(pattern(5000))
    file.size_bytes = 6000
    with pytest.raises(TransferError, match="became shorter"):
        drained(file)


def test_dropped_download_is_a_transfer_error():
    file = RemoteFile(pattern(50_000))
    file.fail_after = 7
    with pytest.raises(TransferError):
        drained(file)


def test_full_local_disk_is_a_storage_error_of_this_machine():
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="this machine cannot write"):
        _drain(RemoteFile(b"x"), Full(), "copy", NODE, Silent())


@pytest.mark.parametrize("path", ["relative", r"C:file", r"\\server\share\x", "C:\\"])
def test_path_without_drive_and_name_is_refused(path):
    session = connect(NODE, Credential(username="u", password="p"))
    with pytest.raises(InputError, match="drive letter"):
        session.upload(PureWindowsPath(path), size_bytes=1)


def status(code):
    header = SMB2HeaderResponse()
    header["status"].enum_strict = False
    header["status"] = code
    return SMBResponseException(header)


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (LogonFailure(), AuthenticationError),
        (status(0xC0000234), AuthenticationError),
        (AccessDenied(), ClusterError),
        (BadNetworkName(), ClusterError),
        (status(0xC0000225), ClusterError),
        (status(0xC000007F), StorageError),
        (status(0xC0009999), ClusterError),
        (SharingViolation(), TransferError),
        (SMBConnectionClosed("closed"), TransferError),
        (SMBException("neither encrypted nor signed"), TransferError),
        (ConnectionResetError(104, "Connection reset by peer"), TransferError),
        (KeyError(7), TransferError),
        (TypeError("'NoneType' object is not subscriptable"), TransferError),
    ],
)
def test_what_smb_raises_becomes_one_of_our_errors(raised, ours):
    with pytest.raises(ours) as caught, _translated("copy x", NODE):
        raise raised
    assert type(caught.value) is ours
    assert caught.value.__cause__ is raised


def test_status_we_have_no_words_for_is_named():
    with pytest.raises(ClusterError, match="STATUS_DELETE_PENDING"), _translated("copy", NODE):
        raise status(0xC0000056)


def test_disk_full_names_the_node():
    with (
        pytest.raises(StorageError, match="on node n1 its disk is full"),
        _translated("copy", NODE),
    ):
        raise status(0xC000007F)


def test_failure_while_connecting_is_a_connect_error_with_the_systems_words():
    def refused():
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as error:
            raise ValueError("Failed to connect to 'n1:445': [Errno 111] …") from error

    with (
        pytest.raises(ConnectError, match=r"reach n1: Connection refused$"),
        _translated("reach n1", NODE, opening=True),
    ):
        refused()


class Transport:
    is_closed = False

    def __init__(self, message=b""):
        self.recv = lambda timeout: message

    def close(self):
        self.is_closed = True


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (SMBException("no answer in time"), SMBException),
        (TimeoutError("timed out"), TimeoutError),
        (OSError(9, "Bad file descriptor"), SMBConnectionClosed),
        (TypeError("'NoneType' object is not subscriptable"), TypeError),
    ],
)
def test_connection_that_failed_once_is_given_up(raised, seen):
    connection = _Connection(uuid.uuid4(), "n1", 445)
    connection.transport = Transport()
    with pytest.raises(seen), connection.given_up():
        raise raised
    assert connection.transport.is_closed


def test_connection_on_which_the_node_says_no_lives_on():
    connection = _Connection(uuid.uuid4(), "n1", 445)
    connection.transport = Transport()
    with pytest.raises(AccessDenied), connection.given_up():
        raise AccessDenied
    assert not connection.transport.is_closed


class Standing:
    def __init__(self, *, encrypt_data):
        self.encrypt_data = encrypt_data


ENCRYPTED = b"\xfdSMB" + bytes(60)


def bare(*, flags=1, status=0):
    return (
        b"\xfeSMB" + bytes(4) + status.to_bytes(4, "little") + bytes(4) + bytes([flags]) + bytes(60)
    )


@pytest.mark.parametrize(
    ("message", "encrypts", "is_taken"),
    [
        (ENCRYPTED, True, True),
        (bare(), True, False),
        (bare(flags=9), True, False),
        (bare(flags=9), False, True),
        (bare(), False, False),
        (bare(status=0x103), False, True),
        (bare(status=0x103), True, False),
        (bare(), None, True),
        (b"", True, True),
    ],
)
def test_answer_must_be_protected_as_agreed(message, encrypts, is_taken):
    transport = Transport(message)
    _refuse_bare_answers(transport, Standing(encrypt_data=encrypts))
    if is_taken:
        assert transport.recv(1) == message
    else:
        with pytest.raises(SMBException, match="neither encrypted nor signed"):
            transport.recv(1)
