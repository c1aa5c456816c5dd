"""Publisher side of TUF: what is in a set, signed as targets, snapshot and timestamp.

Versions are the issue time in seconds since 1970. So a later medium is always the newer one, no counter
has to be kept, copied or merged between packing workstations, and equal input gives equal bytes (Ed25519
signatures are deterministic): an interrupted set is finished as it would have been.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Targets, Timestamp

from toolkit.errors import InputError, misread
from toolkit.media._device import BlockHash
from toolkit.media._keys import ISSUED_AT, SNAPSHOT, TARGETS, TIMESTAMP, SigningKeys, as_instant
from toolkit.media._set import SET_TARGET, read_block_hash
from toolkit.model import HeldPayload, Sha256, TargetName

CUSTODY_KEY = "custody_key"
BLOCKS = "blake3_64mib"
ENCRYPTED = "encrypted"
"""Of a target whose signed length and hashes are those of its ciphertext: size and hash of the plaintext."""

SignedRole = TypeVar("SignedRole", Targets, Snapshot, Timestamp)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPayload:
    """One payload as it lies on media: encrypted, or the vendor's bytes."""

    held: HeldPayload
    target: TargetName
    size_bytes: int
    sha256: Sha256
    blocks: tuple[BlockHash, ...]

    @property
    def is_encrypted(self) -> bool:
        """Whether it is not the vendor's bytes that lie there."""
        return self.sha256 != self.held.sha256


def sign_set(
    keys: SigningKeys,
    placed: Iterable[PlacedPayload],
    set_json: bytes,
    *,
    issued_at: datetime,
    expires_at: datetime,
    custody_key: str = "",
) -> dict[str, bytes]:
    """Return the metadata files of a set by name, root chain included.

    `custody_key` is the public key of home's receipts; so a site that knows the root knows it too.
    """
    version = int(issued_at.timestamp())
    files: dict[str, TargetFile] = {item.target: _target(item) for item in placed}
    files[SET_TARGET] = TargetFile(
        len(set_json),
        {"sha256": hashlib.sha256(set_json).hexdigest()},
        SET_TARGET,
        {"custom": {"kind": "set", **({CUSTODY_KEY: custody_key} if custody_key else {})}},
    )
    targets = Targets(version=version, expires=expires_at, targets=files)
    targets_bytes = _signed(targets, keys, TARGETS)
    snapshot = Snapshot(
        version=version,
        expires=expires_at,
        meta={"targets.json": _meta(version, targets_bytes)},
    )
    snapshot_bytes = _signed(snapshot, keys, SNAPSHOT)
    timestamp = Timestamp(
        version=version,
        expires=expires_at,
        snapshot_meta=_meta(version, snapshot_bytes),
        unrecognized_fields={ISSUED_AT: as_instant(issued_at)},
    )
    return {
        **{f"{number}.root.json": data for number, data in enumerate(keys.roots, start=1)},
        f"{version}.targets.json": targets_bytes,
        f"{version}.snapshot.json": snapshot_bytes,
        "timestamp.json": _signed(timestamp, keys, TIMESTAMP),
    }


def read_blocks(targets: bytes) -> dict[str, tuple[BlockHash, ...]]:
    """Return the hashes of the blocks of each payload, by target, from signed targets that home made.

    Raises:
        InputError: They cannot be understood.
    """
    try:
        return {
            name: tuple(map(read_block_hash, row["custom"].get(BLOCKS, ())))
            for name, row in json.loads(targets)["signed"]["targets"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            "read what was signed of a set",
            file="targets.json",
            found=misread(error),
            hint="restore from a backup what home keeps of this set, or write a new one: --name with a name of your own",
        ) from error


def _target(item: PlacedPayload) -> TargetFile:
    held = item.held
    custom: dict[str, object] = {
        "kind": held.kind.value,
        "version": str(held.version),
        "url": held.url,
        "witnesses": [
            {"value": seen.value, "source": seen.source, "seen_on": seen.seen_on.isoformat()}
            for seen in held.witnesses
        ],
        BLOCKS: list(item.blocks),
    }
    if item.is_encrypted:
        custom[ENCRYPTED] = {"size_bytes": held.size_bytes, "sha256": held.sha256}
    if held.os_build:
        custom["os_build"] = held.os_build
    if held.acceptance:
        custom["accepted"] = {
            "by": held.acceptance.by,
            "reason": held.acceptance.reason,
            "at": as_instant(held.acceptance.at),
        }
    return TargetFile(item.size_bytes, {"sha256": item.sha256}, item.target, {"custom": custom})


def _meta(version: int, data: bytes) -> MetaFile:
    return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})


def _signed(payload: SignedRole, keys: SigningKeys, role: str) -> bytes:
    metadata: Metadata[SignedRole] = Metadata(payload)
    metadata.sign(keys.signers[role])
    return metadata.to_bytes()
