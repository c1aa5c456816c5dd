from __future__ import annotations

import ssl

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.vendorsite.signing import make_signer
from toolkit.catalog._authorities import authorities_of, system_authorities
from toolkit.errors import InputError, StorageError

CODE, SERVER = "1.3.6.1.5.5.7.3.3", "1.3.6.1.5.5.7.3.1"


def der(name: str):
    signer = make_signer(name, is_authority=True)
    return signer.certificate, signer.certificate.public_bytes(Encoding.DER)


def test_authorities_of_a_file_are_all_read(tmp_path):
    first, second = make_signer("A", is_authority=True), make_signer("B", is_authority=True)
    path = tmp_path / "ca.pem"
    path.write_bytes(
        b"".join(one.certificate.public_bytes(Encoding.PEM) for one in (first, second))
    )
    assert authorities_of(path).roots == (first.certificate, second.certificate)


def test_file_without_a_certificate_is_refused_by_name(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing", encoding="utf-8")
    with pytest.raises(InputError, match=r"ca\.pem"):
        authorities_of(tmp_path / "ca.pem")
    with pytest.raises(StorageError):
        authorities_of(tmp_path / "none.pem")


def test_windows_says_which_authorities_count_for_code(monkeypatch):
    any_purpose, data_any = der("Any")
    for_code, data_code = der("Code")
    _, data_server = der("Server")
    between, data_between = der("Between")
    stores = {
        "ROOT": [
            (data_any, "x509_asn", True),
            (data_code, "x509_asn", {CODE}),
            (data_server, "x509_asn", {SERVER}),
            (data_server, "x509_asn", False),
            (b"\x30\x03odd", "x509_asn", True),
            (b"pkcs7", "pkcs_7_asn", True),
        ],
        "CA": [(data_between, "x509_asn", True)],
    }
    monkeypatch.setattr(ssl, "enum_certificates", stores.__getitem__, raising=False)
    known = system_authorities()
    assert known.roots == (any_purpose, for_code)
    assert known.intermediates == (between,)


def test_other_systems_may_have_a_folder_instead(monkeypatch, tmp_path):
    signer = make_signer("Listed", is_authority=True)
    folder = tmp_path / "certs"
    folder.mkdir()
    signer.write(folder / "0a1b2c3d.0")
    (folder / "0a1b2c3d.1").write_bytes(b"nothing")
    (folder / "0a1b2c3e.0").symlink_to(folder / "gone.pem")
    signer.write(folder / "unhashed.pem")
    monkeypatch.delattr(ssl, "enum_certificates", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    assert system_authorities().roots == (signer.certificate,)


def test_other_systems_have_one_list(monkeypatch, tmp_path):
    signer = make_signer("Listed", is_authority=True)
    monkeypatch.delattr(ssl, "enum_certificates", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(signer.write(tmp_path / "ca.pem")))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert system_authorities().roots == (signer.certificate,)
