"""One set on one medium: its targets, its proven copies, and the verdict on every file."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from toolkit.errors import (
    DigestError,
    InputError,
    SignatureError,
    StorageError,
    UnknownTargetError,
    misread,
    system_says,
)
from toolkit.media._audit import rule_findings
from toolkit.media._bag import MANIFEST, TAG_MANIFEST, read_manifest
from toolkit.media._device import (
    ABSENT,
    BLOCK_BYTES,
    BlockHash,
    DeviceReader,
    Measured,
    MeasuredBlocks,
    NotRegularError,
    ReadMethod,
    StreamDigest,
    measure,
    measure_blocks,
    on_storage,
    require_regular,
    weakest,
)
from toolkit.media._encryption import Decrypting
from toolkit.media._identity import contradiction, part_of
from toolkit.media._keys import aloud
from toolkit.media._names import is_litter_path, medium_label
from toolkit.media._parity import PARITY, has_parity
from toolkit.media._report import Damage, FileReport, MediumReport, Verdict
from toolkit.media._set import (
    COMPLETE,
    PAYLOAD,
    SET_PATH,
    SET_TARGET,
    WRITING,
    Intent,
    SetFile,
    SetPiece,
    SetPlan,
    find_set_folder,
    read_back_method,
    read_block_hash,
    read_small,
)
from toolkit.media._set_key import WHICH_IDENTITY, SetKey, unwrap_key
from toolkit.media._sign import BLOCKS, ENCRYPTED
from toolkit.media._speed import Speed, slow_warnings
from toolkit.media._verify import CONTRADICTS, WRITE_AGAIN, Checked, go_on
from toolkit.media._walk import is_folder, is_junction, walk
from toolkit.model import (
    PayloadKind,
    Progress,
    Sha256,
    Silent,
    SolutionVersion,
    Target,
    TargetName,
)

_LATER = frozenset({"custody", "return", PARITY})
"""Folders that receipts and repairs may add after the set was written; not part of its manifests."""


_CUT_SHORT = "cut short"
_AHEAD_CHUNKS = 8
"""A copy waits for both its ends: an upload takes nothing while the node is busy with what it has."""
_ASK_HOME = (
    "do not use it; repair it where parity lies (`ferry media repair`), or have only what is bad written: "
    "`ferry media request`, naming the same places"
)
"""What to do about wrong bytes where several places of a set were named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumLabel:
    """What a set says of itself. Unless `is_verified`, nobody has proven a word of it."""

    is_verified: bool
    folder: Path
    set_name: str
    set_id: str
    issued_at: datetime
    expires_at: datetime
    is_complete: bool
    read_back: str
    """How the writer read it back; empty: unknown."""
    payloads: tuple[tuple[str, int, Sha256], ...]
    """Name, size and hash of each payload of the set."""
    medium: int
    """Number of this medium in the set, from 1; 0: a supplement."""
    media_count: int
    recipients: tuple[str, ...] = ()
    """Whom its payloads are encrypted for; none: they are not encrypted."""
    supplement: tuple[str, ...] = ()
    """Of a supplement, the paths of the pieces that it carries."""

    @property
    def label(self) -> str:
        """What is printed on it: `AZL-2611-K7Q2 2/3`."""
        return medium_label(self.set_name, self.medium, self.media_count)


class Medium:
    """One medium of a set whose metadata were proven. Its payload bytes are proven while they are copied."""

    def __init__(
        self,
        folder: Path,
        checked: Checked,
        *,
        repaired: Sequence[Path] = (),
        others: Sequence[Path] = (),
        named: Sequence[Path] = (),
        finished: Collection[int] = (),
    ) -> None:
        """Take a set folder and the proof of its metadata.

        Args:
            folder: The set folder.
            checked: What was proven of it.
            repaired: Folders with repaired files of the set, and its supplements; looked into first.
            others: Further media of the same set.
            named: What a person named to find all these.
            finished: Numbers of media that count as written to their end: a repair has proven every piece of them.
        """
        self.folder = folder
        self._repaired = tuple(repaired)
        self._media = (folder, *others)
        self._folders = (*repaired, *self._media)
        self.places = (*self._folders, *named)
        """All that is read from."""
        self._finished = finished
        self._checked = checked
        self._plan: SetPlan = checked.plan
        self.number, self.supplement = part_of(folder, checked.plan)
        """Which medium of the set this is, from 1; 0: a supplement, with the paths of its pieces."""
        self._key: SetKey | None = None

    @property
    def set_name(self) -> str:
        """The set folder's name, as printed on the label."""
        return self._plan.set_name

    @property
    def set_id(self) -> str:
        """The set's UUID."""
        return self._plan.set_id

    @property
    def expires_at(self) -> datetime:
        """Valid until: the earliest expiry of all roles."""
        return self._checked.expires_at

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the operator should know although the medium was accepted."""
        return self._checked.warnings

    @property
    def label(self) -> str:
        """What is printed on it: `AZL-2611-K7Q2 2/3`."""
        return self._plan.label(self.number)

    @property
    def plan(self) -> SetPlan:
        """What the whole set consists of."""
        return self._plan

    @property
    def metadata_names(self) -> tuple[str, ...]:
        """Names in `tuf/` of what proves the set."""
        return self._checked.names

    @property
    def pieces(self) -> tuple[tuple[SetFile, SetPiece], ...]:
        """What this medium carries, each piece with its target."""
        return self._plan.on_medium(self.number, self.supplement)

    @property
    def size_bytes(self) -> int:
        """Of what is signed on this medium: how much `verify` has to read, but for small files."""
        pieces = sum(piece.size_bytes for _, piece in self.pieces)
        return pieces + self._checked.targets[SET_TARGET].length

    def unlock(self, identity: Path) -> None:
        """Make an encrypted set ready to be copied from; does nothing where it is not encrypted.

        Args:
            identity: A file of age identities.

        Raises:
            InputError: No such file, not identities, or none for which the set was encrypted.
            StorageError: It cannot be read.
            SignatureError: What the set carries is no key.
        """
        encryption = self._plan.encryption
        if encryption is not None:
            self._key = unwrap_key(
                encryption, set_id=self.set_id, label=self.set_name, identity=identity
            )

    def targets(self) -> tuple[Target, ...]:
        """Return every payload of the set, in order of names, as it is when it was decrypted.

        Raises:
            SignatureError: A signed target without the facts a payload needs.
        """
        return tuple(
            self._target(file)
            for file in sorted(self._plan.files, key=lambda item: item.target)
            if file.target.startswith(PAYLOAD)
        )

    def intent(self, number: int, supplement: tuple[str, ...] = ()) -> Intent:
        """Return what `complete.json` says on a medium of this set, by what was signed.

        Args:
            number: Which medium; 0: a supplement.
            supplement: Paths of the pieces that a supplement carries.

        Raises:
            SignatureError: A signed target without the facts a payload needs.
        """
        return Intent(
            set_id=self.set_id,
            set_name=self.set_name,
            issued_at=self._plan.issued_at,
            expires_at=self._plan.expires_at,
            root=aloud(self._plan.roots[-1]),
            payloads=self._payloads(),
            medium=number,
            media_count=self._plan.media_count,
            recipients=self._plan.encryption.recipients if self._plan.encryption else (),
            supplement=supplement,
        )

    def copy_target(self, name: str, sink: BinaryIO, *, progress: Progress | None = None) -> None:
        """Copy one target from the media in one pass, proving every byte on the way.

        Where a piece lies in several of the places, they are read first, until one is good: that one is copied.
        Of an encrypted set, which `unlock` has opened, ciphertext and plaintext are proven.

        Args:
            name: Target name as listed by `targets()`.
            sink: Opened for writing; on error its content must be thrown away. What it is given lies in memory
                that is used again.
            progress: Told of every chunk.

        Raises:
            UnknownTargetError: The signed metadata do not list the name.
            DigestError: Length or hash differs from the signed value, in every place; names the damaged block,
                and where it lies.
            StorageError: A medium cannot be read to the end, or a segment lies on one that was not named.
            InputError: The set is encrypted, and no identity has opened it.
            SignatureError: What is signed of an encrypted target contradicts itself.

        Source: TUF specification, client workflow 5.7.
        """
        progress = progress or Silent()
        file = next((item for item in self._plan.files if item.target == name), None)
        if file is None:
            raise UnknownTargetError(
                f"copy {name} from {self.set_name}",
                found="no such target",
                expected=", ".join(item.target for item in self._plan.files),
            )
        opening = self._decrypting(file, sink)
        paths = self._find(file, progress)
        progress.begin(f"copy {name}", total_bytes=file.size_bytes)
        try:
            self._copy(file, paths, sink, opening, progress)
        finally:
            progress.end()

    def _copy(
        self,
        file: SetFile,
        paths: Sequence[Path],
        sink: BinaryIO,
        opening: Decrypting | None,
        progress: Progress,
    ) -> None:
        expected = self._blocks(file)
        checked = 0
        with StreamDigest(whole=not expected, blocks=bool(expected)) as digest:
            for chunk in itertools.chain.from_iterable(map(_reading, paths)):
                digest.update(chunk)
                for found in digest.closed_blocks(checked):
                    self._require_block(file, paths, expected, checked, found)
                    checked += 1
                if opening is None:
                    sink.write(chunk)
                else:
                    opening.write(chunk)
                progress.advance(len(chunk))
            for found in digest.blocks()[checked:]:
                self._require_block(file, paths, expected, checked, found)
                checked += 1
            whole = None if expected else digest.whole()
        if whole not in (None, file.sha256) or digest.size_bytes != file.size_bytes:
            raise DigestError(
                f"copy {file.target} from {self.set_name}",
                found=f"{digest.size_bytes} bytes"
                + (f", sha256 {whole}" if whole else "")
                + f" in {', '.join(map(str, paths))}",
                expected=f"{file.size_bytes} bytes, sha256 {file.sha256} (signed)",
                hint=self._remedy(),
            )
        if opening is not None and (fault := opening.finish()) is not None:
            raise SignatureError(
                f"decrypt {file.target} from {self.set_name}",
                found=f"the signed bytes, but {fault}",
                expected=f"sha256 {self._target(file).sha256} (signed)",
                hint=CONTRADICTS,
            )

    def _decrypting(self, file: SetFile, sink: BinaryIO) -> Decrypting | None:
        """Return what decrypts a target into the sink, or None if it is not encrypted."""
        encryption = self._plan.encryption
        if self._plaintext(file) is None:
            return None
        attempted = f"copy {file.target} from {self.set_name}"
        if encryption is None:
            raise SignatureError(
                attempted,
                found="an encrypted target in a set without a key",
                expected="a key in set.json",
                hint=CONTRADICTS,
            )
        if self._key is None:
            raise InputError(
                attempted,
                found="it is encrypted, and no identity was given",
                expected=f"the identity of {encryption.addressees}",
                hint=WHICH_IDENTITY,
            )
        target = self._target(file)
        key = self._key.of_payload(file.target, size_bytes=target.size_bytes, sha256=target.sha256)
        return Decrypting(key, sink.write)

    def _plaintext(self, file: SetFile) -> dict[str, Any] | None:
        custom: dict[str, Any] = self._checked.targets[file.target].custom or {}
        return custom.get(ENCRYPTED)

    def _require_block(
        self,
        file: SetFile,
        paths: Sequence[Path],
        expected: tuple[BlockHash, ...],
        block: int,
        found: BlockHash,
    ) -> None:
        if block < len(expected) and expected[block] == found:
            return
        place = _damage(block, file.size_bytes)
        begun = sum(piece.offset <= place.first_byte for piece in file.pieces)
        raise DigestError(
            f"copy {file.target} from {self.set_name}",
            found=f"block {block} (bytes {place.first_byte} to {place.last_byte}) differs in {paths[begun - 1]}",
            expected="the signed bytes",
            hint=self._remedy(),
        )

    def _remedy(self) -> str:
        """Return what to do about wrong bytes; of several places not the first one is to blame."""
        return WRITE_AGAIN if len(self._folders) == 1 else _ASK_HOME

    @on_storage("look for a target on the media")
    def _find(self, file: SetFile, progress: Progress) -> list[Path]:
        """Return where each piece of a target lies, before a byte is copied."""
        found = [
            [folder for folder in self._folders if _stands(folder / piece.path)]
            for piece in file.pieces
        ]
        absent = [piece for piece, there in zip(file.pieces, found, strict=True) if not there]
        if absent:
            gone = ", ".join(str(folder) for folder in self._folders if not folder.exists())
            labels = ", ".join(sorted({self._plan.label(piece.medium) for piece in absent}))
            raise StorageError(
                f"copy {file.target} from {self.set_name}",
                found=f"{len(absent)} of its {len(file.pieces)} pieces lie elsewhere: {labels}",
                expected="every medium of the set, plugged in or copied to a folder",
                hint=f"plug it in again: {gone}"
                if gone
                else f"name {labels} in the same command, too",
            )
        return [
            self._choose(file, piece, there, progress)
            for piece, there in zip(file.pieces, found, strict=True)
        ]

    def _choose(
        self, file: SetFile, piece: SetPiece, there: Sequence[Path], progress: Progress
    ) -> Path:
        """Return the only copy of a piece, which is proven while it is copied, or of several the first good one."""
        if len(there) == 1 and _is_there(there[0] / piece.path):
            return there[0] / piece.path
        tried = []
        blocks = self._blocks_of(file, piece)
        progress.begin(f"look for a good copy of {piece.path}", total_bytes=None)
        try:
            for folder in there:
                report = _judge(
                    folder,
                    piece.path,
                    piece.sha256,
                    piece.size_bytes,
                    blocks,
                    methods=[],
                    progress=progress,
                )
                if report.verdict is Verdict.OK:
                    return folder / piece.path
                tried.append((folder, report))
        finally:
            progress.end()
        self._require_places()
        is_read = any(report.verdict is Verdict.DAMAGED for _, report in tried)
        raise (DigestError if is_read else StorageError)(
            f"copy {file.target} from {self.set_name}",
            found="; ".join(f"{folder / piece.path}: {report.detail}" for folder, report in tried),
            expected="the signed bytes in one of these places"
            if len(tried) > 1
            else "the signed bytes",
            hint=self._remedy(),
        )

    @on_storage("look for what is missing on a medium")
    def missing(self) -> tuple[str, ...]:
        """Return what this medium, finished, would have and lacks: files absent or cut short.

        What lies in another place that goes with it is not lacking; complete.json, too, says the same on a
        supplement.

        Raises:
            StorageError: A folder of it cannot be read.
            SignatureError: What is signed of an encrypted target contradicts itself.
        """
        lacking = [COMPLETE] if self.unfinished() else []
        for _, piece in self.pieces:
            states = {_lack(folder / piece.path, piece) for folder in self._folders}
            if "" not in states:
                is_cut = _CUT_SHORT in states
                lacking.append(f"{piece.path} ({_CUT_SHORT})" if is_cut else piece.path)
        if lacking:
            self._require_places()
        return tuple(lacking)

    def unfinished(self) -> tuple[Path, ...]:
        """Return this medium and others of its set, those that nothing here says were written to their end.

        On a medium its `complete.json` does, where it says what was signed; that of a supplement does for all, and a
        repair does for a medium of which it has proven every piece.

        Raises:
            SignatureError: What is signed of an encrypted target contradicts itself.
        """
        if any(map(self._is_finished, self._repaired)):
            return ()
        return tuple(
            folder
            for folder in self._media
            if not self._is_finished(folder)
            and part_of(folder, self._plan)[0] not in self._finished
        )

    def _require_places(self) -> None:
        """Refuse to call a set incomplete where a whole place is missing: that was pulled out.

        Raises:
            OSError: A place is not there.
        """
        for folder in self._folders:
            folder.stat()

    def _is_finished(self, place: Path) -> bool:
        """Whether `complete.json` there says, as it was signed, that what lies there was written to its end."""
        try:
            return not self._contradiction(place)
        except (OSError, InputError):
            return False

    def _contradiction(self, place: Path) -> str:
        """Return how `complete.json` there differs from what was signed; empty: in nothing.

        Raises:
            OSError: It is missing or cannot be read.
            InputError: It cannot be understood.
        """
        said = Intent.from_bytes(read_small(place / COMPLETE), file=COMPLETE)
        return contradiction(said, self.intent(*part_of(place, self._plan)))

    @on_storage("verify a medium")
    def verify(self, progress: Progress | None = None) -> MediumReport:
        """Read the whole medium past the page cache and judge every file.

        Signed files are compared with their signed hashes, the others with the bag's manifests. Nothing
        on the medium is changed.

        Raises:
            StorageError: The medium went away, or a folder of it cannot be read.
            SignatureError: What is signed of an encrypted target contradicts itself.
        """
        progress = progress or Silent()
        methods: list[ReadMethod] = []
        speed = Speed()
        signed = {
            piece.path: (piece.sha256, piece.size_bytes, self._blocks_of(file, piece))
            for file, piece in self.pieces
        }
        set_json = self._checked.targets[SET_TARGET]
        signed[SET_PATH] = (Sha256(set_json.hashes["sha256"]), set_json.length, ())
        progress.begin(f"verify {self.label}", total_bytes=self.size_bytes)
        try:
            files = []
            for path, expected in signed.items():
                began = speed.start()
                file = _judge(self.folder, path, *expected, methods=methods, progress=progress)
                if file.verdict is Verdict.OK:
                    speed.add(expected[1], since=began)
                can_repair = _is_there(self.folder / path) and has_parity(self.folder, expected[0])
                files.append(replace(file, has_parity=can_repair))
            files += self._judge_bag({path: row[0] for path, row in signed.items()}, methods)
        finally:
            progress.end()
        files += self._judge_completion()
        files += self._judge_others({file.path for file in files})
        return MediumReport(
            set_name=self.set_name,
            set_id=self.set_id,
            medium=self.number,
            media_count=self._plan.media_count,
            expires_at=self.expires_at,
            read_method=weakest(methods).value,
            files=tuple(files),
            warnings=(*self.warnings, *slow_warnings(speed.bytes_per_s)),
            read_bytes_per_s=speed.bytes_per_s,
            supplement=self.supplement,
        )

    def bad_pieces(self, report: MediumReport) -> list[tuple[FileReport, SetPiece]]:
        """Return the pieces of targets that a report found damaged, unreadable or missing."""
        verdicts = Verdict.DAMAGED, Verdict.UNREADABLE, Verdict.MISSING
        bad = {file.path: file for file in report.having(*verdicts)}
        return [(bad[piece.path], piece) for _, piece in self.pieces if piece.path in bad]

    def describe(self) -> MediumLabel:
        """Return the label of this proven set."""
        return MediumLabel(
            is_verified=True,
            folder=self.folder,
            set_name=self.set_name,
            set_id=self.set_id,
            issued_at=self._plan.issued_at,
            expires_at=self.expires_at,
            is_complete=not self.missing(),
            read_back=_read_back(self.folder),
            payloads=self._payloads(),
            medium=self.number,
            media_count=self._plan.media_count,
            recipients=self._plan.encryption.recipients if self._plan.encryption else (),
            supplement=self.supplement,
        )

    def _payloads(self) -> tuple[tuple[str, int, Sha256], ...]:
        """Return name, size and hash of every payload, in order of names, as it is when it was decrypted."""
        return tuple(
            (file.target.removeprefix(PAYLOAD), *self._as_published(file))
            for file in sorted(self._plan.files, key=lambda item: item.target)
            if file.target.startswith(PAYLOAD)
        )

    def _judge_bag(self, signed: dict[str, Sha256], methods: list[ReadMethod]) -> list[FileReport]:
        """Judge tag files by the tag manifest, and the payload manifest by the signed hashes."""
        reports: list[FileReport] = []
        tags = self._manifest(TAG_MANIFEST, reports)
        for path, digest in tags.items():
            reports.append(_judge(self.folder, path, digest, None, (), methods=methods))
        listed = self._manifest(MANIFEST, reports)
        if listed and listed != signed:
            differing = sorted(
                path
                for path in listed.keys() | signed.keys()
                if listed.get(path) != signed.get(path)
            )
            reports = [report for report in reports if report.path != MANIFEST]
            reports.append(
                FileReport(
                    path=MANIFEST,
                    verdict=Verdict.DAMAGED,
                    detail=f"disagrees with the signed hashes about {differing[0]}",
                )
            )
        if not any(report.path == TAG_MANIFEST for report in reports):
            verdict, detail = (Verdict.OK, "") if tags else (Verdict.DAMAGED, "lists no file")
            reports.append(FileReport(path=TAG_MANIFEST, verdict=verdict, detail=detail))
        sizes = {piece.path: piece.size_bytes for _, piece in self.pieces}
        sizes[SET_PATH] = self._checked.targets[SET_TARGET].length
        against = {
            item.path: item.detail for item in rule_findings(self.folder, payload_sizes=sizes)
        }
        return [
            replace(report, verdict=Verdict.DAMAGED, detail=against[report.path])
            if report.verdict is Verdict.OK and report.path in against
            else report
            for report in reports
        ]

    def _manifest(self, name: str, reports: list[FileReport]) -> dict[str, Sha256]:
        try:
            return read_manifest(read_small(self.folder / name), file=name)
        except FileNotFoundError:
            report = FileReport(path=name, verdict=Verdict.MISSING)
        except NotRegularError as error:
            report = FileReport(path=name, verdict=Verdict.DAMAGED, detail=system_says(error))
        except OSError as error:
            report = FileReport(path=name, verdict=Verdict.UNREADABLE, detail=system_says(error))
        except InputError as error:
            report = FileReport(path=name, verdict=Verdict.DAMAGED, detail=str(error))
        reports[:] = [item for item in reports if item.path != name]
        reports.append(report)
        return {}

    def _judge_completion(self) -> list[FileReport]:
        try:
            against = self._contradiction(self.folder)
        except FileNotFoundError:
            return [FileReport(path=COMPLETE, verdict=Verdict.MISSING)]
        except NotRegularError as error:
            detail = system_says(error)
            return [FileReport(path=COMPLETE, verdict=Verdict.DAMAGED, detail=detail)]
        except InputError as error:
            return [FileReport(path=COMPLETE, verdict=Verdict.DAMAGED, detail=str(error))]
        except OSError as error:
            detail = system_says(error)
            return [FileReport(path=COMPLETE, verdict=Verdict.UNREADABLE, detail=detail)]
        if against:
            return [FileReport(path=COMPLETE, verdict=Verdict.DAMAGED, detail=f"says {against}")]
        return [FileReport(path=COMPLETE, verdict=Verdict.OK)]

    def _judge_others(self, known: set[str]) -> list[FileReport]:
        reports = []
        capitals = {path.casefold(): f"{path} in another case" for path in known}
        for path, info in _walk(self.folder):
            relative = path.relative_to(self.folder)
            is_later = relative.parts[0] in _LATER
            if relative.as_posix() in known or (is_later and path.suffix != ".part"):
                continue
            litter = is_later or is_litter_path(relative)
            reports.append(
                FileReport(
                    path=relative.as_posix(),
                    verdict=Verdict.LITTER if litter else Verdict.FOREIGN,
                    detail=_oddity(path, info) or capitals.get(relative.as_posix().casefold(), ""),
                )
            )
        return sorted(reports, key=lambda report: report.path)

    def _blocks(self, file: SetFile) -> tuple[BlockHash, ...]:
        """Return the signed hashes of its blocks; none, if they are not known of each."""
        custom: dict[str, Any] = self._checked.targets[file.target].custom or {}
        try:
            blocks = tuple(map(read_block_hash, custom.get(BLOCKS, ())))
        except (ValueError, TypeError) as error:
            raise _unknown_facts(file, "hashes of blocks", error) from error
        return blocks if len(blocks) == -(-file.size_bytes // BLOCK_BYTES) else ()

    def _blocks_of(self, file: SetFile, piece: SetPiece) -> tuple[BlockHash, ...]:
        return piece.blocks_of(self._blocks(file))

    def _target(self, file: SetFile) -> Target:
        custom: dict[str, Any] = self._checked.targets[file.target].custom or {}
        size_bytes, sha256 = self._as_published(file)
        try:
            return Target(
                name=TargetName(file.target),
                size_bytes=size_bytes,
                sha256=sha256,
                kind=PayloadKind(custom["kind"]),
                version=SolutionVersion.parse(str(custom["version"])),
                url=str(custom.get("url", "")),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise _unknown_facts(file, "a kind and a solution version", error) from error

    def _as_published(self, file: SetFile) -> tuple[int, Sha256]:
        """Return size and hash of a payload as its vendor published it."""
        plain = self._plaintext(file)
        if plain is None:
            return file.size_bytes, file.sha256
        try:
            return int(plain["size_bytes"]), Sha256(plain["sha256"])
        except (KeyError, ValueError, TypeError) as error:
            raise _unknown_facts(file, "size and hash of what is encrypted", error) from error


@on_storage("read the label of a medium")
def describe_medium(root: Path) -> MediumLabel:
    """Return what a set says of itself, WITHOUT proving a word of it (`is_verified` is False).

    Raises:
        StorageError: No set there, or it cannot be read.
        InputError: Several sets, or its documents cannot be understood.
    """
    folder = find_set_folder(root)
    complete = (folder / COMPLETE).is_file()
    path = folder / (COMPLETE if complete else WRITING)
    try:
        intent = Intent.from_bytes(read_small(path), file=str(path))
    except InputError as error:
        error.hint = error.hint or f"{go_on(folder)}; or delete {folder} by hand if nobody needs it"
        raise
    except OSError as error:
        raise StorageError(
            f"read the label of {folder}",
            found=f"neither {COMPLETE} nor {WRITING} can be read ({system_says(error)})",
            hint="the set was copied in part; copy it again",
        ) from error
    return MediumLabel(
        is_verified=False,
        folder=folder,
        set_name=intent.set_name,
        set_id=intent.set_id,
        issued_at=intent.issued_at,
        expires_at=intent.expires_at,
        is_complete=complete,
        read_back=_read_back(folder),
        payloads=intent.payloads,
        medium=intent.medium,
        media_count=intent.media_count,
        recipients=intent.recipients,
        supplement=intent.supplement,
    )


def _unknown_facts(file: SetFile, expected: str, error: Exception) -> SignatureError:
    return SignatureError(
        f"read the signed facts of {file.target}",
        found=misread(error),
        expected=f"{expected} that this ferry knows",
        hint="a newer ferry may have written the medium; use that one",
    )


def _is_there(path: Path) -> bool:
    """Whether a file stands there that parity may make good."""
    return _stands(path) and not _is_no_file(path)


def _stands(path: Path) -> bool:
    """Whether anything stands there; what cannot be looked at does, and reading it tells why."""
    try:
        path.lstat()
    except ABSENT:
        return False
    except OSError:
        return True
    return True


def _is_no_file(path: Path) -> bool:
    try:
        require_regular(path)
    except NotRegularError:
        return True
    except OSError:
        return False  # reading it tells why
    return False


def _lack(path: Path, piece: SetPiece) -> str:
    """Return why a piece cannot stand there, by its size alone; empty: it can."""
    try:
        found = path.lstat()
    except OSError:
        return "missing"
    is_cut = stat.S_ISREG(found.st_mode) and found.st_size < piece.size_bytes
    return _CUT_SHORT if is_cut else ""


def _reading(path: Path) -> Iterator[memoryview]:
    try:
        with DeviceReader(path, ahead_chunks=_AHEAD_CHUNKS) as reader:
            yield from reader.chunks()
    except OSError as error:
        raise StorageError(
            f"read {path}",
            found=system_says(error),
            hint="unplug the medium, plug it in again and repeat; else `ferry media verify` says whether it can be "
            "repaired here",
        ) from error


def _judge(
    folder: Path,
    path: str,
    sha256: Sha256,
    size_bytes: int | None,
    blocks: tuple[BlockHash, ...],
    *,
    methods: list[ReadMethod],
    progress: Progress | None = None,
) -> FileReport:
    found: Measured | MeasuredBlocks
    try:
        if blocks:
            found = by_block = measure_blocks(folder / path, progress=progress)
            is_good = by_block.blocks == blocks
        else:
            found = whole = measure(folder / path, progress=progress)
            is_good = whole.sha256 == sha256
    except ABSENT:
        return FileReport(path=path, verdict=Verdict.MISSING)
    except NotRegularError as error:
        return FileReport(path=path, verdict=Verdict.DAMAGED, detail=system_says(error))
    except OSError as error:
        detail = system_says(error)
        return FileReport(path=path, verdict=Verdict.UNREADABLE, detail=detail)
    methods.append(found.method)
    if is_good and size_bytes in (None, found.size_bytes):
        return FileReport(path=path, verdict=Verdict.OK)
    if size_bytes is None:
        return FileReport(
            path=path, verdict=Verdict.DAMAGED, detail="differs from the tag manifest"
        )
    return _damaged(path, found, size_bytes, blocks)


def _damaged(
    path: str,
    found: Measured | MeasuredBlocks,
    size_bytes: int,
    blocks: tuple[BlockHash, ...],
) -> FileReport:
    damage = tuple(
        _damage(number, size_bytes)
        for number, expected in enumerate(blocks)
        if number >= len(found.blocks) or found.blocks[number] != expected
    )
    details = []
    if found.size_bytes != size_bytes:
        details.append(f"{found.size_bytes} bytes instead of {size_bytes}")
    details += [
        f"block {item.block} (bytes {item.first_byte} to {item.last_byte}) differs"
        for item in damage[:3]
    ]
    if len(damage) > 3:
        details.append(f"and {len(damage) - 3} more blocks")
    return FileReport(
        path=path,
        verdict=Verdict.DAMAGED,
        detail=", ".join(details) or "other bytes than the signed ones",
        damage=damage,
    )


def _damage(block: int, size_bytes: int) -> Damage:
    first = block * BLOCK_BYTES
    return Damage(
        block=block,
        first_byte=first,
        last_byte=max(first, min(first + BLOCK_BYTES, size_bytes) - 1),
    )


def _walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield everything but folders that hold something, and never go through a link."""
    below = list(walk(folder))
    full = {path.parent for path, _ in below}
    return ((path, info) for path, info in below if path not in full)


def _oddity(path: Path, info: os.stat_result) -> str:
    if stat.S_ISLNK(info.st_mode) or is_junction(info):
        return "a link"
    if is_folder(info):
        return "an empty folder"
    is_part = path.suffix == ".part" or path.name == WRITING
    return "left by unfinished writing" if is_part else ""


def _read_back(folder: Path) -> str:
    try:
        return read_back_method(read_small(folder / COMPLETE))
    except (OSError, InputError):
        return ""
