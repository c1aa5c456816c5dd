"""`ferry catalog sbe` from a file: what is printed, and the exit code."""

from __future__ import annotations

import json

import pytest

from tests.vendorsite.bundle import SbeEntry, sbe_discovery_xml
from tests.vendorsite.signing import make_signer, sign_xml
from toolkit.cli import execute

ENTRIES = [
    SbeEntry(
        "Contoso",
        "GenA",
        "4.2.2603.1",
        models=(("AX-650", "", ""),),
        validated=("12.2603.*.*",),
        facts=(
            ("SBENotifyMessage", "read before use"),
            ("SBEReleaseLink", "https://vendor.example/notes"),
        ),
    ),
    SbeEntry("Contoso", "GenA", "4.1.2410.5", is_recalled=True),
    SbeEntry("Contoso", "GenB", "4.2.2604.7", models=(("AX-760", "P1", ""),)),
]


@pytest.fixture
def ferry(capsys, tmp_path):
    path = tmp_path / "SBE_Discovery_Contoso.xml"
    path.write_bytes(sbe_discovery_xml(ENTRIES))

    def call(*words, vendor="Contoso", data: bytes | None = None):
        if data is not None:
            path.write_bytes(data)
        code = execute(["catalog", "sbe", vendor, "--from", str(path), *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_everything_released_is_listed_the_newest_first(ferry):
    code, out, _ = ferry()
    titles = [line.split()[0] for line in out.splitlines()[1:4]]
    assert code == 0
    assert titles == [
        "SBE_Contoso_GenB_4.2.2604.7",
        "SBE_Contoso_GenA_4.2.2603.1",
        "SBE_Contoso_GenA_4.1.2410.5",
    ]
    assert "read before use" in out
    assert "recalled" in out
    assert "no signature in this file" in out


def test_what_fits_a_cluster_is_told_with_the_way_to_get_it(ferry):
    code, out, _ = ferry(
        "--model", "AX650c", "--family", "GenA", "--for", "12.2603.1002.15", "--json"
    )
    offers = {offer["sbe"]["version"]: offer for offer in json.loads(out)["data"]["offers"]}
    assert code == 0
    assert {version: offer["fit"] for version, offer in offers.items()} == {
        "4.2.2604.7": "does not fit",
        "4.2.2603.1": "fits",
        "4.1.2410.5": "does not fit",
    }
    assert "https://vendor.example/notes" in offers["4.2.2603.1"]["how_to_get"][0]
    assert "catalog add" in offers["4.2.2603.1"]["how_to_get"][1]
    assert "recalled" in offers["4.1.2410.5"]["against"][0]


@pytest.mark.parametrize("vendor", ["contoso", "Contoso Inc."])
def test_a_vendor_may_be_called_otherwise_than_in_its_manifest(ferry, vendor):
    assert ferry(vendor=vendor)[0] == 0


def test_another_vendors_manifest_is_refused(ferry):
    code, out, err = ferry(vendor="Other")
    assert (code, out) == (7, "")
    assert "SBEs of Contoso (expected: SBEs of Other)" in err
    assert "next: name its vendor instead: Contoso" in err


def test_a_version_that_is_not_written_in_full_is_refused_with_an_example(ferry):
    code, _, err = ferry("--for", "12.2603")
    assert code == 7
    assert "(expected: a full version such as 12.2603.1002.15)" in err


def test_none_that_fits_is_the_answer_no(ferry):
    code, out, _ = ferry("--model", "PowerBox 9")
    assert code == 1
    assert "supports AX-650, not PowerBox 9" in out


def test_older_than_the_installed_one_does_not_fit(ferry):
    code, out, _ = ferry("--model", "AX-650", "--family", "GenA", "--installed", "4.2.2605.1")
    assert code == 1
    assert "is older than the installed 4.2.2605.1" in out


def test_sku_decides_where_the_vendor_restricts_it(ferry):
    words = ("--model", "AX-760", "--family", "GenB")
    assert ferry(*words, "--sku", "P1-x")[0] == 0
    assert ferry(*words, "--sku", "Q1")[0] == 1
    code, out, _ = ferry(*words)
    assert code == 0
    assert "SKU is not known" in out


def test_signature_counts_under_an_authority_named_by_hand(ferry, tmp_path):
    root = make_signer("Vendor Authority", is_authority=True)
    signed = sign_xml(sbe_discovery_xml(ENTRIES), make_signer("Fabrikam", root))
    ca = str(root.write(tmp_path / "ca.pem"))
    assert "authority is not known here" in ferry(data=signed)[1]
    assert "nothing says that this is who signs for" in ferry("--signing-ca", ca)[1]
    words = ("--signing-ca", ca, "--signer", "Fabrikam", "--json")
    assert json.loads(ferry(*words)[1])["data"]["signature"]["stance"] == "for"


def test_facts_that_are_not_known_are_counted_and_kept_for_json(ferry):
    data = sbe_discovery_xml(ENTRIES).replace(
        b"<Publisher>", b"<Colour>blue</Colour><Publisher>", 1
    )
    assert "does not know: 1 (" in ferry(data=data)[1]
    (unread,) = json.loads(ferry("--json")[1])["data"]["unread"]
    assert unread["text"] == "blue"


@pytest.mark.parametrize("words", [("--for", "2603"), ("--installed", "4.2")])
def test_version_that_is_none_is_refused(ferry, words):
    assert ferry(*words)[0] == 7
