from __future__ import annotations

import base64
import hashlib

import pytest

from tests.vendorsite.bundle import SbeEntry, sbe_discovery_xml
from tests.vendorsite.signing import make_signer, sign_xml
from toolkit.errors import InputError
from toolkit.sbe import SbeVersion, SupportedModel, read_sbe_manifest
from toolkit.xmltext import LIMIT_BYTES

DIGEST = hashlib.sha256(b"the zip").hexdigest()
GEN_A = SbeEntry(
    "Contoso",
    "GenA",
    "4.1.2410.5",
    models=(("AX-650", "P1; P2", ""), ("AX-750", "", "Q9")),
    package_hash=DIGEST.upper(),
    validated=("10.2408.*.*", "10.2411.*.*"),
    facts=(
        ("SBEReleaseLink", "https://vendor.example/notes"),
        ("SBENotifyMessage", "urgent"),
        ("SBEPackageSizeInMb", "812"),
        ("MinVersionRequired", "10.2408.0.0"),
        ("MinSbeVersionRequired", "4.0.0.0"),
    ),
)
GEN_B = SbeEntry("Contoso", "GenB", "4.2.2506.1600", models=(("AX-760", "", ""),))


def entry(inner: str, name: str = "ApplicableUpdate") -> bytes:
    return f"<ASZSolutionBundleUpdates><{name}>{inner}</{name}></ASZSolutionBundleUpdates>".encode()


def only(data: bytes):
    (sbe,) = read_sbe_manifest(data).sbes
    return sbe


@pytest.mark.parametrize("attributes", [False, True], ids=["elements", "attributes"])
@pytest.mark.parametrize("namespace", ["", "http://schemas.example/sbe"], ids=["plain", "spaced"])
def test_every_released_sbe_is_read_whatever_form_its_facts_have(attributes, namespace):
    data = sbe_discovery_xml([GEN_A, GEN_B], attributes=attributes, namespace=namespace)
    manifest = read_sbe_manifest(data)
    first, second = manifest.sbes
    assert first.title == "SBE_Contoso_GenA_4.1.2410.5"
    assert first.package_sha256 == DIGEST
    assert first.models == (
        SupportedModel(model="AX-650", skus=("P1", "P2")),
        SupportedModel(model="AX-750", excluded_skus=("Q9",)),
    )
    assert first.validated_for == ("10.2408.*.*", "10.2411.*.*")
    assert (first.release_link, first.notify_message) == ("https://vendor.example/notes", "urgent")
    assert (first.package_size_mb, first.min_solution_version) == (812, "10.2408.0.0")
    assert first.min_sbe_version == "4.0.0.0"
    assert second.title == "SBE_Contoso_GenB_4.2.2506.1600"
    assert (manifest.publisher, manifest.unread_count) == ("Contoso", 0)


def test_publisher_is_the_one_in_the_files_name():
    data = sbe_discovery_xml([GEN_A])
    name = "folder/SBE_Discovery_HPE-ProLiant-Standard.xml"
    assert read_sbe_manifest(data, file=name).publisher == "HPE-ProLiant-Standard"


def test_package_hash_in_base64_is_the_same_as_in_hex():
    text = base64.b64encode(bytes.fromhex(DIGEST)).decode()
    sbe = only(entry(f'<UpdateInfo Version="4.1.2410.5"/><File packageHash="{text}"/>'))
    assert sbe.package_sha256 == DIGEST
    assert sbe.package_hash == text


def test_package_hash_that_is_no_sha256_is_kept_as_written_and_reported():
    sha1 = base64.b64encode(bytes(20)).decode()
    manifest = read_sbe_manifest(
        entry(f"<Version>4.1.2410.5</Version><packageHash>{sha1}</packageHash>")
    )
    assert manifest.sbes[0].package_sha256 is None
    assert manifest.sbes[0].package_hash == sha1
    assert sha1 in manifest.remarks[0]


def test_two_package_hashes_that_differ_are_no_hash():
    inner = f'<A packageHash="{DIGEST}"/><A packageHash="{"0" * 64}"/><Version>4.1.2410.5</Version>'
    assert only(entry(inner)).package_sha256 is None


def test_digest_under_another_name_is_found_too():
    sbe = only(entry(f"<Version>4.1.2410.5</Version><Sum><Of>{DIGEST}</Of></Sum>"))
    assert sbe.digests == (DIGEST,)
    assert sbe.package_sha256 is None


def test_family_is_read_from_the_name_of_its_files_where_nothing_else_says_it():
    sbe = only(entry("<Where>C:\\x\\SBE_Dell_AS-HCI-AX-16G-45n0c_4.2.2506.1600.zip</Where>"))
    assert sbe.title == "SBE_Dell_AS-HCI-AX-16G-45n0c_4.2.2506.1600"


def test_family_that_contradicts_the_files_name_is_reported():
    manifest = read_sbe_manifest(
        entry('<UpdateInfo Family="GenB" UpdateName="SBE_Contoso_GenA_4.1.2410.5"/>')
    )
    assert "GenA" in manifest.remarks[0]
    assert "GenB" in manifest.remarks[0]


def test_version_that_contradicts_the_files_name_is_reported_and_that_name_not_used():
    manifest = read_sbe_manifest(
        entry('<UpdateInfo Version="4.1.2410.6" UpdateName="SBE_Contoso_GenA_4.1.2410.5"/>')
    )
    assert "it names SBE_Contoso_GenA_4.1.2410.5" in manifest.remarks[0]
    assert manifest.sbes[0].family == ""


def test_model_without_a_name_is_reported():
    inner = '<Version>4.1.2410.5</Version><SupportedModel SupportedSKUs="P1"/>'
    manifest = read_sbe_manifest(entry(inner))
    assert manifest.sbes[0].models == ()
    assert "SupportedModel without a name" in manifest.remarks[0]


@pytest.mark.parametrize("family", ["../../etc", "a b", "x" * 200, "C:"])
def test_family_that_cannot_be_part_of_a_path_is_not_taken(family):
    manifest = read_sbe_manifest(entry(f"<Version>4.1.2410.5</Version><Family>{family}</Family>"))
    assert manifest.sbes[0].family == ""
    assert "cannot be part of a file name" in manifest.remarks[0]


def test_one_entry_that_cannot_be_read_does_not_hide_the_others():
    data = sbe_discovery_xml([SbeEntry("Contoso", "GenA", "4.x"), GEN_B])
    manifest = read_sbe_manifest(data)
    assert [sbe.family for sbe in manifest.sbes] == ["GenB"]
    assert manifest.remarks[0].startswith("ApplicableUpdate[1]: no SBE version")


@pytest.mark.parametrize(
    "inner",
    [
        '<RequiredPackage MinVersion="10.2408.0.0" MaxVersion="10.2411.9.9"/>',
        "<Package>10.2408.*.*</Package><Package>10.2411.0.0 - 10.2411.9.9</Package>",
        "<Package>10.2408.*.*</Package><Package>*</Package>",
    ],
)
def test_validated_range_in_an_unknown_form_makes_none_of_them_believed(inner):
    manifest = read_sbe_manifest(
        entry(
            f"<Version>4.1.2410.5</Version><ValidatedConfigurations>{inner}</ValidatedConfigurations>"
        )
    )
    assert manifest.sbes[0].validated_for == ()
    assert "ValidatedConfigurations" in manifest.remarks[0]


def test_recalled_sbe_is_marked_and_its_neighbours_are_not():
    recalled = SbeEntry("Contoso", "GenA", "4.1.2410.5", is_recalled=True)
    other_family = SbeEntry("Contoso", "GenB", "4.1.2410.5")
    manifest = read_sbe_manifest(sbe_discovery_xml([GEN_A, other_family, recalled]))
    assert [(sbe.family, sbe.is_recalled) for sbe in manifest.sbes] == [
        ("GenA", True),
        ("GenB", False),
    ]


def test_recall_without_a_family_holds_for_every_family():
    data = sbe_discovery_xml([GEN_A, SbeEntry("Contoso", "GenB", "4.1.2410.5")]).replace(
        b"</ASZ", b'<RecalledUpdate Version="4.1.2410.5"/></ASZ'
    )
    manifest = read_sbe_manifest(data)
    assert [sbe.is_recalled for sbe in manifest.sbes] == [True, True]
    assert "every family" in manifest.remarks[0]


def test_sbe_that_is_only_recalled_is_listed_as_such():
    recalled = SbeEntry("Contoso", "GenC", "4.1.2410.7", is_recalled=True)
    (_, last) = read_sbe_manifest(sbe_discovery_xml([GEN_A, recalled])).sbes
    assert (last.family, last.is_recalled) == ("GenC", True)


def test_addresses_of_its_files_are_read_and_others_are_not():
    base = "https://vendor.example/d"
    inner = (
        "<Version>4.1.2410.5</Version><Family>G</Family>"
        f"<A>{base}/SBE_V_G_4.1.2410.5.zip?sig=1</A><B Uri='{base}/SBE_V_G_4.1.2410.5.xml'/>"
        f"<C>{base}/licence.html</C><D>http://vendor.example/SBE_V_G_4.1.2410.6.zip</D>"
    )
    manifest = read_sbe_manifest(entry(inner))
    assert manifest.sbes[0].urls == (
        ("SBE_V_G_4.1.2410.5.zip", f"{base}/SBE_V_G_4.1.2410.5.zip?sig=1"),
        ("SBE_V_G_4.1.2410.5.xml", f"{base}/SBE_V_G_4.1.2410.5.xml"),
    )
    assert any("http://vendor.example" in remark for remark in manifest.remarks)


def test_address_whose_last_part_leads_elsewhere_is_not_taken():
    evil = "https://vendor.example/SBE_V_..%2F..%2Fetc_4.1.2410.5.zip"
    manifest = read_sbe_manifest(entry(f"<Version>4.1.2410.5</Version><A>{evil}</A>"))
    assert manifest.sbes[0].urls == ()
    assert any("not a plain file name" in remark for remark in manifest.remarks)


def test_unknown_nodes_are_kept_with_their_place_and_counted():
    data = sbe_discovery_xml([GEN_A]).replace(
        b"<Publisher>", b'<Colour Hue="warm">blue</Colour><Colour>red</Colour><Publisher>'
    )
    manifest = read_sbe_manifest(data)
    assert [(item.place, item.text) for item in manifest.unread] == [
        ("ASZSolutionBundleUpdates/ApplicableUpdate/UpdateInfo/Colour[1]", "blue"),
        ("ASZSolutionBundleUpdates/ApplicableUpdate/UpdateInfo/Colour[1]/@Hue", "warm"),
        ("ASZSolutionBundleUpdates/ApplicableUpdate/UpdateInfo/Colour[2]", "red"),
    ]
    assert manifest.unread_count == 3


def test_remarks_without_end_are_cut_for_people():
    entries = [SbeEntry("Contoso", "GenA", "4.x")] * 30
    manifest = read_sbe_manifest(sbe_discovery_xml([*entries, GEN_B]))
    assert len(manifest.remarks) == 30
    assert len(manifest.notes) == 11
    assert manifest.notes[-1] == "and 20 more remarks"


def test_unknown_nodes_without_end_are_counted_and_only_some_are_kept():
    odd = b"<Odd>1</Odd>" * 5000
    manifest = read_sbe_manifest(entry("<Version>4.1.2410.5</Version>").replace(b"<V", odd + b"<V"))
    assert manifest.unread_count == 5000
    assert len(manifest.unread) == 200


def test_solution_manifest_given_by_mistake_is_named():
    data = b'<ASZSolutionBundleUpdates><ApplicableUpdate Version="12.2603.1002.15"/></ASZSolutionBundleUpdates>'
    with pytest.raises(InputError, match="is a solution update, no SBE"):
        read_sbe_manifest(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no element found"),
        (b"<html><body>Sign in</body></html>", "the root html; no entry"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type"),
        (b"<a>" * 100 + b"</a>" * 100, "deep"),
        (b"<a>" + b"<b/>" * 200_000 + b"</a>", "more than 100000"),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", "encoding"),
        (b" " * (LIMIT_BYTES + 1), "bytes, more than"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_name(data, said):
    with pytest.raises(InputError, match=said) as caught:
        read_sbe_manifest(data, file="SBE_Discovery_Contoso.xml")
    assert "SBE_Discovery_Contoso.xml" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("root", ["ASZSolutionBundleUpdates", "ApplicableUpdate"])
def test_what_somebody_put_into_the_signature_is_no_entry_and_no_fact(root):
    inner = b"<SbeVersion>4.1.2410.5</SbeVersion><SBEFamily>GenA</SBEFamily>"
    if root != "ApplicableUpdate":
        inner = b"<ApplicableUpdate>" + inner + b"</ApplicableUpdate>"
    signed = sign_xml(
        b"<%b>%b</%b>" % (root.encode(), inner, root.encode()), make_signer("Contoso")
    )
    forged = (
        b"<ds:Object><ApplicableUpdate><SbeVersion>4.9.9999.9</SbeVersion><SBEFamily>GenA</SBEFamily>"
        b"<SupportedModel>AX-650</SupportedModel></ApplicableUpdate></ds:Object></ds:Signature>"
    )
    manifest = read_sbe_manifest(signed.replace(b"</ds:Signature>", forged))
    assert manifest == read_sbe_manifest(signed)
    assert [str(sbe.version) for sbe in manifest.sbes] == ["4.1.2410.5"]


def test_entry_is_found_by_version_and_by_a_family_written_in_another_case():
    manifest = read_sbe_manifest(sbe_discovery_xml([GEN_A, GEN_B]))
    assert manifest.find("gena", SbeVersion.parse("4.1.2410.5"))[0].family == "GenA"
    assert manifest.find("GenB", SbeVersion.parse("4.1.2410.5")) == ()
