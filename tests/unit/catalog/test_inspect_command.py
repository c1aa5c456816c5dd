from __future__ import annotations

import json

import pytest

from tests.unit.catalog.zipcraft import Member, bundle, craft
from toolkit.cli import execute

VERSION = "12.2603.1002.15"


@pytest.fixture
def ferry(capsys, tmp_path):
    def call(archives, *words):
        paths = []
        for name, data in archives.items():
            (tmp_path / name).write_bytes(data)
            paths.append(str(tmp_path / name))
        code = execute(["catalog", "inspect", *paths, *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


GOOD = {f"CombinedSolutionBundle.{VERSION}.zip": bundle(VERSION)}
WRONG = {"wrong.zip": craft(Member("aux"), Member("hit", b"data", crc=1))}


def test_a_good_bundle_is_shown_with_its_version_and_longest_path(ferry):
    code, out, _ = ferry(GOOD)
    assert code == 0
    assert "3 of 3 members checked and whole" in out
    assert f"states version {VERSION}" in out
    assert r"Platform\OsUpdate.msu" in out


def test_faults_are_named_by_member_and_end_in_exit_1(ferry):
    code, out, _ = ferry(GOOD | WRONG)
    assert code == 1
    assert "fault  device: aux: 'aux' is a device on Windows" in out
    assert "fault  damaged-member: hit: its CRC-32 is" in out


def test_doubts_alone_end_in_exit_0(ferry):
    code, out, _ = ferry({"doubtful.zip": craft(Member("a\\b"))})
    assert code == 0
    assert "doubt  backslash: a\\b" in out


def test_a_quick_look_sees_names_and_no_damage(ferry):
    code, out, _ = ferry(WRONG, "--quick")
    assert code == 1
    assert "damaged-member" not in out
    assert "0 of 2 members" in out


def test_json_holds_every_report_with_its_findings(ferry):
    code, out, err = ferry(GOOD | WRONG, "--json")
    document = json.loads(out)
    assert (code, err, document["kind"]) == (1, "", "zip-reports")
    good, wrong = document["data"]
    assert (good["findings"], good["stated_versions"], good["is_deep"]) == ([], [VERSION], True)
    assert {item["kind"]: item["is_fault"] for item in wrong["findings"]} == {
        "device": True,
        "damaged-member": True,
    }


def test_control_characters_in_names_are_shown_not_sent(ferry):
    _, out, _ = ferry({"rude.zip": craft(Member("\x1b[2J"))})
    assert "\x1b" not in out
    assert "\\x1b[2J" in out


def test_a_missing_file_is_a_storage_error(ferry, tmp_path):
    assert execute(["catalog", "inspect", str(tmp_path / "none.zip")]) == 6
