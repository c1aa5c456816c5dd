"""What a way of doing something costs, and how ways compare."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one way took once."""

    seconds: float
    cpu_s: float
    rss_mib: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.seconds + other.seconds,
            self.cpu_s + other.cpu_s,
            max(self.rss_mib, other.rss_mib),
        )


def run(words: Sequence[object], *, environment: dict[str, str] | None = None) -> Cost:
    """Run a program to its end and say what it took."""
    begun, rss_kib = time.perf_counter(), 0
    with tempfile.TemporaryFile() as said:
        environment = dict(os.environ if environment is None else environment)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's Python keeps what it compiled
        process = subprocess.Popen(
            [str(word) for word in words], env=environment, stdout=said, stderr=said
        )
        # not ru_maxrss: it counts what the process was before it became the program
        status = Path(f"/proc/{process.pid}/status")
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            with contextlib.suppress(OSError):
                found = re.search(r"VmHWM:\s+(\d+)", status.read_text(encoding="utf-8"))
                rss_kib = int(found[1]) if found else rss_kib
            time.sleep(0.01)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{words[0]}: exit {process.returncode}\n{said.read().decode()}")
    return Cost(seconds, ended[2].ru_utime + ended[2].ru_stime, rss_kib / 1024)


def compare(
    title: str,
    ways: Mapping[str, Callable[[], Cost]],
    *,
    size_bytes: int,
    mine: str,
    most: Mapping[str, float],
    rounds: int,
    tidy: Callable[[], None],
) -> None:
    """Print the medians of all ways, and the ratio of ours to each other one with what it may be."""
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    orders = list(itertools.permutations(ways))
    random.Random(rounds).shuffle(orders)
    for number in range(rounds):
        # a disk is fast after a rest: nobody always follows the slowest way
        for name in orders[number % len(orders)]:
            tidy()
            costs[name].append(ways[name]())
    tidy()
    print(f"\n{title}: {size_bytes >> 20} MiB, medians of {rounds}")
    print(f"  {'':26}{'time':>9}{'MB/s':>8}{'cpu':>9}{'peak RSS':>11}   ferry is")
    ours = statistics.median(cost.seconds for cost in costs[mine])
    for name, each in costs.items():
        seconds = statistics.median(cost.seconds for cost in each)
        cpu = statistics.median(cost.cpu_s for cost in each)
        rss = max(cost.rss_mib for cost in each)
        line = f"  {name:26}{seconds:7.2f} s{size_bytes / seconds / 1e6:8.0f}"
        line += f"{cpu:7.2f} s{rss:7.0f} MiB"
        if name != mine:
            ratio = ours / seconds
            line += f"   {ratio:.2f} x"
            if name in most:
                line += f" (at most {most[name]}: {'holds' if ratio <= most[name] else 'MISSED'})"
        print(line, flush=True)
