from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.catalog.fakes import BASE, digest_of, manifest_of, payload_of
from toolkit.catalog import load_manifests
from toolkit.catalog._inside import ZipFinding, ZipKind, ZipProblem, ZipReport
from toolkit.catalog._witness import Earlier, Measured, judge, other_payloads
from toolkit.model import (
    Decision,
    FileVerdict,
    Payload,
    PayloadKind,
    Sha256,
    SolutionVersion,
    Stance,
    Statement,
    StatementKind,
    Witness,
)

PROVEN, BAD, UNPROVEN = FileVerdict.PROVEN, FileVerdict.BAD, FileVerdict.UNPROVEN
IMPOSSIBLE = FileVerdict.HASH_IMPOSSIBLE
WORSE_TO_BETTER = [BAD, UNPROVEN, IMPOSSIBLE, PROVEN]

FOUND = digest_of(b"the file")
OTHER, THIRD = digest_of(b"another file"), digest_of(b"a third file")
PLACEHOLDER = "3a2e5d7f1b8c9f6a" * 4
LONG = OTHER + "5b"
ELSEWHERE = SolutionVersion.parse("12.2602.1002.501")


def payload(pin=None, published=(), *, size_bytes=None, decided=None):
    """Return a payload with a pinned hash and hashes published on days of one month."""
    return Payload(
        name="CombinedSolutionBundle.12.2603.1002.15.zip",
        kind=PayloadKind.SOLUTION_BUNDLE,
        url=f"{BASE}/bundle.zip",
        witnesses=tuple(
            Witness(value=value, source=f"page {number}", seen_on=date(2026, 3, day))
            for number, (value, day) in enumerate(published)
        ),
        sha256=None if pin is None else Sha256(pin),
        size_bytes=size_bytes,
        decided=decided and Decision(on=date(2026, 3, decided), by="Ann", why="asked the vendor"),
    )


def others(pin, *published):
    """Return another version's payload."""
    name = f"CombinedSolutionBundle.{ELSEWHERE}.zip"
    witnesses = tuple(
        Witness(value=value, source="a page", seen_on=date(2026, 2, 1)) for value in published
    )
    return [(ELSEWHERE, payload_of(b"", name, sha256=pin, witnesses=witnesses))]


def report(*faults, is_deep=True, doubts=()):
    findings = [
        ZipFinding(kind=kind, is_fault=kind.is_fault, member="a", text="is wrong")
        for kind in (*faults, *doubts)
    ]
    return ZipReport(
        name="x.zip",
        kind=ZipKind.SOLUTION_BUNDLE,
        size_bytes=8,
        is_deep=is_deep,
        members=3,
        unfolds_to_bytes=8,
        unchecked=0 if is_deep else 3,
        longest_path="",
        stated_versions=(),
        findings=tuple(findings),
    )


def says(kind, stance=Stance.FOR, source="them"):
    return Statement(kind=kind, stance=stance, text="They say so", source=source)


WHOLE = report()
KIND = StatementKind
SIZE = 8
DECIDED_FOR_OLD = payload(FOUND, [(FOUND, 1), (OTHER, 9)], decided=9)

TABLE = {
    # proven
    "the pinned hash and a whole archive": (PROVEN, payload(FOUND, [(FOUND, 1)]), {"structure": WHOLE}),
    "the pinned hash and the announced size": (PROVEN, payload(FOUND, [(FOUND, 1)]), {"announced": SIZE}),
    "the pinned hash and the declared size": (PROVEN, payload(FOUND, [(FOUND, 1)], size_bytes=SIZE), {}),
    "a hash published on two pages": (PROVEN, payload(FOUND, [(FOUND, 1), (FOUND, 2)]), {}),
    "a pin that no page shows, and a whole archive": (PROVEN, payload(FOUND), {"structure": WHOLE}),
    "a published hash that nobody pinned": (PROVEN, payload(None, [(FOUND, 1)]), {"structure": WHOLE}),
    "a package hash and a whole archive": (
        PROVEN, payload(), {"structure": WHOLE, "statements": [says(KIND.PACKAGE_HASH)]}),
    "a signature and a package hash": (
        PROVEN, payload(), {"statements": [says(KIND.SIGNATURE), says(KIND.PACKAGE_HASH)]}),
    "the pinned hash beside a placeholder": (
        PROVEN, payload(FOUND, [(FOUND, 1), (PLACEHOLDER, 2)]), {"structure": WHOLE}),
    "the pinned hash beside one with digits too many": (
        PROVEN, payload(FOUND, [(FOUND, 1), (LONG, 2)]), {"structure": WHOLE}),
    "the pinned hash beside another release's": (
        PROVEN, payload(FOUND, [(FOUND, 2), (OTHER, 1)]), {"structure": WHOLE, "others": others(OTHER)}),
    "the pinned hash that a page once listed for another version": (
        PROVEN, payload(FOUND, [(FOUND, 1)]), {"structure": WHOLE, "others": others(OTHER, FOUND)}),
    "the hash that replaced an earlier one before it was pinned": (
        PROVEN, payload(FOUND, [(OTHER, 1), (FOUND, 2)]), {"structure": WHOLE}),
    "the older hash that a person decided for": (PROVEN, DECIDED_FOR_OLD, {"structure": WHOLE}),
    "a colleague against a placeholder nobody pinned": (
        PROVEN, payload(None, [(PLACEHOLDER, 1)]),
        {"structure": WHOLE, "statements": [says(KIND.COLLEAGUE)]}),
    "another download that gave other bytes": (
        PROVEN, payload(FOUND, [(FOUND, 1)]),
        {"structure": WHOLE, "earlier": [Earlier(sha256=OTHER, measured_on=date(2026, 3, 1), source="u")]}),
    "a quick look inside and the size": (
        PROVEN, payload(FOUND, [(FOUND, 1)]), {"structure": report(is_deep=False), "announced": SIZE}),
    # file good, published hash impossible
    "a pinned placeholder": (
        IMPOSSIBLE, payload(PLACEHOLDER, [(PLACEHOLDER, 1)]), {"structure": WHOLE}),
    "only a hash with digits too many": (IMPOSSIBLE, payload(None, [(LONG, 1)]), {"structure": WHOLE}),
    "a pin that is also listed for another version": (
        IMPOSSIBLE, payload(OTHER, [(OTHER, 1)]), {"structure": WHOLE, "others": others(OTHER)}),
    "only a hash that another version's row had too": (
        IMPOSSIBLE, payload(None, [(OTHER, 1)]), {"structure": WHOLE, "others": others(None, OTHER)}),
    "a pin that was replaced by the file's hash": (
        IMPOSSIBLE, payload(OTHER, [(OTHER, 1), (FOUND, 2)]), {"structure": WHOLE}),
    "an impossible pin although a colleague vouches": (
        IMPOSSIBLE, payload(PLACEHOLDER),
        {"structure": WHOLE, "statements": [says(KIND.COLLEAGUE)]}),
    # unproven
    "one witness only": (UNPROVEN, payload(FOUND, [(FOUND, 1)]), {}),
    "a colleague and our own measurement": (
        UNPROVEN, payload(), {"statements": [says(KIND.COLLEAGUE), says(KIND.MEASUREMENT)]}),
    "the pinned hash and an earlier download that gave the same bytes": (
        UNPROVEN, payload(FOUND, [(FOUND, 1)]),
        {"earlier": [Earlier(sha256=FOUND, measured_on=date(2026, 3, 1), source="u")]}),
    "one witness said twice": (
        UNPROVEN, payload(), {"statements": [says(KIND.COLLEAGUE), says(KIND.COLLEAGUE)]}),
    "nothing published": (UNPROVEN, payload(), {"structure": WHOLE, "announced": SIZE}),
    "nothing said at all": (UNPROVEN, payload(), {}),
    "an impossible hash and no look inside": (UNPROVEN, payload(PLACEHOLDER), {"announced": SIZE}),
    "an impossible hash and a quick look inside": (
        UNPROVEN, payload(PLACEHOLDER), {"structure": report(is_deep=False)}),
    "the pinned hash was replaced without notice": (
        UNPROVEN, payload(FOUND, [(FOUND, 1), (OTHER, 2)]), {"structure": WHOLE}),
    "two hashes published on one day": (
        UNPROVEN, payload(FOUND, [(FOUND, 1), (OTHER, 1)]), {"structure": WHOLE}),
    "another hash published after the decision": (
        UNPROVEN, payload(FOUND, [(FOUND, 1), (OTHER, 9), (THIRD, 20)], decided=9),
        {"structure": WHOLE}),
    "a hash that two versions pin": (
        UNPROVEN, payload(FOUND, [(FOUND, 1)]), {"structure": WHOLE, "others": others(FOUND)}),
    "a colleague who disagrees with the publisher": (
        UNPROVEN, payload(FOUND, [(FOUND, 1)]),
        {"structure": WHOLE, "statements": [says(KIND.COLLEAGUE, Stance.AGAINST)]}),
    # bad
    "a broken archive": (
        BAD, payload(FOUND, [(FOUND, 1)]), {"structure": report(ZipProblem.DAMAGED_MEMBER)}),
    "a broken archive against a placeholder": (
        BAD, payload(PLACEHOLDER), {"structure": report(ZipProblem.TRUNCATED)}),
    "another length than announced": (
        BAD, payload(FOUND, [(FOUND, 1)]), {"structure": WHOLE, "announced": SIZE + 1}),
    "another length than declared": (
        BAD, payload(FOUND, [(FOUND, 1)], size_bytes=SIZE - 1), {"structure": WHOLE}),
    "another release's file": (BAD, payload(OTHER), {"structure": WHOLE, "others": others(FOUND)}),
    "another release's file in a shifted row": (
        BAD, payload(OTHER, [(OTHER, 2), (FOUND, 1)]), {"structure": WHOLE, "others": others(FOUND)}),
    "another release's file where nothing is pinned": (
        BAD, payload(None, [(PLACEHOLDER, 1)]), {"structure": WHOLE, "others": others(FOUND)}),
    "a possible hash against it": (BAD, payload(OTHER, [(OTHER, 1)]), {"structure": WHOLE}),
    "a possible hash beside an impossible one": (
        BAD, payload(PLACEHOLDER, [(PLACEHOLDER, 1), (OTHER, 2)]), {"structure": WHOLE}),
    "an older hash than the one decided for": (
        BAD, payload(OTHER, [(FOUND, 1), (OTHER, 9)], decided=9), {"structure": WHOLE}),
    "a newer hash than the one decided for": (
        BAD, payload(OTHER, [(OTHER, 1), (FOUND, 9)], decided=9), {"structure": WHOLE}),
    "a hash replaced by a third": (
        BAD, payload(OTHER, [(OTHER, 1), (THIRD, 2)]), {"structure": WHOLE}),
    "a package hash against the pin": (
        BAD, payload(FOUND, [(FOUND, 1)]),
        {"structure": WHOLE, "statements": [says(KIND.PACKAGE_HASH, Stance.AGAINST)]}),
    "a broken signature": (
        BAD, payload(FOUND, [(FOUND, 1)]),
        {"structure": WHOLE, "statements": [says(KIND.SIGNATURE, Stance.AGAINST)]}),
    "a colleague against it and nobody for it": (
        BAD, payload(), {"structure": WHOLE, "statements": [says(KIND.COLLEAGUE, Stance.AGAINST)]}),
}  # fmt: skip


def decide(what, *, announced=None, **said):
    return judge(what, Measured(sha256=FOUND, size_bytes=SIZE, announced_bytes=announced), **said)


@pytest.mark.parametrize(("verdict", "what", "said"), TABLE.values(), ids=TABLE)
def test_the_verdict_follows_from_what_is_said(verdict, what, said):
    assert decide(what, **said).verdict is verdict


@pytest.mark.parametrize(("verdict", "what", "said"), TABLE.values(), ids=TABLE)
def test_every_published_hash_is_a_statement_with_source_and_date(verdict, what, said):
    statements = {(item.source, item.seen_on): item for item in decide(what, **said).statements}
    for witness in what.witnesses:
        statement = statements[(witness.source, witness.seen_on)]
        assert statement.kind is StatementKind.PUBLISHED_HASH
        assert (
            statement.stance is Stance.FOR
            or witness.value in statement.text
            or (statement.stance is Stance.SILENT and witness.value == FOUND)
        )


@pytest.mark.parametrize(("verdict", "what", "said"), TABLE.values(), ids=TABLE)
def test_reasons_are_sentences_and_the_last_says_what_to_do(verdict, what, said):
    reasons = decide(what, **said).reasons
    assert all(reason[0].isupper() or reason.startswith(what.name) for reason in reasons)
    assert reasons[-1].startswith(
        {
            PROVEN: what.name,
            BAD: "Do not use",
            IMPOSSIBLE: "Ask the publisher",
            UNPROVEN: ("Find one more witness", "The witnesses contradict"),
        }[verdict]
    )


def test_another_releases_file_is_the_weightiest_reason():
    found = decide(payload(OTHER), structure=report(ZipProblem.OTHER_VERSION), others=others(FOUND))
    assert f"CombinedSolutionBundle.{ELSEWHERE}.zip" in found.reasons[0]
    assert str(ELSEWHERE) in found.reasons[0]


def test_damage_stands_before_the_hash_and_names_the_member():
    found = decide(payload(OTHER, [(OTHER, 1)]), structure=report(ZipProblem.DAMAGED_MEMBER))
    assert found.reasons[0] == "In the archive, a: is wrong"
    assert OTHER in found.reasons[1]


def test_of_many_faults_a_few_are_named():
    found = decide(payload(), structure=report(*[ZipProblem.DAMAGED_MEMBER] * 8))
    assert "3 more faults" in found.reasons[5]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (LONG, "66 characters, not 64 hex digits"),
        (PLACEHOLDER, "repeats itself"),
        (OTHER, f"also listed for {ELSEWHERE}"),
    ],
)
def test_an_impossible_hash_is_shown_with_the_reason(value, words):
    found = decide(payload(None, [(value, 5)]), structure=WHOLE, others=others(OTHER))
    assert value in found.reasons[0]
    assert words in found.reasons[0]
    assert "(page 0, 2026-03-05)" in found.reasons[0]


def test_a_hash_that_was_set_aside_names_who_decided_and_why():
    found = decide(DECIDED_FOR_OLD, structure=WHOLE)
    assert any("set aside on 2026-03-09 by Ann: asked the vendor" in text for text in found.reasons)


def test_an_impossible_hash_comes_with_a_warning_of_altered_files():
    assert "altered on purpose" in decide(payload(PLACEHOLDER), structure=WHOLE).reasons[-1]


def test_doubts_about_the_inside_are_told_and_change_nothing():
    inside = report(doubts=[ZipProblem.LONG_PATH])
    found = decide(payload(FOUND, [(FOUND, 1)]), structure=inside)
    assert found.verdict is PROVEN
    assert "Worth knowing: a: is wrong" in found.reasons


def test_the_payloads_of_other_names_are_the_others():
    mine, sbe = (
        payload_of(b"mine", "SBE_A_B_4.2.2603.1.zip"),
        payload_of(b"sbe", "SBE_A_B_1.0.0.1.zip"),
    )
    manifests = [manifest_of(mine), manifest_of(mine, sbe, version="12.2605.1003.1")]
    assert [item.name for _, item in other_payloads(manifests, mine)] == [sbe.name]


def test_every_shipped_pin_is_proven_by_its_file_and_no_wrong_value_stops_it():
    library = load_manifests()
    for manifest in library:
        (item,) = manifest.payloads
        measured = Measured(sha256=item.sha256, size_bytes=SIZE)
        found = judge(item, measured, structure=WHOLE, others=other_payloads(library, item))
        assert found.verdict is PROVEN, (manifest.version, found.reasons)


# --- for all statements -----------------------------------------------------------------------------

kinds = st.sampled_from(StatementKind)
sources = st.sampled_from(["one", "two"])
statements = st.lists(st.builds(says, kinds, st.sampled_from(Stance), sources), max_size=5)
values = st.sampled_from([FOUND, OTHER, THIRD, PLACEHOLDER, LONG])
rows = st.builds(
    payload,
    st.none() | st.sampled_from([FOUND, OTHER, PLACEHOLDER]),
    st.lists(st.tuples(values, st.integers(1, 28)), max_size=4),
    size_bytes=st.sampled_from([None, None, SIZE, 9]),
)
decisions = st.none() | st.integers(1, 28)
surroundings = st.fixed_dictionaries(
    {},
    optional={
        "structure": st.sampled_from(
            [WHOLE, report(is_deep=False), report(ZipProblem.DAMAGED_MEMBER)]
        ),
        "others": st.sampled_from([others(OTHER), others(FOUND), others(THIRD, FOUND, OTHER)]),
        "announced": st.sampled_from([SIZE, 9]),
    },
)


def rank(judgement):
    return WORSE_TO_BETTER.index(judgement.verdict)


@given(row=rows, around=surroundings, said=statements, kind=kinds, source=sources)
def test_one_more_statement_for_a_file_never_makes_it_worse(row, around, said, kind, source):
    before = decide(row, **around, statements=said)
    after = decide(row, **around, statements=[*said, says(kind, Stance.FOR, source)])
    assert rank(after) >= rank(before)


@given(row=rows, around=surroundings, said=statements, kind=kinds, source=sources)
def test_one_more_statement_against_a_file_never_makes_it_better(row, around, said, kind, source):
    before = decide(row, **around, statements=said)
    after = decide(row, **around, statements=[*said, says(kind, Stance.AGAINST, source)])
    assert rank(after) <= rank(before)
    assert after.verdict in (BAD, UNPROVEN)


@given(
    published=st.lists(st.tuples(values, st.integers(1, 28)), max_size=4),
    pin=st.none() | st.sampled_from([FOUND, OTHER, PLACEHOLDER]),
    around=surroundings,
    said=statements,
    day=st.integers(1, 28),
)
def test_one_more_publication_of_the_files_hash_never_makes_it_worse(
    published, pin, around, said, day
):
    before = decide(payload(pin, published), **around, statements=said)
    more = payload(pin, [*published, (FOUND, day)])
    assert rank(decide(more, **around, statements=said)) >= rank(before)


@given(
    published=st.lists(st.tuples(values, st.integers(1, 28)), max_size=4),
    pin=st.none() | st.sampled_from([FOUND, OTHER, PLACEHOLDER]),
    decided=decisions,
    around=surroundings,
    said=statements,
)
def test_no_file_is_proven_that_is_not_what_we_pin(published, pin, decided, around, said):
    row = payload(pin, published, decided=decided if pin else None)
    found = decide(row, **around, statements=said)
    if found.verdict is PROVEN:
        assert pin in (None, FOUND)
        assert {item.stance for item in found.statements} <= {Stance.FOR, Stance.SILENT}
        assert len({(i.kind, i.source) for i in found.statements if i.stance is Stance.FOR}) > 1
