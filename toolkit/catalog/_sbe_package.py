"""The zip of an SBE against what its vendor says of it: the package hash, and the list of its files.

A hash that is named and differs speaks against the zip. The list is read by what its entries look like, so
it speaks against the zip only where it was evidently read rightly: entries of one kind of which some agree.

Members are read one after another and only hashed. A zip that would unfold beyond reason, or whose directory
is larger than that of any SBE, is not read further.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from toolkit.catalog._sbe_metadata import ListedFile, SbeMetadata, plain_path
from toolkit.errors import InputError
from toolkit.filesystem import open_regular
from toolkit.model import Progress, Sha256, Stance, Statement, StatementKind
from toolkit.sbe import Sbe

_DIRECTORY_LIMIT_BYTES = 8 << 20
"""Some sixty thousand members."""
_END_LIMIT_BYTES = (1 << 16) + 22 + 20 + 56
"""The longest comment, the end of the directory, and both records of a large zip before it."""
UNFOLDS_AT_MOST = 20
_READ_BYTES = 1 << 20
_NAMED = 5
"""How many members a sentence names."""


def package_statement(digest: Sha256, entries: Collection[Sbe], *, source: str) -> Statement:
    """Return what the discovery manifest's entries of an SBE say of its zip.

    Args:
        digest: SHA-256 of the zip.
        entries: Its entries, usually one.
        source: The discovery manifest.
    """
    named = {sbe.package_sha256 for sbe in entries if sbe.package_sha256}
    others = {found for sbe in entries for found in sbe.digests}
    raw = ", ".join(sbe.package_hash for sbe in entries if sbe.package_hash)
    if digest in named:
        stance, text = Stance.FOR, "its SHA-256 is the packageHash of the vendor's manifest"
    elif digest in others:
        stance, text = Stance.FOR, "its SHA-256 stands in its entry of the vendor's manifest"
    elif named:
        stance = Stance.AGAINST
        text = f"its SHA-256 is {digest}, the vendor's packageHash is {' or '.join(sorted(named))}"
    elif raw:
        stance, text = Stance.SILENT, f"the vendor's packageHash is no SHA-256: {raw[:200]}"
    else:
        stance, text = Stance.SILENT, "the vendor's manifest names no hash of it"
    return Statement(kind=StatementKind.PACKAGE_HASH, stance=stance, text=text, source=source)


def content_statement(
    path: Path, metadata: SbeMetadata, *, source: str, progress: Progress
) -> Statement:
    """Return what the metadata's list of files says of the zip's members.

    Args:
        path: The zip.
        metadata: Its metadata.
        source: The metadata's name.
        progress: Told how far the reading is.

    Raises:
        OSError: The zip cannot be read.
    """
    try:
        stance, text = _compare(path, metadata.files, progress)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        stance, text = Stance.AGAINST, f"not a whole zip archive ({error})"
    except (NotImplementedError, RuntimeError, InputError) as error:
        found = error.found if isinstance(error, InputError) else None
        stance, text = Stance.SILENT, f"its members were not read: {found or error}"
    return Statement(kind=StatementKind.STRUCTURE, stance=stance, text=text, source=source)


def open_bounded(path: Path) -> zipfile.ZipFile:
    """Open a zip whose directory is of a size that fits in memory.

    Raises:
        InputError: The directory is larger, or it is a pipe or a device.
        zipfile.BadZipFile: It is no zip, or not a whole one.
        OSError: It cannot be read.
    """
    with open_regular(path) as file:
        file.seek(max(0, file.seek(0, 2) - _END_LIMIT_BYTES))
        length = _directory_length(file.read())
    if length > _DIRECTORY_LIMIT_BYTES:
        raise InputError(
            "open zip",
            file=path.name,
            found=f"a directory of {length} bytes",
            expected=f"at most {_DIRECTORY_LIMIT_BYTES}",
        )
    return zipfile.ZipFile(path)


def _directory_length(tail: bytes) -> int:
    """Return the length of a zip's directory as `zipfile` will read it, from the zip's last bytes.

    Source: APPNOTE.TXT sections 4.3.14 to 4.3.16.
    """
    is_plain = tail[-22:-18] == b"PK\x05\x06" and tail.endswith(b"\0\0")
    end = len(tail) - 22 if is_plain else tail.rfind(b"PK\x05\x06")
    if not 0 <= end <= len(tail) - 22:
        return 0  # no zip, as `zipfile` will say
    length: int = struct.unpack_from("<L", tail, end + 12)[0]
    if end < 76 or tail[end - 20 : end - 16] != b"PK\x06\x07":
        return length
    record = end - 76  # right before its locator
    longer: int = struct.unpack_from("<Q", tail, record + 40)[0]
    return longer if length == 0xFFFFFFFF else max(longer, length)


@dataclass(slots=True)
class _Group:
    """Listed files of one kind, and what became of them."""

    agreeing: int = 0
    present: int = 0
    differing: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def _compare(path: Path, files: Iterable[ListedFile], progress: Progress) -> tuple[Stance, str]:
    with open_bounded(path) as archive:
        members = {
            plain_path(item.filename): item for item in archive.infolist() if not item.is_dir()
        }
        unfolded = sum(item.file_size for item in members.values())
        if unfolded > UNFOLDS_AT_MOST * path.stat().st_size + (1 << 20):
            return (
                Stance.SILENT,
                f"its members were not read: they would unfold to {unfolded} bytes",
            )
        groups: dict[str, _Group] = {}
        listed: set[str] = set()
        progress.begin(f"compare {path.name} with its list of files", total_bytes=unfolded)
        try:
            for file in files:
                group = groups.setdefault(file.element, _Group())
                member = members.get(plain_path(file.path))
                listed.add(plain_path(file.path))
                if member is None:
                    group.missing.append(file.path)
                    continue
                group.present += 1
                if file.sha256 is not None:
                    if _digest(archive, member, progress) == file.sha256:
                        group.agreeing += 1
                    else:
                        group.differing.append(file.path)
        finally:
            progress.end()
    more = len(members.keys() - listed)
    return _conclude(groups.values(), more)


def _conclude(groups: Iterable[_Group], more: int) -> tuple[Stance, str]:
    read_rightly = [group for group in groups if group.agreeing]
    differing = [name for group in read_rightly for name in group.differing]
    missing = [name for group in read_rightly for name in group.missing]
    agreeing = sum(group.agreeing for group in read_rightly)
    if differing:
        return Stance.AGAINST, f"not what its metadata lists: {_some(differing)}"
    if missing:
        return (
            Stance.SILENT,
            f"{agreeing} members are as its metadata lists them; it lists more, which are not in it:"
            f" {_some(missing)}",
        )
    if agreeing:
        beyond = f"; {more} more are not in that list" if more else ""
        return Stance.FOR, f"{agreeing} members have the SHA-256 that its metadata lists{beyond}"
    return Stance.SILENT, "its metadata lists no file in a way that can be compared"


def _digest(archive: zipfile.ZipFile, member: zipfile.ZipInfo, progress: Progress) -> str:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(
            "read zip member",
            file=member.filename[:200],
            found=f"{member.filename[:200]} is compressed with method {member.compress_type}",
            expected="stored, or compressed with deflate",
        )
    digest = hashlib.sha256()
    with archive.open(member) as file:
        for data in _pieces(file):
            digest.update(data)
            progress.advance(len(data))
    return digest.hexdigest()


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while data := file.read(_READ_BYTES):
        yield data


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(name[:120] for name in names[:_NAMED]) + rest
