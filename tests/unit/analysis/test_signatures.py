from __future__ import annotations

import pytest

from tests.unit.analysis.cases import case, text
from tests.unit.analysis.signature_samples import SAMPLES
from toolkit.analysis._rules import RULES
from toolkit.analysis._rules.signatures import SIGNATURES
from toolkit.analysis._texts import normal

TWINS = {"cau-retry-canceled-msuhostupdate-breadcrumb", "cau-retry-canceled-sbe-breadcrumb"}
RULE = {rule.id: rule for rule in RULES}


def found_in(raw: str, *, check: str = "", target: str = "") -> set[str]:
    judged = case(texts=[text(raw, check=check, target=target)])
    return {name for name in SIGNATURES if list(RULE[name].find(judged))}


def test_every_signature_has_a_sample() -> None:
    assert set(SAMPLES) == set(SIGNATURES)


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_is_recognised_by_its_signature_and_no_other(name: str) -> None:
    assert found_in(SAMPLES[name][0]) == (TWINS if name in TWINS else {name})


@pytest.mark.parametrize("name", SAMPLES)
def test_near_miss_is_not_recognised(name: str) -> None:
    assert name not in found_in(SAMPLES[name][1])


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_is_recognised_in_any_case_and_wrapped_over_lines(name: str) -> None:
    assert name in found_in(SAMPLES[name][0].replace(" ", "\r\n  ").upper())


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("redmond/Solution12.2604.1003.209/x", "cau-retry-canceled-msuhostupdate-breadcrumb"),
        ("redmond/Solution11.2505.1001.22/x", "cau-retry-canceled-sbe-breadcrumb"),
    ],
)
def test_twins_are_told_apart_by_the_update(target: str, expected: str) -> None:
    assert found_in(SAMPLES[expected][0], target=target) == {expected}


def test_twins_are_both_reported_where_the_update_does_not_tell() -> None:
    sample = SAMPLES["cau-retry-canceled-sbe-breadcrumb"][0]
    assert found_in(sample, target="redmond/Solution12.2512.1002.16/x") == TWINS


def test_generic_signature_gives_way_to_an_exact_one_in_the_same_text() -> None:
    generic = SAMPLES["cau-run-failed-max-failed-nodes"][0]
    exact = SAMPLES["cau-node-restart-timeout"][0]
    assert found_in(f"{generic} {exact}") == {"cau-node-restart-timeout"}


def test_signature_of_a_check_does_not_fit_another_check() -> None:
    sample = SAMPLES["dns-no-server-configured"][0]
    assert found_in(sample, check="AzStackHci_Connectivity_Test_Dns_N1") == {
        "dns-no-server-configured"
    }
    assert found_in(sample, check="AzStackHci_Hardware_Test") == set()


def test_escapes_and_typographic_quotes_are_undone() -> None:
    assert (
        normal(r"Type \u0027A\u0027 of Role &apos;B&apos; “x”\u00A0")
        == "Type 'A' of Role 'B' \"x\"\\u00A0"
    )
    assert normal("a\xa0b") == "a b"


def test_evidence_names_the_nodes_in_the_title() -> None:
    judged = case(texts=[text(SAMPLES["cau-node-restart-timeout"][0], node="N2")])
    (hit,) = RULE["cau-node-restart-timeout"].find(judged)
    assert hit.facts["where"] == " (N2)"
