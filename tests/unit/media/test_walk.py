"""Nobody goes through what leads off a medium: verifying, auditing and erasing look through it in one way."""

import stat
from types import SimpleNamespace

import pytest

from toolkit.errors import StorageError
from toolkit.media import BagFault, Verdict, audit_bag, erase_set, plan_erasure
from toolkit.media._leaflet import LEAFLETS
from toolkit.media._walk import is_folder, is_junction, walk
from toolkit.model import Silent

FOLDER, FILE, LINK = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777
REPARSE = stat.FILE_ATTRIBUTE_REPARSE_POINT


@pytest.mark.parametrize(
    ("mode", "attributes", "leads", "holds"),
    [
        (FOLDER, 0, False, True),
        (FOLDER, REPARSE, True, False),
        (FILE, 0, False, False),
        (FILE, REPARSE, False, False),  # a file that a cloud keeps
        (LINK, REPARSE, False, False),
    ],
)
def test_a_junction_is_no_folder(mode, attributes, leads, holds):
    info = SimpleNamespace(st_mode=mode, st_file_attributes=attributes)
    assert (is_junction(info), is_folder(info)) == (leads, holds)


@pytest.fixture
def junction(folder, monkeypatch):
    """A folder of the set that is a junction of Windows, as far as anybody can see here."""
    path = folder / "data" / "more"
    path.mkdir()
    (path / "elsewhere.txt").write_bytes(b"x")
    number = path.stat().st_ino

    def leads(info):
        return info.st_ino == number

    for name in ("_walk", "_medium"):
        monkeypatch.setattr(f"toolkit.media.{name}.is_junction", leads)
    return path


def test_verifying_names_a_junction_and_nothing_behind_it(junction, medium, site):
    (foreign,) = site.open(medium).verify().having(Verdict.FOREIGN)
    assert (foreign.path, foreign.detail) == ("data/more", "a link")


def test_auditing_names_a_junction_and_nothing_behind_it(junction, medium):
    findings = audit_bag(medium).findings
    assert [(item.fault, item.path) for item in findings] == [(BagFault.INVALID, "data/more")]


def test_erasing_names_a_junction_and_leaves_what_is_behind_it(junction, medium):
    planned = plan_erasure(medium)
    assert planned.foreign == ("data/more",)
    erase_set(planned, progress=Silent())
    assert (junction / "elsewhere.txt").read_bytes() == b"x"


def test_an_empty_folder_is_told(folder, medium, site):
    (folder / "data" / "holiday").mkdir()
    (foreign,) = site.open(medium).verify().having(Verdict.FOREIGN)
    assert (foreign.path, foreign.detail) == ("data/holiday", "an empty folder")


def test_a_folder_that_cannot_be_read_is_never_passed_over(folder, medium, site, monkeypatch):
    opened = site.open(medium)

    def walk_badly(where):
        yield from walk(where)
        raise PermissionError(13, "Permission denied", str(where))

    monkeypatch.setattr("toolkit.media._medium.walk", walk_badly)
    with pytest.raises(StorageError, match="Permission denied"):
        opened.verify()


def test_the_leaflets_are_those_that_are_written(folder):
    assert {path.name for path in folder.iterdir()} >= LEAFLETS
    assert {path.name for path in folder.glob("[sv]*.*") if path.is_file()} == LEAFLETS
