"""A vendor's SBE on its way into the catalog, as a user runs it."""

import json

import pytest

from tests.stage import Stage
from tests.vendorsite.bundle import SbeEntry, make_outer_zip, make_sbe
from tests.vendorsite.server import VendorServer
from tests.vendorsite.signing import make_signer, sign_xml

TITLE = "SBE_Contoso_GenA_4.2.2603.1"
SHELF = "sbe/Contoso_GenA_4.2.2603.1"
NAMES = [f"{TITLE}.xml", f"{TITLE}.zip", "SBE_Discovery_Contoso.xml"]
ADD = ("catalog", "add", "--catalog", "catalog")
ROOT = make_signer("Vendor Authority", is_authority=True)
CONTOSO = make_signer("Contoso Ltd", ROOT)


@pytest.fixture
def stage(tmp_path) -> Stage:
    stage = Stage(tmp_path / "s")
    for name in ("vendor", "manifests"):
        (stage / name).mkdir()
    ROOT.write(stage / "authority.pem")
    return stage


@pytest.fixture
def server(stage, tmp_path):
    with VendorServer(stage / "vendor", tls_dir=tmp_path / "tls") as server:
        yield server


def make(stage, version="4.2.2603.1", **options):
    options.setdefault("supported_model", "GenA 100")
    return make_sbe(stage / "vendor", "Contoso", "GenA", version, **options)


def signed(data: bytes) -> bytes:
    return sign_xml(data, CONTOSO)


def verdicts(stage) -> dict[str, str]:
    document = json.loads(stage.ferry("catalog", "status", "--catalog", "catalog", "--json").out)
    return {
        row["held"]["name"]: row["held"]["judgement"]["verdict"]
        for row in document["data"]["payloads"]
    }


def held_files(stage) -> list[str]:
    return sorted(path.name for path in (stage / "catalog" / SHELF).glob("SBE_*[lp]"))


def test_sbe_from_the_vendors_zip_is_held_with_a_verdict_on_each_file(stage):
    three = make(stage, sign=signed)
    make_outer_zip(stage / "Bundle_SBE_Contoso_GenA_4.2.2603.1.zip", three, sub_folder="files")
    words = ("Bundle_SBE_Contoso_GenA_4.2.2603.1.zip", "--signing-ca", "authority.pem")
    stage.ferry(*ADD, *words)
    assert verdicts(stage) == dict.fromkeys(NAMES, "proven")
    assert {path.name for path in (stage / "catalog").iterdir()} == {
        "catalog.lock",
        "objects",
        "sbe",
    }
    for path in three:
        assert (stage / "catalog" / SHELF / path.name).read_bytes() == path.read_bytes()


def test_unsigned_sbe_is_held_unproven_and_the_reasons_are_told(stage):
    make(stage)
    told = stage.ferry(*ADD, "vendor", expect=1).out
    assert "no signature in this file" in told
    assert verdicts(stage) == {
        f"{TITLE}.xml": "unproven",
        f"{TITLE}.zip": "proven",
        "SBE_Discovery_Contoso.xml": "unproven",
    }


def test_signer_that_nobody_here_knows_is_named(stage):
    make(stage, sign=signed)
    assert "Contoso Ltd" in stage.ferry(*ADD, "vendor", expect=1).out


@pytest.mark.parametrize("name", [f"{TITLE}.zip", f"{TITLE}.xml", "SBE_Discovery_Contoso.xml"])
def test_changed_file_is_refused_and_nothing_is_added(stage, name):
    make(stage, sign=signed)
    path = stage / "vendor" / name
    data = path.read_bytes()
    path.write_bytes(
        data.replace(b"exit 0", b"exit 1")
        .replace(b">GenA<", b">GenX<")
        .replace(b"GenA 1", b"GenA 2")
    )
    assert path.read_bytes() != data
    refused = stage.ferry(*ADD, "vendor", "--signing-ca", "authority.pem", expect=3)
    assert name in refused.err
    assert "next:" in refused.err
    assert not (stage / "catalog" / "sbe").exists()


def test_recalled_sbe_is_refused(stage):
    make(stage, others=[SbeEntry("Contoso", "GenA", "4.2.2603.1", is_recalled=True)])
    assert "recalled" in stage.ferry(*ADD, "vendor", expect=7).err


def test_outdated_discovery_manifest_is_told_and_the_current_one_mends_it(stage, server):
    newer = make(stage)[0].read_bytes()
    outdated = make(stage, "4.2.2601.1")[0]
    for path in (stage / "vendor").glob("*4.2.2601.1*"):
        path.unlink()
    outer = make_outer_zip(stage / "outer.zip", [outdated, *(stage / "vendor").glob("*2603*")])
    refused = stage.ferry(*ADD, outer.name, expect=7)
    assert f"does not list {TITLE}" in refused.err
    assert "--discovery https://aka.ms/AzureStackSBEUpdate/Contoso" in refused.err
    (stage / "vendor" / "SBE_Discovery_Contoso.xml").write_bytes(newer)
    url = f"{server.url}/SBE_Discovery_Contoso.xml"
    told = stage.ferry(*ADD, outer.name, "--discovery", url, "--ca", str(server.ca_file), expect=1)
    assert "is used instead of outer.zip" in told.err
    assert held_files(stage) == NAMES
    record = stage / "catalog" / SHELF / "SBE_Discovery_Contoso.xml.held.json"
    assert json.loads(record.read_text(encoding="utf-8"))["url"] == url


def test_sbe_is_fetched_where_the_vendors_manifest_says_its_files_are(stage, server):
    facts = {ending: f"{server.url}/{TITLE}.{ending}" for ending in ("xml", "zip")}
    make(stage, facts=facts, sign=signed)
    discovery = f"{server.url}/SBE_Discovery_Contoso.xml"
    reach = ("--ca", str(server.ca_file))
    listed = ("catalog", "sbe", "Contoso", "--from", discovery, *reach, "--family", "GenA")
    assert f"ferry catalog add {TITLE}" in stage.ferry(*listed, "--model", "GenA100").out
    words = (TITLE, "--discovery", discovery, *reach, "--signing-ca", "authority.pem")
    stage.ferry(*ADD, *words)
    assert verdicts(stage) == dict.fromkeys(NAMES, "proven")
    records = (stage / "catalog" / SHELF).glob("*.held.json")
    assert {json.loads(path.read_text(encoding="utf-8"))["url"] for path in records} == {
        discovery,
        *facts.values(),
    }


def test_fetch_that_was_cut_goes_on_with_the_same_command(stage, server):
    facts = {ending: f"{server.url}/{TITLE}.{ending}" for ending in ("xml", "zip")}
    make(stage, facts=facts)
    discovery = str(stage / "vendor" / "SBE_Discovery_Contoso.xml")
    words = (TITLE, "--discovery", discovery, "--ca", str(server.ca_file))
    server.faults.status = 404
    assert "404" in stage.ferry(*ADD, *words, expect=4).err
    server.faults.status = None
    stage.ferry(*ADD, *words, expect=1)
    assert held_files(stage) == NAMES


def test_sbe_whose_manifest_names_no_address_is_fetched_by_hand(stage):
    make(stage, facts={"SBEReleaseLink": "https://vendor.example/notes"})
    discovery = str(stage / "vendor" / "SBE_Discovery_Contoso.xml")
    refused = stage.ferry(*ADD, TITLE, "--discovery", discovery, expect=7)
    assert "https://vendor.example/notes" in refused.err
    assert "ferry catalog add" in refused.err


def test_file_of_no_known_sort_is_refused_before_anything_is_added(stage):
    make(stage)
    (stage / "notes.txt").write_text("hello", encoding="utf-8")
    assert "notes.txt" in stage.ferry(*ADD, "vendor", "notes.txt", expect=7).err
    assert not (stage / "catalog").exists()
