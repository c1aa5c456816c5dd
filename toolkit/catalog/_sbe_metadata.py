"""bytes → `SbeMetadata`: what `SBE_<Manufacturer>_<Family>_<Version>.xml` lists. Pure.

The file is known to hold the expected files of an SBE with a software BOM; the names of its elements are not
public (Azure/AzureLocal-Supportability TSG/SolutionExtension/Solution-builder-extension-overview.md). So files
are recognised by what they look like: an element that has, in attributes or children, one value that can be a
SHA-256 and one that can be a path is a file with its hash; an element called `File` with a path is one without.

Whether that reading is right is decided against the zip beside it: a list of which nothing fits was
misread, and says nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from toolkit.model import Sha256
from toolkit.sbe import digest_of
from toolkit.xmltext import Element, read_xml

_PATH = re.compile(r"[^<>:\"|?*\x00-\x1f]{1,400}\Z")
_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """One file that an SBE is expected to hold."""

    path: str
    """As written, with `/` between its parts."""
    sha256: Sha256 | None
    element: str
    """The name of the element that lists it: those of one name were read rightly, or wrongly, together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SbeMetadata:
    """What could be read of an SBE's metadata."""

    files: tuple[ListedFile, ...]
    texts: frozenset[str]
    """Every value in it, to look for a version or a family."""


def read_sbe_metadata(data: bytes, *, file: str | None = None) -> SbeMetadata:
    """Return what the metadata of an SBE says.

    Raises:
        InputError: Not XML.
    """
    root = read_xml(data, attempted="read SBE metadata", file=file)
    root.drop_signatures()
    listed = dict.fromkeys(filter(None, map(_file, root.walk())))
    return SbeMetadata(files=tuple(listed), texts=frozenset(value for _, value in root.values()))


def plain_path(text: str) -> str:
    """Return a path so that it compares as Windows would: case folded, `/`, nothing before its first name."""
    parts = [part for part in re.split(r"[/\\]", text.strip()) if part not in ("", ".")]
    return "/".join(parts).casefold()


def _file(element: Element) -> ListedFile | None:
    facts = [value for _, value in element.facts() if value]
    if element.text:
        facts.append(element.text)
    digests = dict.fromkeys(filter(None, map(digest_of, facts)))
    paths = [text for text in facts if digest_of(text) is None and _looks_like_path(text)]
    if not paths or not (digests or element.name.casefold() == "file"):
        return None
    path = next((text for text in paths if re.search(r"[/\\]", text)), paths[0])
    return ListedFile(
        path=path.replace("\\", "/"),
        sha256=next(iter(digests)) if len(digests) == 1 else None,
        element=element.name,
    )


def _looks_like_path(text: str) -> bool:
    is_address = text.lower().startswith(("http:", "https:"))
    has_name = _ENDING.search(text) or re.search(r"[/\\][^/\\]", text)
    return bool(has_name and not is_address and _PATH.match(text))
