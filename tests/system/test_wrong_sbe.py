"""A wrong SBE hides solution updates from a cluster; it is caught wherever it could slip in.

The story is Microsoft's guide Update-missing-after-importing-SBE.
"""

import json

import pytest

from tests.stage import SBE_VERSION, VERSION
from tests.system.conftest import import_
from tests.system.test_trip import IN_CATALOG, add_sbe, plan, trip, write
from tests.vendorsite.bundle import make_sbe
from tests.vendorsite.server import VendorServer

__all__ = ["trip"]

ASKED_FOR = "4.2.2603.7"


def listed(stage):
    rows = json.loads(stage.ferry("cluster", "discover", "--json").out)["data"]["updates"]
    return {row["resource_id"].rpartition("/")[2]: row["state"] for row in rows}


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        ({"required_sbe_version": ASKED_FOR}, f"older than {ASKED_FOR}, which the update asks for"),
        (
            {"required_sbe_version": SBE_VERSION, "sbe_family": "GenB"},
            "of the family GenA, the cluster is GenB",
        ),
    ],
    ids=["older", "foreign"],
)
def test_wrong_sbe_on_the_medium_is_refused_at_import(carried, simulate, world, reason):
    cluster = simulate(carried)
    for name, value in world.items():
        setattr(cluster.world, name, value)
    refused = import_(carried, expect=5)
    assert reason in refused.err
    assert "hides solution updates" in refused.err
    assert cluster.world.journal.add_calls == 1
    assert listed(carried) == {"Solution12.2603.1002.901": "AdditionalContentRequired"}


def test_wrong_sbe_named_for_the_trip_is_refused_at_plan(trip):
    trip.publish_sbe("4.2.2511.1")  # older than the installed one
    refused = plan(trip, "--sbe", "SBE_Contoso_GenA_4.2.2511.1", expect=7)
    assert "older than the installed 4.2.2512.1616" in refused.err
    assert "hide the cluster's solution updates" in refused.err
    assert not (trip / "plan.json").exists()


def test_wrong_sbe_that_a_manifest_declares_beside_the_update_is_refused_at_media_write(
    trip, tmp_path
):
    plan(trip)
    add_sbe(trip)
    wrong = make_sbe(trip / "vendor", "Contoso", "GenB", SBE_VERSION, supported_model="Contoso680")
    with VendorServer(trip / "vendor", tls_dir=tmp_path / "tls") as server:
        bundle = trip / "vendor" / f"CombinedSolutionBundle.{VERSION}.zip"
        trip.declare([bundle, *wrong], server.url)
        trip.ferry("catalog", "download", VERSION, *IN_CATALOG, "--ca", str(server.ca_file))
    refused = write(trip, expect=7)
    assert "of the family GenB, the cluster is GenA" in refused.err
    assert "hide the cluster's solution updates" in refused.err
    assert not list((trip / "medium").iterdir())


def test_fitting_sbe_that_the_plan_does_not_need_stays_at_home(trip, tmp_path):
    plan(trip)
    add_sbe(trip)
    spare = make_sbe(
        trip / "vendor", "Contoso", "GenA", "4.2.2604.1", supported_model="Contoso680"
    )  # fmt: skip
    with VendorServer(trip / "vendor", tls_dir=tmp_path / "tls") as server:
        bundle = trip / "vendor" / f"CombinedSolutionBundle.{VERSION}.zip"
        trip.declare([bundle, *spare], server.url)
        trip.ferry("catalog", "download", VERSION, *IN_CATALOG, "--ca", str(server.ca_file))
    written = write(trip)
    assert "SBE_Contoso_GenA_4.2.2604.1 stays here" in written.err
    assert "4.2.2604.1" not in written.out


def test_sbe_that_is_not_validated_for_the_update_is_refused_at_media_write_without_a_plan(
    trip, tmp_path
):
    other = make_sbe(
        trip / "vendor", "Contoso", "GenA", SBE_VERSION,
        supported_model="Contoso680", validated=("12.2511.*.*",),
    )  # fmt: skip
    with VendorServer(trip / "vendor", tls_dir=tmp_path / "tls") as server:
        bundle = trip / "vendor" / f"CombinedSolutionBundle.{VERSION}.zip"
        trip.declare([bundle, *other], server.url)
        trip.ferry("catalog", "download", VERSION, *IN_CATALOG, "--ca", str(server.ca_file))
    words = ("media", "write", VERSION, *IN_CATALOG, "--keys", "keys", "--to", trip.stick("medium"))
    assert f"not for {VERSION}" in trip.ferry(*words, expect=7).err
