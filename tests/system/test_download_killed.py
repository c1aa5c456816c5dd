"""kill -9 at any moment of a long download: the same command ends with the right file, next to nothing twice."""

from __future__ import annotations

import hashlib
import os
import random

import pytest

from tests.stage import VERSION, Stage
from tests.vendorsite import nginx

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(nginx.PROGRAM is None, reason="nginx is not installed"),
]

NAME = f"CombinedSolutionBundle.{VERSION}.zip"
SIZE_BYTES = 1 << 30
KILLS = 50
LONGEST_S = 1.8


def write_noise(path, size_bytes):
    """Write bytes no two stretches of which are alike, faster than a generator of all of them."""
    noise = os.urandom(4 << 20)
    with path.open("wb") as out:
        for number in range(size_bytes // len(noise)):
            out.write(number.to_bytes(8, "big") + noise[8:])


@pytest.mark.timeout(400)
def test_fifty_kills_leave_the_right_file_and_cost_two_percent_at_most(tmp_path):
    stage = Stage(tmp_path / "s")
    offered = tmp_path / "offered"
    offered.mkdir()
    write_noise(offered / NAME, SIZE_BYTES)
    # small chunks: the rate is kept over a hundredth of a second, not in bursts of a tenth
    smooth = "sendfile_max_chunk 32k;"
    with nginx.Nginx(
        offered, work=tmp_path / "nginx", limit_rate="4m", directives=smooth
    ) as server:
        stage.declare([offered / NAME], server.url)
        words = ["catalog", "download", VERSION, "--catalog", "catalog"]
        words += ["--ca", str(server.ca_file)]
        kills = sum(stage.kill_after(random.uniform(0.2, LONGEST_S), *words) for _ in range(KILLS))
        part = stage / "catalog" / VERSION / f"{NAME}.part"
        assert kills == KILLS
        assert part.exists()
        stage.ferry(*words)
        answers, sent = server.answers(), server.bytes_sent()
    held = stage / "catalog" / VERSION / NAME
    with held.open("rb") as file, (offered / NAME).open("rb") as published:
        assert (
            hashlib.file_digest(file, "sha256").digest()
            == hashlib.file_digest(published, "sha256").digest()
        )
    twice = sent / SIZE_BYTES - 1
    print(f"{kills} kills, {len(answers)} answers, {twice:.2%} fetched twice")
    assert 0 <= twice <= 0.02
