from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from toolkit.catalog import load_manifests
from toolkit.catalog._manifest import read_manifest
from toolkit.catalog._manifesttext import write_manifest
from toolkit.catalog._releases import ReleaseStatus, read_releases
from toolkit.errors import InputError, StorageError
from toolkit.model import BundleStatus, SolutionVersion

CHECKOUT = Path(__file__).resolve().parents[3]
MANIFESTS = CHECKOUT / "manifests"
DOMAIN = CHECKOUT.parent / "shared" / "domain" / "combined-solution-bundles.yaml"
LIBRARY = load_manifests()


def test_every_solution_bundle_has_a_manifest_with_a_pinned_witnessed_hash():
    assert len(LIBRARY) == 22
    for manifest in LIBRARY:
        (payload,) = manifest.payloads
        assert payload.name == f"CombinedSolutionBundle.{manifest.version}.zip"
        assert payload.url.endswith(f"/{manifest.version}/{payload.name}")
        assert payload.sha256 in {witness.value for witness in payload.witnesses}


def test_every_shipped_value_names_where_it_was_read():
    assert all(manifest.sources for manifest in LIBRARY)


def test_no_two_versions_pin_the_same_hash():
    pins = [payload.sha256 for manifest in LIBRARY for payload in manifest.payloads]
    assert len(set(pins)) == len(pins)


def test_a_manifest_stands_in_the_file_of_its_version():
    for path in MANIFESTS.glob("1*.yaml"):
        assert f"{read_manifest(path.read_bytes()).version}.yaml" == path.name


def test_the_release_table_agrees_about_status_and_os_build():
    table = {release.version: release for release in LIBRARY.releases}
    for manifest in LIBRARY:
        release = table[manifest.version]
        assert release.status.value == manifest.status.value
        assert release.os_build == manifest.os_build
        assert release.superseded_by == manifest.superseded_by


def test_releases_without_a_bundle_are_listed_with_their_status():
    bundled = {manifest.version for manifest in LIBRARY}
    others = [release for release in LIBRARY.releases if release.version not in bundled]
    count = dict.fromkeys(ReleaseStatus, 0)
    for release in others:
        count[release.status] += 1
    assert count == {
        ReleaseStatus.LISTED: 0,
        ReleaseStatus.SUPERSEDED: 4,
        ReleaseStatus.RECALLED: 1,
        ReleaseStatus.NO_BUNDLE: 26,
        ReleaseStatus.UNCONFIRMED: 6,
    }


def test_a_withdrawn_release_names_what_replaces_it():
    for release in LIBRARY.releases:
        if release.status in (ReleaseStatus.RECALLED, ReleaseStatus.SUPERSEDED):
            assert release.superseded_by, release.version


@pytest.mark.skipif(not DOMAIN.is_file(), reason="the domain notes are not beside this checkout")
def test_manifests_keep_every_published_hash_of_the_domain_notes():
    rows = yaml.safe_load(DOMAIN.read_text(encoding="utf-8"))["bundles"]
    assert len(rows) == len(LIBRARY)
    for row in rows:
        manifest = LIBRARY.find(row["version"])
        (payload,) = manifest.payloads
        assert payload.sha256 == row["sha256"].lower()
        published = [row["sha256"], *(item["value"] for item in row.get("conflicting_sha256", []))]
        assert [witness.value for witness in payload.witnesses] == [v.lower() for v in published]
        assert payload.url == row["url"]
        assert manifest.os_build == row["os_build"]
        assert str(manifest.available_on) == row["availability_date"]
        assert manifest.status is BundleStatus(row["status"])


@pytest.mark.skipif(not DOMAIN.is_file(), reason="the domain notes are not beside this checkout")
def test_the_release_table_keeps_the_rows_without_a_bundle():
    rows = yaml.safe_load(DOMAIN.read_text(encoding="utf-8"))["releases_without_bundle_row"]
    table = {str(release.version): release for release in LIBRARY.releases}
    for row in rows:
        release = table[row["version"]]
        assert release.status.value == row["status"]
        assert release.os_build == (row["os_build"] or "")
        assert str(release.available_on or "") == (row["availability_date"] or "")


# --- further folders ------------------------------------------------------------------------------


def shipped_text(version="12.2603.1002.15"):
    return (MANIFESTS / f"{version}.yaml").read_text(encoding="utf-8")


def test_a_further_manifest_adds_a_version(tmp_path):
    text = shipped_text().replace("12.2603.1002.15", "12.2604.1003.9")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    library = load_manifests([tmp_path])
    assert len(library) == 23
    assert library.find("2604").version.build == 9
    assert str(library.path("12.2603").goal) == "12.2604.1003.9"


def test_a_further_manifest_with_another_hash_for_a_shipped_version_is_refused(tmp_path):
    text = shipped_text().replace("77063963", "77063964")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="pinned already"):
        load_manifests([tmp_path])


def test_a_further_manifest_may_pin_what_nobody_has_pinned(tmp_path):
    pin = LIBRARY.find("12.2603.1002.15").payloads[0].sha256
    text = shipped_text().replace("12.2603.1002.15", "12.2604.1003.9")
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, here in zip(folders, (text.replace(f"    sha256: {pin}\n", ""), text), strict=True):
        folder.mkdir()
        (folder / "mine.yaml").write_text(here, encoding="utf-8")
    assert load_manifests(folders[:1]).find("2604").payloads[0].sha256 is None
    assert load_manifests(folders).find("2604").payloads[0].sha256 == pin


def test_a_further_manifest_may_change_a_pinned_hash_with_a_recorded_decision(tmp_path):
    pin = LIBRARY.find("12.2603.1002.15").payloads[0].sha256
    decided = "    decided: {on: 2026-04-21, by: Ann, why: confirmed by phone}\n    witnesses:\n"
    text = shipped_text().replace(f"sha256: {pin}", f"sha256: {'0f' * 32}")
    text = text.replace("    witnesses:\n", decided)
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    (payload,) = load_manifests([tmp_path]).find("12.2603.1002.15").payloads
    assert payload.sha256 == "0f" * 32
    assert pin in {witness.value for witness in payload.witnesses}


def test_a_further_manifest_that_drops_a_shipped_payload_is_refused(tmp_path):
    text = shipped_text().replace("name: Combined", "name: Other")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="sha256 None"):
        load_manifests([tmp_path])


def test_a_further_manifest_may_add_payloads_to_a_shipped_version(tmp_path):
    extra = (
        "payloads:\n  - {name: SBE_Discovery_Contoso.xml, kind: sbe, url: https://c.example/x,"
        f" sha256: {'0f' * 32}, witnesses: []}}\n"
    )
    (tmp_path / "mine.yaml").write_text(
        shipped_text().replace("payloads:\n", extra, 1), encoding="utf-8"
    )
    assert len(load_manifests([tmp_path]).find("12.2603").payloads) == 2


def test_two_files_for_one_version_in_a_folder_are_refused(tmp_path):
    for name in ("a.yaml", "b.yml"):
        (tmp_path / name).write_text(shipped_text(), encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.yaml declares too"):
        load_manifests([tmp_path])


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError):
        load_manifests([tmp_path / "nowhere"])


def test_a_release_without_a_manifest_is_named_with_its_status():
    with pytest.raises(InputError, match="superseded"):
        LIBRARY.find("12.2602.1002.7")


def test_a_release_table_with_a_version_twice_is_refused():
    row = "  - {version: 12.2603.1002.15, status: listed, source: page}\n"
    text = "format: 1\nsources: {page: a page}\nreleases:\n" + row + row
    with pytest.raises(InputError, match="line 5"):
        read_releases(text.encode(), file="releases.yaml")


# --- what was withdrawn ---------------------------------------------------------------------------


def test_a_further_manifest_recalls_a_listed_release_everywhere(tmp_path):
    text = shipped_text().replace("status: listed", "status: recalled")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    library = load_manifests([tmp_path])
    assert library.find("12.2603.1002.15").status is BundleStatus.RECALLED
    table = {str(release.version): release for release in library.releases}
    assert table["12.2603.1002.15"].status is ReleaseStatus.RECALLED
    assert str(library.path("12.2512.1002.16").goal) == "12.2602.1002.501"
    assert not library.path("12.2602.1002.501", "12.2603.1002.15").is_supported


@pytest.mark.parametrize("version", ["12.2510.1002.88", "11.2510.1002.87"])
def test_a_further_manifest_does_not_bring_a_recalled_release_back(tmp_path, version):
    shipped = LIBRARY.find("12.2510.1002.88")  # the other one stands in the table of releases only
    stale = replace(
        shipped,
        version=SolutionVersion.parse(version),
        status=BundleStatus.LISTED,
        superseded_by="",
        sources=(),
    )
    (tmp_path / "old.yaml").write_text(write_manifest(stale), encoding="utf-8")
    library = load_manifests([tmp_path])
    assert library.find(version).status is BundleStatus.RECALLED
    assert library.find(version).superseded_by
    table = {str(release.version): release for release in library.releases}
    assert table[version].status is ReleaseStatus.RECALLED
