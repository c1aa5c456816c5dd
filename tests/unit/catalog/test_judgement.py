from __future__ import annotations

import io
import zipfile

import pytest

from tests.unit.catalog.fakes import digest_of, payload_of, witness_of
from toolkit.catalog._judgement import judge, zip_fault
from toolkit.model import SolutionVersion


def whole_zip(text=b"platform" * 1000):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("SolutionUpdate.xml", text)
    return sink.getvalue()


@pytest.fixture
def verdict(tmp_path):
    def decide(data, payload=None, *, announced=None, earlier=0, known=()):
        path = tmp_path / "found"
        path.write_bytes(data)
        return judge(
            payload or payload_of(b"published"),
            path,
            sha256=digest_of(data),
            size_bytes=len(data),
            announced_bytes=announced,
            earlier_downloads=earlier,
            known=known,
        )

    return decide


def test_a_broken_zip_speaks_against_the_file(verdict):
    assert verdict(whole_zip()[:-30]).culprit == "file"


def test_a_flipped_byte_inside_a_zip_speaks_against_the_file(verdict):
    data = bytearray(whole_zip())
    data[100] ^= 1
    assert verdict(bytes(data)).culprit == "file"


def test_a_web_page_instead_of_a_zip_speaks_against_the_file(verdict):
    assert verdict(b"<html>please log in</html>").culprit == "file"


def test_a_file_shorter_than_announced_speaks_against_the_file(verdict):
    assert verdict(whole_zip(), announced=10**9).culprit == "file"


def test_a_file_of_another_length_than_the_manifests_speaks_against_the_file(verdict):
    assert verdict(whole_zip(), payload_of(b"x", size_bytes=7)).culprit == "file"


def test_another_releases_file_speaks_against_the_file(verdict):
    data = whole_zip()
    other = payload_of(data, "CombinedSolutionBundle.12.2603.1002.15.zip")
    found = verdict(data, known=[(SolutionVersion.parse("12.2603.1002.15"), other)])
    assert found.culprit == "file"


def test_a_whole_zip_speaks_against_the_hash_and_warns_of_altered_files(verdict):
    found = verdict(whole_zip(), announced=len(whole_zip()))
    assert found.culprit == "published hash"
    assert "altered on purpose" in found.advice


def test_a_hash_published_for_another_version_speaks_against_the_hash(verdict):
    payload = payload_of(b"published", "a.xml")
    other = payload_of(b"published", "CombinedSolutionBundle.12.2603.1002.15.zip")
    found = verdict(b"x", payload, known=[(SolutionVersion.parse("12.2603.1002.15"), other)])
    assert found.culprit == "published hash"
    assert "12.2603.1002.15" in found.reasons[0]


def test_a_placeholder_speaks_against_the_hash(verdict):
    payload = payload_of(b"published", "a.xml", sha256="3a2e5d7f1b8c9f6a" * 4)
    assert verdict(b"x", payload).culprit == "published hash"


def test_a_malformed_witness_of_the_pin_speaks_against_the_hash(verdict):
    pin = digest_of(b"published")
    witnesses = (witness_of(pin), witness_of(pin + "5b"))
    assert (
        verdict(b"x", payload_of(b"published", "a.xml", witnesses=witnesses)).culprit
        == "published hash"
    )


def test_a_witness_that_agrees_with_the_file_speaks_against_the_pin(verdict):
    witnesses = (witness_of(digest_of(b"published")), witness_of(digest_of(b"x"), "another page"))
    found = verdict(b"x", payload_of(b"published", "a.xml", witnesses=witnesses))
    assert found.culprit == "published hash"
    assert "another page" in found.reasons[0]


def test_several_downloads_that_agree_speak_against_the_hash(verdict):
    found = verdict(b"x", payload_of(b"published", "a.xml"), earlier=1)
    assert found.reasons == ("2 downloads agree on this file",)


def test_without_evidence_nothing_is_decided(verdict):
    found = verdict(b"x", payload_of(b"published", "a.xml"))
    assert (found.culprit, found.reasons) == ("undecided", ())
    assert found.advice


def test_an_archive_that_unfolds_without_end_is_not_read(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * (30 << 20))
    assert "unfold" in zip_fault(path)
