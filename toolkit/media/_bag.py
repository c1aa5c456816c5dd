"""BagIt 1.0 (RFC 8493): the manifests with which anyone can audit a medium without us.

A bag without a signature proves nothing about its author; here it says that the medium is whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from toolkit import __version__
from toolkit.errors import InputError
from toolkit.media._names import check_path
from toolkit.model import Sha256

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
INFO = "bag-info.txt"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"

_LINE = re.compile(r"([0-9A-Fa-f]{64})[ \t]+\*?(.+)\Z")


def bag_info(
    *, set_id: str, label: str, issued_at: datetime, number: int, count: int, sizes: list[int]
) -> bytes:
    """Return bag-info.txt. `sizes` are those of every file below data/."""
    fields = {
        "Bag-Software-Agent": f"ferry {__version__}",
        "Bagging-Date": f"{issued_at:%Y-%m-%d}",
        "External-Identifier": f"{label} {number}/{count}",
        "Bag-Group-Identifier": set_id,
        "Bag-Count": f"{number} of {count}",
        "Payload-Oxum": f"{sum(sizes)}.{len(sizes)}",
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items()).encode()


def manifest(digests: Mapping[str, Sha256]) -> bytes:
    """Return a manifest that `sha256sum -c` and every BagIt tool read."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode()


def read_manifest(data: bytes, *, file: str) -> dict[str, Sha256]:
    """Return path → digest of a manifest; CRLF and upper-case digits of other tools are accepted.

    Raises:
        InputError: A line that is no manifest line, or a path that may not stand on a medium.
    """
    found: dict[str, Sha256] = {}
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError("read the manifest", file=file, found="not UTF-8") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = _LINE.match(line.rstrip())
        if match is None:
            raise InputError(
                "read the manifest",
                file=file,
                place=f"line {number}",
                found=line[:80],
                expected="a SHA-256, two spaces and a path",
            )
        path = match[2]
        check_path(path)
        found[path] = Sha256(match[1].lower())
    return found
