"""A supplement: one more medium of a set, with only those pieces that a site found missing or bad.

At the site `find_lacking` reads the media and says what is good on none of them. At home `prepare_supplement`
compares a site's request with what home keeps of the set (see `_home`): everything on the new medium was signed
when the set was made, so no key is needed, and the site has nothing new to decide about trust. `write_supplement`
then writes it as any medium is written.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from toolkit.errors import (
    DigestError,
    ExpiredError,
    InputError,
    SignatureError,
    StorageError,
)
from toolkit.filesystem import read_begin
from toolkit.media._device import on_storage
from toolkit.media._foresight import foresee_supplement
from toolkit.media._home import SETS, SetRecord, find_set_record, signed_folder
from toolkit.media._medium import Medium
from toolkit.media._names import SUPPLEMENT
from toolkit.media._parity import Parity
from toolkit.media._receipts import metadata_digest
from toolkit.media._repair import is_good, read_repaired
from toolkit.media._report import BAD, FileReport, Verdict
from toolkit.media._set import (
    COMPLETE,
    TUF,
    Intent,
    SetPiece,
    SetPlan,
    find_place,
    read_small,
)
from toolkit.media._set_key import SetKey, lost_key, read_key
from toolkit.media._several import Examined, examine_media
from toolkit.media._spread import Signed, read_metadata
from toolkit.media._supplement_request import (
    AskedPiece,
    SupplementRequest,
    read_supplement_request,
)
from toolkit.media._trust import new_trust
from toolkit.media._verify import Checked, check_set
from toolkit.media._write import write_signed
from toolkit.model import HeldPayload, Progress, Sha256, Silent, SolutionVersion, Target
from toolkit.signed import LIMIT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """What a site lacks of one set."""

    set_id: str
    set_name: str
    metadata: Sha256
    pieces: tuple[AskedPiece, ...]
    """What is good on no medium that was named."""
    repairable: tuple[str, ...]
    """Paths among them that have parity, which may make a trip needless."""
    other_files: tuple[str, ...]
    """What else is missing or bad: no piece of a payload, and not needed for an import."""
    unfinished: tuple[str, ...]
    """Labels of media without a `complete.json` that can be read, on which an import insists."""
    not_named: tuple[str, ...]
    """Labels of the set's media that were not looked at, and whose pieces are not good elsewhere."""

    def request(self, *, site_id: str, now: datetime | None = None) -> SupplementRequest:
        """Return what home is asked for."""
        return SupplementRequest(
            request_id=str(uuid.uuid4()),
            made_at=(now or datetime.now(UTC)).replace(microsecond=0),
            site_id=site_id,
            set_id=self.set_id,
            set_name=self.set_name,
            metadata=self.metadata,
            pieces=self.pieces,
        )


def find_lacking(
    roots: Sequence[Path],
    trust_dir: Path,
    *,
    whole_set: bool = False,
    progress: Progress | None = None,
) -> Lacking:
    """Read media of one set whole, as `media verify` does, and return what is good on none of them.

    Args:
        roots: Media of the set, its supplements, and folders that `repair_medium` made.
        trust_dir: The site's trust state.
        whole_set: Whether what belongs on media that were not named is lacking, too.
        progress: Told of every step.

    Raises:
        TrustError: The metadata of a medium cannot be proven.
        StorageError: A medium is gone, or its metadata are incomplete.
        InputError: Media of several sets, or no medium at all.
    """
    progress = progress or Silent()
    repaired: list[Path] = []
    finished: frozenset[int] = frozenset()
    media: list[Path] = []
    for root in roots:
        folder = find_place(root)
        with on_storage(f"look into {folder}"):
            found = read_repaired(folder)
        if found is None:
            media.append(root)
        else:
            repaired.append(folder)
            finished |= found.finished
    examined = examine_media(media or repaired, trust_dir, progress=progress)
    plan, opened = _one_set(examined)
    reports = [file for item in examined if item.report for file in item.report.files]
    good = {file.path for file in reports if file.verdict is Verdict.OK}
    bad = {file.path: file for file in reversed(reports) if file.verdict in BAD}
    numbers = {medium.number for medium in opened}
    lacking = [
        piece
        for file in plan.files
        for piece in file.pieces
        if (piece.path in bad or piece.medium not in numbers)
        and piece.path not in good
        and not _is_repaired(piece, repaired, progress)
    ]
    pieces = [piece for piece in lacking if whole_set or piece.path in bad]
    known = {piece.path for file in plan.files for piece in file.pieces}
    return Lacking(
        set_id=plan.set_id,
        set_name=plan.set_name,
        metadata=metadata_digest(opened[0].folder),
        pieces=tuple(_asked(piece, bad.get(piece.path)) for piece in pieces),
        repairable=tuple(
            piece.path for piece in pieces if piece.path in bad and bad[piece.path].has_parity
        ),
        other_files=tuple(sorted(bad.keys() - known - {COMPLETE})),
        unfinished=tuple(
            item.report.label
            for item in examined
            if item.report is not None
            and any(file.path == COMPLETE and file.verdict in BAD for file in item.report.files)
            and COMPLETE not in item.made_good
            and item.report.medium not in finished
        ),
        not_named=tuple(
            plan.label(number) for number in sorted({piece.medium for piece in lacking} - numbers)
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplement:
    """A supplement that can be written: a request that was proven against the set as it left."""

    request: SupplementRequest
    signer: str
    """Who holds the key that signed the request."""
    intent: Intent
    signed: Signed
    key: SetKey | None
    """Of an encrypted set."""
    targets: tuple[Target, ...]
    """The payloads that its pieces are of, as the vendor published them."""
    warnings: tuple[str, ...]
    """What sites may make of it."""

    @property
    def wanted(self) -> dict[Sha256, SolutionVersion]:
        """SHA-256 of each payload that is read for it → the update it travels with."""
        return {target.sha256: target.version for target in self.targets}


def prepare_supplement(
    home: Path, request_file: Path, *, keys: Mapping[str, str], now: datetime | None = None
) -> Supplement:
    """Prove a site's request, and compare it with the set as it left.

    Args:
        home: The catalog's folder, from which the set was written.
        request_file: What `ferry media request` wrote.
        keys: Fingerprints of the keys that are believed there → who holds each.
        now: The time; the clock by default.

    Raises:
        SignatureError: The request was edited, or signed by a key that is not known here.
        DigestError: It is about other metadata than those that left, or home's copy of them has changed.
        ExpiredError: The set is no longer valid: no site would take it.
        StorageError: Home did not write that set, or does not keep what is needed of it.
        InputError: Not a request, or it asks for what the set does not have.
    """
    now = now or datetime.now(UTC)
    with on_storage(f"read {request_file}"):
        data = read_begin(request_file, LIMIT_BYTES + 1)  # which a reader refuses
    request, sealed = read_supplement_request(data, file=str(request_file))
    if sealed.fingerprint not in keys:
        raise SignatureError(
            f"believe the request for pieces of {request.set_name}",
            found=f"a key that is not known here, fingerprint {sealed.fingerprint}",
            expected=", ".join(sorted(set(keys.values()))) or "a known key",
            hint="have the site read its key's fingerprint out on the phone, then: ferry catalog know-key "
            f'"{request_file}" --name SITE --fingerprint "…" --catalog DIR',
        )
    record = _left(home, request, now)
    folder = signed_folder(home, record.set_id)
    checked, signed = _kept(folder, record, now)
    paths = _require_pieces(checked.plan, request, str(request_file))
    names = {file.target for file, _ in checked.plan.on_medium(SUPPLEMENT, paths)}
    whole = Medium(folder, checked)
    return Supplement(
        request=request,
        signer=keys[sealed.fingerprint],
        intent=whole.intent(SUPPLEMENT, paths),
        signed=signed,
        key=_key(home / SETS, checked.plan),
        targets=tuple(target for target in whole.targets() if target.name in names),
        warnings=foresee_supplement(home, signed, now=now),
    )


def write_supplement(
    root: Path,
    supplement: Supplement,
    payloads: Sequence[HeldPayload],
    *,
    parity: Parity | None = None,
    before_write: Callable[[Sequence[HeldPayload]], None] | None = None,
    progress: Progress | None = None,
    now: datetime | None = None,
) -> Medium:
    """Write a supplement and read it back; the same call goes on after an interruption.

    Args:
        root: Root of the medium; never made, so that an absent drive or mount is noticed.
        supplement: As `prepare_supplement` returned it.
        payloads: The payloads that it wants, as the catalog holds them.
        parity: Parity to write beside the pieces; None: none.
        before_write: As of `write_medium`.
        progress: Told of every step.
        now: The time; the clock by default.

    Returns:
        The medium, opened as a site that pinned the first root would open it. One that was already complete
        with the same pieces is read whole.

    Raises:
        DigestError: A file of the catalog is no longer what was held.
        StorageError: Medium missing, full, write-protected, holding another medium of the set, or not
            returning what was written; or a payload is not held.
        InputError: A signed fact that this version does not understand.
    """
    now = now or datetime.now(UTC)
    by_hash = {held.sha256: held for held in payloads}
    absent = [target for target in supplement.targets if target.sha256 not in by_hash]
    if absent:
        raise StorageError(
            f"write a supplement of {supplement.intent.set_name}",
            found=f"the catalog does not hold {absent[0].name} (sha256 {absent[0].sha256})",
            expected="every payload that pieces are asked of",
            hint="download it again: ferry catalog download",
        )
    return write_signed(
        root,
        supplement.intent,
        supplement.signed,
        {target.name: by_hash[target.sha256] for target in supplement.targets},
        key=supplement.key,
        parity=parity,
        before_write=before_write,
        progress=progress or Silent(),
        now=now.replace(microsecond=0),
    )


def _one_set(examined: Sequence[Examined]) -> tuple[SetPlan, list[Medium]]:
    """Return the plan that all media share, and the media.

    Raises:
        ToolkitError: What is wrong with one of which nothing can be said.
    """
    opened: dict[str, list[Medium]] = {}
    for item in examined:
        if item.problem is not None and item.report is None:
            raise item.problem
        if item.medium is not None:
            opened.setdefault(item.medium.set_id, []).append(item.medium)
    if len(opened) != 1:
        names = sorted(media[0].set_name for media in opened.values())
        raise InputError(
            "ask for a supplement",
            found=f"media of {len(names)} sets: {', '.join(names)}" if names else "no medium",
            expected="media of one set",
            hint="ask for each set with a command of its own",
        )
    (media,) = opened.values()
    return media[0].plan, media


def _is_repaired(piece: SetPiece, repaired: Sequence[Path], progress: Progress) -> bool:
    with on_storage(f"read what was repaired of {piece.path}"):
        return any(is_good(folder / piece.path, piece, progress) for folder in repaired)


def _asked(piece: SetPiece, found: FileReport | None) -> AskedPiece:
    return AskedPiece(
        path=piece.path,
        size_bytes=piece.size_bytes,
        sha256=piece.sha256,
        found=Verdict.MISSING if found is None else found.verdict,
    )


def _left(home: Path, request: SupplementRequest, now: datetime) -> SetRecord:
    """Return the record of the set that a request is about, if that set may still be written."""
    attempted = f"write a supplement of {request.set_name}"
    record = find_set_record(
        home, set_name=request.set_name, set_id=request.set_id, attempted=attempted
    )
    if record.set_id != request.set_id:
        raise StorageError(
            attempted,
            found=f"a request about the set {request.set_id}",
            expected=f"{record.set_id}, which left from {home} under that name",
            hint="name the catalog from which that set was written: --catalog DIR",
        )
    if record.metadata != request.metadata:
        raise DigestError(
            attempted,
            found=f"a request about metadata with the sha256 {request.metadata}",
            expected=f"{record.metadata}, with which the set left",
            hint="do not go on: find out which medium the site has, and who wrote it",
        )
    if record.expires_at <= now:
        raise ExpiredError(
            attempted,
            found=f"a set that was valid until {record.expires_at:%Y-%m-%d %H:%M} UTC",
            expected="one that sites still accept",
            hint="write a new set: ferry media write",
        )
    return record


def _kept(folder: Path, record: SetRecord, now: datetime) -> tuple[Checked, Signed]:
    """Prove what home keeps of a set, and return it."""
    attempted = f"read what home keeps of {record.set_name}"
    if not folder.is_dir():
        raise StorageError(
            attempted,
            found=f"no folder {folder}",
            expected="the signed part of every set that was written",
            hint="restore it from a backup of the catalog; else write the whole medium again: ferry media write",
        )
    with on_storage(attempted):
        first = folder / TUF / "1.root.json"
        root = read_small(first) if first.is_file() else b""
    if not root or metadata_digest(folder) != record.metadata:
        raise DigestError(
            attempted,
            found=f"other metadata in {folder / TUF} than those that left",
            expected=f"a timestamp.json with the sha256 {record.metadata}",
            hint="restore that folder from a backup of the catalog",
        )
    checked = check_set(folder, new_trust(root), now=now)
    with on_storage(attempted):
        metadata = read_metadata(folder, checked.names)
    return checked, Signed(plan=checked.plan, metadata=metadata)


def _require_pieces(plan: SetPlan, request: SupplementRequest, file: str) -> tuple[str, ...]:
    """Return the paths that are asked for, in order of the plan."""
    known = {piece.path: piece for file in plan.files for piece in file.pieces}
    for asked in request.pieces:
        piece = known.get(asked.path)
        if piece is None or (piece.size_bytes, piece.sha256) != (asked.size_bytes, asked.sha256):
            raise InputError(
                f"write a supplement of {plan.set_name}",
                file=file,
                found=f"{asked.path}, {asked.size_bytes} bytes, sha256 {asked.sha256}",
                expected="a piece as the set has it"
                if piece is None
                else f"{piece.size_bytes} bytes, sha256 {piece.sha256}, as the set has it",
                hint="have the site make the request again: ferry media request",
            )
    wanted = {asked.path for asked in request.pieces}
    return tuple(path for path in known if path in wanted)


def _key(book: Path, plan: SetPlan) -> SetKey | None:
    if plan.encryption is None:
        return None
    key = read_key(book, set_id=plan.set_id)
    if key is None or key.encryption != plan.encryption:
        raise lost_key(book, set_id=plan.set_id)
    return key
