"""One copy to a node in a process of its own, whose memory can be seen; used by `bench_smb_copy`."""

from __future__ import annotations

import sys
import time
from pathlib import Path, PureWindowsPath
from typing import BinaryIO, cast

from toolkit.cluster._expanding import TailSink
from toolkit.cluster._lasting import LastingSink
from toolkit.errors import ReachError
from toolkit.media import open_medium
from toolkit.media._device import read_ahead
from toolkit.model import Credential, Node, Silent
from toolkit.remote import Session, Upload, connect

USER, PASSWORD = "lcm", "Bench-7-pass"
REMOTE = PureWindowsPath(r"C:\bench.bin")


def main() -> None:
    """Copy as the arguments say (WAY PORT SECONDS_FILE PATH [TRUST_DIR]) and write down how long it took."""
    way, port, seconds_file, *paths = sys.argv[1:]
    act = {"file": upload_file, "medium": upload_from_medium, "back": download}[way]
    began = time.perf_counter()
    with session(int(port)) as opened:
        act(opened, *map(Path, paths))
    Path(seconds_file).write_text(str(time.perf_counter() - began), encoding="ascii")


def session(port: int) -> Session:
    """Talk to the server on this machine."""
    node = Node(name="n1", address="127.0.0.1", smb_port=port)
    return connect(node, Credential(username=USER, password=PASSWORD))


def upload_file(opened: Session, source: Path) -> None:
    """Copy a file that nobody hashes."""
    size_bytes = source.stat().st_size
    with opened.upload(REMOTE, size_bytes=size_bytes) as sink:
        for chunk in read_ahead(source):
            sink.write(chunk)
        sink.finish()


def upload_from_medium(opened: Session, medium: Path, trust_dir: Path) -> None:
    """Copy a payload as an import does: proven while it is read, flushed now and then on the node."""
    carried = open_medium(medium, trust_dir)
    (target,) = carried.targets()

    def begin(held_bytes: int | None) -> Upload:
        return opened.upload(
            REMOTE, size_bytes=target.size_bytes, safe_bytes=held_bytes, on_flushed=lambda _: None
        )

    def bear(error: ReachError) -> None:
        raise error

    with LastingSink(begin, bear, lambda _: None) as sink:
        whole = TailSink(sink, target.size_bytes)
        carried.copy_target(target.name, cast("BinaryIO", whole), progress=Silent())
        sink.finish()


def download(opened: Session, into: Path) -> None:
    """Copy the file back."""
    with into.open("wb") as sink:
        opened.download(REMOTE, sink, progress=Silent())


if __name__ == "__main__":
    main()
