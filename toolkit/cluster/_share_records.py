"""What ferry writes down on the infrastructure share, so that any laptop can go on. Pure.

Layout, below the import folder::

    ferry/token-0000007.json     who writes; the highest number counts
    ferry/token-0000007.left     that one has ended by itself
    ferry/speed.probe            what the byte path is measured with, without meaning
    ferry/<version>/0000007-0003-expand-done.json
                                 share records: steps of imports, <token>-<number>-<step>-<outcome>

A record is written once and never changed. Records tell where to look, they prove nothing: bytes count by the node's own hash of them against what was
signed, an expanded folder by its names and lengths as well. Who may write the share may call
`Add-SolutionUpdate` too, so they are not signed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import PureWindowsPath
from typing import Any

from toolkit.cluster._cmdlets import IMPORT_FOLDER
from toolkit.cluster._cmdlets.share import ShareItem
from toolkit.errors import InputError, misread
from toolkit.model import SolutionVersion

RECORDS_FOLDER = IMPORT_FOLDER / "ferry"
MOST_BYTES = 64 << 10
"""Longest file that is read: many times as long as a record with the longest paths."""
LAST_TOKEN = 9_999_999
"""The names of its files have room for no higher one; ferry never counts that far."""
FLUSHED = "flushed_bytes"
"""Fact of a copy: so much of the unfinished file is on the disk."""
BOOTED_AT = "booted_at"
"""Fact of a copy or an expansion: since when the node was up that wrote it; empty: it did not tell."""
_FORMAT = 1
_UNREADABLE = (ValueError, KeyError, TypeError, OverflowError, RecursionError)
"""What reading somebody's JSON may raise; a number without end is an OverflowError."""
_TOKEN = re.compile(r"token-(\d{7})\.(json|left)\Z")
_PART = r"(?:\.t\d{7}(?:\.\d{4})?)?\.part"
"""How the unfinished form of a name ends: with the token of its writer; an old ferry's has none."""


class ImportStep(StrEnum):
    """What a record is about."""

    COPY = "copy"
    VERIFY = "verify"
    EXPAND = "expand"
    SUBMIT = "submit"


class Outcome(StrEnum):
    """How far a step was when its record was written."""

    INTENT = "intent"
    FLUSHED = "flushed"
    DONE = "done"
    LOST = "lost"
    REFUSED = "refused"


MAY_BE_ADDED = (Outcome.INTENT, Outcome.DONE)
"""Of a submission: it was sent, or may have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Who may write on the share, as long as there is no higher number."""

    number: int
    holder: str
    """Of one run of ferry."""
    site_id: str
    machine: str

    def text(self) -> str:
        """Return what its file holds."""
        return json.dumps({"format": _FORMAT, "kind": "ferry-token", **asdict(self)})

    @classmethod
    def read(cls, text: str) -> Token:
        """Read what a token's file holds.

        Raises:
            InputError: It is none.
        """
        try:
            row = _row(text, "ferry-token")
            return cls(
                number=int(row["number"]),
                holder=str(row["holder"]),
                site_id=str(row["site_id"]),
                machine=str(row["machine"]),
            )
        except _UNREADABLE as error:
            raise InputError(
                "read who writes on the share", found=misread(error), expected="a token of ferry"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRecord:
    """One step of an import, and how far it was."""

    token: int
    number: int
    """Counts the records of one token."""
    step: ImportStep
    outcome: Outcome
    delivery: str
    """What is delivered: the version, or the version and the title of an SBE."""
    path: str
    """What it is about, by its final name."""
    part: str = ""
    """The unfinished form of it, a name in the same folder."""
    sha256: str = ""
    """Of the file that was signed: the copied one, or the one that was expanded."""
    size_bytes: int = 0
    node: str
    site_id: str
    machine: str
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """The name it is kept under."""
        return f"{self.token:07}-{self.number:04}-{self.step}-{self.outcome}.json"

    def text(self) -> str:
        """Return what its file holds."""
        return json.dumps({"format": _FORMAT, "kind": "ferry-share-record", **asdict(self)})

    @classmethod
    def read(cls, text: str) -> ShareRecord:
        """Read what a record's file holds; fields we do not know are ignored.

        Raises:
            InputError: It is none, or torn.
        """
        try:
            row = _row(text, "ferry-share-record")
            facts = {str(key): str(value) for key, value in dict(row.get("facts", {})).items()}
            int(facts.get(FLUSHED, "0"))
            return cls(
                token=int(row["token"]),
                number=int(row["number"]),
                step=ImportStep(row["step"]),
                outcome=Outcome(row["outcome"]),
                delivery=str(row["delivery"]),
                path=str(row["path"]),
                part=str(row.get("part", "")),
                sha256=str(row.get("sha256", "")),
                size_bytes=int(row.get("size_bytes", 0)),
                node=str(row.get("node", "")),
                site_id=str(row.get("site_id", "")),
                machine=str(row.get("machine", "")),
                facts=facts,
            )
        except _UNREADABLE as error:
            raise InputError(
                "read a share record", found=misread(error), expected="a record of ferry"
            ) from error


def _row(text: str, kind: str) -> dict[str, Any]:
    row = json.loads(text)
    if not isinstance(row, dict) or (row.get("kind"), row.get("format")) != (kind, _FORMAT):
        raise ValueError(f"not a {kind} of format {_FORMAT}")
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """What an unfinished file can be trusted with, if the node that wrote it has restarted since."""

    node: str = ""
    booted_at: str = ""
    flushed_bytes: int = 0
    """So much of it is on the disk, whatever happened to the node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareView:
    """What stands in the import folder, looked at once, and the records of one version."""

    items: tuple[ShareItem, ...]
    records: tuple[ShareRecord, ...]
    """Oldest first."""

    def at(self, path: PureWindowsPath) -> ShareItem | None:
        """Return what stands under a path."""
        return next((item for item in self.items if item.path == path), None)

    def parts_of(self, path: PureWindowsPath) -> tuple[ShareItem, ...]:
        """Return the unfinished forms of a path, the longest first."""
        found = (
            item
            for item in self.items
            if item.path.parent == path.parent and is_unfinished(item.path.name, path.name)
        )
        return tuple(sorted(found, key=lambda item: item.size_bytes, reverse=True))

    def others(self, ours: Iterable[str]) -> tuple[tuple[str, int], ...]:
        """Return what stands in the import folder itself under other names than these, with its size.

        Args:
            ours: Names; what goes on with a dot or a hyphen after one of them is ours as well.
        """
        names = tuple(ours)
        beginnings = tuple(f"{name}{mark}" for name in names for mark in ".-")
        sizes: dict[str, int] = {}
        for item in self.items:
            name = item.path.relative_to(IMPORT_FOLDER).parts[0]
            if name not in (RECORDS_FOLDER.name, *names) and not name.startswith(beginnings):
                sizes[name] = sizes.get(name, 0) + item.size_bytes
        return tuple(sorted(sizes.items()))

    def outcomes(self, step: ImportStep, delivery: str) -> list[Outcome]:
        """Return how often and how far a step of a delivery was, oldest first."""
        return [
            record.outcome
            for record in self.records
            if (record.step, record.delivery) == (step, delivery)
        ]

    def knows(self, path: PureWindowsPath) -> bool:
        """Whether a record is about this path."""
        return any(PureWindowsPath(record.path) == path for record in self.records)

    def safety_of(self, path: PureWindowsPath) -> Safety:
        """Return what the records tell of the copy that left an unfinished form of a path."""
        told = Safety()
        for record in self.records:
            if record.step is ImportStep.COPY and PureWindowsPath(record.path) == path:
                told = Safety(
                    node=record.node,
                    booted_at=record.facts.get(BOOTED_AT, ""),
                    flushed_bytes=int(record.facts.get(FLUSHED, 0)),
                )
        return told

    def is_verified(self, item: ShareItem, signed: str, *, site_id: str) -> bool:
        """Whether a record of this site says that a node hashed this file, which has not changed since."""
        return any(
            (record.step, record.outcome) == (ImportStep.VERIFY, Outcome.DONE)
            and (record.site_id, record.sha256) == (site_id, signed)
            and PureWindowsPath(record.path) == item.path
            and record.size_bytes == item.size_bytes
            and record.facts.get("written_at") == item.written_at
            for record in self.records
        )

    def expansion_of(self, folder: PureWindowsPath, signed: str) -> ShareRecord | None:
        """Return the last record that says that what a folder holds, by names and lengths, was expanded from signed bytes."""
        if self.at(folder) is None:
            return None
        content = digest_of(self.items, folder)
        fitting = (
            record
            for record in reversed(self.records)
            if PureWindowsPath(record.path) == folder
            and (record.step, record.outcome) == (ImportStep.EXPAND, Outcome.DONE)
            and (record.sha256, record.facts.get("content")) == (signed, content)
        )
        return next(fitting, None)


def token_file(number: int, ending: str = "json") -> PureWindowsPath:
    """Return the file of a token, or the one (`left`) that says that its holder has ended."""
    return RECORDS_FOLDER / f"token-{number:07}.{ending}"


def newest_token(names: Iterable[str]) -> tuple[int, bool]:
    """Return the highest token among names, and whether its holder has ended; 0: there is none."""
    found = [match for name in names if (match := _TOKEN.match(name))]
    highest = max((int(match[1]) for match in found if match[2] == "json"), default=0)
    return highest, any((int(match[1]), match[2]) == (highest, "left") for match in found)


def records_folder(version: SolutionVersion) -> PureWindowsPath:
    """Return the folder of the records of a version."""
    return RECORDS_FOLDER / str(version)


def unfinished(name: str, token: int, number: int | None = None) -> str:
    """Return the name under which a token's holder writes something until it is whole."""
    attempt = "" if number is None else f".{number:04}"
    return f"{name}.t{token:07}{attempt}.part"


def is_unfinished(found: str, name: str) -> bool:
    """Whether a name is the unfinished form of another, whoever wrote it."""
    return re.fullmatch(re.escape(name) + _PART, found, re.IGNORECASE) is not None


def digest_of(items: Iterable[ShareItem], folder: PureWindowsPath) -> str:
    """Return one digest over names and lengths of the files below a folder."""
    rows = sorted(
        (str(item.path.relative_to(folder)).casefold(), item.size_bytes)
        for item in items
        if not item.is_folder and item.path.is_relative_to(folder)
    )
    return sha256(json.dumps(rows).encode()).hexdigest()
