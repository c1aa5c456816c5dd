from __future__ import annotations

import os
import re
import struct
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.catalog.fakes import Listener
from tests.vendorsite.bundle import SbeEntry, make_outer_zip, make_sbe, sbe_discovery_xml
from tests.vendorsite.signing import make_signer, sign_xml
from toolkit.catalog._sbe_files import SbeFiles, plan_adoptions, read_sbe_files
from toolkit.catalog._sbe_finding import SbeRole
from toolkit.catalog._sbe_package import open_bounded
from toolkit.catalog._xmlsig import Authorities
from toolkit.errors import DigestError, InputError, StorageError
from toolkit.model import PayloadKind, Stance, StatementKind

TITLE = "SBE_Contoso_GenA_4.2.2603.1"
NAMES = {f"{TITLE}.zip", f"{TITLE}.xml", "SBE_Discovery_Contoso.xml"}
NOBODY = Authorities(roots=())
OTHER = SbeEntry("Contoso", "GenA", "4.2.2601.1", models=(("X", "", ""),))


@pytest.fixture
def vendor(tmp_path) -> Path:
    """The folder in which the vendor's files lie."""
    folder = tmp_path / "vendor"
    folder.mkdir()
    return folder


@pytest.fixture
def read(tmp_path):
    def read(*paths: Path, discovery: bytes | None = None, **options) -> SbeFiles:
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        options = {"authorities": NOBODY} | options
        return read_sbe_files(paths, discovery=discovery, scratch=scratch, **options)

    return read


def make(vendor: Path, **options) -> tuple[Path, Path, Path]:
    return make_sbe(vendor, "Contoso", "GenA", "4.2.2603.1", supported_model="X", **options)


def said(files: SbeFiles, role: SbeRole, kind: StatementKind):
    (file,) = (file for file in files.files if file.role is role)
    return next(((one.stance, one.text) for one in file.statements if one.kind is kind), (None, ""))


def rewrite(path: Path, **members: bytes) -> None:
    """Replace members of a zip, or add them."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (content | members).items():
            archive.writestr(name, data)


# --- where they are found -----------------------------------------------------------------------


def test_files_in_a_folder_are_found_and_others_passed_over(vendor, read):
    make(vendor)
    (vendor / "readme.txt").write_text("hello", encoding="utf-8")
    (vendor / "notes.zip").write_bytes(b"")
    files = read(vendor)
    assert {file.name for file in files.files} == NAMES
    assert files.faults == ()
    assert all(file.path.parent == vendor for file in files.files)


def test_files_named_one_by_one_are_found(vendor, read):
    assert {file.name for file in read(*make(vendor)).files} == NAMES


@pytest.mark.parametrize("compress", [False, True], ids=["stored", "deflated"])
@pytest.mark.parametrize("sub_folder", ["", "Bundle_SBE_Contoso"])
def test_files_in_the_vendors_zip_are_copied_out_byte_for_byte(
    vendor, read, tmp_path, compress, sub_folder
):
    three = make(vendor)
    outer = make_outer_zip(
        tmp_path / "Bundle_SBE_Contoso_GenA_4.2.2603.1.zip",
        three,
        sub_folder=sub_folder,
        compress=compress,
    )
    files = read(outer)
    assert {file.path.name: file.path.read_bytes() for file in files.files} == {
        path.name: path.read_bytes() for path in three
    }
    assert all(file.path.parent == tmp_path / "scratch" for file in files.files)
    assert outer.name in files.files[0].origin


def test_members_paths_lead_nowhere(vendor, read, tmp_path):
    three = make(vendor)
    outer = make_outer_zip(tmp_path / "outer.zip", three, sub_folder="../../../up")
    read(outer)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outer.zip", "scratch", "vendor"]
    assert {path.name for path in (tmp_path / "scratch").iterdir()} == NAMES


def test_other_members_of_the_vendors_zip_are_left_where_they_are(vendor, read, tmp_path):
    outer = make_outer_zip(tmp_path / "outer.zip", make(vendor))
    rewrite(outer, **{"install.exe": b"MZ", "docs/readme.txt": b"hello"})
    read(outer)
    assert {path.name for path in (tmp_path / "scratch").iterdir()} == NAMES


def test_progress_tells_what_is_unpacked_and_compared(vendor, read, tmp_path):
    outer = make_outer_zip(tmp_path / "outer.zip", make(vendor))
    listener = Listener()
    read(outer, progress=listener)
    size = (vendor / f"{TITLE}.zip").stat().st_size
    assert (f"unpack {TITLE}.zip", size) in listener.steps
    assert any(what.startswith("compare") for what, _ in listener.steps)
    assert listener.open_steps == 0


# --- which of them are used ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "said_"),
    [
        (f"{TITLE}.zip", "no package"),
        (f"{TITLE}.xml", "no metadata"),
        ("SBE_Discovery_Contoso.xml", "aka.ms/AzureStackSBEUpdate/Contoso"),
    ],
)
def test_missing_file_is_named(vendor, read, missing, said_):
    make(vendor)
    (vendor / missing).unlink()
    with pytest.raises(InputError) as caught:
        read(vendor)
    assert said_ in f"{caught.value} {caught.value.hint}"


def test_files_of_two_sbes_are_refused(vendor, read):
    make(vendor)
    make_sbe(vendor, "Contoso", "GenB", "4.2.2603.1", supported_model="X")
    with pytest.raises(InputError, match=r"GenA.*GenB") as caught:
        read(vendor)
    assert "one SBE only" in caught.value.hint


def test_metadata_and_package_of_two_sbes_are_refused(vendor, read):
    make(vendor)
    (vendor / f"{TITLE}.xml").rename(vendor / "SBE_Contoso_GenA_4.2.2603.2.xml")
    with pytest.raises(InputError, match="of one name"):
        read(vendor)


def test_discovery_manifest_beside_the_vendors_zip_replaces_the_one_inside(vendor, read, tmp_path):
    three = make(vendor, others=[OTHER])
    outer = make_outer_zip(tmp_path / "outer.zip", three)
    newer = make(vendor, facts={"SBENotifyMessage": "newer"})[0]
    files = read(outer, newer)
    assert files.sbe.notify_message == "newer"
    (file,) = (file for file in files.files if file.role is SbeRole.DISCOVERY)
    assert file.path == newer
    assert "is used instead of outer.zip, member SBE_Discovery_Contoso.xml" in files.notes[0]
    assert "lacks what that one lists: SBE_Contoso_GenA_4.2.2601.1" in files.notes[1]


def test_discovery_manifest_given_apart_replaces_every_other(vendor, read, tmp_path):
    three = make(vendor)
    outer = make_outer_zip(tmp_path / "outer.zip", three)
    newer = three[0].read_bytes().replace(b"<Publisher>", b"<KbLink>x</KbLink><Publisher>")
    files = read(outer, discovery=newer)
    (file,) = (file for file in files.files if file.role is SbeRole.DISCOVERY)
    assert file.path.read_bytes() == newer
    assert file.name == "SBE_Discovery_Contoso.xml"
    assert files.notes[0].startswith("the discovery manifest given apart is used instead")


def test_discovery_manifest_given_apart_is_named_after_the_vendor_where_none_was_there(
    vendor, read
):
    discovery, metadata, package = make(vendor)
    files = read(metadata, package, discovery=discovery.read_bytes())
    assert {file.name for file in files.files} == NAMES
    assert files.notes == ()


def test_replaced_manifest_that_cannot_be_read_is_told_and_does_no_harm(vendor, read):
    newer = make(vendor)[0].read_bytes()
    (vendor / "SBE_Discovery_Contoso.xml").write_bytes(b"damaged")
    files = read(vendor, discovery=newer)
    assert "cannot be read" in files.notes[1]


def test_two_discovery_manifests_side_by_side_are_refused(vendor, read):
    make(vendor)
    (vendor / "SBE_Discovery_Other.xml").write_bytes(b"<a/>")
    with pytest.raises(InputError, match=r"SBE_Discovery_Contoso.*SBE_Discovery_Other"):
        read(vendor)


# --- the checklist ------------------------------------------------------------------------------


@pytest.mark.parametrize("base64_hash", [False, True], ids=["hex", "base64"])
@pytest.mark.parametrize("attributes", [False, True], ids=["elements", "attributes"])
def test_package_hash_speaks_for_the_package(vendor, read, base64_hash, attributes):
    make(vendor, base64_hash=base64_hash, attributes=attributes, namespace="urn:x")
    files = read(vendor)
    stance, text = said(files, SbeRole.PACKAGE, StatementKind.PACKAGE_HASH)
    assert (stance, text) == (Stance.FOR, "its SHA-256 is the packageHash of the vendor's manifest")


def test_hash_under_another_name_in_its_entry_speaks_for_the_package(vendor, read):
    discovery, *_ = make(vendor)
    discovery.write_bytes(discovery.read_bytes().replace(b"packageHash", b"Sum"))
    assert said(read(vendor), SbeRole.PACKAGE, StatementKind.PACKAGE_HASH) == (
        Stance.FOR,
        "its SHA-256 stands in its entry of the vendor's manifest",
    )


def test_package_with_another_hash_is_not_added(vendor, read):
    *_, package = make(vendor)
    rewrite(package, extra=b"one more")
    files = read(vendor)
    assert said(files, SbeRole.PACKAGE, StatementKind.PACKAGE_HASH)[0] is Stance.AGAINST
    with pytest.raises(DigestError, match=f"add {TITLE}.zip.*packageHash is"):
        plan_adoptions(files)


@pytest.mark.parametrize(
    ("new", "text"),
    [(b"<packageHash>q83v</packageHash>", "no SHA-256: q83v"), (b"", "names no hash of it")],
)
def test_manifest_without_a_hash_that_can_be_compared_says_nothing(vendor, read, new, text):
    discovery, *_ = make(vendor)
    before, _, rest = discovery.read_bytes().partition(b"<packageHash>")
    discovery.write_bytes(before + new + rest.partition(b"</packageHash>")[2])
    stance, found = said(read(vendor), SbeRole.PACKAGE, StatementKind.PACKAGE_HASH)
    assert stance is Stance.SILENT
    assert text in found


def test_version_that_the_manifest_does_not_list_is_a_fault_with_a_way_out(vendor, read):
    discovery, *_ = make(vendor)
    discovery.write_bytes(sbe_discovery_xml([OTHER]))
    files = read(vendor)
    assert files.faults == (
        f"SBE_Discovery_Contoso.xml does not list {TITLE} (of that family 4.2.2601.1)",
    )
    with pytest.raises(InputError, match="does not list") as caught:
        plan_adoptions(files)
    assert "--discovery https://aka.ms/AzureStackSBEUpdate/Contoso" in caught.value.hint


def test_other_family_of_the_same_version_is_not_taken_for_it(vendor, read):
    discovery, *_ = make(vendor)
    discovery.write_bytes(sbe_discovery_xml([SbeEntry("Contoso", "GenB", "4.2.2603.1")]))
    assert "none of that family" in read(vendor).faults[0]


def test_recalled_sbe_is_not_added(vendor, read):
    make(vendor, others=[SbeEntry("Contoso", "GenA", "4.2.2603.1", is_recalled=True)])
    files = read(vendor)
    with pytest.raises(InputError, match="recalled by its vendor") as caught:
        plan_adoptions(files)
    assert "ferry catalog sbe Contoso" in caught.value.hint


def test_list_of_files_speaks_for_the_package(vendor, read):
    make(vendor)
    assert said(read(vendor), SbeRole.PACKAGE, StatementKind.STRUCTURE) == (
        Stance.FOR,
        "2 members have the SHA-256 that its metadata lists",
    )


def test_member_that_is_not_what_the_list_says_is_named(vendor, read):
    *_, package = make(vendor)
    rewrite(package, **{"CAUPlugins/PreUpdateScript.ps1": b"exit 1\r\n"})
    assert said(read(vendor), SbeRole.PACKAGE, StatementKind.STRUCTURE) == (
        Stance.AGAINST,
        "not what its metadata lists: CAUPlugins/PreUpdateScript.ps1",
    )


def test_listed_file_that_is_not_in_the_package_is_told(vendor, read):
    _, metadata, _ = make(vendor)
    more = f'<File Path="oemMetadata.xml" Sha256="{"ab" * 32}"/></Files>'.encode()
    metadata.write_bytes(metadata.read_bytes().replace(b"</Files>", more))
    stance, text = said(read(vendor), SbeRole.PACKAGE, StatementKind.STRUCTURE)
    assert stance is Stance.SILENT
    assert "oemMetadata.xml" in text


def test_list_that_was_evidently_misread_speaks_against_nothing(vendor, read):
    _, metadata, _ = make(vendor)
    text = metadata.read_text(encoding="utf-8")
    backwards = re.sub(r"[0-9a-f]{64}", lambda found: found[0][::-1], text)
    metadata.write_text(backwards, encoding="utf-8")
    stance, text = said(read(vendor), SbeRole.PACKAGE, StatementKind.STRUCTURE)
    assert (stance, text) == (
        Stance.SILENT,
        "its metadata lists no file in a way that can be compared",
    )


def test_members_beyond_the_list_are_counted(vendor, read):
    *_, package = make(vendor)
    rewrite(package, **{"more.txt": b"x"})
    stance, text = said(read(vendor), SbeRole.PACKAGE, StatementKind.STRUCTURE)
    assert stance is Stance.FOR
    assert text.endswith("1 more are not in that list")


def test_damaged_package_is_noticed(vendor, read):
    *_, package = make(vendor)
    data = bytearray(package.read_bytes())
    data[data.index(b"exit 0")] ^= 1
    package.write_bytes(data)
    stance, text = said(read(vendor), SbeRole.PACKAGE, StatementKind.STRUCTURE)
    assert stance is Stance.AGAINST
    assert "not a whole zip archive" in text


def test_package_that_is_no_zip_is_noticed(vendor, read):
    *_, package = make(vendor)
    package.write_bytes(b"<html>sign in</html>")
    assert said(read(vendor), SbeRole.PACKAGE, StatementKind.STRUCTURE)[0] is Stance.AGAINST


def test_package_that_would_unfold_without_end_is_not_read(vendor, read):
    *_, package = make(vendor)
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("CAUPlugins/PreUpdateScript.ps1", bytes(64 << 20))
    stance, text = said(read(vendor), SbeRole.PACKAGE, StatementKind.STRUCTURE)
    assert stance is Stance.SILENT
    assert "unfold" in text


def test_package_with_a_member_packed_in_an_unusual_way_is_not_judged_by_its_list(vendor, read):
    *_, package = make(vendor)
    with zipfile.ZipFile(package, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("CAUPlugins/PreUpdateScript.ps1", "exit 0\r\n")
    stance, text = said(read(vendor), SbeRole.PACKAGE, StatementKind.STRUCTURE)
    assert stance is Stance.SILENT
    assert "PreUpdateScript.ps1 is compressed with method 14" in text


def test_metadata_speaks_of_its_version_and_the_manifest_of_its_digest(vendor, read):
    discovery, *_ = make(vendor)
    assert said(read(vendor), SbeRole.METADATA, StatementKind.STRUCTURE)[0] is Stance.FOR
    files = read(vendor)
    digest = next(file.sha256 for file in files.files if file.role is SbeRole.METADATA)
    assert said(files, SbeRole.METADATA, StatementKind.PACKAGE_HASH) == (None, "")
    more = f"<Metadata>{digest}</Metadata></UpdateInfo>".encode()
    discovery.write_bytes(discovery.read_bytes().replace(b"</UpdateInfo>", more))
    stance, _ = said(read(vendor), SbeRole.METADATA, StatementKind.PACKAGE_HASH)
    assert stance is Stance.FOR


# --- signatures ---------------------------------------------------------------------------------

ROOT = make_signer("Known Authority", is_authority=True)
KNOWN = Authorities(roots=(ROOT.certificate,))
CONTOSO = make_signer("Contoso Ltd", ROOT)


def test_signatures_of_the_vendor_speak_for_both_xml_files(vendor, read):
    make(vendor, sign=lambda data: sign_xml(data, CONTOSO))
    files = read(vendor, authorities=KNOWN, now=datetime.now(UTC))
    for role in (SbeRole.DISCOVERY, SbeRole.METADATA):
        assert said(files, role, StatementKind.SIGNATURE)[0] is Stance.FOR
    assert said(files, SbeRole.PACKAGE, StatementKind.STRUCTURE)[0] is Stance.FOR


def test_other_signer_counts_where_a_person_named_it(vendor, read):
    foundry = make_signer("Fabrikam Signing", ROOT)
    make(vendor, sign=lambda data: sign_xml(data, foundry))
    assert said(read(vendor, authorities=KNOWN), SbeRole.DISCOVERY, StatementKind.SIGNATURE)[0] is (
        Stance.SILENT
    )
    files = read(vendor, authorities=KNOWN, signers=["Fabrikam Signing"])
    assert said(files, SbeRole.DISCOVERY, StatementKind.SIGNATURE)[0] is Stance.FOR


def test_manifest_changed_after_it_was_signed_is_not_added(vendor, read):
    discovery, *_ = make(vendor, sign=lambda data: sign_xml(data, CONTOSO))
    discovery.write_bytes(discovery.read_bytes().replace(b"10.*.*.*", b"9.*.*.*"))
    with pytest.raises(DigestError, match=r"SBE_Discovery_Contoso\.xml.*not what was signed"):
        plan_adoptions(read(vendor, authorities=KNOWN))


# --- what the catalog should take in ------------------------------------------------------------


def test_plan_names_shelf_siblings_addresses_and_what_was_measured(vendor, read):
    base = "https://vendor.example/d"
    make(vendor, facts={"PackagePath": f"{base}/{TITLE}.zip"})
    files = read(vendor)
    package, metadata, discovery = plan_adoptions(files, discovery_url=f"{base}/x.xml")
    assert [package.name, metadata.name, discovery.name] == [
        f"{TITLE}.zip",
        f"{TITLE}.xml",
        "SBE_Discovery_Contoso.xml",
    ]
    assert {item.shelf for item in (package, metadata, discovery)} == {
        "sbe/Contoso_GenA_4.2.2603.1"
    }
    assert (package.url, metadata.url, discovery.url) == (
        f"{base}/{TITLE}.zip",
        "",
        f"{base}/x.xml",
    )
    assert package.kind is PayloadKind.SBE
    assert set(package.siblings) == NAMES
    assert package.source == vendor / f"{TITLE}.zip"
    assert package.sha256 == files.files[0].sha256


# --- bad input ----------------------------------------------------------------------------------


def test_file_that_is_no_part_of_an_sbe_is_refused(vendor, read):
    odd = vendor / "SBE_Content_4.1.2.3.xml"
    odd.write_bytes(b"<a/>")
    with pytest.raises(InputError, match=r"SBE_Content_4\.1\.2\.3\.xml"):
        read(odd)


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({"readme.txt": b""}, "no SBE file in it"),
        ({f"a/{TITLE}.xml": b"", f"b/{TITLE}.zip": b""}, "several folders"),
        ({f"{TITLE}.xml": bytes(11 << 20)}, "would unfold"),
        ({f"{TITLE}.zip": bytes(64 << 20)}, "would unfold"),
        ({f"SBE_Contoso_{'x' * 120}_4.2.2603.1.zip": b""}, "not a plain file name"),
        ({"SBE_Contoso_Gen A_4.2.2603.1.zip": b""}, "not a plain file name"),
    ],
)
def test_vendors_zip_that_cannot_be_used_is_named(vendor, read, members, found):
    outer = vendor / "outer.zip"
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(InputError, match=found):
        read(outer)


def test_encrypted_member_is_refused_before_it_is_read(vendor, read):
    outer = make_outer_zip(vendor / "outer.zip", make(vendor))
    data = bytearray(outer.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    outer.write_bytes(data)
    with pytest.raises(InputError, match="encrypted"):
        read(outer)


def test_damaged_vendors_zip_is_refused_by_name(vendor, read):
    outer = make_outer_zip(vendor / "outer.zip", make(vendor), compress=True)
    data = bytearray(outer.read_bytes())
    data[data.index(b"SBE_Discovery_Contoso.xml") + 40] ^= 0xFF
    outer.write_bytes(data)
    with pytest.raises(InputError, match=r"outer\.zip.*not a whole zip"):
        read(outer)


def test_directory_too_large_for_memory_is_not_read(tmp_path):
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"")
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, len(data) - 22 + 12, 9 << 20)
    path.write_bytes(data)
    with pytest.raises(InputError, match="a directory of 9437184 bytes"):
        open_bounded(path)


def test_directory_length_of_a_large_zip_is_read_from_its_own_record(tmp_path):
    path = tmp_path / "zip64.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"")
    data = path.read_bytes()
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 9 << 20, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(data) - 22, 1)
    path.write_bytes(data[:-22] + record + locator + data[-22:])
    with pytest.raises(InputError, match="a directory of 9437184 bytes"):
        open_bounded(path)


def test_path_that_is_not_there_is_a_storage_error(vendor, read):
    with pytest.raises(StorageError):
        read(vendor / f"{TITLE}.zip", vendor / f"{TITLE}.xml")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
def test_scratch_that_cannot_be_written_is_a_storage_error(vendor, read, tmp_path):
    outer = make_outer_zip(tmp_path / "outer.zip", make(vendor))
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / f"{TITLE}.zip").mkdir()
    with pytest.raises(StorageError, match=f"write .*{TITLE}"):
        read(outer)
