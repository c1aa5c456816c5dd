"""Trust over years: drafts of roots, their signatures, and what sites make of the roots."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Root

from tests.unit.media.making import NOW, PASSPHRASE, Publisher, SiteTrust, days, make_payload
from toolkit.errors import InputError, SignatureError, StorageError, TrustError
from toolkit.media import (
    Ceremony,
    RootChange,
    describe_draft,
    describe_root,
    fingerprint,
    init_trust,
    open_keys,
    read_root_chain,
    write_medium,
)
from toolkit.media._keys import new_signer, open_key, store_key

ANNA = "anna's own passphrase"
ROTATE_TIMESTAMP = RootChange(role="timestamp", adds_key=True, removes="")
ADD_ROOT = RootChange(role="root", adds_key=True)


@dataclass
class Home(Publisher):
    """A publisher whose root key stays in the keys folder."""

    @property
    def root_key(self) -> Path:
        return self.folder / "root.pem"

    def ceremony(self, draft: Path | None = None, **more) -> Ceremony:
        more.setdefault("now", NOW)
        return Ceremony(self.folder, draft, **more)

    def change(self, change: RootChange, *, now=NOW) -> Path | None:
        """Make one change, signed by the first root key and put into force."""
        ceremony = self.ceremony(now=now)
        made = ceremony.revise(change, PASSPHRASE)
        ceremony.sign(self.root_key, PASSPHRASE)
        assert ceremony.finish() == self.folder / f"{ceremony.facts.root.version}.root.json"
        return made

    def write(self, *arguments, **more):
        self.keys = open_keys(self.folder, PASSPHRASE)
        return super().write(*arguments, **more)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "keys")


@pytest.fixture
def draft(home):
    """A draft that rotates the timestamp key, not signed yet."""
    home.ceremony().revise(ROTATE_TIMESTAMP, PASSPHRASE)
    return home.folder / "2.root.draft.json"


@pytest.fixture
def shared(home, tmp_path):
    """Root 2 asks for both of two root keys; the second is Anna's, on a machine of her own."""
    anna = tmp_path / "anna"
    draft = tmp_path / "2.root.draft.json"
    home.ceremony(draft).revise(RootChange())
    ceremony = Ceremony(anna, draft, first_fingerprint=fingerprint(home.root), now=NOW)
    change = RootChange(role="root", adds_key=True, threshold=2)
    key = ceremony.revise(change, ANNA)
    ceremony.sign(key, ANNA)
    ceremony = home.ceremony(draft)
    ceremony.sign(home.root_key, PASSPHRASE)
    assert ceremony.finish()
    return key


def edit(draft: Path, change) -> None:
    document = json.loads(draft.read_bytes())
    change(document["next"])
    draft.write_text(json.dumps(document), encoding="utf-8")


def opening(key, *passphrases):
    """Return a key file with the one passphrase that opens it."""
    (right,) = [word for word in passphrases if opens(key, word)]
    return key, right


def opens(key, passphrase):
    try:
        return bool(open_key(key, passphrase))
    except InputError:
        return False


def keys_of(home, role):
    """Ids of a role's keys in the root in force."""
    (found,) = [item for item in describe_root(home.folder).roles if item.role == role]
    return found.keyids


# --- from draft to root ---------------------------------------------------------------------------


def test_a_draft_says_what_it_changes_and_who_must_sign(home, draft):
    facts = describe_draft(draft)
    (old,), (root,) = keys_of(home, "timestamp"), keys_of(home, "root")
    (new,) = facts.root.roles[3].keyids
    assert facts.changes[:2] == (f"timestamp: key {old} goes", f"timestamp: key {new} comes")
    assert facts.root.version == 2
    assert facts.first_fingerprint == fingerprint(home.root)
    assert [(quorum.version, quorum.missing, quorum.unsigned) for quorum in facts.quorums] == [
        (1, 1, (root,)),
        (2, 1, (root,)),
    ]


def test_a_signed_draft_becomes_the_next_root(home, draft):
    ceremony = home.ceremony(draft)
    assert ceremony.finish() is None
    ceremony.sign(home.root_key, PASSPHRASE)
    assert ceremony.facts.is_enough
    assert ceremony.finish() == home.folder / "2.root.json"
    assert describe_root(home.folder).version == 2


def test_a_draft_changes_nothing_before_it_is_in_force(home, draft, root, payload):
    home.write(root, payload)
    assert len(read_root_chain(home.folder)) == 1


def test_several_changes_go_into_one_draft(home):
    for role in ("targets", "snapshot", "timestamp"):
        home.ceremony().revise(RootChange(role=role, adds_key=True, removes=""), PASSPHRASE)
    changes = describe_draft(home.folder / "2.root.draft.json").changes
    assert sum("comes" in change for change in changes) == 3


def test_a_change_takes_the_signatures_away(home, draft):
    home.ceremony().sign(home.root_key, PASSPHRASE)
    ceremony = home.ceremony()
    ceremony.revise(RootChange(expires_at=NOW + days(900)))
    assert not ceremony.facts.is_enough
    assert describe_draft(draft).quorums[0].signed == ()


def test_a_new_draft_is_valid_for_two_years_and_a_changed_one_as_before(home):
    home.ceremony().revise(RootChange(expires_at=NOW + days(100)))
    ceremony = home.ceremony()
    ceremony.revise(ADD_ROOT, PASSPHRASE)
    assert ceremony.facts.root.expires_at == NOW + days(100)
    fresh = home.ceremony(home.folder / "another.json")
    fresh.revise(RootChange())
    assert fresh.facts.root.expires_at == NOW + days(730)


def test_signing_twice_changes_nothing(home, draft):
    home.ceremony().sign(home.root_key, PASSPHRASE)
    before = draft.read_bytes()
    home.ceremony().sign(home.root_key, PASSPHRASE)
    assert draft.read_bytes() == before


def test_a_new_key_is_encrypted_in_a_file_of_its_own(home):
    before = {item.name: item.read_bytes() for item in home.folder.glob("*.pem")}
    made = home.ceremony().revise(ADD_ROOT, ANNA)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in made.read_bytes()
    assert before == {name: (home.folder / name).read_bytes() for name in before}


def test_finishing_again_does_nothing(home, draft):
    home.change(RootChange())
    path = home.folder / "2.root.json"
    before = path.read_bytes()
    assert home.ceremony(draft).finish() == path
    assert path.read_bytes() == before


def test_a_finished_draft_takes_no_more_changes_and_signatures(home, draft):
    home.change(RootChange())
    for act in (
        lambda: home.ceremony(draft).revise(RootChange()),
        lambda: home.ceremony(draft).sign(home.root_key, PASSPHRASE),
    ):
        with pytest.raises(InputError, match="in force already"):
            act()


def test_a_kill_between_two_roots_leaves_a_chain_without_a_gap(home, shared, tmp_path, monkeypatch):
    home.ceremony(tmp_path / "3.json").revise(RootChange())
    ceremony = Ceremony(
        tmp_path / "ben", tmp_path / "3.json", first_fingerprint=fingerprint(home.root), now=NOW
    )
    written = []

    def write(path, data):
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    monkeypatch.setattr("toolkit.media._ceremony.write_durably", write)
    with pytest.raises(StorageError, match="full"):
        ceremony.revise(ADD_ROOT, ANNA)
    monkeypatch.undo()
    assert len(read_root_chain(tmp_path / "ben")) == 1
    Ceremony(tmp_path / "ben", tmp_path / "3.json", now=NOW).revise(ADD_ROOT, ANNA)
    assert len(read_root_chain(tmp_path / "ben")) == 2


# --- several root keys ----------------------------------------------------------------------------


def test_a_folder_without_a_root_learns_the_chain_by_the_fingerprint(shared, home):
    assert (shared.parent / "1.root.json").read_bytes() == home.root


def test_one_of_two_signatures_is_not_enough(home, shared):
    ceremony = home.ceremony()
    ceremony.revise(ROTATE_TIMESTAMP, PASSPHRASE)
    ceremony.sign(home.root_key, PASSPHRASE)
    assert ceremony.finish() is None
    assert [quorum.missing for quorum in ceremony.facts.quorums] == [1, 1]
    assert not (home.folder / "3.root.json").exists()


def test_copies_signed_apart_are_joined(home, shared, tmp_path):
    draft, copy = tmp_path / "3.json", tmp_path / "copy.json"
    home.ceremony(draft).revise(ROTATE_TIMESTAMP, PASSPHRASE)
    copy.write_bytes(draft.read_bytes())
    home.ceremony(draft).sign(home.root_key, PASSPHRASE)
    Ceremony(shared.parent, copy, now=NOW).sign(shared, ANNA)
    signed_copy = copy.read_bytes()
    ceremony = home.ceremony(draft)
    ceremony.join([copy])
    assert ceremony.finish() == home.folder / "3.root.json"
    assert copy.read_bytes() == signed_copy


def test_copies_that_parted_are_not_joined(home, draft, tmp_path):
    copy = tmp_path / "copy.json"
    copy.write_bytes(draft.read_bytes())
    home.ceremony(copy).revise(RootChange(expires_at=NOW + days(9)))
    with pytest.raises(SignatureError, match="join the copy"):
        home.ceremony(draft).join([copy])


def test_a_late_copy_does_not_alter_the_root_in_force(home, shared, tmp_path):
    """More signatures than needed would give the same root other bytes."""
    draft, copy = tmp_path / "4.json", tmp_path / "copy.json"
    ceremony = home.ceremony()
    ceremony.revise(RootChange(threshold=1))
    ceremony.sign(home.root_key, PASSPHRASE)
    ceremony.sign(shared, ANNA)
    assert ceremony.finish()
    home.ceremony(draft).revise(RootChange())
    copy.write_bytes(draft.read_bytes())
    Ceremony(shared.parent, copy, now=NOW).sign(shared, ANNA)
    ceremony = home.ceremony(draft)
    ceremony.sign(home.root_key, PASSPHRASE)
    root = ceremony.finish()
    before = root.read_bytes()
    ceremony = home.ceremony(draft)
    ceremony.join([copy])
    assert ceremony.finish() == root
    assert root.read_bytes() == before


def test_both_the_old_and_the_new_root_key_sign_a_rotation_of_the_root_key(home):
    ceremony = home.ceremony()
    new = ceremony.revise(RootChange(role="root", adds_key=True, removes=""), ANNA)
    ceremony.sign(new, ANNA)
    assert ceremony.finish() is None
    ceremony.sign(home.root_key, PASSPHRASE)
    assert ceremony.finish()
    assert len(keys_of(home, "root")) == 1


def test_a_removed_key_signs_nothing_any_more(home):
    ceremony = home.ceremony()
    new = ceremony.revise(RootChange(role="root", adds_key=True, removes=""), ANNA)
    ceremony.sign(new, ANNA)
    ceremony.sign(home.root_key, PASSPHRASE)
    ceremony.finish()
    ceremony = home.ceremony()
    ceremony.revise(RootChange())
    with pytest.raises(InputError, match="no root key"):
        ceremony.sign(home.root_key, PASSPHRASE)


def test_a_root_can_begin_with_several_keys_that_have_passphrases_of_their_own(tmp_path):
    folder = tmp_path / "several"
    holders = ("first holder", "second holder", "third holder")
    init_trust(
        folder,
        PASSPHRASE,
        expires_at=NOW + days(700),
        root_passphrases=holders,
        root_threshold=2,
        now=NOW,
    )
    keys = sorted(folder.glob("root-*.pem"))
    assert not (folder / "root.pem").exists()
    root = describe_root(folder).roles[0]
    assert (root.threshold, len(root.keyids), len(keys)) == (2, 3, 3)
    assert open_keys(folder, PASSPHRASE)
    ceremony = Ceremony(folder, now=NOW)
    ceremony.revise(RootChange())
    ceremony.sign(*opening(keys[0], *holders))
    assert ceremony.finish() is None
    ceremony.sign(*opening(keys[2], *holders))
    assert ceremony.finish() == folder / "2.root.json"


@pytest.mark.parametrize("threshold", [0, 3])
def test_a_first_root_cannot_ask_for_more_keys_than_it_has(tmp_path, threshold):
    with pytest.raises(InputError, match="of 2 root keys"):
        init_trust(
            tmp_path / "keys",
            PASSPHRASE,
            expires_at=NOW + days(9),
            root_passphrases=["first holder", "second holder"],
            root_threshold=threshold,
            now=NOW,
        )
    assert not (tmp_path / "keys").exists()


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (RootChange(threshold=2), "2 signatures of root asked for, and 1 keys"),
        (RootChange(threshold=0), "0 signatures of root"),
        (
            RootChange(role="targets", adds_key=True, threshold=2),
            "a threshold for a role that signs",
        ),
        (RootChange(role="root", removes=""), "choose the root key that goes: 0 of them"),
        (RootChange(role="timestamp", removes=""), "choose the timestamp key that goes: 0 of them"),
        (RootChange(role="root", removes="xyz"), "0 of them begin with xyz"),
        (RootChange(expires_at=NOW), "would expire"),
    ],
)
def test_a_change_that_could_never_end_is_refused(home, change, sentence):
    before = sorted(home.folder.iterdir())
    with pytest.raises(InputError, match=sentence) as caught:
        home.ceremony().revise(change, PASSPHRASE)
    assert caught.value.hint
    assert sorted(home.folder.iterdir()) == before


@pytest.mark.parametrize("role", ["root", "timestamp"])
def test_the_only_key_of_a_role_does_not_go(home, role):
    (keyid,) = keys_of(home, role)
    with pytest.raises(InputError, match=f"1 signatures of {role} asked for, and 0"):
        home.ceremony().revise(RootChange(role=role, removes=keyid), PASSPHRASE)


@pytest.mark.parametrize("change", [ROTATE_TIMESTAMP, RootChange()])
@pytest.mark.parametrize("is_torn", [False, True])
def test_a_key_that_a_killed_run_left_is_named_by_the_next_one(home, monkeypatch, change, is_torn):
    def killed(path, data):
        path.write_bytes(data[: len(data) // 2 if is_torn else None])
        left.append(path)
        raise KeyboardInterrupt

    left = []
    home.change(ROTATE_TIMESTAMP)  # a root in force names this key
    with monkeypatch.context() as patched:
        patched.setattr("toolkit.media._keys.write_secret", killed)
        with pytest.raises(KeyboardInterrupt):
            home.ceremony().revise(ROTATE_TIMESTAMP, PASSPHRASE)
    ceremony = home.ceremony()
    ceremony.revise(change, PASSPHRASE)
    assert ceremony.unused == tuple(left)
    left[0].unlink()
    ceremony.sign(home.root_key, PASSPHRASE)
    assert ceremony.finish()
    assert open_keys(home.folder, PASSPHRASE).signers["timestamp"]


def test_a_key_of_an_older_root_is_not_called_unused(home):
    home.change(ROTATE_TIMESTAMP)
    home.change(ROTATE_TIMESTAMP)
    ceremony = home.ceremony()
    ceremony.revise(RootChange())
    assert len(list(home.folder.glob("timestamp-*.pem"))) == 2
    assert ceremony.unused == ()


def test_a_key_made_for_a_draft_that_a_later_change_drops_is_named(home):
    ceremony = home.ceremony()
    first = ceremony.revise(ROTATE_TIMESTAMP, PASSPHRASE)
    assert ceremony.unused == ()  # the old key signs until the draft is in force
    ceremony = home.ceremony()
    second = ceremony.revise(ROTATE_TIMESTAMP, PASSPHRASE)
    assert ceremony.unused == (first,)
    ceremony.sign(home.root_key, PASSPHRASE)
    ceremony.finish()
    first.unlink()
    assert open_keys(home.folder, PASSPHRASE).signers["timestamp"]
    assert second.exists()


def test_of_several_keys_the_one_that_goes_is_named(home, shared):
    with pytest.raises(InputError, match="2 of them") as caught:
        home.ceremony().revise(RootChange(role="root", adds_key=True, removes=""), PASSPHRASE)
    keyids = keys_of(home, "root")
    assert all(keyid in caught.value.expected for keyid in keyids)
    ceremony = home.ceremony()
    ceremony.revise(RootChange(role="root", adds_key=True, removes=keyids[1][:9].upper()), ANNA)
    assert f"root: key {keyids[1]} goes" in ceremony.facts.changes


def test_a_clock_before_the_root_makes_no_draft(home):
    with pytest.raises(InputError, match="clock"):
        home.ceremony(now=NOW - days(31)).revise(RootChange())


def test_a_draft_that_has_expired_is_neither_signed_nor_put_into_force(home, draft):
    home.ceremony().sign(home.root_key, PASSPHRASE)
    late = home.ceremony(now=NOW + days(731))
    with pytest.raises(InputError, match="would expire"):
        late.finish()
    with pytest.raises(InputError, match="would expire"):
        late.sign(home.root_key, PASSPHRASE)


@pytest.mark.parametrize("name", ["targets.pem", "timestamp.pem"])
def test_a_key_of_another_role_signs_no_root(home, draft, name):
    before = draft.read_bytes()
    with pytest.raises(InputError, match="no root key"):
        home.ceremony().sign(home.folder / name, PASSPHRASE)
    assert draft.read_bytes() == before


def test_a_stranger_s_key_signs_no_root(home, draft, tmp_path):
    store_key(tmp_path / "mine.pem", new_signer(), PASSPHRASE)
    with pytest.raises(InputError, match="no root key"):
        home.ceremony().sign(tmp_path / "mine.pem", PASSPHRASE)


def test_a_wrong_passphrase_signs_nothing(home, draft):
    with pytest.raises(InputError, match="passphrase does not open"):
        home.ceremony().sign(home.root_key, "wrong horse")


def test_nothing_is_signed_where_there_is_no_draft(home):
    with pytest.raises(StorageError, match="no such file"):
        home.ceremony().sign(home.root_key, PASSPHRASE)
    assert not (home.folder / "2.root.draft.json").exists()


def test_a_short_passphrase_makes_no_key(home):
    with pytest.raises(InputError, match="characters") as caught:
        home.ceremony().revise(ADD_ROOT, "short")
    assert "choose a longer one" in caught.value.hint
    assert [item.name for item in home.folder.glob("root*.pem")] == ["root.pem"]


def test_keys_that_sign_media_keep_one_passphrase(home):
    with pytest.raises(InputError, match="passphrase does not open"):
        home.ceremony().revise(ROTATE_TIMESTAMP, "another passphrase")
    assert not (home.folder / "2.root.draft.json").exists()
    assert home.ceremony().revise(ADD_ROOT, "another passphrase").exists()


def test_another_publisher_s_draft_is_refused(home, draft, other_publisher):
    with pytest.raises(SignatureError, match="a root 1 that is not the one"):
        Ceremony(other_publisher.folder, draft, now=NOW)


def test_a_folder_without_a_root_believes_no_draft_without_a_fingerprint(home, draft, tmp_path):
    with pytest.raises(TrustError, match="no root in") as caught:
        Ceremony(tmp_path / "new", draft, now=NOW)
    assert "voice or on paper" in caught.value.hint
    with pytest.raises(TrustError, match="a first root with fingerprint"):
        Ceremony(tmp_path / "new", draft, first_fingerprint=fingerprint(b"other"), now=NOW)
    assert not (tmp_path / "new").exists()


def test_the_second_of_two_drafts_of_one_root_comes_too_late(home, draft, tmp_path):
    other = tmp_path / "other.json"
    home.ceremony(other).revise(RootChange(expires_at=NOW + days(300)))
    home.change(RootChange())
    with pytest.raises(InputError, match="another root 2, which is in force"):
        home.ceremony(other)


def test_a_draft_of_long_ago_comes_too_late(home, draft):
    home.change(RootChange())
    home.change(RootChange())
    with pytest.raises(InputError, match="root 3, which is in force"):
        home.ceremony(draft)


def test_a_folder_that_stayed_behind_catches_up(home, draft, tmp_path):
    """Somebody who signed root 2 has not seen it in force, and is asked to sign root 3."""
    behind = tmp_path / "behind"
    behind.mkdir()
    (behind / "1.root.json").write_bytes(home.root)
    home.change(RootChange())
    third = home.folder / "3.root.draft.json"
    home.ceremony().revise(RootChange())
    Ceremony(behind, third, now=NOW).sign(home.root_key, PASSPHRASE)
    assert read_root_chain(behind) == read_root_chain(home.folder)


@pytest.mark.parametrize(
    "garbage", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"kind": "ferry-root-draft", "format": 2}']
)
def test_what_is_no_draft_is_an_input_error(home, draft, garbage):
    draft.write_bytes(garbage)
    with pytest.raises(InputError, match="read the draft"):
        home.ceremony()


def test_a_draft_too_large_to_be_one_is_not_read(home, draft):
    with draft.open("r+b") as file:
        file.truncate(1 << 30)
    with pytest.raises(InputError, match="a large file"):
        home.ceremony()


def test_a_missing_copy_is_a_storage_error(home, draft, tmp_path):
    with pytest.raises(StorageError, match=r"gone\.json"):
        home.ceremony().join([tmp_path / "gone.json"])


def test_a_root_is_no_draft(home, tmp_path):
    with pytest.raises(InputError, match="read the draft"):
        describe_draft(home.folder / "1.root.json")


def test_a_draft_changed_by_hand_after_it_was_signed_is_refused(home, draft):
    home.ceremony().sign(home.root_key, PASSPHRASE)
    edit(draft, lambda root: root["signed"].update(expires="2040-01-01T00:00:00Z"))
    with pytest.raises(SignatureError, match="does not hold"):
        home.ceremony()


def forged_id(root):
    """Let another key go under the id of the one that was made."""
    (keyid,) = root["signed"]["roles"]["timestamp"]["keyids"]
    root["signed"]["keys"][keyid]["keyval"]["public"] = "ab" * 32


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda root: root["signed"].update(version=3), "version 3"),
        (lambda root: root["signed"].update(consistent_snapshot=False), "another change"),
        (lambda root: root["signed"].update(note="x"), "another change"),
        (lambda root: root["signed"]["roles"]["root"].update(threshold=2), "2 signatures of root"),
        (lambda root: root["signed"]["roles"]["targets"].update(threshold=2), "2 signatures of"),
        (lambda root: root["signed"]["roles"]["root"].update(keyids=[]), "0 keys"),
        (lambda root: root["signed"]["roles"]["root"]["keyids"].append("ab" * 32), "only named"),
        (forged_id, "calls itself"),
    ],
)
def test_a_draft_made_by_hand_that_hides_something_is_refused(home, draft, change, sentence):
    edit(draft, change)
    with pytest.raises(InputError, match=sentence):
        describe_draft(draft)


def test_metadata_of_another_role_are_no_next_root(home, draft, root, payload):
    folder = home.write(root, payload).folder
    document = json.loads(draft.read_bytes())
    document["next"] = json.loads((folder / "tuf" / "timestamp.json").read_bytes())
    draft.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match="metadata of another role"):
        describe_draft(draft)


def test_a_next_root_is_spelt_as_it_is_signed(home, draft):
    edit(draft, lambda root: root["signed"].update(expires="2028-10-31t12:00:00z"))
    with pytest.raises(InputError, match="another spelling"):
        describe_draft(draft)


def test_a_draft_of_no_root_is_refused(home, draft):
    document = json.loads(draft.read_bytes())
    draft.write_text(json.dumps({**document, "roots": []}), encoding="utf-8")
    with pytest.raises(InputError, match="none"):
        describe_draft(draft)


def test_a_draft_with_a_forged_chain_is_refused(home, draft, other_publisher):
    document = json.loads(draft.read_bytes())
    document["roots"].append(other_publisher.root.decode())
    draft.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(SignatureError, match=r"2\.root\.json"):
        describe_draft(draft)


def test_a_root_that_its_forerunner_did_not_sign_opens_no_keys(home, other_publisher):
    root = Metadata[Root].from_bytes(other_publisher.root)
    root.signed.version = 2
    signer = new_signer()
    root.signed.roles["root"].keyids = []
    root.signed.add_key(signer.public_key, "root")
    root.sign(signer)
    (home.folder / "2.root.json").write_bytes(root.to_bytes())
    with pytest.raises(SignatureError, match="too few keys of the root before"):
        open_keys(home.folder, PASSPHRASE)


def test_a_key_file_left_behind_is_named(home, tmp_path):
    made = home.change(ROTATE_TIMESTAMP)
    made.rename(tmp_path / made.name)
    with pytest.raises(InputError, match="does not name for this role") as caught:
        open_keys(home.folder, PASSPHRASE)
    assert made.name in caught.value.expected
    (home.folder / "timestamp.pem").unlink()
    with pytest.raises(StorageError, match=made.name):
        open_keys(home.folder, PASSPHRASE)


# --- what sites make of it ------------------------------------------------------------------------


@pytest.fixture
def written(home, tmp_path):
    """Return a function that writes a medium on a later day, under the root in force."""
    held = make_payload(tmp_path / "catalog")

    def write(day):
        return home.write(tmp_path / f"medium-{day}", held, now=NOW + days(day)).folder

    return write


@pytest.fixture
def trusting(home, tmp_path):
    """A site that pinned root 1."""
    return SiteTrust(tmp_path / "trusting").pin(home.root)


def test_a_site_follows_the_rotation_of_each_role(home, written, trusting):
    trusting.open(written(0))
    for day, role in enumerate(("targets", "snapshot", "timestamp"), start=1):
        home.change(RootChange(role=role, adds_key=True, removes=""), now=NOW + days(day))
        medium = trusting.open(written(day), now=NOW + days(day))
        assert medium.verify().problem() is None
    ceremony = home.ceremony(now=NOW + days(4))
    new = ceremony.revise(RootChange(role="root", adds_key=True, removes=""), ANNA)
    for key, word in ((new, ANNA), (home.root_key, PASSPHRASE)):
        ceremony.sign(key, word)
    ceremony.finish()
    trusting.open(written(4), now=NOW + days(4)).copy_target(
        "payload/CombinedSolutionBundle.12.2603.1002.15.zip", io.BytesIO()
    )
    assert len(read_root_chain(home.folder)) == 5


def test_a_site_that_missed_two_rotations_follows_both(home, written, trusting):
    for role in ("timestamp", "targets"):
        home.change(RootChange(role=role, adds_key=True, removes=""))
    assert trusting.open(written(1), now=NOW + days(1)).missing() == ()


def test_a_new_site_may_pin_a_later_root(home, written, tmp_path):
    home.change(ROTATE_TIMESTAMP)
    second = (home.folder / "2.root.json").read_bytes()
    SiteTrust(tmp_path / "young").pin(second).open(written(1), now=NOW + days(1))


def test_a_medium_of_a_replaced_timestamp_key_is_good_until_the_site_hears_of_it(
    home, written, trusting
):
    old = written(0)
    home.change(ROTATE_TIMESTAMP)
    trusting.open(old)
    trusting.open(written(1), now=NOW + days(1))
    with pytest.raises(SignatureError) as caught:
        trusting.open(old, now=NOW + days(1))
    assert "written under root 1, and this site has seen root 2" in caught.value.hint


def test_a_root_chain_with_a_gap_is_refused_at_home_and_at_the_site(home, written, trusting):
    for _ in range(2):
        home.change(ROTATE_TIMESTAMP)
    medium = written(1)
    (medium / "tuf" / "2.root.json").unlink()
    with pytest.raises(StorageError, match=r"tuf/2\.root\.json is missing"):
        trusting.open(medium, now=NOW + days(1))
    (home.folder / "2.root.json").unlink()
    for act in (lambda: open_keys(home.folder, PASSPHRASE), home.ceremony):
        with pytest.raises(InputError, match="without a gap"):
            act()


def test_a_chain_of_forty_rotations_is_walked(home, written, trusting):
    for _ in range(40):
        home.change(RootChange(role="timestamp", adds_key=True, removes=""))
    medium = written(1)
    assert trusting.open(medium, now=NOW + days(1)).warnings == ()
    assert trusting.open(medium, now=NOW + days(2)).warnings == ()


def test_an_expired_root_is_renewed_and_followed(home, written, trusting):
    """Only the newest root's expiry counts: TUF specification, client workflow 5.3.8 and 5.3.10."""
    later = 800
    home.change(RootChange(), now=NOW + days(later))
    assert trusting.open(written(later), now=NOW + days(later)).missing() == ()


def test_a_second_workstation_has_a_timestamp_key_of_its_own(home, tmp_path, payload, trusting):
    other, draft = tmp_path / "workstation", tmp_path / "draft.json"
    home.ceremony(draft).revise(RootChange())
    ceremony = Ceremony(other, draft, first_fingerprint=fingerprint(home.root), now=NOW)
    ceremony.revise(RootChange(role="timestamp", adds_key=True), PASSPHRASE)
    home.ceremony(draft).sign(home.root_key, PASSPHRASE)
    assert home.ceremony(draft).finish()
    assert Ceremony(other, draft, now=NOW).finish()
    for name in ("targets.pem", "snapshot.pem"):
        (other / name).write_bytes((home.folder / name).read_bytes())
    keys = open_keys(other, PASSPHRASE)
    assert keys.signers["timestamp"].public_key.keyid == keys_of(home, "timestamp")[1]
    assert open_keys(home.folder, PASSPHRASE)
    (tmp_path / "stick").mkdir()
    medium = write_medium(
        tmp_path / "stick", [payload], keys=keys, expires_at=NOW + days(9), now=NOW
    )
    assert trusting.open(medium.folder).missing() == ()
