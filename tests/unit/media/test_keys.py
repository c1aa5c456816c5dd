import contextlib
import json
import os
import stat

import pytest
from click.testing import CliRunner

from tests.unit.media.making import NOW, PASSPHRASE, Publisher, SiteTrust, days
from toolkit.cli.trust import group as trust_commands
from toolkit.errors import InputError, SignatureError, StorageError, TrustError
from toolkit.media import (
    fingerprint,
    init_trust,
    open_keys,
    pin_root,
    read_fingerprint,
    read_root_chain,
)
from toolkit.media._keys import write_secret


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def fresh(tmp_path):
    return Publisher(tmp_path / "keys")


def test_keys_are_encrypted_at_rest(publisher):
    for role in ("root", "targets", "snapshot", "timestamp"):
        text = (publisher.folder / f"{role}.pem").read_text(encoding="ascii")
        assert "BEGIN ENCRYPTED PRIVATE KEY" in text


@pytest.mark.skipif(os.name != "posix", reason="Windows knows no owner bits")
def test_only_the_owner_may_read_the_keys(publisher):
    for item in publisher.folder.iterdir():
        assert stat.S_IMODE(item.stat().st_mode) == 0o600


def test_a_wrong_passphrase_is_an_input_error_without_the_library_s_words(publisher):
    with pytest.raises(InputError, match="passphrase does not open it") as caught:
        open_keys(publisher.folder, "wrong horse")
    assert "FERRY_KEY_PASSPHRASE" in caught.value.hint


def test_an_empty_passphrase_is_an_input_error(publisher):
    with pytest.raises(InputError, match="passphrase"):
        open_keys(publisher.folder, "")


def test_a_short_passphrase_makes_no_keys(tmp_path):
    with pytest.raises(InputError, match="7 characters"):
        init_trust(tmp_path / "keys", "1234567", expires_at=NOW + days(9), now=NOW)
    assert not (tmp_path / "keys").exists()


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "letter.txt").touch()
    with pytest.raises(StorageError, match=r"letter\.txt"):
        init_trust(tmp_path, PASSPHRASE, expires_at=NOW + days(9), now=NOW)
    assert [item.name for item in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("holders", [(), ("anna's own words", "ben's own words")])
@pytest.mark.parametrize("is_torn", [False, True])
@pytest.mark.parametrize("number", range(6))
def test_keys_whose_making_was_killed_are_made_anew(
    tmp_path, monkeypatch, number, is_torn, holders
):
    def init():
        return init_trust(
            tmp_path, PASSPHRASE, expires_at=NOW + days(9), root_passphrases=holders, now=NOW
        )

    written = []

    def killed(path, data):
        if len(written) == number:
            path.write_bytes(data[: len(data) // 2 if is_torn else None])
            raise Killed
        written.append(path)
        write_secret(path, data)

    with monkeypatch.context() as patched:
        patched.setattr("toolkit.media._keys.write_secret", killed)
        with contextlib.suppress(Killed):
            init()
    if not (tmp_path / "1.root.json").exists():
        init()
    made = 4 if not holders else 5
    assert len(list(tmp_path.glob("*.pem"))) == made
    assert len(list(tmp_path.iterdir())) == made + 1
    assert open_keys(tmp_path, PASSPHRASE).signers


def test_of_two_that_make_keys_in_one_folder_the_second_is_refused_and_removes_nothing(
    tmp_path, monkeypatch
):
    def init():
        return init_trust(tmp_path, PASSPHRASE, expires_at=NOW + days(9), now=NOW)

    def another_comes_between(_):
        with pytest.raises(StorageError, match="another ferry is making keys there"):
            init()
        refused.append(len(list(tmp_path.glob("*.pem"))))

    refused = []
    monkeypatch.setattr("toolkit.media._keys.sync_folder", another_comes_between)
    init()
    assert refused == [0, 4, 4]
    assert open_keys(tmp_path, PASSPHRASE).signers
    assert len(list(tmp_path.iterdir())) == 5


def test_keys_of_a_finished_root_stay_whatever_lies_beside_them(fresh):
    before = {item: item.read_bytes() for item in fresh.folder.iterdir()}
    stray = fresh.folder / "unfinished-root.json"
    stray.write_bytes(before[fresh.folder / "1.root.json"])
    with pytest.raises(StorageError, match="already holds"):
        init_trust(fresh.folder, PASSPHRASE, expires_at=NOW + days(9), now=NOW)
    stray.unlink()
    assert {item: item.read_bytes() for item in fresh.folder.iterdir()} == before


def as_folder(path, _):
    path.mkdir()
    (path / "letter.txt").touch()


def as_link(path, aim):
    path.symlink_to(aim)


def as_dangling_link(path, _):
    path.symlink_to("nowhere")


@pytest.mark.parametrize("place", [as_folder, as_link, as_dangling_link])
def test_what_is_no_unfinished_root_is_refused_with_what_to_do(tmp_path, fresh, place):
    def init():
        return init_trust(keys, PASSPHRASE, expires_at=NOW + days(9), now=NOW)

    keys = tmp_path / "new"
    keys.mkdir()
    path = keys / "unfinished-root.json"
    place(path, fresh.folder / "1.root.json")
    with pytest.raises(StorageError, match="already holds unfinished-root") as caught:
        init()
    assert "nothing else stands in the way: delete it" in caught.value.hint
    (keys / "targets.pem").touch()
    with pytest.raises(StorageError) as caught:
        init()
    assert "choose another folder" in caught.value.hint
    (keys / "targets.pem").unlink()
    path.rename(tmp_path / "away")
    init()
    assert open_keys(keys, PASSPHRASE).signers


def test_a_kill_before_the_root_gets_its_name_makes_it_anew(tmp_path, monkeypatch):
    def init():
        return init_trust(tmp_path, PASSPHRASE, expires_at=NOW + days(9), now=NOW)

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.rename", killed)
        with pytest.raises(Killed):
            init()
    assert init() == fingerprint((tmp_path / "1.root.json").read_bytes())
    assert open_keys(tmp_path, PASSPHRASE).signers


def test_a_key_that_a_killed_making_did_not_make_stays(tmp_path, monkeypatch):
    def killed(path, data):
        write_secret(path, data)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("toolkit.media._keys.write_secret", killed)
        with pytest.raises(Killed):
            init_trust(tmp_path, PASSPHRASE, expires_at=NOW + days(9), now=NOW)
    (tmp_path / "root-3f2a91c0.pem").write_bytes(b"another publisher's")
    with pytest.raises(StorageError, match=r"root-3f2a91c0\.pem"):
        init_trust(tmp_path, PASSPHRASE, expires_at=NOW + days(9), now=NOW)
    assert (tmp_path / "root-3f2a91c0.pem").read_bytes() == b"another publisher's"


def test_an_expiry_in_the_past_is_refused(tmp_path):
    with pytest.raises(InputError, match="later day"):
        init_trust(tmp_path / "keys", PASSPHRASE, expires_at=NOW, now=NOW)


def test_media_can_be_signed_while_the_root_key_is_locked_away(fresh):
    (fresh.folder / "root.pem").unlink()
    assert set(open_keys(fresh.folder, PASSPHRASE).signers) == {"targets", "snapshot", "timestamp"}


def test_a_key_of_another_root_is_refused(fresh, publisher):
    (fresh.folder / "targets.pem").write_bytes((publisher.folder / "targets.pem").read_bytes())
    with pytest.raises(InputError, match="does not name for this role"):
        open_keys(fresh.folder, PASSPHRASE)


def test_a_key_stored_without_encryption_is_refused(fresh):
    plain = fresh.keys.signers["targets"].private_bytes
    (fresh.folder / "targets.pem").write_bytes(plain)
    with pytest.raises(InputError, match="without encryption"):
        open_keys(fresh.folder, PASSPHRASE)


def test_a_missing_key_is_a_storage_error(fresh):
    (fresh.folder / "snapshot.pem").unlink()
    with pytest.raises(StorageError, match=r"snapshot\.pem"):
        open_keys(fresh.folder, PASSPHRASE)


def test_a_gap_in_the_root_chain_is_refused(fresh):
    (fresh.folder / "3.root.json").write_bytes(fresh.root)
    with pytest.raises(InputError, match=r"without a gap"):
        read_root_chain(fresh.folder)


def test_an_empty_folder_has_no_root(tmp_path):
    with pytest.raises(InputError, match="none"):
        read_root_chain(tmp_path)


def test_secrets_are_not_shown_by_repr(publisher):
    assert "signers" not in repr(publisher.keys)


# --- fingerprint and pinning --------------------------------------------------------------------


def test_a_fingerprint_reads_aloud_in_groups_of_four():
    groups = fingerprint(b"root").split(" ")
    assert [len(group) for group in groups] == [4] * 16


def test_a_typed_fingerprint_may_differ_in_spaces_and_case():
    printed = fingerprint(b"root")
    assert read_fingerprint(printed.upper().replace(" ", "")) == printed
    assert read_fingerprint(f"  {printed.replace(' ', '  ')}\n") == printed


@pytest.mark.parametrize("typed", ["", "3f2a", "g" * 64, "0" * 63])
def test_what_is_no_fingerprint_is_an_input_error(typed):
    with pytest.raises(InputError, match="64 hex digits"):
        read_fingerprint(typed)


def test_what_is_no_root_has_no_fingerprint_to_print(tmp_path):
    path = tmp_path / "passwd"
    path.write_text("root:x:0:0::/root:/bin/sh\n", encoding="utf-8")
    result = CliRunner().invoke(trust_commands, ["fingerprint", str(path)])
    assert isinstance(result.exception, InputError)
    assert str(path) in str(result.exception)
    assert result.stdout == ""


def test_a_root_with_another_fingerprint_is_not_pinned(tmp_path, publisher):
    with pytest.raises(TrustError, match="fingerprint"):
        pin_root(tmp_path / "trust", publisher.root, fingerprint(b"another"))
    assert not (tmp_path / "trust").exists()


def test_pinning_twice_is_harmless(site, publisher):
    before = site.memory()
    site.pin(publisher.root)
    assert site.memory() == before


def test_a_site_believes_one_root_only(site, other_publisher):
    with pytest.raises(TrustError, match="already trusts"):
        site.pin(other_publisher.root)


def test_a_root_whose_own_signature_fails_is_not_pinned(tmp_path, publisher):
    document = json.loads(publisher.root)
    document["signed"]["version"] = 7
    with pytest.raises(SignatureError):
        SiteTrust(tmp_path / "trust").pin(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff\xfe", b"[1, 2]"])
def test_what_is_no_root_is_an_input_error(tmp_path, data):
    with pytest.raises(InputError, match="root"):
        SiteTrust(tmp_path / "trust").pin(data)


def test_metadata_of_another_role_is_no_root(tmp_path, folder):
    timestamp = (folder / "tuf" / "timestamp.json").read_bytes()
    with pytest.raises(InputError, match="another role"):
        SiteTrust(tmp_path / "trust").pin(timestamp)
