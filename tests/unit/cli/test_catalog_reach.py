"""The options that say how a web server is reached, up to the fetcher they make."""

from __future__ import annotations

import pytest

from tests.vendorsite.certificates import Authority
from toolkit.cli import execute


@pytest.fixture
def download(tmp_path, capsys, monkeypatch):
    """Return a call of `ferry catalog download` that stops before it reaches anything."""
    for name in ("FERRY_PROXY_PASSWORD", "FERRY_CLIENT_KEY_PASSPHRASE", "FERRY_PROXY_USER"):
        monkeypatch.delenv(name, raising=False)

    def call(*words, debug=False):
        flags = ["--debug"] if debug else []
        code = execute(
            [*flags, "catalog", "download", "1.2.3", "--catalog", str(tmp_path / "c"), *words]
        )
        return code, capsys.readouterr().err

    return call


@pytest.fixture
def client(tmp_path):
    return Authority("A").issue(tmp_path, "client", passphrase=b"open sesame")


def test_a_key_without_its_certificate_is_a_usage_error(download, client):
    code, err = download("--client-key", str(client[1]))
    assert code == 2
    assert "--client-key needs --client-cert" in err


def test_the_passphrase_of_a_client_key_comes_from_the_environment(download, client, monkeypatch):
    monkeypatch.setenv("FERRY_CLIENT_KEY_PASSPHRASE", "open sesame")
    code, err = download("--client-cert", str(client[0]), "--client-key", str(client[1]))
    assert code == 7
    assert "1.2.3" in err  # past the options: the version is what is wrong


def test_without_a_passphrase_and_a_terminal_the_way_to_give_one_is_named(download, client):
    code, err = download("--client-cert", str(client[0]), "--client-key", str(client[1]))
    assert code == 7
    assert "FERRY_CLIENT_KEY_PASSPHRASE" in err


def test_a_wrong_passphrase_is_told_and_not_repeated(download, client, monkeypatch):
    monkeypatch.setenv("FERRY_CLIENT_KEY_PASSPHRASE", "s3cret")
    words = ["--client-cert", str(client[0]), "--client-key", str(client[1])]
    code, err = download(*words, debug=True)
    assert code == 7
    assert "wrong passphrase" in err
    assert "s3cret" not in err


def test_a_password_in_the_proxy_option_is_refused_and_not_repeated(download):
    code, err = download("--proxy", "http://bob:s3cret@proxy:3128", debug=True)
    assert code == 7
    assert "FERRY_PROXY_PASSWORD" in err
    assert "s3cret" not in err
