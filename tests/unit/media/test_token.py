"""Root keys on hardware tokens, against SoftHSM: the real PKCS#11 calls, without the hardware."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from securesystemslib.signer import HSMSigner

from tests.unit.media.making import NOW, PASSPHRASE, Publisher, SiteTrust, days, make_payload
from toolkit.cli import execute
from toolkit.errors import InputError
from toolkit.media import Ceremony, RootChange, Token, describe_root, open_keys
from toolkit.media._keys import init_trust

PROGRAM = shutil.which("softhsm2-util")
LIBRARY = Path("/usr/lib/softhsm/libsofthsm2.so")  # where Debian and Ubuntu put it
ADDRESS = "hsm:2?label=anna"
PIN = "123456"

needs_token = pytest.mark.skipif(
    not PROGRAM or not LIBRARY.exists(), reason="SoftHSM is not installed"
)


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """A token labelled `anna` that holds an EC key with the id 2, and nothing under 3."""
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder / 'tokens'}\n", encoding="utf-8")
    key = ec.generate_private_key(ec.SECP256R1())
    pem = folder / "key.pem"
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(settings))
        patch.setenv("PYKCS11LIB", str(LIBRARY))
        for words in (
            ("--init-token", "--free", "--label", "anna", "--so-pin", "1234", "--pin", PIN),
            ("--import", pem, "--token", "anna", "--label", "k", "--id", "02", "--pin", PIN),
        ):
            subprocess.run([PROGRAM, *words], check=True, capture_output=True)
        yield Token(address=ADDRESS, pin=PIN)


@pytest.fixture
def home(tmp_path):
    keys = tmp_path / "keys"
    init_trust(keys, PASSPHRASE, expires_at=NOW + days(700), now=NOW)
    return keys


@needs_token
def test_a_site_follows_a_root_signed_by_a_token(token, tmp_path, root):
    publisher = Publisher(tmp_path / "keys")
    site = SiteTrust(tmp_path / "trust").pin(publisher.root)
    ceremony = Ceremony(publisher.folder, now=NOW)
    change = RootChange(role="root", adds_key=True, removes="")
    assert ceremony.revise(change, token=token) is None
    ceremony.sign(token)
    ceremony.sign(publisher.folder / "root.pem", PASSPHRASE)
    assert ceremony.finish()
    ceremony = Ceremony(publisher.folder, now=NOW)
    ceremony.revise(RootChange(role="timestamp", adds_key=True, removes=""), PASSPHRASE)
    ceremony.sign(token)
    assert ceremony.finish()
    publisher.keys = open_keys(publisher.folder, PASSPHRASE)
    medium = publisher.write(root, make_payload(tmp_path / "catalog"))
    assert site.open(medium.folder).missing() == ()


@needs_token
def test_the_public_key_is_asked_for_once(token, home, monkeypatch):
    asked = []
    honest = HSMSigner.import_
    monkeypatch.setattr(HSMSigner, "import_", lambda *words: asked.append(words) or honest(*words))
    fresh = Token(address=token.address, pin=token.pin)
    ceremony = Ceremony(home, now=NOW)
    ceremony.revise(RootChange(role="root", adds_key=True), token=fresh)
    ceremony.sign(fresh)
    assert len(asked) == 1


@needs_token
def test_a_token_signs_once(token, home):
    ceremony = Ceremony(home, now=NOW)
    ceremony.revise(RootChange(role="root", adds_key=True, threshold=2), token=token)
    ceremony.sign(token)
    before = ceremony.draft_file.read_bytes()
    ceremony.sign(token)
    assert ceremony.draft_file.read_bytes() == before


@needs_token
@pytest.mark.parametrize(
    ("address", "pin", "sentence", "hint"),
    [
        (ADDRESS, "654321", "the token says PinIncorrect", "FERRY_TOKEN_PIN"),
        ("hsm:3?label=anna", PIN, "could not find ECDSA key", "PYKCS11LIB"),
        ("hsm:2?label=ben", PIN, "No PKCS#11 token found for label ben", "PYKCS11LIB"),
    ],
)
def test_what_a_token_says_is_an_input_error(token, home, address, pin, sentence, hint):
    ceremony = Ceremony(home, now=NOW)
    ceremony.revise(RootChange(role="root", adds_key=True), token=token)
    with pytest.raises(InputError, match=sentence) as caught:
        ceremony.sign(Token(address=address, pin=pin))
    assert hint in caught.value.hint
    assert pin not in str(caught.value)


@needs_token
def test_signing_with_a_token_is_one_command(token, home, monkeypatch, capsys):
    monkeypatch.setenv("FERRY_TOKEN_PIN", PIN)
    monkeypatch.delenv("FERRY_KEY_PASSPHRASE", raising=False)
    keys = ("--keys", str(home))
    draft = str(home / "2.root.draft.json")
    assert execute(["trust", "add-key", "root", "--token", ADDRESS, *keys]) == 0
    assert execute(["trust", "sign", draft, "--token", ADDRESS, *keys]) == 1
    assert "still to sign for root 1" in capsys.readouterr().out
    monkeypatch.setenv("FERRY_KEY_PASSPHRASE", PASSPHRASE)
    assert execute(["trust", "sign", draft, "--key", str(home / "root.pem")]) == 0
    assert len(describe_root(home).roles[0].keyids) == 2


def test_a_token_signs_no_media(home):
    change = RootChange(role="targets", adds_key=True)
    with pytest.raises(InputError, match="role that signs media") as caught:
        Ceremony(home, now=NOW).revise(change, token=Token(address=ADDRESS, pin=PIN))
    assert "leave out --token" in caught.value.hint


@pytest.mark.parametrize("address", ["", "hsm:2", "hsm:?label=anna", "file:2?label=anna", "anna"])
def test_an_address_that_names_no_key_is_an_input_error(address):
    with pytest.raises(InputError, match="find the token"):
        _ = Token(address=address, pin=PIN).public_key


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(
        "securesystemslib.signer._hsm_signer.PKCS11_IMPORT_ERROR", "'python-pkcs11' required"
    )
    with pytest.raises(InputError, match="no python-pkcs11") as caught:
        _ = Token(address=ADDRESS, pin=PIN).public_key
    assert "azlocal-ferry[hsm]" in caught.value.hint


def test_without_the_vendor_s_library_the_error_names_the_variable(monkeypatch):
    monkeypatch.setenv("PYKCS11LIB", os.devnull)
    with pytest.raises(InputError) as caught:
        _ = Token(address=ADDRESS, pin=PIN).public_key
    assert "PYKCS11LIB" in caught.value.hint


def test_a_pin_is_not_shown_by_repr():
    assert PIN not in repr(Token(address=ADDRESS, pin=PIN))
