"""What travels home in `return/` of a set: requests, and files sealed so that only home can read them.

A request asks for what a cluster needs, or for pieces of a set that are missing or bad.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import InputError, StorageError
from toolkit.filesystem import DRAFT, read_begin
from toolkit.media._custody import LIMIT_BYTES as RECEIPT_LIMIT_BYTES
from toolkit.media._device import (
    StreamDigest,
    copy_durably,
    measure,
    on_storage,
    require_regular,
)
from toolkit.media._names import check_file_name, is_litter
from toolkit.media._receipts import RETURN
from toolkit.media._supplement_request import read_supplement_request
from toolkit.model import Progress, Sha256
from toolkit.request import read_request
from toolkit.signed import LIMIT_BYTES, SUPPLEMENT_REQUEST, Sealed, unseal

REQUEST_ENDING = ".request.json"
SUPPLEMENT_ENDING = ".supplement.json"
_SEALED = (b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----")
"""Source: age-encryption.org/v1, "The age file header" and "ASCII armor"."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
MOST_FILES = RECEIPT_LIMIT_BYTES // 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """One file in `return/`."""

    path: Path
    size_bytes: int
    sha256: Sha256

    @property
    def is_request(self) -> bool:
        """Whether its name says that it is a request, of either kind."""
        return self.path.name.endswith((REQUEST_ENDING, SUPPLEMENT_ENDING))

    def as_fact(self) -> dict[str, object]:
        """Return it as a receipt names it."""
        return {"name": self.path.name, "size_bytes": self.size_bytes, "sha256": self.sha256}


def put_returns(folder: Path, files: Sequence[Path], *, progress: Progress) -> tuple[Returned, ...]:
    """Copy files into `return/` and return everything that lies there then.

    Args:
        folder: The set folder, or the one beside a read-only medium.
        files: Signed requests, and files in the age format.
        progress: Told of every copy.

    Raises:
        InputError: Neither a request nor sealed, or a name that cannot travel.
        SignatureError: A request was edited.
        StorageError: A file cannot be read or written, or another one of that name lies there.
    """
    named: dict[str, Path] = {}
    for path in files:  # all of them, before the first is copied
        name = _travel_name(path)
        if named.setdefault(name, path) != path:
            raise InputError(
                "put files into return/",
                found=f"{named[name]} and {path} would both be {name}",
                expected="names that differ",
                hint="give one of them another name, then run the same command again",
            )
    place = folder / RETURN
    with on_storage(f"write {place}"):
        if named:
            place.mkdir(parents=True, exist_ok=True)
        for name, path in named.items():
            _put(path, place / name, progress)
    return tuple(returns(folder))


def returns(folder: Path) -> Iterator[Returned]:
    """Yield what lies in `return/`, measured; litter and unfinished copies are passed over.

    Raises:
        StorageError: It cannot be read.
        InputError: Far more files than a receipt can name.
    """
    place = folder / RETURN
    with on_storage(f"read {place}"):
        if not place.is_dir():
            return
        names = sorted(
            item.name
            for item in place.iterdir()
            if not is_litter(item.name) and item.suffix not in (".part", DRAFT)
        )
        if len(names) > MOST_FILES:
            raise InputError(
                "read what came back",
                file=str(place),
                found=f"{len(names)} files",
                expected=f"at most {MOST_FILES}",
                hint="move away what does not have to go home",
            )
        for name in names:
            found = measure(place / name)
            yield Returned(path=place / name, size_bytes=found.size_bytes, sha256=found.sha256)


def _travel_name(path: Path) -> str:
    with on_storage(f"read {path}"):
        require_regular(path)
        begin = read_begin(path, LIMIT_BYTES + 1)
    name = path.name
    if not begin.startswith(_SEALED):
        try:
            kind = read_either(begin, file=str(path))[1].kind
        except InputError as error:
            raise InputError(
                "put a file into return/",
                file=str(path),
                found=f"neither a sealed file nor a request: {error.found}",
                expected="a signed request, or a file in the age format, which only home can read",
                hint="log bundles name people and addresses of your site: encrypt them for home first",
            ) from error
        ending = SUPPLEMENT_ENDING if kind == SUPPLEMENT_REQUEST else REQUEST_ENDING
        if not name.endswith(ending):
            name = path.stem + ending
    if not _NAME.match(name):
        raise InputError(
            "put a file into return/",
            file=str(path),
            found=f"the name {name}",
            expected="at most 64 letters, digits, dots, hyphens and underscores",
            hint="give it such a name, then run the same command again",
        )
    check_file_name(name)
    return name


def read_either(data: bytes, *, file: str) -> tuple[str, Sealed]:
    """Return the id of a request, of what a cluster needs or of pieces of a set, and who signed it.

    Raises:
        InputError: Neither.
        SignatureError: It was edited, or is not signed.
    """
    try:
        unseal(data, kind=SUPPLEMENT_REQUEST, file=file)
    except InputError:
        request, sealed = read_request(data, file=file)
        return request.request_id, sealed
    supplement, sealed = read_supplement_request(data, file=file)
    return supplement.request_id, sealed


def _put(source: Path, target: Path, progress: Progress) -> None:
    found = measure(source)
    if target.exists():
        if measure(target).sha256 == found.sha256:
            return
        raise StorageError(
            f"put {source} into {target.parent}",
            found=f"another file with the name {target.name}",
            hint="give yours another name; nothing that travels is overwritten",
        )
    carry(Returned(path=source, size_bytes=found.size_bytes, sha256=found.sha256), target, progress)


def carry(item: Returned, target: Path, progress: Progress) -> None:
    """Copy one measured file to another place.

    Raises:
        StorageError: It has changed since, or cannot be copied.
    """
    attempted = f"copy {item.path}"
    progress.begin(f"copy {item.path.name}", total_bytes=item.size_bytes)
    try:
        with on_storage(attempted), StreamDigest(blocks=False) as digest:
            is_same = copy_durably(
                item.path,
                target,
                digest=digest,
                accept=lambda: digest.whole() == item.sha256,
                progress=progress,
            )
    finally:
        progress.end()
    if not is_same:
        raise StorageError(
            attempted,
            found="other bytes than a moment ago",
            hint="another program writes to it, or its medium fails: run the same command again",
        )
