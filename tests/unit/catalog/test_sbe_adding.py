"""SBE files into a catalog: what is left behind when it goes well, badly, or half-way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.catalog.fakes import Listener
from tests.vendorsite.bundle import SbeEntry, make_outer_zip, make_sbe, sbe_discovery_xml
from tests.vendorsite.signing import make_signer, sign_xml
from toolkit.catalog import Catalog
from toolkit.catalog._holding import Holding
from toolkit.catalog._sbe import VendorProof, add_sbe, fetch_sbe, is_sbe_source
from toolkit.errors import DownloadError, InputError, StorageError
from toolkit.model import Stance, StatementKind

TITLE = "SBE_Contoso_GenA_4.2.2603.1"
SHELF = "sbe/Contoso_GenA_4.2.2603.1"
BASE = "https://vendor.example/files"
MANIFEST = f"{BASE}/SBE_Discovery_Contoso.xml"


@pytest.fixture
def vendor(tmp_path):
    folder = tmp_path / "vendor"
    folder.mkdir()
    return folder


def make(vendor, **options):
    return make_sbe(vendor, "Contoso", "GenA", "4.2.2603.1", supported_model="X", **options)


def publish(holding, vendor) -> None:
    facts = {ending: f"{BASE}/{TITLE}.{ending}" for ending in ("xml", "zip")}
    for path in make(vendor, facts=facts):
        holding.site.files[f"{BASE}/{path.name}"] = path.read_bytes()


def add(holding, *paths):
    return add_sbe(holding.payloads, paths, progress=holding.listener)


def fetch(holding, title=TITLE, *, discovery=MANIFEST):
    payloads = Holding(holding.root, fetcher=holding.site, retry_delays_s=())
    return fetch_sbe(
        payloads, title, progress=holding.listener, proof=VendorProof(discovery=discovery)
    )


def scratch(holding):
    return [name for name in holding.files() if name.startswith("unpacked-")]


def test_nothing_but_what_is_held_stays_behind(holding, vendor, tmp_path):
    held = add(holding, make_outer_zip(tmp_path / "outer.zip", make(vendor)))
    assert {item.shelf for item in held} == {SHELF}
    assert scratch(holding) == []
    assert holding.catalog.find(SHELF)


def test_nothing_stays_behind_when_the_files_are_refused(holding, vendor, tmp_path):
    three = make(vendor)
    three[0].write_bytes(sbe_discovery_xml([SbeEntry("Contoso", "GenA", "4.2.2601.1")]))
    with pytest.raises(InputError, match="does not list"):
        add(holding, make_outer_zip(tmp_path / "outer.zip", three))
    assert holding.files() == set()


def test_same_sbe_added_twice_is_held_once(holding, vendor):
    make(vendor)
    first = [(item.name, item.path, item.judgement.verdict) for item in add(holding, vendor)]
    again = add(holding, vendor)
    assert [(item.name, item.path, item.judgement.verdict) for item in again] == first
    assert len(holding.catalog.held()) == 3
    assert holding.said("held already")


def test_what_a_killed_process_left_is_seen_and_pruned(holding, vendor):
    make(vendor)
    add(holding, vendor)
    left = holding.root / "unpacked-killed" / f"{TITLE}.zip"
    left.parent.mkdir()
    left.write_bytes(bytes(1000))
    assert left in [item.path for item in holding.catalog.status().unfinished]
    later = Catalog(holding.root, now=lambda: datetime.now(UTC) + timedelta(days=30))
    pruning = later.prune(older_than=timedelta(days=7), progress=Listener())
    assert [item.path for item in pruning.removed] == [left]
    assert holding.catalog.find(SHELF)


def test_files_are_fetched_where_the_manifest_says_they_are(holding, vendor):
    publish(holding, vendor)
    held = fetch(holding)
    assert {item.name: item.url for item in held} == {
        f"{TITLE}.zip": f"{BASE}/{TITLE}.zip",
        f"{TITLE}.xml": f"{BASE}/{TITLE}.xml",
        "SBE_Discovery_Contoso.xml": MANIFEST,
    }
    assert scratch(holding) == []


def test_fetched_manifest_keeps_the_name_under_which_it_is_published(holding, vendor):
    publish(holding, vendor)
    other = f"{BASE}/SBE_Discovery_Contoso-Standard.xml"
    holding.site.files[other] = holding.site.files[MANIFEST]
    names = {item.name for item in fetch(holding, discovery=other)}
    assert "SBE_Discovery_Contoso-Standard.xml" in names


def test_cut_fetch_goes_on_where_it_stopped(holding, vendor):
    publish(holding, vendor)
    package = f"{BASE}/{TITLE}.zip"
    holding.site.cuts = [None, None, 100]  # manifest, metadata, package
    with pytest.raises(DownloadError):
        fetch(holding)
    holding.site.cuts = []
    fetch(holding)
    assert [offset for url, offset, _ in holding.site.asked if url == package] == [0, 100]


def test_manifest_of_a_family_of_its_own_is_asked_for_where_the_plan_says_it_is(holding):
    for title, address in (
        ("SBE_HPE_ProLiant-Standard_4.2.2603.1", "HPE-ProLiant-Standard"),
        ("SBE_HPE_ProLiant-Minimal_4.2.2603.1", "HPE"),
    ):
        with pytest.raises(DownloadError):
            fetch(holding, title, discovery=None)
        assert holding.site.asked[-1][0] == f"https://aka.ms/AzureStackSBEUpdate/{address}"


def test_who_signs_for_a_vendor_under_its_other_name_signs_the_metadata_too(
    holding, vendor, tmp_path
):
    root = make_signer("Known", is_authority=True)
    dell = make_signer("Dell Inc.", root)
    title = "SBE_DellEMC_GenA_4.2.2603.1"
    facts = {ending: f"{BASE}/{title}.{ending}" for ending in ("xml", "zip")}
    for path in make_sbe(
        vendor, "DellEMC", "GenA", "4.2.2603.1",
        supported_model="X", facts=facts, sign=lambda data: sign_xml(data, dell),
    ):  # fmt: skip
        holding.site.files[f"{BASE}/{path.name}"] = path.read_bytes()
    held = fetch_sbe(
        holding.payloads,
        title,
        progress=holding.listener,
        proof=VendorProof(
            discovery=f"{BASE}/SBE_Discovery_DellEMC.xml",
            signing_ca=root.write(tmp_path / "ca.pem"),
        ),
    )
    signed = [
        said.stance
        for item in held
        for said in item.judgement.statements
        if said.kind is StatementKind.SIGNATURE
    ]
    assert signed == [Stance.FOR, Stance.FOR]


def test_title_that_the_manifest_does_not_list_is_refused(holding, vendor):
    publish(holding, vendor)
    with pytest.raises(InputError, match="no such SBE") as caught:
        fetch(holding, "SBE_Contoso_GenA_4.2.2603.2")
    assert "ferry catalog sbe Contoso" in caught.value.hint


def test_recalled_sbe_is_not_fetched(holding, vendor):
    publish(holding, vendor)
    recall = b'<RecalledUpdate Version="4.2.2603.1"/></ASZ'
    holding.site.files[MANIFEST] = holding.site.files[MANIFEST].replace(b"</ASZ", recall)
    with pytest.raises(InputError, match="no such SBE"):
        fetch(holding)
    assert [url for url, _, _ in holding.site.asked] == [MANIFEST]


def test_manifest_with_an_address_for_one_file_only_is_not_enough(holding, vendor):
    publish(holding, vendor)
    data = holding.site.files[MANIFEST]
    holding.site.files[MANIFEST] = data.replace(f"{TITLE}.xml".encode(), b"other.xml")
    with pytest.raises(InputError, match="no address of its files"):
        fetch(holding)


def test_word_that_is_no_title_is_refused(holding):
    with pytest.raises(InputError, match="a title like"):
        fetch(holding, "Contoso")


def test_catalog_that_cannot_be_made_is_a_storage_error(holding, vendor):
    make(vendor)
    holding.root.write_text("a file in its place", encoding="utf-8")
    with pytest.raises(StorageError):
        add(holding, vendor)


def test_what_may_hold_an_sbe_is_told_by_its_name(vendor):
    discovery, metadata, package = make(vendor)
    other = vendor / "notes.txt"
    other.write_bytes(b"")
    assert all(map(is_sbe_source, (discovery, metadata, package, vendor / "outer.zip")))
    assert not is_sbe_source(other)
