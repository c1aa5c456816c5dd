"""Signatures over vendors' files: made with real keys, spoilt in every way that is known."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from signxml import CanonicalizationMethod, SignatureMethod

from tests.vendorsite.bundle import SbeEntry, sbe_discovery_xml
from tests.vendorsite.signing import DAY, make_signer, sign_xml
from toolkit.catalog._xmlsig import Authorities, check_signature
from toolkit.errors import InputError
from toolkit.model import Stance, StatementKind

DATA = sbe_discovery_xml([SbeEntry("Contoso", "GenA", "4.1.2410.5", package_hash="ab" * 32)])
ROOT = make_signer("Known Authority", is_authority=True, ends=900 * DAY)
BETWEEN = make_signer("Issuing Authority", ROOT, is_authority=True, ends=600 * DAY)
CONTOSO = make_signer("Contoso Ltd", BETWEEN)
STRANGER = make_signer("Stranger Authority", is_authority=True)
KNOWN = Authorities(roots=(ROOT.certificate,))
EVIL = b"<ApplicableUpdate Version='9.9.9.9'/>"


def check(data: bytes, *, known: Authorities = KNOWN, signers=("Contoso",), now=None):
    return check_signature(
        data,
        name="SBE_Discovery_Contoso.xml",
        authorities=known,
        signers=signers,
        now=now or datetime.now(UTC),
    )


def verdict(data: bytes, **options) -> tuple[Stance, str]:
    statement = check(data, **options).statement
    assert statement.kind is StatementKind.SIGNATURE
    return statement.stance, statement.text


def reference_root(data: bytes, name: str = "Id") -> bytes:
    return data.replace(
        b"<ASZSolutionBundleUpdates", f'<ASZSolutionBundleUpdates {name}="all"'.encode(), 1
    )


def test_signature_of_the_vendor_under_a_known_authority_speaks_for_the_file():
    checked = check(sign_xml(DATA, CONTOSO))
    assert checked.statement.stance is Stance.FOR
    assert "O=Contoso Ltd" in checked.statement.text
    assert "O=Issuing Authority" in checked.statement.text
    assert checked.statement.source == "signature in SBE_Discovery_Contoso.xml"


def test_what_is_handed_back_is_what_was_signed_and_nothing_else():
    content = check(
        sign_xml(DATA, CONTOSO).replace(b"<UpdateInfo>", b"<UpdateInfo><!-- hm -->")
    ).content
    assert b"4.1.2410.5" in content
    assert b"Signature" not in content
    assert b"hm" not in content


@pytest.mark.parametrize(
    "form",
    [
        CanonicalizationMethod.CANONICAL_XML_1_0,
        CanonicalizationMethod.CANONICAL_XML_1_1,
        CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    ],
)
def test_every_canonical_form_is_understood(form):
    assert verdict(sign_xml(DATA, CONTOSO, form=form))[0] is Stance.FOR


@pytest.mark.parametrize(
    "method",
    [SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA512, SignatureMethod.SHA256_RSA_MGF1],
)
def test_rsa_signatures_are_understood(method):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signer = make_signer("Contoso Ltd", BETWEEN, key=key)
    assert verdict(sign_xml(DATA, signer, method=method))[0] is Stance.FOR


def test_reference_to_the_id_of_the_root_is_a_reference_to_the_whole():
    assert verdict(sign_xml(reference_root(DATA), CONTOSO, reference="#all"))[0] is Stance.FOR


def test_file_without_a_signature_says_nothing():
    checked = check(DATA)
    assert checked.statement.stance is Stance.SILENT
    assert checked.statement.text == "no signature in this file"
    assert checked.content == DATA


# --- a signature that does not hold -------------------------------------------------------------


def test_changed_content_is_noticed():
    changed = sign_xml(DATA, CONTOSO).replace(b"4.1.2410.5", b"4.1.2410.6")
    assert verdict(changed) == (Stance.AGAINST, "its content is not what was signed")


def test_added_content_is_noticed():
    changed = sign_xml(DATA, CONTOSO).replace(b"<ApplicableUpdate", EVIL + b"<ApplicableUpdate", 1)
    assert verdict(changed)[0] is Stance.AGAINST


def test_digest_made_to_fit_the_changed_content_is_noticed():
    other = sign_xml(DATA.replace(b"4.1.2410.5", b"4.1.2410.6"), CONTOSO)
    digest = re.compile(rb"(?<=DigestValue>)[^<]+")
    mine = sign_xml(DATA, CONTOSO).replace(b"4.1.2410.5", b"4.1.2410.6")
    forged = digest.sub(digest.search(other)[0], mine)
    assert verdict(forged) == (Stance.AGAINST, "its signature does not hold")


def test_signature_of_another_key_than_the_certificates_is_noticed():
    other = make_signer("Contoso Ltd", BETWEEN)
    certificate = re.compile(rb"(?<=X509Certificate>)[^<]+")
    forged = certificate.sub(certificate.search(sign_xml(DATA, CONTOSO))[0], sign_xml(DATA, other))
    assert verdict(forged)[0] is Stance.AGAINST


def test_changed_file_signed_with_a_bare_key_is_noticed():
    changed = sign_xml(DATA, CONTOSO, bare_key=True).replace(b"4.1.2410.5", b"4.1.2410.6")
    assert verdict(changed)[0] is Stance.AGAINST


# --- wrapping -----------------------------------------------------------------------------------


def test_signed_document_wrapped_in_another_speaks_for_nothing():
    signed = sign_xml(reference_root(DATA), CONTOSO, reference="#all").partition(b"?>")[2].strip()
    wrapped = b"<ASZSolutionBundleUpdates>" + EVIL + signed + b"</ASZSolutionBundleUpdates>"
    assert verdict(wrapped) == (
        Stance.SILENT,
        "its signature covers a part of this file, not the whole",
    )


def test_signature_moved_to_a_new_root_speaks_for_nothing():
    signed = sign_xml(reference_root(DATA), CONTOSO, reference="#all").partition(b"?>")[2].strip()
    (signature,) = re.findall(rb"<ds:Signature .*</ds:Signature>", signed, re.DOTALL)
    inner = signed.replace(signature, b"")
    wrapped = (
        b"<ASZSolutionBundleUpdates>" + EVIL + inner + signature + b"</ASZSolutionBundleUpdates>"
    )
    stance, text = verdict(wrapped)
    assert stance is Stance.SILENT
    assert "a part of this file" in text


@pytest.mark.parametrize("name", ["Id", "ID", "id"])
def test_id_that_two_elements_bear_speaks_for_nothing(name):
    signed = sign_xml(reference_root(DATA), CONTOSO, reference="#all")
    twice = signed.replace(b"<SupportedModels", f'<SupportedModels {name}="all"'.encode())
    assert verdict(twice)[0] is not Stance.FOR


def test_reference_to_a_part_speaks_for_nothing():
    data = DATA.replace(b"<UpdateInfo>", b'<UpdateInfo Id="part">')
    assert verdict(sign_xml(data, CONTOSO, reference="#part"))[0] is Stance.SILENT


def test_two_signatures_speak_for_nothing():
    twice = sign_xml(sign_xml(DATA, CONTOSO), make_signer("Contoso Ltd", BETWEEN))
    stance, text = verdict(twice)
    assert stance is Stance.SILENT
    assert "2 signatures" in text


@pytest.mark.parametrize(
    "transform",
    [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2000/09/xmldsig#base64",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    ],
)
def test_other_transforms_are_named_and_never_run(transform):
    signed = sign_xml(DATA, CONTOSO).replace(
        b"</ds:Transforms>", f'<ds:Transform Algorithm="{transform}"/></ds:Transforms>'.encode()
    )
    stance, text = verdict(signed)
    assert stance is Stance.SILENT
    assert transform in text


def test_reference_to_another_file_is_never_followed():
    signed = sign_xml(DATA, CONTOSO).replace(b'URI=""', b'URI="https://vendor.example/x"')
    assert verdict(signed)[0] is Stance.SILENT


# --- whose signature it is ----------------------------------------------------------------------


def test_certificate_that_signed_itself_is_never_proof():
    stance, text = verdict(sign_xml(DATA, make_signer("Contoso Ltd")))
    assert stance is Stance.SILENT
    assert "whose authority is not known here" in text


def test_authority_brought_by_the_signature_itself_is_never_proof():
    signer = make_signer("Contoso Ltd", STRANGER)
    with_root = type(signer)(signer.key, signer.certificate, (STRANGER.certificate,))
    stance, text = verdict(sign_xml(DATA, with_root))
    assert stance is Stance.SILENT
    assert "O=Stranger Authority" in text


def test_nobody_known_makes_every_authority_unknown():
    known = Authorities(roots=())
    assert verdict(sign_xml(DATA, CONTOSO), known=known)[0] is Stance.SILENT


def test_authority_between_may_come_from_the_system_instead_of_the_file():
    lonely = sign_xml(DATA, CONTOSO, with_issuers=False)
    assert verdict(lonely)[0] is Stance.SILENT
    helped = Authorities(roots=KNOWN.roots, intermediates=(BETWEEN.certificate,))
    assert verdict(lonely, known=helped)[0] is Stance.FOR


@pytest.mark.parametrize(
    "purposes",
    [
        (),
        (ExtendedKeyUsageOID.SERVER_AUTH,),
        (ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CLIENT_AUTH),
        (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,),
    ],
)
def test_certificate_for_another_purpose_than_code_is_no_proof(purposes):
    stance, text = verdict(sign_xml(DATA, make_signer("Contoso Ltd", BETWEEN, purposes=purposes)))
    assert stance is Stance.SILENT
    assert "sign" in text


def test_authority_for_web_servers_cannot_vouch_for_code():
    web = make_signer("Web", ROOT, is_authority=True, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,))
    assert verdict(sign_xml(DATA, make_signer("Contoso Ltd", web)))[0] is Stance.SILENT


def test_somebody_with_a_certificate_is_no_authority():
    assert verdict(sign_xml(DATA, make_signer("Contoso Ltd", CONTOSO)))[0] is Stance.SILENT


def test_certificate_that_ran_out_is_told_with_its_date():
    old = make_signer("Contoso Ltd", BETWEEN, starts=-DAY, ends=timedelta(hours=1))
    stance, text = verdict(sign_xml(DATA, old), now=datetime.now(UTC) + 3 * DAY)
    assert stance is Stance.SILENT
    assert "ran out on 20" in text
    assert "when the file was signed is not proven" in text


def test_time_stamp_that_is_not_checked_is_told():
    old = make_signer("Contoso Ltd", BETWEEN, starts=-DAY, ends=timedelta(hours=1))
    data = sign_xml(DATA.replace(b"<UpdateInfo>", b"<SignatureTimeStamp/><UpdateInfo>"), old)
    assert "time stamp" in verdict(data, now=datetime.now(UTC) + 3 * DAY)[1]


def test_weak_key_is_no_proof():
    weak = make_signer("Contoso Ltd", BETWEEN, key=ec.generate_private_key(ec.SECP192R1()))
    stance, text = verdict(sign_xml(DATA, weak))
    assert stance is Stance.SILENT
    assert "too weak" in text


def test_other_organisation_under_a_known_authority_is_named_and_is_no_proof():
    stance, text = verdict(sign_xml(DATA, make_signer("Fabrikam", BETWEEN)))
    assert stance is Stance.SILENT
    assert "O=Fabrikam" in text
    assert "Contoso" in text


@pytest.mark.parametrize(
    ("organisation", "signer", "stance"),
    [
        ("Hitachi Vantara LLC", "HitachiVantara", Stance.FOR),
        ("Dell Inc.", "dell", Stance.FOR),
        ("Dellight GmbH", "Dell", Stance.SILENT),
        ("Not Dell", "Dell", Stance.SILENT),
    ],
)
def test_organisation_is_compared_word_for_word(organisation, signer, stance):
    signed = sign_xml(DATA, make_signer(organisation, BETWEEN))
    assert verdict(signed, signers=(signer,))[0] is stance


def test_bare_key_bears_nobodys_name():
    stance, text = verdict(sign_xml(DATA, CONTOSO, bare_key=True))
    assert stance is Stance.SILENT
    assert "nobody's name" in text


# --- what cannot be judged ----------------------------------------------------------------------


def test_algorithm_of_yesterday_is_named():
    signed = sign_xml(DATA, CONTOSO).replace(b"xmlenc#sha256", b"xmldsig#sha1")
    stance, text = verdict(signed)
    assert stance is not Stance.FOR
    outdated = signed.replace(b"2001/04/xmldsig-more#ecdsa-sha256", b"2000/09/xmldsig#rsa-sha1")
    stance, text = verdict(outdated)
    assert stance is Stance.SILENT
    assert "RSA_SHA1" in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (rb"(?<=SignatureValue>)[^<]+", b"?"),
        (rb"(?<=DigestValue>)[^<]+", b""),
        (rb"(?<=X509Certificate>)[^<]+", base64.b64encode(b"no certificate")),
        (rb"<ds:SignedInfo>.*</ds:SignedInfo>", b""),
        (rb"<ds:KeyInfo>.*</ds:KeyInfo>", b""),
        (rb"<ds:Signature .*</ds:Signature>", b"<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'/>"),
    ],
    ids=["value", "digest", "certificate", "no info", "no key", "empty"],
)  # fmt: skip
def test_broken_signature_never_speaks_for_a_file(old, new):
    broken = re.sub(old, new, sign_xml(DATA, CONTOSO), flags=re.DOTALL)
    assert verdict(broken)[0] is not Stance.FOR


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (bytes.fromhex("a003020102"), bytes.fromhex("a003020174")),  # a version that does not exist
        (bytes.fromhex("0603550403"), bytes.fromhex("0603550406")),  # a country of many letters
        (
            bytes.fromhex("0c13436f6e746f736f"),
            bytes.fromhex("0313006f6e746f736f"),
        ),  # bits as a name
        (bytes.fromhex("0603551d25"), bytes.fromhex("0603551d13")),  # one extension twice
    ],
    ids=["version", "country", "bits", "twice"],
)
def test_certificate_that_the_library_stumbles_over_says_nothing(old, new):
    signed = sign_xml(DATA, CONTOSO, with_issuers=False)
    (text,) = re.findall(rb"X509Certificate>([^<]+)<", signed)
    certificate = base64.b64decode(text)
    assert old in certificate
    odd = base64.b64encode(certificate.replace(old, new))
    stance, said = verdict(signed.replace(text, odd))
    assert (stance, said) == (
        Stance.SILENT,
        "its signature brings a certificate that cannot be read",
    )


def test_certificates_without_end_are_not_tried_one_by_one():
    one = re.search(
        rb"<ds:X509Certificate>.*?</ds:X509Certificate>", sign_xml(DATA, CONTOSO), re.DOTALL
    )[0]
    many = b"".join(one.replace(b">MI", f">{number:02}MI".encode(), 1) for number in range(20))
    stance, text = verdict(sign_xml(DATA, CONTOSO).replace(one, many))
    assert stance is Stance.SILENT
    assert text == "its signature brings 21 certificates"


def test_document_type_is_refused_before_any_other_reader_sees_it():
    with pytest.raises(InputError, match="document type"):
        check(
            b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'>"
            + sign_xml(DATA, CONTOSO).partition(b"?>")[2]
        )
