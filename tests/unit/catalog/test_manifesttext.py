"""Manifests as text: new ones in the house's form, and changes that touch nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from toolkit.catalog._loading import load_library
from toolkit.catalog._manifest import read_manifest
from toolkit.catalog._manifesttext import (
    add_witness,
    pin,
    set_fact,
    set_release,
    set_url,
    write_manifest,
)
from toolkit.catalog._releases import ReleaseStatus, read_releases
from toolkit.model import BundleStatus, SolutionVersion, Witness

LIBRARY = load_library()
FILES = LIBRARY.files
WITNESS = Witness(
    value="ab" * 32, source='a "page" of ours', seen_on=date(2026, 4, 21), comment="wörd: #1"
)
READ_IN = "a page (page of 2026-04-21)"
FLOW = (
    "# mine\nformat: 1\nversion: 12.2604.1003.9  # hand-made\nos_build: '26100.32999'\n"
    "available_on: 2026-04-20\nstatus: listed\npayloads:\n"
    "  - {name: Bundle.zip, kind: solution-bundle, url: 'https://v.example/a.zip', witnesses: []}\n"
    "sources: [{of: [version, os_build, available_on, payloads], read_in: ä}, {of: [status], read_in: b}]\n"
)
FOLDED = FLOW.replace("witnesses: []}", "witnesses: [{value: aa, source: x, seen_on: 2026-01-01}]}")
BLOCK = (
    "format: 1\nversion: 12.2604.1003.9\nos_build: '26100.32999'\navailable_on: 2026-04-20\n"
    "status: listed\npayloads:\n- name: Bundle.zip\n  kind: solution-bundle\n"
    "  url: https://v.example/a.zip  # ours\n  witnesses:\n  - value: aa\n    source: x\n"
    "    seen_on: 2026-01-01\n    comment: >-\n      two\n      lines\n\n# the end\n"
)


def ids(file):
    return str(file.manifest.version)


def changed_lines(before, after):
    return [line for line in after.split("\n") if line not in before.split("\n")]


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_a_written_manifest_reads_as_what_was_written(file):
    assert read_manifest(write_manifest(file.manifest).encode()) == file.manifest


@pytest.mark.parametrize("version", ["12.2512.1002.16", "11.2509.1001.21"])
def test_a_written_manifest_is_the_shipped_text(version):
    file = next(file for file in FILES if ids(file) == version)
    assert write_manifest(file.manifest) == file.text


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_a_witness_is_added_to_a_shipped_manifest_and_nothing_else_changes(file):
    (payload,) = file.manifest.payloads
    after = add_witness(file.text, payload.name, WITNESS)
    wanted = replace(payload, witnesses=(*payload.witnesses, WITNESS))
    assert read_manifest(after.encode()) == replace(file.manifest, payloads=(wanted,))
    assert after.replace("".join(f"{line}\n" for line in added(after)), "") == file.text


def added(text):
    lines = text.split("\n")
    at = next(number for number, line in enumerate(lines) if "ab" * 32 in line)
    return lines[at : at + 4]


@pytest.mark.parametrize("text", [FLOW, FOLDED, BLOCK], ids=["flow", "flow-with-one", "block"])
def test_a_witness_is_added_in_every_style_of_yaml(text):
    after = read_manifest(add_witness(text, "Bundle.zip", WITNESS).encode())
    assert after.payloads[0].witnesses[-1] == WITNESS
    assert after.payloads[0].witnesses[:-1] == read_manifest(text.encode()).payloads[0].witnesses


def test_comments_survive_every_change():
    after = add_witness(BLOCK, "Bundle.zip", WITNESS)
    after = set_fact(pin(after, "Bundle.zip", "cd" * 32), "status", "recalled", read_in=READ_IN)
    assert "# ours" in after
    assert after.endswith("\n\n# the end\n")


@pytest.mark.parametrize("text", [FLOW, FOLDED, BLOCK], ids=["flow", "flow-with-one", "block"])
def test_a_payload_without_a_pinned_hash_gets_one(text):
    after = read_manifest(pin(text, "Bundle.zip", "cd" * 32).encode())
    assert after.payloads[0].sha256 == "cd" * 32


@pytest.mark.parametrize("file", FILES, ids=ids)
def test_a_shipped_manifest_is_recalled_with_its_source(file):
    after = read_manifest(set_fact(file.text, "status", "recalled", read_in=READ_IN).encode())
    sources = tuple(sorted({**dict(file.manifest.sources), "status": READ_IN}.items()))
    assert after == replace(file.manifest, status=BundleStatus.RECALLED, sources=sources)


@pytest.mark.parametrize("text", [FLOW, BLOCK], ids=["flow", "block"])
@pytest.mark.parametrize(
    ("key", "value"),
    [("os_build", "26100.1"), ("available_on", "2026-05-01"), ("status", "recalled")],
)
def test_a_fact_is_changed_in_every_style_of_yaml(text, key, value):
    after = read_manifest(set_fact(text, key, value, read_in=READ_IN).encode())
    assert str(getattr(after, key)) == value
    assert dict(after.sources).get(key, READ_IN) == READ_IN


def test_two_facts_of_one_source_share_its_entry():
    text = next(file.text for file in FILES if ids(file) == "12.2603.1002.15")
    after = set_fact(text, "os_build", "26100.1", read_in=READ_IN)
    after = set_fact(after, "available_on", "2026-05-01", read_in=READ_IN)
    assert "  - of: [os_build, available_on]\n" in after


def test_an_entry_of_a_source_that_is_left_without_keys_goes():
    after = set_fact(FLOW, "status", "recalled", read_in=READ_IN)
    assert "read_in: b" not in after


def test_an_address_is_changed_with_the_source_of_the_payloads():
    url = "https://v.example/b.zip?c={d},e#f:"
    after = read_manifest(set_url(FLOW, "Bundle.zip", url, read_in=READ_IN).encode())
    assert after.payloads[0].url == url
    assert dict(after.sources)["payloads"] == READ_IN


# --- the table of releases ------------------------------------------------------------------------


def releases(**facts):
    text = set_release(
        LIBRARY.releases_text, facts, source="a page, read today", source_name="edge-updates"
    )
    return text, {str(release.version): release for release in read_releases(text.encode())}


def test_a_new_release_is_put_at_its_place():
    text, table = releases(version="12.2604.1003.500", status="no-bundle")
    versions = [str(release.version) for release in read_releases(text.encode())]
    at = versions.index("12.2604.1003.500")
    assert versions[at - 1] == "12.2604.1003.1005"
    assert versions[at + 1] == "12.2604.1003.209"
    assert table["12.2604.1003.500"].source == "a page, read today"
    assert len(changed_lines(LIBRARY.releases_text, text)) == 2


def test_a_release_older_than_all_is_put_last():
    text, _ = releases(version="10.2310.0.1", status="no-bundle")
    assert read_releases(text.encode())[-1].version == SolutionVersion.parse("10.2310.0.1")


def test_a_known_release_is_changed_where_it_stands():
    text, table = releases(version="12.2603.1002.500", status="listed", os_build="26100.32999")
    assert table["12.2603.1002.500"].status is ReleaseStatus.LISTED
    assert len(table) == len(LIBRARY.manifests.releases)
    assert len(changed_lines(LIBRARY.releases_text, text)) == 2


def test_a_source_that_the_table_knows_is_named_once():
    text, _ = releases(version="12.2604.1003.500", status="no-bundle")
    again = set_release(
        text,
        {"version": "12.2604.1003.501", "status": "no-bundle"},
        source="a page, read today",
        source_name="edge-updates",
    )
    assert again.count("a page, read today") == 1


def test_two_sources_with_one_name_get_different_names():
    text, _ = releases(version="12.2604.1003.500", status="no-bundle")
    again = set_release(
        text,
        {"version": "12.2604.1003.501", "status": "no-bundle"},
        source="another page",
        source_name="edge-updates",
    )
    table = {str(release.version): release.source for release in read_releases(again.encode())}
    assert table["12.2604.1003.501"] == "another page"
    assert table["12.2604.1003.500"] == "a page, read today"
