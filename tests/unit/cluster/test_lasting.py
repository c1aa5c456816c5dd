import contextlib

import pytest

from toolkit.cluster._lasting import BeginAnewError, LastingSink
from toolkit.errors import AuthenticationError, SessionLostError, StorageError, TransferError

MIB = 1 << 20
BLOCKS = [bytes([number]) * MIB for number in range(40)]
STREAM = b"".join(BLOCKS)
ON_THE_WAY_BYTES = 4 * MIB + 333


class Node:
    """A file on a node, and when writing to it fails."""

    def __init__(self, fails=()):
        self.file = bytearray()
        self.fails = list(fails)
        self.safe_bytes = len(STREAM)
        """What it holds whatever happens."""
        self.opened = 0
        self.name = ""

    @contextlib.contextmanager
    def upload(self, held_bytes):
        assert (held_bytes is None) == (self.opened == 0)
        self.opened += 1
        yield Upload(self, min(held_bytes or 0, self.safe_bytes))


class Upload:
    """Takes half of what it is given when it fails; what was taken last is not acknowledged."""

    def __init__(self, node, resumed_at_bytes):
        self.node = node
        self.fed_bytes = 0
        self.resumed_at_bytes = self.sent_to_bytes = resumed_at_bytes
        self.acknowledged_bytes = 0
        self.kept = b""

    def skip(self, count_bytes):
        assert self.fed_bytes + count_bytes <= self.resumed_at_bytes
        self.fed_bytes += count_bytes

    def unacknowledged(self):
        return self.resumed_at_bytes + self.acknowledged_bytes, [self.kept[:7], self.kept[7:]]

    def write(self, data):
        fresh = data[max(0, self.resumed_at_bytes - self.fed_bytes) :]
        self.fed_bytes += len(data)
        if self.node.fails and len(self.node.file) >= self.node.fails[0][0]:
            self.kept += fresh[: len(fresh) // 2]
            raise self.node.fails.pop(0)[1]
        self.kept += fresh
        self.node.file[self.sent_to_bytes : self.sent_to_bytes + len(fresh)] = fresh
        self.sent_to_bytes += len(fresh)
        self.acknowledged_bytes += max(0, len(self.kept) - ON_THE_WAY_BYTES)
        self.kept = self.kept[-ON_THE_WAY_BYTES:]

    def finish(self):
        assert self.fed_bytes == len(STREAM)
        self.node.name = "final"


def lost(at_mib):
    return (at_mib * MIB, TransferError("copy", found="dropped"))


def fed(node, bear=lambda error: None, ends=None):
    with LastingSink(node.upload, bear, (ends if ends is not None else []).append) as sink:
        for block in BLOCKS:
            assert sink.write(block) == MIB
        sink.finish()


@pytest.mark.parametrize("at", [0, 1, 7, 8, 9, 20, 39])
def test_stream_that_is_fed_once_arrives_whole_over_a_loss(at):
    node, ends = Node([lost(at)]), []
    fed(node, ends=ends)
    assert bytes(node.file) == STREAM
    assert (node.name, node.opened, len(ends)) == ("final", 2, 2)


def test_memory_that_is_used_again_is_not_kept():
    node, memory = Node([lost(20)]), bytearray(MIB)
    with LastingSink(node.upload, print, lambda upload: None) as sink:
        for block in BLOCKS:
            memory[:] = block
            sink.write(memoryview(memory))
    assert bytes(node.file) == STREAM


def test_loss_while_going_on_is_borne_too():
    node, borne = Node([lost(20), lost(20), lost(20), lost(30)]), []
    fed(node, borne.append)
    assert bytes(node.file) == STREAM
    assert len(borne) == 4


def test_what_the_node_lost_from_far_below_begins_anew():
    node = Node([lost(30)])
    node.safe_bytes = 20 * MIB
    borne = []
    with pytest.raises(BeginAnewError):
        fed(node, borne.append)
    assert (node.name, len(borne)) == ("", 1)


def test_loss_that_is_not_borne_is_passed_on():
    def bear(error):
        raise SessionLostError("the last one")

    with pytest.raises(SessionLostError, match="the last one"):
        fed(Node([lost(5)]), bear)


@pytest.mark.parametrize("error", [AuthenticationError("log on"), StorageError("full")])
def test_what_is_no_loss_of_the_line_ends_it_at_once(error):
    node, borne = Node([(5 * MIB, error)]), []
    with pytest.raises(type(error)):
        fed(node, borne.append)
    assert (node.opened, borne) == (1, [])


@pytest.mark.parametrize("size", [300_000, 3 * MIB + 17, 8 * MIB - 1])
def test_stream_in_pieces_of_any_size_arrives_whole_over_a_loss(size):
    node = Node([lost(0), lost(30)])
    with LastingSink(node.upload, lambda error: None, lambda upload: None) as sink:
        for at in range(0, len(STREAM), size):
            sink.write(STREAM[at : at + size])
        sink.finish()
    assert bytes(node.file) == STREAM
