from __future__ import annotations

import pytest

from toolkit.catalog import load_manifests
from toolkit.catalog._paths import VersionPattern, read_paths
from toolkit.errors import InputError

LIBRARY = load_manifests()


def steps(start, goal=None):
    return [str(step.version) for step in LIBRARY.path(start, goal).steps]


# One line for each row of the supported paths (release-information pages, opt-in page, bundle page).
@pytest.mark.parametrize(
    ("start", "goal", "path"),
    [
        # 2402 → 2405.0 via 2402.3 (May 2024)
        ("10.2402.0.23", "10.2405.0.24", ["10.2402.3.10", "10.2405.0.24"]),
        # 2402 → 2405.1 via 2402.4 (June 2024 on)
        ("10.2402.0.23", "10.2405.1.4", ["10.2402.4.4", "10.2405.1.4"]),
        # 2402.3 → 2408.2: 2405.0, 2405.3, 2408, 2408.2
        ("10.2402.3.10", "10.2408.2.7",
         ["10.2405.0.24", "10.2405.3.7", "10.2408.0.29", "10.2408.2.7"]),
        # same train → any later cumulative, skipping
        ("10.2405.0.24", "10.2405.3.7", ["10.2405.3.7"]),
        ("10.2408.0.29", "10.2408.2.7", ["10.2408.2.7"]),
        ("11.2504.1001.19", "11.2509.1001.21", ["11.2509.1001.21"]),
        # 2411 → 2505: 2411.2, 2411.3, 2503, 2504, 2505
        ("10.2411.0.24", "11.2505.1001.22",
         ["10.2411.2.12", "10.2411.3.2", "10.2503.0.13", "11.2504.1001.21", "11.2505.1001.22"]),
        # any → a feature build: the last cumulative before it first
        ("11.2505.1001.22", "11.2510.1002.93", ["11.2509.1001.21", "11.2510.1002.93"]),
        ("12.2505.1001.23", "12.2510.1002.94", ["12.2509.1001.22", "12.2510.1002.94"]),
        # 11.2508 or 11.2509 → 12.25xx by opting in
        ("11.2508.1001.51", "12.2508.1001.52", ["12.2508.1001.52"]),
        ("11.2509.1001.21", "12.2509.1001.22", ["12.2509.1001.22"]),
        # 11.2510.1002.87 → 12.2510.1002.531 directly
        ("11.2510.1002.87", "12.2510.1002.531", ["12.2510.1002.531"]),
        # earlier 11.x → first 11.2510.1002.93
        ("11.2509.1001.21", "12.2510.1002.531", ["11.2510.1002.93", "12.2510.1002.531"]),
        ("11.2504.1001.21", "12.2510.1002.531",
         ["11.2509.1001.21", "11.2510.1002.93", "12.2510.1002.531"]),
        # 11.2510.x → 12.2510.1002.531
        ("11.2510.1002.93", "12.2510.1002.531", ["12.2510.1002.531"]),
        # 12.2509.1001.22 → 12.2510.1002.94, not .531
        ("12.2509.1001.22", "12.2510.1002.94", ["12.2510.1002.94"]),
        # 12.2510 → 12.2511 or later; 11.2510 not straight to 2511
        ("12.2510.1002.94", "12.2511.1002.502", ["12.2511.1002.502"]),
        ("12.2510.1002.531", "12.2603.1002.15", ["12.2603.1002.15"]),
        ("11.2510.1002.93", "12.2511.1002.502", ["12.2510.1002.531", "12.2511.1002.502"]),
        # 12.2511 … 12.2603 → later 12.x of the same feature train, directly
        ("12.2511.1002.502", "12.2603.1002.15", ["12.2603.1002.15"]),
        # 12.2603 → 12.2604 crosses a feature boundary: last cumulative first
        ("12.2601.1002.503", "12.2604.1003.1006", ["12.2603.1002.15", "12.2604.1003.1006"]),
    ],
)  # fmt: skip
def test_every_published_path(start, goal, path):
    assert steps(start, goal) == path


def test_531_is_refused_to_a_cluster_that_runs_24h2_already():
    found = LIBRARY.path("12.2509.1001.22", "12.2510.1002.531")
    assert not found.is_supported
    assert "11.2510.1002.*" in found.reason


def test_94_is_refused_to_a_cluster_that_comes_from_11_2510():
    assert not LIBRARY.path("11.2510.1002.93", "12.2510.1002.94").is_supported


def test_the_two_12_2510_bundles_are_chosen_by_the_starting_point():
    assert "12.2510.1002.94" in steps("12.2509")
    assert "12.2510.1002.531" not in steps("12.2509")
    assert "12.2510.1002.531" in steps("11.2509")
    assert "12.2510.1002.94" not in steps("11.2509")


def test_a_recalled_release_is_never_a_step_and_names_its_successor():
    found = LIBRARY.path("12.2509.1001.22", "12.2510.1002.88")
    assert (found.is_supported, found.steps) == (False, ())
    assert "recalled" in found.reason
    assert "12.2510.1002.94" in found.reason


def test_a_cluster_on_a_recalled_release_is_led_away_from_it():
    assert steps("11.2510.1002.87", "11.2510.1002.93") == ["11.2510.1002.93"]
    assert steps("12.2510.1002.88", "12.2510.1002.94") == ["12.2510.1002.94"]


def test_a_superseded_release_is_a_step_only_when_asked_for():
    assert "12.2602.1002.7" not in steps("12.2601.1002.503")
    assert steps("12.2601.1002.503", "12.2602.1002.7") == ["12.2602.1002.7"]


def test_an_unconfirmed_release_is_never_the_newest():
    found = LIBRARY.path("12.2603.1002.15")
    assert found.is_supported
    assert found.steps == ()
    assert "nothing newer" in found.reason


def test_without_a_goal_the_newest_reachable_bundle_is_the_goal():
    assert str(LIBRARY.path("11.2509").goal) == "12.2603.1002.15"


def test_opt_in_is_not_used_where_an_ordinary_path_exists():
    assert not any(step.opt_in for step in LIBRARY.path("11.2508", "12.2603").steps)


def test_an_opt_in_step_says_what_to_do_first():
    (step,) = LIBRARY.path("11.2509", "12.2509").steps
    assert 'Enable-SolutionFeature -Name "24H2Ready"' in step.opt_in


def test_the_change_to_24h2_lists_the_sbe_minimums_and_other_steps_do_not():
    first, change = LIBRARY.path("11.2509", "12.2510.1002.531").steps
    assert first.sbe_minimums == ()
    assert {item.vendor for item in change.sbe_minimums} == {"HPE", "Dell", "Lenovo", "DataON"}


def test_a_step_is_importable_from_2411_3_on():
    found = LIBRARY.path("10.2411.2.12", "11.2504.1001.21").steps
    assert [(str(step.version), step.importable) for step in found] == [
        ("10.2411.3.2", False),  # no bundle
        ("10.2503.0.13", True),
        ("11.2504.1001.21", True),
    ]


def test_a_cluster_from_22h2_goes_on_like_its_twin():
    assert steps("10.2505.0.16", "11.2509") == ["11.2509.1001.21"]


@pytest.mark.parametrize(
    ("start", "goal", "why"),
    [
        ("12.2601.1002.503", "12.2511.1002.502", "never go down"),
        ("11.2510.1002.93", "12.2505.1001.23", "never go down"),
        ("12.2603.1002.15", "11.2510.1002.93", "never go down"),
        ("12.2603.1002.15", "12.2699.1003.1", "not a solution version"),
        ("12.2603.1002.15", "12.2612.1003.1", "not a release we know of"),
        ("10.2311.0.26", "12.2603.1002.15", "can be installed only from"),
        ("10.2311.0.26", None, "no supported path leads"),
        ("12.2509.1001.22", "12.2504.1001.20", "never go down"),
    ],
)
def test_where_there_is_no_path_the_reason_is_said(start, goal, why):
    if "not a solution" in why:
        with pytest.raises(InputError):
            LIBRARY.path(start, goal)
        return
    found = LIBRARY.path(start, goal)
    assert (found.is_supported, found.steps) == (False, ())
    assert why in found.reason


def test_being_there_already_is_supported():
    found = LIBRARY.path("12.2603", "12.2603")
    assert (found.is_supported, found.steps) == (True, ())
    assert "already" in found.reason


def test_every_rule_and_minimum_names_where_it_was_read():
    for item in (*LIBRARY.rules.rules, *LIBRARY.rules.sbe_minimums):
        assert "(page of " in item.source or "lab notes" in item.source


def test_every_rule_allows_some_step_between_known_releases():
    versions = [release.version for release in LIBRARY.releases]
    for rule in LIBRARY.rules.rules:
        assert any(rule.allows(start, goal) for start in versions for goal in versions), rule.rule


def test_patterns_match_numbers_ranges_and_anything():
    pattern = VersionPattern.parse("12.2504-2509.1001.*")
    found = [str(release.version) for release in LIBRARY.releases if pattern.fits(release.version)]
    assert len(found) == 6
    assert all(version.startswith("12.250") for version in found)


@pytest.mark.parametrize("text", ["12.2504.1001", "12.2509-2504.1001.*", "a.b.c.d", "12..1.2", ""])
def test_a_pattern_that_is_none_is_refused(text):
    with pytest.raises(ValueError):
        VersionPattern.parse(text)


def test_a_rule_of_an_unknown_source_is_refused_with_its_place():
    text = (
        "format: 1\nsources: {page: a page}\n"
        "offline: {lowest_installed: 10.2411.3.2, source: page}\nsbe_minimums: []\n"
        "rules:\n  - {id: a, from: [10.*.*.*], to: [11.*.*.*], text: t, confidence: confirmed,"
        " source: hearsay}\n"
    )
    with pytest.raises(InputError, match=r"rules\[0\].source, line 6"):
        read_paths(text.encode(), file="paths.yaml")
