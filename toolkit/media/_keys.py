"""Publisher keys: one Ed25519 key per TUF role, encrypted at rest, and the root that names them.

A keys folder holds `root.pem`, `targets.pem`, `snapshot.pem`, `timestamp.pem` (PKCS#8, encrypted with a
passphrase) and the root chain `1.root.json`, `2.root.json`, … A key made later has the beginning of its id
in its name (`targets-3f2a91c0.pem`), so that old and new lie side by side until a root names the new one.
Writing a medium needs all but the root keys, which may be locked away. securesystemslib stores keys in the
clear, so storage is done here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from toolkit.errors import InputError, SignatureError, StorageError
from toolkit.filesystem import read_regular, sync_folder
from toolkit.media._device import gone_on_error, on_storage

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = ROLES = ("root", "targets", "snapshot", "timestamp")
ISSUED_AT = "x-ferry-issued-at"
"""Extra signed field of root and timestamp: when it was issued (TUF itself records only expiry)."""

PASSPHRASE_MINIMUM = 8
ROOT_VALID_DAYS = 730
"""How long a root is valid unless said otherwise: two years, so that it is renewed before it is needed."""
ROOT_NAME = re.compile(r"([1-9]\d{0,8})\.root\.json\Z")
"""Its group is the version."""
_UNFINISHED = "unfinished-root.json"
"""The first root while the keys that it names are being made."""
_OTHER_COPY = "take the root files from where they were made, or from a newer medium (tuf/)"
_GROUP = 4
_NAMED_DIGITS = 8
"""Of a key id, in the names of key files. Which key it is is decided by the whole id."""
KEY_NAME = re.compile(rf"({'|'.join(ROLES)})-[0-9a-f]{{{_NAMED_DIGITS}}}\.pem\Z")
"""Of a key that was made later, or as one of several root keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeys:
    """Opened keys of a publisher: enough to sign media, not enough to change the root."""

    roots: tuple[bytes, ...]
    """The whole root chain, version 1 first."""
    signers: Mapping[str, CryptoSigner] = field(repr=False)
    """By role: targets, snapshot, timestamp."""
    expires_at: datetime
    """When the newest root expires; no medium may outlive it."""
    issued_at: datetime
    """When the newest root was made; no medium can be older."""


def init_trust(
    keys_dir: Path,
    passphrase: str,
    *,
    expires_at: datetime,
    root_passphrases: Sequence[str] = (),
    root_threshold: int = 1,
    now: datetime | None = None,
) -> str:
    """Make the keys and `1.root.json` in a new or empty folder; what a killed run left there is made anew.

    Args:
        keys_dir: Where the keys will live; made if missing.
        passphrase: Encrypts every key file, or those that sign media where the root keys have their own.
        expires_at: When the root expires (aware, UTC).
        root_passphrases: One for each root key, in files named by their ids; by default one key in
            `root.pem` under the common passphrase.
        root_threshold: How many root keys must sign a later root.
        now: The time of issue; the clock by default.

    Returns:
        The root's fingerprint, in groups of four for reading aloud.

    Raises:
        StorageError: The folder is not empty, another process makes keys in it, or it cannot be written.
        InputError: A passphrase is too short, the threshold needs more keys than there are, or the expiry
            is not in the future.
    """
    from toolkit.media._lock import making_keys_alone  # which looks for sets, and these for keys

    now = now or datetime.now(UTC)
    for secret in (passphrase, *root_passphrases):
        require_strong(secret)
    root_count = len(root_passphrases) or 1
    if not 1 <= root_threshold <= root_count:
        raise InputError(
            "make a root",
            found=f"{root_threshold} signatures of {root_count} root keys",
            expected=f"a threshold from 1 to {root_count}",
            hint="ask for fewer signatures, or make more root keys",
        )
    if expires_at <= now:
        raise InputError(
            "make a root",
            found=f"expiry {expires_at:%Y-%m-%d}",
            expected="a later day",
            hint="is this machine's clock right? Else give it more days",
        )
    made = [(role, new_signer(), passphrase) for role in (TARGETS, SNAPSHOT, TIMESTAMP)]
    made += [(ROOT, new_signer(), secret) for secret in root_passphrases or (passphrase,)]
    root = Root(
        version=1,
        expires=expires_at,
        consistent_snapshot=True,
        unrecognized_fields={ISSUED_AT: as_instant(now)},
    )
    signed = Metadata(root)
    for role, signer, _ in made:
        root.add_key(signer.public_key, role)
    root.roles[ROOT].threshold = root_threshold
    for role, signer, _ in made:
        if role == ROOT:
            signed.sign(signer, append=True)
    data = signed.to_bytes()
    attempted = f"make keys in {keys_dir}"
    with on_storage(attempted):
        keys_dir.mkdir(parents=True, exist_ok=True)
    with making_keys_alone(keys_dir, attempted=attempted), on_storage(attempted):
        _remove_unfinished(keys_dir)
        if present := sorted(item.name for item in keys_dir.iterdir()):
            raise StorageError(
                attempted,
                found=f"it already holds {', '.join(present[:3])}",
                expected="an empty folder",
                hint="keys are never overwritten; choose another folder"
                if present != [_UNFINISHED]
                else f"no ferry made {_UNFINISHED}, as it is no file, and nothing else stands in the way: delete it "
                "by hand if nobody needs it, then run the same command again",
            )
        write_secret(keys_dir / _UNFINISHED, data)
        sync_folder(keys_dir)
        for role, signer, secret in made:
            is_one_of_several = role == ROOT and root_passphrases
            name = key_file(role, signer.public_key.keyid) if is_one_of_several else f"{role}.pem"
            store_key(keys_dir / name, signer, secret)
        sync_folder(keys_dir)
        (keys_dir / _UNFINISHED).rename(keys_dir / "1.root.json")
        sync_folder(keys_dir)
    return fingerprint(data)


def _remove_unfinished(keys_dir: Path) -> None:
    """Remove the keys of a root that a killed `init_trust` left unfinished: nobody has seen its fingerprint."""
    path = keys_dir / _UNFINISHED
    if path.is_symlink() or not path.is_file():
        return
    if any(ROOT_NAME.match(item.name) for item in keys_dir.iterdir()):
        return
    with contextlib.suppress(InputError):  # not written to its end: no key was made yet
        roles = _parse_root(read_regular(path), file=str(path)).roles
        for role, names in roles.items():
            for name in (f"{role}.pem", *(key_file(role, keyid) for keyid in names.keyids)):
                (keys_dir / name).unlink(missing_ok=True)
    path.unlink()


def open_keys(keys_dir: Path, passphrase: str) -> SigningKeys:
    """Open the keys that sign media.

    Raises:
        StorageError: The folder or a file of it cannot be read.
        InputError: Wrong passphrase, or files that are not the keys this root names.
        SignatureError: A root that the one before it did not sign.
    """
    roots = read_root_chain(keys_dir)
    newest = walk_roots(roots, folder=str(keys_dir))
    signers = {}
    for role in (TARGETS, SNAPSHOT, TIMESTAMP):
        keyids = newest.get_delegated_role(role).keyids
        path = find_key(keys_dir, role, keyids)
        if path is None:
            raise StorageError(
                f"open the {role} key in {keys_dir}",
                found=f"neither {role}.pem nor {_names(role, keyids)}",
                expected="one of them",
                hint="take the whole keys folder, with the key files that the last rotation made",
            )
        signer = open_key(path, passphrase)
        if signer.public_key.keyid not in keyids:
            raise InputError(
                "open the keys",
                file=str(path),
                found="a key that the root does not name for this role",
                expected=f"the {role} key of {len(roots)}.root.json: {_names(role, keyids)}",
                hint="take the whole keys folder, with the key files that the last rotation made",
            )
        signers[role] = signer
    return SigningKeys(
        roots=roots, signers=signers, expires_at=newest.expires, issued_at=issue_time(newest)
    )


def read_root_chain(folder: Path) -> tuple[bytes, ...]:
    """Return `1.root.json` … `N.root.json` of a folder in order.

    Raises:
        StorageError: The folder cannot be read.
        InputError: No root in it, or a gap in the chain.
    """
    with on_storage(f"read the roots in {folder}"):
        found = {
            int(match[1]): read_regular(item)
            for item in folder.iterdir()
            if (match := ROOT_NAME.match(item.name))
        }
    if not found or set(found) != set(range(1, len(found) + 1)):
        raise InputError(
            "read the roots",
            file=str(folder),
            found=", ".join(f"{version}.root.json" for version in sorted(found)) or "none",
            expected="1.root.json and every later version without a gap",
            hint="give the keys folder that `ferry trust init` made; missing roots are on newer media, too (tuf/)",
        )
    return tuple(found[version] for version in sorted(found))


def read_root_file(path: Path) -> bytes:
    """Return the bytes of a root.json that a person has named; whether they are one `read_root` tells.

    Raises:
        StorageError: It cannot be read.
        InputError: It is larger than any root, or a pipe or a device.
    """
    with on_storage(f"read the root {path}"):
        return read_regular(path)


def fingerprint(root_bytes: bytes) -> str:
    """Return the SHA-256 of a root.json, in groups of four for reading aloud."""
    return aloud(hashlib.sha256(root_bytes).hexdigest())


def aloud(digest: str) -> str:
    """Return a digest in groups of four."""
    return " ".join(digest[at : at + _GROUP] for at in range(0, len(digest), _GROUP))


def read_fingerprint(text: str) -> str:
    """Return a fingerprint that a person typed in the form `fingerprint` gives; spaces and case are free.

    Raises:
        InputError: Not 64 hex digits.
    """
    digits = re.sub(r"[\s:-]", "", text).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise InputError(
            "read a fingerprint",
            found=f"{len(digits)} characters" if digits else "nothing",
            expected="64 hex digits, as `ferry trust fingerprint` prints them",
            hint="type all of it, and nothing else; quotation marks keep its groups together",
        )
    return " ".join(digits[at : at + _GROUP] for at in range(0, len(digits), _GROUP))


def read_root(data: bytes, *, file: str) -> Root:
    """Return a root whose own signatures hold; that it may be believed must be known otherwise.

    Raises:
        InputError: Not a root metadata file.
        SignatureError: Not signed by enough of its own keys.
    """
    root = _parse_root(data, file=file)
    signed = Metadata[Root].from_bytes(data)
    try:
        root.verify_delegate(ROOT, signed.signed_bytes, signed.signatures)
    except (RepositoryError, ValueError) as error:
        raise SignatureError(
            f"check {file}",
            found=str(error),
            expected="a root signed by its own keys",
            hint=_OTHER_COPY,
        ) from error
    return root


def walk_roots(roots: Sequence[bytes], *, folder: str) -> Root:
    """Return the newest root of a chain in which each root is signed under itself and the one before.

    Args:
        roots: `1.root.json`, `2.root.json`, … That the first may be believed must be known otherwise.
        folder: Where they stand, for the error.

    Raises:
        InputError: Not root metadata files.
        SignatureError: A root that is not signed as it must be, or does not follow the one before it.

    Source: TUF specification, client workflow 5.3.4 and 5.3.5. That an older root has expired does not
    matter (5.3.8).
    """
    newest: Root | None = None
    for version, data in enumerate(roots, start=1):
        file = f"{version}.root.json in {folder}"
        root = read_root(data, file=file)
        signed = Metadata[Root].from_bytes(data)
        if root.version != version:
            found = f"it calls itself version {root.version}"
        elif newest is not None and not newest.get_verification_result(
            ROOT, signed.signed_bytes, signed.signatures
        ):
            found = "signed by too few keys of the root before it"
        else:
            newest = root
            continue
        raise SignatureError(
            f"check {file}",
            found=found,
            expected=f"version {version}, signed under version {version - 1}",
            hint=_OTHER_COPY,
        )
    if newest is None:
        raise InputError(
            "read the roots",
            file=folder,
            found="none",
            expected="1.root.json",
            hint=_OTHER_COPY,
        )
    return newest


def issue_time(signed: Root) -> datetime:
    """Return when a root was issued; one made by another tool counts as very old."""
    return read_instant(signed.unrecognized_fields.get(ISSUED_AT))


def as_instant(moment: datetime) -> str:
    """Return an aware time as whole seconds, UTC: `2026-11-24T00:24:32Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_instant(text: object) -> datetime:
    """Return the time `as_instant` wrote; what is no such time counts as 1970."""
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return datetime(1970, 1, 1, tzinfo=UTC)


def _parse_root(data: bytes, *, file: str) -> Root:
    def refuse(found: str) -> InputError:
        return InputError(
            "read the root",
            file=file,
            found=found,
            expected="a root.json of TUF",
            hint="give the root.json that `ferry trust init` made, or the one on a medium (tuf/)",
        )

    try:
        signed = Metadata[Root].from_bytes(data).signed
    except RepositoryError as error:
        raise refuse(str(error)) from error
    if not isinstance(signed, Root):
        raise refuse("another role")
    return signed


def require_strong(passphrase: str) -> None:
    """Refuse a passphrase that protects nothing.

    Raises:
        InputError: It is too short.
    """
    if len(passphrase) < PASSPHRASE_MINIMUM:
        raise InputError(
            "protect the keys",
            found=f"a passphrase of {len(passphrase)} characters",
            expected=f"at least {PASSPHRASE_MINIMUM}",
            hint="choose a longer one, of several words; FERRY_KEY_PASSPHRASE is taken before a prompt",
        )


def new_signer() -> CryptoSigner:
    """Make a key; it is in memory only until `store_key` stores it."""
    return CryptoSigner(Ed25519PrivateKey.generate())


def key_file(role: str, keyid: str) -> str:
    """Return the file name of a key made after the first ones: `targets-3f2a91c0.pem`."""
    return f"{role}-{keyid[:_NAMED_DIGITS]}.pem"


def find_key(keys_dir: Path, role: str, keyids: Iterable[str]) -> Path | None:
    """Return the file of a role's key: one named by its id, else the one made with the first root."""
    for name in (*(key_file(role, keyid) for keyid in keyids), f"{role}.pem"):
        if (keys_dir / name).exists():
            return keys_dir / name
    return None


def store_key(path: Path, signer: CryptoSigner, passphrase: str) -> None:
    """Write a key, encrypted, to a new file that only its owner may read.

    Raises:
        OSError: The file exists already, or cannot be written.
    """
    key = load_pem_private_key(signer.private_bytes, None)
    encryption = BestAvailableEncryption(passphrase.encode())
    write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def open_key(path: Path, passphrase: str) -> CryptoSigner:
    """Open one key file.

    Raises:
        StorageError: It cannot be read.
        InputError: Wrong passphrase, or not such a file.
    """
    with on_storage(f"open the key {path}"):
        data = read_regular(path)
    try:
        key = load_pem_private_key(data, passphrase.encode())
    except TypeError as error:  # cryptography's word for "a passphrase, but no encryption"
        raise InputError(
            "open the key",
            file=str(path),
            found="a key stored without encryption" if passphrase else "no passphrase",
            expected="a key encrypted by `ferry trust init`, and its passphrase",
            hint="give a key file that ferry made, and set FERRY_KEY_PASSPHRASE to its passphrase",
        ) from error
    except ValueError as error:
        raise InputError(
            "open the key",
            file=str(path),
            found="the passphrase does not open it, or it is not a key file",
            hint="check FERRY_KEY_PASSPHRASE, keyboard layout and caps lock",
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(
            "open the key",
            file=str(path),
            found="another kind",
            expected="Ed25519",
            hint="give a key file that ferry made",
        )
    return CryptoSigner(key)


def _names(role: str, keyids: Iterable[str]) -> str:
    return " or ".join(key_file(role, keyid) for keyid in keyids)


def write_secret(path: Path, data: bytes) -> None:
    """Write a new file that only its owner may read, where the system knows owners.

    Raises:
        OSError: The file exists already, or cannot be written.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with gone_on_error(path), os.fdopen(handle, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
