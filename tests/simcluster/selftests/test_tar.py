"""`tar.exe` of a node: what it unpacks, and what it says when it cannot."""

import zipfile

import pytest

from tests.simcluster.selftests.test_cmdlets import FOLDER, Site
from tests.simcluster.tar import PROGRAM
from tests.simcluster.values import PsError

ARCHIVE = rf"{FOLDER}\x.zip"


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    made.drive(PROGRAM).parent.mkdir(parents=True)
    made.drive(PROGRAM).touch()
    with zipfile.ZipFile(made.drive(ARCHIVE), "w") as archive:
        archive.mkdir("empty")
        archive.writestr("sub/a.txt", "a")
    return made


def unpack(site, *arguments):
    return site.run((PROGRAM, list(arguments)))


def words(heard):
    return [(error.message, error.error_id) for error in heard.errors]


def test_zip_is_unpacked_over_what_stands_there(site):
    for _ in range(2):
        assert unpack(site, "-xf", ARCHIVE, "-C", FOLDER).errors == []
    assert site.drive(rf"{FOLDER}\sub\a.txt").read_text() == "a"
    assert site.drive(rf"{FOLDER}\empty").is_dir()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-xf", rf"{FOLDER}\no.zip", "-C", FOLDER], "Failed to open"),
        (["-xf", ARCHIVE, "-C", rf"{FOLDER}\no"], "could not chdir to"),
        (["-xf", PROGRAM, "-C", FOLDER], "Unrecognized archive format"),
        (["-z"], "Must specify one of"),
    ],
)
def test_what_it_prints_as_errors_are_error_records(site, arguments, said):
    ((message, error_id),) = words(unpack(site, *arguments))
    assert said in message
    assert error_id == "NativeCommandError"


def test_node_without_the_program_does_not_know_the_command(site):
    site.drive(PROGRAM).unlink()
    with pytest.raises(PsError, match="is not recognized"):
        unpack(site, "-xf", ARCHIVE, "-C", FOLDER)
