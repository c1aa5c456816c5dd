"""Attacks on the TUF client workflow, and honest mishaps that look like one; each test bears its name.

A medium is written by our writer and then changed with python-tuf's own API, signed or not, as somebody
with some of the keys, none of them, or a careless hand would do it. Asserted are the error, its exit code
and its words: nobody is accused of tampering because of litter, a cut-off copy or a wrong clock, and bytes
that nobody trusted has signed are not called damaged.
"""

import hashlib
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, TargetFile

from tests.unit.media.making import NOW, PASSPHRASE, Publisher, SiteTrust, days, make_payload
from toolkit.errors import (
    DigestError,
    ExpiredError,
    InputError,
    RollbackError,
    SignatureError,
    StorageError,
    ToolkitError,
)
from toolkit.media import fingerprint
from toolkit.media._set import COMPLETE, SET_PATH, SET_TARGET

ROLES = ("root", "targets", "snapshot", "timestamp")
ONLINE = ("targets", "snapshot", "timestamp")
ACCUSATION = re.compile(r"tamper|alter|forge|manipulat", re.IGNORECASE)
OTHER = "12.2604.1003.9"
LATER = NOW + days(30)


@pytest.fixture(autouse=True)
def no_flush(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: None)


@dataclass
class Workshop:
    """A publisher whose every key is at hand, root key included, and the media it writes."""

    base: Path
    publisher: Publisher
    signers: dict[str, list[CryptoSigner]]
    roots: list[Metadata] = field(init=False)

    def __post_init__(self) -> None:
        self.roots = [Metadata.from_bytes(self.publisher.root)]

    def write(
        self, name: str, *, at: datetime = NOW, version="12.2603.1002.15", **payload
    ) -> "Set":
        """Write one medium as this program does."""
        held = make_payload(self.base / f"catalog-{name}", version=version, **payload)
        medium = self.publisher.write(self.base / name, held, now=at, set_name=name.upper())
        return Set(medium.folder, self)

    def rotate(
        self,
        *roles: str,
        count: int = 1,
        threshold: int = 1,
        signed_by: Callable[[list, list], list] = lambda before, after: [*before, *after],
        **changes,
    ) -> None:
        """Add a root that gives roles new keys; `signed_by` chooses among old and new root keys."""
        root = Metadata.from_bytes(self.roots[-1].to_bytes())
        before = list(self.signers["root"])
        root.signed.version += 1
        for role in roles:
            for keyid in list(root.signed.roles[role].keyids):
                root.signed.revoke_key(keyid, role)
            self.signers[role] = [CryptoSigner.generate_ed25519() for _ in range(count)]
            for signer in self.signers[role]:
                root.signed.add_key(signer.public_key, role)
            root.signed.roles[role].threshold = threshold
        for name, value in changes.items():
            setattr(root.signed, name, value)
        root.signatures.clear()
        for signer in signed_by(before, self.signers["root"]):
            root.sign(signer, append=True)
        self.roots.append(root)


@dataclass
class Set:
    """One set folder, whose metadata can be changed and signed again."""

    folder: Path
    workshop: Workshop

    def path(self, role: str) -> Path:
        """Where the metadata file of a role lies."""
        (found,) = (self.folder / "tuf").glob(f"*{role}.json")
        return found

    def load(self, role: str) -> Metadata:
        return Metadata.from_bytes(self.path(role).read_bytes())

    def put(self, role: str, metadata: Metadata) -> bytes:
        """Write metadata as they are under the name their version asks for."""
        data = metadata.to_bytes()
        self.path(role).unlink()
        version = "" if role == "timestamp" else f"{metadata.signed.version}."
        (self.folder / "tuf" / f"{version}{role}.json").write_bytes(data)
        return data

    def sign(self, role: str, metadata: Metadata) -> bytes:
        metadata.signatures.clear()
        for signer in self.workshop.signers[role]:
            metadata.sign(signer, append=True)
        return self.put(role, metadata)

    def change(self, role: str, edit: Callable[[object], None] = lambda signed: None) -> None:
        """Edit what a role says and sign it and everything that vouches for it, as its owner would."""
        metadata = self.load(role)
        edit(metadata.signed)
        data = self.sign(role, metadata)
        if role == "targets":
            self.change(
                "snapshot",
                lambda signed: signed.meta.update(
                    {"targets.json": MetaFile(metadata.signed.version, len(data), hashes(data))}
                ),
            )
        elif role == "snapshot":
            self.change(
                "timestamp",
                lambda signed: setattr(
                    signed,
                    "snapshot_meta",
                    MetaFile(metadata.signed.version, len(data), hashes(data)),
                ),
            )

    def sign_again(self) -> None:
        """Sign every role with the keys that count now, and carry the whole root chain."""
        plan = json.loads((self.folder / SET_PATH).read_bytes())
        plan["roots"] = []
        for number, root in enumerate(self.workshop.roots, start=1):
            data = root.to_bytes()
            (self.folder / "tuf" / f"{number}.root.json").write_bytes(data)
            plan["roots"].append(hashes(data)["sha256"])
        self.plan(plan)
        complete = self.folder / COMPLETE
        said = json.loads(complete.read_bytes())
        complete.write_text(json.dumps({**said, "root": fingerprint(data)}))

    def plan(self, document: object) -> None:
        """Replace set.json, signed."""
        data = json.dumps(document).encode()
        (self.folder / SET_PATH).write_bytes(data)
        self.change(
            "targets",
            lambda signed: signed.targets.update(
                {SET_TARGET: TargetFile(len(data), hashes(data), SET_TARGET)}
            ),
        )

    @property
    def payload(self) -> Path:
        return next((self.folder / "data/payload").iterdir())


def hashes(data: bytes) -> dict[str, str]:
    return {"sha256": hashlib.sha256(data).hexdigest()}


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    return Publisher(tmp_path_factory.mktemp("publisher") / "keys")


@pytest.fixture(scope="module")
def signers(publisher):
    """The keys of all roles, opened."""
    pems = {role: (publisher.folder / f"{role}.pem").read_bytes() for role in ROLES}
    return {
        role: CryptoSigner(load_pem_private_key(pem, PASSPHRASE.encode()))
        for role, pem in pems.items()
    }


@pytest.fixture
def workshop(tmp_path, publisher, signers):
    return Workshop(tmp_path, publisher, {role: [signer] for role, signer in signers.items()})


@pytest.fixture
def site(workshop):
    return SiteTrust(workshop.base / "site").pin(workshop.publisher.root)


@pytest.fixture
def older(workshop):
    return workshop.write("older")


@pytest.fixture
def newer(workshop):
    """A set issued a month later, with another update on it."""
    return workshop.write("newer", at=LATER, version=OTHER)


def refused(site, medium, kind: type[ToolkitError], *, now=NOW, code=3, accuses=False) -> str:
    """Require one refusal; the site's memory must not change. Returns all its words."""
    before = site.memory()
    with pytest.raises(ToolkitError) as caught:
        site.open(medium.folder, now=now)
    error = caught.value
    assert type(error) is kind, str(error)
    assert error.exit_code == code
    assert error.hint
    assert site.memory() == before
    words = f"{error} / {error.hint}"
    assert not ACCUSATION.search(words), words
    if kind is SignatureError:
        assert "damage" not in words
    return words


# --- rollback -------------------------------------------------------------------------------------


def set_version(version):
    return lambda signed: setattr(signed, "version", version)


def test_rollback_of_the_timestamp(site, older, newer):
    """Everything is older: another set, once good."""
    site.open(newer.folder, now=LATER)
    words = refused(site, older, RollbackError, now=LATER)
    assert "withdrawn: payload/CombinedSolutionBundle.12.2603.1002.15.zip" in words
    assert "issued 2026-11-01" in words
    assert "2026-12-01" in words
    assert OTHER in words


def test_rollback_of_the_snapshot(site, older, newer):
    """The timestamp key alone was stolen: a new timestamp speaks for an old snapshot."""
    site.open(newer.folder, now=LATER)
    older.change("timestamp", set_version(int(LATER.timestamp()) + 1))
    assert "withdrawn: payload/" in refused(site, older, RollbackError, now=LATER)


def test_rollback_of_the_targets(site, older, newer):
    """Timestamp and snapshot keys were stolen: both are new, the targets are old."""
    site.open(newer.folder, now=LATER)
    older.change("snapshot", set_version(int(LATER.timestamp()) + 1))
    older.change("timestamp", set_version(int(LATER.timestamp()) + 1))
    assert "withdrawn: payload/" in refused(site, older, RollbackError, now=LATER)


def test_rollback_of_the_root(workshop, site, older):
    """A site that knows a newer root judges by it, whatever chain lies on the medium."""
    workshop.rotate("timestamp")
    newer = workshop.write("newer", at=LATER)
    newer.sign_again()
    site.open(newer.folder, now=LATER)
    words = refused(site, older, SignatureError, now=LATER)
    assert "timestamp.json" in words


def test_rollback_by_removing_the_targets_from_the_snapshot(site, older, newer):
    site.open(older.folder)
    newer.change("snapshot", lambda signed: signed.meta.pop("targets.json"))
    assert "targets.json" in refused(site, newer, SignatureError, now=LATER)


# --- an older medium at a newer site ------------------------------------------------------------------


@pytest.fixture
def twins(workshop):
    """Two sticks written one after the other with the same payload."""
    return workshop.write("first"), workshop.write("second", at=NOW + days(1))


def test_older_medium_whose_payloads_are_all_still_listed(site, twins):
    first, second = twins
    site.open(second.folder, now=NOW + days(1))
    before = site.memory()
    medium = site.open(first.folder, now=NOW + days(1))
    (warning,) = medium.warnings
    assert "FIRST is too old (issued 2026-11-01 12:00:00 UTC)" in warning
    assert "still listed" in warning
    assert medium.verify().problem() is None
    assert site.memory() == before
    assert site.open(second.folder, now=NOW + days(1)).warnings == ()


def test_older_medium_with_the_facts_of_the_newest_statement(workshop, site, twins):
    """The publisher corrected what it says of the file, not the file."""
    first, second = twins

    def correct(signed):
        (name,) = (name for name in signed.targets if name.startswith("payload/"))
        signed.targets[name].unrecognized_fields["custom"]["version"] = "12.2603.1002.16"

    second.change("targets", correct)
    site.open(second.folder, now=NOW + days(1))
    (target,) = site.open(first.folder, now=NOW + days(1)).targets()
    assert str(target.version) == "12.2603.1002.16"


def test_older_medium_with_other_bytes_under_a_listed_name(workshop, site, older):
    corrected = workshop.write("newer", at=LATER, data=b"as corrected by the vendor")
    site.open(corrected.folder, now=LATER)
    assert "withdrawn" in refused(site, older, RollbackError, now=LATER)


def test_older_medium_that_has_expired(workshop, site, twins):
    first, second = twins
    site.open(second.folder, now=NOW + days(1))
    words = refused(site, first, ExpiredError, now=NOW + days(180))
    assert "2027-04-30" in words


def test_older_medium_after_the_newest_has_expired_itself(workshop, site, older):
    short = workshop.write("short", at=NOW + days(1))
    for role in ONLINE[::-1]:
        short.change(role, lambda signed: setattr(signed, "expires", NOW + days(10)))
    site.open(short.folder, now=NOW + days(2))
    assert site.open(older.folder, now=NOW + days(2)).expires_at == NOW + days(10)
    words = refused(site, older, RollbackError, now=NOW + days(20))
    assert "withdrawn" not in words.replace("a withdrawn update", "")


def test_older_medium_listed_by_keys_that_were_replaced(workshop, site, older):
    """The newest statement was made with a key that no longer counts: it speaks for nobody."""
    newest = workshop.write("newest", at=LATER)
    site.open(newest.folder, now=LATER)
    workshop.rotate("targets")
    older.sign_again()  # by the owner of the timestamp key, who has not made it newer
    refused(site, older, RollbackError, now=LATER)


@pytest.mark.parametrize("damage", ["", '{"signed": 1}', None])
def test_older_medium_beside_a_memory_without_its_targets(site, twins, damage):
    """Then nothing speaks for it, and it stays refused."""
    first, second = twins
    site.open(second.folder, now=NOW + days(1))
    state = json.loads((site.folder / "state.json").read_bytes())
    del state["metadata"]["targets.json"]
    if damage is not None:
        state["metadata"]["targets.json"] = damage
    (site.folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    refused(site, first, RollbackError, now=NOW + days(1))


def test_older_medium_that_is_unfinished(site, twins):
    first, second = twins
    site.open(second.folder, now=NOW + days(1))
    (first.folder / "complete.json").rename(first.folder / "writing.json")
    words = refused(site, first, StorageError, code=6, now=NOW + days(1))
    assert "missing complete.json" in words


def test_older_medium_with_its_bytes_damaged(site, twins):
    first, second = twins
    site.open(second.folder, now=NOW + days(1))
    first.payload.write_bytes(first.payload.read_bytes()[:-1] + b"?")
    medium = site.open(first.folder, now=NOW + days(1))
    assert isinstance(medium.verify().problem(), DigestError)


# --- freeze -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ONLINE)
def test_freeze_at_an_expired(site, older, role):
    older.change(role, lambda signed: setattr(signed, "expires", NOW + days(5)))
    site.open(older.folder, now=NOW + days(4))
    words = refused(site, older, ExpiredError, now=NOW + days(6))
    assert f"{role}.json is expired" in words or f"{role} is expired" in words
    assert "2026-11-07" in words


def test_freeze_at_an_expired_root(workshop, site, older):
    workshop.rotate(expires=NOW + days(5))
    older.sign_again()
    words = refused(site, older, ExpiredError, now=NOW + days(6))
    assert "root.json is expired" in words
    assert "root valid until 2026-11-06" in words


def test_freeze_with_a_root_in_the_middle_of_the_chain_that_expired_is_no_freeze(
    workshop, site, older
):
    workshop.rotate(expires=NOW + days(5))
    workshop.rotate(expires=NOW + days(700))
    older.sign_again()
    assert site.open(older.folder, now=NOW + days(6)).warnings == ()


# --- fast forward ------------------------------------------------------------------------------------


def fast_forwarded(medium):
    for role in ONLINE:
        medium.change(role, set_version(99_999_999_999))
    return medium


def test_fast_forward_shuts_out_the_honest_publisher(workshop, site, older, newer):
    site.open(fast_forwarded(older).folder)
    words = refused(site, newer, RollbackError, now=LATER)
    assert "withdrawn" in words


def test_fast_forward_is_recovered_from_by_new_keys(workshop, site, older, newer):
    site.open(fast_forwarded(older).folder)
    workshop.rotate("timestamp")
    workshop.rotate("snapshot")
    newer.sign_again()
    assert site.open(newer.folder, now=LATER).warnings == ()
    assert site.open(newer.folder, now=LATER).warnings == ()


# --- mix and match ------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_mix_and_match_of_the(site, older, newer, role):
    """The file of another set under the name that this set's metadata ask for."""
    older.path(role).write_bytes(newer.path(role).read_bytes())
    words = refused(site, older, DigestError)
    assert older.path(role).name in words


def test_mix_and_match_of_timestamp_and_snapshot(site, older, newer):
    shutil.copy(newer.path("timestamp"), older.folder / "tuf")
    words = refused(site, older, StorageError, code=6, now=LATER)
    assert newer.path("snapshot").name in words
    assert "not complete" in words


@pytest.mark.parametrize("is_known", [False, True], ids=["new site", "known site"])
def test_mix_and_match_of_versions_under_good_signatures(site, older, is_known):
    """Signed by the right keys, but the timestamp names another version of the snapshot."""
    if is_known:
        site.open(older.folder)
    data = older.path("snapshot").read_bytes()
    version = older.load("snapshot").signed.version + 1
    shutil.copy(older.path("snapshot"), older.folder / "tuf" / f"{version}.snapshot.json")
    timestamp = older.load("timestamp")
    timestamp.signed.version += 1  # newer than what the site may know
    timestamp.signed.snapshot_meta = MetaFile(version, len(data), hashes(data))
    older.sign("timestamp", timestamp)
    assert "snapshot version" in refused(site, older, SignatureError)


def test_volumes_of_two_sets_with_their_metadata_swapped(site, older, newer):
    for name in ("tuf", "data/plan"):
        shutil.rmtree(older.folder / name)
        shutil.copytree(newer.folder / name, older.folder / name)
    words = refused(site, older, StorageError, code=6, now=LATER)
    assert f"data/payload/CombinedSolutionBundle.{OTHER}.zip" in words


def test_set_json_of_another_set(site, older, newer):
    shutil.copy(newer.folder / SET_PATH, older.folder / SET_PATH)
    assert "set.json" in refused(site, older, DigestError)


# --- thresholds and signatures ---------------------------------------------------------------------------


@pytest.mark.parametrize("role", ONLINE)
def test_threshold_of_two_with_one_signature(workshop, site, older, role):
    workshop.rotate(role, count=2, threshold=2)
    older.sign_again()
    site.open(older.folder)
    del workshop.signers[role][1]
    older.change(role)
    site = SiteTrust(workshop.base / "new-site").pin(workshop.publisher.root)
    words = refused(site, older, SignatureError)
    assert f"{role} was signed by 1/2 keys" in words


@pytest.mark.parametrize("role", ONLINE)
def test_threshold_of_two_with_the_same_key_twice(workshop, site, older, role):
    workshop.rotate(role, count=2, threshold=2)
    older.sign_again()
    document = json.loads(older.path(role).read_bytes())
    document["signatures"] = [document["signatures"][0]] * 2
    write_vouched(older, role, json.dumps(document).encode())
    assert "signed under" in refused(site, older, SignatureError)


def write_vouched(medium, role, data):
    """Write a role's bytes as they are, and let the roles above it vouch for them."""
    medium.path(role).write_bytes(data)
    if role == "timestamp":
        return
    above = ONLINE[ONLINE.index(role) + 1]

    def vouch(signed):
        version = int(NOW.timestamp())
        if role == "targets":
            signed.meta["targets.json"] = MetaFile(version, len(data), hashes(data))
        else:
            signed.snapshot_meta = MetaFile(version, len(data), hashes(data))

    medium.change(above, vouch)


@pytest.mark.parametrize("role", ONLINE)
def test_unsigned(site, older, role):
    metadata = older.load(role)
    metadata.signatures.clear()
    write_vouched(older, role, metadata.to_bytes())
    assert "0/1 keys" in refused(site, older, SignatureError)


@pytest.mark.parametrize("role", ONLINE)
def test_signed_by_a_stranger(workshop, site, older, role):
    workshop.signers[role] = [CryptoSigner.generate_ed25519()]
    older.change(role)
    assert "0/1 keys" in refused(site, older, SignatureError)


@pytest.mark.parametrize("role", ONLINE)
def test_signed_by_the_key_of_another_role(workshop, site, older, role):
    workshop.signers[role] = workshop.signers[ROLES[ROLES.index(role) - 1]]
    older.change(role)
    assert "0/1 keys" in refused(site, older, SignatureError)


@pytest.mark.parametrize("role", ONLINE)
def test_wrong_type_under_the_name_of(workshop, site, older, role):
    """A root, signed by its own keys, where another role belongs."""
    write_vouched(older, role, workshop.publisher.root)
    assert f"Expected '{role}', got 'root'" in refused(site, older, SignatureError)


def test_wrong_type_under_the_name_of_a_root(workshop, site, older):
    shutil.copy(older.path("targets"), older.folder / "tuf" / "2.root.json")
    assert "Expected 'root', got 'targets'" in refused(site, older, SignatureError)


# --- the root chain ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_root_rotation_of_the_keys_of(workshop, site, older, newer, role):
    site.open(older.folder)
    workshop.rotate(role)
    newer.sign_again()
    assert site.open(newer.folder, now=LATER).warnings == ()


def test_root_rotation_signed_by_the_new_root_key_alone(workshop, site, older):
    workshop.rotate("root", signed_by=lambda before, after: after)
    older.sign_again()
    words = refused(site, older, SignatureError)
    assert "2.root.json" in words


def test_root_rotation_signed_by_the_old_root_key_alone(workshop, site, older):
    workshop.rotate("root", signed_by=lambda before, after: before)
    older.sign_again()
    assert "2.root.json" in refused(site, older, SignatureError)


@pytest.mark.parametrize("is_known", [False, True], ids=["new site", "known site"])
def test_root_rotation_that_skips_a_version_in_itself(workshop, site, older, is_known):
    if is_known:
        site.open(older.folder)
    workshop.rotate(version=3)
    older.sign_again()
    assert "version 2" in refused(site, older, SignatureError)


@pytest.mark.parametrize("rotated", [(), ("timestamp",)], ids=["same keys", "new key"])
def test_root_chain_with_a_gap(workshop, site, older, rotated):
    for _ in range(3):
        workshop.rotate(*rotated)
    older.sign_again()
    (older.folder / "tuf" / "3.root.json").unlink()
    words = refused(site, older, StorageError, code=6)
    assert "3.root.json is missing" in words


def test_forty_root_rotations(workshop, site, older, newer):
    site.open(older.folder)
    for number in range(40):
        workshop.rotate(ROLES[number % 4])
    newer.sign_again()
    assert site.open(newer.folder, now=LATER).warnings == ()
    assert site.open(newer.folder, now=LATER).warnings == ()


# --- wrong hashes, lengths and endless data -----------------------------------------------------------------


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_wrong_hash_of_the(site, older, role):
    data = older.path(role).read_bytes()
    older.path(role).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert older.path(role).name in refused(site, older, DigestError)


@pytest.mark.parametrize("role", ["snapshot", "targets"])
@pytest.mark.parametrize("more", [-1, 1])
def test_wrong_length_of_the(site, older, role, more):
    data = older.path(role).read_bytes()
    older.path(role).write_bytes(data[:-1] if more < 0 else data + b" ")
    assert older.path(role).name in refused(site, older, DigestError)


@pytest.mark.parametrize("more", [-1, 1])
def test_wrong_length_of_a_target_in_set_json(site, older, more):
    document = json.loads((older.folder / SET_PATH).read_bytes())
    (row,) = document["files"]
    for sized in (row, *row["pieces"]):
        sized["size_bytes"] += more
    older.plan(document)
    assert "disagree" in refused(site, older, SignatureError)


@pytest.mark.skipif(sys.platform == "win32", reason="a file with a gap takes its room there")
@pytest.mark.parametrize("name", ["timestamp", "snapshot", "targets", "2.root", "set"])
def test_endless_data_in(site, older, name):
    """A file of 64 GiB that takes no room: it is not read to its end, or even far."""
    path = {
        "2.root": older.folder / "tuf" / "2.root.json",
        "set": older.folder / SET_PATH,
    }.get(name) or older.path(name)
    with path.open("ab") as out:
        out.truncate(64 << 30)
    assert path.name in refused(site, older, DigestError)


@pytest.mark.parametrize("name", ["timestamp", "snapshot", "targets", "1.root", "set"])
@pytest.mark.parametrize("left", [0, 100])
def test_truncated(site, older, name, left):
    """As an unplugged exFAT stick leaves it, though complete.json says otherwise."""
    path = {
        "1.root": older.folder / "tuf" / "1.root.json",
        "set": older.folder / SET_PATH,
    }.get(name) or older.path(name)
    path.write_bytes(path.read_bytes()[:left])
    kind = SignatureError if name == "timestamp" else DigestError
    assert path.name in refused(site, older, kind)


# --- tricks with names -----------------------------------------------------------------------------------


def renamed(medium, *, target=None, path=None, twin=False):
    """Have the publisher sign a payload under another target name or path, or a second one beside it."""
    document = json.loads((medium.folder / SET_PATH).read_bytes())
    (row,) = document["files"]
    old = row["target"]
    (piece,) = row["pieces"]
    new = {**row, "target": target or old}
    new["pieces"] = [{**piece, "path": path or piece["path"]}]
    document["files"] = [row, new] if twin else [new]

    def move(signed):
        found = signed.targets[old] if twin else signed.targets.pop(old)
        signed.targets[new["target"]] = TargetFile(found.length, found.hashes, new["target"])

    medium.change("targets", move)
    medium.plan(document)
    return medium


NAMES = [
    "payload/../../../escaped.zip", "../AZL-evil/x.zip", "/etc/cron.d/x", "payload//x",
    "C:/Windows/x.dll", "C:x", "//server/share/x", "\\\\server\\share\\x", "payload\\..\\x",
    "payload/NUL", "payload/com1.zip", "payload/aux", "payload/x.", "payload/x ", "~/x",
    "payload/x:stream", "payload/x\n", "payload/%SYSTEMROOT%", "payload/$HOME", "",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_target_name_that_is_a_trick(site, older, name):
    words = refused_name(site, renamed(older, target=name or ".."))
    assert "name a file on the medium" in words


@pytest.mark.parametrize("name", NAMES)
def test_path_in_set_json_that_is_a_trick(site, older, name):
    assert "name a file on the medium" in refused_name(site, renamed(older, path=f"data/{name}"))


def refused_name(site, medium):
    with pytest.raises(InputError) as caught:
        site.open(medium.folder)
    assert caught.value.exit_code == 7
    assert not ACCUSATION.search(f"{caught.value} {caught.value.hint}")
    return str(caught.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("payload/Bundle.zip", "payload/bundle.ZIP"),
        ("payload/\u00e9.zip", "payload/e\u0301.zip"),
        ("payload/same.zip", "payload/same.zip"),
    ],
    ids=["case", "NFC and NFD", "twice"],
)
@pytest.mark.parametrize("where", ["target", "path"])
def test_pair_of_names_that_fall_together(site, older, first, second, where):
    if where == "target":
        renamed(older, target=first)
        renamed(older, target=second, path="data/payload/other.zip", twin=True)
    else:
        renamed(older, path=f"data/{first}")
        renamed(older, target="payload/other.zip", path=f"data/{second}", twin=True)
    assert "same name" in refused_name(site, older)


def test_target_that_set_json_does_not_name_is_never_read(site, older):
    def slip_in(signed):
        signed.targets["../../x"] = TargetFile(1, hashes(b"x"), "../../x")

    older.change("targets", slip_in)
    medium = site.open(older.folder)
    assert [target.name for target in medium.targets()] == [
        "payload/CombinedSolutionBundle.12.2603.1002.15.zip"
    ]
    with pytest.raises(ToolkitError):
        medium.copy_target("../../x", io.BytesIO())


# --- clocks ----------------------------------------------------------------------------------------------


def test_clock_in_2015(site, older):
    medium = site.open(older.folder, now=datetime.fromisoformat("2015-06-01T00:00:00+00:00"))
    (warning,) = medium.warnings
    assert "clock is behind" in warning
    assert "2015-06-01" in warning
    assert not ACCUSATION.search(warning)


def test_clock_in_2040(site, older):
    site.open(older.folder)
    words = refused(
        site, older, ExpiredError, now=datetime.fromisoformat("2040-06-01T00:00:00+00:00")
    )
    assert "is the clock right?" in words
    assert "It says 2040-06-01" in words
    assert "signed is 2026-11-01" in words


def test_clock_a_day_after_the_end_is_not_doubted(site, older):
    words = refused(site, older, ExpiredError, now=NOW + days(181))
    assert "is the clock right?" not in words


def test_clock_in_2015_does_not_revive_what_expired_before_the_newest_issue(workshop, site, older):
    newest = workshop.write("newest", at=NOW + days(200))
    site.open(newest.folder, now=NOW + days(200))
    words = refused(
        site, older, ExpiredError, now=datetime.fromisoformat("2015-06-01T00:00:00+00:00")
    )
    assert "2027-05-20" in words


def test_clock_that_jumps_during_the_run(site, older, monkeypatch):
    """Expiry is judged once, by one reading of the clock."""
    readings = iter([NOW, *[NOW + days(5000)] * 99])

    class Jumping(datetime):
        @classmethod
        def now(cls, tz=None):
            return next(readings)

    for module in ("toolkit.media._open", "toolkit.media._verify"):
        monkeypatch.setattr(f"{module}.datetime", Jumping)
    medium = site.open(older.folder, now=None)
    assert medium.verify().problem() is None
    assert medium.warnings == ()


# --- half copies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "copied",
    [
        ["tuf/timestamp.json"],
        ["tuf/timestamp.json", "tuf/1.root.json", "tuf/*.snapshot.json"],
        ["tuf/*"],
        ["tuf/*", "data/plan/set.json"],
        ["tuf/*", "data/plan/set.json", "complete.json"],
    ],
    ids=["timestamp", "snapshot", "all of tuf", "no payload", "no payload but complete.json"],
)
def test_half_copied_newer_set_and_then_the_good_older_one(workshop, site, older, newer, copied):
    half = Set(workshop.base / "half", workshop)
    for pattern in copied:
        for path in newer.folder.glob(pattern):
            target = half.folder / path.relative_to(newer.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    words = refused(site, half, StorageError, code=6, now=LATER)
    assert "not complete" in words
    assert site.open(older.folder, now=LATER).warnings == ()
    assert site.open(newer.folder, now=LATER).warnings == ()


def test_litter_is_no_attack(site, older):
    for name in ("Thumbs.db", "tuf/.DS_Store", "data/payload/._x", "desktop.ini"):
        (older.folder / name).write_bytes(b"litter")
    report = site.open(older.folder).verify()
    assert report.problem() is None
    assert report.is_tidy()


# --- the trust state -----------------------------------------------------------------------------------


def test_trust_state_copied_to_a_file_system_without_links(site, older, monkeypatch):
    """As exFAT and FAT answer on Linux."""

    def refuse(source, target):
        raise PermissionError(1, "Operation not permitted", source, None, target)

    monkeypatch.setattr(os, "symlink", refuse)
    words = refused(site, older, StorageError, code=6)
    assert "cannot hold links" in words
    assert "TMPDIR" in words
