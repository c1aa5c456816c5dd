"""What is read of the share records, whatever somebody put beside them."""

import pytest

from tests.unit.cluster.fakes import VERSION, Session, World
from toolkit.cluster._cmdlets import IMPORT_FOLDER, share
from toolkit.cluster._record_reading import RecordReader
from toolkit.cluster._share_records import ImportStep, Outcome, ShareRecord, records_folder


class Said:
    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


class Node(Session):
    """A node whose `Get-Content` passes over what is empty, as the cmdlet does with -Raw."""

    def _Get_Content(self, values, command):
        return [text for text in super()._Get_Content(values, command) if text]


def written(number):
    record = ShareRecord(
        token=1,
        number=number,
        step=ImportStep.COPY,
        outcome=Outcome.INTENT,
        delivery=str(VERSION),
        path=str(IMPORT_FOLDER / "b.zip"),
        node="n1",
        site_id="s",
        machine="m",
    )
    return str(records_folder(VERSION) / record.file_name), record.text().encode()


def test_every_record_is_read_once_and_told_oldest_first():
    world = World(files=dict([written(2), written(1)]))
    reader, said = RecordReader(), Said()

    def numbers():
        items = Session(world).invoke(share.tree(IMPORT_FOLDER))
        found = reader.records(Session(world), items, VERSION, progress=said)
        return [record.number for record in found]

    assert numbers() == [1, 2]
    assert numbers() == [1, 2]
    assert world.sent.count("Get-Content") == 1
    assert said.lines == []


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"", "expected"), (b'{"kind": "ferry-sh', "expected"), (bytes(64 << 10) + b"x", "at most")],
)
def test_file_that_is_no_record_is_named_once_and_passed_over(data, why):
    path, good = written(1)
    world = World(files={path: good, path.replace("0001-copy", "0002-copy"): data})
    reader, said = RecordReader(), Said()
    for _ in range(2):
        items = Node(world).invoke(share.tree(IMPORT_FOLDER))
        (record,) = reader.records(Node(world), items, VERSION, progress=said)
        assert record.number == 1
    (line,) = said.lines
    assert "0000001-0002-copy-intent.json is passed over" in line
    assert why in line


def test_file_that_was_read_half_written_is_read_again_when_it_is_whole():
    path, good = written(1)
    world = World(files={path: good[:40]})
    reader, said = RecordReader(), Said()
    for data, found in ((good[:40], 0), (good, 1)):
        world.files[path] = data
        items = Session(world).invoke(share.tree(IMPORT_FOLDER))
        assert len(reader.records(Session(world), items, VERSION, progress=said)) == found


def test_folder_among_the_records_is_not_read():
    path, good = written(1)
    world = World(files={path: good})
    world.folders.add(path.replace("0001-copy", "0002-copy"))
    items = Session(world).invoke(share.tree(IMPORT_FOLDER))
    assert len(RecordReader().records(Session(world), items, VERSION, progress=Said())) == 1
