"""Downloads against a real HTTPS server with faults: the same catalog that the unit tests drive."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.catalog.fakes import Listener, manifest_of, payload_of
from tests.vendorsite.bundle import make_bundle
from tests.vendorsite.certificates import Authority
from tests.vendorsite.server import VendorServer
from toolkit.catalog import Catalog
from toolkit.catalog._connection import BUFFER_BYTES
from toolkit.catalog._fetch import HttpsFetcher
from toolkit.catalog._part import Part, PartFile
from toolkit.errors import DigestError, DownloadError, InputError, StorageError, ToolkitError

pytestmark = pytest.mark.network

CHECKOUT = Path(__file__).resolve().parents[2]
VERSION = "12.2604.1003.9"


class Vendor:
    """A published bundle, the server that offers it, and a catalog that fetches it."""

    def __init__(self, server, bundle, root):
        self.server, self.bundle, self.root = server, bundle, root
        self.data = bundle.read_bytes()
        self.payload = payload_of(self.data, bundle.name)
        self.manifest = manifest_of(self.payload)
        self.listener = Listener()
        self.path = root / VERSION / bundle.name

    def download(self, *, ca_file=True, url=None, read_timeout_s=20.0):
        fetcher = HttpsFetcher(
            self.server.ca_file if ca_file else None, read_timeout_s=read_timeout_s
        )
        catalog = Catalog(self.root, fetcher=fetcher, retry_delays_s=(0, 0, 0))
        urls = [url or self.server.url]
        return catalog.download(self.manifest, urls=urls, progress=self.listener)

    def said(self, word):
        return any(word in line for line in self.listener.lines)


@pytest.fixture
def vendor(tmp_path):
    folder = tmp_path / "published"
    folder.mkdir()
    bundle = make_bundle(folder, VERSION, size_bytes=1 << 20)
    with VendorServer(folder, tls_dir=tmp_path / "tls") as server:
        yield Vendor(server, bundle, tmp_path / "catalog")


def test_a_bundle_is_fetched_and_proven(vendor):
    (held,) = vendor.download()
    assert held.path.read_bytes() == vendor.data
    assert vendor.server.bytes_served == len(vendor.data)


def test_a_cut_connection_is_resumed_with_range_and_if_range(vendor):
    vendor.server.faults.cut_after, vendor.server.faults.cut_times = 300_000, 1
    vendor.download()
    first, second = vendor.server.requests
    assert (first.range, first.status) == (None, 200)
    assert (second.range, second.status) == ("bytes=300000-", 206)
    assert second.if_range.startswith('"')
    assert vendor.server.bytes_served == len(vendor.data)
    assert vendor.said("resuming at 300000 bytes")


def test_a_connection_that_is_always_cut_ends_with_an_error_and_goes_on_next_time(vendor):
    vendor.server.faults.cut_after = 100_000
    with pytest.raises(DownloadError, match="400000 bytes") as caught:
        vendor.download()
    assert caught.value.exit_code == 4
    assert not vendor.path.exists()
    vendor.server.faults.cut_after = None
    vendor.download()
    assert vendor.server.bytes_served == len(vendor.data)


def test_a_changed_etag_starts_over(vendor):
    vendor.server.faults.cut_after, vendor.server.faults.cut_times = 300_000, 1
    vendor.server.faults.new_etag_each_time = True
    vendor.download()
    assert [request.status for request in vendor.server.requests] == [200, 200]
    assert vendor.said("starting over")
    assert vendor.path.read_bytes() == vendor.data


def test_a_file_replaced_by_a_longer_one_is_started_over(vendor):
    vendor.server.faults.cut_after = 100_000
    with pytest.raises(DownloadError):
        vendor.download()
    vendor.server.faults.cut_after = None
    vendor.bundle.write_bytes(vendor.data + b"longer")
    with pytest.raises(DigestError):
        vendor.download()
    assert vendor.said("starting over")


def test_a_file_shorter_than_what_is_there_is_fetched_anew(vendor):
    vendor.path.parent.mkdir(parents=True)
    with contextlib.closing(Part(PartFile(vendor.path))) as part:
        part.belongs_to(len(vendor.data) + 10, f"{vendor.server.url}/{vendor.bundle.name}", "")
        part.write(0, memoryview(b"x" * (len(vendor.data) + 5)))
    vendor.download()
    assert [request.status for request in vendor.server.requests] == [416, 200]


def test_a_server_without_ranges_is_started_over(vendor):
    vendor.server.faults.cut_after, vendor.server.faults.cut_times = 300_000, 1
    vendor.server.faults.no_ranges = True
    vendor.download()
    assert vendor.server.bytes_served == len(vendor.data) + 300_000
    assert vendor.said("starting over")


def test_a_weak_etag_is_not_used_to_resume_but_the_date_is(vendor):
    vendor.server.faults.cut_after, vendor.server.faults.cut_times = 300_000, 1
    vendor.server.faults.weak_etag = True
    vendor.download()
    assert vendor.server.requests[1].if_range.endswith("GMT")
    assert vendor.server.bytes_served == len(vendor.data)


def test_without_any_validator_a_resumed_file_is_still_proven(vendor):
    vendor.server.faults.cut_after, vendor.server.faults.cut_times = 300_000, 1
    vendor.server.faults.no_validators = True
    vendor.download()
    assert vendor.server.requests[1].if_range is None
    assert vendor.path.read_bytes() == vendor.data


def test_one_flipped_byte_goes_to_quarantine_and_the_file_is_blamed(vendor):
    vendor.server.faults.flip_byte_at = 500_000
    with pytest.raises(DigestError) as caught:
        vendor.download()
    assert caught.value.exit_code == 3
    assert not vendor.path.exists()
    (text,) = (vendor.root / "quarantine").glob("*.txt")
    assert "verdict: file bad" in text.read_text(encoding="utf-8")


def test_a_placeholder_is_blamed_when_the_archive_is_whole(vendor):
    vendor.payload = payload_of(b"", vendor.bundle.name, sha256="3a2e5d7f1b8c9f6a" * 4)
    vendor.manifest = manifest_of(vendor.payload)
    with pytest.raises(DigestError, match="sha256"):
        vendor.download()
    (text,) = (vendor.root / "quarantine").glob("*.txt")
    assert "published hash impossible" in text.read_text(encoding="utf-8")


def test_a_content_length_too_large_does_not_spoil_a_whole_file(vendor):
    vendor.server.faults.extra_length = 10
    vendor.download()
    assert vendor.path.read_bytes() == vendor.data


def test_a_content_length_too_small_is_an_error_of_the_server(vendor):
    vendor.server.faults.extra_length = -10
    with pytest.raises(DownloadError, match="longer than announced"):
        vendor.download()
    assert not vendor.path.exists()


def test_a_busy_server_is_asked_again(vendor):
    vendor.server.faults.status, vendor.server.faults.status_times = 503, 2
    vendor.download()
    assert [request.status for request in vendor.server.requests] == [503, 503, 200]


@pytest.mark.parametrize("status", [403, 404, 410, 500])
def test_a_refusal_is_a_download_error_with_its_words(vendor, status):
    vendor.server.faults.status = status
    with pytest.raises(DownloadError, match=str(status)):
        vendor.download()
    assert len(vendor.server.requests) == (1 if status < 500 else 4)


SIGNED = "?sv=2024&sig=SECRET"
FAULTS = {
    "nothing": {},
    "refused": {"status": 403},
    "log-on": {"status": 401},
    "busy": {"status": 503},
    "cut": {"cut_after": 100_000},
    "stalled": {"stall_after": 100_000},
    "changed": {"cut_after": 100_000, "new_etag_each_time": True},
    "damaged": {"flip_byte_at": 500_000},
    "longer": {"extra_length": -10},
    "surplus": {"surplus": 10},
    "unmeasured": {"no_length": True, "ends_dirty": True, "cut_after": 1000},
    "redirect": {"redirect_to": "http://127.0.0.1:9/x" + SIGNED},
    "loop": {"redirect_to": "/again" + SIGNED},
    "garbage": {"raw_answer": b"garbage"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_signed_query_is_never_shown(vendor, fault, caplog):
    caplog.set_level("DEBUG")
    for name, value in FAULTS[fault].items():
        setattr(vendor.server.faults, name, value)
    said = vendor.listener.lines
    try:
        vendor.download(url=f"{vendor.server.url}/{vendor.bundle.name}{SIGNED}", read_timeout_s=0.3)
    except ToolkitError as error:
        said = [*said, str(error), str(error.hint)]
    quarantine = vendor.root / "quarantine"
    said += [path.read_text(encoding="utf-8") for path in quarantine.glob("*.txt")]
    assert all(request.path.endswith(SIGNED) for request in vendor.server.requests)
    assert not [line for line in (*said, caplog.text) if "SECRET" in line]


def test_a_signed_query_of_an_address_without_https_is_not_shown(vendor):
    with pytest.raises(InputError, match="https") as caught:
        vendor.download(url=f"http://vendor.example/x{SIGNED}")
    assert "SECRET" not in str(caught.value)


def test_a_stalled_connection_is_given_up_and_resumed(vendor):
    vendor.server.faults.stall_after = 100_000
    with pytest.raises(DownloadError, match="nothing came"):
        vendor.download(read_timeout_s=0.3)
    assert len(vendor.server.requests) == 4
    vendor.server.faults.stall_after = None
    vendor.download()
    assert vendor.path.read_bytes() == vendor.data


def test_an_unknown_authority_is_refused_and_not_retried(vendor):
    with pytest.raises(DownloadError, match="certificate") as caught:
        vendor.download(ca_file=False)
    assert "--ca" in caught.value.hint
    assert vendor.server.requests == []


def test_the_environment_may_name_the_authority(vendor, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(vendor.server.ca_file))
    vendor.download(ca_file=False)
    assert vendor.path.read_bytes() == vendor.data


def test_an_authority_given_by_hand_is_trusted_beside_those_of_the_environment(
    vendor, monkeypatch, tmp_path
):
    elsewhere = Authority("Somebody else").write(tmp_path / "elsewhere.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(elsewhere))
    vendor.download()
    assert vendor.path.read_bytes() == vendor.data


def test_a_missing_authority_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.pem"):
        HttpsFetcher(tmp_path / "nowhere.pem")


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/x", "file:///etc/passwd"])
def test_a_redirect_away_from_https_is_refused(vendor, target):
    vendor.server.faults.redirect_to = target
    with pytest.raises(DownloadError, match="https"):
        vendor.download()
    assert len(vendor.server.requests) == 1


def test_a_redirect_without_end_is_refused(vendor):
    vendor.server.faults.redirect_to = "/again"
    with pytest.raises(DownloadError, match="without end"):
        vendor.download()


def test_plain_http_is_refused_before_anything_is_asked(vendor):
    with pytest.raises(InputError, match="https"):
        vendor.download(url=vendor.server.url.replace("https", "http"))
    assert vendor.server.requests == []


def test_nobody_listening_is_a_download_error(vendor):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match="refused"):
        vendor.download(url=f"https://127.0.0.1:{port}")


@pytest.mark.skipif(sys.platform == "win32", reason="a file-size limit exists on POSIX only")
def test_a_disk_that_fills_up_is_a_storage_error_and_the_next_command_goes_on(vendor):
    code = (
        "import resource, signal, sys; from toolkit.cli import execute as run;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)); sys.exit(run())"
    )
    words = command(vendor)
    full = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        encoding="utf-8",
        env=environment(),
    )
    assert full.returncode == 6, full.stderr
    assert not vendor.path.exists()
    kept = vendor.path.with_name(vendor.path.name + ".part").stat().st_size
    assert 0 < kept <= 400_000
    again = ferry(*words)
    assert again.returncode == 0, again.stderr
    assert vendor.server.requests[-1].range == f"bytes={kept - kept % BUFFER_BYTES}-"


def test_a_killed_process_is_resumed_by_the_same_command(vendor):
    vendor.server.faults.bytes_per_s = 1_000_000
    words = command(vendor)
    part = vendor.path.with_name(vendor.path.name + ".part")
    with subprocess.Popen(
        [sys.executable, "-m", "toolkit", *words], stderr=subprocess.PIPE, env=environment(),
        cwd=CHECKOUT,
    ) as process:  # fmt: skip
        until = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size > 200_000):
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert not vendor.path.exists()
    vendor.server.faults.bytes_per_s = None
    kept = part.stat().st_size
    again = ferry(*words)
    assert again.returncode == 0, again.stderr
    assert vendor.server.requests[-1].range == f"bytes={kept}-"
    assert vendor.path.read_bytes() == vendor.data


def test_two_processes_at_once_do_not_spoil_each_other(vendor):
    vendor.server.faults.bytes_per_s = 700_000
    words = command(vendor)
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "toolkit", *words],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(), cwd=CHECKOUT,
        )
        for _ in range(2)
    ]  # fmt: skip
    codes = sorted(process.wait(timeout=60) for process in started)
    assert codes in ([0, 6], [0, 0])
    assert vendor.path.read_bytes() == vendor.data


def test_the_command_says_what_it_holds_as_json(vendor):
    done = ferry(*command(vendor), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["format"], document["kind"]) == (1, "held-payloads")
    assert document["data"][0]["sha256"] == hashlib.sha256(vendor.data).hexdigest()
    assert done.stderr == ""


# --- the command as a process ---------------------------------------------------------------------


def command(vendor):
    """Return the words of a download, with a manifest written for it."""
    folder = vendor.root.parent / "manifests"
    folder.mkdir(exist_ok=True)
    (folder / "mine.yaml").write_text(
        f"format: 1\nversion: {VERSION}\nos_build: '26100.32999'\navailable_on: 2026-04-20\n"
        "status: listed\npayloads:\n"
        f"  - name: {vendor.payload.name}\n    kind: solution-bundle\n"
        f"    url: {vendor.server.url}/{vendor.payload.name}\n    sha256: {vendor.payload.sha256}\n"
        "    witnesses: []\n",
        encoding="utf-8",
    )
    return [
        "catalog", "download", "2604", "--catalog", str(vendor.root), "--manifests", str(folder),
        "--ca", str(vendor.server.ca_file),
    ]  # fmt: skip


def environment():
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONIOENCODING": "utf-8"}


def ferry(*words):
    return subprocess.run(
        [sys.executable, "-m", "toolkit", *words],
        capture_output=True, encoding="utf-8", env=environment(), cwd=CHECKOUT, timeout=60,
    )  # fmt: skip


def test_the_seeded_bundle_is_the_same_every_time(tmp_path):
    first = tmp_path / "a"
    second = tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        random.seed(folder.name)
        make_bundle(folder, VERSION, size_bytes=100_000, seed=7)
    (one,), (two,) = first.iterdir(), second.iterdir()
    assert one.read_bytes() == two.read_bytes()
    assert abs(one.stat().st_size - 100_000) < 5000


def test_storage_errors_are_not_download_errors(vendor):
    vendor.root.write_text("a file where the catalog should be")
    with pytest.raises(StorageError):
        vendor.download()
