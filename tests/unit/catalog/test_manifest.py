from __future__ import annotations

from datetime import date

import pytest

from toolkit.catalog._manifest import read_manifest
from toolkit.errors import InputError
from toolkit.model import BundleStatus, Decision, PayloadKind

DIGEST = "ab" * 32
GOOD = f"""\
format: 1
version: 12.2604.1003.9
os_build: "26100.32999"
available_on: 2026-04-20
status: listed
payloads:
  - name: CombinedSolutionBundle.12.2604.1003.9.zip
    kind: solution-bundle
    url: https://vendor.example/CombinedSolutionBundle.12.2604.1003.9.zip
    sha256: {DIGEST.upper()}
    witnesses:
      - value: {DIGEST.upper()}
        source: a page
        seen_on: 2026-04-20
      - value: 3A2E
        source: an older page
        seen_on: 2026-04-19
        comment: cut off
sources:
  - of: [version, os_build, available_on, status, payloads]
    read_in: a page
"""


def refused(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        read_manifest(text.encode(), file="x.yaml")
    return caught.value


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_a_manifest_is_read():
    manifest = read_manifest(GOOD.encode())
    (payload,) = manifest.payloads
    assert str(manifest.version) == "12.2604.1003.9"
    assert manifest.status is BundleStatus.LISTED
    assert payload.kind is PayloadKind.SOLUTION_BUNDLE
    assert payload.sha256 == DIGEST
    assert dict(manifest.sources)["os_build"] == "a page"


def test_malformed_published_hashes_are_kept_lower_cased():
    first, second = read_manifest(GOOD.encode()).payloads[0].witnesses
    assert first.is_wellformed
    assert (second.value, second.is_wellformed, second.comment) == ("3a2e", False, "cut off")


def test_a_payload_without_a_pin_is_read_as_such():
    text = changed(f"    sha256: {DIGEST.upper()}\n", "")
    assert read_manifest(text.encode()).payloads[0].sha256 is None


def test_a_published_size_is_read_and_must_be_a_number():
    text = changed("    witnesses:\n", "    size_bytes: 12884901888\n    witnesses:\n")
    assert read_manifest(text.encode()).payloads[0].size_bytes == 12 << 30
    for wrong in ("0", "12 GB", "-1"):
        assert "a number of bytes" in str(refused(text.replace("12884901888", wrong)))


DECIDED = "    decided: {on: 2026-04-21, by: Ann, why: the vendor confirmed it}\n    witnesses:\n"


def test_a_decision_for_the_pinned_hash_is_read():
    (payload,) = read_manifest(changed("    witnesses:\n", DECIDED).encode()).payloads
    assert payload.decided == Decision(
        on=date(2026, 4, 21), by="Ann", why="the vendor confirmed it"
    )


@pytest.mark.parametrize(
    "missing", ["on: 2026-04-21, ", "by: Ann, ", "why: the vendor confirmed it"]
)
def test_a_decision_says_when_who_and_why(missing):
    text = changed("    witnesses:\n", DECIDED).replace(missing, "")
    assert "payloads[0].decided, line 11" in str(refused(text))


def test_a_decision_without_a_pinned_hash_is_refused():
    text = changed("    witnesses:\n", DECIDED).replace(f"    sha256: {DIGEST.upper()}\n", "")
    assert "no sha256 beside it" in str(refused(text))


def test_numbers_and_dates_keep_their_text():
    text = changed('"26100.32999"', "26100.32990")
    assert read_manifest(text.encode()).os_build == "26100.32990"


@pytest.mark.parametrize(
    ("old", "new", "place", "found"),
    [
        (f"sha256: {DIGEST.upper()}", f"sha256: {DIGEST}ab", "payloads[0].sha256, line 10", "abab"),
        (f"sha256: {DIGEST.upper()}", "sha256: null", "payloads[0].sha256, line 10", "null"),
        ("status: listed", "status: fine", "status, line 5", "fine"),
        ("2026-04-20\nstatus", "20.4.2026\nstatus", "available_on, line 4", "20.4.2026"),
        ("12.2604.1003.9\n", "2604\n", "version, line 2", "2604"),
        ("12.2604.1003.9\n", "12.2613.1003.9\n", "version, line 2", "2613"),
        ("kind: solution", "kinds: solution", "payloads[0].kinds, line 8", "unknown key"),
        ("status: listed", "status: listed\nstatus: listed", "status, line 6", "again"),
        ("https://", "http://", "payloads[0].url, line 9", "http://"),
        ("https://vendor", "https://me:secret@vendor", "payloads[0].url, line 9", "secret"),
        ("format: 1", "format: 2", "format, line 1", "2"),
        ("value: 3A2E", "value: " + "3A" * 101, "witnesses[1].value, line 15", "3A3A"),
        ("status: listed", "status:", "status, line 5", "nothing"),
        ("status: listed", "status: [listed]", "status, line 5", "a list"),
        ("[version, os_build", "[os_build", "sources, line 20", "version"),
        ('"26100.32999"', '"26100"', "os_build, line 3", "26100"),
        ("source: a page", 'source: "a\\x07page"', "witnesses[0].source, line 13", "control"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_place(old, new, place, found):
    error = refused(changed(old, new))
    assert error.file == "x.yaml"
    assert error.place is not None
    assert error.place.endswith(place)
    assert found in str(error)


@pytest.mark.parametrize(
    "name",
    ["../a.zip", "a/b.zip", "a\\b.zip", "C:a.zip", "con", "NUL.zip", "com1.zip", "a.zip.", "a b.zip",
     ".hidden", "a.zip.part", "a.zip.part.journal", "a.held.json", "A.LOCK", "x" * 121, "ä.zip"],
)  # fmt: skip
def test_names_that_some_disk_refuses_are_refused(name):
    text = changed("name: CombinedSolutionBundle.12.2604.1003.9.zip", f"name: {name!r}")
    assert "payloads[0].name" in str(refused(text))


def test_names_that_differ_in_case_only_are_refused():
    payload = GOOD[GOOD.index("  - name") : GOOD.index("sources:")]
    twin = payload.replace("name: Combined", "name: COMBINED")
    assert "upper and lower case" in str(refused(GOOD.replace("sources:", twin + "sources:")))


def test_a_manifest_without_payloads_is_refused():
    text = GOOD[: GOOD.index("payloads:")] + "payloads: []\n"
    assert "no payload" in str(refused(text))


def test_a_missing_key_is_named():
    assert "'os_build'" in str(refused(changed('os_build: "26100.32999"\n', "")))


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xfe", b"a: [", b"a: *b", b"&a [*a]", b"- 1", b"[" * 5000, b'"\\UFFFFFFFF"',
     b"\x00", b"x" * (1 << 20) + b"x"],
)  # fmt: skip
def test_what_is_not_a_manifest_is_an_input_error(data):
    with pytest.raises(InputError):
        read_manifest(data)


def test_an_alias_that_unfolds_without_end_is_refused():
    bomb = "a: &a [x, x]\n" + "\n".join(f"{n}: &{n} [*a, *a]" for n in "bcdefgh")
    assert "alias" in str(refused(bomb))
