"""The vendor's discovery manifest over real HTTPS: redirects, hosts, what a bad server does."""

from __future__ import annotations

import pytest

from tests.vendorsite.bundle import SbeEntry, sbe_discovery_xml
from tests.vendorsite.server import VendorServer
from toolkit.catalog._fetch import HttpsFetcher
from toolkit.catalog._loading import load_sbe_sources
from toolkit.catalog._sbe_fetch import read_vendor_manifest
from toolkit.catalog._xmlsig import Authorities
from toolkit.errors import DownloadError

pytestmark = pytest.mark.network

NAME = "SBE_Discovery_Contoso.xml"


@pytest.fixture
def vendor(tmp_path):
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / NAME).write_bytes(sbe_discovery_xml([SbeEntry("Contoso", "GenA", "4.2.2603.1")]))
    with VendorServer(folder, tls_dir=tmp_path / "tls") as server:
        yield server


def read(origin: str, ca_file):
    return read_vendor_manifest(
        "Contoso",
        origin,
        sources=load_sbe_sources(),
        fetcher=HttpsFetcher(ca_file),
        authorities=Authorities(roots=()),
        sleep=lambda _: None,
    )


def test_redirect_to_another_host_is_followed_and_its_address_recorded(vendor, tmp_path):
    with VendorServer(vendor.folder, tls_dir=tmp_path / "tls2") as short:
        both = tmp_path / "both.pem"
        both.write_bytes(vendor.ca_file.read_bytes() + short.ca_file.read_bytes())
        short.faults.redirect_to = f"{vendor.url}/{NAME}"
        found = read(f"{short.url}/AzureStackSBEUpdate/Contoso", both)
    assert found.url == f"{vendor.url}/{NAME}"
    assert found.name == NAME
    assert found.content.sbes[0].title == "SBE_Contoso_GenA_4.2.2603.1"


def test_redirect_away_from_https_is_refused(vendor):
    vendor.faults.redirect_to = "http://127.0.0.1:9/x"
    with pytest.raises(DownloadError, match="https"):
        read(f"{vendor.url}/x", vendor.ca_file)


def test_server_that_is_busy_for_a_moment_is_asked_again(vendor):
    vendor.faults.status, vendor.faults.status_times = 503, 2
    assert read(f"{vendor.url}/{NAME}", vendor.ca_file).content.publisher == "Contoso"
    assert [request.status for request in vendor.requests] == [503, 503, 200]


def test_manifest_that_is_not_there_is_a_reach_error(vendor):
    with pytest.raises(DownloadError, match="404"):
        read(f"{vendor.url}/none", vendor.ca_file)
