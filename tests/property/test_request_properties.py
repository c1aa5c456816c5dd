"""Requests: what is written comes back, and whatever arrives is a request or is refused properly."""

import json
import string
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.made_requests import make_request
from toolkit.errors import InputError, SignatureError
from toolkit.request import (
    KIND,
    DiscoverySource,
    EndpointReach,
    HealthSummary,
    ListedUpdate,
    Origin,
    SiteRequest,
    VolumeSpace,
    from_paper,
    read_answers,
    read_request,
    render_page,
    to_bytes,
    to_paper,
)
from toolkit.sbe import Hardware
from toolkit.signed import open_key, seal, unseal

texts = st.text(max_size=12)
names = texts.filter(lambda text: text.strip() and text.isprintable())
pairs = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
counts = st.integers(0, (1 << 53) - 1)
times = st.integers(0, 200_000_000_000_000).map(
    lambda milliseconds: datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
)
uuids = st.uuids().map(str)


def many(noun):
    return st.lists(noun, max_size=3).map(tuple)


requests = st.builds(
    SiteRequest,
    request_id=uuids,
    site_id=uuids,
    cluster=names,
    made_at=times,
    origin=st.sampled_from(Origin),
    tool=texts,
    solution_version=texts,
    package_versions=pairs,
    sbe_publisher=texts,
    sbe_family=texts,
    sbe_version=texts,
    sbe_state=texts,
    hardware=st.builds(Hardware, manufacturer=texts, model=texts, sku=texts),
    node_count=counts,
    update_state=texts,
    updates=many(
        st.builds(
            ListedUpdate,
            resource_id=texts,
            version=texts,
            state=texts,
            package_type=texts,
            sbe_version=texts,
            sbe_family=texts,
            sbe_publisher=texts,
            min_version_required=texts,
            min_sbe_version_required=texts,
            prerequisites=many(texts),
        )
    ),
    discovery=many(
        st.builds(
            DiscoverySource,
            component=texts,
            manifest_source=texts,
            status=texts,
            description=texts,
        )
    ),
    volumes=many(
        st.builds(VolumeSpace, node=texts, volume=texts, free_bytes=counts, size_bytes=counts)
    ),
    language_modes=pairs,
    health=st.builds(
        HealthSummary, state=texts, failed_critical=many(texts), failed_warning=many(texts)
    ),
    endpoints=many(
        st.builds(EndpointReach, group=texts, address=texts, is_reachable=st.booleans())
    ),
    is_disconnected_operations=st.none() | st.booleans(),
    time_floor=st.none() | times,
    trusted_metadata=st.dictionaries(texts, counts, max_size=3),
    unknown=pairs,
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 52) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return open_key(tmp_path_factory.mktemp("key") / "request.key.pem")


@given(request=requests)
def test_request_survives_file_and_paper(key, request):
    data = to_bytes(request, key)
    assert read_request(data)[0] == request
    assert read_request("\n".join(to_paper(data)).encode())[0] == request
    assert from_paper("\n".join(reversed(to_paper(data))).encode()) == data


@given(request=requests)
@settings(max_examples=30)
def test_every_request_has_a_page(key, request):
    page = render_page(request, to_bytes(request, key), key.fingerprint)
    assert page.startswith("<!doctype html>")


@given(data=st.binary(max_size=200) | texts.map(lambda text: f"FERRY1:{text}".encode()))
def test_any_bytes_are_refused_properly(data):
    with pytest.raises((InputError, SignatureError)):
        read_request(data)


@given(field=st.sampled_from([*SiteRequest.__dataclass_fields__, "format", "x"]), value=plain)
@settings(max_examples=300)
def test_any_signed_value_in_any_place_is_a_request_or_refused(key, field, value):
    body = dict(unseal(to_bytes(make_request(1), key), kind=KIND).body) | {field: value}
    try:
        request, _ = read_request(seal(KIND, body, key))
    except InputError:
        return
    again, _ = read_request(to_bytes(request, key))
    assert again == request
    assert UUID(request.request_id)


@given(at=st.integers(0), bit=st.integers(0, 7))
def test_no_flipped_bit_changes_what_is_asked(key, at, bit):
    data = bytearray(to_bytes(make_request(1), key))
    data[at % len(data)] ^= 1 << bit
    try:
        request, sealed = read_request(bytes(data))
    except (InputError, SignatureError):
        return
    assert (request, sealed.public_hex) == (make_request(1), key.public_hex)


@given(
    at=st.integers(0),
    letter=st.sampled_from(string.ascii_uppercase + string.digits + " :/\n"),
)
def test_no_misread_letter_on_paper_changes_what_is_asked(key, at, letter):
    text = "\n".join(to_paper(to_bytes(make_request(1), key)))
    at %= len(text)
    misread = text[:at] + letter + text[at + 1 :]
    try:
        request, _ = read_request(misread.encode())
    except (InputError, SignatureError):
        return
    assert request == make_request(1)


@given(
    data=st.binary(max_size=200)
    | st.dictionaries(
        st.sampled_from(["format", "cluster", "sbe", "volumes", "updates", "health", "x"]), plain
    ).map(lambda form: json.dumps(form).encode())
)
def test_any_form_is_a_request_or_refused_as_input(data):
    try:
        request = read_answers(data, site_id=str(UUID(int=7)))
    except InputError:
        return
    assert request.origin is Origin.TYPED
