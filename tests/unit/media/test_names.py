import pytest

from toolkit.errors import InputError
from toolkit.media._names import (
    check_file_name,
    check_path,
    check_set_name,
    check_together,
    is_litter,
)


@pytest.mark.parametrize(
    "name",
    [
        "CombinedSolutionBundle.12.2603.1002.15.zip",
        "SBE_Contoso_Model-1_4.2.2603.1.zip",
        "Répertoire (2).xml",
        "console.txt",
        "com10.zip",
    ],
)
def test_vendor_names_are_accepted(name):
    check_file_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "...", "con", "CON", "nul.txt", "Aux .zip", "com1.zip", "LPT9", "com².txt",
        "conin$", "a.", "a ", " a", "~a", "a:b", "a\\b", "a/b", "a*b", 'a"b', "a|b", "a<b", "a>b",
        "a?b", "a\nb", "a\x00b", "a\u2028b", "a%PATH%", "a$b",
    ],
)  # fmt: skip
def test_names_that_some_system_changes_are_refused(name):
    with pytest.raises(InputError):
        check_file_name(name)


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x", "data/../../x", "C:/x", "//server/share/x", "\\\\server\\x", "data//x"],
)
def test_absolute_unc_and_escaping_paths_are_refused(path):
    with pytest.raises(InputError):
        check_path(path)


@pytest.mark.parametrize(
    "pair",
    [
        ("data/Bundle.zip", "data/bundle.ZIP"),
        ("data/\u00e9.zip", "data/e\u0301.zip"),
        ("data/straße", "data/STRASSE"),
    ],
)
def test_two_names_that_fall_together_are_refused(pair):
    with pytest.raises(InputError, match="same name"):
        check_together("AZL-1", pair)


def test_a_path_of_100_characters_from_the_drive_root_is_the_longest():
    check_together("AZL-1", ["data/" + "a" * 89])
    with pytest.raises(InputError, match="101 characters"):
        check_together("AZL-1", ["data/" + "a" * 90])


@pytest.mark.parametrize("name", ["AZL-2603-K7Q2", "A", "AZL-1"])
def test_set_names_for_a_label_are_accepted(name):
    check_set_name(name)


@pytest.mark.parametrize(
    "name", ["", "azl", "AZL_1", "AZL-2603-K7Q2X", "../AZL", "CON", "-A", "A.B"]
)
def test_other_set_names_are_refused(name):
    with pytest.raises(InputError):
        check_set_name(name)


@pytest.mark.parametrize(
    "name", ["Thumbs.db", ".DS_Store", "desktop.ini", "._start.txt", "System Volume Information"]
)
def test_operating_system_litter_is_known(name):
    assert is_litter(name)


def test_a_payload_is_no_litter():
    assert not is_litter("CombinedSolutionBundle.12.2603.1002.15.zip")
