"""How fast a medium is written, verified and given parity:  python -m tests.benchmarks.bench_medium [--size 4GiB] [--device-speed 250MB]

Whole commands, their start included, against what the device itself needs and against the tools that people use
without ferry. Rounds are interleaved and medians are taken, so a busy machine disturbs all alike; only ratios of
one run mean anything. The payload lies in the page cache when it is written, and nothing of the medium does when it
is read. `dd` is the floor: the same bytes past the cache, and not one of them hashed. Its memory is in small pages,
which halves the speed of a disk of gigabytes a second; ferry's is not, so there it may be faster than that floor.
--device-speed makes a disk as fast as a good stick, where both wait for it (what is written through the cache, as
`cp` does, is not slowed down, so that line is left out).

    a  `ferry media write`, which hashes and reads back, against dd and against cp and openssl
    b  `ferry media verify`, which hashes every byte, against dd and a BagIt validator
    c  parity of 5 %, against `par2` with as many blocks
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.bench_verify import let_go, read
from tests.benchmarks.costs import Cost, compare, run
from tests.benchmarks.slowdevice import throttled
from tests.stage import VERSION, Stage
from toolkit.media._layout import parse_size
from toolkit.media._parity import DEFAULT_PERCENT, MEMORY_MB

FLOOR, COPY, BAGIT, PAR2 = "dd, nothing hashed", "cp, openssl dgst", "bagit.py, 2 processes", "par2"
WRITE, VERIFY, PARITY = "ferry media write", "ferry media verify", "ferry, parity alone"
BLOCK = "bs=4M"
MAKE_PARITY = f"""
import sys
from pathlib import Path
from toolkit.media import choose_parity
from toolkit.media._parity import make_parity
from toolkit.model import Silent

file, folder = map(Path, sys.argv[1:])
parity = choose_parity({DEFAULT_PERCENT}, memory_mb={MEMORY_MB}, progress=Silent())
make_parity(parity, file, folder, size_bytes=file.stat().st_size, progress=Silent())
"""


class Bench:
    """A held payload of a size, a place for media, and one finished medium."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self.stage = stage = Stage(folder / "s", patience_s=3600)
        bundle = stage.publish(size_mib=size_bytes >> 20)[0]
        stage.declare([bundle], "https://127.0.0.1:1/")
        stage.ferry("catalog", "add", f"vendor/{bundle.name}", "--catalog", "catalog")
        bundle.unlink()
        stage.ferry("trust", "init", "--keys", "keys")
        said = stage.ferry("trust", "fingerprint", "--keys", "keys").out.strip().splitlines()
        self.trust = ["--root", stage / "keys/1.root.json", "--fingerprint", said[-1]]
        self.home = ["--catalog", stage / "catalog", "--keys", stage / "keys", "--parity", "0"]
        self.stick, self.finished = stage / "stick", stage / "finished"
        self.finished.mkdir()
        self.write(self.finished)  # it looks into the archive, once
        self.payload = next(self.finished.rglob("*.zip"))
        self.held = stage / "catalog" / VERSION / bundle.name
        self.size_bytes = self.payload.stat().st_size

    def tidy(self) -> None:
        """Remove what was written, let go of what will be read, and let the disk come to rest."""
        shutil.rmtree(self.stick, ignore_errors=True)
        self.stick.mkdir()
        os.sync()
        let_go(self.payload)
        read(self.held)

    def ferry(self, *words: object) -> Cost:
        return run([sys.executable, "-m", "toolkit", *words], environment=self.stage.environment)

    def write(self, to: Path) -> Cost:
        return self.ferry("media", "write", VERSION, *self.home, "--to", to)

    def verify(self) -> Cost:
        return self.ferry("media", "verify", self.finished, *self.trust)

    def floor_of_writing(self) -> Cost:
        copy = self.stick / "copy"
        words = ["dd", "status=none", BLOCK, "oflag=direct", "conv=fsync"]
        return run([*words, f"if={self.held}", f"of={copy}"]) + self.floor_of_reading(copy)

    def floor_of_reading(self, file: Path) -> Cost:
        return run(["dd", "status=none", BLOCK, "iflag=direct", f"if={file}", "of=/dev/null"])

    def copy(self) -> Cost:
        copy = self.stick / "copy"
        cost = run(["cp", self.held, copy]) + run(["sync", copy])
        let_go(copy)
        return cost + run(["openssl", "dgst", "-sha256", copy])

    def bagit(self) -> Cost:
        words = [sys.executable, "-W", "ignore", "-m", "bagit", "--validate", "--processes", "2"]
        return run([*words, self.payload.parents[2]])

    def parity(self) -> Cost:
        words = [sys.executable, "-c", MAKE_PARITY, self.payload, self.stick / "parity"]
        return run(words, environment=self.stage.environment)

    def par2(self) -> Cost:
        words = ["par2", "create", "-q", f"-r{DEFAULT_PERCENT}", "-n1", "-b1000", f"-m{MEMORY_MB}"]
        return run([*words, f"-B{self.payload.parent}", self.stick / "p.par2", self.payload])


def main() -> None:
    """Run the benchmarks and print their tables."""
    arguments = _arguments()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="ferry-bench-", dir=arguments.folder) as name:
        made = Bench(Path(name), parse_size(arguments.size))
        slow = contextlib.nullcontext()
        if arguments.device_speed:
            slow = throttled(Path(name), parse_size(arguments.device_speed))
            print(f"a device of {arguments.device_speed}/s")
        tables = {
            "a": (
                "a  write and read back",
                {
                    FLOOR: made.floor_of_writing,
                    COPY: made.copy,
                    WRITE: lambda: made.write(made.stick),
                },
                {FLOOR: 1.05, COPY: 1.0},
            ),
            "b": (
                "b  verify",
                {
                    FLOOR: lambda: made.floor_of_reading(made.payload),
                    BAGIT: made.bagit,
                    VERIFY: made.verify,
                },
                {FLOOR: 1.05},
            ),
            "c": ("c  parity", {PAR2: made.par2, PARITY: made.parity}, {PAR2: 1.1}),
        }
        if arguments.device_speed:
            del tables["a"][1][COPY]
        with slow:
            for letter in arguments.only:
                title, ways, most = tables[letter]
                mine = list(ways)[-1]
                compare(
                    title,
                    ways,
                    size_bytes=made.size_bytes,
                    mine=mine,
                    most=most,
                    rounds=arguments.rounds,
                    tidy=made.tidy,
                )
    print(f"load {os.getloadavg()[0]:.1f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure media.")
    parser.add_argument("--size", default="4GiB", help="size of the payload")
    parser.add_argument("--rounds", type=int, default=5, help="how often")
    parser.add_argument("--only", nargs="+", default=["a", "b", "c"], help="which ones")
    parser.add_argument("--device-speed", help="of a throttled disk, in bytes a second")
    parser.add_argument("--folder", type=Path, help="where to work (default: the temporary folder)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
