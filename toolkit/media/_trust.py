"""What the site remembers: the pinned root, the newest metadata it accepted, and the time floor.

::

    <site>/trust/root.json     the root as it was pinned; never changes
                 state.json    newest accepted metadata and the time floor, replaced by one rename
                 lock          held while a medium is judged

The metadata are kept in one file so that a crash can never leave half of a newer state behind: TUF's own
client writes its files one by one, and a medium found incomplete after its timestamp was stored would
make every good older medium look like a rollback.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from toolkit.errors import InputError, SignatureError, TrustError, misread
from toolkit.filesystem import read_regular, refuse_pipe
from toolkit.media._device import on_storage, write_durably
from toolkit.media._keys import (
    as_instant,
    fingerprint,
    issue_time,
    read_fingerprint,
    read_root,
)
from toolkit.media._lock import one_at_a_time

ROOT_FILE = "root.json"
STATE_FILE = "state.json"
LOCK_FILE = "lock"
_LOCK_TIMEOUT_S = 30
_STATE_LIMIT_BYTES = 64 << 20
"""All metadata of a medium as text, and the chain of roots."""
_JOURNAL_LINE_BYTES = 1 << 20
_IMPORTED = re.compile(rb'"subject": "import [^"]*", "step": "(?:copy |submit)')
"""In a line of the site's journal: what only an accepted medium leaves."""
_PIN_AGAIN = (
    "where one was pinned, restore it from a backup; else pin it in a new directory: "
    "ferry site init NEW-SITE --root root.json --fingerprint …"
)
OUTRUN = (
    "replace two keys (ferry trust rotate-key timestamp, then snapshot) and write media that are valid beyond that "
    "date (--valid-days)"
)
"""What home has to do for a site whose time floor is still to come.

Source: TUF specification, client workflow 5.3.11 (recovery from a fast-forward attack); the floor is ours.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustState:
    """The memory of a site; a new one has seen nothing yet."""

    metadata: Mapping[str, bytes]
    """File name in TUF's client layout → bytes as accepted."""
    floor: datetime
    """It is at least this late: the newest issue time that a trusted key ever signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Everything by which a medium is judged."""

    root: bytes
    state: TrustState


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What a site remembers of the media it accepted, in short; for the publisher of the next one."""

    floor: datetime
    versions: Mapping[str, int]
    """Role (`root`, `timestamp`, `snapshot`, `targets`) → the version accepted last."""


def pin_root(trust_dir: Path, root_bytes: bytes, expected_fingerprint: str) -> None:
    """Make a root the one this site believes, once.

    Args:
        trust_dir: On the site's own disk; made if missing.
        root_bytes: A root.json, from anywhere.
        expected_fingerprint: As it reached the site by another way than the medium.

    Raises:
        TrustError: The fingerprint differs, or another root is pinned already.
        SignatureError: The root is not signed by its own keys.
        InputError: Not a root.json, or not a fingerprint.
        StorageError: The folder cannot be written.
    """
    expected = read_fingerprint(expected_fingerprint)
    found = fingerprint(root_bytes)
    if found != expected:
        raise TrustError(
            "pin the root",
            found=f"fingerprint {found}",
            expected=expected,
            hint="do not go on: ask the publisher for the fingerprint again, by voice or on paper",
        )
    read_root(root_bytes, file=ROOT_FILE)
    with on_storage(f"pin the root in {trust_dir}"):
        trust_dir.mkdir(parents=True, exist_ok=True)
        pinned = trust_dir / ROOT_FILE
        if pinned.exists() and (known := read_regular(pinned)) != root_bytes:
            raise TrustError(
                "pin the root",
                found=f"this site already trusts {fingerprint(known)}",
                expected=found,
                hint="a site believes one root for its whole life; use a new site directory",
            )
        write_durably(pinned, root_bytes)


def new_trust(root_bytes: bytes, *, file: str = ROOT_FILE) -> Trust:
    """Return the trust of a place that has pinned a root and seen no medium yet.

    Raises:
        InputError: Not a root.json.
        SignatureError: The root is not signed by its own keys.
    """
    floor = issue_time(read_root(root_bytes, file=file))
    return Trust(root=root_bytes, state=TrustState(metadata={}, floor=floor))


def load_trust(trust_dir: Path) -> Trust:
    """Return what the site believes and remembers.

    Raises:
        TrustError: No root was pinned here, or what stands there is not signed by its own keys.
        InputError: The root or the memory is damaged; the memory is never reset silently, it guards against rollback.
        StorageError: It cannot be read.
    """
    with on_storage(f"read the trust state in {trust_dir}"):
        if not (trust_dir / ROOT_FILE).is_file():
            raise TrustError(
                f"read the trusted root in {trust_dir}",
                found="no root is pinned here",
                hint=_PIN_AGAIN,
            )
        root = read_regular(trust_dir / ROOT_FILE)
        path = trust_dir / STATE_FILE
        saved = read_regular(path, limit_bytes=_STATE_LIMIT_BYTES) if path.exists() else None
    try:
        fresh = new_trust(root, file=str(trust_dir / ROOT_FILE))
    except (InputError, SignatureError) as error:
        error.hint = _PIN_AGAIN
        raise
    if saved is None:
        return fresh
    try:
        state = _read_state(saved)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            "read the trust state",
            file=str(path),
            found=misread(error),
            hint="restore it from a backup; without it an old medium could be passed off as new",
        ) from error
    return Trust(
        root=root,
        state=TrustState(metadata=state.metadata, floor=max(state.floor, fresh.state.floor)),
    )


def may_have_forgotten(trust_dir: Path, trust: Trust) -> str:
    """Return a warning if a site that has imported already remembers no medium; empty: it is well.

    Raises:
        InputError: The journal is a pipe or a device.
        OSError: It cannot be looked at.
    """
    if trust.state.metadata or not _has_imported(trust_dir.parent / "journal.jsonl"):
        return ""
    return (
        f"this site remembers no medium (no {trust_dir / STATE_FILE}): it cannot tell an older one from the newest. "
        "If it accepted one before, restore that file from a backup first"
    )


def _has_imported(journal: Path) -> bool:
    try:
        refuse_pipe(journal)
    except FileNotFoundError:
        return False
    with journal.open("rb") as file:
        return any(map(_IMPORTED.search, iter(lambda: file.readline(_JOURNAL_LINE_BYTES), b"")))


def recall(trust_dir: Path) -> Remembered:
    """Return the time floor and the metadata versions a site has accepted; a new one knows its root.

    Raises:
        TrustError: No root was pinned here.
        InputError: The memory is damaged.
        StorageError: It cannot be read.
    """
    trust = load_trust(trust_dir)
    versions = {"root": read_root(trust.root, file=ROOT_FILE).version}
    for name, data in trust.state.metadata.items():
        role = name.rpartition("/")[2].split(".")[-2]  # targets.json, root_history/2.root.json
        try:
            version = int(json.loads(data)["signed"]["version"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                "read the trust state",
                file=str(trust_dir / STATE_FILE),
                place=name,
                found=misread(error),
                hint="restore it from a backup",
            ) from error
        versions[role] = max(version, versions.get(role, 0))
    return Remembered(floor=trust.state.floor, versions=versions)


def save_state(trust_dir: Path, state: TrustState) -> None:
    """Remember an accepted medium, by one rename.

    Raises:
        StorageError: The disk is full or write-protected.
    """
    document = {
        "format": 1,
        "kind": "ferry-trust-state",
        "floor": as_instant(state.floor),
        "metadata": {name: data.decode() for name, data in sorted(state.metadata.items())},
    }
    with on_storage(f"save the trust state in {trust_dir}"):
        write_durably(trust_dir / STATE_FILE, (json.dumps(document, indent=1) + "\n").encode())


def _read_state(data: bytes) -> TrustState:
    document = json.loads(data)
    if document["format"] != 1 or document["kind"] != "ferry-trust-state":
        raise ValueError("another kind or format")
    return TrustState(
        metadata={str(name): str(text).encode() for name, text in document["metadata"].items()},
        floor=datetime.strptime(document["floor"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
    )


@contextlib.contextmanager
def trust_lock(trust_dir: Path) -> Iterator[None]:
    """Let one process judge media for a site at a time.

    Raises:
        TrustError: No root was pinned here.
        StorageError: Another process holds the lock, or it cannot be taken.
    """
    if not (trust_dir / ROOT_FILE).is_file():
        load_trust(trust_dir)  # says so
    with one_at_a_time(
        trust_dir / LOCK_FILE,
        attempted=f"lock the trust state in {trust_dir}",
        busy="another ferry is judging a medium",
        timeout_s=_LOCK_TIMEOUT_S,
    ):
        yield
