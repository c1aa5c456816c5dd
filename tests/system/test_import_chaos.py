"""An import of gigabytes while everything breaks again and again."""

import hashlib
import random
import shutil
import subprocess
import time

import pytest

from tests.stage import VERSION
from tests.system.bigmedium import pack
from tests.system.test_site import BUNDLE, SHARE

SIZE_MIB = 2048
MOST_SENT = 1.15
"""Of the bundle's size: at most 15 % of its bytes are sent twice."""
LIMIT_S = 480
QUIET_S = 1.5
"""How long a short command takes on a machine that does nothing else; on a busy one faults come as much later."""
KINDS = ("drop", "smb-drop", "reboot", "kill")
GOES_ON = (1, 4, -9)
"""How a `ferry` may end on the way: not listed yet, the line was lost, killed."""


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def torment(process, cluster, luck, struck, pace):
    """Let something break every few seconds until the process has ended."""
    armed = None
    while True:
        try:
            return process.communicate(timeout=pace * luck.uniform(2, 5))
        except subprocess.TimeoutExpired:
            kind = luck.choice(KINDS)
        struck.append(kind)
        if armed is not None:
            cluster.faults.disarm(armed)
        match kind:
            case "kill":
                process.kill()
            case "reboot":
                node = luck.choice(cluster.world.nodes).name
                armed = cluster.faults.arm(kind, node=node, seconds=2, words="unflushed")
            case "drop":
                armed = cluster.faults.arm(kind, when=luck.choice(["before", "after"]))
            case _:
                armed = cluster.faults.arm(kind)


@pytest.mark.alone
@pytest.mark.timeout(5 * LIMIT_S)
def test_import_of_gigabytes_survives_a_fault_every_few_seconds(tmp_path, simulate):
    seed = random.randrange(1 << 32)
    luck, struck, ends = random.Random(seed), [], []
    stage = pack(tmp_path / "s", size_mib=SIZE_MIB)
    signed = next((stage / "medium").rglob(BUNDLE))
    cluster = simulate(stage)
    words = ["cluster", "import", "medium", "--poll-seconds", "0.2", "--wait-minutes", "0.3"]
    pace = max(1.0, stage.ferry("cluster", "discover").seconds / QUIET_S)
    began = time.monotonic()
    while not ends or ends[-1] != 0:
        with stage.popen(*words) as process:
            told = torment(process, cluster, luck, struck, pace)
        ends.append(process.returncode)
        story = f"seed {seed}, pace {pace:.1f}, {time.monotonic() - began:.0f} s, {struck}, {ends}"
        assert ends[-1] in (0, *GOES_ON), f"{story}\n{told[1]}"
        assert time.monotonic() - began < pace * LIMIT_S, f"{story}\n{told[1]}"
    sent = cluster.journal.smb_written_bytes / signed.stat().st_size
    print(f"{story}, {sent:.3f} of the bundle sent")
    share = cluster.world.nodes[0].drive.resolve("\\".join([*SHARE, "import"]))
    assert sha256(share / BUNDLE) == sha256(signed)
    assert (share / VERSION / "SolutionUpdate.xml").is_file()
    assert not list(share.glob("*.part"))
    assert cluster.journal.add_calls == 1
    assert sent <= MOST_SENT, story
    shutil.rmtree(share)
    shutil.rmtree(stage / "medium")
