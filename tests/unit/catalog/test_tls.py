"""What is wrong with a certificate, said from the certificate and the code of whoever refused it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
import truststore
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.vendorsite.certificates import Authority
from toolkit.catalog import _tls
from toolkit.catalog._tls import Trust, is_for, read_certificate, refused

NOW = datetime.now(UTC)
WINDOWS_UNTRUSTED, WINDOWS_EXPIRED, WINDOWS_OTHER_NAME = 0x800B0109, 0x800B0101, 0x800B010F


@pytest.fixture(scope="module")
def authority():
    return Authority("Contoso TLS Inspection")


@pytest.fixture
def certificate(authority, tmp_path):
    def make(**options):
        path, _ = authority.issue(tmp_path, "one", **options)
        return x509.load_pem_x509_certificate(path.read_bytes())

    return make


def error_of(code, words="the words of whoever refused"):
    error = ssl.SSLCertVerificationError(words)
    error.verify_code, error.verify_message = code, words
    return error


def said(certificate, code, *, host="localhost", now=NOW):
    data = certificate.public_bytes(Encoding.DER)
    return refused("fetch it", data, error_of(code), host=host, now=now)


@pytest.mark.parametrize("code", [2, 20, 21, WINDOWS_UNTRUSTED, 0x800B010A])
def test_an_unknown_authority_is_named_on_every_system(certificate, code):
    assert (
        "'Contoso TLS Inspection', an authority that nobody here" in said(certificate(), code).found
    )


@pytest.mark.parametrize("code", [62, 64, WINDOWS_OTHER_NAME])
def test_another_host_is_named_on_every_system(certificate, code):
    assert "another host" in said(certificate(), code, host="vendor.example").found


def test_another_host_is_noticed_where_the_code_says_nothing(certificate):
    assert "another host" in said(certificate(), -67843, host="vendor.example").found


def test_dates_come_first_because_a_wrong_clock_explains_everything(certificate):
    later = NOW + timedelta(days=90)
    assert "expired" in said(certificate(), 20, now=later).found
    earlier = NOW - timedelta(days=90)
    assert "not yet valid" in said(certificate(), 20, now=earlier).found


@pytest.mark.parametrize("code", [9, 10, WINDOWS_EXPIRED])
def test_an_expired_authority_is_told_from_an_expired_certificate(certificate, code):
    assert "whose own certificate is outside its time" in said(certificate(), code).found


def test_a_self_signed_certificate_is_told_from_an_unknown_authority(certificate):
    assert "has signed for itself" in said(certificate(is_self_signed=True), 18).found


def test_any_other_reason_keeps_the_words_of_whoever_refused(certificate):
    assert "the words of whoever refused" in said(certificate(), 66).found


@pytest.mark.parametrize("data", [None, b"", b"garbage"])
def test_without_a_readable_certificate_the_reason_remains(data):
    error = refused("fetch it", data, error_of(20), host="vendor.example", now=NOW)
    assert "the words of whoever refused" in error.found
    assert "vendor.example" in error.expected
    assert read_certificate(data) is None


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("a.example", True),
        ("A.Example.", True),
        ("x.b.example", True),
        ("x.y.b.example", False),
        ("b.example", False),
        ("10.0.0.1", True),
        ("10.0.0.2", False),
        ("::1", True),
    ],
)
def test_a_certificate_is_for_its_names_only(certificate, host, answer):
    made = certificate(hosts=["a.example", "*.b.example", "10.0.0.1", "::1"])
    assert is_for(made, host) is answer


def test_a_context_that_is_changed_by_its_handshake_is_for_one_connection_alone(monkeypatch):
    monkeypatch.setattr(
        _tls, "_system_context", lambda: truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    trust = Trust(environ={})
    assert trust.context(with_certificate=False) is not trust.context(with_certificate=False)


def test_a_context_that_holds_its_authorities_is_made_once(authority, tmp_path):
    trust = Trust(environ={"SSL_CERT_FILE": str(authority.write(tmp_path / "ca.pem"))})
    assert trust.context(with_certificate=False) is trust.context(with_certificate=False)
