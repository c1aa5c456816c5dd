"""The receipts of a set, from the command line: at home, at a site, and on the way back."""

import json
import shutil

import pytest

from tests.unit.media.making import NOW, Publisher, make_payload
from tests.unit.media.receipts import HOME, SITE, STRANGER, Scroll
from toolkit.cli import execute
from toolkit.media import describe_medium


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    return Publisher(tmp_path_factory.mktemp("publisher") / "keys")


@pytest.fixture(scope="module")
def written(tmp_path_factory, publisher):
    base = tmp_path_factory.mktemp("written")
    (base / "medium").mkdir()
    publisher.write(
        base / "medium", make_payload(base / "catalog"), set_name="AZL-2603-TEST", now=NOW
    )
    return base / "medium"


@pytest.fixture
def ferry(tmp_path, monkeypatch, capsys, written):
    """Run `ferry` beside a medium without receipts; returns (exit code, stdout, stderr)."""
    monkeypatch.delenv("FERRY_SITE", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(written, tmp_path / "medium")

    def ferry(*words):
        code = execute([str(word) for word in words])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return ferry


@pytest.fixture
def folder(ferry, tmp_path):
    return tmp_path / "medium" / "AZL-2603-TEST"


@pytest.fixture
def custody(folder):
    """Put a usual chain of receipts onto the medium."""
    (folder / "custody").mkdir()
    scroll = Scroll(set_id=describe_medium(folder).set_id).usual()
    for name, data in scroll.files.items():
        (folder / "custody" / name).write_bytes(data)
    return folder / "custody"


def known(*keys):
    return [word for key in keys for word in ("--fingerprint", key.fingerprint)]


# --- history ------------------------------------------------------------------------------------


def test_history_tells_an_unbroken_chain_in_order(ferry, custody):
    code, out, _ = ferry("media", "history", "medium", *known(HOME, SITE))
    assert code == 0
    lines = out.splitlines()[1:7]
    assert [line.split()[1] for line in lines] == [
        "write", "hand-over", "verify", "import", "result", "return",
    ]  # fmt: skip
    assert "6 receipts, one unbroken chain" in out


def test_history_names_keys_that_are_not_known(ferry, custody):
    code, out, _ = ferry("media", "history", "medium", *known(HOME))
    assert code == 1
    assert f"signed by a key not known here, fingerprint {SITE.fingerprint}" in out
    assert STRANGER.fingerprint not in out


def test_history_names_a_gap_as_a_gap(ferry, custody):
    next(custody.glob("0003-*")).unlink()
    code, out, _ = ferry("media", "history", "medium", *known(HOME, SITE))
    assert code == 1
    assert "missing: receipt 3 is missing: not copied, or removed" in out
    assert "tamper" not in out.lower()


def test_history_of_a_set_without_receipts_is_empty_and_whole(ferry, folder):
    code, out, _ = ferry("media", "history", folder)
    assert code == 0
    assert "no receipts" in out


def test_history_as_json(ferry, custody):
    next(custody.glob("0002-*")).write_bytes(b"")
    code, out, _ = ferry("media", "history", "medium", *known(HOME, SITE), "--json")
    assert code == 1
    data = json.loads(out)["data"]
    assert (data["set_name"], data["is_whole"]) == ("AZL-2603-TEST", False)
    assert [(seen["flaw"], seen["counter"]) for seen in data["breaks"]] == [("not a receipt", 2)]
    assert data["entries"][2]["receipt"]["by"] == "Ada"


def test_a_mistyped_fingerprint_is_an_input_error(ferry, custody):
    assert ferry("media", "history", "medium", "--fingerprint", "3f2a")[0] == 7


def test_history_changes_nothing_on_the_medium(ferry, custody):
    def facts():
        return {path: path.stat().st_mtime_ns for path in custody.parent.rglob("*")}

    before = facts()
    ferry("media", "history", "medium")
    assert facts() == before
