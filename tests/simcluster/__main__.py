"""A simulated cluster as a process: `python -m tests.simcluster --folder DIR --ready-file FILE`.

User and password come from SIM_USER and SIM_PASSWORD. When everything listens, the ready file is written
(nodes with addresses and ports, CA file, control file, journal). The process ends with its standard
input, on Ctrl-C and on SIGTERM, and leaves nothing running.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from tests.simcluster.cluster import SimCluster
from tests.simcluster.healthy import make_healthy


def main() -> int:
    """Read the options, run until told to stop."""
    options = _parser().parse_args()
    user, password = os.environ.get("SIM_USER"), os.environ.get("SIM_PASSWORD")
    if not user or not password:
        print("set SIM_USER and SIM_PASSWORD", file=sys.stderr)
        return 2
    cluster = SimCluster(
        options.folder,
        user=user,
        password=password,
        name=options.name,
        nodes=options.nodes,
        base=options.base,
        https_port=options.https_port,
        http_port=options.http_port,
        smb_port=options.smb_port,
        smb=options.smb,
        run_seconds=None if options.speed == 0 else options.speed,
        failing_node=options.fail_node,
        failure=options.failure,
        required_sbe_version=options.require_sbe,
        language_mode=options.language_mode,
    )
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):  # the last one exists on Windows only
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)
    with cluster:
        cluster.world.ready.pipeline_seconds = options.pipeline_seconds
        if not options.bare:
            make_healthy(cluster.world)
        beside = options.ready_file.with_suffix(".new")
        beside.write_text(json.dumps(cluster.ready, indent=1), encoding="utf-8")
        beside.replace(options.ready_file)
        threading.Thread(target=_wait_for_end_of_input, args=(stopped,), daemon=True).start()
        while not stopped.wait(0.2):  # a plain wait would keep Ctrl-C from Windows
            pass
    return 0


def _wait_for_end_of_input(stopped: threading.Event) -> None:
    # not through sys.stdin: its lock, held while waiting, would abort the interpreter's end
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stopped.set()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simcluster", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="everything is kept in here")
    parser.add_argument("--ready-file", type=Path, required=True, help="written when it listens")
    parser.add_argument("--name", default="cluster1", help="of the failover cluster")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--base", default="127.0.77", help="first three numbers of the addresses")
    parser.add_argument("--https-port", type=int, default=5986)
    parser.add_argument("--http-port", type=int, default=5985)
    parser.add_argument("--smb-port", type=int, default=4455)
    parser.add_argument("--smb", choices=("embedded", "samba", "none"), default="embedded")
    parser.add_argument(
        "--speed",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="how long a whole update run takes; 0: as long as on a real cluster",
    )
    parser.add_argument("--fail-node", metavar="NAME", help="the CAU run fails on this node")
    parser.add_argument(
        "--failure",
        choices=("installer-blocked", "restart-timeout", "drain"),
        default="installer-blocked",
    )
    parser.add_argument(
        "--require-sbe", metavar="VERSION", help="imported updates ask for this SBE first"
    )
    parser.add_argument(
        "--language-mode", choices=("FullLanguage", "ConstrainedLanguage"), default="FullLanguage"
    )
    parser.add_argument(
        "--bare", action="store_true", help="leave undone what makes `ferry cluster check` pass"
    )
    parser.add_argument(
        "--pipeline-seconds", type=float, default=0.0, help="so long every command takes"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
