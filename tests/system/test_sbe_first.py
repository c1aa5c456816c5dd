"""An SBE that must be installed before an update: imported first, installed by a person, then the update.

The step is the change from 23H2 to 24H2, for which update-opt-enable.md names such SBEs.
"""

import json

import pytest

from tests.stage import Stage
from tests.system.conftest import import_, last_line, make_site
from tests.vendorsite.bundle import make_bundle, make_sbe
from tests.vendorsite.server import VendorServer

INSTALLED, WANTED = "11.2510.1002.93", "12.2510.1002.531"
FAMILY, OLD_SBE, SBE = "AS-HCI-AX-16G-45n0c", "4.1.2412.1201", "4.2.2506.1600"
IN_CATALOG = ("--catalog", "catalog")


@pytest.fixture
def changing(tmp_path, simulate):
    """A cluster before the change to 24H2, and a medium with the update and the SBE that comes before it."""
    stage = Stage(tmp_path / "s")
    (stage / "vendor").mkdir()
    bundle = make_bundle(stage / "vendor", WANTED, size_bytes=2 << 20)
    sbe = make_sbe(stage / "vendor", "Dell", FAMILY, SBE, supported_model="Contoso680")
    (tmp_path / "tls").mkdir()
    with VendorServer(stage / "vendor", tls_dir=tmp_path / "tls") as server:
        stage.declare([bundle, *sbe], server.url, version=WANTED)
        fetch = ("catalog", "download", WANTED, *IN_CATALOG, "--ca", str(server.ca_file))
        stage.ferry(*fetch, "--url", f"{server.url}/")
    stage.ferry("trust", "init", "--keys", "keys")
    write = ("media", "write", WANTED, *IN_CATALOG, "--keys", "keys")
    stage.ferry(*write, "--to", stage.stick("medium"))
    make_site(stage)
    stage.cluster = simulate(stage, run_seconds=1)
    world = stage.cluster.world
    world.current_version, world.sbe_family, world.current_sbe_version = INSTALLED, FAMILY, OLD_SBE
    return stage


def test_sbe_is_imported_first_then_installed_then_the_update_is_imported(changing):
    world = changing.cluster.world
    told = import_(changing, expect=1).out
    assert f"{WANTED} was not imported yet: an SBE comes first" in told
    assert f"SBE 4.2.2506.xx or later must be installed before {WANTED}" in told
    assert f"SBE{SBE} is listed as Ready" in told
    assert f"next: ferry run start SBE{SBE}" in told
    assert [update.resource_id for update in world.updates] == [f"redmond/SBE{SBE}"]
    again = json.loads(import_(changing, "--json", expect=1).out)["data"]
    assert (again["before"]["name"], again["copied_bytes"]) == (f"SBE{SBE}", 0)
    assert world.journal.add_calls == 1
    world.updates[0].state, world.current_sbe_version = "Installed", SBE
    assert last_line(import_(changing).out).startswith(f"{WANTED} is listed as Ready")
    assert world.journal.add_calls == 2
