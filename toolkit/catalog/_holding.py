"""How a payload gets into the catalog.

It is fetched or copied beside its place, measured, judged, and only then named by its SHA-256 and recorded.
A payload that is not what was published goes to quarantine. How the folder is laid out stands in `_store.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from toolkit.catalog._gate import advice
from toolkit.catalog._intake import Intake, found_of, without_measurement
from toolkit.catalog._judging import Found, Wanted, earlier_downloads, explanation
from toolkit.catalog._limits import Limits
from toolkit.catalog._part import PartFile
from toolkit.catalog._patience import RETRY_DELAYS_S
from toolkit.catalog._records import Record
from toolkit.catalog._shelf import Shelf
from toolkit.catalog._storage import remove_file, storage
from toolkit.catalog._store import Store
from toolkit.catalog._together import Together, size_of
from toolkit.errors import DigestError, InputError
from toolkit.model import (
    BundleStatus,
    FileVerdict,
    HeldPayload,
    Judgement,
    Manifest,
    Payload,
    PayloadKind,
    Progress,
    Sha256,
    Stance,
    Statement,
    StatementKind,
    Witness,
)
from toolkit.names import https_url, payload_name, shown
from toolkit.signed import KnownKeys

if TYPE_CHECKING:
    from toolkit.catalog._download import Downloaded
    from toolkit.catalog._fetch import Fetcher


class Holding:
    """The payloads in one folder, and what brings further ones in."""

    def __init__(
        self,
        root: Path,
        *,
        fetcher: Fetcher | None,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Use the folder `root`; arguments as of `Catalog`."""
        self.root, self.store = root, Store(root)
        self.now = now
        self._given_fetcher = fetcher
        self._intake = Intake(self.store, now)
        self._retry_delays_s = tuple(retry_delays_s)
        self._sleep = sleep

    @cached_property
    def fetcher(self) -> Fetcher:
        """What fetches; HTTPS by default.

        It is made when it is first asked for: a command that fetches nothing reads no file of authorities.

        Raises:
            InputError: A file of authorities or a setting of the network cannot be used.
        """
        from toolkit.catalog._fetch import HttpsFetcher

        return self._given_fetcher or HttpsFetcher()

    def download(
        self,
        *manifests: Manifest,
        urls: Sequence[str] = (),
        known: Iterable[Manifest] = (),
        limits: Limits | None = None,
        progress: Progress,
    ) -> tuple[HeldPayload, ...]:
        """Fetch every payload of updates that is not held yet, and judge it.

        Arguments and errors: `Catalog.download`.
        """
        known = tuple(known)
        for manifest in manifests:
            _check_offered(manifest)
        names = {payload.name for manifest in manifests for payload in manifest.payloads}
        wanted = [
            (wanted_of(manifest, payload, known), _addresses(payload, names, urls))
            for manifest in manifests
            for payload in manifest.payloads
        ]
        queue = Together(progress, self._sizes(wanted))
        held = []
        for each, addresses in wanted:
            held.append(self._hold(each, addresses, progress, queue, limits))
            queue.next()
        return tuple(held)

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
        progress: Progress,
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

    def take_in(
        self, source: Path, wanted: Wanted, progress: Progress, *, is_unread: bool = False
    ) -> HeldPayload:
        """Do what `adopt` says.

        Args:
            source: The file.
            wanted: What it should be.
            progress: Told what happens.
            is_unread: Whether nobody has looked at the file yet: then it is hashed also where its
                payload is held already.

        Raises:
            DigestError: As of `adopt`; what is held already stays.
            StorageError: As of `adopt`.
            InputError: As of `adopt`.
        """
        payload = wanted.payload
        _check_place(wanted)
        attempted = f"add {source}"
        with self.store.working_on(
            wanted.shelf, payload.name, attempted=attempted, progress=progress
        ):
            if wanted.must_be is not None:
                present = self._intake.present(wanted, progress)
                if present is not None and is_unread:
                    self._intake.check_same(attempted, source, present, progress)
                if present is not None:
                    same = "the same bytes" if is_unread else "what was given was not read again"
                    progress.say(f"{payload.name}: held already; {same}")
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

    def fetch_into(
        self, path: Path, url: str, *, shelf: str, limits: Limits | None, progress: Progress
    ) -> Path:
        """Fetch a file that nobody has judged yet, going on with what an earlier call left.

        Args:
            path: Where it goes, on the catalog's disk, under the payload's name.
            url: Where it is.
            shelf: Where it will belong; its unfinished bytes stand there.
            limits: What a person allows.
            progress: Told what happens.

        Raises:
            DownloadError: The server does not give us the whole file.
            StorageError: The disk is full or fails, or another process works on it.
        """
        attempted = f"download {path.name}"
        with self.store.working_on(shelf, path.name, attempted=attempted, progress=progress):
            part = PartFile(self.store.shelf(shelf) / path.name)
            self._fetch((url,), part, progress, limits)
            with storage(f"write {path}"):
                part.rename(path)
        return path

    @property
    def known_keys(self) -> KnownKeys:
        """The keys of sites and colleagues that somebody here decided to believe."""
        return KnownKeys(self.root / "known-keys.json")

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

    def _sizes(self, wanted: Sequence[tuple[Wanted, tuple[str, ...]]]) -> list[int | None]:
        """Return how much is to be fetched of each payload, as far as it can be known."""
        held = [self._intake.is_held(each) for each, _ in wanted]
        is_one = held.count(False) < 2
        return [
            0
            if there
            else each.payload.size_bytes or (None if is_one else size_of(urls, self.fetcher))
            for (each, urls), there in zip(wanted, held, strict=True)
        ]

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
            url = next(iter(fetched.sources), urls[0])
            found = Found(
                path=part.path,
                sha256=fetched.sha256,
                size_bytes=fetched.size_bytes,
                announced_bytes=fetched.announced_bytes,
                earlier=tuple(
                    earlier_downloads(
                        self.store.quarantined(payload.name, fetched.sha256)[1], fetched.sha256
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
        from toolkit.catalog._download import download

        return download(
            urls,
            part,
            fetcher=self.fetcher,
            progress=progress,
            limits=limits,
            retry_delays_s=self._retry_delays_s,
            sleep=self._sleep,
        )

    def _quarantine(
        self, payload: Payload, url: str, part: PartFile, found: Found, judgement: Judgement
    ) -> DigestError:
        """Move the file away, write down why, and return the error to raise."""
        text = explanation(
            f"downloaded {self.now().isoformat(timespec='seconds')} from {shown(url)}",
            expected=payload.sha256,
            sha256=found.sha256,
            size_bytes=found.size_bytes,
            judgement=judgement,
            remarks=(advice(judgement), "This file was not let into the catalog."),
        )
        explained = self.store.set_aside(part.path, payload.name, found.sha256, text)
        with storage(f"write catalog {self.root}"):
            part.remove()
        attempted = f"download {payload.name} from {shown(url)}"
        if payload.sha256 in (None, found.sha256):
            measured, expected = judgement.reasons[0], "a good file"
        else:
            measured = f"{found.size_bytes} bytes, sha256 {found.sha256}"
            expected = f"sha256 {payload.sha256}"
        return DigestError(
            attempted,
            found=f"{judgement.verdict.value}; {measured}",
            expected=expected,
            hint=f"{advice(judgement)}; the file and the reasons are in {explained}",
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
    """Return where to fetch a payload from, `names` being those of all: see `Holding.download`."""
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
