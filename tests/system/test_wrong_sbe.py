"""A wrong SBE hides solution updates from a cluster; it is caught wherever it could slip in.

The story is Microsoft's guide Update-missing-after-importing-SBE.
"""

import json

import pytest

from tests.stage import SBE_VERSION
from tests.system.conftest import import_

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
