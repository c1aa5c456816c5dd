"""Signed documents: an edited value is noticed, a reflowed file is not, strangers are not believed."""

import errno
import json
import os
from pathlib import Path

import pytest

from toolkit.errors import InputError, SignatureError, StorageError
from toolkit.signed import KnownKeys, canonical, open_key, respelt, seal, unseal

BODY = {"cluster": "plänt7", "count": 4, "list": [True, None, "x"], "nested": {"b": 1, "a": 2}}


@pytest.fixture
def key(tmp_path):
    return open_key(tmp_path / "site.key.pem")


def test_what_is_sealed_is_read_back(key):
    sealed = unseal(seal("ferry-request", BODY, key), kind="ferry-request")
    assert sealed.body == {**BODY, "kind": "ferry-request"}
    assert sealed.fingerprint == key.fingerprint


def test_a_document_is_respelt_as_it_was_sealed(key):
    data = seal("ferry-request", BODY, key)
    other = json.dumps(json.loads(data)).encode()
    body = unseal(other, kind="ferry-request").body
    assert respelt(other, body) == respelt(data, body) == data != other


def test_the_same_key_is_opened_again_and_only_its_owner_may_read_it(tmp_path, key):
    assert open_key(tmp_path / "site.key.pem").public_hex == key.public_hex
    assert (tmp_path / "site.key.pem").stat().st_mode & 0o077 == 0


def test_a_key_that_could_not_be_written_to_its_end_leaves_no_half_key(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError):
            open_key(tmp_path / "site.key.pem")
    assert list(tmp_path.iterdir()) == []
    assert open_key(tmp_path / "site.key.pem").fingerprint


def test_a_key_is_made_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    made = open_key(tmp_path / "site.key.pem")
    assert open_key(tmp_path / "site.key.pem").public_hex == made.public_hex
    assert [path.name for path in tmp_path.iterdir()] == ["site.key.pem"]


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"-----BEGIN PRIVATE KEY-----\nxx"])
def test_a_broken_key_is_refused_with_the_way_out(tmp_path, content):
    (tmp_path / "site.key.pem").write_bytes(content)
    with pytest.raises(InputError, match="bytes that are no key") as caught:
        open_key(tmp_path / "site.key.pem")
    assert "backup" in caught.value.hint


def test_a_reflowed_document_is_still_good(key):
    data = json.dumps(json.loads(seal("ferry-request", BODY, key)), sort_keys=True).encode()
    assert unseal(b"\xef\xbb\xbf" + data, kind="ferry-request").body["count"] == 4


def test_every_edited_value_is_noticed(key):
    document = json.loads(seal("ferry-request", BODY, key))
    for name, value in (("cluster", "other"), ("count", 5), ("list", []), ("new", "x")):
        edited = {**document, "signed": {**document["signed"], name: value}}
        with pytest.raises(SignatureError, match="does not hold"):
            unseal(json.dumps(edited).encode(), kind="ferry-request")


def test_another_kind_is_refused_also_when_it_is_renamed(key):
    data = seal("ferry-catalog", BODY, key)
    with pytest.raises(InputError, match="ferry-catalog"):
        unseal(data, kind="ferry-request")
    with pytest.raises(SignatureError):
        unseal(data.replace(b"ferry-catalog", b"ferry-request"), kind="ferry-request")


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\xff", b'{"signed": 1, "signatures": []}', b'{"signed": {"kind": 1}}'],
)
def test_what_is_no_signed_document_is_refused_as_input(data):
    with pytest.raises(InputError) as caught:
        unseal(data, kind="ferry-request")
    assert "get it again from its maker" in caught.value.hint


def test_a_document_without_a_signature_is_refused_as_not_trusted(key):
    document = {**json.loads(seal("ferry-request", BODY, key)), "signatures": []}
    with pytest.raises(SignatureError):
        unseal(json.dumps(document).encode(), kind="ferry-request")


def test_numbers_that_mean_different_things_to_different_readers_cannot_be_signed(key):
    for value in (1.5, 1 << 53, b"x"):
        with pytest.raises(ValueError, match=r"signed|exact"):
            canonical({"x": value})
    with pytest.raises(InputError):
        unseal(b'{"signed": {"kind": "x", "n": 1.5}, "signatures": []}', kind="x")


def test_canonical_json_orders_keys_by_utf16_as_the_rfc_does():
    assert (
        canonical({"\ufb33": 1, "\U0001f600": 2, "a": 3})
        == '{"a":3,"\U0001f600":2,"\ufb33":1}'.encode()
    )


def test_a_key_is_believed_only_after_its_fingerprint_was_compared(tmp_path, key):
    keys = KnownKeys(tmp_path / "catalog" / "known-keys.json")
    sealed = unseal(seal("ferry-request", BODY, key), kind="ferry-request")
    with pytest.raises(SignatureError, match=sealed.fingerprint):
        keys.require(sealed, what="request", hint="make it known")
    with pytest.raises(SignatureError):
        keys.add("plant7", sealed, "0000 " * 16)
    keys.add("plant7", sealed, sealed.fingerprint.upper().replace(" ", "-"))
    assert keys.require(sealed, what="request", hint="").name == "plant7"
    assert keys.add("again", sealed, sealed.fingerprint).name == "plant7"


def test_a_key_is_believed_for_the_kind_of_document_it_was_learnt_from_alone(tmp_path, key):
    keys = KnownKeys(tmp_path / "known-keys.json")
    asked, offered = (
        unseal(seal(kind, BODY, key), kind=kind) for kind in ("ferry-request", "ferry-catalog")
    )
    keys.add("plant7", asked, key.fingerprint)
    with pytest.raises(SignatureError, match="for a ferry-catalog, only for a ferry-request"):
        keys.require(offered, what="catalog", hint="make it known")
    keys.add("plant7", offered, key.fingerprint)
    assert keys.require(offered, what="catalog", hint="").kind == "ferry-catalog"
    first, second = keys.keys()
    assert (first.kind, second.kind) == ("ferry-request", "ferry-catalog")


def test_a_known_key_without_a_kind_is_refused_and_not_believed_for_everything(tmp_path, key):
    path = tmp_path / "known-keys.json"
    sealed = unseal(seal("ferry-request", BODY, key), kind="ferry-request")
    KnownKeys(path).add("plant7", sealed, key.fingerprint)
    document = json.loads(path.read_bytes())
    del document["keys"][0]["kind"]
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="kind") as caught:
        KnownKeys(path).require(sealed, what="request", hint="")
    assert "make the keys known again" in caught.value.hint


def test_a_name_is_never_given_to_a_second_key(tmp_path, key):
    keys = KnownKeys(tmp_path / "known-keys.json")
    first = unseal(seal("x", {}, key), kind="x")
    second = unseal(seal("x", {}, open_key(tmp_path / "other.pem")), kind="x")
    keys.add("plant7", first, first.fingerprint)
    with pytest.raises(InputError, match="another key"):
        keys.add("PLANT7", second, second.fingerprint)


def test_where_a_key_is_known_by_a_name_no_other_speaks_for_it(tmp_path, key):
    keys = KnownKeys(tmp_path / "known-keys.json")
    theirs = unseal(seal("ferry-request", {}, key), kind="ferry-request")
    other = unseal(
        seal("ferry-request", {}, open_key(tmp_path / "other.pem")), kind="ferry-request"
    )
    keys.add("Plant7", theirs, theirs.fingerprint)
    keys.add("zz", other, other.fingerprint)
    with pytest.raises(SignatureError, match="signed by the key known as zz") as caught:
        keys.require(other, what="request of plant7", whose="plant7", hint="")
    assert caught.value.expected == "the key known as Plant7"
    assert "known-keys.json" in caught.value.hint
    assert keys.require(theirs, what="request of plant7", whose="plant7", hint="").name == "Plant7"
    assert keys.require(other, what="request of harbour2", whose="harbour2", hint="").name == "zz"


@pytest.mark.parametrize("name", ["", "  ", "plant7\nharbour2", "\x1b[2K"])
def test_a_key_is_never_known_under_a_name_that_nobody_can_read(tmp_path, key, name):
    sealed = unseal(seal("ferry-request", BODY, key), kind="ferry-request")
    keys = KnownKeys(tmp_path / "known-keys.json")
    with pytest.raises(InputError, match="name"):
        keys.add(name, sealed, sealed.fingerprint)
    assert keys.keys() == ()
