"""One bad block at the site: asked for, written at home without keys, imported from both media."""

import shutil
import subprocess
import sys

import pytest

from tests.stage import VERSION
from tests.system.conftest import content, import_
from tests.system.test_medium_killed import REPOSITORY
from tests.unit.media.making import NOW, Publisher, flip, make_payload
from tests.unit.media.receipts import SITE
from tests.unit.media.test_supplement import (
    SITE_ID,
    Crossing,
    SiteTrust,
    at_this_time,  # noqa: F401 - a fixture that is used by being here
    copied,
)
from toolkit.media import find_lacking

BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
DYING = """
import os, sys
from pathlib import Path
from tests.unit.media.making import NOW, make_payload
from tests.unit.media.test_supplement import KEYS
from toolkit.media import prepare_supplement, write_supplement
from toolkit.model import Silent

base, left = Path(sys.argv[1]), int(sys.argv[2])

class Dying(Silent):
    def advance(self, count_bytes):
        global left
        left -= 1
        if left == 0:
            os._exit(9)  # as kill -9: no finally, no flush, no lock released

prepared = prepare_supplement(base / "catalog", base / "ask.json", keys=KEYS, now=NOW)
held = make_payload(base / "held", data=bytes(range(256)) * (48 << 10))
(base / "S").mkdir()
write_supplement(base / "S", prepared, [held], progress=Dying(), now=NOW)
"""


def test_a_bad_block_reaches_the_cluster_by_a_supplement(carried, simulate):
    payload = next((carried / "medium").glob(f"*/data/payload/{BUNDLE}"))
    flip(payload, 8 * (5 << 20))
    cluster = simulate(carried)
    assert "differs" in import_(carried, expect=3).err
    ask = ("media", "request", "medium", "-o", "ask.json")
    said = carried.ferry(*ask).out
    answer = ("media", "supplement", "ask.json", "--catalog", "catalog", "--to", "second")
    shutil.rmtree(carried / "keys")  # nothing has to be signed
    refused = carried.ferry(*answer, expect=3)
    assert "ferry catalog know-key" in refused.err
    key = said.partition("signed by this site's key ")[2].splitlines()[0]
    known = ("ask.json", "--name", "plant7", "--fingerprint", key, "--catalog", "catalog")
    carried.ferry("catalog", "know-key", *known)
    carried.ferry(*answer, expect=6)
    (carried / "second").mkdir()
    carried.ferry(*answer, "--by", "Ada Lund")
    carried.ferry("media", "verify", "medium", expect=3)
    carried.ferry("media", "verify", "second", "--strict")
    assert "is whole" in carried.ferry("media", "verify", "second", "medium").out
    carried.ferry("media", "audit", "second")
    assert cluster.world.journal.add_calls == 0
    import_(carried, "second")
    assert cluster.world.journal.add_calls == 1
    share = "\\".join(
        ["ClusterStorage", "Infrastructure_1", "Shares", "SU1_Infrastructure_1", "import", BUNDLE]
    )
    arrived = cluster.world.nodes[0].drive.resolve(share)
    (held,) = (carried / "catalog" / VERSION).glob(BUNDLE)
    assert arrived.read_bytes() == held.read_bytes()
    carried.ferry("media", "history", "second", "--catalog", "catalog")


@pytest.mark.parametrize("chunk", [1, 6, 7, 12])
def test_a_killed_supplement_is_finished_by_the_same_command(tmp_path, chunk):
    """12 MiB are six chunks of 2 MiB to write (1 to 6) and six to read back (7 to 12)."""
    publisher = Publisher(tmp_path / "keys")
    held = make_payload(tmp_path / "held", data=bytes(range(256)) * (48 << 10))
    trust = SiteTrust(tmp_path / "site").pin(publisher.root)
    crossing = Crossing(tmp_path, publisher, trust, (held,)).write("A")
    flip(crossing.file("A", f"data/payload/{held.name}"), 800)
    lacking = find_lacking([tmp_path / "A"], trust.folder)
    ask = tmp_path / "ask.json"
    ask.write_bytes(lacking.request(site_id=SITE_ID, now=NOW).to_bytes(SITE))
    killed = subprocess.run(
        [sys.executable, "-c", DYING, str(tmp_path), str(chunk)],
        cwd=REPOSITORY,
        check=False,
        timeout=60,
    )
    assert killed.returncode == 9
    (unfinished,) = (tmp_path / "S").iterdir()
    assert not (unfinished / "complete.json").exists()
    finished = crossing.answer(ask)
    assert finished.folder == unfinished
    whole = content(crossing.answer(ask, stick="undisturbed").folder)
    found = content(finished.folder)
    assert (whole.pop("complete.json"), found.pop("complete.json")) != (None, None)
    assert found == whole
    assert copied(crossing.open("A", "S")) == held.sha256
