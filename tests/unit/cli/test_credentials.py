"""Where the credential comes from: environment, keyring, prompt, in this order; nowhere else."""

import io

import keyring
import keyring.backend
import keyring.errors
import pytest

from toolkit.cli import _reach
from toolkit.cli._output import read_passphrase
from toolkit.errors import InputError


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self, kept):
        super().__init__()
        self.kept = kept

    def get_password(self, service, username):
        if self.kept is None:
            raise keyring.errors.NoKeyringError
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        raise AssertionError("ferry never writes a password")

    def delete_password(self, service, username):
        raise AssertionError("ferry never deletes a password")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def ring(monkeypatch):
    monkeypatch.delenv("FERRY_PASSWORD", raising=False)
    before = keyring.get_keyring()
    yield lambda kept: keyring.set_keyring(Ring(kept))
    keyring.set_keyring(before)


@pytest.fixture
def asked(monkeypatch):
    """Answer prompts at a terminal; return what was asked."""
    questions = []

    def prompt(text, **options):
        questions.append((text, options.get("hide_input", False)))
        return "typed"

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(_reach.click, "prompt", prompt)
    return questions


def test_environment_comes_first(ring, monkeypatch):
    ring({("ferry:plant7", "lcm"): "kept"})
    monkeypatch.setenv("FERRY_PASSWORD", "given")
    assert _reach.credential("plant7", "lcm").password == "given"


def test_keyring_comes_next(ring):
    ring({("ferry:plant7", "lcm"): "kept"})
    assert _reach.credential("plant7", "lcm").password == "kept"


def test_prompt_comes_last_and_does_not_echo(ring, asked):
    ring({})
    assert _reach.credential("plant7", "lcm").password == "typed"
    assert [hidden for _, hidden in asked] == [True]


def test_machine_without_a_keyring_asks(ring, asked):
    ring(None)
    assert _reach.credential("plant7", "lcm").password == "typed"


def test_user_is_asked_for_too(ring, asked):
    ring({})
    assert _reach.credential("plant7", None).username == "typed"
    assert [hidden for _, hidden in asked] == [False, True]


@pytest.mark.parametrize(
    ("user", "missing", "how"),
    [(None, "user name", "--user"), ("lcm", "password", "`keyring set ferry:plant7 lcm`")],
)
def test_nobody_to_ask_is_an_input_error(ring, monkeypatch, user, missing, how):
    ring({})
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(InputError, match=missing) as refused:
        _reach.credential("plant7", user)
    assert how in refused.value.hint
    assert "terminal" in refused.value.hint


@pytest.mark.parametrize("source", ["FERRY_PASSWORD", "keyring", "the password", "user name"])
def test_bytes_that_are_no_utf8_are_never_sent(ring, asked, monkeypatch, source):
    """A node would count them as a wrong password."""
    bad, user = "p\udce4ssword", "lcm"
    ring({("ferry:plant7", "lcm"): bad} if source == "keyring" else {})
    if source == "FERRY_PASSWORD":
        monkeypatch.setenv(source, bad)
    if source == "user name":
        user = bad
    monkeypatch.setattr(_reach.click, "prompt", lambda *_, **__: bad)
    with pytest.raises(InputError, match=f"read .*{source}.*no UTF-8") as refused:
        _reach.credential("plant7", user)
    assert "ssword" not in str(refused.value).replace("password", "")


def test_passphrase_that_is_no_utf8_is_refused_by_its_variable(monkeypatch):
    monkeypatch.setenv("FERRY_KEY_PASSPHRASE", "s\udce4cret")
    with pytest.raises(
        InputError, match="FERRY_KEY_PASSPHRASE: bytes that are no UTF-8"
    ) as refused:
        read_passphrase("FERRY_KEY_PASSPHRASE", "Passphrase")
    assert "cret" not in str(refused.value)


def test_credential_shows_neither_name_nor_password():
    text = repr(_reach.Credential(username="lcm", password="secret"))
    assert "lcm" not in text
    assert "secret" not in text
