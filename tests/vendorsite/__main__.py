"""Serve a folder over HTTPS for the demo: `python -m tests.vendorsite --folder DIR --ready-file F`.

With `--serve PUBLISHED`, that folder is served and DIR keeps the certificates.
The ready file appears, complete, once connections are accepted: `{"url": …, "ca_file": …}`. The server
stops on SIGTERM, Ctrl-C or the end of its standard input, so it never outlives the one who started it.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
from pathlib import Path

from tests.vendorsite.server import Faults, VendorServer


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.vendorsite")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--ready-file", type=Path, required=True)
    parser.add_argument("--serve", type=Path, help="what to publish; default: the folder itself")
    parser.add_argument("--cut-after", type=int, help="cut the first answer after N bytes")
    options = parser.parse_args()

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    threading.Thread(target=_watch_stdin, args=(stop,), daemon=True).start()
    faults = Faults(cut_after=options.cut_after, cut_times=1)
    with tempfile.TemporaryDirectory() as temporary:
        tls_dir = options.folder / "tls" if options.serve else Path(temporary)
        published = options.serve or options.folder
        with VendorServer(published, tls_dir=tls_dir, faults=faults) as server:
            draft = options.ready_file.with_name(options.ready_file.name + ".part")
            ready = {"url": server.url, "ca_file": str(server.ca_file)}
            draft.write_text(json.dumps(ready), encoding="utf-8")
            draft.replace(options.ready_file)
            while not stop.wait(0.2):  # short waits, or Windows would not see Ctrl-C
                pass


def _watch_stdin(stop: threading.Event) -> None:
    while sys.stdin.read(1024):
        pass
    stop.set()


if __name__ == "__main__":
    main()
