"""What each kind of receipt says: from what was done or found to the facts that are signed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.media._custody import ReceiptKind
from toolkit.media._medium import Medium, MediumLabel
from toolkit.media._receipts import Scribe, Written, add_receipt, metadata_digest, read_custody
from toolkit.media._report import MediumReport


def note_write(medium: Medium, scribe: Scribe, *, now: datetime | None = None) -> Written | None:
    """Add the first receipt of a set that was written; None where it has one already.

    Raises:
        StorageError: The medium cannot be read or written.
        InputError: As of `add_receipt`.
    """
    chain = read_custody(medium.folder, set_id=medium.set_id, keys={})
    if any(seen.receipt and seen.receipt.kind == ReceiptKind.WRITE for seen in chain.entries):
        return None
    label = medium.describe()
    facts = {
        "read_back": label.read_back or "unknown",
        "payloads": len(label.payloads),
        "bytes": sum(size for _, size, _ in label.payloads),
    }
    return _add(label, ReceiptKind.WRITE, facts, scribe, now=now)


def note_verify(
    medium: Medium,
    report: MediumReport,
    scribe: Scribe,
    *,
    receipts: Path | None = None,
    now: datetime | None = None,
) -> Written:
    """Add what a complete reading of a set found: `verify` at a site, `read-back` at home.

    Raises:
        StorageError: The medium cannot be read or written.
        InputError: As of `add_receipt`.
    """
    counts = Counter(file.verdict.value for file in report.files)
    facts = {
        "is_proven": report.problem() is None,
        "files": {verdict: counts[verdict] for verdict in sorted(counts)},
        "read_method": report.read_method,
    }
    kind = ReceiptKind.VERIFY if scribe.site_id else ReceiptKind.READ_BACK
    return _add(medium.describe(), kind, facts, scribe, receipts=receipts, now=now)


def note_hand_over(
    label: MediumLabel,
    to: str,
    scribe: Scribe,
    *,
    receipts: Path | None = None,
    now: datetime | None = None,
) -> Written:
    """Add that somebody gave the medium to somebody else. Nothing of it is proven by that.

    Raises:
        StorageError: The medium cannot be read or written.
        InputError: No name, or as of `add_receipt`.
    """
    if not to.strip() or not to.isprintable():
        raise InputError(
            "write a receipt", found=f"the name {to!r}", expected="the name of whoever takes it"
        )
    return _add(
        label, ReceiptKind.HAND_OVER, {"to": to.strip()}, scribe, receipts=receipts, now=now
    )


def note_import(
    label: MediumLabel,
    scribe: Scribe,
    *,
    cluster: str,
    version: str,
    state: str,
    targets: Mapping[str, str],
    receipts: Path | None = None,
    now: datetime | None = None,
) -> Written:
    """Add that a cluster lists an update of this set.

    Args:
        label: The set.
        scribe: Who writes it.
        cluster: The cluster as the site calls it.
        version: The update.
        state: Its state as the cluster words it.
        targets: File name → SHA-256 of what the node had when it hashed it.
        receipts: As of `add_receipt`.
        now: As of `add_receipt`.

    Raises:
        StorageError: The medium cannot be read or written.
        InputError: As of `add_receipt`.
    """
    facts = {"cluster": cluster, "version": version, "state": state, "targets": dict(targets)}
    return _add(label, ReceiptKind.IMPORT, facts, scribe, receipts=receipts, now=now)


def note_result(
    label: MediumLabel,
    scribe: Scribe,
    *,
    cluster: str,
    version: str,
    state: str,
    run_state: str,
    has_failed: bool,
    receipts: Path | None = None,
    now: datetime | None = None,
) -> Written:
    """Add how an update ended on a cluster, in the cluster's words.

    Raises:
        StorageError: The medium cannot be read or written.
        InputError: As of `add_receipt`.
    """
    facts = {
        "cluster": cluster,
        "version": version,
        "state": state,
        "run_state": run_state,
        "has_failed": has_failed,
    }
    return _add(label, ReceiptKind.RESULT, facts, scribe, receipts=receipts, now=now)


def note_return(
    label: MediumLabel,
    scribe: Scribe,
    *,
    files: Sequence[Mapping[str, object]],
    receipts: Path | None = None,
    now: datetime | None = None,
) -> Written:
    """Add that the medium goes home, with these files (`name`, `size_bytes`, `sha256`) in `return/`.

    Raises:
        StorageError: The medium cannot be read or written.
        InputError: As of `add_receipt`.
    """
    facts = {"files": [dict(file) for file in files]}
    return _add(label, ReceiptKind.RETURN, facts, scribe, receipts=receipts, now=now)


def _add(
    label: MediumLabel, kind: ReceiptKind, facts: Mapping[str, Any], scribe: Scribe, **more: Any
) -> Written:
    """Every receipt names the metadata: whoever holds them knows every byte that was meant."""
    return add_receipt(
        label.folder,
        kind,
        {"metadata": metadata_digest(label.folder), **facts},
        scribe,
        set_id=label.set_id,
        set_name=label.set_name,
        **more,
    )
