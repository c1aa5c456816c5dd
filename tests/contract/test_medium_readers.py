"""Programs that know nothing of ferry read a medium: BagIt validator, sha256sum, PowerShell, TUF client."""

import re
import shutil
import subprocess
import sys
from datetime import timedelta
from importlib import metadata

import pytest
from tuf.api.exceptions import ExpiredMetadataError
from tuf.ngclient import Updater, UpdaterConfig

from tests.unit.media.making import NOW, Publisher, flip, make_payload
from toolkit.media import site_recipient
from toolkit.media._verify import _FolderFetcher

POWERSHELL = shutil.which("pwsh") or shutil.which("powershell")


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    return Publisher(tmp_path_factory.mktemp("publisher") / "keys")


@pytest.fixture
def folder(tmp_path, publisher):
    bundle = make_payload(tmp_path / "catalog")
    sbe = make_payload(tmp_path / "catalog", name="SBE Contoso (2).zip", data=b"sbe")
    return publisher.write(tmp_path / "medium", bundle, sbe).folder


def bagit(folder):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bagit", "--validate", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def sha256sum(folder):
    return subprocess.run(
        ["sha256sum", "--strict", "-c", "tagmanifest-sha256.txt", "manifest-sha256.txt"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def powershell(folder):
    return subprocess.run(
        [POWERSHELL, "-NoProfile", "-ExecutionPolicy", "Bypass", "-File", folder / "verify.ps1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_bagit_validator_accepts_a_medium(folder):
    result = bagit(folder)
    assert result.returncode == 0, result.stderr


def test_a_bagit_validator_accepts_a_medium_that_was_used(folder):
    for name in ("custody/0001-write-00000001.json", "return/plant7.request.json"):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(b"{}")
    result = bagit(folder)
    assert result.returncode == 0, result.stderr


def test_an_encrypted_medium_needs_no_key_to_be_checked(tmp_path, publisher):
    more = {"book": tmp_path / "book", "recipients": [site_recipient(tmp_path / "identity")]}
    folder = publisher.write(tmp_path / "medium", make_payload(tmp_path / "catalog"), **more).folder
    assert bagit(folder).returncode == 0
    flip(next((folder / "data" / "payload").iterdir()), 7)
    assert bagit(folder).returncode != 0


def test_a_bagit_validator_refuses_a_damaged_medium(folder):
    flip(next((folder / "data" / "payload").iterdir()), 7)
    assert bagit(folder).returncode != 0


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum on this system")
def test_sha256sum_accepts_a_medium_and_refuses_a_damaged_one(folder):
    result = sha256sum(folder)
    assert result.returncode == 0, result.stderr
    assert (
        result.stdout.count(": OK") == len(list(folder.rglob("*.*"))) - 2
    )  # tagmanifest, complete
    flip(folder / "start.txt", 7)
    assert sha256sum(folder).returncode != 0


@pytest.mark.skipif(POWERSHELL is None, reason="no PowerShell on this system")
def test_the_script_on_the_medium_accepts_it_and_refuses_a_damaged_one(folder):
    result = powershell(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    flip(next((folder / "data" / "payload").iterdir()), 7)
    assert powershell(folder).returncode == 1


def test_the_script_needs_nothing_that_constrained_language_mode_forbids(folder):
    """Allowed: cmdlets, operators, methods of strings and hash tables. Source: about_Language_Modes."""
    text = (folder / "verify.ps1").read_text("utf-8")
    assert not re.search(r"\[[A-Za-z.]+\]::", text)
    assert not re.search(r"Add-Type|New-Object|Invoke-Expression|^\s*class ", text, re.MULTILINE)
    allowed = {"string"}
    assert set(re.findall(r"\[([A-Za-z.]+)\]", text)) <= allowed
    assert "HASHES ONLY" in text


# --- python-tuf: what we rely on beyond its documented face ---------------------------------------


@pytest.fixture
def updater(tmp_path, folder, publisher):
    (tmp_path / "state").mkdir()
    return Updater(
        metadata_dir=str(tmp_path / "state"),
        metadata_base_url="medium:///",
        fetcher=_FolderFetcher(folder / "tuf"),
        config=UpdaterConfig(prefix_targets_with_hash=False),
        bootstrap=publisher.root,
    )


def test_a_tuf_client_finds_the_targets(updater):
    updater._trusted_set.reference_time = NOW
    updater.refresh()
    found = updater.get_targetinfo("payload/CombinedSolutionBundle.12.2603.1002.15.zip")
    assert found is not None
    assert found.length == 1300


def test_the_reference_time_we_set_is_the_one_that_judges_expiry(updater):
    updater._trusted_set.reference_time = NOW + timedelta(days=181)
    with pytest.raises(ExpiredMetadataError):
        updater.refresh()


def test_the_installed_tuf_is_of_the_major_version_this_was_written_for():
    assert metadata.version("tuf").split(".")[0] == "7"
