"""Reading pages from addresses and files, the diff as tools take it, and what is written."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from tests.data import bundle_pages as pages
from tests.unit.catalog.fakes import FakeSite
from toolkit.catalog import load_manifests, refresh
from toolkit.catalog._document import RETRY_DELAYS_S
from toolkit.catalog._manifest import read_manifest
from toolkit.catalog._refreshing import BUNDLE_PAGE, DISCOVERY
from toolkit.errors import DownloadError, InputError, StorageError
from toolkit.model import BundleStatus

ROWS = pages.shipped_rows()
NEW = pages.new_row()
V = "12.2603.1002.15"
FRESH = "C0FFEE00112233445566778899AABBCCDDEEFF1029384756AFBECD0D1E2F3A4B"
EDGE = f'<ASZSolutionBundleUpdates><ApplicableUpdate Version="{V}"/></ASZSolutionBundleUpdates>'
ADDRESS = f"https://docs.example/{pages.NAME}"


def now():
    return datetime(2026, 4, 23, 1, tzinfo=UTC)


def read(*sources, data=None, site=None, **options):
    site = site or FakeSite({ADDRESS: data} if data is not None else {})
    waits = []
    found = refresh(sources or (ADDRESS,), fetcher=site, sleep=waits.append, now=now, **options)
    return found, waits


@pytest.fixture
def saved(tmp_path):
    """Return a function that keeps a page as a file, as a person with a browser would."""

    def save(rows, name=f"{pages.NAME}.md", layout=pages.note_in_hash_cell):
        path = tmp_path / name
        path.write_bytes(layout(rows))
        return str(path)

    return save


# --- reading --------------------------------------------------------------------------------------


def test_without_any_name_both_public_places_are_read():
    site = FakeSite({BUNDLE_PAGE: pages.rendered_tabs(ROWS), DISCOVERY: EDGE.encode()})
    found = refresh(fetcher=site, now=now)
    assert [url for url, *_ in site.asked] == [BUNDLE_PAGE, DISCOVERY]
    assert found.sources == (
        f"{BUNDLE_PAGE} (page of 2026-03-23)",
        f"{DISCOVERY} (read on 2026-04-23)",
    )
    assert (found.rows_read, found.proposals) == (22, ())


def test_only_what_is_named_is_read(saved):
    site = FakeSite()
    refresh([saved(ROWS)], fetcher=site, now=now)
    assert site.asked == []


def test_a_page_that_does_not_say_its_day_is_of_the_day_it_was_read():
    data = pages.one_table(ROWS).replace(b"ms.date: 03/23/2026\n", b"")
    found, _ = read(data=data)
    assert found.sources == (f"{ADDRESS} (read on 2026-04-23)",)


def test_a_file_is_named_without_the_folders_of_this_machine(saved):
    found, _ = read(saved(ROWS))
    assert found.sources == (f"{pages.NAME}.md (page of 2026-03-23)",)


def test_a_saved_page_that_says_where_it_stood_is_named_so(saved):
    found, _ = read(saved(ROWS, "page.html", pages.rendered_tabs))
    assert found.sources[0].endswith(
        f"/update/{pages.NAME} (saved as page.html, page of 2026-03-23)"
    )
    assert found.proposals == ()


def test_a_line_that_is_cut_is_tried_again():
    site = FakeSite({ADDRESS: pages.one_table(ROWS)}, cuts=[100, 5000, None])
    found, waits = read(site=site)
    assert found.rows_read == 22
    assert waits == list(RETRY_DELAYS_S[:2])
    assert site.closed == 3


def test_a_line_that_is_always_cut_is_given_up():
    site = FakeSite({ADDRESS: pages.one_table(ROWS)}, cuts=[100] * 9)
    with pytest.raises(DownloadError, match="cut"):
        read(site=site)
    assert site.opened == 1 + len(RETRY_DELAYS_S)


def test_a_page_that_ends_before_its_length_is_not_taken_for_whole():
    site = FakeSite({ADDRESS: pages.one_table(ROWS)}, announces=1 << 20)
    with pytest.raises(DownloadError, match="1048576 bytes"):
        read(site=site)


def test_an_address_without_a_page_is_a_download_error():
    with pytest.raises(DownloadError, match="404"):
        read(site=FakeSite())


def test_a_page_that_never_ends_is_not_read_to_its_end():
    data = bytes(64 << 20)
    site = FakeSite({ADDRESS: data})
    with pytest.raises(DownloadError, match="more than"):
        read(site=site)
    assert site.bytes_served < 5 << 20


def test_a_file_that_is_not_there_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match=r"page\.md"):
        read(str(tmp_path / "page.md"))


def test_a_page_that_is_none_names_its_address():
    with pytest.raises(InputError, match=r"docs\.example"):
        read(data=b"<html>Sign in</html>")


# --- the diff -------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout"
    shutil.copytree(pages.MANIFESTS, folder / "manifests")
    return folder


@pytest.mark.parametrize("command", ["git apply --check -", "git apply -", "patch -s -p1"])
def test_tools_take_the_diff(saved, checkout, command):
    if shutil.which(command.split()[0]) is None:
        pytest.skip(f"{command.split()[0]} is not installed")
    rows = [NEW, *(row.but(sha256=FRESH) if row.version == V else row for row in ROWS)]
    announced = checkout.parent / "edge.xml"
    announced.write_text(EDGE.replace(V, "12.2604.1003.500"), encoding="utf-8")
    found = refresh([saved(rows)], [str(announced)], fetcher=FakeSite(), now=now)
    assert len(found.changes) == 3
    subprocess.run(
        command.split(), cwd=checkout, input=found.diff.encode(), check=True, capture_output=True
    )
    if "--check" not in command:
        for change in found.changes:
            assert (checkout / "manifests" / change.name).read_bytes().decode() == change.after


def test_a_manifest_without_a_last_line_end_gives_a_diff_that_tools_take(saved, tmp_path):
    mine = tmp_path / "mine" / "manifests"
    mine.mkdir(parents=True)
    text = (pages.MANIFESTS / f"{V}.yaml").read_text(encoding="utf-8")
    (mine / f"{V}.yaml").write_text(text.rstrip("\n"), encoding="utf-8", newline="\n")
    found, _ = read(saved(ROWS[:1], "other.md"), manifest_dirs=[mine])
    subprocess.run(["git", "apply", "-"], cwd=mine.parent, input=found.diff.encode(), check=True)
    assert len(read_manifest((mine / f"{V}.yaml").read_bytes()).payloads[0].witnesses) == 2


# --- writing --------------------------------------------------------------------------------------


def test_new_and_safely_changed_manifests_are_written_and_counted_the_next_time(saved, tmp_path):
    folder = tmp_path / "mine"
    source = saved([NEW, *ROWS], "other.md")
    found, _ = read(source, write_to=folder)
    assert f"{NEW.version}.yaml" in found.written
    assert len(found.written) == 23
    again, _ = read(source, write_to=folder)
    assert (again.proposals, again.written) == ((), ())
    assert len(load_manifests([folder])) == 23


def test_a_conflict_is_written_nowhere_and_stays_a_conflict(saved, tmp_path):
    folder = tmp_path / "mine"
    source = saved([row.but(sha256=FRESH) if row.version == V else row for row in ROWS])
    for _ in range(2):
        found, _ = read(source, write_to=folder)
        assert found.needs_decision
        assert found.written == ()
        assert list(folder.iterdir()) == []


def test_what_is_safe_is_written_beside_a_conflict_of_the_same_manifest(saved, tmp_path):
    source = saved([ROWS[0].but(available_on="2026-03-18")], "other.md")
    found, _ = read(source, write_to=tmp_path / "mine")
    manifest = read_manifest((tmp_path / "mine" / f"{V}.yaml").read_bytes())
    assert str(manifest.available_on) == "2026-03-17"
    assert manifest.payloads[0].witnesses[-1].source.startswith("other.md")
    assert found.needs_decision


def test_the_table_of_releases_is_not_written(saved, tmp_path):
    row = pages.new_row("12.2604.1003.1006")
    found, _ = read(saved([row]), write_to=tmp_path / "mine")
    assert {change.name for change in found.changes} == {"12.2604.1003.1006.yaml", "releases.yaml"}
    assert found.written == ("12.2604.1003.1006.yaml",)


def test_a_manifest_keeps_the_name_its_owner_gave_it(saved, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(pages.MANIFESTS / f"{V}.yaml", folder / "march.yaml")
    found, _ = read(saved(ROWS[:1], "other.md"), write_to=folder)
    assert found.written == ("march.yaml",)
    assert [path.name for path in folder.iterdir()] == ["march.yaml"]


def test_a_file_of_another_version_is_not_overwritten(saved, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(pages.MANIFESTS / "12.2512.1002.16.yaml", folder / f"{V}.yaml")
    with pytest.raises(StorageError, match="another version"):
        read(saved(ROWS[:1], "other.md"), write_to=folder)


def test_a_recall_is_written_and_honoured(saved, tmp_path):
    announced = tmp_path / "edge.xml"
    recall = f'<RecalledUpdate Version="{V}"/></ASZ'
    announced.write_text(
        EDGE.replace(V, "12.2602.1002.501").replace("</ASZ", recall), encoding="utf-8"
    )
    refresh(
        [saved(ROWS)], [str(announced)], fetcher=FakeSite(), write_to=tmp_path / "mine", now=now
    )
    manifests = load_manifests([tmp_path / "mine"])
    assert manifests.find(V).status is BundleStatus.RECALLED
    path = manifests.path("12.2602.1002.501")
    assert [str(step.version) for step in path.steps] == []
