"""kill -9 at any moment of a long download: the same command ends with the right file, next to nothing twice."""

from __future__ import annotations

import filecmp
import random

import pytest

from tests.stage import VERSION, Stage
from tests.vendorsite import nginx
from tests.vendorsite.bundle import make_bundle

pytestmark = [
    pytest.mark.alone,  # a process that waits for a busy disk dies late, and its connections receive meanwhile
    pytest.mark.network,
    pytest.mark.skipif(nginx.PROGRAM is None, reason="nginx is not installed"),
]

NAME = f"CombinedSolutionBundle.{VERSION}.zip"
SIZE_BYTES = 1 << 30
KILLS = 50
LONGEST_S = 1.8
CONNECTIONS = 4
"""So many the server grants: 40 MB/s, at which the download outlasts the kills. With as many as help (16, 160 MB/s)
how fast the line is would be a matter of the machine, and the file would be there before the last kill."""


@pytest.mark.timeout(400)
def test_fifty_kills_leave_the_right_file_and_cost_two_percent_at_most(tmp_path):
    stage = Stage(tmp_path / "s")
    offered = tmp_path / "offered"
    offered.mkdir()
    published = make_bundle(offered, VERSION, size_bytes=SIZE_BYTES)
    # small chunks: the rate is kept over a hundredth of a second, not in bursts of a tenth
    smooth = "sendfile_max_chunk 128k;"
    with nginx.Nginx(
        offered,
        work=tmp_path / "nginx",
        limit_rate="10m",
        max_connections=CONNECTIONS,
        directives=smooth,
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
    assert filecmp.cmp(held, published, shallow=False)
    twice = sent / published.stat().st_size - 1
    print(f"{kills} kills, {len(answers)} answers, {twice:.2%} fetched twice")
    assert 0 <= twice <= 0.02
