import errno
import io
import json
import zipfile
from datetime import UTC, datetime

import pytest

from toolkit.errors import DigestError, InputError, StorageError
from toolkit.logbundle import LogBundle, LogBundleWriter, member_path
from toolkit.model import Gap

AT = datetime(2026, 11, 1, tzinfo=UTC)


def write(path, content=b"evidence" * 1000):
    with LogBundleWriter(path, cluster="plant7") as writer:
        writer.add(
            io.BytesIO(content), source="cau.evtx", node="n1", collector="wevtutil", collected_at=AT
        )
        writer.add_gap(Gap(source="system.evtx", node="n2", reason="unreachable", detail="down"))
    return path


def rewrite(path, change):
    """Change one part of a finished bundle: `change(name, data) -> data | None`."""
    with zipfile.ZipFile(path) as old:
        kept = {name: change(name, old.read(name)) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in kept.items():
            if data is not None:
                new.writestr(name, data)


def test_bundle_gives_back_members_and_gaps(tmp_path):
    with LogBundle(write(tmp_path / "b.zip")) as bundle:
        (member,) = bundle.members
        sink = io.BytesIO()
        bundle.copy(member, sink)
        assert sink.getvalue() == b"evidence" * 1000
        assert (member.node, member.source, member.collected_at) == ("n1", "cau.evtx", AT)
        assert bundle.cluster == "plant7"
        assert [gap.node for gap in bundle.gaps] == ["n2"]


def test_bundle_is_a_plain_zip_that_others_can_open(tmp_path):
    with zipfile.ZipFile(write(tmp_path / "b.zip")) as plain:
        assert plain.testzip() is None
        assert plain.namelist() == ["nodes/n1/cau.evtx", "manifest.json"]


def test_failed_collection_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError), LogBundleWriter(tmp_path / "b.zip", cluster="c"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_never_overwritten(tmp_path):
    write(tmp_path / "b.zip")
    with pytest.raises(StorageError, match="a file of that name"):
        LogBundleWriter(tmp_path / "b.zip", cluster="c")


def test_two_collections_at_once_do_not_harm_each_other(tmp_path):
    first = LogBundleWriter(tmp_path / "b.zip", cluster="c")
    second = LogBundleWriter(tmp_path / "b.zip", cluster="c")
    first.close()
    with pytest.raises(StorageError), second:
        pass
    with LogBundle(tmp_path / "b.zip") as bundle:
        assert bundle.cluster == "c"
    assert [path.name for path in tmp_path.iterdir()] == ["b.zip"]


def test_bundle_is_published_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.EOPNOTSUPP, "no hard links here")

    monkeypatch.setattr("toolkit.logbundle.os.link", refuse)
    write(tmp_path / "b.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["b.zip"]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"gaps": [1]}'])
def test_hostile_manifest_is_an_input_error(tmp_path, text):
    path = write(tmp_path / "b.zip")
    rewrite(path, lambda name, data: text if name == "manifest.json" else data)
    with pytest.raises(InputError):
        LogBundle(path)


def test_altered_member_is_refused(tmp_path):
    path = write(tmp_path / "b.zip")
    rewrite(path, lambda name, data: data.replace(b"e", b"E") if "evtx" in name else data)
    with LogBundle(path) as bundle, pytest.raises(DigestError, match=r"cau\.evtx"):
        bundle.copy(bundle.members[0], io.BytesIO())


def test_missing_member_is_named(tmp_path):
    path = write(tmp_path / "b.zip")
    rewrite(path, lambda name, data: None if "evtx" in name else data)
    with LogBundle(path) as bundle, pytest.raises(InputError, match=r"cau\.evtx"):
        bundle.copy(bundle.members[0], io.BytesIO())


def test_damaged_member_is_named(tmp_path):
    path = write(tmp_path / "b.zip")
    raw = bytearray(path.read_bytes())
    raw[75] ^= 0xFF  # inside the first member's compressed data
    path.write_bytes(raw)
    with LogBundle(path) as bundle, pytest.raises((InputError, DigestError), match=r"cau\.evtx"):
        bundle.copy(bundle.members[0], io.BytesIO())


def test_bundle_cut_off_on_its_way_is_refused(tmp_path):
    path = write(tmp_path / "b.zip")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="not a whole zip"):
        LogBundle(path)


def test_bundle_without_manifest_is_refused(tmp_path):
    path = write(tmp_path / "b.zip")
    rewrite(path, lambda name, data: None if name == "manifest.json" else data)
    with pytest.raises(InputError, match=r"manifest\.json"):
        LogBundle(path)


@pytest.mark.parametrize("change", [{"format": 2}, {"kind": "other"}, {"members": 3}])
def test_manifest_of_another_format_is_refused(tmp_path, change):
    path = write(tmp_path / "b.zip")
    rewrite(
        path,
        lambda name, data: (
            json.dumps(json.loads(data) | change) if name == "manifest.json" else data
        ),
    )
    with pytest.raises(InputError):
        LogBundle(path)


def test_file_that_is_not_there_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError):
        LogBundle(tmp_path / "nothing.zip")


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "..", "x" * 65])
def test_node_name_that_would_leave_its_folder_is_refused(name):
    with pytest.raises(InputError):
        member_path("cau.evtx", name)
