"""The XML signature of a vendor's file: what it proves, said as a `Statement`. Pure.

FOR needs all of this: one enveloped signature at the root, over the whole document and nothing else, with
algorithms of today; a certificate made for code signing that an authority known here has issued and that has
not run out; and a subject that is who should sign. AGAINST is said of one thing only, a signature that does
not hold. Everything else is SILENT and says why: a signature can be taken off as easily as it can be spoilt in
another way, and the form in which vendors sign is not public.

Wrapping: what was signed is handed back (`SignedXml.content`), and only that is read further. signxml passes
over transforms it does not know, so the form of the signature is checked before it is asked.

Not checked: revocation (the place may be offline) and time stamps inside a signature.

Source: XML Signature Syntax and Processing 1.1, sections 4.4, 6 and 8; RFC 5280 section 4.2.1.12.
"""

from __future__ import annotations

import base64
import re
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from toolkit.model import Stance, Statement, StatementKind
from toolkit.xmltext import SIGNATURE_NAMESPACE, Element, read_xml

_ENVELOPED = SIGNATURE_NAMESPACE + "enveloped-signature"
_C14N = frozenset(
    {
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2006/12/xml-c14n11",
        "http://www.w3.org/2001/10/xml-exc-c14n#",
    }
)
"""Canonical forms without comments: a comment can split a text in two for one reader and not for another."""
_METHODS = (
    "RSA_SHA256",
    "RSA_SHA384",
    "RSA_SHA512",
    "SHA256_RSA_MGF1",
    "SHA384_RSA_MGF1",
    "SHA512_RSA_MGF1",
    "ECDSA_SHA256",
    "ECDSA_SHA384",
    "ECDSA_SHA512",
)
_DIGESTS = ("SHA256", "SHA384", "SHA512")
_MOST_CERTIFICATES = 8
_ODD_CERTIFICATES = (
    Warning,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorities:
    """Whom we know."""

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...] = ()
    """Certificates between a root and a signer that a signature may have left out."""


NOBODY = Authorities(roots=())
"""Nobody's word counts: a signature then tells only whether it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedXml:
    """A document, and what its signature says of it."""

    statement: Statement
    content: bytes
    """What may be read further: the signed bytes where the signature holds, else the document."""


def load_certificate(data: bytes, *, is_known: bool) -> x509.Certificate:
    """Read one certificate (DER), to its last extension.

    Args:
        data: The certificate.
        is_known: It comes from whom we know: old roots have numbers and names that RFC 5280 forbids, and
            about which the library warns. A stranger's is refused.

    Raises:
        ValueError: It cannot be understood.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if is_known else "error")
        try:
            certificate = x509.load_der_x509_certificate(data)
            # the library reads these only when they are asked for
            _ = certificate.subject, certificate.issuer, certificate.not_valid_after_utc
            _ = certificate.extensions, certificate.serial_number
        except _ODD_CERTIFICATES as error:
            raise ValueError(str(error)) from error
    return certificate


class _Unclear(Exception):  # noqa: N818 - it never leaves this module
    """There is a signature, and it cannot tell us anything; the text says why."""


class _Altered(InvalidSignature):
    """The signature holds, the content beside it is another."""


def check_signature(
    data: bytes,
    *,
    name: str,
    authorities: Authorities,
    signers: Collection[str],
    now: datetime,
) -> SignedXml:
    """Check the signature of one document.

    Args:
        data: The XML.
        name: The file's name, for the statement.
        authorities: Whom we know.
        signers: Organisations that should sign it: "Contoso"; a subject "Contoso Ltd" is one of it.
        now: The time, aware UTC.

    Raises:
        InputError: Not XML within the limits of a vendor's file.
    """
    root = read_xml(data, attempted="check XML signature", file=name)
    has_time_stamp = any(True for _ in root.named("SignatureTimeStamp", "EncapsulatedTimeStamp"))
    try:
        certificates = _announced(root)
        del root  # signxml makes several trees of its own
        content, leaf, others = _signed(data, certificates)
        stance, text = _judge(leaf, others, authorities, signers, now)
        if has_time_stamp and stance is not Stance.FOR:
            text += "; the time stamp in it is not checked"
    except _Unclear as unclear:
        content, stance, text = data, Stance.SILENT, str(unclear)
    except InvalidSignature as error:
        content, stance, text = data, Stance.AGAINST, str(error)
    return SignedXml(
        statement=Statement(
            kind=StatementKind.SIGNATURE, stance=stance, text=text, source=f"signature in {name}"
        ),
        content=content,
    )


def _announced(root: Element) -> list[x509.Certificate]:
    """Return the certificates of the one signature, whose form is one that we can check.

    Raises:
        _Unclear: No signature, or one that we cannot judge.
    """
    signature = _only_signature(root)
    _check_form(signature, root)
    return list(_certificates(signature))


def _signed(
    data: bytes, certificates: Sequence[x509.Certificate]
) -> tuple[bytes, x509.Certificate, list[x509.Certificate]]:
    """Return the signed bytes, the certificate whose key signed them, and the others beside it.

    Raises:
        _Unclear: A signature that we cannot judge.
        InvalidSignature: It does not hold.
    """
    if not certificates:
        _verify(data, None)
        raise _Unclear("signed with a bare key that bears nobody's name")
    problems: list[Exception] = []
    for at, certificate in enumerate(certificates):  # no order of them is prescribed
        try:
            content = _verify(data, certificate)
        except (InvalidSignature, _Unclear) as problem:
            problems.append(problem)
        else:
            return content, certificate, [*certificates[:at], *certificates[at + 1 :]]
    raise min(problems, key=_weight)


def _weight(problem: Exception) -> int:
    """Order what went wrong with several certificates: the one that says most of the file first."""
    return (_Altered, InvalidSignature, _Unclear).index(type(problem))


def _only_signature(root: Element) -> Element:
    found = [item for item in root.named("Signature") if item.namespace == SIGNATURE_NAMESPACE]
    if not found:
        raise _Unclear("no signature in this file")
    if len(found) > 1:
        raise _Unclear(f"{len(found)} signatures in this file; which one counts is not known")
    if not any(child is found[0] for child in root.children):
        raise _Unclear("its signature covers a part of this file, not the whole")
    return found[0]


def _check_form(signature: Element, root: Element) -> None:
    """Refuse what signxml would pass over: see the module's text."""
    references = [
        item for item in signature.named("Reference") if item.namespace == SIGNATURE_NAMESPACE
    ]
    if len(references) != 1:
        raise _Unclear(f"its signature has {len(references)} references instead of one")
    (reference,) = references
    if not _is_whole(dict(reference.attributes).get("URI"), root):
        raise _Unclear("its signature covers a part of this file, not the whole")
    transforms = [
        dict(item.attributes).get("Algorithm", "")
        for item in reference.named("Transform")
        if item.namespace == SIGNATURE_NAMESPACE
    ]
    forms = [item for item in transforms if item != _ENVELOPED]
    if transforms.count(_ENVELOPED) != 1 or len(forms) > 1 or not _C14N.issuperset(forms):
        raise _Unclear(
            f"signed after transforms that are not checked here: {', '.join(transforms)[:200]}"
        )


def _is_whole(uri: str | None, root: Element) -> bool:
    """Whether a reference means the root: the empty one, or an id that the root alone has."""
    if uri is None or uri == "":
        return uri == ""
    bearers = [
        element
        for element in root.walk()
        for name, value in element.attributes
        if name.casefold() == "id" and f"#{value}" == uri
    ]
    return len(bearers) == 1 and bearers[0] is root


def _certificates(signature: Element) -> Iterator[x509.Certificate]:
    """Return the certificates beside the signature, each once."""
    texts = dict.fromkeys(
        item.text
        for item in signature.named("X509Certificate")
        if item.namespace == SIGNATURE_NAMESPACE
    )
    if len(texts) > _MOST_CERTIFICATES:
        raise _Unclear(f"its signature brings {len(texts)} certificates")
    for text in texts:
        try:
            yield load_certificate(base64.b64decode(text), is_known=False)
        except ValueError as error:
            raise _Unclear("its signature brings a certificate that cannot be read") from error


def _verify(data: bytes, certificate: x509.Certificate | None) -> bytes:
    """Return the bytes that were signed with the certificate's key, or with the bare key in the signature.

    Raises:
        _Unclear: With an algorithm that is not accepted, or in a form that cannot be checked.
        InvalidSignature: The signature does not hold.
    """
    import signxml  # half of the start-up time of a command that may never meet a signature
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    config = signxml.SignatureConfiguration(
        require_x509=certificate is not None,
        location="./",
        expect_references=1,
        signature_methods=frozenset(signxml.SignatureMethod[name] for name in _METHODS),
        digest_algorithms=frozenset(signxml.DigestAlgorithm[name] for name in _DIGESTS),
        # whether the certificate has run out is judged with its chain
        verification_time=None if certificate is None else certificate.not_valid_after_utc,
        default_reference_c14n_method=signxml.CanonicalizationMethod.CANONICAL_XML_1_0,
    )
    try:
        result: Any = signxml.XMLVerifier().verify(
            data, x509_cert=certificate, parser=parser, expect_config=config
        )
        content: bytes = result.signed_data
    except signxml.exceptions.InvalidDigest as error:
        raise _Altered("its content is not what was signed") from error
    except InvalidSignature as error:
        raise InvalidSignature("its signature does not hold") from error
    except (
        signxml.exceptions.SignXMLException,
        etree.LxmlError,
        UnsupportedAlgorithm,
        NotImplementedError,
        ValueError,  # bad base64, a key of another kind, a number out of range
        TypeError,
        AttributeError,
        KeyError,
    ) as error:
        reason = re.sub(r"\s+", " ", str(error))[:200]
        raise _Unclear(f"signed in a way that is not checked here: {reason}") from error
    return content


def _judge(
    leaf: x509.Certificate,
    others: Collection[x509.Certificate],
    authorities: Authorities,
    signers: Collection[str],
    now: datetime,
) -> tuple[Stance, str]:
    """Return what a signature that holds is worth, by the certificate of its signer."""
    who = f"signed by {_name(leaf.subject)}, certificate of {_name(leaf.issuer)}"
    purpose = _purpose(leaf)
    if purpose:
        return Stance.SILENT, f"{who}; {purpose}"
    between = [*others, *authorities.intermediates]
    if not _is_chained(leaf, between, authorities.roots, now):
        ends_at = leaf.not_valid_after_utc
        if now > ends_at and _is_chained(leaf, between, authorities.roots, ends_at):
            return (
                Stance.SILENT,
                f"{who}; it ran out on {ends_at:%Y-%m-%d}, and when the file was signed is not proven",
            )
        return Stance.SILENT, f"{who}, whose authority is not known here"
    if not _is_signer(leaf.subject, signers):
        return (
            Stance.SILENT,
            f"{who}, a known authority; nothing says that this is who signs for "
            f"{' or '.join(signers) or 'this vendor'}",
        )
    return Stance.FOR, f"{who}, a known authority; the signature covers the whole file"


def _purpose(leaf: x509.Certificate) -> str:
    """Return what a certificate lacks to sign code; empty: nothing.

    One without a purpose may be used for anything, but so may many that strangers hold: it must say so.
    """
    key = leaf.public_key()
    if not (
        (isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048)
        or (isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= 256)
    ):
        return "its key is too weak, or of a kind that is not accepted"
    try:
        extensions = leaf.extensions
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if ExtendedKeyUsageOID.CODE_SIGNING not in usage:
            return "it was issued for another purpose than signing code"
        bits = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        if error.oid == x509.ExtendedKeyUsage.oid:
            return "it was not issued for signing code"
        return ""
    return "" if bits.digital_signature else "it may not be used for signatures"


def _is_chained(
    leaf: x509.Certificate,
    between: Collection[x509.Certificate],
    roots: Collection[x509.Certificate],
    at: datetime,
) -> bool:
    """Whether known authorities vouch for a certificate at a time, and may do so for code."""
    if not roots:
        return False
    anyone = verification.ExtensionPolicy.permit_all()
    issuers = verification.ExtensionPolicy.webpki_defaults_ca().may_be_present(
        x509.ExtendedKeyUsage, verification.Criticality.AGNOSTIC, _check_issuer
    )
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(roots)))
        .time(at)
        .extension_policies(ee_policy=anyone, ca_policy=issuers)
        .build_client_verifier()
    )
    try:
        verifier.verify(leaf, list(between))
    except (verification.VerificationError, ValueError, *_ODD_CERTIFICATES):
        return False
    return True


def _check_issuer(
    _policy: verification.Policy, _issuer: x509.Certificate, usage: x509.ExtendedKeyUsage | None
) -> None:
    """Refuse an authority that is restricted to something else than code.

    Raises:
        ValueError: It is.
    """
    allowed = {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if usage is not None and not allowed.intersection(usage):
        raise ValueError("not for signing code")


def _is_signer(subject: x509.Name, signers: Collection[str]) -> bool:
    """Whether a certificate's organisation begins with one of the names, word for word.

    `HitachiVantara` is `Hitachi Vantara LLC`; `Dell` is no `Dellight GmbH`.
    """
    attributes = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    for attribute in attributes:
        words = [word.casefold() for word in re.findall(r"\w+", str(attribute.value))]
        beginnings = {"".join(words[:count]) for count in range(1, len(words) + 1)}
        for signer in signers:
            if "".join(re.findall(r"\w+", signer)).casefold() in beginnings:
                return True
    return False


def _name(name: x509.Name) -> str:
    try:
        text = name.rfc4514_string()
    except ValueError:
        text = ""
    return f'"{text[:_LONGEST_NAME]}"' if text else "somebody without a name"
