"""How fast held bytes are verified:  python -m tests.benchmarks.bench_verify [--mib 4096] [--rounds 5]

Runs `ferry catalog verify` on one held file, start-up included, and `openssl dgst -sha256` on the same file
(with `--sha256sum` that program, too), with the file in the page cache and, where the kernel lets go of it,
from the disk. Rounds are interleaved; medians, and ratios of speeds to `openssl` in the same run (wanted: at
least 0.95). CPU seconds are those of the process and its threads.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from toolkit.catalog import HttpsFetcher
from toolkit.catalog._holding import Holding
from toolkit.model import PayloadKind, Silent

ROOT = Path(__file__).resolve().parents[2]
SHELF, NAME = "sbe/Bench_A_1.0.0.1", "bench.bin"


def main() -> None:
    """Run the benchmark and print its table."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="ferry-bench-", dir=arguments.folder) as name:
        folder = Path(name)
        path = _hold(folder / "catalog", folder / NAME, arguments.mib)
        ferry = [sys.executable, "-m", "toolkit", "catalog", "verify", NAME]
        steps = {
            "openssl dgst -sha256": ["openssl", "dgst", "-sha256", str(path)],
            **({"sha256sum": ["sha256sum", str(path)]} if arguments.sha256sum else {}),
            "ferry catalog verify": [*ferry, "--catalog", str(folder / "catalog")],
        }
        steps = {name: words for name, words in steps.items() if shutil.which(words[0])}
        print(f"{arguments.mib} MiB, medians of {arguments.rounds}, {os.cpu_count()} processors")
        _measure("in the page cache", steps, path, arguments.rounds, arguments.mib)
        if not hasattr(os, "posix_fadvise"):
            print("from the disk: this system has no posix_fadvise")
        elif not arguments.cached_only:
            _measure("from the disk", steps, path, arguments.rounds, arguments.mib)


def _measure(
    temperature: str, steps: dict[str, list[str]], path: Path, rounds: int, mib: int
) -> None:
    taken: dict[str, list[tuple[float, float]]] = {step: [] for step in steps}
    for _ in range(rounds):
        for step, words in steps.items():
            if temperature == "from the disk":
                let_go(path)
            else:
                read(path)
            taken[step].append(_run(words))
    seconds = {step: statistics.median(wall for wall, _ in runs) for step, runs in taken.items()}
    base = seconds.get("openssl dgst -sha256")
    print(temperature)
    for step, runs in taken.items():
        speed, cpu = mib / seconds[step], statistics.median(cpu for _, cpu in runs)
        ratio = f"{base / seconds[step]:6.2f} x openssl" if base else ""
        print(f"  {step:22} {seconds[step]:7.2f} s {speed:7.0f} MiB/s  {cpu:6.2f} s CPU {ratio}")


def _run(words: Sequence[str]) -> tuple[float, float]:
    """Return wall and CPU seconds of a command, which must not find the file bad."""
    started = time.perf_counter()
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # 1: measured and sound, but of few witnesses
        raise RuntimeError(f"{words[0]} ended with {process.returncode}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def _hold(catalog: Path, source: Path, mib: int) -> Path:
    with source.open("wb") as out:
        for _ in range(mib):
            out.write(os.urandom(1 << 20))
        os.fsync(out.fileno())
    held = Holding(catalog, fetcher=HttpsFetcher()).adopt(
        source,
        shelf=SHELF,
        name=NAME,
        kind=PayloadKind.SBE,
        url="",
        expected_sha256=None,
        siblings=(NAME,),
        progress=Silent(),
    )
    return held.path


def read(path: Path) -> None:
    """Have a file in the page cache."""
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(1 << 20)
        while file.readinto(buffer):
            pass


def let_go(path: Path) -> None:
    """Ask the kernel to drop the file's pages; they are clean."""
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the verification of held bytes.")
    parser.add_argument("--mib", type=int, default=4096, help="size of the file")
    parser.add_argument("--rounds", type=int, default=5, help="how often")
    parser.add_argument("--sha256sum", action="store_true", help="that program, too")
    parser.add_argument("--cached-only", action="store_true", help="leave the disk alone")
    parser.add_argument("--folder", type=Path, help="where to work (default: the temporary folder)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
