"""A download that is not what was published: is the file wrong, or the published hash?

Both happen: lines and proxies damage files, and the publisher's page has carried placeholders and hashes
of other releases. The verdict is for the person who decides what to do; it never lets a file through.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from toolkit.catalog._lint import is_patterned
from toolkit.model import Manifest, Payload, Sha256, SolutionVersion

_UNFOLDS_AT_MOST = 20
"""A bundle holds compressed files; one that unfolds further is not read to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which of the two is the likelier culprit, and why."""

    culprit: str
    """`file`, `published hash` or `undecided`."""
    reasons: tuple[str, ...]

    @property
    def advice(self) -> str:
        """What the operator should do next."""
        if self.culprit == "file":
            return "the file is the likelier culprit: download it again, from another line or place"
        if self.culprit == "published hash":
            return (
                "the published hash may be the culprit, but a file altered on purpose looks the "
                "same: compare with the vendor over another channel before any manifest is changed"
            )
        return "download it again from another place and compare with the vendor"


def judge(
    payload: Payload,
    path: Path,
    *,
    sha256: Sha256,
    size_bytes: int,
    announced_bytes: int | None,
    earlier_downloads: int,
    known: Iterable[tuple[SolutionVersion, Payload]],
) -> Verdict:
    """Weigh what speaks against the file and what against the published hash.

    Args:
        payload: What was published.
        path: The downloaded file.
        sha256: Its digest.
        size_bytes: Its length.
        announced_bytes: The length the server announced.
        earlier_downloads: How many downloads before had this very digest.
        known: Every other payload we have a manifest of.
    """
    others = tuple(known)
    broken = zip_fault(path) if payload.name.lower().endswith(".zip") else None
    against_file = tuple(
        _against_file(payload, sha256, size_bytes, announced_bytes, broken, others)
    )
    against_hash = tuple(_against_hash(payload, sha256, earlier_downloads, broken, others))
    culprit = "file" if against_file else "published hash" if against_hash else "undecided"
    return Verdict(culprit=culprit, reasons=against_file + against_hash)


def other_payloads(
    manifests: Iterable[Manifest], payload: Payload
) -> Iterator[tuple[SolutionVersion, Payload]]:
    """Return the payloads of all manifests but this one, with their versions."""
    for manifest in manifests:
        for other in manifest.payloads:
            if other.name != payload.name:
                yield manifest.version, other


def zip_fault(path: Path) -> str:
    """Return what is wrong with a zip archive; empty when every member's CRC is right.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unfolded = sum(member.file_size for member in archive.infolist())
            if unfolded > _UNFOLDS_AT_MOST * path.stat().st_size + (1 << 20):
                return f"it would unfold to {unfolded} bytes"
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        return f"not a whole zip archive ({error})"
    return f"member {damaged} is damaged" if damaged else ""


def _against_file(
    payload: Payload,
    sha256: Sha256,
    size_bytes: int,
    announced_bytes: int | None,
    broken: str | None,
    others: Iterable[tuple[SolutionVersion, Payload]],
) -> Iterator[str]:
    if announced_bytes is not None and size_bytes != announced_bytes:
        yield f"the file has {size_bytes} bytes, the server announced {announced_bytes}"
    if payload.size_bytes is not None and size_bytes != payload.size_bytes:
        yield f"the file has {size_bytes} bytes, the manifest says {payload.size_bytes}"
    if broken:
        yield f"the file: {broken}"
    for version, other in others:
        if other.sha256 == sha256:
            yield f"the file is {other.name} of {version}: the server sent another release"


def _against_hash(
    payload: Payload,
    sha256: Sha256,
    earlier_downloads: int,
    broken: str | None,
    others: Iterable[tuple[SolutionVersion, Payload]],
) -> Iterator[str]:
    if payload.sha256 is not None and is_patterned(payload.sha256):
        yield "the published hash repeats itself: a placeholder"
    for version, other in others:
        if payload.sha256 in {other.sha256, *(witness.value for witness in other.witnesses)}:
            yield f"the published hash was published for {version} too"
    for witness in payload.witnesses:
        if not witness.is_wellformed and witness.value[:60] == (payload.sha256 or "")[:60]:
            yield f"the hash was also published malformed, as {witness.value} ({witness.source})"
        elif witness.value == sha256:
            yield f"the file's hash was published as well, by {witness.source}"
    if earlier_downloads:
        yield f"{earlier_downloads + 1} downloads agree on this file"
    if broken == "":
        yield "the file is a whole zip archive with every checksum right"
