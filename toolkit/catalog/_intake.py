"""How one payload gets in: measured, judged, named by its SHA-256, hung on its shelf, recorded last.

Bytes come here from a download, from a file somebody gave, or from an earlier ferry; what is there already
is believed by its size and time, and measured again when these differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from toolkit.catalog._gate import SET_ASIDE
from toolkit.catalog._hashing import Measured, measure
from toolkit.catalog._judging import Found, Wanted, explanation, judged
from toolkit.catalog._records import Record
from toolkit.catalog._shelf import Shelf
from toolkit.catalog._storage import storage
from toolkit.catalog._store import Store
from toolkit.errors import DigestError, InputError, StorageError
from toolkit.filesystem import sync_file
from toolkit.model import (
    FileVerdict,
    HeldPayload,
    Judgement,
    Progress,
    Sha256,
    Stance,
    Statement,
    StatementKind,
)


class Intake:
    """The door of a catalog."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        """Let payloads into `store`; `now` is the time, aware UTC."""
        self._store, self._now = store, now

    def judged(self, wanted: Wanted, found: Found, progress: Progress) -> Judgement:
        """Weigh what all witnesses say of a file: the one place where that is asked."""
        with storage(f"read {found.path}"):
            return judged(wanted, found, progress)

    def present(self, wanted: Wanted, progress: Progress) -> HeldPayload | None:
        """Return the payload if its bytes are there; they are measured only if they were touched.

        Raises:
            DigestError: Bytes stand under this name that are not what it says.
        """
        payload = wanted.payload
        record, digest = self._known(wanted)
        if digest is None:
            return None
        path = self._store.object(digest)
        with storage(f"read {path}"):
            facts = path.stat() if path.exists() else None
        if facts is None:
            return self._taken_over(wanted, record, progress)
        if record is not None and record.held.sha256 != digest:
            record = None
        statements = without_measurement(record.held) if record else ()
        if (
            record is not None
            and record.held.judgement.verdict is not FileVerdict.BAD
            and record.is_untouched(path)
        ):
            statements = record.held.judgement.statements
        else:
            with storage(f"read {path}"):
                measured = measure(path, what=f"check {payload.name}", progress=progress)
            if measured.sha256 != digest:
                self._set_stray_aside(path, payload.name, measured, digest, progress)
                return None
            statements = (*statements, self.measured_again())
        found = Found(path=path, sha256=digest, size_bytes=facts.st_size, statements=statements)
        judgement = self.judged(wanted, found, progress)
        if judgement.verdict is FileVerdict.BAD:
            raise DigestError(
                f"use {payload.name}", found="; ".join(judgement.reasons), hint=SET_ASIDE
            )
        return self.keep(wanted, found, judgement, progress)

    def is_held(self, wanted: Wanted) -> bool:
        """Whether bytes are there under the payload's hash; what they are is not looked at."""
        _, digest = self._known(wanted)
        if digest is None:
            return False
        path = self._store.object(digest)
        with storage(f"read {path}"):
            return path.exists()

    def _known(self, wanted: Wanted) -> tuple[Record | None, Sha256 | None]:
        """Return the payload's record, and the hash that its bytes must have: pinned, else recorded."""
        record = self._store.record(wanted.shelf, wanted.payload.name)
        return record, wanted.must_be or (record.held.sha256 if record else None)

    def _set_stray_aside(
        self, path: Path, name: str, found: Measured, digest: Sha256, progress: Progress
    ) -> None:
        """Set bytes aside that are not what they are named by, if nothing was recorded of them.

        Raises:
            DigestError: A record refers to them; a person decides.
        """
        with self._store.changing(progress):
            if any(record.held.sha256 == digest for record in self._store.records()):
                raise _changed(path, found.sha256, digest, SET_ASIDE)
            text = explanation(
                f"set aside {self._now().isoformat(timespec='seconds')}, of no record",
                expected=digest,
                sha256=found.sha256,
                size_bytes=found.size_bytes,
            )
            explained = self._store.set_aside(path, name, found.sha256, text)
        progress.say(f"{name}: damaged bytes without a record were set aside: {explained}")

    def _taken_over(
        self, wanted: Wanted, record: Record | None, progress: Progress
    ) -> HeldPayload | None:
        """Take a file that is there under another name, once it is proven to be the wanted one.

        That is what an earlier ferry left on the shelf, and what went to quarantine under a hash that a
        person has reviewed since.
        """
        if wanted.must_be is None:
            return None
        name = wanted.payload.name
        shelved = self._store.shelf(wanted.shelf) / name
        for path in (shelved, self._store.quarantined(name, wanted.must_be)[0]):
            with storage(f"read {path}"):
                if not path.is_file():
                    continue
                measured = measure(path, what=f"check {name}", progress=progress)
            if measured.sha256 == wanted.must_be:
                found = found_of(path, measured, (self.measured_again(),), is_deep=True)
                judgement = self.judged(wanted, found, progress)
                if judgement.verdict is not FileVerdict.BAD:
                    return self.keep(wanted, found, judgement, progress)
            elif path == shelved and record is None:  # no link to bytes that were pinned before
                hint = "it was changed after the download; move it away and download again"
                raise _changed(path, measured.sha256, wanted.must_be, hint)
        return None

    def keep(
        self, wanted: Wanted, found: Found, judgement: Judgement, progress: Progress
    ) -> HeldPayload:
        """Name the bytes by their SHA-256, hang them on their shelf, and record them last."""
        payload, store = wanted.payload, self._store
        path = store.object(found.sha256)
        with storage(f"read {path}"):
            if path != found.path and path.exists():
                there = measure(path, what=f"check {payload.name}", progress=progress)
                if there.sha256 != found.sha256:
                    self._set_stray_aside(path, payload.name, there, found.sha256, progress)
        with store.changing(progress):
            if path != found.path:
                store.place(found.path, found.sha256)
            before = store.record(wanted.shelf, payload.name)
            if before is not None and before.held.sha256 != found.sha256:
                store.forget(before)
                before = None
            store.show(wanted.shelf, payload.name, found.sha256)
            accepted = before.held.acceptance if before else None
            held = HeldPayload(
                version=Shelf.parse(wanted.shelf).version,
                shelf=wanted.shelf,
                name=payload.name,
                kind=payload.kind,
                url=payload.url,
                path=path,
                size_bytes=found.size_bytes,
                sha256=found.sha256,
                witnesses=payload.witnesses,
                judgement=judgement,
                acceptance=accepted if judgement.verdict is FileVerdict.UNPROVEN else None,
            )
            with storage(f"read {path}"):
                modified_ns = path.stat().st_mtime_ns
            record = Record(
                held=held,
                modified_ns=modified_ns,
                verified_at=self._now(),
                siblings=wanted.siblings,
            )
            if before is None or replace(before, verified_at=record.verified_at) != record:
                store.write(record)
        return held

    def measured_again(self) -> Statement:
        return Statement(
            kind=StatementKind.MEASUREMENT,
            stance=Stance.FOR,
            text="measured again: the same SHA-256",
            source="this catalog",
            seen_on=self._now().date(),
        )

    def bring(self, source: Path, draft: Path, progress: Progress) -> Measured:
        """Have a file's bytes stand at `draft`, linked or copied, and measure them."""
        with storage(f"read {source}"):
            if not self._store.link(source, draft):
                return self._store.copy(source, draft, progress=progress)
            sync_file(draft)
            before = draft.stat()
            measured = measure(draft, what=f"check {source.name}", progress=progress)
            after = draft.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise StorageError(
                f"add {source}",
                found="it was changed while it was read",
                hint="wait until whoever writes it has ended",
            )
        return measured

    def check_same(
        self, attempted: str, source: Path, held: HeldPayload, progress: Progress
    ) -> None:
        """Refuse a file that has the name of a held one and other bytes."""
        with storage(f"read {source}"):
            found = measure(source, what=f"check {source.name}", progress=progress)
        if found.sha256 != held.sha256:
            raise DigestError(
                attempted,
                found=f"{found.size_bytes} bytes, sha256 {found.sha256}",
                expected=f"sha256 {held.sha256}, held already",
                hint="nothing was added, and what is held stays: this file is another one or damaged",
            )

    def check_replacement(
        self,
        attempted: str,
        wanted: Wanted,
        found: Found,
        judgement: Judgement,
        progress: Progress,
    ) -> None:
        """Never let a less certain file take a proven one's place, nor any silently."""
        record = self._store.record(wanted.shelf, wanted.payload.name)
        if record is None or record.held.sha256 == found.sha256:
            return
        held = record.held
        if (
            held.judgement.verdict is FileVerdict.PROVEN
            and judgement.verdict is not FileVerdict.PROVEN
        ):
            raise InputError(
                attempted,
                found=f"{judgement.verdict.value}, sha256 {found.sha256}",
                expected=f"sha256 {held.sha256}, held here as proven",
                hint="nothing was added; if that one is not wanted any more: "
                f'ferry catalog prune --version "{held.shelf}/{held.name}"',
            )
        progress.say(f"{held.name}: takes the place of another, sha256 {held.sha256}")


def _changed(path: Path, found: Sha256, expected: Sha256, hint: str) -> DigestError:
    return DigestError(
        f"use {path}", found=f"sha256 {found}", expected=f"sha256 {expected}", hint=hint
    )


def found_of(
    path: Path,
    measured: Measured | HeldPayload,
    statements: tuple[Statement, ...] = (),
    *,
    is_deep: bool = False,
) -> Found:
    return Found(
        path=path,
        sha256=measured.sha256,
        size_bytes=measured.size_bytes,
        statements=statements,
        is_deep=is_deep,
    )


def without_measurement(held: HeldPayload) -> tuple[Statement, ...]:
    statements = held.judgement.statements
    return tuple(said for said in statements if said.kind is not StatementKind.MEASUREMENT)
