"""How fast an archive is looked into:  python -m tests.benchmarks.bench_inspect [--mib 1024] [--rounds 5]

Makes one archive with a stored member and one with a deflated member, and checks each with `inspect_zip`,
with `unzip -t` and with Python's own `zipfile -t`. Each check is a process of its own, rounds are
interleaved, the page cache is warm; medians are printed, with processor seconds, and ratios against both.
Only ratios of one run mean anything.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

IMPORTS = "imports"
ROOT = Path(__file__).resolve().parents[2]
OURS = (
    "import sys; from pathlib import Path; from toolkit.catalog._inside import inspect_zip;"
    "report = inspect_zip(Path(sys.argv[1])); sys.exit(not report.is_whole)"
)


def main() -> None:
    """Run the benchmark and print its table."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="ferry-bench-", dir=arguments.folder) as name:
        for method in ("stored", "deflated"):
            path = Path(name) / f"{method}.zip"
            _make(path, arguments.mib, is_deflated=method == "deflated")
            print(f"{method}: {arguments.mib} MiB in {path.stat().st_size >> 20} MiB")
            _compare(path, arguments.mib << 20, arguments.rounds)
            path.unlink()


def _compare(path: Path, size_bytes: int, rounds: int) -> None:
    commands: dict[str, Sequence[str]] = {
        IMPORTS: (sys.executable, "-c", "import toolkit.catalog"),
        "inspect_zip": (sys.executable, "-c", OURS, str(path)),
        "python -m zipfile -t": (sys.executable, "-m", "zipfile", "-t", str(path)),
    }
    if shutil.which("unzip"):
        commands["unzip -t"] = ("unzip", "-tqq", str(path))
    wall: dict[str, list[float]] = {step: [] for step in commands}
    busy: dict[str, list[float]] = {step: [] for step in commands}
    for _ in range(rounds):
        for step, command in commands.items():
            before, began = os.times(), time.perf_counter()
            subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
            wall[step].append(time.perf_counter() - began)
            after = os.times()
            busy[step].append(
                after.children_user + after.children_system
                - before.children_user - before.children_system
            )  # fmt: skip
    ours = statistics.median(wall["inspect_zip"])
    print(f"  of ours, imports alone {statistics.median(wall.pop(IMPORTS)):6.2f} s")
    for step in wall:
        seconds = statistics.median(wall[step])
        print(
            f"  {step:22}{seconds:7.2f} s {statistics.median(busy[step]):7.2f} CPU s"
            f"{size_bytes / seconds / 1e6:8.0f} MB/s   ours takes {ours / seconds:5.2f} of it"
        )


def _make(path: Path, mib: int, *, is_deflated: bool) -> None:
    """Write one member: noise that is stored, or half noise, half words, that is deflated."""
    generator = random.Random(1)
    words = [generator.randbytes(generator.randint(2, 9)).hex().encode() for _ in range(4000)]
    blocks = []
    for _ in range(8):
        block = generator.randbytes(1 << 20 if not is_deflated else 1 << 19)
        text = b" ".join(generator.choices(words, k=60_000))
        blocks.append((block + text)[: 1 << 20])
    method = zipfile.ZIP_DEFLATED if is_deflated else zipfile.ZIP_STORED
    with (
        zipfile.ZipFile(path, "w", method, compresslevel=1) as archive,
        archive.open("payload.bin", "w", force_zip64=True) as member,
    ):
        for number in range(mib):
            member.write(blocks[number % len(blocks)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure looking into archives.")
    parser.add_argument("--mib", type=int, default=1024, help="size of the member")
    parser.add_argument("--rounds", type=int, default=5, help="how often; the median counts")
    parser.add_argument("--folder", type=Path, help="where to work (default: the temporary folder)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
