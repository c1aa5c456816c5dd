"""From a payload that is wanted and the bytes that were found to what its witnesses say of them.

What costs reading is remembered: an archive that was looked into once is not looked into again while its
bytes are the same, and a length that a server announced is kept as a witness after the download.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from toolkit.catalog._inside import Expects, ZipProblem, ZipReport, inspect_zip
from toolkit.catalog._witness import OURSELVES, SERVER, Earlier, Measured, judge, other_payloads
from toolkit.model import (
    Judgement,
    Manifest,
    Payload,
    Progress,
    Sha256,
    Stance,
    Statement,
    StatementKind,
)

_KEPT = frozenset(
    {
        StatementKind.PACKAGE_HASH,
        StatementKind.SIGNATURE,
        StatementKind.STRUCTURE,
        StatementKind.COLLEAGUE,
        StatementKind.MEASUREMENT,
    }
)
"""What is said of the same bytes once is said for good."""
_LAYOUT = frozenset({ZipProblem.NO_METADATA, ZipProblem.BAD_METADATA})
_DOWNLOADED = re.compile(r"^downloaded (\d{4}-\d\d-\d\d)T\S+ from (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One payload to be held: what was published about it, and where it stands."""

    shelf: str
    payload: Payload
    must_be: Sha256 | None
    """The hash it must have: the pinned one, or what somebody else says; None: nobody knows."""
    siblings: tuple[str, ...]
    """Names of all payloads of the update or SBE."""
    statements: tuple[Statement, ...] = ()
    """What other witnesses say of the file with the pinned hash."""
    known: tuple[Manifest, ...] = ()
    """Other manifests, to recognise another release's file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was measured of a file."""

    path: Path
    sha256: Sha256
    size_bytes: int
    announced_bytes: int | None = None
    """The length the server announced."""
    earlier: tuple[Earlier, ...] = ()
    """Downloads before that had this very digest."""
    statements: tuple[Statement, ...] = ()
    """What we know of these very bytes from before."""
    is_deep: bool = False
    """Whether to read the whole archive and compare every checksum in it."""


def judged(wanted: Wanted, found: Found, progress: Progress) -> Judgement:
    """Weigh what all witnesses say of a file.

    Raises:
        StorageError: The file cannot be read.
    """
    payload = wanted.payload
    is_pinned = found.sha256 == payload.sha256
    # servers are wrong about lengths: under the pinned hash that says nothing of the file
    announced = found.announced_bytes
    if is_pinned and announced != found.size_bytes:
        announced = None
    if announced is None and any(map(_is_servers_length, found.statements)):
        announced = found.size_bytes
    report = _report(payload.name, found, progress)
    if report is not None and is_pinned:
        report = _as_published(report)
    kept = (said for said in found.statements if _is_kept(said, report))
    judgement = judge(
        payload,
        Measured(sha256=found.sha256, size_bytes=found.size_bytes, announced_bytes=announced),
        structure=report,
        statements=tuple(dict.fromkeys((*wanted.statements, *kept))),
        others=other_payloads(wanted.known, payload),
        earlier=found.earlier,
    )
    order = list(
        StatementKind
    )  # what is remembered and what is asked again say the same in one order
    statements = sorted(
        judgement.statements, key=lambda said: (order.index(said.kind), said.source)
    )
    return replace(judgement, statements=tuple(statements))


def is_looked_into(name: str, judgement: Judgement) -> bool:
    """Whether every byte of an archive was looked at, or it is none."""
    return not _is_zip(name) or _is_judged_inside(judgement.statements)


def explanation(
    happened: str,
    *,
    expected: Sha256 | None,
    sha256: Sha256,
    size_bytes: int,
    judgement: Judgement | None = None,
    remarks: Iterable[str] = (),
) -> str:
    """Return what stands beside a file in quarantine, for people and for `earlier_downloads`.

    Args:
        happened: `downloaded <time> from <url>`, or what else brought it there.
        expected: Its right SHA-256; None: nobody knows.
        sha256: Its SHA-256.
        size_bytes: Its length.
        judgement: What its witnesses say, if they were asked.
        remarks: Further lines.
    """
    lines = [
        happened,
        f"  expected  sha256 {expected or 'unknown'}",
        f"  found     sha256 {sha256}, {size_bytes} bytes",
    ]
    if judgement is not None:
        lines.append(f"  verdict: {judgement.verdict.value}")
        lines += [f"  - {reason}" for reason in judgement.reasons]
    return "\n".join([*lines, *(f"  {remark}" for remark in remarks)]) + "\n\n"


def earlier_downloads(explanation: str, digest: Sha256) -> Iterator[Earlier]:
    """Yield the downloads of a file that its explanation in quarantine tells of."""
    for day, address in _DOWNLOADED.findall(explanation):
        yield Earlier(sha256=digest, measured_on=date.fromisoformat(day), source=address)


def _report(name: str, found: Found, progress: Progress) -> ZipReport | None:
    """Look into an archive, unless that was done before and nothing more is asked for now."""
    if not _is_zip(name) or (_is_judged_inside(found.statements) and not found.is_deep):
        return None
    expects = Expects.of(name)
    return inspect_zip(found.path, expects=expects, is_deep=found.is_deep, progress=progress)


def _as_published(report: ZipReport) -> ZipReport:
    """Return what is inside the very file that was published.

    What a published bundle holds, and in which folders, is documented only in part: if the vendor's own
    file looks unlike it, that is worth knowing and no reason to condemn it.
    """
    findings = (
        replace(found, is_fault=found.is_fault and found.kind not in _LAYOUT)
        for found in report.findings
    )
    return replace(report, findings=tuple(findings))


def _is_judged_inside(statements: Iterable[Statement]) -> bool:
    return any(_is_ours(said) and said.stance is not Stance.SILENT for said in statements)


def _is_kept(said: Statement, report: ZipReport | None) -> bool:
    return said.kind in _KEPT and (report is None or not _is_ours(said))


def _is_ours(said: Statement) -> bool:
    """Whether it tells what we saw in the archive ourselves."""
    return said.kind is StatementKind.STRUCTURE and said.source == OURSELVES


def _is_servers_length(said: Statement) -> bool:
    """Whether a server announced the length that these bytes have."""
    is_for = said.kind is StatementKind.SIZE and said.stance is Stance.FOR
    return is_for and said.source == SERVER


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")
