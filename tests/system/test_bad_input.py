"""What goes wrong before anything begins: each has its own sentence and exit code, and changes nothing."""

import shutil

import pytest

from tests.stage import USER, VERSION
from tests.system.conftest import content, last_line

pytestmark = pytest.mark.network


@pytest.fixture
def plant7(carried, simulate):
    return simulate(carried, nodes=2)


@pytest.fixture
def refused(carried, plant7):
    """Return a runner of a command that must end with an exit code, and change nothing."""

    def run(*words, expect, **extra):
        def changes():
            journal = carried / "site" / "journal.jsonl"
            return (
                content(plant7.share_folder),
                journal.read_bytes() if journal.exists() else b"",
                plant7.world.journal.add_calls,
                plant7.world.runs,
            )

        before = changes()
        done = carried.ferry(*words, expect=expect, **extra)
        assert changes() == before
        assert "Traceback" not in done.err
        return done.err

    return run


IMPORT = ("cluster", "import", "medium")
CHECK = ("cluster", "check", "medium")


def add_cluster(stage, sim, nodes):
    stage.ferry("site", "remove-cluster", "plant7")
    words = [
        "--ca",
        str(sim.authority.ca_file),
        "--smb-port",
        str(sim.ready["nodes"][0]["smb_port"]),
    ]
    words += [word for node in nodes for word in ("--node", node)]
    stage.ferry("site", "add-cluster", "plant7", *words)


@pytest.mark.parametrize("words", [IMPORT, CHECK])
def test_name_that_does_not_resolve(carried, plant7, refused, words):
    add_cluster(carried, plant7, ["node1=node1.invalid", "node2=node2.invalid"])
    said = refused(*words, expect=4)
    assert "node1: its name cannot be resolved to an address" in said
    assert "node2: its name cannot be resolved to an address" in said
    assert "`ferry site show`" in said


def test_evidence_of_no_node_is_no_bundle_to_analyse(carried, plant7):
    add_cluster(carried, plant7, ["node1=node1.invalid", "node2=node2.invalid"])
    said = carried.ferry("logs", "collect", "-o", "empty.zip", expect=1).out
    assert "node2 everything: connect to node node2: its name cannot be resolved" in said
    assert "collect again into another file" in said
    assert "ferry logs analyse" not in said


def test_one_name_that_does_not_resolve_leaves_the_other_node(carried, plant7):
    add_cluster(carried, plant7, ["node1=node1.invalid", f"node2={plant7.world.nodes[1].address}"])
    rows = carried.ferry(*CHECK, "--json", expect=1).data["results"]
    (lost,) = [row for row in rows if row["check"] == "node-reached" and row["node"] == "node1"]
    assert "its name cannot be resolved to an address" in lost["evidence"]


@pytest.mark.parametrize("words", [IMPORT, CHECK, ("run", "start", VERSION)])
def test_machine_that_is_no_azure_local(plant7, refused, words):
    shutil.rmtree(plant7.share_folder)
    plant7.share_folder.parent.mkdir(parents=True, exist_ok=True)
    said = refused(*words, expect=5)
    assert "the infrastructure share of an Azure Local cluster" in said
    assert "is this the right machine" in said


def test_nodes_of_two_clusters(plant7, refused):
    plant7.world.nodes[1].ready.cluster = "plant9"
    said = refused(*IMPORT, expect=7)
    assert "node1 says cluster1, node2 says plant9" in said
    assert "ferry site remove-cluster plant7" in said


def test_nodes_of_two_clusters_have_no_common_baseline(carried, plant7, refused):
    plant7.world.nodes[1].ready.cluster = "plant9"
    said = refused("cluster", "baseline", "--by", "Ben Okri", expect=7)
    assert "node1 says cluster1, node2 says plant9" in said
    assert not (carried / "site" / "baselines").exists()


def test_version_that_cannot_import(plant7, refused):
    plant7.world.current_version = "10.2411.2.12"
    said = refused(*IMPORT, expect=5)
    assert "version 10.2411.2.12 (expected: 10.2411.3.2 or later)" in said
    assert "needs the connected way" in said


def test_medium_that_somebody_else_signed(carried, plant7, refused):
    carried.ferry("trust", "init", "--keys", "others")
    words = ("--catalog", "catalog", "--keys", "others", "--to", carried.stick("foreign"))
    carried.ferry("media", "write", VERSION, *words)
    for command in ("import", "check"):
        said = refused("cluster", command, "foreign", expect=3)
        assert "it may be for another site" in said.lower()


def test_medium_that_was_encrypted_for_another_site(carried, plant7, refused):
    fingerprint = last_line(carried.ferry("trust", "fingerprint", "--keys", "keys").out)
    root = next((carried / "medium").glob("*/tuf/1.root.json"))
    carried.ferry("site", "init", "other", "--root", str(root), "--fingerprint", fingerprint)
    other = last_line(carried.ferry("site", "identity", "--site", "other").out)
    words = ("--catalog", "catalog", "--keys", "keys", "--to", carried.stick("secret"))
    carried.ferry("media", "write", VERSION, "--encrypt-to", other, *words)
    carried.ferry("site", "identity", "--site", "site")
    said = refused("cluster", "import", "secret", expect=7)
    assert "1 recipient: age1" in said
    assert "`ferry site identity` prints here" in said


@pytest.mark.parametrize("words", [IMPORT, CHECK])
def test_password_that_is_wrong_is_offered_once(plant7, refused, words):
    said = refused(*words, expect=4, FERRY_PASSWORD="an old one")
    assert "it may be wrong, expired or locked" in said
    assert "Set-AzureStackLCMUserPassword" in said
    assert plant7.journal.logons[f"winrm {USER}"]["refused"] == 1


@pytest.mark.parametrize("words", [IMPORT, CHECK])
def test_account_that_is_no_administrator(plant7, refused, words):
    plant7.world.ready.ordinary_users.add(USER)
    said = refused(*words, expect=4)
    assert "Access is denied. (WSMan 5)" in said
    assert "use the account of the deployment (LCM) user" in said
