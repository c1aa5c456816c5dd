"""Fixtures of the system tests: what was carried, a fresh site, a simulated cluster per test."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.simcluster.cluster import SimCluster
from tests.simcluster.healthy import make_healthy
from tests.stage import PASSWORD, ROOT, USER, VERSION, Stage
from tests.vendorsite.server import VendorServer

SIZE_MIB = 6


def last_line(text: str) -> str:
    return [line for line in text.splitlines() if line.strip()][-1].strip()


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Stage:
    """What the vendor publishes, the manifest of it, and the publisher's keys."""
    stage = Stage(tmp_path_factory.mktemp("published"))
    files = stage.publish(size_mib=SIZE_MIB)
    stage.declare(files, "https://127.0.0.1:1/")
    stage.ferry("trust", "init", "--keys", "keys")
    return stage


@pytest.fixture
def stage(published, tmp_path) -> Stage:
    """A connected machine with keys and manifest, and nothing downloaded."""
    for name in ("keys", "manifests"):
        shutil.copytree(published / name, tmp_path / "s" / name)
    return Stage(tmp_path / "s")


@pytest.fixture
def vendor(published, tmp_path) -> Iterator[VendorServer]:
    """The vendor's web server; a test sets its faults."""
    (tmp_path / "tls").mkdir()
    with VendorServer(published / "vendor", tls_dir=tmp_path / "tls") as server:
        yield server


def download(stage: Stage, vendor: VendorServer, *, expect: int | None = 0):
    words = ["catalog", "download", VERSION, "--catalog", "catalog", "--ca", str(vendor.ca_file)]
    return stage.ferry(*words, "--url", f"{vendor.url}/", expect=expect)


def write_medium(stage: Stage, to: str = "medium", *, expect: int | None = 0):
    words = ["media", "write", VERSION, "--catalog", "catalog", "--keys", "keys"]
    return stage.ferry(*words, "--to", stage.stick(to), expect=expect)


def make_site(stage: Stage) -> None:
    fingerprint = last_line(stage.ferry("trust", "fingerprint", "--keys", "keys").out)
    root = next((stage / "medium").glob("*/tuf/1.root.json"))
    stage.ferry("site", "init", "site", "--root", str(root), "--fingerprint", fingerprint)


@pytest.fixture(scope="session")
def packed(published, tmp_path_factory) -> Stage:
    """Downloaded, written to a medium, and a site that trusts its root."""
    stage = Stage(tmp_path_factory.mktemp("packed") / "s")
    for name in ("keys", "manifests"):
        shutil.copytree(published / name, stage / name)
    tls = tmp_path_factory.mktemp("tls")
    with VendorServer(published / "vendor", tls_dir=tls) as server:
        download(stage, server)
    write_medium(stage)
    make_site(stage)
    return stage


@pytest.fixture
def carried(packed, tmp_path) -> Stage:
    """A site with a medium at hand; everything is this test's own copy."""
    for name in ("keys", "manifests", "catalog", "medium", "site"):
        shutil.copytree(packed / name, tmp_path / "s" / name)
    return Stage(tmp_path / "s")


def base_address() -> str:
    """Loopback addresses of this test process alone, also when two run side by side."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return f"127.0.{60 + int(worker) * 10 + os.getpid() % 10}"


@pytest.fixture
def simulate(tmp_path):
    """Return a factory of simulated clusters that the stage's site knows as plant7."""
    with contextlib.ExitStack() as stack:

        def start(
            stage: Stage, *, transport: str = "https", healthy: bool = True, **options
        ) -> SimCluster:
            folder = tmp_path / "sim"
            options.setdefault("nodes", 4)
            cluster = SimCluster(
                folder, base=base_address(), user=USER, password=PASSWORD, **options
            )
            stack.enter_context(cluster)
            if healthy:
                make_healthy(cluster.world)
            stage.add_cluster(cluster.ready, transport=transport)
            return cluster

        yield start


def import_(stage: Stage, *more: str, expect: int | None = 0):
    words = ["cluster", "import", "medium", "--poll-seconds", "0.2", "--wait-minutes", "1"]
    return stage.ferry(*words, *more, expect=expect)


def clock_ahead(ahead: timedelta, *, jumps_after: int = 0) -> dict[str, str]:
    """The environment of a `ferry` whose clock is ahead (or behind), perhaps only after some readings."""
    return {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "wrongclock"), str(ROOT)]),
        "TEST_CLOCK_AHEAD_S": str(ahead.total_seconds()),
        "TEST_CLOCK_JUMPS_AFTER": str(jumps_after),
    }


DYING = """
import os, signal, sys
from toolkit.cli import execute, media  # once: each run is a process of its own all the same

place, words = sys.argv[1], sys.argv[2:]

def watch(event, args):
    global left
    touches = event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir")
    if touches and not isinstance(args[0], int) and os.fsdecode(args[0]).startswith(place):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

for line in sys.stdin:
    left = int(line)
    if (child := os.fork()) == 0:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        sys.addaudithook(watch)
        os._exit(execute(words))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""`ferry`, run for each number that it reads, and killed before so many touches of a place."""


@contextlib.contextmanager
def dying(stage: Stage, place: Path, *words: str) -> Iterator[Callable[[int], bool]]:
    """Run `ferry` again and again, killed before so many touches of a place; each run tells whether it was."""
    with (
        (stage / "log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-c", DYING, str(place), *words],
            cwd=stage.folder,
            env=stage.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            bufsize=1,
        ) as ferry,
    ):

        def killed_before(touch: int) -> bool:
            print(touch, file=ferry.stdin)
            code = int(ferry.stdout.readline())
            assert code in (0, -signal.SIGKILL)
            return code != 0

        yield killed_before


def content(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def mount(tmp_path):
    """Return a factory of mounted file systems in memory."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount")
    with contextlib.ExitStack() as stack:

        def mount(name: str, options: str) -> Path:
            folder = tmp_path / name
            folder.mkdir()
            command = ["mount", "-t", "tmpfs", "-o", options, "ferry-test", str(folder)]
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode != 0:
                pytest.skip(f"nothing can be mounted here: {made.stderr.strip()}")
            stack.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)
            return folder

        yield mount


@pytest.fixture
def fat(tmp_path):
    """A FAT32 disk: no hard links, no owners, names that ignore case, times of two seconds."""
    if shutil.which("fusefat") is None or shutil.which("mkfs.vfat") is None:
        pytest.skip("no fusefat and mkfs.vfat to make a FAT32 disk with")
    image, folder = tmp_path / "fat.img", tmp_path / "fat"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(96 << 20)
    subprocess.run(["mkfs.vfat", "-F", "32", str(image)], check=True, capture_output=True)
    made = subprocess.run(
        ["fusefat", "-o", "rw+", str(image), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0 or not folder.is_mount():
        pytest.skip(f"the FAT32 disk cannot be mounted: {made.stderr.strip()}")
    yield folder
    subprocess.run(["fusermount", "-u", "-z", str(folder)], check=True)
