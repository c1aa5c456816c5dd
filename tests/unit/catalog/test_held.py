"""A payload that a manifest lists is found wherever the catalog holds its bytes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from tests.unit.media.making import make_payload
from toolkit.catalog._held import held_of
from toolkit.catalog._records import Record
from toolkit.catalog._store import Store
from toolkit.errors import StorageError
from toolkit.model import BundleStatus, Manifest, Payload, PayloadKind, SolutionVersion

VERSION = "12.2603.1002.15"
BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
GEN_A, GEN_B = ("sbe/Contoso_GenA_4.2.2603.1", "sbe/Contoso_GenB_4.2.2603.1")
DISCOVERY = "SBE_Discovery_Contoso.xml"


def sbe_files(shelf):
    title = f"SBE_{shelf.rpartition('/')[2]}"
    return {f"{title}.zip": title.encode(), f"{title}.xml": b"<x/>", DISCOVERY: b"<discovery/>"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "catalog")


@pytest.fixture
def hold(store, tmp_path):
    """Have the catalog hold files on a shelf; `siblings` are all that belong there."""

    def hold(shelf, files, *, siblings=None):
        for name, data in files.items():
            held = make_payload(tmp_path / "made", version=VERSION, name=name, data=data)
            path = store.object(held.sha256)
            for folder in (path.parent, store.shelf(shelf)):
                folder.mkdir(parents=True, exist_ok=True)
            held.path.replace(path)
            version = None if shelf.startswith("sbe/") else held.version
            store.write(
                Record(
                    held=replace(held, path=path, shelf=shelf, version=version),
                    modified_ns=path.stat().st_mtime_ns,
                    verified_at=datetime.now(UTC),
                    siblings=tuple(siblings or files),
                )
            )

    return hold


@pytest.fixture
def manifest(tmp_path):
    """Declares a bundle and the SBE of GenA."""
    files = {BUNDLE: b"bundle", **sbe_files(GEN_A)}
    made = (
        make_payload(tmp_path / "declared", version=VERSION, name=name, data=data)
        for name, data in files.items()
    )
    return Manifest(
        version=SolutionVersion.parse(VERSION),
        os_build="26100.32999",
        available_on=date(2026, 3, 1),
        status=BundleStatus.LISTED,
        payloads=tuple(
            Payload(
                name=held.name,
                kind=PayloadKind.SBE if held.name != BUNDLE else PayloadKind.SOLUTION_BUNDLE,
                url=held.url,
                witnesses=held.witnesses,
                sha256=held.sha256,
            )
            for held in made
        ),
    )


@pytest.fixture
def bundle(hold, manifest):
    hold(VERSION, {BUNDLE: b"bundle"}, siblings=[item.name for item in manifest.payloads])


def test_an_sbe_on_a_shelf_of_its_own_goes_with_the_update_that_declares_it(
    store, hold, manifest, bundle
):
    hold(GEN_A, sbe_files(GEN_A))
    found = held_of(store, manifest)
    assert [(held.shelf, held.name) for held in found] == [
        (VERSION, BUNDLE),
        *((GEN_A, name) for name in sorted(sbe_files(GEN_A))),
    ]
    assert {str(held.version) for held in found} == {VERSION}


def test_an_sbe_that_only_has_a_file_in_common_stays_where_it_is(store, hold, manifest, bundle):
    for shelf in (GEN_A, GEN_B):
        hold(shelf, sbe_files(shelf))
    assert {held.shelf for held in held_of(store, manifest)} == {VERSION, GEN_A}


def test_other_bytes_of_that_name_are_not_meant(store, hold, manifest, bundle):
    files = sbe_files(GEN_A)
    hold(GEN_A, {**files, "SBE_Contoso_GenA_4.2.2603.1.zip": b"another one"})
    with pytest.raises(StorageError, match=r"1 payloads, not .*GenA_4\.2\.2603\.1\.zip"):
        held_of(store, manifest)


def test_half_an_sbe_is_not_carried(store, hold, manifest, bundle):
    files = sbe_files(GEN_A)
    hold(GEN_A, files, siblings=[*files, "SBE_Contoso_GenA_4.2.2603.1.txt"])
    with pytest.raises(StorageError, match=r"not SBE_Contoso_GenA_4\.2\.2603\.1\.txt"):
        held_of(store, manifest)


def test_an_sbe_is_no_update(store, hold, manifest):
    hold(GEN_A, sbe_files(GEN_A))
    with pytest.raises(StorageError, match="nothing"):
        held_of(store, manifest)
