import contextlib
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from tests.unit.media.making import NOW, days, flip, make_payload
from tests.unit.media.receipts import HOME, SITE
from toolkit.errors import DigestError, InputError, SignatureError, StorageError, TrustError
from toolkit.media import _device as device
from toolkit.media import _write as writing
from toolkit.media import fingerprint, write_medium
from toolkit.media._device import BLOCK_BYTES
from toolkit.model import Silent


class Stopped(BaseException):
    """The process dies here."""


class StopAt(Silent):
    """A progress that dies when a step begins."""

    def __init__(self, step):
        self.step = step

    def begin(self, what, *, total_bytes):
        if what.startswith(self.step):
            raise Stopped


class Heard(Silent):
    def __init__(self):
        self.steps, self.said = [], []

    def begin(self, what, *, total_bytes):
        self.steps.append(what)

    def say(self, message):
        self.said.append(message)


def noted_in(complete):
    return json.loads(complete.read_bytes())["noted"]


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a set but complete.json, which tells when it was completed."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "complete.json"
    }


def test_the_layout_is_the_designed_one(folder):
    names = {re.sub(r"\d{9,}", "N", name) for name in content(folder)}
    assert names == {
        "bag-info.txt",
        "bagit.txt",
        "data/payload/CombinedSolutionBundle.12.2603.1002.15.zip",
        "data/payload/SBE_Contoso_Model1_4.2.2603.1.zip",
        "data/plan/set.json",
        "manifest-sha256.txt",
        "start.html",
        "start.txt",
        "tagmanifest-sha256.txt",
        "tuf/1.root.json",
        "tuf/N.snapshot.json",
        "tuf/N.targets.json",
        "tuf/timestamp.json",
        "verify.ps1",
        "verify.sh",
    }
    assert (folder / "complete.json").is_file()


def test_the_bag_info_names_set_count_and_oxum(folder):
    info = dict(
        line.split(": ", 1) for line in (folder / "bag-info.txt").read_text("utf-8").splitlines()
    )
    sizes = [path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file()]
    set_id = json.loads((folder / "data/plan/set.json").read_bytes())["set_id"]
    assert info["Bag-Group-Identifier"] == set_id
    assert info["Bag-Count"] == "1 of 1"
    assert info["Payload-Oxum"] == f"{sum(sizes)}.3"


def test_manifests_have_no_carriage_return(folder):
    for name in ("manifest-sha256.txt", "tagmanifest-sha256.txt", "bagit.txt", "bag-info.txt"):
        assert b"\r" not in (folder / name).read_bytes()


def test_set_json_maps_each_target_to_its_path(folder):
    rows = json.loads((folder / "data/plan/set.json").read_bytes())["files"]
    pieces = [(row["target"], [(p["path"], p["medium"]) for p in row["pieces"]]) for row in rows]
    assert pieces == [
        (f"payload/{name}", [(f"data/payload/{name}", 1)])
        for name in (
            "CombinedSolutionBundle.12.2603.1002.15.zip",
            "SBE_Contoso_Model1_4.2.2603.1.zip",
        )
    ]


def test_targets_carry_kind_version_url_witnesses_and_block_hashes(folder):
    (path,) = folder.glob("tuf/*.targets.json")
    target = json.loads(path.read_bytes())["signed"]["targets"][
        "payload/CombinedSolutionBundle.12.2603.1002.15.zip"
    ]
    custom = target["custom"]
    assert custom["kind"] == "solution-bundle"
    assert custom["version"] == "12.2603.1002.15"
    assert custom["url"].startswith("https://vendor.example/")
    assert custom["witnesses"][0]["source"] == "release notes"
    (payload,) = folder.glob("data/payload/Combined*.zip")
    assert custom["blake3_64mib"] == [blake3(payload.read_bytes()).hexdigest()]  # one block only


def test_the_leaflet_tells_fingerprint_validity_and_what_is_lacking(folder, publisher):
    text = (folder / "start.txt").read_text("utf-8")
    printed = fingerprint(publisher.root)
    assert printed[:39] in text
    assert printed[40:] in text
    assert "2027-04-30" in text
    assert "Azure Arc resource bridge (ARB)" in text
    assert "AKS" in text
    page = (folder / "start.html").read_text("utf-8")
    assert printed[:39] in page
    assert "$" not in text + page


def test_a_set_name_is_made_from_the_release(root, publisher, payload):
    medium = publisher.write(root, payload)
    assert re.fullmatch(r"AZL-2603-[A-HJ-NP-Z2-9]{4}", medium.set_name)


def test_the_read_back_method_is_recorded(folder):
    record = json.loads((folder / "complete.json").read_bytes())["read_back"]
    assert record["method"] in {"O_DIRECT", "posix_fadvise", "FILE_FLAG_NO_BUFFERING", "F_NOCACHE"}
    assert record["files"] == len(content(folder))
    assert record["bytes"] == sum(map(len, content(folder).values()))


# --- refusals -----------------------------------------------------------------------------------


def test_a_changed_catalog_file_is_a_digest_error_and_leaves_no_payload(root, publisher, payload):
    flip(payload.path, 77)
    with pytest.raises(DigestError, match="sha256"):
        publisher.write(root, payload)
    assert not [path for path in root.rglob("*") if path.suffix in {".zip", ".part"}]


def test_nothing_is_signed_before_it_was_read_back(root, publisher, payload):
    """Hashes of other bytes under our signature would make a medium with those bytes look good."""
    with pytest.raises(Stopped):
        publisher.write(root, payload, progress=StopAt("read back"))
    assert list(root.rglob("Combined*.zip"))
    assert not list(root.rglob("tuf/*.json"))


def test_a_missing_catalog_file_is_a_storage_error(root, publisher, payload):
    payload.path.unlink()
    with pytest.raises(StorageError, match="no such file"):
        publisher.write(root, payload)


def test_nothing_to_write_is_an_input_error(root, publisher):
    with pytest.raises(InputError, match="no payload"):
        publisher.write(root)


def test_a_medium_must_not_outlive_the_root(root, publisher, payload):
    with pytest.raises(InputError, match="when the root expires") as caught:
        publisher.write(root, payload, expires_at=NOW + days(701))
    assert "ferry trust renew" in caught.value.hint


def test_an_expiry_in_the_past_is_refused(root, publisher, payload):
    with pytest.raises(InputError, match="later day") as caught:
        publisher.write(root, payload, expires_at=NOW)
    assert "clock" in caught.value.hint


def test_a_clock_before_the_keys_were_made_is_refused(root, publisher, payload):
    with pytest.raises(InputError, match="clock"):
        publisher.write(root, payload, now=NOW - days(31))


def test_an_absent_medium_is_noticed_and_no_folder_is_made_for_it(root, publisher, payload):
    """Else the disk of this machine would fill where a stick was not plugged in."""
    with pytest.raises(StorageError, match="no such folder") as caught:
        write_medium(
            root / "stick", [payload], keys=publisher.keys, expires_at=NOW + days(9), now=NOW
        )
    assert "mount it" in caught.value.hint
    assert f'mkdir "{root / "stick"}"' in caught.value.hint
    assert list(root.iterdir()) == []


def test_a_foreign_folder_of_that_name_is_refused(root, publisher, payload, monkeypatch):
    monkeypatch.setattr("os.path.ismount", lambda path: path == root)
    (root / "AZL-1").mkdir()
    (root / "AZL-1" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(StorageError, match="already holds something else"):
        publisher.write(root, payload, set_name="AZL-1")
    assert [path.name for path in (root / "AZL-1").iterdir()] == ["holiday.jpg"]


def test_a_payload_name_that_may_not_stand_on_a_medium_is_refused(tmp_path, root, publisher):
    held = make_payload(tmp_path / "catalog", name="aux.zip")
    with pytest.raises(InputError, match="device"):
        publisher.write(root, held)
    assert list(root.iterdir()) == []


def test_two_payloads_of_one_name_are_refused(root, publisher, payload):
    with pytest.raises(InputError, match="same name"):
        publisher.write(root, payload, payload)


def test_a_full_medium_is_refused_before_the_first_byte(root, publisher, payload, monkeypatch):
    monkeypatch.setattr(writing, "free_bytes", lambda folder: 1000)
    scanned = []
    with pytest.raises(StorageError, match="1000 bytes free") as caught:
        publisher.write(root, payload, before_write=scanned.append)
    assert scanned == [], "a scan takes minutes, and comes after what can be refused without it"
    assert not list(root.rglob("*.zip"))
    assert "of the missing payloads none was written" in caught.value.hint  # the set was begun


def test_a_file_above_fat32_s_limit_needs_a_place_to_keep_the_cut_set(
    tmp_path, root, publisher, monkeypatch
):
    payload = make_payload(tmp_path / "catalog", data=bytes(BLOCK_BYTES + 1))
    monkeypatch.setattr(writing, "largest_file_bytes", lambda folder: BLOCK_BYTES)
    with pytest.raises(StorageError, match="does not fit in one piece") as caught:
        publisher.write(root, payload)
    assert "exFAT" in caught.value.hint


def test_a_file_of_exactly_the_limit_is_written(root, publisher, payload, monkeypatch):
    monkeypatch.setattr(writing, "largest_file_bytes", lambda folder: payload.size_bytes)
    assert publisher.write(root, payload).missing() == ()


def test_a_medium_that_returns_other_bytes_is_a_storage_error(
    root, publisher, payload, monkeypatch
):
    honest = writing.copy_durably

    def counterfeit(source, target, **more):
        found = honest(source, target, **more)
        flip(target, 5)
        return found

    monkeypatch.setattr(writing, "copy_durably", counterfeit)
    with pytest.raises(StorageError, match="other bytes than were written"):
        publisher.write(root, payload)
    assert not list(root.rglob("complete.json"))


# --- interrupted and resumed --------------------------------------------------------------------


@pytest.fixture
def second(tmp_path):
    return make_payload(tmp_path / "catalog", name="SBE_Contoso.zip", data=b"sbe" * 50)


@pytest.mark.parametrize(
    "step", ["write Combined", "read back Combined", "write SBE", "read back SBE"]
)
def test_a_stopped_writing_goes_on_and_ends_with_the_same_content(
    tmp_path, root, publisher, payload, second, step, monkeypatch
):
    monkeypatch.setattr(writing.uuid, "uuid4", lambda: "6d3f0f7e-0000-4000-8000-000000000000")
    (tmp_path / "undisturbed").mkdir()
    publisher.write(tmp_path / "undisturbed", payload, second, set_name="AZL-1")
    with pytest.raises(Stopped):
        publisher.write(root, payload, second, set_name="AZL-1", progress=StopAt(step))
    publisher.write(root, payload, second, set_name="AZL-1", now=NOW + days(1))
    assert content(root / "AZL-1") == content(tmp_path / "undisturbed" / "AZL-1")


def test_a_payload_that_stands_already_is_read_back_and_not_written_again(
    root, publisher, payload, second
):
    with pytest.raises(Stopped):
        publisher.write(root, payload, second, progress=StopAt("write SBE"))
    heard = Heard()
    publisher.write(root, payload, second, progress=heard)
    assert heard.steps == [
        "write SBE_Contoso.zip",
        f"read back {payload.name}",
        "read back SBE_Contoso.zip",
    ]


NONSENSE = {
    "path": "data/payload/x",
    "sha256": "00" * 32,
    "blake3": [],
    "parity": {"../x": "00" * 32},
}


@pytest.mark.parametrize("notes", [None, [], [{"path": "x"}], ["x"], "x", [NONSENSE]], ids=str)
@pytest.mark.parametrize("is_good", [True, False])
def test_what_stands_without_a_note_is_looked_at(root, publisher, payload, second, notes, is_good):
    with pytest.raises(Stopped):
        publisher.write(root, payload, second, progress=StopAt("write SBE"))
    (writing_json,), (path,) = root.rglob("writing.json"), root.rglob("Combined*.zip")
    document = json.loads(writing_json.read_text())
    assert [row["path"] for row in document.pop("noted")] == [f"data/payload/{payload.name}"]
    if notes is not None:
        document["noted"] = notes
    writing_json.write_text(json.dumps(document))
    if not is_good:
        flip(path, 3)
    heard = Heard()
    medium = publisher.write(root, payload, second, progress=heard)
    assert heard.steps[0] == f"look at {payload.name}"
    assert (f"write {payload.name}" in heard.steps) is not is_good
    assert medium.verify().problem() is None


@pytest.fixture
def stopped_at_the_end(monkeypatch):
    """Return a context in which a writing dies before its very last step."""

    @contextlib.contextmanager
    def stopped_at_the_end():
        def stopped(path, target):
            if target.name == "complete.json":
                raise Stopped
            return honest(path, target)

        honest = Path.replace
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", stopped)
            with pytest.raises(Stopped):
                yield

    return stopped_at_the_end


def test_a_writing_stopped_before_its_last_step_is_only_read_back(
    root, publisher, payload, stopped_at_the_end
):
    with stopped_at_the_end():
        publisher.write(root, payload)
    heard = Heard()
    publisher.write(root, payload, progress=heard)
    assert heard.steps == [f"read back {payload.name}"]


def test_what_an_earlier_ferry_wrote_and_noted_otherwise_is_kept(root, publisher, payload, second):
    with pytest.raises(Stopped):
        publisher.write(root, payload, second, progress=StopAt("write SBE"))
    (writing_json,) = root.rglob("writing.json")
    document = json.loads(writing_json.read_text())
    (row,) = document["noted"]
    row["blocks"] = [row["sha256"] for _ in row.pop("blake3")]
    writing_json.write_text(json.dumps(document))
    heard = Heard()
    medium = publisher.write(root, payload, second, progress=heard)
    assert {f"look at {payload.name}", f"write {payload.name}"}.isdisjoint(heard.steps)
    assert medium.verify().problem() is None


@pytest.mark.parametrize("is_altered", [True, False])
def test_a_forged_note_is_not_believed(root, publisher, payload, second, is_altered):
    """Neither is it signed: hashes of blocks are those of what was read back."""
    with pytest.raises(Stopped):
        publisher.write(root, payload, second, progress=StopAt("write SBE"))
    (path,), (writing_json,) = root.rglob("Combined*.zip"), root.rglob("writing.json")
    if is_altered:
        flip(path, 3)
    document = json.loads(writing_json.read_text())
    digest = blake3(path.read_bytes()).hexdigest() if is_altered else "00" * 32
    document["noted"][0]["blake3"] = [digest]
    writing_json.write_text(json.dumps(document))
    heard = Heard()
    medium = publisher.write(root, payload, second, progress=heard)
    assert heard.steps.count(f"write {payload.name}") == is_altered
    assert path.read_bytes() == payload.path.read_bytes()
    assert medium.verify().problem() is None
    assert signed_blocks(medium.folder, payload) == [blake3(path.read_bytes()).hexdigest()]


def test_a_catalog_file_that_is_exchanged_meanwhile_gets_no_hash_of_its_own_signed(
    root, publisher, payload
):
    """Its bytes would look good at the site, under our signature."""
    honest = payload.path.read_bytes()
    flip(payload.path, 77)

    class Exchanging(Heard):
        def begin(self, what, *, total_bytes):
            super().begin(what, total_bytes=total_bytes)
            if what.startswith("read back"):
                for path in (payload.path, *root.rglob("Combined*.zip")):
                    path.write_bytes(honest)

    medium = publisher.write(root, payload, progress=Exchanging())
    assert signed_blocks(medium.folder, payload) == [blake3(honest).hexdigest()]
    assert medium.verify().problem() is None


def test_a_set_with_signed_hashes_of_other_blocks_is_not_finished(
    root, publisher, payload, monkeypatch
):
    with monkeypatch.context() as wrong:
        wrong.setattr(device.StreamDigest, "blocks", lambda _: ("00" * 32,))
        folder = publisher.write(root, payload).folder
    (folder / "complete.json").unlink()
    with pytest.raises(SignatureError, match="hashes of the blocks") as caught:
        publisher.write(root, payload)
    assert "do not use it" in caught.value.hint
    assert not (folder / "complete.json").exists()


def signed_blocks(folder, payload):
    (path,) = folder.glob("tuf/*.targets.json")
    target = json.loads(path.read_bytes())["signed"]["targets"][f"payload/{payload.name}"]
    return target["custom"]["blake3_64mib"]


def test_a_counterfeit_that_writes_late_bytes_over_early_ones_is_found(
    root, publisher, payload, second, monkeypatch
):
    honest = writing.copy_durably

    def wrapping(source, target, **more):
        result = honest(source, target, **more)
        if source == second.path:
            (early,) = root.rglob("Combined*.zip")
            flip(early, 5)
        return result

    monkeypatch.setattr(writing, "copy_durably", wrapping)
    with pytest.raises(StorageError, match="other bytes than were written") as caught:
        publisher.write(root, payload, second)
    assert payload.name in caught.value.attempted
    assert not list(root.rglob("complete.json"))


def test_a_catalog_file_that_changed_is_named_and_leaves_nothing(root, publisher, payload):
    flip(payload.path, 5)
    with pytest.raises(DigestError, match="catalog") as caught:
        publisher.write(root, payload)
    assert payload.sha256 in str(caught.value)
    assert not list(root.rglob("Combined*.zip"))


def test_a_payload_damaged_since_is_written_again(root, publisher, payload, second):
    with pytest.raises(Stopped):
        publisher.write(root, payload, second, progress=StopAt("write SBE"))
    (path,) = root.rglob("Combined*.zip")
    flip(path, 3)
    heard = Heard()
    medium = publisher.write(root, payload, second, progress=heard)
    assert f"write {payload.name}" in heard.steps
    assert medium.verify().problem() is None


@pytest.mark.parametrize("count", range(15))
def test_it_can_be_stopped_between_any_two_files(root, publisher, payload, monkeypatch, count):
    """A set is made by 15 durable writes besides its payload: writing.json twice, 13 small files."""
    honest, left = writing.write_durably, [count]

    def dying(path, data):
        left[0] -= 1
        if left[0] < 0:
            raise Stopped
        honest(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(writing, "write_durably", dying)
        with pytest.raises(Stopped):
            publisher.write(root, payload, set_name="AZL-1")
    assert not (root / "AZL-1" / "complete.json").exists()
    assert publisher.write(root, payload, set_name="AZL-1").verify().problem() is None
    assert not (root / "AZL-1" / "writing.json").exists()


def test_left_over_parts_are_removed(root, publisher, payload, second):
    with pytest.raises(Stopped):
        publisher.write(root, payload, second, progress=StopAt("write SBE"))
    (folder,) = root.iterdir()
    (folder / "data" / "payload" / "SBE_Contoso.zip.part").write_bytes(b"half")
    medium = publisher.write(root, payload, second)
    assert medium.verify().is_tidy(strict=True)


def test_the_same_command_after_the_end_reads_the_medium_and_writes_nothing(
    root, publisher, payload
):
    first = publisher.write(root, payload)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    heard = Heard()
    again = publisher.write(root, payload, now=NOW + days(1), progress=heard)
    assert again.folder == first.folder
    assert heard.steps == [f"verify {first.label}"]
    assert "already complete, valid until 2027-04-30; it is read" in heard.said[0]
    assert "every byte of it was read" in heard.said[-1]
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize("name", ["*.zip", "start.txt", "set.json", "timestamp.json"])
def test_a_complete_medium_that_was_damaged_since_is_not_called_complete(
    root, publisher, payload, name
):
    publisher.write(root, payload)
    (path,) = root.rglob(name)
    flip(path, 8 * 30)
    with pytest.raises(TrustError) as caught:
        publisher.write(root, payload)
    assert "ferry media erase" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["*.zip", "start.txt", "set.json", "timestamp.json", "1.root.json"]
)
def test_a_complete_medium_that_lost_a_file_is_not_called_complete(root, publisher, payload, name):
    """The same command does not go on with it, so that is not what it advises."""
    publisher.write(root, payload)
    (path,) = root.rglob(name)
    path.unlink()
    with pytest.raises(StorageError) as caught:
        publisher.write(root, payload)
    assert "it was complete once" in caught.value.hint
    assert "ferry media erase" in caught.value.hint


@pytest.mark.parametrize("left", [None, b"", b"{}\n"], ids=["missing", "empty", "of no kind"])
def test_a_finished_set_that_lost_its_last_file_is_finished_again(
    root, publisher, payload, second, site, left
):
    """Not begun again beside it, and signed as it was: a site may have accepted it."""
    first = publisher.write(root, payload, second)
    before = content(first.folder)
    (first.folder / "complete.json").unlink()
    if left is not None:
        (first.folder / "complete.json").write_bytes(left)
    with pytest.raises(StorageError, match=r"not complete, missing complete\.json"):
        site.open(root)
    told = replace(payload, witnesses=())  # what the catalog knows of it may have changed
    heard = Heard()
    again = publisher.write(root, told, second, now=NOW + days(1), progress=heard)
    assert again.folder == first.folder
    assert content(again.folder) == before
    assert [step for step in heard.steps if step.startswith("look at")]
    assert not [step for step in heard.steps if step.startswith("write ")]
    assert site.open(root).missing() == ()
    assert again.verify().is_tidy(strict=True)


def test_such_a_set_notes_again_what_it_noted(root, publisher, payload, second):
    """By whom and when it was finished is of this time."""
    first = publisher.write(root, payload, second)
    complete = first.folder / "complete.json"
    noted = noted_in(complete)
    for row in noted:  # of one block each
        assert row["blake3"] == [blake3((first.folder / row["path"]).read_bytes()).hexdigest()]
    complete.unlink()
    publisher.write(root, payload, second, now=NOW + days(1))
    assert noted_in(complete) == noted
    assert json.loads(complete.read_bytes())["completed_at"] == "2026-11-02T12:00:00Z"


def test_what_else_such_a_set_lost_is_written_again(root, publisher, payload, second):
    first = publisher.write(root, payload, second)
    before = content(first.folder)
    for name in ("complete.json", f"data/payload/{payload.name}", "start.txt"):
        (first.folder / name).unlink()
    flip(first.folder / "data/payload" / second.name, 9)
    assert content(publisher.write(root, payload, second).folder) == before


def test_such_a_finishing_can_be_stopped(root, publisher, payload, second):
    first = publisher.write(root, payload, second)
    before = content(first.folder)
    (first.folder / "complete.json").write_bytes(b"")
    for step in ("look at", "read back"):
        with pytest.raises(Stopped):
            publisher.write(root, payload, second, progress=StopAt(step))
        assert not (first.folder / "complete.json").exists()
    assert content(publisher.write(root, payload, second).folder) == before


@pytest.mark.parametrize("step", ["look at", "read back"])
def test_a_stopped_finishing_goes_on_with_the_signatures_that_a_site_accepted(
    root, publisher, payload, second, site, step
):
    first = publisher.write(root, payload, second)
    site.open(root)
    before = content(first.folder)
    (first.folder / "complete.json").unlink()
    told = replace(payload, witnesses=())  # what the catalog knows of it has changed
    with pytest.raises(Stopped):
        publisher.write(root, told, second, progress=StopAt(step))
    publisher.write(root, told, second)
    assert content(first.folder) == before
    assert site.open(root).verify().is_tidy(strict=True)


def test_a_finishing_stopped_before_its_last_step_is_not_signed_again(
    root, publisher, payload, site, stopped_at_the_end
):
    first = publisher.write(root, payload, custody_key=HOME.public_hex)
    site.open(root)
    before = content(first.folder)
    (first.folder / "complete.json").unlink()
    with stopped_at_the_end():
        publisher.write(root, payload, custody_key=SITE.public_hex)  # another catalog of this home
    publisher.write(root, payload, custody_key=SITE.public_hex)
    assert content(first.folder) == before
    assert site.open(root).verify().is_tidy(strict=True)


@pytest.mark.parametrize("name", ["complete.json", "writing.json", "payload"])
def test_a_folder_in_the_place_of_a_file_is_named_and_what_to_do(root, publisher, payload, name):
    first = publisher.write(root, payload)
    (first.folder / "complete.json").unlink()
    path = first.folder / (f"data/payload/{payload.name}" if name == "payload" else name)
    path.unlink(missing_ok=True)
    (path / "mine").mkdir(parents=True)
    with pytest.raises(StorageError, match="a folder where a file belongs") as caught:
        publisher.write(root, payload)
    assert str(caught.value).endswith(f"{path})")
    assert "delete it by hand" in caught.value.hint
    shutil.rmtree(path)
    assert publisher.write(root, payload).folder == first.folder


def test_a_stopped_finishing_that_is_not_proven_any_more_is_refused(root, publisher, payload):
    first = publisher.write(root, payload)
    (first.folder / "complete.json").unlink()
    with pytest.raises(Stopped):
        publisher.write(root, payload, progress=StopAt("look at"))
    (first.folder / "tuf/timestamp.json").unlink()
    with pytest.raises(StorageError, match="finish the set"):
        publisher.write(root, payload)


@pytest.mark.parametrize("name", ["tuf/timestamp.json", "bag-info.txt"])
def test_beside_such_a_set_of_which_nothing_is_proven_no_second_one_is_begun(
    root, publisher, payload, name
):
    first = publisher.write(root, payload)
    (first.folder / "complete.json").unlink()
    (first.folder / name).unlink()
    before = content(root)
    with pytest.raises(StorageError, match="the same payloads, no complete") as caught:
        publisher.write(root, payload)
    assert "--name" in caught.value.hint
    assert content(root) == before
    heard = Heard()
    publisher.write(root, payload, set_name="AZL-OWN", progress=heard)
    assert f"warning: {root} also holds {first.set_name}, unfinished" in "".join(heard.said)


def test_beside_such_a_set_of_other_payloads_a_new_one_is_begun(root, publisher, payload, second):
    first = publisher.write(root, payload)
    (first.folder / "complete.json").unlink()
    assert publisher.write(root, second).folder != first.folder
    assert not (first.folder / "writing.json").exists()


def test_another_publisher_does_not_finish_such_a_set(root, publisher, other_publisher, payload):
    first = publisher.write(root, payload)
    (first.folder / "complete.json").unlink()
    with pytest.raises(StorageError, match="finish the set"):
        other_publisher.write(root, payload)
    assert not (first.folder / "writing.json").exists()


def test_what_was_put_onto_a_complete_medium_is_named(root, publisher, payload):
    first = publisher.write(root, payload)
    (first.folder / "data" / "holiday.jpg").write_bytes(b"x")
    heard = Heard()
    publisher.write(root, payload, progress=heard)
    assert "warning: data/holiday.jpg does not belong to the set" in heard.said


def test_an_unfinished_set_of_other_payloads_is_left_alone(root, publisher, payload, second):
    with pytest.raises(Stopped):
        publisher.write(root, payload, progress=StopAt("read back"))
    (unfinished,) = root.iterdir()
    publisher.write(root, second)
    assert (unfinished / "writing.json").exists()
    assert len(list(root.iterdir())) == 2


def test_another_publisher_does_not_go_on_with_the_set(root, publisher, other_publisher, payload):
    with pytest.raises(Stopped):
        publisher.write(root, payload, set_name="AZL-1", progress=StopAt("read back"))
    with pytest.raises(StorageError, match="something else"):
        other_publisher.write(root, payload, set_name="AZL-1")


def test_a_set_that_expired_unfinished_is_begun_anew(root, publisher, payload):
    with pytest.raises(Stopped):
        publisher.write(root, payload, expires_at=NOW + days(1), progress=StopAt("read back"))
    medium = publisher.write(root, payload, now=NOW + days(2))
    assert medium.expires_at == NOW + days(182)


def test_a_set_cut_off_at_its_first_file_is_begun_again_under_its_name(root, publisher, payload):
    (root / "AZL-1").mkdir()
    (root / "AZL-1" / "writing.json.part").write_bytes(b'{"form')
    assert publisher.write(root, payload, set_name="AZL-1").missing() == ()


def test_two_sbes_with_one_name_for_their_discovery_manifest_fit_on_one_medium(
    tmp_path, publisher, root
):
    payloads = [make_payload(tmp_path / "catalog")]
    for family in ("AX-15G", "AX-16G"):
        held = make_payload(
            tmp_path / family, name="SBE_Discovery_Dell.xml", data=f"<{family}/>".encode()
        )
        payloads.append(replace(held, shelf=f"sbe/Dell_{family}_4.2.2506.1600"))
    medium = publisher.write(root, *payloads)
    names = [target.name for target in medium.targets()]
    found = [
        re.fullmatch(r"payload/sbe/[0-9a-f]{8}/SBE_Discovery_Dell\.xml", name) for name in names
    ]
    assert [bool(match) for match in found] == [False, True, True]
    assert len(set(names)) == 3
    contents = []
    for name in names[1:]:
        sink = io.BytesIO()
        medium.copy_target(name, sink)
        contents.append(sink.getvalue())
    assert sorted(contents) == [b"<AX-15G/>", b"<AX-16G/>"]


def test_an_sbe_without_an_update_is_not_written(root, publisher, payload):
    alone = replace(payload, version=None, shelf="sbe/Contoso_GenA_4.2.2603.1")
    with pytest.raises(InputError, match="no update"):
        publisher.write(root, payload, alone)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("is_here", [False, True])
def test_another_set_is_begun_beside_the_set_folder_that_was_named(
    medium, folder, publisher, payload, monkeypatch, is_here
):
    monkeypatch.chdir(folder)
    place = Path() if is_here else folder
    written = write_medium(
        place, [payload], keys=publisher.keys, expires_at=NOW + days(9), set_name="AZL-2", now=NOW
    )
    assert written.folder == medium / "AZL-2"
    assert written.verify().is_tidy(strict=True)
    assert sorted(item.name for item in medium.iterdir()) == ["AZL-2", "AZL-2603-TEST"]
