"""How fast `ferry catalog download` is:  python -m tests.benchmarks.bench_download [--rounds 5] [--only a b c d]

The whole command, its start included, against curl followed by openssl and against aria2c, from nginx over
loopback TLS; every way ends with a verified file. Rounds are interleaved and medians are taken, so a busy
machine disturbs all alike; only ratios of one run mean anything. Measured for each way: time, processor
time of all its processes (the server's not among them), and the largest resident memory of one.

    a  unthrottled
    b  20 MB/s for each connection
    c  25 ms round trip with a small window (tests/vendorsite/slowline.py)
    d  killed at half, and finished by the same command: how much was fetched twice
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmarks.costs import Cost, compare, run
from tests.stage import ROOT, VERSION, Stage
from tests.vendorsite.bundle import make_bundle
from tests.vendorsite.nginx import Nginx

NAME = f"CombinedSolutionBundle.{VERSION}.zip"
CURL, ARIA4, ARIA8 = "curl, then openssl", "aria2c -x4 -s4", "aria2c -x8 -s8 -k1M"
FERRY = "ferry catalog download"


class Bench:
    """A published file of a size, and the ways to fetch it."""

    def __init__(self, folder: Path, mib: int) -> None:
        self.stage = Stage(folder / "s")
        self.offered = folder / "offered"
        self.offered.mkdir()
        self.out = folder / "out.bin"
        self.size_bytes = make_bundle(self.offered, VERSION, size_bytes=mib << 20).stat().st_size
        with (self.offered / NAME).open("rb") as file:
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()

    def tidy(self) -> None:
        """Remove what was fetched and let the disk come to rest."""
        shutil.rmtree(self.stage / "catalog", ignore_errors=True)
        for path in self.out.parent.glob(self.out.name + "*"):
            path.unlink()
        os.sync()

    def declare(self, url: str) -> None:
        """Publish the file at an address."""
        self.stage.declare([self.offered / NAME], url)

    def curl(self, url: str, ca: Path) -> Cost:
        fetched = run(["curl", "-sf", "--cacert", ca, f"{url}/{NAME}", "-o", self.out])
        return fetched + run(["openssl", "dgst", "-sha256", self.out])

    def aria2c(self, url: str, ca: Path, *options: str) -> Cost:
        words = ["aria2c", "-q", "--no-conf", f"--ca-certificate={ca}", *options]
        words += [f"--checksum=sha-256={self.sha256}", "-d", str(self.out.parent)]
        return run([*words, "-o", self.out.name, f"{url}/{NAME}"])

    def ferry_words(self, ca: Path, *options: str) -> list[object]:
        words = [sys.executable, "-m", "toolkit", "catalog", "download", VERSION]
        return [*words, "--catalog", self.stage / "catalog", "--ca", ca, *options]

    def ferry(self, url: str, ca: Path, *options: str) -> Cost:
        return run(self.ferry_words(ca, *options), environment=self.stage.environment)


@contextlib.contextmanager
def slow_line(url: str, rtt_ms: float) -> Iterator[str]:
    """Put a long way before a server; yield the address of its near end."""
    words = [sys.executable, "-m", "tests.vendorsite.slowline", "--to", str(urlsplit(url).port)]
    with subprocess.Popen(
        [*words, "--rtt-ms", str(rtt_ms)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"https://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


def killed(bench: Bench, server: Nginx, *options: str) -> float:
    """Kill a download at half, finish it, and return how much of the file was sent twice."""
    bench.tidy()
    before = server.bytes_sent()
    words = [str(word) for word in bench.ferry_words(server.ca_file, *options)]
    part = bench.stage / "catalog" / VERSION / f"{NAME}.part"
    with subprocess.Popen(words, env=bench.stage.environment, stderr=subprocess.DEVNULL) as process:
        while not part.exists() or part.stat().st_blocks * 512 < bench.size_bytes // 2:
            if process.poll() is not None:
                raise RuntimeError("ended before it could be killed")
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    bench.ferry(server.url, server.ca_file, *options)
    time.sleep(0.5)  # the log line of the answer that was cut
    return (server.bytes_sent() - before) / bench.size_bytes - 1


def main() -> None:
    """Run the benchmarks and print their tables."""
    arguments = _arguments()
    rounds = arguments.rounds
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="ferry-bench-", dir=arguments.folder) as name:
        folder = Path(name)

        @contextlib.contextmanager
        def bench(letter: str, mib: int, **options: str) -> Iterator[tuple[Bench, Nginx]]:
            place = folder / letter
            place.mkdir()
            made = Bench(place, mib)
            with Nginx(made.offered, work=place / "nginx", **options) as server:  # type: ignore[arg-type]
                made.declare(server.url)
                yield made, server
            shutil.rmtree(place)

        def measure(
            title: str, made: Bench, ways: dict[str, Callable[[], Cost]], most: dict[str, float]
        ) -> None:
            facts = {"size_bytes": made.size_bytes, "rounds": rounds, "tidy": made.tidy}
            compare(title, ways, mine=FERRY, most=most, **facts)  # type: ignore[arg-type]

        if "a" in arguments.only:
            with bench("a", arguments.large_mib) as (made, server):
                url, ca = server.url, server.ca_file
                ways = {
                    CURL: lambda: made.curl(url, ca),
                    ARIA4: lambda: made.aria2c(url, ca, "-x4", "-s4"),
                    FERRY: lambda: made.ferry(url, ca),
                }
                measure("a  unthrottled", made, ways, {CURL: 1.1, ARIA4: 0.8})
        if "b" in arguments.only:
            with bench("b", arguments.mib, limit_rate="20m") as (made, server):
                url, ca = server.url, server.ca_file
                ways = {
                    ARIA8: lambda: made.aria2c(url, ca, "-x8", "-s8", "-k1M"),
                    FERRY: lambda: made.ferry(url, ca),
                }
                measure("b  20 MB/s a connection", made, ways, {ARIA8: 0.7})
        if "c" in arguments.only:
            with bench("c", arguments.mib) as (made, server), slow_line(server.url, 25) as url:
                ca = server.ca_file
                made.declare(url)
                ways = {
                    ARIA4: lambda: made.aria2c(url, ca, "-x4", "-s4"),
                    FERRY: lambda: made.ferry(url, ca),
                }
                measure("c  25 ms", made, ways, {ARIA4: 0.8})
        if "d" in arguments.only:
            for count, most, limit in ((1, 0.03, {}), (4, 0.08, {"limit_rate": "20m"})):
                with bench("d", arguments.mib, **limit) as (made, server):
                    words = ("--connections", str(count))
                    twice = [killed(made, server, *words) for _ in range(rounds)]
                median = statistics.median(twice)
                print(
                    f"\nd  killed at half, {arguments.mib} MiB, {count} at most: fetched twice "
                    f"{median:.2%} (worst {max(twice):.2%}; at most {most:.0%}: "
                    f"{'holds' if median <= most else 'MISSED'})",
                    flush=True,
                )
    print(f"load {os.getloadavg()[0]:.1f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure downloads.")
    parser.add_argument("--mib", type=int, default=512, help="size of the file in b, c and d")
    parser.add_argument("--large-mib", type=int, default=4096, help="size of the file in a")
    parser.add_argument("--rounds", type=int, default=5, help="how often")
    parser.add_argument("--only", nargs="+", default=["a", "b", "c", "d"], help="which ones")
    parser.add_argument("--folder", type=Path, help="where to work (default: the temporary folder)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
