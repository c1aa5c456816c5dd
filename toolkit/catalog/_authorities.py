"""The certificate authorities whose word counts for signatures: the operating system's, or those of a file.

On Windows the system says of each root what it is trusted for; only those for code signing (or anything)
are taken, and its list of intermediate certificates helps where a signature leaves some out. Other systems have
one list, made for web servers: an authority for code that is missing there is named with `--signing-ca`.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from toolkit.catalog._storage import storage
from toolkit.catalog._xmlsig import Authorities, load_certificate
from toolkit.errors import InputError
from toolkit.filesystem import read_begin

_LIMIT_BYTES = 4 << 20


def signing_authorities(ca_file: Path | None = None) -> Authorities:
    """Return whom the operating system knows, and those of a PEM file.

    Raises:
        InputError: No certificate stands in the file.
        StorageError: It cannot be read.
    """
    known = system_authorities()
    if ca_file is None:
        return known
    return replace(known, roots=(*known.roots, *authorities_of(ca_file).roots))


def system_authorities() -> Authorities:
    """Return whom the operating system knows."""
    stores = getattr(ssl, "enum_certificates", None)  # Windows alone has it
    if stores is None:
        return Authorities(roots=tuple(_read(_in_files())))
    return Authorities(
        roots=tuple(_read(_for_code(stores("ROOT")))),
        intermediates=tuple(_read(_for_code(stores("CA")))),
    )


def authorities_of(ca_file: Path) -> Authorities:
    """Return the authorities that stand in a PEM file.

    Raises:
        InputError: No certificate stands there.
        StorageError: It cannot be read.
    """
    with storage(f"read {ca_file}"):
        data = read_begin(ca_file, _LIMIT_BYTES)
    try:
        return Authorities(roots=tuple(x509.load_pem_x509_certificates(data)))
    except ValueError as error:
        raise InputError(
            "read certificate authority",
            file=str(ca_file),
            found=str(error),
            expected="one or more PEM certificates",
        ) from error


def _in_files() -> list[bytes]:
    """Return what OpenSSL's file and folder hold; itself it looks into the folder during a handshake only."""
    context = ssl.create_default_context()
    folder = ssl.get_default_verify_paths().capath
    for path in sorted(Path(folder).glob("*.[0-9]")) if folder else ():
        with contextlib.suppress(OSError):  # a link to nothing, or no certificate
            context.load_verify_locations(cafile=path)
    return context.get_ca_certs(binary_form=True)


def _for_code(rows: Iterable[tuple[bytes, str, bool | Collection[str]]]) -> Iterator[bytes]:
    """Return the certificates of a Windows store that are trusted for code signing."""
    wanted = ExtendedKeyUsageOID.CODE_SIGNING.dotted_string
    for data, encoding, trust in rows:
        if encoding == "x509_asn" and (trust is True or (trust is not False and wanted in trust)):
            yield data


def _read(certificates: Iterable[bytes]) -> Iterator[x509.Certificate]:
    """Return what can be understood: a store may hold old oddities, which vouch for nobody."""
    for data in certificates:
        with contextlib.suppress(ValueError):
            yield load_certificate(data, is_known=True)
