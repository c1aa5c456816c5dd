"""For all inputs: a vendor's XML is read or refused, and a signature speaks for what was signed alone."""

from __future__ import annotations

import base64
import contextlib
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vendorsite.bundle import SbeEntry, sbe_discovery_xml
from tests.vendorsite.signing import make_signer, sign_xml
from toolkit.catalog._sbe_metadata import read_sbe_metadata
from toolkit.catalog._xmlsig import Authorities, check_signature
from toolkit.errors import InputError
from toolkit.model import Stance
from toolkit.names import payload_name
from toolkit.sbe import read_sbe_manifest

GOOD = sbe_discovery_xml(
    [
        SbeEntry("Contoso", "GenA", "4.1.2410.5", (("AX", "P1;P2", ""),), "ab" * 32),
        SbeEntry("Contoso", "GenB", "4.1.2410.5", is_recalled=True),
    ]
)
ROOT = make_signer("Known", is_authority=True)
KNOWN = Authorities(roots=(ROOT.certificate,))
SIGNED = sign_xml(GOOD, make_signer("Contoso", ROOT))
NAMES = ("ApplicableUpdate", "RecalledUpdate", "UpdateInfo", "SupportedModel", "packageHash", "x")
TEXTS = (
    "4.1.2410.5",
    "SBE_V_F_4.1.2410.5",
    "ab" * 32,
    "10.2408.*.*",
    "https://a.example/b",
    "../x",
)


def check(data: bytes):
    return check_signature(
        data, name="x", authorities=KNOWN, signers=["Contoso"], now=datetime.now(UTC)
    )


READERS = [read_sbe_manifest, read_sbe_metadata, check]


@pytest.mark.parametrize("read", READERS)
@given(data=st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(read, data):
    with contextlib.suppress(InputError):
        read(data)


@pytest.mark.parametrize("read", READERS)
@given(data=st.data())
def test_a_document_with_a_changed_piece_is_read_or_refused(read, data):
    at = data.draw(st.integers(0, len(SIGNED) - 1))
    length = data.draw(st.integers(0, 40))
    piece = data.draw(st.binary(max_size=6) | st.sampled_from([b"<", b"/>", b'"', b"<!-- -->"]))
    with contextlib.suppress(InputError):
        read(SIGNED[:at] + piece + SIGNED[at + length :])


elements = st.recursive(
    st.sampled_from(TEXTS),
    lambda inner: st.tuples(
        st.sampled_from(NAMES),
        st.dictionaries(st.sampled_from(("Version", "Family", "Sha256")), st.sampled_from(TEXTS)),
        st.lists(inner, max_size=4),
    ),
    max_leaves=20,
)


def xml(element) -> str:
    if isinstance(element, str):
        return element
    name, attributes, children = element
    written = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(map(xml, children))}</{name}>"


@given(element=elements)
def test_whatever_an_entry_says_its_name_can_be_a_files_name(element):
    try:
        manifest = read_sbe_manifest(f"<Updates>{xml(element)}</Updates>".encode())
    except InputError:
        return
    for sbe in manifest.sbes:
        assert payload_name(f"{sbe.title}.zip")
        assert all(address.startswith("https://") for _, address in sbe.urls)


@given(element=elements)
def test_whatever_metadata_lists_has_a_path_and_at_most_one_hash(element):
    for file in read_sbe_metadata(f"<Sbe>{xml(element)}</Sbe>".encode()).files:
        assert file.path
        assert file.sha256 is None or len(file.sha256) == 64


@given(at=st.integers(0, len(SIGNED) - 1), mask=st.integers(1, 255))
def test_a_changed_byte_takes_the_signature_away_or_changes_nothing_that_is_read(at, mask):
    data = bytearray(SIGNED)
    data[at] ^= mask
    try:
        checked = check(bytes(data))
    except InputError:
        return
    if checked.statement.stance is Stance.FOR:
        assert checked.content == check(SIGNED).content


CERTIFICATE = re.search(rb"X509Certificate>([^<]+)<", SIGNED)[1]


@given(at=st.integers(0, len(base64.b64decode(CERTIFICATE)) - 1), byte=st.integers(0, 255))
def test_a_certificate_with_a_changed_byte_never_stops_the_reading(at, byte):
    odd = bytearray(base64.b64decode(CERTIFICATE))
    odd[at] = byte
    checked = check(SIGNED.replace(CERTIFICATE, base64.b64encode(odd)))
    if checked.statement.stance is Stance.FOR:
        assert bytes(odd) == base64.b64decode(CERTIFICATE)
