"""What was read against what we have: every kind of proposal, and what is safe."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.data import bundle_pages as pages
from toolkit.catalog._bundletable import read_bundle_page
from toolkit.catalog._discovery import read_discovery
from toolkit.catalog._loading import ManifestFile, load_library
from toolkit.catalog._manifest import read_manifest
from toolkit.catalog._manifesttext import write_manifest
from toolkit.catalog._proposals import ProposalKind
from toolkit.catalog._readings import Reading
from toolkit.catalog._refresh import RELEASES, propose
from toolkit.catalog._releases import ReleaseStatus, read_releases
from toolkit.model import BundleStatus, Decision, PayloadKind

LIBRARY = load_library()
ROWS = pages.shipped_rows()
PAGE = f"https://learn.microsoft.com/azure/azure-local/update/{pages.NAME} (page of 2026-04-22)"
OTHER = "https://portal.example/bundles (page of 2026-04-22)"
EDGE = "https://aka.ms/AzureEdgeUpdates (read on 2026-04-23)"
V = "12.2603.1002.15"
FRESH = "C0FFEE00112233445566778899AABBCCDDEEFF1029384756AFBECD0D1E2F3A4B"


def page(rows, source=PAGE, layout=pages.note_column):
    return Reading(
        source=source, seen_on=date(2026, 4, 22), page=read_bundle_page(layout(list(rows)))
    )


def announce(*versions, recalled=()):
    entries = "".join(f'<ApplicableUpdate Version="{version}"/>' for version in versions)
    entries += "".join(f'<RecalledUpdate Version="{version}"/>' for version in recalled)
    text = f"<ASZSolutionBundleUpdates>{entries}</ASZSolutionBundleUpdates>"
    return Reading(source=EDGE, seen_on=date(2026, 4, 23), discovery=read_discovery(text.encode()))


def with_row(version, **facts):
    return [row.but(**facts) if row.version == version else row for row in ROWS]


def kinds(found):
    return [proposal.kind for proposal in found.proposals]


def only(found, version=V):
    (proposal,) = found.proposals
    assert str(proposal.version) == version
    return proposal


def change_of(found, name):
    return next(change for change in found.changes if change.name == name)


def proposed(found, version=V, *, safe=False):
    change = change_of(found, f"{version}.yaml")
    return read_manifest((change.safe if safe else change.after).encode())


# --- nothing new ----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", pages.LAYOUTS, ids=lambda layout: layout.__name__)
def test_the_shipped_manifests_as_a_page_are_nothing_new_in_any_layout(layout):
    found = propose([page(ROWS, layout=layout)], LIBRARY)
    assert found.rows_read == 22
    assert (found.proposals, found.changes, found.diff) == ((), (), "")


def test_a_later_revision_of_the_same_document_adds_no_witness():
    again = page(ROWS, source=PAGE.replace("04-22", "05-30"))
    assert propose([again], LIBRARY).changes == ()


@pytest.mark.parametrize(
    "source",
    [
        f"MicrosoftDocs/azure-stack-docs azure-local/update/{pages.NAME}.md @ 0123abc (page of 2026-04-22)",
        f"https://learn.microsoft.com/en-us/azure/azure-local/update/{pages.NAME}?view=x#tab (page of …)",
        f"{pages.NAME}.md (page of 2026-04-22)",
        f"{pages.NAME.upper()}.HTML (read on 2026-04-22)",
    ],
)
def test_copies_of_one_document_are_one_document(source):
    assert propose([page(ROWS, source=source)], LIBRARY).changes == ()


# --- known versions -------------------------------------------------------------------------------


def test_another_document_with_the_pinned_hash_is_a_further_witness():
    found = propose([page(ROWS[:1], OTHER)], LIBRARY)
    proposal = only(found)
    assert (proposal.kind, proposal.needs_decision) == (ProposalKind.WITNESS, False)
    (payload,) = proposed(found, safe=True).payloads
    assert payload.witnesses[-1].source == OTHER
    assert payload.witnesses[-1].seen_on == date(2026, 4, 22)


def test_one_document_read_twice_is_one_further_witness():
    found = propose([page(ROWS[:1], OTHER), page(ROWS[:1], OTHER)], LIBRARY)
    assert kinds(found) == [ProposalKind.WITNESS]


def test_a_changed_hash_is_a_conflict_with_both_values_and_never_touches_the_pin():
    found = propose([page(with_row(V, sha256=FRESH))], LIBRARY)
    proposal = only(found)
    assert (proposal.kind, proposal.needs_decision) == (ProposalKind.CHANGED_HASH, True)
    assert found.needs_decision
    pinned = ROWS[0].sha256.lower()
    for said in (FRESH.lower(), pinned, "page of 2026-03-23", "2026-03-23"):
        assert said in proposal.text
    assert (proposal.source, proposal.seen_on) == (PAGE, date(2026, 4, 22))
    (payload,) = proposed(found).payloads
    assert payload.sha256 == pinned
    assert payload.witnesses[-1].value == FRESH.lower()
    assert payload.witnesses[-1].comment


def test_a_changed_hash_is_not_part_of_what_is_safe():
    change = change_of(propose([page(with_row(V, sha256=FRESH))], LIBRARY), f"{V}.yaml")
    assert change.safe == change.before


def test_a_conflict_that_is_only_recorded_stays_for_a_person():
    library = holding(propose([page(with_row(V, sha256=FRESH))], LIBRARY), V)
    found = propose([page(with_row(V, sha256=FRESH))], library)
    proposal = only(found)
    assert (proposal.kind, proposal.needs_decision) == (ProposalKind.CHANGED_HASH, True)
    assert "decided" in proposal.text
    assert found.changes == ()


def test_a_conflict_that_a_person_decided_is_nothing_new():
    library = deciding(propose([page(with_row(V, sha256=FRESH))], LIBRARY), date(2026, 4, 22))
    assert propose([page(with_row(V, sha256=FRESH))], library).proposals == ()
    assert propose([page(ROWS)], library).proposals == ()


def test_a_third_hash_after_a_decision_is_a_conflict_again():
    library = deciding(propose([page(with_row(V, sha256=FRESH))], LIBRARY), date(2026, 4, 22))
    found = propose([page(with_row(V, sha256="D" + FRESH[1:]))], library)
    assert only(found).kind is ProposalKind.CHANGED_HASH
    assert len(proposed(found).payloads[0].witnesses) == 3
    assert proposed(found).payloads[0].decided == library.files[-1].manifest.payloads[0].decided


def test_a_changed_hash_in_two_copies_of_a_document_is_one_conflict():
    rows = with_row(V, sha256=FRESH)
    assert kinds(propose([page(rows), page(rows)], LIBRARY)) == [ProposalKind.CHANGED_HASH]


def deciding(found, day):
    """Return the library in which a person took the proposal over and kept the pinned hash."""
    manifest = proposed(found)
    (payload,) = manifest.payloads
    decided = replace(payload, decided=Decision(on=day, by="Ann Other", why='by "phone"'))
    text = write_manifest(replace(manifest, payloads=(decided,)))
    return holding(replace(found, changes=(replace(found.changes[0], after=text),)), V)


def test_a_hash_that_comes_back_after_another_one_is_a_further_witness():
    between = replace(page(with_row(V, sha256=FRESH)), seen_on=date(2026, 4, 1))
    library = holding(propose([between], LIBRARY), V)
    found = propose([page(ROWS)], library)
    assert only(found).kind is ProposalKind.WITNESS
    witnesses = proposed(found).payloads[0].witnesses
    assert [witness.value for witness in witnesses] == [
        ROWS[0].sha256.lower(),
        FRESH.lower(),
        ROWS[0].sha256.lower(),
    ]
    assert propose([page(ROWS)], holding(found, V)).proposals == ()


@pytest.mark.parametrize(
    ("version", "published", "comment"),
    [
        (V, pages.PLACEHOLDER, "63 hex digits and a repeating pattern: a placeholder"),
        (V, "0123456789ABCDEF" * 4, "A repeating pattern: a placeholder"),
        (V, pages.SHIFTED, "Well-formed but wrong row: this is the hash of 10.2503.0.13"),
        (V, ROWS[0].sha256 + "5B", "66 hex digits: trailing 5B"),
        (V, ROWS[0].sha256[:60], "60 hex digits"),
        (V, ROWS[0].sha256.replace("F", "O"), "64 characters, not all hex digits"),
    ],
)
def test_an_impossible_hash_becomes_a_witness_that_says_why(version, published, comment):
    found = propose([page(with_row(version, sha256=published))], LIBRARY)
    proposal = only(found, version)
    assert (proposal.kind, proposal.needs_decision) == (ProposalKind.IMPOSSIBLE_HASH, False)
    (payload,) = proposed(found, version, safe=True).payloads
    assert payload.sha256 == ROWS[0].sha256.lower()
    assert payload.witnesses[-1].value == published.lower()
    assert payload.witnesses[-1].comment == comment


@pytest.mark.parametrize(
    ("version", "published"),
    [
        ("10.2503.0.13", pages.PLACEHOLDER),
        ("11.2504.1001.19", pages.PLACEHOLDER),
        ("11.2504.1001.19", pages.SHIFTED),
        ("12.2509.1001.22", pages.TWO_TOO_MANY),
    ],
)
def test_the_wrong_values_of_old_revisions_are_known_already(version, published):
    assert propose([page(with_row(version, sha256=published))], LIBRARY).changes == ()


@pytest.mark.parametrize(
    ("version", "published", "comment"),
    [
        ("10.2503.0.13", pages.PLACEHOLDER, "63 hex digits and a repeating pattern: a placeholder"),
        (
            "11.2504.1001.19",
            pages.SHIFTED,
            "Well-formed but wrong row: this is the hash of 10.2503.0.13",
        ),
        ("12.2509.1001.22", pages.TWO_TOO_MANY, "66 hex digits: trailing 5B"),
    ],
)
def test_the_wrong_values_of_old_revisions_get_the_comments_that_people_gave_them(
    version, published, comment
):
    found = propose([page(with_row(version, sha256=published)[:22], OTHER)], without_witnesses())
    (payload,) = proposed(found, version).payloads
    assert comment in {witness.comment for witness in payload.witnesses}
    assert payload.sha256 == next(r.sha256 for r in ROWS if r.version == version).lower()
    assert not found.needs_decision


def without_witnesses():
    """Return the library as if nobody had seen the wrong values before."""
    files = []
    for file in LIBRARY.files:
        (payload,) = file.manifest.payloads
        bare = replace(payload, witnesses=payload.witnesses[:1])
        manifest = replace(file.manifest, payloads=(bare,))
        files.append(replace(file, manifest=manifest, text=write_manifest(manifest)))
    manifests = replace(LIBRARY.manifests, manifests=tuple(file.manifest for file in files))
    return replace(LIBRARY, files=tuple(files), manifests=manifests)


def test_a_known_version_whose_row_lost_its_hash_is_for_a_person():
    found = propose([page(with_row(V, sha256=""))], LIBRARY)
    assert only(found).kind is ProposalKind.UNREADABLE
    assert found.needs_decision


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("os_build", "26100.32600"),
        ("available_on", "2026-03-18"),
        ("url", "https://mirror.example/CombinedSolutionBundle.12.2603.1002.15.zip"),
    ],
)
def test_another_fact_is_a_difference_that_a_person_decides(key, value):
    found = propose([page(with_row(V, **{key: value}))], LIBRARY)
    proposal = only(found)
    assert (proposal.kind, proposal.needs_decision) == (ProposalKind.DIFFERENCE, True)
    assert value in proposal.text
    after = proposed(found)
    assert value in (after.os_build, str(after.available_on), after.payloads[0].url)
    assert dict(after.sources)["payloads" if key == "url" else key] == PAGE
    change = change_of(found, f"{V}.yaml")
    assert change.safe == change.before


def test_two_places_with_the_same_difference_are_one_difference():
    rows = with_row(V, available_on="2026-03-18")
    assert kinds(propose([page(rows), page(rows)], LIBRARY)) == [ProposalKind.DIFFERENCE]


def test_an_address_that_is_no_https_is_not_taken_over():
    found = propose(
        [page(with_row(V, url=f"http://v.example/CombinedSolutionBundle.{V}.zip"))], LIBRARY
    )
    assert only(found).kind is ProposalKind.UNREADABLE
    assert found.changes == ()


# --- new versions ---------------------------------------------------------------------------------


def test_a_new_row_is_a_whole_manifest_with_its_hash_pinned():
    row = pages.new_row(note='For "all": clusters # yes')
    found = propose([page([row, *ROWS])], LIBRARY)
    proposal = only(found, row.version)
    assert (proposal.kind, proposal.needs_decision) == (ProposalKind.NEW, False)
    manifest = proposed(found, row.version, safe=True)
    (payload,) = manifest.payloads
    assert payload.sha256 == row.sha256.lower()
    assert payload.name == f"CombinedSolutionBundle.{row.version}.zip"
    assert (payload.url, manifest.os_build) == (row.url, row.os_build)
    assert (str(manifest.available_on), manifest.status) == (row.available_on, BundleStatus.LISTED)
    assert row.note in manifest.notes
    assert set(dict(manifest.sources).values()) == {PAGE}
    assert [(w.source, w.comment) for w in payload.witnesses] == [(PAGE, "")]


def test_a_new_manifest_has_the_form_of_the_shipped_ones():
    shipped = next(file.text for file in LIBRARY.files if str(file.manifest.version) == V)
    found = propose([page([pages.new_row()])], LIBRARY)
    text = change_of(found, "12.2604.1003.5.yaml").after
    assert [line.split(":")[0] for line in text.split("\n")] == [
        line.split(":")[0].replace(V, "12.2604.1003.5")
        for line in shipped.split("\n")
        if not line.startswith(("notes:", "  The newest", "  2026-03-18"))
    ]


@pytest.mark.parametrize(
    ("published", "reason"),
    [
        (pages.PLACEHOLDER, "63 hex digits"),
        (FRESH + "5B", "66 hex digits"),
        ("0123456789ABCDEF" * 4, "placeholder"),
        (pages.SHIFTED, "the hash of 10.2503.0.13"),
        ("", "no hash is published"),
    ],
)
def test_a_new_row_with_an_impossible_hash_is_not_pinned_and_says_why(published, reason):
    row = pages.new_row(sha256=published)
    found = propose([page([row])], LIBRARY)
    manifest = proposed(found, row.version)
    assert manifest.payloads[0].sha256 is None
    assert [w.value for w in manifest.payloads[0].witnesses] == [published.lower()] * bool(
        published
    )
    assert reason in manifest.notes
    assert reason in found.proposals[0].text


def test_two_new_rows_with_one_hash_are_both_not_pinned():
    rows = [pages.new_row(), pages.new_row("12.2604.1003.6")]
    found = propose([page(rows)], LIBRARY)
    for row in rows:
        assert proposed(found, row.version).payloads[0].sha256 is None
    assert "12.2604.1003.6" in proposed(found, rows[0].version).notes


def test_two_hashes_for_a_new_version_are_for_a_person():
    found = propose([page([pages.new_row()]), page([pages.new_row(sha256=FRESH)], OTHER)], LIBRARY)
    assert kinds(found)[0] is ProposalKind.NEW
    assert ProposalKind.CHANGED_HASH not in kinds(found)
    assert found.needs_decision
    (payload,) = proposed(found, "12.2604.1003.5").payloads
    assert payload.sha256 is None
    assert len(payload.witnesses) == 2


def test_a_new_version_is_pinned_to_the_only_hash_that_can_be_right():
    readings = [page([pages.new_row(sha256=pages.PLACEHOLDER)]), page([pages.new_row()], OTHER)]
    (payload,) = proposed(propose(readings, LIBRARY), "12.2604.1003.5").payloads
    assert payload.sha256 == pages.new_row().sha256.lower()
    assert [bool(witness.comment) for witness in payload.witnesses] == [True, False]


def test_a_payload_without_a_pinned_hash_is_pinned_when_a_believable_one_is_published():
    first = propose([page([pages.new_row(sha256=pages.PLACEHOLDER)])], LIBRARY)
    library = holding(first, "12.2604.1003.5")
    found = propose([page([pages.new_row()]), page([pages.new_row()], OTHER)], library)
    assert kinds(found)[:2] == [ProposalKind.PIN, ProposalKind.WITNESS]
    assert not found.needs_decision
    (payload,) = proposed(found, "12.2604.1003.5", safe=True).payloads
    assert payload.sha256 == pages.new_row().sha256.lower()
    assert len(payload.witnesses) == 3


def test_a_payload_without_a_pinned_hash_and_two_believable_ones_is_for_a_person():
    both = [page([pages.new_row()]), page([pages.new_row(sha256=FRESH)], OTHER)]
    library = holding(propose(both, LIBRARY), "12.2604.1003.5")
    third = "D" + FRESH[1:]
    found = propose([page([pages.new_row(sha256=third)])], library)
    assert kinds(found)[:1] == [ProposalKind.CHANGED_HASH]
    assert proposed(found, "12.2604.1003.5").payloads[0].sha256 is None


def holding(found, version):
    """Return the library with the proposed manifest of one version in it."""
    change = change_of(found, f"{version}.yaml")
    manifest = read_manifest(change.after.encode())
    file = ManifestFile(path=Path(change.name), text=change.after, manifest=manifest)
    others = [item for item in LIBRARY.files if str(item.manifest.version) != version]
    files = (*others, file)
    manifests = replace(LIBRARY.manifests, manifests=tuple(item.manifest for item in files))
    return replace(LIBRARY, files=files, manifests=manifests)


def test_what_a_new_row_lacks_is_taken_from_the_table_of_releases():
    row = pages.new_row("12.2504.1001.20", os_build="", available_on="")
    found = propose([page([row], layout=pages.no_os_column)], LIBRARY)
    manifest = proposed(found, row.version)
    assert (manifest.os_build, str(manifest.available_on)) == ("26100.3775", "2025-04-29")
    assert "release-information" in dict(manifest.sources)["os_build"]
    assert dict(manifest.sources)["payloads"] == PAGE


@pytest.mark.parametrize(
    "facts",
    [
        {"available_on": ""},
        {"os_build": "soon"},
        {"url": "http://v.example/CombinedSolutionBundle.zip"},
    ],
)
def test_a_new_row_that_says_too_little_is_for_a_person(facts):
    found = propose([page([pages.new_row(**facts)])], LIBRARY)
    assert kinds(found)[0] is ProposalKind.UNREADABLE
    assert found.needs_decision
    assert not [change for change in found.changes if change.name != RELEASES]


def test_places_that_disagree_about_a_new_version_are_a_difference():
    readings = [page([pages.new_row()]), page([pages.new_row(available_on="2026-04-30")])]
    found = propose(readings, LIBRARY)
    assert kinds(found)[:2] == [ProposalKind.NEW, ProposalKind.DIFFERENCE]
    assert str(proposed(found, "12.2604.1003.5", safe=True).available_on) == "2026-04-21"
    assert str(proposed(found, "12.2604.1003.5").available_on) == "2026-04-30"


def test_a_row_for_a_release_that_was_unconfirmed_corrects_the_table_of_releases():
    found = propose([page([pages.new_row("12.2604.1003.1006")])], LIBRARY)
    table = {str(r.version): r for r in read_releases(change_of(found, RELEASES).after.encode())}
    release = table["12.2604.1003.1006"]
    assert (release.status, release.os_build) == (ReleaseStatus.LISTED, "26100.32999")
    assert release.source == PAGE


def test_a_row_for_a_release_that_was_superseded_stays_superseded():
    manifest = proposed(
        propose([page([pages.new_row("12.2602.1002.7", os_build="26100.32370")])], LIBRARY),
        "12.2602.1002.7",
    )
    assert manifest.status is BundleStatus.SUPERSEDED
    assert manifest.superseded_by == "12.2602.1002.501"


# --- rows that are unreadable, gone, or recalled --------------------------------------------------


def test_an_unreadable_row_is_for_a_person_and_names_its_place():
    row = pages.new_row(url=pages.new_row("12.2604.1003.6").url)
    found = propose([page([row, *ROWS])], LIBRARY)
    (proposal,) = found.proposals
    assert (proposal.kind, proposal.needs_decision) == (ProposalKind.UNREADABLE, True)
    assert "line 10" in proposal.text


def test_a_row_that_is_gone_is_reported_and_changes_nothing():
    found = propose([page(row for row in ROWS if row.version != V)], LIBRARY)
    proposal = only(found)
    assert (proposal.kind, proposal.needs_decision) == (ProposalKind.VANISHED, False)
    assert found.changes == ()


def test_superseded_and_recalled_rows_are_not_missed():
    listed = [r for r in ROWS if r.version not in ("11.2504.1001.19", "12.2510.1002.88")]
    assert propose([page(listed)], LIBRARY).proposals == ()


def test_rows_of_another_document_are_not_missed_on_it():
    found = propose([page(ROWS[:1], OTHER)], LIBRARY)
    assert ProposalKind.VANISHED not in kinds(found)


@pytest.mark.parametrize("rows", [ROWS, ROWS[1:]], ids=["still-there", "gone"])
def test_a_recall_makes_the_manifest_and_the_release_recalled(rows):
    found = propose([page(rows), announce("12.2602.1002.501", recalled=[V])], LIBRARY)
    proposal = only(found)
    assert (proposal.kind, proposal.needs_decision) == (ProposalKind.RECALL, False)
    manifest = proposed(found, safe=True)
    assert manifest.status is BundleStatus.RECALLED
    assert dict(manifest.sources)["status"] == EDGE
    table = {str(r.version): r for r in read_releases(change_of(found, RELEASES).after.encode())}
    assert table[V].status is ReleaseStatus.RECALLED
    assert table[V].os_build == "26100.32522"


def test_a_recall_that_is_known_is_nothing_new():
    assert propose([announce(V, recalled=["12.2510.1002.88"])], LIBRARY).proposals == ()


def test_a_new_row_that_is_recalled_at_once_enters_as_recalled():
    row = pages.new_row()
    found = propose([page([row, *ROWS]), announce(V, recalled=[row.version])], LIBRARY)
    assert proposed(found, row.version).status is BundleStatus.RECALLED


def test_a_recall_of_a_release_without_a_bundle_enters_the_table():
    found = propose([announce(V, recalled=["12.2604.1003.1005", "12.2605.1003.7"])], LIBRARY)
    assert kinds(found) == [ProposalKind.RECALL, ProposalKind.RECALL]
    table = {str(r.version): r for r in read_releases(change_of(found, RELEASES).after.encode())}
    for version in ("12.2604.1003.1005", "12.2605.1003.7"):
        assert table[version].status is ReleaseStatus.RECALLED


# --- the discovery manifest -----------------------------------------------------------------------


def test_a_release_that_is_only_announced_enters_the_table_as_online_only():
    found = propose([page(ROWS), announce(V, "12.2604.1003.500")], LIBRARY)
    assert only(found, "12.2604.1003.500").kind is ProposalKind.RELEASE
    (change,) = found.changes
    assert change.name == RELEASES
    table = {str(r.version): r for r in read_releases(change.after.encode())}
    assert table["12.2604.1003.500"].status is ReleaseStatus.NO_BUNDLE
    assert table["12.2604.1003.500"].source == EDGE


def test_an_announced_release_that_was_unconfirmed_is_confirmed():
    found = propose([announce("12.2608.1003.9")], LIBRARY)
    table = {str(r.version): r for r in read_releases(change_of(found, RELEASES).after.encode())}
    assert table["12.2608.1003.9"].status is ReleaseStatus.NO_BUNDLE
    assert "Reported Ready" in table["12.2608.1003.9"].notes


def test_an_announced_release_that_has_a_row_needs_no_place_in_the_table():
    row = pages.new_row()
    found = propose([page([row, *ROWS]), announce(row.version)], LIBRARY)
    assert [change.name for change in found.changes] == [f"{row.version}.yaml"]


def test_an_announced_release_that_is_known_to_be_online_only_is_nothing_new():
    assert propose([announce("12.2504.1001.20")], LIBRARY).proposals == ()


def test_an_announcement_that_cannot_be_understood_is_remarked():
    found = propose([announce(V, "4.2.2506.1600", recalled=["soon"])], LIBRARY)
    assert len(found.remarks) == 2
    assert (found.proposals, found.changes) == ((), ())


def test_a_manifest_that_declares_no_solution_bundle_is_for_a_person():
    file = next(file for file in LIBRARY.files if str(file.manifest.version) == V)
    (payload,) = file.manifest.payloads
    sbe = replace(payload, kind=PayloadKind.SBE)
    mine = replace(file, manifest=replace(file.manifest, payloads=(sbe,)))
    found = propose([page(ROWS[:1])], replace(LIBRARY, files=(mine,)))
    assert only(found).needs_decision
    assert found.changes == ()


def test_unknown_nodes_files_and_commented_rows_are_remarked():
    text = (
        f'<ASZSolutionBundleUpdates><ApplicableUpdate Version="{V}"><Files Sha256="{ROWS[0].sha256}"/>'
        "</ApplicableUpdate></ASZSolutionBundleUpdates>"
    )
    reading = Reading(
        source=EDGE, seen_on=date(2026, 4, 23), discovery=read_discovery(text.encode())
    )
    shown = page(ROWS)
    hidden = replace(shown, page=replace(shown.page, commented_rows=3))
    remarks = "\n".join(propose([hidden, reading], LIBRARY).remarks)
    assert "3 row(s) are commented out" in remarks
    assert f"which is pinned for {V}" in remarks
    assert "ApplicableUpdate/Files (1)" in remarks
