"""A code-signing authority of our own, signers under it, and XML signatures made with them.

How vendors sign their SBE files is not public; an enveloped signature over the whole document with the
certificates beside it is what .NET's `SignedXml` makes, and our reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from lxml import etree
from signxml import CanonicalizationMethod, SignatureMethod, XMLSigner

from tests.vendorsite.certificates import certificate_usage

CODE = (ExtendedKeyUsageOID.CODE_SIGNING,)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Signer:
    """Somebody with a key and a certificate, and those who vouch for them."""

    key: Any
    certificate: x509.Certificate
    issuers: tuple[x509.Certificate, ...] = ()
    """From the next one up to below the root."""

    def write(self, path: Path) -> Path:
        """Write the certificate as PEM, for `--ca`."""
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path


def make_signer(
    organisation: str,
    issuer: Signer | None = None,
    *,
    purposes: Sequence[ObjectIdentifier] = CODE,
    is_authority: bool = False,
    path_length: int | None = None,
    starts: timedelta = -DAY,
    ends: timedelta = 30 * DAY,
    key: Any = None,
) -> Signer:
    """Make a key and its certificate, issued by `issuer` or by itself; times count from now."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organisation} signing"),
        ]
    )
    now, over = datetime.now(UTC), issuer.certificate if issuer else None
    public = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(over.subject if over else name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + starts)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=path_length), True)
        .add_extension(certificate_usage(signs_certificates=is_authority), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
    )
    if over:
        above = over.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above)
        builder = builder.add_extension(identifier, False)
    if purposes and not (is_authority and issuer is None):
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), False)
    certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    is_below_root = issuer is None or issuer.certificate.issuer == issuer.certificate.subject
    issuers = () if is_below_root else (issuer.certificate, *issuer.issuers)
    return Signer(key, certificate, issuers)


def sign_xml(
    data: bytes,
    signer: Signer,
    *,
    method: SignatureMethod | None = None,
    form: CanonicalizationMethod = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    reference: str | None = None,
    with_issuers: bool = True,
    bare_key: bool = False,
) -> bytes:
    """Return the document with an enveloped signature at its end."""
    if method is None:
        is_rsa = isinstance(signer.key, rsa.RSAPrivateKey)
        method = SignatureMethod.RSA_SHA256 if is_rsa else SignatureMethod.ECDSA_SHA256
    chain = [signer.certificate, *(signer.issuers if with_issuers else ())]
    signed = XMLSigner(signature_algorithm=method, c14n_algorithm=form).sign(
        etree.fromstring(data),
        key=signer.key,
        cert=None if bare_key else chain,
        reference_uri=reference,
    )
    text: bytes = etree.tostring(signed, xml_declaration=True, encoding="utf-8")
    return text
