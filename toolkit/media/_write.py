"""Writing one set: read, hash, write, flush, rename, read back; interrupted anywhere, finished later.

Theory of operation. `writing.json` is the first file of a set: it fixes identity, times and payloads, so
that the same command finds its unfinished set again and ends with the same bytes. Every file is written
beside its name and flushed; its hash is noted in `writing.json`, and then the file is
renamed. What stands under its name is kept; without a note it is hashed first. Parity follows. When all payloads are on the
medium, they are read back past the page cache: a counterfeit, which claims more room than it has, gives early bytes
back until late ones are written over them. What was hashed then, by block, too, is signed; metadata and manifests are
written and read back. Then the finished `writing.json` is renamed to `complete.json`: one step ends the writing.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from toolkit import __version__
from toolkit.errors import DigestError, InputError, SignatureError, StorageError
from toolkit.filesystem import largest_file_bytes, sync_folder
from toolkit.media import _bag
from toolkit.media._device import (
    BlockHash,
    Measured,
    NotRegularError,
    ReadMethod,
    StreamDigest,
    copy_durably,
    free_bytes,
    measure,
    on_storage,
    weakest,
    write_durably,
)
from toolkit.media._encryption import Decrypting
from toolkit.media._identity import is_supplement
from toolkit.media._keys import SigningKeys, as_instant, fingerprint
from toolkit.media._layout import (
    ENCRYPTED_ENDING,
    METADATA_ROOM_BYTES,
    RESERVE,
    SEGMENT,
    Layout,
    MediumSize,
    Part,
    lay_out,
)
from toolkit.media._leaflet import leaflet
from toolkit.media._lock import alone_on_medium, measuring_alone
from toolkit.media._medium import Medium
from toolkit.media._names import check_file_name, check_set_name, check_together
from toolkit.media._parity import (
    Parity,
    make_parity,
    parity_bytes,
    parity_folder,
)
from toolkit.media._place import check_place
from toolkit.media._regain import (
    holds_targets,
    is_contradicted,
    is_under_way,
    regain,
    regain_supplement,
)
from toolkit.media._report import Verdict, write_anew
from toolkit.media._set import (
    BAG_DECLARATION,
    COMPLETE,
    PAYLOAD,
    SBE_SHELF,
    SET_PATH,
    TUF,
    WRITING,
    Intent,
    Noted,
    SetFile,
    SetPiece,
    SetPlan,
    as_rows,
    find_set_folders,
    read_noted,
    read_small,
    root_of_medium,
)
from toolkit.media._set_key import (
    SetKey,
    lost_key,
    new_key,
    read_key,
    read_recipients,
    store_key,
)
from toolkit.media._sign import PlacedPayload, sign_set
from toolkit.media._speed import Speed, human_speed, slow_warnings
from toolkit.media._spread import (
    Signed,
    Spread,
    as_stored,
    blocks_of,
    changed_in_catalog,
    changed_since_measured,
    find_spread,
    is_kept,
    make_spread,
    parts_of,
)
from toolkit.media._trust import new_trust
from toolkit.media._verify import check_set
from toolkit.model import HeldPayload, Progress, Sha256, Silent, TargetName

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""No I, O, 0 or 1: the name is read aloud."""
_logger = logging.getLogger(__name__)


def write_medium(
    root: Path,
    payloads: Sequence[HeldPayload],
    *,
    keys: SigningKeys,
    expires_at: datetime,
    set_name: str | None = None,
    media: Sequence[MediumSize] = (),
    number: int | None = None,
    book: Path | None = None,
    parity: Parity | None = None,
    custody_key: str = "",
    before_write: Callable[[Sequence[HeldPayload]], None] | None = None,
    recipients: Sequence[str] = (),
    progress: Progress | None = None,
    now: datetime | None = None,
) -> Medium:
    """Write one medium of a signed set and read it back; the same call goes on after an interruption.

    A set that fits one medium in whole files is read once, hashed while it is written. One that must be
    cut or spread is measured and signed first, and kept in `book` until its last medium is complete.

    Args:
        root: Root of the medium, or one set folder on it; never made, so that an absent drive or mount is
            noticed.
        payloads: What to carry, as the catalog holds it.
        keys: Opened publisher keys.
        expires_at: Valid until (aware, UTC); not later than the root's own expiry.
        set_name: Name of the set folder; by default one is made from release and a random ending.
        media: What each medium of the set holds; by default there is one, this one.
        number: Which of them to write; by default the one begun here, else the first not complete.
        book: Where home keeps sets that are cut or spread, and the keys of encrypted ones.
        parity: Parity to write beside the payloads; None: none.
        custody_key: Public key of home's receipts (hex), which the signed metadata vouch for.
        before_write: Called with the payloads that this medium will carry, before the first of them is
            written, and not for a medium that is complete; what it raises ends the writing.
        recipients: Whom the payloads are encrypted for, in the age format (`age1…`); none: not encrypted.
        progress: Told of every step.
        now: The time of issue; the clock by default.

    Returns:
        The medium, opened as a site that pinned the first root would open it. A set that was already
        complete with the same payloads is read as `Medium.verify` reads it, and nothing is written.

    Raises:
        DigestError: A file of the catalog is no longer what was held, or a set that was complete is not what
            was written.
        StorageError: Medium missing, full, write-protected, of a too small file system, holding
            another set of that name, or not returning what was written.
        InputError: Nothing to write, names that may not stand on a medium, impossible times, or what is
            no recipient.
    """
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    progress = progress or Silent()
    _check_request(payloads, keys, expires_at=expires_at, now=now)
    _check_names(payloads, is_encrypted=bool(recipients))
    if set_name is not None:
        check_set_name(set_name)
    wanted = _Wanted(
        payloads={_target(held): held for held in payloads},
        keys=keys,
        expires_at=expires_at.replace(microsecond=0),
        set_name=set_name,
        parity=parity,
        custody_key=custody_key,
        recipients=read_recipients(recipients),
        now=now,
    )
    with on_storage(f"write a medium at {root}"), contextlib.ExitStack() as alone:
        place = check_place(root)
        named, root = root.resolve(), root_of_medium(root)
        alone.enter_context(alone_on_medium(root, attempted=f"write a medium at {root}"))
        sizes = tuple(media) or (MediumSize(largest_file_bytes=largest_file_bytes(root)),)
        layout = lay_out(wanted.payloads, sizes, is_encrypted=bool(wanted.recipients))
        if number is not None and number > len(layout.media):
            raise InputError(
                f"write medium {number}",
                found=f"a set of {len(layout.media)} media",
                hint="`ferry media plan` shows what lies on which",
            )
        if layout.is_simple:
            folder, intent, signed = _begin(root, wanted, book, among=find_set_folders(named))
            spread = None
        else:
            spread = _spread(root, wanted, layout, book, progress, number=number or 1)
            folder, intent = _begin_one_of(root, wanted, spread, number)
            signed = spread
        was_complete = (folder / COMPLETE).exists()
        if not was_complete:
            progress.say(f"{root}: {place}")
            _tell_others(root, folder, intent, wanted, progress)
            mine = (
                layout.parts  # all on this one
                if signed is None
                else parts_of(signed.plan, intent, wanted.payloads)
            )
            key = _set_key(wanted, intent.set_id, book, signed) if wanted.recipients else None
            writing = _Writing(
                folder, intent, keys, progress, now, signed, parity, custody_key, key
            )
            _write_parts(writing, mine, before_write)
        medium = _opened(
            folder, keys.roots[0], was_complete=was_complete, progress=progress, now=now
        )
        if spread is not None:
            progress.say(_what_next(spread.mark_done(intent.medium)))
    return medium


def write_signed(
    root: Path,
    intent: Intent,
    signed: Signed,
    payloads: Mapping[TargetName, HeldPayload],
    *,
    key: SetKey | None,
    parity: Parity | None,
    before_write: Callable[[Sequence[HeldPayload]], None] | None,
    progress: Progress,
    now: datetime,
) -> Medium:
    """Write a supplement of a set that is signed already, and read it back; the same call goes on.

    Args:
        root: Root of the medium, or one set folder on it; never made.
        intent: Which pieces of which set.
        signed: The set's plan and metadata.
        payloads: Those that the pieces are of, as the catalog holds them.
        key: Of an encrypted set.
        parity: Parity to write beside the pieces; None: none.
        before_write: As of `write_medium`.
        progress: Told of every step.
        now: The time.

    Returns:
        The medium, as `write_medium` returns it.

    Raises:
        DigestError: A file of the catalog is no longer what was held, or a medium that was complete is not
            what was written.
        StorageError: Medium missing, full, write-protected, holding another medium of that set, or not
            returning what was written.
    """
    attempted = f"write a supplement at {root}"
    with on_storage(attempted), contextlib.ExitStack() as alone:
        place = check_place(root)
        root = root_of_medium(root)
        alone.enter_context(alone_on_medium(root, attempted=attempted))
        folder = root / intent.set_name
        here = _read_intent(folder, signed.roots[0]) if folder.is_dir() else None
        if here is None or here.set_id != intent.set_id:
            if here is not None or not regain_supplement(folder, intent, signed):
                _begin_new(root, intent)
        elif here.supplement != intent.supplement:
            raise StorageError(
                f"write {intent.label} at {root}",
                found=f"{here.label}{' with other pieces' if here.supplement else ''}",
                expected="a medium without a folder of this set",
                hint="take another stick, or give a new folder",
            )
        was_complete = (folder / COMPLETE).exists()
        if not was_complete:
            progress.say(f"{root}: {place}")
            parts = parts_of(signed.plan, intent, payloads)
            # all that is signed is there: of the keys only the roots are looked at
            keys = SigningKeys(
                roots=signed.roots,
                signers={},
                expires_at=intent.expires_at,
                issued_at=intent.issued_at,
            )
            writing = _Writing(folder, intent, keys, progress, now, signed, parity, "", key)
            _write_parts(writing, parts, before_write)
        return _opened(
            folder, signed.roots[0], was_complete=was_complete, progress=progress, now=now
        )


def plan_media(
    payloads: Sequence[HeldPayload],
    media: Sequence[MediumSize],
    *,
    recipients: Sequence[str] = (),
) -> Layout:
    """Return what would lie on each medium of a set; nothing is written.

    Raises:
        StorageError: The media hold too little together.
        InputError: Names that may not stand on a medium, or what is no recipient.
    """
    is_encrypted = bool(read_recipients(recipients))
    _check_names(payloads, is_encrypted=is_encrypted)
    return lay_out(
        {_target(held): held for held in payloads},
        tuple(media) or (MediumSize(),),
        is_encrypted=is_encrypted,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a set is to become."""

    payloads: Mapping[TargetName, HeldPayload]
    keys: SigningKeys
    expires_at: datetime
    set_name: str | None
    parity: Parity | None
    custody_key: str
    recipients: tuple[str, ...]
    now: datetime

    def intent(self, root: Path, *, media_count: int = 1) -> Intent:
        """Return a new identity for it; `root` is where its name must be free."""
        held = self.payloads.values()
        newest = max(item.version for item in held if item.version is not None)
        return Intent(
            set_id=str(uuid.uuid4()),
            set_name=self.set_name or _new_name(root, f"{newest.release:04}"),
            issued_at=self.now,
            expires_at=self.expires_at,
            root=fingerprint(self.keys.roots[-1]),
            payloads=_facts(self.payloads),
            media_count=media_count,
            recipients=self.recipients,
        )


def _check_request(
    payloads: Sequence[HeldPayload], keys: SigningKeys, *, expires_at: datetime, now: datetime
) -> None:
    if not payloads:
        raise InputError("write a medium", found="no payload", expected="at least one")
    if expires_at <= now:
        raise InputError(
            "write a medium",
            found=f"valid until {expires_at:%Y-%m-%d}",
            expected="a later day",
            hint="is this machine's clock right? Else give more --valid-days",
        )
    if expires_at > keys.expires_at:
        raise InputError(
            "write a medium",
            found=f"valid until {expires_at:%Y-%m-%d}",
            expected=f"at most {keys.expires_at:%Y-%m-%d}, when the root expires",
            hint="choose fewer --valid-days, or renew the root: ferry trust renew",
        )
    if now < keys.issued_at:
        raise InputError(
            "write a medium",
            found=f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC",
            expected=f"a time after the keys were made ({keys.issued_at:%Y-%m-%d %H:%M} UTC)",
            hint="set the clock; sites refuse a medium that looks older than the last one",
        )


def _check_names(payloads: Sequence[HeldPayload], *, is_encrypted: bool) -> None:
    for held in payloads:
        check_file_name(held.name)
        if held.version is None:
            raise InputError(
                "write a medium",
                found=f"{held.name} of {held.shelf}, with no update it goes with",
                hint="an SBE travels with an update: plan the trip with `ferry catalog plan`",
            )
    ending = ENCRYPTED_ENDING if is_encrypted else ""
    check_together("X" * 13, (f"data/{_target(held)}{ending}" for held in payloads))


def _begin(
    root: Path, wanted: _Wanted, book: Path | None, *, among: Sequence[Path]
) -> tuple[Path, Intent, Signed | Spread | None]:
    """Find this set of whole payloads, complete or unfinished, among those on the medium, or begin it.

    What was signed of it is returned where it stood there although the set no longer said what it is.
    """
    new = wanted.intent(root)
    for folder in among:
        if wanted.set_name not in (None, folder.name):
            continue
        intent = _read_intent(folder, wanted.keys.roots[0])
        if intent is None and holds_targets(folder, wanted.payloads, now=wanted.now):
            signed, intent = regain(folder, new, wanted.keys.roots[0], now=wanted.now)
            return folder, intent, signed
        if intent is None or intent.purpose != new.purpose:
            continue
        if not (folder / COMPLETE).exists() and (
            (folder / SEGMENT).exists()
            or (book is not None and is_kept(book, folder.name, set_id=intent.set_id))
        ):
            continue  # a cut set: it goes on as it was signed, or not at all
        if intent.media_count == 1 and intent.expires_at > wanted.now:
            if is_under_way(folder):
                signed, intent = regain(folder, new, wanted.keys.roots[0], now=wanted.now)
                return folder, intent, signed
            return folder, intent, None
    return (*_begin_new(root, new), None)


def _begin_new(root: Path, intent: Intent) -> tuple[Path, Intent]:
    folder = root / intent.set_name
    if folder.exists() and {item.name for item in folder.iterdir()} - {f"{WRITING}.part"}:
        what = "medium" if intent.supplement else "medium or name (--name)"
        raise StorageError(
            f"write the set {intent.set_name}",
            found=f"{folder} already holds something else",
            expected="no such folder, or this very set unfinished",
            hint=f"take another {what}, or delete that folder if nobody needs it",
        )
    folder.mkdir(exist_ok=True)
    write_durably(folder / WRITING, intent.to_bytes())
    sync_folder(root)
    return folder, intent


def _tell_others(
    root: Path, folder: Path, intent: Intent, wanted: _Wanted, progress: Progress
) -> None:
    """Name what else was begun on this medium for the same payloads: it may be another stick than was meant."""
    for other in find_set_folders(root):
        if other == folder:
            continue
        begun = _read_intent(other, wanted.keys.roots[0])
        label = other.name if begun is None else begun.label
        if (
            holds_targets(other, wanted.payloads, now=wanted.now)
            if begun is None
            else begun.payloads == intent.payloads and not (other / COMPLETE).exists()
        ):
            progress.say(
                f"warning: {root} also holds {label}, unfinished, with the same payloads: is it the "
                "right medium? What was begun stays, and takes room, until `ferry media erase`"
            )


def _spread(
    root: Path,
    wanted: _Wanted,
    layout: Layout,
    book: Path | None,
    progress: Progress,
    *,
    number: int,
) -> Spread:
    """Find the set as home keeps it, or measure, sign and keep it, if its medium `number` fits here."""
    if book is None:
        cut = next(part for part in layout.parts if not part.is_whole or part.medium > 1)
        raise StorageError(
            f"write {cut.held.name} at {root}",
            found=f"it has {cut.held.size_bytes} bytes and does not fit in one piece",
            expected="a place to keep a set that is cut or spread",
            hint="format the medium as exFAT or NTFS, or take a larger one",
        )
    book.mkdir(parents=True, exist_ok=True)
    new = wanted.intent(book, media_count=len(layout.media))

    def known() -> Spread | None:
        return find_spread(book, new, layout.media, set_name=wanted.set_name, now=wanted.now)

    if (found := known()) is not None:
        return found
    attempted = f"write the set {new.set_name}"
    with measuring_alone(book, attempted=attempted):
        if (found := known()) is not None:  # another ferry has made it just now
            return found
        if (book / new.set_name).exists():
            raise StorageError(
                attempted,
                found=f"home keeps another set of that name in {book}",
                hint="choose another --name",
            )
        first = [part for part in layout.parts if part.medium == number]
        _require_room(root, new.set_name, first, wanted.parity)  # before an hour of measuring
        return make_spread(
            book, new, layout, wanted.keys, custody_key=wanted.custody_key, progress=progress
        )


def _begin_one_of(
    root: Path, wanted: _Wanted, spread: Spread, number: int | None
) -> tuple[Path, Intent]:
    """Find the medium of this set that was begun here, or begin the next one."""
    plan = spread.plan
    folder = root / plan.set_name
    here = _read_intent(folder, wanted.keys.roots[0]) if folder.is_dir() else None
    if here is None and holds_targets(folder, wanted.payloads, now=wanted.now):
        _, here = regain(folder, spread.intent, wanted.keys.roots[0], now=wanted.now)
    if here is not None and here.set_id == plan.set_id and not here.supplement:
        if number not in (None, here.medium):
            raise StorageError(
                f"write medium {plan.label(number or 0)} at {root}",
                found=f"this is medium {plan.label(here.medium)}",
                hint="plug in another one, or give another folder",
            )
        return folder, here
    if number is None and not spread.open_numbers:
        raise InputError(
            f"write a medium at {root}",
            found=f"every medium of {plan.set_name} is written: {plan.media_count} of these sizes",
            hint=f"for a spare copy of one: --name {plan.set_name} with --medium; for a new set: --name with a "
            "name of your own",
        )
    number = number or spread.open_numbers[0]
    return _begin_new(root, replace(spread.intent, medium=number))


def _set_key(
    wanted: _Wanted, set_id: str, book: Path | None, signed: Spread | Signed | None
) -> SetKey:
    """Return the key of an encrypted set; the first writing of a set of whole payloads makes it.

    What the unfinished set says of itself is not believed: it may choose no recipients.
    """
    if book is None:
        raise InputError(
            "encrypt a set",
            found="no place at home to keep its key",
            expected="one: the same bytes are written again with it after an interruption",
        )
    key = read_key(book, set_id=set_id)
    if key is None and signed is None:
        key = new_key(set_id, wanted.recipients)
        book.mkdir(parents=True, exist_ok=True)
        store_key(book, key)
    if (
        key is None
        or key.encryption.recipients != wanted.recipients
        or (signed is not None and signed.plan.encryption != key.encryption)
    ):
        raise lost_key(book, set_id=set_id)
    return key


def _what_next(spread: Spread) -> str:
    if not spread.open_numbers:
        return f"the whole set {spread.plan.set_name} is written"
    return (
        "next: plug in another medium and run the same command again, for "
        f"{spread.plan.label(spread.open_numbers[0])}"
    )


def _write_parts(
    writing: _Writing,
    parts: Sequence[Part],
    before_write: Callable[[Sequence[HeldPayload]], None] | None,
) -> None:
    writing.prepare(parts)
    if before_write is not None:  # last: a scan takes minutes
        before_write(tuple(dict.fromkeys(part.held for part in parts)))
    writing.run(parts)
    writing.progress.say(f"medium {writing.intent.label} is complete, {writing.speeds()}")
    for warning in slow_warnings(writing.reading.bytes_per_s):
        writing.progress.say(f"warning: {warning}")


def _opened(
    folder: Path, root: bytes, *, was_complete: bool, progress: Progress, now: datetime
) -> Medium:
    """Return a medium as a site that pinned this root would open it; one that was complete before is read whole."""
    try:
        medium = Medium(folder, check_set(folder, new_trust(root), now=now))
    except SignatureError as error:
        anew = write_anew(is_supplement=is_supplement(folder))
        error.hint = f"do not use it; {anew}"  # it is our own set, or was
        raise
    if was_complete:
        progress.say(
            f"medium {medium.label} is already complete, valid until {medium.expires_at:%Y-%m-%d}; it is read "
            "whole, nothing is written"
        )
        _require_whole(medium, progress)
    return medium


def _require_whole(medium: Medium, progress: Progress) -> None:
    """Read a medium that was complete before: much can have happened to it since.

    Raises:
        DigestError: Something on it is not what was signed.
        StorageError: Something is missing or cannot be read.
    """
    report = medium.verify(progress)
    if problem := report.problem():
        raise problem
    for warning in report.warnings:
        progress.say(f"warning: {warning}")
    for file in report.having(Verdict.FOREIGN):
        progress.say(f"warning: {file.path} does not belong to the set")
    progress.say(f"medium {medium.label} is whole, every byte of it was read")


@dataclass
class _Writing:
    """One run of writing one medium; what it read back is kept for the record."""

    folder: Path
    intent: Intent
    keys: SigningKeys
    progress: Progress
    now: datetime
    signed: Spread | Signed | None
    """The set's plan and metadata, where they were made before; else they follow from what is written."""
    parity: Parity | None
    custody_key: str
    key: SetKey | None
    """Of an encrypted set."""
    placed: dict[str, Noted] = field(default_factory=dict)
    """What stands on the medium, by path, as it was hashed when it was written."""
    fresh: set[str] = field(default_factory=set)
    """Paths of what this run wrote; what an earlier one noted is not believed before it was read."""
    blocks: Mapping[str, tuple[BlockHash, ...]] = field(default_factory=dict)
    """Of what was signed before, the signed hashes of blocks by path."""
    methods: list[ReadMethod] = field(default_factory=list)
    writing: Speed = field(default_factory=Speed)
    reading: Speed = field(default_factory=Speed)

    def prepare(self, parts: Sequence[Part]) -> None:
        """Clear away what is half, and refuse a medium that cannot take what is missing of `parts`."""
        if self.signed is not None:
            self.blocks = blocks_of(self.signed)
        for left in sorted(self.folder.rglob("*.part")):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        folders = {(self.folder / part.path).parent for part in parts}
        for folder in (*folders, self.folder / "data/plan", self.folder / TUF):
            folder.mkdir(parents=True, exist_ok=True)
        self.placed = self._standing(parts)
        _require_room(self.folder, self.intent.set_name, parts, self.parity)

    def run(self, parts: Sequence[Part]) -> None:
        """Bring the prepared medium to its end from wherever it stands; `parts` are those it carries."""
        while True:
            for part in parts:
                self._place(part)
            bad = [part for part in parts if not self._reads_back(part)]
            if not bad:
                break
            for part in bad:
                _logger.warning("%s is damaged on the medium and is written again", part.path)
                self._discard(part)
        plan, metadata = self._signed(parts)  # nothing is signed that was not read back
        small = self._write_small(plan, metadata)
        self._read_back_small(small)
        self._complete(parts, small)

    def speeds(self) -> str:
        """Return how fast payloads were written and read back, for people."""
        written = (
            f"written with {human_speed(self.writing.bytes_per_s)}"
            if self.fresh
            else "its payloads stood there already"
        )
        return f"{written}, read back with {human_speed(self.reading.bytes_per_s)}"

    def _standing(self, parts: Sequence[Part]) -> dict[str, Noted]:
        """Return what earlier runs finished; what else stands under a part's name is removed."""
        noted = read_noted(read_small(self.folder / WRITING))
        kept = {}
        for part in parts:
            path = self.folder / part.path
            if not path.exists():
                continue
            note = noted.get(part.path)
            if note is None and path.stat().st_size == part.size_bytes:
                note = self._look_at(part)
            if note is not None and self._expected(part) in (None, note.sha256):
                kept[part.path] = note
            else:
                path.unlink()
        return kept

    def _look_at(self, part: Part) -> Noted | None:
        """Hash a part that was not noted; None: it is not what belongs there."""
        found = self._measure(part, "look at", blocks=False)
        if found is None:
            return None
        return Noted(sha256=found.sha256, blocks=(), parity={})

    def _expected(self, part: Part) -> Sha256 | None:
        """Return the hash of a part on the medium; None: known when it was encrypted."""
        if self.signed is not None:
            pieces = (piece for file in self.signed.plan.files for piece in file.pieces)
            return next(piece.sha256 for piece in pieces if piece.path == part.path)
        return part.held.sha256 if self.key is None else None

    def _place(self, part: Part) -> None:
        """Have a part and its parity stand on the medium."""
        path = self.folder / part.path
        if part.path not in self.placed:
            self._copy(part, path)
        note = self.placed[part.path]
        if self.parity is None or note.parity or not part.size_bytes:
            return
        made = make_parity(
            self.parity,
            path,
            parity_folder(self.folder, note.sha256),
            size_bytes=part.size_bytes,
            progress=self.progress,
        )
        self._note(part, replace(note, parity=made))

    def _copy(self, part: Part, path: Path) -> None:
        held = part.held
        if not held.path.is_file():
            raise StorageError(
                f"read {held.path}",
                found="no such file",
                expected=f"{held.name} as the catalog holds it",
                hint="download it again: ferry catalog download",
            )
        of_it = "" if part.is_whole else f" ({path.name})"
        began = self.writing.start()
        self.progress.begin(f"write {held.name}{of_it}", total_bytes=part.size_bytes)
        try:
            with StreamDigest(whole=not self._is_proven_later, blocks=False) as digest:
                is_copied = copy_durably(
                    held.path,
                    path,
                    offset=part.offset,
                    size_bytes=None if part.is_whole else part.size_bytes,
                    digest=digest,
                    accept=lambda: self._accept(part, digest),
                    progress=self.progress,
                    through=as_stored(held, part.target, self.key),
                )
        finally:
            self.progress.end()
        if not is_copied:
            raise self._changed(part)
        self.writing.add(part.size_bytes, since=began)

    def _accept(self, part: Part, digest: StreamDigest) -> bool:
        """Note what was written, if it can be what belongs there."""
        expected = self._expected(part)
        # hashed when it is read back, if that proves it: twice in one pass holds up a fast device
        found = expected if expected is not None and self._is_proven_later else digest.whole()
        if digest.size_bytes != part.size_bytes or expected not in (None, found):
            return False
        self.fresh.add(part.path)
        self._note(part, Noted(sha256=found, blocks=(), parity={}))
        return True

    def _note(self, part: Part, note: Noted) -> None:
        self.placed[part.path] = note
        write_durably(self.folder / WRITING, self._state())

    def _state(self, **completion: object) -> bytes:
        """Return what the set says of itself; `completion` holds what it says once complete only."""
        before = {} if self.signed is None else {"signed": True}
        return self.intent.to_bytes(**before, noted=as_rows(self.placed), **completion)

    def _changed(self, part: Part) -> DigestError:
        if not part.is_whole or self.key is not None:
            return changed_since_measured(part, is_encrypted=self.key is not None)
        found = self._measure_source(part)
        return changed_in_catalog(part.held, size_bytes=found.size_bytes, sha256=found.sha256)

    def _measure_source(self, part: Part) -> Measured:
        self.progress.begin(f"measure {part.held.name}", total_bytes=part.held.size_bytes)
        try:
            return measure(part.held.path, progress=self.progress)
        finally:
            self.progress.end()

    @property
    def _is_proven_later(self) -> bool:
        """Whether a part is whole and plain, so that its published hash proves it when it is read back."""
        return self.signed is None and self.key is None

    def _measure(self, part: Part, what: str, *, blocks: bool) -> Measured | None:
        """Read a part past the page cache; None: it is not what belongs there.

        One that an earlier run wrote is opened, too, if it is encrypted: neither its bytes nor its notes are believed.
        """
        path, expected = self.folder / part.path, self._expected(part)
        is_fresh = part.path in self.fresh
        opening = None
        if expected is None and self.key is not None and not is_fresh:
            held = part.held
            own = self.key.of_payload(part.target, size_bytes=held.size_bytes, sha256=held.sha256)
            opening = Decrypting(own, len)
        self.progress.begin(f"{what} {path.name}", total_bytes=part.size_bytes)
        try:
            found = measure(
                path,
                blocks=blocks,
                progress=self.progress,
                also=None if opening is None else opening.write,
            )
        finally:
            self.progress.end()
        self.methods.append(found.method)
        if found.size_bytes != part.size_bytes or expected not in (None, found.sha256):
            return None
        return found if opening is None or opening.finish() is None else None

    def _reads_back(self, part: Part) -> bool:
        """Read a part and its parity past the page cache and compare them with what was written.

        Raises:
            StorageError: This run wrote it, and other bytes come back.
            DigestError: This run wrote it, and the catalog's file is not what was held.
        """
        note, is_fresh = self.placed[part.path], part.path in self.fresh
        began = self.reading.start()
        found = self._measure(part, "read back", blocks=True)
        self.reading.add(part.size_bytes, since=began)
        is_good = found is not None and found.sha256 == note.sha256
        if is_fresh and not is_good:
            raise self._unreliable(part, note)
        if found is not None and is_good:
            self._take_blocks(part, found.blocks)
        place = parity_folder(self.folder, note.sha256)
        for name, digest in note.parity.items():
            path = place / name
            if path.is_file() and measure(path, progress=Silent()).sha256 == digest:
                continue
            if is_fresh:
                raise _other_bytes(path, digest)
            return False
        return is_good

    def _take_blocks(self, part: Part, found: tuple[BlockHash, ...]) -> None:
        """Have the hashes of blocks of the bytes that were proven, and of no others, signed, or find them signed.

        Raises:
            SignatureError: Others are signed.
        """
        signed = self.blocks.get(part.path, ())
        if signed and signed != found:
            raise SignatureError(
                f"finish {self.intent.label}",
                found=f"what is signed as hashes of the blocks of {part.path} is not what it has",
                expected="signed hashes of the bytes that were published",
                hint=f"do not use it; {write_anew(is_supplement=is_supplement(self.folder))}",
            )
        self.placed[part.path] = replace(self.placed[part.path], blocks=found)

    def _unreliable(self, part: Part, noted: Noted) -> StorageError | DigestError:
        """Return whose fault it is that a part reads back otherwise than it should."""
        source = self._measure_source(part) if self._is_proven_later else None
        if source is not None and source.sha256 != noted.sha256:
            self._discard(part)
            return changed_in_catalog(part.held, size_bytes=source.size_bytes, sha256=source.sha256)
        return _other_bytes(self.folder / part.path, noted.sha256)

    def _discard(self, part: Part) -> None:
        """Remove a part and its parity."""
        noted = self.placed.pop(part.path)
        (self.folder / part.path).unlink()
        shutil.rmtree(parity_folder(self.folder, noted.sha256), ignore_errors=True)

    def _signed(self, parts: Sequence[Part]) -> tuple[SetPlan, Mapping[str, bytes]]:
        """Return the plan and the metadata of the set."""
        if self.signed is not None:
            return self.signed.plan, self.signed.metadata
        placed = [
            PlacedPayload(
                held=part.held,
                target=part.target,
                size_bytes=part.size_bytes,
                sha256=self.placed[part.path].sha256,
                blocks=self.placed[part.path].blocks,
            )
            for part in parts
        ]
        plan = self._plan(parts, placed)
        metadata = sign_set(
            self.keys,
            placed,
            plan.to_bytes(),
            issued_at=plan.issued_at,
            expires_at=plan.expires_at,
            custody_key=self.custody_key,
        )
        return plan, metadata

    def _plan(self, parts: Sequence[Part], placed: Sequence[PlacedPayload]) -> SetPlan:
        """Return the plan of a set of whole payloads on one medium."""
        return self.intent.plan_of(
            (
                SetFile(
                    target=part.target,
                    size_bytes=seen.size_bytes,
                    sha256=seen.sha256,
                    pieces=(
                        SetPiece(
                            path=part.path,
                            medium=1,
                            offset=0,
                            size_bytes=seen.size_bytes,
                            sha256=seen.sha256,
                        ),
                    ),
                )
                for part, seen in zip(parts, placed, strict=True)
            ),
            roots=self.keys.roots,
            encryption=None if self.key is None else self.key.encryption,
        )

    def _write_small(self, plan: SetPlan, metadata: Mapping[str, bytes]) -> dict[str, bytes]:
        """Write everything but payloads and their parity, and return it by path."""
        set_json = plan.to_bytes()
        number = self.intent.medium
        supplement = self.intent.supplement
        pieces = [piece for _, piece in plan.on_medium(number, supplement)]
        listed = {piece.path: piece.sha256 for piece in pieces} | {SET_PATH: _sha256(set_json)}
        tags = {
            BAG_DECLARATION: _bag.DECLARATION,
            _bag.INFO: _bag.bag_info(
                set_id=plan.set_id,
                label=plan.set_name,
                issued_at=plan.issued_at,
                number=number,
                count=plan.media_count,
                sizes=[*(piece.size_bytes for piece in pieces), len(set_json)],
            ),
            _bag.MANIFEST: _bag.manifest(listed),
            **leaflet(
                plan,
                fingerprint=fingerprint(self.keys.roots[0]),
                number=number,
                supplement=supplement,
            ),
            **{f"{TUF}/{name}": data for name, data in metadata.items()},
        }
        tag_manifest = _bag.manifest({path: _sha256(data) for path, data in tags.items()})
        check_together(plan.set_name, [*listed, *tags])
        small = {SET_PATH: set_json, **tags, _bag.TAG_MANIFEST: tag_manifest}
        for path, data in small.items():
            write_durably(self.folder / path, data)
        return small

    def _complete(self, parts: Sequence[Part], small: Mapping[str, bytes]) -> None:
        completion = {
            "completed_at": as_instant(self.now),
            "tool": f"ferry {__version__}",
            "parity_percent": 0 if self.parity is None else self.parity.percent,
            "read_back": {
                "method": weakest(self.methods).value,
                "files": len(small) + len(parts),
                "bytes": sum(part.size_bytes for part in parts) + sum(map(len, small.values())),
                "bytes_per_s": self.reading.bytes_per_s,
            },
        }
        if self.fresh:
            completion["written"] = {
                "bytes": self.writing.size_bytes,
                "bytes_per_s": self.writing.bytes_per_s,
            }
        write_durably(self.folder / WRITING, self._state(**completion))
        (self.folder / WRITING).replace(self.folder / COMPLETE)
        sync_folder(self.folder)

    def _read_back_small(self, files: Mapping[str, bytes]) -> None:
        for path, data in files.items():
            found = measure(self.folder / path)
            self.methods.append(found.method)
            if found.sha256 != _sha256(data):
                raise _other_bytes(self.folder / path, _sha256(data))


def _require_room(
    folder: Path, set_name: str, parts: Sequence[Part], parity: Parity | None
) -> None:
    """Refuse a medium that cannot take what is missing of its parts."""
    attempted = f"write the set {set_name}"
    limit = largest_file_bytes(folder)
    for part in parts:
        if limit is not None and part.size_bytes > limit:
            raise StorageError(
                attempted,
                found=f"{part.path} has {part.size_bytes} bytes",
                expected=f"at most {limit} bytes a file on this file system (FAT)",
                hint="format the medium as exFAT or NTFS"
                if is_supplement(folder)
                else "say --fs fat32 when the set is made, or format the medium as exFAT or NTFS",
            )
    absent = [part for part in parts if not (folder / part.path).exists()]
    missing = sum(part.size_bytes for part in absent)
    if parity is not None:
        missing += sum(parity_bytes(part.size_bytes, parity.percent) for part in absent)
    needed = int(missing * (1 + RESERVE)) + METADATA_ROOM_BYTES
    free = free_bytes(folder)
    if free < needed:
        spread = ", or spread the set over several: --size 32GB --size 32GB"
        raise StorageError(
            attempted,
            found=f"{free} bytes free",
            expected=f"{needed} bytes (payloads, parity, metadata and 2 % reserve)",
            hint="free space, and the same command goes on, or take a larger medium"
            + ("" if is_supplement(folder) else spread)
            + "; of the missing payloads none was written yet",
        )


def _read_intent(folder: Path, root: bytes) -> Intent | None:
    """Return what a set says that it is to become; None: nothing, or once complete something else than was signed.

    Args:
        folder: The set folder.
        root: `1.root.json` of who may have signed it.
    """
    for name in (COMPLETE, WRITING):
        try:
            intent = Intent.from_bytes(read_small(folder / name), file=str(folder / name))
        except (FileNotFoundError, NotRegularError, InputError):
            continue
        return None if name == COMPLETE and is_contradicted(folder, intent, root) else intent
    return None


def _facts(payloads: Mapping[TargetName, HeldPayload]) -> tuple[tuple[str, int, Sha256], ...]:
    return tuple(
        (target.removeprefix(PAYLOAD), held.size_bytes, held.sha256)
        for target, held in sorted(payloads.items())
    )


def _new_name(root: Path, release: str, choose: Callable[[str], str] = secrets.choice) -> str:
    while True:
        name = f"AZL-{release}-" + "".join(choose(_LETTERS) for _ in range(4))
        if not (root / name).exists():
            return name


def _target(held: HeldPayload) -> TargetName:
    """Return a payload's name on a medium.

    The files of an SBE have a folder of their own, named by eight digits that follow from their shelf:
    vendors give their discovery manifest the same name in every SBE, and long family names would make
    paths too long.
    """
    if not held.shelf.startswith(SBE_SHELF):
        return TargetName(f"{PAYLOAD}{held.name}")
    shelf = hashlib.sha256(held.shelf.encode()).hexdigest()[:8]
    return TargetName(f"{PAYLOAD}sbe/{shelf}/{held.name}")


def _other_bytes(path: Path, expected: Sha256) -> StorageError:
    return StorageError(
        f"read back {path}",
        found="other bytes than were written",
        expected=f"sha256 {expected}",
        hint="this medium cannot be relied on (failing, or of counterfeit size); use another",
    )


def _sha256(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())
