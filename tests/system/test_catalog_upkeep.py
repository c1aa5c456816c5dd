"""A catalog through its life: killed, shared, on a full, a read-only and a FAT disk, and at the gate."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.stage import VERSION, Stage
from tests.system.conftest import SIZE_MIB, download, write_medium
from tests.vendorsite.server import VendorServer

BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
CATALOG = ("--catalog", "catalog")


@pytest.fixture
def holding(carried) -> Stage:
    """A stage whose catalog holds what the vendor published."""
    return carried


@pytest.fixture
def browsed(stage, published) -> Path:
    """The bundle in somebody's download folder."""
    folder = stage / "Downloads"
    folder.mkdir()
    return Path(shutil.copy(published / "vendor" / BUNDLE, folder))


@pytest.fixture
def elsewhere(tmp_path):
    """A folder on another file system than the tests' own, where nothing can be linked to."""
    shared = Path("/dev/shm")  # noqa: S108 - a file system in memory
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system to write to")
    folder = shared / f"ferry-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def statuses(stage: Stage, catalog: object = "catalog") -> dict[str, object]:
    found = json.loads(stage.ferry("catalog", "status", "--catalog", str(catalog), "--json").out)
    return found["data"]


def killed_again_and_again(stage: Stage, *words: str, seconds: float, times: int = 8) -> int:
    """Kill a command at random moments of its work; return how often it was still running."""
    return sum(stage.kill_after(random.uniform(0.3, 1) * seconds, *words) for _ in range(times))


# --- killed ----------------------------------------------------------------------------------------


def test_export_killed_at_random_moments_is_finished_by_the_same_command(holding, elsewhere):
    words = ["catalog", "export", str(elsewhere / "x"), *CATALOG]
    once = holding.ferry("catalog", "export", str(elsewhere / "once"), *CATALOG)
    assert killed_again_and_again(holding, *words, seconds=once.seconds)
    holding.ferry(*words)
    holding.ferry("catalog", "verify", "--deep", "--catalog", str(elsewhere / "x"))
    assert statuses(holding, elsewhere / "x")["unfinished"] == []
    assert len(statuses(holding, elsewhere / "x")["payloads"]) == 4


def test_add_killed_at_random_moments_is_finished_by_the_same_command(stage, browsed, elsewhere):
    source = shutil.move(browsed, elsewhere)  # so that it is copied
    words = ["catalog", "add", str(source), *CATALOG]
    once = stage.ferry("catalog", "add", str(source), "--catalog", "once")
    assert killed_again_and_again(stage, *words, seconds=once.seconds)
    stage.ferry(*words)
    stage.ferry("catalog", "verify", "--deep", *CATALOG)
    found = statuses(stage)
    assert (found["unfinished"], found["unreferenced"]) == ([], [])
    assert Path(source).read_bytes() == (stage / "catalog" / VERSION / BUNDLE).read_bytes()


def test_quarantine_killed_at_random_moments_is_finished_by_the_same_command(holding, vendor):
    words = ["catalog", "verify", BUNDLE, "--quarantine", *CATALOG]
    seconds = holding.ferry("catalog", "verify", BUNDLE, *CATALOG).seconds
    (bytes_,) = [
        Path(item["held"]["path"])
        for item in statuses(holding)["payloads"]
        if item["held"]["name"] == BUNDLE
    ]
    path = holding / bytes_
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    killed_again_and_again(holding, *words, seconds=seconds, times=5)
    holding.ferry(*words, expect=None)
    download(holding, vendor)
    holding.ferry("catalog", "verify", "--deep", *CATALOG)


# --- two at once -----------------------------------------------------------------------------------


def test_two_exports_at_once_do_not_spoil_each_other(holding, elsewhere):
    words = ["catalog", "export", str(elsewhere / "x"), *CATALOG]
    started = [holding.popen(*words) for _ in range(2)]
    codes = []
    for process in started:
        process.communicate(timeout=120)
        codes.append(process.returncode)
    assert sorted(codes) in ([0, 0], [0, 6])
    holding.ferry(*words)
    holding.ferry("catalog", "verify", "--catalog", str(elsewhere / "x"))


def test_pruning_beside_an_add_never_takes_what_is_being_added(stage, browsed, elsewhere):
    source = shutil.move(browsed, elsewhere)
    stage.ferry("catalog", "add", str(source), "--catalog", "catalog")
    for _ in range(2):
        stage.ferry("catalog", "prune", "--version", VERSION, *CATALOG)
        with stage.popen("catalog", "add", str(source), *CATALOG) as adding:
            while adding.poll() is None:
                pruning = ["catalog", "prune", "--older-than", "0", *CATALOG]
                assert stage.ferry(*pruning, expect=None).code in (0, 6)
            adding.communicate()
        assert adding.returncode in (0, 6)
        stage.ferry("catalog", "add", str(source), *CATALOG)
        stage.ferry("catalog", "verify", *CATALOG)


# --- disks -----------------------------------------------------------------------------------------


def test_a_read_only_catalog_is_read_and_says_so_when_it_should_change(holding, mount):
    disk = mount("ro", "size=64m")
    shutil.copytree(holding / "catalog", disk / "c")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    there = ("--catalog", str(disk / "c"))
    holding.ferry("catalog", "status", *there)
    verified = holding.ferry("catalog", "verify", *there)
    assert "cannot be recorded" in verified.err
    stick = holding.stick("other-medium")
    holding.ferry("media", "write", VERSION, *there, "--keys", "keys", "--to", stick)
    refused = holding.ferry("catalog", "prune", "--older-than", "0", *there, expect=6)
    assert "write-protected" in refused.err
    assert "Read-only" in refused.err
    holding.ferry("catalog", "prune", "--dry-run", *there)


def test_a_full_disk_leaves_nothing_under_a_final_name_and_the_same_command_goes_on(
    stage, browsed, mount
):
    disk = mount("small", f"size={SIZE_MIB - 2}m")
    words = ["catalog", "add", str(browsed), "--catalog", str(disk / "c")]
    refused = stage.ferry(*words, expect=6)
    assert "bytes free" in refused.err
    assert [path for path in disk.rglob("*") if path.is_file() and path.suffix != ".lock"] == []
    subprocess.run(["mount", "-o", f"remount,size={SIZE_MIB + 4}m", str(disk)], check=True)
    stage.ferry(*words)


def test_a_fat_disk_refuses_a_file_of_5_gib_before_its_first_byte(stage, fat, tmp_path):
    (stage / "vendor").mkdir()
    huge = stage / "vendor" / BUNDLE
    with huge.open("wb") as file:
        file.truncate(5 << 30)
    with VendorServer(stage / "vendor", tls_dir=tmp_path / "tls") as server:
        words = ("catalog", "download", VERSION, "--catalog", str(fat / "c"), "--url", server.url)
        refused = stage.ferry(*words, "--ca", str(server.ca_file), expect=6)
        assert server.bytes_served < 64 << 20  # what fits into the line before we hang up
    assert "at most 4294967295 bytes on this file system (FAT)" in refused.err
    assert "NTFS, exFAT or a Linux file system" in refused.err


def test_a_fat_disk_holds_a_catalog_without_links(holding, fat):
    there = ("--catalog", str(fat / "c"))
    sent = holding.ferry("catalog", "export", str(fat / "c"), *CATALOG)
    assert "0 of those sent now are links" in sent.out
    assert not (fat / "c" / VERSION / BUNDLE).exists()
    assert "no hard links" in holding.ferry("catalog", "status", *there).out
    holding.ferry("catalog", "verify", "--deep", *there)
    stick = holding.stick("other-medium")
    holding.ferry("media", "write", VERSION, *there, "--keys", "keys", "--to", stick)
    holding.ferry("catalog", "prune", "--version", VERSION, *there)
    assert statuses(holding, fat / "c")["object_bytes"] == 0


# --- the gate --------------------------------------------------------------------------------------


def test_what_nobody_proves_or_answers_for_is_not_written_to_a_medium(stage, vendor, published):
    manifest = stage / "manifests" / f"{VERSION}.yaml"
    text = manifest.read_text(encoding="utf-8")
    lines = [
        line for line in text.splitlines() if not line.strip().startswith(("sha256:", "size_"))
    ]
    start = next(number for number, line in enumerate(lines) if "witnesses" in line)
    assert start
    unpinned = "\n".join(lines).replace("value: ", "value: 00")  # 66 digits: no hash of any file
    manifest.write_text(unpinned + "\n", encoding="utf-8")
    held = download(stage, vendor, expect=1)
    assert "published hash impossible" in held.out
    refused = write_medium(stage, expect=7)
    assert "reviewed hash" in refused.err
    words = ["catalog", "accept", BUNDLE, "--reason", "in a hurry", *CATALOG]
    stage.ferry(*words, expect=7)
    manifest.write_text(text, encoding="utf-8")  # a person found out the right hash
    served = vendor.bytes_served
    download(stage, vendor)
    assert vendor.bytes_served == served
    write_medium(stage)
