"""What a trip's plan says, for clusters of every kind."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from tests.unit.catalog.fakes import payload_of
from tests.unit.catalog.requests import (
    GIB,
    INFRASTRUCTURE,
    NOW,
    carried_sbes,
    request_of,
    sbe_of,
    version,
)
from toolkit.catalog import load_manifests
from toolkit.catalog._lacking import Supply
from toolkit.catalog._loading import load_sbe_sources
from toolkit.catalog._plan import check_held_sbes, wanted_versions
from toolkit.catalog._plan_file import identified, read_plan, to_bytes
from toolkit.catalog._planning import plan_trip
from toolkit.catalog._space import Room
from toolkit.errors import InputError
from toolkit.model import PayloadKind
from toolkit.request import (
    DiscoverySource,
    EndpointReach,
    HealthSummary,
    ListedUpdate,
    Origin,
    VolumeSpace,
)
from toolkit.sbe import Hardware, sbe_named

MANIFESTS, SOURCES = load_manifests(), load_sbe_sources()
NEWEST = "12.2603.1002.15"
BUNDLE = f"CombinedSolutionBundle.{NEWEST}.zip"
PINNED = MANIFESTS.find(NEWEST).payloads[0].sha256
DISCOVERY = "https://aka.ms/AzureStackSBEUpdate"
NO_SBE = {"sbe_family": "", "sbe_publisher": "", "sbe_version": "2.1.0.0", "sbe_state": "none"}


@dataclass(frozen=True)
class Held:
    """A file on a shelf of the catalog."""

    shelf: str
    name: str
    size_bytes: int = 12 * GIB
    sha256: str = PINNED


def plan_of(
    *requests, goal=None, manifests=MANIFESTS, sbes=(), held=(), named=(), now=NOW, free=None
):
    requests = requests or (request_of(),)
    return plan_trip(
        requests,
        signed_by=[f"whoever knows {request.cluster}" for request in requests],
        goal=goal and version(goal),
        manifests=manifests,
        sbes=sbes,
        sbe_sources=SOURCES,
        held=held,
        now=now,
        tool="ferry test",
        named=named,
        home_free_bytes=free,
    )  # fmt: skip


def one(*args, **keywords):
    (cluster,) = plan_of(*args, **keywords).clusters
    return cluster


def path_of(cluster):
    return [str(hop.version) for hop in cluster.hops]


def warned(cluster):
    return "\n".join(cluster.warnings)


def asks_for(number, goal=NEWEST, state="AdditionalContentRequired"):
    """Return the row with which a cluster asks for an SBE."""
    return ListedUpdate(
        resource_id=f"redmond/Solution{goal}",
        version=goal,
        state=state,
        package_type="Solution",
        sbe_version=number,
    )


# --- path and payloads ----------------------------------------------------------------------------


def test_the_newest_is_the_goal_and_its_bundle_travels():
    plan = plan_of()
    assert path_of(plan.clusters[0]) == [NEWEST]
    assert [(item.name, item.shelf, item.sha256) for item in plan.payloads] == [
        (BUNDLE, NEWEST, PINNED)
    ]
    assert wanted_versions(plan) == (version(NEWEST),)


def test_the_two_12_2510_bundles_are_chosen_by_where_the_cluster_starts():
    plan = plan_of(
        request_of("12.2509.1001.22", cluster="a"), request_of("11.2510.1002.93", cluster="b")
    )
    assert [path_of(item) for item in plan.clusters] == [
        ["12.2510.1002.94", NEWEST],
        ["12.2510.1002.531", NEWEST],
    ]


def test_two_clusters_share_what_both_need():
    plan = plan_of(request_of(cluster="a"), request_of("12.2511.1002.502", cluster="b"))
    (payload,) = plan.payloads
    assert payload.clusters == ("a", "b")


def test_clusters_of_two_sites_with_one_name_are_told_apart():
    other = request_of(site_id="5c1c8d0e-0000-4f0f-8f18-8d8a5a0a4f02")
    assert [item.cluster for item in plan_of(request_of(), other).clusters] == [
        "plant7 (site 0b0f3d3e)",
        "plant7 (site 5c1c8d0e)",
    ]


def test_two_requests_of_one_cluster_are_refused():
    with pytest.raises(InputError, match="two requests of plant7"):
        plan_of(request_of(), request_of())


def test_a_cluster_that_is_there_already_gets_nothing_and_is_told():
    cluster = one(request_of(NEWEST))
    assert (cluster.hops, cluster.note) == ((), f"nothing newer than {NEWEST} is known")
    asked = one(request_of(NEWEST), goal=NEWEST)
    assert "already" in asked.note


def test_a_version_without_a_path_is_refused_with_the_reason_and_the_nearest():
    with pytest.raises(InputError) as caught:
        plan_of(request_of("12.2509.1001.22"), goal="12.2510.1002.531")
    assert "find a path for plant7 from 12.2509.1001.22 to 12.2510.1002.531" in str(caught.value)
    assert "only from 11.2510.1002.*" in caught.value.found
    assert "12.2510.1002.94" in caught.value.expected
    assert caught.value.hint == "plan again with --to 12.2510.1002.94"


def test_a_cluster_from_which_nothing_leads_on_is_refused():
    with pytest.raises(InputError, match="no supported path leads"):
        plan_of(request_of("10.2311.0.26"))


@pytest.mark.parametrize("text", ["", "2510", "4.2.2510.1"])
def test_a_request_without_an_installed_version_is_refused(text):
    with pytest.raises(InputError, match="no installed version"):
        plan_of(request_of(text))


def test_what_cannot_be_imported_needs_another_way_and_says_which():
    cluster = one(request_of("10.2411.0.24", **NO_SBE), goal="11.2504.1001.21")
    assert [(str(hop.version), hop.is_carried) for hop in cluster.hops] == [
        ("10.2411.2.12", False),
        ("10.2411.3.2", False),
        ("10.2503.0.13", True),
        ("11.2504.1001.21", True),
    ]
    first = cluster.hops[0]
    assert "a cluster below 10.2411.3.2 cannot import" in first.other_way
    assert "Azure Update Manager" in first.other_way
    assert (first.payloads, first.predicted) == ((), ())
    assert "10.2411.0.24 to 10.2411.2.12 cannot be carried" in warned(cluster)


def test_a_release_without_a_bundle_says_so():
    cluster = one(request_of("12.2603.1002.15"), goal="12.2604.1003.1006")
    assert "no solution bundle of 12.2604.1003.1006" in cluster.hops[0].other_way
    assert "named by third parties only" in warned(cluster)


def test_an_opt_in_is_said_with_what_has_to_be_done_first():
    (hop,) = one(request_of("11.2509.1001.21"), goal="12.2509.1001.22").hops
    assert 'Enable-SolutionFeature -Name "24H2Ready"' in hop.opt_in


# --- sizes and space ------------------------------------------------------------------------------


def test_an_unknown_size_is_said_and_makes_every_answer_open():
    plan = plan_of(free=500 * GIB)
    assert plan.payloads[0].size_bytes is None
    assert (plan.home.room, plan.home.is_complete) == (Room.UNKNOWN, False)
    infrastructure = plan.clusters[0].space[0]
    assert (infrastructure.place, infrastructure.room) == (INFRASTRUCTURE, Room.UNKNOWN)


def test_the_measured_size_of_a_held_payload_is_used():
    plan = plan_of(held=[Held(NEWEST, BUNDLE)], free=1)
    assert (plan.payloads[0].is_held, plan.payloads[0].size_bytes) == (True, 12 * GIB)
    assert (plan.home.need_bytes, plan.home.room) == (0, Room.ENOUGH)
    assert (plan.medium.need_bytes, plan.medium.is_complete) == (12 * GIB, True)
    assert plan.clusters[0].space[0].need_bytes == 48 * GIB
    assert plan.clusters[0].space[0].room is Room.ENOUGH


def test_a_held_file_with_another_hash_than_the_pinned_one_is_not_that_payload():
    plan = plan_of(held=[Held(NEWEST, BUNDLE, sha256="0" * 64)])
    payload = plan.payloads[0]
    assert (payload.is_held, payload.size_bytes, payload.sha256) == (False, None, PINNED)


def test_too_little_room_on_the_infrastructure_volume_is_a_warning():
    cluster = one(held=[Held(NEWEST, BUNDLE, size_bytes=40 * GIB)])
    assert cluster.space[0].room is Room.SHORT
    assert "too little room on C:\\ClusterStorage\\Infrastructure_1" in warned(cluster)


def test_23h2_takes_three_times_the_zip_and_earlier_copies_stay():
    held = [
        Held(
            number,
            f"CombinedSolutionBundle.{number}.zip",
            size_bytes=10 * GIB,
            sha256=MANIFESTS.find(number).payloads[0].sha256,
        )
        for number in ("11.2509.1001.21", "11.2510.1002.93")
    ]
    cluster = one(request_of("11.2508.1001.51"), goal="11.2510.1002.93", held=held)
    assert cluster.space[0].need_bytes == 40 * GIB


def test_thirty_gigabytes_on_c_are_asked_of_every_node():
    volumes = (VolumeSpace(node="n1", volume="C:", free_bytes=20 * GIB, size_bytes=400 * GIB),)
    space = one(request_of(volumes=volumes)).space
    assert [(item.place, item.room) for item in space] == [
        ("infrastructure volume", Room.UNKNOWN),
        ("C: on n1", Room.SHORT),
        ("C: of the other nodes", Room.UNKNOWN),
    ]


def test_the_catalogs_disk_is_compared_with_what_is_not_held():
    number = "12.2511.1002.502"
    text = MANIFESTS.find(number)
    sized = replace(text, payloads=(replace(text.payloads[0], size_bytes=9 * GIB),))
    manifests = replace(
        MANIFESTS, manifests=(*(item for item in MANIFESTS if item.version != sized.version), sized)
    )
    assert plan_of(goal=number, manifests=manifests, free=8 * GIB).home.room is Room.SHORT
    assert plan_of(goal=number, manifests=manifests, free=10 * GIB).home.room is Room.ENOUGH


# --- which SBE ------------------------------------------------------------------------------------


def test_the_sbe_that_the_update_asks_for_goes_along_even_if_a_newer_one_is_validated():
    request = request_of(updates=(asks_for("4.2.2603.5"),))
    plan = plan_of(request, sbes=[sbe_of("4.2.2603.5"), sbe_of("4.2.2604.1")])
    (need,) = plan.clusters[0].hops[0].sbes
    assert (need.title, need.is_required, need.moment) == (
        "SBE_Contoso_GenA_4.2.2603.5", True, "with the update"
    )  # fmt: skip
    assert carried_sbes(plan) == ("SBE_Contoso_GenA_4.2.2603.5",)


def test_the_three_files_of_an_sbe_travel_together_on_a_shelf_of_their_own():
    digest = "ab" * 32
    plan = plan_of(sbes=[sbe_of(package_sha256=digest, urls=(
        ("SBE_Contoso_GenA_4.2.2603.5.zip", "https://contoso.example/a.zip"),))])  # fmt: skip
    files = {item.name: item for item in plan.payloads if item.kind == "sbe"}
    assert set(files) == {
        "SBE_Contoso_GenA_4.2.2603.5.zip",
        "SBE_Contoso_GenA_4.2.2603.5.xml",
        "SBE_Discovery_Contoso.xml",
    }
    assert {item.shelf for item in files.values()} == {"sbe/Contoso_GenA_4.2.2603.5"}
    package = files["SBE_Contoso_GenA_4.2.2603.5.zip"]
    assert (package.sha256, package.url) == (digest, "https://contoso.example/a.zip")
    assert files["SBE_Discovery_Contoso.xml"].url == "https://aka.ms/AzureStackSBEUpdate/Contoso"


def addresses_of(*endings, title="SBE_Contoso_GenA_4.2.2603.5"):
    return tuple((f"{title}{ending}", f"https://contoso.example/a{ending}") for ending in endings)


@pytest.mark.parametrize(
    ("urls", "where"),
    [
        (addresses_of(".xml", ".zip"), "from its vendor's addresses"),
        (addresses_of(".XML", ".zip", title="sbe_contoso_gena_4.2.2603.5"), "from its vendor's"),
        (addresses_of(".zip"), "from https://contoso.example/sbe/4.2.2603.5"),
        ((), "from https://contoso.example/sbe/4.2.2603.5"),
    ],
)
def test_files_come_from_the_vendors_addresses_only_if_both_are_known(urls, where):
    plan = plan_of(sbes=[sbe_of(urls=urls)])
    assert plan.clusters[0].hops[0].sbes[0].where.startswith(where)
    planned = {item.url for item in plan.payloads if item.kind == "sbe"}
    assert planned >= {url for _, url in urls}


@pytest.mark.parametrize(("update", "is_fetched"), [(NEWEST, True), ("12.2602.1002.501", False)])
def test_files_that_a_manifest_declares_come_with_its_own_update_alone(update, is_fetched):
    names = (*(name for name, _ in addresses_of(".xml", ".zip")), "SBE_Discovery_Contoso.xml")
    beside = [payload_of(b"x", name, kind=PayloadKind.SBE) for name in names]
    manifest = MANIFESTS.find(update)
    declaring = replace(manifest, payloads=(*manifest.payloads, *beside))
    manifests = replace(
        MANIFESTS, manifests=tuple(declaring if item is manifest else item for item in MANIFESTS)
    )
    cluster = one(request_of(), manifests=manifests, sbes=[sbe_of()], goal=NEWEST)
    assert ("download --plan" in cluster.hops[-1].sbes[0].where) is is_fetched


def test_a_requested_sbe_that_no_manifest_describes_is_planned_by_its_name():
    cluster = one(request_of(updates=(asks_for("4.2.2603.5"),)))
    (need,) = cluster.hops[0].sbes
    assert need.title == "SBE_Contoso_GenA_4.2.2603.5"
    assert "catalog add" in need.where
    assert "which models" in warned(cluster)


def test_without_a_request_the_newest_validated_one_goes_along():
    sbes = [
        sbe_of("4.2.2603.5"),
        sbe_of("4.2.2604.1", validated_for=("12.2604.*.*",)),
        sbe_of("4.2.2602.1"),
        sbe_of("4.2.2603.9", is_recalled=True),
        sbe_of("4.2.2603.8", family="GenB"),
        sbe_of("4.2.2603.7", publisher="Fabrikam"),
    ]
    (need,) = one(sbes=sbes).hops[0].sbes
    assert need.version == "4.2.2603.5"
    assert not need.is_required


@pytest.mark.parametrize(
    ("publisher", "is_taken"),
    [("Contoso", True), ("contoso", True), ("Contoso Inc.", True), ("", True), ("Fabrikam", False)],
)
def test_a_vendor_is_known_by_the_beginning_of_its_name(publisher, is_taken):
    cluster = one(request_of(sbe_publisher=publisher), sbes=[sbe_of()])
    assert (cluster.hops[0].sbes[0].version == "4.2.2603.5") is is_taken


@pytest.mark.parametrize(
    ("publisher", "family", "address"),
    [
        ("HPE", "ProLiant-Standard", "https://aka.ms/AzureStackSBEUpdate/HPE-ProLiant-Standard"),
        ("HPE", "ProLiant-Minimal", "https://aka.ms/AzureStackSBEUpdate/HPE"),
        ("DellEMC", "AX-16G", "https://aka.ms/AzureStackSBEUpdate/Dell"),
        ("Contoso", "GenA", "https://aka.ms/AzureStackSBEUpdate/Contoso"),
        ("\x07", "GenA", ""),
    ],
)
def test_the_vendors_manifest_has_a_known_address(publisher, family, address):
    assert SOURCES.address_of(publisher, family) == address


def test_an_sbe_that_names_no_vendor_is_of_the_one_that_was_asked():
    nameless = sbe_of(publisher="", package_sha256=PINNED)
    plan = plan_of(sbes=[nameless])
    assert carried_sbes(plan) == ("SBE_Contoso_GenA_4.2.2603.5",)
    (package,) = (item for item in plan.payloads if item.name.endswith("_4.2.2603.5.zip"))
    assert (package.shelf, package.sha256) == ("sbe/Contoso_GenA_4.2.2603.5", PINNED)
    named = plan_of(sbes=[replace(nameless, validated_for=())], named=["4.2.2603.5"])
    assert carried_sbes(named) == ("SBE_Contoso_GenA_4.2.2603.5",)


def test_an_sbe_of_a_vendor_that_nobody_names_is_as_none_and_its_files_are_not_planned():
    plan = plan_of(request_of(sbe_publisher="", hardware=Hardware()), sbes=[sbe_of(publisher="")])
    assert [item.name for item in plan.payloads] == [BUNDLE]
    (need,) = plan.clusters[0].hops[0].sbes
    assert (need.version, need.why) == ("", "the request does not say whose hardware it is")


def test_an_sbe_of_which_nothing_but_the_name_is_known_never_goes_along_by_itself():
    held = [Held("sbe/Contoso_GenA_4.2.2603.5", "SBE_Contoso_GenA_4.2.2603.5.zip", 1 * GIB)]
    cluster = one(held=held)
    assert cluster.hops[0].sbes[0].version == ""
    assert "no SBE is known for 12.2603.1002.15" in warned(cluster)
    named = one(held=held, named=["4.2.2603.5"])
    assert named.hops[0].sbes[0].version == "4.2.2603.5"
    assert "which versions" in warned(named)


def test_an_installed_sbe_that_is_validated_for_the_update_is_not_carried_again():
    plan = plan_of(sbes=[sbe_of("4.2.2510.1")])
    (need,) = plan.clusters[0].hops[0].sbes
    assert (need.is_installed, need.is_carried) == (True, False)
    assert len(plan.payloads) == 1


def test_a_cluster_without_an_sbe_needs_none():
    cluster = one(request_of(**NO_SBE), sbes=[sbe_of()])
    assert cluster.hops[0].sbes == ()
    assert [row.states for row in cluster.hops[0].predicted] == [("Ready",)]


def test_whether_there_is_an_sbe_at_all_may_be_unknown():
    cluster = one(request_of(sbe_family="", sbe_publisher="", sbe_version=""), sbes=[sbe_of()])
    assert cluster.hops[0].sbes[0].version == ""
    assert "whether the hardware has an SBE is not known" in warned(cluster)


def test_what_was_chosen_for_one_update_is_installed_at_the_next():
    request = request_of("12.2509.1001.22")
    first, second = one(request, sbes=[sbe_of("4.2.2603.5")]).hops
    assert first.sbes[0].is_carried
    assert second.sbes[0].is_installed


CHANGE = ("11.2510.1002.93", "12.2510.1002.531")


def changing(family, publisher, number, *sbes):
    request = request_of(CHANGE[0], sbe_family=family, sbe_publisher=publisher, sbe_version=number)
    return one(request, goal=CHANGE[1], sbes=sbes)


def made_by(publisher, family, number, *validated):
    return sbe_of(number, family=family, publisher=publisher, validated_for=validated)


def test_dells_minimum_is_installed_before_the_change_to_24h2():
    family = "AS-HCI-AX-16G-45n0c"
    cluster = changing(
        family, "Dell", "4.1.2505.1501",
        made_by("Dell", family, "4.2.2506.1600", "11.2510.*.*", "12.2510.*.*"),
    )  # fmt: skip
    before, with_it = cluster.hops[0].sbes
    assert (before.version, before.moment, before.is_required) == (
        "4.2.2506.1600", "before the update", True
    )  # fmt: skip
    assert before.wanted == "4.2.2506.xx or later"
    assert with_it.is_installed


def test_lenovo_takes_one_before_the_change_and_a_later_one_with_it():
    family = "ThinkAgileMXStandard"
    cluster = changing(
        family, "Lenovo", "4.1.2503.1",
        made_by("Lenovo", family, "4.1.2505.1020", "11.2510.*.*"),
        made_by("Lenovo", family, "4.2.2508.7", "12.2510.*.*"),
    )  # fmt: skip
    before, with_it = cluster.hops[0].sbes
    assert [(need.version, need.moment) for need in (before, with_it)] == [
        ("4.1.2505.1020", "before the update"),
        ("4.2.2508.7", "with the update"),
    ]


def test_hpes_minimum_may_go_before_or_with_the_change():
    family = "ProLiant-Standard"
    cluster = changing(
        family, "HPE", "4.1.2410.1", made_by("HPE", family, "4.2.2506.14", "12.*.*.*")
    )
    (need,) = cluster.hops[0].sbes
    assert (need.version, need.moment) == ("4.2.2506.14", "before or with the update")


def test_a_minimum_that_is_met_asks_for_nothing_before():
    family = "ProLiant-Standard"
    cluster = changing(
        family, "HPE", "4.2.2507.1", made_by("HPE", family, "4.2.2507.1", "12.*.*.*")
    )
    (need,) = cluster.hops[0].sbes
    assert (need.is_required, need.is_installed) == (False, True)


def test_a_minimum_that_nobody_can_meet_is_a_warning():
    cluster = changing("ThinkAgileMXPremier", "Lenovo", "4.1.2503.1")
    assert "12.2510.1002.531 needs SBE 4.1.2505.10xx or later" in warned(cluster)
    assert "AzureStackSBEUpdate/Lenovo" in warned(cluster)


def test_a_family_without_a_published_minimum_asks_its_vendor():
    cluster = changing("GenA", "Contoso", "4.2.2510.1", sbe_of())
    assert "no SBE minimum is published for GenA" in warned(cluster)


def test_two_families_need_two_sbes_and_share_the_bundle():
    plan = plan_of(
        request_of(cluster="a"),
        request_of(cluster="b", sbe_family="GenB"),
        sbes=[sbe_of(), sbe_of(family="GenB")],
    )
    clusters = {item.shelf: item.clusters for item in plan.payloads}
    assert clusters == {
        NEWEST: ("a", "b"),
        "sbe/Contoso_GenA_4.2.2603.5": ("a",),
        "sbe/Contoso_GenB_4.2.2603.5": ("b",),
    }


# --- the wrong SBE --------------------------------------------------------------------------------


def test_an_older_sbe_than_the_one_asked_for_is_refused_because_it_hides_updates():
    request = request_of(updates=(asks_for("4.2.2603.5"),))
    with pytest.raises(InputError) as caught:
        plan_of(request, sbes=[sbe_of("4.2.2603.5"), sbe_of("4.2.2601.1")], named=["4.2.2601.1"])
    text = str(caught.value)
    assert "older than 4.2.2603.5, which the update asks for" in text
    assert "would hide the cluster's solution updates" in text
    assert "SBE_Contoso_GenA_4.2.2603.5" in caught.value.expected


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("SBE_Contoso_GenB_4.2.2603.5", "family GenB; the clusters have GenA"),
        ("SBE_Contoso_GenA_4.2.2510.0", "older than the installed 4.2.2510.1"),
        ("SBE_Contoso_GenA_4.2.2604.1", "not for 12.2603.1002.15"),
        ("SBE_Contoso_GenA_4.2.2603.7", "not Contoso X9000"),
        ("SBE_Contoso_GenA_4.2.2603.9", "was recalled"),
    ],
)
def test_a_named_sbe_that_does_not_fit_is_refused_and_the_right_one_named(named, why):
    sbes = [
        sbe_of(),
        sbe_of("4.2.2510.0"),
        sbe_of("4.2.2604.1", validated_for=("12.2604.*.*",)),
        sbe_of("4.2.2603.7", models=(replace(sbe_of().models[0], model="Contoso Z1"),)),
        sbe_of("4.2.2603.9", is_recalled=True),
    ]
    with pytest.raises(InputError) as caught:
        plan_of(sbes=sbes, named=[named])
    assert why in str(caught.value)
    assert "hide" in str(caught.value)
    assert "GenA" in caught.value.expected


def test_a_wrong_sbe_in_the_catalog_is_refused_where_the_right_one_is_nowhere():
    request = request_of(updates=(asks_for("4.2.2603.5"),))
    held = [Held("sbe/Contoso_GenA_4.2.2601.1", "SBE_Contoso_GenA_4.2.2601.1.zip")]
    with pytest.raises(
        InputError, match=r"take SBE_Contoso_GenA_4\.2\.2601\.1 to plant7"
    ) as caught:
        plan_of(request, held=held)
    assert "4.2.2603.5, which 12.2603.1002.15 asks for" in caught.value.expected


def test_a_wrong_sbe_of_the_clusters_family_is_refused_though_its_vendor_is_not_known():
    request = request_of(updates=(asks_for("4.2.2603.5"),), sbe_publisher="")
    held = [Held("sbe/Contoso_GenA_4.2.2601.1", "SBE_Contoso_GenA_4.2.2601.1.zip")]
    with pytest.raises(InputError, match=r"older than 4\.2\.2603\.5"):
        plan_of(request, held=held)


@pytest.mark.parametrize("at_hand", ["a wrong one held", "itself, recalled since"])
def test_a_requested_sbe_that_is_installed_is_no_reason_to_refuse_the_plan(at_hand):
    request = request_of(sbe_version="4.2.2603.5", updates=(asks_for("4.2.2603.5"),))
    if at_hand == "a wrong one held":
        plan = plan_of(
            request, held=[Held("sbe/Contoso_GenA_4.2.2601.1", "SBE_Contoso_GenA_4.2.2601.1.zip")]
        )
    else:
        plan = plan_of(request, sbes=[sbe_of(is_recalled=True)])
    (need,) = plan.clusters[0].hops[0].sbes
    assert (need.version, need.is_installed, need.is_carried) == ("4.2.2603.5", True, False)
    assert need.where == "installed already"


def test_a_requested_sbe_of_an_unknown_vendor_is_a_question_not_a_file():
    plan = plan_of(
        request_of(updates=(asks_for("4.2.2603.5"),), sbe_publisher="", hardware=Hardware())
    )
    assert [item.kind for item in plan.payloads] == ["solution-bundle"]
    assert "needs SBE 4.2.2603.5: the request does not say whose hardware it is" in warned(
        plan.clusters[0]
    )


@pytest.mark.parametrize(
    ("manufacturer", "asked_at", "vendor", "name"),
    [
        ("Contoso", "", "Contoso", "Contoso"),
        ("DellEMC", "", "DellEMC", "Dell"),
        ("Someone", f"{DISCOVERY}/Contoso", "Contoso", "Contoso"),
        (
            "",
            f"{DISCOVERY}/HPE-ProLiant-Standard",
            "HPE-ProLiant-Standard",
            "HPE-ProLiant-Standard",
        ),
        ("Contoso", "https://mirror.example/Fabrikam", "Contoso", "Contoso"),
    ],
)
def test_whose_manifest_to_get_is_known_from_where_the_cluster_looks_and_from_its_machines(
    manufacturer, asked_at, vendor, name
):
    source = DiscoverySource(component="SBE", manifest_source=asked_at, status="")
    plan = plan_of(
        request_of(
            sbe_publisher="", hardware=Hardware(manufacturer=manufacturer), discovery=(source,)
        )
    )
    (need,) = plan.clusters[0].hops[0].sbes
    assert need.why == f"no discovery manifest of {vendor} was given"
    assert need.where == f"get {DISCOVERY}/{name} and plan again with --sbe-manifest FILE"
    assert [item.kind for item in plan.payloads] == ["solution-bundle"]


def test_a_requested_sbe_that_its_vendor_recalled_is_refused():
    request = request_of(updates=(asks_for("4.2.2603.5"),))
    with pytest.raises(InputError, match="recalled by Contoso") as caught:
        plan_of(request, sbes=[sbe_of(is_recalled=True)])
    assert "although 12.2603.1002.15 asks for this one" in caught.value.expected


def test_a_wrong_sbe_beside_the_right_one_is_a_warning():
    request = request_of(updates=(asks_for("4.2.2603.5"),))
    held = [Held("sbe/Contoso_GenA_4.2.2601.1", "SBE_Contoso_GenA_4.2.2601.1.zip")]
    cluster = one(request, held=held, sbes=[sbe_of("4.2.2603.5")])
    assert cluster.hops[0].sbes[0].version == "4.2.2603.5"
    assert "also holds SBE_Contoso_GenA_4.2.2601.1" in warned(cluster)


@pytest.mark.parametrize(("called", "is_told"), [("Contoso Inc.", True), ("", False)])
def test_a_vendor_that_calls_itself_otherwise_is_warned_of_too(called, is_told):
    held = [Held("sbe/Contoso_GenA_4.2.2601.1", "SBE_Contoso_GenA_4.2.2601.1.zip")]
    request = request_of(updates=(asks_for("4.2.2603.5"),), sbe_publisher=called)
    cluster = one(request, held=held, sbes=[sbe_of("4.2.2603.5")])
    assert ("also holds SBE_Contoso_GenA_4.2.2601.1" in warned(cluster)) is is_told


def test_an_sbe_for_another_vendors_clusters_may_be_in_the_catalog():
    held = [Held("sbe/Fabrikam_F1_4.2.2601.1", "SBE_Fabrikam_F1_4.2.2601.1.zip")]
    assert "Fabrikam" not in warned(one(request_of(updates=(asks_for("4.2.2603.5"),)), held=held))


def test_an_sbe_is_not_taken_to_a_cluster_that_has_none():
    with pytest.raises(InputError, match="the clusters have no SBE at all"):
        plan_of(request_of(**NO_SBE), sbes=[sbe_of()], named=["4.2.2603.5"])
    both = plan_of(
        request_of(**NO_SBE), request_of(cluster="b"), sbes=[sbe_of()], named=["4.2.2603.5"]
    )
    assert [cluster.hops[0].sbes != () for cluster in both.clusters] == [False, True]


def test_a_name_that_fits_several_sbes_is_refused():
    with pytest.raises(InputError, match="fits SBE_Contoso_GenA"):
        plan_of(sbes=[sbe_of(), sbe_of(family="GenB")], named=["4.2.2603.5"])
    with pytest.raises(InputError, match="is not known"):
        plan_of(sbes=[sbe_of()], named=["4.9.9.9"])


# --- before a medium is written -------------------------------------------------------------------


def test_the_sbes_of_the_plan_may_go_onto_a_medium():
    plan = plan_of(request_of(updates=(asks_for("4.2.2603.5"),)), sbes=[sbe_of()])
    check_held_sbes(plan, [sbe_of()])
    check_held_sbes(plan, [sbe_named("SBE_Contoso_GenA_4.2.2603.5.zip")])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("SBE_Contoso_GenA_4.2.2601.1.zip", "older than 4.2.2603.5"),
        ("SBE_Contoso_GenB_4.2.2603.5.zip", "family GenB, the cluster is GenA"),
        ("SBE_Contoso_GenA_4.2.2604.1.zip", "newer than 4.2.2603.5"),
    ],
)
def test_another_sbe_is_refused_before_a_medium_is_written(name, why):
    plan = plan_of(request_of(updates=(asks_for("4.2.2603.5"),)), sbes=[sbe_of()])
    with pytest.raises(InputError) as caught:
        check_held_sbes(plan, [sbe_of(), sbe_named(name)])
    assert why in str(caught.value)
    assert "hide" in str(caught.value)
    assert "SBE_Contoso_GenA_4.2.2603.5" in caught.value.expected


def test_an_sbe_that_nobody_asked_for_does_not_travel():
    with pytest.raises(InputError, match="the plan does not carry it"):
        check_held_sbes(plan_of(), [sbe_named("SBE_Contoso_GenA_4.2.2603.5.zip")])


def test_a_medium_without_a_needed_sbe_is_refused():
    plan = plan_of(request_of(updates=(asks_for("4.2.2603.5"),)), sbes=[sbe_of()])
    with pytest.raises(InputError, match="no SBE in the catalog") as caught:
        check_held_sbes(plan, [])
    assert "with the update to 12.2603.1002.15" in caught.value.expected


def test_what_a_newer_manifest_says_of_a_planned_sbe_counts():
    plan = plan_of(request_of(updates=(asks_for("4.2.2603.5"),)), sbes=[sbe_of()])
    with pytest.raises(InputError, match="recalled"):
        check_held_sbes(plan, [sbe_of(is_recalled=True)])


# --- what the cluster will list -------------------------------------------------------------------


def predicted(cluster):
    return [
        (row.version, row.states, str(row.confidence))
        for hop in cluster.hops
        for row in hop.predicted
    ]


def test_with_the_sbe_that_was_asked_for_the_update_is_ready():
    request = request_of(updates=(asks_for("4.2.2603.5"),))
    assert predicted(one(request, sbes=[sbe_of()])) == [
        (NEWEST, ("Ready",), "confirmed"),
        ("4.2.2603.5", ("Ready",), "confirmed"),
    ]


def test_an_sbe_that_does_not_support_the_installed_version_waits_for_the_update():
    request = request_of(updates=(asks_for("4.2.2603.5"),))
    rows = one(request, sbes=[sbe_of(validated_for=("12.2603.*.*",))]).hops[0].predicted
    assert rows[1].states == ("HasPrerequisite",)
    assert "installed together with the update" in rows[1].reason


def test_without_any_sbe_to_bring_both_states_are_possible():
    assert predicted(one()) == [(NEWEST, ("Ready", "AdditionalContentRequired"), "unknown")]


def test_other_updates_that_the_cluster_lists_are_predicted_too():
    request = request_of(
        updates=(
            asks_for("4.2.2603.5"),
            asks_for("4.2.2604.1", "12.2604.1003.9"),
            asks_for("", "12.2602.1002.501", "Ready"),
            asks_for("", "12.2510.1002.94", "Installed"),
        )
    )
    rows = predicted(one(request, goal=NEWEST, sbes=[sbe_of()]))
    assert rows[2:] == [
        ("12.2604.1003.9", ("hidden",), "confirmed"),
        ("12.2602.1002.501", ("Ready", "hidden"), "unknown"),
    ]


def test_while_another_update_is_worked_on_an_imported_one_waits():
    busy = ListedUpdate(resource_id="x", version="12.2511.1002.502", state="Installing")
    cluster = one(request_of(updates=(busy,)))
    assert predicted(cluster)[0][1] == ("NotApplicableBecauseAnotherUpdateIsInProgress",)
    assert "wait until it has ended" in warned(cluster)


# --- what the payload lacks -----------------------------------------------------------------------


def reach(arb=True, aks=True, other=True):
    return (
        EndpointReach(group="ARB", address="packages.microsoft.com:443", is_reachable=arb),
        EndpointReach(group="AKS", address="mcr.microsoft.com:443", is_reachable=aks),
        EndpointReach(group="Arc agent and ARM", address="management.azure.com:443", is_reachable=other),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("endpoints", "supply", "words"),
    [
        (reach(), Supply.FETCHED, "reached their addresses"),
        (reach(aks=False), Supply.BLOCKED, "1 of 2 addresses"),
        (reach(other=False), Supply.FETCHED, "1 other addresses"),
        (reach()[:1], Supply.UNKNOWN, "addresses of AKS"),
        ((), Supply.UNKNOWN, "addresses of ARB and AKS"),
    ],
)
def test_what_the_payload_lacks_is_judged_by_what_the_site_reaches(endpoints, supply, words):
    lacking = one(request_of(endpoints=endpoints)).lacking
    assert (lacking.supply, words in lacking.text) == (supply, True), lacking.text


def test_addresses_that_cannot_be_reached_are_listed():
    assert one(request_of(endpoints=reach(arb=False))).lacking.unreachable == (
        "ARB: packages.microsoft.com:443",
    )


def test_disconnected_operations_are_recognised_and_need_other_steps():
    lacking = one(request_of(is_disconnected_operations=True, endpoints=())).lacking
    assert lacking.supply is Supply.DISCONNECTED
    assert "control plane" in lacking.steps[0]
    assert any("Test-ARBStackBandwidth" in step for step in lacking.steps)


def test_the_step_for_2603_is_for_2603_alone():
    lacking = one(request_of(is_disconnected_operations=True), goal="12.2602.1002.501").lacking
    assert not any("Test-ARBStackBandwidth" in step for step in lacking.steps)


def test_disconnected_operations_before_their_first_release_are_doubted():
    lacking = one(request_of(is_disconnected_operations=True), goal="12.2512.1002.16").lacking
    assert "from 2602 on" in lacking.text


# --- support, warnings, issues ----------------------------------------------------------------------


def test_support_is_six_months_from_the_day_a_release_became_available():
    now = NOW.replace(month=5, day=17)
    cluster = one(now=now)
    assert (str(cluster.support_then.until), cluster.support_then.days_left) == ("2026-09-17", 123)
    assert cluster.support_now.days_left == -12


def test_23h2_is_supported_until_april_2026_at_the_latest():
    now = NOW.replace(month=4, day=1)
    cluster = one(request_of("11.2509.1001.21"), goal="11.2510.1002.93", now=now)
    assert str(cluster.support_then.until) == "2026-04-30"
    assert "support of 23H2 ends then" in cluster.support_then.text
    later = one(request_of("11.2509.1001.21"), goal="11.2510.1002.93")
    assert "ended in April 2026" in later.support_then.text
    assert "ends on a release without support" in warned(later)


def test_a_ferry_whose_newest_release_is_out_of_support_says_so():
    assert "out of support itself" in "\n".join(plan_of().warnings)
    assert plan_of(now=NOW.replace(month=5)).warnings == ()


def test_a_cluster_a_year_behind_is_warned_of_its_resource_bridge():
    assert "more than a year old" in warned(one(request_of("11.2505.1001.22")))
    assert "more than a year old" not in warned(one(request_of("12.2602.1002.501")))


def test_typed_answers_and_old_requests_are_said():
    assert "typed in by a person" in warned(one(request_of(origin=Origin.TYPED)))
    assert "30 days old" in warned(one(request_of(made_at=NOW - timedelta(days=30))))
    assert "in the future" in warned(one(request_of(made_at=NOW + timedelta(days=3))))
    assert "days old" not in warned(one())


def test_what_the_site_could_not_find_out_is_said():
    request = request_of(unknown=(("hardware.sku", "the registry key is missing"),))
    assert "not known: hardware.sku (the registry key is missing)" in warned(one(request))


def test_failed_checks_and_states_that_need_care_are_said():
    health = HealthSummary(state="Failure", failed_critical=("AzStackHci_X",))
    cluster = one(request_of(health=health, update_state="UpdateFailed"))
    assert "cure them before the update: AzStackHci_X" in warned(cluster)
    assert "UpdateFailed: find out why" in warned(cluster)


def test_a_superseded_goal_is_said():
    assert "superseded by 12.2602.1002.501" in warned(one(goal="12.2602.1002.7"))


def test_known_issues_of_every_hop_are_in_the_plan():
    cluster = one(request_of("12.2509.1001.22", node_count=1))
    assert {"update-service-memory", "sbe-cau-running-after-done", "secure-boot-2023"} <= {
        item.issue for item in cluster.issues
    }


# --- the file -------------------------------------------------------------------------------------


def full_plan():
    return plan_of(
        request_of("11.2508.1001.51", cluster="a", updates=(asks_for("4.2.2603.5"),)),
        request_of("12.2509.1001.22", cluster="b", sbe_family="GenB"),
        request_of(NEWEST, cluster="c", **NO_SBE),
        sbes=[sbe_of(), sbe_of(family="GenB"), sbe_of("4.2.2510.3", validated_for=("11.*.*.*",))],
        held=[Held(NEWEST, BUNDLE)],
        free=500 * GIB,
    )


def test_a_plan_reads_back_as_it_was():
    plan = full_plan()
    assert read_plan(to_bytes(plan)) == plan


def test_equal_input_gives_equal_bytes():
    assert to_bytes(full_plan()) == to_bytes(full_plan())


def test_the_payloads_stand_on_top_with_what_other_programs_read():
    document = json.loads(to_bytes(full_plan()))
    assert (document["format"], document["kind"]) == (1, "ferry-plan")
    for payload in document["payloads"]:
        assert {"sha256", "name", "shelf", "size_bytes", "kind", "url"} <= payload.keys()
    assert [item["sha256"] for item in document["payloads"] if item["name"] == BUNDLE] == [PINNED]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda it: it["payloads"][0].update(size_bytes=1), "changed after it was made"),
        (lambda it: it["clusters"].pop(), "changed after it was made"),
        (lambda it: it.update(plan_id="0" * 16), "changed after it was made"),
        (lambda it: it.update(format=2), "knows this format"),
        (lambda it: it.update(kind="ferry-request"), "a ferry-request"),
        (lambda it: it.pop("kind"), 'no "kind"'),
    ],
)
def test_a_plan_that_was_changed_or_is_none_is_refused(change, words):
    document = json.loads(to_bytes(full_plan()))
    change(document)
    with pytest.raises(InputError) as caught:
        read_plan(json.dumps(document).encode(), file="plan.json")
    assert words in f"{caught.value} {caught.value.hint}"
    assert "plan.json" in str(caught.value)


def test_the_refusal_does_not_tell_the_id_with_which_an_edited_plan_would_pass():
    edited = replace(full_plan(), asked_for=None, tool="another")
    with pytest.raises(InputError) as caught:
        read_plan(to_bytes(edited))
    assert identified(edited).plan_id not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'"plan"'])
def test_garbage_is_no_plan(data):
    with pytest.raises(InputError) as caught:
        read_plan(data)
    assert "ferry catalog plan" in caught.value.hint
