"""BagIt 1.0 (RFC 8493): the manifests with which anyone can audit a medium without us.

A bag without a signature proves nothing about its author; here it says that the medium is whole. This is
the pure part: what the tag files of any bag say, and what in them is against the rules. Which files lie
there, and with which bytes, is found by `_audit`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from toolkit import __version__
from toolkit.errors import InputError
from toolkit.media._names import SUPPLEMENT, check_path, medium_label
from toolkit.model import Sha256

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
INFO = "bag-info.txt"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
FETCH = "fetch.txt"
PAYLOAD_FOLDER = "data/"

_MANIFEST_NAME = re.compile(r"(tag)?manifest-([a-z0-9_-]+)\.txt\Z")
_VERSION = re.compile(r"BagIt-Version: (\d{1,4})\.(\d{1,4})\Z")
_ENCODING = re.compile(r"Tag-File-Character-Encoding: (\S+)\Z")
_LINE = re.compile(r"([0-9A-Fa-f]+)[ \t]+\*?(.+)\Z", re.DOTALL)
_FETCH_LINE = re.compile(
    r"([a-z][a-z0-9+.-]*:\S+)[ \t]+(\d+|-)[ \t]+(.+)\Z", re.IGNORECASE | re.DOTALL
)
_OXUM = re.compile(r"(\d{1,20})\.(\d{1,20})\Z")
_BOM = "\ufeff"
_LINE_END = re.compile(r"\r\n|\r|\n")
_FAULT_LIMIT = 20
"""A file with more faults than this is no such file; it is not read on."""


def bag_info(
    *, set_id: str, label: str, issued_at: datetime, number: int, count: int, sizes: list[int]
) -> bytes:
    """Return bag-info.txt.

    Args:
        set_id: The set's UUID.
        label: The set's name.
        issued_at: When it was made.
        number: Of the medium; one that has none of its own is not counted.
        count: How many media the set has.
        sizes: Of every file below data/.
    """
    counted = {} if number == SUPPLEMENT else {"Bag-Count": f"{number} of {count}"}
    fields = {
        "Bag-Software-Agent": f"ferry {__version__}",
        "Bagging-Date": f"{issued_at:%Y-%m-%d}",
        "External-Identifier": medium_label(label, number, count),
        "Bag-Group-Identifier": set_id,
        **counted,
        "Payload-Oxum": f"{sum(sizes)}.{len(sizes)}",
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items()).encode()


def manifest(digests: Mapping[str, Sha256]) -> bytes:
    """Return a manifest that `sha256sum -c` and every BagIt tool read."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode()


def read_manifest(data: bytes, *, file: str) -> dict[str, Sha256]:
    """Return path → SHA-256 of a manifest on a medium; CRLF and upper-case digits are accepted.

    Raises:
        InputError: A line that is no manifest line, or a path that may not stand on a medium.
    """
    try:
        entries, faults = read_entries(decode(data, "utf-8"), algorithm="sha256", version=(1, 0))
    except ValueError as error:
        raise InputError("read the manifest", file=file, found=str(error)) from error
    if faults:
        raise InputError("read the manifest", file=file, found=faults[0])
    for path in entries:
        check_path(path)
    return {path: Sha256(digest) for path, digest in entries.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What bagit.txt says."""

    version: tuple[int, int]
    encoding: str
    """Of every other tag file."""


def read_declaration(data: bytes) -> Declaration:
    """Return what bagit.txt says.

    Raises:
        ValueError: Not the two lines it has to be.

    Source: RFC 8493, 2.1.1.
    """
    lines = list(_lines(decode(data, "utf-8")))
    version = _VERSION.match(lines[0]) if len(lines) == 2 else None
    encoding = _ENCODING.match(lines[1]) if len(lines) == 2 else None
    if version is None or encoding is None:
        raise ValueError(
            "not the two lines BagIt-Version: M.N and Tag-File-Character-Encoding: ENCODING"
        )
    if int(version[1]) > 1:
        raise ValueError(f"BagIt {version[1]}.{version[2]} is newer than what is known here")
    try:
        bytes(4).decode(encoding[1])  # unlike `lookup`, it refuses what Python has besides texts
    except (LookupError, ValueError) as error:
        raise ValueError(f"an encoding that is not known here: {encoding[1]}") from error
    return Declaration(version=(int(version[1]), int(version[2])), encoding=encoding[1])


def decode(data: bytes, encoding: str) -> str:
    """Return the text of a tag file.

    Raises:
        ValueError: Not in that encoding, or it begins with a byte-order mark.

    Source: RFC 8493, 2.1.1 and 2.3.
    """
    try:
        text = data.decode(encoding)
    except ValueError as error:
        raise ValueError(f"not in {encoding}") from error
    if text.startswith(_BOM):
        raise ValueError("a byte-order mark at its beginning")
    return text


def is_payload(path: str) -> bool:
    """Whether a path of a bag is that of a payload file."""
    return path.startswith(PAYLOAD_FOLDER)


def manifest_algorithm(name: str, *, tag: bool) -> str | None:
    """Return the hash algorithm in the name of a manifest (or tag manifest), as written; else None."""
    match = _MANIFEST_NAME.match(name)
    return match[2] if match is not None and (match[1] is not None) == tag else None


def is_beyond_tags(path: str) -> bool:
    """Whether a tag manifest must not name a path: payload, or a tag manifest.

    Source: RFC 8493, 2.2.1.
    """
    return is_payload(path) or manifest_algorithm(path, tag=True) is not None


def hash_name(algorithm: str) -> str | None:
    """Return Python's name of a manifest's hash algorithm (`sha3512` → `sha3_512`), or None if unknown.

    Source: RFC 8493, 2.4: names are lower case, without what is no letter or digit.
    """
    plain = re.sub(r"[^a-z0-9]", "", algorithm.lower())
    for name in sorted(hashlib.algorithms_available):
        if re.sub(r"[^a-z0-9]", "", name.lower()) == plain:
            try:
                size = hashlib.new(name, usedforsecurity=False).digest_size
            except ValueError:  # known to OpenSSL, but switched off
                continue
            return name if size else None  # shake has no length of its own
    return None


def read_entries(
    text: str, *, algorithm: str, version: tuple[int, int]
) -> tuple[dict[str, str], list[str]]:
    """Return path → digest in lower case, and what is wrong with other lines.

    Args:
        text: A manifest.
        algorithm: As `hash_name` returns it.
        version: Of BagIt: before 1.0 a `%` was not encoded, and the same line twice was no fault.

    Source: RFC 8493, 2.1.3; `*` as `md5sum -b` writes it.
    """
    digits = 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size
    found: dict[str, str] = {}
    faults: list[str] = []
    for number, line in _numbered(text, faults):
        match = _LINE.match(line)
        if match is None or len(match[1]) != digits:
            faults.append(f"line {number}: no {digits} hex digits, blank and path: {line[:80]!r}")
            continue
        path, digest = decode_path(match[2], version=version), match[1].lower()
        if refusal := path_refusal(path):
            faults.append(f"line {number}: {refusal}: {path!r}")
        elif path in found and found[path] != digest:
            faults.append(f"line {number}: {path!r} again, with another digest")
        elif path in found and version >= (1, 0):
            faults.append(f"line {number}: {path!r} again")
        else:
            found[path] = digest
    return found, faults


def odd_spellings(text: str, *, version: tuple[int, int]) -> list[str]:
    """Return what is odd, but allowed, about the lines of a manifest: each kind once, with its first line.

    Source: the conformance suite of the Library of Congress, which counts these as warnings.
    """
    found: dict[str, int] = {}
    seen: set[str] = set()
    for number, line in enumerate(_lines(text), start=1):
        match = _LINE.match(line)
        if match is None:
            continue
        path = decode_path(match[2], version=version)
        if line[: match.start(2)].endswith("*"):
            found.setdefault("an asterisk before the path, as `md5sum -b` writes it", number)
        if match[2].startswith("./"):
            found.setdefault("a path that begins with ./", number)
        if path in seen:
            found.setdefault("a path that stands there twice", number)
        seen.add(path)
    return [f"line {number}: {what}" for what, number in found.items()]


def decode_path(text: str, *, version: tuple[int, int]) -> str:
    """Return a path as it is on the disk: line breaks and, since 1.0, `%` are percent-encoded in manifests.

    Before 1.0 it may begin with `./`, as `find` and `md5deep` write it.

    Source: RFC 8493, 2.1.3.
    """
    if version < (1, 0):
        text = text.removeprefix("./")
    codes = {"%0A": "\n", "%0D": "\r"} | ({"%25": "%"} if version >= (1, 0) else {})
    return re.sub("|".join(codes), lambda match: codes[match[0].upper()], text, flags=re.IGNORECASE)


def path_refusal(path: str) -> str | None:
    """Return why a path of a manifest must never be opened, or None: it stays below the bag.

    A prefix is not compared: `../bag-evil/x` begins like the bag's own folder, too.
    """
    if path.startswith("/"):
        return "an absolute path"
    if path.startswith("~"):
        return "a path that shells take for somebody's home"
    if "\0" in path or any(part in {"", ".", ".."} for part in path.split("/")):
        return "a path that leaves the bag, or is no plain path"
    return None


def read_fetch(text: str, *, version: tuple[int, int]) -> tuple[set[str], list[str]]:
    """Return the paths that fetch.txt leaves to be fetched, and what is wrong with other lines.

    Source: RFC 8493, 2.2.3.
    """
    paths: set[str] = set()
    faults: list[str] = []
    for number, line in _numbered(text, faults):
        match = _FETCH_LINE.match(line)
        path = decode_path(match[3], version=version) if match else ""
        if match is None or not is_payload(path) or path_refusal(path):
            faults.append(f"line {number}: no address, length and path below data/: {line[:80]!r}")
        else:
            paths.add(path)
    return paths, faults


def oxum_fault(text: str, sizes: list[int]) -> str | None:
    """Return how the Payload-Oxum of bag-info.txt differs from the payload files, or None.

    Args:
        text: bag-info.txt.
        sizes: Of every payload file.

    Source: RFC 8493, 2.2.2.
    """
    values = [
        line[13:].strip() for line in _lines(text) if line.lower().startswith("payload-oxum:")
    ]
    if not values:
        return None
    match = _OXUM.match(values[0])
    if len(values) > 1 or match is None:
        return f"Payload-Oxum is not one BYTES.FILES: {', '.join(values)[:80]}"
    found = f"{sum(sizes)}.{len(sizes)}"
    if (int(match[1]), int(match[2])) != (sum(sizes), len(sizes)):
        return f"Payload-Oxum {values[0]}, but the payload is {found}"
    return None


def _numbered(text: str, faults: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers, until too many had a fault."""
    for number, line in enumerate(_lines(text), start=1):
        if len(faults) == _FAULT_LIMIT:
            faults.append(f"not read beyond line {number - 1}")
            return
        if line.strip():
            yield number, line


def _lines(text: str) -> Iterator[str]:
    """Yield the lines; unlike `splitlines`, U+2028 and other breaks that a name may hold are no ends."""
    ends = 0
    for match in _LINE_END.finditer(text):
        yield text[ends : match.start()]
        ends = match.end()
    if ends < len(text):
        yield text[ends:]
