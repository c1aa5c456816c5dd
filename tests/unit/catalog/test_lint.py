from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date

import pytest

from tests.unit.catalog.fakes import digest_of, manifest_of, payload_of, witness_of
from toolkit.catalog import load_manifests
from toolkit.catalog._lint import LintKind, is_patterned, lint
from toolkit.catalog._releases import release_of
from toolkit.model import BundleStatus, Decision, Payload, PayloadKind

PIN = digest_of(b"bundle")


def kinds(*manifests):
    releases = [release_of(manifest) for manifest in manifests]
    return [finding.kind for finding in lint(manifests, releases)]


def test_a_clean_manifest_has_no_finding():
    assert kinds(manifest_of(payload_of(b"bundle"))) == []


@pytest.mark.parametrize(
    ("witnesses", "kind"),
    [
        ([PIN, PIN + "5b"], LintKind.MALFORMED_HASH),
        ([PIN, PIN[:-1]], LintKind.MALFORMED_HASH),
        ([PIN, digest_of(b"other")], LintKind.CONFLICTING_HASH),
        ([], LintKind.UNWITNESSED_PIN),
    ],
)
def test_published_hashes_are_questioned(witnesses, kind):
    payload = payload_of(b"bundle", witnesses=tuple(map(witness_of, witnesses)))
    assert kinds(manifest_of(payload)) == [kind]


def test_one_hash_published_for_two_versions_is_found_at_both():
    first = manifest_of(payload_of(b"bundle"))
    second = manifest_of(
        payload_of(b"x", "CombinedSolutionBundle.12.2605.1003.1.zip", sha256=PIN),
        version="12.2605.1003.1",
    )
    assert kinds(first, second) == [LintKind.SHARED_HASH] * 2


def test_a_placeholder_is_found_by_its_repetition():
    placeholder = "3a2e5d7f1b8c9f6a2d7e5b8c9f6a2d7e5b8c9f6a2d7e5b8c9f6a2d7e5b8c9f6a"
    payload = payload_of(b"bundle", witnesses=(witness_of(PIN), witness_of(placeholder)))
    assert LintKind.PATTERNED_HASH in kinds(manifest_of(payload))


def test_real_digests_are_not_patterned():
    digests = [hashlib.sha256(bytes([n])).hexdigest() for n in range(256)]
    assert not any(map(is_patterned, digests))


def test_a_placeholder_that_was_pinned_is_found():
    payload = payload_of(b"x", sha256="3a2e5d7f1b8c9f6a" * 4)
    assert kinds(manifest_of(payload)) == [LintKind.PATTERNED_HASH] * 2


def test_a_payload_without_a_pin_is_found():
    payload = Payload(
        name="CombinedSolutionBundle.12.2604.1003.9.zip",
        kind=PayloadKind.SOLUTION_BUNDLE,
        url="https://vendor.example/12.2604.1003.9.zip",
        witnesses=(),
        sha256=None,
    )
    assert kinds(manifest_of(payload)) == [LintKind.UNPINNED]


def test_a_url_of_another_version_is_found():
    payload = payload_of(b"bundle", "CombinedSolutionBundle.12.2603.1002.15.zip")
    assert kinds(manifest_of(payload)) == [LintKind.FOREIGN_URL]


@pytest.mark.parametrize("status", [BundleStatus.SUPERSEDED, BundleStatus.RECALLED])
def test_a_withdrawn_release_without_successor_is_found(status):
    assert LintKind.NO_SUCCESSOR in kinds(manifest_of(payload_of(b"bundle"), status=status))


def test_an_unknown_successor_is_found():
    manifest = manifest_of(payload_of(b"bundle"), supersedes=("12.2604.1003.1",))
    assert kinds(manifest) == [LintKind.UNKNOWN_VERSION]


def test_a_disagreement_with_the_release_table_is_found():
    manifest = manifest_of(payload_of(b"bundle"))
    table = [release_of(manifest_of(payload_of(b"bundle"), os_build="26100.1"))]
    (finding,) = lint([manifest], table)
    assert finding.kind is LintKind.DISAGREEMENT
    assert "26100.32999" in finding.text


def test_a_manifest_without_sources_is_found():
    assert kinds(manifest_of(payload_of(b"bundle"), sources=())) == [LintKind.UNSOURCED]


def test_a_hash_that_one_version_pins_is_blamed_on_the_other_row_only():
    first = manifest_of(payload_of(b"bundle"))
    name = "CombinedSolutionBundle.12.2605.1003.1.zip"
    pin = digest_of(b"x")
    wrong_row = payload_of(b"x", name, witnesses=(witness_of(pin), witness_of(PIN)))
    second = manifest_of(wrong_row, version="12.2605.1003.1")
    assert kinds(first, second) == [LintKind.CONFLICTING_HASH, LintKind.SHARED_HASH]


def test_a_hash_that_a_person_decided_against_is_no_conflict_any_more():
    witnesses = (witness_of(PIN), witness_of(digest_of(b"other")))
    payload = payload_of(b"bundle", witnesses=witnesses)
    seen_on = witnesses[1].seen_on
    for day, expected in ((seen_on, []), (date(2026, 4, 19), [LintKind.CONFLICTING_HASH])):
        decided = Decision(on=day, by="Ann", why="the vendor's support confirmed it")
        assert kinds(manifest_of(replace(payload, decided=decided))) == expected


@pytest.mark.parametrize(
    ("released_on", "expected"),
    [
        (date(2026, 4, 20), []),
        (date(2026, 4, 19), []),
        (date(2026, 4, 18), [LintKind.DISAGREEMENT]),
        (date(2026, 4, 21), [LintKind.DISAGREEMENT]),
    ],
)
def test_a_bundle_may_be_listed_a_day_after_its_release(released_on, expected):
    manifest = manifest_of(payload_of(b"bundle"))
    table = [release_of(manifest_of(payload_of(b"bundle"), available_on=released_on))]
    assert [finding.kind for finding in lint([manifest], table)] == expected


BELONGS_TO_2503 = "baa0ceb0cf695cccf36e39f70bf2e67e0b886b91cde97f8c2860ce299e2a5126"
DIGITS_63 = "3a2e5d7f1b8c9f6a2d7e5b8c9f6a2d7e5b8c9f6a2d7e5b8c9f6a2d7e5b8c9f6"
DIGITS_66 = "15771552a97785b7ee291587fe62ee678ede850e2250a5407ee6738afef729b65b"


def test_the_shipped_manifests_show_exactly_the_wrong_values_the_publisher_printed():
    findings = load_manifests().lint()
    assert {(str(finding.version), finding.value) for finding in findings} == {
        ("10.2503.0.13", DIGITS_63),
        ("11.2504.1001.19", DIGITS_63),
        ("11.2504.1001.19", BELONGS_TO_2503),
        ("12.2509.1001.22", DIGITS_66),
    }
    assert {finding.kind for finding in findings} == {
        LintKind.MALFORMED_HASH,
        LintKind.PATTERNED_HASH,
        LintKind.SHARED_HASH,
        LintKind.CONFLICTING_HASH,
    }
