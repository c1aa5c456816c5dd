"""`ferry catalog refresh` as a user runs it: against a web server, and against files."""

import hashlib
import json
import shutil
import subprocess

import pytest

from tests.data import bundle_pages as pages
from tests.stage import VERSION, Stage
from tests.vendorsite.server import VendorServer

BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
KNOWN = "12.2603.1002.15"
FRESH = "C0FFEE00112233445566778899AABBCCDDEEFF1029384756AFBECD0D1E2F3A4B"


def announcing(*, recalled):
    entries = f'<ApplicableUpdate Version="{KNOWN}"/><RecalledUpdate Version="{recalled}"/>'
    return f"<ASZSolutionBundleUpdates>{entries}</ASZSolutionBundleUpdates>".encode()


@pytest.fixture
def bare(tmp_path) -> Stage:
    """A connected machine with nothing but ferry and an empty folder of manifests of its own."""
    stage = Stage(tmp_path / "s")
    (stage / "manifests").mkdir()
    return stage


@pytest.fixture
def site(published, tmp_path):
    """The vendor's web site: one bundle more than ferry knows, and the page that lists it."""
    folder = tmp_path / "web"
    folder.mkdir()
    shutil.copy(published / "vendor" / BUNDLE, folder)
    with (folder / BUNDLE).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest().upper()
    (tmp_path / "tls").mkdir()
    with VendorServer(folder, tls_dir=tmp_path / "tls") as server:
        row = pages.new_row(VERSION, sha256=digest, url=f"{server.url}/{BUNDLE}")
        rows = [row, *pages.shipped_rows()]
        (folder / f"{pages.NAME}.md").write_bytes(pages.note_in_hash_cell(rows))
        (folder / f"{pages.NAME}.html").write_bytes(pages.rendered_notes(rows))
        (folder / "updates.xml").write_bytes(announcing(recalled="12.2602.1002.501"))
        yield server


def refresh(stage, *words, expect):
    return stage.ferry("catalog", "refresh", *words, expect=expect)


@pytest.mark.parametrize("ending", ["md", "html"])
def test_a_new_row_on_a_served_page_is_a_diff_that_git_applies(bare, site, tmp_path, ending):
    words = ["--from", f"{site.url}/{pages.NAME}.{ending}", "--ca", str(site.ca_file)]
    done = refresh(bare, *words, expect=0)
    assert "1 proposal(s)" in done.err
    shutil.copytree(pages.MANIFESTS, tmp_path / "git" / "manifests")
    subprocess.run(["git", "apply", "-"], cwd=tmp_path / "git", input=done.out.encode(), check=True)
    listed = bare.ferry("catalog", "list", FERRY_MANIFESTS=str(tmp_path / "git" / "manifests"))
    assert VERSION in listed.out


def test_a_written_manifest_downloads_what_the_page_published(bare, site):
    words = ["--from", f"{site.url}/{pages.NAME}.md", "--ca", str(site.ca_file)]
    refresh(bare, *words, "--write", "manifests", expect=0)
    words = ["catalog", "download", VERSION, "--catalog", "catalog", "--ca", str(site.ca_file)]
    bare.ferry(*words)
    assert next((bare / "catalog").rglob(BUNDLE)).stat().st_size > 1 << 20
    again = ["--from", f"{site.url}/{pages.NAME}.md", "--ca", str(site.ca_file)]
    assert refresh(bare, *again, expect=0).out == ""


def test_a_recall_is_honoured_by_the_next_download(bare, site):
    words = ["--from", f"{site.url}/{pages.NAME}.md", "--discovery", f"{site.url}/updates.xml"]
    words += ["--ca", str(site.ca_file), "--write", "manifests"]
    done = refresh(bare, *words, expect=0)
    assert "recall: 12.2602.1002.501" in done.err
    words = ["catalog", "download", "12.2602", "--catalog", "catalog", "--ca", str(site.ca_file)]
    refused = bare.ferry(*words, "--url", f"{site.url}/", expect=7)
    assert "recalled" in refused.err
    assert not (bare / "catalog").exists()


def test_a_changed_hash_in_a_saved_page_is_for_a_person(bare):
    rows = [r.but(sha256=FRESH) if r.version == KNOWN else r for r in pages.shipped_rows()]
    (bare / f"{pages.NAME}.html").write_bytes(pages.rendered_tabs(rows))
    words = ["--from", f"{pages.NAME}.html", "--write", "manifests"]
    done = refresh(bare, *words, expect=1)
    assert f"DECIDE changed-hash: {KNOWN}" in done.err
    assert FRESH.lower() in done.err
    assert "77063963b992a2b5736c871961972af617f43c3a4c795b6f4f3ddb05aecfb1fc" in done.err
    assert f"+++ b/manifests/{KNOWN}.yaml" in done.out
    assert "-    sha256" not in done.out
    assert list((bare / "manifests").iterdir()) == []


def test_an_unreadable_row_is_for_a_person_and_the_others_are_read(bare):
    odd = pages.new_row(url=pages.new_row("12.2604.1003.6").url)
    (bare / f"{pages.NAME}.md").write_bytes(pages.one_table([odd, *pages.shipped_rows()]))
    done = refresh(bare, "--from", f"{pages.NAME}.md", expect=1)
    assert "DECIDE unreadable: line 10" in done.err
    assert "22 row(s) read" in done.err


def test_json_holds_proposals_and_the_diff(bare, site):
    words = ["--from", f"{site.url}/{pages.NAME}.md", "--ca", str(site.ca_file), "--json"]
    done = refresh(bare, *words, expect=0)
    data = json.loads(done.out)["data"]
    assert [proposal["kind"] for proposal in data["proposals"]] == ["new"]
    assert data["diff"].startswith("--- /dev/null")
    assert (data["rows_read"], data["needs_decision"], data["written"]) == (23, False, [])
    assert done.err == ""


def test_a_server_that_nobody_vouches_for_is_refused(bare, site):
    refused = refresh(bare, "--from", f"{site.url}/{pages.NAME}.md", expect=4)
    assert "certificate" in refused.err


def test_a_page_that_is_not_there_is_a_reach_error(bare, site):
    words = ["--from", f"{site.url}/nothing.md", "--ca", str(site.ca_file)]
    assert "404" in refresh(bare, *words, expect=4).err


def test_a_page_that_is_cut_once_is_read_again(bare, site):
    site.faults.cut_after, site.faults.cut_times = 3000, 1
    words = ["--from", f"{site.url}/{pages.NAME}.md", "--ca", str(site.ca_file)]
    assert "23 row(s) read" in refresh(bare, *words, expect=0).err


def test_a_file_that_is_no_page_is_an_input_error(bare):
    (bare / "notes.md").write_text("# Nothing\n", encoding="utf-8")
    refused = refresh(bare, "--from", "notes.md", expect=7)
    assert "notes.md" in refused.err
    assert "Traceback" not in refused.err
