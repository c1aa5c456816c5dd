"""The key of an encrypted set: kept at home, carried wrapped, opened by an identity at the site.

An *identity* is a private key of the age format in a file, a *recipient* its public key (`age1…`). The
set's key is encrypted for every recipient; set.json, which is signed, carries it. Home keeps the key beside
the sets it wrote, because age wraps no key twice in the same way: an interrupted set ends with the same
bytes, and a lost medium is written again. Who can read that file can read the catalog, which holds the same
payloads.

::

    <book>/<set id>.key.json    of one set: its key, bare and wrapped; for its owner alone

Source: age-encryption.org/v1.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyrage
from pyrage import x25519

from toolkit.errors import InputError, SignatureError, StorageError, misread
from toolkit.filesystem import sync_folder
from toolkit.media._device import gone_on_error, on_storage
from toolkit.media._encryption import KEY_BYTES, PayloadKey, payload_key
from toolkit.media._keys import write_secret
from toolkit.media._set import SetEncryption, read_small
from toolkit.media._verify import CONTRADICTS
from toolkit.model import Sha256

_FORMAT = 1
_KIND = "ferry-set-key"
_SECRET = re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{58}\Z")
_IDENTITY_LIMIT_BYTES = 64 << 10
WHICH_IDENTITY = (
    "name the file with the right one: --identity FILE; or have the medium written again with "
    "--encrypt-to and what `ferry site identity` prints here"
)
_LOST = (
    "restore it from a backup; else give another --name: the payloads are written as a new set then"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetKey:
    """The opened key of one set."""

    set_id: str
    secret: bytes = field(repr=False)
    encryption: SetEncryption
    """The same, for its recipients."""

    def of_payload(self, target: str, *, size_bytes: int, sha256: Sha256) -> PayloadKey:
        """Return the key of one payload, known by the length and hash of its plaintext."""
        return payload_key(
            self.secret, set_id=self.set_id, target=target, size_bytes=size_bytes, sha256=sha256
        )


def read_recipients(texts: Sequence[str]) -> tuple[str, ...]:
    """Return recipients as a person gave them, each once and sorted.

    Raises:
        InputError: Not the recipient of an X25519 identity.
    """
    return tuple(sorted({str(_recipient(text)) for text in texts}))


def new_key(set_id: str, recipients: tuple[str, ...]) -> SetKey:
    """Make the key of a set, for recipients as `read_recipients` returns them."""
    secret = secrets.token_bytes(KEY_BYTES)
    wrapped = pyrage.encrypt(secret, [_recipient(one) for one in recipients], armored=True)
    encryption = SetEncryption(recipients=recipients, wrapped_key=wrapped.decode())
    return SetKey(set_id=set_id, secret=secret, encryption=encryption)


def store_key(book: Path, key: SetKey) -> None:
    """Keep a key at home.

    Raises:
        StorageError: It cannot be written.
    """
    document = {
        "format": _FORMAT,
        "kind": _KIND,
        "secret": key.secret.hex(),
        "encryption": key.encryption.to_row(),
    }
    with on_storage(f"keep the key of the set {key.set_id}"):
        _write_new(_place(book, key.set_id), (json.dumps(document, indent=1) + "\n").encode())


def read_key(book: Path, *, set_id: str) -> SetKey | None:
    """Return the key of a set as home keeps it; None: it keeps none.

    Raises:
        StorageError: It cannot be read.
        InputError: It cannot be understood.
    """
    path = _place(book, set_id)
    with on_storage(f"open the key of the set {set_id}"):
        if not path.exists():
            return None
        data = read_small(path)
    try:
        row = json.loads(data)
        if (row["kind"], row["format"]) != (_KIND, _FORMAT):
            raise ValueError(f"{row['kind']} format {row['format']}")  # noqa: TRY301
        secret = bytes.fromhex(row["secret"])
        if len(secret) != KEY_BYTES:
            raise ValueError(f"a key of {len(secret)} bytes")  # noqa: TRY301
        encryption = SetEncryption.from_row(row["encryption"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            "open the key of the set",
            file=str(path),
            found=misread(error),
            expected=f"{_KIND} format {_FORMAT}",
            hint=_LOST,
        ) from error
    return SetKey(set_id=set_id, secret=secret, encryption=encryption)


def lost_key(book: Path, *, set_id: str) -> StorageError:
    """Return the error for a set that was begun with a key which home does not have any more."""
    return StorageError(
        f"open the key of the set {set_id}",
        found=f"{_place(book, set_id)} is gone, or is another key",
        expected="the key with which the set was begun",
        hint=_LOST,
    )


def unwrap_key(encryption: SetEncryption, *, set_id: str, label: str, identity: Path) -> SetKey:
    """Return the key of a set from its signed plan, opened by an identity.

    Args:
        encryption: As the signed plan says it.
        set_id: The set's UUID.
        label: What is printed on the medium, for errors.
        identity: A file of age identities, as `ferry site identity` or `age-keygen` makes it.

    Raises:
        InputError: No such file, not identities, or none of a recipient.
        StorageError: It cannot be read.
        SignatureError: What is wrapped is no key of a set.
    """
    attempted = f"decrypt {label}"
    if not identity.exists():
        raise InputError(
            attempted,
            file=str(identity),
            found="no such identity",
            expected=f"the identity of {encryption.addressees}",
            hint=WHICH_IDENTITY,
        )
    opened = _read_identities(identity)
    try:
        secret = pyrage.decrypt(encryption.wrapped_key.encode(), list(opened))
    except pyrage.DecryptError as error:
        raise InputError(
            attempted,
            file=str(identity),
            found=f"the identity of {', '.join(str(one.to_public()) for one in opened)}",
            expected=f"that of {encryption.addressees}",
            hint=WHICH_IDENTITY,
        ) from error
    if len(secret) != KEY_BYTES:
        raise SignatureError(
            attempted,
            found=f"a key of {len(secret)} bytes",
            expected=f"one of {KEY_BYTES}",
            hint=CONTRADICTS,
        )
    return SetKey(set_id=set_id, secret=secret, encryption=encryption)


def site_recipient(path: Path) -> str:
    """Return the recipient of the identity at `path`, which is made there the first time.

    Raises:
        StorageError: It cannot be read or written.
        InputError: What stands there is no identity.
    """
    with on_storage(f"make the identity {path}"):
        if not path.exists():
            made = x25519.Identity.generate()
            _write_new(path, f"# public key: {made.to_public()}\n{made}\n".encode())
    return str(_read_identities(path)[0].to_public())


def _recipient(text: str) -> x25519.Recipient:
    try:
        return x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        is_secret = text.strip().upper().startswith("AGE-SECRET-KEY")
        raise InputError(
            "encrypt a medium",
            found="an identity, which is secret" if is_secret else f"the recipient {text!r}",
            expected="one in the age format: age1 and 58 more letters and digits",
            hint="take it as `ferry site identity` prints it at the site, or `age-keygen -y`",
        ) from error


def _read_identities(path: Path) -> tuple[x25519.Identity, ...]:
    with on_storage(f"open the identity {path}"):
        data = read_small(path, limit_bytes=_IDENTITY_LIMIT_BYTES)
    lines = (line.strip() for line in data.decode(errors="replace").splitlines())
    words = [line for line in lines if line and not line.startswith("#")]
    if words and all(map(_SECRET.match, words)):
        with contextlib.suppress(pyrage.IdentityError):
            return tuple(map(x25519.Identity.from_str, words))
    # its lines are not repeated: they may be a secret of another kind
    raise InputError(
        "open the identity",
        file=str(path),
        found="something else",
        expected="lines that begin with AGE-SECRET-KEY-1, and comments",
        hint="`age-keygen` makes such a file; one that is itself encrypted must be decrypted first",
    )


def _place(book: Path, set_id: str) -> Path:
    try:
        return book / f"{uuid.UUID(set_id)}.key.json"
    except ValueError as error:  # it may come from a medium, where anybody can have written it
        raise InputError("read the id of the set", found=repr(set_id), expected="a UUID") from error


def _write_new(path: Path, data: bytes) -> None:
    """Write a secret so that it is there whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with gone_on_error(part):
        write_secret(part, data)
        part.replace(path)
    sync_folder(path.parent)
