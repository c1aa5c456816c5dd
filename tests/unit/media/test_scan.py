"""A scanner's verdict: 0 and 1 are one, everything else is none and never passes for one."""

import hashlib
import json
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.media.making import NOW, make_payload
from tests.unit.media.receipts import HOME, SITE
from toolkit.errors import InputError, TrustError
from toolkit.media import Register, Scan, Scanner, Scribe, scan_medium, scan_payloads
from toolkit.media import _scan as scanning
from toolkit.model import Sha256, Silent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its scanners are shell scripts")

QUIET = Silent()


@pytest.fixture
def scanner(tmp_path):
    """Make a scanner of the lines of a shell script; `$1` is the path."""

    def scanner(*lines, timeout_s=30):
        program = tmp_path / "scan.sh"
        program.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
        program.chmod(0o755)
        return Scanner.choose(program, timeout_s=timeout_s)

    return scanner


def test_a_clean_file_is_told_with_who_said_so(tmp_path, scanner):
    seen = scanner("echo 'clean: '$(basename \"$1\")").look_at(tmp_path, progress=QUIET)
    assert (seen.exit_code, seen.said) == (0, f"clean: {tmp_path.name}")
    assert seen.program == "scan.sh"
    assert seen.program_sha256 == hashlib.sha256((tmp_path / "scan.sh").read_bytes()).hexdigest()
    assert (datetime.now(UTC) - seen.at).total_seconds() < 60
    assert seen.problem("it") is None


def test_something_found_is_a_trust_error_in_the_scanner_s_words(tmp_path, scanner):
    seen = scanner("echo; echo Eicar FOUND; echo more; exit 1").look_at(tmp_path, progress=QUIET)
    problem = seen.problem("the medium")
    assert isinstance(problem, TrustError)
    assert "scan.sh said no: Eicar FOUND" in str(problem)
    assert "security" in problem.hint


@pytest.mark.parametrize("end", ["exit 2", "exit 77", "kill -9 $$", "kill -15 $$"])
def test_any_other_end_is_no_verdict(tmp_path, scanner, end):
    with pytest.raises(InputError, match="could not be run to a verdict"):
        scanner("echo clean", end).look_at(tmp_path, progress=QUIET)


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[2] not in "ZX"
    except OSError:
        return False


def test_one_that_never_ends_is_ended_with_what_it_started_and_is_no_verdict(tmp_path, scanner):
    started = tmp_path / "child"
    slow = scanner(f"sleep 300 & echo $! > {started}; wait", timeout_s=1)
    with pytest.raises(InputError, match="did not end within") as caught:
        slow.look_at(tmp_path, progress=QUIET)
    assert "--hook-timeout" in caught.value.hint
    pid = started.read_text(encoding="utf-8").strip()
    until = time.monotonic() + 10
    while _is_running(pid):  # its output is closed a moment before it has gone
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_lives_on_in_the_background_does_not_keep_the_verdict(tmp_path, scanner, monkeypatch):
    monkeypatch.setattr(scanning, "_PATIENCE_S", 0.2)
    seen = scanner("echo clean", "sleep 3 &").look_at(tmp_path, progress=QUIET)
    assert (seen.exit_code, seen.said) == (0, "clean")


def test_one_stopped_by_hand_is_ended(tmp_path, scanner):
    class Hand(Silent):
        def advance(self, count_bytes):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scanner("exec sleep 300").look_at(tmp_path, progress=Hand())


def test_endless_words_are_read_to_the_end_and_kept_at_the_beginning(tmp_path, scanner):
    seen = scanner("head -c 3000000 /dev/zero | tr '\\0' x").look_at(tmp_path, progress=QUIET)
    assert seen.said == "x" * 200


def test_words_cannot_drive_a_terminal(tmp_path, scanner):
    seen = scanner("printf '\\033[2Jclean\\377\\n'").look_at(tmp_path, progress=QUIET)
    assert seen.said == "?[2Jclean\N{REPLACEMENT CHARACTER}"


def test_no_secret_of_ours_is_in_its_environment(tmp_path, scanner, monkeypatch):
    for name in ("FERRY_KEY_PASSPHRASE", "FERRY_PASSWORD", "FERRY_TOKEN_PIN", "KEPT"):
        monkeypatch.setenv(name, "open sesame")
    env = tmp_path / "env"
    scanner(f"env > {env}").look_at(tmp_path, progress=QUIET)
    lines = env.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "open sesame" in line] == ["KEPT=open sesame"]


@pytest.mark.parametrize("path", ["a b", "$(touch x)", "x;y", "-rf", "a'b"])
def test_a_path_is_one_argument_and_no_shell_reads_it(tmp_path, scanner, path):
    (tmp_path / path).touch()
    seen = scanner('echo "$#"; [ -f "$1" ] || exit 1').look_at(tmp_path / path, progress=QUIET)
    assert (seen.exit_code, seen.said) == (0, "1")


def test_it_is_not_looked_for_on_the_path(tmp_path, scanner, monkeypatch):
    scanner("exit 0")
    (tmp_path / "scan.sh").rename(tmp_path / "true")
    (tmp_path / "true").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    mine = Scanner.choose(tmp_path.__class__("true"), timeout_s=30)
    assert mine.look_at(tmp_path, progress=QUIET).exit_code == 1


def test_what_cannot_be_run_is_refused_before_any_work(tmp_path):
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    for path in (tmp_path / "notes.txt", tmp_path / "absent", tmp_path):
        with pytest.raises(InputError, match="may run"):
            Scanner.choose(path, timeout_s=30)


def test_what_is_no_program_is_no_verdict(tmp_path):
    (tmp_path / "scan").write_bytes(b"\x7fELF")
    (tmp_path / "scan").chmod(0o755)
    with pytest.raises(InputError, match="could not be run"):
        Scanner.choose(tmp_path / "scan", timeout_s=30).look_at(tmp_path, progress=QUIET)


def test_a_batch_file_gets_no_path_that_cmd_would_read_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr(scanning.sys, "platform", "win32")
    batch = Scanner(program=tmp_path / "scan.CMD", sha256=Sha256("0" * 64), timeout_s=30)
    for name in ("a&b", "a%b", "a^b", 'a"b', "a|b", "a(b"):
        with pytest.raises(InputError, match=r"cmd\.exe"):
            batch.look_at(tmp_path / name, progress=QUIET)
    batch._require_plain(tmp_path / "Träger 1" / "data")


# --- what is scanned ------------------------------------------------------------------------------


def test_every_payload_is_scanned_and_the_last_words_are_kept(tmp_path, scanner):
    payloads = [
        make_payload(tmp_path / "catalog", name=f"SBE_{n}.zip", data=bytes([n])) for n in (1, 2)
    ]
    log = tmp_path / "log"
    seen = scan_payloads(scanner(f'echo "$1" | tee -a {log}'), payloads, progress=QUIET)
    paths = [str(held.path) for held in payloads]
    assert log.read_text(encoding="utf-8").splitlines() == paths
    assert (seen.files, seen.said) == (2, paths[1][:200])


def test_the_first_payload_with_something_found_ends_it(tmp_path, scanner):
    payloads = [
        make_payload(tmp_path / "catalog", name=f"SBE_{n}.zip", data=bytes([n])) for n in (1, 2)
    ]
    log = tmp_path / "log"
    with pytest.raises(TrustError, match=r"SBE_1\.zip, before it is written"):
        scan_payloads(scanner(f'echo "$1" >> {log}; exit 1'), payloads, progress=QUIET)
    assert len(log.read_text(encoding="utf-8").splitlines()) == 1


def test_nothing_to_scan_is_no_verdict(scanner):
    assert scan_payloads(scanner(), [], progress=QUIET) is None


def test_a_medium_is_scanned_as_one_folder(folder, site, scanner):
    seen = scan_medium(scanner('echo "$1"; exit 1'), site.open(folder), progress=QUIET)
    assert (seen.exit_code, seen.said, seen.files) == (1, str(folder / "data")[:200], 1)


# --- receipts -------------------------------------------------------------------------------------

SEEN = Scan(
    program="clamscan",
    program_sha256=Sha256("ab" * 32),
    exit_code=0,
    said="OK",
    at=NOW,
    files=2,
)


def fact(written):
    return json.loads(written.path.read_bytes())["signed"]["facts"].get("scan")


def test_a_verdict_stands_in_the_receipts_of_writing_and_verifying(folder, site):
    medium = site.open(folder)
    register = Register(label=medium.describe(), scribe=Scribe(key=HOME, by="Ada"))
    expected = {
        "program": "clamscan",
        "program_sha256": "ab" * 32,
        "exit_code": 0,
        "said": "OK",
        "at": "2026-11-01T12:00:00Z",
        "files": 2,
    }
    assert fact(register.write(SEEN)) == expected
    report = medium.verify()
    assert fact(register.verify(report, replace(SEEN, exit_code=1)))["exit_code"] == 1
    at_site = replace(register, scribe=Scribe(key=SITE, by="Ben", site_id="s"))
    assert fact(at_site.verify(report, SEEN)) == expected


def test_a_verdict_of_the_other_side_is_never_taken_for_one_s_own(folder, site):
    medium = site.open(folder)
    register = Register(label=medium.describe(), scribe=Scribe(key=HOME, by="Ada"))
    register.write(SEEN)
    at_site = replace(register, scribe=Scribe(key=SITE, by="Ben", site_id="s"))
    assert fact(at_site.verify(medium.verify())) is None
