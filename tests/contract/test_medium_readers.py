"""Programs that know nothing of ferry read a medium: BagIt validator, sha256sum, PowerShell, TUF client."""

import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from importlib import metadata

import pytest
from tuf.api.exceptions import ExpiredMetadataError
from tuf.ngclient import Updater, UpdaterConfig

from tests.unit.media.making import NOW, Publisher, SiteTrust, flip, make_payload
from tests.unit.media.receipts import SITE
from tests.unit.media.test_supplement import SITE_ID, Crossing
from toolkit.media import SupplementRequest, Verdict, site_recipient
from toolkit.media._receipts import metadata_digest
from toolkit.media._supplement import AskedPiece
from toolkit.media._verify import _FolderFetcher

POWERSHELL = shutil.which("pwsh") or shutil.which("powershell")
SHELLS = [shell for shell in ("dash", "sh", "bash") if shutil.which(shell)]
SHELL = shutil.which("dash") or shutil.which("sh")


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


def shell(folder, *, program=SHELL, path=None):
    return subprocess.run(
        [program, folder / "verify.sh"],
        env={**os.environ, "PATH": path or os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_bagit_validator_accepts_a_medium(folder):
    result = bagit(folder)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("program", [bagit, sha256sum, shell])
def test_programs_that_know_no_ferry_accept_a_supplement(tmp_path, publisher, program):
    held = make_payload(tmp_path / "held"), make_payload(tmp_path / "held", name="SBE_1.zip")
    trust = SiteTrust(tmp_path / "site").pin(publisher.root)
    crossing = Crossing(tmp_path, publisher, trust, held).write("A")
    opened = crossing.open("A")
    _, piece = opened.pieces[0]
    asked = AskedPiece(
        path=piece.path, size_bytes=piece.size_bytes, sha256=piece.sha256, found=Verdict.DAMAGED
    )
    request = SupplementRequest(
        request_id=SITE_ID,
        made_at=NOW,
        site_id=SITE_ID,
        set_id=opened.set_id,
        set_name=opened.set_name,
        metadata=metadata_digest(opened.folder),
        pieces=(asked,),
    )
    (tmp_path / "ask.json").write_bytes(request.to_bytes(SITE))
    result = program(crossing.answer(tmp_path / "ask.json").folder)
    assert result.returncode == 0, result.stderr + result.stdout


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


# --- verify.sh ----------------------------------------------------------------------------------


needs_a_shell = pytest.mark.skipif(SHELL is None, reason="no POSIX shell on this system")


@pytest.mark.parametrize("program", SHELLS)
def test_any_shell_accepts_a_medium_by_its_script_and_says_what_that_proves(folder, program):
    result = shell(folder, program=program)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    listed = sum(
        len((folder / name).read_bytes().splitlines())
        for name in ("manifest-sha256.txt", "tagmanifest-sha256.txt")
    )
    assert f"{listed} files match, 0 do not. Hashes only" in result.stdout
    assert "ok         data/payload/SBE Contoso (2).zip" in result.stdout


def break_link(folder, payload):
    payload.rename(folder.parent / "elsewhere")
    payload.symlink_to(folder.parent / "elsewhere")


BREAKS = {
    "DIFFERENT  data/payload/SBE Contoso (2).zip": lambda _, payload: flip(payload, 7),
    "MISSING    data/payload/SBE Contoso (2).zip": lambda _, payload: payload.unlink(),
    "MISSING    data/payload/SBE Contoso (2).zip\n": break_link,
    "NOT LISTED data/payload/more.exe": lambda _, payload: (payload.parent / "more.exe").touch(),
    "NOT LISTED data/-n": lambda folder, _: (folder / "data" / "-n").touch(),
    "NOT LISTED data/x[2J.zip": lambda folder, _: (folder / "data" / "x\x1b[2J.zip").touch(),
    "UNFINISHED": lambda folder, _: (folder / "complete.json").unlink(),
    "MISSING    manifest-sha256.txt": lambda folder, _: (folder / "manifest-sha256.txt").unlink(),
    "DIFFERENT  verify.ps1": lambda folder, _: flip(folder / "verify.ps1", 99),
}


@needs_a_shell
@pytest.mark.parametrize("told", BREAKS)
def test_the_shell_script_names_what_is_wrong_and_ends_with_1(folder, told):
    BREAKS[told](folder, folder / "data" / "payload" / "SBE Contoso (2).zip")
    result = shell(folder)
    assert result.returncode == 1
    assert told in result.stdout
    assert "0 do not" not in result.stdout


@needs_a_shell
def test_the_shell_script_reads_manifests_in_capitals_and_with_carriage_returns(folder):
    """As a copier leaves them that takes them for text; the tag manifest is told, for it is another."""
    manifest = folder / "manifest-sha256.txt"
    lines = manifest.read_text("utf-8").splitlines()
    text = "\r\n".join(line[:64].upper() + line[64:] for line in lines)
    manifest.write_bytes(text.encode())
    told = [line for line in shell(folder).stdout.splitlines() if line[:2] != "ok"]
    assert told[0] == "DIFFERENT  manifest-sha256.txt"
    assert "1 do not" in told[-1]


@needs_a_shell
@pytest.mark.parametrize("digest", ["shasum", None])
def test_the_shell_script_takes_shasum_or_says_that_nothing_was_checked(folder, tmp_path, digest):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("dirname", "tr", "find", "grep", "env", *filter(None, [digest])):
        if shutil.which(name) is None:
            pytest.skip(f"no {name} on this system")
        (tools / name).symlink_to(shutil.which(name))
    result = shell(folder, path=str(tools))
    assert result.returncode == (0 if digest else 1), result.stderr
    assert digest or "nothing was checked" in result.stderr


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
