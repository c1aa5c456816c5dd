"""The command on lines of all kinds: slow ones, limited ones, mirrors, hours, Ctrl-C, small file systems."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta

import pytest

from tests.contract.test_download import CHECKOUT, VERSION, Vendor, command, environment, ferry
from tests.vendorsite.bundle import make_bundle
from tests.vendorsite.server import VendorServer

pytestmark = pytest.mark.network

MIB = 1 << 20


@pytest.fixture
def publish(tmp_path):
    """Return a function that offers a bundle of some size."""
    folder = tmp_path / "published"
    folder.mkdir()
    with VendorServer(folder, tls_dir=tmp_path / "tls") as server:

        def offer(size_bytes):
            bundle = make_bundle(folder, VERSION, size_bytes=size_bytes)
            return Vendor(server, bundle, tmp_path / "catalog")

        yield offer


def popen(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "toolkit", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=environment(),
        cwd=CHECKOUT,
    )  # fmt: skip


def ranges_asked(vendor):
    return [request.range for request in vendor.server.requests]


def test_a_server_that_limits_each_connection_gets_several_and_each_byte_is_sent_once(publish):
    vendor = publish(32 * MIB)
    vendor.server.faults.bytes_per_s = 6_000_000
    begun = time.monotonic()
    vendor.download()
    assert time.monotonic() - begun < 32 * MIB / 6_000_000
    assert ranges_asked(vendor)[:2] == [None, "bytes=1-1"]
    assert len(vendor.server.requests) >= 5
    assert vendor.path.read_bytes() == vendor.data
    assert vendor.server.bytes_served < 1.1 * len(vendor.data)


def test_connections_may_be_limited_to_one(publish):
    vendor = publish(4 * MIB)
    vendor.server.faults.bytes_per_s = 3_000_000
    done = ferry(*command(vendor), "--connections", "1")
    assert done.returncode == 0, done.stderr
    assert ranges_asked(vendor) == [None]


def test_a_server_without_ranges_keeps_its_one_connection_and_that_is_said(publish):
    vendor = publish(6 * MIB)
    vendor.server.faults.bytes_per_s = 4_000_000
    vendor.server.faults.no_ranges = True
    vendor.download()
    assert vendor.said("the server gives no parts of a file; going on with 1 connection")
    assert ranges_asked(vendor) == [None, "bytes=1-1"]
    assert vendor.path.read_bytes() == vendor.data


def test_a_file_that_changes_while_several_fetch_it_is_started_over(publish):
    vendor = publish(24 * MIB)
    vendor.server.faults.bytes_per_s = 4_000_000
    words = command(vendor)
    with popen(*words) as process:
        until = time.monotonic() + 30
        while len(vendor.server.requests) < 5:
            assert time.monotonic() < until
            time.sleep(0.01)
        os.utime(vendor.bundle)  # the same bytes with another ETag
        vendor.server.faults.bytes_per_s = None
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "starting over" in err
    assert vendor.path.read_bytes() == vendor.data


def test_a_rate_is_kept(publish):
    vendor = publish(2 * MIB)
    begun = time.monotonic()
    done = ferry(*command(vendor), "--limit-rate", "1M")
    assert done.returncode == 0, done.stderr
    assert 1.8 < time.monotonic() - begun < 20
    assert ranges_asked(vendor) == [None]


def test_a_dead_mirror_is_left_for_another(publish):
    vendor = publish(MIB)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"https://127.0.0.1:{free.getsockname()[1]}"
    words = command(vendor)
    done = ferry(*words, "--url", dead, "--url", vendor.server.url)
    assert done.returncode == 0, done.stderr
    assert f"going on from {vendor.server.url.removeprefix('https://')}" in done.stderr
    assert vendor.path.read_bytes() == vendor.data


def test_outside_of_the_hours_nothing_is_asked(publish):
    vendor = publish(MIB)
    later = datetime.now().astimezone() + timedelta(hours=2)
    hours = f"{later:%H:%M}-{later + timedelta(hours=1):%H:%M}"
    with popen(*command(vendor), "--between", hours) as process:
        line = process.stderr.readline()
        process.kill()
    assert line.startswith(f"outside of {hours}; waiting for")
    assert vendor.server.requests == []


@pytest.mark.parametrize(
    "words",
    [
        ["--limit-rate", "fast"],
        ["--limit-rate", "0"],
        ["--between", "night"],
        ["--between", "22:00"],
        ["--connections", "17"],
    ],
)
def test_limits_that_make_no_sense_are_usage_errors(publish, words):
    vendor = publish(MIB)
    done = ferry(*command(vendor), *words)
    assert (done.returncode, vendor.server.requests) == (2, [])
    assert words[0] in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_ends_at_once_and_the_same_command_goes_on(publish):
    vendor = publish(8 * MIB)
    vendor.server.faults.bytes_per_s = 1_000_000
    words = command(vendor)
    with popen(*words) as process:
        until = time.monotonic() + 30
        while vendor.server.bytes_served < 2 * MIB:
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - begun < 5
    vendor.server.faults.bytes_per_s = None
    before = vendor.server.bytes_served
    done = ferry(*words)
    assert done.returncode == 0, done.stderr
    assert "resuming" in done.stderr
    assert vendor.server.bytes_served - before < 6.3 * MIB
    assert vendor.path.read_bytes() == vendor.data


@pytest.fixture
def fat32(tmp_path):
    """A folder on a small FAT32 file system; skipped where none can be mounted."""
    make = shutil.which("mkfs.vfat", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if make is None or sys.platform == "win32" or os.geteuid() != 0:
        pytest.skip("needs mkfs.vfat and the right to mount")
    image, folder = tmp_path / "fat.img", tmp_path / "fat"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    subprocess.run([make, "-F", "32", image], check=True, capture_output=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_fat32_refuses_a_file_of_5_gib_before_its_first_byte(publish, fat32):
    vendor = publish(MIB)
    with vendor.bundle.open("r+b") as file:
        file.truncate(5 << 30)
    vendor.root = fat32 / "catalog"
    done = ferry(*command(vendor))
    assert done.returncode == 6
    assert "FAT" in done.stderr
