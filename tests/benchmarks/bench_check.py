"""How long many nodes take beside one:  python -m tests.benchmarks.bench_check [--nodes 16] [--rounds 5]

`ferry cluster check` of a simulated cluster of one node and of one with many, each a process of its own in which
every pipeline takes a set time, as on a real node. Rounds are interleaved; the median of each is taken. It says
something of our parallelism, nothing of real nodes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks import costs
from tests.stage import PASSWORD, USER, Stage, server
from tests.system.conftest import base_address, last_line

PIPELINE_S = 0.25
LIMIT = 2.5
"""Times one node."""


def checker(running: ExitStack, folder: Path, *, nodes: int) -> Callable[[], costs.Cost]:
    """Return what checks a cluster of so many nodes once; the cluster ends with `running`."""
    stage = Stage(folder / f"stage{nodes}")
    stage.ferry("trust", "init", "--keys", "keys")
    fingerprint = last_line(stage.ferry("trust", "fingerprint", "--keys", "keys").out)
    root = ("--root", "keys/1.root.json", "--fingerprint", fingerprint)
    stage.ferry("site", "init", "site", *root)
    (stage / "manifests").mkdir()
    words = ("--nodes", str(nodes), "--smb", "none", "--base", base_address())
    ready = running.enter_context(
        server(
            "tests.simcluster",
            folder / f"sim{nodes}",
            *words,
            *("--pipeline-seconds", str(PIPELINE_S)),
            environment={"SIM_USER": USER, "SIM_PASSWORD": PASSWORD},
        )
    )
    stage.add_cluster(ready)
    command = [sys.executable, "-m", "toolkit", "cluster", "check", "--json"]
    return lambda: costs.run(command, environment=stage.environment)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferry-bench-") as name, ExitStack() as running:
        folder = Path(name)
        ways = {nodes: checker(running, folder, nodes=nodes) for nodes in (1, arguments.nodes)}
        spent: dict[int, list[costs.Cost]] = {nodes: [] for nodes in ways}
        for _ in range(arguments.rounds):
            for nodes, check in ways.items():
                spent[nodes].append(check())
    print(f"{PIPELINE_S} s a pipeline, median of {arguments.rounds}")
    medians = {
        nodes: statistics.median(cost.seconds for cost in found) for nodes, found in spent.items()
    }
    for nodes, found in spent.items():
        cpu_s = statistics.median(cost.cpu_s for cost in found)
        ratio = medians[nodes] / medians[1]
        print(
            f"{nodes:3} nodes {medians[nodes]:7.1f} s  {ratio:5.2f} x one  {cpu_s:5.1f} s of processor"
        )
    print(f"limit: {LIMIT} x one")


if __name__ == "__main__":
    main()
