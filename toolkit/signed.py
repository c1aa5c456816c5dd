"""Signed documents that travel: a JSON body, the Ed25519 signature over it, and whose key that was.

A document is `{"signed": {…}, "signatures": [{"keyid": …, "public": …, "sig": …}]}`, indented for people.
What is signed is the DSSE pre-authentication encoding of the document's kind and the canonical JSON of
the body (RFC 8785; our bodies hold texts, whole numbers, booleans, null, lists and objects), so that a
mail program that reflows the file breaks nothing and an edited value does.

A valid signature says only that the holder of a key wrote the body. Whether that key is to be believed is
decided by `KnownKeys`: a person compares its fingerprint over another channel once.

Source: DSSE protocol v1 (pre-authentication encoding); RFC 8785; RFC 8032 (Ed25519).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from toolkit.errors import InputError, SignatureError, StorageError, misread
from toolkit.filesystem import DRAFT, has_mark, on_storage, read_regular, write_beside

LIMIT_BYTES = 4 << 20
"""No signed document is longer; a request has a few thousand bytes."""

RECEIPT = "ferry-receipt"
"""The kind of a custody receipt: media write them, and a catalog learns keys from them."""

SUPPLEMENT_REQUEST = "ferry-supplement-request"
"""The kind of a site's request for pieces of a medium: media write them, and a catalog learns keys from them."""

_GROUP = 4
_DEEPEST = 40


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs documents."""

    key: Ed25519PrivateKey = field(repr=False)

    @property
    def public_hex(self) -> str:
        """The public key, 64 hex digits."""
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    @property
    def fingerprint(self) -> str:
        """What a person compares: see `fingerprint_of`."""
        return fingerprint_of(self.public_hex)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A document whose signature holds. Who the signer is must be known otherwise."""

    body: Mapping[str, Any]
    public_hex: str
    """The signer's public key."""

    @property
    def kind(self) -> str:
        """What it is, part of what is signed: `ferry-request`."""
        return str(self.body["kind"])

    @property
    def fingerprint(self) -> str:
        """What a person compares over another channel."""
        return fingerprint_of(self.public_hex)


def fingerprint_of(public_hex: str) -> str:
    """Return the SHA-256 of a public key, in groups of four hex digits for reading aloud."""
    digits = hashlib.sha256(bytes.fromhex(public_hex)).hexdigest()
    return " ".join(digits[at : at + _GROUP] for at in range(0, len(digits), _GROUP))


def open_key(path: Path) -> SigningKey:
    """Return the key at `path`; one is made there the first time, readable by its owner alone.

    Raises:
        StorageError: It cannot be read or written.
        InputError: What stands there is not such a key.
    """
    with on_storage(f"open the signing key {path}"):
        if not path.exists():
            _write_new_key(path)
        data = read_regular(path)
        for draft in path.parent.glob(f"{path.name}.*{DRAFT}"):  # of a process that was killed
            with contextlib.suppress(OSError):
                draft.unlink()
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _no_key(path, f"{len(data)} bytes that are no key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "a key of another kind")
    return SigningKey(key)


def seal(kind: str, body: Mapping[str, Any], key: SigningKey) -> bytes:
    """Return the signed document; equal input gives equal bytes.

    Args:
        kind: What it is: `ferry-request`. Part of what is signed.
        body: Plain JSON values without floating-point numbers.
        key: Who signs.
    """
    signed = {**body, "kind": kind}
    return _spelt(signed, key.public_hex, key.key.sign(_encoding(kind, signed)))


def respelt(data: bytes, body: Mapping[str, Any]) -> bytes:
    """Return a document that `unseal` has let through as `seal` would have written it.

    For whoever hashes whole files: the same statement can be spelt in many ways.

    Args:
        data: The document.
        body: What is signed in it, in the order of the writer.
    """
    (row,) = json.loads(data.decode("utf-8-sig"))["signatures"]
    return _spelt(body, row["public"], bytes.fromhex(row["sig"]))


def unseal(data: bytes, *, kind: str, file: str | None = None) -> Sealed:
    """Return the body of a signed document whose signature holds.

    Raises:
        InputError: Not such a document, or of another kind.
        SignatureError: It was edited, or is not signed.
    """
    attempted = f"read {kind.replace('-', ' ')}"

    def refuse(found: str) -> InputError:
        return InputError(
            attempted,
            file=file,
            found=found,
            expected=f"a {kind}",
            hint="give the file as ferry wrote it; if it is that one, get it again from its maker",
        )

    try:
        signed, found_kind, signatures = _parts(data)
        message = _encoding(found_kind, signed)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise refuse(misread(error)) from error
    if found_kind != kind:
        raise refuse(f"a {found_kind}")
    try:
        public_hex = _signer(signatures, message)
    except (InvalidSignature, ValueError, KeyError, TypeError) as error:
        where = f" {file}" if file else ""
        raise SignatureError(
            f"{attempted}{where}",
            found="the signature does not hold"
            if isinstance(error, InvalidSignature)
            else "no signature that can be checked",
            expected="the bytes as they were signed",
            hint="it was changed after it was made, or copied in part: get it again from its maker",
        ) from error
    return Sealed(body=signed, public_hex=public_hex)


def write_document(path: Path, data: bytes, *, mark: str) -> None:
    """Write a document durably, because sticks are pulled out; an earlier one of that name is replaced.

    Args:
        path: The file.
        data: What it will hold.
        mark: What stands near the beginning of every such document, such as its kind.

    Raises:
        StorageError: A file that is no such document has the name, or it cannot be written.
    """
    attempted = f"write {path}"
    with on_storage(attempted):
        if path.exists() and not has_mark(path, mark):
            raise StorageError(
                attempted,
                found="a file of that name that is not such a file of ferry",
                hint="choose another name; files of others are never overwritten",
            )
        write_beside(path, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key that a person has decided to believe, for one kind of document."""

    name: str
    """Who holds it, as the person calls them."""
    kind: str
    """What it may sign: a site's key that signs requests vouches for no catalog."""
    public_hex: str
    known_since: datetime


class KnownKeys:
    """The keys believed in one place, in one small JSON file."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`; it is made by the first `add`."""
        self._path = path

    def keys(self) -> tuple[KnownKey, ...]:
        """Return every known key, in the order in which they were added.

        Raises:
            InputError: The file cannot be understood.
            StorageError: It cannot be read.
        """
        with on_storage(f"read the known keys {self._path}"):
            if not self._path.exists():
                return ()
            data = read_regular(self._path)
        try:
            return tuple(
                KnownKey(
                    name=str(row["name"]),
                    kind=str(row["kind"]),
                    public_hex=_public(row["public"]),
                    known_since=datetime.fromisoformat(row["known_since"]),
                )
                for row in json.loads(data)["keys"]
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                "read the known keys",
                file=str(self._path),
                found=misread(error),
                hint="restore it from a backup, or remove it and make the keys known again",
            ) from error

    def require(self, sealed: Sealed, *, what: str, whose: str = "", hint: str) -> KnownKey:
        """Return the known key that signed a document.

        Args:
            sealed: The document.
            what: What was to be believed, for the error: "request of plant7".
            whose: What it says of whom it is about: where a key is known by this name, no other speaks for them.
            hint: The command that makes a key known.

        Raises:
            SignatureError: Signed by a key that nobody here has decided to believe for such a document, or not
                by the one that is known by the name of whom it is about.
        """
        keys = self.keys()
        if found := _known(keys, sealed):
            for own in keys:
                is_theirs = (
                    own.kind == found.kind and own.name.casefold() == whose.strip().casefold()
                )
                if is_theirs and own != found:
                    raise SignatureError(
                        f"believe the {what}",
                        found=f"signed by the key known as {found.name}",
                        expected=f"the key known as {own.name}",
                        hint=f"ask {own.name} whether they made it; if two share that name, or one was made anew, "
                        f"{self._renaming(own)}",
                    )
            return found
        others = [known.kind for known in keys if known.public_hex == sealed.public_hex]
        known_for = f" for a {sealed.kind}, only for a {' and a '.join(others)}" if others else ""
        raise SignatureError(
            f"believe the {what}",
            found=f"a key that is not known here{known_for}, fingerprint {sealed.fingerprint}",
            expected=", ".join(known.name for known in keys if known.kind == sealed.kind)
            or "a known key",
            hint=hint,
        )

    def _renaming(self, known: KnownKey) -> str:
        return f'give the key known as {known.name} another name in "{self._path}"'

    def add(self, name: str, sealed: Sealed, fingerprint: str) -> KnownKey:
        """Believe the key that signed a document, whose fingerprint came over another channel.

        It is believed for documents of this kind and no other.

        Raises:
            SignatureError: The fingerprint is not that of the key.
            InputError: The name is taken by another key, or is none.
            StorageError: The file cannot be written.
        """
        name = name.strip()
        if not name or not name.isprintable():
            raise InputError(
                "believe a key",
                found="no name" if not name else "a name with control characters",
                expected="the name of whoever holds it, on one line",
            )
        if re.sub(r"[\s:-]", "", fingerprint).lower() != sealed.fingerprint.replace(" ", ""):
            raise SignatureError(
                f"believe the key of {name}",
                found=f"fingerprint {sealed.fingerprint}",
                expected=fingerprint,
                hint="do not go on: find out who made this document",
            )
        known = self.keys()
        if already := _known(known, sealed):
            return already
        for other in known:
            if other.public_hex != sealed.public_hex and other.name.casefold() == name.casefold():
                raise InputError(
                    f"believe the key of {name}",
                    found="another key of that name",
                    expected=f"fingerprint {fingerprint_of(other.public_hex)}",
                    hint=f"was the site made anew? Then {self._renaming(other)}",
                )
        added = KnownKey(
            name=name,
            kind=sealed.kind,
            public_hex=sealed.public_hex,
            known_since=datetime.now(UTC),
        )
        rows = [
            {
                "name": key.name,
                "kind": key.kind,
                "public": key.public_hex,
                "known_since": key.known_since.isoformat(timespec="seconds"),
            }
            for key in (*known, added)
        ]
        text = json.dumps({"format": 1, "keys": rows}, indent=1, ensure_ascii=False)
        with on_storage(f"write the known keys {self._path}"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_beside(self._path, text.encode())
        return added


def _known(keys: Iterable[KnownKey], sealed: Sealed) -> KnownKey | None:
    """Return the key that signed a document, if it is known for that kind of document."""
    signer = (sealed.public_hex, sealed.kind)
    return next((known for known in keys if (known.public_hex, known.kind) == signer), None)


def canonical(value: object) -> bytes:
    """Return the canonical JSON of a value (RFC 8785, without floating-point numbers).

    Raises:
        ValueError: A number that is not whole, or too large to mean the same everywhere.
    """
    return _canonical(value, 0).encode("utf-8")


def _canonical(value: object, depth: int) -> str:
    if depth > _DEEPEST:
        raise ValueError(f"nested more than {_DEEPEST} deep")
    match value:
        case None | bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case int():
            if abs(value) >= 1 << 53:
                raise ValueError(f"{value} is not exact in every reader")
            return str(value)
        case list() | tuple():
            return f"[{','.join(_canonical(item, depth + 1) for item in value)}]"
        case dict():
            rows = sorted(value.items(), key=lambda row: str(row[0]).encode("utf-16-be"))
            return (
                "{"
                + ",".join(
                    f"{json.dumps(str(key), ensure_ascii=False)}:{_canonical(item, depth + 1)}"
                    for key, item in rows
                )
                + "}"
            )
        case _:
            raise ValueError(f"{type(value).__name__} cannot be signed")


def _parts(data: bytes) -> tuple[dict[str, Any], str, object]:
    """Return body, kind and signatures of a document, none of them believed yet."""
    if len(data) > LIMIT_BYTES:
        raise ValueError(f"{len(data)} bytes, more than {LIMIT_BYTES}")
    document = json.loads(data.decode("utf-8-sig"), parse_float=_no_float)
    signed, signatures = document["signed"], document["signatures"]
    if not isinstance(signed, dict) or not isinstance(signed["kind"], str):
        raise ValueError("no kind of document")  # noqa: TRY004 - input
    return signed, signed["kind"], signatures


def _signer(signatures: Any, message: bytes) -> str:
    """Return the public key of the one valid signature."""
    (row,) = signatures
    public_hex = _public(row["public"])
    if row["keyid"] != _keyid(public_hex):
        raise ValueError("the key is not the one its id names")
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_hex))
    public.verify(bytes.fromhex(row["sig"]), message)
    return public_hex


def _spelt(signed: Mapping[str, Any], public_hex: str, signature: bytes) -> bytes:
    row = {"keyid": _keyid(public_hex), "public": public_hex, "sig": signature.hex()}
    document = {"signed": signed, "signatures": [row]}
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _encoding(kind: str, body: object) -> bytes:
    """Return DSSE's pre-authentication encoding."""
    name, data = f"application/vnd.{kind}+json".encode(), canonical(body)
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(data), data)


def _keyid(public_hex: str) -> str:
    return hashlib.sha256(bytes.fromhex(public_hex)).hexdigest()


def _public(text: object) -> str:
    if not isinstance(text, str) or not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError(f"{text!r} is not a public key")
    return text


def _no_float(text: str) -> float:
    raise ValueError(f"the number {text} is not whole")


def _no_key(path: Path, found: str) -> InputError:
    return InputError(
        "open the signing key",
        file=str(path),
        found=found,
        expected="an Ed25519 key (PEM)",
        hint="restore it from a backup; without one, move it away: the next try makes a new key, whose "
        "fingerprint must be compared again",
    )


def _write_new_key(path: Path) -> None:
    """Make a key that appears whole or not at all: half a key could never be used nor replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=DRAFT, dir=path.parent)
    draft = Path(name)  # for its owner alone
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except OSError:
            if not path.exists():  # no hard links here; else another process was faster
                draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
