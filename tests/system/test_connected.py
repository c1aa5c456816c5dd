"""The connected side as a user runs it: catalog and medium, each fault once."""

import json
import random
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.stage import PASSPHRASE, SBE_VERSION, VERSION
from tests.system.conftest import SIZE_MIB, content, download, last_line, make_site, write_medium
from toolkit.catalog import Catalog
from toolkit.media import open_keys
from toolkit.media import write_medium as write_medium_now
from toolkit.model import SolutionVersion

BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"


def held(stage):
    return {path.name for path in (stage / "catalog").rglob("*") if path.is_file()}


def payload(stage, name=BUNDLE):
    return next(path for path in (stage / "medium").rglob(name))


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_line_cut_during_the_download_is_survived(stage, vendor):
    vendor.faults.cut_after, vendor.faults.cut_times = SIZE_MIB << 19, 2
    download(stage, vendor)
    assert BUNDLE in held(stage)
    assert vendor.bytes_served < (SIZE_MIB + 2) << 20


def test_byte_altered_in_the_download_is_quarantined(stage, vendor):
    vendor.faults.flip_byte_at = 1 << 20
    refused = download(stage, vendor, expect=3)
    assert BUNDLE in refused.err
    assert list((stage / "catalog").rglob(f"*quarantine*/**/*{BUNDLE}*"))


def test_server_without_the_file_is_a_reach_error_and_the_same_command_continues(stage, vendor):
    vendor.faults.status = 404
    assert "next:" in download(stage, vendor, expect=4).err
    vendor.faults.status = None
    download(stage, vendor)


def test_unknown_certificate_authority_is_refused(stage, vendor):
    words = ["catalog", "download", VERSION, "--catalog", "catalog", "--url", f"{vendor.url}/"]
    assert "certificate" in stage.ferry(*words, expect=4).err.lower()


def test_authority_file_without_a_certificate_is_refused_at_once(stage):
    (stage / "ca.pem").write_text("nothing", encoding="utf-8")
    words = ["catalog", "download", VERSION, "--catalog", "catalog", "--ca", "ca.pem"]
    assert "ca.pem" in stage.ferry(*words, expect=7).err


def test_full_disk_leaves_no_file_under_a_final_name(stage, vendor):
    resource = pytest.importorskip("resource", reason="limits file sizes, POSIX only")

    def small_files_only():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))

    words = ["catalog", "download", VERSION, "--catalog", "catalog", "--ca", str(vendor.ca_file)]
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", *words, "--url", f"{vendor.url}/"],
        cwd=stage.folder,
        env=stage.environment | {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""},
        preexec_fn=small_files_only,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6, done.stderr
    assert BUNDLE not in held(stage)


def test_reader_that_has_seen_enough_is_no_bug_of_ours(stage):
    with stage.popen("catalog", "lint") as process:
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (1, "")


def test_refusal_keeps_its_exit_code_when_nobody_reads(carried):
    path = next((carried / "medium").rglob(BUNDLE))
    flip(path, 5)
    with carried.popen("media", "verify", "medium") as process:
        process.stdout.close()
        process.stderr.read()
    assert process.returncode == 3


def test_broken_manifest_names_file_and_place(stage):
    manifest = stage / "manifests" / f"{VERSION}.yaml"
    manifest.write_text("version: [\n", encoding="utf-8")
    refused = stage.ferry("catalog", "show", VERSION, expect=7)
    assert manifest.name in refused.err
    assert "Traceback" not in refused.err


def test_killed_download_is_finished_by_the_same_command(stage, vendor):
    vendor.faults.bytes_per_s = 4 << 20
    words = ["catalog", "download", VERSION, "--catalog", "catalog", "--ca", str(vendor.ca_file)]
    words += ["--url", f"{vendor.url}/"]
    killed = [stage.kill_after(random.uniform(0.5, 1.6), *words) for _ in range(3)]
    assert any(killed), "no download was killed while it ran"
    vendor.faults.bytes_per_s = None
    download(stage, vendor)
    document = json.loads(stage.ferry("catalog", "show", VERSION, "--json").out)
    assert document["kind"]
    (bundle,) = (
        p
        for p in Catalog(stage / "catalog").find(SolutionVersion.parse(VERSION))
        if p.name == BUNDLE
    )
    assert bundle.path.read_bytes() == (vendor.folder / BUNDLE).read_bytes()


def test_killed_writer_is_finished_by_the_same_command_with_the_same_payloads(
    packed, carried, tmp_path
):
    whole = {path.name: path.read_bytes() for path in (packed / "medium").rglob("data/payload/*")}
    shutil.rmtree(carried / "medium")
    carried.stick("medium")
    words = ["media", "write", VERSION, "--catalog", "catalog", "--keys", "keys", "--to", "medium"]
    kills, longest = 0, 0.8
    while kills < 3:
        if not carried.kill_after(random.uniform(0.2, longest), *words):
            longest *= 0.8  # it was done before: start over and be quicker
            assert longest > 0.1, "no writer could be killed while it ran"
            shutil.rmtree(carried / "medium")
            carried.stick("medium")
            continue
        kills += 1
        if list((carried / "medium").glob("*/tuf")) and not list(
            (carried / "medium").glob("*/complete.json")
        ):
            carried.ferry("media", "verify", "medium", expect=6)
    write_medium(carried)
    assert {p.name: p.read_bytes() for p in (carried / "medium").rglob("data/payload/*")} == whole
    carried.ferry("media", "verify", "medium")
    assert not list((carried / "medium").rglob("*.part"))


def test_independent_programs_accept_the_medium(packed):
    (folder,) = (packed / "medium").iterdir()
    bagit = [sys.executable, "-W", "ignore", "-m", "bagit", "--validate", str(folder)]
    subprocess.run(bagit, check=True, capture_output=True)
    check = ["sha256sum", "--check", "--quiet", "manifest-sha256.txt"]
    subprocess.run(check, cwd=folder, check=True)


def test_medium_is_verified_and_shown(carried):
    report = json.loads(carried.ferry("media", "verify", "medium", "--json").out)
    assert {file["verdict"] for file in report["data"]["files"]} == {"ok"}
    assert "NOT VERIFIED" in carried.ferry("media", "show", "medium").out


@pytest.mark.parametrize(
    "pattern", [f"data/payload/{BUNDLE}", "tuf/*targets.json", "tuf/timestamp.json"]
)
def test_flipped_bit_on_the_medium_is_refused(carried, pattern):
    path = next((carried / "medium").glob(f"*/{pattern}"))
    flip(path, path.stat().st_size // 2)
    refused = carried.ferry("media", "verify", "medium", expect=3)
    assert "Traceback" not in refused.err


def test_site_without_a_pinned_root_refuses_every_medium(carried):
    (carried / "empty").mkdir()
    carried.ferry("media", "verify", "medium", "--site", "empty", expect=3)


def test_root_with_another_fingerprint_is_not_pinned(carried):
    root = next((carried / "medium").glob("*/tuf/1.root.json"))
    words = ["site", "init", "other", "--root", str(root), "--fingerprint", "ab" * 32]
    carried.ferry(*words, expect=3)
    carried.ferry("site", "show", "--site", "other", expect=7)


def test_medium_signed_under_a_strangers_root_is_refused(carried):
    carried.ferry("trust", "init", "--keys", "strange-keys")
    words = ["media", "write", VERSION, "--catalog", "catalog", "--keys", "strange-keys"]
    carried.ferry(*words, "--to", carried.stick("strange"))
    carried.ferry("media", "verify", "strange", expect=3)


def test_older_medium_counts_while_the_newest_still_lists_what_it_carries(carried):
    write_medium(carried, "newer")
    carried.ferry("media", "verify", "newer")
    assert "too old" in carried.ferry("media", "verify", "medium").err


def test_older_medium_is_refused_after_a_newer_one_that_lists_something_less(carried):
    bundle, *_ = Catalog(carried / "catalog").find(SolutionVersion.parse(VERSION))
    write_medium_now(
        carried / carried.stick("newer"),
        [bundle],
        keys=open_keys(carried / "keys", PASSPHRASE),
        expires_at=datetime.now(UTC) + timedelta(days=9),
    )
    carried.ferry("media", "verify", "newer")
    refused = carried.ferry("media", "verify", "medium", expect=3).err
    assert "not older than" in refused
    assert f"withdrawn: payload/SBE_Contoso_GenA_{SBE_VERSION}" in refused


def test_expired_medium_is_refused(carried):
    expires_at = datetime.now(UTC) + timedelta(seconds=3)
    write_medium_now(
        carried / carried.stick("expired"),
        Catalog(carried / "catalog").find(SolutionVersion.parse(VERSION)),
        keys=open_keys(carried / "keys", PASSPHRASE),
        expires_at=expires_at,
    )
    time.sleep(max(0, (expires_at - datetime.now(UTC)).total_seconds()) + 1)
    assert "expired" in carried.ferry("media", "verify", "expired", expect=3).err.lower()


def test_wrong_passphrase_is_told_without_a_traceback(carried):
    words = ["media", "write", VERSION, "--catalog", "catalog", "--keys", "keys", "--to", "m2"]
    refused = carried.ferry(*words, expect=7, FERRY_KEY_PASSPHRASE="wrong")
    assert "passphrase" in refused.err
    assert "Traceback" not in refused.err


def test_whole_connected_line_gives_the_vendors_bytes(stage, vendor):
    download(stage, vendor)
    write_medium(stage)
    make_site(stage)
    stage.ferry("media", "verify", "medium")
    assert payload(stage).read_bytes() == (vendor.folder / BUNDLE).read_bytes()
    assert last_line(stage.ferry("media", "show", "medium").out)
    assert content(stage / "site")
