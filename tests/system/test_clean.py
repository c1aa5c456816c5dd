"""The import folder is given back: what ferry wrote goes, and nothing else."""

import json

from tests.stage import VERSION
from tests.system.conftest import import_
from tests.system.test_roads import BUNDLE


def clean(stage, *more, expect=0):
    return stage.ferry("cluster", "clean", *more, expect=expect)


def standing(cluster):
    """What lies in the import folder, but for ferry's own notes."""
    folder = cluster.share_folder / "import"
    return {path.name for path in folder.iterdir()} - {"ferry"}


def test_clean_removes_only_what_we_wrote(carried, simulate):
    cluster = simulate(carried, run_seconds=1)
    import_(carried)
    theirs = cluster.share_folder / "import" / "theirs"
    theirs.mkdir()
    (theirs / "notes.txt").write_text("of a colleague")
    packages = sorted(path.name for path in (cluster.share_folder / "Updates").rglob("*"))
    would = json.loads(clean(carried, "--dry-run", "--json", expect=1).out)["data"]
    assert {len(would["removed"]), len(would["left"])} == {2, 1}
    assert standing(cluster) == {BUNDLE, VERSION, "theirs"}
    done = clean(carried, expect=1)
    assert "removed 2 of ferry's files and folders" in done.out
    assert "no record of ferry knows it" in done.out
    assert r"\SU1_Infrastructure_1\import\theirs " in done.out
    assert standing(cluster) == {"theirs"}
    assert sorted(path.name for path in (cluster.share_folder / "Updates").rglob("*")) == packages
    assert "removed 0" in clean(carried, expect=1).out
    assert "is listed as Ready" in import_(carried).out
    assert cluster.world.journal.add_calls == 1


def test_version_that_is_added_and_not_listed_yet_is_kept(carried, simulate):
    cluster = simulate(carried, run_seconds=1)
    cluster.faults.arm("delay-discovery", count=1000)
    import_(carried, "--wait-minutes", "0", expect=1)
    refused = clean(carried, expect=5).err
    assert "not listed yet" in refused
    assert "ferry cluster discover" in refused
    assert "not listed yet" in clean(carried, "--all-versions").out
    assert standing(cluster) == {BUNDLE, VERSION}


def test_unfinished_import_is_removed(carried, simulate):
    cluster = simulate(carried, run_seconds=1)
    cluster.faults.arm("smb-drop", after_bytes=3 << 20)
    import_(carried, "--patience-minutes", "0", expect=4)
    assert any(name.endswith(".part") for name in standing(cluster))
    clean(carried)
    assert standing(cluster) == set()


def test_cleaning_goes_on_through_the_next_node(carried, simulate):
    cluster = simulate(carried, run_seconds=1)
    import_(carried)
    cluster.faults.arm("down", node="node1")
    cluster.faults.arm("drop", node="node2", cmdlet="Remove-Item", when="after")
    done = clean(carried)
    assert "removed 2 of ferry's files and folders" in done.out
    assert "connect to node node1" in done.err
    assert "; going on through node2" in done.err
    assert "; going on through node3" in done.err
    assert standing(cluster) == set()
