import errno
import hashlib
import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from blake3 import blake3

from tests.unit.media.making import NOW, flip, make_payload
from toolkit.errors import DigestError, InputError, SignatureError, StorageError
from toolkit.media import Verdict, _sign, describe_medium
from toolkit.media import _device as device
from toolkit.media._device import StreamDigest, measure, measure_blocks
from toolkit.media._set import SetPlan

BUNDLE = "data/payload/CombinedSolutionBundle.12.2603.1002.15.zip"


@pytest.fixture
def judged(site, folder):
    """Verify the medium as it stands now and return (report, path → its report)."""

    def verify():
        report = site.open(folder, accept_incomplete=True).verify()
        return report, {file.path: file for file in report.files}

    return verify


@pytest.fixture
def small_blocks(monkeypatch):
    """Signed blocks of 512 bytes instead of 64 MiB, read in chunks of 4096."""
    monkeypatch.setattr(device, "BLOCK_BYTES", 512)
    monkeypatch.setattr("toolkit.media._medium.BLOCK_BYTES", 512)
    monkeypatch.setattr("toolkit.media._set.BLOCK_BYTES", 512)
    monkeypatch.setattr(device, "CHUNK_BYTES", 4096)


@pytest.fixture
def blocked(small_blocks, site, root, publisher, tmp_path):
    """A medium whose payload has 18 blocks of 512 bytes and one of 100."""
    data = bytes(range(256)) * 36 + b"x" * 100
    return publisher.write(root, make_payload(tmp_path / "catalog", data=data))


def test_a_good_medium_has_no_problem_and_is_tidy(judged):
    report, files = judged()
    assert report.problem() is None
    assert report.is_tidy(strict=True)
    assert report.is_complete
    assert {file.verdict for file in files.values()} == {Verdict.OK}
    assert len(files) == 16


def test_the_report_says_how_the_bytes_were_read(judged):
    report, _ = judged()
    assert report.read_method in {"O_DIRECT", "posix_fadvise", "FILE_FLAG_NO_BUFFERING"}


def test_a_missing_payload_is_missing_not_damaged(judged, folder):
    (folder / BUNDLE).unlink()
    report, files = judged()
    assert files[BUNDLE].verdict is Verdict.MISSING
    assert not report.is_complete
    assert isinstance(report.problem(), StorageError)
    assert BUNDLE in str(report.problem())


def test_a_flipped_bit_in_a_payload_is_a_digest_error_that_names_the_place(judged, folder):
    flip(folder / BUNDLE, 8 * 700)
    report, files = judged()
    assert files[BUNDLE].verdict is Verdict.DAMAGED
    assert "block 0 (bytes 0 to 1299) differs" in files[BUNDLE].detail
    assert isinstance(report.problem(), DigestError)


def test_each_damaged_block_is_named_by_its_bytes(site, blocked):
    path = next(blocked.folder.glob("data/payload/*"))
    for byte in (512, 5000, 9215, 9216, 9315):
        flip(path, 8 * byte)
    report = site.open(blocked.folder).verify()
    (damaged,) = report.having(Verdict.DAMAGED)
    assert [(item.block, item.first_byte, item.last_byte) for item in damaged.damage] == [
        (1, 512, 1023),
        (9, 4608, 5119),
        (17, 8704, 9215),
        (18, 9216, 9315),
    ]
    assert "and 1 more blocks" in damaged.detail


def test_a_medium_whose_blocks_were_hashed_otherwise_is_proven_by_its_pieces(
    site, root, publisher, tmp_path, monkeypatch
):
    """As those of an earlier ferry: damage is found and has no place."""
    with monkeypatch.context() as earlier:
        earlier.setattr("toolkit.media._sign.BLOCKS", "blocks_64mib")
        folder = publisher.write(root, make_payload(tmp_path / "catalog")).folder
    medium = site.open(folder)
    assert medium.verify().problem() is None
    medium.copy_target(medium.targets()[0].name, io.BytesIO())
    flip(next(folder.glob("data/payload/*")), 3)
    (damaged,) = medium.verify().having(Verdict.DAMAGED)
    assert damaged.damage == ()
    with pytest.raises(DigestError, match="sha256"):
        medium.copy_target(medium.targets()[0].name, io.BytesIO())


def test_where_the_hash_of_a_block_was_not_signed_the_whole_is_proven(
    small_blocks, site, root, publisher, tmp_path, monkeypatch
):
    honest = StreamDigest.blocks
    with monkeypatch.context() as forgetful:
        forgetful.setattr(StreamDigest, "blocks", lambda digest: honest(digest)[:-1])
        publisher.write(root, make_payload(tmp_path / "catalog", data=b"x" * 2000))
    medium = site.open(root)
    assert medium.verify().problem() is None
    medium.copy_target(medium.targets()[0].name, io.BytesIO())
    flip(next(root.glob("*/data/payload/*")), 3)
    assert medium.verify().having(Verdict.DAMAGED)
    with pytest.raises(DigestError, match="sha256"):
        medium.copy_target(medium.targets()[0].name, io.BytesIO())


@pytest.mark.parametrize("signed", [5, None, False, ["x"], [5]], ids=str)
def test_what_is_signed_as_hashes_of_blocks_and_is_none_is_a_signature_error(
    site, root, publisher, payload, monkeypatch, signed
):
    honest = _sign._target

    def odd(item):
        target = honest(item)
        target.unrecognized_fields["custom"]["blake3_64mib"] = signed
        return target

    monkeypatch.setattr(_sign, "_target", odd)
    publisher.write(root, payload)
    medium = site.open(root)
    for use in (medium.verify, lambda: medium.copy_target(medium.targets()[0].name, io.BytesIO())):
        with pytest.raises(SignatureError, match="hashes of blocks"):
            use()


def test_a_truncated_payload_names_both_lengths(site, blocked):
    path = next(blocked.folder.glob("data/payload/*"))
    path.write_bytes(path.read_bytes()[:600])
    report = site.open(blocked.folder, accept_incomplete=True).verify()
    (damaged,) = report.having(Verdict.DAMAGED)
    assert "600 bytes instead of 9316" in damaged.detail
    assert [item.block for item in damaged.damage] == list(range(1, 19))


def test_a_payload_that_grew_is_damaged(judged, folder):
    with (folder / BUNDLE).open("ab") as out:
        out.write(b"!")
    _, files = judged()
    assert files[BUNDLE].verdict is Verdict.DAMAGED


def test_copying_stops_at_the_first_damaged_block(site, blocked, monkeypatch):
    monkeypatch.setattr(device, "CHUNK_BYTES", 512)
    medium = site.open(blocked.folder)
    path = next(blocked.folder.glob("data/payload/*"))
    flip(path, 8 * 600)
    sink = io.BytesIO()
    with pytest.raises(DigestError, match=r"block 1 \(bytes 512 to 1023\)"):
        medium.copy_target(medium.targets()[0].name, sink)
    assert len(sink.getvalue()) <= (device.KEPT_CHUNKS + 2) * 512


def test_copying_a_truncated_payload_is_a_digest_error(site, blocked):
    medium = site.open(blocked.folder)
    path = next(blocked.folder.glob("data/payload/*"))
    path.write_bytes(path.read_bytes()[:1024])
    with pytest.raises(DigestError, match="1024 bytes"):
        medium.copy_target(medium.targets()[0].name, io.BytesIO())


def test_copying_a_payload_that_grew_is_a_digest_error(site, blocked):
    medium = site.open(blocked.folder)
    path = next(blocked.folder.glob("data/payload/*"))
    path.write_bytes(path.read_bytes() + b"y" * 2000)
    with pytest.raises(DigestError):
        medium.copy_target(medium.targets()[0].name, io.BytesIO())


def test_copying_from_a_medium_that_was_pulled_is_a_storage_error(site, blocked):
    medium = site.open(blocked.folder)
    next(blocked.folder.glob("data/payload/*")).unlink()
    with pytest.raises(StorageError):
        medium.copy_target(medium.targets()[0].name, io.BytesIO())


def test_a_whole_copy_of_several_blocks_is_proven(site, blocked):
    medium = site.open(blocked.folder)
    sink = io.BytesIO()
    medium.copy_target(medium.targets()[0].name, sink)
    assert sink.getvalue() == next(blocked.folder.glob("data/payload/*")).read_bytes()


@pytest.mark.parametrize(
    "name", ["bagit.txt", "bag-info.txt", "start.txt", "start.html", "verify.ps1", "verify.sh"]
)
def test_a_flipped_bit_in_a_tag_file_is_reported(judged, folder, name):
    flip(folder / name, 99)
    report, files = judged()
    assert files[name].verdict is Verdict.DAMAGED
    assert isinstance(report.problem(), DigestError)


@pytest.mark.parametrize("bit", [3, 8 * 70])
def test_a_flipped_bit_in_a_manifest_is_reported(judged, folder, bit):
    flip(folder / "manifest-sha256.txt", bit)
    _, files = judged()
    assert files["manifest-sha256.txt"].verdict is Verdict.DAMAGED


@pytest.mark.parametrize("bit", [3, 8 * 70])
def test_a_flipped_bit_in_the_tag_manifest_is_reported(judged, folder, bit):
    flip(folder / "tagmanifest-sha256.txt", bit)
    report, _ = judged()
    assert report.problem() is not None


def test_a_tag_manifest_that_lists_nothing_is_damaged(site, folder):
    (folder / "tagmanifest-sha256.txt").write_bytes(b"")
    report = site.open(folder).verify()
    assert [item.path for item in report.having(Verdict.DAMAGED)] == ["tagmanifest-sha256.txt"]
    assert "lists no file" in str(report.problem())


@pytest.mark.parametrize("name", ["manifest-sha256.txt", "tagmanifest-sha256.txt"])
def test_a_missing_manifest_is_missing(judged, folder, name):
    (folder / name).unlink()
    _, files = judged()
    assert files[name].verdict is Verdict.MISSING


def test_a_manifest_rewritten_to_match_a_swapped_payload_is_damaged(judged, folder):
    """The bag alone would be content: its manifests are not signed."""
    manifest = folder / "manifest-sha256.txt"
    lines = manifest.read_text("utf-8").splitlines()
    lines[0] = "0" * 64 + lines[0][64:]
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    _, files = judged()
    assert "disagrees with the signed hashes" in files["manifest-sha256.txt"].detail


@pytest.mark.parametrize(
    ("name", "before", "after", "word"),
    [
        ("bag-info.txt", "Payload-Oxum: ", "Payload-Oxum: 1", "Payload-Oxum 1"),
        ("bagit.txt", "1.0", "one", "not the two lines"),
        ("bagit.txt", "UTF-8", "EBCDIC-9", "not known here"),
    ],
)
def test_a_bag_against_the_rules_is_damaged_though_its_tag_manifest_agrees(
    judged, folder, name, before, after, word
):
    text = (folder / name).read_text("utf-8")
    old = hashlib.sha256(text.encode()).hexdigest()
    text = text.replace(before, after)
    (folder / name).write_bytes(text.encode())
    tags = (folder / "tagmanifest-sha256.txt").read_text("utf-8")
    tags = tags.replace(old, hashlib.sha256(text.encode()).hexdigest())
    (folder / "tagmanifest-sha256.txt").write_bytes(tags.encode())
    report, files = judged()
    assert files[name].verdict is Verdict.DAMAGED
    assert word in files[name].detail
    assert isinstance(report.problem(), DigestError)


def test_an_unfinished_set_reports_complete_json_missing(judged, folder):
    (folder / "complete.json").rename(folder / "writing.json")
    report, files = judged()
    assert files["complete.json"].verdict is Verdict.MISSING
    assert files["writing.json"].detail == "left by unfinished writing"
    assert isinstance(report.problem(), StorageError)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"kind": "ferry-set-state", "format": 1}'])
def test_a_complete_json_that_says_nothing_is_damaged(judged, folder, data):
    (folder / "complete.json").write_bytes(data)
    _, files = judged()
    assert files["complete.json"].verdict is Verdict.DAMAGED


def test_a_complete_json_nested_without_end_is_damaged(judged, site, folder):
    (folder / "complete.json").write_bytes(b"[" * 200_000)
    _, files = judged()
    assert files["complete.json"].verdict is Verdict.DAMAGED
    assert site.open(folder, accept_incomplete=True).describe().read_back == ""
    with pytest.raises(InputError):
        describe_medium(folder)


def test_the_complete_json_of_another_set_is_damaged(judged, folder):
    document = json.loads((folder / "complete.json").read_bytes())
    document["set_id"] = "another"
    (folder / "complete.json").write_text(json.dumps(document), encoding="utf-8")
    _, files = judged()
    assert files["complete.json"].verdict is Verdict.DAMAGED


def test_litter_is_no_tampering_unless_strict(judged, folder):
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / "data" / "._plan").write_bytes(b"x")
    report, files = judged()
    assert files["Thumbs.db"].verdict is Verdict.LITTER
    assert files["data/._plan"].verdict is Verdict.LITTER
    assert report.problem() is None
    assert report.is_tidy()
    assert not report.is_tidy(strict=True)


def test_a_foreign_file_is_reported_and_is_no_proof_problem(judged, folder):
    (folder / "data" / "payload" / "extra.zip").write_bytes(b"x")
    report, files = judged()
    assert files["data/payload/extra.zip"].verdict is Verdict.FOREIGN
    assert report.problem() is None
    assert not report.is_tidy()


def test_receipts_added_later_are_not_foreign(judged, folder):
    for name in ("custody", "return", "parity"):
        (folder / name).mkdir()
        (folder / name / "0001.json").write_bytes(b"{}")
    report, _ = judged()
    assert report.is_tidy(strict=True)


def as_pipe(path):
    path.unlink()
    os.mkfifo(path)


def as_link(path):
    away = path.rename(path.with_name("elsewhere"))
    path.symlink_to(away)


posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs pipes and links")


@posix_only
@pytest.mark.parametrize("replace", [as_pipe, as_link])
@pytest.mark.parametrize("name", [BUNDLE, "start.txt", "manifest-sha256.txt", "complete.json"])
def test_what_is_no_regular_file_is_damaged_and_never_opened(judged, folder, name, replace):
    replace(folder / name)
    _, files = judged()
    assert (files[name].verdict, files[name].detail) == (Verdict.DAMAGED, "not a regular file")


@posix_only
@pytest.mark.parametrize("replace", [as_pipe, as_link])
@pytest.mark.parametrize("name", ["tuf/timestamp.json", "tuf/1.root.json", "data/plan/set.json"])
def test_metadata_that_are_no_regular_file_are_a_digest_error(site, folder, name, replace):
    replace(folder / name)
    with pytest.raises(DigestError, match="not a regular file") as caught:
        site.open(folder)
    assert "Errno" not in str(caught.value)


@pytest.mark.parametrize("said", ["9", "1"])
def test_a_set_that_is_not_understood_may_be_of_a_newer_ferry(said):
    data = f'{{"kind": "ferry-set", "format": {said}, "set_id": "x"}}'.encode()
    with pytest.raises(InputError, match=r"set\.json") as caught:
        SetPlan.from_bytes(data, file="set.json")
    assert "newer ferry" in caught.value.hint


@posix_only
def test_a_payload_that_is_a_link_is_not_copied(site, folder):
    as_link(folder / BUNDLE)
    medium = site.open(folder)
    with pytest.raises(DigestError, match="not a regular file"):
        medium.copy_target(BUNDLE.removeprefix("data/"), io.BytesIO())


@posix_only
def test_a_link_to_a_folder_is_foreign_and_not_followed(judged, folder, tmp_path):
    (tmp_path / "off").mkdir()
    (tmp_path / "off" / "secret").touch()
    (folder / "data" / "off").symlink_to(tmp_path / "off", target_is_directory=True)
    report, files = judged()
    assert (files["data/off"].verdict, files["data/off"].detail) == (Verdict.FOREIGN, "a link")
    assert "data/off/secret" not in files
    assert not report.is_tidy()


def test_an_empty_folder_is_foreign(judged, folder):
    (folder / "data" / "spare").mkdir()
    _, files = judged()
    spare = files["data/spare"]
    assert (spare.verdict, spare.detail) == (Verdict.FOREIGN, "an empty folder")


def test_a_file_that_cannot_be_read_is_unreadable_and_a_storage_error(judged, monkeypatch):
    def failing(path, progress=None):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("toolkit.media._medium.measure_blocks", failing)
    report, files = judged()
    assert files[BUNDLE].verdict is Verdict.UNREADABLE
    assert isinstance(report.problem(), StorageError)


def test_a_last_file_that_cannot_be_read_sends_nobody_home(judged, folder):
    honest = Path.open

    def failing(path, *arguments, **options):
        if path.name == "complete.json":
            raise OSError(errno.EIO, "Input/output error")
        return honest(path, *arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "open", failing)
        report, files = judged()
    assert files["complete.json"].verdict is Verdict.UNREADABLE
    hint = report.problem().hint
    assert hint.startswith("unplug it")
    assert "ferry media repair" in hint


def test_a_file_in_place_of_a_folder_of_payloads_makes_them_missing(judged, folder):
    """Of which home can be asked; a file that cannot be read is another thing."""
    shutil.rmtree(folder / "data/payload")
    (folder / "data/payload").touch()
    report, files = judged()
    assert files[BUNDLE].verdict is Verdict.MISSING
    assert files["data/payload"].verdict is Verdict.FOREIGN
    assert "ferry media request" in report.problem().hint


def test_a_file_in_place_of_all_data_makes_the_set_incomplete(site, folder):
    shutil.rmtree(folder / "data")
    (folder / "data").touch()
    with pytest.raises(StorageError, match=r"data/plan/set\.json is missing") as caught:
        site.open(folder, accept_incomplete=True)
    assert "written anew" in caught.value.hint


def test_damage_is_graver_than_a_missing_file(judged, folder):
    flip(folder / "start.txt", 4)
    (folder / BUNDLE).unlink()
    report, _ = judged()
    assert isinstance(report.problem(), DigestError)


# --- the label ------------------------------------------------------------------------------------


def test_the_label_says_that_nobody_has_proven_it(medium):
    label = describe_medium(medium)
    assert not label.is_verified
    assert label.set_name == "AZL-2603-TEST"
    assert label.is_complete


def test_the_label_of_a_proven_medium_says_the_same_and_that_it_is_proven(site, medium):
    claimed, proven = describe_medium(medium), site.open(medium).describe()
    assert proven.is_verified
    assert (proven.set_id, proven.payloads, proven.expires_at, proven.read_back) == (
        claimed.set_id,
        claimed.payloads,
        claimed.expires_at,
        claimed.read_back,
    )


def test_the_label_of_an_unfinished_set_can_be_read(folder):
    (folder / "complete.json").rename(folder / "writing.json")
    assert not describe_medium(folder).is_complete


def test_a_set_without_a_label_is_a_storage_error(folder):
    (folder / "complete.json").unlink()
    with pytest.raises(StorageError, match=r"complete\.json"):
        describe_medium(folder)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"format": 9, "kind": "ferry-set-state"}', b'{"a": ' * 100_000]
)
def test_a_label_that_cannot_be_understood_is_an_input_error(folder, data):
    (folder / "complete.json").write_bytes(data)
    with pytest.raises(InputError):
        describe_medium(folder)


# --- reading past the cache -----------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 511, 512, 4095, 4096, 4097, 9316])
def test_every_way_of_reading_finds_the_same_bytes(tmp_path, small_blocks, monkeypatch, size):
    path = tmp_path / "file"
    path.write_bytes(bytes(index % 251 for index in range(size)))
    direct = measure(path, blocks=True)
    monkeypatch.setattr(device, "_open_uncached", device._open_dropping)
    dropped = measure(path, blocks=True)
    assert (direct.size_bytes, direct.sha256, direct.blocks) == (
        dropped.size_bytes,
        dropped.sha256,
        dropped.blocks,
    )
    assert direct.size_bytes == size
    assert len(direct.blocks) == -(-size // 512)
    assert measure_blocks(path).blocks == direct.blocks


@pytest.mark.skipif(not hasattr(device.os, "O_DIRECT"), reason="no O_DIRECT on this system")
def test_a_file_system_that_breaks_its_promise_of_direct_reads_is_read_another_way(
    tmp_path, monkeypatch
):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 9000)

    class Promising:
        """Opens directly, then refuses to read, as some FUSE file systems do."""

        def __init__(self):
            self.file = path.open("rb", buffering=0)

        def fileno(self):
            return self.file.fileno()

        def readinto(self, buffer):
            raise OSError(device.errno.EINVAL, "Invalid argument")

        def close(self):
            self.file.close()

    monkeypatch.setattr(
        device, "_open_uncached", lambda path: (Promising(), device.ReadMethod.DIRECT)
    )
    found = measure(path)
    assert found.size_bytes == 9000
    assert found.method is device.ReadMethod.DONT_NEED


@pytest.mark.parametrize(("size", "wanted"), [(1, [4096]), (8192, [8192]), (9316, [8192, 4096])])
def test_little_more_is_read_than_is_there(tmp_path, monkeypatch, size, wanted):
    """Making memory ready for more took longer than reading a small file."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    asked, read = [], device.DeviceReader._read
    monkeypatch.setattr(device, "CHUNK_BYTES", 8192)
    monkeypatch.setattr(device, "_ALIGNED_BYTES", 4096)
    monkeypatch.setattr(
        device.DeviceReader,
        "_read",
        lambda reader, into: (asked.append(len(into)), read(reader, into))[1],
    )
    assert measure(path).size_bytes == size
    assert asked == wanted


@pytest.mark.parametrize("size", [100, 4096, 65536, 2 << 20, 4 << 20])
def test_a_file_that_grows_while_it_is_read_is_noticed(tmp_path, monkeypatch, size):
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    read = device.DeviceReader._read

    def grow(reader, buffer):
        with path.open("ab") as out:
            out.write(b"y" * 4000)
        return read(reader, buffer)

    monkeypatch.setattr(device.DeviceReader, "_read", grow)
    assert measure(path).size_bytes > size


def test_the_weakest_method_is_the_one_recorded():
    direct, cached = device.ReadMethod.DIRECT, device.ReadMethod.CACHED
    assert device.weakest([direct, cached, direct]) is cached


def test_block_hashes_do_not_depend_on_how_the_stream_is_cut(small_blocks):
    data = bytes(range(256)) * 9
    results = set()
    for step in (1, 100, 512, 513, 4000):
        with StreamDigest() as digest:
            for at in range(0, len(data), step):
                digest.update(memoryview(data)[at : at + step])
            results.add((digest.size_bytes, digest.whole(), digest.blocks()))
            assert tuple(digest.closed_blocks(1)) == digest.blocks()[1:4]  # the last is partial
    blocks = [data[at : at + 512] for at in range(0, len(data), 512)]
    digests = tuple(blake3(block).hexdigest() for block in blocks)
    assert results == {(len(data), hashlib.sha256(data).hexdigest(), digests)}


def test_what_was_not_to_be_hashed_has_no_hash():
    with StreamDigest(whole=False) as digest:
        digest.update(memoryview(b"x"))
        with pytest.raises(ValueError, match="not to be hashed"):
            digest.whole()
    with StreamDigest(blocks=False) as digest:
        digest.update(memoryview(b"x"))
        assert digest.blocks() == ()


def test_a_medium_copied_to_another_disk_is_still_good(site, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert site.open(tmp_path / "copy", now=NOW).verify().problem() is None


# --- writing past the cache -----------------------------------------------------------------------


@pytest.fixture(params=["as the system can", "refused at the first write", "not offered"])
def way(request, monkeypatch):
    """Each way of writing: direct, promised and then refused, and plain."""
    if request.param == "not offered":
        monkeypatch.setattr(device.sys, "platform", "other")
    elif request.param == "refused at the first write":
        honest = device.os.fdopen

        def fdopen(handle, mode, **more):
            file = honest(handle, mode, **more)
            return Refusing(file) if mode == "wb" else file

        monkeypatch.setattr(device.os, "fdopen", fdopen)


class Refusing:
    """A file opened directly on a file system that then refuses to write directly."""

    def __init__(self, file):
        self.file = file

    def write(self, data):
        raise OSError(device.errno.EINVAL, "Invalid argument")

    def fileno(self):
        return self.file.fileno()

    def close(self):
        self.file.close()


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 8192, 9316])
def test_every_way_of_writing_leaves_the_same_bytes(tmp_path, small_blocks, way, size):
    data = bytes(index % 251 for index in range(size))
    (tmp_path / "source").write_bytes(data)
    with StreamDigest() as digest:
        is_copied = device.copy_durably(
            tmp_path / "source",
            tmp_path / "target",
            digest=digest,
            accept=lambda: digest.whole() == hashlib.sha256(data).hexdigest(),
            progress=device.Silent(),
        )
    assert is_copied
    assert (tmp_path / "target").read_bytes() == data
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]
