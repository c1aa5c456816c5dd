"""How fast a file goes to a node and back:  python -m tests.benchmarks.bench_smb_copy [--mib 2048] [--rounds 5] [--through-medium]

Copies one incompressible file, encryption required, through our session, through Samba's `smbclient` and with
`cp`, to Samba's server or (`--server simulator`) to the simulator's. With --through-medium also what an import
does: a payload of a signed medium, hashed while it is read, its directory kept, flushed now and then on the node.
Rounds are interleaved and medians are taken, so a busy machine disturbs all alike; only ratios of one run mean
anything. Nothing of the medium is in the page cache before it is copied, and no file of that name is on the node.
Time is that of the copy with its logon, without the start of Python; `smbclient` does not wait until
the server's disk has the file, and ours does: where medium and node share a disk, --drive gives the node another.

    a  to the node: a file, and the import's own copy, against `smbclient put`, which neither may be slower than
    b  back from the node, against `smbclient get`
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.bench_medium import Bench
from tests.benchmarks.bench_verify import let_go
from tests.benchmarks.costs import Cost, compare, run
from tests.benchmarks.smb_copy_child import PASSWORD, REMOTE, USER
from tests.simcluster.filetree import FileTree
from tests.simcluster.ntlm import Accounts
from tests.simcluster.samba import SambaServer
from tests.simcluster.smb import SmbServer

PUT, GET, COPY = "smbclient put", "smbclient get", "cp"
OURS, IMPORT, BACK = "ferry, a file", "ferry, from a medium", "ferry, back"


class Copies:
    """A file, a medium that carries it, a server, and every way to copy."""

    def __init__(self, folder: Path, drive: Path, *, mib: int) -> None:
        made = Bench(folder, mib << 20)
        stage = made.stage
        root, fingerprint = map(str, made.trust[1::2])
        stage.ferry("site", "init", "site", "--root", root, "--fingerprint", fingerprint)
        self.trust_dir = stage / "site" / "trust"
        self.medium, self.source, self.size_bytes = made.finished, made.payload, made.size_bytes
        self.folder = folder
        self.copied = drive / "copied.bin"
        self.environment = stage.environment
        self.drive = drive / "drive"
        self.drive.mkdir()
        self.port = 0
        self.keeps = False
        """Whether what stands on the node is still wanted."""

    def tidy(self) -> None:
        """Remove what was copied, let go of what will be read, and let the disk come to rest.

        What stands there would help whoever writes over it: its memory is there already.
        """
        self.copied.unlink(missing_ok=True)
        if not self.keeps:
            (self.drive / REMOTE.name).unlink(missing_ok=True)
        os.sync()
        let_go(self.source)
        claim_memory(self.size_bytes)

    def ours(self, way: str, *paths: Path) -> Callable[[], Cost]:
        """Copy through our session, in a process whose memory can be seen."""
        told = self.folder / "seconds"

        def act() -> Cost:
            words = [sys.executable, "-m", "tests.benchmarks.smb_copy_child", way, self.port, told]
            cost = run([*words, *paths], environment=self.environment)
            return replace(cost, seconds=float(told.read_text(encoding="ascii")))

        return act

    def smbclient(self, command: str) -> Callable[[], Cost]:
        """Copy through Samba's client."""
        words = ["smbclient", "//127.0.0.1/C$", "-p", self.port, "-U", USER, "-W", "WORKGROUP"]
        words += ["--client-protection=encrypt", "-m", "SMB3", "-c", command]
        return lambda: run(words, environment={**os.environ, "PASSWD": PASSWORD})

    def serve(self, kind: str, running: contextlib.ExitStack) -> None:
        """Start a server that requires encryption."""
        shares = {"C$": FileTree(self.drive)}
        if kind == "samba":
            server: SambaServer | SmbServer = SambaServer(
                "127.0.0.1",
                0,
                folder=self.folder / "samba",
                user=USER,
                password=PASSWORD,
                shares=shares,
            )
        else:
            accounts = Accounts(self.folder / "accounts", {USER: PASSWORD}, ["WORKGROUP"])
            server = SmbServer("127.0.0.1", 0, accounts=accounts, shares=shares)
        self.port = running.enter_context(server).port


def claim_memory(size_bytes: int) -> None:
    """Have the host of a virtual machine give back the memory that it took while it was free: no copy pays for that."""
    taken = [b"\1" * (1 << 30) for _ in range(2 * -(-size_bytes >> 30))]
    del taken


def main() -> None:
    """Run the benchmark and print its tables."""
    arguments = _arguments()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, to {arguments.server}")
    with (
        tempfile.TemporaryDirectory(prefix="ferry-bench-", dir=arguments.folder) as name,
        tempfile.TemporaryDirectory(prefix="ferry-bench-", dir=arguments.drive) as drive,
        contextlib.ExitStack() as running,
    ):
        made = Copies(Path(name), Path(drive), mib=arguments.mib)
        made.serve(arguments.server, running)
        ways = {
            COPY: lambda: run(["cp", made.source, made.copied]),
            PUT: made.smbclient(f"put {made.source} bench.bin"),
            OURS: made.ours("file", made.source),
        }
        settings = {"size_bytes": made.size_bytes, "rounds": arguments.rounds, "tidy": made.tidy}
        compare("a  to the node", ways, mine=OURS, most={PUT: 1.0}, **settings)
        if arguments.through_medium:
            ways = {**ways, IMPORT: made.ours("medium", made.medium, made.trust_dir)}
            del ways[OURS]
            compare("a  the import's own copy", ways, mine=IMPORT, most={PUT: 1.0}, **settings)
        made.ours("file", made.source)()
        made.keeps = True
        ways = {
            GET: made.smbclient(f"get bench.bin {made.copied}"),
            BACK: made.ours("back", made.copied),
        }
        compare("b  back from the node", ways, mine=BACK, most={}, **settings)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure copies to and from a node.")
    parser.add_argument("--mib", type=int, default=2048, help="size of the file")
    parser.add_argument("--rounds", type=int, default=5, help="how often; the medians count")
    parser.add_argument("--through-medium", action="store_true", help="also as an import copies")
    parser.add_argument("--server", choices=("samba", "simulator"), default="samba")
    parser.add_argument("--folder", type=Path, help="where to work (default: the temporary folder)")
    parser.add_argument("--drive", type=Path, help="where the node's disk is (default: likewise)")
    found = parser.parse_args()
    if not shutil.which("smbclient"):
        parser.error("Debian's smbclient is not installed: there is nothing to compare with")
    return found


if __name__ == "__main__":
    main()
