from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from tests.unit.catalog.fakes import Listener
from tests.unit.catalog.zipcraft import (
    ENCRYPTED,
    STREAMED,
    UTF8,
    Member,
    bundle,
    craft,
    end,
    metadata,
    write_sparse,
)
from toolkit.catalog._inside import Expects, ZipKind, ZipProblem, inspect_zip
from toolkit.catalog._inside._directory import DIRECTORY_LIMIT_BYTES, MEMBERS_LIMIT
from toolkit.errors import StorageError

VERSION = "12.2603.1002.15"
BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
SHARE = r"C:\ClusterStorage\Infrastructure_1\Shares\SU1_Infrastructure_1"


@pytest.fixture
def inspect(tmp_path):
    def look(data, name="some.zip", **how):
        path = tmp_path / name
        path.write_bytes(data)
        return inspect_zip(path, **how)

    return look


@pytest.fixture
def found(inspect):
    """Return the kinds of problems of an archive, with the members they are about."""

    def look(data, name="some.zip", **how):
        return [(finding.kind, finding.member) for finding in inspect(data, name, **how).findings]

    return look


def in_bytes(write):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        write(archive)
    return sink.getvalue()


# --- good archives --------------------------------------------------------------------------------


def test_a_good_bundle_is_whole_and_says_its_version(inspect):
    report = inspect(bundle(VERSION), BUNDLE)
    assert report.is_whole
    assert report.findings == ()
    assert (report.kind, report.members, report.unchecked) == (ZipKind.SOLUTION_BUNDLE, 3, 0)
    assert report.stated_versions == (VERSION,)


def test_a_bundle_may_have_its_files_in_folders_and_a_comment(inspect):
    inner = craft(Member("a", b"a"))
    data = craft(
        Member("Update/"),
        Member("Update/SolutionUpdate.xml", metadata(VERSION)),
        Member("Update/Payload/SolutionUpdate.zip", inner),
        Member("Update/Payload/AS_Update_12.2603.0.3021.zip", inner),
        comment=b"made in a factory",
    )
    assert inspect(data, BUNDLE).is_whole


def test_what_pythons_library_writes_is_whole(inspect):
    def write(archive):
        archive.writestr("stored.txt", b"s" * 5000)
        archive.writestr("deflated.txt", b"d" * 50_000, zipfile.ZIP_DEFLATED)
        archive.writestr("ünïcode.txt", b"u")
        archive.mkdir("folder")
        with archive.open("wide.bin", "w", force_zip64=True) as member:
            member.write(b"w" * 10)

    report = inspect(in_bytes(write))
    assert (report.findings, report.is_whole) == ((), True)


def test_what_pythons_library_writes_to_a_pipe_is_whole(inspect):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise io.UnsupportedOperation

        tell = seek

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("streamed.txt", b"s" * 5000)
        archive.writestr("empty.txt", b"")
    report = inspect(pipe.getvalue())
    assert (report.findings, report.is_whole) == ((), True)


@pytest.mark.parametrize("signature", [b"PK\7\x08", b""])
@pytest.mark.parametrize("form", ["<3L", "<L2Q"])
def test_every_form_of_data_descriptor_is_understood(inspect, signature, form):
    figures = (zlib.crc32(b"data"), 4, 4)
    member = Member(
        "a",
        b"data",
        flags=STREAMED,
        local={"crc": 0, "packed_bytes": 0, "size_bytes": 0},
        descriptor=signature + struct.pack(form, *figures),
    )
    assert inspect(craft(member, Member("b", b"more"))).is_whole


def test_zip64_fields_and_records_are_understood(inspect):
    report = inspect(craft(Member("a", b"wide", wide=True), Member("b", b"x"), zip64=True))
    assert (report.findings, report.is_whole) == ((), True)


def test_more_than_65535_members_are_counted(inspect):
    report = inspect(craft_many(70_000), is_deep=False)
    assert (report.members, report.findings) == (70_000, ())


def craft_many(number):
    members, entries, at = [], [], 0
    for index in range(number):
        member = Member(f"{index % 500}/{index}")
        entries.append(member.entry(at))
        members.append(member.local_header())
        at += len(members[-1])
    directory = b"".join(entries)
    records = end(number, len(directory), at, zip64=True, at=at + len(directory))
    return b"".join(members) + directory + records


def test_a_member_beyond_4_gib_is_seen_without_reading_it(tmp_path):
    path = tmp_path / "large.zip"
    write_sparse(path, "large.bin", size_bytes=5 << 30)
    report = inspect_zip(path, is_deep=False)
    assert (report.unfolds_to_bytes, report.faults, report.unchecked) == (5 << 30, (), 1)


def test_an_empty_archive_has_nothing_wrong(inspect):
    assert inspect(craft()).is_whole


def test_large_members_are_added_up_in_pieces(inspect):
    data = bytes(range(256)) * 20_000
    members = (Member("stored", data), Member("deflated", data, method=8))
    assert inspect(craft(*members)).is_whole


# --- not an archive, or not all of it ------------------------------------------------------------


def test_a_web_page_is_no_archive_and_its_beginning_is_shown(inspect):
    (finding,) = inspect(b"<html>please log in</html>").findings
    assert finding.kind is ZipProblem.NOT_A_ZIP
    assert "b'" not in str(finding)
    assert "<html>" in finding.text


def test_an_empty_file_is_no_archive(found):
    assert found(b"") == [(ZipProblem.NOT_A_ZIP, "")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>\r\n<body>Log on to the proxy first", 'begin with "<html>'),
        (b"\x1f\x8b\x08\x00 and so on and on", "begin with 1f 8b 08 00 20"),
        (bytes(4096), "begin with zeros"),
    ],
)
def test_what_came_instead_of_an_archive_is_shown(inspect, data, words):
    assert any(words in str(finding) for finding in inspect(data).findings)


def test_a_truncated_archive_names_the_member_in_which_it_ends(found):
    data = craft(Member("first", b"1" * 100), Member("second", b"2" * 1000))
    assert found(data[:600]) == [(ZipProblem.TRUNCATED, "second")]


def test_an_archive_cut_in_its_end_record_is_truncated(found):
    assert found(craft(Member("only", b"1"))[:-3]) == [(ZipProblem.TRUNCATED, "only")]


def test_bytes_behind_the_end_are_a_fault_and_the_rest_is_read(inspect):
    report = inspect(craft(Member("a", b"a")) + b"appended")
    assert [item.kind for item in report.findings] == [ZipProblem.TRAILING_BYTES]
    assert report.members == 1


def test_bytes_in_front_of_an_archive_are_a_fault(found):
    assert found(b"MZ stub" + craft(Member("a", b"a"))) == [(ZipProblem.MISPLACED_DIRECTORY, "")]


def test_bytes_missing_in_the_middle_are_a_fault(found):
    data = craft(Member("a", b"a" * 5000))
    assert found(data[:1000] + data[2000:]) == [(ZipProblem.MISPLACED_DIRECTORY, "")]


def test_bytes_in_front_that_the_offsets_allow_for_are_a_doubt(found):
    data = craft(Member("a", b"a", gap=b"MZ stub"))
    assert found(data) == [(ZipProblem.UNCLAIMED_BYTES, "")]


def test_bytes_between_members_are_a_doubt(inspect):
    (finding,) = inspect(craft(Member("a", b"a"), Member("b", b"b", gap=b"hidden"))).findings
    assert finding.kind is ZipProblem.UNCLAIMED_BYTES
    assert finding.text.startswith("6 bytes")


def test_two_end_records_that_both_fit_are_a_fault(found):
    hidden = end(0, 0, 0)
    assert (ZipProblem.AMBIGUOUS_END, "") in found(craft(Member("a", b"a"), comment=hidden))


def test_one_part_of_several_is_a_fault(found):
    assert found(craft(Member("a", b"a"), disk=1)) == [(ZipProblem.MULTI_DISK, "")]
    assert found(b"PK\7\x08" + b"x" * 50) == [(ZipProblem.MULTI_DISK, "")]
    assert (ZipProblem.MULTI_DISK, "a") in found(craft(Member("a", b"a", disk=2)))


def test_end_records_that_disagree_are_a_fault(found):
    data = bytearray(craft(Member("a", b"a"), zip64=True))
    struct.pack_into("<L", data, len(data) - 6, 7)  # the classic record's offset
    assert found(bytes(data)) == [(ZipProblem.DISAGREEMENT, "")]


def test_an_end_record_that_needs_a_missing_zip64_record_is_a_fault(found):
    data = bytearray(craft(Member("a", b"a")))
    struct.pack_into("<L", data, len(data) - 6, 0xFFFFFFFF)
    assert found(bytes(data)) == [(ZipProblem.DAMAGED_DIRECTORY, "")]


@pytest.mark.parametrize("at", [-22 - 20 - 56, -22 - 20 + 8])
def test_a_damaged_zip64_record_is_a_fault(found, at):
    data = bytearray(craft(Member("a", b"a"), zip64=True))
    data[at] ^= 0xFF  # the record's signature, and the place where the locator looks for it
    assert found(bytes(data)) == [(ZipProblem.DAMAGED_DIRECTORY, "")]


def test_an_entry_that_reaches_past_the_directory_is_a_fault(inspect):
    data = bytearray(craft(Member("a", b"a")))
    struct.pack_into("<H", data, data.index(b"PK\1\2") + 28, 500)  # the length of its name
    (finding,) = (item for item in inspect(bytes(data)).findings if item.is_fault)
    assert finding.text == "entry 1 of 1: it reaches past the directory's end"


def test_a_damaged_entry_is_named_by_its_number(inspect):
    data = bytearray(craft(Member("a", b"a"), Member("b", b"b")))
    data[data.rindex(b"PK\1\2")] = 0
    (finding,) = (item for item in inspect(bytes(data)).findings if item.is_fault)
    assert finding.kind is ZipProblem.DAMAGED_DIRECTORY
    assert "entry 2 of 2" in finding.text


@pytest.mark.parametrize("how", [{"directory_tail": b"more"}, {"count": 1}])
def test_a_directory_with_bytes_of_no_entry_is_damaged(found, how):
    data = craft(Member("a", b"a"), Member("b", b"b"), **how)
    assert (ZipProblem.DAMAGED_DIRECTORY, "") in found(data)


def test_a_file_that_is_not_there_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError):
        inspect_zip(tmp_path / "none.zip")


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "size"), [(MEMBERS_LIMIT + 1, 100), (5, DIRECTORY_LIMIT_BYTES + 1), (1 << 60, 64)]
)
def test_a_directory_over_a_limit_is_not_read_and_the_limit_is_named(tmp_path, members, size):
    path = tmp_path / "hostile.zip"
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(end(members, size, 0, zip64=True, at=size))
    (finding,) = inspect_zip(path).findings
    assert finding.kind is ZipProblem.OVER_LIMIT
    assert str(MEMBERS_LIMIT) in finding.text


def test_of_many_alike_problems_a_few_are_named_and_all_are_counted(inspect):
    report = inspect(craft(*(Member(f"{number}:x") for number in range(50))))
    assert len(report.findings) == 21
    assert report.findings[-1].text.startswith("30 more members")


def test_a_name_of_64_kib_is_shortened_in_the_report(inspect):
    (finding,) = inspect(craft(Member("n" * 65_000))).findings
    assert finding.kind is ZipProblem.NAME_TOO_LONG
    assert len(finding.member) < 400


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../evil.txt", ZipProblem.TRAVERSAL),
        ("a/../../evil.txt", ZipProblem.TRAVERSAL),
        ("a/.. /evil.txt", ZipProblem.TRAVERSAL),
        ("a/...", ZipProblem.TRAVERSAL),
        ("/etc/passwd", ZipProblem.ABSOLUTE),
        ("C:/Windows/evil.dll", ZipProblem.ABSOLUTE),
        ("C:evil.dll", ZipProblem.ABSOLUTE),
        ("//server/share/x", ZipProblem.ABSOLUTE),
        ("file.txt:stream", ZipProblem.STREAM),
        ("folder/CON", ZipProblem.DEVICE),
        ("nul.txt", ZipProblem.DEVICE),
        ("COM1/readme.txt", ZipProblem.DEVICE),
        ("what?.txt", ZipProblem.CHARACTER),
        ('a"b', ZipProblem.CHARACTER),
        ("pipe|", ZipProblem.CHARACTER),
        (b"nul\0byte.txt", ZipProblem.CHARACTER),
        ("", ZipProblem.CHARACTER),
        ("trailing.", ZipProblem.TRAILING_DOT),
        ("folder /x", ZipProblem.TRAILING_DOT),
        ("x" * 256, ZipProblem.NAME_TOO_LONG),
        ("a//b", ZipProblem.ODD_PATH),
        ("./a", ZipProblem.ODD_PATH),
    ],
)
def test_names_that_windows_cannot_hold_or_must_not_are_named(found, name, kind):
    shown = name if isinstance(name, str) else name.decode()
    assert found(craft(Member(name))) == [(kind, shown)]


def test_backslashes_part_folders_and_are_a_doubt(found):
    assert found(craft(Member("a\\b.txt"))) == [(ZipProblem.BACKSLASH, "a\\b.txt")]


def test_traversal_and_network_paths_with_backslashes_are_faults(found):
    assert (ZipProblem.TRAVERSAL, "..\\x") in found(craft(Member("..\\x")))
    assert (ZipProblem.ABSOLUTE, "\\\\s\\x") in found(craft(Member("\\\\s\\x")))


def test_letters_that_turn_text_around_are_a_fault(found):
    name = "cod\u202egpj.exe"
    assert found(craft(Member(name, flags=UTF8))) == [(ZipProblem.CHARACTER, name)]


def test_a_name_that_is_no_utf8_although_it_says_so_is_a_fault(found):
    assert found(craft(Member(b"a\xff", flags=UTF8))) == [(ZipProblem.CHARACTER, "a\ufffd")]


def test_one_name_twice_is_a_duplicate(found):
    data = craft(Member("a.txt", b"1"), Member("a.txt", b"2"))
    assert found(data) == [(ZipProblem.DUPLICATE, "a.txt")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.txt", "A.TXT"),
        ("Folder/a", "fOLDER/A"),
        ("é.txt", "É.txt"),
        ("caf\u00e9", "cafe\u0301"),
        ("a/b", "A\\B"),
        ("file", "FILE/inner"),
        ("file/inner", "File"),
        ("folder/", "FOLDER"),
        ("name", "name."),
    ],
)
def test_names_that_fall_together_are_a_collision(found, one, other):
    data = craft(Member(one, flags=UTF8), Member(other, flags=UTF8))
    assert (ZipProblem.COLLISION, other) in found(data)


def test_names_that_only_look_alike_are_none(found):
    names = ["a", "a1", "A2/", "A2/b", "a2/c", "A2/", "stra\u00dfe", "STRASSE"]
    assert found(craft(*(Member(name, flags=UTF8) for name in names))) == []


def test_a_second_name_for_some_programs_is_a_fault(found):
    field = b"\1" + struct.pack("<L", zlib.crc32(b"good.txt")) + b"../evil.txt"
    extra = struct.pack("<2H", 0x7075, len(field)) + field
    data = craft(Member("good.txt", extra=extra))
    assert found(data) == [(ZipProblem.DISAGREEMENT, "good.txt")]


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (0o120777, ZipProblem.LINK),
        (0o010644, ZipProblem.SPECIAL),
        (0o020644, ZipProblem.SPECIAL),
        (0o060644, ZipProblem.SPECIAL),
        (0o140644, ZipProblem.SPECIAL),
    ],
)
def test_links_and_special_files_are_faults(found, mode, kind):
    assert found(craft(Member("a", b"/etc", attributes=mode << 16))) == [(kind, "a")]


def test_a_windows_reparse_point_is_a_link(found):
    assert found(craft(Member("a", attributes=0x400))) == [(ZipProblem.LINK, "a")]


def test_plain_files_and_folders_of_unix_are_fine(found):
    data = craft(Member("a", attributes=0o100755 << 16), Member("b/", attributes=0o40755 << 16))
    assert found(data) == []


def test_a_folder_with_content_is_a_fault(found):
    assert found(craft(Member("a/", b"hidden"))) == [(ZipProblem.SPECIAL, "a/")]


# --- packing --------------------------------------------------------------------------------------


def test_an_encrypted_member_is_a_fault_and_not_checked(inspect):
    report = inspect(craft(Member("a", b"x" * 12, flags=ENCRYPTED), Member("b", b"y")))
    assert [(item.kind, item.member) for item in report.findings] == [(ZipProblem.ENCRYPTED, "a")]
    assert report.unchecked == 1


@pytest.mark.parametrize("method", [1, 12, 14, 93, 95, 98, 77])
def test_a_method_that_nodes_do_not_read_is_a_fault(found, method):
    data = craft(Member("a", b"data", method=method))
    assert found(data) == [(ZipProblem.METHOD, "a")]


def test_deflate64_is_a_doubt_because_windows_writes_it(inspect):
    report = inspect(craft(Member("a", b"data", method=9)))
    assert [item.kind for item in report.findings] == [ZipProblem.UNCHECKED]
    assert report.faults == ()
    assert not report.is_whole


@pytest.mark.parametrize("method", [0, 8])
def test_a_flipped_byte_is_named_by_member(inspect, method):
    data = bytearray(
        craft(Member("whole", b"w" * 50), Member("hit", b"\0\1" * 5000, method=method))
    )
    data[data.index(b"hit") + 20] ^= 4
    report = inspect(bytes(data))
    assert [(item.kind, item.member) for item in report.faults] == [
        (ZipProblem.DAMAGED_MEMBER, "hit")
    ]
    assert report.unchecked == 1


def test_a_wrong_checksum_shows_both(inspect):
    (finding,) = inspect(craft(Member("a", b"data", crc=0xABC))).faults
    assert f"{zlib.crc32(b'data'):08x}" in finding.text
    assert "00000abc" in finding.text


def test_compressed_data_that_end_early_are_damage(found):
    whole = Member("a", b"text" * 500, method=8)
    cut = Member("a", whole.data, method=8, packed=whole.body()[:-4])
    assert found(craft(cut)) == [(ZipProblem.DAMAGED_MEMBER, "a")]


def test_bytes_behind_compressed_data_are_damage(found):
    whole = Member("a", b"text" * 500, method=8)
    long = Member("a", whole.data, method=8, packed=whole.body() + b"more")
    assert found(craft(long)) == [(ZipProblem.DAMAGED_MEMBER, "a")]


@pytest.mark.parametrize("claimed", [1999, 2001])
def test_another_length_than_claimed_is_damage(found, claimed):
    data = craft(Member("a", b"text" * 500, method=8, size_bytes=claimed))
    assert found(data) == [(ZipProblem.DAMAGED_MEMBER, "a")]


def test_a_stored_member_with_two_lengths_is_damage(found):
    assert found(craft(Member("a", b"data", size_bytes=5)))[0] == (ZipProblem.DAMAGED_MEMBER, "a")


def test_a_member_whose_local_header_is_missing_is_damage(found):
    data = craft(Member("a", b"a", local={"signature": b"PK\0\0"}))
    assert found(data) == [(ZipProblem.DAMAGED_MEMBER, "a")]


def test_a_local_header_without_the_zip64_field_it_needs_is_damage(found):
    data = craft(Member("a", b"a", local={"size_bytes": 0xFFFFFFFF}))
    assert found(data) == [(ZipProblem.DAMAGED_MEMBER, "a")]


@pytest.mark.parametrize(
    "local",
    [
        {"name": b"b"},
        {"method": 8},
        {"flags": UTF8},
        {"crc": 1},
        {"size_bytes": 3},
    ],
)
def test_a_local_header_that_disagrees_with_the_directory_is_a_fault(found, local):
    data = craft(Member("a", b"data", local=local))
    assert found(data) == [(ZipProblem.DISAGREEMENT, "a")]


def test_a_data_descriptor_that_disagrees_is_a_fault(found):
    member = Member(
        "a", b"data", flags=STREAMED, descriptor=struct.pack("<4s3L", b"PK\7\x08", 1, 4, 4)
    )
    assert (ZipProblem.DISAGREEMENT, "a") in found(craft(member))


# --- bombs ----------------------------------------------------------------------------------------


def test_an_archive_that_unfolds_without_measure_is_a_bomb_and_not_read(inspect):
    report = inspect(craft(Member("zeros", bytes(30 << 20), method=8)))
    assert [item.kind for item in report.findings] == [ZipProblem.BOMB]
    assert not report.is_deep


def test_a_claim_that_no_compression_reaches_is_a_bomb(found):
    data = craft(Member("a", b"", method=8, size_bytes=1 << 20))
    assert found(data) == [(ZipProblem.BOMB, "a")]


def test_members_that_quote_one_stream_overlap(inspect):
    kernel = Member("0", bytes(100_000), method=8)
    quotes = [
        Member(str(number), kernel.data, method=8, packed=b"", packed_bytes=len(kernel.body()),
               offset=0)
        for number in range(1, 5)
    ]  # fmt: skip
    report = inspect(craft(kernel, *quotes))
    assert [(item.kind, item.member) for item in report.faults] == [
        (ZipProblem.OVERLAP, str(number)) for number in range(1, 5)
    ]
    assert not report.is_deep


def test_a_member_that_reaches_into_the_directory_overlaps_it(found):
    data = craft(Member("a", b"data", packed_bytes=400, size_bytes=400))
    assert found(data) == [(ZipProblem.OVERLAP, "a")]


def test_an_overlap_hidden_by_a_longer_local_header_is_found(found):
    first = Member("a", b"x" * 200, local={"name": b"a" * 100})
    second = Member("b", b"", offset=30 + 1 + 200 + 20)
    assert (ZipProblem.OVERLAP, "b") in found(craft(first, second))


def test_a_small_member_of_zeros_in_a_large_archive_is_no_bomb(inspect):
    noise = zlib.compress(bytes(range(256)) * 8) * 50
    assert inspect(craft(Member("zeros", bytes(1 << 20), method=8), Member("n", noise))).is_whole


# --- paths on the cluster ---------------------------------------------------------------------------


def member_of_length(length, root):
    """Return a member whose path below the root has this length, in a folder that is short enough."""
    rest = length - len(root) - 1
    return Member("f" * (rest - 100) + "/" + "n" * 99, b"x")


@pytest.mark.parametrize(("length", "kinds"), [(259, []), (260, [ZipProblem.LONG_PATH])])
def test_a_path_is_too_long_from_260_characters_on(inspect, length, kinds):
    root = rf"{SHARE}\Updates\Packages\Solution{VERSION}"
    report = inspect(bundle(VERSION, member_of_length(length, root)), BUNDLE)
    assert [item.kind for item in report.findings] == kinds
    assert len(report.longest_path) == length
    assert report.faults == ()


def test_the_folder_of_a_short_file_may_be_too_long(found):
    root = rf"{SHARE}\Updates\Packages\Solution{VERSION}"
    name = "f" * (248 - len(root) - 1) + "/a"
    assert found(bundle(VERSION, Member(name)), BUNDLE) == [(ZipProblem.LONG_PATH, name)]


def test_a_path_of_264_characters_in_the_expanded_platform_payload_is_a_doubt(inspect):
    root = rf"{SHARE}\Updates\Packages\Solution{VERSION}\Platform"
    inner = craft(member_of_length(264, root))
    report = inspect(bundle(VERSION, platform=inner), BUNDLE)
    (finding,) = report.findings
    assert finding.kind is ZipProblem.LONG_PATH
    assert finding.member.startswith(f"AS_Update_{VERSION}.zip: ")
    assert "264 characters" in finding.text
    assert report.is_whole


def test_the_platform_payload_may_be_compressed(inspect):
    root = rf"{SHARE}\Updates\Packages\Solution{VERSION}\Platform"
    inner = craft(member_of_length(270, root))
    data = craft(
        Member("SolutionUpdate.xml", metadata(VERSION)),
        Member("SolutionUpdate.zip", craft(), method=8),
        Member("AS_Update_12.2603.0.1.zip", inner, method=8),
    )
    assert [item.kind for item in inspect(data, BUNDLE).findings] == [ZipProblem.LONG_PATH]


def test_dangerous_names_in_a_documented_archive_within_are_faults(found):
    inner = craft(Member("../evil.dll"))
    assert found(bundle(VERSION, platform=inner), BUNDLE) == [
        (ZipProblem.TRAVERSAL, f"AS_Update_{VERSION}.zip: ../evil.dll")
    ]


def test_how_an_archive_within_is_packed_is_the_vendors_matter(found):
    inner = craft(Member("a", b"x" * 12, flags=ENCRYPTED), Member("b", b"data", method=14))
    assert found(bundle(VERSION, platform=inner), BUNDLE) == []


def test_an_archive_within_that_is_none_is_a_fault(found):
    data = bundle(VERSION, platform=b"not a zip archive")
    assert found(data, BUNDLE) == [(ZipProblem.NOT_A_ZIP, f"AS_Update_{VERSION}.zip")]


def test_other_archives_within_are_not_looked_into(found):
    assert found(bundle(VERSION, Member("driver.zip", b"no zip")), BUNDLE) == []


def test_the_directory_of_a_compressed_archive_within_may_be_out_of_sight(found):
    names = (f"{number}-{'n' * 200}" for number in range(25_000))
    entries = b"".join(Member(name).entry(0) for name in names)
    inner = entries + end(25_000, len(entries), 0)
    data = craft(
        Member("SolutionUpdate.xml", metadata(VERSION)),
        Member("SolutionUpdate.zip", craft()),
        Member("AS_Update_12.2603.0.1.zip", inner, method=8),
        Member("ballast", zlib.compress(bytes(range(256))) * 4000),
    )
    assert found(data, BUNDLE) == [(ZipProblem.UNCHECKED, "AS_Update_12.2603.0.1.zip")]


# --- what an update must hold -----------------------------------------------------------------------


def test_a_bundle_without_metadata_is_a_fault(inspect):
    report = inspect(craft(Member("readme.txt", b"x")), BUNDLE)
    assert [item.kind for item in report.faults] == [ZipProblem.NO_METADATA]


def test_a_bundle_without_its_payload_archives_is_a_doubt(inspect):
    report = inspect(craft(Member("SolutionUpdate.xml", metadata(VERSION))), BUNDLE)
    assert [item.kind for item in report.findings] == [ZipProblem.MISSING_MEMBER] * 2
    assert report.is_whole


def test_metadata_of_another_version_are_a_fault(inspect):
    data = bundle(VERSION, metadata=Member("SolutionUpdate.xml", metadata("12.2602.1002.501")))
    (finding,) = inspect(data, BUNDLE).findings
    assert finding.kind is ZipProblem.OTHER_VERSION
    assert "12.2602.1002.501" in finding.text
    assert VERSION in finding.text


def test_a_version_of_another_form_is_another_version(found):
    data = bundle(VERSION, metadata=Member("SolutionUpdate.xml", metadata("4.2.1")))
    assert found(data, BUNDLE) == [(ZipProblem.OTHER_VERSION, "SolutionUpdate.xml")]


@pytest.mark.parametrize(
    "text",
    [
        "<R><ApplicableUpdate Version='{0}'/></R>",
        "<R><ApplicableUpdate><Version>\n {0} </Version></ApplicableUpdate></R>",
        "<R><ApplicableUpdate><UpdateInfo Version='{0}'/></ApplicableUpdate></R>",
        "<a:R xmlns:a='urn:x'><a:ApplicableUpdate><a:UpdateInfo><a:Version>{0}</a:Version>"
        "</a:UpdateInfo></a:ApplicableUpdate></a:R>",
        "<R xmlns:b='urn:b'><ApplicableUpdate b:Version='Solution{0}'/></R>",
        "<R><ApplicableUpdate Version='12.2602.1002.1'/><ApplicableUpdate Version='{0}'/></R>",
    ],
)
def test_the_version_is_read_in_every_form_the_schema_may_have(inspect, text):
    data = bundle(VERSION, metadata=Member("SolutionUpdate.xml", text.format(VERSION).encode()))
    report = inspect(data, BUNDLE)
    assert (report.findings, report.is_whole) == ((), True)


def test_metadata_that_state_no_version_are_a_doubt(found):
    data = bundle(VERSION, metadata=Member("SolutionUpdate.xml", b"<R><Version>1</Version></R>"))
    assert found(data, BUNDLE) == [(ZipProblem.UNVERSIONED, "SolutionUpdate.xml")]


@pytest.mark.parametrize(
    "text",
    [
        b"no xml",
        b"<open>",
        b"<?xml version='1.0' encoding='klingon'?><R/>",
        b"<!DOCTYPE x [<!ENTITY e 'eeee'>]><x>&e;</x>",
        b"<R>" + b" " * (1 << 20) + b"</R>",
    ],
)
def test_metadata_that_cannot_be_read_are_a_fault(found, text):
    data = bundle(VERSION, metadata=Member("SolutionUpdate.xml", text))
    assert found(data, BUNDLE) == [(ZipProblem.BAD_METADATA, "SolutionUpdate.xml")]


def test_an_entity_in_metadata_is_named_as_a_person_would(inspect):
    text = b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>"
    report = inspect(bundle(VERSION, metadata=Member("SolutionUpdate.xml", text)), BUNDLE)
    (finding,) = report.findings
    assert "a document type or entity" in str(finding)
    assert "Forbidden" not in str(finding)


def test_a_version_without_measure_is_shortened_in_the_report(inspect):
    text = metadata("9" * 500_000)
    report = inspect(bundle(VERSION, metadata=Member("SolutionUpdate.xml", text)), BUNDLE)
    assert [item.kind for item in report.faults] == [ZipProblem.OTHER_VERSION]
    assert max(map(len, (report.faults[0].text, *report.stated_versions))) < 500


def test_of_several_metadata_files_the_uppermost_counts(inspect):
    other = Member("deep/down/SolutionUpdate.xml", metadata("12.2512.1002.16"))
    assert inspect(bundle(VERSION, other), BUNDLE).stated_versions == (VERSION,)


def test_an_sbe_needs_no_member_and_is_measured_where_it_is_expanded(inspect):
    name = "SBE_Contoso_Gen-A_4.2.2603.1.zip"
    report = inspect(craft(Member("CAUPlugins/PreUpdateScript.ps1", b"exit 0")), name)
    assert (report.kind, report.findings) == (ZipKind.SBE, ())
    assert report.longest_path == (
        rf"{SHARE}\CloudMedia\SBE\Installed\Content\CAUPlugins\PreUpdateScript.ps1"
    )


def test_a_vendors_archive_is_looked_into_for_its_sbe(found):
    sbe = craft(Member("bad|name"))
    data = craft(
        Member("SBE_Contoso_GenA_4.2.2603.1.zip", sbe),
        Member("SBE_Contoso_GenA_4.2.2603.1.xml", b"<x/>"),
        Member("SBE_Discovery_Contoso.xml", b"<x/>"),
    )
    assert found(data, expects=Expects(kind=ZipKind.VENDOR)) == [
        (ZipProblem.CHARACTER, "SBE_Contoso_GenA_4.2.2603.1.zip: bad|name")
    ]


def test_a_vendors_archive_without_the_three_files_is_a_doubt(found):
    name = "Bundle_SBE_Dell_AS-HCI-AX-16G_4.2.2603.1.zip"
    assert [kind for kind, _ in found(craft(), name)] == [ZipProblem.MISSING_MEMBER] * 3


# --- quick and deep ---------------------------------------------------------------------------------


def test_a_quick_look_reads_no_member(inspect):
    report = inspect(craft(Member("a", b"data", crc=1), Member("..")), is_deep=False)
    assert [item.kind for item in report.findings] == [ZipProblem.TRAVERSAL]
    assert (report.is_deep, report.is_whole, report.unchecked) == (False, False, 2)


def test_progress_is_told_of_every_compressed_byte(inspect):
    listener = Listener()
    member = Member("a", b"data" * 100_000, method=8)
    inspect(craft(member, Member("b", b"stored")), progress=listener)
    assert listener.steps == [("check some.zip", len(member.body()) + 6)]
    assert listener.open_steps == 0


def test_a_finding_reads_as_a_sentence_with_its_member(inspect):
    (finding,) = inspect(craft(Member("aux"))).findings
    assert str(finding) == "aux: 'aux' is a device on Windows"
