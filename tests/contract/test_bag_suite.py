"""What the conformance suite of the Library of Congress asks of a BagIt tool, case by case.

The suite (LibraryOfCongress/bagit-conformance-suite) is a folder of bags by version and category; its names
are in the tables below. Its bags are not here: each is made anew from what its name and RFC 8493 say. As the
suite does it, the command is run on each: a valid bag ends with 0, an invalid one does not, and of one in
*warning* something is said. A category `…-only` holds what can be laid out on one system only.
"""

import hashlib
import json

import pytest

from tests.contract.test_bag_conformance import Bag, other_opinion, posix_only
from toolkit.cli import execute

OLD, NEW = "0.97", "1.0"
BOTH = (OLD, NEW)
INFO = b"Contact-Name: Ada\nPayload-Oxum: 5.1\n"


class VersionedBag(Bag):
    """A bag to be that declares a version; see `Bag`."""

    def __init__(self, folder, version):
        super().__init__(folder)
        self.version = version
        self.edit("bagit.txt", b"1.0", version.encode())

    def basic(self, algorithm="sha512"):
        self.files.setdefault("bag-info.txt", INFO)
        return self.manifest(algorithm).tag_manifest(algorithm)

    def list_also(self, path, data=b"outside", *, manifest="manifest-sha512.txt"):
        """Add a line to a manifest."""
        line = f"{hashlib.sha512(data).hexdigest()}  {path}\n"
        self.files[manifest] += line.encode()


def basic_with(algorithm):
    return lambda bag: bag.basic(algorithm)


# --- valid ----------------------------------------------------------------------------------------


def bag_in_a_bag(bag):
    bag.basic()
    inner = {f"data/{path}": data for path, data in bag.files.items()}
    bag.files = {"bagit.txt": bag.files["bagit.txt"], **inner}
    bag.manifest("sha512").tag_manifest("sha512")


def bag_with_space(bag):
    bag.files["data/two words.txt"] = b"x"
    bag.manifest("sha512").tag_manifest("sha512")


def bag_with_escapable_characters(bag):
    """What shells, regular expressions and web addresses escape, and every file system takes."""
    bag.files["data/a'b (c)[d]{e}&f;g!h@i#j,k=l+m^n`o.txt"] = b"x"
    bag.manifest("sha512").tag_manifest("sha512")


def bag_with_encoded_names(bag):
    """A percent sign is itself before 1.0, and encoded since."""
    bag.files["data/a%20b.txt"] = b"x"
    as_written = "data/a%20b.txt" if bag.version == OLD else "data/a%2520b.txt"
    lines = bag.line("data/a%20b.txt", "sha512", as_written=as_written)
    lines += bag.line("data/hello.txt", "sha512")
    bag.files["manifest-sha512.txt"] = lines.encode()
    bag.tag_manifest("sha512")


def encoded_tag_files(encoding):
    def make(bag):
        name = "data/Prüfung.txt"
        bag.files |= {name: b"x", "bag-info.txt": "Contact-Name: Zoë\n".encode(encoding)}
        bag.edit("bagit.txt", b"UTF-8", encoding.encode())
        bag.manifest("sha512")
        recode(bag, "manifest-sha512.txt", encoding)
        bag.tag_manifest("sha512")
        recode(bag, "tagmanifest-sha512.txt", encoding)

    return make


def recode(bag, path, encoding):
    bag.files[path] = bag.files[path].decode().encode(encoding)


def duplicate_metadata_entries(bag):
    bag.files["bag-info.txt"] = b"Contact-Name: Ada\nContact-Name: Ben\nContact-Name: Ada\n"
    bag.basic()


def uncommon_metadata_separators(bag):
    bag.files["bag-info.txt"] = b"Contact-Name\t:\tAda\nNote  :  on two\n   lines\nEmpty:\n"
    bag.basic()


def holey_bag(bag):
    """Fetched already."""
    bag.files["fetch.txt"] = b"https://example.org/hello.txt 5 data/hello.txt\n"
    bag.basic()


def bag_with_leading_dot_slash_in_manifest(bag):
    bag.manifest("sha512").edit("manifest-sha512.txt", b"  data/", b"  ./data/")
    bag.tag_manifest("sha512")


VALID = [
    *[(f"basic-bag-{name}", basic_with(name), BOTH) for name in
      ("md5", "sha1", "sha224", "sha256", "sha512")],
    ("minimal-bag", lambda bag: bag.manifest("sha512"), BOTH),
    ("basicBag", VersionedBag.basic, BOTH),
    ("bag-in-a-bag", bag_in_a_bag, BOTH),
    ("bag-with-space", bag_with_space, BOTH),
    ("UTF-16-encoded-tag-files", encoded_tag_files("UTF-16"), BOTH),
    ("ISO-8859-1-encoded-tag-files", encoded_tag_files("ISO-8859-1"), BOTH),
    ("duplicate-metadata-entries", duplicate_metadata_entries, BOTH),
    ("uncommon-metadata-separators", uncommon_metadata_separators, (OLD,)),
    ("holey-bag", holey_bag, BOTH),
]  # fmt: skip
UNUSUAL = [
    ("bag-with-escapable-characters", bag_with_escapable_characters, BOTH),
    ("bag-with-encoded-names", bag_with_encoded_names, BOTH),
    ("bag-with-leading-dot-slash-in-manifest", bag_with_leading_dot_slash_in_manifest, (OLD,)),
]
"""Valid, too, but our vendors' names and other tools are stricter: something may be said of portability."""

# --- invalid --------------------------------------------------------------------------------------


def baginfo_missing_encoding(bag):
    bag.files["bagit.txt"] = bag.files["bagit.txt"].splitlines(keepends=True)[0]
    bag.basic()


def bagit_with_invalid_whitespace(bag):
    """`BagIt-Version : 1.0`: label, colon, one blank is the only form."""
    bag.edit("bagit.txt", b"BagIt-Version:", b"BagIt-Version :").basic()


def bom_in_bagit_txt(bag):
    bag.files["bagit.txt"] = b"\xef\xbb\xbf" + bag.files["bagit.txt"]
    bag.basic()


def corrupt_data_file(bag):
    bag.basic()
    bag.files["data/hello.txt"] = b"hellO"


def corrupt_tag_file(bag):
    bag.basic().edit("bag-info.txt", b"Ada", b"Eve")


def extra_file_in_bag(bag):
    bag.basic()
    bag.files["data/bar"] = b"x"


def invalid_version_number(bag):
    bag.edit("bagit.txt", bag.version.encode(), b".97").basic()


def missing_baginfo(bag):
    bag.basic()
    del bag.files["bag-info.txt"]


def missing_bagit_txt(bag):
    bag.basic()
    del bag.files["bagit.txt"]


def missing_from_manifest(bag):
    """In one of two manifests; before 1.0 that is enough."""
    bag.manifest("md5")
    bag.files["data/more.txt"] = b"x"
    bag.manifest("sha512")


def listed_twice_with_different_hashes(bag):
    bag.manifest("sha512")
    bag.list_also("data/hello.txt", b"other")


def out_of_scope(path):
    """A manifest that names a file elsewhere."""

    def make(bag):
        bag.manifest("sha512")
        bag.list_also(path)

    return make


def out_of_scope_for_fetch(path):
    def make(bag):
        bag.basic()
        bag.files["fetch.txt"] = f"https://example.org/x 7 {path}\n".encode()

    return make


ELSEWHERE = {
    "dot-notation": "../../outside.txt",
    "dot-notation-inside-data": "data/../../outside.txt",
    "absolute-path": "/absolute/outside.txt",
    "shortcut": "~/outside.txt",
    "shortcut-username": "~root/outside.txt",
    "windows-absolute-path": r"C:\Windows\System32\setx.exe",
    "windows-shortcut": r"%HomeDrive%\Windows\System32\setx.exe",
    "windows-unc": r"\\?\UNC\server\Windows\System32\setx.exe",
    "windows-dot-notation": r"data\..\..\outside.txt",
}
PATHS = [
    (f"out-of-scope-file-paths-using-{name}{suffix}", make(path), BOTH)
    for name, path in ELSEWHERE.items()
    for suffix, make in (("", out_of_scope), ("-for-fetch", out_of_scope_for_fetch))
]
INVALID = [
    ("baginfo-missing-encoding", baginfo_missing_encoding, BOTH),
    ("bagit-with-invalid-whitespace", bagit_with_invalid_whitespace, BOTH),
    ("bom-in-bagit.txt", bom_in_bagit_txt, BOTH),
    ("corrupt-data-file", corrupt_data_file, BOTH),
    ("corrupt-tag-file", corrupt_tag_file, BOTH),
    ("extra-file-in-bag", extra_file_in_bag, BOTH),
    ("invalid-version-number", invalid_version_number, BOTH),
    ("missing-baginfo", missing_baginfo, BOTH),
    ("missing-bagit.txt", missing_bagit_txt, BOTH),
    ("missing-from-manifest", missing_from_manifest, (NEW,)),
    ("same-filename-listed-twice-with-different-hashes", listed_twice_with_different_hashes, BOTH),
    *PATHS,
]

# --- warning ----------------------------------------------------------------------------------------


def duplicate_file_with_different_case(bag):
    bag.files["data/HELLO.txt"] = b"x"
    bag.manifest("sha512")


def filename_normalization(bag):
    """Packed with the accents in one piece, stored with them taken apart."""
    bag.files["data/\u00e9.txt"] = b"x"
    bag.manifest("sha512")
    bag.files["data/e\u0301.txt"] = bag.files.pop("data/\u00e9.txt")


def listed_twice_with_different_normalization(bag):
    bag.files["data/\u00e9.txt"] = b"x"
    bag.manifest("sha512")
    bag.list_also("data/e\u0301.txt", b"x")


def listed_twice_with_the_same_hash(bag):
    bag.manifest("sha512")
    bag.files["manifest-sha512.txt"] *= 2


def made_with_md5sum_tools(bag):
    bag.manifest("sha512").edit("manifest-sha512.txt", b"  data/", b" *data/")


def relative_path(bag):
    bag_with_leading_dot_slash_in_manifest(bag)


def special_system_files(bag):
    bag.files |= {"data/Thumbs.db": b"x", "data/.DS_Store": b"x"}
    bag.manifest("sha512")


WARNING = [
    ("duplicate-file-with-different-case", duplicate_file_with_different_case, BOTH),
    ("filename-normalization", filename_normalization, BOTH),
    ("same-filename-listed-twice-with-different-normalization",
     listed_twice_with_different_normalization, BOTH),
    ("same-filename-listed-twice-with-the-same-hash", listed_twice_with_the_same_hash, BOTH),
    ("made-with-md5sum-tools", made_with_md5sum_tools, BOTH),
    ("relative-path", relative_path, BOTH),
    ("special-system-files", special_system_files, BOTH),
]  # fmt: skip
REFUSED_SINCE_1_0 = {"same-filename-listed-twice-with-the-same-hash", "relative-path"}

# --- the tests --------------------------------------------------------------------------------------


def each(table):
    return pytest.mark.parametrize(
        ("make", "version"),
        [
            pytest.param(make, version, id=f"v{version}-{name}")
            for name, make, versions in table
            for version in versions
        ],
    )


@pytest.fixture
def audit(tmp_path, capsys):
    """Run the command on a bag made so; return its exit code and what it found."""

    def audit(make, version):
        (tmp_path.parent / "outside.txt").write_bytes(b"outside")
        bag = VersionedBag(tmp_path / "bag", version)
        make(bag)
        code = execute(["media", "audit", str(bag.write()), "--json"])
        told = capsys.readouterr()
        assert "bag-report" in told.out, told.err
        return code, json.loads(told.out)["data"]["findings"]

    return audit


@each(VALID)
def test_valid(audit, make, version):
    assert audit(make, version) == (0, [])


@posix_only
@each(UNUSUAL)
def test_valid_though_unusual(audit, make, version):
    code, findings = audit(make, version)
    assert code == 0
    assert {item["fault"] for item in findings} <= {"not portable"}


@each(INVALID)
def test_invalid(audit, make, version):
    code, findings = audit(make, version)
    assert code in (1, 3, 6, 7)
    assert {item["fault"] for item in findings} - {"not portable", "unchecked"}


@posix_only
@each(WARNING)
def test_warning(audit, make, version, request):
    code, findings = audit(make, version)
    name = request.node.callspec.id.removeprefix(f"v{version}-")
    if version == NEW and name in REFUSED_SINCE_1_0:
        assert code == 7
    else:
        assert code == 0
        assert {item["fault"] for item in findings} == {"not portable"}
        assert all(item["detail"] for item in findings)


def test_payload_file_in_one_of_two_manifests_is_enough_before_1_0(audit):
    assert audit(missing_from_manifest, OLD) == (0, [])


@pytest.mark.parametrize(
    ("make", "version"),
    [
        (bagit_with_invalid_whitespace, OLD),
        (bagit_with_invalid_whitespace, NEW),
        (missing_from_manifest, NEW),
    ],
)
def test_invalid_though_the_package_accepts_it(audit, tmp_path, make, version):
    code, _ = audit(make, version)
    assert code != 0
    assert other_opinion(tmp_path / "bag")
