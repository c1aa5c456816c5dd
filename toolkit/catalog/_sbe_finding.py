"""Where the files of an SBE are: in a folder, one by one, in the zip of a vendor, or in memory.

They are recognised by name. Members of a vendor's zip are read as streams and copied out under the names
that were recognised, never under their own paths.

Source: samples of file names in update-via-powershell-23h2.md and Dell's SBE release notes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from toolkit.catalog._sbe_package import UNFOLDS_AT_MOST, open_bounded
from toolkit.catalog._storage import storage
from toolkit.errors import InputError
from toolkit.filesystem import open_regular
from toolkit.model import Progress, Sha256
from toolkit.names import payload_name
from toolkit.sbe import DISCOVERY_NAME, sbe_named
from toolkit.xmltext import LIMIT_BYTES

ATTEMPTED = "read SBE files"
_READ_BYTES = 1 << 20


class SbeRole(StrEnum):
    """Which of the three files one is."""

    DISCOVERY = "discovery manifest"
    METADATA = "metadata"
    PACKAGE = "package"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file whose name is that of one of the three."""

    role: SbeRole
    name: str
    path: Path | None = None
    """The file, or the zip that holds it; None: in memory."""
    member: str = ""
    size_bytes: int | None = None
    data: bytes = b""

    @property
    def origin(self) -> str:
        """Where it was found, for people."""
        if self.path is None:
            return "given apart"
        return f"{self.path.name}, member {self.member}" if self.member else str(self.path)

    @property
    def is_loose(self) -> bool:
        """Whether it is a file of its own."""
        return self.path is not None and not self.member

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open its bytes.

        Raises:
            StorageError: It cannot be read.
            InputError: The zip that holds it is damaged, or it is a pipe or a device.
        """
        if self.path is None:
            yield io.BytesIO(self.data)
        elif not self.member:
            with (
                storage(f"read {self.path}"),
                open_regular(self.path) as raw,
                io.BufferedReader(raw) as file,
            ):
                yield file
        else:
            with (
                storage(f"read {self.path}"),
                _unzipping(self.path.name),
                open_bounded(self.path) as archive,
                archive.open(self.member) as file,
            ):
                yield file

    def read(self) -> bytes:
        """Return its bytes; one more than the limit of a vendor's XML where it has more.

        Raises:
            StorageError: It cannot be read.
            InputError: The zip that holds it is damaged, or it is a pipe or a device.
        """
        with self.open() as file:
            return file.read(LIMIT_BYTES + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A candidate as a file on a disk, measured."""

    path: Path
    size_bytes: int
    sha256: Sha256


def role_of(name: str) -> SbeRole | None:
    """Return which of the three files has such a name; None: none of them."""
    if DISCOVERY_NAME.match(name):
        return SbeRole.DISCOVERY
    ending = name[-4:].lower()
    if ending not in (".xml", ".zip") or sbe_named(name) is None:
        return None
    return SbeRole.METADATA if ending == ".xml" else SbeRole.PACKAGE


def candidates(path: Path) -> Iterator[Candidate]:
    """Return the SBE files in a folder, in a vendor's zip, or the one that `path` is.

    Raises:
        InputError: A file that is neither, or a zip that cannot be used.
        StorageError: It cannot be read.
    """
    with storage(f"read {path}"):
        is_folder = path.is_dir()
        files = sorted(path.iterdir()) if is_folder else [path]
    for file in files:
        role = role_of(file.name)
        if role is not None:
            with storage(f"read {file}"):
                size = file.stat().st_size
            yield Candidate(role=role, name=_safe(file.name), path=file, size_bytes=size)
        elif not is_folder:
            yield from _members(file)


def place(candidate: Candidate, scratch: Path, progress: Progress) -> Placed:
    """Measure a candidate; what stands in a zip or in memory is written into `scratch`.

    Raises:
        StorageError: It cannot be read or written.
        InputError: The zip that holds it is damaged, or it is a pipe or a device.
    """
    is_there = candidate.path is not None and not candidate.member
    path = candidate.path if candidate.path is not None and is_there else scratch / candidate.name
    digest, size = hashlib.sha256(), 0
    with contextlib.ExitStack() as stack:
        copy = None
        if not is_there:
            with storage(f"write {path}"):
                copy = stack.enter_context(path.open("xb"))
        source = stack.enter_context(candidate.open())
        verb = "check" if is_there else "unpack"
        progress.begin(f"{verb} {candidate.name}", total_bytes=candidate.size_bytes)
        stack.callback(progress.end)
        while data := source.read(_READ_BYTES):
            digest.update(data)
            size += len(data)
            if copy is not None:
                with storage(f"write {path}"):
                    copy.write(data)
            progress.advance(len(data))
        if copy is not None:
            with storage(f"write {path}"):
                copy.flush()
    return Placed(path=path, size_bytes=size, sha256=Sha256(digest.hexdigest()))


def _members(path: Path) -> Iterator[Candidate]:
    """Return the SBE files in a vendor's zip; they stand in one folder of it, or at its top."""
    if path.suffix.lower() != ".zip":
        raise _odd(path.name, "neither a file of an SBE nor a zip with its files")
    with storage(f"read {path}"), _unzipping(path.name), open_bounded(path) as archive:
        entries = archive.infolist()
    folders: set[str] = set()
    for entry in entries:
        *folder, name = re.split(r"[/\\]", entry.filename)
        role = role_of(name)
        if role is None:
            continue
        folders.add("/".join(folder).casefold())
        _check_entry(path.name, name, entry, role)
        yield Candidate(
            role=role,
            name=_safe(name),
            path=path,
            member=entry.filename,
            size_bytes=entry.file_size,
        )
    if len(folders) != 1:
        raise _odd(
            path.name, "SBE files in several folders of it" if folders else "no SBE file in it"
        )


def _check_entry(zip_name: str, name: str, entry: zipfile.ZipInfo, role: SbeRole) -> None:
    if entry.flag_bits & 1:
        raise _odd(zip_name, f"{name} in it is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _odd(zip_name, f"{name} in it is packed in an unusual way")
    limit = LIMIT_BYTES
    if role is SbeRole.PACKAGE:
        limit = UNFOLDS_AT_MOST * entry.compress_size + (1 << 20)
    if entry.file_size > limit:
        raise _odd(zip_name, f"{name} in it would unfold to {entry.file_size} bytes")


def _safe(name: str) -> str:
    try:
        return payload_name(name)
    except ValueError as error:
        raise InputError(
            ATTEMPTED, file=name[:200], found=str(error), hint="give the file its published name"
        ) from error


def _odd(name: str, found: str) -> InputError:
    return InputError(
        ATTEMPTED,
        file=name,
        found=found,
        expected="SBE_Discovery_<Manufacturer>.xml, SBE_<Manufacturer>_<Family>_<Version>.xml and .zip",
        hint="if the vendor packed them in another way, unpack them and name their folder",
    )


@contextlib.contextmanager
def _unzipping(name: str) -> Iterator[None]:
    """Turn what `zipfile` says of a damaged zip into an `InputError`."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            ATTEMPTED,
            file=name,
            found=f"not a whole zip archive ({error})",
            hint="get it again from the vendor",
        ) from error
