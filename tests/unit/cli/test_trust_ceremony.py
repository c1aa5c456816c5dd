"""`ferry trust …`: the key ceremony as people type it."""

import io
import json

import pytest

from toolkit.cli import execute
from toolkit.media import open_keys, read_root_chain

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(autouse=True)
def no_flush(monkeypatch):
    """Do not wait for this machine's disk: no test here pulls its plug."""
    monkeypatch.setattr("os.fsync", lambda handle: None)


@pytest.fixture
def ferry(tmp_path, monkeypatch, capsys):
    """Run `ferry trust` in an empty folder; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("FERRY_KEY_PASSPHRASE", PASSPHRASE)
    monkeypatch.chdir(tmp_path)

    def ferry(*words):
        code = execute(["trust", *words])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return ferry


@pytest.fixture
def keys(ferry, tmp_path):
    assert ferry("init", "--keys", "keys")[0] == 0
    return tmp_path / "keys"


def test_a_key_is_rotated_in_two_commands(ferry, keys):
    code, out, err = ferry("rotate-key", "timestamp", "--keys", "keys")
    assert code == 0
    assert "timestamp: key" in out
    assert "still to sign for root 1 and root 2: 1 of" in out
    assert "key made: keys" in err
    code, out, err = ferry("sign", "keys/2.root.draft.json", "--key", "keys/root.pem")
    assert (code, out.split(": ")[0]) == (0, "root 2 is in force")
    assert "goes" in err
    assert open_keys(keys, PASSPHRASE).signers["timestamp"]


def test_signing_again_what_is_in_force_changes_nothing(ferry, keys, monkeypatch):
    ferry("renew", "--keys", "keys")
    signing = ("sign", "keys/2.root.draft.json", "--key", "keys/root.pem")
    code, out, _ = ferry(*signing)
    assert (code, out.split(": ")[0]) == (0, "root 2 is in force")
    before = {item.name: item.read_bytes() for item in keys.iterdir()}
    monkeypatch.delenv("FERRY_KEY_PASSPHRASE")  # nobody is asked for it
    assert ferry(*signing)[:2] == (code, out)
    assert {item.name: item.read_bytes() for item in keys.iterdir()} == before


def test_a_second_rotation_names_the_key_file_that_nobody_needs(ferry, keys):
    assert "delete that file" not in ferry("rotate-key", "timestamp", "--keys", "keys")[2]
    (made,) = keys.glob("timestamp-*.pem")
    _, _, err = ferry("rotate-key", "timestamp", "--keys", "keys")
    assert f"neither a root nor this draft names the key keys/{made.name}," in err
    assert "delete that file, unless another draft names it" in err


def test_a_key_goes_by_its_id_alone(ferry, keys):
    code, _, err = ferry("remove-key", "root", "", "--keys", "keys")
    assert (code, "choose the root key that goes: 0 of them" in err) == (7, True)
    assert "give the id" in err


def test_a_secret_that_nobody_can_type_is_asked_for_by_its_name(ferry, keys, monkeypatch):
    monkeypatch.delenv("FERRY_TOKEN_PIN", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    words = ("add-key", "root", "--token", "hsm:2?label=anna", "--keys", "keys")
    code, _, err = ferry(*words)
    assert (code, "ask for 'PIN of the token'" in err) == (7, True)


def test_two_people_sign_copies_that_are_joined_at_home(ferry, keys, tmp_path):
    _, fingerprint, _ = ferry("fingerprint", "--keys", "keys")
    assert ferry("renew", "--keys", "keys", "--draft", "2.json")[0] == 0
    adding = ("add-key", "root", "--threshold", "2", "--keys", "anna", "--draft", "2.json")
    code, _, err = ferry(*adding)
    assert (code, "--fingerprint" in err) == (3, True)
    assert ferry(*adding, "--fingerprint", fingerprint)[0] == 0
    (tmp_path / "copy.json").write_bytes((tmp_path / "2.json").read_bytes())
    (anna,) = (tmp_path / "anna").glob("*.pem")
    code, out, _ = ferry("sign", "copy.json", "--key", str(anna))
    assert (code, "still to sign" in out) == (1, True)
    code, out, _ = ferry("sign", "2.json", "--keys", "keys")
    assert code == 1
    code, out, _ = ferry("sign", "2.json", "copy.json", "--key", "keys/root.pem")
    assert (code, "root 2 is in force" in out) == (0, True)
    assert len(read_root_chain(keys)) == 2


def test_more_signatures_than_keys_are_a_usage_error(ferry, tmp_path):
    code, _, err = ferry("init", "--keys", "two", "--root-keys", "2", "--root-threshold", "3")
    assert code == 2
    assert "3 signatures of 2 root keys (expected: at most 2)" in " ".join(err.split())
    assert "--root-threshold" in err
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize(
    ("words", "keys_of_root"),
    [
        (("add-key", "root"), 2),
        (("renew",), 1),
        (("rotate-key", "root"), 1),
        (("remove-key", "root", "x"), 0),
    ],
)
def test_more_signatures_than_keys_of_the_next_root_are_a_usage_error(
    ferry, keys, words, keys_of_root
):
    before = sorted(item.name for item in keys.iterdir())
    code, _, err = ferry(*words, "--threshold", "3", "--keys", "keys")
    said = f"3 signatures of root asked for, and {keys_of_root} keys (expected: at least"
    assert (code, said in " ".join(err.split())) == (2, True)
    assert sorted(item.name for item in keys.iterdir()) == before


def test_a_change_says_that_signatures_are_gone(ferry, keys, tmp_path):
    init = ("--root-keys", "2", "--root-threshold", "2")
    assert ferry("init", "--keys", "two", *init)[0] == 0
    code, _, err = ferry("renew", "--keys", "two", "--days", "9")
    assert (code, "draft begun: two" in err) == (0, True)
    key = str(next((tmp_path / "two").glob("root-*.pem")))
    assert ferry("sign", "two/2.root.draft.json", "--key", key)[0] == 1
    code, _, err = ferry("renew", "--keys", "two", "--days", "10")
    assert (code, "signatures given so far are gone" in err) == (0, True)
    assert "draft changed: two" in err


def test_show_tells_a_root_and_a_draft(ferry, keys):
    code, out, _ = ferry("show", "--keys", "keys")
    assert code == 0
    assert out.count("1 of 1") == 4
    ferry("renew", "--keys", "keys", "--days", "100")
    code, out, _ = ferry("show", "keys/2.root.draft.json")
    assert (code, "draft of root 2" in out, "still to sign" in out) == (0, True, True)


def test_show_has_json(ferry, keys):
    ferry("renew", "--keys", "keys")
    for words, kind in (
        (("--keys", "keys"), "trusted-root"),
        (("keys/2.root.draft.json",), "root-draft"),
    ):
        code, out, _ = ferry("show", *words, "--json")
        assert (code, json.loads(out)["kind"]) == (0, kind)


@pytest.mark.parametrize("words", [(), ("keys/1.root.json", "--keys", "keys")])
def test_show_takes_a_draft_or_a_folder(ferry, keys, words):
    assert ferry("show", *words)[0] == 2


def test_signing_needs_a_key_or_a_folder(ferry, keys):
    ferry("renew", "--keys", "keys")
    code, _, err = ferry("sign", "keys/2.root.draft.json")
    assert (code, "--key FILE" in err) == (2, True)


def test_remove_key_names_the_keys_it_could_mean(ferry, keys):
    code, _, err = ferry("remove-key", "root", "ffff0000", "--keys", "keys")
    assert (code, "0 of them begin with ffff0000" in err) == (7, True)


def test_no_passphrase_makes_no_draft(ferry, keys, monkeypatch):
    monkeypatch.delenv("FERRY_KEY_PASSPHRASE")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert ferry("rotate-key", "targets", "--keys", "keys")[0] == 7
    assert not (keys / "2.root.draft.json").exists()
