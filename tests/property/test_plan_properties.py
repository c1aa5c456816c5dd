"""For all requests: a plan holds together, carries no wrong SBE, and reads back; garbage is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.catalog.requests import NOW, request_of, sbe_of, version
from toolkit.catalog import load_manifests
from toolkit.catalog._loading import load_sbe_sources
from toolkit.catalog._plan import check_held_sbes, wanted_versions
from toolkit.catalog._plan_file import read_plan, to_bytes
from toolkit.catalog._planning import plan_trip
from toolkit.catalog._sbe_needs import installed_sbe
from toolkit.errors import InputError
from toolkit.request import ListedUpdate
from toolkit.sbe import ClusterFacts, SbeVersion, sbe_named, unfit_reasons

MANIFESTS, SOURCES = load_manifests(), load_sbe_sources()
VERSIONS = [str(release.version) for release in MANIFESTS.releases]
NUMBERS = [
    "2.1.0.0",
    "4.0.0.0",
    "4.1.2505.1020",
    "4.2.2506.14",
    "4.2.2508.3",
    "4.2.2603.5",
    "",
    "x",
]
FAMILIES = ["", "GenA", "GenB", "ThinkAgileMXPremier", "ProLiant-Standard", "AS-HCI-AX-16G-45n0c"]

sbes = st.builds(
    sbe_of,
    st.sampled_from(NUMBERS[2:6]),
    family=st.sampled_from(FAMILIES),
    validated_for=st.lists(
        st.sampled_from(["12.2603.*.*", "12.2510.*.*", "11.*.*.*", "12.*.*.*", "?"]), max_size=2
    ).map(tuple),
    is_recalled=st.booleans(),
)
rows = st.builds(
    ListedUpdate,
    resource_id=st.just("redmond/x"),
    version=st.sampled_from([*VERSIONS, "", "?"]),
    state=st.sampled_from(["AdditionalContentRequired", "Ready", "Installing", "Installed", "New"]),
    package_type=st.sampled_from(["Solution", "SBE", ""]),
    sbe_version=st.sampled_from(NUMBERS),
)
requests = st.builds(
    request_of,
    st.sampled_from(VERSIONS),
    sbe_family=st.sampled_from(FAMILIES),
    sbe_publisher=st.sampled_from(["", "Contoso"]),
    sbe_version=st.sampled_from(NUMBERS),
    node_count=st.integers(0, 3),
    updates=st.lists(rows, max_size=3).map(tuple),
    is_disconnected_operations=st.none() | st.booleans(),
)


def planned(request, known, goal):
    """Return the plan, or None where there is none."""
    with contextlib.suppress(InputError):
        return plan_trip(
            [request],
            signed_by=["plant7"],
            goal=goal and version(goal),
            manifests=MANIFESTS,
            sbes=known,
            sbe_sources=SOURCES,
            held=[],
            now=NOW,
            tool="ferry test",
        )
    return None


trips = st.builds(
    planned,
    requests,
    st.lists(sbes, max_size=4, unique_by=lambda sbe: sbe.title),
    st.none() | st.sampled_from(VERSIONS),
).filter(bool)


@settings(max_examples=60)
@given(plan=trips)
def test_every_plan_holds_together_and_reads_back(plan):
    (cluster,) = plan.clusters
    here = cluster.start
    for hop in cluster.hops:
        assert (hop.start, hop.version > here) == (here, True)
        assert set(hop.payloads) <= {item.place for item in plan.payloads}
        assert hop.is_carried is (hop.version in wanted_versions(plan))
        here = hop.version
    assert here == cluster.goal
    assert read_plan(to_bytes(plan)) == plan


@settings(max_examples=60)
@given(
    request=requests,
    known=st.lists(sbes, max_size=4, unique_by=lambda sbe: sbe.title),
    goal=st.none() | st.sampled_from(VERSIONS),
)
def test_no_sbe_is_chosen_against_which_something_speaks(request, known, goal):
    plan = planned(request, known, goal)
    if plan is None:
        return
    installed = installed_sbe(request)
    for hop in plan.clusters[0].hops:
        for need in hop.sbes:
            for sbe in known:
                if sbe.title == need.title:
                    assert not unfit_reasons(
                        sbe,
                        ClusterFacts(
                            hardware=request.hardware,
                            family=request.sbe_family,
                            installed=installed,
                            solution=hop.start
                            if need.moment == "before the update"
                            else hop.version,
                        ),
                    )
            installed = SbeVersion.parse(need.version) if need.version else installed


@settings(max_examples=30)
@given(plan=trips)
def test_an_sbe_that_is_not_in_the_plan_never_gets_onto_a_medium(plan):
    with pytest.raises(InputError, match="hide"):
        check_held_sbes(plan, [sbe_named("SBE_Other_Foreign_9.9.9.9")])


@given(data=st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_plan_or_refused(data):
    with contextlib.suppress(InputError):
        read_plan(data)


PLAN = to_bytes(
    plan_trip(
        [request_of()],
        signed_by=["plant7"],
        goal=None,
        manifests=MANIFESTS,
        sbes=[sbe_of()],
        sbe_sources=SOURCES,
        held=[],
        now=NOW,
        tool="t",
    )
)


@given(data=st.data())
def test_a_plan_with_a_changed_piece_is_refused_unless_it_means_the_same(data):
    at = data.draw(st.integers(0, len(PLAN) - 1))
    piece = data.draw(st.binary(max_size=3) | st.sampled_from([b"null", b"[]", b"1", b'"', b"\n "]))
    changed = PLAN[:at] + piece + PLAN[at + data.draw(st.integers(0, 6)) :]
    try:
        plan = read_plan(changed)
    except InputError:
        return
    assert plan == read_plan(PLAN)
