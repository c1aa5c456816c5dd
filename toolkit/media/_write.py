"""Writing one set: read, hash, write, flush, rename, read back; interrupted anywhere, finished later.

Theory of operation. `writing.json` is the first file of a set: it fixes identity, times and payloads, so
that the same command finds its unfinished set again and ends with the same bytes. Every file is written
beside its name, flushed and renamed, then read back past the page cache; a payload that already stands
there is read back instead of written. Metadata are signed last (they hold block hashes), the manifests
after them. Then the finished `writing.json` is renamed to `complete.json`: one step ends the writing.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from toolkit import __version__
from toolkit.errors import DigestError, InputError, StorageError
from toolkit.filesystem import largest_file_bytes
from toolkit.media import _bag
from toolkit.media._device import (
    ReadMethod,
    copy_durably,
    free_bytes,
    measure,
    on_storage,
    sync_folder,
    weakest,
    write_durably,
)
from toolkit.media._keys import SigningKeys, as_instant, fingerprint
from toolkit.media._leaflet import leaflet
from toolkit.media._medium import Medium
from toolkit.media._names import check_file_name, check_set_name, check_together
from toolkit.media._set import (
    BAG_DECLARATION,
    COMPLETE,
    PAYLOAD,
    SBE_SHELF,
    SET_PATH,
    TUF,
    WRITING,
    Intent,
    SetFile,
    SetPlan,
    find_set_folders,
    read_small,
)
from toolkit.media._sign import PlacedPayload, sign_set
from toolkit.media._trust import new_trust
from toolkit.media._verify import check_set
from toolkit.model import HeldPayload, Progress, Sha256, Silent, TargetName

_METADATA_ROOM_BYTES = 1 << 20
_RESERVE = 0.02
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
    progress: Progress | None = None,
    now: datetime | None = None,
) -> Medium:
    """Write one signed set to a medium and read it back; the same call goes on after an interruption.

    Args:
        root: Root of the medium; made if only the last folder is missing, so that an absent drive or
            mount is noticed.
        payloads: What to carry, as the catalog holds it.
        keys: Opened publisher keys.
        expires_at: Valid until (aware, UTC); not later than the root's own expiry.
        set_name: Name of the set folder; by default one is made from release and a random ending.
        progress: Told of every step.
        now: The time of issue; the clock by default.

    Returns:
        The medium, opened as a site that pinned the first root would open it. A set that was already
        complete with the same payloads is returned as it is.

    Raises:
        DigestError: A file of the catalog is no longer what was held.
        StorageError: Medium missing, full, write-protected, of a too small file system, holding
            another set of that name, or not returning what was written.
        InputError: Nothing to write, names that may not stand on a medium, or impossible times.
    """
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    progress = progress or Silent()
    expires_at = expires_at.replace(microsecond=0)
    _check_request(payloads, keys, expires_at=expires_at, now=now)
    with on_storage(f"write a medium at {root}"):
        root.mkdir(exist_ok=True)
        folder, intent = _begin(
            root, payloads, keys, expires_at=expires_at, set_name=set_name, now=now
        )
        if not (folder / COMPLETE).exists():
            _Writing(folder, intent, keys, progress, now).run(payloads)
            progress.say(f"{folder.name} is complete")
        else:
            progress.say(
                f"{folder.name} is already complete, valid until {intent.expires_at:%Y-%m-%d}; "
                "nothing was written"
            )
    return Medium(folder, check_set(folder, new_trust(keys.roots[0]), now=now))


def _check_request(
    payloads: Sequence[HeldPayload], keys: SigningKeys, *, expires_at: datetime, now: datetime
) -> None:
    if not payloads:
        raise InputError("write a medium", found="no payload", expected="at least one")
    if expires_at <= now:
        raise InputError(
            "write a medium", found=f"valid until {expires_at:%Y-%m-%d}", expected="a later day"
        )
    if expires_at > keys.expires_at:
        raise InputError(
            "write a medium",
            found=f"valid until {expires_at:%Y-%m-%d}",
            expected=f"at most {keys.expires_at:%Y-%m-%d}, when the root expires",
            hint="choose fewer --valid-days",
        )
    if now < keys.issued_at:
        raise InputError(
            "write a medium",
            found=f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC",
            expected=f"a time after the keys were made ({keys.issued_at:%Y-%m-%d %H:%M} UTC)",
            hint="set the clock; sites refuse a medium that looks older than the last one",
        )
    for held in payloads:
        check_file_name(held.name)
        if held.version is None:
            raise InputError(
                "write a medium",
                found=f"{held.name} of {held.shelf}, with no update it goes with",
                hint="an SBE travels with an update: plan the trip with `ferry catalog plan`",
            )
    check_together("X" * 13, (_path(held) for held in payloads))


def _begin(
    root: Path,
    payloads: Sequence[HeldPayload],
    keys: SigningKeys,
    *,
    expires_at: datetime,
    set_name: str | None,
    now: datetime,
) -> tuple[Path, Intent]:
    """Find this set, complete or unfinished, on the medium, or begin it."""
    wanted = _facts(payloads)
    issuer = fingerprint(keys.roots[-1])
    if set_name is not None:
        check_set_name(set_name)
    for folder in find_set_folders(root):
        if set_name not in (None, folder.name):
            continue
        intent = _read_intent(folder)
        if intent is None or (intent.payloads, intent.root) != (wanted, issuer):
            continue
        if intent.expires_at > now:
            return folder, intent
    newest = max(held.version for held in payloads if held.version is not None)
    name = set_name or _new_name(root, f"{newest.release:04}")
    folder = root / name
    if folder.exists() and {item.name for item in folder.iterdir()} - {f"{WRITING}.part"}:
        raise StorageError(
            f"write the set {name}",
            found=f"{folder} already holds something else",
            expected="no such folder, or this very set unfinished",
            hint="choose another name, or delete that folder if nobody needs it",
        )
    intent = Intent(
        set_id=str(uuid.uuid4()),
        set_name=name,
        issued_at=now,
        expires_at=expires_at,
        root=issuer,
        payloads=wanted,
    )
    folder.mkdir(exist_ok=True)
    write_durably(folder / WRITING, intent.to_bytes())
    sync_folder(root)
    return folder, intent


@dataclass
class _Writing:
    """One run of writing; what it read back is kept for the record."""

    folder: Path
    intent: Intent
    keys: SigningKeys
    progress: Progress
    now: datetime
    methods: list[ReadMethod] = field(default_factory=list)

    def run(self, payloads: Sequence[HeldPayload]) -> None:
        """Bring the set to its end from wherever it stands."""
        for part in self.folder.rglob("*.part"):
            part.unlink()
        ordered = sorted(payloads, key=_path)
        folders = {(self.folder / _path(held)).parent for held in ordered}
        for folder in (*folders, self.folder / "data/plan", self.folder / TUF):
            folder.mkdir(parents=True, exist_ok=True)
        self._require_room(ordered)
        placed = [self._place(held) for held in ordered]
        plan = self._plan(placed)
        self._write_set(plan, placed)

    def _require_room(self, payloads: Sequence[HeldPayload]) -> None:
        attempted = f"write the set {self.intent.set_name}"
        limit = largest_file_bytes(self.folder)
        for held in payloads:
            if limit is not None and held.size_bytes > limit:
                raise StorageError(
                    attempted,
                    found=f"{held.name} has {held.size_bytes} bytes",
                    expected=f"at most {limit} bytes a file on this file system (FAT)",
                    hint="format the medium as exFAT or NTFS",
                )
        missing = sum(
            held.size_bytes for held in payloads if not (self.folder / _path(held)).exists()
        )
        needed = int(missing * (1 + _RESERVE)) + _METADATA_ROOM_BYTES
        free = free_bytes(self.folder)
        if free < needed:
            raise StorageError(
                attempted,
                found=f"{free} bytes free",
                expected=f"{needed} bytes (payloads, metadata and 2 % reserve)",
                hint="free space, and the same command goes on, or take a larger medium; of the missing "
                "payloads none was written yet",
            )

    def _place(self, held: HeldPayload) -> PlacedPayload:
        """Have a payload stand on the medium, read back, and return its block hashes."""
        target = self.folder / _path(held)
        if target.exists():
            found = self._read_back(target, held.size_bytes)
            if found is not None and found[0] == held.sha256:
                return PlacedPayload(held=held, target=_target(held), blocks=found[1])
            _logger.warning("%s is damaged on the medium and is written again", target)
            target.unlink()
        self._copy(held, target)
        found = self._read_back(target, held.size_bytes)
        if found is None or found[0] != held.sha256:
            raise StorageError(
                f"read back {target}",
                found="other bytes than were written",
                expected=f"sha256 {held.sha256}",
                hint="this medium cannot be relied on (failing, or of counterfeit size); use another",
            )
        return PlacedPayload(held=held, target=_target(held), blocks=found[1])

    def _copy(self, held: HeldPayload, target: Path) -> None:
        if not held.path.is_file():
            raise StorageError(
                f"read {held.path}",
                found="no such file",
                expected=f"{held.name} as the catalog holds it",
                hint="download it again: ferry catalog download",
            )
        self.progress.begin(f"write {held.name}", total_bytes=held.size_bytes)
        try:
            changed = copy_durably(
                held.path, target, expected_sha256=held.sha256, progress=self.progress
            )
        finally:
            self.progress.end()
        if changed is not None:
            raise DigestError(
                f"write {held.name}",
                found=f"{changed.size_bytes} bytes, sha256 {changed.sha256} in {held.path}",
                expected=f"{held.size_bytes} bytes, sha256 {held.sha256}",
                hint="the catalog's file changed since it was downloaded: set it aside with "
                "`ferry catalog verify --quarantine`, then download it again",
            )

    def _read_back(self, path: Path, size_bytes: int) -> tuple[Sha256, tuple[Sha256, ...]] | None:
        if path.stat().st_size != size_bytes:
            return None
        self.progress.begin(f"read back {path.name}", total_bytes=size_bytes)
        try:
            found = measure(path, progress=self.progress)
        finally:
            self.progress.end()
        self.methods.append(found.method)
        return found.sha256, found.blocks

    def _plan(self, placed: Sequence[PlacedPayload]) -> SetPlan:
        return SetPlan(
            set_id=self.intent.set_id,
            set_name=self.intent.set_name,
            issued_at=self.intent.issued_at,
            expires_at=self.intent.expires_at,
            media_count=1,
            files=tuple(
                SetFile(
                    target=item.target,
                    path=_path(item.held),
                    size_bytes=item.held.size_bytes,
                    sha256=item.held.sha256,
                )
                for item in placed
            ),
            roots=tuple(_sha256(data) for data in self.keys.roots),
        )

    def _write_set(self, plan: SetPlan, placed: Sequence[PlacedPayload]) -> None:
        set_json = plan.to_bytes()
        metadata = sign_set(
            self.keys, placed, set_json, issued_at=plan.issued_at, expires_at=plan.expires_at
        )
        listed = {file.path: file.sha256 for file in plan.files} | {SET_PATH: _sha256(set_json)}
        tags = {
            BAG_DECLARATION: _bag.DECLARATION,
            _bag.INFO: _bag.bag_info(
                set_id=plan.set_id,
                label=plan.set_name,
                issued_at=plan.issued_at,
                number=1,
                count=plan.media_count,
                sizes=[*(file.size_bytes for file in plan.files), len(set_json)],
            ),
            _bag.MANIFEST: _bag.manifest(listed),
            **leaflet(plan, fingerprint=fingerprint(self.keys.roots[0]), number=1),
            **{f"{TUF}/{name}": data for name, data in metadata.items()},
        }
        tag_manifest = _bag.manifest({path: _sha256(data) for path, data in tags.items()})
        check_together(plan.set_name, [*listed, *tags])
        small = {SET_PATH: set_json, **tags, _bag.TAG_MANIFEST: tag_manifest}
        for path, data in small.items():
            write_durably(self.folder / path, data)
        self._read_back_small(small)
        completion = {
            "completed_at": as_instant(self.now),
            "tool": f"ferry {__version__}",
            "read_back": {
                "method": weakest(self.methods).value,
                "files": len(small) + len(placed),
                "bytes": sum(file.size_bytes for file in plan.files)
                + sum(map(len, small.values())),
            },
        }
        write_durably(self.folder / WRITING, self.intent.to_bytes(**completion))
        (self.folder / WRITING).replace(self.folder / COMPLETE)
        sync_folder(self.folder)

    def _read_back_small(self, files: Mapping[str, bytes]) -> None:
        for path, data in files.items():
            found = measure(self.folder / path)
            self.methods.append(found.method)
            if found.sha256 != _sha256(data):
                raise StorageError(
                    f"read back {self.folder / path}",
                    found="other bytes than were written",
                    hint="this medium cannot be relied on; use another",
                )


def _read_intent(folder: Path) -> Intent | None:
    for name in (COMPLETE, WRITING):
        try:
            return Intent.from_bytes(read_small(folder / name), file=str(folder / name))
        except (FileNotFoundError, InputError):
            continue
    return None


def _facts(payloads: Sequence[HeldPayload]) -> tuple[tuple[str, int, Sha256], ...]:
    return tuple(sorted((_carried_name(held), held.size_bytes, held.sha256) for held in payloads))


def _new_name(root: Path, release: str, choose: Callable[[str], str] = secrets.choice) -> str:
    while True:
        name = f"AZL-{release}-" + "".join(choose(_LETTERS) for _ in range(4))
        if not (root / name).exists():
            return name


def _carried_name(held: HeldPayload) -> str:
    """Return a payload's place below `payload/`.

    The files of an SBE have a folder of their own, named by eight digits that follow from their shelf:
    vendors give their discovery manifest the same name in every SBE, and long family names would make
    paths too long.
    """
    if not held.shelf.startswith(SBE_SHELF):
        return held.name
    return f"sbe/{hashlib.sha256(held.shelf.encode()).hexdigest()[:8]}/{held.name}"


def _path(held: HeldPayload) -> str:
    return f"data/{_target(held)}"


def _target(held: HeldPayload) -> TargetName:
    return TargetName(f"{PAYLOAD}{_carried_name(held)}")


def _sha256(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())
