"""A real web server for tests: nginx on loopback over TLS, with a configuration of the test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from tests.vendorsite.certificates import make_certificates

IS_HERE = shutil.which("nginx") is not None


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody uses at the moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class RealWeb:
    """Serves `www` at `url` until the with-block ends.

    Args:
        folder: For its configuration, certificates and temporary files.
        www: What it serves.
        directives: Further lines of its `server` block.
        port: Where it listens; a second server of a test may take the first one's place.
    """

    def __init__(
        self, folder: Path, www: Path, *, directives: str = "", port: int | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.ca_file = folder / "ca.pem"
        self._folder, self._www, self._directives = folder, www, directives
        if not self.ca_file.exists():
            make_certificates(folder)

    def __enter__(self) -> RealWeb:
        configuration = self._folder / "nginx.conf"
        configuration.write_text(self._configuration(), encoding="utf-8")
        words = ["nginx", "-p", self._folder, "-c", configuration, "-e", self._folder / "error.log"]
        self._process = subprocess.Popen(words)
        until = time.monotonic() + 20
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self._folder / "error.log").read_text(encoding="utf-8"))
            time.sleep(0.02)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)

    def requests(self) -> list[str]:
        """Return, for each request answered, its path, range, status and body bytes."""
        path = self._folder / "access.log"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _configuration(self) -> str:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"  {kind}_temp_path {self._folder}/{kind};\n" for kind in kinds)
        user = "user root;\n" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
        return (
            f"{user}daemon off;\nworker_processes 1;\npid {self._folder}/nginx.pid;\n"
            "events { worker_connections 64; }\n"
            f"http {{\n{folders}"
            "  log_format asked '$uri [$http_range] $status $body_bytes_sent';\n"
            f"  access_log {self._folder}/access.log asked;\n"
            "  server {\n"
            f"    listen 127.0.0.1:{self.port} ssl;\n"
            f"    ssl_certificate {self._folder}/server.pem;\n"
            f"    ssl_certificate_key {self._folder}/server.key;\n"
            f"    root {self._www};\n"
            f"    {self._directives}\n"
            "  }\n}\n"
        )
