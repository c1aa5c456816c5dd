"""The catalog: a folder of payloads that we downloaded or were given, each judged by its witnesses.

How the folder is laid out stands in `_store.py`. Here stands how a payload gets in: it is fetched or
copied beside its place, measured, judged, and only then named by its SHA-256 and recorded. A payload that
is not what was published goes to quarantine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from toolkit.catalog._download import RETRY_DELAYS_S, Downloaded, PartFile, download
from toolkit.catalog._fetch import Fetcher, HttpsFetcher
from toolkit.catalog._gate import advice
from toolkit.catalog._intake import Intake, found_of, without_measurement
from toolkit.catalog._judging import Found, Wanted, earlier_downloads
from toolkit.catalog._limits import Limits
from toolkit.catalog._records import Record, record_path, write_record
from toolkit.catalog._shelf import Shelf
from toolkit.catalog._storage import remove_file, storage
from toolkit.catalog._store import Store
from toolkit.catalog._together import Together, size_of
from toolkit.catalog._versions import resolve_version
from toolkit.errors import DigestError, InputError, StorageError
from toolkit.model import (
    Acceptance,
    BundleStatus,
    FileVerdict,
    HeldPayload,
    Judgement,
    Manifest,
    Payload,
    PayloadKind,
    Progress,
    Sha256,
    Silent,
    SolutionVersion,
    Stance,
    Statement,
    StatementKind,
    Witness,
)
from toolkit.names import https_url, payload_name
from toolkit.signed import KnownKeys


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
        self.root, self.store, self.now = root, Store(root), now
        self._intake = Intake(self.store, now)
        self._fetcher = fetcher or HttpsFetcher(ca_file)
        self._retry_delays_s = tuple(retry_delays_s)
        self._sleep = sleep

    # --- getting in -----------------------------------------------------------------------------

    def download(
        self,
        *manifests: Manifest,
        urls: Sequence[str] = (),
        known: Iterable[Manifest] = (),
        progress: Progress | None = None,
        limits: Limits | None = None,
    ) -> tuple[HeldPayload, ...]:
        """Fetch every payload of updates that is not held yet, and judge it.

        The same call resumes what an earlier one left. A payload whose hash is not the pinned one goes
        to quarantine; one without a pinned hash is held, and does not travel before it is proven.

        Args:
            manifests: What to fetch.
            urls: Where to fetch from instead of the published URLs: each the address of a folder, or the
                full address of one payload (its path ends with the payload's name). Several of one
                payload are mirrors; payloads that none is for keep their published address.
            known: Other manifests, to recognise another release's file.
            progress: Told what happens.
            limits: How much of the line may be taken, and when.

        Raises:
            DigestError: A payload is not what was published.
            DownloadError: No server gives us the whole file.
            StorageError: The disk is full or fails, or another process works on the same payload.
            InputError: An update was recalled, or a URL is not https.
        """
        progress, known = progress or Silent(), tuple(known)
        for manifest in manifests:
            _check_offered(manifest)
        names = {payload.name for manifest in manifests for payload in manifest.payloads}
        wanted = [
            (wanted_of(manifest, payload, known), _addresses(payload, names, urls))
            for manifest in manifests
            for payload in manifest.payloads
        ]
        queue = Together(progress, self._sizes(wanted))
        return tuple(self._hold(each, urls, progress, queue, limits) for each, urls in wanted)

    def adopt(
        self,
        source: Path,
        *,
        shelf: str,
        name: str,
        kind: PayloadKind,
        url: str,
        expected_sha256: Sha256 | None,
        siblings: Sequence[str],
        statements: Sequence[Statement] = (),
        witnesses: Sequence[Witness] = (),
        size_bytes: int | None = None,
        known: Iterable[Manifest] = (),
        progress: Progress | None = None,
    ) -> HeldPayload:
        """Take in a file that came by another way, and judge it.

        On the same file system a file of ours gets a second name instead of a copy, and becomes
        read-only with it; it may be deleted afterwards.

        Args:
            source: The file, whatever it is called.
            shelf: `12.2603.1002.15` or `sbe/<publisher>_<family>_<version>`.
            name: The payload's own name.
            kind: What it is for.
            url: Where it is published; may be empty.
            expected_sha256: The hash it must have; None if nobody knows. Who says so stands in
                `statements` or `witnesses`: by itself it proves nothing.
            siblings: Names of all payloads of the update or SBE, this one among them.
            statements: What other witnesses say of it.
            witnesses: Hashes published for it.
            size_bytes: Its published length.
            known: Other manifests, to recognise another release's file.
            progress: Told what happens.

        Raises:
            DigestError: It is not what was published; nothing was added.
            StorageError: It cannot be read, the disk is full, or another process works on it.
            InputError: `shelf` or `name` cannot be used.
        """
        progress = progress or Silent()
        payload = Payload(
            name=name,
            kind=kind,
            url=url,
            witnesses=tuple(witnesses),
            sha256=None,
            size_bytes=size_bytes,
        )
        wanted = Wanted(
            shelf=shelf,
            payload=payload,
            must_be=expected_sha256,
            siblings=tuple(siblings),
            statements=tuple(statements),
            known=tuple(known),
        )
        return self.take_in(source, wanted, progress)

    def take_in(self, source: Path, wanted: Wanted, progress: Progress) -> HeldPayload:
        """Do what `adopt` says."""
        payload = wanted.payload
        _check_place(wanted)
        attempted = f"add {source}"
        with self.store.working_on(
            wanted.shelf, payload.name, attempted=attempted, progress=progress
        ):
            if wanted.must_be is not None:
                present = self._intake.present(wanted, progress)
                if present is not None:
                    progress.say(f"{payload.name}: held already; {source} was not read")
                    return present
            draft = self.store.draft(wanted.shelf, payload.name)
            try:
                found = found_of(draft, self._intake.bring(source, draft, progress), is_deep=True)
                judgement = self._intake.judged(wanted, found, progress)
                if (
                    wanted.must_be not in (None, found.sha256)
                    or judgement.verdict is FileVerdict.BAD
                ):
                    raise DigestError(
                        attempted,
                        found=f"{judgement.verdict.value}: {'; '.join(judgement.reasons)}",
                        expected=f"sha256 {wanted.must_be}" if wanted.must_be else None,
                        hint="nothing was added; get the file again, from another line or place",
                    )
                self._intake.check_replacement(attempted, wanted, found, judgement, progress)
                return self._intake.keep(wanted, found, judgement, progress)
            finally:
                with storage(f"write {draft}"):
                    remove_file(draft)

    def fetch_into(self, path: Path, url: str, *, shelf: str, progress: Progress) -> Path:
        """Fetch a file that nobody has judged yet, going on with what an earlier call left.

        Args:
            path: Where it goes, on the catalog's disk, under the payload's name.
            url: Where it is.
            shelf: Where it will belong; its unfinished bytes stand there.
            progress: Told what happens.

        Raises:
            DownloadError: The server does not give us the whole file.
            StorageError: The disk is full or fails, or another process works on it.
        """
        attempted = f"download {path.name}"
        with self.store.working_on(shelf, path.name, attempted=attempted, progress=progress):
            part = PartFile(self.store.shelf(shelf) / path.name)
            self._fetch((url,), part, progress, limits=None)
            with storage(f"write {path}"):
                part.rename(path)
        return path

    @property
    def known_keys(self) -> KnownKeys:
        """The keys of sites and colleagues that somebody here decided to believe."""
        return KnownKeys(self.root / "known-keys.json")

    # --- what is held ---------------------------------------------------------------------------

    def held(self) -> tuple[HeldPayload, ...]:
        """Return every payload we hold, by version and name.

        Raises:
            StorageError: A held file is missing or was changed, or the folder cannot be read.
            InputError: A record cannot be understood.
        """
        found = [_checked(record).held for record in self.store.records()]
        return tuple(sorted(found, key=by_shelf))

    def find(self, version: SolutionVersion) -> tuple[HeldPayload, ...]:
        """Return all payloads of one update.

        Raises:
            StorageError: They are not all held, or one is missing or was changed.
            InputError: A record cannot be understood.
        """
        hint = f"run `ferry catalog download {version} --catalog {self.root}`"
        return self._all_of(str(version), hint)

    def find_sbe(self, shelf: str) -> tuple[HeldPayload, ...]:
        """Return all files of one SBE, by its shelf `sbe/<publisher>_<family>_<version>`.

        Raises:
            StorageError: They are not all held, or one is missing or was changed.
            InputError: A record cannot be understood.
        """
        return self._all_of(shelf, f"add its files with `ferry catalog add` to {self.root}")

    def select(self, words: Sequence[str]) -> tuple[Record, ...]:
        """Return the records that a person means: all of them, or by version, shelf or name.

        Args:
            words: Versions (`12.2603`), shelves, names, or `shelf/name`; none: everything.

        Raises:
            InputError: A word names nothing that is held.
            StorageError: A record cannot be read.
        """
        records = sorted(self.store.records(), key=lambda record: by_shelf(record.held))
        chosen: dict[tuple[str, str], Record] = {}
        for word in words:
            named = [record for record in records if _is_meant(word, record.held)]
            if not named:
                versions = {record.held.version for record in records if record.held.version}
                try:
                    version = resolve_version(word, versions)
                except InputError as error:
                    raise InputError(
                        f"find {word} in catalog {self.root}",
                        found="nothing of that name",
                        expected=", ".join(dict.fromkeys(record.held.shelf for record in records))
                        or "something held",
                        hint="`ferry catalog status` lists what is held",
                    ) from error
                named = [record for record in records if record.held.version == version]
            chosen |= {(record.held.shelf, record.held.name): record for record in named}
        return tuple(chosen.values()) if words else tuple(records)

    def accept(
        self, word: str, *, by: str, reason: str, progress: Progress | None = None
    ) -> HeldPayload:
        """Write down who answers for a file that its witnesses do not prove, and why.

        Args:
            word: Its name, or `shelf/name` where several shelves have one.
            by: Who answers for it.
            reason: Why.
            progress: Told when the file system has no locks.

        Raises:
            DigestError: The file is bad.
            InputError: Nothing or several things of that name, no reason or name given, proven
                anyway, or its published hash is impossible.
            StorageError: The catalog cannot be written.
        """
        if not by.strip() or not reason.strip():
            raise InputError(f"accept {word}", found="nobody's name" if reason else "no reason")
        with self.store.changing(progress or Silent()):
            record = self._only(word)
            held = record.held
            _check_acceptable(held)
            accepted = Acceptance(by=by.strip(), reason=reason.strip(), at=self.now())
            record = replace(record, held=replace(held, acceptance=accepted))
            self.write(record)
        return record.held

    def write(self, record: Record) -> None:
        """Write a record. Only while `store.changing`."""
        write_record(record_path(self.store.shelf(record.held.shelf), record.held.name), record)

    def judge_again(
        self,
        record: Record,
        *,
        manifest: Manifest | None,
        known: Sequence[Manifest],
        is_deep: bool,
        progress: Progress,
    ) -> Judgement:
        """Judge a file that was just measured again and is what its record says.

        Args:
            record: Its record.
            manifest: What is published of its update today; None: as recorded.
            known: All manifests.
            is_deep: Whether to read the whole zip.
            progress: Told what happens.

        Raises:
            StorageError: The file cannot be read.
        """
        held = record.held
        published = next(
            (item for item in (manifest.payloads if manifest else ()) if item.name == held.name),
            _as_recorded(held),
        )
        wanted = Wanted(
            shelf=held.shelf,
            payload=published,
            must_be=published.sha256,
            siblings=record.siblings,
            known=tuple(known),
        )
        statements = (*without_measurement(held), self._intake.measured_again())
        found = found_of(held.path, held, statements, is_deep=is_deep)
        return self._intake.judged(wanted, found, progress)

    # --- one payload ----------------------------------------------------------------------------

    def _all_of(self, shelf: str, hint: str) -> tuple[HeldPayload, ...]:
        paths = self.store.record_paths(shelf)
        records = [_checked(record) for record in self.store.records(paths)]
        wanted = {name for record in records for name in record.siblings}
        missing = wanted - {record.held.name for record in records}
        if not records or missing:
            raise StorageError(
                f"find {shelf} in catalog {self.root}",
                found=f"{len(records)} payloads, not {', '.join(sorted(missing))}"
                if missing
                else "only what an earlier ferry recorded"
                if paths
                else "nothing",
                expected="all its payloads",
                hint=hint,
            )
        return tuple(sorted((record.held for record in records), key=by_shelf))

    def _only(self, word: str) -> Record:
        records = self.select([word])
        if len(records) > 1:
            raise InputError(
                f"find one file called {word} in catalog {self.root}",
                found=f"{len(records)} of them",
                expected=" or ".join(f"{item.held.shelf}/{item.held.name}" for item in records),
            )
        return records[0]

    def _sizes(self, wanted: Sequence[tuple[Wanted, tuple[str, ...]]]) -> list[int | None]:
        """Return the size of each payload that is to be fetched, as far as it can be known."""
        missing = [
            (each.payload, urls)
            for each, urls in wanted
            if each.must_be is None or not self.store.object(each.must_be).exists()
        ]
        if len(missing) < 2:
            return [payload.size_bytes for payload, _ in missing]
        return [payload.size_bytes or size_of(urls, self._fetcher) for payload, urls in missing]

    def _hold(
        self,
        wanted: Wanted,
        urls: Sequence[str],
        progress: Progress,
        queue: Together,
        limits: Limits | None,
    ) -> HeldPayload:
        payload = wanted.payload
        with self.store.working_on(
            wanted.shelf, payload.name, attempted=f"download {payload.name}", progress=progress
        ):
            part = PartFile(self.store.shelf(wanted.shelf) / payload.name)
            present = self._intake.present(wanted, progress)
            if present is not None:
                with storage(f"write catalog {self.root}"):
                    part.remove()
                progress.say(f"{payload.name}: held already")
                return present
            fetched = self._fetch(urls, part, queue, limits)
            if wanted.must_be not in (None, fetched.sha256) and (
                fetched.resumed_bytes or len(fetched.sources) > 1
            ):
                # power may have failed while an earlier command wrote, or a mirror has another file
                progress.say(f"{payload.name}: put together it is not right; fetching it anew")
                with storage(f"write catalog {self.root}"):
                    part.remove()
                fetched = self._fetch(urls[:1], part, queue, limits)
            queue.next()
            url = next(iter(fetched.sources), urls[0])
            found = Found(
                path=part.path,
                sha256=fetched.sha256,
                size_bytes=fetched.size_bytes,
                announced_bytes=fetched.announced_bytes,
                earlier=tuple(
                    earlier_downloads(
                        self.store.jailed(payload.name, fetched.sha256)[1], fetched.sha256
                    )
                ),
                is_deep=fetched.sha256 != wanted.must_be,
            )
            judgement = self._intake.judged(wanted, found, progress)
            if wanted.must_be not in (None, found.sha256) or judgement.verdict is FileVerdict.BAD:
                raise self._quarantine(payload, url, part, found, judgement)
            held = self._intake.keep(wanted, found, judgement, progress)
            with storage(f"write catalog {self.root}"):
                part.remove()
            progress.say(f"{payload.name}: {judgement.verdict.value}")
            return held

    def _fetch(
        self, urls: Sequence[str], part: PartFile, progress: Progress, limits: Limits | None
    ) -> Downloaded:
        return download(
            urls,
            part,
            fetcher=self._fetcher,
            progress=progress,
            limits=limits,
            retry_delays_s=self._retry_delays_s,
            sleep=self._sleep,
        )

    def _quarantine(
        self, payload: Payload, url: str, part: PartFile, found: Found, judgement: Judgement
    ) -> DigestError:
        """Move the file away, write down why, and return the error to raise."""
        text = _explain(payload, url, found, judgement, self.now())
        explanation = self.store.jail(part.path, payload.name, found.sha256, text)
        with storage(f"write catalog {self.root}"):
            part.remove()
        return DigestError(
            f"download {payload.name} from {url}",
            found=f"{judgement.verdict.value}; {found.size_bytes} bytes, sha256 {found.sha256}",
            expected=f"sha256 {payload.sha256}" if payload.sha256 else "a good file",
            hint=f"{advice(judgement)}; the file and the reasons are in {explanation}",
        )


def _as_recorded(held: HeldPayload) -> Payload:
    """Return what was published of a payload, as far as its record knows."""
    is_pinned = any(
        said.kind is StatementKind.PUBLISHED_HASH and said.stance is Stance.FOR
        for said in held.judgement.statements
    )
    return Payload(
        name=held.name,
        kind=held.kind,
        url=held.url,
        witnesses=held.witnesses,
        sha256=held.sha256 if is_pinned else None,
    )


def _check_offered(manifest: Manifest) -> None:
    if manifest.status is BundleStatus.RECALLED:
        instead = manifest.superseded_by
        raise InputError(
            f"download {manifest.version}",
            found="a release that its publisher recalled",
            hint=f"take {instead}" if instead else "choose another with `ferry catalog path`",
        )


def _check_place(wanted: Wanted) -> None:
    try:
        Shelf.parse(wanted.shelf)
        payload_name(wanted.payload.name)
    except ValueError as error:
        raise InputError(
            f"add {wanted.payload.name} to {wanted.shelf}", found=str(error)
        ) from error


def _check_acceptable(held: HeldPayload) -> None:
    attempted, judgement = f"accept {held.name} of {held.shelf}", held.judgement
    found = f"{judgement.verdict.value}: {'; '.join(judgement.reasons)}"
    match judgement.verdict:
        case FileVerdict.UNPROVEN:
            return
        case FileVerdict.BAD:
            raise DigestError(attempted, found=found, hint=advice(judgement))
        case FileVerdict.HASH_IMPOSSIBLE:
            raise InputError(
                attempted,
                found=found,
                expected="a reviewed hash instead of a person's word",
                hint=advice(judgement),
            )
        case FileVerdict.PROVEN:
            raise InputError(attempted, found=found, hint="it travels as it is")


def _explain(payload: Payload, url: str, found: Found, judgement: Judgement, now: datetime) -> str:
    lines = [
        f"downloaded {now.isoformat(timespec='seconds')} from {url}",
        f"  expected  sha256 {payload.sha256 or 'unknown'}",
        f"  found     sha256 {found.sha256}, {found.size_bytes} bytes",
        f"  verdict: {judgement.verdict.value}",
        *(f"  - {reason}" for reason in judgement.reasons),
        f"  {advice(judgement)}",
        "  This file was not let into the catalog.",
    ]
    return "\n".join(lines) + "\n\n"


def wanted_of(manifest: Manifest, payload: Payload, known: Sequence[Manifest]) -> Wanted:
    """Return a payload of an update as something to be held."""
    return Wanted(
        shelf=str(manifest.version),
        payload=payload,
        must_be=payload.sha256,
        siblings=tuple(item.name for item in manifest.payloads),
        known=tuple(known),
    )


def _addresses(payload: Payload, names: set[str], urls: Sequence[str]) -> tuple[str, ...]:
    """Return where to fetch a payload from, `names` being those of all: see `Catalog.download`."""
    found = []
    for url in urls:
        try:
            https_url(url)
        except ValueError as error:
            raise InputError(
                "read --url", found=str(error), hint="payloads are fetched over https only"
            ) from error
        last = unquote(urlsplit(url).path.rpartition("/")[2])
        if last == payload.name:
            found.append(url)
        elif last not in names:
            found.append(f"{url.rstrip('/')}/{payload.name}")
    return tuple(dict.fromkeys(found)) or (payload.url,)


def by_shelf(held: HeldPayload) -> tuple[bool, SolutionVersion | str, str]:
    """Sort key: updates by version, then SBEs by shelf; by name on each."""
    return (held.version is None, held.version or held.shelf, held.name)


def _is_meant(word: str, held: HeldPayload) -> bool:
    meant = word.replace("\\", "/").strip("/").casefold()
    names = (held.name, held.shelf, f"{held.shelf}/{held.name}")
    return meant in {name.casefold() for name in names}


def _checked(record: Record) -> Record:
    """Return the record if its bytes are there in full length; they are proven when used."""
    held = record.held
    with storage(f"read {held.path}"):
        size = held.path.stat().st_size if held.path.exists() else None
    if size != held.size_bytes:
        raise StorageError(
            f"use {held.name} of {held.shelf}",
            found=f"no such file as {held.path}"
            if size is None
            else f"{size} bytes in {held.path}",
            expected=f"{held.size_bytes} bytes",
            hint="run `ferry catalog download` for it again",
        )
    return record
