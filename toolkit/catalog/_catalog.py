"""The catalog as the command line sees it: one folder, and everything that is done with it.

Nothing is decided here. Each method hands on to the module that knows how: `_holding.py` (how a payload gets
in), `_adding.py`, `_sbe.py`, `_verifying.py`, `_accepting.py`, `_upkeep.py`, `_exchange.py`, `_trip_files.py`
and `_trip.py`; the folder itself is `_store.py`. They are loaded when asked for, so that no command waits for
what it does not use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.catalog._held import all_held, held_on
from toolkit.catalog._holding import Holding
from toolkit.catalog._limits import Limits
from toolkit.catalog._loading import Manifests
from toolkit.catalog._patience import RETRY_DELAYS_S
from toolkit.model import HeldPayload, Manifest, Progress, Sha256, Silent, SolutionVersion

if TYPE_CHECKING:
    from toolkit.catalog._exchange import Export
    from toolkit.catalog._fetch import Fetcher
    from toolkit.catalog._plan import Plan
    from toolkit.catalog._upkeep import CatalogStatus, Pruning
    from toolkit.catalog._verifying import Verification
    from toolkit.signed import KnownKey, SigningKey


class Catalog:
    """The payloads we hold in one folder."""

    def __init__(
        self,
        root: Path,
        *,
        fetcher: Fetcher | None = None,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Use the folder `root`; it is made by the first download.

        Args:
            root: The catalog folder.
            fetcher: What fetches; HTTPS by default, made by the first method that fetches.
            retry_delays_s: How long to wait before each repetition of a failed attempt.
            sleep: Waits.
            now: The time, aware UTC.
        """
        self.root = root
        self._holding = Holding(
            root,
            fetcher=fetcher,
            retry_delays_s=retry_delays_s,
            sleep=sleep,
            now=now,
        )

    # --- what is held ---------------------------------------------------------------------------

    def held(self) -> tuple[HeldPayload, ...]:
        """Return every payload we hold, by version and name.

        Raises:
            StorageError: A held file is missing or was changed, or the folder cannot be read.
            InputError: A record cannot be understood.
        """
        return all_held(self._holding.store)

    def find(self, shelf: SolutionVersion | str) -> tuple[HeldPayload, ...]:
        """Return all payloads of one update, or of one SBE by its shelf `sbe/<publisher>_<family>_<version>`.

        Raises:
            StorageError: They are not all held, or one is missing or was changed.
            InputError: A record cannot be understood.
        """
        return held_on(self._holding.store, str(shelf))

    def status(self) -> CatalogStatus:
        """Say what lies in the folder: held, unfinished, in quarantine. Nothing is hashed.

        Raises:
            StorageError: The folder cannot be read.
        """
        from toolkit.catalog import _upkeep

        return _upkeep.catalog_status(self._holding)

    # --- getting in -----------------------------------------------------------------------------

    def download(
        self,
        *manifests: Manifest,
        urls: Sequence[str] = (),
        known: Iterable[Manifest] = (),
        limits: Limits | None = None,
        progress: Progress | None = None,
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
            limits: How much of the line may be taken, and when.
            progress: Told what happens.

        Raises:
            DigestError: A payload is not what was published.
            DownloadError: No server gives us the whole file.
            StorageError: The disk is full or fails, or another process works on the same payload.
            InputError: An update was recalled, or a URL is not https.
        """
        return self._holding.download(
            *manifests, urls=urls, known=known, limits=limits, progress=progress or Silent()
        )

    def fetch(
        self,
        plan: Path,
        *,
        manifests: Manifests,
        urls: Sequence[str] = (),
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> tuple[HeldPayload, ...]:
        """Fetch everything that a plan carries and is not held yet: bundles first, then vendors' SBEs.

        Args:
            plan: The file that `plan` wrote.
            manifests: What is published.
            urls: As in `download`.
            limits: As in `download`.
            progress: Told what happens.

        Raises:
            DigestError: A payload is not what was published.
            DownloadError: A server does not give us a whole file.
            StorageError: The disk is full or fails, or the plan cannot be read.
            InputError: Not a plan, a release was recalled, or an SBE must be brought in by hand; says how.
        """
        from toolkit.catalog import _trip, _trip_files

        return _trip.fetch_trip(
            self._holding,
            _trip_files.open_plan(plan),
            manifests,
            urls=urls,
            limits=limits,
            progress=progress or Silent(),
        )

    def add(
        self,
        paths: Iterable[Path],
        *,
        manifests: Manifests,
        discovery: str | None = None,
        signing_ca: Path | None = None,
        signers: Collection[str] = (),
        progress: Progress | None = None,
    ) -> tuple[HeldPayload, ...]:
        """Take in files that came by another way, and fetch the SBEs that are named by their title only.

        Args:
            paths: Solution bundles; the files of one SBE, folders and zips with them; titles of SBEs.
            manifests: What is published.
            discovery: An https address or a file of a newer SBE discovery manifest.
            signing_ca: PEM file with authorities whose word counts for signatures, besides the system's.
            signers: Organisations that sign for the SBE's vendor, besides itself.
            progress: Told what happens.

        Raises:
            DigestError: A witness speaks against one of them.
            InputError: Of no known sort, nothing was added then; or what is inside does not belong together.
            StorageError: A file cannot be read, or the catalog not be written.
            DownloadError: A file or manifest cannot be fetched.
        """
        from toolkit.catalog import _adding
        from toolkit.catalog._sbe import VendorProof

        return _adding.add(
            self._holding,
            paths,
            manifests=manifests,
            proof=VendorProof(discovery=discovery, signing_ca=signing_ca, signers=signers),
            progress=progress or Silent(),
        )

    # --- looking after it -----------------------------------------------------------------------

    def verify(
        self,
        words: Sequence[str] = (),
        *,
        manifests: Iterable[Manifest] = (),
        is_deep: bool = False,
        quarantine: bool = False,
        progress: Progress | None = None,
    ) -> Verification:
        """Read held files again, compare them with their names, and judge them by today's manifests.

        Args:
            words: Which: versions, shelves or names; none: all.
            manifests: What is published today.
            is_deep: Whether to read whole zips and compare every checksum in them.
            quarantine: Whether to move bad files to quarantine, so that a download fetches them anew.
            progress: Told what happens.

        Raises:
            InputError: A word names nothing that is held.
            StorageError: The folder cannot be read, or a bad file not be moved.
        """
        from toolkit.catalog import _verifying

        return _verifying.verify_held(
            self._holding,
            words,
            manifests=manifests,
            is_deep=is_deep,
            quarantine=quarantine,
            progress=progress or Silent(),
        )

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
        from toolkit.catalog import _accepting

        return _accepting.accept(
            self._holding.store,
            word,
            by=by,
            reason=reason,
            now=self._holding.now(),
            progress=progress or Silent(),
        )

    def prune(
        self,
        *,
        versions: Sequence[str] = (),
        older_than: timedelta,
        plans_older_than: timedelta | None = None,
        with_quarantine: bool = False,
        is_dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Pruning:
        """Remove what nothing refers to: bytes without a record, abandoned downloads and copies.

        Nothing goes that a plan in the catalog names.

        Args:
            versions: Updates or SBE shelves that are no longer wanted, with everything on them.
            older_than: Younger files stay: another process may be about to record them.
            plans_older_than: Plans of that age go, and keep nothing any more; None: all plans stay.
            with_quarantine: Whether quarantined files of that age go too; their explanations stay.
            is_dry_run: Only say what would go.
            progress: Told what happens.

        Raises:
            InputError: A plan or record cannot be understood, or a version is not held.
            StorageError: Another process works on what should go, or the folder cannot be written.
        """
        from toolkit.catalog import _upkeep

        return _upkeep.prune(
            self._holding,
            versions=versions,
            older_than=older_than,
            plans_older_than=plans_older_than,
            with_quarantine=with_quarantine,
            is_dry_run=is_dry_run,
            progress=progress or Silent(),
        )

    # --- with colleagues and sites --------------------------------------------------------------

    def export(
        self,
        folder: Path,
        words: Sequence[str] = (),
        *,
        plan: Path | None = None,
        progress: Progress | None = None,
    ) -> Export:
        """Put held payloads into a folder that is a catalog of its own, with a signed list.

        The same call goes on after an interruption; what the folder held before stays in it.

        Args:
            folder: Where to; made if missing.
            words: Which: versions, shelves or names; none, and no plan: all.
            plan: A plan whose files to take.
            progress: Told what happens.

        Raises:
            StorageError: Something is not held, there is no room, or a folder cannot be written.
            DigestError: A held file was changed, or is known to be bad.
            InputError: A word names nothing that is held, or the plan cannot be understood.
        """
        from toolkit.catalog import _exchange

        return _exchange.export_catalog(
            self._holding, folder, words, plan=plan, progress=progress or Silent()
        )

    def import_from(
        self, folder: Path, *, manifests: Iterable[Manifest], progress: Progress | None = None
    ) -> tuple[HeldPayload, ...]:
        """Take in what a known colleague exported; every file is hashed, and none may contradict a pin.

        A file that is held here already under its name, with another hash, stays as it is.

        Args:
            folder: The export.
            manifests: What is published, with the pinned hashes.
            progress: Told what happens.

        Raises:
            SignatureError: The list was edited, or signed by a key that is not known here.
            DigestError: A file is not what the list says, or contradicts a pinned hash.
            StorageError: A file is missing or cannot be read, or the disk is full.
            InputError: The list cannot be understood.
        """
        from toolkit.catalog import _exchange

        return _exchange.import_catalog(
            self._holding, folder, manifests=manifests, progress=progress or Silent()
        )

    def know_key(
        self, path: Path, *, name: str, fingerprint: str, progress: Progress | None = None
    ) -> KnownKey:
        """Believe the key that signed a request, an export or a receipt, once a person has compared its fingerprint.

        Args:
            path: The signed file.
            name: Who holds the key.
            fingerprint: As it came over another channel.
            progress: Told when the file system has no locks.

        Raises:
            SignatureError: The file was edited, or the fingerprint is not that of its key.
            InputError: None of these, or the name is taken.
            StorageError: The file cannot be read, or the known keys not be written.
        """
        from toolkit.catalog import _exchange

        return _exchange.know_key(
            self._holding,
            path,
            name=name,
            fingerprint=fingerprint,
            progress=progress or Silent(),
        )

    def signing_key(self) -> SigningKey:
        """Return the key with which this catalog signs exports and receipts; made the first time.

        Raises:
            StorageError: It cannot be read or written.
            InputError: What stands in its place is no such key.
        """
        from toolkit.catalog import _exchange

        return _exchange.signing_key(self._holding)

    def believed_keys(self) -> dict[str, str]:
        """Return the fingerprints of the keys that are believed here, each with its holder's name.

        Raises:
            InputError: The known keys cannot be understood, or the catalog's own key is none.
            StorageError: They cannot be read.
        """
        from toolkit.catalog import _exchange

        return _exchange.believed_keys(self._holding)

    # --- a trip ---------------------------------------------------------------------------------

    def plan(
        self,
        requests: Iterable[Path],
        *,
        to: Path,
        manifests: Manifests,
        goal: str | None = None,
        sbe_manifests: Iterable[Path] = (),
        named: Sequence[str] = (),
        page: Path | None = None,
    ) -> Plan:
        """Plan a trip to every cluster whose request is given, write the plan, and keep a copy.

        The copy stands in the catalog, which keeps everything that a plan refers to.

        Args:
            requests: Signed requests, as JSON or as scanned from paper.
            to: The plan's file.
            manifests: What exists, the supported paths and the known issues.
            goal: The wanted version, in full or short; None: for each cluster the newest it can reach.
            sbe_manifests: Vendors' discovery manifests.
            named: SBEs that a person asks for, by name or version.
            page: Also write a page to read (HTML), there.

        Raises:
            SignatureError: A request was edited, or signed by a key that nobody here has decided to believe; or the
                signature of a vendor's manifest does not hold.
            InputError: A file cannot be understood, a version cannot be reached, or an SBE does not fit.
            StorageError: A file or the catalog cannot be read, or the plan not be written.
        """
        from toolkit.catalog import _trip_files

        plan = _trip_files.plan_from_files(
            requests,
            self._holding,
            goal=goal,
            manifests=manifests,
            sbe_manifests=sbe_manifests,
            named=named,
        )
        _trip_files.keep_plan(plan, self._holding, to, page=page)
        return plan

    def for_medium(
        self,
        versions: Sequence[str] = (),
        *,
        plan: Path | None = None,
        manifests: Manifests,
        progress: Progress | None = None,
    ) -> tuple[HeldPayload, ...]:
        """Return what goes onto a medium, each payload with the update it travels with.

        Args:
            versions: Updates to carry, where no plan says it.
            plan: The plan of the trip; it also says which SBEs go along, and to which clusters.
            manifests: What is published of it today.
            progress: Told what happens; an archive is read whole once before it travels.

        Raises:
            StorageError: Not everything is held, or the plan cannot be read.
            DigestError: A file is bad.
            InputError: Not a plan, a release was recalled, a payload is not fit to travel, or an SBE is
                the wrong one.
        """
        from toolkit.catalog import _trip

        opened = None
        if plan is not None:
            from toolkit.catalog import _trip_files

            opened = _trip_files.open_plan(plan)
        return _trip.choose_for_medium(
            self._holding,
            manifests,
            versions=versions,
            plan=opened,
            progress=progress or Silent(),
        )

    def for_supplement(
        self,
        wanted: Mapping[Sha256, SolutionVersion],
        *,
        manifests: Manifests,
        progress: Progress | None = None,
    ) -> tuple[HeldPayload, ...]:
        """Return payloads that left on a medium, to be written to another one.

        Args:
            wanted: SHA-256 of each → the update it travels with.
            manifests: What is published of it today.
            progress: Told what happens; an archive is read whole once before it travels.

        Raises:
            StorageError: One is not held any more.
            DigestError: A file is bad.
            InputError: A release or SBE was recalled since, or a payload is not fit to travel.
        """
        from toolkit.catalog import _trip

        return _trip.choose_by_hash(self._holding, manifests, wanted, progress=progress or Silent())

    def bound_for(self, plan: Path | None) -> tuple[tuple[str, str], ...]:
        """Return cluster and site id of everybody a plan is for; nobody without a plan.

        Raises:
            StorageError: The plan cannot be read.
            InputError: Not a plan.
        """
        if plan is None:
            return ()
        from toolkit.catalog import _trip_files

        opened = _trip_files.open_plan(plan)
        return tuple((item.cluster, item.site_id) for item in opened.clusters)
