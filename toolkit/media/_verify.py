"""Site side of TUF: python-tuf's client, reading a folder instead of a network.

The client works on a temporary copy of the site's memory. Only when every role, set.json and the
completeness of the set have been proven does the caller promote that copy. After the client is done, every
file in tuf/ must be byte for byte what the client believed: the client itself ignores files it has already
cached, and accepts a few spellings of the same statement (`t` for `T` in a date, upper-case hex).
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath, PurePosixPath

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Signed, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface

from toolkit.errors import (
    DigestError,
    ExpiredError,
    InputError,
    RollbackError,
    SignatureError,
    StorageError,
    system_says,
)
from toolkit.media._device import ABSENT, NotRegularError, on_storage
from toolkit.media._identity import is_supplement
from toolkit.media._keys import ISSUED_AT, ROOT_NAME, fingerprint, read_instant
from toolkit.media._report import write_anew, writing_command
from toolkit.media._set import (
    COMPLETE,
    PAYLOAD,
    SET_PATH,
    SET_TARGET,
    TUF,
    SetPlan,
    read_small,
)
from toolkit.media._trust import OUTRUN, Trust, TrustState

_BASE_URL = "medium:///"
HISTORY = "root_history"
_LONG_AFTER = timedelta(days=365)
"""No set lives longer by default, so a clock this far behind the newest issue is worth a look."""
_STRANGER = (
    "do not use this medium: nobody whom this site trusts signed these bytes. It may be for another site: "
    "have it written for this one, and ask the publisher whose root it is made under"
)
_NOT_AS_WRITTEN = "the medium does not hold what was written to it; do not use it,"
WRITE_AGAIN = f"{_NOT_AS_WRITTEN} {write_anew(is_supplement=False)}"
"""What to do about wrong bytes; whether a copy, the device or a person made them so, nobody can tell."""
CONTRADICTS = "do not use this medium: its publisher contradicts himself; have it written again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A set whose metadata and plan were proven; its payload bytes were not read yet."""

    plan: SetPlan
    targets: Mapping[str, TargetFile]
    expires_at: datetime
    """The earliest expiry of all roles."""
    fingerprint: str
    """Of the pinned root."""
    state: TrustState
    """What the site will remember if it accepts the medium."""
    warnings: tuple[str, ...]
    names: tuple[str, ...]
    """Of the files in `tuf/` that this rests on; whatever else lies there was not looked at."""


@on_storage("verify the metadata of a set")
def check_set(folder: Path, trust: Trust, *, now: datetime, whole: Trust | None = None) -> Checked:
    """Prove metadata and set.json of one set folder; nothing is written but a temporary copy.

    Args:
        folder: The set folder.
        trust: By what it is judged.
        now: The time.
        whole: All that the site remembers, for what is said, where it is judged by less.

    Raises:
        SignatureError: Signed by nobody this root names, or no metadata at all.
        DigestError: A file differs from its signed hash.
        ExpiredError: A role has expired by the reference time: the later of clock and time floor.
        RollbackError: Older than what this trust state has accepted; `_older` may judge it again.
        StorageError: Unfinished, or the medium or the temporary folder cannot be used.
        InputError: set.json is signed but not understood by this version.
    """
    reference = max(now, trust.state.floor)
    finished = (folder / COMPLETE).is_file()
    fetcher = _FolderFetcher(folder / TUF)
    with tempfile.TemporaryDirectory(prefix="ferry-trust-") as work_name:
        work = Path(work_name)
        _unpack(trust.state, work)
        with _translated(folder, trust, fetcher, finished=finished):
            updater = Updater(
                metadata_dir=str(work),
                metadata_base_url=_BASE_URL,
                fetcher=fetcher,
                config=UpdaterConfig(prefix_targets_with_hash=False),
                bootstrap=trust.root,
            )
            # python-tuf has no public setter; the contract test watches this attribute
            trusted = updater._trusted_set  # noqa: SLF001
            trusted.reference_time = reference
            try:
                updater.refresh()
            except exceptions.ExpiredMetadataError as error:
                raise _expired(folder, error, whole or trust, list(trusted), now) from error
            targets = dict(trusted.targets.targets)
            signed: tuple[Signed, ...] = (
                trusted.root,
                trusted.timestamp,
                trusted.snapshot,
                trusted.targets,
            )
        metadata = _pack(work)
    names = _require_same_bytes(folder, fetcher, metadata)
    plan = _read_plan(folder, targets, finished=finished)
    _require_same_roots(folder, plan, trust)
    issued_at = read_instant(trusted.timestamp.unrecognized_fields.get(ISSUED_AT))
    return Checked(
        plan=plan,
        targets=targets,
        expires_at=min(role.expires for role in signed),
        fingerprint=fingerprint(trust.root),
        state=TrustState(metadata=metadata, floor=max(trust.state.floor, issued_at)),
        warnings=_clock_warnings(now, max(trust.state.floor, issued_at), reference),
        names=(*(f"{number}.root.json" for number in range(1, len(plan.roots) + 1)), *names),
    )


class _FolderFetcher(FetcherInterface):
    """Answers the client's requests from tuf/ on the medium."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.asked = ""
        """Name of the file asked for last: the one that an error is about."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        return iter([self.read(url.removeprefix(_BASE_URL))])

    def read(self, name: str) -> bytes:
        """Return one metadata file whole."""
        self.asked = name
        if "/" in name or "\\" in name or "%" in name:
            raise exceptions.DownloadHTTPError(f"{name} is no file name", 404)
        try:
            return read_small(self._folder / name)
        except ABSENT as error:
            # anything but 404 would abort the walk along the root chain
            raise exceptions.DownloadHTTPError(f"{TUF}/{name} is missing", 404) from error
        except InputError as error:
            raise exceptions.DownloadLengthMismatchError(str(error)) from error
        except NotRegularError as error:
            raise exceptions.DownloadLengthMismatchError(system_says(error)) from error


def _unpack(state: TrustState, work: Path) -> None:
    (work / HISTORY).mkdir()
    for name, data in state.metadata.items():
        (work / name).write_bytes(data)


def _pack(work: Path) -> dict[str, bytes]:
    names = ["timestamp.json", "snapshot.json", "targets.json"]
    names += [f"{HISTORY}/{item.name}" for item in (work / HISTORY).iterdir()]
    return {name: read_small(work / name) for name in names}


@contextlib.contextmanager
def _translated(
    folder: Path, trust: Trust, fetcher: _FolderFetcher, *, finished: bool
) -> Iterator[None]:
    """Translate python-tuf's errors into ours, most specific first."""
    attempted = f"verify the metadata of {folder}"
    try:
        yield
    except (exceptions.RepositoryError, ValueError) as error:
        if not finished and not isinstance(error, exceptions.BadVersionNumberError):
            raise _unfinished(folder, str(error)) from error
        raise _refused(folder, trust, error, asked=fetcher.asked) from error
    except exceptions.DownloadHTTPError as error:
        raise _unfinished(folder, str(error)) from error
    except exceptions.DownloadLengthMismatchError as error:
        raise _differs(folder, f"{TUF}/{fetcher.asked}", error) from error
    except exceptions.DownloadError as error:
        raise StorageError(attempted, found=str(error)) from error
    except OSError as error:
        if error.filename2 is not None and Path(error.filename2).name == "root.json":
            raise StorageError(
                "copy the trust state into the temporary folder",
                found=f"{tempfile.gettempdir()} cannot hold links ({system_says(error)})",
                expected="a local disk with NTFS, ext4 or APFS; exFAT and FAT know no links",
                hint="set TMPDIR (on Windows: TMP) to a folder on such a disk, then run the same command",
            ) from error
        raise StorageError(
            attempted,
            found=system_says(error),
            hint="plug the medium in again; see that the temporary folder is not full",
        ) from error


def _expired(
    folder: Path,
    error: exceptions.ExpiredMetadataError,
    trust: Trust,
    proven: list[Signed],
    now: datetime,
) -> ExpiredError:
    """Say what has expired and when, from the metadata whose signatures were checked so far."""
    dates = (f"{role.type} valid until {role.expires:%Y-%m-%d %H:%M} UTC" for role in proven)
    issued = (read_instant(role.unrecognized_fields.get(ISSUED_AT)) for role in proven)
    newest = max(trust.state.floor, *issued)
    reference = max(now, trust.state.floor)
    hint = "check the clock; if it is right, ask the publisher for a new medium"
    if reference - newest > _LONG_AFTER:
        hint = (
            f"is the clock right? It says {reference:%Y-%m-%d}; the newest date that a "
            f"trusted key signed is {newest:%Y-%m-%d}. If it is right, ask the publisher for a new medium"
        )
    elif all(role.expires > now for role in proven):
        hint = (
            f"by the clock it is {now:%Y-%m-%d}, and this medium valid, but {_floor_from(trust.state)} was issued on "
            f"{trust.state.floor:%Y-%m-%d %H:%M} UTC. If the clock is wrong, set it; if it is right, home's was ahead "
            f"when it wrote that one: tell home, which has to {OUTRUN}"
        )
    return ExpiredError(
        f"verify the metadata of {folder}",
        found=f"{error}; {', '.join(dates)}",
        expected=f"valid on {reference:%Y-%m-%d %H:%M} UTC",
        hint=hint,
    )


def _floor_from(state: TrustState) -> str:
    """Say what the time floor comes from; only for the message."""
    if "timestamp.json" not in state.metadata:
        return "the root that this site trusts"
    return (
        f"the newest medium that this site accepted{_carrying(state.metadata.get('targets.json'))}"
    )


def _refused(
    folder: Path, trust: Trust, error: Exception, *, asked: str
) -> DigestError | RollbackError | SignatureError | StorageError:
    attempted = f"verify {folder / TUF / asked}"
    remembered = trust.state.metadata.get("timestamp.json")
    if isinstance(error, exceptions.BadVersionNumberError) and remembered is not None:
        seen, offered = _version(remembered), _offered(folder)
        return RollbackError(
            attempted,
            found=f"a medium issued {_as_date(offered)}" if offered < seen else str(error),
            expected=f"one not older than {_as_date(seen)}, which this site accepted",
            hint="this site has already accepted a newer medium"
            f"{_carrying(trust.state.metadata.get('targets.json'))}; use that one, an old one could "
            "bring back a withdrawn update",
        )
    if isinstance(error, exceptions.LengthOrHashMismatchError):
        return _differs(folder, f"{TUF}/{asked}", error)
    if (lacking := _root_gap(folder)) is not None:
        return _unfinished(folder, f"{TUF}/{lacking} is missing")
    return SignatureError(
        attempted,
        found=str(error),
        expected=f"metadata signed under the pinned root {fingerprint(trust.root)}",
        hint=_replaced(folder, trust) or _STRANGER,
    )


def _replaced(folder: Path, trust: Trust) -> str | None:
    """Say that keys were replaced since a medium was written, if that can be; only for the message."""
    with contextlib.suppress(OSError):
        known = max(_root_versions(map(PurePosixPath, trust.state.metadata)), default=0)
        carried = max(_root_versions((folder / TUF).iterdir()), default=0)
        if 0 < carried < known:
            return (
                f"it was written under root {carried}, and this site has seen root {known}: keys were "
                "replaced since; have it written again, under the newest root"
            )
    return None


def _root_gap(folder: Path) -> str | None:
    """Return the first root that is not there although a later one is: the chain was copied in part."""
    versions = _root_versions((folder / TUF).glob("*"))
    lacking = set(range(1, max(versions, default=0))) - versions
    return f"{min(lacking)}.root.json" if lacking else None


def _root_versions(paths: Iterable[PurePath]) -> set[int]:
    """Return the versions among files named `N.root.json`; only for the message."""
    return {int(found[1]) for path in paths if (found := ROOT_NAME.match(path.name))}


def _offered(folder: Path) -> int:
    """Return the version the medium's timestamp claims; only for the message."""
    try:
        return _version(read_small(folder / TUF / "timestamp.json"))
    except (OSError, InputError):
        return 0


def _unfinished(folder: Path, found: str) -> StorageError:
    """Return what is wrong with a set of which a file is missing.

    Raises:
        OSError: So is its folder: the medium was pulled out.
    """
    folder.stat()
    return StorageError(
        f"open the set {folder}",
        found=f"it is not complete: {found}",
        expected=f"a set that was written and read back to its end ({COMPLETE} is written last)",
        hint=how_to_complete(folder),
    )


def how_to_complete(folder: Path) -> str:
    """Return what to do about a set of which something is missing."""
    if (folder / COMPLETE).is_file():
        anew = write_anew(is_supplement=is_supplement(folder))
        return f"it was complete once; {anew}, or copy it again"
    return go_on(folder)


def go_on(folder: Path) -> str:
    """Return how the writing of a set goes on."""
    command = writing_command(is_supplement=is_supplement(folder))
    return f"run the same {command} again where it was made; it goes on from there"


def _require_same_bytes(
    folder: Path, fetcher: _FolderFetcher, metadata: Mapping[str, bytes]
) -> tuple[str, ...]:
    """Compare tuf/ with what the client believed, whether it read it just now or on an earlier visit.

    Returns:
        The names that it looked at: every role but the roots.
    """
    timestamp = metadata["timestamp.json"]
    _require_canonical(folder, timestamp)
    meta = Metadata[Timestamp].from_bytes(timestamp).signed.snapshot_meta
    names = {
        "timestamp.json": "timestamp.json",
        f"{meta.version}.snapshot.json": "snapshot.json",
        f"{_version(metadata['targets.json'])}.targets.json": "targets.json",
    }
    for name, local in names.items():
        try:
            found = fetcher.read(name)
        except exceptions.DownloadHTTPError as error:
            raise _unfinished(folder, str(error)) from error
        except exceptions.DownloadLengthMismatchError as error:
            raise _differs(folder, f"{TUF}/{name}", error) from error
        if found != metadata[local]:
            raise _differs(folder, f"{TUF}/{name}")
    return tuple(names)


def _require_canonical(folder: Path, data: bytes) -> None:
    """Refuse a timestamp that means the same but is spelt otherwise: no other file holds its hash."""
    timestamp = Metadata[Timestamp].from_bytes(data)
    lower = all(seen.signature == seen.signature.lower() for seen in timestamp.signatures.values())
    if timestamp.to_bytes() != data or not lower:
        raise _differs(folder, f"{TUF}/timestamp.json")


def _read_plan(folder: Path, targets: Mapping[str, TargetFile], *, finished: bool) -> SetPlan:
    signed = targets.get(SET_TARGET)
    if signed is None:
        raise SignatureError(
            f"verify the set {folder}",
            found="no set.json",
            expected=f"a target {SET_TARGET}",
            hint=_STRANGER,
        )
    try:
        data = read_small(folder / SET_PATH)
    except ABSENT as error:
        raise _unfinished(folder, f"{SET_PATH} is missing") from error
    except (InputError, NotRegularError) as error:
        raise _differs(folder, SET_PATH, error) from error
    if len(data) != signed.length or hashlib.sha256(data).hexdigest() != signed.hashes["sha256"]:
        if not finished:
            raise _unfinished(folder, f"{SET_PATH} was not written to its end")
        raise _differs(folder, SET_PATH)
    plan = SetPlan.from_bytes(data, file=SET_PATH)
    for file in plan.files:
        target = targets.get(file.target)
        if (
            target is None
            or target.length != file.size_bytes
            or target.hashes.get("sha256") != file.sha256
        ):
            raise SignatureError(
                f"verify the set {folder}",
                found=f"set.json and the signed targets disagree about {file.target}",
                expected="the same length and hash in both",
                hint=CONTRADICTS,
            )
    return plan


def _require_same_roots(folder: Path, plan: SetPlan, trust: Trust) -> None:
    """Compare the root chain on the medium with the hashes in the signed plan."""
    known = hashlib.sha256(trust.root).hexdigest()
    if known not in plan.roots:
        raise SignatureError(
            f"verify the set {folder}",
            found="a root chain without the pinned root",
            expected=f"the root {fingerprint(trust.root)} in it",
            hint=_STRANGER,
        )
    for number, digest in enumerate(plan.roots, start=1):
        name = f"{TUF}/{number}.root.json"
        try:
            data = read_small(folder / name)
        except ABSENT as error:
            raise _unfinished(folder, f"{name} is missing") from error
        except (InputError, NotRegularError) as error:
            raise _differs(folder, name, error) from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise _differs(folder, name)


def _differs(folder: Path, name: str, error: Exception | None = None) -> DigestError:
    why = system_says(error) if isinstance(error, OSError) else error
    return DigestError(
        f"verify {folder / name}",
        found="bytes other than the signed ones" + (f" ({why})" if why else ""),
        expected="the bytes that the publisher wrote",
        hint=f"{_NOT_AS_WRITTEN} {write_anew(is_supplement=is_supplement(folder))}",
    )


def _clock_warnings(now: datetime, floor: datetime, reference: datetime) -> tuple[str, ...]:
    if now >= floor:
        return ()
    return (
        f"by the clock it is {now:%Y-%m-%d %H:%M} UTC, but trusted keys signed on "
        f"{floor:%Y-%m-%d %H:%M} UTC: the clock is behind; expiry was judged on "
        f"{max(floor, reference):%Y-%m-%d %H:%M} UTC",
    )


def _version(data: bytes | None) -> int:
    if data is None:
        return 0
    try:
        return Metadata[Targets].from_bytes(data).signed.version
    except exceptions.RepositoryError:
        return 0


def _carrying(targets: bytes | None) -> str:
    """Name the payloads of a medium accepted before; only for the message."""
    with contextlib.suppress(exceptions.RepositoryError):
        names = Metadata[Targets].from_bytes(targets or b"").signed.targets
        return " with " + ", ".join(
            name.removeprefix(PAYLOAD) for name in sorted(names) if name.startswith(PAYLOAD)
        )
    return ""


def _as_date(version: int) -> str:
    try:
        return f"{datetime.fromtimestamp(version, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, OSError, ValueError):
        return f"version {version}"
