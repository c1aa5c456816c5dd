import contextlib
import io
import itertools
import json
import re
import shutil
from pathlib import Path

import filelock
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from tests.unit.media.making import NOW, PASSPHRASE, Publisher, SiteTrust, days, flip, make_payload
from toolkit.errors import (
    DigestError,
    ExpiredError,
    InputError,
    RollbackError,
    SignatureError,
    StorageError,
    ToolkitError,
    TrustError,
    UnknownTargetError,
)
from toolkit.media import (
    _trust,
    describe_medium,
    examine_media,
    open_keys,
    recall,
    vouched_key,
)
from toolkit.model import PayloadKind, Silent, SolutionVersion
from toolkit.site import Journal

BUNDLE = "payload/CombinedSolutionBundle.12.2603.1002.15.zip"


class Heard(Silent):
    """Keeps what was said."""

    def __init__(self):
        self.said = []

    def say(self, message):
        self.said.append(message)


@pytest.fixture
def newer(tmp_path, publisher):
    """The root of a medium written a month after the other one."""
    held = make_payload(tmp_path / "catalog", version="12.2604.1003.9")
    (tmp_path / "newer").mkdir()
    publisher.write(tmp_path / "newer", held, now=NOW + days(30))
    return tmp_path / "newer"


# --- the good case ------------------------------------------------------------------------------


def test_targets_say_what_was_signed(site, medium):
    bundle, sbe = site.open(medium).targets()
    assert bundle.name == BUNDLE
    assert bundle.kind is PayloadKind.SOLUTION_BUNDLE
    assert bundle.version == SolutionVersion.parse("12.2603.1002.15")
    assert bundle.size_bytes == 1300
    assert sbe.kind is PayloadKind.SBE


def test_a_copied_target_has_the_vendor_s_bytes(site, medium, folder):
    sink = io.BytesIO()
    site.open(medium).copy_target(BUNDLE, sink)
    assert sink.getvalue() == (folder / "data" / BUNDLE).read_bytes()


@pytest.fixture(params=["complete.json", "repaired.json", "1.root.json", "payload"])
def bad_sector(request, monkeypatch):
    """Nothing can be learned of a file of this name, or in a folder of it."""

    def fails(honest):
        def look(path, **more):
            if request.param in path.parts:
                raise OSError(5, "Input/output error", str(path))
            return honest(path, **more)

        return look

    for name in ("stat", "lstat"):
        monkeypatch.setattr(Path, name, fails(getattr(Path, name)))


def test_a_bad_sector_under_a_folder_is_the_medium_s_fault(site, medium, folder, bad_sector):
    """Python asks again of some errors only whether a file is there."""
    for act in (
        lambda: site.open(medium),
        lambda: site.open(folder, others=[folder]),
        lambda: describe_medium(medium),
        lambda: vouched_key(medium, site.folder, now=NOW),
    ):
        with contextlib.suppress(ToolkitError):
            act()
    assert all(item.problem for item in examine_media([medium], site.folder, progress=Silent()))


@pytest.fixture
def pull(monkeypatch, folder, tmp_path):
    """Return a function that has the medium pulled out before so many looks at what is on it."""
    honest = Path.stat

    def pull(before):
        looks = itertools.count()

        def stat(path, **more):
            if path.is_relative_to(folder) and next(looks) == before:
                folder.rename(tmp_path / "pulled")
            return honest(path, **more)

        monkeypatch.setattr(Path, "stat", stat)

    return pull


@pytest.mark.parametrize("accept_incomplete", [True, False])
def test_a_medium_pulled_out_at_any_look_is_not_called_incomplete(
    site, medium, folder, pull, tmp_path, accept_incomplete
):
    """Nor is anything asked for that was named."""
    told = []
    for before in itertools.count():
        pull(before)
        try:
            opened = site.open(medium, accept_incomplete=accept_incomplete)
            assert opened.verify().problem() is None
            opened.copy_target(BUNDLE, io.BytesIO())
        except StorageError as error:
            told.append((error.attempted, error.hint))
        if folder.exists():
            break
        (tmp_path / "pulled").rename(folder)
    assert len(told) > 50
    assert not [hint for _, hint in told if "plug" not in hint or "where it was made" in hint]
    assert not [attempted for attempted, _ in told if "audit" in attempted]


def test_a_medium_can_be_named_by_its_set_folder(site, medium, folder):
    assert site.open(folder).set_id == site.open(medium).set_id


def test_a_medium_can_be_opened_again_and_again(site, medium):
    site.open(medium)
    assert site.open(medium, now=NOW + days(1)).warnings == ()


def test_opening_changes_nothing_on_the_medium(site, medium, folder):
    def state():
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in medium.rglob("*")
        }

    before = state()
    site.open(medium).verify()
    assert state() == before


def test_a_payload_is_found_through_set_json_only(site, medium):
    with pytest.raises(UnknownTargetError):
        site.open(medium).copy_target("payload/../tuf/timestamp.json", io.BytesIO())


# --- trust --------------------------------------------------------------------------------------


def test_a_site_without_a_pinned_root_believes_nothing(tmp_path, medium):
    with pytest.raises(TrustError, match="no root is pinned") as caught:
        SiteTrust(tmp_path / "empty").open(medium)
    assert "ferry site init" in caught.value.hint
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"garbage"])
def test_pinned_root_that_is_damaged_is_named_whole_and_is_to_be_restored(site, medium, content):
    (site.folder / "root.json").write_bytes(content)
    with pytest.raises(InputError, match=re.escape(str(site.folder / "root.json"))) as caught:
        site.open(medium)
    assert "restore it from a backup" in caught.value.hint


@pytest.mark.parametrize(
    ("subject", "step", "is_told"),
    [
        ("site", "baseline", False),  # done before the first medium is there
        ("import 12.2603.1002.15", "copy bundle.zip", True),
        ("import 12.2603.1002.15", "submit", True),
    ],
)
def test_site_that_imported_and_lost_its_memory_is_told_so(site, medium, subject, step, is_told):
    journal = Journal(site.folder.parent / "journal.jsonl")
    journal.append(cluster="plant7", subject="site", step="baseline", outcome="intent")
    journal.append(cluster="plant7", subject=subject, step=step, outcome="intent")
    heard = Heard()
    site.open(medium, progress=heard)
    (site.folder / "state.json").unlink(missing_ok=True)
    site.open(medium, progress=heard)
    assert [("remembers no medium" in line) for line in heard.said] == [True, True][: 2 * is_told]


def test_another_publisher_s_medium_is_refused(tmp_path, medium, other_publisher):
    with pytest.raises(SignatureError):
        SiteTrust(tmp_path / "elsewhere").pin(other_publisher.root).open(medium)


def test_another_publisher_s_root_chain_on_the_medium_is_refused(site, folder, other_publisher):
    (folder / "tuf" / "1.root.json").write_bytes(other_publisher.root)
    with pytest.raises(DigestError, match=r"1\.root\.json"):
        site.open(folder)


def test_an_expired_medium_is_refused_with_both_dates(site, medium):
    with pytest.raises(ExpiredError) as caught:
        site.open(medium, now=NOW + days(181))
    assert "2027-04-30" in caught.value.found
    assert "2027-05-01" in caught.value.expected


def test_a_medium_is_valid_until_its_last_second(site, medium):
    site.open(medium, now=NOW + days(180) - days(1) / 86400)
    with pytest.raises(ExpiredError):
        site.open(medium, now=NOW + days(180))


def test_an_older_medium_is_refused_after_a_newer_one(site, medium, newer):
    site.open(newer, now=NOW + days(31))
    with pytest.raises(RollbackError) as caught:
        site.open(medium, now=NOW + days(31))
    assert "2026-11-01" in caught.value.found
    assert "2026-12-01" in caught.value.expected


def test_two_media_written_within_a_minute_are_told_apart_by_seconds(site, tmp_path, publisher):
    first = publisher.write(tmp_path / "first", make_payload(tmp_path / "catalog"))
    corrected = make_payload(tmp_path / "catalog", data=b"as corrected by the vendor")
    second = publisher.write(tmp_path / "second", corrected, now=NOW + days(1) / 86400)
    site.open(second.folder)
    with pytest.raises(RollbackError) as caught:
        site.open(first.folder)
    assert "12:00:00" in caught.value.found
    assert "12:00:01" in caught.value.expected
    assert corrected.name in caught.value.hint


def test_a_newer_medium_is_accepted_after_an_older_one(site, medium, newer):
    site.open(medium)
    assert site.open(newer, now=NOW + days(31)).targets()[0].version.release == 2604


def test_snapshot_and_timestamp_of_two_media_do_not_mix(site, folder, newer):
    (other,) = newer.iterdir()
    shutil.copy(other / "tuf" / "timestamp.json", folder / "tuf")
    for path in other.glob("tuf/*.snapshot.json"):
        shutil.copy(path, folder / "tuf")
    with pytest.raises(StorageError, match=r"targets\.json is missing"):
        site.open(folder, now=NOW + days(31))


def test_set_json_of_another_set_is_refused(site, folder, newer):
    (other,) = newer.iterdir()
    shutil.copy(other / "data/plan/set.json", folder / "data/plan/set.json")
    with pytest.raises(DigestError, match=r"set\.json"):
        site.open(folder)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("data", [b"", b"{", b"null", b"[]", b"\xff\xff", b'{"signed": 1}'])
def test_damaged_metadata_is_a_trust_error(site, folder, role, data):
    (path,) = folder.glob(f"tuf/*{role}.json")
    path.write_bytes(data)
    with pytest.raises(TrustError):
        site.open(folder)


def test_metadata_too_large_to_be_ours_is_a_trust_error(site, folder):
    (folder / "tuf" / "timestamp.json").write_bytes(b" " * 9_000_000)
    with pytest.raises(TrustError):
        site.open(folder)


def test_the_same_statement_in_another_spelling_is_refused(site, folder):
    """Neither `t` in a date nor upper-case hex changes what a timestamp says to a parser."""
    path = folder / "tuf" / "timestamp.json"
    original = path.read_bytes()
    signature = json.loads(original)["signatures"][0]["sig"].encode()
    for before, after in ((b"T12:00", b"t12:00"), (signature, signature.upper())):
        path.write_bytes(original.replace(before, after, 1))
        assert path.read_bytes() != original
        with pytest.raises(DigestError, match="timestamp"):
            site.open(folder)


def test_metadata_damaged_after_the_first_visit_are_noticed_too(site, folder):
    site.open(folder)
    for path in sorted(folder.glob("tuf/*.json")):
        flip(path, 8 * (path.stat().st_size // 2))
        with pytest.raises(TrustError):
            site.open(folder)
        flip(path, 8 * (path.stat().st_size // 2))


# --- memory: what is promoted, and when -----------------------------------------------------------


def test_a_half_copied_newer_medium_does_not_spoil_the_older_good_one(site, medium, newer):
    (other,) = newer.iterdir()
    next(other.glob("data/payload/*")).unlink()
    before = site.memory()
    with pytest.raises(StorageError, match="not complete"):
        site.open(newer, now=NOW + days(31))
    assert site.memory() == before
    assert site.open(medium, now=NOW + days(31)).missing() == ()


@pytest.mark.parametrize("missing", ["timestamp", "snapshot", "targets", "1.root", "set"])
def test_a_medium_without_one_of_its_documents_is_incomplete_and_not_remembered(
    site, folder, missing
):
    (path,) = [path for path in folder.rglob("*.json") if missing in path.name]
    path.unlink()
    before = site.memory()
    with pytest.raises(StorageError, match="not complete"):
        site.open(folder)
    assert site.memory() == before


def test_an_unfinished_medium_is_incomplete_and_names_what_is_missing(site, folder):
    (folder / "complete.json").unlink()
    with pytest.raises(StorageError, match=r"missing complete\.json"):
        site.open(folder)


def test_metadata_cut_off_in_an_unfinished_medium_mean_incomplete_not_damaged(site, folder):
    (folder / "complete.json").unlink()
    (folder / "tuf" / "timestamp.json").write_bytes(b"")
    with pytest.raises(StorageError, match="not complete"):
        site.open(folder)


def test_a_payload_cut_short_is_incomplete(site, folder):
    (folder / "data" / BUNDLE).write_bytes(b"vendor")
    with pytest.raises(StorageError, match="cut short"):
        site.open(folder)


def test_an_incomplete_medium_can_be_examined_but_is_not_remembered(site, folder):
    (folder / "data" / BUNDLE).unlink()
    before = site.memory()
    medium = site.open(folder, accept_incomplete=True)
    assert medium.missing() == (f"data/{BUNDLE}",)
    assert site.memory() == before


def test_an_accepted_medium_is_remembered_in_one_file(site, medium):
    site.open(medium)
    assert set(site.memory()) == {"root.json", "state.json"}


@pytest.mark.parametrize("garbage", [b'{"format": 1}', b"[" * 200_000], ids=["lacking", "nested"])
def test_a_damaged_memory_is_never_reset_silently(site, medium, garbage):
    site.open(medium)
    (site.folder / "state.json").write_bytes(garbage)
    with pytest.raises(InputError, match="trust state") as caught:
        site.open(medium)
    assert "backup" in caught.value.hint


def test_what_a_site_remembers_is_told_in_short(site, medium):
    assert recall(site.folder).versions == {"root": 1}
    site.open(medium)
    told = recall(site.folder)
    assert told.floor == NOW
    assert set(told.versions) == {"root", "timestamp", "snapshot", "targets"}
    assert told.versions["root"] == 1
    assert told.versions["targets"] == int(NOW.timestamp())


def test_memory_with_something_else_in_it_is_not_told(site, medium):
    site.open(medium)
    state = json.loads((site.folder / "state.json").read_bytes())
    state["metadata"]["targets.json"] = "{}"
    (site.folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    with pytest.raises(InputError, match=r"targets\.json"):
        recall(site.folder)


# --- time -----------------------------------------------------------------------------------------


def test_the_time_floor_is_the_newest_signed_issue_time(site, newer):
    site.open(newer, now=NOW + days(31))
    reopened = site.open(newer, now=NOW - days(4000))
    assert "2015-11-19" in reopened.warnings[0]
    assert "2026-12-01" in reopened.warnings[0]


def test_expiry_is_judged_by_the_floor_when_the_clock_is_behind(site, tmp_path, publisher):
    held = make_payload(tmp_path / "catalog")
    (tmp_path / "short").mkdir()
    made = publisher.write(tmp_path / "short", held, expires_at=NOW + days(10))
    site.open(made.folder)
    state = json.loads((site.folder / "state.json").read_bytes())
    state["floor"] = "2026-11-20T00:00:00Z"  # as a later medium would have left it
    (site.folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    with pytest.raises(ExpiredError, match="2026-11-20"):
        site.open(made.folder, now=NOW)


def test_a_clock_that_is_right_gives_no_warning(site, medium):
    assert site.open(medium, now=NOW).warnings == ()


def test_a_clock_far_ahead_does_not_raise_the_floor(site, medium, newer):
    with pytest.raises(ExpiredError):
        site.open(medium, now=NOW + days(5000))
    assert site.open(medium, now=NOW).warnings == ()


def test_warnings_are_told_to_the_progress(site, medium):
    heard = Heard()
    site.open(medium, now=NOW - days(1), progress=heard)
    assert "clock is behind" in heard.said[0]


# --- which set ------------------------------------------------------------------------------------


def test_a_medium_without_a_set_is_a_storage_error(site, root):
    (root / "photos").mkdir()
    with pytest.raises(StorageError, match="none"):
        site.open(root)


def test_a_folder_of_the_operating_system_is_not_looked_into_for_a_set(site, medium, folder):
    """On NTFS nobody but the system may: looking is refused, though the stick is good."""
    shutil.copytree(folder, medium / "System Volume Information")
    assert site.open(medium).set_name == folder.name


def test_a_missing_medium_is_a_storage_error(site, root):
    with pytest.raises(StorageError):
        site.open(root / "gone")


def test_of_several_sets_one_must_be_named(site, medium, folder):
    shutil.copytree(folder, medium / "AZL-2603-COPY")
    with pytest.raises(InputError, match="AZL-2603-COPY, AZL-2603-TEST"):
        site.open(medium)


def test_two_processes_do_not_judge_at_once(site, medium, monkeypatch):
    monkeypatch.setattr(_trust, "_LOCK_TIMEOUT_S", 0)
    with (
        filelock.FileLock(site.folder / "lock"),
        pytest.raises(StorageError, match="another ferry"),
    ):
        site.open(medium)


# --- a new root -----------------------------------------------------------------------------------


@pytest.fixture
def rotated(tmp_path):
    """A publisher who replaced the timestamp key by a second root, and its medium before and after."""
    publisher = Publisher(tmp_path / "rotating")
    held = make_payload(tmp_path / "catalog")
    before = publisher.write(tmp_path / "before", held).folder
    root = Metadata[Root].from_bytes(publisher.root)
    replacement = CryptoSigner.generate_ed25519()
    root.signed.version = 2
    root.signed.revoke_key(root.signed.roles["timestamp"].keyids[0], "timestamp")
    root.signed.add_key(replacement.public_key, "timestamp")
    pem = (publisher.folder / "root.pem").read_bytes()
    root.sign(CryptoSigner(load_pem_private_key(pem, PASSPHRASE.encode())))
    (publisher.folder / "2.root.json").write_bytes(root.to_bytes())
    (publisher.folder / "timestamp.pem").write_bytes(
        load_pem_private_key(replacement.private_bytes, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE.encode())
        )
    )
    publisher.keys = open_keys(publisher.folder, PASSPHRASE)
    after = publisher.write(tmp_path / "after", held, now=NOW + days(1)).folder
    return SiteTrust(tmp_path / "rotating-site").pin(publisher.root), before, after


def test_a_site_follows_the_root_chain_on_the_medium(rotated):
    site, before, after = rotated
    site.open(before)
    assert site.open(after, now=NOW + days(1)).verify().problem() is None
    assert site.open(after, now=NOW + days(2)).warnings == ()


def test_a_replaced_key_is_not_believed_after_its_replacement(rotated):
    site, before, after = rotated
    site.open(after, now=NOW + days(1))
    with pytest.raises(TrustError):
        site.open(before, now=NOW + days(1))


def test_a_root_chain_cut_short_on_the_medium_is_refused(rotated):
    site, _, after = rotated
    (after / "tuf" / "2.root.json").unlink()
    with pytest.raises(SignatureError):
        site.open(after, now=NOW + days(1))


def test_a_damaged_link_of_a_known_root_chain_is_noticed(rotated):
    site, _, after = rotated
    site.open(after, now=NOW + days(1))
    flip(after / "tuf" / "2.root.json", 4000)
    with pytest.raises(TrustError):
        site.open(after, now=NOW + days(1))
