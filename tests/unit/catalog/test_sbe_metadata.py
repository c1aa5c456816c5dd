from __future__ import annotations

import hashlib

import pytest

from tests.vendorsite.bundle import make_sbe
from toolkit.catalog._sbe_metadata import plain_path, read_sbe_metadata
from toolkit.errors import InputError

DIGEST = hashlib.sha256(b"a file").hexdigest()


def listed(inner: str):
    return [
        (file.path, file.sha256) for file in read_sbe_metadata(f"<Sbe>{inner}</Sbe>".encode()).files
    ]


@pytest.mark.parametrize(
    "inner",
    [
        f'<File Path="CAUPlugins\\a.ps1" Sha256="{DIGEST}"/>',
        f"<Item><Name>CAUPlugins\\a.ps1</Name><Hash>{DIGEST.upper()}</Hash></Item>",
        f'<Content hash="{DIGEST}">CAUPlugins\\a.ps1</Content>',
    ],
)
def test_file_with_its_hash_is_recognised_by_what_it_looks_like(inner):
    assert listed(inner) == [("CAUPlugins/a.ps1", DIGEST)]


def test_file_without_a_hash_is_recognised_by_its_elements_name():
    assert listed("<File>readme.txt</File><Note>see readme.txt</Note>") == [("readme.txt", None)]


def test_versions_addresses_and_hashes_are_no_paths():
    assert listed(f'<File V="4.1.2410.5" U="https://x.example/a.zip" H="{DIGEST}"/>') == []


def test_files_of_the_generated_metadata_are_all_read(tmp_path):
    _, metadata, _ = make_sbe(tmp_path, "Contoso", "GenA", "4.2.2603.1", supported_model="X")
    found = read_sbe_metadata(metadata.read_bytes())
    assert [file.path for file in found.files] == [
        "CAUPlugins/PreUpdateScript.ps1",
        "Configuration/SolutionExtension/SolutionExtension.psd1",
    ]
    assert "4.2.2603.1" in found.texts


def test_paths_compare_as_windows_compares_them():
    assert (
        plain_path(".\\CAUPlugins\\A.ps1") == plain_path("/cauplugins//a.PS1") == "cauplugins/a.ps1"
    )


def test_metadata_that_is_no_xml_is_refused():
    with pytest.raises(InputError, match=r"SBE_x\.xml"):
        read_sbe_metadata(b"PK\x03\x04", file="SBE_x.xml")
