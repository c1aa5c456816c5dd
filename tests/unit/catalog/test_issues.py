from __future__ import annotations

import pytest

from tests.unit.catalog.requests import request_of, version
from toolkit.catalog import load_manifests
from toolkit.catalog._issues import Bearing, match_issues, read_issues
from toolkit.errors import InputError
from toolkit.request import DiscoverySource, HealthSummary, ListedUpdate

ISSUES = load_manifests().issues


def matches(request=None, *hops):
    pairs = [(version(start), version(goal)) for start, goal in hops]
    return {item.issue: item for item in match_issues(ISSUES, request or request_of(), pairs)}


ORDINARY = ("12.2510.1002.94", "12.2603.1002.15")


def test_every_row_names_its_guide_its_source_and_what_to_do():
    assert len(ISSUES) == 51
    for issue in ISSUES:
        assert issue.guide.endswith(".md"), issue.issue
        assert issue.source.startswith(("Azure/AzureLocal-Supportability", "MicrosoftDocs/"))
        assert issue.signature
        assert issue.mitigation


def test_every_row_concerns_some_update_between_known_releases():
    library = load_manifests()
    known = [release.version for release in library.releases]
    for issue in ISSUES:
        assert any(issue.names(a, b) for a in known for b in known if a < b), issue.issue


def test_a_row_concerns_a_cluster_that_is_at_or_goes_to_its_release():
    assert "cau-cancelled-marker-msuhostupdate" in matches(
        None, ("12.2603.1002.15", "12.2604.1003.1006")
    )
    assert "cau-cancelled-marker-msuhostupdate" in matches(
        None, ("12.2604.1003.1006", "12.2605.1003.210")
    )
    assert "cau-cancelled-marker-msuhostupdate" not in matches(None, ORDINARY)


def test_a_row_with_a_direction_concerns_only_updates_in_it():
    assert "deployment-launch-type" in matches(None, ("10.2411.3.2", "10.2503.0.13"))
    assert "deployment-launch-type" not in matches(None, ("10.2503.0.13", "11.2504.1001.21"))
    assert "arb-az-accounts" in matches(None, ("10.2408.2.7", "10.2411.0.24"))
    assert "arb-az-accounts" not in matches(None, ("10.2411.0.24", "10.2411.2.12"))


def test_any_hop_of_the_path_is_enough():
    found = matches(None, ("11.2509.1001.21", "11.2510.1002.93"), ORDINARY)
    assert {"update-service-memory", "secure-boot-2023"} <= set(found)


@pytest.mark.parametrize(
    ("count", "bearing"), [(1, Bearing.FITS), (2, None), (4, None), (0, Bearing.OPEN)]
)
def test_single_node_rows_concern_single_nodes(count, bearing):
    found = matches(request_of(node_count=count), ORDINARY).get("sbe-cau-running-after-done")
    assert (found and found.bearing) == bearing


@pytest.mark.parametrize(
    ("answer", "bearing"), [(True, Bearing.FITS), (False, None), (None, Bearing.OPEN)]
)
def test_rows_of_disconnected_operations_concern_such_clusters(answer, bearing):
    request = request_of(is_disconnected_operations=answer)
    hop = ("12.2603.1002.15", "12.2604.1003.1006")
    found = matches(request, hop).get("moc-pre-ssu-disconnected")
    assert (found and found.bearing) == bearing


@pytest.mark.parametrize(
    ("family", "number", "bearing"),
    [("GenA", "", Bearing.FITS), ("", "2.1.0.0", None), ("", "", Bearing.OPEN)],
)
def test_sbe_rows_concern_clusters_with_an_sbe(family, number, bearing):
    request = request_of(sbe_family=family, sbe_version=number)
    found = matches(request, ORDINARY).get("sbe-content-integrity")
    assert (found and found.bearing) == bearing


def test_what_no_request_tells_is_left_open_and_said():
    found = matches(None, ORDINARY)["live-migration-unknown-sid"]
    assert found.bearing is Bearing.OPEN
    assert found.why == "only if a VM was made by a local or deleted account"


def test_a_failed_health_check_points_to_its_issue():
    health = HealthSummary(
        state="Failure", failed_critical=("AzStackHci_ARBStack_ARBIsLocked_N1", "Other")
    )
    found = matches(request_of(health=health), ORDINARY)["arb-lock"]
    assert (found.bearing, "ARBIsLocked_N1" in found.why) == (Bearing.SEEN, True)
    assert matches(None, ORDINARY)["arb-lock"].bearing is Bearing.GENERAL


def test_the_state_of_a_listed_update_points_to_its_issue():
    stuck = ListedUpdate(
        resource_id="redmond/Solution12.2603.1002.15",
        version="12.2603.1002.15",
        state="Downloading",
    )
    found = matches(request_of(updates=(stuck,)), ORDINARY)["downloading-without-end"]
    assert found.bearing is Bearing.SEEN


def test_a_manifest_that_cannot_be_reached_points_to_its_issue():
    source = DiscoverySource(component="SBE", manifest_source="x", status="ConnectionFailure")
    found = matches(request_of(discovery=(source,)), ORDINARY)["sbe-manifest-unreachable"]
    assert found.bearing is Bearing.SEEN
    fine = DiscoverySource(component="SBE", manifest_source="x", status="Ok")
    found = matches(request_of(discovery=(fine,)), ORDINARY)["sbe-manifest-unreachable"]
    assert found.bearing is Bearing.GENERAL


def test_the_nearest_come_first():
    bearings = [item.bearing for item in matches(request_of(node_count=1), ORDINARY).values()]
    order = list(Bearing)
    assert bearings == sorted(bearings, key=order.index)
    assert bearings[0] is Bearing.FITS


def test_a_guide_is_an_address():
    found = matches(None, ORDINARY)["downloading-without-end"]
    assert found.guide.startswith(
        "https://github.com/Azure/AzureLocal-Supportability/blob/main/TSG/"
    )
    assert " " not in found.guide


ROW = (
    "format: 1\nsources: {page: a page}\nissues:\n"
    "  - {id: a, title: t, signature: s, mitigation: m, guide: TSG/a.md, source: page%s}\n"
)


def test_a_small_table_reads():
    (issue,) = read_issues((ROW % ", nodes: single, seen: {update_state: [Ready]}").encode())
    assert (issue.is_single_node, issue.is_general) == (True, True)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (ROW % ", colour: blue", "colour, line 4"),
        (ROW % ", nodes: several", "nodes, line 4"),
        (ROW % ", seen: {}", "seen, line 4"),
        (ROW % ", seen: {unreachable: Internet}", "unreachable, line 4"),
        (ROW % ", affects: [twelve]", r"affects\[0\], line 4"),
        ((ROW % "").replace("guide: TSG/a.md", "guide: ../a.md"), "guide, line 4"),
        ((ROW % "").replace("source: page", "source: hearsay"), "source, line 4"),
        ((ROW % "") + (ROW % "").splitlines()[-1] + "\n", r"issues\[1\], line 5"),
        ((ROW % "").replace("format: 1", "format: 2"), "format, line 1"),
    ],
)
def test_a_row_that_cannot_be_understood_is_refused_with_its_place(text, place):
    with pytest.raises(InputError, match=place):
        read_issues(text.encode(), file="issues.yaml")
