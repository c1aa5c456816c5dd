"""The catalog: a folder of payloads that we downloaded and verified, on the connected side.

Layout::

    <version>/<name>             a verified payload; nothing unverified ever has this name
    <version>/<name>.held.json   what was measured and where it came from, written last
    <version>/<name>.part …      an unfinished download and its journal
    <version>/<name>.lock        held by the process that works on this payload
    quarantine/                  files that are not what was published, each with an explanation

Every name appears whole, by a rename; a process may be killed at any moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import filelock

from toolkit.catalog._download import RETRY_DELAYS_S, Downloaded, PartFile, download
from toolkit.catalog._fetch import Fetcher, HttpsFetcher
from toolkit.catalog._inside import Expects, inspect_zip
from toolkit.catalog._manifest import https_url, sha256
from toolkit.catalog._names import payload_name
from toolkit.catalog._storage import storage, sync_folder, write_beside
from toolkit.catalog._witness import Earlier, Measured, judge, other_payloads
from toolkit.errors import DigestError, InputError, StorageError
from toolkit.model import (
    BundleStatus,
    HeldPayload,
    Judgement,
    Manifest,
    Payload,
    PayloadKind,
    Progress,
    Sha256,
    Silent,
    SolutionVersion,
    Witness,
)

FORMAT = 1
_RECORD = ".held.json"
_RECORD_LIMIT_BYTES = 1 << 20
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What `<name>.held.json` says."""

    held: HeldPayload
    modified_ns: int
    siblings: tuple[str, ...]
    """Names of all payloads of the update, this one among them."""


class Catalog:
    """The payloads we hold in one folder."""

    def __init__(
        self,
        root: Path,
        *,
        ca_file: Path | None = None,
        fetcher: Fetcher | None = None,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Use the folder `root`; it is made by the first download.

        Args:
            root: The catalog folder.
            ca_file: PEM file with the authorities to trust instead of the public ones.
            fetcher: What fetches; HTTPS by default.
            retry_delays_s: How long to wait before each repetition of a failed attempt.
            sleep: Waits.
            now: The time, aware UTC.
        """
        self.root = root
        self._fetcher = fetcher or HttpsFetcher(ca_file)
        self._retry_delays_s = tuple(retry_delays_s)
        self._sleep, self._now = sleep, now

    def download(
        self,
        manifest: Manifest,
        *,
        url: str | None = None,
        known: Iterable[Manifest] = (),
        progress: Progress | None = None,
    ) -> tuple[HeldPayload, ...]:
        """Fetch every payload of an update that is not held yet, and prove it.

        The same call resumes what an earlier one left. A payload whose hash is not the pinned one goes
        to quarantine.

        Args:
            manifest: What to fetch, with a pinned hash for each payload.
            url: Where to fetch from instead of the published URLs: the address of a folder, or the full
                address of one payload (its path ends with the payload's name; the others keep theirs).
            known: Other manifests, to recognise another release's file.
            progress: Told what happens.

        Raises:
            DigestError: A payload is not what was published.
            DownloadError: The server does not give us the whole file.
            StorageError: The disk is full or fails, or another process works on the same payload.
            InputError: The update was recalled, a payload has no pinned hash, or `url` is not https.
        """
        progress = progress or Silent()
        self._check_offered(manifest)
        addresses = {
            payload.name: _address(payload, manifest.payloads, url) for payload in manifest.payloads
        }
        known = tuple(known)
        return tuple(
            self._hold(manifest, payload, addresses[payload.name], known, progress)
            for payload in manifest.payloads
        )

    def held(self) -> tuple[HeldPayload, ...]:
        """Return every payload we hold, by version and name.

        Raises:
            StorageError: A held file is missing or was changed, or the folder cannot be read.
            InputError: A record cannot be understood.
        """
        with storage(f"read catalog {self.root}"):
            paths = sorted(self.root.glob(f"*/*{_RECORD}"))
        held = [_checked(_read_record(path)).held for path in paths]
        return tuple(sorted(held, key=lambda item: (item.version, item.name)))

    def find(self, version: SolutionVersion) -> tuple[HeldPayload, ...]:
        """Return all payloads of one update.

        Raises:
            StorageError: They are not all held, or one is missing or was changed.
            InputError: A record cannot be understood.
        """
        folder = self.root / str(version)
        with storage(f"read catalog {self.root}"):
            paths = sorted(folder.glob(f"*{_RECORD}"))
        records = [_checked(_read_record(path)) for path in paths]
        wanted = {name for record in records for name in record.siblings}
        missing = wanted - {record.held.name for record in records}
        if not records or missing:
            raise StorageError(
                f"find {version} in catalog {self.root}",
                found=f"{len(records)} payloads, not {', '.join(sorted(missing))}"
                if missing
                else "nothing",
                expected="all its payloads",
                hint=f"run `ferry catalog download {version} --catalog {self.root}`",
            )
        return tuple(sorted((record.held for record in records), key=lambda item: item.name))

    # --- one payload ----------------------------------------------------------------------------

    def _check_offered(self, manifest: Manifest) -> None:
        if manifest.status is BundleStatus.RECALLED:
            instead = manifest.superseded_by
            raise InputError(
                f"download {manifest.version}",
                found="a release that its publisher recalled",
                hint=f"take {instead}" if instead else "choose another with `ferry catalog path`",
            )
        for payload in manifest.payloads:
            if payload.sha256 is None:
                raise InputError(
                    f"download {payload.name}",
                    found="no pinned hash in the manifest",
                    expected="sha256 with the 64 digits that the vendor publishes",
                    hint="find out the hash from the vendor and write it into the manifest",
                )

    def _hold(
        self,
        manifest: Manifest,
        payload: Payload,
        url: str,
        known: tuple[Manifest, ...],
        progress: Progress,
    ) -> HeldPayload:
        path = self.root / str(manifest.version) / payload.name
        with storage(f"write catalog {self.root}"):
            path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            present = self._present(manifest, payload, path, progress)
            if present is not None:
                progress.say(f"{payload.name}: held already")
                return present
            part = PartFile(path)
            fetched = self._fetch(url, part, progress)
            if fetched.sha256 != payload.sha256 and fetched.resumed_bytes:
                # power may have failed while an earlier command wrote: its bytes prove nothing
                progress.say(f"{payload.name}: the resumed file is not right; fetching it anew")
                with storage(f"write catalog {self.root}"):
                    part.remove()
                fetched = self._fetch(url, part, progress)
            if fetched.sha256 != payload.sha256:
                raise self._quarantine(payload, url, part, fetched, known, progress)
            with storage(f"write {path}"):
                part.rename(path)
                sync_folder(path.parent)
            progress.say(f"{payload.name}: SHA-256 is the pinned one")
            return self._record(manifest, payload, url, path, fetched.size_bytes)

    def _fetch(self, url: str, part: PartFile, progress: Progress) -> Downloaded:
        return download(
            url,
            part,
            fetcher=self._fetcher,
            progress=progress,
            retry_delays_s=self._retry_delays_s,
            sleep=self._sleep,
        )

    def _present(
        self, manifest: Manifest, payload: Payload, path: Path, progress: Progress
    ) -> HeldPayload | None:
        """Return the payload if the file is there and proven; hash it only if it was touched.

        Raises:
            DigestError: A file of that name is there and is not the pinned one.
        """
        with storage(f"read {path}"):
            if not path.exists():
                return None
            facts = path.stat()
            record_path = _record_path(path)
            if record_path.exists():
                record = _read_record(record_path)
                untouched = (record.held.size_bytes, record.modified_ns) == (
                    facts.st_size,
                    facts.st_mtime_ns,
                )
                if (
                    untouched
                    and record.held.sha256 == payload.sha256
                    and record.siblings == _names(manifest)
                ):
                    return record.held
            digest = _hash(path, progress)
        if digest != payload.sha256:
            raise DigestError(
                f"use {path}",
                found=f"sha256 {digest}",
                expected=f"sha256 {payload.sha256}",
                hint="it was changed after the download; move it away and download again",
            )
        return self._record(manifest, payload, payload.url, path, facts.st_size)

    def _record(
        self, manifest: Manifest, payload: Payload, url: str, path: Path, size_bytes: int
    ) -> HeldPayload:
        values = {
            "format": FORMAT,
            "version": str(manifest.version),
            "name": payload.name,
            "kind": payload.kind.value,
            "url": url,
            "size_bytes": size_bytes,
            "sha256": payload.sha256,
            "modified_ns": path.stat().st_mtime_ns,
            "verified_at": self._now().isoformat(timespec="seconds"),
            "payloads_of_update": list(_names(manifest)),
            "witnesses": [
                {
                    "value": witness.value,
                    "source": witness.source,
                    "seen_on": witness.seen_on.isoformat(),
                    "comment": witness.comment,
                }
                for witness in payload.witnesses
            ],
        }
        record_path = _record_path(path)
        with storage(f"write {record_path}"):
            write_beside(record_path, json.dumps(values, indent=1, ensure_ascii=False))
        return _read_record(record_path).held

    def _quarantine(
        self,
        payload: Payload,
        url: str,
        part: PartFile,
        fetched: Downloaded,
        known: tuple[Manifest, ...],
        progress: Progress,
    ) -> DigestError:
        """Move the file away, write down why, and return the error to raise."""
        folder = self.root / "quarantine"
        target = folder / f"{payload.name}.{fetched.sha256[:12]}"
        explanation = target.with_name(target.name + ".txt")
        with storage(f"write {folder}"):
            folder.mkdir(exist_ok=True)
            part.rename(target)
            before = explanation.read_text(encoding="utf-8") if explanation.exists() else ""
            progress.say(f"{payload.name}: not what was published; looking into the file")
            judgement = judge(
                payload,
                Measured(
                    sha256=fetched.sha256,
                    size_bytes=fetched.size_bytes,
                    announced_bytes=fetched.announced_bytes,
                ),
                structure=(
                    inspect_zip(target, expects=Expects.of(payload.name), progress=progress)
                    if payload.name.lower().endswith(".zip")
                    else None
                ),
                others=other_payloads(known, payload),
                earlier=tuple(_earlier(before, fetched.sha256)),
            )
            text = _explain(payload, url, fetched, judgement, self._now())
            write_beside(explanation, before + text)
        return DigestError(
            f"download {payload.name} from {url}",
            found=f"{fetched.size_bytes} bytes, sha256 {fetched.sha256}",
            expected=f"sha256 {payload.sha256}",
            hint=f"{judgement.reasons[-1]}; the file and the reasons are in {explanation}",
        )


def _earlier(explanation: str, digest: Sha256) -> Iterator[Earlier]:
    """Yield the earlier downloads of this very file that its explanation tells of."""
    told = re.findall(r"^downloaded (\d{4}-\d\d-\d\d)T\S+ from (\S+)$", explanation, re.MULTILINE)
    for day, address in told:
        yield Earlier(sha256=digest, measured_on=date.fromisoformat(day), source=address)


def _explain(
    payload: Payload, url: str, fetched: Downloaded, judgement: Judgement, now: datetime
) -> str:
    lines = [
        f"downloaded {now.isoformat(timespec='seconds')} from {url}",
        f"  expected  sha256 {payload.sha256}",
        f"  found     sha256 {fetched.sha256}, {fetched.size_bytes} bytes",
        f"  verdict   {judgement.verdict.value}",
        *(f"  - {reason}" for reason in judgement.reasons),
        "  This file was not let into the catalog.",
    ]
    return "\n".join(lines) + "\n\n"


def _address(payload: Payload, payloads: Sequence[Payload], url: str | None) -> str:
    """Return where to fetch a payload from: see `Catalog.download`."""
    if url is None:
        return payload.url
    try:
        https_url(url)
    except ValueError as error:
        raise InputError(
            "read --url", found=str(error), hint="payloads are fetched over https only"
        ) from error
    last = unquote(urlsplit(url).path.rpartition("/")[2])
    if last == payload.name:
        return url
    if last in {other.name for other in payloads}:
        return payload.url
    return f"{url.rstrip('/')}/{payload.name}"


def _names(manifest: Manifest) -> tuple[str, ...]:
    return tuple(payload.name for payload in manifest.payloads)


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + _RECORD)


def _read_record(path: Path) -> _Record:
    """Read a record.

    Raises:
        StorageError: It cannot be read.
        InputError: It cannot be understood.
    """
    with storage(f"read {path}"), path.open("rb") as file:
        data = file.read(_RECORD_LIMIT_BYTES)
    try:
        values: dict[str, Any] = json.loads(data)
        return _Record(
            held=HeldPayload(
                version=SolutionVersion.parse(values["version"]),
                name=payload_name(values["name"]),
                kind=PayloadKind(values["kind"]),
                url=str(values["url"]),
                path=path.with_name(payload_name(values["name"])),
                size_bytes=int(values["size_bytes"]),
                sha256=sha256(values["sha256"]),
                witnesses=tuple(
                    Witness(
                        value=str(item["value"]),
                        source=str(item["source"]),
                        seen_on=date.fromisoformat(item["seen_on"]),
                        comment=str(item["comment"]),
                    )
                    for item in values["witnesses"]
                ),
            ),
            modified_ns=int(values["modified_ns"]),
            siblings=tuple(map(str, values["payloads_of_update"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "read catalog record",
            file=str(path),
            found=f"{type(error).__name__}: {error}",
            hint="delete this record; `ferry catalog download` proves the file and writes it anew",
        ) from error


def _checked(record: _Record) -> _Record:
    """Return the record if its file is there with its length; the bytes are proven when used."""
    path = record.held.path
    with storage(f"read {path}"):
        size = path.stat().st_size if path.exists() else None
    if size != record.held.size_bytes:
        raise StorageError(
            f"use {path}",
            found="no such file" if size is None else f"{size} bytes",
            expected=f"{record.held.size_bytes} bytes",
            hint="run `ferry catalog download` for it again",
        )
    return record


def _hash(path: Path, progress: Progress) -> Sha256:
    digest = hashlib.sha256()
    progress.begin(f"check {path.name}", total_bytes=path.stat().st_size)
    try:
        with path.open("rb") as file:
            while data := file.read(_READ_BYTES):
                digest.update(data)
                progress.advance(len(data))
    finally:
        progress.end()
    return Sha256(digest.hexdigest())


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold one payload; a second process is told at once instead of spoiling the first one's file."""
    lock = filelock.FileLock(path.with_name(path.name + ".lock"), timeout=0)
    with storage(f"lock {path}"):
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise StorageError(
                f"download {path.name}",
                found="another ferry is working on it",
                hint="wait until that one has ended",
            ) from error
    try:
        yield
    finally:
        lock.release()
