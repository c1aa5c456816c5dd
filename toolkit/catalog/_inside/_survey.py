"""Everything that a directory says, judged: names, kinds, sizes, places. No member is read."""

from __future__ import annotations

import re
import stat
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from toolkit.catalog._inside._directory import (
    DEFLATE64,
    DEFLATED,
    ENCRYPTED,
    HIDDEN,
    LOCAL,
    MEMBERS_LIMIT,
    STORED,
    UTF8_NAME,
    Directory,
    Entry,
)
from toolkit.catalog._inside._names import Paths, Tree, check_name
from toolkit.catalog._inside._report import Findings, ZipProblem, shortened

UNFOLDS_AT_MOST = 20
"""What travels is compressed already; an archive that claims to unfold further is not read to its end."""
_UNFOLDS_FREELY_BYTES = 1 << 20
_DEFLATE_RATIO = 1032
"""Deflate's best: 258 bytes for two bits."""
_TREE_LIMIT = 2 * MEMBERS_LIMIT
_REPARSE_POINT = 0x400
_METHODS = {1: "Shrink", 6: "Implode", 12: "BZip2", 14: "LZMA", 93: "Zstandard", 95: "XZ",
            97: "WavPack", 98: "PPMd", 99: "AES"}  # fmt: skip


@dataclass(slots=True)
class Survey:
    """What a directory says, summed up."""

    order: list[int] = field(default_factory=list)
    """Numbers of the entries, by the place of their local headers."""
    packed_bytes: int = 0
    unfolds_to_bytes: int = 0
    documented: dict[str, str] = field(default_factory=dict)
    """Of the documented members those that are there, with the name of the uppermost one."""
    longest_path: str = ""


def survey(
    directory: Directory,
    size_bytes: int,
    findings: Findings,
    *,
    root: str,
    documented: Mapping[str, re.Pattern[str]],
    is_nested: bool = False,
) -> Survey:
    """Judge what a directory says.

    Args:
        directory: The directory.
        size_bytes: The archive's length.
        findings: Told what is wrong.
        root: The folder that the members will be below; empty if it is not known.
        documented: Members to look for, by what people call them.
        is_nested: It is unpacked by the vendor's own code, so how it is packed is not ours to judge.
    """
    told, tree, paths, offsets = Survey(), Tree(_TREE_LIMIT), Paths(root), array("Q")
    for index, entry in enumerate(directory):
        parts = check_name(entry.name, findings)
        paths.add(parts, findings, entry.name, is_folder=entry.is_folder)
        held = tree.add(parts, index, is_folder=entry.is_folder)
        if held is not None:
            _note_twin(directory, entry, held, findings)
        for kind, text in _kind_problems(entry):
            findings.note(kind, text, entry.name)
        for kind, text in () if is_nested else _packing_problems(entry):
            findings.note(kind, text, entry.name)
        offsets.append(entry.offset)
        told.packed_bytes += entry.packed_bytes
        told.unfolds_to_bytes += entry.size_bytes
        for title, form in documented.items():
            if parts and form.match(parts[-1]) and _is_above(entry, told.documented.get(title)):
                told.documented[title] = entry.name
    told.order = sorted(range(len(offsets)), key=offsets.__getitem__)
    told.longest_path = paths.longest
    if tree.is_full:
        text = f"it makes more than the {_TREE_LIMIT} files and folders that ferry compares"
        findings.note(ZipProblem.OVER_LIMIT, text)
    if told.unfolds_to_bytes > UNFOLDS_AT_MOST * size_bytes + _UNFOLDS_FREELY_BYTES:
        findings.note(
            ZipProblem.BOMB,
            f"it would unfold from {size_bytes} to {told.unfolds_to_bytes} bytes, more than "
            f"{UNFOLDS_AT_MOST} times: its members are not read",
        )
    _check_places(directory, told.order, findings)
    return told


def _is_above(entry: Entry, other: str | None) -> bool:
    return other is None or _depth(entry.name) < _depth(other)


def _depth(name: str) -> int:
    return name.replace("\\", "/").count("/")


def _note_twin(directory: Directory, entry: Entry, held: int, findings: Findings) -> None:
    other = directory[held].name if held >= 0 else "a folder of other members"
    if other == entry.name:
        findings.note(ZipProblem.DUPLICATE, "it is there more than once", entry.name)
    else:
        text = f"it falls together with {shortened(other)} when it is unpacked on Windows"
        findings.note(ZipProblem.COLLISION, text, entry.name)


def _kind_problems(entry: Entry) -> Iterator[tuple[ZipProblem, str]]:
    """Say what is wrong with what a member is and what it is called."""
    mode = entry.attributes >> 16
    if stat.S_ISLNK(mode) or entry.attributes & _REPARSE_POINT:
        yield ZipProblem.LINK, "it is a link, which may lead anywhere"
    elif stat.S_IFMT(mode) and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        yield ZipProblem.SPECIAL, "it is a device, pipe or socket, not a file"
    elif entry.is_folder and entry.size_bytes:
        text = f"it is named like a folder and has {entry.size_bytes} bytes"
        yield ZipProblem.SPECIAL, text
    if entry.flags & UTF8_NAME and not _is_utf8(entry.raw_name):
        yield ZipProblem.CHARACTER, "its name is said to be UTF-8 and is not"
    if entry.other_name:
        text = f"it has a second name, {entry.other_name!r}, which some programs prefer"
        yield ZipProblem.DISAGREEMENT, text


def _packing_problems(entry: Entry) -> Iterator[tuple[ZipProblem, str]]:
    """Say why a node's `Expand-Archive`, or this program, cannot unpack a member."""
    packed, unpacked = entry.packed_bytes, entry.size_bytes
    if entry.flags & (ENCRYPTED | HIDDEN):
        yield ZipProblem.ENCRYPTED, "it is encrypted, and a node has no password for it"
    elif entry.method == DEFLATE64:
        text = "it is compressed with Deflate64, which ferry cannot read: its bytes are not checked"
        yield ZipProblem.UNCHECKED, text
    elif entry.method not in (STORED, DEFLATED):
        method = _METHODS.get(entry.method, "unknown")
        text = f"it is compressed with method {entry.method} ({method}), not with Deflate"
        yield ZipProblem.METHOD, text
    elif entry.method == STORED and packed != unpacked:
        text = f"it is stored in {packed} bytes and claims to have {unpacked}"
        yield ZipProblem.DAMAGED_MEMBER, text
    elif unpacked > _DEFLATE_RATIO * (packed + 1):
        text = f"it claims to unfold from {packed} to {unpacked} bytes, which Deflate cannot do"
        yield ZipProblem.BOMB, text


def _check_places(directory: Directory, order: list[int], findings: Findings) -> None:
    """Find members that share bytes, by what the directory alone says."""
    before, end = "", 0
    for entry in map(directory.__getitem__, order):
        reach = entry.offset + LOCAL.size + len(entry.raw_name) + entry.packed_bytes
        if entry.offset < end:
            text = f"it has bytes in common with {shortened(before)}"
            findings.note(ZipProblem.OVERLAP, text, entry.name)
        if reach > directory.start:
            text = "it reaches into the directory, which is behind the members"
            findings.note(ZipProblem.OVERLAP, text, entry.name)
        if reach > end:
            before, end = entry.name, reach


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
