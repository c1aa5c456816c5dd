from __future__ import annotations

import pytest

from tests.unit.catalog.fakes import FakeSite
from tests.vendorsite.bundle import SbeEntry, sbe_discovery_xml
from tests.vendorsite.signing import make_signer, sign_xml
from toolkit.catalog._document import RETRY_DELAYS_S, read_document
from toolkit.catalog._fetch import InterruptedDownload
from toolkit.catalog._loading import load_sbe_sources
from toolkit.catalog._patience import LONGEST_RETRY_AFTER_S
from toolkit.catalog._sbe_fetch import read_vendor_manifest
from toolkit.catalog._sbe_offers import offers
from toolkit.catalog._xmlsig import Authorities
from toolkit.errors import DownloadError, InputError, SignatureError, StorageError
from toolkit.model import Stance
from toolkit.sbe import ClusterFacts, Hardware

SOURCES = load_sbe_sources()
DELL = "https://aka.ms/AzureStackSBEUpdate/Dell"
DATA = sbe_discovery_xml([SbeEntry("Dell", "AX-16G", "4.2.2506.1600")])
ROOT = make_signer("Known", is_authority=True)
KNOWN = Authorities(roots=(ROOT.certificate,))


class Redirecting(FakeSite):
    """A site whose answers say where they came from in the end."""

    def open(self, url: str, *, offset: int, validator: str):
        answer = super().open(url, offset=offset, validator=validator)
        answer.url = "https://downloads.dell.com/apex/SBE_Discovery_Dell.xml"
        return answer


def read(fetcher, origin=None, manufacturer="dell", **options):
    options = {"authorities": KNOWN} | options
    return read_vendor_manifest(
        manufacturer, origin, sources=SOURCES, fetcher=fetcher, sleep=lambda _: None, **options
    )


def test_manifest_is_read_where_the_vendor_publishes_it_and_the_final_address_is_recorded():
    found = read(Redirecting({DELL: DATA}))
    assert (found.manufacturer, found.asked) == ("Dell", DELL)
    assert found.url == "https://downloads.dell.com/apex/SBE_Discovery_Dell.xml"
    assert found.name == "SBE_Discovery_Dell.xml"
    assert found.content.sbes[0].family == "AX-16G"
    assert (found.data, found.notes) == (DATA, ())


def test_host_that_was_not_seen_before_is_told():
    assert read(FakeSite({DELL: DATA})).notes == (
        "it came from aka.ms; seen before: downloads.dell.com",
    )


def test_manifest_from_an_address_of_ones_own_is_named_after_the_vendor(tmp_path):
    mirror = "https://mirror.example/dell?x=1"
    found = read(FakeSite({mirror: DATA}), mirror)
    assert (found.url, found.name, found.notes) == (mirror, "SBE_Discovery_Dell.xml", ())


def test_signed_query_of_an_address_is_shown_nowhere():
    signed = "https://mirror.example/dell?sig=SECRET"
    found = read(FakeSite({signed: DATA}), signed)
    shown = offers(found, ClusterFacts(hardware=Hardware()))
    assert (shown.asked, shown.url) == ("https://mirror.example/dell?…",) * 2
    refusals = {
        signed: FakeSite({signed: DATA}, announces=len(DATA) + 1),
        f"{signed}&x": FakeSite({f"{signed}&x": bytes(64 << 20)}),
        signed.replace("https", "ftp"): FakeSite(),
    }
    for address, site in refusals.items():
        with pytest.raises((DownloadError, InputError), match=r"mirror\.example") as caught:
            read(site, address)
        assert "SECRET" not in str(caught.value)


def test_manifest_from_a_file_has_no_address(tmp_path):
    path = tmp_path / "SBE_Discovery_HPE-ProLiant-Standard.xml"
    path.write_bytes(sbe_discovery_xml([SbeEntry("HPE", "ProLiant", "4.2.2506.1600")]))
    found = read(FakeSite(), str(path), "HPE")
    assert (found.url, found.asked, found.name) == ("", str(path), path.name)


def test_a_manifest_of_another_vendor_is_refused(tmp_path):
    path = tmp_path / "SBE_Discovery_HPE.xml"
    path.write_bytes(DATA)
    with pytest.raises(InputError, match="SBEs of Dell") as caught:
        read(FakeSite(), str(path), "HPE")
    assert "name its vendor instead: Dell" in caught.value.hint


def test_signature_of_the_vendor_is_told_and_one_that_does_not_hold_refuses_the_manifest():
    signed = sign_xml(DATA, make_signer("Dell Inc.", ROOT))
    assert read(FakeSite({DELL: signed})).signature.stance is Stance.FOR
    with pytest.raises(SignatureError, match="not what was signed"):
        read(FakeSite({DELL: signed.replace(b"2506", b"2507")}))


@pytest.mark.parametrize("origin", ["http://mirror.example/x", "ftp://x.example/y"])
def test_address_without_encryption_is_refused(origin):
    with pytest.raises(InputError, match="https"):
        read(FakeSite(), origin)


def test_missing_file_is_a_storage_error_and_a_page_of_another_kind_an_input_error(tmp_path):
    with pytest.raises(StorageError):
        read(FakeSite(), str(tmp_path / "none.xml"))
    with pytest.raises(InputError, match="the root html"):
        read(FakeSite({DELL: b"<html>sign in</html>"}))


def test_name_that_is_none_is_an_input_error():
    with pytest.raises(InputError, match="no manufacturer's name"):
        read(FakeSite(), None, "..")


def test_document_that_was_cut_is_asked_for_again():
    site, waits = FakeSite({DELL: DATA}, cuts=[10, 20, None]), []
    document = read_document(site, DELL, limit_bytes=1 << 20, sleep=waits.append)
    assert document.data == DATA
    assert waits == list(RETRY_DELAYS_S[:2])
    assert site.closed == site.opened == 3


def test_document_of_a_busy_server_is_not_waited_for_as_long_as_the_server_likes():
    site, waits = FakeSite({DELL: DATA}), []

    def busy(url, offset):
        if len(site.asked) == 1:
            error = InterruptedDownload(f"fetch {url}", found="503 Service Unavailable")
            error.retry_after_s = 1e18
            raise error

    site.on_open = busy
    assert read_document(site, DELL, limit_bytes=1 << 20, sleep=waits.append).data == DATA
    assert waits == [LONGEST_RETRY_AFTER_S]


def test_a_fault_of_our_own_is_not_taken_for_a_wrong_address():
    site = FakeSite({DELL: DATA})

    def fail(url, offset):
        raise UnicodeError

    site.on_open = fail
    with pytest.raises(UnicodeError):
        read_document(site, DELL, limit_bytes=1 << 20)


def test_document_shorter_than_announced_is_given_up_after_some_attempts():
    site, waits = FakeSite({DELL: DATA}, announces=len(DATA) + 1), []
    with pytest.raises(InterruptedDownload, match="as the server announced"):
        read_document(site, DELL, limit_bytes=1 << 20, sleep=waits.append)
    assert waits == list(RETRY_DELAYS_S)


def test_document_longer_than_the_limit_is_not_read_to_its_end():
    site = FakeSite({DELL: bytes(10 << 20)})
    with pytest.raises(DownloadError, match="more than 1000 bytes"):
        read_document(site, DELL, limit_bytes=1000)
    assert site.bytes_served < 1 << 20


def test_document_that_is_not_there_is_not_asked_for_again():
    waits = []
    with pytest.raises(DownloadError, match="404"):
        read_document(FakeSite(), DELL, limit_bytes=1000, sleep=waits.append)
    assert waits == []
