"""What each kind of receipt says: from what was done or found to the facts that are signed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.media._custody import ReceiptKind
from toolkit.media._medium import MediumLabel
from toolkit.media._receipts import Scribe, Written, add_receipt, metadata_digest, read_custody
from toolkit.media._report import MediumReport
from toolkit.media._scan import Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """The receipts of one set, as one person in one place adds to them.

    Every method raises `StorageError` where the medium, or the folder beside it, cannot be read or written,
    and `InputError` where the chain, the receipt or a name is none that can be written down.
    """

    label: MediumLabel
    scribe: Scribe
    receipts: Path | None = None
    """Where to write instead of `custody/` in the set folder."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def write(self, scan: Scan | None = None) -> Written | None:
        """Add the first receipt of a set that was written; None where it has one already.

        Args:
            scan: What a scanner here said of the payloads before.

        Raises:
            StorageError: The medium cannot be read or written.
            InputError: The chain is too long.
        """
        chain = read_custody(
            self.label.folder, set_id=self.label.set_id, keys={}, receipts=self.receipts
        )
        if any(seen.receipt and seen.receipt.kind == ReceiptKind.WRITE for seen in chain.entries):
            return None
        return self._add(
            ReceiptKind.WRITE,
            {
                "read_back": self.label.read_back or "unknown",
                "payloads": len(self.label.payloads),
                "bytes": sum(size for _, size, _ in self.label.payloads),
                **({"pieces": len(self.label.supplement)} if self.label.supplement else {}),
                **_scanned(scan),
            },
        )

    def verify(self, report: MediumReport, scan: Scan | None = None) -> Written:
        """Add what a complete reading of the set found: `verify` at a site, `read-back` at home.

        Args:
            report: What was found.
            scan: What a scanner here said of the medium afterwards.

        Raises:
            StorageError: The medium cannot be read or written.
            InputError: The chain is too long.
        """
        counts = Counter(file.verdict.value for file in report.files)
        return self._add(
            ReceiptKind.VERIFY if self.scribe.site_id else ReceiptKind.READ_BACK,
            {
                "is_proven": report.problem() is None,
                "files": {verdict: counts[verdict] for verdict in sorted(counts)},
                "read_method": report.read_method,
                **_scanned(scan),
            },
        )

    def hand_over(self, to: str) -> Written:
        """Add that the medium goes to somebody else. Nothing of it is proven by that.

        Raises:
            StorageError: The medium cannot be read or written.
            InputError: No name, one that is not one line, or the chain is too long.
        """
        if not to.strip() or not to.isprintable():
            raise InputError(
                "write a receipt",
                found=f"the name {to!r}",
                expected="the name of whoever takes it, on one line",
                hint="give the name without line ends or tabs: --to NAME",
            )
        return self._add(ReceiptKind.HAND_OVER, {"to": to.strip()})

    def imported(
        self,
        *,
        cluster: str,
        version: str,
        state: str,
        targets: Mapping[str, str],
        time: Mapping[str, str] | None = None,
    ) -> Written:
        """Add that a cluster lists an update of the set.

        Args:
            cluster: As the site calls it.
            version: The update.
            state: Its state as the cluster words it.
            targets: File name → SHA-256 of what a node had when it hashed it.
            time: By which the medium was accepted, and what each clock said; None: not known.

        Raises:
            StorageError: The medium cannot be read or written.
            InputError: The chain is too long.
        """
        facts: dict[str, object] = {"cluster": cluster, "version": version, "state": state}
        facts |= {"targets": dict(targets)} | ({"time": dict(time)} if time else {})
        return self._add(ReceiptKind.IMPORT, facts)

    def result(
        self, *, cluster: str, version: str, state: str, run_state: str, has_failed: bool
    ) -> Written:
        """Add how an update ended on a cluster, in the cluster's words.

        Raises:
            StorageError: The medium cannot be read or written.
            InputError: The chain is too long.
        """
        return self._add(
            ReceiptKind.RESULT,
            {
                "cluster": cluster,
                "version": version,
                "state": state,
                "run_state": run_state,
                "has_failed": has_failed,
            },
        )

    def going_home(self, files: Sequence[Mapping[str, object]]) -> Written:
        """Add that the medium goes home with these files (`name`, `size_bytes`, `sha256`) in `return/`.

        Raises:
            StorageError: The medium cannot be read or written.
            InputError: The chain is too long.
        """
        return self._add(ReceiptKind.RETURN, {"files": [dict(file) for file in files]})

    def _add(self, kind: ReceiptKind, facts: Mapping[str, Any]) -> Written:
        """Add a receipt; each names the metadata, whose hashes reach every byte that was meant."""
        folder, scribe = self.label.folder, self.scribe
        if self.label.is_verified:  # whoever wrote it did so before now
            floor = max(self.label.issued_at, scribe.floor or self.label.issued_at)
            scribe = replace(scribe, floor=floor)
        return add_receipt(
            folder,
            kind,
            {"metadata": metadata_digest(folder), **facts},
            scribe,
            set_id=self.label.set_id,
            set_name=self.label.set_name,
            receipts=self.receipts,
            now=self.now(),
        )


def _scanned(scan: Scan | None) -> dict[str, object]:
    return {} if scan is None else {"scan": scan.as_fact()}
