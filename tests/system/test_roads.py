"""How the bytes get to the cluster: through WinRM alone, and unpacked there."""

import hashlib

from tests.stage import VERSION
from tests.system.conftest import import_

BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def payload(stage):
    """The bundle on the medium."""
    return next((stage / "medium").glob(f"*/data/payload/{BUNDLE}"))


def test_through_winrm_arrives_whole_and_says_how_long(carried, simulate):
    cluster = simulate(carried, smb="none", run_seconds=1)
    told = import_(carried, "--through-winrm")
    assert "is listed as Ready" in told.out
    assert "through WinRM at" in told.err
    assert "open port 445" in told.err
    assert digest(cluster.share_folder / "import" / BUNDLE) == digest(payload(carried))


def test_slow_way_of_expanding_is_said(carried, simulate):
    cluster = simulate(carried, run_seconds=1)
    for node in cluster.world.nodes:
        node.drive.resolve(r"C:\Windows\System32\tar.exe").unlink()
    assert "expanding the slow way" in import_(carried).err
    assert cluster.journal.commands["Expand-Archive"] == 1


def test_node_with_tar_expands_quickly(carried, simulate):
    cluster = simulate(carried, run_seconds=1)
    assert "slow way" not in import_(carried).err
    assert "Expand-Archive" not in cluster.journal.commands


def test_closed_port_of_smb_is_told_with_the_other_road(carried, simulate):
    simulate(carried, smb="none", nodes=2)
    told = import_(carried, "--patience-minutes", "0.02", expect=4).err
    assert told.count("run the same command with --through-winrm") == 1
