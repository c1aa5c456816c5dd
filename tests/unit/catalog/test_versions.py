from __future__ import annotations

import pytest

from toolkit.catalog import load_manifests
from toolkit.catalog._versions import resolve_version
from toolkit.errors import InputError
from toolkit.model import SolutionVersion

KNOWN = [release.version for release in load_manifests().releases]


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("12.2603.1002.15", "12.2603.1002.15"),
        ("Solution11.2505.1001.22", "11.2505.1001.22"),
        ("redmond/Solution11.2505.1001.22", "11.2505.1001.22"),
        ("11.2505", "11.2505.1001.22"),
        ("Solution11.2505", "11.2505.1001.22"),
        ("redmond/Solution11.2505", "11.2505.1001.22"),
        ("2411.3", "10.2411.3.2"),
        ("10.2411.3", "10.2411.3.2"),
        ("2503", "10.2503.0.13"),
        ("2505.0", "10.2505.0.16"),
        (" 2408.2 ", "10.2408.2.7"),
    ],
)
def test_short_forms_mean_the_one_version_that_fits(text, full):
    assert str(resolve_version(text, KNOWN)) == full


def test_a_full_version_need_not_be_known():
    assert str(resolve_version("12.2612.1003.1", ())) == "12.2612.1003.1"


def test_an_ambiguous_short_form_lists_every_candidate():
    with pytest.raises(InputError) as caught:
        resolve_version("2505", KNOWN)
    for candidate in ("10.2505.0.16", "11.2505.1001.22", "12.2505.1001.23"):
        assert candidate in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["2699", "12.2699", "", "latest", "4.2.2506.1600", "12.26", "2505x", "12.2603.1002.\u0669"],
)
def test_what_fits_nothing_is_an_input_error(text):
    with pytest.raises(InputError):
        resolve_version(text, KNOWN)


def test_a_beginning_ends_at_a_dot():
    known = [SolutionVersion.parse("12.2604.1003.9"), SolutionVersion.parse("12.2604.1003.90")]
    assert str(resolve_version("12.2604.1003.9", known)) == "12.2604.1003.9"
    with pytest.raises(InputError):
        resolve_version("2604.1003", known)
