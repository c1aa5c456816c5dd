r"""Names of members: what Windows cannot make of them, which ones fall together, how long paths become.

All of it is pure. Names are judged as Windows unpacks them: `/` and `\` both part folders, upper and
lower case are one, dots and spaces at the end of a name are dropped.

Source: learn.microsoft.com, "Naming Files, Paths, and Namespaces" and "Maximum Path Length Limitation".
"""

from __future__ import annotations

import re
import unicodedata

from toolkit.catalog._inside._report import Findings, ZipProblem, shortened
from toolkit.names import is_device_name

PATH_LIMIT = 259
"""MAX_PATH is 260 with the NUL at the end."""
FOLDER_LIMIT = 247
"""A folder must leave room for a short file name (8.3) in it."""
_COMPONENT_LIMIT = 255
_WHOLE_LIMIT = 32_767
_DRIVE = re.compile(r"[A-Za-z]:")
_RESERVED = re.compile(r'[<>"|?*\x00-\x1f\x7f]')
_UNSEEN = frozenset({"Cc", "Cf", "Cs"})
"""Unicode's controls, marks that turn the direction of text around, halves of characters."""


def check_name(name: str, findings: Findings) -> tuple[str, ...]:
    """Report what is wrong with one name; return the folders and the file it means below the root."""
    if "\\" in name:
        findings.note(
            ZipProblem.BACKSLASH, "its folders are parted by \\: only Windows unpacks it well", name
        )
    path = name.replace("\\", "/")
    if path.startswith("//"):
        findings.note(ZipProblem.ABSOLUTE, "its name is a network path", name)
    elif path.startswith("/"):
        findings.note(ZipProblem.ABSOLUTE, "its name is an absolute path", name)
    if _DRIVE.match(path):
        findings.note(ZipProblem.ABSOLUTE, "its name begins with a drive", name)
        path = path[2:]
    if not path.strip("/"):
        findings.note(ZipProblem.CHARACTER, "its name is empty", name)
    if _units(path) > _WHOLE_LIMIT:
        text = f"its name has {_units(path)} characters, and no Windows takes above {_WHOLE_LIMIT}"
        findings.note(ZipProblem.NAME_TOO_LONG, text, name)
        return ()
    parts = path.strip("/").split("/")
    if any(part in ("", ".") for part in parts) and path.strip("/"):
        findings.note(ZipProblem.ODD_PATH, "its name has a folder without a name", name)
    kept = tuple(part for part in parts if part not in ("", "."))
    problems = dict(problem for part in kept for problem in _part_problems(part))
    for kind, text in problems.items():
        findings.note(kind, text, name)
    return kept


def _part_problems(part: str) -> list[tuple[ZipProblem, str]]:
    """Return what is wrong with the name of one file or folder."""
    if not part.strip(" ."):
        return [(ZipProblem.TRAVERSAL, f"{shortened(part)!r} leads out of its folder")]
    problems = []
    if ":" in part:
        text = "the : makes it an alternate data stream, which no folder listing shows"
        problems.append((ZipProblem.STREAM, text))
    if odd := _odd_characters(part):
        problems.append((ZipProblem.CHARACTER, f"Windows allows no {odd} in a name"))
    if part[-1] in " .":
        text = "Windows drops the dots and spaces at the end of a name"
        problems.append((ZipProblem.TRAILING_DOT, text))
    if is_device_name(part):
        problems.append((ZipProblem.DEVICE, f"{shortened(part)!r} is a device on Windows"))
    if _units(part) > _COMPONENT_LIMIT:
        text = f"{_units(part)} characters in one name, and no file system takes above 255"
        problems.append((ZipProblem.NAME_TOO_LONG, text))
    return problems


def _odd_characters(part: str) -> str:
    odd = set(_RESERVED.findall(part))
    if not part.isascii():
        odd |= {letter for letter in part if unicodedata.category(letter) in _UNSEEN}
    return ", ".join(sorted(map(ascii, odd))[:3])


def _units(text: str) -> int:
    """Return a length as Windows counts it: in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


class Tree:
    """Finds members that fall together when they are unpacked, whatever the names' length and number.

    Only hashes are kept, 64 bits of a keyed hash (PEP 456), chained from folder to folder.
    """

    _FOLDER = -1

    def __init__(self, limit: int) -> None:
        """Take up to `limit` files and folders."""
        self._limit = limit
        self._held: dict[int, int] = {}

    @property
    def is_full(self) -> bool:
        """Whether there are more than the limit; nothing is added any more."""
        return len(self._held) > self._limit

    def add(self, parts: tuple[str, ...], index: int, *, is_folder: bool) -> int | None:
        """Put in a member by its number.

        Returns:
            The number of the member it falls together with, -1 if that is a folder; None if it is alone.
        """
        if self.is_full or not parts:
            return None
        key = 0
        for part in parts[:-1]:
            key = hash((key, _folded(part)))
            held = self._held.setdefault(key, self._FOLDER)
            if held != self._FOLDER:
                return held
        key = hash((key, _folded(parts[-1])))
        if is_folder:
            held = self._held.setdefault(key, self._FOLDER)
            return None if held == self._FOLDER else held
        held = self._held.setdefault(key, index)
        return None if held == index else held


def _folded(part: str) -> str:
    """Return what two names have in common that are one on NTFS, or one after normalisation.

    NTFS raises letter by letter, so `ß` is not `SS`.
    """
    part = part.rstrip(" .")
    if part.isascii():
        return part.upper()
    letters = unicodedata.normalize("NFC", part)
    return "".join(raised if len(raised := letter.upper()) == 1 else letter for letter in letters)


class Paths:
    """Measures how long paths become below a folder of the cluster."""

    def __init__(self, root: str) -> None:
        """Measure below `root`; with an empty one nothing is measured."""
        self.root = root
        self.longest = ""

    def add(
        self, parts: tuple[str, ...], findings: Findings, name: str, *, is_folder: bool
    ) -> None:
        """Measure one member, and report it if a Windows with the classic limit cannot hold it."""
        if not self.root or not parts:
            return
        path = "\\".join((self.root, *parts))
        length = _units(path)
        if length > _units(self.longest):
            self.longest = path
        folder = length if is_folder else length - _units(parts[-1]) - 1
        if length > PATH_LIMIT or folder > FOLDER_LIMIT:
            findings.note(
                ZipProblem.LONG_PATH,
                f"{length} characters below {self.root}, above the {PATH_LIMIT} (folders: "
                f"{FOLDER_LIMIT}) of a Windows without long paths: preparing the update may fail; see "
                "the guide Update-preparation-fails-Could-not-find-part-of-the-file-path.md",
                name,
            )
