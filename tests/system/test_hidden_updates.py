"""Updates that a wrong SBE hides, from the refusal to the cure.

The story is Microsoft's guide Update-missing-after-importing-SBE, whole.
"""

import json
import shutil

import pytest

from tests.simcluster.state import SolutionUpdate
from tests.stage import SBE_VERSION, VERSION
from tests.system.conftest import import_
from tests.vendorsite.bundle import make_sbe
from tests.vendorsite.server import VendorServer

ASKED_FOR = "4.2.2603.7"
REASON = "the vendor asked for this one first"
OTHER = ("--catalog", "other")
HIDES = ("--import-hides-updates", REASON)


def listed(stage):
    rows = json.loads(stage.ferry("cluster", "discover", "--json").out)["data"]["updates"]
    return {row["resource_id"].rpartition("/")[2]: row["state"] for row in rows}


def steps(stage, *names):
    lines = (stage / "site" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["step"] in names]


def carry_right(stage, published, tmp_path):
    """Write a second medium, `right`, with the update and the SBE that it asks for."""
    folder = stage / "more"
    folder.mkdir()
    bundle = folder / f"CombinedSolutionBundle.{VERSION}.zip"
    shutil.copyfile(published / "vendor" / bundle.name, bundle)
    sbe = make_sbe(folder, "Contoso", "GenA", ASKED_FOR, supported_model="Contoso680")
    (tmp_path / "tls").mkdir(exist_ok=True)
    with VendorServer(folder, tls_dir=tmp_path / "tls") as server:
        stage.declare([bundle, *sbe], server.url)
        stage.ferry("catalog", "download", VERSION, *OTHER, "--ca", str(server.ca_file))
    words = ("media", "write", VERSION, *OTHER, "--keys", "keys", "--to", stage.stick("right"))
    stage.ferry(*words)


@pytest.fixture
def asking(carried, simulate):
    """A cluster that asks for another SBE than the medium carries, which is older."""
    carried.cluster = simulate(carried, required_sbe_version=ASKED_FOR)
    return carried


def test_older_sbe_is_refused_with_what_it_would_hide(asking):
    refused = import_(asking, expect=5)
    assert f"importing SBE_Contoso_GenA_{SBE_VERSION} would hide {VERSION}" in refused.err
    assert f"older than {ASKED_FOR}" in refused.err
    assert asking.cluster.world.journal.add_calls == 1
    assert listed(asking) == {f"Solution{VERSION}": "AdditionalContentRequired"}


def test_written_reason_imports_it_and_what_was_foretold_comes_true(asking):
    done = import_(asking, *HIDES, expect=1)
    assert f"foretold: Solution {VERSION} will be hidden (confirmed)" in done.err
    assert f"does not list {VERSION}: SBE{SBE_VERSION} hides it" in done.out
    assert "not as foretold" not in done.out
    assert listed(asking) == {f"SBE{SBE_VERSION}": "Ready"}
    for_the_bundle, for_the_sbe, judged = steps(asking, "predict", "predicted")
    assert "hides" not in for_the_bundle["facts"]
    assert for_the_sbe["facts"]["hides"] == REASON
    assert judged["outcome"] == "done"
    assert judged["facts"]["hidden_by"] == f"SBE{SBE_VERSION}"
    table = asking.ferry("site", "journal").out.splitlines()
    assert [line.split("done")[1].strip() for line in table if " predict " in line] == ["", REASON]


def test_hidden_update_is_advised_and_comes_back_with_the_right_sbe(asking, published, tmp_path):
    hidden = import_(asking, *HIDES, expect=1).out
    assert f"next: import SBE {ASKED_FOR}" in hidden
    assert "https://aka.ms/AzureStackSBEUpdate/Contoso" in hidden
    assert r"Updates\Manifests" in hidden
    again = import_(asking, expect=5)  # with the same medium: it has only the wrong one
    assert f"older than {ASKED_FOR}" in again.err
    carry_right(asking, published, tmp_path)
    words = ("--poll-seconds", "0.2", "--wait-minutes", "1", "--json")
    done = asking.ferry("cluster", "import", "right", *words)
    assert done.data["update"]["state"] == "Ready"
    assert done.data["hidden_by"] == ""
    inferred = {"version": SBE_VERSION, "predicted": ["hidden"], "confidence": "inferred"}
    assert done.data["differences"] == [
        {**inferred, "found": "Ready"}
    ]  # the wrong one stays listed
    assert listed(asking)[f"Solution{VERSION}"] == "Ready"
    assert asking.cluster.world.journal.add_calls == 3


def test_what_does_not_come_true_is_reported(asking):
    asking.cluster.world.outside.lists_although_hidden = True
    done = import_(asking, *HIDES, "--wait-minutes", "0.05", expect=None)
    assert f"not as foretold: {VERSION}: foretold was hidden (confirmed)" in done.out
    assert "found is AdditionalContentRequired" in done.out
    assert steps(asking, "predicted")[-1]["outcome"] == "differs"


def test_update_that_somebody_else_hid_is_noticed_and_advised(asking):
    import_(asking, expect=5)
    world = asking.cluster.world
    world.add(
        SolutionUpdate(
            resource_id=f"redmond/SBE{SBE_VERSION}",
            version=SBE_VERSION,
            sbe_version=SBE_VERSION,
            package_type="SBE",
            display_name="by hand",
            state="Ready",
            additional_properties={"SBEFamily": world.sbe_family},
        )
    )
    while f"Solution{VERSION}" in listed(asking):
        pass
    hidden = import_(asking, "--wait-minutes", "0.02", expect=1).out
    assert f"SBE{SBE_VERSION} hides it" in hidden
    assert f"next: import SBE {ASKED_FOR}" in hidden


def test_reason_must_say_something(asking):
    refused = import_(asking, "--import-hides-updates", "because", expect=2)
    assert "at least 10 letters" in refused.err
    assert not (asking / "site" / "journal.jsonl").exists()
