from pathlib import Path

import pytest

from tests.simcluster.filetree import FileTree


@pytest.fixture
def tree(tmp_path: Path) -> FileTree:
    (tmp_path / "drive" / "Windows" / "System32").mkdir(parents=True)
    (tmp_path / "csv" / "Infrastructure_1").mkdir(parents=True)
    return FileTree(tmp_path / "drive", {"ClusterStorage": tmp_path / "csv"})


@pytest.mark.parametrize(
    "path",
    [
        r"Windows\System32",
        r"\Windows\System32",
        "Windows/System32",
        r"C:\Windows\System32",
        r"c:/Windows/System32/",
        r"\\?\C:\Windows\.\System32",
    ],
)
def test_every_spelling_of_a_path_leads_to_one_folder(tree: FileTree, path: str) -> None:
    assert tree.resolve(path) == tree.root / "Windows" / "System32"


@pytest.mark.parametrize("path", ["", "\\", "C:", "C:\\", "\\\\?\\C:\\"])
def test_the_root_has_several_spellings(tree: FileTree, path: str) -> None:
    assert tree.resolve(path) == tree.root


def test_what_exists_is_found_in_any_case(tree: FileTree) -> None:
    assert tree.resolve(r"WINDOWS\system32\New.TXT") == tree.root / "Windows/System32/New.TXT"


def test_a_mount_leads_to_its_own_folder(tree: FileTree, tmp_path: Path) -> None:
    found = tree.resolve(r"C:\clusterstorage\infrastructure_1\x.zip")
    assert found == tmp_path / "csv" / "Infrastructure_1" / "x.zip"


def test_a_mount_counts_on_the_first_level_only(tree: FileTree) -> None:
    assert tree.resolve(r"Windows\ClusterStorage") == tree.root / "Windows" / "ClusterStorage"


@pytest.mark.parametrize(
    "path",
    [
        r"..\etc",
        r"Windows\..\..\x",
        r"ClusterStorage\..\drive",
        r"D:\x",
        "C:x",
        r"\\node2\C$\x",
        r"\\?\UNC\node2\C$",
        "NUL",
        r"Windows\com1.txt",
        "a:stream",
        "what?",
        "trailing.",
        "trailing ",
        "bell\x07",
    ],
)
def test_a_path_that_windows_would_not_take_is_refused(tree: FileTree, path: str) -> None:
    with pytest.raises(ValueError, match=r"'"):
        tree.resolve(path)


def test_the_root_lists_mounts_beside_its_own_entries(tree: FileTree, tmp_path: Path) -> None:
    assert tree.entries("\\") == [
        ("ClusterStorage", tmp_path / "csv"),
        ("Windows", tree.root / "Windows"),
    ]


def test_a_path_tells_its_volume(tree: FileTree, tmp_path: Path) -> None:
    assert tree.volume(r"C:\CLUSTERSTORAGE\Infrastructure_1") == tmp_path / "csv"
    assert tree.volume("Windows") == tree.root
    assert tree.volume("") == tree.root
