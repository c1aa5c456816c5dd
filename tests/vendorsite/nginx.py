"""The nginx of the machine as a vendor's web server on loopback: real TLS, real ranges, real rate limits.

It runs with a configuration of its own in a folder of the test, as one process that the with-block starts
and ends, and that ends too if the test is killed. What it has sent is read from its log, where an answer
stands once it is over.

    with Nginx(folder_with_files, work=tmp_path / "nginx", limit_rate="20m") as server:
        fetch(f"{server.url}/name", server.ca_file)
    assert server.bytes_sent() == ...

Source: nginx.org, ngx_http_core_module (limit_rate, sendfile_max_chunk), ngx_http_log_module.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.vendorsite.certificates import make_certificates

PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
_SECONDS = 20
_UNTIL_STDIN_CLOSES = '"$@" & cat; kill $!; wait $!'


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody uses at the moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass(frozen=True)
class Logged:
    """One answer that is over."""

    status: int
    body_bytes: int
    """What was handed to the connection, also when the client was gone before it came there."""
    range: str


class Nginx:
    """Serves the files of `folder` at `url`; a client must trust `ca_file`."""

    def __init__(
        self,
        folder: Path,
        *,
        work: Path,
        limit_rate: str | None = None,
        max_connections: int | None = None,
        directives: str = "",
        port: int | None = None,
    ) -> None:
        """Prepare the configuration.

        Args:
            folder: What is offered.
            work: A folder for configuration, certificates and logs; a second server may use it again.
            limit_rate: Bytes per second of one connection, as nginx writes it: `20m`.
            max_connections: Answer 429 to further connections of the same client.
            directives: More lines for the server block.
            port: Where it listens; a second server of a test may take the first one's place.
        """
        work.mkdir(parents=True, exist_ok=True)
        self._work, self._log = work, work / "access.log"
        tls = work / "tls"
        tls.mkdir(exist_ok=True)
        if not (tls / "ca.pem").exists():
            make_certificates(tls)
        self.ca_file = tls / "ca.pem"
        self._port = port or free_port()
        self.url = f"https://127.0.0.1:{self._port}"
        lines = [directives]
        if limit_rate is not None:
            lines.append(f"limit_rate {limit_rate};")
        if max_connections is not None:
            lines += [f"limit_conn one {max_connections};", "limit_conn_status 429;"]
        temporary = "\n".join(
            f"{name}_temp_path {work / name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (work / "nginx.conf").write_text(
            f"""
            daemon off; master_process off; pid {work / "nginx.pid"};
            error_log {work / "error.log"};
            events {{ worker_connections 256; }}
            http {{
                {temporary}
                log_format short '$status $body_bytes_sent $http_range';
                access_log {self._log} short;
                limit_conn_zone $binary_remote_addr zone=one:1m;
                default_type application/octet-stream;
                sendfile on;
                server {{
                    listen 127.0.0.1:{self._port} ssl;
                    ssl_certificate {tls / "server.pem"}; ssl_certificate_key {tls / "server.key"};
                    root {folder};
                    {chr(10).join(lines)}
                }}
            }}
            """,
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Nginx:
        assert PROGRAM is not None, "nginx is not installed"
        words = [PROGRAM, "-p", self._work, "-c", self._work / "nginx.conf", "-e", "stderr"]
        with (self._work / "nginx.out").open("wb") as out:
            self._process = subprocess.Popen(
                ["sh", "-c", _UNTIL_STDIN_CLOSES, "sh", *words],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
            )
        until = time.monotonic() + _SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                if time.monotonic() > until:
                    self.__exit__()
                    raise RuntimeError((self._work / "nginx.out").read_text()) from None
                time.sleep(0.02)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.communicate(timeout=_SECONDS)

    def answers(self) -> list[Logged]:
        """Return every answer that is over, in the order in which they ended."""
        found = []
        for line in self._log.read_text(encoding="utf-8").splitlines():
            status, body, asked = line.split(" ", 2)
            found.append(Logged(int(status), int(body), asked))
        return found

    def bytes_sent(self) -> int:
        """Return the body bytes of every answer that is over."""
        return sum(answer.body_bytes for answer in self.answers())
