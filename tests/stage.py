"""What the demo and the system tests share: real processes on loopback, and the command `ferry`.

Everything runs as a user would run it: `ferry` as a process of its own, the vendor's web server and the
simulated cluster as two more, all below one folder that is thrown away. Servers stop when their standard
input closes, so nothing is left behind when a test is killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml

from tests.vendorsite.bundle import make_bundle, make_outer_zip, make_sbe
from tests.vendorsite.signing import make_signer, sign_xml

ROOT = Path(__file__).resolve().parent.parent
VERSION = "12.2603.1002.901"
SBE_VERSION = "4.2.2603.1"
USER, PASSWORD, PASSPHRASE = "lcmuser", "Plant-7 pass: wörd", "correct horse battery staple"


@dataclass(frozen=True)
class Result:
    """How one `ferry` command ended."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float

    @property
    def data(self) -> object:
        """The `data` of a `--json` document."""
        return json.loads(self.out)["data"]


@dataclass
class Stage:
    """A folder with everything of one crossing, and the environment `ferry` runs in."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    patience_s: float = 240
    """So long a command may take; then it must say where it hangs, and dies."""

    def __post_init__(self) -> None:
        temporary = self.folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("FERRY_") and not name.lower().endswith("_proxy")
        }
        self.environment = {
            **kept,
            "PYTHONPATH": str(ROOT),
            "PYTHONIOENCODING": "utf-8",
            "PYTHONFAULTHANDLER": "1",
            "TMPDIR": str(temporary),  # what a killed `ferry` leaves there goes with the folder
            "FERRY_KEY_PASSPHRASE": PASSPHRASE,
            "FERRY_USERNAME": USER,
            "FERRY_PASSWORD": PASSWORD,
            "FERRY_MANIFESTS": str(self.folder / "manifests"),
            "FERRY_SITE": str(self.folder / "site"),
            "FERRY_CLUSTER": "plant7",
            **self.environment,
        }

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def popen(self, *words: str, **extra: str) -> subprocess.Popen[str]:
        """Start `ferry` and do not wait."""
        return subprocess.Popen(
            [sys.executable, "-m", "toolkit", *words],
            cwd=self.folder,
            env={**self.environment, **extra},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def ferry(self, *words: str, expect: int | None = 0, **extra: str) -> Result:
        """Run `ferry` to its end; any exit code but `expect` (None: any) is an error."""
        began = time.monotonic()
        with self.popen(*words, **extra) as process:
            try:
                out, err = process.communicate(timeout=self.patience_s)
            except subprocess.TimeoutExpired:
                raise AssertionError(
                    f"ferry {' '.join(words)}: not done after {self.patience_s} s\n{_abort(process)}"
                ) from None
        result = Result(words, process.returncode, out, err, time.monotonic() - began)
        if expect is not None and result.code != expect:
            raise AssertionError(
                f"ferry {' '.join(words)}: exit {result.code}, expected {expect}\n{out}\n{err}"
            )
        return result

    def stick(self, name: str) -> str:
        """Have a folder that stands for a stick which is plugged in."""
        (self / name).mkdir(exist_ok=True)
        return name

    def kill_after(self, seconds: float, *words: str) -> bool:
        """Start `ferry` and kill it after a while; return whether it was still running."""
        with self.popen(*words) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=seconds)
            was_running = process.poll() is None
            process.kill()
        return was_running

    # --- the connected side ---------------------------------------------------------------------

    def publish(self, *, size_mib: int) -> list[Path]:
        """Make what the vendor publishes: a solution bundle and the three files of an SBE."""
        folder = self / "vendor"
        folder.mkdir(exist_ok=True)
        bundle = make_bundle(folder, VERSION, size_bytes=size_mib << 20)
        sbe = make_sbe(folder, "Contoso", "GenA", SBE_VERSION, supported_model="Contoso680")
        return [bundle, *sbe]

    def publish_sbe(self, version: str = SBE_VERSION, *, family: str = "GenA") -> Path:
        """Make what the hardware vendor publishes: an SBE, signed, in a zip of its own.

        The zip is in the folder `portal`, the vendor's discovery manifest and the authority that vouches
        for the vendor's signatures are beside it.
        """
        folder = self / "portal"
        folder.mkdir(exist_ok=True)
        authority = make_signer("Hardware Vendors' Authority", is_authority=True)
        vendor = make_signer("Contoso Ltd", authority)
        authority.write(folder / "authority.pem")
        files = make_sbe(
            folder,
            "Contoso",
            family,
            version,
            supported_model="Contoso680",
            sign=lambda data: sign_xml(data, vendor),
        )
        outer = make_outer_zip(folder / f"Bundle_SBE_Contoso_{family}_{version}.zip", files)
        for path in files[1:]:
            path.unlink()
        return outer

    def declare(self, files: Sequence[Path], url: str, *, version: str = VERSION) -> None:
        """Write the reviewed manifest of what is published, as a colleague would.

        Of a version that a shipped manifest pins, he decided for these files.
        """
        folder = self / "manifests"
        folder.mkdir(exist_ok=True)
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        decision = {"on": today, "by": "a colleague", "why": "the demo's vendor publishes it"}
        payloads = []
        for path in files:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            payloads.append(
                {
                    "name": path.name,
                    "kind": "sbe" if path.name.startswith("SBE_") else "solution-bundle",
                    "url": f"{url.rstrip('/')}/{path.name}",
                    "sha256": digest,
                    "size_bytes": path.stat().st_size,
                    "witnesses": [
                        {"value": digest, "source": "the demo's vendor", "seen_on": today}
                    ],
                    **({} if version == VERSION else {"decided": dict(decision)}),
                }
            )
        document = {
            "format": 1,
            "version": version,
            "os_build": "26100.32999",
            "available_on": today,
            "status": "listed",
            "applies_from": "12.2510.x or later",
            "payloads": payloads,
        }
        (folder / f"{version}.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")

    # --- the site -------------------------------------------------------------------------------

    def add_cluster(self, ready: Mapping[str, object], *, transport: str = "https") -> None:
        """Tell the site about the simulated cluster."""
        nodes = ready["nodes"]
        assert isinstance(nodes, list)
        words = ["site", "add-cluster", "plant7", "--transport", transport]
        words += ["--ca", str(ready["ca_file"]), "--smb-port", str(nodes[0]["smb_port"])]
        words += ["--winrm-port", str(nodes[0][f"{transport}_port"])]
        for node in nodes:
            words += ["--node", f"{node['name']}={node['address']}"]
        self.ferry(*words)


def _abort(process: subprocess.Popen[str]) -> str:
    """End a process that hangs; return what it wrote, where every thread stood last (not on Windows)."""
    process.send_signal(signal.SIGABRT if os.name == "posix" else signal.SIGTERM)
    try:
        out, err = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return f"{out}\n{err}"


@contextlib.contextmanager
def server(
    module: str, folder: Path, *words: str, environment: Mapping[str, str] | None = None
) -> Iterator[dict[str, object]]:
    """Run one of the test servers as a process until the block ends; yield what it says when ready."""
    folder.mkdir(parents=True, exist_ok=True)
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    with (
        (folder / "server.log").open("ab") as log,
        subprocess.Popen(
            [sys.executable, "-m", module, "--folder", folder, "--ready-file", ready, *words],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            until = time.monotonic() + 60
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > until:
                    tail = (folder / "server.log").read_text(encoding="utf-8", errors="replace")
                    raise RuntimeError(f"{module} did not start:\n{tail[-4000:]}")
                time.sleep(0.05)
            yield json.loads(ready.read_text(encoding="utf-8"))
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
