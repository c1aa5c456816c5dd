"""Which names may stand on a medium: the ones every file system of the journey can hold.

A medium is written on Linux or Windows, may be exFAT or NTFS, and is read on the other. TUF accepts any
string as a target name and BagIt any path, so neither protects us from `..`, device names or two names
that fall together. Everything here is pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from toolkit.errors import InputError
from toolkit.names import is_device_name

PATH_LIMIT = 100
"""Longest path from the drive root, in characters; leaves room for the folder it is copied into."""

SUPPLEMENT = 0
"""The number of a medium that carries some pieces of a set again, whichever medium they belong on."""

_SET_NAME = re.compile(r"[A-Z0-9][A-Z0-9-]{0,12}\Z")
_FORBIDDEN = set('<>:"/\\|?*') | set("$%")  # $ and %: BagIt tools expand them as variables
_LITTER = re.compile(
    r"(\._.*|\.ds_store|thumbs\.db|ehthumbs\.db|desktop\.ini|system volume information|\$recycle\.bin"
    r"|\.trashes|\.trash-\d+|\.fseventsd|\.spotlight-v100|\.temporaryitems)\Z",
    re.IGNORECASE,
)


def check_set_name(name: str) -> None:
    """Refuse a set folder's name that is not 1 to 13 of `A-Z`, `0-9` and `-`.

    Raises:
        InputError: Another name.
    """
    if not _SET_NAME.match(name):
        raise InputError(
            "name the set",
            found=repr(name),
            expected="1 to 13 characters of A-Z, 0-9 and -, such as AZL-2611-K7Q2",
        )
    _check_device(name)


def medium_label(set_name: str, number: int, count: int) -> str:
    """Return what is printed on a medium: `AZL-2611-K7Q2 2/3`, or `AZL-2611-K7Q2 supplement`."""
    return f"{set_name} supplement" if number == SUPPLEMENT else f"{set_name} {number}/{count}"


def check_file_name(name: str) -> None:
    """Refuse one file name that some file system, shell or BagIt tool would change or refuse.

    Raises:
        InputError: Such a name.
    """
    reason = None
    if name.strip(". ") == "" or name in {".", ".."}:
        reason = "an empty name"
    elif name[-1] in ". ":
        reason = "a trailing dot or space, which Windows drops"
    elif name[0] in " ~":
        reason = "a leading space or ~"
    elif not name.isprintable():
        reason = "a character that cannot be printed"
    elif bad := sorted(_FORBIDDEN.intersection(name)):
        reason = f"the character {bad[0]}"
    if reason is not None:
        raise InputError(
            "name a file on the medium",
            found=f"{name!r} has {reason}",
            expected="a plain file name that Windows and Linux both accept",
        )
    _check_device(name)


def check_path(path: str) -> None:
    """Refuse a path that is not relative, POSIX-separated and made of acceptable names.

    Raises:
        InputError: An absolute, UNC or escaping path, or an unacceptable name in it.
    """
    for part in path.split("/"):
        check_file_name(part)


def check_together(set_name: str, paths: Iterable[str]) -> None:
    """Refuse paths of one set that are too long or fall together on some file system.

    Args:
        set_name: The set folder, which counts towards the length.
        paths: POSIX paths relative to the set folder.

    Raises:
        InputError: Two paths equal after case folding or Unicode normalisation, or one too long.
    """
    seen: dict[str, str] = {}
    for path in paths:
        check_path(path)
        whole = f"{set_name}/{path}"
        if len(whole) > PATH_LIMIT:
            raise InputError(
                "name a file on the medium",
                found=f"{whole} has {len(whole)} characters",
                expected=f"at most {PATH_LIMIT}",
            )
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        if folded in seen:
            raise InputError(
                "name a file on the medium",
                found=f"{path!r} and {seen[folded]!r} are the same name on Windows or macOS",
                expected="names that differ by more than case or accents' spelling",
            )
        seen[folded] = path


def is_litter(name: str) -> bool:
    """Whether an operating system leaves files of this name on media without being asked."""
    return _LITTER.match(name) is not None


def is_litter_path(path: Path) -> bool:
    """Whether any part of a relative path is litter."""
    return any(is_litter(part) for part in path.parts)


def _check_device(name: str) -> None:
    if is_device_name(name):
        raise InputError(
            "name a file on the medium",
            found=f"{name!r} is a device on Windows",
            expected="a plain file name",
        )
