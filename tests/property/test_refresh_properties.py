"""For all pages: they are read or refused, proposals read again, and no pin ever changes."""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data import bundle_pages as pages
from tests.vendorsite.bundle import solution_update_xml
from toolkit.catalog._bundletable import BundlePage, PublishedRow, read_bundle_page
from toolkit.catalog._discovery import DiscoveryManifest, read_discovery
from toolkit.catalog._lint import is_patterned
from toolkit.catalog._loading import load_library
from toolkit.catalog._manifest import read_manifest
from toolkit.catalog._manifesttext import add_witness, plain
from toolkit.catalog._readings import Reading
from toolkit.catalog._refresh import RELEASES, propose
from toolkit.catalog._releases import read_releases
from toolkit.errors import InputError
from toolkit.model import Witness

LIBRARY = load_library()
ROWS = pages.shipped_rows()
PINS = {
    payload.name: payload.sha256 for file in LIBRARY.files for payload in file.manifest.payloads
}
XML = solution_update_xml("12.2603.1002.901", 5 << 20)

PIECES = st.sampled_from(
    [
        "| OS Build | Download URI | SHA256 |\n|--|--|--|\n", "| ", " |", "\n", "<!--", "-->", "```\n",
        "[12.2603.1002.15](https://v.example/CombinedSolutionBundle.12.2603.1002.15.zip)", "<br>", "> - ",
        "Availability date:", "2026-03-17", "26100.32522", ROWS[0].sha256, pages.PLACEHOLDER, "<table>",
        "<tr>", "<td>", "</td>", "</tr>", "</table>", "<a href='https://v.example/CombinedSolutionBundle",
        ".12.2604.1003.5.zip'>12.2604.1003.5</a>", "<script>", "&lt;", "---\nms.date: 99/99/2026\n---\n", "#",
    ]
)  # fmt: skip
DAMAGE = st.tuples(
    st.integers(0, 1 << 20), st.integers(0, 60), PIECES | st.text(max_size=8) | st.just("")
)
DIGITS = st.text("0123456789abcdefABCDEF", min_size=64, max_size=64)
VERSIONS = st.builds(
    lambda month, train, build: f"12.{month}.{train}.{build}",
    st.sampled_from([2604, 2605, 2607, 2612]),
    st.sampled_from([1003, 1004]),
    st.integers(1, 9999),
)


def damaged(data: bytes, damages: list[tuple[int, int, str]]) -> bytes:
    for place, length, piece in damages:
        at = place % (len(data) + 1)
        data = data[:at] + piece.encode() + data[at + length :]
    return data


def check(page: BundlePage | None, announced: DiscoveryManifest | None = None) -> None:
    """Propose, and check what must hold whatever was read."""
    day = date(2026, 4, 22)
    reading = Reading(
        source=f"https://v.example/{pages.NAME}", seen_on=day, page=page, discovery=announced
    )
    try:
        found = propose([reading], LIBRARY)
    except InputError as error:  # a change that cannot be read again is our fault
        raise AssertionError(str(error)) from error
    for change in found.changes:
        if change.name == RELEASES:
            assert read_releases(change.after.encode())
            continue
        before = read_manifest(change.before.encode()) if change.before else None
        for text in (change.after, change.safe):
            manifest = read_manifest(text.encode())
            assert manifest.version == change.version
            for payload in manifest.payloads:
                assert payload.sha256 == PINS.get(payload.name, payload.sha256)
                assert payload.sha256 is None or not is_patterned(payload.sha256)
        if before is not None:
            assert read_manifest(change.safe.encode()).available_on == before.available_on
            assert read_manifest(change.safe.encode()).payloads[0].url == before.payloads[0].url


@pytest.mark.parametrize("read", [read_bundle_page, read_discovery])
@given(data=st.binary(max_size=600) | st.lists(PIECES, max_size=20).map("".join).map(str.encode))
def test_any_bytes_are_read_or_refused(read, data):
    with contextlib.suppress(InputError):
        read(data)


@pytest.mark.parametrize("layout", pages.LAYOUTS, ids=lambda layout: layout.__name__)
@settings(max_examples=15)
@given(damages=st.lists(DAMAGE, min_size=1, max_size=6))
def test_whatever_happens_to_a_page_proposals_read_again_and_pins_stay(layout, damages):
    try:
        page = read_bundle_page(damaged(layout(ROWS), damages))
    except InputError:
        return
    check(page)


@settings(max_examples=60)
@given(damages=st.lists(DAMAGE, min_size=1, max_size=4))
def test_whatever_happens_to_an_announcement_it_is_read_or_refused(damages):
    try:
        announced = read_discovery(damaged(XML, damages))
    except InputError:
        return
    check(None, announced)


@pytest.mark.parametrize("layout", pages.LAYOUTS, ids=lambda layout: layout.__name__)
@settings(max_examples=15)
@given(
    rows=st.dictionaries(
        VERSIONS,
        st.tuples(DIGITS, st.dates(date(2024, 1, 1), date(2030, 1, 1))),
        max_size=5,
        min_size=1,
    )
)
def test_what_is_put_into_a_page_comes_out_of_it(layout, rows):
    written = [
        pages.new_row(version, sha256=digest, available_on=str(day))
        for version, (digest, day) in rows.items()
    ]
    page = read_bundle_page(layout(written))
    assert not page.problems
    found = {(str(row.version), row.sha256, str(row.available_on), row.url) for row in page.rows}
    assert found == {(r.version, r.sha256.lower(), r.available_on, r.url) for r in written}


@settings(max_examples=80)
@given(
    version=VERSIONS | st.sampled_from([row.version for row in ROWS]),
    sha256=st.text("0123456789abcdefz", max_size=70) | st.just(ROWS[3].sha256.lower()),
    os_build=st.sampled_from(["26100.32999", "25398.1", ""]),
    day=st.none() | st.dates(),
    url=st.text(max_size=30).map("https://v.example/{}".format) | st.just("ftp://v.example/a.zip"),
    note=st.text(max_size=200),
)
def test_whatever_a_row_says_its_proposal_reads_again(version, sha256, os_build, day, url, note):
    row = PublishedRow(
        version=LIBRARY.files[0].manifest.version.parse(version),
        os_build=os_build,
        url=url,
        sha256=sha256,
        available_on=day,
        note=note,
        place="line 1",
    )
    check(BundlePage(rows=(row,), problems=(), commented_rows=0, revised_on=None, address=""))


@settings(max_examples=80)
@given(
    file=st.sampled_from(LIBRARY.files),
    source=st.text(min_size=1, max_size=60).filter(plain),
    comment=st.text(max_size=60),
)
def test_any_witness_is_added_as_it_is(file, source, comment):
    (payload,) = file.manifest.payloads
    witness = Witness(value="ab" * 32, source=source, seen_on=date(2026, 4, 22), comment=comment)
    added = read_manifest(add_witness(file.text, payload.name, witness).encode())
    last = added.payloads[0].witnesses[-1]
    assert (last.source, last.comment) == (plain(source), plain(comment))
    assert added.payloads[0].witnesses[:-1] == payload.witnesses
