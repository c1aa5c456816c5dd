"""Certificates as a download meets them: whom we believe, what we show, and how a refusal is named."""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.contract.fetch_client import DATA, NAME
from tests.vendorsite.certificates import Authority
from tests.vendorsite.server import VendorServer
from toolkit.catalog import HttpsFetcher
from toolkit.catalog._fetch import InterruptedDownload
from toolkit.catalog._lines import Line
from toolkit.errors import AuthenticationError, DownloadError, InputError

pytestmark = pytest.mark.network

PASSPHRASE = "öffne dich"


@pytest.fixture
def authority(tmp_path):
    """Return an authority that no server here uses yet, with its file."""
    made = Authority("Contoso TLS Inspection")
    made.file = made.write(tmp_path / "contoso.pem")
    return made


def final(error):
    """Say whether trying again is of no use."""
    return isinstance(error, DownloadError) and not isinstance(error, InterruptedDownload)


# --- refused certificates -------------------------------------------------------------------------


def test_an_intercepting_proxy_is_named_with_the_way_to_trust_it(
    client, server, authority, tmp_path
):
    server.show(*authority.issue(tmp_path, "intercepted"))
    error = client().refused()
    assert final(error)
    assert "'Contoso TLS Inspection'" in error.found
    assert "nobody here trusts" in error.found
    assert "--ca FILE" in error.hint
    assert server.requests == []


def test_an_expired_certificate_is_named_with_its_day(client, server, authority, tmp_path):
    server.show(*authority.issue(tmp_path, "old", days=(-30, -2)))
    error = client(ca_file=authority.file).refused()
    assert final(error)
    assert "expired on 20" in error.found
    assert "by this machine's clock" in error.expected


def test_a_certificate_of_the_future_points_to_the_clock(client, server, authority, tmp_path):
    server.show(*authority.issue(tmp_path, "new", days=(2, 30)))
    error = client(ca_file=authority.file).refused()
    assert final(error)
    assert "not yet valid" in error.found
    assert "clock" in error.hint


def test_a_certificate_for_another_host_names_both(client, server, authority, tmp_path):
    server.show(*authority.issue(tmp_path, "x", subject="login.example", hosts=["login.example"]))
    error = client(ca_file=authority.file).refused()
    assert final(error)
    assert "'login.example'" in error.found
    assert "another host" in error.found
    assert error.expected == "a certificate for 127.0.0.1"


def test_a_self_signed_certificate_is_called_so(client, server, authority, tmp_path):
    server.show(*authority.issue(tmp_path, "self", is_self_signed=True))
    error = client().refused()
    assert final(error)
    assert "'localhost' has signed for itself" in error.found


def test_no_certificate_of_ours_is_shown_to_a_server_we_do_not_trust(
    client, server, authority, tmp_path
):
    mine, key = authority.issue(tmp_path, "mine", subject="ferry-7")
    server.show(*authority.issue(tmp_path, "intercepted"), clients=authority.file)
    client(client_cert=mine, client_key=key).refused()
    assert server.client_names == []


# --- whom we believe ------------------------------------------------------------------------------


def test_the_operating_systems_store_is_used_without_options(server):
    with contextlib.closing(HttpsFetcher()) as fetcher, pytest.raises(DownloadError) as caught:
        fetcher.open(f"{server.url}/{NAME}", offset=0, validator="")
    assert "'Ferry test authority'" in caught.value.found


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environment_may_name_the_authorities(server, monkeypatch, name):
    monkeypatch.setenv(name, str(server.ca_file))
    with contextlib.closing(HttpsFetcher()) as fetcher:
        fetcher.open(f"{server.url}/{NAME}", offset=0, validator="").close()


def test_an_authority_of_ca_is_trusted_beside_the_others_and_said(
    client, server, authority, tmp_path, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
    asking = client(ca_file=authority.file)
    assert asking.get() == DATA
    assert asking.said == []
    server.hang_up()
    server.show(*authority.issue(tmp_path, "intercepted"))
    assert asking.get() == asking.get(offset=0) == DATA
    (said,) = asking.said
    assert "'Contoso TLS Inspection', an authority of --ca" in said


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_bundle_without_a_certificate_is_refused_with_its_variable(tmp_path, monkeypatch, name):
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    monkeypatch.setenv(name, str(empty))
    with pytest.raises(InputError, match="no certificate") as caught:
        HttpsFetcher()
    assert name in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"not PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_an_authority_file_without_a_certificate_is_refused(tmp_path, content):
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"ca\.pem"):
        HttpsFetcher(path)


# --- what we show ---------------------------------------------------------------------------------


@pytest.fixture
def picky(server, authority):
    """Return the server, which wants a client certificate now."""
    server.show(clients=authority.file)
    return server


def test_a_client_certificate_opens_the_door(client, picky, authority, tmp_path):
    mine, key = authority.issue(tmp_path, "mine", subject="ferry-7")
    assert client(client_cert=mine, client_key=key).get() == DATA
    assert picky.client_names == ["ferry-7"]


def test_certificate_and_key_may_share_a_file(client, picky, authority, tmp_path):
    mine, key = authority.issue(tmp_path, "mine")
    mine.write_bytes(mine.read_bytes() + key.read_bytes())
    assert client(client_cert=mine).get() == DATA


def test_an_encrypted_key_asks_for_its_passphrase_once(client, picky, authority, tmp_path):
    asked = []

    def ask():
        asked.append(1)
        return PASSPHRASE

    mine, key = authority.issue(tmp_path, "mine", passphrase=PASSPHRASE.encode())
    asking = client(client_cert=mine, client_key=key, ask_key_passphrase=ask)
    assert asking.get() == DATA
    picky.hang_up()
    assert asking.get() == DATA
    assert len(asked) == 1


def test_a_wrong_passphrase_is_an_input_error_that_does_not_repeat_it(authority, tmp_path):
    mine, key = authority.issue(tmp_path, "mine", passphrase=PASSPHRASE.encode())
    with pytest.raises(InputError, match="wrong passphrase") as caught:
        HttpsFetcher(client_cert=mine, client_key=key, ask_key_passphrase=lambda: "s3cret")
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"


def test_a_key_of_another_certificate_is_an_input_error(authority, tmp_path):
    mine, _ = authority.issue(tmp_path, "mine")
    _, other = authority.issue(tmp_path, "other")
    with pytest.raises(InputError, match="client certificate"):
        HttpsFetcher(client_cert=mine, client_key=other)


def test_a_certificate_without_its_key_is_an_input_error_that_knows_pfx(authority, tmp_path):
    mine, _ = authority.issue(tmp_path, "mine")
    with pytest.raises(InputError, match="client certificate") as caught:
        HttpsFetcher(client_cert=mine)
    assert "--client-key" in caught.value.hint
    assert "pfx" in caught.value.hint


def test_a_missing_client_certificate_is_told_by_the_server_and_final(client, picky):
    error = client().refused(AuthenticationError)
    assert "wants a client certificate" in error.found
    assert "--client-cert" in error.hint


def test_a_missing_client_certificate_is_told_also_when_the_server_hangs_up_before_we_ask(
    client, picky, monkeypatch
):
    ask = Line.ask

    def ask_late(line, request):
        time.sleep(0.1)
        return ask(line, request)

    monkeypatch.setattr(Line, "ask", ask_late)
    assert "wants a client certificate" in client().refused(AuthenticationError).found


def test_a_client_certificate_is_never_shown_after_a_redirect_to_another_server(
    client, picky, authority, tmp_path
):
    mine, key = authority.issue(tmp_path, "mine", subject="ferry-7")
    with VendorServer(tmp_path / "www", tls_dir=tmp_path / "tls2") as other:
        both = tmp_path / "both.pem"
        both.write_bytes(picky.ca_file.read_bytes() + other.ca_file.read_bytes())
        other.show(clients=authority.file)
        picky.faults.redirect_to = f"{other.url}/{NAME}"
        asking = client(ca_file=both, client_cert=mine, client_key=key)
        error = asking.refused(AuthenticationError)
        assert "wants a client certificate" in error.found
        assert other.client_names == []
    assert picky.client_names == ["ferry-7"]
