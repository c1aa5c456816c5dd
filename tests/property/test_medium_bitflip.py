"""Flip any one bit below data/ or tuf/ and the medium is refused; nothing else ever escapes."""

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.media.making import NOW, Publisher, SiteTrust, flip, make_payload
from toolkit.errors import InputError, TrustError
from toolkit.media import site_recipient
from toolkit.media._bag import (
    decode,
    manifest,
    oxum_fault,
    path_refusal,
    read_declaration,
    read_entries,
    read_fetch,
    read_manifest,
)
from toolkit.media._encryption import SCHEME
from toolkit.media._names import check_path, check_together
from toolkit.media._set import Intent, SetPlan
from toolkit.media._trust import new_trust
from toolkit.media._verify import check_set


@pytest.fixture(scope="module", params=["plain", "encrypted"])
def flipped(tmp_path_factory, request):
    """A medium, and how a site judges it: a new one, and one that accepted it before."""
    base = tmp_path_factory.mktemp("flipped")
    publisher = Publisher(base / "keys")
    payload = make_payload(base / "catalog", data=bytes(range(256)))
    (base / "medium").mkdir()
    recipients = [site_recipient(base / "identity")] if request.param == "encrypted" else []
    more = {"book": base / "book", "recipients": recipients}
    medium = publisher.write(base / "medium", payload, set_name="AZL-1", **more)
    new, known = (SiteTrust(base / name).pin(publisher.root) for name in ("new", "known"))
    known.open(medium.folder)

    def judge(site, damaged=None):
        """Raise what a site raises: for metadata already when it opens, before a payload byte is read."""
        if site is new:
            (new.folder / "state.json").unlink(missing_ok=True)
        opened = site.open(medium.folder, accept_incomplete=True)
        reads_payload = damaged is None or damaged.parent.name == "payload"
        if reads_payload and (problem := opened.verify().problem()):
            raise problem

    files = sorted(
        path
        for path in medium.folder.rglob("*")
        if path.is_file() and path.relative_to(medium.folder).parts[0] in {"data", "tuf"}
    )
    return files, (new, known), judge


def test_the_untouched_medium_is_accepted(flipped):
    _, sites, judge = flipped
    for site in sites:
        judge(site)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_medium_with_any_one_bit_flipped_is_refused(flipped, data):
    files, sites, judge = flipped
    path = data.draw(st.sampled_from(files))
    bit = data.draw(st.integers(0, 8 * path.stat().st_size - 1))
    flip(path, bit)
    try:
        for site in sites:
            with pytest.raises(TrustError):
                judge(site, path)
    finally:
        flip(path, bit)


@pytest.mark.parametrize("flipped", ["plain"], indirect=True)
def test_no_single_bit_of_the_timestamp_can_be_spared(flipped):
    """Every bit: no other signed file holds the timestamp's hash, so spelling has to be exact."""
    files, (new, _), _ = flipped
    (path,) = (path for path in files if path.name == "timestamp.json")
    trust = new_trust((new.folder / "root.json").read_bytes())
    spared = []
    for bit in range(8 * path.stat().st_size):
        flip(path, bit)
        try:
            check_set(path.parents[1], trust, now=NOW)
            spared.append(bit)
        except TrustError:
            pass
        finally:
            flip(path, bit)
    assert spared == []


@given(st.binary(max_size=200))
def test_any_bytes_are_a_set_document_or_an_input_error(data):
    for read in (SetPlan.from_bytes, Intent.from_bytes, read_manifest):
        try:
            read(data, file="x")
        except InputError:
            continue


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_any_bytes_are_tag_files_of_a_bag_or_faults_in_words(data, encoding):
    with contextlib.suppress(ValueError):
        read_declaration(data)
    try:
        text = decode(data, encoding)
    except ValueError:
        return
    entries, _ = read_entries(text, algorithm="md5", version=(1, 0))
    paths, _ = read_fetch(text, version=(1, 0))
    oxum_fault(text, [])
    assert not any(path_refusal(path) for path in (*entries, *paths))


@given(st.text(max_size=60))
def test_a_path_that_is_not_refused_never_leaves_the_bag(tmp_path_factory, text):
    if path_refusal(text) is None:
        bag = tmp_path_factory.getbasetemp() / "bag"
        assert bag in Path(os.path.normpath(bag / text)).parents


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["files", "roots", "set_name", "payloads", "encryption", "recipients"]),
        JSON
        | st.fixed_dictionaries(
            {"scheme": st.just(SCHEME), "recipients": JSON}, optional={"wrapped_key": JSON}
        ),
    ),
    st.booleans(),
    st.sampled_from([1, 2, 3]),
)
def test_any_json_is_a_set_document_or_an_input_error(extra, is_plan, number):
    document = {
        "format": number,
        "kind": "ferry-set" if is_plan else "ferry-set-state",
        "set_id": "x",
        "set_name": "AZL-1",
        "issued_at": "2026-11-01T00:00:00Z",
        "expires_at": "2026-11-01T00:00:00Z",
        "media_count": 1,
        "files": [],
        "roots": [],
        "root": "",
        "payloads": [],
        **extra,
    }
    try:
        (SetPlan if is_plan else Intent).from_bytes(json.dumps(document).encode(), file="x")
    except InputError:
        return


@given(st.text(max_size=60))
def test_an_accepted_path_never_leaves_the_set_folder(tmp_path_factory, text):
    try:
        check_path(text)
    except InputError:
        return
    assert text
    assert not any(part in {"", ".", ".."} for part in text.split("/"))
    assert not set(text) & set('\\:*?"<>|')


NAMES = st.text(alphabet="abcABC.-_019 é", min_size=1, max_size=12)


@given(
    st.dictionaries(NAMES.map("data/{}".format), st.integers(0, 2**256 - 1).map("{:064x}".format))
)
def test_a_manifest_reads_back_as_it_was_written(digests):
    try:
        check_together("AZL-1", digests)
    except InputError:
        return
    assert read_manifest(manifest(digests), file="x") == digests
