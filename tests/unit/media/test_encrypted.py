"""A whole encrypted set: written, resumed, proven without a key, copied with one."""

import hashlib
import io
import json
import os
import random
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from pyrage import x25519

from tests.unit.media.making import NOW, days, flip, make_payload
from tests.unit.media.test_spread import TWO
from tests.unit.media.test_write import Heard, StopAt, Stopped, content
from toolkit.errors import (
    DigestError,
    InputError,
    RollbackError,
    SignatureError,
    StorageError,
)
from toolkit.media import (
    Verdict,
    choose_parity,
    describe_medium,
    plan_media,
    repair_medium,
    site_recipient,
)
from toolkit.media import _write as writing
from toolkit.media._device import BLOCK_BYTES
from toolkit.media._encryption import CHUNK_BYTES, PLAIN_BYTES
from toolkit.model import Silent

BUNDLE = "payload/CombinedSolutionBundle.12.2603.1002.15.zip"
STORED = f"data/{BUNDLE}.enc"


def make_identity(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    site_recipient(path)
    return path


@pytest.fixture(scope="session")
def identity(tmp_path_factory):
    return make_identity(tmp_path_factory.mktemp("age") / "identity.age.key")


@pytest.fixture(scope="session")
def other_identity(tmp_path_factory):
    return make_identity(tmp_path_factory.mktemp("age") / "identity.age.key")


@pytest.fixture
def write(publisher, tmp_path, identity):
    """Write encrypted payloads, for one site unless said otherwise."""

    def write(*payloads, stick="stick", **more):
        more.setdefault("recipients", [site_recipient(identity)])
        return publisher.write(tmp_path / stick, *payloads, book=tmp_path / "book", **more)

    return write


@pytest.fixture
def sized(tmp_path):
    def make(size_bytes, **more):
        data = random.Random(size_bytes).randbytes(size_bytes)
        return make_payload(tmp_path / "catalog", data=data, **more)

    return make


@pytest.fixture
def written(write, payload):
    return write(payload, set_name="AZL-2603-ENC")


def copied(medium, name=BUNDLE):
    sink = io.BytesIO()
    medium.copy_target(name, sink)
    return sink.getvalue()


# --- what lies there ----------------------------------------------------------------------------


def test_no_byte_of_the_payload_lies_on_the_medium(written):
    for data in content(written.folder).values():
        assert b"vendor bytes" not in data
    assert (written.folder / STORED).stat().st_size == 1300 + 16


def test_the_medium_is_proven_without_any_key(written, site):
    opened = site.open(written.folder)
    report = opened.verify()
    assert report.problem() is None
    assert report.is_tidy(strict=True)
    assert STORED in [file.path for file in report.files]


def test_targets_are_told_as_they_are_when_decrypted(written, site, payload):
    (target,) = site.open(written.folder).targets()
    assert (target.name, target.size_bytes, target.sha256) == (BUNDLE, 1300, payload.sha256)


def test_the_label_says_for_whom_it_is_encrypted(written, site, identity):
    for label in (describe_medium(written.folder), site.open(written.folder).describe()):
        assert label.recipients == (site_recipient(identity),)
        assert label.payloads[0][1:] == (1300, site.open(written.folder).targets()[0].sha256)


def test_an_earlier_ferry_refuses_an_encrypted_set_by_its_format(written, folder):
    for name in ("data/plan/set.json", "complete.json"):
        assert json.loads((written.folder / name).read_bytes())["format"] == 3
        assert json.loads((folder / name).read_bytes())["format"] == 2


def test_a_set_that_is_not_encrypted_says_nothing_of_encryption(folder):
    for data in content(folder).values():
        assert b'"encrypted"' not in data
        assert b'"encryption"' not in data


def test_the_leaflet_says_what_the_vendors_procedure_needs(written):
    text = (written.folder / "start.txt").read_text("utf-8")
    assert "THE PAYLOADS ARE ENCRYPTED" in text
    assert "ferry media extract" in text
    assert "under the vendor's names" not in text
    assert "encrypted" in (written.folder / "start.html").read_text("utf-8")


# --- copying from it ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size_bytes", [0, 1, PLAIN_BYTES - 1, PLAIN_BYTES, PLAIN_BYTES + 1, 3 * PLAIN_BYTES]
)
def test_a_payload_of_any_length_is_copied_as_the_vendor_made_it(
    write, sized, site, identity, size_bytes
):
    held = sized(size_bytes)
    opened = site.open(write(held).folder)
    opened.unlock(identity)
    assert copied(opened) == held.path.read_bytes()


def test_each_recipient_opens_it_alone(write, payload, site, identity, other_identity):
    keys = [identity, other_identity]
    folder = write(payload, recipients=[site_recipient(path) for path in keys]).folder
    for path in keys:
        opened = site.open(folder)
        opened.unlock(path)
        assert copied(opened) == payload.path.read_bytes()


def test_without_an_identity_it_is_said_who_could_open_it(written, site, identity):
    sink = io.BytesIO()
    with pytest.raises(InputError, match="1 recipient: age1") as caught:
        site.open(written.folder).copy_target(BUNDLE, sink)
    assert site_recipient(identity) in str(caught.value)
    assert "--identity FILE" in caught.value.hint
    assert sink.getvalue() == b""


def test_several_recipients_are_counted(write, payload, site, identity, other_identity):
    keys = [site_recipient(path) for path in (identity, other_identity)]
    opened = site.open(write(payload, recipients=keys).folder)
    with pytest.raises(InputError, match=r"of one of 2 recipients: age1.*, age1"):
        copied(opened)


def test_a_wrong_identity_is_told_beside_the_right_ones(written, site, identity, other_identity):
    with pytest.raises(InputError) as caught:
        site.open(written.folder).unlock(other_identity)
    assert site_recipient(other_identity) in caught.value.found
    assert site_recipient(identity) in caught.value.expected
    assert "AGE-SECRET-KEY" not in f"{caught.value}{caught.value.hint}"


def test_an_absent_identity_is_an_input_error(written, site, tmp_path):
    with pytest.raises(InputError, match="no such identity"):
        site.open(written.folder).unlock(tmp_path / "nothing.key")


def test_a_set_that_is_not_encrypted_asks_for_no_identity(folder, site, tmp_path):
    opened = site.open(folder)
    opened.unlock(tmp_path / "nothing.key")
    assert copied(opened).startswith(b"vendor bytes")


# --- what somebody could do to it ----------------------------------------------------------------


def test_damage_is_named_by_its_place_and_no_chunk_of_it_is_handed_on(write, sized, site, identity):
    opened = site.open(write(sized(3 * PLAIN_BYTES)).folder)
    opened.unlock(identity)
    flip(opened.folder / STORED, 8 * CHUNK_BYTES)
    sink = io.BytesIO()
    with pytest.raises(DigestError, match="block 0"):
        opened.copy_target(BUNDLE, sink)
    assert len(sink.getvalue()) == PLAIN_BYTES
    (damaged,) = opened.verify().having(Verdict.DAMAGED)
    assert damaged.path == STORED


@pytest.mark.parametrize("order", [(0, 1), (1, 0, 2), (0, 1, 2, 2), (0, 0, 2)])
def test_moved_or_missing_chunks_are_a_digest_error(write, sized, site, identity, order):
    opened = site.open(write(sized(3 * PLAIN_BYTES)).folder)
    opened.unlock(identity)
    path = opened.folder / STORED
    data = path.read_bytes()
    parts = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
    path.write_bytes(b"".join(parts[index] for index in order))
    with pytest.raises(DigestError):
        copied(opened)


def test_another_sets_key_in_set_json_is_not_the_signed_bytes(write, written, payload, site):
    other = write(payload, stick="other")
    plan = written.folder / "data/plan/set.json"
    row = json.loads(plan.read_bytes())
    foreign = json.loads((other.folder / "data/plan/set.json").read_bytes())
    row["encryption"] = foreign["encryption"]
    plan.write_text(json.dumps(row, indent=1))
    with pytest.raises(DigestError):
        site.open(written.folder)


def test_a_publisher_who_signs_another_sets_key_is_found_out(
    write, written, payload, site, identity
):
    opened = site.open(written.folder)
    foreign = write(payload, stick="other")._plan.encryption
    opened._plan = replace(opened._plan, encryption=foreign)
    opened.unlock(identity)
    with pytest.raises(SignatureError, match="signed bytes, but chunk 0 of 1 does not open"):
        copied(opened)


def test_an_encrypted_target_in_a_set_without_a_key_is_found_out(written, site):
    opened = site.open(written.folder)
    opened._plan = replace(opened._plan, encryption=None)
    with pytest.raises(SignatureError, match="without a key"):
        copied(opened)


@pytest.mark.parametrize("facts", [{}, [], "x", {"size_bytes": None, "sha256": "0" * 64}])
def test_facts_of_an_encrypted_target_that_make_no_sense_are_found_out(written, site, facts):
    opened = site.open(written.folder)
    opened._checked.targets[BUNDLE].custom["encrypted"] = facts
    with pytest.raises(SignatureError, match="read the signed facts"):
        opened.targets()


def test_a_wrapped_key_of_another_length_is_found_out(written, site, identity):
    recipient = x25519.Recipient.from_str(site_recipient(identity))
    opened = site.open(written.folder)
    short = pyrage.encrypt(b"short", [recipient], armored=True).decode()
    encryption = replace(opened._plan.encryption, wrapped_key=short)
    opened._plan = replace(opened._plan, encryption=encryption)
    with pytest.raises(SignatureError, match="a key of 5 bytes"):
        opened.unlock(identity)


# --- writing again ------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["write Combined", "read back Combined", "write SBE"])
def test_a_stopped_writing_ends_with_the_bytes_of_an_undisturbed_one(
    write, payload, tmp_path, step
):
    sbe = make_payload(tmp_path / "catalog", name="SBE_Contoso_Model1_4.2.2603.1.zip")
    with pytest.raises(Stopped):
        write(payload, sbe, progress=StopAt("write"))
    shutil.copytree(tmp_path / "stick", tmp_path / "undisturbed")
    undisturbed = write(payload, sbe, stick="undisturbed")
    with pytest.raises(Stopped):
        write(payload, sbe, progress=StopAt(step))
    heard = Heard()
    again = write(payload, sbe, progress=heard)
    assert content(again.folder) == content(undisturbed.folder)
    is_kept = step != "write Combined"
    assert (f"write {payload.name}" in heard.steps) is not is_kept


def test_a_damaged_payload_is_written_again(write, payload, tmp_path):
    with pytest.raises(Stopped):
        write(
            payload,
            make_payload(tmp_path / "catalog", name="SBE_a.zip"),
            progress=StopAt("write SBE"),
        )
    flip(next((tmp_path / "stick").glob(f"*/{STORED}")), 80)
    again = write(payload, make_payload(tmp_path / "catalog", name="SBE_a.zip"))
    assert again.verify().problem() is None


def test_a_lost_key_is_refused_before_anybody_scans(write, payload, tmp_path):
    """A scan takes minutes."""
    with pytest.raises(Stopped):
        write(payload, progress=StopAt("read back"))
    key_file(tmp_path).write_bytes(b"{}")
    scanned = []
    with pytest.raises(InputError, match="open the key of the set"):
        write(payload, before_write=scanned.append)
    assert scanned == []


def test_a_complete_set_is_not_written_again(write, written, payload):
    heard = Heard()
    again = write(payload, progress=heard)
    assert again.folder == written.folder
    assert heard.steps == ["verify AZL-2603-ENC 1/1"]


@pytest.mark.parametrize("recipients", [[], "other"])
def test_for_other_recipients_another_set_is_begun(
    write, written, payload, other_identity, recipients
):
    before = content(written.folder)
    other = write(payload, recipients=[site_recipient(other_identity)] if recipients else [])
    assert other.folder != written.folder
    assert content(written.folder) == before


def test_a_changed_catalog_file_is_not_encrypted(write, payload):
    flip(payload.path, 3)
    with pytest.raises(DigestError, match="write Combined"):
        write(payload)


def test_a_medium_that_returns_other_bytes_is_refused(write, payload, monkeypatch):
    copy = writing.copy_durably

    def spoiling(source, target, **more):
        result = copy(source, target, **more)
        flip(target, 9)
        return result

    monkeypatch.setattr(writing, "copy_durably", spoiling)
    with pytest.raises(StorageError, match="other bytes than were written"):
        write(payload)


# --- the key at home ----------------------------------------------------------------------------


def key_file(tmp_path):
    (path,) = (tmp_path / "book").glob("*.key.json")
    return path


@pytest.mark.skipif(os.name != "posix", reason="Windows knows no owner bits")
def test_only_the_owner_may_read_keys_and_identities(written, tmp_path, identity):
    for path in (key_file(tmp_path), identity):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_key_of_a_set_stays_at_home(written, tmp_path):
    path = key_file(tmp_path)
    secret = json.loads(path.read_bytes())["secret"]
    assert len(secret) == 64
    for data in content(written.folder).values():
        assert secret.encode() not in data
        assert bytes.fromhex(secret) not in data


def test_an_interrupted_set_whose_key_is_gone_is_encrypted_anew(
    write, payload, tmp_path, site, identity
):
    sbe = make_payload(tmp_path / "catalog", name="SBE_a.zip")
    with pytest.raises(Stopped):
        write(payload, sbe, progress=StopAt("write SBE"))
    key_file(tmp_path).unlink()
    opened = site.open(write(payload, sbe).folder)
    opened.unlock(identity)
    assert copied(opened) == payload.path.read_bytes()


@pytest.mark.parametrize(
    "text", ["", "{}", '{"format": 1, "kind": "ferry-set-key", "secret": "00", "encryption": {}}']
)
def test_a_damaged_key_file_is_an_input_error(write, payload, tmp_path, text):
    with pytest.raises(Stopped):
        write(payload, progress=StopAt("write"))
    key_file(tmp_path).write_text(text)
    with pytest.raises(InputError, match="open the key of the set"):
        write(payload)


def test_an_id_on_the_stick_leads_to_no_other_file(write, payload, tmp_path):
    with pytest.raises(Stopped):
        write(payload, progress=StopAt("write"))
    (record,) = (tmp_path / "stick").glob("*/writing.json")
    row = json.loads(record.read_bytes())
    record.write_text(json.dumps({**row, "set_id": "../../elsewhere"}))
    with pytest.raises(InputError, match="id of the set"):
        write(payload)


def test_a_key_for_others_is_not_used(write, payload, tmp_path, other_identity):
    """The id of a set on a stick is believed by nobody: it must not choose whom we encrypt for."""
    with pytest.raises(Stopped):
        write(payload, progress=StopAt("write"))
    mine = key_file(tmp_path)
    row = json.loads(mine.read_bytes())
    row["encryption"]["recipients"] = [site_recipient(other_identity)]
    mine.write_text(json.dumps(row))
    with pytest.raises(StorageError, match="is gone, or is another key"):
        write(payload)


def test_without_a_place_at_home_nothing_is_encrypted(publisher, payload, root, identity):
    with pytest.raises(InputError, match="no place at home"):
        publisher.write(root, payload, recipients=[site_recipient(identity)])


# --- spread over several media -------------------------------------------------------------------


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A payload of one block and a half, which is cut where a medium has room for one."""
    data = random.Random(5).randbytes(BLOCK_BYTES // 2) * 3
    return make_payload(tmp_path_factory.mktemp("cut") / "catalog", data=data)


def test_a_cut_payload_is_resumed_with_the_same_bytes_and_put_together(
    write, bundle, site, identity, tmp_path
):
    spread = {"media": TWO, "set_name": "AZL-2603-TWO"}
    with pytest.raises(Stopped):
        write(bundle, stick="a", progress=StopAt("measure"), **spread)
    with pytest.raises(Stopped):
        write(bundle, stick="a", progress=StopAt("read back"), **spread)
    first = write(bundle, stick="a", **spread)
    write(bundle, stick="b", **spread)
    again = write(bundle, stick="c", number=1, **spread)
    assert content(again.folder) == content(first.folder)
    (segment,) = first.folder.glob("data/seg/*/*.seg")
    assert segment.stat().st_size == BLOCK_BYTES
    opened = site.open(tmp_path / "a", others=[tmp_path / "b"])
    assert opened.verify().is_tidy(strict=True)
    opened.unlock(identity)
    assert hashlib.sha256(copied(opened)).hexdigest() == bundle.sha256

    key_file(tmp_path).unlink()
    with pytest.raises(StorageError, match="is gone") as caught:
        write(bundle, stick="d", number=1, **spread)
    assert "another --name" in caught.value.hint


def test_a_stick_cannot_say_that_its_segments_are_not_to_be_encrypted(write, bundle, tmp_path):
    with pytest.raises(Stopped):
        write(bundle, media=TWO, progress=StopAt("write"))
    (record,) = (tmp_path / "stick").glob("*/writing.json")
    row = json.loads(record.read_bytes())
    del row["recipients"]
    record.write_text(json.dumps({**row, "format": 2}))
    for data in content(write(bundle, media=TWO).folder).values():
        assert bundle.path.read_bytes()[:64] not in data


def test_a_changed_catalog_file_is_noticed_while_it_is_measured(write, bundle, tmp_path):
    spoilt = tmp_path / "spoilt.zip"
    shutil.copy(bundle.path, spoilt)
    flip(spoilt, 8 * BLOCK_BYTES + 3)
    with pytest.raises(DigestError, match="write Combined"):
        write(replace(bundle, path=spoilt), media=TWO)
    assert not list((tmp_path / "book").glob("[!.]*"))


def test_a_segment_changed_since_it_was_measured_is_not_compared_with_the_whole_file(
    write, bundle, tmp_path
):
    own = replace(bundle, path=tmp_path / "own.zip")
    shutil.copy(bundle.path, own.path)
    write(own, media=TWO)
    flip(own.path, 8 * (BLOCK_BYTES + 1000))
    with pytest.raises(DigestError, match="changed since it was measured") as caught:
        write(own, media=TWO, stick="second")
    assert own.sha256 not in str(caught.value)


def test_the_plan_of_media_counts_what_encryption_adds(bundle, identity):
    (part,) = plan_media([bundle], [], recipients=[site_recipient(identity)]).parts
    assert part.path == STORED
    assert part.is_whole
    assert part.size_bytes == bundle.size_bytes + 16 * 97


@pytest.mark.skipif(shutil.which("par2") is None, reason="par2 is not installed")
def test_ciphertext_is_repaired_without_any_key(write, sized, site, identity, tmp_path):
    held = sized(300_000)
    parity = choose_parity(20, memory_mb=64, progress=Silent())
    medium = site.open(write(held, parity=parity).folder)
    flip(medium.folder / STORED, 8 * 1000)
    done = repair_medium(medium, tmp_path / "scratch")
    assert done.repaired == (STORED,)
    opened = site.open(medium.folder, others=[tmp_path / "scratch"])
    opened.unlock(identity)
    assert copied(opened) == held.path.read_bytes()


# --- beside the memory of the site ---------------------------------------------------------------


@pytest.mark.parametrize("newer_is_encrypted", [True, False])
def test_an_older_encrypted_set_counts_while_its_payload_is_still_listed(
    write, payload, site, identity, newer_is_encrypted
):
    more = {} if newer_is_encrypted else {"recipients": []}
    older = write(payload)
    newer = write(payload, stick="newer", now=NOW + days(1), **more)
    site.open(newer.folder, now=NOW + days(2))
    opened = site.open(older.folder, now=NOW + days(2))
    assert "still listed" in opened.warnings[0]
    assert opened.verify().problem() is None
    opened.unlock(identity)
    assert copied(opened) == payload.path.read_bytes()


def test_an_older_encrypted_set_with_a_withdrawn_payload_is_refused(write, payload, site, sized):
    older = write(payload)
    newer = write(sized(99), stick="newer", now=NOW + days(1))
    site.open(newer.folder, now=NOW + days(2))
    with pytest.raises(RollbackError, match="withdrawn: payload/Combined"):
        site.open(older.folder, now=NOW + days(2))


# --- identities and recipients -------------------------------------------------------------------


def test_a_site_makes_its_identity_once(tmp_path):
    path = tmp_path / "identity.age.key"
    recipient = site_recipient(path)
    assert site_recipient(path) == recipient
    assert recipient in path.read_text()
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("text", ["", "# nothing\n", "hunter2\n", "AGE-SECRET-KEY-1" + "Q" * 58])
def test_what_is_no_identity_is_an_input_error_that_repeats_none_of_it(tmp_path, text):
    path = tmp_path / "identity.age.key"
    path.write_text(text)
    with pytest.raises(InputError, match="open the identity") as caught:
        site_recipient(path)
    assert "hunter2" not in f"{caught.value}{caught.value.hint}"
    assert "QQQ" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize("text", ["", "age1xyz", "ssh-ed25519 AAAA", "age1" + "q" * 58])
def test_what_is_no_recipient_is_refused_before_anything_is_written(write, payload, tmp_path, text):
    with pytest.raises(InputError, match="encrypt a medium"):
        write(payload, recipients=[text])
    assert not list((tmp_path / "stick").iterdir())


def test_an_identity_given_as_recipient_is_not_repeated(write, payload):
    secret = str(x25519.Identity.generate())
    with pytest.raises(InputError, match="an identity, which is secret") as caught:
        write(payload, recipients=[secret])
    assert secret not in f"{caught.value}{caught.value.hint}"


def test_a_recipient_counts_once(write, payload, identity):
    recipient = site_recipient(identity)
    assert write(payload, recipients=[recipient, f" {recipient} "]).describe().recipients == (
        recipient,
    )
