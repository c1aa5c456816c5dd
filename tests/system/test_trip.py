"""One trip as a site lives it: asked for, planned, fetched, carried, imported."""

import json

import pytest

from tests.stage import SBE_VERSION, VERSION, Stage
from tests.system.conftest import import_, last_line

TITLE = f"SBE_Contoso_GenA_{SBE_VERSION}"
IN_CATALOG = ("--catalog", "catalog")
PLAN = ("--plan", "plan.json", *IN_CATALOG)


@pytest.fixture
def trip(tmp_path, simulate):
    """A site that made its request, and a home that knows its key; the cluster asks for an SBE."""
    stage = Stage(tmp_path / "s")
    bundle = stage.publish(size_mib=2)[0]
    stage.publish_sbe()
    stage.declare([bundle], "https://127.0.0.1:1/")
    stage.ferry("trust", "init", "--keys", "keys")
    trust = last_line(stage.ferry("trust", "fingerprint", "--keys", "keys").out)
    stage.ferry("site", "init", "site", "--root", "keys/1.root.json", "--fingerprint", trust)
    stage.cluster = simulate(stage, required_sbe_version=SBE_VERSION)
    asked = json.loads(stage.ferry("cluster", "request", "-o", "request.json", "--json").out)
    known = ("--name", "plant7", "--fingerprint", asked["data"]["fingerprint"])
    stage.ferry("catalog", "know-key", "request.json", *known, *IN_CATALOG)
    return stage


def plan(stage, *words, expect=0):
    words = ("--sbe-manifest", "portal/SBE_Discovery_Contoso.xml", *words)
    return stage.ferry("catalog", "plan", "request.json", *IN_CATALOG, *words, expect=expect)


def add_sbe(stage):
    outer = next((stage / "portal").glob("Bundle_*.zip"))
    signing = ("--signing-ca", "portal/authority.pem")
    stage.ferry("catalog", "add", f"portal/{outer.name}", *IN_CATALOG, *signing)


def add_bundle(stage):
    stage.ferry("catalog", "add", f"vendor/CombinedSolutionBundle.{VERSION}.zip", *IN_CATALOG)


def write(stage, *, expect=0):
    words = ("media", "write", *PLAN, "--keys", "keys", "--to", stage.stick("medium"))
    return stage.ferry(*words, expect=expect)


def test_what_a_site_asks_for_reaches_its_cluster(trip):
    plan(trip)
    add_bundle(trip)
    add_sbe(trip)
    held = json.loads(trip.ferry("catalog", "download", *PLAN, "--json").out)["data"]
    assert {row["judgement"]["verdict"] for row in held} == {"proven"}
    write(trip)
    done = json.loads(import_(trip, "--json").out)["data"]
    assert done["update"]["state"] == "Ready"
    assert trip.cluster.world.journal.add_calls == 2


def test_medium_that_comes_home_closes_the_trip(trip):
    plan(trip)
    add_bundle(trip)
    add_sbe(trip)
    write(trip)
    by = ("--by", "Ben Okri")
    trip.ferry("media", "hand-over", "medium", "--to", "Ben Okri", "--by", "Ada", *IN_CATALOG)
    trip.ferry("media", "verify", "medium", "--receipt", *by)
    receive = ("media", "receive", "medium", *IN_CATALOG)
    assert "plant7 (plant7): OPEN: not imported on plant7" in trip.ferry(*receive, expect=1).out
    import_(trip, "--receipt", *by)
    trip.ferry("run", "start", VERSION)
    trip.ferry("run", "watch", VERSION, "--poll-seconds", "0.2")
    trip.ferry("run", "show", VERSION, "--receipt-on", "medium", *by)
    assert "5 receipts, one unbroken chain" in trip.ferry("media", "history", "medium").out
    trip.ferry("cluster", "request", "-o", "next.json")
    trip.ferry("media", "return", "medium", "next.json", *by)
    came = trip.ferry(*receive).out
    assert "6 receipts, one unbroken chain" in came
    assert "next.request.json: taken in" in came
    assert "plant7 (plant7): closed" in came
    taken = next((trip / "catalog" / "received").glob("*/next.request.json"))
    trip.ferry("catalog", "plan", str(taken), *IN_CATALOG)
    trip.ferry("media", "verify", "medium", "--strict")


def test_sbe_that_is_not_held_is_missed_before_anything_is_written(trip):
    plan(trip)
    add_bundle(trip)
    refused = write(trip, expect=6)
    assert TITLE.removeprefix("SBE_") in refused.err
    assert "ferry catalog add" in refused.err
    assert not list((trip / "medium").iterdir())


def test_archive_is_looked_into_once_before_it_travels(trip):
    plan(trip)
    add_bundle(trip)
    add_sbe(trip)
    write(trip)
    held = json.loads(trip.ferry("catalog", "status", *IN_CATALOG, "--json").out)["data"]
    said = {
        row["held"]["name"]: [
            (item["kind"], item["stance"]) for item in row["held"]["judgement"]["statements"]
        ]
        for row in held["payloads"]
    }
    for name, statements in said.items():
        if name.endswith(".zip"):
            assert ("structure", "for") in statements


def test_versions_or_a_plan_but_not_both(trip):
    plan(trip)
    for command in (("catalog", "download"), ("media", "write", "--keys", "keys", "--to", "m")):
        told = trip.ferry(*command, VERSION, *PLAN, expect=2).err
        assert "one of them" in told
