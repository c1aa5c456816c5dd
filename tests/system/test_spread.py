"""A set over two sticks: planned, written on one port, proven alone, imported from both."""

import json
import shutil

import pytest

from tests.stage import VERSION, Stage
from tests.system.conftest import import_, make_site

BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
SIZES = ("--size", "75MB", "--size", "75MB")
HOME = ("--catalog", "catalog", "--keys", "keys")


@pytest.fixture(scope="module")
def _home(tmp_path_factory):
    """A catalog that holds a bundle of 80 MiB, which no stick of 75 MB can hold."""
    stage = Stage(tmp_path_factory.mktemp("spread") / "s")
    bundle = stage.publish(size_mib=80)[0]
    stage.declare([bundle], "https://127.0.0.1:1/")
    stage.ferry("catalog", "add", f"vendor/{BUNDLE}", "--catalog", "catalog")
    stage.ferry("trust", "init", "--keys", "keys")
    return stage


@pytest.fixture
def home(_home, tmp_path):
    shutil.copytree(_home.folder, tmp_path / "s")
    return Stage(tmp_path / "s")


def write(stage, to, *more, expect=0):
    words = ("media", "write", VERSION, *SIZES, *HOME, "--to", stage.stick(to), *more)
    return stage.ferry(*words, expect=expect)


def test_bundle_that_no_stick_holds_reaches_the_cluster(home, simulate):
    assert "next: plug in another medium" in write(home, "medium").err
    assert "is written" in write(home, "stick2").err
    record = json.loads(next((home / "catalog" / "sets").glob("*.json")).read_bytes())
    assert [seen["medium"] for seen in record["receipts"]] == [1, 2]
    for stick in ("medium", "stick2"):
        home.ferry("media", "receive", stick, "--catalog", "catalog", expect=None)
    make_site(home)
    for number, stick in ((2, "stick2"), (1, "medium")):
        seen = json.loads(home.ferry("media", "verify", stick, "--json").out)["data"]
        assert (seen["medium"], seen["media_count"]) == (number, 2)
    cluster = simulate(home)
    refused = home.ferry("cluster", "import", "stick2", expect=6)
    assert "lie elsewhere" in refused.err
    assert cluster.world.journal.add_calls == 0
    import_(home, "stick2")
    assert cluster.world.journal.add_calls == 1
    share = "\\".join(
        ["ClusterStorage", "Infrastructure_1", "Shares", "SU1_Infrastructure_1", "import", BUNDLE]
    )
    arrived = cluster.world.nodes[0].drive.resolve(share)
    assert arrived.read_bytes() == (home / "vendor" / BUNDLE).read_bytes()


def test_killed_writing_of_any_stick_is_finished_by_the_same_command(home):
    for stick, number, seconds in (
        ("medium", "1", 0.9),
        ("medium", "1", 1.5),
        ("stick2", "2", 1.2),
    ):
        words = ("media", "write", VERSION, *SIZES, *HOME, "--to", home.stick(stick))
        words = (*words, "--medium", number)
        home.kill_after(seconds, *words)
    write(home, "medium", "--medium", "1")
    write(home, "stick2", "--medium", "2")
    make_site(home)
    for stick in ("medium", "stick2"):
        home.ferry("media", "verify", stick, "--strict")
