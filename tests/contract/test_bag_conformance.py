"""RFC 8493, rule by rule: bags made from its text, judged by us and, where both should agree, by `bagit`.

Each case is a bag with one thing made so; `minimal` is the smallest there is. Where the `bagit` package
judges otherwise, the case says why we do not follow it.
"""

import hashlib
import json
import logging
import os
import sys
import warnings
from pathlib import Path

import pytest

from toolkit.cli import execute
from toolkit.errors import DigestError, InputError, StorageError
from toolkit.media import BagFault, audit_bag

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it looks for its version in a way that is going away
    import bagit

logging.getLogger("bagit").disabled = True

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="no such name on Windows")


class Bag:
    """A bag to be; `files` are written as they stand, manifests are made of them first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.files = {"bagit.txt": DECLARATION, "data/hello.txt": b"hello"}

    def line(self, path, algorithm="sha256", *, as_written=None, data=None):
        data = self.files[path] if data is None else data
        return f"{hashlib.new(algorithm, data).hexdigest()}  {as_written or path}\n"

    def manifest(self, algorithm="sha256"):
        """List every payload file."""
        payload = sorted(path for path in self.files if path.startswith("data/"))
        lines = "".join(self.line(path, algorithm) for path in payload)
        self.files[f"manifest-{algorithm}.txt"] = lines.encode()
        return self

    def tag_manifest(self, algorithm="sha256"):
        """List every tag file there is so far."""
        tags = sorted(path for path in self.files if not path.startswith(("data/", "tagmanifest")))
        lines = "".join(self.line(path, algorithm) for path in tags)
        self.files[f"tagmanifest-{algorithm}.txt"] = lines.encode()
        return self

    def edit(self, path, before, after, count=1):
        assert before in self.files[path]
        self.files[path] = self.files[path].replace(before, after, count)
        return self

    def write(self):
        for path, data in self.files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(data)
        return self.folder


@pytest.fixture
def bag(tmp_path):
    return Bag(tmp_path / "bag")


def other_opinion(folder):
    """Whether the `bagit` package calls a bag valid."""
    try:
        return bagit.Bag(str(folder)).is_valid()
    except bagit.BagError:
        return False


def judged(bag, *, is_valid, agrees=True):
    folder = bag.write()
    report = audit_bag(folder)
    assert report.is_valid == is_valid, report.findings
    assert (report.problem() is None) or not is_valid
    assert other_opinion(folder) == (is_valid if agrees else not is_valid)
    return report


def faults(report):
    return {(item.fault, item.path) for item in report.findings}


# --- valid ----------------------------------------------------------------------------------------


def with_tag_manifest(bag):
    bag.files["bag-info.txt"] = b"Contact-Name: Ada\nPayload-Oxum: 5.1\n"
    bag.manifest().tag_manifest()


def with_upper_case_hex(bag):
    bag.manifest()
    digest = hashlib.sha256(b"hello").hexdigest().encode()
    bag.edit("manifest-sha256.txt", digest, digest.upper())


def with_carriage_returns(bag):
    bag.files["data/b.txt"] = b"b"
    bag.files["bagit.txt"] = DECLARATION.replace(b"\n", b"\r\n")
    bag.manifest().edit("manifest-sha256.txt", b"\n", b"\r\n", -1)


def with_old_macintosh_line_ends(bag):
    bag.files["data/b.txt"] = b"b"
    bag.manifest().edit("manifest-sha256.txt", b"\n", b"\r", -1)


def with_spaces_in_names(bag):
    bag.files["data/two words/a  b.txt"] = b"x"
    bag.manifest()


def with_utf_8_names(bag):
    bag.files["data/Prüfbericht 检.txt"] = b"x"
    bag.manifest()


def with_several_algorithms(bag):
    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        bag.manifest(algorithm)
    bag.tag_manifest("sha512").tag_manifest("md5")


def with_an_empty_payload_file(bag):
    bag.files["data/empty"] = b""
    bag.manifest()


def with_tag_folders(bag):
    bag.files["metadata/notes/a.txt"] = b"x"
    bag.manifest().tag_manifest()


def with_a_tag_file_that_nobody_lists(bag):
    bag.manifest().tag_manifest()
    bag.files["notes.txt"] = b"x"


def with_tabs(bag):
    bag.manifest().edit("manifest-sha256.txt", b"  data/", b"\t data/")


def with_a_final_line_that_does_not_end(bag):
    bag.manifest()
    bag.files["manifest-sha256.txt"] = bag.files["manifest-sha256.txt"].rstrip(b"\n")


def with_another_encoding(bag):
    bag.files["bagit.txt"] = DECLARATION.replace(b"UTF-8", b"ISO-8859-1")
    bag.files["data/Prüfung.txt"] = b"x"
    bag.manifest()
    bag.files["manifest-sha256.txt"] = (
        bag.files["manifest-sha256.txt"].decode().encode("iso-8859-1")
    )


def of_an_older_version(bag):
    """Before 1.0 each payload file had to be in one manifest, not in each."""
    bag.files["bagit.txt"] = DECLARATION.replace(b"1.0", b"0.97")
    bag.manifest().manifest("md5")
    bag.files["data/more.txt"] = b"x"
    bag.files["manifest-md5.txt"] += bag.line("data/more.txt", "md5").encode()


def with_everything_fetched(bag):
    bag.files["fetch.txt"] = b"https://example.org/hello.txt 5 data/hello.txt\n"
    bag.manifest()


VALID = [
    Bag.manifest, with_tag_manifest, with_upper_case_hex, with_carriage_returns,
    with_old_macintosh_line_ends, with_spaces_in_names, with_utf_8_names, with_several_algorithms,
    with_an_empty_payload_file, with_tag_folders, with_a_tag_file_that_nobody_lists,
    with_tabs, with_a_final_line_that_does_not_end, with_another_encoding,
    of_an_older_version, with_everything_fetched,
]  # fmt: skip


@pytest.mark.parametrize("make", VALID, ids=lambda make: make.__name__)
def test_valid(bag, make):
    make(bag)
    assert judged(bag, is_valid=True).findings == ()


def test_valid_without_any_payload_file(bag):
    del bag.files["data/hello.txt"]
    bag.manifest()
    (bag.folder / "data").mkdir()
    judged(bag, is_valid=True)


@posix_only
@pytest.mark.parametrize(
    ("name", "as_written", "agrees"),
    [
        ("a\nb", "a%0Ab", True),
        ("a\rb", "a%0Db", True),
        # the package wants capitals
        ("a\rb", "a%0db", False),
        # the package leaves %25 as it is; 1.0 says that a percent sign is encoded
        ("50% off", "50%25 off", False),
        ("a%0Ab", "a%250Ab", False),
    ],
)
def test_valid_with_percent_encoded(bag, name, as_written, agrees):
    bag.manifest()
    bag.files[f"data/{name}"] = b"x"
    line = bag.line(f"data/{name}", as_written=f"data/{as_written}")
    bag.files["manifest-sha256.txt"] += line.encode()
    report = judged(bag, is_valid=True, agrees=agrees)
    assert faults(report) == {(BagFault.NOT_PORTABLE, f"data/{name}")}


def test_valid_by_an_algorithm_that_the_package_does_not_know(bag):
    bag.manifest("sha3_256")
    bag.files["manifest-sha3256.txt"] = bag.files.pop("manifest-sha3_256.txt")
    report = audit_bag(bag.write())
    assert report.is_valid
    assert report.algorithms == ("sha3_256",)


def test_valid_by_one_of_two_algorithms(bag):
    bag.manifest()
    bag.files["manifest-whirlpool9.txt"] = b"00  data/hello.txt\n"
    report = audit_bag(bag.write())
    assert report.is_valid
    assert faults(report) == {(BagFault.UNCHECKED, "manifest-whirlpool9.txt")}


# --- invalid --------------------------------------------------------------------------------------


def without_bagit_txt(bag):
    bag.manifest()
    del bag.files["bagit.txt"]
    return BagFault.INVALID, "bagit.txt"


def with_a_byte_order_mark_in_bagit_txt(bag):
    bag.manifest()
    bag.files["bagit.txt"] = b"\xef\xbb\xbf" + DECLARATION
    return BagFault.INVALID, "bagit.txt"


def with_a_malformed_version(bag):
    bag.manifest().edit("bagit.txt", b"1.0", b"one")
    return BagFault.INVALID, "bagit.txt"


def with_a_version_that_is_not_there_yet(bag):
    bag.manifest().edit("bagit.txt", b"1.0", b"2.0")
    return BagFault.INVALID, "bagit.txt"


def with_one_line_in_bagit_txt(bag):
    bag.manifest()
    bag.files["bagit.txt"] = DECLARATION.splitlines(keepends=True)[0]
    return BagFault.INVALID, "bagit.txt"


def with_an_encoding_that_is_none(bag):
    bag.manifest().edit("bagit.txt", b"UTF-8", b"hex")
    return BagFault.INVALID, "bagit.txt"


def without_a_payload_folder(bag):
    del bag.files["data/hello.txt"]
    bag.manifest()
    return BagFault.INVALID, "."


def without_a_manifest(bag):
    return BagFault.INVALID, "."


def with_a_file_in_no_manifest(bag):
    bag.manifest()
    bag.files["data/extra.txt"] = b"x"
    return BagFault.UNLISTED, "data/extra.txt"


def with_litter_in_the_payload(bag):
    bag.manifest()
    bag.files["data/Thumbs.db"] = b"x"
    return BagFault.UNLISTED, "data/Thumbs.db"


def with_a_listed_file_missing(bag):
    bag.files["data/gone.txt"] = b"x"
    bag.manifest()
    del bag.files["data/gone.txt"]
    return BagFault.MISSING, "data/gone.txt"


def with_a_counted_file_missing(bag):
    """Half copied: that is what is told, not that a number is wrong."""
    bag.files["bag-info.txt"] = b"Payload-Oxum: 6.2\n"
    return with_a_listed_file_missing(bag)


def with_other_bytes(bag):
    bag.manifest()
    bag.files["data/hello.txt"] = b"hellO"
    return BagFault.DAMAGED, "data/hello.txt"


def with_other_bytes_in_a_tag_file(bag):
    bag.files["notes.txt"] = b"x"
    bag.manifest().tag_manifest()
    bag.files["notes.txt"] = b"y"
    return BagFault.DAMAGED, "notes.txt"


def with_a_listed_tag_file_missing(bag):
    bag.files["notes.txt"] = b"x"
    bag.manifest().tag_manifest()
    del bag.files["notes.txt"]
    return BagFault.MISSING, "notes.txt"


def with_the_same_file_twice_and_two_digests(bag):
    bag.manifest()
    bag.files["manifest-sha256.txt"] += bag.line("data/hello.txt", data=b"other").encode()
    return BagFault.INVALID, "manifest-sha256.txt"


def with_the_same_line_twice(bag):
    bag.manifest()
    bag.files["manifest-sha256.txt"] *= 2
    return BagFault.INVALID, "manifest-sha256.txt"


def listing(path):
    """A bag whose manifest leads out of it, to a file that exists and has the listed digest."""

    def make(bag):
        for name in ("outside.txt", "bag-evil/outside.txt"):
            (bag.folder.parent / name).parent.mkdir(exist_ok=True)
            (bag.folder.parent / name).write_bytes(b"outside")
        absolute = str(bag.folder.parent / "outside.txt")
        written = absolute if path == "absolute" else path
        bag.manifest()
        line = bag.line("", as_written=written, data=b"outside")
        bag.files["manifest-sha256.txt"] += line.encode()
        return BagFault.INVALID, "manifest-sha256.txt"

    make.__name__ = f"listing {path}"
    return make


def with_a_payload_oxum_of_other_bytes(bag):
    bag.files["bag-info.txt"] = b"Payload-Oxum: 6.1\n"
    bag.manifest()
    return BagFault.INVALID, "bag-info.txt"


def with_a_payload_oxum_of_more_files(bag):
    bag.files["bag-info.txt"] = b"Payload-Oxum: 5.2\n"
    bag.manifest()
    return BagFault.INVALID, "bag-info.txt"


def with_a_malformed_payload_oxum(bag):
    bag.files["bag-info.txt"] = b"Payload-Oxum: 5 bytes.1 file\n"
    bag.manifest()
    return BagFault.INVALID, "bag-info.txt"


def with_a_file_to_be_fetched(bag):
    bag.files["data/far.bin"] = b"far"
    bag.files["fetch.txt"] = b"https://example.org/far.bin 3 data/far.bin\n"
    bag.manifest()
    del bag.files["data/far.bin"]
    return BagFault.TO_FETCH, "data/far.bin"


INVALID = [
    without_bagit_txt, with_a_byte_order_mark_in_bagit_txt, with_a_malformed_version,
    without_a_payload_folder, without_a_manifest, with_a_file_in_no_manifest,
    with_litter_in_the_payload, with_a_listed_file_missing, with_a_counted_file_missing,
    with_other_bytes,
    with_other_bytes_in_a_tag_file, with_a_listed_tag_file_missing,
    with_the_same_file_twice_and_two_digests, with_the_same_line_twice,
    listing("../outside.txt"), listing("absolute"), listing("data/../../outside.txt"),
    with_a_payload_oxum_of_other_bytes, with_a_payload_oxum_of_more_files,
    with_a_malformed_payload_oxum, with_a_file_to_be_fetched,
]  # fmt: skip


@pytest.mark.parametrize("make", INVALID, ids=lambda make: make.__name__)
def test_invalid(bag, make):
    fault = make(bag)
    assert fault in faults(judged(bag, is_valid=False))


def listing_a_sibling_by_its_prefix(bag):
    """The package compares prefixes: /tmp/bag-evil begins like /tmp/bag."""
    return listing("../bag-evil/outside.txt")(bag)


def listing_a_tilde(bag):
    """The package looks for the home of a user of that name, and for a file if there is none."""
    bag.files["~nobody-here/x"] = b"x"
    bag.manifest()
    bag.files["tagmanifest-sha256.txt"] = (
        bag.line("bagit.txt") + bag.line("manifest-sha256.txt") + bag.line("~nobody-here/x")
    ).encode()
    return BagFault.INVALID, "tagmanifest-sha256.txt"


def with_manifests_that_name_different_files(bag):
    """Every payload file in every manifest, since 1.0; the package wants it in one."""
    bag.manifest("md5")
    bag.files["data/more.txt"] = b"x"
    bag.manifest()
    return BagFault.UNLISTED, "data/more.txt"


def with_a_tag_manifest_that_names_itself(bag):
    """Its digest cannot be right, but another tag manifest's could."""
    bag.manifest().tag_manifest("md5").tag_manifest()
    bag.files["tagmanifest-sha256.txt"] += bag.line("tagmanifest-md5.txt").encode()
    return BagFault.INVALID, "tagmanifest-sha256.txt"


def with_a_tag_manifest_that_names_payload(bag):
    bag.manifest().tag_manifest()
    bag.files["tagmanifest-sha256.txt"] += bag.line("data/hello.txt").encode()
    return BagFault.INVALID, "tagmanifest-sha256.txt"


def with_a_tag_manifest_that_leaves_a_manifest_out(bag):
    bag.manifest()
    bag.files["tagmanifest-sha256.txt"] = bag.line("bagit.txt").encode()
    return BagFault.INVALID, "tagmanifest-sha256.txt"


def with_a_manifest_that_names_a_tag_file(bag):
    bag.manifest()
    bag.files["manifest-sha256.txt"] += bag.line("bagit.txt").encode()
    return BagFault.INVALID, "manifest-sha256.txt"


def with_a_line_that_is_none(bag):
    """The package logs it and goes on."""
    bag.manifest()
    bag.files["manifest-sha256.txt"] += b"nonsense\n"
    return BagFault.INVALID, "manifest-sha256.txt"


def with_a_byte_order_mark_in_a_manifest(bag):
    """The package warns."""
    bag.manifest()
    bag.files["manifest-sha256.txt"] = b"\xef\xbb\xbf" + bag.files["manifest-sha256.txt"]
    return BagFault.INVALID, "manifest-sha256.txt"


def with_two_payload_oxums(bag):
    """The package takes the first."""
    bag.files["bag-info.txt"] = b"Payload-Oxum: 5.1\nPayload-Oxum: 5.1\n"
    bag.manifest()
    return BagFault.INVALID, "bag-info.txt"


def with_an_unlisted_file_in_fetch_txt(bag):
    bag.files["fetch.txt"] = b"https://example.org/far.bin 3 data/far.bin\n"
    bag.manifest()
    return BagFault.INVALID, "fetch.txt"


STRICTER = [
    listing_a_sibling_by_its_prefix, listing_a_tilde, with_manifests_that_name_different_files,
    with_a_tag_manifest_that_names_payload, with_a_tag_manifest_that_leaves_a_manifest_out,
    with_a_manifest_that_names_a_tag_file, with_a_line_that_is_none,
    with_a_byte_order_mark_in_a_manifest, with_two_payload_oxums,
    with_an_unlisted_file_in_fetch_txt, with_a_version_that_is_not_there_yet,
    with_a_tag_manifest_that_names_itself, with_one_line_in_bagit_txt, with_an_encoding_that_is_none,
]  # fmt: skip


@pytest.mark.parametrize("make", STRICTER, ids=lambda make: make.__name__)
def test_invalid_by_the_text_whatever_the_package_says(bag, make):
    fault = make(bag)
    report = audit_bag(bag.write())
    assert not report.is_valid
    assert fault in faults(report)


def test_a_file_outside_is_never_read(bag, monkeypatch):
    """Not even to be compared: reading a device or a share may have effects."""
    listing("../bag-evil/outside.txt")(bag)
    folder = bag.write()
    opened = []
    honest = os.open

    def watched(path, *more, **options):
        opened.append(str(path))
        return honest(path, *more, **options)

    monkeypatch.setattr("os.open", watched)
    audit_bag(folder)
    assert not [path for path in opened if "evil" in path]


@posix_only
def test_a_link_in_the_payload_is_not_followed(bag):
    (bag.folder.parent / "outside.txt").write_bytes(b"hello")
    folder = bag.manifest().write()
    (folder / "data/hello.txt").unlink()
    (folder / "data/hello.txt").symlink_to(folder.parent / "outside.txt")
    assert faults(audit_bag(folder)) == {
        (BagFault.INVALID, "data/hello.txt"),
        (BagFault.MISSING, "data/hello.txt"),
    }


@posix_only
def test_a_linked_folder_in_the_payload_is_not_followed(bag):
    (bag.folder.parent / "away").mkdir()
    (bag.folder.parent / "away/x").write_bytes(b"x")
    bag.files["data/linked/x"] = b"x"
    bag.manifest()
    del bag.files["data/linked/x"]
    folder = bag.write()
    (folder / "data/linked").symlink_to(folder.parent / "away", target_is_directory=True)
    assert faults(audit_bag(folder)) == {
        (BagFault.INVALID, "data/linked"),
        (BagFault.MISSING, "data/linked/x"),
    }


def test_a_manifest_of_garbage_is_not_read_to_its_end(bag):
    bag.files["manifest-sha256.txt"] = b"x\n" * 100_000
    report = audit_bag(bag.write())
    assert len(report.findings) < 30


# --- valid here, but not everywhere ---------------------------------------------------------------


@posix_only
@pytest.mark.parametrize(
    "name", ["a:b", "dot.", "blank ", "NUL", "back\\slash", "what?", "$HOME", "tab\there"]
)
def test_valid_on_linux_only(bag, name):
    bag.files[f"data/{name}"] = b"x"
    bag.manifest()
    report = audit_bag(bag.write())
    assert report.is_valid
    assert faults(report) == {(BagFault.NOT_PORTABLE, f"data/{name}")}
    assert report.problem() is None


@posix_only
@pytest.mark.parametrize("pair", [("a.txt", "A.txt"), ("\u00e9", "e\u0301")])
def test_valid_on_linux_only_with_names_that_fall_together(bag, pair):
    for name in pair:
        bag.files[f"data/{name}"] = b"x"
    bag.manifest()
    report = audit_bag(bag.write())
    assert report.is_valid
    assert len(report.having(BagFault.NOT_PORTABLE)) == 1


@posix_only
def test_a_name_whose_accents_were_taken_apart_by_macos(bag):
    bag.files["data/\u00e9.txt"] = b"x"
    bag.manifest()
    bag.files["data/e\u0301.txt"] = bag.files.pop("data/\u00e9.txt")
    report = judged(bag, is_valid=True)
    assert faults(report) == {(BagFault.NOT_PORTABLE, "data/\u00e9.txt")}


@posix_only
def test_an_upper_cased_copy_says_so(bag):
    bag.manifest()
    bag.files["data/HELLO.TXT"] = bag.files.pop("data/hello.txt")
    (missing,) = audit_bag(bag.write()).having(BagFault.MISSING)
    assert "data/HELLO.TXT is there" in missing.detail


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "code", "kind"),
    [
        (Bag.manifest, 0, None),
        (with_a_file_in_no_manifest, 1, None),
        (with_other_bytes, 3, DigestError),
        (with_a_listed_file_missing, 6, StorageError),
        (with_a_counted_file_missing, 6, StorageError),
        (with_a_file_to_be_fetched, 6, StorageError),
        (with_a_line_that_is_none, 7, InputError),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_exit_code_says_what_was_found(bag, capsys, make, code, kind):
    make(bag)
    folder = bag.write()
    assert execute(["media", "audit", str(folder)]) == code
    assert "not who wrote it" in capsys.readouterr().out
    assert isinstance(audit_bag(folder).problem(), kind or type(None))


def test_the_report_as_json(bag, capsys):
    with_a_file_to_be_fetched(bag)
    assert execute(["media", "audit", str(bag.write()), "--json"]) == 6
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "bag-report"
    assert document["data"]["findings"] == [
        {"fault": "to fetch", "path": "data/far.bin", "detail": ""}
    ]


def test_the_root_of_a_medium_is_enough(bag, tmp_path):
    folder = bag.manifest().write()
    assert audit_bag(tmp_path).folder == folder
    Bag(tmp_path / "another").manifest().write()
    with pytest.raises(InputError, match="another, bag"):
        audit_bag(tmp_path)


def test_a_folder_that_is_no_bag(tmp_path):
    assert isinstance(audit_bag(tmp_path).problem(), InputError)
