"""How fast a file goes to a node and back:  python -m tests.benchmarks.bench_smb_copy [--mib 512] [--rounds 3]

Copies one incompressible file through our session, through Samba's `smbclient` and with the local file
system, to Samba's server and to the simulator's, and prints MB/s and ratios. Rounds are interleaved and the
best of each is taken, so a busy machine disturbs all alike; only ratios of one run mean anything.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path, PureWindowsPath

from tests.simcluster import samba
from tests.simcluster.filetree import FileTree
from tests.simcluster.ntlm import Accounts
from tests.simcluster.samba import SambaServer
from tests.simcluster.smb import SmbServer
from toolkit.model import Credential, Node, Silent
from toolkit.remote import Session, connect

USER, PASSWORD = "lcm", "Bench-7-pass"
REMOTE = PureWindowsPath(r"C:\bench.bin")
PIECE_BYTES = 1 << 20


def main() -> None:
    """Run the benchmark and print its table."""
    arguments = _arguments()
    size_bytes = arguments.mib << 20
    with tempfile.TemporaryDirectory(prefix="ferry-bench-", dir=arguments.folder) as name:
        folder = Path(name)
        source = folder / "source.bin"
        with source.open("wb") as out:
            for _ in range(arguments.mib):
                out.write(os.urandom(1 << 20))
        with ExitStack() as running:
            steps = _steps(folder, source, running)
            best = {step: float("inf") for step in steps}
            for _ in range(arguments.rounds):
                for step, act in steps.items():
                    started = time.perf_counter()
                    act()
                    best[step] = min(best[step], time.perf_counter() - started)
    print(f"{arguments.mib} MiB, best of {arguments.rounds}, {os.cpu_count()} processors")
    speeds = {step: size_bytes / seconds / 1e6 for step, seconds in best.items()}
    base = speeds.get("smbclient put, Samba")
    for step, speed in speeds.items():
        ratio = f"{speed / base:6.2f} x smbclient put" if base else ""
        print(f"{step:32} {speed:8.0f} MB/s  {ratio}")


def _steps(folder: Path, source: Path, running: ExitStack) -> dict[str, Callable[[], object]]:
    servers = {}
    tree = _tree(folder / "embedded")
    accounts = Accounts(folder / "accounts", {USER: PASSWORD}, ["WORKGROUP"])
    embedded = SmbServer("127.0.0.1", 0, accounts=accounts, shares={"C$": tree})
    servers["simulator"] = running.enter_context(embedded).port
    if samba.available():
        server = SambaServer(
            "127.0.0.1",
            0,
            folder=folder / "samba",
            user=USER,
            password=PASSWORD,
            shares={"C$": _tree(folder / "independent")},
        )
        servers["Samba"] = running.enter_context(server).port
    copied = folder / "copied.bin"
    steps: dict[str, Callable[[], object]] = {"cp": lambda: shutil.copyfile(source, copied)}
    for name, port in servers.items():
        steps[f"our upload, {name}"] = lambda port=port: _upload(source, port)
        steps[f"our download, {name}"] = lambda port=port: _download(copied, port)
        if shutil.which("smbclient"):
            steps[f"smbclient put, {name}"] = lambda port=port: _smbclient(
                f"put {source} bench.bin", port
            )
            steps[f"smbclient get, {name}"] = lambda port=port: _smbclient(
                f"get bench.bin {copied}", port
            )
    return steps


def _tree(root: Path) -> FileTree:
    root.mkdir()
    return FileTree(root)


def _session(port: int) -> Session:
    node = Node(name="n1", address="127.0.0.1", smb_port=port)
    return connect(node, Credential(username=USER, password=PASSWORD))


def _upload(source: Path, port: int) -> None:
    with (
        _session(port) as session,
        source.open("rb") as stream,
        session.upload(REMOTE, size_bytes=source.stat().st_size) as sink,
    ):
        while data := stream.read(PIECE_BYTES):
            sink.write(data)
        sink.finish()


def _download(into: Path, port: int) -> None:
    with (
        _session(port) as session,
        into.open("wb") as sink,
    ):
        session.download(REMOTE, sink, progress=Silent())


def _smbclient(command: str, port: int) -> None:
    words = ["smbclient", "//127.0.0.1/C$", "-p", str(port), "-U", USER, "-W", "WORKGROUP"]
    words += ["--client-protection=encrypt", "-m", "SMB3", "-c", command]
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, "PASSWD": PASSWORD})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure copies to and from a node.")
    parser.add_argument("--mib", type=int, default=512, help="size of the file")
    parser.add_argument("--rounds", type=int, default=3, help="how often; the best counts")
    parser.add_argument("--folder", type=Path, help="where to work (default: the temporary folder)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
