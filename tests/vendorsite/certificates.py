"""Certificate authorities of our own, and certificates in every state that a download may meet."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOOPBACK = ("localhost", "127.0.0.1")


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Write ca.pem, server.pem and server.key for 127.0.0.1 and localhost; return their paths."""
    authority = Authority("Ferry test authority")
    certificate, key = authority.issue(folder, "server")
    return authority.write(folder / "ca.pem"), certificate, key


class Authority:
    """Somebody who signs certificates."""

    def __init__(self, name: str) -> None:
        self.name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self.certificate = (
            _builder(self.name, self.name, self._key.public_key(), (-1, 30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(certificate_usage(signs_certificates=True), critical=True)
            .add_extension(self.id, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def write(self, path: Path) -> Path:
        """Write our own certificate, for those who trust us."""
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path

    def issue(
        self,
        folder: Path,
        file: str,
        *,
        subject: str = "localhost",
        hosts: Sequence[str] = LOOPBACK,
        days: tuple[float, float] = (-1, 30),
        is_self_signed: bool = False,
        passphrase: bytes | None = None,
    ) -> tuple[Path, Path]:
        """Write FILE.pem and FILE.key for a server or a client; return their paths.

        Args:
            folder: Where to; it is made if missing.
            file: Name of both files without their ending.
            subject: Common name.
            hosts: Names and addresses it is for.
            days: From when to when it is valid, in days from now.
            is_self_signed: Sign with its own key instead of ours.
            passphrase: Encrypts the key.
        """
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = _name(subject) if is_self_signed else self.name
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            _builder(_name(subject), issuer, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(certificate_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(x509.SubjectAlternativeName([*map(_host, hosts)]), critical=False)
        )
        if not is_self_signed:
            signer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self.id)
            builder = builder.add_extension(signer, critical=False)
        certificate = builder.sign(key if is_self_signed else self._key, hashes.SHA256())
        encryption: KeySerializationEncryption = NoEncryption()
        if passphrase is not None:
            encryption = BestAvailableEncryption(passphrase)
        certificate_file, key_file = folder / f"{file}.pem", folder / f"{file}.key"
        certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        return certificate_file, key_file


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    days: tuple[float, float],
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    begins, ends = (now + timedelta(days=item) for item in days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def certificate_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """Return the usage of an authority's certificate, or of one that signs data."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
